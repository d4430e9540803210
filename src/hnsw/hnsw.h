/*
 * hnsw.h
 *		What other folders may call of the hnsw index.
 */
#ifndef VR_HNSW_H
#define VR_HNSW_H

#include "storage/block.h"
#include "storage/bufpage.h"
#include "utils/relcache.h"

/* Defines reloptions and settings of the access method. For _PG_init. */
extern void VrHnswInit(void);

/*
 * Blocks of an index by how soon a search needs them: metapage and mean are
 * 0..entry_end - 1, upper levels entry_end..upper_end - 1, all else is behind.
 * entry_block is where every search begins, 0 for an empty index; it may be
 * anywhere once a row with a high level was inserted.
 */
typedef struct VrHnswParts
{
	BlockNumber entry_end;
	BlockNumber upper_end;
	BlockNumber entry_block;
	BlockNumber nblocks;
} VrHnswParts;

extern bool VrHnswIsIndex(Relation rel);
/* index is open and an hnsw index. */
extern void VrHnswGetParts(Relation index, VrHnswParts *parts);
/* Does a page hold vertices or their attributes? The caller has a lock on it. */
extern bool VrHnswPageIsGraph(Page page);

#endif /* VR_HNSW_H */
