-- Text and type modifier of vector.

-- Numbers come out as the shortest text that reads back the same.
SELECT '[1,2,3]'::vector;
SELECT '[-1,+2,-3.5]'::vector;
SELECT '[1.,.5,-.25]'::vector;
SELECT '[1e3,1E-3,1e+2,1.5e00002]'::vector;
SELECT '[0.1,0.10000000149011612,16777217,0.3333333333333333333]'::vector;
SELECT '[0,-0,0.0,-0e5,0e999]'::vector;
SELECT '[3.4028235e38,-3.4028235e38,1.17549435e-38]'::vector;

-- Too small for a normal number is rounded, to zero if need be.
SELECT '[1e-45,7.1e-46,7e-46,-1e-46,1e-99]'::vector;

-- Hexadecimal numbers, as strtof reads them.
SELECT '[0x10,0x1p-3,-0x.8]'::vector;

-- More digits than a double can hold.
SELECT '[1.00000005960464477539062500000000000000001,1.000000059604644775390625]'::vector;
SELECT '[00000000000000000000000000012345.678900000000000000000000000]'::vector;

-- Spaces, anywhere but inside a number.
SELECT ' [ 1 , 2 ,	3 ] '::vector;
SELECT (E'\n[\t1' || chr(11) || E',\f2\r]\n')::vector;

-- Type modifier.
SELECT '[1,2,3]'::vector(3);
SELECT '[1,2,3]'::vector(2);
CREATE TABLE typmod (a vector, b vector(3), c vector(16000));
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'typmod'::regclass AND attnum > 0 ORDER BY attnum;
INSERT INTO typmod (a, b) VALUES ('[1]', '[1,2,3]');
INSERT INTO typmod (a, b) VALUES ('[1,2,3,4]', '[1,2]');
UPDATE typmod SET b = '[1,2,3,4]';
INSERT INTO typmod (b) SELECT '[1,2]'::vector;
SELECT * FROM typmod;
DROP TABLE typmod;
CREATE TABLE bad (v vector(0));
CREATE TABLE bad (v vector(-1));
CREATE TABLE bad (v vector(16001));
CREATE TABLE bad (v vector(3, 4));
CREATE TABLE bad (v vector(x));
CREATE TABLE bad (v vector(99999999999));
SELECT vector_typmod_in('{16000}');
SELECT vector_typmod_in('{1,2}');
SELECT vector_typmod_in('{}');
SELECT vector_typmod_in('{NULL}');
SELECT vector_typmod_in('{{3}}');

-- Arrays of vectors.
SELECT '{"[1,2]","[3]"}'::vector[];
SELECT ARRAY['[1,2]', '[3]']::vector[];
SELECT ('{"[1,2,3]"}'::vector(2)[])[1];

-- The longest vector, and one too long.
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::vector);
SELECT vector_dims(('[' || repeat('1,', 16000) || '1]')::vector);

-- Every power of two and its neighbours come back bit by bit.
SELECT count(*) AS values, count(*) FILTER (WHERE bits <> again) AS changed
FROM (SELECT e, vector_send(ARRAY[x, nextx]::vector) AS bits,
			 vector_send(vector_out(ARRAY[x, nextx]::vector)::text::vector) AS again
	  FROM (SELECT e, power(2::float8, e)::real AS x,
				   (power(2::float8, e) * (1 + power(2::float8, -23)))::real AS nextx
			FROM generate_series(-126, 127) e) p) q;
