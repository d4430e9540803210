/*
 * hnsw_pool.c
 *		See hnsw_pool.h.
 */
#include "postgres.h"

#include <float.h>

#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_keyheap.h"
#include "hnsw/hnsw_pool.h"
#include "hnsw/hnsw_private.h"

/* Blocks at first, and places of the table: 8 kB, for 512 records. */
#define POOL_BLOCKS 64
#define POOL_PLACES 1024

/* From so many blocks on, it pays to look whether they can be closed up. */
#define POOL_MANY 4096

/* ------------------------------------------------------------------- table */

/* Makes the table anew, with nothing in it. */
static void
PoolMakeTable(VrHnswPool *pool, uint32 places)
{
	pool->table =
		MemoryContextAllocHuge(pool->cxt, (Size) places * sizeof(VrPoolPlace));
	pool->places = places;
	pool->shift = 32 - pg_leftmost_one_pos32(places);
	pool->count = 0;
	/* NO_VERTEX is all ones. */
	memset(pool->table, 0xFF, (Size) places * sizeof(VrPoolPlace));
}

/* Doubles the table. */
void
VrHnswPoolGrowTable(VrHnswPool *pool)
{
	VrPoolPlace *old = pool->table;
	uint32 places = pool->places;
	uint32 count = pool->count;
	uint32 i;

	PoolMakeTable(pool, places * 2);
	for (i = 0; i < places; i++)
		if (old[i].id != VR_HNSW_NO_VERTEX)
			*VrHnswPoolFind(pool, old[i].id) = old[i];
	pool->count = count;
	pfree(old);
}

/* Starts with nothing; memory comes from cxt. */
void
VrHnswPoolInit(VrHnswPool *pool, MemoryContext cxt)
{
	memset(pool, 0, sizeof(*pool));
	pool->cxt = cxt;
	PoolMakeTable(pool, POOL_PLACES);
}

/* Forgets everything. A table that was much too large becomes smaller. */
void
VrHnswPoolForget(VrHnswPool *pool)
{
	pool->nblocks = pool->nheap = 0;
	pool->base = 0;
	if (pool->places > POOL_PLACES && pool->count < pool->places / 16)
	{
		pfree(pool->table);
		PoolMakeTable(pool, pool->places / 4);
	}
	else if (pool->count > 0)
		memset(pool->table, 0xFF, (Size) pool->places * sizeof(VrPoolPlace));
	pool->count = 0;
}

/* Drops all estimates, but not what has been taken: another level begins. */
void
VrHnswPoolEmpty(VrHnswPool *pool)
{
	uint32 lanes = pool->nblocks * VR_QUANT_LANES;

	if (pool->base > PG_UINT32_MAX / 4)
		VrHnswPoolForget(pool);
	else
		pool->base += lanes;
	pool->nblocks = pool->nheap = 0;
}

/* -------------------------------------------------------------------- heap */

/* The key of a block's least lane. */
static inline uint64
PoolKey(const VrHnswPool *pool, uint32 block)
{
	uint32 lane = block * VR_QUANT_LANES;

	lane += VrQuant->least32(pool->est + lane);
	return VrHnswKey(pool->est[lane], lane);
}

/* Puts the block that is being closed into the heap. */
void
VrHnswPoolPush(VrHnswPool *pool)
{
	VrKeyHeapRise(pool->heap, pool->nheap++, PoolKey(pool, pool->nblocks));
}

/* Puts the first block's key right, or the block out of the heap. */
static inline void
PoolSettle(VrHnswPool *pool, float limit)
{
	uint64 key = PoolKey(pool, VrHnswKeyId(pool->heap[0]) / VR_QUANT_LANES);

	if (VrHnswKeyDistance(key) < Min(limit, VR_ESTIMATE_MAX))
		VrKeyHeapSink(pool->heap, pool->nheap, key);
	else if (--pool->nheap > 0)
		VrKeyHeapSink(pool->heap, pool->nheap, pool->heap[pool->nheap]);
}

/*
 * Whether there is an estimate below limit, which must not have grown since
 * VrHnswPoolReconsider. The first key is that of the least one then.
 */
bool
VrHnswPoolLeast(VrHnswPool *pool, float limit)
{
	/* A lane that was blanked meanwhile: the block has another least one. */
	while (pool->nheap > 0 &&
		   pool->est[VrHnswKeyId(pool->heap[0])] >= VR_ESTIMATE_MAX)
		PoolSettle(pool, limit);
	/* Not at limit: such a lane may be one that was never admitted. */
	return pool->nheap > 0 && VrHnswKeyDistance(pool->heap[0]) < limit;
}

/*
 * Takes the record of the least estimate, after VrHnswPoolLeast. No other
 * estimate of it will count.
 */
