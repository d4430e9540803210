/*
 * vr_error.h
 *		Errors that more than one folder raises, worded once.
 *
 * Texts and SQLSTATEs are pgvector's: clients match on them. `type` is the SQL
 * name of the type concerned. Functions that take an escontext are for input
 * functions: from PostgreSQL 16 on they record a soft error there and return a
 * zero Datum for the caller to return; with NULL, and on older servers, they
 * do not return. Include after "postgres.h" and "fmgr.h".
 */
#ifndef VR_ERROR_H
#define VR_ERROR_H

#include "base/vr_defs.h"

#define VR_NORETURN __attribute__((noreturn, cold))

extern Datum VrErrorSyntax(fmNodePtr escontext, const char *type,
						   const char *text, const char *detail);
extern Datum VrErrorOutOfRange(fmNodePtr escontext, const char *type,
							   const char *text, int len);
extern Datum VrErrorDimLimit(fmNodePtr escontext, const char *type, int dim,
							 int max);
extern Datum VrErrorTypmod(fmNodePtr escontext, int32 typmod, int dim);
extern Datum VrErrorNotFinite(fmNodePtr escontext, const char *type,
							  float value);
extern void VrErrorDifferentDims(const char *type, int a, int b) VR_NORETURN;
extern void VrErrorOverflow(void) VR_NORETURN;
extern void VrErrorUnderflow(void) VR_NORETURN;

/* Two operands must have the same number of dimensions. */
static inline void
VrCheckSameDims(const char *type, int a, int b)
{
	if (VR_UNLIKELY(a != b))
		VrErrorDifferentDims(type, a, b);
}

/* A value must have the dimensions its type modifier (or -1) asks for. */
static inline void
VrCheckTypmod(int32 typmod, int dim)
{
	if (VR_UNLIKELY(typmod != -1 && typmod != dim))
		VrErrorTypmod(NULL, typmod, dim);
}

/* A value must have between 1 and max dimensions. */
static inline void
VrCheckDimLimit(const char *type, int dim, int max)
{
	if (VR_UNLIKELY(dim < 1 || dim > max))
		VrErrorDimLimit(NULL, type, dim, max);
}

#endif /* VR_ERROR_H */
