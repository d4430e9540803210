/*
 * knn_binary.c
 *		Search by bits: the Hamming distances of all rows' codes to a query's
 *		choose candidates, whose vectors are then fetched and measured.
 *
 * Codes come from a column of type bit, which is small where the vectors are
 * large and so out of line, or are made from the vectors during the scan.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varbit.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "knn/knn_private.h"

PG_FUNCTION_INFO_V1(vr_knn_binary);
PG_FUNCTION_INFO_V1(vr_binary_oversampling);

/* Candidates per result, at most. */
#define BINARY_MAX_OVERSAMPLING 1000

/* Queries that an oversampling is chosen with, and candidates it looks at. */
#define BINARY_SAMPLE 128
#define BINARY_DEEPEST 64

/* Queries that a row's code is compared with at once. */
#define BINARY_BATCH 64

typedef struct BinarySearch
{
	VrKnnSpec spec;         /* k is that of the results */
	VrKnnTable table;       /* with the vectors and the user's key */
	VrKnnTable codes;       /* what is scanned for codes; its key is ctid */
	bool stored;            /* codes.column is of type bit */
	int most;               /* rows there can be */
	const float *threshold; /* dim floats or NULL */
	int bytes;              /* of a code */
	unsigned char *queries; /* nqueries codes */
	unsigned char *row;     /* one code */
	VrKnnTop *candidates;   /* one per query; keys are TIDs */
} BinarySearch;

static void
BinaryOffer(BinarySearch *search, const unsigned char *code, int64 tid)
{
	uint64 differ[BINARY_BATCH];
	int first;
	int i;

	for (first = 0; first < search->spec.nqueries; first += BINARY_BATCH)
	{
		const int n = Min(BINARY_BATCH, search->spec.nqueries - first);

		VrDistance->hamming_batch(
			search->bytes, code, search->queries + (Size) first * search->bytes,
			n, differ);
		/* Already an order: no need to map it. */
		for (i = 0; i < n; i++)
			VrKnnTopOffer(&search->candidates[first + i], differ[i], tid);
	}
}

static void
BinaryOfferVector(void *arg, int dim, const float *x, int64 tid)
{
	BinarySearch *search = arg;

	VrKnnBits(dim, x, search->threshold, search->row);
	BinaryOffer(search, search->row, tid);
}

static void
BinaryOfferBits(void *arg, Datum value, int64 tid)
{
	BinarySearch *search = arg;
	VarBit *bits = (VarBit *) pg_detoast_datum_packed(
		(struct varlena *) DatumGetPointer(value));
	int length;

	/* The length stands before the bits, whatever the head's size. */
	memcpy(&length, VARDATA_ANY(bits), sizeof(int32));
	if (length != search->spec.dim)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("a code in %s has %d bits, %d are expected",
							   search->codes.name, length, search->spec.dim)));
	BinaryOffer(search, (unsigned char *) VARDATA_ANY(bits) + sizeof(int32),
				tid);
	if ((Pointer) bits != DatumGetPointer(value))
		pfree(bits);
}

static VrKnnTop *
BinaryMakeTops(int n, int k, const VrKnnKeyType *keytype)
{
	VrKnnTop *tops = palloc0(mul_size(n, sizeof(VrKnnTop)));
	int capacity = k + Max(k, 32);
	int i;

	for (i = 0; i < n; i++)
	{
		tops[i].k = k;
		tops[i].capacity = capacity;
		tops[i].keytype = keytype;
		tops[i].entries = MemoryContextAllocHuge(
			CurrentMemoryContext, mul_size(capacity, sizeof(VrKnnEntry)));
	}
	return tops;
}

/* Candidates of all queries, nearest codes first. */
static void
BinaryScan(BinarySearch *search, double oversampling)
{
	const VrKnnSpec *spec = &search->spec;
	const int ncandidates =
		Max(Min(ceil(spec->k * oversampling), search->most), 1);
	const int64 needed = (int64) spec->nqueries *
						 (ncandidates + Max(ncandidates, 32)) *
						 sizeof(VrKnnEntry);
	VrKnnReader reader;
	int i;

	if (needed > (int64) work_mem * 1024)
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("work_mem of %d kB is too small for this search", work_mem),
			 errdetail("%d candidates for each of %d queries take " //
					   INT64_FORMAT " kB.",
					   ncandidates, spec->nqueries, (needed + 1023) / 1024),
			 errhint("Set work_mem to at least '" INT64_FORMAT "kB', or "
					 "search with fewer queries at a time.",
					 (needed + 1023) / 1024)));
	search->bytes = (spec->dim + 7) / 8;
	search->queries = palloc(mul_size(spec->nqueries, search->bytes));
	search->row = palloc(search->bytes);
	for (i = 0; i < spec->nqueries; i++)
		VrKnnBits(spec->dim, spec->queries + (Size) i * spec->dim,
				  search->threshold,
				  search->queries + (Size) i * search->bytes);
	search->candidates = BinaryMakeTops(spec->nqueries, ncandidates, NULL);
	VrKnnReaderInit(&reader, &search->codes, spec->dim, BinaryOfferVector,
					search);
	if (search->stored)
		reader.raw = BinaryOfferBits;
	VrKnnRead(&reader);
	VrKnnReaderEnd(&reader);
	for (i = 0; i < spec->nqueries; i++)
		VrKnnTopSort(&search->candidates[i], NULL);
}

