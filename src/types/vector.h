/*
 * vector.h
 *		Memory and disk layout of vector, halfvec and sparsevec.
 *
 * The layouts are pgvector's, byte for byte, so that other extensions and
 * existing heaps can be read. The only header of this folder that others
 * include. Include after "postgres.h" and "fmgr.h".
 */
#ifndef VR_VECTOR_H
#define VR_VECTOR_H

#include "base/vr_compat.h"
#include "base/vr_defs.h"

/* Varlena: vector and halfvec have at least one element. */
typedef struct VrVector
{
	int32 vl_len_; /* varlena header, do not touch directly */
	int16 dim;     /* number of elements */
	int16 unused;  /* always 0 */
	float x[FLEXIBLE_ARRAY_MEMBER];
} VrVector;

typedef struct VrHalfVec
{
	int32 vl_len_;
	int16 dim;
	int16 unused;
	vr_half x[FLEXIBLE_ARRAY_MEMBER];
} VrHalfVec;

/* nnz sorted 0-based indices, then nnz values, none of them zero. */
typedef struct VrSparseVec
{
	int32 vl_len_;
	int32 dim;
	int32 nnz;
	int32 unused;
	int32 indices[FLEXIBLE_ARRAY_MEMBER];
} VrSparseVec;

#define VR_VECTOR_SIZE(dim) (offsetof(VrVector, x) + sizeof(float) * (dim))
#define VR_HALFVEC_SIZE(dim) (offsetof(VrHalfVec, x) + sizeof(vr_half) * (dim))
#define VR_SPARSEVEC_SIZE(nnz)                                                 \
	(offsetof(VrSparseVec, indices) + (nnz) * (sizeof(int32) + sizeof(float)))
#define VR_SPARSEVEC_VALUES(v) ((float *) ((v)->indices + (v)->nnz))

/*
 * The value itself where it is stored plainly, which is the usual case and
 * costs one test here instead of a call; otherwise a copy in the current
 * memory context (compressed, out of line, or with the one-byte header that a
 * heap row gives to values below 127 bytes).
 */
static inline void *
VrDetoast(Datum d)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(d);

	if (VR_UNLIKELY(VARATT_IS_EXTENDED(value)))
		value = pg_detoast_datum(value);
	return value;
}

#define DatumGetVrVector(d) ((VrVector *) VrDetoast(d))
#define DatumGetVrHalfVec(d) ((VrHalfVec *) VrDetoast(d))
#define DatumGetVrSparseVec(d) ((VrSparseVec *) VrDetoast(d))
#define PG_GETARG_VR_VECTOR(n) DatumGetVrVector(PG_GETARG_DATUM(n))
#define PG_GETARG_VR_HALFVEC(n) DatumGetVrHalfVec(PG_GETARG_DATUM(n))
#define PG_GETARG_VR_SPARSEVEC(n) DatumGetVrSparseVec(PG_GETARG_DATUM(n))

/* Zeroed values of the given size in the current memory context. */
extern VrVector *VrVectorMake(int dim);
extern VrHalfVec *VrHalfVecMake(int dim);
extern VrSparseVec *VrSparseVecMake(int dim, int nnz);

#endif /* VR_VECTOR_H */
