/*
 * planner_settings.c
 *		Settings, hooks, and what the planner assumes of the machine.
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/jsonb.h"

#include "base/vr_record.h"
#include "planner/planner.h"
#include "planner/planner_hooks.h"
#include "planner/planner_private.h"

int vr_planner_mode = VR_PLANNER_ON;
double vr_planner_explore_fraction = 0.05;
int vr_planner_history_limit = 100000;
int vr_planner_audit = VR_AUDIT_CHANGES;

/* Second-level cache of a core where the system does not tell. */
#define DEFAULT_CACHE_BYTES (1024.0 * 1024.0)

static const struct config_enum_entry settings_mode[] = {
	{"off", VR_PLANNER_OFF, false},
	{"on", VR_PLANNER_ON, false},
	{"record_only", VR_PLANNER_RECORD_ONLY, false},
	{NULL, 0, false}};

static const struct config_enum_entry settings_audit[] = {
	{"off", VR_AUDIT_OFF, false},
	{"changes", VR_AUDIT_CHANGES, false},
	{"all", VR_AUDIT_ALL, false},
	{NULL, 0, false}};

void
VrPlannerInit(void)
{
	DefineCustomEnumVariable(
		"vecrecall.planner",
		"Whether batches are recorded, and plans made from what was recorded.",
		"\"record_only\" records, but plans from what is shipped; \"off\" does "
		"neither.",
		&vr_planner_mode, VR_PLANNER_ON, settings_mode, PGC_USERSET, 0, NULL,
		NULL, NULL);
	DefineCustomRealVariable(
		"vecrecall.planner_explore_fraction",
		"Share of the plans that try another batch size than the best known.",
		"Only plans that were asked to explore do.",
		&vr_planner_explore_fraction, 0.05, 0, 1, PGC_USERSET, 0, NULL, NULL,
		NULL);
	DefineCustomIntVariable("vecrecall.planner_history_limit",
							"Rows that vecrecall.batch_history is kept to.",
							"Zero keeps all of them.",
							&vr_planner_history_limit, 100000, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"vecrecall.audit", "What vecrecall.audit_log is told.",
		"\"changes\" is training, resets, ceilings and jobs; \"all\" adds each "
		"plan and each batch.",
		&vr_planner_audit, VR_AUDIT_CHANGES, settings_audit, PGC_SUSET, 0, NULL,
		NULL, NULL);

	vr_record_batch_hook = VrPlannerRecordHook;
	vr_plan_size_hook = VrPlannerSizeHook;
}

/*
 * Whether a batch may be recorded now. Where not, nobody is told: planning must
 * work, and work that would be recorded must go on, on a standby as well.
 */
bool
VrPlannerMayWrite(void)
{
	return !RecoveryInProgress() && !XactReadOnly && !IsInParallelMode();
}

/* Cores of the machine. */
int
VrPlannerCores(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < 1 ? 1 : (int) Min(cores, 65536);
}

/* Second-level cache of a core. */
double
VrPlannerCacheBytes(void)
{
	long bytes = -1;

#ifdef _SC_LEVEL2_CACHE_SIZE
	bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
	return bytes > 0 ? (double) bytes : DEFAULT_CACHE_BYTES;
}
