/*
 * distance_avx2.c
 *		The kernels for AVX2, FMA and F16C.
 *
 * Eight elements to a register and four running sums. There is no masked load
 * for every element type, so what is left over, less than a register, is read
 * as the last whole register of the input, with the elements that were
 * already counted cleared. That needs at least eight elements, which shorter
 * inputs, summed in order by the scalar kernels, never come here without.
 */
#include "c.h"

#include "distance/distance_short.h"

#ifdef VR_DISTANCE_X86

#include <immintrin.h>

#define AVX2 VR_TARGET("avx2,fma,f16c,popcnt")

#define AVX2_WIDTH 8 /* elements in a register */
#define AVX2_SUMS 4  /* running sums */
#define AVX2_STEP (AVX2_WIDTH * AVX2_SUMS)
#define AVX2_BATCH 2 /* rows summed side by side */

StaticAssertDecl(VR_DISTANCE_SHORT >= AVX2_WIDTH - 1,
				 "the last register must lie inside the input");

/* From element r on, the mask that keeps the highest r elements. */
static const int32 avx2_keep_highest[2 * AVX2_WIDTH] = {
	0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1};

AVX2 VR_DISTANCE_INLINE __m256
avx2_load(VrDistanceElem elem, const void *p, size_t i)
{
	if (elem == VR_ELEM_F32)
		return _mm256_loadu_ps((const float *) p + i);
	return _mm256_cvtph_ps(
		_mm_loadu_si128((const __m128i *) ((const vr_half *) p + i)));
}

/* Elements i to n, fewer than a register, among zeroes. */
AVX2 VR_DISTANCE_INLINE __m256
avx2_load_rest(VrDistanceElem elem, const void *p, size_t i, size_t n)
{
	const __m256 keep =
		_mm256_loadu_ps((const float *) (avx2_keep_highest + (n - i)));

	return _mm256_and_ps(keep, avx2_load(elem, p, n - AVX2_WIDTH));
}

/*
 * sum + term. Some additions are multiply-adds by one, the same to the bit:
 * additions have ports of their own on AMD and since Alder Lake on Intel, and
 * these are the scarce ones where a term takes two additions. A conversion from
 * float16 shares the port with additions on AMD and with multiply-adds on
 * Intel, so there every second difference, as the caller says, is the one.
 */
AVX2 VR_DISTANCE_INLINE __m256
avx2_add_term(VrDistanceTerm term, bool fma, __m256 sum, __m256 a, __m256 b)
{
	const __m256 one = _mm256_set1_ps(1.0f);
	__m256 d;

	if (term == VR_TERM_IP)
		return _mm256_fmadd_ps(a, b, sum);
	d = fma ? _mm256_fmsub_ps(a, one, b) : _mm256_sub_ps(a, b);
	if (term == VR_TERM_L2SQ)
		return _mm256_fmadd_ps(d, d, sum);
	d = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), d);
	return _mm256_fmadd_ps(d, one, sum);
}

AVX2 VR_DISTANCE_INLINE float
avx2_reduce(const __m256 *s)
{
	const __m256 s8 =
		_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3]));
	const __m128 s4 =
		_mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
	const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));

	return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/*
 * The sums of count rows against one vector. All rows take their terms in the
 * same order whatever count is, so that a batch gives what single calls give.
 */
