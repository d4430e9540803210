/*
 * knn_heap.c
 *		A heap read from its first block to its last, without the scan of the
 *		server's: what a search takes that for is a page and which of its rows
 *		are visible, and of a table of wide rows that is a third of the time.
 *
 * Blocks that were read one after another, or extended, are as a rule in
 * buffers one after another. So a block is looked for in the buffer behind the
 * one before, which the buffer's own tag confirms, and only then in the buffer
 * table, where each takes two or three cache misses.
 *
 * Rows are those that heapgetpage() finds. Pages are not pruned; and the server
 * does scans that must leave traces for serializable transactions, or ask
 * whether their snapshot is too old.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "knn/knn_private.h"

/* So many rows of a page are worth to be fetched one by one. */
#define HEAP_FEW 8

/* Bytes of the smallest pages that systems have. */
#define HEAP_SYSTEM_PAGE 4096

/* Blocks that one of several processes takes at a time: one read of a disk. */
#define HEAP_SHARE 32

bool
VrKnnHeapUsable(Relation rel)
{
	return rel->rd_tableam == GetHeapamTableAmRoutine() &&
		   IsMVCCSnapshot(GetActiveSnapshot()) && !IsolationIsSerializable() &&
		   !VrSnapshotsMayBeTooOld();
}

void
VrKnnHeapShare(VrKnnHeapShared *shared, Relation rel)
{
	pg_atomic_init_u64(&shared->next, 0);
	shared->blocks = RelationGetNumberOfBlocks(rel);
}

/* Is there another block, of this process' own or to be had? */
static bool
HeapMore(VrKnnHeap *heap)
{
	uint64 next;

	if (heap->block < heap->end)
		return true;
	if (heap->shared == NULL)
		return false;
	next = pg_atomic_fetch_add_u64(&heap->shared->next, HEAP_SHARE);
	if (next >= heap->blocks)
	{
		/* Not to count on for ever, if asked again. */
		heap->shared = NULL;
		return false;
	}
	heap->block = next;
	heap->end = Min(next + HEAP_SHARE, heap->blocks);
	return true;
}

/* Pins the next block, or none. */
static Buffer
HeapPin(VrKnnHeap *heap)
{
	Buffer guess = heap->last + 1;
	int i;

	if (!HeapMore(heap))
		return InvalidBuffer;
	if (heap->last > 0 && guess <= NBuffers &&
		VrReadRecentBuffer(heap->rel, heap->block, guess))
	{
		pgstat_count_buffer_read(heap->rel);
		pgstat_count_buffer_hit(heap->rel);
		heap->last = guess;
	}
	else
		heap->last = ReadBufferExtended(heap->rel, MAIN_FORKNUM, heap->block,
										RBM_NORMAL, heap->strategy);
	heap->block++;
	/*
	 * The header, and something of each page of the system's that holds the
	 * block: to find where those are takes as long as to read, unless the
	 * server has huge pages, and so it is found beside each other.
	 */
	for (i = 0; i < BLCKSZ; i += HEAP_SYSTEM_PAGE)
		VR_PREFETCH(BufferGetPage(heap->last) + i);
	return heap->last;
}

/*
 * Which of the rows of a page are visible: under its lock, as it must be. The
 * beginnings of few long rows are fetched, from where on the CPU sees for
 * itself what comes next.
 */
