/*
 * quant_scalar.c
 *		The reference kernels, in portable C. By definition right; the other
 *		sets agree exactly where sums are integers and within rounding
 *		elsewhere.
 */
#include "c.h"

#include "quant/quant_private.h"

#define QG_TARGET
#include "quant/quant_generic.h"

/* ---------------------------------------------------------------- rotation */

static void
scalar_fht(int n, float *x)
{
	float norm = 1.0f / sqrtf((float) n);

	for (size_t i = 0; i < n; i++)
		x[i] *= norm;
	for (int h = 1; h < n; h *= 2)
		for (size_t i = 0; i < n; i += 2 * h)
			for (int j = i; j < i + h; j++)
			{
				float a = x[j];
				float b = x[j + h];

				x[j] = a + b;
				x[j + h] = a - b;
			}
}

void
VrQuantScalarRotate(const VrRotation *rot, const float *mean, const float *in,
					float *out)
{
	int n = rot->padded;
	int half = n / 2;

	for (size_t j = 0; j < n; j++)
	{
		float x = 0.0f;

		if (j < rot->dim)
			x = (mean ? in[j] - mean[j] : in[j]) * rot->scale;
		if (x > VR_COORD_MAX)
			x = VR_COORD_MAX;
		if (x < -VR_COORD_MAX)
			x = -VR_COORD_MAX;
		out[j] = x;
	}
	for (int round = 0; round < VR_ROTATE_ROUNDS; round++)
	{
		const uint8 *signs = rot->signs + round * (n / 8);

		for (size_t j = 0; j < n; j++)
			if (signs[j / 8] >> (j % 8) & 1)
				out[j] = -out[j];
		scalar_fht(rot->block, round % 2 ? out + n - rot->block : out);
		if (n == rot->block || round % 2 == 0)
			continue;
		for (size_t j = 0; j < half; j++)
		{
			float a = out[j];
			float b = out[j + half];

			out[j] = a + b;
			out[j + half] = a - b;
		}
	}
	/* two mixings, each short of a factor 1/sqrt(2) */
	if (n != rot->block)
		for (size_t j = 0; j < n; j++)
			out[j] *= 0.5f;
}

/* ------------------------------------------------------------------ codes */

static void
scalar_make_lut(int code_bits, const float *q, uint8 *lut, float *step,
				float *bias)
{
	float lowest = 0.0f;
	float highest = 0.0f;
	float sum = 0.0f;
	float inv;

	for (size_t j = 0; j < code_bits; j += 4)
	{
		float neg = 0.0f;
		float pos = 0.0f;

		for (int i = 3; i >= 0; i--)
		{
			neg += q[j + i] < 0.0f ? q[j + i] : 0.0f;
			pos += q[j + i] > 0.0f ? q[j + i] : 0.0f;
		}
		sum += neg + pos;
		lowest = neg < lowest ? neg : lowest;
		highest = pos > highest ? pos : highest;
	}
	*step = (highest - lowest) / 255.0f;
	inv = *step > 1.0e-37f ? 1.0f / *step : 0.0f;
	for (size_t j = 0; j < code_bits; j += 4, lut += 16)
	{
		float entry[16];

		entry[0] = 0.0f;
		for (int m = 1; m < 16; m++)
			entry[m] = entry[m & (m - 1)] + q[j + __builtin_ctz(m)];
		for (int m = 0; m < 16; m++)
			lut[m] = (uint8) quant_round((entry[m] - lowest) * inv);
	}
	*bias = (float) (code_bits / 4) * lowest - 0.5f * sum;
}

static void
scalar_accumulate32(int code_bits, const uint8 *block, const uint8 *lut,
					uint32 acc[VR_QUANT_LANES])
{
	memset(acc, 0, sizeof(uint32) * VR_QUANT_LANES);
	for (int g = 0; g < code_bits / 4; g++, block += 16, lut += 16)
		for (size_t j = 0; j < 16; j++)
		{
			acc[j] += lut[block[j] & 15];
			acc[j + 16] += lut[block[j] >> 4];
		}
}

