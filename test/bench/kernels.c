/*
 * kernels.c
 *		Times every kernel of src/distance, set by set.
 *
 * In cache: operands that stay in the first-level cache, beside a limit and
 * the loop that the compiler makes of the plain definition for the same
 * instruction set, told that it may reorder sums.
 *
 * The limit is the time that the instructions take which the kernel's sum
 * cannot do without, one register of elements after another, with nothing that
 * waits for anything: what the execution ports allow. It is measured, as a loop
 * of just these instructions, in the same rounds as the kernel. Calls, loop
 * control, the rest of a length and the final addition across a register are on
 * top of it.
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
	K_HAMMING_BATCH,
	K_COUNT
} Kernel;

static const char *const kernel_names[K_COUNT] = {
	"l2sq_f32",       "ip_f32",       "l1_f32",       "cosine_f32",
	"l2sq_f32_batch", "ip_f32_batch", "l2sq_f16",     "ip_f16",
	"l1_f16",         "cosine_f16",   "l2sq_f32_f16", "ip_f32_f16",
	"f16_to_f32",     "f32_to_f16",   "hamming",      "jaccard",
	"hamming_batch"};

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
static uint64 row_counts[MAX_ROWS];

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
		case K_HAMMING_BATCH:
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
		case K_HAMMING_BATCH:
			k->hamming_batch(dim / 8, query, (void *) row, rows, row_counts);
			break;
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
 * set that run_kernel() takes. Float16 is widened and narrowed by the usual
 * arithmetic on bits, which compilers vectorise (loops over _Float16 they, GCC
 * 12, do not). They give what ours give: Inf, NaN and denormals too, but for a
 * signalling NaN, which stays one. For denormals the CPU must have them
 * switched on, and takes long over each; ours do not.
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
		bits.u |= bits.f >= 65536.0f ? 0x7f800000 : 0;                         \
		bits.u |= (uint32) ((h) &0x8000) << 16;                                \
		bits.f;                                                                \
	})
#define FLOAT_TO_HALF(x)                                                       \
	({                                                                         \
		FloatBits bits = {.f = (x)};                                           \
		const uint32 sign = (bits.u >> 16) & 0x8000;                           \
		const int32 size = (int32) (bits.u & 0x7fffffff);                      \
		FloatBits small = {.u = size};                                         \
		small.f += 0.5f;                                                       \
		(vr_half)(sign |                                                       \
				  (size > 0x7f800000    ? 0x7e00 | ((size >> 13) & 0x1ff)      \
				   : size >= 0x47800000 ? 0x7c00                               \
				   : size < 0x38800000  ? small.u - 0x3f000000                 \
										: ((uint32) size - 0x38000000 +        \
                                          0x0fff + ((size >> 13) & 1)) >>     \
											 13));                             \
	})

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
			dst[i] = FLOAT_TO_HALF(src[i]);                                    \
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
	attr static void set##_hamming_batch(int n, const unsigned char *q,        \
										 const unsigned char *rows, int count, \
										 uint64 *out)                          \
	{                                                                          \
		for (int r = 0; r < count; r++)                                        \
			out[r] = set##_hamming(n, q, rows + r * n);                        \
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
		.hamming_batch = set##_hamming_batch,                                  \
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

/* What a kernel cannot do without. */
typedef enum Part
{
	I_LOAD,
	I_STORE,
	I_WIDEN,  /* float16 in memory to float32 */
	I_NARROW, /* and back, to memory */
	I_ADD,    /* which a multiply-add can do as well */
	I_FMA,
	I_BITS, /* what counts bits: byte shuffle, or population count */
	I_ANY,  /* bitwise operations, additions of integers */
	I_COUNT
} Part;

/* How many instructions of each kind so many registers of elements take. */
typedef struct Mix
{
	int registers;
	int count[I_COUNT];
} Mix;

/* None, half and all of the additions as multiply-adds. */
#define MIX_VARIANTS 3

#ifdef VR_DISTANCE_X86

#define MIX_LOOPS 100
#define MIX_UNROLL 16

/* A batch loads the query once for all rows that it sums side by side. */
#define MIX_FLOATS(EACH, rows)                                                 \
	EACH(K_L2SQ_F32, 2, 4, 0, 0, 0, 2, 2)                                      \
	EACH(K_IP_F32, 1, 2, 0, 0, 0, 0, 1)                                        \
	EACH(K_L1_F32, 1, 2, 0, 0, 0, 2, 0, 0, 1)                                  \
	EACH(K_COSINE_F32, 1, 2, 0, 0, 0, 0, 3)                                    \
	EACH(K_L2SQ_F32_BATCH, rows, rows + 1, 0, 0, 0, rows, rows)                \
	EACH(K_IP_F32_BATCH, rows, rows + 1, 0, 0, 0, 0, rows)                     \
	EACH(K_L2SQ_F16, 2, 0, 0, 4, 0, 2, 2)                                      \
	EACH(K_IP_F16, 1, 0, 0, 2, 0, 0, 1)                                        \
	EACH(K_L1_F16, 1, 0, 0, 2, 0, 2, 0, 0, 1)                                  \
	EACH(K_COSINE_F16, 1, 0, 0, 2, 0, 0, 3)                                    \
	EACH(K_L2SQ_F32_F16, 2, 2, 0, 2, 0, 2, 2)                                  \
	EACH(K_IP_F32_F16, 1, 1, 0, 1, 0, 0, 1)                                    \
	EACH(K_F16_TO_F32, 1, 0, 1, 1)                                             \
	EACH(K_F32_TO_F16, 1, 1, 0, 0, 1)
