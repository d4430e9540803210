/*
 * planner_sql.c
 *		The plans as SQL functions: plan_batch, plan_dimension,
 *		plan_concurrency, plan_strategy; and the hook that asks for a size.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "planner/planner_hooks.h"
#include "planner/planner_private.h"

#define PLAN_COLUMNS 13

/* Vectors are kept padded to so many elements. */
#define STRIDE 16

/* A batch that differs by less from the planned one is left alone. */
#define STRATEGY_TOLERANCE 1.25

/* Share of failed batches that is not an accident. */
#define STRATEGY_ERRORS 0.05

/*
 * Reads what is known for a request. With vecrecall.planner not on, that is
 * what is shipped.
 */
void
VrPlannerKnow(VrPlannerRequest *request, VrPlannerKnowledge *known)
{
	VrModel pool;

	VrModelInit(&known->own);
	VrModelInit(&pool);
	if (vr_planner_mode == VR_PLANNER_ON)
	{
		VrPlannerSession session;
		VrPlannerState state;
		VrPlannerCell *cell;
		int bucket = VrDimBucket(request->shape.dim);

		VrPlannerEnter(&session);
		VrPlannerReadState(vr_op_traits[request->op].name, request->target,
						   false, &state);
		VrPlannerLeave(&session);
		cell = VrPlannerGetCell(&state, bucket, false);
		if (cell != NULL)
			known->own = cell->model;
		VrPlannerPool(&state, bucket, &pool);
		request->caps.ceiling = state.ceiling;
		pfree(state.cells);
	}
	known->pooled = pool.count;
	VrModelFit(request->op, &known->own, &pool, &known->fit);
}

/* Refuses a plan that fits nothing, with the arithmetic. */
static void
plan_check(const VrPlannerRequest *request, const VrPlannerKnowledge *known,
		   const VrPlan *plan, int64 batch)
{
	const VrPlanCaps *caps = &request->caps;
	int dim = request->shape.dim;
	int n = Max(caps->concurrency, 1);
	double fixed = known->fit.traits->mem_batch * known->fit.mem_ratio;

	switch (plan->status)
	{
		case VR_PLAN_OK:
			break;
		case VR_PLAN_NO_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("no batch fits: " INT64_FORMAT
							" row(s) of %d dimensions need %.0f bytes x %d "
							"worker(s), the budget is %.0f",
							batch, dim, fixed + batch * plan->row_bytes, n,
							caps->memory),
					 errhint("Raise \"available_memory_mb\", or work_mem, "
							 "from which it is taken otherwise.")));
			break;
		case VR_PLAN_NO_TOKENS:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("no batch fits: an item has %.0f tokens, a batch "
							"may have %.0f",
							request->shape.tokens_per_row > 0
								? request->shape.tokens_per_row
								: known->fit.tokens_per_row,
							caps->max_tokens),
					 errhint("Split the items, or raise "
							 "\"max_tokens_per_batch\" in \"limits\".")));
			break;
		case VR_PLAN_NO_BYTES:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("no batch fits: an item of %d dimensions has %d "
							"bytes, a batch may have %.0f",
							dim, 4 * dim + 16, caps->max_bytes),
					 errhint("Raise \"max_bytes\" in \"limits\".")));
			break;
	}
}

