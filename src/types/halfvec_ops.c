/*
 * halfvec_ops.c
 *		Type halfvec: distances, arithmetic, comparison.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/varbit.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_halfvec_l2_distance);
PG_FUNCTION_INFO_V1(vr_halfvec_l2_squared_distance);
PG_FUNCTION_INFO_V1(vr_halfvec_inner_product);
PG_FUNCTION_INFO_V1(vr_halfvec_negative_inner_product);
PG_FUNCTION_INFO_V1(vr_halfvec_cosine_distance);
PG_FUNCTION_INFO_V1(vr_halfvec_spherical_distance);
PG_FUNCTION_INFO_V1(vr_halfvec_l1_distance);
PG_FUNCTION_INFO_V1(vr_halfvec_dims);
PG_FUNCTION_INFO_V1(vr_halfvec_norm);
PG_FUNCTION_INFO_V1(vr_halfvec_l2_normalize);
PG_FUNCTION_INFO_V1(vr_halfvec_add);
PG_FUNCTION_INFO_V1(vr_halfvec_sub);
PG_FUNCTION_INFO_V1(vr_halfvec_mul);
PG_FUNCTION_INFO_V1(vr_halfvec_concat);
PG_FUNCTION_INFO_V1(vr_halfvec_binary_quantize);
PG_FUNCTION_INFO_V1(vr_halfvec_subvector);
PG_FUNCTION_INFO_V1(vr_halfvec_lt);
PG_FUNCTION_INFO_V1(vr_halfvec_le);
PG_FUNCTION_INFO_V1(vr_halfvec_eq);
PG_FUNCTION_INFO_V1(vr_halfvec_ne);
PG_FUNCTION_INFO_V1(vr_halfvec_ge);
PG_FUNCTION_INFO_V1(vr_halfvec_gt);
PG_FUNCTION_INFO_V1(vr_halfvec_cmp);

/*
 * The two arguments of a distance or arithmetic function, of equal dimensions.
 * HALFVEC_DONE frees what detoasting copied.
 */
#define HALFVEC_ARGS(a, b)                                                     \
	VrHalfVec *a = PG_GETARG_VR_HALFVEC(0);                                    \
	VrHalfVec *b = PG_GETARG_VR_HALFVEC(1);                                    \
                                                                               \
	VrCheckSameDims("halfvec", a->dim, b->dim)

#define HALFVEC_DONE(a, b)                                                     \
	do                                                                         \
	{                                                                          \
		PG_FREE_IF_COPY(a, 0);                                                 \
		PG_FREE_IF_COPY(b, 1);                                                 \
	} while (0)

/* Elements that are widened to float32 at a time, on the stack. */
#define HALFVEC_CHUNK 256

typedef enum HalfVecOp
{
	HALFVEC_ADD,
	HALFVEC_SUB,
	HALFVEC_MUL
} HalfVecOp;

static double
HalfVecSumSquares(const VrHalfVec *v)
{
	float x[HALFVEC_CHUNK];
	double squares = 0;

	for (int start = 0; start < v->dim; start += HALFVEC_CHUNK)
	{
		int n = Min(v->dim - start, HALFVEC_CHUNK);

		VrDistance->f16_to_f32(n, v->x + start, x);
		for (int i = 0; i < n; i++)
			squares += (double) x[i] * x[i];
	}
	return squares;
}

/* l2_distance(halfvec, halfvec) */
Datum
vr_halfvec_l2_distance(PG_FUNCTION_ARGS)
{
	float sum;
	HALFVEC_ARGS(a, b);

	sum = VrDistance->l2sq_f16(a->dim, a->x, b->x);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8(sqrt((double) sum));
}

/* halfvec_l2_squared_distance(halfvec, halfvec) */
Datum
vr_halfvec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	float sum;
	HALFVEC_ARGS(a, b);

	sum = VrDistance->l2sq_f16(a->dim, a->x, b->x);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8((double) sum);
}

/* inner_product(halfvec, halfvec) */
Datum
vr_halfvec_inner_product(PG_FUNCTION_ARGS)
{
	float sum;
	HALFVEC_ARGS(a, b);

	sum = VrDistance->ip_f16(a->dim, a->x, b->x);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8((double) sum);
}

/* halfvec_negative_inner_product(halfvec, halfvec) */
Datum
vr_halfvec_negative_inner_product(PG_FUNCTION_ARGS)
{
	float sum;
	HALFVEC_ARGS(a, b);

	sum = VrDistance->ip_f16(a->dim, a->x, b->x);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8((double) -sum);
}

