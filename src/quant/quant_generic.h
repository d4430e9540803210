/*
 * quant_generic.h
 *		Kernels in plain C that a compiler vectorises well, written once and
 *		compiled by each set's file for its own instructions: the includer
 *		defines QG_TARGET (a target attribute or nothing).
 *
 * Sums run over 16 partial sums, so that no reassociation has to be allowed.
 * A set uses those that it has not written by hand.
 */
#ifndef VR_QUANT_GENERIC_H
#define VR_QUANT_GENERIC_H

#include "quant/quant_private.h"

#ifndef QG_TARGET
#define QG_TARGET
#endif
#define QG_FN QG_TARGET pg_attribute_unused()

/* Sum of 16 partial sums, pairwise. */
QG_FN static inline float
qg_sum16(const float *s)
{
	float t[8];

	for (size_t i = 0; i < 8; i++)
		t[i] = s[i] + s[i + 8];
	return ((t[0] + t[4]) + (t[1] + t[5])) + ((t[2] + t[6]) + (t[3] + t[7]));
}

QG_FN static float
qg_copy_query(int padded, const float *q, float *copy, float *biggest)
{
	float part[16] = {0};
	float most[16] = {0};

	for (size_t j = 0; j < padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float x = q[j + i];
			float a = fabsf(x);

			copy[j + i] = x;
			part[i] += x * x;
			most[i] = a > most[i] ? a : most[i];
		}
	for (size_t i = 1; i < 16; i++)
		most[0] = most[i] > most[0] ? most[i] : most[0];
	*biggest = most[0];
	return qg_sum16(part);
}

QG_FN static float
qg_make_ints(int padded, const float *q, float inv_step, int16 *q16, int8 *hi,
			 int8 *lo, int32 *sum)
{
	float part[16] = {0};
	int32 total = 0;

	for (size_t j = 0; j < padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float f = quant_round(q[j + i] * inv_step);

			q16[j + i] = (int16) (int32) f;
			part[i] += q[j + i] * f;
		}
	for (size_t j = 0; j < padded; j++)
	{
		int32 l = (int8) (uint8) q16[j];

		lo[j] = (int8) l;
		hi[j] = (int8) ((q16[j] - l) >> 8);
		total += q16[j];
	}
	*sum = total;
	return qg_sum16(part);
}

QG_FN static float
qg_distance_f32(const VrQuantQuery *query, const VrOwnHead *head,
				const void *data)
{
	const float *q = query->q;
	const float *x = data;
	float part[16] = {0};

	for (size_t j = 0; j < query->padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float d = q[j + i] - x[j + i];

			part[i] += d * d;
		}
	return quant_bound(qg_sum16(part));
}

QG_FN static float
qg_pair_f32(int padded, const VrOwnHead *ha, const void *a, const VrOwnHead *hb,
			const void *b)
{
	const float *x = a;
	const float *y = b;
	float part[16] = {0};

	for (size_t j = 0; j < padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float d = x[j + i] - y[j + i];

			part[i] += d * d;
		}
	return quant_bound(qg_sum16(part));
}

QG_FN static float
qg_distance_i8x2_fine(const VrQuantQuery *query, const VrOwnHead *head,
					  const void *data)
{
	const float *q = query->q;
	const uint8 *c1 = data;
	const uint8 *c2 = c1 + query->padded;
	const float fine = 1.0f / VR_I8X2_STEPS;
	const float zero = 128.0f + 128.0f / VR_I8X2_STEPS;
	float scale = head->scale;
	float part[16] = {0};

	for (size_t j = 0; j < query->padded; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float x = ((float) c1[j + i] - zero) + (float) c2[j + i] * fine;
			float d = q[j + i] - scale * x;

			part[i] += d * d;
		}
	return quant_bound(qg_sum16(part));
}

QG_FN static int
qg_least32(const float est[VR_QUANT_LANES])
{
	float least[8];
	float d;
	uint32 mask = 0;

	/* in steps of 8, which the compiler makes vectors of */
	for (size_t i = 0; i < 8; i++)
	{
		float a = est[i] < est[i + 8] ? est[i] : est[i + 8];
		float b = est[i + 16] < est[i + 24] ? est[i + 16] : est[i + 24];

		least[i] = a < b ? a : b;
	}
	d = least[0];
	for (size_t i = 1; i < 8; i++)
		d = least[i] < d ? least[i] : d;
	for (size_t i = 0; i < VR_QUANT_LANES; i++)
		mask |= (uint32) (est[i] == d) << i;
	return __builtin_ctz(mask);
}