/* In AVX2, so many registers share an addition of bytes: see the kernels. */
#define MIX_BITS_AVX2(EACH)                                                    \
	EACH(K_HAMMING, 4, 8, 0, 0, 0, 0, 0, 8, 25)                                \
	EACH(K_JACCARD, 2, 4, 0, 0, 0, 0, 0, 8, 26)                                \
	EACH(K_HAMMING_BATCH, 16, 20, 0, 0, 0, 0, 0, 32, 100)
#define MIX_BITS_AVX512(EACH)                                                  \
	EACH(K_HAMMING, 1, 2, 0, 0, 0, 0, 0, 1, 2)                                 \
	EACH(K_JACCARD, 1, 2, 0, 0, 0, 0, 0, 2, 4)                                 \
	EACH(K_HAMMING_BATCH, 8, 9, 0, 0, 0, 0, 0, 8, 16)

#define MIX_REPEAT(times, text, ...)                                           \
	_Pragma("GCC unroll 32") for (i = 0; i < (times); i++) __asm__ volatile(   \
		text : : __VA_ARGS__ : "memory", "xmm0")

/*
 * MIX_LOOPS * MIX_UNROLL times the registers of the mix, a constant wherever
 * this is inlined. Each instruction writes a register that none reads, and
 * stores go to one place after another.
 */
#define MIX_RUN(name, attr, bytes, R, HALF, BITS)                              \
	attr VR_DISTANCE_INLINE void name(const Mix mix, const int as_fma)         \
	{                                                                          \
		const int *const count = mix.count;                                    \
		int loop;                                                              \
		int unroll;                                                            \
		int i;                                                                 \
                                                                               \
		for (loop = 0; loop < MIX_LOOPS; loop++)                               \
			_Pragma("GCC unroll 16") for (unroll = 0; unroll < MIX_UNROLL;     \
										  unroll++)                            \
			{                                                                  \
				const char *in = row_memory + unroll * (bytes);                \
				char *out = out_memory + unroll * (bytes);                     \
				char *half_out = out_memory + unroll * (bytes) / 2;            \
                                                                               \
				MIX_REPEAT(count[I_LOAD], "vmovups %0, %%" R "0", "m"(*in));   \
				MIX_REPEAT(count[I_WIDEN], "vcvtph2ps %0, %%" R "0",           \
						   "m"(*in));                                          \
				MIX_REPEAT(count[I_ADD] - as_fma,                              \
						   "vaddps %%" R "8, %%" R "9, %%" R "0", "r"(0));     \
				MIX_REPEAT(count[I_FMA] + as_fma,                              \
						   "vmulps %%" R "8, %%" R "9, %%" R "0", "r"(0));     \
				MIX_REPEAT(count[I_BITS], BITS, "r"(0));                       \
				MIX_REPEAT(count[I_ANY],                                       \
						   "vandps %%" R "8, %%" R "9, %%" R "0", "r"(0));     \
				MIX_REPEAT(count[I_STORE], "vmovups %%" R "8, %0", "m"(*out)); \
				MIX_REPEAT(count[I_NARROW], "vcvtps2ph $0, %%" R "8, %0",      \
						   "m"(*half_out));                                    \
			}                                                                  \
	}

#define MIX_CASE(run, kernel, registers, ...)                                  \
	case kernel:                                                               \
	{                                                                          \
		const Mix mix = {registers, {__VA_ARGS__}};                            \
                                                                               \
		if (variant == 0)                                                      \
			run(mix, 0);                                                       \
		else if (variant == 1)                                                 \
			run(mix, mix.count[I_ADD] / 2);                                    \
		else                                                                   \
			run(mix, mix.count[I_ADD]);                                        \
		return MIX_LOOPS * MIX_UNROLL * (registers);                           \
	}
#define MIX_CASE_AVX2(...) MIX_CASE(mix_run_avx2, __VA_ARGS__)
#define MIX_CASE_AVX512(...) MIX_CASE(mix_run_avx512, __VA_ARGS__)

#define MIX_AVX2 VR_TARGET("avx2,fma,f16c")
#define MIX_AVX512 VR_TARGET("avx512f,avx512bw,avx512dq,avx512vl")
MIX_RUN(mix_run_avx2, MIX_AVX2, 32, "ymm", "xmm",
		"vpshufb %%ymm8, %%ymm9, %%ymm0")
MIX_RUN(mix_run_avx512, MIX_AVX512, 64, "zmm", "ymm", "vpopcntq %%zmm8, %%zmm0")

