-- Functions and operators of vector. Distances are sums in float4, everything
-- after the sum is float8, so the digits below are exact.

SELECT '[0,0]'::vector <-> '[3,4]';
SELECT '[1,2,3]'::vector <-> '[3,2,1.1]';
SELECT '[1,2,3]'::vector <#> '[4,5,6]';
SELECT '[1,2,3]'::vector <=> '[4,5,6]';
SELECT '[1,2,3]'::vector <+> '[-3,5,2.5]';
SELECT l2_distance('[0.1,0.2,0.3]'::vector, '[0.3,0.2,0.2]'),
	vector_l2_squared_distance('[0.1,0.2,0.3]', '[0.3,0.2,0.2]'),
	inner_product('[0.1,0.2,0.3]'::vector, '[0.3,0.2,0.2]'),
	vector_negative_inner_product('[0.1,0.2,0.3]', '[0.3,0.2,0.2]');
SELECT cosine_distance('[0.5,0.25,0.125]'::vector, '[0.25,0.5,-1]'),
	l1_distance('[0.1,0.2,0.3]'::vector, '[0.3,0.2,0.2]'),
	vector_spherical_distance('[0.6,0.8]', '[1,0]');

-- A sum of squares that float4 cannot hold is infinite, as it is in pgvector.
SELECT '[3e38]'::vector <-> '[-3e38]', '[3e38,3e38]'::vector <#> '[3e38,3e38]',
	'[3e38,3e38]'::vector <+> '[-3e38,0]';
SELECT '[1e-38]'::vector <-> '[0]';

-- Cosine: in [0,2] whatever the rounding; not a number without a direction.
SELECT '[1,1]'::vector <=> '[1,1]', '[1,1]'::vector <=> '[-1,-1]',
	'[1,0]'::vector <=> '[0,2]';
SELECT bool_and(d >= 0 AND d <= 2) AS in_range
FROM (SELECT ARRAY[x, y, z]::vector <=> ARRAY[k * x, k * y, k * z]::vector AS d
	  FROM generate_series(1, 9) x, generate_series(-3, 3) y,
		   generate_series(1, 5) z, unnest('{0.1,-0.7,3}'::float8[]) k) s;
SELECT '[0,0]'::vector <=> '[1,1]', '[1,1]'::vector <=> '[0,0]',
	'[0,0]'::vector <=> '[0,0]';
SELECT '[1e-30,1e-30]'::vector <=> '[1,1]', '[3e38]'::vector <=> '[1]';
SELECT vector_spherical_distance('[1,0]', '[1,0]'),
	vector_spherical_distance('[1,0]', '[-1,0]'),
	vector_spherical_distance('[2,0]', '[2,0]'),
	vector_spherical_distance('[2,0]', '[-2,0]');

-- Dimensions, norm, normalised.
SELECT vector_dims('[1,2,3]'::vector), vector_norm('[3,4]'),
	vector_norm('[0,0]'), vector_norm('[3e38,3e38]'), vector_norm('[1e-45]');
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[0,0]'::vector),
	l2_normalize('[3e38,0]'::vector), l2_normalize('[1e-45]'::vector),
	l2_normalize('[3,-0]'::vector);

-- Arithmetic.
SELECT '[1,2,3]'::vector + '[4,5,6]', '[1,2,3]'::vector - '[4,5,6]',
	'[1,2,3]'::vector * '[4,-5,0]';
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[-3e38]'::vector - '[3e38]';
SELECT '[1e37]'::vector * '[1e37]';
SELECT '[1e-37]'::vector * '[1e-37]';
SELECT '[1e-37,0]'::vector * '[0,1e-37]';
SELECT '[1,2,1e-37]'::vector * '[3,4,1e-5]';

-- Concatenation and parts.
SELECT '[1,2]'::vector || '[3]';
SELECT vector_dims(array_fill(0, '{8000}')::vector || array_fill(0, '{8000}')::vector);
SELECT array_fill(0, '{16000}')::vector || '[1]';
SELECT start, count, subvector('[1,2,3,4,5]'::vector, start, count)
FROM (VALUES (1, 5), (2, 3), (5, 1), (5, 100), (0, 2), (-1, 3), (-2147483648, 2147483647),
	(1, 2147483647), (3, 2147483647)) v(start, count) WHERE start > -1000;
SELECT subvector('[1,2,3]'::vector, 4, 1);
SELECT subvector('[1,2,3]'::vector, 1, 0);
SELECT subvector('[1,2,3]'::vector, 1, -2147483648);
SELECT subvector('[1,2,3]'::vector, 0, 1);
SELECT subvector('[1,2,3]'::vector, -2147483648, 2147483647);
SELECT subvector('[1,2,3]'::vector, 2147483647, 2147483647);

-- One bit per element, the first one highest.
SELECT binary_quantize('[1,0,-1,0.5,-0,1e-45,2,-2]'::vector);
SELECT binary_quantize('[1,0,-1,0.5,-0,1e-45,2,-2,1,-1,1]'::vector);
SELECT length(binary_quantize(array_fill(1, '{16000}')::vector));

-- Comparison: by element, then by length; both zeros are equal.
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge,
	a > b AS gt, vector_cmp(a, b) AS cmp
FROM (VALUES ('[1,2,3]'::vector, '[1,2,3]'::vector), ('[1,2,3]', '[1,2,4]'),
	('[2]', '[1,9,9]'), ('[1,2]', '[1,2,3]'), ('[1,2,3]', '[1,2]'),
	('[0]', '[-0]'), ('[-1]', '[1]'), ('[1e-45]', '[0]')) v(a, b);

-- NULL in, NULL out.
SELECT NULL::vector <-> '[1]', '[1]'::vector + NULL, vector_dims(NULL::vector);
