/*
 * quant_avx2.c
 *		The kernels for AVX2 with FMA and F16C.
 */
#include "c.h"

#include "quant/quant_private.h"

#ifdef VR_QUANT_X86

#include <immintrin.h>

#define AVX2 VR_TARGET("avx2,fma,f16c")

#define QG_TARGET AVX2
#include "quant/quant_generic.h"

AVX2 static inline float
avx2_sum(__m256 v)
{
	__m128 s =
		_mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_movehdup_ps(s));
	return _mm_cvtss_f32(s);
}

/* Sum of eight int32, exact. */
AVX2 static inline int64
avx2_sum_i32(__m256i v)
{
	__m256i s =
		_mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)),
						 _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)));
	__m128i t = _mm_add_epi64(_mm256_castsi256_si128(s),
							  _mm256_extracti128_si256(s, 1));

	return _mm_cvtsi128_si64(t) + _mm_extract_epi64(t, 1);
}

/* ---------------------------------------------------------------- rotation */

/* Sign-bit masks for 8 floats from 8 bits. */
AVX2 static inline __m256
avx2_flips(uint8 bits)
{
	const __m256i weights = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
	__m256i b = _mm256_and_si256(_mm256_set1_epi32(bits), weights);

	b = _mm256_cmpeq_epi32(b, weights);
	return _mm256_castsi256_ps(_mm256_slli_epi32(b, 31));
}

/* Hadamard transform within one register, times norm. */
AVX2 static inline __m256
avx2_fht8(__m256 v, __m256 norm)
{
	const __m256 s1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
	const __m256 s2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
	const __m256 s4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);

	v = _mm256_mul_ps(v, norm);
	v = _mm256_fmadd_ps(v, s1, _mm256_permute_ps(v, 0xB1));
	v = _mm256_fmadd_ps(v, s2, _mm256_permute_ps(v, 0x4E));
	return _mm256_fmadd_ps(v, s4, _mm256_permute2f128_ps(v, v, 1));
}

#define BF(a, b)                                                               \
	do                                                                         \
	{                                                                          \
		__m256 t_ = (a);                                                       \
		(a) = _mm256_add_ps(t_, (b));                                          \
		(b) = _mm256_sub_ps(t_, (b));                                          \
	} while (0)

#define BF4(a, b, c, d)                                                        \
	do                                                                         \
	{                                                                          \
		BF(a, b);                                                              \
		BF(c, d);                                                              \
		BF(a, c);                                                              \
		BF(b, d);                                                              \
	} while (0)

AVX2 static void
avx2_fht(int n, float *x)
{
	__m256 norm = _mm256_set1_ps(1.0f / sqrtf((float) n));
	int h;

	/* blocks of 32 within registers */
	for (int i = 0; i < n; i += 32)
	{
		__m256 a = avx2_fht8(_mm256_loadu_ps(x + i), norm);
		__m256 b = avx2_fht8(_mm256_loadu_ps(x + i + 8), norm);
		__m256 c = avx2_fht8(_mm256_loadu_ps(x + i + 16), norm);
		__m256 d = avx2_fht8(_mm256_loadu_ps(x + i + 24), norm);

		BF4(a, b, c, d);
		_mm256_storeu_ps(x + i, a);
		_mm256_storeu_ps(x + i + 8, b);
		_mm256_storeu_ps(x + i + 16, c);
		_mm256_storeu_ps(x + i + 24, d);
	}
	/* then two levels in one pass over memory */
	for (h = 32; h * 2 < n; h *= 4)
		for (int i = 0; i < n; i += 4 * h)
			for (int j = i; j < i + h; j += 8)
			{
				__m256 a = _mm256_loadu_ps(x + j);
				__m256 b = _mm256_loadu_ps(x + j + h);
				__m256 c = _mm256_loadu_ps(x + j + 2 * h);
				__m256 d = _mm256_loadu_ps(x + j + 3 * h);

				BF4(a, b, c, d);
				_mm256_storeu_ps(x + j, a);
				_mm256_storeu_ps(x + j + h, b);
				_mm256_storeu_ps(x + j + 2 * h, c);
				_mm256_storeu_ps(x + j + 3 * h, d);
			}
	if (h < n)
		for (int j = 0; j < h; j += 8)
		{
			__m256 a = _mm256_loadu_ps(x + j);
			__m256 b = _mm256_loadu_ps(x + j + h);

			BF(a, b);
			_mm256_storeu_ps(x + j, a);
			_mm256_storeu_ps(x + j + h, b);
		}
}

