/*
 * bit_ops.c
 *		Distances between bit strings, and bit strings from signs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/varbit.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_hamming_distance);
PG_FUNCTION_INFO_V1(vr_jaccard_distance);

/* A zeroed bit string in the current memory context. */
VarBit *
VrTypesMakeBits(int dim)
{
	Size size = VARBITTOTALLEN(dim);
	VarBit *result = palloc0(size);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = dim;
	return result;
}

/* Sets in zeroed bits, first element highest, a bit for each positive x. */
void
VrTypesSignBits(int dim, const float *x, unsigned char *bits)
{
	int i = 0;

	for (; i + 8 <= dim; i += 8)
	{
		unsigned char byte = 0;

		for (int j = 0; j < 8; j++)
			byte |= (unsigned char) ((x[i + j] > 0) << (7 - j));
		bits[i / 8] = byte;
	}
	for (; i < dim; i++)
		bits[i / 8] |= (unsigned char) ((x[i] > 0) << (7 - i % 8));
}

static inline void
BitCheckSameLength(VarBit *a, VarBit *b)
{
	if (VR_UNLIKELY(VARBITLEN(a) != VARBITLEN(b)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u",
						(unsigned) VARBITLEN(a), (unsigned) VARBITLEN(b))));
}

/* hamming_distance(bit, bit): positions that differ */
Datum
vr_hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit *a = PG_GETARG_VARBIT_P(0);
	VarBit *b = PG_GETARG_VARBIT_P(1);
	uint64 differ;

	BitCheckSameLength(a, b);
	differ = VrDistance->hamming(VARBITBYTES(a), VARBITS(a), VARBITS(b));
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_FLOAT8((double) differ);
}

/* jaccard_distance(bit, bit): 1 if no set bit is common, none set included */
Datum
vr_jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit *a = PG_GETARG_VARBIT_P(0);
	VarBit *b = PG_GETARG_VARBIT_P(1);
	uint64 both;
	uint64 any;

	BitCheckSameLength(a, b);
	VrDistance->jaccard(VARBITBYTES(a), VARBITS(a), VARBITS(b), &both, &any);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_FLOAT8(both == 0 ? 1.0 : 1.0 - (double) both / (double) any);
}
