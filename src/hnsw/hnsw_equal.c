/*
 * hnsw_equal.c
 *		Which vertex has a value: for UPDATEs that leave it, in any order.
 *
 * Such an UPDATE looks for the vertex by a search. When a backend's searches
 * for equal vertices of an index have taken as long as one pass over its pages
 * would, that pass notes the hash of every value, and from then on a look into
 * that table takes the place of a search: so all of it costs no more than about
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

/* Bytes that one prefetch asks for. */
#define EQUAL_LINE 64

/* Values whose places are on their way into the cache before they are noted. */
#define EQUAL_PENDING 8

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

/* An odd number with bits everywhere: 2^64 by the golden ratio. */
#define EQUAL_FACTOR UINT64CONST(0x9E3779B97F4A7C15)

#define EqualRotate(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

static inline uint64
EqualMix(uint64 h, const char *data)
{
	uint64 w;

	memcpy(&w, data, sizeof(w));
	return EqualRotate((h ^ w) * EQUAL_FACTOR, 29);
}

/*
 * The hash of many bytes. Four at a time, as fast as memory gives them: with
 * the server's hash_bytes, a nanosecond a byte, hashing was most of a pass. It
 * is kept nowhere but in this backend.
 */
static uint32
EqualBytes(const char *data, uint32 n)
{
	uint64 a = n;
	uint64 b = 1;
	uint64 c = 2;
	uint64 d = 3;
	char rest[32] = {0};

	for (; n >= 32; data += 32, n -= 32)
	{
		a = EqualMix(a, data);
		b = EqualMix(b, data + 8);
		c = EqualMix(c, data + 16);
		d = EqualMix(d, data + 24);
	}
	memcpy(rest, data, n);
	a = EqualMix(a, rest);
	b = EqualMix(b, rest + 8);
	c = EqualMix(c, rest + 16);
	d = EqualMix(d, rest + 24);
	a ^= EqualRotate(b, 16) ^ EqualRotate(c, 32) ^ EqualRotate(d, 48);
	return (uint32) (((a ^ (a >> 32)) * EQUAL_FACTOR) >> 32);
}

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
		hash = EqualBytes(data, bytes);
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
 * Asks for what the record behind this one is hashed from; of the next page it
 * is guessed where it is (VrHnswPinNext).
 */
static void
EqualPrefetch(const VrHnswIndex *idx, const VrHnswWalk *w)
{
	const VrHnswLayout *l = &idx->layout;
	VrHnswRecord next = (VrHnswRecord) ((char *) w->rec + l->record_size);
	uint32 at;

	if ((w->id + 1) % l->slots == 0)
		next =
			(VrHnswRecord) ((char *) next + BLCKSZ - l->slots * l->record_size);
	VR_PREFETCH(next);
	if (idx->form == VR_FORM_PLAIN)
		for (at = 0; at < l->own_bytes; at += EQUAL_LINE)
			VR_PREFETCH_FAR(VrHnswRecordOwn(next, l) + at);
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
	EqualPlace pending[EQUAL_PENDING];
	EqualPlace *p;
	uint32 n = 0;
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
		EqualPrefetch(idx, &w);
		/* Long values stand elsewhere: those are found by searches. */
		if (w.rec->level > 0 || w.rec->value_block != VR_HNSW_NO_BLOCK ||
			(idx->form == VR_FORM_PLAIN && w.rec->value_bytes > l->own_bytes))
			continue;
		p = &pending[n % EQUAL_PENDING];
		if (n++ >= EQUAL_PENDING)
			EqualNote(e, p->hash, p->id);
		p->hash = EqualHash(idx, w.rec->value_bytes, VrHnswRecordOwn(w.rec, l),
							VrHnswRecordAttrs(w.rec, l), w.rec->attr_nulls);
		p->id = w.id;
		VR_PREFETCH(&e->at[p->hash & (places - 1)]);
	}
	VrHnswWalkEnd(&w);
	for (n = Min(n, EQUAL_PENDING); n > 0; n--)
		EqualNote(e, pending[n - 1].hash, pending[n - 1].id);
	FreeAccessStrategy(strategy);
	MemoryContextSetParent(cxt, idx->cxt);
	return e;
}

/*
 * A search for an equal vertex has visited so many records, and found that one,
 * or NO_VERTEX. Makes the table, or makes it anew, when it is time.
 */
void
VrHnswEqualSought(VrHnswStore *store, const VrHnswValue *value, int64 visits,
				  uint32 found)
{
	VrHnswIndex *idx = store->idx;

	if (store->image)
		return;
	if (idx->equals != NULL && found != VR_HNSW_NO_VERTEX)
		EqualNote(idx->equals, VrHnswEqualHash(idx, value), found);
	idx->sought += visits;
	/*
	 * A pass over four pages takes as long as a visit, while both are new to
	 * the backend; where it has to hash all values, that over one.
	 */
	if (idx->sought <
		(idx->form == VR_FORM_PLAIN ? store->nblocks : store->nblocks / 4))
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
