-- hnsw.sql: what tests of the hnsw index share. Needs data.sql for its schema.
--
-- In a regress test, after data.sql:   \set hnsw :srcdir '/test/lib/hnsw.sql'
--                                      \i :hnsw

-- Scans the whole index without a limit: each row that has a value must come
-- once and only once, at its right distance. Says "N rows" or what is wrong.
-- skip is a condition on rows that the index leaves out.
CREATE FUNCTION vr_test.every_row(tbl regclass, col text, op text, query text,
								  skip text DEFAULT 'false',
								  filter text DEFAULT 'true')
RETURNS text
LANGUAGE plpgsql
SET hnsw.iterative_scan = relaxed_order
SET hnsw.max_scan_tuples = 2147483647
SET hnsw.scan_mem_multiplier = 1000
SET max_parallel_workers_per_gather = 0
SET enable_bitmapscan = off
SET enable_indexscan = off
SET enable_seqscan = on
SET enable_sort = on
SET jit = off
AS $$
DECLARE
	ordering text := format('%s %s %s', col, op, query);
	plan json;
	answer text;
BEGIN
	EXECUTE format('CREATE TEMP TABLE vr_want ON COMMIT DROP AS'
				   ' SELECT tableoid AS t, ctid AS c FROM %s'
				   ' WHERE (%s) IS NOT NULL AND NOT (%s) AND (%s)',
				   tbl, col, skip, filter);
	SET LOCAL enable_indexscan = on;
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	EXECUTE format('EXPLAIN (FORMAT json) SELECT ctid FROM %s WHERE (%s)'
				   ' ORDER BY %s', tbl, filter, ordering) INTO plan;
	IF plan::text NOT LIKE '%"Order By"%'
		AND plan::text NOT LIKE '%"One-Time Filter": "false"%' THEN
		RAISE EXCEPTION 'no index is used: %', plan;
	END IF;
	EXECUTE format('CREATE TEMP TABLE vr_got ON COMMIT DROP AS'
				   ' SELECT tableoid AS t, ctid AS c FROM %s WHERE (%s)'
				   ' ORDER BY %s', tbl, filter, ordering);
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	SELECT concat_ws(', ',
		(SELECT count(*) || ' missing' FROM (TABLE vr_want EXCEPT TABLE vr_got) s
		 HAVING count(*) > 0),
		(SELECT count(*) || ' not visible' FROM (TABLE vr_got EXCEPT TABLE vr_want) s
		 HAVING count(*) > 0),
		(SELECT count(*) || ' more than once'
		 FROM (SELECT FROM vr_got GROUP BY t, c HAVING count(*) > 1) s
		 HAVING count(*) > 0))
	INTO answer;
	IF answer = '' THEN
		SELECT count(*) || ' rows' INTO answer FROM vr_got;
	END IF;
	DROP TABLE vr_want, vr_got;
	RETURN answer;
END
$$;

-- In strict order the distances of a scan never fall. Says how many rows came,
-- or where the first one fell.
CREATE FUNCTION vr_test.in_order(tbl regclass, col text, op text, query text,
								 n int)
RETURNS text
LANGUAGE plpgsql
SET hnsw.iterative_scan = strict_order
SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
	last float8 := '-infinity';
	d float8;
	i int := 0;
BEGIN
	FOR d IN EXECUTE format('SELECT %2$s %3$s %4$s FROM %1$s'
							' ORDER BY %2$s %3$s %4$s LIMIT %5$s',
							tbl, col, op, query, n) LOOP
		i := i + 1;
		-- What the index stores may be coarser than what the table does.
		IF d < last AND d < last - abs(last) * 1e-2 THEN
			RETURN format('row %s at %s after %s', i, d, last);
		END IF;
		last := d;
	END LOOP;
	RETURN i || ' rows';
END
$$;

-- Faults that vecrecall.check_index() finds: none, if all is well. A share of
-- vertices that cannot be come to may be let pass.
CREATE FUNCTION vr_test.faults(index regclass, unreached float8 DEFAULT 0)
RETURNS SETOF text
LANGUAGE sql
AS $$
	SELECT f::text FROM vecrecall.check_index(index, true) f,
		regexp_match(f::text, '(\d+) of (\d+) live vertices cannot be reached') m
	WHERE m IS NULL OR m[1]::float8 > m[2]::float8 * unreached
$$;
