/*
 * knn_codes.c
 *		Short codes as SQL values: bits by threshold, bytes by scale, and product
 *		quantisation with a codebook that the caller keeps.
 *
 * A codebook and a code of bytes are bytea with a head of their own, so that
 * they can be columns, generated columns and parameters, on a standby too.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varbit.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "knn/knn_private.h"
#include "quant/quant.h"

PG_FUNCTION_INFO_V1(vr_binary_quantize_above);
PG_FUNCTION_INFO_V1(vr_binary_quantize_centred);
PG_FUNCTION_INFO_V1(vr_int8_encode);
PG_FUNCTION_INFO_V1(vr_int8_decode);
PG_FUNCTION_INFO_V1(vr_pq_train);
PG_FUNCTION_INFO_V1(vr_pq_encode);
PG_FUNCTION_INFO_V1(vr_pq_decode);
PG_FUNCTION_INFO_V1(vr_pq_distance);

/* ------------------------------------------------------------------- bits */

/* Bit i, from the highest of the first byte on: x[i] > threshold. */
void
VrKnnBits(int dim, const float *x, const float *threshold, unsigned char *bits)
{
	static const float zeros[8] = {0};
	int i;
	int j;

	for (i = 0; i + 8 <= dim; i += 8)
	{
		const float *t = threshold != NULL ? threshold + i : zeros;
		unsigned int byte = 0;

		/* Without a branch: every other would be mispredicted. */
		for (j = 0; j < 8; j++)
			byte |= (unsigned int) (x[i + j] > t[j]) << (7 - j);
		bits[i / 8] = byte;
	}
	if (i < dim)
		bits[i / 8] = 0;
	for (; i < dim; i++)
		if (x[i] > (threshold != NULL ? threshold[i] : 0))
			bits[i / 8] |= 0x80 >> (i % 8);
}

static VarBit *
CodesMakeBits(int dim)
{
	VarBit *bits = palloc0(VARBITTOTALLEN(dim));

	SET_VARSIZE(bits, VARBITTOTALLEN(dim));
	VARBITLEN(bits) = dim;
	return bits;
}

/* binary_quantize(vector, real): bits of the elements above a number. */
Datum
vr_binary_quantize_above(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	float threshold = PG_GETARG_FLOAT4(1);
	VarBit *bits = CodesMakeBits(v->dim);
	int i;

	if (isnan(threshold))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the threshold must not be NaN")));
	for (i = 0; i < v->dim; i++)
		if (v->x[i] > threshold)
			VARBITS(bits)[i / 8] |= 0x80 >> (i % 8);
	PG_RETURN_VARBIT_P(bits);
}

/* binary_quantize(vector, vector): each element has its own threshold. */
Datum
vr_binary_quantize_centred(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	VrVector *centre = PG_GETARG_VR_VECTOR(1);
	VarBit *bits = CodesMakeBits(v->dim);

	VrCheckSameDims("vector", v->dim, centre->dim);
	VrKnnBits(v->dim, v->x, centre->x, VARBITS(bits));
	PG_RETURN_VARBIT_P(bits);
}

/* ------------------------------------------------------------------ bytes */

/* x[i] = offset + scale * code[i] */
typedef struct CodesBytes
{
	int32 vl_len_;
	uint16 magic;
	uint16 dim;
	float offset;
	float scale;
	uint8 code[FLEXIBLE_ARRAY_MEMBER];
} CodesBytes;

#define CODES_BYTES_MAGIC 0x5642 /* "BV" */

/* A byte per element, between the least and the greatest. */
static void
CodesPutBytes(int dim, const float *x, CodesBytes *bytes)
{
	double low = x[0];
	double high = x[0];
	double step;
	int i;

	for (i = 1; i < dim; i++)
	{
		low = Min(low, x[i]);
		high = Max(high, x[i]);
	}
	step = (high - low) / 255;
	bytes->magic = CODES_BYTES_MAGIC;
	bytes->dim = dim;
	bytes->offset = low;
	bytes->scale = step;
	for (i = 0; i < dim; i++)
		bytes->code[i] =
			step > 0 ? (uint8) Min(Max(rint((x[i] - low) / step), 0), 255) : 0;
}

