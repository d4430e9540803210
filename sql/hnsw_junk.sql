-- Plans do without distances that nobody reads: the scan's output has NULL for
-- the ORDER BY expression where it is junk, and the expression where it is not.
SET enable_seqscan = off;
CREATE TABLE t (id int, v vector(2));
INSERT INTO t SELECT i, ARRAY[i, i]::vector FROM generate_series(1, 20) i;
CREATE INDEX t_i ON t USING hnsw (v vector_l2_ops);

-- Junk: below LIMIT, in a subquery, alone.
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM t ORDER BY v <-> '[1,1.5]' LIMIT 3;
EXPLAIN (VERBOSE, COSTS off) SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[1,1.5]' LIMIT 3) s;
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM t ORDER BY v <-> '[1,1.5]';

-- Read: selected, selected by a subquery, compared by WITH TIES, merged.
EXPLAIN (VERBOSE, COSTS off) SELECT id, v <-> '[1,1.5]' AS d FROM t ORDER BY d LIMIT 3;
EXPLAIN (VERBOSE, COSTS off) SELECT d FROM (SELECT v <-> '[1,1.5]' AS d FROM t ORDER BY v <-> '[1,1.5]' LIMIT 3) s;
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM t ORDER BY v <-> '[1,1.5]' FETCH FIRST 3 ROWS WITH TIES;
CREATE TABLE p (id int, v vector(2)) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE INDEX ON p USING hnsw (v vector_l2_ops);
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM p ORDER BY v <-> '[1,1.5]' LIMIT 3;

-- The rows are the same, and in order.
SELECT id FROM t ORDER BY v <-> '[1,1.5]' LIMIT 3;
SELECT id, round((v <-> '[1,1.5]')::numeric, 3) AS d FROM t ORDER BY v <-> '[1,1.5]' LIMIT 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1.5,1.5]' FETCH FIRST 1 ROWS WITH TIES) s;
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[1,1.5]' LIMIT 3) s;
PREPARE near(vector) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT 2;
SET plan_cache_mode = force_generic_plan;
EXECUTE near('[1,1.5]');
EXECUTE near('[9.2,9.2]');
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> '[20,20]';
FETCH 2 FROM c;
COMMIT;
SELECT id FROM t ORDER BY v <-> '[1,1.5]' LIMIT 2 FOR UPDATE;
DROP TABLE t, p;
