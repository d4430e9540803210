/*
 * quant_code.c
 *		One-bit codes of a vertex's neighbours: encoding, and the handling of
 *		single lanes of a block.
 *
 * A block holds 16 bytes per group of four code bits. Byte j of a group has
 * the bits of lane j in its low half and those of lane j + 16 in its high half,
 * bit b of a half being coordinate 4 * group + b.
 */
#include "c.h"

#include "quant/quant_private.h"

float
VrEstimateSigma(int padded, int code_bits)
{
	float cut = 1.0f - (float) code_bits / (float) padded;

	return sqrtf((0.5707963f + (cut > 0.0f ? cut : 0.0f)) / (float) code_bits);
}

/*
 * The two factors, in the order that makes the rounding of rescale harmless:
 * add is computed from the rounded value, so that the rounding error is
 * multiplied by <s, q - v> and not by <s, q>.
 */
static void
edge_factors(const float sums[3], float extra, VrEdge *edge)
{
	float sr = sums[0];
	float sv = sums[1];
	float r2 = sums[2];
	float rescale = 0.0f;
	float add;

	/*
	 * A residual with nothing in the coded coordinates says nothing about
	 * directions: leave the estimate at |q-v|^2 + |r|^2.
	 */
	if (r2 > 0.0f && sr > 0.0f)
	{
		rescale = -2.0f * r2 / sr;
		if (!(rescale > -VR_ADD_MAX))
			rescale = 0.0f;
	}
	edge->r2 = quant_bound(r2);
	edge->rescale = quant_bf16_from_float(rescale);
	add = r2 - quant_bf16_to_float(edge->rescale) * sv + extra;
	add = add < VR_ADD_MAX ? add : VR_ADD_MAX;
	edge->add = add > -VR_ADD_MAX ? add : -VR_ADD_MAX;
}

void
VrEdgeEncode(int padded, int code_bits, const float *v, const float *u,
			 float extra, uint8 *row, VrEdge *edge)
{
	float sums[3];

	VrQuant->edge_bits(padded, code_bits, v, u, row, 1, sums);
	edge_factors(sums, extra, edge);
}

static void
lane_set_factors(VrEdgeFactors *factors, int lane, const VrEdge *edge)
{
	factors->add[lane] = edge->add;
	factors->rescale[lane] = edge->rescale;
}

static void
lane_empty_factors(VrEdgeFactors *factors, int lane)
{
	factors->add[lane] = INFINITY;
	factors->rescale[lane] = 0;
}

/* Up to this many bit columns of eight are collected before packing. */
#define EDGE_COLUMNS (VR_CODE_BITS_MAX / 8)

/* Column-wise: byte i of lane l at [i][l], so that packing is plain. */
typedef uint8 EdgeColumns[EDGE_COLUMNS][VR_QUANT_LANES];

static void
edge_begin(int code_bits, int n, EdgeColumns columns)
{
	if (n < VR_QUANT_LANES)
		memset(columns, 0, VR_QUANT_LANES * (code_bits / 8));
}

/* Encodes one neighbour; returns |r|^2. */
static float
edge_column(int padded, int code_bits, const float *v, const float *u,
			float extra, int lane, EdgeColumns columns, VrEdgeFactors *factors)
{
	float sums[3];
	VrEdge edge;

	VrQuant->edge_bits(padded, code_bits, v, u, &columns[0][lane],
					   VR_QUANT_LANES, sums);
	edge_factors(sums, extra, &edge);
	lane_set_factors(factors, lane, &edge);
	return edge.r2;
}

/* Packs the columns of n lanes, and empties the other lanes. */
static void
edge_pack(int code_bits, int n, const uint8 columns[][VR_QUANT_LANES],
		  uint8 *block, VrEdgeFactors *factors)
{
	for (int lane = n; lane < VR_QUANT_LANES; lane++)
		lane_empty_factors(factors, lane);
	for (int i = 0; i < code_bits / 8; i++, block += 32)
		for (size_t j = 0; j < 16; j++)
		{
			uint8 a = columns[i][j];
			uint8 b = columns[i][j + 16];

			block[j] = (uint8) ((a & 0x0f) | (b << 4));
			block[j + 16] = (uint8) ((a >> 4) | (b & 0xf0));
		}
}

void
VrEdgeBlockEncode(int padded, int code_bits, const float *v, int n,
				  const float *const *u, const float *extra, uint8 *block,
				  VrEdgeFactors *factors, float *r2)
{
	EdgeColumns columns;

	edge_begin(code_bits, n, columns);
	for (int lane = 0; lane < n; lane++)
	{
		float one =
			edge_column(padded, code_bits, v, u[lane],
						extra ? extra[lane] : 0.0f, lane, columns, factors);

		if (r2)
			r2[lane] = one;
	}
	edge_pack(code_bits, n, (const uint8(*)[VR_QUANT_LANES]) columns, block,
			  factors);
}

