/*
 * planner_record.c
 *		Recording batches and learning from them: batch_record, the hook of
 *		base/vr_record.h, planner_train, planner_reset.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/vr_defs.h"
#include "planner/planner_hooks.h"
#include "planner/planner_private.h"

/* The history is trimmed after every so many rows. */
#define TRIM_EVERY 1000

/* Regret is a mean over about this many batches. */
#define REGRET_GAIN 0.02

/*
 * How much throughput the batch gave away, in the model's own view: against the
 * best of what has been tried, with the same number of workers.
 */
static double
record_regret(const VrFit *fit, const VrModel *model, const VrShape *shape,
			  const VrOutcome *outcome)
{
	int n = outcome->concurrency;
	double chosen =
		outcome->batch / VrFitSeconds(fit, shape, outcome->batch, n);
	double best = Max(model->biggest_ok, 1);

	best = best / VrFitSeconds(fit, shape, best, n);
	return best > chosen ? 1 - chosen / best : 0;
}

/*
 * Seconds that each of the workers spent on a batch of that size. Those that
 * build an index share it, all others have a batch each.
 */
double
VrRecordSeconds(const VrPlannerRecord *record)
{
	double seconds = record->elapsed_ms / 1000;

	return record->op == VR_OP_INDEX_BUILD ? seconds * record->concurrency
										   : seconds;
}

/*
 * Learns from one batch. The caller holds the lock or owns the state.
 */
void
VrPlannerFold(VrPlannerState *state, const VrPlannerRecord *record)
{
	VrPlannerCell *cell =
		VrPlannerGetCell(state, VrDimBucket(record->dim), true);
	VrBatchEvent event = VR_EVENT_OK;

	cell->changed = true;
	if (!record->ok)
		event = VrEventFromState(record->sqlstate[0] ? record->sqlstate : NULL);
	else if (record->slo_ms > 0 && record->elapsed_ms > record->slo_ms)
		event = VR_EVENT_SLOW;

	if (record->ok)
	{
		VrModel pool;
		VrFit fit;
		VrShape shape = {0};
		VrOutcome outcome = {0};

		shape.dim = record->dim;
		shape.work = record->work;
		shape.cache_bytes = VrPlannerCacheBytes();
		/* What was done is what took the time, be it less than planned. */
		outcome.batch = Max(record->rows, 1);
		outcome.concurrency = record->concurrency;
		outcome.seconds = VrRecordSeconds(record);
		outcome.tokens = (double) record->tokens;
		outcome.mem_bytes = (double) record->mem_bytes;
		VrPlannerPool(state, cell->bucket, &pool);
		VrModelFit(record->op, &cell->model, &pool, &fit);
		cell->model.regret +=
			Max(REGRET_GAIN, 1 / (cell->model.count + 1)) *
			(record_regret(&fit, &cell->model, &shape, &outcome) -
			 cell->model.regret);
		VrModelFold(record->op, &cell->model, &pool, &shape, &outcome);
	}
	else
		cell->model.failures += 1;

	if (VrCeilingMove(&state->ceiling, record->batch, record->concurrency,
					  event))
		state->ceiling_changed = true;
}

