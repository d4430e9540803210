/*
 * hnsw_inspect.c
 *		vecrecall.index_info(), last_index_scan() and plan_layout(): what an
 *		index is made of, what the last scan did, what an index would take.
 *
 * index_info reads every page once, with the ring of buffers of a bulk read,
 * and locks one at a time: what it says of a busy index is not one moment's.
 */
#include "postgres.h"

#include <math.h>

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"

#include "base/vr_error.h"
#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"
#include "types/vector.h"

/* Stored vectors that the drift of the mean is computed from, about. */
#define INSPECT_SAMPLE 4000

/*
 * Drift from which a new build pays: the error of a coarse own value grows
 * with its norm, by 1 / sqrt(1 - drift^2), that is 1.7 here.
 */
#define INSPECT_DRIFT 0.8

static const char *const inspect_types[] = {"", "vector", "halfvec",
											"sparsevec", "bit"};
static const char *const inspect_metrics[] = {
	"", "l2", "inner product", "cosine", "l1", "hamming", "jaccard"};

static const char *
InspectForm(int form)
{
	return form == VR_FORM_QUANTISED ? "quantised" : "plain";
}

/* ------------------------------------------------------------- index_info */

/* What a pass over the pages finds. */
typedef struct InspectCounts
{
	int64 live; /* vertices */
	int64 dead;
	int64 upper; /* records above level 0 */
	int64 free;  /* slots */
	int64 tids;
	int64 longs;    /* live vertices whose value is elsewhere */
	int64 pages[8]; /* by kind; 0 is new */
	int64 sampled;  /* vectors in the next two */
	double *sum;    /* padded */
	double sum_norm2;
} InspectCounts;

/* Adds a quantised record's own vector to the sample. */
static void
InspectSample(const VrHnswMetaPageData *meta, VrHnswRecord rec, float *x,
			  InspectCounts *n)
{
	const VrHnswLayout *l = &meta->layout;
	double norm2 = 0;
	int i;

	VrOwnDecode(l->own_kind, l->padded, &VrHnswRecordOwnHead(rec, l)->own,
				VrHnswRecordOwn(rec, l), x);
	for (i = 0; i < l->padded; i++)
	{
		n->sum[i] += x[i];
		norm2 += (double) x[i] * x[i];
	}
	n->sum_norm2 += norm2;
	n->sampled++;
}

/* Counts a page's records or TIDs. x is room for a vector, or NULL. */
static void
InspectPage(const VrHnswMetaPageData *meta, Page page, float *x,
			InspectCounts *n)
{
	const VrHnswLayout *l = &meta->layout;
	int kind = PageIsNew(page) ? 0 : VrHnswPageKindOf(page);
	int i;

	n->pages[kind <= VR_PAGE_FREE ? kind : 0]++;
	if (kind == VR_PAGE_VERTEX)
		for (i = 0; i < l->slots; i++)
		{
			VrHnswRecord rec =
				(VrHnswRecord) (VrHnswPageContents(page) + i * l->record_size);

			if (VrHnswRecordIsFree(rec))
				n->free++;
			else if (rec->level > 0)
				n->upper++;
			else if (!VrHnswRecordIsLive(rec))
				n->dead++;
			else
			{
				n->live++;
				n->tids++;
				n->longs += rec->value_block != VR_HNSW_NO_BLOCK;
				if (x)
					InspectSample(meta, rec, x, n);
			}
		}
	else if (kind == VR_PAGE_TID)
		for (i = 0; i < VR_HNSW_CHUNKS; i++)
			if (VrHnswPageChunk(page, i)->owner != VR_HNSW_NO_VERTEX)
				n->tids += VrHnswPageChunk(page, i)->ntids;
}

static void
InspectPages(Relation index, const VrHnswMetaPageData *meta, InspectCounts *n)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);
	int64 every = Max((int64) nblocks * meta->layout.slots / INSPECT_SAMPLE, 1);
	float *x = NULL;
	BlockNumber block;

	memset(n, 0, sizeof(*n));
	if (meta->form == VR_FORM_QUANTISED)
	{
		x = palloc(meta->layout.padded * sizeof(float));
		n->sum = palloc0(meta->layout.padded * sizeof(double));
	}
	for (block = 0; block < nblocks; block++)
	{
		Buffer buf;

		CHECK_FOR_INTERRUPTS();
		buf = VrHnswReadAny(index, block, BUFFER_LOCK_SHARE, strategy);
		InspectPage(meta, BufferGetPage(buf), block % every == 0 ? x : NULL, n);
		UnlockReleaseBuffer(buf);
	}
	FreeAccessStrategy(strategy);
}

