/*
 * knn_filter.c
 *		Is a filter one SQL expression and nothing else?
 *
 * It is put in parentheses into a query that the caller could have written, so
 * nothing in it can do what the caller could not. The check is for what would
 * be taken for something else: a second statement, a clause after a condition,
 * a list. The parser itself decides, on the text as it stands: what it takes
 * for one expression alone has its parentheses, quotes and comments closed.
 */
#include "postgres.h"

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"

#include "knn/knn_private.h"

static const char filter_before[] = "SELECT ";

/* Positions of a syntax error count from the start of the filter. */
static void
FilterErrorContext(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(Max(position - (int) strlen(filter_before), 1));
		internalerrquery((const char *) arg);
	}
	errcontext("filter of a batch search");
}

static bool
FilterIsExpression(List *parsed)
{
	SelectStmt *select;
	ResTarget *target;

	if (list_length(parsed) != 1)
		return false;
	select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (!IsA(select, SelectStmt) || select->op != SETOP_NONE ||
		list_length(select->targetList) != 1 || select->distinctClause != NIL ||
		select->intoClause != NULL || select->fromClause != NIL ||
		select->whereClause != NULL || select->groupClause != NIL ||
		select->havingClause != NULL || select->windowClause != NIL ||
		select->valuesLists != NIL || select->sortClause != NIL ||
		select->limitOffset != NULL || select->limitCount != NULL ||
		select->lockingClause != NIL || select->withClause != NULL)
		return false;
	target = linitial_node(ResTarget, select->targetList);
	return target->name == NULL && target->indirection == NIL &&
		   target->val != NULL;
}

void
VrKnnCheckFilter(const char *filter)
{
	ErrorContextCallback context;
	char *query = psprintf("%s%s\n", filter_before, filter);
	List *parsed;

	context.callback = FilterErrorContext;
	context.arg = unconstify(char *, filter);
	context.previous = error_context_stack;
	error_context_stack = &context;
	parsed = raw_parser(query, RAW_PARSE_DEFAULT);
	error_context_stack = context.previous;
	if (!FilterIsExpression(parsed))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("the filter must be one SQL condition"),
						errdetail("It is: %s", filter),
						errhint("Write what could stand after WHERE, without "
								"WHERE, and without a semicolon.")));
	pfree(query);
}
