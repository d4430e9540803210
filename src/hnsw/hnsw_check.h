/*
 * hnsw_check.h
 *		What the two halves of check_index share: hnsw_check.c has the SQL
 *		function, the metapage and the table's side, hnsw_verify.c the pages.
 */
#ifndef VR_HNSW_CHECK_H
#define VR_HNSW_CHECK_H

#include "hnsw/hnsw_private.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

/* No slot, no chunk: the fault is the page's. */
#define VR_CHECK_NO_ITEM (-1)

/* What is remembered of every record. */
typedef struct VrCheckRecord
{
	uint8 flags; /* as on the page, and VR_CHECK_REACHED */
	uint8 level;
	uint16 degree;
	uint32 base;
	uint32 down;
	uint32 more_tids;
} VrCheckRecord;

#define VR_CHECK_REACHED 0x80

/* What is remembered of every page. */
typedef struct VrCheckPage
{
	uint8 kind; /* VrHnswPageKind; 0 empty; VR_CHECK_UNREADABLE */
	uint8 used; /* VALUE, MEAN: part of a chain; TID: on the free list */
	uint16 nbytes;
	uint16 flags;
	uint32 next;
} VrCheckPage;

#define VR_CHECK_UNREADABLE 0xFF

typedef struct VrHnswCheck
{
	Relation index;
	BlockNumber nblocks;
	BlockNumber heap_blocks;
	VrHnswMetaPageData meta;
	Tuplestorestate *rows;
	TupleDesc desc;
	int64 nfaults;
	Tuplesortstate *tids; /* of all live vertices, as VrCheckTidKey */
	VrCheckPage *pages;
	VrCheckRecord *records;
	uint32 nrecords;
	uint8 *chunks;       /* bit per TID chunk: part of a chain */
	PGAlignedBlock copy; /* page in hand */
} VrHnswCheck;

/* A TID as a number that sorts as TIDs do. */
static inline int64
VrCheckTidKey(ItemPointer tid)
{
	return (int64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
		   ItemPointerGetOffsetNumberNoCheck(tid);
}

/* ---- hnsw_check.c */
extern void VrHnswCheckFault(VrHnswCheck *c, BlockNumber block, int item,
							 const char *format, ...) pg_attribute_printf(4, 5);

/* ---- hnsw_verify.c */
extern bool VrHnswCheckReadable(VrHnswCheck *c, BlockNumber from,
								BlockNumber to, bool tell);
extern void VrHnswVerify(VrHnswCheck *c);

#endif /* VR_HNSW_CHECK_H */
