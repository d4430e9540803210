/*
 * kernels.c
 *		Times every kernel of src/distance, set by set.
 *
 * In cache: operands that stay in the first-level cache, beside a limit and
 * the loop that the compiler makes of the plain definition for the same
 * instruction set, told that it may reorder sums.
 *
 * The limit is the time that the busiest kind of execution port needs for the
 * instructions that the kernel's sum cannot do without: for each kind, how
 * many of them one register of elements takes, times the measured time of one.
 * Calls, loop control, the rest of a length and the final addition across a
 * register are on top of it.
 *
 * From memory: batches over rows in random order, far more than caches hold,
 * beside the bandwidth of reading memory in sequence.
 *
 * Every time is the best of several, since other work on a machine only ever
 * adds. GB/s counts the bytes of both operands in cache, of rows from memory.
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "distance/distance_private.h"

/* "c.h" redirects these to the server's library, which is not linked. */
#undef printf
#undef fprintf

#define MAX_DIM 2048
#define MAX_ROWS 32
#define CACHE_BYTES (24 * 1024)

typedef enum Kernel
{
	K_L2SQ_F32,
	K_IP_F32,
	K_L1_F32,
	K_COSINE_F32,
	K_L2SQ_F32_BATCH,
	K_IP_F32_BATCH,
	K_L2SQ_F16,
	K_IP_F16,
	K_L1_F16,
	K_COSINE_F16,
	K_L2SQ_F32_F16,
	K_IP_F32_F16,
	K_F16_TO_F32,
	K_F32_TO_F16,
	K_HAMMING,
	K_JACCARD,
	K_COUNT
} Kernel;

static const char *const kernel_names[K_COUNT] = {
	"l2sq_f32",       "ip_f32",       "l1_f32",       "cosine_f32",
	"l2sq_f32_batch", "ip_f32_batch", "l2sq_f16",     "ip_f16",
	"l1_f16",         "cosine_f16",   "l2sq_f32_f16", "ip_f32_f16",
	"f16_to_f32",     "f32_to_f16",   "hamming",      "jaccard"};

/*
 * Operands, one row after another. As many bits as a kernel wants are taken
 * from the float16 values. Aligned to lines of the cache, or PAGE_OFFSET
 * bytes past one, as values on a page of PostgreSQL's may be.
 */
#define PAGE_OFFSET 8
static pg_attribute_aligned(64) char query_memory[MAX_DIM * 4 + 64];
static pg_attribute_aligned(64) char row_memory[CACHE_BYTES + 64];
static pg_attribute_aligned(64) char out_memory[MAX_DIM * 4 + 64];
static float results[MAX_ROWS];

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* ----- What runs: a kernel of a set, or the compiler's loop ----- */

/* Bytes of the query, or of what is written. */
static int
query_bytes(Kernel kernel, int dim)
{
	switch (kernel)
	{
		case K_L2SQ_F16:
		case K_IP_F16:
		case K_L1_F16:
		case K_COSINE_F16:
		case K_F32_TO_F16:
			return 2 * dim;
		case K_HAMMING:
		case K_JACCARD:
			return dim / 8;
		default:
			return 4 * dim;
	}
}

/* Bytes of one row. */
static int
row_bytes(Kernel kernel, int dim)
{
	switch (kernel)
	{
		case K_L2SQ_F32_F16:
		case K_IP_F32_F16:
		case K_F16_TO_F32:
			return 2 * dim;
		case K_F32_TO_F16:
			return 4 * dim;
		default:
			return query_bytes(kernel, dim);
	}
}

