/*
 * hnsw_verify.c
 *		The pages' half of check_index: every page, record, edge and chain.
 *
 * Two passes over the pages and a walk of the graph. The first pass looks at
 * each page by itself and remembers the heads of its records; the second looks
 * at what ties records to each other. Nothing from disk is trusted before it
 * has been compared with the size of what it indexes, so damage ends in a row
 * of the result. The caller holds a lock that keeps writers out.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "distance/distance.h"
#include "hnsw/hnsw_check.h"

/* Pages read under one subtransaction. */
#define VERIFY_BATCH 512

/* Working memory of the second pass. */
typedef struct VerifyScratch
{
	char *record; /* copy of the record in hand */
	char *other;  /* copy of a neighbour's, or of one below */
	char *value;  /* value of a record that has it elsewhere */
	float *v;     /* decoded own values */
	float *u;
	uint8 *row; /* code as it should be, and as it is */
	uint8 *row_found;
	BlockNumber attr_block; /* whose ATTR page is in attr */
	PGAlignedBlock attr;
} VerifyScratch;

#define VERIFY_FAULT(c, block, item, ...)                                      \
	VrHnswCheckFault(c, block, item, __VA_ARGS__)

static inline VrHnswRecord
VerifyRecordAt(const VrHnswLayout *l, const char *page, int slot)
{
	return (VrHnswRecord) (VrHnswPageContents(page) + slot * l->record_size);
}

/* ------------------------------------------------------------ reading pages */

/* Copies a page that was readable before. */
static void
VerifyCopyPage(VrHnswCheck *c, BlockNumber block, char *to)
{
	Buffer buf = VrHnswReadAny(c->index, block, BUFFER_LOCK_SHARE, NULL);

	memcpy(to, BufferGetPage(buf), BLCKSZ);
	UnlockReleaseBuffer(buf);
}

/* Copies a record of a page known to be a VERTEX page. */
static void
VerifyCopyRecord(VrHnswCheck *c, uint32 id, char *to)
{
	const VrHnswLayout *l = &c->meta.layout;
	Buffer buf =
		VrHnswReadAny(c->index, id / l->slots, BUFFER_LOCK_SHARE, NULL);

	memcpy(to, VerifyRecordAt(l, BufferGetPage(buf), id % l->slots),
		   l->record_size);
	UnlockReleaseBuffer(buf);
}

/*
 * Whether pages from..to-1 can all be read: a checksum or a page header may be
 * wrong, of which the buffer manager makes an error. Says so if tell is set.
 */
bool
VrHnswCheckReadable(VrHnswCheck *c, BlockNumber from, BlockNumber to, bool tell)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	BlockNumber volatile block = from;
	bool volatile good = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		for (; block < to; block++)
			ReleaseBuffer(
				VrHnswReadAny(c->index, block, BUFFER_LOCK_UNLOCK, NULL));
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		/* A cancel goes on; so does whatever is not about the file. */
		if (error->sqlerrcode != ERRCODE_DATA_CORRUPTED &&
			error->sqlerrcode != ERRCODE_IO_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		good = false;
		if (tell)
			VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM, "page cannot be read: %s",
						 error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return good;
}

/* -------------------------------------------------------- records, alone */