static void
CodesGetBytes(const CodesBytes *bytes, float *x)
{
	int i;

	for (i = 0; i < bytes->dim; i++)
	{
		double value = bytes->offset + (double) bytes->scale * bytes->code[i];

		/* A rounded scale may step over the end of what a float holds. */
		x[i] = Min(Max(value, -FLT_MAX), FLT_MAX);
	}
}

void
VrKnnInt8RoundTrip(int dim, const float *x, float *decoded)
{
	CodesBytes *bytes = palloc(offsetof(CodesBytes, code) + dim);

	CodesPutBytes(dim, x, bytes);
	CodesGetBytes(bytes, decoded);
	pfree(bytes);
}

Datum
vr_int8_encode(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	Size size = offsetof(CodesBytes, code) + v->dim;
	CodesBytes *bytes = palloc0(size);

	SET_VARSIZE(bytes, size);
	CodesPutBytes(v->dim, v->x, bytes);
	PG_RETURN_BYTEA_P((bytea *) bytes);
}

Datum
vr_int8_decode(PG_FUNCTION_ARGS)
{
	bytea *data = PG_GETARG_BYTEA_P(0);
	CodesBytes *bytes = (CodesBytes *) data;
	VrVector *v;

	if (VARSIZE(data) <= offsetof(CodesBytes, code) ||
		bytes->magic != CODES_BYTES_MAGIC || bytes->dim == 0 ||
		bytes->dim > VR_VECTOR_MAX_DIM ||
		VARSIZE(data) != offsetof(CodesBytes, code) + bytes->dim ||
		!isfinite(bytes->offset) || !isfinite(bytes->scale))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("this is no code made by int8_encode")));
	v = VrVectorMake(bytes->dim);
	CodesGetBytes(bytes, v->x);
	PG_RETURN_POINTER(v);
}

/* --------------------------------------------------- product quantisation */

typedef struct CodesBook
{
	int32 vl_len_;
	uint16 magic;
	uint8 version;
	uint8 bits;
	uint16 dim;
	uint16 subspaces;
	float centroids[FLEXIBLE_ARRAY_MEMBER];
} CodesBook;

#define CODES_BOOK_MAGIC 0x5650 /* "PV" */
#define CODES_BOOK_VERSION 1

static Size
CodesBookSize(int dim, int bits)
{
	return offsetof(CodesBook, centroids) +
		   ((Size) dim << bits) * sizeof(float);
}

/* Trains the codebook of a block of vectors; *mse is the sum over subspaces. */
void *
VrKnnPqTrain(const VrKnnBlock *block, int subspaces, int bits, int iterations,
			 uint64 seed, VrPq *pq, double *mse)
{
	Size size = CodesBookSize(block->dim, bits);
	CodesBook *book =
		MemoryContextAllocExtended(CurrentMemoryContext, size, MCXT_ALLOC_ZERO);
	int64 *sizes = palloc(sizeof(int64) << bits);
	int s;

	SET_VARSIZE(book, size);
	book->magic = CODES_BOOK_MAGIC;
	book->version = CODES_BOOK_VERSION;
	book->bits = bits;
	book->dim = block->dim;
	book->subspaces = subspaces;
	pq->dim = block->dim;
	pq->subspaces = subspaces;
	pq->bits = bits;
	pq->centroids = book->centroids;
	*mse = 0;
	for (s = 0; s < subspaces; s++)
	{
		int start = VrPqStart(pq, s);

		*mse += VrKnnKmeans(block, start, VrPqStart(pq, s + 1) - start,
							Min(1 << bits, block->count), iterations, seed + s,
							book->centroids + VrPqCentroidsAt(pq, s), sizes);
	}
	pfree(sizes);
	return book;
}

/*
 * Mean squared distance of the rows to their mean, which is the error of a code
 * of no bytes.
 */
