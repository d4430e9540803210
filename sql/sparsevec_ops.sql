-- Functions, operators and casts of sparsevec.

SELECT '{1:1,2:2}/4'::sparsevec <-> '{2:5,4:2}/4', '{1:1,2:2}/4'::sparsevec <#> '{2:5,4:2}/4',
	'{1:1,2:2}/4'::sparsevec <=> '{2:5,4:2}/4', '{1:1,2:2}/4'::sparsevec <+> '{2:5,4:2}/4';
SELECT l2_distance('{1:3}/9'::sparsevec, '{9:4}/9'), sparsevec_l2_squared_distance('{1:3}/9', '{9:4}/9'),
	inner_product('{1:3,2:1}/9'::sparsevec, '{2:4}/9'), sparsevec_negative_inner_product('{2:3}/9', '{2:4}/9'),
	cosine_distance('{1:3}/9'::sparsevec, '{9:4}/9'), l1_distance('{1:3}/9'::sparsevec, '{9:-4}/9');
SELECT '{}/2'::sparsevec <-> '{}/2', '{}/2'::sparsevec <-> '{2:-3}/2', '{2:-3}/2'::sparsevec <+> '{}/2',
	'{}/2'::sparsevec <#> '{1:1}/2', '{}/2'::sparsevec <=> '{1:1}/2', '{1:1}/2'::sparsevec <=> '{}/2';
SELECT '{1:2}/2'::sparsevec <=> '{1:3}/2', '{1:2}/2'::sparsevec <=> '{1:-3}/2',
	'{1:3e38}/1'::sparsevec <-> '{1:-3e38}/1';

-- The same as of the dense vectors, whichever elements are there.
SELECT count(*) AS pairs,
	count(*) FILTER (WHERE a::sparsevec <-> b::sparsevec <> a <-> b) AS l2,
	count(*) FILTER (WHERE a::sparsevec <#> b::sparsevec <> a <#> b) AS ip,
	count(*) FILTER (WHERE a::sparsevec <=> b::sparsevec <> a <=> b) AS cosine,
	count(*) FILTER (WHERE a::sparsevec <+> b::sparsevec <> a <+> b) AS l1,
	count(*) FILTER (WHERE sparsevec_cmp(a, b) <> vector_cmp(a, b)) AS cmp
FROM (SELECT ARRAY[i % 3 - 1, i / 3 % 3 - 1, i / 9 % 3 - 1, i / 27 - 1]::vector AS a FROM generate_series(0, 80) i) x,
	(SELECT ARRAY[i % 3 - 1, i / 3 % 3 - 1, i / 9 % 3 - 1, i / 27 - 1]::vector AS b FROM generate_series(0, 80) i) y;
SELECT count(*) AS pairs, count(*) FILTER (WHERE sparsevec_cmp(a, b) <> vector_cmp(a, b)) AS cmp
FROM (SELECT (ARRAY[i % 3 - 1, i / 3 % 3 - 1, i / 9 % 3 - 1])[1:n]::vector AS a FROM generate_series(0, 26) i, generate_series(1, 3) n) x,
	(SELECT (ARRAY[i % 3 - 1, i / 3 % 3 - 1, i / 9 % 3 - 1])[1:n]::vector AS b FROM generate_series(0, 26) i, generate_series(1, 3) n) y;

SELECT l2_norm('{1:3,9:4}/9'::sparsevec), l2_norm('{}/9'::sparsevec), l2_norm('{1:3e38,2:3e38}/2'::sparsevec);
SELECT l2_normalize('{1:3,9:4}/9'::sparsevec), l2_normalize('{}/9'::sparsevec),
	l2_normalize('{2:1e-45}/2'::sparsevec), l2_normalize('{1:3e38,2:1e-10,3:1}/3'::sparsevec);

SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge,
	a > b AS gt, sparsevec_cmp(a, b) AS cmp
FROM (VALUES ('{1:1}/2'::sparsevec, '{1:1}/2'::sparsevec), ('{1:1}/2', '{1:1}/3'), ('{1:1}/2', '{1:2}/2'),
	('{}/2', '{2:1}/2'), ('{}/2', '{2:-1}/2'), ('{1:1}/2', '{1:1,3:-1}/3'), ('{1:1}/3', '{1:1,3:-1}/3'),
	('{2:1}/3', '{1:1}/3'), ('{2:1}/3', '{1:-1}/3')) v(a, b);

-- Casts.
SELECT '{1,0,3}'::integer[]::sparsevec, '{0,-0,1.5}'::real[]::sparsevec,
	'{0.1,1e-300}'::float8[]::sparsevec, '{0.1,0}'::numeric[]::sparsevec;
SELECT '{1,2}'::real[]::sparsevec(3);
SELECT '{0,0}'::real[]::sparsevec;
SELECT '{NaN}'::real[]::sparsevec;
SELECT '{1e300}'::float8[]::sparsevec;
SELECT '{}'::real[]::sparsevec;
SELECT '{1,NULL}'::real[]::sparsevec;
SELECT '{{1},{2}}'::real[]::sparsevec;
SELECT left((array_fill(0, '{100000}') || 7)::sparsevec::text, 20);
SELECT array_fill(1, '{16001}')::sparsevec;
SELECT '{1:1.5,3:-2}/3'::sparsevec::vector, '{1:0.1,3:-2}/3'::sparsevec::halfvec,
	'[0,0]'::vector::sparsevec, '[-0,5.9604645e-08]'::halfvec::sparsevec;
SELECT '{1:1}/3'::sparsevec::vector(2), 1;
SELECT '{1:1}/3'::sparsevec::halfvec(2), 1;
SELECT '{1:1}/16001'::sparsevec::vector;
SELECT '{1:1}/1000000000'::sparsevec::halfvec;
SELECT '{2:65520}/3'::sparsevec::halfvec;
SELECT sparsevec('{1:1}/3', 2, true);
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext
FROM pg_cast
WHERE 'sparsevec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
