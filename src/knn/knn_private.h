/*
 * knn_private.h
 *		What the files of src/knn share. Include after "postgres.h" and "fmgr.h".
 */
#ifndef VR_KNN_PRIVATE_H
#define VR_KNN_PRIVATE_H

#include "access/attnum.h"
#include "access/htup_details.h"
#include "fmgr.h"
#include "port/atomics.h"
#include "storage/buf.h"
#include "storage/condition_variable.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

#include "knn/knn.h"
#include "knn/knn_top.h"
#include "types/vector.h"

struct RelationData;
struct TableScanDescData;
struct TupleTableSlot;
struct dsm_segment;
struct shm_toc;

#define VR_KNN_MAX_K 1000000

typedef enum VrKnnMetric
{
	VR_KNN_L2,
	VR_KNN_IP,
	VR_KNN_COSINE,
	VR_KNN_L1
} VrKnnMetric;

/* "l2", "ip", "cosine", "l1"; an error that lists them for anything else. */
extern VrKnnMetric VrKnnMetricFromName(const char *name);

/* Name for messages. */
extern const char *VrKnnMetricName(VrKnnMetric metric);

/* knn_blas.c: would VrKnnProducts use BLAS? Loads it to know. */
extern bool VrKnnBlasUsable(void);
/*
 * What loading BLAS found out about the CPU, for a process that has not yet
 * loaded it: finding out takes some milliseconds.
 */
#define VR_KNN_BLAS_CORE 32
extern void VrKnnBlasCore(char *core, Size size);
extern void VrKnnBlasSetCore(const char *core);
/* VrKnnProducts without BLAS. */
extern void VrKnnKernelProducts(int na, int nb, int dim, const float *a,
								int lda, const float *b, int ldb, float *out,
								int ldo);

/*
 * n times `each` bytes in the current memory context, of any size, aligned to a
 * cache line: a vector that lies across two is read in twice as many loads.
 * Not for pfree.
 */
#define VR_KNN_LINE 64
extern void *VrKnnAlloc(Size n, Size each);

/* ------------------------------------------------ set-returning functions */

/*
 * Makes the function return a tuplestore of the rows its caller expects, which
 * must be a composite type; returns it and its descriptor. Uses fn_extra. There
 * may be more rows than are said.
 */
extern Tuplestorestate *VrKnnReturnSet(FunctionCallInfo fcinfo, TupleDesc *desc,
									   double rows);

/* Errors for k out of range (returned else), and for a NULL argument. */
extern int VrKnnCheckK(int k);
extern void VrKnnCheckNotNull(FunctionCallInfo fcinfo, int arg,
							  const char *name);
/* Type vector of the extension that the called function belongs to. */
extern Oid VrKnnVectorType(FunctionCallInfo fcinfo);
/* Rows of a table as the catalogue has them; 0 if it has not. */
extern double VrKnnTableRows(Oid relid);

/* value, or an error with the argument's name and range. */
extern int VrKnnCheckRange(const char *name, int value, int low, int high);

/* ------------------------------------------------------------ arrays (knn_array.c) */

/* Vectors of one dimension as one block of floats, row-major. */
typedef struct VrKnnBlock
{
	int count;
	int dim;
	float *x;
} VrKnnBlock;

/*
 * The vectors of a one-dimensional vector[] copied into the current memory
 * context. `what` names the argument in errors: NULL elements, different
 * dimensions, more than one array dimension and (unless may_be_empty) an empty
 * array are refused.
 */
extern void VrKnnBlockFromArray(ArrayType *array, const char *what,
								bool may_be_empty, VrKnnBlock *block);
/*
 * The vectors that a query returns, which must be one SELECT of one column of
 * that type; nulls are left out, no rows and more than maintenance_work_mem
 * holds are errors. knn_query.c
 */
extern void VrKnnBlockFromQuery(const char *query, Oid vector_type,
								VrKnnBlock *block);
/*
 * k-means of dimensions start.. of a block's rows: k centres of dim floats, and
 * the number of rows of each. Returns the mean squared error.
 */