static bool
VerifyFinite(int n, const float *x)
{
	int i;

	for (i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

/* Under cosine, values are stored with norm 1, within what f16 can hold. */
static void
VerifyNorm(VrHnswCheck *c, BlockNumber block, int slot, double norm2,
		   double tolerance)
{
	if (c->meta.metric == VR_METRIC_COSINE && fabs(norm2 - 1) > tolerance)
		VERIFY_FAULT(c, block, slot, "value has norm %g, not 1", sqrt(norm2));
}

/* A sparse value: count, indices, numbers. */
static void
VerifySparse(VrHnswCheck *c, BlockNumber block, int slot, const char *value,
			 uint32 bytes)
{
	const int32 *ints = (const int32 *) value;
	double norm2 = 0;
	const float *x;
	int nnz;
	int i;

	nnz = bytes < sizeof(int32) ? -1 : ints[0];
	if (nnz < 0 || nnz > VR_HNSW_MAX_NNZ || bytes != 4 + 8 * (uint32) nnz)
	{
		VERIFY_FAULT(c, block, slot,
					 "sparse value of %u bytes says it has %d elements", bytes,
					 nnz);
		return;
	}
	x = (const float *) (ints + 1 + nnz);
	for (i = 1; i <= nnz; i++)
	{
		if (ints[i] < 0 || ints[i] >= c->meta.dim ||
			(i > 1 && ints[i] <= ints[i - 1]))
		{
			VERIFY_FAULT(c, block, slot,
						 "indices of a sparse value are out of order or range");
			return;
		}
		norm2 += (double) x[i - 1] * x[i - 1];
	}
	if (!VerifyFinite(nnz, x))
		VERIFY_FAULT(c, block, slot, "value is not finite");
	else
		VerifyNorm(c, block, slot, norm2, 1e-3);
}

/* A plain value of any type. */
static void
VerifyPlainValue(VrHnswCheck *c, BlockNumber block, int slot, const char *value,
				 uint32 bytes)
{
	int dim = c->meta.dim;

	if (c->meta.type == VR_TYPE_SPARSEVEC)
		VerifySparse(c, block, slot, value, bytes);
	else if (c->meta.type == VR_TYPE_BIT)
	{
		if (dim % 8 != 0 && (value[bytes - 1] & (0xFF >> dim % 8)) != 0)
			VERIFY_FAULT(c, block, slot,
						 "bits are set past the end of a value");
	}
	else
	{
		float *x = palloc(dim * sizeof(float));

		if (c->meta.type == VR_TYPE_HALFVEC)
			VrDistance->f16_to_f32(dim, (const vr_half *) value, x);
		else
			memcpy(x, value, dim * sizeof(float));
		if (!VerifyFinite(dim, x))
			VERIFY_FAULT(c, block, slot, "value is not finite");
		else if (c->meta.metric == VR_METRIC_COSINE)
			VerifyNorm(c, block, slot, VrDistance->ip_f32(dim, x, x),
					   c->meta.type == VR_TYPE_HALFVEC ? 1e-2 : 1e-3);
		pfree(x);
	}
}

/* How long a record's value is, and where it stands. */
static void
VerifyValue(VrHnswCheck *c, BlockNumber block, int slot, VrHnswRecord rec)
{
	const VrHnswLayout *l = &c->meta.layout;

	if (c->meta.form == VR_FORM_QUANTISED)
	{
		const VrHnswOwnHead *head = VrHnswRecordOwnHead(rec, l);

		if (rec->value_block != VR_HNSW_NO_BLOCK)
			VERIFY_FAULT(c, block, slot, "quantised record has a long value");
		if (!isfinite(head->own.norm2) || !isfinite(head->own.scale) ||
			!isfinite(head->norm2) || !(head->own.err >= 0) ||
			!isfinite(head->own.err) || head->own.scale < 0)
			VERIFY_FAULT(c, block, slot, "head of the own value is damaged");
		else if (c->meta.metric != VR_METRIC_IP && head->norm2 != 0)
			VERIFY_FAULT(c, block, slot,
						 "record has a norm that its metric does not use");
		return;
	}
	if (c->meta.type != VR_TYPE_SPARSEVEC &&
		rec->value_bytes !=
			VrHnswPlainBytes(c->meta.type, c->meta.dim, sizeof(int32)))
		VERIFY_FAULT(c, block, slot, "value has %u bytes", rec->value_bytes);
	else if (rec->value_bytes > l->own_bytes)
	{
		if (rec->value_block == VR_HNSW_NO_BLOCK)
			VERIFY_FAULT(c, block, slot, "value of %u bytes is not there",
						 rec->value_bytes);
	}
	else if (rec->value_block != VR_HNSW_NO_BLOCK)
		VERIFY_FAULT(c, block, slot,
					 "value of %u bytes stands outside of its record",
					 rec->value_bytes);
	else
		VerifyPlainValue(c, block, slot, VrHnswRecordOwn(rec, l),
						 rec->value_bytes);
}

/* Everything about a record that needs no other page. */
static void
VerifyRecordHead(VrHnswCheck *c, BlockNumber block, int slot, VrHnswRecord rec)
{
	const VrHnswLayout *l = &c->meta.layout;
	uint32 id = block * l->slots + slot;
	VrCheckRecord *r = &c->records[id];

	if (rec->flags & ~(VR_RECORD_USED | VR_RECORD_DEAD))
		VERIFY_FAULT(c, block, slot, "unknown flags %02X", rec->flags);
	if (VrHnswRecordIsFree(rec))
	{
		if (rec->flags & VR_RECORD_DEAD)
			VERIFY_FAULT(c, block, slot, "free slot is marked dead");
		return;
	}
	r->flags = rec->flags & (VR_RECORD_USED | VR_RECORD_DEAD);
	r->level = rec->level;
	r->degree = rec->degree;
	r->base = rec->base;
	r->down = rec->down;
	r->more_tids = rec->more_tids;
	if (rec->level > VR_HNSW_MAX_LEVEL)
		VERIFY_FAULT(c, block, slot, "level is %u", rec->level);
	if (rec->degree > VrHnswDegreeLimit(l, rec->level))
	{
		VERIFY_FAULT(c, block, slot, "%u neighbours, limit of level %u is %d",
					 rec->degree, rec->level, VrHnswDegreeLimit(l, rec->level));
		r->degree = 0;
	}
	else if (rec->chosen > rec->degree)
		VERIFY_FAULT(c, block, slot, "%u of %u neighbours chosen", rec->chosen,
					 rec->degree);
	if (l->nattrs < 16 && rec->attr_nulls >> l->nattrs != 0)
		VERIFY_FAULT(c, block, slot, "NULL bits %04X with %u attributes",
					 rec->attr_nulls, l->nattrs);
	if (rec->level > 0)
	{
		if (ItemPointerIsValid(&rec->tid) ||
			rec->more_tids != VR_HNSW_NO_VERTEX)
			VERIFY_FAULT(c, block, slot, "record of level %u has heap TIDs",
						 rec->level);
	}
	else
	{
		if (rec->base != id)
			VERIFY_FAULT(c, block, slot, "record of level 0 has base %u",
						 rec->base);
		if (rec->degree < VR_HNSW_STEM_LANES &&
			VrHnswRecordStems(rec) >> rec->degree != 0)
			VERIFY_FAULT(c, block, slot, "stems %08X with %u neighbours",
						 VrHnswRecordStems(rec), rec->degree);
		if (VrHnswRecordIsLive(rec) && !ItemPointerIsValid(&rec->tid))
			VERIFY_FAULT(c, block, slot, "live record has no heap TID");
		if (!VrHnswRecordIsLive(rec) && (ItemPointerIsValid(&rec->tid) ||
										 rec->more_tids != VR_HNSW_NO_VERTEX))
			VERIFY_FAULT(c, block, slot, "dead record has heap TIDs");
	}
	VerifyValue(c, block, slot, rec);
}

/* ----------------------------------------------------------- pages, alone */

/* Head and special area of a page. Returns its kind; 0: new, -1: not ours. */
static int
VerifyPageHead(VrHnswCheck *c, BlockNumber block, const char *copy)
{
	PageHeader head = (PageHeader) copy;
	VrHnswSpecial special;
	VrCheckPage *page = &c->pages[block];
	bool attr = VrHnswIsAttrBlock(&c->meta.layout, block);

	if (PageIsNew((Page) copy))
		return 0;
	if (head->pd_special != BLCKSZ - MAXALIGN(sizeof(VrHnswSpecialData)) ||
		head->pd_lower != head->pd_upper || head->pd_upper != head->pd_special)
	{
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM, "page header is damaged");
		return -1;
	}
	special = (VrHnswSpecial) (copy + head->pd_special);
	if (special->page_id != VR_HNSW_PAGE_ID || special->kind < VR_PAGE_META ||
		special->kind > VR_PAGE_FREE)
	{
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM, "page is not an hnsw page");
		return -1;
	}
	if ((special->kind == VR_PAGE_META) != (block == VR_HNSW_META_BLOCK) ||
		(special->kind == VR_PAGE_ATTR) != attr)
	{
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
					 "page of kind %u is in the wrong place", special->kind);
		return -1;
	}
	if ((special->flags & ~VR_PAGE_LISTED) != 0 ||
		(special->flags != 0 && special->kind != VR_PAGE_TID))
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
					 "page of kind %u has flags %04X", special->kind,
					 special->flags);
	page->next = special->next;
	page->flags = special->flags;
	page->nbytes = special->nbytes;
	if (special->kind == VR_PAGE_VALUE || special->kind == VR_PAGE_MEAN)
	{
		/*
		 * An empty VALUE page is what an insertion leaves that was cut off when
		 * it had just taken one. Nothing may lead there: VerifyPayload.
		 */
		if ((special->nbytes == 0 && special->kind == VR_PAGE_MEAN) ||
			special->nbytes > VR_HNSW_PAGE_BYTES)
		{
			VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM, "payload has %u bytes",
						 special->nbytes);
			page->nbytes = 0;
		}
	}
	else if (special->next != VR_HNSW_NO_BLOCK && special->kind != VR_PAGE_TID)
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
					 "page of kind %u has a next one", special->kind);
	return special->kind;
}

