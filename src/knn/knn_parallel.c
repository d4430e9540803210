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
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

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

/* Bytes of one query's entries, up to which there is scratch to sort them. */
#define PARALLEL_SCRATCH (256 * 1024)

/* In the number of processes that take part: no more are let in. */
#define PARALLEL_CLOSED 0x80000000U

/* What a worker does when all have scanned. */
typedef enum ParallelThen
{
	PARALLEL_WAIT, /* not all have */
	PARALLEL_SORT,
	PARALLEL_LEAVE
} ParallelThen;

typedef struct ParallelShared
{
	/* Read-only to workers. */
	VrKnnTable table; /* its pointers are set by each process */
	VrKnnSpec spec;   /* of the queries of this pass; likewise */
	VrKnnPlan plan;
	char blas_core[VR_KNN_BLAS_CORE];
	bool heap; /* read by a loop of ours, or by the access method */
	int processes;

	VrKnnHeapShared blocks;
	pg_atomic_uint32 attached; /* workers, and PARALLEL_CLOSED */
	pg_atomic_uint32 scanned;  /* of those */
	pg_atomic_uint32 then;     /* a ParallelThen */
	pg_atomic_uint32 next;     /* query that nobody has taken to sort */
	ConditionVariable changed; /* any of these, or a query is sorted */
} ParallelShared;

/*
 * The results, in shared memory: of each query, whether it is sorted, and if so
 * of how many rows, plus one; of each process, the number of its rows, and how
 * many entries of each query it has, which follow. The leader is number 0, and
 * a query's rows end up among its entries.
 */
typedef struct ParallelResults
{
	ParallelShared *shared;
	int count; /* queries */
	int room;  /* entries of each */
	pg_atomic_uint32 *sorted;
	char *processes;
	VrKnnEntry *gathered; /* of all processes, in this one's memory */
	VrKnnEntry *scratch;
} ParallelResults;

struct VrKnnParallel
{
	ParallelContext *pcxt;
	Relation rel;
	VrKnnSearch *search;
	ParallelResults results;
	int workers; /* that took part */
};

static Size
ParallelProcessSize(int count, int room)
{
	return add_size(MAXALIGN(sizeof(int64) + sizeof(int32) * count),
					mul_size(mul_size(count, room), sizeof(VrKnnEntry)));
}

static Size
ParallelResultsSize(int count, int room, int processes)
{
	return add_size(MAXALIGN(sizeof(pg_atomic_uint32) * count),
					mul_size(ParallelProcessSize(count, room), processes));
}

/* Where results are; none yet. */
static void
ParallelResultsInit(ParallelResults *results, ParallelShared *shared, char *at)
{
	results->shared = shared;
	results->count = shared->spec.nqueries;
	results->room = VrKnnSearchRoom(&shared->spec, &shared->plan);
	results->sorted = (pg_atomic_uint32 *) at;
	results->processes =
		at + MAXALIGN(sizeof(pg_atomic_uint32) * results->count);
	results->gathered = NULL;
	results->scratch = NULL;
}

static char *
ParallelProcess(const ParallelResults *results, int process)
{
	return results->processes +
		   ParallelProcessSize(results->count, results->room) * process;
}

static int64 *
ParallelRows(const ParallelResults *results, int process)
{
	return (int64 *) ParallelProcess(results, process);
}

static int32 *
ParallelUsed(const ParallelResults *results, int process)
{
	return (int32 *) (ParallelProcess(results, process) + sizeof(int64));
}

static VrKnnEntry *
ParallelEntries(const ParallelResults *results, int process, int query)
{
	return (VrKnnEntry *) (ParallelProcess(results, process) +
						   MAXALIGN(sizeof(int64) +
									sizeof(int32) * results->count)) +
		   (Size) query * results->room;
}

/* To sort with scratch is faster, but of many entries it is much. */
static bool
ParallelHasScratch(int64 entries_bytes)
{
	return entries_bytes <= PARALLEL_SCRATCH;
}

