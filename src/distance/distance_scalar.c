/*
 * distance_scalar.c
 *		The kernels in plain C: what the other sets have to agree with, and
 *		what runs where none of them does.
 *
 * Long sums go to SCALAR_LANES running sums, added pairwise at the end, and
 * the elements left over to one more. The running sums are written as vectors
 * of four, which compilers keep in whatever registers the architecture's
 * baseline has without being allowed to reorder anything.
 */
#include "c.h"

#include "distance/distance_short.h"

#define SCALAR_LANES 16
#define SCALAR_BLOCK 256 /* float16 elements widened at a time */
#define SCALAR_LOOK 64   /* of which so many are looked at together */

/* Four floats that compilers keep in a register if they have such ones. */
typedef float ScalarFour __attribute__((vector_size(16)));
typedef int32 ScalarFourBits __attribute__((vector_size(16)));

#define SCALAR_FOURS (SCALAR_LANES / 4)

VR_DISTANCE_INLINE float
scalar_term(VrDistanceTerm term, float a, float b)
{
	if (term == VR_TERM_IP)
		return a * b;
	if (term == VR_TERM_L1)
		return fabsf(a - b);
	return (a - b) * (a - b);
}

VR_DISTANCE_INLINE ScalarFour
scalar_term_four(VrDistanceTerm term, ScalarFour a, ScalarFour b)
{
	const ScalarFour d = a - b;

	if (term == VR_TERM_IP)
		return a * b;
	if (term == VR_TERM_L1)
		return (ScalarFour) ((ScalarFourBits) d & 0x7fffffff);
	return d * d;
}

VR_DISTANCE_INLINE ScalarFour
scalar_load_four(const float *p)
{
	ScalarFour x;

	memcpy(&x, p, sizeof(x));
	return x;
}

VR_DISTANCE_INLINE void
scalar_clear(ScalarFour *s)
{
	int k;

	VR_DISTANCE_UNROLL
	for (k = 0; k < SCALAR_FOURS; k++)
		s[k] = (ScalarFour){0};
}

/* Adds the terms of n elements, a multiple of SCALAR_LANES, to the lanes. */
VR_DISTANCE_INLINE void
scalar_add(VrDistanceTerm term, size_t n, const float *a, const float *b,
		   ScalarFour *s)
{
	size_t i;
	int k;

	for (i = 0; i < n; i += SCALAR_LANES)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < SCALAR_FOURS; k++)
			s[k] += scalar_term_four(term, scalar_load_four(a + i + 4 * k),
									 scalar_load_four(b + i + 4 * k));
	}
}

VR_DISTANCE_INLINE ScalarFour
scalar_join(const ScalarFour *s)
{
	return (s[0] + s[2]) + (s[1] + s[3]);
}

/* Adds the lanes pairwise. */
VR_DISTANCE_INLINE float
scalar_reduce(const ScalarFour *s)
{
	const ScalarFour x = scalar_join(s);

	return (x[0] + x[2]) + (x[1] + x[3]);
}

/*
 * The same additions for the three sums of a cosine side by side. Compilers
 * make a shuffle of elements named like this.
 */
VR_DISTANCE_INLINE ScalarFour
scalar_reduce_three(ScalarFour s[3][SCALAR_FOURS])
{
	const ScalarFour a = scalar_join(s[0]);
	const ScalarFour b = scalar_join(s[1]);
	const ScalarFour c = scalar_join(s[2]);
	const ScalarFour ab = (ScalarFour){a[0], b[0], a[1], b[1]} +
						  (ScalarFour){a[2], b[2], a[3], b[3]};
	const ScalarFour cc = c + (ScalarFour){c[2], c[3], c[2], c[3]};

	return (ScalarFour){ab[0], ab[1], cc[0], cc[1]} +
		   (ScalarFour){ab[2], ab[3], cc[1], cc[0]};
}

/* How many of n elements go to the lanes. */
VR_DISTANCE_INLINE size_t
scalar_whole(size_t n)
{
	return n / SCALAR_LANES * SCALAR_LANES;
}

VR_SHORT_FUNCTIONS(, scalar)

VR_DISTANCE_INLINE float
scalar_sum(VrDistanceTerm term, size_t n, const float *a, const float *b)
{
	const size_t whole = scalar_whole(n);
	ScalarFour s[SCALAR_FOURS];
	float rest = 0.0f;
	size_t i;

	if (n <= VR_DISTANCE_SHORT)
		return scalar_short_sum[term][VR_ELEM_F32][VR_ELEM_F32](n, a, b);
	scalar_clear(s);
	scalar_add(term, whole, a, b, s);
	for (i = whole; i < n; i++)
		rest += scalar_term(term, a[i], b[i]);
	return scalar_reduce(s) + rest;
}

static float
scalar_l2sq_f32(int n, const float *a, const float *b)
{
	return scalar_sum(VR_TERM_L2SQ, n, a, b);
}

