/*
 * hnsw_pool.c
 *		See hnsw_pool.h.
 */
#include "postgres.h"

#include <float.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* Which of a bucket's places hold an id, one bit for each. */
static inline uint32
PoolMatch(const VrPoolBucket *bucket, uint32 id)
{
#ifdef __SSE2__
	__m128i wanted = _mm_set1_epi32((int) id);
	const __m128i *ids = (const __m128i *) bucket->id;
	__m128i low = _mm_cmpeq_epi32(_mm_load_si128(ids), wanted);
	__m128i high = _mm_cmpeq_epi32(_mm_load_si128(ids + 1), wanted);

	return (uint32) _mm_movemask_epi8(
		_mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128()));
#else
	uint32 match = 0;
	int i;

	for (i = 0; i < VR_POOL_BUCKET; i++)
		match |= (uint32) (bucket->id[i] == id) << i;
	return match;
#endif
}

/*
 * The place of an id: the one that holds it, or the empty one that would.
 * *known: whether it is the former; which NO_VERTEX never is, to be handled
 * before.
 */
static inline uint32
PoolFind(const VrHnswPool *pool, uint32 id, uint32 *known)
{
	/* Knuth's multiplicative hash: the upper bits are the good ones. */
	uint32 b = (id * UINT32_C(2654435769)) >> pool->shift;

	for (;;)
	{
		const VrPoolBucket *bucket = &pool->table[b];
		uint32 match = PoolMatch(bucket, id);
		uint32 empty = PoolMatch(bucket, VR_HNSW_NO_VERTEX);

		if (likely((match | empty) != 0))
		{
			*known = match != 0;
			/* Empty ones come last. */
			return b * VR_POOL_BUCKET + __builtin_ctz(match | empty);
		}
		b = (b + 1) & (pool->places / VR_POOL_BUCKET - 1);
	}
}

static inline uint32 *
PoolId(const VrHnswPool *pool, uint32 at)
{
	return &pool->table[at / VR_POOL_BUCKET].id[at % VR_POOL_BUCKET];
}

static inline uint32 *
PoolLane(const VrHnswPool *pool, uint32 at)
{
	return &pool->table[at / VR_POOL_BUCKET].lane[at % VR_POOL_BUCKET];
}

static inline void
PoolClearTable(VrHnswPool *pool)
{
	/* NO_VERTEX is all ones. */
	memset(pool->table, 0xFF,
		   (Size) pool->places / VR_POOL_BUCKET * sizeof(VrPoolBucket));
	pool->count = 0;
}

/* Makes the table anew, with nothing in it. */
static void
PoolMakeTable(VrHnswPool *pool, uint32 places)
{
	Size bytes = (Size) places / VR_POOL_BUCKET * sizeof(VrPoolBucket);

	pool->tablemem =
		MemoryContextAllocHuge(pool->cxt, bytes + PG_CACHE_LINE_SIZE);
	pool->table =
		(VrPoolBucket *) TYPEALIGN(sizeof(VrPoolBucket), pool->tablemem);
	pool->stats =
		MemoryContextAllocHuge(pool->cxt, (Size) places * sizeof(VrPoolStat));
	pool->places = places;
	pool->shift = 32 - pg_leftmost_one_pos32(places / VR_POOL_BUCKET);
	PoolClearTable(pool);
}

/* Doubles the table. */
static void
PoolGrowTable(VrHnswPool *pool)
{
	VrHnswPool old = *pool;
	uint32 at;

	PoolMakeTable(pool, old.places * 2);
	for (at = 0; at < old.places; at++)
	{
		uint32 id = *PoolId(&old, at);
		uint32 known;
		uint32 to;

		if (id == VR_HNSW_NO_VERTEX)
			continue;
		to = PoolFind(pool, id, &known);
		*PoolId(pool, to) = id;
		*PoolLane(pool, to) = *PoolLane(&old, at);
		pool->stats[to] = old.stats[at];
	}
	pool->count = old.count;
	pfree(old.tablemem);
	pfree(old.stats);
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
		pfree(pool->tablemem);
		pfree(pool->stats);
		PoolMakeTable(pool, pool->places / 4);
	}
	else if (pool->count > 0)
		PoolClearTable(pool);
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

/* --------------------------------------------------------------- admission */

/* However far it is not blank, and there are means of any two. */
static inline float
PoolClamp(float est)
{
	return Max(Min(est, VR_POOL_FAR), -VR_POOL_FAR);
}

