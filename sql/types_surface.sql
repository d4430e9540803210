-- Everything that the types, their functions and operators are to SQL. Client
-- libraries, dumps and other extensions rely on each line: it is pgvector's.
CREATE VIEW member AS
	SELECT classid, objid FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vecrecall');

SELECT typname, typlen, typcategory, typinput, typoutput, typreceive, typsend,
	typmodin, typmodout, typalign, typstorage, typarray::regtype
FROM pg_type JOIN member ON oid = objid AND classid = 'pg_type'::regclass
WHERE typname IN ('vector', 'halfvec', 'sparsevec') ORDER BY typname COLLATE "C";

SELECT p.oid::regprocedure, prokind AS kind, prorettype::regtype AS result,
	provolatile AS volatile, proisstrict AS strict, proparallel AS parallel, procost AS cost
FROM pg_proc p JOIN member ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE pronamespace = 'public'::regnamespace AND proname !~ '^(hnsw|ivfflat)'
ORDER BY p.oid::regprocedure::text COLLATE "C";

SELECT o.oid::regoperator AS operator, oprresult::regtype AS result, oprcode,
	nullif(oprcom, 0)::regoperator AS commutator, nullif(oprnegate, 0)::regoperator AS negator,
	oprrest, oprjoin
FROM pg_operator o JOIN member ON o.oid = objid AND classid = 'pg_operator'::regclass
ORDER BY o.oid::regoperator::text COLLATE "C";

SELECT castsource::regtype, casttarget::regtype, castfunc::regproc, castcontext
FROM pg_cast c JOIN member ON c.oid = objid AND classid = 'pg_cast'::regclass
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";

SELECT aggfnoid::regprocedure, aggtransfn, aggcombinefn, aggfinalfn, aggtranstype::regtype, agginitval
FROM pg_aggregate JOIN member ON aggfnoid = objid AND classid = 'pg_proc'::regclass
WHERE aggfnoid::regprocedure::text ~ '\((vector|halfvec|sparsevec)\)'
ORDER BY aggfnoid::regprocedure::text COLLATE "C";

SELECT opcname, opcintype::regtype, opcdefault, amopstrategy, amopopr::regoperator
FROM pg_opclass c JOIN member ON c.oid = objid AND classid = 'pg_opclass'::regclass
	JOIN pg_am a ON a.oid = opcmethod JOIN pg_amop ON amopfamily = opcfamily
WHERE amname = 'btree' AND opcintype IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype)
ORDER BY opcname COLLATE "C", amopstrategy;
SELECT opcname, amprocnum, amproc
FROM pg_opclass c JOIN member ON c.oid = objid AND classid = 'pg_opclass'::regclass
	JOIN pg_am a ON a.oid = opcmethod JOIN pg_amproc ON amprocfamily = opcfamily
WHERE amname = 'btree' AND opcintype IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype)
ORDER BY opcname COLLATE "C", amprocnum;

-- The server's own checks of such entries.
SELECT amvalidate(c.oid) FROM pg_opclass c JOIN member ON c.oid = objid AND classid = 'pg_opclass'::regclass
	WHERE opcname IN ('vector_ops', 'halfvec_ops', 'sparsevec_ops') ORDER BY opcname COLLATE "C";

DROP VIEW member;
