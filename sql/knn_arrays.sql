-- Functions over arrays of vectors: distances, norms, means, k-means.
CREATE TABLE arr AS
SELECT array_agg(v ORDER BY i) FILTER (WHERE i <= 300) AS a, array_agg(v ORDER BY i) FILTER (WHERE i > 200) AS b
FROM generate_series(1, 520) i, LATERAL (SELECT array_agg(sin(i * j)::real ORDER BY j)::vector FROM generate_series(1, 40) j) s(v);

-- The operators' results, to 1e-5, near vectors too: b begins with the end of a.
CREATE FUNCTION arr_worst(op text, metric text) RETURNS TABLE (metric_ text, n bigint, close bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		SELECT %2$L, count(*), count(*) FILTER (WHERE abs(m[i][j] - d) <= 1e-5 * abs(d) + 1e-30 OR m[i][j]::text = d::text)
		FROM (SELECT vecrecall.similarity_matrix(a, b, %2$L) AS m, a, b FROM arr OFFSET 0) s,
			generate_series(1, 300, 7) i, generate_series(1, 320, 3) j, LATERAL (SELECT a[i] %1$s b[j] AS d) o
		$q$, op, metric);
END $$;
SELECT w.* FROM (VALUES ('<->', 'l2'), ('<#>', 'ip'), ('<=>', 'cosine'), ('<+>', 'l1')) o(op, metric), LATERAL arr_worst(op, metric) w;
SET vecrecall.blas_threads = 0;
SELECT w.* FROM (VALUES ('<->', 'l2'), ('<#>', 'ip'), ('<=>', 'cosine')) o(op, metric), LATERAL arr_worst(op, metric) w;
RESET vecrecall.blas_threads;
SELECT vecrecall.similarity_matrix(ARRAY['[1,0]', '[0,2]']::vector[], ARRAY['[1,0]', '[1,1]', '[-1,0]']::vector[], 'l2');
SELECT vecrecall.similarity_matrix(ARRAY['[1,0]', '[0,2]']::vector[], ARRAY['[1,0]', '[-1,0]', '[0,0]']::vector[]);
SELECT vecrecall.similarity_matrix(ARRAY['[1e30,0]', '[1,1]']::vector[], ARRAY['[1e30,1]', '[1e-30,0]']::vector[], 'cosine');
SELECT vecrecall.similarity_matrix('{}'::vector[], ARRAY['[1,0]']::vector[]);

SELECT vecrecall.pairwise(ARRAY['[1,0]', '[0,2]']::vector[], ARRAY['[1,0]', '[3,6]']::vector[], m) FROM unnest('{l2,ip,cosine,l1}'::text[]) m;
SELECT vecrecall.pairwise('{}', '{}');
SELECT vecrecall.normalize_batch(ARRAY['[3,4]', '[0,0]', '[-2,0]', '[1e30,0]', '[1e-30,0]']::vector[]), vecrecall.normalize_batch('{}');
SELECT (SELECT array_agg(l2_normalize(v) ORDER BY o) FROM unnest(a) WITH ORDINALITY u(v, o)) = vecrecall.normalize_batch(a) FROM arr;
SELECT vecrecall.mean(ARRAY['[1,2]', '[3,6]']::vector[]), vecrecall.mean('{}') IS NULL;
SELECT (SELECT avg(v) FROM unnest(a) v) <-> vecrecall.mean(a) < 1e-6 FROM arr;

-- k-means: three heaps of points are found, with every seed the same way twice.
CREATE TABLE heaps AS SELECT i, format('[%s,%s]', i % 3 * 100 + i % 7, i % 3 * 50 + i % 5)::vector AS v FROM generate_series(1, 420) i;
SELECT centroid, size FROM vecrecall.centroids('SELECT v FROM heaps', 3) ORDER BY centroid;
SELECT seed, count(*), bool_and(a.centroid = b.centroid)
FROM generate_series(1, 3) seed, vecrecall.centroids('SELECT v FROM heaps', 20, 10, seed) a,
	vecrecall.centroids('SELECT v FROM heaps', 20, 10, seed) b WHERE a.no = b.no GROUP BY seed ORDER BY seed;
