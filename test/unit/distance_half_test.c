/*
 * distance_half_test.c
 *		float16 conversion: single values and the kernels of every set.
 */
#include "c.h"

#include <math.h>

#include "distance_sets.h"

#define HALVES 65536

/* By the definition of binary16. */
static double
half_value(vr_half h)
{
	const int exponent = (h >> 10) & 0x1f;
	const int mantissa = h & 0x3ff;
	double value;

	if (exponent == 31)
		value = mantissa == 0 ? INFINITY : NAN;
	else if (exponent == 0)
		value = ldexp(mantissa, -24);
	else
		value = ldexp(1024 + mantissa, exponent - 25);
	return h & 0x8000 ? -value : value;
}

static bool
is_half_nan(vr_half h)
{
	return (h & 0x7fff) > 0x7c00;
}

/*
 * Bits of the nearest half, the even one of two equally near; past the middle
 * between the largest and 65536 it is Inf. Bisects the values, not the bits
 * of f, so shares nothing with what it tests.
 */
static vr_half
nearest_half(float f)
{
	const double x = fabs((double) f);
	vr_half low = 0;
	vr_half high = 0x7c00;
	double below;
	double above;

	if (isnan(f))
		return 0x7e00;
	while (high - low > 1)
	{
		const vr_half middle = (low + high) / 2;

		if (half_value(middle) <= x)
			low = middle;
		else
			high = middle;
	}
	below = x - half_value(low);
	above = (high == 0x7c00 ? 65536.0 : half_value(high)) - x;
	if (isinf(f) || above < below || (above == below && (low & 1) != 0))
		low = high;
	return low | (signbit(f) ? 0x8000 : 0);
}

static void
check_widening(const DistanceSet *sets, int count)
{
	vr_half *halves = unit_guarded(HALVES * sizeof(vr_half), NULL);
	float *expected = unit_guarded(HALVES * sizeof(float), NULL);
	float *got = unit_guarded(HALVES * sizeof(float), NULL);
	int wrong = 0;
	int i;
	int s;

	for (i = 0; i < HALVES; i++)
	{
		const double value = half_value((vr_half) i);

		halves[i] = (vr_half) i;
		expected[i] = VrHalfToFloat((vr_half) i);
		if (isnan(value) ? !isnan(expected[i])
						 : expected[i] != (float) value ||
							   !signbit(expected[i]) != !signbit(value))
			wrong++;
	}
	unit_ok(wrong == 0, "all 65536 values to float32");

	for (s = 0; s < count; s++)
	{
		memset(got, 0x55, HALVES * sizeof(float));
		sets[s].kernels->f16_to_f32(HALVES, halves, got);
		unit_ok(memcmp(got, expected, HALVES * sizeof(float)) == 0,
				"%s: f16_to_f32 of all values, to the bit", sets[s].name);
	}
}

/* Inputs at which rounding could go wrong: six around every middle. */
static int
rounding_inputs(float *f)
{
	static const float more[] = {0x1p-149f, 0x1p-126f,       0x1.fffffep-26f,
								 0x1p-25f,  0x1.000002p-25f, 65519.99609375f,
								 65520.0f,  65535.99609375f, 65536.0f,
								 131008.0f, 1e10f,           0x1.fffffep127f,
								 INFINITY};
	int n = 0;
	int h;
	int i;

	for (h = 0; h < 0x7c00; h++)
	{
		const double next = h == 0x7bff ? 65536.0 : half_value(h + 1);
		const float middle = (float) ((half_value(h) + next) / 2);
		float at[6];

		at[0] = (float) half_value(h);
		at[1] = nextafterf(at[0], INFINITY);
		at[2] = nextafterf(at[0], -1.0f);
		at[3] = middle;
		at[4] = nextafterf(middle, INFINITY);
		at[5] = nextafterf(middle, 0.0f);
		for (i = 0; i < 6; i++)
		{
			f[n++] = at[i];
			f[n++] = -at[i];
		}
	}
	for (i = 0; i < lengthof(more); i++)
	{
		f[n++] = more[i];
		f[n++] = -more[i];
	}
	return n;
}

