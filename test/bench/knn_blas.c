/*
 * knn_blas.c
 *		GFLOP/s of products: of the tiles of a batch search, and of the square
 *		matrices that OpenBLAS is best at. knn.sh runs it.
 */
#include "c.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "blas/blas.h"

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
	return 0;
}
