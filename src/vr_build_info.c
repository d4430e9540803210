/*
 * vr_build_info.c
 *		vecrecall.build_info(): what this library was built from and for, and
 *		what it uses in this session. The first thing to ask a user for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "distance/distance.h"
#include "knn/knn.h"

PG_FUNCTION_INFO_V1(vr_build_info);

/* Names of the kernel sets that this CPU runs, best first, as text[]. */
static Datum
InfoAvailableKernels(void)
{
	const VrDistanceKernels *const *set;
	ArrayBuildState *state =
		initArrayResult(TEXTOID, CurrentMemoryContext, false);

	for (set = VrDistanceAvailable(); *set != NULL; set++)
		state = accumArrayResult(state, CStringGetTextDatum((*set)->name),
								 false, TEXTOID, CurrentMemoryContext);
	return makeArrayResult(state, CurrentMemoryContext);
}

Datum
vr_build_info(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[7];
	bool nulls[7] = {false};
	const char *blas;
	int threads;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	values[0] = CStringGetTextDatum(VR_VERSION);
	values[1] =
		CStringGetTextDatum(GetConfigOption("server_version", false, false));
	values[2] = CStringGetTextDatum(PG_VERSION_STR);
	values[3] = CStringGetTextDatum(VrDistance->name);
	values[4] = InfoAvailableKernels();
	if (VrKnnBlasState(&blas, &threads))
	{
		values[5] = CStringGetTextDatum(blas);
		values[6] = Int32GetDatum(threads);
	}
	else
	{
		values[5] = CStringGetTextDatum("not loaded in this session");
		nulls[6] = true;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
