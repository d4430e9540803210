-- which plan is chosen: the index where it is faster, and only there
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET work_mem = '4MB';
CREATE FUNCTION cost_plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
-- the node that reads the table
CREATE FUNCTION cost_choice(query text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(string_agg(trim(line, ' ->'), ', '), ' on [a-z_]+', '', 'g')
	FROM cost_plan(query) line WHERE line ~ 'Scan' $$;

SELECT setseed(.5);
CREATE TABLE cost_t (id int, e vector(128), r int, c int);
INSERT INTO cost_t SELECT i, (SELECT array_agg(sin(i * j % 1013)) FROM generate_series(1, 128) j)::vector,
	i % 10000, i % 10 FROM generate_series(1, 20000) i;
CREATE INDEX cost_e ON cost_t USING hnsw (e vector_l2_ops) WITH (m = 8, ef_construction = 16);
VACUUM ANALYZE cost_t;
CREATE TABLE cost_q AS SELECT e q FROM cost_t WHERE id = 77;

-- LIMIT, from few rows to all
SELECT n, cost_choice('SELECT id FROM cost_t ORDER BY e <-> (SELECT q FROM cost_q) LIMIT ' || n)
FROM unnest('{1, 10, 100, 19000}'::text[]) n;
SELECT cost_choice('SELECT id FROM cost_t ORDER BY e <-> (SELECT q FROM cost_q)');
SELECT cost_choice('SELECT id FROM cost_t ORDER BY e <-> (SELECT q FROM cost_q) OFFSET 19000 LIMIT 5');

-- a filter outside of the index, from half of the rows to two
SELECT n, cost_choice('SELECT id FROM cost_t WHERE r < ' || n || ' ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10')
FROM unnest('{5000, 1000, 100, 10, 1}'::text[]) n;

-- never without ORDER BY distance
SELECT cost_choice('SELECT count(*) FROM cost_t');
SET enable_seqscan = off;
SELECT cost_choice('SELECT count(*) FROM cost_t');
SELECT cost_choice('SELECT id FROM cost_t ORDER BY e <-> (SELECT q FROM cost_q) DESC LIMIT 5');
RESET enable_seqscan;

-- a wide search costs more
SET hnsw.ef_search = 10000;
SELECT cost_choice('SELECT id FROM cost_t WHERE r < 1000 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10');
SELECT cost_choice('SELECT id FROM cost_t WHERE r < 50 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10');
RESET hnsw.ef_search;

-- a scan that would end before LIMIT is met is not planned
SET hnsw.max_scan_tuples = 1000;
SELECT n, cost_choice('SELECT id FROM cost_t WHERE r < 2000 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT ' || n)
FROM unnest('{10, 500}'::text[]) n;
RESET hnsw.max_scan_tuples;

-- a filter in the index: no matter how few rows pass
CREATE INDEX cost_ec ON cost_t USING hnsw (e vector_l2_ops, r, c) WITH (m = 8, ef_construction = 16);
DROP INDEX cost_e;
SELECT trim(line) FROM cost_plan('SELECT id FROM cost_t WHERE r = 5 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10') line WHERE line ~ 'Cond|Filter|Scan using';
SELECT trim(line) FROM cost_plan('SELECT id FROM cost_t WHERE c = 5 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10') line WHERE line ~ 'Cond|Filter|Scan using';
SELECT trim(line) FROM cost_plan('SELECT id FROM cost_t WHERE c = 5 AND r = 3 AND id > 7 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10') line WHERE line ~ 'Cond|Filter|Scan using';

-- IN on an attribute column, in any version
SELECT trim(line) FROM cost_plan('SELECT id FROM cost_t WHERE r IN (1, 2, 3) ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10') line WHERE line ~ 'Cond|Filter|Scan using';
SELECT trim(line) FROM cost_plan('SELECT id FROM cost_t WHERE r = ANY (''{1,2}'') AND c = 2 AND id > 7 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10') line WHERE line ~ 'Cond|Filter|Scan using';
SELECT trim(line) FROM cost_plan('SELECT id FROM cost_t WHERE r <> ALL (''{1,2}'') ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10') line WHERE line ~ 'Cond|Filter|Scan using';
SET enable_seqscan = off;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM cost_t WHERE r IN (5, 6) ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10) x;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM cost_t WHERE r = ANY (ARRAY(SELECT 5 UNION SELECT 6)) ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10) x;
SELECT id FROM cost_t WHERE r IN (5, NULL) AND c IN (5, 7) ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10;
RESET enable_seqscan;

-- a small table is read whole
CREATE TABLE cost_small AS SELECT * FROM cost_t LIMIT 50;
CREATE INDEX ON cost_small USING hnsw (e vector_l2_ops);
VACUUM ANALYZE cost_small;
SELECT cost_choice('SELECT id FROM cost_small WHERE c = 3 ORDER BY e <-> (SELECT q FROM cost_q) LIMIT 10');

-- vectors in TOAST: a sequential scan has to fetch them all
CREATE TABLE cost_wide (id int, e vector(1024), c int);
INSERT INTO cost_wide SELECT i, (SELECT array_agg(sin(i * j % 1013)) FROM generate_series(1, 1024) j)::vector, i % 10
FROM generate_series(1, 1000) i;
CREATE INDEX ON cost_wide USING hnsw (e vector_l2_ops) WITH (m = 8, ef_construction = 16);
VACUUM ANALYZE cost_wide;
CREATE TABLE cost_wq AS SELECT e q FROM cost_wide WHERE id = 77;
SELECT cost_choice('SELECT id FROM cost_wide ORDER BY e <-> (SELECT q FROM cost_wq) LIMIT 10');
SELECT cost_choice('SELECT id FROM cost_wide WHERE c < 3 ORDER BY e <-> (SELECT q FROM cost_wq) LIMIT 10');
SELECT cost_choice('SELECT id FROM cost_wide WHERE id < 5 ORDER BY e <-> (SELECT q FROM cost_wq) LIMIT 10');

DROP TABLE cost_t, cost_q, cost_small, cost_wide, cost_wq;
DROP FUNCTION cost_choice(text);
DROP FUNCTION cost_plan(text);
