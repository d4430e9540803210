/*
 * quant_avx512.c
 *		The kernels for AVX-512 (F, BW, DQ, VL), with and without VNNI.
 */
#include "c.h"

#include "quant/quant_private.h"

#ifdef VR_QUANT_X86

#include <immintrin.h>

#define AVX512 VR_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#define VNNI                                                                   \
	VR_TARGET("avx512vnni,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")

#define QG_TARGET AVX512
#include "quant/quant_generic.h"

/* Sum of sixteen int32, exact. */
AVX512 static inline int64
avx512_sum_i32(__m512i v)
{
	return _mm512_reduce_add_epi64(_mm512_add_epi64(
		_mm512_cvtepi32_epi64(_mm512_castsi512_si256(v)),
		_mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1))));
}

/* ---------------------------------------------------------------- rotation */

/* Flips 16 signs by 16 bits. */
AVX512 static inline __m512
avx512_flip(__m512 v, const uint8 *bits)
{
	uint16 m;

	memcpy(&m, bits, sizeof(m));
	return _mm512_mask_xor_ps(v, m, v, _mm512_set1_ps(-0.0f));
}

/* Hadamard transform within one register, times norm. */
AVX512 static inline __m512
avx512_fht16(__m512 v, __m512 norm)
{
	const __m512 s1 =
		_mm512_setr_ps(1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1);
	const __m512 s2 =
		_mm512_setr_ps(1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1);
	const __m512 s4 =
		_mm512_setr_ps(1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1);
	const __m512 s8 =
		_mm512_setr_ps(1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1);

	v = _mm512_mul_ps(v, norm);
	v = _mm512_fmadd_ps(v, s1, _mm512_permute_ps(v, 0xB1));
	v = _mm512_fmadd_ps(v, s2, _mm512_permute_ps(v, 0x4E));
	v = _mm512_fmadd_ps(v, s4, _mm512_shuffle_f32x4(v, v, 0xB1));
	return _mm512_fmadd_ps(v, s8, _mm512_shuffle_f32x4(v, v, 0x4E));
}

#define BF(a, b)                                                               \
	do                                                                         \
	{                                                                          \
		__m512 t_ = (a);                                                       \
		(a) = _mm512_add_ps(t_, (b));                                          \
		(b) = _mm512_sub_ps(t_, (b));                                          \
	} while (0)

#define BF4(a, b, c, d)                                                        \
	do                                                                         \
	{                                                                          \
		BF(a, b);                                                              \
		BF(c, d);                                                              \
		BF(a, c);                                                              \
		BF(b, d);                                                              \
	} while (0)

#define LOAD(i) __m512 r##i = avx512_fht16(_mm512_loadu_ps(x + 16 * i), norm)
#define STORE(i) _mm512_storeu_ps(x + 16 * i, r##i)

/* A transform of 256, wholly in registers. */
AVX512 static inline void
avx512_fht256(float *x, __m512 norm)
{
	LOAD(0);
	LOAD(1);
	LOAD(2);
	LOAD(3);
	LOAD(4);
	LOAD(5);
	LOAD(6);
	LOAD(7);
	LOAD(8);
	LOAD(9);
	LOAD(10);
	LOAD(11);
	LOAD(12);
	LOAD(13);
	LOAD(14);
	LOAD(15);

	BF4(r0, r1, r2, r3);
	BF4(r4, r5, r6, r7);
	BF4(r8, r9, r10, r11);
	BF4(r12, r13, r14, r15);
	BF4(r0, r4, r8, r12);
	BF4(r1, r5, r9, r13);
	BF4(r2, r6, r10, r14);
	BF4(r3, r7, r11, r15);
	STORE(0);
	STORE(1);
	STORE(2);
	STORE(3);
	STORE(4);
	STORE(5);
	STORE(6);
	STORE(7);
	STORE(8);
	STORE(9);
	STORE(10);
	STORE(11);
	STORE(12);
	STORE(13);
	STORE(14);
	STORE(15);
}

AVX512 static inline void
avx512_fht32(float *x, __m512 norm)
{
	LOAD(0);
	LOAD(1);

	BF(r0, r1);
	STORE(0);
	STORE(1);
}

