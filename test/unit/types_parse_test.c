/*
 * types_parse_test.c
 *		VrFloatParse against strtof: every bit of the value and the place where
 *		the number ends, on random numbers and on the worst ones there are. The
 *		text ends where memory ends, so that reading past it is a crash.
 *
 *		UNIT_SCALE multiplies the number of random texts.
 */
#include "c.h"

#include <float.h>
#include <math.h>

#include "types/float_parse.h"
#include "unit.h"

/* The server's own printf is in the server. */
#undef snprintf

#define MAX_TEXT 512

static char *text_end;
static char first_wrong[MAX_TEXT];
static uint64 tried;
static uint64 taken;
static uint64 wrong;

/* Compares the two on text, with a byte behind it that ends a number or not. */
static void
check(const char *text, char follow)
{
	size_t len = strlen(text);
	char *s = text_end - len - 2;
	const char *next;
	char *stop;
	float got;
	float expected;

	memcpy(s, text, len);
	s[len] = follow;
	s[len + 1] = '\0';

	tried++;
	if (!VrFloatParse(s, text_end - 1, &next, &got))
		return;
	taken++;
	expected = strtof(s, &stop);
	if (next == stop && memcmp(&got, &expected, sizeof(got)) == 0)
		return;

	/* Hexadecimal, and an exponent that is none, are for the caller to see. */
	if (next != stop && strchr(",]} ", *next) == NULL)
		return;
	if (wrong++ == 0)
		snprintf(first_wrong, sizeof(first_wrong), "%s: %a, strtof %a", s, got,
				 expected);
}

/* Reports on what was checked since the last report. */
static void
report(const char *what, double least_taken)
{
	if (!unit_ok(wrong == 0, "%s: " UINT64_FORMAT " as strtof", what, tried))
		unit_note(UINT64_FORMAT " wrong, first %s", wrong, first_wrong);
	unit_ok(taken >= least_taken * tried, "%s: %.4f %% without strtof", what,
			100.0 * taken / tried);
	tried = taken = wrong = 0;
}

