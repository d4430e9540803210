/*
 * vector_io.c
 *		Type vector: construction, text, binary, type modifier.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"

#include "base/vr_error.h"
#include "types/types_private.h"

PG_FUNCTION_INFO_V1(vr_vector_in);
PG_FUNCTION_INFO_V1(vr_vector_out);
PG_FUNCTION_INFO_V1(vr_vector_typmod_in);
PG_FUNCTION_INFO_V1(vr_vector_recv);
PG_FUNCTION_INFO_V1(vr_vector_send);

VrVector *
VrVectorMake(int dim)
{
	Size size = VR_VECTOR_SIZE(dim);
	VrVector *result = palloc0(size);

	SET_VARSIZE(result, size);
	result->dim = (int16) dim;
	return result;
}

/* vector_in(cstring, oid, integer) */
Datum
vr_vector_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	float x[VR_VECTOR_MAX_DIM];
	int dim;
	Size size;
	VrVector *result;

	dim = VrTypesParseDense(fcinfo->context, "vector", text, INFINITY, x);
	if (dim == 0)
		return (Datum) 0;
	if (VR_UNLIKELY(typmod != -1 && typmod != dim))
		return VrErrorTypmod(fcinfo->context, typmod, dim);

	size = VR_VECTOR_SIZE(dim);
	result = palloc(size);
	SET_VARSIZE(result, size);
	result->dim = (int16) dim;
	result->unused = 0;
	memcpy(result->x, x, sizeof(float) * dim);
	PG_RETURN_POINTER(result);
}

/* vector_out(vector) */
Datum
vr_vector_out(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	char *text = VrTypesPrintDense(v->dim, v->x);

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

/* vector_typmod_in(cstring[]) */
Datum
vr_vector_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(
		VrTypesTypmodIn(PG_GETARG_DATUM(0), "vector", VR_VECTOR_MAX_DIM));
}

/*
 * vector_recv(internal, oid, integer): uint16 dimensions, uint16 zero,
 * float4 elements, all in network order. The message is known to be long enough
 * before memory is taken.
 */
Datum
vr_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int dim = pq_getmsgint(buf, sizeof(uint16));
	int unused = pq_getmsgint(buf, sizeof(uint16));
	const char *data;
	VrVector *result;

	VrCheckDimLimit("vector", dim, VR_VECTOR_MAX_DIM);
	VrCheckTypmod(typmod, dim);
	if (unused != 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("expected unused to be 0, not %d", unused)));

	data = pq_getmsgbytes(buf, sizeof(float) * dim);
	result = VrVectorMake(dim);
	for (int i = 0; i < dim; i++)
	{
		uint32 bits;

		memcpy(&bits, data + sizeof(bits) * i, sizeof(bits));
		bits = pg_ntoh32(bits);
		memcpy(&result->x[i], &bits, sizeof(bits));
	}
	if (VR_UNLIKELY(VrTypesAnyNotFinite(dim, result->x)))
	{
		for (int i = 0; i < dim; i++)
		{
			if (!isfinite(result->x[i]))
				VrErrorNotFinite(NULL, "vector", result->x[i]);
		}
	}
	PG_RETURN_POINTER(result);
}

/* vector_send(vector) */
Datum
vr_vector_send(PG_FUNCTION_ARGS)
{
	VrVector *v = PG_GETARG_VR_VECTOR(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, (int) VR_VECTOR_SIZE(v->dim));
	pq_sendint16(&buf, v->dim);
	pq_sendint16(&buf, v->unused);
	for (int i = 0; i < v->dim; i++)
	{
		uint32 bits;

		memcpy(&bits, &v->x[i], sizeof(bits));
		pq_writeint32(&buf, bits);
	}
	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
