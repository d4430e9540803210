/*
 * knn_search.c
 *		The search itself: rows in, the k nearest of every query out. Knows no
 *		table, no SQL and no process but its own.
 *
 * Many queries: rows are collected in a tile, whose products with all queries
 * BLAS computes. A product is good enough to see that a row is too far, but not
 * to be a distance: |q|^2 + |r|^2 - 2<q,r> cancels where rows are near. So a
 * product only refuses, with a margin for every rounding there can be, and what
 * it does not refuse is measured by the operators' own kernels. Results are the
 * operators', to the last bit, and ties are ties.
 *
 * Few queries, and sessions without BLAS: the same, with products by kernels.
 * The tile pays all the same, for to copy a row keeps more reads in flight than
 * to compute with it where it lies, unless it is long. Then, and by metric l1,
 * which has no products: one kernel call per row and query, where it lies.
 */
#include "postgres.h"

#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "base/vr_defs.h"
#include "distance/distance.h"
#include "knn/knn_coarse.h"
#include "knn/knn_private.h"

/* Rows looked at for one that is near enough at a time. */
#define SEARCH_STRIDE 64

/* Queries that a row is measured for at a time. */
#define SEARCH_BATCH 32

/* A tile is meant for the second-level cache, and has a stride at least. */
#define SEARCH_TILE_ROWS 1024
#define SEARCH_TILE_BYTES (512 * 1024)

/* Rows longer than this a few queries take where they lie. */
#define SEARCH_WIDE_DIM 512
#define SEARCH_PAIR_DIM 256 /* by metrics that take them by pairs */
#define SEARCH_BLOCK_QUERIES 256

/* Squared norms outside are no basis for an error bound. */
#define SEARCH_NORM_MIN 1e-30f
#define SEARCH_NORM_MAX 1e30f

/* Half a unit in the last place of 1. */
#define SEARCH_EPSILON (1.0 / (1 << 24))

struct VrKnnSearch
{
	MemoryContext context;
	const VrKnnSpec *spec;
	VrKnnPlan plan;
	int count;
	const float *queries; /* count x dim */
	VrKnnTop *tops;       /* one per query */
	VrKnnEntry *scratch;  /* k + spare, for sorting and merging */
	int64 total;          /* rows offered */

	/*
	 * Tiled: a row is refused if product + slope[query] * weight[row] <
	 * limit[query]; with a NaN nothing is refused.
	 */
	float *slope;
	float *limit;
	float *norm2;  /* of the queries */
	double margin; /* error of a product, relative to the product of norms */
	int rows;      /* in the tile */
	float *tile;   /* tile_rows x dim */
	float *weight;
	int64 *keys;
	float *norm2_rows;
	float *products; /* block_queries x tile_rows */

	bool guessed;          /* results may be fewer than k */
	VrKnnGuesses *guesses; /* not yet taken, or NULL */

	/* Where products of bfloat16 come first; NULL, or NULL again, elsewhere. */
	VrKnnCoarseTile *coarse;
	int64 wasted; /* rows of this tile that a finer product had refused */
};

double
VrKnnScore(VrKnnMetric metric, int dim, const float *query, const float *row)
{
	switch (metric)
	{
		case VR_KNN_L2:
			return VrDistance->l2sq_f32(dim, row, query);
		case VR_KNN_IP:
			return -(double) VrDistance->ip_f32(dim, row, query);
		case VR_KNN_L1:
			return VrDistance->l1_f32(dim, row, query);
		case VR_KNN_COSINE:
		{
			float ip;
			float aa;
			float bb;
			double similarity;

			VrDistance->cosine_f32(dim, row, query, &ip, &aa, &bb);
			similarity = (double) ip / sqrt((double) aa * (double) bb);
			if (similarity > 1)
				similarity = 1;
			else if (similarity < -1)
				similarity = -1;
			return 1 - similarity;
		}
	}
	pg_unreachable();
}

double
VrKnnDistance(VrKnnMetric metric, double score)
{
	return metric == VR_KNN_L2 ? sqrt(score) : score;
}

static bool
SearchMetricTakesPairs(VrKnnMetric metric)
{
	return metric == VR_KNN_L2 || metric == VR_KNN_IP;
}

/*
 * Bytes of a search of `queries` queries with these sizes, in each process. One
 * query's entries are there once more, of all processes: to be sorted.
 */
