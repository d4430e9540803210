/*
 * hnsw_form.c
 *		What an index stores: type, metric, storage form and record layout; how
 *		a column's value becomes a record's, and how far two of them are apart.
 *
 * The operator class's first support function tells type and metric, by its C
 * name; a second one (the norm) tells cosine from inner product. Knows nothing
 * of graphs.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/varbit.h"

#include "base/vr_error.h"
#include "distance/distance.h"
#include "hnsw/hnsw_private.h"
#include "types/vector.h"

/* The rotation and levels of an index for which no seed was given. */
#define VR_HNSW_DEFAULT_SEED UINT64CONST(0x766563726563616c)

/* Plain distances stay within this. */
#define FORM_FARTHEST 3e38f

/* What the first support function says. */
typedef struct FormClass
{
	const char *symbol;
	VrHnswType type;
	VrHnswMetric metric;
} FormClass;

static const FormClass form_classes[] = {
	{"vr_vector_l2_squared_distance", VR_TYPE_VECTOR, VR_METRIC_L2},
	{"vr_vector_negative_inner_product", VR_TYPE_VECTOR, VR_METRIC_IP},
	{"vr_vector_l1_distance", VR_TYPE_VECTOR, VR_METRIC_L1},
	{"vr_halfvec_l2_squared_distance", VR_TYPE_HALFVEC, VR_METRIC_L2},
	{"vr_halfvec_negative_inner_product", VR_TYPE_HALFVEC, VR_METRIC_IP},
	{"vr_halfvec_l1_distance", VR_TYPE_HALFVEC, VR_METRIC_L1},
	{"vr_sparsevec_l2_squared_distance", VR_TYPE_SPARSEVEC, VR_METRIC_L2},
	{"vr_sparsevec_negative_inner_product", VR_TYPE_SPARSEVEC, VR_METRIC_IP},
	{"vr_sparsevec_l1_distance", VR_TYPE_SPARSEVEC, VR_METRIC_L1},
	{"vr_hamming_distance", VR_TYPE_BIT, VR_METRIC_HAMMING},
	{"vr_jaccard_distance", VR_TYPE_BIT, VR_METRIC_JACCARD},
};

static HTAB *form_cache = NULL;

/* Type and metric of an index, from its operator class. */
void
VrHnswClassOf(Relation index, VrHnswType *type, VrHnswMetric *metric)
{
	Oid proc = index_getprocid(index, 1, VR_HNSW_DISTANCE_PROC);
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(proc));
	bool isnull = true;
	int i;

	if (HeapTupleIsValid(tuple))
	{
		char *symbol;
		Datum src =
			SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);

		symbol = isnull ? NULL : TextDatumGetCString(src);
		ReleaseSysCache(tuple);
		for (i = 0; symbol != NULL && i < lengthof(form_classes); i++)
		{
			if (strcmp(symbol, form_classes[i].symbol) != 0)
				continue;
			*type = form_classes[i].type;
			*metric = form_classes[i].metric;
			if (*metric == VR_METRIC_IP &&
				OidIsValid(index_getprocid(index, 1, VR_HNSW_NORM_PROC)))
				*metric = VR_METRIC_COSINE;
			return;
		}
	}
	if (!OidIsValid(proc) &&
		OidIsValid(get_opfamily_member(
			index->rd_opfamily[0], index->rd_opcintype[0],
			index->rd_opcintype[0], VR_HNSW_EQUAL_STRATEGY)))
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("first column of index \"%s\" cannot be searched by "
					"distance",
					RelationGetRelationName(index)),
			 errhint("Put a vector, halfvec, sparsevec or bit column first; "
					 "columns to filter by follow it.")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("operator class of index \"%s\" is not known to vecrecall",
					RelationGetRelationName(index)),
			 errhint("Distance functions of an hnsw operator class must be "
					 "those of vecrecall.")));
}

static const char *
FormTypeName(VrHnswType type)
{
	switch (type)
	{
		case VR_TYPE_VECTOR:
			return "vector";
		case VR_TYPE_HALFVEC:
			return "halfvec";
		case VR_TYPE_SPARSEVEC:
			return "sparsevec";
		case VR_TYPE_BIT:
			return "bit";
	}
	return "?";
}

/* Bytes of a plain value; for a sparsevec, what the sample says is typical. */
uint32
VrHnswPlainBytes(VrHnswType type, int dim, uint32 typical)
{
	switch (type)
	{
		case VR_TYPE_VECTOR:
			return dim * sizeof(float);
		case VR_TYPE_HALFVEC:
			return dim * sizeof(vr_half);
		case VR_TYPE_BIT:
			return (dim + 7) / 8;
		case VR_TYPE_SPARSEVEC:
			return typical ? typical : 64 * 8 + 4;
	}
	return 0;
}

