-- Whichever way a search goes, it finds what the operators find: products in
-- bfloat16 where the CPU has them, in float32, by kernels; with a guess from a
-- sample, right or wrong; rows in the page and out of line.
-- Under valgrind only every eighth query is judged, from the first on.
CREATE TABLE ways_each AS SELECT 1 AS n;
\getenv few VR_FEW
\if :{?few}
UPDATE ways_each SET n = 8;
\endif
CREATE FUNCTION ways_truth(tbl regclass, op text, queries vector[], k int)
RETURNS TABLE (query_no int, rank int, key int, distance float8) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		SELECT q.no::int, r.* FROM (SELECT * FROM unnest($1) WITH ORDINALITY q(v, no), ways_each WHERE (no - 1) %% n = 0) q, LATERAL (
			SELECT (row_number() OVER (ORDER BY d, id))::int, id, d
			FROM (SELECT id, v::vector %s q.v AS d FROM %s WHERE v IS NOT NULL) x ORDER BY d, id LIMIT $2) r
		$q$, op, tbl) USING queries, k;
END $$;
-- Rows that one has and the other has not.
CREATE FUNCTION ways_differ(tbl regclass, metric text, queries vector[], k int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	op text := CASE metric WHEN 'l2' THEN '<->' WHEN 'ip' THEN '<#>' WHEN 'cosine' THEN '<=>' ELSE '<+>' END;
BEGIN
	CREATE TEMP TABLE found AS SELECT query_no, rank, e.key::int, distance
		FROM vecrecall.knn_exact(tbl, 'v', queries, k, metric) e, ways_each WHERE (query_no - 1) % n = 0;
	CREATE TEMP TABLE truth AS SELECT * FROM ways_truth(tbl, op, queries, k);
	RETURN (SELECT count(*) FROM ((TABLE found EXCEPT TABLE truth) UNION ALL (TABLE truth EXCEPT TABLE found)) x)
		+ abs((SELECT count(*) FROM found) - (SELECT count(*) FROM truth));
END $$;
CREATE FUNCTION ways_check(tbl regclass, metric text, queries vector[], k int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint := ways_differ(tbl, metric, queries, k);
BEGIN
	DROP TABLE found, truth;
	RETURN result;
END $$;

-- Dimensions around the step of 32, queries around the block of 32, and rows
-- that are near to each other and far from the origin, where bfloat16 tells
-- nothing apart; zeros, and numbers whose squares are no floats.
CREATE TABLE ways_dims (dim int, far real, tbl regclass);
DO $$
DECLARE
	dim int;
	far real;
BEGIN
	FOR dim, far IN SELECT d, f FROM unnest('{1,7,31,32,33,100}'::int[]) d, unnest('{0,1000}'::real[]) f LOOP
		EXECUTE format('CREATE TABLE ways_%s_%s AS SELECT i AS id, (SELECT array_agg(%s + sin(i * (j + 3))::real ORDER BY j) FROM generate_series(1, %s) j)::vector AS v
			FROM generate_series(1, 1500) i', dim, far, far, dim);
		EXECUTE format('INSERT INTO ways_%s_%s SELECT 2000 + i, array_fill(x, ARRAY[%s])::vector FROM unnest(''{0,1e30,-1e30,1e-30,3e38}''::real[]) WITH ORDINALITY u(x, i)', dim, far, dim);
		EXECUTE format('ALTER TABLE ways_%s_%s ADD PRIMARY KEY (id)', dim, far);
		INSERT INTO ways_dims VALUES (dim, far, format('ways_%s_%s', dim, far));
	END LOOP;
END $$;
-- Under valgrind the same with a fifth of the rows.
\if :{?few}
DO $$
DECLARE
	tbl regclass;
BEGIN
	FOR tbl IN SELECT d.tbl FROM ways_dims d LOOP
		EXECUTE format('DELETE FROM %s WHERE id BETWEEN 301 AND 1500', tbl);
	END LOOP;
END $$;
\endif
CREATE FUNCTION ways_queries(tbl regclass, n int) RETURNS vector[] LANGUAGE plpgsql AS $$
DECLARE
	result vector[];
BEGIN
	EXECUTE format('SELECT array_agg(v ORDER BY id DESC) FROM (SELECT * FROM %s ORDER BY id DESC LIMIT %s) x', tbl, n) INTO result;
	RETURN result;
END $$;
SELECT metric, n, k, sum(ways_check(tbl, metric, ways_queries(tbl, n), k))
FROM ways_dims, unnest('{l2,ip,cosine}'::text[]) metric, (VALUES (6, 10), (33, 3), (64, 150)) s(n, k)
GROUP BY metric, n, k ORDER BY metric, n;
SET vecrecall.knn_amx = off;
SELECT metric, sum(ways_check(tbl, metric, ways_queries(tbl, 33), 20))
FROM ways_dims, unnest('{l2,ip,cosine}'::text[]) metric GROUP BY metric ORDER BY metric;
RESET vecrecall.knn_amx;

-- Many blocks, many queries, many results: a sample guesses how near the last
-- will be. The order in the table has nothing to do with that, first.
CREATE TABLE ways_sample (id int PRIMARY KEY, v vector(80)) WITH (fillfactor = 10);
INSERT INTO ways_sample SELECT i, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 80) j)::vector
FROM generate_series(1, 4000) i;
ANALYZE ways_sample;
SELECT relpages >= 1024 AS enough FROM pg_class WHERE relname = 'ways_sample';
SELECT metric, ways_check('ways_sample', metric, ways_queries('ways_sample', 40), 200)
FROM unnest('{l2,ip,cosine}'::text[]) metric;
-- Then most rows are far, and those that are near lie where the sample looks:
-- fewer than k of them, so that the guess is wrong, and the table read again.
UPDATE ways_sample SET v = (SELECT array_agg((5 + sin(id * j))::real ORDER BY j) FROM generate_series(1, 80) j)::vector;
VACUUM FULL ways_sample;
WITH place AS (SELECT id, (ctid::text::point)[0]::int AS block FROM ways_sample),
	runs AS (SELECT (pg_relation_size('ways_sample') / 8192 * i / 64)::int AS block FROM generate_series(0, 63) i)
UPDATE ways_sample w SET v = (SELECT array_agg(sin(w.id * j)::real ORDER BY j) FROM generate_series(1, 80) j)::vector
FROM place JOIN runs USING (block) WHERE w.id = place.id AND place.block > 0;
-- Updated rows stay in their pages, which are nearly empty.
SELECT count(*) BETWEEN 50 AND 195 AS fewer, count(DISTINCT (ctid::text::point)[0]) = 63 AS in_place
FROM ways_sample WHERE vector_norm(v) < 20;
SELECT metric, ways_check('ways_sample', metric, ways_queries('ways_sample', 40), 200)
FROM unnest('{l2,ip,cosine}'::text[]) metric;
SELECT metric, ways_check('ways_sample', metric, (SELECT array_agg(v) FROM (SELECT v FROM ways_sample WHERE vector_norm(v) < 20 ORDER BY id LIMIT 40) x), 200)
FROM unnest('{l2,cosine}'::text[]) metric;

-- Wide rows in their pages, which few queries take several at a time, among
-- rows that are dead, null, of a transaction that failed, and not yet committed.
CREATE TABLE ways_row (id int PRIMARY KEY, v vector);
ALTER TABLE ways_row ALTER v SET STORAGE plain;
INSERT INTO ways_row SELECT i, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 600) j)::vector
FROM generate_series(1, 500) i;
INSERT INTO ways_row SELECT i, NULL FROM generate_series(501, 520) i;
DELETE FROM ways_row WHERE id % 5 = 0;
UPDATE ways_row SET v = v + v WHERE id % 7 = 0;
BEGIN;
INSERT INTO ways_row SELECT id + 1000, v FROM ways_row;
ROLLBACK;
BEGIN;
UPDATE ways_row SET v = v + v WHERE id % 11 = 0;
SELECT metric, n, ways_check('ways_row', metric, (SELECT array_agg(v) FROM (SELECT v FROM ways_row WHERE id <= 300 ORDER BY id LIMIT n) x), 20)
FROM unnest('{l2,ip,cosine,l1}'::text[]) metric, unnest('{1,9}'::int[]) n;
COMMIT;
VACUUM ways_row;
SELECT ways_check('ways_row', 'l2', (SELECT array_agg(v) FROM ways_row WHERE id = 4), 500);
-- One row to a page, with pages of none between them, and an odd number of rows;
-- through the scan of the server too.
CREATE TABLE ways_page (id int PRIMARY KEY, v vector(1500));
ALTER TABLE ways_page ALTER v SET STORAGE plain;
INSERT INTO ways_page SELECT i, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 1500) j)::vector
FROM generate_series(1, 101) i;
DELETE FROM ways_page WHERE id % 3 = 0 OR id BETWEEN 40 AND 50;
SELECT metric, n, ways_check('ways_page', metric, (SELECT array_agg(v) FROM (SELECT v FROM ways_page ORDER BY id LIMIT n) x), 20)
FROM unnest('{l2,ip,cosine}'::text[]) metric, unnest('{1,3}'::int[]) n ORDER BY 1, 2;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT ways_check('ways_page', 'l2', (SELECT array_agg(v) FROM ways_page WHERE id = 4), 100);
COMMIT;
-- A column that rows do not have yet, for the vectors and for the key.
ALTER TABLE ways_row ADD w vector(2) DEFAULT '[3,4]', ADD k int DEFAULT 7;
INSERT INTO ways_row VALUES (2000, NULL, '[0,0]', 8);
SELECT key, distance, count(*) FROM vecrecall.knn_exact('ways_row', 'w', ARRAY['[0,0]']::vector[], 1000, key => 'k') GROUP BY 1, 2 ORDER BY 1;
-- A serializable transaction has read the table for all to see.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM vecrecall.knn_exact('ways_row', 'w', ARRAY['[0,0]']::vector[], 3);
SELECT DISTINCT locktype, mode FROM pg_locks WHERE relation = 'ways_row'::regclass AND pid = pg_backend_pid() ORDER BY mode;
ROLLBACK;
-- In buffers of the session's own.
CREATE TEMP TABLE ways_temp (id int PRIMARY KEY, v vector);
INSERT INTO ways_temp SELECT id, v FROM ways_row;
SELECT ways_check('ways_temp', 'l2', (SELECT array_agg(v) FROM ways_row WHERE id = 4), 500);

