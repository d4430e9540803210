/*
 * planner_evaluate.c
 *		planner_evaluate: would the plans have been right?
 *
 * The history is split in time. Models learn from the older part; the newer one
 * is grouped by operation, target, dimension and number of workers, and a group
 * counts if at least four sizes of batch were measured in it. A method is right
 * about a group if the measured throughput of the size nearest to its own is
 * within the tolerance of the best measured one. The throughput of a size is that
 * of its median time: one batch that had to wait for something else says
 * nothing about the size.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "base/vr_compat.h"
#include "planner/planner_private.h"

/* Sizes that a group needs, and the most that are told apart. */
#define MIN_SIZES 4
#define MAX_SIZES 256

typedef enum EvaluateMethod
{
	METHOD_PLANNER,
	METHOD_FIXED,   /* always a hundred */
	METHOD_BIGGEST, /* the biggest that was tried */
	METHOD_LAST,    /* what was best in the older part */
	METHOD_COUNT
} EvaluateMethod;

static const char *const evaluate_names[METHOD_COUNT] = {
	"planner", "fixed_100", "biggest", "last_best"};

/* The times of one size, in the older and in the newer part. */
typedef struct EvaluateSize
{
	int64 batch;
	int count[2];
	int room[2];
	double *seconds[2];
	double rate[2]; /* once all are known, 0 if there are none */
} EvaluateSize;

typedef struct EvaluateGroup
{
	VrPlannerOp op;
	const char *target;
	int dim;
	int concurrency;
	int count;
	EvaluateSize *sizes;
} EvaluateGroup;

typedef struct EvaluateScore
{
	int64 correct;
	double regret;
} EvaluateScore;

typedef struct EvaluateState
{
	VrPlannerOp op;
	const char *target;
	VrPlannerState state;
} EvaluateState;

static VrPlannerState *
evaluate_state(List **states, const VrPlannerRecord *record)
{
	ListCell *lc;
	EvaluateState *entry;

	foreach (lc, *states)
	{
		entry = lfirst(lc);
		if (entry->op == record->op &&
			strcmp(entry->target, record->target) == 0)
			return &entry->state;
	}
	entry = palloc0(sizeof(EvaluateState));
	entry->op = record->op;
	entry->target = record->target;
	entry->state.cells = palloc(sizeof(VrPlannerCell));
	*states = lappend(*states, entry);
	return &entry->state;
}

/* Counts a batch that went well for its group. */
static void
evaluate_count(List **groups, const VrPlannerRecord *record, int part)
{
	EvaluateGroup *group = NULL;
	EvaluateSize *size = NULL;
	ListCell *lc;

	foreach (lc, *groups)
	{
		EvaluateGroup *g = lfirst(lc);

		if (g->op == record->op && g->dim == record->dim &&
			g->concurrency == record->concurrency &&
			strcmp(g->target, record->target) == 0)
		{
			group = g;
			break;
		}
	}
	if (group == NULL)
	{
		group = palloc0(sizeof(EvaluateGroup));
		group->op = record->op;
		group->target = record->target;
		group->dim = record->dim;
		group->concurrency = record->concurrency;
		group->sizes = palloc0(MAX_SIZES * sizeof(EvaluateSize));
		*groups = lappend(*groups, group);
	}
	for (int i = 0; i < group->count; i++)
		if (group->sizes[i].batch == record->rows)
			size = &group->sizes[i];
	if (size == NULL)
	{
		if (group->count == MAX_SIZES)
			return;
		size = &group->sizes[group->count++];
		size->batch = record->rows;
	}
	if (size->count[part] == size->room[part])
	{
		double *more;

		size->room[part] = Max(size->room[part] * 2, 8);
		more = palloc(size->room[part] * sizeof(double));
		if (size->count[part] > 0)
			memcpy(more, size->seconds[part],
				   size->count[part] * sizeof(double));
		size->seconds[part] = more;
	}
	size->seconds[part][size->count[part]++] = VrRecordSeconds(record);
}

