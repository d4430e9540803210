/*
 * knn_source.c
 *		Where a search's rows come from: checks of table, column, key and
 *		filter, and the two ways to scan. A plain table is read directly; one
 *		with a filter, row-level security or children goes through the executor,
 *		which applies all of them with the caller's rights.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/vr_compat.h"
#include "distance/distance.h"
#include "knn/knn_private.h"

/* Rows between two looks at the clock. */
#define SOURCE_PROGRESS_ROWS 8192

struct VrKnnKeyType
{
	Oid collation;
	int16 len;
	bool byval;
	FmgrInfo *compare; /* the type's btree order */
};

/* ------------------------------------------------------------------- keys */

int
VrKnnKeyCompare(const VrKnnKeyType *keytype, Datum a, Datum b)
{
	return DatumGetInt32(
		FunctionCall2Coll(keytype->compare, keytype->collation, a, b));
}

Datum
VrKnnKeyCopy(const VrKnnKeyType *keytype, Datum key)
{
	return datumCopy(key, keytype->byval, keytype->len);
}

void
VrKnnKeyFree(const VrKnnKeyType *keytype, Datum key)
{
	if (!keytype->byval)
		pfree(DatumGetPointer(key));
}

static bool
SourceKeyIsInteger(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID ||
		   type == OIDOID || type == TIDOID;
}

/* An integer type's value, or a TID's block and offset, as an ordered int64. */
static int64
SourceKeyInteger(Oid type, Datum key)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(key);
		case INT4OID:
			return DatumGetInt32(key);
		case INT8OID:
			return DatumGetInt64(key);
		case OIDOID:
			return DatumGetObjectId(key);
		default:
		{
			ItemPointer tid = (ItemPointer) DatumGetPointer(key);

			return (int64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
				   ItemPointerGetOffsetNumberNoCheck(tid);
		}
	}
}

int
VrKnnKeyDigits(const VrKnnTable *table, int64 key, char *digits)
{
	Assert(table->keytype == NULL);
	if (table->key_type == TIDOID)
		return snprintf(digits, VR_KNN_KEY_DIGITS, "(%u,%u)",
						(uint32) (key >> 16), (uint32) (key & 0xFFFF));
	return pg_lltoa(key, digits);
}

text *
VrKnnKeyText(const VrKnnTable *table, int64 key)
{
	char digits[VR_KNN_KEY_DIGITS];
	Oid output;
	bool varlena;

	if (table->keytype == NULL)
		return cstring_to_text_with_len(digits,
										VrKnnKeyDigits(table, key, digits));
	getTypeOutputInfo(table->key_type, &output, &varlena);
	return cstring_to_text(OidOutputFunctionCall(output, (Datum) key));
}

static VrKnnKeyType *
SourceKeyType(Oid type, Oid collation, const char *name)
{
	TypeCacheEntry *cache = lookup_type_cache(type, TYPECACHE_CMP_PROC_FINFO);
	VrKnnKeyType *keytype = palloc(sizeof(VrKnnKeyType));

	if (!OidIsValid(cache->cmp_proc))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("column \"%s\" of type %s cannot be a key", name,
							   format_type_be(type)),
						errdetail("The type has no order.")));
	keytype->collation = collation;
	keytype->len = cache->typlen;
	keytype->byval = cache->typbyval;
	keytype->compare = &cache->cmp_proc_finfo;
	return keytype;
}

/* ----------------------------------------------------------------- checks */

/* Number of a column of the user's, or an error. */
static AttrNumber
SourceColumn(Relation rel, const char *name)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), name);

	if (attnum <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation \"%s\" does not "
							   "exist",
							   name, RelationGetRelationName(rel))));
	return attnum;
}

static void
SourceCheckKind(Relation rel)
{
	const char *kind;

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			return;
		case RELKIND_VIEW:
			kind = "a view";
			break;
		case RELKIND_FOREIGN_TABLE:
			kind = "a foreign table";
			break;
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			kind = "an index";
			break;
		default:
			kind = "no table";
	}
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot search \"%s\"", RelationGetRelationName(rel)),
			 errdetail("It is %s.", kind),
			 errhint("Tables, partitioned tables and materialized views can be "
					 "searched.")));
}

