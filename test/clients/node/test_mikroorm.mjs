// MikroORM: schema generator, queries.
import { EntitySchema, MikroORM, raw } from '@mikro-orm/postgresql';
import { BitType, HalfvecType, SparsevecType, VectorType, cosineDistance, hammingDistance, jaccardDistance, l1Distance, l2Distance, maxInnerProduct } from 'pgvector/mikro-orm';
import { SparseVector } from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, one, rows, url } from './vrtest.mjs';

const Item = new EntitySchema({ name: 'Item', tableName: 'item', properties: {
  id: { type: 'number', primary: true },
  kind: { type: 'text', nullable: true },
  embedding: { type: VectorType, dimensions: 3, nullable: true },
  half: { type: HalfvecType, dimensions: 3, nullable: true },
  sparse: { type: SparsevecType, dimensions: 3, nullable: true },
  bits: { type: BitType, length: 3, nullable: true },
  many: { type: 'string[]', columnType: 'vector(3)[]', nullable: true },
  loose: { type: VectorType, nullable: true },
  looseHalf: { type: HalfvecType, nullable: true },
  looseSparse: { type: SparsevecType, nullable: true },
  longBits: { type: BitType, length: 19, nullable: true } } });

main(async () => {
  const orm = await MikroORM.init({ clientUrl: url, entities: [Item] });
  const em = orm.em.fork();
  await em.execute('CREATE EXTENSION IF NOT EXISTS vector');
  await orm.schema.createSchema();
  await em.execute('CREATE INDEX ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40)');
  for (const r of rows) {
    em.create(Item, { kind: r.kind, embedding: r.v, half: r.v, sparse: new SparseVector(r.v), bits: r.bits,
      many: [`[${r.v}]`], loose: extreme32, looseHalf: extreme16, looseSparse: extremeSparse, longBits: bits19 });
    await em.flush();
  }
  em.clear();
  const all = await em.find(Item, {}, { orderBy: { id: 'ASC' } });
  equal(all.map((r) => [r.embedding, r.half, r.sparse.toArray(), r.bits]), rows.map((r) => [r.v, r.v, r.v, r.bits]), 'insert and read');
  equal(all.map((r) => r.many), rows.map((r) => [`[${r.v}]`]), 'arrays of vectors');
  equalExtreme(all[0].loose, all[0].looseHalf, all[0].looseSparse, all[0].longBits);
  for (const [name, order] of [['l2Distance', l2Distance('embedding', one)], ['maxInnerProduct', maxInnerProduct('embedding', one)],
    ['cosineDistance', cosineDistance('embedding', one)], ['l1Distance', l1Distance('embedding', one)], ['l2Distance', l2Distance('half', one)],
    ['l2Distance', l2Distance('sparse', new SparseVector(one))], ['hammingDistance', hammingDistance('bits', '101')],
    ['jaccardDistance', jaccardDistance('bits', '101')]]) {
    const got = await em.createQueryBuilder(Item).orderBy({ [order]: 'ASC', id: 'ASC' }).limit(5).getResult();
    equal(got.map((r) => r.id), nearest[name], name);
  }
  equal((await em.createQueryBuilder(Item).where({ kind: 'a', [l2Distance('embedding', one)]: { $lt: 0.5 } }).getResult()).map((r) => r.id), [1], 'filter');
  all[1].embedding = [7, 8, 9];
  await em.flush();
  em.clear();
  equal((await em.findOne(Item, 2)).embedding, [7, 8, 9], 'update');
  await em.insertMany(Item, Array.from({ length: 500 }, (_, i) => ({ embedding: [i, 1, 1] })));
  equal(await em.count(Item), 503, 'bulk insert');
  const put = async (v) => { const f = orm.em.fork(); f.create(Item, { embedding: v }); await f.flush(); };
  await fails(() => put([1, 2]), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => put([1, 2, NaN]), '22P02', 'invalid input syntax for type vector', 'NaN, which JSON calls null');
  await put(null);
  equal(await em.count(Item, { embedding: null }), 1, 'NULL');
  await orm.close();
});
