/*
 * distance_sets.h
 *		The sets of kernels that the tests of src/distance go through.
 */
#ifndef DISTANCE_SETS_H
#define DISTANCE_SETS_H

#include "distance/distance_private.h"
#include "unit.h"

typedef struct DistanceSet
{
	const char *name;
	const VrDistanceKernels *kernels;
} DistanceSet;

/*
 * Writes the sets that this CPU runs, scalar last, and returns how many.
 * Unlike VrDistanceAvailable(), both variants of AVX-512.
 */
static inline int
distance_sets(DistanceSet sets[5])
{
	const VrDistanceKernels *const *k;
	int n = 0;

	for (k = VrDistanceAvailable(); *k != NULL; k++)
	{
#ifdef VR_DISTANCE_X86
		if (*k == &VrDistanceAvx512Popcnt)
		{
			sets[n].name = "avx512 without vpopcntdq";
			sets[n++].kernels = &VrDistanceAvx512;
		}
#endif
		sets[n].name = (*k)->name;
		sets[n++].kernels = *k;
	}
	return n;
}

#endif /* DISTANCE_SETS_H */
