/*
 * distance.h
 *		Distance kernels over plain arrays, one set per instruction set, chosen
 *		once when the library is loaded.
 *
 * The only header of this folder that others include. Include after "c.h" or
 * "postgres.h". Nothing here knows Datums, palloc or ereport. Results are sums
 * in float32, as pgvector's; roots, clamps and signs are left to the caller,
 * who does them in double.
 */
#ifndef VR_DISTANCE_H
#define VR_DISTANCE_H

#include "base/vr_defs.h"

/*
 * One instruction set's kernels. n counts elements (bytes for the bit
 * kernels); pointers need no alignment beyond their element's own.
 */
typedef struct VrDistanceKernels
{
	const char *name; /* "scalar", "avx2", "avx512", "neon" */

	/* float32 x float32 */
	float (*l2sq_f32)(int n, const float *a, const float *b);
	float (*ip_f32)(int n, const float *a, const float *b);
	float (*l1_f32)(int n, const float *a, const float *b);
	/* *ip = <a,b>, *aa = <a,a>, *bb = <b,b>, in one pass */
	void (*cosine_f32)(int n, const float *a, const float *b, float *ip,
					   float *aa, float *bb);

	/* float16 x float16, converted to float32 before any arithmetic */
	float (*l2sq_f16)(int n, const vr_half *a, const vr_half *b);
	float (*ip_f16)(int n, const vr_half *a, const vr_half *b);
	float (*l1_f16)(int n, const vr_half *a, const vr_half *b);
	void (*cosine_f16)(int n, const vr_half *a, const vr_half *b, float *ip,
					   float *aa, float *bb);

	/* float32 query x float16 row: for indexes that store float16 */
	float (*l2sq_f32_f16)(int n, const float *a, const vr_half *b);
	float (*ip_f32_f16)(int n, const float *a, const vr_half *b);

	/* bulk conversion; f32 -> f16 rounds to nearest even, overflow to Inf */
	void (*f16_to_f32)(int n, const vr_half *src, float *dst);
	void (*f32_to_f16)(int n, const float *src, vr_half *dst);

	/* bits; n bytes. jaccard: *both = popcount(a&b), *any = popcount(a|b) */
	uint64 (*hamming)(int n, const unsigned char *a, const unsigned char *b);
	void (*jaccard)(int n, const unsigned char *a, const unsigned char *b,
					uint64 *both, uint64 *any);

	/* one query against count rows, row i at rows[i], with prefetch ahead */
	void (*l2sq_f32_batch)(int n, const float *q, const float *const *rows,
						   int count, float *out);
	void (*ip_f32_batch)(int n, const float *q, const float *const *rows,
						 int count, float *out);
	/*
	 * Two rows, and while they are read all of two others is asked for, which
	 * are next, unless that is NULL: where rows come from memory, and not one
	 * behind the other.
	 */
	void (*l2sq_f32_pair)(int n, const float *q, const float *const *rows,
						  const float *const *next, float *out);
	void (*ip_f32_pair)(int n, const float *q, const float *const *rows,
						const float *const *next, float *out);
	/* a batch of bit strings of n bytes that lie one behind the other */
	void (*hamming_batch)(int n, const unsigned char *q,
						  const unsigned char *rows, int count, uint64 *out);
} VrDistanceKernels;

/* The chosen set; valid after VrDistanceInit(), never NULL after it. */
extern const VrDistanceKernels *VrDistance;

/*
 * Chooses the best set this CPU runs. Called by _PG_init and by the unit
 * tests. Idempotent.
 */
extern void VrDistanceInit(void);

/*
 * Forces the set of that name, or the best for "auto". Returns false, changing
 * nothing, if this build or this CPU lacks it.
 */
extern bool VrDistanceForce(const char *name);

/* Sets that this build carries and this CPU runs, best first; NULL ends it. */
extern const VrDistanceKernels *const *VrDistanceAvailable(void);

/*
 * Sparse vectors: sorted 0-based indices, values beside them. One version: the
 * merge of two index lists does not vectorise well.
 */
extern float VrSparseL2Sq(int na, const int32 *ia, const float *xa, int nb,
						  const int32 *ib, const float *xb);
extern float VrSparseIp(int na, const int32 *ia, const float *xa, int nb,
						const int32 *ib, const float *xb);
extern float VrSparseL1(int na, const int32 *ia, const float *xa, int nb,
						const int32 *ib, const float *xb);
/* the values' squares */
extern float VrSparseNormSq(int n, const float *x);

/* Single values, by definition of IEEE 754. */
extern float VrHalfToFloat(vr_half h);
extern vr_half VrFloatToHalf(float f); /* nearest even; overflow gives Inf */

#endif /* VR_DISTANCE_H */
