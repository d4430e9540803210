#!/bin/bash
# bench.sh: the hnsw index against pgvector and hnswlib ("make bench").
#
#   bench.sh [OPTION...]      those of hnsw_bench.py: --help lists them
#
#   PGVECTOR=DIR   the source of pgvector, copied and built here; without it,
#                  pgvector is left out, and the report says so
#   SHARED_BUFFERS=1500MB     of the private server
#
# Runs a private server with a copy of the sources; nothing is left running.
# Results: build/bench/results.jsonl and .html. Fails if something is broken,
# never because something is slow.
. "$(dirname "$0")/../lib/private.sh"

here=$VR_TOP/test/bench
config=$(vr_find_pg_config) || vr_die "no PostgreSQL here: make setup"
finish()
{
	vr_cleanup
	[ -z "$VR_BIN" ] || vr_remove data
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
vr_workdir "$VR_TOP/build/bench"
out=$VR_TOP/build/bench
env=$out/env
skipped=

skip()
{
	echo "$*"
	skipped="$skipped${skipped:+|}$*"
}

# With what its own Makefile takes for this machine, but for LLVM.
pgvector()
{
	local goal
	for goal in clean all install; do
		make -C "$VR_WORK/pgvector" -j2 "$goal" with_llvm=no \
			PG_CONFIG="$VR_PG_CONFIG" || return
	done
}

# Python's packages; hnswlib has to be compiled, so it may fail.
if [ ! -e "$env/done" ] || ! cmp -s "$here/requirements.txt" "$env/done"; then
	{ python3 -m venv --clear "$env" && "$env/bin/pip" install -q \
		--disable-pip-version-check -r "$here/requirements.txt"; } >"$out/pip.log" 2>&1 ||
		{ tail -n 5 "$out/pip.log" >&2; vr_die "NumPy and psycopg could not be installed"; }
	"$env/bin/pip" install -q --disable-pip-version-check hnswlib==0.8.0 \
		>>"$out/pip.log" 2>&1
	cp "$here/requirements.txt" "$env/done"
fi
if [ "$*" = --help ]; then
	exec "$env/bin/python" "$here/hnsw_bench.py" --help
fi
"$env/bin/python" -c 'import hnswlib' 2>/dev/null ||
	echo "hnswlib is left out: it could not be installed; see build/bench/pip.log"

vr_mirror "$config" "$VR_WORK/root"
vr_remove data
# The tree holds pgvector's control file since the last run, and ours goes first.
rm -f "$("$VR_PG_CONFIG" --sharedir)"/extension/vector.control \
	"$("$VR_PG_CONFIG" --sharedir)"/extension/vector--*.sql
vr_build "$VR_WORK/build.log"

peer=
if [ -z "$PGVECTOR" ]; then
	skip "pgvector is left out: PGVECTOR names no source"
elif [ ! -e "$PGVECTOR/vector.control" ]; then
	skip "pgvector is left out: there is no vector.control in $PGVECTOR"
else
	rm -rf "$VR_WORK/pgvector"
	mkdir -p "$VR_WORK/pgvector"
	cp -R "$PGVECTOR"/{Makefile,vector.control,sql,src} "$VR_WORK/pgvector/"
	if pgvector >"$VR_WORK/pgvector.log" 2>&1; then
		peer=1
	else
		skip "pgvector is left out: it did not build; see $VR_WORK/pgvector.log"
	fi
fi

# restart_server SHARED_BUFFERS: also for Python to call.
restart_server()
{
	vr_stop data
	vr_start data -c shared_buffers="$1" -c autovacuum=off -c jit=off \
		-c max_wal_size=8GB -c checkpoint_timeout=1h -c max_parallel_workers=4
}
export -f restart_server vr_start vr_stop vr_stop_dir vr_as vr_die
export VR_WORK VR_BIN VR_USER VR_SOCKETS
export BENCH_BUFFERS=${SHARED_BUFFERS:-1500MB}
restart_server "$BENCH_BUFFERS"
BENCH_PGVECTOR=$peer BENCH_SKIPPED=$skipped PYTHONDONTWRITEBYTECODE=1 \
	BENCH_COMMIT=$(git -C "$VR_TOP" rev-parse --short HEAD 2>/dev/null) \
	"$env/bin/python" "$here/hnsw_bench.py" --output "$out/results" "$@" &
VR_CHILDREN+=($!)
wait $!
status=$?
echo "Results: $out/results.jsonl and results.html"
exit $status
