/*
 * hnsw_landmarks.c
 *		Vertices that a backend remembers of a quantised index, to begin
 *		searches at.
 *
 * A search that comes down the levels ends there near one or two vertices of
 * level 1, after a dozen visits and more, and where those are in the wrong
 * cluster only a wide search gets out of it. Codes of some thousand vertices
 * from all over the index, on the other hand, fit the processor's cache, and
 * one pass over them says which are nearest: README, "Landmarks".
 *
 * Nothing of it is on disk. A backend that searches an index again and again
 * reads a few pages with each search until it has as many landmarks as it
 * wants, and then goes on reading one now and then; when a few have changed,
 * all are read anew. So what it knows follows the index. Ids are hints, as
 * everywhere: a landmark whose slot has another vertex now is a bad guess, and
 * no more.
 *
 * The image of a build has landmarks too, which all its workers share: every so
 * many of its records, from when it is written.
 */
#include "postgres.h"

#include <math.h>

#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"

/* One vertex in so many is a landmark, up to hnsw.landmarks. */
#define LANDMARKS_SHARE 16

/* The most that an image has. */
#define LANDMARKS_IMAGE 4096

/* The index's first searches of a session do without, at no cost. */
#define LANDMARKS_PATIENCE 8

/* Read with a search: while there are too few, and of every so many later. */
#define LANDMARKS_AT_ONCE 32
#define LANDMARKS_RENEW 4

/* When so many of so many read again have changed, all are read anew. */
#define LANDMARKS_CHANGED 3
#define LANDMARKS_WATCHED 64

/* Pages looked at for one. */
#define LANDMARKS_TRIES 4

/* So many of the nearest are entered. */
#define LANDMARKS_ENTER 16

/* Their codes are no longer than that: it is the order of many that counts. */
#define LANDMARKS_BITS 256

/* An image with fewer is searched by the levels. */
#define LANDMARKS_FEW 64

struct VrHnswLandmarks
{
	MemoryContext cxt;   /* owner of this */
	uint32 max;          /* places, a multiple of 32 */
	BlockNumber nblocks; /* of the index, that places are spread over */
	uint32 filled;       /* places that were read, from the first on */
	uint32 next;         /* place to read next */
	uint32 due;          /* places to read soon */
	uint32 changed;      /* of the last places read again */
	float *zero;         /* the vertex that codes are relative to: the mean */
	float *value;        /* scratch */
	uint8 *codes;        /* max / 32 blocks */
	VrEdgeFactors *factors;
	uint32 *ids; /* NO_VERTEX: none */
};

/* Bits of a landmark's code. */
static inline int
LandmarksBits(const VrHnswLayout *l)
{
	return Min(l->code_bits, LANDMARKS_BITS);
}

/* Bytes of a block of 32. */
static inline Size
LandmarksBytes(const VrHnswLayout *l)
{
	return VR_CODE_BLOCK_BYTES(LandmarksBits(l)) + sizeof(VrEdgeFactors);
}

/* The block of codes that a place is in. */
static inline uint8 *
LandmarksCodes(const VrHnswLayout *l, uint8 *codes, uint32 place)
{
	return codes + (Size) (place / VR_QUANT_LANES) *
					   VR_CODE_BLOCK_BYTES(LandmarksBits(l));
}

/* Makes all of so many places empty. */
static void
LandmarksClear(const VrHnswLayout *l, uint8 *codes, VrEdgeFactors *factors,
			   uint32 places)
{
	uint32 place;

	for (place = 0; place < places; place += VR_QUANT_LANES)
		VrLaneClearAll(LandmarksBits(l), LandmarksCodes(l, codes, place),
					   &factors[place / VR_QUANT_LANES]);
}

/* The query of a search as landmarks want it; palloc'd in *mem, if at all. */
static const VrQuantQuery *
LandmarksQuery(const VrHnswSearch *s, void **mem)
{
	VrQuantLayout layout = s->store->idx->quant;

	*mem = NULL;
	if (layout.code_bits <= LANDMARKS_BITS)
		return s->qquery;
	layout.code_bits = LANDMARKS_BITS;
	*mem = palloc(VrQuantQuerySize(&layout));
	return VrQuantQueryInit(&layout, s->qquery->q, VR_QUERY_CODES, *mem);
}

