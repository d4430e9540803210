/*
 * hnsw_pool_test.c
 *		The pool of estimates against a list that is searched from end to end:
 *		by each rule, it gives out the same records in the same order.
 *
 * Few ids, so that most estimates are of records that are known or taken, and
 * the table grows and its buckets overflow; levels, wider limits, and queries
 * one after another.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hnsw/hnsw_pool.h"
#include "hnsw/hnsw_private.h"
#include "unit.h"

/* -------------------------------------------------- in place of the server */

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return malloc(size);
}

void *
repalloc_huge(void *pointer, Size size)
{
	return realloc(pointer, size);
}

void
pfree(void *pointer)
{
	free(pointer);
}

bool
errstart(int elevel, const char *domain)
{
	abort();
}

bool
errstart_cold(int elevel, const char *domain)
{
	abort();
}

int
errcode(int sqlerrcode)
{
	return 0;
}

int
errmsg(const char *fmt, ...)
{
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	abort();
}

void
#if PG_VERSION_NUM >= 160000
ExceptionalCondition(const char *conditionName, const char *fileName,
					 int lineNumber)
#else
ExceptionalCondition(const char *conditionName, const char *errorType,
					 const char *fileName, int lineNumber)
#endif
{
	abort();
}

/* --------------------------------------------------------------- the model */

#define IDS 6000
#define MAX_WAITING 400000

typedef struct Known
{
	bool live;
	bool taken;
	double mean;
	double least;
	double value;
	int n;
} Known;

static Known known[IDS];

/* Estimates that were beyond the limit, in the order they came. */
static struct Waiting
{
	uint32 id;
	float est;
} waiting[MAX_WAITING];
static int nwaiting;

static void
model_admit(uint32 id, float est, VrPoolRule rule)
{
	Known *k = &known[id];

	if (k->taken)
		return;
	if (!k->live)
	{
		*k = (Known){.live = true, .mean = est, .least = est, .value = est};
		k->n = 1;
		return;
	}
	if (rule == VR_POOL_FIRST)
		return;
	k->n = k->n < 32 ? k->n + 1 : 32;
	k->mean += (est - k->mean) / k->n;
	k->least = Min(k->least, est);
	k->value = rule == VR_POOL_LEAST ? k->least
									 : VR_POOL_MEAN_SHARE * k->mean +
										   (1 - VR_POOL_MEAN_SHARE) * k->least;
}

static void
model_add(uint32 id, float est, float limit, VrPoolRule rule)
{
	if (est < limit)
		model_admit(id, est, rule);
	else
	{
		waiting[nwaiting].id = id;
		waiting[nwaiting++].est = est;
	}
}

static void
model_reconsider(float limit, VrPoolRule rule)
{
	int n = nwaiting;
	int i;

	nwaiting = 0;
	for (i = 0; i < n; i++)
		model_add(waiting[i].id, waiting[i].est, limit, rule);
}

/* The least value, or FLT_MAX. */
static double
model_least(void)
{
	double least = FLT_MAX;
	int i;

	for (i = 0; i < IDS; i++)
		if (known[i].live && known[i].value < least)
			least = known[i].value;
	return least;
}

/* Another level: what was not taken is forgotten. */
static void
model_empty(void)
{
	int i;

	nwaiting = 0;
	for (i = 0; i < IDS; i++)
		known[i].live = false;
}

/* ---------------------------------------------------------------- the test */

static int wrong;

/* Memory that a context would give back: here it is to be seen as in use. */
static VrHnswPool rule_pools[VR_POOL_MIXED + 1];
static VrHnswPool damaged_pool;

static bool
near(double a, double b)
{
	return fabs(a - b) <= 1e-4 * Max(1, Max(fabs(a), fabs(b)));
}

/* Takes up to n records from both. */
static int
take(VrHnswPool *pool, float limit, int n)
{
	int took = 0;

	while (took < n && VrHnswPoolLeast(pool, limit))
	{
		double least = model_least();
		uint32 id = VrHnswPoolTake(pool, limit);

		if (id >= IDS || !known[id].live || !near(known[id].value, least) ||
			!VrHnswPoolHasTaken(pool, id))
		{
			if (wrong++ < 5)
				unit_note("id %u, value %g, least %g", id,
						  id < IDS ? known[id].value : 0, least);
			if (id >= IDS)
				return took;
		}
		known[id].live = false;
		known[id].taken = true;
		took++;
	}
	/* None is left below the limit in the model either. */
	if (took < n && model_least() < limit - 1e-4 * Max(1, fabs(limit)))
		wrong++;
	return took;
}

