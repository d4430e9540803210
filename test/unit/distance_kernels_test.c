/*
 * distance_kernels_test.c
 *		Float kernels of every set: against sums in double within the bound of
 *		src/distance/README.md, at every length, at both edges of guarded
 *		memory; short sums to the bit; overflow, Inf and NaN; batches; choice.
 */
#include "c.h"

#include <math.h>

#include "distance_sets.h"

#define MAX_N 2049

/* Up to this length README.md promises results to the bit. */
#define SHORT 15

/* One of the sums that kernels return. */
typedef struct Sum
{
	const char *name;
	VrDistanceElem ea;
	VrDistanceElem eb;
	VrDistanceTerm term;
	/* calls the kernel; b is ignored where the sum is of a alone */
	float (*call)(const VrDistanceKernels *k, int n, const void *a,
				  const void *b);
} Sum;

#define CALL(kernel)                                                           \
	static float call_##kernel(const VrDistanceKernels *k, int n,              \
							   const void *a, const void *b)                   \
	{                                                                          \
		return k->kernel(n, a, b);                                             \
	}
CALL(l2sq_f32)
CALL(ip_f32)
CALL(l1_f32)
CALL(l2sq_f16)
CALL(ip_f16)
CALL(l1_f16)
CALL(l2sq_f32_f16)
CALL(ip_f32_f16)

/* The parts of the cosine; <a,a> and <b,b> are asked for with a as both. */
#define CALL_COSINE(kernel)                                                    \
	static float call_##kernel##_ip(const VrDistanceKernels *k, int n,         \
									const void *a, const void *b)              \
	{                                                                          \
		float parts[3];                                                        \
		k->kernel(n, a, b, &parts[0], &parts[1], &parts[2]);                   \
		return parts[0];                                                       \
	}                                                                          \
	static float call_##kernel##_aa(const VrDistanceKernels *k, int n,         \
									const void *a, const void *b)              \
	{                                                                          \
		float parts[3];                                                        \
		k->kernel(n, a, b, &parts[0], &parts[1], &parts[2]);                   \
		return parts[1];                                                       \
	}                                                                          \
	static float call_##kernel##_bb(const VrDistanceKernels *k, int n,         \
									const void *a, const void *b)              \
	{                                                                          \
		float parts[3];                                                        \
		k->kernel(n, b, a, &parts[0], &parts[1], &parts[2]);                   \
		return parts[2];                                                       \
	}
CALL_COSINE(cosine_f32)
CALL_COSINE(cosine_f16)

static const Sum sums[] = {
	{"l2sq_f32", VR_ELEM_F32, VR_ELEM_F32, VR_TERM_L2SQ, call_l2sq_f32},
	{"ip_f32", VR_ELEM_F32, VR_ELEM_F32, VR_TERM_IP, call_ip_f32},
	{"l1_f32", VR_ELEM_F32, VR_ELEM_F32, VR_TERM_L1, call_l1_f32},
	{"l2sq_f16", VR_ELEM_F16, VR_ELEM_F16, VR_TERM_L2SQ, call_l2sq_f16},
	{"ip_f16", VR_ELEM_F16, VR_ELEM_F16, VR_TERM_IP, call_ip_f16},
	{"l1_f16", VR_ELEM_F16, VR_ELEM_F16, VR_TERM_L1, call_l1_f16},
	{"l2sq_f32_f16", VR_ELEM_F32, VR_ELEM_F16, VR_TERM_L2SQ, call_l2sq_f32_f16},
	{"ip_f32_f16", VR_ELEM_F32, VR_ELEM_F16, VR_TERM_IP, call_ip_f32_f16},
	{"cosine_f32 ip", VR_ELEM_F32, VR_ELEM_F32, VR_TERM_IP, call_cosine_f32_ip},
	{"cosine_f16 ip", VR_ELEM_F16, VR_ELEM_F16, VR_TERM_IP, call_cosine_f16_ip},
};