/* Everything a plan was made from, as JSON. */
static Datum
plan_detail(const VrPlannerRequest *request, const VrPlannerKnowledge *known,
			const VrPlan *plan)
{
	const VrPlanCaps *caps = &request->caps;
	const VrFit *fit = &known->fit;
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s,
					 "{\"goal\": \"%s\", \"resources\": "
					 "{\"available_memory_mb\": %.6g, \"cpu_cores\": %d",
					 vr_goal_names[request->goal], caps->memory / (1024 * 1024),
					 caps->cores);
	if (caps->max_rate > 0)
		appendStringInfo(&s, ", \"io_rows_per_s\": %.6g", caps->max_rate);
	if (fit->traits->tiled)
		appendStringInfo(&s, ", \"l2_cache_kb\": %.6g",
						 request->shape.cache_bytes / 1024);
	appendStringInfo(
		&s,
		"}, \"coefficients_ms\": {\"batch\": %.6g, \"row\": %.6g, \"dim\": "
		"%.6g, \"token\": %.6g, \"spill\": %.6g}, \"sigma\": %.6g, \"kappa\": "
		"%.6g, \"noise\": %.6g, \"r95\": %.6g, \"row_bytes\": %.0f, "
		"\"observations\": %.0f, \"borrowed\": %.0f, \"objective_met\": %s",
		fit->coef[VR_COEF_BATCH] * 1e3, fit->coef[VR_COEF_ROW] * 1e3,
		fit->coef[VR_COEF_DIM] * 1e3, fit->coef[VR_COEF_TOKEN] * 1e3,
		fit->coef[VR_COEF_SPILL] * 1e3, fit->sigma, fit->kappa, fit->noise,
		fit->r95, plan->row_bytes, known->own.count, known->pooled,
		plan->objective_met ? "true" : "false");
	if (plan->knee > 0)
		appendStringInfo(&s, ", \"knee\": %.0f", plan->knee);
	if (caps->ceiling.batch > 0)
		appendStringInfo(&s, ", \"ceiling_batch\": " INT64_FORMAT,
						 caps->ceiling.batch);
	if (caps->ceiling.concurrency > 0)
		appendStringInfo(&s, ", \"ceiling_concurrency\": %d",
						 caps->ceiling.concurrency);
	if (request->seeded)
		appendStringInfo(&s, ", \"seed\": " INT64_FORMAT,
						 (int64) request->seed);
	appendStringInfoChar(&s, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(s.data));
}

/* Descriptor of batch_plan, however the function was called. */
static TupleDesc
plan_descriptor(FunctionCallInfo fcinfo)
{
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != PLAN_COLUMNS)
		elog(ERROR, "return type must be vecrecall.batch_plan");
	return BlessTupleDesc(desc);
}

static int32
plan_int(int64 number)
{
	return (int32) Min(number, PG_INT32_MAX);
}

static Datum
plan_result(FunctionCallInfo fcinfo, const VrPlannerRequest *request,
			const VrPlannerKnowledge *known, const VrPlan *plan)
{
	Datum values[PLAN_COLUMNS];
	bool nulls[PLAN_COLUMNS] = {false};

	values[0] = Int32GetDatum(plan_int(plan->batch));
	values[1] = Int64GetDatum(plan->batches);
	values[2] = Int32GetDatum(plan->concurrency);
	values[3] = Float8GetDatum(plan->seconds * 1000);
	values[4] = Float8GetDatum(plan->p95 * 1000);
	values[5] = Float8GetDatum(plan->total_seconds * 1000);
	values[6] = Float8GetDatum(plan->rows_per_second);
	values[7] = Int64GetDatum((int64) ceil(Min(plan->mem_bytes, 9e18)));
	values[8] = CStringGetTextDatum(vr_bound_names[plan->bound]);
	values[9] = CStringGetTextDatum(vr_source_names[plan->source]);
	values[10] = Float8GetDatum(plan->confidence);
	values[11] = Int64GetDatum((int64) (known->own.count + known->pooled));
	values[12] = plan_detail(request, known, plan);
	return HeapTupleGetDatum(
		heap_form_tuple(plan_descriptor(fcinfo), values, nulls));
}

/* Tells the audit log of a plan, where it wants to know of each. */
static void
plan_audit(const VrPlannerRequest *request, const VrPlan *plan)
{
	VrPlannerSession session;

	if (vr_planner_audit < VR_AUDIT_ALL || !VrPlannerMayWrite())
		return;
	VrPlannerEnter(&session);
	VrPlannerAudit(
		VR_AUDIT_ALL, "plan", vr_op_traits[request->op].name, request->target,
		psprintf("{\"batch_size\": " INT64_FORMAT
				 ", \"concurrency\": %d, \"dim\": %d}",
				 plan->batch, plan->concurrency, request->shape.dim));
	VrPlannerLeave(&session);
}