/* One pass of the query over so many rows, all at that offset. */
static void
run_kernel(const VrDistanceKernels *k, Kernel kernel, int dim, int rows,
		   int offset)
{
	const void *query = query_memory + offset;
	void *out = out_memory + offset;
	const char *row = row_memory + offset;
	const int stride = row_bytes(kernel, dim);
	const float *row_list[MAX_ROWS];
	float parts[3];
	uint64 counts[2];
	int r;

	/* The loop is written out for each kernel, to add little to its time. */
#define EACH_ROW(call)                                                         \
	for (r = 0; r < rows; r++, row += stride)                                  \
		call;                                                                  \
	break
	switch (kernel)
	{
		case K_L2SQ_F32:
			EACH_ROW(results[r] = k->l2sq_f32(dim, query, (void *) row));
		case K_IP_F32:
			EACH_ROW(results[r] = k->ip_f32(dim, query, (void *) row));
		case K_L1_F32:
			EACH_ROW(results[r] = k->l1_f32(dim, query, (void *) row));
		case K_COSINE_F32:
			EACH_ROW(k->cosine_f32(dim, query, (void *) row, parts, parts + 1,
								   parts + 2));
		case K_L2SQ_F16:
			EACH_ROW(results[r] = k->l2sq_f16(dim, query, (void *) row));
		case K_IP_F16:
			EACH_ROW(results[r] = k->ip_f16(dim, query, (void *) row));
		case K_L1_F16:
			EACH_ROW(results[r] = k->l1_f16(dim, query, (void *) row));
		case K_COSINE_F16:
			EACH_ROW(k->cosine_f16(dim, query, (void *) row, parts, parts + 1,
								   parts + 2));
		case K_L2SQ_F32_F16:
			EACH_ROW(results[r] = k->l2sq_f32_f16(dim, query, (void *) row));
		case K_IP_F32_F16:
			EACH_ROW(results[r] = k->ip_f32_f16(dim, query, (void *) row));
		case K_F16_TO_F32:
			EACH_ROW(k->f16_to_f32(dim, (void *) row, out));
		case K_F32_TO_F16:
			EACH_ROW(k->f32_to_f16(dim, (void *) row, out));
		case K_HAMMING:
			EACH_ROW(counts[0] = k->hamming(dim / 8, query, (void *) row));
		case K_JACCARD:
			EACH_ROW(
				k->jaccard(dim / 8, query, (void *) row, counts, counts + 1));
		case K_L2SQ_F32_BATCH:
			EACH_ROW(row_list[r] = (void *) row);
		case K_IP_F32_BATCH:
			EACH_ROW(row_list[r] = (void *) row);
		case K_COUNT:
			break;
	}
	if (kernel == K_L2SQ_F32_BATCH)
		k->l2sq_f32_batch(dim, query, row_list, rows, results);
	if (kernel == K_IP_F32_BATCH)
		k->ip_f32_batch(dim, query, row_list, rows, results);
}

/*
 * The compiler's loops: the plain definitions, once per instruction set, as a
 * set that run_kernel() takes. Float16 is widened by arithmetic on its bits,
 * for finite values only, which compilers vectorise; loops over _Float16 they
 * (GCC 12) do not, but narrowing is left to that type where there is one.
 */
typedef union FloatBits
{
	uint32 u;
	float f;
} FloatBits;

#define HALF_TO_FLOAT(h)                                                       \
	({                                                                         \
		FloatBits bits = {(uint32) ((h) &0x7fff) << 13};                       \
		bits.f *= 0x1p112f;                                                    \
		bits.u |= (uint32) ((h) &0x8000) << 16;                                \
		bits.f;                                                                \
	})
#ifdef __FLT16_MAX__
typedef _Float16 half;
#define FLOAT_TO_HALF(f) ((half) (f))
#else
typedef vr_half half;
#define FLOAT_TO_HALF(f) VrFloatToHalfInline(f)
#endif

#define PLAIN_SUM(attr, name, ta, tb, x, y, term)                              \
	attr static float name(int n, const ta *pa, const tb *pb)                  \
	{                                                                          \
		const void *va = pa;                                                   \
		const void *vb = pb;                                                   \
		float sum = 0;                                                         \
		for (int i = 0; i < n; i++)                                            \
		{                                                                      \
			const float a = x;                                                 \
			const float b = y;                                                 \
			sum += term;                                                       \
		}                                                                      \
		return sum;                                                            \
	}
