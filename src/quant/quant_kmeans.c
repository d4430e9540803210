/*
 * quant_kmeans.c
 *		k-means with seeded k-means++, over memory of the caller's.
 *
 * Anchors: Lloyd 1982; Arthur and Vassilvitskii, "k-means++", SODA 2007. Rows
 * are assigned a tile at a time: |c|^2 / 2 - <x, c> orders centres as distances
 * do, and products of a tile are what BLAS is for.
 */
#include "c.h"

#include <math.h>

#include "distance/distance.h"
#include "quant/quant.h"

/* Rows of one product. */
#define KMEANS_TILE 256

/* splitmix64: any seed, zero too, gives a good sequence. */
static uint64
KmeansRandom(uint64 *state)
{
	uint64 z = (*state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* In [0, 1). */
static double
KmeansUniform(uint64 *state)
{
	return (KmeansRandom(state) >> 11) * (1.0 / (UINT64CONST(1) << 53));
}

/* Products of a tile, norms of the centres, sums of the rows of each. */
size_t
VrKmeansWorkSize(int dim, int k)
{
	size_t floats = (size_t) KMEANS_TILE * k + k;

	return (floats + floats % 2) * sizeof(float) +
		   (size_t) k * dim * sizeof(double);
}

static const float *
KmeansRow(const VrKmeans *km, int row)
{
	return km->x + (size_t) row * km->stride;
}

/* Makes a row the centre number c, and lowers distances that it is nearer. */
static double
KmeansAddCentre(VrKmeans *km, int c, int row)
{
	const float *centre = KmeansRow(km, row);
	double total = 0;
	int i;

	memcpy(km->centroids + (size_t) c * km->dim, centre,
		   km->dim * sizeof(float));
	for (i = 0; i < km->rows; i++)
	{
		float d = VrDistance->l2sq_f32(km->dim, KmeansRow(km, i), centre);

		if (c == 0 || d < km->distance[i])
			km->distance[i] = d;
		total += km->distance[i];
	}
	return total;
}

/* k-means++: a row is drawn with a chance that grows with its distance. */
static void
KmeansStart(VrKmeans *km)
{
	uint64 state = km->seed;
	double total;
	int c;

	total = KmeansAddCentre(km, 0, (int) (KmeansRandom(&state) % km->rows));
	for (c = 1; c < km->k; c++)
	{
		double target = KmeansUniform(&state) * total;
		int row = 0;
		int i;

		for (i = 0; i < km->rows; i++)
		{
			if (km->distance[i] > 0)
				row = i;
			target -= km->distance[i];
			if (target < 0)
				break;
		}
		/* The caller may want to be interrupted, and products is where. */
		if (km->products != NULL)
			km->products(1, 1, km->dim, km->x, km->stride, km->x, km->stride,
						 km->work, 1);
		total = KmeansAddCentre(km, c, row);
	}
}

static void
KmeansProducts(const VrKmeans *km, int first, int n, float *out)
{
	int i;
	int c;

	if (km->products != NULL)
	{
		km->products(n, km->k, km->dim, KmeansRow(km, first), km->stride,
					 km->centroids, km->dim, out, km->k);
		return;
	}
	for (i = 0; i < n; i++)
		for (c = 0; c < km->k; c++)
			out[(size_t) i * km->k + c] =
				VrDistance->ip_f32(km->dim, KmeansRow(km, first + i),
								   km->centroids + (size_t) c * km->dim);
}

/* Assigns every row to its nearest centre; the number that moved. */
static int
KmeansAssign(VrKmeans *km)
{
	float *products = km->work;
	float *norms = products + (size_t) KMEANS_TILE * km->k;
	int moved = 0;
	int first;
	int c;

	for (c = 0; c < km->k; c++)
	{
		const float *centre = km->centroids + (size_t) c * km->dim;

		norms[c] = VrDistance->ip_f32(km->dim, centre, centre) / 2;
		km->sizes[c] = 0;
	}
	for (first = 0; first < km->rows; first += KMEANS_TILE)
	{
		int n = Min(KMEANS_TILE, km->rows - first);
		int i;

		KmeansProducts(km, first, n, products);
		for (i = 0; i < n; i++)
		{
			const float *product = products + (size_t) i * km->k;
			float least = norms[0] - product[0];
			int best = 0;

			for (c = 1; c < km->k; c++)
				if (norms[c] - product[c] < least)
				{
					least = norms[c] - product[c];
					best = c;
				}
			moved += km->assigned[first + i] != best;
			km->assigned[first + i] = best;
			km->sizes[best]++;
			km->distance[first + i] =
				VrDistance->l2sq_f32(km->dim, KmeansRow(km, first + i),
									 km->centroids + (size_t) best * km->dim);
		}
	}
	return moved;
}

/* Gives a centre without rows the row that is farthest from its own. */
static void
KmeansFillEmpty(VrKmeans *km, int c)
{
	int farthest = 0;
	int i;

	for (i = 1; i < km->rows; i++)
		if (km->distance[i] > km->distance[farthest])
			farthest = i;
	if (km->distance[farthest] == 0)
		return; /* fewer different rows than centres */
	km->distance[farthest] = 0;
	memcpy(km->centroids + (size_t) c * km->dim, KmeansRow(km, farthest),
		   km->dim * sizeof(float));
}

static void
KmeansMove(VrKmeans *km)
{
	size_t floats = (size_t) KMEANS_TILE * km->k + km->k;
	double *sums = (double *) ((float *) km->work + floats + floats % 2);
	int i;
	int j;
	int c;

	memset(sums, 0, (size_t) km->k * km->dim * sizeof(double));
	for (i = 0; i < km->rows; i++)
	{
		const float *x = KmeansRow(km, i);
		double *sum = sums + (size_t) km->assigned[i] * km->dim;

		for (j = 0; j < km->dim; j++)
			sum[j] += x[j];
	}
	for (c = 0; c < km->k; c++)
	{
		float *centre = km->centroids + (size_t) c * km->dim;

		if (km->sizes[c] == 0)
			KmeansFillEmpty(km, c);
		else
			for (j = 0; j < km->dim; j++)
				centre[j] =
					(float) (sums[(size_t) c * km->dim + j] / km->sizes[c]);
	}
}

double
VrKmeansRun(VrKmeans *km)
{
	double total = 0;
	int step;
	int i;

	KmeansStart(km);
	for (i = 0; i < km->rows; i++)
		km->assigned[i] = -1;
	for (step = 0;; step++)
	{
		if (KmeansAssign(km) == 0 || step >= km->iterations)
			break;
		KmeansMove(km);
	}
	for (i = 0; i < km->rows; i++)
		total += km->distance[i];
	return total / km->rows;
}