static int
evaluate_compare(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Throughput of each size, by its median time. */
static void
evaluate_rates(EvaluateGroup *group)
{
	for (int i = 0; i < group->count; i++)
		for (int part = 0; part < 2; part++)
		{
			EvaluateSize *size = &group->sizes[i];
			int n = size->count[part];
			double median;

			if (n == 0)
				continue;
			qsort(size->seconds[part], n, sizeof(double), evaluate_compare);
			median = (size->seconds[part][(n - 1) / 2] +
					  size->seconds[part][n / 2]) /
					 2;
			size->rate[part] = size->batch / Max(median, 1e-9);
		}
}

/* Newer throughput at the measured size nearest to batch, by ratio. */
static double
evaluate_nearest(const EvaluateGroup *group, double batch)
{
	double distance = INFINITY;
	double rate = 0;

	for (int i = 0; i < group->count; i++)
	{
		double d = fabs(log(group->sizes[i].batch / Max(batch, 1)));

		if (group->sizes[i].count[1] > 0 && d < distance)
		{
			distance = d;
			rate = group->sizes[i].rate[1];
		}
	}
	return rate;
}

/* What the planner, with what it knows, would say about the group. */
static double
evaluate_plan(List *states, const EvaluateGroup *group)
{
	VrPlannerRecord key = {0};
	VrPlannerRequest request;
	VrPlannerState *state;
	VrPlannerCell *cell;
	VrModel own;
	VrModel pool;
	VrFit fit;
	VrPlan plan;

	key.op = group->op;
	key.target = group->target;
	state = evaluate_state(&states, &key);
	cell = VrPlannerGetCell(state, VrDimBucket(group->dim), false);
	if (cell != NULL)
		own = cell->model;
	else
		VrModelInit(&own);
	VrPlannerPool(state, VrDimBucket(group->dim), &pool);
	VrRequestInit(&request, group->op, group->target, group->dim);
	request.caps.memory = 1e15;
	request.caps.concurrency = group->concurrency;
	VrModelFit(group->op, &own, &pool, &fit);
	VrPlanChoose(&fit, &own, &request.shape, VR_GOAL_THROUGHPUT, &request.caps,
				 &plan);
	return (double) plan.batch;
}

static void
evaluate_group(List *states, const EvaluateGroup *group, double tolerance,
			   EvaluateScore *scores)
{
	double choice[METHOD_COUNT] = {0};
	double best = 0;
	double best_older = 0;

	choice[METHOD_PLANNER] = evaluate_plan(states, group);
	choice[METHOD_FIXED] = choice[METHOD_LAST] = 100;
	for (int i = 0; i < group->count; i++)
	{
		const EvaluateSize *size = &group->sizes[i];

		best = Max(best, size->rate[1]);
		choice[METHOD_BIGGEST] =
			Max(choice[METHOD_BIGGEST], (double) size->batch);
		if (size->rate[0] > best_older)
		{
			best_older = size->rate[0];
			choice[METHOD_LAST] = (double) size->batch;
		}
	}
	for (int m = 0; m < METHOD_COUNT; m++)
	{
		double rate = evaluate_nearest(group, choice[m]);

		scores[m].correct += rate >= (1 - tolerance) * best;
		scores[m].regret += 1 - rate / best;
	}
}

static bool
evaluate_counts(const EvaluateGroup *group)
{
	int sizes = 0;

	for (int i = 0; i < group->count; i++)
		sizes += group->sizes[i].count[1] > 0;
	return sizes >= MIN_SIZES;
}

static double
evaluate_fraction(FunctionCallInfo fcinfo, int arg, const char *name)
{
	double fraction;

	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
	fraction = PG_GETARG_FLOAT8(arg);
	if (!(fraction > 0 && fraction < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" must be between 0 and 1, both excluded, not %g",
						name, fraction)));
	return fraction;
}

PG_FUNCTION_INFO_V1(vr_planner_evaluate);

/*
 * planner_evaluate(holdout, tolerance): one row per method, the planner first.
 * Ratios are NULL where no group counts.
 */
Datum
vr_planner_evaluate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	double holdout = evaluate_fraction(fcinfo, 0, "holdout");
	double tolerance = evaluate_fraction(fcinfo, 1, "tolerance");
	EvaluateScore scores[METHOD_COUNT] = {{0}};
	VrPlannerSession session;
	List *states = NIL;
	List *groups = NIL;
	ListCell *lc;
	uint64 rows;
	uint64 split;
	int64 counted = 0;
	int64 predicted = 0;
	double error = 0;

	InitMaterializedSRF(fcinfo, 0);
	VrPlannerEnter(&session);
	rows = VrPlannerExecute(VR_QUERY_READ_ALL_HISTORY, NULL, NULL, true);
	split = (uint64) ((1 - holdout) * rows);
	for (uint64 i = 0; i < rows; i++)
	{
		VrPlannerRecord record;
		VrPlannerState *state;

		CHECK_FOR_INTERRUPTS();
		VrPlannerReadRecord(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
							&record);
		state = evaluate_state(&states, &record);
		if (i < split)
			VrPlannerFold(state, &record);
		if (!record.ok || record.rows < 1)
			continue;
		evaluate_count(&groups, &record, i >= split);
		if (i >= split && record.elapsed_ms > 0)
		{
			VrPlannerCell *cell =
				VrPlannerGetCell(state, VrDimBucket(record.dim), true);
			VrShape shape = {0};
			VrModel pool;
			VrFit fit;

			shape.dim = record.dim;
			shape.work = record.work;
			shape.cache_bytes = VrPlannerCacheBytes();
			shape.tokens_per_row = record.tokens / (double) record.rows;
			VrPlannerPool(state, cell->bucket, &pool);
			VrModelFit(record.op, &cell->model, &pool, &fit);
			error += fabs(
				VrFitSeconds(&fit, &shape, record.rows, record.concurrency) /
					Max(VrRecordSeconds(&record), 1e-9) -
				1);
			predicted++;
		}
	}
	foreach (lc, groups)
	{
		if (!evaluate_counts(lfirst(lc)))
			continue;
		evaluate_rates(lfirst(lc));
		evaluate_group(states, lfirst(lc), tolerance, scores);
		counted++;
	}
	for (int m = 0; m < METHOD_COUNT; m++)
	{
		Datum values[6];
		bool nulls[6] = {false};

		values[0] = CStringGetTextDatum(evaluate_names[m]);
		values[1] = Int64GetDatum(counted);
		values[2] = Int64GetDatum(scores[m].correct);
		values[3] = Float8GetDatum(scores[m].correct / (double) counted);
		values[4] = Float8GetDatum(scores[m].regret / counted);
		values[5] = Float8GetDatum(error / predicted);
		nulls[3] = nulls[4] = counted == 0;
		nulls[5] = m != METHOD_PLANNER || predicted == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	VrPlannerLeave(&session);
	return (Datum) 0;
}