/* How many an index should have. */
static uint32
LandmarksWanted(const VrHnswStore *store)
{
	double vertices = (double) store->nblocks * store->idx->layout.slots;
	uint32 n = (uint32) Min(vertices / LANDMARKS_SHARE, vr_hnsw_landmarks);

	return n / VR_QUANT_LANES * VR_QUANT_LANES;
}

static void
LandmarksForget(VrHnswIndex *idx)
{
	MemoryContext cxt = idx->landmarks->cxt;

	idx->landmarks = NULL;
	MemoryContextDelete(cxt);
}

/* Room for max landmarks, none yet. */
static void
LandmarksCreate(const VrHnswStore *store, uint32 max)
{
	VrHnswIndex *idx = store->idx;
	const VrHnswLayout *l = &idx->layout;
	uint32 blocks = max / VR_QUANT_LANES;
	MemoryContext cxt = AllocSetContextCreate(
		CurrentMemoryContext, "vecrecall hnsw landmarks", ALLOCSET_SMALL_SIZES);
	VrHnswLandmarks *lm = MemoryContextAllocZero(cxt, sizeof(*lm));

	lm->cxt = cxt;
	lm->max = lm->due = max;
	lm->nblocks = store->nblocks;
	lm->zero = MemoryContextAllocZero(cxt, l->padded * sizeof(float));
	lm->value = MemoryContextAlloc(cxt, l->padded * sizeof(float));
	lm->codes = MemoryContextAllocHuge(
		cxt, (Size) blocks * VR_CODE_BLOCK_BYTES(LandmarksBits(l)));
	lm->factors = MemoryContextAlloc(cxt, blocks * sizeof(VrEdgeFactors));
	lm->ids = MemoryContextAlloc(cxt, max * sizeof(uint32));
	/* NO_VERTEX is all ones. */
	memset(lm->ids, 0xFF, max * sizeof(uint32));
	LandmarksClear(l, lm->codes, lm->factors, max);
	MemoryContextSetParent(cxt, idx->cxt);
	idx->landmarks = lm;
}

/*
 * Finds the vertex of a place, and decodes its value. Places are spread over the
 * pages; one whose page has no vertex has one of the next pages. Returns its
 * id, or NO_VERTEX; *norm2 as of the own value's head.
 */
static uint32
LandmarksFind(VrHnswStore *store, VrHnswLandmarks *lm, uint32 place,
			  float *norm2)
{
	const VrHnswLayout *l = &store->idx->layout;
	BlockNumber nblocks = Min(lm->nblocks, store->nblocks);
	BlockNumber first =
		1 + (BlockNumber) ((uint64) place * (lm->nblocks - 1) / lm->max);
	uint32 found = VR_HNSW_NO_VERTEX;
	BlockNumber block;

	for (block = first; block < Min(first + LANDMARKS_TRIES, nblocks) &&
						found == VR_HNSW_NO_VERTEX;
		 block++)
	{
		VrHnswWalk w;

		VrHnswWalkBegin(&w, store, NULL, block * l->slots,
						(block + 1) * l->slots);
		while (found == VR_HNSW_NO_VERTEX && VrHnswWalkNext(&w))
			if (w.rec->level == 0)
			{
				const VrHnswOwnHead *head = VrHnswRecordOwnHead(w.rec, l);

				found = w.id;
				*norm2 = head->norm2;
				VrOwnDecode(l->own_kind, l->padded, &head->own,
							VrHnswRecordOwn(w.rec, l), lm->value);
			}
		VrHnswWalkEnd(&w);
	}
	return found;
}

