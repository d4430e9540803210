/*
 * vr_compat.h
 *		Every test of the server's version in the project. Other code is
 *		written against the newest server; what older ones lack is supplied
 *		here. Include after "postgres.h" and "fmgr.h".
 */
#ifndef VR_COMPAT_H
#define VR_COMPAT_H

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else
/* No soft errors before 16: input functions throw. */
#define ereturn(context, dummy_value, ...)                                     \
	do                                                                         \
	{                                                                          \
		(void) (context);                                                      \
		ereport(ERROR, __VA_ARGS__);                                           \
	} while (0)
#define SOFT_ERROR_OCCURRED(escontext) false
#endif

#endif /* VR_COMPAT_H */
