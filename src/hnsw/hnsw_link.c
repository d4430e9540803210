/*
 * hnsw_link.c
 *		Which neighbours a vertex gets, and how they stand in its record.
 *
 * A new vertex selects diverse neighbours among the candidates of its search.
 * A neighbour that is full decides by itself whether the newcomer takes a
 * place: by the distances between the newcomer and its present neighbours,
 * which a quantised record estimates without reading another page. README,
 * "Linking", argues both rules.
 */
#include "postgres.h"

#include <float.h>

#include "utils/memutils.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"

/*
 * How much nearer to a chosen neighbour than to the vertex a candidate must be
 * to count as shadowed, on squared distances: alpha = 1.2 on distances of
 * quantised records, 1.1 on those of plain ones. Inner products, whose
 * "distances" can be negative, and what is no squared distance take 1; so do
 * plain cosines (README, "Linking").
 */
#define LINK_ALPHA_QUANTISED 1.44f
#define LINK_ALPHA_PLAIN 1.21f

/* Of a record's lanes, how many for one that may be a stem. */
#define LINK_STEM_SHARE 8

static inline float
LinkAlpha(const VrHnswIndex *idx)
{
	if (idx->form == VR_FORM_QUANTISED)
		return idx->metric == VR_METRIC_IP ? 1.0f : LINK_ALPHA_QUANTISED;
	return idx->metric == VR_METRIC_L2 ? LINK_ALPHA_PLAIN : 1.0f;
}

int
VrHnswDegreeLimit(const VrHnswLayout *layout, int level)
{
	return level == 0 ? layout->degree0 : layout->degree;
}

/*
 * Distance of two records' values, comparable with hits' distances under the
 * form's convention: for quantised inner product, twice the negative product.
 */
float
VrHnswPairDistance(VrHnswStore *store, VrHnswRecord a, const char *avalue,
				   VrHnswRecord b, const char *bvalue)
{
	const VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;

	if (idx->form == VR_FORM_PLAIN)
		return VrHnswDistance(idx, avalue, a->value_bytes, bvalue,
							  b->value_bytes);
	else
	{
		const VrHnswOwnHead *ha = VrHnswRecordOwnHead(a, l);
		const VrHnswOwnHead *hb = VrHnswRecordOwnHead(b, l);

		/* In an image, both are records of it. */
		if (store->image && store->image->quick > 0)
		{
			const VrHnswQuick *qa = VrHnswImageQuick(store->image, a);
			const VrHnswQuick *qb = VrHnswImageQuick(store->image, b);
			float err2 =
				qa->head.err * qa->head.err + qb->head.err * qb->head.err;
			float d = VrOwnPairDistance(VR_OWN_I8, l->padded, &qa->head,
										qa->codes, &qb->head, qb->codes);

			if (likely(!VrOwnIsRough(l->padded, d, err2)))
				return d - ha->norm2 - hb->norm2;
		}
		return VrOwnPairDistance(l->own_kind, l->padded, &ha->own, avalue,
								 &hb->own, bvalue) -
			   ha->norm2 - hb->norm2;
	}
}

/*
 * Reorders cands, sorted by d, so that the first n (returned, at most limit)
 * are those to link: first each candidate that no chosen one shadows, then,
 * while there is room, the nearest shadowed ones; *chosen is the number of the
 * former. d of quantised inner product
 * must be twice the negative product, as VrHnswPairDistance's.
 */
int
VrHnswSelect(VrHnswStore *store, VrHnswNeighbour *cands, int ncands, int limit,
			 int *chosen)
{
	float alpha = LinkAlpha(store->idx);
	VrHnswNeighbour *shadowed = palloc(Max(ncands, 1) * sizeof(*cands));
	int nshadowed = 0;
	int n = 0;
	int i;

	for (i = 0; i < ncands && n < limit; i++)
	{
		int k;

		for (k = 0; k < n; k++)
			if (alpha * VrHnswPairDistance(store, cands[i].rec, cands[i].value,
										   cands[k].rec, cands[k].value) <
				cands[i].d)
				break;
		if (k < n)
			shadowed[nshadowed++] = cands[i];
		else
			cands[n++] = cands[i];
	}
	*chosen = n;
	for (i = 0; i < nshadowed && n < limit; i++)
		cands[n++] = shadowed[i];
	pfree(shadowed);
	return n;
}

