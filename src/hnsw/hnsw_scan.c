/*
 * hnsw_scan.c
 *		Index scans: nearest first, for as long as rows are asked for.
 *
 * The first pass is a search of width hnsw.ef_search. When its hits are used
 * up and the scan is iterative, the search is resumed with half as much width
 * again, so that LIMIT is honoured and a filter loses no rows. When the graph
 * is used up, the vertex pages are swept for what it does not lead to.
 *
 * Heap TIDs are read together with the value that a distance was computed
 * from, under one lock, so a slot that is reused meanwhile is just another
 * vertex: a scan holds nothing between calls and blocks nobody.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/heaptoast.h"
#include "access/relscan.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/vr_server.h"
#include "hnsw/hnsw_private.h"

/*
 * What reading ATTR pages, measuring a record alone and expanding it cost, in
 * nanoseconds: only their ratios matter. Measured with 384 dimensions.
 */
#define SCAN_COST_ATTR 1.2
#define SCAN_COST_MEASURE 250.0
#define SCAN_COST_EXPAND 800.0

/* How much dearer than a walk measuring may be: it misses nothing. */
#define SCAN_DIRECT_BONUS 2.0

/* Unseen records that a sweep takes up between looks at the limits. */
#define SCAN_SWEEP_BATCH 1024

/*
 * Strict order, quantised: the share of a pass's hits that are returned before
 * the next pass. Searching by estimates finds the farthest of its hits last
 * and misses some; what comes out after them would be dropped.
 */
#define SCAN_SETTLED 0.6

/*
 * The first pass, which most scans end with, holds back so many times the root
 * of its width: LIMIT 10 and the row that settles the order of the last are to
 * come out of ef_search = 12, and LIMIT 500 out of 400.
 */
#define SCAN_UNSETTLED_FIRST 0.4

/*
 * Quantised: the first pass's width by ef_search. The mean of estimates is less
 * sanguine than their least, so a pass of the same width expands a quarter less
 * and finds less; this wide it finds as much, and still expands a seventh less.
 */
#define SCAN_WIDER 1.3

/*
 * The same by inner product, where edges are long and estimates rough: so that
 * recall at a given ef_search is not below pgvector's there either.
 */
#define SCAN_WIDER_IP 2.2

VrHnswScanStats VrHnswLastScan;

typedef struct HnswScanState
{
	VrHnswIndex *idx;
	VrHnswStore store;
	VrHnswSearch *search;
	VrHnswValue query;
	VrHnswFilter filter;
	MemoryContext cxt;       /* of the search, for all rescans */
	MemoryContext query_cxt; /* of one rescan */
	bool ready;              /* store and search are set up */
	bool started;            /* the first pass has run */
	double live;             /* filter: records, as estimated */
	double passing;          /* filter: those that pass */
	bool recheck;            /* hashed attributes: the heap decides */
	VrHnswIterative mode;
	uint32 width;           /* as asked for */
	uint32 next;            /* hit to return next */
	uint32 end;             /* hits before this one may be returned */
	float err;              /* the most that a hit of the window is off */
	bool rerank;            /* the rows' own values settle the order */
	double low;             /* lower bound of the present hit, for that */
	VrHnswReorder *reorder; /* NULL where the executor does that */
	float last;             /* distance of the last one returned */
	BlockNumber sweep;      /* next block to sweep; 0 if not begun */
	bool exhausted;         /* nothing is left to look at */
	bool landed;            /* began at landmarks, has not been at the entry */
	bool stopped;           /* a limit was met: nothing is held back */

	/* TIDs of the present hit */
	ItemPointerData *tids;
	int ntids;
	int maxtids;
	int at;

	VrHnswScanStats stats;
} HnswScanState;

IndexScanDesc
vr_hnsw_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	HnswScanState *so = palloc0(sizeof(HnswScanState));

	so->cxt = AllocSetContextCreate(CurrentMemoryContext, "vecrecall hnsw scan",
									ALLOCSET_DEFAULT_SIZES);
	so->query_cxt = AllocSetContextCreate(so->cxt, "vecrecall hnsw query",
										  ALLOCSET_DEFAULT_SIZES);
	scan->opaque = so;
	if (norderbys > 0)
	{
		scan->xs_orderbyvals = palloc0(norderbys * sizeof(Datum));
		scan->xs_orderbynulls = palloc0(norderbys * sizeof(bool));
	}
	return scan;
}

