-- Indexes on every kind of relation, and what can be done with them.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;
SET min_parallel_table_scan_size = 0;

-- Temporary tables: no parallel build, no WAL, pages in local buffers.
CREATE TEMP TABLE t (id int, v vector(8)) ON COMMIT PRESERVE ROWS;
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 300, 8, 71);
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_p ON t USING hnsw (v vector_cosine_ops) WITH (storage = plain);
INSERT INTO t SELECT id + 300, v FROM vr_test.vectors('uniform', 100, 8, 72);
DELETE FROM t WHERE id % 3 = 0;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]'''), vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
VACUUM t;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]'''), vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.faults('t_q'), vr_test.faults('t_p');
DROP TABLE t;
-- Emptied at commit.
CREATE TEMP TABLE t (id int, v vector(8)) ON COMMIT DELETE ROWS;
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops);
BEGIN;
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 30, 8, 71);
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
COMMIT;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
DROP TABLE t;

-- Unlogged tables, and there and back again.
CREATE UNLOGGED TABLE t (id int, v vector(8));
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 300, 8, 73);
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
ALTER TABLE t SET LOGGED;
INSERT INTO t SELECT id + 300, v FROM vr_test.vectors('uniform', 30, 8, 74);
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
ALTER TABLE t SET UNLOGGED;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.faults('t_q');
DROP TABLE t;

-- Partitions: an index of each, rows merged by distance.
CREATE TABLE t (id int, v vector(8)) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (200);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (200) TO (400) PARTITION BY HASH (id);
CREATE TABLE t2a PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t2b PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 399, 8, 75);
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
CREATE TABLE t3 (v vector(8), junk text, id int);
INSERT INTO t3 SELECT v, '', id FROM vr_test.vectors('uniform', 500, 8, 75) WHERE id >= 400;
ALTER TABLE t3 DROP COLUMN junk;
CREATE INDEX t3_mine ON t3 USING hnsw (v vector_l2_ops);
ALTER TABLE t ATTACH PARTITION t3 DEFAULT;
EXPLAIN (COSTS off) SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 5;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.in_order('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''', 300);
CREATE TABLE exact AS SELECT id, v FROM t;
SELECT a.id = b.id AS same
FROM (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 5) s) a
	JOIN (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM exact ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 5) s) b USING (n);
UPDATE t SET id = id + 200 WHERE id < 50;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
ALTER TABLE t DETACH PARTITION t1;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]'''), vr_test.every_row('t1', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.faults('t3_mine');
SELECT vr_test.faults('t2a_v_idx');
DROP TABLE t, t1, exact;
-- Inheritance likewise.
CREATE TABLE t (id int, v vector(2));
CREATE TABLE u () INHERITS (t);
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON u USING hnsw (v vector_l2_ops);
INSERT INTO t VALUES (1, '[1,1]'), (3, '[3,3]');
INSERT INTO u VALUES (2, '[2,2]'), (4, '[4,4]');
SELECT id FROM t ORDER BY v <-> '[0,0]';
DROP TABLE t, u;

-- Expression and partial indexes.
CREATE TABLE t (id int, a real[], kind text);
INSERT INTO t SELECT id, v, CASE WHEN id % 3 = 0 THEN 'x' END FROM vr_test.vectors('uniform', 300, 8, 76);
CREATE INDEX t_e ON t USING hnsw ((a::vector(8)) vector_l2_ops);
CREATE INDEX t_x ON t USING hnsw ((a::vector(8)) vector_l1_ops) WHERE kind = 'x';
SELECT vr_test.every_row('t', '(a::vector(8))', '<->', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.every_row('t', '(a::vector(8))', '<+>', '''[1,1,1,1,1,1,1,1]''', 'false', 'kind = ''x''');
UPDATE t SET kind = CASE WHEN id % 5 = 0 THEN 'x' END;
SELECT vr_test.every_row('t', '(a::vector(8))', '<+>', '''[1,1,1,1,1,1,1,1]''', 'false', 'kind = ''x''');
SELECT vr_test.every_row('t', '(a::vector(8))', '<->', '''[1,1,1,1,1,1,1,1]''');
-- An expression that fails for a row fails its insertion, and the build.
INSERT INTO t VALUES (1, '{1,2}');
DROP INDEX t_e, t_x;
INSERT INTO t VALUES (1, '{1,2}');
CREATE INDEX t_e ON t USING hnsw ((a::vector(8)) vector_l2_ops);
SELECT count(*) FROM pg_class WHERE relname = 't_e';
CREATE INDEX t_e ON t USING hnsw ((a::vector(8)) vector_l2_ops) WHERE cardinality(a) = 8;
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM (SELECT FROM t WHERE cardinality(a) = 8 ORDER BY a::vector(8) <-> '[1,1,1,1,1,1,1,1]') s;
RESET hnsw.iterative_scan;
DROP TABLE t;
-- A part of a vector, and a generated column.
CREATE TABLE t (id int, v vector(8), front vector(3) GENERATED ALWAYS AS (subvector(v, 1, 3)) STORED);
CREATE INDEX t_g ON t USING hnsw (front vector_ip_ops);
CREATE INDEX t_s ON t USING hnsw ((subvector(v, 2, 4)::vector(4)) vector_cosine_ops);
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 100, 8, 77);
SELECT vr_test.every_row('t', 'front', '<#>', '''[1,1,1]'''), vr_test.every_row('t', '(subvector(v, 2, 4)::vector(4))', '<=>', '''[1,1,1,1]''');
DROP TABLE t;

