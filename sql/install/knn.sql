-- Exact search of many queries at once.

CREATE FUNCTION vecrecall.knn_exact(rel regclass, col name,
	queries @extschema@.vector[], k int, metric text DEFAULT 'l2',
	filter text DEFAULT NULL, key name DEFAULT NULL)
RETURNS TABLE (query_no int, rank int, key text, distance float8)
AS 'MODULE_PATHNAME', 'vr_knn_exact'
LANGUAGE C STABLE PARALLEL RESTRICTED
COST 100000 ROWS 1000;
COMMENT ON FUNCTION vecrecall.knn_exact(regclass, name, @extschema@.vector[], int, text, text, name) IS
'the k rows nearest to each of many queries, exactly, from one scan of a table: number of the query, rank, key (default: primary key of one column, else ctid), distance by metric l2, ip, cosine or l1; filter is an SQL condition';

-- Arrays of vectors.

CREATE FUNCTION vecrecall.similarity_matrix(a @extschema@.vector[],
	b @extschema@.vector[], metric text DEFAULT 'cosine') RETURNS real[]
AS 'MODULE_PATHNAME', 'vr_similarity_matrix'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000;
COMMENT ON FUNCTION vecrecall.similarity_matrix(@extschema@.vector[], @extschema@.vector[], text) IS
'distances of every vector of a (rows) to every vector of b (columns), as the operators have them: metric l2, ip (negated inner product), cosine or l1';

CREATE FUNCTION vecrecall.pairwise(a @extschema@.vector[],
	b @extschema@.vector[], metric text DEFAULT 'cosine') RETURNS float8[]
AS 'MODULE_PATHNAME', 'vr_pairwise'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION vecrecall.pairwise(@extschema@.vector[], @extschema@.vector[], text) IS
'distance of each vector of a to the one of b in its place, by metric l2, ip, cosine or l1';

CREATE FUNCTION vecrecall.normalize_batch(vectors @extschema@.vector[])
RETURNS @extschema@.vector[]
AS 'MODULE_PATHNAME', 'vr_normalize_batch'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION vecrecall.normalize_batch(@extschema@.vector[]) IS
'the vectors scaled to Euclidean norm one; a zero vector stays zero';

CREATE FUNCTION vecrecall.mean(vectors @extschema@.vector[])
RETURNS @extschema@.vector
AS 'MODULE_PATHNAME', 'vr_mean'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION vecrecall.mean(@extschema@.vector[]) IS
'mean of the vectors; null for an empty array';

CREATE FUNCTION vecrecall.centroids(query text, k int,
	iterations int DEFAULT 25, seed bigint DEFAULT 0)
RETURNS TABLE (no int, centroid @extschema@.vector, size bigint)
AS 'MODULE_PATHNAME', 'vr_centroids'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100000 ROWS 100;
COMMENT ON FUNCTION vecrecall.centroids(text, int, int, bigint) IS
'k-means of the vectors that a SELECT of one column returns: seeded k-means++, then at most so many iterations; the SELECT runs with the caller''s rights';