/* Whether type and metric have a quantised form. */
static bool
FormCanQuantise(VrHnswType type, VrHnswMetric metric)
{
	return (type == VR_TYPE_VECTOR || type == VR_TYPE_HALFVEC) &&
		   (metric == VR_METRIC_L2 || metric == VR_METRIC_IP ||
			metric == VR_METRIC_COSINE);
}

/* Bytes of a record before own value and codes; places head, attrs and ids. */
static int
FormFixedPart(VrHnswLayout *l, int m, int nattrs, bool quantised)
{
	int at = sizeof(VrHnswRecordData);

	l->degree0 = 2 * m;
	l->lanes = quantised ? TYPEALIGN(VR_QUANT_LANES, 2 * m) : 2 * m;
	l->degree = quantised ? 2 * m : m;
	l->nattrs = nattrs;
	l->attrs_at = at;
	at += nattrs * sizeof(uint64);
	if (quantised)
	{
		l->ownhead_at = at;
		at += sizeof(VrHnswOwnHead);
	}
	l->ids_at = at;
	at += l->lanes * sizeof(uint32);
	if (quantised)
	{
		l->factors_at = at;
		at += l->lanes / VR_QUANT_LANES * sizeof(VrEdgeFactors);
	}
	return MAXALIGN(at);
}

/* Plans a quantised record. False if none fits a page. */
static bool
FormQuantisedLayout(VrHnswLayout *l, int dim, int m, int nattrs,
					const VrHnswOptions *opts, VrQuantLayout *quant)
{
	int fixed = FormFixedPart(l, m, nattrs, true);
	int sets = l->lanes / VR_QUANT_LANES;
	VrOwnKind own = opts ? opts->precision : VR_OWN_AUTO;
	int bits = opts ? opts->code_bits : VR_CODE_BITS_AUTO;
	VrLayoutGoal goal = opts && opts->storage == VR_STORAGE_LEAN
							? VR_LAYOUT_LEAN
							: VR_LAYOUT_FAST;

	/*
	 * VrQuantPlan knows one set of 32 lanes. With more, the further sets are
	 * part of what is fixed, so their code length is settled first.
	 */
	if (sets == 1)
	{
		if (!VrQuantPlan(dim, own, bits, goal, VR_HNSW_PAGE_BYTES, fixed,
						 quant))
			return false;
	}
	else
	{
		int padded = VrPaddedDim(dim);
		int most = bits > 0 ? bits : padded;

		for (;; most -= 16)
		{
			int more = (sets - 1) * VR_CODE_BLOCK_BYTES(most);

			if (most < Min(padded, 64) || (bits > 0 && most < bits))
				return false;
			if (VrQuantPlan(dim, own, most, goal, VR_HNSW_PAGE_BYTES,
							fixed + more, quant) &&
				quant->code_bits == Min(TYPEALIGN(16, most), padded))
				break;
		}
	}
	if (quant->code_bits <= 0)
		return false;
	l->padded = quant->padded;
	l->code_bits = quant->code_bits;
	l->own_kind = quant->own;
	l->own_bytes = quant->own_bytes;
	l->codes_at = fixed;
	l->own_at = fixed + sets * VR_CODE_BLOCK_BYTES(quant->code_bits);
	l->record_size = MAXALIGN(l->own_at + l->own_bytes);
	if (l->record_size > VR_HNSW_PAGE_BYTES)
		return false;
	l->slots = VR_HNSW_PAGE_BYTES / l->record_size;
	return true;
}

/* Plans a plain record: always possible, long values go to pages of theirs. */
static void
FormPlainLayout(VrHnswLayout *l, int m, int nattrs, uint32 bytes, bool sparse)
{
	int fixed = FormFixedPart(l, m, nattrs, false);

	l->own_at = fixed;
	if (fixed + bytes > VR_HNSW_PAGE_BYTES)
		bytes = sparse ? VR_HNSW_PAGE_BYTES - fixed - 8 : 0;
	l->own_bytes = MAXALIGN(bytes);
	l->record_size = fixed + l->own_bytes;
	l->slots = VR_HNSW_PAGE_BYTES / l->record_size;
	/* Sparse values vary in length: give them what the page has left. */
	if (sparse)
	{
		l->record_size = VR_HNSW_PAGE_BYTES / l->slots / 8 * 8;
		l->own_bytes = l->record_size - fixed;
	}
}

