/*
 * hnsw_insert.c
 *		Insertion of one row, into an image or into the index.
 *
 * Search first, without holding anything; then write the vertex's own records;
 * then its backlinks, one page at a time. Every prefix of that is a valid
 * graph. On pages the whole is done under a share lock on the barrier (a
 * heavyweight lock of the metapage's number), which vacuum takes exclusively
 * once between marking records dead and unlinking them. README has the table
 * of locks.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"

/* Width of the search for an equal vertex when an UPDATE left the value. */
#define INSERT_NARROW_EF 12

/* When an UPDATE left the value: records looked at behind the last one found. */
#define INSERT_NEXT 4

/* The same: of the vertices noted for its hash. */
#define INSERT_NOTED 4

/* Stems to follow to one that may have one more; the first by distance. */
#define INSERT_HANG_MOST 1000
#define INSERT_HANG_NEAR 64

/*
 * Quantised: candidates that only have an estimate and are measured besides the
 * hits, as a multiple of ef_construction. On pages each costs a buffer.
 */
#define INSERT_WIDEN 1.0
#define INSERT_WIDEN_PAGES 0.5

/*
 * The width of a build's searches on level 0, by ef_construction. Plain: on
 * pages that would make a row dearer than it needs to be. Quantised: if they
 * begin at landmarks.
 */
#define INSERT_WIDTH_PLAIN 1.4
#define INSERT_WIDTH_LANDED 0.7

/* Neighbours of a level, as selected. */
typedef struct InsertLevel
{
	int n;
	int chosen; /* the first so many are diverse */
	VrHnswNeighbour neighbours[VR_HNSW_MAX_LANES];
} InsertLevel;

/*
 * The level of a row's vertex: geometric with ratio 1/m, drawn from the heap
 * TID, so that it does not depend on the order of insertion.
 */
int
VrHnswRandomLevel(const VrHnswIndex *idx, ItemPointer tid)
{
	uint64 h = hash_bytes_extended((unsigned char *) tid,
								   sizeof(ItemPointerData), idx->seed);
	double u = ((double) (h >> 11) + 1.0) / 9007199254740992.0;
	int level =
		(int) (-log(u) / log(VrHnswLevelBase(idx->form, &idx->layout, idx->m)));

	return Min(level, VR_HNSW_MAX_LEVEL);
}

void
VrHnswInserterInit(VrHnswInserter *ins, VrHnswStore *store, MemoryContext cxt)
{
	ins->store = store;
	VrHnswSearchInit(&ins->search, store, cxt);
	ins->search.keep_copies = true;
	ins->cxt = AllocSetContextCreate(cxt, "vecrecall hnsw insert",
									 ALLOCSET_DEFAULT_SIZES);
}

/* Whether a record holds this very value, attributes included. */
bool
VrHnswIsEqual(VrHnswStore *store, VrHnswRecord rec, const VrHnswValue *value)
{
	const VrHnswLayout *l = &store->idx->layout;
	uint32 bytes =
		store->idx->form == VR_FORM_PLAIN ? value->bytes : l->own_bytes;

	return rec->value_bytes == value->bytes &&
		   (l->nattrs == 0 || (rec->attr_nulls == value->attr_nulls &&
							   memcmp(VrHnswRecordAttrs(rec, l), value->attrs,
									  l->nattrs * sizeof(uint64)) == 0)) &&
		   memcmp(VrHnswRecordValue(store, rec), value->data, bytes) == 0;
}

/* ------------------------------------------------------------- TID chunks */

/* Adds a TID to a chunk of the owner's that has room. Page locks are held. */
static bool
InsertTidIntoHead(VrHnswStore *store, VrHnswRecord rec, uint32 owner,
				  ItemPointer tid)
{
	BlockNumber block = rec->more_tids / VR_HNSW_CHUNKS;
	VrHnswTidChunk chunk;
	VrHnswEdit edit;
	Buffer buf;
	bool done = false;

	if (block >= RelationGetNumberOfBlocks(store->index))
		VrHnswCorrupt(store->index, block, "a chain of TIDs leads nowhere");
	buf =
		VrHnswReadPage(store->index, block, BUFFER_LOCK_EXCLUSIVE, VR_PAGE_TID);
	chunk =
		VrHnswPageChunk(BufferGetPage(buf), rec->more_tids % VR_HNSW_CHUNKS);
	if (chunk->owner != owner || chunk->ntids > VR_HNSW_CHUNK_TIDS)
		VrHnswCorrupt(store->index, block, "a chunk of TIDs is damaged");
	if (chunk->ntids < VR_HNSW_CHUNK_TIDS)
	{
		VrHnswEditBegin(&edit, store);
		chunk = VrHnswPageChunk(VrHnswEditPage(&edit, buf),
								rec->more_tids % VR_HNSW_CHUNKS);
		chunk->tids[chunk->ntids++] = *tid;
		VrHnswEditFinish(&edit);
		done = true;
	}
	UnlockReleaseBuffer(buf);
	return done;
}

/* First TID page with room, locked exclusively; full ones are unlisted. */
static Buffer
InsertTidPage(VrHnswStore *store)
{
	for (;;)
	{
		Buffer mbuf = VrHnswReadPage(store->index, VR_HNSW_META_BLOCK,
									 BUFFER_LOCK_SHARE, VR_PAGE_META);
		BlockNumber head = VrHnswPageMeta(BufferGetPage(mbuf))->tid_free;
		VrHnswSpecial special;
		VrHnswMetaPage meta;
		VrHnswEdit edit;
		Buffer buf;

		UnlockReleaseBuffer(mbuf);
		if (head == VR_HNSW_NO_BLOCK)
		{
			/* List a new page; a rival's is no worse, but ours is in hand. */
			buf = VrHnswNewPage(store, VR_PAGE_TID);
			mbuf = VrHnswReadPage(store->index, VR_HNSW_META_BLOCK,
								  BUFFER_LOCK_EXCLUSIVE, VR_PAGE_META);
			VrHnswEditBegin(&edit, store);
			meta = VrHnswPageMeta(VrHnswEditPage(&edit, mbuf));
			special = VrHnswPageSpecial(VrHnswEditPage(&edit, buf));
			special->next = meta->tid_free;
			special->flags |= VR_PAGE_LISTED;
			meta->tid_free = BufferGetBlockNumber(buf);
			VrHnswEditFinish(&edit);
			UnlockReleaseBuffer(mbuf);
			return buf;
		}
		if (head >= RelationGetNumberOfBlocks(store->index))
			VrHnswCorrupt(store->index, head, "list of TID pages is damaged");
		buf = VrHnswReadPage(store->index, head, BUFFER_LOCK_EXCLUSIVE,
							 VR_PAGE_TID);
		special = VrHnswPageSpecial(BufferGetPage(buf));
		if (special->nused < VR_HNSW_CHUNKS)
			return buf;
		mbuf = VrHnswReadPage(store->index, VR_HNSW_META_BLOCK,
							  BUFFER_LOCK_EXCLUSIVE, VR_PAGE_META);
		if (VrHnswPageMeta(BufferGetPage(mbuf))->tid_free == head)
		{
			VrHnswEditBegin(&edit, store);
			meta = VrHnswPageMeta(VrHnswEditPage(&edit, mbuf));
			special = VrHnswPageSpecial(VrHnswEditPage(&edit, buf));
			meta->tid_free = special->next;
			special->next = VR_HNSW_NO_BLOCK;
			special->flags &= ~VR_PAGE_LISTED;
			VrHnswEditFinish(&edit);
		}
		UnlockReleaseBuffer(mbuf);
		UnlockReleaseBuffer(buf);
	}
}

