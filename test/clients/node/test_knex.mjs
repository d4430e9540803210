// Knex: schema builder, queries.
import Knex from 'knex';
import pgvector from 'pgvector/knex';
import { SparseVector } from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, one, rows, url } from './vrtest.mjs';

main(async () => {
  const knex = Knex({ client: 'pg', connection: url });
  await knex.schema.createExtensionIfNotExists('vector');
  await knex.schema.createTable('item', (t) => {
    t.increments('id');
    t.text('kind');
    t.vector('embedding', 3);
    t.halfvec('half', 3);
    t.sparsevec('sparse', 3);
    t.specificType('bits', 'bit(3)');
    t.specificType('loose', 'vector');
    t.specificType('loose_half', 'halfvec');
    t.specificType('loose_sparse', 'sparsevec');
    t.specificType('long_bits', 'bit(19)');
    t.specificType('many', 'vector(3)[]');
    t.index(knex.raw('embedding vector_l2_ops'), 'item_hnsw', 'hnsw');
    t.index(knex.raw('half halfvec_cosine_ops'), 'item_half', 'hnsw');
  });
  await knex.raw('CREATE INDEX ON item USING hnsw (sparse sparsevec_l2_ops) WITH (m = 8, ef_construction = 40)');
  await knex('item').insert(rows.map((r) => ({ kind: r.kind, embedding: pgvector.toSql(r.v), half: pgvector.toSql(r.v),
    sparse: pgvector.toSql(new SparseVector(r.v)), bits: r.bits, many: [pgvector.toSql(r.v)],
    loose: pgvector.toSql(extreme32), loose_half: pgvector.toSql(extreme16), loose_sparse: pgvector.toSql(extremeSparse), long_bits: bits19 })));
  const all = await knex('item').orderBy('id');
  equal(all.map((r) => [pgvector.fromSql(r.embedding), pgvector.fromSql(r.half), pgvector.fromSql(r.sparse).toArray(), r.bits]),
    rows.map((r) => [r.v, r.v, r.v, r.bits]), 'insert and read');
  equal(all.map((r) => r.many), rows.map((r) => `{"[${r.v}]"}`), 'arrays of vectors');
  equalExtreme(all[0].loose, all[0].loose_half, all[0].loose_sparse, all[0].long_bits);
  for (const [name, column, q] of [['l2Distance', 'embedding', one], ['maxInnerProduct', 'embedding', one],
    ['cosineDistance', 'embedding', one], ['l1Distance', 'embedding', one], ['l2Distance', 'half', one],
    ['l2Distance', 'sparse', new SparseVector(one)], ['hammingDistance', 'bits', '101'], ['jaccardDistance', 'bits', '101']]) {
    const got = await knex('item').select('id').orderBy(knex[name](column, q)).orderBy('id').limit(5);
    equal(got.map((r) => r.id), nearest[name], `${name} of ${column}`);
  }
  equal(await knex('item').select('id').where('kind', 'a').where(knex.l2Distance('embedding', one), '<', 0.5), [{ id: 1 }], 'filter');
  await knex('item').where('id', 2).update({ embedding: '[7,8,9]' });
  equal((await knex('item').where('id', 2).first()).embedding, '[7,8,9]', 'update');
  await knex.batchInsert('item', Array.from({ length: 500 }, (_, i) => ({ embedding: `[${i},1,1]` })), 100);
  equal((await knex('item').count())[0].count, '503', 'batch insert');
  await fails(() => knex('item').insert({ embedding: '[1,2]' }), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => knex('item').insert({ embedding: '[1,2,NaN]' }), '22000', 'NaN not allowed in vector', 'NaN');
  await knex('item').insert({ embedding: null });
  equal((await knex('item').whereNull('embedding')).length, 1, 'NULL');
  await knex.destroy();
});
