-- Exact batch search: the results of ORDER BY distance, key LIMIT k.
CREATE TABLE knn_t (id int PRIMARY KEY, grp int, label text UNIQUE, u uuid, v vector(3), h halfvec(3));
INSERT INTO knn_t
SELECT i, i % 4, 'row ' || i, md5(i::text)::uuid, v, v::halfvec
FROM generate_series(1, 3000) i,
	LATERAL (SELECT format('[%s,%s,%s]', i % 17 - 8, i % 23 - 11, i % 7)::vector) s(v);
INSERT INTO knn_t VALUES (5000, 1, 'nothing', NULL, NULL, NULL);
ANALYZE knn_t;

-- All queries' answers of the operator beside those of the function. Under
-- valgrind every seventh's, from the first on.
CREATE TABLE knn_each AS SELECT 1 AS n;
\getenv few VR_FEW
\if :{?few}
UPDATE knn_each SET n = 7;
\endif
CREATE FUNCTION knn_differences(op text, metric text, col text, nqueries int, k int)
RETURNS TABLE (n bigint, different bigint) LANGUAGE plpgsql AS $$
DECLARE
	queries vector[] := (SELECT array_agg(format('[%s,%s,%s]', i % 19 - 9, i % 5, i % 3 - 1)::vector ORDER BY i)
						 FROM generate_series(1, nqueries) i);
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH found AS (SELECT query_no, rank, key::int, distance
			FROM vecrecall.knn_exact('knn_t', %2$L, $1, $2, metric => %3$L)),
		judged AS (SELECT f.* FROM found f, knn_each WHERE (query_no - 1) %% n = 0),
		truth AS (SELECT q.no::int AS query_no, r.*
			FROM (SELECT * FROM unnest($1) WITH ORDINALITY q(v, no), knn_each WHERE (no - 1) %% n = 0) q, LATERAL (
				SELECT (row_number() OVER (ORDER BY d, id))::int AS rank, id AS key, d AS distance
				FROM (SELECT id, %2$I::vector %1$s q.v AS d FROM knn_t WHERE %2$I IS NOT NULL) x
				ORDER BY d, id LIMIT $2) r)
		SELECT (SELECT count(*) FROM found),
			(SELECT count(*) FROM ((TABLE judged EXCEPT TABLE truth) UNION ALL (TABLE truth EXCEPT TABLE judged)) x)
		$q$, op, col, metric) USING queries, k;
END $$;
SELECT metric, col, nqueries, k, d.*
FROM (VALUES ('<->', 'l2'), ('<#>', 'ip'), ('<=>', 'cosine'), ('<+>', 'l1')) m(op, metric),
	(VALUES ('v'), ('h')) c(col), (VALUES (1, 1), (3, 10), (40, 7), (70, 200)) s(nqueries, k),
	LATERAL knn_differences(op, metric, col, nqueries, k) d
ORDER BY metric, col DESC, nqueries;

-- The same without BLAS.
SET vecrecall.blas_threads = 0;
SELECT metric, d.* FROM (VALUES ('<->', 'l2'), ('<=>', 'cosine')) m(op, metric),
	LATERAL knn_differences(op, metric, 'v', 40, 20) d;
RESET vecrecall.blas_threads;

-- Ties go by key; keys of any ordered type; more asked for than there is.
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]', '[1,1,1]']::vector[], 3);
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]']::vector[], 3, key => 'label');
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]']::vector[], 2, key => 'u', filter => 'u IS NOT NULL');
SELECT count(*), count(DISTINCT key), max(rank)
FROM vecrecall.knn_exact('knn_t', 'v', array_fill('[1,2,3]'::vector, ARRAY[5]), 10000, key => 'label');
-- Memory is for as many as there can be.
SELECT count(*) FROM vecrecall.knn_exact('knn_t', 'v', array_fill('[1,2,3]'::vector, ARRAY[1]), 1000000);

-- Calls from one place share the memory of their rows.
WITH calls AS MATERIALIZED (SELECT count(*) AS n FROM generate_series(1, 100) g,
	LATERAL vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]']::vector[], 1 + g % 2) s)
SELECT n, (SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'vecrecall result rows') AS contexts FROM calls;

-- Filters: any condition.
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]']::vector[], 3, filter => 'grp = 1 OR id < 20');
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]']::vector[], 3,
	filter => 'id IN (SELECT max(id) FROM knn_t WHERE v IS NOT NULL) -- a comment');
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]']::vector[], 3, filter => 'false');

