/*
 * blas_module.c
 *		vecrecall_blas.so: OpenBLAS behind a table of functions. The only file
 *		that is compiled against it. Knows no server: nothing here, and no
 *		thread of OpenBLAS, may call palloc or ereport.
 */
#include "c.h"

#include <cblas.h>

#include "blas/blas.h"

static void
BlasProducts(int na, int nb, int dim, const float *a, int lda, const float *b,
			 int ldb, float *out, int ldo)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, na, nb, dim, 1.0f, a,
				lda, b, ldb, 0.0f, out, ldo);
}

static void
BlasSetThreads(int n)
{
	openblas_set_num_threads(n);
}

static int
BlasGetThreads(void)
{
	return openblas_get_num_threads();
}

static const char *
BlasDescribe(void)
{
	return openblas_get_config();
}

static const char *
BlasCore(void)
{
	return openblas_get_corename();
}

static const VrBlas blas_table = {
	.abi = VR_BLAS_ABI,
	.floats = sizeof(float),
	.products = BlasProducts,
	.set_threads = BlasSetThreads,
	.get_threads = BlasGetThreads,
	.describe = BlasDescribe,
	.core = BlasCore,
};

const VrBlas *
vr_blas_table(void)
{
	return &blas_table;
}
