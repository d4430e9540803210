/*
 * quant_rotate.c
 *		Set-up of the random rotation; the kernels apply it.
 */
#include "c.h"

#include "quant/quant_private.h"

/*
 * The sign generator, part of the disk format: splitmix64. Word w of the
 * stream is mix(seed + (w + 1) * golden); its bits, lowest first, are the
 * signs 64 w .. 64 w + 63, and sign i belongs to round i / P, coordinate i % P.
 */
static uint64
rotate_signs(uint64 seed, uint64 word)
{
	uint64 z = seed + (word + 1) * UINT64CONST(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

int
VrPaddedDim(int dim)
{
	int unit = dim < 128 ? 32 : 16;

	return (dim + unit - 1) / unit * unit;
}

size_t
VrRotationSize(int dim)
{
	/* eight bytes beyond, as kernels read signs by whole registers */
	return (size_t) VrPaddedDim(dim) * VR_ROTATE_ROUNDS / 8 + 8;
}

void
VrRotationInit(VrRotation *rot, int dim, uint64 seed, float scale, void *mem)
{
	uint8 *signs = mem;
	size_t size = VrRotationSize(dim);

	rot->dim = dim;
	rot->padded = VrPaddedDim(dim);
	rot->block = 32;
	while (rot->block * 2 <= rot->padded)
		rot->block *= 2;
	rot->scale = scale;
	rot->signs = signs;
	for (size_t i = 0; i < size; i++)
		signs[i] = (uint8) (rotate_signs(seed, i / 8) >> (i % 8 * 8));
}

float
VrRotationScale(double mean_norm2)
{
	int exponent;

	if (!(mean_norm2 > 0.0) || mean_norm2 > 1.0e300)
		return 1.0f;
	frexp(sqrt(mean_norm2), &exponent);
	/* near 1 nothing is gained, and 1 is the simplest number to reason with */
	if (exponent > -40 && exponent < 40)
		return 1.0f;
	/* within float32's normal range */
	if (exponent < -120)
		exponent = -120;
	if (exponent > 120)
		exponent = 120;
	return ldexpf(1.0f, -exponent);
}

void
VrRotate(const VrRotation *rot, const float *mean, const float *in, float *out)
{
	VrQuant->rotate(rot, mean, in, out);
}
