/*
 * knn_coarse.h
 *		Which rows of a tile cannot be near to which queries, by products of
 *		bfloat16 on CPUs with matrix tiles (Intel's AMX): ten times as many a
 *		second as sgemm does of float32.
 *
 * Only refuses, as products in float32 do (knn_search.c), with the error that
 * the rounding of these very queries and rows makes added to the margin.
 *
 * Include after "postgres.h".
 */
#ifndef VR_KNN_COARSE_H
#define VR_KNN_COARSE_H

#include "base/vr_defs.h"

/* Rows and queries are taken in blocks of as many, a bit of a mask for each. */
#define VR_KNN_COARSE_BLOCK 32

/* Elements of a step, to which rows are padded with zeros. */
#define VR_KNN_COARSE_STEP 32

/*
 * One instruction set's version. Pointers are aligned to 64 bytes; `steps` is
 * the padded number of dimensions divided by VR_KNN_COARSE_STEP.
 */
typedef struct VrKnnCoarseKernels
{
	const char *name;

	/*
	 * Rounds dim floats to bfloat16 and pads them. Returns the sum of the
	 * squares of what rounding changed, off by less than 1e-4 of itself.
	 */
	float (*round)(int dim, const float *x, uint16 *rounded);

	/* A block of rounded queries, in the order that `block` reads them. */
	void (*pack)(int steps, const uint16 *rounded, uint16 *packed);

	/* Around calls of `block`: what holds the matrices, and gives it back. */
	void (*begin)(void);
	void (*end)(void);

	/*
	 * For a block of rows and `blocks` blocks of packed queries: bit q of
	 * near[block * VR_KNN_COARSE_BLOCK + r] is set unless
	 *
	 *   product(r, q) + slope[q] * weight[r] + slack[q] * norm[r] < limit[q]
	 *
	 * which is never so with a NaN.
	 */
	void (*block)(int steps, const uint16 *rows, const float *weight,
				  const float *norm, int blocks, const uint16 *queries,
				  const float *slope, const float *slack, const float *limit,
				  uint32 *near);

	/*
	 * The queries whose bit of a row is set, of as many blocks: `near` points
	 * to the row's first mask. Returns their number; writes up to a block more.
	 */
	int (*list)(int blocks, const uint32 *near, uint16 *queries);
} VrKnnCoarseKernels;

/* Blocks whose queries have numbers of 16 bits. */
#define VR_KNN_COARSE_LIST (32768 / VR_KNN_COARSE_BLOCK)

/* The one to use, or NULL: for this CPU, and unless the setting is off. */
extern const VrKnnCoarseKernels *VrKnnCoarse(void);
/* Defines the setting. For VrKnnInit. */
extern void VrKnnCoarseInit(void);

/* ------------------------------------------------- a search's (knn_coarse.c) */

typedef struct VrKnnCoarseTile
{
	const VrKnnCoarseKernels *kernels;
	int dim;
	int count;       /* queries */
	uint16 *queries; /* packed */
	float *error;    /* of the queries: norm of what rounding changed */
	float *length;   /* of the rounded queries, at most */
	float *slack;    /* of the queries, with the rows of this tile */
	uint16 *rows;    /* rounded */
	float *norm;     /* of the rows */
	uint32 *near;    /* of one block of rows */
	uint16 *list;    /* of one row */
} VrKnnCoarseTile;

/* n, up to whole blocks; what is per query or row must have as many. */
extern int VrKnnCoarsePad(int n);
/* For as many queries and rows of a tile. */
extern int64 VrKnnCoarseBytes(int dim, int count, int rows);
extern VrKnnCoarseTile *VrKnnCoarseBegin(const VrKnnCoarseKernels *kernels,
										 int dim, int count,
										 const float *queries, int rows);
/* The rows to come, and their squared norms. */
extern void VrKnnCoarseRows(VrKnnCoarseTile *coarse, int rows, const float *x,
							const float *norm2);
/*
 * Compares a block of rows from `first` with all queries: see `block` above,
 * which lies between the kernels' begin and end. Rows beyond those that there
 * are mean nothing.
 */
extern void VrKnnCoarseNear(VrKnnCoarseTile *coarse, int first,
							const float *weight, const float *slope,
							const float *limit);
/*
 * The queries from `query`, a multiple of VR_KNN_COARSE_LIST blocks, that row
 * `row` of the block is near to, less `query`; valid until the next call.
 */
extern const uint16 *VrKnnCoarseList(VrKnnCoarseTile *coarse, int row,
									 int query, int *n);

/* knn_amx.c: NULL where the build or the CPU or the system has no such tiles. */
extern const VrKnnCoarseKernels *VrKnnAmx(void);

#endif /* VR_KNN_COARSE_H */
