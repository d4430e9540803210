// Prisma: migrate dev and reset with the extension in the schema, client.
//
// With a driver adapter, so that nothing has to be downloaded but packages.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import pgvector from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, ok, one, rows, url } from './vrtest.mjs';

const schema = `
generator client {
  provider        = "prisma-client-js"
  engineType      = "client"
  output          = "./client"
  previewFeatures = ["postgresqlExtensions"]
}

datasource db {
  provider   = "postgresql"
  url        = env("DATABASE_URL")
  extensions = [vector]
}

model Item {
  id        Int     @id @default(autoincrement())
  kind      String?
  embedding Unsupported("vector(3)")?
  half      Unsupported("halfvec(3)")?
  sparse    Unsupported("sparsevec(3)")?
  bits      Unsupported("bit(3)")?
  many      Unsupported("vector(3)")[]
  loose     Unsupported("vector")?
  looseHalf Unsupported("halfvec")?
  looseSparse Unsupported("sparsevec")?
  longBits  Unsupported("bit(19)")?

  @@map("item")
}
`;

main(async () => {
  const here = dirname(fileURLToPath(import.meta.url));
  const folder = join(here, 'prisma-work');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  writeFileSync(join(folder, 'schema.prisma'), schema);
  writeFileSync(join(folder, 'prisma.config.mjs'), `
import { defineConfig } from 'prisma/config';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
// The adapter of Prisma 6 does not know the types "char", name and their arrays
// of PostgreSQL's own catalogs; 7 does, but has no engine that comes as a package.
for (const type of [pg.Client, pg.Pool]) {
  const query = type.prototype.query;
  type.prototype.query = function (...args) {
    const result = query.apply(this, args);
    return typeof result?.then !== 'function' ? result : result.then((r) => {
      for (const field of r?.fields ?? []) field.dataTypeID = { 18: 1042, 19: 25, 1002: 1009, 1003: 1009 }[field.dataTypeID] ?? field.dataTypeID;
      return r;
    });
  };
}
export default defineConfig({
  schema: 'schema.prisma', experimental: { adapter: true }, engine: 'js',
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL }),
});`);
  // migrate dev insists on a terminal.
  writeFileSync(join(folder, 'terminal.cjs'), 'process.stdin.isTTY = process.stdout.isTTY = true;');
  const prisma = (args, database = url) => {
    try {
      return execFileSync(process.execPath, ['-r', join(folder, 'terminal.cjs'), join(here, 'node_modules/prisma/build/index.js'),
        ...args.split(' '), '--config', 'prisma.config.mjs'], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 300000, env: { ...process.env, CI: '', DATABASE_URL: database } });
    } catch (error) {
      throw new Error(`prisma ${args}: ${error.stdout}${error.stderr}`);
    }
  };
  prisma('migrate dev --name first');
  const migrations = () => readdirSync(join(folder, 'migrations')).filter((n) => !n.endsWith('.toml')).sort();
  const first = readFileSync(join(folder, 'migrations', migrations()[0], 'migration.sql'), 'utf8');
  ok(first.includes('CREATE EXTENSION IF NOT EXISTS "vector"') && first.includes('"embedding" vector(3)'), 'migrate dev', first);
  const second = join(folder, 'migrations', '99990101000000_index');
  mkdirSync(second);
  writeFileSync(join(second, 'migration.sql'),
    'CREATE INDEX item_hnsw ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40);');
  prisma('migrate deploy');
  prisma('migrate reset --force --skip-seed');
  ok(prisma('migrate status').includes('Database schema is up to date'), 'migrate reset, and no drift');
  prisma('generate');

  const { PrismaClient } = createRequire(import.meta.url)(join(folder, 'client'));
  const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
  for (const r of rows) {
    const v = pgvector.toSql(r.v);
    const sparse = pgvector.toSql(new pgvector.SparseVector(r.v));
    await db.$executeRaw`INSERT INTO item (kind, embedding, half, sparse, bits, many, loose, "looseHalf", "looseSparse", "longBits")
      VALUES (${r.kind}, ${v}::vector, ${v}::halfvec, ${sparse}::sparsevec, ${r.bits}::bit(3), ${[v]}::text[]::vector[],
        ${pgvector.toSql(extreme32)}::vector, ${pgvector.toSql(extreme16)}::halfvec, ${pgvector.toSql(extremeSparse)}::sparsevec, ${bits19}::bit(19))`;
  }
  equal((await db.item.findMany({ orderBy: { id: 'asc' } })).map((r) => r.kind), ['a', 'b', 'a'], 'insert and read');
  const q = pgvector.toSql(one);
  const s = pgvector.toSql(new pgvector.SparseVector(one));
  for (const [name, call] of [
    ['l2Distance', () => db.$queryRaw`SELECT id FROM item ORDER BY embedding <-> ${q}::vector, id LIMIT 5`],
    ['maxInnerProduct', () => db.$queryRaw`SELECT id FROM item ORDER BY embedding <#> ${q}::vector, id LIMIT 5`],
    ['cosineDistance', () => db.$queryRaw`SELECT id FROM item ORDER BY embedding <=> ${q}::vector, id LIMIT 5`],
    ['l1Distance', () => db.$queryRaw`SELECT id FROM item ORDER BY embedding <+> ${q}::vector, id LIMIT 5`],
    ['l2Distance', () => db.$queryRaw`SELECT id FROM item ORDER BY half <-> ${q}::halfvec, id LIMIT 5`],
    ['l2Distance', () => db.$queryRaw`SELECT id FROM item ORDER BY sparse <-> ${s}::sparsevec, id LIMIT 5`],
    ['hammingDistance', () => db.$queryRaw`SELECT id FROM item ORDER BY bits <~> ${'101'}::bit(3), id LIMIT 5`]]) {
    equal((await call()).map((r) => r.id), nearest[name], name);
  }
  equal(await db.$queryRaw`SELECT id FROM item WHERE kind = 'a' AND embedding <-> ${q}::vector < 0.5`, [{ id: 1 }], 'filter');
  const [far] = await db.$queryRaw`SELECT many::text, loose::text, "looseHalf"::text h, "looseSparse"::text s, "longBits"::text b FROM item LIMIT 1`;
  equal(far.many, '{"[1,1,1]"}', 'array of vectors');
  equalExtreme(far.loose, far.h, far.s, far.b);
  await db.$executeRaw`UPDATE item SET embedding = ${'[7,8,9]'}::vector WHERE id = 2`;
  equal(await db.$queryRaw`SELECT embedding::text FROM item WHERE id = 2`, [{ embedding: '[7,8,9]' }], 'update');
  await db.$executeRaw`INSERT INTO item (embedding) SELECT unnest(${Array.from({ length: 500 }, (_, i) => `[${i},1,1]`)}::text[])::vector`;
  equal(await db.item.count(), 503, 'bulk insert');
  const put = (v) => db.$executeRaw`INSERT INTO item (embedding) VALUES (${v}::vector)`;
  await fails(() => put('[1,2]'), null, 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => put('[1,2,NaN]'), null, 'NaN not allowed in vector', 'NaN');
  await put(null);
  equal(await db.item.count(), 504, 'NULL is stored');
  await db.$disconnect();

  // The example of README.md, in a database of its own: its schema, its queries.
  const examples = join(here, 'readme', 'node');
  copyFileSync(join(examples, 'readme_prisma.prisma'), join(folder, 'schema.prisma'));
  rmSync(join(folder, 'migrations'), { recursive: true });
  const other = url + '_schemas';
  prisma('migrate dev --name example', other);
  prisma('generate', other);
  copyFileSync(join(examples, 'readme_prismasqueries.mjs'), join(folder, 'example.mjs'));
  execFileSync(process.execPath, [join(folder, 'example.mjs')], { env: { ...process.env, DATABASE_URL: other }, stdio: 'inherit' });
  ok(true, 'the example of README.md');
  rmSync(folder, { recursive: true });
});