AVX2 VR_DISTANCE_INLINE void
avx2_sums(VrDistanceTerm term, size_t n, VrDistanceElem ea, const void *a,
		  VrDistanceElem eb, const void *const *rows, const void *const *next,
		  const int count, float *out)
{
	const bool f16 = ea == VR_ELEM_F16 || eb == VR_ELEM_F16;
	__m256 s[AVX2_BATCH][AVX2_SUMS];
	size_t i = 0;
	int k;
	int r;

	for (r = 0; r < count; r++)
		for (k = 0; k < AVX2_SUMS; k++)
			s[r][k] = _mm256_setzero_ps();

	for (; i + AVX2_STEP <= n; i += AVX2_STEP)
		for (k = 0; k < AVX2_SUMS; k++)
		{
			__m256 x = avx2_load(ea, a, i + k * AVX2_WIDTH);

			if (count > 1)
				VR_DISTANCE_KEEP(x);
			for (r = 0; r < count; r++)
			{
				s[r][k] =
					avx2_add_term(term, f16 && k % 2, s[r][k], x,
								  avx2_load(eb, rows[r], i + k * AVX2_WIDTH));
				/* Two registers are a line. */
				if (next != NULL && k % 2 == 0)
					VR_PREFETCH((const float *) next[r] + i + k * AVX2_WIDTH);
			}
		}

	/* Less than a step is left: a sum each for whole registers, then a rest */
	VR_DISTANCE_UNROLL
	for (k = 0; k < AVX2_SUMS - 1; k++)
		if (i + AVX2_WIDTH <= n)
		{
			const __m256 x = avx2_load(ea, a, i);

			for (r = 0; r < count; r++)
				s[r][k] = avx2_add_term(term, f16 && k % 2, s[r][k], x,
										avx2_load(eb, rows[r], i));
			i += AVX2_WIDTH;
		}
	if (i < n)
	{
		const __m256 x = avx2_load_rest(ea, a, i, n);

		for (r = 0; r < count; r++)
			s[r][AVX2_SUMS - 1] =
				avx2_add_term(term, f16, s[r][AVX2_SUMS - 1], x,
							  avx2_load_rest(eb, rows[r], i, n));
	}

	for (r = 0; r < count; r++)
		out[r] = avx2_reduce(s[r]);
}

VR_SHORT_FUNCTIONS(AVX2, avx2)

AVX2 VR_DISTANCE_INLINE float
avx2_sum(VrDistanceTerm term, int n, VrDistanceElem ea, const void *a,
		 VrDistanceElem eb, const void *b)
{
	float sum;

	if (n <= VR_DISTANCE_SHORT)
		return avx2_short_sum[term][ea][eb](n, a, b);
	avx2_sums(term, n, ea, a, eb, &b, NULL, 1, &sum);
	return sum;
}

AVX2 VR_DISTANCE_INLINE void
avx2_cosine(size_t n, VrDistanceElem elem, const void *a, const void *b,
			float *ip, float *aa, float *bb)
{
	__m256 s[3][AVX2_SUMS];
	size_t i = 0;
	int k;

	if (n <= VR_DISTANCE_SHORT)
	{
		avx2_short_cosine[elem](n, a, b, ip, aa, bb);
		return;
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < AVX2_SUMS; k++)
		s[0][k] = s[1][k] = s[2][k] = _mm256_setzero_ps();

	for (; i + AVX2_STEP <= n; i += AVX2_STEP)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < AVX2_SUMS; k++)
		{
			__m256 x = avx2_load(elem, a, i + k * AVX2_WIDTH);
			__m256 y = avx2_load(elem, b, i + k * AVX2_WIDTH);

			VR_DISTANCE_KEEP(x);
			VR_DISTANCE_KEEP(y);

			s[0][k] = _mm256_fmadd_ps(x, y, s[0][k]);
			s[1][k] = _mm256_fmadd_ps(x, x, s[1][k]);
			s[2][k] = _mm256_fmadd_ps(y, y, s[2][k]);
		}
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < AVX2_SUMS; k++)
		if (i < n)
		{
			const bool whole = i + AVX2_WIDTH <= n;
			const __m256 x =
				whole ? avx2_load(elem, a, i) : avx2_load_rest(elem, a, i, n);
			const __m256 y =
				whole ? avx2_load(elem, b, i) : avx2_load_rest(elem, b, i, n);

			s[0][k] = _mm256_fmadd_ps(x, y, s[0][k]);
			s[1][k] = _mm256_fmadd_ps(x, x, s[1][k]);
			s[2][k] = _mm256_fmadd_ps(y, y, s[2][k]);
			i += AVX2_WIDTH;
		}

	*ip = avx2_reduce(s[0]);
	*aa = avx2_reduce(s[1]);
	*bb = avx2_reduce(s[2]);
}