/* Has an id take the empty place that PoolFind gave; places may move then. */
static inline void
PoolOccupy(VrHnswPool *pool, uint32 at, uint32 id)
{
	*PoolId(pool, at) = id;
	if (unlikely(++pool->count > pool->places / 2))
		PoolGrowTable(pool);
}

/* A lane is the only one so far of the record whose place that is. */
static inline void
PoolBegin(VrHnswPool *pool, uint32 at, uint32 lane, VrPoolRule rule)
{
	float est = PoolClamp(pool->est[lane]);

	pool->est[lane] = est;
	*PoolLane(pool, at) = lane + pool->base;
	if (rule == VR_POOL_MIXED)
		pool->stats[at] = (VrPoolStat){est, est, 1};
}

/* Has a lane stand for what its record's other lane stood for, too. */
static inline void
PoolMerge(VrHnswPool *pool, uint32 at, uint32 lane)
{
	/* 1 / n: a division takes as long as the rest. */
#define R(n) 1.0f / (n)
#define R8(n)                                                                  \
	R(n), R(n + 1), R(n + 2), R(n + 3), R(n + 4), R(n + 5), R(n + 6), R(n + 7)
	static const float share[] = {R8(1), R8(9), R8(17), R8(25)};
#undef R8
#undef R
	VrPoolStat *stat = &pool->stats[at];
	uint32 *held = PoolLane(pool, at);
	float est = PoolClamp(pool->est[lane]);
	float w;

	stat->n += stat->n < lengthof(share) ? 1 : 0;
	w = share[stat->n - 1];
	/* Not by the difference, which may overflow of what lies far out. */
	stat->mean = stat->mean * (1 - w) + est * w;
	stat->least = Min(stat->least, est);
	pool->est[*held - pool->base] = VR_ESTIMATE_MAX;
	pool->est[lane] = VR_POOL_MEAN_SHARE * stat->mean +
					  (1 - VR_POOL_MEAN_SHARE) * stat->least;
	*held = lane + pool->base;
}

/*
 * A lane's record has another lane that counts, and its place is known: decides
 * by a rule which of both does from now on. Returns whether it is this one.
 */
static inline bool
PoolContest(VrHnswPool *pool, uint32 at, uint32 lane, VrPoolRule rule)
{
	if (rule == VR_POOL_MIXED)
	{
		PoolMerge(pool, at, lane);
		return true;
	}
	if (rule == VR_POOL_LEAST)
	{
		uint32 *held = PoolLane(pool, at);
		float est = PoolClamp(pool->est[lane]);

		if (est < pool->est[*held - pool->base])
		{
			pool->est[*held - pool->base] = VR_ESTIMATE_MAX;
			pool->est[lane] = est;
			*held = lane + pool->base;
			return true;
		}
	}
	pool->est[lane] = VR_ESTIMATE_MAX;
	return false;
}

/* Lets a lane's estimate count, by a rule. Returns whether the lane does. */
static bool
PoolAdmit(VrHnswPool *pool, uint32 lane, VrPoolRule rule)
{
	uint32 id = pool->ids[lane];
	uint32 known;
	uint32 at;
	uint32 held;

	/* Damage: no record has this id, and whoever visits it says so. */
	if (unlikely(id == VR_HNSW_NO_VERTEX))
	{
		pool->est[lane] = PoolClamp(pool->est[lane]);
		return true;
	}
	at = PoolFind(pool, id, &known);
	held = *PoolLane(pool, at);
	if (known && held == lane + pool->base)
		return true;
	if (known && held == VR_POOL_TAKEN)
	{
		pool->est[lane] = VR_ESTIMATE_MAX;
		return false;
	}
	if (known && held >= pool->base)
		return PoolContest(pool, at, lane, rule);
	PoolBegin(pool, at, lane, rule);
	if (!known)
		PoolOccupy(pool, at, id);
	return true;
}

/*
 * The same of a new block's lanes in mask. Which of the three cases a lane is
 * cannot be foretold, and a wrong guess of the processor's costs more than the
 * case: so the lanes are sorted by case first, without a branch. Returns
 * whether any of them may count.
 */
