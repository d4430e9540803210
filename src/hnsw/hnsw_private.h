/*
 * hnsw_private.h
 *		In-memory state of the hnsw index, and the functions that the files of
 *		this folder offer each other, under the name of the file that has them.
 */
#ifndef VR_HNSW_PRIVATE_H
#define VR_HNSW_PRIVATE_H

#include "access/amapi.h"
#include "access/genam.h"
#include "access/relscan.h"
#include "nodes/execnodes.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/lwlock.h"
#include "utils/rel.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "base/vr_error.h"
#include "hnsw/hnsw_page.h"
#include "hnsw/hnsw_pool.h"
#include "hnsw/hnsw_seen.h"
#include "quant/quant.h"

/* Options, with pgvector's ranges. */
#define VR_HNSW_DEFAULT_M 16
#define VR_HNSW_MIN_M 2
#define VR_HNSW_MAX_M 100
#define VR_HNSW_DEFAULT_EFC 64
#define VR_HNSW_MIN_EFC 4
#define VR_HNSW_MAX_EFC 1000
#define VR_HNSW_DEFAULT_EF 40
#define VR_HNSW_MAX_EF 10000
#define VR_HNSW_MAX_LEVEL 30
#define VR_HNSW_MAX_LANES (2 * VR_HNSW_MAX_M + 24) /* rounded up to 32 */
#define VR_HNSW_MAX_ATTRS 15

#define VR_HNSW_MAX_NNZ 1000   /* of an indexed sparsevec */
#define VR_HNSW_MAX_BITS 64000 /* of an indexed bit */

/* Support functions of an operator class; 1 to 3 are numbered as pgvector's. */
#define VR_HNSW_DISTANCE_PROC 1
#define VR_HNSW_NORM_PROC 2
#define VR_HNSW_TYPE_INFO_PROC 3
#define VR_HNSW_HASH_PROC 4
#define VR_HNSW_NPROCS 4

#define VR_HNSW_DISTANCE_STRATEGY 1
#define VR_HNSW_EQUAL_STRATEGY 2

/* Values of hnsw.iterative_scan. */
typedef enum VrHnswIterative
{
	VR_ITERATIVE_AUTO, /* strict; off under pgvector's name */
	VR_ITERATIVE_OFF,
	VR_ITERATIVE_RELAXED,
	VR_ITERATIVE_STRICT
} VrHnswIterative;

typedef enum VrHnswStorage
{
	VR_STORAGE_AUTO,
	VR_STORAGE_PLAIN,
	VR_STORAGE_QUANTISED,
	VR_STORAGE_LEAN /* quantised, as small as keeps the speed */
} VrHnswStorage;

typedef enum VrHnswRerank
{
	VR_RERANK_AUTO, /* unless the own value says all there is to say */
	VR_RERANK_OFF,
	VR_RERANK_ON
} VrHnswRerank;

extern int vr_hnsw_ef_search;
extern int vr_hnsw_iterative_scan;
extern int vr_hnsw_max_scan_tuples;
extern double vr_hnsw_scan_mem_multiplier;
extern int vr_hnsw_rerank;
extern int vr_hnsw_landmarks;

typedef struct VrHnswOptions
{
	int32 vl_len_;
	int m;
	int ef_construction;
	int storage;   /* VrHnswStorage */
	int precision; /* VrOwnKind */
	int code_bits; /* VR_CODE_BITS_AUTO, or 16.. */
	int seed;
} VrHnswOptions;

/*
 * What a backend knows of an index and what never changes after its build.
 * One per relfilenode, kept until the end of the session (hnsw_form.c), so
 * pointers to it stay valid across relcache invalidations.
 */
