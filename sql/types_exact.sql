-- Distances of short vectors, to the bit: clients compare them with ==. What
-- is expected here is what pgvector 0.8.6 gives, compiled for distribution
-- (GCC 12, OPTFLAGS=""), on x86-64 with fused multiply-add. Every instruction
-- set gives it. Nothing below is ours alone, so that pgvector can run this file.
SET extra_float_digits = 1;
-- 200 pairs of each length
CREATE FUNCTION exact_array(n int, k int, which int) RETURNS real[] LANGUAGE sql IMMUTABLE
RETURN (SELECT array_agg(((k * 7919 + i * 10473 + which * 3571 + k * i * i) % 20011 / 10007.0 - 1)::real ORDER BY i)
		FROM generate_series(1, n) i);
CREATE TABLE exact_pair AS
SELECT n, k, exact_array(n, k, 1) AS a, exact_array(n, k, 2) AS b
FROM generate_series(1, 15) n, generate_series(1, 200) k;

SELECT n, a::vector <-> b::vector AS l2, a::vector <#> b::vector AS ip,
	a::vector <=> b::vector AS cosine, a::vector <+> b::vector AS l1
FROM exact_pair WHERE k = 7 ORDER BY n;
SELECT n, a::halfvec <-> b::halfvec AS l2, a::halfvec <#> b::halfvec AS ip,
	a::halfvec <=> b::halfvec AS cosine, a::halfvec <+> b::halfvec AS l1
FROM exact_pair WHERE k = 7 ORDER BY n;

SELECT type, operator, count(*), md5(string_agg(d::text, ' ' ORDER BY n, k))
FROM exact_pair, LATERAL (VALUES
	('vector', '<->', a::vector <-> b::vector),
	('vector', '<#>', a::vector <#> b::vector),
	('vector', '<=>', a::vector <=> b::vector),
	('vector', '<+>', a::vector <+> b::vector),
	('vector', 'norm', vector_norm(a::vector)),
	('vector', 'l2_distance', l2_distance(a::vector, b::vector)),
	('vector', 'squared', vector_l2_squared_distance(a::vector, b::vector)),
	('vector', 'spherical', vector_spherical_distance(l2_normalize(a::vector), l2_normalize(b::vector))),
	('halfvec', '<->', a::halfvec <-> b::halfvec),
	('halfvec', '<#>', a::halfvec <#> b::halfvec),
	('halfvec', '<=>', a::halfvec <=> b::halfvec),
	('halfvec', '<+>', a::halfvec <+> b::halfvec),
	('halfvec', 'norm', l2_norm(a::halfvec)),
	('sparsevec', '<->', a::vector::sparsevec <-> b::vector::sparsevec),
	('sparsevec', '<#>', a::vector::sparsevec <#> b::vector::sparsevec),
	('sparsevec', '<=>', a::vector::sparsevec <=> b::vector::sparsevec),
	('sparsevec', '<+>', a::vector::sparsevec <+> b::vector::sparsevec),
	('sparsevec', 'norm', l2_norm(a::vector::sparsevec))) AS v (type, operator, d)
GROUP BY type, operator
ORDER BY type COLLATE "C" DESC, operator COLLATE "C";
-- of any length
SELECT md5(string_agg(concat(vector_norm(a::vector), ' ', a::vector::sparsevec <=> b::vector::sparsevec), ' ' ORDER BY n))
FROM (SELECT n, exact_array(n, n, 1) AS a, exact_array(n, n, 2) AS b FROM generate_series(16, 300) n) p;

-- of any magnitude
CREATE TABLE exact_wide AS
SELECT n, k, (SELECT array_agg((x * 10 ^ (i * 5 % 7 - 3))::real ORDER BY i) FROM unnest(exact_array(n, k, 3)) WITH ORDINALITY u(x, i)) AS a,
	(SELECT array_agg((x * 10 ^ (i * 3 % 7 - 3))::real ORDER BY i) FROM unnest(exact_array(n, k, 4)) WITH ORDINALITY u(x, i)) AS b
FROM generate_series(1, 40) n, generate_series(1, 20) k;
SELECT n > 15 AS long, md5(string_agg(vector_norm(a::vector)::text, ' ' ORDER BY n, k)) AS vector,
	md5(string_agg(l2_norm(a::halfvec)::text, ' ' ORDER BY n, k)) AS halfvec,
	md5(string_agg(l2_norm(a::vector::sparsevec)::text, ' ' ORDER BY n, k)) AS sparsevec,
	md5(string_agg(concat(l2_normalize(a::vector), l2_normalize(a::halfvec), l2_normalize(a::vector::sparsevec)), ' ' ORDER BY n, k)) AS normalized
FROM exact_wide GROUP BY 1 ORDER BY 1;
SELECT md5(string_agg(concat(a::vector <-> b::vector, ' ', a::vector <#> b::vector, ' ', a::vector <=> b::vector, ' ',
		a::vector <+> b::vector), ' ' ORDER BY n, k)) AS vector,
	md5(string_agg(concat(a::halfvec <-> b::halfvec, ' ', a::halfvec <#> b::halfvec, ' ', a::halfvec <=> b::halfvec, ' ',
		a::halfvec <+> b::halfvec), ' ' ORDER BY n, k)) AS halfvec
FROM exact_wide WHERE n <= 15;
DROP TABLE exact_wide;

-- known by heart
SELECT '[1,2,3]'::vector <-> '[3,2,1]' AS l2, '[1,2,3]'::vector <=> '[3,2,1]' AS cosine,
	'[0.1,0.2,0.3]'::vector <#> '[0.3,0.2,0.1]' AS ip, '[0.1,0.2,0.3]'::vector <+> '[0.3,0.2,0.1]' AS l1;

DROP TABLE exact_pair;
DROP FUNCTION exact_array(int, int, int);
