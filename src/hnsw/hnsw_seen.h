/*
 * hnsw_seen.h
 *		A set of record ids: open addressing, at most half full.
 *
 * Inlined: a search asks it for every record that it comes across.
 */
#ifndef VR_HNSW_SEEN_H
#define VR_HNSW_SEEN_H

#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_page.h"

/* Places of a set at first: 4 kB, for 512 records. A power of two. */
#define VR_SEEN_PLACES 1024

typedef struct VrHnswSeen
{
	uint32 *ids; /* NO_VERTEX: an empty place */
	uint32 places;
	uint32 count;
	int shift;
} VrHnswSeen;

static inline uint32
VrSeenPlace(const VrHnswSeen *seen, uint32 id)
{
	/* Knuth's multiplicative hash: the upper bits are the good ones. */
	return (id * UINT32_C(2654435769)) >> seen->shift;
}

/* Makes a set of that many places, a power of two, with nothing in it. */
static inline void
VrSeenAllocate(VrHnswSeen *seen, MemoryContext cxt, uint32 places)
{
	seen->ids = MemoryContextAllocHuge(cxt, (Size) places * sizeof(uint32));
	seen->places = places;
	seen->shift = 32 - pg_leftmost_one_pos32(places);
	seen->count = 0;
	memset(seen->ids, 0xFF, (Size) places * sizeof(uint32));
}

/* Forgets everything. */
static inline void
VrSeenReset(VrHnswSeen *seen)
{
	if (seen->count > 0)
		memset(seen->ids, 0xFF, (Size) seen->places * sizeof(uint32));
	seen->count = 0;
}

/* Where an id stands, or the empty place where it would. */
static inline uint32
VrSeenFind(const VrHnswSeen *seen, uint32 id)
{
	uint32 at = VrSeenPlace(seen, id);

	while (seen->ids[at] != id && seen->ids[at] != VR_HNSW_NO_VERTEX)
		at = (at + 1) & (seen->places - 1);
	return at;
}

static inline void
VrSeenGrow(VrHnswSeen *seen, MemoryContext cxt)
{
	VrHnswSeen old = *seen;
	uint32 i;

	VrSeenAllocate(seen, cxt, old.places * 2);
	for (i = 0; i < old.places; i++)
		if (old.ids[i] != VR_HNSW_NO_VERTEX)
			seen->ids[VrSeenFind(seen, old.ids[i])] = old.ids[i];
	seen->count = old.count;
	pfree(old.ids);
}

/* Marks an id; returns whether it was marked before. */
static inline bool
VrSeenMark(VrHnswSeen *seen, MemoryContext cxt, uint32 id)
{
	uint32 at;

	/* Damage: no record has this id, and whoever visits it says so. */
	if (unlikely(id == VR_HNSW_NO_VERTEX))
		return false;
	at = VrSeenFind(seen, id);
	if (seen->ids[at] == id)
		return true;
	seen->ids[at] = id;
	if (unlikely(++seen->count > seen->places / 2))
		VrSeenGrow(seen, cxt);
	return false;
}

/* Whether an id is marked. */
static inline bool
VrSeenHas(const VrHnswSeen *seen, uint32 id)
{
	return id != VR_HNSW_NO_VERTEX && seen->ids[VrSeenFind(seen, id)] == id;
}

#endif /* VR_HNSW_SEEN_H */
