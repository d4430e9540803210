-- The hnsw index on vector columns: every operator class, both storage forms.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;

-- A few rows by hand, each metric: what the operator says, nearest first, and
-- NULL in none of them.
CREATE TABLE t (id int, v vector(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'),
	(4, NULL), (5, '[-1,-1,-1]'), (6, '[2,4,7]');

CREATE INDEX t_l2 ON t USING hnsw (v vector_l2_ops);
SELECT id, round((v <-> '[3,3,3]')::numeric, 5) AS d FROM t ORDER BY v <-> '[3,3,3]';
INSERT INTO t VALUES (7, '[1,2,4]');
SELECT id FROM t ORDER BY v <-> '[3,3,3]';
-- The index has no row without a value; a sequential scan does.
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <-> (SELECT NULL::vector)) s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <-> NULL LIMIT 3) s;
SET enable_seqscan = on;
SELECT count(*) FROM t;
SET enable_seqscan = off;
DROP INDEX t_l2;

CREATE INDEX t_ip ON t USING hnsw (v vector_ip_ops);
SELECT id, v <#> '[3,3,3]' AS d FROM t ORDER BY v <#> '[3,3,3]';
SELECT id, v <#> '[-1,0,0]' AS d FROM t ORDER BY v <#> '[-1,0,0]' LIMIT 2;
DROP INDEX t_ip;

-- Zero has no direction, so it is not indexed; nor can it be a query.
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops);
SELECT id, round((v <=> '[1,2,3.1]')::numeric, 4) AS d FROM t ORDER BY v <=> '[1,2,3.1]';
INSERT INTO t VALUES (8, '[0,0,0]');
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <=> '[1,2,3]') s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <=> '[0,0,0]') s;
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <=> (SELECT NULL::vector)) s;
DROP INDEX t_cosine;
SELECT count(*) FROM t WHERE v = '[0,0,0]';

CREATE INDEX t_l1 ON t USING hnsw (v vector_l1_ops);
SELECT id, round((v <+> '[3,3,3.6]')::numeric, 5) AS d FROM t ORDER BY v <+> '[3,3,3.6]';
DROP INDEX t_l1;
DELETE FROM t WHERE id > 6;

CREATE INDEX t_l2 ON t USING hnsw (v vector_l2_ops) WITH (storage = plain);
SELECT id FROM t ORDER BY v <-> '[3,3,3]';
CREATE INDEX t_ip ON t USING hnsw (v vector_ip_ops) WITH (storage = plain);
SELECT id FROM t ORDER BY v <#> '[3,3,3]';
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops) WITH (storage = plain);
SELECT id FROM t ORDER BY v <=> '[1,2,3.1]';
INSERT INTO t VALUES (7, '[1,2,4]');
SELECT id FROM t ORDER BY v <-> '[3,3,3]';
SELECT id FROM t ORDER BY v <#> '[3,3,3]';
SELECT id, round((v <=> '[1,2,3.1]')::numeric, 4) AS d FROM t ORDER BY v <=> '[1,2,3.1]';

-- Another dimension than the column's is an error of the operator, or of the
-- column, before the index sees it.
SELECT id FROM t ORDER BY v <-> '[1,2]';
INSERT INTO t VALUES (9, '[1,2]');
-- The same index, emptied and filled again.
TRUNCATE t;
SELECT id FROM t ORDER BY v <-> '[3,3,3]';
INSERT INTO t VALUES (1, '[1,2,3]'), (2, '[0,0,1]');
SELECT id FROM t ORDER BY v <-> '[3,3,3]';
SELECT vr_test.faults('t_l2'), vr_test.faults('t_ip'), vr_test.faults('t_cosine');
DROP TABLE t;

-- 600 rows: every class and form returns each row once, the ten nearest are
-- the true ones, strict order is one; built, and inserted one by one.
CREATE TABLE d (id int, v vector(24));
INSERT INTO d SELECT id, v FROM vr_test.vectors('clustered', 600, 24, 11);
CREATE TABLE q (v vector(24));
INSERT INTO q SELECT v FROM vr_test.vectors('clustered', 630, 24, 11) WHERE id > 600;
CREATE TABLE report (class text, storage text, how text, every_row text,
	in_order text, recall float8);

