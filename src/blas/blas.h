/*
 * blas.h
 *		What vecrecall_blas.so, the module that is linked with OpenBLAS, gives
 *		to the library that loads it.
 *
 * Include after "c.h" or "postgres.h". The module knows no server: it is not
 * loaded by the server's loader (which would load it into every parallel
 * worker besides), but by src/knn/knn_blas.c, and has no magic block. The
 * version below takes its place.
 */
#ifndef VR_BLAS_H
#define VR_BLAS_H

#define VR_BLAS_ABI 2
#define VR_BLAS_SYMBOL "vr_blas_table"

typedef struct VrBlas
{
	int abi;    /* VR_BLAS_ABI; first, whatever follows */
	int floats; /* sizeof(float) of the build, to catch a strange one */

	/*
	 * out[i * ldo + j] = <a_i, b_j>, for na vectors a_i = a + i * lda and nb
	 * vectors b_j = b + j * ldb of dim elements. All row-major, no aliasing.
	 * May use the threads that set_threads allowed.
	 */
	void (*products)(int na, int nb, int dim, const float *a, int lda,
					 const float *b, int ldb, float *out, int ldo);

	/* May start threads: the caller blocks its signals around it. */
	void (*set_threads)(int n);
	int (*get_threads)(void);
	const char *(*describe)(void);
	const char *(*core)(void); /* the CPU whose kernels it uses */
} VrBlas;

/* The type of the module's only symbol. */
typedef const VrBlas *(*VrBlasTable)(void);

/* From 16 on modules are compiled with all symbols hidden but those marked. */
extern PGDLLEXPORT const VrBlas *vr_blas_table(void);

#endif /* VR_BLAS_H */
