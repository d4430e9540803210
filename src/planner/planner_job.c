/*
 * planner_job.c
 *		run_batches: a long job in planned batches, one transaction each.
 *
 * The items are the rows of a query whose first column is a key: unique, not
 * null, of a type that sorts. Each batch reads those after the last key done,
 *
 *		SELECT array_agg(c1), array_agg(c2), ... FROM
 *		  (SELECT * FROM (item_query) AS item(c1, c2, ...) WHERE c1 > last
 *		   ORDER BY c1 LIMIT n + 1)
 *
 * and hands the arrays to the statement as $1, $2, ..., which does the work, as
 * a rule with unnest($1, $2). No cursor is held and nothing is materialised, so
 * a job can be as long as it likes, and goes on where it was cut off: the key
 * is advanced in the same transaction as the work.
 *
 * The time of a batch includes its commit, so it is known only after that; it
 * is recorded with the next transaction. The queries of the user run as the
 * caller, the planner's own as their owner.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "portability/instr_time.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "planner/planner_private.h"

/* A statement has no more parameters than this anyway. */
#define JOB_MAX_COLUMNS 100

/* Batches that fail for their size, one after another, before giving up. */
#define JOB_RETRIES 20

/*
 * Peak memory of a batch over the bytes of its arrays: what array_agg holds, in
 * chunks of powers of two; the array; the row that it is returned in; what the
 * statement unnests it from, and its rows. Not all of that at once, but the
 * allocator of the system keeps what was given back.
 */
#define JOB_MEMORY_FACTOR 6

typedef struct Job
{
	MemoryContext context; /* lives as long as the call */
	char *name;
	char *op_name;
	char *target;
	char *item_query;
	char *statement;
	VrPlannerRequest request;
	int columns;
	Oid types[JOB_MAX_COLUMNS];
	Oid arrays[JOB_MAX_COLUMNS];
	SPIPlanPtr fetch_first;
	SPIPlanPtr fetch_next;
	SPIPlanPtr work;
	char *last_key; /* NULL at the start */
	int64 items;    /* by this call */
	LOCKTAG lock;
	bool has_record; /* of the batch before, not yet stored */
	VrPlannerRecord record;
} Job;

/* One batch as read; in the context that was current, until that is reset. */
typedef struct JobBatch
{
	int64 count;
	char *last_key;
	int64 bytes;
	Datum arrays[JOB_MAX_COLUMNS];
} JobBatch;

static char *
job_strdup(Job *job, const char *string)
{
	return string ? MemoryContextStrdup(job->context, string) : NULL;
}

/* Prepares a query of the user's, to be kept until the end of the job. */
static SPIPlanPtr
job_prepare(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare(sql, nargs, types);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("could not prepare \"%s\": %s", sql,
							   SPI_result_code_string(SPI_result))));
	return plan;
}

