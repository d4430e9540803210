/*
 * vr_module.c
 *		The library's magic block and _PG_init, which refuses to share a backend
 *		with pgvector's library, defines the setting that belongs to no folder,
 *		and calls each folder's own initialisation.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "distance/distance.h"
#include "hnsw/hnsw.h"
#include "knn/knn.h"
#include "planner/planner.h"
#include "quant/quant.h"

VR_MODULE_MAGIC("vecrecall", VR_VERSION);

void _PG_init(void);

static char *module_simd = NULL;

/*
 * pgvector defines the same settings and, in its own library, symbols behind
 * the same SQL names. Whichever comes second cannot work; say so before the
 * server reports "attempt to redefine parameter". A setting that is only a
 * placeholder (SET before either library was loaded) is nobody's yet.
 */
static void
ModuleCheckPgvector(void)
{
	if (GetConfigOption("hnsw.ef_search", true, false) == NULL ||
		(GetConfigOptionFlags("hnsw.ef_search", true) &
		 GUC_CUSTOM_PLACEHOLDER) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot load vecrecall: another library of this session "
					"has defined \"hnsw.ef_search\""),
			 errdetail("Most likely it is pgvector's, which cannot share a "
					   "session with vecrecall."),
			 errhint("Start a new session, and remove \"vector\" from "
					 "shared_preload_libraries, session_preload_libraries and "
					 "local_preload_libraries if it is there.")));
}

/* Check hook: "auto", or a set that this build carries and this CPU runs. */
static bool
ModuleCheckSimd(char **newval, void **extra, GucSource source)
{
	const VrDistanceKernels *const *set;
	char available[128] = "";

	if (strcmp(*newval, "auto") == 0)
		return true;
	for (set = VrDistanceAvailable(); *set != NULL; set++)
	{
		if (strcmp(*newval, (*set)->name) == 0)
			return true;
		strlcat(available, ", ", sizeof(available));
		strlcat(available, (*set)->name, sizeof(available));
	}
	GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
	GUC_check_errmsg("instruction set \"%s\" is not available here", *newval);
	GUC_check_errhint("Available values: auto%s.", available);
	return false;
}

/* Assign hook: takes effect at the next distance. */
static void
ModuleAssignSimd(const char *newval, void *extra)
{
	VrDistanceForce(newval);
	VrQuantForce(newval);
}

void
_PG_init(void)
{
	ModuleCheckPgvector();
	VrDistanceInit();
	VrQuantInit();

	DefineCustomStringVariable(
		"vecrecall.simd", "Instruction set of the distance kernels.",
		"\"auto\" is the best that this CPU runs; a lower one is for "
		"comparisons and for emulators. vecrecall.build_info() lists them.",
		&module_simd, "auto", PGC_SUSET, 0, ModuleCheckSimd, ModuleAssignSimd,
		NULL);

	VrHnswInit();
	VrKnnInit();
	VrPlannerInit();

	/* After every definition: what is then unknown is misspelt. */
	MarkGUCPrefixReserved("vecrecall");
}
