/*
 * hnsw_image.c
 *		The array of records that a build works on.
 *
 * Readers of a record's neighbours hold its lock shared, writers exclusively;
 * a value never changes once an edge leads to it, so distances need no lock.
 * No two record locks are ever held at once.
 */
#include "postgres.h"

#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "hnsw/hnsw_image.h"

/* Bytes of a cache line, most everywhere. */
#define VR_IMAGE_LINE 64

/* So much of the memory may be taken by landmarks. */
#define VR_IMAGE_LANDMARKS_SHARE (1 / 16.0)

/* Records above level 0 for each one on it: 1/b + 1/b^2 + ..., and slack. */
static double
VrImageUpperShare(const VrHnswIndex *idx)
{
	return 1.2 / (VrHnswLevelBase(idx->form, &idx->layout, idx->m) - 1);
}

/*
 * Bytes before each record for its quick copy, such that the codes begin on a
 * cache line; 0 if the own value is as quick itself.
 */
static Size
VrImageQuickBytes(const VrHnswIndex *idx)
{
	const VrHnswLayout *l = &idx->layout;
	Size bytes;

	if (idx->form != VR_FORM_QUANTISED ||
		(l->own_kind != VR_OWN_F16 && l->own_kind != VR_OWN_F32))
		return 0;
	bytes = offsetof(VrHnswQuick, codes) + VrOwnBytes(VR_OWN_I8, l->padded);
	return TYPEALIGN(VR_IMAGE_LINE, bytes + l->codes_at) - l->codes_at;
}

/* Bytes from one record to the next. */
static Size
VrImageStride(const VrHnswIndex *idx, Size quick)
{
	return quick > 0 ? TYPEALIGN(VR_IMAGE_LINE, quick + idx->layout.record_size)
					 : idx->layout.record_size;
}

/* Bytes per row of an image, its share of the upper levels included. */
static double
VrImageRowBytes(const VrHnswIndex *idx, Size quick)
{
	return VrImageStride(idx, quick) * (1 + VrImageUpperShare(idx)) +
		   sizeof(VrImageTid);
}

double
VrHnswImageRowBytes(const VrHnswIndex *idx)
{
	return VrImageRowBytes(idx, VrImageQuickBytes(idx));
}

double
VrHnswImageCapacity(double rows)
{
	return rows * 1.1 + 1000;
}

double
VrHnswImageBytes(const VrHnswIndex *idx, double rows, double value_bytes)
{
	double capacity = VrHnswImageCapacity(rows);
	double records = capacity * VrHnswImageRowBytes(idx);
	double longs = 0;
	uint32 share;

	/* The shares are those of VrHnswImagePlan. */
	if (idx->form == VR_FORM_PLAIN)
	{
		if (idx->type == VR_TYPE_SPARSEVEC)
			longs = records / 15;
		else if (idx->layout.own_bytes == 0)
			longs = Max(records, capacity * value_bytes);
		if (longs > records)
			records = longs;
	}
	return records + longs + VR_IMAGE_LOCKS * sizeof(LWLock) +
		   64.0 * VrImageStride(idx, VrImageQuickBytes(idx)) + 3 * 4096 +
		   VrHnswLandmarksSize(
			   idx, VrHnswLandmarksPlan(
						idx, capacity,
						(Size) (records * VR_IMAGE_LANDMARKS_SHARE), &share));
}

Size
VrHnswImagePlan(const VrHnswIndex *idx, double rows, Size memory, bool locks,
				VrHnswImageShared *plan)
{
	Size fixed = BUFFERALIGN(sizeof(VrHnswImageShared)) +
				 (locks ? VR_IMAGE_LOCKS * sizeof(LWLock) : 0) + 4096;
	Size longs = 0;
	Size quick = VrImageQuickBytes(idx);
	uint32 landmarks;
	uint32 share;
	double fit;
	Size at;

	landmarks = VrHnswLandmarksPlan(
		idx, rows, (Size) (memory * VR_IMAGE_LANDMARKS_SHARE), &share);
	fixed += VrHnswLandmarksSize(idx, landmarks);

	/* Long values are rare in all but odd types; then they are all there is. */
	if (idx->form == VR_FORM_PLAIN && memory > fixed)
	{
		if (idx->type == VR_TYPE_SPARSEVEC)
			longs = (memory - fixed) / 16;
		else if (idx->layout.own_bytes == 0)
			longs = (memory - fixed) / 2;
	}
	/* Rather all rows in memory without quick copies than some with them. */
	if (quick > 0 && memory < fixed + rows * VrImageRowBytes(idx, quick) +
								  64 * VrImageStride(idx, quick))
		quick = 0;
	fit = memory > fixed + longs
			  ? (memory - fixed - longs) / VrImageRowBytes(idx, quick)
			  : 0;
	rows = Min(rows, fit);
	rows = Min(rows, 2e9);
	memset(plan, 0, sizeof(*plan));
	plan->cap0 = (uint32) rows;
	plan->cap_upper = (uint32) (rows * VrImageUpperShare(idx)) + 64;
	plan->cap_tids = (uint32) rows;
	plan->cap_long = longs;
	plan->quick = quick;
	plan->cap_landmarks = landmarks;
	plan->landmarks_share = share;
	at = BUFFERALIGN(sizeof(VrHnswImageShared));
	if (locks)
	{
		plan->locks_at = at;
		at += BUFFERALIGN(VR_IMAGE_LOCKS * sizeof(LWLock));
	}
	plan->tids_at = at;
	at += BUFFERALIGN((Size) plan->cap_tids * sizeof(VrImageTid));
	plan->landmarks_at = at;
	at += BUFFERALIGN(VrHnswLandmarksSize(idx, landmarks));
	at = TYPEALIGN(VR_IMAGE_LINE, at);
	plan->records_at = at;
	/* The memory itself may begin anywhere: see VrHnswImageAttach. */
	at += BUFFERALIGN(((Size) plan->cap0 + plan->cap_upper) *
					  VrImageStride(idx, quick)) +
		  VR_IMAGE_LINE;
	plan->long_at = at;
	at += longs;
	return at;
}

