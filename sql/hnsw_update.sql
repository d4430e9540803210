-- UPDATE, DELETE and what transactions make of them.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

CREATE TABLE d (id int PRIMARY KEY, v vector(8), n int DEFAULT 0);
INSERT INTO d SELECT id, v FROM vr_test.vectors('uniform', 500, 8, 61);
CREATE INDEX d_q ON d USING hnsw (v vector_l2_ops);
CREATE INDEX d_p ON d USING hnsw (v vector_ip_ops) WITH (storage = plain);
-- So that no update is heap-only.
CREATE INDEX d_n ON d (n);
SET enable_seqscan = off;
CREATE FUNCTION all_rows() RETURNS text LANGUAGE sql
AS $$ SELECT vr_test.every_row('d', 'v', '<->', '''[1,1,1,1,1,1,1,1]''') || '; '
	|| vr_test.every_row('d', 'v', '<#>', '''[1,1,1,1,1,1,1,1]''') $$;
CREATE FUNCTION pages(OUT q bigint, OUT p bigint) LANGUAGE sql
AS $$ SELECT pg_relation_size('d_q') / 8192, pg_relation_size('d_p') / 8192 $$;
CREATE TABLE before AS SELECT * FROM pages();

-- Rows keep their ctid, or they could not be locked.
SELECT count(*) FROM (SELECT id FROM d ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 20 FOR UPDATE) s;

-- The vector stays: the new version joins its vertex, so the index grows by TIDs only.
UPDATE d SET n = n + 1;
SELECT all_rows();
UPDATE d SET n = n + 1;
UPDATE d SET n = n + 1;
SELECT all_rows();
SELECT a.q - b.q <= 8 AS q, a.p - b.p <= 8 AS p FROM pages() a, before b;
VACUUM d;
SELECT all_rows();
UPDATE d SET v = v;
SELECT all_rows();
SELECT vr_test.faults('d_q'), vr_test.faults('d_p');

-- The vector changes.
UPDATE d SET v = v + '[1,1,1,1,1,1,1,1]' WHERE id <= 100;
SELECT all_rows();
SELECT id FROM d ORDER BY v <-> (SELECT v FROM d WHERE id = 50) LIMIT 1;
UPDATE d SET v = NULL WHERE id BETWEEN 101 AND 150;
SELECT all_rows();
UPDATE d SET v = '[1,2,3,4,5,6,7,8]' WHERE v IS NULL;
SELECT all_rows();
DELETE FROM d WHERE id > 400;
SELECT all_rows();

-- Aborted and committed subtransactions; a row changed twice in one transaction.
BEGIN;
SAVEPOINT a;
INSERT INTO d SELECT id + 1000, v FROM vr_test.vectors('uniform', 50, 8, 62);
UPDATE d SET n = 9 WHERE id <= 50;
SELECT all_rows();
ROLLBACK TO a;
SELECT all_rows();
SAVEPOINT b;
UPDATE d SET v = v + '[1,0,0,0,0,0,0,0]' WHERE id <= 20;
RELEASE b;
UPDATE d SET v = v + '[1,0,0,0,0,0,0,0]', n = 10 WHERE id <= 20;
DELETE FROM d WHERE id = 1;
INSERT INTO d VALUES (1, '[9,9,9,9,9,9,9,9]');
SELECT all_rows();
COMMIT;
SELECT all_rows();
BEGIN;
DELETE FROM d;
SELECT all_rows();
ROLLBACK;
SELECT all_rows();
SELECT id FROM d ORDER BY v <-> '[9,9,9,9,9,9,9,9]' LIMIT 1;

-- A statement that fails half way.
INSERT INTO d SELECT id + 2000, v, 1 / (id - 40) FROM vr_test.vectors('uniform', 50, 8, 63);
SELECT all_rows();
INSERT INTO d SELECT 1, v FROM vr_test.vectors('uniform', 50, 8, 63) ON CONFLICT (id) DO UPDATE SET n = d.n + 1;
INSERT INTO d VALUES (1, '[1,1,1,1,1,1,1,1]') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v, n = d.n + 1;
SELECT all_rows();
SELECT id FROM d ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 1;

