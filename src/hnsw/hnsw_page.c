/*
 * hnsw_page.c
 *		The one gate to the pages of an index: pin, lock, check, extend.
 *
 * Knows page kinds and records, not what is in them. A visit costs about 150
 * ns instead of 760 because the buffer of a block is remembered per backend
 * (ReadRecentBuffer verifies the memory) and its lines are prefetched.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/indexfsm.h"
#include "storage/freespace.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"

/* Of an own value, the most to be prefetched. */
#define PAGE_PREFETCH_OWN 2048

/* Reports damage. Every check of bytes from disk ends here. */
void
VrHnswCorrupt(Relation index, BlockNumber block, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
					errmsg("index \"%s\" is corrupt at block %u: %s",
						   RelationGetRelationName(index), block, what),
					errhint("Please REINDEX it.")));
}

/* Formats an empty page. Contents are covered by pd_lower as they are used. */
void
VrHnswPageInit(Page page, VrHnswPageKind kind)
{
	VrHnswSpecial special;

	PageInit(page, BLCKSZ, sizeof(VrHnswSpecialData));
	special = VrHnswPageSpecial(page);
	memset(special, 0, sizeof(VrHnswSpecialData));
	special->kind = kind;
	special->page_id = VR_HNSW_PAGE_ID;
	/* No hole: generic WAL logs nothing that lies in one. */
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_upper;
	if (kind == VR_PAGE_TID)
	{
		int i;

		for (i = 0; i < VR_HNSW_CHUNKS; i++)
		{
			VrHnswPageChunk(page, i)->owner = VR_HNSW_NO_VERTEX;
			VrHnswPageChunk(page, i)->next = VR_HNSW_NO_VERTEX;
		}
	}
}

/* A page's kind if the page is ours, 0 if it is new, -1 if it is damaged. */
int
VrHnswProbePage(Page page)
{
	VrHnswSpecial special;

	if (PageIsNew(page))
		return 0;
	if (PageGetSpecialSize(page) != MAXALIGN(sizeof(VrHnswSpecialData)) ||
		((PageHeader) page)->pd_special !=
			BLCKSZ - MAXALIGN(sizeof(VrHnswSpecialData)))
		return -1;
	special = VrHnswPageSpecial(page);
	if (special->page_id != VR_HNSW_PAGE_ID || special->kind < VR_PAGE_META ||
		special->kind > VR_PAGE_FREE)
		return -1;
	return special->kind;
}

/* Errors unless the pinned and locked page is of that kind. */
void
VrHnswCheckPage(Relation index, Buffer buf, VrHnswPageKind kind)
{
	int found = VrHnswProbePage(BufferGetPage(buf));

	if (likely(found == (int) kind))
		return;
	if (found == 0)
		VrHnswCorrupt(index, BufferGetBlockNumber(buf), "page is empty");
	if (found < 0)
		VrHnswCorrupt(index, BufferGetBlockNumber(buf),
					  "page is not an hnsw page");
	VrHnswCorrupt(index, BufferGetBlockNumber(buf), "page is of another kind");
}

/*
 * Locks and checks a pinned page. An ATTR page may be empty: a crash came
 * between the growth of the index and the page's first WAL record. Its place is
 * fixed, so it is made here; pages of other kinds in that state are not used.
 */
static void
VrHnswLockPage(Relation index, Buffer buf, int lockmode, VrHnswPageKind kind)
{
	Page page = BufferGetPage(buf);

	/*
	 * A damaged chain may lead to a page that this backend holds. Locking it
	 * again would wait for ever, out of reach of interrupts.
	 */
	if (!BufferIsLocal(buf) &&
		unlikely(LWLockHeldByMe(
			BufferDescriptorGetContentLock(GetBufferDescriptor(buf - 1)))))
		VrHnswCorrupt(index, BufferGetBlockNumber(buf),
					  "page belongs to two chains");
	LockBuffer(buf, lockmode);
	if (unlikely(kind == VR_PAGE_ATTR && PageIsNew(page)) &&
		!RecoveryInProgress())
	{
		LockBuffer(buf, BUFFER_LOCK_UNLOCK);
		LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
		if (PageIsNew(page))
		{
			VrHnswEdit edit;

			VrHnswEditBeginRel(&edit, index);
			VrHnswEditNewPage(&edit, buf, VR_PAGE_ATTR);
			VrHnswEditFinish(&edit);
		}
		if (lockmode != BUFFER_LOCK_EXCLUSIVE)
		{
			LockBuffer(buf, BUFFER_LOCK_UNLOCK);
			LockBuffer(buf, lockmode);
		}
	}
	VrHnswCheckPage(index, buf, kind);
}

