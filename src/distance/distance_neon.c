/*
 * distance_neon.c
 *		The kernels for NEON, which every 64-bit ARM has.
 *
 * Four elements to a register and four running sums. What is left over, less
 * than a register, is read as the last whole register of the input, with the
 * elements that were already counted cleared; shorter inputs are summed in
 * order by the scalar kernels.
 */
#include "c.h"

#include "distance/distance_short.h"

#ifdef VR_DISTANCE_NEON

#include <arm_neon.h>

#define NEON_WIDTH 4 /* elements in a register */
#define NEON_SUMS 4  /* running sums */
#define NEON_STEP (NEON_WIDTH * NEON_SUMS)
#define NEON_BATCH 4 /* rows summed side by side */

StaticAssertDecl(VR_DISTANCE_SHORT >= NEON_WIDTH - 1,
				 "the last register must lie inside the input");

/* From element r on, the mask that keeps the highest r elements. */
static const uint32 neon_keep_highest[2 * NEON_WIDTH] = {
	0, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

VR_DISTANCE_INLINE float32x4_t
neon_load(VrDistanceElem elem, const void *p, size_t i)
{
	if (elem == VR_ELEM_F32)
		return vld1q_f32((const float *) p + i);
	return vcvt_f32_f16(
		vreinterpret_f16_u16(vld1_u16((const vr_half *) p + i)));
}

/* Elements i to n, fewer than a register, among zeroes. */
VR_DISTANCE_INLINE float32x4_t
neon_load_rest(VrDistanceElem elem, const void *p, size_t i, size_t n)
{
	const uint32x4_t keep = vld1q_u32(neon_keep_highest + (n - i));

	return vreinterpretq_f32_u32(vandq_u32(
		keep, vreinterpretq_u32_f32(neon_load(elem, p, n - NEON_WIDTH))));
}

VR_DISTANCE_INLINE float32x4_t
neon_add_term(VrDistanceTerm term, float32x4_t sum, float32x4_t a,
			  float32x4_t b)
{
	float32x4_t d;

	if (term == VR_TERM_IP)
		return vfmaq_f32(sum, a, b);
	if (term == VR_TERM_L1)
		return vaddq_f32(sum, vabdq_f32(a, b));
	d = vsubq_f32(a, b);
	return vfmaq_f32(sum, d, d);
}

VR_DISTANCE_INLINE float
neon_reduce(const float32x4_t *s)
{
	return vaddvq_f32(vaddq_f32(vaddq_f32(s[0], s[1]), vaddq_f32(s[2], s[3])));
}

/*
 * The sums of count rows against one vector. All rows take their terms in the
 * same order whatever count is, so that a batch gives what single calls give.
 */
VR_DISTANCE_INLINE void
neon_sums(VrDistanceTerm term, size_t n, VrDistanceElem ea, const void *a,
		  VrDistanceElem eb, const void *const *rows, const int count,
		  float *out)
{
	float32x4_t s[NEON_BATCH][NEON_SUMS];
	size_t i = 0;
	int k;
	int r;

	for (r = 0; r < count; r++)
		for (k = 0; k < NEON_SUMS; k++)
			s[r][k] = vdupq_n_f32(0.0f);

	for (; i + NEON_STEP <= n; i += NEON_STEP)
		for (k = 0; k < NEON_SUMS; k++)
		{
			const float32x4_t x = neon_load(ea, a, i + k * NEON_WIDTH);

			for (r = 0; r < count; r++)
				s[r][k] =
					neon_add_term(term, s[r][k], x,
								  neon_load(eb, rows[r], i + k * NEON_WIDTH));
		}

	/* Less than a step is left: a sum each for whole registers, then a rest */
	VR_DISTANCE_UNROLL
	for (k = 0; k < NEON_SUMS - 1; k++)
		if (i + NEON_WIDTH <= n)
		{
			const float32x4_t x = neon_load(ea, a, i);

			for (r = 0; r < count; r++)
				s[r][k] =
					neon_add_term(term, s[r][k], x, neon_load(eb, rows[r], i));
			i += NEON_WIDTH;
		}
	if (i < n)
	{
		const float32x4_t x = neon_load_rest(ea, a, i, n);

		for (r = 0; r < count; r++)
			s[r][NEON_SUMS - 1] =
				neon_add_term(term, s[r][NEON_SUMS - 1], x,
							  neon_load_rest(eb, rows[r], i, n));
	}

	for (r = 0; r < count; r++)
		out[r] = neon_reduce(s[r]);
}

VR_SHORT_FUNCTIONS(, neon)

VR_DISTANCE_INLINE float
neon_sum(VrDistanceTerm term, int n, VrDistanceElem ea, const void *a,
		 VrDistanceElem eb, const void *b)
{
	float sum;

	if (n <= VR_DISTANCE_SHORT)
		return neon_short_sum[term][ea][eb](n, a, b);
	neon_sums(term, n, ea, a, eb, &b, 1, &sum);
	return sum;
}

VR_DISTANCE_INLINE void
neon_cosine(size_t n, VrDistanceElem elem, const void *a, const void *b,
			float *ip, float *aa, float *bb)
{
	float32x4_t s[3][NEON_SUMS];
	size_t i = 0;
	int k;

	if (n <= VR_DISTANCE_SHORT)
	{
		neon_short_cosine[elem](n, a, b, ip, aa, bb);
		return;
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < NEON_SUMS; k++)
		s[0][k] = s[1][k] = s[2][k] = vdupq_n_f32(0.0f);

	for (; i + NEON_STEP <= n; i += NEON_STEP)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < NEON_SUMS; k++)
		{
			const float32x4_t x = neon_load(elem, a, i + k * NEON_WIDTH);
			const float32x4_t y = neon_load(elem, b, i + k * NEON_WIDTH);

			s[0][k] = vfmaq_f32(s[0][k], x, y);
			s[1][k] = vfmaq_f32(s[1][k], x, x);
			s[2][k] = vfmaq_f32(s[2][k], y, y);
		}
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < NEON_SUMS; k++)
		if (i < n)
		{
			const bool whole = i + NEON_WIDTH <= n;
			const float32x4_t x =
				whole ? neon_load(elem, a, i) : neon_load_rest(elem, a, i, n);
			const float32x4_t y =
				whole ? neon_load(elem, b, i) : neon_load_rest(elem, b, i, n);

			s[0][k] = vfmaq_f32(s[0][k], x, y);
			s[1][k] = vfmaq_f32(s[1][k], x, x);
			s[2][k] = vfmaq_f32(s[2][k], y, y);
			i += NEON_WIDTH;
		}

	*ip = neon_reduce(s[0]);
	*aa = neon_reduce(s[1]);
	*bb = neon_reduce(s[2]);
}