-- Vacuum, and slots used again.
VACUUM d;
SELECT all_rows();
SELECT vr_test.faults('d_q'), vr_test.faults('d_p');
INSERT INTO d SELECT id + 3000, v FROM vr_test.vectors('uniform', 300, 8, 64);
SELECT all_rows();
DELETE FROM d WHERE id % 2 = 0;
VACUUM d;
INSERT INTO d SELECT id + 4000, v FROM vr_test.vectors('uniform', 300, 8, 65);
SELECT all_rows();
-- TIDs of the table's end are given to other rows.
DELETE FROM d WHERE id > 3000;
VACUUM d;
INSERT INTO d SELECT id + 5000, v FROM vr_test.vectors('uniform', 300, 8, 66);
SELECT all_rows();
VACUUM FULL d;
SELECT all_rows();
CLUSTER d USING d_pkey;
SELECT all_rows();
TRUNCATE d;
SELECT all_rows();
INSERT INTO d SELECT id, v FROM vr_test.vectors('uniform', 100, 8, 67);
SELECT all_rows();
SELECT vr_test.faults('d_q'), vr_test.faults('d_p');
-- Everything goes, then comes again.
DELETE FROM d;
VACUUM d;
SELECT all_rows();
SELECT vr_test.faults('d_q'), vr_test.faults('d_p');
INSERT INTO d SELECT id, v FROM vr_test.vectors('uniform', 100, 8, 68);
SELECT all_rows();
SELECT vr_test.faults('d_q'), vr_test.faults('d_p');

DROP TABLE d, before;
DROP FUNCTION all_rows, pages;

-- An UPDATE that leaves the vector need not search for long. Buffers per row, of
-- which 5 are the table's and btree's: rows one after another, far apart, and
-- far apart by a session that has updated many.
CREATE TABLE u (id int, v vector(48), n int) WITH (fillfactor = 50);
INSERT INTO u SELECT id, v, id FROM vr_test.vectors('clustered', 3000, 48, 63);
CREATE INDEX u_n ON u (n);
CREATE FUNCTION update_buffers(rows text) RETURNS float8 LANGUAGE plpgsql
SET enable_seqscan = on
AS $$
DECLARE
	plan json;
	n float8;
BEGIN
	EXECUTE 'SELECT count(*) FROM u WHERE ' || rows INTO n;
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) UPDATE u SET n = n + 1 WHERE ' || rows INTO plan;
	RETURN ((plan->0->'Plan'->>'Shared Hit Blocks')::float8 + (plan->0->'Plan'->>'Shared Read Blocks')::float8) / n;
END
$$;
CREATE FUNCTION try(class text, storage text, OUT next text, OUT apart text, OUT soon text, OUT often text) LANGUAGE plpgsql
AS $$
DECLARE
	b float8;
BEGIN
	EXECUTE format('CREATE INDEX u_i ON u USING hnsw (v %s) WITH (storage = %s)', class, storage);
	b := update_buffers('id BETWEEN 1001 AND 1200');
	next := CASE WHEN b <= 15 THEN 'few' ELSE b::text END;
	b := update_buffers('id % 37 = 5 AND id <= 1000');
	apart := CASE WHEN b <= CASE WHEN storage = 'plain' THEN 100 WHEN class = 'vector_ip_ops' THEN 100 ELSE 30 END THEN 'few' ELSE b::text END;
	-- Those searches have cost as much as a look at every page: from here on a table is asked.
	b := update_buffers('id % 37 = 7 AND id <= 1000');
	soon := CASE WHEN b <= 18 THEN 'few' ELSE b::text END;
	-- Later, when many have been updated.
	PERFORM update_buffers(format('id %% 5 = %s AND id > 1200', i)) FROM generate_series(0, 4) i;
	b := update_buffers('id % 37 = 6');
	often := CASE WHEN b <= 14 THEN 'few' ELSE b::text END;
	DROP INDEX u_i;
