/*
 * quant_rotate_test.c
 *		The rotation is orthogonal, spreads what was concentrated, and is the
 *		same on every machine.
 */
#include "c.h"

#include "quant_data.h"

static void
check_orthogonal(int dim)
{
	VrRotation rot;
	int n = VrPaddedDim(dim);
	void *mem = quant_alloc(VrRotationSize(dim));
	float *x = quant_alloc(dim * sizeof(float));
	float *y = quant_alloc(dim * sizeof(float));
	float *mean = quant_alloc(dim * sizeof(float));
	float *a = quant_alloc(n * sizeof(float));
	float *b = quant_alloc(n * sizeof(float));
	double before, after, norm;

	VrRotationInit(&rot, dim, 42 + dim, 4.0f, mem);
	quant_normals(dim, x, 1.0f);
	quant_normals(dim, y, 1.0f);
	quant_normals(dim, mean, 3.0f);
	VrRotate(&rot, NULL, x, a);
	VrRotate(&rot, NULL, y, b);
	before = quant_dot(dim, x, y) * 16.0;
	after = quant_dot(n, a, b);
	norm = 16.0 * sqrt(quant_dot(dim, x, x) * quant_dot(dim, y, y));
	unit_ok(fabs(before - after) < 1e-6 * norm,
			"%d dimensions: inner product kept", dim);

	VrRotate(&rot, mean, x, a);
	VrRotate(&rot, mean, y, b);
	before = quant_l2sq(dim, x, y) * 16.0;
	after = quant_l2sq(n, a, b);
	unit_ok(fabs(before - after) <
				2e-6 * (quant_dot(n, a, a) + quant_dot(n, b, b)),
			"%d dimensions: distance of centred vectors kept", dim);
	VrRotate(&rot, x, x, a);
	unit_ok(quant_dot(n, a, a) == 0.0, "%d dimensions: the mean is the origin",
			dim);
	free(mem);
	free(x);
	free(y);
	free(mean);
	free(a);
	free(b);
}

/* A unit vector along an axis must come out like any other direction. */
static void
check_spread(int dim)
{
	VrRotation rot;
	int n = VrPaddedDim(dim);
	void *mem = quant_alloc(VrRotationSize(dim));
	float *x = quant_alloc(dim * sizeof(float));
	float *a = quant_alloc(n * sizeof(float));
	double worst_max = 0.0;
	double l1 = 0.0;
	int rounds = 50;

	for (int r = 0; r < rounds; r++)
	{
		int axis = (int) (unit_random() % dim);

		VrRotationInit(&rot, dim, unit_random(), 1.0f, mem);
		memset(x, 0, dim * sizeof(float));
		x[axis] = 1.0f;
		VrRotate(&rot, NULL, x, a);
		for (int j = 0; j < n; j++)
		{
			l1 += fabs(a[j]);
			if (fabs(a[j]) > worst_max)
				worst_max = fabs(a[j]);
		}
	}
	l1 /= rounds * sqrt(n);
	worst_max *= sqrt(n);
	unit_ok(fabs(l1 - 0.798) < 0.03 && worst_max < 6.5,
			"%d dimensions: an axis is spread (mean |x| %.3f, largest %.1f)",
			dim, l1, worst_max);
	free(mem);
	free(x);
	free(a);
}

int
main(void)
{
	static const int dims[] = {1,    2,    3,    7,    31,    32,   33,
							   64,   96,   100,  127,  128,   129,  200,
							   256,  300,  384,  512,  768,   960,  999,
							   1024, 1536, 2000, 3072, 12000, 16000};
	static const uint8 first[8] = {0x3a, 0xd0, 0xfa, 0xc0,
								   0x0e, 0xd2, 0xac, 0xf2};
	VrRotation a, b;
	uint8 mem_a[1024], mem_b[1024];
	bool differ = false;

	VrDistanceInit();
	VrQuantInit();
	for (int i = 0; i < lengthof(dims); i++)
		check_orthogonal(dims[i]);
	for (int i = 0; i < lengthof(dims); i++)
		if (dims[i] >= 96)
			check_spread(dims[i]);

	unit_ok(VrPaddedDim(1) == 32 && VrPaddedDim(33) == 64 &&
				VrPaddedDim(127) == 128 && VrPaddedDim(129) == 144 &&
				VrPaddedDim(16000) == 16000,
			"padded dimensions");

	VrRotationInit(&a, 768, 1, 1.0f, mem_a);
	VrRotationInit(&b, 768, 1, 1.0f, mem_b);
	unit_ok(memcmp(mem_a, mem_b, VrRotationSize(768)) == 0 && a.block == 512,
			"a seed gives the same rotation");
	VrRotationInit(&b, 768, 2, 1.0f, mem_b);
	for (int i = 0; i < 32; i++)
		differ |= mem_a[i] != mem_b[i];
	unit_ok(differ, "another seed gives another");
	/* frozen: existing indexes depend on these bits */
	VrRotationInit(&a, 32, 20260101, 1.0f, mem_a);
	if (!unit_ok(memcmp(mem_a, first, 8) == 0, "the generator has not changed"))
		for (int i = 0; i < 8; i++)
			unit_note("0x%02x", mem_a[i]);

	unit_ok(VrRotationScale(0.0) == 1.0f && VrRotationScale(1.0) == 1.0f &&
				VrRotationScale(1e6) == 1.0f && VrRotationScale(NAN) == 1.0f &&
				VrRotationScale(INFINITY) == 1.0f,
			"ordinary data is not scaled");
	unit_ok(VrRotationScale(1e40) * 1e20f < 2.0f &&
				VrRotationScale(1e40) * 1e20f >= 0.5f &&
				VrRotationScale(1e-60) * 1e-30f < 2.0f &&
				VrRotationScale(1e-60) * 1e-30f >= 0.5f,
			"huge and tiny data is scaled to norm 1");
	return unit_done();
}
