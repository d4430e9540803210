/*
 * knn_parallel.c
 *		A search by several processes: each scans its share of the table's
 *		blocks for all queries, with tiles and results of its own, and this one
 *		merges the results. There is nothing to lock: what a worker writes, the
 *		leader reads when the worker has ended.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "optimizer/cost.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/vr_compat.h"
#include "knn/knn_private.h"

#define PARALLEL_KEY_SHARED UINT64CONST(1)
#define PARALLEL_KEY_QUERIES UINT64CONST(2)
#define PARALLEL_KEY_SCAN UINT64CONST(3)
#define PARALLEL_KEY_RESULTS UINT64CONST(4)
#define PARALLEL_KEY_GUESSES UINT64CONST(5) /* if there will be some */

/*
 * A worker takes some milliseconds to start, so each is given at least this
 * many: at rates that a core reaches easily. Alone, a process reads values out
 * of line as they lie (knn_toast.c); of several, each looks its own up.
 */
#define PARALLEL_SECONDS 0.01
#define PARALLEL_FLOPS 4e10
#define PARALLEL_BYTES 6e9
#define PARALLEL_LOOKUP 3e-6

/* What the workers are told; read-only to them. */
typedef struct ParallelShared
{
	VrKnnTable table; /* its pointers are set by each process */
	VrKnnSpec spec;   /* of the queries of this pass; likewise */
	VrKnnPlan plan;
	char blas_core[VR_KNN_BLAS_CORE];
} ParallelShared;

/*
 * Results of a worker: its number of rows, the number of entries of each
 * query, and k places for each query's entries.
 */
static Size
ParallelResultSize(const VrKnnSpec *spec)
{
	return add_size(
		MAXALIGN(sizeof(int64) + sizeof(int32) * spec->nqueries),
		mul_size(mul_size(spec->nqueries, spec->k), sizeof(VrKnnEntry)));
}

static VrKnnEntry *
ParallelEntries(const VrKnnSpec *spec, char *result, int query)
{
	return (VrKnnEntry *) (result + MAXALIGN(sizeof(int64) +
											 sizeof(int32) * spec->nqueries)) +
		   (Size) query * spec->k;
}

static bool
ParallelOutOfLine(Relation rel)
{
	Relation toast;
	bool most;

	if (!OidIsValid(rel->rd_rel->reltoastrelid))
		return false;
	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	most = RelationGetNumberOfBlocks(toast) > RelationGetNumberOfBlocks(rel);
	table_close(toast, AccessShareLock);
	return most;
}

/* Seconds that a search takes if so many processes share it. */
static double
ParallelSeconds(Relation rel, const VrKnnSpec *spec, int processes)
{
	double pages = RelationGetNumberOfBlocks(rel);
	double rows = rel->rd_rel->reltuples;
	double row_bytes = sizeof(float) * spec->dim;
	double seconds;

	/* Never analysed: as many as fit, which holds for values in the row. */
	if (rows < 0)
		rows = pages * Max(BLCKSZ / (row_bytes + 32), 1);
	seconds = rows * row_bytes / 2 * spec->nqueries / PARALLEL_FLOPS +
			  Max(pages * BLCKSZ, rows * row_bytes) / PARALLEL_BYTES;
	if (processes > 1 && ParallelOutOfLine(rel))
		seconds += rows * PARALLEL_LOOKUP;
	return seconds / processes;
}

int
VrKnnParallelWorkers(const VrKnnTable *table, const VrKnnSpec *spec)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int workers = max_parallel_workers_per_gather;
	Relation rel;

	/* Other types would need their comparison in every process. */
	if (!table->plain || table->keytype != NULL || workers <= 0 ||
		IsInParallelMode())
		return 0;
	rel = table_open(table->relid, NoLock);
	if (RelationUsesLocalBuffers(rel))
		workers = 0;
	else
	{
		double alone = ParallelSeconds(rel, spec, 1);
		double share = alone / PARALLEL_SECONDS;
		int most = RelationGetParallelWorkers(rel, workers);

		workers = Min(workers, most);
		/* All of it is computation: more processes than cores are no use. */
		if (cores > 0)
			workers = Min(workers, cores - 1);
		workers = Min(workers, share < 1 ? 0 : (int) Min(share, 64));
		if (alone < ParallelSeconds(rel, spec, 1 + workers) + PARALLEL_SECONDS)
			workers = 0;
	}
	table_close(rel, NoLock);
	return Max(workers, 0);
}