/* The records of a VERTEX page, and how many it says it has. */
static void
VerifyVertexPage(VrHnswCheck *c, BlockNumber block, char *copy)
{
	const VrHnswLayout *l = &c->meta.layout;
	int used = 0;
	int slot;

	for (slot = 0; slot < l->slots; slot++)
	{
		VrHnswRecord rec = VerifyRecordAt(l, copy, slot);

		VerifyRecordHead(c, block, slot, rec);
		if (!VrHnswRecordIsFree(rec))
			used++;
	}
	if (VrHnswPageSpecial((Page) copy)->nused != used)
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
					 "page says it has %u records, it has %d",
					 VrHnswPageSpecial((Page) copy)->nused, used);
}

/* The same for TID chunks. */
static void
VerifyTidPage(VrHnswCheck *c, BlockNumber block, char *copy)
{
	int used = 0;
	int i;

	for (i = 0; i < VR_HNSW_CHUNKS; i++)
	{
		VrHnswTidChunk chunk = VrHnswPageChunk(copy, i);

		if (chunk->owner == VR_HNSW_NO_VERTEX)
			continue;
		used++;
		if (chunk->ntids < 1 || chunk->ntids > VR_HNSW_CHUNK_TIDS)
			VERIFY_FAULT(c, block, i, "chunk has %u TIDs", chunk->ntids);
	}
	if (VrHnswPageSpecial((Page) copy)->nused != used)
		VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
					 "page says it has %u chunks, it has %d",
					 VrHnswPageSpecial((Page) copy)->nused, used);
}