/* Errors unless every further column can be a filter. */
static void
FormCheckAttrs(Relation index, int nattrs)
{
	int i;

	for (i = 1; i <= nattrs; i++)
		if (!OidIsValid(get_opfamily_member(
				index->rd_opfamily[i], index->rd_opcintype[i],
				index->rd_opcintype[i], VR_HNSW_EQUAL_STRATEGY)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column %d of index \"%s\" cannot be a filter",
							i + 1, RelationGetRelationName(index)),
					 errdetail("An hnsw index has one column to order by, and "
							   "then columns to compare for equality.")));
}

/*
 * Plans the record of an index whose type, metric, dim and m stand in meta, and
 * fills in meta's form and layout. opts may be NULL for the defaults;
 * typical_bytes as VrHnswDescribe. False, with the layout undefined, if
 * opts->storage asks for a quantised form that cannot be.
 */
bool
VrHnswPlanLayout(VrHnswMetaPageData *meta, int nattrs,
				 const VrHnswOptions *opts, uint32 typical_bytes)
{
	VrHnswStorage storage = opts ? opts->storage : VR_STORAGE_AUTO;
	VrHnswLayout *l = &meta->layout;
	VrQuantLayout quant;
	bool quantised = false;

	memset(l, 0, sizeof(*l));
	if (storage != VR_STORAGE_PLAIN &&
		FormCanQuantise(meta->type, meta->metric))
		quantised =
			FormQuantisedLayout(l, meta->dim, meta->m, nattrs, opts, &quant);
	if ((storage == VR_STORAGE_QUANTISED || storage == VR_STORAGE_LEAN) &&
		!quantised)
		return false;
	if (!quantised)
	{
		memset(l, 0, sizeof(*l));
		FormPlainLayout(l, meta->m, nattrs,
						VrHnswPlainBytes(meta->type, meta->dim, typical_bytes),
						meta->type == VR_TYPE_SPARSEVEC);
	}
	meta->form = quantised ? VR_FORM_QUANTISED : VR_FORM_PLAIN;
	if (nattrs > 0)
		l->attr_group = VrHnswAttrGroup(nattrs, l->slots);
	return true;
}

/*
 * Fills in what a new index of this relation will be. typical_bytes is the
 * length of a sparse value that most stay below, 0 if unknown. Errors on
 * everything that cannot be indexed.
 */
void
VrHnswDescribe(Relation index, uint32 typical_bytes, VrHnswMetaPageData *meta)
{
	const VrHnswOptions *opts = (const VrHnswOptions *) index->rd_options;
	int nattrs = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	int32 typmod = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
	VrHnswType type;
	VrHnswMetric metric;
	int limit;

	memset(meta, 0, sizeof(*meta));
	VrHnswClassOf(index, &type, &metric);
	meta->magic = VR_HNSW_MAGIC;
	meta->version = VR_HNSW_VERSION;
	meta->type = type;
	meta->metric = metric;
	meta->m = opts ? opts->m : VR_HNSW_DEFAULT_M;
	meta->ef_construction = opts ? opts->ef_construction : VR_HNSW_DEFAULT_EFC;
	if (meta->ef_construction < 2 * meta->m)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ef_construction must be greater than or equal "
							   "to 2 * m")));
	/* bit varying takes bit's operator classes; its values differ in length. */
	if (type == VR_TYPE_BIT &&
		TupleDescAttr(RelationGetDescr(index), 0)->atttypid != BITOID)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("type not supported for hnsw index"),
						errhint("Cast it to a bit type of fixed length.")));
	if (typmod < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions"),
				 errhint("Declare it with a type modifier, such as %s(3).",
						 FormTypeName(type))));
	limit = type == VR_TYPE_BIT         ? VR_HNSW_MAX_BITS
			: type == VR_TYPE_SPARSEVEC ? VR_SPARSEVEC_MAX_DIM
										: VR_VECTOR_MAX_DIM;
	if (typmod > limit)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("column cannot have more than %d dimensions for "
							   "hnsw index",
							   limit)));
	if (nattrs > VR_HNSW_MAX_ATTRS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("hnsw index cannot have more than %d attribute columns",
						VR_HNSW_MAX_ATTRS)));
	FormCheckAttrs(index, nattrs);
	meta->dim = typmod;
	if (!VrHnswPlanLayout(meta, nattrs, opts, typical_bytes))
	{
		if (!FormCanQuantise(type, metric))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("storage \"quantised\" is for vector and halfvec "
							"with L2, cosine or inner product")));
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a quantised record of %u dimensions with these "
						"options does not fit a page",
						meta->dim),
				 errhint("Choose a smaller m, a coarser precision, or fewer "
						 "code_bits.")));
	}
	meta->seed = VR_HNSW_DEFAULT_SEED;
	if (opts && opts->seed != 0)
		meta->seed = hash_combine64(VR_HNSW_DEFAULT_SEED, opts->seed);
	meta->scale = 1;
	meta->mean_block = VR_HNSW_NO_BLOCK;
	meta->entry = VR_HNSW_NO_VERTEX;
	meta->entry_level = -1;
	meta->tid_free = VR_HNSW_NO_BLOCK;
}