/* cosine_distance(halfvec, halfvec) */
Datum
vr_halfvec_cosine_distance(PG_FUNCTION_ARGS)
{
	float ip;
	float aa;
	float bb;
	HALFVEC_ARGS(a, b);

	VrDistance->cosine_f16(a->dim, a->x, b->x, &ip, &aa, &bb);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8(VrTypesCosineDistance(ip, aa, bb));
}

/* halfvec_spherical_distance(halfvec, halfvec): both of length one */
Datum
vr_halfvec_spherical_distance(PG_FUNCTION_ARGS)
{
	float ip;
	HALFVEC_ARGS(a, b);

	ip = VrDistance->ip_f16(a->dim, a->x, b->x);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8(VrTypesSphericalDistance(ip));
}

/* l1_distance(halfvec, halfvec) */
Datum
vr_halfvec_l1_distance(PG_FUNCTION_ARGS)
{
	float sum;
	HALFVEC_ARGS(a, b);

	sum = VrDistance->l1_f16(a->dim, a->x, b->x);
	HALFVEC_DONE(a, b);
	PG_RETURN_FLOAT8((double) sum);
}

/* halfvec_dims(vector) */
Datum
vr_halfvec_dims(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	int32 dim = v->dim;

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_INT32(dim);
}

/* l2_norm(halfvec) */
Datum
vr_halfvec_norm(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	double squares = HalfVecSumSquares(v);

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_FLOAT8(sqrt(squares));
}

