-- measure.sql: recall and time of the demo's searches.
--
-- One session, plans kept, times taken inside the server. Each line is the
-- median of all held-out queries in the second of two rounds, so that caches
-- are warm for every contestant alike.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET plan_cache_mode = force_generic_plan;
CREATE TEMP TABLE truth (query int, farthest float8);
CREATE TEMP TABLE measured (label text, us float8, recall float8);

-- The first caller searches exactly, and is what the others are compared with:
-- a row not farther than the exact tenth is a hit, so that ties count.
CREATE FUNCTION pg_temp.measure(what text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
	first CONSTANT boolean := NOT EXISTS (SELECT FROM truth);
	q record;
	started timestamptz;
	us float8[];
	distances float8[];
	hits int;
BEGIN
	FOR round IN 1 .. 2 LOOP
		us := '{}';
		hits := 0;
		FOR q IN SELECT id, embedding AS v, farthest
				FROM held_out LEFT JOIN truth ON query = id LOOP
			started := clock_timestamp();
			distances := ARRAY(SELECT embedding <=> q.v FROM concept
							   ORDER BY embedding <=> q.v LIMIT 10);
			us := us || 1e6 * extract(epoch FROM clock_timestamp() - started)::float8;
			IF q.farthest IS NULL THEN
				INSERT INTO truth VALUES (q.id, distances[10]);
			ELSE
				hits := hits + (SELECT count(*) FROM unnest(distances) d
								WHERE d <= q.farthest * (1 + 1e-6));
			END IF;
		END LOOP;
	END LOOP;
	INSERT INTO measured
	SELECT what, percentile_cont(0.5) WITHIN GROUP (ORDER BY u),
		hits / 10.0 / cardinality(us)
	FROM unnest(us) u;
END
$$;

SET enable_indexscan = off;
SELECT pg_temp.measure('exact: every row is read') \g /dev/null
SET enable_indexscan = on;
SET enable_seqscan = off;
-- The plan that the function keeps is still the sequential scan.
DISCARD PLANS;
SET hnsw.ef_search = 20;
SELECT pg_temp.measure('hnsw, hnsw.ef_search = 20') \g /dev/null
SET hnsw.ef_search = 40;
SELECT pg_temp.measure('hnsw, hnsw.ef_search = 40') \g /dev/null
SET hnsw.ef_search = 80;
SELECT pg_temp.measure('hnsw, hnsw.ef_search = 80') \g /dev/null
SET hnsw.ef_search = 160;
SELECT pg_temp.measure('hnsw, hnsw.ef_search = 160') \g /dev/null

SELECT format('10 nearest of %s, for %s queries that are not in the table:',
	(SELECT count(*) FROM concept), (SELECT count(*) FROM held_out));
SELECT format('  %s %s us a query   recall@10 %s', rpad(label, 28),
	lpad(round(us)::text, 6), to_char(recall, 'FM0.000'))
FROM measured;
