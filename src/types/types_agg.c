/*
 * types_agg.c
 *		State of avg(vector) and avg(halfvec).
 *
 * The state is pgvector's, as parallel workers and dumps of custom aggregates
 * may hold it: a float8[] with the number of rows first and then the sum of
 * each dimension. {0} is the state before the first row.
 */
#include "postgres.h"

#include <float.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "base/vr_error.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_vector_combine);

/*
 * Returns the state's numbers, row count first, and sets *dim to the number of
 * sums behind it. The functions can be called by hand with any array.
 */
const float8 *
VrTypesAggState(ArrayType *state, const char *caller, int *dim)
{
	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] < 1 || ARR_HASNULL(state) ||
		ARR_ELEMTYPE(state) != FLOAT8OID)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s: expected state array", caller)));
	*dim = ARR_DIMS(state)[0] - 1;
	return (const float8 *) ARR_DATA_PTR(state);
}

static ArrayType *
TypesMakeState(int dim)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + sizeof(float8) * (dim + 1);
	ArrayType *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->ndim = 1;
	state->elemtype = FLOAT8OID;
	ARR_DIMS(state)[0] = dim + 1;
	ARR_LBOUND(state)[0] = 1;
	return state;
}

/*
 * The state in argument n, free to be changed: as the server's own float8
 * aggregates do, the one passed in if an aggregate calls, a copy otherwise.
 */
static ArrayType *
TypesWritableState(FunctionCallInfo fcinfo, int n)
{
	if (AggCheckCallContext(fcinfo, NULL))
		return PG_GETARG_ARRAYTYPE_P(n);
	return PG_GETARG_ARRAYTYPE_P_COPY(n);
}

/* Throws if a sum is infinite. A NaN can only have been put in by hand. */
static void
TypesCheckSums(int dim, const float8 *sum)
{
	int infinite = 0;

	for (int i = 0; i < dim; i++)
		infinite += (fabs(sum[i]) > DBL_MAX);
	if (VR_UNLIKELY(infinite > 0))
		VrErrorOverflow();
}

/* Argument 0, a state, with one more row added to it. */
Datum
VrTypesAccumulate(FunctionCallInfo fcinfo, const char *caller, int dim,
				  const float *x)
{
	ArrayType *state = TypesWritableState(fcinfo, 0);
	int state_dim;
	float8 *sum =
		unconstify(float8 *, VrTypesAggState(state, caller, &state_dim));

	if (state_dim == 0)
	{
		ArrayType *first = TypesMakeState(dim);
		float8 *first_sum = (float8 *) ARR_DATA_PTR(first);

		first_sum[0] = sum[0] + 1;
		for (int i = 0; i < dim; i++)
			first_sum[i + 1] = x[i];
		PG_RETURN_ARRAYTYPE_P(first);
	}

	VrCheckTypmod(state_dim, dim);
	sum[0] += 1;
	for (int i = 0; i < dim; i++)
		sum[i + 1] += x[i];
	TypesCheckSums(dim, sum + 1);
	PG_RETURN_ARRAYTYPE_P(state);
}

/* A state that has seen rows has the dimensions of a vector. */
static void
TypesCheckStateDim(const float8 *sum, int dim)
{
	if (dim != 0 || sum[0] != 0)
		VrCheckDimLimit("vector", dim, VR_VECTOR_MAX_DIM);
}

/*
 * vector_combine(float8[], float8[]), halfvec_combine: the state of two sets
 * of rows. A set without rows leaves the other as it is; two of them give {0},
 * so that a parallel avg over no rows is NULL like a serial one.
 */
Datum
vr_vector_combine(PG_FUNCTION_ARGS)
{
	ArrayType *state = TypesWritableState(fcinfo, 0);
	ArrayType *other = PG_GETARG_ARRAYTYPE_P(1);
	int dim;
	int other_dim;
	float8 *sum =
		unconstify(float8 *, VrTypesAggState(state, "vector_combine", &dim));
	const float8 *add = VrTypesAggState(other, "vector_combine", &other_dim);

	TypesCheckStateDim(sum, dim);
	TypesCheckStateDim(add, other_dim);
	if (add[0] == 0)
		PG_RETURN_ARRAYTYPE_P(state);
	if (sum[0] == 0)
		PG_RETURN_ARRAYTYPE_P(other);

	VrCheckTypmod(dim, other_dim);
	for (int i = 0; i <= dim; i++)
		sum[i] += add[i];
	TypesCheckSums(dim, sum + 1);
	PG_FREE_IF_COPY(other, 1);
	PG_RETURN_ARRAYTYPE_P(state);
}