void
VrHnswImageCreate(void *mem, const VrHnswIndex *idx,
				  const VrHnswImageShared *plan, int tranche)
{
	VrHnswImageShared *shared = mem;

	*shared = *plan;
	pg_atomic_init_u32(&shared->n0, 0);
	pg_atomic_init_u32(&shared->nupper, 0);
	pg_atomic_init_u32(&shared->ntids, 0);
	pg_atomic_init_u64(&shared->nlong, 0);
	LWLockInitialize(&shared->raise_lock, tranche);
	LWLockInitialize(&shared->entry_lock, tranche);
	LWLockInitialize(&shared->flush_lock, tranche);
	LWLockInitialize(&shared->landmarks_lock, tranche);
	shared->entry = VR_HNSW_NO_VERTEX;
	shared->entry_level = -1;
	shared->flushed = false;
	if (plan->locks_at > 0)
	{
		LWLock *locks = (LWLock *) ((char *) mem + plan->locks_at);
		int i;

		for (i = 0; i < VR_IMAGE_LOCKS; i++)
			LWLockInitialize(&locks[i], tranche);
	}
	if (plan->cap_landmarks > 0)
	{
		VrHnswImage *image = VrHnswImageAttach(mem, idx);

		VrHnswLandmarksClear(idx, image);
		pfree(image->zero);
		pfree(image);
	}
}

VrHnswImage *
VrHnswImageAttach(void *mem, const VrHnswIndex *idx)
{
	VrHnswImageShared *shared = mem;
	VrHnswImage *image = palloc0(sizeof(VrHnswImage));

	image->shared = shared;
	image->quick = shared->quick;
	image->stride = VrImageStride(idx, image->quick);
	image->records =
		(char *) TYPEALIGN(VR_IMAGE_LINE, (char *) mem + shared->records_at) +
		image->quick;
	if (image->quick > 0)
	{
		image->quick_layout = idx->quant;
		image->quick_layout.own = VR_OWN_I8;
	}
	if (shared->cap_landmarks > 0)
	{
		image->landmark_factors =
			(VrEdgeFactors *) ((char *) mem + shared->landmarks_at);
		image->landmark_codes =
			(uint8 *) (image->landmark_factors +
					   shared->cap_landmarks / VR_QUANT_LANES);
		image->zero = palloc0(idx->layout.padded * sizeof(float));
	}
	image->tids = (VrImageTid *) ((char *) mem + shared->tids_at);
	image->longs = (char *) mem + shared->long_at;
	image->locks =
		shared->locks_at ? (LWLock *) ((char *) mem + shared->locks_at) : NULL;
	return image;
}

uint32
VrHnswImageMaxVertex(VrHnswImage *image)
{
	return image->shared->cap0 + image->shared->cap_upper;
}

/* Takes a record, zeroed. NO_VERTEX: the image is full. */
uint32
VrHnswImageAlloc(VrHnswImage *image, bool upper)
{
	VrHnswImageShared *shared = image->shared;
	pg_atomic_uint32 *next = upper ? &shared->nupper : &shared->n0;
	uint32 cap = upper ? shared->cap_upper : shared->cap0;
	uint32 n = pg_atomic_read_u32(next);

	/* Never beyond the capacity: the count says how many are in use. */
	while (n < cap)
	{
		if (pg_atomic_compare_exchange_u32(next, &n, n + 1))
		{
			uint32 id = upper ? shared->cap0 + n : n;

			/*
			 * Shared memory from min_dynamic_shared_memory is as whoever had it
			 * before has left it.
			 */
			memset(VrHnswImageRecord(image, id), 0,
				   image->stride - image->quick);
			return id;
		}
	}
	return VR_HNSW_NO_VERTEX;
}

/* Adds a TID to a record held exclusively. False: the image is full. */
bool
VrHnswImageAddTid(VrHnswImage *image, VrHnswRecord rec, ItemPointer tid)
{
	VrHnswImageShared *shared = image->shared;
	uint32 n = pg_atomic_read_u32(&shared->ntids);

	while (n < shared->cap_tids)
	{
		if (pg_atomic_compare_exchange_u32(&shared->ntids, &n, n + 1))
		{
			image->tids[n].tid = *tid;
			image->tids[n].next = rec->more_tids;
			rec->more_tids = n;
			return true;
		}
	}
	return false;
}

/* Keeps a value that does not fit the record. False: the image is full. */
bool
VrHnswImageAddLong(VrHnswImage *image, VrHnswRecord rec, const char *data,
				   uint32 bytes)
{
	VrHnswImageShared *shared = image->shared;
	uint64 units = MAXALIGN(bytes) / 8;
	uint64 n = pg_atomic_read_u64(&shared->nlong);

	while ((n + units) * 8 <= shared->cap_long && n + units < PG_UINT32_MAX)
	{
		if (pg_atomic_compare_exchange_u64(&shared->nlong, &n, n + units))
		{
			memcpy(image->longs + n * 8, data, bytes);
			rec->value_block = (uint32) n + 1; /* 0 is "inline" */
			return true;
		}
	}
	return false;
}

const char *
VrHnswImageLongValue(VrHnswImage *image, VrHnswRecord rec)
{
	return image->longs + (Size) (rec->value_block - 1) * 8;
}
