/*
 * hnsw_explain.c
 *		vecrecall.explain_index(): for each hnsw index of a query's relations,
 *		whether its plan uses it, and the reason if not.
 *
 * The query is planned twice: as it is, and with everything discouraged that
 * competes with an ordered index scan. If the second plan uses the index, it
 * was a matter of cost; if not, the query's own text has the reason, and the
 * parse tree is compared with what the index can do. Nothing is executed.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "hnsw/hnsw_private.h"

/* What a disabled plan node costs before PostgreSQL 18. */
#define EXPLAIN_DISABLE_COST 1.0e10

/* One query of the statement: itself, a subquery, a CTE, a sublink. */
typedef struct ExplainLevel
{
	Query *query;
	Query *parent; /* NULL for the statement itself */
} ExplainLevel;

typedef struct ExplainLevels
{
	List *levels;
	Query *parent;
} ExplainLevels;

/* One hnsw index of one relation of one query. */
typedef struct ExplainIndex
{
	const ExplainLevel *level;
	Index rti;
	Oid relid;  /* the query's: a parent, for a partition */
	Oid heapid; /* the index's */
	Relation index;
	Node *expr; /* of the first column; NULL if it is a plain one */
	AttrNumber attno;
	Oid family;
} ExplainIndex;

/* Planned as is, and with the index encouraged. */
typedef struct ExplainPlans
{
	PlannedStmt *plain;
	PlannedStmt *forced;
} ExplainPlans;

/* ---------------------------------------------------------------- planning */

/* Errors of the query are at a place in it, not in the caller's statement. */
static void
ExplainErrorContext(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(arg);
	}
}

/* Parses, analyses and rewrites; errors on all but one SELECT. */
static Query *
ExplainAnalyze(char *text)
{
	ErrorContextCallback context = {error_context_stack, ExplainErrorContext,
									text};
	List *raw;
	Oid *types = NULL;
	int ntypes = 0;
	List *rewritten;
	Query *query;

	error_context_stack = &context;
	raw = pg_parse_query(text);
	if (list_length(raw) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("explain_index takes exactly one statement")));
	query = VrParseAnalyze(linitial_node(RawStmt, raw), text, &types, &ntypes);
	error_context_stack = context.previous;
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL ||
		query->hasModifyingCTE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("explain_index takes a SELECT only")));
	rewritten = QueryRewrite(query);
	if (list_length(rewritten) != 1)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("explain_index takes a SELECT only")));
	return linitial_node(Query, rewritten);
}

static void
ExplainSet(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static PlannedStmt *
ExplainPlan(Query *query, const char *text, bool force)
{
	int guc = NewGUCNestLevel();
	PlannedStmt *plan;

	if (force)
	{
		ExplainSet("enable_seqscan", "off");
		ExplainSet("enable_bitmapscan", "off");
		ExplainSet("enable_sort", "off");
		ExplainSet("enable_indexscan", "on");
	}
	/* The planner writes to what it is given. */
	plan = pg_plan_query(copyObject(query), text, 0, NULL);
	AtEOXact_GUC(false, guc);
	return plan;
}

/* Whether a plan has an ordered scan of that index. */
static bool
ExplainPlanUses(Plan *plan, Oid index)
{
	List *more = NIL;
	ListCell *lc;

	if (plan == NULL)
		return false;
	check_stack_depth();
	if (IsA(plan, IndexScan) && ((IndexScan *) plan)->indexid == index)
		return true;
	if (IsA(plan, Append))
		more = ((Append *) plan)->appendplans;
	else if (IsA(plan, MergeAppend))
		more = ((MergeAppend *) plan)->mergeplans;
	else if (IsA(plan, SubqueryScan))
		more = list_make1(((SubqueryScan *) plan)->subplan);
	else if (IsA(plan, CustomScan))
		more = ((CustomScan *) plan)->custom_plans;
	foreach (lc, more)
		if (ExplainPlanUses(lfirst(lc), index))
			return true;
	return ExplainPlanUses(plan->lefttree, index) ||
		   ExplainPlanUses(plan->righttree, index);
}

static bool
ExplainUses(PlannedStmt *stmt, Oid index)
{
	ListCell *lc;

	foreach (lc, stmt->subplans)
		if (ExplainPlanUses(lfirst(lc), index))
			return true;
	return ExplainPlanUses(stmt->planTree, index);
}

/* -------------------------------------------------------------- the text */

static bool
ExplainCollect(Node *node, void *context)
{
	ExplainLevels *c = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ExplainLevel *level = palloc(sizeof(ExplainLevel));
		Query *parent = c->parent;
		bool result;

		level->query = (Query *) node;
		level->parent = parent;
		c->levels = lappend(c->levels, level);
		c->parent = level->query;
		result = query_tree_walker(level->query, ExplainCollect, c, 0);
		c->parent = parent;
		return result;
	}
	return expression_tree_walker(node, ExplainCollect, context);
}