AVX512 static void
avx512_fht(int n, float *x)
{
	__m512 norm = _mm512_set1_ps(1.0f / sqrtf((float) n));
	int h;

	if (n >= 256)
	{
		for (int i = 0; i < n; i += 256)
			avx512_fht256(x + i, norm);
		h = 256;
	}
	else
	{
		for (int i = 0; i < n; i += 32)
			avx512_fht32(x + i, norm);
		h = 32;
	}
	/* then two levels in one pass over memory */
	for (; h * 2 < n; h *= 4)
		for (int i = 0; i < n; i += 4 * h)
			for (int j = i; j < i + h; j += 16)
			{
				__m512 a = _mm512_loadu_ps(x + j);
				__m512 b = _mm512_loadu_ps(x + j + h);
				__m512 c = _mm512_loadu_ps(x + j + 2 * h);
				__m512 d = _mm512_loadu_ps(x + j + 3 * h);

				BF4(a, b, c, d);
				_mm512_storeu_ps(x + j, a);
				_mm512_storeu_ps(x + j + h, b);
				_mm512_storeu_ps(x + j + 2 * h, c);
				_mm512_storeu_ps(x + j + 3 * h, d);
			}
	if (h < n)
		for (int j = 0; j < h; j += 16)
		{
			__m512 a = _mm512_loadu_ps(x + j);
			__m512 b = _mm512_loadu_ps(x + j + h);

			BF(a, b);
			_mm512_storeu_ps(x + j, a);
			_mm512_storeu_ps(x + j + h, b);
		}
}

AVX512 static void
avx512_rotate(const VrRotation *rot, const float *mean, const float *in,
			  float *out)
{
	const __m512 top = _mm512_set1_ps(VR_COORD_MAX);
	const __m512 bottom = _mm512_set1_ps(-VR_COORD_MAX);
	__m512 scale = _mm512_set1_ps(rot->scale);
	int n = rot->padded;
	int half = n / 2;

	for (int j = 0; j < n; j += 16)
	{
		int left = rot->dim - j;
		__mmask16 m = left >= 16 ? 0xffff : (left > 0 ? (1u << left) - 1 : 0);
		__m512 x = _mm512_maskz_loadu_ps(m, in + j);

		if (mean)
			x = _mm512_sub_ps(x, _mm512_maskz_loadu_ps(m, mean + j));
		x = _mm512_mul_ps(x, scale);
		x = _mm512_max_ps(_mm512_min_ps(x, top), bottom);
		_mm512_storeu_ps(out + j, avx512_flip(x, rot->signs + j / 8));
	}
	for (int round = 0; round < VR_ROTATE_ROUNDS; round++)
	{
		/* the next round's signs are applied while mixing this one's halves */
		const uint8 *next = rot->signs + (round + 1) * (n / 8);
		bool last = round == VR_ROTATE_ROUNDS - 1;
		const __m512 mixing = _mm512_set1_ps(0.5f);

		avx512_fht(rot->block, round % 2 ? out + n - rot->block : out);
		if (n == rot->block || round % 2 == 0)
		{
			if (!last)
				for (int j = 0; j < n; j += 16)
					_mm512_storeu_ps(
						out + j,
						avx512_flip(_mm512_loadu_ps(out + j), next + j / 8));
			continue;
		}
		/* half is a multiple of 8: the last step may be half a register */
		for (int j = 0; j < half; j += 16)
		{
			__mmask16 m = half - j >= 16 ? 0xffff : 0x00ff;
			__m512 a = _mm512_maskz_loadu_ps(m, out + j);
			__m512 b = _mm512_maskz_loadu_ps(m, out + j + half);

			BF(a, b);
			if (last)
			{
				a = _mm512_mul_ps(a, mixing);
				b = _mm512_mul_ps(b, mixing);
			}
			else
			{
				a = avx512_flip(a, next + j / 8);
				b = avx512_flip(b, next + (j + half) / 8);
			}
			_mm512_mask_storeu_ps(out + j, m, a);
			_mm512_mask_storeu_ps(out + j + half, m, b);
		}
	}
}

/* ------------------------------------------------------------------- query */

AVX512 static float
avx512_copy_query(int padded, const float *q, float *copy, float *biggest)
{
	__m512 sum = _mm512_setzero_ps();
	__m512 most = sum;

	for (int j = 0; j < padded; j += 16)
	{
		__m512 x = _mm512_loadu_ps(q + j);

		_mm512_storeu_ps(copy + j, x);
		sum = _mm512_fmadd_ps(x, x, sum);
		most = _mm512_max_ps(most, _mm512_abs_ps(x));
	}
	*biggest = _mm512_reduce_max_ps(most);
	return _mm512_reduce_add_ps(sum);
}

