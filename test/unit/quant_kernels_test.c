/*
 * quant_kernels_test.c
 *		Every set of kernels against the scalar one: integer results exactly,
 *		sums of floats within rounding. Inputs end at an untouchable page, so
 *		that a read past the end is a crash.
 */
#include "c.h"

#include <float.h>

#include "quant_data.h"

static const int dims[] = {32,   64,   96,   128,  144,  160,  192,
						   240,  256,  272,  384,  400,  512,  528,
						   640,  768,  784,  960,  1008, 1024, 1040,
						   1072, 1536, 2000, 2048, 4096, 16000};

/* Copies to the very end of a guarded area. */
static void *
at_end(const void *data, size_t size)
{
	char *end;

	unit_guarded(size, &end);
	memcpy(end - size, data, size);
	return end - size;
}

static bool
close_to(double a, double b, double scale)
{
	return fabs(a - b) <= 2e-6 * scale + 1e-30;
}

/* The least of 32 estimates, where it stands alone, twice, and everywhere. */
static void
check_least(const VrQuantKernels *set)
{
	float est[VR_QUANT_LANES];
	bool same = true;

	for (int round = 0; round < VR_QUANT_LANES; round++)
	{
		for (int i = 0; i < VR_QUANT_LANES; i++)
			est[i] = round % 4 == 3 ? VR_ESTIMATE_MAX : quant_normal();
		est[round] = round % 2 ? -FLT_MAX : -10.0f;
		same &= set->least32(at_end(est, sizeof(est))) == round;
		if (round > 0)
			est[round / 2] = est[round];
		same &=
			set->least32(at_end(est, sizeof(est))) == round / 2 || round == 0;
	}
	for (int i = 0; i < VR_QUANT_LANES; i++)
		est[i] = VR_ESTIMATE_MAX;
	same &= set->least32(at_end(est, sizeof(est))) == 0;
	unit_ok(same, "%s: least of 32 estimates", set->name);
}

static void
check_codes(const VrQuantKernels *set, int dim)
{
	int n = dim;
	int code_bits = n < VR_CODE_BITS_MAX ? n : VR_CODE_BITS_MAX;
	float *q = quant_alloc(n * sizeof(float));
	float *v, *u, *qe;
	uint8 *lut = quant_alloc(code_bits * 4 + 64);
	uint8 *lut2 = quant_alloc(code_bits * 4 + 64);
	uint8 *block = quant_alloc(code_bits * 4);
	uint8 *row = quant_alloc(code_bits / 8);
	uint8 *row2 = quant_alloc(code_bits / 8);
	VrEdgeFactors factors;
	VrQuantQuery query;
	uint32 acc[32], acc2[32], mask, mask2;
	float est[32], est2[32];
	float step, step2, bias, bias2, sums[3], sums2[3];
	bool same = true;
	double norm;

	quant_normals(n, q, 1.0f);
	qe = at_end(q, code_bits * sizeof(float));
	VrQuantScalar.make_lut(code_bits, q, lut, &step, &bias);
	set->make_lut(code_bits, qe, lut2, &step2, &bias2);
	unit_ok(memcmp(lut, lut2, code_bits * 4) == 0 && step == step2 &&
				fabs(bias - bias2) < 1e-3,
			"%s: table of %d bits", set->name, code_bits);

	for (int round = 0; round < 4; round++)
	{
		uint8 *block_end;

		/* the worst table overflows first */
		if (round == 0)
			memset(lut, 255, code_bits * 4);
		for (int i = 0; i < code_bits * 4; i++)
			block[i] = (uint8) (round == 1 ? 255 : unit_random());
		if (round == 2)
			for (int i = 0; i < code_bits * 4; i++)
				lut[i] = (uint8) unit_random();
		block_end = at_end(block, code_bits * 4);
		VrQuantScalar.accumulate32(code_bits, block, lut, acc);
		set->accumulate32(code_bits, block_end, at_end(lut, code_bits * 4),
						  acc2);
		same &= memcmp(acc, acc2, sizeof(acc)) == 0;
	}
	unit_ok(same, "%s: sums of %d bits", set->name, code_bits);

	for (int i = 0; i < 32; i++)
	{
		factors.add[i] = i == 7 || i == 31 ? INFINITY : quant_normal();
		factors.rescale[i] = quant_bf16_from_float(-fabsf(quant_normal()));
	}
	memset(&query, 0, sizeof(query));
	query.code_bits = code_bits;
	query.lut = lut;
	query.lut_step = step;
	query.lut_bias = bias;
	mask = VrQuantScalar.estimate32(&query, 1.5f, block, &factors, 1.0f, est);
	mask2 = set->estimate32(&query, 1.5f, block,
							at_end(&factors, sizeof(factors)), 1.0f, est2);
	same = true;
	for (int i = 0; i < 32; i++)
	{
		bool near = fabsf(est[i] - 1.0f) < 1e-3f;

		same &= est[i] == est2[i] ||
				fabsf(est[i] - est2[i]) <= 1e-4f * (1.0f + fabsf(est[i]));
		same &= near || (mask >> i & 1) == (mask2 >> i & 1);
	}
	same &= est2[7] == VR_ESTIMATE_MAX && est2[31] == VR_ESTIMATE_MAX;
	unit_ok(same, "%s: estimates from %d bits", set->name, code_bits);

	u = quant_alloc(n * sizeof(float));
	v = quant_alloc(n * sizeof(float));
	quant_normals(n, u, 1.0f);
	quant_normals(n, v, 1.0f);
	u[3] = v[3];
	code_bits = code_bits / 2 & ~15;
	VrQuantScalar.edge_bits(n, code_bits, v, u, row, 1, sums);
	set->edge_bits(n, code_bits, at_end(v, n * sizeof(float)),
				   at_end(u, n * sizeof(float)), row2, 1, sums2);
	norm = sqrt(quant_dot(n, v, v) * n);
	unit_ok(memcmp(row, row2, code_bits / 8) == 0 &&
				close_to(sums[0], sums2[0], norm) &&
				close_to(sums[1], sums2[1], norm) &&
				close_to(sums[2], sums2[2], sums[2]),
			"%s: %d bits of an edge in %d dimensions", set->name, code_bits, n);
	free(q);
	free(u);
	free(v);
	free(lut);
	free(lut2);
	free(block);
	free(row);
	free(row2);
}