static int64
record_insert(const VrPlannerRecord *record)
{
	Datum args[15];
	char nulls[16] = "               ";
	bool null;

	args[0] = CStringGetTextDatum(vr_op_traits[record->op].name);
	args[1] = CStringGetTextDatum(record->target);
	args[2] = Int32GetDatum(record->dim);
	args[3] = Int64GetDatum(record->batch);
	args[4] = Int32GetDatum(record->concurrency);
	args[5] = Int64GetDatum(record->rows);
	args[6] = Float8GetDatum(record->elapsed_ms);
	args[7] = BoolGetDatum(record->ok);
	args[8] = Int64GetDatum(record->tokens);
	args[9] = Int64GetDatum(record->mem_bytes);
	args[10] = CStringGetTextDatum(record->sqlstate);
	args[11] = Int64GetDatum(record->plan_id);
	args[12] = Float8GetDatum(record->slo_ms);
	args[13] = Float8GetDatum(record->work);
	args[14] = BoolGetDatum(record->pending);
	nulls[8] = record->tokens > 0 ? ' ' : 'n';
	nulls[9] = record->mem_bytes > 0 ? ' ' : 'n';
	nulls[10] = record->sqlstate[0] ? ' ' : 'n';
	nulls[11] = record->plan_id != 0 ? ' ' : 'n';
	nulls[12] = record->slo_ms > 0 ? ' ' : 'n';
	nulls[13] = record->work > 0 ? ' ' : 'n';
	if (VrPlannerExecute(VR_QUERY_INSERT_HISTORY, args, nulls, false) != 1)
		elog(ERROR, "a batch was not recorded");
	return DatumGetInt64(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

/* Folds in what others could not, and marks it so. */
static void
record_fold_pending(const char *op, const char *target, VrPlannerState *state)
{
	Datum args[3];
	Datum *ids;
	uint64 rows;

	args[0] = CStringGetTextDatum(op);
	args[1] = CStringGetTextDatum(target);
	rows = VrPlannerExecute(VR_QUERY_READ_PENDING, args, NULL, false);
	if (rows == 0)
		return;
	ids = palloc(rows * sizeof(Datum));
	for (uint64 i = 0; i < rows; i++)
	{
		VrPlannerRecord record;

		VrPlannerReadRecord(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
							&record);
		VrPlannerFold(state, &record);
		ids[i] = Int64GetDatum(record.id);
	}
	args[2] =
		PointerGetDatum(construct_array(ids, (int) rows, INT8OID, sizeof(int64),
										FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	VrPlannerExecute(VR_QUERY_CLEAR_PENDING, args, NULL, false);
}

static void
record_trim(int64 id)
{
	Datum arg;

	if (vr_planner_history_limit == 0 || id % TRIM_EVERY != 0 ||
		id <= vr_planner_history_limit)
		return;
	arg = Int64GetDatum(id - vr_planner_history_limit);
	VrPlannerExecute(VR_QUERY_TRIM_HISTORY, &arg, NULL, false);
}

/*
 * Records a batch and learns from it, and from those that others could not fold
 * in. Returns its number in batch_history, or 0 where nothing is to be written:
 * see VrPlannerMayWrite.
 *
 * With a snapshot of the whole transaction the state that another has changed
 * could not be updated without an error, so that then the batch stays pending.
 */
int64
VrPlannerStore(VrPlannerRecord *record)
{
	const char *op = vr_op_traits[record->op].name;
	VrPlannerSession session;
	int64 id;

	if (vr_planner_mode == VR_PLANNER_OFF || !VrPlannerMayWrite())
		return 0;
	VrPlannerEnter(&session);
	record->pending = IsolationUsesXactSnapshot() ||
					  !VrPlannerLock(op, record->target, false);
	id = record_insert(record);
	if (!record->pending)
	{
		VrPlannerState state;
		VrCeiling before;

		VrPlannerReadState(op, record->target, true, &state);
		before = state.ceiling;
		record_fold_pending(op, record->target, &state);
		VrPlannerFold(&state, record);
		VrStatsTake(record->op, record->target, &state);
		VrPlannerWriteState(op, record->target, &state);
		if (state.ceiling.batch != before.batch ||
			state.ceiling.concurrency != before.concurrency)
			VrPlannerAudit(
				VR_AUDIT_CHANGES, "ceiling", op, record->target,
				psprintf("{\"batch\": " INT64_FORMAT
						 ", \"concurrency\": %d, \"batch_size\": " INT64_FORMAT
						 ", \"sqlstate\": \"%s\"}",
						 state.ceiling.batch, state.ceiling.concurrency,
						 record->batch, record->ok ? "" : record->sqlstate));
		record_trim(id);
	}
	VrPlannerAudit(VR_AUDIT_ALL, "record", op, record->target,
				   psprintf("{\"id\": " INT64_FORMAT "}", id));
	VrPlannerLeave(&session);
	return id;
}

/* A whole number of at least minimum; 0 for null, where that is allowed. */
static int64
record_number(FunctionCallInfo fcinfo, int arg, const char *name, bool is_int4,
			  int64 minimum, bool required)
{
	int64 number;

	if (PG_ARGISNULL(arg))
	{
		if (required)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" must not be null", name)));
		return 0;
	}
	number = is_int4 ? PG_GETARG_INT32(arg) : PG_GETARG_INT64(arg);
	if (number < minimum)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be at least " INT64_FORMAT
							   ", not " INT64_FORMAT,
							   name, minimum, number)));
	return number;
}

/* A time in milliseconds. */
static double
record_time(FunctionCallInfo fcinfo, int arg, const char *name, bool required)
{
	double time;

	if (PG_ARGISNULL(arg))
	{
		if (required)
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("argument \"%s\" must not be null", name)));
		return 0;
	}
	time = PG_GETARG_FLOAT8(arg);
	if (!isfinite(time) || time < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be a finite number of "
							   "milliseconds, at least 0, not %g",
							   name, time)));
	return time;
}