AVX512 static float
avx512_make_ints(int padded, const float *q, float inv_step, int16 *q16,
				 int8 *hi, int8 *lo, int32 *sum)
{
	__m512 inv = _mm512_set1_ps(inv_step);
	__m512 cross = _mm512_setzero_ps();
	__m512i total = _mm512_setzero_si512();

	for (int j = 0; j < padded; j += 16)
	{
		__m512 x = _mm512_loadu_ps(q + j);
		__m512i i = _mm512_cvtps_epi32(_mm512_mul_ps(x, inv));
		__m512i l = _mm512_srai_epi32(_mm512_slli_epi32(i, 24), 24);
		__m512i h = _mm512_srai_epi32(_mm512_sub_epi32(i, l), 8);

		cross = _mm512_fmadd_ps(x, _mm512_cvtepi32_ps(i), cross);
		total = _mm512_add_epi32(total, i);
		_mm256_storeu_si256((__m256i *) (q16 + j), _mm512_cvtepi32_epi16(i));
		_mm_storeu_si128((__m128i *) (lo + j), _mm512_cvtepi32_epi8(l));
		_mm_storeu_si128((__m128i *) (hi + j), _mm512_cvtepi32_epi8(h));
	}
	*sum = _mm512_reduce_add_epi32(total);
	return _mm512_reduce_add_ps(cross);
}

/* ------------------------------------------------------------------ codes */

AVX512 static void
avx512_make_lut(int code_bits, const float *q, uint8 *lut, float *step,
				float *bias)
{
	const __m512 zero = _mm512_setzero_ps();
	__m512 low = zero;
	__m512 high = zero;
	__m512 total = zero;
	__m512 base;
	__m512 inv;
	float lowest;
	float highest;

	/* four groups of four at a time; sums in the order of the scalar code */
	for (int j = 0; j < code_bits; j += 16)
	{
		__m512 x = _mm512_loadu_ps(q + j);
		__m512 n = _mm512_min_ps(x, zero);
		__m512 p = _mm512_max_ps(x, zero);

		total = _mm512_add_ps(total, x);
		n = _mm512_add_ps(
			_mm512_add_ps(_mm512_add_ps(_mm512_permute_ps(n, 0xFF),
										_mm512_permute_ps(n, 0xAA)),
						  _mm512_permute_ps(n, 0x55)),
			_mm512_permute_ps(n, 0x00));
		p = _mm512_add_ps(
			_mm512_add_ps(_mm512_add_ps(_mm512_permute_ps(p, 0xFF),
										_mm512_permute_ps(p, 0xAA)),
						  _mm512_permute_ps(p, 0x55)),
			_mm512_permute_ps(p, 0x00));
		low = _mm512_min_ps(low, n);
		high = _mm512_max_ps(high, p);
	}
	lowest = _mm512_reduce_min_ps(low);
	highest = _mm512_reduce_max_ps(high);
	*step = (highest - lowest) / 255.0f;
	*bias =
		(float) (code_bits / 4) * lowest - 0.5f * _mm512_reduce_add_ps(total);

	base = _mm512_set1_ps(lowest);
	inv = _mm512_set1_ps(*step > 1.0e-37f ? 1.0f / *step : 0.0f);
	for (int j = 0; j < code_bits; j += 4, lut += 16)
	{
		/* entry m sums the q whose bit is set in m */
		__m512 e = _mm512_maskz_mov_ps(0xff00, _mm512_set1_ps(q[j + 3]));

		e = _mm512_mask_add_ps(e, 0xf0f0, e, _mm512_set1_ps(q[j + 2]));
		e = _mm512_mask_add_ps(e, 0xcccc, e, _mm512_set1_ps(q[j + 1]));
		e = _mm512_mask_add_ps(e, 0xaaaa, e, _mm512_set1_ps(q[j]));
		_mm_storeu_si128((__m128i *) lut,
						 _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(
							 _mm512_mul_ps(_mm512_sub_ps(e, base), inv))));
	}
}

/* The sum of a register's four mixings, as 16-bit words. */
AVX512 static inline __m128i
avx512_fold16(__m512i v)
{
	__m256i s = _mm256_add_epi16(_mm512_castsi512_si256(v),
								 _mm512_extracti64x4_epi64(v, 1));

	return _mm_add_epi16(_mm256_castsi256_si128(s),
						 _mm256_extracti128_si256(s, 1));
}

/* One step of four groups: 64 bytes of codes c, 64 of table t. */
#define ACCUMULATE_STEP(c, t)                                                  \
	do                                                                         \
	{                                                                          \
		__m512i lo_ = _mm512_shuffle_epi8(t, _mm512_and_si512(c, nibble));     \
		__m512i hi_ = _mm512_shuffle_epi8(                                     \
			t, _mm512_and_si512(_mm512_srli_epi16(c, 4), nibble));             \
		a0 = _mm512_add_epi16(a0, lo_);                                        \
		a1 = _mm512_add_epi16(a1, _mm512_srli_epi16(lo_, 8));                  \
		a2 = _mm512_add_epi16(a2, hi_);                                        \
		a3 = _mm512_add_epi16(a3, _mm512_srli_epi16(hi_, 8));                  \
	} while (0)