typedef struct VrHnswIndex
{
	VrRelFileLocator locator; /* hash key */
	uint64 build_id;
	VrHnswLayout layout;
	VrHnswType type;
	VrHnswMetric metric;
	VrHnswForm form;
	int m;
	int ef_construction;
	int dim;
	uint64 seed;
	uint64 build_rows;
	bool alias; /* belongs to the extension under pgvector's name */

	/* quantised form */
	VrQuantLayout quant;
	VrRotation rotation;
	float *mean;      /* dim floats, or NULL for zero */
	double mean_norm; /* of it, scaled */

	/*
	 * Where each block was last seen in shared buffers: twice the buffer, and
	 * one more if it was found to be a VERTEX page; 0 is unknown.
	 */
	int32 *hints;
	BlockNumber nhints;
	BlockNumber target; /* VERTEX page with room, or NO_BLOCK */
	uint32 joined;      /* the vertex that an unchanged value joined last */
	int64 sought;       /* records visited in search of equal vertices */
	struct VrHnswEquals *equals; /* hnsw_equal.c, or NULL */
	int64 searches;              /* of this backend that may use landmarks */
	struct VrHnswLandmarks *landmarks; /* hnsw_landmarks.c, or NULL */
	MemoryContext cxt;                 /* owner of all of this */
} VrHnswIndex;

/*
 * A value on its way into the index or a search. Plain: the value as records
 * hold it. Quantised: the rotated floats, and their own-value encoding.
 * Everything lives in the context that was current in VrHnswFormValue.
 */
typedef struct VrHnswValue
{
	const char *data; /* plain payload, or own value */
	uint32 bytes;     /* plain: of data; quantised: hash of the original */
	float *rotated;   /* quantised: padded floats, decoded from data */
	VrOwnHead head;   /* quantised */
	float norm2;      /* quantised, inner product, or query: uncentred
					   * squared norm, scaled */
	bool ordered;     /* query, quantised: neither NULL nor directionless */
	int nattrs;
	uint64 attrs[VR_HNSW_MAX_ATTRS];
	uint16 attr_nulls;
} VrHnswValue;

/*
 * One vertex in so many of a level is on the next one too: few, since records
 * of upper levels take whole slots. Plain records that fill their pages have as
 * many as neighbours; with few neighbours, more levels find the way better.
 * README, "Levels and entries".
 */
static inline int
VrHnswLevelBase(VrHnswForm form, const VrHnswLayout *layout, int m)
{
	bool full =
		layout->slots * layout->record_size > VR_HNSW_PAGE_BYTES / 8 * 7;

	if (m < 8 || (form == VR_FORM_PLAIN && full))
		return m;
	return 64 * m;
}

/* Quantised records begin their own part with this. */
typedef struct VrHnswOwnHead
{
	VrOwnHead own;
	float norm2; /* inner product: uncentred squared norm, scaled */
} VrHnswOwnHead;

#define VrHnswRecordOwnHead(r, layout)                                         \
	((VrHnswOwnHead *) ((char *) (r) + (layout)->ownhead_at))
#define VrHnswRecordFactors(r, layout, set)                                    \
	((VrEdgeFactors *) ((char *) (r) + (layout)->factors_at) + (set))
#define VrHnswRecordCodes(r, layout, set)                                      \
	((uint8 *) (r) + (layout)->codes_at +                                      \
	 (set) *VR_CODE_BLOCK_BYTES((layout)->code_bits))

/*
 * Records in memory while an index is built (hnsw_image.c): level 0 in
 * [0, cap0), upper levels in [cap0, cap0 + cap_upper), addressed as ids.
 */
typedef struct VrHnswImage VrHnswImage;

/* Where a search or an insertion finds records: an image, or the index. */
typedef struct VrHnswStore
{
	Relation index; /* not used with an image */
	VrHnswIndex *idx;
	VrHnswImage *image; /* NULL: the index's pages */
	bool building;      /* pages are not WAL-logged yet */
	BlockNumber nblocks;
	int64 visits;      /* records looked at */
	MemoryContext cxt; /* of the scratch: lives as long as the store */
	char *longvalue;   /* scratch for values longer than a record */
	uint32 longsize;
} VrHnswStore;

/* A record held: locked (and pinned) until VrHnswRelease. */
typedef struct VrHnswRef
{
	VrHnswRecord rec;
	Buffer buf;   /* InvalidBuffer in an image */
	LWLock *lock; /* image: the record's lock, or NULL */
} VrHnswRef;

/* ---- hnsw_page.c: the one gate to pages */
extern void VrHnswCorrupt(Relation index, BlockNumber block,
						  const char *what) VR_NORETURN;
