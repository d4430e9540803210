/*
 * knn_exact.c
 *		vecrecall.knn_exact(): exact search of many queries in one scan.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/vr_compat.h"
#include "base/vr_huge.h"
#include "base/vr_record.h"
#include "knn/knn_private.h"

PG_FUNCTION_INFO_V1(vr_knn_exact);

/* A row of a result, as a tuplestore keeps it, with a key of some digits. */
#define EXACT_ROW_BYTES 64

/* Rows of as many bytes together are worth to ask for huge pages. */
#define EXACT_ROWS_HUGE (4 * 1024 * 1024)

/* First block of more there is not: 16 wants blocks to be below a gigabyte. */
#define EXACT_ROWS_MOST (256.0 * 1024 * 1024)

/*
 * Bytes that so many rows are expected to take, if they will be where we say:
 * within work_mem, beyond which they go to a file. None if few.
 */
static Size
ExactRowsSize(double rows)
{
	double bytes = Min(rows * EXACT_ROW_BYTES, work_mem * 1024.0);

	bytes = Min(bytes, EXACT_ROWS_MOST);
	if (!VR_GENERATION_SIZED || !VR_TUPLESTORE_ROWS_HERE ||
		bytes < EXACT_ROWS_HUGE)
		return 0;
	return MAXALIGN((Size) bytes);
}

Tuplestorestate *
VrKnnReturnSet(FunctionCallInfo fcinfo, TupleDesc *desc, double rows)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext context;
	MemoryContext old;

	if (result == NULL || !IsA(result, ReturnSetInfo) ||
		(result->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("set-valued function called in context that "
							   "cannot accept a set")));
	old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result->returnMode = SFRM_Materialize;
	result->setDesc = *desc;
	/*
	 * A tuplestore allocates its rows where it was made. In a context of this
	 * kind they lie closer, and are given back faster, than in the query's: of
	 * hundreds of thousands both can be told. The caller ends the store, not
	 * the context, so all calls from one place have one.
	 */
	context = fcinfo->flinfo->fn_extra;
	if (context == NULL)
	{
		Size size = ExactRowsSize(rows);

		context = VrGenerationContextCreate(fcinfo->flinfo->fn_mcxt,
											"vecrecall result rows", size);
		vr_huge_advise(context, size);
		fcinfo->flinfo->fn_extra = context;
	}
	MemoryContextSwitchTo(context);
	result->setResult = tuplestore_begin_heap(
		(result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	MemoryContextSwitchTo(old);
	return result->setResult;
}

int
VrKnnCheckK(int k)
{
	if (k < 1 || k > VR_KNN_MAX_K)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("k must be between 1 and %d, not %d",
							   VR_KNN_MAX_K, k)));
	return k;
}

/* An argument that must not be NULL. */
void
VrKnnCheckNotNull(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("%s must not be null", name)));
}

/* The function is in schema vecrecall; the types are where its extension is. */
Oid
VrKnnVectorType(FunctionCallInfo fcinfo)
{
	Oid extension =
		getExtensionOfObject(ProcedureRelationId, fcinfo->flinfo->fn_oid);
	HeapTuple tuple;
	Relation rel;
	SysScanDesc scan;
	ScanKeyData key;
	Oid schema = InvalidOid;

	/* There is no cache of pg_extension in every version. */
	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("vector"), ObjectIdGetDatum(schema));
}

/* What the catalogue says of the table's rows; 0 if nothing. */
double
VrKnnTableRows(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	double rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return Max(rows, 0);
}

static int64
ExactBudget(void)
{
	return (int64) work_mem * 1024;
}

void
VrKnnPlanOrError(const VrKnnSpec *spec, int workers, VrKnnPlan *plan)
{
	int64 planned;
	int scans;

	if (!VrKnnPlanSearch(spec, ExactBudget(), workers, plan))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("work_mem of %d kB is too small for this search", work_mem),
			 errdetail("The results of one query, up to %d, take " //
					   INT64_FORMAT " kB.",
					   spec->k, (plan->bytes_needed + 1023) / 1024),
			 errhint("Set work_mem to at least '" INT64_FORMAT "kB', or "
					 "ask for fewer rows.",
					 (plan->bytes_needed + 1023) / 1024)));
	/*
	 * Every scan reads the table anew, so all queries go into one if they can,
	 * and the scans there must be are even. Of several, the planner may have
	 * learnt that smaller ones, with less memory, are as fast.
	 */
	planned = plan->pass_queries < spec->nqueries
				  ? VrPlanSize("knn_exact", VrKnnMetricName(spec->metric),
							   spec->dim, spec->nqueries, ExactBudget())
				  : 0;
	if (planned > 0 && planned <= plan->pass_queries / 2)
		plan->pass_queries = planned;
	scans = (spec->nqueries + plan->pass_queries - 1) / plan->pass_queries;
	plan->pass_queries = (spec->nqueries + scans - 1) / scans;
	ereport(DEBUG1,
			(errmsg_internal(
				"batch search of %d queries: %d per scan, %s, tiles of %d rows "
				"x %d queries, %d workers, " INT64_FORMAT " kB",
				spec->nqueries, plan->pass_queries,
				plan->coarse ? "bfloat16"
				: plan->blas ? "BLAS"
							 : "kernels",
				plan->tile_rows, plan->tiled ? plan->block_queries : 0, workers,
				plan->bytes / 1024)));
}

