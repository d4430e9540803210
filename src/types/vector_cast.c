/*
 * vector_cast.c
 *		Type vector: casts from and to it, and the functions behind avg(vector).
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_vector);
PG_FUNCTION_INFO_V1(vr_array_to_vector);
PG_FUNCTION_INFO_V1(vr_vector_to_float4);
PG_FUNCTION_INFO_V1(vr_halfvec_to_vector);
PG_FUNCTION_INFO_V1(vr_sparsevec_to_vector);
PG_FUNCTION_INFO_V1(vr_vector_accum);
PG_FUNCTION_INFO_V1(vr_vector_avg);

/* Throws for the first element that is not finite. */
static inline void
VectorCheckFinite(const VrVector *v)
{
	if (VR_LIKELY(!VrTypesAnyNotFinite(v->dim, v->x)))
		return;
	for (int i = 0; i < v->dim; i++)
	{
		if (!isfinite(v->x[i]))
			VrErrorNotFinite(NULL, "vector", v->x[i]);
	}
}

/* vector(vector, integer, boolean): applies the type modifier */
Datum
vr_vector(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);

	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_POINTER(v);
}

/* array_to_vector(integer[] | real[] | double precision[] | numeric[], ...) */
Datum
vr_array_to_vector(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	int dim;
	const float *x = VrTypesArrayElements(array, "vector", VR_VECTOR_MAX_DIM,
										  PG_GETARG_INT32(1), &dim);
	VrVector *result = VrVectorMake(dim);

	memcpy(result->x, x, sizeof(float) * dim);
	VectorCheckFinite(result);
	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_POINTER(result);
}

/* vector_to_float4(vector, integer, boolean) */
Datum
vr_vector_to_float4(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	ArrayType *result = VrTypesMakeFloat4Array(v->dim);

	memcpy(ARR_DATA_PTR(result), v->x, sizeof(float) * v->dim);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_ARRAYTYPE_P(result);
}

/* halfvec_to_vector(halfvec, integer, boolean) */
Datum
vr_halfvec_to_vector(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	VrVector *result;

	VrCheckDimLimit("vector", v->dim, VR_VECTOR_MAX_DIM);
	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	result = VrVectorMake(v->dim);
	VrDistance->f16_to_f32(v->dim, v->x, result->x);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* sparsevec_to_vector(sparsevec, integer, boolean) */
Datum
vr_sparsevec_to_vector(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);
	float *values = VR_SPARSEVEC_VALUES(v);
	VrVector *result;

	VrCheckDimLimit("vector", v->dim, VR_VECTOR_MAX_DIM);
	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	result = VrVectorMake(v->dim);
	for (int i = 0; i < v->nnz; i++)
		result->x[v->indices[i]] = values[i];
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* vector_accum(double precision[], vector) */
Datum
vr_vector_accum(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(1);
	Datum state = VrTypesAccumulate(fcinfo, "vector_accum", v->dim, v->x);

	PG_FREE_IF_COPY(v, 1);
	return state;
}

/* vector_avg(double precision[]): NULL for no rows */
Datum
vr_vector_avg(PG_FUNCTION_ARGS)
{
	ArrayType *state = PG_GETARG_ARRAYTYPE_P(0);
	int dim;
	const float8 *sum = VrTypesAggState(state, "vector_avg", &dim);
	VrVector *result;

	if (sum[0] == 0)
		PG_RETURN_NULL();

	VrCheckDimLimit("vector", dim, VR_VECTOR_MAX_DIM);
	result = VrVectorMake(dim);
	for (int i = 0; i < dim; i++)
		result->x[i] = (float) (sum[i + 1] / sum[0]);
	VectorCheckFinite(result);
	PG_FREE_IF_COPY(state, 0);
	PG_RETURN_POINTER(result);
}
