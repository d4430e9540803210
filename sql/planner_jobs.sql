-- Jobs in planned batches
SET vecrecall.audit = off;
SELECT vecrecall.planner_reset(NULL, NULL) IS NOT NULL AS reset;
CREATE TABLE planner_src (id int PRIMARY KEY, name text, v vector(3));
INSERT INTO planner_src SELECT i, 'n' || i, format('[%s,0,1]', i)::vector FROM generate_series(1, 5000) i;
CREATE TABLE planner_dst (id int, name text, v vector(3));
CALL vecrecall.run_batches('insert', 'dst', 'SELECT id, name, v FROM planner_src',
	'INSERT INTO planner_dst SELECT * FROM unnest($1, $2, $3)', dim => 3,
	limits => '{"max_batch": 1000}', seed => 1);
SELECT count(*), count(DISTINCT id), sum(id), max(v::text) FROM planner_dst;
SELECT job, op, target, state, message, items, batches >= 5 AS batches, batch_size <= 1000 AS capped,
	last_key, pid, rows_per_s > 0 AS rate FROM vecrecall.batch_progress;
SELECT count(*) = (SELECT batches FROM vecrecall.batch_job) AS all_recorded, bool_and(ok) AS ok,
	sum(rows), bool_and(mem_bytes > 0) AS memory FROM vecrecall.batch_history WHERE target = 'dst';
-- Goes on by the key: only what is new
INSERT INTO planner_src SELECT i, 'n' || i, '[1,2,3]' FROM generate_series(5001, 5003) i;
CALL vecrecall.run_batches('insert', 'dst', 'SELECT id, name, v FROM planner_src',
	'INSERT INTO planner_dst SELECT * FROM unnest($1, $2, $3)', dim => 3);
SELECT count(*), count(DISTINCT id) FROM planner_dst;
-- A failing batch ends the job where it was; mended, it goes on
TRUNCATE planner_dst;
ALTER TABLE planner_dst ADD CHECK (id <> 3000);
CALL vecrecall.run_batches('insert', 'dst', 'SELECT id, name, v FROM planner_src',
	'INSERT INTO planner_dst SELECT * FROM unnest($1, $2, $3)', dim => 3, job => 'mend',
	limits => '{"max_batch": 500}', explore => false);
SELECT state, message, items = (SELECT count(*) FROM planner_dst) AS consistent, items < 3000 AS before,
	last_key::int = (SELECT max(id) FROM planner_dst) AS key FROM vecrecall.batch_progress WHERE job = 'mend';
SELECT ok, sqlstate FROM vecrecall.batch_history ORDER BY id DESC LIMIT 1;
ALTER TABLE planner_dst DROP CONSTRAINT planner_dst_id_check;
CALL vecrecall.run_batches('insert', 'dst', 'SELECT id, name, v FROM planner_src',
	'INSERT INTO planner_dst SELECT * FROM unnest($1, $2, $3)', dim => 3, job => 'mend') \g /dev/null
SELECT count(*), count(DISTINCT id) FROM planner_dst;
SELECT state, message, items FROM vecrecall.batch_progress WHERE job = 'mend';
-- Goes on by the key in a session that writes and reads dates in another way
CREATE TABLE planner_days (day date PRIMARY KEY);
INSERT INTO planner_days SELECT '2024-01-01'::date + i FROM generate_series(0, 99) i;
CREATE TABLE planner_seen (day date CHECK (day <> '2024-02-25'));
SET datestyle = 'SQL, DMY';
CALL vecrecall.run_batches('insert', 'days', 'SELECT day FROM planner_days',
	'INSERT INTO planner_seen SELECT * FROM unnest($1)', limits => '{"max_batch": 7}', explore => false);
RESET datestyle;
ALTER TABLE planner_seen DROP CONSTRAINT planner_seen_day_check;
CALL vecrecall.run_batches('insert', 'days', 'SELECT day FROM planner_days',
	'INSERT INTO planner_seen SELECT * FROM unnest($1)', limits => '{"max_batch": 7}', explore => false) \g /dev/null
SELECT count(*), count(DISTINCT day) FROM planner_seen;
DROP TABLE planner_days, planner_seen;
-- A batch that is too big is tried again smaller
CREATE FUNCTION planner_small(int[]) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF cardinality($1) > 40 THEN
		RAISE 'too many' USING ERRCODE = '54000';
	END IF;
	RETURN cardinality($1);
END $$;
CALL vecrecall.run_batches('embed_http', 'small', 'SELECT id FROM planner_src WHERE id <= 200',
	'SELECT planner_small($1)', dim => 3, explore => false);
SELECT state, items, batch_size <= 40 AS small FROM vecrecall.batch_progress WHERE job = 'embed_http/small';
SELECT failures > 0 AS failed, ceiling_batch <= 40 AS ceiling FROM vecrecall.planner_models WHERE target = 'small';
-- Names of columns do not matter, nor that there are any
CREATE TABLE planner_names (n int PRIMARY KEY, item int, "c1" int);
INSERT INTO planner_names SELECT i, i, i FROM generate_series(1, 20) i;
CREATE TABLE planner_seen (a int, b int, c int, d int, e int);
CALL vecrecall.run_batches('insert', 'names', 'SELECT n, item, c1, 1, 2 FROM planner_names',
	'INSERT INTO planner_seen SELECT * FROM unnest($1, $2, $3, $4, $5)', limits => '{"max_batch": 7}');
