/*
 * halfvec_io.c
 *		Type halfvec: construction, text, binary, type modifier.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "types/types_private.h"

/* The smallest float32 magnitude that rounds to infinity in half precision. */
#define HALFVEC_OVERFLOW 65520.0f

PG_FUNCTION_INFO_V1(vr_halfvec_in);
PG_FUNCTION_INFO_V1(vr_halfvec_out);
PG_FUNCTION_INFO_V1(vr_halfvec_typmod_in);
PG_FUNCTION_INFO_V1(vr_halfvec_recv);
PG_FUNCTION_INFO_V1(vr_halfvec_send);

VrHalfVec *
VrHalfVecMake(int dim)
{
	Size size = VR_HALFVEC_SIZE(dim);
	VrHalfVec *result = palloc0(size);

	SET_VARSIZE(result, size);
	result->dim = (int16) dim;
	return result;
}

/* halfvec_in(cstring, oid, integer) */
Datum
vr_halfvec_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	float x[VR_VECTOR_MAX_DIM];
	int dim;
	VrHalfVec *result;

	dim = VrTypesParseDense(fcinfo->context, "halfvec", text, HALFVEC_OVERFLOW,
							x);
	if (dim == 0)
		return (Datum) 0;
	if (VR_UNLIKELY(typmod != -1 && typmod != dim))
		return VrErrorTypmod(fcinfo->context, typmod, dim);

	result = VrHalfVecMake(dim);
	VrDistance->f32_to_f16(dim, x, result->x);
	PG_RETURN_POINTER(result);
}

/*
 * halfvec_out(halfvec): the shortest decimals for the values as float32, so
 * that casting to vector does not change what is seen.
 */
Datum
vr_halfvec_out(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	float *x = palloc(sizeof(float) * v->dim);
	char *text;

	VrDistance->f16_to_f32(v->dim, v->x, x);
	text = VrTypesPrintDense(v->dim, x);
	pfree(x);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

/* halfvec_typmod_in(cstring[]) */
Datum
vr_halfvec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(
		VrTypesTypmodIn(PG_GETARG_DATUM(0), "halfvec", VR_HALFVEC_MAX_DIM));
}

/*
 * halfvec_recv(internal, oid, integer): uint16 dimensions, uint16 zero,
 * elements of two bytes, all in network order.
 */
Datum
vr_halfvec_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int dim = pq_getmsgint(buf, sizeof(uint16));
	int unused = pq_getmsgint(buf, sizeof(uint16));
	const unsigned char *data;
	VrHalfVec *result;

	VrCheckDimLimit("halfvec", dim, VR_HALFVEC_MAX_DIM);
	VrCheckTypmod(typmod, dim);
	if (unused != 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("expected unused to be 0, not %d", unused)));

	data = (const unsigned char *) pq_getmsgbytes(buf, sizeof(vr_half) * dim);
	result = VrHalfVecMake(dim);
	for (int i = 0; i < dim; i++)
	{
		vr_half half = (vr_half) (data[2 * i] << 8 | data[2 * i + 1]);

		if (VR_UNLIKELY(!VrHalfIsFinite(half)))
			VrErrorNotFinite(NULL, "halfvec", VrHalfToFloat(half));
		result->x[i] = half;
	}
	PG_RETURN_POINTER(result);
}

/* halfvec_send(halfvec) */
Datum
vr_halfvec_send(PG_FUNCTION_ARGS)
{
	VrHalfVec *v = PG_GETARG_VR_HALFVEC(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, (int) VR_HALFVEC_SIZE(v->dim));
	pq_sendint16(&buf, v->dim);
	pq_sendint16(&buf, v->unused);
	for (int i = 0; i < v->dim; i++)
		pq_writeint16(&buf, v->x[i]);
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
