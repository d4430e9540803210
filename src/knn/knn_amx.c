/*
 * knn_amx.c
 *		Products of bfloat16 by Intel's AMX: see knn_coarse.h. Knows no search
 *		and no server.
 *
 * A tile register holds 16 rows of 64 bytes. One instruction multiplies 16 rows
 * of 32 elements with 32 elements of 16 queries and adds to 16 x 16 floats. Two
 * tiles of rows and two of queries are multiplied with each other, so that four
 * of those share four loads. What comes out is compared at once, while it is in
 * the first-level cache, and only a bit of each is kept.
 */
#include "postgres.h"

#include "knn/knn_coarse.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__has_include)
#if __has_include(<amxbf16intrin.h>) && __has_include(<asm/prctl.h>)
#define VR_KNN_AMX
#endif
#endif

#ifdef VR_KNN_AMX

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "distance/distance.h"

#define AMX_CODE                                                               \
	VR_TARGET("amx-tile,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl,"          \
			  "avx512vbmi2,avx2,fma,popcnt")

#define AMX_TILE 16                             /* rows of a tile register */
#define AMX_BYTES 64                            /* and bytes of one */
#define AMX_ELEMENTS (AMX_TILE * AMX_BYTES / 2) /* of bfloat16 */

StaticAssertDecl(VR_KNN_COARSE_BLOCK == 2 * AMX_TILE,
				 "a block is two tiles of rows");
StaticAssertDecl(VR_KNN_COARSE_STEP == AMX_BYTES / 2,
				 "a step is a row of a tile");

/* CPUID's leaf 7, EDX; and the component of the saved state, for Linux. */
#define AMX_CPUID_BF16 (1U << 22)
#define AMX_CPUID_TILE (1U << 24)
#define AMX_CPUID_VBMI2 (1U << 6)     /* of ECX */
#define AMX_REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM */
#define AMX_STATE_DATA 18             /* XFEATURE_XTILEDATA */

/*
 * Sums of squares of 16 at a time. To the nearest, ties to even; where that
 * overflows it gives Inf, whose error is Inf, and nothing is refused.
 */
AMX_CODE static float
amx_round(int dim, const float *x, uint16 *rounded)
{
	const int padded = TYPEALIGN(VR_KNN_COARSE_STEP, dim);
	const __m512i half = _mm512_set1_epi32(0x7FFF);
	const __m512i one = _mm512_set1_epi32(1);
	__m512 sum = _mm512_setzero_ps();
	int i;

	for (i = 0; i < padded; i += 16)
	{
		const __mmask16 mask =
			i + 16 <= dim ? 0xFFFF
						  : (i < dim ? (__mmask16) ((1U << (dim - i)) - 1) : 0);
		const __m512 value = _mm512_maskz_loadu_ps(mask, x + i);
		const __m512i bits = _mm512_castps_si512(value);
		const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
		const __m512i high = _mm512_srli_epi32(
			_mm512_add_epi32(bits, _mm512_add_epi32(half, odd)), 16);
		const __m512 error = _mm512_sub_ps(
			value, _mm512_castsi512_ps(_mm512_slli_epi32(high, 16)));

		sum = _mm512_fmadd_ps(error, error, sum);
		_mm256_storeu_si256((__m256i *) (rounded + i),
							_mm512_cvtepi32_epi16(high));
	}
	return _mm512_reduce_add_ps(sum);
}

/*
 * The second factor lies in a tile by pairs of elements: its row p has elements
 * 2p and 2p + 1 of each of the 16 queries.
 */
static void
amx_pack(int steps, const uint16 *rounded, uint16 *packed)
{
	const int stride = steps * VR_KNN_COARSE_STEP;
	int step;
	int half;
	int pair;
	int query;

	for (step = 0; step < steps; step++)
		for (half = 0; half < 2; half++)
			for (pair = 0; pair < AMX_TILE; pair++)
				for (query = 0; query < AMX_TILE; query++)
				{
					memcpy(packed,
						   rounded + (half * AMX_TILE + query) * stride +
							   step * VR_KNN_COARSE_STEP + 2 * pair,
						   2 * sizeof(uint16));
					packed += 2;
				}
}