/*
 * Adds the table entries of all groups: lanes 0-15 and 16-31. See
 * avx2_accumulate() for the arithmetic.
 */
AVX512 static inline void
avx512_accumulate(int code_bits, const uint8 *block, const uint8 *lut,
				  __m512i acc[2])
{
	const __m512i nibble = _mm512_set1_epi8(15);
	int groups = code_bits / 4;

	acc[0] = acc[1] = _mm512_setzero_si512();
	while (groups > 0)
	{
		int chunk = groups < VR_ACC_GROUPS ? groups : VR_ACC_GROUPS;
		__m512i a0 = _mm512_setzero_si512();
		__m512i a1 = a0;
		__m512i a2 = a0;
		__m512i a3 = a0;
		__m128i e, o;

		for (int g = 0; g < chunk; g += 4, block += 64, lut += 64)
		{
			__m512i c = _mm512_loadu_si512(block);
			__m512i t = _mm512_loadu_si512(lut);

			ACCUMULATE_STEP(c, t);
		}
		a0 = _mm512_sub_epi16(a0, _mm512_slli_epi16(a1, 8));
		a2 = _mm512_sub_epi16(a2, _mm512_slli_epi16(a3, 8));

		e = avx512_fold16(a0);
		o = avx512_fold16(a1);
		acc[0] = _mm512_add_epi32(
			acc[0], _mm512_cvtepu16_epi32(_mm256_set_m128i(
						_mm_unpackhi_epi16(e, o), _mm_unpacklo_epi16(e, o))));
		e = avx512_fold16(a2);
		o = avx512_fold16(a3);
		acc[1] = _mm512_add_epi32(
			acc[1], _mm512_cvtepu16_epi32(_mm256_set_m128i(
						_mm_unpackhi_epi16(e, o), _mm_unpacklo_epi16(e, o))));
		groups -= chunk;
	}
}

AVX512 static void
avx512_accumulate32(int code_bits, const uint8 *block, const uint8 *lut,
					uint32 acc[VR_QUANT_LANES])
{
	__m512i sums[2];

	avx512_accumulate(code_bits, block, lut, sums);
	_mm512_storeu_si512(acc, sums[0]);
	_mm512_storeu_si512(acc + 16, sums[1]);
}

AVX512 static uint32
avx512_estimate32(const VrQuantQuery *query, float g, const uint8 *block,
				  const VrEdgeFactors *factors, float limit,
				  float est[VR_QUANT_LANES])
{
	__m512 step = _mm512_set1_ps(query->lut_step);
	__m512 bias = _mm512_set1_ps(query->lut_bias);
	__m512 base = _mm512_set1_ps(g);
	__m512 most = _mm512_set1_ps(VR_ESTIMATE_MAX);
	__m512 bound = _mm512_set1_ps(limit);
	__m512i acc[2];
	uint32 mask = 0;

	avx512_accumulate(query->code_bits, block, query->lut, acc);
	for (int i = 0; i < 2; i++)
	{
		__m512 x = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[i]), step, bias);
		__m512 add =
			_mm512_add_ps(_mm512_loadu_ps(factors->add + 16 * i), base);
		__m512i wide = _mm512_slli_epi32(
			_mm512_cvtepu16_epi32(_mm256_loadu_si256(
				(const __m256i *) (factors->rescale + 16 * i))),
			16);
		/* min returns its second operand for NaN */
		__m512 e = _mm512_min_ps(
			_mm512_fmadd_ps(_mm512_castsi512_ps(wide), x, add), most);

		_mm512_storeu_ps(est + 16 * i, e);
		mask |= (uint32) _mm512_cmp_ps_mask(e, bound, _CMP_LT_OQ) << (16 * i);
	}
	return mask;
}

AVX512 static int
avx512_least32(const float est[VR_QUANT_LANES])
{
	__m512 a = _mm512_loadu_ps(est);
	__m512 b = _mm512_loadu_ps(est + 16);
	__m512 d = _mm512_min_ps(a, b);

	/* the least in every lane */
	d = _mm512_min_ps(d, _mm512_shuffle_f32x4(d, d, 0x4E));
	d = _mm512_min_ps(d, _mm512_shuffle_f32x4(d, d, 0xB1));
	d = _mm512_min_ps(d, _mm512_permute_ps(d, 0x4E));
	d = _mm512_min_ps(d, _mm512_permute_ps(d, 0xB1));
	return __builtin_ctz((uint32) _mm512_cmp_ps_mask(a, d, _CMP_EQ_OQ) |
						 (uint32) _mm512_cmp_ps_mask(b, d, _CMP_EQ_OQ) << 16);
}