/* Adds a TID to a record held exclusively, on a page. */
static void
InsertTid(VrHnswStore *store, VrHnswRef *ref, uint32 id, ItemPointer tid)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswTidChunk chunk = NULL;
	VrHnswRecord rec;
	VrHnswEdit edit;
	Buffer buf;
	Page page;
	int i;

	if (ref->rec->more_tids != VR_HNSW_NO_VERTEX &&
		InsertTidIntoHead(store, ref->rec, id, tid))
		return;
	buf = InsertTidPage(store);
	VrHnswEditBegin(&edit, store);
	rec = (VrHnswRecord) (VrHnswPageContents(VrHnswEditPage(&edit, ref->buf)) +
						  (id % l->slots) * l->record_size);
	page = VrHnswEditPage(&edit, buf);
	for (i = 0; i < VR_HNSW_CHUNKS; i++)
	{
		chunk = VrHnswPageChunk(page, i);
		if (chunk->owner == VR_HNSW_NO_VERTEX)
			break;
	}
	if (i == VR_HNSW_CHUNKS)
		VrHnswCorrupt(store->index, BufferGetBlockNumber(buf),
					  "a TID page has fewer free chunks than it says");
	chunk->owner = id;
	chunk->next = rec->more_tids;
	chunk->ntids = 1;
	chunk->tids[0] = *tid;
	VrHnswPageSpecial(page)->nused++;
	rec->more_tids = BufferGetBlockNumber(buf) * VR_HNSW_CHUNKS + i;
	VrHnswEditFinish(&edit);
	UnlockReleaseBuffer(buf);
}

/*
 * Adds a TID to a vertex that was seen to be equal. False if it is so no more:
 * it may have died, or be another vertex now. *full says that there is no room
 * for the TID in the image.
 */
static bool
InsertJoinOne(VrHnswStore *store, uint32 id, const VrHnswValue *value,
			  ItemPointer tid, bool *full)
{
	VrHnswRef ref;
	bool joined = false;

	*full = false;
	if (!VrHnswVisit(store, id, 0, BUFFER_LOCK_EXCLUSIVE, &ref))
		return false;
	if (VrHnswRecordIsLive(ref.rec) && VrHnswIsEqual(store, ref.rec, value))
	{
		joined = true;
		if (!store->image)
			InsertTid(store, &ref, id, tid);
		else if (!VrHnswImageAddTid(store->image, ref.rec, tid))
			*full = true;
	}
	VrHnswRelease(&ref);
	return joined;
}

/*
 * Joins an equal vertex among the hits, if there is one. Returns whether there
 * is one; *full says that there is, but the image has no room for its TID.
 */
static bool
InsertJoin(VrHnswInserter *ins, const VrHnswValue *value, ItemPointer tid,
		   bool *full)
{
	VrHnswStore *store = ins->store;
	VrHnswSearch *s = &ins->search;
	bool plain = store->idx->form == VR_FORM_PLAIN;
	float self = 0;
	uint32 i;

	/*
	 * Any hit may be it: equal values may differ in their attributes, and by
	 * inner product a value is not its own nearest. Plain: at the distance
	 * from itself. Quantised: by the hash in value_bytes.
	 */
	*full = false;
	if (plain)
		self = VrHnswDistance(store->idx, value->data, value->bytes,
							  value->data, value->bytes);
	for (i = 0; i < s->nhits; i++)
	{
		if (plain && s->hits[i].d != self)
			continue;
		if (VrHnswIsEqual(store, (VrHnswRecord) s->hits[i].value, value) &&
			InsertJoinOne(store, s->hits[i].id, value, tid, full))
			return true;
	}
	return false;
}

/*
 * An UPDATE of many rows takes them in the order of the table, most likely, and
 * a build has numbered the vertices in that order: whether one of those behind
 * the last one found is equal.
 */
static uint32
InsertFindNext(VrHnswStore *store, const VrHnswValue *value)
{
	uint32 first = store->idx->joined + 1;
	uint32 max = VrHnswMaxVertex(store);
	uint32 found = VR_HNSW_NO_VERTEX;
	VrHnswWalk w;

	if (first == 0 || first >= max)
		return found;
	VrHnswWalkBegin(&w, store, NULL, first,
					first + Min(INSERT_NEXT, max - first));
	while (found == VR_HNSW_NO_VERTEX && VrHnswWalkNext(&w))
		if (w.rec->level == 0 && VrHnswIsEqual(store, w.rec, value))
			found = w.id;
	VrHnswWalkEnd(&w);
	return found;
}

/* Joins one of the vertices that are noted for a hash, if one is equal. */
static bool
InsertJoinNoted(VrHnswStore *store, const VrHnswValue *value, uint32 hash,
				ItemPointer tid, bool *full)
{
	uint32 next = 0;
	int tries;

	for (tries = 0; tries < INSERT_NOTED; tries++)
	{
		uint32 id = VrHnswEqualFind(store->idx, hash, &next);

		if (id == VR_HNSW_NO_VERTEX)
			break;
		/* Noted long ago: the index may have been truncated since. */
		if (id < VrHnswMaxVertex(store) &&
			InsertJoinOne(store, id, value, tid, full))
		{
			store->idx->joined = id;
			return true;
		}
	}
	return false;
}

/*
 * An UPDATE that left the value: joins the vertex that has it, if it is noted or
 * behind the last one, without the memory that a search needs.
 */
