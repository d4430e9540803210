/*
 * quant_data.h
 *		Data and small sums that the tests of src/quant share.
 */
#ifndef QUANT_DATA_H
#define QUANT_DATA_H

#include <math.h>

#include "distance/distance.h"
#include "quant/quant_private.h"
#include "unit.h"

#undef printf
#undef snprintf

/* A standard normal number. */
static inline float
quant_normal(void)
{
	double u = unit_uniform() + 1e-12;

	return (float) (sqrt(-2.0 * log(u)) *
					cos(6.283185307179586 * unit_uniform()));
}

static inline void
quant_normals(int n, float *x, float scale)
{
	for (int i = 0; i < n; i++)
		x[i] = scale * quant_normal();
}

static inline double
quant_l2sq(int n, const float *a, const float *b)
{
	double sum = 0.0;

	for (int i = 0; i < n; i++)
		sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
	return sum;
}

static inline double
quant_dot(int n, const float *a, const float *b)
{
	double sum = 0.0;

	for (int i = 0; i < n; i++)
		sum += (double) a[i] * b[i];
	return sum;
}

/* A layout with these parts, without asking whether it fits a page. */
static inline VrQuantLayout
quant_layout(int dim, VrOwnKind own, int code_bits)
{
	VrQuantLayout layout;

	memset(&layout, 0, sizeof(layout));
	layout.dim = dim;
	layout.padded = VrPaddedDim(dim);
	layout.code_bits = code_bits;
	layout.own = own;
	layout.own_bytes = VrOwnBytes(own, layout.padded);
	layout.code_bytes = VR_CODE_BLOCK_BYTES(code_bits);
	return layout;
}

static inline void *
quant_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

#endif /* QUANT_DATA_H */