AVX2 static float
avx2_l2sq_f32(int n, const float *a, const float *b)
{
	return avx2_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

AVX2 static float
avx2_ip_f32(int n, const float *a, const float *b)
{
	return avx2_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

AVX2 static float
avx2_l1_f32(int n, const float *a, const float *b)
{
	return avx2_sum(VR_TERM_L1, n, VR_ELEM_F32, a, VR_ELEM_F32, b);
}

AVX2 static void
avx2_cosine_f32(int n, const float *a, const float *b, float *ip, float *aa,
				float *bb)
{
	avx2_cosine(n, VR_ELEM_F32, a, b, ip, aa, bb);
}

AVX2 static float
avx2_l2sq_f16(int n, const vr_half *a, const vr_half *b)
{
	return avx2_sum(VR_TERM_L2SQ, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

AVX2 static float
avx2_ip_f16(int n, const vr_half *a, const vr_half *b)
{
	return avx2_sum(VR_TERM_IP, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

AVX2 static float
avx2_l1_f16(int n, const vr_half *a, const vr_half *b)
{
	return avx2_sum(VR_TERM_L1, n, VR_ELEM_F16, a, VR_ELEM_F16, b);
}

AVX2 static void
avx2_cosine_f16(int n, const vr_half *a, const vr_half *b, float *ip, float *aa,
				float *bb)
{
	avx2_cosine(n, VR_ELEM_F16, a, b, ip, aa, bb);
}

AVX2 static float
avx2_l2sq_f32_f16(int n, const float *a, const vr_half *b)
{
	return avx2_sum(VR_TERM_L2SQ, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

AVX2 static float
avx2_ip_f32_f16(int n, const float *a, const vr_half *b)
{
	return avx2_sum(VR_TERM_IP, n, VR_ELEM_F32, a, VR_ELEM_F16, b);
}

/*
 * Conversions go four registers at a time, all loads before the stores: twice
 * as fast on Golden Cove, which joins two stores to one line if nothing comes
 * between them.
 */
AVX2 static void
avx2_f16_to_f32(int n, const vr_half *src, float *dst)
{
	__m256 x[AVX2_SUMS];
	size_t i = 0;
	int k;

	if (n < AVX2_WIDTH)
	{
		VrDistanceScalar.f16_to_f32(n, src, dst);
		return;
	}
	for (; i + AVX2_STEP <= n; i += AVX2_STEP)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < AVX2_SUMS; k++)
			x[k] = avx2_load(VR_ELEM_F16, src, i + k * AVX2_WIDTH);
		VR_DISTANCE_UNROLL
		for (k = 0; k < AVX2_SUMS; k++)
			_mm256_storeu_ps(dst + i + k * AVX2_WIDTH, x[k]);
	}
	for (; i + AVX2_WIDTH <= n; i += AVX2_WIDTH)
		_mm256_storeu_ps(dst + i, avx2_load(VR_ELEM_F16, src, i));
	if (i < n)
		_mm256_storeu_ps(dst + n - AVX2_WIDTH,
						 avx2_load(VR_ELEM_F16, src, n - AVX2_WIDTH));
}

typedef struct Avx2Halves
{
	vr_half h[AVX2_WIDTH];
} Avx2Halves;

/*
 * Eight values narrowed, to memory. By hand: compilers convert to a register
 * and store that, which takes a shuffle more.
 */
AVX2 VR_DISTANCE_INLINE void
avx2_store_half(vr_half *dst, __m256 x)
{
	__asm__("vcvtps2ph %2, %1, %0"
			: "=m"(*(Avx2Halves *) dst)
			: "x"(x), "i"(_MM_FROUND_TO_NEAREST_INT));
}

AVX2 static void
avx2_f32_to_f16(int n, const float *src, vr_half *dst)
{
	__m256 x[AVX2_SUMS];
	size_t i = 0;
	int k;

	if (n < AVX2_WIDTH)
	{
		VrDistanceScalar.f32_to_f16(n, src, dst);
		return;
	}
	for (; i + AVX2_STEP <= n; i += AVX2_STEP)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < AVX2_SUMS; k++)
			x[k] = avx2_load(VR_ELEM_F32, src, i + k * AVX2_WIDTH);
		VR_DISTANCE_UNROLL
		for (k = 0; k < AVX2_SUMS; k++)
			avx2_store_half(dst + i + k * AVX2_WIDTH, x[k]);
	}
	for (; i + AVX2_WIDTH <= n; i += AVX2_WIDTH)
		avx2_store_half(dst + i, avx2_load(VR_ELEM_F32, src, i));
	if (i < n)
		avx2_store_half(dst + n - AVX2_WIDTH,
						avx2_load(VR_ELEM_F32, src, n - AVX2_WIDTH));
}

AVX2 VR_DISTANCE_INLINE void
avx2_batch(VrDistanceTerm term, int n, const float *q, const float *const *rows,
		   int count, float *out)
{
	int r = 0;

	for (; n > VR_DISTANCE_SHORT && r + AVX2_BATCH <= count; r += AVX2_BATCH)
	{
		VrDistancePrefetch(n, rows + r + AVX2_BATCH,
						   Min(AVX2_BATCH, count - r - AVX2_BATCH));
		avx2_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
				  (const void *const *) (rows + r), NULL, AVX2_BATCH, out + r);
	}
	for (; r < count; r++)
		out[r] = avx2_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[r]);
}

AVX2 static void
avx2_l2sq_f32_batch(int n, const float *q, const float *const *rows, int count,
					float *out)
{
	avx2_batch(VR_TERM_L2SQ, n, q, rows, count, out);
}

AVX2 static void
avx2_ip_f32_batch(int n, const float *q, const float *const *rows, int count,
				  float *out)
{
	avx2_batch(VR_TERM_IP, n, q, rows, count, out);
}

AVX2 VR_DISTANCE_INLINE void
avx2_pair(VrDistanceTerm term, int n, const float *q, const float *const *rows,
		  const float *const *next, float *out)
{
	if (n <= VR_DISTANCE_SHORT)
	{
		out[0] = avx2_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[0]);
		out[1] = avx2_sum(term, n, VR_ELEM_F32, q, VR_ELEM_F32, rows[1]);
	}
	else if (next == NULL)
		avx2_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
				  (const void *const *) rows, NULL, 2, out);
	else
		avx2_sums(term, n, VR_ELEM_F32, q, VR_ELEM_F32,
				  (const void *const *) rows, (const void *const *) next, 2,
				  out);
}