/* An SQLSTATE or an HTTP status, or nothing. */
static void
record_sqlstate(FunctionCallInfo fcinfo, int arg, bool ok,
				VrPlannerRecord *record)
{
	char *state;
	size_t len;

	if (PG_ARGISNULL(arg))
		return;
	state = text_to_cstring(PG_GETARG_TEXT_PP(arg));
	len = strlen(state);
	if ((len != 5 && len != 3) ||
		strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != len)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"sqlstate\" must be an SQLSTATE or an HTTP "
							   "status, not \"%s\"",
							   state)));
	if (ok)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a batch with sqlstate \"%s\" cannot be ok", state)));
	strlcpy(record->sqlstate, state, sizeof(record->sqlstate));
}

PG_FUNCTION_INFO_V1(vr_batch_record);

/*
 * batch_record(op, target, dim, batch_size, concurrency, rows, elapsed_ms, ok,
 * tokens, mem_bytes, sqlstate, plan_id, slo_ms): NULL if nothing was recorded.
 */
Datum
vr_batch_record(PG_FUNCTION_ARGS)
{
	VrPlannerRecord record = {0};
	int64 id;

	record.op = VrRequestOp(VrRequestText(fcinfo, 0, "op"));
	record.target = VrRequestText(fcinfo, 1, "target");
	record.dim =
		VrRequestDim(record_number(fcinfo, 2, "dim", true, PG_INT32_MIN, true));
	record.batch = record_number(fcinfo, 3, "batch_size", false, 1, true);
	record.concurrency =
		(int) record_number(fcinfo, 4, "concurrency", true, 1, true);
	record.rows = record_number(fcinfo, 5, "rows", false, 0, true);
	record.elapsed_ms = record_time(fcinfo, 6, "elapsed_ms", true);
	if (PG_ARGISNULL(7))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", "ok")));
	record.ok = PG_GETARG_BOOL(7);
	record.tokens = record_number(fcinfo, 8, "tokens", false, 1, false);
	record.mem_bytes = record_number(fcinfo, 9, "mem_bytes", false, 1, false);
	record_sqlstate(fcinfo, 10, record.ok, &record);
	record.plan_id = PG_ARGISNULL(11) ? 0 : PG_GETARG_INT64(11);
	record.slo_ms = record_time(fcinfo, 12, "slo_ms", false);

	id = VrPlannerStore(&record);
	if (id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}

/*
 * The hook: what src/knn and src/hnsw did. Keeping books must not fail the work
 * that is booked, so it happens in a subtransaction of its own; an interrupt
 * still gets through.
 */
void
VrPlannerRecordHook(const VrBatchObservation *observation)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	VrPlannerRecord record = {0};
	int op = VrOpLookup(observation->op);

	if (vr_planner_mode == VR_PLANNER_OFF || !VrPlannerMayWrite() ||
		!IsTransactionState() || !VrPlannerExists())
		return;
	if (op < 0 || observation->dim < 1 || observation->batch < 1 ||
		!isfinite(observation->seconds) || observation->seconds < 0)
	{
		ereport(DEBUG1, (errmsg_internal("batch of \"%s\" not recorded",
										 observation->op)));
		return;
	}
	record.op = (VrPlannerOp) op;
	record.target = observation->target;
	record.dim = Min(observation->dim, VR_VECTOR_MAX_DIM);
	record.batch = observation->batch;
	record.concurrency = Max(observation->concurrency, 1);
	record.rows = observation->rows;
	record.elapsed_ms = observation->seconds * 1000;
	record.ok = !observation->failed;
	record.tokens = observation->tokens;
	record.mem_bytes = observation->mem_bytes;
	record.work = observation->work;
	if (observation->sqlstate != NULL)
		strlcpy(record.sqlstate, observation->sqlstate,
				sizeof(record.sqlstate));

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		VrPlannerStore(&record);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		ereport(DEBUG1, (errmsg_internal("batch of \"%s\" not recorded: %s",
										 observation->op, error->message)));
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* Operations with their targets, in order: that of VrPlannerLock. */
typedef struct RecordTargets
{
	uint64 count;
	char **ops;
	char **targets;
} RecordTargets;

/* All that is in the tables of op and target, of which NULL is any. */
static void
record_targets(const char *op, const char *target, RecordTargets *result)
{
	Datum args[2] = {0};
	char nulls[3] = "nn";

	if (op != NULL)
	{
		args[0] = CStringGetTextDatum(op);
		nulls[0] = ' ';
	}
	if (target != NULL)
	{
		args[1] = CStringGetTextDatum(target);
		nulls[1] = ' ';
	}
	result->count = VrPlannerExecute(VR_QUERY_TARGETS, args, nulls, false);
	result->ops = palloc(Max(result->count, 1) * sizeof(char *));
	result->targets = palloc(Max(result->count, 1) * sizeof(char *));
	for (uint64 i = 0; i < result->count; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;

		result->ops[i] = SPI_getvalue(tuple, desc, 1);
		result->targets[i] = SPI_getvalue(tuple, desc, 2);
	}
}

/* Learns (op, target) anew. Returns the batches that were used. */
static int64
record_train(const char *op, const char *target, Datum since)
{
	VrPlannerState state;
	Datum args[3];
	uint64 rows;

	VrPlannerLock(op, target, true);
	VrPlannerReadState(op, target, true, &state);
	for (int i = 0; i < state.count; i++)
	{
		VrModelInit(&state.cells[i].model);
		state.cells[i].changed = true;
	}
	state.ceiling_changed =
		state.ceiling.batch > 0 || state.ceiling.concurrency > 0;
	memset(&state.ceiling, 0, sizeof(VrCeiling));

	args[0] = CStringGetTextDatum(op);
	args[1] = CStringGetTextDatum(target);
	args[2] = since;
	rows = VrPlannerExecute(VR_QUERY_READ_HISTORY, args, NULL, false);
	for (uint64 i = 0; i < rows; i++)
	{
		VrPlannerRecord record;

		CHECK_FOR_INTERRUPTS();
		VrPlannerReadRecord(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
							&record);
		VrPlannerFold(&state, &record);
	}
	SPI_freetuptable(SPI_tuptable);
	VrPlannerExecute(VR_QUERY_CLEAR_ALL_PENDING, args, NULL, false);
	VrPlannerWriteState(op, target, &state);
	return (int64) rows;
}

PG_FUNCTION_INFO_V1(vr_planner_train);

/*
 * planner_train(since): learns all models anew from the history. Returns the
 * batches that were used.
 */
Datum
vr_planner_train(PG_FUNCTION_ARGS)
{
	VrPlannerSession session;
	RecordTargets targets;
	Datum since;
	int64 used = 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", "since")));
	since = PG_GETARG_DATUM(0);
	PreventCommandIfReadOnly("planner_train()");
	PreventCommandDuringRecovery("planner_train()");
	VrPlannerEnter(&session);
	record_targets(NULL, NULL, &targets);
	for (uint64 i = 0; i < targets.count; i++)
		used += record_train(targets.ops[i], targets.targets[i], since);
	VrPlannerAudit(VR_AUDIT_CHANGES, "train", NULL, NULL,
				   psprintf("{\"batches\": " INT64_FORMAT "}", used));
	VrPlannerLeave(&session);
	PG_RETURN_INT64(used);
}

PG_FUNCTION_INFO_V1(vr_planner_reset);

/*
 * planner_reset(op, target): forgets what was learned, and the batches it was
 * learned from; NULL is any. Returns the batches that were forgotten.
 */
Datum
vr_planner_reset(PG_FUNCTION_ARGS)
{
	VrPlannerSession session;
	RecordTargets targets;
	char *op = NULL;
	char *target = NULL;
	int64 forgotten = 0;

	if (!PG_ARGISNULL(0))
	{
		op = text_to_cstring(PG_GETARG_TEXT_PP(0));
		VrRequestOp(op);
	}
	if (!PG_ARGISNULL(1))
		target = text_to_cstring(PG_GETARG_TEXT_PP(1));
	PreventCommandIfReadOnly("planner_reset()");
	PreventCommandDuringRecovery("planner_reset()");
	VrPlannerEnter(&session);
	record_targets(op, target, &targets);
	for (uint64 i = 0; i < targets.count; i++)
	{
		Datum args[2];

		VrPlannerLock(targets.ops[i], targets.targets[i], true);
		args[0] = CStringGetTextDatum(targets.ops[i]);
		args[1] = CStringGetTextDatum(targets.targets[i]);
		forgotten +=
			(int64) VrPlannerExecute(VR_QUERY_RESET_HISTORY, args, NULL, false);
		VrPlannerExecute(VR_QUERY_RESET_STATE, args, NULL, false);
	}
	VrPlannerAudit(VR_AUDIT_CHANGES, "reset", op, target,
				   psprintf("{\"batches\": " INT64_FORMAT "}", forgotten));
	VrPlannerLeave(&session);
	PG_RETURN_INT64(forgotten);
}