int64
VrKnnParallelBytes(int64 entries_bytes, int processes)
{
	return processes * entries_bytes *
		   (ParallelHasScratch(entries_bytes) ? 2 : 1);
}

/* Puts the entries of all processes together, and sorts them. */
static void
ParallelSortQuery(ParallelResults *results, int query)
{
	const int room = results->room * results->shared->processes;
	VrKnnTop top = {.k = results->shared->spec.k, .capacity = room};
	int i;

	if (results->gathered == NULL)
	{
		results->gathered = VrKnnAlloc(room, sizeof(VrKnnEntry));
		if (ParallelHasScratch(results->room * sizeof(VrKnnEntry)))
			results->scratch = VrKnnAlloc(room, sizeof(VrKnnEntry));
	}
	top.entries = results->gathered;
	for (i = 0; i < results->shared->processes; i++)
	{
		int used = ParallelUsed(results, i)[query];

		memcpy(top.entries + top.used, ParallelEntries(results, i, query),
			   used * sizeof(VrKnnEntry));
		top.used += used;
	}
	VrKnnTopSort(&top, results->scratch);
	memcpy(ParallelEntries(results, 0, query), top.entries,
		   top.used * sizeof(VrKnnEntry));
	pg_write_barrier();
	pg_atomic_write_u32(&results->sorted[query], 1 + top.used);
	ConditionVariableBroadcast(&results->shared->changed);
}

/* Sorts a query that nobody has taken; false if there is none. */
static bool
ParallelSortNext(ParallelResults *results)
{
	uint32 query = pg_atomic_read_u32(&results->shared->next);

	if (query < results->count)
		query = pg_atomic_fetch_add_u32(&results->shared->next, 1);
	if (query >= results->count)
		return false;
	ParallelSortQuery(results, query);
	return true;
}