static void
check_rotation(const VrQuantKernels *set, int dim)
{
	VrRotation rot;
	void *mem = quant_alloc(VrRotationSize(dim));
	int n = VrPaddedDim(dim);
	float *in = quant_alloc(dim * sizeof(float));
	float *mean = quant_alloc(dim * sizeof(float));
	float *in_end;
	float *mean_end;
	float *a = quant_alloc(n * sizeof(float));
	float *b = quant_alloc(n * sizeof(float));
	bool same = true;

	VrRotationInit(&rot, dim, 4711, 2.0f, mem);
	quant_normals(dim, in, 1.0f);
	quant_normals(dim, mean, 1.0f);
	in_end = at_end(in, dim * sizeof(float));
	mean_end = at_end(mean, dim * sizeof(float));
	for (int with_mean = 0; with_mean < 2; with_mean++)
	{
		double norm;

		VrQuantScalar.rotate(&rot, with_mean ? mean : NULL, in, a);
		set->rotate(&rot, with_mean ? mean_end : NULL, in_end, b);
		norm = sqrt(quant_dot(n, a, a));
		for (int i = 0; i < n; i++)
			same &= close_to(a[i], b[i], norm);
	}
	unit_ok(same, "%s: rotation of %d", set->name, dim);
	free(in);
	free(mean);
	free(a);
	free(b);
	free(mem);
}

static void
check_own(const VrQuantKernels *set, int dim)
{
	int n = dim;
	float *q = quant_alloc(n * sizeof(float));
	float *x = quant_alloc(n * sizeof(float));

	for (int kind = VR_OWN_F32; kind < VR_OWN_NKINDS; kind++)
	{
		VrQuantLayout layout = quant_layout(dim, kind, 32);
		int bytes = VrOwnBytes(kind, n);
		void *a = quant_alloc(bytes);
		void *b = quant_alloc(bytes);
		void *ae, *be;
		void *mem = quant_alloc(VrQuantQuerySize(&layout));
		VrOwnHead ha, hb;
		VrQuantQuery *query;
		double d1, d2, f1, f2, p1, p2;
		double scale;

		quant_normals(n, q, 1.0f);
		quant_normals(n, x, 3.0f);
		VrOwnEncode(kind, n, x, &ha, a);
		VrOwnEncode(kind, n, q, &hb, b);
		ae = at_end(a, bytes);
		be = at_end(b, bytes);
		query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, mem);
		d1 = VrQuantScalar.distance[kind](query, &ha, a);
		d2 = set->distance[kind](query, &ha, ae);
		f1 = f2 = 0.0;
		if (kind == VR_OWN_I8X2)
		{
			f1 = VrQuantScalar.distance_fine(query, &ha, a);
			f2 = set->distance_fine(query, &ha, ae);
		}
		p1 = VrQuantScalar.pair[kind](n, &ha, a, &hb, b);
		p2 = set->pair[kind](n, &ha, ae, &hb, be);
		scale = quant_dot(n, q, q) + quant_dot(n, x, x);
		if (kind == VR_OWN_F16)
		{
			float *out = quant_alloc(2 * n * sizeof(float));

			VrQuantScalar.decode_f16(n, ha.scale, a, out);
			set->decode_f16(n, ha.scale, ae, out + n);
			unit_ok(memcmp(out, out + n, n * sizeof(float)) == 0,
					"%s: float16 of %d dimensions decoded", set->name, dim);
			free(out);
		}
		unit_ok(close_to(d1, d2, scale) && close_to(f1, f2, scale) &&
					close_to(p1, p2, scale),
				"%s: distances of %s in %d dimensions", set->name,
				VrOwnKindName(kind), dim);
		free(a);
		free(b);
		free(mem);
	}
	free(q);
	free(x);
}

