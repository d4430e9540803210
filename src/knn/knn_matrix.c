/*
 * knn_matrix.c
 *		Functions over arrays of vectors: distances of all with all, of pairs,
 *		norms and means.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "knn/knn_private.h"

PG_FUNCTION_INFO_V1(vr_similarity_matrix);
PG_FUNCTION_INFO_V1(vr_pairwise);
PG_FUNCTION_INFO_V1(vr_normalize_batch);
PG_FUNCTION_INFO_V1(vr_mean);

#define MATRIX_TILE 256

/* A product is as good as the kernel's if its error is below this. */
#define MATRIX_PRECISION 1e-5

/*
 * Distances of rows i.. of a to rows j.. of b from their products. Where norms
 * and product nearly cancel, the difference has lost its digits, and the kernel
 * measures the pair instead. A product's error grows with the root of its
 * terms; as a bound it would grow with their number, and little would be left
 * to the products.
 */
static void
MatrixFinish(VrKnnMetric metric, const VrKnnBlock *a, int i, const float *anorm,
			 const VrKnnBlock *b, int j0, int nb, const float *bnorm,
			 float *out)
{
	const double error = (4 + sqrt(a->dim) / 2) / (1 << 24);
	const double doubtful = error / MATRIX_PRECISION;
	int j;

	for (j = 0; j < nb; j++)
	{
		const double aa = anorm[i];
		const double bb = bnorm[j0 + j];
		double scale = 1;
		double value = out[j];

		switch (metric)
		{
			case VR_KNN_L2:
				scale = aa + bb;
				value = scale - 2 * value;
				break;
			case VR_KNN_IP:
				scale = sqrt(aa * bb);
				value = -value;
				break;
			case VR_KNN_COSINE:
				value = 1 - value / sqrt(aa * bb);
				break;
			case VR_KNN_L1:
				break;
		}
		/* Also if the value is no number. */
		if (metric == VR_KNN_L1 || !(fabs(value) > doubtful * scale) ||
			!isfinite(value) || !(aa > 1e-30 && bb > 1e-30))
			value = VrKnnScore(metric, a->dim, b->x + (Size) (j0 + j) * b->dim,
							   a->x + (Size) i * a->dim);
		out[j] = VrKnnDistance(metric, value);
	}
}

static float *
MatrixNorms(const VrKnnBlock *block)
{
	float *norms = MemoryContextAllocHuge(
		CurrentMemoryContext, mul_size(block->count, sizeof(float)));
	int i;

	for (i = 0; i < block->count; i++)
	{
		const float *x = block->x + (Size) i * block->dim;

		norms[i] = VrDistance->ip_f32(block->dim, x, x);
	}
	return norms;
}

/* An array of float4 without nulls, zeroed, of one or two dimensions. */
static ArrayType *
MatrixArray(int rows, int columns)
{
	int ndim = columns > 0 ? 2 : 1;
	Size bytes = add_size(
		ARR_OVERHEAD_NONULLS(ndim),
		mul_size(mul_size(rows, columns > 0 ? columns : 1), sizeof(float4)));
	ArrayType *array;

	if (!AllocSizeIsValid(bytes))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a matrix of %d by %d numbers is too large",
							   rows, columns),
						errdetail("It would take %zu bytes, of at most %zu.",
								  bytes, (Size) MaxAllocSize),
						errhint("Compute it in parts.")));
	array = palloc0(bytes);
	SET_VARSIZE(array, bytes);
	array->ndim = ndim;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = rows;
	ARR_LBOUND(array)[0] = 1;
	if (ndim == 2)
	{
		ARR_DIMS(array)[1] = columns;
		ARR_LBOUND(array)[1] = 1;
	}
	return array;
}

