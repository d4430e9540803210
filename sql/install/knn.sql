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
