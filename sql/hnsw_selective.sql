-- Recall of filters that one row in 100, or in 1,000, passes, at random or along
-- with a direction of the vectors, by attributes in the index.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set ECHO errors
\i :data
\set ECHO all

CREATE TABLE d (id int, v vector(16), hundredth int, thousandth int, near int, nearer int);
INSERT INTO d SELECT id, v, hashint4(id) & 127, hashint4(id) & 1023, n * 100 / 12000, n * 1000 / 12000
FROM (SELECT id, v, row_number() OVER (ORDER BY (v::real[])[1] + (v::real[])[2], id) - 1 AS n
	FROM vr_test.vectors('clustered', 12000, 16, 5)) s;
CREATE TABLE q AS SELECT v FROM d WHERE id % 240 = 7;
CREATE INDEX d_q ON d USING hnsw (v vector_l2_ops, hundredth, thousandth, near, nearer) WITH (storage = quantised);
ANALYZE d;
CREATE FUNCTION judge(storage text, OUT filter text, OUT passing bigint, OUT recall text) RETURNS SETOF record
LANGUAGE plpgsql AS $$
DECLARE
	r float8;
BEGIN
	EXECUTE 'DROP INDEX d_q; CREATE INDEX d_q ON d USING hnsw (v vector_l2_ops, hundredth, thousandth, near, nearer) WITH (storage = ' || storage || ')';
	FOREACH filter IN ARRAY ARRAY['hundredth = 5', 'thousandth = 2', 'near = 0', 'near = 50', 'nearer = 0', 'nearer = 500'] LOOP
		EXECUTE 'SELECT count(*) FROM d WHERE ' || filter INTO passing;
		r := vr_test.recall('d', 'v', '<->', 10, 'SELECT v FROM q', filter);
		recall := CASE WHEN r >= 0.95 THEN 'good' ELSE r::text END;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT * FROM judge('quantised');
SELECT * FROM judge('plain');
-- A tenth, which is walked: the same.
SELECT vr_test.recall('d', 'v', '<->', 10, 'SELECT v FROM q', 'near IN (1, 11, 21, 31, 41, 51, 61, 71, 81, 91)') >= 0.95 AS walked;
SELECT vr_test.recall('d', 'v', '<->', 10, 'SELECT v FROM q', 'near IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)') >= 0.95 AS walked_apart;
DROP TABLE d, q;
DROP FUNCTION judge;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