-- Out of line: values put together from chunks as they come by. Some were
-- updated, so that their chunks lie where there was room; another column has
-- chunks among them; some rows are short enough for the page, or compressed.
CREATE TABLE ways_toast (id int PRIMARY KEY, other text, v vector);
ALTER TABLE ways_toast ALTER other SET STORAGE external;
INSERT INTO ways_toast SELECT i, repeat(md5(i::text), CASE WHEN i % 5 = 0 THEN 200 END),
	(SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 700) j)::vector
FROM generate_series(1, 600) i;
DELETE FROM ways_toast WHERE id % 7 = 0;
VACUUM ways_toast;
UPDATE ways_toast SET v = v + v WHERE id % 3 = 0;
INSERT INTO ways_toast SELECT i, NULL, NULL FROM generate_series(1001, 1010) i;
BEGIN;
INSERT INTO ways_toast SELECT id + 2000, other, v FROM ways_toast WHERE v IS NOT NULL;
ROLLBACK;
ALTER TABLE ways_toast ALTER v SET STORAGE extended;
INSERT INTO ways_toast SELECT i, NULL, array_fill(i::real, ARRAY[700])::vector FROM generate_series(2001, 2010) i;
SELECT metric, n, ways_check('ways_toast', metric, (SELECT array_agg(v) FROM (SELECT v FROM ways_toast WHERE id <= 300 ORDER BY id LIMIT n) x), 20)
FROM unnest('{l2,cosine,l1}'::text[]) metric, unnest('{1,9}'::int[]) n;
-- Not a lookup for each, which would take several buffers for each of them.
CREATE FUNCTION ways_buffers(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	FOR i IN 1..2 LOOP -- the catalogue's are not counted the second time
		EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json, COSTS off, TIMING off) ' || query INTO plan;
	END LOOP;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::bigint + (plan->0->'Plan'->>'Shared Read Blocks')::bigint;
