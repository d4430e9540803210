/*
 * distance_avx512.c
 *		The kernels for AVX-512 F, BW, DQ and VL, and bit kernels for
 *		VPOPCNTDQ.
 *
 * Sixteen elements to a register and four running sums, which hides the
 * latency of a fused multiply-add at the one per cycle that two loads per
 * element allow. What is left over is loaded under a mask, never past the end.
 */
#include "c.h"

#include "distance/distance_short.h"

#ifdef VR_DISTANCE_X86

#include <immintrin.h>

#define AVX512                                                                 \
	VR_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,popcnt")
#define AVX512_POPCNT                                                          \
	VR_TARGET(                                                                 \
		"avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx2,fma,f16c,"    \
		"popcnt")

#define AVX512_WIDTH 16 /* elements in a register */
#define AVX512_SUMS 4   /* running sums */
#define AVX512_STEP (AVX512_WIDTH * AVX512_SUMS)
#define AVX512_BATCH 4 /* rows summed side by side */

AVX512 VR_DISTANCE_INLINE __m512
avx512_load(VrDistanceElem elem, const void *p, size_t i)
{
	if (elem == VR_ELEM_F32)
		return _mm512_loadu_ps((const float *) p + i);
	return _mm512_cvtph_ps(
		_mm256_loadu_si256((const __m256i *) ((const vr_half *) p + i)));
}

/* The elements of the mask, zero for the others. */
AVX512 VR_DISTANCE_INLINE __m512
avx512_load_masked(VrDistanceElem elem, const void *p, size_t i, __mmask16 mask)
{
	if (elem == VR_ELEM_F32)
		return _mm512_maskz_loadu_ps(mask, (const float *) p + i);
	return _mm512_cvtph_ps(
		_mm256_maskz_loadu_epi16(mask, (const vr_half *) p + i));
}

/* A mask of the count lowest elements; count is below 32. */
AVX512 VR_DISTANCE_INLINE __mmask16
avx512_mask(size_t count)
{
	return (__mmask16) ((1U << count) - 1);
}

/*
 * sum + term. Some additions are multiply-adds by one, the same to the bit:
 * additions have ports of their own on AMD and since Alder Lake on Intel, and
 * these are the scarce ones where a term takes two additions, or a conversion
 * from float16, which shares them.
 */
AVX512 VR_DISTANCE_INLINE __m512
avx512_add_term(VrDistanceTerm term, bool f16, __m512 sum, __m512 a, __m512 b)
{
	const __m512 one = _mm512_set1_ps(1.0f);
	__m512 d;

	if (term == VR_TERM_IP)
		return _mm512_fmadd_ps(a, b, sum);
	d = f16 ? _mm512_fmsub_ps(a, one, b) : _mm512_sub_ps(a, b);
	if (term == VR_TERM_L2SQ)
		return _mm512_fmadd_ps(d, d, sum);
	d = _mm512_abs_ps(d);
	return _mm512_fmadd_ps(d, one, sum);
}

AVX512 VR_DISTANCE_INLINE __m512
avx512_join(const __m512 *s)
{
	return _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3]));
}

/* Adds halves of a register until one element is left. */
AVX512 VR_DISTANCE_INLINE float
avx512_reduce(const __m512 *s)
{
	const __m512 s16 = avx512_join(s);
	const __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(s16),
									_mm512_extractf32x8_ps(s16, 1));
	const __m128 s4 =
		_mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
	const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));

	return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/*
 * The same additions for four at once, side by side in one register: a third
 * of the instructions, and one wait for them instead of four.
 */
AVX512 VR_DISTANCE_INLINE __m128
avx512_reduce_four(__m512 a, __m512 b, __m512 c, __m512 d)
{
	const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
									_mm512_shuffle_f32x4(a, b, 0xee));
	const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44),
									_mm512_shuffle_f32x4(c, d, 0xee));
	/* a quarter of the register each */
	const __m512 s4 = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
									_mm512_shuffle_f32x4(ab, cd, 0xdd));
	const __m512 s2 = _mm512_add_ps(s4, _mm512_permute_ps(s4, 0x4e));
	const __m512 s1 = _mm512_add_ps(s2, _mm512_permute_ps(s2, 0xb1));

	return _mm512_castps512_ps128(_mm512_permutexvar_ps(
		_mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12)), s1));
}