SELECT count(*), count(DISTINCT a), bool_and(a = b AND b = c AND d = 1 AND e = 2) FROM planner_seen;
-- What fails before there is a batch, or when it is committed, ends the job as well
CALL vecrecall.run_batches('insert', 'names', 'SELECT n FROM planner_names', 'SELECT $1',
	job => 'no memory', resources => '{"available_memory_mb": 0}');
CREATE TABLE planner_once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO planner_once VALUES (10);
CALL vecrecall.run_batches('insert', 'names', 'SELECT n FROM planner_names',
	'INSERT INTO planner_once SELECT unnest($1)', job => 'deferred', limits => '{"max_batch": 4}', explore => false);
SELECT job, state, message, last_key, pid FROM vecrecall.batch_progress
WHERE job IN ('no memory', 'deferred') ORDER BY job;
SELECT count(*), max(n) FROM planner_once;
SELECT ok, batch_size, rows, sqlstate FROM vecrecall.batch_history WHERE target = 'names' ORDER BY id DESC LIMIT 3;
DELETE FROM planner_once WHERE n = 10;
CALL vecrecall.run_batches('insert', 'names', 'SELECT n FROM planner_names',
	'INSERT INTO planner_once SELECT unnest($1)', job => 'deferred', limits => '{"max_batch": 4}', explore => false) \g /dev/null
SELECT count(*), count(DISTINCT n) FROM planner_once;
DROP TABLE planner_names, planner_seen, planner_once;
-- Keys of other types
CREATE TABLE planner_keys (k text COLLATE "C", at timestamptz);
INSERT INTO planner_keys SELECT 'key ' || i, '2020-01-01'::timestamptz + i * interval '1 day' FROM generate_series(1, 300) i;
CREATE TABLE planner_seen (k text, at timestamptz);
CALL vecrecall.run_batches('insert', 'text', 'SELECT k, at FROM planner_keys',
	'INSERT INTO planner_seen SELECT * FROM unnest($1, $2)', limits => '{"max_batch": 7}');
CALL vecrecall.run_batches('insert', 'time', 'SELECT at, k FROM planner_keys',
	'INSERT INTO planner_seen SELECT b, a FROM unnest($1, $2) u(a, b)', limits => '{"max_batch": 50}');
SELECT count(*), count(DISTINCT k), count(DISTINCT at) FROM planner_seen;
-- Nothing to do
CALL vecrecall.run_batches('insert', 'none', 'SELECT id FROM planner_src WHERE false', 'SELECT $1');

-- Bad input
CALL vecrecall.run_batches('bake', 't', 'SELECT 1 AS a', 'SELECT $1');
CALL vecrecall.run_batches('index_build', 't', 'SELECT 1 AS a', 'SELECT $1');
CALL vecrecall.run_batches('insert', NULL, 'SELECT 1 AS a', 'SELECT $1');
CALL vecrecall.run_batches('insert', 't', 'SELECT', 'SELECT $1');
CALL vecrecall.run_batches('insert', 't', 'SELECT 1 AS a; SELECT 2', 'SELECT $1');
CALL vecrecall.run_batches('insert', 't', 'DELETE FROM planner_src', 'SELECT $1');
CALL vecrecall.run_batches('insert', 't', 'SELECT ''{1}''::int[] AS a', 'SELECT $1');
CALL vecrecall.run_batches('insert', 't', 'SELECT point(1, 2) AS a', 'SELECT $1');
CALL vecrecall.run_batches('insert', 't', 'SELECT 1 AS a', 'SELECT $2');
CALL vecrecall.run_batches('insert', 't', 'SELECT 1 AS a', 'SELECT $1', concurrency => 0);
CALL vecrecall.run_batches('insert', 't', 'SELECT 1 AS a', 'SELECT $1', limits => '{"size": 1}');
CALL vecrecall.run_batches('insert', 'dup', 'SELECT id / 2 AS id FROM planner_src', 'SELECT $1');
CALL vecrecall.run_batches('insert', 'null', 'SELECT NULLIF(id, 4) AS id FROM planner_src', 'SELECT $1');
CALL vecrecall.run_batches('insert', 'dst', 'SELECT id FROM planner_src', 'SELECT $1');
CALL vecrecall.run_batches('insert', 'tx', 'SELECT id FROM planner_src', 'COMMIT');
BEGIN;
CALL vecrecall.run_batches('insert', 'block', 'SELECT id FROM planner_src', 'SELECT $1');
ROLLBACK;
DO $$
DECLARE
	n bigint;
BEGIN
	CALL vecrecall.run_batches('insert', 'do', 'SELECT id FROM planner_src WHERE id < 10', 'SELECT $1',
		limits => '{"max_batch": 2}', items => n);
	RAISE NOTICE '% items', n;
END $$;
SELECT job, state, items FROM vecrecall.batch_progress ORDER BY job COLLATE "C";
DROP TABLE planner_src, planner_dst, planner_keys, planner_seen;
DROP FUNCTION planner_small;
DELETE FROM vecrecall.batch_job;
SELECT vecrecall.planner_reset(NULL, NULL) > 0 AS reset;
