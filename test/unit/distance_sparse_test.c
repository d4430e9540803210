/*
 * distance_sparse_test.c
 *		Sparse sums, to the bit, against dense sums in the order of indices.
 */
#include "c.h"

#include <math.h>

#include "distance_sets.h"

#define DIM 4000

/* A sparse vector whose arrays end where memory ends, and its dense form. */
typedef struct Sparse
{
	int32 *indices_end;
	float *values_end;
	int32 *indices;
	float *values;
	int nnz;
	float dense[DIM];
} Sparse;

static void
sparse_init(Sparse *v)
{
	unit_guarded(DIM * sizeof(int32), &v->indices_end);
	unit_guarded(DIM * sizeof(float), &v->values_end);
}

/* About one element in every step of the first dim; none if step is 0. */
static void
sparse_fill(Sparse *v, int dim, int step)
{
	int n = 0;
	int i;

	memset(v->dense, 0, sizeof(v->dense));
	for (i = 0; i < dim && step > 0; i++)
		if (unit_random() % step == 0)
		{
			v->dense[i] = (float) (unit_uniform() - 0.5);
			n += v->dense[i] != 0;
		}
	v->nnz = n;
	v->indices = v->indices_end - n;
	v->values = v->values_end - n;
	for (i = 0, n = 0; i < dim; i++)
		if (v->dense[i] != 0)
		{
			v->indices[n] = i;
			v->values[n++] = v->dense[i];
		}
}

static bool
sums_agree(const Sparse *a, const Sparse *b)
{
	float l2sq = 0;
	float ip = 0;
	float l1 = 0;
	int i;

	for (i = 0; i < DIM; i++)
	{
		const float d = a->dense[i] - b->dense[i];

		l2sq += d * d;
		ip += a->dense[i] * b->dense[i];
		l1 += fabsf(d);
	}
	return VrSparseL2Sq(a->nnz, a->indices, a->values, b->nnz, b->indices,
						b->values) == l2sq &&
		   VrSparseIp(a->nnz, a->indices, a->values, b->nnz, b->indices,
					  b->values) == ip &&
		   VrSparseL1(a->nnz, a->indices, a->values, b->nnz, b->indices,
					  b->values) == l1;
}

int
main(void)
{
	/* 0 empty, 1 dense */
	static const int steps[] = {0, 1, 2, 10, 200, 3000};
	static Sparse a;
	static Sparse b;
	const int32 far_index[] = {999999999};
	const int32 near_index[] = {0};
	const float value[] = {3};
	const float nan_value[] = {NAN};
	int i;
	int j;

	sparse_init(&a);
	sparse_init(&b);
	for (i = 0; i < lengthof(steps); i++)
		for (j = 0; j < lengthof(steps); j++)
		{
			bool good = true;
			int round;

			for (round = 0; round < 20; round++)
			{
				sparse_fill(&a, round % 2 ? DIM : 30, steps[i]);
				sparse_fill(&b, round % 3 ? DIM : 30, steps[j]);
				good = sums_agree(&a, &b) && good;
			}
			unit_ok(good, "one element in %d against one in %d", steps[i],
					steps[j]);
		}

	unit_ok(VrSparseL2Sq(1, far_index, value, 1, near_index, value) == 18 &&
				VrSparseL1(1, near_index, value, 1, far_index, value) == 6 &&
				VrSparseIp(1, far_index, value, 1, near_index, value) == 0,
			"first and last index there is");
	unit_ok(isnan(VrSparseL2Sq(1, far_index, nan_value, 1, far_index, value)) &&
				isnan(VrSparseL2Sq(1, near_index, nan_value, 1, far_index,
								   value)) &&
				isnan(VrSparseL1(0, NULL, NULL, 1, far_index, nan_value)) &&
				isnan(VrSparseIp(1, far_index, value, 1, far_index, nan_value)),
			"NaN gives NaN");
	return unit_done();
}
