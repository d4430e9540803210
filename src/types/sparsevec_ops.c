/*
 * sparsevec_ops.c
 *		Type sparsevec: distances, norm, comparison.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_sparsevec_l2_distance);
PG_FUNCTION_INFO_V1(vr_sparsevec_l2_squared_distance);
PG_FUNCTION_INFO_V1(vr_sparsevec_inner_product);
PG_FUNCTION_INFO_V1(vr_sparsevec_negative_inner_product);
PG_FUNCTION_INFO_V1(vr_sparsevec_cosine_distance);
PG_FUNCTION_INFO_V1(vr_sparsevec_l1_distance);
PG_FUNCTION_INFO_V1(vr_sparsevec_norm);
PG_FUNCTION_INFO_V1(vr_sparsevec_l2_normalize);
PG_FUNCTION_INFO_V1(vr_sparsevec_lt);
PG_FUNCTION_INFO_V1(vr_sparsevec_le);
PG_FUNCTION_INFO_V1(vr_sparsevec_eq);
PG_FUNCTION_INFO_V1(vr_sparsevec_ne);
PG_FUNCTION_INFO_V1(vr_sparsevec_ge);
PG_FUNCTION_INFO_V1(vr_sparsevec_gt);
PG_FUNCTION_INFO_V1(vr_sparsevec_cmp);

/* A kernel of distance.h over two lists of elements. */
typedef float (*SparseVecKernel)(int na, const int32 *ia, const float *xa,
								 int nb, const int32 *ib, const float *xb);

/* The kernel's value for the two arguments, whose dimensions must agree. */
static inline float
SparseVecApply(FunctionCallInfo fcinfo, SparseVecKernel kernel)
{
	VrSparseVec *a = PG_GETARG_VR_SPARSEVEC(0);
	VrSparseVec *b = PG_GETARG_VR_SPARSEVEC(1);
	float result;

	VrCheckSameDims("sparsevec", a->dim, b->dim);
	result = kernel(a->nnz, a->indices, VR_SPARSEVEC_VALUES(a), b->nnz,
					b->indices, VR_SPARSEVEC_VALUES(b));
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* l2_distance(sparsevec, sparsevec) */
Datum
vr_sparsevec_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt((double) SparseVecApply(fcinfo, VrSparseL2Sq)));
}

/* sparsevec_l2_squared_distance(sparsevec, sparsevec) */
Datum
vr_sparsevec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8((double) SparseVecApply(fcinfo, VrSparseL2Sq));
}

/* inner_product(sparsevec, sparsevec) */
Datum
vr_sparsevec_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8((double) SparseVecApply(fcinfo, VrSparseIp));
}

/* sparsevec_negative_inner_product(sparsevec, sparsevec) */
Datum
vr_sparsevec_negative_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8((double) -SparseVecApply(fcinfo, VrSparseIp));
}

/* l1_distance(sparsevec, sparsevec) */
Datum
vr_sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8((double) SparseVecApply(fcinfo, VrSparseL1));
}

/* cosine_distance(sparsevec, sparsevec) */
Datum
vr_sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	VrSparseVec *a = PG_GETARG_VR_SPARSEVEC(0);
	VrSparseVec *b = PG_GETARG_VR_SPARSEVEC(1);
	const float *xa = VR_SPARSEVEC_VALUES(a);
	const float *xb = VR_SPARSEVEC_VALUES(b);
	float ip;
	float aa;
	float bb;

	VrCheckSameDims("sparsevec", a->dim, b->dim);
	ip = VrSparseIp(a->nnz, a->indices, xa, b->nnz, b->indices, xb);
	aa = VrSparseNormSq(a->nnz, xa);
	bb = VrSparseNormSq(b->nnz, xb);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_FLOAT8(VrTypesCosineDistance(ip, aa, bb));
}

/* l2_norm(sparsevec) */
Datum
vr_sparsevec_norm(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);
	double squares = VrTypesSumSquares(v->nnz, VR_SPARSEVEC_VALUES(v));

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_FLOAT8(sqrt(squares));
}

/*
 * l2_normalize(sparsevec): the zero vector stays as it is. An element that
 * becomes zero is no longer stored.
 */
Datum
vr_sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);
	const float *values = VR_SPARSEVEC_VALUES(v);
	double norm = sqrt(VrTypesSumSquares(v->nnz, values));
	VrSparseVec *result;
	float *scaled;
	int nnz = 0;
	int j = 0;

	for (int i = 0; i < v->nnz; i++)
		nnz += ((float) (values[i] / norm) != 0);

	result = VrSparseVecMake(v->dim, nnz);
	scaled = VR_SPARSEVEC_VALUES(result);
	for (int i = 0; i < v->nnz; i++)
	{
		float value = (float) (values[i] / norm);

		if (VR_UNLIKELY(isinf(value)))
			VrErrorOverflow();
		if (value != 0)
		{
			result->indices[j] = v->indices[i];
			scaled[j++] = value;
		}
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/*
 * Order of the dense vectors that the two stand for: at the first index that
 * only one of them stores, that one's value is compared with zero; of two that
 * agree so far, the one of fewer dimensions is less.
 */
static int
SparseVecCompare(const VrSparseVec *a, const VrSparseVec *b)
{
	const float *xa = VR_SPARSEVEC_VALUES(a);
	const float *xb = VR_SPARSEVEC_VALUES(b);
	int nnz = Min(a->nnz, b->nnz);

	for (int i = 0; i < nnz; i++)
	{
		if (a->indices[i] < b->indices[i])
			return xa[i] < 0 ? -1 : 1;
		if (a->indices[i] > b->indices[i])
			return xb[i] < 0 ? 1 : -1;
		if (xa[i] != xb[i])
			return xa[i] < xb[i] ? -1 : 1;
	}

	/* An element beyond the other's dimensions is compared with nothing. */
	if (a->nnz < b->nnz && b->indices[nnz] < a->dim)
		return xb[nnz] < 0 ? 1 : -1;
	if (a->nnz > b->nnz && a->indices[nnz] < b->dim)
		return xa[nnz] < 0 ? -1 : 1;
	return (a->dim > b->dim) - (a->dim < b->dim);
}

static inline int
SparseVecCompareArgs(FunctionCallInfo fcinfo)
{
	VrSparseVec *a = PG_GETARG_VR_SPARSEVEC(0);
	VrSparseVec *b = PG_GETARG_VR_SPARSEVEC(1);
	int order = SparseVecCompare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

/* sparsevec_lt(sparsevec, sparsevec) */
Datum
vr_sparsevec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SparseVecCompareArgs(fcinfo) < 0);
}

/* sparsevec_le(sparsevec, sparsevec) */
Datum
vr_sparsevec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SparseVecCompareArgs(fcinfo) <= 0);
}

/* sparsevec_eq(sparsevec, sparsevec) */
Datum
vr_sparsevec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SparseVecCompareArgs(fcinfo) == 0);
}

/* sparsevec_ne(sparsevec, sparsevec) */
Datum
vr_sparsevec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SparseVecCompareArgs(fcinfo) != 0);
}

/* sparsevec_ge(sparsevec, sparsevec) */
Datum
vr_sparsevec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SparseVecCompareArgs(fcinfo) >= 0);
}

/* sparsevec_gt(sparsevec, sparsevec) */
Datum
vr_sparsevec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(SparseVecCompareArgs(fcinfo) > 0);
}

/* sparsevec_cmp(sparsevec, sparsevec) */
Datum
vr_sparsevec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(SparseVecCompareArgs(fcinfo));
}