AVX512 static void
avx512_edge_bits(int padded, int code_bits, const float *v, const float *u,
				 uint8 *row, int stride, float sums[3])
{
	const __m512 sign = _mm512_set1_ps(-0.0f);
	__m512 sr = _mm512_setzero_ps();
	__m512 sv = sr;
	__m512 r2 = sr;

	for (int j = 0; j < code_bits; j += 16, row += 2 * stride)
	{
		__m512 x = _mm512_loadu_ps(v + j);
		__m512 r = _mm512_sub_ps(_mm512_loadu_ps(u + j), x);
		__mmask16 up = _mm512_cmp_ps_mask(r, _mm512_setzero_ps(), _CMP_GT_OQ);

		row[0] = (uint8) up;
		row[stride] = (uint8) (up >> 8);
		sr = _mm512_add_ps(sr, _mm512_abs_ps(r));
		sv = _mm512_add_ps(sv, _mm512_mask_xor_ps(x, (__mmask16) ~up, x, sign));
		r2 = _mm512_fmadd_ps(r, r, r2);
	}
	for (int j = code_bits; j < padded; j += 16)
	{
		__m512 r =
			_mm512_sub_ps(_mm512_loadu_ps(u + j), _mm512_loadu_ps(v + j));

		r2 = _mm512_fmadd_ps(r, r, r2);
	}
	sums[0] = 0.5f * _mm512_reduce_add_ps(sr);
	sums[1] = 0.5f * _mm512_reduce_add_ps(sv);
	sums[2] = _mm512_reduce_add_ps(r2);
}

/* -------------------------------------------------- own vectors, floating */

AVX512 static inline float
avx512_l2sq(int n, const float *q, const float *x)
{
	__m512 s0 = _mm512_setzero_ps();
	__m512 s1 = s0;
	__m512 d;
	int j = 0;

	for (; j + 32 <= n; j += 32)
	{
		d = _mm512_sub_ps(_mm512_loadu_ps(q + j), _mm512_loadu_ps(x + j));
		s0 = _mm512_fmadd_ps(d, d, s0);
		d = _mm512_sub_ps(_mm512_loadu_ps(q + j + 16),
						  _mm512_loadu_ps(x + j + 16));
		s1 = _mm512_fmadd_ps(d, d, s1);
	}
	if (j < n)
	{
		d = _mm512_sub_ps(_mm512_loadu_ps(q + j), _mm512_loadu_ps(x + j));
		s0 = _mm512_fmadd_ps(d, d, s0);
	}
	return quant_bound(_mm512_reduce_add_ps(_mm512_add_ps(s0, s1)));
}

AVX512 static float
avx512_distance_f32(const VrQuantQuery *query, const VrOwnHead *head,
					const void *data)
{
	return avx512_l2sq(query->padded, query->q, data);
}

AVX512 static float
avx512_pair_f32(int padded, const VrOwnHead *ha, const void *a,
				const VrOwnHead *hb, const void *b)
{
	return avx512_l2sq(padded, a, b);
}

AVX512 static inline __m512
avx512_load_half(const vr_half *x)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) x));
}

AVX512 static float
avx512_distance_f16(const VrQuantQuery *query, const VrOwnHead *head,
					const void *data)
{
	const float *q = query->q;
	const vr_half *x = data;
	__m512 scale = _mm512_set1_ps(head->scale);
	__m512 s0 = _mm512_setzero_ps();
	__m512 s1 = s0;
	__m512 d;
	int j = 0;

	for (; j + 32 <= query->padded; j += 32)
	{
		d = _mm512_fnmadd_ps(scale, avx512_load_half(x + j),
							 _mm512_loadu_ps(q + j));
		s0 = _mm512_fmadd_ps(d, d, s0);
		d = _mm512_fnmadd_ps(scale, avx512_load_half(x + j + 16),
							 _mm512_loadu_ps(q + j + 16));
		s1 = _mm512_fmadd_ps(d, d, s1);
	}
	if (j < query->padded)
	{
		d = _mm512_fnmadd_ps(scale, avx512_load_half(x + j),
							 _mm512_loadu_ps(q + j));
		s0 = _mm512_fmadd_ps(d, d, s0);
	}
	return quant_bound(_mm512_reduce_add_ps(_mm512_add_ps(s0, s1)));
}