static Node *
ExplainStrip(Node *node)
{
	while (node && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* Whether an expression is what the index has in its first column. */
static bool
ExplainIsColumn(const ExplainIndex *x, Node *node)
{
	node = ExplainStrip(node);
	if (x->expr != NULL)
		return equal(ExplainStrip(eval_const_expressions(NULL, node)),
					 ExplainStrip(x->expr));
	if (!IsA(node, Var) || ((Var *) node)->varno != x->rti ||
		((Var *) node)->varlevelsup != 0 || ((Var *) node)->varattno <= 0)
		return false;
	/* A partition may have its columns in another order. */
	return strcmp(get_attname(x->relid, ((Var *) node)->varattno, false),
				  get_attname(x->heapid, x->attno, false)) == 0;
}

/* Whether an expression reads any column of the relation. */
static bool
ExplainReads(const ExplainIndex *x, Node *node)
{
	return bms_is_member(x->rti, pull_varnos(NULL, node));
}

/* Whether an operator orders by a distance, in the index's class or another. */
static bool
ExplainIsDistance(Oid opno, Oid am, Oid *family)
{
	CatCList *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(opno));
	bool found = false;
	int i;

	for (i = 0; i < list->n_members && !found; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		if (amop->amopmethod == am && amop->amoppurpose == AMOP_ORDER)
		{
			*family = amop->amopfamily;
			found = true;
		}
	}
	ReleaseCatCacheList(list);
	return found;
}

/* Name of the operator class of a family, or of the family if it has none. */
static char *
ExplainClassName(Oid am, Oid family)
{
	CatCList *list = SearchSysCacheList1(CLAAMNAMENSP, ObjectIdGetDatum(am));
	char *name = NULL;
	int i;

	for (i = 0; i < list->n_members && name == NULL; i++)
	{
		Form_pg_opclass class =
			(Form_pg_opclass) GETSTRUCT(&list->members[i]->tuple);

		if (class->opcfamily == family)
			name = pstrdup(NameStr(class->opcname));
	}
	ReleaseCatCacheList(list);
	return name ? name : pstrdup("?");
}

/* Looks for a distance operator within an expression. */
typedef struct ExplainFind
{
	const ExplainIndex *x;
	OpExpr *found;
	FuncExpr *function; /* a call of an operator's function instead */
	Oid family;
} ExplainFind;

static bool
ExplainFindDistance(Node *node, void *context)
{
	ExplainFind *f = context;
	Oid am = f->x->index->rd_rel->relam;

	if (node == NULL)
		return false;
	if (IsA(node, OpExpr) &&
		ExplainIsDistance(((OpExpr *) node)->opno, am, &f->family))
	{
		f->found = (OpExpr *) node;
		return true;
	}
	if (IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) == 2)
	{
		Oid op = get_opfamily_member(f->family, f->x->index->rd_opcintype[0],
									 f->x->index->rd_opcintype[0],
									 VR_HNSW_DISTANCE_STRATEGY);

		if (OidIsValid(op) && get_opcode(op) == ((FuncExpr *) node)->funcid)
			f->function = (FuncExpr *) node;
	}
	return expression_tree_walker(node, ExplainFindDistance, context);
}

