-- Learning from batches, with times made up by a formula instead of noise.
SELECT vecrecall.planner_reset(NULL, NULL) IS NOT NULL AS reset;
DELETE FROM vecrecall.audit_log;
\set res '''{"available_memory_mb": 1024, "cpu_cores": 1}'''

-- 20 ms a batch and 0.1 ms a row: the knee is at 19 * 200 = 3800
SELECT count(vecrecall.batch_record('insert', 'learn', 384, b, 1, b,
	(20 + 0.1 * b) * (1 + 0.05 * sin(i)), true))
FROM (SELECT i, (2 ^ (i % 13))::bigint AS b FROM generate_series(1, 200) i) t;
SELECT batch_size BETWEEN 3400 AND 5000 AS near_knee, bound_by, source,
	confidence > 0.9 AS sure, model_version,
	abs(est_batch_ms / (20 + 0.1 * batch_size) - 1) < 0.05 AS time_known
FROM vecrecall.plan_batch(1000000, 384, target => 'learn', resources => :res);
SELECT op, target, dim_from, dim_to, observations, round(batch_ms) AS batch_ms,
	round((row_us + 384 * dim_ns / 1000)::numeric / 5) * 5 AS row_us,
	mape < 0.1 AS good, smallest, biggest, failures
FROM vecrecall.planner_models;
SELECT op, target, plans, from_model, p95_ms > 0 AS timed, regret BETWEEN 0 AND 1 AS regret
FROM vecrecall.planner_stats WHERE target = 'learn';

-- One batch a thousand times slower moves the plan by no more than a step
CREATE TEMP TABLE plan AS SELECT batch_size AS before
	FROM vecrecall.plan_batch(1000000, 384, target => 'learn', resources => :res);
SELECT vecrecall.batch_record('insert', 'learn', 384, 1000, 1, 1000, 120000, true) > 0 AS recorded;
SELECT batch_size BETWEEN before / 2 AND before * 2 AS steady
FROM plan, vecrecall.plan_batch(1000000, 384, target => 'learn', resources => :res);

-- Another dimension of the target borrows; another target does not
SELECT target, (p).source, (p).detail ->> 'observations' AS own, (p).model_version > 0 AS borrows
FROM (SELECT target, vecrecall.plan_batch(1000000, 1536, target => target, resources => :res) AS p
	FROM unnest('{learn,other}'::text[]) target) t;

-- A batch that timed out halves the ceiling; the next plan is below it
SELECT vecrecall.batch_record('insert', 'learn', 384, 4000, 1, 0, 30000, false, sqlstate => '57014') > 0 AS recorded;
SELECT batch_size <= 2000 AS below, bound_by, source, detail -> 'ceiling_batch' AS ceiling
FROM vecrecall.plan_batch(1000000, 384, target => 'learn', resources => :res);
-- One that was refused for its rate lowers the number of workers instead
SELECT vecrecall.batch_record('embed_http', 'rate', 384, 100, 8, 0, 10, false, sqlstate => '429') > 0 AS recorded;
SELECT concurrency <= 4 AS slower, detail -> 'ceiling_concurrency' AS ceiling, detail -> 'ceiling_batch' AS batch
FROM vecrecall.plan_batch(1000000, 384, 'embed_http', 'rate', resources => :res);
-- One past its objective costs a tenth; one that failed for itself costs nothing
SELECT vecrecall.batch_record('embed_http', 'slow', 384, 100, 1, 100, 60, true, slo_ms => 50) > 0 AS recorded;
SELECT vecrecall.batch_record('embed_http', 'bad', 384, 100, 1, 0, 10, false, sqlstate => '22P02') > 0 AS recorded;
SELECT target, ceiling_batch, ceiling_concurrency, failures FROM vecrecall.planner_models
WHERE target IN ('learn', 'rate', 'slow', 'bad') ORDER BY 1;
-- Twenty clean batches near the ceiling raise it
SELECT count(vecrecall.batch_record('embed_http', 'slow', 384, 90, 1, 90, 45, true, slo_ms => 50))
FROM generate_series(1, 20);
SELECT ceiling_batch FROM vecrecall.planner_models WHERE target = 'slow';

-- Workers: twice as many take 1.2 times as long
SELECT count(vecrecall.batch_record('embed_http', 'workers', 384, b, n, b,
	(50 + b) * (1 + 0.2 * (n - 1)), true))
