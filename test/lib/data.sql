-- data.sql: generated vectors and recall, for tests and benchmarks.
--
-- Everything is a pure function of its seed: the same on every machine and
-- version, whatever the plan or the order of rows. Numbers come from a hash
-- of (seed, position), and no libm function is involved.
--
-- In a regress test:   \getenv srcdir PG_ABS_SRCDIR
--                      \set data :srcdir '/test/lib/data.sql'
--                      \i :data
-- In a TAP test:       VecRecall::load_data($node)

CREATE SCHEMA vr_test;

-- One number of [0, 1) for a seed and a position.
CREATE FUNCTION vr_test.rnd(seed bigint, i bigint) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT (hashint8extended(i, seed) & 9007199254740991) / 9007199254740992.0::float8';

-- Nearly normal, mean 0 and variance 1: four uniform numbers, summed.
CREATE FUNCTION vr_test.bell(seed bigint, i bigint) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT (vr_test.rnd(seed, 4 * i) + vr_test.rnd(seed, 4 * i + 1)
		  + vr_test.rnd(seed, 4 * i + 2) + vr_test.rnd(seed, 4 * i + 3) - 2)
		 * 1.7320508075688772';

-- n vectors of dim elements; what kind is one of
--	uniform		independent in [-1, 1)
--	clustered	around n/100 (at least 3) centres, spread a fifth of theirs
--	lowdim		on a random 8-dimensional plane, with 5 % noise off it
--	ties		small integers, so that many distances are equal
--	duplicates	uniform, each value ten times
--	zeros		uniform, every seventh all zero
-- Arrays, so that this file needs none of the types: cast v to vector,
-- halfvec or (through vector) sparsevec.
CREATE FUNCTION vr_test.made(kind text, n int, dim int, seed int,
								OUT id int, OUT v real[])
RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 10000
AS $$
DECLARE
	clusters CONSTANT int := greatest(3, n / 100);
	planes CONSTANT int := least(8, dim);
	-- What a vector is made around lies in a stream of numbers of its own.
	basis CONSTANT bigint := seed::bigint + (1::bigint << 40);
	plane float8[];
	spot float8[];
BEGIN
	IF kind = 'lowdim' THEN
		SELECT array_agg(vr_test.bell(basis, i) ORDER BY i) INTO plane
		FROM generate_series(1, planes * dim) i;
	ELSIF kind NOT IN ('uniform', 'clustered', 'ties', 'duplicates', 'zeros') THEN
		RAISE EXCEPTION 'no such kind of vectors: %', kind;
	END IF;
	FOR i IN 1 .. n LOOP
		id := i;
		v := CASE kind
			WHEN 'uniform' THEN
				(SELECT array_agg(2 * vr_test.rnd(seed, id::bigint * dim + d) - 1 ORDER BY d)
				 FROM generate_series(1, dim) d)
			WHEN 'clustered' THEN
				(SELECT array_agg(vr_test.bell(basis, (c * dim + d)::bigint)
								  + 0.2 * vr_test.bell(seed, id::bigint * dim + d) ORDER BY d)
				 FROM generate_series(1, dim) d,
					  floor(clusters * vr_test.rnd(basis, -id)) c)
			WHEN 'ties' THEN
				(SELECT array_agg(floor(3 * vr_test.rnd(seed, id::bigint * dim + d)) ORDER BY d)
				 FROM generate_series(1, dim) d)
			WHEN 'duplicates' THEN
				(SELECT array_agg(2 * vr_test.rnd(seed, (id / 10)::bigint * dim + d) - 1 ORDER BY d)
				 FROM generate_series(1, dim) d)
			WHEN 'zeros' THEN
				(SELECT array_agg(CASE WHEN id % 7 = 0 THEN 0
								  ELSE 2 * vr_test.rnd(seed, id::bigint * dim + d) - 1 END ORDER BY d)
				 FROM generate_series(1, dim) d)
			END;
		IF kind = 'lowdim' THEN
			SELECT array_agg(vr_test.bell(seed, id::bigint * planes + p) ORDER BY p) INTO spot
			FROM generate_series(1, planes) p;
			SELECT array_agg(x ORDER BY d) INTO v
			FROM (SELECT d, 0.05 * vr_test.bell(seed + 1, id::bigint * dim + d)
						 + sum(spot[p] * plane[(p - 1) * dim + d] ORDER BY p) AS x
				  FROM generate_series(1, dim) d, generate_series(1, planes) p
				  GROUP BY d) s;
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;

