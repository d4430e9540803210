/*
 * hnsw_parts.c
 *		What local repair does not see: records and parts of the graph that a
 *		search cannot come to, or not leave.
 *
 * When a region of the graph dies as a whole, the ones around it may lose
 * touch with each other; a crash leaves vertices without backlinks. While the
 * second pass of a vacuum reads every record, it notes the neighbours. From
 * that follows, level by level, which records can be come to from the entry's
 * vertex and can lead back to it. Each other part is linked, by searches from
 * within the main one; a record that nobody leads to is linked as if inserted.
 * Vertices whose stem went with a dead one get another.
 *
 * The notes are limited to maintenance_work_mem: of a larger graph only some
 * neighbours of each record are kept. More seems to be cut off then than is,
 * so parts of a few records are left alone.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_vacuum.h"

/* Records of a part that are linked to the main part. */
#define PARTS_BRIDGES 64

/* Records of the main part that such a search starts from. */
#define PARTS_STARTS 8

/* With incomplete notes: the smallest part that is believed in. */
#define PARTS_BELIEVED 8
#define PARTS_MIN_LANES 6

/* State of an id. A level is at most VR_HNSW_MAX_LEVEL. */
#define GRAPH_LEVEL 0x1F
#define GRAPH_LIVE 0x20
#define GRAPH_REACHED 0x40 /* can be come to from the entry's vertex */
#define GRAPH_LEADS 0x80   /* leads to it */
#define GRAPH_MAIN (GRAPH_LIVE | GRAPH_REACHED | GRAPH_LEADS)

#define GraphLevel(g, id) ((g)->state[id] & GRAPH_LEVEL)
#define GraphIsLive(g, id) (((g)->state[id] & GRAPH_LIVE) != 0)
#define GraphIsMain(g, id) (((g)->state[id] & GRAPH_MAIN) == GRAPH_MAIN)
#define GraphEdges(g, id) ((g)->edges + (Size) (id) * (g)->lanes)

