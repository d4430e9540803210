/*
 * hnsw_build.h
 *		Phases of a build, and its worker's entry point.
 */
#ifndef VR_HNSW_BUILD_H
#define VR_HNSW_BUILD_H

#include "storage/dsm.h"
#include "storage/shm_toc.h"

/* Sub-phases; 1 is PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE. */
#define VR_BUILD_PHASE_LOAD 2
#define VR_BUILD_PHASE_WRITE 3
#define VR_BUILD_PHASE_LOG 4

/* Found by its name in the library. */
extern PGDLLEXPORT void VrHnswBuildWorker(dsm_segment *seg, shm_toc *toc);
extern char *vr_hnsw_buildphasename(int64 phase);

#endif /* VR_HNSW_BUILD_H */
