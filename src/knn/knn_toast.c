/*
 * knn_toast.c
 *		Values that are stored out of line, read in the order in which they lie.
 *
 * To fetch a value of some kilobytes the server looks up its chunks by an index
 * of the TOAST table, one row after another: three quarters of the time of a
 * search of such a table, and on a disk a random read each. A search wants all
 * rows and in no order. So while the table is scanned, pointers and keys are
 * put aside; then the TOAST table is read from its first block to its last, and
 * values are put together as their chunks come by, which as a rule lie one
 * behind the other, as they were written. What did not come by, or was begun
 * when there was no room for more beginnings, is fetched as the server does.
 *
 * Chunks are found by their value's number, which is unique among all that the
 * TOAST table holds, those of dead rows included. They cannot go away while our
 * snapshot sees their rows.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/vr_compat.h"
#include "knn/knn_private.h"

/*
 * More blocks than this for each value, as where other columns share the TOAST
 * table, and looking them up is faster.
 */
#define TOAST_BLOCKS_PER_VALUE 4

/* Longest value taken; the longest vector, and its header. */
#define TOAST_LONGEST (VR_VECTOR_MAX_DIM * sizeof(float) + 64)

StaticAssertDecl(TOAST_LONGEST / TOAST_MAX_CHUNK_SIZE < 64,
				 "a value's chunks have a bit each");

/* Put aside: a value and its row's key. */
typedef struct ToastEntry
{
	struct varatt_external pointer;
	int32 filled; /* bytes that came by; all of them when it is done */
	uint64 seen;  /* chunks that came by */
	char *parts;  /* where they are, if others came between; with a header */
	int64 key;
} ToastEntry;

/* Bytes of a line of the cache. */
#define TOAST_LINE 64

/* In the place of the bytes that came by. */
#define TOAST_FORGOTTEN -1

struct VrKnnToast
{
	VrKnnReader *reader;
	MemoryContext context;
	Relation rel; /* the TOAST table */
	int64 budget;
	ToastEntry *entries;
	int count;
	int room;

	/* Of the second part. */
	uint32 *slots; /* hash table: number of the entry plus one, or zero */
	uint32 mask;
	char *value;         /* being put together, with its header */
	ToastEntry *current; /* whose it is, or NULL */
};

static inline int32
ToastLength(const ToastEntry *entry)
{
	return VARATT_EXTERNAL_GET_EXTSIZE(entry->pointer);
}

/* Bytes for so many entries, with their slots; the old ones while they move. */
static int64
ToastBytes(int64 room)
{
	return room * (3 * sizeof(ToastEntry) / 2 + 4 * sizeof(uint32)) +
		   TOAST_LONGEST;
}

/*
 * NULL if the table has no values out of line that could be read so, or the
 * budget is for too few.
 */
