-- Vacuum of the hnsw index: what is deleted goes, its room is used again, and
-- the graph stays as good as a new one.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;

-- Shared buffers that the insertion of rows takes, per row.
CREATE FUNCTION insert_buffers(rows text) RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
	plan json;
	n float8;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) INSERT INTO t ' || rows
		INTO plan;
	EXECUTE 'SELECT count(*) FROM (' || rows || ') s' INTO n;
	RETURN ((plan->0->'Plan'->>'Shared Hit Blocks')::float8
			+ (plan->0->'Plan'->>'Shared Read Blocks')::float8) / n;
END
$$;

-- Records that a search of a table for a row's ten nearest looks at, on average.
CREATE FUNCTION search_visits(tbl regclass, queries text) RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
	q text;
	scan record;
	total float8 := 0;
	n int := 0;
BEGIN
	-- recall() leaves them on.
	PERFORM set_config('enable_seqscan', 'off', true);
	FOR q IN EXECUTE 'SELECT x::text FROM (' || queries || ') s(x)' LOOP
		EXECUTE format('SELECT count(*) FROM (SELECT FROM %s ORDER BY v <-> %L LIMIT 10) s', tbl, q);
		SELECT * INTO scan FROM vecrecall.last_index_scan();
		IF scan.index NOT IN (SELECT indexrelid FROM pg_index WHERE indrelid = tbl) THEN
			RAISE EXCEPTION 'no index of % is used', tbl;
		END IF;
		total := total + scan.visits;
		n := n + 1;
	END LOOP;
	RETURN total / n;
END
$$;

-- One life of an index: what its searches find and look at, and what those of a
-- new index of the same rows do, of which fresh is the definition.
CREATE TABLE result (step text, recall float8, visits float8, fresh_recall float8, fresh_visits float8);
CREATE PROCEDURE measure(what text, fresh text)
LANGUAGE plpgsql
AS $$
DECLARE
	queries text := 'SELECT v FROM pool WHERE id > 6000';
	r result;
BEGIN
	PERFORM set_config('hnsw.ef_search', '20', true);
	r.step := what;
	r.recall := vr_test.recall('t', 'v', '<->', 10, queries);
	r.visits := search_visits('t', queries);
	CREATE TABLE new_t AS TABLE t;
	EXECUTE format(fresh, 'new_t');
	r.fresh_recall := vr_test.recall('new_t', 'v', '<->', 10, queries);
	r.fresh_visits := search_visits('new_t', queries);
	DROP TABLE new_t;
	INSERT INTO result SELECT r.*;
END
$$;

CREATE TABLE pool (id int, v vector(24));
INSERT INTO pool SELECT id, v::vector(24) FROM vr_test.vectors('clustered', 6090, 24, 1);
-- Under valgrind fewer queries.
\getenv few VR_FEW
\if :{?few}
DELETE FROM pool WHERE id > 6020;
\endif

-- ----------------------------------------------------------- as good as new
CREATE FUNCTION judge() RETURNS TABLE (step text, recall text, visits text)
LANGUAGE sql
AS $$
	SELECT r.step,
		   CASE WHEN r.recall >= greatest(0.95, 0.9 * r.fresh_recall) THEN 'good' ELSE 'bad: ' || r.recall || ' for ' || r.fresh_recall END,
		   CASE WHEN r.visits <= 1.1 * r.fresh_visits THEN 'good' ELSE 'bad: ' || r.visits || ' for ' || r.fresh_visits END
	FROM result r
	ORDER BY r.step;
$$;

TRUNCATE result;
CREATE TABLE t (id int, kind int, v vector(24));
INSERT INTO t SELECT id, id % 5, v FROM pool WHERE id <= 3000;
\set fresh 'CREATE INDEX ON %s USING hnsw (v vector_l2_ops)'
CREATE INDEX t_i ON t USING hnsw (v vector_l2_ops);
SELECT insert_buffers('SELECT id, id % 5, v FROM pool WHERE id BETWEEN 5801 AND 5900') AS buffers \gset
-- Half of the rows, one here, one there, and others in their place.
DELETE FROM t WHERE vr_test.rnd(3, id) < 0.5;
VACUUM t;
SELECT vr_test.faults('t_i');
CALL measure('half deleted', :'fresh');
SELECT pg_relation_size('t_i') AS size \gset
SELECT insert_buffers('SELECT id, id % 5, v FROM pool WHERE id BETWEEN 5901 AND 6000') <= 2 * :buffers AS at_most_twice_the_buffers;
INSERT INTO t SELECT id, id % 5, v FROM pool WHERE id BETWEEN 3001 AND 4300;
SELECT pg_relation_size('t_i') = :size AS room_is_used_again;
CALL measure('half replaced', :'fresh');
-- Again and again.
DELETE FROM t WHERE vr_test.rnd(4, id) < 0.5;
VACUUM t;
INSERT INTO t SELECT id, id % 5, v FROM pool p WHERE NOT EXISTS (SELECT FROM t WHERE t.id = p.id) ORDER BY id LIMIT 1500;
DELETE FROM t WHERE vr_test.rnd(5, id) < 0.5;
VACUUM t;
INSERT INTO t SELECT id, id % 5, v FROM pool p WHERE NOT EXISTS (SELECT FROM t WHERE t.id = p.id) ORDER BY id LIMIT 1500;
DELETE FROM t WHERE vr_test.rnd(6, id) < 0.5;
VACUUM t;
INSERT INTO t SELECT id, id % 5, v FROM pool p WHERE NOT EXISTS (SELECT FROM t WHERE t.id = p.id) ORDER BY id LIMIT 1500;
CALL measure('turned over', :'fresh');
SELECT pg_relation_size('t_i') <= :size * 1.1 AS room_is_used_again;
SELECT vr_test.faults('t_i');
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector');
-- A whole region.
DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 1) LIMIT 800);
VACUUM t;
CALL measure('region deleted', :'fresh');
SELECT vr_test.faults('t_i');
SELECT * FROM judge();

