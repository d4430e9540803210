\echo Use "CREATE EXTENSION vecrecall" to load this file. \quit

-- pgvector's objects have the same names, and access methods have no schema:
-- better one clear message than "access method already exists" later.
DO $guard$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_extension
			   WHERE extname OPERATOR(pg_catalog.=) 'vector'::pg_catalog.name) THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = 'extension "vector" is installed in this database',
			DETAIL = 'vecrecall has the same types, operators and access method under the same names.',
			HINT = 'Use a database of its own. To move an existing one, dump it, install vecrecall under pgvector''s name (make install-alias), and restore it.';
	END IF;
END
$guard$;

