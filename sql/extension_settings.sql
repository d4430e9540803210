-- vecrecall.simd and build_info().
-- (18 loads the library to ask hnsw what it makes of an operator it knows, "=".)
SELECT name, setting, context FROM pg_settings WHERE name ~ '^vecrecall.simd$';
LOAD 'vecrecall';
SELECT name, setting, context FROM pg_settings WHERE name = 'vecrecall.simd';

-- The scalar kernels run anywhere; what is best depends on the machine.
SET vecrecall.simd = 'scalar';
SELECT simd FROM vecrecall.build_info();
RESET vecrecall.simd;
SELECT simd = simd_available[1] AS best,
	   simd_available[cardinality(simd_available)] AS last,
	   version ~ '^\d+\.\d+\.\d+$' AS version,
	   server_version = current_setting('server_version') AS server,
	   built_for LIKE 'PostgreSQL %' AS built_for,
	   blas, blas_threads
FROM vecrecall.build_info();

-- Refused: what the machine lacks, what is misspelt, who may not.
\set VERBOSITY terse
SET vecrecall.simd = 'altivec';
SET vecrecall.simd = '';
SET vecrecall.smid = 'scalar';
\set VERBOSITY default
CREATE ROLE vr_settings_user;
SET ROLE vr_settings_user;
SET vecrecall.simd = 'scalar';
SELECT version IS NOT NULL AS anyone_may_ask FROM vecrecall.build_info();
RESET ROLE;
DROP ROLE vr_settings_user;
