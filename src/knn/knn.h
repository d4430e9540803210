/*
 * knn.h
 *		What other folders may call of the batch code: initialisation, the BLAS
 *		of this session, and products of many vectors with many.
 *
 * Include after "postgres.h".
 */
#ifndef VR_KNN_H
#define VR_KNN_H

/* Defines the settings. For _PG_init. */
extern void VrKnnInit(void);

/*
 * Describes the BLAS this session has loaded and the threads it uses, without
 * loading one. False, setting nothing, if there is none.
 */
extern bool VrKnnBlasState(const char **name, int *threads);

/*
 * Number of queries from which BLAS is faster than our kernels: measured with
 * 100,000 rows of 128 dimensions, see README. Below it, none is loaded.
 */
#define VR_KNN_FEW_QUERIES 6

/*
 * out[i * ldo + j] = <a_i, b_j>, row-major. Loads BLAS at the first call; where
 * vecrecall.blas_threads is 0 or the module is not installed, our own kernels
 * do it. Checks for interrupts before, not during: callers cut their work into
 * calls of some milliseconds.
 */
extern void VrKnnProducts(int na, int nb, int dim, const float *a, int lda,
						  const float *b, int ldb, float *out, int ldo);

#endif /* VR_KNN_H */
