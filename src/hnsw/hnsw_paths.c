/*
 * hnsw_paths.c
 *		Plans that PostgreSQL's planner leaves out: conditions on further
 *		columns together with ORDER BY.
 *
 * Before PostgreSQL 17 the planner takes `column = ANY (array)` on a column
 * that is not the first for something that spoils an index's order, and makes
 * no ordered path with it; before 16 it knows a bare boolean column only with
 * operator families of its own. An hnsw index tests both during the search, in
 * any order. So for each ordered path over one of our indexes, a second one is
 * offered that has those conditions too; costs decide.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "hnsw/hnsw_private.h"

#if VR_PLANNER_NEEDS_IN_PATHS

static set_rel_pathlist_hook_type paths_previous_hook = NULL;

/* Whether an operator with that collation is a column's equality. */
static bool
PathsIsEquality(IndexOptInfo *index, int col, Oid op, Oid collation)
{
	return get_op_opfamily_strategy(op, index->opfamily[col]) ==
			   VR_HNSW_EQUAL_STRATEGY &&
		   (!OidIsValid(index->indexcollations[col]) ||
			index->indexcollations[col] == collation);
}

/*
 * The restriction as a condition on a column of the index: itself, or, for a
 * boolean column, a comparison with a constant. NULL if it is none.
 */
static RestrictInfo *
PathsCondition(PlannerInfo *root, IndexOptInfo *index, int col,
			   RestrictInfo *rinfo)
{
	Node *clause = (Node *) rinfo->clause;
	bool value = true;

	if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *any = (ScalarArrayOpExpr *) clause;
		Node *array = lsecond(any->args);

		if (any->useOr &&
			match_index_to_operand(linitial(any->args), col, index) &&
			PathsIsEquality(index, col, any->opno, any->inputcollid) &&
			!contain_var_clause(array) && !contain_volatile_functions(array))
			return rinfo;
		return NULL;
	}
	if (is_notclause(clause))
	{
		clause = (Node *) get_notclausearg((Expr *) clause);
		value = false;
	}
	if (exprType(clause) != BOOLOID ||
		!match_index_to_operand(clause, col, index) ||
		!PathsIsEquality(index, col, BooleanEqualOperator, InvalidOid))
		return NULL;
	return make_simple_restrictinfo(
		root,
		make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) clause,
					  (Expr *) makeBoolConst(value, false), InvalidOid,
					  InvalidOid));
}

/* Whether a path has that restriction as a condition. */
static bool
PathsHas(List *clauses, RestrictInfo *rinfo)
{
	ListCell *lc;

	foreach (lc, clauses)
		if (((IndexClause *) lfirst(lc))->rinfo == rinfo)
			return true;
	return false;
}

/* The same path with every further condition that the index can test. */
static IndexPath *
PathsWithConditions(PlannerInfo *root, RelOptInfo *rel, IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List *clauses = NIL;
	bool found = false;
	int col;

	/* In the order of columns, as all plans have them. */
	for (col = 1; col < index->nkeycolumns; col++)
	{
		ListCell *lc;

		foreach (lc, path->indexclauses)
			if (((IndexClause *) lfirst(lc))->indexcol == col)
				clauses = lappend(clauses, lfirst(lc));
		foreach (lc, index->indrestrictinfo)
		{
			RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
			RestrictInfo *condition;
			IndexClause *clause;

			if (rinfo->pseudoconstant || PathsHas(path->indexclauses, rinfo) ||
				!restriction_is_securely_promotable(rinfo, rel))
				continue;
			condition = PathsCondition(root, index, col, rinfo);
			if (condition == NULL)
				continue;
			clause = makeNode(IndexClause);
			clause->rinfo = rinfo;
			clause->indexquals = list_make1(condition);
			clause->lossy = false;
			clause->indexcol = col;
			clauses = lappend(clauses, clause);
			found = true;
		}
	}
	if (!found)
		return NULL;
	return create_index_path(root, index, clauses, path->indexorderbys,
							 path->indexorderbycols, path->path.pathkeys,
							 path->indexscandir, false,
							 PATH_REQ_OUTER(&path->path), 1.0, false);
}

/* set_rel_pathlist_hook */
static void
PathsHook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List *paths;
	ListCell *lc;

	if (paths_previous_hook)
		paths_previous_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rel->indexlist == NIL)
		return;
	/* add_path changes the list. */
	paths = list_copy(rel->pathlist);
	foreach (lc, paths)
	{
		IndexPath *path = lfirst(lc);
		IndexPath *more;

		if (!IsA(path, IndexPath) || path->indexorderbys == NIL ||
			path->indexinfo->nkeycolumns < 2 ||
			(void (*)(void)) path->indexinfo->amcostestimate !=
				(void (*)(void)) vr_hnsw_costestimate)
			continue;
		more = PathsWithConditions(root, rel, path);
		if (more)
			add_path(rel, (Path *) more);
	}
	list_free(paths);
}

/* Installs the hook. The library is loaded before any of our indexes is. */
void
VrHnswPathsInit(void)
{
	paths_previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = PathsHook;
}

#else

void
VrHnswPathsInit(void)
{
}

#endif
