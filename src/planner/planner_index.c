/*
 * planner_index.c
 *		plan_index_build: memory, workers and time of building an index.
 *
 * An index is built in one pass as long as its graph fits
 * maintenance_work_mem, and slower beyond: by a fifth to a half as long as its
 * pages fit the shared buffers, by far more when they do not. The rows come
 * from the table's statistics, the memory of an hnsw index from
 * vecrecall.plan_layout, the time from builds that recorded themselves.
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "postmaster/bgworker_internals.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/vr_compat.h"
#include "base/vr_record.h"
#include "planner/planner_private.h"

#define MEGABYTE (1024.0 * 1024.0)

/* What a build may have of the machine's memory, if nothing is said. */
#define BUILD_MEMORY_SHARE 0.5

/* A worker that saves less of the time is not worth its start. */
#define BUILD_WORKER_GAIN 0.05

/* The server takes no more for maintenance_work_mem. */
#define BUILD_MAX_MEGABYTES ((double) MAX_KILOBYTES / 1024)

typedef struct BuildParameters
{
	double m;
	double ef_construction;
	double rows; /* < 0: as the table has */
	double dim;  /* 0: as the column has */
	double memory_mb;
	double cores;
	double max_workers; /* < 0: as the server allows */
} BuildParameters;

static void
build_parameters(Jsonb *params, BuildParameters *p)
{
	VrRequestKey keys[] = {{"m", &p->m, 2, true},
						   {"ef_construction", &p->ef_construction, 4, true},
						   {"rows", &p->rows, 0, true},
						   {"dim", &p->dim, 1, true},
						   {"available_memory_mb", &p->memory_mb, 1, false},
						   {"cpu_cores", &p->cores, 1, true},
						   {"max_workers", &p->max_workers, 0, true}};
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_size = sysconf(_SC_PAGESIZE);

	p->m = 16;
	p->ef_construction = 64;
	p->rows = -1;
	p->dim = 0;
	p->cores = VrPlannerCores();
	p->max_workers = -1;
	p->memory_mb =
		pages > 0 && page_size > 0
			? (double) pages * page_size / MEGABYTE * BUILD_MEMORY_SHARE
			: maintenance_work_mem / 1024.0;
	VrRequestNumbers(params, "params", keys, lengthof(keys));
}

/*
 * Fills in rows and dim from the table, where params do not give them. Returns
 * the name of the column's type.
 */
static char *
build_table(Oid relid, const char *column, BuildParameters *p)
{
	Relation relation = table_open(relid, AccessShareLock);
	HeapTuple tuple = SearchSysCacheAttName(relid, column);
	Form_pg_attribute att;
	Oid type;

	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		relation->rd_rel->relkind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table or materialized view",
						RelationGetRelationName(relation)),
				 errhint("Of a partitioned table, plan for the partitions.")));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						column, RelationGetRelationName(relation))));
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	if (p->dim == 0 && att->atttypmod < 1)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" has no fixed number of dimensions", column),
			 errhint("Give \"dim\" in \"params\".")));
	if (p->dim == 0)
		p->dim = att->atttypmod;
	type = att->atttypid;
	ReleaseSysCache(tuple);
	if (p->rows < 0)
	{
		BlockNumber pages;
		double rows;
		double all_visible;

		estimate_rel_size(relation, NULL, &pages, &rows, &all_visible);
		p->rows = rows;
	}
	table_close(relation, AccessShareLock);
	/* A schema would be part of what format_type_be gives. */
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	column = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
	ReleaseSysCache(tuple);
	return (char *) column;
}

/*
 * Memory of building an hnsw index in one pass, as vecrecall.plan_layout has it
 * from the build's own arithmetic. An index of options of its own takes less.
 */
