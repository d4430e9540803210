/*
 * hnsw_equal.c
 *		Which vertex has a value: for UPDATEs that leave it, in any order.
 *
 * Such an UPDATE looks for the vertex by a search. When a backend's searches
 * for equal vertices of an index have visited as many records as it has, one
 * pass over its pages notes the hash of every value, and from then on a look
 * into that table takes the place of a search: so all of it costs no more than
 * twice what it must. What the table says is a hint. The caller verifies it
 * under the lock of the record's page, and searches where nothing is noted.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_private.h"

/* The least number of places, a power of two. */
#define EQUAL_PLACES 256

/* So much of a table may be taken: three quarters. */
#define EQUAL_ROOM(places) ((places) / 4 * 3)

typedef struct EqualPlace
{
	uint32 hash;
	uint32 id; /* NO_VERTEX: an empty place */
} EqualPlace;

struct VrHnswEquals
{
	MemoryContext cxt; /* owner of this */
	uint32 places;     /* a power of two */
	uint32 count;
	EqualPlace *at;
};

/*
 * The hash of a value with its attributes. bytes and data as a record has them:
 * of quantised values bytes is a hash itself, of the column's own value.
 */
static uint32
EqualHash(const VrHnswIndex *idx, uint32 bytes, const char *data,
		  const uint64 *attrs, uint16 nulls)
{
	uint32 hash = bytes;

	if (idx->form == VR_FORM_PLAIN)
		hash = hash_bytes((const unsigned char *) data, bytes);
	if (idx->layout.nattrs > 0)
		hash =
			hash_combine(hash_combine(hash, nulls),
						 hash_bytes((const unsigned char *) attrs,
									idx->layout.nattrs * (int) sizeof(uint64)));
	return hash;
}

uint32
VrHnswEqualHash(const VrHnswIndex *idx, const VrHnswValue *value)
{
	return EqualHash(idx, value->bytes, value->data, value->attrs,
					 value->attr_nulls);
}

/*
 * The vertices noted for a hash, one at a time: *next is 0 at first. NO_VERTEX
 * after the last, or if nothing is known.
 */
uint32
VrHnswEqualFind(const VrHnswIndex *idx, uint32 hash, uint32 *next)
{
	const VrHnswEquals *e = idx->equals;

	if (e == NULL)
		return VR_HNSW_NO_VERTEX;
	while (*next < e->places)
	{
		const EqualPlace *p = &e->at[(hash + (*next)++) & (e->places - 1)];

		if (p->id == VR_HNSW_NO_VERTEX)
			break;
		if (p->hash == hash)
			return p->id;
	}
	return VR_HNSW_NO_VERTEX;
}

/* Notes a vertex, while there is room. */
static void
EqualNote(VrHnswEquals *e, uint32 hash, uint32 id)
{
	uint32 i;

	if (e->count >= EQUAL_ROOM(e->places))
		return;
	for (i = 0;; i++)
	{
		EqualPlace *p = &e->at[(hash + i) & (e->places - 1)];

		if (p->id == VR_HNSW_NO_VERTEX)
		{
			p->hash = hash;
			p->id = id;
			e->count++;
			return;
		}
		if (p->hash == hash && p->id == id)
			return;
	}
}

/*
 * Reads all pages for a table; NULL if it would not fit work_mem. It is part of
 * the index's context only when it is whole.
 */
static VrHnswEquals *
EqualRead(VrHnswStore *store)
{
	VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;
	uint32 max = VrHnswMaxVertex(store);
	uint64 places = EQUAL_PLACES;
	BufferAccessStrategy strategy;
	MemoryContext cxt;
	VrHnswEquals *e;
	VrHnswWalk w;

	while (EQUAL_ROOM(places) < max)
		places *= 2;
	if (places * sizeof(EqualPlace) > (uint64) work_mem * 1024)
		return NULL;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecrecall hnsw equals",
								ALLOCSET_SMALL_SIZES);
	e = MemoryContextAlloc(cxt, sizeof(VrHnswEquals));
	e->cxt = cxt;
	e->places = places;
	e->count = 0;
	e->at = MemoryContextAllocHuge(cxt, places * sizeof(EqualPlace));
	memset(e->at, 0xFF, places * sizeof(EqualPlace));
	strategy = GetAccessStrategy(BAS_BULKREAD);
	VrHnswWalkBegin(&w, store, strategy, 0, max);
	while (VrHnswWalkNext(&w))
	{
		/* Long values stand elsewhere: those are found by searches. */
		if (w.rec->level > 0 || w.rec->value_block != VR_HNSW_NO_BLOCK ||
			(idx->form == VR_FORM_PLAIN && w.rec->value_bytes > l->own_bytes))
			continue;
		EqualNote(e,
				  EqualHash(idx, w.rec->value_bytes, VrHnswRecordOwn(w.rec, l),
							VrHnswRecordAttrs(w.rec, l), w.rec->attr_nulls),
				  w.id);
	}
	VrHnswWalkEnd(&w);
	FreeAccessStrategy(strategy);
	MemoryContextSetParent(cxt, idx->cxt);
	return e;
}

/*
 * A search for an equal vertex has visited so many records, and found that one,
 * or NO_VERTEX. Makes the table, or makes it anew, when it is time.
 */
void
VrHnswEqualSought(VrHnswStore *store, uint32 hash, int64 visits, uint32 found)
{
	VrHnswIndex *idx = store->idx;

	if (store->image)
		return;
	if (idx->equals != NULL && found != VR_HNSW_NO_VERTEX)
		EqualNote(idx->equals, hash, found);
	idx->sought += visits;
	if (idx->sought < VrHnswMaxVertex(store))
		return;
	idx->sought = 0;
	if (idx->equals != NULL)
	{
		MemoryContext old = idx->equals->cxt;

		idx->equals = NULL;
		MemoryContextDelete(old);
	}
	idx->equals = EqualRead(store);
}
