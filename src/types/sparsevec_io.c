/*
 * sparsevec_io.c
 *		Type sparsevec: construction, text, binary, type modifier.
 *
 * Text counts indices from one, binary and memory from zero.
 */
#include "postgres.h"

#include <limits.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"

#include "base/vr_error.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_sparsevec_in);
PG_FUNCTION_INFO_V1(vr_sparsevec_out);
PG_FUNCTION_INFO_V1(vr_sparsevec_typmod_in);
PG_FUNCTION_INFO_V1(vr_sparsevec_recv);
PG_FUNCTION_INFO_V1(vr_sparsevec_send);

typedef struct SparseVecElement
{
	int32 index;
	float value;
} SparseVecElement;

VrSparseVec *
VrSparseVecMake(int dim, int nnz)
{
	Size size = VR_SPARSEVEC_SIZE(nnz);
	VrSparseVec *result = palloc0(size);

	SET_VARSIZE(result, size);
	result->dim = dim;
	result->nnz = nnz;
	return result;
}

static Datum
SparseVecErrorNnz(fmNodePtr escontext)
{
	ereturn(escontext, (Datum) 0,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("sparsevec cannot have more than %d non-zero elements",
					VR_SPARSEVEC_MAX_NNZ)));
}

/* How many non-zero elements a sparsevec of dim dimensions may have. */
void
VrSparseVecCheckNnz(int nnz, int dim)
{
	if (nnz < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec cannot have negative number of elements")));
	if (nnz > VR_SPARSEVEC_MAX_NNZ)
		SparseVecErrorNnz(NULL);
	if (nnz > dim)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("sparsevec cannot have more elements than dimensions")));
}

/* Indices must lie in 0..dim-1 and rise. False after a soft error. */
static bool
SparseVecCheckIndices(fmNodePtr escontext, const int32 *indices, int nnz,
					  int dim)
{
	for (int i = 0; i < nnz; i++)
	{
		const char *problem;

		if (VR_UNLIKELY(indices[i] < 0 || indices[i] >= dim))
			problem = "sparsevec index out of bounds";
		else if (i == 0 || VR_LIKELY(indices[i] > indices[i - 1]))
			continue;
		else if (indices[i] < indices[i - 1])
			problem = "sparsevec indices must be in ascending order";
		else
			problem = "sparsevec indices must not contain duplicates";
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("%s", _(problem))));
	}
	return true;
}

static int
SparseVecCompareElements(const void *a, const void *b)
{
	int32 ia = ((const SparseVecElement *) a)->index;
	int32 ib = ((const SparseVecElement *) b)->index;

	return (ia > ib) - (ia < ib);
}

/*
 * Reads a decimal integer as strtol does and moves *pos behind it; what int
 * cannot hold becomes its nearest value, which no check lets pass. False,
 * *pos unmoved, if there is none.
 */
static bool
SparseVecParseInt(const char **pos, int *value)
{
	char *stop;
	long number = strtol(*pos, &stop, 10);

	if (stop == *pos)
		return false;
	*pos = stop;
	*value = (int) Min(Max(number, INT_MIN + 1L), INT_MAX);
	return true;
}

static inline const char *
SparseVecSkipSpace(const char *p)
{
	while (VrTypesIsSpace(*p))
		p++;
	return p;
}

/*
 * Reads "1:1.5,3:2}" at *pos, behind the opening brace, into elements, which
 * has room for every comma in the text and one more. Leaves out zeros. Returns
 * their number, or -1 after a soft error.
 */
static int
SparseVecParseElements(fmNodePtr escontext, const char *text, const char **pos,
					   const char *end, SparseVecElement *elements)
{
	const char *p = SparseVecSkipSpace(*pos);
	int nnz = 0;

	if (*p == '}')
	{
		*pos = p + 1;
		return 0;
	}

	for (;;)
	{
		const char *start;
		int index;
		float value;

		p = SparseVecSkipSpace(p);
		if (!SparseVecParseInt(&p, &index))
			goto syntax;
		p = SparseVecSkipSpace(p);
		if (*p != ':')
			goto syntax;
		p = SparseVecSkipSpace(p + 1);
		start = p;
		if (!VrTypesParseNumber(escontext, "sparsevec", text, &p, end, '}',
								&value))
			return -1;

		/* A zero that was not written as one would silently vanish. */
		if (value == 0 && errno == ERANGE)
		{
			VrErrorOutOfRange(escontext, "sparsevec", start, (int) (p - start));
			return -1;
		}
		if (value != 0)
		{
			elements[nnz].index = index - 1;
			elements[nnz].value = value;
			nnz++;
		}

		p = SparseVecSkipSpace(p);
		if (*p == '}')
			break;
		if (*p != ',')
			goto syntax;
		p++;
	}
	*pos = p + 1;
	return nnz;

syntax:
	VrErrorSyntax(escontext, "sparsevec", text, NULL);
	return -1;
}

