/*
 * vr_compat.h
 *		Differences between PostgreSQL 14 to 18, hidden. The only file of the
 *		project that tests PG_VERSION_NUM (test/lint/versions.sh).
 *
 * Code is written for the newest server; what an older one lacks is supplied
 * here. Include after "postgres.h" and "fmgr.h".
 */
#ifndef VR_COMPAT_H
#define VR_COMPAT_H

#if PG_VERSION_NUM < 140000
#error "vecrecall needs PostgreSQL 14 or later"
#endif

/* Moved out of postgres.h by 16, which also brought soft errors. */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else
/* Before 16 input functions throw. */
#define ereturn(context, dummy_value, ...)                                     \
	do                                                                         \
	{                                                                          \
		(void) (context);                                                      \
		ereport(ERROR, __VA_ARGS__);                                           \
	} while (0)
#define SOFT_ERROR_OCCURRED(escontext) false
#endif

/*
 * From 15 on, a reserved prefix also makes unknown settings an error later;
 * 14 only warns about those that were set before.
 */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 16 renamed RelFileNode. ReadRecentBuffer: whether the buffer still has it. */
#if PG_VERSION_NUM >= 160000
#define VrRelFileLocator RelFileLocator
#define VrRelationLocator(rel) ((rel)->rd_locator)
#else
#define VrRelFileLocator RelFileNode
#define VrRelationLocator(rel) ((rel)->rd_node)
#endif
#define VrReadRecentBuffer(rel, block, buf)                                    \
	ReadRecentBuffer(VrRelationLocator(rel), MAIN_FORKNUM, block, buf)

/* 17 asks index access methods whether they build in parallel. */
#if PG_VERSION_NUM >= 170000
#define VrSetAmCanBuildParallel(am) ((am)->amcanbuildparallel = true)
#else
#define VrSetAmCanBuildParallel(am) ((void) (am))
#endif

/* Until 16 rows that an old snapshot sees may be pruned; scans must ask. */
#if PG_VERSION_NUM >= 170000
#define VrSnapshotsMayBeTooOld() false
#else
#define VrSnapshotsMayBeTooOld() (old_snapshot_threshold >= 0)
#endif

/*
 * 15 lets the blocks of such a context grow; a size that is expected is that of
 * the first, which begins with the context itself.
 */
#if PG_VERSION_NUM >= 150000
#define VrGenerationContextCreate(parent, name, size)                          \
	GenerationContextCreate(parent, name, size, ALLOCSET_DEFAULT_INITSIZE,     \
							Max(size, ALLOCSET_DEFAULT_MAXSIZE))
#define VR_GENERATION_SIZED true
#else
#define VrGenerationContextCreate(parent, name, size)                          \
	GenerationContextCreate(parent, name, SLAB_LARGE_BLOCK_SIZE)
#define VR_GENERATION_SIZED false
#endif

/* 17 gives the rows of a tuplestore a context of their own. */
#if PG_VERSION_NUM >= 170000
#define VR_TUPLESTORE_ROWS_HERE false
#else
#define VR_TUPLESTORE_ROWS_HERE true
#endif

/* 18 counts disabled nodes; before, infinite costs say that a path is no use. */
#if PG_VERSION_NUM >= 180000
#define VrSetDisabled(indexpath) ((indexpath)->path.disabled_nodes = 2)
#else
#define VrSetDisabled(indexpath) ((void) (indexpath))
#endif

/* 16 put one function in the place of one per kind of object. */
#if PG_VERSION_NUM >= 160000
#define VrOwnsRelation(rel, user)                                              \
	object_ownercheck(RelationRelationId, rel, user)
#else
#define VrOwnsRelation(rel, user) pg_class_ownercheck(rel, user)
#endif

/* 16 lets the caller say whether it wants a copy; by-value types need none. */
#if PG_VERSION_NUM >= 160000
#define VrTuplesortGetDatum(sort, value, isnull)                               \
	tuplesort_getdatum(sort, true, false, value, isnull, NULL)
#else
#define VrTuplesortGetDatum(sort, value, isnull)                               \
	tuplesort_getdatum(sort, true, value, isnull, NULL)