/* Sums of squares of one operand: checked with a as both. */
static const Sum norms[] = {
	{"cosine_f32 aa", VR_ELEM_F32, VR_ELEM_F32, VR_TERM_IP, call_cosine_f32_aa},
	{"cosine_f32 bb", VR_ELEM_F32, VR_ELEM_F32, VR_TERM_IP, call_cosine_f32_bb},
	{"cosine_f16 aa", VR_ELEM_F16, VR_ELEM_F16, VR_TERM_IP, call_cosine_f16_aa},
	{"cosine_f16 bb", VR_ELEM_F16, VR_ELEM_F16, VR_TERM_IP, call_cosine_f16_bb},
};

/* What the inputs of a check look like. */
typedef enum Fill
{
	FILL_UNIFORM,    /* -1 to 1 */
	FILL_MAGNITUDES, /* 2^-40 to 2^40 (2^-24 to 2^6), both signs */
	FILL_TINY,       /* denormals, and products that are denormal */
	FILL_INTEGERS    /* -3 to 3: every partial sum is exact */
} Fill;

static const char *const fill_names[] = {"uniform", "magnitudes", "tiny",
										 "integers"};

/* Elements of either type at either end of guarded memory. */
typedef struct Operand
{
	char *start;
	char *end;
} Operand;

static Operand
operand_make(void)
{
	Operand o;

	o.start = unit_guarded(MAX_N * sizeof(float), &o.end);
	return o;
}

static size_t
elem_size(VrDistanceElem elem)
{
	return elem == VR_ELEM_F32 ? sizeof(float) : sizeof(vr_half);
}

static const void *
elem_at(VrDistanceElem elem, const void *p, int i)
{
	return (const char *) p + elem_size(elem) * i;
}

static float
elem_get(VrDistanceElem elem, const void *p, int i)
{
	if (elem == VR_ELEM_F32)
		return ((const float *) p)[i];
	return VrHalfToFloat(((const vr_half *) p)[i]);
}

static void
elem_set(VrDistanceElem elem, void *p, int i, float value)
{
	if (elem == VR_ELEM_F32)
		((float *) p)[i] = value;
	else
		((vr_half *) p)[i] = VrFloatToHalf(value);
}

static float
fill_value(Fill fill, VrDistanceElem elem)
{
	const double u = 2 * unit_uniform() - 1;

	switch (fill)
	{
		case FILL_UNIFORM:
			return (float) u;
		case FILL_MAGNITUDES:
			return (float) ldexp(u, elem == VR_ELEM_F32
										? (int) (unit_random() % 81) - 40
										: (int) (unit_random() % 31) - 24);
		case FILL_TINY:
			if (elem == VR_ELEM_F16)
				return (float) ldexp(u, -15 - (int) (unit_random() % 10));
			return (float) ldexp(u, unit_random() % 2 ? -70 : -130);
		case FILL_INTEGERS:
			return (float) ((int) (unit_random() % 7) - 3);
	}
	return 0;
}

/* Fills the whole of an operand, from the end that the elements stand at. */
static void *
operand_fill(Operand o, bool at_end, Fill fill, VrDistanceElem elem)
{
	const size_t size = elem_size(elem) * MAX_N;
	void *p = at_end ? o.end - size : o.start;
	int i;

	for (i = 0; i < MAX_N; i++)
		elem_set(elem, p, i, fill_value(fill, elem));
	return p;
}

static double
exact_term(VrDistanceTerm term, float a, float b)
{
	const double d = (double) a - (double) b;

	if (term == VR_TERM_IP)
		return (double) a * (double) b;
	return term == VR_TERM_L1 ? fabs(d) : d * d;
}

/* The bound of README.md for n terms of that sum of absolute values. */
static double
error_bound(int n, double magnitude)
{
	return (n / 16 + 24) * 0x1p-24 * 1.001 * magnitude + n * 0x1p-149;
}

/*
 * The first length at which the sum differs from the exact one by more than
 * the bound, or from the scalar set's by more than twice that; -1 if none.
 * With integers nothing may differ at all.
 */
