-- Every function that SQL can call stands a NULL in any place, and in all:
-- which of them are strict is easily got wrong in an install script.
CREATE TABLE nulls_t (id int PRIMARY KEY, v vector(3));
INSERT INTO nulls_t SELECT i, ARRAY[i, 1, 2] FROM generate_series(1, 20) i;
CREATE INDEX nulls_i ON nulls_t USING hnsw (v vector_l2_ops);

-- A value of each type that arguments have; a type that is missing has only NULL.
CREATE TEMP TABLE nulls_value (type regtype PRIMARY KEY, value text);
INSERT INTO nulls_value VALUES
	('int4', '1'), ('int8', '10'), ('float4', '1'), ('float8', '0.5'), ('bool', 'true'),
	('text', 'insert'), ('name', 'v'), ('jsonb', '{}'), ('interval', '1 day'), ('regclass', 'nulls_t'),
	('vector', '[1,2,3]'), ('halfvec', '[1,2,3]'), ('sparsevec', '{1:1}/3'), ('bit', '101'),
	('int4[]', '{1,2}'), ('float4[]', '{1,2}'), ('float8[]', '{1,2}'), ('numeric[]', '{1,2}'),
	('text[]', '{a}'), ('vector[]', '{"[1,2,3]"}'), ('cstring', '[1]'), ('cstring[]', '{3}'), ('bytea', '\x00'), ('oid', '0');

-- Those that end in an error of ours for what cannot happen; a crash ends it all.
CREATE FUNCTION nulls_call() RETURNS TABLE (call text, message text) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	given text;
BEGIN
	FOR f IN SELECT p.oid::regproc AS name, p.pronargs AS n, p.proargtypes AS types
		FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
			AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vecrecall'
		WHERE p.prokind = 'f' AND p.pronargs > 0 AND NOT 'internal'::regtype = ANY (p.proargtypes)
		ORDER BY p.oid::regprocedure::text COLLATE "C"
	LOOP
		-- all of them NULL at 0, none at n + 1
		FOR i IN 0 .. f.n + 1 LOOP
			SELECT string_agg(format('%L::%s', CASE WHEN i <> 0 AND i <> o THEN value END,
				format_type(t, NULL)), ', ' ORDER BY o)
			FROM unnest(f.types) WITH ORDINALITY u(t, o) LEFT JOIN nulls_value ON type = t INTO given;
			call := format('SELECT %s(%s)', f.name, given);
			BEGIN
				EXECUTE call;
			EXCEPTION WHEN OTHERS THEN
				IF SQLSTATE LIKE 'XX%' THEN
					message := SQLERRM;
					RETURN NEXT;
				END IF;
			END;
		END LOOP;
	END LOOP;
END $$;
BEGIN;
SELECT * FROM nulls_call();
ROLLBACK;

-- What arguments are missing from the list above.
SELECT DISTINCT t::regtype FROM pg_proc p, unnest(proargtypes) t
WHERE prokind = 'f' AND 'internal'::regtype <> ALL (proargtypes)
	AND t NOT IN (SELECT type FROM nulls_value) AND EXISTS (
		SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vecrecall'
		WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e');
SELECT vecrecall._check_keys('{}', 'object', NULL);
DROP FUNCTION nulls_call;
DROP TABLE nulls_t;
