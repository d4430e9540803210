/*
 * hnsw_vacuum.c
 *		ambulkdelete and amvacuumcleanup.
 *
 * A run has three passes. The first takes dead heap TIDs out of the records
 * and marks dead those that have none left. Then comes the barrier: insertions
 * that may have chosen a dead neighbour end, later ones see the marks. The
 * second pass (hnsw_repair.c) takes dead neighbours out of the live records
 * and gives them new ones; what is cut off all the same is joined afterwards
 * (hnsw_parts.c). Nothing live leads to a dead record now, and the third pass
 * frees them.
 *
 * Scans and insertions go on all the time. What a run leaves when it is
 * cancelled, or the server crashes, is a valid graph with dead records in it;
 * the metapage says so, and the next run deals with them like with its own.
 */
#include "postgres.h"

#include "access/genam.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_vacuum.h"

#define VacuumRecord(v, page, slot)                                            \
	((VrHnswRecord) (VrHnswPageContents(page) +                                \
					 (slot) * (v)->idx->layout.record_size))

/* ---------------------------------------------------------------- id sets */

void
VrHnswIdSetAdd(VrHnswIdSet *set, MemoryContext cxt, uint32 id)
{
	uint64 bit = UINT64CONST(1) << (id % 64);

	if (unlikely(id / 64 >= set->nwords))
	{
		uint64 n = Max((uint64) id / 64 + 1, set->nwords + set->nwords / 4);

		n = Max(n, 1024);
		if (set->words == NULL)
			set->words = MemoryContextAllocExtended(
				cxt, n * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		else
		{
			set->words = repalloc_huge(set->words, n * sizeof(uint64));
			memset(set->words + set->nwords, 0,
				   (n - set->nwords) * sizeof(uint64));
		}
		set->nwords = n;
	}
	set->n += (set->words[id / 64] & bit) == 0;
	set->words[id / 64] |= bit;
}

/* ------------------------------------------------------- chains of TIDs */

/* Frees a chunk in an edit. mbuf is the metapage if its page is to be listed. */
static void
VacuumFreeChunk(VrHnswEdit *edit, Buffer buf, int i, Buffer mbuf)
{
	Page page = VrHnswEditPage(edit, buf);
	VrHnswTidChunk chunk = VrHnswPageChunk(page, i);

	memset(chunk, 0, sizeof(*chunk));
	chunk->owner = VR_HNSW_NO_VERTEX;
	chunk->next = VR_HNSW_NO_VERTEX;
	if (VrHnswPageSpecial(page)->nused > 0)
		VrHnswPageSpecial(page)->nused--;
	if (BufferIsValid(mbuf))
	{
		VrHnswMetaPage meta = VrHnswPageMeta(VrHnswEditPage(edit, mbuf));

		VrHnswPageSpecial(page)->flags |= VR_PAGE_LISTED;
		VrHnswPageSpecial(page)->next = meta->tid_free;
		meta->tid_free = BufferGetBlockNumber(buf);
	}
}

/* The metapage, locked, if freeing a chunk of that page lists the page. */
static Buffer
VacuumListBuffer(VrHnswVacuum *v, Buffer buf)
{
	/* The metapage is last in the order of locks. */
	if (VrHnswPageSpecial(BufferGetPage(buf))->flags & VR_PAGE_LISTED)
		return InvalidBuffer;
	return VrHnswReadPage(v->index, VR_HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
						  VR_PAGE_META);
}

/* Locks the page of a chunk that belongs to a record, and checks the chunk. */
static Buffer
VacuumLockChunk(VrHnswVacuum *v, uint32 chunk_id, uint32 owner)
{
	BlockNumber block = chunk_id / VR_HNSW_CHUNKS;
	VrHnswTidChunk chunk;
	Buffer buf;

	if (block == 0 || block >= v->store.nblocks)
	{
		v->store.nblocks = RelationGetNumberOfBlocks(v->index);
		if (block == 0 || block >= v->store.nblocks)
			VrHnswCorrupt(v->index, block, "a chain of TIDs leads nowhere");
	}
	buf = VrHnswReadPage(v->index, block, BUFFER_LOCK_EXCLUSIVE, VR_PAGE_TID);
	chunk = VrHnswPageChunk(BufferGetPage(buf), chunk_id % VR_HNSW_CHUNKS);
	if (chunk->owner != owner || chunk->ntids > VR_HNSW_CHUNK_TIDS)
		VrHnswCorrupt(v->index, block, "a chunk of TIDs is damaged");
	return buf;
}

/* Takes dead TIDs out of a chunk; returns those left. Its page is locked. */
static int
VacuumChunk(VrHnswVacuum *v, Buffer buf, int i)
{
	VrHnswTidChunk chunk = VrHnswPageChunk(BufferGetPage(buf), i);
	ItemPointerData left[VR_HNSW_CHUNK_TIDS];
	VrHnswEdit edit;
	int n = 0;
	int k;

	for (k = 0; k < chunk->ntids; k++)
		if (v->callback == NULL ||
			!v->callback(&chunk->tids[k], v->callback_arg))
			left[n++] = chunk->tids[k];
	v->tids_removed += chunk->ntids - n;
	if (n == chunk->ntids)
		return n;
	VrHnswEditBegin(&edit, &v->store);
	chunk = VrHnswPageChunk(VrHnswEditPage(&edit, buf), i);
	memset(chunk->tids, 0, sizeof(chunk->tids));
	memcpy(chunk->tids, left, n * sizeof(ItemPointerData));
	chunk->ntids = n;
	VrHnswEditFinish(&edit);
	return n;
}

/*
 * Takes a chunk out of the chain of the record in that slot of vbuf, and frees
 * it. prev is the chunk before, or NO_VERTEX; it has room for the TIDs that
 * the chunk has left, if any. The pages of record and chunk are locked.
 *
 * The page of prev is locked here, besides that of the chunk: nobody else
 * holds one TID page while waiting for another, so this cannot deadlock.
 */
static void
VacuumUnlinkChunk(VrHnswVacuum *v, Buffer vbuf, int slot, uint32 prev,
				  Buffer buf, int i)
{
	VrHnswTidChunkData chunk = *VrHnswPageChunk(BufferGetPage(buf), i);
	Buffer pbuf = InvalidBuffer;
	Buffer mbuf;
	VrHnswEdit edit;

	if (prev != VR_HNSW_NO_VERTEX)
	{
		if (prev / VR_HNSW_CHUNKS == BufferGetBlockNumber(buf))
			pbuf = buf;
		else
			pbuf = VrHnswReadPage(v->index, prev / VR_HNSW_CHUNKS,
								  BUFFER_LOCK_EXCLUSIVE, VR_PAGE_TID);
	}
	mbuf = VacuumListBuffer(v, buf);
	VrHnswEditBegin(&edit, &v->store);
	if (prev == VR_HNSW_NO_VERTEX)
		VacuumRecord(v, VrHnswEditPage(&edit, vbuf), slot)->more_tids =
			chunk.next;
	else
	{
		VrHnswTidChunk to =
			VrHnswPageChunk(VrHnswEditPage(&edit, pbuf), prev % VR_HNSW_CHUNKS);

		memcpy(&to->tids[to->ntids], chunk.tids,
			   chunk.ntids * sizeof(ItemPointerData));
		to->ntids += chunk.ntids;
		to->next = chunk.next;
	}
	VacuumFreeChunk(&edit, buf, i, mbuf);
	VrHnswEditFinish(&edit);
	if (BufferIsValid(mbuf))
		UnlockReleaseBuffer(mbuf);
	if (BufferIsValid(pbuf) && pbuf != buf)
		UnlockReleaseBuffer(pbuf);
}

/*
 * Takes dead TIDs out of a record's chain, and chunks that are no longer
 * needed; returns how many TIDs are left in it.
 */
static uint64
VacuumChain(VrHnswVacuum *v, Buffer vbuf, int slot)
{
	VrHnswRecord rec = VacuumRecord(v, BufferGetPage(vbuf), slot);
	uint32 id = BufferGetBlockNumber(vbuf) * v->idx->layout.slots + slot;
	uint32 chunk_id = rec->more_tids;
	uint32 prev = VR_HNSW_NO_VERTEX;
	uint64 left = 0;
	uint64 steps = 0;
	int prev_n = 0;

	while (chunk_id != VR_HNSW_NO_VERTEX)
	{
		Buffer buf = VacuumLockChunk(v, chunk_id, id);
		int i = chunk_id % VR_HNSW_CHUNKS;
		uint32 next = VrHnswPageChunk(BufferGetPage(buf), i)->next;
		int n = VacuumChunk(v, buf, i);

		if (steps++ > (uint64) v->store.nblocks * VR_HNSW_CHUNKS)
			VrHnswCorrupt(v->index, chunk_id / VR_HNSW_CHUNKS,
						  "a chain of TIDs has no end");
		if (n == 0 ||
			(prev != VR_HNSW_NO_VERTEX && prev_n + n <= VR_HNSW_CHUNK_TIDS))
		{
			VacuumUnlinkChunk(v, vbuf, slot, prev, buf, i);
			prev_n += n;
		}
		else
		{
			prev = chunk_id;
			prev_n = n;
		}
		UnlockReleaseBuffer(buf);
		left += n;
		chunk_id = next;
	}
	return left;
}

/* Makes a TID of the record's chain, which has no dead ones, its first. */
static void
VacuumMoveUp(VrHnswVacuum *v, Buffer vbuf, int slot)
{
	VrHnswRecord rec = VacuumRecord(v, BufferGetPage(vbuf), slot);
	uint32 id = BufferGetBlockNumber(vbuf) * v->idx->layout.slots + slot;
	uint32 chunk_id = rec->more_tids;
	int i = chunk_id % VR_HNSW_CHUNKS;
	Buffer buf = VacuumLockChunk(v, chunk_id, id);
	VrHnswTidChunk chunk = VrHnswPageChunk(BufferGetPage(buf), i);
	bool last = chunk->ntids == 1;
	Buffer mbuf = last ? VacuumListBuffer(v, buf) : InvalidBuffer;
	VrHnswEdit edit;

	VrHnswEditBegin(&edit, &v->store);
	rec = VacuumRecord(v, VrHnswEditPage(&edit, vbuf), slot);
	chunk = VrHnswPageChunk(VrHnswEditPage(&edit, buf), i);
	rec->tid = chunk->tids[chunk->ntids - 1];
	if (last)
	{
		rec->more_tids = chunk->next;
		VacuumFreeChunk(&edit, buf, i, mbuf);
	}
	else
		memset(&chunk->tids[--chunk->ntids], 0, sizeof(ItemPointerData));
	VrHnswEditFinish(&edit);
	if (BufferIsValid(mbuf))
		UnlockReleaseBuffer(mbuf);
	UnlockReleaseBuffer(buf);
}

/* -------------------------------------------------------- the first pass */

static bool
VacuumIsDead(VrHnswVacuum *v, VrHnswRecord rec)
{
	if (!ItemPointerIsValid(&rec->tid))
		return true;
	return v->callback && v->callback(&rec->tid, v->callback_arg);
}

/* Whether a page has to be locked exclusively; it is locked share. */
static bool
VacuumPageHasWork(VrHnswVacuum *v, Page page)
{
	int slot;

	for (slot = 0; slot < v->idx->layout.slots; slot++)
	{
		VrHnswRecord rec = VacuumRecord(v, page, slot);

		if (VrHnswRecordIsLive(rec) && rec->level == 0 &&
			(rec->more_tids != VR_HNSW_NO_VERTEX || VacuumIsDead(v, rec)))
			return true;
	}
	return false;
}

/* Marks records of one page dead, in the page and in its ATTR page. */
static void
VacuumMark(VrHnswVacuum *v, Buffer buf, const bool *dies)
{
	const VrHnswLayout *l = &v->idx->layout;
	uint32 first = BufferGetBlockNumber(buf) * l->slots;
	Buffer abuf = InvalidBuffer;
	Page apage = NULL;
	VrHnswEdit edit;
	Page page;
	int slot;

	/* Vertex page, then its ATTR page: README, "Locks". */
	if (l->nattrs > 0)
	{
		BlockNumber block;
		int entry;

		VrHnswAttrPlace(l, first, &block, &entry);
		abuf = VrHnswReadPage(v->index, block, BUFFER_LOCK_EXCLUSIVE,
							  VR_PAGE_ATTR);
	}
	VrHnswEditBegin(&edit, &v->store);
	page = VrHnswEditPage(&edit, buf);
	if (BufferIsValid(abuf))
		apage = VrHnswEditPage(&edit, abuf);
	for (slot = 0; slot < l->slots; slot++)
	{
		VrHnswRecord rec = VacuumRecord(v, page, slot);

		if (!dies[slot])
			continue;
		rec->flags |= VR_RECORD_DEAD;
		ItemPointerSetInvalid(&rec->tid);
		v->marked++;
		if (apage && rec->level == 0)
		{
			BlockNumber block;
			int entry;

			VrHnswAttrPlace(l, first + slot, &block, &entry);
			VrHnswAttrSet(l, apage, entry, VrHnswRecordAttrs(rec, l),
						  rec->attr_nulls, false);
		}
	}
	VrHnswEditFinish(&edit);
	if (BufferIsValid(abuf))
		UnlockReleaseBuffer(abuf);
}

/* Takes dead TIDs out of a page's records; it is locked exclusively. */
static void
VacuumDeleteTids(VrHnswVacuum *v, Buffer buf)
{
	const VrHnswLayout *l = &v->idx->layout;
	Page page = BufferGetPage(buf);
	bool dies[VR_HNSW_MAX_SLOTS] = {false};
	bool any = false;
	int slot;

	for (slot = 0; slot < l->slots; slot++)
	{
		VrHnswRecord rec = VacuumRecord(v, page, slot);
		bool dead;

		if (!VrHnswRecordIsLive(rec) || rec->level > 0)
			continue;
		dead = VacuumIsDead(v, rec);
		if (dead && ItemPointerIsValid(&rec->tid))
			v->tids_removed++;
		if (rec->more_tids != VR_HNSW_NO_VERTEX)
		{
			v->tids += VacuumChain(v, buf, slot);
			if (dead && rec->more_tids != VR_HNSW_NO_VERTEX)
			{
				VacuumMoveUp(v, buf, slot);
				/* The moved one is counted with the first TIDs. */
				v->tids--;
				dead = false;
			}
		}
		dies[slot] = dead;
		any |= dead;
	}
	if (any)
		VacuumMark(v, buf, dies);
}

static void
VacuumAddUpper(VrHnswVacuum *v, uint32 id, VrHnswRecord rec)
{
	VrVacuumUpper *u;

	if (v->nuppers == v->maxuppers)
	{
		uint32 n = Max(v->maxuppers * 2, 1024);

		v->uppers =
			v->uppers
				? repalloc_huge(v->uppers, n * sizeof(VrVacuumUpper))
				: MemoryContextAllocHuge(v->cxt, n * sizeof(VrVacuumUpper));
		v->maxuppers = n;
	}
	u = &v->uppers[v->nuppers++];
	u->id = id;
	u->base = rec->base;
	u->level = rec->level;
	u->dead = !VrHnswRecordIsLive(rec);
}

/* Takes stock of a vertex page; it is locked. Returns whether it has room. */
static bool
VacuumCollect(VrHnswVacuum *v, BlockNumber block, Page page)
{
	bool room = false;
	int slot;

	for (slot = 0; slot < v->idx->layout.slots; slot++)
	{
		VrHnswRecord rec = VacuumRecord(v, page, slot);
		uint32 id = block * v->idx->layout.slots + slot;

		if (VrHnswRecordIsFree(rec))
		{
			room = true;
			continue;
		}
		if (rec->level > VR_HNSW_MAX_LEVEL)
			VrHnswCorrupt(v->index, block, "a record has a level too high");
		if (rec->level > 0)
			VacuumAddUpper(v, id, rec);
		if (VrHnswRecordIsLive(rec))
		{
			VrHnswIdSetAdd(&v->live, v->cxt, id);
			v->tids += rec->level == 0;
		}
		else
			VrHnswIdSetAdd(&v->dead, v->cxt, id);
	}
	return room;
}

/* The first pass on one page. */
static void
VacuumDeletePage(VrHnswVacuum *v, BlockNumber block)
{
	bool room = false;
	bool empty = false;
	Buffer buf;
	Page page;

	buf = VrHnswReadAny(v->index, block, BUFFER_LOCK_SHARE, v->strategy);
	page = BufferGetPage(buf);
	switch (VrHnswProbePage(page))
	{
		case 0:
			/* Left by a crash while the index grew. */
		case VR_PAGE_FREE:
			empty = !VrHnswIsAttrBlock(&v->idx->layout, block);
			break;
		case VR_PAGE_VERTEX:
			if (VacuumPageHasWork(v, page))
			{
				LockBuffer(buf, BUFFER_LOCK_UNLOCK);
				LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
				VacuumDeleteTids(v, buf);
			}
			room = VacuumCollect(v, block, page);
			break;
		case VR_PAGE_VALUE:
			VrHnswIdSetAdd(&v->values, v->cxt, block);
			break;
		case VR_PAGE_META:
		case VR_PAGE_TID:
		case VR_PAGE_MEAN:
		case VR_PAGE_ATTR:
			break;
		default:
			/* It may hold TIDs that must go: nothing can be done about it. */
			VrHnswCorrupt(v->index, block, "page is not an hnsw page");
	}
	UnlockReleaseBuffer(buf);
	/* The map of free space does not survive crashes: write it anew. */
	if (empty)
	{
		RecordFreeIndexPage(v->index, block);
		v->pages_free++;
	}
	else if (room)
		RecordPageWithFreeSpace(v->index, block, BLCKSZ / 4);
}

/* Marks the records of upper levels whose vertex has died. */
static void
VacuumMarkUppers(VrHnswVacuum *v)
{
	const VrHnswLayout *l = &v->idx->layout;
	uint32 i;

	VrHnswProgressPhase(v, VR_VACUUM_UPPERS, v->nuppers);
	for (i = 0; i < v->nuppers; i++)
	{
		VrVacuumUpper *u = &v->uppers[i];
		bool dies[VR_HNSW_MAX_SLOTS] = {false};
		VrHnswRef ref;

		if (u->dead)
			continue;
		VrHnswProgressDone(v, i);
		VrVacuumDelayPoint();
		u->dead = VrHnswIdSetHas(&v->dead, u->base);
		if (!u->dead && !VrHnswIdSetHas(&v->live, u->base))
		{
			/* Inserted since; or lost, which no crash of ours can do. */
			if (VrHnswVisit(&v->store, u->base, 0, BUFFER_LOCK_SHARE, &ref))
				VrHnswRelease(&ref);
			else
				u->dead = true;
		}
		if (!u->dead)
			continue;
		if (VrHnswVisit(&v->store, u->id, u->level, BUFFER_LOCK_EXCLUSIVE,
						&ref))
		{
			dies[u->id % l->slots] = true;
			VacuumMark(v, ref.buf, dies);
			VrHnswRelease(&ref);
		}
		VrHnswIdSetAdd(&v->dead, v->cxt, u->id);
	}
}

/* --------------------------------------------------------------- the entry */

/* Some live record, found by looking at all pages; NO_VERTEX if none is. */
static uint32
VacuumFindLive(VrHnswVacuum *v, int *level)
{
	uint32 found = VR_HNSW_NO_VERTEX;
	VrHnswWalk w;

	*level = -1;
	v->store.nblocks = RelationGetNumberOfBlocks(v->index);
	VrHnswWalkBegin(&w, &v->store, v->strategy, v->idx->layout.slots,
					VrHnswMaxVertex(&v->store));
	while (VrHnswWalkNext(&w))
		if (w.rec->level > *level)
		{
			found = w.id;
			*level = w.rec->level;
		}
	return found;
}

/* Sets the entry, if it is dead, to a live record or to none. */
static void
VacuumReplaceEntry(VrHnswVacuum *v)
{
	VrHnswMetaPageData meta;
	uint32 best = VR_HNSW_NO_VERTEX;
	int best_level = -1;
	VrHnswMetaPage page;
	VrHnswEdit edit;
	Buffer buf;
	uint32 i;

	VrHnswReadMeta(v->index, &meta);
	if (meta.entry == VR_HNSW_NO_VERTEX ||
		!VrHnswIdSetHas(&v->dead, meta.entry))
		return;
	for (i = 0; i < v->nuppers; i++)
		if (!v->uppers[i].dead && v->uppers[i].level > best_level)
		{
			best = v->uppers[i].id;
			best_level = v->uppers[i].level;
		}
	if (best == VR_HNSW_NO_VERTEX)
		best = VacuumFindLive(v, &best_level);
	buf = VrHnswReadPage(v->index, VR_HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
						 VR_PAGE_META);
	VrHnswEditBegin(&edit, &v->store);
	page = VrHnswPageMeta(VrHnswEditPage(&edit, buf));
	page->entry = best;
	page->entry_level = best_level;
	VrHnswEditFinish(&edit);
	UnlockReleaseBuffer(buf);
}

/* Makes the highest record of the second pass the entry, if it is higher. */
static void
VacuumRaiseEntry(VrHnswVacuum *v)
{
	Buffer buf;

	if (v->top == VR_HNSW_NO_VERTEX)
		return;
	buf = VrHnswReadPage(v->index, VR_HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
						 VR_PAGE_META);
	if (VrHnswPageMeta(BufferGetPage(buf))->entry_level < v->top_level)
	{
		VrHnswEdit edit;
		VrHnswMetaPage meta;

		VrHnswEditBegin(&edit, &v->store);
		meta = VrHnswPageMeta(VrHnswEditPage(&edit, buf));
		meta->entry = v->top;
		meta->entry_level = v->top_level;
		VrHnswEditFinish(&edit);
	}
	UnlockReleaseBuffer(buf);
}

/*
 * Waits for the insertions that may link to what the first pass has marked.
 * No insertion runs while the entry is replaced: each either has ended, and
 * the second pass will see its records, or will find the new entry.
 */
static void
VacuumBarrier(VrHnswVacuum *v)
{
	VrHnswProgressPhase(v, VR_VACUUM_WAIT, 0);
	LockPage(v->index, VR_HNSW_META_BLOCK, ExclusiveLock);
	VacuumReplaceEntry(v);
	UnlockPage(v->index, VR_HNSW_META_BLOCK, ExclusiveLock);
}

/* Waits for the insertions that are under way. */
void
VrHnswVacuumWait(VrHnswVacuum *v)
{
	LockPage(v->index, VR_HNSW_META_BLOCK, ExclusiveLock);
	UnlockPage(v->index, VR_HNSW_META_BLOCK, ExclusiveLock);
}

/* -------------------------------------------------------- the second pass */

/* Takes note of what a vertex page refers to; it is locked. */
static void
VacuumFollow(VrHnswVacuum *v, BlockNumber block, Page page)
{
	const VrHnswLayout *l = &v->idx->layout;
	int slot;

	for (slot = 0; slot < l->slots; slot++)
	{
		VrHnswRecord rec = VacuumRecord(v, page, slot);
		uint32 id = block * l->slots + slot;

		if (VrHnswRecordIsFree(rec))
			continue;
		if (rec->value_block != VR_HNSW_NO_BLOCK)
			VrHnswIdSetAdd(&v->parts, v->cxt, rec->value_block);
		if (!VrHnswRecordIsLive(rec) || rec->degree > l->lanes ||
			rec->level > VR_HNSW_MAX_LEVEL)
			continue;
		VrHnswPartsFollow(v, id, rec);
		if (rec->level > v->top_level)
		{
			v->top = id;
			v->top_level = rec->level;
		}
	}
}

/* The second pass on one page. */
static void
VacuumRepairPage(VrHnswVacuum *v, BlockNumber block)
{
	Buffer buf = VrHnswReadAny(v->index, block, BUFFER_LOCK_SHARE, v->strategy);
	Page page = BufferGetPage(buf);
	int kind;

	kind = VrHnswProbePage(page);
	if (kind == VR_PAGE_VALUE)
		VrHnswIdSetAdd(&v->parts, v->cxt, VrHnswPageSpecial(page)->next);
	LockBuffer(buf, BUFFER_LOCK_UNLOCK);
	if (kind == VR_PAGE_VERTEX)
	{
		if (v->dead.n > 0)
			VrHnswRepairPage(v, buf);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		VacuumFollow(v, block, page);
		LockBuffer(buf, BUFFER_LOCK_UNLOCK);
	}
	ReleaseBuffer(buf);
	MemoryContextReset(v->page);
}

/* --------------------------------------------------------- the third pass */

/* Frees a page that nobody refers to. */
static void
VacuumFreePage(VrHnswVacuum *v, BlockNumber block)
{
	Buffer buf =
		VrHnswReadPage(v->index, block, BUFFER_LOCK_EXCLUSIVE, VR_PAGE_VALUE);
	VrHnswEdit edit;

	VrHnswEditBegin(&edit, &v->store);
	VrHnswEditNewPage(&edit, buf, VR_PAGE_FREE);
	VrHnswEditFinish(&edit);
	UnlockReleaseBuffer(buf);
	RecordFreeIndexPage(v->index, block);
	v->pages_free++;
}

/* Frees the pages of a long value. Its record is gone already. */
static void
VacuumFreeValue(VrHnswVacuum *v, BlockNumber block)
{
	uint32 steps = 0;

	while (block != VR_HNSW_NO_BLOCK && block < v->store.nblocks &&
		   steps++ < v->store.nblocks)
	{
		Buffer buf =
			VrHnswReadPage(v->index, block, BUFFER_LOCK_SHARE, VR_PAGE_VALUE);
		BlockNumber next = VrHnswPageSpecial(BufferGetPage(buf))->next;

		UnlockReleaseBuffer(buf);
		VacuumFreePage(v, block);
		block = next;
	}
}

/* Frees the dead records of a page. */
static void
VacuumFreeRecords(VrHnswVacuum *v, BlockNumber block)
{
	const VrHnswLayout *l = &v->idx->layout;
	BlockNumber values[VR_HNSW_MAX_SLOTS];
	int nvalues = 0;
	VrHnswEdit edit;
	Buffer buf;
	Page page;
	int slot;
	int i;

	buf = VrHnswReadAny(v->index, block, BUFFER_LOCK_EXCLUSIVE, v->strategy);
	VrHnswCheckPage(v->index, buf, VR_PAGE_VERTEX);
	VrHnswEditBegin(&edit, &v->store);
	page = VrHnswEditPage(&edit, buf);
	for (slot = 0; slot < l->slots; slot++)
	{
		VrHnswRecord rec = VacuumRecord(v, page, slot);

		if (!VrHnswIdSetHas(&v->dead, block * l->slots + slot) ||
			VrHnswRecordIsFree(rec) || VrHnswRecordIsLive(rec))
			continue;
		if (rec->value_block != VR_HNSW_NO_BLOCK)
			values[nvalues++] = rec->value_block;
		memset(rec, 0, l->record_size);
		if (VrHnswPageSpecial(page)->nused > 0)
			VrHnswPageSpecial(page)->nused--;
		v->freed++;
	}
	VrHnswEditFinish(&edit);
	UnlockReleaseBuffer(buf);
	for (i = 0; i < nvalues; i++)
		VacuumFreeValue(v, values[i]);
	RecordPageWithFreeSpace(v->index, block, BLCKSZ / 4);
}

/* The third pass: frees what is dead, and long values that lost their owner. */
static void
VacuumFree(VrHnswVacuum *v)
{
	uint32 slots = v->idx->layout.slots;
	uint64 word;
	BlockNumber done = VR_HNSW_META_BLOCK;
	int bit;

	VrHnswProgressPhase(v, VR_VACUUM_FREE, v->dead.n);
	for (word = 0; word < v->dead.nwords; word++)
		for (bit = 0; v->dead.words[word] != 0 && bit < 64; bit++)
		{
			BlockNumber block;

			if ((v->dead.words[word] & (UINT64CONST(1) << bit)) == 0)
				continue;
			block = (word * 64 + bit) / slots;
			if (block == done)
				continue;
			done = block;
			VrHnswProgressDone(v, v->freed);
			VrVacuumDelayPoint();
			VacuumFreeRecords(v, block);
		}
	/* An insertion that failed between its value and its record left them. */
	for (word = 0; word < v->values.nwords; word++)
		for (bit = 0; v->values.words[word] != 0 && bit < 64; bit++)
		{
			BlockNumber block = word * 64 + bit;

			if ((v->values.words[word] & (UINT64CONST(1) << bit)) == 0 ||
				VrHnswIdSetHas(&v->parts, block))
				continue;
			VrVacuumDelayPoint();
			VacuumFreePage(v, block);
		}
}

/* ---------------------------------------------------------------- the whole */

/*
 * Says in the metapage that there may be dead records, or that there are none
 * any more; then it counts the run too.
 */
static void
VacuumSetUnfinished(VrHnswVacuum *v, bool unfinished)
{
	Buffer buf = VrHnswReadPage(v->index, VR_HNSW_META_BLOCK,
								BUFFER_LOCK_EXCLUSIVE, VR_PAGE_META);
	VrHnswEdit edit;
	VrHnswMetaPage meta;

	if (!unfinished ||
		VrHnswPageMeta(BufferGetPage(buf))->vacuum_unfinished == 0)
	{
		VrHnswEditBegin(&edit, &v->store);
		meta = VrHnswPageMeta(VrHnswEditPage(&edit, buf));
		meta->vacuum_unfinished = unfinished;
		if (!unfinished)
		{
			meta->vacuums += v->freed > 0;
			meta->deleted += v->freed;
		}
		VrHnswEditFinish(&edit);
	}
	UnlockReleaseBuffer(buf);
}

/*
 * Says what comes next, to who asks with client_min_messages = debug1: since 15
 * VACUUM VERBOSE does not hand its level on. Others ask hnsw_progress.c.
 */
static void
VacuumSay(VrHnswVacuum *v, const char *what, uint64 n, const char *of)
{
	ereport(DEBUG1, (errmsg_internal(
						"vacuum of hnsw index \"%s\": %s " UINT64_FORMAT " %s",
						RelationGetRelationName(v->index), what, n, of)));
}

/* One run. callback is NULL to finish what an earlier one has left. */
static void
VacuumRun(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
		  IndexBulkDeleteCallback callback, void *arg)
{
	VrHnswVacuum *v = palloc0(sizeof(VrHnswVacuum));
	VrHnswMetaPageData meta;
	MemoryContext old;
	BlockNumber nblocks;
	BlockNumber block;

	v->cxt = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	v->page = AllocSetContextCreate(v->cxt, "vecrecall hnsw vacuum page",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(v->cxt);
	v->index = info->index;
	v->strategy = info->strategy;
	v->callback = callback;
	v->callback_arg = arg;
	v->top = VR_HNSW_NO_VERTEX;
	v->top_level = -1;
	v->idx = VrHnswOpen(info->index, &meta);
	VrHnswStoreInit(&v->store, info->index, v->idx);
	VrHnswInserterInit(&v->inserter, &v->store, v->cxt);
	VrHnswProgressBegin(v);
	VacuumSetUnfinished(v, true);

	/* Pages added meanwhile hold nothing dead, but are counted. */
	nblocks = RelationGetNumberOfBlocks(v->index);
	VacuumSay(v, "looking for dead rows in", nblocks, "pages");
	VrHnswProgressPhase(v, VR_VACUUM_DELETE, nblocks);
	for (block = 1; block < nblocks; block++)
	{
		VrHnswProgressDone(v, block);
		VrVacuumDelayPoint();
		VacuumDeletePage(v, block);
		if (block + 1 == nblocks)
		{
			nblocks = RelationGetNumberOfBlocks(v->index);
			VrHnswProgressTotal(v, nblocks);
		}
	}
	VacuumMarkUppers(v);
	VacuumBarrier(v);

	nblocks = RelationGetNumberOfBlocks(v->index);
	v->store.nblocks = nblocks;
	VacuumSay(v, "repairing the graph around", v->dead.n, "dead records");
	VrHnswProgressPhase(v, VR_VACUUM_REPAIR, nblocks);
	VrHnswPartsInit(v);
	for (block = 1; block < nblocks; block++)
	{
		VrHnswProgressDone(v, block);
		VrVacuumDelayPoint();
		VacuumRepairPage(v, block);
	}
	VacuumRaiseEntry(v);
	VacuumSay(v, "joining parts of", v->live.n, "live records");
	VrHnswPartsJoin(v);
	VacuumSay(v, "freeing", v->dead.n, "records");
	VacuumFree(v);
	VacuumSetUnfinished(v, false);
	VrHnswProgressEnd(v);

	stats->num_pages = RelationGetNumberOfBlocks(v->index);
	stats->estimated_count = false;
	stats->num_index_tuples = v->tids;
	stats->tuples_removed += v->tids_removed;
	stats->pages_free = v->pages_free;
	ereport(DEBUG1,
			(errmsg_internal(
				"vacuum of hnsw index \"%s\": " UINT64_FORMAT
				" records died, " UINT64_FORMAT " repaired, " UINT64_FORMAT
				" linked anew, " UINT64_FORMAT " parts joined, " UINT64_FORMAT
				" without a stem, " UINT64_FORMAT " freed",
				RelationGetRelationName(v->index), v->marked, v->repaired,
				v->relinked, v->parts_joined, v->stemless, v->freed)));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(v->cxt);
	pfree(v);
}

/*
 * ambulkdelete. May run in a parallel worker.
 */
IndexBulkDeleteResult *
vr_hnsw_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				   IndexBulkDeleteCallback callback, void *arg)
{
	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	VacuumRun(info, stats, callback, arg);
	return stats;
}

/* amvacuumcleanup. Cheap, unless a vacuum was broken off before. */
IndexBulkDeleteResult *
vr_hnsw_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	if (stats == NULL)
	{
		VrHnswMetaPageData meta;

		stats = palloc0(sizeof(IndexBulkDeleteResult));
		VrHnswReadMeta(info->index, &meta);
		if (meta.vacuum_unfinished != 0)
			VacuumRun(info, stats, NULL, NULL);
		else
		{
			stats->num_pages = RelationGetNumberOfBlocks(info->index);
			stats->estimated_count = true;
			stats->num_index_tuples = info->num_heap_tuples;
		}
	}
	IndexFreeSpaceMapVacuum(info->index);
	/* Rows inserted during the passes may have been counted as well. */
	if (!stats->estimated_count && !info->estimated_count &&
		stats->num_index_tuples > info->num_heap_tuples)
		stats->num_index_tuples = info->num_heap_tuples;
	return stats;
}
