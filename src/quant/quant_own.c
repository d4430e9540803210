/*
 * quant_own.c
 *		Encoding and decoding of a vertex's own vector, and the entry points of
 *		its distances.
 */
#include "c.h"

#include "distance/distance.h"
#include "quant/quant_private.h"

/* How far ahead the batch functions prefetch, and how many lines of each. */
#define OWN_PREFETCH_AHEAD 2
#define OWN_PREFETCH_BYTES 512

static const char *const own_names[VR_OWN_NKINDS] = {
	"auto", "f32", "f16", "int8", "int8x2", "int4", "int2"};

const char *
VrOwnKindName(VrOwnKind kind)
{
	return (unsigned) kind < VR_OWN_NKINDS ? own_names[kind] : "unknown";
}

bool
VrOwnKindFromName(const char *name, VrOwnKind *kind)
{
	for (size_t i = 0; i < VR_OWN_NKINDS; i++)
		if (strcmp(name, own_names[i]) == 0)
		{
			*kind = (VrOwnKind) i;
			return true;
		}
	return false;
}

/* Bytes in use, before rounding. */
static int
own_exact_bytes(VrOwnKind kind, int padded)
{
	switch (kind)
	{
		case VR_OWN_F32:
			return padded * 4;
		case VR_OWN_F16:
		case VR_OWN_I8X2:
			return padded * 2;
		case VR_OWN_I8:
			return padded;
		case VR_OWN_I4:
			return padded / 2;
		case VR_OWN_I2:
			return padded / 4;
		case VR_OWN_AUTO:
			break;
	}
	return 0;
}

int
VrOwnBytes(VrOwnKind kind, int padded)
{
	return (own_exact_bytes(kind, padded) + 7) & ~7;
}

float
VrOwnSigma(VrOwnKind kind, int padded)
{
	/* |e| / |x| for Gaussian coordinates, which rotated ones resemble */
	float loss = 0.0f;

	switch (kind)
	{
		case VR_OWN_F16:
			loss = 0.00021f;
			break;
		case VR_OWN_I8:
		case VR_OWN_I8X2:
			/* the step is 1/127 of the largest of P coordinates */
			loss = 0.95f * sqrtf(2.0f * logf((float) padded) / 12.0f) / 127.0f;
			break;
		case VR_OWN_I4:
			loss = 0.108f;
			break;
		case VR_OWN_I2:
			loss = 0.368f;
			break;
		default:
			break;
	}
	return 2.0f * loss / sqrtf((float) padded);
}

static float
own_max_abs(int n, const float *x)
{
	float part[8] = {0};

	for (size_t j = 0; j < n; j += 8)
		for (size_t i = 0; i < 8; i++)
		{
			float a = fabsf(x[j + i]);

			part[i] = a > part[i] ? a : part[i];
		}
	for (int i = 1; i < 8; i++)
		part[0] = part[i] > part[0] ? part[i] : part[0];
	return part[0];
}

/* Fills head from what was stored: sums of xhat^2 and (x - xhat)^2. */
static void
own_set_head(VrOwnHead *head, float scale, double hat2, double err2)
{
	head->norm2 = (float) (hat2 - err2);
	head->scale = scale;
	head->err = (float) sqrt(err2);
}

static void
own_encode_f32(int n, const float *x, VrOwnHead *head, float *data)
{
	memcpy(data, x, sizeof(float) * n);
	own_set_head(head, 1.0f, VrDistance->ip_f32(n, x, x), 0.0);
}

/*
 * float16 has five bits of exponent; the common factor moves the largest
 * coordinate to the top of its range, so that vectors of any norm keep eleven
 * bits in every coordinate that matters.
 */
static void
own_encode_f16(int n, const float *x, VrOwnHead *head, vr_half *data)
{
	float biggest = own_max_abs(n, x);
	float scale = 1.0f;
	float inv = 1.0f;
	double hat2 = 0.0;
	double err2 = 0.0;

	if (biggest > 0.0f)
	{
		int exponent;

		frexpf(biggest, &exponent);
		/* largest becomes 2^14 .. 2^15; keep both factors normal */
		exponent -= 15;
		if (exponent < -120)
			exponent = -120;
		scale = ldexpf(1.0f, exponent);
		inv = ldexpf(1.0f, -exponent);
	}
	for (size_t j = 0; j < n; j += 64)
	{
		float scaled[64];
		float rounded[64];
		float part_hat[8] = {0};
		float part_err[8] = {0};
		int count = n - j < 64 ? n - j : 64;

		for (size_t i = 0; i < count; i++)
			scaled[i] = x[j + i] * inv;
		VrDistance->f32_to_f16(count, scaled, data + j);
		VrDistance->f16_to_f32(count, data + j, rounded);
		for (size_t i = 0; i < count; i += 8)
			for (size_t k = 0; k < 8; k++)
			{
				float hat = scale * rounded[i + k];
				float e = x[j + i + k] - hat;

				part_hat[k] += hat * hat;
				part_err[k] += e * e;
			}
		for (size_t k = 0; k < 8; k++)
		{
			hat2 += part_hat[k];
			err2 += part_err[k];
		}
	}
	own_set_head(head, scale, hat2, err2);
}

