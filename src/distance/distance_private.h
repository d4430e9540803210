/*
 * distance_private.h
 *		What the files of this folder share: the sets of kernels, and float16
 *		conversion for inlining.
 *
 * Include after "c.h". Not for other folders.
 */
#ifndef VR_DISTANCE_PRIVATE_H
#define VR_DISTANCE_PRIVATE_H

#include "distance/distance.h"

#if defined(__x86_64__)
#define VR_DISTANCE_X86 1
#elif defined(__aarch64__)
#define VR_DISTANCE_NEON 1
#endif

/* Bit strings shorter than this, in bytes, are counted word by word. */
#define VR_DISTANCE_FEW_BYTES 32

/*
 * Bit strings longer than this, in bytes, are counted one by one in a batch:
 * shorter ones have counts of 16 bits, which are added side by side.
 */
#define VR_DISTANCE_BATCH_BYTES 4096

/* Lines of 64 bytes of a row in a batch that are asked for in advance. */
#define VR_DISTANCE_PREFETCH_LINES 8

/*
 * A kernel's body is written once per set, for operands and a term that are
 * constants at each call, and inlined there.
 */
#define VR_DISTANCE_INLINE static inline __attribute__((always_inline))

/* For short loops over running sums, which must end up in registers. */
#define VR_DISTANCE_UNROLL _Pragma("GCC unroll 4")

/*
 * Makes the compiler keep a loaded register for its second use, where it would
 * rather load it again although loads are what the loop waits for.
 */
#ifdef VR_DISTANCE_X86
#define VR_DISTANCE_KEEP(x) __asm__("" : "+v"(x))
#endif

typedef enum VrDistanceElem
{
	VR_ELEM_F32,
	VR_ELEM_F16
} VrDistanceElem;

/* What is summed over the elements. */
typedef enum VrDistanceTerm
{
	VR_TERM_L2SQ, /* (a - b)^2 */
	VR_TERM_IP,   /* a * b */
	VR_TERM_L1    /* |a - b| */
} VrDistanceTerm;

/* Sets, each defined where its architecture is compiled for. */
extern const VrDistanceKernels VrDistanceScalar;
#ifdef VR_DISTANCE_X86
extern const VrDistanceKernels VrDistanceAvx2;
/* The same but for the bit kernels, which are AVX2's in the first. */
extern const VrDistanceKernels VrDistanceAvx512;
extern const VrDistanceKernels VrDistanceAvx512Popcnt;

extern uint64 VrDistanceHammingAvx2(int n, const unsigned char *a,
									const unsigned char *b);
extern void VrDistanceJaccardAvx2(int n, const unsigned char *a,
								  const unsigned char *b, uint64 *both,
								  uint64 *any);
extern void VrDistanceHammingBatchAvx2(int n, const unsigned char *q,
									   const unsigned char *rows, int count,
									   uint64 *out);
#endif
#ifdef VR_DISTANCE_NEON
extern const VrDistanceKernels VrDistanceNeon;
#endif

