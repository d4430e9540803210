/*
 * hnsw_filter.c
 *		Conditions on attribute columns: on a record, and on ATTR pages.
 *
 * A record carries its row's attribute words, so a walk through the graph
 * tests them as it goes. When few rows pass, the walk is long and finds less;
 * then the ATTR pages, a column store of the same words, tell in a nanosecond
 * a row which records pass, and those are measured one by one, exactly.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_private.h"

/* ATTR pages that an estimate of the share looks at. */
#define FILTER_SAMPLE_PAGES 6

/* Whether a word is one of the key's, which are sorted. */
static inline bool
FilterHasWord(const VrHnswFilterKey *key, uint64 word)
{
	int low = 0;
	int high = key->nwords;

	while (low < high)
	{
		int mid = (low + high) / 2;

		if (key->words[mid] < word)
			low = mid + 1;
		else
			high = mid;
	}
	return low < key->nwords && key->words[low] == word;
}

/* Whether attribute words meet every condition. */
bool
VrHnswFilterPasses(const VrHnswFilter *filter, const uint64 *attrs,
				   uint16 nulls)
{
	int i;

	for (i = 0; i < filter->nkeys; i++)
	{
		const VrHnswFilterKey *key = &filter->keys[i];

		if ((nulls & (1 << key->attr)) || !FilterHasWord(key, attrs[key->attr]))
			return false;
	}
	return true;
}

/*
 * Writes the ids of an ATTR page's live entries that may pass (NULL counts as
 * 0 here; the record decides) to ids, which has room for all; returns how
 * many. *live becomes the number of live entries.
 */
static uint32
FilterPage(const VrHnswLayout *l, const VrHnswFilter *filter, Page page,
		   BlockNumber block, uint32 *ids, uint32 *live)
{
	int entries = VrHnswAttrEntries(l);
	const char *state = VrHnswPageContents(page);
	const uint64 *columns = (const uint64 *) (state + MAXALIGN(entries));
	uint32 first = (block + 1) * l->slots;
	uint32 n = 0;
	uint32 total = 0;
	int i;
	int k;

	/* The first condition without branches: it decides about most. */
	if (filter->keys[0].nwords == 1)
	{
		const uint64 *words = columns + filter->keys[0].attr * entries;
		uint64 word = filter->keys[0].words[0];

		for (i = 0; i < entries; i++)
		{
			bool on = (state[i] & VR_ATTR_LIVE) != 0;

			total += on;
			ids[n] = i;
			n += on && words[i] == word;
		}
		k = 1;
	}
	else
	{
		for (i = 0; i < entries; i++)
		{
			bool on = (state[i] & VR_ATTR_LIVE) != 0;

			total += on;
			ids[n] = i;
			n += on;
		}
		k = 0;
	}
	for (; k < filter->nkeys; k++)
	{
		const VrHnswFilterKey *key = &filter->keys[k];
		const uint64 *words = columns + key->attr * entries;
		uint32 kept = 0;

		for (i = 0; i < n; i++)
		{
			uint32 e = ids[i];

			ids[kept] = e;
			kept += FilterHasWord(key, words[e]);
		}
		n = kept;
	}
	for (i = 0; i < n; i++)
		ids[i] += first;
	*live = total;
	return n;
}

/*
 * Estimates from a few ATTR pages how many records are live and how many of
 * them pass.
 */
void
VrHnswFilterEstimate(VrHnswStore *store, const VrHnswFilter *filter,
					 double *live, double *passing)
{
	const VrHnswLayout *l = &store->idx->layout;
	uint32 npages = (store->nblocks - 1 + l->attr_group - 1) / l->attr_group;
	uint32 nsample = Min(npages, FILTER_SAMPLE_PAGES);
	uint32 *ids = palloc((VrHnswAttrEntries(l) + 1) * sizeof(uint32));
	double seen = 0;
	double passed = 0;
	uint32 i;

	for (i = 0; i < nsample; i++)
	{
		/* Spread evenly; the last page is seldom full, the first always. */
		BlockNumber block =
			1 + (BlockNumber) ((uint64) i * npages / nsample) * l->attr_group;
		Buffer buf =
			VrHnswPinPage(store, block, BUFFER_LOCK_SHARE, VR_PAGE_ATTR);
		uint32 on;

		passed += FilterPage(l, filter, BufferGetPage(buf), block, ids, &on);
		seen += on;
		UnlockReleaseBuffer(buf);
	}
	pfree(ids);
	*live = nsample > 0 ? seen / nsample * npages : 0;
	*passing = nsample > 0 ? passed / nsample * npages : 0;
}

/*
 * All records that may pass, as palloc'd ids; NULL, with *n = 0, if they are
 * more than max.
 */
uint32 *
VrHnswFilterCollect(VrHnswStore *store, const VrHnswFilter *filter, uint32 max,
					uint32 *n)
{
	const VrHnswLayout *l = &store->idx->layout;
	uint32 entries = VrHnswAttrEntries(l);
	uint32 room = entries * 4 + 1;
	uint32 *ids = palloc(room * sizeof(uint32));
	BlockNumber block;

	*n = 0;
	for (block = 1; block < store->nblocks; block += l->attr_group)
	{
		Buffer buf;
		uint32 on;

		CHECK_FOR_INTERRUPTS();
		if (*n + entries + 1 > room)
		{
			room = room * 2;
			ids = repalloc_huge(ids, (Size) room * sizeof(uint32));
		}
		buf = VrHnswPinPage(store, block, BUFFER_LOCK_SHARE, VR_PAGE_ATTR);
		*n += FilterPage(l, filter, BufferGetPage(buf), block, ids + *n, &on);
		UnlockReleaseBuffer(buf);
		if (*n > max)
		{
			pfree(ids);
			*n = 0;
			return NULL;
		}
	}
	return ids;
}