/* l2_normalize(halfvec): the zero vector stays as it is */
Datum
vr_halfvec_l2_normalize(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	double norm = sqrt(HalfVecSumSquares(v));
	VrHalfVec *result = VrHalfVecMake(v->dim);

	if (norm > 0)
	{
		float x[HALFVEC_CHUNK];

		for (int start = 0; start < v->dim; start += HALFVEC_CHUNK)
		{
			int n = Min(v->dim - start, HALFVEC_CHUNK);

			VrDistance->f16_to_f32(n, v->x + start, x);
			for (int i = 0; i < n; i++)
				x[i] = (float) (x[i] / norm);
			VrDistance->f32_to_f16(n, x, result->x + start);
		}
		if (VR_UNLIKELY(VrTypesAnyHalfNotFinite(v->dim, result->x)))
			VrErrorOverflow();
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/*
 * a op b into result, which may be a. Computed in float32, whose 24 bits are
 * enough (2 * 11 + 2) that rounding twice gives what rounding once would.
 */
static inline void
HalfVecArithmetic(HalfVecOp op, const VrHalfVec *a, const VrHalfVec *b,
				  VrHalfVec *result)
{
	float x[HALFVEC_CHUNK];
	float y[HALFVEC_CHUNK];

	for (int start = 0; start < a->dim; start += HALFVEC_CHUNK)
	{
		int n = Min(a->dim - start, HALFVEC_CHUNK);
		const vr_half *ha = a->x + start;
		const vr_half *hb = b->x + start;
		vr_half *hr = result->x + start;
		bool suspect;

		VrDistance->f16_to_f32(n, ha, x);
		VrDistance->f16_to_f32(n, hb, y);
		for (int i = 0; i < n; i++)
			x[i] = op == HALFVEC_ADD   ? x[i] + y[i]
				   : op == HALFVEC_SUB ? x[i] - y[i]
									   : x[i] * y[i];
		VrDistance->f32_to_f16(n, x, hr);

		suspect = VrTypesAnyHalfNotFinite(n, hr);
		if (op == HALFVEC_MUL)
		{
			for (int i = 0; i < n; i++)
				suspect |= VrHalfIsZero(hr[i]);
		}
		if (VR_LIKELY(!suspect))
			continue;

		/* A zero product is right if one of its factors is zero. */
		for (int i = 0; i < n; i++)
		{
			if (!VrHalfIsFinite(hr[i]))
				VrErrorOverflow();
			if (op == HALFVEC_MUL && VrHalfIsZero(hr[i]) &&
				!VrHalfIsZero(ha[i]) && !VrHalfIsZero(hb[i]))
				VrErrorUnderflow();
		}
	}
}

/*
 * halfvec_add(halfvec, halfvec), also the transition function of sum(halfvec):
 * an aggregate's own state is added to in place.
 */
Datum
vr_halfvec_add(PG_FUNCTION_ARGS)
{
	VrHalfVec *result;
	HALFVEC_ARGS(a, b);

	if (AggCheckCallContext(fcinfo, NULL))
		result = a;
	else
		result = VrHalfVecMake(a->dim);
	HalfVecArithmetic(HALFVEC_ADD, a, b, result);

	if (result != a)
		PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_POINTER(result);
}

/* halfvec_sub(halfvec, halfvec) */
Datum
vr_halfvec_sub(PG_FUNCTION_ARGS)
{
	VrHalfVec *result;
	HALFVEC_ARGS(a, b);

	result = VrHalfVecMake(a->dim);
	HalfVecArithmetic(HALFVEC_SUB, a, b, result);
	HALFVEC_DONE(a, b);
	PG_RETURN_POINTER(result);
}

/* halfvec_mul(halfvec, halfvec), element by element */
Datum
vr_halfvec_mul(PG_FUNCTION_ARGS)
{
	VrHalfVec *result;
	HALFVEC_ARGS(a, b);

	result = VrHalfVecMake(a->dim);
	HalfVecArithmetic(HALFVEC_MUL, a, b, result);
	HALFVEC_DONE(a, b);
	PG_RETURN_POINTER(result);
}

/* halfvec_concat(halfvec, halfvec) */
Datum
vr_halfvec_concat(PG_FUNCTION_ARGS)
{
	VrHalfVec *a = PG_GETARG_VR_HALFVEC(0);
	VrHalfVec *b = PG_GETARG_VR_HALFVEC(1);
	int dim = a->dim + b->dim;
	VrHalfVec *result;

	VrCheckDimLimit("halfvec", dim, VR_HALFVEC_MAX_DIM);
	result = VrHalfVecMake(dim);
	memcpy(result->x, a->x, sizeof(vr_half) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(vr_half) * b->dim);
	HALFVEC_DONE(a, b);
	PG_RETURN_POINTER(result);
}

/* binary_quantize(halfvec): a bit per element, set if it is positive */
Datum
vr_halfvec_binary_quantize(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	VarBit *result = VrTypesMakeBits(v->dim);
	float x[HALFVEC_CHUNK];

	StaticAssertStmt(HALFVEC_CHUNK % 8 == 0, "chunks must be whole bytes");
	for (int start = 0; start < v->dim; start += HALFVEC_CHUNK)
	{
		int n = Min(v->dim - start, HALFVEC_CHUNK);

		VrDistance->f16_to_f32(n, v->x + start, x);
		VrTypesSignBits(n, x, VARBITS(result) + start / 8);
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_VARBIT_P(result);
}

/*
 * subvector(halfvec, integer, integer): count elements from start, counted from
 * one; what lies outside the vector is left out, like substring.
 */
Datum
vr_halfvec_subvector(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	int first;
	int dim = VrTypesSubrange("halfvec", v->dim, PG_GETARG_INT32(1),
							  PG_GETARG_INT32(2), &first);
	VrHalfVec *result = VrHalfVecMake(dim);

	memcpy(result->x, v->x + first, sizeof(vr_half) * dim);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/*
 * The bits of a half as an integer that is ordered as the half is: sign and
 * magnitude to two's complement, both zeros to zero.
 */
static inline int
HalfVecOrder(vr_half half)
{
	int magnitude = half & 0x7FFF;

	return (half & 0x8000) ? -magnitude : magnitude;
}

/* Element by element; of two that agree so far, the shorter is less. */
static inline int
HalfVecCompare(const VrHalfVec *a, const VrHalfVec *b)
{
	int dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		int order = HalfVecOrder(a->x[i]) - HalfVecOrder(b->x[i]);

		if (order != 0)
			return order < 0 ? -1 : 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

static inline int
HalfVecCompareArgs(FunctionCallInfo fcinfo)
{
	VrHalfVec *a = PG_GETARG_VR_HALFVEC(0);
	VrHalfVec *b = PG_GETARG_VR_HALFVEC(1);
	int order = HalfVecCompare(a, b);

	HALFVEC_DONE(a, b);
	return order;
}

/* halfvec_lt(halfvec, halfvec) */
Datum
vr_halfvec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(HalfVecCompareArgs(fcinfo) < 0);
}

/* halfvec_le(halfvec, halfvec) */
Datum
vr_halfvec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(HalfVecCompareArgs(fcinfo) <= 0);
}

/* halfvec_eq(halfvec, halfvec) */
Datum
vr_halfvec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(HalfVecCompareArgs(fcinfo) == 0);
}

/* halfvec_ne(halfvec, halfvec) */
Datum
vr_halfvec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(HalfVecCompareArgs(fcinfo) != 0);
}

/* halfvec_ge(halfvec, halfvec) */
Datum
vr_halfvec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(HalfVecCompareArgs(fcinfo) >= 0);
}

/* halfvec_gt(halfvec, halfvec) */
Datum
vr_halfvec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(HalfVecCompareArgs(fcinfo) > 0);
}

/* halfvec_cmp(halfvec, halfvec) */
Datum
vr_halfvec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(HalfVecCompareArgs(fcinfo));
}
