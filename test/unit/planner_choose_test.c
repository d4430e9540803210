/*
 * planner_choose_test.c
 *		The choice rule: knee, caps with the reason that is given for each,
 *		goals, exploration within bounds, ceilings.
 *
 * The cost is put into the fit directly, so that the right answers are known.
 */
#include "c.h"

#include <math.h>
#include <string.h>

#include "planner/planner_model.h"
#include "unit.h"

typedef struct Case
{
	VrModel model;
	VrFit fit;
	VrShape shape;
	VrPlanCaps caps;
	VrPlan plan;
} Case;

static void
choose_case(Case *c, VrPlannerOp op, int dim, double batch_seconds,
			double row_seconds)
{
	memset(c, 0, sizeof(Case));
	VrModelInit(&c->model);
	VrModelFit(op, &c->model, NULL, &c->fit);
	memset(c->fit.coef, 0, sizeof(c->fit.coef));
	c->fit.coef[VR_COEF_BATCH] = batch_seconds;
	c->fit.coef[VR_COEF_ROW] = row_seconds;
	c->fit.sigma = 0.1;
	c->fit.kappa = 0.01;
	c->fit.r95 = 1.5;
	c->shape.dim = dim;
	c->caps.memory = 1e12;
	c->caps.cores = 2;
}

static VrPlan *
choose_run(Case *c, VrPlannerGoal goal)
{
	VrPlanChoose(&c->fit, &c->model, &c->shape, goal, &c->caps, &c->plan);
	return &c->plan;
}

static bool
choose_is(const Case *c, int64 batch, VrPlannerBound bound)
{
	bool ok = c->plan.status == VR_PLAN_OK && c->plan.batch == batch &&
			  c->plan.bound == bound;

	if (!ok)
		unit_note("status %d, batch %lld, bound %s", c->plan.status,
				  (long long) c->plan.batch, vr_bound_names[c->plan.bound]);
	return ok;
}

static void
choose_knee(void)
{
	Case c;

	/* The knee is at 19 times the ratio, up to the step of the grid. */
	for (double ratio = 1; ratio <= 100; ratio *= 10)
	{
		choose_case(&c, VR_OP_EMBED_HTTP, 768, ratio * 1e-3, 1e-3);
		c.caps.max_concurrency = 1;
		choose_run(&c, VR_GOAL_THROUGHPUT);
		unit_ok(c.plan.batch >= 18 * ratio &&
					c.plan.batch <= 19 * ratio * 1.2 &&
					c.plan.bound == VR_BOUND_KNEE,
				"knee of ratio %g at %lld", ratio, (long long) c.plan.batch);
	}
	unit_ok(c.plan.source == VR_SOURCE_PRIOR, "nothing learned: prior");
	unit_ok(c.plan.p95 == c.plan.seconds * 1.5, "95th percentile");
	c.caps.max_concurrency = 0;
	unit_ok(choose_run(&c, VR_GOAL_THROUGHPUT)->concurrency > 1,
			"workers where cores are no limit");

	choose_case(&c, VR_OP_INSERT, 384, 1e-2, 1e-5);
	unit_ok(choose_run(&c, VR_GOAL_THROUGHPUT)->concurrency == 2,
			"as many workers as cores where they are");
	c.caps.cores = 1;
	unit_ok(choose_run(&c, VR_GOAL_THROUGHPUT)->concurrency == 1,
			"and no more");
	c.caps.cores = 64;
	c.fit.kappa = 0.2;
	unit_ok(choose_run(&c, VR_GOAL_THROUGHPUT)->concurrency <= 3,
			"workers stop at the peak of the law");
}

