/*
 * hnsw_paths.c
 *		Scans in order of distance that filter by IN on an attribute column.
 *
 * Before version 17 the planner keeps `column = ANY (array)` out of an ordered
 * scan unless the column is the index's first, for a B-tree would lose its
 * order by it. This index does not, and its attribute columns never come
 * first: so the path that the planner lacks is added here. The library is
 * loaded by the time it matters, at the latest for the index's handler.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "hnsw/hnsw_private.h"

static set_rel_pathlist_hook_type paths_next = NULL;

/* Whether a path has that clause for the index already. */
static bool
PathsHave(const IndexPath *path, const RestrictInfo *rinfo)
{
	ListCell *lc;

	foreach (lc, path->indexclauses)
		if (lfirst_node(IndexClause, lc)->rinfo == rinfo)
			return true;
	return false;
}

/* The attribute column that an IN can be tested on, or 0. */
static int
PathsColumn(PlannerInfo *root, IndexOptInfo *info, ScalarArrayOpExpr *in)
{
	Node *left = linitial(in->args);
	Node *right = lsecond(in->args);
	int col;

	if (!in->useOr || contain_volatile_functions(right) ||
		bms_is_member(info->rel->relid, pull_varnos(root, right)))
		return 0;
	for (col = 1; col < info->nkeycolumns; col++)
		if (match_index_to_operand(left, col, info) &&
			op_in_opfamily(in->opno, info->opfamily[col]) &&
			(!OidIsValid(info->indexcollations[col]) ||
			 info->indexcollations[col] == in->inputcollid))
			return col;
	return 0;
}

/* Adds a clause where its column belongs among those of a list of ours. */
static List *
PathsInsert(List *clauses, RestrictInfo *rinfo, int col)
{
	IndexClause *clause = makeNode(IndexClause);
	int at = 0;

	clause->rinfo = rinfo;
	clause->indexquals = list_make1(rinfo);
	clause->lossy = false;
	clause->indexcol = col;
	clause->indexcols = NIL;
	while (at < list_length(clauses) &&
		   list_nth_node(IndexClause, clauses, at)->indexcol <= col)
		at++;
	return list_insert_nth(clauses, at, clause);
}

/* Offers an ordered path once more, with its INs tested in the index. */
static void
PathsOffer(PlannerInfo *root, RelOptInfo *rel, IndexPath *path)
{
	List *clauses = list_copy(path->indexclauses);
	IndexPath *more;
	ListCell *lc;

	foreach (lc, path->indexinfo->indrestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		int col;

		if (rinfo->pseudoconstant || !IsA(rinfo->clause, ScalarArrayOpExpr) ||
			PathsHave(path, rinfo) ||
			!restriction_is_securely_promotable(rinfo, rel))
			continue;
		col = PathsColumn(root, path->indexinfo,
						  (ScalarArrayOpExpr *) rinfo->clause);
		if (col > 0)
			clauses = PathsInsert(clauses, rinfo, col);
	}
	if (list_length(clauses) == list_length(path->indexclauses))
		return;
	more = makeNode(IndexPath);
	memcpy(more, path, sizeof(IndexPath));
	more->indexclauses = clauses;
	cost_index(more, root, 1.0, false);
	add_path(rel, (Path *) more);
}

static void
PathsHook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List *paths;
	ListCell *lc;

	if (paths_next)
		paths_next(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rel->indexlist == NIL)
		return;
	/* A list of its own: add_path changes the relation's. */
	paths = list_copy(rel->pathlist);
	foreach (lc, paths)
	{
		IndexPath *path = lfirst(lc);

		if (IsA(path, IndexPath) && path->indexorderbys != NIL &&
			path->path.param_info == NULL &&
			(void *) path->indexinfo->amcostestimate ==
				(void *) vr_hnsw_costestimate)
			PathsOffer(root, rel, path);
	}
	list_free(paths);
}

/* Installs the hook. For VrHnswInit. */
void
VrHnswPathsInit(void)
{
	paths_next = set_rel_pathlist_hook;
	set_rel_pathlist_hook = PathsHook;
}