SELECT sum(size), count(*) FROM vecrecall.centroids('SELECT v FROM heaps ORDER BY i', 35);
-- Every point a centre; fewer different points than centres; nulls are no points.
SELECT count(*), sum(size) FROM vecrecall.centroids('SELECT v FROM heaps ORDER BY i LIMIT 50', 50, 5);
SELECT * FROM vecrecall.centroids('SELECT ''[1,2]''::vector FROM generate_series(1, 5)', 3) ORDER BY size DESC, no;
SELECT * FROM vecrecall.centroids('SELECT NULL::vector UNION ALL SELECT ''[1,2]''', 1);
SELECT * FROM vecrecall.centroids('WITH x AS (VALUES (''[1]''::vector), (''[3]'')) TABLE x', 1);

-- Bad input.
SELECT vecrecall.similarity_matrix(ARRAY['[1,0]']::vector[], ARRAY['[1]']::vector[]);
SELECT vecrecall.similarity_matrix(ARRAY['[1,0]', '[1]']::vector[], ARRAY['[1]']::vector[]);
SELECT vecrecall.similarity_matrix(ARRAY['[1,0]', NULL]::vector[], ARRAY['[1,1]']::vector[]);
SELECT vecrecall.similarity_matrix(ARRAY[ARRAY['[1,0]']]::vector[], ARRAY['[1,1]']::vector[]);
SELECT vecrecall.similarity_matrix(ARRAY['[1,0]']::vector[], ARRAY['[1,1]']::vector[], 'dot');
SELECT vecrecall.similarity_matrix(array_fill('[1]'::vector, ARRAY[20000]), array_fill('[1]'::vector, ARRAY[20000]));
SELECT vecrecall.pairwise(ARRAY['[1,0]']::vector[], ARRAY['[1,0]', '[1,0]']::vector[]);
SELECT vecrecall.pairwise(ARRAY['[1,0]']::vector[], ARRAY['[1]']::vector[]);
SELECT vecrecall.mean(ARRAY['[1,0]', '[1]']::vector[]);
SELECT vecrecall.centroids('SELECT v FROM heaps', 0);
SELECT vecrecall.centroids('SELECT v FROM heaps', 421);
SELECT vecrecall.centroids('SELECT v FROM heaps', 3, -1);
SELECT * FROM vecrecall.centroids('SELECT v FROM heaps', 65537);
SELECT * FROM vecrecall.centroids('SELECT i FROM heaps', 3);
SELECT * FROM vecrecall.centroids('SELECT i, v FROM heaps', 3);
SELECT * FROM vecrecall.centroids('SELECT v FROM heaps WHERE false', 3);
SELECT * FROM vecrecall.centroids('SELECT v FROM heaps; DROP TABLE heaps', 3);
SELECT * FROM vecrecall.centroids('DELETE FROM heaps RETURNING v', 3);
SELECT * FROM vecrecall.centroids('WITH d AS (DELETE FROM heaps RETURNING v) SELECT v FROM d', 3);
SELECT * FROM vecrecall.centroids('SELECT v INTO other FROM heaps', 3);
SELECT * FROM vecrecall.centroids('SELECT v FRM heaps', 3);
SELECT * FROM vecrecall.centroids('', 3);
SELECT * FROM vecrecall.centroids('SELECT v FROM heaps UNION ALL SELECT ''[1]''', 3);
SET maintenance_work_mem = '1MB';
SELECT * FROM vecrecall.centroids('SELECT array_fill(1::real, ARRAY[1000])::vector FROM generate_series(1, 300)', 3);
RESET maintenance_work_mem;
DROP TABLE arr, heaps;
DROP FUNCTION arr_worst;
