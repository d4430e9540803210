/*
 * pages.c
 *		What does it cost to come to a record of an hnsw index? For pages.sh.
 *
 * vr_bench_pages(index, way, n, seed) goes to n random records of level 0 and
 * reads the head of each, under a share lock of its page as every search must;
 * it returns nanoseconds of CPU time for one. Ways: 'read', by the server's ReadBuffer; and
 * by the index's own gate, 'gate', or with the record one or two places further
 * asked for ahead, 'ahead1' and 'ahead2'. The same seed gives the same records.
 *
 * A module of its own: the functions of the gate are those of the library that
 * the server has loaded. From PostgreSQL 16 on such a library hides them.
 */
#include "postgres.h"

#include <time.h>

#include "access/genam.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "hnsw/hnsw_private.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(vr_bench_pages);

/* Bytes asked for ahead: a line that the visit reads, and the next. */
#define AHEAD_BYTES 128

static VrHnswIndex *(*open_index)(Relation, VrHnswMetaPageData *);
static void (*store_init)(VrHnswStore *, Relation, VrHnswIndex *);
static bool (*visit)(VrHnswStore *, uint32, int, int, VrHnswRef *);
static void (*release)(VrHnswRef *);
static void (*prefetch)(VrHnswStore *, uint32, int);

static void *
library_function(const char *name)
{
	return load_external_function("$libdir/vecrecall", name, true, NULL);
}

/* What else runs interrupts, and does not count. */
static double
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* The record's head is read by all ways; what it says has to be used. */
static inline uint64
read_plainly(VrHnswStore *store, uint32 id)
{
	const VrHnswLayout *l = &store->idx->layout;
	Buffer buf = ReadBuffer(store->index, id / l->slots);
	VrHnswRecord rec;
	uint64 seen;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	rec = (VrHnswRecord) (VrHnswPageContents(BufferGetPage(buf)) +
						  id % l->slots * l->record_size);
	seen = rec->degree;
	UnlockReleaseBuffer(buf);
	return seen;
}

static inline uint64
read_by_gate(VrHnswStore *store, uint32 id)
{
	VrHnswRef ref;
	uint64 seen;

	if (!visit(store, id, 0, BUFFER_LOCK_SHARE, &ref))
		return 0;
	seen = ref.rec->degree;
	release(&ref);
	return seen;
}

/* Random ids of records of level 0; two more than n, for those that look ahead. */
static uint32 *
random_ids(VrHnswStore *store, int n, int64 seed)
{
	uint32 max = store->nblocks * store->idx->layout.slots;
	uint32 *ids = palloc((n + 2) * sizeof(uint32));
	pg_prng_state prng;
	int i = 0;

	pg_prng_seed(&prng, seed);
	while (i < n + 2)
	{
		uint32 id =
			pg_prng_uint64_range(&prng, store->idx->layout.slots, max - 1);
		VrHnswRef ref;

		CHECK_FOR_INTERRUPTS();
		/* Pages of other kinds are few: those of upper levels are passed over. */
		if (!visit(store, id, 0, BUFFER_LOCK_SHARE, &ref))
			continue;
		release(&ref);
		ids[i++] = id;
	}
	return ids;
}

Datum
vr_bench_pages(PG_FUNCTION_ARGS)
{
	Relation index = index_open(PG_GETARG_OID(0), AccessShareLock);
	const char *way = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int n = PG_GETARG_INT32(2);
	VrHnswMetaPageData meta;
	VrHnswStore store;
	uint32 *ids;
	double began;
	double took;
	volatile uint64 sink = 0;
	int i;

	open_index = library_function("VrHnswOpen");
	store_init = library_function("VrHnswStoreInit");
	visit = library_function("VrHnswVisit");
	release = library_function("VrHnswRelease");
	prefetch = library_function("VrHnswPrefetch");
	store_init(&store, index, open_index(index, &meta));
	ids = random_ids(&store, n, PG_GETARG_INT64(3));

	began = cpu_ns();
	if (strcmp(way, "read") == 0)
		for (i = 0; i < n; i++)
			sink += read_plainly(&store, ids[i]);
	else if (strcmp(way, "gate") == 0)
		for (i = 0; i < n; i++)
			sink += read_by_gate(&store, ids[i]);
	else if (strcmp(way, "ahead1") == 0 || strcmp(way, "ahead2") == 0)
		for (i = 0; i < n; i++)
		{
			prefetch(&store, ids[i + way[5] - '0'], AHEAD_BYTES);
			sink += read_by_gate(&store, ids[i]);
		}
	else
		elog(ERROR, "no such way: %s", way);
	took = cpu_ns() - began;
	index_close(index, AccessShareLock);
	PG_RETURN_FLOAT8(took / n);
}
