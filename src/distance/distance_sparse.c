/*
 * distance_sparse.c
 *		Distances between sparse vectors: merges of two sorted index lists.
 *
 * Terms are added in the order of their indices, as pgvector adds them. The
 * merge steps by comparisons, not branches: which list comes next is as good
 * as random, and a mispredicted branch costs more than the element.
 */
#include "c.h"

#include <math.h>

#include "distance/distance_private.h"

/*
 * The difference of the two vectors at the lower of the two current indices;
 * moves past it.
 */
VR_DISTANCE_INLINE float
sparse_next_difference(const int32 *ia, const float *xa, int *i,
					   const int32 *ib, const float *xb, int *j)
{
	const int32 index_a = ia[*i];
	const int32 index_b = ib[*j];
	const float a = index_a <= index_b ? xa[*i] : 0.0f;
	const float b = index_b <= index_a ? xb[*j] : 0.0f;

	*i += index_a <= index_b;
	*j += index_b <= index_a;
	return a - b;
}

float
VrSparseL2Sq(int na, const int32 *ia, const float *xa, int nb, const int32 *ib,
			 const float *xb)
{
	float sum = 0.0f;
	int i = 0;
	int j = 0;

	while (i < na && j < nb)
	{
		const float d = sparse_next_difference(ia, xa, &i, ib, xb, &j);

		sum += d * d;
	}
	for (; i < na; i++)
		sum += xa[i] * xa[i];
	for (; j < nb; j++)
		sum += xb[j] * xb[j];
	return sum;
}

float
VrSparseL1(int na, const int32 *ia, const float *xa, int nb, const int32 *ib,
		   const float *xb)
{
	float sum = 0.0f;
	int i = 0;
	int j = 0;

	while (i < na && j < nb)
		sum += fabsf(sparse_next_difference(ia, xa, &i, ib, xb, &j));
	for (; i < na; i++)
		sum += fabsf(xa[i]);
	for (; j < nb; j++)
		sum += fabsf(xb[j]);
	return sum;
}

float
VrSparseIp(int na, const int32 *ia, const float *xa, int nb, const int32 *ib,
		   const float *xb)
{
	float sum = 0.0f;
	int i = 0;
	int j = 0;

	while (i < na && j < nb)
	{
		const int32 index_a = ia[i];
		const int32 index_b = ib[j];

		/* Matches are the rare case and few: this branch predicts well. */
		if (index_a == index_b)
			sum += xa[i] * xb[j];
		i += index_a <= index_b;
		j += index_b <= index_a;
	}
	return sum;
}

/* Four sums side by side, then the rest; pgvector's order for these. */
float
VrSparseNormSq(int n, const float *x)
{
	float s[4] = {0};
	float sum;
	int i = 0;
	int l;

	for (; i + 4 <= n; i += 4)
		for (l = 0; l < 4; l++)
			s[l] += x[i + l] * x[i + l];
	sum = (s[0] + s[2]) + (s[1] + s[3]);
	for (; i < n; i++)
		sum += x[i] * x[i];
	return sum;
}