#define PLAIN_COSINE(attr, name, t, x, y)                                      \
	attr static void name(int n, const t *pa, const t *pb, float *ip,          \
						  float *aa, float *bb)                                \
	{                                                                          \
		const void *va = pa;                                                   \
		const void *vb = pb;                                                   \
		float sum_ip = 0;                                                      \
		float sum_aa = 0;                                                      \
		float sum_bb = 0;                                                      \
		for (int i = 0; i < n; i++)                                            \
		{                                                                      \
			const float a = x;                                                 \
			const float b = y;                                                 \
			sum_ip += a * b;                                                   \
			sum_aa += a * a;                                                   \
			sum_bb += b * b;                                                   \
		}                                                                      \
		*ip = sum_ip;                                                          \
		*aa = sum_aa;                                                          \
		*bb = sum_bb;                                                          \
	}
#define F32(p) (((const float *) (p))[i])
#define F16(p) HALF_TO_FLOAT(((const vr_half *) (p))[i])
#define WORD(p) (((const uint64 *) (p))[i])

#define PLAIN_SET(set, attr)                                                   \
	PLAIN_SUM(attr, set##_l2sq_f32, float, float, F32(va), F32(vb),            \
			  (a - b) * (a - b))                                               \
	PLAIN_SUM(attr, set##_ip_f32, float, float, F32(va), F32(vb), a *b)        \
	PLAIN_SUM(attr, set##_l1_f32, float, float, F32(va), F32(vb),              \
			  fabsf(a - b))                                                    \
	PLAIN_COSINE(attr, set##_cosine_f32, float, F32(va), F32(vb))              \
	PLAIN_SUM(attr, set##_l2sq_f16, vr_half, vr_half, F16(va), F16(vb),        \
			  (a - b) * (a - b))                                               \
	PLAIN_SUM(attr, set##_ip_f16, vr_half, vr_half, F16(va), F16(vb), a *b)    \
	PLAIN_SUM(attr, set##_l1_f16, vr_half, vr_half, F16(va), F16(vb),          \
			  fabsf(a - b))                                                    \
	PLAIN_COSINE(attr, set##_cosine_f16, vr_half, F16(va), F16(vb))            \
	PLAIN_SUM(attr, set##_l2sq_f32_f16, float, vr_half, F32(va), F16(vb),      \
			  (a - b) * (a - b))                                               \
	PLAIN_SUM(attr, set##_ip_f32_f16, float, vr_half, F32(va), F16(vb), a *b)  \
	attr static void set##_f16_to_f32(int n, const vr_half *src, float *dst)   \
	{                                                                          \
		for (int i = 0; i < n; i++)                                            \
			dst[i] = F16(src);                                                 \
	}                                                                          \
	attr static void set##_f32_to_f16(int n, const float *src, vr_half *dst)   \
	{                                                                          \
		for (int i = 0; i < n; i++)                                            \
			((half *) dst)[i] = FLOAT_TO_HALF(src[i]);                         \
	}                                                                          \
	attr static uint64 set##_hamming(int n, const unsigned char *a,            \
									 const unsigned char *b)                   \
	{                                                                          \
		uint64 sum = 0;                                                        \
		for (int i = 0; i < n / 8; i++)                                        \
			sum += __builtin_popcountll(WORD(a) ^ WORD(b));                    \
		for (int i = n / 8 * 8; i < n; i++)                                    \
			sum += __builtin_popcount(a[i] ^ b[i]);                            \
		return sum;                                                            \
	}                                                                          \
	attr static void set##_jaccard(int n, const unsigned char *a,              \
								   const unsigned char *b, uint64 *both,       \
								   uint64 *any)                                \
	{                                                                          \
		uint64 in_both = 0;                                                    \
		uint64 in_any = 0;                                                     \
		for (int i = 0; i < n / 8; i++)                                        \
		{                                                                      \
			in_both += __builtin_popcountll(WORD(a) & WORD(b));                \
			in_any += __builtin_popcountll(WORD(a) | WORD(b));                 \
		}                                                                      \
		for (int i = n / 8 * 8; i < n; i++)                                    \
		{                                                                      \
			in_both += __builtin_popcount(a[i] & b[i]);                        \
			in_any += __builtin_popcount(a[i] | b[i]);                         \
		}                                                                      \
		*both = in_both;                                                       \
		*any = in_any;                                                         \
	}                                                                          \
	attr static void set##_l2sq_f32_batch(int n, const float *q,               \
										  const float *const *rows, int count, \
										  float *out)                          \
	{                                                                          \
		for (int r = 0; r < count; r++)                                        \
			out[r] = set##_l2sq_f32(n, q, rows[r]);                            \
	}                                                                          \
	attr static void set##_ip_f32_batch(int n, const float *q,                 \
										const float *const *rows, int count,   \
										float *out)                            \
	{                                                                          \
		for (int r = 0; r < count; r++)                                        \
			out[r] = set##_ip_f32(n, q, rows[r]);                              \
	}                                                                          \
	static const VrDistanceKernels set = {                                     \
		.name = #set,                                                          \
		.l2sq_f32 = set##_l2sq_f32,                                            \
		.ip_f32 = set##_ip_f32,                                                \
		.l1_f32 = set##_l1_f32,                                                \
		.cosine_f32 = set##_cosine_f32,                                        \
		.l2sq_f16 = set##_l2sq_f16,                                            \
		.ip_f16 = set##_ip_f16,                                                \
		.l1_f16 = set##_l1_f16,                                                \
		.cosine_f16 = set##_cosine_f16,                                        \
		.l2sq_f32_f16 = set##_l2sq_f32_f16,                                    \
		.ip_f32_f16 = set##_ip_f32_f16,                                        \
		.f16_to_f32 = set##_f16_to_f32,                                        \
		.f32_to_f16 = set##_f32_to_f16,                                        \
		.hamming = set##_hamming,                                              \
		.jaccard = set##_jaccard,                                              \
		.l2sq_f32_batch = set##_l2sq_f32_batch,                                \
		.ip_f32_batch = set##_ip_f32_batch,                                    \
	};

#ifdef __clang__
#define REORDER
#else
#define REORDER __attribute__((optimize("O3", "fast-math")))
#endif

/* Not inlined, for the same calls as the kernels have. */
PLAIN_SET(plain_baseline, REORDER __attribute__((noinline)))
#ifdef VR_DISTANCE_X86
PLAIN_SET(plain_avx2,
		  REORDER VR_TARGET("avx2,fma,f16c,popcnt") __attribute__((noinline)))
PLAIN_SET(plain_avx512,
		  REORDER VR_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,"
							"popcnt,prefer-vector-width=512")
			  __attribute__((noinline)))