/*
 * Rows of the result. There may be hundreds of thousands, of the same four
 * types, so one tuple is formed, and then given other values: its key is text
 * of any length up to the longest, behind a header of one byte, and all before
 * it has its place.
 */
typedef struct ExactRow
{
	HeapTuple tuple;
	char *query;
	char *rank;
	char *key; /* the header */
} ExactRow;

static void
ExactRowInit(ExactRow *row, TupleDesc desc)
{
	bool nulls[4] = {false};
	char longest[VR_KNN_KEY_DIGITS];
	Datum values[4];

	memset(longest, '0', sizeof(longest));
	values[0] = Int32GetDatum(0);
	values[1] = Int32GetDatum(0);
	values[2] =
		PointerGetDatum(cstring_to_text_with_len(longest, sizeof(longest)));
	values[3] = Float8GetDatum(0);
	row->tuple = heap_form_tuple(desc, values, nulls);
	row->query = (char *) row->tuple->t_data + row->tuple->t_data->t_hoff;
	row->rank = row->query + sizeof(int32);
	row->key = row->rank + sizeof(int32);
	Assert(VARATT_IS_1B(row->key));
}

static void
ExactRowSet(ExactRow *row, int query, int rank, int length, double distance)
{
	int32 first = query;
	int32 second = rank;
	char *end = row->key + VARHDRSZ_SHORT + length;
	char *aligned = row->query + DOUBLEALIGN(end - row->query);

	memcpy(row->query, &first, sizeof(first));
	memcpy(row->rank, &second, sizeof(second));
	SET_VARSIZE_SHORT(row->key, VARHDRSZ_SHORT + length);
	memset(end, 0, aligned - end);
	memcpy(aligned, &distance, sizeof(distance));
	row->tuple->t_len =
		aligned + sizeof(distance) - (char *) row->tuple->t_data;
}

static void
ExactReturn(const VrKnnTable *table, const VrKnnSpec *spec,
			const VrKnnSearch *search, VrKnnParallel *parallel, int first,
			int count, Tuplestorestate *store, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall result row", ALLOCSET_SMALL_SIZES);
	ExactRow row;
	int query;

	ExactRowInit(&row, desc);
	for (query = 0; query < count; query++)
	{
		int n;
		int i;
		const VrKnnEntry *entries;

		CHECK_FOR_INTERRUPTS();
		if (parallel != NULL)
			VrKnnParallelSort(parallel, query);
		entries = VrKnnSearchResult(search, query, &n);
		for (i = 0; i < n; i++)
		{
			double distance =
				VrKnnDistance(spec->metric, VrKnnOrderScore(entries[i].order));
			MemoryContext old;
			Datum values[4];
			bool nulls[4] = {false};

			if (table->keytype == NULL)
			{
				int length = VrKnnKeyDigits(table, entries[i].key,
											row.key + VARHDRSZ_SHORT);

				ExactRowSet(&row, first + query + 1, i + 1, length, distance);
				tuplestore_puttuple(store, row.tuple);
				continue;
			}
			old = MemoryContextSwitchTo(context);
			values[0] = Int32GetDatum(first + query + 1);
			values[1] = Int32GetDatum(i + 1);
			values[2] = PointerGetDatum(VrKnnKeyText(table, entries[i].key));
			values[3] = Float8GetDatum(distance);
			tuplestore_putvalues(store, desc, values, nulls);
			MemoryContextReset(context);
			MemoryContextSwitchTo(old);
		}
	}
	heap_freetuple(row.tuple);
	MemoryContextDelete(context);
}

/* By this process alone. */
static VrKnnSearch *
ExactScan(const VrKnnTable *table, const VrKnnSpec *spec, const VrKnnPlan *plan,
		  int first, int count)
{
	VrKnnGuesses *guesses = NULL;
	VrKnnSearch *search;

	if (VrKnnGuessPays(table, spec, plan))
	{
		guesses = VrKnnGuessesMake(count);
		VrKnnGuess(table, spec, plan, first, count, guesses->order);
		VrKnnGuessesReady(guesses);
	}
	search = VrKnnSearchBegin(spec, plan, first, count, table->keytype);
	if (guesses != NULL)
		VrKnnSearchUseGuesses(search, guesses);
	VrKnnScan(table, search, ExactBudget() - plan->bytes);
	VrKnnSearchFinish(search);
	return search;
}

