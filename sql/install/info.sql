-- What runs here.

CREATE FUNCTION vecrecall.build_info(
	OUT version text, OUT server_version text, OUT built_for text,
	OUT simd text, OUT simd_available text[],
	OUT blas text, OUT blas_threads int)
RETURNS record
AS 'MODULE_PATHNAME', 'vr_build_info'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecrecall.build_info() IS
'version of the library, of the running server and of the one it was built for; distance kernels in use and available; BLAS of this session and its threads';