static float
float_of(uint32 bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* A float32 of any size, or one as embeddings have them. */
static float
random_float(bool small)
{
	float f;

	if (small)
		return (float) ((unit_uniform() - 0.5) * pow(10, -4 * unit_uniform()));
	do
		f = float_of((uint32) unit_random());
	while (!isfinite(f));
	return f;
}

static void
check_formats(int count, bool small)
{
	char text[MAX_TEXT];

	for (int i = 0; i < count; i++)
	{
		float f = random_float(small);
		double d = f + f * (unit_uniform() - 0.5) * 1e-7;

		snprintf(text, sizeof(text), "%.9g", f);
		check(text, ',');
		snprintf(text, sizeof(text), "%.6g", f);
		check(text, ']');
		snprintf(text, sizeof(text), "%.17g", d);
		check(text, ',');
		if (small)
		{
			snprintf(text, sizeof(text), "%.*f", (int) (unit_random() % 19), d);
			check(text, ' ');
		}
	}
}

/* Digits at random: leading zeros, points and exponents anywhere. */
static void
check_digits(int count)
{
	static const char signs[] = {'-', '+', '0', '1'};
	char text[MAX_TEXT];

	for (int i = 0; i < count; i++)
	{
		uint64 r = unit_random();
		int digits = (int) (r % 23);
		int point = (int) ((r >> 8) % 26);
		char *p = text;

		*p++ = signs[(r >> 16) % 4];
		for (int j = 0; j < digits; j++)
		{
			if (j == point)
				*p++ = '.';
			*p++ = (r >> 24) % 3 == 0 && j < 6 ? '0' : '0' + unit_random() % 10;
		}
		if ((r >> 32) % 3 == 0)
			p += snprintf(p, 16, "%c%d", (r >> 40) % 2 ? 'e' : 'E',
						  (int) ((r >> 44) % 100) - 60);
		*p = '\0';
		check(text, (r >> 50) % 2 ? ',' : '}');
	}
}

/*
 * The middle between two neighbours, written out, cut to 15 to 19 digits, and
 * the two decimals next to each cut: where rounding twice goes wrong.
 */
static void
check_middles(int count)
{
	char text[MAX_TEXT];

	for (int i = 0; i < count; i++)
	{
		/* Exponent from 1 to 253: a normal number, with one above it. */
		uint32 bits = (uint32) (((unit_random() % 253) + 1) << 23 |
								(unit_random() & 0x7FFFFF));
		double middle;

		if (i % 2 == 0)
			bits = (bits & 0x7FFFFF) | (uint32) (100 + i % 40) << 23;
		middle = ((double) float_of(bits) + (double) float_of(bits + 1)) / 2;
		for (int digits = 15; digits <= 19; digits++)
		{
			char *last;

			snprintf(text, sizeof(text), "%.*e", digits - 1, middle);
			check(text, ',');
			last = strchr(text, 'e') - 1;
			if (*last < '9')
			{
				++*last;
				check(text, ',');
				--*last;
			}
			if (*last > '0')
			{
				--*last;
				check(text, ',');
			}
		}
		snprintf(text, sizeof(text), "%.120g", middle);
		check(text, ',');
		snprintf(text, sizeof(text), "%.17g",
				 nextafter(middle, i % 4 < 2 ? 0 : INFINITY));
		check(text, ',');
	}
}

/* Texts by hand: the ends of ranges, and what is no decimal number at all. */
static void
check_by_hand(void)
{
	static const char *const texts[] = {
		"0",
		"-0",
		"+0",
		"0.0",
		"-0.000000000000000000000000000",
		"0e999",
		"0e99999",
		"-0e-999",
		"00000000000000000000000000000000000001",
		"1",
		"-1",
		"+1",
		"1.",
		".5",
		"-.5",
		".",
		"-",
		"+",
		"",
		"e5",
		".e5",
		"1e",
		"1e+",
		"1e-",
		"1e5",
		"1E5",
		"1e+5",
		"1e-5",
		"1e00005",
		"1e000005",
		"1e38",
		"1e39",
		"3.4028234e38",
		"3.4028235e38",
		"3.40282356779733661637539395458142568447e38",
		"3.40282356779733661637539395458142568448e38",
		"3.4028236e38",
		"1.17549435e-38",
		"1.17549428e-38",
		"1.1754942e-38",
		"1e-45",
		"7.0064923216240853546186479164495806564013097093825788587853e-46",
		"7.0064923216240853546186479164495806564013097093825788587854e-46",
		"1e-46",
		"1e-99",
		"16777216",
		"16777217",
		"16777218",
		"16777219",
		"33554434",
		"9007199254740993",
		"18446744073709551615",
		"18446744073709551616",
		"9999999999999999999",
		"99999999999999999999",
		"0.1",
		"0.3",
		"0.10000000149011612",
		"0.12345678",
		"0.123456789",
		"0.1234567812345678",
		"0.12345678123456781",
		"12345678.12345678",
		"0.00012345678901234567",
		"0.000000000000000000012345678901234567",
		"0x10",
		"0x1p3",
		"0X.8",
		"0x",
		"inf",
		"-inf",
		"infinity",
		"nan",
		"nan(1)",
		"NaN",
		"1_000",
		"1,5",
		"1..5",
		"1.5.5",
		"--1",
		"+-1",
		"1-",
		"1e5.5",
		"\3771",
		"1\377",
		"/",
		":",
		"1/",
		"1:",
		"0.1234567:",
		"0.1234/67",
		"0.1234567\377",
	};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		check(texts[i], ',');
		check(texts[i], ']');
		check(texts[i], ' ');
		check(texts[i], 'x');
		check(texts[i], '\0');
	}
}

/* Each of the powers in the table is the double nearest to it. */
static void
check_powers(void)
{
	bool same = true;

	for (int e = VR_FLOAT_PARSE_MIN_EXP; e <= VR_FLOAT_PARSE_MAX_EXP; e++)
	{
		char text[16];

		snprintf(text, sizeof(text), "1e%d", e);
		same &= (strtod(text, NULL) ==
				 VrFloatParsePowers[e - VR_FLOAT_PARSE_MIN_EXP]);
	}
	unit_ok(same, "powers of ten");
}

int
main(void)
{
	const char *scale_text = getenv("UNIT_SCALE");
	const int scale = scale_text ? Max(atoi(scale_text), 1) : 1;
	void *end;

	unit_guarded(MAX_TEXT, &end);
	text_end = end;

	check_powers();
	check_by_hand();
	report("by hand", 0);
	for (int i = 0; i < scale; i++)
		check_formats(200000, true);
	report("numbers as in embeddings", 0.9999);
	for (int i = 0; i < scale; i++)
		check_formats(100000, false);
	report("numbers of any size", 0.9);
	for (int i = 0; i < scale; i++)
		check_digits(300000);
	report("digits", 0);
	for (int i = 0; i < scale; i++)
		check_middles(30000);
	report("around the middle of two floats", 0);
	return unit_done();
}
