/*
 * quant_ssse3.c
 *		The table look-ups for x86 CPUs, or virtual ones, that have a byte
 *		shuffle but no AVX2. All else is plain C: the compiler's SSE2 serves it.
 */
#include "c.h"

#include "quant/quant_private.h"

#ifdef VR_QUANT_X86

#include <immintrin.h>

#define SSSE3 VR_TARGET("ssse3")

#define QG_TARGET SSSE3
#include "quant/quant_generic.h"

/*
 * Adds the table entries of all groups. See avx2_accumulate() for the
 * arithmetic.
 */
SSSE3 static void
ssse3_accumulate32(int code_bits, const uint8 *block, const uint8 *lut,
				   uint32 acc[VR_QUANT_LANES])
{
	const __m128i nibble = _mm_set1_epi8(15);
	const __m128i zero = _mm_setzero_si128();
	__m128i sums[8];
	int groups = code_bits / 4;

	for (int i = 0; i < 8; i++)
		sums[i] = zero;
	while (groups > 0)
	{
		int chunk = groups < VR_ACC_GROUPS ? groups : VR_ACC_GROUPS;
		__m128i a[4] = {zero, zero, zero, zero};

		for (int g = 0; g < chunk; g++, block += 16, lut += 16)
		{
			__m128i c = _mm_loadu_si128((const __m128i *) block);
			__m128i t = _mm_loadu_si128((const __m128i *) lut);
			__m128i lo = _mm_shuffle_epi8(t, _mm_and_si128(c, nibble));
			__m128i hi = _mm_shuffle_epi8(
				t, _mm_and_si128(_mm_srli_epi16(c, 4), nibble));

			a[0] = _mm_add_epi16(a[0], lo);
			a[1] = _mm_add_epi16(a[1], _mm_srli_epi16(lo, 8));
			a[2] = _mm_add_epi16(a[2], hi);
			a[3] = _mm_add_epi16(a[3], _mm_srli_epi16(hi, 8));
		}
		for (int half = 0; half < 2; half++)
		{
			__m128i odd = a[2 * half + 1];
			__m128i even = _mm_sub_epi16(a[2 * half], _mm_slli_epi16(odd, 8));
			__m128i low = _mm_unpacklo_epi16(even, odd);
			__m128i high = _mm_unpackhi_epi16(even, odd);
			__m128i *s = sums + 4 * half;

			s[0] = _mm_add_epi32(s[0], _mm_unpacklo_epi16(low, zero));
			s[1] = _mm_add_epi32(s[1], _mm_unpackhi_epi16(low, zero));
			s[2] = _mm_add_epi32(s[2], _mm_unpacklo_epi16(high, zero));
			s[3] = _mm_add_epi32(s[3], _mm_unpackhi_epi16(high, zero));
		}
		groups -= chunk;
	}
	for (int i = 0; i < 8; i++)
		_mm_storeu_si128((__m128i *) (acc + 4 * i), sums[i]);
}

SSSE3 static uint32
ssse3_estimate32(const VrQuantQuery *query, float g, const uint8 *block,
				 const VrEdgeFactors *factors, float limit,
				 float est[VR_QUANT_LANES])
{
	uint32 acc[VR_QUANT_LANES];
	uint32 mask = 0;

	ssse3_accumulate32(query->code_bits, block, query->lut, acc);
	for (size_t i = 0; i < VR_QUANT_LANES; i++)
	{
		float x = (float) (int32) acc[i] * query->lut_step + query->lut_bias;
		float e = quant_bf16_to_float(factors->rescale[i]) * x +
				  (g + factors->add[i]);

		est[i] = quant_bound(e);
	}
	for (int i = 0; i < VR_QUANT_LANES; i++)
		mask |= (uint32) (est[i] < limit) << i;
	return mask;
}

static void
ssse3_make_lut(int code_bits, const float *q, uint8 *lut, float *step,
			   float *bias)
{
	VrQuantScalar.make_lut(code_bits, q, lut, step, bias);
}

static void
ssse3_edge_bits(int padded, int code_bits, const float *v, const float *u,
				uint8 *row, int stride, float sums[3])
{
	VrQuantScalar.edge_bits(padded, code_bits, v, u, row, stride, sums);
}

static float
ssse3_distance_f16(const VrQuantQuery *query, const VrOwnHead *head,
				   const void *data)
{
	return VrQuantScalar.distance[VR_OWN_F16](query, head, data);
}

static float
ssse3_pair_f16(int padded, const VrOwnHead *ha, const void *a,
			   const VrOwnHead *hb, const void *b)
{
	return VrQuantScalar.pair[VR_OWN_F16](padded, ha, a, hb, b);
}

const VrQuantKernels VrQuantSsse3 = {
	.name = "ssse3",
	.rotate = VrQuantScalarRotate,
	.copy_query = qg_copy_query,
	.make_lut = ssse3_make_lut,
	.make_ints = qg_make_ints,
	.accumulate32 = ssse3_accumulate32,
	.estimate32 = ssse3_estimate32,
	.least32 = qg_least32,
	.edge_bits = ssse3_edge_bits,
	.decode_f16 = qg_decode_f16,
	.distance = {NULL, qg_distance_f32, ssse3_distance_f16, qg_distance_i8,
				 qg_distance_i8, qg_distance_i4, qg_distance_i2},
	.distance_fine = qg_distance_i8x2_fine,
	.pair = {NULL, qg_pair_f32, ssse3_pair_f16, qg_pair_i8, qg_pair_i8,
			 qg_pair_i4, qg_pair_i2},
};

#endif /* VR_QUANT_X86 */
