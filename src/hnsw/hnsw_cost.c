/*
 * hnsw_cost.c
 *		amcostestimate: what a scan costs, by the records it will visit.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "hnsw/hnsw_private.h"

/*
 * amcostestimate. Without ORDER BY the index is of no use. With it, the first
 * pass visits about ef_search records, plus a few on the way down, and every
 * row beyond that costs a visit more: more still, if a condition in the index
 * lets few pass.
 */
void
vr_hnsw_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
					 Cost *startup, Cost *total, Selectivity *selectivity,
					 double *correlation, double *pages)
{
	GenericCosts costs;
	IndexOptInfo *info = path->indexinfo;
	double tuples = Max(info->tuples, 1);
	double visits;
	double limit;
	double share;
	Cost per_visit;
	double random_page;

	if (path->indexorderbys == NIL)
	{
		*startup = get_float8_infinity();
		*total = get_float8_infinity();
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return;
	}
	MemSet(&costs, 0, sizeof(costs));
	genericcostestimate(root, path, loop_count, &costs);
	get_tablespace_page_costs(info->reltablespace, &random_page, NULL);

	limit = root->limit_tuples > 0 ? root->limit_tuples : 0;
	share = Max(costs.indexSelectivity, 1.0 / tuples);
	visits = Max((double) vr_hnsw_ef_search, limit) / share;
	visits = Min(visits, tuples) + 2 * log(tuples + 1);
	/* Visited pages are hot as a rule: a tenth of them come from disk. */
	per_visit = random_page * 0.1 + 40 * cpu_operator_cost;
	*startup = visits * per_visit;
	*total = *startup + tuples * share * per_visit;
	*selectivity = costs.indexSelectivity;
	*correlation = 0;
	*pages = Min(visits, costs.numIndexPages);
}
