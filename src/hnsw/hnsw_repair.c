/*
 * hnsw_repair.c
 *		The second pass of a vacuum: the graph around dead records.
 *
 * A live record that loses neighbours gets others in their place: the live
 * neighbours of the dead ones, so that whatever was reached over a dead record
 * still is. That is decided on copies, without a lock; the page is locked to
 * write the result. Records for which too few are found there are noted for
 * hnsw_parts.c.
 *
 * Nobody else marks or frees records meanwhile, and no insertion links to one
 * that is marked: the barrier is behind us.
 */
#include "postgres.h"

#include <float.h>

#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_vacuum.h"

/* Dead records asked for their neighbours; the second if the first give few. */
#define REPAIR_DEAD 8
#define REPAIR_DEAD_MOST 64

/* Live ones looked at, of those found: per lane to fill, and at all. */
#define REPAIR_READS_PER_LANE 2
#define REPAIR_READS_MORE 8
#define REPAIR_READS_PLAIN 128

/* Slots of the hash table of what was found; a power of two. */
#define REPAIR_SEEN 4096
#define REPAIR_FOUND (REPAIR_SEEN / 2)

/* What one record needs. */
typedef struct RepairPlan
{
	int slot;
	VrHnswRecord before; /* as it was when this was planned */
	VrHnswRecord after;
	int nadded;
	uint32 *added;
	VrHnswValue *values;
} RepairPlan;

/* A search for replacements, among the neighbours of dead neighbours. */
typedef struct RepairSearch
{
	VrHnswVacuum *v;
	VrHnswRecord rec;
	const char *value;
	VrQuantQuery *query; /* quantised: of rec */
	uint32 dead[REPAIR_DEAD_MOST];
	int ndead;
	uint64 found[REPAIR_FOUND]; /* keys: estimate or 0, id */
	int nfound;
	uint32 seen[REPAIR_SEEN];
} RepairSearch;

/* Whether the id is new; notes it. A full table knows everything. */
static bool
RepairSeeNew(RepairSearch *s, uint32 id)
{
	uint32 at = (id * 2654435761u) & (REPAIR_SEEN - 1);
	int steps;

	for (steps = 0; steps < 64; steps++)
	{
		if (s->seen[at] == id)
			return false;
		if (s->seen[at] == VR_HNSW_NO_VERTEX)
		{
			s->seen[at] = id;
			return true;
		}
		at = (at + 1) & (REPAIR_SEEN - 1);
	}
	return false;
}

/* Takes up the neighbours of one dead record. */
static void
RepairAsk(RepairSearch *s, uint32 id)
{
	VrHnswVacuum *v = s->v;
	const VrHnswLayout *l = &v->idx->layout;
	float est[VR_HNSW_MAX_LANES];
	const uint32 *ids;
	VrHnswRef ref;
	int i;

	if (!VrHnswVisit(&v->store, id, s->rec->level, BUFFER_LOCK_SHARE, &ref))
		return;
	ids = VrHnswRecordIds(ref.rec, l);
	memset(est, 0, sizeof(est));
	if (s->query)
	{
		float g = VrOwnDistance(s->query, &VrHnswRecordOwnHead(ref.rec, l)->own,
								VrHnswRecordOwn(ref.rec, l));

		for (i = 0; i < ref.rec->degree; i += VR_QUANT_LANES)
			VrEstimate32(s->query, g,
						 VrHnswRecordCodes(ref.rec, l, i / VR_QUANT_LANES),
						 VrHnswRecordFactors(ref.rec, l, i / VR_QUANT_LANES),
						 FLT_MAX, est + i);
	}
	for (i = 0; i < ref.rec->degree; i++)
	{
		if (!RepairSeeNew(s, ids[i]))
			continue;
		if (!VrHnswIdSetHas(&v->dead, ids[i]))
		{
			if (s->nfound < REPAIR_FOUND)
				s->found[s->nfound++] = VrHnswKey(est[i], ids[i]);
		}
		else if (s->ndead < REPAIR_DEAD_MOST)
			s->dead[s->ndead++] = ids[i];
	}
	VrHnswRelease(&ref);
}

