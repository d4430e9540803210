/*
 * planner_store.c
 *		The planner's tables: batch_history, planner_state, audit_log,
 *		batch_job.
 *
 * They are read and written as their owner, so that whoever may plan, or does
 * work that records itself, needs no privileges on them; what a caller may do
 * is decided by the privileges on the SQL functions. Every relation, operator
 * and function is named by its schema, because plans are made anew whenever the
 * caller's search_path is another one.
 *
 * Nothing here ever waits for another writer: see VrPlannerLock.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "planner/planner_private.h"

/* Tells our advisory locks from those of SQL, which have 1 and 2 here. */
#define STORE_LOCK_CLASS 3
#define STORE_JOB_LOCK_CLASS 4

/* The row of planner_state that holds the ceiling of (operation, target). */
#define STORE_CEILING_BUCKET (-1)

#define STORE_MAX_ARGS 15

typedef struct StoreQuery
{
	const char *sql;
	Oid types[STORE_MAX_ARGS];
	SPIPlanPtr plan;
} StoreQuery;

#define HISTORY_COLUMNS                                                        \
	"op, target, dim, batch_size, concurrency, rows, elapsed_ms, ok, tokens, " \
	"mem_bytes, sqlstate, plan_id, slo_ms, work"

#define EQ " OPERATOR(pg_catalog.=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define SINCE "at" GE "(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) $3)"
#define OF_TARGET "op" EQ "$1 AND target" EQ "$2"

