-- A build tells the planner what it took, unless that is off.
CREATE TABLE hnsw_record (v vector(7));
INSERT INTO hnsw_record SELECT array_fill(i::real, ARRAY[7])::vector FROM generate_series(1, 50) i;
SET vecrecall.planner = off;
CREATE INDEX hnsw_record_i ON hnsw_record USING hnsw (v vector_l2_ops);
SELECT count(*) FROM vecrecall.batch_history WHERE op = 'index_build' AND dim = 7;
SET vecrecall.planner = on;
REINDEX INDEX hnsw_record_i;
REINDEX INDEX CONCURRENTLY hnsw_record_i;
SELECT op, target, batch_size, rows, concurrency, elapsed_ms > 0 AS timed, mem_bytes > 0 AS measured, ok
FROM vecrecall.batch_history WHERE op = 'index_build' AND dim = 7;
-- Whoever may build may record, without rights on the history.
CREATE ROLE hnsw_record_user;
CREATE SCHEMA hnsw_record_schema AUTHORIZATION hnsw_record_user;
SET ROLE hnsw_record_user;
CREATE TABLE hnsw_record_schema.t AS SELECT '[1,2,3,4,5,6,7]'::vector(7) AS v;
CREATE INDEX ON hnsw_record_schema.t USING hnsw (v vector_l2_ops);
RESET ROLE;
SELECT count(*) FROM vecrecall.batch_history WHERE op = 'index_build' AND dim = 7;
-- Nothing to learn from an empty table.
TRUNCATE hnsw_record;
SELECT count(*) FROM vecrecall.batch_history WHERE op = 'index_build' AND dim = 7;
DELETE FROM vecrecall.batch_history WHERE op = 'index_build';
DROP TABLE hnsw_record;
DROP SCHEMA hnsw_record_schema CASCADE;
DROP ROLE hnsw_record_user;
