-- Short codes as SQL values.
SELECT vecrecall.binary_quantize('[1,2,-3,0.5]'::vector, 0.75), vecrecall.binary_quantize('[1,2,-3,0.5]'::vector, 0),
	binary_quantize('[1,2,-3,0.5]'::vector);
SELECT vecrecall.binary_quantize('[1,2,-3,0.5,7,7,7,7,9]'::vector, '[0,3,-4,0.5,7,6,7,6,8]'::vector);
SELECT vecrecall.binary_quantize('[1,2]'::vector, '[1]'::vector);
SELECT vecrecall.binary_quantize('[1,2]'::vector, 'NaN'::real);

-- Bytes: off by half a step at most.
SELECT vecrecall.int8_decode(vecrecall.int8_encode('[0,51,255,128]')), length(vecrecall.int8_encode('[0,51,255,128]'));
SELECT vecrecall.int8_decode(vecrecall.int8_encode('[3,3,3]')), vecrecall.int8_decode(vecrecall.int8_encode('[-3.4e38,3.4e38]'));
SELECT count(*) FROM (SELECT array_agg(sin(i * j)::real ORDER BY j)::vector AS v FROM generate_series(1, 200) i, generate_series(1, 77) j GROUP BY i) s
WHERE (SELECT max(abs(x)) FROM unnest((v - vecrecall.int8_decode(vecrecall.int8_encode(v)))::real[]) x) > 1.0001 / 255;
SELECT vecrecall.int8_decode('');
SELECT vecrecall.int8_decode('\x425601000000000000000000');
SELECT vecrecall.int8_decode(vecrecall.int8_encode('[1,2]') || '\x00');
SELECT vecrecall.int8_decode(substring(vecrecall.int8_encode('[1,2,3]') for 13));

-- Product quantisation. With a centre for each value, codes are exact.
CREATE TABLE pq_data AS SELECT i, format('[%s,%s,%s,%s,%s]', i % 4, i / 4 % 4, i / 4 % 4 * 2, i / 16 % 4, i / 16 % 4)::vector AS v FROM generate_series(0, 63) i;
CREATE TABLE pq_book AS SELECT * FROM vecrecall.pq_train('SELECT v FROM pq_data', 3, 3, 7);
SELECT dim, rows, bytes_per_code, round(mean_squared_error::numeric, 6) AS mse, round(relative_error::numeric, 6) AS relative, mean, length(codebook) FROM pq_book;
SELECT count(*), count(DISTINCT code), bool_and(vecrecall.pq_decode(codebook, code) = v) AS exact,
	bool_and(abs(vecrecall.pq_distance(codebook, code, '[1,2,3,4,5]') - (v <-> '[1,2,3,4,5]')) < 1e-5) AS l2,
	bool_and(abs(vecrecall.pq_distance(codebook, code, '[1,2,3,4,5]', 'ip') - (v <#> '[1,2,3,4,5]')) < 1e-5) AS ip
FROM pq_book, LATERAL (SELECT v, vecrecall.pq_encode(codebook, v) AS code FROM pq_data) d;
-- More bytes, less error; the reported error is that of decoding.
CREATE TABLE pq_wide AS SELECT array_agg(sin(i * j * 0.37)::real ORDER BY j)::vector AS v FROM generate_series(1, 600) i, generate_series(1, 24) j GROUP BY i;
SELECT subspaces, bits, bytes_per_code, t.relative_error < lag(t.relative_error) OVER (ORDER BY bytes_per_code) AS better,
	abs(t.mean_squared_error - (SELECT avg(l2_distance(v, vecrecall.pq_decode(codebook, vecrecall.pq_encode(codebook, v))) ^ 2) FROM pq_wide)) < 1e-4 AS as_reported
FROM (VALUES (1, 1), (3, 4), (6, 5), (12, 8), (24, 8)) p(subspaces, bits), LATERAL vecrecall.pq_train('SELECT v FROM pq_wide', subspaces, bits) t ORDER BY bytes_per_code;
-- The codebook may change from row to row.
SELECT seed, vecrecall.pq_decode(codebook, vecrecall.pq_encode(codebook, '[3,2,4,1,1]'))
FROM generate_series(1, 3) seed, LATERAL vecrecall.pq_train('SELECT v FROM pq_data WHERE i % 3 < ' || seed, 3, 3, seed) ORDER BY seed;
-- Fewer vectors than centres.
SELECT rows, mean_squared_error FROM vecrecall.pq_train('SELECT ''[1,2]''::vector', 2);

SELECT vecrecall.pq_train('SELECT v FROM pq_data', 0);
SELECT vecrecall.pq_train('SELECT v FROM pq_data', 6);
SELECT vecrecall.pq_train('SELECT v FROM pq_data', 2, 0);
SELECT vecrecall.pq_train('SELECT v FROM pq_data', 2, 9);
SELECT vecrecall.pq_train('SELECT i FROM pq_data', 2);
SELECT vecrecall.pq_encode('', '[1]');
SELECT vecrecall.pq_encode('\x5056010301000100', '[1]');
SELECT vecrecall.pq_encode(codebook, '[1,2]') FROM pq_book;
SELECT vecrecall.pq_encode(codebook || '\x00', '[1,2,3,4,5]') FROM pq_book;
-- What is no number in a codebook must not get into a vector.
SELECT vecrecall.pq_decode(overlay(codebook PLACING '\x0000c07f' FROM 9 FOR 4), '\x0000') FROM pq_book;
SELECT vecrecall.pq_decode(codebook, '\x00') FROM pq_book;
SELECT vecrecall.pq_distance(codebook, '\x0000', '[1]') FROM pq_book;
SELECT vecrecall.pq_distance(codebook, '\x0000', '[1,2,3,4,5]', 'cosine') FROM pq_book;
DROP TABLE pq_data, pq_book, pq_wide;
