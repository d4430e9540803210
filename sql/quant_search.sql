-- Search by bits with exact measurement after it, and advice on storage.
CREATE TABLE qb (id int PRIMARY KEY, label text, v vector(64));
INSERT INTO qb SELECT i, 'row ' || i, (SELECT array_agg((sin(i * 0.01 * j) + sin(i * i * j * 0.37) * 0.3)::real ORDER BY j) FROM generate_series(1, 64) j)::vector
FROM generate_series(1, 3000) i;
-- Under valgrind a third of it.
\getenv few VR_FEW
\if :{?few}
DELETE FROM qb WHERE id % 3 > 0 AND id > 10 AND id % 100 <> 7;
\endif
ALTER TABLE qb ADD code bit(64) GENERATED ALWAYS AS (binary_quantize(v)::bit(64)) STORED;
ALTER TABLE qb ADD centred bit(64);
CREATE TABLE qb_mean AS SELECT avg(v) AS m FROM qb;
UPDATE qb SET centred = vecrecall.binary_quantize(v, m)::bit(64) FROM qb_mean;
INSERT INTO qb VALUES (4000, 'nothing', NULL);
ANALYZE qb;
CREATE TABLE qb_queries AS SELECT array_agg(v ORDER BY id) AS q FROM qb WHERE id % 100 = 7;

-- With all rows as candidates it is exact search, whatever the source of codes.
CREATE TABLE qb_exact AS SELECT f.* FROM qb_queries, vecrecall.knn_exact('qb', 'v', q, 10) f;
SELECT code, key, (SELECT count(*) FROM qb_queries, LATERAL (
	SELECT query_no, rank, CASE k.key WHEN 'label' THEN split_part(f.key, ' ', 2) ELSE f.key END, distance
	FROM vecrecall.knn_binary('qb', 'v', q, 10, 300, code => c.code, threshold => CASE c.code WHEN 'centred' THEN m END, key => k.key) f
	INTERSECT TABLE qb_exact) s)
FROM qb_mean, (VALUES (NULL::name), ('code'), ('centred')) c(code), (VALUES (NULL::name), ('label')) k(key) ORDER BY 1, 2;
-- The recall asked for is reached, and its oversampling is a choice.
SELECT o.oversampling BETWEEN 1 AND 64 AS chosen, reached >= 0.95 AS reached FROM qb_queries, vecrecall.binary_oversampling('qb', 'v', q, 10, code => 'code') o;
SELECT count(*) FILTER (WHERE f.distance <= e.far + 1e-6) >= 0.95 * count(*) AS recall
FROM qb_queries, LATERAL vecrecall.knn_binary('qb', 'v', q, 10, code => 'code') f
JOIN (SELECT query_no, max(distance) AS far FROM qb_exact GROUP BY 1) e USING (query_no);
-- Other metrics; a filter; fewer rows than asked for.
SELECT metric, count(*) FROM qb_queries, unnest('{l2,ip,cosine,l1}'::text[]) metric,
	LATERAL (SELECT * FROM vecrecall.knn_binary('qb', 'v', q, 5, 600, metric) INTERSECT SELECT * FROM vecrecall.knn_exact('qb', 'v', q, 5, metric)) s
GROUP BY metric ORDER BY metric;
SELECT min(key::int % 2), count(*) FROM qb_queries, vecrecall.knn_binary('qb', 'v', q, 10, 4, filter => 'id % 2 = 1');
SELECT query_no, rank, key FROM vecrecall.knn_binary('qb', 'v', (SELECT ARRAY[v] FROM qb WHERE id = 5), 10, 2, filter => 'id IN (5, 6)');
-- Memory is for as many as there can be.
SELECT count(*) = (SELECT count(v) FROM qb) AS "all" FROM vecrecall.knn_binary('qb', 'v', (SELECT q[1:1] FROM qb_queries), 1000000, 1000);

-- Every form is measured; the sample is the table here.
SELECT form, bytes, round(ratio::numeric, 1) AS ratio, recall BETWEEN 0 AND 1 AND recall <= recall_reranked AS sane, made_by
FROM vecrecall.compression_advice('qb', 'v');
SELECT bool_or(advice LIKE '%alone%') AS alone, bool_or(advice LIKE '%rerank%') AS rerank,
	min(recall) FILTER (WHERE form = 'vector') AS vector, min(recall) FILTER (WHERE form = 'halfvec') > 0.97 AS halfvec
FROM vecrecall.compression_advice('qb', 'v', 10, 'cosine', 0.9, 2000);

-- Bad input.
SELECT vecrecall.knn_binary('qb', 'v', ARRAY['[1]']::vector[], 10);
SELECT vecrecall.knn_binary('qb', 'v', NULL, 10);
SELECT vecrecall.knn_binary('qb', 'v', q, 0) FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 0.5) FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 1001) FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 'NaN') FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 2, 'hamming') FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 2, threshold => '[1,2]') FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 2, code => 'label') FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 2, code => 'nothere') FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 2, filter => 'id') FROM qb_queries;
SELECT vecrecall.knn_binary('qb', 'v', q, 10, recall => 1.5) FROM qb_queries;
SELECT vecrecall.binary_oversampling('qb', 'v', q, 10, 0) FROM qb_queries;
ALTER TABLE qb ADD short bit(8) DEFAULT B'00001111';
SELECT vecrecall.knn_binary('qb', 'v', q, 10, 2, code => 'short') FROM qb_queries;
CREATE TABLE qb_parts (id int PRIMARY KEY, v vector(64)) PARTITION BY RANGE (id);
SELECT vecrecall.knn_binary('qb_parts', 'v', q, 10, 2) FROM qb_queries;
SET work_mem = '64kB';
SELECT vecrecall.knn_binary('qb', 'v', q, 100, 20) FROM qb_queries;
RESET work_mem;
SELECT vecrecall.compression_advice('qb_parts', 'v');
SELECT vecrecall.compression_advice('qb', 'label');
SELECT vecrecall.compression_advice('qb', 'v', 0);
SELECT vecrecall.compression_advice('qb', 'v', 10, 'l2', 2);
SELECT vecrecall.compression_advice('qb', 'v', 10, 'l2', 0.9, 5);
CREATE ROLE qb_nobody;
SET ROLE qb_nobody;
SELECT vecrecall.knn_binary('qb', 'v', ARRAY[array_fill(1::real, ARRAY[64])::vector], 10, 2);
SELECT vecrecall.compression_advice('qb', 'v');
RESET ROLE;
GRANT SELECT (id, v) ON qb TO qb_nobody;
SET ROLE qb_nobody;
SELECT vecrecall.knn_binary('qb', 'v', ARRAY[array_fill(1::real, ARRAY[64])::vector], 10, 2, code => 'code');
SELECT count(*) FROM vecrecall.knn_binary('qb', 'v', ARRAY[array_fill(1::real, ARRAY[64])::vector], 10, 2);
RESET ROLE;
DROP TABLE qb, qb_mean, qb_queries, qb_exact, qb_parts;
DROP ROLE qb_nobody;
