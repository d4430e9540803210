/*
 * distance_short.h
 *		Sums of short vectors: one definition for all sets of kernels.
 *
 * Clients compare distances of a few elements with ==, against what pgvector
 * gave. So these sums take pgvector's order and roundings, those of its builds
 * for distribution on a CPU with fused multiply-add (README.md). Each set
 * inlines them into functions of its own target; without such instructions
 * fmaf() is a call, slower, with the same result.
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

#endif /* VR_DISTANCE_SHORT_H */