/*
 * The sums of count rows against one vector. All rows take their terms in the
 * same order whatever count is, 1 or AVX512_BATCH, so that a batch gives what
 * single calls give.
 */
AVX512 VR_DISTANCE_INLINE void
avx512_sums(VrDistanceTerm term, size_t n, VrDistanceElem ea, const void *a,
			VrDistanceElem eb, const void *const *rows, const void *const *next,
			const int count, float *out)
{
	const bool f16 = ea == VR_ELEM_F16 || eb == VR_ELEM_F16;
	__m512 s[AVX512_BATCH][AVX512_SUMS];
	size_t i = 0;
	int k;
	int r;

	for (r = 0; r < count; r++)
		for (k = 0; k < AVX512_SUMS; k++)
			s[r][k] = _mm512_setzero_ps();

	for (; i + AVX512_STEP <= n; i += AVX512_STEP)
		for (k = 0; k < AVX512_SUMS; k++)
		{
			__m512 x = avx512_load(ea, a, i + k * AVX512_WIDTH);

			if (count > 1)
				VR_DISTANCE_KEEP(x);
			for (r = 0; r < count; r++)
			{
				s[r][k] = avx512_add_term(
					term, f16, s[r][k], x,
					avx512_load(eb, rows[r], i + k * AVX512_WIDTH));
				if (next != NULL)
					VR_PREFETCH((const float *) next[r] + i + k * AVX512_WIDTH);
			}
		}

	/* Less than a step is left: a sum each for whole registers, then a rest */
	VR_DISTANCE_UNROLL
	for (k = 0; k < AVX512_SUMS - 1; k++)
		if (i + AVX512_WIDTH <= n)
		{
			const __m512 x = avx512_load(ea, a, i);

			for (r = 0; r < count; r++)
				s[r][k] = avx512_add_term(term, f16, s[r][k], x,
										  avx512_load(eb, rows[r], i));
			i += AVX512_WIDTH;
		}
	if (i < n)
	{
		const __mmask16 mask = avx512_mask(n - i);
		const __m512 x = avx512_load_masked(ea, a, i, mask);

		for (r = 0; r < count; r++)
			s[r][AVX512_SUMS - 1] =
				avx512_add_term(term, f16, s[r][AVX512_SUMS - 1], x,
								avx512_load_masked(eb, rows[r], i, mask));
	}

	if (count == AVX512_BATCH)
		_mm_storeu_ps(out,
					  avx512_reduce_four(avx512_join(s[0]), avx512_join(s[1]),
										 avx512_join(s[2]), avx512_join(s[3])));
	else
		for (r = 0; r < count; r++)
			out[r] = avx512_reduce(s[r]);
}

VR_SHORT_FUNCTIONS(AVX512, avx512)

AVX512 VR_DISTANCE_INLINE float
avx512_sum(VrDistanceTerm term, int n, VrDistanceElem ea, const void *a,
		   VrDistanceElem eb, const void *b)
{
	float sum;

	if (n <= VR_DISTANCE_SHORT)
		return avx512_short_sum[term][ea][eb](n, a, b);
	avx512_sums(term, n, ea, a, eb, &b, NULL, 1, &sum);
	return sum;
}