void
VrEdgeBlockEncodeOwn(int padded, int code_bits, const float *v, int n,
					 VrOwnKind kind, const VrOwnHead *const *heads,
					 const void *const *data, const float *extra,
					 float *scratch, uint8 *block, VrEdgeFactors *factors)
{
	EdgeColumns columns;
	int bytes = VrOwnBytes(kind, padded);

	edge_begin(code_bits, n, columns);
	for (int lane = 0; lane < n; lane++)
	{
		if (lane + 1 < n)
			for (int i = 0; i < bytes; i += 64)
				VR_PREFETCH((const char *) data[lane + 1] + i);
		VrOwnDecode(kind, padded, heads[lane], data[lane], scratch);
		(void) edge_column(padded, code_bits, v, scratch,
						   extra ? extra[lane] : 0.0f, lane, columns, factors);
	}
	edge_pack(code_bits, n, (const uint8(*)[VR_QUANT_LANES]) columns, block,
			  factors);
}

/* Sets a lane's bits from a row; zeros if row is NULL. */
static void
lane_set_bits(int code_bits, uint8 *block, int lane, const uint8 *row)
{
	int shift = lane < 16 ? 0 : 4;
	uint8 keep = (uint8) (0xf0 >> shift);

	block += lane & 15;
	for (int i = 0; i < code_bits / 8; i++, block += 32)
	{
		unsigned bits = row ? row[i] : 0;

		block[0] = (uint8) ((block[0] & keep) | (bits & 15) << shift);
		block[16] = (uint8) ((block[16] & keep) | (bits >> 4) << shift);
	}
}

static void
lane_get_bits(int code_bits, const uint8 *block, int lane, uint8 *row)
{
	int shift = lane < 16 ? 0 : 4;

	block += lane & 15;
	for (int i = 0; i < code_bits / 8; i++, block += 32)
		row[i] =
			(uint8) ((block[0] >> shift & 15) | (block[16] >> shift & 15) << 4);
}

void
VrLaneSet(int code_bits, uint8 *block, VrEdgeFactors *factors, int lane,
		  const uint8 *row, const VrEdge *edge)
{
	lane_set_bits(code_bits, block, lane, row);
	lane_set_factors(factors, lane, edge);
}

void
VrLaneGet(int padded, int code_bits, const uint8 *block,
		  const VrEdgeFactors *factors, int lane, uint8 *row, VrEdge *edge)
{
	float norm = VrEdgeNorm(padded, code_bits, factors, lane);

	lane_get_bits(code_bits, block, lane, row);
	edge->r2 = norm * norm;
	edge->add = factors->add[lane];
	edge->rescale = factors->rescale[lane];
}

void
VrLaneClear(int code_bits, uint8 *block, VrEdgeFactors *factors, int lane)
{
	lane_set_bits(code_bits, block, lane, NULL);
	lane_empty_factors(factors, lane);
}

void
VrLaneClearAll(int code_bits, uint8 *block, VrEdgeFactors *factors)
{
	memset(block, 0, VR_CODE_BLOCK_BYTES(code_bits));
	for (int lane = 0; lane < VR_QUANT_LANES; lane++)
		lane_empty_factors(factors, lane);
}

void
VrLaneCopy(int code_bits, uint8 *dst, VrEdgeFactors *dst_factors, int dst_lane,
		   const uint8 *src, const VrEdgeFactors *src_factors, int src_lane)
{
	uint8 row[VR_CODE_ROW_BYTES(VR_CODE_BITS_MAX)];

	lane_get_bits(code_bits, src, src_lane, row);
	lane_set_bits(code_bits, dst, dst_lane, row);
	dst_factors->add[dst_lane] = src_factors->add[src_lane];
	dst_factors->rescale[dst_lane] = src_factors->rescale[src_lane];
}

/*
 * rescale = -2 r^2 / <s,r>, and <s,r> = 1/2 sum |r_j| concentrates at |r| *
 * Dc / sqrt(2 pi P) for a randomly rotated r.
 */
float
VrEdgeNorm(int padded, int code_bits, const VrEdgeFactors *factors, int lane)
{
	float unit = -0.5f * (float) code_bits / sqrtf(6.2831853f * (float) padded);

	return quant_bf16_to_float(factors->rescale[lane]) * unit;
}

void
VrEdgeNorms(int padded, int code_bits, const VrEdgeFactors *factors,
			float norms[VR_QUANT_LANES])
{
	float unit = -0.5f * (float) code_bits / sqrtf(6.2831853f * (float) padded);

	for (size_t i = 0; i < VR_QUANT_LANES; i++)
		norms[i] = quant_bf16_to_float(factors->rescale[i]) * unit;
}