extern double VrKnnKmeans(const VrKnnBlock *block, int start, int dim, int k,
						  int iterations, uint64 seed, float *centroids,
						  int64 *sizes);
/* The reverse, as vector[] of the given element type. */
extern ArrayType *VrKnnBlockToArray(const VrKnnBlock *block, Oid vector_type);
/* A vector of dim floats in the current memory context. */
extern VrVector *VrKnnMakeVector(int dim, const float *x);

/* --------------------------------------------------------- search (knn_search.c) */

/*
 * What a search is for, before its memory is planned. Distances inside are
 * "scores", doubles that order as the operator's results do: squares for L2,
 * negated products, distances for the rest.
 */
typedef struct VrKnnSpec
{
	VrKnnMetric metric;
	int dim;
	int nqueries;
	int k;
	const float *queries; /* nqueries x dim, row-major */
} VrKnnSpec;

/* Sizes within a budget of memory. */
typedef struct VrKnnPlan
{
	bool tiled;         /* rows in tiles, not one by one */
	bool coarse;        /* products in bfloat16 first: knn_coarse.h */
	bool blas;          /* products by BLAS, not by kernels */
	int pass_queries;   /* queries of one scan of the table */
	int block_queries;  /* queries of one product */
	int tile_rows;      /* rows of one product */
	int spare;          /* entries per query beyond k before they are cut */
	int64 bytes;        /* of a search so planned, with its results */
	int64 bytes_needed; /* smallest that works: one query, one tile */
} VrKnnPlan;

/*
 * Plans for a budget in bytes of each process: this one, and with parallel > 0
 * as many others. False, with bytes_needed set, if not even one query fits.
 */
extern bool VrKnnPlanSearch(const VrKnnSpec *spec, int64 budget, int parallel,
							VrKnnPlan *plan);

/* The same for work_mem, with an error that has the numbers. */
extern void VrKnnPlanOrError(const VrKnnSpec *spec, int workers,
							 VrKnnPlan *plan);

/*
 * How keys that are not plain 64-bit integers are compared and kept. NULL for
 * those that are.
 */
typedef struct VrKnnKeyType VrKnnKeyType;

typedef struct VrKnnSearch VrKnnSearch;

/*
 * A search of queries first..first + count - 1 of the spec, in a memory context
 * of its own below the current one. spec and keytype must live as long.
 */
extern VrKnnSearch *VrKnnSearchBegin(const VrKnnSpec *spec,
									 const VrKnnPlan *plan, int first,
									 int count, const VrKnnKeyType *keytype);
/*
 * The same with its entries in memory of the caller's, for others to read: of
 * each query in turn, as many as VrKnnSearchRoom says.
 */
extern VrKnnSearch *VrKnnSearchBeginAt(const VrKnnSpec *spec,
									   const VrKnnPlan *plan, int first,
									   int count, const VrKnnKeyType *keytype,
									   VrKnnEntry *entries);
extern int VrKnnSearchRoom(const VrKnnSpec *spec, const VrKnnPlan *plan);

/*
 * Offers a row: dim floats, aligned as floats are, not needed after the call.
 * key is an integer, or a Datum that is copied if kept.
 */
extern void VrKnnSearchRow(VrKnnSearch *search, const float *x, int64 key);

/*
 * Two rows, where the search says that it is better for it, while the next two
 * are on their way; NULL if they are not known.
 */
extern void VrKnnSearchPair(VrKnnSearch *search, const float *const *x,
							const float *const *next, const int64 *keys);
extern bool VrKnnSearchTakesPairs(const VrKnnSearch *search);

/*
 * Processes what is pending and sorts. After it, VrKnnSearchResult gives each
 * query's rows, nearest first, at most k; they live as long as the search.
 */
extern void VrKnnSearchFinish(VrKnnSearch *search);
extern const VrKnnEntry *VrKnnSearchResult(const VrKnnSearch *search, int query,
										   int *count);
/*
 * In the place of Finish, where nothing but the order of each query's k-th row
 * is asked for; the greatest of all where there are fewer.
 */