static double
FormNorm2(int n, const float *x)
{
	/* Several sums, for one would wait for itself. */
	double sums[8] = {0};
	int i;
	int j;

	for (i = 0; i + 8 <= n; i += 8)
		for (j = 0; j < 8; j++)
			sums[j] += (double) x[i + j] * (double) x[i + j];
	for (; i < n; i++)
		sums[0] += (double) x[i] * (double) x[i];
	return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
		   ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* Sets up what a quantised index needs to transform vectors. */
static void
FormPrepareQuantised(VrHnswIndex *idx, const VrHnswMetaPageData *meta,
					 const float *mean)
{
	VrQuantLayout *q = &idx->quant;
	const VrHnswLayout *l = &idx->layout;

	q->dim = idx->dim;
	q->padded = l->padded;
	q->code_bits = l->code_bits;
	q->own = l->own_kind;
	q->own_bytes = l->own_bytes;
	q->code_bytes = VR_CODE_BLOCK_BYTES(l->code_bits);
	q->fixed_bytes = l->codes_at;
	q->record_bytes = l->record_size;
	q->slots = l->slots;
	VrRotationInit(&idx->rotation, idx->dim, idx->seed, meta->scale,
				   MemoryContextAlloc(idx->cxt, VrRotationSize(idx->dim)));
	if (mean != NULL)
	{
		idx->mean = MemoryContextAlloc(idx->cxt, idx->dim * sizeof(float));
		memcpy(idx->mean, mean, idx->dim * sizeof(float));
		idx->mean_norm = sqrt(FormNorm2(idx->dim, mean)) * meta->scale;
	}
}

/* Whether an index belongs to the extension named "vector". */
static bool
FormIsAlias(void)
{
	return OidIsValid(get_extension_oid("vector", true));
}

/* Makes or renews the cache entry of an index. mean as VrHnswOpenNew. */
static VrHnswIndex *
FormCacheEntry(Relation index, const VrHnswMetaPageData *meta,
			   const float *mean)
{
	VrRelFileLocator key = VrRelationLocator(index);
	VrHnswIndex *idx;
	MemoryContext cxt;
	bool found;

	if (form_cache == NULL)
	{
		HASHCTL ctl = {.keysize = sizeof(VrRelFileLocator),
					   .entrysize = sizeof(VrHnswIndex),
					   .hcxt = TopMemoryContext};

		form_cache = hash_create("vecrecall hnsw indexes", 32, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	/* Everything that can fail comes before the entry is made. */
	cxt = AllocSetContextCreate(TopMemoryContext, "vecrecall hnsw index",
								ALLOCSET_SMALL_SIZES);
	idx = hash_search(form_cache, &key, HASH_ENTER, &found);
	if (found && idx->cxt != NULL)
		MemoryContextDelete(idx->cxt);
	memset((char *) idx + sizeof(key), 0, sizeof(*idx) - sizeof(key));
	idx->cxt = cxt;
	idx->layout = meta->layout;
	idx->type = meta->type;
	idx->metric = meta->metric;
	idx->form = meta->form;
	idx->m = meta->m;
	idx->ef_construction = meta->ef_construction;
	idx->dim = meta->dim;
	idx->seed = meta->seed;
	idx->build_rows = meta->build_rows;
	idx->alias = FormIsAlias();
	if (idx->form == VR_FORM_QUANTISED)
		FormPrepareQuantised(idx, meta, mean);
	/* Only now is it whole: a failure above leaves an entry of build 0. */
	idx->build_id = meta->build_id;
	return idx;
}

/* Reads the mean of a quantised index from its pages; palloc'd. */
static float *
FormReadMean(Relation index, const VrHnswMetaPageData *meta)
{
	uint32 bytes = meta->dim * sizeof(float);
	uint32 got = 0;
	char *mean = palloc(bytes);
	BlockNumber block = meta->mean_block;

	while (got < bytes)
	{
		Buffer buf;
		VrHnswSpecial special;

		if (block == VR_HNSW_NO_BLOCK ||
			block >= RelationGetNumberOfBlocks(index))
			VrHnswCorrupt(index, block, "the mean is cut short");
		buf = VrHnswReadPage(index, block, BUFFER_LOCK_SHARE, VR_PAGE_MEAN);
		special = VrHnswPageSpecial(BufferGetPage(buf));
		if (special->nbytes == 0 || special->nbytes > VR_HNSW_PAGE_BYTES ||
			special->nbytes > bytes - got)
			VrHnswCorrupt(index, block, "the mean is damaged");
		memcpy(mean + got, VrHnswPageContents(BufferGetPage(buf)),
			   special->nbytes);
		got += special->nbytes;
		block = special->next;
		UnlockReleaseBuffer(buf);
	}
	return (float *) mean;
}

/*
 * Errors unless the metapage's layout is one of a quantised index, where it
 * says that it is: memory is sized by it, and codes are read as it says.
 */
void
VrHnswCheckLayout(Relation index, const VrHnswMetaPageData *meta)
{
	const VrHnswLayout *l = &meta->layout;
	int sets = l->lanes / VR_QUANT_LANES;

	if (meta->form != VR_FORM_QUANTISED)
		return;
	if (l->padded != VrPaddedDim(meta->dim) || l->code_bits == 0 ||
		l->code_bits % 16 != 0 || l->code_bits > l->padded ||
		l->lanes % VR_QUANT_LANES != 0 || l->own_kind <= VR_OWN_AUTO ||
		l->own_kind >= VR_OWN_NKINDS ||
		VrOwnBytes(l->own_kind, l->padded) != l->own_bytes ||
		l->codes_at + sets * VR_CODE_BLOCK_BYTES(l->code_bits) >
			l->record_size ||
		l->factors_at + sets * sizeof(VrEdgeFactors) > l->record_size)
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK, "layout is damaged");
}

/*
 * What this backend knows of an index, and its metapage as it is now (meta is
 * filled). The result lives until the end of the session.
 */
VrHnswIndex *
VrHnswOpen(Relation index, VrHnswMetaPageData *meta)
{
	VrRelFileLocator key = VrRelationLocator(index);
	VrHnswIndex *idx = NULL;
	float *mean = NULL;
	VrHnswType type;
	VrHnswMetric metric;

	VrHnswReadMeta(index, meta);
	if (form_cache != NULL)
		idx = hash_search(form_cache, &key, HASH_FIND, NULL);
	if (likely(idx != NULL && idx->build_id == meta->build_id))
		return idx;
	VrHnswClassOf(index, &type, &metric);
	if (meta->layout.nattrs != RelationGetNumberOfAttributes(index) - 1)
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK,
					  "metapage has another number of attributes");
	if (meta->type != type || meta->metric != metric ||
		meta->dim != TupleDescAttr(RelationGetDescr(index), 0)->atttypmod)
		VrHnswCorrupt(index, VR_HNSW_META_BLOCK,
					  "metapage is of another type, metric or dimension");
	VrHnswCheckLayout(index, meta);
	if (meta->form == VR_FORM_QUANTISED && meta->mean_block != VR_HNSW_NO_BLOCK)
		mean = FormReadMean(index, meta);
	idx = FormCacheEntry(index, meta, mean);
	if (mean)
		pfree(mean);
	return idx;
}

/* The same for an index that is about to be built, from what will be on disk. */
VrHnswIndex *
VrHnswOpenNew(Relation index, const VrHnswMetaPageData *meta, const float *mean)
{
	return FormCacheEntry(index, meta, mean);
}

/* Divides n floats by their norm; false if that is zero. */
static bool
FormNormalise(int n, float *x, double norm2)
{
	double inverse;
	int i;

	if (norm2 <= 0)
		return false;
	inverse = 1.0 / sqrt(norm2);
	for (i = 0; i < n; i++)
		x[i] = (float) (x[i] * inverse);
	return true;
}

/*
 * A vector or halfvec as floats, palloc'd; normalised for cosine. *norm2 is
 * the squared norm it came with, for cosine and inner product.
 */
static float *
FormFloats(const VrHnswIndex *idx, Datum datum, double *norm2)
{
	float *x = palloc(idx->dim * sizeof(float));

	if (idx->type == VR_TYPE_VECTOR)
	{
		VrVector *v = DatumGetVrVector(datum);

		VrCheckSameDims(FormTypeName(idx->type), idx->dim, v->dim);
		memcpy(x, v->x, idx->dim * sizeof(float));
		if ((Pointer) v != DatumGetPointer(datum))
			pfree(v);
	}
	else
	{
		VrHalfVec *v = DatumGetVrHalfVec(datum);

		VrCheckSameDims(FormTypeName(idx->type), idx->dim, v->dim);
		VrDistance->f16_to_f32(idx->dim, v->x, x);
		if ((Pointer) v != DatumGetPointer(datum))
			pfree(v);
	}
	*norm2 = 1;
	if (idx->metric == VR_METRIC_COSINE || idx->metric == VR_METRIC_IP)
		*norm2 = FormNorm2(idx->dim, x);
	if (idx->metric == VR_METRIC_COSINE && !FormNormalise(idx->dim, x, *norm2))
	{
		pfree(x);
		return NULL;
	}
	return x;
}

/* A dense plain value. */
static bool
FormDense(const VrHnswIndex *idx, Datum datum, VrHnswValue *out)
{
	double norm2;
	float *x = FormFloats(idx, datum, &norm2);

	if (x == NULL)
		return false;
	out->data = (const char *) x;
	out->bytes = idx->dim * sizeof(float);
	if (idx->type == VR_TYPE_HALFVEC)
	{
		vr_half *h = palloc(idx->dim * sizeof(vr_half));

		VrDistance->f32_to_f16(idx->dim, x, h);
		pfree(x);
		out->data = (const char *) h;
		out->bytes = idx->dim * sizeof(vr_half);
	}
	return true;
}

/* A sparse plain value: the count, the indices, the numbers. */
static bool
FormSparse(const VrHnswIndex *idx, Datum datum, VrHnswValue *out)
{
	VrSparseVec *v = DatumGetVrSparseVec(datum);
	int nnz = v->nnz;
	int32 *data;
	float *x;

	VrCheckSameDims(FormTypeName(idx->type), idx->dim, v->dim);
	if (nnz > VR_HNSW_MAX_NNZ)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("sparsevec cannot have more than %d non-zero "
							   "elements for hnsw index",
							   VR_HNSW_MAX_NNZ)));
	out->bytes = sizeof(int32) + nnz * (sizeof(int32) + sizeof(float));
	data = palloc(out->bytes);
	data[0] = nnz;
	memcpy(data + 1, v->indices, nnz * sizeof(int32));
	x = (float *) (data + 1 + nnz);
	memcpy(x, VR_SPARSEVEC_VALUES(v), nnz * sizeof(float));
	if ((Pointer) v != DatumGetPointer(datum))
		pfree(v);
	out->data = (const char *) data;
	return idx->metric != VR_METRIC_COSINE ||
		   FormNormalise(nnz, x, FormNorm2(nnz, x));
}

