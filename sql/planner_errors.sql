-- Bad input of every kind
\set VERBOSITY default
SELECT vecrecall.plan_batch(0, 384);
SELECT vecrecall.plan_batch(-5, 384);
SELECT vecrecall.plan_batch(NULL, 384);
SELECT vecrecall.plan_batch(10, 0);
SELECT vecrecall.plan_batch(10, 16001);
SELECT vecrecall.plan_batch(10, NULL);
SELECT vecrecall.plan_batch(10, 384, 'bake');
SELECT vecrecall.plan_batch(10, 384, '');
SELECT vecrecall.plan_batch(10, 384, NULL);
SELECT vecrecall.plan_batch(10, 384, target => NULL);
SELECT vecrecall.plan_batch(10, 384, goal => 'fame');
SELECT vecrecall.plan_batch(10, 384, goal => NULL);
SELECT vecrecall.plan_batch(10, 384, 'index_build');
SELECT vecrecall.plan_batch(10, 384, resources => '{"memory": 1}');
SELECT vecrecall.plan_batch(10, 384, resources => '[1]');
SELECT vecrecall.plan_batch(10, 384, resources => '7');
SELECT vecrecall.plan_batch(10, 384, resources => '{"cpu_cores": "four"}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"cpu_cores": [4]}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"cpu_cores": 0}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"cpu_cores": 1.5}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"io_mb_s": -1}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"l2_cache_kb": 0}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"available_memory_mb": -1}');
SELECT vecrecall.plan_batch(10, 384, resources => '{"available_memory_mb": 1e400}');
SELECT vecrecall.plan_batch(10, 384, limits => '{"max_batch": 0}');
SELECT vecrecall.plan_batch(10, 384, limits => '{"max_batch": -1}');
SELECT vecrecall.plan_batch(10, 384, limits => '{"max_tokens_per_batch": 0.5}');
SELECT vecrecall.plan_batch(10, 384, limits => '{"slo": 10}');
SELECT vecrecall.plan_batch(10, 384, limits => '{"slo_ms": 0}');
-- JSON null is nothing said
SELECT batch_size FROM vecrecall.plan_batch(10, 384, limits => '{"max_batch": null}',
	resources => '{"available_memory_mb": 64, "cpu_cores": 1}');
-- No batch fits: with the arithmetic
SELECT vecrecall.plan_batch(10, 1536, resources => '{"available_memory_mb": 0}');
SELECT vecrecall.plan_batch(10, 1536, resources => '{"available_memory_mb": 0.004}');
SELECT vecrecall.plan_batch(10, 1536, 'embed_http',
	limits => '{"tokens_per_item": 9000, "max_tokens_per_batch": 8192}');
SELECT vecrecall.plan_batch(10, 1536, 'embed_http', limits => '{"max_bytes": 1000}');
SELECT vecrecall.plan_concurrency(1000, 1000, dim => 1536, capacity => '{"available_memory_mb": 1}');
SELECT vecrecall.plan_dimension(10, 384, 16000, 0);

SELECT vecrecall.plan_concurrency(0, 10);
SELECT vecrecall.plan_concurrency(10, 0);
SELECT vecrecall.plan_concurrency(10, 10, capacity => '{"max_batch": 1}');
SELECT vecrecall.plan_dimension(0, 384, 384);
SELECT vecrecall.plan_dimension(10, 384, 20000);
SELECT vecrecall.plan_dimension(10, 0, 384);
SELECT vecrecall.plan_dimension(10, 384, 384, -1);
SELECT vecrecall.plan_strategy(NULL);
SELECT vecrecall.plan_strategy('{}');
SELECT vecrecall.plan_strategy('{"batch_size": 10, "speed": 3}');
SELECT vecrecall.plan_strategy('{"batch_size": 10, "dim": 99999}');
SELECT vecrecall.plan_strategy('{"batch_size": 10}', goal => 'fame');

SELECT vecrecall.batch_record('bake', 't', 384, 10, 1, 10, 5, true);
SELECT vecrecall.batch_record('insert', NULL, 384, 10, 1, 10, 5, true);
SELECT vecrecall.batch_record('insert', 't', 0, 10, 1, 10, 5, true);
SELECT vecrecall.batch_record('insert', 't', 384, 0, 1, 10, 5, true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 0, 10, 5, true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, -1, 5, true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, -1, true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 'NaN', true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 'Infinity', true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, NULL, true);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 5, NULL);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 5, true, tokens => 0);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 5, true, mem_bytes => -1);
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 5, false, sqlstate => 'oops!');
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 5, true, sqlstate => '57014');
SELECT vecrecall.batch_record('insert', 't', 384, 10, 1, 10, 5, true, slo_ms => 'NaN');
SELECT count(*) FROM vecrecall.batch_history WHERE target = 't';

SELECT vecrecall.planner_train(NULL);
SELECT vecrecall.planner_reset('bake', NULL);
SELECT * FROM vecrecall.planner_evaluate(0);
SELECT * FROM vecrecall.planner_evaluate(1);
SELECT * FROM vecrecall.planner_evaluate('NaN');
SELECT * FROM vecrecall.planner_evaluate(0.2, NULL);
SET vecrecall.planner = maybe;
SET vecrecall.planner_explore_fraction = 2;
SET vecrecall.audit = maybe;


CREATE TABLE planner_t (id int, v vector(3), w vector);
SELECT * FROM vecrecall.plan_index_build('planner_t', 'x', 'btree');
SELECT * FROM vecrecall.plan_index_build('planner_t', 'w', 'btree');
SELECT * FROM vecrecall.plan_index_build('planner_t', 'v', 'tree');
SELECT * FROM vecrecall.plan_index_build('planner_t', 'v', 'btree', '{"lists": 3}');
SELECT * FROM vecrecall.plan_index_build('planner_t', 'v', 'btree', '{"m": 1}');
SELECT * FROM vecrecall.plan_index_build(NULL, 'v', 'btree');
SELECT * FROM vecrecall.plan_index_build('pg_class', 'relname', 'hnsw', '{"dim": 3}');
SELECT * FROM vecrecall.plan_index_build('planner_t', 'v', 'hnsw', '{"dim": 16001}');
SELECT * FROM vecrecall.plan_index_build('planner_t', 'v', 'hnsw', '{"m": 1000}');
DROP TABLE planner_t;

SELECT vecrecall.batch_optimization(NULL);
SELECT vecrecall.batch_optimization('[]');
SELECT vecrecall.batch_optimization('{"item_count": 10}');
SELECT vecrecall.batch_optimization('{"request": "guess"}');
SELECT vecrecall.batch_optimization('{"request": "calculate_size", "items": 10}');
SELECT vecrecall.batch_optimization('{"request": "calculate_size", "vector_dimension": 10}');
SELECT vecrecall.batch_optimization('{"request": "adapt_dimension", "base_batch_size": 10,
	"base_dimension": 10, "vector_dimension": 10, "memory_constraints": {"mb": 1}}');
SELECT vecrecall.batch_optimization('{"request": "optimize_concurrency", "total_items": 10,
	"batch_size": 5, "system_capacity": {"cpus": 1}}');