-- The same in the plain form, with attributes.
TRUNCATE result, t;
DROP INDEX t_i;
INSERT INTO t SELECT id, id % 5, v FROM pool WHERE id <= 3000;
\set fresh 'CREATE INDEX ON %s USING hnsw (v vector_l2_ops, kind) WITH (storage = plain)'
CREATE INDEX t_i ON t USING hnsw (v vector_l2_ops, kind) WITH (storage = plain);
SELECT insert_buffers('SELECT id, id % 5, v FROM pool WHERE id BETWEEN 5801 AND 5900') AS buffers \gset
DELETE FROM t WHERE vr_test.rnd(3, id) < 0.5;
VACUUM t;
SELECT vr_test.faults('t_i');
CALL measure('half deleted', :'fresh');
SELECT pg_relation_size('t_i') AS size \gset
SELECT insert_buffers('SELECT id, id % 5, v FROM pool WHERE id BETWEEN 5901 AND 6000') <= 2 * :buffers AS at_most_twice_the_buffers;
INSERT INTO t SELECT id, id % 5, v FROM pool WHERE id BETWEEN 3001 AND 4300;
SELECT pg_relation_size('t_i') = :size AS room_is_used_again;
CALL measure('half replaced', :'fresh');
DELETE FROM t WHERE vr_test.rnd(4, id) < 0.5;
VACUUM t;
INSERT INTO t SELECT id, id % 5, v FROM pool p WHERE NOT EXISTS (SELECT FROM t WHERE t.id = p.id) ORDER BY id LIMIT 1500;
CALL measure('turned over', :'fresh');
SELECT vr_test.faults('t_i');
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector');
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector',
						 'false', 'kind = 3');
DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 1) LIMIT 800);
VACUUM t;
CALL measure('region deleted', :'fresh');
SELECT vr_test.faults('t_i');
SELECT * FROM judge();

-- ------------------------------------------------------------ nothing is left
DELETE FROM t;
VACUUM t;
SELECT vr_test.faults('t_i');
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 1)) s;
SELECT entry_level, live_vertices, dead_vertices FROM vecrecall.index_info('t_i');
INSERT INTO t SELECT id, id % 5, v FROM pool WHERE id <= 500;
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector');
SELECT vr_test.faults('t_i');
-- All but one, all but two of them.
DELETE FROM t WHERE id <> 77;
VACUUM t;
SELECT vr_test.faults('t_i');
SELECT id FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 1);
INSERT INTO t SELECT id, 1, v FROM pool WHERE id = 78;
VACUUM t;
SELECT id FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 78);
-- A table that never had a row.
TRUNCATE t;
VACUUM t;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> (SELECT v FROM pool WHERE id = 1)) s;

-- ------------------------------------------------------------------ duplicates
-- Ten thousand equal rows are one vertex with a chain of TIDs.
INSERT INTO t SELECT id, 1, v FROM pool WHERE id <= 200;
INSERT INTO t SELECT 10000 + i, 1, (SELECT v FROM pool WHERE id = 5) FROM generate_series(1, 10000) i;
SELECT pg_relation_size('t_i') AS size \gset
DELETE FROM t WHERE id > 10000 AND id % 3 <> 0;
VACUUM t;
SELECT vr_test.faults('t_i');
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector');
SELECT live_vertices, dead_vertices FROM vecrecall.index_info('t_i');
-- Chunks of the chain are used again.
INSERT INTO t SELECT 30000 + i, 1, (SELECT v FROM pool WHERE id = 6) FROM generate_series(1, 3000) i;
SELECT pg_relation_size('t_i') = :size AS room_is_used_again;
SELECT vr_test.faults('t_i');
-- The first TID, those in the middle, all but the last; then none is left.
DELETE FROM t WHERE id IN (5, 6);
DELETE FROM t WHERE id BETWEEN 12000 AND 19000;
VACUUM t;
SELECT vr_test.faults('t_i');
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector');
DELETE FROM t WHERE id >= 10000 AND id <> (SELECT max(id) FROM t);
VACUUM t;
SELECT vr_test.faults('t_i');
SELECT vr_test.every_row('t', 'v', '<->', quote_literal((SELECT v FROM pool WHERE id = 1)) || '::vector');
DELETE FROM t WHERE id >= 10000;
VACUUM t;
SELECT vr_test.faults('t_i');
SELECT count(*) FROM t;
SELECT live_vertices, dead_vertices FROM vecrecall.index_info('t_i');

