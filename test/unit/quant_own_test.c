/*
 * quant_own_test.c
 *		Own vectors: size, error of the reconstruction, error of the distances,
 *		and that the stored norm makes near distances unbiased.
 */
#include "c.h"

#include "quant_data.h"

/* Bounds on |e| / |x| for Gaussian coordinates. */
static const double loss_bound[VR_OWN_NKINDS] = {0,       1e-9, 0.00025, 0.0105,
												 0.00005, 0.12, 0.39};

static void
check_kind(VrOwnKind kind, int dim)
{
	VrQuantLayout layout = quant_layout(dim, kind, 32);
	int n = layout.padded;
	float *x = quant_alloc(n * sizeof(float));
	float *y = quant_alloc(n * sizeof(float));
	float *q = quant_alloc(n * sizeof(float));
	float *back = quant_alloc(n * sizeof(float));
	uint8 *data = quant_alloc(VrOwnBytes(kind, n) + 8);
	uint8 *other = quant_alloc(VrOwnBytes(kind, n));
	void *mem = quant_alloc(VrQuantQuerySize(&layout));
	bool inside = true;
	double loss = 0.0;
	double square = 0.0;
	double bias = 0.0;
	double pair_square = 0.0;
	double fine_square = 0.0;
	int rounds = n > 4000 ? 60 : 300;

	for (int r = 0; r < rounds; r++)
	{
		VrQuantQuery *query;
		VrOwnHead head, other_head;
		double norm, exact, error, unit;

		/* q at a distance of .3 |x| */
		quant_normals(n, x, 1.0f);
		quant_normals(n, y, 0.3f);
		for (int i = 0; i < n; i++)
			q[i] = x[i] + y[i];
		memset(data + VrOwnBytes(kind, n), 0xaa, 8);
		VrOwnEncode(kind, n, x, &head, data);
		for (int i = 0; i < 8; i++)
			inside &= data[VrOwnBytes(kind, n) + i] == 0xaa;
		VrOwnDecode(kind, n, &head, data, back);
		norm = sqrt(quant_dot(n, x, x));
		loss += sqrt(quant_l2sq(n, x, back)) / norm;

		query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, mem);
		exact = quant_l2sq(n, q, x);
		unit = norm * sqrt(exact);
		error = (VrOwnDistance(query, &head, data) - exact) / unit;
		bias += error;
		square += error * error;
		error = (VrOwnDistanceFine(query, &head, data) - exact) / unit;
		fine_square += error * error;
		VrOwnEncode(kind, n, q, &other_head, other);
		error = (VrOwnPairDistance(kind, n, &head, data, &other_head, other) -
				 exact) /
				unit;
		pair_square += error * error;
	}
	loss /= rounds;
	bias /= rounds;
	square = sqrt(square / rounds);
	fine_square = sqrt(fine_square / rounds);
	pair_square = sqrt(pair_square / rounds);
	unit_ok(inside && loss <= loss_bound[kind],
			"%s, %d dimensions: |e| / |x| = %.6f", VrOwnKindName(kind), dim,
			loss);
	unit_ok(square <= 1.35 * VrOwnSigma(kind, n) + 2e-6 &&
				fabs(bias) <= 4.0 * VrOwnSigma(kind, n) / sqrt(rounds) + 1e-6,
			"%s, %d dimensions: rms error %.6f, expected %.6f, bias %.6f",
			VrOwnKindName(kind), dim, square, VrOwnSigma(kind, n), bias);
	/* below 8 bits the two errors are alike where the vectors are */
	if (kind < VR_OWN_I4)
		unit_ok(pair_square <= 2.0 * VrOwnSigma(kind, n) + 2e-6,
				"%s, %d dimensions: rms error of pairs %.6f",
				VrOwnKindName(kind), dim, pair_square);
	if (kind == VR_OWN_I8X2)
		unit_ok(fine_square <= 0.01 * square,
				"%s, %d dimensions: with the second plane %.7f",
				VrOwnKindName(kind), dim, fine_square);
	free(x);
	free(y);
	free(q);
	free(back);
	free(data);
	free(other);
	free(mem);
}

/* The same vectors through the batch forms. */
static void
check_batch(VrOwnKind kind)
{
	enum
	{
		DIM = 200,
		COUNT = 9
	};
	VrQuantLayout layout = quant_layout(DIM, kind, 32);
	int n = layout.padded;
	float q[256], x[256];
	VrOwnHead heads[COUNT];
	uint8 *data[COUNT];
	const VrOwnHead *head_refs[COUNT];
	const void *data_refs[COUNT];
	float out[COUNT];
	float pairs[COUNT];
	VrQuantQuery *query;
	void *mem = quant_alloc(VrQuantQuerySize(&layout));
	bool same = true;

	for (int i = 0; i < COUNT; i++)
	{
		quant_normals(n, x, 1.0f);
		data[i] = quant_alloc(VrOwnBytes(kind, n));
		VrOwnEncode(kind, n, x, &heads[i], data[i]);
		head_refs[i] = &heads[i];
		data_refs[i] = data[i];
	}
	quant_normals(n, q, 1.0f);
	query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, mem);
	for (int count = 0; count <= COUNT; count++)
	{
		VrOwnDistanceBatch(query, count, head_refs, data_refs, out);
		VrOwnPairBatch(kind, n, &heads[0], data[0], count, head_refs, data_refs,
					   pairs);
		for (int i = 0; i < count; i++)
			same &= out[i] == VrOwnDistance(query, &heads[i], data[i]) &&
					pairs[i] == VrOwnPairDistance(kind, n, &heads[0], data[0],
												  &heads[i], data[i]);
	}
	unit_ok(same && pairs[0] < 1e-3, "%s: batches equal single distances",
			VrOwnKindName(kind));
	for (int i = 0; i < COUNT; i++)
		free(data[i]);
	free(mem);
}

