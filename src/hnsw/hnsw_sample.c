/*
 * hnsw_sample.c
 *		A look at some blocks of a table before its index is built: how many
 *		rows there are, how long values get, and where their mean lies.
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "catalog/index.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "distance/distance.h"
#include "hnsw/hnsw_sample.h"
#include "types/vector.h"

#define SAMPLE_RANGES 64      /* places of the table that are looked at */
#define SAMPLE_ROWS 10000     /* rows that suffice for a mean, or lengths */
#define SAMPLE_LEAST 2048     /* and for a mean of long vectors, */
#define SAMPLE_FLOATS 4000000 /* whose reading takes a while */

typedef struct SampleState
{
	const VrHnswMetaPageData *meta;
	VrHnswSample *out;
	double *sum;
	double sum_norm2;
	int64 summed;
	int64 enough; /* so many at the end of this place */
	uint32 *lengths;
	int nlengths;
	MemoryContext cxt;
} SampleState;

/* Adds a dense value to the sums. */
static void
SampleDense(SampleState *s, Datum datum)
{
	int dim = s->meta->dim;
	float *x = palloc(dim * sizeof(float));
	double norm2 = 0;
	double scale = 1;
	int i;

	if (s->meta->type == VR_TYPE_VECTOR)
	{
		VrVector *v = DatumGetVrVector(datum);

		if (v->dim != dim)
			return;
		memcpy(x, v->x, dim * sizeof(float));
	}
	else
	{
		VrHalfVec *v = DatumGetVrHalfVec(datum);

		if (v->dim != dim)
			return;
		VrDistance->f16_to_f32(dim, v->x, x);
	}
	for (i = 0; i < dim; i++)
		norm2 += (double) x[i] * x[i];
	if (s->meta->metric == VR_METRIC_COSINE)
	{
		if (norm2 <= 0)
			return;
		scale = 1 / sqrt(norm2);
		norm2 = 1;
	}
	for (i = 0; i < dim; i++)
		s->sum[i] += x[i] * scale;
	s->sum_norm2 += norm2;
	s->summed++;
}

static void
SampleRow(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		  bool alive, void *arg)
{
	SampleState *s = arg;
	MemoryContext old;

	s->out->seen++;
	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(s->cxt);
	if (s->sum != NULL && s->summed < s->enough)
		SampleDense(s, values[0]);
	else if (s->lengths != NULL && s->nlengths < SAMPLE_ROWS)
	{
		VrSparseVec *v = DatumGetVrSparseVec(values[0]);

		s->lengths[s->nlengths++] = 4 + 8 * v->nnz;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(s->cxt);
}

static int
SampleCompareLengths(const void *a, const void *b)
{
	uint32 x = *(const uint32 *) a;
	uint32 y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

/*
 * Looks at up to SAMPLE_RANGES places. meta is as VrHnswDescribe made it. The
 * mean is palloc'd, for the quantised form only.
 */
void
VrHnswSampleTable(Relation heap, Relation index, IndexInfo *info,
				  const VrHnswMetaPageData *meta, VrHnswSample *out)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);
	SampleState state = {meta, out};
	BlockNumber read = 0;
	BlockNumber step;
	BlockNumber length;
	BlockNumber at;
	int64 share; /* rows that each place gives to the mean */
	pg_prng_state prng;
	int i;

	memset(out, 0, sizeof(*out));
	if (meta->form == VR_FORM_QUANTISED)
		state.sum = palloc0(meta->dim * sizeof(double));
	if (meta->type == VR_TYPE_SPARSEVEC)
		state.lengths = palloc(SAMPLE_ROWS * sizeof(uint32));
	state.cxt = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall hnsw sample", ALLOCSET_DEFAULT_SIZES);
	pg_prng_seed(&prng, meta->seed);
	step = Max(nblocks / SAMPLE_RANGES, 1);
	length = Max(Min(step, nblocks / 1000 + 4), 1);
	share = Min(SAMPLE_ROWS, Max(SAMPLE_LEAST, SAMPLE_FLOATS / meta->dim));
	share = share / (nblocks / step + 1) + 1;
	for (at = 0; at < nblocks; at += step)
	{
		BlockNumber slack = step > length ? step - length : 0;
		BlockNumber from =
			at + (slack ? pg_prng_uint64_range(&prng, 0, slack) : 0);
		BlockNumber n = Min(length, nblocks - Min(from, nblocks));

		if (n == 0)
			continue;
		/* What earlier places lacked, this one may give. */
		state.enough += share;
		table_index_build_range_scan(heap, index, info, false, false, false,
									 from, n, SampleRow, &state, NULL);
		read += n;
		/* Enough for the mean; a little more for the number of rows. */
		if (out->seen > 20 * SAMPLE_ROWS)
			break;
	}
	if (read > 0)
		out->rows = (double) out->seen / read * nblocks;
	if (state.summed > 0)
	{
		double mean2 = 0;

		out->mean = palloc(meta->dim * sizeof(float));
		for (i = 0; i < meta->dim; i++)
		{
			double m = state.sum[i] / state.summed;

			out->mean[i] = (float) m;
			mean2 += m * m;
		}
		out->mean_norm2 = Max(state.sum_norm2 / state.summed - mean2, 0);
	}
	if (state.nlengths > 0)
	{
		qsort(state.lengths, state.nlengths, sizeof(uint32),
			  SampleCompareLengths);
		out->typical_bytes = state.lengths[state.nlengths * 99 / 100];
	}
	MemoryContextDelete(state.cxt);
}
