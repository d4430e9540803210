-- check_index: sound indexes give no row; whom it serves, and what it refuses.
-- Damaged ones are test/t/024_hnsw_damage.pl.
SET max_parallel_maintenance_workers = 0;
CREATE TABLE chk (id int, e vector(16), kind int, name text);
INSERT INTO chk SELECT i, v::vector, i % 5, 'n' || i % 3
FROM generate_series(1, 300) i, LATERAL (SELECT array_agg(sin(i * j)) v FROM generate_series(1, 16) j) x;
-- duplicates, more than a chunk holds; what no index has
INSERT INTO chk SELECT id + 1000, e, kind, name FROM chk, generate_series(1, 30) WHERE id < 4;
INSERT INTO chk VALUES (-1, NULL, 1, 'x'), (-2, array_fill(0, ARRAY[16])::vector, NULL, NULL);
CREATE INDEX chk_l2 ON chk USING hnsw (e vector_l2_ops);
CREATE INDEX chk_ip ON chk USING hnsw (e vector_ip_ops) WITH (m = 20, precision = f32);
CREATE INDEX chk_cos ON chk USING hnsw (e vector_cosine_ops, kind, name) WITH (precision = int8);
CREATE INDEX chk_l1 ON chk USING hnsw (e vector_l1_ops, kind);
CREATE INDEX chk_half ON chk USING hnsw ((e::halfvec(16)) halfvec_cosine_ops) WITH (storage = plain);
CREATE INDEX chk_sparse ON chk USING hnsw ((e::sparsevec(16)) sparsevec_cosine_ops);
CREATE INDEX chk_bit ON chk USING hnsw ((binary_quantize(e)::bit(16)) bit_hamming_ops);
CREATE INDEX chk_part ON chk USING hnsw (e vector_l2_ops) WHERE kind = 3;
-- Reachability depends on the data: no fault of a field.
CREATE FUNCTION chk_all() RETURNS TABLE (index name, faults bigint, fault text) LANGUAGE sql AS $$
	SELECT relname, count(fault), min(fault) FROM pg_class c
	LEFT JOIN LATERAL (SELECT * FROM vecrecall.check_index(c.oid, true)
		WHERE fault !~ 'cannot be reached') x ON true
	WHERE relname ~ '^chk_' AND relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw')
	GROUP BY relname ORDER BY relname $$;
SELECT * FROM chk_all();
-- inserts, updates that move rows and such that do not, deletes, vacuum, reuse
INSERT INTO chk SELECT i, v::vector, i % 5, 'n' || i % 3
FROM generate_series(301, 400) i, LATERAL (SELECT array_agg(sin(i * j)) v FROM generate_series(1, 16) j) x;
UPDATE chk SET name = name || '!' WHERE id % 7 = 0;
UPDATE chk SET e = e + e WHERE id % 11 = 0;
DELETE FROM chk WHERE id % 3 = 0;
SELECT * FROM chk_all();
VACUUM chk;
SELECT * FROM chk_all();
INSERT INTO chk SELECT i, v::vector, i % 5, 'n' || i % 3
FROM generate_series(401, 500) i, LATERAL (SELECT array_agg(sin(i * j)) v FROM generate_series(1, 16) j) x;
SELECT * FROM chk_all();
-- options altered after the build are for the next one
ALTER INDEX chk_l2 SET (m = 5, storage = plain);
SELECT * FROM vecrecall.check_index('chk_l2') WHERE fault !~ 'cannot be reached';
REINDEX INDEX chk_l2;
SELECT * FROM vecrecall.check_index('chk_l2', true) WHERE fault !~ 'cannot be reached';
DELETE FROM chk;
VACUUM chk;
SELECT * FROM chk_all();
TRUNCATE chk;
SELECT * FROM chk_all();
-- rows of the present transaction, and of one that was aborted
BEGIN;
INSERT INTO chk VALUES (1, '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]', 3, 'a');
SAVEPOINT s;
INSERT INTO chk VALUES (2, '[2,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]', 3, 'b');
ROLLBACK TO s;
SELECT * FROM chk_all();
COMMIT;
-- values longer than a page
CREATE TABLE chk_long (e vector(4000));
INSERT INTO chk_long SELECT (SELECT array_agg(sin(i * j)) FROM generate_series(1, 4000) j)::vector FROM generate_series(1, 20) i;
CREATE INDEX chk_long_e ON chk_long USING hnsw (e vector_l1_ops);
CREATE INDEX chk_long_q ON chk_long USING hnsw (e vector_cosine_ops);
SELECT * FROM vecrecall.check_index('chk_long_e', true);
SELECT * FROM vecrecall.check_index('chk_long_q', true);

-- what it refuses
SELECT * FROM vecrecall.check_index(NULL);
SELECT * FROM vecrecall.check_index('chk_l2', NULL);
SELECT * FROM vecrecall.check_index('chk');
SELECT * FROM vecrecall.check_index('pg_class_oid_index');
SELECT * FROM vecrecall.check_index('no_such_index');
SELECT * FROM vecrecall.check_index(0);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chk_l2'::regclass;
SELECT * FROM vecrecall.check_index('chk_l2');
SELECT * FROM vecrecall.check_index('chk_l2', true);
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'chk_l2'::regclass;
CREATE ROLE chk_other;
GRANT SELECT ON chk TO chk_other;
SET ROLE chk_other;
SELECT * FROM vecrecall.check_index('chk_l2');
SELECT live_vertices FROM vecrecall.index_info('chk_l2');
RESET ROLE;
ALTER TABLE chk OWNER TO chk_other;
SET ROLE chk_other;
SELECT * FROM vecrecall.check_index('chk_l2', true);
RESET ROLE;
-- the lock that keeps writers out goes with the call
BEGIN;
SELECT * FROM vecrecall.check_index('chk_l2');
SELECT mode FROM pg_locks WHERE relation = 'chk'::regclass AND pid = pg_backend_pid();
COMMIT;
DROP TABLE chk, chk_long;
DROP FUNCTION chk_all();
DROP ROLE chk_other;
