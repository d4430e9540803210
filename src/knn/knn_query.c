/*
 * knn_query.c
 *		Vectors out of a query that the caller wrote, for training. It runs with
 *		the caller's rights, and must be one SELECT of one column of vectors.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/vr_compat.h"
#include "distance/distance.h"
#include "knn/knn_private.h"
#include "quant/quant.h"

typedef struct QueryReceiver
{
	DestReceiver dest; /* first */
	VrKnnBlock *block;
	Oid vector_type;
	int room;     /* vectors that block->x has room for */
	int64 budget; /* bytes */
	MemoryContext context;
	MemoryContext row;
} QueryReceiver;

static void
QueryStartup(DestReceiver *self, int operation, TupleDesc desc)
{
	QueryReceiver *receiver = (QueryReceiver *) self;

	if (desc->natts != 1 ||
		getBaseType(TupleDescAttr(desc, 0)->atttypid) != receiver->vector_type)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("the query must return one column of type vector"),
			 desc->natts == 1
				 ? errdetail("It returns type %s.",
							 format_type_be(TupleDescAttr(desc, 0)->atttypid))
				 : errdetail("It returns %d columns.", desc->natts)));
}

static void
QueryShutdown(DestReceiver *self)
{
}

/* Doubles the room, within the budget. */
static void
QueryGrow(QueryReceiver *receiver, int dim)
{
	VrKnnBlock *block = receiver->block;
	int64 most = receiver->budget / (dim * (int64) sizeof(float));
	int64 room = Min(Max((int64) receiver->room * 2, 64), most);
	Size bytes;

	if (room <= block->count)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("maintenance_work_mem of %d kB is too small for the "
						"rows of the query",
						maintenance_work_mem),
				 errdetail("It has room for " INT64_FORMAT
						   " vectors of %d dimensions.",
						   most, dim),
				 errhint("Let the query return a sample, with TABLESAMPLE or "
						 "LIMIT.")));
	bytes = mul_size(room, dim * sizeof(float));
	block->x = block->x == NULL
				   ? MemoryContextAllocHuge(receiver->context, bytes)
				   : repalloc_huge(block->x, bytes);
	receiver->room = room;
}

static bool
QueryReceive(TupleTableSlot *slot, DestReceiver *self)
{
	QueryReceiver *receiver = (QueryReceiver *) self;
	VrKnnBlock *block = receiver->block;
	MemoryContext old;
	bool isnull;
	Datum value = slot_getattr(slot, 1, &isnull);
	VrVector *v;

	if (isnull)
		return true;
	old = MemoryContextSwitchTo(receiver->row);
	v = DatumGetVrVector(value);
	if (block->count == 0)
		block->dim = v->dim;
	else if (v->dim != block->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("vectors of the query must have the same number of "
						"dimensions"),
				 errdetail("Row 1 has %d, row %d has %d.", block->dim,
						   block->count + 1, v->dim)));
	if (block->count == receiver->room)
		QueryGrow(receiver, v->dim);
	memcpy(block->x + (Size) block->count * v->dim, v->x,
		   v->dim * sizeof(float));
	block->count++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row);
	return true;
}

/* SPI itself refuses what writes; more than one statement is refused here. */
static void
QueryCheck(const char *query)
{
	List *parsed = raw_parser(query, RAW_PARSE_DEFAULT);

	if (list_length(parsed) != 1 ||
		!IsA(linitial_node(RawStmt, parsed)->stmt, SelectStmt) ||
		((SelectStmt *) linitial_node(RawStmt, parsed)->stmt)->intoClause !=
			NULL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("the query must be one SELECT"),
						errdetail("It is: %s", query)));
}

static void
QueryErrorContext(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

void
VrKnnBlockFromQuery(const char *query, Oid vector_type, VrKnnBlock *block)
{
	ErrorContextCallback context;
	SPIExecuteOptions options;
	QueryReceiver receiver;

	memset(block, 0, sizeof(*block));
	context.callback = QueryErrorContext;
	context.arg = unconstify(char *, query);
	context.previous = error_context_stack;
	error_context_stack = &context;
	QueryCheck(query);
	error_context_stack = context.previous;

	memset(&receiver, 0, sizeof(receiver));
	receiver.dest.receiveSlot = QueryReceive;
	receiver.dest.rStartup = QueryStartup;
	receiver.dest.rShutdown = QueryShutdown;
	receiver.dest.rDestroy = QueryShutdown;
	receiver.dest.mydest = DestNone;
	receiver.block = block;
	receiver.vector_type = vector_type;
	receiver.budget = (int64) maintenance_work_mem * 1024;
	receiver.context = CurrentMemoryContext;
	receiver.row = AllocSetContextCreate(CurrentMemoryContext, "vecrecall row",
										 ALLOCSET_SMALL_SIZES);
	memset(&options, 0, sizeof(options));
	options.read_only = true;
	options.dest = &receiver.dest;
	SPI_connect();
	if (SPI_execute_extended(query, &options) < 0)
		elog(ERROR, "could not run: %s", query);
	SPI_finish();
	MemoryContextDelete(receiver.row);
	if (block->count == 0)
		ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
						errmsg("the query returns no vector")));
}

/* k-means over a part of each row of a block, with memory of its own. */
double
VrKnnKmeans(const VrKnnBlock *block, int start, int dim, int k, int iterations,
			uint64 seed, float *centroids, int64 *sizes)
{
	VrKmeans km = {0};
	double mse;

	km.rows = block->count;
	km.dim = dim;
	km.stride = block->dim;
	km.k = k;
	km.iterations = iterations;
	km.seed = seed;
	km.x = block->x + start;
	km.products = VrKnnProducts;
	km.centroids = centroids;
	km.sizes = sizes;
	km.assigned = MemoryContextAllocHuge(CurrentMemoryContext,
										 mul_size(block->count, sizeof(int32)));
	km.distance = MemoryContextAllocHuge(CurrentMemoryContext,
										 mul_size(block->count, sizeof(float)));
	km.work =
		MemoryContextAllocHuge(CurrentMemoryContext, VrKmeansWorkSize(dim, k));
	mse = VrKmeansRun(&km);
	pfree(km.work);
	pfree(km.distance);
	pfree(km.assigned);
	return mse;
}
