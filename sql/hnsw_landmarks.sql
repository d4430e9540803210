-- Landmarks: the vertices that a session remembers of an index, to begin
-- searches at. They make searches shorter and change nothing else, however old
-- they are.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;
SET jit = off;

-- Searches of a table for the ten nearest of n queries: how many of those rows
-- were the right ones, unless nobody asks, and records looked at, on average.
CREATE FUNCTION search(tbl regclass, op text, dim int, n int, seed int, judge boolean,
					   OUT recall float8, OUT visits float8)
LANGUAGE plpgsql
AS $$
DECLARE
	q real[];
	right_ones int;
	scan record;
BEGIN
	recall := 0;
	visits := 0;
	FOR q IN SELECT v FROM vr_test.vectors('clustered', n, dim, seed) LOOP
		EXECUTE format('WITH found AS MATERIALIZED (SELECT id, v FROM %1$s ORDER BY v %2$s %3$L LIMIT 10),'
					   ' nearest AS MATERIALIZED (SELECT v %2$s %3$L AS d FROM %1$s WHERE %4$L ORDER BY (v %2$s %3$L) + 0 LIMIT 10)'
					   ' SELECT count(*) FROM found WHERE v %2$s %3$L <='
					   ' (SELECT max(d) + abs(max(d)) * 1e-6 FROM nearest)',
					   tbl, op, q::vector, judge) INTO right_ones;
		SELECT * INTO STRICT scan FROM vecrecall.last_index_scan();
		IF scan.index NOT IN (SELECT indexrelid FROM pg_index WHERE indrelid = tbl) THEN
			RAISE EXCEPTION 'no index of % is used', tbl;
		END IF;
		recall := recall + right_ones / 10.0 / n;
		visits := visits + scan.visits::float8 / n;
	END LOOP;
END
$$;

-- The same with landmarks, once there are some, and without. Under valgrind by
-- fewer queries: to look at every row takes the most there.
CREATE TABLE asked AS SELECT 60 AS n;
\getenv few VR_FEW
\if :{?few}
UPDATE asked SET n = 12;
\endif
CREATE FUNCTION compare(tbl regclass, op text, dim int, seed int,
						OUT answers text, OUT looked_at text)
LANGUAGE plpgsql
AS $$
DECLARE
	with_some record;
	without record;
	n CONSTANT int := (SELECT n FROM asked);
BEGIN
	SET LOCAL hnsw.landmarks = 0;
	SELECT * INTO without FROM search(tbl, op, dim, n, seed, true);
	SET LOCAL hnsw.landmarks = 4096;
	PERFORM search(tbl, op, dim, 40, seed, false);
	SELECT * INTO with_some FROM search(tbl, op, dim, n, seed, true);
	answers := CASE WHEN with_some.recall >= greatest(without.recall - 0.01, 0.95) THEN 'as good'
					ELSE format('%s instead of %s', with_some.recall, without.recall) END;
	looked_at := CASE WHEN with_some.visits < without.visits - 1 THEN 'less'
					  ELSE format('%s instead of %s', with_some.visits, without.visits) END;
END
$$;

CREATE TABLE t (id int, kind int, v vector(24));
INSERT INTO t SELECT id, id % 50, v FROM vr_test.vectors('clustered', 6000, 24, 1);
CREATE INDEX t_l2 ON t USING hnsw (v vector_l2_ops);
SELECT * FROM compare('t', '<->', 24, 1);
SELECT vr_test.every_row('t', 'v', '<->', (SELECT quote_literal(v) FROM t WHERE id = 7));
SELECT vr_test.in_order('t', 'v', '<->', (SELECT quote_literal(v) FROM t WHERE id = 7), 500);

-- The values of the rows remembered change under them.
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
INSERT INTO t SELECT 10000 + id, id % 50, v FROM vr_test.vectors('clustered', 3000, 24, 2);
SELECT * FROM compare('t', '<->', 24, 2);
SELECT vr_test.every_row('t', 'v', '<->', (SELECT quote_literal(v) FROM t WHERE id = 7));
SELECT vr_test.faults('t_l2');

-- All of them are gone: what is there now is found all the same, going on or not.
DELETE FROM t;
VACUUM t;
INSERT INTO t SELECT id, 0, v FROM vr_test.vectors('uniform', 20, 24, 3);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 15) s;
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 15) s;
RESET hnsw.iterative_scan;
SELECT vr_test.every_row('t', 'v', '<->', (SELECT quote_literal(v) FROM t WHERE id = 7));
SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 7) LIMIT 1;
DELETE FROM t;
VACUUM t;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> (SELECT v FROM vr_test.vectors('uniform', 1, 24, 3))::vector LIMIT 15) s;

-- The index is another one, and then a much larger one.
TRUNCATE t;
INSERT INTO t SELECT id, id % 50, v FROM vr_test.vectors('clustered', 800, 24, 4);
SELECT count(*) FROM search('t', '<->', 24, 30, 12, false);
INSERT INTO t SELECT 1000 + id, id % 50, v FROM vr_test.vectors('clustered', 3200, 24, 5);
SELECT * FROM compare('t', '<->', 24, 4);
REINDEX INDEX t_l2;
SELECT * FROM compare('t', '<->', 24, 4);
SELECT vr_test.every_row('t', 'v', '<->', (SELECT quote_literal(v) FROM t WHERE id = 7));

-- The other distances, and attributes.
DROP INDEX t_l2;
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops, kind);
SELECT * FROM compare('t', '<=>', 24, 4);
SELECT vr_test.every_row('t', 'v', '<=>', (SELECT quote_literal(v) FROM t WHERE id = 7), 'false', 'kind = 9');
SELECT vr_test.every_row('t', 'v', '<=>', (SELECT quote_literal(v) FROM t WHERE id = 7), 'false', 'kind <> 9');
SELECT vr_test.every_row('t', 'v', '<=>', (SELECT quote_literal(v) FROM t WHERE id = 7), 'false', 'kind IN (9, 77)');
DROP INDEX t_cosine;
CREATE INDEX t_ip ON t USING hnsw (v vector_ip_ops);
SELECT answers FROM compare('t', '<#>', 24, 4);
SELECT vr_test.every_row('t', 'v', '<#>', (SELECT quote_literal(v) FROM t WHERE id = 7));
DROP INDEX t_ip;

-- A query without a direction, one far away, and a NULL.
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops);
SELECT count(*) FROM search('t', '<=>', 24, 60, 12, false);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> array_fill(0, ARRAY[24])::vector LIMIT 15) s;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> array_fill(3e38::real, ARRAY[24])::vector LIMIT 15) s;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> NULL LIMIT 15) s;

-- The plain form has none, and says nothing.
DROP INDEX t_cosine;
CREATE INDEX t_plain ON t USING hnsw (v vector_l2_ops) WITH (storage = plain);
SELECT answers FROM compare('t', '<->', 24, 4);

-- What may be set.
SET hnsw.landmarks = -1;
SET hnsw.landmarks = 65537;
SET hnsw.landmarks = 31;
SELECT answers FROM compare('t', '<->', 24, 4);

DROP TABLE t, asked;
DROP FUNCTION search, compare;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
