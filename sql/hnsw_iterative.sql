-- Scans that go on beyond hnsw.ef_search.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

CREATE TABLE d (id int, v vector(16), even bool, rare bool, none bool);
INSERT INTO d SELECT id, v, id % 2 = 0, id % 40 = 0, false
	FROM vr_test.vectors('uniform', 2000, 16, 31);
CREATE INDEX d_v ON d USING hnsw (v vector_l2_ops);
CREATE TABLE p AS TABLE d;
CREATE INDEX p_v ON p USING hnsw (v vector_l2_ops) WITH (storage = plain);
ANALYZE d, p;
SET jit = off;
SET enable_seqscan = off;

-- How many rows a scan gives, at most n, of those that pass a condition; and
-- whether each comes once and in order.
CREATE FUNCTION scan(tbl text, n int, condition text DEFAULT 'true', OUT rows int, OUT twice int, OUT fallen int)
LANGUAGE plpgsql
SET enable_sort = off
AS $$
BEGIN
	EXECUTE format('SELECT count(*), count(*) - count(DISTINCT id), count(*) FILTER (WHERE d < last - 1e-6)'
		' FROM (SELECT id, d, max(d) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last'
		' FROM (SELECT id, d, row_number() OVER () AS n'
		' FROM (SELECT id, v <-> q AS d FROM %s, (SELECT v AS q FROM d WHERE id = 17 OFFSET 0) s'
		' WHERE %s ORDER BY v <-> (SELECT v FROM d WHERE id = 17) LIMIT %s) s) s) s', tbl, condition, n)
		INTO rows, twice, fallen;
END
$$;

-- Off: ef_search is the end, and conditions take from that.
SET hnsw.iterative_scan = off;
SELECT tbl, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 2000);
SELECT tbl, rows <= 40 AS few, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 2000, 'even');
SELECT tbl, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10, 'none');

-- Strict: LIMIT is met, in order.
SET hnsw.iterative_scan = strict_order;
SET hnsw.max_scan_tuples = 2147483647;
SET hnsw.scan_mem_multiplier = 1000;
SELECT tbl, n, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, unnest('{1,40,41,1000}'::int[]) n, scan(tbl, n);
SELECT tbl, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 100, 'even');
SELECT tbl, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 20, 'rare');
SELECT tbl, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 20, 'none');
-- Auto is strict.
SET hnsw.iterative_scan = auto;
SELECT tbl, rows, twice, fallen FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 1000);

-- Far beyond ef_search, as it comes: 40 and 20,000 rows to look at.
SET hnsw.ef_search = 40;
RESET hnsw.max_scan_tuples;
RESET hnsw.scan_mem_multiplier;
CREATE TABLE f AS SELECT id, v::vector(8) FROM vr_test.vectors('clustered', 6000, 8, 33);
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM f ORDER BY v <-> (SELECT v FROM f WHERE id = 17) LIMIT 5000) s;
SELECT vr_test.in_order('f', 'v', '<->', quote_literal((SELECT v FROM f WHERE id = 17)) || '::vector', 5000);
DROP INDEX f_v;
CREATE INDEX f_v ON f USING hnsw (v vector_l2_ops) WITH (storage = plain);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM f ORDER BY v <-> (SELECT v FROM f WHERE id = 17) LIMIT 5000) s;
SELECT vr_test.in_order('f', 'v', '<->', quote_literal((SELECT v FROM f WHERE id = 17)) || '::vector', 5000);
DROP TABLE f;
RESET hnsw.ef_search;
SET hnsw.max_scan_tuples = 2147483647;
SET hnsw.scan_mem_multiplier = 1000;

-- Order is not bought by leaving out what is found late: of the nearest 200,
-- with ef_search = 40, and of a tenth of the rows.
CREATE TABLE q (v vector(16));
INSERT INTO q SELECT v FROM vr_test.vectors('lowdim', 1010, 16, 32) WHERE id > 1000;
CREATE TABLE e AS SELECT id, v::vector(16) FROM vr_test.vectors('lowdim', 1000, 16, 32);
CREATE INDEX e_v ON e USING hnsw (v vector_l2_ops);
SELECT vr_test.recall('e', 'v', '<->', 200, 'SELECT v FROM q') >= 0.95 AS many,
	vr_test.recall('e', 'v', '<->', 20, 'SELECT v FROM q', 'id % 10 = 0') >= 0.95 AS tenth;
DROP INDEX e_v;
CREATE INDEX e_v ON e USING hnsw (v vector_l2_ops) WITH (storage = plain);
SELECT vr_test.recall('e', 'v', '<->', 200, 'SELECT v FROM q') >= 0.95 AS many,
	vr_test.recall('e', 'v', '<->', 20, 'SELECT v FROM q', 'id % 10 = 0') >= 0.95 AS tenth;
DROP TABLE e, q;

-- Relaxed: every row, though not quite in order.
SET hnsw.iterative_scan = relaxed_order;
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000, 'rare');
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000, 'none');
SET hnsw.ef_search = 1;
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
SET hnsw.ef_search = 10000;
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
RESET hnsw.ef_search;

-- The limits stop it; the first pass is never cut short.
SET hnsw.max_scan_tuples = 1;
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
SET hnsw.max_scan_tuples = 700;
SELECT tbl, rows BETWEEN 41 AND 1999 AS some, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
SET hnsw.max_scan_tuples = 2147483647;
SET work_mem = '64kB';
SET hnsw.scan_mem_multiplier = 1;
SELECT tbl, rows BETWEEN 40 AND 1999 AS some, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
SET hnsw.scan_mem_multiplier = 1000;
SELECT tbl, rows, twice FROM unnest('{d,p}'::text[]) tbl, scan(tbl, 10000);
RESET work_mem;

-- Many scans of one plan: a join by nearest rows; a cursor left half read.
SET hnsw.iterative_scan = strict_order;
SELECT count(*), count(DISTINCT a.id), count(*) FILTER (WHERE a.id = b.id)
FROM (SELECT * FROM d WHERE id <= 20) a,
	LATERAL (SELECT id FROM d ORDER BY d.v <-> a.v LIMIT 60) b;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM d ORDER BY v <-> (SELECT v FROM d WHERE id = 17);
FETCH 3 FROM c;
MOVE 50 IN c;
SAVEPOINT s;
DELETE FROM d WHERE id % 3 = 0;
UPDATE d SET v = v WHERE id % 3 = 1;
INSERT INTO d SELECT id + 2000, v, true, false, false FROM vr_test.vectors('uniform', 50, 16, 31);
-- None of that is seen by the cursor, which is older.
MOVE ALL IN c;
ROLLBACK TO s;
COMMIT;
SELECT vr_test.every_row('d', 'v', '<->', '(SELECT v FROM p WHERE id = 17)');
SELECT vr_test.faults('d_v'), vr_test.faults('p_v');

-- Backward is not on offer: a scrollable cursor keeps what it has read.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM d ORDER BY v <-> (SELECT v FROM p WHERE id = 17);
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;

DROP TABLE d, p;
DROP FUNCTION scan;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
