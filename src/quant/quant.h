/*
 * quant.h
 *		Compressed vectors for the quantised index: random rotation, own-vector
 *		codecs, one-bit neighbour codes, the 32-wide distance estimator, and the
 *		plan that packs them into pages.
 *
 * The only header of this folder that others include. Include after "c.h" or
 * "postgres.h". Nothing here knows Datums, palloc, ereport or pages: callers
 * give the memory and own it. README has the mathematics.
 *
 * Words: "padded" (P) is the number of rotated coordinates, a multiple of 16;
 * "code bits" (Dc) how many of them a neighbour code covers, a multiple of 16,
 * at most P. v is a vertex, u one of its neighbours, q a query; all are
 * centred and rotated (VrRotate), P floats each. r = u - v. All distances are
 * squared Euclidean distances between transformed vectors: the true ones times
 * the square of the rotation's scale.
 *
 * Any finite input gives finite results: nothing here returns NaN.
 */
#ifndef VR_QUANT_H
#define VR_QUANT_H

#include "base/vr_defs.h"

/* Neighbours per block, fixed by the kernels. */
#define VR_QUANT_LANES 32

/* What the estimator says of an empty lane, and its ceiling for any other. */
#define VR_ESTIMATE_MAX 3.0e38f

/* ------------------------------------------------------------------ layout */

/* How a vertex stores its own vector. Values are on disk: never renumber. */
typedef enum VrOwnKind
{
	VR_OWN_AUTO = 0, /* planner's choice; never stored */
	VR_OWN_F32 = 1,  /* 4 bytes per coordinate */
	VR_OWN_F16 = 2,  /* 2 bytes, with a power of two as common factor */
	VR_OWN_I8 = 3,   /* 1 byte, x = scale * (c - 128) */
	VR_OWN_I8X2 = 4, /* I8, then as many bytes again with its residual */
	VR_OWN_I4 = 5,   /* 4 bits, x = scale * (c - 7.5) */
	VR_OWN_I2 = 6    /* 2 bits, x = scale * (c - 1.5) */
} VrOwnKind;

#define VR_OWN_NKINDS 7

/* "f32", "f16", "int8", "int8x2", "int4", "int2"; "auto" for VR_OWN_AUTO. */
extern const char *VrOwnKindName(VrOwnKind kind);
/* The reverse; false, leaving *kind alone, if there is no such name. */
extern bool VrOwnKindFromName(const char *name, VrOwnKind *kind);

/*
 * What the automatic layout aims for: space as a multiple of what an index of
 * plain float32 vectors takes, up to 512 dimensions and above.
 */
typedef enum VrLayoutGoal
{
	VR_LAYOUT_FAST, /* 1.7 (1.43 at 128, 1.33 at 384) and 1 */
	VR_LAYOUT_LEAN  /* 1 and about a half, while codes stay usable */
} VrLayoutGoal;

#define VR_CODE_BITS_AUTO (-1)

/* Longest code; 32 of them fill a page. */
#define VR_CODE_BITS_MAX 2048

/* Sizes of one vertex record. */
typedef struct VrQuantLayout
{
	int dim;          /* coordinates of the user's vectors */
	int padded;       /* P */
	int code_bits;    /* Dc; 0 if the record has no codes */
	VrOwnKind own;    /* never VR_OWN_AUTO */
	int own_bytes;    /* of the own vector, multiple of 8 */
	int code_bytes;   /* of the 32 codes: 4 * Dc, multiple of 64 */
	int fixed_bytes;  /* everything else, as the caller said, multiple of 8 */
	int record_bytes; /* sum of the three */
	int slots;        /* records per page, >= 1 */
} VrQuantLayout;

/*
 * Chooses what is left automatic and computes the sizes. page_bytes is the
 * room for records on one page; fixed_bytes what a record needs besides own
 * vector and codes (header, ids, VrEdgeFactors), rounded up to 8 here.
 * code_bits is a number of bits (rounded up to 16, capped at P and
 * VR_CODE_BITS_MAX), 0 for no codes, or VR_CODE_BITS_AUTO. Returns false, with *layout undefined, if one
 * record does not fit the page (or the arguments are out of range); with both
 * own and code_bits automatic, page_bytes >= 8000 and fixed_bytes <= 512 it
 * succeeds for every dim from 1 to 16,000.
 */
extern bool VrQuantPlan(int dim, VrOwnKind own, int code_bits,
						VrLayoutGoal goal, int page_bytes, int fixed_bytes,
						VrQuantLayout *layout);

/* P for a dimension: rounded up to 16, to 32 below 128. */
extern int VrPaddedDim(int dim);

