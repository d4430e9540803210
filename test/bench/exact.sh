#!/bin/bash
# exact.sh DATABASE...: time of exact searches, ORDER BY embedding <-> q LIMIT
# 10 by sequential scan, in each of the databases in turn, so that extensions
# can be compared in one run. Each database has a type "vector" from whichever
# extension; the usual PG* variables say where the server is.
#
#   ROWS=62904 DIM=384 ROUNDS=7 WORKERS=0 OPS='<-> <#> <=> <+>' \
#       test/bench/exact.sh ours theirs
#
# Prints the median and the best per database and operator, and their ratios to
# the first's: on a shared machine other work only ever adds.
# Tables stay, as exact_bench_ROWS_DIM, and are used again by the next run.
set -e
rows=${ROWS:-62904} dim=${DIM:-384} rounds=${ROUNDS:-7} type=${ROW_TYPE:-vector}
table=exact_bench_${rows}_$dim
times=$(mktemp "${TMPDIR:-/tmp}/exact.XXXXXX")
trap 'rm -f "$times"' EXIT

for db in "$@"; do
	psql -qX -d "$db" -v ON_ERROR_STOP=1 <<-SQL
		SET client_min_messages = error;
		SELECT to_regclass('$table') IS NULL AS missing \gset
		\if :missing
			CREATE TABLE $table (id int, v vector($dim));
			SELECT setseed(0.5) \g /dev/null
			INSERT INTO $table SELECT r, (SELECT array_agg((random() - 0.5)::float4)
				FROM generate_series(1, $dim) WHERE r > 0)::vector
				FROM generate_series(1, $rows) r;
			VACUUM ANALYZE $table;
		\endif
	SQL
done

for ((i = 0; i <= rounds; i++)); do
	for op in ${OPS:-<-> <#> <=> <+>}; do
		for db in "$@"; do
			ms=$(psql -qX -d "$db" <<-SQL | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -1
				SET max_parallel_workers_per_gather = ${WORKERS:-0};
				SET min_parallel_table_scan_size = 0;
				SELECT v AS q FROM $table ORDER BY id LIMIT 1 OFFSET $i \gset
				SELECT id FROM $table ORDER BY v $op :'q'::$type($dim) LIMIT 1;
				\timing on
				SELECT id FROM $table ORDER BY v $op :'q'::$type($dim) LIMIT 10;
			SQL
			)
			# The first round only warms up.
			[ "$i" = 0 ] || echo "$op $db $ms" >>"$times"
		done
	done
done

sort -k1,2 -k3n "$times" | awk -v first="$1" '
	{ key = $1 " " $2; n[key]++; t[key, n[key]] = $3 }
	END {
		for (key in n) {
			split(key, k, " ")
			median[key] = t[key, int((n[key] + 1) / 2)]
			best[key] = t[key, 1]
		}
		for (key in n) {
			split(key, k, " ")
			own = k[1] " " first
			printf "%s %s: median %.1f ms, %.2f times %s; best %.1f ms, %.2f times\n",
				k[1], k[2], median[key], median[key] / median[own], first,
				best[key], best[key] / best[own]
		}
	}' | sort
