-- Columns beside the vector: equality and IN, tested in the index.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE TABLE d (id int, v vector(16), i2 int2, i4 int4, i8 int8, b bool, u uuid, t text, c colour, s varchar(20));
INSERT INTO d SELECT id, v,
	CASE WHEN id % 11 > 0 THEN id % 5 - 2 END, CASE WHEN id % 13 > 0 THEN id % 50 - 10 END,
	CASE WHEN id % 17 > 0 THEN (id % 7) * 10000000000 - 5 END, CASE WHEN id % 3 > 0 THEN id % 2 = 0 END,
	CASE WHEN id % 19 > 0 THEN md5((id % 20)::text)::uuid END,
	CASE WHEN id % 23 > 0 THEN 'tag ' || id % 30 END,
	CASE WHEN id % 5 > 0 THEN (enum_range(NULL::colour))[id % 3 + 1] END, 'kind ' || id % 9
	FROM vr_test.vectors('clustered', 1500, 16, 41);
ALTER TYPE colour ADD VALUE 'orange' BEFORE 'green';
CREATE INDEX d_all ON d USING hnsw (v vector_l2_ops, i2, i4, i8, b, u, t, c, s);
CREATE TABLE p AS TABLE d;
CREATE INDEX p_all ON p USING hnsw (v vector_l2_ops, i2, i4, i8, b, u, t, c, s) WITH (storage = plain);
-- Half of them by insertion.
DELETE FROM d WHERE id > 750;
INSERT INTO d SELECT * FROM p WHERE id > 750;
ANALYZE d, p;
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT id FROM d WHERE i4 = 8 AND t = ANY ('{tag 7,tag 8}') AND NOT b AND id > 5 ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 10;
EXPLAIN (COSTS off) SELECT id FROM d WHERE i4 > 8 ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 10;

-- The array as a parameter.
PREPARE any_of(int[]) AS SELECT count(*) FROM (SELECT id FROM d WHERE i4 = ANY ($1) ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 1000) s;
SET plan_cache_mode = force_generic_plan;
EXECUTE any_of('{7,8}');
EXECUTE any_of('{}');
EXECUTE any_of(NULL);
EXECUTE any_of('{NULL,7,7}');
RESET plan_cache_mode;
DEALLOCATE any_of;

-- Each condition gives the rows that a sequential scan gives, all of them.
SELECT condition, vr_test.every_row('d', 'v', '<->', '(SELECT v FROM p WHERE id = 1)', 'false', condition) AS quantised,
	vr_test.every_row('p', 'v', '<->', '(SELECT v FROM p WHERE id = 1)', 'false', condition) AS plain
FROM unnest(ARRAY['i2 = 1', 'i2 = -2::int2', 'i2 = 1::bigint', 'i2 = 100000', 'i2 IN (1, 2)',
	'i4 = 7', 'i4 = -10', 'i4 = 7::smallint', 'i4 = 7::bigint', 'i4 = 10000000007', 'i4 = ANY (''{7,-10,NULL,7}''::bigint[])',
	'i4 = ANY (''{}'')', 'i4 = ANY (''{NULL}'')', 'i4 = ANY (NULL)', 'i4 = NULL',
	'i8 = -5', 'i8 = 9999999995', 'i8 = -5::smallint', 'i8 IN (-5, 9999999995)',
	'b', 'NOT b', 'b = true', 'b IS TRUE', 'b IS NULL', 'b IS NOT NULL',
	'u = md5(''3'')::uuid', 'u IN (md5(''3'')::uuid, md5(''4'')::uuid)',
	't = ''tag 7''', 't = ''tag 77''', 't IN (''tag 7'', ''tag 8'', ''no'')', 't = ''''', 't LIKE ''tag 1%''',
	'c = ''green''', 'c IN (''red'', ''blue'')', 'c = ''orange''', 'c = ANY (enum_range(''red''::colour, ''green''))',
	's = ''kind 3''', 's = ''kind 3''::varchar(6)', 's IN (''kind 3'', ''kind 4'')',
	'i2 = 1 AND b', 'i2 = 1 AND i4 = 8 AND c = ''red''', 'i4 = 8 AND i4 = 9', 'i4 IN (7, 8) AND i4 IN (8, 9)',
	'i4 = 7 OR i4 = 8', 'i4 = 8 AND id > 700', 'i4 <> 7', 'i4 > 35', 'i4 IS NULL', 'i4 = i2',
	'i4 = (SELECT 7)', 'i4 = ANY (ARRAY(SELECT 7))', 't = (SELECT ''tag 7'')']) condition;

-- With a limit, all modes: as many as asked for, the nearest of those that pass.
CREATE FUNCTION ten(tbl text, condition text, mode text, OUT rows int, OUT right_ones int)
LANGUAGE plpgsql
AS $$
DECLARE
	farthest float8;
	query text := format('SELECT v <-> (SELECT v FROM p WHERE id = 1) AS d FROM %s WHERE %s'
		' ORDER BY v <-> (SELECT v FROM p WHERE id = 1) LIMIT 10', tbl, condition);
BEGIN
	PERFORM set_config('hnsw.iterative_scan', mode, true), set_config('enable_seqscan', 'on', true),
		set_config('enable_indexscan', 'off', true);
	EXECUTE 'SELECT max(d) FROM (' || query || ') s' INTO farthest;
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	EXECUTE 'SELECT count(*), count(*) FILTER (WHERE d <= $1 * 1.000001) FROM (' || query || ') s'
		INTO rows, right_ones USING farthest;
