/*
 * planner_hooks.h
 *		The two functions behind the hooks of base/vr_record.h.
 */
#ifndef VR_PLANNER_HOOKS_H
#define VR_PLANNER_HOOKS_H

#include "base/vr_record.h"

extern void VrPlannerRecordHook(const VrBatchObservation *observation);
extern int64 VrPlannerSizeHook(const char *op, const char *target, int dim,
							   int64 items, int64 budget_bytes);

#endif /* VR_PLANNER_HOOKS_H */