-- ----------------------------------------------------------------- long values
-- They have pages of their own, which are freed and used again.
CREATE TABLE big (id int, v vector(3000));
INSERT INTO big SELECT i, (SELECT array_agg(vr_test.rnd(i, d)) FROM generate_series(1, 3000) d)::vector
	FROM generate_series(1, 200) i;
CREATE INDEX big_i ON big USING hnsw (v vector_l1_ops);
SELECT pg_relation_size('big_i') AS size \gset
DELETE FROM big WHERE id % 2 = 0;
VACUUM big;
SELECT vr_test.faults('big_i');
INSERT INTO big SELECT i, (SELECT array_agg(vr_test.rnd(i, d)) FROM generate_series(1, 3000) d)::vector
	FROM generate_series(301, 390) i;
SELECT pg_relation_size('big_i') <= :size AS room_is_used_again;
SELECT vr_test.every_row('big', 'v', '<+>', quote_literal((SELECT v FROM big WHERE id = 1)) || '::vector');
SELECT vr_test.faults('big_i');

-- ------------------------------------------------------------------ other types
CREATE TABLE o (id int, b bit(64), s sparsevec(500), h halfvec(24));
INSERT INTO o SELECT id, (hashint8extended(id, 1))::bit(64),
		format('{%s:%s,%s:1}/500', 1 + id % 7, (id % 29) / 9.0 + 1, 300 + id % 13)::sparsevec, v::halfvec
	FROM pool WHERE id <= 1000;
CREATE INDEX o_b ON o USING hnsw (b bit_hamming_ops);
CREATE INDEX o_s ON o USING hnsw (s sparsevec_l2_ops);
CREATE INDEX o_h ON o USING hnsw (h halfvec_ip_ops);
CREATE INDEX o_l ON o USING hnsw (h halfvec_l1_ops);
DELETE FROM o WHERE id % 5 <> 0;
VACUUM o;
SELECT i, f FROM unnest(ARRAY['o_b', 'o_s', 'o_h', 'o_l']::regclass[]) i, vr_test.faults(i) f;
INSERT INTO o SELECT id, (hashint8extended(id, 1))::bit(64),
		format('{%s:%s,%s:1}/500', 1 + id % 7, (id % 29) / 9.0 + 1, 300 + id % 13)::sparsevec, v::halfvec
	FROM pool WHERE id BETWEEN 1001 AND 1600;
SELECT i, f FROM unnest(ARRAY['o_b', 'o_s', 'o_h', 'o_l']::regclass[]) i, vr_test.faults(i) f;
SELECT vr_test.every_row('o', 'b', '<~>', quote_literal((SELECT b FROM o WHERE id = 5)) || '::bit(64)');
SELECT vr_test.every_row('o', 's', '<->', quote_literal((SELECT s FROM o WHERE id = 5)) || '::sparsevec');
SELECT vr_test.every_row('o', 'h', '<#>', quote_literal((SELECT h FROM o WHERE id = 5)) || '::halfvec');
SELECT vr_test.every_row('o', 'h', '<+>', quote_literal((SELECT h FROM o WHERE id = 5)) || '::halfvec');

-- -------------------------------------------------- statistics, other commands
VACUUM (INDEX_CLEANUP off) o;
VACUUM (FREEZE) o;
ANALYZE o;
VACUUM (PARALLEL 2) o;
SELECT relname, reltuples FROM pg_class WHERE relname LIKE 'o\__' ORDER BY 1;
DELETE FROM o WHERE id % 10 = 0;
SET min_parallel_index_scan_size = 0;
VACUUM (PARALLEL 2) o;
SELECT relname, reltuples FROM pg_class WHERE relname LIKE 'o\__' ORDER BY 1;
SELECT i, f FROM unnest(ARRAY['o_b', 'o_s', 'o_h', 'o_l']::regclass[]) i, vr_test.faults(i) f;
RESET min_parallel_index_scan_size;

DROP TABLE t, pool, result, big, o;
DROP FUNCTION insert_buffers, search_visits, judge;
DROP PROCEDURE measure;
\set ECHO errors
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