PLAIN_SET(plain_avx512_popcnt,
		  REORDER VR_TARGET("avx512f,avx512bw,avx512dq,avx512vl,"
							"avx512vpopcntdq,avx2,fma,f16c,popcnt,"
							"prefer-vector-width=512")
			  __attribute__((noinline)))
#endif

/* ----- The limit ----- */

/* Kinds of instructions, by the execution ports they need. */
typedef enum Port
{
	P_LOAD,
	P_STORE,
	P_FMA, /* and multiplications, which are what is timed */
	P_ADD,
	P_WIDEN,  /* float16 in memory to float32 */
	P_NARROW, /* and back */
	P_BITS,   /* what counts bits: byte shuffle, or population count */
	P_ANY,    /* whatever runs on every vector port */
	P_COUNT,
	P_WIDEN_AND_ANY = P_COUNT /* one widening with three of any kind */
} Port;

/*
 * How many instructions of each kind one register of elements takes, in the
 * order of Port; the last is how many vector instructions there are in all. A
 * batch loads the query once for all rows that it sums side by side.
 */
typedef struct Cost
{
	double count[P_COUNT];
} Cost;

static const Cost costs[K_HAMMING] = {
	[K_L2SQ_F32] = {{2, 0, 1, 1, 0, 0, 0, 2}},
	[K_IP_F32] = {{2, 0, 1, 0, 0, 0, 0, 1}},
	[K_L1_F32] = {{2, 0, 0, 2, 0, 0, 0, 3}},
	[K_COSINE_F32] = {{2, 0, 3, 0, 0, 0, 0, 3}},
	[K_L2SQ_F32_BATCH] = {{1, 0, 1, 1, 0, 0, 0, 2}},
	[K_IP_F32_BATCH] = {{1, 0, 1, 0, 0, 0, 0, 1}},
	[K_L2SQ_F16] = {{2, 0, 1, 1, 2, 0, 0, 4}},
	[K_IP_F16] = {{2, 0, 1, 0, 2, 0, 0, 3}},
	[K_L1_F16] = {{2, 0, 0, 2, 2, 0, 0, 5}},
	[K_COSINE_F16] = {{2, 0, 3, 0, 2, 0, 0, 5}},
	[K_L2SQ_F32_F16] = {{2, 0, 1, 1, 1, 0, 0, 3}},
	[K_IP_F32_F16] = {{2, 0, 1, 0, 1, 0, 0, 2}},
	[K_F16_TO_F32] = {{1, 1, 0, 0, 1, 0, 0, 1}},
	[K_F32_TO_F16] = {{1, 1, 0, 0, 0, 1, 0, 1}},
};