static void
choose_caps(void)
{
	Case c;
	double row;

	choose_case(&c, VR_OP_EMBED_HTTP, 768, 0.1, 1e-3);
	c.caps.max_concurrency = 1;

	c.caps.max_batch = 100;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 100, VR_BOUND_PROVIDER), "cap of the provider");
	c.caps.max_batch = 0;
	c.caps.max_bytes = 50 * (768 * 4 + 16);
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 50, VR_BOUND_PROVIDER), "payload");
	c.caps.max_bytes = 0;
	c.caps.max_tokens = 8192;
	c.shape.tokens_per_row = 100;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 81, VR_BOUND_TOKENS), "tokens");
	c.caps.max_tokens = 0;
	c.shape.tokens_per_row = 0;
	c.caps.items = 7;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 7, VR_BOUND_ITEMS) && c.plan.batches == 1, "items");
	c.caps.items = 0;
	c.caps.slo = 1.5 * (0.1 + 1e-3 * 200) + 1e-9;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 200, VR_BOUND_LATENCY) && c.plan.objective_met,
			"objective on the 95th percentile");
	c.caps.slo = 0.05;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 1, VR_BOUND_LATENCY) && !c.plan.objective_met,
			"an objective out of reach leaves the smallest batch");
	c.caps.slo = 0;
	c.caps.lease = 3 * 1.5 * (0.1 + 1e-3 * 300) + 1e-9;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 300, VR_BOUND_LEASE), "a third of the lease");
	c.caps.lease = 0;
	c.caps.ceiling.batch = 12;
	choose_run(&c, VR_GOAL_THROUGHPUT);
	unit_ok(c.plan.batch <= 12 && c.plan.bound == VR_BOUND_CEILING &&
				c.plan.source == VR_SOURCE_CEILING,
			"ceiling");
	c.caps.ceiling.batch = 0;

	row = vr_op_traits[VR_OP_EMBED_HTTP].mem_row +
		  768 * vr_op_traits[VR_OP_EMBED_HTTP].mem_dim;
	c.caps.memory = 33 * row;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 33, VR_BOUND_MEMORY) &&
				c.plan.mem_bytes <= c.caps.memory,
			"memory");
	c.caps.memory = row;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 1, VR_BOUND_MEMORY), "memory for just one row");
	c.caps.memory = row - 1;
	unit_ok(choose_run(&c, VR_GOAL_COST)->status == VR_PLAN_NO_MEMORY &&
				c.plan.row_bytes == row,
			"memory for not even one row");
	c.caps.memory = 0;
	unit_ok(choose_run(&c, VR_GOAL_COST)->status == VR_PLAN_NO_MEMORY,
			"no memory at all");
	c.caps.memory = 1e12;
	c.caps.max_tokens = 99;
	c.shape.tokens_per_row = 100;
	unit_ok(choose_run(&c, VR_GOAL_COST)->status == VR_PLAN_NO_TOKENS,
			"one row of too many tokens");
	c.caps.max_tokens = 0;
	c.caps.max_bytes = 100;
	unit_ok(choose_run(&c, VR_GOAL_COST)->status == VR_PLAN_NO_BYTES,
			"one row of too many bytes");
	c.caps.max_bytes = 0;

	/* Nothing goes beyond twice what was tried; the first plan is free to. */
	c.shape.tokens_per_row = 0;
	c.model.count = 5;
	c.model.biggest_ok = 3000;
	choose_run(&c, VR_GOAL_COST);
	unit_ok(choose_is(&c, 6000, VR_BOUND_GROWTH), "growth");
}

/* All caps at once, at random: none is ever overstepped. */
static void
choose_caps_hold(void)
{
	bool ok = true;

	for (int i = 0; i < 20000; i++)
	{
		Case c;
		VrRandom random;
		VrPlannerGoal goal = unit_random() % VR_GOAL_COUNT;
		VrPlannerOp op = unit_random() % VR_OP_COUNT;

		choose_case(&c, op, 1 + unit_random() % 16000,
					pow(10, -5 + 5 * unit_uniform()),
					pow(10, -6 + 5 * unit_uniform()));
		c.caps.items = 1 + unit_random() % 100000;
		c.caps.max_batch = unit_random() % 3 ? 0 : 1 + unit_random() % 5000;
		c.caps.memory = pow(10, 4 + 5 * unit_uniform());
		c.caps.max_concurrency = unit_random() % 20;
		c.caps.ceiling.batch = unit_random() % 3 ? 0 : 1 + unit_random() % 500;
		c.caps.slo = unit_random() % 2 ? 0 : pow(10, -3 + 4 * unit_uniform());
		c.caps.lease = unit_random() % 4 ? 0 : pow(10, -2 + 4 * unit_uniform());
		/* times that jump, so that larger batches may take less */
		for (int bin = 0; bin < VR_LOCAL_BINS && i % 2; bin++)
			c.fit.local[bin] = exp(4 * unit_uniform() - 2);
		VrRandomSeed(&random, i);
		VrPlanExplore(&c.fit, &c.model, &c.shape, goal, &c.caps, &random,
					  &c.plan);
		if (c.plan.status != VR_PLAN_OK)
			continue;
		ok = ok && c.plan.batch >= 1 && c.plan.concurrency >= 1;
		ok = ok && c.plan.mem_bytes <= c.caps.memory * (1 + 1e-9);
		ok = ok && c.plan.batch <= c.caps.items;
		ok = ok && (!c.caps.max_batch || c.plan.batch <= c.caps.max_batch);
		ok = ok &&
			 (!c.caps.ceiling.batch || c.plan.batch <= c.caps.ceiling.batch);
		ok = ok && (!c.caps.max_concurrency ||
					c.plan.concurrency <= c.caps.max_concurrency);
		ok = ok && (c.plan.objective_met || c.plan.batch == 1);
		ok = ok && c.plan.batches * c.plan.batch >= c.caps.items;
		ok = ok && isfinite(c.plan.total_seconds) && c.plan.total_seconds > 0;
	}
	unit_ok(ok, "no cap is overstepped by plan or exploration");
}