/* Codes c + 128, c = round(x / scale) in -127..127; and the head. */
static void
own_encode_i8(int n, const float *x, VrOwnHead *head, uint8 *codes)
{
	float scale = own_max_abs(n, x) / 127.0f;
	float inv = scale > 1.0e-37f ? 1.0f / scale : 0.0f;
	float part_hat[16] = {0};
	float part_err[16] = {0};
	double hat2 = 0.0;
	double err2 = 0.0;

	for (size_t j = 0; j < n; j += 16)
	{
		for (size_t i = 0; i < 16; i++)
		{
			float c = quant_round(x[j + i] * inv);
			float e = x[j + i] - c * scale;

			codes[j + i] = (uint8) ((int32) c + 128);
			part_hat[i] += c * c;
			part_err[i] += e * e;
		}
	}
	for (size_t i = 0; i < 16; i++)
	{
		hat2 += part_hat[i];
		err2 += part_err[i];
	}
	own_set_head(head, scale, hat2 * scale * scale, err2);
}

static void
own_encode_i8x2(int n, const float *x, VrOwnHead *head, uint8 *codes)
{
	float fine;
	float inv;

	own_encode_i8(n, x, head, codes);
	fine = head->scale / VR_I8X2_STEPS;
	inv = fine > 1.0e-37f ? 1.0f / fine : 0.0f;
	for (size_t j = 0; j < n; j++)
	{
		float rest = x[j] - head->scale * ((float) codes[j] - 128.0f);
		float c = quant_round(rest * inv);

		c = c > 127.0f ? 127.0f : (c < -127.0f ? -127.0f : c);
		codes[n + j] = (uint8) ((int32) c + 128);
	}
}

/* Code of x, 0 .. levels - 1, as a float, for the mid-rise grid of this step. */
static inline float
own_level(float x, float inv, float levels)
{
	float f = x * inv + 0.5f * (levels - 1.0f);

	f = f > 0.0f ? f : 0.0f;
	f = f < levels - 1.0f ? f : levels - 1.0f;
	return quant_round(f);
}

/* The codes, and <x,y> and <y,y> for y = code less the middle. */
static void
own_fit(int n, const float *x, float inv, float levels, uint8 *codes,
		double *xy, double *yy)
{
	float middle = 0.5f * (levels - 1.0f);
	float part_xy[16] = {0};
	float part_yy[16] = {0};

	for (size_t j = 0; j < n; j += 16)
		for (size_t i = 0; i < 16; i++)
		{
			float c = own_level(x[j + i], inv, levels);
			float y = c - middle;

			part_xy[i] += x[j + i] * y;
			part_yy[i] += y * y;
			codes[j + i] = (uint8) (int32) c;
		}
	*xy = *yy = 0.0;
	for (int i = 0; i < 16; i++)
	{
		*xy += part_xy[i];
		*yy += part_yy[i];
	}
}

/*
 * Few bits: the step starts at the best for a Gaussian of this variance and is
 * refitted by least squares to the codes it gave, twice. The scale that is
 * stored is another: the least-squares one shortens x, and with it every inner
 * product, by |e|^2 / |x|^2 (1 % with 4 bits, 12 % with 2). Stored is the one
 * for which <x, xhat> = |x|^2, so that e is orthogonal to x and the distance
 * to any query is unbiased.
 *
 * Coordinate j + t * (n / parts) lies in bits [t * width, ...) of byte j.
 */
static void
own_encode_packed(int n, const float *x, int parts, int width, float gauss,
				  VrOwnHead *head, uint8 *data)
{
	uint8 codes[VR_VECTOR_MAX_DIM];
	float levels = (float) (1 << width);
	double norm2 = VrDistance->ip_f32(n, x, x);
	float scale = gauss * (float) sqrt(norm2 / n);
	double xy;
	double yy;
	double hat2;
	double err2;

	for (int round = 0;; round++)
	{
		own_fit(n, x, scale > 1.0e-37f ? 1.0f / scale : 0.0f, levels, codes,
				&xy, &yy);
		if (round == 2)
			break;
		scale = xy > 0.0 ? (float) (xy / yy) : 0.0f;
	}
	memset(data, 0, n / parts);
	for (int t = 0; t < parts; t++)
		for (size_t j = 0; j < n / parts; j++)
			data[j] |= (uint8) (codes[t * (n / parts) + j] << (t * width));

	scale = xy > 0.0 ? (float) (norm2 / xy) : 0.0f;
	/* in terms of |x|^2, <x,y>, |y|^2, where xhat = scale * y */
	hat2 = (double) scale * scale * yy;
	err2 = norm2 - 2.0 * scale * xy + hat2;
	own_set_head(head, scale, hat2, err2 > 0.0 ? err2 : 0.0);
}