AVX512 VR_DISTANCE_INLINE void
avx512_cosine(size_t n, VrDistanceElem elem, const void *a, const void *b,
			  float *ip, float *aa, float *bb)
{
	__m512 s[3][AVX512_SUMS];
	__m512 last;
	__m128 sums;
	size_t i = 0;
	int k;

	if (n <= VR_DISTANCE_SHORT)
	{
		avx512_short_cosine[elem](n, a, b, ip, aa, bb);
		return;
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < AVX512_SUMS; k++)
		s[0][k] = s[1][k] = s[2][k] = _mm512_setzero_ps();

	for (; i + AVX512_STEP <= n; i += AVX512_STEP)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < AVX512_SUMS; k++)
		{
			__m512 x = avx512_load(elem, a, i + k * AVX512_WIDTH);
			__m512 y = avx512_load(elem, b, i + k * AVX512_WIDTH);

			VR_DISTANCE_KEEP(x);
			VR_DISTANCE_KEEP(y);

			s[0][k] = _mm512_fmadd_ps(x, y, s[0][k]);
			s[1][k] = _mm512_fmadd_ps(x, x, s[1][k]);
			s[2][k] = _mm512_fmadd_ps(y, y, s[2][k]);
		}
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < AVX512_SUMS; k++)
		if (i < n)
		{
			const __mmask16 mask = avx512_mask(Min(n - i, AVX512_WIDTH));
			const __m512 x = avx512_load_masked(elem, a, i, mask);
			const __m512 y = avx512_load_masked(elem, b, i, mask);

			s[0][k] = _mm512_fmadd_ps(x, y, s[0][k]);
			s[1][k] = _mm512_fmadd_ps(x, x, s[1][k]);
			s[2][k] = _mm512_fmadd_ps(y, y, s[2][k]);
			i += AVX512_WIDTH;
		}

	last = avx512_join(s[2]);
	sums = avx512_reduce_four(avx512_join(s[0]), avx512_join(s[1]), last, last);
	*ip = _mm_cvtss_f32(sums);
	*aa = _mm_cvtss_f32(_mm_movehdup_ps(sums));
	*bb = _mm_cvtss_f32(_mm_movehl_ps(sums, sums));
}

