/*
 * planner_stats.c
 *		How often was planned, how fast, and from what.
 *
 * Planning writes nothing, so a session counts in its own memory, and its
 * counts reach planner_state with the next batch that it records for the same
 * (operation, target). What a session never records is seen by itself only.
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/vr_compat.h"
#include "base/vr_defs.h"
#include "planner/planner_private.h"

/* Longer targets are counted together with the first that begins alike. */
#define STATS_TARGET_LEN 128

/* More than so many kinds of plans in one session are not counted. */
#define STATS_MAX_ENTRIES 256

typedef struct StatsKey
{
	int op;
	int bucket;
	char target[STATS_TARGET_LEN];
} StatsKey;

typedef struct StatsEntry
{
	StatsKey key;
	VrPlannerStats stats;
} StatsEntry;

static HTAB *stats_session = NULL;

static void
stats_key(StatsKey *key, int op, const char *target, int bucket)
{
	size_t len = strlen(target);

	/* Whole characters, for views show it. */
	if (len >= STATS_TARGET_LEN)
		len = pg_mbcliplen(target, (int) len, STATS_TARGET_LEN - 1);
	memset(key, 0, sizeof(StatsKey));
	key->op = op;
	key->bucket = bucket;
	memcpy(key->target, target, len);
}

/*
 * Counts one plan of this session.
 */