/* First pass. */
static void
VerifyPages(VrHnswCheck *c)
{
	BlockNumber block;
	BlockNumber known = 0;

	for (block = 0; block < c->nblocks; block++)
	{
		VrCheckPage *page = &c->pages[block];
		int kind;

		CHECK_FOR_INTERRUPTS();
		if (block == known)
		{
			BlockNumber end = Min(known + VERIFY_BATCH, c->nblocks);

			if (!VrHnswCheckReadable(c, known, end, false))
			{
				BlockNumber b;

				for (b = known; b < end; b++)
					if (!VrHnswCheckReadable(c, b, b + 1, true))
						c->pages[b].kind = VR_CHECK_UNREADABLE;
			}
			known = end;
		}
		if (page->kind == VR_CHECK_UNREADABLE)
			continue;
		VerifyCopyPage(c, block, c->copy.data);
		kind = VerifyPageHead(c, block, c->copy.data);
		page->kind = kind < 0 ? VR_CHECK_UNREADABLE : kind;
		if (kind == VR_PAGE_VERTEX)
			VerifyVertexPage(c, block, c->copy.data);
		else if (kind == VR_PAGE_TID)
			VerifyTidPage(c, block, c->copy.data);
	}
}

/* ------------------------------------------------------------------ chains */

/*
 * Follows a chain of VALUE or MEAN pages. The payloads are gathered in into,
 * unless it is NULL. Returns whether the chain is whole.
 */
static bool
VerifyPayload(VrHnswCheck *c, BlockNumber from, int item, VrHnswPageKind kind,
			  BlockNumber block, uint32 bytes, char *into)
{
	uint32 got = 0;

	while (got < bytes)
	{
		VrCheckPage *page;

		if (block == VR_HNSW_NO_BLOCK || block >= c->nblocks ||
			c->pages[block].kind != kind)
		{
			VERIFY_FAULT(c, from, item,
						 "chain of a long value is cut at block %u", block);
			return false;
		}
		page = &c->pages[block];
		if (page->used || page->nbytes == 0 || page->nbytes > bytes - got)
		{
			VERIFY_FAULT(c, from, item, "chain of a long value %s block %u",
						 page->used          ? "shares"
						 : page->nbytes == 0 ? "is empty at"
											 : "is too long at",
						 block);
			return false;
		}
		page->used = 1;
		if (into)
		{
			VerifyCopyPage(c, block, c->copy.data);
			memcpy(into + got, VrHnswPageContents(c->copy.data), page->nbytes);
		}
		got += page->nbytes;
		block = page->next;
	}
	if (block != VR_HNSW_NO_BLOCK)
		VERIFY_FAULT(c, from, item, "chain of a long value goes on at block %u",
					 block);
	return true;
}

static void
VerifyMean(VrHnswCheck *c)
{
	uint32 bytes = c->meta.dim * sizeof(float);
	float *mean;

	if (c->meta.mean_block == VR_HNSW_NO_BLOCK)
		return;
	mean = palloc(bytes);
	if (VerifyPayload(c, VR_HNSW_META_BLOCK, VR_CHECK_NO_ITEM, VR_PAGE_MEAN,
					  c->meta.mean_block, bytes, (char *) mean) &&
		!VerifyFinite(c->meta.dim, mean))
		VERIFY_FAULT(c, c->meta.mean_block, VR_CHECK_NO_ITEM,
					 "mean is not finite");
	pfree(mean);
}

static void
VerifyAddTid(VrHnswCheck *c, BlockNumber block, int item, ItemPointer tid)
{
	if (!ItemPointerIsValid(tid) ||
		ItemPointerGetBlockNumberNoCheck(tid) >= c->heap_blocks)
		VERIFY_FAULT(c, block, item, "heap TID (%u,%u) is beyond the table",
					 ItemPointerGetBlockNumberNoCheck(tid),
					 ItemPointerGetOffsetNumberNoCheck(tid));
	else
		tuplesort_putdatum(c->tids, Int64GetDatum(VrCheckTidKey(tid)), false);
}