-- The same, from a file if somebody has made it beforehand: under valgrind the
-- numbers would take longer than what is tested with them (sanitize.sh). The
-- folder is in the setting vr_test.data.
CREATE FUNCTION vr_test.vectors(kind text, n int, dim int, seed int,
								OUT id int, OUT v real[])
RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 10000
AS $$
DECLARE
	folder CONSTANT text := current_setting('vr_test.data', true);
	file CONSTANT text := format('%s/%s_%s_%s_%s', folder, kind, n, dim, seed);
BEGIN
	IF folder <> '' AND (pg_stat_file(file, true)).size IS NOT NULL THEN
		RETURN QUERY SELECT no::int, line::real[]
			FROM string_to_table(rtrim(pg_read_file(file), E'\n'), E'\n') WITH ORDINALITY s(line, no);
	ELSE
		RETURN QUERY SELECT * FROM vr_test.made(kind, n, dim, seed);
	END IF;
END
$$;

-- Does the plan of that query scan that index?
CREATE FUNCTION vr_test.uses_index(query text, index regclass) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json, COSTS off) ' || query INTO plan;
	RETURN plan::text LIKE '%"Index Name": "'
		|| (SELECT relname FROM pg_class WHERE oid = index) || '"%';
END
$$;

-- Mean recall@k of an index scan over a table, against the exact answer by a
-- sequential scan. A row counts as found if it is not farther than the exact
-- k-th, so that ties and duplicates are judged by distance and not by luck.
-- queries selects one column of the column's own type; op is an operator.
-- Fails if the scan does not use an index: a sequential scan's recall is 1.
CREATE FUNCTION vr_test.recall(tbl regclass, col name, op text, k int,
							   queries text, filter text DEFAULT 'true')
RETURNS float8
LANGUAGE plpgsql
AS $$
DECLARE
	q text;
	type text;
	search text;
	plan json;
	farthest float8;
	expected int;
	found int;
	total float8 := 0;
	n int := 0;
BEGIN
	SELECT format_type(atttypid, atttypmod) INTO STRICT type
	FROM pg_attribute WHERE attrelid = tbl AND attname = col;
	PERFORM set_config('max_parallel_workers_per_gather', '0', true);
	FOR q IN EXECUTE 'SELECT x::text FROM (' || queries || ') s(x)' LOOP
		search := format('SELECT %1$I %2$s %3$L::%4$s AS d FROM %5$s WHERE %6$s'
						 ' ORDER BY %1$I %2$s %3$L::%4$s LIMIT %7$s',
						 col, op, q, type, tbl, filter, k);
		PERFORM set_config('enable_seqscan', 'on', true),
				set_config('enable_indexscan', 'off', true),
				set_config('enable_bitmapscan', 'off', true);
		EXECUTE 'SELECT max(d), count(*) FROM (' || search || ') s'
			INTO farthest, expected;
		PERFORM set_config('enable_seqscan', 'off', true),
				set_config('enable_indexscan', 'on', true);
		EXECUTE 'EXPLAIN (FORMAT json) ' || search INTO plan;
		IF plan::text NOT LIKE '%"Index Name"%' THEN
			RAISE EXCEPTION 'no index is used by: %', search;
		END IF;
		EXECUTE 'SELECT count(*) FROM (' || search || ') s WHERE d <= $1'
			INTO found USING farthest + abs(farthest) * 1e-6;
		total := total + CASE expected WHEN 0 THEN 1 ELSE found::float8 / expected END;
		n := n + 1;
	END LOOP;
	PERFORM set_config('enable_seqscan', 'on', true),
			set_config('enable_bitmapscan', 'on', true);
	RETURN total / nullif(n, 0);
END
$$;