#endif

/* Analysis of a statement whose parameters tell their types themselves. */
#if PG_VERSION_NUM >= 150000
#define VrParseAnalyze(raw, text, types, ntypes)                               \
	parse_analyze_varparams(raw, text, types, ntypes, NULL)
#else
#define VrParseAnalyze(raw, text, types, ntypes)                               \
	parse_analyze_varparams(raw, text, types, ntypes)
#endif

/* 16 gathered permissions in a list of their own. */
#if PG_VERSION_NUM >= 160000
#define VrCheckPermissions(stmt)                                               \
	ExecCheckPermissions((stmt)->rtable, (stmt)->permInfos, true)
#else
#define VrCheckPermissions(stmt) ExecCheckRTPerms((stmt)->rtable, true)
#endif

/* From 17 on, code of others runs with a safe search_path. */
#if PG_VERSION_NUM < 170000
#define RestrictSearchPath() ((void) 0)
#endif

/* What sees the chunks of a visible row: from 18 on there is one for all. */
#if PG_VERSION_NUM >= 180000
#define VrToastSnapshotData char
#define VrInitToastSnapshot(data) ((void) (data), get_toast_snapshot())
#else
#define VrToastSnapshotData SnapshotData
#define VrInitToastSnapshot(data) (init_toast_snapshot(data), (data))
#endif

/* 18 wants to know whether it is ANALYZE that waits. */
#if PG_VERSION_NUM >= 180000
#define VrVacuumDelayPoint() vacuum_delay_point(false)
#else
#define VrVacuumDelayPoint() vacuum_delay_point()
#endif

/* Functions that return a set in one go: 15 brought a function for what each
 * of them had to do. It takes its descriptor from the declared type. */
#if PG_VERSION_NUM < 150000
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"

static inline void
InitMaterializedSRF(FunctionCallInfo fcinfo, int flags)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;

	(void) flags;
	if (rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		(rsinfo->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("set-valued function called in context that "
							   "cannot accept a set")));
	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, NULL, &rsinfo->setDesc) !=
		TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = tuplestore_begin_heap(
		(rsinfo->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	MemoryContextSwitchTo(old);
}
#endif

/* From 18 on a library tells its name and version: pg_get_loaded_modules(). */
#ifdef PG_MODULE_MAGIC_EXT
#define VR_MODULE_MAGIC(library, release)                                      \
	PG_MODULE_MAGIC_EXT(.name = library, .version = release)
#else
#define VR_MODULE_MAGIC(library, release) PG_MODULE_MAGIC
#endif

/* From 18 on EXPLAIN asks extensions what they know of a node. */
#if PG_VERSION_NUM >= 180000
#define VR_EXPLAINS_NODES
#endif

/* 18 counts for EXPLAIN how often an index was descended. */
#if PG_VERSION_NUM >= 180000
#define VrCountIndexSearch(scan)                                               \
	((scan)->instrument ? (void) (scan)->instrument->nsearches++ : (void) 0)
#else
#define VrCountIndexSearch(scan) ((void) (scan))
#endif

/*
 * Whether the planner must be helped to ordered paths with IN on a further
 * column: see hnsw_paths.c.
 */
#define VR_PLANNER_NEEDS_IN_PATHS (PG_VERSION_NUM < 170000)

/*
 * Whether an ordered index scan serves an ORDER BY that goes on after the
 * distance: an incremental sort does the rest.
 */
#define VR_SORTS_ON_FROM_INDEX (PG_VERSION_NUM >= 170000)

/* Whether this process is an autovacuum worker; of autovacuum.h, miscadmin.h */
#if PG_VERSION_NUM >= 170000
#define VrIsAutoVacuumWorker() AmAutoVacuumWorkerProcess()
#else
#define VrIsAutoVacuumWorker() IsAutoVacuumWorkerProcess()
#endif

/* What get_ordering_op_properties() returns besides the family and type. */
#if PG_VERSION_NUM >= 180000
#define VrOrderingKind CompareType
#else
#define VrOrderingKind int16
#endif

#endif /* VR_COMPAT_H */
