/*
 * knn_top.c
 *		Selection and sorting of (score, key) entries: see knn_top.h.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"

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

int
VrKnnEntryCompare(const VrKnnKeyType *keytype, const VrKnnEntry *a,
				  const VrKnnEntry *b)
{
	return TopCompare(keytype, a, b);
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

/*
 * Sorts by parts of the range of scores first, as many as there may be hundreds
 * of entries: scores spread, so most parts have a few, and insertion does the
 * rest. A part that has many is sorted alone. scratch has room for n entries.
 */
#define TOP_PARTS 1024

static inline int
TopPart(const VrKnnEntry *entry, double least, double scale)
{
	return (VrKnnOrderScore(entry->order) - least) * scale;
}

static void
TopSortParts(VrKnnEntry *e, int n, VrKnnEntry *scratch)
{
	uint32 start[TOP_PARTS + 1] = {0};
	uint64 least = PG_UINT64_MAX;
	uint64 most = 0;
	double low;
	double scale;
	int end = 0;
	int i;
	int j;

	for (i = 0; i < n; i++)
	{
		least = Min(least, e[i].order);
		most = Max(most, e[i].order);
	}
	low = VrKnnOrderScore(least);
	scale = (TOP_PARTS - 1) / (VrKnnOrderScore(most) - low);
	/* Equal scores, or infinite ones, or NaN: no parts. */
	if (!isfinite(low) || !isfinite(scale) || scale == 0)
	{
		TopSortIntegers(e, n);
		return;
	}
	for (i = 0; i < n; i++)
		start[TopPart(&e[i], low, scale) + 1]++;
	for (i = 0; i < TOP_PARTS; i++)
		start[i + 1] += start[i];
	for (i = 0; i < n; i++)
		scratch[start[TopPart(&e[i], low, scale)]++] = e[i];
	/* Now start[i] is where part i ends. */
	for (i = 0; i < TOP_PARTS; i++)
	{
		if (start[i] - end > TOP_FEW)
			TopSortIntegers(scratch + end, start[i] - end);
		end = start[i];
	}
	for (i = 0; i < n; i++)
	{
		VrKnnEntry t = scratch[i];

		for (j = i; j > 0 && TopCompare(NULL, &t, &e[j - 1]) < 0; j--)
			e[j] = e[j - 1];
		e[j] = t;
	}
}

void
VrKnnTopSort(VrKnnTop *top, VrKnnEntry *scratch)
{
	/* To sort some more takes less than to select first. */
	if (scratch != NULL && top->keytype == NULL && top->used >= 4 * TOP_FEW)
	{
		TopSortParts(top->entries, top->used, scratch);
		top->used = Min(top->used, top->k);
		return;
	}
	VrKnnTopCut(top);
	if (top->keytype == NULL)
		TopSortIntegers(top->entries, top->used);
	else
		TopSortKeys(top->entries, top->used, top->keytype);
}
