/*
 * quant.c
 *		Times the kernels of src/quant, hot, in nanoseconds, for every set that
 *		this CPU runs. The smallest of several rounds is shown.
 */
#include "c.h"

#include <math.h>
#include <time.h>

#include "distance/distance.h"
#include "quant/quant.h"

#undef printf

/* Seconds that one figure may take. */
#define BENCH_SECONDS 0.03
#define BENCH_ROUNDS 5

static double
bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Runs statement over and over; result in ns. */
#define BENCH(result, statement)                                               \
	do                                                                         \
	{                                                                          \
		long count_ = 1;                                                       \
		double best_ = 1e9;                                                    \
                                                                               \
		for (int round_ = 0; round_ < BENCH_ROUNDS; round_++)                  \
		{                                                                      \
			double start_ = bench_now();                                       \
			double took_;                                                      \
                                                                               \
			for (long i_ = 0; i_ < count_; i_++)                               \
			{                                                                  \
				statement;                                                     \
				__asm__ volatile("" ::: "memory");                             \
			}                                                                  \
			took_ = bench_now() - start_;                                      \
			if (took_ < BENCH_SECONDS / BENCH_ROUNDS / 2)                      \
			{                                                                  \
				count_ *= 2;                                                   \
				round_ = -1;                                                   \
				best_ = 1e9;                                                   \
			}                                                                  \
			else if (took_ / count_ < best_)                                   \
				best_ = took_ / count_;                                        \
		}                                                                      \
		(result) = best_ * 1e9;                                                \
	} while (0)

static uint64 bench_state = 1;

static float
bench_random(void)
{
	float sum = 0.0f;

	for (int i = 0; i < 4; i++)
	{
		bench_state = bench_state * UINT64CONST(6364136223846793005) +
					  1442695040888963407;
		sum += (float) (bench_state >> 40) / 16777216.0f - 0.5f;
	}
	return sum * 1.7f;
}

static volatile float bench_sink;

static void
bench_dim(int dim, int code_bits)
{
	int n = VrPaddedDim(dim);
	float *raw = calloc(dim, sizeof(float));
	float *mean = calloc(dim, sizeof(float));
	float *q = aligned_alloc(64, n * sizeof(float));
	float *v = aligned_alloc(64, n * sizeof(float));
	float *u = aligned_alloc(64, 32 * n * sizeof(float));
	uint8 *block = aligned_alloc(64, code_bits * 4);
	uint8 *row = calloc(1, n);
	void *own = aligned_alloc(64, n * 4);
	void *own2 = aligned_alloc(64, n * 4);
	void *mem = malloc(VrRotationSize(dim));
	const float *refs[32];
	VrOwnHead head, head2;
	VrEdgeFactors factors;
	VrEdge edge;
	VrQuantLayout layout = {0};
	VrQuantQuery *query;
	void *query_mem;
	VrRotation rot;
	float est[32];
	double ns[8];

	layout.dim = dim;
	layout.padded = n;
	layout.code_bits = code_bits;
	layout.own = VR_OWN_I8;
	query_mem = malloc(VrQuantQuerySize(&layout));
	for (int j = 0; j < dim; j++)
		raw[j] = bench_random();
	for (int j = 0; j < n; j++)
	{
		q[j] = bench_random();
		v[j] = bench_random();
	}
	for (int j = 0; j < 32 * n; j++)
		u[j] = bench_random();
	for (int i = 0; i < 32; i++)
		refs[i] = u + i * n;
	VrRotationInit(&rot, dim, 1, 1.0f, mem);

	BENCH(ns[0], VrRotate(&rot, mean, raw, q));
	BENCH(ns[1],
		  query = VrQuantQueryInit(&layout, q, VR_QUERY_CODES, query_mem));
	BENCH(ns[2], query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, query_mem));
	query =
		VrQuantQueryInit(&layout, q, VR_QUERY_CODES | VR_QUERY_OWN, query_mem);
	VrEdgeBlockEncode(n, code_bits, v, 32, refs, NULL, block, &factors, NULL);
	BENCH(ns[3],
		  bench_sink = VrEstimate32(query, 1.0f, block, &factors, 1.0f, est));
	BENCH(ns[4], VrEdgeBlockEncode(n, code_bits, v, 32, refs, NULL, block,
								   &factors, NULL));
	VrEdgeEncode(n, code_bits, v, u, 0.0f, row, &edge);
	BENCH(ns[5], VrEdgeEncode(n, code_bits, v, u, 0.0f, row, &edge));
	BENCH(ns[6], VrLaneSet(code_bits, block, &factors, 3, row, &edge));
	printf("%-13s %5d %5d %7.0f %7.0f %7.0f %7.1f %7.0f %7.0f %7.0f\n",
		   VrQuant->name, dim, code_bits, ns[0], ns[1], ns[2], ns[3], ns[4],
		   ns[5], ns[6]);
	printf("%-13s %5d   own", VrQuant->name, dim);
	for (int kind = VR_OWN_F32; kind < VR_OWN_NKINDS; kind++)
	{
		layout.own = kind;
		query = VrQuantQueryInit(&layout, q, VR_QUERY_OWN, query_mem);
		VrOwnEncode(kind, n, v, &head, own);
		VrOwnEncode(kind, n, u, &head2, own2);
		BENCH(ns[0], bench_sink = VrOwnDistance(query, &head, own));
		BENCH(ns[1], bench_sink =
						 VrOwnPairDistance(kind, n, &head, own, &head2, own2));
		BENCH(ns[2], VrOwnEncode(kind, n, u, &head2, own2));
		printf("  %s %.1f/%.1f/%.0f", VrOwnKindName(kind), ns[0], ns[1], ns[2]);
		if (kind == VR_OWN_I8X2)
		{
			BENCH(ns[0], bench_sink = VrOwnDistanceFine(query, &head, own));
			printf(" fine %.1f", ns[0]);
		}
	}
	printf("\n");
	fflush(stdout);
	free(raw);
	free(mean);
	free(q);
	free(v);
	free(u);
	free(block);
	free(row);
	free(own);
	free(own2);
	free(mem);
	free(query_mem);
}

int
main(void)
{
	static const int dims[] = {128, 384, 768, 1536};
	const VrQuantKernels *const *sets;

	VrDistanceInit();
	VrQuantInit();
	sets = VrQuantAvailable();
	printf("ns; own: query/pair/encode\n");
	printf("%-13s %5s %5s %7s %7s %7s %7s %7s %7s %7s\n", "set", "dim", "bits",
		   "rotate", "lut", "planes", "est32", "enc32", "encode", "setlane");
	for (int s = 0; sets[s] != NULL; s++)
	{
		VrQuantForce(sets[s]->name);
		for (int i = 0; i < (int) lengthof(dims); i++)
			bench_dim(dims[i], dims[i]);
	}
	return 0;
}
