/*
 * vr_error.c
 *		Errors that more than one folder raises, worded once.
 *
 * All are out of line and cold, so that the checks in vr_error.h cost their
 * callers one compare and a branch that is never taken.
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/vr_compat.h"
#include "base/vr_error.h"

Datum
VrErrorSyntax(fmNodePtr escontext, const char *type, const char *text,
			  const char *detail)
{
	ereturn(escontext, (Datum) 0,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", type, text),
			 detail ? errdetail_internal("%s", detail) : 0));
}

/* The number is the first len bytes of text, which need not end there. */
Datum
VrErrorOutOfRange(fmNodePtr escontext, const char *type, const char *text,
				  int len)
{
	ereturn(escontext, (Datum) 0,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s", pnstrdup(text, len),
					type)));
}

Datum
VrErrorDimLimit(fmNodePtr escontext, const char *type, int dim, int max)
{
	if (dim < 1)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type)));
	ereturn(escontext, (Datum) 0,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("%s cannot have more than %d dimensions", type, max)));
}

Datum
VrErrorTypmod(fmNodePtr escontext, int32 typmod, int dim)
{
	ereturn(escontext, (Datum) 0,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("expected %d dimensions, not %d", typmod, dim)));
}

/* value is a NaN or an infinity */
Datum
VrErrorNotFinite(fmNodePtr escontext, const char *type, float value)
{
	if (value != value)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type)));
	ereturn(escontext, (Datum) 0,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("infinite value not allowed in %s", type)));
}

void
VrErrorDifferentDims(const char *type, int a, int b)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("different %s dimensions %d and %d", type, a, b)));
}

/* The texts are the server's own for float arithmetic. */
void
VrErrorOverflow(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("value out of range: overflow")));
}

void
VrErrorUnderflow(void)
{
	ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					errmsg("value out of range: underflow")));
}