static StoreQuery store_queries[VR_QUERY_COUNT] = {
	[VR_QUERY_READ_STATE] = {"SELECT dim_bucket, model, stats, ceiling_batch, "
							 "ceiling_concurrency, ceiling_clean, updated FROM "
							 "vecrecall.planner_state WHERE " OF_TARGET,
							 {TEXTOID, TEXTOID}},
	[VR_QUERY_STATE_TARGETS] =
		{"SELECT DISTINCT op, target FROM vecrecall.planner_state WHERE "
		 "dim_bucket" GE "0 ORDER BY op, target"},
	[VR_QUERY_WRITE_STATE] =
		{"INSERT INTO vecrecall.planner_state AS s (op, target, dim_bucket, "
		 "model, stats, ceiling_batch, ceiling_concurrency, ceiling_clean, "
		 "updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
		 "pg_catalog.clock_timestamp()) ON CONFLICT (op, target, dim_bucket) "
		 "DO UPDATE SET model = excluded.model, stats = excluded.stats, "
		 "ceiling_batch = excluded.ceiling_batch, ceiling_concurrency = "
		 "excluded.ceiling_concurrency, ceiling_clean = "
		 "excluded.ceiling_clean, updated = excluded.updated",
		 {TEXTOID, TEXTOID, INT4OID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, INT8OID,
		  INT4OID, INT4OID}},
	[VR_QUERY_INSERT_HISTORY] =
		{"INSERT INTO vecrecall.batch_history (" HISTORY_COLUMNS ", pending) "
		 "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
		 "$14, $15) RETURNING id",
		 {TEXTOID, TEXTOID, INT4OID, INT8OID, INT4OID, INT8OID, FLOAT8OID,
		  BOOLOID, INT8OID, INT8OID, TEXTOID, INT8OID, FLOAT8OID, FLOAT8OID,
		  BOOLOID}},
	[VR_QUERY_READ_PENDING] = {"SELECT id, " HISTORY_COLUMNS
							   " FROM vecrecall.batch_history WHERE "
							   "pending AND " OF_TARGET
							   " ORDER BY id LIMIT 1000",
							   {TEXTOID, TEXTOID}},
	[VR_QUERY_CLEAR_PENDING] =
		{"UPDATE vecrecall.batch_history SET pending = false WHERE pending "
		 "AND " OF_TARGET " AND id" EQ "ANY ($3)",
		 {TEXTOID, TEXTOID, INT8ARRAYOID}},
	[VR_QUERY_TRIM_HISTORY] =
		{"WITH old AS (SELECT id FROM vecrecall.batch_history WHERE $1" GE
		 "id AND NOT pending ORDER BY id LIMIT 5000 FOR UPDATE SKIP LOCKED) "
		 "DELETE FROM vecrecall.batch_history h USING old WHERE h.id" EQ
		 "old.id",
		 {INT8OID}},
	[VR_QUERY_AUDIT] =
		{"INSERT INTO vecrecall.audit_log (role, action, op, target, detail) "
		 "VALUES ($1, $2, $3, $4, $5::pg_catalog.jsonb)",
		 {NAMEOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}},
	[VR_QUERY_TARGETS] =
		{"SELECT op, target FROM (SELECT op, target FROM "
		 "vecrecall.batch_history UNION SELECT op, target FROM "
		 "vecrecall.planner_state) t WHERE ($1 IS NULL OR op" EQ
		 "$1) AND ($2 IS NULL OR target" EQ "$2) ORDER BY op, target",
		 {TEXTOID, TEXTOID}},
	[VR_QUERY_READ_HISTORY] = {"SELECT id, " HISTORY_COLUMNS
							   " FROM vecrecall.batch_history WHERE " OF_TARGET
							   " AND " SINCE " ORDER BY id",
							   {TEXTOID, TEXTOID, INTERVALOID}},
	[VR_QUERY_READ_ALL_HISTORY] = {"SELECT id, " HISTORY_COLUMNS
								   " FROM vecrecall.batch_history ORDER "
								   "BY id"},
	[VR_QUERY_CLEAR_ALL_PENDING] =
		{"UPDATE vecrecall.batch_history SET pending = false WHERE pending "
		 "AND " OF_TARGET,
		 {TEXTOID, TEXTOID}},
	[VR_QUERY_RESET_STATE] =
		{"DELETE FROM vecrecall.planner_state WHERE " OF_TARGET,
		 {TEXTOID, TEXTOID}},
	[VR_QUERY_RESET_HISTORY] =
		{"DELETE FROM vecrecall.batch_history WHERE " OF_TARGET,
		 {TEXTOID, TEXTOID}},
	[VR_QUERY_JOB_READ] =
		{"SELECT op, target, item_query, statement, last_key FROM "
		 "vecrecall.batch_job WHERE job" EQ "$1",
		 {TEXTOID}},
	[VR_QUERY_JOB_START] =
		{"INSERT INTO vecrecall.batch_job (job, op, target, item_query, "
		 "statement, role, pid) VALUES ($1, $2, $3, $4, $5, $6, $7) ON "
		 "CONFLICT (job) DO UPDATE SET state = 'running', message = NULL, "
		 "role = excluded.role, pid = excluded.pid, updated = "
		 "pg_catalog.clock_timestamp()",
		 {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, NAMEOID, INT4OID}},
	[VR_QUERY_JOB_STEP] =
		{"UPDATE vecrecall.batch_job SET last_key = $2, items = items "
		 "OPERATOR(pg_catalog.+) $3, batches = batches OPERATOR(pg_catalog.+) "
		 "1, batch_size = $4, updated = pg_catalog.clock_timestamp() WHERE "
		 "job" EQ "$1",
		 {TEXTOID, TEXTOID, INT8OID, INT8OID}},
	[VR_QUERY_JOB_END] =
		{"UPDATE vecrecall.batch_job SET state = $2, message = $3, pid = NULL, "
		 "updated = pg_catalog.clock_timestamp() WHERE job" EQ "$1",
		 {TEXTOID, TEXTOID, TEXTOID}},
};

static Oid
store_relation(void)
{
	Oid schema = get_namespace_oid("vecrecall", true);

	return OidIsValid(schema) ? get_relname_relid("planner_state", schema)
							  : InvalidOid;
}

/*
 * Whether this database has the planner's tables: the library may be loaded
 * where the extension is not.
 */
