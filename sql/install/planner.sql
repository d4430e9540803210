-- Batch-size planning: src/planner.

-- Whoever records batches, trains and resets; plans are for everybody.
DO $$
BEGIN
	CREATE ROLE vecrecall_planner NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
	NULL;	-- another database of this cluster has made it
END
$$;
DO $$
BEGIN
	IF pg_catalog.shobj_description('vecrecall_planner'::pg_catalog.regrole, 'pg_authid') IS NULL THEN
		COMMENT ON ROLE vecrecall_planner IS
			'may record batches for the planner of vecrecall, run jobs, train, reset, and see what was learned';
	END IF;
END
$$;
GRANT USAGE ON SCHEMA vecrecall TO vecrecall_planner;

CREATE TABLE vecrecall.batch_history (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	op text NOT NULL,
	target text NOT NULL,
	dim integer NOT NULL,
	batch_size bigint NOT NULL,
	concurrency integer NOT NULL,
	rows bigint NOT NULL,
	elapsed_ms float8 NOT NULL,
	ok boolean NOT NULL,
	tokens bigint,
	mem_bytes bigint,
	sqlstate text,
	plan_id bigint,
	slo_ms float8,
	work float8,
	pending boolean NOT NULL
);
CREATE INDEX batch_history_target ON vecrecall.batch_history (op, target, id);
CREATE INDEX batch_history_pending ON vecrecall.batch_history (op, target)
	WHERE pending;
COMMENT ON TABLE vecrecall.batch_history IS
	'batches as they were carried out, kept to vecrecall.planner_history_limit rows';
COMMENT ON COLUMN vecrecall.batch_history.id IS 'number, as batch_record returns it';
COMMENT ON COLUMN vecrecall.batch_history.at IS 'when it was recorded';
COMMENT ON COLUMN vecrecall.batch_history.op IS 'operation: copy, insert, embed_http, embed_local, knn_exact, index_build or train';
COMMENT ON COLUMN vecrecall.batch_history.target IS 'what the cost depends on besides: a table, a provider';
COMMENT ON COLUMN vecrecall.batch_history.dim IS 'dimensions of the vectors';
COMMENT ON COLUMN vecrecall.batch_history.batch_size IS 'rows that were planned';
COMMENT ON COLUMN vecrecall.batch_history.concurrency IS 'batches that ran at once';
COMMENT ON COLUMN vecrecall.batch_history.rows IS 'rows that were done';
COMMENT ON COLUMN vecrecall.batch_history.elapsed_ms IS 'time of the batch';
COMMENT ON COLUMN vecrecall.batch_history.ok IS 'whether it went well';
COMMENT ON COLUMN vecrecall.batch_history.tokens IS 'tokens of all rows';
COMMENT ON COLUMN vecrecall.batch_history.mem_bytes IS 'memory that it took';
COMMENT ON COLUMN vecrecall.batch_history.sqlstate IS 'SQLSTATE or HTTP status of a failure';
COMMENT ON COLUMN vecrecall.batch_history.plan_id IS 'a number that the caller has for its plan';
COMMENT ON COLUMN vecrecall.batch_history.slo_ms IS 'the objective that the time was to meet';
COMMENT ON COLUMN vecrecall.batch_history.work IS 'work per row relative to the usual, where it differs';
COMMENT ON COLUMN vecrecall.batch_history.pending IS 'not yet learned from: another transaction was learning at the time';
COMMENT ON INDEX vecrecall.batch_history_target IS
	'for planner_train and planner_evaluate';
COMMENT ON INDEX vecrecall.batch_history_pending IS
	'for the next batch of the target, which learns from these as well';

