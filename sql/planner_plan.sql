-- Plans. The machine's cores, memory and second-level cache are given, so that
-- results are the same everywhere.
\set res '''{"available_memory_mb": 64, "cpu_cores": 4, "l2_cache_kb": 2048}'''

-- From what is shipped
SELECT batch_size, batches, concurrency, bound_by, source, model_version
FROM vecrecall.plan_batch(1000000, 384, resources => :res);
-- Goals, smallest batch first
SELECT goal, (p).batch_size, (p).concurrency, (p).bound_by
FROM (SELECT goal, vecrecall.plan_batch(1000000, 768, 'embed_http', 'provider',
		goal, :res) AS p
	FROM unnest('{latency,memory,throughput,cost}'::text[]) WITH ORDINALITY g(goal, o)
	ORDER BY o) t;
-- Every operation
SELECT op, (p).batch_size, (p).concurrency, (p).bound_by
FROM (SELECT op, vecrecall.plan_batch(100000, 384, op, resources => :res) AS p
	FROM unnest('{copy,insert,embed_http,embed_local,knn_exact,train}'::text[]) op) t;
-- What works in tiles has another knee where they leave the cache
SELECT kb, (p).batch_size, (p).detail -> 'resources' -> 'l2_cache_kb' AS told
FROM (SELECT kb, vecrecall.plan_batch(100000, 384, 'train', resources =>
		:res::jsonb || jsonb_build_object('l2_cache_kb', kb)) AS p
	FROM unnest('{256,2048,8192}'::int[]) kb) t;
-- Caps, each with its name
SELECT limits, (p).batch_size, (p).bound_by, (p).detail ->> 'objective_met' AS met
FROM (SELECT limits, vecrecall.plan_batch(items, 768, 'embed_http', 'provider',
		'throughput', :res::jsonb || '{"cpu_cores": 1}', limits::jsonb) AS p
	FROM (VALUES
		(1000000, '{"max_batch": 100, "max_concurrency": 1}'),
		(1000000, '{"max_bytes": 308800, "max_concurrency": 1}'),
		(1000000, '{"max_tokens_per_batch": 8000, "tokens_per_item": 100, "max_concurrency": 1}'),
		(1000000, '{"slo_ms": 500, "max_concurrency": 1}'),
		(1000000, '{"slo_ms": 1, "max_concurrency": 1}'),
		(1000000, '{"lease_ms": 900, "max_concurrency": 1}'),
		(50, '{"max_concurrency": 1}')) v(items, limits)) t;
-- Memory is over all workers, and a plan keeps to it
SELECT mb, (p).batch_size, (p).concurrency, (p).bound_by,
	(p).est_mem_bytes <= mb * 1048576 AS fits
FROM (SELECT mb, vecrecall.plan_batch(1000000, 1536, resources =>
		jsonb_build_object('available_memory_mb', mb, 'cpu_cores', 4)) AS p
	FROM unnest('{0.6,1,4,16}'::float8[]) mb) t;
-- A slow disk needs fewer workers
SELECT batch_size, concurrency, round(est_rows_per_s) AS rows_per_s
FROM vecrecall.plan_batch(1000000, 384, resources =>
	'{"available_memory_mb": 64, "cpu_cores": 4, "io_mb_s": 10}');
-- No more workers than items
SELECT batch_size, batches, concurrency, bound_by
FROM vecrecall.plan_batch(1, 384, resources => :res);
-- What is assumed is told
SET work_mem = '8MB';
SELECT detail -> 'resources' -> 'available_memory_mb' AS mb,
	(detail -> 'resources' ->> 'cpu_cores')::int >= 1 AS cores
FROM vecrecall.plan_batch(10, 10);
RESET work_mem;
-- Exploration is repeated by its seed, and stays within a factor two
SELECT count(DISTINCT (p).batch_size) > 5 AS varies,
	min((p).batch_size) BETWEEN 304 AND 608 AS less, max((p).batch_size) BETWEEN 610 AND 1218 AS more,
	bool_and(p = vecrecall.plan_batch(1000000, 384, resources => :res,
		explore => true, seed => seed)) AS repeats,
	array_agg(DISTINCT (p).source) AS sources
FROM (SELECT seed, vecrecall.plan_batch(1000000, 384, resources => :res,
		explore => true, seed => seed) AS p
	FROM generate_series(1, 100) seed) t;

-- Concurrency for batches of a given size
SELECT cores, (p).batch_size, (p).batches, (p).concurrency, (p).bound_by
FROM (SELECT cores, vecrecall.plan_concurrency(total, batch, capacity =>
		jsonb_build_object('cpu_cores', cores, 'available_memory_mb', mb)) AS p
	FROM (VALUES (1, 1000, 100, 64), (4, 1000, 100, 64), (64, 1000000, 100, 64),
		(64, 1000000, 1000, 16), (4, 5, 100, 64)) v(cores, total, batch, mb)) t;

-- Another dimension: as many bytes, rows padded to 16 elements
SELECT dim, batch_size, est_mem_bytes, bound_by, est_batch_ms, confidence
FROM (VALUES (1), (100), (384), (768), (1536), (16000)) v(dim),
	LATERAL vecrecall.plan_dimension(100, 384, v.dim, 4);
SELECT batch_size, bound_by FROM vecrecall.plan_dimension(100000, 384, 768, 4);

-- More items than can be added to
SELECT batch_size > 1 AS batch, batches > 0 AS batches, est_total_ms > 0 AS time
FROM vecrecall.plan_batch(9223372036854775807, 384, resources => :res);
SELECT batch_size, concurrency, batches, est_total_ms > 0 AS time
FROM vecrecall.plan_concurrency(9223372036854775807, 2, capacity => '{"cpu_cores": 2}');

-- What to do about batches as they go
SELECT current, s ->> 'action' AS action, s ->> 'next_batch_size' AS next,
	s ->> 'next_concurrency' AS workers, s ->> 'reason' AS reason
FROM (SELECT current, vecrecall.plan_strategy(current::jsonb ||
		'{"available_memory_mb": 64, "dim": 384}') AS s
	FROM (VALUES ('{"batch_size": 10}'), ('{"batch_size": 861}'),
		('{"batch_size": 100000}'),
		('{"batch_size": 800, "concurrency": 8, "rate_limited": 0.1}'),
		('{"batch_size": 800, "error_rate": 0.2}'),
		('{"batch_size": 20, "slo_ms": 10, "p95_ms": 12}')) v(current)) t;

-- Off: nothing is learned, and nothing learned is used
SET vecrecall.planner = off;
SELECT vecrecall.batch_record('insert', 'off', 384, 100, 1, 100, 5, true);
SET vecrecall.planner = record_only;
SELECT vecrecall.batch_record('insert', 'off', 384, 100, 1, 100, 5, true) IS NOT NULL AS recorded;
SELECT source FROM vecrecall.plan_batch(1000, 384, target => 'off', resources => :res);
SET vecrecall.planner = on;
SELECT source FROM vecrecall.plan_batch(1000, 384, target => 'off', resources => :res);
SELECT vecrecall.planner_reset('insert', 'off');