extern void VrHnswPageInit(Page page, VrHnswPageKind kind);
extern int VrHnswProbePage(Page page);
extern void VrHnswCheckPage(Relation index, Buffer buf, VrHnswPageKind kind);
extern Buffer VrHnswReadPage(Relation index, BlockNumber block, int lockmode,
							 VrHnswPageKind kind);
extern Buffer VrHnswReadAny(Relation index, BlockNumber block, int lockmode,
							BufferAccessStrategy strategy);
extern Buffer VrHnswPinNext(Relation index, BlockNumber block, Buffer last,
							BufferAccessStrategy strategy);
extern void VrHnswReadMeta(Relation index, VrHnswMetaPageData *meta);
extern void VrHnswStoreInit(VrHnswStore *store, Relation index,
							VrHnswIndex *idx);
extern bool VrHnswVisit(VrHnswStore *store, uint32 id, int level, int lockmode,
						VrHnswRef *ref);
extern void VrHnswRelease(VrHnswRef *ref);
extern const char *VrHnswWhereabouts(VrHnswStore *store, uint32 id, int *bytes);

/* Starts loading some bytes from there on. */
static inline void
VrHnswPrefetchBytes(const char *from, int bytes)
{
	int i;

	for (i = 0; i < bytes; i += 64)
		VR_PREFETCH_FAR(from + i);
}

extern void VrHnswPrefetch(VrHnswStore *store, uint32 id, int bytes);
extern void VrHnswPrefetchLinks(VrHnswStore *store, uint32 id);
extern void VrHnswPrefetchOwn(VrHnswStore *store, uint32 id);
extern Buffer VrHnswPinPage(VrHnswStore *store, BlockNumber block, int lockmode,
							VrHnswPageKind kind);
extern const char *VrHnswRecordValue(VrHnswStore *store, VrHnswRecord rec);
extern bool VrHnswIsAttrBlock(const VrHnswLayout *layout, BlockNumber block);
extern uint32 VrHnswMaxVertex(VrHnswStore *store);
extern Buffer VrHnswExtendVertex(VrHnswStore *store);
extern Buffer VrHnswNewPage(VrHnswStore *store, VrHnswPageKind kind);

/* ---- hnsw_walk.c: records page by page */
typedef struct VrHnswWalk
{
	VrHnswStore *store;
	BufferAccessStrategy strategy;
	uint32 id;        /* of the present record */
	VrHnswRecord rec; /* its page is locked share */
	uint32 next;
	uint32 end;
	Buffer buf;
	Buffer last; /* the one before, unpinned, or buf */
} VrHnswWalk;

extern void VrHnswWalkBegin(VrHnswWalk *w, VrHnswStore *store,
							BufferAccessStrategy strategy, uint32 first,
							uint32 end);
extern bool VrHnswWalkNext(VrHnswWalk *w);
extern void VrHnswWalkEnd(VrHnswWalk *w);
extern int VrHnswWalkPage(VrHnswStore *store, BlockNumber block, uint32 *ids);

/* ---- hnsw_equal.c: which vertex has a value */
typedef struct VrHnswEquals VrHnswEquals;

extern uint32 VrHnswEqualHash(const VrHnswIndex *idx, const VrHnswValue *value);
extern uint32 VrHnswEqualFind(const VrHnswIndex *idx, uint32 hash,
							  uint32 *next);
extern void VrHnswEqualSought(VrHnswStore *store, const VrHnswValue *value,
							  int64 visits, uint32 found);

/* ---- hnsw_wal.c: the one place that changes pages */
#define VR_HNSW_EDIT_PAGES 4

typedef struct VrHnswEditedPage
{
	Buffer buf;
	bool whole; /* logged as it is, not by its differences */
	Page image;
} VrHnswEditedPage;

typedef struct VrHnswEdit
{
	Relation index;
	bool building;
	int npages;
	VrHnswEditedPage pages[VR_HNSW_EDIT_PAGES];
} VrHnswEdit;

extern void VrHnswEditBegin(VrHnswEdit *edit, VrHnswStore *store);
extern void VrHnswEditBeginRel(VrHnswEdit *edit, Relation index);
extern Page VrHnswEditPage(VrHnswEdit *edit, Buffer buf);
extern Page VrHnswEditNewPage(VrHnswEdit *edit, Buffer buf,
							  VrHnswPageKind kind);
