/*
 * knn_advice.c
 *		vecrecall.compression_advice(): what each form of storage costs in bytes
 *		and in recall, measured on a sample of a column.
 *
 * Every form is judged alike: the sample is encoded and decoded, a query's
 * nearest rows by the decoded vectors are compared with the true ones, by
 * distance, so that ties are hits; once as they are, and once after the first
 * few times as many were measured again with the true vectors.
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "distance/distance.h"
#include "knn/knn_private.h"
#include "quant/quant.h"

PG_FUNCTION_INFO_V1(vr_compression_advice);

#define ADVICE_QUERIES 50
#define ADVICE_RERANK 4
#define ADVICE_ITERATIONS 10

typedef struct AdviceForm
{
	const char *name;
	const char *use; /* how such a column is made */
	int bytes;       /* of a value, with its head */
	double recall;
	double reranked;
} AdviceForm;

typedef struct Advice
{
	VrKnnMetric metric;
	int k;
	VrKnnBlock base;
	VrKnnBlock queries;
	float *mean;
	double *truth; /* score of each query's k-th row */
} Advice;

/* The k-th smallest of n scores; reorders them. */
static int
AdviceCompare(const void *a, const void *b)
{
	uint64 x = ((const VrKnnEntry *) a)->order;
	uint64 y = ((const VrKnnEntry *) b)->order;

	return x < y ? -1 : x > y;
}

static const float *
AdviceRow(const VrKnnBlock *block, int row)
{
	return block->x + (Size) row * block->dim;
}

/* Recall of an order of the rows for one query, with and without measuring. */
static void
AdviceJudge(Advice *advice, int query, VrKnnEntry *entries, AdviceForm *form)
{
	const VrKnnBlock *base = &advice->base;
	const float *q = AdviceRow(&advice->queries, query);
	int n = Min(advice->k, base->count);
	int deep = Min(advice->k * ADVICE_RERANK, base->count);
	int found = 0;
	int deeper = 0;
	int i;

	qsort(entries, base->count, sizeof(VrKnnEntry), AdviceCompare);
	for (i = 0; i < deep; i++)
	{
		double score = VrKnnScore(advice->metric, base->dim, q,
								  AdviceRow(base, (int) entries[i].key));

		if (VrKnnOrder(score) <= VrKnnOrder(advice->truth[query]))
		{
			found += i < n;
			deeper++;
		}
	}
	form->recall += (double) found / n;
	form->reranked += Min((double) deeper / n, 1);
}

/* Judges decoded rows. */
static void
AdviceDecoded(Advice *advice, const float *decoded, AdviceForm *form)
{
	const VrKnnBlock *base = &advice->base;
	VrKnnEntry *entries = palloc(base->count * sizeof(VrKnnEntry));
	int query;
	int i;

	for (query = 0; query < advice->queries.count; query++)
	{
		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < base->count; i++)
		{
			entries[i].order = VrKnnOrder(VrKnnScore(
				advice->metric, base->dim, AdviceRow(&advice->queries, query),
				decoded + (Size) i * base->dim));
			entries[i].key = i;
		}
		AdviceJudge(advice, query, entries, form);
	}
	pfree(entries);
}

static void
AdviceBits(Advice *advice, AdviceForm *form)
{
	const VrKnnBlock *base = &advice->base;
	VrKnnEntry *entries = palloc(base->count * sizeof(VrKnnEntry));
	int bytes = (base->dim + 7) / 8;
	unsigned char *codes = palloc((Size) bytes * base->count);
	unsigned char *code = palloc(bytes);
	uint64 *differ = palloc(base->count * sizeof(uint64));
	int query;
	int i;

	for (i = 0; i < base->count; i++)
		VrKnnBits(base->dim, AdviceRow(base, i), advice->mean,
				  codes + (Size) i * bytes);
	for (query = 0; query < advice->queries.count; query++)
	{
		CHECK_FOR_INTERRUPTS();
		VrKnnBits(base->dim, AdviceRow(&advice->queries, query), advice->mean,
				  code);
		VrDistance->hamming_batch(bytes, code, codes, base->count, differ);
		for (i = 0; i < base->count; i++)
		{
			entries[i].order = differ[i];
			entries[i].key = i;
		}
		AdviceJudge(advice, query, entries, form);
	}
	pfree(codes);
	pfree(code);
	pfree(differ);
	pfree(entries);
}