/* An expression of the query as text. */
static char *
ExplainDeparse(const ExplainIndex *x, Node *node)
{
	RangeTblEntry *rte = rt_fetch(x->rti, x->level->query->rtable);
	Node *copy = copyObject(node);

	/* Only expressions of this relation alone can be printed simply. */
	if (bms_membership(pull_varnos(NULL, copy)) == BMS_SINGLETON &&
		ExplainReads(x, copy))
	{
		ChangeVarNodes(copy, x->rti, 1, 0);
		return deparse_expression(
			copy, deparse_context_for(get_rel_name(rte->relid), rte->relid),
			false, false);
	}
	return pstrdup("an expression");
}

/* The index's first column as text. */
static char *
ExplainColumn(const ExplainIndex *x)
{
	return TextDatumGetCString(DirectFunctionCall3(
		pg_get_indexdef_ext, ObjectIdGetDatum(RelationGetRelid(x->index)),
		Int32GetDatum(1), BoolGetDatum(true)));
}

/* The operator that the index serves, as "<->". */
static char *
ExplainOperator(const ExplainIndex *x)
{
	Oid op = get_opfamily_member(x->family, x->index->rd_opcintype[0],
								 x->index->rd_opcintype[0],
								 VR_HNSW_DISTANCE_STRATEGY);

	return OidIsValid(op) ? get_opname(op) : pstrdup("?");
}

/* ----------------------------------------------------------------- reasons */

/* Why a distance in ORDER BY does not fit the index; NULL if it does. */
static char *
ExplainDistance(const ExplainIndex *x, OpExpr *op, Oid family)
{
	Oid am = x->index->rd_rel->relam;
	Node *left = linitial(op->args);
	Node *right = lsecond(op->args);
	Node *column = ExplainIsColumn(x, left) ? left : right;
	Node *query = column == left ? right : left;

	if (!ExplainIsColumn(x, column))
	{
		Node *side = ExplainReads(x, left) ? left : right;

		if (!ExplainReads(x, side))
			return pstrdup("ORDER BY is a distance of another relation");
		if (family != x->family && IsA(ExplainStrip(side), Var))
			return psprintf("ORDER BY is a distance of column %s, the index "
							"has %s",
							ExplainDeparse(x, side), ExplainColumn(x));
		return psprintf("ORDER BY computes on %s, the index has %s: cast and "
						"type modifier must be the same",
						ExplainDeparse(x, side), ExplainColumn(x));
	}
	if (family != x->family)
		return psprintf("operator %s is of operator class %s, the index has "
						"%s, which serves %s",
						get_opname(op->opno), ExplainClassName(am, family),
						ExplainClassName(am, x->family), ExplainOperator(x));
	if (contain_volatile_functions(query))
		return pstrdup("the query vector has a volatile function, which is "
					   "evaluated for every row: put it into a subquery, "
					   "(SELECT ...)");
	if (ExplainReads(x, query))
		return pstrdup("the query vector depends on the row itself");
	if (!bms_is_empty(pull_varnos(NULL, query)))
		return pstrdup("the query vector comes from another relation of the "
					   "join: use a LATERAL subquery with ORDER BY and LIMIT");
	return NULL;
}

/* Why the first sort key does not fit the index; NULL if it does. */
static char *
ExplainSortKey(const ExplainIndex *x, SortGroupClause *clause)
{
	Query *q = x->level->query;
	Node *key = ExplainStrip(get_sortgroupclause_expr(clause, q->targetList));
	ExplainFind find = {x, NULL, NULL, x->family};
	char *reason;
	bool descending;
	Oid opfamily;
	Oid type;
	VrOrderingKind strategy;

	(void) ExplainFindDistance(key, &find);
	if (find.found == NULL && find.function != NULL)
		return psprintf("ORDER BY calls function %s: write the operator %s",
						get_func_name(find.function->funcid),
						ExplainOperator(x));
	if (find.found == NULL)
	{
		if (IsA(key, Var) &&
			rt_fetch(((Var *) key)->varno, q->rtable)->rtekind == RTE_SUBQUERY)
			return pstrdup("ORDER BY is on the result of a subquery: move "
						   "ORDER BY and LIMIT into it");
		return psprintf("ORDER BY is not by distance: it would be %s %s query",
						ExplainColumn(x), ExplainOperator(x));
	}
	reason = ExplainDistance(x, find.found, find.family);
	if (reason != NULL)
		return reason;
	descending = get_ordering_op_properties(clause->sortop, &opfamily, &type,
											&strategy) &&
				 strategy == BTGreaterStrategyNumber;
	if (key != (Node *) find.found)
		return psprintf("ORDER BY is an expression of the distance%s: order "
						"by %s %s query, ascending, and compute the rest in "
						"the select list",
						descending ? ", a similarity" : "", ExplainColumn(x),
						ExplainOperator(x));
	if (descending)
		return pstrdup("ORDER BY distance DESC asks for the farthest: the "
					   "index gives the nearest, ascending");
	if (clause->nulls_first)
		return pstrdup("NULLS FIRST: the index has no rows without a vector");
	return NULL;
}

