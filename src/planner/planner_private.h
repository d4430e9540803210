/*
 * planner_private.h
 *		What the files of src/planner that know the server share: settings, the
 *		tables, requests. planner_model.h is the part that does not.
 */
#ifndef VR_PLANNER_PRIVATE_H
#define VR_PLANNER_PRIVATE_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/jsonb.h"

#include "planner/planner_model.h"

/* planner_settings.c */

typedef enum VrPlannerMode
{
	VR_PLANNER_OFF,
	VR_PLANNER_ON,
	VR_PLANNER_RECORD_ONLY
} VrPlannerMode;

typedef enum VrAuditMode
{
	VR_AUDIT_OFF,
	VR_AUDIT_CHANGES,
	VR_AUDIT_ALL
} VrAuditMode;

extern int vr_planner_mode;
extern double vr_planner_explore_fraction;
extern int vr_planner_history_limit;
extern int vr_planner_audit;

extern bool VrPlannerMayWrite(void);
extern int VrPlannerCores(void);
extern double VrPlannerCacheBytes(void);

/* planner_store.c: the tables, always as their owner */

typedef struct VrPlannerSession
{
	Oid owner;
	Oid saved_user;
	int saved_context;
	bool pushed_snapshot;
} VrPlannerSession;

/* Times of planning, in quarter octaves from one microsecond on. */
#define VR_STATS_BINS 64
typedef struct VrPlannerStats
{
	double sources[VR_SOURCE_COUNT];
	double times[VR_STATS_BINS];
} VrPlannerStats;

#define VR_STATS_DOUBLES ((int) (sizeof(VrPlannerStats) / sizeof(double)))

/* One row of planner_state. */
typedef struct VrPlannerCell
{
	int bucket;    /* of dimensions */
	int64 updated; /* TimestampTz, 0 if not stored */
	VrModel model;
	VrPlannerStats stats;
	bool changed;
} VrPlannerCell;

/* All that is known about one (operation, target). */
typedef struct VrPlannerState
{
	VrCeiling ceiling;
	bool ceiling_changed;
	int count;
	VrPlannerCell *cells;
} VrPlannerState;

/* One row of batch_history. */
typedef struct VrPlannerRecord
{
	VrPlannerOp op;
	const char *target;
	int dim;
	int64 batch;
	int concurrency;
	int64 rows;
	double elapsed_ms;
	bool ok;
	int64 tokens;    /* 0: none or unknown */
	int64 mem_bytes; /* 0: unknown */
	char sqlstate[6];
	int64 plan_id; /* 0: none */
	double slo_ms; /* 0: none */
	double work;   /* 0: as usual */
	bool pending;  /* not yet in planner_state */
	int64 id;
} VrPlannerRecord;

typedef enum VrPlannerQuery
{
	VR_QUERY_READ_STATE,
	VR_QUERY_STATE_TARGETS,
	VR_QUERY_WRITE_STATE,
	VR_QUERY_INSERT_HISTORY,
	VR_QUERY_READ_PENDING,
	VR_QUERY_CLEAR_PENDING,
	VR_QUERY_TRIM_HISTORY,
	VR_QUERY_AUDIT,
	VR_QUERY_TARGETS,
	VR_QUERY_READ_HISTORY,
	VR_QUERY_READ_ALL_HISTORY,
	VR_QUERY_CLEAR_ALL_PENDING,
	VR_QUERY_RESET_STATE,
	VR_QUERY_RESET_HISTORY,
	VR_QUERY_JOB_READ,
	VR_QUERY_JOB_START,
	VR_QUERY_JOB_STEP,
	VR_QUERY_JOB_END
} VrPlannerQuery;

#define VR_QUERY_COUNT (VR_QUERY_JOB_END + 1)

extern bool VrPlannerExists(void);
extern void VrPlannerEnter(VrPlannerSession *session);
extern void VrPlannerLeave(VrPlannerSession *session);
extern uint64 VrPlannerExecute(VrPlannerQuery query, Datum *args,
							   const char *nulls, bool read_only);
extern bool VrPlannerLock(const char *op, const char *target, bool wait);
struct LOCKTAG;
extern bool VrPlannerLockJob(const char *job, struct LOCKTAG *tag);
extern void VrPlannerReadState(const char *op, const char *target, bool latest,
							   VrPlannerState *state);
extern void VrPlannerWriteState(const char *op, const char *target,
								VrPlannerState *state);
extern VrPlannerCell *VrPlannerGetCell(VrPlannerState *state, int bucket,
									   bool create);
extern void VrPlannerPool(const VrPlannerState *state, int bucket,
						  VrModel *pool);
extern void VrPlannerReadRecord(HeapTuple tuple, TupleDesc desc,
								VrPlannerRecord *record);
extern void VrPlannerAudit(VrAuditMode level, const char *action,
						   const char *op, const char *target,
						   const char *detail);

/* planner_record.c */

extern double VrRecordSeconds(const VrPlannerRecord *record);
extern void VrPlannerFold(VrPlannerState *state, const VrPlannerRecord *record);
extern int64 VrPlannerStore(VrPlannerRecord *record);

/* planner_stats.c */

extern void VrStatsCount(VrPlannerOp op, const char *target, int dim,
						 VrPlannerSource source, double microseconds);
extern void VrStatsTake(VrPlannerOp op, const char *target,
						VrPlannerState *state);

/* planner_request.c */

typedef struct VrPlannerRequest
{
	VrPlannerOp op;
	const char *target;
	VrPlannerGoal goal;
	VrShape shape;
	VrPlanCaps caps;
	bool explore;
	bool seeded;
	uint64 seed;
} VrPlannerRequest;

extern VrPlannerOp VrRequestOp(const char *name);
extern VrPlannerOp VrRequestBatchOp(const char *name);
extern VrPlannerGoal VrRequestGoal(const char *name);
extern int VrRequestDim(int64 dim);
extern char *VrRequestText(FunctionCallInfo fcinfo, int arg, const char *name);
extern void VrRequestInit(VrPlannerRequest *request, VrPlannerOp op,
						  const char *target, int dim);
extern void VrRequestResources(VrPlannerRequest *request, Jsonb *resources,
							   const char *what);
extern void VrRequestLimits(VrPlannerRequest *request, Jsonb *limits);

/* A key of a request, with where its number goes. */
typedef struct VrRequestKey
{
	const char *name;
	double *value;
	double minimum;
	bool whole;
} VrRequestKey;

extern void VrRequestNumbers(Jsonb *object, const char *what,
							 const VrRequestKey *keys, int count);

/* planner_sql.c */

/* What is known for a request. */
typedef struct VrPlannerKnowledge
{
	VrFit fit;
	VrModel own;
	double pooled; /* observations of other dimensions that were used */
} VrPlannerKnowledge;

extern void VrPlannerKnow(VrPlannerRequest *request, VrPlannerKnowledge *known);
extern void VrPlannerPlan(VrPlannerRequest *request, VrPlan *plan);

#endif /* VR_PLANNER_PRIVATE_H */