-- Updated with every batch: room on the page, and no index on what changes.
CREATE TABLE vecrecall.planner_state (
	op text NOT NULL,
	target text NOT NULL,
	dim_bucket integer NOT NULL,
	model float8[],
	stats float8[],
	ceiling_batch bigint,
	ceiling_concurrency integer,
	ceiling_clean integer,
	updated timestamptz NOT NULL,
	PRIMARY KEY (op, target, dim_bucket)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE vecrecall.planner_state IS
	'what was learned, in the planner''s own form; vecrecall.planner_models shows it';
COMMENT ON COLUMN vecrecall.planner_state.op IS 'operation: copy, insert, embed_http, embed_local, knn_exact, index_build or train';
COMMENT ON COLUMN vecrecall.planner_state.target IS 'what the cost depends on besides: a table, a provider';
COMMENT ON COLUMN vecrecall.planner_state.dim_bucket IS 'dimensions from 2^dim_bucket on; -1 holds the ceiling of the target';
COMMENT ON COLUMN vecrecall.planner_state.model IS 'what is known of the costs, in a layout of its own';
COMMENT ON COLUMN vecrecall.planner_state.stats IS 'how often was planned, and how fast';
COMMENT ON COLUMN vecrecall.planner_state.ceiling_batch IS 'batches are kept to this size after failures';
COMMENT ON COLUMN vecrecall.planner_state.ceiling_concurrency IS 'batches at once are kept to this number';
COMMENT ON COLUMN vecrecall.planner_state.ceiling_clean IS 'batches near the ceiling that went well since it last moved';
COMMENT ON COLUMN vecrecall.planner_state.updated IS 'when this last changed';

CREATE TABLE vecrecall.batch_job (
	job text PRIMARY KEY,
	op text NOT NULL,
	target text NOT NULL,
	item_query text NOT NULL,
	statement text NOT NULL,
	state text NOT NULL DEFAULT 'running'
		CHECK (state IN ('running', 'done', 'cancelled', 'failed')),
	message text,
	last_key text,
	items bigint NOT NULL DEFAULT 0,
	batches bigint NOT NULL DEFAULT 0,
	batch_size bigint,
	role name NOT NULL,
	pid integer,
	started timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	updated timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE vecrecall.batch_job IS
	'jobs of vecrecall.run_batches, with the key to go on from';
COMMENT ON COLUMN vecrecall.batch_job.job IS 'name, of which there is one job';
COMMENT ON COLUMN vecrecall.batch_job.op IS 'operation: copy, insert, embed_http, embed_local, knn_exact, index_build or train';
COMMENT ON COLUMN vecrecall.batch_job.target IS 'what the cost depends on besides: a table, a provider';
COMMENT ON COLUMN vecrecall.batch_job.item_query IS 'the query of its items';
COMMENT ON COLUMN vecrecall.batch_job.statement IS 'what is run with the arrays of a batch';
COMMENT ON COLUMN vecrecall.batch_job.state IS 'running, done, cancelled or failed; a crash leaves running';
COMMENT ON COLUMN vecrecall.batch_job.message IS 'of the error that ended it';
COMMENT ON COLUMN vecrecall.batch_job.last_key IS 'key of the last item done, as text';
COMMENT ON COLUMN vecrecall.batch_job.items IS 'items done';
COMMENT ON COLUMN vecrecall.batch_job.batches IS 'batches done';
COMMENT ON COLUMN vecrecall.batch_job.batch_size IS 'size of the last batch as planned';
COMMENT ON COLUMN vecrecall.batch_job.role IS 'who called it last';
COMMENT ON COLUMN vecrecall.batch_job.pid IS 'process that carries it out';
COMMENT ON COLUMN vecrecall.batch_job.started IS 'when it was first called';
COMMENT ON COLUMN vecrecall.batch_job.updated IS 'when it last came on';

CREATE TABLE vecrecall.audit_log (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	role name NOT NULL,
	action text NOT NULL,
	op text,
	target text,
	detail jsonb
);
COMMENT ON TABLE vecrecall.audit_log IS
	'what vecrecall.audit says is to be told, append only';
COMMENT ON COLUMN vecrecall.audit_log.id IS 'number';
COMMENT ON COLUMN vecrecall.audit_log.at IS 'when';
COMMENT ON COLUMN vecrecall.audit_log.role IS 'who';
COMMENT ON COLUMN vecrecall.audit_log.action IS 'plan, record, train, reset, ceiling, job, or the state that a job ended in';
COMMENT ON COLUMN vecrecall.audit_log.op IS 'operation';
COMMENT ON COLUMN vecrecall.audit_log.target IS 'target';
COMMENT ON COLUMN vecrecall.audit_log.detail IS 'what else there is to say';

SELECT pg_catalog.pg_extension_config_dump('vecrecall.batch_history', '');
SELECT pg_catalog.pg_extension_config_dump('vecrecall.batch_history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('vecrecall.planner_state', '');
SELECT pg_catalog.pg_extension_config_dump('vecrecall.batch_job', '');
SELECT pg_catalog.pg_extension_config_dump('vecrecall.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('vecrecall.audit_log_id_seq', '');

COMMENT ON SEQUENCE vecrecall.batch_history_id_seq IS
	'numbers of vecrecall.batch_history';
COMMENT ON SEQUENCE vecrecall.audit_log_id_seq IS
	'numbers of vecrecall.audit_log';

GRANT SELECT ON vecrecall.batch_history, vecrecall.planner_state,
	vecrecall.batch_job TO vecrecall_planner;

CREATE TYPE vecrecall.batch_plan AS (
	batch_size integer,
	batches bigint,
	concurrency integer,
	est_batch_ms float8,
	est_p95_ms float8,
	est_total_ms float8,
	est_rows_per_s float8,
	est_mem_bytes bigint,
	bound_by text,
	source text,
	confidence float8,
	model_version bigint,
	detail jsonb
);
COMMENT ON TYPE vecrecall.batch_plan IS
	'a batch size with what is expected of it, what bounds it, and where it comes from';
COMMENT ON COLUMN vecrecall.batch_plan.batch_size IS 'rows per batch';
COMMENT ON COLUMN vecrecall.batch_plan.batches IS 'batches for all items';
COMMENT ON COLUMN vecrecall.batch_plan.concurrency IS 'batches at once';
COMMENT ON COLUMN vecrecall.batch_plan.est_batch_ms IS 'expected time of a batch';
COMMENT ON COLUMN vecrecall.batch_plan.est_p95_ms IS 'time that 95 of 100 batches keep within';
COMMENT ON COLUMN vecrecall.batch_plan.est_total_ms IS 'expected time of all items';
COMMENT ON COLUMN vecrecall.batch_plan.est_rows_per_s IS 'expected throughput, of all batches at once';
COMMENT ON COLUMN vecrecall.batch_plan.est_mem_bytes IS 'memory, of all batches at once';
COMMENT ON COLUMN vecrecall.batch_plan.bound_by IS 'what keeps the batch from being larger: knee, memory, latency, lease, provider, tokens, items, ceiling or growth';
COMMENT ON COLUMN vecrecall.batch_plan.source IS 'prior (shipped), model (learned), explore or ceiling';
COMMENT ON COLUMN vecrecall.batch_plan.confidence IS 'from 0 for nothing known to 1';
COMMENT ON COLUMN vecrecall.batch_plan.model_version IS 'observations that the plan is made from';
COMMENT ON COLUMN vecrecall.batch_plan.detail IS 'what was assumed and learned, the seed, and whether the objective is met';

-- Plans. Not for parallel queries only because vecrecall.audit = all writes.

CREATE FUNCTION vecrecall.plan_batch(item_count bigint, dim integer,
	op text DEFAULT 'insert', target text DEFAULT 'default',
	goal text DEFAULT 'throughput', resources jsonb DEFAULT NULL,
	limits jsonb DEFAULT NULL, explore boolean DEFAULT false,
	seed bigint DEFAULT NULL)
	RETURNS vecrecall.batch_plan
	AS 'MODULE_PATHNAME', 'vr_plan_batch'
	LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.plan_batch(bigint, integer, text, text, text, jsonb, jsonb, boolean, bigint) IS
	'how many items per batch, and how many batches at once';

CREATE FUNCTION vecrecall.plan_dimension(base_batch integer, base_dim integer,
	dim integer, memory_mb integer DEFAULT NULL)
	RETURNS vecrecall.batch_plan
	AS 'MODULE_PATHNAME', 'vr_plan_dimension'
	LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.plan_dimension(integer, integer, integer, integer) IS
	'the batch of as many bytes for another dimension';

CREATE FUNCTION vecrecall.plan_concurrency(total_items bigint,
	batch_size integer, op text DEFAULT 'insert',
	target text DEFAULT 'default', capacity jsonb DEFAULT NULL,
	dim integer DEFAULT 384)
	RETURNS vecrecall.batch_plan
	AS 'MODULE_PATHNAME', 'vr_plan_concurrency'
	LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.plan_concurrency(bigint, integer, text, text, jsonb, integer) IS
	'how many batches of a given size at once';

CREATE FUNCTION vecrecall.plan_strategy(current jsonb,
	op text DEFAULT 'insert', target text DEFAULT 'default',
	goal text DEFAULT 'throughput')
	RETURNS jsonb
	AS 'MODULE_PATHNAME', 'vr_plan_strategy'
	LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.plan_strategy(jsonb, text, text, text) IS
	'whether to keep, grow or shrink batches as they go now, or to slow down';

-- Records

CREATE FUNCTION vecrecall.batch_record(op text, target text, dim integer,
	batch_size bigint, concurrency integer, rows bigint, elapsed_ms float8,
	ok boolean, tokens bigint DEFAULT NULL, mem_bytes bigint DEFAULT NULL,
	sqlstate text DEFAULT NULL, plan_id bigint DEFAULT NULL,
	slo_ms float8 DEFAULT NULL)
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'vr_batch_record'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.batch_record(text, text, integer, bigint, integer, bigint, float8, boolean, bigint, bigint, text, bigint, float8) IS
	'records a batch and learns from it; its number in batch_history, or null if it was not recorded';

CREATE FUNCTION vecrecall.planner_train(since interval DEFAULT '30 days')
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'vr_planner_train'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.planner_train(interval) IS
	'learns all models anew from the history; the batches that were used';

CREATE FUNCTION vecrecall.planner_reset(op text, target text)
	RETURNS bigint
	AS 'MODULE_PATHNAME', 'vr_planner_reset'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.planner_reset(text, text) IS
	'forgets what was learned and the batches it was learned from; null is any';

CREATE FUNCTION vecrecall.planner_evaluate(holdout float8 DEFAULT 0.2,
	tolerance float8 DEFAULT 0.1)
	RETURNS TABLE (method text, groups bigint, correct bigint, share float8,
		mean_regret float8, mape float8)
	AS 'MODULE_PATHNAME', 'vr_planner_evaluate'
	LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.planner_evaluate(float8, float8) IS
	'learns from the older part of the history and judges plans by the newer part, beside simple rules';

-- Views

CREATE FUNCTION vecrecall._planner_cells()
	RETURNS TABLE (op text, target text, dim_from integer, dim_to integer,
		observations bigint, batch_ms float8, row_us float8, dim_ns float8,
		token_us float8, spill_us float8, sigma float8, kappa float8,
		noise float8, r95 float8, mape float8, regret float8,
		tokens_per_row float8, memory_ratio float8, smallest bigint,
		biggest bigint, failures bigint, ceiling_batch bigint,
		ceiling_concurrency integer, updated timestamptz, plans bigint,
		p50_ms float8, p95_ms float8, from_prior bigint, from_model bigint,
		from_explore bigint, from_ceiling bigint)
	AS 'MODULE_PATHNAME', 'vr_planner_cells'
	LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecrecall._planner_cells() IS
	'what vecrecall.planner_models and vecrecall.planner_stats show';

CREATE VIEW vecrecall.planner_models AS
	SELECT op, target, dim_from, dim_to, observations, batch_ms, row_us,
		dim_ns, token_us, spill_us, sigma, kappa, noise, r95, mape,
		tokens_per_row, memory_ratio, smallest, biggest, failures,
		ceiling_batch, ceiling_concurrency, updated
	FROM vecrecall._planner_cells() WHERE updated IS NOT NULL;
COMMENT ON VIEW vecrecall.planner_models IS
	'learned costs: milliseconds per batch, microseconds per row, nanoseconds per row and dimension, microseconds per token';
COMMENT ON COLUMN vecrecall.planner_models.op IS 'operation';
COMMENT ON COLUMN vecrecall.planner_models.target IS 'target';
COMMENT ON COLUMN vecrecall.planner_models.dim_from IS 'fewest dimensions of the cell';
COMMENT ON COLUMN vecrecall.planner_models.dim_to IS 'and the most';
COMMENT ON COLUMN vecrecall.planner_models.observations IS 'batches that were learned from';
COMMENT ON COLUMN vecrecall.planner_models.batch_ms IS 'milliseconds of each batch, whatever its size';
COMMENT ON COLUMN vecrecall.planner_models.row_us IS 'microseconds of each row';
COMMENT ON COLUMN vecrecall.planner_models.dim_ns IS 'nanoseconds of each row and dimension';
COMMENT ON COLUMN vecrecall.planner_models.token_us IS 'microseconds of each token';
COMMENT ON COLUMN vecrecall.planner_models.spill_us IS 'microseconds of each row once a tile leaves the second-level cache';
COMMENT ON COLUMN vecrecall.planner_models.sigma IS 'contention of batches that run at once (universal scalability law)';
COMMENT ON COLUMN vecrecall.planner_models.kappa IS 'coherence, likewise';
COMMENT ON COLUMN vecrecall.planner_models.noise IS 'relative standard deviation of the time of a batch';
COMMENT ON COLUMN vecrecall.planner_models.r95 IS 'actual over expected time that 95 of 100 batches keep within';
COMMENT ON COLUMN vecrecall.planner_models.mape IS 'mean relative error of the expected time';
COMMENT ON COLUMN vecrecall.planner_models.tokens_per_row IS 'mean number';
COMMENT ON COLUMN vecrecall.planner_models.memory_ratio IS 'memory taken over memory shipped, at worst';
COMMENT ON COLUMN vecrecall.planner_models.smallest IS 'smallest batch that went well';
COMMENT ON COLUMN vecrecall.planner_models.biggest IS 'and the biggest';
COMMENT ON COLUMN vecrecall.planner_models.failures IS 'batches that failed';
COMMENT ON COLUMN vecrecall.planner_models.ceiling_batch IS 'batches of the target are kept to this size after failures';
COMMENT ON COLUMN vecrecall.planner_models.ceiling_concurrency IS 'batches at once are kept to this number';
COMMENT ON COLUMN vecrecall.planner_models.updated IS 'when this last changed';

CREATE VIEW vecrecall.planner_stats AS
	SELECT op, target, dim_from, dim_to, plans, p50_ms, p95_ms, from_prior,
		from_model, from_explore, from_ceiling, regret
	FROM vecrecall._planner_cells() WHERE plans > 0;
COMMENT ON VIEW vecrecall.planner_stats IS
	'how often was planned, the time of planning in milliseconds, where plans came from, and the share of throughput given away';
COMMENT ON COLUMN vecrecall.planner_stats.op IS 'operation';
COMMENT ON COLUMN vecrecall.planner_stats.target IS 'target';
COMMENT ON COLUMN vecrecall.planner_stats.dim_from IS 'fewest dimensions of the cell';
COMMENT ON COLUMN vecrecall.planner_stats.dim_to IS 'and the most';
COMMENT ON COLUMN vecrecall.planner_stats.plans IS 'plans made';
COMMENT ON COLUMN vecrecall.planner_stats.p50_ms IS 'median time of a plan';
COMMENT ON COLUMN vecrecall.planner_stats.p95_ms IS '95th percentile of it';
COMMENT ON COLUMN vecrecall.planner_stats.from_prior IS 'plans from what is shipped';
COMMENT ON COLUMN vecrecall.planner_stats.from_model IS 'from what was learned';
COMMENT ON COLUMN vecrecall.planner_stats.from_explore IS 'that tried something else';
COMMENT ON COLUMN vecrecall.planner_stats.from_ceiling IS 'bound by earlier failures';
COMMENT ON COLUMN vecrecall.planner_stats.regret IS 'mean share of throughput that recorded batches gave away';

CREATE VIEW vecrecall.batch_progress AS
	SELECT job, op, target, state, message, items, batches, batch_size,
		last_key, role, pid, started, updated,
		items::float8 / GREATEST(EXTRACT(epoch FROM updated - started)::float8, 0.001::float8)
			AS rows_per_s
	FROM vecrecall.batch_job;
COMMENT ON VIEW vecrecall.batch_progress IS
	'how far the jobs of vecrecall.run_batches have come';
COMMENT ON COLUMN vecrecall.batch_progress.job IS 'name';
COMMENT ON COLUMN vecrecall.batch_progress.op IS 'operation: copy, insert, embed_http, embed_local, knn_exact, index_build or train';
COMMENT ON COLUMN vecrecall.batch_progress.target IS 'what the cost depends on besides: a table, a provider';
COMMENT ON COLUMN vecrecall.batch_progress.state IS 'running, done, cancelled or failed; a crash leaves running';
COMMENT ON COLUMN vecrecall.batch_progress.message IS 'of the error that ended it';
COMMENT ON COLUMN vecrecall.batch_progress.last_key IS 'key of the last item done, as text';
COMMENT ON COLUMN vecrecall.batch_progress.items IS 'items done';
COMMENT ON COLUMN vecrecall.batch_progress.batches IS 'batches done';
COMMENT ON COLUMN vecrecall.batch_progress.batch_size IS 'size of the last batch as planned';
COMMENT ON COLUMN vecrecall.batch_progress.role IS 'who called it last';
COMMENT ON COLUMN vecrecall.batch_progress.pid IS 'process that carries it out';
COMMENT ON COLUMN vecrecall.batch_progress.started IS 'when it was first called';
COMMENT ON COLUMN vecrecall.batch_progress.updated IS 'when it last came on';
COMMENT ON COLUMN vecrecall.batch_progress.rows_per_s IS 'items done per second between the two';

REVOKE EXECUTE ON FUNCTION
	vecrecall.batch_record(text, text, integer, bigint, integer, bigint, float8, boolean, bigint, bigint, text, bigint, float8),
	vecrecall.planner_train(interval),
	vecrecall.planner_reset(text, text),
	vecrecall.planner_evaluate(float8, float8),
	vecrecall._planner_cells()
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	vecrecall.batch_record(text, text, integer, bigint, integer, bigint, float8, boolean, bigint, bigint, text, bigint, float8),
	vecrecall.planner_train(interval),
	vecrecall.planner_reset(text, text),
	vecrecall.planner_evaluate(float8, float8),
	vecrecall._planner_cells()
	TO vecrecall_planner;
GRANT SELECT ON vecrecall.planner_models, vecrecall.planner_stats,
	vecrecall.batch_progress TO vecrecall_planner;

-- Jobs

CREATE PROCEDURE vecrecall.run_batches(op text, target text, item_query text,
	statement text, dim integer DEFAULT NULL, job text DEFAULT NULL,
	goal text DEFAULT 'throughput', limits jsonb DEFAULT NULL,
	resources jsonb DEFAULT NULL, concurrency integer DEFAULT 1,
	explore boolean DEFAULT true, seed bigint DEFAULT NULL,
	INOUT items bigint DEFAULT NULL)
	AS 'MODULE_PATHNAME', 'vr_run_batches'
	LANGUAGE C;
COMMENT ON PROCEDURE vecrecall.run_batches(text, text, text, text, integer, text, text, jsonb, jsonb, integer, boolean, bigint, bigint) IS
	'runs statement over the rows of item_query in planned batches, a transaction each; goes on by the key in its first column';
REVOKE EXECUTE ON PROCEDURE vecrecall.run_batches(text, text, text, text, integer, text, text, jsonb, jsonb, integer, boolean, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE vecrecall.run_batches(text, text, text, text, integer, text, text, jsonb, jsonb, integer, boolean, bigint, bigint) TO vecrecall_planner;

-- Storage and indexes

CREATE FUNCTION vecrecall.plan_index_build(rel regclass, col name,
	am text DEFAULT 'hnsw', params jsonb DEFAULT NULL)
	RETURNS TABLE (setting text, value text, why text, est_bytes bigint,
		est_seconds float8)
	AS 'MODULE_PATHNAME', 'vr_plan_index_build'
	LANGUAGE C STABLE PARALLEL UNSAFE ROWS 3;
COMMENT ON FUNCTION vecrecall.plan_index_build(regclass, name, text, jsonb) IS
	'memory of a build in one pass, workers that pay, expected time, and the statements to set them';

-- The four requests of the original service, as JSON.

CREATE FUNCTION vecrecall._check_keys(object jsonb, what text, allowed text[])
	RETURNS boolean
	AS 'MODULE_PATHNAME', 'vr_check_keys'
	LANGUAGE C STABLE PARALLEL SAFE;	-- so that CASE keeps it from folding
COMMENT ON FUNCTION vecrecall._check_keys(jsonb, text, text[]) IS
	'true, or an error that names the key of the object that is not allowed, or the text that is not';

CREATE FUNCTION vecrecall.batch_optimization(request jsonb) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT CASE
	WHEN NOT vecrecall._check_keys(
		pg_catalog.jsonb_build_array(request OPERATOR(pg_catalog.->) 'request'), 'request',
		'{calculate_size,optimize_strategy,adapt_dimension,optimize_concurrency}')
		THEN NULL
	WHEN request OPERATOR(pg_catalog.->>) 'request' = 'calculate_size'
		AND vecrecall._check_keys(request, 'request',
			'{request,item_count,vector_dimension,database_type,op,target,system_resources,limits,optimization_goal}')
		THEN pg_catalog.to_jsonb(vecrecall.plan_batch(
			(request OPERATOR(pg_catalog.->>) 'item_count')::bigint,
			(request OPERATOR(pg_catalog.->>) 'vector_dimension')::integer,
			COALESCE(request OPERATOR(pg_catalog.->>) 'op', request OPERATOR(pg_catalog.->>) 'database_type', 'insert'),
			COALESCE(request OPERATOR(pg_catalog.->>) 'target', 'default'),
			COALESCE(request OPERATOR(pg_catalog.->>) 'optimization_goal', 'throughput'),
			request OPERATOR(pg_catalog.->) 'system_resources', request OPERATOR(pg_catalog.->) 'limits'))
	WHEN request OPERATOR(pg_catalog.->>) 'request' = 'optimize_strategy'
		AND vecrecall._check_keys(request, 'request',
			'{request,current_performance,historical_patterns,database_type,op,target,optimization_goal}')
		THEN vecrecall.plan_strategy(request OPERATOR(pg_catalog.->) 'current_performance',
			COALESCE(request OPERATOR(pg_catalog.->>) 'op', request OPERATOR(pg_catalog.->>) 'database_type', 'insert'),
			COALESCE(request OPERATOR(pg_catalog.->>) 'target', 'default'),
			COALESCE(request OPERATOR(pg_catalog.->>) 'optimization_goal', 'throughput'))
	WHEN request OPERATOR(pg_catalog.->>) 'request' = 'adapt_dimension'
		AND vecrecall._check_keys(request, 'request',
			'{request,base_batch_size,base_dimension,vector_dimension,memory_constraints}')
		AND vecrecall._check_keys(request OPERATOR(pg_catalog.->) 'memory_constraints',
			'memory_constraints', '{available_memory_mb}')
		THEN pg_catalog.to_jsonb(vecrecall.plan_dimension(
			(request OPERATOR(pg_catalog.->>) 'base_batch_size')::integer,
			(request OPERATOR(pg_catalog.->>) 'base_dimension')::integer,
			(request OPERATOR(pg_catalog.->>) 'vector_dimension')::integer,
			(request OPERATOR(pg_catalog.->) 'memory_constraints' OPERATOR(pg_catalog.->>) 'available_memory_mb')::integer))
	WHEN vecrecall._check_keys(request, 'request',
			'{request,total_items,batch_size,vector_dimension,database_type,op,target,system_capacity}')
		THEN pg_catalog.to_jsonb(vecrecall.plan_concurrency(
			(request OPERATOR(pg_catalog.->>) 'total_items')::bigint,
			(request OPERATOR(pg_catalog.->>) 'batch_size')::integer,
			COALESCE(request OPERATOR(pg_catalog.->>) 'op', request OPERATOR(pg_catalog.->>) 'database_type', 'insert'),
			COALESCE(request OPERATOR(pg_catalog.->>) 'target', 'default'),
			request OPERATOR(pg_catalog.->) 'system_capacity',
			COALESCE((request OPERATOR(pg_catalog.->>) 'vector_dimension')::integer, 384)))
	END;
END;
COMMENT ON FUNCTION vecrecall.batch_optimization(jsonb) IS
	'plans as requests in JSON: "request" is calculate_size, optimize_strategy, adapt_dimension or optimize_concurrency';
