// Sequelize: sync, indexes, queries.
import { DataTypes, Sequelize } from 'sequelize';
import pgvector from 'pgvector/sequelize';
import { SparseVector } from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, one, rows, url } from './vrtest.mjs';

const { cosineDistance, hammingDistance, jaccardDistance, l1Distance, l2Distance, maxInnerProduct } = pgvector;
pgvector.registerTypes(Sequelize);

main(async () => {
  // Sequelize reads the types of a database when it first connects.
  const first = new Sequelize(url, { logging: false });
  await first.query('CREATE EXTENSION IF NOT EXISTS vector');
  await first.close();
  const sequelize = new Sequelize(url, { logging: false });
  const Item = sequelize.define('Item', {
    kind: DataTypes.TEXT, embedding: DataTypes.VECTOR(3), half: DataTypes.HALFVEC(3), sparse: DataTypes.SPARSEVEC(3),
    bits: 'BIT(3)', many: DataTypes.ARRAY(DataTypes.VECTOR(3)), loose: DataTypes.VECTOR, looseHalf: DataTypes.HALFVEC,
    looseSparse: DataTypes.SPARSEVEC, longBits: 'BIT(19)',
  }, { tableName: 'item', timestamps: false, indexes: [
    { name: 'item_hnsw', fields: ['embedding'], using: 'hnsw', operator: 'vector_l2_ops' },
    { name: 'item_half', fields: ['half'], using: 'hnsw', operator: 'halfvec_l2_ops' }] });
  await Item.sync({ force: true });
  await sequelize.query('CREATE INDEX ON item USING hnsw (sparse sparsevec_l2_ops) WITH (m = 8, ef_construction = 40)');
  await Item.bulkCreate(rows.map((r) => ({ kind: r.kind, embedding: r.v, half: r.v, sparse: new SparseVector(r.v), bits: r.bits, many: [r.v],
    loose: extreme32, looseHalf: extreme16, looseSparse: extremeSparse, longBits: bits19 })));
  const all = await Item.findAll({ order: ['id'] });
  equal(all.map((r) => [r.embedding, r.half, r.sparse.toArray(), r.bits]), rows.map((r) => [r.v, r.v, r.v, r.bits]), 'insert and read');
  equal(all.map((r) => r.many), rows.map((r) => [r.v]), 'arrays of vectors');
  equalExtreme(all[0].loose, all[0].looseHalf, all[0].looseSparse, all[0].longBits);
  for (const [name, order] of [['l2Distance', l2Distance('embedding', one, sequelize)],
    ['maxInnerProduct', maxInnerProduct('embedding', one, sequelize)], ['cosineDistance', cosineDistance('embedding', one, sequelize)],
    ['l1Distance', l1Distance('embedding', one, sequelize)], ['l2Distance', l2Distance('half', one, sequelize)],
    ['l2Distance', l2Distance('sparse', new SparseVector(one), sequelize)],
    ['hammingDistance', hammingDistance('bits', '101', sequelize)], ['jaccardDistance', jaccardDistance('bits', '101', sequelize)]]) {
    equal((await Item.findAll({ order: [order, 'id'], limit: 5 })).map((r) => r.id), nearest[name], name);
  }
  equal((await Item.findAll({ where: sequelize.and({ kind: 'a' }, sequelize.where(l2Distance('embedding', one, sequelize), '<', 0.5)) }))
    .map((r) => r.id), [1], 'filter');
  await all[1].update({ embedding: [7, 8, 9] });
  equal((await Item.findByPk(2)).embedding, [7, 8, 9], 'update');
  await Item.bulkCreate(Array.from({ length: 500 }, (_, i) => ({ embedding: [i, 1, 1] })));
  equal(await Item.count(), 503, 'bulk insert');
  await fails(() => Item.create({ embedding: [1, 2] }), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => Item.create({ embedding: [1, 2, NaN] }), '22P02', 'invalid input syntax for type vector', 'NaN, which JSON calls null');
  await Item.create({ embedding: null });
  equal(await Item.count({ where: { embedding: null } }), 1, 'NULL');
  await sequelize.close();
});