static int
first_wrong(const Sum *sum, const VrDistanceKernels *k, Fill fill,
			const void *a, const void *b, bool at_end)
{
	double exact = 0;
	double magnitude = 0;
	int n;

	for (n = 1; n <= MAX_N; n++)
	{
		const int first = at_end ? MAX_N - n : 0;
		const int added = at_end ? first : n - 1;
		const void *x = elem_at(sum->ea, a, first);
		const void *y = elem_at(sum->eb, b, first);
		const double term = exact_term(sum->term, elem_get(sum->ea, a, added),
									   elem_get(sum->eb, b, added));
		const float got = sum->call(k, n, x, y);
		const float scalar = sum->call(&VrDistanceScalar, n, x, y);
		double bound;

		exact += term;
		magnitude += fabs(term);
		bound = fill == FILL_INTEGERS ? 0 : error_bound(n, magnitude);
		if (!(fabs(got - exact) <= bound) ||
			!(fabs((double) got - scalar) <= 2 * bound))
		{
			unit_note("n = %d: got %.9g, scalar %.9g, exact %.17g +- %.3g", n,
					  got, scalar, exact, bound);
			return n;
		}
	}
	return -1;
}

static void
check_accuracy(const DistanceSet *set, const Sum *sum, bool norm)
{
	Operand oa = operand_make();
	Operand ob = operand_make();
	Fill fill;

	for (fill = FILL_UNIFORM; fill <= FILL_INTEGERS; fill++)
	{
		bool good = true;
		int at_end;

		for (at_end = 0; at_end <= 1; at_end++)
		{
			const void *a = operand_fill(oa, at_end, fill, sum->ea);
			const void *b = norm ? a : operand_fill(ob, at_end, fill, sum->eb);

			good =
				first_wrong(sum, set->kernels, fill, a, b, at_end) < 0 && good;
		}
		unit_ok(good, "%s: %s, %s, lengths 1 to %d", set->name, sum->name,
				fill_names[fill], MAX_N);
	}
}

/*
 * The order that README.md promises for short sums, by element: which one of
 * eight running sums element i goes to, or -1 for those added at the end.
 */
static int
short_place(const Sum *sum, int n, int i)
{
	const bool f16 = sum->ea == VR_ELEM_F16 && sum->eb == VR_ELEM_F16;
	const int eights = n >= 8 ? 8 : 0;

	if (i < eights)
		return i;
	if (!f16 && n - eights >= 4 && i < eights + 4)
		return i - eights;
	return -1;
}

static float
short_sum(const Sum *sum, int n, const void *a, const void *b)
{
	float s[8] = {0};
	float total = 0;
	bool joined = false;
	int i;

	for (i = 0; i <= n; i++)
	{
		const int place = i < n ? short_place(sum, n, i) : -1;
		float x;
		float y;
		float *to;

		if (i == 8)
		{
			int l;

			for (l = 0; l < 4; l++)
				s[l] = s[l] + s[l + 4];
		}
		if (place < 0 && !joined)
		{
			total = (s[0] + s[2]) + (s[1] + s[3]);
			joined = true;
		}
		if (i == n)
			break;
		x = elem_get(sum->ea, a, i);
		y = elem_get(sum->eb, b, i);
		to = place < 0 ? &total : &s[place];
		if (sum->term == VR_TERM_IP)
			*to = fmaf(x, y, *to);
		else if (sum->term == VR_TERM_L1)
			*to += fabsf(x - y);
		else
			*to = fmaf(x - y, x - y, *to);
	}
	return total;
}

static void
check_short(const DistanceSet *set, const Sum *sum, bool norm)
{
	Operand oa = operand_make();
	Operand ob = operand_make();
	int wrong = 0;
	int round;
	int n;

	for (round = 0; round < 50; round++)
	{
		const Fill fill = round % 2 ? FILL_UNIFORM : FILL_MAGNITUDES;
		const void *a = operand_fill(oa, false, fill, sum->ea);
		const void *b = norm ? a : operand_fill(ob, false, fill, sum->eb);

		for (n = 0; n <= SHORT; n++)
			wrong +=
				sum->call(set->kernels, n, a, b) != short_sum(sum, n, a, b);
	}
	unit_ok(wrong == 0, "%s: %s, to the bit up to %d", set->name, sum->name,
			SHORT);
}

