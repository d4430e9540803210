\echo Use "CREATE EXTENSION vector" to load this file. \quit

-- The same library and objects under either name: one of them per database.
DO $guard$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_extension
			   WHERE extname OPERATOR(pg_catalog.=) 'vecrecall'::pg_catalog.name) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = 'extension "vecrecall" is installed in this database',
			DETAIL = 'It has all of vector''s types, operators and access methods already.',
			HINT = 'CREATE EXTENSION vector is not needed here.';
	END IF;
END
$guard$;

