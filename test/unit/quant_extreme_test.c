/*
 * quant_extreme_test.c
 *		Input of every bad kind: results stay finite, order stays right.
 */
#include "c.h"

#include <float.h>

#include "quant_data.h"

enum
{
	NKINDS = 12
};

/*
 * Zero, one-hot, constant, huge, largest float, mixed, denormal, tiny,
 * alternating, a duplicate of the first, ordinary, one huge entry.
 */
static void
make_vector(int kind, int dim, float *x)
{
	for (int j = 0; j < dim; j++)
		switch (kind)
		{
			case 0:
				x[j] = 0.0f;
				break;
			case 1:
				x[j] = j == dim / 2 ? 1.0f : 0.0f;
				break;
			case 2:
				x[j] = 0.25f;
				break;
			case 3:
				x[j] = 1e18f * (j % 3 + 1);
				break;
			case 4:
				x[j] = j % 2 ? FLT_MAX : -FLT_MAX;
				break;
			case 5:
				x[j] = j % 2 ? 1e15f : 1e-15f;
				break;
			case 6:
				x[j] = 1e-42f * (j % 5);
				break;
			case 7:
				x[j] = 1e-25f * (j % 7 - 3);
				break;
			case 8:
				x[j] = j % 2 ? 1.0f : -1.0f;
				break;
			case 9:
				x[j] = 0.0f;
				break;
			case 10:
				x[j] = (float) (j * 7919 % 101) / 50.0f - 1.0f;
				break;
			case 11:
				x[j] = j == 0 ? 3e38f : 1.0f;
				break;
		}
}

static bool
fine(float x)
{
	return isfinite(x);
}

/* All pairs of kinds, every own kind, codes of every neighbour. */
static bool
check_finite(int dim, float scale)
{
	int n = VrPaddedDim(dim);
	int code_bits = n < 256 ? n : 256;
	VrRotation rot;
	void *mem = quant_alloc(VrRotationSize(dim));
	float *raw = quant_alloc(dim * sizeof(float));
	float *mean = quant_alloc(dim * sizeof(float));
	float *x = quant_alloc(NKINDS * n * sizeof(float));
	float *back = quant_alloc(n * sizeof(float));
	uint8 *block = quant_alloc(VR_CODE_BLOCK_BYTES(code_bits));
	const float *refs[32];
	bool ok = true;

	VrRotationInit(&rot, dim, 99, scale, mem);
	make_vector(10, dim, mean);
	for (int with_mean = 0; with_mean < 2; with_mean++)
	{
		for (int k = 0; k < NKINDS; k++)
		{
			make_vector(k, dim, raw);
			VrRotate(&rot, with_mean ? mean : NULL, raw, x + k * n);
			for (int j = 0; j < n; j++)
				ok &= fine(x[k * n + j]);
		}
		for (int i = 0; i < 32; i++)
			refs[i] = x + i % NKINDS * n;
		for (int own = VR_OWN_F32; own < VR_OWN_NKINDS; own++)
		{
			VrQuantLayout layout = quant_layout(dim, own, code_bits);
			void *query_mem = quant_alloc(VrQuantQuerySize(&layout));
			uint8 *data[NKINDS];
			VrOwnHead heads[NKINDS];

			for (int k = 0; k < NKINDS; k++)
			{
				data[k] = quant_alloc(layout.own_bytes);
				VrOwnEncode(own, n, refs[k], &heads[k], data[k]);
				ok &= fine(heads[k].norm2) && fine(heads[k].scale) &&
					  fine(heads[k].err);
				VrOwnDecode(own, n, &heads[k], data[k], back);
				for (int j = 0; j < n; j++)
					ok &= fine(back[j]);
			}
			for (int k = 0; k < NKINDS; k++)
			{
				VrEdgeFactors factors;
				float est[32];
				float r2[32];

				VrEdgeBlockEncode(n, code_bits, refs[k], 32, refs, NULL, block,
								  &factors, r2);
				for (int i = 0; i < 32; i++)
					ok &= fine(r2[i]) && fine(factors.add[i]) &&
						  fine(VrEdgeNorm(n, code_bits, &factors, i));
				for (int l = 0; l < NKINDS; l++)
				{
					VrQuantQuery *query = VrQuantQueryInit(
						&layout, refs[l], VR_QUERY_CODES | VR_QUERY_OWN,
						query_mem);
					float g = VrOwnDistance(query, &heads[k], data[k]);

					ok &= fine(g);
					ok &= fine(VrOwnDistanceFine(query, &heads[k], data[k]));
					ok &= fine(VrOwnPairDistance(own, n, &heads[k], data[k],
												 &heads[l], data[l]));
					VrEstimate32(query, g, block, &factors, INFINITY, est);
					for (int i = 0; i < 32; i++)
						ok &= fine(est[i]);
				}
			}
			for (int k = 0; k < NKINDS; k++)
				free(data[k]);
			free(query_mem);
		}
	}
	free(mem);
	free(raw);
	free(mean);
	free(x);
	free(back);
	free(block);
	return ok;
}