/* What the server's planner and executor refuse, in its words. */
static void
SourceCheckReadable(Relation rel)
{
	if (!RelationIsScannable(rel))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("materialized view \"%s\" has not been populated",
						RelationGetRelationName(rel)),
				 errhint("Use the REFRESH MATERIALIZED VIEW command.")));
	if (RecoveryInProgress() && !RelationIsPermanent(rel))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot access temporary or unlogged relations "
							   "during recovery")));
}

/*
 * As the executor does for SELECT of the two columns. What the filter reads
 * the executor checks itself.
 */
static void
SourceCheckRights(Relation rel, AttrNumber column, AttrNumber key)
{
	Oid relid = RelationGetRelid(rel);
	Oid user = GetUserId();

	if (pg_class_aclcheck(relid, user, ACL_SELECT) == ACLCHECK_OK)
		return;
	if (pg_attribute_aclcheck(relid, column, user, ACL_SELECT) == ACLCHECK_OK &&
		pg_attribute_aclcheck(relid, key, user, ACL_SELECT) == ACLCHECK_OK)
		return;
	aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(rel->rd_rel->relkind),
				   RelationGetRelationName(rel));
}

/* The only column of the primary key, or 0. */
static AttrNumber
SourcePrimaryKey(Relation rel)
{
	AttrNumber result = 0;

	list_free(RelationGetIndexList(rel));
	if (OidIsValid(rel->rd_pkindex))
	{
		HeapTuple tuple =
			SearchSysCache1(INDEXRELID, ObjectIdGetDatum(rel->rd_pkindex));

		if (HeapTupleIsValid(tuple))
		{
			Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

			if (index->indnkeyatts == 1)
				result = index->indkey.values[0];
			ReleaseSysCache(tuple);
		}
	}
	return result;
}

/* Type halfvec: it is where vector is. */
static Oid
SourceHalfvec(Oid vector_type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(vector_type));
	Oid schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", vector_type);
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum("halfvec"),
						   ObjectIdGetDatum(schema));
}

/* Finds the column of vectors, and checks its type and dimensions. */
static void
SourceFindColumn(VrKnnTable *table, Relation rel, const char *column,
				 Oid vector_type, int dim)
{
	Form_pg_attribute att;
	Oid half = SourceHalfvec(vector_type);

	table->column = SourceColumn(rel, column);
	att = TupleDescAttr(RelationGetDescr(rel), table->column - 1);
	table->column_type = getBaseType(att->atttypid);
	table->half = table->column_type == half;
	if (table->column_type != vector_type && !table->half)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" of relation \"%s\" is of type %s",
							   column, RelationGetRelationName(rel),
							   format_type_be(att->atttypid)),
						errdetail("Columns of type vector and halfvec can be "
								  "searched.")));
	if (dim > 0 && att->atttypmod > 0 && att->atttypmod != dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("queries have %d dimensions, column \"%s\" has %d", dim,
						column, (int) att->atttypmod)));
}

static void
SourceFindKey(VrKnnTable *table, Relation rel, const char *key)
{
	Form_pg_attribute att;

	table->key = key != NULL ? SourceColumn(rel, key) : SourcePrimaryKey(rel);
	if (table->key == 0)
	{
		/* With children, the same ctid may be in several. */
		if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
			rel->rd_rel->relhassubclass)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the key must be named for \"%s\"",
							RelationGetRelationName(rel)),
					 errdetail("It has partitions or children, and no primary "
							   "key of one column.")));
		table->key = SelfItemPointerAttributeNumber;
		table->key_type = TIDOID;
		return;
	}
	att = TupleDescAttr(RelationGetDescr(rel), table->key - 1);
	table->key_type = getBaseType(att->atttypid);
	if (!SourceKeyIsInteger(table->key_type) || table->key_type == TIDOID)
		table->keytype = SourceKeyType(table->key_type, att->attcollation,
									   NameStr(att->attname));
}

