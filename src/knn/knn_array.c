/*
 * knn_array.c
 *		vector[] to a block of floats and back, memory for such blocks, and the
 *		names of the metrics.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "base/vr_error.h"
#include "base/vr_huge.h"
#include "knn/knn_private.h"

static const char *const metric_names[] = {"l2", "ip", "cosine", "l1"};

VrKnnMetric
VrKnnMetricFromName(const char *name)
{
	int i;

	for (i = 0; i < lengthof(metric_names); i++)
		if (strcmp(name, metric_names[i]) == 0)
			return (VrKnnMetric) i;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unknown metric \"%s\"", name),
					errhint("Metrics are l2, ip (negated inner product), "
							"cosine and l1.")));
}

const char *
VrKnnMetricName(VrKnnMetric metric)
{
	return metric_names[metric];
}

void *
VrKnnAlloc(Size n, Size each)
{
	const Size size = add_size(mul_size(n, each), VR_KNN_LINE);
	void *p = MemoryContextAllocHuge(CurrentMemoryContext, size);

	vr_huge_advise(p, size);
	return (void *) TYPEALIGN(VR_KNN_LINE, p);
}

void
VrKnnBlockFromArray(ArrayType *array, const char *what, bool may_be_empty,
					VrKnnBlock *block)
{
	Datum *values;
	bool *nulls;
	int i;

	memset(block, 0, sizeof(*block));
	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("%s must be a one-dimensional array", what)));
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT,
					  &values, &nulls, &block->count);
	if (block->count == 0)
	{
		if (may_be_empty)
			return;
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must not be empty", what)));
	}
	for (i = 0; i < block->count; i++)
	{
		VrVector *v;

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not contain nulls", what),
							errdetail("Element %d is null.", i + 1)));
		v = DatumGetVrVector(values[i]);
		if (i == 0)
		{
			block->dim = v->dim;
			block->x = VrKnnAlloc(block->count, v->dim * sizeof(float));
		}
		else if (v->dim != block->dim)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%s must have the same number of dimensions", what),
					 errdetail("Element 1 has %d, element %d has %d.",
							   block->dim, i + 1, v->dim)));
		memcpy(block->x + (Size) i * block->dim, v->x,
			   block->dim * sizeof(float));
		if ((Pointer) v != DatumGetPointer(values[i]))
			pfree(v);
	}
	pfree(values);
	pfree(nulls);
}

VrVector *
VrKnnMakeVector(int dim, const float *x)
{
	VrVector *v = VrVectorMake(dim);

	memcpy(v->x, x, dim * sizeof(float));
	return v;
}

ArrayType *
VrKnnBlockToArray(const VrKnnBlock *block, Oid vector_type)
{
	Datum *values;
	int i;

	if (block->count == 0)
		return construct_empty_array(vector_type);
	values = palloc(block->count * sizeof(Datum));
	for (i = 0; i < block->count; i++)
		values[i] = PointerGetDatum(
			VrKnnMakeVector(block->dim, block->x + (Size) i * block->dim));
	return construct_array(values, block->count, vector_type, -1, false,
						   TYPALIGN_INT);
}