/* One odd element at every place, at lengths with every kind of rest. */
static void
check_special(const DistanceSet *set, const Sum *sum, bool norm)
{
	const int max = 140;
	const bool f16 = sum->ea == VR_ELEM_F16 || sum->eb == VR_ELEM_F16;
	Operand oa = operand_make();
	Operand ob = operand_make();
	int nan_wrong = 0;
	int inf_wrong = 0;
	int overflow_wrong = 0;
	int n;
	int i;

	for (n = 1; n <= max; n++)
	{
		char *a = oa.end - n * elem_size(sum->ea);
		char *b = ob.end - n * elem_size(sum->eb);

		for (i = 0; i < n; i++)
		{
			elem_set(sum->ea, a, i, 1.0f);
			elem_set(sum->eb, b, i, -1.0f);
		}
		for (i = 0; i < n; i++)
		{
			float got;

			elem_set(sum->ea, a, i, NAN);
			nan_wrong += !isnan(sum->call(set->kernels, n, a, norm ? a : b));
			elem_set(sum->ea, a, i, 1.0f);
			elem_set(sum->eb, b, i, NAN);
			nan_wrong += !norm && !isnan(sum->call(set->kernels, n, a, b));
			elem_set(sum->eb, b, i, -1.0f);

			elem_set(sum->ea, a, i, INFINITY);
			got = sum->call(set->kernels, n, a, norm ? a : b);
			inf_wrong +=
				!isinf(got) || (got < 0) != (sum->term == VR_TERM_IP && !norm);
			elem_set(sum->eb, b, i, INFINITY);
			got = sum->call(set->kernels, n, a, b);
			inf_wrong +=
				sum->term == VR_TERM_IP ? got != INFINITY : !isnan(got);
			elem_set(sum->ea, a, i, 1.0f);
			elem_set(sum->eb, b, i, -1.0f);

			/* no operand is infinite, one term is */
			if (!f16 && sum->term != VR_TERM_L1)
			{
				elem_set(sum->ea, a, i, 1e30f);
				elem_set(sum->eb, b, i, -1e30f);
				got = sum->call(set->kernels, n, a, norm ? a : b);
				overflow_wrong +=
					got !=
					(sum->term == VR_TERM_IP && !norm ? -INFINITY : INFINITY);
				elem_set(sum->ea, a, i, 1.0f);
				elem_set(sum->eb, b, i, -1.0f);
			}
		}
		/* no term is infinite, the sum is, from three elements on */
		if (!f16)
		{
			const float big = sum->term == VR_TERM_L1 ? 0.8e38f : 1.3e19f;

			for (i = 0; i < n; i++)
			{
				elem_set(sum->ea, a, i, big);
				elem_set(sum->eb, b, i,
						 sum->term == VR_TERM_IP ? big : -big / 8);
			}
			overflow_wrong +=
				!isinf(sum->call(set->kernels, n, a, norm ? a : b)) !=
				!isinf(sum->call(&VrDistanceScalar, n, a, norm ? a : b));
		}
	}
	unit_ok(nan_wrong == 0, "%s: %s, NaN anywhere gives NaN", set->name,
			sum->name);
	unit_ok(inf_wrong == 0, "%s: %s, Inf anywhere", set->name, sum->name);
	unit_ok(overflow_wrong == 0, "%s: %s, overflow to Inf", set->name,
			sum->name);
}

