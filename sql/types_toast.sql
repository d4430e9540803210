-- Values out of line: stored without compression, read whole, in every function.
CREATE TABLE wide (id int, v vector(3000), h halfvec(5000), s sparsevec);
INSERT INTO wide SELECT i, array_fill(i, '{3000}')::vector, array_fill(i, '{5000}')::halfvec,
	(SELECT array_agg(CASE WHEN j % 2 = 0 THEN i ELSE 0 END)::sparsevec FROM generate_series(1, 6000) j)
	FROM generate_series(1, 5) i;
SELECT attname, attstorage FROM pg_attribute
	WHERE attrelid = 'wide'::regclass AND attnum > 1 ORDER BY attnum;
SELECT pg_column_size(v), pg_column_size(h), pg_column_size(s) FROM wide WHERE id = 1;
SELECT a.id, b.id, a.v <-> b.v AS l2, a.v <#> b.v AS ip, a.v <=> b.v AS cosine, a.v <+> b.v AS l1
	FROM wide a, wide b WHERE a.id <= 2 AND b.id = 3 ORDER BY 1;
SELECT a.h <-> b.h AS l2, a.h <#> b.h AS ip, a.h <=> b.h AS cosine, a.h <+> b.h AS l1
	FROM wide a, wide b WHERE a.id = 1 AND b.id = 3;
SELECT a.s <-> b.s AS l2, a.s <#> b.s AS ip, a.s <=> b.s AS cosine, a.s <+> b.s AS l1
	FROM wide a, wide b WHERE a.id = 1 AND b.id = 3;
SELECT vector_dims(v), round(vector_norm(v) ^ 2), round(l2_norm(h) ^ 2), round(l2_norm(s) ^ 2),
	subvector(v + v, 1, 2), subvector(v - v, 2999, 5), subvector(h * h, 4999, 2)
	FROM wide WHERE id = 2;
SELECT id FROM wide ORDER BY v <-> array_fill(3.4, '{3000}')::vector LIMIT 3;
SELECT id FROM wide WHERE v = array_fill(4, '{3000}')::vector AND h > array_fill(3, '{5000}')::halfvec;
SELECT vector_dims(avg(v)), subvector(avg(v), 1, 1), subvector(sum(h), 5000, 1) FROM wide;
SELECT v::halfvec::vector = v AND v::real[]::vector = v AND v::text::vector = v
	AND h::text::halfvec = h AND s::text::sparsevec = s AND s::vector::sparsevec = s AS same
	FROM wide WHERE id = 5;

-- Compressed, if the user wants that.
ALTER TABLE wide ALTER v SET STORAGE extended;
UPDATE wide SET v = v + v;
SELECT pg_column_size(v) < 3000 AS compressed, round(vector_norm(v) ^ 2) AS squares,
	v = array_fill(2, '{3000}')::vector AS same FROM wide WHERE id = 1;
DROP TABLE wide;

-- Small values have a short header in a row, and lie anywhere.
CREATE TABLE small (b "char", v vector(3), h halfvec(1), s sparsevec);
INSERT INTO small VALUES ('a', '[1,2,3]', '[4]', '{5:6}/7'), ('b', '[3,2,1]', '[5]', '{1:2}/7');
SELECT v <-> '[0,0,0]', h <-> '[0]', s <-> '{}/7', v + v, h + h, sum(v) OVER (ORDER BY b), avg(h) OVER () FROM small;
SELECT max(pg_column_size(v)), max(pg_column_size(h)), max(pg_column_size(s)) FROM small;
DROP TABLE small;