/*
 * How far stored vectors lie off centre: the norm of their mean, as a fraction
 * of their rms norm. What a sample's mean has by chance is taken off.
 */
static double
InspectDrift(const VrHnswMetaPageData *meta, const InspectCounts *n)
{
	double mean2 = 0;
	double rms2;
	int i;

	if (n->sampled < 2 || n->sum_norm2 <= 0)
		return 0;
	rms2 = n->sum_norm2 / n->sampled;
	for (i = 0; i < meta->layout.padded; i++)
		mean2 += n->sum[i] / n->sampled * (n->sum[i] / n->sampled);
	return sqrt(Max(mean2 - rms2 / n->sampled, 0) / rms2);
}

/* Why a REINDEX would pay, or NULL. */
static const char *
InspectReason(const VrHnswMetaPageData *meta, const InspectCounts *n,
			  double drift)
{
	bool coarse = meta->form == VR_FORM_QUANTISED &&
				  meta->layout.own_kind != VR_OWN_F32 &&
				  meta->layout.own_kind != VR_OWN_F16;
	int64 slots = n->live + n->dead + n->upper + n->free;

	if (coarse && drift > INSPECT_DRIFT && n->live > 100)
		return meta->mean_block == VR_HNSW_NO_BLOCK
				   ? "built empty: stored vectors are not centred"
				   : "data has moved away from the mean it was built with";
	if (meta->type == VR_TYPE_SPARSEVEC && n->longs * 10 > n->live &&
		n->live > 2 * meta->build_rows)
		return "values are longer than the records were planned for";
	if (meta->deleted * 2 > Max(meta->build_rows, 1) && n->dead + n->free > 0 &&
		(n->dead + n->free) * 2 > slots)
		return "more than half was deleted, and its room is not in use";
	return NULL;
}

PG_FUNCTION_INFO_V1(vr_hnsw_index_info);

