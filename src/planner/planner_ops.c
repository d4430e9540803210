/*
 * planner_ops.c
 *		The operations that can be planned, with what is shipped about each,
 *		and the names of goals, bounds and sources.
 *
 * The priors are orders of magnitude: they decide the first batch, and are
 * held with a standard deviation of ten times their value, so that a few
 * observations outweigh them. Those of knn_exact (a table of 100,000 rows) and
 * index_build are fits to what test/bench/planner measured. Memory is not
 * learned downwards, so the bytes per row are what a backend was measured to
 * need at its peak there, rounded up.
 */
#include "c.h"

#include <math.h>
#include <string.h>

#include "planner/planner_model.h"

/* clang-format off */
const VrOpTraits vr_op_traits[VR_OP_COUNT] = {
	/* name         batch    row      dim      token    spill     sigma  kappa */
	{"copy",        {5e-4,   3e-6,    1e-8,    0,       0},       0.1,   0.01,
	 0, 64, 6, INT64CONST(1048576), 8, true, false},
	{"insert",      {5e-4,   6e-6,    1.5e-8,  0,       0},       0.1,   0.01,
	 524288, 256, 24, INT64CONST(1048576), 8, true, false},
	{"embed_http",  {8e-2,   1e-3,    0,       1e-5,    0},       0.02,  0.0005,
	 0, 4096, 16, INT64CONST(65536), 32, false, false},
	{"embed_local", {2e-4,   1e-4,    0,       2e-6,    1e-5},    0.05,  0.001,
	 0, 2048, 8, INT64CONST(65536), 64, true, true},
	{"knn_exact",   {5e-2,   1e-4,    1.2e-6,  0,       0},       0.05,  0.001,
	 0, 4096, 8, INT64CONST(65536), 64, true, true},
	{"index_build", {1e-1,   7e-5,    1.2e-7,  0,       0},       0.15,  0.005,
	 1048576, 416, 7, INT64CONST(1099511627776), 64, true, false},
	{"train",       {1e-3,   1e-5,    1e-7,    0,       1e-6},    0.05,  0.001,
	 0, 1024, 24, INT64CONST(1048576), 1, true, true},
};
/* clang-format on */

const char *const vr_goal_names[VR_GOAL_COUNT] = {"throughput", "latency",
												  "memory", "cost"};
const char *const vr_bound_names[VR_BOUND_COUNT] = {
	"knee",  "memory", "latency", "provider", "tokens",
	"items", "lease",  "ceiling", "growth"};
const char *const vr_source_names[VR_SOURCE_COUNT] = {"prior", "model",
													  "explore", "ceiling"};

/*
 * Number of the named operation, or -1.
 */
int
VrOpLookup(const char *name)
{
	for (int i = 0; i < VR_OP_COUNT; i++)
		if (strcmp(vr_op_traits[i].name, name) == 0)
			return i;
	return -1;
}

/*
 * Number of the named goal, or -1.
 */
int
VrGoalLookup(const char *name)
{
	for (int i = 0; i < VR_GOAL_COUNT; i++)
		if (strcmp(vr_goal_names[i], name) == 0)
			return i;
	return -1;
}

/*
 * Dimensions are learned in buckets of a factor two: within one, the cost per
 * dimension is a coefficient; between them, caches make it another one.
 */
int
VrDimBucket(int dim)
{
	int bucket = 0;

	while (dim > 1)
	{
		dim >>= 1;
		bucket++;
	}
	return bucket;
}

/*
 * What the error code of a failed batch says about its size. A code is an
 * SQLSTATE of five characters or an HTTP status of three.
 */
VrBatchEvent
VrEventFromState(const char *state)
{
	static const char *const too_big[] = {
		"57014", /* query_canceled, what statement_timeout gives */
		"53200", /* out_of_memory */
		"53400", /* configuration_limit_exceeded */
		"54000", /* program_limit_exceeded */
		"25P03", /* idle_in_transaction_session_timeout */
		"55P03", /* lock_not_available: the lease or lock_timeout ran out */
		"408",   "413", "504", "524"};
	static const char *const rate_limited[] = {"429", "503", "53300"};

	if (state == NULL)
		return VR_EVENT_FAILED;
	for (size_t i = 0; i < lengthof(too_big); i++)
		if (strcmp(too_big[i], state) == 0)
			return VR_EVENT_TOO_BIG;
	for (size_t i = 0; i < lengthof(rate_limited); i++)
		if (strcmp(rate_limited[i], state) == 0)
			return VR_EVENT_RATE_LIMITED;
	return VR_EVENT_FAILED;
}