extern void VrHnswEditFinish(VrHnswEdit *edit);
extern void VrHnswEditAbort(VrHnswEdit *edit);

/* ---- hnsw_form.c: what an index stores, and how far values are apart */
extern void VrHnswClassOf(Relation index, VrHnswType *type,
						  VrHnswMetric *metric);
extern uint32 VrHnswPlainBytes(VrHnswType type, int dim, uint32 typical);
extern bool VrHnswPlanLayout(VrHnswMetaPageData *meta, int nattrs,
							 const VrHnswOptions *opts, uint32 typical_bytes);
extern void VrHnswDescribe(Relation index, uint32 typical_bytes,
						   VrHnswMetaPageData *meta);
extern void VrHnswCheckLayout(Relation index, const VrHnswMetaPageData *meta);
extern VrHnswIndex *VrHnswOpen(Relation index, VrHnswMetaPageData *meta);
extern VrHnswIndex *VrHnswOpenNew(Relation index,
								  const VrHnswMetaPageData *meta,
								  const float *mean);
extern bool VrHnswFormValue(VrHnswIndex *idx, Relation index, Datum *values,
							bool *isnull, VrHnswValue *out);
extern void VrHnswFormQuery(VrHnswIndex *idx, Datum datum, bool isnull,
							VrHnswValue *out);
extern double VrHnswLowerBound(const VrHnswIndex *idx, float qnorm2, double d,
							   double err);
extern float VrHnswDistance(const VrHnswIndex *idx, const char *a,
							uint32 abytes, const char *b, uint32 bbytes);
extern void VrHnswFormAttrs(Relation index, Datum *values, bool *isnull,
							VrHnswValue *out);
extern uint64 VrHnswAttrWord(Relation index, int attr, Datum value);
extern uint64 VrHnswAttrWordOf(Relation index, int attr, Oid type, Datum value);
extern bool VrHnswAttrIsExact(Relation index, int attr);

/* ---- hnsw_search.c */
typedef struct VrHnswHit
{
	float d;
	float err; /* quantised: see VrHnswLowerBound */
	uint32 id;
	uint32 link; /* level 0: more_tids; above: down */
	ItemPointerData tid;
	uint8 live;  /* not dead, passes the filter */
	uint8 flags; /* for the caller */
	char *value; /* copy of the record, if the search keeps copies */
} VrHnswHit;

/* A condition on attribute words; all must hold (hnsw_scan.c makes them). */
typedef struct VrHnswFilterKey
{
	int attr;
	int nwords; /* any of them; sorted */
	uint64 *words;
} VrHnswFilterKey;

typedef struct VrHnswFilter
{
	int nkeys;
	VrHnswFilterKey *keys;
	bool never; /* no row can pass */
} VrHnswFilter;

/*
 * Records besides the nearest that a search enters a level at, at most. Islands
 * of near vectors have few ways in; the more entries, the more are reached.
 */
#define VR_HNSW_ALSO 3
#define VrHnswAlso(form) ((form) == VR_FORM_PLAIN ? VR_HNSW_ALSO : 1)

typedef struct VrHnswSearch
{
	VrHnswStore *store;
	const VrHnswValue *query;
	VrQuantQuery *qquery; /* quantised; in qmem */
	void *qmem;
	Size qbytes; /* of qmem */
	const VrHnswFilter *filter;
	MemoryContext cxt;
	int level;
	uint32 ef;                /* width of this pass */
	bool keep_copies;         /* hits carry copies of their records */
	bool resumable;           /* nothing seen is forgotten */
	bool mixed;               /* quantised: see VrPoolRule; for scans */
	VrPoolRule rule;          /* the query's */
	uint32 self;              /* record to step over, or NO_VERTEX */
	const VrHnswValue *equal; /* a vertex with this value ends the search */
	uint32 found;             /* and this is it, on level 0; or NO_VERTEX */

	uint64 *frontier; /* plain: min-heap of keys: distance, id */
	uint32 nfrontier;
	uint32 maxfrontier;
	uint64 *spill; /* plain: seen, too far for this pass */
	uint32 nspill;
	uint32 maxspill;
	VrHnswPool pool; /* quantised: the estimates */
	float *bound;    /* max-heap: the ef nearest hits */
	uint32 nbound;
	uint32 maxbound;
	VrHnswHit *hits;
	uint32 nhits;
	uint32 maxhits;
	VrHnswSeen seen; /* plain: measured */
	MemoryContext copies;
	uint32 also[VR_HNSW_ALSO]; /* of the last descent: further entries */
	float also_d[VR_HNSW_ALSO];
	int nalso;
	const char *load; /* quantised: what is still to be prefetched, */
	int load_bytes;   /* how much of it, */
	int load_step;    /* and how much at a time */
	int64 expanded;
	int64 budget; /* stop at that many expansions; 0: no limit */
} VrHnswSearch;

