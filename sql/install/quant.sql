-- Short codes of vectors as SQL values.

CREATE FUNCTION vecrecall.binary_quantize(v @extschema@.vector, threshold real)
RETURNS bit
AS 'MODULE_PATHNAME', 'vr_binary_quantize_above'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.binary_quantize(@extschema@.vector, real) IS
'a bit per element, set if it is above the threshold';

CREATE FUNCTION vecrecall.binary_quantize(v @extschema@.vector,
	centre @extschema@.vector) RETURNS bit
AS 'MODULE_PATHNAME', 'vr_binary_quantize_centred'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.binary_quantize(@extschema@.vector, @extschema@.vector) IS
'a bit per element, set if it is above the centre''s: use the mean of the data';

CREATE FUNCTION vecrecall.int8_encode(v @extschema@.vector) RETURNS bytea
AS 'MODULE_PATHNAME', 'vr_int8_encode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.int8_encode(@extschema@.vector) IS
'the vector as a byte per element and 12 bytes: off by at most 1/510 of its range';

CREATE FUNCTION vecrecall.int8_decode(code bytea) RETURNS @extschema@.vector
AS 'MODULE_PATHNAME', 'vr_int8_decode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.int8_decode(bytea) IS
'the vector that int8_encode made a code of, nearly';

CREATE FUNCTION vecrecall.pq_train(query text, subspaces int,
	bits int DEFAULT 8, seed bigint DEFAULT 0, iterations int DEFAULT 25,
	OUT codebook bytea, OUT dim int, OUT rows bigint,
	OUT bytes_per_code int, OUT mean_squared_error float8,
	OUT relative_error float8, OUT mean @extschema@.vector)
RETURNS record
AS 'MODULE_PATHNAME', 'vr_pq_train'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000000;
COMMENT ON FUNCTION vecrecall.pq_train(text, int, int, bigint, int) IS
'a codebook of product quantisation from the vectors that a SELECT of one column returns, with its bytes per code and its error, absolute and relative to the variance of the data; CREATE TABLE ... AS SELECT * FROM it keeps it';

CREATE FUNCTION vecrecall.pq_encode(codebook bytea, v @extschema@.vector)
RETURNS bytea
AS 'MODULE_PATHNAME', 'vr_pq_encode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION vecrecall.pq_encode(bytea, @extschema@.vector) IS
'code of a vector by a codebook of pq_train';

CREATE FUNCTION vecrecall.pq_decode(codebook bytea, code bytea)
RETURNS @extschema@.vector
AS 'MODULE_PATHNAME', 'vr_pq_decode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecrecall.pq_decode(bytea, bytea) IS
'the vector that a code of pq_encode stands for';

CREATE FUNCTION vecrecall.pq_distance(codebook bytea, code bytea,
	query @extschema@.vector, metric text DEFAULT 'l2') RETURNS float8
AS 'MODULE_PATHNAME', 'vr_pq_distance'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vecrecall.pq_distance(bytea, bytea, @extschema@.vector, text) IS
'distance of a query to what a code stands for, by metric l2 or ip, from tables that are made once per query';