CREATE PROCEDURE try(class text, op text, storage text, how text)
LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE format('CREATE TABLE w (id int, v vector(24));'
				   'INSERT INTO w SELECT * FROM d WHERE %L = %L;'
				   'CREATE INDEX w_i ON w USING hnsw (v %I) WITH (storage = %s);'
				   'INSERT INTO w SELECT * FROM d WHERE %L = %L',
				   how, 'built', class, storage, how, 'inserted');
	INSERT INTO report SELECT class, storage, how,
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
		SELECT * FROM (VALUES ('vector_l2_ops', '<->'), ('vector_ip_ops', '<#>'),
			('vector_cosine_ops', '<=>'), ('vector_l1_ops', '<+>')) a(class, op),
			(VALUES ('quantised'), ('plain')) b(storage),
			(VALUES ('built'), ('inserted')) c(how)
		WHERE class <> 'vector_l1_ops' OR storage = 'plain' LOOP
		CALL try(c.class, c.op, c.storage, c.how);
	END LOOP;
END
$$;
SELECT class, storage, how, every_row, in_order, recall >= 0.95 AS good,
	CASE WHEN recall < 0.95 THEN recall END AS recall
FROM report ORDER BY class COLLATE "C", storage COLLATE "C", how COLLATE "C";

-- From 1 dimension to 16000.
CREATE PROCEDURE dimensions(dim int, class text, op text, storage text)
LANGUAGE plpgsql
AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('CREATE TABLE w (id int, v vector(%s));'
				   'CREATE INDEX w_i ON w USING hnsw (v %I) WITH (storage = %s)', dim, class, storage);
	EXECUTE 'INSERT INTO w SELECT id, v FROM vr_test.vectors(''uniform'', $1, $2, 3) WHERE id % 2 = 0'
		USING CASE WHEN dim > 1000 THEN 8 ELSE 100 END, dim;
	REINDEX INDEX w_i;
	EXECUTE 'INSERT INTO w SELECT id, v FROM vr_test.vectors(''uniform'', $1, $2, 3) WHERE id % 2 = 1'
		USING CASE WHEN dim > 1000 THEN 8 ELSE 100 END, dim;
	answer := vr_test.every_row('w', 'v', op, '(SELECT v FROM w WHERE id = 2)');
	EXECUTE format('SELECT %L || (array_agg(id))[1] FROM (SELECT id FROM w'
		' ORDER BY v %s (SELECT v FROM w WHERE id = 5) LIMIT 1) s', answer || ', nearest to row 5: ', op)
		INTO answer;
	RAISE INFO '% % %: %', dim, class, storage, answer;
	IF EXISTS (SELECT vr_test.faults('w_i')) THEN
		RAISE WARNING '%', (SELECT array_agg(f) FROM vr_test.faults('w_i', 0) f);
	END IF;
	DROP TABLE w;
END
$$;
CALL dimensions(1, 'vector_l2_ops', '<->', 'quantised');
CALL dimensions(1, 'vector_l2_ops', '<->', 'plain');
CALL dimensions(2, 'vector_l2_ops', '<->', 'quantised');
CALL dimensions(2, 'vector_l2_ops', '<->', 'plain');
CALL dimensions(3, 'vector_cosine_ops', '<=>', 'quantised');
CALL dimensions(3, 'vector_cosine_ops', '<=>', 'plain');
CALL dimensions(1999, 'vector_l2_ops', '<->', 'plain');
CALL dimensions(2001, 'vector_l2_ops', '<->', 'quantised');
CALL dimensions(4000, 'vector_l1_ops', '<+>', 'plain');
CALL dimensions(16000, 'vector_l2_ops', '<->', 'auto');
CALL dimensions(16000, 'vector_cosine_ops', '<=>', 'plain');
CALL dimensions(16000, 'vector_l1_ops', '<+>', 'auto');

DROP TABLE d, q, report;
DROP PROCEDURE try, dimensions;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