/*
 * What VrOwnIsRough lets pass is good to a few per cent, at every distance, and
 * it does let ordinary distances pass. A query for int8 measures float16 too.
 */
static void
check_rough(int n)
{
	VrQuantLayout layout = quant_layout(n, VR_OWN_I8, 32);
	VrQuantLayout half = quant_layout(n, VR_OWN_F16, 32);
	float *x = quant_alloc(n * sizeof(float));
	float *q = quant_alloc(n * sizeof(float));
	void *mem = quant_alloc(VrQuantQuerySize(&layout));
	void *half_mem = quant_alloc(VrQuantQuerySize(&half));
	void *codes = quant_alloc(VrOwnBytes(VR_OWN_I8, n));
	void *other = quant_alloc(VrOwnBytes(VR_OWN_I8, n));
	void *halves = quant_alloc(VrOwnBytes(VR_OWN_F16, n));
	double worst = 0.0;
	bool same = true;
	int rough = 0;

	for (int i = 0; i < 200; i++)
	{
		/* from a thousandth of the norm to all of it */
		float away = (float) pow(10.0, -3.0 * (i % 100) / 99.0);
		VrOwnHead head, other_head, half_head;
		VrQuantQuery *query, *exact;
		float d, pair, err2;
		double truth;

		quant_normals(n, x, 1.0f);
		for (int j = 0; j < n; j++)
			q[j] = x[j] + away * quant_normal();
		VrOwnEncode(VR_OWN_I8, n, x, &head, codes);
		VrOwnEncode(VR_OWN_I8, n, q, &other_head, other);
		VrOwnEncode(VR_OWN_F16, n, x, &half_head, halves);
		query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, mem);
		exact = VrQuantQueryInit(&half, q, VR_QUERY_OWN, half_mem);
		same &= VrOwnDistanceAs(VR_OWN_F16, query, &half_head, halves) ==
				VrOwnDistance(exact, &half_head, halves);
		truth = quant_l2sq(n, q, x);
		d = VrOwnDistance(query, &head, codes);
		err2 = head.err * head.err;
		if (VrOwnIsRough(n, d, err2))
			rough++;
		else
			worst = fmax(worst, fabs(d / truth - 1.0));
		err2 += other_head.err * other_head.err;
		pair =
			VrOwnPairDistance(VR_OWN_I8, n, &head, codes, &other_head, other);
		if (!VrOwnIsRough(n, pair, err2))
			worst = fmax(worst, fabs(pair / truth - 1.0));
		if (away > 0.2f)
			same &= !VrOwnIsRough(n, d, head.err * head.err) &&
					!VrOwnIsRough(n, pair, err2);
	}
	unit_ok(same, "%d: float16 by a query for int8; far is not rough", n);
	unit_ok(worst < 0.08 && rough > 20 && rough < 120,
			"%d: %d of 200 are rough, the rest are off by %.3f at most", n,
			rough, worst);
	free(x);
	free(q);
	free(mem);
	free(half_mem);
	free(codes);
	free(other);
	free(halves);
}

int
main(void)
{
	static const int dims[] = {128, 384, 768, 1536, 16000};
	VrOwnKind kind;
	bool names = true;

	VrDistanceInit();
	VrQuantInit();
	for (kind = VR_OWN_F32; kind < VR_OWN_NKINDS; kind++)
		for (int i = 0; i < lengthof(dims); i++)
			check_kind(kind, dims[i]);
	for (kind = VR_OWN_F32; kind < VR_OWN_NKINDS; kind++)
		check_batch(kind);
	for (int i = 0; i < 4; i++)
		check_rough(dims[i]);
	for (int i = 0; i < VR_OWN_NKINDS; i++)
		names &= VrOwnKindFromName(VrOwnKindName(i), &kind) && kind == i;
	kind = VR_OWN_I4;
	names &= !VrOwnKindFromName("float", &kind) && kind == VR_OWN_I4;
	unit_ok(names, "kinds have names");
	unit_ok(VrOwnBytes(VR_OWN_F32, 144) == 576 &&
				VrOwnBytes(VR_OWN_F16, 144) == 288 &&
				VrOwnBytes(VR_OWN_I8, 144) == 144 &&
				VrOwnBytes(VR_OWN_I8X2, 144) == 288 &&
				VrOwnBytes(VR_OWN_I4, 144) == 72 &&
				VrOwnBytes(VR_OWN_I2, 144) == 40,
			"sizes are rounded up to 8");
	return unit_done();
}
