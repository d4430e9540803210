/*
 * hnsw_flush.c
 *		Writes an image to the pages of its index, in one pass per page kind.
 *
 * Order on disk: metapage, mean, records of upper levels (few, and every
 * search needs them), records of level 0, long values, TID chunks. Ids change
 * from positions in the image to block * slots + slot; ATTR pages keep their
 * fixed places.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "hnsw/hnsw_image.h"
#include "hnsw/hnsw_private.h"

typedef struct FlushState
{
	VrHnswImage *image;
	VrHnswStore *store;
	const VrHnswLayout *layout;
	uint32 n0;
	uint32 nupper;
	uint32 first;        /* ordinal of the first block after the mean */
	uint32 upper_blocks; /* blocks given to upper levels */
	uint32 tail;         /* ordinal of the next block after the vertices */
	uint32 nchunks;      /* TID chunks written so far */
	uint32 chunk_first;  /* ordinal of the first TID page */
} FlushState;

/*
 * The j-th block, from 1 on, that is no ATTR page. ATTR pages are blocks 1,
 * 1 + group, 1 + 2 group, ...
 */
static BlockNumber
FlushBlock(const FlushState *f, uint32 j)
{
	uint32 group = f->layout->attr_group;

	return group > 0 ? 2 + j + j / (group - 1) : 1 + j;
}

/* Where a record of the image goes. */
static uint32
FlushId(const FlushState *f, uint32 id)
{
	uint32 slots = f->layout->slots;
	uint32 cap0 = f->image->shared->cap0;
	uint32 at = id < cap0 ? f->upper_blocks * slots + id : id - cap0;

	return FlushBlock(f, f->first + at / slots) * slots + at % slots;
}

/* Appends block, which must be the next one, initialised and locked. */
static Buffer
FlushNewPage(FlushState *f, BlockNumber block, VrHnswPageKind kind)
{
	Relation index = f->store->index;

	for (;;)
	{
		Buffer buf = ReadBufferExtended(index, MAIN_FORKNUM, P_NEW,
										RBM_ZERO_AND_LOCK, NULL);
		BlockNumber got = BufferGetBlockNumber(buf);
		bool attr = VrHnswIsAttrBlock(f->layout, got);

		if (!attr && got != block)
			elog(ERROR, "hnsw flush: got block %u, expected %u", got, block);
		VrHnswPageInit(BufferGetPage(buf), attr ? VR_PAGE_ATTR : kind);
		MarkBufferDirty(buf);
		if (!attr)
			return buf;
		UnlockReleaseBuffer(buf);
	}
}

/* Blocks that a long value takes. */
static uint32
FlushValueBlocks(uint32 bytes)
{
	return (bytes + VR_HNSW_PAGE_BYTES - 1) / VR_HNSW_PAGE_BYTES;
}

/* TID chunks that a record's further TIDs take. */
static uint32
FlushChunks(const FlushState *f, VrHnswRecord rec)
{
	uint32 n = 0;
	uint32 i;

	if (rec->level > 0)
		return 0;
	for (i = rec->more_tids; i != VR_HNSW_NO_VERTEX; i = f->image->tids[i].next)
		n++;
	return (n + VR_HNSW_CHUNK_TIDS - 1) / VR_HNSW_CHUNK_TIDS;
}

/* Id of the chunk that is the n-th of all. */
static uint32
FlushChunkId(const FlushState *f, uint32 n)
{
	return FlushBlock(f, f->chunk_first + n / VR_HNSW_CHUNKS) * VR_HNSW_CHUNKS +
		   n % VR_HNSW_CHUNKS;
}

/* Copies a record to its page, with ids as they are on disk. */
static void
FlushRecord(FlushState *f, uint32 id, char *to, uint32 *value_at)
{
	const VrHnswLayout *l = f->layout;
	VrHnswRecord src = VrHnswImageRecord(f->image, id);
	VrHnswRecord dst = (VrHnswRecord) to;
	uint32 *ids = VrHnswRecordIds(dst, l);
	int i;

	memcpy(dst, src, l->record_size);
	for (i = 0; i < dst->degree; i++)
		ids[i] = FlushId(f, ids[i]);
	dst->base = FlushId(f, src->base);
	if (src->level > 0)
		dst->down = FlushId(f, src->down);
	if (src->value_block != VR_HNSW_NO_BLOCK)
	{
		dst->value_block = FlushBlock(f, *value_at);
		*value_at += FlushValueBlocks(src->value_bytes);
	}
	if (src->level == 0)
	{
		uint32 chunks = FlushChunks(f, src);

		dst->more_tids =
			chunks > 0 ? FlushChunkId(f, f->nchunks) : VR_HNSW_NO_VERTEX;
		f->nchunks += chunks;
	}
}

