/*
 * vr_build_info.c
 *		vecrecall.build_info(): what this library was built from and for, and
 *		what it uses in this session. The first thing to ask a user for.
 */
#include "postgres.h"

#include <dlfcn.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "distance/distance.h"

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

/*
 * The BLAS of this process and its threads, if one is loaded; the function
 * must not be what loads it. Returns false, setting nothing, if there is none.
 * *threads is 0 where the library has no way to tell.
 */
static bool
InfoBlas(const char **name, int *threads)
{
	char *(*config)(void) =
		(char *(*) (void) ) dlsym(RTLD_DEFAULT, "openblas_get_config");
	int (*count)(void) =
		(int (*)(void)) dlsym(RTLD_DEFAULT, "openblas_get_num_threads");
	void *sgemm = dlsym(RTLD_DEFAULT, "cblas_sgemm");
	Dl_info where;

	if (config != NULL && count != NULL)
	{
		*name = config();
		*threads = count();
		return true;
	}
	if (sgemm == NULL || dladdr(sgemm, &where) == 0)
		return false;
	*name = where.dli_fname;
	*threads = 0;
	return true;
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
	if (InfoBlas(&blas, &threads))
	{
		values[5] = CStringGetTextDatum(blas);
		values[6] = Int32GetDatum(threads);
		nulls[6] = threads == 0;
	}
	else
	{
		values[5] = CStringGetTextDatum("not loaded in this session");
		nulls[6] = true;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