/* Learns the columns of the item query, and prepares everything. */
static void
job_prepare_all(Job *job)
{
	StringInfoData item;
	StringInfoData arrays;
	StringInfoData sql;
	SPIPlanPtr plan;
	TupleDesc desc;
	TypeCacheEntry *entry;
	Oid text = TEXTOID;
	Oid fetch_types[2] = {INT8OID, InvalidOid};
	List *sources;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT * FROM (%s\n) AS item", job->item_query);
	plan = SPI_prepare(sql.data, 0, &text);
	sources = plan ? SPI_plan_get_plan_sources(plan) : NIL;
	if (list_length(sources) != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"item_query\" must be one query")));
	desc = ((CachedPlanSource *) linitial(sources))->resultDesc;
	if (desc == NULL || desc->natts < 1 || desc->natts > JOB_MAX_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"item_query\" must have 1 to %d columns",
							   JOB_MAX_COLUMNS)));
	job->columns = desc->natts;

	/* By position: names of the user's may be ours, or twice the same. */
	initStringInfo(&item);
	initStringInfo(&arrays);
	appendStringInfo(&item, "(%s\n) AS item(", job->item_query);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		job->types[i] = att->atttypid;
		job->arrays[i] = get_array_type(att->atttypid);
		if (!OidIsValid(job->arrays[i]) ||
			OidIsValid(get_element_type(att->atttypid)))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %s of \"item_query\" has type %s, of which "
							"there are no arrays to unnest",
							quote_identifier(NameStr(att->attname)),
							format_type_be(att->atttypid)),
					 errhint("Cast it to text, and back in \"statement\".")));
		appendStringInfo(&item, "%sc%d", i > 0 ? ", " : "", i + 1);
		appendStringInfo(
			&arrays,
			", pg_catalog.array_agg(item.c%d) FILTER (WHERE item.n <= $1)",
			i + 1);
	}
	appendStringInfoChar(&item, ')');
	entry = lookup_type_cache(
		job->types[0], TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR | TYPECACHE_GT_OPR);
	if (!OidIsValid(entry->lt_opr) || !OidIsValid(entry->eq_opr) ||
		!OidIsValid(entry->gt_opr))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("key %s of \"item_query\" has type %s, which does not "
					"sort",
					quote_identifier(NameStr(TupleDescAttr(desc, 0)->attname)),
					format_type_be(job->types[0]))));

	fetch_types[1] = job->types[0];

	/* One row more than the batch shows whether the key is unique. */
	for (int next = 0; next < 2; next++)
	{
		resetStringInfo(&sql);
		appendStringInfo(
			&sql,
			"SELECT pg_catalog.count(*) FILTER (WHERE item.n <= $1), "
			"pg_catalog.count(*), pg_catalog.count(DISTINCT item.c1)%s FROM "
			"(SELECT item.*, pg_catalog.row_number() OVER (ORDER BY item.c1) "
			"AS n FROM %s%s ORDER BY item.c1 LIMIT $1 + 1) AS item",
			arrays.data, item.data, next ? " WHERE item.c1 > $2" : "");
		plan = job_prepare(sql.data, next ? 2 : 1, fetch_types);
		if (next)
			job->fetch_next = plan;
		else
			job->fetch_first = plan;
	}
	resetStringInfo(&sql);
	appendStringInfo(&sql, "SELECT FROM %s WHERE item.c1 IS NULL LIMIT 1",
					 item.data);
	if (SPI_execute(sql.data, true, 1) == SPI_OK_SELECT && SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("first column of \"item_query\" must not be null"),
				 errhint("It is the key by which the job goes on.")));
	job->work = job_prepare(job->statement, job->columns, job->arrays);
}

/* Starts a job, or goes on with one that was cut off. */
static void
job_start(Job *job)
{
	VrPlannerSession session;
	Datum args[7];
	NameData role;

	args[0] = CStringGetTextDatum(job->name);
	VrPlannerEnter(&session);
	if (VrPlannerExecute(VR_QUERY_JOB_READ, args, NULL, false) > 0)
	{
		HeapTuple tuple = SPI_tuptable->vals[0];
		TupleDesc desc = SPI_tuptable->tupdesc;

		if (strcmp(SPI_getvalue(tuple, desc, 1), job->op_name) != 0 ||
			strcmp(SPI_getvalue(tuple, desc, 2), job->target) != 0 ||
			strcmp(SPI_getvalue(tuple, desc, 3), job->item_query) != 0 ||
			strcmp(SPI_getvalue(tuple, desc, 4), job->statement) != 0)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
							errmsg("job \"%s\" exists and does something else",
								   job->name),
							errhint("Choose another name for this one with "
									"\"job\".")));
		job->last_key = job_strdup(job, SPI_getvalue(tuple, desc, 5));
	}
	namestrcpy(&role, GetUserNameFromId(session.saved_user, false));
	args[1] = CStringGetTextDatum(job->op_name);
	args[2] = CStringGetTextDatum(job->target);
	args[3] = CStringGetTextDatum(job->item_query);
	args[4] = CStringGetTextDatum(job->statement);
	args[5] = NameGetDatum(&role);
	args[6] = Int32GetDatum(MyProcPid);
	VrPlannerExecute(VR_QUERY_JOB_START, args, NULL, false);
	VrPlannerAudit(VR_AUDIT_CHANGES, "job", job->op_name, job->target, NULL);
	VrPlannerLeave(&session);
}