/* Reads, locks and checks a page. The caller unlocks and releases it. */
Buffer
VrHnswReadPage(Relation index, BlockNumber block, int lockmode,
			   VrHnswPageKind kind)
{
	Buffer buf = ReadBuffer(index, block);

	VrHnswLockPage(index, buf, lockmode, kind);
	return buf;
}

/*
 * Reads and locks (BUFFER_LOCK_UNLOCK: does not) a page of whatever kind, which
 * may be new or damaged: that is for the caller to see.
 */
Buffer
VrHnswReadAny(Relation index, BlockNumber block, int lockmode,
			  BufferAccessStrategy strategy)
{
	Buffer buf =
		ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_NORMAL, strategy);

	if (lockmode != BUFFER_LOCK_UNLOCK)
		LockBuffer(buf, lockmode);
	return buf;
}

/*
 * Pins a block of whatever kind; last is the buffer of the one before, which
 * need not be pinned any more, or InvalidBuffer. Blocks that were read or built
 * one after another stand so in shared buffers, most likely: to look into the
 * buffer behind the last takes less than to ask the server's table where the
 * block is.
 */
Buffer
VrHnswPinNext(Relation index, BlockNumber block, Buffer last,
			  BufferAccessStrategy strategy)
{
	/* Negative ones are local buffers. */
	if (last > 0 && last < NBuffers &&
		VrReadRecentBuffer(index, block, last + 1))
		return last + 1;
	return VrHnswReadAny(index, block, BUFFER_LOCK_UNLOCK, strategy);
}

/* Copies the metapage, checking what can be checked. */
void
VrHnswReadMeta(Relation index, VrHnswMetaPageData *meta)
{
	Buffer buf;
	Page page;
	const VrHnswLayout *l = &meta->layout;

	if (RelationGetNumberOfBlocks(index) == 0)
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK, "metapage is missing");
	buf = ReadBuffer(index, VR_HNSW_META_BLOCK);
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buf);
	if (!PageIsNew(page) &&
		VrHnswPageMeta(page)->magic == VR_HNSW_PGVECTOR_MAGIC)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("index \"%s\" was built by pgvector",
							   RelationGetRelationName(index)),
						errhint("Please REINDEX it.")));
	VrHnswCheckPage(index, buf, VR_PAGE_META);
	memcpy(meta, VrHnswPageMeta(page), sizeof(VrHnswMetaPageData));
	UnlockReleaseBuffer(buf);

	if (meta->magic != VR_HNSW_MAGIC)
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK, "metapage has a wrong magic");
	if (meta->version != VR_HNSW_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has format version %u, this library "
						"reads %u",
						RelationGetRelationName(index), meta->version,
						VR_HNSW_VERSION),
				 errhint("Please REINDEX it.")));
	if (meta->type < VR_TYPE_VECTOR || meta->type > VR_TYPE_BIT ||
		meta->metric < VR_METRIC_L2 || meta->metric > VR_METRIC_JACCARD ||
		(meta->form != VR_FORM_PLAIN && meta->form != VR_FORM_QUANTISED) ||
		meta->m < VR_HNSW_MIN_M || meta->m > VR_HNSW_MAX_M ||
		meta->ef_construction < VR_HNSW_MIN_EFC ||
		meta->ef_construction > VR_HNSW_MAX_EFC || meta->dim < 1 ||
		meta->dim > VR_SPARSEVEC_MAX_DIM || l->slots < 1 ||
		l->record_size < sizeof(VrHnswRecordData) || l->record_size % 8 != 0 ||
		l->slots * l->record_size > VR_HNSW_PAGE_BYTES ||
		l->degree0 > l->lanes || l->degree > l->lanes ||
		l->lanes > VR_HNSW_MAX_LANES || l->nattrs > VR_HNSW_MAX_ATTRS ||
		l->ids_at + l->lanes * sizeof(uint32) > l->record_size ||
		l->attrs_at + l->nattrs * sizeof(uint64) > l->record_size ||
		l->own_at + l->own_bytes > l->record_size ||
		l->attr_group !=
			(l->nattrs > 0 ? VrHnswAttrGroup(l->nattrs, l->slots) : 0))
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK, "metapage is damaged");
	if (meta->entry != VR_HNSW_NO_VERTEX &&
		(meta->entry_level < 0 || meta->entry_level > VR_HNSW_MAX_LEVEL))
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK, "entry level is damaged");
}