/* An instruction set's registers and its times per instruction. */
typedef struct Machine
{
	int width;      /* float32 elements in a register; 0: limit not known */
	int batch_rows; /* rows summed side by side */
	Cost hamming;
	Cost jaccard;
	double ns[P_COUNT];
	double widen_ports; /* vector ports that one widening occupies */
} Machine;

static double
machine_limit_ns(const Machine *m, Kernel kernel, int dim)
{
	Cost cost = kernel == K_HAMMING   ? m->hamming
				: kernel == K_JACCARD ? m->jaccard
									  : costs[kernel];
	const double registers = kernel >= K_HAMMING
								 ? (double) dim / (32 * m->width)
								 : (double) dim / m->width;
	double limit = 0;
	Port port;

	if (kernel == K_L2SQ_F32_BATCH || kernel == K_IP_F32_BATCH)
		cost.count[P_LOAD] += 1.0 / m->batch_rows;
	cost.count[P_ANY] += cost.count[P_WIDEN] * (m->widen_ports - 1);
	for (port = 0; port < P_COUNT; port++)
		limit = Max(limit, cost.count[port] * m->ns[port]);
	return limit * registers;
}

#ifdef VR_DISTANCE_X86

#define PORT_LOOPS 400
#define PORT_INSTRUCTIONS (PORT_LOOPS * 32 * 8)

