-- avg and sum of vector.

SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2]', '[3,5]', '[-1,0]']::vector[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2]', NULL, '[3,5]']::vector[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[NULL]::vector[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[]::vector[]) v;
SELECT avg(v) FROM unnest(ARRAY['[1,2]', '[3]']::vector[]) v;
SELECT sum(v) FROM unnest(ARRAY['[1,2]', '[3]']::vector[]) v;

-- avg adds in float8, sum in float4.
SELECT avg(v) FROM unnest(ARRAY['[3e38]', '[3e38]']::vector[]) v;
SELECT sum(v) FROM unnest(ARRAY['[3e38]', '[3e38]']::vector[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY['[16777216]', '[1]', '[1]', '[1]', '[1]']::vector[]) v;

-- The state is changed in place; the rows and other groups are not.
CREATE TABLE rows AS
	SELECT i % 3 AS g, ARRAY[i, -i, i * 0.5]::vector AS v FROM generate_series(1, 100) i;
SELECT g, count(*), avg(v), sum(v) FROM rows GROUP BY g ORDER BY g;
SELECT g, avg(v), sum(v) FROM rows GROUP BY ROLLUP (g) ORDER BY g;
SELECT i, sum(v) OVER w, avg(v) OVER w
FROM (SELECT row_number() OVER (ORDER BY v) AS i, v FROM rows) r
WINDOW w AS (ORDER BY i ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) ORDER BY i LIMIT 6;
SELECT i, sum(v) OVER (ORDER BY i), avg(v) OVER (ORDER BY i)
FROM (SELECT row_number() OVER (ORDER BY v) AS i, v FROM rows) r ORDER BY i LIMIT 4;
SELECT sum(v) = (SELECT sum(v) FROM rows) AS unchanged FROM rows;
SELECT avg(DISTINCT v), sum(v ORDER BY v DESC) FROM rows WHERE g = 1 AND v < '[20]';

-- In parallel, also with no row at all in any worker or in some.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE rows SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM rows;
SELECT avg(v), sum(v) FROM rows;
SELECT avg(v), sum(v) FROM rows WHERE v > '[1000]';
SELECT g, avg(v), sum(v) FROM rows WHERE v = '[7,-7,3.5]' GROUP BY g;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- A large state, and values out of line.
CREATE TABLE wide (v vector(2000));
INSERT INTO wide SELECT array_fill(i, '{2000}')::vector FROM generate_series(1, 20) i;
SELECT avg(v) = array_fill(10.5, '{2000}')::vector AS avg,
	sum(v) = array_fill(210, '{2000}')::vector AS sum FROM wide;
DROP TABLE wide;

-- The functions behind them can be called by hand, with anything.
SELECT vector_accum('{0}', '[1,2]');
SELECT vector_accum('{2,3,4}', '[1,2]');
SELECT vector_accum('{2,3,4}', '[1,2,3]');
SELECT vector_accum('{}', '[1,2]');
SELECT vector_accum('{{1,2},{3,4}}', '[1]');
SELECT vector_accum('{1,NULL}', '[1]');
SELECT vector_accum('{1,1.7976931348623157e308}', '[3e38]');
SELECT vector_accum('{1,Infinity}', '[1]');
SELECT vector_combine('{0}', '{0}'), vector_combine('{0}', '{1,2,3}'),
	vector_combine('{1,2,3}', '{0}'), vector_combine('{1,2,3}', '{4,5,6}');
SELECT vector_combine('{1,2,3}', '{1,2}');
SELECT vector_combine('{1}', '{1,2}');
SELECT vector_combine('{1,2}', '{1}');
SELECT vector_combine('{1,1e308}', '{1,1e308}');
SELECT vector_combine('{1,NULL}', '{0}');
SELECT vector_combine(array_fill(0::float8, '{16002}'), '{0}');
SELECT vector_combine('{0}', array_fill(1::float8, '{16002}'));
SELECT vector_avg('{0}'), vector_avg('{0,1,2}'), vector_avg('{2,3,4}');
SELECT vector_avg('{1}');
SELECT vector_avg('{1,NaN}');
SELECT vector_avg('{1,1e300}');
SELECT vector_avg(array_fill(1::float8, '{16002}'));

-- A state is not changed where no aggregate owns it.
SELECT s, vector_accum(s, '[1]'), vector_combine(s, s), s FROM (VALUES ('{1,2}'::float8[])) t(s);
DO $$
DECLARE
	s float8[] := '{1,2}';
	t float8[];
BEGIN
	t := vector_accum(s, '[1]');
	RAISE NOTICE '% %', s, t;
END $$;
DROP TABLE rows;