/* Scans this process' share, and leaves its entries to be sorted. */
static void
ParallelScanShare(ParallelResults *results, int process,
				  const VrKnnTable *table, VrKnnSearch *search, Relation rel,
				  ParallelTableScanDesc pscan)
{
	VrKnnReader reader;

	VrKnnReaderInitSearch(&reader, table, search);
	if (results->shared->heap)
		VrKnnHeapRead(&reader, rel, &results->shared->blocks);
	else
	{
		TableScanDesc scan = table_beginscan_parallel(rel, pscan);

		VrKnnReadScan(&reader, rel, scan);
		table_endscan(scan);
	}
	VrKnnReaderEnd(&reader);
	VrKnnSearchLeave(search, ParallelUsed(results, process));
	*ParallelRows(results, process) = VrKnnSearchRows(search);
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

/*
 * Waits until all workers that have begun have scanned their shares; those that
 * have not begun by now are not waited for, and find nothing to do. Then says
 * what to do next: to sort, unless guesses were too low for some query.
 */
static void
ParallelGather(VrKnnParallel *parallel)
{
	ParallelResults *results = &parallel->results;
	ParallelShared *shared = results->shared;
	uint32 attached =
		pg_atomic_fetch_or_u32(&shared->attached, PARALLEL_CLOSED);
	bool missing = false;
	int64 rows = 0;
	int query;
	int i;

	while (pg_atomic_read_u32(&shared->scanned) < attached)
		ConditionVariableSleep(&shared->changed, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	pg_read_barrier();
	parallel->workers = attached;
	for (i = 1; i < shared->processes; i++)
		rows += *ParallelRows(results, i);
	VrKnnSearchAddRows(parallel->search, rows);
	rows = Min(VrKnnSearchRows(parallel->search), shared->spec.k);
	for (query = 0; query < results->count; query++)
	{
		int64 used = 0;

		for (i = 0; i < shared->processes; i++)
			used += ParallelUsed(results, i)[query];
		missing |= used < rows;
		VrKnnSearchSetUsed(parallel->search, query, Min(used, shared->spec.k));
	}
	pg_atomic_write_u32(&shared->then,
						missing ? PARALLEL_LEAVE : PARALLEL_SORT);
	ConditionVariableBroadcast(&shared->changed);
	if (missing)
	{
		WaitForParallelWorkersToFinish(parallel->pcxt);
		for (query = 0; query < results->count; query++)
			VrKnnParallelSort(parallel, query);
	}
}

VrKnnParallel *
VrKnnParallelScan(const VrKnnTable *table, const VrKnnSpec *spec,
				  const VrKnnPlan *plan, int first, int count, int workers)
{
	VrKnnParallel *parallel = palloc0(sizeof(VrKnnParallel));
	Relation rel = table_open(table->relid, NoLock);
	Snapshot snapshot = GetActiveSnapshot();
	const int room = VrKnnSearchRoom(spec, plan);
	ParallelContext *pcxt;
	ParallelShared *shared;
	ParallelTableScanDesc pscan;
	VrKnnGuesses *guesses = NULL;
	Size guesses_size =
		offsetof(VrKnnGuesses, order) + mul_size(count, sizeof(uint64));
	Size queries_size =
		add_size(mul_size(count, spec->dim * sizeof(float)), VR_KNN_LINE);
	Size results_size = ParallelResultsSize(count, room, 1 + workers);
	float *queries;
	char *results;
	int i;

	EnterParallelMode();
	pcxt = CreateParallelContext("$libdir/vecrecall", "vr_knn_parallel_main",
								 workers);
	shm_toc_estimate_chunk(&pcxt->estimator, sizeof(ParallelShared));
	shm_toc_estimate_chunk(&pcxt->estimator, queries_size);
	shm_toc_estimate_chunk(&pcxt->estimator,
						   table_parallelscan_estimate(rel, snapshot));
	shm_toc_estimate_chunk(&pcxt->estimator, results_size);
	shm_toc_estimate_chunk(&pcxt->estimator, guesses_size);
	shm_toc_estimate_keys(&pcxt->estimator, 5);
	InitializeParallelDSM(pcxt);

	shared = shm_toc_allocate(pcxt->toc, sizeof(ParallelShared));
	memset(shared, 0, sizeof(*shared));
	shared->table = *table;
	shared->spec = *spec;
	shared->spec.nqueries = count;
	shared->spec.queries = NULL;
	shared->plan = *plan;
	VrKnnBlasCore(shared->blas_core, sizeof(shared->blas_core));
	shared->heap = VrKnnHeapUsable(rel);
	shared->processes = 1 + workers;
	VrKnnHeapShare(&shared->blocks, rel);
	pg_atomic_init_u32(&shared->attached, 0);
	pg_atomic_init_u32(&shared->scanned, 0);
	pg_atomic_init_u32(&shared->then, PARALLEL_WAIT);
	pg_atomic_init_u32(&shared->next, 0);
	ConditionVariableInit(&shared->changed);
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
	results = shm_toc_allocate(pcxt->toc, results_size);
	ParallelResultsInit(&parallel->results, shared, results);
	for (i = 0; i < count; i++)
		pg_atomic_init_u32(&parallel->results.sorted[i], 0);
	/* Of a worker that does not come, there is nothing. */
	for (i = 0; i < shared->processes; i++)
	{
		*ParallelRows(&parallel->results, i) = 0;
		memset(ParallelUsed(&parallel->results, i), 0, count * sizeof(int32));
	}
	shm_toc_insert(pcxt->toc, PARALLEL_KEY_RESULTS, results);

	if (VrKnnGuessPays(table, spec, plan))
	{
		guesses = shm_toc_allocate(pcxt->toc, guesses_size);
		VrKnnGuessesInit(guesses);
		shm_toc_insert(pcxt->toc, PARALLEL_KEY_GUESSES, guesses);
	}

	LaunchParallelWorkers(pcxt);

	/* While the others start. */
	if (guesses != NULL)
	{
		VrKnnGuess(table, spec, plan, first, count, guesses->order);
		VrKnnGuessesReady(guesses);
	}
	parallel->pcxt = pcxt;
	parallel->rel = rel;
	parallel->search =
		VrKnnSearchBeginAt(spec, plan, first, count, NULL,
						   ParallelEntries(&parallel->results, 0, 0));
	if (guesses != NULL)
		VrKnnSearchUseGuesses(parallel->search, guesses);
	ParallelScanShare(&parallel->results, 0, table, parallel->search, rel,
					  pscan);
	ParallelGather(parallel);
	return parallel;
}

VrKnnSearch *
VrKnnParallelSearch(const VrKnnParallel *parallel)
{
	return parallel->search;
}

/*
 * While queries are asked for, others sort those to come. If they are late, this
 * process sorts too.
 */
void
VrKnnParallelSort(VrKnnParallel *parallel, int query)
{
	ParallelResults *results = &parallel->results;
	pg_atomic_uint32 *sorted = &results->sorted[query];

	while (pg_atomic_read_u32(sorted) == 0 && ParallelSortNext(results))
		CHECK_FOR_INTERRUPTS();
	while (pg_atomic_read_u32(sorted) == 0)
		ConditionVariableSleep(&results->shared->changed, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	pg_read_barrier();
	VrKnnSearchSetUsed(parallel->search, query, pg_atomic_read_u32(sorted) - 1);
}

int
VrKnnParallelEnd(VrKnnParallel *parallel)
{
	int workers = parallel->workers;

	VrKnnSearchEnd(parallel->search);
	WaitForParallelWorkersToFinish(parallel->pcxt);
	DestroyParallelContext(parallel->pcxt);
	ExitParallelMode();
	table_close(parallel->rel, NoLock);
	pfree(parallel);
	return workers;
}

/* Takes part in a scan that is not yet at its end. */
static bool
ParallelAttach(ParallelShared *shared)
{
	uint32 attached = pg_atomic_read_u32(&shared->attached);

	while ((attached & PARALLEL_CLOSED) == 0)
		if (pg_atomic_compare_exchange_u32(&shared->attached, &attached,
										   attached + 1))
			return true;
	return false;
}

/* A worker: called by the server in a process that has the leader's state. */
void
vr_knn_parallel_main(dsm_segment *seg, shm_toc *toc)
{
	ParallelShared *shared = shm_toc_lookup(toc, PARALLEL_KEY_SHARED, false);
	ParallelTableScanDesc pscan = shm_toc_lookup(toc, PARALLEL_KEY_SCAN, false);
	VrKnnGuesses *guesses = shm_toc_lookup(toc, PARALLEL_KEY_GUESSES, true);
	const int process = 1 + ParallelWorkerNumber;
	VrKnnTable table = shared->table;
	VrKnnSpec spec = shared->spec;
	ParallelResults results;
	VrKnnSearch *search;
	Relation rel;
	uint32 then;

	if (!ParallelAttach(shared))
		return;
	rel = table_open(table.relid, AccessShareLock);
	table.name = pstrdup(RelationGetRelationName(rel));
	table.keytype = NULL;
	table.filter = NULL;
	/* As the leader aligned it: both see it from the start of a page on. */
	spec.queries = (float *) TYPEALIGN(
		VR_KNN_LINE, shm_toc_lookup(toc, PARALLEL_KEY_QUERIES, false));
	ParallelResultsInit(&results, shared,
						shm_toc_lookup(toc, PARALLEL_KEY_RESULTS, false));

	VrKnnBlasSetCore(shared->blas_core);
	search = VrKnnSearchBeginAt(&spec, &shared->plan, 0, spec.nqueries, NULL,
								ParallelEntries(&results, process, 0));
	if (guesses != NULL)
		VrKnnSearchUseGuesses(search, guesses);
	ParallelScanShare(&results, process, &table, search, rel, pscan);
	VrKnnSearchEnd(search);
	table_close(rel, AccessShareLock);

	pg_atomic_fetch_add_u32(&shared->scanned, 1);
	ConditionVariableBroadcast(&shared->changed);
	while ((then = pg_atomic_read_u32(&shared->then)) == PARALLEL_WAIT)
		ConditionVariableSleep(&shared->changed, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	pg_read_barrier();
	while (then == PARALLEL_SORT && ParallelSortNext(&results))
		CHECK_FOR_INTERRUPTS();
}
