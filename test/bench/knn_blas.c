/*
 * knn_blas.c
 *		What a batch search is measured by, which knn.sh runs: GFLOP/s of
 *		products, of its tiles and of the square matrices that OpenBLAS is best
 *		at; and how long one core takes to read vectors at all.
 */
#include "c.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "blas/blas.h"
#include "distance/distance.h"

#undef printf
#undef fprintf

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Best of many: others use the machine too. */
static double
gflops(const VrBlas *blas, int na, int nb, int dim, int runs)
{
	float *a = calloc((size_t) na * dim, sizeof(float));
	float *b = calloc((size_t) nb * dim, sizeof(float));
	float *c = calloc((size_t) na * nb, sizeof(float));
	double best = 1e9;
	int i;

	for (i = 0; i < na * dim; i++)
		a[i] = (float) (i % 13);
	for (i = 0; i < nb * dim; i++)
		b[i] = (float) (i % 11);
	for (i = 0; i < runs; i++)
	{
		double t = now();

		blas->products(na, nb, dim, a, dim, b, dim, c, nb);
		t = now() - t;
		if (t < best)
			best = t;
	}
	free(a);
	free(b);
	free(c);
	return 2.0 * na * nb * dim / best / 1e9;
}

/*
 * Milliseconds to read so many floats, each once, by the kernel that does least
 * with them. The best of many, when a last level of the cache may have all; or,
 * if cold, after each time as much was written as no cache has.
 */
static double
read_time(int n, bool cold)
{
	const size_t others_bytes = (size_t) 512 << 20;
	float *x = calloc(n, sizeof(float));
	char *others = malloc(others_bytes);
	volatile float result;
	double best = 1e9;
	int i;

	for (i = 0; i < n; i++)
		x[i] = (float) (i % 13);
	for (i = 0; i < 11; i++)
	{
		double t;

		if (cold)
			memset(others, i, others_bytes);
		t = now();
		result = VrDistance->ip_f32(n, x, x);
		t = now() - t;
		(void) result;
		if (t < best)
			best = t;
	}
	free(x);
	free(others);
	return best * 1000;
}

int
main(int argc, char **argv)
{
	void *module = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	VrBlasTable table =
		module != NULL ? (VrBlasTable) dlsym(module, VR_BLAS_SYMBOL) : NULL;
	double peak;
	int dim;

	if (table == NULL)
	{
		fprintf(stderr, "no vecrecall_blas.so: %s\n", dlerror());
		return 1;
	}
	peak = gflops(table(), 1024, 1024, 1024, 30);
	printf("%s\n1024 x 1024 x 1024: %.1f GFLOP/s\n", table()->describe(), peak);
	for (dim = 128; dim <= 1536; dim *= dim == 128 ? 3 : 4)
	{
		double tile = gflops(table(), 256, 1024, dim, 100);

		printf("256 queries x 1024 rows x %d: %.1f GFLOP/s, %.0f %%\n", dim,
			   tile, 100 * tile / peak);
	}
	VrDistanceInit();
	printf(
		"10,000 x 1536 floats read by one core: %.1f ms, from memory that no "
		"cache has %.1f ms\n",
		read_time(10000 * 1536, false), read_time(10000 * 1536, true));
	return 0;
}