void
VrKnnTableOpen(VrKnnTable *table, Oid relid, const char *column,
			   const char *filter, const char *key, Oid vector_type, int dim)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	memset(table, 0, sizeof(*table));
	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	SourceCheckKind(rel);
	table->relid = relid;
	table->name = quote_qualified_identifier(
		get_namespace_name(RelationGetNamespace(rel)),
		RelationGetRelationName(rel));
	SourceFindColumn(table, rel, column, vector_type, dim);
	SourceFindKey(table, rel, key);
	SourceCheckRights(rel, table->column, table->key);
	SourceCheckReadable(rel);
	if (filter != NULL)
	{
		VrKnnCheckFilter(filter);
		table->filter = pstrdup(filter);
	}
	table->plain = filter == NULL && !rel->rd_rel->relhassubclass &&
				   rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
				   check_enable_rls(relid, InvalidOid, false) != RLS_ENABLED;
	relation_close(rel, NoLock);
}

/*
 * More rows than this a scan cannot find: a plain heap's pages are filled with
 * the shortest of rows. The greatest integer for others.
 */
int
VrKnnTableMostRows(const VrKnnTable *table)
{
	Relation rel = relation_open(table->relid, NoLock);
	int64 most = PG_INT32_MAX;

	if (table->plain && rel->rd_tableam == GetHeapamTableAmRoutine())
		most = Min(most, (int64) RelationGetNumberOfBlocks(rel) *
							 MaxHeapTuplesPerPage);
	relation_close(rel, NoLock);
	return (int) most;
}

void
VrKnnTableScanCodes(VrKnnTable *table, const char *code)
{
	Relation rel = relation_open(table->relid, NoLock);

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		rel->rd_rel->relhassubclass)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("cannot search \"%s\" by bits",
							   RelationGetRelationName(rel)),
						errdetail("It has partitions or children."),
						errhint("Search them one by one, or use "
								"vecrecall.knn_exact().")));
	if (code != NULL)
	{
		Oid type;

		table->column = SourceColumn(rel, code);
		type = getBaseType(
			TupleDescAttr(RelationGetDescr(rel), table->column - 1)->atttypid);
		if (type != BITOID && type != VARBITOID)
			ereport(
				ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of relation \"%s\" is of type %s", code,
						RelationGetRelationName(rel), format_type_be(type)),
				 errdetail("A column of codes is of type bit.")));
		SourceCheckRights(rel, table->column, table->column);
	}
	table->key = SelfItemPointerAttributeNumber;
	table->key_type = TIDOID;
	table->keytype = NULL;
	relation_close(rel, NoLock);
}

/* ----------------------------------------------------------------- reader */

void
VrKnnReaderInit(VrKnnReader *reader, const VrKnnTable *table, int dim,
				VrKnnRowCallback callback, void *arg)
{
	memset(reader, 0, sizeof(*reader));
	reader->table = table;
	reader->callback = callback;
	reader->arg = arg;
	reader->dim = dim;
	reader->scratch = palloc(VR_VECTOR_MAX_DIM * sizeof(float));
	reader->copy = palloc(VR_VECTOR_MAX_DIM * sizeof(float));
	reader->detoast = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall detoasted row", ALLOCSET_SMALL_SIZES);
}

void
VrKnnReaderEnd(VrKnnReader *reader)
{
	MemoryContextDelete(reader->detoast);
	pfree(reader->scratch);
	pfree(reader->copy);
}

static void
ReaderWrongDim(VrKnnReader *reader, int dim, int64 key)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("a row of %s has %d dimensions, %d are expected",
					reader->table->name, dim, reader->dim),
			 errdetail("Its key is %s.",
					   text_to_cstring(VrKnnKeyText(reader->table, key))),
			 errhint("Leave such rows out with a filter.")));
}

/* Offers the first two rows that are held. */
static void
ReaderOfferPair(VrKnnReader *reader)
{
	const int left = reader->held - 2;

	reader->pair(reader->arg, reader->held_x,
				 left >= 2 ? reader->held_x + 2 : NULL, reader->held_keys);
	memmove(reader->held_x, reader->held_x + 2, left * sizeof(float *));
	memmove(reader->held_keys, reader->held_keys + 2, left * sizeof(int64));
	reader->held = left;
	reader->offered += 2;
}

