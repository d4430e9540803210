// Kysely: schema builder, queries.
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import pgvector, { cosineDistance, hammingDistance, jaccardDistance, l1Distance, l2Distance, maxInnerProduct } from 'pgvector/kysely';
import { SparseVector } from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, one, rows, url } from './vrtest.mjs';

main(async () => {
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }) });
  await sql`CREATE EXTENSION IF NOT EXISTS vector`.execute(db);
  await db.schema.createTable('item')
    .addColumn('id', 'serial', (c) => c.primaryKey()).addColumn('kind', 'text')
    .addColumn('embedding', sql`vector(3)`).addColumn('half', sql`halfvec(3)`)
    .addColumn('sparse', sql`sparsevec(3)`).addColumn('bits', sql`bit(3)`)
    .addColumn('many', sql`vector(3)[]`).addColumn('loose', sql`vector`).addColumn('loose_half', sql`halfvec`)
    .addColumn('loose_sparse', sql`sparsevec`).addColumn('long_bits', sql`bit(19)`).execute();
  await db.schema.createIndex('item_hnsw').on('item').using('hnsw').expression(sql`embedding vector_l2_ops`).execute();
  await sql`CREATE INDEX ON item USING hnsw (half halfvec_l2_ops) WITH (m = 8, ef_construction = 40)`.execute(db);
  await db.insertInto('item').values(rows.map((r) => ({ kind: r.kind, embedding: pgvector.toSql(r.v), half: pgvector.toSql(r.v),
    sparse: pgvector.toSql(new SparseVector(r.v)), bits: r.bits, many: [pgvector.toSql(r.v)],
    loose: pgvector.toSql(extreme32), loose_half: pgvector.toSql(extreme16), loose_sparse: pgvector.toSql(extremeSparse), long_bits: bits19 }))).execute();
  const all = await db.selectFrom('item').selectAll().orderBy('id').execute();
  equal(all.map((r) => [pgvector.fromSql(r.embedding), pgvector.fromSql(r.half), pgvector.fromSql(r.sparse).toArray(), r.bits]),
    rows.map((r) => [r.v, r.v, r.v, r.bits]), 'insert and read');
  equal(all.map((r) => r.many), rows.map((r) => `{"[${r.v}]"}`), 'arrays of vectors');
  equalExtreme(all[0].loose, all[0].loose_half, all[0].loose_sparse, all[0].long_bits);
  for (const [name, order] of [['l2Distance', l2Distance('embedding', one)], ['maxInnerProduct', maxInnerProduct('embedding', one)],
    ['cosineDistance', cosineDistance('embedding', one)], ['l1Distance', l1Distance('embedding', one)],
    ['l2Distance', l2Distance('half', one)], ['l2Distance', l2Distance('sparse', new SparseVector(one))],
    ['hammingDistance', hammingDistance('bits', '101')], ['jaccardDistance', jaccardDistance('bits', '101')]]) {
    const got = await db.selectFrom('item').select('id').orderBy(order).orderBy('id').limit(5).execute();
    equal(got.map((r) => r.id), nearest[name], name);
  }
  equal(await db.selectFrom('item').select('id').where('kind', '=', 'a').where(l2Distance('embedding', one), '<', 0.5).execute(),
    [{ id: 1 }], 'filter');
  await db.updateTable('item').set({ embedding: '[7,8,9]' }).where('id', '=', 2).execute();
  equal((await db.selectFrom('item').select('embedding').where('id', '=', 2).executeTakeFirst()).embedding, '[7,8,9]', 'update');
  await db.insertInto('item').values(Array.from({ length: 500 }, (_, i) => ({ embedding: `[${i},1,1]` }))).execute();
  equal((await db.selectFrom('item').select(db.fn.countAll().as('n')).executeTakeFirst()).n, '503', 'bulk insert');
  const put = (v) => db.insertInto('item').values({ embedding: v }).execute();
  await fails(() => put('[1,2]'), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => put('[1,2,NaN]'), '22000', 'NaN not allowed in vector', 'NaN');
  await put(null);
  equal((await db.selectFrom('item').select('id').where('embedding', 'is', null).execute()).length, 1, 'NULL');
  await db.destroy();
});
