/*
 * hnsw_cost.c
 *		amcostestimate, and what a distance costs.
 *
 * Both in nanoseconds of what is really done, turned into the planner's units
 * at one rate, since plans are compared on them. The planner itself takes the
 * share of the run cost that LIMIT and a filter outside of the index leave:
 * rows come in order of distance, so k rows of selectivity s take k / s
 * visits, and that share of the cost of all is right as it stands.
 *
 * A distance of a vector that lies in TOAST costs a hundred times one that
 * lies in the row, and sequential scans pay it for every row. The planner
 * would not know without the support function below.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "storage/bufmgr.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"
#include "utils/syscache.h"

#include "hnsw/hnsw_private.h"

/* Operator costs per nanosecond: between a tuple's 5 ns and a page's 1 us. */
#define COST_PER_NS 0.16

/* Nanoseconds. hnsw_scan.c has its own, for choices within a scan. */
#define COST_NS_PAGE 300     /* pin, lock, check a page, miss the CPU's cache */
#define COST_NS_ROW 1200     /* executor and heap page, per row returned */
#define COST_NS_SORT 300     /* passes of a scan that goes on, per row */
#define COST_NS_ATTR 1.2     /* an entry of an ATTR page */
#define COST_NS_CHUNK 1500   /* a chunk of a TOASTed value */
#define COST_NS_DETOAST 500  /* besides its chunks */
#define COST_BYTES_PER_NS 40 /* of a value, by a distance */

/* Share of the index's pages that are read from disk, if it could be cached. */
#define COST_COLD 0.1

/* Visits of a resumed scan per row it returns: passes overshoot. */
#define COST_OVERSHOOT 1.5

/*
 * The same at worst: what a scan may need to give the rows of a LIMIT. Plain
 * records are visited to be measured, many of which never come up.
 */
#define COST_WORST_QUANTISED 2.5
#define COST_WORST_PLAIN 10

/* As hnsw_scan.c has it: how much dearer than a walk it may be to measure all
 * records that pass, for being exact, and the memory for each. */
#define COST_DIRECT_BONUS 2
#define COST_DIRECT_BYTES 128

/* What the estimate needs to know of an index. */
typedef struct CostShape
{
	bool quantised;
	bool rerank; /* the executor computes distances again */
	int m;
	int lanes;
	double expand;  /* ns of an expansion, without its measures */
	double measure; /* ns of a record's distance */
	int ef;         /* width of the first pass */
} CostShape;

/*
 * Reads the metapage. An index that is damaged or of another kind costs like
 * the usual one: it is for the scan to complain, and for the planner to let
 * users get at their table without it.
 */
static void
CostReadShape(const IndexOptInfo *info, CostShape *shape)
{
	VrHnswMetaPageData meta;
	const VrHnswLayout *l = &meta.layout;
	bool good = false;

	memset(&meta, 0, sizeof(meta));
	shape->ef = vr_hnsw_ef_search;
	if (!info->hypothetical && info->pages > 0)
	{
		Relation index = relation_open(info->indexoid, NoLock);

		if (RelationGetNumberOfBlocks(index) > 0)
		{
			Buffer buf = VrHnswReadAny(index, VR_HNSW_META_BLOCK,
									   BUFFER_LOCK_SHARE, NULL);

			memcpy(&meta, VrHnswPageMeta(BufferGetPage(buf)), sizeof(meta));
			UnlockReleaseBuffer(buf);
			good = meta.magic == VR_HNSW_MAGIC &&
				   meta.version == VR_HNSW_VERSION && meta.m >= VR_HNSW_MIN_M &&
				   meta.m <= VR_HNSW_MAX_M;
		}
		shape->ef = VrHnswScanWidth(index);
		relation_close(index, NoLock);
	}
	if (!good)
	{
		memset(&meta, 0, sizeof(meta));
		meta.form = VR_FORM_PLAIN;
		meta.m = VR_HNSW_DEFAULT_M;
		meta.layout.lanes = 2 * VR_HNSW_DEFAULT_M;
		meta.layout.own_bytes = 1024;
	}
	shape->quantised = meta.form == VR_FORM_QUANTISED;
	shape->rerank =
		shape->quantised &&
		(vr_hnsw_rerank == VR_RERANK_ON ||
		 (vr_hnsw_rerank == VR_RERANK_AUTO && l->own_kind != VR_OWN_F32));
	shape->m = meta.m;
	shape->lanes = l->lanes;
	shape->measure = COST_NS_PAGE + l->own_bytes / 10.0;
	shape->expand = shape->measure;
	if (shape->quantised)
		shape->expand += (double) l->lanes * l->code_bits / 64;
}