void
VrStatsCount(VrPlannerOp op, const char *target, int dim,
			 VrPlannerSource source, double microseconds)
{
	StatsKey key;
	StatsEntry *entry;
	bool found;
	int bin;

	if (stats_session == NULL)
	{
		HASHCTL ctl = {0};

		ctl.keysize = sizeof(StatsKey);
		ctl.entrysize = sizeof(StatsEntry);
		ctl.hcxt = TopMemoryContext;
		stats_session = hash_create("vecrecall plans", 16, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	stats_key(&key, op, target, VrDimBucket(dim));
	entry = hash_search(stats_session, &key,
						hash_get_num_entries(stats_session) < STATS_MAX_ENTRIES
							? HASH_ENTER
							: HASH_FIND,
						&found);
	if (entry == NULL)
		return;
	if (!found)
		memset(&entry->stats, 0, sizeof(VrPlannerStats));
	bin = (int) (4 * log2(Max(microseconds, 1)));
	entry->stats.times[Min(bin, VR_STATS_BINS - 1)] += 1;
	entry->stats.sources[source] += 1;
}

static void
stats_add(VrPlannerStats *to, const VrPlannerStats *from)
{
	double *sum = (double *) to;
	const double *term = (const double *) from;

	for (int i = 0; i < VR_STATS_DOUBLES; i++)
		sum[i] += term[i];
}

/*
 * Moves what this session has counted for (op, target) into state.
 */
void
VrStatsTake(VrPlannerOp op, const char *target, VrPlannerState *state)
{
	if (stats_session == NULL)
		return;
	for (int i = 0; i < state->count; i++)
	{
		StatsKey key;
		StatsEntry *entry;

		stats_key(&key, op, target, state->cells[i].bucket);
		entry = hash_search(stats_session, &key, HASH_FIND, NULL);
		if (entry == NULL)
			continue;
		stats_add(&state->cells[i].stats, &entry->stats);
		state->cells[i].changed = true;
		hash_search(stats_session, &key, HASH_REMOVE, NULL);
	}
}

static double
stats_sum(const double *values, int count)
{
	double sum = 0;

	for (int i = 0; i < count; i++)
		sum += values[i];
	return sum;
}

/* Upper bound of the bin in which the quantile lies, in milliseconds. */
static double
stats_quantile(const VrPlannerStats *stats, double quantile)
{
	double left = quantile * stats_sum(stats->times, VR_STATS_BINS);

	for (int i = 0; i < VR_STATS_BINS; i++)
	{
		left -= stats->times[i];
		if (left <= 0)
			return exp2((i + 1) / 4.0) / 1000;
	}
	return exp2(VR_STATS_BINS / 4.0) / 1000;
}

/* Columns of _planner_cells(). */
#define CELL_COLUMNS 31

static void
stats_put(ReturnSetInfo *rsinfo, int op, const char *target,
		  const VrPlannerCell *cell, const VrModel *pool,
		  const VrCeiling *ceiling, Datum updated, bool no_updated)
{
	Datum values[CELL_COLUMNS];
	bool nulls[CELL_COLUMNS] = {false};
	const VrModel *model = &cell->model;
	const VrPlannerStats *stats = &cell->stats;
	double plans = stats_sum(stats->sources, VR_SOURCE_COUNT);
	VrFit fit;
	int n = 0;

	VrModelFit((VrPlannerOp) op, model, pool, &fit);
	values[n++] = CStringGetTextDatum(vr_op_traits[op].name);
	values[n++] = CStringGetTextDatum(target);
	values[n++] = Int32GetDatum(1 << cell->bucket);
	values[n++] =
		Int32GetDatum(Min((2 << cell->bucket) - 1, VR_VECTOR_MAX_DIM));
	values[n++] = Int64GetDatum((int64) model->count);
	values[n++] = Float8GetDatum(fit.coef[VR_COEF_BATCH] * 1e3);
	values[n++] = Float8GetDatum(fit.coef[VR_COEF_ROW] * 1e6);
	values[n++] = Float8GetDatum(fit.coef[VR_COEF_DIM] * 1e9);
	values[n++] = Float8GetDatum(fit.coef[VR_COEF_TOKEN] * 1e6);
	values[n++] = Float8GetDatum(fit.coef[VR_COEF_SPILL] * 1e6);
	values[n++] = Float8GetDatum(fit.sigma);
	values[n++] = Float8GetDatum(fit.kappa);
	values[n++] = Float8GetDatum(fit.noise);
	values[n++] = Float8GetDatum(fit.r95);
	values[n++] = Float8GetDatum(model->error);
	values[n++] = Float8GetDatum(model->regret);
	values[n++] = Float8GetDatum(fit.tokens_per_row);
	values[n++] = Float8GetDatum(fit.mem_ratio);
	values[n++] = Int64GetDatum((int64) model->smallest_ok);
	values[n++] = Int64GetDatum((int64) model->biggest_ok);
	values[n++] = Int64GetDatum((int64) model->failures);
	nulls[n] = ceiling->batch == 0;
	values[n++] = Int64GetDatum(ceiling->batch);
	nulls[n] = ceiling->concurrency == 0;
	values[n++] = Int32GetDatum(ceiling->concurrency);
	nulls[n] = no_updated;
	values[n++] = updated;
	values[n++] = Int64GetDatum((int64) rint(plans));
	nulls[n] = nulls[n + 1] = plans <= 0;
	values[n++] = Float8GetDatum(stats_quantile(stats, 0.5));
	values[n++] = Float8GetDatum(stats_quantile(stats, 0.95));
	for (int i = 0; i < VR_SOURCE_COUNT; i++)
		values[n++] = Int64GetDatum((int64) rint(stats->sources[i]));
	Assert(n == CELL_COLUMNS);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Adds what this session counted for cells of (op, target) and not yet stored,
 * making cells for those that have none.
 */
static void
stats_merge_session(int op, const char *target, VrPlannerState *state)
{
	HASH_SEQ_STATUS scan;
	StatsEntry *entry;
	StatsKey key;

	stats_key(&key, op, target, 0);
	hash_seq_init(&scan, stats_session);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->key.op == op && strcmp(entry->key.target, key.target) == 0)
			stats_add(&VrPlannerGetCell(state, entry->key.bucket, true)->stats,
					  &entry->stats);
}

/* A pair of (operation, target) that has cells here or in the session. */
typedef struct StatsPair
{
	int op;
	char *target;
	bool in_session;
} StatsPair;

static StatsPair *
stats_add_pair(List **pairs, int op, const char *target)
{
	StatsPair *pair = palloc0(sizeof(StatsPair));

	pair->op = op;
	pair->target = pstrdup(target);
	*pairs = lappend(*pairs, pair);
	return pair;
}

/*
 * Marks the pair of each entry of the session, the first if there are several
 * of so long a target; adds those that are missing.
 */
static void
stats_add_session(List **pairs)
{
	HASH_SEQ_STATUS scan;
	StatsEntry *entry;

	hash_seq_init(&scan, stats_session);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		StatsPair *found = NULL;
		ListCell *lc;

		foreach (lc, *pairs)
		{
			StatsPair *pair = lfirst(lc);
			StatsKey key;

			stats_key(&key, pair->op, pair->target, entry->key.bucket);
			if (memcmp(&key, &entry->key, sizeof(StatsKey)) == 0)
			{
				found = pair;
				break;
			}
		}
		if (found == NULL)
			found = stats_add_pair(pairs, entry->key.op, entry->key.target);
		found->in_session = true;
	}
}

PG_FUNCTION_INFO_V1(vr_planner_cells);

/*
 * _planner_cells(): all that is learned, with this session's plans counted in.
 */
Datum
vr_planner_cells(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	VrPlannerSession session;
	List *pairs = NIL;
	ListCell *lc;
	uint64 rows;

	InitMaterializedSRF(fcinfo, 0);
	VrPlannerEnter(&session);
	rows = VrPlannerExecute(VR_QUERY_STATE_TARGETS, NULL, NULL, true);
	for (uint64 i = 0; i < rows; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		int op = VrOpLookup(SPI_getvalue(tuple, desc, 1));

		if (op >= 0)
			stats_add_pair(&pairs, op, SPI_getvalue(tuple, desc, 2));
	}
	if (stats_session != NULL)
		stats_add_session(&pairs);
	foreach (lc, pairs)
	{
		StatsPair *pair = lfirst(lc);
		VrPlannerState state;

		VrPlannerReadState(vr_op_traits[pair->op].name, pair->target, false,
						   &state);
		if (pair->in_session)
			stats_merge_session(pair->op, pair->target, &state);
		for (int i = 0; i < state.count; i++)
		{
			VrModel pool;

			VrPlannerPool(&state, state.cells[i].bucket, &pool);
			stats_put(rsinfo, pair->op, pair->target, &state.cells[i], &pool,
					  &state.ceiling,
					  TimestampTzGetDatum(state.cells[i].updated),
					  state.cells[i].updated == 0);
		}
	}
	VrPlannerLeave(&session);
	return (Datum) 0;
}
