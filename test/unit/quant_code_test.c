/*
 * quant_code_test.c
 *		Blocks of codes: packing, single lanes, and the factors.
 */
#include "c.h"

#include "quant_data.h"

enum
{
	DIM = 272,
	BITS = 208,
	BLOCK = VR_CODE_BLOCK_BYTES(BITS),
	ROW = VR_CODE_ROW_BYTES(BITS)
};

static float v[DIM];
static float u[40][DIM];
static const float *refs[40];
static float extra[40];

static void
make_block(int n, uint8 *block, VrEdgeFactors *factors, float *r2)
{
	memset(block, 0x5a, BLOCK);
	memset(factors, 0x5a, sizeof(*factors));
	VrEdgeBlockEncode(DIM, BITS, v, n, refs, extra, block, factors, r2);
}

int
main(void)
{
	const VrQuantKernels *const *sets;
	uint8 block[BLOCK], single[BLOCK], row[ROW], row2[ROW];
	VrEdgeFactors factors, single_factors;
	VrEdge edge, edge2;
	float r2[32], norms[32];
	bool same;
	double worst;

	VrDistanceInit();
	VrQuantInit();
	quant_normals(DIM, v, 1.0f);
	for (int i = 0; i < 40; i++)
	{
		quant_normals(DIM, u[i], 1.0f);
		refs[i] = u[i];
		extra[i] = quant_normal();
	}

	/* the layout on disk, spelt out */
	make_block(32, block, &factors, r2);
	same = true;
	for (int lane = 0; lane < 32; lane++)
		for (int j = 0; j < BITS; j++)
		{
			int byte = block[j / 4 * 16 + lane % 16];
			int bit = byte >> (lane / 16 * 4 + j % 4) & 1;

			same &= bit == (u[lane][j] > v[j]);
		}
	unit_ok(same, "bits are where the format says");
	same = true;
	for (int lane = 0; lane < 32; lane++)
		same &= fabs(r2[lane] - quant_l2sq(DIM, u[lane], v)) < 1e-3;
	unit_ok(same, "lengths of edges");

	for (int n = 0; n <= 32; n++)
	{
		make_block(n, block, &factors, r2);
		memset(single, 0xff, sizeof(single));
		VrLaneClearAll(BITS, single, &single_factors);
		for (int lane = n - 1; lane >= 0; lane--)
		{
			VrEdgeEncode(DIM, BITS, v, u[lane], extra[lane], row, &edge);
			VrLaneSet(BITS, single, &single_factors, lane, row, &edge);
			same &= edge.r2 == r2[lane];
		}
		same &= memcmp(block, single, BLOCK) == 0 &&
				memcmp(&factors, &single_factors, sizeof(factors)) == 0;
		for (int lane = 0; lane < 32; lane++)
			same &= VrLaneIsEmpty(&factors, lane) == (lane >= n);
	}
	unit_ok(same, "lane by lane equals all at once, for 0 to 32 lanes");

	same = true;
	make_block(32, block, &factors, r2);
	memcpy(single, block, BLOCK);
	single_factors = factors;
	for (int lane = 0; lane < 32; lane++)
	{
		VrLaneClear(BITS, single, &single_factors, lane);
		same &= VrLaneIsEmpty(&single_factors, lane);
		VrLaneGet(DIM, BITS, single, &single_factors, lane, row, &edge);
		for (int i = 0; i < ROW; i++)
			same &= row[i] == 0;
		VrEdgeEncode(DIM, BITS, v, u[lane], extra[lane], row, &edge);
		VrLaneSet(BITS, single, &single_factors, lane, row, &edge);
		VrLaneGet(DIM, BITS, single, &single_factors, lane, row2, &edge2);
		same &= memcmp(row, row2, ROW) == 0 && edge.add == edge2.add &&
				edge.rescale == edge2.rescale;
	}
	unit_ok(same && memcmp(block, single, BLOCK) == 0 &&
				memcmp(&factors, &single_factors, sizeof(factors)) == 0,
			"clearing and setting a lane touches no other");

	/* replace lane 9 by neighbour 35 and compare with a full encode */
	VrEdgeEncode(DIM, BITS, v, u[35], extra[35], row, &edge);
	VrLaneSet(BITS, block, &factors, 9, row, &edge);
	refs[9] = u[35];
	extra[9] = extra[35];
	make_block(32, single, &single_factors, NULL);
	unit_ok(memcmp(block, single, BLOCK) == 0 &&
				memcmp(&factors, &single_factors, sizeof(factors)) == 0,
			"a replaced lane equals a full encode");

	same = true;
	for (int to = 0; to < 32; to++)
		for (int from = 0; from < 32; from++)
		{
			VrLaneClearAll(BITS, single, &single_factors);
			VrLaneCopy(BITS, single, &single_factors, to, block, &factors,
					   from);
			VrLaneGet(DIM, BITS, block, &factors, from, row, &edge);
			VrLaneGet(DIM, BITS, single, &single_factors, to, row2, &edge2);
			same &= memcmp(row, row2, ROW) == 0 && edge.add == edge2.add &&
					edge.rescale == edge2.rescale && edge.r2 == edge2.r2;
		}
	memcpy(single, block, BLOCK);
	single_factors = factors;
	VrLaneCopy(BITS, single, &single_factors, 20, single, &single_factors, 4);
	VrLaneGet(DIM, BITS, block, &factors, 4, row, &edge);
	VrLaneGet(DIM, BITS, single, &single_factors, 20, row2, &edge2);
	same &= memcmp(row, row2, ROW) == 0 && edge.add == edge2.add;
	unit_ok(same, "lanes can be copied");

	/* |r| from the factor alone */
	worst = 0.0;
	make_block(32, block, &factors, r2);
	for (int lane = 0; lane < 32; lane++)
	{
		double ratio =
			VrEdgeNorm(DIM, BITS, &factors, lane) / sqrt(r2[lane]) - 1.0;

		worst = fabs(ratio) > worst ? fabs(ratio) : worst;
	}
	unit_ok(worst < 0.12, "|r| from the factor, worst error %.3f", worst);
	VrLaneClear(BITS, block, &factors, 5);
	VrEdgeNorms(DIM, BITS, &factors, norms);
	same = norms[5] == 0.0f;
	for (int lane = 0; lane < 32; lane++)
		same &= norms[lane] == VrEdgeNorm(DIM, BITS, &factors, lane);
	unit_ok(same, "|r| of all lanes at once");
	make_block(32, block, &factors, r2);

	/* the same from own vectors */
	same = true;
	for (int n = 0; n <= 32; n += 16)
	{
		static float decoded[32][DIM], scratch[DIM];
		static vr_half halves[32][DIM];
		const float *near[32];
		VrOwnHead heads[32];
		const VrOwnHead *head_refs[32];
		const void *data_refs[32];

		for (int lane = 0; lane < n; lane++)
		{
			VrOwnEncode(VR_OWN_F16, DIM, u[lane], &heads[lane], halves[lane]);
			VrOwnDecode(VR_OWN_F16, DIM, &heads[lane], halves[lane],
						decoded[lane]);
			near[lane] = decoded[lane];
			head_refs[lane] = &heads[lane];
			data_refs[lane] = halves[lane];
		}
		VrEdgeBlockEncode(DIM, BITS, v, n, near, extra, block, &factors, NULL);
		VrEdgeBlockEncodeOwn(DIM, BITS, v, n, VR_OWN_F16, head_refs, data_refs,
							 extra, scratch, single, &single_factors);
		same &= memcmp(block, single, BLOCK) == 0 &&
				memcmp(&factors, &single_factors, sizeof(factors)) == 0;
	}
	unit_ok(same, "own vectors are encoded as what they decode to");
	make_block(32, block, &factors, r2);

	/* every set encodes the same bits */
	sets = VrQuantAvailable();
	same = true;
	for (int i = 0; sets[i] != NULL; i++)
	{
		VrQuantForce(sets[i]->name);
		make_block(32, single, &single_factors, NULL);
		same &= memcmp(block, single, BLOCK) == 0;
		for (int lane = 0; lane < 32; lane++)
			same &= fabsf(single_factors.add[lane] - factors.add[lane]) < 1.0f;
	}
	unit_ok(same, "every set encodes the same codes");
	return unit_done();
}
