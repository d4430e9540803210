-- The hnsw index on sparsevec columns: every operator class, short values and
-- values longer than a record has room for.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;

CREATE TABLE t (id int, v sparsevec(3));
INSERT INTO t VALUES (1, '{}/3'), (2, '{1:1,2:2,3:3}/3'), (3, '{1:1,2:1,3:1}/3'),
	(4, NULL), (5, '{1:-1,2:-1,3:-1}/3'), (6, '{1:2,2:4,3:7}/3');

CREATE INDEX t_l2 ON t USING hnsw (v sparsevec_l2_ops);
INSERT INTO t VALUES (7, '{1:1,2:2,3:4}/3');
SELECT id, round((v <-> '{1:3,2:3,3:3}/3')::numeric, 5) AS d FROM t ORDER BY v <-> '{1:3,2:3,3:3}/3';
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <-> (SELECT NULL::sparsevec)) s;
DROP INDEX t_l2;
CREATE INDEX t_ip ON t USING hnsw (v sparsevec_ip_ops);
SELECT id, v <#> '{1:3,2:3,3:3}/3' AS d FROM t ORDER BY v <#> '{1:3,2:3,3:3}/3';
DROP INDEX t_ip;
CREATE INDEX t_cosine ON t USING hnsw (v sparsevec_cosine_ops);
SELECT id, round((v <=> '{1:1,2:2,3:3.1}/3')::numeric, 5) AS d FROM t ORDER BY v <=> '{1:1,2:2,3:3.1}/3';
INSERT INTO t VALUES (8, '{}/3');
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <=> '{}/3') s;
DROP INDEX t_cosine;
DELETE FROM t WHERE id = 8;
CREATE INDEX t_l1 ON t USING hnsw (v sparsevec_l1_ops);
SELECT id, v <+> '{1:3,2:3,3:3.5}/3' AS d FROM t ORDER BY v <+> '{1:3,2:3,3:3.5}/3';
SELECT id FROM t ORDER BY v <+> '{}/2';
CREATE INDEX ON t USING hnsw (v sparsevec_l2_ops) WITH (storage = quantised);
DROP TABLE t;

-- Up to 1000 elements, in a space of a billion dimensions.
CREATE FUNCTION sparse(seed int, nnz int) RETURNS sparsevec
LANGUAGE sql IMMUTABLE
RETURN (SELECT '{' || string_agg(i * 900000 + seed % 7 * 10000 + 1 || ':'
		|| round((vr_test.rnd(seed, i) + 0.01)::numeric, 6), ',' ORDER BY i)
	|| '}/1000000000' FROM generate_series(0, nnz - 1) i)::sparsevec;
CREATE TABLE t (id int, v sparsevec(1000000000));
INSERT INTO t VALUES (1, sparse(1, 1000));
INSERT INTO t VALUES (2, sparse(1, 1001));
CREATE INDEX t_l2 ON t USING hnsw (v sparsevec_l2_ops);
DELETE FROM t WHERE id = 2;
VACUUM t;
CREATE INDEX t_l2 ON t USING hnsw (v sparsevec_l2_ops);
INSERT INTO t VALUES (2, sparse(1, 1001));
INSERT INTO t SELECT i, sparse(i, i) FROM generate_series(3, 60) i;
SELECT vr_test.every_row('t', 'v', '<->', 'sparse(1, 1000)');
SELECT id FROM t ORDER BY v <-> sparse(20, 20) LIMIT 1;
SELECT id FROM t ORDER BY v <-> sparse(1, 1000) LIMIT 1;
SELECT vr_test.faults('t_l2');
DROP TABLE t;

-- Lengths that differ: most fit a record, the longest go to pages of theirs,
-- in a build and in insertions.
CREATE TABLE t (id int, v sparsevec(1000000000));
INSERT INTO t SELECT i, sparse(i, CASE WHEN i % 100 = 0 THEN 900 ELSE 5 + i % 40 END)
	FROM generate_series(1, 1000) i;
CREATE INDEX t_l2 ON t USING hnsw (v sparsevec_l2_ops);
INSERT INTO t SELECT i, sparse(i, CASE WHEN i % 10 = 0 THEN 1000 ELSE 5 END)
	FROM generate_series(1001, 1050) i;
SELECT vr_test.every_row('t', 'v', '<->', 'sparse(7, 12)');
SELECT vr_test.in_order('t', 'v', '<->', 'sparse(7, 12)', 100);
SELECT (SELECT id FROM t ORDER BY v <-> sparse(i, CASE WHEN i % 100 = 0 THEN 900 ELSE 5 + i % 40 END) LIMIT 1)
	FROM unnest('{7,8,501,999}'::int[]) i;
SELECT vr_test.faults('t_l2');
DROP TABLE t;

-- 600 rows: every class.
CREATE TABLE d (id int, v sparsevec(24));
INSERT INTO d SELECT id, v::vector::sparsevec FROM vr_test.vectors('ties', 600, 24, 13);
CREATE TABLE q (v sparsevec(24));
INSERT INTO q SELECT v::vector::sparsevec FROM vr_test.vectors('ties', 630, 24, 13) WHERE id > 600;
CREATE TABLE report (class text, how text, every_row text, in_order text,
	recall float8);

CREATE PROCEDURE try(class text, op text, how text)
LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE format('CREATE TABLE w (id int, v sparsevec(24));'
				   'INSERT INTO w SELECT * FROM d WHERE %L = %L;'
				   'CREATE INDEX w_i ON w USING hnsw (v %I);'
				   'INSERT INTO w SELECT * FROM d WHERE %L = %L',
				   how, 'built', class, how, 'inserted');
	INSERT INTO report SELECT class, how,
		vr_test.every_row('w', 'v', op, '(SELECT v FROM d LIMIT 1)'),
		vr_test.in_order('w', 'v', op, '(SELECT v FROM d LIMIT 1)', 100),
		vr_test.recall('w', 'v', op, 10, 'SELECT v FROM q');
	IF EXISTS (SELECT vr_test.faults('w_i')) THEN
		RAISE WARNING '%', (SELECT array_agg(f) FROM vr_test.faults('w_i', 0) f);
	END IF;
	DROP TABLE w;
END
$$;

DO $$
DECLARE
	c record;
BEGIN
	FOR c IN
		SELECT * FROM (VALUES ('sparsevec_l2_ops', '<->'), ('sparsevec_ip_ops', '<#>'),
			('sparsevec_cosine_ops', '<=>'), ('sparsevec_l1_ops', '<+>')) a(class, op),
			(VALUES ('built'), ('inserted')) c(how) LOOP
		CALL try(c.class, c.op, c.how);
	END LOOP;
END
$$;
SELECT class, how, every_row, in_order, recall >= 0.9 AS good,
	CASE WHEN recall < 0.9 THEN recall END AS recall
FROM report ORDER BY class COLLATE "C", how COLLATE "C";

DROP TABLE d, q, report;
DROP PROCEDURE try;
DROP FUNCTION sparse;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