END
$$;
SELECT * FROM try('vector_l2_ops', 'quantised');
SELECT * FROM try('vector_l2_ops', 'plain');
SELECT * FROM try('vector_cosine_ops', 'quantised');
SELECT * FROM try('vector_cosine_ops', 'plain');
SELECT * FROM try('vector_ip_ops', 'quantised');
DROP FUNCTION update_buffers, try;

-- What a session has noted goes out of date: rows of equal vectors with other
-- attributes, vertices that went, slots with other values. Each new version joins
-- its vertex: there are no more of them than values.
ALTER TABLE u ADD k int;
UPDATE u SET k = id % 3;
INSERT INTO u SELECT id + 10000, v, n, k + 5 FROM u WHERE id <= 100;
CREATE UNIQUE INDEX u_id ON u (id);
CREATE INDEX u_q ON u USING hnsw (v vector_l2_ops, k);
CREATE INDEX u_p ON u USING hnsw (v vector_l2_ops, k) WITH (storage = plain);
CREATE PROCEDURE touch(times int) LANGUAGE plpgsql
AS $$ BEGIN
	FOR i IN 1..times LOOP UPDATE u SET n = n + 1 WHERE id = (i * 1013) % 3000 + 1; UPDATE u SET n = n + 1 WHERE id = i * 37 % 100 + 10001; END LOOP;
END $$;
CREATE FUNCTION extra_vertices() RETURNS TABLE (q bigint, p bigint) LANGUAGE sql
AS $$ SELECT (vecrecall.index_info('u_q')).live_vertices - n, (vecrecall.index_info('u_p')).live_vertices - n
	FROM (SELECT count(*) AS n FROM (SELECT DISTINCT v, k FROM u) s) s $$;
CALL touch(1000);
SELECT * FROM extra_vertices();
DELETE FROM u WHERE id % 2 = 0 AND id <= 3000;
VACUUM u;
INSERT INTO u SELECT id * 2, v, id, id % 3 FROM vr_test.vectors('clustered', 1500, 48, 64);
CALL touch(2000);
VACUUM u;
SELECT * FROM extra_vertices();
SELECT vr_test.every_row('u', 'v', '<->', quote_literal(array_fill(1, '{48}')::vector));
SELECT vr_test.faults('u_q'), vr_test.faults('u_p');
TRUNCATE u;
INSERT INTO u SELECT id, v, id, id % 3 FROM vr_test.vectors('clustered', 200, 48, 65);
CALL touch(100);
SELECT vr_test.faults('u_q'), vr_test.faults('u_p');
DROP TABLE u;
DROP PROCEDURE touch;
DROP FUNCTION extra_vertices;

-- The first vertices of a page after its last, with a page of TIDs behind a full one of vertices.
CREATE TABLE w (id int PRIMARY KEY, b bit(64), n int);
INSERT INTO w SELECT i, hashint8extended(i, 1)::bit(64), i FROM generate_series(1, 10) i;
CREATE INDEX w_i ON w USING hnsw (b bit_hamming_ops);
CREATE INDEX w_n ON w (n);
INSERT INTO w SELECT i + 10, hashint8extended(i, 1)::bit(64), i FROM generate_series(1, 10) i;
INSERT INTO w SELECT i + 10, hashint8extended(i, 1)::bit(64), i FROM generate_series(11, 60) i;
DO $$
BEGIN
	FOR i IN 1..70 LOOP
		FOR j IN 1..5 LOOP
			UPDATE w SET n = n + 1 WHERE id = i;
			UPDATE w SET n = n + 1 WHERE id = j;
		END LOOP;
	END LOOP;
END
$$;
SELECT vr_test.every_row('w', 'b', '<~>', 'B''0''::bit(64)');
SELECT vr_test.faults('w_i');
DROP TABLE w;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