void
vr_hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys,
			   int norderbys)
{
	HnswScanState *so = scan->opaque;

	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys,
				scan->numberOfOrderBys * sizeof(ScanKeyData));
	if (so->started)
		VrHnswLastScan = so->stats;
	so->started = false;
	so->next = so->end = 0;
	so->ntids = so->at = so->maxtids = 0;
	so->tids = NULL;
	so->sweep = 0;
	so->exhausted = so->stopped = so->landed = false;
	if (so->reorder)
		VrHnswReorderReset(so->reorder);
	MemoryContextReset(so->query_cxt);
}

/* What a scan has done up to now; NULL if it has not begun. */
const VrHnswScanStats *
VrHnswScanDone(IndexScanDesc scan)
{
	const HnswScanState *so = scan->opaque;

	return so->started ? &so->stats : NULL;
}

void
vr_hnsw_endscan(IndexScanDesc scan)
{
	HnswScanState *so = scan->opaque;

	if (so->started)
		VrHnswLastScan = so->stats;
	if (so->reorder)
		VrHnswReorderEnd(so->reorder);
	if (so->search)
		VrHnswSearchReturn(so->search);
	MemoryContextDelete(so->cxt);
	pfree(so);
	scan->opaque = NULL;
}

/* ------------------------------------------------------------- conditions */

