/*
 * quant_estimate_test.c
 *		The estimator: unbiased over rotations, and its error within 15 % of the
 *		law, on Gaussian data and on clusters far from the origin.
 */
#include "c.h"

#include "quant_data.h"

enum
{
	QUERIES = 4
};

/* Under valgrind fewer, whose mean is the less certain: see main(). */
static int rotations = 96;
static double bias_limit = 0.1; /* of the law's error */

/* What the estimates of one configuration were worth. */
typedef struct EstimateError
{
	double bias; /* mean of error / (2 |r| |q-v|) */
	double rms;  /* root mean square of the same */
	double count;
	double table;  /* rms of the estimate minus the one without table */
	double factor; /* rms effect of rounding the factors */
} EstimateError;

/*
 * Points around the mean: Gaussian, or clusters whose spread lies in a
 * 24-dimensional subspace plus a little noise.
 */
static void
make_point(int dim, bool clustered, const float *centres,
		   const float *directions, const float *mean, float *x)
{
	if (clustered)
	{
		memcpy(x, centres + (unit_random() % 8) * dim, dim * sizeof(float));
		for (int d = 0; d < 24; d++)
		{
			float w = 0.5f * quant_normal();

			for (int j = 0; j < dim; j++)
				x[j] += w * directions[d * dim + j];
		}
		for (int j = 0; j < dim; j++)
			x[j] += 0.3f * quant_normal();
	}
	else
		quant_normals(dim, x, 1.0f);
	for (int j = 0; j < dim; j++)
		x[j] += mean[j];
}

/*
 * Queries are points like any other, or, if independent, v plus the difference
 * of two other points: then q-v is on average orthogonal to r, which is the
 * case of the law. (Otherwise the error shrinks by the sine of their angle.)
 */
static EstimateError
measure(int dim, int code_bits, bool clustered, bool centred, bool independent)
{
	int n = VrPaddedDim(dim);
	VrQuantLayout layout = quant_layout(dim, VR_OWN_F32, code_bits);
	void *mem = quant_alloc(VrRotationSize(dim));
	void *query_mem = quant_alloc(VrQuantQuerySize(&layout));
	float *centres = quant_alloc(8 * dim * sizeof(float));
	float *directions = quant_alloc(24 * dim * sizeof(float));
	float *mean = quant_alloc(dim * sizeof(float));
	float *raw = quant_alloc(dim * sizeof(float));
	float *v = quant_alloc(n * sizeof(float));
	float *u = quant_alloc(32 * n * sizeof(float));
	float *q = quant_alloc(n * sizeof(float));
	float *a = quant_alloc(n * sizeof(float));
	float *b = quant_alloc(n * sizeof(float));
	uint8 *block = quant_alloc(VR_CODE_BLOCK_BYTES(code_bits));
	const float *refs[32];
	float r2[32];
	VrEdgeFactors factors;
	EstimateError result = {0};

	quant_normals(8 * dim, centres, 1.0f);
	quant_normals(24 * dim, directions, 1.0f);
	quant_normals(dim, mean, 20.0f);
	for (int r = 0; r < rotations; r++)
	{
		VrRotation rot;

		VrRotationInit(&rot, dim, unit_random(), 1.0f, mem);
		make_point(dim, clustered, centres, directions, mean, raw);
		VrRotate(&rot, centred ? mean : NULL, raw, v);
		for (int i = 0; i < 32; i++)
		{
			make_point(dim, clustered, centres, directions, mean, raw);
			VrRotate(&rot, centred ? mean : NULL, raw, u + i * n);
			refs[i] = u + i * n;
		}
		VrEdgeBlockEncode(n, code_bits, v, 32, refs, NULL, block, &factors, r2);
		for (int k = 0; k < QUERIES; k++)
		{
			VrQuantQuery *query;
			float est[32];
			double g;

			make_point(dim, clustered, centres, directions, mean, raw);
			VrRotate(&rot, centred ? mean : NULL, raw, q);
			if (independent)
			{
				make_point(dim, clustered, centres, directions, mean, raw);
				VrRotate(&rot, centred ? mean : NULL, raw, a);
				make_point(dim, clustered, centres, directions, mean, raw);
				VrRotate(&rot, centred ? mean : NULL, raw, b);
				for (int j = 0; j < n; j++)
					q[j] = v[j] + a[j] - b[j];
			}
			query = VrQuantQueryInit(&layout, q, VR_QUERY_CODES, query_mem);
			g = quant_l2sq(n, q, v);
			VrEstimate32(query, (float) g, block, &factors, INFINITY, est);
			for (int i = 0; i < 32; i++)
			{
				double exact = quant_l2sq(n, q, refs[i]);
				double unit = 2.0 * sqrt(r2[i] * g);
				double error = (est[i] - exact) / unit;
				double sr = 0.0, sd = 0.0;
				double plain, rounded;

				/* the estimate with exact factors and no table */
				for (int j = 0; j < code_bits; j++)
				{
					double res = (double) refs[i][j] - v[j];
					double s = res > 0.0 ? 0.5 : -0.5;

					sr += s * res;
					sd += s * ((double) q[j] - v[j]);
				}
				plain = g + r2[i] - 2.0 * r2[i] / sr * sd;
				rounded =
					g + r2[i] + quant_bf16_to_float(factors.rescale[i]) * sd;
				result.bias += error;
				result.rms += error * error;
				result.table +=
					(est[i] - rounded) / unit * (est[i] - rounded) / unit;
				result.factor +=
					(rounded - plain) / unit * (rounded - plain) / unit;
				result.count++;
			}
		}
	}
	result.bias /= result.count;
	result.rms = sqrt(result.rms / result.count);
	result.table = sqrt(result.table / result.count);
	result.factor = sqrt(result.factor / result.count);
	free(mem);
	free(query_mem);
	free(centres);
	free(directions);
	free(mean);
	free(raw);
	free(v);
	free(u);
	free(q);
	free(a);
	free(b);
	free(block);
	return result;
}

