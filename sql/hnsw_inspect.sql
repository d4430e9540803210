-- index_info, last_index_scan, plan_layout
SET max_parallel_maintenance_workers = 0;
CREATE TABLE ins (id int, e vector(8), h halfvec(8), s sparsevec(8), b bit(8), kind int);
CREATE INDEX ins_empty ON ins USING hnsw (e vector_l2_ops);
SELECT entry_level, live_vertices, heap_tids, bytes_per_vector, rows_at_build, mean_drift, needs_reindex
FROM vecrecall.index_info('ins_empty');
DROP INDEX ins_empty;
-- 200 rows, 20 of them twice; a NULL and a zero
INSERT INTO ins SELECT i, v::vector, v::halfvec, v::vector::sparsevec, (i % 256)::bit(8), i % 3
FROM generate_series(1, 200) i, LATERAL (SELECT array_agg(sin(i * j)) v FROM generate_series(1, 8) j) x;
INSERT INTO ins SELECT id + 1000, e, h, s, b, kind FROM ins WHERE id <= 20;
INSERT INTO ins VALUES (-1, NULL, NULL, NULL, NULL, 1),
	(-2, '[0,0,0,0,0,0,0,0]', '[0,0,0,0,0,0,0,0]', '{}/8', B'00000000', 1);
CREATE INDEX ins_l2 ON ins USING hnsw (e vector_l2_ops);
CREATE INDEX ins_cos ON ins USING hnsw (e vector_cosine_ops, kind) WITH (m = 4, ef_construction = 20, precision = int8);
CREATE INDEX ins_half ON ins USING hnsw (h halfvec_ip_ops) WITH (storage = plain);
CREATE INDEX ins_sparse ON ins USING hnsw (s sparsevec_l1_ops);
CREATE INDEX ins_bit ON ins USING hnsw (b bit_jaccard_ops);
SELECT c.relname, i.format_version f, i.type, i.metric, i.storage, i.precision, i.code_bits, i.dimensions d,
	i.attributes a, i.m, i.ef_construction ef, i.live_vertices live, i.dead_vertices dead, i.heap_tids tids,
	i.duplicates dup, i.rows_at_build rows, i.needs_reindex re, i.reason
FROM pg_class c, vecrecall.index_info(c.oid) i WHERE c.relname ~ '^ins_' ORDER BY 1;
-- the parts add up
SELECT c.relname, vertex_bytes + upper_bytes + attribute_bytes + tid_bytes + value_bytes + meta_bytes + free_bytes
	= pg_relation_size(c.oid) AS adds_up, slots_per_page * record_size <= 8152 AS fits,
	free_bytes >= free_slots * record_size AS free, upper_bytes = upper_records * record_size AS upper,
	attribute_bytes > 0 AS attributes, mean_drift < .5 AS centred
FROM pg_class c, vecrecall.index_info(c.oid) WHERE c.relname ~ '^ins_' ORDER BY 1;

-- values that have moved away from the mean
CREATE TABLE moved (e vector(8));
INSERT INTO moved SELECT ARRAY[sin(i), cos(i), sin(2 * i), cos(2 * i), 0, 0, 0, 0]::vector FROM generate_series(1, 200) i;
CREATE INDEX moved_e ON moved USING hnsw (e vector_l2_ops) WITH (precision = int8);
CREATE INDEX moved_exact ON moved USING hnsw (e vector_l2_ops) WITH (precision = f32);
INSERT INTO moved SELECT e + '[9,9,9,9,9,9,9,9]' FROM moved;
DELETE FROM moved WHERE vector_norm(e) < 9;
VACUUM moved;
SELECT mean_drift > .8 AS drifted, needs_reindex, reason FROM vecrecall.index_info('moved_e');
SELECT mean_drift > .8 AS drifted, needs_reindex, reason FROM vecrecall.index_info('moved_exact');
REINDEX TABLE moved;
SELECT mean_drift < .2 AS centred, needs_reindex, reason FROM vecrecall.index_info('moved_e');
TRUNCATE moved;
INSERT INTO moved SELECT ARRAY[9 + sin(i), 9 + cos(i), 9, 9, 9, 9, 9, 9]::vector FROM generate_series(1, 200) i;
SELECT needs_reindex, reason FROM vecrecall.index_info('moved_e');
DROP TABLE moved;

