/*
 * quant_pq.c
 *		Product quantisation: a vector as the numbers of the nearest centres of
 *		its parts, and distances from a query's tables.
 *
 * Anchor: Jegou, Douze and Schmid, "Product quantization for nearest neighbor
 * search", PAMI 2011. Distances are asymmetric: the query is not quantised.
 */
#include "c.h"

#include <float.h>

#include "distance/distance.h"
#include "quant/quant.h"

static void
PqPut(uint8 *code, int bits, int index, int value)
{
	int at = index * bits;
	int shifted = value << (at % 8);

	code[at / 8] |= (uint8) shifted;
	if (at % 8 + bits > 8)
		code[at / 8 + 1] |= (uint8) (shifted >> 8);
}

static inline int
PqGet(const uint8 *code, int bits, int index)
{
	int at = index * bits;
	int value = code[at / 8] >> (at % 8);

	if (at % 8 + bits > 8)
		value |= code[at / 8 + 1] << (8 - at % 8);
	return value & ((1 << bits) - 1);
}

void
VrPqEncode(const VrPq *pq, const float *x, uint8 *code)
{
	int s;

	memset(code, 0, VrPqCodeBytes(pq));
	for (s = 0; s < pq->subspaces; s++)
	{
		int start = VrPqStart(pq, s);
		int len = VrPqStart(pq, s + 1) - start;
		const float *centre = pq->centroids + VrPqCentroidsAt(pq, s);
		float least = FLT_MAX;
		int best = 0;
		int c;

		for (c = 0; c < 1 << pq->bits; c++, centre += len)
		{
			float d = VrDistance->l2sq_f32(len, x + start, centre);

			if (d < least)
			{
				least = d;
				best = c;
			}
		}
		PqPut(code, pq->bits, s, best);
	}
}

void
VrPqDecode(const VrPq *pq, const uint8 *code, float *x)
{
	int s;

	for (s = 0; s < pq->subspaces; s++)
	{
		int start = VrPqStart(pq, s);
		int len = VrPqStart(pq, s + 1) - start;

		memcpy(x + start,
			   pq->centroids + VrPqCentroidsAt(pq, s) +
				   (size_t) PqGet(code, pq->bits, s) * len,
			   len * sizeof(float));
	}
}

void
VrPqTables(const VrPq *pq, bool ip, const float *query, float *tables)
{
	int s;

	for (s = 0; s < pq->subspaces; s++)
	{
		int start = VrPqStart(pq, s);
		int len = VrPqStart(pq, s + 1) - start;
		const float *centre = pq->centroids + VrPqCentroidsAt(pq, s);
		int c;

		for (c = 0; c < 1 << pq->bits; c++, centre += len)
			*tables++ = ip ? VrDistance->ip_f32(len, query + start, centre)
						   : VrDistance->l2sq_f32(len, query + start, centre);
	}
}

float
VrPqSum(const VrPq *pq, const float *tables, const uint8 *code)
{
	float sum = 0;
	int s;

	if (pq->bits == 8)
	{
		for (s = 0; s < pq->subspaces; s++)
			sum += tables[(size_t) s * 256 + code[s]];
		return sum;
	}
	for (s = 0; s < pq->subspaces; s++)
		sum += tables[((size_t) s << pq->bits) + PqGet(code, pq->bits, s)];
	return sum;
}