static double
CodesPower(const VrKnnBlock *block, VrVector **mean)
{
	double *sums = palloc0(block->dim * sizeof(double));
	double power = 0;
	int i;
	int j;

	*mean = VrVectorMake(block->dim);
	for (i = 0; i < block->count; i++)
		for (j = 0; j < block->dim; j++)
			sums[j] += block->x[(Size) i * block->dim + j];
	for (j = 0; j < block->dim; j++)
		(*mean)->x[j] = sums[j] / block->count;
	for (i = 0; i < block->count; i++)
		power += VrDistance->l2sq_f32(
			block->dim, block->x + (Size) i * block->dim, (*mean)->x);
	pfree(sums);
	return power / block->count;
}

/*
 * pq_train(query text, subspaces int, bits int, seed bigint, iterations int):
 * one row with the codebook, and what it costs in bytes and precision.
 */
Datum
vr_pq_train(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	Datum values[7];
	bool nulls[7] = {false};
	VrKnnBlock block;
	VrPq pq;
	bytea *book;
	double mse;
	double power;
	VrVector *mean;
	int subspaces = PG_GETARG_INT32(1);
	int bits = VrKnnCheckRange("bits", PG_GETARG_INT32(2), 1, VR_PQ_MAX_BITS);
	int iterations =
		VrKnnCheckRange("iterations", PG_GETARG_INT32(4), 0, 10000);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	VrKnnBlockFromQuery(text_to_cstring(PG_GETARG_TEXT_PP(0)),
						TupleDescAttr(desc, 6)->atttypid, &block);
	VrKnnCheckRange("subspaces", subspaces, 1, block.dim);
	if (!AllocSizeIsValid(CodesBookSize(block.dim, bits)))
		elog(ERROR, "codebook is too large");
	book = VrKnnPqTrain(&block, subspaces, bits, iterations, PG_GETARG_INT64(3),
						&pq, &mse);
	power = CodesPower(&block, &mean);
	values[0] = PointerGetDatum(book);
	values[1] = Int32GetDatum(block.dim);
	values[2] = Int64GetDatum(block.count);
	values[3] = Int32GetDatum(VrPqCodeBytes(&pq));
	values[4] = Float8GetDatum(mse);
	values[5] = Float8GetDatum(power > 0 ? mse / power : 0);
	values[6] = PointerGetDatum(mean);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * What a call leaves for the next: a codebook is as a rule the same for all
 * rows of a query, and large enough to be out of line; fetching it for each row
 * would cost more than what is computed from it.
 */
typedef struct CodesCache
{
	MemoryContext context;
	struct varlena *key; /* as it was passed: a pointer out of line, or all */
	Size key_size;
	VrPq pq;
	float *tables; /* for pq_distance */
	VrVector *query;
	bool ip;
} CodesCache;

static bool
CodesAllFinite(const float *x, Size n)
{
	Size i;

	for (i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

/* Anybody can pass any bytes: no vector may come out that a vector cannot be. */
static void
CodesCheckBook(const CodesBook *book, VrPq *pq)
{
	Size size = VARSIZE(book);

	if (size < offsetof(CodesBook, centroids) ||
		book->magic != CODES_BOOK_MAGIC ||
		book->version != CODES_BOOK_VERSION || book->bits < 1 ||
		book->bits > VR_PQ_MAX_BITS || book->dim < 1 ||
		book->dim > VR_VECTOR_MAX_DIM || book->subspaces < 1 ||
		book->subspaces > book->dim ||
		size != CodesBookSize(book->dim, book->bits) ||
		!CodesAllFinite(book->centroids, (Size) book->dim << book->bits))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("this is no codebook made by pq_train")));
	pq->dim = book->dim;
	pq->subspaces = book->subspaces;
	pq->bits = book->bits;
	pq->centroids = book->centroids;
}

/* The codebook of argument 0, from the cache if it is the last call's. */
static CodesCache *
CodesBookArgument(FunctionCallInfo fcinfo)
{
	CodesCache *cache = fcinfo->flinfo->fn_extra;
	struct varlena *arg = (struct varlena *) PG_GETARG_POINTER(0);
	Size size = VARSIZE_ANY(arg);
	MemoryContext old;
	struct varlena *book;

	if (cache == NULL)
	{
		cache =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CodesCache));
		cache->context =
			AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "vecrecall codebook",
								  ALLOCSET_DEFAULT_SIZES);
		fcinfo->flinfo->fn_extra = cache;
	}
	else if (cache->key != NULL && cache->key_size == size &&
			 memcmp(cache->key, arg, size) == 0)
		return cache;

	cache->key = NULL;
	cache->query = NULL;
	cache->tables = NULL;
	MemoryContextReset(cache->context);
	old = MemoryContextSwitchTo(cache->context);
	book = pg_detoast_datum_copy(arg);
	CodesCheckBook((CodesBook *) book, &cache->pq);
	if (VARATT_IS_EXTERNAL(arg))
	{
		/* A pointer into memory may point to another value the next time. */
		if (VARATT_IS_EXTERNAL_ONDISK(arg))
		{
			cache->key = palloc(size);
			memcpy(cache->key, arg, size);
		}
	}
	else if (VARATT_IS_EXTENDED(arg))
	{
		cache->key = palloc(size);
		memcpy(cache->key, arg, size);
	}
	else
		cache->key = book;
	cache->key_size = size;
	MemoryContextSwitchTo(old);
	return cache;
}

