-- Layouts and index builds

-- Against tables as they are: within a twentieth
CREATE FUNCTION planner_size(type text, dim int, n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	size bigint;
BEGIN
	EXECUTE format('CREATE TABLE planner_rows (id bigint, v %s(%s))', type, dim);
	EXECUTE format('INSERT INTO planner_rows SELECT i, array_fill(0.5::real, ARRAY[%s])::vector::%s '
		'FROM generate_series(1, %s) i', dim, type, n);
	size := pg_table_size('planner_rows');
	DROP TABLE planner_rows;
	RETURN size;
END $$;
SELECT type, dim, toasted, round((planner_size(type, dim, 3000)::numeric / table_bytes - 1) * 100) BETWEEN -5 AND 5 AS close
FROM (VALUES ('vector', 384), ('vector', 1536), ('halfvec', 384), ('halfvec', 1536), ('vector', 3000)) v(type, dim),
	LATERAL (SELECT toasted, table_bytes FROM vecrecall.plan_layout(dim, 3000, type) LIMIT 1) p;
DROP FUNCTION planner_size;

-- What other tests' builds have taught is forgotten.
SELECT vecrecall.planner_reset('index_build', NULL) IS NOT NULL AS reset;
CREATE TABLE planner_build (id int, v vector(384), h halfvec(768), w vector);
SELECT * FROM vecrecall.plan_index_build('planner_build', 'v', 'hnsw',
	'{"rows": 1000000, "available_memory_mb": 8000, "cpu_cores": 4, "max_workers": 8}');
-- Too much for one pass; no workers allowed; more neighbours
SELECT setting, value, why FROM vecrecall.plan_index_build('planner_build', 'h', 'hnsw',
	'{"rows": 1000000, "available_memory_mb": 500, "cpu_cores": 4, "max_workers": 0}');
SELECT a.est_bytes < b.est_bytes AS memory, a.est_seconds < b.est_seconds AS time
FROM vecrecall.plan_index_build('planner_build', 'v', 'hnsw', '{"rows": 1000000, "m": 16}') a
	JOIN vecrecall.plan_index_build('planner_build', 'v', 'hnsw',
		'{"rows": 1000000, "m": 32, "ef_construction": 200}') b USING (setting)
WHERE setting = 'statements';
SELECT count(*) FROM vecrecall.plan_index_build('planner_build', 'w', 'hnsw', '{"rows": 10, "dim": 100}');
-- Learned from a build: two processes, ten minutes
SELECT vecrecall.batch_record('index_build', 'hnsw', 384, 1000000, 2, 1000000, 600000, true) > 0 AS recorded;
SELECT value, est_seconds BETWEEN 100 AND 3000 AS learned FROM vecrecall.plan_index_build('planner_build', 'v', 'hnsw',
	'{"rows": 1000000, "available_memory_mb": 8000, "cpu_cores": 2, "max_workers": 1}') WHERE setting = 'statements';
SELECT vecrecall.planner_reset('index_build', 'hnsw') > 0 AS reset;
DROP TABLE planner_build;

-- Another access method is taken to need as much as hnsw would
SELECT round(b.est_bytes::numeric / h.est_bytes, 1) BETWEEN 0.8 AND 1.2 AS close
FROM (SELECT 'pg_class'::regclass AS t) t,
	LATERAL vecrecall.plan_index_build(t, 'relname', 'btree', '{"rows": 1000000, "dim": 384}') b,
	LATERAL (SELECT build_bytes AS est_bytes FROM vecrecall.plan_layout(384, 1000000) WHERE automatic) h
WHERE b.setting = 'statements';

-- Against builds as they are: what was planned is enough, and hardly more.
CREATE FUNCTION planner_build(type text, ops text, dim int, m int, n int, OUT enough bool, OUT close bool)
LANGUAGE plpgsql AS $$
DECLARE
	planned bigint;
	taken bigint;
BEGIN
	EXECUTE format('CREATE TABLE planner_rows (v %s(%s))', type, dim);
	EXECUTE format('INSERT INTO planner_rows SELECT %s FROM generate_series(1, %s) i', CASE type
		WHEN 'bit' THEN format('(i * 7919)::bit(%s)', dim)
		WHEN 'sparsevec' THEN format($i$('{' || (SELECT string_agg(j || ':' || i + j, ',') FROM generate_series(1, 64) j) || '}/%s')::sparsevec$i$, dim)
		ELSE format('(SELECT array_agg(sin(i * j)::real) FROM generate_series(1, %s) j)::vector::%s', dim, type) END, n);
	ANALYZE planner_rows;
	SELECT est_bytes INTO planned FROM vecrecall.plan_index_build('planner_rows', 'v',
		params => jsonb_build_object('m', m, 'max_workers', 0, 'dim', dim)) LIMIT 1;
	PERFORM set_config('maintenance_work_mem', ceil(planned / 1024.0) || 'kB', true);
	EXECUTE format('CREATE INDEX ON planner_rows USING hnsw (v %s) WITH (m = %s, ef_construction = %s)', ops, m, m * 2);
	SELECT mem_bytes INTO taken FROM vecrecall.batch_history ORDER BY id DESC LIMIT 1;
	DROP TABLE planner_rows;
	enough := taken <= planned + 1024;
	close := taken > planned * 0.8;
END $$;
SELECT t.*, b.* FROM (VALUES ('vector', 'vector_l2_ops', 64, 16, 3000), ('vector', 'vector_cosine_ops', 384, 8, 1500),
		('vector', 'vector_l2_ops', 128, 40, 1500), ('halfvec', 'halfvec_l2_ops', 768, 16, 1500),
		('bit', 'bit_hamming_ops', 256, 16, 3000), ('sparsevec', 'sparsevec_l2_ops', 1000, 16, 3000)) t(type, ops, dim, m, n),
	LATERAL planner_build(type, ops, dim, m, n) b;
DROP FUNCTION planner_build;
SELECT vecrecall.planner_reset('index_build', 'hnsw') AS reset;

-- Requests in JSON
SELECT r - 'detail' - 'confidence' - 'est_p95_ms' - 'est_batch_ms' - 'est_total_ms' - 'est_rows_per_s' AS plan
FROM unnest(ARRAY[
	'{"request": "calculate_size", "item_count": 10000, "vector_dimension": 384, "op": "copy",
		"system_resources": {"available_memory_mb": 64, "cpu_cores": 2}, "limits": {"max_batch": 200}}',
	'{"request": "adapt_dimension", "base_batch_size": 100, "base_dimension": 384, "vector_dimension": 1536,
		"memory_constraints": {"available_memory_mb": 10}}',
	'{"request": "optimize_concurrency", "total_items": 10000, "batch_size": 100,
		"system_capacity": {"available_memory_mb": 64, "cpu_cores": 2}}']::jsonb[]) q,
	LATERAL vecrecall.batch_optimization(q) r;
SELECT vecrecall.batch_optimization('{"request": "optimize_strategy", "database_type": "insert",
	"current_performance": {"batch_size": 100000, "available_memory_mb": 64},
	"historical_patterns": [], "optimization_goal": "throughput"}') ->> 'action' AS action;