/* Reads a place, for the first time or again. Returns whether it changed. */
static bool
LandmarksRead(VrHnswStore *store, VrHnswLandmarks *lm, uint32 place)
{
	const VrHnswLayout *l = &store->idx->layout;
	int lane = place % VR_QUANT_LANES;
	VrEdgeFactors *factors = &lm->factors[place / VR_QUANT_LANES];
	uint8 *codes = LandmarksCodes(l, lm->codes, place);
	uint8 row[VR_VECTOR_MAX_DIM / 8 + 64];
	uint32 before = lm->ids[place];
	float norm2 = 0;
	VrEdge edge;

	lm->ids[place] = LandmarksFind(store, lm, place, &norm2);
	if (lm->ids[place] == VR_HNSW_NO_VERTEX)
	{
		VrLaneClear(LandmarksBits(l), codes, factors, lane);
		return before != VR_HNSW_NO_VERTEX;
	}
	VrEdgeEncode(l->padded, LandmarksBits(l), lm->zero, lm->value, -norm2, row,
				 &edge);
	if (lm->ids[place] == before && edge.add == factors->add[lane])
		return false;
	VrLaneSet(LandmarksBits(l), codes, factors, lane, row, &edge);
	return true;
}

/*
 * Called once for each search of an index: reads what is due. Returns whether
 * there are landmarks to begin at.
 */
bool
VrHnswLandmarksTend(VrHnswStore *store)
{
	VrHnswIndex *idx = store->idx;
	VrHnswLandmarks *lm = idx->landmarks;
	uint32 wanted;
	uint32 n;

	if (idx->form != VR_FORM_QUANTISED || store->image)
		return false;
	wanted = LandmarksWanted(store);
	/* Much larger, or limited anew: begin again. */
	if (lm && (wanted > lm->max * 2 || lm->max > vr_hnsw_landmarks))
	{
		LandmarksForget(idx);
		lm = NULL;
	}
	if (wanted == 0)
		return false;
	if (idx->searches++ < LANDMARKS_PATIENCE)
		return false;
	if (lm == NULL)
	{
		LandmarksCreate(store, wanted);
		lm = idx->landmarks;
	}
	if (store->nblocks > lm->nblocks / 4 * 5)
	{
		lm->nblocks = store->nblocks;
		lm->due = lm->max;
	}
	n = lm->due > 0 ? LANDMARKS_AT_ONCE : idx->searches % LANDMARKS_RENEW == 0;
	lm->due -= Min(n, lm->due);
	for (; n > 0; n--)
	{
		bool changed = LandmarksRead(store, lm, lm->next++);

		lm->filled = Max(lm->filled, lm->next);
		if (lm->next == lm->max)
			lm->next = 0;
		if (lm->due > 0 || lm->next % LANDMARKS_WATCHED == 0)
			lm->changed = 0;
		else
			lm->changed += changed;
		if (lm->changed >= LANDMARKS_CHANGED)
			lm->due = lm->max;
	}
	return lm->filled == lm->max;
}

/*
 * The landmarks of an image of so many rows that may take so many bytes.
 * Returns how many, and in *share that every so many of the records is one.
 */
uint32
VrHnswLandmarksPlan(const VrHnswIndex *idx, double rows, Size bytes,
					uint32 *share)
{
	double max =
		Min((double) (bytes / LandmarksBytes(&idx->layout)) * VR_QUANT_LANES,
			LANDMARKS_IMAGE);

	*share = 0;
	if (idx->form != VR_FORM_QUANTISED || max < LANDMARKS_FEW)
		return 0;
	*share = (uint32) Max(ceil(rows / max), LANDMARKS_SHARE);
	return TYPEALIGN(VR_QUANT_LANES, (uint32) (rows / *share) + 1);
}

/* Bytes of n landmarks of an image. */
Size
VrHnswLandmarksSize(const VrHnswIndex *idx, uint32 n)
{
	return n / VR_QUANT_LANES * LandmarksBytes(&idx->layout);
}

/* Makes all places of an image's landmarks empty. */
void
VrHnswLandmarksClear(const VrHnswIndex *idx, VrHnswImage *image)
{
	LandmarksClear(&idx->layout, image->landmark_codes, image->landmark_factors,
				   image->shared->cap_landmarks);
}

