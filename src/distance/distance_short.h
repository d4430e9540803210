/*
 * distance_short.h
 *		Sums of short vectors: one definition for all sets of kernels.
 *
 * Clients compare distances of a few elements with ==, against what pgvector
 * gave. So these sums take pgvector's order and roundings, those of its builds
 * for distribution on a CPU with fused multiply-add (README.md). Each set has
 * them as functions of its own target; without such instructions fmaf() is a
 * call, slower, with the same result.
 */
#ifndef VR_DISTANCE_SHORT_H
#define VR_DISTANCE_SHORT_H

#include <math.h>

#include "distance/distance_private.h"

/* The longest vector that is summed here. */
#define VR_DISTANCE_SHORT 15

/* sum + term, rounded once if a product is added */
VR_DISTANCE_INLINE float
VrShortAddTerm(VrDistanceTerm term, float sum, float a, float b)
{
	const float d = a - b;

	if (term == VR_TERM_IP)
		return fmaf(a, b, sum);
	if (term == VR_TERM_L1)
		return sum + fabsf(d);
	return fmaf(d, d, sum);
}

VR_DISTANCE_INLINE float
VrShortLoad(VrDistanceElem elem, const void *p, size_t i)
{
	return elem == VR_ELEM_F32 ? ((const float *) p)[i]
							   : VrHalfToFloatInline(((const vr_half *) p)[i]);
}

/*
 * The sum of n terms, n at most VR_DISTANCE_SHORT: eight elements side by side
 * and four more, as there are that many, then what is left in order. Float16
 * against float16 has no step of four.
 */
VR_DISTANCE_INLINE float
VrShortSum(VrDistanceTerm term, size_t n, VrDistanceElem ea, const void *a,
		   VrDistanceElem eb, const void *b)
{
	float s[8] = {0};
	float sum;
	size_t i = 0;
	int l;

	Assert(n <= VR_DISTANCE_SHORT);

	if (n >= 8)
	{
		for (l = 0; l < 8; l++)
			s[l] = VrShortAddTerm(term, 0.0f, VrShortLoad(ea, a, l),
								  VrShortLoad(eb, b, l));
		for (l = 0; l < 4; l++)
			s[l] += s[l + 4];
		i = 8;
	}
	if (i + 4 <= n && !(ea == VR_ELEM_F16 && eb == VR_ELEM_F16))
	{
		for (l = 0; l < 4; l++)
			s[l] = VrShortAddTerm(term, s[l], VrShortLoad(ea, a, i + l),
								  VrShortLoad(eb, b, i + l));
		i += 4;
	}
	sum = (s[0] + s[2]) + (s[1] + s[3]);
	for (; i < n; i++)
		sum = VrShortAddTerm(term, sum, VrShortLoad(ea, a, i),
							 VrShortLoad(eb, b, i));
	return sum;
}

/* The three sums of a cosine. */
VR_DISTANCE_INLINE void
VrShortCosine(size_t n, VrDistanceElem elem, const void *a, const void *b,
			  float *ip, float *aa, float *bb)
{
	*ip = VrShortSum(VR_TERM_IP, n, elem, a, elem, b);
	*aa = VrShortSum(VR_TERM_IP, n, elem, a, elem, a);
	*bb = VrShortSum(VR_TERM_IP, n, elem, b, elem, b);
}

/*
 * VR_SHORT_FUNCTIONS(target, set): the same as functions of a set, which its
 * kernels jump to; by term and operands in set_short_sum, by operand in
 * set_short_cosine. Inlined, their array would cost every call of a kernel a
 * stack frame and the compiler's guard of it.
 */
typedef float VrShortSumFunction(size_t n, const void *a, const void *b);
typedef void VrShortCosineFunction(size_t n, const void *a, const void *b,
								   float *ip, float *aa, float *bb);

#define VR_SHORT_SUM(target, set, term, ea, eb)                                \
	target static pg_noinline float set##_short_##term##_##ea##_##eb(          \
		size_t n, const void *a, const void *b)                                \
	{                                                                          \
		return VrShortSum(VR_TERM_##term, n, VR_ELEM_##ea, a, VR_ELEM_##eb,    \
						  b);                                                  \
	}
#define VR_SHORT_COSINE(target, set, elem)                                     \
	target static pg_noinline void set##_short_cosine_##elem(                  \
		size_t n, const void *a, const void *b, float *ip, float *aa,          \
		float *bb)                                                             \
	{                                                                          \
		VrShortCosine(n, VR_ELEM_##elem, a, b, ip, aa, bb);                    \
	}
#define VR_SHORT_FUNCTIONS(target, set)                                        \
	VR_SHORT_SUM(target, set, L2SQ, F32, F32)                                  \
	VR_SHORT_SUM(target, set, L2SQ, F32, F16)                                  \
	VR_SHORT_SUM(target, set, L2SQ, F16, F16)                                  \
	VR_SHORT_SUM(target, set, IP, F32, F32)                                    \
	VR_SHORT_SUM(target, set, IP, F32, F16)                                    \
	VR_SHORT_SUM(target, set, IP, F16, F16)                                    \
	VR_SHORT_SUM(target, set, L1, F32, F32)                                    \
	VR_SHORT_SUM(target, set, L1, F16, F16)                                    \
	VR_SHORT_COSINE(target, set, F32)                                          \
	VR_SHORT_COSINE(target, set, F16)                                          \
	static VrShortSumFunction *const set##_short_sum[3][2][2] = {              \
		[VR_TERM_L2SQ] = {{set##_short_L2SQ_F32_F32,                           \
						   set##_short_L2SQ_F32_F16},                          \
						  {NULL, set##_short_L2SQ_F16_F16}},                   \
		[VR_TERM_IP] = {{set##_short_IP_F32_F32, set##_short_IP_F32_F16},      \
						{NULL, set##_short_IP_F16_F16}},                       \
		[VR_TERM_L1] = {{set##_short_L1_F32_F32, NULL},                        \
						{NULL, set##_short_L1_F16_F16}}};                      \
	static VrShortCosineFunction *const set##_short_cosine[2] = {              \
		[VR_ELEM_F32] = set##_short_cosine_F32,                                \
		[VR_ELEM_F16] = set##_short_cosine_F16};

#endif /* VR_DISTANCE_SHORT_H */
