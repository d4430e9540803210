/*
 * hnsw_tiers.c
 *		Which blocks of an index are what, for those who keep them in memory.
 */
#include "postgres.h"

#include "fmgr.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "hnsw/hnsw.h"
#include "hnsw/hnsw_private.h"

bool
VrHnswIsIndex(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_INDEX &&
		   rel->rd_indam->ambuild == vr_hnsw_build;
}

/*
 * The build writes metapage and mean, upper levels, then the rest. What is
 * inserted later goes to the end, its upper levels too; those are few.
 */
void
VrHnswGetParts(Relation index, VrHnswParts *parts)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);
	VrHnswMetaPageData meta;
	BlockNumber block;
	uint32 group;

	memset(parts, 0, sizeof(*parts));
	parts->nblocks = nblocks;
	if (nblocks == 0)
		return;
	VrHnswReadMeta(index, &meta);
	group = meta.layout.attr_group;
	parts->entry_end = 1;
	block = meta.mean_block;
	while (block != VR_HNSW_NO_BLOCK)
	{
		Buffer buf =
			VrHnswReadPage(index, block, BUFFER_LOCK_SHARE, VR_PAGE_MEAN);

		parts->entry_end = Max(parts->entry_end, block + 1);
		block = VrHnswPageSpecial(BufferGetPage(buf))->next;
		UnlockReleaseBuffer(buf);
	}
	/* ATTR pages stand between those of vertices at even distances. */
	parts->upper_end = parts->entry_end + meta.upper_blocks;
	if (group > 1 && meta.upper_blocks > 0)
		parts->upper_end += 1 + meta.upper_blocks / (group - 1);
	parts->upper_end = Min(parts->upper_end, nblocks);
	if (meta.entry != VR_HNSW_NO_VERTEX)
		parts->entry_block = meta.entry / meta.layout.slots;
}

bool
VrHnswPageIsGraph(Page page)
{
	if (PageIsNew(page) ||
		PageGetSpecialSize(page) != MAXALIGN(sizeof(VrHnswSpecialData)))
		return false;
	return VrHnswPageKindOf(page) == VR_PAGE_VERTEX ||
		   VrHnswPageKindOf(page) == VR_PAGE_ATTR;
}