VrKnnToast *
VrKnnToastBegin(VrKnnReader *reader, Relation rel, int64 budget)
{
	MemoryContext context;
	MemoryContext old;
	VrKnnToast *toast;
	Relation toastrel;

	if (!OidIsValid(rel->rd_rel->reltoastrelid) ||
		reader->table->keytype != NULL || budget < ToastBytes(1024))
		return NULL;
	toastrel = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	if (toastrel->rd_tableam != GetHeapamTableAmRoutine())
	{
		table_close(toastrel, AccessShareLock);
		return NULL;
	}
	context = AllocSetContextCreate(CurrentMemoryContext,
									"vecrecall values out of line",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	toast = palloc0(sizeof(VrKnnToast));
	toast->reader = reader;
	toast->context = context;
	toast->rel = toastrel;
	toast->budget = budget;
	toast->room = 1024;
	toast->entries = palloc(toast->room * sizeof(ToastEntry));
	MemoryContextSwitchTo(old);
	return toast;
}

/* Fetches a value as the server does. */
static void
ToastFetch(VrKnnToast *toast, ToastEntry *entry)
{
	union
	{
		struct varlena header;
		char bytes[TOAST_POINTER_SIZE];
	} datum;

	SET_VARTAG_EXTERNAL(&datum, VARTAG_ONDISK);
	memcpy(VARDATA_EXTERNAL(&datum), &entry->pointer, sizeof(entry->pointer));
	VrKnnReaderValue(toast->reader, &datum.header, entry->key);
}

/* Puts a value aside, or says that it is not of those. */
bool
VrKnnToastDefer(VrKnnToast *toast, struct varlena *value, int64 key)
{
	ToastEntry *entry;
	struct varatt_external pointer;

	if (!VARATT_IS_EXTERNAL_ONDISK(value))
		return false;
	VARATT_EXTERNAL_GET_POINTER(pointer, value);
	if (pointer.va_toastrelid != RelationGetRelid(toast->rel) ||
		VARATT_EXTERNAL_IS_COMPRESSED(pointer) ||
		VARATT_EXTERNAL_GET_EXTSIZE(pointer) > TOAST_LONGEST - VARHDRSZ)
		return false;
	if (toast->count == toast->room)
	{
		if (ToastBytes(2 * (int64) toast->room) > toast->budget ||
			toast->room > PG_INT32_MAX / 4)
			return false;
		toast->room *= 2;
		toast->entries =
			repalloc_huge(toast->entries, toast->room * sizeof(ToastEntry));
	}
	entry = &toast->entries[toast->count++];
	entry->pointer = pointer;
	entry->filled = 0;
	entry->seen = 0;
	entry->parts = NULL;
	entry->key = key;
	return true;
}

static void
ToastHash(VrKnnToast *toast)
{
	uint32 size = pg_nextpower2_32(2 * toast->count);
	int i;

	toast->mask = size - 1;
	toast->slots =
		MemoryContextAllocExtended(toast->context, size * sizeof(uint32),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (i = 0; i < toast->count; i++)
	{
		uint32 slot =
			murmurhash32(toast->entries[i].pointer.va_valueid) & toast->mask;

		while (toast->slots[slot] != 0)
			slot = (slot + 1) & toast->mask;
		toast->slots[slot] = i + 1;
	}
}

/* The entry of a value, or NULL: of another column, or of a row not ours. */
static ToastEntry *
ToastFind(const VrKnnToast *toast, Oid id)
{
	uint32 slot = murmurhash32(id) & toast->mask;

	for (; toast->slots[slot] != 0; slot = (slot + 1) & toast->mask)
	{
		ToastEntry *entry = &toast->entries[toast->slots[slot] - 1];

		if (entry->pointer.va_valueid == id)
			return entry;
	}
	return NULL;
}

/*
 * Another value's turn. What came by of the one before is kept apart, as long
 * as there is room; without it is forgotten, and will be looked up.
 */
static void
ToastTurn(VrKnnToast *toast, ToastEntry *entry)
{
	ToastEntry *before = toast->current;

	toast->current = entry;
	if (before == NULL || before->parts != NULL || before->filled <= 0)
		return;
	if (toast->budget < ToastLength(before) + VARHDRSZ)
	{
		before->filled = TOAST_FORGOTTEN;
		return;
	}
	toast->budget -= ToastLength(before) + VARHDRSZ;
	before->parts =
		MemoryContextAlloc(toast->context, ToastLength(before) + VARHDRSZ);
	memcpy(before->parts, toast->value, ToastLength(before) + VARHDRSZ);
}

/*
 * Copies bytes of a page, while those at the same place of the next one are
 * asked for, `ahead` bytes from there: alone the CPU looks no farther than to
 * the end of what it reads. All at once would be more than it can wait for.
 *
 * Without a next page by memmove: as memcpy knows how long it can be at most,
 * GCC 12 makes that an instruction that takes twice as long as the library's.
 */
static inline void
ToastCopy(char *to, const char *from, int32 size, ptrdiff_t ahead)
{
	int32 i = 0;

	for (; ahead != 0 && i + TOAST_LINE <= size; i += TOAST_LINE)
	{
		memcpy(to + i, from + i, TOAST_LINE);
		VR_PREFETCH(from + i + ahead);
	}
	memmove(to + i, from + i, size - i);
}

/*
 * A chunk: the value's number, the chunk's, and its bytes. The first two are
 * integers without padding, the third is aligned as they are. All chunks but a
 * value's last are of one size.
 */
static void
ToastChunk(VrKnnToast *toast, HeapTupleHeader tuple, uint32 length,
		   ptrdiff_t ahead)
{
	const char *data = (char *) tuple + tuple->t_hoff;
	const char *bytes = data + sizeof(Oid) + sizeof(int32);
	ToastEntry *entry = toast->current;
	char *value;
	int32 size;
	int32 number;
	Oid id;

	if ((tuple->t_infomask & HEAP_HASNULL) != 0 ||
		length < tuple->t_hoff + sizeof(Oid) + sizeof(int32) + 1)
		return;
	memcpy(&id, data, sizeof(id));
	memcpy(&number, data + sizeof(id), sizeof(number));
	if (entry == NULL || entry->pointer.va_valueid != id)
	{
		entry = ToastFind(toast, id);
		if (entry == NULL)
			return;
		ToastTurn(toast, entry);
	}
	if (entry->filled == TOAST_FORGOTTEN || VARATT_IS_EXTERNAL(bytes) ||
		VARATT_IS_COMPRESSED(bytes) || number < 0 ||
		number > ToastLength(entry) / TOAST_MAX_CHUNK_SIZE ||
		(entry->seen >> number & 1) != 0)
		return;
	size = VARSIZE_ANY_EXHDR(bytes);
	if (size != Min(ToastLength(entry) - number * (int32) TOAST_MAX_CHUNK_SIZE,
					(int32) TOAST_MAX_CHUNK_SIZE))
		return;
	entry->seen |= UINT64CONST(1) << number;
	value = entry->parts != NULL ? entry->parts : toast->value;
	ToastCopy(value + VARHDRSZ + number * TOAST_MAX_CHUNK_SIZE,
			  VARDATA_ANY(bytes), size, ahead);
	entry->filled += size;
	if (entry->filled != ToastLength(entry))
		return;
	toast->current = NULL;
	SET_VARSIZE(value, VARHDRSZ + ToastLength(entry));
	VrKnnReaderValue(toast->reader, (struct varlena *) value, entry->key);
	if (entry->parts != NULL)
	{
		toast->budget += ToastLength(entry) + VARHDRSZ;
		pfree(entry->parts);
		entry->parts = NULL;
	}
}

static void
ToastScan(VrKnnToast *toast)
{
	VrToastSnapshotData data;
	const VrKnnPage *rows;
	VrKnnHeap heap;

	toast->value = MemoryContextAlloc(toast->context, TOAST_LONGEST);
	toast->current = NULL;
	toast->budget -= ToastBytes(toast->room);
	ToastHash(toast);
	VrKnnHeapBegin(&heap, toast->rel, VrInitToastSnapshot(&data), NULL);
	while ((rows = VrKnnHeapNext(&heap)) != NULL)
	{
		Page page = BufferGetPage(rows->buffer);
		Buffer next = VrKnnHeapAhead(&heap);
		ptrdiff_t ahead = BufferIsValid(next) ? BufferGetPage(next) - page : 0;
		int i;

		for (i = 0; i < rows->count; i++)
		{
			ItemId item = PageGetItemId(page, rows->visible[i]);

			ToastChunk(toast, (HeapTupleHeader) PageGetItem(page, item),
					   ItemIdGetLength(item), ahead);
		}
		ReleaseBuffer(rows->buffer);
	}
}

/* Reads all that was put aside. */
void
VrKnnToastEnd(VrKnnToast *toast)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(toast->rel);
	int fetched = 0;
	int i;

	if (toast->count > 1 &&
		blocks / TOAST_BLOCKS_PER_VALUE <= (BlockNumber) toast->count)
		ToastScan(toast);
	for (i = 0; i < toast->count; i++)
		if (toast->entries[i].filled != ToastLength(&toast->entries[i]))
		{
			CHECK_FOR_INTERRUPTS();
			ToastFetch(toast, &toast->entries[i]);
			fetched++;
		}
	ereport(DEBUG1, (errmsg_internal("%d values out of line, of which %d were "
									 "looked up",
									 toast->count, fetched)));
	table_close(toast->rel, AccessShareLock);
	MemoryContextDelete(toast->context);
}