static bool
FormBits(const VrHnswIndex *idx, Datum datum, VrHnswValue *out)
{
	VarBit *v = DatumGetVarBitP(datum);
	char *data;

	if (VARBITLEN(v) != idx->dim)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("different bit lengths %u and %u", idx->dim,
							   VARBITLEN(v))));
	out->bytes = VARBITBYTES(v);
	data = palloc(Max(out->bytes, 1));
	memcpy(data, VARBITS(v), out->bytes);
	if ((Pointer) v != DatumGetPointer(datum))
		pfree(v);
	out->data = data;
	return true;
}

/*
 * Whether the operator computes with vectors of that squared norm, in float32,
 * as precisely as VrHnswLowerBound takes for granted. Beyond that it overflows,
 * or rounds a norm to a few bits.
 */
static bool
FormIsOrdinary(const VrHnswIndex *idx, double norm2)
{
	return norm2 < 1e37 && (idx->metric != VR_METRIC_COSINE || norm2 > 1e-30);
}

/*
 * A quantised value: centred, rotated, encoded, and decoded again, so that
 * codes are computed from what records hold.
 */
static bool
FormQuantised(const VrHnswIndex *idx, Datum datum, VrHnswValue *out)
{
	double norm2;
	float *x = FormFloats(idx, datum, &norm2);
	int padded = idx->layout.padded;
	float *rotated;
	char *own;

	if (x == NULL)
		return false;
	rotated = palloc(padded * sizeof(float));
	own = palloc0(idx->layout.own_bytes);
	out->bytes = hash_bytes((unsigned char *) x, idx->dim * sizeof(float));
	if (idx->metric == VR_METRIC_IP)
	{
		double scale = idx->rotation.scale;

		out->norm2 = (float) Min(norm2 * scale * scale, 1e37);
	}
	VrRotate(&idx->rotation, idx->mean, x, rotated);
	pfree(x);
	VrOwnEncode(idx->layout.own_kind, padded, rotated, &out->head, own);
	VrOwnDecode(idx->layout.own_kind, padded, &out->head, own, rotated);
	/* Its distance bounds nothing, and a scan hears that from the error. */
	if (!FormIsOrdinary(idx, norm2))
		out->head.err = 1e37f;
	out->data = own;
	out->rotated = rotated;
	return true;
}