AVX512 static float
avx512_l2sq_f32(int n, const float *a, const float *b)
{
	return avx512_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

AVX512 static float
avx512_ip_f32(int n, const float *a, const float *b)
{
	return avx512_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

AVX512 static float
avx512_l1_f32(int n, const float *a, const float *b)
{
	return avx512_sum(VR_TERM_L1, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

AVX512 static void
avx512_cosine_f32(int n, const float *a, const float *b, float *ip, float *aa,
				  float *bb)
{
	avx512_cosine(n, VR_ELEM_F32, a, b, ip, aa, bb);
}

AVX512 static float
avx512_l2sq_f16(int n, const vr_half *a, const vr_half *b)
{
	return avx512_sum(VR_TERM_L2SQ, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

AVX512 static float
avx512_ip_f16(int n, const vr_half *a, const vr_half *b)
{
	return avx512_sum(VR_TERM_IP, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

AVX512 static float
avx512_l1_f16(int n, const vr_half *a, const vr_half *b)
{
	return avx512_sum(VR_TERM_L1, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

AVX512 static void
avx512_cosine_f16(int n, const vr_half *a, const vr_half *b, float *ip,
				  float *aa, float *bb)
{
	avx512_cosine(n, VR_ELEM_F16, a, b, ip, aa, bb);
}

AVX512 static float
avx512_l2sq_f32_f16(int n, const float *a, const vr_half *b)
{
	return avx512_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

AVX512 static float
avx512_ip_f32_f16(int n, const float *a, const vr_half *b)
{
	return avx512_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

AVX512 static void
avx512_f16_to_f32(int n, const vr_half *src, float *dst)
{
	size_t i = 0;

	VR_DISTANCE_UNROLL
	for (; i + AVX512_WIDTH <= n; i += AVX512_WIDTH)
		_mm512_storeu_ps(dst + i, avx512_load(VR_ELEM_F16, src, i));
	if (i < n)
	{
		const __mmask16 mask = avx512_mask(n - i);

		_mm512_mask_storeu_ps(dst + i, mask,
							  avx512_load_masked(VR_ELEM_F16, src, i, mask));
	}
}

AVX512 static void
avx512_f32_to_f16(int n, const float *src, vr_half *dst)
{
	size_t i = 0;

	VR_DISTANCE_UNROLL
	for (; i + AVX512_WIDTH <= n; i += AVX512_WIDTH)
		_mm256_storeu_si256((__m256i *) (dst + i),
							_mm512_cvtps_ph(_mm512_loadu_ps(src + i),
											_MM_FROUND_TO_NEAREST_INT));
	if (i < n)
	{
		const __mmask16 mask = avx512_mask(n - i);

		_mm256_mask_storeu_epi16(
			dst + i, mask,
			_mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, src + i),
							_MM_FROUND_TO_NEAREST_INT));
	}
}

AVX512 VR_DISTANCE_INLINE void
avx512_batch(VrDistanceTerm term, int n, const float *q,
			 const float *const *rows, int count, float *out)
{
	int r = 0;

	for (; n > VR_DISTANCE_SHORT && r + AVX512_BATCH <= count;
		 r += AVX512_BATCH)
	{
		VrDistancePrefetch(n, rows + r + AVX512_BATCH,
						   Min(AVX512_BATCH, count - r - AVX512_BATCH));
		avx512_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
					(const void *const *) (rows + r), NULL, AVX512_BATCH,
					out + r);
	}
	for (; r < count; r++)
		out[r] = avx512_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[r]);
}

AVX512 static void
avx512_l2sq_f32_batch(int n, const float *q, const float *const *rows,
					  int count, float *out)
{
	avx512_batch(VR_TERM_L2SQ, n, q, rows, count, out);
}

AVX512 static void
avx512_ip_f32_batch(int n, const float *q, const float *const *rows, int count,
					float *out)
{
	avx512_batch(VR_TERM_IP, n, q, rows, count, out);
}

AVX512 VR_DISTANCE_INLINE void
avx512_pair(VrDistanceTerm term, int n, const float *q,
			const float *const *rows, const float *const *next, float *out)
{
	if (n <= VR_DISTANCE_SHORT)
	{
		out[0] = avx512_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[0]);
		out[1] = avx512_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[1]);
	}
	else if (next == NULL)
		avx512_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
					(const void *const *) rows, NULL, 2, out);
	else
		avx512_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
					(const void *const *) rows, (const void *const *) next, 2,
					out);
}

AVX512 static void
avx512_l2sq_f32_pair(int n, const float *q, const float *const *rows,
					 const float *const *next, float *out)
{
	avx512_pair(VR_TERM_L2SQ, n, q, rows, next, out);
}

AVX512 static void
avx512_ip_f32_pair(int n, const float *q, const float *const *rows,
				   const float *const *next, float *out)
{
	avx512_pair(VR_TERM_IP, n, q, rows, next, out);
}

/* From byte r on, the mask that keeps the highest r bytes; r is at most 64. */
static const uint64 avx512_keep_bytes[16] = {0,
											 0,
											 0,
											 0,
											 0,
											 0,
											 0,
											 0,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX,
											 PG_UINT64_MAX};

/*
 * The mask of what is left over of n bytes after whole registers, in a register
 * that ends where they end. A whole register at the end is left over as well.
 */
AVX512_POPCNT VR_DISTANCE_INLINE __m512i
avx512_left(size_t n)
{
	return _mm512_loadu_si512((const char *) avx512_keep_bytes +
							  ((n - 1) % 64 + 1));
}

/* All of n bytes, less than a register. */
AVX512_POPCNT VR_DISTANCE_INLINE __m512i
avx512_load_few(const unsigned char *p, size_t n)
{
	return _mm512_maskz_loadu_epi8(((uint64) 1 << n) - 1, p);
}

/* (x ^ y) & mask */
AVX512_POPCNT VR_DISTANCE_INLINE __m512i
avx512_xor_masked(__m512i x, __m512i y, __m512i mask)
{
	return _mm512_ternarylogic_epi64(x, y, mask, 0x28);
}

AVX512_POPCNT VR_DISTANCE_INLINE __m512i
avx512_add_bits(__m512i sum, __m512i x)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
}

AVX512_POPCNT static uint64
avx512_hamming(int size, const unsigned char *a, const unsigned char *b)
{
	const size_t n = size;
	__m512i sum;
	size_t i;

	if (n < VR_DISTANCE_FEW_BYTES)
	{
		uint64 differ = 0;
		uint64 both = 0;

		VrCountFewBytes(n, a, b, &differ, &both);
		return differ;
	}
	if (n < 64)
		return _mm512_reduce_add_epi64(_mm512_popcnt_epi64(
			_mm512_xor_si512(avx512_load_few(a, n), avx512_load_few(b, n))));

	sum = _mm512_popcnt_epi64(avx512_xor_masked(_mm512_loadu_si512(a + n - 64),
												_mm512_loadu_si512(b + n - 64),
												avx512_left(n)));
	for (i = 0; i + 64 < n; i += 64)
		sum = avx512_add_bits(sum, _mm512_xor_si512(_mm512_loadu_si512(a + i),
													_mm512_loadu_si512(b + i)));
	return _mm512_reduce_add_epi64(sum);
}

/*
 * Counts of four rows that lie one behind the other, each in 16 bits of the
 * elements; "few" says that they are shorter than a register.
 */
AVX512_POPCNT VR_DISTANCE_INLINE __m512i
avx512_hamming_four(size_t n, const bool few, const unsigned char *q,
					const unsigned char *rows)
{
	__m512i sums[4];
	size_t i;
	int r;

	if (few)
	{
		const __m512i x = avx512_load_few(q, n);

		for (r = 0; r < 4; r++)
			sums[r] = _mm512_popcnt_epi64(
				_mm512_xor_si512(x, avx512_load_few(rows + r * n, n)));
	}
	else
	{
		const __m512i left = avx512_left(n);
		const __m512i x = _mm512_loadu_si512(q + n - 64);

		for (r = 0; r < 4; r++)
			sums[r] = _mm512_popcnt_epi64(avx512_xor_masked(
				_mm512_loadu_si512(rows + r * n + n - 64), x, left));
		for (i = 0; i + 64 < n; i += 64)
		{
			const __m512i y = _mm512_loadu_si512(q + i);

			for (r = 0; r < 4; r++)
				sums[r] = avx512_add_bits(
					sums[r],
					_mm512_xor_si512(y, _mm512_loadu_si512(rows + r * n + i)));
		}
	}
	return _mm512_add_epi64(
		_mm512_add_epi64(sums[0], _mm512_slli_epi64(sums[1], 16)),
		_mm512_add_epi64(_mm512_slli_epi64(sums[2], 32),
						 _mm512_slli_epi64(sums[3], 48)));
}

AVX512_POPCNT VR_DISTANCE_INLINE void
avx512_hamming_rows(size_t n, const bool few, const unsigned char *q,
					const unsigned char *rows, int count, uint64 *out)
{
	int r;

	for (r = 0; r < count; r += 8)
	{
		/* The last eight once more: counts are the same in any order. */
		const int first = Min(r, count - 8);
		const unsigned char *row = rows + first * n;
		const __m512i low = avx512_hamming_four(n, few, q, row);
		const __m512i high = avx512_hamming_four(n, few, q, row + 4 * n);
		const __m512i sum = _mm512_add_epi64(_mm512_unpacklo_epi64(low, high),
											 _mm512_unpackhi_epi64(low, high));
		const __m256i sum4 = _mm256_add_epi64(
			_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
		const __m128i sum2 = _mm_add_epi64(_mm256_castsi256_si128(sum4),
										   _mm256_extracti128_si256(sum4, 1));

		_mm512_storeu_si512(out + first, _mm512_cvtepu16_epi64(sum2));
	}
}

AVX512_POPCNT static void
avx512_hamming_batch(int n, const unsigned char *q, const unsigned char *rows,
					 int count, uint64 *out)
{
	int r;

	if (count < 8 || n > VR_DISTANCE_BATCH_BYTES)
		for (r = 0; r < count; r++)
			out[r] = avx512_hamming(n, q, rows + (size_t) r * n);
	else if (n < 64)
		avx512_hamming_rows(n, true, q, rows, count, out);
	else
		avx512_hamming_rows(n, false, q, rows, count, out);
}

/* The sums of the elements of x and of y, for less than one after the other. */
AVX512_POPCNT VR_DISTANCE_INLINE void
avx512_reduce_two(__m512i x, __m512i y, uint64 *sum_x, uint64 *sum_y)
{
	const __m256i x4 = _mm256_add_epi64(_mm512_castsi512_si256(x),
										_mm512_extracti64x4_epi64(x, 1));
	const __m256i y4 = _mm256_add_epi64(_mm512_castsi512_si256(y),
										_mm512_extracti64x4_epi64(y, 1));
	const __m256i xy4 = _mm256_add_epi64(_mm256_unpacklo_epi64(x4, y4),
										 _mm256_unpackhi_epi64(x4, y4));
	const __m128i xy = _mm_add_epi64(_mm256_castsi256_si128(xy4),
									 _mm256_extracti128_si256(xy4, 1));

	*sum_x = _mm_cvtsi128_si64(xy);
	*sum_y = _mm_extract_epi64(xy, 1);
}

AVX512_POPCNT static void
avx512_jaccard(int size, const unsigned char *a, const unsigned char *b,
			   uint64 *both, uint64 *any)
{
	const size_t n = size;
	__m512i in_both;
	__m512i in_any;
	__m512i x;
	__m512i y;
	__m512i left;
	size_t i;

	if (n < VR_DISTANCE_FEW_BYTES)
	{
		uint64 differ = 0;
		uint64 few_both = 0;

		VrCountFewBytes(n, a, b, &differ, &few_both);
		*both = few_both;
		*any = differ + few_both;
		return;
	}
	if (n < 64)
	{
		x = avx512_load_few(a, n);
		y = avx512_load_few(b, n);
		avx512_reduce_two(_mm512_popcnt_epi64(_mm512_and_si512(x, y)),
						  _mm512_popcnt_epi64(_mm512_or_si512(x, y)), both,
						  any);
		return;
	}
	left = avx512_left(n);
	x = _mm512_and_si512(left, _mm512_loadu_si512(a + n - 64));
	y = _mm512_and_si512(left, _mm512_loadu_si512(b + n - 64));
	in_both = _mm512_popcnt_epi64(_mm512_and_si512(x, y));
	in_any = _mm512_popcnt_epi64(_mm512_or_si512(x, y));
	for (i = 0; i + 64 < n; i += 64)
	{
		x = _mm512_loadu_si512(a + i);
		y = _mm512_loadu_si512(b + i);
		in_both = avx512_add_bits(in_both, _mm512_and_si512(x, y));
		in_any = avx512_add_bits(in_any, _mm512_or_si512(x, y));
	}
	avx512_reduce_two(in_both, in_any, both, any);
}

/* Everything of a set but the bit kernels. */
#define AVX512_FLOAT_KERNELS                                                   \
	.name = "avx512", .l2sq_f32 = avx512_l2sq_f32, .ip_f32 = avx512_ip_f32,    \
	.l1_f32 = avx512_l1_f32, .cosine_f32 = avx512_cosine_f32,                  \
	.l2sq_f16 = avx512_l2sq_f16, .ip_f16 = avx512_ip_f16,                      \
	.l1_f16 = avx512_l1_f16, .cosine_f16 = avx512_cosine_f16,                  \
	.l2sq_f32_f16 = avx512_l2sq_f32_f16, .ip_f32_f16 = avx512_ip_f32_f16,      \
	.f16_to_f32 = avx512_f16_to_f32, .f32_to_f16 = avx512_f32_to_f16,          \
	.l2sq_f32_batch = avx512_l2sq_f32_batch,                                   \
	.ip_f32_batch = avx512_ip_f32_batch,                                       \
	.l2sq_f32_pair = avx512_l2sq_f32_pair, .ip_f32_pair = avx512_ip_f32_pair

const VrDistanceKernels VrDistanceAvx512 = {
	AVX512_FLOAT_KERNELS,
	.hamming = VrDistanceHammingAvx2,
	.jaccard = VrDistanceJaccardAvx2,
	.hamming_batch = VrDistanceHammingBatchAvx2,
};

const VrDistanceKernels VrDistanceAvx512Popcnt = {
	AVX512_FLOAT_KERNELS,
	.hamming = avx512_hamming,
	.jaccard = avx512_jaccard,
	.hamming_batch = avx512_hamming_batch,
};

#endif /* VR_DISTANCE_X86 */
