/*
 * planner_request.c
 *		From arguments to a request: what is allowed, and what is assumed where
 *		nothing is said.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/vr_defs.h"
#include "planner/planner_private.h"

/* Writes the n names as "a, b, c" for a hint. */
static char *
request_list(const char *const *names, int stride, int count)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < count; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "",
						 *(const char *const *) ((const char *) names +
												 (size_t) i * stride));
	return list.data;
}

/* The operation of that name, or an error that lists those there are. */
VrPlannerOp
VrRequestOp(const char *name)
{
	int op = VrOpLookup(name);

	if (op < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown operation \"%s\"", name),
				 errhint("Allowed operations: %s.",
						 request_list(&vr_op_traits[0].name, sizeof(VrOpTraits),
									  VR_OP_COUNT))));
	return (VrPlannerOp) op;
}

/*
 * The same for what has batches. An index is built in one go, by workers that
 * share it.
 */
VrPlannerOp
VrRequestBatchOp(const char *name)
{
	VrPlannerOp op = VrRequestOp(name);

	if (op == VR_OP_INDEX_BUILD)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("operation \"%s\" has no batches", name),
						errhint("Use vecrecall.plan_index_build.")));
	return op;
}

/* The goal of that name, likewise. */
VrPlannerGoal
VrRequestGoal(const char *name)
{
	int goal = VrGoalLookup(name);

	if (goal < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown goal \"%s\"", name),
						errhint("Allowed goals: %s.",
								request_list(vr_goal_names, sizeof(char *),
											 VR_GOAL_COUNT))));
	return (VrPlannerGoal) goal;
}

/* A number of dimensions that vectors can have. */
int
VrRequestDim(int64 dim)
{
	if (dim < 1 || dim > VR_VECTOR_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimension must be between 1 and %d, not " INT64_FORMAT,
						VR_VECTOR_MAX_DIM, dim)));
	return (int) dim;
}

/*
 * A text argument that must not be null, as a string.
 */
char *
VrRequestText(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/*
 * What is assumed: work_mem, this machine's cores and caches, and no limits.
 */
void
VrRequestInit(VrPlannerRequest *request, VrPlannerOp op, const char *target,
			  int dim)
{
	memset(request, 0, sizeof(VrPlannerRequest));
	request->op = op;
	request->target = target;
	request->shape.dim = dim;
	request->shape.cache_bytes = VrPlannerCacheBytes();
	request->caps.memory = work_mem * 1024.0;
	request->caps.cores = VrPlannerCores();
}

/*
 * Reads numbers from a JSON object. Whatever is there must be a number under a
 * known key, no less than its minimum; JSON null counts as absent. what names
 * the object in errors; object may be NULL.
 */
void
VrRequestNumbers(Jsonb *object, const char *what, const VrRequestKey *keys,
				 int count)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	const VrRequestKey *key = NULL;

	if (object == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be a JSON object", what)));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char *name = pnstrdup(value.val.string.val, value.val.string.len);

			key = NULL;
			for (int i = 0; i < count; i++)
				if (strcmp(keys[i].name, name) == 0)
					key = &keys[i];
			if (key == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("unknown key \"%s\" in \"%s\"", name, what),
						 errhint("Allowed keys: %s.",
								 request_list(&keys[0].name,
											  sizeof(VrRequestKey), count))));
		}
		else if (token == WJB_VALUE && value.type != jbvNull)
		{
			double number;

			if (value.type != jbvNumeric)
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("\"%s\" in \"%s\" must be a number",
									   key->name, what)));
			number = DatumGetFloat8(
				DirectFunctionCall1(numeric_float8_no_overflow,
									NumericGetDatum(value.val.numeric)));
			if (!isfinite(number) || number < key->minimum)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("\"%s\" in \"%s\" must be a number of at least "
								"%g, not %g",
								key->name, what, key->minimum, number)));
			if (key->whole && number != floor(number))
				ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
								errmsg("\"%s\" in \"%s\" must be a whole "
									   "number, not %g",
									   key->name, what, number)));
			*key->value = number;
		}
	}
}

static int
request_int(double number)
{
	return number >= INT_MAX ? INT_MAX : (int) number;
}

static int64
request_int64(double number)
{
	return number >= 9e18 ? INT64CONST(9000000000000000000) : (int64) number;
}