/* A store over the pages of an index, which lives as the current context. */
void
VrHnswStoreInit(VrHnswStore *store, Relation index, VrHnswIndex *idx)
{
	memset(store, 0, sizeof(*store));
	store->index = index;
	store->idx = idx;
	store->cxt = CurrentMemoryContext;
	store->nblocks = RelationGetNumberOfBlocks(index);
}

/* One more than the highest id that can exist now. */
uint32
VrHnswMaxVertex(VrHnswStore *store)
{
	if (store->image)
		return VrHnswImageMaxVertex(store->image);
	return store->nblocks * store->idx->layout.slots;
}

/* ATTR pages stand at fixed places. */
bool
VrHnswIsAttrBlock(const VrHnswLayout *layout, BlockNumber block)
{
	return layout->attr_group > 0 && block > 0 &&
		   (block - 1) % layout->attr_group == 0;
}

/* Makes room for the hints of all blocks. */
static void
VrHnswGrowHints(VrHnswIndex *idx, BlockNumber nblocks)
{
	BlockNumber n = Max(nblocks + nblocks / 8, 1024);

	if (idx->hints == NULL)
		idx->hints =
			MemoryContextAllocExtended(idx->cxt, (Size) n * sizeof(int32),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	else
	{
		idx->hints = repalloc_huge(idx->hints, (Size) n * sizeof(int32));
		memset(idx->hints + idx->nhints, 0,
			   (Size) (n - idx->nhints) * sizeof(int32));
	}
	idx->nhints = n;
}

/*
 * Pins a block, by the hint if it still holds. *vertex: whether this backend
 * found a VERTEX page there before, which then is one still.
 */
static inline Buffer
VrHnswPin(VrHnswStore *store, BlockNumber block, bool *vertex)
{
	VrHnswIndex *idx = store->idx;
	int32 hint;
	Buffer buf;

	if (unlikely(block >= idx->nhints))
		VrHnswGrowHints(idx, Max(block + 1, store->nblocks));
	hint = idx->hints[block];
	*vertex = (hint & 1) != 0;
	/* Negative ones are local buffers. */
	buf = hint >> 1;
	if (likely(buf != 0) && VrReadRecentBuffer(store->index, block, buf))
		return buf;
	*vertex = false;
	buf = ReadBuffer(store->index, block);
	idx->hints[block] = buf * 2;
	return buf;
}

/*
 * Holds the record of that id, locked share or exclusive. Returns false, with
 * nothing held, if the slot is free or its record belongs to another level:
 * ids are hints, and slots are reused. Errors if the id cannot be one.
 */
bool
VrHnswVisit(VrHnswStore *store, uint32 id, int level, int lockmode,
			VrHnswRef *ref)
{
	const VrHnswLayout *layout = &store->idx->layout;
	BlockNumber block;
	Page page;
	bool vertex;

	store->visits++;
	if (store->image)
		return VrHnswImageVisit(store->image, id, lockmode, ref);

	block = id / layout->slots;
	if (unlikely(block >= store->nblocks))
	{
		store->nblocks = RelationGetNumberOfBlocks(store->index);
		if (block >= store->nblocks)
			VrHnswCorrupt(store->index, block, "an edge leads beyond the end");
	}
	ref->lock = NULL;
	ref->buf = VrHnswPin(store, block, &vertex);
	LockBuffer(ref->buf, lockmode);
	page = BufferGetPage(ref->buf);
	/* The kind stands at the page's end, a line that nothing else needs. */
	if (unlikely(!vertex))
	{
		VrHnswCheckPage(store->index, ref->buf, VR_PAGE_VERTEX);
		store->idx->hints[block] |= 1;
	}
	ref->rec = (VrHnswRecord) (VrHnswPageContents(page) +
							   (id % layout->slots) * layout->record_size);
	if (unlikely(VrHnswRecordIsFree(ref->rec) || ref->rec->level != level))
	{
		VrHnswRelease(ref);
		return false;
	}
	if (unlikely(ref->rec->degree > layout->lanes))
		VrHnswCorrupt(store->index, block, "a record has too many neighbours");
	return true;
}

/* Lets a record go. */
void
VrHnswRelease(VrHnswRef *ref)
{
	if (ref->buf != InvalidBuffer)
		UnlockReleaseBuffer(ref->buf);
	else if (ref->lock)
		LWLockRelease(ref->lock);
	ref->rec = NULL;
}

/* As VrHnswReadPage, for pages that a search reads often. */
Buffer
VrHnswPinPage(VrHnswStore *store, BlockNumber block, int lockmode,
			  VrHnswPageKind kind)
{
	bool vertex;
	Buffer buf = VrHnswPin(store, block, &vertex);

	VrHnswLockPage(store->index, buf, lockmode, kind);
	return buf;
}

/*
 * Where a record most likely is in memory, having started to load what leads
 * to it; NULL if that is not known, and then its page is on its way into shared
 * buffers. For prefetching only: what stands there is anybody's guess.
 */
static inline const char *
VrHnswGuess(VrHnswStore *store, uint32 id)
{
	const VrHnswLayout *layout = &store->idx->layout;
	BlockNumber block = id / layout->slots;
	const char *page;
	Buffer buf;

	if (store->image)
		return (const char *) VrHnswImageRecord(store->image, id);
	if (block >= store->idx->nhints || block >= store->nblocks)
		return NULL;
	buf = store->idx->hints[block] >> 1;
	if (buf == 0)
	{
		PrefetchBuffer(store->index, MAIN_FORKNUM, block);
		return NULL;
	}
	if (BufferIsLocal(buf))
		return NULL;
	VR_PREFETCH(GetBufferDescriptor(buf - 1));
	page = (const char *) BufferBlocks + (Size) (buf - 1) * BLCKSZ;
	return page + MAXALIGN(SizeOfPageHeaderData) +
		   (id % layout->slots) * layout->record_size;
}

/*
 * Where the first bytes of a record most likely are, for prefetching only, and
 * in *bytes how many; 0 if that is not known. Never waits, never fails.
 */
const char *
VrHnswWhereabouts(VrHnswStore *store, uint32 id, int *bytes)
{
	const char *rec = VrHnswGuess(store, id);

	if (rec == NULL)
		*bytes = 0;
	/* The quick copy stands before, and takes the place of the own value. */
	else if (store->image && store->image->quick > 0)
	{
		int quick = store->image->quick;

		*bytes = quick + Min(*bytes, store->idx->layout.own_at);
		return rec - quick;
	}
	return rec;
}

/* Starts loading the first bytes of a record. */
void
VrHnswPrefetch(VrHnswStore *store, uint32 id, int bytes)
{
	const char *from = VrHnswWhereabouts(store, id, &bytes);

	VrHnswPrefetchBytes(from, bytes);
}

/*
 * The same for what a backlink's decision needs. Quantised: all but the own
 * value, of which an image has not been asked for the codes if it was only
 * measured.
 */
void
VrHnswPrefetchLinks(VrHnswStore *store, uint32 id)
{
	const VrHnswLayout *layout = &store->idx->layout;
	const char *rec = VrHnswGuess(store, id);
	int bytes = 1024;
	int i;

	if (store->image && store->idx->form == VR_FORM_QUANTISED)
		bytes = Min(layout->own_at, 2048);
	if (rec == NULL)
		return;
	for (i = 0; i < bytes; i += 64)
		VR_PREFETCH(rec + i);
}

/* The same for what a distance needs: the head, and the own value. */
void
VrHnswPrefetchOwn(VrHnswStore *store, uint32 id)
{
	const VrHnswLayout *layout = &store->idx->layout;
	const char *rec = VrHnswGuess(store, id);
	int bytes = Min(layout->own_bytes, PAGE_PREFETCH_OWN);
	int i;

	if (rec == NULL)
		return;
	VR_PREFETCH(rec);
	if (layout->ownhead_at)
		VR_PREFETCH(rec + layout->ownhead_at);
	for (i = 0; i < bytes; i += 64)
		VR_PREFETCH(rec + layout->own_at + i);
}

/*
 * The plain value of a held record: in place, or gathered from its VALUE pages
 * into the store's scratch, where it stays until the next call.
 */
const char *
VrHnswRecordValue(VrHnswStore *store, VrHnswRecord rec)
{
	const VrHnswLayout *layout = &store->idx->layout;
	BlockNumber block = rec->value_block;
	uint32 got = 0;

	if (likely(block == VR_HNSW_NO_BLOCK))
	{
		if (unlikely(store->idx->form == VR_FORM_PLAIN &&
					 rec->value_bytes > layout->own_bytes))
			VrHnswCorrupt(store->index, 0, "a value is longer than its record");
		return VrHnswRecordOwn(rec, layout);
	}
	if (store->image)
		return VrHnswImageLongValue(store->image, rec);

	if (rec->value_bytes > 16 * 1024 * 1024)
		VrHnswCorrupt(store->index, block, "a value is too long");
	if (store->longsize < rec->value_bytes)
	{
		store->longvalue =
			store->longvalue ? repalloc(store->longvalue, rec->value_bytes)
							 : MemoryContextAlloc(store->cxt, rec->value_bytes);
		store->longsize = rec->value_bytes;
	}
	while (got < rec->value_bytes)
	{
		Buffer buf;
		VrHnswSpecial special;

		if (block >= store->nblocks)
			store->nblocks = RelationGetNumberOfBlocks(store->index);
		if (block == VR_HNSW_NO_BLOCK || block >= store->nblocks)
			VrHnswCorrupt(store->index, block, "a long value is cut short");
		buf = VrHnswReadPage(store->index, block, BUFFER_LOCK_SHARE,
							 VR_PAGE_VALUE);
		special = VrHnswPageSpecial(BufferGetPage(buf));
		if (special->nbytes == 0 || special->nbytes > VR_HNSW_PAGE_BYTES ||
			special->nbytes > rec->value_bytes - got)
			VrHnswCorrupt(store->index, block, "a long value is damaged");
		memcpy(store->longvalue + got, VrHnswPageContents(BufferGetPage(buf)),
			   special->nbytes);
		got += special->nbytes;
		block = special->next;
		UnlockReleaseBuffer(buf);
	}
	return store->longvalue;
}

/* Adds a page at the end, locked exclusively, and logs it as empty. */
static Buffer
VrHnswExtend(VrHnswStore *store, VrHnswPageKind kind)
{
	for (;;)
	{
		Buffer buf;
		VrHnswEdit edit;
		bool attr;

		LockRelationForExtension(store->index, ExclusiveLock);
		/* Locked before anybody can see it, so that nobody sees it empty. */
		buf = ReadBufferExtended(store->index, MAIN_FORKNUM, P_NEW,
								 RBM_ZERO_AND_LOCK, NULL);
		UnlockRelationForExtension(store->index, ExclusiveLock);
		store->nblocks = Max(store->nblocks, BufferGetBlockNumber(buf) + 1);
		attr =
			VrHnswIsAttrBlock(&store->idx->layout, BufferGetBlockNumber(buf));
		VrHnswEditBegin(&edit, store);
		VrHnswEditNewPage(&edit, buf, attr ? VR_PAGE_ATTR : kind);
		VrHnswEditFinish(&edit);
		if (!attr)
			return buf;
		UnlockReleaseBuffer(buf);
	}
}

/* Adds a VERTEX page, locked exclusively; others may find its free slots. */
Buffer
VrHnswExtendVertex(VrHnswStore *store)
{
	Buffer buf = VrHnswExtend(store, VR_PAGE_VERTEX);

	if (store->idx->layout.slots > 1)
		RecordPageWithFreeSpace(store->index, BufferGetBlockNumber(buf),
								BLCKSZ / 4);
	return buf;
}

/*
 * A page of that kind with nothing on it, locked exclusively: a free one, or a
 * new one. For VERTEX pages, which have many owners, see hnsw_insert.c.
 */
Buffer
VrHnswNewPage(VrHnswStore *store, VrHnswPageKind kind)
{
	for (;;)
	{
		BlockNumber block = store->building ? InvalidBlockNumber
											: GetFreeIndexPage(store->index);
		Buffer buf;
		VrHnswEdit edit;

		if (block == InvalidBlockNumber)
			return VrHnswExtend(store, kind);
		if (block >= RelationGetNumberOfBlocks(store->index) ||
			VrHnswIsAttrBlock(&store->idx->layout, block))
			continue;
		buf = ReadBuffer(store->index, block);
		/* Somebody else may have been given it too: the map is a hint. */
		if (ConditionalLockBuffer(buf))
		{
			int found = VrHnswProbePage(BufferGetPage(buf));

			if (found == 0 || found == VR_PAGE_FREE)
			{
				VrHnswEditBegin(&edit, store);
				VrHnswEditNewPage(&edit, buf, kind);
				VrHnswEditFinish(&edit);
				return buf;
			}
			LockBuffer(buf, BUFFER_LOCK_UNLOCK);
		}
		ReleaseBuffer(buf);
	}
}
