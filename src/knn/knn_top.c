/*
 * knn_top.c
 *		Selection and sorting of (score, key) entries: see knn_top.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "port/pg_bitutils.h"

#include "knn/knn_private.h"

static inline int
TopCompare(const VrKnnKeyType *keytype, const VrKnnEntry *a,
		   const VrKnnEntry *b)
{
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (keytype == NULL)
		return a->key < b->key ? -1 : a->key > b->key;
	return VrKnnKeyCompare(keytype, (Datum) a->key, (Datum) b->key);
}

static inline void
TopSwap(VrKnnEntry *a, VrKnnEntry *b)
{
	VrKnnEntry t = *a;

	*a = *b;
	*b = t;
}

/* Below this a range is sorted by insertion. */
#define TOP_FEW 16

/*
 * An entry that is moved as one: what was just stored in two halves can not be
 * loaded as a whole without waiting for the stores to reach the cache.
 */
typedef uint64 TopPair __attribute__((vector_size(sizeof(VrKnnEntry))));

/*
 * Reorders so that e[nth] is what sorting would put there, with nothing greater
 * before it and nothing smaller after. The partition has no branch on a
 * comparison: on random entries a predictor is wrong every other time, which
 * costs more than the moves. The middle of three as pivot keeps sorted input,
 * which tables in key order give, from being slow.
 */
static inline void
TopSelectInline(const VrKnnKeyType *keytype, VrKnnEntry *e, int n, int nth)
{
	int low = 0;
	int high = n - 1;
	int i;
	int j;

	while (high - low >= TOP_FEW)
	{
		int middle = low + (high - low) / 2;
		VrKnnEntry pivot;

		if (TopCompare(keytype, &e[middle], &e[low]) < 0)
			TopSwap(&e[middle], &e[low]);
		if (TopCompare(keytype, &e[high], &e[low]) < 0)
			TopSwap(&e[high], &e[low]);
		if (TopCompare(keytype, &e[high], &e[middle]) < 0)
			TopSwap(&e[high], &e[middle]);
		TopSwap(&e[middle], &e[high]);
		pivot = e[high];
		j = low;
		for (i = low; i < high; i++)
		{
			const VrKnnEntry t = e[i];
			TopPair here;
			TopPair there;
			int less =
				keytype == NULL
					? (t.order < pivot.order) |
						  ((t.order == pivot.order) & (t.key < pivot.key))
					: TopCompare(keytype, &t, &pivot) < 0;

			memcpy(&here, &e[i], sizeof(here));
			memcpy(&there, &e[j], sizeof(there));
			memcpy(&e[i], &there, sizeof(there));
			memcpy(&e[j], &here, sizeof(here));
			j += less;
		}
		TopSwap(&e[j], &e[high]);
		if (nth == j)
			return;
		if (nth < j)
			high = j - 1;
		else
			low = j + 1;
	}
	for (i = low + 1; i <= high; i++)
	{
		VrKnnEntry t = e[i];

		for (j = i; j > low && TopCompare(keytype, &t, &e[j - 1]) < 0; j--)
			e[j] = e[j - 1];
		e[j] = t;
	}
}

static void
TopSelect(const VrKnnKeyType *keytype, VrKnnEntry *e, int n, int nth)
{
	if (keytype == NULL)
		TopSelectInline(NULL, e, n, nth);
	else
		TopSelectInline(keytype, e, n, nth);
}

void
VrKnnTopCut(VrKnnTop *top)
{
	int i;

	if (top->used < top->k)
		return;
	if (top->used > top->k)
		TopSelect(top->keytype, top->entries, top->used, top->k - 1);
	else
	{
		int worst = 0;

		for (i = 1; i < top->used; i++)
			if (TopCompare(top->keytype, &top->entries[i],
						   &top->entries[worst]) > 0)
				worst = i;
		TopSwap(&top->entries[worst], &top->entries[top->k - 1]);
	}
	if (top->keytype != NULL)
		for (i = top->k; i < top->used; i++)
			VrKnnKeyFree(top->keytype, (Datum) top->entries[i].key);
	top->used = top->k;
	top->bounded = true;
	top->bound = top->entries[top->k - 1];
}

void
VrKnnTopGuess(VrKnnTop *top, uint64 order)
{
	int n = 0;
	int i;

	Assert(top->keytype == NULL);
	if (order == VR_KNN_ORDER_NAN ||
		(top->bounded && top->bound.order <= order))
		return;
	/* What is beyond it must go: nearer rows will be refused from now on. */
	for (i = 0; i < top->used; i++)
		if (top->entries[i].order <= order)
			top->entries[n++] = top->entries[i];
	top->used = n;
	top->bounded = true;
	top->bound.order = order;
	top->bound.key = PG_INT64_MAX;
}