/*
 * Expected rms error of one estimate, as a fraction of 2 |r| |q - v|:
 * sqrt((pi/2 - 1 + max(0, 1 - Dc/P)) / Dc).
 */
extern float VrEstimateSigma(int padded, int code_bits);

/*
 * Typical rms error of VrOwnDistance as a fraction of |x| |q - x|; 0 for F32.
 * About .001 for I8 at 768. Says when exact order needs the heap's vectors.
 */
extern float VrOwnSigma(VrOwnKind kind, int padded);

/* ---------------------------------------------------------------- rotation */

/*
 * A random orthogonal map from dim to P coordinates, given by its seed: the
 * same on every machine. Four rounds of random signs and a fast Hadamard
 * transform over the largest power of two that fits, by turns over the first
 * and over the last coordinates; after every second round a 45 degree mixing
 * of the halves, unless the power of two is all there is.
 */
typedef struct VrRotation
{
	int dim;
	int padded;         /* P */
	int block;          /* largest power of two <= P */
	float scale;        /* applied to every vector, a power of two */
	const uint8 *signs; /* 4 * P bits, in the caller's memory */
} VrRotation;

/* Bytes that VrRotationInit wants. */
extern size_t VrRotationSize(int dim);

/*
 * mem (VrRotationSize bytes, any alignment) must live as long as rot. scale is
 * a power of two that brings the data near norm 1 (VrRotationScale), or 1.
 */
extern void VrRotationInit(VrRotation *rot, int dim, uint64 seed, float scale,
						   void *mem);

/*
 * The power of two that brings a vector of this squared norm near norm 1. Use
 * the mean squared norm of centred data; 0 gives 1. Only data beyond 1e15 or
 * below 1e-15 needs it.
 */
extern float VrRotationScale(double mean_norm2);

/*
 * out (P floats) = scale * rotated (in - mean). mean (dim floats, unrotated)
 * may be NULL for zero. Scaled coordinates beyond +-2^55 are clamped, so that
 * no squared norm overflows. in and out must not overlap.
 */
extern void VrRotate(const VrRotation *rot, const float *mean, const float *in,
					 float *out);

/* ------------------------------------------------------------- own vectors */

/*
 * Numbers that go with an own vector; part of the record. norm2 is the squared
 * norm of the reconstruction less err^2: with it the error of a distance is
 * 2<q - x, e>, not 2<q, e>.
 */
typedef struct VrOwnHead
{
	float norm2; /* |xhat|^2 - |e|^2, of the first plane for I8X2 */
	float scale; /* as in VrOwnKind; 1 for F32 */
	float err;   /* |e| = |x - xhat|, of the first plane for I8X2 */
} VrOwnHead;

/* Bytes of an own vector, rounded up to 8. */
extern int VrOwnBytes(VrOwnKind kind, int padded);

/* Encodes P floats. data is aligned to 4 bytes; bytes past the vector are 0. */
extern void VrOwnEncode(VrOwnKind kind, int padded, const float *x,
						VrOwnHead *head, void *data);

/* The reconstruction (both planes of I8X2), P floats. */
extern void VrOwnDecode(VrOwnKind kind, int padded, const VrOwnHead *head,
						const void *data, float *x);

/* ------------------------------------------------------------------- query */

struct VrQuantQuery;
struct VrEdgeFactors;

typedef float (*VrOwnDistanceFn)(const struct VrQuantQuery *query,
								 const VrOwnHead *head, const void *data);
typedef uint32 (*VrEstimateFn)(const struct VrQuantQuery *query, float g,
							   const uint8 *block,
							   const struct VrEdgeFactors *factors, float limit,
							   float est[VR_QUANT_LANES]);
typedef float (*VrOwnPairFn)(int padded, const VrOwnHead *ha, const void *a,
							 const VrOwnHead *hb, const void *b);

/*
 * A query prepared for one layout. Lives wholly in the memory given to
 * VrQuantQueryInit. Callers read q and norm2; the rest is the kernels'.
 */
typedef struct VrQuantQuery
{
	int padded;
	int code_bits;
	VrOwnKind own;
	VrOwnDistanceFn distance; /* kernel for this kind */
	VrEstimateFn estimate;    /* kernel for the codes */
	const float *q;           /* the query, P floats, 64-byte aligned */
	float norm2;              /* |q|^2 */

	/* 1-bit codes: <s,q> = lut_step * (sum of table entries) + lut_bias */
	const uint8 *lut; /* 16 bytes per 4 bits, 64-byte aligned */
	float lut_step;
	float lut_bias;

	/* integer kinds: q ~ int_scale * q16, q16 = 256 * hi + lo */
	const int16 *q16;
	const int8 *hi;
	const int8 *lo;
	float int_scale;
	float int_norm2; /* |qhat|^2 - |q - qhat|^2 */
	int32 sum_hi;    /* of hi[], lo[], q16[] */
	int32 sum_lo;
	int32 sum_q16;
} VrQuantQuery;