/* One scan of the table, for queries first.. of the spec. */
static void
ExactPass(const VrKnnTable *table, const VrKnnSpec *spec, const VrKnnPlan *plan,
		  int first, int workers, Tuplestorestate *store, TupleDesc desc)
{
	int count = Min(plan->pass_queries, spec->nqueries - first);
	VrBatchObservation observation = {0};
	VrKnnParallel *parallel = NULL;
	VrKnnSearch *search;
	bool again;
	instr_time start;
	instr_time end;

	INSTR_TIME_SET_CURRENT(start);
	if (workers > 0)
	{
		parallel = VrKnnParallelScan(table, spec, plan, first, count, workers);
		search = VrKnnParallelSearch(parallel);
	}
	else
		search = ExactScan(table, spec, plan, first, count);
	again = VrKnnSearchReopen(search);
	if (again)
	{
		ereport(DEBUG1, (errmsg_internal("batch search scans again: a guess "
										 "was too low")));
		VrKnnScan(table, search, ExactBudget() - plan->bytes);
		VrKnnSearchFinish(search);
	}
	ExactReturn(table, spec, search, again ? NULL : parallel, first, count,
				store, desc);
	observation.work = Max(VrKnnSearchRows(search), 1) / 100000.0;
	if (parallel != NULL)
		workers = VrKnnParallelEnd(parallel);
	else
		VrKnnSearchEnd(search);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);

	observation.op = "knn_exact";
	observation.target = VrKnnMetricName(spec->metric);
	observation.dim = spec->dim;
	observation.batch = count;
	observation.rows = count;
	observation.concurrency = 1 + workers;
	observation.seconds = INSTR_TIME_GET_DOUBLE(end);
	observation.mem_bytes = plan->bytes;
	VrRecordBatch(&observation);
}

/*
 * knn_exact(rel regclass, col name, queries vector[], k int, metric text,
 *			 filter text, key name): not strict, as the last two may be NULL.
 */
Datum
vr_knn_exact(PG_FUNCTION_ARGS)
{
	VrKnnTable table;
	VrKnnSpec spec;
	VrKnnPlan plan;
	VrKnnBlock queries;
	ArrayType *array;
	TupleDesc desc;
	Tuplestorestate *store;
	MemoryContext context;
	MemoryContext old;
	int workers;
	int first;

	VrKnnCheckNotNull(fcinfo, 0, "rel");
	VrKnnCheckNotNull(fcinfo, 1, "col");
	VrKnnCheckNotNull(fcinfo, 2, "queries");
	VrKnnCheckNotNull(fcinfo, 3, "k");
	VrKnnCheckNotNull(fcinfo, 4, "metric");
	context = AllocSetContextCreate(CurrentMemoryContext, "vecrecall knn_exact",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	spec.k = VrKnnCheckK(PG_GETARG_INT32(3));
	spec.metric = VrKnnMetricFromName(text_to_cstring(PG_GETARG_TEXT_PP(4)));
	array = PG_GETARG_ARRAYTYPE_P(2);
	VrKnnBlockFromArray(array, "queries", false, &queries);
	spec.dim = queries.dim;
	spec.nqueries = queries.count;
	spec.queries = queries.x;
	VrKnnTableOpen(&table, PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)),
				   PG_ARGISNULL(5) ? NULL
								   : text_to_cstring(PG_GETARG_TEXT_PP(5)),
				   PG_ARGISNULL(6) ? NULL : NameStr(*PG_GETARG_NAME(6)),
				   ARR_ELEMTYPE(array), spec.dim);

	/* No room for more results than there can be. */
	spec.k = Max(Min(spec.k, VrKnnTableMostRows(&table)), 1);
	workers = VrKnnParallelWorkers(&table, &spec);
	/* To put results of several together takes more. */
	if (workers > 0 && !VrKnnPlanSearch(&spec, ExactBudget(), workers, &plan))
		workers = 0;
	VrKnnPlanOrError(&spec, workers, &plan);
	store = VrKnnReturnSet(fcinfo, &desc, (double) spec.nqueries * spec.k);
	VrKnnProgressBegin("knn_exact", VrKnnTableRows(table.relid));
	for (first = 0; first < spec.nqueries; first += plan.pass_queries)
		ExactPass(&table, &spec, &plan, first, workers, store, desc);
	VrKnnProgressEnd();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}
