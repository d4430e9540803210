-- Vectors at the ends of what numbers can be, and far from what was there first.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;
CREATE TABLE report (n serial, data text, class text, storage text, how text, every_row text, in_order text, nearest bigint);

-- data is a query for 100 vectors (id, v) of 4 dimensions. For each tenth, the
-- nearest must be at no greater distance than the vector itself.
CREATE PROCEDURE try(name text, data text, type text DEFAULT 'vector')
LANGUAGE plpgsql
AS $$
DECLARE
	c record;
	found bigint;
BEGIN
	FOR c IN SELECT * FROM (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>')) a(metric, op),
		(VALUES ('quantised'), ('plain')) b(storage), (VALUES ('built'), ('inserted')) h(how)
		WHERE metric <> 'l1' OR storage = 'plain' LOOP
		EXECUTE format('CREATE TABLE w (id int, v %s(4))', type);
		IF c.how = 'built' THEN
			EXECUTE 'INSERT INTO w ' || data;
		END IF;
		EXECUTE format('CREATE INDEX w_i ON w USING hnsw (v %s_%s_ops) WITH (storage = %s)', type, c.metric, c.storage);
		IF c.how = 'inserted' THEN
			EXECUTE 'INSERT INTO w ' || data;
		END IF;
		EXECUTE format('SELECT count(*) FROM (SELECT v FROM w WHERE id %% 10 = 0) a,'
			' LATERAL (SELECT v %1$s a.v AS d FROM w ORDER BY v %1$s a.v LIMIT 1) b'
			' WHERE b.d <= (a.v %1$s a.v) + 1e-5 + 1e-3 * abs(b.d) OR ''cosine'' = %2$L AND a.v <=> a.v = ''NaN''', c.op, c.metric) INTO found;
		INSERT INTO report (data, class, storage, how, every_row, in_order, nearest) SELECT name, c.metric, c.storage, c.how,
			vr_test.every_row('w', 'v', c.op, format('''[1,2,3,4]''::%s', type),
				CASE c.metric WHEN 'cosine' THEN CASE type WHEN 'vector' THEN 'vector_norm(v) = 0' ELSE 'l2_norm(v) = 0' END ELSE 'false' END),
			-- Where the operator computes with few bits, its order is not the index's.
			CASE WHEN c.metric <> 'cosine' OR name NOT IN ('largest', 'denormal', 'of all sizes') THEN
				vr_test.in_order('w', 'v', c.op, format('''[1,2,3,4]''::%s', type), 20) END,
			found;
		IF EXISTS (SELECT vr_test.faults('w_i')) THEN
			RAISE WARNING '% % % %: %', name, c.metric, c.storage, c.how, (SELECT array_agg(f) FROM vr_test.faults('w_i') f);
		END IF;
		DROP TABLE w;
	END LOOP;
END
$$;
CALL try('ordinary', 'SELECT id, v::vector FROM vr_test.vectors(''uniform'', 100, 4, 91)');
CALL try('huge', 'SELECT id, v::vector * ''[1e18,1e18,1e18,1e18]'' FROM vr_test.vectors(''uniform'', 100, 4, 91)');
CALL try('tiny', 'SELECT id, v::vector * ''[1e-18,1e-18,1e-18,1e-18]'' FROM vr_test.vectors(''uniform'', 100, 4, 91)');
CALL try('largest', 'SELECT id, v::vector * ''[3e38,3e38,3e38,3e38]'' FROM vr_test.vectors(''uniform'', 100, 4, 91)');
CALL try('denormal', 'SELECT id, format(''[%s]'', concat_ws('','', (id || ''e-42'')::real, (id % 7 || ''e-44'')::real, 0, 1e-45))::vector FROM generate_series(1, 100) id');
CALL try('of all sizes', 'SELECT id, array_agg(x * power(10::float8, id % 70 - 35))::vector FROM vr_test.vectors(''uniform'', 100, 4, 91), unnest(v) x GROUP BY id');
CALL try('one-hot', 'SELECT id, array_agg(CASE WHEN d = id % 4 THEN 1 ELSE 0 END)::vector FROM generate_series(1, 100) id, generate_series(0, 3) d GROUP BY id');
CALL try('constant', 'SELECT id, array_fill(id::real, ''{4}'')::vector FROM generate_series(1, 100) id');
CALL try('zero', 'SELECT id, ''[0,0,0,0]''::vector FROM generate_series(1, 100) id');
CALL try('far from zero', 'SELECT id, v::vector + ''[30,30,30,30]'' FROM vr_test.vectors(''uniform'', 100, 4, 91)');
CALL try('one far out', 'SELECT id, CASE WHEN id = 50 THEN ''[1e15,1e15,1e15,1e15]'' ELSE v::vector END FROM vr_test.vectors(''uniform'', 100, 4, 91)');
CALL try('signs', 'SELECT id, array_agg(CASE WHEN id & (1 << d) = 0 THEN 1 ELSE -1 END)::vector FROM generate_series(1, 100) id, generate_series(0, 3) d GROUP BY id');
CALL try('half huge', 'SELECT id, v::vector * ''[65504,65504,65504,65504]'' FROM vr_test.vectors(''uniform'', 100, 4, 91)', 'halfvec');
CALL try('half tiny', 'SELECT id, v::vector * ''[1e-7,1e-6,1e-5,1e-4]'' FROM vr_test.vectors(''uniform'', 100, 4, 91)', 'halfvec');
SELECT data, class, string_agg(DISTINCT every_row, ' / ') AS every_row, string_agg(DISTINCT in_order, ' / ') AS in_order,
	string_agg(storage || ' ' || how || ' ' || nearest, ', ') FILTER (WHERE nearest < 7) AS not_nearest
FROM report GROUP BY data, class ORDER BY min(n);

-- Data that moves away from the mean that the index was built around: stored
-- vectors are coarse there, so much is not found at once, but nothing is lost.
-- A new build takes the new mean.
CREATE TABLE w (id int, v vector(16));
INSERT INTO w SELECT id, v FROM vr_test.vectors('uniform', 300, 16, 92);
CREATE INDEX w_i ON w USING hnsw (v vector_l2_ops);
INSERT INTO w SELECT id + 300, v::vector + array_fill(1000, '{16}')::vector FROM vr_test.vectors('uniform', 300, 16, 93);
DELETE FROM w WHERE id <= 300;
VACUUM w;
INSERT INTO w SELECT id + 600, v::vector + array_fill(1000, '{16}')::vector FROM vr_test.vectors('uniform', 300, 16, 94);
SELECT vr_test.every_row('w', 'v', '<->', '(SELECT v FROM w WHERE id = 301)');
SELECT vr_test.recall('w', 'v', '<->', 10, 'SELECT v FROM w WHERE id % 30 = 0') < 0.95 AS coarse;
REINDEX INDEX w_i;
SELECT vr_test.recall('w', 'v', '<->', 10, 'SELECT v FROM w WHERE id % 30 = 0') >= 0.95 AS recall;
SELECT vr_test.faults('w_i');

DROP TABLE w, report;
DROP PROCEDURE try;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
