/*
 * types_private.h
 *		What the files of src/types share among themselves. Include after
 *		"postgres.h" and "fmgr.h".
 */
#ifndef VR_TYPES_PRIVATE_H
#define VR_TYPES_PRIVATE_H

#include <math.h>

#include "utils/varbit.h"

#include "types/vector.h"

struct ArrayType;

/* types_text.c */
extern int VrTypesParseDense(fmNodePtr escontext, const char *type,
							 const char *text, float limit, float *x);
extern bool VrTypesParseNumber(fmNodePtr escontext, const char *type,
							   const char *text, const char **pos,
							   const char *end, char close, float *value);
extern char *VrTypesPrintDense(int dim, const float *x);
extern int32 VrTypesTypmodIn(Datum typmods, const char *type, int32 max);

extern int VrTypesSubrange(const char *type, int dim, int32 start, int32 count,
						   int *first);

/* types_array.c */
extern const float *VrTypesArrayElements(struct ArrayType *array,
										 const char *type, int max,
										 int32 typmod, int *dim);
extern struct ArrayType *VrTypesMakeFloat4Array(int dim);

/* types_agg.c */
extern Datum VrTypesAccumulate(FunctionCallInfo fcinfo, const char *caller,
							   int dim, const float *x);
extern const float8 *VrTypesAggState(struct ArrayType *state,
									 const char *caller, int *dim);

/* bit_ops.c */
extern VarBit *VrTypesMakeBits(int dim);
extern void VrTypesSignBits(int dim, const float *x, unsigned char *bits);

/* sparsevec_io.c */
extern void VrSparseVecCheckNnz(int nnz, int dim);

/* The SQL scanner's idea of space, whatever the locale. */
static inline bool
VrTypesIsSpace(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
VrHalfIsFinite(vr_half half)
{
	return (half & 0x7C00) != 0x7C00;
}

static inline bool
VrHalfIsZero(vr_half half)
{
	return (half & 0x7FFF) == 0;
}

/*
 * Whether any of x is an infinity or NaN: its exponent, all ones, carries into
 * the sign when one is added. In integers, so that the loop becomes vectors.
 */
static inline bool
VrTypesAnyNotFinite(int n, const float *x)
{
	uint32 any = 0;

	for (int i = 0; i < n; i++)
	{
		uint32 bits;

		memcpy(&bits, &x[i], sizeof(bits));
		any |= (bits & 0x7FFFFFFF) + 0x00800000;
	}
	return (any >> 31) != 0;
}

/* The same of halves. */
static inline bool
VrTypesAnyHalfNotFinite(int n, const vr_half *x)
{
	uint16 any = 0;

	for (int i = 0; i < n; i++)
		any |= (uint16) ((x[i] & 0x7FFF) + 0x0400);
	return (any >> 15) != 0;
}

/*
 * Sum of squares in double, in which each square is exact; pgvector's builds
 * for x86-64 add in this order, but for halfvec, which they add one by one.
 */
static inline double
VrTypesSumSquares(int n, const float *x)
{
	double s0 = 0;
	double s1 = 0;
	int i = 0;

	for (; i + 4 <= n; i += 4)
	{
		const double a = x[i];
		const double b = x[i + 1];
		const double c = x[i + 2];
		const double d = x[i + 3];

		s0 += a * a + c * c;
		s1 += b * b + d * d;
	}
	s0 += s1;
	for (; i < n; i++)
		s0 += (double) x[i] * x[i];
	return s0;
}

/*
 * Cosine distance from its three sums: root of the product rather than product
 * of the roots, clamped, and NaN if a norm is zero, as pgvector has it.
 */
static inline double
VrTypesCosineDistance(float ip, float aa, float bb)
{
	double similarity = (double) ip / sqrt((double) aa * (double) bb);

	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return 1 - similarity;
}

/* Angle between unit vectors as a fraction of pi, from their inner product. */
static inline double
VrTypesSphericalDistance(float ip)
{
	double cosine = ip;

	if (cosine > 1)
		cosine = 1;
	else if (cosine < -1)
		cosine = -1;
	return acos(cosine) / M_PI;
}

#endif /* VR_TYPES_PRIVATE_H */