static float
neon_l2sq_f32(int n, const float *a, const float *b)
{
	return neon_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

static float
neon_ip_f32(int n, const float *a, const float *b)
{
	return neon_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

static float
neon_l1_f32(int n, const float *a, const float *b)
{
	return neon_sum(VR_TERM_L1, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

static void
neon_cosine_f32(int n, const float *a, const float *b, float *ip, float *aa,
				float *bb)
{
	neon_cosine(n, VR_ELEM_F32, a, b, ip, aa, bb);
}

static float
neon_l2sq_f16(int n, const vr_half *a, const vr_half *b)
{
	return neon_sum(VR_TERM_L2SQ, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

static float
neon_ip_f16(int n, const vr_half *a, const vr_half *b)
{
	return neon_sum(VR_TERM_IP, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

static float
neon_l1_f16(int n, const vr_half *a, const vr_half *b)
{
	return neon_sum(VR_TERM_L1, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

static void
neon_cosine_f16(int n, const vr_half *a, const vr_half *b, float *ip, float *aa,
				float *bb)
{
	neon_cosine(n, VR_ELEM_F16, a, b, ip, aa, bb);
}

static float
neon_l2sq_f32_f16(int n, const float *a, const vr_half *b)
{
	return neon_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

static float
neon_ip_f32_f16(int n, const float *a, const vr_half *b)
{
	return neon_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

static void
neon_f16_to_f32(int n, const vr_half *src, float *dst)
{
	size_t i = 0;

	if (n < NEON_WIDTH)
	{
		VrDistanceScalar.f16_to_f32(n, src, dst);
		return;
	}
	VR_DISTANCE_UNROLL
	for (; i + NEON_WIDTH <= n; i += NEON_WIDTH)
		vst1q_f32(dst + i, neon_load(VR_ELEM_F16, src, i));
	if (i < n)
		vst1q_f32(dst + n - NEON_WIDTH,
				  neon_load(VR_ELEM_F16, src, n - NEON_WIDTH));
}

VR_DISTANCE_INLINE void
neon_store_half(const float *src, vr_half *dst)
{
	vst1_u16(dst, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(src))));
}

static void
neon_f32_to_f16(int n, const float *src, vr_half *dst)
{
	size_t i = 0;

	if (n < NEON_WIDTH)
	{
		VrDistanceScalar.f32_to_f16(n, src, dst);
		return;
	}
	VR_DISTANCE_UNROLL
	for (; i + NEON_WIDTH <= n; i += NEON_WIDTH)
		neon_store_half(src + i, dst + i);
	if (i < n)
		neon_store_half(src + n - NEON_WIDTH, dst + n - NEON_WIDTH);
}

VR_DISTANCE_INLINE void
neon_batch(VrDistanceTerm term, int n, const float *q, const float *const *rows,
		   int count, float *out)
{
	int r = 0;

	for (; n > VR_DISTANCE_SHORT && r + NEON_BATCH <= count; r += NEON_BATCH)
	{
		VrDistancePrefetch(n, rows + r + NEON_BATCH,
						   Min(NEON_BATCH, count - r - NEON_BATCH));
		neon_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
				  (const void *const *) (rows + r), NEON_BATCH, out + r);
	}
	for (; r < count; r++)
		out[r] = neon_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[r]);
}

static void
neon_l2sq_f32_batch(int n, const float *q, const float *const *rows, int count,
					float *out)
{
	neon_batch(VR_TERM_L2SQ, n, q, rows, count, out);
}

static void
neon_ip_f32_batch(int n, const float *q, const float *const *rows, int count,
				  float *out)
{
	neon_batch(VR_TERM_IP, n, q, rows, count, out);
}

/* What is next is left to the hardware: not measured on such a CPU. */
static void
neon_l2sq_f32_pair(int n, const float *q, const float *const *rows,
				   const float *const *next, float *out)
{
	neon_batch(VR_TERM_L2SQ, n, q, rows, 2, out);
}

static void
neon_ip_f32_pair(int n, const float *q, const float *const *rows,
				 const float *const *next, float *out)
{
	neon_batch(VR_TERM_IP, n, q, rows, 2, out);
}

/* Bits set in each of the bytes of two registers' difference. */
VR_DISTANCE_INLINE uint8x16_t
neon_count_xor(const unsigned char *a, const unsigned char *b, size_t i)
{
	return vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i)));
}

/* Adds the bytes of x to the two sums. */
VR_DISTANCE_INLINE uint64x2_t
neon_add_bytes(uint64x2_t sums, uint8x16_t x)
{
	return vpadalq_u32(sums, vpaddlq_u16(vpaddlq_u8(x)));
}

static uint64
neon_hamming(int n, const unsigned char *a, const unsigned char *b)
{
	uint64x2_t sums = vdupq_n_u64(0);
	uint64 differ;
	uint64 both = 0;
	size_t i = 0;

	/* A byte counts to 8 per register: four fit, and share one addition. */
	for (; i + 64 <= n; i += 64)
		sums = neon_add_bytes(sums,
							  vaddq_u8(vaddq_u8(neon_count_xor(a, b, i),
												neon_count_xor(a, b, i + 16)),
									   vaddq_u8(neon_count_xor(a, b, i + 32),
												neon_count_xor(a, b, i + 48))));
	for (; i + 16 <= n; i += 16)
		sums = neon_add_bytes(sums, neon_count_xor(a, b, i));
	differ = vaddvq_u64(sums);
	VrCountFewBytes(n - i, a + i, b + i, &differ, &both);
	return differ;
}

static void
neon_jaccard(int n, const unsigned char *a, const unsigned char *b,
			 uint64 *both, uint64 *any)
{
	uint64x2_t differ_sums = vdupq_n_u64(0);
	uint64x2_t both_sums = vdupq_n_u64(0);
	uint64 differ;
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
	{
		const uint8x16_t x = vld1q_u8(a + i);
		const uint8x16_t y = vld1q_u8(b + i);

		differ_sums = neon_add_bytes(differ_sums, vcntq_u8(veorq_u8(x, y)));
		both_sums = neon_add_bytes(both_sums, vcntq_u8(vandq_u8(x, y)));
	}
	differ = vaddvq_u64(differ_sums);
	*both = vaddvq_u64(both_sums);
	VrCountFewBytes(n - i, a + i, b + i, &differ, both);
	*any = differ + *both;
}

static void
neon_hamming_batch(int n, const unsigned char *q, const unsigned char *rows,
				   int count, uint64 *out)
{
	int r;

	for (r = 0; r < count; r++)
		out[r] = neon_hamming(n, q, rows + (size_t) r * n);
}

const VrDistanceKernels VrDistanceNeon = {
	.name = "neon",
	.l2sq_f32 = neon_l2sq_f32,
	.ip_f32 = neon_ip_f32,
	.l1_f32 = neon_l1_f32,
	.cosine_f32 = neon_cosine_f32,
	.l2sq_f16 = neon_l2sq_f16,
	.ip_f16 = neon_ip_f16,
	.l1_f16 = neon_l1_f16,
	.cosine_f16 = neon_cosine_f16,
	.l2sq_f32_f16 = neon_l2sq_f32_f16,
	.ip_f32_f16 = neon_ip_f32_f16,
	.f16_to_f32 = neon_f16_to_f32,
	.f32_to_f16 = neon_f32_to_f16,
	.hamming = neon_hamming,
	.jaccard = neon_jaccard,
	.l2sq_f32_batch = neon_l2sq_f32_batch,
	.ip_f32_batch = neon_ip_f32_batch,
	.l2sq_f32_pair = neon_l2sq_f32_pair,
	.ip_f32_pair = neon_ip_f32_pair,
	.hamming_batch = neon_hamming_batch,
};

#endif /* VR_DISTANCE_NEON */