/*
 * A record of level 0 of an image is written: it may be a landmark. Others may
 * read its place at the same time; what they see is a guess, too.
 */
void
VrHnswLandmarksNote(VrHnswStore *store, uint32 id, const VrHnswValue *value)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswImage *image = store->image;
	uint32 share = image->shared->landmarks_share;
	uint32 place = share > 0 ? id / share : 0;
	uint8 row[VR_VECTOR_MAX_DIM / 8 + 64];
	VrEdge edge;

	if (share == 0 || id % share != 0 || place >= image->shared->cap_landmarks)
		return;
	VrEdgeEncode(l->padded, LandmarksBits(l), image->zero, value->rotated,
				 -value->norm2, row, &edge);
	/* Lanes of a block share bytes. */
	LWLockAcquire(&image->shared->landmarks_lock, LW_EXCLUSIVE);
	VrLaneSet(LandmarksBits(l), LandmarksCodes(l, image->landmark_codes, place),
			  &image->landmark_factors[place / VR_QUANT_LANES],
			  place % VR_QUANT_LANES, row, &edge);
	LWLockRelease(&image->shared->landmarks_lock);
}

/* Whether an image has landmarks enough to begin searches at. */
bool
VrHnswLandmarksOfImage(const VrHnswStore *store)
{
	VrHnswImageShared *shared;

	if (store->image == NULL)
		return false;
	shared = store->image->shared;
	return shared->landmarks_share > 0 &&
		   pg_atomic_read_u32(&shared->n0) >
			   LANDMARKS_FEW * shared->landmarks_share;
}

/*
 * Enters level 0 at the landmarks nearest to the query, by estimate, after
 * VrHnswLandmarksTend or VrHnswLandmarksOfImage. Returns whether there is one.
 */
bool
VrHnswLandmarksEnter(VrHnswSearch *s)
{
	VrHnswStore *store = s->store;
	const VrHnswLandmarks *lm = store->idx->landmarks;
	const VrHnswImage *image = store->image;
	const uint8 *codes = image ? image->landmark_codes : lm->codes;
	const VrEdgeFactors *factors =
		image ? image->landmark_factors : lm->factors;
	int bytes = VR_CODE_BLOCK_BYTES(LandmarksBits(&store->idx->layout));
	uint32 max_id = VrHnswMaxVertex(store);
	uint32 places = lm ? lm->max : 0;
	float best[LANDMARKS_ENTER];
	uint32 ids[LANDMARKS_ENTER];
	float limit = VR_ESTIMATE_MAX;
	int n = 0;
	uint32 set;
	void *mem;
	const VrQuantQuery *query = LandmarksQuery(s, &mem);

	if (image)
		places = Min(pg_atomic_read_u32(&image->shared->n0) /
							 image->shared->landmarks_share +
						 1,
					 image->shared->cap_landmarks);
	for (set = 0; set * VR_QUANT_LANES < places; set++)
	{
		float est[VR_QUANT_LANES];
		uint32 mask =
			VrEstimate32(query, query->norm2, codes + (Size) set * bytes,
						 &factors[set], limit, est);

		for (; mask != 0; mask &= mask - 1)
		{
			int lane = __builtin_ctz(mask);
			uint32 place = set * VR_QUANT_LANES + lane;
			uint32 id =
				image ? place * image->shared->landmarks_share : lm->ids[place];
			int i;

			/* Of long ago: the index may be another's pages by now. */
			if (est[lane] >= limit || id >= max_id)
				continue;
			if (n < LANDMARKS_ENTER)
				n++;
			for (i = n - 1; i > 0 && best[i - 1] > est[lane]; i--)
			{
				best[i] = best[i - 1];
				ids[i] = ids[i - 1];
			}
			best[i] = est[lane];
			ids[i] = id;
			if (n == LANDMARKS_ENTER)
				limit = best[n - 1];
		}
	}
	if (mem)
		pfree(mem);
	/* A record was written before it became a landmark. */
	pg_read_barrier();
	if (n > 0)
		VrHnswPoolAddSome(&s->pool, best, ids, n, s->rule);
	return n > 0;
}