/* Batches of every small size equal single calls to the bit. */
static void
check_batch(const DistanceSet *set)
{
	static const int lengths[] = {1,  3,  8,  9,   15,  16,  17,   63,  64,
								  65, 96, 97, 128, 200, 768, 1536, 2049};
	enum
	{
		ROWS = 13
	};
	const VrDistanceKernels *k = set->kernels;
	float *q_end;
	float *q = unit_guarded(MAX_N * sizeof(float), &q_end);
	const float *rows[ROWS];
	float *row_ends[ROWS];
	float out[ROWS + 1];
	int l2sq_wrong = 0;
	int ip_wrong = 0;
	int pair_wrong = 0;
	int l;
	int r;
	int i;

	for (i = 0; i < q_end - q; i++)
		q[i] = fill_value(FILL_UNIFORM, VR_ELEM_F32);
	for (r = 0; r < ROWS; r++)
	{
		float *row = unit_guarded(MAX_N * sizeof(float), &row_ends[r]);

		for (i = 0; i < row_ends[r] - row; i++)
			row[i] = fill_value(FILL_UNIFORM, VR_ELEM_F32);
	}

	for (l = 0; l < lengthof(lengths); l++)
	{
		const int n = lengths[l];
		int count;

		for (r = 0; r < ROWS; r++)
			rows[r] = row_ends[r] - n;
		for (count = 0; count <= ROWS; count++)
		{
			for (r = 0; r <= ROWS; r++)
				out[r] = -7.0f;
			k->l2sq_f32_batch(n, q_end - n, rows, count, out);
			for (r = 0; r < count; r++)
				l2sq_wrong += out[r] != k->l2sq_f32(n, q_end - n, rows[r]);
			l2sq_wrong += out[count] != -7.0f;
			k->ip_f32_batch(n, q_end - n, rows, count, out);
			for (r = 0; r < count; r++)
				ip_wrong += out[r] != k->ip_f32(n, q_end - n, rows[r]);
			ip_wrong += out[count] != -7.0f;
		}
		for (r = 0; r < 4; r++)
		{
			const float *const *next = r % 2 == 0 ? rows + 1 : NULL;

			out[0] = out[1] = out[2] = -7.0f;
			(r < 2 ? k->l2sq_f32_pair : k->ip_f32_pair)(n, q_end - n, rows,
														next, out);
			for (i = 0; i < 2; i++)
				pair_wrong += out[i] != (r < 2 ? k->l2sq_f32 : k->ip_f32)(
											n, q_end - n, rows[i]);
			pair_wrong += out[2] != -7.0f;
		}
	}
	unit_ok(l2sq_wrong == 0, "%s: l2sq_f32_batch equals single calls",
			set->name);
	unit_ok(ip_wrong == 0, "%s: ip_f32_batch equals single calls", set->name);
	unit_ok(pair_wrong == 0, "%s: pairs equal single calls", set->name);
}

static void
check_choice(void)
{
	const VrDistanceKernels *const *available = VrDistanceAvailable();
	const VrDistanceKernels *forced;
	int count = 0;

	VrDistanceInit();
	unit_ok(VrDistance == available[0], "the best set is the default (%s)",
			VrDistance->name);
	for (; available[count] != NULL; count++)
		unit_ok(VrDistanceForce(available[count]->name) &&
					VrDistance == available[count],
				"%s can be forced", available[count]->name);
	unit_ok(available[count - 1] == &VrDistanceScalar,
			"scalar comes last, everywhere");

	forced = VrDistance;
	VrDistanceInit();
	unit_ok(VrDistance == forced, "initialising again keeps a forced set");
	unit_ok(!VrDistanceForce("sse9") && !VrDistanceForce("") &&
				!VrDistanceForce("AVX2") && VrDistance == forced,
			"an unknown set is refused and changes nothing");
	unit_ok(VrDistanceForce("auto") && VrDistance == available[0],
			"auto goes back to the best");
}

/* Values worked out by hand, as users meet them through SQL. */
static void
check_known(const DistanceSet *set)
{
	const float a[3] = {1, 2, 3};
	const float b[3] = {4, 6, 3};
	float ip;
	float aa;
	float bb;

	set->kernels->cosine_f32(3, a, b, &ip, &aa, &bb);
	unit_ok(set->kernels->l2sq_f32(3, a, b) == 25 &&
				set->kernels->ip_f32(3, a, b) == 25 &&
				set->kernels->l1_f32(3, a, b) == 7 && ip == 25 && aa == 14 &&
				bb == 61,
			"%s: [1,2,3] and [4,6,3]", set->name);
}

int
main(void)
{
	DistanceSet sets[5];
	const int count = distance_sets(sets);
	int s;
	int i;

	for (s = 0; s < count; s++)
	{
		check_known(&sets[s]);
		for (i = 0; i < lengthof(sums); i++)
		{
			check_accuracy(&sets[s], &sums[i], false);
			check_short(&sets[s], &sums[i], false);
			check_special(&sets[s], &sums[i], false);
		}
		for (i = 0; i < lengthof(norms); i++)
		{
			check_accuracy(&sets[s], &norms[i], true);
			check_short(&sets[s], &norms[i], true);
			check_special(&sets[s], &norms[i], true);
		}
		check_batch(&sets[s]);
	}
	check_choice();
	return unit_done();
}
