// node-postgres with pgvector's types: text and binary, prepared statements.
import pg from 'pg';
import pgvector from 'pgvector/pg';
import { SparseVector } from 'pgvector';
import { bits19, equal, equalExtreme, extreme16, extreme32, extremeSparse, fails, main, nearest, ok, one, rows, url } from './vrtest.mjs';

main(async () => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('CREATE EXTENSION IF NOT EXISTS vector');
  await pgvector.registerTypes(client);
  await client.query(`CREATE TABLE item (id serial PRIMARY KEY, kind text, embedding vector(3),
    half halfvec(3), sparse sparsevec(3), bits bit(3), many vector(3)[])`);
  for (const [column, ops] of [['embedding', 'vector_l2_ops'], ['embedding', 'vector_ip_ops'],
    ['embedding', 'vector_cosine_ops'], ['embedding', 'vector_l1_ops'], ['half', 'halfvec_l2_ops'],
    ['sparse', 'sparsevec_l2_ops'], ['bits', 'bit_hamming_ops'], ['bits', 'bit_jaccard_ops']]) {
    await client.query(`CREATE INDEX ON item USING hnsw (${column} ${ops}) WITH (m = 8, ef_construction = 40)`);
  }
  const insert = 'INSERT INTO item (kind, embedding, half, sparse, bits, many) VALUES ($1, $2, $3, $4, $5, $6)';
  for (const r of rows) {
    await client.query({ name: 'insert', text: insert, values: [r.kind, pgvector.toSql(r.v), pgvector.toSql(r.v),
      pgvector.toSql(new SparseVector(r.v)), r.bits, [pgvector.toSql(r.v)]] });
  }
  const all = (await client.query('SELECT *, many::text AS m FROM item ORDER BY id')).rows;
  equal(all.map((r) => [r.embedding, r.half, r.sparse.toArray(), r.bits]),
    rows.map((r) => [r.v, r.v, r.v, r.bits]), 'insert and read');
  equal(all[2].m, '{"[1,1,2]"}', 'array of vectors');

  await client.query('SET enable_seqscan = off');
  const sparse = pgvector.toSql(new SparseVector(one));
  for (const [column, op, name, q] of [
    ['embedding', '<->', 'l2Distance', '[1,1,1]'], ['embedding', '<#>', 'maxInnerProduct', '[1,1,1]'],
    ['embedding', '<+>', 'l1Distance', '[1,1,1]'], ['half', '<->', 'l2Distance', '[1,1,1]'],
    ['sparse', '<->', 'l2Distance', sparse], ['bits', '<~>', 'hammingDistance', '101'],
    ['bits', '<%>', 'jaccardDistance', '101']]) {
    for (let i = 0; i < 7; i++) {
      const r = await client.query({ name: `${column} ${op}`, values: [q],
        text: `SELECT id FROM item ORDER BY ${column} ${op} $1 LIMIT 5` });
      if (i === 6) equal(r.rows.map((x) => x.id), nearest[name], `${column} ${op}, prepared`);
    }
  }
  const near = await client.query('SELECT id FROM item WHERE kind = $1 AND embedding <-> $2 < 0.5', ['a', '[1,1,1]']);
  equal(near.rows, [{ id: 1 }], 'filter');
  await client.query('UPDATE item SET embedding = $1 WHERE id = 2', ['[4,5,6]']);
  equal((await client.query('SELECT embedding FROM item WHERE id = 2')).rows[0].embedding, [4, 5, 6], 'update');

  await client.query('CREATE TABLE bulk (id int, v vector(8)); CREATE INDEX ON bulk USING hnsw (v vector_cosine_ops)');
  const data = Array.from({ length: 2000 }, (_, i) => Array.from({ length: 8 }, (_, j) => Math.fround(Math.sin(i * 7 + j * j + 1))));
  await client.query('INSERT INTO bulk SELECT * FROM unnest($1::int[], $2::vector[])',
    [data.map((_, i) => i), data.map((v) => pgvector.toSql(v))]);
  const found = await client.query('SELECT id FROM bulk ORDER BY v <=> $1 LIMIT 1', [pgvector.toSql(data[777])]);
  equal(found.rows[0].id, 777, 'bulk insert by an array of vectors');

  const text = 'SELECT $1::vector v, $2::halfvec h, $3::sparsevec s, $4::bit(19) b';
  const back = (await client.query(text, [pgvector.toSql(extreme32), pgvector.toSql(extreme16), pgvector.toSql(extremeSparse), bits19])).rows[0];
  equalExtreme(back.v, back.h, back.s, back.b, ' by text');
  // A Buffer is sent as it is, in the server's binary form. Results are read as
  // text always, so the server tells what it has.
  const vector = Buffer.alloc(4 + 4 * (extreme32.length + 1));
  vector.writeInt16BE(extreme32.length + 1);
  [...extreme32, -0].forEach((x, i) => vector.writeFloatBE(x, 4 + 4 * i));
  const half = Buffer.from('0005' + '0000' + '7bff' + 'fbff' + '0001' + '8000' + '0400', 'hex');
  const sparseBytes = Buffer.from('000003e8' + '00000002' + '00000000' + '00000000' + '000003e7' + '00000001' + 'ff7fffff', 'hex');
  const bits = Buffer.from('00000013' + 'b71ea0', 'hex');
  const sent = [vector, half, sparseBytes, bits];
  await client.query('CREATE TABLE sent (v vector, h halfvec, s sparsevec, b bit(19))');
  await client.query('INSERT INTO sent VALUES ($1, $2, $3, $4)', sent);
  const kept = (await client.query(`SELECT encode(vector_send(v), 'hex') v, encode(halfvec_send(h), 'hex') h,
    encode(sparsevec_send(s), 'hex') s, encode(bit_send(b), 'hex') b FROM sent`)).rows[0];
  equal([kept.v, kept.h, kept.s, kept.b], sent.map((x) => x.toString('hex')), 'each type bit for bit by binary');
  await fails(() => client.query('SELECT $1::vector', [Buffer.from('0001' + '0001' + '00000000', 'hex')]), '22000',
    'expected unused to be 0, not 1', 'bad binary');

  const put = (v) => client.query('INSERT INTO item (embedding) VALUES ($1)', [v]);
  await fails(() => put('[1,2]'), '22000', 'expected 3 dimensions, not 2', 'wrong dimension');
  await fails(() => put('[1,2,NaN]'), '22000', 'NaN not allowed in vector', 'NaN');
  await fails(() => put(pgvector.toSql([1, 2, NaN])), '22P02', 'invalid input syntax for type vector', 'NaN as JSON');
  await fails(() => put('[1,2,3'), '22P02', 'invalid input syntax for type vector', 'bad text');
  await fails(() => client.query('SELECT embedding <-> $1 FROM item', ['[1]']), '22000',
    'different vector dimensions 3 and 1', 'dimensions of a query');
  await put(null);
  ok(true, 'NULL is stored');
  await client.end();

  const other = new pg.Client({ connectionString: url + '_schemas' });
  await other.connect();
  await other.query('CREATE SCHEMA ext; CREATE SCHEMA one; CREATE EXTENSION vector SCHEMA ext; SET search_path = one, ext');
  await pgvector.registerTypes(other);
  await other.query('CREATE TABLE t (v vector(2)); CREATE INDEX ON t USING hnsw (v vector_l2_ops)');
  await other.query('INSERT INTO t VALUES ($1)', ['[1,2]']);
  equal((await other.query('SELECT v, v <-> $1 AS d FROM t', ['[1,2]'])).rows, [{ v: [1, 2], d: 0 }],
    'extension in another schema');
  await other.end();
});
