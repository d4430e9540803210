/*
 * vr_module.c
 *		The library's magic block and _PG_init, which calls each folder's own
 *		initialisation and does nothing else.
 */
#include "postgres.h"

#include "fmgr.h"

#include "distance/distance.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	VrDistanceInit();
}
