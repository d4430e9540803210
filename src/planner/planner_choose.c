/*
 * planner_choose.c
 *		From what is known about the time of a batch to the batch to use:
 *		the knee rule, caps, exploration, and the ceiling that failures leave.
 *
 * Throughput rises with the batch towards an asymptote, so the best batch is
 * not the fastest one but the smallest that is nearly as fast: it needs less
 * memory, answers sooner, loses less when it fails, and hardly moves when the
 * coefficients are a little wrong.
 */
#include "c.h"

#include <math.h>
#include <string.h>

#include "planner/planner_model.h"

/* Share of the best feasible throughput that a plan must reach, by goal. */
static const double choose_share[VR_GOAL_COUNT] = {0.95, 0.5, 0.8, 0.95};

/* The same for the number of workers alone. */
#define CONCURRENCY_SHARE 0.975

/* Steps of the grid per doubling of the batch. */
#define GRID_STEPS 4

#define MAX_CONCURRENCY 1024

/* A batch may grow by this factor over the largest that went well. */
#define GROWTH 2

/* How often an unsettled cell tries twice the batch instead of less. */
#define UPWARD_SHARE 0.75

/* An uncertain knee is exceeded by at most a factor two. */
#define MAX_LEAN 0.6931471805599453

/* Ceilings: what a failure and a miss leave, and how they are forgiven. */
#define CEILING_TOO_BIG 0.5
#define CEILING_SLOW 0.9
#define CEILING_CLEAN 20
#define CEILING_STEP 0.1

/* Relative standard deviation at which one is as sure as unsure. */
#define CONFIDENCE_HALF 0.1

/* The largest batch that may run beside n - 1 others, and why not more. */
typedef struct ChooseCap
{
	int64 batch; /* 0: not even one row may */
	VrPlannerBound bound;
} ChooseCap;

static void
choose_lower(ChooseCap *cap, double batch, VrPlannerBound bound)
{
	if (batch < (double) cap->batch)
	{
		cap->batch = batch < 1 ? 0 : (int64) batch;
		cap->bound = bound;
	}
}

/*
 * The next size on the grid after batch: the powers of two, and between each and
 * the next GRID_STEPS - 1 more, rounded. Without logarithms, which would take a
 * fifth of the time of a plan.
 */
static int64
choose_next(int64 batch)
{
	static const double step[GRID_STEPS] = {
		1.189207115002721, 1.4142135623730951, 1.681792830507429, 2};
	int exponent;

	frexp((double) batch, &exponent);
	for (int i = 0; i < GRID_STEPS; i++)
	{
		int64 next = (int64) rint(ldexp(step[i], exponent - 1));

		if (next > batch)
			return next;
	}
	return batch + 1;
}

static double
choose_row_bytes(const VrFit *fit, const VrShape *shape)
{
	return fit->mem_ratio *
		   (fit->traits->mem_row + fit->traits->mem_dim * shape->dim);
}

static double
choose_memory(const VrFit *fit, const VrShape *shape, double batch, int n)
{
	return n * (fit->mem_ratio * fit->traits->mem_batch +
				batch * choose_row_bytes(fit, shape));
}

/* Seconds of a batch among n, as the disk allows. */
static double
choose_seconds(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
			   double batch, int n)
{
	double seconds = VrFitSeconds(fit, shape, batch, n);

	if (caps->max_rate > 0)
		seconds = Max(seconds, n * batch / caps->max_rate);
	return seconds;
}

