/*
 * vector_ops.c
 *		Type vector: distances, arithmetic, comparison.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/varbit.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_vector_l2_distance);
PG_FUNCTION_INFO_V1(vr_vector_l2_squared_distance);
PG_FUNCTION_INFO_V1(vr_vector_inner_product);
PG_FUNCTION_INFO_V1(vr_vector_negative_inner_product);
PG_FUNCTION_INFO_V1(vr_vector_cosine_distance);
PG_FUNCTION_INFO_V1(vr_vector_spherical_distance);
PG_FUNCTION_INFO_V1(vr_vector_l1_distance);
PG_FUNCTION_INFO_V1(vr_vector_dims);
PG_FUNCTION_INFO_V1(vr_vector_norm);
PG_FUNCTION_INFO_V1(vr_vector_l2_normalize);
PG_FUNCTION_INFO_V1(vr_vector_add);
PG_FUNCTION_INFO_V1(vr_vector_sub);
PG_FUNCTION_INFO_V1(vr_vector_mul);
PG_FUNCTION_INFO_V1(vr_vector_concat);
PG_FUNCTION_INFO_V1(vr_vector_binary_quantize);
PG_FUNCTION_INFO_V1(vr_vector_subvector);
PG_FUNCTION_INFO_V1(vr_vector_lt);
PG_FUNCTION_INFO_V1(vr_vector_le);
PG_FUNCTION_INFO_V1(vr_vector_eq);
PG_FUNCTION_INFO_V1(vr_vector_ne);
PG_FUNCTION_INFO_V1(vr_vector_ge);
PG_FUNCTION_INFO_V1(vr_vector_gt);
PG_FUNCTION_INFO_V1(vr_vector_cmp);

/*
 * The two arguments of a distance or arithmetic function, of equal dimensions.
 * VECTOR_DONE frees what detoasting copied.
 */
#define VECTOR_ARGS(a, b)                                                      \
	VrVector *a = PG_GETARG_VR_VECTOR(0);                                      \
	VrVector *b = PG_GETARG_VR_VECTOR(1);                                      \
                                                                               \
	VrCheckSameDims("vector", a->dim, b->dim)

#define VECTOR_DONE(a, b)                                                      \
	do                                                                         \
	{                                                                          \
		PG_FREE_IF_COPY(a, 0);                                                 \
		PG_FREE_IF_COPY(b, 1);                                                 \
	} while (0)

/* Finite operands give no NaN: what is not finite has overflowed. */
static inline void
VectorCheckOverflow(const VrVector *v)
{
	if (VR_UNLIKELY(VrTypesAnyNotFinite(v->dim, v->x)))
		VrErrorOverflow();
}

/* l2_distance(vector, vector) */
Datum
vr_vector_l2_distance(PG_FUNCTION_ARGS)
{
	float sum;
	VECTOR_ARGS(a, b);

	sum = VrDistance->l2sq_f32(a->dim, a->x, b->x);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8(sqrt((double) sum));
}

/* vector_l2_squared_distance(vector, vector) */
Datum
vr_vector_l2_squared_distance(PG_FUNCTION_ARGS)
{
	float sum;
	VECTOR_ARGS(a, b);

	sum = VrDistance->l2sq_f32(a->dim, a->x, b->x);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8((double) sum);
}

/* inner_product(vector, vector) */
Datum
vr_vector_inner_product(PG_FUNCTION_ARGS)
{
	float sum;
	VECTOR_ARGS(a, b);

	sum = VrDistance->ip_f32(a->dim, a->x, b->x);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8((double) sum);
}

/* vector_negative_inner_product(vector, vector) */
Datum
vr_vector_negative_inner_product(PG_FUNCTION_ARGS)
{
	float sum;
	VECTOR_ARGS(a, b);

	sum = VrDistance->ip_f32(a->dim, a->x, b->x);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8((double) -sum);
}

/* cosine_distance(vector, vector) */
Datum
vr_vector_cosine_distance(PG_FUNCTION_ARGS)
{
	float ip;
	float aa;
	float bb;
	VECTOR_ARGS(a, b);

	VrDistance->cosine_f32(a->dim, a->x, b->x, &ip, &aa, &bb);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8(VrTypesCosineDistance(ip, aa, bb));
}

/* vector_spherical_distance(vector, vector): both of length one */
Datum
vr_vector_spherical_distance(PG_FUNCTION_ARGS)
{
	float ip;
	VECTOR_ARGS(a, b);

	ip = VrDistance->ip_f32(a->dim, a->x, b->x);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8(VrTypesSphericalDistance(ip));
}

/* l1_distance(vector, vector) */
Datum
vr_vector_l1_distance(PG_FUNCTION_ARGS)
{
	float sum;
	VECTOR_ARGS(a, b);

	sum = VrDistance->l1_f32(a->dim, a->x, b->x);
	VECTOR_DONE(a, b);
	PG_RETURN_FLOAT8((double) sum);
}

/* vector_dims(vector) */
Datum
vr_vector_dims(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	int32 dim = v->dim;

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_INT32(dim);
}

/* vector_norm(vector) */
Datum
vr_vector_norm(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	double squares = VrTypesSumSquares(v->dim, v->x);

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_FLOAT8(sqrt(squares));
}

