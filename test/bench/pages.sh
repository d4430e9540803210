#!/bin/bash
# pages.sh: what it costs to come to a record of an hnsw index that is in shared
# buffers, by ReadBuffer and by the index's own gate.
#
#   pages.sh [prepare|measure|remove] [ROWS]
#
# Needs a PostgreSQL 15 server with the extension that PGHOST, PGPORT and
# PG_CONFIG lead to (test/lib/cluster.sh start), whose user can read this
# checkout, and shared_buffers that hold ROWS pages (100,000 by default: 800 MB).
# Makes a database vr_bench_pages there. Without a word, all three. One session; a record a
# page, 200,000 at random, the four ways in turns, eleven rounds; medians in
# nanoseconds of CPU time.
cd "$(dirname "$0")" || exit 1
case $1 in prepare | measure | remove) what=$1 && shift ;; *) what=all ;; esac
rows=${1:-100000}
export PGDATABASE=vr_bench_pages

prepare()
{
	make -s pages PG_CONFIG="${PG_CONFIG:-pg_config}" || exit 1
	dropdb --if-exists $PGDATABASE 2>/dev/null
	createdb $PGDATABASE || exit 1
	psql -XAtq -v ON_ERROR_STOP=1 -v rows="$rows" \
		-v module="$(cd ../../build/bench && pwd)/pages" <<'SQL' || exit 1
CREATE EXTENSION vecrecall;
CREATE FUNCTION bench_pages(regclass, text, int, bigint) RETURNS float8
AS :'module', 'vr_bench_pages' LANGUAGE C STRICT;
-- Of a size that leaves a page to each; only what the index needs is computed.
CREATE FUNCTION wide(i int) RETURNS vector LANGUAGE sql IMMUTABLE
AS $$ SELECT (ARRAY[sin(i), cos(i), sin(7 * i), cos(5 * i)] || array_fill(0.5::float8, ARRAY[1896]))::vector(1900) $$;
CREATE TABLE t AS SELECT i FROM generate_series(1, :rows) i;
SET maintenance_work_mem = '2GB';
CREATE INDEX t_i ON t USING hnsw ((wide(i)::vector(1900)) vector_l2_ops)
	WITH (storage = plain, m = 4, ef_construction = 8);
SQL
}

measure()
{
	psql -XAtq -v ON_ERROR_STOP=1 <<'SQL' || exit 1
SELECT pg_size_pretty(pg_relation_size('t_i')) || ' of ' || current_setting('shared_buffers') || ' shared buffers';
CREATE TEMP TABLE took (way text, ns float8);
-- The round before the first finds no hints.
DO $$
BEGIN
	FOR round IN 0 .. 11 LOOP
		INSERT INTO took SELECT way, bench_pages('t_i', way, 200000, round)
		FROM unnest('{read,gate,ahead1,ahead2}'::text[]) way;
		DELETE FROM took WHERE round = 0;
	END LOOP;
END $$;
SELECT format('%-40s %5s ns', what, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ns)))
FROM took JOIN (VALUES (1, 'read', 'ReadBuffer, share lock'), (2, 'gate', 'the gate, by hints'),
	(3, 'ahead1', 'the gate, record asked for one ahead'), (4, 'ahead2', 'two ahead')) v (n, way, what) USING (way)
GROUP BY n, what ORDER BY n;
SQL
}

case $what in prepare | all) prepare ;; esac
case $what in measure | all) measure ;; esac
case $what in remove | all) dropdb $PGDATABASE ;; esac
