/*
 * vr_layout.c
 *		vecrecall.plan_layout(): what a table of vectors and its index will take,
 *		before there is one. Here and not in src/planner, since it needs the
 *		record layout of src/quant.
 */
#include "postgres.h"

#include <math.h>

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "quant/quant.h"

/* The table that is assumed: (id bigint, value). */
#define LAYOUT_KEY_BYTES 8

#define LAYOUT_TOAST_POINTER 18

/* Room on a page of the index, and of a record without vector and codes. */
#define LAYOUT_INDEX_ROOM 8152
#define LAYOUT_INDEX_FIXED 352

/* A plain record: header, and 2 m neighbours for m = 16. */
#define LAYOUT_PLAIN_HEADER 32
#define LAYOUT_PLAIN_NEIGHBOURS (32 * 4)

/* Records on upper levels, per vertex: 1 / (m - 1). */
#define LAYOUT_LEVELS (1 + 1.0 / 15)

typedef struct LayoutType
{
	const char *name;
	double bytes; /* per dimension */
	bool quantised;
} LayoutType;

static const LayoutType layout_types[] = {
	{"vector", 4, true}, {"halfvec", 2, true}, {"bit", 0.125, false}};

typedef struct LayoutTable
{
	int value_bytes;
	int bytes_per_row; /* in the table itself, line pointer included */
	int rows_per_page;
	bool toasted;
	double table_bytes; /* TOAST included */
} LayoutTable;

static int
layout_value_bytes(const LayoutType *type, int dim)
{
	return VARHDRSZ + 4 + (int) ceil(dim * type->bytes);
}

static double
layout_pages(double rows, int per_page)
{
	return ceil(rows / per_page) * BLCKSZ;
}

/*
 * Pages per value of so many full chunks and a last one: chunks come one after
 * another, and what does not fit the page begins the next.
 */
static double
layout_toast_pages(int full, int full_bytes, int rest_bytes)
{
	const int values = 64;
	const int room = BLCKSZ - SizeOfPageHeaderData;
	int left = 0;
	int pages = 0;

	for (int i = 0; i < values; i++)
		for (int j = 0; j < full + (rest_bytes > 0); j++)
		{
			int bytes =
				(j < full ? full_bytes : rest_bytes) + (int) sizeof(ItemIdData);

			if (bytes > left)
			{
				pages++;
				left = room;
			}
			left -= bytes;
		}
	return (double) pages / values;
}

static void
layout_table(const LayoutType *type, int dim, double rows, LayoutTable *t)
{
	int header = MAXALIGN(SizeofHeapTupleHeader) + LAYOUT_KEY_BYTES;
	int tuple;

	t->value_bytes = layout_value_bytes(type, dim);
	tuple = MAXALIGN(header + t->value_bytes);
	t->toasted = tuple > TOAST_TUPLE_THRESHOLD;
	t->table_bytes = 0;
	if (t->toasted)
	{
		int payload = t->value_bytes - VARHDRSZ;
		int full = payload / TOAST_MAX_CHUNK_SIZE;
		int rest = payload % TOAST_MAX_CHUNK_SIZE;
		int chunk =
			MAXALIGN(SizeofHeapTupleHeader) + 2 * sizeof(int32) + VARHDRSZ;

		/* The index of the chunks is some 32 bytes each. */
		t->table_bytes +=
			rows *
			layout_toast_pages(full, MAXALIGN(chunk + TOAST_MAX_CHUNK_SIZE),
							   rest > 0 ? MAXALIGN(chunk + rest) : 0) *
			BLCKSZ;
		t->table_bytes += rows * (full + (rest > 0)) * 32;
		tuple = MAXALIGN(header + LAYOUT_TOAST_POINTER);
	}
	t->bytes_per_row = tuple + sizeof(ItemIdData);
	t->rows_per_page = (BLCKSZ - SizeOfPageHeaderData) / t->bytes_per_row;
	t->table_bytes += layout_pages(rows, t->rows_per_page);
}