/* Nanoseconds of the first pass, width ef, over n records; *visits of pages. */
static double
CostFirstPass(const CostShape *shape, double ef, double n, double *visits)
{
	/* On the way down, the nearest of each level and what leads there. */
	double levels = log(n + 1) / log(shape->m);
	double expanded = Min(ef * 1.2 + 4 * levels, n);
	double measured =
		shape->quantised ? 0 : Min(expanded * shape->lanes * 0.4, n);

	*visits = expanded + measured;
	return expanded * shape->expand + measured * shape->measure;
}

/*
 * Whether LIMIT asks for more rows than the scan may visit records for: it
 * would end early, with fewer rows than there are.
 */
static bool
CostEndsEarly(PlannerInfo *root, const RelOptInfo *rel, const CostShape *shape,
			  double n)
{
	double worst = shape->quantised ? COST_WORST_QUANTISED : COST_WORST_PLAIN;
	double share;

	if (root->limit_tuples <= 0 || n <= vr_hnsw_max_scan_tuples ||
		vr_hnsw_iterative_scan == VR_ITERATIVE_OFF ||
		bms_membership(root->all_baserels) != BMS_SINGLETON)
		return false;
	share = Min(rel->rows / Max(rel->tuples, 1), 1);
	return root->limit_tuples * worst / Max(share, 1 / n) >
		   Min(vr_hnsw_max_scan_tuples, n);
}

/*
 * amcostestimate. Without ORDER BY the index is of no use. With it, the first
 * pass is the start-up cost, and each row visits some records more. A
 * condition in the index lets a share pass: either the walk is that much
 * longer, or, where few pass, they are measured one by one.
 */
void
vr_hnsw_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
					 Cost *startup, Cost *total, Selectivity *selectivity,
					 double *correlation, double *pages)
{
	GenericCosts costs;
	IndexOptInfo *info = path->indexinfo;
	double n = Max(info->tuples, 1);
	double ns = COST_PER_NS * cpu_operator_cost;
	CostShape shape;
	double visits;
	double share;
	double first;
	double walk;
	double row_visits;
	double page;
	double fits;
	bool can_direct = false;

	*correlation = 0;
	if (path->indexorderbys == NIL)
	{
		*startup = get_float8_infinity();
		*total = get_float8_infinity();
		*selectivity = 0;
		*pages = 0;
		VrSetDisabled(path);
		return;
	}
	MemSet(&costs, 0, sizeof(costs));
	genericcostestimate(root, path, loop_count, &costs);
	get_tablespace_page_costs(info->reltablespace, &page, NULL);
	CostReadShape(info, &shape);

	/* An index that does not fit the caches is read as it is visited. */
	fits = effective_cache_size / Max((double) info->pages, 1);
	page *= fits >= 1 ? COST_COLD : 1 - (1 - COST_COLD) * fits;
	share = Max(costs.indexSelectivity, 1 / n);

	first = CostFirstPass(&shape, shape.ef / share, n, &visits);
	row_visits = COST_OVERSHOOT / share;
	walk = first + n * share * row_visits * shape.expand;
	if (path->indexclauses != NIL &&
		n * share * COST_DIRECT_BYTES <
			vr_hnsw_scan_mem_multiplier * work_mem * 1024.0)
	{
		double direct = n * COST_NS_ATTR + n * share * shape.measure;

		/* In the first pass, or later, when the walk has become too long. */
		if (direct < first * COST_DIRECT_BONUS)
		{
			first = walk = direct;
			visits = Min(n * share, info->pages);
			row_visits = 0;
		}
		else if (first + direct < walk)
		{
			walk = first + direct;
			row_visits = 1;
		}
		can_direct = true;
	}
	*startup = first * ns + visits * page;
	*total =
		*startup + (walk - first) * ns +
		n * share *
			((COST_NS_SORT + COST_NS_ROW) * ns + Min(row_visits, n) * page);
	if (shape.rerank)
	{
		QualCost distance;

		cost_qual_eval(&distance, path->indexorderbys, root);
		*startup += distance.startup;
		*total += distance.startup + n * share * distance.per_tuple;
	}
	if (!can_direct && CostEndsEarly(root, info->rel, &shape, n))
	{
		/* As if every record were visited before the first row. */
		*startup = *total;
		*total *= 2;
	}
	*selectivity = costs.indexSelectivity;
	*pages = Min(visits, info->pages);
}

