/*
 * hnsw_search.c
 *		Best-first search on one level, and the descent through levels.
 *
 * Both storage forms run the same loop: take the nearest record not yet
 * expanded, expand it, and stop when it is farther than the ef-th nearest hit.
 * They differ in what an expansion reads. Plain: every neighbour's record, for
 * its exact distance. Quantised: the record alone, which yields its own exact
 * distance and an estimate for each neighbour.
 *
 * A search can be resumed with a larger ef: what was seen but too far is kept
 * (plain: in a spill array; quantised: in the pool), and all hits.
 * Knows records, not pages.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_keyheap.h"
#include "hnsw/hnsw_private.h"

/* An inlined sort of keys: hits are sorted for every row that is inserted. */
#define ST_SORT search_sort_keys
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Bytes of a quantised record to prefetch, which is read whole: up to a long
 * one.
 */
#define SEARCH_PREFETCH_WHOLE 4096

/*
 * In so many parts: the processor has no more than a dozen or so lines on their
 * way at once, and waits with whatever comes next when asked for more.
 */
#define SEARCH_PREFETCH_PARTS 5

/* Plain: neighbours that are on their way while one is measured. */
#define SEARCH_AHEAD 3

/* ------------------------------------------------------------------- heaps */

/* Makes room in an array of keys for one more than n. */
static void
KeysReserve(VrHnswSearch *s, uint64 **keys, uint32 n, uint32 *max)
{
	uint32 want;

	if (likely(n < *max))
		return;
	want = Max(Max(*max * 2, n + 1), 256);
	*keys = *keys
				? repalloc_huge(*keys, (Size) want * sizeof(uint64))
				: MemoryContextAllocHuge(s->cxt, (Size) want * sizeof(uint64));
	*max = want;
}

static inline void
FrontierPush(VrHnswSearch *s, uint64 key)
{
	KeysReserve(s, &s->frontier, s->nfrontier, &s->maxfrontier);
	VrKeyHeapRise(s->frontier, s->nfrontier++, key);
}

/* Takes the least key of the non-empty frontier. */
static inline uint64
FrontierPop(VrHnswSearch *s)
{
	uint64 top = s->frontier[0];

	s->nfrontier--;
	VrKeyHeapSink(s->frontier, s->nfrontier, s->frontier[s->nfrontier]);
	return top;
}

