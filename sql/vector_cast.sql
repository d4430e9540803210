-- Casts of vector.

-- From arrays, by assignment or when asked for.
SELECT '{1,2,3}'::integer[]::vector, '{1.5,-2}'::real[]::vector,
	'{0.1,1e-300}'::float8[]::vector, '{0.1,123456789.123456789}'::numeric[]::vector;
SELECT '{1,2,3}'::real[]::vector(3);
SELECT '{1,2,3}'::real[]::vector(2);
SELECT '{16777217,2147483647,-2147483648}'::integer[]::vector;
SELECT '[5:6]={1,2}'::real[]::vector;
SELECT '{}'::real[]::vector;
SELECT '{1,NULL}'::real[]::vector;
SELECT '{{1,2},{3,4}}'::real[]::vector;
SELECT '{NaN}'::real[]::vector;
SELECT '{Infinity}'::float8[]::vector;
SELECT '{1e300}'::float8[]::vector;
SELECT '{1e40}'::numeric[]::vector;
SELECT '{NaN}'::numeric[]::vector;
SELECT array_fill(1, '{16001}')::vector;
SELECT vector_dims(array_fill(1.5::numeric, '{16000}')::vector);
-- The NULL was there once.
SELECT array_remove('{1,NULL,3}'::real[], NULL)::vector;
CREATE TABLE assigned (v vector(2));
INSERT INTO assigned VALUES ('{1,2}'::integer[]), ('{1,2}'::real[]),
	('{1,2}'::float8[]), ('{1,2}'::numeric[]), (ARRAY[3, 4]);
INSERT INTO assigned VALUES (ARRAY[1, 2, 3]);
SELECT * FROM assigned;
DROP TABLE assigned;
-- Not without asking, where an expression stands.
SELECT '[1,2]'::vector <-> '{1,2}'::integer[];

-- To real[], anywhere.
SELECT '[1,-2.5,1e-45]'::vector::real[];
SELECT array_length('[1,2,3]'::vector, 1);
SELECT array_agg(x) FROM unnest('[1,2,3]'::vector::real[]) x;
SELECT '[1,2]'::vector::float8[];

-- The modifier is applied by a cast, also to values that are no literals.
SELECT v::vector(2) FROM (VALUES ('[1,2]'::vector)) t(v);
SELECT v::vector(3) FROM (VALUES ('[1,2]'::vector)) t(v);
SELECT vector('[1,2]'::vector, 2, true), vector('[1,2]'::vector, -1, false);

-- Between the types, implicit towards fewer bits as pgvector has it.
SELECT '[1,2.0001,65504]'::vector::halfvec, '[1,0,-2]'::vector::sparsevec;
SELECT '[1,2]'::vector <-> '[3,4]'::halfvec;
SELECT '[1,65520]'::vector::halfvec;
SELECT '[1,2]'::vector::halfvec(3), 1;
SELECT '[1,2]'::vector::sparsevec(3), 1;

-- What each cast is.
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext
FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
