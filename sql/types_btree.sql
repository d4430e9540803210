-- The default btree operator classes: indexes, sorting, grouping, merging,
-- uniqueness, statistics. None of the types can be hashed.
CREATE TABLE ordered AS
	SELECT i, v, v::halfvec AS h, v::sparsevec AS s
	FROM (SELECT i, ARRAY[i * 7 % 10, -i * 3 % 4, i % 2]::vector AS v FROM generate_series(0, 39) i) r;
CREATE INDEX ordered_v ON ordered (v);
CREATE INDEX ordered_h ON ordered (h);
CREATE INDEX ordered_s ON ordered (s);
ANALYZE ordered;
SELECT opcname, opcdefault FROM pg_opclass JOIN pg_index ON oid = ANY (indclass)
	WHERE indrelid = 'ordered'::regclass GROUP BY 1, 2 ORDER BY 1;

SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT i FROM ordered WHERE v = '[3,-3,1]';
SELECT i, v FROM ordered WHERE v = '[3,-3,1]' ORDER BY i;
SELECT i, h FROM ordered WHERE h = '[3,-3,1]' ORDER BY i;
SELECT i, s FROM ordered WHERE s = '{1:3,2:-3,3:1}/3' ORDER BY i;
EXPLAIN (COSTS OFF) SELECT v FROM ordered WHERE v > '[7]' AND v <= '[8,0,0]' ORDER BY v;
SELECT v FROM ordered WHERE v > '[7]' AND v <= '[8,0,0]' ORDER BY v;
SELECT h FROM ordered WHERE h >= '[7]' AND h < '[8,0,0]' ORDER BY h DESC;
SELECT s FROM ordered WHERE s > '{1:7}/1' AND s <= '{1:8}/3' ORDER BY s;
CREATE INDEX ordered_vs ON ordered (v DESC, s);
SET enable_seqscan = on;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT v FROM ordered WHERE v > '[7]' AND v <= '[8,0,0]' ORDER BY v;
SELECT h FROM ordered WHERE h >= '[7]' AND h < '[8,0,0]' ORDER BY h DESC;
SELECT s FROM ordered WHERE s > '{1:7}/1' AND s <= '{1:8}/3' ORDER BY s;

-- The three agree on the order.
SELECT count(*) FILTER (WHERE rv <> rh OR rv <> rs) AS different
FROM (SELECT rank() OVER (ORDER BY v) AS rv, rank() OVER (ORDER BY h) AS rh,
			 rank() OVER (ORDER BY s) AS rs FROM ordered) r;

-- Grouping and joins sort, they do not hash.
EXPLAIN (COSTS OFF) SELECT v, count(*) FROM ordered GROUP BY v;
SELECT count(*) AS rows, count(DISTINCT v) AS v, count(DISTINCT h) AS h, count(DISTINCT s) AS s FROM ordered;
SELECT count(*) FROM ordered a JOIN ordered b ON a.v = b.v;
SELECT v FROM ordered WHERE i < 2 UNION SELECT v FROM ordered WHERE i < 3 ORDER BY 1;
SELECT oprname, oprcanhash, oprcanmerge FROM pg_operator
	WHERE oprleft IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype) AND oprname = '=';

-- Unique.
CREATE UNIQUE INDEX ON ordered (v);
CREATE TABLE keyed (v vector(2) PRIMARY KEY);
INSERT INTO keyed VALUES ('[1,2]'), ('[1,0]');
INSERT INTO keyed VALUES ('[1,-0]');
INSERT INTO keyed VALUES ('[1,-0]'), ('[2,2]') ON CONFLICT DO NOTHING;
SELECT * FROM keyed ORDER BY v;

-- Statistics hold a histogram; too wide a value does not fit a btree page.
SELECT attname, n_distinct, histogram_bounds IS NOT NULL OR most_common_vals IS NOT NULL AS known
	FROM pg_stats WHERE tablename = 'ordered' AND attname <> 'i' ORDER BY attname;
INSERT INTO ordered (v) VALUES (array_fill(1, '{1000}')::vector);
DROP TABLE ordered, keyed;

-- What the operators are to each other.
SELECT oprname, oprleft::regtype, oprresult::regtype, oprcom::regoperator AS commutator,
	nullif(oprnegate, 0)::regoperator AS negator, oprrest, oprjoin
FROM pg_operator
WHERE oprleft IN ('vector'::regtype, 'bit'::regtype) AND oprresult <> 'vector'::regtype AND oprnamespace <> 'pg_catalog'::regnamespace
ORDER BY oprleft::regtype::text, oprname COLLATE "C";
