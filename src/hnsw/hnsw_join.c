/*
 * hnsw_join.c
 *		The last step of a build: an edge to every vertex that none can be
 *		followed to.
 *
 * Vertices replace each other in their neighbours' lists as they are linked,
 * so about one in a thousand ends up without a way in. A walk from the entry
 * finds them, and marks for every vertex the edge it was first come by. Those
 * edges are never given up again: the edge to a lost vertex takes a free lane
 * of a near one, or replaces an edge that the walk did not need.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"

/* Near vertices that are asked to take a lost one. */
#define JOIN_EF 32

typedef struct JoinWork
{
	VrHnswStore *store;
	VrHnswInserter *ins;
	uint32 entry;
	int entry_level;
	uint32 n;       /* ids are below this */
	uint32 *parent; /* whose edge led here first; NO_VERTEX: nobody's */
	uint32 *queue;
	MemoryContext cxt; /* reset for every lost vertex */
} JoinWork;

/* Copies a record's neighbours; returns how many there are. */
static int
JoinNeighbours(JoinWork *j, uint32 id, uint32 *ids)
{
	VrHnswRef ref;
	int n;

	if (!VrHnswVisit(j->store, id, 0, BUFFER_LOCK_SHARE, &ref))
		return 0;
	n = ref.rec->degree;
	memcpy(ids, VrHnswRecordIds(ref.rec, &j->store->idx->layout),
		   n * sizeof(uint32));
	VrHnswRelease(&ref);
	return n;
}