uint32
VrHnswPoolTake(VrHnswPool *pool, float limit)
{
	uint32 lane = VrHnswKeyId(pool->heap[0]);
	uint32 id = pool->ids[lane];

	pool->est[lane] = VR_ESTIMATE_MAX;
	PoolSettle(pool, limit);
	VrHnswPoolMark(pool, id);
	return id;
}

/* ------------------------------------------------------------------ blocks */

/* Fills the heap anew, with what is below limit. */
void
VrHnswPoolReconsider(VrHnswPool *pool, float limit, VrPoolRule rule)
{
	uint32 lanes = pool->nblocks * VR_QUANT_LANES;
	uint32 i;

	limit = Min(limit, VR_ESTIMATE_MAX);
	for (i = 0; i < lanes; i++)
		if (pool->est[i] < limit)
			VrHnswPoolAdmit(pool, i, rule);
	pool->nheap = 0;
	for (i = 0; i < pool->nblocks; i++)
	{
		uint64 key = PoolKey(pool, i);

		if (VrHnswKeyDistance(key) < limit)
			VrKeyHeapRise(pool->heap, pool->nheap++, key);
	}
}

/* Adds n estimates from outside, 32 at most, as one block. */
void
VrHnswPoolAddSome(VrHnswPool *pool, const float *d, const uint32 *ids, int n,
				  VrPoolRule rule)
{
	uint32 lane = VrHnswPoolOpen(pool, FLT_MAX, rule);
	int i;

	for (i = 0; i < VR_QUANT_LANES; i++)
		pool->est[lane + i] = i < n ? d[i] : VR_ESTIMATE_MAX;
	memcpy(pool->ids + lane, ids, n * sizeof(uint32));
	VrHnswPoolClose(pool, n < 32 ? (1u << n) - 1 : PG_UINT32_MAX, rule);
}

/* Adds one estimate from outside, in a block of its own. */
void
VrHnswPoolAdd(VrHnswPool *pool, float d, uint32 id, VrPoolRule rule)
{
	VrHnswPoolAddSome(pool, &d, &id, 1, rule);
}

/* Lets every estimate compete, and closes up what is left of the blocks. */
static void
PoolCompact(VrHnswPool *pool, VrPoolRule rule)
{
	uint32 lanes = pool->nblocks * VR_QUANT_LANES;
	uint32 kept = 0;
	uint32 i;

	for (i = 0; i < lanes; i++)
		if (pool->est[i] < VR_ESTIMATE_MAX)
			VrHnswPoolAdmit(pool, i, rule);
	for (i = 0; i < lanes; i++)
	{
		uint32 id = pool->ids[i];

		if (pool->est[i] >= VR_ESTIMATE_MAX)
			continue;
		if (id != VR_HNSW_NO_VERTEX)
			VrHnswPoolFind(pool, id)->lane = pool->base + kept;
		pool->ids[kept] = id;
		pool->merged[kept] = pool->merged[i];
		pool->mean[kept] = pool->mean[i];
		pool->least[kept] = pool->least[i];
		pool->est[kept++] = pool->est[i];
	}
	pool->nblocks = (kept + VR_QUANT_LANES - 1) / VR_QUANT_LANES;
	for (; kept < pool->nblocks * VR_QUANT_LANES; kept++)
		pool->est[kept] = VR_ESTIMATE_MAX;
}

static void *
PoolResize(VrHnswPool *pool, void *old, Size bytes)
{
	return old ? repalloc_huge(old, bytes)
			   : MemoryContextAllocHuge(pool->cxt, bytes);
}

/* Makes room for one more block at least. */
void
VrHnswPoolMakeRoom(VrHnswPool *pool, float limit, VrPoolRule rule)
{
	uint32 n = Max(pool->maxblocks * 2, POOL_BLOCKS);
	Size lanes;

	if (pool->nblocks >= POOL_MANY)
	{
		PoolCompact(pool, rule);
		VrHnswPoolReconsider(pool, limit, rule);
		if (pool->nblocks <= pool->maxblocks / 2)
			return;
	}
	/* Lanes are numbered by 32 bits; the limits of memory end scans before. */
	if (n > PG_UINT32_MAX / 4 / VR_QUANT_LANES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw search has too many candidates")));
	lanes = (Size) n * VR_QUANT_LANES;
	pool->est = PoolResize(pool, pool->est, lanes * sizeof(float));
	pool->ids = PoolResize(pool, pool->ids, lanes * sizeof(uint32));
	pool->merged = PoolResize(pool, pool->merged, lanes * sizeof(uint8));
	pool->mean = PoolResize(pool, pool->mean, lanes * sizeof(float));
	pool->least = PoolResize(pool, pool->least, lanes * sizeof(float));
	pool->heap = PoolResize(pool, pool->heap, (Size) n * sizeof(uint64));
	pool->maxblocks = n;
}