AVX2 static void
avx2_l2sq_f32_pair(int n, const float *q, const float *const *rows,
				   const float *const *next, float *out)
{
	avx2_pair(VR_TERM_L2SQ, n, q, rows, next, out);
}

AVX2 static void
avx2_ip_f32_pair(int n, const float *q, const float *const *rows,
				 const float *const *next, float *out)
{
	avx2_pair(VR_TERM_IP, n, q, rows, next, out);
}

AVX2 VR_DISTANCE_INLINE __m256i
avx2_load_bytes(const unsigned char *p, size_t i)
{
	return _mm256_loadu_si256((const __m256i *) (p + i));
}

/* Bits set in each byte, by looking up its two halves. */
AVX2 VR_DISTANCE_INLINE __m256i
avx2_count_bytes(__m256i x)
{
	const __m256i counts =
		_mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1,
						 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i low = _mm256_set1_epi8(0x0f);
	const __m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);

	return _mm256_add_epi8(
		_mm256_shuffle_epi8(counts, _mm256_and_si256(x, low)),
		_mm256_shuffle_epi8(counts, high));
}

/* Adds the bytes of x to the four sums. */
AVX2 VR_DISTANCE_INLINE __m256i
avx2_add_bytes(__m256i sums, __m256i x)
{
	return _mm256_add_epi64(sums, _mm256_sad_epu8(x, _mm256_setzero_si256()));
}

/* From byte r on, the mask that keeps the highest r bytes; r is at most 32. */
static const uint64 avx2_keep_bytes[8] = {
	0, 0, 0, 0, PG_UINT64_MAX, PG_UINT64_MAX, PG_UINT64_MAX, PG_UINT64_MAX};

/*
 * The mask of what is left over of n bytes after whole registers, in a register
 * that ends where they end. A whole register at the end is left over as well.
 */
AVX2 VR_DISTANCE_INLINE __m256i
avx2_left(size_t n)
{
	return avx2_load_bytes((const unsigned char *) avx2_keep_bytes,
						   (n - 1) % 32 + 1);
}

/* Bits of the bytes of x that those of the row have not, and the reverse. */
AVX2 VR_DISTANCE_INLINE __m256i
avx2_count_xor(__m256i x, const unsigned char *row, size_t i)
{
	return avx2_count_bytes(_mm256_xor_si256(x, avx2_load_bytes(row, i)));
}

AVX2 VR_DISTANCE_INLINE __m256i
avx2_count_xor_masked(__m256i x, const unsigned char *row, size_t i,
					  __m256i mask)
{
	return avx2_count_bytes(
		_mm256_and_si256(mask, _mm256_xor_si256(x, avx2_load_bytes(row, i))));
}

