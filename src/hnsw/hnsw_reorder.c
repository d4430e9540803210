/*
 * hnsw_reorder.c
 *		A scan's rows in the operator's exact order, where the executor would
 *		lose their ctid by doing it (base/vr_server.c).
 *
 * Does what the executor does for xs_recheckorderby: a row that comes with a
 * lower bound of its distance is read from the heap, its distance computed
 * with the operator's function, and the row held back until no later one can
 * be nearer. The executor then reads the row once more.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "lib/pairingheap.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_private.h"

typedef struct ReorderRow
{
	pairingheap_node node;
	double distance;
	uint64 number; /* equals keep the order they came in */
	ItemPointerData tid;
} ReorderRow;

struct VrHnswReorder
{
	IndexInfo *info;
	EState *estate;
	TupleTableSlot *slot;
	MemoryContext rows_cxt;
	pairingheap *rows;
	uint64 pushed;
};

/* The heap's first is the nearest. */
static int
ReorderCompare(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const ReorderRow *x = pairingheap_const_container(ReorderRow, node, a);
	const ReorderRow *y = pairingheap_const_container(ReorderRow, node, b);
	int cmp = float8_cmp_internal(y->distance, x->distance);

	if (cmp == 0)
		cmp = y->number < x->number ? -1 : y->number > x->number;
	return cmp;
}

/* Belongs to cxt; the executor's parts are given back by VrHnswReorderEnd. */
VrHnswReorder *
VrHnswReorderBegin(IndexScanDesc scan, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	VrHnswReorder *r = palloc0(sizeof(VrHnswReorder));

	r->info = BuildIndexInfo(scan->indexRelation);
	r->estate = CreateExecutorState();
	r->slot = table_slot_create(scan->heapRelation, NULL);
	r->rows_cxt = AllocSetContextCreate(cxt, "vecrecall hnsw reorder",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(old);
	VrHnswReorderReset(r);
	return r;
}

void
VrHnswReorderReset(VrHnswReorder *r)
{
	MemoryContext old;

	MemoryContextReset(r->rows_cxt);
	old = MemoryContextSwitchTo(r->rows_cxt);
	r->rows = pairingheap_allocate(ReorderCompare, NULL);
	MemoryContextSwitchTo(old);
}

void
VrHnswReorderEnd(VrHnswReorder *r)
{
	ExecDropSingleTupleTableSlot(r->slot);
	FreeExecutorState(r->estate);
}

/* Takes in a row of the index, unless the scan's snapshot does not see it. */
void
VrHnswReorderPush(VrHnswReorder *r, IndexScanDesc scan, ItemPointer tid)
{
	ScanKey order = &scan->orderByData[0];
	ExprContext *econtext = GetPerTupleExprContext(r->estate);
	ItemPointerData found = *tid;
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];
	bool again = false;
	double distance = get_float8_infinity();
	MemoryContext old;
	ReorderRow *row;

	if (!table_index_fetch_tuple(scan->xs_heapfetch, &found, scan->xs_snapshot,
								 r->slot, &again, NULL))
		return;
	ResetExprContext(econtext);
	econtext->ecxt_scantuple = r->slot;
	old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	FormIndexDatum(r->info, r->slot, r->estate, values, isnull);
	if (!isnull[0])
		distance = DatumGetFloat8(
			FunctionCall2Coll(&order->sk_func, order->sk_collation, values[0],
							  order->sk_argument));
	MemoryContextSwitchTo(r->rows_cxt);
	row = palloc(sizeof(ReorderRow));
	MemoryContextSwitchTo(old);
	ExecClearTuple(r->slot);
	row->distance = distance;
	row->number = r->pushed++;
	row->tid = *tid;
	pairingheap_add(r->rows, &row->node);
}

/*
 * The nearest row held, if none that comes later can be nearer than it: low is
 * the lower bound of those. Returns false if there is none.
 */
bool
VrHnswReorderPop(VrHnswReorder *r, double low, ItemPointer tid)
{
	ReorderRow *row;

	if (pairingheap_is_empty(r->rows))
		return false;
	row = pairingheap_container(ReorderRow, node, pairingheap_first(r->rows));
	if (float8_cmp_internal(row->distance, low) > 0)
		return false;
	pairingheap_remove_first(r->rows);
	*tid = row->tid;
	pfree(row);
	return true;
}