FROM (SELECT (2 ^ (i % 9))::bigint AS b, (2 ^ (i / 9 % 4))::int AS n
	FROM generate_series(1, 360) i) t;
SELECT abs(sigma - 0.2) < 0.05 AS sigma, kappa < 0.01 AS kappa
FROM vecrecall.planner_models WHERE target = 'workers';

-- Memory that a batch really took
SELECT vecrecall.batch_record('insert', 'fat', 384, 100, 1, 100, 10, true, mem_bytes => 100000000) > 0 AS recorded;
SELECT (detail ->> 'row_bytes')::float8 >= 500000 AS known, est_mem_bytes <= 1024 * 1048576::bigint AS fits
FROM vecrecall.plan_batch(1000000, 384, target => 'fat', resources => :res);

-- All of it can be learned again from the history
CREATE TEMP TABLE models AS SELECT * FROM vecrecall.planner_models;
SELECT vecrecall.planner_train() = (SELECT count(*) FROM vecrecall.batch_history) AS all_used;
SELECT count(*) AS same FROM vecrecall.planner_models n JOIN models o
	USING (op, target, dim_from)
WHERE (n.observations, n.failures, n.batch_ms, n.ceiling_batch, n.biggest)
	IS NOT DISTINCT FROM (o.observations, o.failures, o.batch_ms, o.ceiling_batch, o.biggest);
SELECT count(*) FROM models;
-- Judged by its newer part
SELECT count(vecrecall.batch_record('insert', 'learn', 384, b, 1, b, 20 + 0.1 * b, true))
FROM (SELECT (2 ^ (i % 13))::bigint AS b FROM generate_series(1, 130) i) t;
SELECT method, groups, correct, share, round(mean_regret::numeric, 1) AS regret, mape < 0.2 AS close
FROM vecrecall.planner_evaluate();

SELECT vecrecall.planner_reset('insert', 'fat');
SELECT count(*) FROM vecrecall.planner_models WHERE target = 'fat';
SELECT vecrecall.planner_reset(NULL, NULL) > 500 AS all_forgotten;
SELECT count(*) FROM vecrecall.planner_models;
SELECT count(*) FROM vecrecall.batch_history;

-- What was told to the audit log
SELECT action, op, target, detail FROM vecrecall.audit_log ORDER BY id;
SET vecrecall.audit = 'all';
SELECT batch_size FROM vecrecall.plan_batch(7, 384, target => 'told', resources => :res);
SELECT vecrecall.batch_record('insert', 'told', 384, 7, 1, 7, 1, true) > 0 AS recorded;
SELECT action, op, target FROM vecrecall.audit_log ORDER BY id DESC LIMIT 2;
RESET vecrecall.audit;
SELECT vecrecall.planner_reset(NULL, NULL);

-- A long target is counted once, under its name or as many whole characters of it
SELECT repeat(chr(233), 100) AS long \gset
SELECT count(vecrecall.plan_batch(10, 3, target => :'long' || i, resources => :res)) FROM generate_series(1, 3) i;
SELECT char_length(target), plans FROM vecrecall.planner_stats WHERE target LIKE repeat(chr(233), 60) || '%';
SELECT vecrecall.batch_record('insert', :'long' || 1, 3, 10, 1, 10, 5, true) > 0 AS recorded;
SELECT vecrecall.batch_record('insert', :'long' || 2, 3, 10, 1, 10, 5, true) > 0 AS recorded;
SELECT char_length(target), plans FROM vecrecall.planner_stats WHERE target LIKE repeat(chr(233), 60) || '%';
SELECT vecrecall.planner_reset(NULL, NULL);

-- The history is kept to its limit
SET vecrecall.planner_history_limit = 500;
SELECT count(vecrecall.batch_record('train', 'limit', 8, 10, 1, 10, 1, true)) FROM generate_series(1, 2000);
SELECT count(*) BETWEEN 500 AND 1500 AS kept FROM vecrecall.batch_history;
RESET vecrecall.planner_history_limit;
SELECT vecrecall.planner_reset(NULL, NULL) > 0 AS reset;

-- A read-only transaction plans and does not record
BEGIN READ ONLY;
SELECT source FROM vecrecall.plan_batch(10, 384, resources => :res);
SELECT vecrecall.batch_record('insert', 'ro', 384, 10, 1, 10, 5, true);
SELECT vecrecall.planner_train();
ROLLBACK;
