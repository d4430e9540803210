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

-- The numbers and phases are those of src/hnsw/hnsw_progress.c. Who may not see
-- another's command sees NULLs there, hence no row.
CREATE VIEW vecrecall.stat_progress_vacuum AS
	SELECT s.pid, a.leader_pid, s.datid, d.datname, s.relid,
		s.param15::oid AS index_relid,
		CASE WHEN d.datname = pg_catalog.current_database()
			THEN s.param15::oid::pg_catalog.regclass END AS index,
		CASE s.param16
			WHEN 1 THEN 'looking for dead rows'
			WHEN 2 THEN 'marking upper levels'
			WHEN 3 THEN 'waiting for insertions'
			WHEN 4 THEN 'repairing the graph'
			WHEN 5 THEN 'linking lost records'
			WHEN 6 THEN 'joining parts'
			WHEN 7 THEN 'giving stems'
			WHEN 8 THEN 'freeing records'
		END AS phase,
		s.param17 AS blocks_total, s.param18 AS blocks_done,
		s.param19 AS records_total, s.param20 AS records_done
	FROM pg_catalog.pg_stat_get_progress_info('VACUUM') s
	LEFT JOIN pg_catalog.pg_database d ON d.oid = s.datid
	LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.pid
	WHERE s.param15 <> 0;
COMMENT ON VIEW vecrecall.stat_progress_vacuum IS
'how far VACUUM, autovacuum included, has come in an hnsw index; a row for each process that is in one, with the rights of pg_stat_progress_vacuum';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.pid IS 'process';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.leader_pid IS 'process whose VACUUM it is, if this is a parallel worker';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.datid IS 'database';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.datname IS 'its name';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.relid IS 'table';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.index_relid IS 'index';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.index IS 'its name; NULL for those of other databases';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.phase IS 'what is being done; the phases come in the order: looking for dead rows, marking upper levels, waiting for insertions, repairing the graph, linking lost records, joining parts, giving stems, freeing records';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.blocks_total IS 'blocks to go through, in a phase that takes the index by blocks: the first, and repairing the graph';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.blocks_done IS 'so many of them are done';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.records_total IS 'records to go through in the other phases; those with two rounds count each';
COMMENT ON COLUMN vecrecall.stat_progress_vacuum.records_done IS 'so many of them are done';
GRANT SELECT ON vecrecall.stat_progress_vacuum TO PUBLIC;

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
