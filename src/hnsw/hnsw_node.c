/*
 * hnsw_node.c
 *		What EXPLAIN (ANALYZE) says of a scan of an hnsw index: what it did, and
 *		why it gave no more rows. From 18 on the server lets an extension do so;
 *		before, vecrecall.last_index_scan() is the only way to know.
 */
#include "postgres.h"

#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "hnsw/hnsw_private.h"

#ifdef VR_EXPLAINS_NODES
#include "commands/explain.h"
#include "commands/explain_format.h"
#include "commands/explain_state.h"

static explain_per_node_hook_type node_previous_hook;

/* explain_per_node_hook. Of a scan that was repeated, the last time. */
static void
NodeHook(PlanState *planstate, List *ancestors, const char *relationship,
		 const char *plan_name, struct ExplainState *es)
{
	if (node_previous_hook)
		node_previous_hook(planstate, ancestors, relationship, plan_name, es);
	if (es->analyze && IsA(planstate, IndexScanState))
	{
		IndexScanDesc scan = ((IndexScanState *) planstate)->iss_ScanDesc;
		const VrHnswScanStats *s;

		if (scan == NULL ||
			scan->indexRelation->rd_indam->amgettuple != vr_hnsw_gettuple)
			return;
		s = VrHnswScanDone(scan);
		if (s == NULL)
			return;
		ExplainPropertyInteger("Index Visits", NULL, s->visits, es);
		ExplainPropertyInteger("Index Passes", NULL, s->passes, es);
		ExplainPropertyText("Index Scan Stopped", VrHnswStopReason(s->stop),
							es);
	}
}

#endif

void
VrHnswNodeInit(void)
{
#ifdef VR_EXPLAINS_NODES
	node_previous_hook = explain_per_node_hook;
	explain_per_node_hook = NodeHook;
#endif
}