/*
 * Makes a record's value of a row's. False, if it is not indexed: NULL, or
 * zero under cosine. isnull and values have an entry per index column.
 */
bool
VrHnswFormValue(VrHnswIndex *idx, Relation index, Datum *values, bool *isnull,
				VrHnswValue *out)
{
	bool ok;

	memset(out, 0, offsetof(VrHnswValue, attrs));
	out->attr_nulls = 0;
	if (isnull[0])
		return false;
	if (idx->form == VR_FORM_QUANTISED)
		ok = FormQuantised(idx, values[0], out);
	else if (idx->type == VR_TYPE_SPARSEVEC)
		ok = FormSparse(idx, values[0], out);
	else if (idx->type == VR_TYPE_BIT)
		ok = FormBits(idx, values[0], out);
	else
		ok = FormDense(idx, values[0], out);
	if (ok && idx->layout.nattrs > 0)
		VrHnswFormAttrs(index, values, isnull, out);
	return ok;
}

/* A value all of zeros, in the index's plain form. */
static void
FormZero(const VrHnswIndex *idx, VrHnswValue *out)
{
	out->bytes = VrHnswPlainBytes(idx->type, idx->dim, sizeof(int32));
	out->data = palloc0(Max(out->bytes, 4));
}

/*
 * Makes a query of an ORDER BY argument. NULL, or zero under cosine, orders
 * nothing: any query does, and zero is as good as another.
 */
