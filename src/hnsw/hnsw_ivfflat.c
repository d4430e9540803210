/*
 * hnsw_ivfflat.c
 *		The access method ivfflat of pgvector's users, served by the hnsw index.
 *
 * Only the alias extension "vector" has it (sql/install/alias_ivfflat.sql), so
 * that DDL written for pgvector goes on working. Its operator classes and the
 * option "lists" are pgvector's; what they make is an hnsw index with default
 * options. There are no lists to probe: ivfflat.probes widens the search, and
 * a scan goes on as long as rows are asked for, because one that is limited to
 * some lists would also have had a large share of the table to give.
 */
#include "postgres.h"

#include <limits.h>

#include "access/amapi.h"
#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/index.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "hnsw/hnsw.h"
#include "hnsw/hnsw_private.h"

#define IVFFLAT_MAX_LISTS 32768
#define IVFFLAT_DEFAULT_LISTS 100

/* Width of the search per probe: 10 probes are the default hnsw.ef_search. */
#define IVFFLAT_WIDTH_PER_PROBE 4

/* Support functions, numbered as pgvector's. */
#define IVFFLAT_DISTANCE_PROC 1
#define IVFFLAT_NORM_PROC 2
#define IVFFLAT_KMEANS_DISTANCE_PROC 3
#define IVFFLAT_KMEANS_NORM_PROC 4
#define IVFFLAT_TYPE_INFO_PROC 5
#define IVFFLAT_NPROCS 5

/* The options of the index that serves, and the one that was asked for. */
typedef struct IvfflatOptions
{
	VrHnswOptions hnsw;
	int lists;
} IvfflatOptions;

static int ivfflat_probes;
static int ivfflat_iterative_scan;
static int ivfflat_max_probes;

static relopt_kind ivfflat_relopt_kind;

static const struct config_enum_entry ivfflat_iterative_values[] = {
	{"off", VR_ITERATIVE_OFF, false},
	{"relaxed_order", VR_ITERATIVE_RELAXED, false},
	{NULL, 0, false}};

/* Option and settings. Called by VrHnswInit. */
void
VrHnswIvfflatInit(void)
{
	ivfflat_relopt_kind = add_reloption_kind();
	add_int_reloption(ivfflat_relopt_kind, "lists",
					  "Accepted for pgvector's sake; the index is an hnsw one",
					  IVFFLAT_DEFAULT_LISTS, 1, IVFFLAT_MAX_LISTS,
					  AccessExclusiveLock);

	DefineCustomIntVariable(
		"ivfflat.probes", "Sets the width of a search of an ivfflat index.",
		"Each probe counts as 4 of hnsw.ef_search; the larger of the two "
		"holds.",
		&ivfflat_probes, 1, 1, IVFFLAT_MAX_LISTS, PGC_USERSET, 0, NULL, NULL,
		NULL);
	DefineCustomEnumVariable(
		"ivfflat.iterative_scan",
		"Sets the order in which a scan of an ivfflat index goes on.",
		"It goes on in any case: in the order of distances if this is off.",
		&ivfflat_iterative_scan, VR_ITERATIVE_OFF, ivfflat_iterative_values,
		PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"ivfflat.max_probes", "Accepted for pgvector's sake.",
		"hnsw.max_scan_tuples limits a scan that goes on.", &ivfflat_max_probes,
		IVFFLAT_MAX_LISTS, 1, IVFFLAT_MAX_LISTS, PGC_USERSET, 0, NULL, NULL,
		NULL);
	MarkGUCPrefixReserved("ivfflat");
}

/* ambuild: says what is built, once; a REINDEX is no news. */
static IndexBuildResult *
vr_ivfflat_build(Relation heap, Relation index, IndexInfo *info)
{
	if (!ReindexIsProcessingIndex(RelationGetRelid(index)))
		ereport(NOTICE,
				(errmsg("access method \"ivfflat\" is served by an hnsw index"),
				 errdetail("Option \"lists\" has no effect.")));
	return vr_hnsw_build(heap, index, info);
}

/* Whether an index of ours was made as ivfflat. */
bool
VrHnswIsIvfflat(Relation index)
{
	return index->rd_indam->ambuild == vr_ivfflat_build;
}

/* Width of the first pass of a scan. */
int
VrHnswScanWidth(Relation index)
{
	int width = vr_hnsw_ef_search;

	if (VrHnswIsIvfflat(index))
		width = Max(width, Min(ivfflat_probes * IVFFLAT_WIDTH_PER_PROBE,
							   VR_HNSW_MAX_EF));
	return width;
}

/* How a scan of an ivfflat index goes on. */
VrHnswIterative
VrHnswIvfflatMode(void)
{
	return ivfflat_iterative_scan == VR_ITERATIVE_RELAXED ? VR_ITERATIVE_RELAXED
														  : VR_ITERATIVE_STRICT;
}

/*
 * amoptions. The result begins with what the hnsw code reads: its defaults,
 * of which only those that are not zero need saying.
 */