-- what the last scan did
SET enable_seqscan = off;
-- The same as EXPLAIN (ANALYZE) says it, from 18 on.
CREATE FUNCTION explained(query text, OUT stop_reason text, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
	node json;
	last record;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO node;
	node := node->0->'Plan'->'Plans'->0;
	SELECT * INTO last FROM vecrecall.last_index_scan();
	stop_reason := last.stop_reason;
	same := CASE WHEN current_setting('server_version_num')::int < 180000 THEN node->>'Index Visits' IS NULL
		ELSE (node->>'Index Visits')::int = last.visits AND (node->>'Index Passes')::int = last.passes
			AND node->>'Index Scan Stopped' = last.stop_reason AND (node->>'Index Searches')::int = 1 END;
END $$;
SELECT * FROM explained($q$SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 3$q$);
SELECT * FROM explained($q$SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 500$q$);
SET hnsw.max_scan_tuples = 60;
SELECT * FROM explained($q$SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 500$q$);
RESET hnsw.max_scan_tuples;
DROP FUNCTION explained;
SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 3;
SELECT index, visits > 40 AS visits, expanded > 40 AS expanded, passes, returned >= 3 AS returned, dropped,
	memory > 0 AS memory, stop_reason FROM vecrecall.last_index_scan();
SELECT count(*) > 150 FROM (SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 500) x;
SELECT index, passes > 1 AS passes, returned + dropped >= 200 AS returned, stop_reason FROM vecrecall.last_index_scan();
SET hnsw.iterative_scan = off;
SELECT count(*) < 100 FROM (SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 500) x;
SELECT index, passes, stop_reason FROM vecrecall.last_index_scan();
RESET hnsw.iterative_scan;
SET hnsw.max_scan_tuples = 60;
SELECT count(*) < 221 FROM (SELECT id FROM ins ORDER BY e <-> '[1,1,1,1,0,0,0,0]' LIMIT 500) x;
SELECT index, stop_reason FROM vecrecall.last_index_scan();
RESET hnsw.max_scan_tuples;
RESET enable_seqscan;

-- what an index would take
SELECT * FROM vecrecall.plan_layout(384, 62904);
SELECT storage, precision, code_bits, automatic, record_size, slots_per_page, round(index_bytes_per_row) AS index,
	round(table_bytes_per_row) AS tab, toasted FROM vecrecall.plan_layout(1536);
SELECT type, dim, storage, precision, automatic, slots_per_page, round(index_bytes_per_row) AS index, toasted
FROM (VALUES ('vector', 1), ('vector', 16000), ('halfvec', 768), ('sparsevec', 30000), ('bit', 1024), ('bit', 64000)) t(type, dim),
	vecrecall.plan_layout(dim, type => type) WHERE automatic;
SELECT storage, precision, slots_per_page FROM vecrecall.plan_layout(128, 1000, m => 48) WHERE automatic;
SELECT index_bytes, index_bytes_per_row, table_bytes FROM vecrecall.plan_layout(3, 0) WHERE automatic;
-- and it does
SELECT l.record_size = i.record_size AS record, l.slots_per_page = i.slots_per_page AS slots
FROM vecrecall.plan_layout(8) l, vecrecall.index_info('ins_l2') i WHERE l.automatic;

-- bad input
SELECT * FROM vecrecall.plan_layout(0);
SELECT * FROM vecrecall.plan_layout(16001);
SELECT * FROM vecrecall.plan_layout(3, -1);
SELECT * FROM vecrecall.plan_layout(3, 9223372036854775807);
SELECT * FROM vecrecall.plan_layout(3, 1, 'text');
SELECT * FROM vecrecall.plan_layout(3, 1, m => 1);
SELECT * FROM vecrecall.plan_layout(NULL);
SELECT live_vertices FROM vecrecall.index_info(NULL);
SELECT * FROM vecrecall.index_info('ins');
SELECT * FROM vecrecall.index_info('pg_class_oid_index');
SELECT * FROM vecrecall.index_info('no_such_index');
SELECT * FROM vecrecall.index_info(0);
CREATE TABLE ins_parts (id int, e vector(3)) PARTITION BY RANGE (id);
CREATE INDEX ins_parts_e ON ins_parts USING hnsw (e vector_l2_ops);
SELECT * FROM vecrecall.index_info('ins_parts_e');
DROP TABLE ins, ins_parts;
