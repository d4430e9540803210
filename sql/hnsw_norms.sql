-- Vectors whose norms vary: lists of neighbours fill up with the long ones by
-- inner product, with the short ones by L2. Every vertex can be come to all the
-- same, and estimates do not hide the best from the search.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

-- Nearly log-normal: the product of four numbers of [1/2, 3/2).
CREATE TABLE data AS
SELECT id, (SELECT array_agg(x * f ORDER BY i) FROM unnest(v) WITH ORDINALITY u(x, i))::vector(64) AS v
FROM vr_test.vectors('clustered', 2040, 64, 71),
	LATERAL (SELECT (0.5 + vr_test.rnd(72, 4 * id)) * (0.5 + vr_test.rnd(72, 4 * id + 1))
		* (0.5 + vr_test.rnd(72, 4 * id + 2)) * (0.5 + vr_test.rnd(72, 4 * id + 3)) AS f) s;
-- Under valgrind two fifths of it.
\set seeds 4
\getenv few VR_FEW
\if :{?few}
\set seeds 1
DELETE FROM data WHERE id % 10 > 3;
\endif
CREATE TABLE report (n serial, class text, storage text, stage text, unreached text, recall float8);
CREATE PROCEDURE look(class text, op text, storage text, stage text)
LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO report (class, storage, stage, unreached, recall)
	SELECT class, storage, stage, (SELECT string_agg(f, ' ') FROM vr_test.faults('t_v') f),
		vr_test.recall('t', 'v', op, 10, 'SELECT v FROM data WHERE id > 2000');
END
$$;
CREATE PROCEDURE try(class text, op text, storage text, options text DEFAULT '')
LANGUAGE plpgsql
SET hnsw.iterative_scan = off
AS $$
BEGIN
	CREATE TABLE t AS SELECT * FROM data WHERE id <= 1000;
	EXECUTE format('CREATE INDEX t_v ON t USING hnsw (v %s) WITH (storage = %s%s)', class, storage, options);
	CALL look(class, op, storage || options, 'built');
	INSERT INTO t SELECT * FROM data WHERE id > 1000 AND id <= 2000;
	CALL look(class, op, storage || options, 'inserted');
	DROP INDEX t_v;
	TRUNCATE t;
	EXECUTE format('CREATE INDEX t_v ON t USING hnsw (v %s) WITH (storage = %s%s)', class, storage, options);
	INSERT INTO t SELECT * FROM data WHERE id <= 2000;
	CALL look(class, op, storage || options, 'inserted only');
	DROP TABLE t;
END
$$;
CALL try('vector_ip_ops', '<#>', 'quantised');
CALL try('vector_ip_ops', '<#>', 'plain');
CALL try('vector_l2_ops', '<->', 'quantised');
CALL try('vector_l2_ops', '<->', 'plain');
CALL try('vector_l1_ops', '<+>', 'plain');
CALL try('vector_ip_ops', '<#>', 'quantised', ', m = 40, ef_construction = 80');
CALL try('vector_ip_ops', '<#>', 'plain', ', m = 2');
SELECT class, storage, stage, coalesce(unreached, 'none') AS unreached,
	CASE WHEN storage LIKE '%m = 2' THEN recall >= 0.6 ELSE recall >= 0.98 END AS recall
FROM report ORDER BY n;

-- A few short vectors are everybody's neighbours, and can hold few of them. The
-- way to one who holds another starts from them all, and from each entry that
-- there was: it may not go in a circle.
CREATE TABLE hubs AS
SELECT i AS id, (SELECT array_agg(vr_test.bell(7, 64 * i + d) * CASE WHEN i % 10 = 1 THEN 0.1 ELSE 1 END)
	FROM generate_series(1, 64) d)::vector(64) AS v
FROM generate_series(1, 300) i;
CREATE FUNCTION hang(class text, storage text, m int, seed int) RETURNS TABLE (fault text)
LANGUAGE plpgsql
AS $$
BEGIN
	CREATE TABLE t (id int, v vector(64));
	EXECUTE format('CREATE INDEX t_v ON t USING hnsw (v %s) WITH (storage = %s, m = %s, ef_construction = 16, seed = %s)', class, storage, m, seed);
	INSERT INTO t SELECT * FROM hubs ORDER BY id;
	RETURN QUERY SELECT vr_test.faults('t_v');
	DROP TABLE t;
END
$$;
SELECT class, storage, m, seed, f.fault
FROM unnest(ARRAY['vector_l2_ops', 'vector_ip_ops']) class, unnest(ARRAY['plain', 'quantised']) storage,
	unnest(ARRAY[2, 4, 8]) m, generate_series(1, :seeds) seed, hang(class, storage, m, seed) f
ORDER BY 1, 2, 3, 4;

-- What hung from the dead hangs from others, also when the entry was among them:
-- whoever became the entry held the one before, and hung from its tree.
CREATE TABLE dying (id int, v vector(64)) WITH (autovacuum_enabled = off);
CREATE INDEX dying_plain ON dying USING hnsw (v vector_ip_ops) WITH (storage = plain, m = 4, ef_construction = 16);
CREATE INDEX dying_quantised ON dying USING hnsw (v vector_ip_ops) WITH (storage = quantised, m = 4, ef_construction = 16);
INSERT INTO dying SELECT * FROM data WHERE id <= 1500;
SELECT vr_test.faults('dying_plain') UNION ALL SELECT vr_test.faults('dying_quantised');
DELETE FROM dying WHERE id % 3 <> 0;
VACUUM dying;
SELECT vr_test.faults('dying_plain') UNION ALL SELECT vr_test.faults('dying_quantised');
INSERT INTO dying SELECT * FROM data WHERE id > 1500;
DELETE FROM dying WHERE id <= 1500 AND id % 2 = 0;
VACUUM dying;
SELECT vr_test.faults('dying_plain') UNION ALL SELECT vr_test.faults('dying_quantised');

DROP TABLE data, report, hubs, dying;
DROP PROCEDURE look, try;
DROP FUNCTION hang;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
