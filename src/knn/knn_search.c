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
#include "knn/knn_private.h"

/* Rows looked at for one that is near enough at a time. */
#define SEARCH_STRIDE 64

/* A tile is meant for the second-level cache, and has a stride at least. */
#define SEARCH_TILE_ROWS 1024
#define SEARCH_TILE_BYTES (512 * 1024)

/* Rows longer than this a few queries take where they lie. */
#define SEARCH_WIDE_DIM 512
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
	float *products; /* block_queries x tile_rows */
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

/* Bytes of a search of `queries` queries with these sizes. */
static int64
SearchBytes(const VrKnnSpec *spec, int queries, int tile_rows, int spare,
			int parallel)
{
	int64 bytes =
		(int64) queries *
		(((int64) spec->k * (1 + parallel) + spare) * sizeof(VrKnnEntry) +
		 sizeof(VrKnnTop) + 3 * sizeof(float));

	if (tile_rows > 0)
		bytes += (int64) tile_rows *
				 (spec->dim * sizeof(float) + sizeof(float) + sizeof(int64) +
				  Min(queries, SEARCH_BLOCK_QUERIES) * sizeof(float));
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
	int best = 0;

	if (spec->metric == VR_KNN_L1 ||
		(spec->dim > SEARCH_WIDE_DIM && spec->nqueries < VR_KNN_FEW_QUERIES))
		tile_rows = 0;
	plan->blas = tile_rows > 0 && spec->nqueries >= VR_KNN_FEW_QUERIES &&
				 VrKnnBlasUsable();
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

static void *
SearchAlloc(Size n, Size each)
{
	return MemoryContextAllocHuge(CurrentMemoryContext,
								  Max(mul_size(n, each), 1));
}

VrKnnSearch *
VrKnnSearchBegin(const VrKnnSpec *spec, const VrKnnPlan *plan, int first,
				 int count, const VrKnnKeyType *keytype)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall search", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VrKnnSearch *search = palloc0(sizeof(VrKnnSearch));
	int capacity = spec->k + plan->spare;
	VrKnnEntry *entries =
		SearchAlloc(mul_size(count, capacity), sizeof(VrKnnEntry));
	int i;

	search->context = context;
	search->spec = spec;
	search->plan = *plan;
	search->count = count;
	search->queries = spec->queries + (Size) first * spec->dim;
	search->tops = SearchAlloc(count, sizeof(VrKnnTop));
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
		search->slope = SearchAlloc(count, sizeof(float));
		search->limit = SearchAlloc(count, sizeof(float));
		search->norm2 = SearchAlloc(count, sizeof(float));
		search->tile = SearchAlloc(plan->tile_rows, spec->dim * sizeof(float));
		search->weight = SearchAlloc(plan->tile_rows, sizeof(float));
		search->keys = SearchAlloc(plan->tile_rows, sizeof(int64));
		search->products =
			SearchAlloc(plan->tile_rows, plan->block_queries * sizeof(float));

		/*
		 * The product, both norms and the kernel's own sum are each off by at
		 * most dim roundings; a few more are ours.
		 */
		search->margin = (4.0 * spec->dim + 16) * SEARCH_EPSILON;
		for (i = 0; i < count; i++)
		{
			const float *q = search->queries + (Size) i * spec->dim;

			search->norm2[i] = VrDistance->ip_f32(spec->dim, q, q);
			search->slope[i] = 0;
			search->limit[i] = get_float4_nan();
		}
	}
	MemoryContextSwitchTo(old);
	return search;
}

static bool
SearchNormIsUsable(float norm2)
{
	return norm2 == 0 || (norm2 >= SEARCH_NORM_MIN && norm2 <= SEARCH_NORM_MAX);
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
	if (!top->bounded || !SearchNormIsUsable(search->norm2[query]))
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

/* Measures row `row` of the tile for a query, and keeps it if it is near. */
static void
SearchMeasure(VrKnnSearch *search, int query, int row)
{
	const int dim = search->spec->dim;
	double score = VrKnnScore(search->spec->metric, dim,
							  search->queries + (Size) query * dim,
							  search->tile + (Size) row * dim);

	if (VrKnnTopOffer(&search->tops[query], VrKnnOrder(score),
					  search->keys[row]))
		SearchSetLimit(search, query);
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

/* Processes the rows of the tile. */
static void
SearchFlush(VrKnnSearch *search)
{
	const int dim = search->spec->dim;
	const bool squares = search->spec->metric == VR_KNN_L2;
	int first;
	int i;

	for (i = 0; i < search->rows; i++)
	{
		const float *x = search->tile + (Size) i * dim;
		float norm2 = VrDistance->ip_f32(dim, x, x);

		if (!SearchNormIsUsable(norm2))
			search->weight[i] = get_float4_nan();
		else
			search->weight[i] = squares ? norm2 / 2 : sqrtf(norm2);
	}
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

void
VrKnnSearchFinish(VrKnnSearch *search)
{
	MemoryContext old = MemoryContextSwitchTo(search->context);
	int i;

	if (search->rows > 0)
		SearchFlush(search);
	for (i = 0; i < search->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		VrKnnTopSort(&search->tops[i]);
	}
	MemoryContextSwitchTo(old);
}

const VrKnnEntry *
VrKnnSearchResult(const VrKnnSearch *search, int query, int *count)
{
	*count = search->tops[query].used;
	return search->tops[query].entries;
}

/*
 * Both lists are sorted. Merged from the back end of the room that the spare
 * leaves would need k of it, so the own list is copied out first.
 */
void
VrKnnSearchMerge(VrKnnSearch *search, int query, const VrKnnEntry *entries,
				 int count)
{
	VrKnnTop *top = &search->tops[query];
	VrKnnEntry *own;
	int nown = top->used;
	int n = 0;
	int i = 0;
	int j = 0;

	if (count == 0)
		return;
	own = palloc_extended(Max(nown, 1) * sizeof(VrKnnEntry), MCXT_ALLOC_HUGE);
	memcpy(own, top->entries, nown * sizeof(VrKnnEntry));
	while (n < top->k && (i < nown || j < count))
	{
		if (j >= count || (i < nown && VrKnnEntryCompare(top->keytype, &own[i],
														 &entries[j]) <= 0))
			top->entries[n++] = own[i++];
		else
			top->entries[n++] = entries[j++];
	}
	top->used = n;
	pfree(own);
}

void
VrKnnSearchAddRows(VrKnnSearch *search, int64 rows)
{
	search->total += rows;
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