AVX512 static float
avx512_pair_f16(int padded, const VrOwnHead *ha, const void *a,
				const VrOwnHead *hb, const void *b)
{
	const vr_half *x = a;
	const vr_half *y = b;
	__m512 sa = _mm512_set1_ps(ha->scale);
	__m512 sb = _mm512_set1_ps(hb->scale);
	__m512 s0 = _mm512_setzero_ps();
	__m512 s1 = s0;
	__m512 d;
	int j = 0;

	for (; j + 32 <= padded; j += 32)
	{
		d = _mm512_fnmadd_ps(sb, avx512_load_half(y + j),
							 _mm512_mul_ps(sa, avx512_load_half(x + j)));
		s0 = _mm512_fmadd_ps(d, d, s0);
		d = _mm512_fnmadd_ps(sb, avx512_load_half(y + j + 16),
							 _mm512_mul_ps(sa, avx512_load_half(x + j + 16)));
		s1 = _mm512_fmadd_ps(d, d, s1);
	}
	if (j < padded)
	{
		d = _mm512_fnmadd_ps(sb, avx512_load_half(y + j),
							 _mm512_mul_ps(sa, avx512_load_half(x + j)));
		s0 = _mm512_fmadd_ps(d, d, s0);
	}
	return quant_bound(_mm512_reduce_add_ps(_mm512_add_ps(s0, s1)));
}

AVX512 static float
avx512_distance_i8x2_fine(const VrQuantQuery *query, const VrOwnHead *head,
						  const void *data)
{
	const float *q = query->q;
	const uint8 *c1 = data;
	const uint8 *c2 = c1 + query->padded;
	__m512 fine = _mm512_set1_ps(1.0f / VR_I8X2_STEPS);
	__m512 zero = _mm512_set1_ps(128.0f + 128.0f / VR_I8X2_STEPS);
	__m512 scale = _mm512_set1_ps(head->scale);
	__m512 sum = _mm512_setzero_ps();

	for (int j = 0; j < query->padded; j += 16)
	{
		__m512 x1 = _mm512_cvtepi32_ps(
			_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) (c1 + j))));
		__m512 x2 = _mm512_cvtepi32_ps(
			_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) (c2 + j))));
		__m512 x = _mm512_fmadd_ps(x2, fine, _mm512_sub_ps(x1, zero));
		__m512 d = _mm512_fnmadd_ps(scale, x, _mm512_loadu_ps(q + j));

		sum = _mm512_fmadd_ps(d, d, sum);
	}
	return quant_bound(_mm512_reduce_add_ps(sum));
}

AVX512 static void
avx512_decode_f16(int padded, float scale, const vr_half *x, float *out)
{
	__m512 s = _mm512_set1_ps(scale);

	for (int j = 0; j < padded; j += 16)
		_mm512_storeu_ps(out + j, _mm512_mul_ps(s, avx512_load_half(x + j)));
}

/* --------------------------------------------------- own vectors, integer */

/* Without VNNI: 16-bit products, widened every 1024 coordinates. */
AVX512 static float
avx512_distance_i8(const VrQuantQuery *query, const VrOwnHead *head,
				   const void *data)
{
	const uint8 *c = data;
	int64 total = 0;

	for (int j = 0; j < query->padded; j += 1024)
	{
		int end = query->padded - j < 1024 ? query->padded : j + 1024;
		__m512i sum = _mm512_setzero_si512();

		for (int i = j; i < end; i += 32)
		{
			/* a multiple of 16 */
			__mmask32 m = end - i >= 32 ? 0xffffffff : 0x0000ffff;
			__m512i x = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(m, c + i));
			__m512i y = _mm512_maskz_loadu_epi16(m, query->q16 + i);

			sum = _mm512_add_epi32(sum, _mm512_madd_epi16(x, y));
		}
		total += avx512_sum_i32(sum);
	}
	return quant_int_distance(query, head, total, 1, 128);
}

AVX512 static float
avx512_pair_i8(int padded, const VrOwnHead *ha, const void *a,
			   const VrOwnHead *hb, const void *b)
{
	const uint8 *x = a;
	const uint8 *y = b;
	__m512i dot = _mm512_setzero_si512();
	__m512i sum = dot;

	for (int j = 0; j < padded; j += 32)
	{
		__mmask32 m = padded - j >= 32 ? 0xffffffff : 0x0000ffff;
		__m256i cx = _mm256_maskz_loadu_epi8(m, x + j);
		__m256i cy = _mm256_maskz_loadu_epi8(m, y + j);

		dot =
			_mm512_add_epi32(dot, _mm512_madd_epi16(_mm512_cvtepu8_epi16(cx),
													_mm512_cvtepu8_epi16(cy)));
		sum = _mm512_add_epi64(
			sum, _mm512_sad_epu8(
					 _mm512_inserti64x4(_mm512_castsi256_si512(cx), cy, 1),
					 _mm512_setzero_si512()));
	}
	return quant_int_pair(padded, ha, hb, avx512_sum_i32(dot),
						  _mm512_reduce_add_epi64(sum), 1, 128);
}