END
$$;
SELECT tbl, condition, mode, rows, CASE WHEN right_ones >= 9 THEN 'right' ELSE right_ones::text END AS found
FROM unnest('{d,p}'::text[]) tbl, unnest('{strict_order,relaxed_order}'::text[]) mode,
	unnest(ARRAY['i4 = 7', 'i4 = 8 AND b', 't = ''tag 7''', 'c IN (''red'', ''blue'')', 'i4 = 8 AND id % 3 = 1']) condition,
	ten(tbl, condition, mode)
ORDER BY tbl, condition COLLATE "C", mode;

-- A collation's equality is not the bytes': the heap decides, by its operator.
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE w (id int, v vector(2), t text COLLATE caseless);
CREATE INDEX w_i ON w USING hnsw (v vector_l2_ops, t);
INSERT INTO w VALUES (1, '[1,1]', 'Tag'), (2, '[1,2]', 'tag'), (3, '[1,3]', 'other');
SELECT id FROM w WHERE t = 'TAG' ORDER BY v <-> '[1,1]';
-- Equality of another collation is not the index's.
SELECT id FROM w WHERE t = 'tag' COLLATE "C" ORDER BY v <-> '[1,1]';
DROP TABLE w;
DROP COLLATION caseless;

-- Equal vectors with different attributes are different vertices, and equal
-- attributes share one; NULL is an attribute like others there.
CREATE TABLE w (id int, v vector(2), a int, t text);
CREATE INDEX w_i ON w USING hnsw (v vector_l2_ops, a, t);
INSERT INTO w SELECT i, '[1,1]', i % 4, CASE WHEN i % 5 > 0 THEN 'x' || i % 5 END FROM generate_series(1, 400) i;
SELECT a, vr_test.every_row('w', 'v', '<->', '''[1,1]''', 'false', format('a = %s AND t = ''x2''', a)) FROM generate_series(0, 4) a;
UPDATE w SET a = 4 WHERE a = 3;
SELECT a, vr_test.every_row('w', 'v', '<->', '''[1,1]''', 'false', 'a = ' || a) FROM generate_series(0, 4) a;
SELECT vr_test.every_row('w', 'v', '<->', '''[1,1]''');
VACUUM w;
SELECT a, vr_test.every_row('w', 'v', '<->', '''[1,1]''', 'false', 'a = ' || a) FROM generate_series(0, 4) a;
SELECT vr_test.faults('w_i');
-- Far more of them than a search takes up.
TRUNCATE w;
INSERT INTO w SELECT i, '[1,1]', i % 300, 'x' FROM generate_series(1, 900) i;
SELECT vr_test.every_row('w', 'v', '<->', '''[1,1]'''), vr_test.every_row('w', 'v', '<->', '''[1,1]''', 'false', 'a = 123');
REINDEX INDEX w_i;
SELECT vr_test.every_row('w', 'v', '<->', '''[1,1]'''), vr_test.every_row('w', 'v', '<->', '''[1,1]''', 'false', 'a = 123');
SELECT id FROM (SELECT id FROM w WHERE a = 123 ORDER BY v <-> '[1,1]' LIMIT 3) t ORDER BY id;
SELECT vr_test.faults('w_i');
DROP TABLE w;

-- Fifteen columns; a column of a domain.
CREATE DOMAIN tenant AS int8 CHECK (VALUE > 0);
CREATE TABLE w (id int, v halfvec(3), a1 int, a2 int, a3 int, a4 int, a5 int, a6 int, a7 int, a8 int,
	a9 int, a10 int, a11 int, a12 int, a13 int, a14 int, a15 tenant);
CREATE INDEX w_i ON w USING hnsw (v halfvec_cosine_ops, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15);
INSERT INTO w SELECT i, format('[%s,1,%s]', i, i % 3)::halfvec, i, i, i, i, i, i, i, i, i, i, i, i, i, i % 10, 1 + i % 7 FROM generate_series(1, 200) i;
SELECT vr_test.every_row('w', 'v', '<=>', '''[1,1,1]''', 'false', 'a15 = 3 AND a14 = 6');
SELECT vr_test.every_row('w', 'v', '<=>', '''[1,1,1]''', 'false', 'a15 = 3');
REINDEX INDEX w_i;
SELECT vr_test.every_row('w', 'v', '<=>', '''[1,1,1]''', 'false', 'a15 = 3 AND a14 = 6');
SELECT vr_test.faults('w_i');
DROP TABLE w;
DROP DOMAIN tenant;

-- Attributes with other types of vectors.
CREATE TABLE w (id int, s sparsevec(9), b bit(9), k int);
CREATE INDEX w_s ON w USING hnsw (s sparsevec_l1_ops, k);
CREATE INDEX w_b ON w USING hnsw (b bit_hamming_ops, k);
INSERT INTO w SELECT i, format('{1:%s,%s:2}/9', i, 2 + i % 8)::sparsevec, (i % 512)::bit(9), i % 3 FROM generate_series(1, 300) i;
SELECT vr_test.every_row('w', 's', '<+>', '''{1:9}/9''', 'false', 'k = 1'),
	vr_test.every_row('w', 'b', '<~>', 'B''101010101''', 'false', 'k IN (0, 2)');
SELECT vr_test.faults('w_s'), vr_test.faults('w_b');
DROP TABLE w;

SELECT vr_test.faults('d_all'), vr_test.faults('p_all');
DROP TABLE d, p;
DROP TYPE colour;
DROP FUNCTION ten;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