static bool
InsertJoinKnown(VrHnswStore *store, const VrHnswValue *value, ItemPointer tid)
{
	uint32 found;
	bool joined;
	bool full;

	LockPage(store->index, VR_HNSW_META_BLOCK, ShareLock);
	joined = InsertJoinNoted(store, value, VrHnswEqualHash(store->idx, value),
							 tid, &full);
	if (!joined)
	{
		found = InsertFindNext(store, value);
		if (found != VR_HNSW_NO_VERTEX &&
			InsertJoinOne(store, found, value, tid, &full))
		{
			store->idx->joined = found;
			joined = true;
		}
	}
	UnlockPage(store->index, VR_HNSW_META_BLOCK, ShareLock);
	return joined;
}

/*
 * The same by a narrow search, for no longer than until it is met.
 */
static bool
InsertJoinUnchanged(VrHnswInserter *ins, const VrHnswValue *value,
					ItemPointer tid, uint32 entry, int entry_level, bool *full)
{
	VrHnswStore *store = ins->store;
	VrHnswSearch *s = &ins->search;
	bool copies = s->keep_copies;
	int64 visits;
	uint32 found;
	uint32 down;

	visits = store->visits;
	VrHnswSearchQuery(s, value);
	s->equal = value;
	s->keep_copies = s->resumable = false;
	down = VrHnswSearchDescend(s, entry, entry_level, 0);
	if (down != VR_HNSW_NO_VERTEX && s->found == VR_HNSW_NO_VERTEX)
	{
		VrHnswSearchLevel(s, 0, INSERT_NARROW_EF);
		VrHnswSearchEnter(s, down);
		VrHnswSearchRun(s);
	}
	found = s->found;
	s->equal = NULL;
	s->found = VR_HNSW_NO_VERTEX;
	s->keep_copies = copies;
	if (found != VR_HNSW_NO_VERTEX &&
		!InsertJoinOne(store, found, value, tid, full))
		found = VR_HNSW_NO_VERTEX;
	if (found != VR_HNSW_NO_VERTEX)
		store->idx->joined = found;
	VrHnswEqualSought(store, value, store->visits - visits, found);
	return found != VR_HNSW_NO_VERTEX;
}

/* ------------------------------------------------------------- own records */

/* Entries of an ATTR page. */
int
VrHnswAttrEntries(const VrHnswLayout *layout)
{
	return (layout->attr_group - 1) * layout->slots;
}

/* Where a record's attribute words stand. */
void
VrHnswAttrPlace(const VrHnswLayout *layout, uint32 id, BlockNumber *block,
				int *entry)
{
	BlockNumber vblock = id / layout->slots;

	*block = (vblock - 1) / layout->attr_group * layout->attr_group + 1;
	*entry = (vblock - *block - 1) * layout->slots + id % layout->slots;
}

/* Writes a record's attribute words to the image of its ATTR page. */
void
VrHnswAttrSet(const VrHnswLayout *layout, Page page, int entry,
			  const uint64 *attrs, uint16 nulls, bool live)
{
	char *contents = VrHnswPageContents(page);
	int entries = VrHnswAttrEntries(layout);
	uint64 *words = (uint64 *) (contents + MAXALIGN(entries));
	int i;

	contents[entry] = live ? (char) VR_ATTR_LIVE : 0;
	for (i = 0; i < layout->nattrs; i++)
		words[i * entries + entry] = attrs[i];
}

/* Finds a page with a free slot; locked exclusively. *slot is the slot. */
static Buffer
InsertSlot(VrHnswStore *store, int *slot)
{
	const VrHnswLayout *l = &store->idx->layout;
	BlockNumber block = store->idx->target;
	int tries = 0;

	for (;;)
	{
		VrHnswEdit edit;
		Buffer buf;
		Page page;
		int i;

		if (block == VR_HNSW_NO_BLOCK || block >= store->nblocks)
		{
			block = GetPageWithFreeSpace(store->index, BLCKSZ / 4);
			if (block != InvalidBlockNumber &&
				block >= RelationGetNumberOfBlocks(store->index))
				block = InvalidBlockNumber;
		}
		if (block == InvalidBlockNumber || tries++ > 20)
		{
			buf = VrHnswExtendVertex(store);
			store->idx->target = BufferGetBlockNumber(buf);
			*slot = 0;
			return buf;
		}
		buf = VrHnswReadAny(store->index, block, BUFFER_LOCK_EXCLUSIVE, NULL);
		page = BufferGetPage(buf);
		if (!VrHnswIsAttrBlock(l, block) && block != VR_HNSW_META_BLOCK &&
			(PageIsNew(page) || VrHnswPageKindOf(page) == VR_PAGE_FREE))
		{
			VrHnswEditBegin(&edit, store);
			VrHnswEditNewPage(&edit, buf, VR_PAGE_VERTEX);
			VrHnswEditFinish(&edit);
			page = BufferGetPage(buf);
		}
		if (!PageIsNew(page) && VrHnswPageKindOf(page) == VR_PAGE_VERTEX &&
			VrHnswPageSpecial(page)->nused < l->slots)
		{
			for (i = 0; i < l->slots; i++)
			{
				VrHnswRecord rec = (VrHnswRecord) (VrHnswPageContents(page) +
												   i * l->record_size);

				if (!VrHnswRecordIsFree(rec))
					continue;
				store->idx->target = block;
				*slot = i;
				return buf;
			}
		}
		UnlockReleaseBuffer(buf);
		store->idx->target = VR_HNSW_NO_BLOCK;
		block =
			RecordAndGetPageWithFreeSpace(store->index, block, 0, BLCKSZ / 4);
		if (block != InvalidBlockNumber &&
			block >= RelationGetNumberOfBlocks(store->index))
			block = InvalidBlockNumber;
		store->nblocks = RelationGetNumberOfBlocks(store->index);
	}
}

/* Writes a value that does not fit its record; returns its first page. */
static BlockNumber
InsertLongValue(VrHnswStore *store, const VrHnswValue *value)
{
	BlockNumber next = VR_HNSW_NO_BLOCK;
	uint32 left = value->bytes;

	/* Last part first, so that no page refers to one not yet written. */
	while (left > 0)
	{
		uint32 n = left % VR_HNSW_PAGE_BYTES;
		Buffer buf = VrHnswNewPage(store, VR_PAGE_VALUE);
		VrHnswEdit edit;
		Page page;

		if (n == 0)
			n = VR_HNSW_PAGE_BYTES;
		left -= n;
		VrHnswEditBegin(&edit, store);
		page = VrHnswEditPage(&edit, buf);
		memcpy(VrHnswPageContents(page), value->data + left, n);
		VrHnswPageSpecial(page)->nbytes = n;
		VrHnswPageSpecial(page)->next = next;
		VrHnswEditFinish(&edit);
		next = BufferGetBlockNumber(buf);
		UnlockReleaseBuffer(buf);
	}
	return next;
}

