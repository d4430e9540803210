/*
 * hnsw_page.h
 *		Bytes on disk of an hnsw index, and nothing else.
 *
 * Block 0 is the metapage. Every other page carries a special area that names
 * its kind. Vertex pages are arrays of fixed-size records; a record's id is
 * block * slots + slot. See README, "On disk".
 */
#ifndef VR_HNSW_PAGE_H
#define VR_HNSW_PAGE_H

#include "storage/block.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

#define VR_HNSW_MAGIC 0x56523148          /* "VR1H" */
#define VR_HNSW_VERSION 1                 /* on-disk format */
#define VR_HNSW_PGVECTOR_MAGIC 0xA953A953 /* a metapage written by pgvector */
#define VR_HNSW_PAGE_ID 0xFA51            /* last two bytes of every page */
#define VR_HNSW_META_BLOCK 0

/* A vertex id that is no vertex, and a block number that is no block. */
#define VR_HNSW_NO_VERTEX ((uint32) 0xFFFFFFFF)
#define VR_HNSW_NO_BLOCK ((uint32) 0)

/* Page kinds, in the special area. Zero is no kind. */
typedef enum VrHnswPageKind
{
	VR_PAGE_META = 1,
	VR_PAGE_VERTEX = 2, /* records; never changes its kind */
	VR_PAGE_TID = 3,    /* chunks of heap TIDs of duplicates; likewise */
	VR_PAGE_VALUE = 4,  /* part of a value too long for its record */
	VR_PAGE_MEAN = 5,   /* part of the mean of a quantised index */
	VR_PAGE_ATTR = 6,   /* attribute words of a group of vertex pages */
	VR_PAGE_FREE = 7    /* empty, to be used for any kind */
} VrHnswPageKind;

typedef struct VrHnswSpecialData
{
	uint16 kind;   /* VrHnswPageKind */
	uint16 nused;  /* VERTEX: records not free; TID: chunks not free */
	uint32 next;   /* TID: next page with free chunks; VALUE, MEAN: next part */
	uint16 flags;  /* VR_PAGE_LISTED */
	uint16 nbytes; /* VALUE, MEAN: bytes of payload on this page */
	uint16 spare;
	uint16 page_id; /* VR_HNSW_PAGE_ID */
} VrHnswSpecialData;

typedef VrHnswSpecialData *VrHnswSpecial;

#define VR_PAGE_LISTED 0x0001 /* TID page is on the metapage's free list */

#define VrHnswPageSpecial(page) ((VrHnswSpecial) PageGetSpecialPointer(page))
#define VrHnswPageKindOf(page) (VrHnswPageSpecial(page)->kind)

/* Bytes between page header and special area: 8152 with 8 kB pages. */
#define VR_HNSW_PAGE_BYTES                                                     \
	((int) (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) -                          \
			MAXALIGN(sizeof(VrHnswSpecialData))))
#define VrHnswPageContents(page)                                               \
	((char *) (page) + MAXALIGN(SizeOfPageHeaderData))

/* Element type of the indexed column. */
typedef enum VrHnswType
{
	VR_TYPE_VECTOR = 1,
	VR_TYPE_HALFVEC = 2,
	VR_TYPE_SPARSEVEC = 3,
	VR_TYPE_BIT = 4
} VrHnswType;

typedef enum VrHnswMetric
{
	VR_METRIC_L2 = 1,
	VR_METRIC_IP = 2,
	VR_METRIC_COSINE = 3,
	VR_METRIC_L1 = 4,
	VR_METRIC_HAMMING = 5,
	VR_METRIC_JACCARD = 6
} VrHnswMetric;

typedef enum VrHnswForm
{
	VR_FORM_PLAIN = 1,
	VR_FORM_QUANTISED = 2
} VrHnswForm;

/*
 * Where the parts of a record lie, in bytes from its start. Fixed when the
 * index is created. A part that the form does not have is at 0.
 */
typedef struct VrHnswLayout
{
	uint16 record_size; /* multiple of 8 */
	uint16 slots;       /* records per page */
	uint16 lanes;       /* room for neighbours; a multiple of 32 if quantised */
	uint16 degree0;     /* most neighbours on level 0: 2 m */
	uint16 degree;      /* most neighbours on a level above */
	uint16 nattrs;      /* attribute columns, each a word of 8 bytes */
	uint16 attrs_at;    /* uint64[nattrs] */
	uint16 ids_at;      /* uint32[lanes] */
	uint16 own_at;      /* own value, inline part */
	uint16 own_bytes;   /* room for it */
	uint16 ownhead_at;  /* quantised: head of the own value */
	uint16 factors_at;  /* quantised: edge factors, one set per 32 lanes */
	uint16 codes_at;    /* quantised: code blocks, one per 32 lanes */
	uint16 own_kind;    /* quantised: precision of the own value */
	uint32 padded;      /* quantised: dimensions after padding, P */
	uint32 code_bits;   /* quantised: code length, Dc */
	uint32 attr_group;  /* blocks from one ATTR page to the next; 0 if none */
} VrHnswLayout;