AVX2 static void
avx2_rotate(const VrRotation *rot, const float *mean, const float *in,
			float *out)
{
	const __m256 top = _mm256_set1_ps(VR_COORD_MAX);
	const __m256 bottom = _mm256_set1_ps(-VR_COORD_MAX);
	__m256 scale = _mm256_set1_ps(rot->scale);
	int n = rot->padded;
	int half = n / 2;
	int full = rot->dim & ~7;

	for (int j = 0; j < n; j += 8)
	{
		float tail[8] = {0};
		__m256 x;

		if (j < full)
		{
			x = _mm256_loadu_ps(in + j);
			if (mean)
				x = _mm256_sub_ps(x, _mm256_loadu_ps(mean + j));
		}
		else
		{
			for (int i = j; i < rot->dim; i++)
				tail[i - j] = mean ? in[i] - mean[i] : in[i];
			x = _mm256_loadu_ps(tail);
		}
		x = _mm256_mul_ps(x, scale);
		x = _mm256_max_ps(_mm256_min_ps(x, top), bottom);
		x = _mm256_xor_ps(x, avx2_flips(rot->signs[j / 8]));
		_mm256_storeu_ps(out + j, x);
	}
	for (int round = 0; round < VR_ROTATE_ROUNDS; round++)
	{
		/* the next round's signs are applied while mixing this one's halves */
		const uint8 *next = rot->signs + (round + 1) * (n / 8);
		bool last = round == VR_ROTATE_ROUNDS - 1;
		const __m256 mixing = _mm256_set1_ps(0.5f);

		avx2_fht(rot->block, round % 2 ? out + n - rot->block : out);
		if (n == rot->block || round % 2 == 0)
		{
			if (!last)
				for (int j = 0; j < n; j += 8)
					_mm256_storeu_ps(out + j,
									 _mm256_xor_ps(_mm256_loadu_ps(out + j),
												   avx2_flips(next[j / 8])));
			continue;
		}
		for (int j = 0; j < half; j += 8)
		{
			__m256 a = _mm256_loadu_ps(out + j);
			__m256 b = _mm256_loadu_ps(out + j + half);

			BF(a, b);
			if (last)
			{
				a = _mm256_mul_ps(a, mixing);
				b = _mm256_mul_ps(b, mixing);
			}
			else
			{
				a = _mm256_xor_ps(a, avx2_flips(next[j / 8]));
				b = _mm256_xor_ps(b, avx2_flips(next[(j + half) / 8]));
			}
			_mm256_storeu_ps(out + j, a);
			_mm256_storeu_ps(out + j + half, b);
		}
	}
}

/* ------------------------------------------------------------------- query */

AVX2 static float
avx2_copy_query(int padded, const float *q, float *copy, float *biggest)
{
	const __m256 sign = _mm256_set1_ps(-0.0f);
	__m256 s0 = _mm256_setzero_ps();
	__m256 s1 = s0;
	__m256 most = s0;
	float tmp[8];

	for (int j = 0; j < padded; j += 16)
	{
		__m256 x0 = _mm256_loadu_ps(q + j);
		__m256 x1 = _mm256_loadu_ps(q + j + 8);

		_mm256_storeu_ps(copy + j, x0);
		_mm256_storeu_ps(copy + j + 8, x1);
		s0 = _mm256_fmadd_ps(x0, x0, s0);
		s1 = _mm256_fmadd_ps(x1, x1, s1);
		most = _mm256_max_ps(most, _mm256_max_ps(_mm256_andnot_ps(sign, x0),
												 _mm256_andnot_ps(sign, x1)));
	}
	_mm256_storeu_ps(tmp, most);
	*biggest = tmp[0];
	for (int i = 1; i < 8; i++)
		*biggest = tmp[i] > *biggest ? tmp[i] : *biggest;
	return avx2_sum(_mm256_add_ps(s0, s1));
}

