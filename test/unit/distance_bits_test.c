/*
 * distance_bits_test.c
 *		Hamming and Jaccard kernels of every set against counting by hand, and
 *		batches against single calls.
 */
#include "c.h"

#include "distance_sets.h"

#define MAX_BYTES 2049

static int
bits_in(unsigned char byte)
{
	int count = 0;
	int bit;

	for (bit = 0; bit < 8; bit++)
		count += (byte >> bit) & 1;
	return count;
}

/* The first length, from 0, at which the set is wrong; -1 if none. */
static int
first_wrong(const VrDistanceKernels *k, const unsigned char *a,
			const unsigned char *b, bool from_end)
{
	uint64 differ = 0;
	uint64 both = 0;
	uint64 any = 0;
	int n;

	for (n = 0; n <= MAX_BYTES; n++)
	{
		const unsigned char *x = from_end ? a - n : a;
		const unsigned char *y = from_end ? b - n : b;
		uint64 got_both;
		uint64 got_any;

		if (n > 0)
		{
			const unsigned char p = from_end ? x[0] : x[n - 1];
			const unsigned char q = from_end ? y[0] : y[n - 1];

			differ += bits_in(p ^ q);
			both += bits_in(p & q);
			any += bits_in(p | q);
		}
		k->jaccard(n, x, y, &got_both, &got_any);
		if (k->hamming(n, x, y) != differ || got_both != both || got_any != any)
			return n;
	}
	return -1;
}

static void
check_set(const DistanceSet *set, const char *what, const unsigned char *a,
		  const unsigned char *a_end, const unsigned char *b,
		  const unsigned char *b_end)
{
	int wrong = first_wrong(set->kernels, a, b, false);

	if (!unit_ok(wrong < 0, "%s: bits, %s, from the start", set->name, what))
		unit_note("wrong at %d bytes", wrong);
	wrong = first_wrong(set->kernels, a_end, b_end, true);
	if (!unit_ok(wrong < 0, "%s: bits, %s, up to the end", set->name, what))
		unit_note("wrong at %d bytes", wrong);
}

#define BATCH_BYTES 4200
#define BATCH_ROWS 21

/* The first length at which a batch of some size is wrong; -1 if none. */
static int
first_wrong_batch(const VrDistanceKernels *k, bool from_end,
				  const unsigned char *q, const unsigned char *rows)
{
	int n;

	/* All short lengths, then those about the ends of registers. */
	for (n = 0; n <= BATCH_BYTES; n += n < 300 || (n + 1) % 32 < 3 ? 1 : 7)
	{
		const unsigned char *x = from_end ? q - n : q;
		int count;

		for (count = 0; count <= BATCH_ROWS; count++)
		{
			const unsigned char *y = from_end ? rows - count * n : rows;
			uint64 out[BATCH_ROWS + 1];
			int r;

			for (r = 0; r <= BATCH_ROWS; r++)
				out[r] = 12345678;
			k->hamming_batch(n, x, y, count, out);
			for (r = 0; r < count; r++)
				if (out[r] != k->hamming(n, x, y + r * n))
					return n;
			if (out[count] != 12345678)
				return n;
		}
	}
	return -1;
}

static void
check_batch(const DistanceSet *set, const char *what, const unsigned char *q,
			const unsigned char *q_end, const unsigned char *rows,
			const unsigned char *rows_end)
{
	int wrong = first_wrong_batch(set->kernels, false, q, rows);

	if (wrong < 0)
		wrong = first_wrong_batch(set->kernels, true, q_end, rows_end);
	if (!unit_ok(wrong < 0, "%s: batches of bits, %s", set->name, what))
		unit_note("wrong at %d bytes", wrong);
}

static void
check_batches(const DistanceSet *sets, int count)
{
	unsigned char *q_end;
	unsigned char *rows_end;
	unsigned char *q = unit_guarded(BATCH_BYTES, &q_end);
	unsigned char *rows = unit_guarded(BATCH_BYTES * BATCH_ROWS, &rows_end);
	unsigned char *p;
	int s;

	for (p = q; p < q_end; p++)
		*p = (unsigned char) unit_random();
	for (p = rows; p < rows_end; p++)
		*p = (unsigned char) unit_random();
	for (s = 0; s < count; s++)
		check_batch(&sets[s], "random", q, q_end, rows, rows_end);

	memset(q, 0xff, q_end - q);
	memset(rows, 0, rows_end - rows);
	for (s = 0; s < count; s++)
		check_batch(&sets[s], "all against none", q, q_end, rows, rows_end);
}

int
main(void)
{
	unsigned char *a_end;
	unsigned char *b_end;
	unsigned char *a = unit_guarded(MAX_BYTES, &a_end);
	unsigned char *b = unit_guarded(MAX_BYTES, &b_end);
	DistanceSet sets[5];
	const int count = distance_sets(sets);
	unsigned char *p;
	int s;

	for (s = 0; s < count; s++)
	{
		for (p = a; p < a_end; p++)
			*p = (unsigned char) unit_random();
		for (p = b; p < b_end; p++)
			*p = (unsigned char) unit_random();
		check_set(&sets[s], "random", a, a_end, b, b_end);

		memset(a, 0xff, a_end - a);
		memset(b, 0, b_end - b);
		check_set(&sets[s], "all against none", a, a_end, b, b_end);

		memset(b, 0xff, b_end - b);
		check_set(&sets[s], "all against all", a, a_end, b, b_end);
	}

	check_batches(sets, count);

	/* Sums beyond 16 and 8 bits in any lane: a million bytes of ones. */
	{
		const int large = 1000000;
		unsigned char *ones = unit_guarded(large, NULL);
		unsigned char *zeros = unit_guarded(large, NULL);

		memset(ones, 0xff, large);
		for (s = 0; s < count; s++)
		{
			uint64 both;
			uint64 any;

			sets[s].kernels->jaccard(large, ones, ones, &both, &any);
			unit_ok(sets[s].kernels->hamming(large, ones, zeros) ==
							8 * (uint64) large &&
						both == 8 * (uint64) large && any == 8 * (uint64) large,
					"%s: a million bytes of ones", sets[s].name);
		}
	}
	return unit_done();
}