/*
 * The last key is kept as text, and read again perhaps by a session with other
 * settings: it is written and read under these, until the nest level that this
 * returns is ended.
 */
static int
job_settle_formats(void)
{
	static const char *const settings[][2] = {{"DateStyle", "ISO, YMD"},
											  {"IntervalStyle", "postgres"},
											  {"extra_float_digits", "3"},
											  {"bytea_output", "hex"}};
	int level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
	return level;
}

static Datum
job_key_from_text(const Job *job)
{
	int level = job_settle_formats();
	Oid in;
	Oid io_param;
	Datum key;

	getTypeInputInfo(job->types[0], &in, &io_param);
	key = OidInputFunctionCall(in, job->last_key, io_param, -1);
	AtEOXact_GUC(true, level);
	return key;
}

static char *
job_key_to_text(const Job *job, Datum key)
{
	int level = job_settle_formats();
	Oid out;
	bool is_varlena;
	char *text;

	getTypeOutputInfo(job->types[0], &out, &is_varlena);
	text = OidOutputFunctionCall(out, key);
	AtEOXact_GUC(true, level);
	return text;
}

/* Reads up to size items after the last key. */
static void
job_fetch(Job *job, int64 size, JobBatch *batch)
{
	Datum args[2];
	HeapTuple tuple;
	TupleDesc desc;
	Datum *keys;
	int16 typlen;
	bool typbyval;
	char typalign;
	bool null;
	int count;
	int rc;
	int64 read;
	SPITupleTable *table;

	memset(batch, 0, sizeof(JobBatch));
	args[0] = Int64GetDatum(size);
	if (job->last_key != NULL)
		args[1] = job_key_from_text(job);
	rc = SPI_execute_plan(job->last_key ? job->fetch_next : job->fetch_first,
						  args, NULL, false, 0);
	if (rc != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read items: %s", SPI_result_code_string(rc));
	table = SPI_tuptable;
	tuple = table->vals[0];
	desc = table->tupdesc;
	batch->count = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &null));
	read = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &null));
	if (DatumGetInt64(SPI_getbinval(tuple, desc, 3, &null)) != read)
		ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
						errmsg("first column of \"item_query\" is not unique"),
						errhint("It is the key by which the job goes on.")));
	if (batch->count == 0)
		return;
	for (int i = 0; i < job->columns; i++)
	{
		batch->arrays[i] = SPI_getbinval(tuple, desc, 4 + i, &null);
		batch->bytes += VARSIZE_ANY(DatumGetPointer(batch->arrays[i]));
	}
	get_typlenbyvalalign(job->types[0], &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(batch->arrays[0]), job->types[0],
					  typlen, typbyval, typalign, &keys, NULL, &count);
	batch->last_key = job_key_to_text(job, keys[count - 1]);
}

/* Advances the key, in the transaction of the batch. */
static void
job_step(Job *job, const JobBatch *batch, int64 size)
{
	VrPlannerSession session;
	Datum args[4];

	args[0] = CStringGetTextDatum(job->name);
	args[1] = CStringGetTextDatum(batch->last_key);
	args[2] = Int64GetDatum(batch->count);
	args[3] = Int64GetDatum(size);
	VrPlannerEnter(&session);
	if (VrPlannerExecute(VR_QUERY_JOB_STEP, args, NULL, false) != 1)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("job \"%s\" has been deleted", job->name)));
	VrPlannerLeave(&session);
}

/* How the job ended, to be committed by the caller. */
static void
job_end(Job *job, const char *state, const char *message)
{
	VrPlannerSession session;
	Datum args[3];

	args[0] = CStringGetTextDatum(job->name);
	args[1] = CStringGetTextDatum(state);
	args[2] = message ? CStringGetTextDatum(message) : (Datum) 0;
	VrPlannerEnter(&session);
	VrPlannerExecute(VR_QUERY_JOB_END, args, message ? "   " : "  n", false);
	VrPlannerAudit(VR_AUDIT_CHANGES, state, job->op_name, job->target, NULL);
	VrPlannerLeave(&session);
}