/* As the instruction reads it: eight registers, all of full size. */
typedef struct AmxConfig
{
	uint8 palette;
	uint8 start_row;
	uint8 reserved[14];
	uint16 row_bytes[16];
	uint8 rows[16];
} AmxConfig;

AMX_CODE static void
amx_begin(void)
{
	AmxConfig config;
	int i;

	memset(&config, 0, sizeof(config));
	config.palette = 1;
	for (i = 0; i < 8; i++)
	{
		config.row_bytes[i] = AMX_BYTES;
		config.rows[i] = AMX_TILE;
	}
	/* The intrinsic tells the compiler that it reads the first eight bytes. */
	__asm__ volatile("" : : "r"(&config) : "memory");
	_tile_loadconfig(&config);
}

AMX_CODE static void
amx_end(void)
{
	_tile_release();
}

/* What products are compared with: of a block of queries. */
typedef struct AmxLimits
{
	__m512 slopes[2];
	__m512 slacks[2];
	__m512 limits[2];
} AmxLimits;

AMX_CODE static pg_attribute_always_inline AmxLimits
amx_limits(const float *slope, const float *slack, const float *limit)
{
	AmxLimits limits;
	int i;

	for (i = 0; i < 2; i++)
	{
		limits.slopes[i] = _mm512_loadu_ps(slope + i * AMX_TILE);
		limits.slacks[i] = _mm512_loadu_ps(slack + i * AMX_TILE);
		limits.limits[i] = _mm512_loadu_ps(limit + i * AMX_TILE);
	}
	return limits;
}

/* Compares products of rows first..last - 1 of a block. */
AMX_CODE static pg_attribute_always_inline void
amx_compare(const float *products, int first, int last, const float *weight,
			const float *norm, const AmxLimits *limits, uint32 *near)
{
	int i;

	for (i = first; i < last; i++)
	{
		const __m512 w = _mm512_set1_ps(weight[i]);
		const __m512 n = _mm512_set1_ps(norm[i]);
		__m512 a = _mm512_load_ps(products + i * VR_KNN_COARSE_BLOCK);
		__m512 b =
			_mm512_load_ps(products + i * VR_KNN_COARSE_BLOCK + AMX_TILE);

		a = _mm512_fmadd_ps(limits->slopes[0], w, a);
		b = _mm512_fmadd_ps(limits->slopes[1], w, b);
		a = _mm512_fmadd_ps(limits->slacks[0], n, a);
		b = _mm512_fmadd_ps(limits->slacks[1], n, b);
		near[i] =
			(uint32) _mm512_cmp_ps_mask(a, limits->limits[0], _CMP_NLT_UQ) |
			(uint32) _mm512_cmp_ps_mask(b, limits->limits[1], _CMP_NLT_UQ)
				<< AMX_TILE;
	}
}

/*
 * While a block is multiplied, the one before it is compared, some rows after
 * each step: the two use other parts of the CPU, and what the tiles store must
 * not be loaded at once.
 */