/* Lets d into the ef nearest, if it belongs there. */
static inline void
BoundAdd(VrHnswSearch *s, float d)
{
	float *h = s->bound;
	uint32 i;

	if (s->nbound < s->ef)
	{
		i = s->nbound++;
		while (i > 0)
		{
			uint32 parent = (i - 1) / 2;

			if (h[parent] >= d)
				break;
			h[i] = h[parent];
			i = parent;
		}
		h[i] = d;
		return;
	}
	if (d >= h[0])
		return;
	i = 0;
	for (;;)
	{
		uint32 child = i * 2 + 1;

		if (child >= s->nbound)
			break;
		if (child + 1 < s->nbound && h[child + 1] > h[child])
			child++;
		if (h[child] <= d)
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = d;
}

/* What a record must be nearer than to be of interest in this pass. */
static inline float
BoundLimit(const VrHnswSearch *s)
{
	return s->nbound < s->ef ? FLT_MAX : s->bound[0];
}

static void
BoundReserve(VrHnswSearch *s, uint32 ef)
{
	if (ef <= s->maxbound)
		return;
	if (s->bound)
		pfree(s->bound);
	s->bound = MemoryContextAllocHuge(s->cxt, (Size) ef * sizeof(float));
	s->maxbound = ef;
}

/* ------------------------------------------------------------------ set-up */

/* Starts with nothing; memory comes from cxt, which must outlive the search. */
void
VrHnswSearchInit(VrHnswSearch *s, VrHnswStore *store, MemoryContext cxt)
{
	memset(s, 0, sizeof(*s));
	s->store = store;
	s->cxt = cxt;
	s->self = s->found = VR_HNSW_NO_VERTEX;
	s->copies = AllocSetContextCreate(cxt, "vecrecall hnsw records",
									  ALLOCSET_DEFAULT_SIZES);
	VrHnswPoolInit(&s->pool, cxt);
	VrSeenAllocate(&s->seen, cxt, VR_SEEN_PLACES);
}

/* What the last scan of this backend left for the next one, or NULL. */
static VrHnswSearch *search_spare = NULL;

/* More than this is given back to the system. */
#define SEARCH_SPARE_BYTES (4 * 1024 * 1024)

/*
 * A search for a scan, in a context of its own below parent. Its memory goes
 * from scan to scan: making it anew takes as long as several visits. If the
 * scan ends by an error, it goes with parent.
 */
VrHnswSearch *
VrHnswSearchBorrow(VrHnswStore *store, MemoryContext parent)
{
	VrHnswSearch *s = search_spare;

	if (s != NULL)
	{
		search_spare = NULL;
		MemoryContextSetParent(s->cxt, parent);
		s->store = store;
		s->nhits = 0;
	}
	else
	{
		MemoryContext cxt = AllocSetContextCreate(
			parent, "vecrecall hnsw search", ALLOCSET_DEFAULT_SIZES);

		s = MemoryContextAlloc(cxt, sizeof(VrHnswSearch));
		VrHnswSearchInit(s, store, cxt);
	}
	return s;
}

/* The scan is over. */
void
VrHnswSearchReturn(VrHnswSearch *s)
{
	if (search_spare != NULL || VrHnswSearchMemory(s) > SEARCH_SPARE_BYTES)
	{
		MemoryContextDelete(s->cxt);
		return;
	}
	MemoryContextReset(s->copies);
	s->store = NULL;
	s->query = NULL;
	s->filter = NULL;
	MemoryContextSetParent(s->cxt, TopMemoryContext);
	search_spare = s;
}

/*
 * What a record's estimates count as; README, "Which estimate counts". Of
 * images the first, but by inner product: there the first ones, from far
 * records, are too far off.
 */
static VrPoolRule
SearchRule(const VrHnswSearch *s)
{
	if (s->mixed)
		return VR_POOL_MIXED;
	return s->store->image != NULL && s->store->idx->metric != VR_METRIC_IP
			   ? VR_POOL_FIRST
			   : VR_POOL_LEAST;
}

/*
 * Takes up another query and forgets what was seen. A quantised query is
 * prepared here; value must live as long as the search works on it.
 */
void
VrHnswSearchQuery(VrHnswSearch *s, const VrHnswValue *query)
{
	VrHnswIndex *idx = s->store->idx;

	s->query = query;
	s->rule = SearchRule(s);
	VrSeenReset(&s->seen);
	VrHnswPoolForget(&s->pool);
	if (idx->form == VR_FORM_QUANTISED)
	{
		VrHnswImage *image = s->store->image;
		const VrQuantLayout *layout =
			image && image->quick > 0 ? &image->quick_layout : &idx->quant;
		Size bytes = VrQuantQuerySize(layout);

		if (s->qbytes < bytes)
		{
			if (s->qmem)
				pfree(s->qmem);
			s->qmem = NULL;
			s->qbytes = 0;
			s->qmem = MemoryContextAlloc(s->cxt, bytes);
			s->qbytes = bytes;
		}
		s->qquery = VrQuantQueryInit(layout, query->rotated,
									 VR_QUERY_CODES | VR_QUERY_OWN, s->qmem);
	}
	MemoryContextReset(s->copies);
}

/* Starts a pass of width ef on a level, with no entry points yet. */
void
VrHnswSearchLevel(VrHnswSearch *s, int level, uint32 ef)
{
	s->level = level;
	s->ef = ef;
	s->load_bytes = s->load_step = 0;
	s->nfrontier = s->nspill = s->nbound = s->nhits = 0;
	VrHnswPoolEmpty(&s->pool);
	BoundReserve(s, ef);
}

/* Bytes that grow with a search, to be held against work_mem. */
Size
VrHnswSearchMemory(const VrHnswSearch *s)
{
	return (Size) s->maxfrontier * sizeof(uint64) +
		   (Size) s->maxspill * sizeof(uint64) + VrHnswPoolBytes(&s->pool) +
		   (Size) s->maxhits * sizeof(VrHnswHit) +
		   (Size) s->maxbound * sizeof(float) +
		   (Size) s->seen.places * sizeof(uint32);
}

/* -------------------------------------------------------------- expansions */

/* Quantised: distance to a held record's own value. */
static inline float
SearchOwn(const VrHnswSearch *s, VrHnswRecord rec, const VrHnswOwnHead *head)
{
	const VrHnswLayout *layout = &s->store->idx->layout;
	const VrHnswImage *image = s->store->image;

	if (image && image->quick > 0)
	{
		const VrHnswQuick *quick = VrHnswImageQuick(image, rec);
		float d = VrOwnDistance(s->qquery, &quick->head, quick->codes);
		float err = quick->head.err;

		if (likely(!VrOwnIsRough(layout->padded, d, err * err)))
			return d;
		return VrOwnDistanceAs(layout->own_kind, s->qquery, &head->own,
							   VrHnswRecordOwn(rec, layout));
	}
	return VrOwnDistance(s->qquery, &head->own, VrHnswRecordOwn(rec, layout));
}

/*
 * How far off a distance to a record's own value may be, as VrHnswLowerBound
 * wants it: |e|, or for inner product 2 |e| |q - x|, and its rounding.
 */
static inline float
SearchError(const VrHnswIndex *idx, const VrHnswOwnHead *head, float g)
{
	if (idx->metric != VR_METRIC_IP)
		return head->own.err;
	/* Out of the ordinary: see hnsw_form.c. */
	if (unlikely(head->own.err >= 1e36f))
		return head->own.err;
	g = Max(g, 0);
	return 2 * head->own.err * sqrtf(g) + 8e-6f * g;
}

/* Keeps a held record as a hit at distance d. */
static void
SearchHit(VrHnswSearch *s, uint32 id, VrHnswRecord rec, float d, float err)
{
	const VrHnswLayout *layout = &s->store->idx->layout;
	VrHnswHit *hit;
	bool live = VrHnswRecordIsLive(rec);

	if (unlikely(s->equal != NULL) && live &&
		VrHnswIsEqual(s->store, rec, s->equal))
		s->found = rec->base;
	if (live && s->filter &&
		!VrHnswFilterPasses(s->filter, VrHnswRecordAttrs(rec, layout),
							rec->attr_nulls))
		live = false;
	/* Above level 0 a dead record still shows the way down. */
	if (!live && s->level == 0)
		return;
	if (!s->resumable && d >= BoundLimit(s))
		return;
	if (unlikely(s->nhits == s->maxhits))
	{
		uint32 n = Max(s->maxhits * 2, 128);

		s->hits =
			s->hits
				? repalloc_huge(s->hits, (Size) n * sizeof(VrHnswHit))
				: MemoryContextAllocHuge(s->cxt, (Size) n * sizeof(VrHnswHit));
		s->maxhits = n;
	}
	hit = &s->hits[s->nhits++];
	hit->d = d;
	hit->err = err;
	hit->id = id;
	hit->link = s->level == 0 ? rec->more_tids : rec->down;
	hit->tid = rec->tid;
	hit->live = live;
	hit->flags = 0;
	hit->value = NULL;
	if (s->keep_copies)
	{
		if (s->store->image)
			hit->value = (char *) rec;
		else
		{
			hit->value = MemoryContextAlloc(s->copies, layout->record_size);
			memcpy(hit->value, rec, layout->record_size);
		}
	}
	BoundAdd(s, d);
}

/* Puts a record of (estimated) distance d where it belongs. */
static inline void
SearchCandidate(VrHnswSearch *s, uint32 id, float d, float limit)
{
	if (d < limit)
		FrontierPush(s, VrHnswKey(d, id));
	else if (s->resumable)
	{
		KeysReserve(s, &s->spill, s->nspill, &s->maxspill);
		s->spill[s->nspill++] = VrHnswKey(d, id);
	}
}

/* Plain: reads a record for its distance. */
static void
SearchMeasure(VrHnswSearch *s, uint32 id)
{
	VrHnswStore *store = s->store;
	VrHnswRef ref;
	const char *value;
	float d;

	/* A value never changes, so an image needs no lock to read it. */
	if (!VrHnswVisit(store, id, s->level,
					 store->image ? BUFFER_LOCK_UNLOCK : BUFFER_LOCK_SHARE,
					 &ref))
		return;
	value = VrHnswRecordValue(store, ref.rec);
	d = VrHnswDistance(store->idx, s->query->data, s->query->bytes, value,
					   ref.rec->value_bytes);
	if (id != s->self)
		SearchHit(s, id, ref.rec, d, 0);
	SearchCandidate(s, id, d, BoundLimit(s));
	VrHnswRelease(&ref);
}

/* Plain: measures the neighbours not seen before. */
static void
SearchExpandPlain(VrHnswSearch *s, uint32 id)
{
	const VrHnswLayout *layout = &s->store->idx->layout;
	uint32 fresh[VR_HNSW_MAX_LANES];
	int nfresh = 0;
	VrHnswRef ref;
	const uint32 *ids;
	int i;

	if (!VrHnswVisit(s->store, id, s->level, BUFFER_LOCK_SHARE, &ref))
		return;
	ids = VrHnswRecordIds(ref.rec, layout);
	for (i = 0; i < ref.rec->degree; i++)
		if (!VrSeenMark(&s->seen, s->cxt, ids[i]))
			fresh[nfresh++] = ids[i];
	VrHnswRelease(&ref);
	for (i = 0; i < Min(nfresh, SEARCH_AHEAD); i++)
		VrHnswPrefetchOwn(s->store, fresh[i]);
	for (i = 0; i < nfresh; i++)
	{
		if (i + SEARCH_AHEAD < nfresh)
			VrHnswPrefetchOwn(s->store, fresh[i + SEARCH_AHEAD]);
		SearchMeasure(s, fresh[i]);
		if (s->found != VR_HNSW_NO_VERTEX)
			break;
	}
}

/* Names a record to be loaded while another one is expanded. */
static inline void
SearchLoad(VrHnswSearch *s, uint32 id, int bytes)
{
	s->load_bytes = bytes;
	s->load = VrHnswWhereabouts(s->store, id, &s->load_bytes);
	s->load_step = TYPEALIGN(64, (s->load_bytes + SEARCH_PREFETCH_PARTS - 1) /
									 SEARCH_PREFETCH_PARTS);
}

/* Starts loading the next bytes of it. */
static inline void
SearchLoadMore(VrHnswSearch *s, int bytes)
{
	int n = Min(bytes, s->load_bytes);

	VrHnswPrefetchBytes(s->load, n);
	s->load += n;
	s->load_bytes -= n;
}

/*
 * Puts the estimates of one set of neighbours into the pool. What is too far
 * now is kept for a wider pass, if there may be one.
 */
static inline void
SearchEstimate(VrHnswSearch *s, float g, const uint8 *codes,
			   const VrEdgeFactors *factors, const uint32 *ids, int n,
			   float limit)
{
	uint32 first = VrHnswPoolOpen(&s->pool, limit, s->rule);
	float *est = s->pool.est + first;
	uint32 mask;
	int i;

	mask = VrEstimate32(s->qquery, g, codes, factors, limit, est);
	SearchLoadMore(s, s->load_step);
	if (n < VR_QUANT_LANES)
	{
		mask &= (1u << n) - 1;
		for (i = n; i < VR_QUANT_LANES; i++)
			est[i] = VR_ESTIMATE_MAX;
	}
	if (!s->resumable)
	{
		if (mask == 0)
			return;
		for (i = 0; i < VR_QUANT_LANES; i++)
			est[i] = est[i] < limit ? est[i] : VR_ESTIMATE_MAX;
	}
	memcpy(s->pool.ids + first, ids, n * sizeof(uint32));
	VrHnswPoolClose(&s->pool, mask, s->rule);
}

/*
 * Quantised: the record's distance, and estimates for its neighbours.
 *
 * A neighbour counts as seen when it is expanded, not when it is estimated: it
 * stands in the pool once for each record that leads to it and comes up at the
 * least of its estimates. That takes a third fewer expansions than keeping the
 * first, at 128 dimensions.
 */
static void
SearchExpandQuantised(VrHnswSearch *s, uint32 id)
{
	VrHnswStore *store = s->store;
	const VrHnswLayout *layout = &store->idx->layout;
	VrHnswRef ref;
	const VrHnswOwnHead *head;
	const uint32 *ids;
	float g;
	float limit;
	int at;

	SearchLoadMore(s, s->load_step);
	if (!VrHnswVisit(store, id, s->level, BUFFER_LOCK_SHARE, &ref))
		return;
	SearchLoadMore(s, s->load_step);
	head = VrHnswRecordOwnHead(ref.rec, layout);
	ids = VrHnswRecordIds(ref.rec, layout);
	g = SearchOwn(s, ref.rec, head);
	SearchLoadMore(s, s->load_step);
	if (id != s->self)
		SearchHit(s, id, ref.rec, g - head->norm2,
				  SearchError(s->store->idx, head, g));
	limit = BoundLimit(s);
	for (at = 0; at < ref.rec->degree && s->found == VR_HNSW_NO_VERTEX;
		 at += VR_QUANT_LANES)
	{
		int set = at / VR_QUANT_LANES;

		SearchEstimate(s, g, VrHnswRecordCodes(ref.rec, layout, set),
					   VrHnswRecordFactors(ref.rec, layout, set), ids + at,
					   Min(ref.rec->degree - at, VR_QUANT_LANES), limit);
	}
	SearchLoadMore(s, s->load_bytes);
	VrHnswRelease(&ref);
}

/*
 * Enters a level at a record. Plain measures it now, quantised when it is
 * expanded: until then it counts as nearest.
 */
void
VrHnswSearchAdd(VrHnswSearch *s, uint32 id)
{
	if (s->store->idx->form == VR_FORM_QUANTISED)
		VrHnswPoolAdd(&s->pool, -FLT_MAX, id, s->rule);
	else if (!VrSeenMark(&s->seen, s->cxt, id))
		SearchMeasure(s, id);
}

/* Enters a level at what VrHnswSearchDescend found. */
void
VrHnswSearchEnter(VrHnswSearch *s, uint32 entry)
{
	bool plain = s->store->idx->form == VR_FORM_PLAIN;
	int i;

	VrHnswSearchAdd(s, entry);
	/* How far they are is known: they come up when it is their turn. */
	for (i = 0; i < s->nalso; i++)
		if (plain)
			VrHnswSearchAdd(s, s->also[i]);
		else
			VrHnswPoolAdd(&s->pool, s->also_d[i], s->also[i], s->rule);
}

/* Counts an expansion. False: it is one too many. */
static inline bool
SearchCount(VrHnswSearch *s)
{
	if (unlikely(s->budget > 0 && s->expanded >= s->budget))
		return false;
	s->expanded++;
	if ((s->expanded & 63) == 0)
		CHECK_FOR_INTERRUPTS();
	return true;
}

/* Plain: see VrHnswSearchRun. */
static bool
SearchRunPlain(VrHnswSearch *s)
{
	while (s->nfrontier > 0 && s->found == VR_HNSW_NO_VERTEX)
	{
		uint64 key = s->frontier[0];

		if (VrHnswKeyDistance(key) > BoundLimit(s))
			break;
		if (!SearchCount(s))
			return false;
		FrontierPop(s);
		SearchExpandPlain(s, VrHnswKeyId(key));
	}
	return true;
}

/* Starts loading what is most likely expanded next. */
static inline void
SearchPrefetchNext(VrHnswSearch *s, int bytes)
{
	const VrHnswPool *pool = &s->pool;

	if (pool->nheap > 0)
		VrHnswPrefetch(s->store, pool->ids[VrHnswKeyId(pool->heap[0])], bytes);
}

/*
 * Quantised: see VrHnswSearchRun. A broad search expands a record one step
 * after it was chosen, while its memory is on its way: a third of the time what
 * is nearest then is not what was second before. So the choice does not know
 * the last expansion's estimates, which costs few expansions, and the wait that
 * it saves is a tenth of the time. A way down is a chain of single steps.
 */
static bool
SearchRunQuantised(VrHnswSearch *s)
{
	VrHnswPool *pool = &s->pool;
	int bytes = Min(s->store->idx->layout.record_size, SEARCH_PREFETCH_WHOLE);
	bool ahead = s->level == 0 && s->equal == NULL;
	bool pending = false;
	uint32 next = VR_HNSW_NO_VERTEX;

	while (s->found == VR_HNSW_NO_VERTEX)
	{
		float limit = BoundLimit(s);
		bool chosen = VrHnswPoolLeast(pool, limit);
		uint32 id = next;

		if (chosen)
		{
			if (!SearchCount(s))
			{
				if (pending)
					SearchExpandQuantised(s, id);
				return false;
			}
			next = VrHnswPoolTake(pool, limit);
			if (!ahead)
			{
				SearchPrefetchNext(s, bytes);
				SearchExpandQuantised(s, next);
				continue;
			}
			SearchLoad(s, next, bytes);
			if (!pending)
				SearchLoadMore(s, s->load_bytes);
		}
		if (pending)
			SearchExpandQuantised(s, id);
		else if (!chosen)
			break;
		pending = chosen;
	}
	return true;
}

/*
 * Expands the nearest until none is nearer than the ef-th hit, or the vertex
 * is found whose value the search is for. Returns false if the budget of
 * expansions, if any, ended it before.
 */
bool
VrHnswSearchRun(VrHnswSearch *s)
{
	return s->store->idx->form == VR_FORM_PLAIN ? SearchRunPlain(s)
												: SearchRunQuantised(s);
}

/* Quantised: reads a record for its exact distance, without expanding it. */
static void
SearchMeasureOwn(VrHnswSearch *s, uint32 id)
{
	const VrHnswLayout *layout = &s->store->idx->layout;
	VrHnswRef ref;
	const VrHnswOwnHead *head;
	float g;

	if (!VrHnswVisit(s->store, id, s->level,
					 s->store->image ? BUFFER_LOCK_UNLOCK : BUFFER_LOCK_SHARE,
					 &ref))
		return;
	head = VrHnswRecordOwnHead(ref.rec, layout);
	g = SearchOwn(s, ref.rec, head);
	if (id != s->self)
		SearchHit(s, id, ref.rec, g - head->norm2,
				  SearchError(s->store->idx, head, g));
	VrHnswRelease(&ref);
}

/*
 * Makes hits of records named by id, those excepted that are hits already. The
 * graph is not used, and the search is over with that.
 */
void
VrHnswSearchDirect(VrHnswSearch *s, const uint32 *ids, uint32 n)
{
	bool plain = s->store->idx->form == VR_FORM_PLAIN;
	VrHnswSeen known;
	uint32 i;

	VrSeenAllocate(&known, s->cxt, VR_SEEN_PLACES);
	for (i = 0; i < s->nhits; i++)
		VrSeenMark(&known, s->cxt, s->hits[i].id);
	for (i = 0; i < n; i++)
	{
		if (i + 3 < n)
			VrHnswPrefetchOwn(s->store, ids[i + 3]);
		if (i % 256 == 0)
			CHECK_FOR_INTERRUPTS();
		if (VrSeenHas(&known, ids[i]))
			continue;
		if (plain)
			SearchMeasure(s, ids[i]);
		else
			SearchMeasureOwn(s, ids[i]);
	}
	s->nfrontier = s->nspill = 0;
	VrHnswPoolEmpty(&s->pool);
	pfree(known.ids);
}

/* Brings the n least of keys[0..count-1] to the front, in any order. */
static void
SearchPartition(uint64 *keys, uint32 count, uint32 n)
{
	int64 low = 0;
	int64 high = (int64) count - 1;

	/* Hoare's selection; the middle key of three as pivot. */
	while (low < high)
	{
		uint64 a = keys[low];
		uint64 b = keys[low + (high - low) / 2];
		uint64 c = keys[high];
		uint64 pivot = Max(Min(a, b), Min(Max(a, b), c));
		int64 i = low;
		int64 j = high;

		while (i <= j)
		{
			while (keys[i] < pivot)
				i++;
			while (keys[j] > pivot)
				j--;
			if (i <= j)
			{
				uint64 t = keys[i];

				keys[i++] = keys[j];
				keys[j--] = t;
			}
		}
		if ((int64) n <= j)
			high = j;
		else if ((int64) n >= i)
			low = i;
		else
			break;
	}
}

/*
 * Quantised, after a run: the n best of those that have only an estimate and
 * once promised to be near become hits too. For choosing neighbours, where a
 * true distance is worth more than a wider search. Ends the search.
 */
void
VrHnswSearchWiden(VrHnswSearch *s, uint32 n)
{
	const VrHnswPool *pool = &s->pool;
	uint32 best;
	uint32 i;

	KeysReserve(s, &s->frontier, pool->nblocks * VR_QUANT_LANES,
				&s->maxfrontier);
	s->nfrontier = 0;
	/* Without a branch: which lanes are blank is anybody's guess. */
	for (i = 0; i < pool->nblocks * VR_QUANT_LANES; i++)
	{
		s->frontier[s->nfrontier] = VrHnswKey(pool->est[i], pool->ids[i]);
		s->nfrontier += pool->est[i] < VR_ESTIMATE_MAX;
	}
	best = Min(n, s->nfrontier);
	if (best < s->nfrontier)
		SearchPartition(s->frontier, s->nfrontier, best);
	/* They are hits although ef nearer ones are known. */
	s->resumable = true;
	for (i = 0; i < best; i++)
	{
		if (i + 2 < best)
			VrHnswPrefetch(s->store, VrHnswKeyId(s->frontier[i + 2]), 64);
		SearchMeasureOwn(s, VrHnswKeyId(s->frontier[i]));
	}
	s->nfrontier = 0;
	VrHnswPoolEmpty(&s->pool);
	s->resumable = false;
}

/*
 * Visits one record that the graph may not lead to, as if found. Returns
 * whether it had not been seen.
 */
bool
VrHnswSearchVisit(VrHnswSearch *s, uint32 id)
{
	if (s->store->idx->form == VR_FORM_QUANTISED
			? VrHnswPoolHasTaken(&s->pool, id)
			: VrSeenHas(&s->seen, id))
		return false;
	VrHnswSearchAdd(s, id);
	return true;
}

/*
 * Puts hits in order from a place on, nearest first, ties in the order found,
 * up to a second place: what belongs behind that stands there in any order. A
 * resumable search has twenty hits for each that is returned.
 */
void
VrHnswSearchSort(VrHnswSearch *s, uint32 from, uint32 to)
{
	VrHnswHit *hits = s->hits + from;
	uint32 n = s->nhits - from;
	uint32 want = Min(to, s->nhits) - from;
	uint64 *keys;
	VrHnswHit *sorted;
	uint32 other;
	uint32 i;

	Assert(from <= to);
	if (n < 2 || want == 0)
		return;
	keys = palloc_extended((Size) n * sizeof(uint64), MCXT_ALLOC_HUGE);
	sorted = palloc_extended((Size) want * sizeof(VrHnswHit), MCXT_ALLOC_HUGE);
	for (i = 0; i < n; i++)
		keys[i] = VrHnswKey(hits[i].d, i);
	if (want < n)
		SearchPartition(keys, n, want);
	search_sort_keys(keys, want);
	for (i = 0; i < want; i++)
		sorted[i] = hits[VrHnswKeyId(keys[i])];
	/* Whoever stands in front and is not wanted there takes a place left. */
	for (i = 0, other = want; i < want; i++)
	{
		if (VrHnswKeyId(keys[i]) < want)
			continue;
		while (VrHnswKeyId(keys[other]) >= want)
			other++;
		hits[VrHnswKeyId(keys[i])] = hits[VrHnswKeyId(keys[other++])];
	}
	memcpy(hits, sorted, (Size) want * sizeof(VrHnswHit));
	pfree(sorted);
	pfree(keys);
}

/*
 * Widens a resumable search to its ef nearest hits in all, those returned
 * already included. Run it again then.
 */
void
VrHnswSearchGrow(VrHnswSearch *s, uint32 ef)
{
	uint32 n = s->nspill;
	uint32 i;

	BoundReserve(s, ef);
	s->ef = ef;
	s->nbound = 0;
	for (i = 0; i < s->nhits; i++)
		BoundAdd(s, s->hits[i].d);
	s->nspill = 0;
	for (i = 0; i < n; i++)
	{
		uint64 key = s->spill[i];

		if (VrHnswKeyDistance(key) < BoundLimit(s))
			FrontierPush(s, key);
		else
			s->spill[s->nspill++] = key;
	}
	VrHnswPoolReconsider(&s->pool, BoundLimit(s), s->rule);
}

/* Whether a search that has run has nothing left to look at, however wide. */
bool
VrHnswSearchIsOver(const VrHnswSearch *s)
{
	return s->nfrontier == 0 && s->nspill == 0 && s->pool.nheap == 0;
}

/*
 * Goes from the entry record down to a level, nearest to nearest, or down to
 * the vertex at once that the search is for. Returns a record of that level,
 * or NO_VERTEX if the way is gone: the entry was replaced meanwhile, and the
 * caller reads it anew. The last level above is searched a little wider, and
 * the next nearest there are in s->also: one alone may be in another cluster
 * than the query, with few ways out of it.
 */
uint32
VrHnswSearchDescend(VrHnswSearch *s, uint32 entry, int entry_level, int level)
{
	int l;
	int also = s->equal ? 1 : VrHnswAlso(s->store->idx->form);
	bool copies = s->keep_copies;
	bool resumable = s->resumable;
	/* What a live record leads to is there; an old entry's way may be gone. */
	bool sure = false;

	s->keep_copies = s->resumable = false;
	s->nalso = 0;
	for (l = entry_level; l > level; l--)
	{
		uint32 i;

		VrHnswSearchLevel(s, l, l == level + 1 ? 1 + also : 1);
		VrHnswSearchAdd(s, entry);
		VrHnswSearchRun(s);
		if (s->found != VR_HNSW_NO_VERTEX)
		{
			entry = s->found;
			sure = true;
			break;
		}
		if (s->nhits == 0)
		{
			entry = VR_HNSW_NO_VERTEX;
			break;
		}
		VrHnswSearchSort(s, 0, s->nhits);
		entry = s->hits[0].link;
		sure = s->hits[0].live;
		if (l == level + 1)
			for (i = 1; i < s->nhits && s->nalso < also; i++)
			{
				s->also_d[s->nalso] = s->hits[i].d;
				s->also[s->nalso++] = s->hits[i].link;
			}
	}
	if (entry != VR_HNSW_NO_VERTEX && !sure)
	{
		VrHnswRef ref;

		if (VrHnswVisit(s->store, entry, level, BUFFER_LOCK_SHARE, &ref))
			VrHnswRelease(&ref);
		else
			entry = VR_HNSW_NO_VERTEX;
	}
	s->keep_copies = copies;
	s->resumable = resumable;
	return entry;
}
