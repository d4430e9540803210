#!/bin/bash
# speed.sh: time of 10,000 plans by 4 clients, as the clients see it and as
# vecrecall.planner_stats does, beside as many times SELECT 1, which is what
# clients, server and scheduler take without a plan. Wants the usual PG
# variables, and makes some history.
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
psql -Xqc "SELECT count(vecrecall.batch_record('insert', 'speed', 384, b, 1, b, 5 + 0.01 * b, true))
	FROM (SELECT (2 ^ (i % 12))::bigint AS b FROM generate_series(1, 200) i) t" >"$work/out"
echo "SELECT * FROM vecrecall.plan_batch(1000000, 384, target => 'speed');" >"$work/plan_batch.sql"
echo "SELECT 1;" >"$work/select_1.sql"
cd "$work"
for what in select_1 plan_batch select_1 plan_batch; do
	rm -f pgbench_log.*
	pgbench -n -M prepared -c 4 -j 2 -t 2500 -f $what.sql -l >out 2>&1
	cat pgbench_log.* | awk '{ print $3 }' | sort -n |
		awk '{ t[NR] = $1 } END { printf "%-10s %d times, 4 clients: p50 %d us, p95 %d us, p99 %d us\n",
			what, NR, t[int(NR * .5)], t[int(NR * .95)], t[int(NR * .99)] }' what=$what
done
psql -XAtqc "SELECT count(vecrecall.plan_batch(1000000 + i, 384, target => 'speed')) FROM generate_series(1, 2000) i;
	SELECT format('inside the server, one session: p50 %s us, p95 %s us', round(1000 * p50_ms), round(1000 * p95_ms))
	FROM vecrecall.planner_stats WHERE target = 'speed'" | tail -1
