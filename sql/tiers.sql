-- What is where, and how to bring it nearer.
CREATE TABLE tier_t (id int PRIMARY KEY, v vector(16), big vector(600));
INSERT INTO tier_t SELECT i, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 16) j)::vector,
	array_fill(i::real, ARRAY[600])::vector FROM generate_series(1, 2000) i;
CREATE INDEX tier_idx ON tier_t USING hnsw (v vector_l2_ops);
CREATE INDEX tier_empty_idx ON tier_t USING hnsw (big vector_l2_ops) WHERE id < 0;
-- Parts grow from what every search needs to everything.
SELECT vecrecall.prewarm('tier_idx', 'entry') BETWEEN 1 AND 5 AS entry,
	vecrecall.prewarm('tier_idx', 'entry') <= vecrecall.prewarm('tier_idx') AS upper,
	vecrecall.prewarm('tier_idx') < vecrecall.prewarm('tier_idx', 'graph') AS graph,
	vecrecall.prewarm('tier_idx', 'graph') <= vecrecall.prewarm('tier_idx', 'all') AS "all",
	vecrecall.prewarm('tier_idx', 'all') = pg_relation_size('tier_idx') / current_setting('block_size')::int AS size;
SELECT vecrecall.prewarm('tier_t', 'all') = pg_relation_size('tier_t') / current_setting('block_size')::int AS "table",
	vecrecall.prewarm('tier_t_pkey', 'all') > 1 AS index, vecrecall.prewarm('tier_empty_idx', 'graph') > 0 AS empty;

-- Without pg_buffercache sizes only, and why.
SELECT relation, part, bytes > 0 AS some, resident_bytes, note FROM vecrecall.buffer_residency('tier_idx');
CREATE SCHEMA "Cache";
CREATE EXTENSION pg_buffercache SCHEMA "Cache";
SELECT part, resident_bytes = bytes AS resident, resident, usage > 0 AS used, note FROM vecrecall.buffer_residency('tier_idx');
SELECT part, bytes > 0 AS some, resident_bytes <= bytes AS sane, note FROM vecrecall.buffer_residency('tier_t');
SELECT sum(bytes) = pg_relation_size('tier_idx') AS whole FROM vecrecall.buffer_residency('tier_idx');
CREATE ROLE tier_user;
SET ROLE tier_user;
SELECT part, resident_bytes, note FROM vecrecall.buffer_residency('tier_t_pkey');
SELECT vecrecall.prewarm('tier_idx');
SELECT vecrecall.prewarm('tier_t', 'all');
RESET ROLE;

SELECT vecrecall.prewarm('tier_idx', 'roots');
SELECT vecrecall.prewarm('tier_t', 'upper');
SELECT vecrecall.prewarm('tier_t_pkey', 'graph');
SELECT vecrecall.prewarm(0, 'all');
CREATE VIEW tier_view AS SELECT 1;
SELECT vecrecall.prewarm('tier_view', 'all');
SELECT vecrecall.buffer_residency('tier_view');
SELECT vecrecall.prewarm(NULL) IS NULL;

-- What is not used is cold, and there is a statement for it.
SELECT relation, kind, tier, scans, reason, statement FROM vecrecall.tier_advice() WHERE relation = 'tier_empty_idx'::regclass;
SELECT relation, statement FROM vecrecall.tier_advice('Slow disks') WHERE relation = 'tier_empty_idx'::regclass;
SELECT vecrecall.tier_advice(NULL);
SELECT count(*) FROM vecrecall.tier_advice() WHERE relation IN ('tier_t'::regclass, 'tier_idx', 'tier_empty_idx');
DROP TABLE tier_t;
DROP VIEW tier_view;
DROP SCHEMA "Cache" CASCADE;
DROP ROLE tier_user;
