/*
 * distance_scalar.c
 *		The kernels in plain C: what the other sets have to agree with, and
 *		what runs where none of them does.
 *
 * Long sums go to SCALAR_LANES running sums, added pairwise at the end, and
 * the elements left over to one more: this lets a compiler use whatever
 * vectors the architecture's baseline has without being allowed to reorder
 * anything.
 */
#include "c.h"

#include "distance/distance_short.h"

#define SCALAR_LANES 16
#define SCALAR_BLOCK 256 /* elements converted at a time */

VR_DISTANCE_INLINE float
scalar_term(VrDistanceTerm term, float a, float b)
{
	if (term == VR_TERM_IP)
		return a * b;
	if (term == VR_TERM_L1)
		return fabsf(a - b);
	return (a - b) * (a - b);
}

/* Adds the lanes pairwise. */
VR_DISTANCE_INLINE float
scalar_reduce(float *lanes)
{
	size_t l;

	for (l = 0; l < 8; l++)
		lanes[l] += lanes[l + 8];
	for (l = 0; l < 4; l++)
		lanes[l] += lanes[l + 4];
	return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

VR_DISTANCE_INLINE float
scalar_sum(VrDistanceTerm term, size_t n, VrDistanceElem ea, const void *a,
		   VrDistanceElem eb, const void *b)
{
	float lanes[SCALAR_LANES] = {0};
	float rest = 0.0f;
	size_t i = 0;
	size_t l;

	if (n <= VR_DISTANCE_SHORT)
		return VrShortSum(term, n, ea, a, eb, b);
	for (; i + SCALAR_LANES <= n; i += SCALAR_LANES)
		for (l = 0; l < SCALAR_LANES; l++)
			lanes[l] += scalar_term(term, VrShortLoad(ea, a, i + l),
									VrShortLoad(eb, b, i + l));
	for (; i < n; i++)
		rest += scalar_term(term, VrShortLoad(ea, a, i), VrShortLoad(eb, b, i));
	return scalar_reduce(lanes) + rest;
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

/* Four floats that compilers keep in a register if they have such ones. */
typedef float ScalarFour __attribute__((vector_size(16)));

#define SCALAR_FOURS (SCALAR_LANES / 4)

VR_DISTANCE_INLINE ScalarFour
scalar_load_four(const float *p)
{
	ScalarFour x;

	memcpy(&x, p, sizeof(x));
	return x;
}

VR_DISTANCE_INLINE float
scalar_reduce_fours(const ScalarFour *s)
{
	const ScalarFour x = (s[0] + s[1]) + (s[2] + s[3]);

	return (x[0] + x[1]) + (x[2] + x[3]);
}

/*
 * As scalar_sum(), three sums at once. Written in vectors, since compilers
 * make them of one sum in a loop, but not of three.
 */
static void
scalar_cosine_f32(int n, const float *a, const float *b, float *ip, float *aa,
				  float *bb)
{
	ScalarFour s[3][SCALAR_FOURS];
	float rest[3] = {0};
	size_t i = 0;
	int k;

	if (n <= VR_DISTANCE_SHORT)
	{
		VrShortCosine(n, VR_ELEM_F32, a, b, ip, aa, bb);
		return;
	}
	VR_DISTANCE_UNROLL
	for (k = 0; k < SCALAR_FOURS; k++)
		s[0][k] = s[1][k] = s[2][k] = (ScalarFour){0};

	for (; i + SCALAR_LANES <= n; i += SCALAR_LANES)
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
	for (; i < n; i++)
	{
		rest[0] += a[i] * b[i];
		rest[1] += a[i] * a[i];
		rest[2] += b[i] * b[i];
	}
	*ip = scalar_reduce_fours(s[0]) + rest[0];
	*aa = scalar_reduce_fours(s[1]) + rest[1];
	*bb = scalar_reduce_fours(s[2]) + rest[2];
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

/* Converted a block at a time, once for all three sums. */
static void
scalar_cosine_f16(int n, const vr_half *a, const vr_half *b, float *ip,
				  float *aa, float *bb)
{
	float x[SCALAR_BLOCK];
	float y[SCALAR_BLOCK];
	float sums[3] = {0};
	int i;

	if (n <= VR_DISTANCE_SHORT)
	{
		VrShortCosine(n, VR_ELEM_F16, a, b, ip, aa, bb);
		return;
	}
	for (i = 0; i < n; i += SCALAR_BLOCK)
	{
		float block[3];
		const int m = Min(n - i, SCALAR_BLOCK);

		scalar_f16_to_f32(m, a + i, x);
		scalar_f16_to_f32(m, b + i, y);
		scalar_cosine_f32(m, x, y, &block[0], &block[1], &block[2]);
		sums[0] += block[0];
		sums[1] += block[1];
		sums[2] += block[2];
	}
	*ip = sums[0];
	*aa = sums[1];
	*bb = sums[2];
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