/* Bytes of an index that keeps values as they are; -1 if one fills no page. */
static double
layout_plain_index(const LayoutType *type, int dim, double rows)
{
	int record = MAXALIGN(LAYOUT_PLAIN_HEADER + LAYOUT_PLAIN_NEIGHBOURS +
						  layout_value_bytes(type, dim));

	if (record > LAYOUT_INDEX_ROOM)
		return -1;
	return layout_pages(rows * LAYOUT_LEVELS, LAYOUT_INDEX_ROOM / record);
}

static char *
layout_advice(const LayoutType *type, int dim, const LayoutTable *t)
{
	LayoutTable half;

	if (!t->toasted)
		return pstrdup("values are in the table itself");
	if (type->bytes > 2)
	{
		layout_table(&layout_types[1], dim, 1, &half);
		if (!half.toasted)
			return psprintf("values go out of line; halfvec(%d) would stay in "
							"the table at half the size",
							dim);
	}
	return pstrdup("values go out of line: a sequential scan that reads them "
				   "fetches each on its own");
}

static void
layout_put(ReturnSetInfo *rsinfo, const LayoutType *type, const char *form,
		   const LayoutTable *t, double index_bytes, const char *advice)
{
	Datum values[8];
	bool nulls[8] = {false};

	values[0] = CStringGetTextDatum(type->name);
	values[1] = CStringGetTextDatum(form);
	values[2] = Int32GetDatum(t->bytes_per_row);
	values[3] = Int32GetDatum(t->rows_per_page);
	values[4] = BoolGetDatum(t->toasted);
	values[5] = Int64GetDatum((int64) t->table_bytes);
	values[6] = Int64GetDatum((int64) index_bytes);
	nulls[6] = index_bytes < 0;
	values[7] = CStringGetTextDatum(advice);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(vr_plan_layout);

/*
 * plan_layout(dim, rows, type): a row for each form of the index.
 */
Datum
vr_plan_layout(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *name;
		VrLayoutGoal goal;
	} forms[] = {{"quantised, fast", VR_LAYOUT_FAST},
				 {"quantised, lean", VR_LAYOUT_LEAN}};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int dim = PG_GETARG_INT32(0);
	double rows = (double) PG_GETARG_INT64(1);
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	const LayoutType *type = NULL;
	LayoutTable table;
	char *advice;
	double index;

	if (dim < 1 || dim > VR_VECTOR_MAX_DIM)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimension must be between 1 and %d, not %d",
							   VR_VECTOR_MAX_DIM, dim)));
	if (rows < 0 || rows > 1e12)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be between 0 and %.0f, not %.0f",
							   "rows", 1e12, rows)));
	for (int i = 0; i < lengthof(layout_types); i++)
		if (strcmp(layout_types[i].name, name) == 0)
			type = &layout_types[i];
	if (type == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown type \"%s\"", name),
						errhint("Allowed types: vector, halfvec, bit.")));

	InitMaterializedSRF(fcinfo, 0);
	layout_table(type, dim, rows, &table);
	advice = layout_advice(type, dim, &table);
	index = layout_plain_index(type, dim, rows);
	layout_put(rsinfo, type, "plain", &table, index,
			   index >= 0 ? advice
						  : "a value does not fit a page of the index");
	for (int i = 0; i < lengthof(forms) && type->quantised; i++)
	{
		VrQuantLayout layout;

		if (!VrQuantPlan(dim, VR_OWN_AUTO, VR_CODE_BITS_AUTO, forms[i].goal,
						 LAYOUT_INDEX_ROOM, LAYOUT_INDEX_FIXED, &layout))
			continue;
		layout_put(rsinfo, type, forms[i].name, &table,
				   layout_pages(rows * LAYOUT_LEVELS, layout.slots),
				   psprintf("%s; own vector as %s, %d-bit codes, %d records "
							"per page",
							advice, VrOwnKindName(layout.own), layout.code_bits,
							layout.slots));
	}
	return (Datum) 0;
}