AVX2 static float
avx2_make_ints(int padded, const float *q, float inv_step, int16 *q16, int8 *hi,
			   int8 *lo, int32 *sum)
{
	__m256 inv = _mm256_set1_ps(inv_step);
	__m256 cross = _mm256_setzero_ps();
	__m256i total = _mm256_setzero_si256();

	for (int j = 0; j < padded; j += 16)
	{
		__m256 x0 = _mm256_loadu_ps(q + j);
		__m256 x1 = _mm256_loadu_ps(q + j + 8);
		__m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(x0, inv));
		__m256i i1 = _mm256_cvtps_epi32(_mm256_mul_ps(x1, inv));
		__m256i w, l, h;

		cross = _mm256_fmadd_ps(x0, _mm256_cvtepi32_ps(i0), cross);
		cross = _mm256_fmadd_ps(x1, _mm256_cvtepi32_ps(i1), cross);
		total = _mm256_add_epi32(total, _mm256_add_epi32(i0, i1));
		w = _mm256_permute4x64_epi64(_mm256_packs_epi32(i0, i1), 0xD8);
		_mm256_storeu_si256((__m256i *) (q16 + j), w);
		l = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
		h = _mm256_srai_epi16(_mm256_sub_epi16(w, l), 8);
		l = _mm256_permute4x64_epi64(_mm256_packs_epi16(l, h), 0xD8);
		_mm_storeu_si128((__m128i *) (lo + j), _mm256_castsi256_si128(l));
		_mm_storeu_si128((__m128i *) (hi + j), _mm256_extracti128_si256(l, 1));
	}
	*sum = (int32) avx2_sum_i32(total);
	return avx2_sum(cross);
}

/* ------------------------------------------------------------------ codes */

AVX2 static void
avx2_make_lut(int code_bits, const float *q, uint8 *lut, float *step,
			  float *bias)
{
	/* which entries hold q[0], q[1], q[2]; q[3] is in the upper half */
	const __m256 has0 =
		_mm256_castsi256_ps(_mm256_setr_epi32(0, -1, 0, -1, 0, -1, 0, -1));
	const __m256 has1 =
		_mm256_castsi256_ps(_mm256_setr_epi32(0, 0, -1, -1, 0, 0, -1, -1));
	const __m256 has2 =
		_mm256_castsi256_ps(_mm256_setr_epi32(0, 0, 0, 0, -1, -1, -1, -1));
	const __m256 zero = _mm256_setzero_ps();
	__m256 low = zero;
	__m256 high = zero;
	__m256 total = zero;
	__m256 base;
	__m256 inv;
	float lowest = 0.0f;
	float highest = 0.0f;
	float tmp[16];

	/* two groups of four at a time; sums in the order of the scalar code */
	for (int j = 0; j < code_bits; j += 8)
	{
		__m256 x = _mm256_loadu_ps(q + j);
		__m256 n = _mm256_min_ps(x, zero);
		__m256 p = _mm256_max_ps(x, zero);

		total = _mm256_add_ps(total, x);
		/* ((x3 + x2) + x1) + x0 in element 0 of each half */
		n = _mm256_add_ps(
			_mm256_add_ps(_mm256_add_ps(_mm256_permute_ps(n, 0xFF),
										_mm256_permute_ps(n, 0xAA)),
						  _mm256_permute_ps(n, 0x55)),
			_mm256_permute_ps(n, 0x00));
		p = _mm256_add_ps(
			_mm256_add_ps(_mm256_add_ps(_mm256_permute_ps(p, 0xFF),
										_mm256_permute_ps(p, 0xAA)),
						  _mm256_permute_ps(p, 0x55)),
			_mm256_permute_ps(p, 0x00));
		low = _mm256_min_ps(low, n);
		high = _mm256_max_ps(high, p);
	}
	_mm256_storeu_ps(tmp, low);
	_mm256_storeu_ps(tmp + 8, high);
	lowest = tmp[0] < tmp[4] ? tmp[0] : tmp[4];
	highest = tmp[8] > tmp[12] ? tmp[8] : tmp[12];
	*step = (highest - lowest) / 255.0f;
	*bias = (float) (code_bits / 4) * lowest - 0.5f * avx2_sum(total);

	base = _mm256_set1_ps(lowest);
	inv = _mm256_set1_ps(*step > 1.0e-37f ? 1.0f / *step : 0.0f);
	for (int j = 0; j < code_bits; j += 4, lut += 16)
	{
		__m256 upper = _mm256_broadcast_ss(q + j + 3);
		__m256 q2 = _mm256_and_ps(_mm256_broadcast_ss(q + j + 2), has2);
		__m256 q1 = _mm256_and_ps(_mm256_broadcast_ss(q + j + 1), has1);
		__m256 q0 = _mm256_and_ps(_mm256_broadcast_ss(q + j), has0);
		__m256 a = _mm256_add_ps(_mm256_add_ps(q2, q1), q0);
		__m256 b =
			_mm256_add_ps(_mm256_add_ps(_mm256_add_ps(upper, q2), q1), q0);
		__m256i ia =
			_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(a, base), inv));
		__m256i ib =
			_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(b, base), inv));
		__m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32(ia, ib), 0xD8);

		_mm_storeu_si128((__m128i *) lut,
						 _mm_packus_epi16(_mm256_castsi256_si128(w),
										  _mm256_extracti128_si256(w, 1)));
	}
}