QG_FN static void
qg_decode_f16(int padded, float scale, const vr_half *x, float *out)
{
	for (size_t j = 0; j < padded; j++)
		out[j] = scale * quant_half_to_float(x[j]);
}

/* Sum of code * q16 over n bytes; exact. 256 products fit in 32 bits. */
QG_FN static int64
qg_udot_q16(int n, const uint8 *c, const int16 *q16)
{
	int64 total = 0;

	for (size_t j = 0; j < n; j += 256)
	{
		int end = n - j < 256 ? n - j : 256;
		int32 sum = 0;

		for (size_t i = 0; i < end; i++)
			sum += (int32) c[j + i] * q16[j + i];
		total += sum;
	}
	return total;
}

QG_FN static float
qg_distance_i8(const VrQuantQuery *query, const VrOwnHead *head,
			   const void *data)
{
	return quant_int_distance(
		query, head, qg_udot_q16(query->padded, data, query->q16), 1, 128);
}

/*
 * Sub-byte kinds hold coordinate j + t * (P / parts) in bits [t * w, t * w +
 * w) of byte j.
 */
QG_FN static inline int64
qg_udot_packed(int n, int parts, int width, const uint8 *c, const int16 *q16)
{
	int64 total = 0;

	for (int t = 0; t < parts; t++)
	{
		const int16 *q = q16 + t * n;
		int shift = t * width;
		int mask = (1 << width) - 1;

		for (size_t j = 0; j < n; j += 256)
		{
			int end = n - j < 256 ? n - j : 256;
			int32 sum = 0;

			for (size_t i = 0; i < end; i++)
				sum += (int32) ((c[j + i] >> shift) & mask) * q[j + i];
			total += sum;
		}
	}
	return total;
}

QG_FN static float
qg_distance_i4(const VrQuantQuery *query, const VrOwnHead *head,
			   const void *data)
{
	return quant_int_distance(
		query, head, qg_udot_packed(query->padded / 2, 2, 4, data, query->q16),
		2, 15);
}

QG_FN static float
qg_distance_i2(const VrQuantQuery *query, const VrOwnHead *head,
			   const void *data)
{
	return quant_int_distance(
		query, head, qg_udot_packed(query->padded / 4, 4, 2, data, query->q16),
		2, 3);
}

QG_FN static float
qg_pair_i8(int padded, const VrOwnHead *ha, const void *a, const VrOwnHead *hb,
		   const void *b)
{
	const uint8 *x = a;
	const uint8 *y = b;
	int32 dot = 0;
	int32 sum = 0;

	/* 255 * 255 * 16,000 fits */
	for (size_t j = 0; j < padded; j++)
	{
		dot += (int32) x[j] * (int32) y[j];
		sum += (int32) x[j] + (int32) y[j];
	}
	return quant_int_pair(padded, ha, hb, dot, sum, 1, 128);
}

QG_FN static inline float
qg_pair_packed(int padded, int parts, int width, int zero, const VrOwnHead *ha,
			   const uint8 *x, const VrOwnHead *hb, const uint8 *y)
{
	int32 dot = 0;
	int32 sum = 0;
	int mask = (1 << width) - 1;

	for (int t = 0; t < parts; t++)
		for (size_t j = 0; j < padded / parts; j++)
		{
			int32 cx = (x[j] >> (t * width)) & mask;
			int32 cy = (y[j] >> (t * width)) & mask;

			dot += cx * cy;
			sum += cx + cy;
		}
	return quant_int_pair(padded, ha, hb, dot, sum, 2, zero);
}

QG_FN static float
qg_pair_i4(int padded, const VrOwnHead *ha, const void *a, const VrOwnHead *hb,
		   const void *b)
{
	return qg_pair_packed(padded, 2, 4, 15, ha, a, hb, b);
}

QG_FN static float
qg_pair_i2(int padded, const VrOwnHead *ha, const void *a, const VrOwnHead *hb,
		   const void *b)
{
	return qg_pair_packed(padded, 4, 2, 3, ha, a, hb, b);
}

#endif /* VR_QUANT_GENERIC_H */