static int
ScanCompareWords(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/* The words of `column = ANY (array)`. */
static void
ScanArrayWords(Relation index, int attr, ScanKey key, VrHnswFilterKey *out)
{
	ArrayType *array = DatumGetArrayTypeP(key->sk_argument);
	Oid type = ARR_ELEMTYPE(array);
	int16 len;
	bool byval;
	char align;
	Datum *values;
	bool *nulls;
	int n;
	int i;

	get_typlenbyvalalign(type, &len, &byval, &align);
	deconstruct_array(array, type, len, byval, align, &values, &nulls, &n);
	out->words = palloc(Max(n, 1) * sizeof(uint64));
	for (i = 0; i < n; i++)
		if (!nulls[i])
			out->words[out->nwords++] =
				VrHnswAttrWordOf(index, attr, type, values[i]);
	qsort(out->words, out->nwords, sizeof(uint64), ScanCompareWords);
}

/* Turns scan keys into a filter of attribute words. */
static void
ScanMakeFilter(IndexScanDesc scan, HnswScanState *so)
{
	Relation index = scan->indexRelation;
	VrHnswFilter *f = &so->filter;
	int i;

	memset(f, 0, sizeof(*f));
	so->recheck = false;
	f->keys = palloc0(Max(scan->numberOfKeys, 1) * sizeof(VrHnswFilterKey));
	for (i = 0; i < scan->numberOfKeys; i++)
	{
		ScanKey key = &scan->keyData[i];
		VrHnswFilterKey *out = &f->keys[f->nkeys];
		int attr = key->sk_attno - 2;

		if (attr < 0 || attr >= so->idx->layout.nattrs ||
			key->sk_strategy != VR_HNSW_EQUAL_STRATEGY)
			elog(ERROR, "hnsw scan key on column %d with strategy %d",
				 key->sk_attno, key->sk_strategy);
		out->attr = attr;
		if (key->sk_flags & SK_ISNULL)
			f->never = true;
		else if (key->sk_flags & SK_SEARCHARRAY)
			ScanArrayWords(index, attr, key, out);
		else
		{
			Oid type = OidIsValid(key->sk_subtype)
						   ? key->sk_subtype
						   : index->rd_opcintype[attr + 1];

			/* Polymorphic: the value is of the column's own type. */
			if (IsPolymorphicType(type))
				type =
					TupleDescAttr(RelationGetDescr(index), attr + 1)->atttypid;
			out->words = palloc(sizeof(uint64));
			out->words[0] =
				VrHnswAttrWordOf(index, attr, type, key->sk_argument);
			out->nwords = 1;
		}
		if (out->nwords == 0)
			f->never = true;
		if (!VrHnswAttrIsExact(index, attr))
			so->recheck = true;
		f->nkeys++;
	}
}

/* ----------------------------------------------------------------- passes */

/* What hnsw.iterative_scan means for this index. */
static VrHnswIterative
ScanMode(Relation index, const VrHnswIndex *idx)
{
	if (VrHnswIsIvfflat(index))
		return VrHnswIvfflatMode();
	if (vr_hnsw_iterative_scan != VR_ITERATIVE_AUTO)
		return vr_hnsw_iterative_scan;
	return idx->alias ? VR_ITERATIVE_OFF : VR_ITERATIVE_STRICT;
}

/* Strict order, quantised: how many of a pass's hits are returned. */
static uint32
ScanSettled(const HnswScanState *so)
{
	double ef = so->search->ef;

	if (so->stats.passes > 0)
		return (uint32) ceil(ef * SCAN_SETTLED);
	return (uint32) ceil(ef - SCAN_UNSETTLED_FIRST * sqrt(ef));
}

/* Makes the sorted hits of a pass available: the ef nearest of all. */
static void
ScanWindow(HnswScanState *so)
{
	VrHnswSearch *s = so->search;
	uint32 i;

	so->end = Min(s->nhits, Max(s->ef, so->next));
	/* Nothing nearer can follow, and nobody will ask again. */
	if (so->exhausted)
		so->end = s->nhits;
	else if (so->mode == VR_ITERATIVE_OFF)
		so->end = Min(so->end, so->width);
	else if (so->mode == VR_ITERATIVE_STRICT && !so->stopped &&
			 so->idx->form == VR_FORM_QUANTISED)
		so->end = Min(so->end, Max(so->next, ScanSettled(so)));
	VrHnswSearchSort(s, so->next, so->end);
	/*
	 * One bound for all keeps the lower bounds in the order of distances. A
	 * hit that may be nearer than what was promised of all that follows came
	 * too late for strict order: by inner product, a very long vector across
	 * the query may be anywhere.
	 */
	so->err = 0;
	for (i = so->next; i < so->end; i++)
	{
		VrHnswHit *hit = &s->hits[i];

		if (so->rerank && so->mode == VR_ITERATIVE_STRICT && hit->live &&
			VrHnswLowerBound(so->idx, so->query.norm2, hit->d, hit->err) <
				so->low)
		{
			hit->live = false;
			so->stats.dropped++;
		}
		else
			so->err = Max(so->err, hit->err);
	}
	so->stats.passes++;
	so->stats.visits = so->store.visits;
	so->stats.expanded = s->expanded;
	so->stats.memory = Max(so->stats.memory, VrHnswSearchMemory(s));
}

/* Cost of measuring all records that pass the filter. */
static double
ScanDirectCost(const HnswScanState *so)
{
	return so->live * SCAN_COST_ATTR + so->passing * SCAN_COST_MEASURE;
}

/* Cost of walking until ef records that pass are found. */
static double
ScanWalkCost(const HnswScanState *so, double ef)
{
	double share = Max(so->passing, 1) / Max(so->live, 1);

	return Min(ef / share, so->live) * SCAN_COST_EXPAND;
}

/*
 * Measures every record that passes the filter, if their number is within the
 * scan's memory. Returns whether it did: then nothing is left to look at.
 */
static bool
ScanDirect(HnswScanState *so)
{
	VrHnswSearch *s = so->search;
	double room = vr_hnsw_scan_mem_multiplier * work_mem * 1024.0 /
				  (sizeof(VrHnswHit) * 2);
	uint32 n;
	uint32 *ids = VrHnswFilterCollect(&so->store, &so->filter,
									  (uint32) Min(room, 1e9), &n);

	if (ids == NULL)
		return false;
	VrHnswSearchDirect(s, ids, n);
	pfree(ids);
	s->ef = Max(s->nhits, 1);
	so->exhausted = true;
	return true;
}

/*
 * The first pass with a filter: directly where few pass. A walk that takes
 * longer than expected, for the filter shuns the query's surroundings, is given
 * up for it too.
 */
static void
ScanStartFiltered(HnswScanState *so)
{
	VrHnswSearch *s = so->search;
	double direct;
	double walk;

	VrHnswFilterEstimate(&so->store, &so->filter, &so->live, &so->passing);
	direct = ScanDirectCost(so);
	walk = ScanWalkCost(so, s->ef);
	if (direct < walk * SCAN_DIRECT_BONUS && ScanDirect(so))
		return;
	s->budget =
		s->expanded + (int64) (Max(direct, walk) * 2 / SCAN_COST_EXPAND) + 100;
	if (!VrHnswSearchRun(s) && !ScanDirect(so))
	{
		s->budget = 0;
		VrHnswSearchRun(s);
	}
	s->budget = 0;
}

/*
 * Whether the heap's vectors are to settle the order. By default where the
 * index holds less than float16 of them, and where it costs nothing: reading a
 * value back from TOAST takes as long as a few visits.
 */
static bool
ScanWantsRerank(const HnswScanState *so)
{
	const VrHnswIndex *idx = so->idx;
	bool coarse = idx->layout.own_kind != VR_OWN_F32 &&
				  idx->layout.own_kind != VR_OWN_F16;
	bool toasted =
		VrHnswPlainBytes(idx->type, idx->dim, 0) + 8 > TOAST_TUPLE_THRESHOLD;

	if (idx->form != VR_FORM_QUANTISED || !so->query.ordered)
		return false;
	if (vr_hnsw_rerank == VR_RERANK_AUTO)
		return coarse || (idx->layout.own_kind == VR_OWN_F16 && !toasted);
	return vr_hnsw_rerank == VR_RERANK_ON;
}

/* The width of the first pass. */
static uint32
ScanFirstWidth(const HnswScanState *so)
{
	if (so->idx->form != VR_FORM_QUANTISED)
		return so->width;
	return (uint32) ceil(so->width * (so->idx->metric == VR_METRIC_IP
										  ? SCAN_WIDER_IP
										  : SCAN_WIDER));
}

/*
 * Enters level 0 for the first pass: at landmarks, or by way of the levels.
 * False: there is no way in, for the index is damaged or was emptied meanwhile.
 */
static bool
ScanEnter(HnswScanState *so, VrHnswMetaPageData *meta)
{
	VrHnswSearch *s = so->search;
	int tries;

	if (VrHnswLandmarksTend(&so->store))
	{
		VrHnswSearchLevel(s, 0, ScanFirstWidth(so));
		so->landed = VrHnswLandmarksEnter(s);
		if (so->landed)
			return true;
	}
	for (tries = 0; tries < 5 && meta->entry != VR_HNSW_NO_VERTEX; tries++)
	{
		uint32 down = VrHnswSearchDescend(s, meta->entry, meta->entry_level, 0);

		VrHnswSearchLevel(s, 0, ScanFirstWidth(so));
		if (down != VR_HNSW_NO_VERTEX)
		{
			VrHnswSearchEnter(s, down);
			return true;
		}
		/* Vacuum replaced the entry between our two looks. */
		VrHnswReadMeta(so->store.index, meta);
		VrHnswSearchQuery(s, &so->query);
	}
	return false;
}

/*
 * Enters level 0 at the entry's vertex too: from there every vertex can be
 * reached.
 */
static void
ScanEnterTop(HnswScanState *so)
{
	VrHnswMetaPageData meta;
	VrHnswRef ref;
	uint32 base;

	so->landed = false;
	VrHnswReadMeta(so->store.index, &meta);
	if (meta.entry == VR_HNSW_NO_VERTEX ||
		!VrHnswVisit(&so->store, meta.entry, meta.entry_level,
					 BUFFER_LOCK_SHARE, &ref))
		return;
	base = ref.rec->base;
	VrHnswRelease(&ref);
	VrHnswSearchVisit(so->search, base);
}

/* The first pass. */
static void
ScanStart(IndexScanDesc scan, HnswScanState *so)
{
	Relation index = scan->indexRelation;
	VrHnswMetaPageData meta;
	VrHnswSearch *s;
	MemoryContext old;

	if (scan->numberOfOrderBys == 0 || scan->orderByData == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot scan hnsw index without order")));
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("non-MVCC snapshots are not supported with hnsw")));
	pgstat_count_index_scan(index);
	VrCountIndexSearch(scan);
	memset(&so->stats, 0, sizeof(so->stats));
	so->stats.index = RelationGetRelid(index);

	old = MemoryContextSwitchTo(so->query_cxt);
	so->idx = VrHnswOpen(index, &meta);
	if (!so->ready)
	{
		VrHnswStoreInit(&so->store, index, so->idx);
		so->search = VrHnswSearchBorrow(&so->store, so->cxt);
		so->ready = true;
	}
	s = so->search;
	so->store.visits = 0;
	so->store.nblocks = RelationGetNumberOfBlocks(index);
	so->store.longvalue = NULL;
	so->store.longsize = 0;
	s->expanded = s->budget = 0;
	so->mode = ScanMode(index, so->idx);
	VrHnswFormQuery(so->idx, scan->orderByData[0].sk_argument,
					(scan->orderByData[0].sk_flags & SK_ISNULL) != 0,
					&so->query);
	so->rerank = ScanWantsRerank(so);
	if (so->rerank && so->reorder == NULL && !vr_server_reorder_keeps_ctid())
		so->reorder = VrHnswReorderBegin(scan, so->cxt);
	ScanMakeFilter(scan, so);
	s->filter = so->filter.nkeys > 0 ? &so->filter : NULL;
	s->resumable = so->mode != VR_ITERATIVE_OFF;
	s->mixed = true;
	VrHnswSearchQuery(s, &so->query);
	so->started = true;
	so->last = -FLT_MAX;
	so->low = -get_float8_infinity();
	so->width = VrHnswScanWidth(index);
	VrHnswSearchLevel(s, 0, ScanFirstWidth(so));
	if (meta.entry == VR_HNSW_NO_VERTEX || so->filter.never ||
		!ScanEnter(so, &meta))
		so->exhausted = meta.entry == VR_HNSW_NO_VERTEX || so->filter.never;
	else if (s->filter)
		ScanStartFiltered(so);
	else
		VrHnswSearchRun(s);
	/* Landmarks may all be in a part of the graph that leads nowhere. */
	if (so->landed && !so->exhausted && s->nhits < s->ef)
	{
		ScanEnterTop(so);
		VrHnswSearchRun(s);
	}
	ScanWindow(so);
	MemoryContextSwitchTo(old);
}