/*
 * Reorders cands, sorted by d, so that the first n (returned, at most limit)
 * are those to link besides the kept neighbours: first what no nearer one
 * shadows, kept or chosen, then the nearest of the rest.
 */
int
VrHnswSelectMore(VrHnswStore *store, const VrHnswNeighbour *kept, int nkept,
				 VrHnswNeighbour *cands, int ncands, int limit)
{
	float alpha = LinkAlpha(store->idx);
	VrHnswNeighbour *shadowed = palloc(Max(ncands, 1) * sizeof(*cands));
	int nshadowed = 0;
	int n = 0;
	int i;

	for (i = 0; i < ncands && n < limit; i++)
	{
		bool free = true;
		int k;

		for (k = 0; k < n && free; k++)
			free =
				alpha * VrHnswPairDistance(store, cands[i].rec, cands[i].value,
										   cands[k].rec, cands[k].value) >=
				cands[i].d;
		for (k = 0; k < nkept && free; k++)
			free =
				kept[k].d > cands[i].d ||
				alpha * VrHnswPairDistance(store, cands[i].rec, cands[i].value,
										   kept[k].rec, kept[k].value) >=
					cands[i].d;
		if (free)
			cands[n++] = cands[i];
		else
			shadowed[nshadowed++] = cands[i];
	}
	for (i = 0; i < nshadowed && n < limit; i++)
		cands[n++] = shadowed[i];
	pfree(shadowed);
	return n;
}

/* Writes neighbour u (floats) into a lane of v's record. */
static void
LinkEncode(const VrHnswIndex *idx, VrHnswRecord rec, int lane, const float *v,
		   const float *u, float norm2)
{
	const VrHnswLayout *l = &idx->layout;
	int set = lane / VR_QUANT_LANES;
	uint8 row[VR_VECTOR_MAX_DIM / 8 + 64];
	VrEdge edge;

	VrEdgeEncode(l->padded, l->code_bits, v, u, -norm2, row, &edge);
	VrLaneSet(l->code_bits, VrHnswRecordCodes(rec, l, set),
			  VrHnswRecordFactors(rec, l, set), lane % VR_QUANT_LANES, row,
			  &edge);
}

/*
 * Writes v's neighbours from the set's first on, if there are so many, into one
 * set of lanes of its record. u is scratch.
 */
static void
LinkEncodeSet(const VrHnswIndex *idx, VrHnswRecord rec, int set, const float *v,
			  const VrHnswNeighbour *neighbours, int n, float *u)
{
	int first = set * VR_QUANT_LANES;
	const VrHnswLayout *l = &idx->layout;
	const VrOwnHead *heads[VR_QUANT_LANES];
	const void *values[VR_QUANT_LANES];
	float extra[VR_QUANT_LANES];
	int i;

	n = Max(Min(n - first, VR_QUANT_LANES), 0);
	for (i = 0; i < n; i++)
	{
		const VrHnswNeighbour *neighbour = &neighbours[first + i];
		const VrHnswOwnHead *h = VrHnswRecordOwnHead(neighbour->rec, l);

		heads[i] = &h->own;
		values[i] = neighbour->value;
		extra[i] = -h->norm2;
	}
	VrEdgeBlockEncodeOwn(l->padded, l->code_bits, v, n, l->own_kind, heads,
						 values, extra, u, VrHnswRecordCodes(rec, l, set),
						 VrHnswRecordFactors(rec, l, set));
}

/*
 * Fills a zeroed record with a value and its neighbours on that level. The
 * caller sets TIDs, flags, base and down. A plain value that does not fit is
 * the caller's to place; value_bytes tells.
 */
