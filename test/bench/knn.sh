#!/bin/bash
# knn.sh: batch search beside OpenBLAS, NumPy, pgvector's way, and memory; and
# search by bits beside the hnsw index, with vectors of yours.
#
#   knn.sh [prepare|measure|remove] [BASE.npy QUERY.npy]
#
# Needs a server with the extension that PGHOST, PGPORT and PG_CONFIG lead to
# (test/lib/cluster.sh start), with shared_buffers of 1GB so that tables are in
# memory, and makes a database vr_bench_knn there. Without a word, all three.
# NumPy, of build/bench/env (bench.sh makes it) or python3, is left out where
# there is none. Two minutes, and as many to load 60,000 vectors of yours.
#
# Times are medians of 11 calls in one session, in milliseconds.
cd "$(dirname "$0")" || exit 1
case $1 in prepare | measure | remove) what=$1 && shift ;; *) what=all ;; esac
base=$1
query=$2
export PGDATABASE=vr_bench_knn OPENBLAS_NUM_THREADS=1
python=../../build/bench/env/bin/python
[ -x $python ] || python=python3

prepare()
{
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
CREATE TABLE q AS SELECT (SELECT array_agg(v ORDER BY id) FROM narrow WHERE id <= 512) AS q,
	(SELECT array_agg(v) FROM wide WHERE id = 1) AS w;
VACUUM ANALYZE;
SQL
	[ -n "$query" ] || return
	psql -Xq -v ON_ERROR_STOP=1 -c 'CREATE TABLE mine (id int PRIMARY KEY, v vector)' \
		-c 'CREATE TABLE my_queries (id int, v vector)' || exit 1
	for pair in "mine=$base" "my_queries=$query"; do
		$python - "${pair#*=}" <<'PY' | psql -Xq -c "COPY ${pair%%=*} FROM STDIN" || exit 1
import sys
import numpy as np
for i, x in enumerate(np.load(sys.argv[1]).astype(np.float32)):
    print(i, '[' + ','.join(map(repr, x.tolist())) + ']', sep='\t')
PY
	done
	psql -Xq -v ON_ERROR_STOP=1 <<'SQL' || exit 1
SELECT format('ALTER TABLE mine ALTER v TYPE vector(%s)', vector_dims(v)) FROM mine LIMIT 1 \gexec
SET maintenance_work_mem = '1GB';
CREATE INDEX mine_hnsw ON mine USING hnsw (v vector_cosine_ops);
CREATE TABLE my_mean AS SELECT avg(v) AS mean FROM mine;
CREATE TABLE my_array AS SELECT array_agg(v ORDER BY id) AS q FROM (SELECT * FROM my_queries ORDER BY id LIMIT 200) s;
CREATE TABLE my_truth AS SELECT t.* FROM my_array, vecrecall.knn_exact('mine', 'v', q, 10, 'cosine') t;
VACUUM ANALYZE;
SQL
}

# timed LABEL SETTINGS QUERY
timed()
{
	{
		echo "SET work_mem = '64MB';"
		echo "$2;"
		echo '\timing on'
		for i in 0 1 2 3 4 5 6 7 8 9 10 11; do echo "$3;"; done
	} | psql -XAtq -v ON_ERROR_STOP=1 | grep -oP '^Time: \K[0-9.]+' | tail -n 11 | sort -n |
		awk -v what="$1" '{ t[NR] = $1 } END { printf "%-44s %8.1f (best %.1f)\n", what, t[int((NR + 1) / 2)], t[1] }'
}
one='SET max_parallel_workers_per_gather = 0'
two='SET max_parallel_workers_per_gather = 1'
float='SET vecrecall.knn_amx = off'

measure_blas()
{
	# The kernels that the server has it use: see src/knn/knn_blas.c.
	local core=$(psql -XAtq -c "$float; SELECT vecrecall.knn_exact('narrow', 'v', q[1:8], 1) FROM q" \
		-c 'SELECT blas FROM vecrecall.build_info()' |
		grep -oE 'Prescott|Nehalem|Sandybridge|Haswell|Zen|SkylakeX|Cooperlake|SapphireRapids|ARMV8|NEOVERSE[A-Z0-9]*' | tail -n 1)
	make -s knn_blas || exit 1
	env ${core:+OPENBLAS_CORETYPE="$core"} ../../build/bench/knn_blas "$("$PG_CONFIG" --pkglibdir)/vecrecall_blas.so"
}

