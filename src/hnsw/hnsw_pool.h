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

#define VR_POOL_MEAN_SHARE 0.75f

/* The most that an estimate counts as, and its negative the least. */
#define VR_POOL_FAR (VR_ESTIMATE_MAX * 0.99f)

/*
 * A cache line of the table: eight places. To look for an id in all eight at
 * once takes no guess of where it is, which the processor would make wrong.
 */
#define VR_POOL_BUCKET 8

typedef struct VrPoolBucket
{
	uint32 id[VR_POOL_BUCKET];   /* NO_VERTEX: nothing; these come last */
	uint32 lane[VR_POOL_BUCKET]; /* plus base, or VR_POOL_TAKEN */
} VrPoolBucket;

/* Of a record with an estimate in a lane: what it was made of. */
typedef struct VrPoolStat
{
	float mean;
	float least;
	uint32 n; /* estimates, counted to 32: the next weigh as much as that */
} VrPoolStat;

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
	VrPoolBucket *table; /* open addressing, at most half full; in tablemem */
	void *tablemem;
	VrPoolStat *stats; /* of each place; for VR_POOL_MIXED */
	uint32 places;     /* a power of two */
	uint32 count;
	int shift;   /* from a hash to its bucket */
	uint32 base; /* lanes of the table below it are of an earlier level */
} VrHnswPool;

extern void VrHnswPoolInit(VrHnswPool *pool, MemoryContext cxt);
extern void VrHnswPoolForget(VrHnswPool *pool);
extern void VrHnswPoolEmpty(VrHnswPool *pool);
extern void VrHnswPoolMakeRoom(VrHnswPool *pool, float limit, VrPoolRule rule);
extern void VrHnswPoolClose(VrHnswPool *pool, uint32 mask, VrPoolRule rule);
extern bool VrHnswPoolHasTaken(const VrHnswPool *pool, uint32 id);
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
			   (VR_QUANT_LANES * (sizeof(float) + sizeof(uint32)) +
				sizeof(uint64)) +
		   (Size) pool->places * (2 * sizeof(uint32) + sizeof(VrPoolStat));
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

#endif /* VR_HNSW_POOL_H */
