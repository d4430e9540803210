/*
 * types_array.c
 *		PostgreSQL arrays from and to plain float32 arrays, for the casts.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

#include "base/vr_error.h"
#include "types/types_private.h"

static void
TypesNumericElements(ArrayType *array, int count, float *x)
{
	Datum *elems;

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &elems, NULL,
					  &count);
	for (int i = 0; i < count; i++)
		x[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elems[i]));
	pfree(elems);
}

/*
 * The elements of a one-dimensional array of int4, float4, float8 or numeric
 * as float32, NaN and infinities among them. Checks shape, NULLs and number of
 * elements (1 to max, and typmod if that is not -1) before it allocates. The
 * result lies in the array itself or in the current memory context.
 */
const float *
VrTypesArrayElements(ArrayType *array, const char *type, int max, int32 typmod,
					 int *dim)
{
	int count;
	float *x;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("array must be 1-D")));
	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("array must not contain nulls")));

	count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	VrCheckDimLimit(type, count, max);
	VrCheckTypmod(typmod, count);
	*dim = count;

	/* Without NULLs, elements of fixed length lie side by side. */
	switch (ARR_ELEMTYPE(array))
	{
		case FLOAT4OID:
			return (const float *) ARR_DATA_PTR(array);

		case FLOAT8OID:
		{
			const float8 *elems = (const float8 *) ARR_DATA_PTR(array);

			x = palloc(sizeof(float) * count);
			for (int i = 0; i < count; i++)
				x[i] = (float) elems[i];
			return x;
		}

		case INT4OID:
		{
			const int32 *elems = (const int32 *) ARR_DATA_PTR(array);

			x = palloc(sizeof(float) * count);
			for (int i = 0; i < count; i++)
				x[i] = (float) elems[i];
			return x;
		}

		case NUMERICOID:
			x = palloc(sizeof(float) * count);
			TypesNumericElements(array, count, x);
			return x;

		default:
			ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
							errmsg("unsupported array type")));
	}
	return NULL; /* keep compiler quiet */
}

/* A real[] of dim elements, which the caller fills in at its data pointer. */
ArrayType *
VrTypesMakeFloat4Array(int dim)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * dim;
	ArrayType *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = dim;
	ARR_LBOUND(array)[0] = 1;
	return array;
}
