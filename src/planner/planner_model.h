/*
 * planner_model.h
 *		The cost model and the choice rule: arithmetic on small structs.
 *
 * Nothing here knows the server: planner_ops.c, planner_model.c and
 * planner_choose.c include "c.h" and the C library only, keep no state, do not
 * allocate and do not fail. README.md has the formulas and their reasons.
 */
#ifndef VR_PLANNER_MODEL_H
#define VR_PLANNER_MODEL_H

typedef enum VrPlannerOp
{
	VR_OP_COPY,
	VR_OP_INSERT,
	VR_OP_EMBED_HTTP,
	VR_OP_EMBED_LOCAL,
	VR_OP_KNN_EXACT,
	VR_OP_INDEX_BUILD,
	VR_OP_TRAIN
} VrPlannerOp;

#define VR_OP_COUNT (VR_OP_TRAIN + 1)

typedef enum VrPlannerGoal
{
	VR_GOAL_THROUGHPUT,
	VR_GOAL_LATENCY,
	VR_GOAL_MEMORY,
	VR_GOAL_COST
} VrPlannerGoal;

#define VR_GOAL_COUNT (VR_GOAL_COST + 1)

/* What keeps the batch from being bigger. */
typedef enum VrPlannerBound
{
	VR_BOUND_KNEE,
	VR_BOUND_MEMORY,
	VR_BOUND_LATENCY,
	VR_BOUND_PROVIDER,
	VR_BOUND_TOKENS,
	VR_BOUND_ITEMS,
	VR_BOUND_LEASE,
	VR_BOUND_CEILING,
	VR_BOUND_GROWTH
} VrPlannerBound;

#define VR_BOUND_COUNT (VR_BOUND_GROWTH + 1)

typedef enum VrPlannerSource
{
	VR_SOURCE_PRIOR,
	VR_SOURCE_MODEL,
	VR_SOURCE_EXPLORE,
	VR_SOURCE_CEILING
} VrPlannerSource;

#define VR_SOURCE_COUNT (VR_SOURCE_CEILING + 1)

/* Coefficients of the time of one batch, in seconds, all >= 0. */
#define VR_COEF_BATCH 0 /* once per batch */
#define VR_COEF_ROW 1   /* per row */
#define VR_COEF_DIM 2   /* per row and dimension */
#define VR_COEF_TOKEN 3 /* per token */
#define VR_COEF_SPILL 4 /* per row, if the working set leaves the cache */
#define VR_COEFS 5
#define VR_COEF_TRIANGLE (VR_COEFS * (VR_COEFS + 1) / 2)

/* Bins of log(actual / predicted), over a factor 8 to either side. */
#define VR_TAIL_BINS 64

/* Sizes of batch that are told apart: powers of two, the last and all above. */
#define VR_LOCAL_BINS 21

/* What is shipped about an operation. */
typedef struct VrOpTraits
{
	const char *name;
	double prior[VR_COEFS];
	double sigma;        /* contention, prior of the scalability law */
	double kappa;        /* coherence, likewise */
	double mem_batch;    /* bytes per batch */
	double mem_row;      /* bytes per row */
	double mem_dim;      /* bytes per row and dimension */
	int64 max_batch;     /* the operation's own cap */
	int max_concurrency; /* cap where cores are not one */
	bool cpu_bound;      /* more workers than cores gain nothing */
	bool tiled;          /* has a working set that wants to stay in cache */
} VrOpTraits;

/*
 * What is learned about one (operation, target, dimension bucket). All fields
 * are doubles, because it is stored as a float8[] of this layout; a change of
 * layout is a change of VR_MODEL_LAYOUT.
 */
typedef struct VrModel
{
	double layout;
	double count;                  /* observations, never forgotten */
	double weight;                 /* the same, with forgetting */
	double info[VR_COEF_TRIANGLE]; /* sum of w x x', lower triangle */
	double moment[VR_COEFS];       /* sum of w x y */
	double usl_info[3];            /* the same for sigma and kappa */
	double usl_moment[2];
	double usl_weight;
	double noise;              /* mean |log(actual / predicted)| */
	double drift;              /* mean standardised residual, recent */
	double tail[VR_TAIL_BINS]; /* histogram of actual / predicted */
	double tail_weight;
	double error;  /* mean |actual - predicted| / actual */
	double regret; /* mean throughput given away */
	double tokens_per_row;
	double mem_ratio;   /* worst actual / shipped memory, decaying */
	double biggest_ok;  /* largest batch that went well */
	double smallest_ok; /* and the smallest */
	double failures;
	/* mean log(actual / what the coefficients say) of batches about that size */
	double local[VR_LOCAL_BINS];
	double local_weight[VR_LOCAL_BINS];
	double local_outlier[VR_LOCAL_BINS]; /* side of the last one, if it was */
} VrModel;

#define VR_MODEL_LAYOUT 2
#define VR_MODEL_DOUBLES ((int) (sizeof(VrModel) / sizeof(double)))

/* A model solved for its coefficients; made anew for every plan. */
typedef struct VrFit
{
	const VrOpTraits *traits;
	double coef[VR_COEFS];
	double chol[VR_COEF_TRIANGLE]; /* Cholesky factor of the precision */
	double sigma;
	double kappa;
	double usl_var[3]; /* covariance of sigma and kappa */
	double noise;      /* relative standard deviation of one batch */
	double r95;        /* 95th percentile of actual / predicted */
	double tokens_per_row;
	double mem_ratio;
	double count;                /* own and borrowed observations that count */
	double local[VR_LOCAL_BINS]; /* what to multiply a time with, by size */
} VrFit;