extern void VrHnswSearchInit(VrHnswSearch *s, VrHnswStore *store,
							 MemoryContext cxt);
extern VrHnswSearch *VrHnswSearchBorrow(VrHnswStore *store,
										MemoryContext parent);
extern void VrHnswSearchReturn(VrHnswSearch *s);
extern void VrHnswSearchQuery(VrHnswSearch *s, const VrHnswValue *query);
extern void VrHnswSearchLevel(VrHnswSearch *s, int level, uint32 ef);
extern void VrHnswSearchAdd(VrHnswSearch *s, uint32 id);
extern void VrHnswSearchEnter(VrHnswSearch *s, uint32 entry);
extern bool VrHnswSearchRun(VrHnswSearch *s);
extern void VrHnswSearchDirect(VrHnswSearch *s, const uint32 *ids, uint32 n);
extern bool VrHnswSearchIsOver(const VrHnswSearch *s);
extern void VrHnswSearchGrow(VrHnswSearch *s, uint32 ef);
extern void VrHnswSearchSort(VrHnswSearch *s, uint32 from, uint32 to);
extern uint32 VrHnswSearchDescend(VrHnswSearch *s, uint32 entry,
								  int entry_level, int level);
extern void VrHnswSearchWiden(VrHnswSearch *s, uint32 n);
extern bool VrHnswSearchVisit(VrHnswSearch *s, uint32 id);
extern Size VrHnswSearchMemory(const VrHnswSearch *s);

/* ---- hnsw_landmarks.c */
typedef struct VrHnswLandmarks VrHnswLandmarks;

extern bool VrHnswLandmarksTend(VrHnswStore *store);
extern bool VrHnswLandmarksEnter(VrHnswSearch *s);
extern uint32 VrHnswLandmarksPlan(const VrHnswIndex *idx, double rows,
								  Size bytes, uint32 *share);
extern Size VrHnswLandmarksSize(const VrHnswIndex *idx, uint32 n);
extern void VrHnswLandmarksClear(const VrHnswIndex *idx, VrHnswImage *image);
extern void VrHnswLandmarksNote(VrHnswStore *store, uint32 id,
								const VrHnswValue *value);
extern bool VrHnswLandmarksOfImage(const VrHnswStore *store);

/* ---- hnsw_filter.c */
extern bool VrHnswFilterPasses(const VrHnswFilter *filter, const uint64 *attrs,
							   uint16 nulls);
extern void VrHnswFilterEstimate(VrHnswStore *store, const VrHnswFilter *filter,
								 double *live, double *passing);
extern uint32 *VrHnswFilterCollect(VrHnswStore *store,
								   const VrHnswFilter *filter, uint32 max,
								   uint32 *n);

/* ---- hnsw_link.c: choosing neighbours, and writing them down */
typedef struct VrHnswNeighbour
{
	float d; /* to the vertex concerned, as VrHnswHit */
	uint32 id;
	VrHnswRecord rec; /* a copy, or in the image */
	const char *value;
} VrHnswNeighbour;

/* What a backlink's decision needs of the new vertex. */
typedef struct VrHnswNewcomer
{
	const VrHnswValue *value;
	VrQuantQuery *query; /* quantised: prepared from its value */
	uint32 id;
} VrHnswNewcomer;

extern float VrHnswPairDistance(VrHnswStore *store, VrHnswRecord a,
								const char *avalue, VrHnswRecord b,
								const char *bvalue);
