/*
 * vr_record.h
 *		How a folder that does work in batches tells the planner about it, and
 *		asks it for a size, without knowing the planner.
 *
 * The planner sets the two hooks when the library is loaded; src/hnsw and
 * src/knn call the inline functions, which do nothing while a hook is unset.
 */
#ifndef VR_RECORD_H
#define VR_RECORD_H

#include <math.h>

typedef struct VrBatchObservation
{
	const char *op;       /* "knn_exact", "index_build", ... */
	const char *target;   /* what the cost depends on besides op and dim */
	int dim;              /* dimensions, 1 where there are none */
	int64 batch;          /* planned size: queries per tile, rows of an index */
	int64 rows;           /* items really done, usually equal to batch */
	int concurrency;      /* processes that did such work at once, at least 1 */
	double work;          /* work per row relative to the usual, 0 for 1; for
						   * index_build VrIndexBuildWork() */
	double seconds;       /* wall time */
	int64 tokens;         /* 0 where there are none */
	int64 mem_bytes;      /* peak memory, 0 if unknown */
	const char *sqlstate; /* five characters, NULL unless failed */
	bool failed;
} VrBatchObservation;

/*
 * Work per row of building an hnsw index, relative to 100,000 rows with m = 16
 * and ef_construction = 64: each row is a search. The target is the name of the
 * access method, the batch all rows, the concurrency the processes that built.
 */
static inline double
VrIndexBuildWork(double rows, int m, int ef_construction)
{
	return ef_construction / 64.0 * sqrt(m / 16.0) *
		   (log(rows > 2 ? rows : 2) / log(100000));
}

/*
 * Records one batch. Never throws for reasons of its own, writes nothing on a
 * standby, in a read-only transaction, in parallel mode, or when
 * vecrecall.planner is off.
 */
typedef void (*VrRecordBatchHook)(const VrBatchObservation *observation);

/*
 * The batch size planned for items of dim within budget_bytes (0 for work_mem),
 * or 0 if the planner has no opinion. Never throws, writes nothing.
 */
typedef int64 (*VrPlanSizeHook)(const char *op, const char *target, int dim,
								int64 items, int64 budget_bytes);

extern VrRecordBatchHook vr_record_batch_hook;
extern VrPlanSizeHook vr_plan_size_hook;

static inline void
VrRecordBatch(const VrBatchObservation *observation)
{
	if (vr_record_batch_hook != NULL)
		vr_record_batch_hook(observation);
}

static inline int64
VrPlanSize(const char *op, const char *target, int dim, int64 items,
		   int64 budget_bytes)
{
	if (vr_plan_size_hook == NULL)
		return 0;
	return vr_plan_size_hook(op, target, dim, items, budget_bytes);
}

#endif /* VR_RECORD_H */