/* l2_normalize(vector): the zero vector stays as it is */
Datum
vr_vector_l2_normalize(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	double norm = sqrt(VrTypesSumSquares(v->dim, v->x));
	VrVector *result = VrVectorMake(v->dim);

	if (norm > 0)
	{
		for (int i = 0; i < v->dim; i++)
			result->x[i] = (float) (v->x[i] / norm);
		VectorCheckOverflow(result);
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/*
 * The loops of the arithmetic. Bounds and arrays are parameters, and a sum in
 * place is a loop of its own: only so does the compiler see that no store
 * changes what it reads next.
 */
static void
VectorAdd(int n, const float *a, const float *b, float *result)
{
	for (int i = 0; i < n; i++)
		result[i] = a[i] + b[i];
}

static void
VectorAddTo(int n, float *a, const float *b)
{
	for (int i = 0; i < n; i++)
		a[i] += b[i];
}

static void
VectorSubtract(int n, const float *a, const float *b, float *result)
{
	for (int i = 0; i < n; i++)
		result[i] = a[i] - b[i];
}

/* Returns how many products are zero. */
static int
VectorMultiply(int n, const float *a, const float *b, float *result)
{
	int zeros = 0;

	for (int i = 0; i < n; i++)
		result[i] = a[i] * b[i];
	for (int i = 0; i < n; i++)
		zeros += (result[i] == 0);
	return zeros;
}

/*
 * vector_add(vector, vector), also the transition function of sum(vector): an
 * aggregate's own state is added to in place.
 */
Datum
vr_vector_add(PG_FUNCTION_ARGS)
{
	VrVector *result;
	VECTOR_ARGS(a, b);

	if (AggCheckCallContext(fcinfo, NULL))
	{
		result = a;
		VectorAddTo(a->dim, a->x, b->x);
	}
	else
	{
		result = VrVectorMake(a->dim);
		VectorAdd(a->dim, a->x, b->x, result->x);
		PG_FREE_IF_COPY(a, 0);
	}
	VectorCheckOverflow(result);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_POINTER(result);
}

/* vector_sub(vector, vector) */
Datum
vr_vector_sub(PG_FUNCTION_ARGS)
{
	VrVector *result;
	VECTOR_ARGS(a, b);

	result = VrVectorMake(a->dim);
	VectorSubtract(a->dim, a->x, b->x, result->x);
	VectorCheckOverflow(result);
	VECTOR_DONE(a, b);
	PG_RETURN_POINTER(result);
}

/* vector_mul(vector, vector), element by element */
Datum
vr_vector_mul(PG_FUNCTION_ARGS)
{
	VrVector *result;
	int zeros;
	VECTOR_ARGS(a, b);

	result = VrVectorMake(a->dim);
	zeros = VectorMultiply(a->dim, a->x, b->x, result->x);

	/* The first element out of range counts, and there may be both kinds. */
	if (VR_UNLIKELY(zeros > 0 || VrTypesAnyNotFinite(result->dim, result->x)))
	{
		for (int i = 0; i < a->dim; i++)
		{
			if (isinf(result->x[i]))
				VrErrorOverflow();
			/* A zero is right if one of its factors is zero. */
			if (result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0)
				VrErrorUnderflow();
		}
	}
	VECTOR_DONE(a, b);
	PG_RETURN_POINTER(result);
}

/* vector_concat(vector, vector) */
Datum
vr_vector_concat(PG_FUNCTION_ARGS)
{
	VrVector *a = PG_GETARG_VR_VECTOR(0);
	VrVector *b = PG_GETARG_VR_VECTOR(1);
	int dim = a->dim + b->dim;
	VrVector *result;

	VrCheckDimLimit("vector", dim, VR_VECTOR_MAX_DIM);
	result = VrVectorMake(dim);
	memcpy(result->x, a->x, sizeof(float) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(float) * b->dim);
	VECTOR_DONE(a, b);
	PG_RETURN_POINTER(result);
}

/* binary_quantize(vector): a bit per element, set if it is positive */
Datum
vr_vector_binary_quantize(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	VarBit *result = VrTypesMakeBits(v->dim);

	VrTypesSignBits(v->dim, v->x, VARBITS(result));
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_VARBIT_P(result);
}

/*
 * subvector(vector, integer, integer): count elements from start, counted from
 * one; what lies outside the vector is left out, like substring.
 */
Datum
vr_vector_subvector(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	int first;
	int dim = VrTypesSubrange("vector", v->dim, PG_GETARG_INT32(1),
							  PG_GETARG_INT32(2), &first);
	VrVector *result = VrVectorMake(dim);

	memcpy(result->x, v->x + first, sizeof(float) * dim);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* Element by element; of two that agree so far, the shorter is less. */
static inline int
VectorCompare(const VrVector *a, const VrVector *b)
{
	int dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] != b->x[i])
			return a->x[i] < b->x[i] ? -1 : 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

static inline int
VectorCompareArgs(FunctionCallInfo fcinfo)
{
	VrVector *a = PG_GETARG_VR_VECTOR(0);
	VrVector *b = PG_GETARG_VR_VECTOR(1);
	int order = VectorCompare(a, b);

	VECTOR_DONE(a, b);
	return order;
}

/* vector_lt(vector, vector) */
Datum
vr_vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(VectorCompareArgs(fcinfo) < 0);
}

/* vector_le(vector, vector) */
Datum
vr_vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(VectorCompareArgs(fcinfo) <= 0);
}

/* vector_eq(vector, vector) */
Datum
vr_vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(VectorCompareArgs(fcinfo) == 0);
}

/* vector_ne(vector, vector) */
Datum
vr_vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(VectorCompareArgs(fcinfo) != 0);
}

/* vector_ge(vector, vector) */
Datum
vr_vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(VectorCompareArgs(fcinfo) >= 0);
}

/* vector_gt(vector, vector) */
Datum
vr_vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(VectorCompareArgs(fcinfo) > 0);
}

/* vector_cmp(vector, vector) */
Datum
vr_vector_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(VectorCompareArgs(fcinfo));
}
