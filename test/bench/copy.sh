#!/bin/bash
# copy.sh DATABASE...: time of COPY FROM and COPY TO of text vectors, in each
# of the databases in turn, so that extensions can be compared in one run. Each
# database has a type "vector" from whichever extension; the usual PG*
# variables say where the server is. The file is made once, by the first.
#
#   ROWS=1000000 DIM=128 ROUNDS=3 FORMAT=float4 test/bench/copy.sh ours theirs
#
# FILE=name keeps the file there, and takes it again if there is one; ROUNDS=0
# only makes it.
#
# FORMAT: float4, the shortest text of each number; float8, 17 digits as Python
# prints a double; fixed6, six digits after the point. ROW_TYPE: vector, halfvec.
set -e
rows=${ROWS:-1000000} dim=${DIM:-128} rounds=${ROUNDS:-3}
type=${ROW_TYPE:-vector}
file=${FILE:-$(mktemp "${TMPDIR:-/tmp}/copy.XXXXXX")}
[ -n "$FILE" ] || trap 'rm -f "$file"' EXIT

case ${FORMAT:-float4} in
float4) number='(random() - 0.5)::float4::text' ;;
float8) number='(random() * 0.2 - 0.1)::float8::text' ;;
fixed6) number="to_char(random() * 0.2 - 0.1, 'S0.000000')" ;;
*) echo "copy.sh: FORMAT is float4, float8 or fixed6" >&2; exit 1 ;;
esac
[ -s "$file" ] ||
	psql -qX -d "$1" -c "\copy (SELECT '[' || (SELECT string_agg($number, ',') FROM generate_series(1, $dim) WHERE r > 0) || ']' FROM generate_series(1, $rows) r) TO '$file'"
echo "$rows x $dim, ${FORMAT:-float4}, $(stat -c %s "$file") bytes"

# seconds DATABASE COMMAND: as psql's \timing has them, and how many of them the
# backend had the CPU, where /proc shows it: what counts on a busy machine
seconds()
{
	psql -qXAt -d "$1" <<-SQL | awk '/^Time:/ { wall = $2 / 1000 }
		/^cpu/ { cpu[++n] = $2 }
		END { printf "%.2f s (CPU %.2f)", wall, (cpu[2] - cpu[1]) / hz }' \
		hz="$(getconf CLK_TCK)"
		SELECT 'awk ''{ print "cpu", \$14 + \$15 }'' /proc/' || pg_backend_pid() || '/stat 2>/dev/null' AS cpu \gset
		SELECT 1; -- catalogs and library
		\setenv CPU :cpu
		\! eval "\$CPU"
		\timing on
		$2
		\timing off
		\! eval "\$CPU"
	SQL
}

for ((i = 1; i <= rounds; i++)); do
	for db in "$@"; do
		psql -qX -d "$db" -c 'SET client_min_messages = error' \
			-c 'DROP TABLE IF EXISTS copy_bench' \
			-c "CREATE UNLOGGED TABLE copy_bench (v $type($dim))" -c CHECKPOINT
		in=$(seconds "$db" "\copy copy_bench FROM '$file'")
		psql -qX -d "$db" -c CHECKPOINT
		out=$(seconds "$db" "\copy copy_bench TO '/dev/null'")
		echo "round $i: $db: COPY FROM $in, COPY TO $out"
	done
done
for db in "$@"; do
	psql -qX -d "$db" -c 'SET client_min_messages = error' \
		-c 'DROP TABLE IF EXISTS copy_bench'
done