/* Largest batch up to limit whose 95th percentile is within seconds. */
static int64
choose_within(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
			  int n, double seconds, int64 limit)
{
	int64 low = 0;
	int64 high = limit;

	while (low < high)
	{
		int64 middle = low + (high - low + 1) / 2;

		if (choose_seconds(fit, shape, caps, (double) middle, n) * fit->r95 <=
			seconds)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* The knee that the shipped coefficients alone give. */
static double
choose_prior_knee(const VrFit *fit, const VrShape *shape)
{
	const double *prior = fit->traits->prior;

	return 19 * prior[VR_COEF_BATCH] /
		   (prior[VR_COEF_ROW] + prior[VR_COEF_DIM] * shape->dim +
			prior[VR_COEF_TOKEN] * shape->tokens_per_row);
}

/*
 * How far a plan may go beyond what has been tried. This is no part of the caps
 * on what is feasible: a model that may double its batch should do so, not stop
 * at nearly as good as twice the batch.
 */
static ChooseCap
choose_growth(const VrFit *fit, const VrModel *own, const VrShape *shape,
			  ChooseCap cap)
{
	if (own->count > 0)
		choose_lower(&cap,
					 Max(GROWTH * own->biggest_ok,
						 Max(choose_prior_knee(fit, shape), 1)),
					 VR_BOUND_GROWTH);
	return cap;
}

/*
 * The cap for each of n workers. hard leaves out what a plan may overstep when
 * there is no other way: latency and lease.
 */
static ChooseCap
choose_cap(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
		   int n, bool hard)
{
	ChooseCap cap;
	double tokens =
		shape->tokens_per_row > 0 ? shape->tokens_per_row : fit->tokens_per_row;
	double seconds = 0;

	cap.batch = fit->traits->max_batch;
	cap.bound = VR_BOUND_PROVIDER;
	if (caps->max_batch > 0)
		choose_lower(&cap, (double) caps->max_batch, VR_BOUND_PROVIDER);
	if (caps->max_bytes > 0)
		choose_lower(&cap, caps->max_bytes / (4.0 * shape->dim + 16),
					 VR_BOUND_PROVIDER);
	if (caps->max_tokens > 0 && tokens > 0)
		choose_lower(&cap, caps->max_tokens / tokens, VR_BOUND_TOKENS);
	if (caps->items > 0)
		choose_lower(&cap, ceil((double) caps->items / n), VR_BOUND_ITEMS);
	choose_lower(&cap,
				 (caps->memory / n - fit->mem_ratio * fit->traits->mem_batch) /
					 choose_row_bytes(fit, shape),
				 VR_BOUND_MEMORY);
	if (hard)
		return cap;

	if (caps->ceiling.batch > 0)
		choose_lower(&cap, (double) caps->ceiling.batch, VR_BOUND_CEILING);
	if (caps->slo > 0)
		seconds = caps->slo;
	if (seconds > 0 && cap.batch > 0)
		choose_lower(
			&cap,
			(double) choose_within(fit, shape, caps, n, seconds, cap.batch),
			VR_BOUND_LATENCY);
	if (caps->lease > 0 && cap.batch > 0)
		choose_lower(&cap,
					 (double) choose_within(fit, shape, caps, n,
											caps->lease / 3, cap.batch),
					 VR_BOUND_LEASE);
	return cap;
}

/*
 * Whether such a batch would miss its objective. Larger ones need not: from some
 * size on an operation may take another way.
 */
static bool
choose_late(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
			int64 batch, int n)
{
	double p95;

	if (caps->slo <= 0 && caps->lease <= 0)
		return false;
	p95 = choose_seconds(fit, shape, caps, (double) batch, n) * fit->r95;
	return (caps->slo > 0 && p95 > caps->slo) ||
		   (caps->lease > 0 && p95 > caps->lease / 3);
}

/* The largest batch, down from this in halves, that is not late; at least 1. */
static int64
choose_in_time(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
			   int64 batch, int n)
{
	while (batch > 1 && choose_late(fit, shape, caps, batch, n))
		batch /= 2;
	return Max(batch, 1);
}

/* Rows per second of n workers with such batches. */
static double
choose_rate(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
			int64 batch, int n)
{
	return n * (double) batch /
		   choose_seconds(fit, shape, caps, (double) batch, n);
}

/* The same as far as it is feasible: 0 where the batch would be late. */
static double
choose_value(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
			 int64 batch, int n)
{
	return choose_late(fit, shape, caps, batch, n)
			   ? 0
			   : choose_rate(fit, shape, caps, batch, n);
}

/* Best rate of n workers, over the grid up to cap. */
static double
choose_best_rate(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
				 int64 cap, int n)
{
	double best = choose_value(fit, shape, caps, cap, n);

	for (int64 batch = 1; batch < cap; batch = choose_next(batch))
		best = Max(best, choose_value(fit, shape, caps, batch, n));
	return best;
}

/* Smallest batch on the grid that gives n workers such a rate, else cap. */
static int64
choose_smallest(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
				int64 cap, int n, double rate)
{
	int64 batch = 1;

	while (batch < cap && choose_value(fit, shape, caps, batch, n) < rate)
		batch = choose_next(batch);
	return Min(batch, cap);
}

/* Most workers that may be considered. */
static int
choose_max_workers(const VrFit *fit, const VrPlanCaps *caps)
{
	int most;

	if (caps->concurrency > 0)
		return Min(caps->concurrency, MAX_CONCURRENCY);
	most = caps->max_concurrency > 0 ? caps->max_concurrency
									 : fit->traits->max_concurrency;

	if (fit->traits->cpu_bound)
		most = Min(most, Max(caps->cores, 1));
	if (caps->ceiling.concurrency > 0)
		most = Min(most, caps->ceiling.concurrency);
	if (caps->items > 0 && caps->items < most)
		most = (int) caps->items;
	return Min(Max(most, 1), MAX_CONCURRENCY);
}

/* Fills in what follows from batch and concurrency. */
static void
choose_describe(const VrFit *fit, const VrModel *own, const VrShape *shape,
				const VrPlanCaps *caps, VrPlan *plan)
{
	int n = plan->concurrency;
	double variance;

	plan->seconds = choose_seconds(fit, shape, caps, (double) plan->batch, n);
	plan->p95 = plan->seconds * fit->r95;
	plan->rows_per_second = choose_rate(fit, shape, caps, plan->batch, n);
	plan->row_bytes = choose_row_bytes(fit, shape);
	plan->mem_bytes = choose_memory(fit, shape, (double) plan->batch, n);
	if (caps->items > 0)
	{
		int64 together; /* batches that run beside n - 1 others */
		double last;

		/* The last round is of fewer or smaller batches. */
		plan->batches = (caps->items - 1) / plan->batch + 1;
		together = plan->batches - plan->batches % n;
		plan->total_seconds = together / n * plan->seconds;
		if (together < plan->batches)
		{
			last = (double) (caps->items - together * plan->batch);
			plan->total_seconds += choose_seconds(
				fit, shape, caps, Min(last, (double) plan->batch),
				(int) (plan->batches - together));
		}
		plan->rows_per_second = caps->items / plan->total_seconds;
	}
	variance = VrFitVariance(fit, shape, (double) plan->batch, n);
	plan->confidence = 1 / (1 + variance / (CONFIDENCE_HALF * CONFIDENCE_HALF));
	plan->objective_met = (caps->slo <= 0 || plan->p95 <= caps->slo) &&
						  (caps->lease <= 0 || plan->p95 <= caps->lease / 3);
	plan->source =
		own->count > 0 || fit->count > 0 ? VR_SOURCE_MODEL : VR_SOURCE_PRIOR;
}

/*
 * The number of workers with which such a rate takes the least time for a batch
 * or the least memory over all, whichever is the goal.
 */
static int
choose_cheapest(const VrFit *fit, const VrShape *shape, const VrPlanCaps *caps,
				int fewest, int most, VrPlannerGoal goal, double rate)
{
	double least = INFINITY;
	int result = fewest;

	for (int n = fewest; n <= most; n++)
	{
		int64 cap = choose_cap(fit, shape, caps, n, false).batch;
		int64 batch;
		double price;

		if (cap < 1)
			continue;
		batch = choose_smallest(fit, shape, caps, cap, n, rate);
		if (choose_value(fit, shape, caps, batch, n) < rate)
			continue;
		price = goal == VR_GOAL_MEMORY
					? choose_memory(fit, shape, batch, n)
					: choose_seconds(fit, shape, caps, batch, n);
		if (price < least)
		{
			least = price;
			result = n;
		}
	}
	return result;
}

/*
 * Chooses batch and concurrency. plan->status tells whether anything fits;
 * where it is not VR_PLAN_OK, plan->row_bytes is set and nothing else.
 */
void
VrPlanChoose(const VrFit *fit, const VrModel *own, const VrShape *shape,
			 VrPlannerGoal goal, const VrPlanCaps *caps, VrPlan *plan)
{
	double tokens =
		shape->tokens_per_row > 0 ? shape->tokens_per_row : fit->tokens_per_row;
	int most = choose_max_workers(fit, caps);
	int fewest = caps->concurrency > 0 ? most : 1;
	double best = 0;
	double rate_of[MAX_CONCURRENCY + 1];
	VrPlanCaps untimed = *caps;
	ChooseCap cap;
	int64 free_knee;

	untimed.slo = untimed.lease = 0;
	memset(plan, 0, sizeof(VrPlan));
	plan->row_bytes = choose_row_bytes(fit, shape);
	if (choose_cap(fit, shape, caps, fewest, true).batch < 1)
	{
		if (caps->max_tokens > 0 && tokens > caps->max_tokens)
			plan->status = VR_PLAN_NO_TOKENS;
		else if (caps->max_bytes > 0 && 4.0 * shape->dim + 16 > caps->max_bytes)
			plan->status = VR_PLAN_NO_BYTES;
		else
			plan->status = VR_PLAN_NO_MEMORY;
		return;
	}

	/* Workers first: the fewest that are about as good as any. */
	for (int n = fewest; n <= most; n++)
	{
		cap = choose_cap(fit, shape, caps, n, false);
		rate_of[n] = cap.batch < 1
						 ? 0
						 : choose_best_rate(fit, shape, caps, cap.batch, n);
		best = Max(best, rate_of[n]);
	}
	if (goal == VR_GOAL_LATENCY || goal == VR_GOAL_MEMORY)
		plan->concurrency = choose_cheapest(fit, shape, caps, fewest, most,
											goal, choose_share[goal] * best);
	else
	{
		plan->concurrency = fewest;
		while (plan->concurrency < most &&
			   rate_of[plan->concurrency] < CONCURRENCY_SHARE * best)
			plan->concurrency++;
	}

	cap = choose_cap(fit, shape, caps, plan->concurrency, false);
	plan->batch = Max(cap.batch, 1);
	if (goal != VR_GOAL_COST)
	{
		int64 knee =
			choose_smallest(fit, shape, caps, plan->batch, plan->concurrency,
							choose_share[goal] * best);

		/*
		 * Lean to the safe side of an uncertain knee: what is too big costs
		 * nothing that the caps do not allow, unless it was seen to.
		 */
		if (own->count > 0 && goal == VR_GOAL_THROUGHPUT)
		{
			double spread = VrFitKneeSpread(fit, shape, (double) knee);
			int64 more = (int64) rint(knee * exp(Min(spread, MAX_LEAN)));

			if (choose_value(fit, shape, caps, more, plan->concurrency) >=
				choose_value(fit, shape, caps, knee, plan->concurrency))
				knee = more;
		}
		/* No more than a step below what was tried, as in choose_growth. */
		if (goal == VR_GOAL_THROUGHPUT)
			knee = Max(knee, (int64) (own->smallest_ok / GROWTH));
		plan->batch = Min(plan->batch, knee);
	}

	/* Would it be bigger were there no caps? */
	free_knee = fit->traits->max_batch;
	if (goal != VR_GOAL_COST)
		free_knee =
			choose_smallest(fit, shape, &untimed, free_knee, plan->concurrency,
							choose_share[goal] *
								choose_best_rate(fit, shape, &untimed,
												 free_knee, plan->concurrency));
	plan->knee = (double) free_knee;
	plan->bound = free_knee > cap.batch ? cap.bound : VR_BOUND_KNEE;
	cap.batch = plan->batch;
	cap.bound = plan->bound;
	cap = choose_growth(fit, own, shape, cap);
	plan->batch =
		choose_in_time(fit, shape, caps, Max(cap.batch, 1), plan->concurrency);
	plan->bound = cap.bound;

	choose_describe(fit, own, shape, caps, plan);
	if (plan->bound == VR_BOUND_CEILING)
		plan->source = VR_SOURCE_CEILING;
}

/*
 * Chooses the number of workers for batches of a given size. As VrPlanChoose.
 */
void
VrPlanConcurrency(const VrFit *fit, const VrModel *own, const VrShape *shape,
				  const VrPlanCaps *caps, int64 batch, VrPlan *plan)
{
	int most = choose_max_workers(fit, caps);
	int fits = (int) Min(caps->memory / choose_memory(fit, shape, batch, 1),
						 (double) MAX_CONCURRENCY);
	double best = 0;

	memset(plan, 0, sizeof(VrPlan));
	plan->row_bytes = choose_row_bytes(fit, shape);
	if (fits < 1)
	{
		plan->status = VR_PLAN_NO_MEMORY;
		return;
	}
	plan->batch = batch;
	plan->bound = most > fits ? VR_BOUND_MEMORY : VR_BOUND_KNEE;
	most = Min(most, fits);
	if (caps->items > 0)
		most = (int) Min(most, (caps->items - 1) / batch + 1);
	for (int n = 1; n <= most; n++)
		best = Max(best, choose_rate(fit, shape, caps, batch, n));
	plan->concurrency = 1;
	while (plan->concurrency < most &&
		   choose_rate(fit, shape, caps, batch, plan->concurrency) <
			   CONCURRENCY_SHARE * best)
		plan->concurrency++;
	if (plan->concurrency < most)
		plan->bound = VR_BOUND_KNEE;
	choose_describe(fit, own, shape, caps, plan);
}

/*
 * Whether this plan should explore: always while the cell is young, else now
 * and then.
 */
bool
VrPlanWantsExplore(const VrModel *own, double fraction, VrRandom *random)
{
	double uniform = VrRandomUniform(random);

	return VrModelUnsettled(own) || uniform < fraction;
}

/*
 * Linear Thompson sampling: chooses as if a draw from the belief were true, but
 * moves from the plain choice by at most a factor two, and never over a cap.
 */
void
VrPlanExplore(const VrFit *fit, const VrModel *own, const VrShape *shape,
			  VrPlannerGoal goal, const VrPlanCaps *caps, VrRandom *random,
			  VrPlan *plan)
{
	VrFit drawn;
	VrPlan trial;
	ChooseCap cap;
	int64 plain;

	VrPlanChoose(fit, own, shape, goal, caps, plan);
	VrFitDraw(fit, random, &drawn);
	if (plan->status != VR_PLAN_OK)
		return;
	plain = plan->batch;
	VrPlanChoose(&drawn, own, shape, goal, caps, &trial);

	/*
	 * An unsettled cell sees nothing new from the same batch once more. Where
	 * the cost has changed, bigger batches lose little throughput and smaller
	 * ones may lose much.
	 */
	if (VrModelUnsettled(own) &&
		(trial.batch == plain || (trial.batch < plain && !VrModelYoung(own))))
	{
		double up = !VrModelYoung(own) ? UPWARD_SHARE : 0.5;

		trial.batch =
			VrRandomUniform(random) < up ? plain * 2 : (plain + 1) / 2;
	}
	plan->batch = Min(Max(trial.batch, (plain + 1) / 2), plain * 2);
	if (caps->concurrency == 0)
		plan->concurrency =
			Min(Max(trial.concurrency, (plan->concurrency + 1) / 2),
				plan->concurrency * 2);
	cap = choose_cap(fit, shape, caps, plan->concurrency, false);
	if (cap.batch < 1 && caps->concurrency == 0)
	{
		plan->concurrency = 1;
		cap = choose_cap(fit, shape, caps, 1, false);
	}
	cap = choose_growth(fit, own, shape, cap);
	plan->batch =
		choose_in_time(fit, shape, caps, Min(plan->batch, Max(cap.batch, 1)),
					   plan->concurrency);
	choose_describe(fit, own, shape, caps, plan);
	plan->source = VR_SOURCE_EXPLORE;
}

/*
 * Moves the ceiling after a batch. The failed batch itself is not retried
 * smaller at once: a server that timed out is still busy with it. True if the
 * ceiling or its count of clean batches changed.
 */
bool
VrCeilingMove(VrCeiling *ceiling, int64 batch, int concurrency,
			  VrBatchEvent event)
{
	int64 lower;

	switch (event)
	{
		case VR_EVENT_TOO_BIG:
		case VR_EVENT_SLOW:
			lower =
				(int64) (batch * (event == VR_EVENT_SLOW ? CEILING_SLOW
														 : CEILING_TOO_BIG));
			lower = Max(lower, 1);
			if (ceiling->batch == 0 || lower < ceiling->batch)
				ceiling->batch = lower;
			ceiling->clean = 0;
			return true;

		case VR_EVENT_RATE_LIMITED:
			lower = Max(concurrency / 2, 1);
			if (ceiling->concurrency == 0 || lower < ceiling->concurrency)
				ceiling->concurrency = (int) lower;
			ceiling->clean = 0;
			return true;

		case VR_EVENT_OK:
			break;

		case VR_EVENT_FAILED:
			return false;
	}

	/* Only a batch that came near the ceiling says that it may be raised. */
	if (!(ceiling->batch > 0 && batch * 2 >= ceiling->batch) &&
		!(ceiling->concurrency > 0 && concurrency >= ceiling->concurrency))
		return false;
	if (++ceiling->clean < CEILING_CLEAN)
		return true;
	ceiling->clean = 0;
	if (ceiling->batch > 0)
		ceiling->batch += Max((int64) (ceiling->batch * CEILING_STEP), 1);
	if (ceiling->concurrency > 0)
		ceiling->concurrency++;
	return true;
}
