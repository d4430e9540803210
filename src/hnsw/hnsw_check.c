/*
 * hnsw_check.c
 *		vecrecall.check_index(): every invariant of an index, tested; a row for
 *		each fault, none if it is sound.
 *
 * The table is locked against writers (ShareLock), as bt_index_parent_check
 * does it: edges, chains and codes tie pages together, and only a graph that
 * stands still can be judged. On a standby, where such a lock cannot be had,
 * replay should be paused. Damage gives rows, not errors, wherever the server
 * can still read the page; pages are checked in hnsw_verify.c.
 */
#include "postgres.h"

#include <float.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "hnsw/hnsw_check.h"

/* Rows that a damaged index may give. */
#define CHECK_MAX_FAULTS 1000

/* Adds a row. item is a slot or chunk of the block, or VR_CHECK_NO_ITEM. */
void
VrHnswCheckFault(VrHnswCheck *c, BlockNumber block, int item,
				 const char *format, ...)
{
	Datum values[3];
	bool nulls[3] = {block == InvalidBlockNumber, item < 0, false};
	char text[512];
	va_list args;

	if (++c->nfaults > CHECK_MAX_FAULTS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	values[0] = Int64GetDatum((int64) block);
	values[1] = Int32GetDatum(item);
	values[2] = CStringGetTextDatum(text);
	tuplestore_putvalues(c->rows, c->desc, values, nulls);
	pfree(DatumGetPointer(values[2]));
}

/* ---------------------------------------------------------------- metapage */

/*
 * Whether a layout is what this library would make of the metapage's own
 * fields. Options may have been altered since the build, so those of the
 * relation say nothing.
 */
static bool
CheckLayout(VrHnswCheck *c, const VrHnswMetaPageData *meta)
{
	int nattrs = IndexRelationGetNumberOfKeyAttributes(c->index) - 1;
	VrHnswMetaPageData want = *meta;
	VrHnswOptions opts;

	if (meta->form == VR_FORM_QUANTISED &&
		(meta->layout.own_kind <= VR_OWN_AUTO ||
		 meta->layout.own_kind >= VR_OWN_NKINDS || meta->layout.code_bits < 1 ||
		 meta->layout.code_bits > VR_CODE_BITS_MAX))
		return false;
	memset(&opts, 0, sizeof(opts));
	opts.storage = meta->form == VR_FORM_QUANTISED ? VR_STORAGE_QUANTISED
												   : VR_STORAGE_PLAIN;
	opts.precision = meta->layout.own_kind;
	opts.code_bits = meta->layout.code_bits;
	return VrHnswPlanLayout(&want, nattrs, &opts, meta->layout.own_bytes) &&
		   memcmp(&want.layout, &meta->layout, sizeof(VrHnswLayout)) == 0;
}

/* The metapage's fields. Returns whether the rest can be made sense of. */
static bool
CheckMeta(VrHnswCheck *c)
{
	const VrHnswMetaPageData *meta = &c->meta;
	int32 dim = TupleDescAttr(RelationGetDescr(c->index), 0)->atttypmod;
	int64 before = c->nfaults;
	VrHnswType type;
	VrHnswMetric metric;

#define META_FAULT(...)                                                        \
	VrHnswCheckFault(c, VR_HNSW_META_BLOCK, VR_CHECK_NO_ITEM, __VA_ARGS__)

	if (meta->magic == VR_HNSW_PGVECTOR_MAGIC)
		META_FAULT("index was built by pgvector: REINDEX it");
	else if (meta->magic != VR_HNSW_MAGIC)
		META_FAULT("magic is %08X, not %08X", meta->magic, VR_HNSW_MAGIC);
	else if (meta->version != VR_HNSW_VERSION)
		META_FAULT("format version is %u, this library reads %u", meta->version,
				   VR_HNSW_VERSION);
	if (c->nfaults > before)
		return false;
	VrHnswClassOf(c->index, &type, &metric);
	if (meta->type != type)
		META_FAULT("type is %u, operator class says %u", meta->type, type);
	if (meta->metric != metric)
		META_FAULT("metric is %u, operator class says %u", meta->metric,
				   metric);
	if (meta->dim != dim)
		META_FAULT("dimensions are %u, column says %d", meta->dim, dim);
	if (meta->form != VR_FORM_PLAIN && meta->form != VR_FORM_QUANTISED)
		META_FAULT("storage form %u is unknown", meta->form);
	if (meta->m < VR_HNSW_MIN_M || meta->m > VR_HNSW_MAX_M)
		META_FAULT("m is %u", meta->m);
	if (meta->ef_construction < VR_HNSW_MIN_EFC ||
		meta->ef_construction > VR_HNSW_MAX_EFC ||
		meta->ef_construction < 2 * meta->m)
		META_FAULT("ef_construction is %u with m %u", meta->ef_construction,
				   meta->m);
	if (!(meta->scale > 0 && meta->scale <= FLT_MAX))
		META_FAULT("scale is %g", meta->scale);
	if (meta->build_id == 0)
		META_FAULT("build id is 0");
	if (c->nfaults == before && !CheckLayout(c, meta))
		META_FAULT("record layout is not what the other fields give");
	if (c->nfaults > before)
		return false;
	/* Faults from here on leave the pages readable. */
	if ((meta->entry == VR_HNSW_NO_VERTEX) != (meta->entry_level == -1))
		META_FAULT("entry is %u with level %d", meta->entry, meta->entry_level);
	if (meta->form == VR_FORM_PLAIN && meta->mean_block != VR_HNSW_NO_BLOCK)
		META_FAULT("a plain index has a mean");
	if (meta->upper_blocks >= c->nblocks)
		META_FAULT("%u blocks of upper levels in an index of %u",
				   meta->upper_blocks, c->nblocks);
	return true;
#undef META_FAULT
}

/* Reads the metapage's block as it is. */
static bool
CheckReadMeta(VrHnswCheck *c)
{
	Buffer buf;

	if (c->nblocks == 0)
	{
		VrHnswCheckFault(c, 0, VR_CHECK_NO_ITEM, "metapage is missing");
		return false;
	}
	if (!VrHnswCheckReadable(c, VR_HNSW_META_BLOCK, 1, true))
		return false;
	buf = VrHnswReadAny(c->index, VR_HNSW_META_BLOCK, BUFFER_LOCK_SHARE, NULL);
	memcpy(&c->meta, VrHnswPageMeta(BufferGetPage(buf)), sizeof(c->meta));
	UnlockReleaseBuffer(buf);
	return CheckMeta(c);
}

/* -------------------------------------------------------------- heap TIDs */

/* One side of the comparison of TIDs. */
typedef struct CheckTids
{
	Tuplesortstate *sort;
	int64 key;
	bool done;
} CheckTids;

static void
CheckNextTid(CheckTids *t)
{
	Datum value;
	bool isnull;

	if (VrTuplesortGetDatum(t->sort, &value, &isnull))
		t->key = DatumGetInt64(value);
	else
		t->done = true;
}

static Tuplesortstate *
CheckBeginTids(int memory)
{
	return tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
								 memory, NULL, 0);
}

