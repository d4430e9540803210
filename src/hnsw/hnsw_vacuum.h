/*
 * hnsw_vacuum.h
 *		What the passes of a vacuum (hnsw_vacuum.c) and the repair of the graph
 *		(hnsw_repair.c, hnsw_parts.c) share.
 */
#ifndef VR_HNSW_VACUUM_H
#define VR_HNSW_VACUUM_H

#include "access/genam.h"

#include "hnsw/hnsw_private.h"

/* A set of ids or block numbers; grows as it must. */
typedef struct VrHnswIdSet
{
	uint64 *words;
	uint64 nwords;
	uint64 n; /* members */
} VrHnswIdSet;

/* A record of an upper level, as the first pass saw it. */
typedef struct VrVacuumUpper
{
	uint32 id;
	uint32 base;
	uint8 level;
	bool dead;
} VrVacuumUpper;

/* What the second pass notes of the graph, by id; hnsw_parts.c. */
typedef struct VrVacuumGraph
{
	uint32 n;       /* ids below this are noted */
	int lanes;      /* neighbours noted of each */
	uint8 *state;   /* VR_GRAPH_* and the level */
	uint32 *edges;  /* lanes of each, ended by NO_VERTEX if fewer */
	uint32 *parent; /* towards the root of its part */
	uint32 *holder; /* whose stem leads to it, or NO_VERTEX */
	uint32 *tree;   /* up the stems: towards the root of its tree */
} VrVacuumGraph;

/* What a run does; the numbers are those of view stat_progress_vacuum. */
typedef enum VrVacuumPhase
{
	VR_VACUUM_NONE = 0,
	VR_VACUUM_DELETE = 1, /* blocks */
	VR_VACUUM_UPPERS = 2, /* records, of upper levels */
	VR_VACUUM_WAIT = 3,
	VR_VACUUM_REPAIR = 4, /* blocks */
	VR_VACUUM_LINK = 5,   /* records, as the next two */
	VR_VACUUM_JOIN = 6,
	VR_VACUUM_STEMS = 7,
	VR_VACUUM_FREE = 8, /* records, dead ones */
} VrVacuumPhase;

/* Whose progress a run tells of; hnsw_progress.c. */
typedef enum VrVacuumProgress
{
	VR_PROGRESS_NONE,
	VR_PROGRESS_OF_COMMAND, /* VACUUM, which began telling and ends it */
	VR_PROGRESS_OF_WORKER,  /* this run's own, in a parallel worker */
} VrVacuumProgress;

/* One run over the index: marks, repairs, frees. */
typedef struct VrHnswVacuum
{
	Relation index;
	BufferAccessStrategy strategy;
	VrHnswIndex *idx;
	VrHnswStore store;
	VrHnswInserter inserter;          /* for VrHnswRelink */
	IndexBulkDeleteCallback callback; /* NULL: only finish an earlier run */
	void *callback_arg;
	MemoryContext cxt;  /* the run's */
	MemoryContext page; /* reset for every page */

	VrHnswIdSet dead;    /* records, all levels */
	VrHnswIdSet live;    /* records live in the first pass, all levels */
	VrHnswIdSet linked;  /* records that a live one leads to, second pass */
	VrHnswIdSet poor;    /* records that local repair could not help */
	VrHnswIdSet values;  /* blocks of VALUE pages in the first pass */
	VrHnswIdSet parts;   /* blocks that somebody refers to, second pass */
	VrHnswIdSet touched; /* records that lost a neighbour */
	VrVacuumGraph graph;
	VrVacuumUpper *uppers;
	uint32 nuppers;
	uint32 maxuppers;

	/* The highest live record of the second pass. */
	uint32 top;
	int top_level;

	/* For the statistics, and the message at the end. */
	double tids;         /* left in the index */
	double tids_removed; /* by this run */
	BlockNumber pages_free;
	uint64 marked;       /* records found live and marked dead */
	uint64 repaired;     /* records that lost a neighbour */
	uint64 relinked;     /* records linked anew by a search */
	uint64 parts_joined; /* parts of the graph that were cut off */
	uint64 stemless;     /* vertices that got no stem */
	uint64 freed;

	void *query; /* hnsw_repair.c: memory for a prepared query */

	VrVacuumProgress progress;
	VrVacuumPhase phase;
} VrHnswVacuum;

static inline bool
VrHnswIdSetHas(const VrHnswIdSet *set, uint32 id)
{
	return id / 64 < set->nwords &&
		   (set->words[id / 64] & (UINT64CONST(1) << (id % 64))) != 0;
}

extern void VrHnswIdSetAdd(VrHnswIdSet *set, MemoryContext cxt, uint32 id);

/* ---- hnsw_vacuum.c */
extern void VrHnswVacuumWait(VrHnswVacuum *v);

/* ---- hnsw_progress.c */
extern void VrHnswProgressBegin(VrHnswVacuum *v);
extern void VrHnswProgressPhase(VrHnswVacuum *v, VrVacuumPhase phase,
								uint64 total);
extern void VrHnswProgressDone(VrHnswVacuum *v, uint64 done);
extern void VrHnswProgressTotal(VrHnswVacuum *v, uint64 total);
extern void VrHnswProgressEnd(VrHnswVacuum *v);

/* ---- hnsw_repair.c */
extern void VrHnswRepairPage(VrHnswVacuum *v, Buffer buf);

/* ---- hnsw_parts.c */
extern void VrHnswPartsInit(VrHnswVacuum *v);
extern void VrHnswPartsFollow(VrHnswVacuum *v, uint32 id, VrHnswRecord rec);
extern void VrHnswPartsJoin(VrHnswVacuum *v);

#endif /* VR_HNSW_VACUUM_H */
