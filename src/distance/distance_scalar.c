/*
 * distance_scalar.c
 *		The kernels in plain C: what the other sets have to agree with, and
 *		what runs where none of them does.
 *
 * Long sums go to SCALAR_LANES running sums, added pairwise at the end, and
 * the elements left over to one more: this lets a compiler use whatever
 * vectors the architecture's baseline has without being allowed to reorder
 * anything. Sums of VR_DISTANCE_IN_ORDER elements or less are in element
 * order.
 */
#include "c.h"

#include <math.h>

#include "distance/distance_private.h"

#define SCALAR_LANES 16

VR_DISTANCE_INLINE float
scalar_load(VrDistanceElem elem, const void *p, size_t i)
{
	return elem == VR_ELEM_F32 ? ((const float *) p)[i]
							   : VrHalfToFloatInline(((const vr_half *) p)[i]);
}

VR_DISTANCE_INLINE float
scalar_term(VrDistanceTerm term, float a, float b)
{
	if (term == VR_TERM_IP)
		return a * b;
	if (term == VR_TERM_L1)
		return fabsf(a - b);
	return (a - b) * (a - b);
}

/* Adds the lanes pairwise, which leaves the sum in the first. */
VR_DISTANCE_INLINE float
scalar_reduce(float *lanes)
{
	int width;
	int l;

	for (width = SCALAR_LANES / 2; width > 0; width /= 2)
		for (l = 0; l < width; l++)
			lanes[l] += lanes[l + width];
	return lanes[0];
}

VR_DISTANCE_INLINE float
scalar_sum(VrDistanceTerm term, size_t n, VrDistanceElem ea, const void *a,
		   VrDistanceElem eb, const void *b)
{
	float lanes[SCALAR_LANES] = {0};
	float rest = 0.0f;
	size_t i = 0;
	size_t l;

	for (; i + SCALAR_LANES <= n; i += SCALAR_LANES)
		for (l = 0; l < SCALAR_LANES; l++)
			lanes[l] += scalar_term(term, scalar_load(ea, a, i + l),
									scalar_load(eb, b, i + l));
	for (; i < n; i++)
		rest += scalar_term(term, scalar_load(ea, a, i), scalar_load(eb, b, i));
	return scalar_reduce(lanes) + rest;
}

VR_DISTANCE_INLINE void
scalar_cosine(int n, VrDistanceElem elem, const void *a, const void *b,
			  float *ip, float *aa, float *bb)
{
	/* Three sums would not all stay in registers: three passes do. */
	*ip = scalar_sum(VR_TERM_IP, n, elem, a, elem, b);
	*aa = scalar_sum(VR_TERM_IP, n, elem, a, elem, a);
	*bb = scalar_sum(VR_TERM_IP, n, elem, b, elem, b);
}