int
main(void)
{
	static const struct
	{
		int dim;
		int code_bits;
	} shapes[] = {{64, 64},   {128, 128},   {128, 96},    {200, 208},
				  {384, 384}, {384, 272},   {768, 768},   {768, 544},
				  {768, 320}, {1536, 1536}, {1536, 1168}, {1536, 544}};

	if (getenv("VR_FEW"))
	{
		rotations = 16;
		bias_limit *= sqrt(96.0 / 16);
	}
	VrDistanceInit();
	VrQuantInit();
	for (int i = 0; i < lengthof(shapes); i++)
		for (int clustered = 0; clustered < 2; clustered++)
		{
			int dim = shapes[i].dim;
			int bits = shapes[i].code_bits;
			const char *kind = clustered ? "clusters" : "Gaussian";
			EstimateError e = measure(dim, bits, clustered, true, true);
			double law = VrEstimateSigma(VrPaddedDim(dim), bits);

			unit_ok(fabs(e.rms - law) < 0.15 * law,
					"%d bits of %d, %s: rms error %.4f, law %.4f", bits, dim,
					kind, e.rms, law);
			e = measure(dim, bits, clustered, true, false);
			unit_ok(e.rms < law && fabs(e.bias) < bias_limit * law,
					"%d bits of %d, %s: bias %.5f of rms %.4f", bits, dim, kind,
					e.bias, e.rms);
			unit_ok(e.table < 0.35 * law && e.factor < 0.06 * law,
					"%d bits of %d, %s: table costs %.5f, rounded factors "
					"%.5f",
					bits, dim, kind, e.table, e.factor);
		}
	{
		EstimateError on = measure(384, 384, true, true, false);
		EstimateError off = measure(384, 384, true, false, false);

		unit_ok(off.table > 3.0 * on.table,
				"without centring the table costs %.5f, with it %.5f",
				off.table, on.table);
	}
	return unit_done();
}
