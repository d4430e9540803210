/*
 * hnsw_walk.c
 *		The live records of an index in the order of their ids, page by page:
 *		for whoever cannot follow edges.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "hnsw/hnsw_private.h"

/* Begins a walk over the ids from first to before end. */
void
VrHnswWalkBegin(VrHnswWalk *w, VrHnswStore *store,
				BufferAccessStrategy strategy, uint32 first, uint32 end)
{
	w->store = store;
	w->strategy = strategy;
	w->next = first;
	w->end = end;
	w->buf = w->last = InvalidBuffer;
}

/*
 * Goes to the next live record, whose page is then locked share; false if there
 * is none, with nothing held. Pages that are not VERTEX pages are passed over:
 * what is wrong with them is for others to say.
 */
bool
VrHnswWalkNext(VrHnswWalk *w)
{
	const VrHnswLayout *l = &w->store->idx->layout;

	while (w->next < w->end)
	{
		BlockNumber block = w->next / l->slots;
		Page page;

		/* The record before may have been its page's last. */
		if (BufferIsValid(w->buf) && BufferGetBlockNumber(w->buf) != block)
			VrHnswWalkEnd(w);
		if (!BufferIsValid(w->buf))
		{
			CHECK_FOR_INTERRUPTS();
			w->buf = w->last =
				VrHnswPinNext(w->store->index, block, w->last, w->strategy);
			LockBuffer(w->buf, BUFFER_LOCK_SHARE);
		}
		page = BufferGetPage(w->buf);
		if (VrHnswProbePage(page) != VR_PAGE_VERTEX)
			w->next = (block + 1) * l->slots;
		while (w->next < w->end && w->next / l->slots == block)
		{
			w->id = w->next++;
			w->rec = (VrHnswRecord) (VrHnswPageContents(page) +
									 (w->id % l->slots) * l->record_size);
			if (VrHnswRecordIsLive(w->rec))
				return true;
		}
		VrHnswWalkEnd(w);
	}
	VrHnswWalkEnd(w);
	return false;
}

/* Lets go of what a walk that is not at its end holds. */
void
VrHnswWalkEnd(VrHnswWalk *w)
{
	if (BufferIsValid(w->buf))
		UnlockReleaseBuffer(w->buf);
	w->buf = InvalidBuffer;
}

/*
 * The vertices of a page: ids of its live records of level 0, of which there is
 * room for VR_HNSW_MAX_SLOTS. Returns how many. Nothing is held afterwards.
 */
int
VrHnswWalkPage(VrHnswStore *store, BlockNumber block, uint32 *ids)
{
	uint32 slots = store->idx->layout.slots;
	VrHnswWalk w;
	int n = 0;

	VrHnswWalkBegin(&w, store, NULL, block * slots, (block + 1) * slots);
	while (VrHnswWalkNext(&w))
		if (w.rec->level == 0)
			ids[n++] = w.id;
	return n;
}