/* Writes one record of the new vertex to a page; returns its id. */
static uint32
InsertWriteRecord(VrHnswStore *store, VrHnswRecord rec)
{
	const VrHnswLayout *l = &store->idx->layout;
	Buffer abuf = InvalidBuffer;
	int entry = 0;
	VrHnswEdit edit;
	int slot;
	Buffer buf = InsertSlot(store, &slot);
	uint32 id = BufferGetBlockNumber(buf) * l->slots + slot;
	Page page;

	if (rec->level == 0)
	{
		rec->base = id;
		if (l->nattrs > 0)
		{
			BlockNumber block;

			/* Vertex page, then its ATTR page: README, "Locks". */
			VrHnswAttrPlace(l, id, &block, &entry);
			abuf = VrHnswReadPage(store->index, block, BUFFER_LOCK_EXCLUSIVE,
								  VR_PAGE_ATTR);
		}
	}
	VrHnswEditBegin(&edit, store);
	page = VrHnswEditPage(&edit, buf);
	memcpy(VrHnswPageContents(page) + slot * l->record_size, rec,
		   l->record_size);
	VrHnswPageSpecial(page)->nused++;
	if (BufferIsValid(abuf))
		VrHnswAttrSet(l, VrHnswEditPage(&edit, abuf), entry,
					  VrHnswRecordAttrs(rec, l), rec->attr_nulls, true);
	VrHnswEditFinish(&edit);
	if (BufferIsValid(abuf))
		UnlockReleaseBuffer(abuf);
	UnlockReleaseBuffer(buf);
	return id;
}

/* ---------------------------------------------------------------- backlinks */

/* The lane of a record that has that neighbour, or -1. */
static int
InsertLaneOf(VrHnswStore *store, VrHnswRecord rec, uint32 id)
{
	const uint32 *ids = VrHnswRecordIds(rec, &store->idx->layout);
	int i;

	for (i = 0; i < rec->degree; i++)
		if (ids[i] == id)
			return i;
	return -1;
}

#define InsertHasNeighbour(store, rec, id) (InsertLaneOf(store, rec, id) >= 0)

/*
 * Plain, on pages: decides on a copy, since the decision reads other pages.
 * Returns the neighbour to replace, the newcomer itself for a new lane, or
 * NO_VERTEX for none.
 */
static uint32
InsertDecideOnCopy(VrHnswStore *store, uint32 target, int level,
				   const VrHnswNewcomer *newcomer, float d, bool force)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswRecord copy = palloc(l->record_size);
	VrHnswRef ref;
	int lane;

	if (!VrHnswVisit(store, target, level, BUFFER_LOCK_SHARE, &ref))
		return VR_HNSW_NO_VERTEX;
	memcpy(copy, ref.rec, l->record_size);
	VrHnswRelease(&ref);
	if (InsertHasNeighbour(store, copy, newcomer->id))
		return VR_HNSW_NO_VERTEX;
	lane = VrHnswChooseLane(store, copy, newcomer, d, force);
	if (lane < 0)
		return VR_HNSW_NO_VERTEX;
	return lane == copy->degree ? newcomer->id : VrHnswRecordIds(copy, l)[lane];
}

/*
 * Has a neighbour link back. Returns whether it did; *victim is then the one
 * that had to make room, or NO_VERTEX. stem, if not NULL, asks for a stem, and
 * becomes true if it is one; a forced one is, or nothing is done.
 */
static bool
InsertBacklink(VrHnswStore *store, uint32 target, int level,
			   const VrHnswNewcomer *newcomer, float d, bool force, bool *stem,
			   uint32 *victim)
{
	const VrHnswLayout *l = &store->idx->layout;
	bool on_copy = !store->image && store->idx->form == VR_FORM_PLAIN;
	VrHnswEdit edit;
	VrHnswRef ref;
	int lane = -1;

	*victim = VR_HNSW_NO_VERTEX;
	if (on_copy)
	{
		*victim = InsertDecideOnCopy(store, target, level, newcomer, d, force);
		if (*victim == VR_HNSW_NO_VERTEX)
			return false;
	}
	if (!VrHnswVisit(store, target, level, BUFFER_LOCK_EXCLUSIVE, &ref))
		return false;
	if (VrHnswRecordIsLive(ref.rec) &&
		!InsertHasNeighbour(store, ref.rec, newcomer->id) &&
		(!force || !stem || VrHnswHasStemRoom(l, ref.rec)))
	{
		if (!on_copy)
			lane = VrHnswChooseLane(store, ref.rec, newcomer, d, force);
		else if (ref.rec->degree < VrHnswDegreeLimit(l, level))
			lane = ref.rec->degree;
		else
		{
			const uint32 *ids = VrHnswRecordIds(ref.rec, l);
			int i;

			/* Somebody was quicker if the victim is gone: leave it. */
			for (i = 0; i < ref.rec->degree; i++)
				if (!VrHnswIsStem(ref.rec, i) &&
					(ids[i] == *victim || (lane < 0 && force)))
					lane = i;
		}
	}
	if (lane >= 0)
	{
		VrHnswRecord rec = ref.rec;

		*victim = lane < rec->degree ? VrHnswRecordIds(rec, l)[lane]
									 : VR_HNSW_NO_VERTEX;
		if (!store->image)
		{
			VrHnswEditBegin(&edit, store);
			rec = (VrHnswRecord) (VrHnswPageContents(
									  VrHnswEditPage(&edit, ref.buf)) +
								  (target % l->slots) * l->record_size);
		}
		VrHnswSetLane(store, rec, lane, newcomer->id, newcomer->value);
		if (stem && lane < VR_HNSW_STEM_LANES && VrHnswHasStemRoom(l, rec))
		{
			VrHnswMarkStem(rec, lane, true);
			*stem = true;
		}
		if (!store->image)
			VrHnswEditFinish(&edit);
	}
	VrHnswRelease(&ref);
	return lane >= 0;
}

/*
 * Makes another record a neighbour of this one, in place of a last one if there
 * is no room: by a stem; or because it had to make room for it, and may have no
 * other way.
 */