/* Eight independent instructions thirty-two times over, in a loop. */
#define PORT_LOOP(pre, post)                                                   \
	do                                                                         \
	{                                                                          \
		long loops = PORT_LOOPS;                                               \
		__asm__ volatile("1:\n\t.rept 32\n\t" pre "0" post "\n\t" pre "1" post \
						 "\n\t" pre "2" post "\n\t" pre "3" post "\n\t" pre    \
						 "4" post "\n\t" pre "5" post "\n\t" pre "6" post      \
						 "\n\t" pre "7" post "\n\t.endr\n\tdec %0\n\tjnz 1b"   \
						 : "+r"(loops)                                         \
						 : "r"(row_memory), "r"(out_memory)                    \
						 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",     \
						   "xmm4", "xmm5", "xmm6", "xmm7", "xmm10", "xmm11",   \
						   "xmm12");                                           \
	} while (0)

static void
port_loop_avx2(Port port)
{
	switch (port)
	{
		case P_LOAD:
			PORT_LOOP("vmovups (%1), %%ymm", "");
			break;
		case P_STORE:
			PORT_LOOP("vmovups %%ymm", ", (%2)");
			break;
		case P_FMA:
			PORT_LOOP("vmulps %%ymm8, %%ymm9, %%ymm", "");
			break;
		case P_ADD:
			PORT_LOOP("vaddps %%ymm8, %%ymm9, %%ymm", "");
			break;
		case P_WIDEN:
			PORT_LOOP("vcvtph2ps (%1), %%ymm", "");
			break;
		case P_NARROW:
			PORT_LOOP("vcvtps2ph $0, %%ymm8, %%xmm", "");
			break;
		case P_BITS:
			PORT_LOOP("vpshufb %%ymm8, %%ymm9, %%ymm", "");
			break;
		case P_WIDEN_AND_ANY:
			PORT_LOOP("vpand %%ymm8, %%ymm9, %%ymm10\n\t"
					  "vpand %%ymm8, %%ymm9, %%ymm11\n\t"
					  "vpand %%ymm8, %%ymm9, %%ymm12\n\t"
					  "vcvtph2ps (%1), %%ymm",
					  "");
			break;
		default:
			PORT_LOOP("vpand %%ymm8, %%ymm9, %%ymm", "");
	}
}

static void
port_loop_avx512(Port port)
{
	switch (port)
	{
		case P_LOAD:
			PORT_LOOP("vmovups (%1), %%zmm", "");
			break;
		case P_STORE:
			PORT_LOOP("vmovups %%zmm", ", (%2)");
			break;
		case P_FMA:
			PORT_LOOP("vmulps %%zmm8, %%zmm9, %%zmm", "");
			break;
		case P_ADD:
			PORT_LOOP("vaddps %%zmm8, %%zmm9, %%zmm", "");
			break;
		case P_WIDEN:
			PORT_LOOP("vcvtph2ps (%1), %%zmm", "");
			break;
		case P_NARROW:
			PORT_LOOP("vcvtps2ph $0, %%zmm8, %%ymm", "");
			break;
		case P_BITS:
			if (__builtin_cpu_supports("avx512vpopcntdq"))
				PORT_LOOP("vpopcntq %%zmm8, %%zmm", "");
			break;
		case P_WIDEN_AND_ANY:
			PORT_LOOP("vpandd %%zmm8, %%zmm9, %%zmm10\n\t"
					  "vpandd %%zmm8, %%zmm9, %%zmm11\n\t"
					  "vpandd %%zmm8, %%zmm9, %%zmm12\n\t"
					  "vcvtph2ps (%1), %%zmm",
					  "");
			break;
		default:
			PORT_LOOP("vpandd %%zmm8, %%zmm9, %%zmm", "");
	}
}

/* The best time of one instruction, or group of them, of a kind. */
static double
port_ns(void (*loop)(Port), Port port)
{
	double best = INFINITY;
	int round;

	for (round = 0; round < 40; round++)
	{
		const double start = now_ns();

		loop(port);
		best = Min(best, (now_ns() - start) / PORT_INSTRUCTIONS);
	}
	return best;
}

static void
machine_measure(Machine *m, void (*loop)(Port))
{
	Port port;

	for (port = 0; port < P_COUNT; port++)
		m->ns[port] = port_ns(loop, port);
	m->widen_ports = Max(1, port_ns(loop, P_WIDEN_AND_ANY) / m->ns[P_ANY] - 3);
	printf("ns per instruction: load %.3f store %.3f fma %.3f add %.3f "
		   "widen %.3f narrow %.3f bits %.3f any %.3f; ports per widen %.1f\n",
		   m->ns[P_LOAD], m->ns[P_STORE], m->ns[P_FMA], m->ns[P_ADD],
		   m->ns[P_WIDEN], m->ns[P_NARROW], m->ns[P_BITS], m->ns[P_ANY],
		   m->widen_ports);
}

#endif /* VR_DISTANCE_X86 */

/* What the set's limit and the compiler's loops are. */
static const VrDistanceKernels *
machine_of(const VrDistanceKernels *k, Machine *m)
{
	memset(m, 0, sizeof(*m));
#ifdef VR_DISTANCE_X86
	if (k == &VrDistanceAvx2)
	{
		m->width = 8;
		m->batch_rows = 2;
		/* four registers share an addition of bytes: see the kernel */
		m->hamming = (Cost){{2, 0, 0, 0, 0, 0, 2, 8.25}};
		m->jaccard = (Cost){{2, 0, 0, 0, 0, 0, 4, 17}};
		machine_measure(m, port_loop_avx2);
		return &plain_avx2;
	}
	if (k == &VrDistanceAvx512Popcnt)
	{
		m->width = 16;
		m->batch_rows = 4;
		m->hamming = (Cost){{2, 0, 0, 0, 0, 0, 1, 3}};
		m->jaccard = (Cost){{2, 0, 0, 0, 0, 0, 2, 6}};
		machine_measure(m, port_loop_avx512);
		return &plain_avx512_popcnt;
	}
	if (k == &VrDistanceAvx512)
	{
		m->width = 16;
		m->batch_rows = 4;
		/* AVX2's kernels, counted by registers of 64 bytes */
		m->hamming = (Cost){{4, 0, 0, 0, 0, 0, 4, 16.5}};
		m->jaccard = (Cost){{4, 0, 0, 0, 0, 0, 8, 34}};
		machine_measure(m, port_loop_avx512);
		return &plain_avx512;
	}
#endif
	return &plain_baseline;
}

/* ----- The two tables ----- */

/* Best time of one row. */
static double
time_in_cache(const VrDistanceKernels *k, Kernel kernel, int dim, int offset)
{
	const int fit = CACHE_BYTES / row_bytes(kernel, dim);
	const int rows = Min(MAX_ROWS, fit);
	double best = INFINITY;
	int passes = 1;
	int round;

	for (round = 0; round < 25; round++)
	{
		double start = now_ns();
		double elapsed;
		int pass;

		for (pass = 0; pass < passes; pass++)
			run_kernel(k, kernel, dim, rows, offset);
		elapsed = now_ns() - start;
		best = Min(best, elapsed / passes / rows);
		/* long against the clock, short against the scheduler */
		if (elapsed < 2e5)
			passes *= 2;
	}
	return best;
}

/* Float16 values that are also fair float32 values and bits. */
static void
operands_fill(void)
{
	float *q = (float *) query_memory;
	float *r = (float *) row_memory;
	int i;

	for (i = 0; i < sizeof(query_memory) / sizeof(float); i++)
		q[i] = VrBitsFloat(0x3c003c00 + i % 17 * 0x01000100);
	for (i = 0; i < sizeof(row_memory) / sizeof(float); i++)
		r[i] = VrBitsFloat(0x38003a00 + i % 13 * 0x01000100);
}

static void
table_in_cache(const VrDistanceKernels *k, const int *dims)
{
	Machine m;
	const VrDistanceKernels *plain = machine_of(k, &m);
	Kernel kernel;

	printf("%-8s %-15s %5s %8s %7s %8s %5s %8s %6s %9s %6s\n", "set", "kernel",
		   "dim", "ns", "GB/s", "limit", "of it", "plain", "gain", "unaligned",
		   "gain");
	for (kernel = 0; kernel < K_COUNT; kernel++)
	{
		const int *dim;

		for (dim = dims; *dim != 0; dim++)
		{
			const double ns = time_in_cache(k, kernel, *dim, 0);
			const double plain_ns = time_in_cache(plain, kernel, *dim, 0);
			const double page_ns = time_in_cache(k, kernel, *dim, PAGE_OFFSET);
			const double plain_page_ns =
				time_in_cache(plain, kernel, *dim, PAGE_OFFSET);

			printf("%-8s %-15s %5d %8.1f %7.1f ", k->name, kernel_names[kernel],
				   *dim, ns,
				   (query_bytes(kernel, *dim) + row_bytes(kernel, *dim)) / ns);
			if (m.width > 0)
			{
				const double limit = machine_limit_ns(&m, kernel, *dim);

				printf("%8.1f %4.0f%% ", limit, 100 * limit / ns);
			}
			else
				printf("%8s %5s ", "-", "-");
			printf("%8.1f %5.2fx %9.1f %5.2fx\n", plain_ns, plain_ns / ns,
				   page_ns, plain_page_ns / page_ns);
			fflush(stdout);
		}
	}
	printf("\n");
}

#define MEMORY_BYTES ((size_t) 256 << 20)
#define MEMORY_BATCH 32

/* Row numbers in random order. */
static int *
shuffled(int count)
{
	int *order = malloc(count * sizeof(int));
	uint64 state = 1;
	int i;

	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count - 1; i > 0; i--)
	{
		const int j = (int) ((state >> 33) % (i + 1));
		const int swap = order[i];

		order[i] = order[j];
		order[j] = swap;
		state = state * UINT64CONST(6364136223846793005) + 1442695040888963407;
	}
	return order;
}

/* Best time of one row, in batches or by single calls. */
static double
time_from_memory(const VrDistanceKernels *k, const float *memory, int dim,
				 bool batch)
{
	const int count = (int) (MEMORY_BYTES / sizeof(float) / dim);
	const float *query = (const float *) query_memory;
	int *order = shuffled(count);
	double best = INFINITY;
	int round;

	for (round = 0; round < 3; round++)
	{
		const double start = now_ns();
		int done;

		for (done = 0; done + MEMORY_BATCH <= count; done += MEMORY_BATCH)
		{
			const float *rows[MEMORY_BATCH];
			int r;

			for (r = 0; r < MEMORY_BATCH; r++)
				rows[r] = memory + (size_t) order[done + r] * dim;
			if (batch)
				k->l2sq_f32_batch(dim, query, rows, MEMORY_BATCH, results);
			else
				for (r = 0; r < MEMORY_BATCH; r++)
					results[r] = k->l2sq_f32(dim, query, rows[r]);
		}
		best = Min(best, (now_ns() - start) / done);
	}
	free(order);
	return best;
}

static void
table_from_memory(const int *dims)
{
	const VrDistanceKernels *const *k;
	const size_t half_elements = MEMORY_BYTES / sizeof(float) / 2;
	float *memory = malloc(MEMORY_BYTES);
	double best = INFINITY;
	size_t i;
	int round;

	if (memory == NULL)
		return;
	for (i = 0; i < 2 * half_elements; i++)
		memory[i] = (float) (i % 7);
	for (round = 0; round < 5; round++)
	{
		const double start = now_ns();

		results[0] = VrDistanceAvailable()[0]->l2sq_f32(
			(int) half_elements, memory, memory + half_elements);
		best = Min(best, now_ns() - start);
	}
	printf("memory read in sequence, one thread: %.1f GB/s\n",
		   MEMORY_BYTES / best);

	printf("%-8s %-15s %5s %9s %7s %9s %6s\n", "set", "random rows", "dim",
		   "ns", "GB/s", "single ns", "gain");
	for (k = VrDistanceAvailable(); *k != NULL; k++)
	{
		const int *dim;

		for (dim = dims; *dim != 0; dim++)
		{
			const double ns = time_from_memory(*k, memory, *dim, true);
			const double single = time_from_memory(*k, memory, *dim, false);

			printf("%-8s %-15s %5d %9.1f %7.1f %9.1f %5.2fx\n", (*k)->name,
				   "l2sq_f32_batch", *dim, ns, sizeof(float) * *dim / ns,
				   single, single / ns);
			fflush(stdout);
		}
	}
	free(memory);
}

/* kernels [SET...]: only these sets, "memory" for the second table. */
static bool
wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

int
main(int argc, char **argv)
{
	static const int dims[] = {128, 768, 1536, 0};
	const VrDistanceKernels *const *k;

	operands_fill();
	for (k = VrDistanceAvailable(); *k != NULL; k++)
		if (wanted((*k)->name, argc, argv))
			table_in_cache(*k, dims);
#ifdef VR_DISTANCE_X86
	if (VrDistanceAvailable()[0] == &VrDistanceAvx512Popcnt && argc == 1)
	{
		printf("avx512 as on CPUs without vpopcntdq\n");
		table_in_cache(&VrDistanceAvx512, dims);
	}
#endif
	if (wanted("memory", argc, argv))
		table_from_memory(dims);
	return 0;
}