/* Why the query as a whole does not fit; NULL if nothing was found. */
static char *
ExplainShape(const ExplainIndex *x)
{
	Query *q = x->level->query;
	Index rti;
	int relations = 0;

	if (q->setOperations)
		return pstrdup("ORDER BY sorts the result of a UNION, INTERSECT or "
					   "EXCEPT");
	if (q->distinctClause)
		return pstrdup("DISTINCT comes before ORDER BY: order and limit in a "
					   "subquery");
	if (q->hasWindowFuncs)
		return pstrdup("window functions come before ORDER BY: order and "
					   "limit in a subquery");
	if (list_length(q->sortClause) > 1 &&
		!(VR_SORTS_ON_FROM_INDEX && enable_incremental_sort))
		return pstrdup("ORDER BY has further columns after the distance");
	for (rti = 1; rti <= list_length(q->rtable); rti++)
	{
		RangeTblEntry *rte = rt_fetch(rti, q->rtable);

		relations += rte->rtekind != RTE_JOIN && rte->rtekind != RTE_RESULT;
	}
	if (relations > 1)
		return pstrdup("ORDER BY sorts the result of a join: order and limit "
					   "this table in a subquery");
	return NULL;
}

/* The WHERE clause as a list, to be held against an index's predicate. */
static bool
ExplainImplied(const ExplainIndex *x)
{
	List *predicate = copyObject(RelationGetIndexPredicate(x->index));
	Node *quals = copyObject(x->level->query->jointree->quals);
	List *clauses;

	if (predicate == NIL)
		return true;
	ChangeVarNodes((Node *) predicate, 1, x->rti, 0);
	quals = eval_const_expressions(NULL, quals);
	clauses =
		make_ands_implicit((Expr *) canonicalize_qual((Expr *) quals, false));
	return predicate_implied_by(predicate, clauses, false);
}

/* Why the index cannot be used, whatever it costs. */
static char *
ExplainImpossible(const ExplainIndex *x)
{
	Query *q = x->level->query;
	char *reason;

	if (q->sortClause == NIL)
	{
		if (x->level->parent && x->level->parent->sortClause)
			return pstrdup("ORDER BY is outside of the subquery that reads "
						   "the table: move ORDER BY and LIMIT into it");
		return pstrdup("no ORDER BY");
	}
	if (q->groupClause || q->groupingSets || q->hasAggs)
		return pstrdup("ORDER BY comes after GROUP BY or an aggregate: order "
					   "and limit in a subquery");
	reason = ExplainSortKey(x, linitial(q->sortClause));
	if (reason == NULL)
		reason = ExplainShape(x);
	if (reason == NULL && !ExplainImplied(x))
	{
		Node *predicate =
			(Node *) make_ands_explicit(RelationGetIndexPredicate(x->index));

		reason =
			psprintf("partial index: WHERE does not imply %s",
					 deparse_expression(predicate,
										deparse_context_for(
											get_rel_name(x->heapid), x->heapid),
										false, false));
	}
	if (reason == NULL)
		reason = pstrdup("the planner knows no way to use it for this query");
	return reason;
}