static void
InsertAdopt(VrHnswStore *store, uint32 id, int level, uint32 other, bool stem)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswValue value = {0};
	VrHnswRecord rec;
	VrHnswEdit edit;
	VrHnswRef ref;
	bool live;
	int lane;

	if (!VrHnswVisit(store, other, level,
					 store->image ? BUFFER_LOCK_UNLOCK : BUFFER_LOCK_SHARE,
					 &ref))
		return;
	live = VrHnswRecordIsLive(ref.rec);
	if (live && store->idx->form == VR_FORM_QUANTISED)
		VrHnswValueOfRecord(store, ref.rec, &value);
	VrHnswRelease(&ref);
	if (!live || !VrHnswVisit(store, id, level, BUFFER_LOCK_EXCLUSIVE, &ref))
		return;
	rec = ref.rec;
	if (!store->image)
	{
		VrHnswEditBegin(&edit, store);
		rec =
			(VrHnswRecord) (VrHnswPageContents(VrHnswEditPage(&edit, ref.buf)) +
							(id % l->slots) * l->record_size);
	}
	lane = InsertLaneOf(store, rec, other);
	if (lane < 0)
	{
		lane = Min(rec->degree, VrHnswDegreeLimit(l, level) - 1);
		if (level == 0)
			lane = Min(lane, VR_HNSW_STEM_LANES - 1);
		while (lane > 0 && VrHnswIsStem(rec, lane))
			lane--;
		VrHnswSetLane(store, rec, lane, other, &value);
	}
	if (stem)
		VrHnswMarkStem(rec, lane, true);
	if (!store->image)
		VrHnswEditFinish(&edit);
	VrHnswRelease(&ref);
}

/* A vertex that may be asked for a stem. */
typedef struct InsertHolder
{
	float d;
	uint32 id;
	bool asked;
} InsertHolder;

/* Notes a vertex to ask, unless it is noted. */
static void
InsertNoteHolder(InsertHolder *holders, int *n, uint32 id, float d)
{
	int i;

	for (i = 0; i < *n; i++)
		if (holders[i].id == id)
			return;
	if (*n < INSERT_HANG_MOST)
		holders[(*n)++] = (InsertHolder){d, id, false};
}

/*
 * The vertex to ask next, or NULL: the nearest that was not asked yet; if many
 * have been, the one noted last.
 */
static InsertHolder *
InsertNextHolder(InsertHolder *holders, int n, int asked)
{
	InsertHolder *best = NULL;
	int i;

	for (i = n - 1; i >= 0; i--)
		if (!holders[i].asked && (best == NULL || holders[i].d < best->d))
		{
			best = &holders[i];
			if (asked >= INSERT_HANG_NEAR)
				break;
		}
	return best;
}

/*
 * Gives a vertex a stem although none of its neighbours will have one more:
 * stems are followed from the holders noted on until one does whom may, if
 * given, allows to. Returns who, or NO_VERTEX. The ends of stems have none, so
 * there is one who does. The nearest of all seen comes first, not the nearest
 * stem of each alone, for that can go in a circle: whoever became the entry
 * holds the one before, and hangs from a vertex of its tree. By inner product
 * the nearest are long, and full, all of the upper tree; so after some the way
 * goes straight down.
 */
static uint32
InsertHang(VrHnswStore *store, const VrHnswNewcomer *newcomer,
		   InsertHolder *holders, int n, VrHnswMayHold may, void *arg)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswRecord copy = palloc(l->record_size);
	InsertHolder *h;
	int lanes[VR_HNSW_STEM_LANES];
	float dx[VR_HNSW_STEM_LANES];
	bool stem = false;
	uint32 victim;
	int asked = 0;
	int i;

	while ((h = InsertNextHolder(holders, n, asked++)) != NULL)
	{
		uint32 from = h->id;
		float d = h->d;
		VrHnswRef ref;

		CHECK_FOR_INTERRUPTS();
		h->asked = true;
		if (from == newcomer->id || (may && !may(arg, from)) ||
			!VrHnswVisit(store, from, 0, BUFFER_LOCK_SHARE, &ref))
			continue;
		memcpy(copy, ref.rec, l->record_size);
		VrHnswRelease(&ref);
		if (VrHnswRecordIsLive(copy) && VrHnswHasStemRoom(l, copy) &&
			InsertBacklink(store, from, 0, newcomer, d, true, &stem, &victim) &&
			stem)
			return from;
		for (i = VrHnswStems(store, copy, newcomer, d, lanes, dx) - 1; i >= 0;
			 i--)
			InsertNoteHolder(holders, &n, VrHnswRecordIds(copy, l)[lanes[i]],
							 dx[i]);
	}
	return VR_HNSW_NO_VERTEX;
}

/* -------------------------------------------------------------- the whole */

/*
 * Searches one level and selects neighbours there. Hits stay sorted. landed says
 * that the search begins at the image's landmarks.
 */
static void
InsertSelect(VrHnswInserter *ins, int level, const uint32 *entries,
			 int nentries, bool landed, InsertLevel *out)
{
	VrHnswStore *store = ins->store;
	VrHnswIndex *idx = store->idx;
	VrHnswSearch *s = &ins->search;
	bool quantised = idx->form == VR_FORM_QUANTISED;
	VrHnswNeighbour *cands;
	int limit = VrHnswDegreeLimit(&idx->layout, level);
	int n = 0;
	uint32 widen = 0;
	uint32 width;
	uint32 most;
	uint32 i;

	if (quantised && level == 0)
		widen = idx->ef_construction *
				(store->image ? INSERT_WIDEN : INSERT_WIDEN_PAGES);
	width = idx->ef_construction;
	if (!quantised && level == 0 && store->image)
		width *= INSERT_WIDTH_PLAIN;
	else if (landed && idx->metric != VR_METRIC_IP)
		width = ceil(width * INSERT_WIDTH_LANDED);
	most = width + widen;

	s->resumable = false;
	VrHnswSearchLevel(s, level, width);
	for (i = 0; i < nentries; i++)
		VrHnswSearchAdd(s, entries[i]);
	if (landed)
		VrHnswLandmarksEnter(s);
	VrHnswSearchRun(s);
	if (widen > 0)
		VrHnswSearchWiden(s, widen);
	VrHnswSearchSort(s, 0, s->nhits);
	cands = palloc(Max(Min(s->nhits, most), 1) * sizeof(*cands));
	for (i = 0; i < s->nhits && n < most; i++)
	{
		VrHnswRecord rec = (VrHnswRecord) s->hits[i].value;

		if (!s->hits[i].live)
			continue;
		cands[n].id = s->hits[i].id;
		cands[n].rec = rec;
		cands[n].d = s->hits[i].d;
		if (idx->metric == VR_METRIC_IP && quantised)
			cands[n].d -= s->query->norm2;
		cands[n].value = VrHnswRecordValue(store, rec);
		if (rec->value_block != VR_HNSW_NO_BLOCK && !store->image)
		{
			char *copy = palloc(rec->value_bytes);

			memcpy(copy, cands[n].value, rec->value_bytes);
			cands[n].value = copy;
		}
		n++;
	}
	out->n = VrHnswSelect(store, cands, n, limit, &out->chosen);
	memcpy(out->neighbours, cands, out->n * sizeof(*cands));
}