extern void VrKnnSearchLast(VrKnnSearch *search, uint64 *order);
/* Or where others sort: says how many entries of each query there are. */
extern void VrKnnSearchLeave(VrKnnSearch *search, int32 *used);
/* What others made of a query's entries, which must be where they were. */
extern void VrKnnSearchSetUsed(VrKnnSearch *search, int query, int used);
/*
 * Guesses of the k-th best of each query, as orders, that another process may
 * still be making. They must live as long as the search. With them a query may
 * end with fewer than k rows: see Reopen.
 */
typedef struct VrKnnGuesses
{
	pg_atomic_uint32 ready;
	ConditionVariable made; /* when they become so */
	uint64 order[FLEXIBLE_ARRAY_MEMBER];
} VrKnnGuesses;

extern void VrKnnSearchUseGuesses(VrKnnSearch *search, VrKnnGuesses *guesses);
/*
 * After Finish, and all merging: whether guesses were too low for some queries,
 * which are then emptied and the others closed, for another scan and Finish.
 */
extern bool VrKnnSearchReopen(VrKnnSearch *search);
extern void VrKnnSearchAddRows(VrKnnSearch *search, int64 rows);
extern int VrKnnSearchDim(const VrKnnSearch *search);
extern int64 VrKnnSearchRows(const VrKnnSearch *search);
extern void VrKnnSearchEnd(VrKnnSearch *search);

/* The operator's result for a score. */
extern double VrKnnDistance(VrKnnMetric metric, double score);

/* One pair's score, by the operators' own kernels and rules. */
extern double VrKnnScore(VrKnnMetric metric, int dim, const float *query,
						 const float *row);

/* -------------------------------------------------- sources of rows (knn_source.c) */

/* A table, column and key that passed every check. */
typedef struct VrKnnTable
{
	Oid relid;
	char *name;        /* qualified and quoted */
	AttrNumber column; /* the vectors */
	Oid column_type;   /* vector or halfvec, or its array element type */
	bool half;         /* halfvec */
	AttrNumber key;    /* 0: the row's ctid */
	Oid key_type;
	VrKnnKeyType *keytype; /* NULL: fits 64 bits, by value and as integer */
	char *filter;          /* SQL condition or NULL */
	bool plain;            /* may be scanned without the executor */
} VrKnnTable;

/*
 * Opens and checks; the lock (AccessShareLock) stays to the end of the
 * transaction. `vector_type` is the type of the queries, whose schema names
 * halfvec too.
 */
extern void VrKnnTableOpen(VrKnnTable *table, Oid relid, const char *column,
						   const char *filter, const char *key, Oid vector_type,
						   int dim);

extern int VrKnnTableMostRows(const VrKnnTable *table);

/*
 * Makes a copy of an open table one to scan for ctid and a column of bits, or
 * with NULL the vectors. Not for tables with children, whose ctids are several.
 */
extern void VrKnnTableScanCodes(VrKnnTable *table, const char *code);

/*
 * The filter is one SQL expression, or an error says that it is not. Its type
 * is checked when the query is planned. knn_filter.c
 */
extern void VrKnnCheckFilter(const char *filter);

/*
 * The text of an integer key, and its length; room for VR_KNN_KEY_DIGITS, with
 * a zero at the end.
 */
#define VR_KNN_KEY_DIGITS 24
extern int VrKnnKeyDigits(const VrKnnTable *table, int64 key, char *digits);
/* Text of a key for output, in the current memory context. */
extern text *VrKnnKeyText(const VrKnnTable *table, int64 key);

/* Keys that are no integers. A copy is made in the current memory context. */
extern int VrKnnKeyCompare(const VrKnnKeyType *keytype, Datum a, Datum b);
extern Datum VrKnnKeyCopy(const VrKnnKeyType *keytype, Datum key);
extern void VrKnnKeyFree(const VrKnnKeyType *keytype, Datum key);

/*
 * What is done with a row: x, of dim floats, and a key of its kind (see
 * VrKnnEntry) are valid during the call.
 */
typedef void (*VrKnnRowCallback)(void *arg, int dim, const float *x, int64 key);

/*
 * The same for two rows at once, and two that are next, or NULL. The latter are
 * held until they are offered in their turn.
 */
