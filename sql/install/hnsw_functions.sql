-- Looking into hnsw indexes.

CREATE FUNCTION vecrecall.check_index(index regclass, heapallindexed bool DEFAULT false,
	OUT block bigint, OUT item int, OUT fault text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'vr_hnsw_check_index'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.check_index(regclass, bool) IS
'faults of an hnsw index, none if it is sound; heapallindexed also looks for rows that it lacks; keeps writers out of the table meanwhile; for the owner of the table';

CREATE FUNCTION vecrecall.index_info(index regclass,
	OUT format_version int, OUT type text, OUT metric text,
	OUT storage text, OUT "precision" text, OUT code_bits int,
	OUT dimensions int, OUT attributes int, OUT m int, OUT ef_construction int,
	OUT entry_level int, OUT live_vertices bigint, OUT dead_vertices bigint,
	OUT free_slots bigint, OUT upper_records bigint,
	OUT heap_tids bigint, OUT duplicates bigint,
	OUT record_size int, OUT slots_per_page int, OUT bytes_per_vector float8,
	OUT vertex_bytes bigint, OUT upper_bytes bigint, OUT attribute_bytes bigint,
	OUT tid_bytes bigint, OUT value_bytes bigint, OUT meta_bytes bigint,
	OUT free_bytes bigint,
	OUT rows_at_build bigint, OUT mean_drift float8,
	OUT needs_reindex bool, OUT reason text)
RETURNS record
AS 'MODULE_PATHNAME', 'vr_hnsw_index_info'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecrecall.index_info(regclass) IS
'what an hnsw index is made of, and whether a REINDEX would pay; reads the whole index';

CREATE FUNCTION vecrecall.last_index_scan(
	OUT index regclass, OUT visits bigint, OUT expanded bigint, OUT passes bigint,
	OUT returned bigint, OUT dropped bigint, OUT memory bigint, OUT stop_reason text)
RETURNS record
AS 'MODULE_PATHNAME', 'vr_hnsw_last_index_scan'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecrecall.last_index_scan() IS
'what the last hnsw index scan of this session did, and why it gave no more rows; NULLs if there was none';

CREATE FUNCTION vecrecall.plan_layout(dim int, rows bigint DEFAULT 1000000,
	type text DEFAULT 'vector', m int DEFAULT 16,
	OUT storage text, OUT "precision" text, OUT code_bits int, OUT automatic bool,
	OUT record_size int, OUT slots_per_page int,
	OUT index_bytes bigint, OUT index_bytes_per_row float8,
	OUT table_bytes_per_row float8, OUT table_bytes bigint, OUT toasted bool,
	OUT build_bytes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'vr_hnsw_plan_layout'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.plan_layout(int, bigint, text, int) IS
'size of an hnsw index, by storage and precision, and of a table of an id and a value, and the memory of a build in one pass; sparsevec is taken to have 64 elements';

CREATE FUNCTION vecrecall.explain_index(query text,
	OUT relation regclass, OUT index regclass, OUT used bool, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'vr_hnsw_explain_index'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vecrecall.explain_index(text) IS
'whether the plan of a SELECT uses the hnsw indexes of its tables, and why not; nothing is executed';

-- What distances cost: reading a vector from TOAST takes far longer than
-- computing with it, and the planner should know.

CREATE FUNCTION vecrecall.distance_support(internal) RETURNS internal
AS 'MODULE_PATHNAME', 'vr_distance_support'
LANGUAGE C STRICT;
COMMENT ON FUNCTION vecrecall.distance_support(internal) IS 'planner support: cost of a distance';

ALTER FUNCTION l2_distance(vector, vector) SUPPORT vecrecall.distance_support;
ALTER FUNCTION vector_negative_inner_product(vector, vector) SUPPORT vecrecall.distance_support;
ALTER FUNCTION cosine_distance(vector, vector) SUPPORT vecrecall.distance_support;
ALTER FUNCTION l1_distance(vector, vector) SUPPORT vecrecall.distance_support;
ALTER FUNCTION inner_product(vector, vector) SUPPORT vecrecall.distance_support;
ALTER FUNCTION l2_distance(halfvec, halfvec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION halfvec_negative_inner_product(halfvec, halfvec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION cosine_distance(halfvec, halfvec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION l1_distance(halfvec, halfvec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION inner_product(halfvec, halfvec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION l2_distance(sparsevec, sparsevec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION cosine_distance(sparsevec, sparsevec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION l1_distance(sparsevec, sparsevec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION inner_product(sparsevec, sparsevec) SUPPORT vecrecall.distance_support;
ALTER FUNCTION hamming_distance(bit, bit) SUPPORT vecrecall.distance_support;
ALTER FUNCTION jaccard_distance(bit, bit) SUPPORT vecrecall.distance_support;