/*
 * Adds the table entries of all groups; lanes 0-7, 8-15, 16-23, 24-31 in
 * acc[0..3]. Byte j of a group looks up lanes j and j + 16. Sums of even and
 * odd bytes are kept as 16-bit words, the even ones mixed with the odd ones
 * until the end, when they are subtracted again (modulo 2^16, which is exact).
 */
AVX2 static inline void
avx2_accumulate(int code_bits, const uint8 *block, const uint8 *lut,
				__m256i acc[4])
{
	const __m256i nibble = _mm256_set1_epi8(15);
	int groups = code_bits / 4;

	for (int i = 0; i < 4; i++)
		acc[i] = _mm256_setzero_si256();
	while (groups > 0)
	{
		int chunk = groups < VR_ACC_GROUPS ? groups : VR_ACC_GROUPS;
		__m256i a0 = _mm256_setzero_si256();
		__m256i a1 = a0;
		__m256i a2 = a0;
		__m256i a3 = a0;
		__m128i e, o;

		for (int g = 0; g < chunk; g += 2, block += 32, lut += 32)
		{
			__m256i c = _mm256_loadu_si256((const __m256i *) block);
			__m256i t = _mm256_loadu_si256((const __m256i *) lut);
			__m256i lo = _mm256_shuffle_epi8(t, _mm256_and_si256(c, nibble));
			__m256i hi = _mm256_shuffle_epi8(
				t, _mm256_and_si256(_mm256_srli_epi16(c, 4), nibble));

			a0 = _mm256_add_epi16(a0, lo);
			a1 = _mm256_add_epi16(a1, _mm256_srli_epi16(lo, 8));
			a2 = _mm256_add_epi16(a2, hi);
			a3 = _mm256_add_epi16(a3, _mm256_srli_epi16(hi, 8));
		}
		a0 = _mm256_sub_epi16(a0, _mm256_slli_epi16(a1, 8));
		a2 = _mm256_sub_epi16(a2, _mm256_slli_epi16(a3, 8));

		e = _mm_add_epi16(_mm256_castsi256_si128(a0),
						  _mm256_extracti128_si256(a0, 1));
		o = _mm_add_epi16(_mm256_castsi256_si128(a1),
						  _mm256_extracti128_si256(a1, 1));
		acc[0] = _mm256_add_epi32(
			acc[0], _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(e, o)));
		acc[1] = _mm256_add_epi32(
			acc[1], _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(e, o)));
		e = _mm_add_epi16(_mm256_castsi256_si128(a2),
						  _mm256_extracti128_si256(a2, 1));
		o = _mm_add_epi16(_mm256_castsi256_si128(a3),
						  _mm256_extracti128_si256(a3, 1));
		acc[2] = _mm256_add_epi32(
			acc[2], _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(e, o)));
		acc[3] = _mm256_add_epi32(
			acc[3], _mm256_cvtepu16_epi32(_mm_unpackhi_epi16(e, o)));
		groups -= chunk;
	}
}

