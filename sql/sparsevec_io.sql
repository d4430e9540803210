-- Text and type modifier of sparsevec.

SELECT '{1:1.5,3:-2}/5'::sparsevec;
SELECT '{}/3'::sparsevec;
SELECT '{3:1,1:2}/3'::sparsevec;
SELECT '{1:0,2:-0,3:1e-45}/3'::sparsevec;
SELECT '{1000000000:1e38}/1000000000'::sparsevec;
SELECT ' { 1 : 1 , 	2 :2.50 } / 3 '::sparsevec;
SELECT '{ +1:+0x10 , 0000000002:5e-1}/ +3'::sparsevec;
SELECT (E'{\t1:\f1' || chr(11) || E',\n2:2\r}\n/\t3\n')::sparsevec;

-- Type modifier.
SELECT '{1:1}/3'::sparsevec(3);
SELECT '{1:1}/3'::sparsevec(2);
CREATE TABLE typmod (a sparsevec, b sparsevec(1000000000));
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'typmod'::regclass AND attnum > 0 ORDER BY attnum;
DROP TABLE typmod;
SELECT '{"{1:1}/2","{1:1,2:2}/2"}'::sparsevec[];

-- The most elements there can be.
SELECT l2_norm(('{' || string_agg(i || ':1', ',') || '}/16000')::sparsevec) ^ 2 AS nnz
	FROM generate_series(1, 16000) i;

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
SELECT input, error_of(format('SELECT %L::sparsevec', input)) FROM (VALUES
	(''), (' '), ('{'), ('{ '), ('{1'), ('{1:'), ('{1:1'), ('{1:1,'), ('{1:1}'),
	('{1:1}/'), ('{1:1}/ '), ('{1:1}/x'), ('{1:1}/2x'), ('{1:1}/2/3'), ('{}'),
	('[1,2]'), ('{,}/2'), ('{1:1,}/2'), ('{,1:1}/2'), ('{1:1,,2:2}/2'), ('{:1}/2'),
	('{1}/2'), ('{1:}/2'), ('{1:a}/2'), ('{a:1}/2'), ('{1.5:1}/2'), ('{1e1:1}/20'),
	('{1::1}/2'), ('{1:1:1}/2'), ('{1:1 2:2}/2'), ('{1:1}/2.5'), ('{1:1}}/2'), ('{0x1:1}/2')
) v(input);
SELECT input, error_of(format('SELECT %L::sparsevec', input)) FROM (VALUES
	('{1:NaN}/2'), ('{1:inf}/2'), ('{1:-Infinity}/2'), ('{1:1e39}/2'),
	('{1:-1e400}/2'), ('{1:1e-46}/2'), ('{1:-1e-99}/2'), ('{1:1e-45}/2')
) v(input);
SELECT input, error_of(format('SELECT %L::sparsevec', input)) FROM (VALUES
	('{0:1}/2'), ('{-1:1}/2'), ('{3:1}/2'), ('{1:1,1:2}/2'), ('{2:1,1:1,2:2}/2'),
	('{1:1,3:1,2:1}/2'), ('{2147483647:1}/2'), ('{2147483648:1}/2'),
	('{-2147483648:1}/2'), ('{-2147483649:1}/2'), ('{99999999999999999999:1}/2'),
	('{0:0}/2'), ('{}/0'), ('{}/-1'), ('{}/1000000000'), ('{}/1000000001'),
	('{}/2147483648'), ('{}/-2147483649'), ('{}/99999999999999999999')
) v(input);
SELECT error_of(format('SELECT %L::sparsevec', '{' || string_agg(i || ':1', ',') || '}/20000'))
	FROM generate_series(1, 16001) i;
SELECT error_of(format('SELECT %L::sparsevec', repeat(',', 16000)));
SELECT error_of('SELECT NULL::sparsevec(0)'), error_of('SELECT NULL::sparsevec(1000000001)');
SELECT error_of('SELECT NULL::sparsevec(1,2)');
SELECT fn, error_of(format($$SELECT '{1:1}/2'::sparsevec %s '{1:1}/3'$$, fn))
FROM unnest('{<->,<#>,<=>,<+>}'::text[]) fn;
DROP FUNCTION error_of;