extern int VrHnswSelect(VrHnswStore *store, VrHnswNeighbour *cands, int ncands,
						int limit, int *chosen);
extern int VrHnswSelectMore(VrHnswStore *store, const VrHnswNeighbour *kept,
							int nkept, VrHnswNeighbour *cands, int ncands,
							int limit);
extern void VrHnswFillRecord(VrHnswStore *store, VrHnswRecord rec,
							 const VrHnswValue *value, int level,
							 const VrHnswNeighbour *neighbours, int n,
							 int chosen);
extern int VrHnswDegreeLimit(const VrHnswLayout *layout, int level);
extern int VrHnswChooseLane(VrHnswStore *store, VrHnswRecord target,
							const VrHnswNewcomer *newcomer, float d,
							bool force);
extern bool VrHnswHasStemRoom(const VrHnswLayout *layout, VrHnswRecord rec);
extern void VrHnswMarkStem(VrHnswRecord rec, int lane, bool stem);
extern int VrHnswStems(VrHnswStore *store, VrHnswRecord rec,
					   const VrHnswNewcomer *newcomer, float d, int *lanes,
					   float *dx);
extern void VrHnswSetLane(VrHnswStore *store, VrHnswRecord target, int lane,
						  uint32 id, const VrHnswValue *value);
extern void VrHnswValueOfRecord(VrHnswStore *store, VrHnswRecord rec,
								VrHnswValue *value);
extern void VrHnswDropLane(VrHnswStore *store, VrHnswRecord target, int lane);

/* ---- hnsw_insert.c */
typedef struct VrHnswInserter
{
	VrHnswStore *store;
	VrHnswSearch search;
	MemoryContext cxt; /* reset for every row */
} VrHnswInserter;

/* What became of a row. */
typedef enum VrHnswInsertResult
{
	VR_INSERT_NEW,  /* a vertex of its own */
	VR_INSERT_SAME, /* joined an equal vertex */
	VR_INSERT_FULL  /* the image has no room; nothing was done */
} VrHnswInsertResult;

extern bool VrHnswIsEqual(VrHnswStore *store, VrHnswRecord rec,
						  const VrHnswValue *value);
extern int VrHnswRandomLevel(const VrHnswIndex *idx, ItemPointer tid);
extern void VrHnswInserterInit(VrHnswInserter *ins, VrHnswStore *store,
							   MemoryContext cxt);
extern VrHnswInsertResult VrHnswInsertValue(VrHnswInserter *ins,
											const VrHnswValue *value,
											ItemPointer tid, bool unchanged);
extern bool VrHnswRelink(VrHnswInserter *ins, uint32 id, int level,
						 const uint32 *entries, int nentries, bool bridge);

/* Whether a vertex may be asked to hold the one that is to be hung. */
typedef bool (*VrHnswMayHold)(void *arg, uint32 from);

extern uint32 VrHnswHang(VrHnswInserter *ins, uint32 id, const uint32 *others,
						 int nothers, VrHnswMayHold may, void *arg);
extern void VrHnswAttrPlace(const VrHnswLayout *layout, uint32 id,
							BlockNumber *block, int *entry);
extern int VrHnswAttrEntries(const VrHnswLayout *layout);
extern void VrHnswAttrSet(const VrHnswLayout *layout, Page page, int entry,
						  const uint64 *attrs, uint16 nulls, bool live);
extern bool vr_hnsw_insert(Relation index, Datum *values, bool *isnull,
						   ItemPointer heap_tid, Relation heap,
						   IndexUniqueCheck check, bool unchanged,
						   IndexInfo *info);

/* ---- hnsw_join.c */
extern void VrHnswJoin(VrHnswInserter *ins);

/* ---- hnsw_build.c */
extern IndexBuildResult *vr_hnsw_build(Relation heap, Relation index,
									   IndexInfo *info);
extern void vr_hnsw_buildempty(Relation index);

/* ---- hnsw_reorder.c */
typedef struct VrHnswReorder VrHnswReorder;