static void
choose_goals(void)
{
	Case c;
	int64 throughput;
	int64 latency;
	int64 memory;
	int64 cost;

	choose_case(&c, VR_OP_EMBED_HTTP, 768, 0.1, 1e-3);
	throughput = choose_run(&c, VR_GOAL_THROUGHPUT)->batch;
	latency = choose_run(&c, VR_GOAL_LATENCY)->batch;
	memory = choose_run(&c, VR_GOAL_MEMORY)->batch;
	cost = choose_run(&c, VR_GOAL_COST)->batch;
	unit_ok(latency < memory && memory < throughput && throughput < cost,
			"latency %lld < memory %lld < throughput %lld < cost %lld",
			(long long) latency, (long long) memory, (long long) throughput,
			(long long) cost);
}

static void
choose_explore(void)
{
	Case c;
	VrPlan plain;
	bool ok = true;
	bool same = true;
	int different = 0;

	choose_case(&c, VR_OP_EMBED_HTTP, 768, 0.1, 1e-3);
	plain = *choose_run(&c, VR_GOAL_THROUGHPUT);
	for (int seed = 0; seed < 200; seed++)
	{
		VrRandom random;
		VrPlan again;

		VrRandomSeed(&random, seed);
		VrPlanExplore(&c.fit, &c.model, &c.shape, VR_GOAL_THROUGHPUT, &c.caps,
					  &random, &c.plan);
		VrRandomSeed(&random, seed);
		VrPlanExplore(&c.fit, &c.model, &c.shape, VR_GOAL_THROUGHPUT, &c.caps,
					  &random, &again);
		ok = ok && c.plan.batch >= plain.batch / 2 &&
			 c.plan.batch <= plain.batch * 2 &&
			 c.plan.source == VR_SOURCE_EXPLORE;
		same = same && memcmp(&c.plan, &again, sizeof(VrPlan)) == 0;
		different += c.plan.batch != plain.batch;
	}
	unit_ok(ok, "exploration stays within a factor two");
	unit_ok(same, "and is repeated by its seed");
	unit_ok(different > 100, "and explores (%d of 200)", different);
}

static void
choose_ceiling(void)
{
	VrCeiling ceiling = {0};
	int64 before;

	unit_ok(!VrCeilingMove(&ceiling, 100, 1, VR_EVENT_OK) &&
				!VrCeilingMove(&ceiling, 100, 1, VR_EVENT_FAILED) &&
				ceiling.batch == 0,
			"no ceiling without a reason");
	VrCeilingMove(&ceiling, 1000, 4, VR_EVENT_TOO_BIG);
	unit_ok(ceiling.batch == 500 && ceiling.concurrency == 0,
			"half of what timed out");
	VrCeilingMove(&ceiling, 2000, 4, VR_EVENT_TOO_BIG);
	unit_ok(ceiling.batch == 500, "a bigger failure does not raise it");
	VrCeilingMove(&ceiling, 500, 4, VR_EVENT_SLOW);
	unit_ok(ceiling.batch == 450, "nine tenths of what was slow");
	VrCeilingMove(&ceiling, 450, 8, VR_EVENT_RATE_LIMITED);
	unit_ok(ceiling.batch == 450 && ceiling.concurrency == 4,
			"a rate limit leaves the batch alone");
	before = ceiling.batch;
	for (int i = 0; i < 100; i++)
		VrCeilingMove(&ceiling, 10, 1, VR_EVENT_OK);
	unit_ok(ceiling.batch == before, "small batches do not raise it");
	for (int i = 0; i < 19; i++)
		VrCeilingMove(&ceiling, 450, 4, VR_EVENT_OK);
	unit_ok(ceiling.batch == before, "nor do nineteen clean ones");
	VrCeilingMove(&ceiling, 450, 4, VR_EVENT_OK);
	unit_ok(ceiling.batch == 495 && ceiling.concurrency == 5,
			"twenty raise it by a step");
	for (int i = 0; i < 20; i++)
		VrCeilingMove(&ceiling, 1, 1, VR_EVENT_TOO_BIG);
	unit_ok(ceiling.batch == 1, "never below one");
}

int
main(void)
{
	choose_knee();
	choose_caps();
	choose_caps_hold();
	choose_goals();
	choose_explore();
	choose_ceiling();
	return unit_done();
}
