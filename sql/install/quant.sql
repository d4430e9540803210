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

CREATE FUNCTION vecrecall.knn_binary(rel regclass, col name,
	queries @extschema@.vector[], k int, oversampling real DEFAULT NULL,
	metric text DEFAULT 'l2', threshold @extschema@.vector DEFAULT NULL,
	code name DEFAULT NULL, filter text DEFAULT NULL, key name DEFAULT NULL,
	recall float8 DEFAULT 0.95)
RETURNS TABLE (query_no int, rank int, key text, distance float8)
AS 'MODULE_PATHNAME', 'vr_knn_binary'
LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000 ROWS 1000;
COMMENT ON FUNCTION vecrecall.knn_binary(regclass, name, @extschema@.vector[], int, real, text, @extschema@.vector, name, text, name, float8) IS
'as knn_exact, but measures only the k * oversampling rows of each query whose bits (column code, or those above the threshold or zero) differ least from its own; without oversampling, one that reaches the recall on a sample of the queries is chosen first';

CREATE FUNCTION vecrecall.binary_oversampling(rel regclass, col name,
	queries @extschema@.vector[], k int, recall float8 DEFAULT 0.95,
	metric text DEFAULT 'l2', threshold @extschema@.vector DEFAULT NULL,
	code name DEFAULT NULL, filter text DEFAULT NULL, key name DEFAULT NULL,
	OUT oversampling real, OUT reached float8)
RETURNS record
AS 'MODULE_PATHNAME', 'vr_binary_oversampling'
LANGUAGE C STABLE PARALLEL RESTRICTED COST 100000;
COMMENT ON FUNCTION vecrecall.binary_oversampling(regclass, name, @extschema@.vector[], int, float8, text, @extschema@.vector, name, text, name) IS
'the oversampling, a power of two up to 64, with which knn_binary reaches a recall on a sample of the queries, and the recall it reaches; exact search of the sample is the measure';

CREATE FUNCTION vecrecall.compression_advice(rel regclass, col name,
	k int DEFAULT 10, metric text DEFAULT 'l2', target float8 DEFAULT 0.95,
	sample int DEFAULT 5000)
RETURNS TABLE (form text, bytes int, ratio float8, recall float8,
	recall_reranked float8, advice text, made_by text)
AS 'MODULE_PATHNAME', 'vr_compression_advice'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000000 ROWS 6;
COMMENT ON FUNCTION vecrecall.compression_advice(regclass, name, int, text, float8, int) IS
'what each form of a column of vectors takes in bytes and keeps in recall@k, alone and with the nearest 4 k measured again, on a sample of its rows; advice marks the smallest that reach the target';
