/*
 * knn_top.h
 *		The k best of a stream of (score, key) pairs, by score and then key.
 *
 * No heap: entries are appended to a buffer of k + spare, and cut to the k best
 * by selection when it is full. That costs a constant per entry, where a heap
 * of hundreds costs its depth in cache misses; the price is that the bound which
 * refuses entries is the one of the last cut.
 *
 * Scores are doubles mapped to unsigned integers of the same order, NaN above
 * all, as the server sorts floats. Keys are integers, or anything compared by
 * VrKnnKeyCompare. Include after "postgres.h".
 */
#ifndef VR_KNN_TOP_H
#define VR_KNN_TOP_H

typedef struct VrKnnEntry
{
	uint64 order; /* VrKnnOrder of the score */
	int64 key;    /* an integer, or a Datum of a VrKnnKeyType */
} VrKnnEntry;

#define VR_KNN_ORDER_NAN PG_UINT64_MAX

static inline uint64
VrKnnOrder(double score)
{
	uint64 bits;

	if (score != score)
		return VR_KNN_ORDER_NAN;
	score += 0.0; /* -0 becomes 0 */
	memcpy(&bits, &score, sizeof(bits));
	return (bits >> 63) ? ~bits : bits | (UINT64CONST(1) << 63);
}

static inline double
VrKnnOrderScore(uint64 order)
{
	uint64 bits = (order >> 63) ? order & ~(UINT64CONST(1) << 63) : ~order;
	double score;

	if (order == VR_KNN_ORDER_NAN)
		bits = UINT64CONST(0x7ff8000000000000);
	memcpy(&score, &bits, sizeof(score));
	return score;
}

struct VrKnnKeyType;

typedef struct VrKnnTop
{
	VrKnnEntry *entries; /* room for capacity */
	int k;
	int capacity; /* > k */
	int used;
	bool bounded;     /* entries not before the bound are refused */
	VrKnnEntry bound; /* valid if bounded; the worst of k, or a guess */
	const struct VrKnnKeyType *keytype;
} VrKnnTop;

/* Cuts to the k best, and sets the bound if there are as many. */
extern void VrKnnTopCut(VrKnnTop *top);
/* Refuses entries of a greater order, although there may not be k others. */
extern void VrKnnTopGuess(VrKnnTop *top, uint64 order);
/* Cuts and sorts, faster with scratch: room for capacity entries, or NULL. */
extern void VrKnnTopSort(VrKnnTop *top, VrKnnEntry *scratch);
/* Appends, copying a key that is no integer. Used by VrKnnTopOffer. */
extern bool VrKnnTopAppend(VrKnnTop *top, uint64 order, int64 key);

/*
 * Offers an entry; true if the bound has changed. What most calls come to is
 * here: an entry that is nearer than the bound, and has room.
 */
static inline bool
VrKnnTopOffer(VrKnnTop *top, uint64 order, int64 key)
{
	if (top->bounded && order > top->bound.order)
		return false;
	if (top->bounded && order < top->bound.order && top->keytype == NULL &&
		top->used + 1 < top->capacity)
	{
		VrKnnEntry *entry = &top->entries[top->used++];

		entry->order = order;
		entry->key = key;
		return false;
	}
	return VrKnnTopAppend(top, order, key);
}

#endif /* VR_KNN_TOP_H */
