/*
 * float_parse.h
 *		Decimal text to float32, rounded as strtof rounds, several times faster.
 *
 * Knows no server: the unit test includes it after "c.h". README.md of this
 * folder has the argument why the result is strtof's to the last bit.
 */
#ifndef VR_FLOAT_PARSE_H
#define VR_FLOAT_PARSE_H

#include "base/vr_defs.h"

/* Powers of ten for which VrFloatParse multiplies; index by exponent - MIN. */
#define VR_FLOAT_PARSE_MIN_EXP (-64)
#define VR_FLOAT_PARSE_MAX_EXP 38

extern const double
	VrFloatParsePowers[VR_FLOAT_PARSE_MAX_EXP - VR_FLOAT_PARSE_MIN_EXP + 1];

/*
 * How far from a rounding boundary of float32, in units of the last place of
 * the double, the product must be to be trusted. Its error is below 4.
 */
#define VR_FLOAT_PARSE_MARGIN 16

static inline bool
VrFloatParseIsDigit(char c)
{
	return (unsigned char) (c - '0') <= 9;
}

#ifndef WORDS_BIGENDIAN
/*
 * If the 8 bytes at p are digits, appends them to *mantissa and returns true.
 * Three multiplications add neighbours: 1 digit to 2, 2 to 4, 4 to 8.
 */
static inline bool
VrFloatParseEight(const char *p, uint64 *mantissa)
{
	uint64 v;

	memcpy(&v, p, sizeof(v));
	if ((((v + UINT64CONST(0x4646464646464646)) |
		  (v - UINT64CONST(0x3030303030303030))) &
		 UINT64CONST(0x8080808080808080)) != 0)
		return false;
	v -= UINT64CONST(0x3030303030303030);
	v = v * 10 + (v >> 8);
	v = (((v & UINT64CONST(0x000000FF000000FF)) *
		  UINT64CONST(0x000F424000000064)) +
		 (((v >> 16) & UINT64CONST(0x000000FF000000FF)) *
		  UINT64CONST(0x0000271000000001))) >>
		32;
	*mantissa = *mantissa * 100000000 + (uint32) v;
	return true;
}
#endif

/*
 * Reads one number at p: sign, digits with an optional point, exponent. end is
 * the terminating zero byte of the whole text. On true, *value is the nearest
 * float32 (ties to even) and *next the first byte after the number. On false
 * nothing is known and the caller asks strtof: hexadecimal, NaN, infinity,
 * subnormal and out of range values, more than 19 significant digits, a value
 * too close to the middle between two floats, and things that are no number.
 *
 * strtof may read further than this function ("0x1p3" after the "0"), so true
 * counts only if the caller's syntax allows *next at that place.
 */
static inline bool
VrFloatParse(const char *p, const char *end, const char **next, float *value)
{
	const char *start;
	uint64 mantissa = 0;
	int digits;
	int exponent = 0;
	bool negative = false;
	double d;
	uint64 bits;

	if (*p == '-' || *p == '+')
		negative = (*p++ == '-');

	start = p;
	while (VrFloatParseIsDigit(*p))
		mantissa = mantissa * 10 + (uint64) (*p++ - '0');
	digits = (int) (p - start);

	if (*p == '.')
	{
		const char *fraction = ++p;

#ifndef WORDS_BIGENDIAN
		while (end - p >= 8 && VrFloatParseEight(p, &mantissa))
			p += 8;
#endif
		while (VrFloatParseIsDigit(*p))
			mantissa = mantissa * 10 + (uint64) (*p++ - '0');
		exponent = -(int) (p - fraction);
		digits += (int) (p - fraction);
	}

	if (VR_UNLIKELY(digits > 19))
	{
		/* Leading zeros do not count; beyond 19 the mantissa has wrapped. */
		for (const char *z = start; *z == '0' || *z == '.'; z++)
			digits -= (*z == '0');
		if (digits > 19)
			return false;
	}
	else if (VR_UNLIKELY(digits == 0))
		return false;

	if (VR_UNLIKELY(*p == 'e' || *p == 'E'))
	{
		bool small = false;
		int n = 0;
		const char *first;

		p++;
		if (*p == '-' || *p == '+')
			small = (*p++ == '-');
		first = p;
		while (VrFloatParseIsDigit(*p) && p - first < 5)
			n = n * 10 + (*p++ - '0');
		if (p == first || p - first == 5)
			return false;
		exponent += small ? -n : n;
	}

	*next = p;

	if (mantissa == 0)
	{
		*value = negative ? -0.0f : 0.0f;
		return true;
	}

	if (VR_UNLIKELY(exponent < VR_FLOAT_PARSE_MIN_EXP ||
					exponent > VR_FLOAT_PARSE_MAX_EXP))
		return false;

	d = (double) mantissa *
		VrFloatParsePowers[exponent - VR_FLOAT_PARSE_MIN_EXP];

	/* Normal float32 range, drawn in a little; also rejects what overflows. */
	if (VR_UNLIKELY(!(d > 1.2e-38 && d < 3.4e38)))
		return false;

	/*
	 * A double has 29 bits more than a float. The boundaries between two
	 * floats are the doubles whose last 29 bits are a one and 28 zeros; if no
	 * boundary is within the error of d, d and the true value round alike.
	 */
	memcpy(&bits, &d, sizeof(bits));
	if (VR_UNLIKELY((uint32) (bits & 0x1FFFFFFF) -
						(0x10000000 - VR_FLOAT_PARSE_MARGIN) <=
					2 * VR_FLOAT_PARSE_MARGIN))
		return false;

	*value = (float) (negative ? -d : d);
	return true;
}

#endif /* VR_FLOAT_PARSE_H */
