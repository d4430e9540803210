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
 * A record has an estimate from each neighbour that was expanded. One lane of it
 * counts, a hash table knows which, and the others are blanked. What it counts
 * as is one of three rules; README, "Which estimate counts".
 */
#ifndef VR_HNSW_POOL_H
#define VR_HNSW_POOL_H

#include "hnsw/hnsw_page.h"
#include "quant/quant.h"

typedef enum VrPoolRule
{
	VR_POOL_FIRST, /* the first estimate */
	VR_POOL_LEAST, /* the least */
	VR_POOL_MIXED, /* VR_POOL_MEAN_SHARE of the mean, the rest of the least */
} VrPoolRule;

#define VR_POOL_MEAN_SHARE 0.75

/* The most that an estimate counts as, and its negative the least. */
#define VR_POOL_FAR (VR_ESTIMATE_MAX * 0.99f)

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
	/* Mixed: how many estimates a lane stands for; if several, from what. */
	uint8 *merged;
	float *mean;
	float *least;
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
extern void VrHnswPoolMakeRoom(VrHnswPool *pool, float limit, VrPoolRule rule);
extern void VrHnswPoolGrowTable(VrHnswPool *pool);
extern void VrHnswPoolPush(VrHnswPool *pool);
extern void VrHnswPoolAdd(VrHnswPool *pool, float d, uint32 id,
						  VrPoolRule rule);
extern void VrHnswPoolAddSome(VrHnswPool *pool, const float *d,
							  const uint32 *ids, int n, VrPoolRule rule);
extern bool VrHnswPoolLeast(VrHnswPool *pool, float limit);
extern uint32 VrHnswPoolTake(VrHnswPool *pool, float limit);
extern void VrHnswPoolReconsider(VrHnswPool *pool, float limit,
								 VrPoolRule rule);

/* Bytes that it occupies. */
static inline Size
VrHnswPoolBytes(const VrHnswPool *pool)
{
	return (Size) pool->maxblocks *
			   (VR_QUANT_LANES *
					(3 * sizeof(float) + sizeof(uint32) + sizeof(uint8)) +
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

/* Marks a record as taken. */
static inline void
VrHnswPoolMark(VrHnswPool *pool, uint32 id)
{
	VrPoolPlace *place = VrHnswPoolFind(pool, id);

	if (place->id != id)
		VrHnswPoolEnter(pool, place, id, VR_POOL_TAKEN);
	else if (id != VR_HNSW_NO_VERTEX)
		place->lane = VR_POOL_TAKEN;
}

/*
 * The first lane of a new block, for the caller to fill all 32 and to close,
 * or not. limit as for VrHnswPoolReconsider, if there is no room.
 */
static inline uint32
VrHnswPoolOpen(VrHnswPool *pool, float limit, VrPoolRule rule)
{
	if (unlikely(pool->nblocks == pool->maxblocks))
		VrHnswPoolMakeRoom(pool, limit, rule);
	return pool->nblocks * VR_QUANT_LANES;
}

/* Has a lane stand for another one of the same record too. */
static inline void
VrHnswPoolMerge(VrHnswPool *pool, uint32 lane, uint32 other)
{
	int n = pool->merged[other];
	/* In double: the difference of what lies far out may overflow. */
	double mean = n > 1 ? pool->mean[other] : pool->est[other];
	float least = n > 1 ? pool->least[other] : pool->est[other];
	float est = pool->est[lane];

	n = Min(n + 1, 255);
	mean += (est - mean) / n;
	least = Min(least, est);
	pool->merged[lane] = n;
	pool->mean[lane] = (float) mean;
	pool->least[lane] = least;
	pool->est[lane] =
		(float) (VR_POOL_MEAN_SHARE * mean + (1 - VR_POOL_MEAN_SHARE) * least);
}

/* Lets a lane's estimate count, by a rule. Returns whether the lane does. */
static inline bool
VrHnswPoolAdmit(VrHnswPool *pool, uint32 lane, VrPoolRule rule)
{
	uint32 id = pool->ids[lane];
	uint32 named = lane + pool->base;
	VrPoolPlace *place = VrHnswPoolFind(pool, id);

	/* However far it is not blank, and there are means of any two. */
	pool->est[lane] = Max(Min(pool->est[lane], VR_POOL_FAR), -VR_POOL_FAR);
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
	if (place->lane != VR_POOL_TAKEN && rule != VR_POOL_FIRST)
	{
		uint32 other = place->lane - pool->base;

		if (rule == VR_POOL_MIXED)
			VrHnswPoolMerge(pool, lane, other);
		if (rule == VR_POOL_MIXED || pool->est[lane] < pool->est[other])
		{
			pool->est[other] = VR_ESTIMATE_MAX;
			place->lane = named;
			return true;
		}
	}
	pool->est[lane] = VR_ESTIMATE_MAX;
	return false;
}

/*
 * Keeps the block that was opened. mask names the lanes that are of interest
 * in this pass.
 */
static inline void
VrHnswPoolClose(VrHnswPool *pool, uint32 mask, VrPoolRule rule)
{
	uint32 lane = pool->nblocks * VR_QUANT_LANES;
	bool wanted = false;

	memset(pool->merged + lane, 1, VR_QUANT_LANES);
	for (; mask != 0; mask &= mask - 1)
		wanted |= VrHnswPoolAdmit(pool, lane + __builtin_ctz(mask), rule);
	if (wanted)
		VrHnswPoolPush(pool);
	pool->nblocks++;
}

#endif /* VR_HNSW_POOL_H */
