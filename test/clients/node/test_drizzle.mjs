// Drizzle: push and introspect by drizzle-kit, queries by drizzle-orm.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { and, cosineDistance, eq, hammingDistance, innerProduct, jaccardDistance, l1Distance, l2Distance, lt } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import pgvector from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, ok, one, rows, url } from './vrtest.mjs';

const schema = `
import { bit, halfvec, index, integer, pgTable, serial, sparsevec, text, vector } from 'drizzle-orm/pg-core';
export const item = pgTable('item', {
  id: serial('id').primaryKey(),
  kind: text('kind'),
  embedding: vector('embedding', { dimensions: 3 }),
  half: halfvec('half', { dimensions: 3 }),
  sparse: sparsevec('sparse', { dimensions: 3 }),
  bits: bit('bits', { dimensions: 3 }),
  many: vector('many', { dimensions: 3 }).array(),
  long: vector('long', { dimensions: ${extreme32.length} }),
  longHalf: halfvec('long_half', { dimensions: ${extreme16.length} }),
  longSparse: sparsevec('long_sparse', { dimensions: 1000 }),
  longBits: bit('long_bits', { dimensions: 19 }),
}, (t) => [
  index('item_hnsw').using('hnsw', t.embedding.op('vector_l2_ops')).with({ m: 8, ef_construction: 40 }),
  index('item_half').using('hnsw', t.half.op('halfvec_cosine_ops')),
]);
`;

main(async () => {
  const here = dirname(fileURLToPath(import.meta.url));
  const folder = join(here, 'drizzle-work');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'schema.mjs'), schema);
  writeFileSync(join(folder, 'config.mjs'), `export default {
    dialect: 'postgresql', schema: './drizzle-work/schema.mjs', out: './drizzle-work/out',
    dbCredentials: { url: process.env.DATABASE_URL } };`);
  const kit = (...args) => execFileSync(process.execPath, [join(here, 'node_modules/drizzle-kit/bin.cjs'),
    ...args, '--config=drizzle-work/config.mjs'], { cwd: here, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

  const client = new pg.Pool({ connectionString: url });
  await client.query('CREATE EXTENSION IF NOT EXISTS vector');
  kit('push', '--force');
  equal((await client.query("SELECT pg_get_indexdef('item_hnsw'::regclass) d")).rows[0].d,
    "CREATE INDEX item_hnsw ON public.item USING hnsw (embedding vector_l2_ops) WITH (m='8', ef_construction='40')", 'push');
  kit('introspect');
  const read = readFileSync(join(folder, 'out/schema.ts'), 'utf8');
  ok(/vector\(\{ dimensions: 3 \}\)/.test(read) && /vector_l2_ops/.test(read), 'introspect', read);

  const { item } = await import(pathToFileURL(join(folder, 'schema.mjs')));
  const db = drizzle(client);
  await db.insert(item).values(rows.map((r) => ({ kind: r.kind, embedding: r.v, half: r.v, bits: r.bits,
    sparse: `{${r.v.map((x, i) => `${i + 1}:${x}`)}}/3`, many: [r.v],
    long: extreme32, longHalf: extreme16, longSparse: pgvector.toSql(extremeSparse), longBits: bits19 })));
  const all = await db.select().from(item).orderBy(item.id);
  equal(all.map((r) => [r.embedding, r.half, r.sparse, r.bits]),
    rows.map((r) => [r.v, r.v, `{${r.v.map((x, i) => `${i + 1}:${x}`)}}/3`, r.bits]), 'insert and read');
  equal(all.map((r) => r.many), rows.map((r) => [r.v]), 'arrays of vectors');
  equalExtreme(all[0].long, all[0].longHalf, all[0].longSparse, all[0].longBits);
  for (const [name, order] of [['l2Distance', l2Distance(item.embedding, one)], ['maxInnerProduct', innerProduct(item.embedding, one)],
    ['cosineDistance', cosineDistance(item.embedding, one)], ['l1Distance', l1Distance(item.embedding, one)],
    ['l2Distance', l2Distance(item.half, one)], ['l2Distance', l2Distance(item.sparse, '{1:1,2:1,3:1}/3')],
    ['hammingDistance', hammingDistance(item.bits, '101')], ['jaccardDistance', jaccardDistance(item.bits, '101')]]) {
    const got = await db.select({ id: item.id }).from(item).orderBy(order, item.id).limit(5);
    equal(got.map((r) => r.id), nearest[name], name);
  }
  equal(await db.select({ id: item.id }).from(item).where(and(eq(item.kind, 'a'), lt(l2Distance(item.embedding, one), 0.5))),
    [{ id: 1 }], 'filter');
  await db.update(item).set({ embedding: [7, 8, 9] }).where(eq(item.id, 2));
  equal((await db.select().from(item).where(eq(item.id, 2)))[0].embedding, [7, 8, 9], 'update');
  await db.insert(item).values(Array.from({ length: 500 }, (_, i) => ({ embedding: [i, 1, 1] })));
  equal(await db.$count(item), 503, 'bulk insert');
  await fails(() => db.insert(item).values({ embedding: [1, 2] }), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => db.insert(item).values({ embedding: [1, 2, NaN] }), '22P02', 'invalid input syntax for type vector', 'NaN, which JSON calls null');
  await db.insert(item).values({ embedding: null });
  kit('push', '--force');
  equal((await client.query('SELECT count(*)::int n FROM item')).rows[0].n, 504, 'a second push changes nothing');
  await client.end();
  rmSync(folder, { recursive: true });
});
