/*
 * vr_server.c
 *		What differs between minor releases of a server, found out by trying.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"

#include "base/vr_server.h"

/*
 * The executor stores a copy of such a row in a slot that is made for rows on
 * a page. 17.11 and 18.6 leave the slot's tid invalid; 15.20 and 17.12
 * were seen to set it. Tried once per process.
 */
bool
vr_server_reorder_keeps_ctid(void)
{
	static int keeps = -1;

	if (keeps < 0)
	{
		TupleDesc desc = CreateTemplateTupleDesc(1);
		TupleTableSlot *slot;
		HeapTuple tuple;
		Datum value = Int32GetDatum(0);
		bool isnull = false;

		TupleDescInitEntry(desc, 1, "x", INT4OID, -1, 0);
		slot = MakeSingleTupleTableSlot(desc, &TTSOpsBufferHeapTuple);
		tuple = heap_form_tuple(desc, &value, &isnull);
		ItemPointerSet(&tuple->t_self, 0, 1);
		ExecForceStoreHeapTuple(tuple, slot, true);
		keeps = ItemPointerIsValid(&slot->tts_tid);
		ExecDropSingleTupleTableSlot(slot);
		FreeTupleDesc(desc);
	}
	return keeps != 0;
}