/* Runs a kernel's mix, and says how many registers of elements that was. */
MIX_AVX2 static int
mix_avx2(Kernel kernel, int variant)
{
	switch (kernel)
	{
		MIX_FLOATS(MIX_CASE_AVX2, 2)
		MIX_BITS_AVX2(MIX_CASE_AVX2)
		default:
			return 0;
	}
}

MIX_AVX512 static int
mix_avx512_popcnt(Kernel kernel, int variant)
{
	switch (kernel)
	{
		MIX_FLOATS(MIX_CASE_AVX512, 4)
		MIX_BITS_AVX512(MIX_CASE_AVX512)
		default:
			return 0;
	}
}

#endif /* VR_DISTANCE_X86 */

/* What a set is measured against. */
typedef struct Machine
{
	const VrDistanceKernels *plain;          /* the compiler's loops */
	int (*mix)(Kernel kernel, int variant);  /* NULL: limit not known */
	int bytes;                               /* in a register */
	int (*bits)(Kernel kernel, int variant); /* the same for bit kernels */
	int bits_bytes;
} Machine;

static Machine
machine_of(const VrDistanceKernels *k)
{
#ifdef VR_DISTANCE_X86
	if (k == &VrDistanceAvx2)
		return (Machine){&plain_avx2, mix_avx2, 32, mix_avx2, 32};
	if (k == &VrDistanceAvx512Popcnt)
		return (Machine){&plain_avx512_popcnt, mix_avx512_popcnt, 64,
						 mix_avx512_popcnt, 64};
	if (k == &VrDistanceAvx512)
		return (Machine){&plain_avx512, mix_avx512_popcnt, 64, mix_avx2, 32};
#endif
	return (Machine){&plain_baseline, NULL, 0, NULL, 0};
}

/* ----- The two tables ----- */

#define ROUNDS 60

/* The best time so far of one row, and how many passes are timed at once. */
typedef struct Best
{
	double ns;
	int passes;
} Best;

static void
best_kernel(Best *best, const VrDistanceKernels *k, Kernel kernel, int dim,
			int offset)
{
	const int fit = CACHE_BYTES / row_bytes(kernel, dim);
	const int rows = Min(MAX_ROWS, fit);
	const double start = now_ns();
	double elapsed;
	int pass;

	for (pass = 0; pass < best->passes; pass++)
		run_kernel(k, kernel, dim, rows, offset);
	elapsed = now_ns() - start;
	best->ns = Min(best->ns, elapsed / best->passes / rows);
	/* long against the clock, short against the scheduler */
	if (elapsed < 1e5)
		best->passes *= 2;
}

/* The best time of the mix of a kernel. */
static void
best_limit(Best *best, const Machine *m, Kernel kernel, int dim)
{
	const bool bits = kernel >= K_HAMMING;
	const int bytes = bits ? m->bits_bytes : m->bytes;
	const double registers = bits ? dim / 8.0 / bytes : dim * 4.0 / bytes;
	int variant;

	for (variant = 0; m->mix != NULL && variant < MIX_VARIANTS; variant++)
	{
		const double start = now_ns();
		const int done = (bits ? m->bits : m->mix)(kernel, variant);
		const double ns = (now_ns() - start) / done;

		best->ns = Min(best->ns, ns * registers);
	}
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

/* All of a line's times take turns, so that a busy moment hits all of them. */
static void
line_in_cache(const VrDistanceKernels *k, Kernel kernel, int dim)
{
	const Machine m = machine_of(k);
	Best ours = {INFINITY, 1};
	Best plain = {INFINITY, 1};
	Best page = {INFINITY, 1};
	Best plain_page = {INFINITY, 1};
	Best limit = {INFINITY, 1};
	int round;

	for (round = 0; round < ROUNDS; round++)
	{
		best_kernel(&ours, k, kernel, dim, 0);
		best_kernel(&plain, m.plain, kernel, dim, 0);
		best_kernel(&page, k, kernel, dim, PAGE_OFFSET);
		best_kernel(&plain_page, m.plain, kernel, dim, PAGE_OFFSET);
		best_limit(&limit, &m, kernel, dim);
	}
	printf("%-8s %-15s %5d %8.1f %7.1f ", k->name, kernel_names[kernel], dim,
		   ours.ns,
		   (query_bytes(kernel, dim) + row_bytes(kernel, dim)) / ours.ns);
	if (m.mix != NULL)
		printf("%8.1f %4.0f%% ", limit.ns, 100 * limit.ns / ours.ns);
	else
		printf("%8s %5s ", "-", "-");
	printf("%8.1f %5.2fx %9.1f %5.2fx\n", plain.ns, plain.ns / ours.ns, page.ns,
		   plain_page.ns / page.ns);
	fflush(stdout);
}

static void
table_in_cache(const VrDistanceKernels *k, const int *dims)
{
	Kernel kernel;
	const int *dim;

	printf("%-8s %-15s %5s %8s %7s %8s %5s %8s %6s %9s %6s\n", "set", "kernel",
		   "dim", "ns", "GB/s", "limit", "of it", "plain", "gain", "unaligned",
		   "gain");
	for (kernel = 0; kernel < K_COUNT; kernel++)
		for (dim = dims; *dim != 0; dim++)
			line_in_cache(k, kernel, *dim);
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