/* Bytes j.. of n, zero beyond. */
VNNI static inline __mmask64
vnni_mask(int n, int j)
{
	return n - j >= 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << (n - j)) - 1;
}

/*
 * The sum of code times q16 from the query's two planes. Each plane's sum
 * stays below 255 * 128 * 16,000 / 16 per element.
 */
VNNI static inline int64
vnni_planes(__m512i hi, __m512i lo)
{
	return avx512_sum_i32(hi) * 256 + avx512_sum_i32(lo);
}

VNNI static float
vnni_distance_i8(const VrQuantQuery *query, const VrOwnHead *head,
				 const void *data)
{
	const uint8 *c = data;
	const int8 *qh = query->hi;
	const int8 *ql = query->lo;
	int n = query->padded;
	__m512i h0 = _mm512_setzero_si512();
	__m512i l0 = h0;
	__m512i h1 = h0;
	__m512i l1 = h0;
	__m512i x;
	int j = 0;

	for (; j + 128 <= n; j += 128)
	{
		x = _mm512_loadu_si512(c + j);
		h0 = _mm512_dpbusd_epi32(h0, x, _mm512_loadu_si512(qh + j));
		l0 = _mm512_dpbusd_epi32(l0, x, _mm512_loadu_si512(ql + j));
		x = _mm512_loadu_si512(c + j + 64);
		h1 = _mm512_dpbusd_epi32(h1, x, _mm512_loadu_si512(qh + j + 64));
		l1 = _mm512_dpbusd_epi32(l1, x, _mm512_loadu_si512(ql + j + 64));
	}
	for (; j < n; j += 64)
	{
		__mmask64 m = vnni_mask(n, j);

		x = _mm512_maskz_loadu_epi8(m, c + j);
		h0 = _mm512_dpbusd_epi32(h0, x, _mm512_maskz_loadu_epi8(m, qh + j));
		l0 = _mm512_dpbusd_epi32(l0, x, _mm512_maskz_loadu_epi8(m, ql + j));
	}
	return quant_int_distance(
		query, head,
		vnni_planes(_mm512_add_epi32(h0, h1), _mm512_add_epi32(l0, l1)), 1,
		128);
}

/* Sub-byte kinds; see qg_udot_packed for the order. */
VNNI static inline float
vnni_distance_packed(const VrQuantQuery *query, const VrOwnHead *head,
					 const uint8 *c, int parts, int width, int zero)
{
	int n = query->padded / parts;
	__m512i mask = _mm512_set1_epi8((char) ((1 << width) - 1));
	__m512i h = _mm512_setzero_si512();
	__m512i l = h;

	for (int j = 0; j < n; j += 64)
	{
		__mmask64 m = vnni_mask(n, j);
		__m512i x = _mm512_maskz_loadu_epi8(m, c + j);

		for (int t = 0; t < parts; t++)
		{
			__m512i y = _mm512_and_si512(x, mask);

			h = _mm512_dpbusd_epi32(
				h, y, _mm512_maskz_loadu_epi8(m, query->hi + t * n + j));
			l = _mm512_dpbusd_epi32(
				l, y, _mm512_maskz_loadu_epi8(m, query->lo + t * n + j));
			x = _mm512_srli_epi16(x, width);
		}
	}
	return quant_int_distance(query, head, vnni_planes(h, l), 2, zero);
}

VNNI static float
vnni_distance_i4(const VrQuantQuery *query, const VrOwnHead *head,
				 const void *data)
{
	return vnni_distance_packed(query, head, data, 2, 4, 15);
}

VNNI static float
vnni_distance_i2(const VrQuantQuery *query, const VrOwnHead *head,
				 const void *data)
{
	return vnni_distance_packed(query, head, data, 4, 2, 3);
}

/*
 * Unsigned times signed is what VNNI has: with y' = y - 128, the sum of
 * (x - 128) y' is that of x y' less that of 128 y'. Both stay below
 * 255 * 128 * 16,000.
 */
