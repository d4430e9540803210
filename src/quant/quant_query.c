/*
 * quant_query.c
 *		Preparation of a query: the look-up tables for the codes and the integer
 *		planes for the own vectors.
 */
#include "c.h"

#include "quant/quant_private.h"

#define QUERY_ALIGN(n) (((n) + 63) & ~(size_t) 63)

static bool
query_wants_ints(VrOwnKind kind)
{
	return kind == VR_OWN_I8 || kind == VR_OWN_I8X2 || kind == VR_OWN_I4 ||
		   kind == VR_OWN_I2;
}

size_t
VrQuantQuerySize(const VrQuantLayout *layout)
{
	size_t n = layout->padded;
	size_t size = 64 + QUERY_ALIGN(sizeof(VrQuantQuery));

	size += QUERY_ALIGN(n * sizeof(float));
	size += QUERY_ALIGN((size_t) layout->code_bits * 4);
	if (query_wants_ints(layout->own))
		size += QUERY_ALIGN(n * sizeof(int16)) + 2 * QUERY_ALIGN(n);
	return size;
}

static void
query_make_ints(VrQuantQuery *query, float biggest, int16 *q16, int8 *hi,
				int8 *lo)
{
	float step = biggest / (float) VR_Q16_MAX;
	float inv = step > 1.0e-37f ? 1.0f / step : 0.0f;
	float cross;

	cross = VrQuant->make_ints(query->padded, query->q, inv, q16, hi, lo,
							   &query->sum_q16);
	query->q16 = q16;
	query->hi = hi;
	query->lo = lo;
	query->int_scale = step;
	/* |qhat|^2 - |q - qhat|^2 */
	query->int_norm2 = 2.0f * step * cross - query->norm2;
}

VrQuantQuery *
VrQuantQueryInit(const VrQuantLayout *layout, const float *q, int parts,
				 void *mem)
{
	char *at = (char *) QUERY_ALIGN((uintptr_t) mem);
	VrQuantQuery *query = (VrQuantQuery *) at;
	int n = layout->padded;
	float *copy;
	float biggest;

	at += QUERY_ALIGN(sizeof(VrQuantQuery));
	copy = (float *) at;
	at += QUERY_ALIGN(n * sizeof(float));

	memset(query, 0, sizeof(*query));
	query->padded = n;
	query->code_bits = layout->code_bits;
	query->own = layout->own;
	query->distance = VrQuant->distance[layout->own];
	query->estimate = VrQuant->estimate32;
	query->q = copy;

	query->norm2 = VrQuant->copy_query(n, q, copy, &biggest);

	if (parts & VR_QUERY_CODES)
	{
		uint8 *lut = (uint8 *) at;

		VrQuant->make_lut(layout->code_bits, copy, lut, &query->lut_step,
						  &query->lut_bias);
		query->lut = lut;
	}
	at += QUERY_ALIGN((size_t) layout->code_bits * 4);

	if ((parts & VR_QUERY_OWN) && query_wants_ints(layout->own))
	{
		int16 *q16 = (int16 *) at;
		int8 *hi = (int8 *) (at + QUERY_ALIGN(n * sizeof(int16)));

		query_make_ints(query, biggest, q16, hi, hi + QUERY_ALIGN((size_t) n));
	}
	return query;
}
