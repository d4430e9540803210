/*
 * knn_coarse.c
 *		Coarse products for a search: rounded queries and rows, and the slack
 *		that rounding takes. See knn_coarse.h.
 *
 * With q' and r' the rounded vectors, and dq and dr what rounding changed,
 * <q,r> is <q',r'> + <dq,r> + <q',dr>, so the product is off by at most
 * (|dq| + |q'| rho) |r|, where rho is the largest |dr| / |r| of the tile. All
 * of these are measured, not bounded by what rounding may do at worst.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "distance/distance.h"
#include "knn/knn_coarse.h"
#include "knn/knn_private.h"

/* What measuring the above in float32 may be off by, and more. */
#define COARSE_ERROR 1.001

static bool coarse_on = true;

const VrKnnCoarseKernels *
VrKnnCoarse(void)
{
	return coarse_on ? VrKnnAmx() : NULL;
}

void
VrKnnCoarseInit(void)
{
	DefineCustomBoolVariable(
		"vecrecall.knn_amx",
		"Batch search refuses rows by products of bfloat16 where the CPU has "
		"matrix tiles.",
		"Results are the same without. Rows that are not refused are measured "
		"in float32.",
		&coarse_on, true, PGC_USERSET, 0, NULL, NULL, NULL);
}

static int
CoarsePadded(int dim)
{
	return TYPEALIGN(VR_KNN_COARSE_STEP, dim);
}

static int
CoarseBlocks(int n)
{
	return (n + VR_KNN_COARSE_BLOCK - 1) / VR_KNN_COARSE_BLOCK;
}

int
VrKnnCoarsePad(int n)
{
	return CoarseBlocks(n) * VR_KNN_COARSE_BLOCK;
}

int64
VrKnnCoarseBytes(int dim, int count, int rows)
{
	const int64 vector = CoarsePadded(dim) * sizeof(uint16);

	return VrKnnCoarsePad(count) *
			   (vector + 4 * sizeof(float) + sizeof(uint32) + sizeof(uint16)) +
		   VrKnnCoarsePad(rows) * (vector + sizeof(float));
}

VrKnnCoarseTile *
VrKnnCoarseBegin(const VrKnnCoarseKernels *kernels, int dim, int count,
				 const float *queries, int rows)
{
	VrKnnCoarseTile *coarse = palloc0(sizeof(VrKnnCoarseTile));
	const int padded = CoarsePadded(dim);
	const int blocks = CoarseBlocks(count);
	const Size block_size = (Size) VR_KNN_COARSE_BLOCK * padded;
	uint16 *rounded = VrKnnAlloc(block_size, sizeof(uint16));
	int block;
	int i;

	coarse->kernels = kernels;
	coarse->dim = dim;
	coarse->count = count;
	coarse->queries = VrKnnAlloc(blocks * block_size, sizeof(uint16));
	coarse->rows = VrKnnAlloc(VrKnnCoarsePad(rows) * padded, sizeof(uint16));
	coarse->norm = VrKnnAlloc(VrKnnCoarsePad(rows), sizeof(float));
	coarse->error = VrKnnAlloc(VrKnnCoarsePad(count), sizeof(float));
	coarse->length = VrKnnAlloc(VrKnnCoarsePad(count), sizeof(float));
	coarse->slack = VrKnnAlloc(VrKnnCoarsePad(count), sizeof(float));
	coarse->near = VrKnnAlloc(VrKnnCoarsePad(count), sizeof(uint32));
	coarse->list = VrKnnAlloc(
		VrKnnCoarsePad(Min(count, VR_KNN_COARSE_LIST * VR_KNN_COARSE_BLOCK)) +
			VR_KNN_COARSE_BLOCK,
		sizeof(uint16));
	memset(coarse->rows, 0, VrKnnCoarsePad(rows) * padded * sizeof(uint16));
	memset(coarse->norm, 0, VrKnnCoarsePad(rows) * sizeof(float));
	memset(coarse->slack, 0, VrKnnCoarsePad(count) * sizeof(float));
	for (block = 0; block < blocks; block++)
	{
		memset(rounded, 0, block_size * sizeof(uint16));
		for (i = 0; i < VR_KNN_COARSE_BLOCK; i++)
		{
			const int query = block * VR_KNN_COARSE_BLOCK + i;
			const float *q = queries + (Size) query * dim;

			if (query >= count)
				break;
			coarse->error[query] =
				COARSE_ERROR *
				sqrt(kernels->round(dim, q, rounded + (Size) i * padded));
			coarse->length[query] =
				COARSE_ERROR *
				(sqrt(VrDistance->ip_f32(dim, q, q)) + coarse->error[query]);
		}
		kernels->pack(padded / VR_KNN_COARSE_STEP, rounded,
					  coarse->queries + block * block_size);
	}
	return coarse;
}

/*
 * Rounds the rows of a tile whose squared norms are given, and sets the slack
 * of each query. A norm that is no basis for a bound gets no ratio: its row is
 * not refused anyway.
 */
void
VrKnnCoarseRows(VrKnnCoarseTile *coarse, int rows, const float *x,
				const float *norm2)
{
	const int padded = CoarsePadded(coarse->dim);
	float ratio2 = 0;
	double ratio;
	int i;

	for (i = 0; i < rows; i++)
	{
		float error2 =
			coarse->kernels->round(coarse->dim, x + (Size) i * coarse->dim,
								   coarse->rows + (Size) i * padded);

		coarse->norm[i] = sqrtf(norm2[i]);
		if (norm2[i] > 0 && error2 > ratio2 * norm2[i])
			ratio2 = error2 / norm2[i];
	}
	ratio = COARSE_ERROR * sqrt(ratio2);
	for (i = 0; i < coarse->count; i++)
		coarse->slack[i] =
			COARSE_ERROR * (coarse->error[i] + ratio * coarse->length[i]);
}

void
VrKnnCoarseNear(VrKnnCoarseTile *coarse, int first, const float *weight,
				const float *slope, const float *limit)
{
	const int padded = CoarsePadded(coarse->dim);
	const int blocks = CoarseBlocks(coarse->count);
	const int last = coarse->count - (blocks - 1) * VR_KNN_COARSE_BLOCK;
	uint32 *near = coarse->near;
	int i;

	coarse->kernels->block(padded / VR_KNN_COARSE_STEP,
						   coarse->rows + (Size) first * padded, weight + first,
						   coarse->norm + first, blocks, coarse->queries, slope,
						   coarse->slack, limit, near);
	/* Queries beyond the last are not refused by a row with a NaN. */
	near += (Size) (blocks - 1) * VR_KNN_COARSE_BLOCK;
	for (i = 0; i < VR_KNN_COARSE_BLOCK; i++)
		near[i] &= PG_UINT32_MAX >> (VR_KNN_COARSE_BLOCK - last);
}

const uint16 *
VrKnnCoarseList(VrKnnCoarseTile *coarse, int row, int query, int *n)
{
	const int blocks = CoarseBlocks(coarse->count - query);

	*n = coarse->kernels->list(Min(blocks, VR_KNN_COARSE_LIST),
							   coarse->near + query + row, coarse->list);
	return coarse->list;
}
