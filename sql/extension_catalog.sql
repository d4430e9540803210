-- What the install script must hold to, asked of the catalogs. Every query
-- lists offenders, so that each finds none.
CREATE TEMP VIEW member AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS object
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	AND e.extname IN ('vecrecall', 'vector');
SELECT count(*) > 100 AS has_members FROM member;

-- Every object has a comment, but for what comes with another: array and row
-- types, and the operator families of operator classes.
SELECT object FROM member m
WHERE NOT EXISTS (SELECT FROM pg_description d
				  WHERE d.classoid = m.classid AND d.objoid = m.objid AND objsubid = 0)
	AND NOT (classid = 'pg_type'::regclass AND
			 objid IN (SELECT typarray FROM pg_type UNION ALL
					   SELECT oid FROM pg_type WHERE typrelid <> 0))
	AND NOT (classid = 'pg_opfamily'::regclass AND
			 objid IN (SELECT opcfamily FROM pg_opclass
					   JOIN member o ON o.classid = 'pg_opclass'::regclass
						   AND o.objid = pg_opclass.oid))
ORDER BY object COLLATE "C";

-- So has every column, and the role.
SELECT object, attname FROM member
JOIN pg_class c ON classid = 'pg_class'::regclass AND c.oid = objid
	OR classid = 'pg_type'::regclass AND c.reltype = objid
JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0
WHERE relkind IN ('r', 'v', 'c') AND col_description(c.oid, attnum) IS NULL
ORDER BY object COLLATE "C", attnum;
SELECT rolname FROM pg_roles
WHERE rolname LIKE 'vecrecall%' AND shobj_description(oid, 'pg_authid') IS NULL;

-- Functions of C have our prefix: a backend binds such names globally.
SELECT object, prosrc FROM member JOIN pg_proc p ON p.oid = objid
WHERE classid = 'pg_proc'::regclass
	AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
	AND prosrc NOT LIKE 'vr\_%'
ORDER BY object COLLATE "C";

-- Functions in SQL and PL/pgSQL do not look names up where the caller says.
SELECT object FROM member JOIN pg_proc p ON p.oid = objid
JOIN pg_language l ON l.oid = p.prolang
WHERE classid = 'pg_proc'::regclass AND lanname NOT IN ('c', 'internal')
	AND prosqlbody IS NULL
	AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')
ORDER BY object COLLATE "C";

-- No function runs with its owner's rights, who is a superuser.
SELECT object FROM member JOIN pg_proc p ON p.oid = objid
WHERE classid = 'pg_proc'::regclass AND prosecdef
ORDER BY object COLLATE "C";

-- What depends on its arguments alone is safe in parallel queries.
SELECT object, provolatile, proparallel FROM member JOIN pg_proc p ON p.oid = objid
WHERE classid = 'pg_proc'::regclass AND provolatile = 'i' AND proparallel <> 's'
ORDER BY object COLLATE "C";

-- Tables that hold what users enter are dumped.
SELECT object FROM member JOIN pg_class c ON c.oid = objid
WHERE classid = 'pg_class'::regclass AND relkind = 'r'
	AND NOT EXISTS (SELECT FROM pg_extension WHERE c.oid = ANY (extconfig))
ORDER BY object COLLATE "C";

-- Nothing of ours is left when the extension is dropped.
BEGIN;
DROP EXTENSION vecrecall;
SELECT object FROM (SELECT proname::text FROM pg_proc WHERE probin LIKE '%vecrecall%'
	UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'vecrecall'
	UNION ALL SELECT amname FROM pg_am WHERE amname IN ('hnsw', 'ivfflat')) s(object);
ROLLBACK;