/*
 * resources of a request, or a superset: what names it in errors.
 */
void
VrRequestResources(VrPlannerRequest *request, Jsonb *resources,
				   const char *what)
{
	double memory = -1;
	double cores = 0;
	double io = 0;
	double cache = 0;
	double workers = 0;
	double slo = 0;
	VrRequestKey keys[] = {{"available_memory_mb", &memory, 0, false},
						   {"cpu_cores", &cores, 1, true},
						   {"io_mb_s", &io, 1e-6, false},
						   {"l2_cache_kb", &cache, 1, false},
						   {"max_concurrency", &workers, 1, true},
						   {"slo_ms", &slo, 1e-6, false}};

	/* The last two are for plan_concurrency, which has no limits. */
	VrRequestNumbers(resources, what, keys,
					 strcmp(what, "capacity") == 0 ? 6 : 4);
	if (memory >= 0)
		request->caps.memory = memory * 1024 * 1024;
	if (cores > 0)
		request->caps.cores = request_int(cores);
	if (io > 0)
		request->caps.max_rate = io * 1e6 / (4.0 * request->shape.dim + 16);
	if (cache > 0)
		request->shape.cache_bytes = cache * 1024;
	if (workers > 0)
		request->caps.max_concurrency = request_int(workers);
	if (slo > 0)
		request->caps.slo = slo / 1000;
}

/*
 * limits of a request.
 */
void
VrRequestLimits(VrPlannerRequest *request, Jsonb *limits)
{
	double batch = 0;
	double workers = 0;
	double slo = 0;
	double lease = 0;
	VrPlanCaps *caps = &request->caps;
	VrRequestKey keys[] = {
		{"max_batch", &batch, 1, true},
		{"max_tokens_per_batch", &caps->max_tokens, 1, false},
		{"max_bytes", &caps->max_bytes, 1, false},
		{"tokens_per_item", &request->shape.tokens_per_row, 1e-6, false},
		{"slo_ms", &slo, 1e-6, false},
		{"lease_ms", &lease, 1e-6, false},
		{"max_concurrency", &workers, 1, true}};

	VrRequestNumbers(limits, "limits", keys, lengthof(keys));
	caps->max_batch = request_int64(batch);
	caps->slo = slo / 1000;
	caps->lease = lease / 1000;
	if (workers > 0)
		caps->max_concurrency = request_int(workers);
}

/* Names as a hint lists them, from a text[]. */
static char *
request_array_list(ArrayType *array, char ***names, int *count)
{
	Datum *elements;
	bool *nulls;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, count);
	*names = palloc(Max(*count, 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
		(*names)[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
	return request_list((const char *const *) *names, sizeof(char *), *count);
}

PG_FUNCTION_INFO_V1(vr_check_keys);

/*
 * _check_keys(object, what, allowed): true, if all keys of the object are
 * allowed. An array stands for a choice, of which the one element must be an
 * allowed string. NULL for an object is an absent one.
 */
Datum
vr_check_keys(PG_FUNCTION_ARGS)
{
	char *what = VrRequestText(fcinfo, 1, "what");
	Jsonb *object;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue value;
	char **names;
	char *list;
	int count;
	bool choice;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);
	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", "allowed")));
	object = PG_GETARG_JSONB_P(0);
	list = request_array_list(PG_GETARG_ARRAYTYPE_P(2), &names, &count);
	choice = JB_ROOT_IS_ARRAY(object) && !JB_ROOT_IS_SCALAR(object);
	if (!choice && !JB_ROOT_IS_OBJECT(object))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must be a JSON object", what)));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char *name;
		bool found = false;

		if (token != (choice ? WJB_ELEM : WJB_KEY))
			continue;
		if (value.type != jbvString)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("\"%s\" must be a string", what),
							errhint("Allowed: %s.", list)));
		name = pnstrdup(value.val.string.val, value.val.string.len);
		for (int i = 0; i < count; i++)
			found = found || strcmp(names[i], name) == 0;
		if (found)
			continue;
		if (choice)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown %s \"%s\"", what, name),
							errhint("Allowed: %s.", list)));
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown key \"%s\" in \"%s\"", name, what),
						errhint("Allowed keys: %s.", list)));
	}
	PG_RETURN_BOOL(true);
}