/* Offers the rows that are held. */
void
VrKnnReaderOffer(VrKnnReader *reader)
{
	while (reader->held >= 2)
		ReaderOfferPair(reader);
	if (reader->held > 0)
	{
		reader->callback(reader->arg, reader->dim, reader->held_x[0],
						 reader->held_keys[0]);
		reader->held = 0;
		reader->offered++;
	}
}

/*
 * Values lie in the page with a header of one byte if they are short, and then
 * at any address; kernels want aligned floats.
 */
void
VrKnnReaderValue(VrKnnReader *reader, struct varlena *v, int64 key)
{
	const char *data;
	const float *x;
	bool fetched = false;
	int16 dim;

	if (VARATT_IS_EXTERNAL(v) || VARATT_IS_COMPRESSED(v))
	{
		MemoryContext old = MemoryContextSwitchTo(reader->detoast);

		MemoryContextReset(reader->detoast);
		v = pg_detoast_datum_packed(v);
		MemoryContextSwitchTo(old);
		fetched = true;
	}
	data = VARDATA_ANY(v);
	memcpy(&dim, data, sizeof(dim));
	if (reader->dim == 0)
		reader->dim = dim; /* the first row decides */
	if (dim != reader->dim)
		ReaderWrongDim(reader, dim, key);
	data += offsetof(VrVector, x) - VARHDRSZ;
	if (reader->table->half)
	{
		if ((uintptr_t) data % sizeof(vr_half) != 0)
			data = memcpy(reader->copy, data, dim * sizeof(vr_half));
		VrDistance->f16_to_f32(dim, (const vr_half *) data, reader->scratch);
		x = reader->scratch;
	}
	else if ((uintptr_t) data % sizeof(float) != 0)
		x = memcpy(reader->scratch, data, dim * sizeof(float));
	else
		x = (const float *) data;
	if (reader->holding && !fetched && x == (const float *) data)
	{
		reader->held_x[reader->held] = x;
		reader->held_keys[reader->held++] = key;
		if (reader->held == VR_KNN_HELD)
			ReaderOfferPair(reader);
	}
	else
		reader->callback(reader->arg, dim, x, key);
	if (++reader->rows % SOURCE_PROGRESS_ROWS == 0)
		VrKnnProgressReport(reader->rows);
}

static void
ReaderNullKey(VrKnnReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("the key of a row of %s is null", reader->table->name),
			 errhint("Name a key that has none, or leave such rows out "
					 "with a filter.")));
}

void
VrKnnReaderRow(VrKnnReader *reader, Datum value, Datum key, bool isnull)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);
	int64 integer;

	if (isnull)
		ReaderNullKey(reader);
	integer = reader->table->keytype == NULL
				  ? SourceKeyInteger(reader->table->key_type, key)
				  : (int64) key;
	if (reader->raw != NULL)
	{
		reader->raw(reader->arg, value, integer);
		reader->rows++;
	}
	else if (reader->toast == NULL ||
			 !VrKnnToastDefer(reader->toast, v, integer))
		VrKnnReaderValue(reader, v, integer);
}

/* A slot of the table itself. */
void
VrKnnReaderSlot(VrKnnReader *reader, TupleTableSlot *slot)
{
	const VrKnnTable *table = reader->table;
	bool isnull;
	Datum value = slot_getattr(slot, table->column, &isnull);
	Datum key;

	if (isnull)
		return;
	if (table->key == SelfItemPointerAttributeNumber)
		key = PointerGetDatum(&slot->tts_tid);
	else
		key = slot_getattr(slot, table->key, &isnull);
	VrKnnReaderRow(reader, value, key, isnull);
}

/* ------------------------------------------------------------------ scans */

/*
 * A slot keeps its row's page pinned until it is filled again, so rows of as
 * many slots can be offered together.
 */