/* index_info(index regclass) */
Datum
vr_hnsw_index_info(PG_FUNCTION_ARGS)
{
	Relation index = VrHnswOpenIndex(PG_GETARG_OID(0), AccessShareLock);
	Datum values[31];
	bool nulls[31];
	VrHnswMetaPageData meta;
	const VrHnswLayout *l = &meta.layout;
	InspectCounts n;
	TupleDesc desc;
	const char *reason;
	int64 vertices;
	int64 total;
	int64 page_bytes;
	double drift;
	bool quantised;
	Page page;
	Buffer buf;
	int i = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot look into temporary indexes of other "
							   "sessions")));
	Assert(desc->natts == lengthof(values));
	memset(nulls, 0, sizeof(nulls));

	/* Another format is a reason, not an error: read what all have first. */
	if (RelationGetNumberOfBlocks(index) > 0)
	{
		uint32 magic;
		uint16 version;

		buf = VrHnswReadAny(index, VR_HNSW_META_BLOCK, BUFFER_LOCK_SHARE, NULL);
		page = BufferGetPage(buf);
		magic = VrHnswPageMeta(page)->magic;
		version = VrHnswPageMeta(page)->version;
		UnlockReleaseBuffer(buf);
		if (magic == VR_HNSW_PGVECTOR_MAGIC ||
			(magic == VR_HNSW_MAGIC && version != VR_HNSW_VERSION))
		{
			memset(nulls, true, sizeof(nulls));
			nulls[0] = magic == VR_HNSW_PGVECTOR_MAGIC;
			values[0] = Int32GetDatum(version);
			nulls[29] = nulls[30] = false;
			values[29] = BoolGetDatum(true);
			values[30] = CStringGetTextDatum(
				nulls[0] ? "built by pgvector"
						 : "format is not the one this library writes");
			index_close(index, AccessShareLock);
			PG_RETURN_DATUM(
				HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
		}
	}
	VrHnswReadMeta(index, &meta);
	VrHnswCheckLayout(index, &meta);
	InspectPages(index, &meta, &n);
	quantised = meta.form == VR_FORM_QUANTISED;
	drift = quantised ? InspectDrift(&meta, &n) : 0;
	reason = InspectReason(&meta, &n, drift);
	vertices = n.live + n.dead;
	page_bytes = n.pages[VR_PAGE_VERTEX] * BLCKSZ;
	total = (int64) RelationGetNumberOfBlocks(index) * BLCKSZ;

	values[i++] = Int32GetDatum(meta.version);
	values[i++] = CStringGetTextDatum(inspect_types[meta.type]);
	values[i++] = CStringGetTextDatum(inspect_metrics[meta.metric]);
	values[i++] = CStringGetTextDatum(InspectForm(meta.form));
	nulls[i] = !quantised;
	values[i++] =
		CStringGetTextDatum(quantised ? VrOwnKindName(l->own_kind) : "");
	nulls[i] = !quantised;
	values[i++] = Int32GetDatum(l->code_bits);
	values[i++] = Int32GetDatum(meta.dim);
	values[i++] = Int32GetDatum(l->nattrs);
	values[i++] = Int32GetDatum(meta.m);
	values[i++] = Int32GetDatum(meta.ef_construction);
	nulls[i] = meta.entry_level < 0;
	values[i++] = Int32GetDatum(meta.entry_level);
	values[i++] = Int64GetDatum(n.live);
	values[i++] = Int64GetDatum(n.dead);
	values[i++] = Int64GetDatum(n.free);
	values[i++] = Int64GetDatum(n.upper);
	values[i++] = Int64GetDatum(n.tids);
	values[i++] = Int64GetDatum(n.tids - n.live);
	values[i++] = Int32GetDatum(l->record_size);
	values[i++] = Int32GetDatum(l->slots);
	nulls[i] = n.tids == 0;
	values[i++] = Float8GetDatum((double) total / Max(n.tids, 1));
	/* What a page has left over after its slots counts as the vertices'. */
	values[i++] =
		Int64GetDatum(page_bytes - (n.upper + n.free) * l->record_size);
	values[i++] = Int64GetDatum(n.upper * l->record_size);
	values[i++] = Int64GetDatum(n.pages[VR_PAGE_ATTR] * BLCKSZ);
	values[i++] = Int64GetDatum(n.pages[VR_PAGE_TID] * BLCKSZ);
	values[i++] = Int64GetDatum(n.pages[VR_PAGE_VALUE] * BLCKSZ);
	values[i++] =
		Int64GetDatum((n.pages[VR_PAGE_MEAN] + n.pages[VR_PAGE_META]) * BLCKSZ);
	values[i++] = Int64GetDatum(n.free * l->record_size +
								(n.pages[VR_PAGE_FREE] + n.pages[0]) * BLCKSZ);
	values[i++] = Int64GetDatum(meta.build_rows);
	nulls[i] = !quantised || vertices == 0;
	values[i++] = Float8GetDatum(drift);
	values[i++] = BoolGetDatum(reason != NULL);
	nulls[i] = reason == NULL;
	values[i++] = CStringGetTextDatum(reason ? reason : "");
	Assert(i == lengthof(values));
	index_close(index, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* -------------------------------------------------------- last_index_scan */

/* Why a scan gave no more rows. */
const char *
VrHnswStopReason(VrHnswStop stop)
{
	switch (stop)
	{
		case VR_STOP_NONE:
			return "no more rows were asked for";
		case VR_STOP_EF:
			return "hnsw.ef_search (hnsw.iterative_scan is off)";
		case VR_STOP_TUPLES:
			return "hnsw.max_scan_tuples";
		case VR_STOP_MEMORY:
			return "hnsw.scan_mem_multiplier";
		case VR_STOP_EXHAUSTED:
			return "every row was looked at";
	}
	return "?";
}

PG_FUNCTION_INFO_V1(vr_hnsw_last_index_scan);

/* last_index_scan(): of this session; all NULL before the first. */
Datum
vr_hnsw_last_index_scan(PG_FUNCTION_ARGS)
{
	const VrHnswScanStats *s = &VrHnswLastScan;
	Datum values[8];
	bool nulls[8];
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(nulls, !OidIsValid(s->index), sizeof(nulls));
	values[0] = ObjectIdGetDatum(s->index);
	values[1] = Int64GetDatum(s->visits);
	values[2] = Int64GetDatum(s->expanded);
	values[3] = Int64GetDatum(s->passes);
	values[4] = Int64GetDatum(s->returned);
	values[5] = Int64GetDatum(s->dropped);
	values[6] = Int64GetDatum(s->memory);
	values[7] = CStringGetTextDatum(VrHnswStopReason(s->stop));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* ------------------------------------------------------------ plan_layout */

/*
 * Pages per value of so many full TOAST chunks and a last one: chunks come one
 * after another, and what does not fit the page begins the next.
 */
static double
InspectToastPages(uint32 full, uint32 full_bytes, uint32 rest_bytes)
{
	const int values = 64;
	uint32 room = BLCKSZ - SizeOfPageHeaderData;
	uint32 left = 0;
	int pages = 0;
	int i;
	uint32 j;

	for (i = 0; i < values; i++)
		for (j = 0; j < full + (rest_bytes > 0); j++)
		{
			uint32 bytes =
				(j < full ? full_bytes : rest_bytes) + sizeof(ItemIdData);

			if (bytes > left)
			{
				pages++;
				left = room;
			}
			left -= bytes;
		}
	return (double) pages / values;
}

/* Bytes of a table row of an id and a value, its TOAST included. */
static double
InspectHeapRow(uint32 value_bytes, bool *toasted)
{
	/* Header, bigint, value; a varlena has 4 bytes of length and 4 of head. */
	Size size = MAXALIGN(SizeofHeapTupleHeader) + 8 + 8 + value_bytes;
	double row;
	double page;

	*toasted = size > TOAST_TUPLE_THRESHOLD;
	if (*toasted)
		size = MAXALIGN(SizeofHeapTupleHeader) + 8 + VARHDRSZ_EXTERNAL + 16;
	row = MAXALIGN(size) + sizeof(ItemIdData);
	page = BLCKSZ - SizeOfPageHeaderData;
	row = BLCKSZ / floor(page / row);
	if (*toasted)
	{
		uint32 full = (value_bytes + 4) / TOAST_MAX_CHUNK_SIZE;
		uint32 rest = (value_bytes + 4) % TOAST_MAX_CHUNK_SIZE;
		uint32 head = MAXALIGN(SizeofHeapTupleHeader) + 12;

		/* The index of the chunks takes some 32 bytes for each. */
		row += InspectToastPages(full, MAXALIGN(head + TOAST_MAX_CHUNK_SIZE),
								 rest > 0 ? MAXALIGN(head + rest) : 0) *
			   BLCKSZ;
		row += (full + (rest > 0)) * 32;
	}
	return row;
}

/* Adds a row for what a storage and a precision give, if they fit. */
static void
InspectPlanRow(ReturnSetInfo *rsinfo, VrHnswMetaPageData meta,
			   const VrHnswOptions *opts, int64 rows, double heap_row,
			   bool toasted, const VrHnswLayout *automatic)
{
	const VrHnswLayout *l = &meta.layout;
	Datum values[12];
	bool nulls[12] = {false};
	VrHnswIndex idx;
	double upper;
	double blocks;
	bool quantised;
	uint32 bytes = VrHnswPlainBytes(meta.type, meta.dim, 0);

	if (!VrHnswPlanLayout(&meta, 0, opts, 0))
		return;
	quantised = meta.form == VR_FORM_QUANTISED;
	/* A vertex has a record on level l with probability base^-l. */
	upper = rows / (double) (VrHnswLevelBase(meta.form, l, meta.m) - 1);
	blocks = 1 + ceil((double) rows / l->slots) + ceil(upper / l->slots);
	if (quantised && rows > 0)
		blocks += ceil(meta.dim * sizeof(float) / (double) VR_HNSW_PAGE_BYTES);
	else if (!quantised && bytes > l->own_bytes &&
			 meta.type != VR_TYPE_SPARSEVEC)
		blocks += (rows + upper) * ceil(bytes / (double) VR_HNSW_PAGE_BYTES);
	values[0] = CStringGetTextDatum(opts && opts->storage == VR_STORAGE_LEAN
										? "lean"
										: InspectForm(meta.form));
	nulls[1] = nulls[2] = !quantised;
	values[1] =
		CStringGetTextDatum(quantised ? VrOwnKindName(l->own_kind) : "");
	values[2] = Int32GetDatum(l->code_bits);
	values[3] =
		BoolGetDatum((opts == NULL || opts->storage != VR_STORAGE_LEAN) &&
					 memcmp(l, automatic, sizeof(VrHnswLayout)) == 0);
	values[4] = Int32GetDatum(l->record_size);
	values[5] = Int32GetDatum(l->slots);
	values[6] = Int64GetDatum((int64) (blocks * BLCKSZ));
	nulls[7] = rows == 0;
	values[7] = Float8GetDatum(blocks * BLCKSZ / Max(rows, 1));
	values[8] = Float8GetDatum(heap_row);
	values[9] =
		Int64GetDatum((int64) (ceil(heap_row * rows / BLCKSZ) * BLCKSZ));
	values[10] = BoolGetDatum(toasted);
	memset(&idx, 0, sizeof(idx));
	idx.layout = *l;
	idx.type = meta.type;
	idx.form = meta.form;
	idx.m = meta.m;
	values[11] = Int64GetDatum(
		(int64) VrHnswImageBytes(&idx, (double) rows, MAXALIGN(bytes)));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(vr_hnsw_plan_layout);

/* plan_layout(dim int, rows bigint, type text, m int) */
Datum
vr_hnsw_plan_layout(PG_FUNCTION_ARGS)
{
	static const int limits[] = {0, VR_VECTOR_MAX_DIM, VR_HALFVEC_MAX_DIM,
								 VR_SPARSEVEC_MAX_DIM, VR_HNSW_MAX_BITS};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int dim = PG_GETARG_INT32(0);
	int64 rows = PG_GETARG_INT64(1);
	char *type = text_to_cstring(PG_GETARG_TEXT_PP(2));
	int m = PG_GETARG_INT32(3);
	VrHnswOptions opts;
	VrHnswMetaPageData meta;
	VrHnswMetaPageData automatic;
	double heap_row;
	bool toasted;
	int kind;

	memset(&meta, 0, sizeof(meta));
	for (kind = VR_TYPE_VECTOR; kind <= VR_TYPE_BIT; kind++)
		if (strcmp(type, inspect_types[kind]) == 0)
			meta.type = kind;
	if (meta.type == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("type \"%s\" has no hnsw index", type),
						errhint("Valid types are \"vector\", \"halfvec\", "
								"\"sparsevec\" and \"bit\".")));
	if (dim < 1 || dim > limits[meta.type])
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimensions of type %s must be between 1 and %d",
							   type, limits[meta.type])));
	if (rows < 0 || rows > INT64CONST(100000000000000))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rows must be between 0 and 100000000000000")));
	if (m < VR_HNSW_MIN_M || m > VR_HNSW_MAX_M)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("m must be between %d and %d", VR_HNSW_MIN_M,
							   VR_HNSW_MAX_M)));
	InitMaterializedSRF(fcinfo, 0);
	meta.metric = meta.type == VR_TYPE_BIT ? VR_METRIC_HAMMING : VR_METRIC_L2;
	meta.dim = dim;
	meta.m = m;
	heap_row = InspectHeapRow(VrHnswPlainBytes(meta.type, dim, 0), &toasted);
	automatic = meta;
	VrHnswPlanLayout(&automatic, 0, NULL, 0);

	memset(&opts, 0, sizeof(opts));
	opts.code_bits = VR_CODE_BITS_AUTO;
	for (kind = VR_OWN_F32; kind < VR_OWN_NKINDS; kind++)
	{
		opts.storage = VR_STORAGE_QUANTISED;
		opts.precision = kind;
		/* The automatic plan may have chosen other code bits with this. */
		if (automatic.form == VR_FORM_QUANTISED &&
			automatic.layout.own_kind == kind)
			InspectPlanRow(rsinfo, meta, NULL, rows, heap_row, toasted,
						   &automatic.layout);
		else
			InspectPlanRow(rsinfo, meta, &opts, rows, heap_row, toasted,
						   &automatic.layout);
	}
	opts.storage = VR_STORAGE_LEAN;
	opts.precision = VR_OWN_AUTO;
	InspectPlanRow(rsinfo, meta, &opts, rows, heap_row, toasted,
				   &automatic.layout);
	opts.storage = VR_STORAGE_PLAIN;
	InspectPlanRow(rsinfo, meta, &opts, rows, heap_row, toasted,
				   &automatic.layout);
	return (Datum) 0;
}