/* Gaussian data of that norm: distances are right relative to themselves. */
static void
check_scale(float size, float scale)
{
	enum
	{
		DIM = 128
	};
	VrRotation rot;
	uint8 mem[128];
	float raw[DIM], v[DIM], u[32][DIM], q[DIM];
	const float *refs[32];
	bool ok = true;

	VrRotationInit(&rot, DIM, 5, scale, mem);
	quant_normals(DIM, raw, size);
	VrRotate(&rot, NULL, raw, v);
	quant_normals(DIM, raw, size);
	VrRotate(&rot, NULL, raw, q);
	for (int i = 0; i < 32; i++)
	{
		quant_normals(DIM, raw, size);
		VrRotate(&rot, NULL, raw, u[i]);
		refs[i] = u[i];
	}
	for (int own = VR_OWN_F32; own < VR_OWN_NKINDS; own++)
	{
		VrQuantLayout layout = quant_layout(DIM, own, DIM);
		void *query_mem = quant_alloc(VrQuantQuerySize(&layout));
		uint8 *block = quant_alloc(layout.code_bytes);
		uint8 *data = quant_alloc(layout.own_bytes);
		VrEdgeFactors factors;
		VrQuantQuery *query;
		VrOwnHead head;
		float est[32];
		double g = quant_l2sq(DIM, q, v);
		double d;
		double rms = 0.0;

		VrOwnEncode(own, DIM, v, &head, data);
		query = VrQuantQueryInit(&layout, q, VR_QUERY_CODES | VR_QUERY_OWN,
								 query_mem);
		d = VrOwnDistance(query, &head, data);
		ok &= fabs(d - g) < 6.0 * VrOwnSigma(own, DIM) * g + 1e-5 * g;
		VrEdgeBlockEncode(DIM, DIM, v, 32, refs, NULL, block, &factors, NULL);
		VrEstimate32(query, (float) g, block, &factors, INFINITY, est);
		for (int i = 0; i < 32; i++)
		{
			double error = (est[i] - quant_l2sq(DIM, q, u[i])) /
						   (2.0 * sqrt(g * quant_l2sq(DIM, u[i], v)));

			rms += error * error / 32.0;
		}
		ok &= sqrt(rms) < 1.6 * VrEstimateSigma(DIM, DIM);
		free(query_mem);
		free(block);
		free(data);
	}
	unit_ok(ok, "coordinates near %g with scale %g keep their accuracy",
			(double) size, (double) scale);
}

