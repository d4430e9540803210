-- Text and type modifier of halfvec.

-- Rounded to the nearest of 11 bits, ties to even; shown as the float4 it is.
SELECT '[1,2,3]'::halfvec;
SELECT '[0.1,0.3333333,-2.71828]'::halfvec;
SELECT '[2049,2050,2051,4098,4102]'::halfvec;
SELECT '[65504,-65504,65519.99]'::halfvec;
SELECT '[6.1035156e-05,6.0975552e-05,5.9604645e-08,2.9802322e-08,2.9802326e-08]'::halfvec;
SELECT '[0,-0,1e-99,-1e-10]'::halfvec;
SELECT ' [ 0x1p-3 ,	1e1 ] '::halfvec;

-- Type modifier.
SELECT '[1,2,3]'::halfvec(3);
SELECT '[1,2,3]'::halfvec(2);
CREATE TABLE typmod (a halfvec, b halfvec(3));
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'typmod'::regclass AND attnum > 0 ORDER BY attnum;
INSERT INTO typmod VALUES ('[1]', '[1,2,3]');
INSERT INTO typmod VALUES ('[1]', '[1,2]');
SELECT * FROM typmod;
DROP TABLE typmod;
SELECT NULL::halfvec(0);
SELECT NULL::halfvec(16001);
SELECT NULL::halfvec(1, 2);
SELECT '{"[1,2]","[3]"}'::halfvec[];
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::halfvec);

-- Every value there is, but for NaN and infinities, through text and back.
SELECT count(*) AS values, count(*) FILTER (WHERE h <> h::text::halfvec) AS changed,
	count(*) FILTER (WHERE h::vector <> h::text::vector) AS other_float
FROM (SELECT ARRAY[s * power(2::float8, greatest(e, 1) - 25) * (m + CASE WHEN e > 0 THEN 1024 ELSE 0 END)]::float8[]::halfvec AS h
	  FROM generate_series(0, 30) e, generate_series(0, 1023) m, unnest('{1,-1}'::int[]) s) v;

-- Bad input.
CREATE FUNCTION error_of(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	message text;
	state text;
BEGIN
	EXECUTE sql;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
		message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' | ', state, message, nullif(detail, ''));
END $$;
SELECT input, error_of(format('SELECT %L::halfvec', input)) FROM (VALUES
	(''), ('['), ('[1'), ('[1,'), ('[]'), ('[,]'), ('[1,]'), ('{1}'), ('[1]]'),
	('[a]'), ('[1e]'), ('[NaN]'), ('[Infinity]'), ('[-inf]'), ('[65520]'),
	('[-65520]'), ('[ 65519.999 , 7e4 ]'), ('[1e39]'), ('[1e400]')
) v(input);
SELECT error_of($$SELECT '[1,2]'::halfvec(3)$$),
	error_of($$SELECT '[1,2]'::halfvec <-> '[3]'$$),
	error_of($$SELECT '[1,2]'::halfvec + '[3]'$$);
SELECT error_of($$SELECT ('[' || repeat('1,', 16000) || '1]')::halfvec$$);
SELECT error_of('SELECT NULL::halfvec(0)'), error_of('SELECT NULL::halfvec(16001)');
DROP FUNCTION error_of;
