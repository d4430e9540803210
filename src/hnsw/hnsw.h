/*
 * hnsw.h
 *		What other folders may call of the hnsw index.
 */
#ifndef VR_HNSW_H
#define VR_HNSW_H

/* Defines reloptions and settings of the access method. For _PG_init. */
extern void VrHnswInit(void);

#endif /* VR_HNSW_H */