static float
scalar_ip_f32(int n, const float *a, const float *b)
{
	return scalar_sum(VR_TERM_IP, n, a, b);
}

static float
scalar_l1_f32(int n, const float *a, const float *b)
{
	return scalar_sum(VR_TERM_L1, n, a, b);
}

/* As scalar_add(), three sums at once. */
VR_DISTANCE_INLINE void
scalar_cosine_add(size_t n, const float *a, const float *b,
				  ScalarFour s[3][SCALAR_FOURS])
{
	size_t i;
	int k;

	for (i = 0; i < n; i += SCALAR_LANES)
	{
		VR_DISTANCE_UNROLL
		for (k = 0; k < SCALAR_FOURS; k++)
		{
			const ScalarFour x = scalar_load_four(a + i + 4 * k);
			const ScalarFour y = scalar_load_four(b + i + 4 * k);

			s[0][k] += x * y;
			s[1][k] += x * x;
			s[2][k] += y * y;
		}
	}
}

/* The sums of a cosine: of the lanes, and of n elements more. */
VR_DISTANCE_INLINE void
scalar_cosine_end(size_t n, const float *a, const float *b,
				  ScalarFour s[3][SCALAR_FOURS], float *ip, float *aa,
				  float *bb)
{
	const ScalarFour sums = scalar_reduce_three(s);
	float rest[3] = {0};
	size_t i;

	for (i = 0; i < n; i++)
	{
		rest[0] += a[i] * b[i];
		rest[1] += a[i] * a[i];
		rest[2] += b[i] * b[i];
	}
	*ip = sums[0] + rest[0];
	*aa = sums[1] + rest[1];
	*bb = sums[2] + rest[2];
}

static void
scalar_cosine_f32(int n, const float *a, const float *b, float *ip, float *aa,
				  float *bb)
{
	const size_t whole = scalar_whole(n);
	ScalarFour s[3][SCALAR_FOURS];

	if (n <= VR_DISTANCE_SHORT)
	{
		scalar_short_cosine[VR_ELEM_F32](n, a, b, ip, aa, bb);
		return;
	}
	scalar_clear(s[0]);
	scalar_clear(s[1]);
	scalar_clear(s[2]);
	scalar_cosine_add(whole, a, b, s);
	scalar_cosine_end(n - whole, a + whole, b + whole, s, ip, aa, bb);
}

/* Is any of SCALAR_LOOK values Inf, NaN or a denormal? */
VR_DISTANCE_INLINE bool
scalar_any_special(const vr_half *p)
{
	int16 largest = 0;
	int16 smallest = PG_INT16_MAX;
	int i;

	for (i = 0; i < SCALAR_LOOK; i++)
	{
		const int16 magnitude = p[i] & 0x7fff;
		/* from 1 on it counts up from the lowest number; 0 is the highest */
		const int16 place = (int16) (magnitude - 1 - 0x8000);

		largest = Max(largest, magnitude);
		smallest = Min(smallest, place);
	}
	return largest >= 0x7c00 || smallest < 0x03ff - 0x8000;
}

/* Widens SCALAR_LOOK values that are none of these. */
VR_DISTANCE_INLINE void
scalar_widen_usual(const vr_half *restrict src, float *restrict dst)
{
	int i;

	for (i = 0; i < SCALAR_LOOK; i++)
	{
		/* sign, exponent and mantissa where float32 has them */
		const int32 bits = ((int32) ((uint32) src[i] << 16) >> 3) & 0x8fffe000;

		dst[i] = VrBitsFloat(bits) * 0x1p112f;
	}
}

VR_DISTANCE_INLINE void
scalar_widen_any(int n, const vr_half *restrict src, float *restrict dst)
{
	int i;

	for (i = 0; i < n; i++)
		dst[i] = VrHalfToFloatInline(src[i]);
}

static void
scalar_f16_to_f32(int n, const vr_half *src, float *dst)
{
	int i = 0;

	for (; i + SCALAR_LOOK <= n; i += SCALAR_LOOK)
		if (!scalar_any_special(src + i))
			scalar_widen_usual(src + i, dst + i);
		else
			scalar_widen_any(SCALAR_LOOK, src + i, dst + i);
	scalar_widen_any(n - i, src + i, dst + i);
}

/*
 * As scalar_sum(), where b, and a too if it is not float32, are widened a block
 * at a time.
 */
VR_DISTANCE_INLINE float
scalar_sum_f16(VrDistanceTerm term, int n, VrDistanceElem ea, const void *a,
			   const vr_half *b)
{
	float x[SCALAR_BLOCK];
	float y[SCALAR_BLOCK];
	ScalarFour s[SCALAR_FOURS];
	float rest = 0.0f;
	int start;

	if (n <= VR_DISTANCE_SHORT)
		return scalar_short_sum[term][ea][VR_ELEM_F16](n, a, b);
	scalar_clear(s);
	for (start = 0; start < n; start += SCALAR_BLOCK)
	{
		const int m = Min(n - start, SCALAR_BLOCK);
		const float *from = x;
		size_t i = scalar_whole(m);

		if (ea == VR_ELEM_F32)
			from = (const float *) a + start;
		else
			scalar_f16_to_f32(m, (const vr_half *) a + start, x);
		scalar_f16_to_f32(m, b + start, y);
		scalar_add(term, i, from, y, s);
		for (; i < m; i++)
			rest += scalar_term(term, from[i], y[i]);
	}
	return scalar_reduce(s) + rest;
}