/* One block of up to 32 different records. */
static void
add_block(VrHnswPool *pool, float limit, VrPoolRule rule, uint32 ids,
		  float scale)
{
	uint32 lane = VrHnswPoolOpen(pool, limit, rule);
	int n = unit_random() % 4 == 0 ? 1 + unit_random() % 31 : VR_QUANT_LANES;
	uint32 id = unit_random() % ids;
	uint32 mask = 0;
	int i;

	for (i = 0; i < VR_QUANT_LANES; i++)
	{
		float est = VR_ESTIMATE_MAX;

		if (i < n)
		{
			/* 7919 is prime: no id twice. */
			id = (id + 7919) % ids;
			est = scale * (float) (unit_uniform() - .3);
			pool->ids[lane + i] = id;
			if (est < limit)
				mask |= (uint32) 1 << i;
			model_add(id, est, limit, rule);
		}
		pool->est[lane + i] = est;
	}
	VrHnswPoolClose(pool, mask, rule);
}

static void
check_rule(VrPoolRule rule, const char *name)
{
	static const float scales[] = {1, 1e-20f, 2e38f};
	VrHnswPool *pool = &rule_pools[rule];
	int64 took = 0;
	int query;

	wrong = 0;
	VrHnswPoolInit(pool, NULL);
	for (query = 0; query < 12; query++)
	{
		/* Not a multiple of 7919, and more ids than 32. */
		uint32 ids = query % 3 == 0 ? 101 : query % 3 == 1 ? 1500 : IDS;
		float scale = scales[query % 4 == 3 ? 2 : query % 2];
		int level;

		memset(known, 0, sizeof(known));
		nwaiting = 0;
		VrHnswPoolForget(pool);
		for (level = 0; level < 3; level++)
		{
			float limit = level == 0 ? FLT_MAX : .1f * scale;
			int step;

			VrHnswPoolEmpty(pool);
			model_empty();
			for (step = 0; step < 150; step++)
			{
				add_block(pool, limit, rule, ids, scale);
				took += take(pool, limit, 1 + step % 2);
				/* Limits fall, but for passes that are wider. */
				if (step % 50 == 49)
				{
					limit = (step == 149 ? .6f : .3f) * scale;
					VrHnswPoolReconsider(pool, limit, rule);
					model_reconsider(limit, rule);
				}
			}
			took += take(pool, limit, IDS);
		}
	}
	unit_ok(wrong == 0 && took > 5000, "%s: %d wrong of %lld taken", name,
			wrong, (long long) took);
}

/* An id that no record has is given out, for whoever visits it to complain. */
static void
check_damage(void)
{
	VrHnswPool *pool = &damaged_pool;
	int rule;
	bool ok = true;

	VrHnswPoolInit(pool, NULL);
	for (rule = VR_POOL_FIRST; rule <= VR_POOL_MIXED; rule++)
	{
		uint32 ids[2] = {VR_HNSW_NO_VERTEX, 7};
		float d[2] = {1, 2};

		VrHnswPoolForget(pool);
		VrHnswPoolAddSome(pool, d, ids, 2, rule);
		ok &= VrHnswPoolLeast(pool, FLT_MAX) &&
			  VrHnswPoolTake(pool, FLT_MAX) == VR_HNSW_NO_VERTEX;
		ok &= !VrHnswPoolHasTaken(pool, VR_HNSW_NO_VERTEX);
		ok &= VrHnswPoolLeast(pool, FLT_MAX) &&
			  VrHnswPoolTake(pool, FLT_MAX) == 7;
		ok &= !VrHnswPoolLeast(pool, FLT_MAX);
	}
	unit_ok(ok, "a damaged id comes out");
}

int
main(void)
{
	check_rule(VR_POOL_FIRST, "the first estimate counts");
	check_rule(VR_POOL_LEAST, "the least estimate counts");
	check_rule(VR_POOL_MIXED, "a mixture of mean and least counts");
	check_damage();
	return unit_done();
}
