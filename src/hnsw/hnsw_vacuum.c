#include "postgres.h"
#include "hnsw/hnsw_private.h"
IndexBulkDeleteResult *
vr_hnsw_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				   IndexBulkDeleteCallback callback, void *arg)
{
	return stats;
}
IndexBulkDeleteResult *
vr_hnsw_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	return stats;
}