/* Makes room for notes of every record that there is. */
void
VrHnswPartsInit(VrHnswVacuum *v)
{
	VrVacuumGraph *g = &v->graph;
	int kb = VrIsAutoVacuumWorker() && autovacuum_work_mem != -1
				 ? autovacuum_work_mem
				 : maintenance_work_mem;
	Size ids;
	uint32 id;

	g->n = VrHnswMaxVertex(&v->store);
	ids = Max((Size) g->n, 1);
	g->lanes =
		Min((Size) kb * 1024 / sizeof(uint32) / ids, v->idx->layout.lanes);
	g->lanes = Max(g->lanes, Min(PARTS_MIN_LANES, v->idx->layout.lanes));
	g->state = MemoryContextAllocExtended(v->cxt, ids,
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	g->edges = MemoryContextAllocHuge(v->cxt, ids * g->lanes * sizeof(uint32));
	g->holder = MemoryContextAllocHuge(v->cxt, ids * sizeof(uint32));
	for (id = 0; id < g->n; id++)
		g->holder[id] = VR_HNSW_NO_VERTEX;
}

/* The root of a tree of a forest, whose paths get shorter by it. */
static uint32
GraphRoot(uint32 *parent, uint32 id)
{
	while (parent[id] != id)
	{
		parent[id] = parent[parent[id]];
		id = parent[id];
	}
	return id;
}

/* Takes note of a live record's neighbours; its page is locked. */
void
VrHnswPartsFollow(VrHnswVacuum *v, uint32 id, VrHnswRecord rec)
{
	VrVacuumGraph *g = &v->graph;
	const uint32 *ids = VrHnswRecordIds(rec, &v->idx->layout);
	uint32 *edges;
	int n = 0;
	int i;

	if (id >= g->n)
		return;
	g->state[id] = GRAPH_LIVE | rec->level;
	edges = GraphEdges(g, id);
	for (i = 0; i < rec->degree; i++)
	{
		if (ids[i] >= g->n)
			continue;
		VrHnswIdSetAdd(&v->linked, v->cxt, ids[i]);
		if (VrHnswIsStem(rec, i) && id != ids[i])
			g->holder[ids[i]] = id;
		if (n < g->lanes)
			edges[n++] = ids[i];
	}
	if (n < g->lanes)
		edges[n] = VR_HNSW_NO_VERTEX;
}

/* A neighbour as noted; false at the end. Records that do not fit are skipped. */
static inline bool
GraphEdge(const VrVacuumGraph *g, uint32 id, int *lane, uint32 *to)
{
	const uint32 *edges = GraphEdges(g, id);

	while (*lane < g->lanes && edges[*lane] != VR_HNSW_NO_VERTEX)
	{
		*to = edges[(*lane)++];
		if (((g->state[*to] ^ g->state[id]) & (GRAPH_LIVE | GRAPH_LEVEL)) == 0)
			return true;
	}
	return false;
}

/* Marks what can be come to from a record, on its level. */
static void
GraphReach(VrVacuumGraph *g, uint32 start, uint32 *queue)
{
	uint32 n = 0;
	uint32 i;

	g->state[start] |= GRAPH_REACHED;
	queue[n++] = start;
	for (i = 0; i < n; i++)
	{
		int lane = 0;
		uint32 to;

		while (GraphEdge(g, queue[i], &lane, &to))
			if ((g->state[to] & GRAPH_REACHED) == 0)
			{
				g->state[to] |= GRAPH_REACHED;
				queue[n++] = to;
			}
	}
}

/* Marks what leads to a record that is marked already, until no more does. */
static void
GraphLead(VrVacuumGraph *g)
{
	bool more = true;
	uint32 id;

	while (more)
	{
		more = false;
		VrVacuumDelayPoint();
		for (id = 0; id < g->n; id++)
		{
			int lane = 0;
			uint32 to;

			if (!GraphIsLive(g, id) || (g->state[id] & GRAPH_LEADS))
				continue;
			while (GraphEdge(g, id, &lane, &to))
				if (g->state[to] & GRAPH_LEADS)
				{
					g->state[id] |= GRAPH_LEADS;
					more = true;
					break;
				}
		}
	}
}

/* Marks the main part of every level, that of the entry's vertex. */
static void
GraphMarkMain(VrHnswVacuum *v, uint32 entry, int entry_level)
{
	VrVacuumGraph *g = &v->graph;
	uint32 *queue =
		MemoryContextAllocHuge(v->cxt, ((Size) g->n + 1) * sizeof(uint32));
	int level;

	for (level = entry_level; level >= 0; level--)
	{
		VrHnswRef ref;
		uint32 down;

		if (entry >= g->n || !GraphIsLive(g, entry) ||
			GraphLevel(g, entry) != level)
			break;
		GraphReach(g, entry, queue);
		g->state[entry] |= GRAPH_LEADS;
		if (level == 0 ||
			!VrHnswVisit(&v->store, entry, level, BUFFER_LOCK_SHARE, &ref))
			break;
		down = ref.rec->down;
		VrHnswRelease(&ref);
		entry = down;
	}
	pfree(queue);
	GraphLead(g);
}

/* Unites what is not in the main part with its neighbours that are not. */
static void
GraphUniteRest(VrHnswVacuum *v)
{
	VrVacuumGraph *g = &v->graph;
	uint32 id;

	g->parent =
		MemoryContextAllocHuge(v->cxt, ((Size) g->n + 1) * sizeof(uint32));
	for (id = 0; id < g->n; id++)
		g->parent[id] = id;
	for (id = 0; id < g->n; id++)
	{
		int lane = 0;
		uint32 to;

		if (!GraphIsLive(g, id) || GraphIsMain(g, id))
			continue;
		while (GraphEdge(g, id, &lane, &to))
			if (!GraphIsMain(g, to))
				g->parent[GraphRoot(g->parent, to)] = GraphRoot(g->parent, id);
	}
}

/* Scattered records of every level's main part. */
static void
PartsFindStarts(VrHnswVacuum *v, uint32 starts[][PARTS_STARTS], int *nstarts)
{
	VrVacuumGraph *g = &v->graph;
	uint32 nmain[VR_HNSW_MAX_LEVEL + 1] = {0};
	uint32 at[VR_HNSW_MAX_LEVEL + 1] = {0};
	uint32 id;

	memset(nstarts, 0, (VR_HNSW_MAX_LEVEL + 1) * sizeof(int));
	for (id = 0; id < g->n; id++)
		if (GraphIsMain(g, id))
			nmain[GraphLevel(g, id)]++;
	for (id = 0; id < g->n; id++)
	{
		int level = GraphLevel(g, id);

		if (!GraphIsMain(g, id))
			continue;
		if (at[level]++ % (nmain[level] / PARTS_STARTS + 1) == 0)
			starts[level][nstarts[level]++] = id;
	}
}

/*
 * Links every other part to its level's main part, preferably by those of its
 * records that have lost neighbours: they are near the gap, most likely.
 */
static void
PartsBridge(VrHnswVacuum *v)
{
	VrVacuumGraph *g = &v->graph;
	uint32 starts[VR_HNSW_MAX_LEVEL + 1][PARTS_STARTS];
	int nstarts[VR_HNSW_MAX_LEVEL + 1];
	bool complete = g->lanes >= v->idx->layout.lanes;
	uint32 *todo =
		MemoryContextAllocExtended(v->cxt, ((Size) g->n + 1) * sizeof(uint32),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32 id;
	int pass;

	VrHnswProgressPhase(v, VR_VACUUM_JOIN, 2 * (uint64) g->n);
	PartsFindStarts(v, starts, nstarts);
	for (id = 0; id < g->n; id++)
		if (GraphIsLive(g, id) && !GraphIsMain(g, id))
			todo[GraphRoot(g->parent, id)]++;
	for (id = 0; id < g->n; id++)
	{
		if (todo[id] == 0)
			continue;
		if (!complete && todo[id] < PARTS_BELIEVED)
			todo[id] = 0;
		v->parts_joined += todo[id] > 0;
		todo[id] = Min(todo[id], PARTS_BRIDGES);
	}
	for (pass = 0; pass < 2; pass++)
		for (id = 0; id < g->n; id++)
		{
			int level = GraphLevel(g, id);
			uint32 root;

			if (!GraphIsLive(g, id) || GraphIsMain(g, id) ||
				(pass == 0) != VrHnswIdSetHas(&v->touched, id))
				continue;
			root = GraphRoot(g->parent, id);
			if (todo[root] == 0)
				continue;
			todo[root]--;
			VrHnswProgressDone(v, pass * (uint64) g->n + id);
			VrVacuumDelayPoint();
			if (nstarts[level] > 0 &&
				VrHnswRelink(&v->inserter, id, level, starts[level],
							 nstarts[level], true))
				v->relinked++;
		}
	pfree(todo);
}

/*
 * Links records that got too few neighbours, or that nobody leads to. Those
 * inserted since the first pass have backlinks still to come.
 */
static void
PartsLinkSingles(VrHnswVacuum *v, uint32 entry)
{
	VrVacuumGraph *g = &v->graph;
	uint32 id;

	for (id = 0; id < g->n; id++)
	{
		bool orphan = !VrHnswIdSetHas(&v->linked, id) && id != entry;

		if (!GraphIsLive(g, id) || !VrHnswIdSetHas(&v->live, id) ||
			!(orphan || VrHnswIdSetHas(&v->poor, id)))
			continue;
		VrHnswProgressDone(v, id);
		VrVacuumDelayPoint();
		if (VrHnswRelink(&v->inserter, id, GraphLevel(g, id), NULL, 0, false))
		{
			v->relinked++;
			/* It is in touch with the others now. */
			if (orphan)
				g->state[id] |= GRAPH_MAIN;
		}
	}
}

/*
 * Makes trees of the stems noted. Whoever became the entry holds the one before
 * and hangs from a vertex of its tree: there is a circle, through the root of
 * all. When such an entry has died, one is left without it, or the new root is
 * somewhere in the middle of what it should lead to. So the root needs no
 * stem, and a stem that closes a circle does not count: its end is to get
 * another one.
 */
static void
GraphPlant(VrHnswVacuum *v, uint32 root)
{
	VrVacuumGraph *g = &v->graph;
	uint32 id;

	g->tree =
		MemoryContextAllocHuge(v->cxt, Max((Size) g->n, 1) * sizeof(uint32));
	for (id = 0; id < g->n; id++)
		g->tree[id] = id;
	if (root < g->n)
		g->holder[root] = VR_HNSW_NO_VERTEX;
	for (id = 0; id < g->n; id++)
	{
		uint32 from = g->holder[id];

		if (from == VR_HNSW_NO_VERTEX)
			continue;
		/* It is the root of its tree still. */
		if (GraphRoot(g->tree, from) == id)
			g->holder[id] = VR_HNSW_NO_VERTEX;
		else
			g->tree[id] = from;
	}
}

/* Notes a stem to a vertex that had none. */
static void
GraphAddStem(VrVacuumGraph *g, uint32 from, uint32 to)
{
	g->holder[to] = from;
	if (from < g->n)
		g->tree[to] = from;
}

/* A vertex that is in need of a stem, for PartsMayHold. */
typedef struct PartsHold
{
	VrHnswVacuum *v;
	uint32 root;
	uint32 to;
} PartsHold;

/*
 * Whether a vertex is in need of a stem, and one from there would be no loop.
 * Of those inserted during the second pass it is not known where they hang,
 * but for the root, which needs no stem.
 */
static bool
PartsWantsStem(VrHnswVacuum *v, uint32 root, uint32 from, uint32 to)
{
	VrVacuumGraph *g = &v->graph;

	if (to >= g->n || to == root || GraphLevel(g, to) > 0 ||
		!GraphIsLive(g, to) || g->holder[to] != VR_HNSW_NO_VERTEX)
		return false;
	return from == root || (from < g->n && GraphIsLive(g, from) &&
							GraphRoot(g->tree, from) != to);
}

/* Makes edges of a vertex the stems of those that are in need of one. */
static void
PartsGiveStems(VrHnswVacuum *v, uint32 root, uint32 from)
{
	const VrHnswLayout *l = &v->idx->layout;
	uint32 *ids;
	VrHnswRecord rec;
	VrHnswEdit edit;
	VrHnswRef ref;
	int lane;

	VrVacuumDelayPoint();
	if (!VrHnswVisit(&v->store, from, 0, BUFFER_LOCK_EXCLUSIVE, &ref))
		return;
	if (VrHnswRecordIsLive(ref.rec) && VrHnswHasStemRoom(l, ref.rec))
	{
		VrHnswEditBegin(&edit, &v->store);
		rec =
			(VrHnswRecord) (VrHnswPageContents(VrHnswEditPage(&edit, ref.buf)) +
							(from % l->slots) * l->record_size);
		ids = VrHnswRecordIds(rec, l);
		for (lane = 0; lane < Min(rec->degree, VR_HNSW_STEM_LANES); lane++)
		{
			if (!VrHnswHasStemRoom(l, rec))
				break;
			if (VrHnswIsStem(rec, lane) ||
				!PartsWantsStem(v, root, from, ids[lane]))
				continue;
			VrHnswMarkStem(rec, lane, true);
			GraphAddStem(&v->graph, from, ids[lane]);
		}
		VrHnswEditFinish(&edit);
	}
	VrHnswRelease(&ref);
}

/* For VrHnswHang: whether a vertex may hold the one that is looked at. */
static bool
PartsMayHold(void *arg, uint32 from)
{
	PartsHold *h = arg;
	VrHnswVacuum *v = h->v;

	if (!PartsWantsStem(v, h->root, from, h->to))
		return false;
	/* It may lead there already. */
	PartsGiveStems(v, h->root, from);
	return v->graph.holder[h->to] == VR_HNSW_NO_VERTEX;
}

/*
 * Gives stems to vertices that have none: by an edge that was noted, or else
 * by a new one from near it, or from anywhere. The entry's vertex is the root.
 */
static void
PartsStems(VrHnswVacuum *v, uint32 root)
{
	VrVacuumGraph *g = &v->graph;
	uint32 starts[VR_HNSW_MAX_LEVEL + 1][PARTS_STARTS];
	uint32 others[PARTS_STARTS + 1];
	int nstarts[VR_HNSW_MAX_LEVEL + 1];
	PartsHold hold = {v, root};
	bool waited = false;
	uint32 id;

	VrHnswProgressPhase(v, VR_VACUUM_STEMS, 2 * (uint64) g->n);
	GraphPlant(v, root);
	for (id = 0; id < g->n; id++)
	{
		int lane = 0;
		uint32 to;

		if (!GraphIsLive(g, id) || GraphLevel(g, id) > 0)
			continue;
		while (GraphEdge(g, id, &lane, &to))
			if (PartsWantsStem(v, root, id, to))
			{
				VrHnswProgressDone(v, id);
				PartsGiveStems(v, root, id);
				break;
			}
	}
	PartsFindStarts(v, starts, nstarts);
	/* All others may be in the tree that is to be hung somewhere. */
	memcpy(others, starts[0], nstarts[0] * sizeof(uint32));
	others[nstarts[0]] = root;
	for (id = 0; id < g->n; id++)
	{
		uint32 from;

		if (!PartsWantsStem(v, root, root, id))
			continue;
		if (!VrHnswIdSetHas(&v->live, id) && !waited)
		{
			/*
			 * It was inserted since the first pass. Either before the barrier,
			 * and whoever held it has died; or it may be about to get its stem.
			 */
			VrHnswVacuumWait(v);
			waited = true;
		}
		VrHnswProgressDone(v, (uint64) g->n + id);
		VrVacuumDelayPoint();
		hold.to = id;
		from = VrHnswHang(&v->inserter, id, others, nstarts[0] + 1,
						  PartsMayHold, &hold);
		if (from != VR_HNSW_NO_VERTEX)
			GraphAddStem(g, from, id);
		else if (g->holder[id] == VR_HNSW_NO_VERTEX)
			v->stemless++;
	}
}

/* Makes everything reachable again, as far as the notes tell. */
void
VrHnswPartsJoin(VrHnswVacuum *v)
{
	VrHnswMetaPageData meta;
	VrHnswRef ref;
	uint32 root;

	VrHnswReadMeta(v->index, &meta);
	if (meta.entry == VR_HNSW_NO_VERTEX)
		return;
	VrHnswProgressPhase(v, VR_VACUUM_LINK, v->graph.n);
	GraphMarkMain(v, meta.entry, meta.entry_level);
	PartsLinkSingles(v, meta.entry);
	GraphUniteRest(v);
	PartsBridge(v);
	if (VrHnswVisit(&v->store, meta.entry, meta.entry_level, BUFFER_LOCK_SHARE,
					&ref))
	{
		root = ref.rec->base;
		VrHnswRelease(&ref);
		PartsStems(v, root);
	}
}