/* What to prepare. */
#define VR_QUERY_CODES 1 /* VrEstimate32 */
#define VR_QUERY_OWN 2   /* VrOwnDistance and the batch form */

/* Bytes that VrQuantQueryInit wants, for all parts. */
extern size_t VrQuantQuerySize(const VrQuantLayout *layout);

/*
 * Prepares q (P floats, rotated; copied) in mem (any alignment), and returns
 * the query, which points into mem. parts is an OR of VR_QUERY_*. Works for
 * stored vectors as well: decode one, prepare it, and search with it.
 */
extern VrQuantQuery *VrQuantQueryInit(const VrQuantLayout *layout,
									  const float *q, int parts, void *mem);

/*
 * Squared distance of the query and an own vector of the layout's kind. May
 * be slightly negative for the integer kinds: an unbiased value near zero is
 * worth more than a clamped one. For I8X2 it reads the first plane only.
 */
static inline float
VrOwnDistance(const VrQuantQuery *query, const VrOwnHead *head,
			  const void *data)
{
	return query->distance(query, head, data);
}

/*
 * The same with an own vector of another floating-point kind (F32, F16) than
 * the layout's.
 */
extern float VrOwnDistanceAs(VrOwnKind kind, const VrQuantQuery *query,
							 const VrOwnHead *head, const void *data);

/*
 * Whether a distance d is so small that coding errors of squared norms err2
 * (of a pair: the sum) make more than about 2 % of it, rms. Errors of rotated
 * vectors point anywhere: 2 <q - x, e> is about 2 |q - x| |e| / sqrt(P).
 */
static inline bool
VrOwnIsRough(int padded, float d, float err2)
{
	return d * (float) padded < 10000.0f * err2;
}

/* The same from both planes of I8X2; as VrOwnDistance for the other kinds. */
extern float VrOwnDistanceFine(const VrQuantQuery *query, const VrOwnHead *head,
							   const void *data);

/* count distances, prefetching ahead. */
extern void VrOwnDistanceBatch(const VrQuantQuery *query, int count,
							   const VrOwnHead *const *heads,
							   const void *const *data, float *out);

/*
 * Squared distance between two own vectors of one kind (both first planes of
 * I8X2), never negative.
 */
extern float VrOwnPairDistance(VrOwnKind kind, int padded, const VrOwnHead *ha,
							   const void *a, const VrOwnHead *hb,
							   const void *b);

/* One own vector against count others, prefetching ahead. */
extern void VrOwnPairBatch(VrOwnKind kind, int padded, const VrOwnHead *ha,
						   const void *a, int count,
						   const VrOwnHead *const *heads,
						   const void *const *data, float *out);

/* ---------------------------------------------------- one-bit neighbour codes */

/*
 * Per-lane numbers of a block of 32 codes; part of the record (192 bytes).
 * estimate of |q-u|^2 = |q-v|^2 + add + rescale * <s,q>. rescale is a bfloat16
 * (upper half of a float32) and add a float32 computed with the rounded
 * rescale, so that the rounding costs nothing where it matters and a lane can
 * be rewritten without touching the others. Empty lanes: add = infinity,
 * rescale = 0, code bits 0.
 */
typedef struct VrEdgeFactors
{
	float add[VR_QUANT_LANES];
	uint16 rescale[VR_QUANT_LANES];
} VrEdgeFactors;

/* One encoded edge, on its way into a lane. */
typedef struct VrEdge
{
	float r2; /* |u - v|^2, exact; not stored */
	float add;
	uint16 rescale;
} VrEdge;

/* Bytes of one lane's code as a row of bits: bit j is byte j / 8, bit j % 8. */
#define VR_CODE_ROW_BYTES(code_bits) ((code_bits) / 8)
/* Bytes of a block: bit rows of 32 lanes in FastScan order. */
#define VR_CODE_BLOCK_BYTES(code_bits) ((code_bits) *4)

/*
 * Encodes neighbour u of v. extra is added to the edge's add term, and so to
 * its estimates: 0 for L2, -|u|^2 uncentred times scale^2 for inner product
 * (the caller uses |q-v|^2 as G, and the estimate is then |q-u|^2 - |u|^2).
 * row receives VR_CODE_ROW_BYTES(code_bits) bytes.
 */