/* The heap TIDs of a live record of level 0. */
static void
VerifyTids(VrHnswCheck *c, uint32 id, VrHnswRecord rec)
{
	const VrHnswLayout *l = &c->meta.layout;
	BlockNumber block = id / l->slots;
	int slot = id % l->slots;
	uint32 at = rec->more_tids;

	if (ItemPointerIsValid(&rec->tid))
		VerifyAddTid(c, block, slot, &rec->tid);
	while (at != VR_HNSW_NO_VERTEX)
	{
		BlockNumber cblock = at / VR_HNSW_CHUNKS;
		VrHnswTidChunk chunk;
		int i;

		if (cblock >= c->nblocks || c->pages[cblock].kind != VR_PAGE_TID)
		{
			VERIFY_FAULT(c, block, slot, "chain of TIDs leads to block %u",
						 cblock);
			return;
		}
		if (c->chunks[at / 8] & (1 << at % 8))
		{
			VERIFY_FAULT(c, block, slot,
						 "chain of TIDs shares chunk %u of block %u",
						 at % VR_HNSW_CHUNKS, cblock);
			return;
		}
		VerifyCopyPage(c, cblock, c->copy.data);
		chunk = VrHnswPageChunk(c->copy.data, at % VR_HNSW_CHUNKS);
		if (chunk->owner != id)
		{
			VERIFY_FAULT(c, block, slot,
						 "chunk %u of block %u belongs to record %u",
						 at % VR_HNSW_CHUNKS, cblock, chunk->owner);
			return;
		}
		c->chunks[at / 8] |= 1 << at % 8;
		for (i = 0; i < Min(chunk->ntids, VR_HNSW_CHUNK_TIDS); i++)
			VerifyAddTid(c, cblock, at % VR_HNSW_CHUNKS, &chunk->tids[i]);
		at = chunk->next;
	}
}

/*
 * Chunks that no chain has, and the list of TID pages with free chunks. VALUE
 * pages that no record has are no fault: an insertion that was interrupted
 * after writing them leaves some.
 */
static void
VerifyTidPages(VrHnswCheck *c)
{
	BlockNumber block = c->meta.tid_free;

	while (block != VR_HNSW_NO_BLOCK)
	{
		VrCheckPage *page;

		if (block >= c->nblocks || c->pages[block].kind != VR_PAGE_TID)
		{
			VERIFY_FAULT(c, VR_HNSW_META_BLOCK, VR_CHECK_NO_ITEM,
						 "list of TID pages leads to block %u", block);
			break;
		}
		page = &c->pages[block];
		if (page->used)
		{
			VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
						 "list of TID pages has a loop");
			break;
		}
		page->used = 1;
		if (!(page->flags & VR_PAGE_LISTED))
			VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
						 "TID page is listed and does not say so");
		block = page->next;
	}
	for (block = 0; block < c->nblocks; block++)
	{
		int i;

		if (c->pages[block].kind != VR_PAGE_TID)
			continue;
		CHECK_FOR_INTERRUPTS();
		if ((c->pages[block].flags & VR_PAGE_LISTED) && !c->pages[block].used)
			VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
						 "TID page says it is listed and is not");
		VerifyCopyPage(c, block, c->copy.data);
		for (i = 0; i < VR_HNSW_CHUNKS; i++)
		{
			uint64 at = (uint64) block * VR_HNSW_CHUNKS + i;

			if (VrHnswPageChunk(c->copy.data, i)->owner != VR_HNSW_NO_VERTEX &&
				!(c->chunks[at / 8] & (1 << at % 8)))
				VERIFY_FAULT(c, block, i,
							 "chunk of TIDs is not in the chain of record %u",
							 VrHnswPageChunk(c->copy.data, i)->owner);
		}
	}
}

/* ------------------------------------------------- records, with each other */

/* Whether an id is a record in use, whatever its level. */
static inline bool
VerifyIsUsed(VrHnswCheck *c, uint32 id)
{
	return id < c->nrecords && (c->records[id].flags & VR_RECORD_USED) != 0;
}

/*
 * The code and factors of a lane against what the two own values give. Bits
 * are exact. The factors are sums of floats, which round by the kernel that
 * made them: rescale may differ in its last bit, and add by what that changes.
 */
static void
VerifyLane(VrHnswCheck *c, VerifyScratch *s, VrHnswRecord rec, uint32 id,
		   int lane, VrHnswRecord other)
{
	const VrHnswLayout *l = &c->meta.layout;
	int set = lane / VR_QUANT_LANES;
	int in_set = lane % VR_QUANT_LANES;
	const VrEdgeFactors *factors = VrHnswRecordFactors(rec, l, set);
	const VrHnswOwnHead *head = VrHnswRecordOwnHead(other, l);
	VrEdge want;
	VrEdge found;
	double slack;

	VrOwnDecode(l->own_kind, l->padded, &head->own, VrHnswRecordOwn(other, l),
				s->u);
	VrEdgeEncode(l->padded, l->code_bits, s->v, s->u, -head->norm2, s->row,
				 &want);
	VrLaneGet(l->padded, l->code_bits, VrHnswRecordCodes(rec, l, set), factors,
			  in_set, s->row_found, &found);
	slack = 1e-4 * (fabs(want.r2) + fabs(head->norm2) + fabs(want.add));
	if (found.rescale != want.rescale)
		slack += 0.01 * fabs((double) want.r2 - head->norm2 - want.add);
	if (memcmp(s->row, s->row_found, VR_CODE_ROW_BYTES(l->code_bits)) != 0)
		VERIFY_FAULT(c, id / l->slots, id % l->slots,
					 "code of neighbour %d is not that of record %u", lane,
					 VrHnswRecordIds(rec, l)[lane]);
	else if (abs((int) found.rescale - (int) want.rescale) > 1 ||
			 !(fabs((double) found.add - want.add) <= slack))
		VERIFY_FAULT(c, id / l->slots, id % l->slots,
					 "factors of neighbour %d are %04X %g, not %04X %g", lane,
					 found.rescale, found.add, want.rescale, want.add);
}

