// TypeORM: synchronize with its own vector columns, queries.
import 'reflect-metadata';
import { DataSource, EntitySchema } from 'typeorm';
import pgvector from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, ok, one, rows, url } from './vrtest.mjs';

const Item = new EntitySchema({ name: 'item', columns: {
  id: { type: Number, primary: true, generated: true },
  kind: { type: 'text', nullable: true },
  embedding: { type: 'vector', length: 3, nullable: true },
  half: { type: 'halfvec', length: 3, nullable: true },
  bits: { type: 'bit', length: 3, nullable: true },
  loose: { type: 'vector', nullable: true },
  looseHalf: { type: 'halfvec', nullable: true },
  longBits: { type: 'bit', length: 19, nullable: true } } });

main(async () => {
  // It creates the extension by itself, as soon as a column needs it.
  const source = new DataSource({ type: 'postgres', url, entities: [Item], synchronize: true });
  await source.initialize();
  equal((await source.query("SELECT extversion FROM pg_extension WHERE extname = 'vector'")), [{ extversion: '0.8.6' }], 'extension');
  equal((await source.query("SELECT format_type(atttypid, atttypmod) t FROM pg_attribute WHERE attrelid = 'item'::regclass AND attname IN ('embedding', 'half') ORDER BY attnum"))
    .map((r) => r.t), ['vector(3)', 'halfvec(3)'], 'columns');
  await source.query('CREATE INDEX ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40)');
  const items = source.getRepository(Item);
  await items.save(rows.map((r) => ({ kind: r.kind, embedding: r.v, half: r.v, bits: r.bits,
    loose: extreme32, looseHalf: extreme16, longBits: bits19 })));
  const all = await items.find({ order: { id: 'ASC' } });
  equal(all.map((r) => [r.embedding, r.half]), rows.map((r) => [r.v, r.v]), 'insert and read');
  // Of sparsevec and arrays of vectors it makes no columns; its queries take them.
  await source.query('ALTER TABLE item ADD "looseSparse" sparsevec, ADD many vector(3)[]');
  await source.query('UPDATE item SET "looseSparse" = $1, many = $2', [pgvector.toSql(extremeSparse), [pgvector.toSql(one)]]);
  const [raw] = await source.query('SELECT "looseSparse", many FROM item');
  equal(raw.many, '{"[1,1,1]"}', 'array of vectors');
  equalExtreme(all[0].loose, all[0].looseHalf, raw.looseSparse, all[0].longBits);
  await source.query('ALTER TABLE item DROP "looseSparse", DROP many');
  for (const [name, order] of [['l2Distance', 'embedding <->'], ['maxInnerProduct', 'embedding <#>'], ['cosineDistance', 'embedding <=>'],
    ['l1Distance', 'embedding <+>'], ['l2Distance', 'half <->'], ['hammingDistance', 'bits <~>'], ['jaccardDistance', 'bits <%>']]) {
    const got = await items.createQueryBuilder('item').orderBy(`${order} :q`).addOrderBy('id').setParameters({ q: order.startsWith('bits') ? '101' : pgvector.toSql(one) }).limit(5).getMany();
    equal(got.map((r) => r.id), nearest[name], order);
  }
  const near = await items.createQueryBuilder('item').where("kind = 'a' AND embedding <-> :q < 0.5", { q: pgvector.toSql(one) }).getMany();
  equal(near.map((r) => r.id), [1], 'filter');
  await items.update(2, { embedding: [7, 8, 9] });
  equal((await items.findOneBy({ id: 2 })).embedding, [7, 8, 9], 'update');
  await items.insert(Array.from({ length: 500 }, (_, i) => ({ embedding: [i, 1, 1] })));
  equal(await items.count(), 503, 'bulk insert');
  await fails(() => items.save({ embedding: [1, 2] }), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => items.save({ embedding: [1, 2, NaN] }), null, 'vector', 'NaN');
  await items.save({ embedding: null });
  ok(true, 'NULL is stored');
  await source.synchronize();
  equal(await items.count(), 504, 'a second synchronize keeps the rows');
  await source.destroy();
});
