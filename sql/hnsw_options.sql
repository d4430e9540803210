-- Options of an hnsw index and settings of a search.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

-- What a user sees who has not changed anything.
SELECT '[1]'::vector;
SHOW hnsw.ef_search;
SHOW hnsw.iterative_scan;
SHOW hnsw.max_scan_tuples;
SHOW hnsw.scan_mem_multiplier;

-- Every option does what a search should: all rows, in order, the nearest.
CREATE TABLE d (id int, v vector(40), h halfvec(40));
INSERT INTO d SELECT id, v, v FROM vr_test.vectors('clustered', 400, 40, 21);
CREATE TABLE q (v vector(40));
INSERT INTO q SELECT v FROM vr_test.vectors('clustered', 420, 40, 21) WHERE id > 400;
-- Under valgrind fewer queries.
\getenv few VR_FEW
\if :{?few}
DELETE FROM q WHERE ctid > '(0,8)';
\endif
CREATE TABLE report (n serial, options text, every_row text, in_order text, recall float8);
CREATE PROCEDURE try(options text)
LANGUAGE plpgsql
AS $$
BEGIN
	CREATE TABLE w (LIKE d);
	INSERT INTO w SELECT * FROM d WHERE id % 3 > 0;
	EXECUTE format('CREATE INDEX w_i ON w USING hnsw (v vector_l2_ops) WITH (%s)', options);
	INSERT INTO w SELECT * FROM d WHERE id % 3 = 0;
	INSERT INTO report (options, every_row, in_order, recall) SELECT options,
		vr_test.every_row('w', 'v', '<->', '(SELECT v FROM d LIMIT 1)'),
		vr_test.in_order('w', 'v', '<->', '(SELECT v FROM d LIMIT 1)', 50),
		vr_test.recall('w', 'v', '<->', 10, 'SELECT v FROM q');
	IF EXISTS (SELECT vr_test.faults('w_i')) THEN
		RAISE WARNING '%', (SELECT array_agg(f) FROM vr_test.faults('w_i', 0) f);
	END IF;
	DROP TABLE w;
END
$$;
DO $$
DECLARE
	o text;
BEGIN
	FOREACH o IN ARRAY '{"m = 2, ef_construction = 4","m = 2, ef_construction = 4, storage = plain",
		"m = 6, ef_construction = 20","m = 6, ef_construction = 20, storage = plain","m = 17, ef_construction = 34","m = 48, ef_construction = 100",
		"m = 100, ef_construction = 200","m = 100, ef_construction = 200, storage = plain",
		"ef_construction = 1000","precision = f32","precision = f16","precision = int8",
		"precision = int8x2","precision = int4","precision = int2","code_bits = 16","code_bits = 48",
		"code_bits = 5000","precision = f32, code_bits = 64","storage = quantized","storage = lean","seed = 1"}'::text[] LOOP
		CALL try(o);
	END LOOP;
END
$$;
SELECT options, every_row, in_order,
	CASE WHEN recall >= 0.95 THEN 'at least 0.95' WHEN recall >= 0.8 THEN 'at least 0.8'
		WHEN recall >= 0.3 THEN 'at least 0.3' ELSE recall::text END AS recall
FROM report ORDER BY n;

-- Levels and rotation are drawn from the seed: equal seeds, equal indexes.
SET max_parallel_maintenance_workers = 0;
CREATE INDEX d_a ON d USING hnsw (v vector_l2_ops) WITH (seed = 5);
CREATE INDEX d_b ON d USING hnsw (h halfvec_l2_ops) WITH (seed = 5, storage = plain);
CREATE FUNCTION nearest(operand text, query text) RETURNS int[]
LANGUAGE plpgsql
SET enable_seqscan = off
SET hnsw.iterative_scan = off
SET hnsw.ef_search = 3
AS $$
DECLARE
	answer int[];
BEGIN
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM d ORDER BY %s <-> %s LIMIT 20) s', operand, query)
		INTO answer;
	RETURN answer;