static uint32
scalar_estimate32(const VrQuantQuery *query, float g, const uint8 *block,
				  const VrEdgeFactors *factors, float limit,
				  float est[VR_QUANT_LANES])
{
	uint32 acc[VR_QUANT_LANES];
	uint32 mask = 0;

	scalar_accumulate32(query->code_bits, block, query->lut, acc);
	for (size_t i = 0; i < VR_QUANT_LANES; i++)
	{
		float x = (float) acc[i] * query->lut_step + query->lut_bias;
		float e = quant_bf16_to_float(factors->rescale[i]) * x +
				  (g + factors->add[i]);

		est[i] = quant_bound(e);
		mask |= (uint32) (est[i] < limit) << i;
	}
	return mask;
}

static void
scalar_edge_bits(int padded, int code_bits, const float *v, const float *u,
				 uint8 *row, int stride, float sums[3])
{
	float sr[8] = {0};
	float sv[8] = {0};
	float r2[8] = {0};

	for (size_t j = 0; j < code_bits; j += 8, row += stride)
	{
		unsigned bits = 0;

		for (size_t i = 0; i < 8; i++)
		{
			float r = u[j + i] - v[j + i];
			bool up = r > 0.0f;

			bits |= (unsigned) up << i;
			sr[i] += up ? r : -r;
			sv[i] += up ? v[j + i] : -v[j + i];
			r2[i] += r * r;
		}
		*row = (uint8) bits;
	}
	for (int j = code_bits; j < padded; j += 8)
		for (size_t i = 0; i < 8; i++)
		{
			float r = u[j + i] - v[j + i];

			r2[i] += r * r;
		}
	for (int i = 4; i > 0; i /= 2)
		for (size_t j = 0; j < i; j++)
		{
			sr[j] += sr[j + i];
			sv[j] += sv[j + i];
			r2[j] += r2[j + i];
		}
	sums[0] = 0.5f * sr[0];
	sums[1] = 0.5f * sv[0];
	sums[2] = r2[0];
}

/* ------------------------------------------------------------- own vectors */

static float
scalar_distance_f16(const VrQuantQuery *query, const VrOwnHead *head,
					const void *data)
{
	const float *q = query->q;
	const vr_half *x = data;
	float scale = head->scale;
	float part[16] = {0};

	for (size_t j = 0; j < query->padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float d = q[j + i] - scale * quant_half_to_float(x[j + i]);

			part[i] += d * d;
		}
	return quant_bound(qg_sum16(part));
}

static float
scalar_pair_f16(int padded, const VrOwnHead *ha, const void *a,
				const VrOwnHead *hb, const void *b)
{
	const vr_half *x = a;
	const vr_half *y = b;
	float part[16] = {0};

	for (size_t j = 0; j < padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float d = ha->scale * quant_half_to_float(x[j + i]) -
					  hb->scale * quant_half_to_float(y[j + i]);

			part[i] += d * d;
		}
	return quant_bound(qg_sum16(part));
}

const VrQuantKernels VrQuantScalar = {
	.name = "scalar",
	.rotate = VrQuantScalarRotate,
	.make_lut = scalar_make_lut,
	.copy_query = qg_copy_query,
	.make_ints = qg_make_ints,
	.accumulate32 = scalar_accumulate32,
	.estimate32 = scalar_estimate32,
	.least32 = qg_least32,
	.edge_bits = scalar_edge_bits,
	.decode_f16 = qg_decode_f16,
	.distance = {NULL, qg_distance_f32, scalar_distance_f16, qg_distance_i8,
				 qg_distance_i8, qg_distance_i4, qg_distance_i2},
	.distance_fine = qg_distance_i8x2_fine,
	.pair = {NULL, qg_pair_f32, scalar_pair_f16, qg_pair_i8, qg_pair_i8,
			 qg_pair_i4, qg_pair_i2},
};