AMX_CODE static void
amx_block(int steps, const uint16 *rows, const float *weight, const float *norm,
		  int blocks, const uint16 *queries, const float *slope,
		  const float *slack, const float *limit, uint32 *near)
{
	const size_t pitch = (size_t) steps * AMX_BYTES;
	const char *upper = (const char *) rows;
	const char *lower = upper + AMX_TILE * pitch;
	const int part = (VR_KNN_COARSE_BLOCK + steps - 1) / steps;
	float products[2][VR_KNN_COARSE_BLOCK * VR_KNN_COARSE_BLOCK]
		__attribute__((aligned(AMX_BYTES)));
	AmxLimits limits;
	int block;

	for (block = 0; block <= blocks; block++)
	{
		const float *before = products[(block + 1) % 2];
		float *out = products[block % 2];
		int compared = VR_KNN_COARSE_BLOCK;
		int step;

		if (block > 0)
		{
			limits = amx_limits(slope, slack, limit);
			slope += VR_KNN_COARSE_BLOCK;
			slack += VR_KNN_COARSE_BLOCK;
			limit += VR_KNN_COARSE_BLOCK;
			compared = 0;
		}
		if (block < blocks)
		{
			_tile_zero(0);
			_tile_zero(1);
			_tile_zero(2);
			_tile_zero(3);
			for (step = 0; step < steps; step++)
			{
				const int next = Min(compared + part, VR_KNN_COARSE_BLOCK);

				_tile_loadd(4, upper + step * AMX_BYTES, pitch);
				_tile_loadd(5, lower + step * AMX_BYTES, pitch);
				_tile_loadd(6, queries, AMX_BYTES);
				_tile_loadd(7, queries + AMX_ELEMENTS, AMX_BYTES);
				_tile_dpbf16ps(0, 4, 6);
				_tile_dpbf16ps(1, 4, 7);
				_tile_dpbf16ps(2, 5, 6);
				_tile_dpbf16ps(3, 5, 7);
				queries += 2 * AMX_ELEMENTS;
				amx_compare(before, compared, next, weight, norm, &limits,
							near);
				compared = next;
			}
			/* Each row's products beside each other: all 32 queries. */
			_tile_stored(0, out, 2 * AMX_BYTES);
			_tile_stored(1, out + AMX_TILE, 2 * AMX_BYTES);
			_tile_stored(2, out + AMX_TILE * VR_KNN_COARSE_BLOCK,
						 2 * AMX_BYTES);
			_tile_stored(3, out + AMX_TILE * VR_KNN_COARSE_BLOCK + AMX_TILE,
						 2 * AMX_BYTES);
		}
		if (block > 0)
		{
			amx_compare(before, compared, VR_KNN_COARSE_BLOCK, weight, norm,
						&limits, near);
			near += VR_KNN_COARSE_BLOCK;
		}
	}
}

/* Without a branch on a bit: which are set is anybody's guess. */
AMX_CODE static int
amx_list(int blocks, const uint32 *near, uint16 *queries)
{
	const __m512i step = _mm512_set1_epi16(VR_KNN_COARSE_BLOCK);
	__m512i numbers;
	uint16 first[VR_KNN_COARSE_BLOCK];
	int n = 0;
	int i;

	for (i = 0; i < VR_KNN_COARSE_BLOCK; i++)
		first[i] = i;
	numbers = _mm512_loadu_si512(first);
	for (i = 0; i < blocks; i++)
	{
		const uint32 bits = near[(size_t) i * VR_KNN_COARSE_BLOCK];

		_mm512_storeu_si512(queries + n,
							_mm512_maskz_compress_epi16(bits, numbers));
		n += _mm_popcnt_u32(bits);
		numbers = _mm512_add_epi16(numbers, step);
	}
	return n;
}

static const VrKnnCoarseKernels amx_kernels = {
	.name = "amx",
	.round = amx_round,
	.pack = amx_pack,
	.begin = amx_begin,
	.end = amx_end,
	.block = amx_block,
	.list = amx_list,
};

const VrKnnCoarseKernels *
VrKnnAmx(void)
{
	static int usable = -1;

	if (usable < 0)
	{
		unsigned int eax;
		unsigned int ebx;
		unsigned int ecx = 0;
		unsigned int edx = 0;

		/*
		 * The rest of the kernels above is AVX-512, which distance/ checks. A
		 * process may use tiles when the system has been asked for the room
		 * that saving them takes; one that knows them not, refuses.
		 */
		usable = strcmp(VrDistanceAvailable()[0]->name, "avx512") == 0 &&
				 __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
				 (edx & AMX_CPUID_BF16) != 0 && (edx & AMX_CPUID_TILE) != 0 &&
				 (ecx & AMX_CPUID_VBMI2) != 0 &&
				 syscall(SYS_arch_prctl, AMX_REQUEST_PERMISSION,
						 AMX_STATE_DATA) == 0;
	}
	return usable ? &amx_kernels : NULL;
}

#else

const VrKnnCoarseKernels *
VrKnnAmx(void)
{
	return NULL;
}

#endif /* VR_KNN_AMX */