extern VrHnswReorder *VrHnswReorderBegin(IndexScanDesc scan, MemoryContext cxt);
extern void VrHnswReorderReset(VrHnswReorder *r);
extern void VrHnswReorderEnd(VrHnswReorder *r);
extern void VrHnswReorderPush(VrHnswReorder *r, IndexScanDesc scan,
							  ItemPointer tid);
extern bool VrHnswReorderPop(VrHnswReorder *r, double low, ItemPointer tid);

/* ---- hnsw_scan.c */

/* Why a scan gave no more rows. */
typedef enum VrHnswStop
{
	VR_STOP_NONE,     /* it was not asked for more */
	VR_STOP_EF,       /* hnsw.iterative_scan is off */
	VR_STOP_TUPLES,   /* hnsw.max_scan_tuples */
	VR_STOP_MEMORY,   /* hnsw.scan_mem_multiplier */
	VR_STOP_EXHAUSTED /* every row was looked at */
} VrHnswStop;

/* What this backend's last scan did, for vecrecall.last_index_scan(). */
typedef struct VrHnswScanStats
{
	Oid index;
	int64 visits;   /* records looked at */
	int64 expanded; /* whose neighbours were looked at */
	int64 passes;
	int64 returned; /* heap TIDs */
	int64 dropped;  /* found too late for strict order */
	int64 memory;
	VrHnswStop stop;
} VrHnswScanStats;

extern VrHnswScanStats VrHnswLastScan;
extern const VrHnswScanStats *VrHnswScanDone(IndexScanDesc scan);
extern IndexScanDesc vr_hnsw_beginscan(Relation index, int nkeys,
									   int norderbys);
extern void vr_hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys,
						   ScanKey orderbys, int norderbys);
extern bool vr_hnsw_gettuple(IndexScanDesc scan, ScanDirection dir);
extern void vr_hnsw_endscan(IndexScanDesc scan);

/* ---- hnsw_vacuum.c */
extern IndexBulkDeleteResult *
vr_hnsw_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				   IndexBulkDeleteCallback callback, void *arg);
extern IndexBulkDeleteResult *
vr_hnsw_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

/* ---- hnsw_check.c */
extern Relation VrHnswOpenIndex(Oid indexoid, LOCKMODE lockmode);

/* ---- hnsw_cost.c */
struct PlannerInfo;
struct IndexPath;
extern void vr_hnsw_costestimate(struct PlannerInfo *root,
								 struct IndexPath *path, double loop_count,
								 Cost *startup, Cost *total,
								 Selectivity *selectivity, double *correlation,
								 double *pages);

/* ---- hnsw_am.c */
extern Datum vr_hnsw_handler(PG_FUNCTION_ARGS);

/* ---- hnsw_ivfflat.c */
extern void VrHnswIvfflatInit(void);
extern bool VrHnswIsIvfflat(Relation index);
extern VrHnswIterative VrHnswIvfflatMode(void);
extern int VrHnswScanWidth(Relation index);

/* ---- hnsw_paths.c */
extern void VrHnswPathsInit(void);

/* ---- hnsw_inspect.c */
extern const char *VrHnswStopReason(VrHnswStop stop);

/* ---- hnsw_node.c */
extern void VrHnswNodeInit(void);

/* ---- hnsw_junk.c */
extern void VrHnswJunkInit(void);

/* ---- hnsw_validate.c */
extern bool vr_hnsw_validate(Oid opclass);

/*
 * A search key: the distance in the upper half, so that keys order as
 * distances do (negative ones included), the id in the lower.
 */
static inline uint64
VrHnswKey(float d, uint32 id)
{
	union
	{
		float f;
		uint32 u;
	} x;

	x.f = d;
	x.u ^= (x.u & 0x80000000u) ? 0xFFFFFFFFu : 0x80000000u;
	return ((uint64) x.u << 32) | id;
}

static inline float
VrHnswKeyDistance(uint64 key)
{
	union
	{
		float f;
		uint32 u;
	} x;

	x.u = (uint32) (key >> 32);
	x.u ^= (x.u & 0x80000000u) ? 0x80000000u : 0xFFFFFFFFu;
	return x.f;
}

#define VrHnswKeyId(key) ((uint32) (key))

#endif /* VR_HNSW_PRIVATE_H */
