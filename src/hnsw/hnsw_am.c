/*
 * hnsw_am.c
 *		The access method's handler, its options and its settings.
 */
#include "postgres.h"

#include <float.h>

#include "access/amapi.h"
#include "access/reloptions.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "utils/guc.h"

#include "hnsw/hnsw.h"
#include "hnsw/hnsw_build.h"
#include "hnsw/hnsw_private.h"

int vr_hnsw_ef_search;
int vr_hnsw_iterative_scan;
int vr_hnsw_max_scan_tuples;
double vr_hnsw_scan_mem_multiplier;
int vr_hnsw_rerank;
int vr_hnsw_landmarks;

static relopt_kind am_relopt_kind;

static const struct config_enum_entry am_iterative_values[] = {
	{"auto", VR_ITERATIVE_AUTO, false},
	{"off", VR_ITERATIVE_OFF, false},
	{"relaxed_order", VR_ITERATIVE_RELAXED, false},
	{"strict_order", VR_ITERATIVE_STRICT, false},
	{NULL, 0, false}};

static const struct config_enum_entry am_rerank_values[] = {
	{"auto", VR_RERANK_AUTO, false},
	{"off", VR_RERANK_OFF, false},
	{"on", VR_RERANK_ON, false},
	{NULL, 0, false}};

static relopt_enum_elt_def am_storage_values[] = {
	{"auto", VR_STORAGE_AUTO},           {"plain", VR_STORAGE_PLAIN},
	{"quantised", VR_STORAGE_QUANTISED}, {"quantized", VR_STORAGE_QUANTISED},
	{"lean", VR_STORAGE_LEAN},           {NULL, 0}};

static relopt_enum_elt_def am_precision_values[] = {
	{"auto", VR_OWN_AUTO},   {"f32", VR_OWN_F32},
	{"f16", VR_OWN_F16},     {"int8", VR_OWN_I8},
	{"int8x2", VR_OWN_I8X2}, {"int4", VR_OWN_I4},
	{"int2", VR_OWN_I2},     {NULL, 0}};

/* Options and settings. Called by _PG_init. */
void
VrHnswInit(void)
{
	am_relopt_kind = add_reloption_kind();
	add_int_reloption(
		am_relopt_kind, "m", "Neighbours per vertex; twice as many on level 0",
		VR_HNSW_DEFAULT_M, VR_HNSW_MIN_M, VR_HNSW_MAX_M, AccessExclusiveLock);
	add_int_reloption(am_relopt_kind, "ef_construction",
					  "Width of the searches that choose neighbours",
					  VR_HNSW_DEFAULT_EFC, VR_HNSW_MIN_EFC, VR_HNSW_MAX_EFC,
					  AccessExclusiveLock);
	add_enum_reloption(am_relopt_kind, "storage", "Form of the records",
					   am_storage_values, VR_STORAGE_AUTO,
					   "Valid values are \"auto\", \"plain\", "
					   "\"quantised\" and \"lean\".",
					   AccessExclusiveLock);
	add_enum_reloption(am_relopt_kind, "precision",
					   "Precision of a quantised record's own vector",
					   am_precision_values, VR_OWN_AUTO,
					   "Valid values are \"auto\", \"f32\", \"f16\", "
					   "\"int8\", \"int8x2\", \"int4\" and \"int2\".",
					   AccessExclusiveLock);
	add_int_reloption(am_relopt_kind, "code_bits",
					  "Bits of a quantised neighbour's code, -1 for automatic",
					  VR_CODE_BITS_AUTO, VR_CODE_BITS_AUTO, VR_VECTOR_MAX_DIM,
					  AccessExclusiveLock);
	add_int_reloption(am_relopt_kind, "seed",
					  "Seed of levels and rotation, 0 for the default", 0, 0,
					  PG_INT32_MAX, AccessExclusiveLock);

	DefineCustomIntVariable(
		"hnsw.ef_search",
		"Sets the size of the dynamic candidate list for search.",
		"More of it is slower and finds more.", &vr_hnsw_ef_search,
		VR_HNSW_DEFAULT_EF, 1, VR_HNSW_MAX_EF, PGC_USERSET, 0, NULL, NULL,
		NULL);
	DefineCustomEnumVariable(
		"hnsw.iterative_scan", "Sets how a scan goes on beyond ef_search.",
		"\"auto\" is strict_order, and off under the extension name "
		"\"vector\".",
		&vr_hnsw_iterative_scan, VR_ITERATIVE_AUTO, am_iterative_values,
		PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"hnsw.max_scan_tuples",
		"Sets how many records a scan visits before it stops going on.", NULL,
		&vr_hnsw_max_scan_tuples, 20000, 1, INT_MAX, PGC_USERSET, 0, NULL, NULL,
		NULL);
	DefineCustomRealVariable(
		"hnsw.scan_mem_multiplier",
		"Sets the memory of a scan that goes on, as a multiple of work_mem.",
		NULL, &vr_hnsw_scan_mem_multiplier, 1, 1, 1000, PGC_USERSET, 0, NULL,
		NULL, NULL);
	DefineCustomEnumVariable(
		"hnsw.rerank",
		"Sets whether the heap's vectors settle the order of rows.",
		"\"auto\" asks them where the index holds less than they do.",
		&vr_hnsw_rerank, VR_RERANK_AUTO, am_rerank_values, PGC_USERSET, 0, NULL,
		NULL, NULL);
	DefineCustomIntVariable(
		"hnsw.landmarks",
		"Sets how many vertices of an index a session remembers, at most, to "
		"begin searches at.",
		"0 has every search come down the levels.", &vr_hnsw_landmarks, 4096, 0,
		65536, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("hnsw");
	VrHnswIvfflatInit();
	VrHnswPathsInit();
	VrHnswJunkInit();
	VrHnswNodeInit();
}

/* amoptions */
static bytea *
vr_hnsw_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"m", RELOPT_TYPE_INT, offsetof(VrHnswOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT,
		 offsetof(VrHnswOptions, ef_construction)},
		{"storage", RELOPT_TYPE_ENUM, offsetof(VrHnswOptions, storage)},
		{"precision", RELOPT_TYPE_ENUM, offsetof(VrHnswOptions, precision)},
		{"code_bits", RELOPT_TYPE_INT, offsetof(VrHnswOptions, code_bits)},
		{"seed", RELOPT_TYPE_INT, offsetof(VrHnswOptions, seed)},
	};

	return (bytea *) build_reloptions(reloptions, validate, am_relopt_kind,
									  sizeof(VrHnswOptions), table,
									  lengthof(table));
}

