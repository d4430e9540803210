-- What an hnsw index refuses, and how: message, hint and SQLSTATE.
CREATE FUNCTION refused(command text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	-- From 17 on, commands on indexes run with a search_path without public.
	RETURN replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, '')), 'public.', '');
END
$$;

CREATE TABLE t (id int, v vector(3), any_v vector, h halfvec(3), any_h halfvec,
	s sparsevec(3), any_s sparsevec, b bit(3), any_b varbit, f float8, a int[], x numeric);

-- Operator class and dimensions.
SELECT refused('CREATE INDEX ON t USING hnsw (v)');
SELECT refused('CREATE INDEX ON t USING hnsw (v halfvec_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (any_v vector_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (any_h halfvec_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (any_s sparsevec_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (any_b bit_hamming_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw ((any_v::vector(3)) vector_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw ((v::halfvec) halfvec_l2_ops)');
SELECT refused('ALTER TABLE t ADD w vector(16001)');
SELECT refused('ALTER TABLE t ADD w vector(0)');

-- What the access method cannot do.
SELECT refused('CREATE UNIQUE INDEX ON t USING hnsw (v vector_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops) INCLUDE (id)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops DESC)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops NULLS FIRST)');
SELECT refused('ALTER TABLE t ADD EXCLUDE USING hnsw (v vector_l2_ops WITH =)');
SELECT refused('ALTER TABLE t ADD EXCLUDE USING hnsw (v vector_l2_ops WITH <->)');
SELECT refused('ALTER TABLE t ADD EXCLUDE USING hnsw (id WITH =)');

-- Columns beside the vector.
SELECT refused('CREATE INDEX ON t USING hnsw (id)');
SELECT refused('CREATE INDEX ON t USING hnsw (id, v vector_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops, v vector_l2_ops)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops, f)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops, a)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops, x)');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops, ' ||
	(SELECT string_agg('id', ', ') FROM generate_series(1, 15)) || ')');
SELECT refused('CREATE INDEX ON t USING hnsw (v vector_l2_ops, ' ||
	(SELECT string_agg('id', ', ') FROM generate_series(1, 16)) || ')');

-- Options.
SELECT refused(format('CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (%s)', o))
FROM unnest('{m = 1,m = 101,m = x,ef_construction = 3,ef_construction = 1001,
	"m = 16, ef_construction = 31",m = 33,storage = paper,precision = f8,
	code_bits = 16001,seed = -1,lists = 100,fillfactor = 90}'::text[]) o;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 4);
-- Options bind at the next build.
SELECT refused('ALTER INDEX t_v SET (m = 100)');
SELECT refused('REINDEX INDEX t_v');
SELECT refused('ALTER INDEX t_v SET (m = 100, ef_construction = 200)');
SELECT refused('REINDEX INDEX t_v');
SELECT refused('ALTER INDEX t_v RESET (m, ef_construction)');

-- Settings.
SELECT refused(format('SET hnsw.%s', s)) FROM unnest('{ef_search = 0,ef_search = 10001,
	ef_search = 10000,ef_search = 1,ef_search = x,iterative_scan = on,iterative_scan = strict_order,
	max_scan_tuples = 0,max_scan_tuples = 2147483648,max_scan_tuples = 1,scan_mem_multiplier = 0.9,
	scan_mem_multiplier = 1001,scan_mem_multiplier = 1000,ef_construction = 10}'::text[]) s;
RESET ALL;

-- Rows and queries.
SELECT refused($$INSERT INTO t (v) VALUES ('[1,2]')$$);
SELECT refused($$INSERT INTO t (v) VALUES ('[1,2,NaN]')$$);
SELECT refused($$INSERT INTO t (v) VALUES ('[1,2,3]')$$);
SET enable_seqscan = off;
SELECT refused($$SELECT FROM t ORDER BY v <-> '[1,2]'$$);
SELECT refused($$SELECT FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 1$$);
SELECT refused($$SELECT FROM t ORDER BY v <-> '[1,2,NaN]' LIMIT 1$$);
SELECT refused($$SELECT FROM t ORDER BY v <-> (SELECT '[1,2]'::vector) LIMIT 1$$);
DELETE FROM t;
VACUUM t;
-- Not even of an empty index.
SELECT refused($$SELECT FROM t ORDER BY v <-> '[1,2]'$$);
RESET enable_seqscan;