static double
build_hnsw_bytes(const BuildParameters *p, const char *type)
{
	Oid types[] = {INT4OID, INT8OID, TEXTOID, INT4OID};
	Datum args[4];
	double bytes;
	bool null;

	args[0] = Int32GetDatum((int32) Min(p->dim, PG_INT32_MAX));
	args[1] = Int64GetDatum((int64) Min(p->rows, 1e14));
	args[2] = CStringGetTextDatum(type);
	args[3] = Int32GetDatum((int32) Min(p->m, PG_INT32_MAX));
	SPI_connect();
	if (SPI_execute_with_args(
			"SELECT build_bytes FROM vecrecall.plan_layout($1, $2, $3, $4) "
			"WHERE automatic",
			4, types, args, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "the layout of an hnsw index could not be planned");
	bytes = (double) DatumGetInt64(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	SPI_finish();
	return bytes;
}

static void
build_put(ReturnSetInfo *rsinfo, const char *setting, const char *value,
		  const char *why, double bytes, double seconds)
{
	Datum values[5];
	bool nulls[5] = {false};

	values[0] = CStringGetTextDatum(setting);
	values[1] = CStringGetTextDatum(value);
	values[2] = CStringGetTextDatum(why);
	values[3] = Int64GetDatum((int64) ceil(bytes));
	values[4] = Float8GetDatum(seconds);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Workers, besides the one process that is always there, up to the last that
 * saves enough; *seconds is set to the time with them.
 */
static int
build_workers(const VrFit *fit, const VrShape *shape, double rows, int most,
			  double *seconds)
{
	int workers = 0;

	*seconds = VrFitSeconds(fit, shape, rows, 1);
	for (int n = 2; n <= most + 1; n++)
	{
		double shared = VrFitSeconds(fit, shape, rows, n) / n;

		if (shared < *seconds * (1 - BUILD_WORKER_GAIN))
		{
			workers = n - 1;
			*seconds = shared;
		}
	}
	return workers;
}

PG_FUNCTION_INFO_V1(vr_plan_index_build);

/*
 * plan_index_build(rel, col, am, params)
 */
Datum
vr_plan_index_build(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	BuildParameters p;
	VrPlannerRequest request;
	VrPlannerKnowledge known;
	char *am;
	char *type;
	double bytes;
	double megabytes;
	double seconds;
	bool fits;
	int most;
	int workers;
	const char *learned;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null",
							   PG_ARGISNULL(0) ? "rel" : "col")));
	am = VrRequestText(fcinfo, 2, "am");
	(void) get_index_am_oid(am, false);
	InitMaterializedSRF(fcinfo, 0);
	build_parameters(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3), &p);
	type = build_table(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), &p);

	VrRequestInit(&request, VR_OP_INDEX_BUILD, am,
				  VrRequestDim((int64) Min(p.dim, 1e9)));
	request.shape.work =
		VrIndexBuildWork(p.rows, (int) p.m, (int) p.ef_construction);
	VrPlannerKnow(&request, &known);

	/*
	 * Of other access methods as of an hnsw index with m = 16; a neighbour
	 * more or less is four bytes at both ends.
	 */
	if (strcmp(am, "hnsw") == 0)
		bytes = build_hnsw_bytes(&p, type);
	else
		bytes = known.fit.mem_ratio *
				(known.fit.traits->mem_batch +
				 p.rows * (known.fit.traits->mem_row + (p.m - 16) * 8 +
						   known.fit.traits->mem_dim * request.shape.dim));
	fits = bytes <= p.memory_mb * MEGABYTE &&
		   bytes <= BUILD_MAX_MEGABYTES * MEGABYTE;
	megabytes =
		ceil(Min(bytes / MEGABYTE, Min(p.memory_mb, BUILD_MAX_MEGABYTES)));
	megabytes = Max(megabytes, 64);

	most = (int) Min(p.cores, 1024) - 1;
	most = Min(most, Min(max_worker_processes, max_parallel_workers));
	if (p.max_workers >= 0)
		most = (int) Min(most, p.max_workers);
	workers = build_workers(&known.fit, &request.shape, Max(p.rows, 1), most,
							&seconds);

	learned = known.fit.count > 0
				  ? psprintf("learned from %.0f builds", known.fit.count)
				  : "not measured yet: a guess";
	build_put(
		rsinfo, "maintenance_work_mem", psprintf("%.0fMB", megabytes),
		fits ? psprintf("the graph of %.0f rows is built in one pass", p.rows)
			 : psprintf("the graph of %.0f rows needs %.0f MB and is "
						"built in more than one pass",
						p.rows, ceil(bytes / MEGABYTE)),
		bytes, seconds);
	build_put(rsinfo, "max_parallel_maintenance_workers",
			  psprintf("%d", workers),
			  workers < most ? "more workers save less than a twentieth"
							 : "as many as cores and settings allow",
			  bytes, seconds);
	build_put(rsinfo, "statements",
			  psprintf("SET maintenance_work_mem = '%.0fMB'; SET "
					   "max_parallel_maintenance_workers = %d;",
					   megabytes, workers),
			  learned, bytes, seconds);
	return (Datum) 0;
}