/* A neighbour equal to the vertex, and equal to the query. */
static void
check_duplicates(void)
{
	enum
	{
		DIM = 384
	};
	float v[DIM], q[DIM];
	const float *refs[2] = {v, q};
	VrQuantLayout layout = quant_layout(DIM, VR_OWN_F16, DIM);
	void *mem = quant_alloc(VrQuantQuerySize(&layout));
	uint8 *block = quant_alloc(layout.code_bytes);
	VrEdgeFactors factors;
	VrQuantQuery *query;
	float est[32];
	float g;
	uint32 mask;

	quant_normals(DIM, v, 1.0f);
	quant_normals(DIM, q, 1.0f);
	g = (float) quant_l2sq(DIM, q, v);
	VrEdgeBlockEncode(DIM, DIM, v, 2, refs, NULL, block, &factors, NULL);
	query = VrQuantQueryInit(&layout, q, VR_QUERY_CODES, mem);
	mask = VrEstimate32(query, g, block, &factors, VR_ESTIMATE_MAX, est);
	unit_ok(est[0] == g && factors.rescale[0] == 0 && factors.add[0] == 0.0f,
			"a duplicate of the vertex is as far as the vertex");
	unit_ok(fabsf(est[1]) < 0.1f * g,
			"an equal of the query is near: %.3f of %.1f", est[1], g);
	unit_ok(mask == 3 && est[2] == VR_ESTIMATE_MAX,
			"empty lanes are never below a limit");
	mask = VrEstimate32(query, -1e37f, block, &factors, VR_ESTIMATE_MAX, est);
	unit_ok(mask == 3, "not even if the vertex is absurdly near");
	query = VrQuantQueryInit(&layout, v, VR_QUERY_CODES, mem);
	VrEstimate32(query, 0.0f, block, &factors, VR_ESTIMATE_MAX, est);
	unit_ok(fabsf(est[1] - g) < 0.01f * g && est[0] == 0.0f,
			"the vertex as query yields the lengths of its edges");
	free(mem);
	free(block);
}

/* Inner product: the extra term of every edge ends up in its estimate. */
static void
check_extra(void)
{
	enum
	{
		DIM = 256
	};
	float v[DIM], q[DIM], u[32][DIM];
	const float *refs[32];
	float extra[32];
	VrQuantLayout layout = quant_layout(DIM, VR_OWN_F16, DIM);
	void *mem = quant_alloc(VrQuantQuerySize(&layout));
	uint8 *block = quant_alloc(layout.code_bytes);
	VrEdgeFactors factors;
	VrQuantQuery *query;
	double q2;
	double g;
	double rms = 0.0;
	float est[32];

	quant_normals(DIM, v, 1.0f);
	quant_normals(DIM, q, 1.0f);
	for (int i = 0; i < 32; i++)
	{
		/* norms that differ widely */
		quant_normals(DIM, u[i], (float) (i + 1) / 8.0f);
		refs[i] = u[i];
		extra[i] = (float) -quant_dot(DIM, u[i], u[i]);
	}
	g = quant_l2sq(DIM, q, v);
	q2 = quant_dot(DIM, q, q);
	VrEdgeBlockEncode(DIM, DIM, v, 32, refs, extra, block, &factors, NULL);
	query = VrQuantQueryInit(&layout, q, VR_QUERY_CODES, mem);
	VrEstimate32(query, (float) g, block, &factors, INFINITY, est);
	for (int i = 0; i < 32; i++)
	{
		double exact = -2.0 * quant_dot(DIM, q, u[i]);
		double error =
			(est[i] - q2 - exact) / (2.0 * sqrt(g * quant_l2sq(DIM, u[i], v)));

		rms += error * error / 32.0;
	}
	rms = sqrt(rms);
	unit_ok(rms < 1.4 * VrEstimateSigma(DIM, DIM),
			"inner products of vectors of any norm: rms error %.4f", rms);
	free(mem);
	free(block);
}

int
main(void)
{
	static const int dims[] = {1, 2, 3, 17, 100, 768, 2000, 16000};
	const VrQuantKernels *const *sets;

	VrDistanceInit();
	VrQuantInit();
	sets = VrQuantAvailable();
	for (int s = 0; sets[s] != NULL; s++)
	{
		VrQuantForce(sets[s]->name);
		for (int i = 0; i < lengthof(dims); i++)
			for (int e = -100; e <= 100; e += 100)
				if (dims[i] < 2000 || (s == 0 && e == 0))
					unit_ok(check_finite(dims[i], ldexpf(1.0f, e)),
							"%s: %d dimensions, scale 2^%d: all finite",
							sets[s]->name, dims[i], e);
	}
	VrQuantForce("auto");
	check_scale(1.0f, 1.0f);
	check_scale(1e-12f, 1.0f);
	check_scale(1e12f, 1.0f);
	check_scale(1e-30f, VrRotationScale(128e-60));
	check_scale(1e30f, VrRotationScale(128e60));
	check_duplicates();
	check_extra();
	return unit_done();
}