-- Empty, and with one row; emptied by TRUNCATE in the transaction that made it.
CREATE TABLE t (id int, v vector(3));
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_p ON t USING hnsw (v vector_l1_ops);
SELECT id FROM t ORDER BY v <-> '[1,1,1]';
SELECT id FROM t ORDER BY v <+> '[1,1,1]' LIMIT 1;
SELECT vr_test.faults('t_q'), vr_test.faults('t_p');
VACUUM t;
INSERT INTO t VALUES (0, NULL);
SELECT id FROM t ORDER BY v <-> '[1,1,1]';
INSERT INTO t VALUES (1, '[1,2,3]');
SELECT id FROM t ORDER BY v <-> '[1,1,1]';
SELECT id FROM t ORDER BY v <+> '[1,1,1]';
REINDEX TABLE t;
SELECT id FROM t ORDER BY v <-> '[1,1,1]';
SELECT vr_test.faults('t_q'), vr_test.faults('t_p');
DROP TABLE t;
BEGIN;
CREATE TABLE t (id int, v vector(8));
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 300, 8, 78);
TRUNCATE t;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 200, 8, 79);
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
SAVEPOINT s;
TRUNCATE t;
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 10, 8, 79);
ROLLBACK TO s;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
COMMIT;
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');

-- Built again in each way, with rows between.
CREATE INDEX CONCURRENTLY t_c ON t USING hnsw (v vector_cosine_ops);
INSERT INTO t SELECT id + 1000, v FROM vr_test.vectors('uniform', 50, 8, 80);
REINDEX INDEX CONCURRENTLY t_q;
REINDEX TABLE CONCURRENTLY t;
INSERT INTO t SELECT id + 2000, v FROM vr_test.vectors('uniform', 50, 8, 81);
SELECT vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]'''), vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.faults('t_q'), vr_test.faults('t_c');
DROP INDEX CONCURRENTLY t_c;
-- A build of rows that a transaction of its own has deleted or changed.
BEGIN;
UPDATE t SET v = v + '[1,1,1,1,1,1,1,1]' WHERE id % 2 = 0;
DELETE FROM t WHERE id % 5 = 0;
CREATE INDEX t_c ON t USING hnsw (v vector_cosine_ops);
SELECT vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
COMMIT;
SELECT vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
-- After HOT updates: the index has the TID of the chain's root.
ALTER TABLE t ADD n int DEFAULT 0;
VACUUM FULL t;
ALTER TABLE t SET (fillfactor = 40);
VACUUM FULL t;
UPDATE t SET n = 1;
SELECT vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
REINDEX TABLE t;
SELECT vr_test.every_row('t', 'v', '<=>', '''[1,1,1,1,1,1,1,1]''');
SELECT vr_test.faults('t_q'), vr_test.faults('t_c');

-- Moved, renamed, copied as a definition.
ALTER INDEX t_q SET TABLESPACE pg_default;
ALTER INDEX t_q RENAME TO t_renamed;
CREATE TABLE u (LIKE t INCLUDING ALL);
SELECT regexp_replace(indexdef, '\(.*', '') AS def FROM pg_indexes WHERE tablename = 'u' ORDER BY 1;
INSERT INTO u TABLE t;
SELECT vr_test.every_row('u', 'v', '<->', '''[1,1,1,1,1,1,1,1]''');
CREATE MATERIALIZED VIEW m AS SELECT id, v FROM t;
CREATE INDEX m_q ON m USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT id + 3000, v FROM vr_test.vectors('uniform', 50, 8, 82);
REFRESH MATERIALIZED VIEW m;
SELECT vr_test.every_row('m', 'v', '<->', '''[1,1,1,1,1,1,1,1]''') = vr_test.every_row('t', 'v', '<->', '''[1,1,1,1,1,1,1,1]''') AS same;
SELECT vr_test.faults('m_q');
DROP MATERIALIZED VIEW m;
DROP TABLE t, u;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