/* Codes of the lanes past the last neighbour. */
static void
VerifyEmptyLanes(VrHnswCheck *c, VrHnswRecord rec, uint32 id)
{
	const VrHnswLayout *l = &c->meta.layout;
	int lane;

	for (lane = rec->degree; lane < l->lanes; lane++)
		if (!VrLaneIsEmpty(VrHnswRecordFactors(rec, l, lane / VR_QUANT_LANES),
						   lane % VR_QUANT_LANES))
		{
			VERIFY_FAULT(c, id / l->slots, id % l->slots,
						 "lane %d is not empty, with %u neighbours", lane,
						 rec->degree);
			break;
		}
}

/* The neighbours of a live record. */
static void
VerifyEdges(VrHnswCheck *c, VerifyScratch *s, VrHnswRecord rec, uint32 id)
{
	const VrHnswLayout *l = &c->meta.layout;
	const uint32 *ids = VrHnswRecordIds(rec, l);
	bool quantised = c->meta.form == VR_FORM_QUANTISED;
	BlockNumber block = id / l->slots;
	int slot = id % l->slots;
	int degree = c->records[id].degree;
	int i;
	int k;

	if (quantised && degree == rec->degree)
	{
		VerifyEmptyLanes(c, rec, id);
		VrOwnDecode(l->own_kind, l->padded, &VrHnswRecordOwnHead(rec, l)->own,
					VrHnswRecordOwn(rec, l), s->v);
	}
	for (i = 0; i < degree; i++)
	{
		uint32 u = ids[i];

		for (k = 0; k < i; k++)
			if (ids[k] == u)
				VERIFY_FAULT(c, block, slot, "record %u is a neighbour twice",
							 u);
		if (u == id)
			VERIFY_FAULT(c, block, slot, "record is its own neighbour");
		else if (u >= c->nrecords ||
				 c->pages[u / l->slots].kind != VR_PAGE_VERTEX)
			VERIFY_FAULT(c, block, slot, "neighbour %u is no record", u);
		else if (!VerifyIsUsed(c, u))
			VERIFY_FAULT(c, block, slot, "neighbour %u is a free slot", u);
		else if (c->records[u].level != rec->level)
			VERIFY_FAULT(c, block, slot,
						 "neighbour %u is of level %u, record of level %u", u,
						 c->records[u].level, rec->level);
		else if (quantised)
		{
			VerifyCopyRecord(c, u, s->other);
			VerifyLane(c, s, rec, id, i, (VrHnswRecord) s->other);
		}
	}
}

/* The records of one vertex: levels, base, and equal values. */
static void
VerifyTower(VrHnswCheck *c, VerifyScratch *s, VrHnswRecord rec, uint32 id)
{
	const VrHnswLayout *l = &c->meta.layout;
	BlockNumber block = id / l->slots;
	int slot = id % l->slots;
	VrHnswRecord base = (VrHnswRecord) s->other;

	if (!VerifyIsUsed(c, rec->down) ||
		c->records[rec->down].level != rec->level - 1 ||
		c->records[rec->down].base != rec->base)
		VERIFY_FAULT(c, block, slot,
					 "record of level %u leads down to %u, which is not the "
					 "same vertex one level below",
					 rec->level, rec->down);
	if (!VerifyIsUsed(c, rec->base) || c->records[rec->base].level != 0)
	{
		VERIFY_FAULT(c, block, slot, "base %u is not a record of level 0",
					 rec->base);
		return;
	}
	VerifyCopyRecord(c, rec->base, s->other);
	if (rec->value_bytes != base->value_bytes ||
		(l->nattrs > 0 &&
		 (rec->attr_nulls != base->attr_nulls ||
		  memcmp(VrHnswRecordAttrs(rec, l), VrHnswRecordAttrs(base, l),
				 l->nattrs * sizeof(uint64)) != 0)) ||
		(c->meta.form == VR_FORM_QUANTISED &&
		 memcmp(VrHnswRecordOwnHead(rec, l), VrHnswRecordOwnHead(base, l),
				sizeof(VrHnswOwnHead)) != 0) ||
		memcmp(VrHnswRecordOwn(rec, l), VrHnswRecordOwn(base, l),
			   c->meta.form == VR_FORM_QUANTISED
				   ? l->own_bytes
				   : Min(rec->value_bytes, l->own_bytes)) != 0)
		VERIFY_FAULT(c, block, slot, "value differs from that of its base %u",
					 rec->base);
}

