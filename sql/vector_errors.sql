-- Bad input of type vector: message, SQLSTATE and detail.
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

-- What is no vector at all.
SELECT input, error_of(format('SELECT %L::vector', input)) FROM (VALUES
	(''), (' '), ('['), ('[ '), ('[1'), ('[1,'), ('[1,2'), ('[1 '), ('1'), (']'),
	('[]'), ('[ ]'), ('[,]'), ('[,1]'), ('[1,]'), ('[1,,2]'), ('[1 2]'),
	('[1;2]'), ('{1,2}'), ('(1,2)'), ('[[1]]'), ('[1]]'), ('[1],'), ('[1]2'),
	('[1][2]'), ('x[1]'), ('[a]'), ('["1"]'), ('[1a]'), ('[1,b]'), ('[null]'),
	('[-]'), ('[+]'), ('[.]'), ('[--1]'), ('[+-1]'), ('[e5]'), ('[1e]'),
	('[1e+]'), ('[1..5]'), ('[1.5.5]'), ('[0x]'), ('[0xg]'), ('[1_000]')
) v(input);

-- What is no finite float4.
SELECT input, error_of(format('SELECT %L::vector', input)) FROM (VALUES
	('[NaN]'), ('[nan]'), ('[-nan]'), ('[nan(1)]'), ('[Infinity]'), ('[inf]'),
	('[-inf]'), ('[+Infinity]'), ('[1e39]'), ('[-1e39]'), ('[1e400]'),
	('[3.4028236e38]'), ('[1,3.5e38,x]'), ('[ 1e99 ]'), ('[0x1p128]'),
	('[1e99999999999999999999]'), ('[1' || repeat('0', 39) || ']')
) v(input);

-- Wrong number of dimensions.
SELECT error_of($$SELECT '[1,2]'::vector(3)$$);
SELECT error_of($$SELECT '[1,2]'::vector::vector(3)$$);
SELECT error_of($$SELECT ('[' || repeat('1,', 16000) || '1]')::vector$$);
SELECT error_of($$SELECT ('[' || repeat('1,', 16000) || 'x')::vector$$);
SELECT fn, error_of(format($$SELECT '[1,2]'::vector %s '[3]'$$, fn))
FROM unnest('{<->,<#>,<=>,<+>,+,-,*}'::text[]) fn;
SELECT fn, error_of(format($$SELECT %s('[1,2]'::vector, '[3]'::vector)$$, fn))
FROM unnest('{l2_distance,inner_product,cosine_distance,l1_distance,
	vector_l2_squared_distance,vector_negative_inner_product,
	vector_spherical_distance,vector_add,vector_sub,vector_mul}'::text[]) fn;

-- Type modifiers.
SELECT error_of('SELECT NULL::vector(0)');
SELECT error_of('SELECT NULL::vector(16001)');
SELECT error_of('SELECT NULL::vector(1,2)');
SELECT error_of('SELECT vector_typmod_in(''{2,2}'')');
SELECT error_of('SELECT vector_typmod_in(ARRAY[[''1'']]::cstring[])');

-- A text that does not end is not read beyond its end.
SELECT error_of(format('SELECT %L::vector', '[' || repeat('1', n)))
FROM generate_series(1, 20) n;

DROP FUNCTION error_of;