static int64
SearchBytes(const VrKnnSpec *spec, int queries, int tile_rows, int spare,
			int parallel)
{
	const int64 entries = ((int64) spec->k + spare) * sizeof(VrKnnEntry);
	int64 bytes =
		queries * (entries + sizeof(VrKnnTop) + 3 * sizeof(float)) + entries +
		(parallel > 0 ? VrKnnParallelBytes(entries, 1 + parallel) : 0);

	if (tile_rows > 0)
		bytes +=
			(int64) tile_rows *
			(spec->dim * sizeof(float) + 2 * sizeof(float) + sizeof(int64) +
			 Min(queries, SEARCH_BLOCK_QUERIES) * sizeof(float));
	if (tile_rows > 0 && spec->nqueries >= VR_KNN_FEW_QUERIES &&
		VrKnnCoarse() != NULL)
		bytes += VrKnnCoarseBytes(spec->dim, queries, tile_rows);
	return bytes;
}

/* Most queries of which SearchBytes is within the budget; it is monotone. */
static int
SearchFit(const VrKnnSpec *spec, int64 budget, int tile_rows, int spare,
		  int parallel)
{
	int low = 0;
	int high = spec->nqueries;

	while (low < high)
	{
		int middle = high - (high - low) / 2;

		if (SearchBytes(spec, middle, tile_rows, spare, parallel) <= budget)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/*
 * All queries in one scan if that can be had: first with room to spare, then
 * with buffers that are cut more often, then with smaller tiles. If it cannot
 * be, as few scans as possible.
 */
bool
VrKnnPlanSearch(const VrKnnSpec *spec, int64 budget, int parallel,
				VrKnnPlan *plan)
{
	const int spares[] = {Max(spec->k, 32), Max(spec->k / 4, 32)};
	int fitting = SEARCH_TILE_BYTES / (spec->dim * (int) sizeof(float));
	int tile_rows = Min(Max(fitting - fitting % SEARCH_STRIDE, SEARCH_STRIDE),
						SEARCH_TILE_ROWS);
	const int wide = SearchMetricTakesPairs(spec->metric) ? SEARCH_PAIR_DIM
														  : SEARCH_WIDE_DIM;
	int best = 0;

	if (spec->metric == VR_KNN_L1 ||
		(spec->dim > wide && spec->nqueries < VR_KNN_FEW_QUERIES))
		tile_rows = 0;
	plan->coarse = tile_rows > 0 && spec->nqueries >= VR_KNN_FEW_QUERIES &&
				   VrKnnCoarse() != NULL;
	plan->blas = tile_rows > 0 && spec->nqueries >= VR_KNN_FEW_QUERIES &&
				 !plan->coarse && VrKnnBlasUsable();
	plan->bytes_needed = SearchBytes(spec, 1, 0, spares[1], parallel);
	for (;;)
	{
		int i;

		for (i = 0; i < lengthof(spares); i++)
		{
			int fit = SearchFit(spec, budget, tile_rows, spares[i], parallel);

			if (fit > best)
			{
				best = fit;
				plan->tiled = tile_rows > 0;
				plan->pass_queries = fit;
				plan->block_queries = Min(fit, SEARCH_BLOCK_QUERIES);
				plan->tile_rows = tile_rows;
				plan->spare = spares[i];
				plan->bytes =
					SearchBytes(spec, fit, tile_rows, spares[i], parallel);
			}
		}
		/* Smaller tiles are slow; four scans instead of five are not. */
		if (best == spec->nqueries || (best >= 64 && tile_rows <= 256) ||
			tile_rows == 0)
			break;
		tile_rows = tile_rows >= 2 * SEARCH_STRIDE ? tile_rows / 2 : 0;
		if (tile_rows == 0 && best >= VR_KNN_FEW_QUERIES)
			break;
	}
	return best > 0;
}

/*
 * The squared norm of a vector, or NaN, with which nothing is refused, if it is
 * no basis for a bound: one of tiny numbers has 0, but not their products with
 * others.
 */
static float
SearchNorm2(int dim, const float *x)
{
	float norm2 = VrDistance->ip_f32(dim, x, x);
	int i;

	if (norm2 >= SEARCH_NORM_MIN && norm2 <= SEARCH_NORM_MAX)
		return norm2;
	for (i = 0; i < dim; i++)
		if (x[i] != 0)
			return get_float4_nan();
	return 0;
}

int
VrKnnSearchRoom(const VrKnnSpec *spec, const VrKnnPlan *plan)
{
	return spec->k + plan->spare;
}

VrKnnSearch *
VrKnnSearchBegin(const VrKnnSpec *spec, const VrKnnPlan *plan, int first,
				 int count, const VrKnnKeyType *keytype)
{
	return VrKnnSearchBeginAt(spec, plan, first, count, keytype, NULL);
}

VrKnnSearch *
VrKnnSearchBeginAt(const VrKnnSpec *spec, const VrKnnPlan *plan, int first,
				   int count, const VrKnnKeyType *keytype, VrKnnEntry *entries)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall search", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VrKnnSearch *search = palloc0(sizeof(VrKnnSearch));
	int capacity = VrKnnSearchRoom(spec, plan);
	int i;

	if (entries == NULL)
		entries = VrKnnAlloc(mul_size(count, capacity), sizeof(VrKnnEntry));

	search->context = context;
	search->spec = spec;
	search->plan = *plan;
	search->count = count;
	search->queries = spec->queries + (Size) first * spec->dim;
	search->tops = VrKnnAlloc(count, sizeof(VrKnnTop));
	search->scratch = VrKnnAlloc(capacity, sizeof(VrKnnEntry));
	for (i = 0; i < count; i++)
	{
		VrKnnTop *top = &search->tops[i];

		memset(top, 0, sizeof(*top));
		top->entries = entries + (Size) i * capacity;
		top->k = spec->k;
		top->capacity = capacity;
		top->keytype = keytype;
	}
	if (plan->tiled)
	{
		const int padded = VrKnnCoarsePad(count);

		search->slope = VrKnnAlloc(padded, sizeof(float));
		search->limit = VrKnnAlloc(padded, sizeof(float));
		search->norm2 = VrKnnAlloc(count, sizeof(float));
		search->tile = VrKnnAlloc(plan->tile_rows, spec->dim * sizeof(float));
		search->weight =
			VrKnnAlloc(VrKnnCoarsePad(plan->tile_rows), sizeof(float));
		search->norm2_rows = VrKnnAlloc(plan->tile_rows, sizeof(float));
		search->keys = VrKnnAlloc(plan->tile_rows, sizeof(int64));
		search->products =
			VrKnnAlloc(plan->tile_rows, plan->block_queries * sizeof(float));

		/*
		 * The product, both norms and the kernel's own sum are each off by at
		 * most dim roundings; a few more are ours.
		 */
		search->margin = (4.0 * spec->dim + 16) * SEARCH_EPSILON;
		if (plan->coarse && VrKnnCoarse() != NULL)
		{
			search->coarse = VrKnnCoarseBegin(VrKnnCoarse(), spec->dim, count,
											  search->queries, plan->tile_rows);
			/* Sums of pairs are rounded twice, and there is one term more. */
			search->margin = (6.0 * spec->dim + 32) * SEARCH_EPSILON;
		}
		for (i = 0; i < count; i++)
		{
			const float *q = search->queries + (Size) i * spec->dim;

			search->norm2[i] = SearchNorm2(spec->dim, q);
			search->slope[i] = 0;
			search->limit[i] = get_float4_nan();
		}
		/* Nothing is near to queries that only fill up a block. */
		for (; i < padded; i++)
		{
			search->slope[i] = 0;
			search->limit[i] = get_float4_infinity();
		}
	}
	MemoryContextSwitchTo(old);
	return search;
}

/* Sets what a product must reach, from the bound of the query's results. */
static void
SearchSetLimit(VrKnnSearch *search, int query)
{
	const VrKnnTop *top = &search->tops[query];
	const double norm2 = search->norm2[query];
	const double margin = search->margin;
	double score;
	double slope;
	double limit;

	search->slope[query] = 0;
	search->limit[query] = get_float4_nan();
	if (!top->bounded || isnan(search->norm2[query]))
		return;
	score = VrKnnOrderScore(top->bound.order);
	if (!isfinite(score))
		return;
	switch (search->spec->metric)
	{
		case VR_KNN_L2:
			/* (1 - margin) (|q|^2 + |r|^2) - 2 product > score */
			slope = margin - 1;
			limit = ((1 - margin) * norm2 - score) / 2;
			limit -= (norm2 + score) * (4 * SEARCH_EPSILON);
			break;
		case VR_KNN_IP:
			/* product + margin |q| |r| < -score */
			slope = margin * sqrt(norm2);
			limit = -score - fabs(score) * (4 * SEARCH_EPSILON);
			break;
		case VR_KNN_COSINE:
			/* product < (1 - score - margin) |q| |r| */
			slope = -(1 - score - margin) * sqrt(norm2);
			limit = 0;
			break;
		default:
			return;
	}
	search->slope[query] = slope;
	search->limit[query] = limit;
}

/* Keeps row `row` of the tile, with its score for a query, if it is near. */
static inline void
SearchOffer(VrKnnSearch *search, int query, int row, double score)
{
	VrKnnTop *top = &search->tops[query];
	uint64 order = VrKnnOrder(score);

	if (top->bounded && order > top->bound.order)
		search->wasted++;
	else if (VrKnnTopOffer(top, order, search->keys[row]))
		SearchSetLimit(search, query);
}

/* Measures row `row` of the tile for a query. */
static void
SearchMeasure(VrKnnSearch *search, int query, int row)
{
	const int dim = search->spec->dim;

	SearchOffer(search, query, row,
				VrKnnScore(search->spec->metric, dim,
						   search->queries + (Size) query * dim,
						   search->tile + (Size) row * dim));
}

/*
 * Measures a row for queries numbered from `first`. Kernels that take several at a time give
 * what they give for one, and l2 and ip do not care which vector is which.
 */
static void
SearchMeasureBatch(VrKnnSearch *search, int row, int first,
				   const uint16 *queries, int n)
{
	const int dim = search->spec->dim;
	const float *x = search->tile + (Size) row * dim;
	const float *pointers[SEARCH_BATCH];
	float scores[SEARCH_BATCH];
	int i;

	if (search->spec->metric != VR_KNN_L2 && search->spec->metric != VR_KNN_IP)
	{
		for (i = 0; i < n; i++)
			SearchMeasure(search, first + queries[i], row);
		return;
	}
	for (i = 0; i < n; i++)
	{
		const VrKnnTop *top = &search->tops[first + queries[i]];

		pointers[i] = search->queries + (Size) (first + queries[i]) * dim;
		/* By then the place where its score goes has come. */
		VR_PREFETCH(&top->entries[top->used]);
	}
	if (search->spec->metric == VR_KNN_L2)
		VrDistance->l2sq_f32_batch(dim, x, pointers, n, scores);
	else
		VrDistance->ip_f32_batch(dim, x, pointers, n, scores);
	for (i = 0; i < n; i++)
		SearchOffer(search, first + queries[i], row,
					search->spec->metric == VR_KNN_L2 ? scores[i]
													  : -(double) scores[i]);
}

/*
 * Bit i is set unless product[i] + slope * weight[i] < limit, for the n <= 64
 * rows from there. With hundreds of results per query most strides have a row
 * that is near enough, so what counts is to find it without looking at each.
 */
static inline uint64
SearchNear(int n, const float *product, const float *weight, float slope,
		   float limit)
{
	uint64 near = 0;
	int i = 0;

#ifdef __SSE2__
	const __m128 slopes = _mm_set1_ps(slope);
	const __m128 limits = _mm_set1_ps(limit);

	for (; i + 4 <= n; i += 4)
	{
		__m128 sum = _mm_add_ps(_mm_loadu_ps(product + i),
								_mm_mul_ps(slopes, _mm_loadu_ps(weight + i)));

		near |= (uint64) _mm_movemask_ps(_mm_cmpnlt_ps(sum, limits)) << i;
	}
#endif
	for (; i < n; i++)
		near |= (uint64) !(product[i] + slope * weight[i] < limit) << i;
	return near;
}

/* Finds the rows of a tile that their products with a query do not refuse. */
static void
SearchSelect(VrKnnSearch *search, int query, const float *product)
{
	int first;

	for (first = 0; first < search->rows; first += SEARCH_STRIDE)
	{
		uint64 near = SearchNear(Min(SEARCH_STRIDE, search->rows - first),
								 product + first, search->weight + first,
								 search->slope[query], search->limit[query]);

		/* The limit may rise meanwhile; the old one refuses less. */
		while (near != 0)
		{
			SearchMeasure(search, query, first + pg_rightmost_one_pos64(near));
			near &= near - 1;
		}
	}
}

/* Norms of the rows of the tile, and what a limit is compared with. */
static void
SearchWeigh(VrKnnSearch *search)
{
	const int dim = search->spec->dim;
	const bool squares = search->spec->metric == VR_KNN_L2;
	int i;

	for (i = 0; i < search->rows; i++)
	{
		const float *x = search->tile + (Size) i * dim;
		float norm2 = SearchNorm2(dim, x);

		search->norm2_rows[i] = norm2;
		search->weight[i] = squares ? norm2 / 2 : sqrtf(norm2);
	}
}

/* By products in float32. */
static void
SearchFlushFine(VrKnnSearch *search)
{
	const int dim = search->spec->dim;
	int first;
	int i;

	for (first = 0; first < search->count; first += search->plan.block_queries)
	{
		int n = Min(search->plan.block_queries, search->count - first);

		(search->plan.blas ? VrKnnProducts : VrKnnKernelProducts)(
			n, search->rows, dim, search->queries + (Size) first * dim, dim,
			search->tile, dim, search->products, search->plan.tile_rows);
		for (i = 0; i < n; i++)
			SearchSelect(search, first + i,
						 search->products + (Size) i * search->plan.tile_rows);
	}
}

/* Measures a row for the queries that it is near to. */
static void
SearchNearTo(VrKnnSearch *search, int first, int row)
{
	const int most = VR_KNN_COARSE_LIST * VR_KNN_COARSE_BLOCK;
	int query;

	for (query = 0; query < search->count; query += most)
	{
		int n;
		int i;
		const uint16 *near = VrKnnCoarseList(search->coarse, row, query, &n);

		for (i = 0; i < n; i += SEARCH_BATCH)
			SearchMeasureBatch(search, first + row, query, near + i,
							   Min(n - i, SEARCH_BATCH));
	}
}

/*
 * By products in bfloat16. Where vectors are near to each other and far from
 * the origin these refuse little, and what they leave costs more than finer
 * products would: then those take over for the rest of the search.
 */
static void
SearchFlushCoarse(VrKnnSearch *search)
{
	VrKnnCoarseTile *coarse = search->coarse;
	int first;

	search->wasted = 0;
	VrKnnCoarseRows(coarse, search->rows, search->tile, search->norm2_rows);
	coarse->kernels->begin();
	for (first = 0; first < search->rows; first += VR_KNN_COARSE_BLOCK)
	{
		int n = Min(VR_KNN_COARSE_BLOCK, search->rows - first);
		int i;

		VrKnnCoarseNear(coarse, first, search->weight, search->slope,
						search->limit);
		for (i = 0; i < n; i++)
			SearchNearTo(search, first, i);
	}
	coarse->kernels->end();
	if (search->wasted > (int64) search->rows * search->count / 8)
	{
		search->coarse = NULL;
		search->plan.blas = VrKnnBlasUsable();
	}
}

/*
 * Waits for the guesses: without them all of the first rows would be measured
 * and kept, which takes longer.
 */
static void
SearchTakeGuesses(VrKnnSearch *search)
{
	int i;

	VrKnnGuessesWait(search->guesses);
	for (i = 0; i < search->count; i++)
	{
		VrKnnTopGuess(&search->tops[i], search->guesses->order[i]);
		SearchSetLimit(search, i);
	}
	search->guesses = NULL;
}

/* Processes the rows of the tile. */
static void
SearchFlush(VrKnnSearch *search)
{
	int i;

	CHECK_FOR_INTERRUPTS();
	if (search->guesses != NULL)
		SearchTakeGuesses(search);
	SearchWeigh(search);
	if (search->coarse != NULL)
		SearchFlushCoarse(search);
	else
		SearchFlushFine(search);
	if (search->tops[0].keytype != NULL)
		for (i = 0; i < search->rows; i++)
			VrKnnKeyFree(search->tops[0].keytype, (Datum) search->keys[i]);
	search->rows = 0;
}

void
VrKnnSearchRow(VrKnnSearch *search, const float *x, int64 key)
{
	const VrKnnSpec *spec = search->spec;
	MemoryContext old = MemoryContextSwitchTo(search->context);
	int i;

	search->total++;
	if (search->plan.tiled)
	{
		memcpy(search->tile + (Size) search->rows * spec->dim, x,
			   spec->dim * sizeof(float));
		if (search->tops[0].keytype != NULL)
			key = (int64) VrKnnKeyCopy(search->tops[0].keytype, (Datum) key);
		search->keys[search->rows++] = key;
		if (search->rows == search->plan.tile_rows)
			SearchFlush(search);
	}
	else
	{
		for (i = 0; i < search->count; i++)
			VrKnnTopOffer(&search->tops[i],
						  VrKnnOrder(VrKnnScore(
							  spec->metric, spec->dim,
							  search->queries + (Size) i * spec->dim, x)),
						  key);
	}
	MemoryContextSwitchTo(old);
}

bool
VrKnnSearchTakesPairs(const VrKnnSearch *search)
{
	return !search->plan.tiled && SearchMetricTakesPairs(search->spec->metric);
}

void
VrKnnSearchPair(VrKnnSearch *search, const float *const *x,
				const float *const *next, const int64 *keys)
{
	const VrKnnSpec *spec = search->spec;
	const bool squares = spec->metric == VR_KNN_L2;
	MemoryContext old = MemoryContextSwitchTo(search->context);
	float scores[2];
	int query;
	int i;

	Assert(VrKnnSearchTakesPairs(search));
	search->total += 2;
	for (query = 0; query < search->count; query++)
	{
		(squares ? VrDistance->l2sq_f32_pair : VrDistance->ip_f32_pair)(
			spec->dim, search->queries + (Size) query * spec->dim, x,
			query == 0 ? next : NULL, scores);
		for (i = 0; i < 2; i++)
			VrKnnTopOffer(&search->tops[query],
						  VrKnnOrder(squares ? scores[i] : -(double) scores[i]),
						  keys[i]);
	}
	MemoryContextSwitchTo(old);
}

/* Processes what is in the tile at the end. */
static void
SearchFlushRest(VrKnnSearch *search)
{
	MemoryContext old = MemoryContextSwitchTo(search->context);

	if (search->rows > 0)
		SearchFlush(search);
	MemoryContextSwitchTo(old);
}

void
VrKnnSearchFinish(VrKnnSearch *search)
{
	MemoryContext old = MemoryContextSwitchTo(search->context);
	int i;

	SearchFlushRest(search);
	for (i = 0; i < search->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		VrKnnTopSort(&search->tops[i], search->scratch);
	}
	MemoryContextSwitchTo(old);
}

void
VrKnnSearchLast(VrKnnSearch *search, uint64 *order)
{
	int i;

	SearchFlushRest(search);
	for (i = 0; i < search->count; i++)
	{
		VrKnnTop *top = &search->tops[i];

		VrKnnTopCut(top);
		order[i] = top->used < top->k ? VR_KNN_ORDER_NAN : top->bound.order;
	}
}

const VrKnnEntry *
VrKnnSearchResult(const VrKnnSearch *search, int query, int *count)
{
	*count = search->tops[query].used;
	return search->tops[query].entries;
}

void
VrKnnSearchLeave(VrKnnSearch *search, int32 *used)
{
	int i;

	SearchFlushRest(search);
	for (i = 0; i < search->count; i++)
		used[i] = search->tops[i].used;
}

void
VrKnnSearchSetUsed(VrKnnSearch *search, int query, int used)
{
	search->tops[query].used = used;
}

void
VrKnnSearchUseGuesses(VrKnnSearch *search, VrKnnGuesses *guesses)
{
	Assert(search->plan.tiled);
	search->guesses = guesses;
	search->guessed = true;
}

/*
 * Closed queries have a limit that refuses all, and a top that does. As the
 * room is that of the first scan, so is the memory.
 */
bool
VrKnnSearchReopen(VrKnnSearch *search)
{
	const int64 all = Min(search->spec->k, search->total);
	bool missing = false;
	int i;

	for (i = 0; search->guessed && i < search->count; i++)
		missing |= search->tops[i].used < all;
	if (!missing)
		return false;
	for (i = 0; i < search->count; i++)
	{
		VrKnnTop *top = &search->tops[i];
		bool closed = top->used >= all;

		if (!closed)
			top->used = 0;
		top->bounded = closed;
		top->bound.order = 0;
		top->bound.key = PG_INT64_MIN;
		search->slope[i] = 0;
		search->limit[i] = closed ? get_float4_infinity() : get_float4_nan();
	}
	search->total = 0;
	search->guesses = NULL;
	search->guessed = false;
	return true;
}

void
VrKnnSearchAddRows(VrKnnSearch *search, int64 rows)
{
	search->total += rows;
}

int
VrKnnSearchDim(const VrKnnSearch *search)
{
	return search->spec->dim;
}

int64
VrKnnSearchRows(const VrKnnSearch *search)
{
	return search->total;
}

void
VrKnnSearchEnd(VrKnnSearch *search)
{
	MemoryContextDelete(search->context);
}
