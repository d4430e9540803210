/*
 * tiers_prewarm.c
 *		vecrecall.prewarm(): parts of an index or table into shared buffers, and
 *		which blocks those parts are.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "base/vr_compat.h"
#include "hnsw/hnsw.h"

PG_FUNCTION_INFO_V1(vr_prewarm);
PG_FUNCTION_INFO_V1(vr_relation_parts);

/* Blocks asked for ahead of the one that is read. */
#define PREWARM_AHEAD 32

static void
PrewarmBlock(Relation rel, BlockNumber block, BlockNumber end)
{
	CHECK_FOR_INTERRUPTS();
	if (block + PREWARM_AHEAD < end)
		PrefetchBuffer(rel, MAIN_FORKNUM, block + PREWARM_AHEAD);
	ReleaseBuffer(
		ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, NULL));
}

static int64
PrewarmRange(Relation rel, BlockNumber from, BlockNumber end)
{
	BlockNumber block;

	for (block = from; block < end; block++)
		PrewarmBlock(rel, block, end);
	return end - from;
}

/*
 * Pages of vertices, and not those of long values and duplicates between them.
 * What a page is shows when it is read, so it is read through a small ring
 * first, from which a page that is pinned again is not taken back.
 */
static int64
PrewarmGraph(Relation rel, BlockNumber from, BlockNumber end)
{
	BufferAccessStrategy ring = GetAccessStrategy(BAS_BULKREAD);
	int64 n = 0;
	BlockNumber block;

	for (block = from; block < end; block++)
	{
		Buffer buf;
		bool graph;

		CHECK_FOR_INTERRUPTS();
		if (block + PREWARM_AHEAD < end)
			PrefetchBuffer(rel, MAIN_FORKNUM, block + PREWARM_AHEAD);
		buf = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, ring);
		LockBuffer(buf, BUFFER_LOCK_SHARE);
		graph = VrHnswPageIsGraph(BufferGetPage(buf));
		UnlockReleaseBuffer(buf);
		if (!graph)
			continue;
		PrewarmBlock(rel, block, 0);
		n++;
	}
	FreeAccessStrategy(ring);
	return n;
}

/* An index or table with blocks, opened with AccessShareLock. */
static Relation
PrewarmOpen(Oid relid)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind) ||
		rel->rd_rel->relkind == RELKIND_SEQUENCE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" has no blocks of its own",
						RelationGetRelationName(rel)),
				 errhint("Name an index, a table or one of its partitions.")));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot access temporary tables of other "
							   "sessions")));
	return rel;
}

/* prewarm(rel regclass, what text): the number of blocks that it read. */
Datum
vr_prewarm(PG_FUNCTION_ARGS)
{
	Relation rel = PrewarmOpen(PG_GETARG_OID(0));
	char *what = text_to_cstring(PG_GETARG_TEXT_PP(1));
	VrHnswParts parts;
	int64 n;

	if (!VrOwnsRelation(RelationGetRelid(rel), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER,
					   get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));
	if (strcmp(what, "all") == 0)
		n = PrewarmRange(rel, 0, RelationGetNumberOfBlocks(rel));
	else if (strcmp(what, "entry") != 0 && strcmp(what, "upper") != 0 &&
			 strcmp(what, "graph") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown part \"%s\"", what),
						errhint("Parts are entry, upper, graph and all.")));
	else if (!VrHnswIsIndex(rel))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not an hnsw index",
							   RelationGetRelationName(rel)),
						errhint("Of another relation only \"all\" can be "
								"read.")));
	else
	{
		VrHnswGetParts(rel, &parts);
		n = PrewarmRange(rel, 0,
						 what[0] == 'e' ? parts.entry_end : parts.upper_end);
		if (what[0] == 'g')
			n += PrewarmGraph(rel, parts.upper_end, parts.nblocks);
		else if (parts.entry_block >=
				 (what[0] == 'e' ? parts.entry_end : parts.upper_end))
			n += PrewarmRange(rel, parts.entry_block, parts.entry_block + 1);
	}
	relation_close(rel, AccessShareLock);
	PG_RETURN_INT64(n);
}

/*
 * relation_parts(rel regclass): what prewarm calls parts, as ranges of blocks;
 * one part, "all", of anything that is no hnsw index.
 */
Datum
vr_relation_parts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	static const char *const names[] = {"entry", "upper", "graph"};
	Relation rel = PrewarmOpen(PG_GETARG_OID(0));
	int64 ends[4] = {0};
	int nparts = 1;
	int i;

	InitMaterializedSRF(fcinfo, 0);
	if (VrHnswIsIndex(rel))
	{
		VrHnswParts parts;

		VrHnswGetParts(rel, &parts);
		nparts = 3;
		ends[1] = parts.entry_end;
		ends[2] = parts.upper_end;
		ends[3] = parts.nblocks;
	}
	else
		ends[1] = RelationGetNumberOfBlocks(rel);
	for (i = 0; i < nparts; i++)
	{
		Datum values[3];
		bool nulls[3] = {false};

		values[0] = CStringGetTextDatum(nparts == 1 ? "all" : names[i]);
		values[1] = Int64GetDatum(ends[i]);
		values[2] = Int64GetDatum(ends[i + 1] - ends[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	relation_close(rel, AccessShareLock);
	return (Datum) 0;
}