END
$$;
CREATE TABLE answers AS
	SELECT 1 AS build, v AS query, nearest('v', quote_literal(v)) AS a, nearest('h', quote_literal(v)) AS b FROM q;
REINDEX TABLE d;
INSERT INTO answers
	SELECT 2, v, nearest('v', quote_literal(v)), nearest('h', quote_literal(v)) FROM q;
SELECT count(DISTINCT (query, a, b)) = count(DISTINCT query) AS same FROM answers;
RESET max_parallel_maintenance_workers;

-- A wider search costs more and finds more; the width is the number of rows
-- that come at most without iterative scans.
SET enable_seqscan = off;
SET hnsw.iterative_scan = off;
SELECT (SELECT set_config('hnsw.ef_search', ef::text, false))::int AS ef_search,
	(SELECT count(*) FROM (SELECT id FROM d WHERE ef > 0 ORDER BY v <-> (SELECT v FROM q LIMIT 1)) s) AS rows
FROM unnest('{1,2,10,100,399,400,10000}'::int[]) ef;
-- Of a prepared statement, the setting of the moment counts.
PREPARE near AS SELECT id FROM d ORDER BY v <-> (SELECT v FROM q LIMIT 1);
SET plan_cache_mode = force_generic_plan;
SET hnsw.ef_search = 3;
EXECUTE near;
SET hnsw.ef_search = 2;
EXECUTE near;
RESET plan_cache_mode;
RESET hnsw.ef_search;
-- And of a function, its own.
CREATE FUNCTION five() RETURNS bigint LANGUAGE sql SET hnsw.ef_search = 5
RETURN (SELECT count(*) FROM (SELECT id FROM d ORDER BY v <-> (SELECT v FROM q LIMIT 1)) s);
SELECT five();
DROP FUNCTION five, nearest;

-- A parallel build, one in little memory, and both.
CREATE TABLE big (id int, v vector(40));
INSERT INTO big SELECT id, v FROM vr_test.vectors('clustered', 3000, 40, 22);
TRUNCATE q;
INSERT INTO q SELECT v FROM vr_test.vectors('clustered', 3030, 40, 22) WHERE id > 3000;
\if :{?few}
DELETE FROM q WHERE ctid > '(0,8)';
\endif
ALTER TABLE big SET (parallel_workers = 2);
SET max_parallel_maintenance_workers = 2;
SET min_parallel_table_scan_size = 0;
CREATE INDEX big_i ON big USING hnsw (v vector_l2_ops);
SELECT vr_test.every_row('big', 'v', '<->', '(SELECT v FROM q LIMIT 1)');
SELECT vr_test.recall('big', 'v', '<->', 10, 'SELECT v FROM q') >= 0.95 AS recall;
SELECT vr_test.faults('big_i');
-- The NOTICE says how many rows fit: that will change with every release.
SET client_min_messages = warning;
SET maintenance_work_mem = '1MB';
REINDEX INDEX big_i;
SELECT vr_test.every_row('big', 'v', '<->', '(SELECT v FROM q LIMIT 1)');
SELECT vr_test.recall('big', 'v', '<->', 10, 'SELECT v FROM q') >= 0.95 AS recall;
SELECT vr_test.faults('big_i');
SET max_parallel_maintenance_workers = 0;
REINDEX INDEX big_i;
SELECT vr_test.every_row('big', 'v', '<->', '(SELECT v FROM q LIMIT 1)');
SELECT vr_test.recall('big', 'v', '<->', 10, 'SELECT v FROM q') >= 0.95 AS recall;
SELECT vr_test.faults('big_i');
DROP INDEX big_i;
CREATE INDEX big_i ON big USING hnsw (v vector_l2_ops) WITH (storage = plain);
SELECT vr_test.every_row('big', 'v', '<->', '(SELECT v FROM q LIMIT 1)');
SELECT vr_test.recall('big', 'v', '<->', 10, 'SELECT v FROM q') >= 0.95 AS recall;
SELECT vr_test.faults('big_i');
RESET maintenance_work_mem;

DROP TABLE d, q, report, answers, big;
DROP PROCEDURE try;
DROP SCHEMA vr_test CASCADE;
