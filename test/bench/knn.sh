#!/bin/bash
# knn.sh: batch search beside OpenBLAS, NumPy, pgvector's way, and memory.
# Needs a server with the extension that PGHOST, PGPORT and PG_CONFIG lead to
# (test/lib/cluster.sh start), and makes a database vr_bench_knn there. NumPy's
# part is left out where python3 has none. About two minutes.
#
# Times are medians of 7 calls in one session, in milliseconds.
cd "$(dirname "$0")" || exit 1
make -s knn_blas || exit 1
OPENBLAS_NUM_THREADS=1 ../../build/bench/knn_blas "$("$PG_CONFIG" --pkglibdir)/vecrecall_blas.so"

export PGDATABASE=vr_bench_knn
dropdb --if-exists $PGDATABASE 2>/dev/null
createdb $PGDATABASE || exit 1
psql -Xq -v ON_ERROR_STOP=1 <<'SQL' || exit 1
CREATE EXTENSION vecrecall;
SELECT setseed(0.5) \g /dev/null
CREATE TABLE narrow (id int PRIMARY KEY, v vector(128));
INSERT INTO narrow SELECT i, v::vector FROM generate_series(1, 100000) i,
	LATERAL (SELECT array_agg(random()::real) AS v FROM generate_series(1, 128 + 0 * i)) s;
CREATE TABLE wide (id int PRIMARY KEY, v vector(1536));
ALTER TABLE wide ALTER v SET STORAGE PLAIN;
INSERT INTO wide SELECT i, v::vector FROM generate_series(1, 10000) i,
	LATERAL (SELECT array_agg(random()::real) AS v FROM generate_series(1, 1536 + 0 * i)) s;
CREATE TABLE toasted (id int PRIMARY KEY, v vector(1536));
INSERT INTO toasted TABLE wide;
VACUUM ANALYZE;
SQL

# timed LABEL SETTINGS QUERY: q(n) is an array of n queries
timed()
{
	psql -XAtq -v ON_ERROR_STOP=1 <<SQL | grep -oP '^Time: \K[0-9.]+' | tail -n 7 | sort -n |
SET work_mem = '64MB';
CREATE FUNCTION pg_temp.q(n int, t regclass) RETURNS vector[] LANGUAGE plpgsql AS \$\$
DECLARE r vector[];
BEGIN EXECUTE format('SELECT array_agg(v) FROM (SELECT v FROM %s ORDER BY id LIMIT %s) s', t, n) INTO r; RETURN r; END \$\$;
CREATE TEMP TABLE q AS SELECT pg_temp.q(512, 'narrow') AS q, pg_temp.q(1, 'wide') AS w;
$2;
\timing on
$(for i in 1 2 3 4 5 6 7 8; do echo "$3;"; done)
SQL
		awk -v what="$1" '{ t[NR] = $1 } END { printf "%-44s %8.1f (best %.1f)\n", what, t[int((NR + 1) / 2)], t[1] }'
}
one='SET max_parallel_workers_per_gather = 0'
two='SET max_parallel_workers_per_gather = 1'
all="SELECT count(*) FROM q, vecrecall.knn_exact('narrow', 'v', q"
timed '512 queries, top 500, one process' "$one" "$all, 500)"
timed '512 queries, top 500, two processes' "$two" "$all, 500)"
timed '512 queries, top 10, one process' "$one" "$all, 10)"
timed '512 queries, top 10, two processes' "$two" "$all, 10)"
for n in 1 2 3 4 6 8 16; do
	timed "$n queries, kernels" "$one; SET vecrecall.blas_threads = 0" "$all[1:$n], 10)"
	timed "$n queries, default" "$one" "$all[1:$n], 10)"
done
timed '10,000 x 1536 in the row, one query' "$one" \
	"SELECT count(*) FROM q, vecrecall.knn_exact('wide', 'v', w, 10)"
timed '10,000 x 1536 in the row, two processes' "$two" \
	"SELECT count(*) FROM q, vecrecall.knn_exact('wide', 'v', w, 10)"
timed '10,000 x 1536 out of line, one query' "$one" \
	"SELECT count(*) FROM q, vecrecall.knn_exact('toasted', 'v', w, 10)"
timed '8 queries by ORDER BY ... LIMIT' "$one" \
	"SELECT count(*) FROM q, unnest(q[1:8]) u, LATERAL (SELECT id FROM narrow ORDER BY v <-> u LIMIT 10) s"

# Memory: what the search asks for beside the same vectors as float8[].
psql -XAtq <<'SQL'
SET work_mem = '64MB';
SET max_parallel_workers_per_gather = 0;
SET client_min_messages = debug1;
SELECT 'vectors as float8[]: ' || (100000 * (24 + 8 * 128)::bigint / 1024) || ' kB';
SELECT 'results: ' || count(*) FROM vecrecall.knn_exact('narrow', 'v', (SELECT array_agg(v) FROM narrow WHERE id <= 512), 500);
SQL
python3 - <<'PY' 2>/dev/null || echo 'no NumPy here'
import os
os.environ['OPENBLAS_NUM_THREADS'] = '1'
import time
import numpy as np
for threads in (1,):
    x = np.random.rand(100000, 128).astype(np.float32)
    q = x[:512].copy()
    times = []
    for _ in range(5):
        t = time.perf_counter()
        d = (x * x).sum(1)[None, :] - 2 * (q @ x.T)
        i = np.argpartition(d, 500, axis=1)[:, :500]
        i = np.take_along_axis(i, np.argsort(np.take_along_axis(d, i, 1), 1), 1)
        times.append((time.perf_counter() - t) * 1000)
    print('NumPy, 512 queries, top 500, one thread, from memory: %.1f' % sorted(times)[2])
    y = np.random.rand(10000, 1536).astype(np.float32)
    times = []
    for _ in range(15):
        t = time.perf_counter()
        y.sum()
        times.append((time.perf_counter() - t) * 1000)
    print('NumPy, sum of 10,000 x 1536 (memory bandwidth): %.1f' % sorted(times)[7])
PY
dropdb $PGDATABASE