/* A slot's entry on the ATTR page. */
static void
VerifyAttrs(VrHnswCheck *c, VerifyScratch *s, VrHnswRecord rec, uint32 id)
{
	const VrHnswLayout *l = &c->meta.layout;
	int entries = VrHnswAttrEntries(l);
	const char *contents = VrHnswPageContents(s->attr.data);
	const uint64 *words = (const uint64 *) (contents + MAXALIGN(entries));
	bool live = VrHnswRecordIsLive(rec) && rec->level == 0;
	BlockNumber block;
	int entry;
	int i;

	VrHnswAttrPlace(l, id, &block, &entry);
	if (s->attr_block != block)
	{
		s->attr_block = block;
		if (c->pages[block].kind != VR_PAGE_ATTR)
			VERIFY_FAULT(c, block, VR_CHECK_NO_ITEM,
						 "page of attributes is missing");
		else
			VerifyCopyPage(c, block, s->attr.data);
	}
	if (c->pages[block].kind != VR_PAGE_ATTR)
		return;
	if (((contents[entry] & VR_ATTR_LIVE) != 0) != live)
		VERIFY_FAULT(c, block, entry, "entry says that record %u is %slive", id,
					 live ? "not " : "");
	else if (live)
		for (i = 0; i < l->nattrs; i++)
			if (words[i * entries + entry] != VrHnswRecordAttrs(rec, l)[i])
				VERIFY_FAULT(c, block, entry,
							 "attribute %d differs from that of record %u",
							 i + 1, id);
}

/* Second pass, one record. */
static void
VerifyRecord(VrHnswCheck *c, VerifyScratch *s, uint32 id)
{
	const VrHnswLayout *l = &c->meta.layout;
	VrHnswRecord rec = (VrHnswRecord) s->record;

	if (l->nattrs > 0)
		VerifyAttrs(c, s, rec, id);
	if (VrHnswRecordIsFree(rec))
		return;
	if (rec->value_block != VR_HNSW_NO_BLOCK && c->meta.form == VR_FORM_PLAIN &&
		rec->value_bytes > l->own_bytes &&
		rec->value_bytes <= 8 * VR_HNSW_MAX_NNZ + VR_VECTOR_MAX_DIM * 4)
	{
		s->value = s->value ? repalloc(s->value, rec->value_bytes)
							: palloc(rec->value_bytes);
		if (VerifyPayload(c, id / l->slots, id % l->slots, VR_PAGE_VALUE,
						  rec->value_block, rec->value_bytes, s->value))
			VerifyPlainValue(c, id / l->slots, id % l->slots, s->value,
							 rec->value_bytes);
	}
	/*
	 * A dead record keeps its edges until it is freed, while the slots they
	 * lead to may be freed and used again.
	 */
	if (!VrHnswRecordIsLive(rec))
		return;
	VerifyEdges(c, s, rec, id);
	if (rec->level > 0)
		VerifyTower(c, s, rec, id);
	else
		VerifyTids(c, id, rec);
}

/* Second pass. */
static void
VerifyRecords(VrHnswCheck *c)
{
	const VrHnswLayout *l = &c->meta.layout;
	VerifyScratch *s = palloc0(sizeof(VerifyScratch));
	PGAlignedBlock *page = palloc(sizeof(PGAlignedBlock));
	BlockNumber block;

	s->other = palloc(l->record_size);
	if (c->meta.form == VR_FORM_QUANTISED)
	{
		s->v = palloc(l->padded * sizeof(float));
		s->u = palloc(l->padded * sizeof(float));
		s->row = palloc(VR_CODE_ROW_BYTES(l->code_bits));
		s->row_found = palloc(VR_CODE_ROW_BYTES(l->code_bits));
	}
	for (block = 0; block < c->nblocks; block++)
	{
		int slot;

		if (c->pages[block].kind != VR_PAGE_VERTEX)
			continue;
		VerifyCopyPage(c, block, page->data);
		for (slot = 0; slot < l->slots; slot++)
		{
			CHECK_FOR_INTERRUPTS();
			s->record = (char *) VerifyRecordAt(l, page->data, slot);
			VerifyRecord(c, s, block * l->slots + slot);
		}
	}
}

/* ---------------------------------------------------------------- the graph */