/* Writes n records, from first on, to pages of their own. */
static void
FlushRecords(FlushState *f, uint32 first, uint32 n, uint32 ordinal,
			 uint32 *value_at)
{
	const VrHnswLayout *l = f->layout;
	uint32 done = 0;

	while (done < n)
	{
		Buffer buf = FlushNewPage(f, FlushBlock(f, ordinal++), VR_PAGE_VERTEX);
		Page page = BufferGetPage(buf);
		int slot;

		for (slot = 0; slot < l->slots && done < n; slot++, done++)
		{
			/* An insertion that found the image full left it free. */
			if (VrHnswRecordIsFree(VrHnswImageRecord(f->image, first + done)))
				continue;
			FlushRecord(f, first + done,
						VrHnswPageContents(page) + slot * l->record_size,
						value_at);
			VrHnswPageSpecial(page)->nused++;
		}
		UnlockReleaseBuffer(buf);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Calls the record's writer for all records, in the order of FlushRecords. */
static void
FlushEach(FlushState *f,
		  void (*write)(FlushState *f, uint32 id, VrHnswRecord rec))
{
	uint32 cap0 = f->image->shared->cap0;
	uint32 i;

	for (i = 0; i < f->nupper + f->n0; i++)
	{
		uint32 id = i < f->nupper ? cap0 + i : i - f->nupper;
		VrHnswRecord rec = VrHnswImageRecord(f->image, id);

		if (!VrHnswRecordIsFree(rec))
			write(f, id, rec);
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

/* Writes a record's long value to its pages. */
static void
FlushValue(FlushState *f, uint32 id, VrHnswRecord rec)
{
	uint32 done = 0;
	const char *value;

	if (rec->value_block == VR_HNSW_NO_BLOCK)
		return;
	value = VrHnswImageLongValue(f->image, rec);
	while (done < rec->value_bytes)
	{
		uint32 n = Min(rec->value_bytes - done, VR_HNSW_PAGE_BYTES);
		Buffer buf = FlushNewPage(f, FlushBlock(f, f->tail++), VR_PAGE_VALUE);
		Page page = BufferGetPage(buf);

		memcpy(VrHnswPageContents(page), value + done, n);
		done += n;
		VrHnswPageSpecial(page)->nbytes = n;
		VrHnswPageSpecial(page)->next =
			done < rec->value_bytes ? FlushBlock(f, f->tail) : VR_HNSW_NO_BLOCK;
		UnlockReleaseBuffer(buf);
	}
}

/* Writes a record's further TIDs to chunks. */
static void
FlushTids(FlushState *f, uint32 id, VrHnswRecord rec)
{
	uint32 left = FlushChunks(f, rec);
	uint32 tid = rec->more_tids;

	while (left > 0)
	{
		uint32 n = f->nchunks++;
		BlockNumber block = FlushBlock(f, f->chunk_first + n / VR_HNSW_CHUNKS);
		Buffer buf;
		VrHnswTidChunk chunk;

		if (n % VR_HNSW_CHUNKS == 0)
		{
			buf = FlushNewPage(f, block, VR_PAGE_TID);
			f->tail++;
		}
		else
			buf = VrHnswReadPage(f->store->index, block, BUFFER_LOCK_EXCLUSIVE,
								 VR_PAGE_TID);
		chunk = VrHnswPageChunk(BufferGetPage(buf), n % VR_HNSW_CHUNKS);
		chunk->owner = FlushId(f, id);
		chunk->next = --left > 0 ? FlushChunkId(f, n + 1) : VR_HNSW_NO_VERTEX;
		for (chunk->ntids = 0;
			 chunk->ntids < VR_HNSW_CHUNK_TIDS && tid != VR_HNSW_NO_VERTEX;
			 chunk->ntids++)
		{
			chunk->tids[chunk->ntids] = f->image->tids[tid].tid;
			tid = f->image->tids[tid].next;
		}
		VrHnswPageSpecial(BufferGetPage(buf))->nused++;
		MarkBufferDirty(buf);
		UnlockReleaseBuffer(buf);
	}
}

/* Fills the ATTR pages. */
static void
FlushAttrs(FlushState *f, uint32 id, VrHnswRecord rec)
{
	BlockNumber block;
	int entry;
	Buffer buf;

	if (rec->level > 0)
		return;
	VrHnswAttrPlace(f->layout, FlushId(f, id), &block, &entry);
	buf = VrHnswReadPage(f->store->index, block, BUFFER_LOCK_EXCLUSIVE,
						 VR_PAGE_ATTR);
	VrHnswAttrSet(f->layout, BufferGetPage(buf), entry,
				  VrHnswRecordAttrs(rec, f->layout), rec->attr_nulls, true);
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);
}

/*
 * Writes the image to the index, which has only metapage and mean so far, and
 * sets the metapage's entry. No WAL: the build does that in the end.
 */
void
VrHnswImageFlush(VrHnswImage *image, VrHnswStore *store)
{
	const VrHnswLayout *l = &store->idx->layout;
	VrHnswImageShared *shared = image->shared;
	BlockNumber nblocks = RelationGetNumberOfBlocks(store->index);
	FlushState state = {image, store, l};
	FlushState *f = &state;
	VrHnswMetaPage meta;
	uint32 value_at;
	Buffer buf;

	f->n0 = pg_atomic_read_u32(&shared->n0);
	f->nupper = pg_atomic_read_u32(&shared->nupper);
	/* The ordinal of the first block that is not there yet. */
	while (FlushBlock(f, f->first) < nblocks)
		f->first++;
	f->upper_blocks = (f->nupper + l->slots - 1) / l->slots;
	f->tail = f->first + f->upper_blocks + (f->n0 + l->slots - 1) / l->slots;
	value_at = f->tail;

	/* TID pages follow the values, so count those first. */
	f->chunk_first = f->tail;
	if (pg_atomic_read_u64(&shared->nlong) > 0)
	{
		uint32 i;

		for (i = 0; i < f->n0 + f->nupper; i++)
		{
			VrHnswRecord rec = VrHnswImageRecord(
				image, i < f->n0 ? i : shared->cap0 + i - f->n0);

			if (!VrHnswRecordIsFree(rec) &&
				rec->value_block != VR_HNSW_NO_BLOCK)
				f->chunk_first += FlushValueBlocks(rec->value_bytes);
		}
	}
	FlushRecords(f, shared->cap0, f->nupper, f->first, &value_at);
	FlushRecords(f, 0, f->n0, f->first + f->upper_blocks, &value_at);
	FlushEach(f, FlushValue);
	f->nchunks = 0;
	FlushEach(f, FlushTids);
	if (l->nattrs > 0)
		FlushEach(f, FlushAttrs);

	store->nblocks = RelationGetNumberOfBlocks(store->index);
	buf = VrHnswReadPage(store->index, VR_HNSW_META_BLOCK,
						 BUFFER_LOCK_EXCLUSIVE, VR_PAGE_META);
	meta = VrHnswPageMeta(BufferGetPage(buf));
	meta->build_rows = f->n0;
	meta->upper_blocks = f->upper_blocks;
	if (f->nchunks % VR_HNSW_CHUNKS != 0)
	{
		BlockNumber last =
			FlushBlock(f, f->chunk_first + f->nchunks / VR_HNSW_CHUNKS);
		Buffer tbuf = VrHnswReadPage(store->index, last, BUFFER_LOCK_EXCLUSIVE,
									 VR_PAGE_TID);

		VrHnswPageSpecial(BufferGetPage(tbuf))->flags |= VR_PAGE_LISTED;
		MarkBufferDirty(tbuf);
		UnlockReleaseBuffer(tbuf);
		meta->tid_free = last;
	}
	if (shared->entry != VR_HNSW_NO_VERTEX)
	{
		meta->entry = FlushId(f, shared->entry);
		meta->entry_level = shared->entry_level;
	}
	MarkBufferDirty(buf);
	UnlockReleaseBuffer(buf);
	/* The last page of level 0 has room, most likely. */
	if (f->n0 > 0)
		store->idx->target =
			FlushBlock(f, f->first + f->upper_blocks + (f->n0 - 1) / l->slots);
	shared->flushed = true;
}