/* sparsevec_in(cstring, oid, integer) */
Datum
vr_sparsevec_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	fmNodePtr escontext = fcinfo->context;
	const char *end = text + strlen(text);
	const char *p;
	SparseVecElement *elements;
	int max_nnz = 1;
	int nnz;
	int dim;
	bool sorted = true;
	VrSparseVec *result;
	float *values;

	for (p = text; (p = memchr(p, ',', end - p)) != NULL; p++)
		max_nnz++;
	if (max_nnz > VR_SPARSEVEC_MAX_NNZ)
		return SparseVecErrorNnz(escontext);

	p = SparseVecSkipSpace(text);
	if (*p != '{')
		return VrErrorSyntax(escontext, "sparsevec", text,
							 "Vector contents must start with \"{\".");
	p++;
	elements = palloc(sizeof(SparseVecElement) * max_nnz);
	nnz = SparseVecParseElements(escontext, text, &p, end, elements);
	if (nnz < 0)
		return (Datum) 0;

	p = SparseVecSkipSpace(p);
	if (*p != '/')
		return VrErrorSyntax(escontext, "sparsevec", text,
							 "Unexpected end of input.");
	p = SparseVecSkipSpace(p + 1);
	if (!SparseVecParseInt(&p, &dim))
		return VrErrorSyntax(escontext, "sparsevec", text, NULL);
	p = SparseVecSkipSpace(p);
	if (*p != '\0')
		return VrErrorSyntax(escontext, "sparsevec", text,
							 "Junk after closing.");

	if (dim < 1 || dim > VR_SPARSEVEC_MAX_DIM)
		return VrErrorDimLimit(escontext, "sparsevec", dim,
							   VR_SPARSEVEC_MAX_DIM);
	if (typmod != -1 && typmod != dim)
		return VrErrorTypmod(escontext, typmod, dim);

	for (int i = 1; i < nnz; i++)
		sorted &= elements[i - 1].index <= elements[i].index;
	if (!sorted)
		qsort(elements, nnz, sizeof(SparseVecElement),
			  SparseVecCompareElements);

	result = VrSparseVecMake(dim, nnz);
	values = VR_SPARSEVEC_VALUES(result);
	for (int i = 0; i < nnz; i++)
	{
		result->indices[i] = elements[i].index;
		values[i] = elements[i].value;
	}
	pfree(elements);
	if (!SparseVecCheckIndices(escontext, result->indices, nnz, dim))
		return (Datum) 0;
	PG_RETURN_POINTER(result);
}

/* sparsevec_out(sparsevec) */
Datum
vr_sparsevec_out(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);
	const float *values = VR_SPARSEVEC_VALUES(v);

	/* Per element an int of at most 10 digits, a colon, a number, a comma. */
	char *text = palloc((Size) v->nnz * (11 + FLOAT_SHORTEST_DECIMAL_LEN) + 16);
	char *p = text;

	*p++ = '{';
	for (int i = 0; i < v->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ltoa(v->indices[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(values[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	p += pg_ltoa(v->dim, p);
	*p = '\0';

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

/* sparsevec_typmod_in(cstring[]) */
Datum
vr_sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(
		VrTypesTypmodIn(PG_GETARG_DATUM(0), "sparsevec", VR_SPARSEVEC_MAX_DIM));
}

/*
 * sparsevec_recv(internal, oid, integer): int32 dimensions, int32 number of
 * elements, int32 zero, int32 indices, float4 values, all in network order.
 * The message is known to be long enough before memory is taken.
 */
Datum
vr_sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int32 dim = (int32) pq_getmsgint(buf, sizeof(int32));
	int32 nnz = (int32) pq_getmsgint(buf, sizeof(int32));
	int32 unused = (int32) pq_getmsgint(buf, sizeof(int32));
	const char *indices;
	const char *data;
	VrSparseVec *result;
	float *values;

	VrCheckDimLimit("sparsevec", dim, VR_SPARSEVEC_MAX_DIM);
	VrSparseVecCheckNnz(nnz, dim);
	VrCheckTypmod(typmod, dim);
	if (unused != 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("expected unused to be 0, not %d", unused)));

	indices = pq_getmsgbytes(buf, sizeof(int32) * nnz);
	data = pq_getmsgbytes(buf, sizeof(float) * nnz);
	result = VrSparseVecMake(dim, nnz);
	values = VR_SPARSEVEC_VALUES(result);
	for (int i = 0; i < nnz; i++)
	{
		uint32 bits;

		memcpy(&bits, indices + sizeof(bits) * i, sizeof(bits));
		result->indices[i] = (int32) pg_ntoh32(bits);
		memcpy(&bits, data + sizeof(bits) * i, sizeof(bits));
		bits = pg_ntoh32(bits);
		memcpy(&values[i], &bits, sizeof(bits));
	}
	SparseVecCheckIndices(NULL, result->indices, nnz, dim);
	for (int i = 0; i < nnz; i++)
	{
		if (VR_UNLIKELY(!isfinite(values[i])))
			VrErrorNotFinite(NULL, "sparsevec", values[i]);
		if (VR_UNLIKELY(values[i] == 0))
			ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
							errmsg("binary representation of sparsevec cannot "
								   "contain zero values")));
	}
	PG_RETURN_POINTER(result);
}

/* sparsevec_send(sparsevec) */
Datum
vr_sparsevec_send(PG_FUNCTION_ARGS)
{
	VrSparseVec *v = PG_GETARG_VR_SPARSEVEC(0);
	const float *values = VR_SPARSEVEC_VALUES(v);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, (int) VR_SPARSEVEC_SIZE(v->nnz));
	pq_sendint32(&buf, v->dim);
	pq_sendint32(&buf, v->nnz);
	pq_sendint32(&buf, v->unused);
	for (int i = 0; i < v->nnz; i++)
		pq_writeint32(&buf, v->indices[i]);
	for (int i = 0; i < v->nnz; i++)
	{
		uint32 bits;

		memcpy(&bits, &values[i], sizeof(bits));
		pq_writeint32(&buf, bits);
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