/*
 * Takes up records that the graph did not lead to. Returns false when all
 * pages have been looked at.
 */
static bool
ScanSweep(HnswScanState *so)
{
	VrHnswSearch *s = so->search;
	uint32 ids[VR_HNSW_MAX_SLOTS];
	int found = 0;

	so->store.nblocks = RelationGetNumberOfBlocks(so->store.index);
	if (so->sweep == 0)
		so->sweep = 1;
	for (; so->sweep < so->store.nblocks && found < SCAN_SWEEP_BATCH;
		 so->sweep++)
	{
		int n = VrHnswWalkPage(&so->store, so->sweep, ids);
		int i;

		for (i = 0; i < n; i++)
			found += VrHnswSearchVisit(s, ids[i]);
	}
	VrHnswSearchRun(s);
	return so->sweep < so->store.nblocks;
}

/* Resumes the search. Returns false, having said why, if it may not. */
static bool
ScanResume(HnswScanState *so)
{
	VrHnswSearch *s = so->search;
	uint32 ef;

	so->stats.stop = VR_STOP_EF;
	if (so->mode == VR_ITERATIVE_OFF)
		return false;
	so->stats.stop = VR_STOP_EXHAUSTED;
	if (so->exhausted)
		return false;
	so->stats.stop = VR_STOP_NONE;
	if (so->store.visits >= vr_hnsw_max_scan_tuples)
		so->stats.stop = VR_STOP_TUPLES;
	else if (VrHnswSearchMemory(s) >
			 vr_hnsw_scan_mem_multiplier * work_mem * 1024.0)
		so->stats.stop = VR_STOP_MEMORY;
	if (so->stats.stop != VR_STOP_NONE)
	{
		/* What was held back comes now. */
		if (so->stopped)
			return false;
		so->stopped = true;
		ScanWindow(so);
		return so->next < so->end;
	}

	ef = Max(s->ef, so->next);
	ef += Max(ef / 2, 16);
	if (s->filter &&
		ScanDirectCost(so) < ScanWalkCost(so, ef) * SCAN_DIRECT_BONUS &&
		ScanDirect(so))
	{
		ScanWindow(so);
		return true;
	}
	VrHnswSearchGrow(s, ef);
	VrHnswSearchRun(s);
	if (so->landed && s->nhits < ef && VrHnswSearchIsOver(s))
	{
		ScanEnterTop(so);
		VrHnswSearchRun(s);
	}
	/* Fewer hits than asked for: the graph has no more to give. */
	if (s->nhits < ef && VrHnswSearchIsOver(s))
		so->exhausted = !ScanSweep(so);
	ScanWindow(so);
	return true;
}

