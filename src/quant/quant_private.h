/*
 * quant_private.h
 *		What the files of this folder share: the kernel sets, and the short
 *		pieces of arithmetic that every set must do in the same way.
 */
#ifndef VR_QUANT_PRIVATE_H
#define VR_QUANT_PRIVATE_H

#include <math.h>
#include <string.h>

#include "quant/quant.h"

/* Transformed coordinates stay within this, so that squares stay finite. */
#define VR_COORD_MAX 3.6028797018963968e16f /* 2^55 */

/* Bound of a stored add term; well below VR_ESTIMATE_MAX. */
#define VR_ADD_MAX 1.0e38f

/* Rounds of the rotation. */
#define VR_ROTATE_ROUNDS 4

/* Largest |q16|: both planes then fit in int8. */
#define VR_Q16_MAX 32639

/* Steps of the first plane of I8X2 into which the second divides one. */
#define VR_I8X2_STEPS 254

/*
 * Table sums are kept in 16 bits inside the kernels: 255 * 256 groups is the
 * most that fits.
 */
#define VR_ACC_GROUPS 256

extern const VrQuantKernels VrQuantScalar;
#if defined(__x86_64__)
#define VR_QUANT_X86
extern const VrQuantKernels VrQuantSsse3;
extern const VrQuantKernels VrQuantAvx2;
extern const VrQuantKernels VrQuantAvx512;
extern const VrQuantKernels VrQuantAvx512Vnni;
#endif
#if defined(__aarch64__)
#define VR_QUANT_ARM
extern const VrQuantKernels VrQuantNeon;
#endif

/* Pieces of the scalar set that other sets use for their rarer kinds. */
extern void VrQuantScalarRotate(const VrRotation *rot, const float *mean,
								const float *in, float *out);

/* Bounds a result and turns NaN into the bound. */
static inline float
quant_bound(float d)
{
	return d < VR_ESTIMATE_MAX ? d : VR_ESTIMATE_MAX;
}

/* Upper half of a float32 and back; rounds to nearest even. */
static inline uint16
quant_bf16_from_float(float f)
{
	uint32 u;

	memcpy(&u, &f, sizeof(u));
	return (uint16) ((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

static inline float
quant_bf16_to_float(uint16 h)
{
	uint32 u = (uint32) h << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/*
 * Finite binary16 to float32 without branches: the exponent is rebased by a
 * multiplication, which normalises denormals as well.
 */
static inline float
quant_half_to_float(vr_half h)
{
	uint32 u = ((uint32) h & 0x7fff) << 13;
	uint32 sign = ((uint32) h & 0x8000) << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	f *= 5.192296858534828e33f; /* 2^112 */
	memcpy(&u, &f, sizeof(u));
	u |= sign;
	memcpy(&f, &u, sizeof(f));
	return f;
}

/*
 * Round to nearest even for |x| < 2^22, in two additions that vectorise on
 * every machine. Not to be compiled with -ffast-math.
 */
static inline float
quant_round(float x)
{
	return (x + 12582912.0f) - 12582912.0f;
}

/*
 * The tail of every integer distance. udot is the sum of unsigned code times
 * q16; the code stands for scale * (mul * c - zero) / mul.
 */
static inline float
quant_int_distance(const VrQuantQuery *query, const VrOwnHead *head, int64 udot,
				   int mul, int zero)
{
	int64 dot = udot * mul - (int64) zero * query->sum_q16;
	float ip = ((float) dot / (float) mul * head->scale) * query->int_scale;

	return quant_bound(query->int_norm2 + head->norm2 - 2.0f * ip);
}

/* The same from the product of the codes less their zeros, mul times each. */
static inline float
quant_dot_pair(const VrOwnHead *ha, const VrOwnHead *hb, int64 dot, int mul)
{
	float ip = ((float) dot / (float) (mul * mul) * ha->scale) * hb->scale;
	float d = ha->norm2 + hb->norm2 - 2.0f * ip;

	return d > 0.0f ? quant_bound(d) : 0.0f;
}

/*
 * The tail of every integer pair: sums over unsigned codes, of products and of
 * both vectors' codes together.
 */
static inline float
quant_int_pair(int padded, const VrOwnHead *ha, const VrOwnHead *hb, int64 udot,
			   int64 usum, int mul, int zero)
{
	int64 dot =
		(udot * mul - (int64) zero * usum) * mul + (int64) zero * zero * padded;

	return quant_dot_pair(ha, hb, dot, mul);
}

#endif /* VR_QUANT_PRIVATE_H */
