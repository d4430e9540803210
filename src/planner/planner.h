/*
 * planner.h
 *		What the rest of the extension may call of the planner.
 *
 * Folders below it record batches and ask for sizes through the hooks of
 * base/vr_record.h, which VrPlannerInit sets.
 */
#ifndef VR_PLANNER_H
#define VR_PLANNER_H

/* Defines the settings and sets the hooks. Called once, at load. */
extern void VrPlannerInit(void);

#endif /* VR_PLANNER_H */