/* Chooses; explores where asked to, and where it is time to. */
static void
plan_choose(VrPlannerRequest *request, const VrPlannerKnowledge *known,
			VrPlan *plan)
{
	if (request->explore)
	{
		VrRandom random;

		VrRandomSeed(&random, request->seeded ? request->seed
											  : (uint64) GetCurrentTimestamp() ^
													((uint64) MyProcPid << 40));
		if (VrPlanWantsExplore(&known->own, vr_planner_explore_fraction,
							   &random))
		{
			VrPlanExplore(&known->fit, &known->own, &request->shape,
						  request->goal, &request->caps, &random, plan);
			return;
		}
	}
	VrPlanChoose(&known->fit, &known->own, &request->shape, request->goal,
				 &request->caps, plan);
}

/*
 * Plans for C callers: knows, chooses, refuses what fits nothing.
 */
void
VrPlannerPlan(VrPlannerRequest *request, VrPlan *plan)
{
	VrPlannerKnowledge known;

	VrPlannerKnow(request, &known);
	plan_choose(request, &known, plan);
	plan_check(request, &known, plan, 1);
}

static Jsonb *
plan_json(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : PG_GETARG_JSONB_P(arg);
}

static int64
plan_items(FunctionCallInfo fcinfo, int arg, const char *name)
{
	int64 items;

	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
	items = PG_GETARG_INT64(arg);
	if (items < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be at least 1, not " INT64_FORMAT,
							   name, items)));
	return items;
}

static int
plan_int4(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
	return PG_GETARG_INT32(arg);
}

static int
plan_positive(FunctionCallInfo fcinfo, int arg, const char *name)
{
	int number = plan_int4(fcinfo, arg, name);

	if (number < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be at least 1, not %d", name, number)));
	return number;
}

PG_FUNCTION_INFO_V1(vr_plan_batch);

/*
 * plan_batch(item_count, dim, op, target, goal, resources, limits, explore,
 * seed)
 */
Datum
vr_plan_batch(PG_FUNCTION_ARGS)
{
	instr_time start;
	instr_time end;
	VrPlannerRequest request;
	VrPlannerKnowledge known;
	VrPlan plan;
	Datum result;
	int64 items = plan_items(fcinfo, 0, "item_count");
	int dim = VrRequestDim(plan_int4(fcinfo, 1, "dim"));
	VrPlannerOp op = VrRequestBatchOp(VrRequestText(fcinfo, 2, "op"));

	INSTR_TIME_SET_CURRENT(start);
	VrRequestInit(&request, op, VrRequestText(fcinfo, 3, "target"), dim);
	request.goal = VrRequestGoal(VrRequestText(fcinfo, 4, "goal"));
	request.caps.items = items;
	VrRequestResources(&request, plan_json(fcinfo, 5), "resources");
	VrRequestLimits(&request, plan_json(fcinfo, 6));
	request.explore = !PG_ARGISNULL(7) && PG_GETARG_BOOL(7);
	request.seeded = !PG_ARGISNULL(8);
	if (request.seeded)
		request.seed = (uint64) PG_GETARG_INT64(8);

	VrPlannerKnow(&request, &known);
	plan_choose(&request, &known, &plan);
	plan_check(&request, &known, &plan, 1);
	result = plan_result(fcinfo, &request, &known, &plan);
	plan_audit(&request, &plan);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	VrStatsCount(op, request.target, dim, plan.source,
				 (double) INSTR_TIME_GET_MICROSEC(end));
	return result;
}

PG_FUNCTION_INFO_V1(vr_plan_dimension);

/*
 * plan_dimension(base_batch, base_dim, dim, memory_mb): the batch of as many
 * bytes for another dimension. Names no operation, so it tells no times.
 */
Datum
vr_plan_dimension(PG_FUNCTION_ARGS)
{
	int base_batch = plan_positive(fcinfo, 0, "base_batch");
	int base_dim = VrRequestDim(plan_int4(fcinfo, 1, "base_dim"));
	int dim = VrRequestDim(plan_int4(fcinfo, 2, "dim"));
	double memory = work_mem * 1024.0;
	double row = 4.0 * TYPEALIGN(STRIDE, dim) + 16;
	double base_row = 4.0 * TYPEALIGN(STRIDE, base_dim) + 16;
	double batch = floor(base_batch * base_row / row);
	VrPlannerBound bound = VR_BOUND_KNEE;
	Datum values[PLAN_COLUMNS] = {0};
	bool nulls[PLAN_COLUMNS] = {false};

	if (!PG_ARGISNULL(3))
	{
		if (PG_GETARG_INT32(3) < 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("\"%s\" must be at least %d, not %d",
								   "memory_mb", 0, PG_GETARG_INT32(3))));
		memory = PG_GETARG_INT32(3) * 1024.0 * 1024.0;
	}
	if (row > memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("no batch fits: a row of %d dimensions needs %.0f "
						"bytes, the budget is %.0f",
						dim, row, memory)));
	if (batch < 1)
		batch = 1;
	if (batch * row > memory)
	{
		batch = floor(memory / row);
		bound = VR_BOUND_MEMORY;
	}
	memset(nulls, true, sizeof(nulls));
	nulls[0] = nulls[2] = nulls[7] = nulls[8] = nulls[9] = nulls[12] = false;
	values[0] = Int32GetDatum(plan_int((int64) Min(batch, PG_INT32_MAX)));
	values[2] = Int32GetDatum(1);
	values[7] = Int64GetDatum((int64) (batch * row));
	values[8] = CStringGetTextDatum(vr_bound_names[bound]);
	values[9] = CStringGetTextDatum(vr_source_names[VR_SOURCE_PRIOR]);
	values[12] = DirectFunctionCall1(
		jsonb_in,
		CStringGetDatum(psprintf("{\"row_bytes\": %.0f, \"base_row_bytes\": "
								 "%.0f, \"budget_bytes\": %.0f}",
								 row, base_row, memory)));
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(plan_descriptor(fcinfo), values, nulls)));
}

