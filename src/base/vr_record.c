/*
 * vr_record.c
 *		The hooks of vr_record.h. They live here and not in src/planner because
 *		the folders that call them are below the planner's.
 */
#include "postgres.h"

#include "base/vr_record.h"

VrRecordBatchHook vr_record_batch_hook = NULL;
VrPlanSizeHook vr_plan_size_hook = NULL;
