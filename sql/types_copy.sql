-- COPY of the three types, as text, as CSV and as binary, through a file of
-- the server.
CREATE TABLE source (id int, v vector(3), h halfvec(3), s sparsevec(3), va vector[]);
INSERT INTO source VALUES
	(1, '[1,2,3]', '[1,2,3]', '{1:1,3:3}/3', '{"[1]","[2,3]"}'),
	(2, '[-0.1,3.4028235e38,1e-45]', '[65504,-0.1,5.9604645e-08]', '{}/3', '{}'),
	(3, NULL, NULL, NULL, '{NULL}');

CREATE FUNCTION through(options text) RETURNS TABLE (id int, same bool) LANGUAGE plpgsql AS $$
DECLARE
	file text := current_setting('data_directory') || '/types_copy.tmp';
BEGIN
	CREATE TEMP TABLE target (LIKE source);
	EXECUTE format('COPY source TO %L (%s)', file, options);
	EXECUTE format('COPY target FROM %L (%s)', file, options);
	RETURN QUERY SELECT a.id, (a.v, a.h, a.s, a.va) IS NOT DISTINCT FROM (b.v, b.h, b.s, b.va)
		FROM source a JOIN target b USING (id) ORDER BY id;
	DROP TABLE target;
END $$;
SELECT * FROM through('FORMAT text');
SELECT * FROM through('FORMAT csv');
SELECT * FROM through('FORMAT binary');
DROP FUNCTION through;

COPY source (id, v) FROM stdin;
4	[4,5,6]
5	\N
6	[ 7,8.5 ,9e0]
\.
SELECT id, v FROM source WHERE id > 3 ORDER BY id;
COPY source (id, v) FROM stdin;
7	[1,2]
\.
COPY source (id, v) FROM stdin;
7	[1,2,x]
\.
COPY source (id, h) FROM stdin;
7	[1,2,70000]
\.
COPY source (id, s) FROM stdin;
7	{4:1}/3
\.
COPY source (v, h, s) TO stdout;
DROP TABLE source;