static void
AdvicePq(Advice *advice, int subspaces, float *decoded, AdviceForm *form)
{
	VrPq pq;
	double mse;
	uint8 *code;
	int i;

	VrKnnPqTrain(&advice->base, subspaces, 8, ADVICE_ITERATIONS, 0, &pq, &mse);
	code = palloc(VrPqCodeBytes(&pq));
	for (i = 0; i < advice->base.count; i++)
	{
		VrPqEncode(&pq, AdviceRow(&advice->base, i), code);
		VrPqDecode(&pq, code, decoded + (Size) i * advice->base.dim);
	}
	form->bytes = VARHDRSZ + VrPqCodeBytes(&pq);
	AdviceDecoded(advice, decoded, form);
}

/* Every tenth row of the sample, up to a number, becomes a query. */
static void
AdviceSplit(Advice *advice, const VrKnnBlock *sample)
{
	int stride = Max(10, sample->count / ADVICE_QUERIES);
	int i;
	int j;

	advice->base = advice->queries = *sample;
	advice->base.count = advice->queries.count = 0;
	advice->queries.x =
		palloc(sizeof(float) * sample->dim * (sample->count / stride + 1));
	advice->mean = palloc0(sizeof(float) * sample->dim);
	for (i = 0; i < sample->count; i++)
	{
		VrKnnBlock *to =
			i % stride == stride - 1 ? &advice->queries : &advice->base;

		memmove(to->x + (Size) to->count * sample->dim,
				sample->x + (Size) i * sample->dim,
				sample->dim * sizeof(float));
		to->count++;
	}
	for (i = 0; i < advice->base.count; i++)
		for (j = 0; j < sample->dim; j++)
			advice->mean[j] +=
				AdviceRow(&advice->base, i)[j] / advice->base.count;
}

static void
AdviceTruth(Advice *advice)
{
	const VrKnnBlock *base = &advice->base;
	VrKnnEntry *entries = palloc(base->count * sizeof(VrKnnEntry));
	int query;
	int i;

	advice->truth = palloc(advice->queries.count * sizeof(double));
	for (query = 0; query < advice->queries.count; query++)
	{
		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < base->count; i++)
			entries[i].order = VrKnnOrder(VrKnnScore(
				advice->metric, base->dim, AdviceRow(&advice->queries, query),
				AdviceRow(base, i)));
		qsort(entries, base->count, sizeof(VrKnnEntry), AdviceCompare);
		advice->truth[query] =
			VrKnnOrderScore(entries[Min(advice->k, base->count) - 1].order);
	}
	pfree(entries);
}

/* Reads a sample of about `rows` rows, in whole pages. */
static void
AdviceSample(const VrKnnTable *table, Oid vector_type, int rows,
			 VrKnnBlock *sample)
{
	double known = VrKnnTableRows(table->relid);
	double percent = known > rows ? 100.0 * rows / known : 100;
	char *column = pstrdup(
		quote_identifier(get_attname(table->relid, table->column, false)));
	char *query = psprintf("SELECT %s::%s FROM %s TABLESAMPLE SYSTEM (%g) "
						   "REPEATABLE (0) WHERE %s IS NOT NULL LIMIT %d",
						   column, format_type_be_qualified(vector_type),
						   table->name, percent, column, rows);

	VrKnnBlockFromQuery(query, vector_type, sample);
	if (sample->count < 100)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("a sample of %s has %d vectors, too few to advise from",
						table->name, sample->count),
				 errdetail("At least 100 are needed.")));
}