-- A zero vector has no cosine distance, and is last, as for the operator.
CREATE TABLE knn_zero (v vector);
INSERT INTO knn_zero VALUES ('[0,0]'), ('[1,0]'), ('[0,0]'), ('[-1,0]'), ('[0,1]');
SELECT * FROM vecrecall.knn_exact('knn_zero', 'v', ARRAY['[1,0]', '[0,0]']::vector[], 4, 'cosine');
SELECT * FROM vecrecall.knn_exact('knn_zero', 'v', array_fill('[1,0]'::vector, ARRAY[6]), 4, 'cosine') WHERE query_no = 6;
-- Numbers too large for their squares.
INSERT INTO knn_zero VALUES ('[1e30,1e30]'), ('[-1e30,0]');
SELECT query_no, rank, key, round(distance::numeric, 3)
FROM vecrecall.knn_exact('knn_zero', 'v', array_fill('[1,0]'::vector, ARRAY[6]), 4, 'l2') WHERE query_no = 6;
SELECT key, distance FROM vecrecall.knn_exact('knn_zero', 'v', array_fill('[1e30,0]'::vector, ARRAY[4]), 7, 'l2') WHERE query_no = 4;

-- Partitions, children, materialized views, an empty table.
CREATE TABLE knn_parts (id int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE knn_parts_1 PARTITION OF knn_parts FOR VALUES FROM (0) TO (10);
CREATE TABLE knn_parts_2 PARTITION OF knn_parts FOR VALUES FROM (10) TO (20);
INSERT INTO knn_parts SELECT i, format('[%s,0]', i)::vector FROM generate_series(0, 19) i;
SELECT * FROM vecrecall.knn_exact('knn_parts', 'v', ARRAY['[9.4,0]']::vector[], 3, key => 'id');
CREATE TABLE knn_parent (id int, v vector(2));
CREATE TABLE knn_child () INHERITS (knn_parent);
INSERT INTO knn_parent VALUES (1, '[1,1]');
INSERT INTO knn_child VALUES (2, '[2,2]');
SELECT * FROM vecrecall.knn_exact('knn_parent', 'v', ARRAY['[2,2]']::vector[], 3, key => 'id');
CREATE MATERIALIZED VIEW knn_matview AS TABLE knn_parts;
SELECT * FROM vecrecall.knn_exact('knn_matview', 'v', ARRAY['[0,0]']::vector[], 2);
CREATE MATERIALIZED VIEW knn_unfilled AS TABLE knn_parts WITH NO DATA;
SELECT * FROM vecrecall.knn_exact('knn_unfilled', 'v', ARRAY['[0,0]']::vector[], 2);
DROP MATERIALIZED VIEW knn_unfilled;
CREATE TABLE knn_empty (v vector);
SELECT * FROM vecrecall.knn_exact('knn_empty', 'v', ARRAY['[0,0]']::vector[], 2);
-- Values out of line, and a domain.
CREATE DOMAIN knn_domain AS vector(2000);
CREATE TABLE knn_toast (id bigint PRIMARY KEY, v knn_domain);
INSERT INTO knn_toast SELECT i, array_fill(i::real, ARRAY[2000])::vector FROM generate_series(1, 20) i;
SELECT query_no, key, round(distance::numeric, 2) FROM vecrecall.knn_exact('knn_toast', 'v',
	array_fill(array_fill(7::real, ARRAY[2000])::vector, ARRAY[5]), 3) WHERE query_no IN (1, 5);

-- In scans by more than one process the answer is the same.
CREATE TABLE knn_wide (id int PRIMARY KEY, v vector(64)) WITH (parallel_workers = 2);
INSERT INTO knn_wide SELECT i, (SELECT array_agg((i * j * j % 1009)::real ORDER BY j) FROM generate_series(1, 64) j)::vector
FROM generate_series(1, 8000) i;
ANALYZE knn_wide;
CREATE TABLE knn_queries AS SELECT array_agg(v ORDER BY id) AS q FROM knn_wide WHERE id <= 1000;
CREATE TABLE knn_first AS SELECT f.* FROM knn_queries, vecrecall.knn_exact('knn_wide', 'v', q, 20) f;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE knn_second AS SELECT f.* FROM knn_queries, vecrecall.knn_exact('knn_wide', 'v', q, 20) f;
-- Less memory than one scan for all queries needs.
SET work_mem = '128kB';
CREATE TABLE knn_third AS SELECT f.* FROM knn_queries, vecrecall.knn_exact('knn_wide', 'v', q, 20) f;
RESET work_mem;
RESET max_parallel_workers_per_gather;
SELECT count(*) FROM knn_first;
(TABLE knn_first EXCEPT TABLE knn_second) UNION ALL (TABLE knn_second EXCEPT TABLE knn_first) ORDER BY 1, 2;
(TABLE knn_first EXCEPT TABLE knn_third) UNION ALL (TABLE knn_third EXCEPT TABLE knn_first) ORDER BY 1, 2;

-- Row-level security and rights hold.
CREATE ROLE knn_reader;
GRANT SELECT (id, v) ON knn_t TO knn_reader;
CREATE TABLE knn_rls (id int PRIMARY KEY, v vector(2));
INSERT INTO knn_rls VALUES (1, '[1,1]'), (2, '[2,2]');
ALTER TABLE knn_rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON knn_rls USING (id % 2 = 1);
GRANT SELECT ON knn_rls TO knn_reader;
SELECT count(*) FROM vecrecall.knn_exact('knn_rls', 'v', ARRAY['[2,2]']::vector[], 5);
SET ROLE knn_reader;
SELECT count(*) FROM vecrecall.knn_exact('knn_rls', 'v', ARRAY['[2,2]']::vector[], 5);
SELECT count(*) FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[2,2,2]']::vector[], 5);
SELECT count(*) FROM vecrecall.knn_exact('knn_t', 'h', ARRAY['[2,2,2]']::vector[], 5);
SELECT count(*) FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[2,2,2]']::vector[], 5, key => 'grp');
SELECT count(*) FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[2,2,2]']::vector[], 5, filter => 'grp = 1');
SELECT count(*) FROM vecrecall.knn_exact('knn_wide', 'v', ARRAY['[2,2]']::vector[], 5);
RESET ROLE;

-- Bad input.
\set VERBOSITY default
\set k 'vecrecall.knn_exact(''knn_t'', ''v'', ARRAY[''[0,0,0]'']::vector[]'
SELECT * FROM :k, 0);
SELECT * FROM :k, -1);
SELECT * FROM :k, 1000001);
SELECT * FROM :k, NULL);
SELECT * FROM :k, 5, 'euclid');
SELECT * FROM :k, 5, NULL);
SELECT * FROM :k, 5, key => 'nokey');
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', NULL, 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', '{}', 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]', NULL]::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0,0]', '[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY[ARRAY['[0,0,0]']]::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'v', ARRAY['[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'w', ARRAY['[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'ctid', ARRAY['[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t', 'label', ARRAY['[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact(0, 'v', ARRAY['[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact(NULL, 'v', ARRAY['[0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_parts', 'v', ARRAY['[0,0]']::vector[], 5);
CREATE VIEW knn_view AS TABLE knn_t;
SELECT * FROM vecrecall.knn_exact('knn_view', 'v', ARRAY['[0,0,0]']::vector[], 5);
CREATE FOREIGN DATA WRAPPER knn_fdw;
CREATE SERVER knn_server FOREIGN DATA WRAPPER knn_fdw;
CREATE FOREIGN TABLE knn_foreign (v vector) SERVER knn_server;
SELECT * FROM vecrecall.knn_exact('knn_foreign', 'v', ARRAY['[0,0,0]']::vector[], 5);
SELECT * FROM vecrecall.knn_exact('knn_t_pkey', 'id', ARRAY['[0,0,0]']::vector[], 5);
SELECT * FROM :k, 5, filter => '');
SELECT * FROM :k, 5, filter => 'id');
SELECT * FROM :k, 5, filter => 'nothere = 1');
SELECT * FROM :k, 5, filter => 'id = = 1');
SELECT * FROM :k, 5, filter => 'id = 1; DELETE FROM knn_t');
SELECT * FROM :k, 5, filter => 'true) OR (true');
SELECT * FROM :k, 5, filter => 'true ORDER BY id');
SELECT * FROM :k, 5, filter => 'true UNION SELECT false');
SELECT * FROM :k, 5, filter => 'true, false');
SELECT * FROM :k, 5, filter => 'true AS x');
SELECT * FROM :k, 5, filter => 'true FROM knn_zero');
SELECT * FROM :k, 5, filter => 'true INTO x');
SELECT * FROM :k, 5, filter => '/* open');
SELECT * FROM :k, 5, filter => 'count(*) > 1');
INSERT INTO knn_zero VALUES ('[1,2,3]');
SELECT * FROM vecrecall.knn_exact('knn_zero', 'v', ARRAY['[0,0]']::vector[], 5);
UPDATE knn_t SET u = NULL WHERE id = 2541;
SELECT * FROM :k, 5, key => 'u');
ALTER TABLE knn_t ADD point point;
SELECT * FROM :k, 5, key => 'point');
SET work_mem = '64kB';
SELECT * FROM :k, 100000);
RESET work_mem;

DROP FOREIGN DATA WRAPPER knn_fdw CASCADE;
DROP TABLE knn_rls;
DROP VIEW knn_view;
DROP MATERIALIZED VIEW knn_matview;
DROP TABLE knn_t, knn_zero, knn_parts, knn_parent, knn_child, knn_empty, knn_toast, knn_wide, knn_queries, knn_first, knn_second, knn_third, knn_each;
DROP DOMAIN knn_domain;
DROP FUNCTION knn_differences;
DROP ROLE knn_reader;