/* --------------------------------------------------- support of distances */

/* Bytes of a value of this type and modifier, 0 if that does not tell. */
static double
CostValueBytes(Oid type, int32 typmod)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	double bytes = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (typmod > 0)
	{
		const char *name = NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname);

		if (strcmp(name, "vector") == 0)
			bytes = typmod * 4.0;
		else if (strcmp(name, "halfvec") == 0)
			bytes = typmod * 2.0;
		else if (strcmp(name, "bit") == 0)
			bytes = typmod / 8.0;
	}
	ReleaseSysCache(tuple);
	return bytes;
}

/* Nanoseconds of getting at one argument of a distance, and reading it. */
static double
CostArgument(PlannerInfo *root, Node *arg, double *bytes)
{
	double size = CostValueBytes(exprType(arg), exprTypmod(arg));
	int32 width = 0;
	Var *var = (Var *) arg;
	RangeTblEntry *rte;

	*bytes = Max(*bytes, size);
	if (root == NULL || !IsA(arg, Var) || var->varlevelsup > 0 ||
		var->varno < 1 || var->varno >= root->simple_rel_array_size)
		return 0;
	rte = planner_rt_fetch(var->varno, root);
	if (rte == NULL || rte->rtekind != RTE_RELATION || var->varattno < 1)
		return 0;
	width = get_attavgwidth(rte->relid, var->varattno);
	if (width > 0 && size == 0)
		*bytes = Max(*bytes, width);
	/* Statistics count a pointer into TOAST as what it is: 18 bytes. */
	if (size <= TOAST_TUPLE_TARGET / 4 || (width > 0 && width > size / 2) ||
		(width == 0 && size <= TOAST_TUPLE_TARGET - 100))
		return 0;
	return COST_NS_DETOAST + ceil(size / TOAST_MAX_CHUNK_SIZE) * COST_NS_CHUNK;
}

PG_FUNCTION_INFO_V1(vr_distance_support);

/* Planner support of the distance functions: what a call costs. */
Datum
vr_distance_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);
	SupportRequestCost *cost;
	List *args = NIL;
	double bytes = 0;
	double ns = 10;
	ListCell *lc;

	if (!IsA(request, SupportRequestCost))
		PG_RETURN_POINTER(NULL);
	cost = (SupportRequestCost *) request;
	if (cost->node && IsA(cost->node, OpExpr))
		args = ((OpExpr *) cost->node)->args;
	else if (cost->node && IsA(cost->node, FuncExpr))
		args = ((FuncExpr *) cost->node)->args;
	foreach (lc, args)
		ns += CostArgument(cost->root, lfirst(lc), &bytes);
	ns += bytes / COST_BYTES_PER_NS;
	cost->startup = 0;
	cost->per_tuple = cpu_operator_cost * Max(1, ns * COST_PER_NS);
	PG_RETURN_POINTER(cost);
}