static bool
PoolAdmitBlock(VrHnswPool *pool, uint32 first, uint32 mask, VrPoolRule rule)
{
	/* The last one of each may be written to and does not count. */
	uint32 fresh_at[VR_QUANT_LANES + 1];
	uint32 fresh[VR_QUANT_LANES + 1];
	uint32 other_at[VR_QUANT_LANES + 1];
	uint32 other[VR_QUANT_LANES + 1];
	uint32 taken[VR_QUANT_LANES + 1];
	uint32 nfresh = 0;
	uint32 nother = 0;
	uint32 ntaken = 0;
	bool wanted = false;
	uint32 i;

	/* Places found now are to stay where they are. */
	if (pool->count + VR_QUANT_LANES > pool->places / 2)
		PoolGrowTable(pool);
	for (; mask != 0; mask &= mask - 1)
	{
		uint32 lane = first + __builtin_ctz(mask);
		uint32 known;
		uint32 at = PoolFind(pool, pool->ids[lane], &known);
		uint32 held = *PoolLane(pool, at);
		uint32 is_taken;

		/* Damage, too, for whoever visits it to say so. */
		known &= (uint32) (held >= pool->base) &
				 (uint32) (pool->ids[lane] != VR_HNSW_NO_VERTEX);
		is_taken = known & (uint32) (held == VR_POOL_TAKEN);
		fresh_at[nfresh] = at;
		fresh[nfresh] = lane;
		nfresh += known ^ 1;
		other_at[nother] = at;
		other[nother] = lane;
		nother += known ^ is_taken;
		taken[ntaken] = lane;
		ntaken += is_taken;
	}
	for (i = 0; i < ntaken; i++)
		pool->est[taken[i]] = VR_ESTIMATE_MAX;
	for (i = 0; i < nother; i++)
		wanted |= PoolContest(pool, other_at[i], other[i], rule);
	for (i = 0; i < nfresh; i++)
	{
		/* Of an earlier level, or another of these got the place. */
		if (unlikely(*PoolId(pool, fresh_at[i]) != VR_HNSW_NO_VERTEX))
		{
			wanted |= PoolAdmit(pool, fresh[i], rule);
			continue;
		}
		PoolBegin(pool, fresh_at[i], fresh[i], rule);
		PoolOccupy(pool, fresh_at[i], pool->ids[fresh[i]]);
		wanted = true;
	}
	return wanted;
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

/* Marks a record as taken. */
static inline void
PoolMark(VrHnswPool *pool, uint32 id)
{
	uint32 known;
	uint32 at;

	if (unlikely(id == VR_HNSW_NO_VERTEX))
		return;
	at = PoolFind(pool, id, &known);
	*PoolLane(pool, at) = VR_POOL_TAKEN;
	if (unlikely(!known))
		PoolOccupy(pool, at, id);
}

/* Whether a record was taken. */
bool
VrHnswPoolHasTaken(const VrHnswPool *pool, uint32 id)
{
	uint32 known;
	uint32 at = PoolFind(pool, id, &known);

	return known && id != VR_HNSW_NO_VERTEX &&
		   *PoolLane(pool, at) == VR_POOL_TAKEN;
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
	PoolMark(pool, id);
	return id;
}

/* ------------------------------------------------------------------ blocks */

/*
 * Keeps the block that was opened. mask names the lanes that are of interest
 * in this pass.
 */
void
VrHnswPoolClose(VrHnswPool *pool, uint32 mask, VrPoolRule rule)
{
	uint32 lane = pool->nblocks * VR_QUANT_LANES;

	if (PoolAdmitBlock(pool, lane, mask, rule))
		VrKeyHeapRise(pool->heap, pool->nheap++, PoolKey(pool, pool->nblocks));
	pool->nblocks++;
}

/* Fills the heap anew, with what is below limit. */
void
VrHnswPoolReconsider(VrHnswPool *pool, float limit, VrPoolRule rule)
{
	uint32 lanes = pool->nblocks * VR_QUANT_LANES;
	uint32 i;

	limit = Min(limit, VR_ESTIMATE_MAX);
	for (i = 0; i < lanes; i++)
		if (pool->est[i] < limit)
			PoolAdmit(pool, i, rule);
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
	uint32 known;
	uint32 i;

	for (i = 0; i < lanes; i++)
		if (pool->est[i] < VR_ESTIMATE_MAX)
			PoolAdmit(pool, i, rule);
	for (i = 0; i < lanes; i++)
	{
		uint32 id = pool->ids[i];

		if (pool->est[i] >= VR_ESTIMATE_MAX)
			continue;
		if (id != VR_HNSW_NO_VERTEX)
			*PoolLane(pool, PoolFind(pool, id, &known)) = pool->base + kept;
		pool->ids[kept] = id;
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
	pool->heap = PoolResize(pool, pool->heap, (Size) n * sizeof(uint64));
	pool->maxblocks = n;
}
