/*
 * types_text.c
 *		Text of dense vectors, numbers in it, and type modifiers: what vector,
 *		halfvec and sparsevec have in common.
 */
#include "postgres.h"

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "utils/array.h"

#include "base/vr_error.h"
#include "types/float_parse.h"
#include "types/types_private.h"

/*
 * The number at p as strtof reads it. For what VrFloatParse leaves undecided;
 * the server runs with LC_NUMERIC "C". False after a soft error.
 */
static pg_noinline bool
TypesParseSlow(fmNodePtr escontext, const char *type, const char *text,
			   const char *p, const char **next, float *value)
{
	char *stop;

	errno = 0;
	*value = strtof(p, &stop);
	*next = stop;

	if (stop == p)
	{
		VrErrorSyntax(escontext, type, text, NULL);
		return false;
	}
	if (isfinite(*value))
		return true;
	if (errno == ERANGE)
		VrErrorOutOfRange(escontext, type, p, (int) (stop - p));
	else
		VrErrorNotFinite(escontext, type, *value);
	return false;
}

/* VrTypesParseNumber, to be inlined in the loop of VrTypesParseDense. */
static inline bool
TypesParseNumber(fmNodePtr escontext, const char *type, const char *text,
				 const char **pos, const char *end, char close, float *value)
{
	const char *next;

	if (VR_LIKELY(VrFloatParse(*pos, end, &next, value)) &&
		VR_LIKELY(*next == ',' || *next == close || VrTypesIsSpace(*next)))
	{
		*pos = next;
		return true;
	}
	return TypesParseSlow(escontext, type, text, *pos, pos, value);
}

/*
 * Reads the finite number at *pos, one element of text, and moves *pos behind
 * it. close is the byte that ends the list of elements. errno is ERANGE after a
 * zero or subnormal that only underflow made so. False after a soft error.
 */
bool
VrTypesParseNumber(fmNodePtr escontext, const char *type, const char *text,
				   const char **pos, const char *end, char close, float *value)
{
	errno = 0;
	return TypesParseNumber(escontext, type, text, pos, end, close, value);
}

/*
 * Reads "[1,2,3]" into x, which has room for VR_VECTOR_MAX_DIM elements, and
 * returns their number. Elements of magnitude limit and above are out of range.
 * Returns 0 after a soft error.
 */
int
VrTypesParseDense(fmNodePtr escontext, const char *type, const char *text,
				  float limit, float *x)
{
	const char *p = text;
	const char *end = text + strlen(text);
	int dim = 0;

	while (VrTypesIsSpace(*p))
		p++;
	if (*p != '[')
	{
		VrErrorSyntax(escontext, type, text,
					  "Vector contents must start with \"[\".");
		return 0;
	}
	p++;
	while (VrTypesIsSpace(*p))
		p++;
	if (*p == ']')
	{
		VrErrorDimLimit(escontext, type, 0, VR_VECTOR_MAX_DIM);
		return 0;
	}

	for (;;)
	{
		const char *start;

		if (VR_UNLIKELY(dim == VR_VECTOR_MAX_DIM))
		{
			VrErrorDimLimit(escontext, type, dim + 1, VR_VECTOR_MAX_DIM);
			return 0;
		}
		while (VrTypesIsSpace(*p))
			p++;
		start = p;
		if (!TypesParseNumber(escontext, type, text, &p, end, ']', &x[dim]))
			return 0;
		if (VR_UNLIKELY(fabsf(x[dim]) >= limit))
		{
			VrErrorOutOfRange(escontext, type, start, (int) (p - start));
			return 0;
		}
		dim++;

		while (VrTypesIsSpace(*p))
			p++;
		if (VR_LIKELY(*p == ','))
			p++;
		else if (*p == ']')
			break;
		else
		{
			VrErrorSyntax(escontext, type, text, NULL);
			return 0;
		}
	}

	p++;
	while (VrTypesIsSpace(*p))
		p++;
	if (*p != '\0')
	{
		VrErrorSyntax(escontext, type, text, "Junk after closing right brace.");
		return 0;
	}
	return dim;
}

/* "[1,2,3]", each number the shortest that reads back as the same float. */
char *
VrTypesPrintDense(int dim, const float *x)
{
	/* Its length counts a terminating zero, which here is room for a comma. */
	char *text = palloc((Size) dim * FLOAT_SHORTEST_DECIMAL_LEN + 3);
	char *p = text;

	*p++ = '[';
	for (int i = 0; i < dim; i++)
	{
		p += float_to_shortest_decimal_bufn(x[i], p);
		*p++ = ',';
	}
	if (dim > 0)
		p--;
	*p++ = ']';
	*p = '\0';
	return text;
}

/* The one modifier a type takes, its number of dimensions. */
int32
VrTypesTypmodIn(Datum typmods, const char *type, int32 max)
{
	int count;
	int32 *values = ArrayGetIntegerTypmods(DatumGetArrayTypeP(typmods), &count);

	if (count != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid type modifier")));
	if (values[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type)));
	if (values[0] > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type, max)));
	return values[0];
}

/*
 * The part of 1..dim that start and count (which may reach outside on either
 * side) select: returns its length and sets *first, counted from zero. An
 * empty part is an error.
 */
int
VrTypesSubrange(const char *type, int dim, int32 start, int32 count, int *first)
{
	int64 from = Max((int64) start, 1);
	int64 to = Min((int64) start + count, (int64) dim + 1);

	if (count < 1 || from >= to)
		VrErrorDimLimit(NULL, type, 0, VR_VECTOR_MAX_DIM);
	*first = (int) (from - 1);
	return (int) (to - from);
}