/* Follows edges from a vertex whose parent is set. */
static void
JoinWalk(JoinWork *j, uint32 from)
{
	uint32 ids[VR_HNSW_MAX_LANES];
	uint32 head = 0;
	uint32 tail = 0;

	j->queue[tail++] = from;
	while (head < tail)
	{
		uint32 id = j->queue[head++];
		int n = JoinNeighbours(j, id, ids);
		int i;

		for (i = 0; i < n; i++)
			if (ids[i] < j->n && j->parent[ids[i]] == VR_HNSW_NO_VERTEX)
			{
				j->parent[ids[i]] = id;
				j->queue[tail++] = ids[i];
			}
		if (head % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

/* The lane of a record that an edge to a lost vertex may take, or -1. */
static int
JoinLane(JoinWork *j, VrHnswRecord rec, uint32 id)
{
	const VrHnswLayout *l = &j->store->idx->layout;
	const uint32 *ids = VrHnswRecordIds(rec, l);
	int i;

	if (rec->degree < VrHnswDegreeLimit(l, 0))
		return rec->degree;
	/* Neighbours were selected nearest first: the last is no great loss. */
	for (i = rec->degree - 1; i >= 0; i--)
		if (ids[i] < j->n && j->parent[ids[i]] != id && !VrHnswIsStem(rec, i))
			return i;
	return -1;
}

/* Has a vertex lead to a lost one, if it can spare a lane. */
static bool
JoinTake(JoinWork *j, uint32 id, uint32 lost, const VrHnswValue *value)
{
	VrHnswRef ref;
	int lane;

	if (!VrHnswVisit(j->store, id, 0, BUFFER_LOCK_EXCLUSIVE, &ref))
		return false;
	lane = JoinLane(j, ref.rec, id);
	if (lane >= 0)
	{
		if (ref.buf != InvalidBuffer)
			MarkBufferDirty(ref.buf);
		VrHnswSetLane(j->store, ref.rec, lane, lost, value);
		j->parent[lost] = id;
	}
	VrHnswRelease(&ref);
	return lane >= 0;
}

/* Has a near vertex that can be come to lead to a lost one. */
static bool
JoinLink(JoinWork *j, uint32 lost)
{
	VrHnswStore *store = j->store;
	VrHnswSearch *s = &j->ins->search;
	VrHnswRecord copy = palloc(store->idx->layout.record_size);
	VrHnswValue value;
	VrHnswRef ref;
	uint32 entry;
	uint32 i;

	if (!VrHnswVisit(store, lost, 0, BUFFER_LOCK_SHARE, &ref))
		return false;
	memcpy(copy, ref.rec, store->idx->layout.record_size);
	VrHnswRelease(&ref);
	VrHnswValueOfRecord(store, copy, &value);
	VrHnswSearchQuery(s, &value);
	entry = VrHnswSearchDescend(s, j->entry, j->entry_level, 0);
	if (entry == VR_HNSW_NO_VERTEX)
		return false;
	s->resumable = false;
	VrHnswSearchLevel(s, 0, JOIN_EF);
	VrHnswSearchAdd(s, entry);
	VrHnswSearchRun(s);
	VrHnswSearchSort(s, 0, s->nhits);
	/* The way down may itself end at a lost vertex: such are no help. */
	for (i = 0; i < s->nhits; i++)
		if (j->parent[s->hits[i].id] != VR_HNSW_NO_VERTEX &&
			JoinTake(j, s->hits[i].id, lost, &value))
			return true;
	return false;
}

/* Links a record if it is a vertex, and lost. */
static void
JoinVertex(JoinWork *j, uint32 id)
{
	MemoryContext old;

	if (j->parent[id] != VR_HNSW_NO_VERTEX)
		return;
	old = MemoryContextSwitchTo(j->cxt);
	if (JoinLink(j, id))
		JoinWalk(j, id);
	MemoryContextSwitchTo(old);
	MemoryContextReset(j->cxt);
	CHECK_FOR_INTERRUPTS();
}

/* Does that for all records of an index's pages. */
static void
JoinPages(JoinWork *j)
{
	uint32 ids[VR_HNSW_MAX_SLOTS];
	BlockNumber block;

	for (block = 1; block < j->store->nblocks; block++)
	{
		int n = VrHnswWalkPage(j->store, block, ids);
		int i;

		for (i = 0; i < n; i++)
			JoinVertex(j, ids[i]);
	}
}

/*
 * Makes every vertex of an image, or of an index that is being built,
 * reachable from the entry, as far as there is room. Nobody else may work on
 * it. The memory it takes, 8 bytes per vertex, comes on top of the build's.
 */
void
VrHnswJoin(VrHnswInserter *ins)
{
	VrHnswStore *store = ins->store;
	JoinWork state = {store, ins};
	JoinWork *j = &state;
	VrHnswRef ref;
	uint32 root;
	uint32 i;

	if (store->image)
	{
		j->entry = store->image->shared->entry;
		j->entry_level = store->image->shared->entry_level;
		j->n = pg_atomic_read_u32(&store->image->shared->n0);
	}
	else
	{
		VrHnswMetaPageData meta;

		VrHnswReadMeta(store->index, &meta);
		j->entry = meta.entry;
		j->entry_level = meta.entry_level;
		store->nblocks = RelationGetNumberOfBlocks(store->index);
		j->n = VrHnswMaxVertex(store);
	}
	if (j->entry == VR_HNSW_NO_VERTEX ||
		!VrHnswVisit(store, j->entry, j->entry_level, BUFFER_LOCK_SHARE, &ref))
		return;
	root = ref.rec->base;
	VrHnswRelease(&ref);
	j->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecrecall hnsw join",
								   ALLOCSET_DEFAULT_SIZES);
	j->parent = palloc_extended((Size) j->n * sizeof(uint32), MCXT_ALLOC_HUGE);
	j->queue = palloc_extended((Size) j->n * sizeof(uint32), MCXT_ALLOC_HUGE);
	memset(j->parent, 0xFF, (Size) j->n * sizeof(uint32));
	j->parent[root] = root;
	JoinWalk(j, root);
	if (!store->image)
		JoinPages(j);
	else
		for (i = 0; i < j->n; i++)
			if (!VrHnswRecordIsFree(VrHnswImageRecord(store->image, i)))
				JoinVertex(j, i);
	pfree(j->queue);
	pfree(j->parent);
	MemoryContextDelete(j->cxt);
}