-- A column's dimensions cannot change under the index, but with it.
INSERT INTO t (id, v) VALUES (1, '[1,2,3]');
SELECT refused('ALTER TABLE t ALTER v TYPE vector(4)');
-- Without dimensions, the index keeps those it has, until it is built again.
SELECT refused('ALTER TABLE t ALTER v TYPE vector');
SELECT refused($$INSERT INTO t (v) VALUES ('[1,2]')$$);
SELECT refused($$INSERT INTO t (v) VALUES ('[1,2,4]')$$);
SELECT refused('REINDEX INDEX t_v');
DELETE FROM t WHERE id IS NULL;
SELECT refused('ALTER TABLE t ALTER v TYPE vector(4) USING v || ''[4]''');
SELECT indexdef FROM pg_indexes WHERE indexname = 't_v';
SET enable_seqscan = off;
SELECT id FROM t ORDER BY v <-> '[1,2,3,4]';
RESET enable_seqscan;

-- What other commands say of the index.
SELECT refused('CLUSTER t USING t_v');
SELECT refused('ALTER TABLE t REPLICA IDENTITY USING INDEX t_v');
SELECT refused('ALTER TABLE t ADD PRIMARY KEY USING INDEX t_v');

-- Operator classes of somebody else's.
CREATE FUNCTION my_distance(vector, vector) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN l2_distance($1, $2);
CREATE OPERATOR CLASS my_ops FOR TYPE vector USING hnsw AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 my_distance(vector, vector);
SELECT refused('CREATE INDEX my_index ON t USING hnsw (v my_ops)');
CREATE OPERATOR CLASS no_function FOR TYPE vector USING hnsw AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
SELECT refused('CREATE INDEX my_index ON t USING hnsw (v no_function)');
CREATE OPERATOR CLASS bad_strategy FOR TYPE vector USING hnsw AS
	OPERATOR 2 <-> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 vector_l2_squared_distance(vector, vector);
SELECT opcname, amvalidate(oid) FROM pg_opclass
WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw') AND opcnamespace = current_schema::regnamespace
	AND opcname IN ('my_ops', 'no_function', 'bad_strategy') ORDER BY opcname COLLATE "C";
DROP OPERATOR FAMILY my_ops USING hnsw;
DROP OPERATOR FAMILY no_function USING hnsw;
DROP OPERATOR FAMILY bad_strategy USING hnsw;
-- Our own are all sound.
SELECT opcname FROM pg_opclass
WHERE opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hnsw') AND NOT amvalidate(oid);
DROP FUNCTION my_distance;

-- Called by hand: the server refuses the value, or (15.20, not 15.18) knows no
-- function that takes it.
SELECT left(refused('SELECT hnswhandler(NULL)'), 5) IN ('0A000', '42883') AS refused;
SELECT left(refused('SELECT hnsw_halfvec_support(NULL)'), 5) IN ('0A000', '42883') AS refused;

CREATE INDEX t_two ON t USING hnsw (v vector_l2_ops, id);
-- What the access method says it can do.
SELECT p, pg_indexam_has_property((SELECT oid FROM pg_am WHERE amname = 'hnsw'), p) AS am,
	pg_index_has_property('t_v', p) AS index, pg_index_column_has_property('t_v', 1, p) AS column,
	pg_index_column_has_property('t_two', 2, p) AS column_2
FROM unnest('{can_order,can_unique,can_multi_col,can_exclude,can_include,clusterable,
	index_scan,bitmap_scan,backward_scan,asc,orderable,distance_orderable,returnable,
	search_array,search_nulls}'::text[]) p;

DROP TABLE t;
DROP FUNCTION refused;
