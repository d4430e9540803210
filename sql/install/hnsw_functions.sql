-- Looking into hnsw indexes.

CREATE FUNCTION vecrecall.check_index(index regclass, heapallindexed bool DEFAULT false,
	OUT block bigint, OUT item int, OUT fault text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'vr_hnsw_check_index'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.check_index(regclass, bool) IS
'faults of an hnsw index, none if it is sound; heapallindexed also looks for rows that it lacks; keeps writers out of the table meanwhile; for the owner of the table';