VNNI static float
vnni_pair_i8(int padded, const VrOwnHead *ha, const void *a,
			 const VrOwnHead *hb, const void *b)
{
	const uint8 *x = a;
	const uint8 *y = b;
	const __m512i middle = _mm512_set1_epi8((char) 0x80);
	__m512i dot0 = _mm512_setzero_si512();
	__m512i dot1 = dot0;
	__m512i sum0 = dot0;
	__m512i sum1 = dot0;
	__m512i v;
	int j = 0;

	for (; j + 128 <= padded; j += 128)
	{
		v = _mm512_xor_si512(_mm512_loadu_si512(y + j), middle);
		dot0 = _mm512_dpbusd_epi32(dot0, _mm512_loadu_si512(x + j), v);
		sum0 = _mm512_dpbusd_epi32(sum0, middle, v);
		v = _mm512_xor_si512(_mm512_loadu_si512(y + j + 64), middle);
		dot1 = _mm512_dpbusd_epi32(dot1, _mm512_loadu_si512(x + j + 64), v);
		sum1 = _mm512_dpbusd_epi32(sum1, middle, v);
	}
	for (; j < padded; j += 64)
	{
		__mmask64 m = vnni_mask(padded, j);

		v = _mm512_maskz_sub_epi8(m, _mm512_maskz_loadu_epi8(m, y + j), middle);
		dot0 = _mm512_dpbusd_epi32(dot0, _mm512_maskz_loadu_epi8(m, x + j), v);
		sum0 = _mm512_dpbusd_epi32(sum0, middle, v);
	}
	v = _mm512_sub_epi32(_mm512_add_epi32(dot0, dot1),
						 _mm512_add_epi32(sum0, sum1));
	return quant_dot_pair(ha, hb, _mm512_reduce_add_epi32(v), 1);
}

VNNI static inline float
vnni_pair_packed(int padded, int parts, int width, int zero,
				 const VrOwnHead *ha, const uint8 *x, const VrOwnHead *hb,
				 const uint8 *y)
{
	const __m512i one = _mm512_set1_epi8(1);
	const __m512i mask = _mm512_set1_epi8((char) ((1 << width) - 1));
	__m512i dot = _mm512_setzero_si512();
	__m512i sum = dot;
	int n = padded / parts;

	for (int j = 0; j < n; j += 64)
	{
		__mmask64 m = vnni_mask(n, j);
		__m512i cx = _mm512_maskz_loadu_epi8(m, x + j);
		__m512i cy = _mm512_maskz_loadu_epi8(m, y + j);

		for (int t = 0; t < parts; t++)
		{
			__m512i ux = _mm512_and_si512(cx, mask);
			__m512i uy = _mm512_and_si512(cy, mask);

			dot = _mm512_dpbusd_epi32(dot, ux, uy);
			sum = _mm512_dpbusd_epi32(sum, _mm512_add_epi8(ux, uy), one);
			cx = _mm512_srli_epi16(cx, width);
			cy = _mm512_srli_epi16(cy, width);
		}
	}
	return quant_int_pair(padded, ha, hb, _mm512_reduce_add_epi32(dot),
						  _mm512_reduce_add_epi32(sum), 2, zero);
}

VNNI static float
vnni_pair_i4(int padded, const VrOwnHead *ha, const void *a,
			 const VrOwnHead *hb, const void *b)
{
	return vnni_pair_packed(padded, 2, 4, 15, ha, a, hb, b);
}

VNNI static float
vnni_pair_i2(int padded, const VrOwnHead *ha, const void *a,
			 const VrOwnHead *hb, const void *b)
{
	return vnni_pair_packed(padded, 4, 2, 3, ha, a, hb, b);
}

/* The two sets share all but the integer own vectors. */
#define AVX512_COMMON                                                          \
	.rotate = avx512_rotate, .make_lut = avx512_make_lut,                      \
	.copy_query = avx512_copy_query, .make_ints = avx512_make_ints,            \
	.accumulate32 = avx512_accumulate32, .estimate32 = avx512_estimate32,      \
	.least32 = avx512_least32, .edge_bits = avx512_edge_bits,                  \
	.decode_f16 = avx512_decode_f16,                                           \
	.distance_fine = avx512_distance_i8x2_fine

const VrQuantKernels VrQuantAvx512 = {
	.name = "avx512-novnni",
	AVX512_COMMON,
	.distance = {NULL, avx512_distance_f32, avx512_distance_f16,
				 avx512_distance_i8, avx512_distance_i8, qg_distance_i4,
				 qg_distance_i2},
	.pair = {NULL, avx512_pair_f32, avx512_pair_f16, avx512_pair_i8,
			 avx512_pair_i8, qg_pair_i4, qg_pair_i2},
};

const VrQuantKernels VrQuantAvx512Vnni = {
	.name = "avx512",
	AVX512_COMMON,
	.distance = {NULL, avx512_distance_f32, avx512_distance_f16,
				 vnni_distance_i8, vnni_distance_i8, vnni_distance_i4,
				 vnni_distance_i2},
	.pair = {NULL, avx512_pair_f32, avx512_pair_f16, vnni_pair_i8, vnni_pair_i8,
			 vnni_pair_i4, vnni_pair_i2},
};

#endif /* VR_QUANT_X86 */