void
VrHnswFormQuery(VrHnswIndex *idx, Datum datum, bool isnull, VrHnswValue *out)
{
	bool ok = false;

	memset(out, 0, sizeof(*out));
	if (idx->form == VR_FORM_QUANTISED)
	{
		double norm2;
		float *x = isnull ? NULL : FormFloats(idx, datum, &norm2);

		if (x == NULL)
			x = palloc0(idx->dim * sizeof(float));
		else
			out->ordered = FormIsOrdinary(idx, norm2);
		out->norm2 = VrDistance->ip_f32(idx->dim, x, x) * idx->rotation.scale *
					 idx->rotation.scale;
		out->rotated = palloc(idx->layout.padded * sizeof(float));
		VrRotate(&idx->rotation, idx->mean, x, out->rotated);
		pfree(x);
		return;
	}
	if (!isnull)
	{
		if (idx->type == VR_TYPE_SPARSEVEC)
			ok = FormSparse(idx, datum, out);
		else if (idx->type == VR_TYPE_BIT)
			ok = FormBits(idx, datum, out);
		else
			ok = FormDense(idx, datum, out);
	}
	if (!ok)
		FormZero(idx, out);
}

/*
 * What the operator's result is at least, for a row whose own value is at
 * distance d from the query (as hits have it): the triangle inequality, with
 * room for the rounding of centring, rotation and operator. Squares below
 * float32's range are lost, here (scaled) and in the operator (unscaled). err is how far the own value is off: as
 * a norm, or for inner product as a difference of d. qnorm2 is the query's
 * uncentred squared norm, scaled. For an index scan's recheck.
 */
double
VrHnswLowerBound(const VrHnswIndex *idx, float qnorm2, double d, double err)
{
	double scale = idx->rotation.scale;
	double size = sqrt(qnorm2) + idx->mean_norm;
	double low;

	switch (idx->metric)
	{
		case VR_METRIC_L2:
			low = sqrt(Max(d, 0));
			low -= err + 4e-6 * (size + low) + 1e-18;
			low = Max(low / scale - 1e-20, 0);
			break;
		case VR_METRIC_COSINE:
			low = sqrt(Max(d, 0)) / scale;
			low -= err / scale + 4e-6 * (1 + low);
			low = Max(low, 0);
			low = Max(low * low / 2 - 4e-6, 0);
			break;
		default:
			low = (d - qnorm2) / 2;
			low -= err / 2 + 4e-6 * (size * size + fabs(d)) + 1e-36;
			low = low / (scale * scale) - 1e-40;
			break;
	}
	/* A value out of the ordinary, or an infinite distance. */
	if (err >= 1e36 || isnan(low))
		return -get_float8_infinity();
	return low;
}

/* Distance of sparse values as records hold them. */
static float
FormSparseDistance(const VrHnswIndex *idx, const char *a, const char *b)
{
	const int32 *ia = (const int32 *) a;
	const int32 *ib = (const int32 *) b;
	int na = ia[0];
	int nb = ib[0];
	const float *xa = (const float *) (ia + 1 + na);
	const float *xb = (const float *) (ib + 1 + nb);

	switch (idx->metric)
	{
		case VR_METRIC_L2:
			return VrSparseL2Sq(na, ia + 1, xa, nb, ib + 1, xb);
		case VR_METRIC_L1:
			return VrSparseL1(na, ia + 1, xa, nb, ib + 1, xb);
		default:
			return -VrSparseIp(na, ia + 1, xa, nb, ib + 1, xb);
	}
}

