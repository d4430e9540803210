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

/*
 * Adds the numbers of bits that differ and that are set in both. For few bytes:
 * what is less than a register or two, where vectors do not pay.
 */
VR_DISTANCE_INLINE void
VrCountFewBytes(size_t n, const unsigned char *a, const unsigned char *b,
				uint64 *differ, uint64 *both)
{
	size_t i = 0;

	for (; i + sizeof(uint64) <= n; i += sizeof(uint64))
	{
		const uint64 x = VrLoadWord(a + i);
		const uint64 y = VrLoadWord(b + i);

		*differ += __builtin_popcountll(x ^ y);
		*both += __builtin_popcountll(x & y);
	}
	if (i < n)
	{
		const uint64 x = VrLoadBytes(a + i, n - i);
		const uint64 y = VrLoadBytes(b + i, n - i);

		*differ += __builtin_popcountll(x ^ y);
		*both += __builtin_popcountll(x & y);
	}
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

/* yes where the condition holds, no elsewhere, without a branch. */
static inline uint32
VrDistanceSelect(bool condition, uint32 yes, uint32 no)
{
	const uint32 mask = -(uint32) condition;

	return (yes & mask) | (no & ~mask);
}

/* value where the condition holds, 0 elsewhere, without a branch. */
static inline int32
VrDistanceOnlyIf(bool condition, int32 value)
{
	return -(int32) condition & value;
}

/*
 * Exact. Without branches, so that loops over it vectorise, and without
 * denormals on the way, which a library may have switched off. A NaN keeps its
 * sign and leading payload and becomes quiet, as hardware does. Signed, since
 * SSE2 has no unsigned comparison.
 */
static inline float
VrHalfToFloatInline(vr_half h)
{
	const int32 magnitude = (h & 0x7fff) << 13;
	const bool denormal = magnitude < 0x00800000;
	/* exponent bias from 15 to 127; a denormal m becomes 2^-14 (1 + m/1024) */
	const int32 biased =
		magnitude + 0x38000000 + VrDistanceOnlyIf(denormal, 0x00800000);
	/* and m * 2^-24, normalised */
	const float finite = VrBitsFloat(biased) -
						 VrBitsFloat(VrDistanceOnlyIf(denormal, 0x38800000));
	/* the exponent of Inf and NaN goes on to 255 */
	const uint32 bits = VrFloatBits(finite) +
						VrDistanceOnlyIf(magnitude >= 0x0f800000, 0x38000000);

	return VrBitsFloat(bits |
					   VrDistanceOnlyIf(magnitude > 0x0f800000, 0x00400000) |
					   (uint32) (h & 0x8000) << 16);
}

/*
 * Rounds to nearest, ties to even; what does not fit becomes Inf. NaN as
 * above.
 */
static inline vr_half
VrFloatToHalfInline(float f)
{
	const uint32 bits = VrFloatBits(f);
	const uint32 sign = (bits >> 16) & 0x8000;
	const uint32 magnitude = bits & 0x7fffffff;
	/* a carry out of the mantissa goes to the exponent, up to Inf */
	const uint32 normal =
		(magnitude - 0x38000000 + 0x0fff + ((magnitude >> 13) & 1)) >> 13;
	/* 0.5 has its last bit at 2^-24, as has a subnormal: the sum rounds */
	const uint32 small =
		VrFloatBits(VrBitsFloat(magnitude) + 0.5f) - 0x3f000000;
	const uint32 finite =
		VrDistanceSelect(magnitude < 0x38800000, small, normal);
	const uint32 nan = 0x7e00 | ((magnitude >> 13) & 0x01ff);
	const uint32 special =
		VrDistanceSelect(magnitude > 0x7f800000, nan, 0x7c00);

	return (vr_half) (sign | VrDistanceSelect(magnitude >= 0x47800000, special,
											  finite));
}

#endif /* VR_DISTANCE_PRIVATE_H */