extern void VrEdgeEncode(int padded, int code_bits, const float *v,
						 const float *u, float extra, uint8 *row, VrEdge *edge);

/*
 * Encodes n <= 32 neighbours into lanes 0..n-1 and empties the rest. extra may
 * be NULL for zeros; r2 (n floats) may be NULL. block and factors are wholly
 * overwritten.
 */
extern void VrEdgeBlockEncode(int padded, int code_bits, const float *v, int n,
							  const float *const *u, const float *extra,
							  uint8 *block, VrEdgeFactors *factors, float *r2);

/*
 * The same of neighbours given as own vectors of one kind. scratch is P floats.
 */
extern void VrEdgeBlockEncodeOwn(int padded, int code_bits, const float *v,
								 int n, VrOwnKind kind,
								 const VrOwnHead *const *heads,
								 const void *const *data, const float *extra,
								 float *scratch, uint8 *block,
								 VrEdgeFactors *factors);

/* Writes one lane. The result equals that of a full encode. */
extern void VrLaneSet(int code_bits, uint8 *block, VrEdgeFactors *factors,
					  int lane, const uint8 *row, const VrEdge *edge);
/* Reads one lane; edge->r2 becomes the square of VrEdgeNorm. */
extern void VrLaneGet(int padded, int code_bits, const uint8 *block,
					  const VrEdgeFactors *factors, int lane, uint8 *row,
					  VrEdge *edge);
/* Empties one lane. */
extern void VrLaneClear(int code_bits, uint8 *block, VrEdgeFactors *factors,
						int lane);
/* Empties all 32. */
extern void VrLaneClearAll(int code_bits, uint8 *block, VrEdgeFactors *factors);
/* Copies one lane, between blocks or within one. Source and target may be
 * the same block, not the same lane. */
extern void VrLaneCopy(int code_bits, uint8 *dst, VrEdgeFactors *dst_factors,
					   int dst_lane, const uint8 *src,
					   const VrEdgeFactors *src_factors, int src_lane);
static inline bool
VrLaneIsEmpty(const VrEdgeFactors *factors, int lane)
{
	return factors->add[lane] > VR_ESTIMATE_MAX;
}

/*
 * |r| of a lane, recovered from rescale within 1 to 3 % (rms .27 / sqrt(Dc),
 * and sqrt((1 - Dc/P) / 2Dc) for short codes): enough for pruning. Where the
 * exact lengths matter: prepare v itself as a query and call VrEstimate32 with
 * G = 0; by construction it yields r^2 + extra up to the table's rounding.
 */
extern float VrEdgeNorm(int padded, int code_bits, const VrEdgeFactors *factors,
						int lane);
/* The same of all 32; 0 for empty lanes. */
extern void VrEdgeNorms(int padded, int code_bits, const VrEdgeFactors *factors,
						float norms[VR_QUANT_LANES]);

/*
 * Estimates for all 32 lanes into est, given g = |q-v|^2; returns the mask of
 * lanes (bit i = lane i) whose estimate is below limit. Empty lanes get
 * VR_ESTIMATE_MAX and so are never in the mask for a limit up to that. block
 * needs no alignment. Estimates can be negative.
 */
static inline uint32
VrEstimate32(const VrQuantQuery *query, float g, const uint8 *block,
			 const VrEdgeFactors *factors, float limit,
			 float est[VR_QUANT_LANES])
{
	return query->estimate(query, g, block, factors, limit, est);
}

/* ---------------------------------------------------------------- dispatch */

/* One instruction set's kernels. For this folder, its tests and benchmarks. */
typedef struct VrQuantKernels
{
	/* "scalar", "ssse3", "avx2", "avx512-novnni", "avx512", "neon" */
	const char *name;
	void (*rotate)(const VrRotation *rot, const float *mean, const float *in,
				   float *out);
	/* table, step and bias from q */
	void (*make_lut)(int code_bits, const float *q, uint8 *lut, float *step,
					 float *bias);
	/* copies q; returns |q|^2, and the largest |q_j| in *biggest */
	float (*copy_query)(int padded, const float *q, float *copy,
						float *biggest);
	/* q16 = round(q / step), hi, lo; *sum of q16; returns <q, q16> */
	float (*make_ints)(int padded, const float *q, float inv_step, int16 *q16,
					   int8 *hi, int8 *lo, int32 *sum);
	/* exact sums of table entries; the same in every set */
	void (*accumulate32)(int code_bits, const uint8 *block, const uint8 *lut,
						 uint32 acc[VR_QUANT_LANES]);
	VrEstimateFn estimate32;
	/* the lane of the least estimate, the first of equal ones; no NaN */
	int (*least32)(const float est[VR_QUANT_LANES]);
	/*
	 * Bits of u - v, byte i of them at row[i * stride]; sums[0] = <s,r>,
	 * sums[1] = <s,v>, sums[2] = |r|^2.
	 */
	void (*edge_bits)(int padded, int code_bits, const float *v, const float *u,
					  uint8 *row, int stride, float sums[3]);
	/* out[j] = scale * x[j], scale a power of two: the same in every set */
	void (*decode_f16)(int padded, float scale, const vr_half *x, float *out);
	VrOwnDistanceFn distance[VR_OWN_NKINDS];
	VrOwnDistanceFn distance_fine; /* I8X2, both planes */
	VrOwnPairFn pair[VR_OWN_NKINDS];
} VrQuantKernels;