/* Reads the entry point as it is now. */
static void
InsertReadEntry(VrHnswStore *store, uint32 *entry, int *entry_level)
{
	if (store->image)
	{
		VrHnswImageShared *shared = store->image->shared;

		LWLockAcquire(&shared->entry_lock, LW_SHARED);
		*entry = shared->entry;
		*entry_level = shared->entry_level;
		LWLockRelease(&shared->entry_lock);
	}
	else
	{
		Buffer buf = VrHnswReadPage(store->index, VR_HNSW_META_BLOCK,
									BUFFER_LOCK_SHARE, VR_PAGE_META);
		VrHnswMetaPage meta = VrHnswPageMeta(BufferGetPage(buf));

		*entry = meta->entry;
		*entry_level = meta->entry_level;
		UnlockReleaseBuffer(buf);
	}
}

/* The record of level 0 of a record's vertex. */
static uint32
InsertBase(VrHnswStore *store, uint32 id, int level)
{
	uint32 base = VR_HNSW_NO_VERTEX;
	VrHnswRef ref;

	if (VrHnswVisit(store, id, level,
					store->image ? BUFFER_LOCK_UNLOCK : BUFFER_LOCK_SHARE,
					&ref))
	{
		base = ref.rec->base;
		VrHnswRelease(&ref);
	}
	return base;
}

/* Makes a record the entry point, if it is higher than the present one. */
static void
InsertRaiseEntry(VrHnswStore *store, uint32 id, int level)
{
	if (store->image)
	{
		VrHnswImageShared *shared = store->image->shared;

		LWLockAcquire(&shared->entry_lock, LW_EXCLUSIVE);
		if (level > shared->entry_level)
		{
			shared->entry = id;
			shared->entry_level = level;
		}
		LWLockRelease(&shared->entry_lock);
	}
	else
	{
		Buffer buf = VrHnswReadPage(store->index, VR_HNSW_META_BLOCK,
									BUFFER_LOCK_EXCLUSIVE, VR_PAGE_META);
		VrHnswMetaPage meta = VrHnswPageMeta(BufferGetPage(buf));
		VrHnswEdit edit;

		if (meta->entry == VR_HNSW_NO_VERTEX || level > meta->entry_level)
		{
			VrHnswEditBegin(&edit, store);
			meta = VrHnswPageMeta(VrHnswEditPage(&edit, buf));
			meta->entry = id;
			meta->entry_level = level;
			VrHnswEditFinish(&edit);
		}
		UnlockReleaseBuffer(buf);
	}
}

/* Room in the image for a vertex; ids[0..level]. False: full. */
static bool
InsertTakeImageRecords(VrHnswImage *image, int *level, uint32 *ids)
{
	int l;

	ids[0] = VrHnswImageAlloc(image, false);
	if (ids[0] == VR_HNSW_NO_VERTEX)
		return false;
	for (l = 1; l <= *level; l++)
	{
		ids[l] = VrHnswImageAlloc(image, true);
		/* Out of records for upper levels: a lower vertex does as well. */
		if (ids[l] == VR_HNSW_NO_VERTEX)
			*level = l - 1;
	}
	return true;
}

/* Writes the records of the new vertex, level 0 first. */
static bool
InsertRecords(VrHnswInserter *ins, const VrHnswValue *value, ItemPointer tid,
			  int *level, InsertLevel **levels, uint32 *ids)
{
	VrHnswStore *store = ins->store;
	const VrHnswLayout *l = &store->idx->layout;
	bool is_long =
		store->idx->form == VR_FORM_PLAIN && value->bytes > l->own_bytes;
	int i;

	if (store->image && !InsertTakeImageRecords(store->image, level, ids))
		return false;
	for (i = 0; i <= *level; i++)
	{
		VrHnswRecord rec = store->image
							   ? VrHnswImageRecord(store->image, ids[i])
							   : palloc0(l->record_size);

		VrHnswFillRecord(
			store, rec, value, i, levels[i] ? levels[i]->neighbours : NULL,
			levels[i] ? levels[i]->n : 0, levels[i] ? levels[i]->chosen : 0);
		rec->down = i > 0 ? ids[i - 1] : VR_HNSW_NO_VERTEX;
		rec->base = ids[0];
		if (i == 0)
			rec->tid = *tid;
		else
			ItemPointerSetInvalid(&rec->tid);
		if (is_long && !store->image)
			rec->value_block = InsertLongValue(store, value);
		else if (is_long && !VrHnswImageAddLong(store->image, rec, value->data,
												value->bytes))
		{
			/* Nothing leads to it yet: leave it free, and go to pages. */
			if (i == 0)
				return false;
			*level = i - 1;
			break;
		}
		rec->flags = VR_RECORD_USED;
		if (!store->image)
			ids[i] = InsertWriteRecord(store, rec);
	}
	return true;
}

/*
 * Has the chosen neighbours of a level link back. With stem, one of them at
 * least does so by a stem, or else one that their stems lead to.
 */
static void
InsertBacklinks(VrHnswInserter *ins, const VrHnswValue *value, int level,
				uint32 id, const InsertLevel *chosen, bool stem)
{
	VrHnswNewcomer newcomer = {value, ins->search.qquery, id};
	bool linked = false; /* and by a stem, if it is to be */
	uint32 victim;
	int i;

	for (i = 0; i < chosen->n; i++)
	{
		bool got;

		if (i + 1 < chosen->n)
			VrHnswPrefetchLinks(ins->store, chosen->neighbours[i + 1].id);
		got = InsertBacklink(ins->store, chosen->neighbours[i].id, level,
							 &newcomer, chosen->neighbours[i].d, false,
							 stem && !linked ? &linked : NULL, &victim);
		if (!stem)
			linked |= got;
	}
	/* Nobody wanted it: the nearest who still can must. */
	for (i = 0; !linked && i < chosen->n; i++)
	{
		bool got = InsertBacklink(ins->store, chosen->neighbours[i].id, level,
								  &newcomer, chosen->neighbours[i].d, true,
								  stem ? &linked : NULL, &victim);

		if (stem)
			continue;
		linked = got;
		if (linked && victim != VR_HNSW_NO_VERTEX)
			InsertAdopt(ins->store, id, level, victim, false);
	}
	if (stem && !linked && chosen->n > 0)
	{
		InsertHolder *holders = palloc(INSERT_HANG_MOST * sizeof(InsertHolder));

		i = 0;
		InsertNoteHolder(holders, &i, chosen->neighbours[0].id,
						 chosen->neighbours[0].d);
		InsertHang(ins->store, &newcomer, holders, i, NULL, NULL);
	}
}