void
VrKnnReadScan(VrKnnReader *reader, Relation rel, TableScanDesc scan)
{
	TupleTableSlot *slots[VR_KNN_HELD];
	const int n = reader->pair != NULL ? VR_KNN_HELD : 1;
	bool more = true;
	int i;

	for (i = 0; i < n; i++)
		slots[i] = table_slot_create(rel, NULL);
	while (more)
	{
		reader->holding = reader->pair != NULL;
		for (i = 0; i < n && more; i++)
		{
			CHECK_FOR_INTERRUPTS();
			more = table_scan_getnextslot(scan, ForwardScanDirection, slots[i]);
			if (more)
				VrKnnReaderSlot(reader, slots[i]);
		}
		reader->holding = false;
		VrKnnReaderOffer(reader);
	}
	for (i = 0; i < n; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
}

static void
SourceScanPlain(VrKnnReader *reader)
{
	Relation rel = table_open(reader->table->relid, NoLock);

	reader->toast = VrKnnToastBegin(reader, rel, reader->budget);
	if (VrKnnHeapUsable(rel))
		VrKnnHeapRead(reader, rel, NULL);
	else
	{
		TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);

		VrKnnReadScan(reader, rel, scan);
		table_endscan(scan);
	}
	if (reader->toast != NULL)
		VrKnnToastEnd(reader->toast);
	reader->toast = NULL;
	table_close(rel, NoLock);
}

typedef struct SourceReceiver
{
	DestReceiver dest; /* first */
	VrKnnReader *reader;
} SourceReceiver;

/* A row of the query that SourceScanQuery builds: key, vector. */
static bool
SourceReceive(TupleTableSlot *slot, DestReceiver *self)
{
	VrKnnReader *reader = ((SourceReceiver *) self)->reader;
	bool isnull;
	Datum value = slot_getattr(slot, 2, &isnull);
	Datum key;

	if (isnull)
		return true;
	key = slot_getattr(slot, 1, &isnull);
	VrKnnReaderRow(reader, value, key, isnull);
	return true;
}

static void
SourceStartup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
SourceShutdown(DestReceiver *self)
{
}

static char *
SourceQuery(const VrKnnTable *table)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(
		&query, "SELECT %s, %s FROM %s",
		table->key == SelfItemPointerAttributeNumber
			? "ctid"
			: quote_identifier(get_attname(table->relid, table->key, false)),
		quote_identifier(get_attname(table->relid, table->column, false)),
		table->name);
	/* The line ends a comment that the filter may end with. */
	if (table->filter != NULL)
		appendStringInfo(&query, " WHERE (%s\n)", table->filter);
	return query.data;
}

/* Through the executor: filter, policies and children, one pass, no copies. */
static void
SourceScanQuery(VrKnnReader *reader)
{
	SPIExecuteOptions options;
	SourceReceiver receiver;
	char *query = SourceQuery(reader->table);

	memset(&receiver, 0, sizeof(receiver));
	receiver.dest.receiveSlot = SourceReceive;
	receiver.dest.rStartup = SourceStartup;
	receiver.dest.rShutdown = SourceShutdown;
	receiver.dest.rDestroy = SourceShutdown;
	receiver.dest.mydest = DestNone;
	receiver.reader = reader;

	memset(&options, 0, sizeof(options));
	options.read_only = true;
	options.dest = &receiver.dest;
	SPI_connect();
	if (SPI_execute_extended(query, &options) < 0)
		elog(ERROR, "could not run: %s", query);
	SPI_finish();
	pfree(query);
}

void
VrKnnRead(VrKnnReader *reader)
{
	if (reader->table->plain)
		SourceScanPlain(reader);
	else
		SourceScanQuery(reader);
}

static void
SourceOfferRow(void *arg, int dim, const float *x, int64 key)
{
	VrKnnSearchRow(arg, x, key);
}

static void
SourceOfferPair(void *arg, const float *const *x, const float *const *next,
				const int64 *keys)
{
	VrKnnSearchPair(arg, x, next, keys);
}

void
VrKnnReaderInitSearch(VrKnnReader *reader, const VrKnnTable *table,
					  VrKnnSearch *search)
{
	VrKnnReaderInit(reader, table, VrKnnSearchDim(search), SourceOfferRow,
					search);
	if (VrKnnSearchTakesPairs(search))
		reader->pair = SourceOfferPair;
}

void
VrKnnScan(const VrKnnTable *table, VrKnnSearch *search, int64 budget)
{
	VrKnnReader reader;

	VrKnnReaderInitSearch(&reader, table, search);
	reader.budget = budget;
	VrKnnRead(&reader);
	VrKnnReaderEnd(&reader);
}
