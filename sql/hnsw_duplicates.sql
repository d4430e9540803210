-- Rows with equal vectors share a vertex; updates that leave the vector join it.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

-- Ten thousand equal rows: built, built in parallel, inserted; with others around.
CREATE TABLE d (id int, v vector(3));
INSERT INTO d SELECT i, '[1,2,3]' FROM generate_series(1, 10000) i;
INSERT INTO d SELECT 10000 + i, format('[%s,%s,1]', i % 10, i / 10)::vector FROM generate_series(1, 100) i;
CREATE INDEX d_i ON d USING hnsw (v vector_l2_ops);
SET enable_seqscan = off;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
-- Equals come together, before others.
SELECT count(DISTINCT id), max(d) FROM (SELECT id, v <-> '[1,2,3]' AS d FROM d ORDER BY v <-> '[1,2,3]' LIMIT 10000) s;
SELECT round((v <-> '[1,2,3]')::numeric, 3) AS d FROM (SELECT v FROM d ORDER BY v <-> '[1,2,3]' LIMIT 10003) s
WHERE v <> '[1,2,3]' ORDER BY d;
SET hnsw.iterative_scan = off;
SELECT count(*) >= 10000 AS all_equals FROM (SELECT id FROM d ORDER BY v <-> '[1,2,3]') s;
RESET hnsw.iterative_scan;
-- The index has hardly more than a TID for each of them.
SELECT pg_relation_size('d_i') < 200 * 1024 AS small;
SELECT vr_test.faults('d_i');
DROP INDEX d_i;
CREATE INDEX d_i ON d USING hnsw (v vector_l2_ops) WITH (storage = plain);
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
SELECT vr_test.faults('d_i');
DROP INDEX d_i;
SET min_parallel_table_scan_size = 0;
ALTER TABLE d SET (parallel_workers = 2);
CREATE INDEX d_i ON d USING hnsw (v vector_l2_ops);
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
SELECT vr_test.faults('d_i');
-- Memory for few of them.
SET client_min_messages = warning;
SET maintenance_work_mem = '1MB';
REINDEX INDEX d_i;
RESET maintenance_work_mem;
RESET client_min_messages;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
SELECT vr_test.faults('d_i');
TRUNCATE d;
INSERT INTO d SELECT i, '[1,2,3]' FROM generate_series(1, 3000) i;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
DELETE FROM d WHERE id % 3 = 0;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
VACUUM d;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
SELECT vr_test.faults('d_i');
INSERT INTO d SELECT i, '[1,2,3]' FROM generate_series(3001, 4000) i;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
DELETE FROM d;
VACUUM d;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
INSERT INTO d SELECT i, '[1,2,3]' FROM generate_series(1, 100) i;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,2,3]''');
SELECT vr_test.faults('d_i');
DROP TABLE d;

-- Equal in the index means equal in every bit, not merely to its precision.
CREATE TABLE d (id int, v vector(2));
CREATE INDEX d_i ON d USING hnsw (v vector_l2_ops);
INSERT INTO d SELECT i, format('[%s,1]', 1 + i * 1e-7)::vector FROM generate_series(0, 99) i;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,1]''');
SELECT id FROM d ORDER BY v <-> '[1,1]' LIMIT 3;
INSERT INTO d VALUES (100, '[0,1]'), (101, '[-0,1]');
SELECT count(*) FROM (SELECT id FROM d ORDER BY v <-> '[0,1]' LIMIT 2) s;
DROP TABLE d;

-- Of equal direction, under cosine: all at the same distance, none lost.
CREATE TABLE d (id int, v vector(3));
CREATE INDEX d_i ON d USING hnsw (v vector_cosine_ops);
INSERT INTO d SELECT i, format('[%s,%s,%s]', i, 2 * i, 3 * i)::vector FROM generate_series(1, 1000) i;
SELECT vr_test.every_row('d', 'v', '<=>', '''[1,2,3]''');
SELECT count(*) FROM (SELECT v <=> '[1,2,3]' AS d FROM d ORDER BY v <=> '[1,2,3]' LIMIT 500) s WHERE d < 1e-6;
SELECT vr_test.faults('d_i');
DROP TABLE d;

-- All kinds of the generator that repeat themselves.
CREATE TABLE d (id int, v vector(8));
CREATE INDEX d_l2 ON d USING hnsw (v vector_l2_ops);
CREATE INDEX d_ip ON d USING hnsw (v vector_ip_ops);
CREATE INDEX d_cosine ON d USING hnsw (v vector_cosine_ops);
CREATE INDEX d_l1 ON d USING hnsw (v vector_l1_ops);
INSERT INTO d SELECT id, v FROM vr_test.vectors('duplicates', 500, 8, 51);
INSERT INTO d SELECT 500 + id, v FROM vr_test.vectors('ties', 500, 8, 52);
INSERT INTO d SELECT 1000 + id, v FROM vr_test.vectors('zeros', 500, 8, 53);
SELECT vr_test.every_row('d', 'v', '<->', '''[1,1,1,1,1,1,1,1]'''), vr_test.every_row('d', 'v', '<#>', '''[1,1,1,1,1,1,1,1]'''),
	vr_test.every_row('d', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''', 'vector_norm(v) = 0'), vr_test.every_row('d', 'v', '<+>', '''[1,1,1,1,1,1,1,1]''');
REINDEX TABLE d;
SELECT vr_test.every_row('d', 'v', '<->', '''[1,1,1,1,1,1,1,1]'''), vr_test.every_row('d', 'v', '<#>', '''[1,1,1,1,1,1,1,1]'''),
	vr_test.every_row('d', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''', 'vector_norm(v) = 0'), vr_test.every_row('d', 'v', '<+>', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.faults('d_l2'), vr_test.faults('d_ip'), vr_test.faults('d_cosine'), vr_test.faults('d_l1');
DROP TABLE d;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