/* ------------------------------------------------------------------- TIDs */

static void
ScanAddTid(HnswScanState *so, ItemPointer tid)
{
	if (so->ntids == so->maxtids)
	{
		int n = Max(so->maxtids * 2, 32);

		so->tids =
			so->tids
				? repalloc_huge(so->tids, (Size) n * sizeof(ItemPointerData))
				: MemoryContextAllocHuge(so->query_cxt,
										 (Size) n * sizeof(ItemPointerData));
		so->maxtids = n;
	}
	so->tids[so->ntids++] = *tid;
}

/*
 * Collects the TIDs of a vertex with more than one. The chain stays as it is
 * while the record is locked.
 */
static void
ScanCollectTids(HnswScanState *so, const VrHnswHit *hit)
{
	Relation index = so->store.index;
	BlockNumber nblocks;
	VrHnswRef ref;
	uint32 chunk_id;
	uint64 steps = 0;

	so->ntids = so->at = 0;
	if (hit->link == VR_HNSW_NO_VERTEX)
	{
		ScanAddTid(so, unconstify(ItemPointerData *, &hit->tid));
		return;
	}
	if (!VrHnswVisit(&so->store, hit->id, 0, BUFFER_LOCK_SHARE, &ref))
		return;
	if (VrHnswRecordIsLive(ref.rec))
	{
		ScanAddTid(so, &ref.rec->tid);
		nblocks = RelationGetNumberOfBlocks(index);
		for (chunk_id = ref.rec->more_tids; chunk_id != VR_HNSW_NO_VERTEX;)
		{
			BlockNumber block = chunk_id / VR_HNSW_CHUNKS;
			VrHnswTidChunk chunk;
			Buffer buf;
			int i;

			if (block == 0 || block >= nblocks ||
				steps++ > (uint64) nblocks * VR_HNSW_CHUNKS)
				VrHnswCorrupt(index, block, "a chain of TIDs is damaged");
			buf = VrHnswReadPage(index, block, BUFFER_LOCK_SHARE, VR_PAGE_TID);
			chunk =
				VrHnswPageChunk(BufferGetPage(buf), chunk_id % VR_HNSW_CHUNKS);
			if (chunk->owner != hit->id || chunk->ntids > VR_HNSW_CHUNK_TIDS)
				VrHnswCorrupt(index, block, "a chunk of TIDs is damaged");
			for (i = 0; i < chunk->ntids; i++)
				ScanAddTid(so, &chunk->tids[i]);
			chunk_id = chunk->next;
			UnlockReleaseBuffer(buf);
		}
	}
	VrHnswRelease(&ref);
}