END $$;
CREATE TABLE ways_rows AS SELECT count(*) AS n FROM ways_toast;
SELECT ways_buffers('SELECT * FROM vecrecall.knn_exact(''ways_toast'', ''v'', ARRAY(SELECT v FROM ways_toast WHERE id = 1), 5)')
	< 1.6 * n AS sequential FROM ways_rows;
-- As many as fit into work_mem, and the others one by one: the same again.
INSERT INTO ways_toast SELECT i, NULL, (SELECT array_agg(cos(i * j)::real ORDER BY j) FROM generate_series(1, 700) j)::vector
FROM generate_series(3001, 4500) i;
SET work_mem = '128kB';
SELECT ways_check('ways_toast', 'l2', (SELECT array_agg(v) FROM (SELECT v FROM ways_toast WHERE id <= 300 ORDER BY id LIMIT 1) x), 20);
RESET work_mem;
-- A few rows of a table that has other things out of line are looked up.
CREATE TABLE ways_few (id int PRIMARY KEY, other text, v vector);
ALTER TABLE ways_few ALTER other SET STORAGE external;
INSERT INTO ways_few SELECT i, repeat(md5(i::text), 3000), CASE WHEN i <= 20 THEN array_fill(i::real, ARRAY[700])::vector END
FROM generate_series(1, 60) i;
SELECT ways_check('ways_few', 'l2', (SELECT array_agg(v) FROM (SELECT v FROM ways_few WHERE id = 7) x), 5);
SELECT ways_buffers('SELECT * FROM vecrecall.knn_exact(''ways_few'', ''v'', ARRAY(SELECT v FROM ways_few WHERE id = 1), 5)')
	< pg_table_size('ways_few') / 8192 AS looked_up;

DROP FUNCTION ways_truth, ways_differ, ways_check, ways_queries, ways_buffers;
DO $$
DECLARE
	tbl regclass;
BEGIN
	FOR tbl IN SELECT d.tbl FROM ways_dims d LOOP
		EXECUTE format('DROP TABLE %s', tbl);
	END LOOP;
END $$;
DROP TABLE ways_dims, ways_sample, ways_row, ways_page, ways_temp, ways_toast, ways_rows, ways_few, ways_each;