/* The way down from the entry to a level, for a search of that level. */
static uint32
InsertDescend(VrHnswInserter *ins, const VrHnswValue *value, uint32 entry,
			  int entry_level, int level)
{
	VrHnswSearch *s = &ins->search;
	uint32 down = VrHnswSearchDescend(s, entry, entry_level, level);

	if (down == VR_HNSW_NO_VERTEX)
	{
		/*
		 * The way led over dead records, and vacuum freed them. By then no live
		 * one leads to them, so a second try cannot meet them.
		 */
		VrHnswSearchQuery(s, value);
		down = VrHnswSearchDescend(s, entry, entry_level, level);
	}
	if (down == VR_HNSW_NO_VERTEX)
		VrHnswCorrupt(ins->store->index, VR_HNSW_META_BLOCK,
					  "the way down from the entry point is lost");
	return down;
}

/*
 * The insertion proper, with the barrier or the image's locks held. exclusive
 * says that nobody else inserts; without it, *again asks for that, when the
 * vertex would become the entry.
 */
static VrHnswInsertResult
InsertLocked(VrHnswInserter *ins, const VrHnswValue *value, ItemPointer tid,
			 bool unchanged, bool exclusive, bool *again)
{
	VrHnswStore *store = ins->store;
	VrHnswSearch *s = &ins->search;
	InsertLevel *levels[VR_HNSW_MAX_LEVEL + 1] = {NULL};
	uint32 ids[VR_HNSW_MAX_LEVEL + 1];
	uint32 *entries;
	int nentries;
	int level = VrHnswRandomLevel(store->idx, tid);
	int entry_level;
	uint32 entry;
	uint32 old_base = VR_HNSW_NO_VERTEX;
	bool landed;
	bool full;
	uint32 i;
	int l;

	*again = false;
	InsertReadEntry(store, &entry, &entry_level);
	if (!exclusive && (entry == VR_HNSW_NO_VERTEX || level > entry_level))
	{
		*again = true;
		return VR_INSERT_FULL;
	}
	if (entry != VR_HNSW_NO_VERTEX)
	{
		if (exclusive)
			old_base = InsertBase(store, entry, entry_level);
		if (unchanged &&
			InsertJoinUnchanged(ins, value, tid, entry, entry_level, &full))
			return full ? VR_INSERT_FULL : VR_INSERT_SAME;
		VrHnswSearchQuery(s, value);
		l = Min(level, entry_level);
		entries = palloc(Max(store->idx->ef_construction, 1 + VR_HNSW_ALSO) *
						 sizeof(uint32));
		nentries = 0;
		landed = level == 0 && VrHnswLandmarksOfImage(store);
		if (!landed)
		{
			entries[nentries++] =
				InsertDescend(ins, value, entry, entry_level, l);
			for (i = 0; i < (uint32) s->nalso; i++)
				entries[nentries++] = s->also[i];
		}
		for (; l >= 0; l--)
		{
			levels[l] = palloc(sizeof(InsertLevel));
			InsertSelect(ins, l, entries, nentries, landed, levels[l]);
			if (l == 0 && InsertJoin(ins, value, tid, &full))
				return full ? VR_INSERT_FULL : VR_INSERT_SAME;
			nentries = 0;
			for (i = 0; i < s->nhits && nentries < 4 && l > 0; i++)
				entries[nentries++] = s->hits[i].link;
		}
	}
	if (!InsertRecords(ins, value, tid, &level, levels, ids))
		return VR_INSERT_FULL;
	if (store->image)
		VrHnswLandmarksNote(store, ids[0], value);
	for (l = 0; l <= level; l++)
		if (levels[l])
			InsertBacklinks(ins, value, l, ids[l], levels[l], l == 0);
	if (exclusive)
	{
		/* The tree of stems grows from the entry. */
		if (old_base != VR_HNSW_NO_VERTEX)
			InsertAdopt(store, ids[0], 0, old_base, true);
		InsertRaiseEntry(store, ids[level], level);
	}
	return VR_INSERT_NEW;
}

/*
 * Inserts a row's value: a new vertex, or a TID more for an equal one.
 * unchanged hints that an equal one is likely. Pages: takes the barrier.
 */
VrHnswInsertResult
VrHnswInsertValue(VrHnswInserter *ins, const VrHnswValue *value,
				  ItemPointer tid, bool unchanged)
{
	VrHnswStore *store = ins->store;
	MemoryContext old;
	VrHnswInsertResult result;
	bool again;

	MemoryContextReset(ins->cxt);
	old = MemoryContextSwitchTo(ins->cxt);
	if (store->image)
	{
		result = InsertLocked(ins, value, tid, unchanged, false, &again);
		if (again)
		{
			LWLock *lock = &store->image->shared->raise_lock;

			LWLockAcquire(lock, LW_EXCLUSIVE);
			result = InsertLocked(ins, value, tid, unchanged, true, &again);
			LWLockRelease(lock);
		}
	}
	else
	{
		LockPage(store->index, VR_HNSW_META_BLOCK, ShareLock);
		result = InsertLocked(ins, value, tid, unchanged, false, &again);
		UnlockPage(store->index, VR_HNSW_META_BLOCK, ShareLock);
		if (again)
		{
			LockPage(store->index, VR_HNSW_META_BLOCK, ExclusiveLock);
			result = InsertLocked(ins, value, tid, unchanged, true, &again);
			UnlockPage(store->index, VR_HNSW_META_BLOCK, ExclusiveLock);
		}
	}
	MemoryContextSwitchTo(old);
	return result;
}

/* Adds neighbours to a record on a page, as far as it has room. */
static void
InsertFillLanes(VrHnswStore *store, uint32 id, int level,
				const InsertLevel *chosen)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswRecord rec;
	VrHnswEdit edit;
	VrHnswRef ref;
	int i;

	if (!VrHnswVisit(store, id, level, BUFFER_LOCK_EXCLUSIVE, &ref))
		return;
	if (ref.rec->degree < VrHnswDegreeLimit(l, level))
	{
		VrHnswEditBegin(&edit, store);
		rec =
			(VrHnswRecord) (VrHnswPageContents(VrHnswEditPage(&edit, ref.buf)) +
							(id % l->slots) * l->record_size);
		for (i = 0; i < chosen->n; i++)
		{
			const VrHnswNeighbour *u = &chosen->neighbours[i];
			VrHnswValue value = {0};

			if (rec->degree >= VrHnswDegreeLimit(l, level))
				break;
			if (InsertHasNeighbour(store, rec, u->id))
				continue;
			if (store->idx->form == VR_FORM_QUANTISED)
				VrHnswValueOfRecord(store, u->rec, &value);
			VrHnswSetLane(store, rec, rec->degree, u->id, &value);
		}
		VrHnswEditFinish(&edit);
	}
	VrHnswRelease(&ref);
}