static inline BlockNumber
CheckTidBlock(int64 key)
{
	return (BlockNumber) (key >> 16);
}

/*
 * Each TID once, and, if heap is not NULL, none of its TIDs missing. Consumes
 * both.
 */
static void
CheckCompareTids(VrHnswCheck *c, Tuplesortstate *heap)
{
	CheckTids in = {c->tids};
	CheckTids want = {heap};
	int64 last = -1;
	uint64 n = 0;

	tuplesort_performsort(c->tids);
	CheckNextTid(&in);
	if (heap)
	{
		tuplesort_performsort(heap);
		CheckNextTid(&want);
	}
	else
		want.done = true;
	while (!in.done || !want.done)
	{
		if ((n++ & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (want.done || (!in.done && in.key < want.key))
		{
			if (in.key == last)
				VrHnswCheckFault(c, InvalidBlockNumber, VR_CHECK_NO_ITEM,
								 "heap TID (%u,%u) is in the index twice",
								 CheckTidBlock(in.key),
								 (unsigned) (in.key & 0xFFFF));
			last = in.key;
			CheckNextTid(&in);
		}
		else if (!in.done && in.key == want.key)
			CheckNextTid(&want);
		else
		{
			VrHnswCheckFault(c, InvalidBlockNumber, VR_CHECK_NO_ITEM,
							 "heap TID (%u,%u) is visible and not in the "
							 "index",
							 CheckTidBlock(want.key),
							 (unsigned) (want.key & 0xFFFF));
			CheckNextTid(&want);
		}
	}
}

typedef struct CheckHeapScan
{
	Tuplesortstate *tids;
	FmgrInfo *norm; /* cosine: NULL otherwise */
	Oid collation;
} CheckHeapScan;

static void
CheckHeapRow(Relation index, ItemPointer tid, Datum *values, bool *isnull,
			 bool alive, void *arg)
{
	CheckHeapScan *scan = arg;

	if (isnull[0])
		return;
	if (scan->norm && DatumGetFloat8(FunctionCall1Coll(
						  scan->norm, scan->collation, values[0])) == 0)
		return;
	tuplesort_putdatum(scan->tids, Int64GetDatum(VrCheckTidKey(tid)), false);
}

/* TIDs of the rows that a new snapshot sees and the index must have. */
static Tuplesortstate *
CheckScanHeap(VrHnswCheck *c, Relation heap)
{
	IndexInfo *info = BuildIndexInfo(c->index);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	CheckHeapScan scan = {CheckBeginTids(maintenance_work_mem / 2)};
	TableScanDesc tscan;

	if (OidIsValid(index_getprocid(c->index, 1, VR_HNSW_NORM_PROC)))
		scan.norm = index_getprocinfo(c->index, 1, VR_HNSW_NORM_PROC);
	scan.collation = c->index->rd_indcollation[0];
	/* Concurrent is what makes the scan heed the snapshot. */
	info->ii_Concurrent = true;
	tscan = table_beginscan_strat(heap, snapshot, 0, NULL, true, true);
	table_index_build_scan(heap, c->index, info, true, false, CheckHeapRow,
						   &scan, tscan);
	UnregisterSnapshot(snapshot);
	return scan.tids;
}

/* ----------------------------------------------------------------- the call */

/* Everything, with the relations open and locked. */
static void
CheckIndex(VrHnswCheck *c, Relation heap, bool heapallindexed)
{
	Tuplesortstate *heap_tids = NULL;

	c->nblocks = RelationGetNumberOfBlocks(c->index);
	c->heap_blocks = RelationGetNumberOfBlocks(heap);
	if (!CheckReadMeta(c))
		return;
	c->tids = CheckBeginTids(maintenance_work_mem / 2);
	VrHnswVerify(c);
	if (heapallindexed)
		heap_tids = CheckScanHeap(c, heap);
	CheckCompareTids(c, heap_tids);
	tuplesort_end(c->tids);
	if (heap_tids)
		tuplesort_end(heap_tids);
}

/* Errors unless the index can be checked by this user. */
static void
CheckIsCheckable(Relation index, Relation heap, bool heapallindexed)
{
	if (!VrOwnsRelation(RelationGetRelid(heap), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
					   RelationGetRelationName(heap));
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot check temporary indexes of other sessions")));
	if (RecoveryInProgress() && !RelationIsPermanent(index))
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot check unlogged index \"%s\" during "
							   "recovery",
							   RelationGetRelationName(index))));
	if (heapallindexed && !index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid",
						RelationGetRelationName(index)),
				 errdetail("It was left by a build that failed and need not "
						   "have all rows."),
				 errhint("Please REINDEX it.")));
}