VrKnnSearch *
VrKnnParallelScan(const VrKnnTable *table, const VrKnnSpec *spec,
				  const VrKnnPlan *plan, int first, int count, int *workers)
{
	Relation rel = table_open(table->relid, NoLock);
	Snapshot snapshot = GetActiveSnapshot();
	ParallelContext *pcxt;
	ParallelShared *shared;
	ParallelTableScanDesc pscan;
	VrKnnGuesses *guesses = NULL;
	VrKnnSearch *search;
	VrKnnReader reader;
	TableScanDesc scan;
	Size guesses_size =
		offsetof(VrKnnGuesses, order) + mul_size(count, sizeof(uint64));
	Size queries_size =
		add_size(mul_size(count, spec->dim * sizeof(float)), VR_KNN_LINE);
	Size result_size;
	float *queries;
	char *results;
	VrKnnSpec pass = *spec;
	int launched;
	int i;

	pass.nqueries = count;
	pass.queries = NULL;
	result_size = ParallelResultSize(&pass);

	EnterParallelMode();
	pcxt = CreateParallelContext("$libdir/vecrecall", "vr_knn_parallel_main",
								 *workers);
	shm_toc_estimate_chunk(&pcxt->estimator, sizeof(ParallelShared));
	shm_toc_estimate_chunk(&pcxt->estimator, queries_size);
	shm_toc_estimate_chunk(&pcxt->estimator,
						   table_parallelscan_estimate(rel, snapshot));
	shm_toc_estimate_chunk(&pcxt->estimator, mul_size(result_size, *workers));
	shm_toc_estimate_chunk(&pcxt->estimator, guesses_size);
	shm_toc_estimate_keys(&pcxt->estimator, 5);
	InitializeParallelDSM(pcxt);

	shared = shm_toc_allocate(pcxt->toc, sizeof(ParallelShared));
	shared->table = *table;
	shared->spec = pass;
	shared->plan = *plan;
	VrKnnBlasCore(shared->blas_core, sizeof(shared->blas_core));
	shm_toc_insert(pcxt->toc, PARALLEL_KEY_SHARED, shared);
	queries = shm_toc_allocate(pcxt->toc, queries_size);
	memcpy((void *) TYPEALIGN(VR_KNN_LINE, queries),
		   spec->queries + (Size) first * spec->dim,
		   (Size) count * spec->dim * sizeof(float));
	shm_toc_insert(pcxt->toc, PARALLEL_KEY_QUERIES, queries);
	pscan =
		shm_toc_allocate(pcxt->toc, table_parallelscan_estimate(rel, snapshot));
	table_parallelscan_initialize(rel, pscan, snapshot);
	shm_toc_insert(pcxt->toc, PARALLEL_KEY_SCAN, pscan);
	results = shm_toc_allocate(pcxt->toc, mul_size(result_size, *workers));
	shm_toc_insert(pcxt->toc, PARALLEL_KEY_RESULTS, results);

	if (VrKnnGuessPays(table, spec, plan))
	{
		guesses = shm_toc_allocate(pcxt->toc, guesses_size);
		VrKnnGuessesInit(guesses);
		shm_toc_insert(pcxt->toc, PARALLEL_KEY_GUESSES, guesses);
	}

	LaunchParallelWorkers(pcxt);
	launched = pcxt->nworkers_launched;

	/* While the others start. */
	if (guesses != NULL)
	{
		VrKnnGuess(table, spec, plan, first, count, guesses->order);
		VrKnnGuessesReady(guesses);
	}
	search = VrKnnSearchBegin(spec, plan, first, count, NULL);
	if (guesses != NULL)
		VrKnnSearchUseGuesses(search, guesses);
	VrKnnReaderInitSearch(&reader, table, search);
	scan = table_beginscan_parallel(rel, pscan);
	VrKnnReadScan(&reader, rel, scan);
	table_endscan(scan);
	VrKnnReaderEnd(&reader);
	VrKnnSearchFinish(search);

	WaitForParallelWorkersToFinish(pcxt);
	for (i = 0; i < launched; i++)
	{
		char *result = results + (Size) i * result_size;
		int32 *counts = (int32 *) (result + sizeof(int64));
		int query;

		for (query = 0; query < count; query++)
			VrKnnSearchMerge(search, query,
							 ParallelEntries(&pass, result, query),
							 counts[query]);
		VrKnnSearchAddRows(search, *(int64 *) result);
	}
	*workers = launched;
	DestroyParallelContext(pcxt);
	ExitParallelMode();
	table_close(rel, NoLock);
	return search;
}

/* A worker: called by the server in a process that has the leader's state. */
void
vr_knn_parallel_main(dsm_segment *seg, shm_toc *toc)
{
	ParallelShared *shared = shm_toc_lookup(toc, PARALLEL_KEY_SHARED, false);
	ParallelTableScanDesc pscan = shm_toc_lookup(toc, PARALLEL_KEY_SCAN, false);
	char *result = (char *) shm_toc_lookup(toc, PARALLEL_KEY_RESULTS, false);
	VrKnnGuesses *guesses = shm_toc_lookup(toc, PARALLEL_KEY_GUESSES, true);
	VrKnnTable table = shared->table;
	VrKnnSpec spec = shared->spec;
	Relation rel = table_open(table.relid, AccessShareLock);
	TableScanDesc scan;
	VrKnnSearch *search;
	VrKnnReader reader;
	int32 *counts;
	int query;

	table.name = pstrdup(RelationGetRelationName(rel));
	table.keytype = NULL;
	table.filter = NULL;
	/* As the leader aligned it: both see it from the start of a page on. */
	spec.queries = (float *) TYPEALIGN(
		VR_KNN_LINE, shm_toc_lookup(toc, PARALLEL_KEY_QUERIES, false));
	result += ParallelResultSize(&spec) * ParallelWorkerNumber;
	counts = (int32 *) (result + sizeof(int64));

	VrKnnBlasSetCore(shared->blas_core);
	search = VrKnnSearchBegin(&spec, &shared->plan, 0, spec.nqueries, NULL);
	if (guesses != NULL)
		VrKnnSearchUseGuesses(search, guesses);
	VrKnnReaderInitSearch(&reader, &table, search);
	scan = table_beginscan_parallel(rel, pscan);
	VrKnnReadScan(&reader, rel, scan);
	table_endscan(scan);
	VrKnnReaderEnd(&reader);
	VrKnnSearchFinish(search);
	for (query = 0; query < spec.nqueries; query++)
	{
		int count;
		const VrKnnEntry *entries = VrKnnSearchResult(search, query, &count);

		counts[query] = count;
		memcpy(ParallelEntries(&spec, result, query), entries,
			   count * sizeof(VrKnnEntry));
	}
	*(int64 *) result = VrKnnSearchRows(search);
	VrKnnSearchEnd(search);
	table_close(rel, AccessShareLock);
}