/* So much of a row is counted within bytes: 8 at most for each register. */
#define AVX2_FIT_BYTES (16 * 32)

/*
 * The long way of a bit kernel is a function of its own, so that the short one
 * has no registers to save.
 */
AVX2 static pg_noinline uint64
avx2_hamming_long(size_t n, const unsigned char *a, const unsigned char *b)
{
	__m256i sums = _mm256_setzero_si256();
	__m256i bytes = avx2_count_xor_masked(avx2_load_bytes(a, n - 32), b, n - 32,
										  avx2_left(n));
	__m128i sum;
	size_t i = 0;

	/* Four share an addition, which takes more than those of bytes. */
	for (; i + 128 < n; i += 128)
		sums = avx2_add_bytes(
			sums,
			_mm256_add_epi8(
				_mm256_add_epi8(
					avx2_count_xor(avx2_load_bytes(a, i), b, i),
					avx2_count_xor(avx2_load_bytes(a, i + 32), b, i + 32)),
				_mm256_add_epi8(
					avx2_count_xor(avx2_load_bytes(a, i + 64), b, i + 64),
					avx2_count_xor(avx2_load_bytes(a, i + 96), b, i + 96))));
	for (; i + 32 < n; i += 32)
		bytes =
			_mm256_add_epi8(bytes, avx2_count_xor(avx2_load_bytes(a, i), b, i));
	sums = avx2_add_bytes(sums, bytes);
	sum = _mm_add_epi64(_mm256_castsi256_si128(sums),
						_mm256_extracti128_si256(sums, 1));
	return _mm_cvtsi128_si64(sum) + _mm_extract_epi64(sum, 1);
}

AVX2 uint64
VrDistanceHammingAvx2(int n, const unsigned char *a, const unsigned char *b)
{
	uint64 differ = 0;
	uint64 both = 0;

	if (n >= VR_DISTANCE_FEW_BYTES)
		return avx2_hamming_long(n, a, b);
	VrCountFewBytes(n, a, b, &differ, &both);
	return differ;
}

AVX2 static pg_noinline void
avx2_jaccard_long(size_t n, const unsigned char *a, const unsigned char *b,
				  uint64 *both, uint64 *any)
{
	const __m256i left = avx2_left(n);
	__m256i x = _mm256_and_si256(left, avx2_load_bytes(a, n - 32));
	__m256i y = _mm256_and_si256(left, avx2_load_bytes(b, n - 32));
	__m256i differ_bytes = avx2_count_bytes(_mm256_xor_si256(x, y));
	__m256i both_bytes = avx2_count_bytes(_mm256_and_si256(x, y));
	__m256i differ_sums = _mm256_setzero_si256();
	__m256i both_sums = _mm256_setzero_si256();
	__m256i sums4;
	__m128i sums;
	size_t i = 0;

	for (;;)
	{
		const size_t end = Min(n, i + AVX2_FIT_BYTES);

		for (; i + 32 < end; i += 32)
		{
			x = avx2_load_bytes(a, i);
			y = avx2_load_bytes(b, i);
			differ_bytes = _mm256_add_epi8(
				differ_bytes, avx2_count_bytes(_mm256_xor_si256(x, y)));
			both_bytes = _mm256_add_epi8(
				both_bytes, avx2_count_bytes(_mm256_and_si256(x, y)));
		}
		differ_sums = avx2_add_bytes(differ_sums, differ_bytes);
		both_sums = avx2_add_bytes(both_sums, both_bytes);
		if (end == n)
			break;
		differ_bytes = both_bytes = _mm256_setzero_si256();
	}

	/* Both across, side by side. */
	sums4 = _mm256_add_epi64(_mm256_unpacklo_epi64(differ_sums, both_sums),
							 _mm256_unpackhi_epi64(differ_sums, both_sums));
	sums = _mm_add_epi64(_mm256_castsi256_si128(sums4),
						 _mm256_extracti128_si256(sums4, 1));
	*both = _mm_extract_epi64(sums, 1);
	*any = *both + _mm_cvtsi128_si64(sums);
}

