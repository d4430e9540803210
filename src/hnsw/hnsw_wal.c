/*
 * hnsw_wal.c
 *		Changing pages: one wrapper for the logged and the unlogged case.
 *
 * After a build, every change is a generic WAL record of up to four pages.
 * While an index is being built its pages are changed in place and only marked
 * dirty: nobody else can see them, and the build logs them whole at its end.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "hnsw/hnsw_private.h"

/* Starts a change of pages of the store's index. */
void
VrHnswEditBegin(VrHnswEdit *edit, VrHnswStore *store)
{
	edit->index = store->index;
	edit->building = store->building;
	edit->state = edit->building ? NULL : GenericXLogStart(edit->index);
}

/* The same for code that has no store: the index is never being built. */
void
VrHnswEditBeginRel(VrHnswEdit *edit, Relation index)
{
	edit->index = index;
	edit->building = false;
	edit->state = GenericXLogStart(index);
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
	return GenericXLogRegisterBuffer(edit->state, buf, 0);
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
		page = GenericXLogRegisterBuffer(edit->state, buf,
										 GENERIC_XLOG_FULL_IMAGE);
	VrHnswPageInit(page, kind);
	return page;
}

/* Makes the change: WAL first, as PostgreSQL has it. */
void
VrHnswEditFinish(VrHnswEdit *edit)
{
	if (!edit->building)
		GenericXLogFinish(edit->state);
	edit->state = NULL;
}

/* Drops the change. Not for a build, whose pages are changed already. */
void
VrHnswEditAbort(VrHnswEdit *edit)
{
	if (!edit->building)
		GenericXLogAbort(edit->state);
	edit->state = NULL;
}