static inline uint32
VrFloatBits(float f)
{
	uint32 u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

static inline float
VrBitsFloat(uint32 u)
{
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline uint64
VrLoadWord(const unsigned char *p)
{
	uint64 x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* Fewer than eight bytes, in some order that depends on their number only. */
static inline uint64
VrLoadBytes(const unsigned char *p, size_t n)
{
	uint64 x = 0;

	while (n > 0)
		x = x << 8 | p[--n];
	return x;
}

VR_DISTANCE_INLINE void
VrCountWord(uint64 x, uint64 y, uint64 *differ, uint64 *both)
{
	*differ += __builtin_popcountll(x ^ y);
	*both += __builtin_popcountll(x & y);
}

/*
 * Adds the numbers of bits that differ and that are set in both, of less than
 * VR_DISTANCE_FEW_BYTES: of a register or two, where vectors do not pay. No
 * loop, which would cost as much as what it counts.
 */
VR_DISTANCE_INLINE void
VrCountFewBytes(size_t n, const unsigned char *a, const unsigned char *b,
				uint64 *differ, uint64 *both)
{
	if (n & 16)
	{
		VrCountWord(VrLoadWord(a), VrLoadWord(b), differ, both);
		VrCountWord(VrLoadWord(a + 8), VrLoadWord(b + 8), differ, both);
		a += 16;
		b += 16;
	}
	if (n & 8)
	{
		VrCountWord(VrLoadWord(a), VrLoadWord(b), differ, both);
		a += 8;
		b += 8;
	}
	if (n & 7)
		VrCountWord(VrLoadBytes(a, n & 7), VrLoadBytes(b, n & 7), differ, both);
}

/*
 * Asks for the first lines of rows that are next. The hardware sees the rest
 * of a long row coming; asking for all of it costs more in cache than it gains
 * from memory.
 */
VR_DISTANCE_INLINE void
VrDistancePrefetch(int n, const float *const *rows, int count)
{
	const int lines = Min((n + 15) / 16, VR_DISTANCE_PREFETCH_LINES);
	int r;
	int l;

	for (r = 0; r < count; r++)
		for (l = 0; l < lines; l++)
			VR_PREFETCH(rows[r] + 16 * l);
}

/* value where the condition holds, 0 elsewhere, without a branch. */
static inline int32
VrDistanceOnlyIf(bool condition, int32 value)
{
	return -(int32) condition & value;
}

/*
 * Exact. Without branches, so that loops over it vectorise, and without
 * denormals on the way, which a library may have switched off and CPUs are slow
 * at. A NaN keeps its sign and leading payload and becomes quiet, as hardware
 * does. Signed, since SSE2 has no unsigned comparison.
 */
static inline float
VrHalfToFloatInline(vr_half h)
{
	const int32 magnitude = (h & 0x7fff) << 13;
	/* the exponent's bias from 15 to 127, that of Inf and NaN on to 255 */
	const float x =
		VrBitsFloat(magnitude + 0x38000000 +
					VrDistanceOnlyIf(magnitude >= 0x0f800000, 0x38000000));
	/*
	 * This has taken a denormal, 2^-14 m/1024, for 2^-15 (1 + m/1024): twice
	 * as much, less 2^-14, is right. The sum makes a NaN quiet.
	 */
	const float excess = x - 0x1p-14f;
	const float size = x + (excess < 0.0f ? excess : 0.0f);

	return VrBitsFloat(VrFloatBits(size) | (uint32) (h & 0x8000) << 16);
}

/*
 * Rounds to nearest, ties to even; what does not fit becomes Inf. NaN as
 * above. No branches either.
 */
static inline vr_half
VrFloatToHalfInline(float f)
{
	const uint32 bits = VrFloatBits(f);
	const uint32 sign = (bits >> 16) & 0x8000;
	const int32 magnitude = (int32) (bits & 0x7fffffff);
	/* at most 65536, which becomes Inf */
	const int32 below = Min(magnitude, 0x47800000);
	/* its power of two, or 2^-14, below which a half's last bit is the same */
	const int32 unit = Max(below & 0x7f800000, 0x38800000);
	/*
	 * The last bit of a float32 2^13 times as large is where the half's is: the
	 * sum rounds, and ends in the half's mantissa, first bit included.
	 */
	const int32 large = unit + (13 << 23);
	const int32 mantissa =
		(int32) VrFloatBits(VrBitsFloat(below) + VrBitsFloat(large)) - large;
	const int32 finite = mantissa + ((unit - 0x38800000) >> 13);
	const int32 nan = VrDistanceOnlyIf(magnitude > 0x7f800000,
									   0x0200 | ((magnitude >> 13) & 0x01ff));

	return (vr_half) (sign | finite | nan);
}

#endif /* VR_DISTANCE_PRIVATE_H */