/* The reason, and whether the index is used. */
static char *
ExplainReason(const ExplainIndex *x, const ExplainPlans *plans, bool *used)
{
	Oid indexoid = RelationGetRelid(x->index);
	double without;
	double with;

	*used = ExplainUses(plans->plain, indexoid);
	if (*used)
		return pstrdup("gives the rows in the order of ORDER BY");
	if (!x->index->rd_index->indisvalid || !x->index->rd_index->indisready)
		return pstrdup("index is not valid: REINDEX it");
	if (!ExplainUses(plans->forced, indexoid))
		return ExplainImpossible(x);
	if (!enable_indexscan)
		return pstrdup("enable_indexscan is off");
	/* Nodes that were disabled count for a round number each. */
	without = fmod(plans->plain->planTree->total_cost, EXPLAIN_DISABLE_COST);
	with = fmod(plans->forced->planTree->total_cost, EXPLAIN_DISABLE_COST);
	if (x->level->query->limitCount == NULL)
		return psprintf("no LIMIT: a plan without the index is cheaper for "
						"all rows (cost %.2f, with it %.2f)",
						without, with);
	return psprintf("a plan without the index is cheaper (cost %.2f, with it "
					"%.2f)",
					without, with);
}

/* ------------------------------------------------------------------ the call */

/* Adds a row for each hnsw index of a table. */
static void
ExplainTable(const ExplainLevel *level, Index rti, Oid relid, Oid heapid,
			 const ExplainPlans *plans, ReturnSetInfo *rsinfo)
{
	Relation heap = table_open(heapid, AccessShareLock);
	ListCell *lc;

	foreach (lc, RelationGetIndexList(heap))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_rel->relkind == RELKIND_INDEX &&
			index->rd_indam->ambuild == vr_hnsw_build)
		{
			ExplainIndex x = {level, rti, relid, heapid, index};
			Datum values[4];
			bool nulls[4] = {false};
			bool used;

			x.attno = index->rd_index->indkey.values[0];
			x.family = index->rd_opfamily[0];
			if (x.attno == 0)
			{
				x.expr =
					copyObject(linitial(RelationGetIndexExpressions(index)));
				ChangeVarNodes(x.expr, 1, rti, 0);
			}
			values[3] = CStringGetTextDatum(ExplainReason(&x, plans, &used));
			values[0] = ObjectIdGetDatum(heapid);
			values[1] = ObjectIdGetDatum(RelationGetRelid(index));
			values[2] = BoolGetDatum(used);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
								 nulls);
		}
		index_close(index, AccessShareLock);
	}
	table_close(heap, AccessShareLock);
}

PG_FUNCTION_INFO_V1(vr_hnsw_explain_index);

/* explain_index(query text) */
Datum
vr_hnsw_explain_index(PG_FUNCTION_ARGS)
{
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Query *query = ExplainAnalyze(sql);
	ExplainLevels levels = {NIL, NULL};
	ExplainPlans plans;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	plans.plain = ExplainPlan(query, sql, false);
	/* As EXPLAIN does: whoever may not read the tables gets no plan. */
	VrCheckPermissions(plans.plain);
	plans.forced = ExplainPlan(query, sql, true);
	(void) ExplainCollect((Node *) query, &levels);
	foreach (lc, levels.levels)
	{
		ExplainLevel *level = lfirst(lc);
		Index rti;

		for (rti = 1; rti <= list_length(level->query->rtable); rti++)
		{
			RangeTblEntry *rte = rt_fetch(rti, level->query->rtable);
			List *tables;
			ListCell *tc;

			if (rte->rtekind != RTE_RELATION ||
				!(rte->relkind == RELKIND_RELATION ||
				  rte->relkind == RELKIND_MATVIEW ||
				  rte->relkind == RELKIND_PARTITIONED_TABLE))
				continue;
			tables = rte->inh ? find_all_inheritors(rte->relid, AccessShareLock,
													NULL)
							  : list_make1_oid(rte->relid);
			foreach (tc, tables)
				ExplainTable(level, rti, rte->relid, lfirst_oid(tc), &plans,
							 rsinfo);
		}
	}
	return (Datum) 0;
}