void
VrHnswFillRecord(VrHnswStore *store, VrHnswRecord rec, const VrHnswValue *value,
				 int level, const VrHnswNeighbour *neighbours, int n,
				 int chosen)
{
	const VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;
	uint32 *ids = VrHnswRecordIds(rec, l);
	int i;

	rec->level = level;
	rec->degree = n;
	rec->chosen = chosen;
	rec->value_bytes = value->bytes;
	rec->more_tids = VR_HNSW_NO_VERTEX;
	rec->down = VR_HNSW_NO_VERTEX;
	if (l->nattrs > 0)
	{
		rec->attr_nulls = value->attr_nulls;
		memcpy(VrHnswRecordAttrs(rec, l), value->attrs,
			   l->nattrs * sizeof(uint64));
	}
	for (i = 0; i < n; i++)
		ids[i] = neighbours[i].id;
	if (idx->form == VR_FORM_PLAIN)
	{
		if (value->bytes <= l->own_bytes)
			memcpy(VrHnswRecordOwn(rec, l), value->data, value->bytes);
	}
	else
	{
		VrHnswOwnHead *head = VrHnswRecordOwnHead(rec, l);
		float *u = palloc(l->padded * sizeof(float));

		head->own = value->head;
		head->norm2 = value->norm2;
		memcpy(VrHnswRecordOwn(rec, l), value->data, l->own_bytes);
		if (store->image && store->image->quick > 0)
		{
			VrHnswQuick *quick = VrHnswImageQuick(store->image, rec);

			VrOwnEncode(VR_OWN_I8, l->padded, value->rotated, &quick->head,
						quick->codes);
		}
		for (i = 0; i < l->lanes / VR_QUANT_LANES; i++)
			LinkEncodeSet(idx, rec, i, value->rotated, neighbours, n, u);
		pfree(u);
	}
}

/*
 * Distances from a record and from the newcomer to the record's neighbours.
 * Plain: their records are read, so the record is a copy or in an image, and
 * no lock is held. A neighbour that is gone counts as farthest. Returns false
 * as soon as one is met that is nearer than refuse and shadows a newcomer at
 * that distance. All others are measured from the record; from the newcomer
 * only if all is wanted, or the choice of a lane depends on it.
 */
static bool
LinkMeasurePlain(VrHnswStore *store, VrHnswRecord target,
				 const VrHnswNewcomer *newcomer, float refuse, bool all,
				 float *du, float *dx)
{
	float alpha = LinkAlpha(store->idx);
	const VrHnswIndex *idx = store->idx;
	const uint32 *ids = VrHnswRecordIds(target, &idx->layout);
	const char *tvalue = VrHnswRecordValue(store, target);
	int i;

	/* A long value stands in scratch that the next one will take. */
	if (target->value_block != VR_HNSW_NO_BLOCK && !store->image)
	{
		char *copy = palloc(target->value_bytes);

		memcpy(copy, tvalue, target->value_bytes);
		tvalue = copy;
	}
	for (i = 0; i < target->degree; i++)
	{
		VrHnswRef ref;
		const char *value;

		du[i] = FLT_MAX;
		dx[i] = -FLT_MAX; /* and as shadowed: first to go */
		if (!VrHnswVisit(store, ids[i], target->level,
						 store->image ? BUFFER_LOCK_UNLOCK : BUFFER_LOCK_SHARE,
						 &ref))
			continue;
		if (VrHnswRecordIsLive(ref.rec))
		{
			value = VrHnswRecordValue(store, ref.rec);
			du[i] = VrHnswDistance(idx, tvalue, target->value_bytes, value,
								   ref.rec->value_bytes);
			if (all || i < target->chosen || du[i] <= refuse)
				dx[i] = VrHnswDistance(idx, newcomer->value->data,
									   newcomer->value->bytes, value,
									   ref.rec->value_bytes);
		}
		VrHnswRelease(&ref);
		if (du[i] <= refuse && alpha * dx[i] < refuse)
			return false;
	}
	return true;
}

/* The same, quantised: estimates from the record alone. d is d(x, u). */
static void
LinkMeasureQuantised(VrHnswStore *store, VrHnswRecord target,
					 const VrHnswNewcomer *newcomer, float d, float *du,
					 float *dx)
{
	const VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;
	const VrHnswOwnHead *head = VrHnswRecordOwnHead(target, l);
	bool ip = idx->metric == VR_METRIC_IP;
	VrQuantQuery *self = NULL;
	void *self_mem = NULL; /* self is aligned within it */
	float norm_x = newcomer->value->norm2;
	int at;

	if (ip)
	{
		float *v = palloc(l->padded * sizeof(float));

		VrOwnDecode(l->own_kind, l->padded, &head->own,
					VrHnswRecordOwn(target, l), v);
		self_mem = palloc(VrQuantQuerySize(&idx->quant));
		self = VrQuantQueryInit(&idx->quant, v, VR_QUERY_CODES, self_mem);
		pfree(v);
	}
	for (at = 0; at < target->degree; at += VR_QUANT_LANES)
	{
		int set = at / VR_QUANT_LANES;
		int n = Min(target->degree - at, VR_QUANT_LANES);
		const VrEdgeFactors *factors = VrHnswRecordFactors(target, l, set);
		const uint8 *codes = VrHnswRecordCodes(target, l, set);
		float est[VR_QUANT_LANES];
		float norms[VR_QUANT_LANES];
		int i;

		/* g is the plain squared distance, for any metric. */
		VrEstimate32(newcomer->query, ip ? d + norm_x + head->norm2 : d, codes,
					 factors, FLT_MAX, est);
		for (i = 0; i < n; i++)
			dx[at + i] = ip ? est[i] - norm_x : Max(est[i], 0);
		if (ip)
		{
			VrEstimate32(self, 0, codes, factors, FLT_MAX, est);
			for (i = 0; i < n; i++)
				du[at + i] = est[i] - head->norm2;
		}
		else
		{
			VrEdgeNorms(l->padded, l->code_bits, factors, norms);
			for (i = 0; i < n; i++)
			{
				du[at + i] = norms[i] * norms[i];
			}
		}
	}
	if (self_mem)
		pfree(self_mem);
}