static float
scalar_l2sq_f16(int n, const vr_half *a, const vr_half *b)
{
	return scalar_sum_f16(VR_TERM_L2SQ, n, VR_ELEM_F16, a, b);
}

static float
scalar_ip_f16(int n, const vr_half *a, const vr_half *b)
{
	return scalar_sum_f16(VR_TERM_IP, n, VR_ELEM_F16, a, b);
}

static float
scalar_l1_f16(int n, const vr_half *a, const vr_half *b)
{
	return scalar_sum_f16(VR_TERM_L1, n, VR_ELEM_F16, a, b);
}

static float
scalar_l2sq_f32_f16(int n, const float *a, const vr_half *b)
{
	return scalar_sum_f16(VR_TERM_L2SQ, n, VR_ELEM_F32, a, b);
}

static float
scalar_ip_f32_f16(int n, const float *a, const vr_half *b)
{
	return scalar_sum_f16(VR_TERM_IP, n, VR_ELEM_F32, a, b);
}

static void
scalar_cosine_f16(int n, const vr_half *a, const vr_half *b, float *ip,
				  float *aa, float *bb)
{
	float x[SCALAR_BLOCK];
	float y[SCALAR_BLOCK];
	ScalarFour s[3][SCALAR_FOURS];
	size_t whole = 0;
	int m = 0;
	int start;

	if (n <= VR_DISTANCE_SHORT)
	{
		scalar_short_cosine[VR_ELEM_F16](n, a, b, ip, aa, bb);
		return;
	}
	scalar_clear(s[0]);
	scalar_clear(s[1]);
	scalar_clear(s[2]);
	for (start = 0; start < n; start += SCALAR_BLOCK)
	{
		m = Min(n - start, SCALAR_BLOCK);
		whole = scalar_whole(m);
		scalar_f16_to_f32(m, a + start, x);
		scalar_f16_to_f32(m, b + start, y);
		scalar_cosine_add(whole, x, y, s);
	}
	/* only the last block can have a rest */
	scalar_cosine_end(m - whole, x + whole, y + whole, s, ip, aa, bb);
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

VR_DISTANCE_INLINE uint64
scalar_count(uint64 x)
{
	return scalar_add_bytes(scalar_count_bytes(x));
}

static uint64
scalar_hamming(int n, const unsigned char *a, const unsigned char *b)
{
	uint64 sum = 0;
	size_t i = 0;

	for (; i + sizeof(uint64) <= n; i += sizeof(uint64))
		sum += scalar_count(VrLoadWord(a + i) ^ VrLoadWord(b + i));
	if (i < n)
		sum +=
			scalar_count(VrLoadBytes(a + i, n - i) ^ VrLoadBytes(b + i, n - i));
	return sum;
}

static void
scalar_jaccard(int n, const unsigned char *a, const unsigned char *b,
			   uint64 *both, uint64 *any)
{
	uint64 in_both = 0;
	uint64 in_any = 0;
	size_t i = 0;

	for (; i + sizeof(uint64) <= n; i += sizeof(uint64))
	{
		const uint64 x = VrLoadWord(a + i);
		const uint64 y = VrLoadWord(b + i);

		in_both += scalar_count(x & y);
		in_any += scalar_count(x | y);
	}
	if (i < n)
	{
		const uint64 x = VrLoadBytes(a + i, n - i);
		const uint64 y = VrLoadBytes(b + i, n - i);

		in_both += scalar_count(x & y);
		in_any += scalar_count(x | y);
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
		VrDistancePrefetch(n, rows + r + 1, Min(1, count - r - 1));
		out[r] = scalar_sum(term, n, q, rows[r]);
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

static void
scalar_l2sq_f32_pair(int n, const float *q, const float *const *rows,
					 const float *const *next, float *out)
{
	scalar_batch(VR_TERM_L2SQ, n, q, rows, 2, out);
}

static void
scalar_ip_f32_pair(int n, const float *q, const float *const *rows,
				   const float *const *next, float *out)
{
	scalar_batch(VR_TERM_IP, n, q, rows, 2, out);
}

static void
scalar_hamming_batch(int n, const unsigned char *q, const unsigned char *rows,
					 int count, uint64 *out)
{
	int r;

	for (r = 0; r < count; r++)
		out[r] = scalar_hamming(n, q, rows + (size_t) r * n);
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
	.l2sq_f32_pair = scalar_l2sq_f32_pair,
	.ip_f32_pair = scalar_ip_f32_pair,
	.hamming_batch = scalar_hamming_batch,
};
