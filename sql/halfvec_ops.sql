-- Functions and operators of halfvec. Sums are float4, as those of vector.

SELECT '[0,0]'::halfvec <-> '[3,4]', '[1,2,3]'::halfvec <#> '[4,5,6]',
	'[1,2,3]'::halfvec <=> '[4,5,6]', '[1,2,3]'::halfvec <+> '[-3,5,2.5]';
SELECT l2_distance('[1,2,3]'::halfvec, '[3,2,1]'),
	halfvec_l2_squared_distance('[1,2,3]', '[3,2,1]'),
	inner_product('[1,2,3]'::halfvec, '[3,2,1]'),
	halfvec_negative_inner_product('[1,2,3]', '[3,2,1]');
SELECT cosine_distance('[0.5,0.25,0.125]'::halfvec, '[0.25,0.5,-1]'),
	l1_distance('[0.5,0.25,0.125]'::halfvec, '[0.25,0.5,-1]'),
	halfvec_spherical_distance('[1,0]', '[0,1]'),
	halfvec_spherical_distance('[2,0]', '[-2,0]');
-- Half precision has no sum too large for float4.
SELECT '[65504,65504]'::halfvec <#> '[65504,65504]', '[65504]'::halfvec <-> '[-65504]';
SELECT '[0,0]'::halfvec <=> '[1,1]', '[1,1]'::halfvec <=> '[3,3]',
	'[1,1]'::halfvec <=> '[-2,-2]';

SELECT vector_dims('[1,2,3]'::halfvec), l2_norm('[3,4]'::halfvec), l2_norm('[0]'::halfvec),
	l2_norm('[65504,65504]'::halfvec), l2_norm('[5.9604645e-08]'::halfvec);
SELECT l2_normalize('[3,4]'::halfvec), l2_normalize('[0,0]'::halfvec),
	l2_normalize('[65504,0]'::halfvec), l2_normalize('[5.9604645e-08]'::halfvec);

-- Arithmetic rounds once.
SELECT '[1,2,3]'::halfvec + '[4,5,6]', '[1,2,3]'::halfvec - '[4,5,6]',
	'[1,2,3]'::halfvec * '[4,-5,0]';
SELECT '[2048,2048]'::halfvec + '[1,3]', '[1]'::halfvec - '[0.0002]',
	'[1.001,3]'::halfvec * '[1.001,0.1]';
SELECT '[65504]'::halfvec + '[15.9]', '[65504]'::halfvec * '[1]';
SELECT '[65504]'::halfvec + '[16]';
SELECT '[-65504]'::halfvec - '[16]';
SELECT '[256]'::halfvec * '[256]';
SELECT '[1e-4]'::halfvec * '[1e-4]';
SELECT '[1e-4,0]'::halfvec * '[0,1e-4]';

-- More elements than are worked on at a time, the last one deciding.
CREATE TABLE long AS SELECT n, array_fill(2, ARRAY[n])::halfvec AS a,
	(array_fill(0.5, ARRAY[n - 1]) || -3::numeric)::halfvec AS b
	FROM unnest('{1,255,256,257,512,1000}'::int[]) n;
SELECT n, vector_dims(a + b) AS dim, l1_distance(a + b, a) AS l1,
	subvector(a * b, n, 1), subvector(a - b, n, 1), round(l2_norm(a) ^ 2) AS squares,
	right(binary_quantize(b)::text, 9) AS bits
FROM long ORDER BY n;
SELECT a * a * a * a * a * a * a * a * a * a * a * a * a * a * a * a FROM long WHERE n = 257;
DROP TABLE long;

SELECT '[1,2]'::halfvec || '[3]';
SELECT array_fill(0, '{16000}')::halfvec || '[1]';
SELECT subvector('[1,2,3,4,5]'::halfvec, 2, 3), subvector('[1,2,3,4,5]'::halfvec, -1, 3),
	subvector('[1,2,3,4,5]'::halfvec, 5, 2147483647);
SELECT subvector('[1,2,3]'::halfvec, 4, 1);
SELECT subvector('[1,2,3]'::halfvec, 1, 0);
SELECT binary_quantize('[1,0,-1,0.5,-0,5.9604645e-08,2,-2,1,-1,1]'::halfvec);

SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge,
	a > b AS gt, halfvec_cmp(a, b) AS cmp
FROM (VALUES ('[1,2,3]'::halfvec, '[1,2,3]'::halfvec), ('[1,2,3]', '[1,2,4]'),
	('[2]', '[1,9,9]'), ('[1,2]', '[1,2,3]'), ('[1,2,3]', '[1,2]'),
	('[0]', '[-0]'), ('[-1]', '[1]'), ('[-2]', '[-1]'), ('[-1]', '[-0]'),
	('[5.9604645e-08]', '[0]')) v(a, b);
-- Order of halves is order of the floats.
SELECT count(*) FILTER (WHERE halfvec_cmp(a, b) <> vector_cmp(a::vector, b::vector)) AS different
FROM (SELECT ARRAY[x]::halfvec AS a, ARRAY[y]::halfvec AS b
	  FROM generate_series(-3, 3, 0.5) x, generate_series(-3, 3, 0.5) y) v;

-- Casts.
SELECT '{1,2,3}'::integer[]::halfvec, '{1.5,-2}'::real[]::halfvec,
	'{0.1,1e-300}'::float8[]::halfvec, '{0.1,12345.6}'::numeric[]::halfvec;
SELECT '{1,2}'::real[]::halfvec(3);
SELECT '{65520}'::integer[]::halfvec;
SELECT '{1e10}'::float8[]::halfvec;
SELECT '{1e300}'::float8[]::halfvec;
SELECT '{NaN,70000}'::float8[]::halfvec;
SELECT '{NaN}'::real[]::halfvec;
SELECT '{}'::real[]::halfvec;
SELECT '{1,NULL}'::real[]::halfvec;
SELECT '{{1},{2}}'::real[]::halfvec;
SELECT '[0.1,2]'::halfvec::vector, '[0.1,2]'::halfvec::real[], '[0.5,0,2]'::halfvec::sparsevec;
SELECT '[1,2]'::halfvec::vector(3), 1;
SELECT halfvec('[1,2]'::halfvec, 3, false);
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext
FROM pg_cast
WHERE 'halfvec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

-- Aggregates.
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2]', NULL, '[3,5]', '[-1,0]']::halfvec[]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[]::halfvec[]) v;
SELECT avg(v) FROM unnest(ARRAY['[65504]', '[65504]']::halfvec[]) v;
SELECT sum(v) FROM unnest(ARRAY['[65504]', '[65504]']::halfvec[]) v;
SELECT avg(v) FROM unnest(ARRAY['[1]', '[1,2]']::halfvec[]) v;
SELECT i % 2 AS g, avg(ARRAY[i, -i]::halfvec), sum(ARRAY[i, -i]::halfvec)
FROM generate_series(1, 11) i GROUP BY 1 ORDER BY 1;
SELECT halfvec_accum('{0}', '[1,2]'), halfvec_accum('{1,2}', '[0.5]'),
	halfvec_combine('{1,2}', '{2,3}'), halfvec_combine('{0}', '{0}'),
	halfvec_avg('{2,3}'), halfvec_avg('{0}');
SELECT halfvec_accum('{1,NULL}', '[1]');
SELECT halfvec_avg('{1,70000}');
SELECT halfvec_avg('{1,NaN}');
SELECT halfvec_avg('{1}');