AVX2 static void
avx2_accumulate32(int code_bits, const uint8 *block, const uint8 *lut,
				  uint32 acc[VR_QUANT_LANES])
{
	__m256i sums[4];

	avx2_accumulate(code_bits, block, lut, sums);
	for (int i = 0; i < 4; i++)
		_mm256_storeu_si256((__m256i *) (acc + 8 * i), sums[i]);
}

AVX2 static uint32
avx2_estimate32(const VrQuantQuery *query, float g, const uint8 *block,
				const VrEdgeFactors *factors, float limit,
				float est[VR_QUANT_LANES])
{
	__m256 step = _mm256_set1_ps(query->lut_step);
	__m256 bias = _mm256_set1_ps(query->lut_bias);
	__m256 base = _mm256_set1_ps(g);
	__m256 most = _mm256_set1_ps(VR_ESTIMATE_MAX);
	__m256 bound = _mm256_set1_ps(limit);
	__m256i acc[4];
	uint32 mask = 0;

	avx2_accumulate(query->code_bits, block, query->lut, acc);
	for (int i = 0; i < 4; i++)
	{
		__m256 x = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[i]), step, bias);
		__m256 add = _mm256_add_ps(_mm256_loadu_ps(factors->add + 8 * i), base);
		__m256i wide = _mm256_slli_epi32(
			_mm256_cvtepu16_epi32(
				_mm_loadu_si128((const __m128i *) (factors->rescale + 8 * i))),
			16);
		/* min returns its second operand for NaN */
		__m256 e = _mm256_min_ps(
			_mm256_fmadd_ps(_mm256_castsi256_ps(wide), x, add), most);

		_mm256_storeu_ps(est + 8 * i, e);
		mask |= (uint32) _mm256_movemask_ps(_mm256_cmp_ps(e, bound, _CMP_LT_OQ))
				<< (8 * i);
	}
	return mask;
}

AVX2 static int
avx2_least32(const float est[VR_QUANT_LANES])
{
	__m256 x[4];
	__m256 d;
	uint32 mask = 0;

	for (int i = 0; i < 4; i++)
		x[i] = _mm256_loadu_ps(est + 8 * i);
	d = _mm256_min_ps(_mm256_min_ps(x[0], x[1]), _mm256_min_ps(x[2], x[3]));
	/* the least in every lane */
	d = _mm256_min_ps(d, _mm256_permute2f128_ps(d, d, 1));
	d = _mm256_min_ps(d, _mm256_permute_ps(d, 0x4E));
	d = _mm256_min_ps(d, _mm256_permute_ps(d, 0xB1));
	for (int i = 0; i < 4; i++)
		mask |= (uint32) _mm256_movemask_ps(_mm256_cmp_ps(x[i], d, _CMP_EQ_OQ))
				<< (8 * i);
	return __builtin_ctz(mask);
}