PG_FUNCTION_INFO_V1(vr_plan_concurrency);

/*
 * plan_concurrency(total_items, batch_size, op, target, capacity, dim)
 */
Datum
vr_plan_concurrency(PG_FUNCTION_ARGS)
{
	VrPlannerRequest request;
	VrPlannerKnowledge known;
	VrPlan plan;
	int64 items = plan_items(fcinfo, 0, "total_items");
	int64 batch = plan_positive(fcinfo, 1, "batch_size");
	VrPlannerOp op = VrRequestBatchOp(VrRequestText(fcinfo, 2, "op"));

	VrRequestInit(&request, op, VrRequestText(fcinfo, 3, "target"),
				  VrRequestDim(plan_int4(fcinfo, 5, "dim")));
	request.caps.items = items;
	VrRequestResources(&request, plan_json(fcinfo, 4), "capacity");
	VrPlannerKnow(&request, &known);
	VrPlanConcurrency(&known.fit, &known.own, &request.shape, &request.caps,
					  Min(batch, items), &plan);
	plan_check(&request, &known, &plan, Min(batch, items));
	plan_audit(&request, &plan);
	PG_RETURN_DATUM(plan_result(fcinfo, &request, &known, &plan));
}

PG_FUNCTION_INFO_V1(vr_plan_strategy);

/*
 * plan_strategy(current, op, target, goal): what to do about batches as they go
 * now.
 */