static int
BinaryCompareTids(const void *a, const void *b)
{
	int64 x = ((const VrKnnEntry *) a)->key;
	int64 y = ((const VrKnnEntry *) b)->key;

	return x < y ? -1 : x > y;
}

typedef struct BinaryRerank
{
	BinarySearch *search;
	int query;
	VrKnnTop *top;
} BinaryRerank;

static void
BinaryMeasure(void *arg, int dim, const float *x, int64 key)
{
	BinaryRerank *rerank = arg;
	const VrKnnSpec *spec = &rerank->search->spec;

	VrKnnTopOffer(
		rerank->top,
		VrKnnOrder(VrKnnScore(spec->metric, dim,
							  spec->queries + (Size) rerank->query * dim, x)),
		key);
}

/* Measures a query's candidates, fetched in the table's order. */
static void
BinaryRerankQuery(BinarySearch *search, int query, VrKnnTop *top)
{
	VrKnnTop *candidates = &search->candidates[query];
	Relation rel = table_open(search->table.relid, NoLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	BinaryRerank rerank = {search, query, top};
	VrKnnReader reader;
	int i;

	VrKnnReaderInit(&reader, &search->table, search->spec.dim, BinaryMeasure,
					&rerank);
	qsort(candidates->entries, candidates->used, sizeof(VrKnnEntry),
		  BinaryCompareTids);
	for (i = 0; i < candidates->used; i++)
	{
		int64 key = candidates->entries[i].key;
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSet(&tid, (BlockNumber) (key >> 16),
					   (OffsetNumber) (key & 0xFFFF));
		if (table_tuple_fetch_row_version(rel, &tid, GetActiveSnapshot(), slot))
			VrKnnReaderSlot(&reader, slot);
		ExecClearTuple(slot);
	}
	VrKnnTopSort(top, NULL);
	VrKnnReaderEnd(&reader);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

/*
 * The arguments that both functions have: rel, col, queries, k, and from
 * `more` on metric, threshold, code, filter, key.
 */
static void
BinaryArguments(FunctionCallInfo fcinfo, BinarySearch *search, int more)
{
	static const char *const names[] = {"rel", "col", "queries", "k"};
	VrKnnBlock queries;
	ArrayType *array;
	const char *filter;
	int i;

	for (i = 0; i < lengthof(names); i++)
		VrKnnCheckNotNull(fcinfo, i, names[i]);
	VrKnnCheckNotNull(fcinfo, more, "metric");
	memset(search, 0, sizeof(*search));
	search->spec.k = VrKnnCheckK(PG_GETARG_INT32(3));
	search->spec.metric =
		VrKnnMetricFromName(text_to_cstring(PG_GETARG_TEXT_PP(more)));
	array = PG_GETARG_ARRAYTYPE_P(2);
	VrKnnBlockFromArray(array, "queries", false, &queries);
	search->spec.dim = queries.dim;
	search->spec.nqueries = queries.count;
	search->spec.queries = queries.x;
	if (!PG_ARGISNULL(more + 1))
	{
		VrVector *threshold = PG_GETARG_VR_VECTOR(more + 1);

		VrCheckSameDims("vector", queries.dim, threshold->dim);
		search->threshold = threshold->x;
	}
	filter = PG_ARGISNULL(more + 3)
				 ? NULL
				 : text_to_cstring(PG_GETARG_TEXT_PP(more + 3));
	VrKnnTableOpen(
		&search->table, PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), filter,
		PG_ARGISNULL(more + 4) ? NULL : NameStr(*PG_GETARG_NAME(more + 4)),
		ARR_ELEMTYPE(array), queries.dim);
	/* No room for more results than there can be. */
	search->most = VrKnnTableMostRows(&search->table);
	search->spec.k = Max(Min(search->spec.k, search->most), 1);
	search->codes = search->table;
	search->stored = !PG_ARGISNULL(more + 2);
	VrKnnTableScanCodes(&search->codes, search->stored
											? NameStr(*PG_GETARG_NAME(more + 2))
											: NULL);
}

/*
 * Results of the sample that are as near as the true ones, as a fraction; *low
 * is that less its standard error.
 */
static double
BinaryRecall(BinarySearch *sample, const VrKnnSearch *exact, double *low)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall recall", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	double sum = 0;
	double squares = 0;
	double variance;
	int queries = sample->spec.nqueries;
	int query;

	for (query = 0; query < sample->spec.nqueries; query++)
	{
		VrKnnTop *top =
			BinaryMakeTops(1, sample->spec.k, sample->table.keytype);
		const VrKnnEntry *truth;
		double recall;
		int found = 0;
		int n;
		int i;

		BinaryRerankQuery(sample, query, top);
		truth = VrKnnSearchResult(exact, query, &n);
		for (i = 0; i < Min(n, top->used); i++)
			found += top->entries[i].order <= truth[n - 1].order;
		recall = n > 0 ? (double) found / n : 1;
		sum += recall;
		squares += recall * recall;
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	sum /= queries;
	variance = Max(squares / queries - sum * sum, 0);
	*low = sum - sqrt(variance / queries);
	return sum;
}

/*
 * Smallest oversampling, in powers of two, with which a sample of the queries
 * finds `recall` of its true neighbours, and not by luck of the sample; by
 * distance: ties are hits. Nothing finer, for a sample cannot tell 7 from 8.
 */
static double
BinaryChoose(BinarySearch *search, double recall, double *reached)
{
	BinarySearch sample = *search;
	VrKnnSearch *exact;
	VrKnnPlan plan;
	double low;
	int step = 1;

	sample.spec.nqueries = Min(search->spec.nqueries, BINARY_SAMPLE);
	VrKnnPlanOrError(&sample.spec, 0, &plan);
	sample.spec.nqueries = Min(sample.spec.nqueries, plan.pass_queries);
	exact = VrKnnSearchBegin(&sample.spec, &plan, 0, sample.spec.nqueries,
							 sample.table.keytype);
	VrKnnScan(&sample.table, exact, 0);
	VrKnnSearchFinish(exact);
	for (;;)
	{
		MemoryContext context = AllocSetContextCreate(
			CurrentMemoryContext, "vecrecall step", ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		BinaryScan(&sample, step);
		*reached = BinaryRecall(&sample, exact, &low);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		if (low >= recall || step == BINARY_DEEPEST)
			break;
		step *= 2;
	}
	VrKnnSearchEnd(exact);
	return step;
}

static double
BinaryRecallArgument(FunctionCallInfo fcinfo, int arg)
{
	double recall = PG_ARGISNULL(arg) ? 0.95 : PG_GETARG_FLOAT8(arg);

	if (!(recall > 0 && recall <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("recall must be above 0 and at most 1, not %g",
							   recall)));
	return recall;
}

/*
 * knn_binary(rel, col, queries, k, oversampling, metric, threshold, code,
 *			  filter, key, recall)
 */
Datum
vr_knn_binary(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Tuplestorestate *store = VrKnnReturnSet(fcinfo, &desc, 0);
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall knn_binary", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	BinarySearch search;
	double oversampling;
	double recall = BinaryRecallArgument(fcinfo, 10);
	int query;

	BinaryArguments(fcinfo, &search, 5);
	VrKnnProgressBegin("knn_binary", VrKnnTableRows(search.table.relid));
	if (PG_ARGISNULL(4))
	{
		double reached;

		oversampling = BinaryChoose(&search, recall, &reached);
	}
	else
		oversampling = PG_GETARG_FLOAT4(4);
	if (!(oversampling >= 1 && oversampling <= BINARY_MAX_OVERSAMPLING))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("oversampling must be between 1 and %d, not %g",
							   BINARY_MAX_OVERSAMPLING, oversampling)));
	BinaryScan(&search, oversampling);
	for (query = 0; query < search.spec.nqueries; query++)
	{
		MemoryContext one = AllocSetContextCreate(context, "vecrecall query",
												  ALLOCSET_DEFAULT_SIZES);
		VrKnnTop *top;
		int i;

		MemoryContextSwitchTo(one);
		top = BinaryMakeTops(1, search.spec.k, search.table.keytype);
		BinaryRerankQuery(&search, query, top);
		for (i = 0; i < top->used; i++)
		{
			Datum values[4];
			bool nulls[4] = {false};

			values[0] = Int32GetDatum(query + 1);
			values[1] = Int32GetDatum(i + 1);
			values[2] = PointerGetDatum(
				VrKnnKeyText(&search.table, top->entries[i].key));
			values[3] = Float8GetDatum(VrKnnDistance(
				search.spec.metric, VrKnnOrderScore(top->entries[i].order)));
			tuplestore_putvalues(store, desc, values, nulls);
		}
		MemoryContextSwitchTo(context);
		MemoryContextDelete(one);
	}
	VrKnnProgressEnd();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/*
 * binary_oversampling(rel, col, queries, k, recall, metric, threshold, code,
 *					   filter, key)
 */
Datum
vr_binary_oversampling(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	BinarySearch search;
	Datum values[2];
	bool nulls[2] = {false};
	double recall = BinaryRecallArgument(fcinfo, 4);
	double reached;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	BinaryArguments(fcinfo, &search, 5);
	values[0] = Float4GetDatum(BinaryChoose(&search, recall, &reached));
	values[1] = Float8GetDatum(reached);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
