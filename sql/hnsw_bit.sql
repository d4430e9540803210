-- The hnsw index on bit columns.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;

CREATE TABLE t (id int, v bit(6));
INSERT INTO t VALUES (1, B'000000'), (2, B'111000'), (3, B'111111'), (4, NULL);
CREATE INDEX t_hamming ON t USING hnsw (v bit_hamming_ops);
INSERT INTO t VALUES (5, B'110000');
SELECT id, v <~> B'111110' AS d FROM t ORDER BY v <~> B'111110';
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <~> (SELECT NULL::bit)) s;
SELECT id FROM t ORDER BY v <~> B'11';
DROP INDEX t_hamming;
CREATE INDEX t_jaccard ON t USING hnsw (v bit_jaccard_ops);
INSERT INTO t VALUES (6, B'100000');
SELECT id, round((v <%> B'111110')::numeric, 5) AS d FROM t ORDER BY v <%> B'111110';
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <%> (SELECT NULL::bit)) s;
SELECT vr_test.faults('t_jaccard');
CREATE INDEX ON t USING hnsw (v bit_hamming_ops) WITH (storage = quantised);
DROP TABLE t;

-- bit varying has no fixed length.
CREATE TABLE t (v varbit(3));
CREATE INDEX ON t USING hnsw (v bit_hamming_ops);
DROP TABLE t;
CREATE TABLE t (v bit varying);
CREATE INDEX ON t USING hnsw (v bit_hamming_ops);
DROP TABLE t;

-- Vectors by their signs, which is what the class is mostly used for.
CREATE TABLE t (id int, v vector(3));
INSERT INTO t VALUES (1, '[1,1,1]'), (2, '[-1,1,1]'), (3, '[-1,-1,-1]');
CREATE INDEX t_signs ON t USING hnsw ((binary_quantize(v)::bit(3)) bit_hamming_ops);
SELECT id FROM t ORDER BY binary_quantize(v)::bit(3) <~> binary_quantize('[2,2,3]'::vector);
DROP TABLE t;

-- Lengths that are no multiple of 8, the longest, and one too long.
CREATE FUNCTION bits(n int, seed int) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg(CASE WHEN vr_test.rnd(seed, i) < 0.5 THEN '1' ELSE '0' END, '' ORDER BY i)
	FROM generate_series(1, n) i);
CREATE TABLE t (id int, v bit(1));
CREATE INDEX t_i ON t USING hnsw (v bit_hamming_ops);
INSERT INTO t SELECT i, bits(1, i)::bit(1) FROM generate_series(1, 200) i;
SELECT vr_test.every_row('t', 'v', '<~>', 'B''1''');
DROP TABLE t;
CREATE TABLE t (id int, v bit(64000));
INSERT INTO t SELECT i, bits(64000, i)::bit(64000) FROM generate_series(1, 5) i;
CREATE INDEX t_hamming ON t USING hnsw (v bit_hamming_ops);
CREATE INDEX t_jaccard ON t USING hnsw (v bit_jaccard_ops);
INSERT INTO t SELECT i, bits(64000, i)::bit(64000) FROM generate_series(6, 10) i;
SELECT vr_test.every_row('t', 'v', '<~>', '(SELECT v FROM t WHERE id = 2)');
SELECT vr_test.every_row('t', 'v', '<%>', '(SELECT v FROM t WHERE id = 7)');
SELECT id, v <~> bits(64000, 7)::bit(64000) AS d FROM t ORDER BY v <~> bits(64000, 7)::bit(64000) LIMIT 1;
SELECT vr_test.faults('t_hamming'), vr_test.faults('t_jaccard');
DROP TABLE t;
CREATE TABLE t (v bit(64001));
CREATE INDEX ON t USING hnsw (v bit_hamming_ops);
DROP TABLE t;

-- 600 rows, both classes.
CREATE TABLE d (id int, v bit(100));
INSERT INTO d SELECT id, binary_quantize(v::vector)::bit(100) FROM vr_test.vectors('lowdim', 600, 100, 14);
CREATE TABLE q (v bit(100));
INSERT INTO q SELECT binary_quantize(v::vector)::bit(100) FROM vr_test.vectors('lowdim', 630, 100, 14) WHERE id > 600;
CREATE INDEX d_hamming ON d USING hnsw (v bit_hamming_ops);
CREATE TABLE e (LIKE d);
CREATE INDEX e_jaccard ON e USING hnsw (v bit_jaccard_ops);
INSERT INTO e TABLE d;
SELECT vr_test.every_row('d', 'v', '<~>', '(SELECT v FROM d LIMIT 1)'),
	vr_test.in_order('d', 'v', '<~>', '(SELECT v FROM d LIMIT 1)', 100),
	vr_test.recall('d', 'v', '<~>', 10, 'SELECT v FROM q') >= 0.95 AS recall;
SELECT vr_test.every_row('e', 'v', '<%>', '(SELECT v FROM d LIMIT 1)'),
	vr_test.in_order('e', 'v', '<%>', '(SELECT v FROM d LIMIT 1)', 100),
	vr_test.recall('e', 'v', '<%>', 10, 'SELECT v FROM q') >= 0.95 AS recall;
SELECT vr_test.faults('d_hamming'), vr_test.faults('e_jaccard');

DROP TABLE d, e, q;
DROP FUNCTION bits;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