/*
 * Links a live record of the index anew, by an insertion's search: it gets
 * neighbours where it has room, and somebody links back to it. For vacuum,
 * which is the only one to mark records dead and so needs no barrier. entries
 * are records of that level to start from, besides the way down. Returns false
 * if there is nothing to link it to.
 *
 * bridge says that the entries belong to another part of the graph: the search
 * starts from them alone, and the nearest one found and the record become
 * neighbours of each other even if both are full.
 */
bool
VrHnswRelink(VrHnswInserter *ins, uint32 id, int level, const uint32 *entries,
			 int nentries, bool bridge)
{
	VrHnswStore *store = ins->store;
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswSearch *s = &ins->search;
	MemoryContext old;
	VrHnswRecord copy;
	VrHnswValue value;
	InsertLevel *chosen;
	uint32 *starts;
	int nstarts = 0;
	uint32 entry;
	int entry_level;
	VrHnswRef ref;

	if (!VrHnswVisit(store, id, level, BUFFER_LOCK_SHARE, &ref))
		return false;
	MemoryContextReset(ins->cxt);
	old = MemoryContextSwitchTo(ins->cxt);
	copy = palloc(l->record_size);
	memcpy(copy, ref.rec, l->record_size);
	VrHnswRelease(&ref);

	starts = palloc((nentries + 1) * sizeof(uint32));
	if (nentries > 0)
		memcpy(starts, entries, nentries * sizeof(uint32));
	nstarts = nentries;
	VrHnswValueOfRecord(store, copy, &value);
	VrHnswSearchQuery(s, &value);
	s->self = id;
	InsertReadEntry(store, &entry, &entry_level);
	if (!bridge && entry != VR_HNSW_NO_VERTEX && entry_level >= level)
	{
		entry = VrHnswSearchDescend(s, entry, entry_level, level);
		if (entry != VR_HNSW_NO_VERTEX)
			starts[nstarts++] = entry;
	}
	chosen = palloc(sizeof(InsertLevel));
	InsertSelect(ins, level, starts, nstarts, false, chosen);
	s->self = VR_HNSW_NO_VERTEX;
	if (chosen->n > 0)
	{
		InsertFillLanes(store, id, level, chosen);
		if (bridge)
		{
			const VrHnswNeighbour *u = &chosen->neighbours[0];
			VrHnswNewcomer newcomer = {NULL, NULL, u->id};
			VrHnswValue uvalue;
			uint32 victim;

			VrHnswValueOfRecord(store, u->rec, &uvalue);
			newcomer.value = &uvalue;
			if (store->idx->form == VR_FORM_QUANTISED)
				newcomer.query = VrQuantQueryInit(
					&store->idx->quant, uvalue.rotated,
					VR_QUERY_CODES | VR_QUERY_OWN,
					palloc(VrQuantQuerySize(&store->idx->quant)));
			InsertBacklink(store, id, level, &newcomer, u->d, true, NULL,
						   &victim);
		}
		InsertBacklinks(ins, &value, level, id, chosen, false);
	}
	MemoryContextSwitchTo(old);
	return chosen->n > 0;
}

/*
 * Has a vertex lead to a live one by a stem: the nearest that a search finds or
 * its stems lead to and may() allows to, or one that stems of others lead to.
 * For vacuum, as VrHnswRelink. Returns whose stem it is, or NO_VERTEX.
 */
uint32
VrHnswHang(VrHnswInserter *ins, uint32 id, const uint32 *others, int nothers,
		   VrHnswMayHold may, void *arg)
{
	VrHnswStore *store = ins->store;
	VrHnswSearch *s = &ins->search;
	VrHnswNewcomer newcomer = {NULL, NULL, id};
	InsertHolder *holders;
	int n = 0;
	VrHnswRecord copy;
	VrHnswValue value;
	MemoryContext old;
	VrHnswRef ref;
	uint32 from;
	uint32 entry;
	int entry_level;
	uint32 i;

	if (!VrHnswVisit(store, id, 0, BUFFER_LOCK_SHARE, &ref))
		return VR_HNSW_NO_VERTEX;
	MemoryContextReset(ins->cxt);
	old = MemoryContextSwitchTo(ins->cxt);
	copy = palloc(store->idx->layout.record_size);
	memcpy(copy, ref.rec, store->idx->layout.record_size);
	VrHnswRelease(&ref);
	VrHnswValueOfRecord(store, copy, &value);
	VrHnswSearchQuery(s, &value);
	newcomer.value = &value;
	newcomer.query = s->qquery;
	s->self = id;
	s->resumable = false;
	InsertReadEntry(store, &entry, &entry_level);
	if (entry != VR_HNSW_NO_VERTEX)
		entry = VrHnswSearchDescend(s, entry, entry_level, 0);
	VrHnswSearchLevel(s, 0, store->idx->ef_construction);
	if (entry != VR_HNSW_NO_VERTEX)
		VrHnswSearchAdd(s, entry);
	VrHnswSearchRun(s);
	s->resumable = true;
	VrHnswSearchDirect(s, others, nothers);
	s->resumable = false;
	s->self = VR_HNSW_NO_VERTEX;
	holders = palloc(INSERT_HANG_MOST * sizeof(InsertHolder));
	/* Half of the room is for whom their stems lead to. */
	for (i = 0; i < s->nhits && n < INSERT_HANG_MOST / 2; i++)
		InsertNoteHolder(holders, &n, s->hits[i].id,
						 store->idx->form == VR_FORM_QUANTISED &&
								 store->idx->metric == VR_METRIC_IP
							 ? s->hits[i].d - value.norm2
							 : s->hits[i].d);
	from = InsertHang(store, &newcomer, holders, n, may, arg);
	MemoryContextSwitchTo(old);
	return from;
}

/* aminsert. Everything is allocated in a context of its own and freed. */
bool
vr_hnsw_insert(Relation index, Datum *values, bool *isnull,
			   ItemPointer heap_tid, Relation heap, IndexUniqueCheck check,
			   bool unchanged, IndexInfo *info)
{
	MemoryContext cxt;
	MemoryContext old;
	VrHnswMetaPageData meta;
	VrHnswIndex *idx;
	VrHnswValue value;

	if (isnull[0])
		return false;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecrecall hnsw insert",
								ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	idx = VrHnswOpen(index, &meta);
	if (VrHnswFormValue(idx, index, values, isnull, &value))
	{
		VrHnswStore store;
		VrHnswInserter ins;

		VrHnswStoreInit(&store, index, idx);
		if (!unchanged || !InsertJoinKnown(&store, &value, heap_tid))
		{
			VrHnswInserterInit(&ins, &store, cxt);
			VrHnswInsertValue(&ins, &value, heap_tid, unchanged);
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return false;
}