/*
 * Which lane of a record a newcomer at distance d takes: one past the last if
 * there is room, that of a neighbour it replaces, or -1 for none. With force
 * there is one, unless all are stems. Plain: see LinkMeasurePlain for what may
 * be held.
 *
 * The newcomer is turned away if a nearer neighbour shadows it. Else it
 * replaces the farthest of those that it shadows and of those that are there
 * only because there was room; if there are none, the farthest of all. So a
 * far neighbour that nothing shadows, which may be an outlier's only way in,
 * goes last. Stems stay. On level 0 force is for a lane that can be a stem.
 */
int
VrHnswChooseLane(VrHnswStore *store, VrHnswRecord target,
				 const VrHnswNewcomer *newcomer, float d, bool force)
{
	float du[VR_HNSW_MAX_LANES];
	float dx[VR_HNSW_MAX_LANES];
	float alpha = LinkAlpha(store->idx);
	bool to_hang = force && target->level == 0;
	int victim = -1;
	int farthest = -1;
	int i;

	if (target->degree <
			VrHnswDegreeLimit(&store->idx->layout, target->level) &&
		!(to_hang && target->degree >= VR_HNSW_STEM_LANES))
		return target->degree;
	if (store->idx->form == VR_FORM_QUANTISED)
		LinkMeasureQuantised(store, target, newcomer, d, du, dx);
	else if (!LinkMeasurePlain(store, target, newcomer, force ? -FLT_MAX : d,
							   false, du, dx))
		return -1;
	for (i = 0; i < target->degree; i++)
	{
		if (du[i] <= d && alpha * dx[i] < d && !force)
			return -1;
		if (VrHnswIsStem(target, i) || (to_hang && i >= VR_HNSW_STEM_LANES))
			continue;
		if (du[i] > d && (i >= target->chosen || alpha * dx[i] < du[i]) &&
			(victim < 0 || du[i] > du[victim]))
			victim = i;
		if (farthest < 0 || du[i] > du[farthest])
			farthest = i;
	}
	if (victim >= 0)
		return victim;
	return farthest >= 0 && (du[farthest] > d || force) ? farthest : -1;
}

/* Whether a record of level 0 may have one more stem. */
bool
VrHnswHasStemRoom(const VrHnswLayout *layout, VrHnswRecord rec)
{
	return rec->level == 0 && pg_popcount32(VrHnswRecordStems(rec)) <
								  Max(layout->degree0 / LINK_STEM_SHARE, 2);
}

/* Marks a lane of level 0 as a stem, or not. */
void
VrHnswMarkStem(VrHnswRecord rec, int lane, bool stem)
{
	if (rec->level > 0 || lane >= VR_HNSW_STEM_LANES)
		return;
	if (stem)
		rec->down &= ~((uint32) 1 << lane);
	else
		rec->down |= (uint32) 1 << lane;
}

/*
 * The stems of a record, a copy or in an image: their lanes, and their
 * distances to a newcomer that is at distance d. Returns how many.
 */