static float
scalar_l2sq_f32(int n, const float *a, const float *b)
{
	return scalar_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

static float
scalar_ip_f32(int n, const float *a, const float *b)
{
	return scalar_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

static float
scalar_l1_f32(int n, const float *a, const float *b)
{
	return scalar_sum(VR_TERM_L1, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

static void
scalar_cosine_f32(int n, const float *a, const float *b, float *ip, float *aa,
				  float *bb)
{
	scalar_cosine(n, VR_ELEM_F32, a, b, ip, aa, bb);
}

static float
scalar_l2sq_f16(int n, const vr_half *a, const vr_half *b)
{
	return scalar_sum(VR_TERM_L2SQ, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

static float
scalar_ip_f16(int n, const vr_half *a, const vr_half *b)
{
	return scalar_sum(VR_TERM_IP, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

static float
scalar_l1_f16(int n, const vr_half *a, const vr_half *b)
{
	return scalar_sum(VR_TERM_L1, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

static void
scalar_cosine_f16(int n, const vr_half *a, const vr_half *b, float *ip,
				  float *aa, float *bb)
{
	scalar_cosine(n, VR_ELEM_F16, a, b, ip, aa, bb);
}

static float
scalar_l2sq_f32_f16(int n, const float *a, const vr_half *b)
{
	return scalar_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

static float
scalar_ip_f32_f16(int n, const float *a, const vr_half *b)
{
	return scalar_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

static void
scalar_f16_to_f32(int n, const vr_half *src, float *dst)
{
	int i;

	for (i = 0; i < n; i++)
		dst[i] = VrHalfToFloatInline(src[i]);
}

static void
scalar_f32_to_f16(int n, const float *src, vr_half *dst)
{
	int i;

	for (i = 0; i < n; i++)
		dst[i] = VrFloatToHalfInline(src[i]);
}

/* Bits set in each byte of x, as bytes. */
VR_DISTANCE_INLINE uint64
scalar_count_bytes(uint64 x)
{
	x -= (x >> 1) & UINT64CONST(0x5555555555555555);
	x = (x & UINT64CONST(0x3333333333333333)) +
		((x >> 2) & UINT64CONST(0x3333333333333333));
	return (x + (x >> 4)) & UINT64CONST(0x0f0f0f0f0f0f0f0f);
}

/* Sum of the bytes of x, which must be below 256. */
VR_DISTANCE_INLINE uint64
scalar_add_bytes(uint64 x)
{
	return (x * UINT64CONST(0x0101010101010101)) >> 56;
}

/* Up to eight bytes, the rest zero. */
VR_DISTANCE_INLINE uint64
scalar_load_bytes(const unsigned char *p, int n)
{
	uint64 x = 0;

	memcpy(&x, p, n);
	return x;
}

static uint64
scalar_hamming(int n, const unsigned char *a, const unsigned char *b)
{
	uint64 sum = 0;
	int i = 0;

	for (; i + 8 <= n; i += 8)
		sum += scalar_add_bytes(scalar_count_bytes(
			scalar_load_bytes(a + i, 8) ^ scalar_load_bytes(b + i, 8)));
	if (i < n)
		sum += scalar_add_bytes(scalar_count_bytes(
			scalar_load_bytes(a + i, n - i) ^ scalar_load_bytes(b + i, n - i)));
	return sum;
}

static void
scalar_jaccard(int n, const unsigned char *a, const unsigned char *b,
			   uint64 *both, uint64 *any)
{
	uint64 in_both = 0;
	uint64 in_any = 0;
	int i = 0;

	while (i < n)
	{
		const int bytes = Min(8, n - i);
		const uint64 x = scalar_load_bytes(a + i, bytes);
		const uint64 y = scalar_load_bytes(b + i, bytes);

		in_both += scalar_add_bytes(scalar_count_bytes(x & y));
		in_any += scalar_add_bytes(scalar_count_bytes(x | y));
		i += bytes;
	}
	*both = in_both;
	*any = in_any;
}

VR_DISTANCE_INLINE void
scalar_batch(VrDistanceTerm term, int n, const float *q,
			 const float *const *rows, int count, float *out)
{
	int r;

	for (r = 0; r < count; r++)
	{
		if (r + 1 < count)
			VR_PREFETCH(rows[r + 1]);
		out[r] = scalar_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[r]);
	}
}

static void
scalar_l2sq_f32_batch(int n, const float *q, const float *const *rows,
					  int count, float *out)
{
	scalar_batch(VR_TERM_L2SQ, n, q, rows, count, out);
}

static void
scalar_ip_f32_batch(int n, const float *q, const float *const *rows, int count,
					float *out)
{
	scalar_batch(VR_TERM_IP, n, q, rows, count, out);
}

const VrDistanceKernels VrDistanceScalar = {
	.name = "scalar",
	.l2sq_f32 = scalar_l2sq_f32,
	.ip_f32 = scalar_ip_f32,
	.l1_f32 = scalar_l1_f32,
	.cosine_f32 = scalar_cosine_f32,
	.l2sq_f16 = scalar_l2sq_f16,
	.ip_f16 = scalar_ip_f16,
	.l1_f16 = scalar_l1_f16,
	.cosine_f16 = scalar_cosine_f16,
	.l2sq_f32_f16 = scalar_l2sq_f32_f16,
	.ip_f32_f16 = scalar_ip_f32_f16,
	.f16_to_f32 = scalar_f16_to_f32,
	.f32_to_f16 = scalar_f32_to_f16,
	.hamming = scalar_hamming,
	.jaccard = scalar_jaccard,
	.l2sq_f32_batch = scalar_l2sq_f32_batch,
	.ip_f32_batch = scalar_ip_f32_batch,
};