#define VR_KNN_HELD 4
typedef void (*VrKnnPairCallback)(void *arg, const float *const *x,
								  const float *const *next, const int64 *keys);

/* The same for a value that is no vector. */
typedef void (*VrKnnRawCallback)(void *arg, Datum value, int64 key);

struct VrKnnToast;

/* Turns rows of a table into floats. */
typedef struct VrKnnReader
{
	const VrKnnTable *table;
	VrKnnRowCallback callback;
	VrKnnPairCallback pair; /* for rows that lie in pages, if not NULL */
	VrKnnRawCallback raw;   /* instead, if the column is no vector */
	void *arg;
	int dim;                  /* 0: what the first row has */
	float *scratch;           /* for one row */
	float *copy;              /* for one row of halfvec, to align it */
	MemoryContext detoast;    /* reset per row that needed it */
	int64 rows;               /* so far; rows with a NULL vector do not count */
	int64 budget;             /* bytes it may take to read values out of line */
	struct VrKnnToast *toast; /* while it puts such values aside */

	/* Rows for `pair`, in pages that are pinned. */
	bool holding;
	int held;
	const float *held_x[VR_KNN_HELD];
	int64 held_keys[VR_KNN_HELD];
	int64 offered; /* rows that were held, and are no longer */
} VrKnnReader;

extern void VrKnnReaderInit(VrKnnReader *reader, const VrKnnTable *table,
							int dim, VrKnnRowCallback callback, void *arg);
/* A row whose vector is not null; isnull is the key's, and an error. */
extern void VrKnnReaderRow(VrKnnReader *reader, Datum value, Datum key,
						   bool isnull);
extern void VrKnnReaderOffer(VrKnnReader *reader);
/* The same for a key as VrKnnEntry has it, and a value that is used at once. */
extern void VrKnnReaderValue(VrKnnReader *reader, struct varlena *value,
							 int64 key);
extern void VrKnnReaderSlot(VrKnnReader *reader, struct TupleTableSlot *slot);
extern void VrKnnReaderEnd(VrKnnReader *reader);

/* Calls back for every row of the table that passes the filter, in this process. */
extern void VrKnnRead(VrKnnReader *reader);
/* The same for a scan that the caller began and ends. */
extern void VrKnnReadScan(VrKnnReader *reader, struct RelationData *rel,
						  struct TableScanDescData *scan);
/* Initialises a reader whose rows are offered to a search. */
extern void VrKnnReaderInitSearch(VrKnnReader *reader, const VrKnnTable *table,
								  VrKnnSearch *search);
/* Feeds them to a search, with as many bytes for what the reader's budget is. */
extern void VrKnnScan(const VrKnnTable *table, VrKnnSearch *search,
					  int64 budget);

/* ------------------------------------------- pages of a heap (knn_heap.c) */

/* A pinned page, and which of its rows are visible. */
typedef struct VrKnnPage
{
	Buffer buffer;
	int count;
	OffsetNumber visible[MaxHeapTuplesPerPage];
} VrKnnPage;

/* What several processes that read one table have in common. */
typedef struct VrKnnHeapShared
{
	pg_atomic_uint64 next; /* block that nobody has taken */
	BlockNumber blocks;
} VrKnnHeapShared;

typedef struct VrKnnHeap
{
	struct RelationData *rel;
	struct SnapshotData *snapshot;
	struct BufferAccessStrategyData *strategy;
	VrKnnHeapShared *shared; /* or NULL: all blocks are this process' */
	BlockNumber blocks;
	BlockNumber block; /* to pin next, */
	BlockNumber end;   /* if before this one */
	Buffer last;       /* of the block before it */
	Buffer ahead;      /* pinned, and not yet looked at */
	bool trust;        /* pages that say that all of their rows are visible */
	VrKnnPage pages[2];
	int next; /* of these */
} VrKnnHeap;

extern bool VrKnnHeapUsable(struct RelationData *rel);
extern void VrKnnHeapBegin(VrKnnHeap *heap, struct RelationData *rel,
						   struct SnapshotData *snapshot,
						   VrKnnHeapShared *shared);