/* pq_encode(codebook bytea, vector) */
Datum
vr_pq_encode(PG_FUNCTION_ARGS)
{
	CodesCache *cache = CodesBookArgument(fcinfo);
	VrVector *v = PG_GETARG_VR_VECTOR(1);
	Size size = VARHDRSZ + VrPqCodeBytes(&cache->pq);
	bytea *code = palloc(size);

	VrCheckSameDims("vector", cache->pq.dim, v->dim);
	SET_VARSIZE(code, size);
	VrPqEncode(&cache->pq, v->x, (uint8 *) VARDATA(code));
	PG_RETURN_BYTEA_P(code);
}

static const uint8 *
CodesCodeArgument(FunctionCallInfo fcinfo, int arg, const VrPq *pq)
{
	bytea *code = PG_GETARG_BYTEA_PP(arg);

	if (VARSIZE_ANY_EXHDR(code) != VrPqCodeBytes(pq))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the code has %zu bytes, codes of this codebook "
							   "have %d",
							   VARSIZE_ANY_EXHDR(code), VrPqCodeBytes(pq))));
	return (const uint8 *) VARDATA_ANY(code);
}

/* pq_decode(codebook bytea, code bytea) */
Datum
vr_pq_decode(PG_FUNCTION_ARGS)
{
	CodesCache *cache = CodesBookArgument(fcinfo);
	VrVector *v = VrVectorMake(cache->pq.dim);

	VrPqDecode(&cache->pq, CodesCodeArgument(fcinfo, 1, &cache->pq), v->x);
	PG_RETURN_POINTER(v);
}

/* pq_distance(codebook bytea, code bytea, query vector, metric text) */
Datum
vr_pq_distance(PG_FUNCTION_ARGS)
{
	CodesCache *cache = CodesBookArgument(fcinfo);
	const VrPq *pq = &cache->pq;
	VrVector *query = PG_GETARG_VR_VECTOR(2);
	VrKnnMetric metric =
		VrKnnMetricFromName(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	bool ip = metric == VR_KNN_IP;
	float sum;

	if (metric != VR_KNN_L2 && metric != VR_KNN_IP)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("distances from codes are by metric l2 or ip"),
						errhint("For cosine, train and encode vectors of "
								"norm one, and use l2.")));
	VrCheckSameDims("vector", pq->dim, query->dim);
	if (cache->query == NULL || cache->ip != ip ||
		memcmp(cache->query->x, query->x, pq->dim * sizeof(float)) != 0)
	{
		MemoryContext old = MemoryContextSwitchTo(cache->context);

		if (cache->tables == NULL)
		{
			cache->tables =
				palloc(((Size) pq->subspaces << pq->bits) * sizeof(float));
			cache->query = VrVectorMake(pq->dim);
		}
		memcpy(cache->query->x, query->x, pq->dim * sizeof(float));
		cache->ip = ip;
		VrPqTables(pq, ip, query->x, cache->tables);
		MemoryContextSwitchTo(old);
	}
	sum = VrPqSum(pq, cache->tables, CodesCodeArgument(fcinfo, 1, pq));
	PG_RETURN_FLOAT8(ip ? -(double) sum : sqrt(sum));
}
