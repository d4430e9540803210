/*
 * quant_choose.c
 *		Picks the kernels that this CPU runs.
 */
#include "c.h"

#include "quant/quant_private.h"

#ifdef VR_QUANT_X86
#include <cpuid.h>
#endif

const VrQuantKernels *VrQuant = &VrQuantScalar;

/* Filled once, best first. */
static const VrQuantKernels *choose_sets[8];

#ifdef VR_QUANT_X86

static bool
choose_has_avx2(void)
{
	unsigned int a, b, c, d;

	/* not every compiler's __builtin_cpu_supports knows f16c */
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		   __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

static bool
choose_has_avx512(void)
{
	return choose_has_avx2() && __builtin_cpu_supports("avx512f") &&
		   __builtin_cpu_supports("avx512bw") &&
		   __builtin_cpu_supports("avx512dq") &&
		   __builtin_cpu_supports("avx512vl");
}

#endif /* VR_QUANT_X86 */

const VrQuantKernels *const *
VrQuantAvailable(void)
{
	int n = 0;

	if (choose_sets[0] != NULL)
		return choose_sets;
#ifdef VR_QUANT_X86
	__builtin_cpu_init();
	if (choose_has_avx512() && __builtin_cpu_supports("avx512vnni"))
		choose_sets[n++] = &VrQuantAvx512Vnni;
	if (choose_has_avx512())
		choose_sets[n++] = &VrQuantAvx512;
	if (choose_has_avx2())
		choose_sets[n++] = &VrQuantAvx2;
	if (__builtin_cpu_supports("ssse3"))
		choose_sets[n++] = &VrQuantSsse3;
#endif
#ifdef VR_QUANT_ARM
	choose_sets[n++] = &VrQuantNeon;
#endif
	choose_sets[n] = &VrQuantScalar;
	return choose_sets;
}

void
VrQuantInit(void)
{
	VrQuant = VrQuantAvailable()[0];
}

bool
VrQuantForce(const char *name)
{
	const VrQuantKernels *const *sets = VrQuantAvailable();

	if (strcmp(name, "auto") == 0)
	{
		VrQuant = sets[0];
		return true;
	}
	for (int i = 0; sets[i] != NULL; i++)
		if (strcmp(sets[i]->name, name) == 0)
		{
			VrQuant = sets[i];
			return true;
		}
	/* "avx512" also means the set without VNNI where that is the only one */
	for (int i = 0; sets[i] != NULL; i++)
		if (strncmp(sets[i]->name, name, strlen(name)) == 0 &&
			sets[i]->name[strlen(name)] == '-')
		{
			VrQuant = sets[i];
			return true;
		}
	return false;
}
