-- The hnsw index on halfvec columns: every operator class, both storage forms.
\getenv srcdir PG_ABS_SRCDIR
\set data :srcdir '/test/lib/data.sql'
\set hnsw :srcdir '/test/lib/hnsw.sql'
\set ECHO errors
\i :data
\i :hnsw
\set ECHO all

SET enable_seqscan = off;

CREATE TABLE t (id int, v halfvec(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'),
	(4, NULL), (5, '[-1,-1,-1]'), (6, '[2,4,7]');

CREATE INDEX t_l2 ON t USING hnsw (v halfvec_l2_ops);
INSERT INTO t VALUES (7, '[1,2,4]');
SELECT id, round((v <-> '[3,3,3]')::numeric, 3) AS d FROM t ORDER BY v <-> '[3,3,3]';
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <-> (SELECT NULL::halfvec)) s;
DROP INDEX t_l2;
CREATE INDEX t_ip ON t USING hnsw (v halfvec_ip_ops);
SELECT id, v <#> '[3,3,3]' AS d FROM t ORDER BY v <#> '[3,3,3]';
DROP INDEX t_ip;
CREATE INDEX t_cosine ON t USING hnsw (v halfvec_cosine_ops);
SELECT id, round((v <=> '[1,2,3.1]')::numeric, 3) AS d FROM t ORDER BY v <=> '[1,2,3.1]';
INSERT INTO t VALUES (8, '[0,0,0]');
SELECT count(*) FROM (SELECT * FROM t ORDER BY v <=> '[0,0,0]') s;
DROP INDEX t_cosine;
DELETE FROM t WHERE id = 8;
CREATE INDEX t_l1 ON t USING hnsw (v halfvec_l1_ops);
SELECT id, v <+> '[3,3,3.5]' AS d FROM t ORDER BY v <+> '[3,3,3.5]';
SELECT id FROM t ORDER BY v <+> '[1,2]';
DROP TABLE t;

-- A vector column, indexed and searched as halfvec.
CREATE TABLE t (id int, v vector(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'), (4, NULL);
CREATE INDEX t_half ON t USING hnsw ((v::halfvec(3)) halfvec_l2_ops);
EXPLAIN (COSTS off) SELECT id FROM t ORDER BY v::halfvec(3) <-> '[3,3,3]' LIMIT 2;
SELECT id FROM t ORDER BY v::halfvec(3) <-> '[3,3,3]' LIMIT 2;
INSERT INTO t VALUES (5, '[3,3,2]');
SELECT id FROM t ORDER BY v::halfvec(3) <-> '[3,3,3]' LIMIT 2;
-- Beyond the range of halfvec: the row is refused, and the index is as before.
INSERT INTO t VALUES (6, '[70000,0,0]');
SELECT id FROM t ORDER BY v::halfvec(3) <-> '[3,3,3]' LIMIT 2;
SELECT vr_test.faults('t_half');
DROP TABLE t;

-- 600 rows: every class and form.
CREATE TABLE d (id int, v halfvec(24));
INSERT INTO d SELECT id, v FROM vr_test.vectors('lowdim', 600, 24, 12);
CREATE TABLE q (v halfvec(24));
INSERT INTO q SELECT v FROM vr_test.vectors('lowdim', 630, 24, 12) WHERE id > 600;
CREATE TABLE report (class text, storage text, how text, every_row text,
	in_order text, recall float8);

CREATE PROCEDURE try(class text, op text, storage text, how text)
LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE format('CREATE TABLE w (id int, v halfvec(24));'
				   'INSERT INTO w SELECT * FROM d WHERE %L = %L;'
				   'CREATE INDEX w_i ON w USING hnsw (v %I) WITH (storage = %s);'
				   'INSERT INTO w SELECT * FROM d WHERE %L = %L',
				   how, 'built', class, storage, how, 'inserted');
	INSERT INTO report SELECT class, storage, how,
		vr_test.every_row('w', 'v', op, '(SELECT v FROM d LIMIT 1)'),
		vr_test.in_order('w', 'v', op, '(SELECT v FROM d LIMIT 1)', 100),
		vr_test.recall('w', 'v', op, 10, 'SELECT v FROM q');
	IF EXISTS (SELECT vr_test.faults('w_i')) THEN
		RAISE WARNING '%', (SELECT array_agg(f) FROM vr_test.faults('w_i', 0) f);
	END IF;
	DROP TABLE w;
END
$$;

DO $$
DECLARE
	c record;
BEGIN
	FOR c IN
		SELECT * FROM (VALUES ('halfvec_l2_ops', '<->'), ('halfvec_ip_ops', '<#>'),
			('halfvec_cosine_ops', '<=>'), ('halfvec_l1_ops', '<+>')) a(class, op),
			(VALUES ('quantised'), ('plain')) b(storage),
			(VALUES ('built'), ('inserted')) c(how)
		WHERE class <> 'halfvec_l1_ops' OR storage = 'plain' LOOP
		CALL try(c.class, c.op, c.storage, c.how);
	END LOOP;
END
$$;
SELECT class, storage, how, every_row, in_order, recall >= 0.95 AS good,
	CASE WHEN recall < 0.95 THEN recall END AS recall
FROM report ORDER BY class COLLATE "C", storage COLLATE "C", how COLLATE "C";

-- The longest.
CREATE TABLE w (id int, v halfvec(16000));
INSERT INTO w SELECT id, v FROM vr_test.vectors('uniform', 8, 16000, 3);
CREATE INDEX w_l2 ON w USING hnsw (v halfvec_l2_ops);
CREATE INDEX w_l1 ON w USING hnsw (v halfvec_l1_ops);
INSERT INTO w SELECT id + 8, v FROM vr_test.vectors('uniform', 8, 16000, 4);
SELECT vr_test.every_row('w', 'v', '<->', '(SELECT v FROM w WHERE id = 2)');
SELECT vr_test.every_row('w', 'v', '<+>', '(SELECT v FROM w WHERE id = 2)');
SELECT vr_test.faults('w_l2'), vr_test.faults('w_l1');

DROP TABLE d, q, report, w;
DROP PROCEDURE try;
SET client_min_messages = warning;
DROP SCHEMA vr_test CASCADE;
