/*
 * sparsevec_cast.c
 *		Type sparsevec: casts to it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_sparsevec);
PG_FUNCTION_INFO_V1(vr_vector_to_sparsevec);
PG_FUNCTION_INFO_V1(vr_halfvec_to_sparsevec);
PG_FUNCTION_INFO_V1(vr_array_to_sparsevec);

/* The elements of x that are not zero, NaN and infinities an error. */
static VrSparseVec *
SparseVecFromDense(int dim, const float *x)
{
	VrSparseVec *result;
	float *values;
	int nnz = 0;
	int j = 0;

	for (int i = 0; i < dim; i++)
		nnz += (x[i] != 0);
	VrSparseVecCheckNnz(nnz, dim);

	result = VrSparseVecMake(dim, nnz);
	values = VR_SPARSEVEC_VALUES(result);
	for (int i = 0; i < dim; i++)
	{
		if (x[i] == 0)
			continue;
		if (VR_UNLIKELY(!isfinite(x[i])))
			VrErrorNotFinite(NULL, "sparsevec", x[i]);
		result->indices[j] = i;
		values[j++] = x[i];
	}
	return result;
}

/* sparsevec(sparsevec, integer, boolean): applies the type modifier */
Datum
vr_sparsevec(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);

	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_POINTER(v);
}

/* vector_to_sparsevec(vector, integer, boolean) */
Datum
vr_vector_to_sparsevec(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	VrSparseVec *result;

	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	result = SparseVecFromDense(v->dim, v->x);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* halfvec_to_sparsevec(halfvec, integer, boolean) */
Datum
vr_halfvec_to_sparsevec(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	VrSparseVec *result;
	float *x;

	VrCheckTypmod(PG_GETARG_INT32(1), v->dim);
	x = palloc(sizeof(float) * v->dim);
	VrDistance->f16_to_f32(v->dim, v->x, x);
	result = SparseVecFromDense(v->dim, x);
	pfree(x);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_POINTER(result);
}

/* array_to_sparsevec(integer[] | real[] | double precision[] | numeric[], ...) */
Datum
vr_array_to_sparsevec(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	int dim;
	const float *x = VrTypesArrayElements(
		array, "sparsevec", VR_SPARSEVEC_MAX_DIM, PG_GETARG_INT32(1), &dim);
	VrSparseVec *result = SparseVecFromDense(dim, x);

	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_POINTER(result);
}