typedef struct VrHnswMetaPageData
{
	uint32 magic;
	uint16 version;
	uint8 type;   /* VrHnswType */
	uint8 metric; /* VrHnswMetric */
	uint8 form;   /* VrHnswForm */
	uint8 spare0;
	uint16 m;
	uint16 ef_construction;
	uint16 spare1;
	uint32 dim;
	float scale; /* quantised: of the rotation, a power of two */
	VrHnswLayout layout;
	uint64 seed;         /* of levels and of the rotation */
	uint64 build_id;     /* random; tells one build from the next in caches */
	uint64 build_rows;   /* vertices when it was built: the mean is theirs */
	uint32 upper_blocks; /* blocks 1..n that the build gave to upper levels */
	uint32 mean_block;   /* first page of the mean; VR_HNSW_NO_BLOCK if none */

	/* What follows changes after the build, under the metapage's lock. */
	uint32 entry;      /* record of highest level; NO_VERTEX if empty */
	int32 entry_level; /* its level, -1 if empty */
	uint32 tid_free;   /* first TID page with free chunks, or NO_BLOCK */
	uint32 vacuums;    /* completed vacuums that freed records */
	uint64 deleted;    /* records freed by them */
	/* A vacuum has begun to mark records dead and has not freed all of them. */
	uint32 vacuum_unfinished;
	uint32 spare2;
} VrHnswMetaPageData;

typedef VrHnswMetaPageData *VrHnswMetaPage;

#define VrHnswPageMeta(page) ((VrHnswMetaPage) VrHnswPageContents(page))

/*
 * Head of a record. A vertex of level l has l + 1 records: one per level, each
 * with the neighbours of that level and a copy of the value; only that of
 * level 0 has heap TIDs. Neighbour ids are records of the same level.
 *
 * A record is free (flags 0), live, or dead: a dead one has lost its last TID,
 * still leads searches on, is never returned and gets no new edges; a later
 * pass of vacuum frees it.
 */
typedef struct VrHnswRecordData
{
	ItemPointerData tid; /* level 0: first heap TID; invalid if dead */
	uint8 flags;         /* VR_RECORD_* */
	uint8 level;
	uint32 more_tids;   /* level 0: newest TID chunk, or NO_VERTEX */
	uint32 down;        /* level > 0: this vertex's record one level below;
						 * level 0: bit i is 0 if lane i is a stem */
	uint32 base;        /* this vertex's record on level 0 (itself there) */
	uint8 degree;       /* neighbours in ids[0..degree-1] */
	uint8 chosen;       /* the first so many were selected for diversity */
	uint16 attr_nulls;  /* bit i: attribute i is NULL */
	uint32 value_block; /* first VALUE page, or NO_BLOCK: value is inline */
	uint32 value_bytes; /* length of the value */
} VrHnswRecordData;

typedef VrHnswRecordData *VrHnswRecord;

#define VR_RECORD_USED 0x01 /* not free */
#define VR_RECORD_DEAD 0x02

#define VrHnswRecordIsLive(r)                                                  \
	(((r)->flags & (VR_RECORD_USED | VR_RECORD_DEAD)) == VR_RECORD_USED)
#define VrHnswRecordIsFree(r) (((r)->flags & VR_RECORD_USED) == 0)
#define VrHnswRecordIds(r, layout)                                             \
	((uint32 *) ((char *) (r) + (layout)->ids_at))
#define VrHnswRecordAttrs(r, layout)                                           \
	((uint64 *) ((char *) (r) + (layout)->attrs_at))
#define VrHnswRecordOwn(r, layout) ((char *) (r) + (layout)->own_at)

/* Records of a page, at most. */
#define VR_HNSW_MAX_SLOTS                                                      \
	((int) (VR_HNSW_PAGE_BYTES / sizeof(VrHnswRecordData)))

/*
 * A stem is the edge by which a vertex can be come to whatever else becomes of
 * the graph: its lane is not given to another. Only the first lanes can be one.
 */
#define VR_HNSW_STEM_LANES 32
#define VrHnswRecordStems(r) ((r)->level == 0 ? ~(r)->down : 0)
#define VrHnswIsStem(r, lane)                                                  \
	((lane) < VR_HNSW_STEM_LANES && (VrHnswRecordStems(r) >> (lane) &1) != 0)

/*
 * Duplicates: rows with equal values (and attributes) share a vertex. Their
 * further TIDs stand in chunks, chained newest first. A chunk's id is
 * block * VR_HNSW_CHUNKS + index. The chain changes only under an exclusive
 * lock on the page of the owner's record.
 */
#define VR_HNSW_CHUNK_TIDS 9

typedef struct VrHnswTidChunkData
{
	uint32 owner; /* record of level 0; NO_VERTEX if the chunk is free */
	uint32 next;  /* chunk id, or NO_VERTEX */
	ItemPointerData tids[VR_HNSW_CHUNK_TIDS];
	uint16 ntids;
} VrHnswTidChunkData;

typedef VrHnswTidChunkData *VrHnswTidChunk;

#define VR_HNSW_CHUNKS ((int) (VR_HNSW_PAGE_BYTES / sizeof(VrHnswTidChunkData)))
#define VrHnswPageChunk(page, i)                                               \
	((VrHnswTidChunk) VrHnswPageContents(page) + (i))

/*
 * ATTR page: the attribute words of the vertex blocks that follow it, up to
 * the next ATTR page, by position: entry e belongs to record
 * (attr block + 1) * slots + e. First a byte of state per entry, padded to 8
 * bytes, then per attribute a column of words.
 */
#define VR_ATTR_LIVE 0x80 /* entry belongs to a live record of level 0 */
#define VrHnswAttrGroup(nattrs, slots)                                         \
	((VR_HNSW_PAGE_BYTES - 8) / (1 + 8 * (nattrs)) / (slots) + 1)

StaticAssertDecl(sizeof(VrHnswSpecialData) == 16, "special area is 16 bytes");
StaticAssertDecl(sizeof(VrHnswRecordData) == 32, "record head is 32 bytes");
StaticAssertDecl(sizeof(VrHnswTidChunkData) == 64, "TID chunk is 64 bytes");
StaticAssertDecl(sizeof(VrHnswLayout) == 40, "layout is 40 bytes");

#endif /* VR_HNSW_PAGE_H */