int
VrHnswStems(VrHnswStore *store, VrHnswRecord rec,
			const VrHnswNewcomer *newcomer, float d, int *lanes, float *dx)
{
	float du[VR_HNSW_MAX_LANES];
	float all[VR_HNSW_MAX_LANES];
	int n = 0;
	int i;

	if (VrHnswRecordStems(rec) == 0)
		return 0;
	if (store->idx->form == VR_FORM_PLAIN)
		LinkMeasurePlain(store, rec, newcomer, -FLT_MAX, true, du, all);
	else
		LinkMeasureQuantised(store, rec, newcomer, d, du, all);
	for (i = 0; i < Min(rec->degree, VR_HNSW_STEM_LANES); i++)
		if (VrHnswIsStem(rec, i) && du[i] < FLT_MAX)
		{
			lanes[n] = i;
			dx[n++] = all[i];
		}
	return n;
}

/*
 * Puts a vertex into a lane of a record that the caller may write to. A lane
 * one past the last lengthens the list.
 */
void
VrHnswSetLane(VrHnswStore *store, VrHnswRecord target, int lane, uint32 id,
			  const VrHnswValue *value)
{
	const VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;

	Assert(lane <= target->degree && lane < l->lanes);
	VrHnswRecordIds(target, l)[lane] = id;
	VrHnswMarkStem(target, lane, false);
	if (lane == target->degree)
		target->degree++;
	if (idx->form == VR_FORM_QUANTISED)
	{
		const VrHnswOwnHead *head = VrHnswRecordOwnHead(target, l);
		float *v = palloc(l->padded * sizeof(float));

		VrOwnDecode(l->own_kind, l->padded, &head->own,
					VrHnswRecordOwn(target, l), v);
		LinkEncode(idx, target, lane, v, value->rotated, value->norm2);
		pfree(v);
	}
}

/*
 * The value of a record that the caller holds or has a copy of, as a newcomer
 * has it. Points into the record, or into new memory. Without attributes.
 */
void
VrHnswValueOfRecord(VrHnswStore *store, VrHnswRecord rec, VrHnswValue *value)
{
	const VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;

	memset(value, 0, sizeof(*value));
	value->bytes = rec->value_bytes;
	value->data = VrHnswRecordValue(store, rec);
	if (rec->value_block != VR_HNSW_NO_BLOCK && !store->image)
	{
		char *copy = palloc(rec->value_bytes);

		memcpy(copy, value->data, rec->value_bytes);
		value->data = copy;
	}
	if (idx->form == VR_FORM_QUANTISED)
	{
		const VrHnswOwnHead *head = VrHnswRecordOwnHead(rec, l);

		value->head = head->own;
		value->norm2 = head->norm2;
		value->rotated = palloc(l->padded * sizeof(float));
		VrOwnDecode(l->own_kind, l->padded, &head->own, value->data,
					value->rotated);
	}
}

/* Copies a lane of a record over another. */
static void
LinkCopyLane(VrHnswStore *store, VrHnswRecord rec, int to, int from)
{
	const VrHnswLayout *l = &store->idx->layout;
	uint32 *ids = VrHnswRecordIds(rec, l);
	int to_set = to / VR_QUANT_LANES;
	int from_set = from / VR_QUANT_LANES;

	if (to == from)
		return;
	ids[to] = ids[from];
	VrHnswMarkStem(rec, to, VrHnswIsStem(rec, from));
	if (store->idx->form == VR_FORM_QUANTISED)
		VrLaneCopy(l->code_bits, VrHnswRecordCodes(rec, l, to_set),
				   VrHnswRecordFactors(rec, l, to_set), to % VR_QUANT_LANES,
				   VrHnswRecordCodes(rec, l, from_set),
				   VrHnswRecordFactors(rec, l, from_set),
				   from % VR_QUANT_LANES);
}

/* Takes a neighbour out; the last one moves into its lane. */
void
VrHnswDropLane(VrHnswStore *store, VrHnswRecord target, int lane)
{
	const VrHnswLayout *l = &store->idx->layout;
	uint32 *ids = VrHnswRecordIds(target, l);
	int last = target->degree - 1;

	Assert(lane <= last);
	/* Those selected stay in front: close their gap first. */
	if (lane < target->chosen)
	{
		target->chosen--;
		LinkCopyLane(store, target, lane, target->chosen);
		lane = target->chosen;
	}
	LinkCopyLane(store, target, lane, last);
	if (store->idx->form == VR_FORM_QUANTISED)
		VrLaneClear(l->code_bits,
					VrHnswRecordCodes(target, l, last / VR_QUANT_LANES),
					VrHnswRecordFactors(target, l, last / VR_QUANT_LANES),
					last % VR_QUANT_LANES);
	ids[last] = 0;
	VrHnswMarkStem(target, last, false);
	target->degree--;
}