measure_sql()
{
	local q="SELECT count(*) FROM vecrecall.knn_exact('narrow', 'v', (SELECT q FROM q)"
	local few="SELECT count(*) FROM vecrecall.knn_exact('narrow', 'v', (SELECT q"
	local n
	timed '512 queries, top 500, one process' "$one" "$q, 500)"
	timed '512 queries, top 500, two processes' "$two" "$q, 500)"
	timed '512 queries, top 500, float32, one' "$one; $float" "$q, 500)"
	timed '512 queries, top 500, float32, two' "$two; $float" "$q, 500)"
	timed '512 queries, top 10, one process' "$one" "$q, 10)"
	timed '512 queries, top 10, two processes' "$two" "$q, 10)"
	timed '512 queries, top 10, float32, one' "$one; $float" "$q, 10)"
	for n in 1 4 6 8 16; do
		timed "$n queries, kernels" "$one; $float; SET vecrecall.blas_threads = 0" "${few}[1:$n] FROM q), 10)"
		timed "$n queries, float32" "$one; $float" "${few}[1:$n] FROM q), 10)"
		timed "$n queries, default" "$one" "${few}[1:$n] FROM q), 10)"
	done
	timed '8 queries by ORDER BY ... LIMIT' "$one" \
		"SELECT count(*) FROM q, unnest(q[1:8]) u, LATERAL (SELECT id FROM narrow ORDER BY v <-> u LIMIT 10) s"
}

# of COLUMN SHARE: what so many of the turns are below; column 3 is the ratio.
of()
{
	awk -v c="$1" '{ $3 = $2 / $1; print $c }' "$turns" | sort -n |
		awk -v s="$2" '{ x[NR] = $1 } END { printf "%.2f", x[int(s * (NR - 1)) + 1] }'
}

