/*
 * quant_neon.c
 *		The kernels for 64-bit ARM. Only what a compiler does not find by itself
 *		is written with intrinsics: the table look-ups and float16. NEON is part
 *		of the architecture, so plain C vectorises too.
 */
#include "c.h"

#include "quant/quant_private.h"

#ifdef VR_QUANT_ARM

#include <arm_neon.h>

#define QG_TARGET
#include "quant/quant_generic.h"

/*
 * Adds the table entries of all groups; byte j of a group looks up lanes j
 * and j + 16. acc[i] holds lanes 4i .. 4i + 3.
 */
static inline void
neon_accumulate(int code_bits, const uint8 *block, const uint8 *lut,
				uint32x4_t acc[8])
{
	const uint8x16_t nibble = vdupq_n_u8(15);
	int groups = code_bits / 4;

	for (int i = 0; i < 8; i++)
		acc[i] = vdupq_n_u32(0);
	while (groups > 0)
	{
		int chunk = groups < VR_ACC_GROUPS ? groups : VR_ACC_GROUPS;
		uint16x8_t s[4];

		for (int i = 0; i < 4; i++)
			s[i] = vdupq_n_u16(0);
		for (int g = 0; g < chunk; g++, block += 16, lut += 16)
		{
			uint8x16_t c = vld1q_u8(block);
			uint8x16_t t = vld1q_u8(lut);
			uint8x16_t lo = vqtbl1q_u8(t, vandq_u8(c, nibble));
			uint8x16_t hi = vqtbl1q_u8(t, vshrq_n_u8(c, 4));

			s[0] = vaddw_u8(s[0], vget_low_u8(lo));
			s[1] = vaddw_high_u8(s[1], lo);
			s[2] = vaddw_u8(s[2], vget_low_u8(hi));
			s[3] = vaddw_high_u8(s[3], hi);
		}
		for (int i = 0; i < 4; i++)
		{
			acc[2 * i] = vaddw_u16(acc[2 * i], vget_low_u16(s[i]));
			acc[2 * i + 1] = vaddw_high_u16(acc[2 * i + 1], s[i]);
		}
		groups -= chunk;
	}
}

static void
neon_accumulate32(int code_bits, const uint8 *block, const uint8 *lut,
				  uint32 acc[VR_QUANT_LANES])
{
	uint32x4_t sums[8];

	neon_accumulate(code_bits, block, lut, sums);
	for (int i = 0; i < 8; i++)
		vst1q_u32(acc + 4 * i, sums[i]);
}

static uint32
neon_estimate32(const VrQuantQuery *query, float g, const uint8 *block,
				const VrEdgeFactors *factors, float limit,
				float est[VR_QUANT_LANES])
{
	const uint32_t weights[4] = {1, 2, 4, 8};
	float32x4_t step = vdupq_n_f32(query->lut_step);
	float32x4_t bias = vdupq_n_f32(query->lut_bias);
	float32x4_t base = vdupq_n_f32(g);
	float32x4_t most = vdupq_n_f32(VR_ESTIMATE_MAX);
	float32x4_t bound = vdupq_n_f32(limit);
	uint32x4_t acc[8];
	uint32 mask = 0;

	neon_accumulate(query->code_bits, block, query->lut, acc);
	for (int i = 0; i < 8; i++)
	{
		float32x4_t x = vfmaq_f32(bias, vcvtq_f32_u32(acc[i]), step);
		float32x4_t add = vaddq_f32(vld1q_f32(factors->add + 4 * i), base);
		uint32x4_t wide =
			vshlq_n_u32(vmovl_u16(vld1_u16(factors->rescale + 4 * i)), 16);
		float32x4_t e = vfmaq_f32(add, vreinterpretq_f32_u32(wide), x);

		/* minnm returns the number when the other operand is NaN */
		e = vminnmq_f32(e, most);
		vst1q_f32(est + 4 * i, e);
		mask |= vaddvq_u32(vandq_u32(vcltq_f32(e, bound), vld1q_u32(weights)))
				<< (4 * i);
	}
	return mask;
}

static int
neon_least32(const float est[VR_QUANT_LANES])
{
	const uint32_t weights[4] = {1, 2, 4, 8};
	float32x4_t low = vld1q_f32(est);
	uint32 mask = 0;
	float d;

	for (int i = 1; i < 8; i++)
		low = vminq_f32(low, vld1q_f32(est + 4 * i));
	d = vminvq_f32(low);
	for (int i = 0; i < 8; i++)
		mask |= vaddvq_u32(
					vandq_u32(vceqq_f32(vld1q_f32(est + 4 * i), vdupq_n_f32(d)),
							  vld1q_u32(weights)))
				<< (4 * i);
	return __builtin_ctz(mask);
}