Datum
vr_similarity_matrix(PG_FUNCTION_ARGS)
{
	VrKnnMetric metric =
		VrKnnMetricFromName(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	VrKnnBlock a;
	VrKnnBlock b;
	ArrayType *result;
	float *out;
	float *anorm;
	float *bnorm;
	void (*products)(int, int, int, const float *, int, const float *, int,
					 float *, int);
	int i;
	int j;

	VrKnnBlockFromArray(PG_GETARG_ARRAYTYPE_P(0), "the first array", true, &a);
	VrKnnBlockFromArray(PG_GETARG_ARRAYTYPE_P(1), "the second array", true, &b);
	if (a.count == 0 || b.count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(FLOAT4OID));
	/* A few do not pay for loading BLAS. */
	products = Min(a.count, b.count) < VR_KNN_FEW_QUERIES ? VrKnnKernelProducts
														  : VrKnnProducts;
	VrCheckSameDims("vector", a.dim, b.dim);
	result = MatrixArray(a.count, b.count);
	out = (float *) ARR_DATA_PTR(result);
	anorm = MatrixNorms(&a);
	bnorm = MatrixNorms(&b);
	for (i = 0; i < a.count; i += MATRIX_TILE)
		for (j = 0; j < b.count; j += MATRIX_TILE)
		{
			int na = Min(MATRIX_TILE, a.count - i);
			int nb = Min(MATRIX_TILE, b.count - j);
			float *tile = out + (Size) i * b.count + j;
			int r;

			CHECK_FOR_INTERRUPTS();
			if (metric != VR_KNN_L1)
				products(na, nb, a.dim, a.x + (Size) i * a.dim, a.dim,
						 b.x + (Size) j * b.dim, b.dim, tile, b.count);
			for (r = 0; r < na; r++)
				MatrixFinish(metric, &a, i + r, anorm, &b, j, nb, bnorm,
							 tile + (Size) r * b.count);
		}
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
vr_pairwise(PG_FUNCTION_ARGS)
{
	VrKnnMetric metric =
		VrKnnMetricFromName(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	VrKnnBlock a;
	VrKnnBlock b;
	Datum *values;
	int i;

	VrKnnBlockFromArray(PG_GETARG_ARRAYTYPE_P(0), "the first array", true, &a);
	VrKnnBlockFromArray(PG_GETARG_ARRAYTYPE_P(1), "the second array", true, &b);
	if (a.count != b.count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("arrays of pairs must be of one length, not %d "
							   "and %d",
							   a.count, b.count)));
	if (a.count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(FLOAT8OID));
	VrCheckSameDims("vector", a.dim, b.dim);
	values = palloc(a.count * sizeof(Datum));
	for (i = 0; i < a.count; i++)
	{
		double score = VrKnnScore(metric, a.dim, b.x + (Size) i * b.dim,
								  a.x + (Size) i * a.dim);

		if (i % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		values[i] = Float8GetDatum(VrKnnDistance(metric, score));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(values, a.count, FLOAT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
vr_normalize_batch(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	VrKnnBlock block;
	int i;
	int j;

	VrKnnBlockFromArray(array, "the array", true, &block);
	for (i = 0; i < block.count; i++)
	{
		float *x = block.x + (Size) i * block.dim;
		double norm2 = 0;
		double norm;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (j = 0; j < block.dim; j++)
			norm2 += (double) x[j] * x[j];
		norm = sqrt(norm2);
		/* A zero vector has no direction, and stays zero. */
		for (j = 0; j < block.dim && norm > 0; j++)
			x[j] = x[j] / norm;
	}
	PG_RETURN_ARRAYTYPE_P(VrKnnBlockToArray(&block, ARR_ELEMTYPE(array)));
}

Datum
vr_mean(PG_FUNCTION_ARGS)
{
	VrKnnBlock block;
	double *sums;
	VrVector *mean;
	int i;
	int j;

	VrKnnBlockFromArray(PG_GETARG_ARRAYTYPE_P(0), "the array", true, &block);
	if (block.count == 0)
		PG_RETURN_NULL();
	sums = palloc0(block.dim * sizeof(double));
	for (i = 0; i < block.count; i++)
	{
		const float *x = block.x + (Size) i * block.dim;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (j = 0; j < block.dim; j++)
			sums[j] += x[j];
	}
	mean = VrVectorMake(block.dim);
	for (j = 0; j < block.dim; j++)
		mean->x[j] = sums[j] / block.count;
	PG_RETURN_POINTER(mean);
}