bool
VrPlannerExists(void)
{
	return OidIsValid(store_relation());
}

/*
 * Begins access to the tables: connects to SPI and becomes their owner. Ended
 * by VrPlannerLeave, or by the abort of the (sub)transaction.
 */
void
VrPlannerEnter(VrPlannerSession *session)
{
	Oid relation = store_relation();
	HeapTuple tuple;

	if (!OidIsValid(relation))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table \"vecrecall.planner_state\" does not "
							   "exist"),
						errhint("Is the extension installed in this "
								"database?")));
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	session->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	session->pushed_snapshot = !ActiveSnapshotSet();
	if (session->pushed_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	GetUserIdAndSecContext(&session->saved_user, &session->saved_context);
	SetUserIdAndSecContext(session->owner, session->saved_context |
											   SECURITY_LOCAL_USERID_CHANGE);
}

void
VrPlannerLeave(VrPlannerSession *session)
{
	SetUserIdAndSecContext(session->saved_user, session->saved_context);
	SPI_finish();
	if (session->pushed_snapshot)
		PopActiveSnapshot();
}

/*
 * Runs a query; results are in SPI_tuptable. nulls as for SPI_execute_plan.
 * Returns the rows processed.
 */
uint64
VrPlannerExecute(VrPlannerQuery query, Datum *args, const char *nulls,
				 bool read_only)
{
	StoreQuery *q = &store_queries[query];
	int rc;

	if (q->plan == NULL)
	{
		int nargs = 0;
		SPIPlanPtr plan;

		while (nargs < STORE_MAX_ARGS && OidIsValid(q->types[nargs]))
			nargs++;
		plan = SPI_prepare(q->sql, nargs, q->types);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare \"%s\"", q->sql);
		q->plan = plan;
	}
	rc = SPI_execute_plan(q->plan, args, nulls, read_only, 0);
	if (rc < 0)
		elog(ERROR, "\"%s\" failed: %s", q->sql, SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Takes the right to change what is known about (op, target), up to the end of
 * the transaction. Recording only tries: a batch that comes while another
 * transaction holds the lock, perhaps a long one, goes to the history as
 * pending, and whoever records next folds it in. So recording never waits and
 * cannot deadlock. Training and reset wait; they take locks in order of (op,
 * target), and those who record wait for nothing that they hold.
 */
bool
VrPlannerLock(const char *op, const char *target, bool wait)
{
	uint32 hash = DatumGetUInt32(
		hash_any((const unsigned char *) target, (int) strlen(target)));
	LOCKTAG tag;

	hash = hash_combine(
		hash,
		DatumGetUInt32(hash_any((const unsigned char *) op, (int) strlen(op))));
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store_relation(), hash,
						 STORE_LOCK_CLASS);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) !=
		   LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Takes the sole right to carry out a job, for the session, so that it outlives
 * the job's transactions. False if another session has it. To be released with
 * LockRelease on *tag.
 */
bool
VrPlannerLockJob(const char *job, LOCKTAG *tag)
{
	uint32 hash = DatumGetUInt32(
		hash_any((const unsigned char *) job, (int) strlen(job)));

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, store_relation(), hash,
						 STORE_JOB_LOCK_CLASS);
	return LockAcquire(tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Copies a float8[] of exactly so many elements; false if it is not that. */
static bool
store_doubles(Datum datum, double *doubles, int count)
{
	ArrayType *array = DatumGetArrayTypeP(datum);

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] != count ||
		ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID)
		return false;
	memcpy(doubles, ARR_DATA_PTR(array), count * sizeof(double));
	return true;
}

static Datum
store_array(const double *doubles, int count)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + count * sizeof(double);
	ArrayType *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), doubles, count * sizeof(double));
	return PointerGetDatum(array);
}

