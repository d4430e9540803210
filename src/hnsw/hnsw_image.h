/*
 * hnsw_image.h
 *		Records in memory while an index is built: one array that all workers
 *		share, written to pages at the end or when it is full.
 */
#ifndef VR_HNSW_IMAGE_H
#define VR_HNSW_IMAGE_H

#include "hnsw/hnsw_private.h"

/* Locks of records, shared by hash of the id. A power of two. */
#define VR_IMAGE_LOCKS 8192

/* A further heap TID of a vertex; rec->more_tids is the index of the newest. */
typedef struct VrImageTid
{
	uint32 next;
	ItemPointerData tid;
} VrImageTid;

/* What is shared by all who build. In DSM if there are workers. */
typedef struct VrHnswImageShared
{
	pg_atomic_uint32 n0;     /* records of level 0 taken */
	pg_atomic_uint32 nupper; /* records of upper levels taken */
	pg_atomic_uint32 ntids;
	pg_atomic_uint64 nlong;
	LWLock raise_lock; /* held by an insertion that may raise the entry */
	LWLock entry_lock; /* protects the next two */
	uint32 entry;
	int32 entry_level;
	/*
	 * Held shared by every insertion into the image, exclusively by the one
	 * who writes it out; flushed may be read by holders.
	 */
	LWLock flush_lock;
	bool flushed;
	LWLock landmarks_lock;  /* held to write one of the landmarks */
	uint32 cap_landmarks;   /* a multiple of 32; 0: there are none */
	uint32 landmarks_share; /* one record of level 0 in so many is one */
	/* Fixed sizes, so that a worker can find the parts. */
	uint32 cap0;
	uint32 cap_upper;
	uint32 cap_tids;
	Size cap_long;
	Size quick; /* bytes before each record for its VrHnswQuick; 0: none */
	Size landmarks_at;
	Size records_at;
	Size tids_at;
	Size long_at;
	Size locks_at; /* 0: no locks, one builder only */
} VrHnswImageShared;

/*
 * A second copy of a record's own value, in 8 bits a coordinate. It stands right
 * before the record's head, so that the distance, the neighbours' ids and their
 * codes are one stretch of memory. Only where the own value is floating point,
 * and maintenance_work_mem has room for it.
 */
typedef struct VrHnswQuick
{
	VrOwnHead head;
	uint32 spare;
	uint8 codes[FLEXIBLE_ARRAY_MEMBER];
} VrHnswQuick;

struct VrHnswImage
{
	VrHnswImageShared *shared;
	char *records;
	Size stride;
	Size quick;                 /* as in shared */
	VrQuantLayout quick_layout; /* of queries, if there are quick copies */
	uint8 *landmark_codes; /* hnsw_landmarks.c: cap_landmarks / 32 blocks */
	VrEdgeFactors *landmark_factors;
	float *zero; /* the vertex that those codes are relative to: the mean */
	VrImageTid *tids;
	char *longs;
	LWLock *locks; /* or NULL */
};

/* Sizes an image for rows rows within memory bytes; returns bytes to get. */
extern Size VrHnswImagePlan(const VrHnswIndex *idx, double rows, Size memory,
							bool locks, VrHnswImageShared *plan);
/* Lays an image out in mem, which the caller got and owns. */
extern void VrHnswImageCreate(void *mem, const VrHnswIndex *idx,
							  const VrHnswImageShared *plan, int tranche);
/* A backend's handle on an image laid out before. */
extern VrHnswImage *VrHnswImageAttach(void *mem, const VrHnswIndex *idx);
/* Rows that a build makes room for when it expects rows. */
extern double VrHnswImageCapacity(double rows);
/*
 * The memory with which an image has room for all that a build of rows, each of
 * value_bytes, expects; only what the form keeps apart counts value_bytes.
 */
extern double VrHnswImageBytes(const VrHnswIndex *idx, double rows,
							   double value_bytes);
/* Bytes that a vertex takes, for the NOTICE about memory. */
extern double VrHnswImageRowBytes(const VrHnswIndex *idx);

extern uint32 VrHnswImageMaxVertex(VrHnswImage *image);
extern const char *VrHnswImageLongValue(VrHnswImage *image, VrHnswRecord rec);
extern uint32 VrHnswImageAlloc(VrHnswImage *image, bool upper);
extern bool VrHnswImageAddTid(VrHnswImage *image, VrHnswRecord rec,
							  ItemPointer tid);
extern bool VrHnswImageAddLong(VrHnswImage *image, VrHnswRecord rec,
							   const char *data, uint32 bytes);

/* Writes everything to the empty index's pages; see hnsw_flush.c. */
extern void VrHnswImageFlush(VrHnswImage *image, VrHnswStore *store);

static inline VrHnswRecord
VrHnswImageRecord(VrHnswImage *image, uint32 id)
{
	return (VrHnswRecord) (image->records + (Size) id * image->stride);
}

static inline VrHnswQuick *
VrHnswImageQuick(const VrHnswImage *image, VrHnswRecord rec)
{
	return (VrHnswQuick *) ((char *) rec - image->quick);
}

static inline LWLock *
VrHnswImageLock(VrHnswImage *image, uint32 id)
{
	return image->locks ? &image->locks[id & (VR_IMAGE_LOCKS - 1)] : NULL;
}

/* Holds a record of an image. lockmode as for buffers; UNLOCK is no lock. */
static inline bool
VrHnswImageVisit(VrHnswImage *image, uint32 id, int lockmode, VrHnswRef *ref)
{
	ref->buf = InvalidBuffer;
	ref->rec = VrHnswImageRecord(image, id);
	ref->lock = NULL;
	if (image->locks && lockmode != BUFFER_LOCK_UNLOCK)
	{
		ref->lock = VrHnswImageLock(image, id);
		LWLockAcquire(ref->lock,
					  lockmode == BUFFER_LOCK_SHARE ? LW_SHARED : LW_EXCLUSIVE);
	}
	return true;
}

#endif /* VR_HNSW_IMAGE_H */
