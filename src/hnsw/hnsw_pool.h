/*
 * hnsw_pool.h
 *		The estimates that a quantised search has, least first.
 *
 * An expansion yields 32 estimates at once, and few of them are ever looked at
 * again. So they stay together, as a block of 32 lanes in the order in which
 * the kernel wrote them, and a heap holds one key per block, that of its least
 * lane. Taking a lane finds the block's next with one pass of a vector unit.
 * Against a heap of single estimates that saves the work of 31 pushes, and
 * what a resumed search needs again is still in its place.
 *
 * A record has an estimate from each neighbour that was expanded. Only one of
 * them counts, the least or the first, and a hash table knows its lane; the
 * others are blanked.
 */
#ifndef VR_HNSW_POOL_H
#define VR_HNSW_POOL_H

#include "hnsw/hnsw_page.h"
#include "quant/quant.h"

typedef struct VrPoolPlace
{
	uint32 id;   /* NO_VERTEX: nothing */
	uint32 lane; /* plus base, or VR_POOL_TAKEN */
} VrPoolPlace;

#define VR_POOL_TAKEN PG_UINT32_MAX

typedef struct VrHnswPool
{
	MemoryContext cxt;
	float *est;  /* of each lane; VR_ESTIMATE_MAX: blank */
	uint32 *ids; /* and whose it is */
	uint32 nblocks;
	uint32 maxblocks;
	uint64 *heap; /* keys: a block's least estimate, or less, and its lane */
	uint32 nheap;
	VrPoolPlace *table; /* open addressing, at most half full */
	uint32 places;      /* a power of two */
	uint32 count;
	int shift;
	uint32 base; /* lanes of the table below it are of an earlier level */
} VrHnswPool;

extern void VrHnswPoolInit(VrHnswPool *pool, MemoryContext cxt);
extern void VrHnswPoolForget(VrHnswPool *pool);
extern void VrHnswPoolEmpty(VrHnswPool *pool);
extern void VrHnswPoolMakeRoom(VrHnswPool *pool, float limit);
extern void VrHnswPoolGrowTable(VrHnswPool *pool);
extern void VrHnswPoolPush(VrHnswPool *pool);
extern void VrHnswPoolAdd(VrHnswPool *pool, float d, uint32 id);
extern bool VrHnswPoolLeast(VrHnswPool *pool, float limit);
extern uint32 VrHnswPoolTake(VrHnswPool *pool, float limit);
extern void VrHnswPoolReconsider(VrHnswPool *pool, float limit);

/* Bytes that it occupies. */
static inline Size
VrHnswPoolBytes(const VrHnswPool *pool)
{
	return (Size) pool->maxblocks *
			   (VR_QUANT_LANES * (sizeof(float) + sizeof(uint32)) +
				sizeof(uint64)) +
		   (Size) pool->places * sizeof(VrPoolPlace);
}

/* Where an id stands in the table, or the empty place where it would. */
static inline VrPoolPlace *
VrHnswPoolFind(const VrHnswPool *pool, uint32 id)
{
	/* Knuth's multiplicative hash: the upper bits are the good ones. */
	uint32 at = (id * UINT32_C(2654435769)) >> pool->shift;

	while (pool->table[at].id != id && pool->table[at].id != VR_HNSW_NO_VERTEX)
		at = (at + 1) & (pool->places - 1);
	return &pool->table[at];
}

/* Whether a record was taken. */
static inline bool
VrHnswPoolHasTaken(const VrHnswPool *pool, uint32 id)
{
	VrPoolPlace *place = VrHnswPoolFind(pool, id);

	return id != VR_HNSW_NO_VERTEX && place->id == id &&
		   place->lane == VR_POOL_TAKEN;
}

/* Enters an id that place does not hold yet. */
static inline void
VrHnswPoolEnter(VrHnswPool *pool, VrPoolPlace *place, uint32 id, uint32 lane)
{
	/* Damage: no record has this id, and whoever visits it says so. */
	if (unlikely(id == VR_HNSW_NO_VERTEX))
		return;
	place->id = id;
	place->lane = lane;
	if (unlikely(++pool->count > pool->places / 2))
		VrHnswPoolGrowTable(pool);
}

/* Marks a record as taken; returns whether it was before. */
static inline bool
VrHnswPoolMark(VrHnswPool *pool, uint32 id)
{
	VrPoolPlace *place = VrHnswPoolFind(pool, id);
	bool before = place->id == id && place->lane == VR_POOL_TAKEN;

	if (place->id != id)
		VrHnswPoolEnter(pool, place, id, VR_POOL_TAKEN);
	else
		place->lane = VR_POOL_TAKEN;
	return before && id != VR_HNSW_NO_VERTEX;
}

/*
 * The first lane of a new block, for the caller to fill all 32 and to close,
 * or not. limit as for VrHnswPoolReconsider, if there is no room.
 */
static inline uint32
VrHnswPoolOpen(VrHnswPool *pool, float limit)
{
	if (unlikely(pool->nblocks == pool->maxblocks))
		VrHnswPoolMakeRoom(pool, limit);
	return pool->nblocks * VR_QUANT_LANES;
}

/*
 * Lets a lane's estimate count if it is its record's least, or with first the
 * first of it.
 */
static inline bool
VrHnswPoolAdmit(VrHnswPool *pool, uint32 lane, bool first)
{
	uint32 id = pool->ids[lane];
	uint32 named = lane + pool->base;
	VrPoolPlace *place = VrHnswPoolFind(pool, id);

	if (place->id != id || id == VR_HNSW_NO_VERTEX)
	{
		VrHnswPoolEnter(pool, place, id, named);
		return true;
	}
	if (place->lane == named)
		return true;
	if (place->lane < pool->base)
	{
		place->lane = named;
		return true;
	}
	if (!first && place->lane != VR_POOL_TAKEN &&
		pool->est[lane] < pool->est[place->lane - pool->base])
	{
		pool->est[place->lane - pool->base] = VR_ESTIMATE_MAX;
		place->lane = named;
		return true;
	}
	pool->est[lane] = VR_ESTIMATE_MAX;
	return false;
}

/*
 * Keeps the block that was opened. mask names the lanes that are of interest
 * in this pass; first as for VrHnswPoolAdmit.
 */
static inline void
VrHnswPoolClose(VrHnswPool *pool, uint32 mask, bool first)
{
	uint32 lane = pool->nblocks * VR_QUANT_LANES;
	bool wanted = false;

	for (; mask != 0; mask &= mask - 1)
		wanted |= VrHnswPoolAdmit(pool, lane + __builtin_ctz(mask), first);
	if (wanted)
		VrHnswPoolPush(pool);
	pool->nblocks++;
}

#endif /* VR_HNSW_POOL_H */
