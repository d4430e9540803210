-- explain_index: whether a query uses an index, and the reason if not
SET jit = off;
SET max_parallel_workers_per_gather = 0;
CREATE FUNCTION why(query text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT index || CASE WHEN used THEN ': used, ' ELSE ': ' END ||
		regexp_replace(reason, 'cost [0-9.]+, with it [0-9.]+', 'cost N, with it M')
	FROM vecrecall.explain_index(query) $$;

CREATE TABLE ex (id int, e vector(3), h halfvec(3), kind int, name text);
INSERT INTO ex SELECT i, ARRAY[i % 97, i % 89, i % 83]::vector, ARRAY[i % 97, i % 89, i % 83]::halfvec,
	i % 10, 'n' || i % 7 FROM generate_series(1, 3000) i;
CREATE INDEX ex_e ON ex USING hnsw (e vector_l2_ops);
ANALYZE ex;
CREATE TABLE other (id int, q vector(3));
INSERT INTO other VALUES (1, '[1,2,3]'), (2, '[4,5,6]');
CREATE INDEX ON other (id);
ANALYZE other;

-- used
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> $1 LIMIT 5');
SELECT why('SELECT id FROM ex WHERE kind = 3 ORDER BY ''[1,2,3]''::vector <-> e LIMIT 5;');
SELECT why('SELECT * FROM (SELECT id FROM ex ORDER BY e <-> (SELECT q FROM other WHERE id = 1) LIMIT 5) s ORDER BY id');
SELECT why('WITH c AS (SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5) SELECT count(*) FROM c');
SELECT why('SELECT o.id, n.id FROM other o, LATERAL (SELECT id FROM ex ORDER BY e <-> o.q LIMIT 2) n');
CREATE VIEW ex_view AS SELECT id, e FROM ex;
SELECT why('SELECT id FROM ex_view ORDER BY e <-> ''[1,2,3]'' LIMIT 5');

-- the sort key
SELECT why('SELECT id FROM ex LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY id LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' DESC LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' NULLS FIRST LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY 1 - (e <-> ''[1,2,3]'') DESC LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY -(e <-> ''[1,2,3]'') LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY (e <-> ''[1,2,3]'') * 2 LIMIT 5');
SELECT why('SELECT id, e <-> ''[1,2,3]'' AS d FROM ex ORDER BY d LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY l2_distance(e, ''[1,2,3]'') LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <=> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY 1 - (e <=> ''[1,2,3]'') DESC LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY h <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e::halfvec(3) <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> ARRAY[random(), 1, 2]::vector LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> (SELECT ARRAY[random(), 1, 2]::vector) LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> e LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e <-> h::vector LIMIT 5');

-- the shape
SELECT why('SELECT o.id FROM ex x, other o WHERE x.kind = o.id ORDER BY x.e <-> o.q LIMIT 5');
-- From 17 on the index gives the order that an incremental sort refines.
SELECT q.reason, CASE WHEN current_setting('server_version_num')::int >= 170000 THEN e.used ELSE e.reason = q.reason END AS said
FROM (VALUES ('ORDER BY has further columns after the distance', 'SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'', id LIMIT 5'),
	('DISTINCT comes before ORDER BY: order and limit in a subquery', 'SELECT DISTINCT id, e <-> ''[1,2,3]'' FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5')) q(reason, query),
	LATERAL vecrecall.explain_index(q.query) e;
SELECT why('SELECT kind FROM ex GROUP BY kind ORDER BY min(e <-> ''[1,2,3]'') LIMIT 5');
SELECT why('SELECT id, rank() OVER (ORDER BY id) FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id, e <-> ''[1,2,3]'' AS d FROM ex UNION ALL SELECT id, 0 FROM ex ORDER BY d LIMIT 5');
SELECT why('WITH c AS MATERIALIZED (SELECT id, e FROM ex) SELECT id FROM c ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM (SELECT id, e FROM ex OFFSET 0) s ORDER BY e <-> ''[1,2,3]'' LIMIT 5');

-- cost and settings
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]''');
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 2900');
SELECT why('SELECT id FROM ex WHERE name = ''no such'' ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
SET enable_indexscan = off;
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
RESET enable_indexscan;
SHOW enable_seqscan;

-- the index
DROP INDEX ex_e;
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
CREATE INDEX ex_cos ON ex USING hnsw (e vector_cosine_ops);
CREATE INDEX ex_half ON ex USING hnsw ((e::halfvec(3)) halfvec_l2_ops);
CREATE INDEX ex_part ON ex USING hnsw (h halfvec_l2_ops) WHERE kind = 3;
SELECT why('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e::halfvec(3) <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex ORDER BY e::halfvec <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex WHERE kind < 4 ORDER BY h <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM ex WHERE kind = 3 ORDER BY h <-> ''[1,2,3]'' LIMIT 5');
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ex_cos'::regclass;
SELECT why('SELECT id FROM ex ORDER BY e <=> ''[1,2,3]'' LIMIT 5');
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'ex_cos'::regclass;

-- partitions: one row per index
CREATE TABLE parts (junk int, id int, e vector(3)) PARTITION BY RANGE (id);
ALTER TABLE parts DROP COLUMN junk;
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_b (e vector(3), id int);
INSERT INTO parts_b SELECT e, id FROM ex WHERE id >= 1000;
ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES FROM (1000) TO (5000);
INSERT INTO parts SELECT id, e FROM ex WHERE id < 1000;
CREATE INDEX parts_e ON parts USING hnsw (e vector_l2_ops);
ANALYZE parts;
SELECT why('SELECT id FROM parts ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
SELECT why('SELECT id FROM parts ORDER BY e <-> ''[1,2,3]'' DESC LIMIT 5');

-- what it takes
SELECT * FROM vecrecall.explain_index('SELECT 1');
SELECT * FROM vecrecall.explain_index(NULL);
SELECT * FROM vecrecall.explain_index('');
SELECT * FROM vecrecall.explain_index('SELECT 1; SELECT 2');
SELECT * FROM vecrecall.explain_index('DELETE FROM ex');
SELECT * FROM vecrecall.explain_index('WITH d AS (DELETE FROM ex RETURNING id) SELECT * FROM d');
SELECT * FROM vecrecall.explain_index('VACUUM');
SELECT * FROM vecrecall.explain_index('EXPLAIN SELECT 1');
SELECT * FROM vecrecall.explain_index('SELECT id INTO t FROM ex');
SELECT * FROM vecrecall.explain_index('SELECT id FROM nowhere');
SELECT * FROM vecrecall.explain_index('SELECT id FRO ex');
SELECT count(*) FROM ex;
CREATE ROLE ex_nobody;
SET ROLE ex_nobody;
SELECT * FROM vecrecall.explain_index('SELECT id FROM ex ORDER BY e <-> ''[1,2,3]'' LIMIT 5');
RESET ROLE;
DROP ROLE ex_nobody;
DROP VIEW ex_view;
DROP TABLE ex, other, parts;
DROP FUNCTION why(text);