static int
RepairCompareKeys(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

static int
RepairCompareNeighbours(const void *a, const void *b)
{
	const VrHnswNeighbour *x = a;
	const VrHnswNeighbour *y = b;

	if (x->d != y->d)
		return x->d < y->d ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Copies a live record of the level, and measures it. False if it is none. */
static bool
RepairRead(RepairSearch *s, uint32 id, VrHnswNeighbour *out)
{
	VrHnswVacuum *v = s->v;
	const VrHnswLayout *l = &v->idx->layout;
	VrHnswRef ref;

	if (VrHnswIdSetHas(&v->dead, id) ||
		!VrHnswVisit(&v->store, id, s->rec->level, BUFFER_LOCK_SHARE, &ref))
		return false;
	if (!VrHnswRecordIsLive(ref.rec))
	{
		VrHnswRelease(&ref);
		return false;
	}
	out->id = id;
	out->rec = palloc(l->record_size);
	memcpy(out->rec, ref.rec, l->record_size);
	VrHnswRelease(&ref);
	out->value = VrHnswRecordValue(&v->store, out->rec);
	if (out->rec->value_block != VR_HNSW_NO_BLOCK)
	{
		char *copy = palloc(out->rec->value_bytes);

		memcpy(copy, out->value, out->rec->value_bytes);
		out->value = copy;
	}
	out->d =
		VrHnswPairDistance(&v->store, s->rec, s->value, out->rec, out->value);
	return true;
}

/*
 * Chooses at most want new neighbours for s->rec, which keeps nkept; fills
 * plan->added. Returns their number.
 */
static int
RepairChoose(RepairSearch *s, const uint32 *kept, int nkept, int want,
			 RepairPlan *plan)
{
	VrHnswVacuum *v = s->v;
	int most = s->query ? want * REPAIR_READS_PER_LANE + REPAIR_READS_MORE
						: REPAIR_READS_PLAIN;
	VrHnswNeighbour *old = palloc(Max(nkept, 1) * sizeof(VrHnswNeighbour));
	VrHnswNeighbour *cands = palloc(most * sizeof(VrHnswNeighbour));
	int nold = 0;
	int n = 0;
	int i;

	/* Without estimates all are alike: ids order them by place. */
	qsort(s->found, s->nfound, sizeof(uint64), RepairCompareKeys);
	for (i = 0; i < s->nfound && n < most; i++)
	{
		if (i + 2 < s->nfound)
			VrHnswPrefetch(&v->store, VrHnswKeyId(s->found[i + 2]), 256);
		n += RepairRead(s, VrHnswKeyId(s->found[i]), &cands[n]);
	}
	qsort(cands, n, sizeof(VrHnswNeighbour), RepairCompareNeighbours);
	if (n > want)
		for (i = 0; i < nkept; i++)
			nold += RepairRead(s, kept[i], &old[nold]);
	n = VrHnswSelectMore(&v->store, old, nold, cands, n, want);
	plan->nadded = n;
	plan->added = palloc(Max(n, 1) * sizeof(uint32));
	plan->values = palloc0(Max(n, 1) * sizeof(VrHnswValue));
	for (i = 0; i < n; i++)
	{
		plan->added[i] = cands[i].id;
		if (v->idx->form == VR_FORM_QUANTISED)
			VrHnswValueOfRecord(&v->store, cands[i].rec, &plan->values[i]);
	}
	return n;
}

/* Takes dead neighbours out of a record that may be written to; adds others. */
static void
RepairApply(VrHnswVacuum *v, VrHnswRecord rec, const RepairPlan *plan)
{
	const VrHnswLayout *l = &v->idx->layout;
	uint32 *ids = VrHnswRecordIds(rec, l);
	int lane;
	int i;

	for (lane = rec->degree - 1; lane >= 0; lane--)
		if (VrHnswIdSetHas(&v->dead, ids[lane]))
			VrHnswDropLane(&v->store, rec, lane);
	for (i = 0; i < plan->nadded; i++)
	{
		if (rec->degree >= VrHnswDegreeLimit(l, rec->level))
			break;
		for (lane = 0; lane < rec->degree; lane++)
			if (ids[lane] == plan->added[i])
				break;
		if (lane == rec->degree)
			VrHnswSetLane(&v->store, rec, lane, plan->added[i],
						  &plan->values[i]);
	}
}

/* Plans the repair of a record, of which rec is a copy. */
static void
RepairPlanRecord(RepairSearch *s, uint32 id, VrHnswRecord rec, RepairPlan *plan)
{
	VrHnswVacuum *v = s->v;
	const VrHnswLayout *l = &v->idx->layout;
	const uint32 *ids = VrHnswRecordIds(rec, l);
	uint32 kept[VR_HNSW_MAX_LANES];
	VrHnswValue value;
	int nkept = 0;
	int want;
	int i;

	s->rec = rec;
	s->ndead = s->nfound = 0;
	s->query = NULL;
	memset(s->seen, 0xFF, sizeof(s->seen));
	RepairSeeNew(s, id);
	for (i = 0; i < rec->degree; i++)
	{
		if (!RepairSeeNew(s, ids[i]))
			continue;
		if (!VrHnswIdSetHas(&v->dead, ids[i]))
			kept[nkept++] = ids[i];
		else if (s->ndead < REPAIR_DEAD_MOST)
			s->dead[s->ndead++] = ids[i];
	}
	want = Min(rec->degree, VrHnswDegreeLimit(l, rec->level)) - nkept;
	want = Max(want, 0);
	VrHnswValueOfRecord(&v->store, rec, &value);
	s->value = value.data;
	if (v->idx->form == VR_FORM_QUANTISED)
	{
		if (v->query == NULL)
			v->query =
				MemoryContextAlloc(v->cxt, VrQuantQuerySize(&v->idx->quant));
		s->query = VrQuantQueryInit(&v->idx->quant, value.rotated,
									VR_QUERY_CODES | VR_QUERY_OWN, v->query);
	}
	/* s->ndead grows: a region that died as a whole is crossed. */
	for (i = 0; i < s->ndead; i++)
	{
		if (i >= REPAIR_DEAD && s->nfound >= want)
			break;
		if (i + 1 < s->ndead)
			VrHnswPrefetch(&v->store, s->dead[i + 1], 1024);
		RepairAsk(s, s->dead[i]);
	}
	RepairChoose(s, kept, nkept, want, plan);
	plan->before = rec;
	plan->after = palloc(l->record_size);
	memcpy(plan->after, rec, l->record_size);
	RepairApply(v, plan->after, plan);
	v->repaired++;
	VrHnswIdSetAdd(&v->touched, v->cxt, id);
	/* Half of what it had is too little, if the graph has more. */
	if (plan->after->degree == 0 || plan->after->degree * 2 < rec->degree)
		VrHnswIdSetAdd(&v->poor, v->cxt, id);
}

/* Whether a live record has a dead neighbour. */
static bool
RepairIsNeeded(VrHnswVacuum *v, VrHnswRecord rec)
{
	const VrHnswLayout *l = &v->idx->layout;
	const uint32 *ids = VrHnswRecordIds(rec, l);
	int i;

	if (!VrHnswRecordIsLive(rec) || rec->degree > l->lanes)
		return false;
	for (i = 0; i < rec->degree; i++)
		if (VrHnswIdSetHas(&v->dead, ids[i]))
			return true;
	return false;
}

/*
 * Repairs the records of a vertex page, which is pinned and not locked.
 * Allocates in v->page, which the caller resets.
 */
void
VrHnswRepairPage(VrHnswVacuum *v, Buffer buf)
{
	const VrHnswLayout *l = &v->idx->layout;
	uint32 first = BufferGetBlockNumber(buf) * l->slots;
	MemoryContext old = MemoryContextSwitchTo(v->page);
	Page page = BufferGetPage(buf);
	RepairPlan *plans;
	RepairSearch *search;
	char *copy = NULL;
	VrHnswEdit edit;
	int nplans = 0;
	int slot;
	int i;

	LockBuffer(buf, BUFFER_LOCK_SHARE);
	for (slot = 0; slot < l->slots && copy == NULL; slot++)
		if (RepairIsNeeded(v, (VrHnswRecord) (VrHnswPageContents(page) +
											  slot * l->record_size)))
		{
			copy = palloc(BLCKSZ);
			memcpy(copy, page, BLCKSZ);
		}
	LockBuffer(buf, BUFFER_LOCK_UNLOCK);
	if (copy == NULL)
	{
		MemoryContextSwitchTo(old);
		return;
	}

	plans = palloc(l->slots * sizeof(RepairPlan));
	search = palloc(sizeof(RepairSearch));
	search->v = v;
	for (slot = 0; slot < l->slots; slot++)
	{
		VrHnswRecord rec =
			(VrHnswRecord) (VrHnswPageContents(copy) + slot * l->record_size);

		if (!RepairIsNeeded(v, rec))
			continue;
		CHECK_FOR_INTERRUPTS();
		plans[nplans].slot = slot;
		RepairPlanRecord(search, first + slot, rec, &plans[nplans++]);
	}

	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	VrHnswEditBegin(&edit, &v->store);
	page = VrHnswEditPage(&edit, buf);
	for (i = 0; i < nplans; i++)
	{
		RepairPlan *plan = &plans[i];
		VrHnswRecord rec = (VrHnswRecord) (VrHnswPageContents(page) +
										   plan->slot * l->record_size);

		if (memcmp(rec, plan->before, l->record_size) == 0)
			memcpy(rec, plan->after, l->record_size);
		else if (VrHnswRecordIsLive(rec) && rec->level == plan->before->level)
			/* It has got neighbours meanwhile, or TIDs. */
			RepairApply(v, rec, plan);
	}
	VrHnswEditFinish(&edit);
	LockBuffer(buf, BUFFER_LOCK_UNLOCK);
	MemoryContextSwitchTo(old);
}