/*
 * Stores how the batch before went. It is remembered until the transaction that
 * this is part of has gone well.
 */
static void
job_record(Job *job)
{
	if (job->has_record)
		VrPlannerStore(&job->record);
}

/* Remembers how this batch went, for job_record after its transaction. */
static void
job_remember(Job *job, int64 size, const JobBatch *batch, double seconds,
			 int sqlstate)
{
	VrPlannerRecord *record = &job->record;

	memset(record, 0, sizeof(VrPlannerRecord));
	record->op = job->request.op;
	record->target = job->target;
	record->dim = job->request.shape.dim;
	record->batch = size;
	record->concurrency = job->request.caps.concurrency;
	record->rows = batch->count;
	record->elapsed_ms = seconds * 1000;
	record->ok = sqlstate == 0;
	record->mem_bytes = batch->bytes * JOB_MEMORY_FACTOR;
	record->slo_ms = job->request.caps.slo * 1000;
	if (sqlstate != 0)
		strlcpy(record->sqlstate, unpack_sql_state(sqlstate),
				sizeof(record->sqlstate));
	job->has_record = true;
}

static double
job_seconds(instr_time start)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_DOUBLE(now);
}

/* Hands the items of a batch to the statement. */
static void
job_work(Job *job, JobBatch *batch, int64 size)
{
	SPITupleTable *items = SPI_tuptable; /* which hold the arrays */
	int rc = SPI_execute_plan(job->work, batch->arrays, NULL, false, 0);

	if (rc < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("could not execute \"%s\": %s", job->statement,
							   SPI_result_code_string(rc))));
	SPI_freetuptable(SPI_tuptable);
	SPI_freetuptable(items);
	job_step(job, batch, size);
}

/*
 * One batch, or the end of the job where there are no more items, with all that
 * can fail or be cancelled in a subtransaction: records the batch before, plans,
 * reads and works. Sets *size to that of the plan, 0 if there is none, and
 * *start to when reading began. Returns NULL if that went well, with the
 * subtransaction released; else the error, with it rolled back.
 */
static ErrorData *
job_batch(Job *job, JobBatch *batch, int64 *size, instr_time *start)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	memset(batch, 0, sizeof(JobBatch));
	*size = 0;
	INSTR_TIME_SET_CURRENT(*start);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		VrPlan plan;

		CHECK_FOR_INTERRUPTS();
		job_record(job);
		VrPlannerPlan(&job->request, &plan);
		job->request.seed++;
		*size = plan.batch;
		INSTR_TIME_SET_CURRENT(*start);
		job_fetch(job, *size, batch);
		if (batch->count > 0)
			job_work(job, batch, *size);
		else
			job_end(job, "done", NULL);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();
	return error;
}

/*
 * Commits; returns NULL, or the error if that failed, as a deferred constraint
 * makes it, with another transaction begun.
 */
static ErrorData *
job_commit(void)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return error;
}

/*
 * Deals with a batch that failed: returns for it to be tried again smaller, or
 * ends the job and throws. What was committed stays. size is 0 if it did not
 * come to a plan, of which there is nothing to record.
 */
static void
job_failed(Job *job, ErrorData *error, int64 size, JobBatch *batch,
		   double seconds, int failures)
{
	bool cancelled = error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
					 error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
	bool too_big =
		!cancelled && VrEventFromState(unpack_sql_state(error->sqlerrcode)) ==
						  VR_EVENT_TOO_BIG;

	/* Whoever cancels does not want to wait for books to be kept. */
	if (!cancelled)
	{
		job_record(job);
		batch->count = 0;
		job_remember(job, size, batch, seconds, error->sqlerrcode);
		if (size > 0)
			job_record(job);
		job->has_record = false;
	}
	if (too_big && size > 1 && failures < JOB_RETRIES)
	{
		SPI_commit();
		return;
	}
	job_end(job, cancelled ? "cancelled" : "failed", error->message);
	SPI_commit();
	ReThrowError(error);
}