/* The chosen set; valid after VrQuantInit(). */
extern const VrQuantKernels *VrQuant;

/* Chooses the best set this CPU runs. Idempotent. For _PG_init and tests. */
extern void VrQuantInit(void);

/*
 * Forces a set by the name VrDistanceForce takes, or the best for "auto".
 * Returns false, changing nothing, if this build or this CPU lacks it.
 * Queries prepared before hold the old set's kernels; they stay valid.
 */
extern bool VrQuantForce(const char *name);

/* Sets that this build carries and this CPU runs, best first; NULL ends it. */
extern const VrQuantKernels *const *VrQuantAvailable(void);

/* --------------------------------------------------------------- k-means */

/*
 * out[i * ldo + j] = <a_i, b_j>: how the caller multiplies, with BLAS if it
 * has one. May not return (an interrupt): all memory is the caller's.
 */
typedef void (*VrProductsFn)(int na, int nb, int dim, const float *a, int lda,
							 const float *b, int ldb, float *out, int ldo);

/*
 * k-means of rows of dim floats, row i at x + i * stride: k-means++ from the
 * seed, then Lloyd's steps until nothing moves or `iterations` are done. The
 * same seed gives the same result where products are the same. A cluster that
 * loses all its rows takes the row that is farthest from its centre. k <= rows;
 * where there are fewer different rows, centres repeat.
 */
typedef struct VrKmeans
{
	int rows;
	int dim;
	int stride;
	int k;
	int iterations;
	uint64 seed;
	const float *x;
	VrProductsFn products; /* NULL: the kernels of src/distance */
	float *centroids;      /* out, k x dim */
	int32 *assigned;       /* out, rows: the nearest centre */
	float *distance;       /* out, rows: squared, to it */
	int64 *sizes;          /* out, k */
	void *work;            /* VrKmeansWorkSize bytes, aligned to 8 */
} VrKmeans;

extern size_t VrKmeansWorkSize(int dim, int k);
/* Returns the mean squared distance of a row to its centre. */
extern double VrKmeansRun(VrKmeans *kmeans);

/* --------------------------------------------------- product quantisation */

#define VR_PQ_MAX_BITS 8

/*
 * A codebook: dimensions cut into `subspaces` runs of nearly equal length, each
 * with 2^bits centres. Those of a subspace stand together, row-major.
 */
typedef struct VrPq
{
	int dim;
	int subspaces;          /* 1..dim */
	int bits;               /* 1..VR_PQ_MAX_BITS */
	const float *centroids; /* 2^bits x dim floats in all */
} VrPq;

/* First dimension of a subspace; of `subspaces`, it is dim. */
static inline int
VrPqStart(const VrPq *pq, int subspace)
{
	return (int) ((int64) subspace * pq->dim / pq->subspaces);
}

/* Bytes of a code: bits are packed, lowest first. */
static inline int
VrPqCodeBytes(const VrPq *pq)
{
	return (pq->subspaces * pq->bits + 7) / 8;
}

/* Where the centres of a subspace begin in `centroids`. */
static inline size_t
VrPqCentroidsAt(const VrPq *pq, int subspace)
{
	return ((size_t) VrPqStart(pq, subspace)) << pq->bits;
}

extern void VrPqEncode(const VrPq *pq, const float *x, uint8 *code);
extern void VrPqDecode(const VrPq *pq, const uint8 *code, float *x);

/*
 * Tables for a query: what each centre of each subspace adds to the squared
 * distance (or, with ip, to the inner product). subspaces << bits floats.
 */
extern void VrPqTables(const VrPq *pq, bool ip, const float *query,
					   float *tables);
extern float VrPqSum(const VrPq *pq, const float *tables, const uint8 *code);

#endif /* VR_QUANT_H */