static void
AdviceMeasure(Advice *advice, AdviceForm *forms, int nforms)
{
	const VrKnnBlock *base = &advice->base;
	Size floats = (Size) base->count * base->dim;
	float *decoded = MemoryContextAllocHuge(CurrentMemoryContext,
											mul_size(floats, sizeof(float)));
	Size i;
	int form;

	AdviceDecoded(advice, base->x, &forms[0]);
	for (i = 0; i < floats; i++)
		decoded[i] = VrHalfToFloat(VrFloatToHalf(base->x[i]));
	AdviceDecoded(advice, decoded, &forms[1]);
	for (i = 0; i < base->count; i++)
		VrKnnInt8RoundTrip(base->dim, base->x + i * base->dim,
						   decoded + i * base->dim);
	AdviceDecoded(advice, decoded, &forms[2]);
	AdvicePq(advice, Max(base->dim / 4, 1), decoded, &forms[3]);
	AdvicePq(advice, Max(base->dim / 8, 1), decoded, &forms[4]);
	AdviceBits(advice, &forms[5]);
	for (form = 0; form < nforms; form++)
	{
		forms[form].recall /= advice->queries.count;
		forms[form].reranked /= advice->queries.count;
	}
	pfree(decoded);
}

/* Smallest form that reaches the target, alone or with measuring. */
static int
AdviceBest(const AdviceForm *forms, int nforms, double target, bool reranked)
{
	int best = 0;
	int i;

	for (i = 1; i < nforms; i++)
		if ((reranked ? forms[i].reranked : forms[i].recall) >= target &&
			forms[i].bytes < forms[best].bytes)
			best = i;
	return best;
}

/* compression_advice(rel, col, k, metric, target, sample) */
Datum
vr_compression_advice(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Tuplestorestate *store = VrKnnReturnSet(fcinfo, &desc, 0);
	Advice advice = {0};
	VrKnnTable table;
	VrKnnBlock sample;
	Oid vector_type = VrKnnVectorType(fcinfo);
	double target = PG_GETARG_FLOAT8(4);
	int rows = VrKnnCheckRange("sample", PG_GETARG_INT32(5), 100, 100000);
	int dim;
	int alone;
	int reranked;
	int i;

	advice.k = VrKnnCheckRange("k", PG_GETARG_INT32(2), 1, 1000);
	advice.metric = VrKnnMetricFromName(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	if (!(target > 0 && target <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("target must be above 0 and at most 1, not %g",
							   target)));
	VrKnnTableOpen(&table, PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), NULL,
				   NameStr(*PG_GETARG_NAME(1)), vector_type, 0);
	AdviceSample(&table, vector_type, rows, &sample);
	AdviceSplit(&advice, &sample);
	AdviceTruth(&advice);
	dim = sample.dim;
	{
		AdviceForm forms[] = {
			{"vector", "as it is", VR_VECTOR_SIZE(dim)},
			{"halfvec", "cast to halfvec", VR_HALFVEC_SIZE(dim)},
			{"int8", "vecrecall.int8_encode()", 16 + dim},
			{"pq, 4 dimensions a byte", "vecrecall.pq_train(), pq_encode()", 0},
			{"pq, 8 dimensions a byte", "vecrecall.pq_train(), pq_encode()", 0},
			{"bit", "vecrecall.binary_quantize(), centred", 8 + (dim + 7) / 8}};

		AdviceMeasure(&advice, forms, lengthof(forms));
		alone = AdviceBest(forms, lengthof(forms), target, false);
		reranked = AdviceBest(forms, lengthof(forms), target, true);
		for (i = 0; i < lengthof(forms); i++)
		{
			const char *advise = i == alone && i == reranked
									 ? "alone, and with rerank"
								 : i == alone    ? "alone"
								 : i == reranked ? "with rerank"
												 : NULL;
			Datum values[7];
			bool nulls[7] = {false};

			values[0] = CStringGetTextDatum(forms[i].name);
			values[1] = Int32GetDatum(forms[i].bytes);
			values[2] =
				Float8GetDatum((double) forms[0].bytes / forms[i].bytes);
			values[3] = Float8GetDatum(forms[i].recall);
			values[4] = Float8GetDatum(forms[i].reranked);
			if (advise != NULL)
				values[5] = CStringGetTextDatum(advise);
			else
				nulls[5] = true;
			values[6] = CStringGetTextDatum(forms[i].use);
			tuplestore_putvalues(store, desc, values, nulls);
		}
	}
	return (Datum) 0;
}
