/*
 * planner_learn_test.c
 *		The planner as a whole against simulated operations of known cost:
 *		cold start, a silent change, outliers, workers.
 *
 * Every scenario runs with many seeds; regret is the share of the best
 * throughput that the plan gives away, in true and not in measured terms. A
 * plan within the five percent of the knee rule has no regret.
 */
#include "c.h"

#include <math.h>
#include <string.h>

#include "planner/planner_model.h"
#include "unit.h"

#define NOISE 0.15

/* Under valgrind fewer, which take the same code: see main(). */
static int seeds = 60;

typedef struct Simulation
{
	VrPlannerOp op;
	VrShape shape;
	VrPlanCaps caps;
	double batch_seconds;
	double row_seconds;
	VrModel model;
	VrRandom random;
} Simulation;

static void
learn_start(Simulation *s, VrPlannerOp op, int dim, double batch_seconds,
			double row_seconds, uint64 seed)
{
	memset(s, 0, sizeof(Simulation));
	s->op = op;
	s->shape.dim = dim;
	s->shape.cache_bytes = 1048576;
	s->caps.memory = 1e9;
	s->caps.cores = 2;
	s->caps.max_concurrency = 1;
	s->batch_seconds = batch_seconds;
	s->row_seconds = row_seconds;
	VrModelInit(&s->model);
	VrRandomSeed(&s->random, seed);
}

static double
learn_true(const Simulation *s, double batch)
{
	return s->batch_seconds + s->row_seconds * batch;
}

/* Share of the best true throughput given away beyond the knee's five. */
static double
learn_regret(const Simulation *s, int64 batch)
{
	int64 most = s->caps.max_batch > 0 ? s->caps.max_batch
									   : vr_op_traits[s->op].max_batch;
	double best = most / learn_true(s, (double) most);
	double rate = batch / learn_true(s, (double) batch);

	return Max(0, 1 - rate / (0.95 * best));
}

static void
learn_plan(Simulation *s, VrPlan *plan, bool explore)
{
	VrFit fit;

	VrModelFit(s->op, &s->model, NULL, &fit);
	if (explore && VrPlanWantsExplore(&s->model, 0.05, &s->random))
		VrPlanExplore(&fit, &s->model, &s->shape, VR_GOAL_THROUGHPUT, &s->caps,
					  &s->random, plan);
	else
		VrPlanChoose(&fit, &s->model, &s->shape, VR_GOAL_THROUGHPUT, &s->caps,
					 plan);
}

static void
learn_fold(Simulation *s, int64 batch, double factor)
{
	VrOutcome outcome = {0};

	outcome.batch = batch;
	outcome.concurrency = 1;
	outcome.seconds = learn_true(s, (double) batch) * factor *
					  exp(NOISE * VrRandomNormal(&s->random));
	VrModelFold(s->op, &s->model, NULL, &s->shape, &outcome);
}

/* One batch: plan, carry out, learn. Returns its regret. */
static double
learn_step(Simulation *s)
{
	VrPlan plan;

	learn_plan(s, &plan, true);
	learn_fold(s, plan.batch, 1);
	return learn_regret(s, plan.batch);
}

typedef struct Scenario
{
	const char *name;
	VrPlannerOp op;
	int dim;
	double batch_seconds;
	double row_seconds;
} Scenario;

static const Scenario scenarios[] = {
	{"queue", VR_OP_INSERT, 384, 6.4e-3, 1.7e-5},
	{"fast insert", VR_OP_INSERT, 128, 1e-4, 2e-5},
	{"http", VR_OP_EMBED_HTTP, 768, 8e-2, 6e-4},
	{"slow http", VR_OP_EMBED_HTTP, 768, 1.5e-1, 1.47e-1},
	{"cpu embedder", VR_OP_EMBED_LOCAL, 384, 1.5e-1, 1.47e-1},
	{"tile", VR_OP_KNN_EXACT, 128, 1.8e-3, 6.6e-5},
};

/*
 * A cold start is settled with the first of ten batches whose plans, without
 * exploration, have a mean regret below ten percent.
 */
static void
learn_cold(const Scenario *c)
{
	int worst = 0;
	double late = 0;

	for (int seed = 1; seed <= seeds; seed++)
	{
		Simulation s;
		double regret[70];
		int settled = 0;

		learn_start(&s, c->op, c->dim, c->batch_seconds, c->row_seconds, seed);
		for (int i = 0; i < 70; i++)
		{
			VrPlan plan;

			learn_step(&s);
			learn_plan(&s, &plan, false);
			regret[i] = learn_regret(&s, plan.batch);
			if (i >= 20)
				late += regret[i] / (50 * seeds);
		}
		for (double sum = 1; sum >= 1 && settled < 60; settled++)
		{
			sum = 0;
			for (int i = 0; i < 10; i++)
				sum += regret[settled + i];
		}
		worst = Max(worst, settled);
	}
	unit_ok(worst <= 20, "%s: settled within 20 batches (%d), all seeds",
			c->name, worst);
	unit_ok(late < 0.05, "%s: mean regret afterwards %.2f %%", c->name,
			100 * late);
}

/* A silent change by a factor of four of one cost. */
static void
learn_change(const Scenario *c, double batch_factor, double row_factor)
{
	double sum = 0;
	double worst = 0;

	for (int seed = 1; seed <= seeds; seed++)
	{
		Simulation s;
		double regret = 0;

		learn_start(&s, c->op, c->dim, c->batch_seconds, c->row_seconds, seed);
		for (int i = 0; i < 200; i++)
			learn_step(&s);
		s.batch_seconds *= batch_factor;
		s.row_seconds *= row_factor;
		for (int i = 0; i < 100; i++)
			regret += learn_step(&s) / 100;
		sum += regret / seeds;
		worst = Max(worst, regret);
	}
	unit_ok(sum < 0.1 && worst < 0.2,
			"%s: batch x%g, row x%g: regret %.2f %%, worst %.2f %%", c->name,
			batch_factor, row_factor, 100 * sum, 100 * worst);
}

/*
 * One batch a thousand times slower moves the plan by at most one step, which
 * is a factor two and what whole numbers add to it.
 */
static void
learn_outlier(const Scenario *c, int history)
{
	int moved = 0;

	for (int seed = 1; seed <= seeds; seed++)
	{
		Simulation s;
		VrPlan before;
		VrPlan after;

		learn_start(&s, c->op, c->dim, c->batch_seconds, c->row_seconds, seed);
		for (int i = 0; i < history; i++)
			learn_step(&s);
		learn_plan(&s, &before, false);
		learn_fold(&s, before.batch, 1000);
		learn_plan(&s, &after, false);
		if (after.batch > 2 * before.batch + 1 ||
			before.batch > 2 * after.batch + 1)
			moved++;
	}
	unit_ok(moved == 0,
			"%s: an outlier after %d batches moves the plan by a step at most",
			c->name, history);
}

int
main(void)
{
	if (getenv("VR_FEW"))
		seeds = 6;
	for (int i = 0; i < lengthof(scenarios); i++)
	{
		learn_cold(&scenarios[i]);
		learn_change(&scenarios[i], 4, 1);
		learn_change(&scenarios[i], 0.25, 1);
		learn_change(&scenarios[i], 1, 4);
		learn_change(&scenarios[i], 1, 0.25);
		learn_outlier(&scenarios[i], 10);
		learn_outlier(&scenarios[i], 20);
		learn_outlier(&scenarios[i], 200);
	}
	return unit_done();
}
