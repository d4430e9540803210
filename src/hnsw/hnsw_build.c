/*
 * hnsw_build.c
 *		CREATE INDEX and REINDEX: in memory as far as it goes, by several
 *		workers, then on pages.
 *
 * A look at some blocks of the table settles the record layout, the mean, and
 * the size of the image (hnsw_image.h). Leader and workers insert the rows of a
 * parallel heap scan into the image. If it fills up, whoever notices writes it
 * out, and everybody goes on with the ordinary insertion on pages, unlogged.
 * The whole index is logged once at the end. A build that fails or is
 * cancelled leaves only a relation file that is dropped with its transaction.
 */
#include "postgres.h"

#include <math.h>

#include "access/parallel.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "storage/dsm.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/vr_huge.h"
#include "base/vr_record.h"
#include "hnsw/hnsw_build.h"
#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"
#include "hnsw/hnsw_sample.h"

#define BUILD_KEY_SHARED UINT64CONST(0xFA51000000000001)
#define BUILD_KEY_SCAN UINT64CONST(0xFA51000000000002)
#define BUILD_KEY_QUERY UINT64CONST(0xFA51000000000003)
#define BUILD_KEY_WAL UINT64CONST(0xFA51000000000004)
#define BUILD_KEY_BUFFERS UINT64CONST(0xFA51000000000005)

/* What leader and workers share besides the image. */
typedef struct BuildShared
{
	Oid heap;
	Oid index;
	bool concurrent;
	dsm_handle image; /* segment that holds the image */
	int tranche;
	double rows;                 /* that there will be, by the sample */
	pg_atomic_uint64 heap_rows;  /* rows scanned */
	pg_atomic_uint64 index_rows; /* rows indexed */
} BuildShared;

/* One process's part. */
typedef struct BuildState
{
	Relation heap;
	Relation index;
	IndexInfo *info;
	VrHnswIndex *idx;
	BuildShared *shared;
	VrHnswImage *image;
	VrHnswStore image_store;
	VrHnswStore page_store;
	VrHnswInserter image_inserter;
	VrHnswInserter page_inserter;
	bool flushed; /* this process has seen that the image is written */
	bool leader;
	MemoryContext row; /* reset for every row */
	MemoryContext cxt;
	bool parallel;
	int processes;        /* that took part */
	dsm_segment *segment; /* the image's, or */
	void *local;          /* its private memory */
} BuildState;

/* Tranche of all locks of images; named once per process. */
static int
BuildTranche(void)
{
	static int tranche = 0;

	if (tranche == 0)
	{
		tranche = LWLockNewTrancheId();
		LWLockRegisterTranche(tranche, "VecrecallHnswBuild");
	}
	return tranche;
}

/* ------------------------------------------------------------ on one row */

/*
 * Writes the image out, unless somebody else has. The flush lock is held
 * exclusively. Says how much memory one pass would take.
 */
static void
BuildFlush(BuildState *b, bool full)
{
	VrHnswImageShared *shared = b->image->shared;

	if (shared->flushed)
		return;
	if (full)
	{
		double rows = pg_atomic_read_u32(&shared->n0);
		double table = Max(b->shared->rows, rows);
		double bytes = table * VrHnswImageRowBytes(b->idx) * 1.1 + 2097152;

		ereport(NOTICE,
				(errmsg("hnsw graph no longer fits into maintenance_work_mem "
						"after " INT64_FORMAT " tuples",
						(int64) rows),
				 errdetail("The rest is built on disk pages, which takes "
						   "longer."),
				 errhint("A build in one pass needs maintenance_work_mem of "
						 "about %.0f MB.",
						 ceil(bytes / 1048576))));
	}
	if (b->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE,
									 VR_BUILD_PHASE_WRITE);
	VrHnswJoin(&b->image_inserter);
	VrHnswImageFlush(b->image, &b->page_store);
	if (b->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE,
									 VR_BUILD_PHASE_LOAD);
}

/* Inserts one value, in memory while there is room. */
static void
BuildInsert(BuildState *b, const VrHnswValue *value, ItemPointer tid)
{
	if (!b->flushed)
	{
		LWLock *lock = &b->image->shared->flush_lock;
		VrHnswInsertResult result = VR_INSERT_FULL;

		LWLockAcquire(lock, LW_SHARED);
		if (!b->image->shared->flushed)
			result = VrHnswInsertValue(&b->image_inserter, value, tid, false);
		LWLockRelease(lock);
		if (result != VR_INSERT_FULL)
			return;
		LWLockAcquire(lock, LW_EXCLUSIVE);
		BuildFlush(b, true);
		LWLockRelease(lock);
		b->flushed = true;
		b->page_store.nblocks = RelationGetNumberOfBlocks(b->index);
	}
	VrHnswInsertValue(&b->page_inserter, value, tid, false);
}