static void
check_narrowing(const DistanceSet *sets, int count)
{
	const int max = 6 * 2 * 0x7c00 + 100;
	float *f = unit_guarded(max * sizeof(float), NULL);
	vr_half *expected = unit_guarded(max * sizeof(vr_half), NULL);
	vr_half *got = unit_guarded(max * sizeof(vr_half), NULL);
	const int n = rounding_inputs(f);
	int wrong = 0;
	int i;
	int s;

	for (i = 0; i < n; i++)
	{
		expected[i] = VrFloatToHalf(f[i]);
		if (expected[i] != nearest_half(f[i]))
		{
			if (wrong++ == 0)
				unit_note("%a gives %04x", f[i], expected[i]);
		}
	}
	unit_ok(wrong == 0, "float32 around every rounding boundary (%d)", n);
	unit_ok(is_half_nan(VrFloatToHalf(NAN)) &&
				is_half_nan(VrFloatToHalf(VrBitsFloat(0x7f800001))) &&
				is_half_nan(VrFloatToHalf(VrBitsFloat(0xff800001))),
			"NaN stays NaN, whatever its payload");

	for (s = 0; s < count; s++)
	{
		memset(got, 0x55, max * sizeof(vr_half));
		sets[s].kernels->f32_to_f16(n, f, got);
		unit_ok(memcmp(got, expected, n * sizeof(vr_half)) == 0,
				"%s: f32_to_f16 of the same", sets[s].name);
	}

	/* Any bits, NaN among them: hardware and scalar keep the same payload. */
	for (i = 0; i < n; i++)
	{
		f[i] = VrBitsFloat((uint32) unit_random());
		expected[i] = VrFloatToHalf(f[i]);
	}
	for (s = 0; s < count; s++)
	{
		sets[s].kernels->f32_to_f16(n, f, got);
		unit_ok(memcmp(got, expected, n * sizeof(vr_half)) == 0,
				"%s: f32_to_f16 of random bits", sets[s].name);
	}

	wrong = 0;
	for (i = 0; i < HALVES; i++)
		if (!is_half_nan((vr_half) i) &&
			VrFloatToHalf(VrHalfToFloat((vr_half) i)) != i)
			wrong++;
	unit_ok(wrong == 0, "every value survives float32 and back");
}

/* Every length, against the guard pages: nothing beyond is read or written. */
static void
check_lengths(const DistanceSet *sets, int count)
{
	const int max = 2049;
	float *float_end;
	vr_half *half_end;
	float *floats = unit_guarded(max * sizeof(float), &float_end);
	vr_half *halves = unit_guarded(max * sizeof(vr_half), &half_end);
	int s;
	int n;
	int i;

	for (s = 0; s < count; s++)
	{
		int wrong = 0;

		for (n = 0; n <= max; n++)
		{
			float *f = float_end - n;
			vr_half *h = half_end - n;

			for (i = 0; i < n; i++)
				f[i] = (float) (i % 2047) - 1000.0f;
			if (h > halves)
				h[-1] = 0x1234;
			sets[s].kernels->f32_to_f16(n, f, h);
			memset(f, 0x55, n * sizeof(float));
			if (f > floats)
				f[-1] = 77.0f;
			sets[s].kernels->f16_to_f32(n, h, f);
			for (i = 0; i < n; i++)
				wrong += f[i] != (float) (i % 2047) - 1000.0f;
			wrong += (h > halves && h[-1] != 0x1234) ||
					 (f > floats && f[-1] != 77.0f);
		}
		unit_ok(wrong == 0, "%s: conversions at every length to %d",
				sets[s].name, max);
	}
}

int
main(void)
{
	DistanceSet sets[5];
	const int count = distance_sets(sets);

	check_widening(sets, count);
	check_narrowing(sets, count);
	check_lengths(sets, count);
	return unit_done();
}