extern const VrKnnPage *VrKnnHeapNext(VrKnnHeap *heap);
/* The page behind that one, pinned, or none. */
static inline Buffer
VrKnnHeapAhead(const VrKnnHeap *heap)
{
	return heap->pages[heap->next].buffer;
}
/* Calls back for every row of a plain table's heap, or of this process' share. */
extern void VrKnnHeapRead(VrKnnReader *reader, struct RelationData *rel,
						  VrKnnHeapShared *shared);
extern void VrKnnHeapShare(VrKnnHeapShared *shared, struct RelationData *rel);

/* --------------------------------------- values out of line (knn_toast.c) */

typedef struct VrKnnToast VrKnnToast;

extern VrKnnToast *VrKnnToastBegin(VrKnnReader *reader,
								   struct RelationData *rel, int64 budget);
extern bool VrKnnToastDefer(VrKnnToast *toast, struct varlena *value,
							int64 key);
extern void VrKnnToastEnd(VrKnnToast *toast);

/* ------------------------------------------------------ guesses (knn_guess.c) */

extern bool VrKnnGuessPays(const VrKnnTable *table, const VrKnnSpec *spec,
						   const VrKnnPlan *plan);
/* In the current memory context, and where there is room for them. */
extern VrKnnGuesses *VrKnnGuessesMake(int count);
extern void VrKnnGuessesInit(VrKnnGuesses *guesses);
extern void VrKnnGuessesReady(VrKnnGuesses *guesses);
extern void VrKnnGuessesWait(VrKnnGuesses *guesses);
extern void VrKnnGuess(const VrKnnTable *table, const VrKnnSpec *spec,
					   const VrKnnPlan *plan, int first, int count,
					   uint64 *order);

/* ----------------------------------------- several processes (knn_parallel.c) */

/* Bytes that putting one query's entries together takes in each process. */
extern int64 VrKnnParallelBytes(int64 entries_bytes, int processes);

/* Further processes worth starting for a search; 0 for none. */
extern int VrKnnParallelWorkers(const VrKnnTable *table, const VrKnnSpec *spec);
/*
 * A search of `count` queries from first.. of the spec, scanned by this process
 * and up to `workers` others, that goes on until its end: others sort what this
 * one asks for. With guesses too low, and so VrKnnSearchReopen's true to come,
 * all are sorted at once, and only the search itself goes on.
 */
typedef struct VrKnnParallel VrKnnParallel;

extern VrKnnParallel *VrKnnParallelScan(const VrKnnTable *table,
										const VrKnnSpec *spec,
										const VrKnnPlan *plan, int first,
										int count, int workers);
extern VrKnnSearch *VrKnnParallelSearch(const VrKnnParallel *parallel);
/* Sees to it that a query's rows can be had from the search. */
extern void VrKnnParallelSort(VrKnnParallel *parallel, int query);
/* Returns how many others there were. Ends the search too. */
extern int VrKnnParallelEnd(VrKnnParallel *parallel);

/* The entry point of a worker. */
extern PGDLLEXPORT void vr_knn_parallel_main(struct dsm_segment *seg,
											 struct shm_toc *toc);

/* -------------------------------------------------- progress (knn_progress.c) */

/* total may be 0 for unknown. Begin and end frame the reports. */
extern void VrKnnProgressBegin(const char *what, int64 total);
extern void VrKnnProgressReport(int64 rows);
extern void VrKnnProgressEnd(void);

/* ----------------------------------------------------------- codes (knn_codes.c) */

struct VrPq;

/*
 * Bits of dim floats, highest first as in type bit: those above the threshold
 * of their dimension, or above zero without one.
 */
extern void VrKnnBits(int dim, const float *x, const float *threshold,
					  unsigned char *bits);
/* What int8_decode makes of int8_encode. */
extern void VrKnnInt8RoundTrip(int dim, const float *x, float *decoded);
/* Trains a codebook, which is a bytea; pq refers to it. */
extern void *VrKnnPqTrain(const VrKnnBlock *block, int subspaces, int bits,
						  int iterations, uint64 seed, struct VrPq *pq,
						  double *mse);

#endif /* VR_KNN_PRIVATE_H */
