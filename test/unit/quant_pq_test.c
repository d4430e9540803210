/*
 * quant_pq_test.c
 *		k-means and product quantisation: what was put in comes out, the seed
 *		decides, nothing is written past its end, at every size of code.
 */
#include "c.h"

#include <math.h>
#include <stdlib.h>

#include "distance/distance.h"
#include "quant/quant.h"
#include "unit.h"

static float *
random_rows(int rows, int dim)
{
	float *x = malloc(sizeof(float) * rows * dim);
	int i;

	for (i = 0; i < rows * dim; i++)
		x[i] = (float) (unit_uniform() * 2 - 1);
	return x;
}

/* Runs k-means with every buffer of exactly the size that is promised. */
static double
run(const float *x, int rows, int stride, int dim, int k, uint64 seed,
	float *centroids)
{
	VrKmeans km = {0};

	km.rows = rows;
	km.dim = dim;
	km.stride = stride;
	km.k = k;
	km.iterations = 20;
	km.seed = seed;
	km.x = x;
	km.centroids = centroids;
	km.assigned = malloc(sizeof(int32) * rows);
	km.distance = malloc(sizeof(float) * rows);
	km.sizes = malloc(sizeof(int64) * k);
	km.work = malloc(VrKmeansWorkSize(dim, k));
	{
		double mse = VrKmeansRun(&km);
		int64 sum = 0;
		bool nearest = true;
		int i;
		int c;

		for (c = 0; c < k; c++)
			sum += km.sizes[c];
		for (i = 0; i < rows; i++)
			for (c = 0; c < k; c++)
			{
				float d = VrDistance->l2sq_f32(dim, x + (size_t) i * stride,
											   centroids + (size_t) c * dim);

				if (d < km.distance[i] * (1 - 1e-4f) - 1e-5f)
					nearest = false;
			}
		unit_ok(sum == rows && nearest,
				"%d rows of %d, k %d: each with its nearest centre", rows, dim,
				k);
		free(km.assigned);
		free(km.distance);
		free(km.sizes);
		free(km.work);
		return mse;
	}
}

static void
test_kmeans(void)
{
	float *x = random_rows(1000, 12);
	float *a = malloc(sizeof(float) * 64 * 12);
	float *b = malloc(sizeof(float) * 64 * 12);
	double few = run(x, 1000, 12, 12, 4, 1, a);
	double many = run(x, 1000, 12, 12, 64, 1, a);

	unit_ok(many < few, "more centres, less error");
	unit_ok(run(x, 1000, 12, 12, 64, 1, b) == many &&
				memcmp(a, b, sizeof(float) * 64 * 12) == 0,
			"the same seed, the same centres");
	run(x, 1000, 12, 12, 64, 2, b);
	unit_ok(memcmp(a, b, sizeof(float) * 64 * 12) != 0,
			"another seed, other centres");
	unit_ok(run(x, 40, 12, 5, 40, 0, b) < 1e-12,
			"as many centres as rows: no error");
	memset(x, 0, sizeof(float) * 120);
	unit_ok(run(x, 10, 12, 12, 7, 0, b) == 0, "all rows the same");
	free(x);
	free(a);
	free(b);
}

static void
test_pq(int dim, int subspaces, int bits)
{
	int rows = 300;
	float *x = random_rows(rows, dim);
	float *book = malloc(sizeof(float) * ((size_t) dim << bits));
	float *decoded = malloc(sizeof(float) * dim);
	float *again = malloc(sizeof(float) * dim);
	float *tables = malloc(sizeof(float) * ((size_t) subspaces << bits));
	VrPq pq = {dim, subspaces, bits, book};
	uint8 *code = malloc(VrPqCodeBytes(&pq));
	bool idempotent = true;
	bool sums = true;
	int i;

	for (i = 0; i < dim << bits; i++)
		book[i] = (float) (unit_uniform() * 2 - 1);
	for (i = 0; i < rows; i++)
	{
		float l2;
		float ip;

		VrPqEncode(&pq, x + (size_t) i * dim, code);
		VrPqDecode(&pq, code, decoded);
		VrPqTables(&pq, false, x, tables);
		l2 = VrPqSum(&pq, tables, code);
		VrPqTables(&pq, true, x, tables);
		ip = VrPqSum(&pq, tables, code);
		if (fabsf(l2 - VrDistance->l2sq_f32(dim, x, decoded)) >
				1e-4f * (1 + l2) ||
			fabsf(ip - VrDistance->ip_f32(dim, x, decoded)) > 1e-4f * dim)
			sums = false;
		VrPqEncode(&pq, decoded, code);
		VrPqDecode(&pq, code, again);
		if (VrDistance->l2sq_f32(dim, decoded, again) > 1e-12f)
			idempotent = false;
	}
	unit_ok(idempotent && sums,
			"%d dimensions in %d subspaces of %d bits: codes and sums agree",
			dim, subspaces, bits);
	unit_ok(VrPqStart(&pq, 0) == 0 && VrPqStart(&pq, subspaces) == dim,
			"and the subspaces cover all");
	free(x);
	free(book);
	free(decoded);
	free(again);
	free(tables);
	free(code);
}

int
main(void)
{
	int bits;

	VrDistanceInit();
	test_kmeans();
	for (bits = 1; bits <= VR_PQ_MAX_BITS; bits++)
	{
		test_pq(1, 1, bits);
		test_pq(13, 5, bits);
		test_pq(16, 16, bits);
		test_pq(33, 32, bits);
	}
	return unit_done();
}