/* amproperty: the first column is the one that orders by distance. */
static bool
vr_hnsw_property(Oid index, int attno, IndexAMProperty prop,
				 const char *propname, bool *res, bool *isnull)
{
	if (prop != AMPROP_DISTANCE_ORDERABLE || attno == 0)
		return false;
	*res = attno == 1;
	return true;
}

PG_FUNCTION_INFO_V1(vr_hnsw_handler);

Datum
vr_hnsw_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = 2;
	am->amsupport = VR_HNSW_NPROCS;
	am->amoptsprocnum = 0;
	am->amcanorder = false;
	am->amcanorderbyop = true;
	am->amcanbackward = false;
	am->amcanunique = false;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = false;
	am->amstorage = false;
	am->amclusterable = false;
	am->ampredlocks = false;
	am->amcanparallel = false;
	am->amcaninclude = false;
	am->amusemaintenanceworkmem = true; /* vacuum: hnsw_parts.c */
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;
	am->amkeytype = InvalidOid;
	VrSetAmCanBuildParallel(am);

	am->ambuild = vr_hnsw_build;
	am->ambuildempty = vr_hnsw_buildempty;
	am->aminsert = vr_hnsw_insert;
	am->ambulkdelete = vr_hnsw_bulkdelete;
	am->amvacuumcleanup = vr_hnsw_vacuumcleanup;
	am->amcanreturn = NULL;
	am->amcostestimate = vr_hnsw_costestimate;
	am->amoptions = vr_hnsw_options;
	am->amproperty = vr_hnsw_property;
	am->ambuildphasename = vr_hnsw_buildphasename;
	am->amvalidate = vr_hnsw_validate;
	am->amadjustmembers = NULL;
	am->ambeginscan = vr_hnsw_beginscan;
	am->amrescan = vr_hnsw_rescan;
	am->amgettuple = vr_hnsw_gettuple;
	am->amgetbitmap = NULL;
	am->amendscan = vr_hnsw_endscan;
	am->ammarkpos = NULL;
	am->amrestrpos = NULL;
	am->amestimateparallelscan = NULL;
	am->aminitparallelscan = NULL;
	am->amparallelrescan = NULL;
	PG_RETURN_POINTER(am);
}

/*
 * Support function 3 of the operator classes whose type is not vector. It
 * keeps pgvector's numbering and names; the index itself tells types by their
 * distance function.
 */
static const VrHnswType am_halfvec_type = VR_TYPE_HALFVEC;
static const VrHnswType am_sparsevec_type = VR_TYPE_SPARSEVEC;
static const VrHnswType am_bit_type = VR_TYPE_BIT;

PG_FUNCTION_INFO_V1(vr_hnsw_halfvec_support);

Datum
vr_hnsw_halfvec_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&am_halfvec_type);
}

PG_FUNCTION_INFO_V1(vr_hnsw_sparsevec_support);

Datum
vr_hnsw_sparsevec_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&am_sparsevec_type);
}

PG_FUNCTION_INFO_V1(vr_hnsw_bit_support);

Datum
vr_hnsw_bit_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&am_bit_type);
}