void
VrOwnEncode(VrOwnKind kind, int padded, const float *x, VrOwnHead *head,
			void *data)
{
	int used = own_exact_bytes(kind, padded);

	memset((char *) data + used, 0, VrOwnBytes(kind, padded) - used);
	switch (kind)
	{
		case VR_OWN_F32:
			own_encode_f32(padded, x, head, data);
			break;
		case VR_OWN_F16:
			own_encode_f16(padded, x, head, data);
			break;
		case VR_OWN_I8:
			own_encode_i8(padded, x, head, data);
			break;
		case VR_OWN_I8X2:
			own_encode_i8x2(padded, x, head, data);
			break;
		case VR_OWN_I4:
			own_encode_packed(padded, x, 2, 4, 0.3352f, head, data);
			break;
		case VR_OWN_I2:
			own_encode_packed(padded, x, 4, 2, 0.9957f, head, data);
			break;
		case VR_OWN_AUTO:
			break;
	}
}

static void
own_decode_packed(int n, int parts, int width, float scale, const uint8 *data,
				  float *x)
{
	int mask = (1 << width) - 1;
	float middle = 0.5f * (float) mask;

	for (int t = 0; t < parts; t++)
		for (size_t j = 0; j < n / parts; j++)
			x[t * (n / parts) + j] =
				scale * ((float) ((data[j] >> (t * width)) & mask) - middle);
}

void
VrOwnDecode(VrOwnKind kind, int padded, const VrOwnHead *head, const void *data,
			float *x)
{
	const uint8 *codes = data;

	switch (kind)
	{
		case VR_OWN_F32:
			memcpy(x, data, sizeof(float) * padded);
			break;
		case VR_OWN_F16:
			VrQuant->decode_f16(padded, head->scale, data, x);
			break;
		case VR_OWN_I8:
			for (size_t j = 0; j < padded; j++)
				x[j] = head->scale * ((float) codes[j] - 128.0f);
			break;
		case VR_OWN_I8X2:
			for (size_t j = 0; j < padded; j++)
				x[j] = head->scale *
					   (((float) codes[j] - 128.0f) +
						((float) codes[padded + j] - 128.0f) / VR_I8X2_STEPS);
			break;
		case VR_OWN_I4:
			own_decode_packed(padded, 2, 4, head->scale, codes, x);
			break;
		case VR_OWN_I2:
			own_decode_packed(padded, 4, 2, head->scale, codes, x);
			break;
		case VR_OWN_AUTO:
			break;
	}
}

float
VrOwnDistanceAs(VrOwnKind kind, const VrQuantQuery *query,
				const VrOwnHead *head, const void *data)
{
	return VrQuant->distance[kind](query, head, data);
}

float
VrOwnDistanceFine(const VrQuantQuery *query, const VrOwnHead *head,
				  const void *data)
{
	if (query->own == VR_OWN_I8X2)
		return VrQuant->distance_fine(query, head, data);
	return query->distance(query, head, data);
}

static inline void
own_prefetch(const VrOwnHead *head, const void *data, int bytes)
{
	VR_PREFETCH(head);
	for (size_t i = 0; i < bytes; i += 64)
		VR_PREFETCH((const char *) data + i);
}

/* Lines worth asking for: the hardware follows the stream after a few. */
static int
own_prefetch_bytes(VrOwnKind kind, int padded)
{
	int bytes = own_exact_bytes(kind == VR_OWN_I8X2 ? VR_OWN_I8 : kind, padded);

	return bytes < OWN_PREFETCH_BYTES ? bytes : OWN_PREFETCH_BYTES;
}

void
VrOwnDistanceBatch(const VrQuantQuery *query, int count,
				   const VrOwnHead *const *heads, const void *const *data,
				   float *out)
{
	int bytes = own_prefetch_bytes(query->own, query->padded);

	for (size_t i = 0; i < count && i < OWN_PREFETCH_AHEAD; i++)
		own_prefetch(heads[i], data[i], bytes);
	for (size_t i = 0; i < count; i++)
	{
		if (i + OWN_PREFETCH_AHEAD < count)
			own_prefetch(heads[i + OWN_PREFETCH_AHEAD],
						 data[i + OWN_PREFETCH_AHEAD], bytes);
		out[i] = query->distance(query, heads[i], data[i]);
	}
}

float
VrOwnPairDistance(VrOwnKind kind, int padded, const VrOwnHead *ha,
				  const void *a, const VrOwnHead *hb, const void *b)
{
	return VrQuant->pair[kind](padded, ha, a, hb, b);
}

void
VrOwnPairBatch(VrOwnKind kind, int padded, const VrOwnHead *ha, const void *a,
			   int count, const VrOwnHead *const *heads,
			   const void *const *data, float *out)
{
	VrOwnPairFn pair = VrQuant->pair[kind];
	int bytes = own_prefetch_bytes(kind, padded);

	for (size_t i = 0; i < count && i < OWN_PREFETCH_AHEAD; i++)
		own_prefetch(heads[i], data[i], bytes);
	for (size_t i = 0; i < count; i++)
	{
		if (i + OWN_PREFETCH_AHEAD < count)
			own_prefetch(heads[i + OWN_PREFETCH_AHEAD],
						 data[i + OWN_PREFETCH_AHEAD], bytes);
		out[i] = pair(padded, ha, a, heads[i], data[i]);
	}
}