/*
 * Reads all that is known about (op, target); cells are allocated in the
 * context that was current before SPI_connect's. latest is for those who hold
 * the lock and will write: it sees what was committed up to now, and not only
 * up to the start of the statement. A model of another layout, as
 * an older version may have left it, counts as empty until planner_train.
 */
void
VrPlannerReadState(const char *op, const char *target, bool latest,
				   VrPlannerState *state)
{
	Datum args[2];
	uint64 rows;
	bool null;

	memset(state, 0, sizeof(VrPlannerState));
	args[0] = CStringGetTextDatum(op);
	args[1] = CStringGetTextDatum(target);
	rows = VrPlannerExecute(VR_QUERY_READ_STATE, args, NULL, !latest);
	state->cells = SPI_palloc((rows + 1) * sizeof(VrPlannerCell));
	for (uint64 i = 0; i < rows; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		int bucket = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &null));

		if (bucket == STORE_CEILING_BUCKET)
		{
			Datum value = SPI_getbinval(tuple, desc, 4, &null);

			state->ceiling.batch = null ? 0 : DatumGetInt64(value);
			value = SPI_getbinval(tuple, desc, 5, &null);
			state->ceiling.concurrency = null ? 0 : DatumGetInt32(value);
			value = SPI_getbinval(tuple, desc, 6, &null);
			state->ceiling.clean = null ? 0 : DatumGetInt32(value);
		}
		else
		{
			VrPlannerCell *cell = &state->cells[state->count++];
			Datum value;

			memset(cell, 0, sizeof(VrPlannerCell));
			cell->bucket = bucket;
			cell->updated = DatumGetInt64(SPI_getbinval(tuple, desc, 7, &null));
			value = SPI_getbinval(tuple, desc, 2, &null);
			if (null ||
				!store_doubles(value, (double *) &cell->model,
							   VR_MODEL_DOUBLES) ||
				cell->model.layout != VR_MODEL_LAYOUT)
				VrModelInit(&cell->model);
			value = SPI_getbinval(tuple, desc, 3, &null);
			if (null || !store_doubles(value, (double *) &cell->stats,
									   VR_STATS_DOUBLES))
				memset(&cell->stats, 0, sizeof(VrPlannerStats));
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

/* The cell of that bucket; NULL if there is none and create is false. */
VrPlannerCell *
VrPlannerGetCell(VrPlannerState *state, int bucket, bool create)
{
	VrPlannerCell *cell;

	for (int i = 0; i < state->count; i++)
		if (state->cells[i].bucket == bucket)
			return &state->cells[i];
	if (!create)
		return NULL;
	state->cells =
		repalloc(state->cells, (state->count + 1) * sizeof(VrPlannerCell));
	cell = &state->cells[state->count++];
	memset(cell, 0, sizeof(VrPlannerCell));
	cell->bucket = bucket;
	VrModelInit(&cell->model);
	return cell;
}

/* What the other cells know, for the cell of bucket to borrow. */
void
VrPlannerPool(const VrPlannerState *state, int bucket, VrModel *pool)
{
	VrModelInit(pool);
	for (int i = 0; i < state->count; i++)
		if (state->cells[i].bucket != bucket)
			VrModelPool(pool, &state->cells[i].model);
}

/* Writes back what has changed. The caller holds the lock. */
void
VrPlannerWriteState(const char *op, const char *target, VrPlannerState *state)
{
	Datum args[8];
	char nulls[9] = "        ";

	args[0] = CStringGetTextDatum(op);
	args[1] = CStringGetTextDatum(target);
	for (int i = 0; i < state->count; i++)
	{
		VrPlannerCell *cell = &state->cells[i];

		if (!cell->changed)
			continue;
		args[2] = Int32GetDatum(cell->bucket);
		args[3] = store_array((double *) &cell->model, VR_MODEL_DOUBLES);
		args[4] = store_array((double *) &cell->stats, VR_STATS_DOUBLES);
		memset(nulls + 5, 'n', 3);
		VrPlannerExecute(VR_QUERY_WRITE_STATE, args, nulls, false);
		cell->changed = false;
	}
	if (state->ceiling_changed)
	{
		memset(nulls + 3, 'n', 2);
		nulls[5] = state->ceiling.batch > 0 ? ' ' : 'n';
		nulls[6] = state->ceiling.concurrency > 0 ? ' ' : 'n';
		nulls[7] = ' ';
		args[2] = Int32GetDatum(STORE_CEILING_BUCKET);
		args[5] = Int64GetDatum(state->ceiling.batch);
		args[6] = Int32GetDatum(state->ceiling.concurrency);
		args[7] = Int32GetDatum(state->ceiling.clean);
		VrPlannerExecute(VR_QUERY_WRITE_STATE, args, nulls, false);
		state->ceiling_changed = false;
	}
}

static int64
store_int64(HeapTuple tuple, TupleDesc desc, int column)
{
	bool null;
	Datum value = SPI_getbinval(tuple, desc, column, &null);

	return null ? 0 : DatumGetInt64(value);
}

static double
store_float8(HeapTuple tuple, TupleDesc desc, int column)
{
	bool null;
	Datum value = SPI_getbinval(tuple, desc, column, &null);

	return null ? 0 : DatumGetFloat8(value);
}

/*
 * Reads a row of batch_history, of the columns id, HISTORY_COLUMNS. The target
 * is allocated in the current context.
 */
void
VrPlannerReadRecord(HeapTuple tuple, TupleDesc desc, VrPlannerRecord *record)
{
	bool null;
	char *text;
	int op = VrOpLookup(SPI_getvalue(tuple, desc, 2));

	memset(record, 0, sizeof(VrPlannerRecord));
	if (op < 0)
		elog(ERROR, "unknown operation in vecrecall.batch_history");
	record->id = store_int64(tuple, desc, 1);
	record->op = (VrPlannerOp) op;
	record->target = SPI_getvalue(tuple, desc, 3);
	record->dim = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &null));
	record->batch = store_int64(tuple, desc, 5);
	record->concurrency = DatumGetInt32(SPI_getbinval(tuple, desc, 6, &null));
	record->rows = store_int64(tuple, desc, 7);
	record->elapsed_ms = store_float8(tuple, desc, 8);
	record->ok = DatumGetBool(SPI_getbinval(tuple, desc, 9, &null));
	record->tokens = store_int64(tuple, desc, 10);
	record->mem_bytes = store_int64(tuple, desc, 11);
	text = SPI_getvalue(tuple, desc, 12);
	if (text != NULL)
		strlcpy(record->sqlstate, text, sizeof(record->sqlstate));
	record->plan_id = store_int64(tuple, desc, 13);
	record->slo_ms = store_float8(tuple, desc, 14);
	record->work = store_float8(tuple, desc, 15);
}

/*
 * Tells the audit log, if it wants to know at this level. detail is JSON or
 * NULL; op and target may be NULL. Inside VrPlannerEnter.
 */
void
VrPlannerAudit(VrAuditMode level, const char *action, const char *op,
			   const char *target, const char *detail)
{
	Datum args[5];
	char nulls[6] = "     ";
	NameData role;

	if (vr_planner_audit < level || !VrPlannerMayWrite())
		return;
	namestrcpy(&role, GetUserNameFromId(GetOuterUserId(), false));
	args[0] = NameGetDatum(&role);
	args[1] = CStringGetTextDatum(action);
	args[2] = op ? CStringGetTextDatum(op) : (Datum) 0;
	args[3] = target ? CStringGetTextDatum(target) : (Datum) 0;
	args[4] = detail ? CStringGetTextDatum(detail) : (Datum) 0;
	nulls[2] = op ? ' ' : 'n';
	nulls[3] = target ? ' ' : 'n';
	nulls[4] = detail ? ' ' : 'n';
	VrPlannerExecute(VR_QUERY_AUDIT, args, nulls, false);
}