/* The next row by the index's own values, if there is one, and so->low. */
static bool
ScanNext(HnswScanState *so, ItemPointer tid)
{
	for (;;)
	{
		VrHnswHit *hit;
		double low;

		if (so->at < so->ntids)
		{
			*tid = so->tids[so->at++];
			return true;
		}
		CHECK_FOR_INTERRUPTS();
		if (so->next >= so->end)
		{
			MemoryContext old = MemoryContextSwitchTo(so->query_cxt);
			bool more = ScanResume(so);

			MemoryContextSwitchTo(old);
			if (!more)
				return false;
			continue;
		}
		hit = &so->search->hits[so->next++];
		if (!hit->live)
			continue;
		low = so->rerank
				  ? VrHnswLowerBound(so->idx, so->query.norm2, hit->d, so->err)
				  : 0;
		/* The executor can still put it right if the bound has not passed. */
		if (hit->d < so->last && so->mode == VR_ITERATIVE_STRICT &&
			!(so->rerank && low >= so->low))
		{
			so->stats.dropped++;
			continue;
		}
		so->last = Max(so->last, hit->d);
		so->low = so->mode == VR_ITERATIVE_STRICT ? Max(so->low, low) : low;
		ScanCollectTids(so, hit);
	}
}

/* The next row by the heap's values. */
static bool
ScanNextReordered(IndexScanDesc scan, HnswScanState *so, ItemPointer tid)
{
	while (!VrHnswReorderPop(so->reorder, so->low, tid))
	{
		if (ScanNext(so, tid))
			VrHnswReorderPush(so->reorder, scan, tid);
		else
			return VrHnswReorderPop(so->reorder, get_float8_nan(), tid);
	}
	return true;
}

/* amgettuple */
bool
vr_hnsw_gettuple(IndexScanDesc scan, ScanDirection dir)
{
	HnswScanState *so = scan->opaque;
	bool found;

	Assert(ScanDirectionIsForward(dir));
	if (!so->started)
		ScanStart(scan, so);
	found = so->rerank && so->reorder
				? ScanNextReordered(scan, so, &scan->xs_heaptid)
				: ScanNext(so, &scan->xs_heaptid);
	if (!found)
		return false;
	scan->xs_recheck = so->recheck;
	scan->xs_recheckorderby = so->rerank && so->reorder == NULL;
	if (scan->xs_recheckorderby)
	{
		scan->xs_orderbyvals[0] = Float8GetDatum(so->low);
		scan->xs_orderbynulls[0] = false;
	}
	so->stats.returned++;
	return true;
}
