/*
 * hnsw_wal.c
 *		Changing pages: one wrapper for the logged and the unlogged case.
 *
 * After a build, every change is a generic WAL record of up to four pages.
 * While an index is being built its pages are changed in place and only marked
 * dirty: nobody else can see them, and the build logs them whole at its end.
 *
 * The records are those of access/transam/generic_xlog.c, and the server
 * replays them as such. They are made here, since the server's own functions
 * compare two pages byte by byte (8 us a page, while an insertion changes some
 * twenty) and take 64 kB of memory for it. What a record's block has is a list
 * of fragments: offset, length (two bytes each), and that many bytes.
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "hnsw/hnsw_private.h"

/* Equal bytes between two fragments that cost less than a head. */
#define WAL_MERGE 4

/* What the fragments of a page take at most: pages have no hole. */
#define WAL_DELTA_BYTES (BLCKSZ + 2 * 4)

/* Starts a change of pages of the store's index. */
void
VrHnswEditBegin(VrHnswEdit *edit, VrHnswStore *store)
{
	VrHnswEditBeginRel(edit, store->index);
	edit->building = store->building;
}

/* The same for code that has no store: the index is never being built. */
void
VrHnswEditBeginRel(VrHnswEdit *edit, Relation index)
{
	edit->index = index;
	edit->building = false;
	edit->npages = 0;
}

/* Takes up a page; returns the copy that is to be changed. */
static Page
WalPage(VrHnswEdit *edit, Buffer buf, bool whole)
{
	int i;

	for (i = 0; i < edit->npages; i++)
		if (edit->pages[i].buf == buf)
			return edit->pages[i].image;
	if (i == VR_HNSW_EDIT_PAGES)
		elog(ERROR, "an edit of hnsw pages is of more than %d",
			 VR_HNSW_EDIT_PAGES);
	edit->pages[i].buf = buf;
	edit->pages[i].whole = whole;
	edit->pages[i].image = palloc(BLCKSZ);
	memcpy(edit->pages[i].image, BufferGetPage(buf), BLCKSZ);
	edit->npages++;
	return edit->pages[i].image;
}

/*
 * The image of a page to change. The buffer is locked exclusively and stays so
 * until the edit is finished; the caller unlocks it.
 */
Page
VrHnswEditPage(VrHnswEdit *edit, Buffer buf)
{
	if (edit->building)
	{
		MarkBufferDirty(buf);
		return BufferGetPage(buf);
	}
	return WalPage(edit, buf, false);
}

/* The same for a page whose content is of no interest: it is initialised. */
Page
VrHnswEditNewPage(VrHnswEdit *edit, Buffer buf, VrHnswPageKind kind)
{
	Page page;

	if (edit->building)
	{
		MarkBufferDirty(buf);
		page = BufferGetPage(buf);
	}
	else
		page = WalPage(edit, buf, true);
	VrHnswPageInit(page, kind);
	return page;
}

/* Where two pages differ next, from a place on; BLCKSZ if nowhere. */
static inline int
WalDiffers(const char *a, const char *b, int i)
{
	while (i % 8 != 0 && i < BLCKSZ)
	{
		if (a[i] != b[i])
			return i;
		i++;
	}
	for (; i < BLCKSZ; i += 64)
	{
		/* Blocks of 64 as a rule; the last one ends with the page. */
		int n = Min(64, BLCKSZ - i);

		if (memcmp(a + i, b + i, n) != 0)
			break;
	}
	while (i < BLCKSZ && a[i] == b[i])
		i++;
	return Min(i, BLCKSZ);
}

/* Writes down how to make one page of the other; returns the bytes of it. */
static int
WalDelta(const char *from, const char *to, char *delta)
{
	int n = 0;
	int i = WalDiffers(from, to, 0);

	while (i < BLCKSZ)
	{
		uint16 offset = i;
		uint16 length;
		int end = ++i;

		for (; i < BLCKSZ && i - end <= WAL_MERGE; i++)
			if (from[i] != to[i])
				end = i + 1;
		length = end - offset;
		memcpy(delta + n, &offset, sizeof(offset));
		memcpy(delta + n + 2, &length, sizeof(length));
		memcpy(delta + n + 4, to + offset, length);
		n += 4 + length;
		i = WalDiffers(from, to, i);
	}
	return n;
}

/* Whether what lies between pd_lower and pd_upper is lost by a replay. */
static bool
WalHasHole(Page page)
{
	return ((PageHeader) page)->pd_lower != ((PageHeader) page)->pd_upper;
}

/* Makes the change: WAL first, as PostgreSQL has it. */
void
VrHnswEditFinish(VrHnswEdit *edit)
{
	/* XLogInsert reads it; nothing else runs in between. */
	static char deltas[VR_HNSW_EDIT_PAGES][WAL_DELTA_BYTES];
	bool logged = !edit->building && RelationNeedsWAL(edit->index);
	int lengths[VR_HNSW_EDIT_PAGES];
	XLogRecPtr lsn;
	int i;

	if (edit->building)
		return;
	for (i = 0; logged && i < edit->npages; i++)
	{
		VrHnswEditedPage *p = &edit->pages[i];

		if (WalHasHole(p->image) || WalHasHole(BufferGetPage(p->buf)))
			p->whole = true;
		lengths[i] =
			p->whole ? 0 : WalDelta(BufferGetPage(p->buf), p->image, deltas[i]);
	}
	if (logged)
		XLogBeginInsert();
	START_CRIT_SECTION();
	for (i = 0; i < edit->npages; i++)
	{
		VrHnswEditedPage *p = &edit->pages[i];

		memcpy(BufferGetPage(p->buf), p->image, BLCKSZ);
		MarkBufferDirty(p->buf);
		if (!logged)
			continue;
		XLogRegisterBuffer(
			i, p->buf, REGBUF_STANDARD | (p->whole ? REGBUF_FORCE_IMAGE : 0));
		if (!p->whole)
			XLogRegisterBufData(i, deltas[i], lengths[i]);
	}
	if (logged && edit->npages > 0)
	{
		lsn = XLogInsert(RM_GENERIC_ID, 0);
		for (i = 0; i < edit->npages; i++)
			PageSetLSN(BufferGetPage(edit->pages[i].buf), lsn);
	}
	END_CRIT_SECTION();
	VrHnswEditAbort(edit);
}

/* Drops the change. Not for a build, whose pages are changed already. */
void
VrHnswEditAbort(VrHnswEdit *edit)
{
	int i;

	for (i = 0; i < edit->npages; i++)
		pfree(edit->pages[i].image);
	edit->npages = 0;
}