Datum
vr_plan_strategy(PG_FUNCTION_ARGS)
{
	VrPlannerRequest request;
	VrPlannerKnowledge known;
	VrPlan plan;
	double batch = 0;
	double workers = 1;
	double dim = 384;
	double rate = 0;
	double batch_ms = 0;
	double p95 = 0;
	double slo = 0;
	double errors = 0;
	double limited = 0;
	double memory = -1;
	double next;
	double next_workers;
	const char *action;
	const char *reason;
	VrRequestKey keys[] = {{"batch_size", &batch, 1, true},
						   {"concurrency", &workers, 1, true},
						   {"dim", &dim, 1, true},
						   {"rows_per_s", &rate, 0, false},
						   {"batch_ms", &batch_ms, 0, false},
						   {"p95_ms", &p95, 0, false},
						   {"slo_ms", &slo, 1e-6, false},
						   {"error_rate", &errors, 0, false},
						   {"rate_limited", &limited, 0, false},
						   {"available_memory_mb", &memory, 0, false}};
	Jsonb *current = plan_json(fcinfo, 0);
	VrPlannerOp op = VrRequestBatchOp(VrRequestText(fcinfo, 1, "op"));
	char *target = VrRequestText(fcinfo, 2, "target");
	VrPlannerGoal goal = VrRequestGoal(VrRequestText(fcinfo, 3, "goal"));

	if (current == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", "current")));
	VrRequestNumbers(current, "current", keys, lengthof(keys));
	if (batch == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" in \"%s\" is missing", "batch_size",
							   "current")));
	VrRequestInit(&request, op, target, VrRequestDim((int64) Min(dim, 1e9)));
	request.goal = goal;
	request.caps.slo = slo / 1000;
	request.caps.concurrency = (int) Min(workers, 1024);
	if (memory >= 0)
		request.caps.memory = memory * 1024 * 1024;
	VrPlannerKnow(&request, &known);
	plan_choose(&request, &known, &plan);
	plan_check(&request, &known, &plan, 1);

	next = batch;
	next_workers = workers;
	if (limited > 0)
	{
		action = "slow_down";
		reason = "requests are refused for their rate, not for their size";
		next_workers = Max(floor(workers / 2), 1);
	}
	else if (errors > STRATEGY_ERRORS)
	{
		action = "shrink";
		reason = "too many batches fail";
		next = Max(floor(batch / 2), 1);
	}
	else if (slo > 0 && Max(p95, batch_ms) > slo)
	{
		action = "shrink";
		reason = "batches take longer than their objective";
		next = Max(Min(floor(batch * 0.9), plan.batch), 1);
	}
	else if (plan.batch >= batch * STRATEGY_TOLERANCE)
	{
		action = "grow";
		reason = "a bigger batch has more throughput within the limits";
		next = Min(plan.batch, batch * 2);
	}
	else if (plan.batch * STRATEGY_TOLERANCE <= batch)
	{
		action = "shrink";
		reason = plan.bound == VR_BOUND_KNEE ? "a smaller batch does as well"
											 : "the batch exceeds a limit";
		next = Max(plan.batch, floor(batch / 2));
	}
	else
	{
		action = "keep";
		reason = "the batch is about the planned one";
	}
	plan_audit(&request, &plan);
	PG_RETURN_DATUM(DirectFunctionCall1(
		jsonb_in,
		CStringGetDatum(psprintf(
			"{\"action\": \"%s\", \"reason\": \"%s\", \"next_batch_size\": "
			"%.0f, \"next_concurrency\": %.0f, \"planned_batch_size\": " INT64_FORMAT
			", \"bound_by\": \"%s\", \"source\": \"%s\", \"confidence\": "
			"%.4g, \"est_rows_per_s\": %.6g, \"current_rows_per_s\": %s}",
			action, reason, next, next_workers, plan.batch,
			vr_bound_names[plan.bound], vr_source_names[plan.source],
			plan.confidence, plan.rows_per_second,
			rate > 0 ? psprintf("%.6g", rate) : "null"))));
}

/*
 * The hook: a size for src/knn and src/hnsw, or 0 if nothing is known.
 */
int64
VrPlannerSizeHook(const char *op, const char *target, int dim, int64 items,
				  int64 budget_bytes)
{
	VrPlannerRequest request;
	VrPlannerKnowledge known;
	VrPlan plan;
	int number = VrOpLookup(op);

	if (vr_planner_mode != VR_PLANNER_ON || number < 0 || dim < 1 ||
		items < 1 || IsInParallelMode() || !VrPlannerExists())
		return 0;
	VrRequestInit(&request, (VrPlannerOp) number, target,
				  Min(dim, VR_VECTOR_MAX_DIM));
	request.caps.items = items;
	request.caps.concurrency = 1;
	if (budget_bytes > 0)
		request.caps.memory = (double) budget_bytes;
	VrPlannerKnow(&request, &known);
	VrPlanChoose(&known.fit, &known.own, &request.shape, VR_GOAL_THROUGHPUT,
				 &request.caps, &plan);
	return plan.status == VR_PLAN_OK ? plan.batch : 0;
}