AVX2 static void
avx2_edge_bits(int padded, int code_bits, const float *v, const float *u,
			   uint8 *row, int stride, float sums[3])
{
	const __m256 sign = _mm256_set1_ps(-0.0f);
	__m256 sr = _mm256_setzero_ps();
	__m256 sv = sr;
	__m256 r2 = sr;

	for (int j = 0; j < code_bits; j += 8, row += stride)
	{
		__m256 x = _mm256_loadu_ps(v + j);
		__m256 r = _mm256_sub_ps(_mm256_loadu_ps(u + j), x);
		__m256 up = _mm256_cmp_ps(r, _mm256_setzero_ps(), _CMP_GT_OQ);

		*row = (uint8) _mm256_movemask_ps(up);
		sr = _mm256_add_ps(sr, _mm256_andnot_ps(sign, r));
		sv = _mm256_add_ps(sv, _mm256_xor_ps(x, _mm256_andnot_ps(up, sign)));
		r2 = _mm256_fmadd_ps(r, r, r2);
	}
	for (int j = code_bits; j < padded; j += 8)
	{
		__m256 r =
			_mm256_sub_ps(_mm256_loadu_ps(u + j), _mm256_loadu_ps(v + j));

		r2 = _mm256_fmadd_ps(r, r, r2);
	}
	sums[0] = 0.5f * avx2_sum(sr);
	sums[1] = 0.5f * avx2_sum(sv);
	sums[2] = avx2_sum(r2);
}

/* ------------------------------------------------------------- own vectors */

AVX2 static inline float
avx2_l2sq(int n, const float *q, const float *x)
{
	__m256 s0 = _mm256_setzero_ps();
	__m256 s1 = s0;

	for (int j = 0; j < n; j += 16)
	{
		__m256 d0 =
			_mm256_sub_ps(_mm256_loadu_ps(q + j), _mm256_loadu_ps(x + j));
		__m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(q + j + 8),
								  _mm256_loadu_ps(x + j + 8));

		s0 = _mm256_fmadd_ps(d0, d0, s0);
		s1 = _mm256_fmadd_ps(d1, d1, s1);
	}
	return quant_bound(avx2_sum(_mm256_add_ps(s0, s1)));
}

AVX2 static float
avx2_distance_f32(const VrQuantQuery *query, const VrOwnHead *head,
				  const void *data)
{
	return avx2_l2sq(query->padded, query->q, data);
}

AVX2 static float
avx2_pair_f32(int padded, const VrOwnHead *ha, const void *a,
			  const VrOwnHead *hb, const void *b)
{
	return avx2_l2sq(padded, a, b);
}

AVX2 static inline __m256
avx2_load_half(const vr_half *x)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) x));
}

AVX2 static float
avx2_distance_f16(const VrQuantQuery *query, const VrOwnHead *head,
				  const void *data)
{
	const float *q = query->q;
	const vr_half *x = data;
	__m256 scale = _mm256_set1_ps(head->scale);
	__m256 s0 = _mm256_setzero_ps();
	__m256 s1 = s0;

	for (int j = 0; j < query->padded; j += 16)
	{
		__m256 d0 = _mm256_fnmadd_ps(scale, avx2_load_half(x + j),
									 _mm256_loadu_ps(q + j));
		__m256 d1 = _mm256_fnmadd_ps(scale, avx2_load_half(x + j + 8),
									 _mm256_loadu_ps(q + j + 8));

		s0 = _mm256_fmadd_ps(d0, d0, s0);
		s1 = _mm256_fmadd_ps(d1, d1, s1);
	}
	return quant_bound(avx2_sum(_mm256_add_ps(s0, s1)));
}

AVX2 static float
avx2_pair_f16(int padded, const VrOwnHead *ha, const void *a,
			  const VrOwnHead *hb, const void *b)
{
	const vr_half *x = a;
	const vr_half *y = b;
	__m256 sa = _mm256_set1_ps(ha->scale);
	__m256 sb = _mm256_set1_ps(hb->scale);
	__m256 s0 = _mm256_setzero_ps();
	__m256 s1 = s0;

	for (int j = 0; j < padded; j += 16)
	{
		__m256 d0 = _mm256_fnmadd_ps(sb, avx2_load_half(y + j),
									 _mm256_mul_ps(sa, avx2_load_half(x + j)));
		__m256 d1 =
			_mm256_fnmadd_ps(sb, avx2_load_half(y + j + 8),
							 _mm256_mul_ps(sa, avx2_load_half(x + j + 8)));

		s0 = _mm256_fmadd_ps(d0, d0, s0);
		s1 = _mm256_fmadd_ps(d1, d1, s1);
	}
	return quant_bound(avx2_sum(_mm256_add_ps(s0, s1)));
}