/* The entry point, and whether a search could begin anywhere higher. */
static void
VerifyEntry(VrHnswCheck *c)
{
	uint32 entry = c->meta.entry;
	uint32 live = 0;
	uint32 id;

	for (id = 0; id < c->nrecords; id++)
	{
		const VrCheckRecord *r = &c->records[id];

		if ((r->flags & (VR_RECORD_USED | VR_RECORD_DEAD)) != VR_RECORD_USED)
			continue;
		live++;
		/*
		 * One without neighbours may be left by an insertion that was
		 * interrupted before it became the entry: it harms nobody.
		 */
		if (entry != VR_HNSW_NO_VERTEX && r->level > c->meta.entry_level &&
			r->degree > 0)
			VERIFY_FAULT(c, id / c->meta.layout.slots,
						 id % c->meta.layout.slots,
						 "record of level %u is above the entry's level %d",
						 r->level, c->meta.entry_level);
	}
	if (entry == VR_HNSW_NO_VERTEX)
	{
		if (live > 0)
			VERIFY_FAULT(c, VR_HNSW_META_BLOCK, VR_CHECK_NO_ITEM,
						 "there is no entry point to %u live records", live);
	}
	else if (!VerifyIsUsed(c, entry))
		VERIFY_FAULT(c, VR_HNSW_META_BLOCK, VR_CHECK_NO_ITEM,
					 "entry point %u is not a record", entry);
	else if (c->records[entry].level != c->meta.entry_level)
		VERIFY_FAULT(c, VR_HNSW_META_BLOCK, VR_CHECK_NO_ITEM,
					 "entry point %u is of level %u, metapage says %d", entry,
					 c->records[entry].level, c->meta.entry_level);
}

/* Puts a record on the queue of the walk, once. */
static inline void
VerifyReach(VrHnswCheck *c, uint32 id, uint32 *queue, uint32 *n)
{
	if (!VerifyIsUsed(c, id) || (c->records[id].flags & VR_CHECK_REACHED))
		return;
	c->records[id].flags |= VR_CHECK_REACHED;
	queue[(*n)++] = id;
}

/* Walks from the entry along edges and down; who is not reached counts. */
static void
VerifyReachable(VrHnswCheck *c)
{
	const VrHnswLayout *l = &c->meta.layout;
	uint32 *queue = MemoryContextAllocHuge(
		CurrentMemoryContext, ((Size) c->nrecords + 1) * sizeof(uint32));
	char *copy = palloc(l->record_size);
	uint32 first = VR_HNSW_NO_VERTEX;
	uint32 lost = 0;
	uint32 live = 0;
	uint32 n = 0;
	uint32 i;

	VerifyReach(c, c->meta.entry, queue, &n);
	for (i = 0; i < n; i++)
	{
		const VrCheckRecord *r = &c->records[queue[i]];
		const uint32 *ids = VrHnswRecordIds((VrHnswRecord) copy, l);
		int k;

		CHECK_FOR_INTERRUPTS();
		VerifyCopyRecord(c, queue[i], copy);
		if (r->level > 0)
			VerifyReach(c, r->down, queue, &n);
		for (k = 0; k < r->degree; k++)
			if (VerifyIsUsed(c, ids[k]) && c->records[ids[k]].level == r->level)
				VerifyReach(c, ids[k], queue, &n);
	}
	for (i = 0; i < c->nrecords; i++)
	{
		const VrCheckRecord *r = &c->records[i];

		if (r->level > 0 ||
			(r->flags & (VR_RECORD_USED | VR_RECORD_DEAD)) != VR_RECORD_USED)
			continue;
		live++;
		if ((r->flags & VR_CHECK_REACHED) == 0 && lost++ == 0)
			first = i;
	}
	/* Without an entry that is said already. */
	if (lost > 0 && n > 0)
		VERIFY_FAULT(c, first / l->slots, first % l->slots,
					 "%u of %u live vertices cannot be reached from the entry "
					 "point%s; this is the first",
					 lost, live,
					 c->meta.vacuum_unfinished ? " until a vacuum is finished"
											   : "");
	pfree(queue);
	pfree(copy);
}

/* All of it. Adds the heap TIDs of live vertices to c->tids. */
void
VrHnswVerify(VrHnswCheck *c)
{
	uint64 records = (uint64) c->nblocks * c->meta.layout.slots;
	uint64 chunks = (uint64) c->nblocks * VR_HNSW_CHUNKS;

#define VERIFY_ALLOC(size)                                                     \
	MemoryContextAllocExtended(CurrentMemoryContext, size,                     \
							   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO)

	/* Ids have 32 bits, and the last one means none. */
	c->nrecords = Min(records, VR_HNSW_NO_VERTEX - 1);
	c->pages = VERIFY_ALLOC(c->nblocks * sizeof(VrCheckPage));
	c->records = VERIFY_ALLOC((Size) c->nrecords * sizeof(VrCheckRecord));
	c->chunks = VERIFY_ALLOC(chunks / 8 + 1);
#undef VERIFY_ALLOC

	VerifyPages(c);
	VerifyMean(c);
	VerifyRecords(c);
	VerifyTidPages(c);
	VerifyEntry(c);
	VerifyReachable(c);
}
