/*
 * knn_centroids.c
 *		vecrecall.centroids(): k-means of the vectors of a query.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "knn/knn_private.h"

PG_FUNCTION_INFO_V1(vr_centroids);

#define CENTROIDS_MAX_K 65536

/* An integer argument within its range. */
int
VrKnnCheckRange(const char *name, int value, int low, int high)
{
	if (value < low || value > high)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be between %d and %d, not %d", name,
							   low, high, value)));
	return value;
}

/* centroids(query text, k int, iterations int, seed bigint) */
Datum
vr_centroids(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Tuplestorestate *store = VrKnnReturnSet(fcinfo, &desc, 0);
	int k = VrKnnCheckRange("k", PG_GETARG_INT32(1), 1, CENTROIDS_MAX_K);
	int iterations =
		VrKnnCheckRange("iterations", PG_GETARG_INT32(2), 0, 10000);
	VrKnnBlock block;
	float *centroids;
	int64 *sizes;
	int i;

	/* The type of the second column of the result is the type to expect. */
	VrKnnBlockFromQuery(text_to_cstring(PG_GETARG_TEXT_PP(0)),
						TupleDescAttr(desc, 1)->atttypid, &block);
	if (k > block.count)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("k is %d, but the query returns %d vectors", k,
							   block.count)));
	centroids = MemoryContextAllocHuge(CurrentMemoryContext,
									   mul_size(k, block.dim * sizeof(float)));
	sizes = palloc(k * sizeof(int64));
	VrKnnKmeans(&block, 0, block.dim, k, iterations, PG_GETARG_INT64(3),
				centroids, sizes);
	for (i = 0; i < k; i++)
	{
		Datum values[3];
		bool nulls[3] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = PointerGetDatum(
			VrKnnMakeVector(block.dim, centroids + (Size) i * block.dim));
		values[2] = Int64GetDatum(sizes[i]);
		tuplestore_putvalues(store, desc, values, nulls);
	}
	return (Datum) 0;
}
