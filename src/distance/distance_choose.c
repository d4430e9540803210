/*
 * distance_choose.c
 *		Which set of kernels this process uses.
 *
 * The CPU is asked once; the choice is a pointer that callers go through. An
 * instruction set counts as present only if the operating system saves its
 * registers, which the compiler's own detection checks.
 */
#include "c.h"

#include "distance/distance_private.h"

#ifdef VR_DISTANCE_X86
#include <cpuid.h>
#endif

#define CHOOSE_MAX_SETS 4

const VrDistanceKernels *VrDistance = NULL;

static const VrDistanceKernels *choose_available[CHOOSE_MAX_SETS];

#ifdef VR_DISTANCE_X86

/* Not every compiler's __builtin_cpu_supports knows this name. */
static bool
choose_has_f16c(void)
{
	unsigned int eax;
	unsigned int ebx;
	unsigned int ecx;
	unsigned int edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

static bool
choose_has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		   __builtin_cpu_supports("popcnt") && choose_has_f16c();
}

static bool
choose_has_avx512(void)
{
	return choose_has_avx2() && __builtin_cpu_supports("avx512f") &&
		   __builtin_cpu_supports("avx512bw") &&
		   __builtin_cpu_supports("avx512dq") &&
		   __builtin_cpu_supports("avx512vl");
}

#endif /* VR_DISTANCE_X86 */

void
VrDistanceInit(void)
{
	int count = 0;

	if (VrDistance != NULL)
		return;

#ifdef VR_DISTANCE_X86
	__builtin_cpu_init();
	if (choose_has_avx512())
		choose_available[count++] = __builtin_cpu_supports("avx512vpopcntdq")
										? &VrDistanceAvx512Popcnt
										: &VrDistanceAvx512;
	if (choose_has_avx2())
		choose_available[count++] = &VrDistanceAvx2;
#endif
#ifdef VR_DISTANCE_NEON
	choose_available[count++] = &VrDistanceNeon;
#endif
	choose_available[count++] = &VrDistanceScalar;
	Assert(count < CHOOSE_MAX_SETS);

	VrDistance = choose_available[0];
}

bool
VrDistanceForce(const char *name)
{
	int i;

	VrDistanceInit();
	for (i = 0; choose_available[i] != NULL; i++)
	{
		/* The best comes first. */
		if (strcmp(name, "auto") == 0 ||
			strcmp(name, choose_available[i]->name) == 0)
		{
			VrDistance = choose_available[i];
			return true;
		}
	}
	return false;
}

const VrDistanceKernels *const *
VrDistanceAvailable(void)
{
	VrDistanceInit();
	return choose_available;
}
