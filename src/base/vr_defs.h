/*
 * vr_defs.h
 *		Limits and attribute macros that every folder may use.
 *
 * Includes nothing, so that src/distance and src/quant, which know no server,
 * can include it after "c.h" as well as files that include "postgres.h".
 */
#ifndef VR_DEFS_H
#define VR_DEFS_H

#define VR_VERSION "1.0.0"

/* pgvector's limits, which clients rely on. */
#define VR_VECTOR_MAX_DIM 16000
#define VR_HALFVEC_MAX_DIM 16000
#define VR_SPARSEVEC_MAX_DIM 1000000000
#define VR_SPARSEVEC_MAX_NNZ 16000

/* IEEE 754 binary16, kept as its bits: not every compiler has a type for it. */
typedef unsigned short vr_half;

/*
 * Instruction-set specific functions carry their set as an attribute, so that
 * the build itself stays portable (no -march, and the bitcode build needs
 * nothing special).
 */
#define VR_TARGET(isa) __attribute__((target(isa)))
#define VR_PREFETCH(addr) __builtin_prefetch((const void *) (addr), 0, 3)
/* For more lines at once than a first-level cache waits for: to the second. */
#define VR_PREFETCH_FAR(addr) __builtin_prefetch((const void *) (addr), 0, 1)
#define VR_LIKELY(x) __builtin_expect(!!(x), 1)
#define VR_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif /* VR_DEFS_H */