static float
neon_distance_f16(const VrQuantQuery *query, const VrOwnHead *head,
				  const void *data)
{
	const float *q = query->q;
	const vr_half *x = data;
	float32x4_t scale = vdupq_n_f32(head->scale);
	float32x4_t s0 = vdupq_n_f32(0.0f);
	float32x4_t s1 = s0;

	for (int j = 0; j < query->padded; j += 8)
	{
		float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(x + j));
		float32x4_t d0 =
			vfmsq_f32(vld1q_f32(q + j), scale, vcvt_f32_f16(vget_low_f16(h)));
		float32x4_t d1 =
			vfmsq_f32(vld1q_f32(q + j + 4), scale, vcvt_high_f32_f16(h));

		s0 = vfmaq_f32(s0, d0, d0);
		s1 = vfmaq_f32(s1, d1, d1);
	}
	return quant_bound(vaddvq_f32(vaddq_f32(s0, s1)));
}

static float
neon_pair_f16(int padded, const VrOwnHead *ha, const void *a,
			  const VrOwnHead *hb, const void *b)
{
	const vr_half *x = a;
	const vr_half *y = b;
	float32x4_t sa = vdupq_n_f32(ha->scale);
	float32x4_t sb = vdupq_n_f32(hb->scale);
	float32x4_t s0 = vdupq_n_f32(0.0f);
	float32x4_t s1 = s0;

	for (int j = 0; j < padded; j += 8)
	{
		float16x8_t hx = vreinterpretq_f16_u16(vld1q_u16(x + j));
		float16x8_t hy = vreinterpretq_f16_u16(vld1q_u16(y + j));
		float32x4_t d0 =
			vfmsq_f32(vmulq_f32(sa, vcvt_f32_f16(vget_low_f16(hx))), sb,
					  vcvt_f32_f16(vget_low_f16(hy)));
		float32x4_t d1 = vfmsq_f32(vmulq_f32(sa, vcvt_high_f32_f16(hx)), sb,
								   vcvt_high_f32_f16(hy));

		s0 = vfmaq_f32(s0, d0, d0);
		s1 = vfmaq_f32(s1, d1, d1);
	}
	return quant_bound(vaddvq_f32(vaddq_f32(s0, s1)));
}

static void
neon_decode_f16(int padded, float scale, const vr_half *x, float *out)
{
	for (int j = 0; j < padded; j += 8)
	{
		float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(x + j));

		vst1q_f32(out + j, vmulq_n_f32(vcvt_f32_f16(vget_low_f16(h)), scale));
		vst1q_f32(out + j + 4, vmulq_n_f32(vcvt_high_f32_f16(h), scale));
	}
}

/* The scalar set's table and bits are plain loops over few instructions. */
static void
neon_make_lut(int code_bits, const float *q, uint8 *lut, float *step,
			  float *bias)
{
	VrQuantScalar.make_lut(code_bits, q, lut, step, bias);
}

static void
neon_edge_bits(int padded, int code_bits, const float *v, const float *u,
			   uint8 *row, int stride, float sums[3])
{
	VrQuantScalar.edge_bits(padded, code_bits, v, u, row, stride, sums);
}

const VrQuantKernels VrQuantNeon = {
	.name = "neon",
	.rotate = VrQuantScalarRotate,
	.make_lut = neon_make_lut,
	.copy_query = qg_copy_query,
	.make_ints = qg_make_ints,
	.accumulate32 = neon_accumulate32,
	.estimate32 = neon_estimate32,
	.least32 = neon_least32,
	.edge_bits = neon_edge_bits,
	.decode_f16 = neon_decode_f16,
	.distance = {NULL, qg_distance_f32, neon_distance_f16, qg_distance_i8,
				 qg_distance_i8, qg_distance_i4, qg_distance_i2},
	.distance_fine = qg_distance_i8x2_fine,
	.pair = {NULL, qg_pair_f32, neon_pair_f16, qg_pair_i8, qg_pair_i8,
			 qg_pair_i4, qg_pair_i2},
};

#endif /* VR_QUANT_ARM */