static void
BuildRow(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		 bool alive, void *arg)
{
	BuildState *b = arg;
	MemoryContext old;
	VrHnswValue value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(b->row);
	if (VrHnswFormValue(b->idx, index, values, isnull, &value))
	{
		uint64 n;

		BuildInsert(b, &value, tid);
		n = pg_atomic_fetch_add_u64(&b->shared->index_rows, 1);
		if (b->leader && n % 16 == 0)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, n + 1);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(b->row);
}

/* Sets a process up to insert rows. */
static void
BuildStart(BuildState *b, Relation heap, Relation index, IndexInfo *info,
		   VrHnswIndex *idx, BuildShared *shared, void *image, bool leader)
{
	memset(b, 0, sizeof(*b));
	b->heap = heap;
	b->index = index;
	b->info = info;
	b->idx = idx;
	b->shared = shared;
	b->leader = leader;
	b->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecrecall hnsw build",
								   ALLOCSET_DEFAULT_SIZES);
	b->row = AllocSetContextCreate(b->cxt, "vecrecall hnsw row",
								   ALLOCSET_DEFAULT_SIZES);
	b->image = VrHnswImageAttach(image, idx);
	b->parallel = b->image->locks != NULL;
	VrHnswStoreInit(&b->image_store, index, idx);
	b->image_store.image = b->image;
	b->image_store.building = true;
	VrHnswStoreInit(&b->page_store, index, idx);
	b->page_store.building = true;
	VrHnswInserterInit(&b->image_inserter, &b->image_store, b->cxt);
	VrHnswInserterInit(&b->page_inserter, &b->page_store, b->cxt);
}

/* Runs a process's share of the scan. scan is NULL for a build on its own. */
static void
BuildScan(BuildState *b, TableScanDesc scan)
{
	double rows;

	rows = table_index_build_scan(b->heap, b->index, b->info, true, b->leader,
								  BuildRow, b, scan);
	pg_atomic_fetch_add_u64(&b->shared->heap_rows, (uint64) rows);
}

/* --------------------------------------------------------------- workers */