/*
 * Distance of two plain values, ordered as the operator's: squared for L2, the
 * negative inner product for that and for cosine. Finite, below FLT_MAX.
 */
float
VrHnswDistance(const VrHnswIndex *idx, const char *a, uint32 abytes,
			   const char *b, uint32 bbytes)
{
	float d;

	switch (idx->type)
	{
		case VR_TYPE_VECTOR:
			if (idx->metric == VR_METRIC_L2)
				d = VrDistance->l2sq_f32(idx->dim, (const float *) a,
										 (const float *) b);
			else if (idx->metric == VR_METRIC_L1)
				d = VrDistance->l1_f32(idx->dim, (const float *) a,
									   (const float *) b);
			else
				d = -VrDistance->ip_f32(idx->dim, (const float *) a,
										(const float *) b);
			break;
		case VR_TYPE_HALFVEC:
			if (idx->metric == VR_METRIC_L2)
				d = VrDistance->l2sq_f16(idx->dim, (const vr_half *) a,
										 (const vr_half *) b);
			else if (idx->metric == VR_METRIC_L1)
				d = VrDistance->l1_f16(idx->dim, (const vr_half *) a,
									   (const vr_half *) b);
			else
				d = -VrDistance->ip_f16(idx->dim, (const vr_half *) a,
										(const vr_half *) b);
			break;
		case VR_TYPE_SPARSEVEC:
			/* The counts come from disk: they must agree with the lengths. */
			if (abytes < 4 || bbytes < 4 ||
				(uint64) ((const uint32 *) a)[0] * 8 + 4 != abytes ||
				(uint64) ((const uint32 *) b)[0] * 8 + 4 != bbytes)
				ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
								errmsg("an hnsw index holds a damaged sparse "
									   "value"),
								errhint("Please REINDEX it.")));
			d = FormSparseDistance(idx, a, b);
			break;
		default:
			if (idx->metric == VR_METRIC_HAMMING)
				d = (float) VrDistance->hamming((idx->dim + 7) / 8,
												(const unsigned char *) a,
												(const unsigned char *) b);
			else
			{
				uint64 both;
				uint64 any;

				VrDistance->jaccard((idx->dim + 7) / 8,
									(const unsigned char *) a,
									(const unsigned char *) b, &both, &any);
				d = both == 0 ? 1 : 1 - (float) ((double) both / any);
			}
			break;
	}
	/* Sums that overflow: searches compare with FLT_MAX. */
	if (unlikely(!(d < FORM_FARTHEST)))
		return FORM_FARTHEST;
	return Max(d, -FORM_FARTHEST);
}

/* Whether an attribute column's words tell its values apart. */
bool
VrHnswAttrIsExact(Relation index, int attr)
{
	return !OidIsValid(index_getprocid(index, attr + 2, VR_HNSW_HASH_PROC));
}

/*
 * The word of an attribute value of a type that the column's operators take:
 * the value itself, widened, or its hash.
 */
uint64
VrHnswAttrWordOf(Relation index, int attr, Oid type, Datum value)
{
	if (!VrHnswAttrIsExact(index, attr))
		return DatumGetUInt64(FunctionCall2Coll(
			index_getprocinfo(index, attr + 2, VR_HNSW_HASH_PROC),
			index->rd_indcollation[attr + 1], value, Int64GetDatum(0)));
	switch (get_typlen(type))
	{
		case 1:
			return DatumGetUInt8(value);
		case 2:
			return (uint64) (int64) DatumGetInt16(value);
		case 4:
			return (uint64) (int64) DatumGetInt32(value);
		default:
			return (uint64) DatumGetInt64(value);
	}
}

/* The same for a value of the column's own type. */
uint64
VrHnswAttrWord(Relation index, int attr, Datum value)
{
	return VrHnswAttrWordOf(
		index, attr, TupleDescAttr(RelationGetDescr(index), attr + 1)->atttypid,
		value);
}

/* Fills in a row's attribute words. */
void
VrHnswFormAttrs(Relation index, Datum *values, bool *isnull, VrHnswValue *out)
{
	int i;

	out->nattrs = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	for (i = 0; i < out->nattrs; i++)
	{
		out->attrs[i] = 0;
		if (isnull[i + 1])
			out->attr_nulls |= 1 << i;
		else
			out->attrs[i] = VrHnswAttrWord(index, i, values[i + 1]);
	}
}
