/*
 * hnsw_sample.h
 *		What a build learns of a table from some of its blocks.
 */
#ifndef VR_HNSW_SAMPLE_H
#define VR_HNSW_SAMPLE_H

#include "hnsw/hnsw_private.h"

typedef struct VrHnswSample
{
	double rows;          /* estimate of the rows to be indexed */
	int64 seen;           /* rows looked at */
	uint32 typical_bytes; /* sparse: what 99 % of the values stay below */
	float *mean;          /* dense: of the values (normalised for cosine) */
	double mean_norm2;    /* squared norm of the values less their mean */
} VrHnswSample;

extern void VrHnswSampleTable(Relation heap, Relation index, IndexInfo *info,
							  const VrHnswMetaPageData *meta,
							  VrHnswSample *sample);

#endif /* VR_HNSW_SAMPLE_H */