/* A worker's whole life. */
void
VrHnswBuildWorker(dsm_segment *seg, shm_toc *toc)
{
	BuildShared *shared = shm_toc_lookup(toc, BUILD_KEY_SHARED, false);
	char *query = shm_toc_lookup(toc, BUILD_KEY_QUERY, true);
	LOCKMODE heap_lock =
		shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	LOCKMODE index_lock =
		shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	VrHnswMetaPageData meta;
	dsm_segment *image;
	TableScanDesc scan;
	BuildState state;
	IndexInfo *info;
	Relation heap;
	Relation index;

	debug_query_string = query;
	pgstat_report_activity(STATE_RUNNING, query);
	LWLockRegisterTranche(shared->tranche, "VecrecallHnswBuild");
	heap = table_open(shared->heap, heap_lock);
	index = index_open(shared->index, index_lock);
	InstrStartParallelQuery();
	info = BuildIndexInfo(index);
	info->ii_Concurrent = shared->concurrent;
	image = dsm_attach(shared->image);
	if (image == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not map dynamic shared memory segment")));
	BuildStart(&state, heap, index, info, VrHnswOpen(index, &meta), shared,
			   dsm_segment_address(image), false);
	scan = table_beginscan_parallel(heap,
									shm_toc_lookup(toc, BUILD_KEY_SCAN, false));
	BuildScan(&state, scan);
	InstrEndParallelQuery(
		(BufferUsage *) shm_toc_lookup(toc, BUILD_KEY_BUFFERS, false) +
			ParallelWorkerNumber,
		(WalUsage *) shm_toc_lookup(toc, BUILD_KEY_WAL, false) +
			ParallelWorkerNumber);
	dsm_detach(image);
	index_close(index, index_lock);
	table_close(heap, heap_lock);
}

/*
 * A DSM segment for the image, or NULL with a NOTICE: a container's /dev/shm
 * is often 64 MB, and that must not fail the build.
 */
static dsm_segment *
BuildGetSegment(Size size)
{
	ResourceOwner outer = CurrentResourceOwner;
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner own = ResourceOwnerCreate(outer, "vecrecall hnsw image");
	dsm_segment *volatile seg = NULL;

	CurrentResourceOwner = own;
	PG_TRY();
	{
		seg = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (seg != NULL)
			dsm_pin_mapping(seg);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		FlushErrorState();
		/* Only what says that there is no room; a cancel goes on. */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(error);
		CurrentResourceOwner = outer;
		ResourceOwnerRelease(own, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
		ResourceOwnerRelease(own, RESOURCE_RELEASE_LOCKS, false, false);
		ResourceOwnerRelease(own, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
		ResourceOwnerDelete(own);
		own = NULL;
		seg = NULL;
		ereport(NOTICE,
				(errmsg("hnsw index is built without parallel workers: there "
						"is no shared memory of %zu MB",
						size / 1048576),
				 errdetail("%s", error->message),
				 errhint("Give the server a larger /dev/shm (docker: "
						 "--shm-size).")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	CurrentResourceOwner = outer;
	if (own != NULL)
	{
		/* From here on it belongs to the transaction, like any segment. */
		if (seg != NULL)
			dsm_unpin_mapping(seg);
		ResourceOwnerRelease(own, RESOURCE_RELEASE_BEFORE_LOCKS, true, false);
		ResourceOwnerDelete(own);
	}
	return seg;
}

/* Workers that the settings allow for this table. */
static int
BuildPlanWorkers(Relation heap, Relation index)
{
	int workers;

	/* Tells whether parallel is safe at all: temporary tables, functions. */
	if (plan_create_index_workers(RelationGetRelid(heap),
								  RelationGetRelid(index)) == 0)
		return 0;
	workers = RelationGetParallelWorkers(heap, -1);
	if (workers >= 0)
		return Min(workers, max_parallel_maintenance_workers);
	return max_parallel_maintenance_workers;
}

/*
 * Builds with workers. False if none could be had: nothing was done then.
 */
static bool
BuildInParallel(BuildState *b, Relation heap, Relation index, IndexInfo *info,
				VrHnswIndex *idx, const VrHnswImageShared *plan, Size size,
				double rows, int workers)
{
	dsm_segment *seg = BuildGetSegment(size);
	ParallelContext *pcxt;
	BuildShared *shared;
	ParallelTableScanDesc pscan;
	WalUsage *wal;
	BufferUsage *buffers;
	Snapshot snapshot;
	Size scan_size;
	Size query_size = 0;
	int launched;
	int i;

	if (seg == NULL)
		return false;
	VrHnswImageCreate(dsm_segment_address(seg), idx, plan, BuildTranche());

	EnterParallelMode();
	pcxt = CreateParallelContext("vecrecall", "VrHnswBuildWorker", workers);
	snapshot = info->ii_Concurrent ? RegisterSnapshot(GetTransactionSnapshot())
								   : SnapshotAny;
	scan_size = table_parallelscan_estimate(heap, snapshot);
	shm_toc_estimate_chunk(&pcxt->estimator, sizeof(BuildShared));
	shm_toc_estimate_chunk(&pcxt->estimator, scan_size);
	shm_toc_estimate_chunk(&pcxt->estimator,
						   mul_size(sizeof(WalUsage), workers));
	shm_toc_estimate_chunk(&pcxt->estimator,
						   mul_size(sizeof(BufferUsage), workers));
	shm_toc_estimate_keys(&pcxt->estimator, 4);
	if (debug_query_string)
	{
		query_size = strlen(debug_query_string) + 1;
		shm_toc_estimate_chunk(&pcxt->estimator, query_size);
		shm_toc_estimate_keys(&pcxt->estimator, 1);
	}
	InitializeParallelDSM(pcxt);
	if (pcxt->seg == NULL)
	{
		if (IsMVCCSnapshot(snapshot))
			UnregisterSnapshot(snapshot);
		DestroyParallelContext(pcxt);
		ExitParallelMode();
		dsm_detach(seg);
		return false;
	}
	shared = shm_toc_allocate(pcxt->toc, sizeof(BuildShared));
	shared->heap = RelationGetRelid(heap);
	shared->index = RelationGetRelid(index);
	shared->concurrent = info->ii_Concurrent;
	shared->image = dsm_segment_handle(seg);
	shared->tranche = BuildTranche();
	shared->rows = rows;
	pg_atomic_init_u64(&shared->heap_rows, 0);
	pg_atomic_init_u64(&shared->index_rows, 0);
	pscan = shm_toc_allocate(pcxt->toc, scan_size);
	table_parallelscan_initialize(heap, pscan, snapshot);
	wal = shm_toc_allocate(pcxt->toc, mul_size(sizeof(WalUsage), workers));
	buffers =
		shm_toc_allocate(pcxt->toc, mul_size(sizeof(BufferUsage), workers));
	shm_toc_insert(pcxt->toc, BUILD_KEY_SHARED, shared);
	shm_toc_insert(pcxt->toc, BUILD_KEY_SCAN, pscan);
	shm_toc_insert(pcxt->toc, BUILD_KEY_WAL, wal);
	shm_toc_insert(pcxt->toc, BUILD_KEY_BUFFERS, buffers);
	if (debug_query_string)
	{
		char *query = shm_toc_allocate(pcxt->toc, query_size);

		memcpy(query, debug_query_string, query_size);
		shm_toc_insert(pcxt->toc, BUILD_KEY_QUERY, query);
	}
	LaunchParallelWorkers(pcxt);

	BuildStart(b, heap, index, info, idx, shared, dsm_segment_address(seg),
			   true);
	BuildScan(b, table_beginscan_parallel(heap, pscan));
	WaitForParallelWorkersToFinish(pcxt);
	launched = pcxt->nworkers_launched;
	for (i = 0; i < launched; i++)
		InstrAccumParallelQuery(&buffers[i], &wal[i]);

	/* The totals outlive the shared memory. */
	b->shared = palloc(sizeof(BuildShared));
	memcpy(b->shared, shared, sizeof(BuildShared));
	if (IsMVCCSnapshot(snapshot))
		UnregisterSnapshot(snapshot);
	DestroyParallelContext(pcxt);
	ExitParallelMode();
	b->segment = seg;
	b->processes = launched + 1;
	return true;
}

/* ------------------------------------------------------------- the leader */

/* Writes the first page, and those of the mean, of an empty index. */
static void
BuildWriteMeta(Relation index, ForkNumber fork, VrHnswMetaPageData *meta,
			   const float *mean)
{
	Buffer buf =
		ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);
	uint32 bytes = mean ? meta->dim * sizeof(float) : 0;
	uint32 done = 0;

	Assert(BufferGetBlockNumber(buf) == VR_HNSW_META_BLOCK);
	VrHnswPageInit(BufferGetPage(buf), VR_PAGE_META);
	while (done < bytes)
	{
		Buffer mbuf =
			ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);
		Page page = BufferGetPage(mbuf);
		BlockNumber block = BufferGetBlockNumber(mbuf);
		uint32 n = Min(bytes - done, VR_HNSW_PAGE_BYTES);

		if (VrHnswIsAttrBlock(&meta->layout, block))
			VrHnswPageInit(page, VR_PAGE_ATTR);
		else
		{
			if (done == 0)
				meta->mean_block = block;
			VrHnswPageInit(page, VR_PAGE_MEAN);
			memcpy(VrHnswPageContents(page), (const char *) mean + done, n);
			done += n;
			VrHnswPageSpecial(page)->nbytes = n;
			/* The next one is the next block, or the one after an ATTR page. */
			if (done < bytes)
				VrHnswPageSpecial(page)->next =
					VrHnswIsAttrBlock(&meta->layout, block + 1) ? block + 2
																: block + 1;
		}
		MarkBufferDirty(mbuf);
		UnlockReleaseBuffer(mbuf);
	}
	memcpy(VrHnswPageMeta(BufferGetPage(buf)), meta, sizeof(*meta));
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);
}

/* A number that no other build of this cluster has, as far as chance goes. */
static uint64
BuildNewId(void)
{
	uint64 id = 0;

	while (id == 0)
		if (!pg_strong_random(&id, sizeof(id)))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("could not generate a random number")));
	return id;
}

/* Tells the planner what a build took. */
static void
BuildRecord(const BuildState *b, const VrHnswMetaPageData *meta,
			const IndexBuildResult *result, Size memory, instr_time since)
{
	VrBatchObservation seen = {.op = "index_build", .target = "hnsw"};
	instr_time now;

	/*
	 * Sessions of pg_restore have this off. Another one may be restoring the
	 * history at this very moment, and times of builds that compete with each
	 * other teach nothing.
	 */
	if (!check_function_bodies)
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	seen.dim = Min(meta->dim, VR_VECTOR_MAX_DIM);
	seen.batch = seen.rows = (int64) result->index_tuples;
	seen.concurrency = Max(b->processes, 1);
	seen.work =
		VrIndexBuildWork(result->index_tuples, meta->m, meta->ef_construction);
	seen.seconds = INSTR_TIME_GET_DOUBLE(now);
	seen.mem_bytes = memory;
	if (seen.rows > 0)
		VrRecordBatch(&seen);
}

/* ambuild */
IndexBuildResult *
vr_hnsw_build(Relation heap, Relation index, IndexInfo *info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	Size memory = (Size) maintenance_work_mem * 1024;
	VrHnswMetaPageData meta;
	VrHnswImageShared plan;
	VrHnswSample sample;
	VrHnswIndex *idx;
	BuildState state;
	int workers;
	Size size;
	instr_time start;

	INSTR_TIME_SET_CURRENT(start);
	if (RelationGetNumberOfBlocks(index) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index \"%s\" already contains data",
							   RelationGetRelationName(index))));
	VrHnswDescribe(index, 0, &meta);
	VrHnswSampleTable(heap, index, info, &meta, &sample);
	if (sample.typical_bytes > 0)
		VrHnswDescribe(index, sample.typical_bytes, &meta);
	meta.build_id = BuildNewId();
	if (meta.form == VR_FORM_QUANTISED)
		meta.scale = VrRotationScale(sample.mean_norm2);
	BuildWriteMeta(index, MAIN_FORKNUM, &meta, sample.mean);
	idx = VrHnswOpenNew(index, &meta, sample.mean);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE,
								 VR_BUILD_PHASE_LOAD);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL,
								 (int64) sample.rows);

	workers = BuildPlanWorkers(heap, index);
	size = VrHnswImagePlan(idx, VrHnswImageCapacity(sample.rows), memory,
						   workers > 0, &plan);
	if (workers == 0 || !BuildInParallel(&state, heap, index, info, idx, &plan,
										 size, sample.rows, workers))
	{
		BuildShared *shared = palloc0(sizeof(BuildShared));
		void *mem;

		shared->rows = sample.rows;
		pg_atomic_init_u64(&shared->heap_rows, 0);
		pg_atomic_init_u64(&shared->index_rows, 0);
		size = VrHnswImagePlan(idx, VrHnswImageCapacity(sample.rows), memory,
							   false, &plan);
		mem = MemoryContextAllocHuge(CurrentMemoryContext, size);
		/* Read all over: a tenth of the time is the wait for page tables. */
		vr_huge_advise(mem, size);
		VrHnswImageCreate(mem, idx, &plan, BuildTranche());
		BuildStart(&state, heap, index, info, idx, shared, mem, true);
		state.local = mem;
		BuildScan(&state, NULL);
	}
	if (state.image->shared->flushed)
		VrHnswJoin(&state.page_inserter);
	else
		BuildFlush(&state, false);
	if (RelationNeedsWAL(index))
	{
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE,
									 VR_BUILD_PHASE_LOG);
		log_newpage_range(index, MAIN_FORKNUM, 0,
						  RelationGetNumberOfBlocks(index), true);
	}
	result->heap_tuples = pg_atomic_read_u64(&state.shared->heap_rows);
	result->index_tuples = pg_atomic_read_u64(&state.shared->index_rows);
	BuildRecord(&state, &meta, result, size, start);
	if (state.segment)
		dsm_detach(state.segment);
	else
		pfree(state.local);
	MemoryContextDelete(state.cxt);
	return result;
}

/* ambuildempty: the init fork of an unlogged index. */
void
vr_hnsw_buildempty(Relation index)
{
	VrHnswMetaPageData meta;
	Buffer buf;

	VrHnswDescribe(index, 0, &meta);
	meta.build_id = BuildNewId();
	BuildWriteMeta(index, INIT_FORKNUM, &meta, NULL);
	/* Logged always, so that the init fork is there after a crash. */
	buf = ReadBufferExtended(index, INIT_FORKNUM, VR_HNSW_META_BLOCK,
							 RBM_NORMAL, NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	MarkBufferDirty(buf);
	log_newpage_buffer(buf, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buf);
}

/* ambuildphasename */
char *
vr_hnsw_buildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case VR_BUILD_PHASE_LOAD:
			return "loading tuples";
		case VR_BUILD_PHASE_WRITE:
			return "writing pages";
		case VR_BUILD_PHASE_LOG:
			return "writing WAL";
		default:
			return NULL;
	}
}