# against WHAT TABLE SWEEP: one query, and a read of as many bytes, in turns.
against()
{
	local sql="SELECT count(*) FROM vecrecall.knn_exact('$2', 'v', (SELECT w FROM q), 10);"
	local turns=$(mktemp)
	local i read query
	mkfifo "$turns".{3,4,5,6} || return
	../../build/bench/knn_read $((10000 * 1536 * 4)) "$3" <"$turns.4" >"$turns.3" &
	psql -XAtq <"$turns.6" >"$turns.5" &
	exec 4>"$turns.4" 3<"$turns.3" 6>"$turns.6" 5<"$turns.5"
	printf '%s\n' "SET work_mem = '64MB'; $one;" '\timing on' >&6
	for i in {0..42}; do
		echo r >&4 && read -r read <&3
		echo s >&4 && read -r query <&3
		echo "$sql" >&6
		until [[ $query == Time:* ]]; do read -r query <&5 || return; done
		query=${query#Time: }
		[ "$i" -lt 2 ] || echo "$read ${query% ms*}"
	done >"$turns"
	printf '%-44s %8s (best %s), a read %s (best %s), ratio %s (a quarter below %s)\n' "$1" \
		$(of 2 0.5) $(of 2 0) $(of 1 0.5) $(of 1 0) $(of 3 0.5) $(of 3 0.25)
	rm "$turns"*
	exec 3<&- 4>&- 5<&- 6>&-
	wait
}

measure_read()
{
	make -s knn_read || exit 1
	against '10,000 x 1536 in the row, one query' wide 0
	against 'the same, caches swept before' wide 600
	against '10,000 x 1536 out of line, one query' toasted 0
	against 'the same, caches swept before' toasted 600
}

# What a search of the same in one process plans, beside the vectors as float8[].
measure_memory()
{
	psql -XAtq <<SQL
SET work_mem = '64MB';
$one;
SET client_min_messages = debug1;
SELECT 'vectors as float8[]: ' || (100000 * (24 + 8 * 128)::bigint / 1024) || ' kB';
SELECT 'results: ' || count(*) FROM vecrecall.knn_exact('narrow', 'v', (SELECT q FROM q), 500);
SQL
}

measure_numpy()
{
	$python - <<'PY' 2>/dev/null || echo 'no NumPy here'
import time
import numpy as np

def timed(what, f):
    times = []
    for _ in range(11):
        t = time.perf_counter()
        f()
        times.append((time.perf_counter() - t) * 1000)
    times.sort()
    print('%-44s %8.1f (best %.1f)' % (what, times[5], times[0]))

x = np.random.rand(100000, 128).astype(np.float32)
q = x[:512].copy()

def search():
    d = (x * x).sum(1)[None, :] - 2 * (q @ x.T)
    i = np.argpartition(d, 500, axis=1)[:, :500]
    return np.take_along_axis(i, np.argsort(np.take_along_axis(d, i, 1), 1), 1)

timed('NumPy, 512 queries, top 500, one thread', search)
timed('NumPy, their products alone', lambda: q @ x.T)
y = np.random.rand(10000, 1536).astype(np.float32)
timed('NumPy, sum of 10,000 x 1536', y.sum)
timed('NumPy, 10,000 x 1536 times a vector', lambda: y @ y[0])
PY
}

# Search by bits about the mean, exact, and by the index: 200 queries, and one.
measure_bits()
{
	local all="'mine', 'v', (SELECT q FROM my_array), 10" first="'mine', 'v', (SELECT q[1:1] FROM my_array), 10"
	local bits="metric => 'cosine', threshold => (SELECT mean FROM my_mean)"
	local name sql
	[ "$(psql -XAtq -c "SELECT to_regclass('mine') IS NOT NULL")" = t ] || return
	psql -XAtq -c "SET work_mem = '64MB'" \
		-c "SELECT 'oversampling ' || oversampling FROM vecrecall.binary_oversampling($all, metric => 'cosine', threshold => (SELECT mean FROM my_mean))"
	while read -r name sql; do
		psql -XAtq -c "SET work_mem = '64MB'" -c "SELECT '$name, recall@10: ' || round(avg(least(n, 10)) / 10, 4) FROM (
			SELECT count(f.distance) FILTER (WHERE f.distance <= t.last * (1 + 1e-6) + 1e-9) AS n
			FROM (SELECT query_no, max(distance) AS last FROM my_truth GROUP BY query_no) t
			LEFT JOIN ($sql) f USING (query_no) GROUP BY query_no) s"
	done <<END
bits SELECT * FROM vecrecall.knn_binary($all, $bits)
bits,oversampling=16 SELECT * FROM vecrecall.knn_binary($all, 16, $bits)
index SELECT o.no AS query_no, s.* FROM my_array, unnest(q) WITH ORDINALITY o(u, no), LATERAL (SELECT v <=> u AS distance FROM mine ORDER BY v <=> u LIMIT 10) s
END
	timed 'bits, 200 queries, oversampling 16' "$one" "SELECT count(*) FROM vecrecall.knn_binary($all, 16, $bits)"
	timed 'bits, one query, oversampling 16' "$one" "SELECT count(*) FROM vecrecall.knn_binary($first, 16, $bits)"
	timed 'exact, 200 queries' "$one" "SELECT count(*) FROM vecrecall.knn_exact($all, 'cosine')"
	timed 'exact, one query' "$one" "SELECT count(*) FROM vecrecall.knn_exact($first, 'cosine')"
	timed 'index, 200 queries' "$one" "SELECT count(*) FROM my_array, unnest(q) u, LATERAL (SELECT id FROM mine ORDER BY v <=> u LIMIT 10) s"
	timed 'index, one query' "$one" "SELECT count(*) FROM my_array, unnest(q[1:1]) u, LATERAL (SELECT id FROM mine ORDER BY v <=> u LIMIT 10) s"
}

case $what in all | prepare) prepare ;; esac
case $what in all | measure)
	measure_blas
	measure_sql
	measure_read
	measure_memory
	measure_numpy
	measure_bits
	;;
esac
case $what in all | remove) dropdb $PGDATABASE ;; esac
