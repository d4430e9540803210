/*
 * hnsw_junk.c
 *		Spares plans the distances that nobody reads.
 *
 * PostgreSQL computes the ORDER BY expression for every row of an ordered index
 * scan, also where it is not selected and no Sort needs it: a "junk" column that
 * is thrown away at the top. For a vector that lies in TOAST this takes longer
 * than the search itself (1,536 dimensions: 40 % of a query). The index has put
 * the rows in order without it, so the finished plan gets a NULL in its place.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/planner.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "hnsw/hnsw_private.h"

static planner_hook_type junk_previous_hook = NULL;

/* Whether the plan is an ordered scan of one of our indexes. */
static bool
JunkIsOurScan(Plan *plan)
{
	Relation index;
	bool ours;

	if (plan == NULL || !IsA(plan, IndexScan) ||
		((IndexScan *) plan)->indexorderbyorig == NIL)
		return false;
	index = RelationIdGetRelation(((IndexScan *) plan)->indexid);
	if (!RelationIsValid(index))
		return false;
	ours = index->rd_indam->amgettuple == vr_hnsw_gettuple;
	RelationClose(index);
	return ours;
}

/* Takes a distance out of a column of the scan that is read by nobody. */
static void
JunkDrop(IndexScan *scan, TargetEntry *column)
{
	if (column->ressortgroupref != 0 &&
		list_member(scan->indexorderbyorig, column->expr))
		column->expr = (Expr *) makeNullConst(
			exprType((Node *) column->expr), exprTypmod((Node *) column->expr),
			exprCollation((Node *) column->expr));
}

/* A LIMIT is the last step of its query: above it, junk is not looked at. */
static void
JunkBelowLimit(Limit *limit)
{
	IndexScan *scan = (IndexScan *) limit->plan.lefttree;
	Bitmapset *read = NULL;
	ListCell *lc;

	/* WITH TIES compares what rows were ordered by. */
	if (limit->limitOption != LIMIT_OPTION_COUNT ||
		!JunkIsOurScan((Plan *) scan))
		return;
	foreach (lc, limit->plan.targetlist)
	{
		TargetEntry *column = lfirst_node(TargetEntry, lc);
		Var *var = (Var *) column->expr;

		/* Set by setrefs.c: each is a column of the scan. */
		if (!IsA(var, Var) || var->varno != OUTER_VAR)
			return;
		if (!column->resjunk)
			read = bms_add_member(read, var->varattno);
	}
	foreach (lc, scan->scan.plan.targetlist)
	{
		TargetEntry *column = lfirst_node(TargetEntry, lc);

		if (!bms_is_member(column->resno, read))
			JunkDrop(scan, column);
	}
}

/* Looks for them in a plan and all below it. */
static void
JunkWalk(Plan *plan)
{
	ListCell *lc;

	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_Limit:
			JunkBelowLimit((Limit *) plan);
			break;
		case T_SubqueryScan:
			JunkWalk(((SubqueryScan *) plan)->subplan);
			break;
		case T_Append:
			foreach (lc, ((Append *) plan)->appendplans)
				JunkWalk(lfirst(lc));
			break;
		case T_MergeAppend:
			foreach (lc, ((MergeAppend *) plan)->mergeplans)
				JunkWalk(lfirst(lc));
			break;
		default:
			break;
	}
	JunkWalk(plan->lefttree);
	JunkWalk(plan->righttree);
}

/* planner_hook */
static PlannedStmt *
JunkHook(Query *parse, const char *query_string, int options,
		 ParamListInfo params)
{
	PlannedStmt *stmt =
		junk_previous_hook
			? junk_previous_hook(parse, query_string, options, params)
			: standard_planner(parse, query_string, options, params);
	ListCell *lc;

	/* A scan that is the whole plan: its junk is dropped with the row. */
	if (stmt->commandType == CMD_SELECT && JunkIsOurScan(stmt->planTree))
		foreach (lc, stmt->planTree->targetlist)
		{
			TargetEntry *column = lfirst_node(TargetEntry, lc);

			if (column->resjunk)
				JunkDrop((IndexScan *) stmt->planTree, column);
		}
	JunkWalk(stmt->planTree);
	foreach (lc, stmt->subplans)
		JunkWalk(lfirst(lc));
	return stmt;
}

/* Installs the hook. Any query for one of our indexes has loaded the library. */
void
VrHnswJunkInit(void)
{
	junk_previous_hook = planner_hook;
	planner_hook = JunkHook;
}