AVX2 void
VrDistanceJaccardAvx2(int n, const unsigned char *a, const unsigned char *b,
					  uint64 *both, uint64 *any)
{
	uint64 differ = 0;
	uint64 in_both = 0;

	if (n >= VR_DISTANCE_FEW_BYTES)
	{
		avx2_jaccard_long(n, a, b, both, any);
		return;
	}
	VrCountFewBytes(n, a, b, &differ, &in_both);
	*both = in_both;
	*any = differ + in_both;
}

/* Four rows, of at least 32 bytes. */
AVX2 VR_DISTANCE_INLINE void
avx2_hamming_four(size_t n, const unsigned char *q, const unsigned char *rows,
				  uint64 *out)
{
	const __m256i left = avx2_left(n);
	__m256i x = avx2_load_bytes(q, n - 32);
	__m256i bytes[4];
	__m256i sums[4];
	__m256i sum;
	__m128i counts;
	size_t i = 0;
	int r;

	for (r = 0; r < 4; r++)
	{
		sums[r] = _mm256_setzero_si256();
		bytes[r] = avx2_count_xor_masked(x, rows + r * n, n - 32, left);
	}
	for (;;)
	{
		const size_t end = Min(n, i + AVX2_FIT_BYTES);

		for (; i + 32 < end; i += 32)
		{
			x = avx2_load_bytes(q, i);
			for (r = 0; r < 4; r++)
				bytes[r] = _mm256_add_epi8(bytes[r],
										   avx2_count_xor(x, rows + r * n, i));
		}
		for (r = 0; r < 4; r++)
		{
			sums[r] = avx2_add_bytes(sums[r], bytes[r]);
			bytes[r] = _mm256_setzero_si256();
		}
		if (end == n)
			break;
	}

	/* Each row's counts to 16 bits of their own, then all four across. */
	sum = _mm256_add_epi64(
		_mm256_add_epi64(sums[0], _mm256_slli_epi64(sums[1], 16)),
		_mm256_add_epi64(_mm256_slli_epi64(sums[2], 32),
						 _mm256_slli_epi64(sums[3], 48)));
	counts = _mm_add_epi64(_mm256_castsi256_si128(sum),
						   _mm256_extracti128_si256(sum, 1));
	counts = _mm_add_epi64(counts, _mm_unpackhi_epi64(counts, counts));
	_mm256_storeu_si256((__m256i *) out, _mm256_cvtepu16_epi64(counts));
}

AVX2 void
VrDistanceHammingBatchAvx2(int n, const unsigned char *q,
						   const unsigned char *rows, int count, uint64 *out)
{
	const size_t size = n;
	int r;

	if (count < 4 || n < 32 || n > VR_DISTANCE_BATCH_BYTES)
		for (r = 0; r < count; r++)
			out[r] = VrDistanceHammingAvx2(n, q, rows + r * size);
	else
		for (r = 0; r < count; r += 4)
		{
			/* The last four once more: counts are the same in any order. */
			const int first = Min(r, count - 4);

			avx2_hamming_four(size, q, rows + first * size, out + first);
		}
}

const VrDistanceKernels VrDistanceAvx2 = {
	.name = "avx2",
	.l2sq_f32 = avx2_l2sq_f32,
	.ip_f32 = avx2_ip_f32,
	.l1_f32 = avx2_l1_f32,
	.cosine_f32 = avx2_cosine_f32,
	.l2sq_f16 = avx2_l2sq_f16,
	.ip_f16 = avx2_ip_f16,
	.l1_f16 = avx2_l1_f16,
	.cosine_f16 = avx2_cosine_f16,
	.l2sq_f32_f16 = avx2_l2sq_f32_f16,
	.ip_f32_f16 = avx2_ip_f32_f16,
	.f16_to_f32 = avx2_f16_to_f32,
	.f32_to_f16 = avx2_f32_to_f16,
	.hamming = VrDistanceHammingAvx2,
	.jaccard = VrDistanceJaccardAvx2,
	.l2sq_f32_batch = avx2_l2sq_f32_batch,
	.ip_f32_batch = avx2_ip_f32_batch,
	.l2sq_f32_pair = avx2_l2sq_f32_pair,
	.ip_f32_pair = avx2_ip_f32_pair,
	.hamming_batch = VrDistanceHammingBatchAvx2,
};

#endif /* VR_DISTANCE_X86 */
