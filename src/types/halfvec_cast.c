/*
 * halfvec_cast.c
 *		Type halfvec: casts from and to it, and the functions behind
 *		avg(halfvec).
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "utils/array.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_halfvec);
PG_FUNCTION_INFO_V1(vr_array_to_halfvec);
PG_FUNCTION_INFO_V1(vr_halfvec_to_float4);
PG_FUNCTION_INFO_V1(vr_vector_to_halfvec);
PG_FUNCTION_INFO_V1(vr_sparsevec_to_halfvec);
PG_FUNCTION_INFO_V1(vr_halfvec_accum);
PG_FUNCTION_INFO_V1(vr_halfvec_avg);

/*
 * Throws for the element of src that half precision cannot hold: a finite one
 * that is too large before one that is not finite itself.
 */
static void VR_NORETURN
HalfVecErrorFill(int dim, const float *src)
{
	char text[FLOAT_SHORTEST_DECIMAL_LEN];

	for (int i = 0; i < dim; i++)
	{
		if (isfinite(src[i]) && !VrHalfIsFinite(VrFloatToHalf(src[i])))
			VrErrorOutOfRange(NULL, "halfvec", text,
							  float_to_shortest_decimal_buf(src[i], text));
	}
	for (int i = 0; i < dim; i++)
	{
		if (!isfinite(src[i]))
			VrErrorNotFinite(NULL, "halfvec", src[i]);
	}
	pg_unreachable();
}

/* Rounds src into dst's elements; what half precision lacks is an error. */
static void
HalfVecFill(VrHalfVec *dst, const float *src)
{
	VrDistance->f32_to_f16(dst->dim, src, dst->x);
	if (VR_UNLIKELY(VrTypesAnyHalfNotFinite(dst->dim, dst->x)))
		HalfVecErrorFill(dst->dim, src);
}

/* halfvec(halfvec, integer, boolean): applies the type modifier */
Datum
vr_halfvec(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);

	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_POINTER(v);
}

/* array_to_halfvec(integer[] | real[] | double precision[] | numeric[], ...) */
Datum
vr_array_to_halfvec(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	int dim;
	const float *x = VrTypesArrayElements(array, "halfvec", VR_HALFVEC_MAX_DIM,
										  PG_GETARG_INT32(1), &dim);
	VrHalfVec *result = VrHalfVecMake(dim);

	HalfVecFill(result, x);
	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_POINTER(result);
}

/* halfvec_to_float4(halfvec, integer, boolean) */
Datum
vr_halfvec_to_float4(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	ArrayType *result = VrTypesMakeFloat4Array(v->dim);

	VrDistance->f16_to_f32(v->dim, v->x, (float *) ARR_DATA_PTR(result));
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_ARRAYTYPE_P(result);
}

/* vector_to_halfvec(vector, integer, boolean) */
Datum
vr_vector_to_halfvec(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	VrHalfVec *result;

	VrCheckDimLimit("halfvec", v->dim, VR_HALFVEC_MAX_DIM);
	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	result = VrHalfVecMake(v->dim);
	HalfVecFill(result, v->x);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* sparsevec_to_halfvec(sparsevec, integer, boolean) */
Datum
vr_sparsevec_to_halfvec(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);
	float *values = VR_SPARSEVEC_VALUES(v);
	VrHalfVec *result;

	VrCheckDimLimit("halfvec", v->dim, VR_HALFVEC_MAX_DIM);
	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	result = VrHalfVecMake(v->dim);
	for (int i = 0; i < v->nnz; i++)
	{
		vr_half half = VrFloatToHalf(values[i]);

		if (VR_UNLIKELY(!VrHalfIsFinite(half)))
			HalfVecErrorFill(v->nnz, values);
		result->x[v->indices[i]] = half;
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* halfvec_accum(double precision[], halfvec) */
Datum
vr_halfvec_accum(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(1);
	float *x = palloc(sizeof(float) * v->dim);
	Datum state;

	VrDistance->f16_to_f32(v->dim, v->x, x);
	state = VrTypesAccumulate(fcinfo, "halfvec_accum", v->dim, x);
	pfree(x);
	PG_FREE_IF_COPY(v, 1);
	return state;
}

/* halfvec_avg(double precision[]): NULL for no rows */
Datum
vr_halfvec_avg(PG_FUNCTION_ARGS)
{
	ArrayType *state = PG_GETARG_ARRAYTYPE_P(0);
	int dim;
	const float8 *sum = VrTypesAggState(state, "halfvec_avg", &dim);
	VrHalfVec *result;
	float *x;

	if (sum[0] == 0)
		PG_RETURN_NULL();

	VrCheckDimLimit("halfvec", dim, VR_HALFVEC_MAX_DIM);
	x = palloc(sizeof(float) * dim);
	for (int i = 0; i < dim; i++)
		x[i] = (float) (sum[i + 1] / sum[0]);
	result = VrHalfVecMake(dim);
	HalfVecFill(result, x);
	pfree(x);
	PG_FREE_IF_COPY(state, 0);
	PG_RETURN_POINTER(result);
}