/* All batches, up to the end of the items. */
static void
job_loop(Job *job)
{
	MemoryContext batch_context = AllocSetContextCreate(
		job->context, "vecrecall batch", ALLOCSET_DEFAULT_SIZES);
	int failures = 0;
	bool done = false;

	while (!done)
	{
		JobBatch batch;
		int64 size;
		instr_time start;
		ErrorData *error;

		MemoryContextSwitchTo(batch_context);
		error = job_batch(job, &batch, &size, &start);
		if (error == NULL)
			error = job_commit();
		if (error != NULL)
		{
			job_failed(job, error, size, &batch, job_seconds(start),
					   ++failures);
			/* Without a ceiling on record there is still one for this job. */
			job->request.caps.max_batch = Max(size / 2, 1);
		}
		else
		{
			job->has_record = false;
			failures = 0;
			done = batch.count == 0;
			if (!done)
			{
				job_remember(job, size, &batch, job_seconds(start), 0);
				if (job->last_key != NULL)
					pfree(job->last_key);
				job->last_key = job_strdup(job, batch.last_key);
				job->items += batch.count;
			}
		}
		MemoryContextSwitchTo(job->context);
		MemoryContextReset(batch_context);
	}
	MemoryContextDelete(batch_context);
}

static void
job_arguments(FunctionCallInfo fcinfo, Job *job)
{
	job->op_name = VrRequestText(fcinfo, 0, "op");
	job->target = VrRequestText(fcinfo, 1, "target");
	job->item_query = VrRequestText(fcinfo, 2, "item_query");
	job->statement = VrRequestText(fcinfo, 3, "statement");
	VrRequestInit(&job->request, VrRequestBatchOp(job->op_name), job->target,
				  PG_ARGISNULL(4) ? 1 : VrRequestDim(PG_GETARG_INT32(4)));
	job->name = PG_ARGISNULL(5) ? psprintf("%s/%s", job->op_name, job->target)
								: text_to_cstring(PG_GETARG_TEXT_PP(5));
	job->request.goal = VrRequestGoal(VrRequestText(fcinfo, 6, "goal"));
	VrRequestLimits(&job->request,
					PG_ARGISNULL(7) ? NULL : PG_GETARG_JSONB_P(7));
	VrRequestResources(&job->request,
					   PG_ARGISNULL(8) ? NULL : PG_GETARG_JSONB_P(8),
					   "resources");
	if (PG_ARGISNULL(9) || PG_GETARG_INT32(9) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be at least 1", "concurrency")));
	job->request.caps.concurrency = PG_GETARG_INT32(9);
	job->request.explore = !PG_ARGISNULL(10) && PG_GETARG_BOOL(10);
	job->request.seeded = !PG_ARGISNULL(11);
	if (job->request.seeded)
		job->request.seed = (uint64) PG_GETARG_INT64(11);
}

PG_FUNCTION_INFO_V1(vr_run_batches);

/*
 * run_batches(op, target, item_query, statement, dim, job, goal, limits,
 * resources, concurrency, explore, seed, INOUT items): items done by this call.
 */
Datum
vr_run_batches(PG_FUNCTION_ARGS)
{
	Job *job;
	TupleDesc desc;
	Datum result;
	bool null = false;
	MemoryContext context = CurrentMemoryContext;

	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("run_batches() cannot run inside a transaction block"),
				 errhint("It commits after each batch: CALL it by itself.")));
	PreventCommandIfReadOnly("run_batches()");
	PreventCommandDuringRecovery("run_batches()");
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	job = palloc0(sizeof(Job));
	job->context = CurrentMemoryContext;
	job_arguments(fcinfo, job);
	if (!VrPlannerLockJob(job->name, &job->lock))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("job \"%s\" is being carried out by another "
							   "session",
							   job->name)));
	PG_TRY();
	{
		job_prepare_all(job);
		job_start(job);
		SPI_commit();
		job_loop(job);
	}
	PG_FINALLY();
	{
		LockRelease(&job->lock, ExclusiveLock, true);
	}
	PG_END_TRY();

	SPI_freeplan(job->fetch_first);
	SPI_freeplan(job->fetch_next);
	SPI_freeplan(job->work);
	result = Int64GetDatum(job->items);
	SPI_finish();
	MemoryContextSwitchTo(context);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), &result, &null)));
}