static bytea *
vr_ivfflat_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"lists", RELOPT_TYPE_INT, offsetof(IvfflatOptions, lists)},
	};
	IvfflatOptions *opts;

	StaticAssertStmt(VR_STORAGE_AUTO == 0 && VR_OWN_AUTO == 0,
					 "automatic choices are zero");
	opts = (IvfflatOptions *) build_reloptions(
		reloptions, validate, ivfflat_relopt_kind, sizeof(IvfflatOptions),
		table, lengthof(table));
	if (opts != NULL)
	{
		opts->hnsw.m = VR_HNSW_DEFAULT_M;
		opts->hnsw.ef_construction = VR_HNSW_DEFAULT_EFC;
		opts->hnsw.code_bits = VR_CODE_BITS_AUTO;
	}
	return (bytea *) opts;
}

/* Whether a support function has the signature that its number asks for. */
static bool
IvfflatProcIsRight(Form_pg_amproc proc)
{
	Oid type = proc->amproclefttype;

	switch (proc->amprocnum)
	{
		case IVFFLAT_DISTANCE_PROC:
		case IVFFLAT_KMEANS_DISTANCE_PROC:
			return check_amproc_signature(proc->amproc, FLOAT8OID, true, 2, 2,
										  type, type);
		case IVFFLAT_NORM_PROC:
		case IVFFLAT_KMEANS_NORM_PROC:
			return check_amproc_signature(proc->amproc, FLOAT8OID, true, 1, 1,
										  type);
		case IVFFLAT_TYPE_INFO_PROC:
			return check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1,
										  INTERNALOID);
		default:
			return false;
	}
}

/* amvalidate: one operator that orders by distance, and its functions. */
static bool
vr_ivfflat_validate(Oid opclassoid)
{
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	Form_pg_opclass opclass;
	const char *name;
	CatCList *procs;
	CatCList *opers;
	bool distance = false;
	bool ordering = false;
	bool ok = true;
	int i;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	opclass = (Form_pg_opclass) GETSTRUCT(tuple);
	name = NameStr(opclass->opcname);
	procs =
		SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(opclass->opcfamily));
	opers =
		SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(opclass->opcfamily));

	for (i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc =
			(Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amprocnum == IVFFLAT_DISTANCE_PROC)
			distance = true;
		if (IvfflatProcIsRight(proc))
			continue;
		ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					   errmsg("operator class \"%s\" of access method ivfflat "
							  "contains function %s, which is not one for "
							  "support number %d",
							  name, format_procedure(proc->amproc),
							  proc->amprocnum)));
		ok = false;
	}
	for (i = 0; i < opers->n_members; i++)
	{
		Form_pg_amop oper = (Form_pg_amop) GETSTRUCT(&opers->members[i]->tuple);

		if (oper->amoppurpose == AMOP_ORDER &&
			oper->amopstrategy == VR_HNSW_DISTANCE_STRATEGY &&
			check_amop_signature(oper->amopopr, FLOAT8OID, oper->amoplefttype,
								 oper->amoprighttype))
		{
			ordering = true;
			continue;
		}
		ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					   errmsg("operator class \"%s\" of access method ivfflat "
							  "contains operator %s, which does not order by "
							  "distance",
							  name, format_operator(oper->amopopr))));
		ok = false;
	}
	if (!distance || !ordering)
	{
		ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					   errmsg("operator class \"%s\" of access method ivfflat "
							  "lacks a distance function or operator",
							  name)));
		ok = false;
	}
	ReleaseCatCacheList(procs);
	ReleaseCatCacheList(opers);
	ReleaseSysCache(tuple);
	return ok;
}

PG_FUNCTION_INFO_V1(vr_ivfflat_handler);

/* hnsw, but for options, operator classes and what CREATE INDEX says. */
Datum
vr_ivfflat_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am =
		(IndexAmRoutine *) DatumGetPointer(vr_hnsw_handler(fcinfo));

	am->amstrategies = VR_HNSW_DISTANCE_STRATEGY;
	am->amsupport = IVFFLAT_NPROCS;
	/* No columns to filter by: pgvector's classes know no equality. */
	am->amcanmulticol = false;
	am->ambuild = vr_ivfflat_build;
	am->amoptions = vr_ivfflat_options;
	am->amvalidate = vr_ivfflat_validate;
	PG_RETURN_POINTER(am);
}

/* Support function 5, as 3 of hnsw: kept for its name and number. */
PG_FUNCTION_INFO_V1(vr_ivfflat_halfvec_support);

Datum
vr_ivfflat_halfvec_support(PG_FUNCTION_ARGS)
{
	static const VrHnswType type = VR_TYPE_HALFVEC;

	PG_RETURN_POINTER(&type);
}

PG_FUNCTION_INFO_V1(vr_ivfflat_bit_support);

Datum
vr_ivfflat_bit_support(PG_FUNCTION_ARGS)
{
	static const VrHnswType type = VR_TYPE_BIT;

	PG_RETURN_POINTER(&type);
}