static void
check_query(const VrQuantKernels *set, int n)
{
	float *q = quant_alloc(n * sizeof(float));
	float *copy = quant_alloc(n * sizeof(float));
	int16 *q16 = quant_alloc(4 * n);
	int16 *other = quant_alloc(4 * n);
	float biggest, biggest2, norm2, norm2b, cross, cross2, inv;
	int32 sum, sum2;
	bool planes = true;

	quant_normals(n, q, 1.0f);
	norm2 = VrQuantScalar.copy_query(n, q, copy, &biggest);
	memset(copy, 0, n * sizeof(float));
	norm2b = set->copy_query(n, at_end(q, n * sizeof(float)), copy, &biggest2);
	inv = VR_Q16_MAX / biggest;
	cross = VrQuantScalar.make_ints(n, q, inv, q16, (int8 *) (q16 + n),
									(int8 *) (q16 + n) + n, &sum);
	cross2 =
		set->make_ints(n, at_end(q, n * sizeof(float)), inv, other,
					   (int8 *) (other + n), (int8 *) (other + n) + n, &sum2);
	for (int i = 0; i < n; i++)
		planes &= 256 * ((int8 *) (q16 + n))[i] + ((int8 *) (q16 + n) + n)[i] ==
				  q16[i];
	unit_ok(memcmp(q, copy, n * sizeof(float)) == 0 && biggest == biggest2 &&
				close_to(norm2, norm2b, norm2) && planes && sum == sum2 &&
				memcmp(q16, other, 4 * n) == 0 &&
				close_to(cross, cross2, norm2 * inv),
			"%s: query of %d dimensions", set->name, n);
	free(q);
	free(copy);
	free(q16);
	free(other);
}

/* The integer planes must not overflow where all codes are extreme. */
static void
check_own_extreme(const VrQuantKernels *set, int n, VrOwnKind kind)
{
	VrQuantLayout layout = quant_layout(n, kind, 32);
	float *q = quant_alloc(n * sizeof(float));
	uint8 *data = quant_alloc(VrOwnBytes(kind, n));
	void *mem = quant_alloc(VrQuantQuerySize(&layout));
	VrOwnHead head = {1.0f, 1.0f, 0.0f};
	VrQuantQuery *query;
	bool same = true;

	for (int sign = -1; sign <= 1; sign += 2)
	{
		double d1, d2;

		for (int i = 0; i < n; i++)
			q[i] = (float) sign;
		memset(data, 255, VrOwnBytes(kind, n));
		query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, mem);
		d1 = VrQuantScalar.distance[kind](query, &head, data);
		d2 = set->distance[kind](query, &head, data);
		same &= d1 == d2;
		d1 = n + 1.0 -
			 2.0 * sign * n *
				 (kind == VR_OWN_I8 ? 127.0 : (kind == VR_OWN_I4 ? 7.5 : 1.5));
		same &= close_to(d1, d2, fabs(d1) * 20);
		d1 = VrQuantScalar.pair[kind](n, &head, data, &head, data);
		d2 = set->pair[kind](n, &head, data, &head, data);
		same &= d1 == d2;
	}
	unit_ok(same, "%s: %s at its extremes in %d dimensions", set->name,
			VrOwnKindName(kind), n);
	free(q);
	free(data);
	free(mem);
}

int
main(void)
{
	const VrQuantKernels *const *sets;

	VrDistanceInit();
	VrQuantInit();
	sets = VrQuantAvailable();
	unit_ok(VrQuant == sets[0], "the best set is chosen: %s", VrQuant->name);
	unit_ok(!VrQuantForce("no such set") && VrQuant == sets[0],
			"an unknown set is refused");
	for (int i = 0; sets[i] != NULL; i++)
	{
		unit_ok(VrQuantForce(sets[i]->name) && VrQuant == sets[i],
				"%s can be forced", sets[i]->name);
		check_least(sets[i]);
		for (int d = 0; d < lengthof(dims); d++)
		{
			check_codes(sets[i], dims[d]);
			check_own(sets[i], dims[d]);
			check_query(sets[i], dims[d]);
		}
		for (VrOwnKind kind = VR_OWN_I8; kind < VR_OWN_NKINDS; kind++)
			if (kind != VR_OWN_I8X2)
			{
				check_own_extreme(sets[i], 16000, kind);
				check_own_extreme(sets[i], 1040, kind);
			}
		for (int d = 1; d < 300; d++)
			check_rotation(sets[i], d);
		for (int d = 0; d < lengthof(dims); d++)
			check_rotation(sets[i], dims[d] - (d % 3));
	}
	unit_ok(VrQuantForce("auto") && VrQuant == sets[0], "auto is the best set");
	return unit_done();
}
