/*
 * distance_half.c
 *		Conversion of single float16 values.
 */
#include "c.h"

#include "distance/distance_private.h"

float
VrHalfToFloat(vr_half h)
{
	return VrHalfToFloatInline(h);
}

vr_half
VrFloatToHalf(float f)
{
	return VrFloatToHalfInline(f);
}