/*
 * Opens an hnsw index, or errors. For the functions that take one; the caller
 * holds no lock on it yet.
 */
Relation
VrHnswOpenIndex(Oid indexoid, LOCKMODE lockmode)
{
	Relation index = relation_open(indexoid, lockmode);

	if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partitioned index",
						RelationGetRelationName(index)),
				 errhint("Name the index of a partition; pg_partition_tree() "
						 "lists them.")));
	if (index->rd_rel->relkind != RELKIND_INDEX ||
		index->rd_indam->amgettuple != vr_hnsw_gettuple)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not an hnsw index",
							   RelationGetRelationName(index))));
	return index;
}

PG_FUNCTION_INFO_V1(vr_hnsw_check_index);

/* check_index(index regclass, heapallindexed bool) */
Datum
vr_hnsw_check_index(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LOCKMODE heap_lock = RecoveryInProgress() ? AccessShareLock : ShareLock;
	bool heapallindexed;
	Relation index;
	Relation heap = NULL;
	VrHnswCheck *c;
	MemoryContext cxt;
	MemoryContext old;
	Oid indexoid;
	Oid heapoid;
	Oid user;
	int sec;
	int guc;

	/* No row means sound, so NULL must not give none. */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("arguments of check_index must not be null")));
	indexoid = PG_GETARG_OID(0);
	heapallindexed = PG_GETARG_BOOL(1);
	InitMaterializedSRF(fcinfo, 0);

	/* Table first, as everybody locks. What is no index fails below. */
	heapoid = IndexGetRelation(indexoid, true);
	if (OidIsValid(heapoid))
	{
		/* Before the lock, so that it cannot be used to block others. */
		if (!VrOwnsRelation(heapoid, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
						   get_rel_name(heapoid));
		heap = table_open(heapoid, heap_lock);
	}
	index = VrHnswOpenIndex(indexoid, AccessShareLock);
	if (heap == NULL || heapoid != IndexGetRelation(indexoid, false))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("could not open the table of index \"%s\"",
							   RelationGetRelationName(index))));
	CheckIsCheckable(index, heap, heapallindexed);

	/* Expressions and predicates are code of the owner's. */
	GetUserIdAndSecContext(&user, &sec);
	SetUserIdAndSecContext(heap->rd_rel->relowner,
						   sec | SECURITY_RESTRICTED_OPERATION);
	guc = NewGUCNestLevel();
	RestrictSearchPath();

	cxt = AllocSetContextCreate(CurrentMemoryContext, "vecrecall hnsw check",
								ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	c = palloc0(sizeof(VrHnswCheck));
	c->index = index;
	c->rows = rsinfo->setResult;
	c->desc = rsinfo->setDesc;
	CheckIndex(c, heap, heapallindexed);
	if (c->nfaults > CHECK_MAX_FAULTS)
	{
		int64 more = c->nfaults - CHECK_MAX_FAULTS;

		c->nfaults = 0;
		VrHnswCheckFault(c, InvalidBlockNumber, VR_CHECK_NO_ITEM,
						 INT64_FORMAT " more faults", more);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);

	AtEOXact_GUC(false, guc);
	SetUserIdAndSecContext(user, sec);
	index_close(index, AccessShareLock);
	table_close(heap, heap_lock);
	return (Datum) 0;
}