bool
VrKnnTopAppend(VrKnnTop *top, uint64 order, int64 key)
{
	VrKnnEntry entry;

	entry.order = order;
	entry.key = key;
	if (top->bounded && TopCompare(top->keytype, &entry, &top->bound) >= 0)
		return false;
	if (top->keytype != NULL)
		entry.key = (int64) VrKnnKeyCopy(top->keytype, (Datum) key);
	top->entries[top->used++] = entry;
	if (top->used < top->capacity && (top->used != top->k || top->bounded))
		return false;
	VrKnnTopCut(top);
	return true;
}

#define ST_SORT TopSortIntegers
#define ST_ELEMENT_TYPE VrKnnEntry
#define ST_COMPARE(a, b) TopCompare(NULL, a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT TopSortKeys
#define ST_ELEMENT_TYPE VrKnnEntry
#define ST_COMPARE(a, b, keytype) TopCompare(keytype, a, b)
#define ST_COMPARE_ARG_TYPE const VrKnnKeyType
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Bits of each of the two digits that entries are sorted by. */
#define TOP_DIGIT 10
#define TOP_DIGITS (1 << TOP_DIGIT)

/* Bits that leave room for the sum of all entries there can be. */
#define TOP_SUM 22

StaticAssertDecl((UINT64CONST(1) << TOP_SUM) >= 2 * VR_KNN_MAX_K,
				 "k and as many to spare can be summed");

/* Orders from `from` on, as two digits; what is before it counts as it. */
typedef struct TopRange
{
	uint64 from;
	int shift;
} TopRange;

static inline uint32
TopDigits(TopRange range, const VrKnnEntry *entry)
{
	return entry->order > range.from
			   ? (entry->order - range.from) >> range.shift
			   : 0;
}

/*
 * The range that most entries are in. They crowd at its end, where the bound
 * is, and the query itself may be far before them all: so it begins at no more
 * than some mean distances from the end, before which few can be.
 */
static TopRange
TopFindRange(const VrKnnEntry *e, int n)
{
	uint64 least = PG_UINT64_MAX;
	uint64 most = 0;
	uint64 sum = 0;
	TopRange range;
	uint64 width;
	int i;

	for (i = 0; i < n; i++)
	{
		least = Min(least, e[i].order);
		most = Max(most, e[i].order);
	}
	for (i = 0; i < n; i++)
		sum += (most - e[i].order) >> TOP_SUM;
	width = most - least;
	if (sum / n > 0 && sum / n < (width >> TOP_SUM) / 8)
		width = (sum / n * 8) << TOP_SUM;
	range.from = most - width;
	range.shift = Max(
		width > 0 ? pg_leftmost_one_pos64(width) + 1 - 2 * TOP_DIGIT : 0, 0);
	return range;
}

/*
 * Sorts by two digits of the order, the lower first, and then what these leave
 * equal. Unlike quicksort it has no branch that a predictor gets wrong every
 * other time. scratch has room for n entries.
 */
static void
TopSortRadix(VrKnnEntry *e, int n, VrKnnEntry *scratch)
{
	uint32 low[TOP_DIGITS] = {0};
	uint32 high[TOP_DIGITS] = {0};
	uint32 low_start = 0;
	uint32 high_start = 0;
	const TopRange range = TopFindRange(e, n);
	int i;
	int j;

	for (i = 0; i < n; i++)
	{
		uint32 digits = TopDigits(range, &e[i]);

		low[digits % TOP_DIGITS]++;
		high[digits / TOP_DIGITS]++;
	}
	for (i = 0; i < TOP_DIGITS; i++)
	{
		uint32 low_count = low[i];
		uint32 high_count = high[i];

		low[i] = low_start;
		high[i] = high_start;
		low_start += low_count;
		high_start += high_count;
	}
	for (i = 0; i < n; i++)
		scratch[low[TopDigits(range, &e[i]) % TOP_DIGITS]++] = e[i];
	for (i = 0; i < n; i++)
		e[high[TopDigits(range, &scratch[i]) / TOP_DIGITS]++] = scratch[i];
	for (i = 0; i < n; i = j)
	{
		const uint32 digits = TopDigits(range, &e[i]);

		for (j = i + 1; j < n && TopDigits(range, &e[j]) == digits; j++)
			;
		if (j - i > 1)
			TopSortIntegers(e + i, j - i);
	}
}

void
VrKnnTopSort(VrKnnTop *top, VrKnnEntry *scratch)
{
	/* To sort some more takes less than to select first, but not many more. */
	if (top->used > 2 * top->k)
		VrKnnTopCut(top);
	if (scratch != NULL && top->keytype == NULL && top->used >= 4 * TOP_FEW)
	{
		TopSortRadix(top->entries, top->used, scratch);
		top->used = Min(top->used, top->k);
		return;
	}
	VrKnnTopCut(top);
	if (top->keytype == NULL)
		TopSortIntegers(top->entries, top->used);
	else
		TopSortKeys(top->entries, top->used, top->keytype);
}