static void
HeapLook(VrKnnHeap *heap, VrKnnPage *result, Buffer buffer)
{
	HeapTupleData tuple;
	OffsetNumber most;
	OffsetNumber offset;
	Page page;
	bool all;
	int i;

	result->buffer = buffer;
	result->count = 0;
	if (!BufferIsValid(buffer))
		return;
	page = BufferGetPage(buffer);
	tuple.t_tableOid = RelationGetRelid(heap->rel);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	most = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
	all = heap->trust && PageIsAllVisible(page);
	for (offset = FirstOffsetNumber; offset <= most; offset++)
	{
		ItemId item = PageGetItemId(page, offset);

		if (!ItemIdIsNormal(item))
			continue;
		if (!all)
		{
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			ItemPointerSet(&tuple.t_self, BufferGetBlockNumber(buffer), offset);
			if (!HeapTupleSatisfiesVisibility(&tuple, heap->snapshot, buffer))
				continue;
		}
		result->visible[result->count++] = offset;
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	for (i = 0; result->count <= HEAP_FEW && i < result->count; i++)
		VR_PREFETCH(PageGetItem(page, PageGetItemId(page, result->visible[i])));
}

void
VrKnnHeapBegin(VrKnnHeap *heap, Relation rel, Snapshot snapshot,
			   VrKnnHeapShared *shared)
{
	heap->rel = rel;
	heap->snapshot = snapshot;
	heap->shared = shared;
	heap->blocks =
		shared != NULL ? shared->blocks : RelationGetNumberOfBlocks(rel);
	heap->block = 0;
	heap->end = shared != NULL ? 0 : heap->blocks;
	heap->last = InvalidBuffer;
	heap->strategy =
		heap->blocks > NBuffers / 4 ? GetAccessStrategy(BAS_BULKREAD) : NULL;
	/* What a standby's snapshot does not see may be visible to all on a page. */
	heap->trust = !RecoveryInProgress();
	heap->next = 0;
	HeapLook(heap, &heap->pages[0], HeapPin(heap));
	heap->ahead = HeapPin(heap);
}

/*
 * The next page, whose buffer the caller releases, or NULL after the last. Valid
 * until the next call. The page behind it has been looked at by then, and the
 * one behind that is pinned: so what is read has been asked for before.
 */
const VrKnnPage *
VrKnnHeapNext(VrKnnHeap *heap)
{
	const VrKnnPage *page = &heap->pages[heap->next];
	Buffer behind = heap->ahead;

	CHECK_FOR_INTERRUPTS();
	heap->ahead = HeapPin(heap);
	heap->next = 1 - heap->next;
	HeapLook(heap, &heap->pages[heap->next], behind);
	if (BufferIsValid(page->buffer))
		return page;
	if (heap->strategy != NULL)
		FreeAccessStrategy(heap->strategy);
	heap->strategy = NULL;
	return NULL;
}

/* Offers the rows of a page to a reader. */
static void
HeapRows(VrKnnHeap *heap, const VrKnnPage *rows, VrKnnReader *reader)
{
	const VrKnnTable *table = reader->table;
	TupleDesc desc = RelationGetDescr(heap->rel);
	Page page = BufferGetPage(rows->buffer);
	BlockNumber block = BufferGetBlockNumber(rows->buffer);
	int i;

	for (i = 0; i < rows->count; i++)
	{
		ItemId item = PageGetItemId(page, rows->visible[i]);
		HeapTupleData tuple;
		bool isnull;
		Datum value;

		tuple.t_tableOid = RelationGetRelid(heap->rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple.t_self, block, rows->visible[i]);
		pgstat_count_heap_getnext(heap->rel);
		value = heap_getattr(&tuple, table->column, desc, &isnull);
		if (isnull)
			continue;
		if (table->key == SelfItemPointerAttributeNumber)
			VrKnnReaderRow(reader, value, PointerGetDatum(&tuple.t_self),
						   false);
		else
		{
			Datum key = heap_getattr(&tuple, table->key, desc, &isnull);

			VrKnnReaderRow(reader, value, key, isnull);
		}
	}
}

/* Pages that rows which a reader holds lie in, in the order of these. */
typedef struct HeapHeld
{
	Buffer buffers[VR_KNN_HELD];
	int64 ends[VR_KNN_HELD]; /* number of the last row, of all that were held */
	int count;
} HeapHeld;

/* Gives back pages of which no row is held any more. */
static void
HeapRelease(HeapHeld *held, const VrKnnReader *reader)
{
	int n = 0;

	while (n < held->count && held->ends[n] <= reader->offered)
		ReleaseBuffer(held->buffers[n++]);
	held->count -= n;
	memmove(held->buffers, held->buffers + n, held->count * sizeof(Buffer));
	memmove(held->ends, held->ends + n, held->count * sizeof(int64));
}

void
VrKnnHeapRead(VrKnnReader *reader, Relation rel, VrKnnHeapShared *shared)
{
	HeapHeld held = {.count = 0};
	const VrKnnPage *page;
	VrKnnHeap heap;

	VrKnnHeapBegin(&heap, rel, GetActiveSnapshot(), shared);
	pgstat_count_heap_scan(rel);
	reader->holding = reader->pair != NULL;
	while ((page = VrKnnHeapNext(&heap)) != NULL)
	{
		const int64 before = reader->offered + reader->held;
		int64 end;

		HeapRows(&heap, page, reader);
		end = reader->offered + reader->held;
		HeapRelease(&held, reader);
		if (end == before || end <= reader->offered)
			ReleaseBuffer(page->buffer);
		else
		{
			Assert(held.count < VR_KNN_HELD);
			held.buffers[held.count] = page->buffer;
			held.ends[held.count++] = end;
		}
	}
	VrKnnReaderOffer(reader);
	HeapRelease(&held, reader);
	reader->holding = false;
}