/* What the time of a batch depends on besides its size. */
typedef struct VrShape
{
	int dim;
	double tokens_per_row; /* 0 for the learned mean */
	double work;           /* relative work per row, 0 for 1 */
	double cache_bytes;    /* L2 of the machine */
} VrShape;

typedef struct VrOutcome
{
	int64 batch;
	int concurrency;
	double seconds;
	double tokens;    /* 0 if none or unknown */
	double mem_bytes; /* 0 if unknown */
} VrOutcome;

/* AIMD guard of one (operation, target); 0 means no ceiling. */
typedef struct VrCeiling
{
	int64 batch;
	int concurrency;
	int clean; /* batches near the ceiling since it last moved */
} VrCeiling;

typedef enum VrBatchEvent
{
	VR_EVENT_OK,
	VR_EVENT_TOO_BIG,      /* timed out, too large, out of memory */
	VR_EVENT_SLOW,         /* done, but past its objective */
	VR_EVENT_RATE_LIMITED, /* refused for the rate, not for the size */
	VR_EVENT_FAILED        /* failed for a reason that size does not change */
} VrBatchEvent;

/* Limits of a plan; 0 means none. */
typedef struct VrPlanCaps
{
	int64 items;
	int64 max_batch;
	double max_tokens;
	double max_bytes; /* payload of one batch */
	double slo;       /* seconds, on the 95th percentile */
	double lease;     /* seconds; a batch may take a third of it */
	double memory;    /* bytes, over all workers; must be set */
	int cores;        /* must be set */
	int max_concurrency;
	int concurrency; /* not to be planned, but given; 0 otherwise */
	double max_rate; /* rows per second that the disk takes */
	VrCeiling ceiling;
} VrPlanCaps;

typedef enum VrPlanStatus
{
	VR_PLAN_OK,
	VR_PLAN_NO_MEMORY, /* not even one row fits the memory */
	VR_PLAN_NO_TOKENS, /* one row has more tokens than a batch may */
	VR_PLAN_NO_BYTES   /* one row has more bytes than a batch may */
} VrPlanStatus;

typedef struct VrPlan
{
	VrPlanStatus status;
	int64 batch;
	int64 batches;
	int concurrency;
	double seconds;       /* of one batch */
	double p95;           /* of one batch */
	double total_seconds; /* of all items */
	double rows_per_second;
	double mem_bytes; /* over all workers */
	double row_bytes;
	VrPlannerBound bound;
	VrPlannerSource source;
	double confidence; /* 0 know nothing .. 1 */
	double knee;       /* the knee were there no cap at all */
	bool objective_met;
} VrPlan;

/* Deterministic random numbers, so that an exploring plan can be repeated. */
typedef struct VrRandom
{
	uint64 state;
} VrRandom;

/* planner_ops.c */
extern const VrOpTraits vr_op_traits[VR_OP_COUNT];
extern const char *const vr_goal_names[VR_GOAL_COUNT];
extern const char *const vr_bound_names[VR_BOUND_COUNT];
extern const char *const vr_source_names[VR_SOURCE_COUNT];
extern int VrOpLookup(const char *name);
extern int VrGoalLookup(const char *name);
extern int VrDimBucket(int dim);
extern VrBatchEvent VrEventFromState(const char *state);

/* planner_model.c */
extern void VrModelInit(VrModel *model);
extern void VrModelPool(VrModel *pool, const VrModel *other);
extern void VrModelFit(VrPlannerOp op, const VrModel *own, const VrModel *pool,
					   VrFit *fit);
extern void VrModelFold(VrPlannerOp op, VrModel *own, const VrModel *pool,
						const VrShape *shape, const VrOutcome *outcome);
extern double VrFitSeconds(const VrFit *fit, const VrShape *shape, double batch,
						   int concurrency);
extern double VrFitVariance(const VrFit *fit, const VrShape *shape,
							double batch, int concurrency);
extern double VrFitKneeSpread(const VrFit *fit, const VrShape *shape,
							  double batch);
extern void VrFitDraw(const VrFit *fit, VrRandom *random, VrFit *drawn);
extern bool VrModelYoung(const VrModel *model);
extern bool VrModelUnsettled(const VrModel *model);
extern double VrModelTail(const VrModel *model, double quantile);
extern void VrRandomSeed(VrRandom *random, uint64 seed);
extern double VrRandomUniform(VrRandom *random);
extern double VrRandomNormal(VrRandom *random);

/* planner_choose.c */
extern void VrPlanChoose(const VrFit *fit, const VrModel *own,
						 const VrShape *shape, VrPlannerGoal goal,
						 const VrPlanCaps *caps, VrPlan *plan);
extern void VrPlanConcurrency(const VrFit *fit, const VrModel *own,
							  const VrShape *shape, const VrPlanCaps *caps,
							  int64 batch, VrPlan *plan);
extern void VrPlanExplore(const VrFit *fit, const VrModel *own,
						  const VrShape *shape, VrPlannerGoal goal,
						  const VrPlanCaps *caps, VrRandom *random,
						  VrPlan *plan);
extern bool VrPlanWantsExplore(const VrModel *own, double fraction,
							   VrRandom *random);
extern bool VrCeilingMove(VrCeiling *ceiling, int64 batch, int concurrency,
						  VrBatchEvent event);

#endif /* VR_PLANNER_MODEL_H */
