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

CREATE TABLE planner_build (id int, v vector(384), h halfvec(768), w vector);
SELECT * FROM vecrecall.plan_index_build('planner_build', 'v', 'btree',
	'{"rows": 1000000, "available_memory_mb": 8000, "cpu_cores": 4, "max_workers": 8}');
-- Too much for one pass; no workers allowed; more neighbours
SELECT setting, value, why FROM vecrecall.plan_index_build('planner_build', 'h', 'btree',
	'{"rows": 1000000, "available_memory_mb": 500, "cpu_cores": 4, "max_workers": 0}');
SELECT a.est_bytes < b.est_bytes AS memory, a.est_seconds < b.est_seconds AS time
FROM vecrecall.plan_index_build('planner_build', 'v', 'btree', '{"rows": 1000000, "m": 16}') a
	JOIN vecrecall.plan_index_build('planner_build', 'v', 'btree',
		'{"rows": 1000000, "m": 32, "ef_construction": 200}') b USING (setting)
WHERE setting = 'statements';
SELECT count(*) FROM vecrecall.plan_index_build('planner_build', 'w', 'btree', '{"rows": 10, "dim": 100}');
-- Learned from a build: two processes, ten minutes
SELECT vecrecall.batch_record('index_build', 'btree', 384, 1000000, 2, 1000000, 600000, true) > 0 AS recorded;
SELECT value, est_seconds BETWEEN 100 AND 3000 AS learned FROM vecrecall.plan_index_build('planner_build', 'v', 'btree',
	'{"rows": 1000000, "available_memory_mb": 8000, "cpu_cores": 2, "max_workers": 1}') WHERE setting = 'statements';
SELECT vecrecall.planner_reset('index_build', NULL) > 0 AS reset;
DROP TABLE planner_build;

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