AVX2 static void
avx2_decode_f16(int padded, float scale, const vr_half *x, float *out)
{
	__m256 s = _mm256_set1_ps(scale);

	for (int j = 0; j < padded; j += 8)
		_mm256_storeu_ps(out + j, _mm256_mul_ps(s, avx2_load_half(x + j)));
}

AVX2 static float
avx2_distance_i8(const VrQuantQuery *query, const VrOwnHead *head,
				 const void *data)
{
	const uint8 *c = data;
	int64 total = 0;

	/* 1024 products per chunk: 64 pairs in each of 16 sums cannot overflow */
	for (int j = 0; j < query->padded; j += 1024)
	{
		int end = query->padded - j < 1024 ? query->padded : j + 1024;
		__m256i s0 = _mm256_setzero_si256();
		__m256i s1 = s0;
		int i = j;

		for (; i + 32 <= end; i += 32)
		{
			__m256i c0 = _mm256_cvtepu8_epi16(
				_mm_loadu_si128((const __m128i *) (c + i)));
			__m256i c1 = _mm256_cvtepu8_epi16(
				_mm_loadu_si128((const __m128i *) (c + i + 16)));
			const __m256i *q = (const __m256i *) (query->q16 + i);

			s0 = _mm256_add_epi32(s0,
								  _mm256_madd_epi16(c0, _mm256_loadu_si256(q)));
			s1 = _mm256_add_epi32(
				s1, _mm256_madd_epi16(c1, _mm256_loadu_si256(q + 1)));
		}
		if (i < end)
			s0 = _mm256_add_epi32(
				s0, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(
										  (const __m128i *) (c + i))),
									  _mm256_loadu_si256(
										  (const __m256i *) (query->q16 + i))));
		total += avx2_sum_i32(s0) + avx2_sum_i32(s1);
	}
	return quant_int_distance(query, head, total, 1, 128);
}

AVX2 static float
avx2_pair_i8(int padded, const VrOwnHead *ha, const void *a,
			 const VrOwnHead *hb, const void *b)
{
	const uint8 *x = a;
	const uint8 *y = b;
	__m256i s = _mm256_setzero_si256();
	__m256i t = s;

	for (int j = 0; j < padded; j += 16)
	{
		__m128i cx = _mm_loadu_si128((const __m128i *) (x + j));
		__m128i cy = _mm_loadu_si128((const __m128i *) (y + j));

		s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_cvtepu8_epi16(cx),
												  _mm256_cvtepu8_epi16(cy)));
		t = _mm256_add_epi64(t, _mm256_sad_epu8(_mm256_set_m128i(cx, cy),
												_mm256_setzero_si256()));
	}
	return quant_int_pair(padded, ha, hb, avx2_sum_i32(s), avx2_sum_i32(t), 1,
						  128);
}

const VrQuantKernels VrQuantAvx2 = {
	.name = "avx2",
	.rotate = avx2_rotate,
	.make_lut = avx2_make_lut,
	.copy_query = avx2_copy_query,
	.make_ints = avx2_make_ints,
	.accumulate32 = avx2_accumulate32,
	.estimate32 = avx2_estimate32,
	.least32 = avx2_least32,
	.edge_bits = avx2_edge_bits,
	.decode_f16 = avx2_decode_f16,
	.distance = {NULL, avx2_distance_f32, avx2_distance_f16, avx2_distance_i8,
				 avx2_distance_i8, qg_distance_i4, qg_distance_i2},
	.distance_fine = qg_distance_i8x2_fine,
	.pair = {NULL, avx2_pair_f32, avx2_pair_f16, avx2_pair_i8, avx2_pair_i8,
			 qg_pair_i4, qg_pair_i2},
};

#endif /* VR_QUANT_X86 */
