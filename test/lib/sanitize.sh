#!/bin/bash
# sanitize.sh asan|valgrind: the tests under a tool that watches memory ("make
# check-asan", "make check-valgrind").
#
#   KINDS="regress"      only these of: unit regress isolation
#   TESTS="name name"    as for check.sh
#   VR_PG_SOURCE         PostgreSQL's source, a .tar.gz or .tar.bz2, where apt
#                        has none
#
# Both need a server built for them, from the source of the distribution's
# PostgreSQL: made once, with assertions, and kept (remove build/asan or
# build/valgrind for a new one; build/server has the source).
#
# asan: AddressSanitizer and UBSan in the server and in the extension. What is
# palloc'ed lies in larger blocks, so a write past a chunk's end is seen by the
# guard bytes of the server's MEMORY_CONTEXT_CHECKING, as a WARNING of its log.
#
# valgrind: memcheck, and a server that tells it of every palloc'ed chunk and
# that a buffer without a pin may not be touched (USE_VALGRIND). It also sees
# what was never set, which asan does not; PostgreSQL's own suppressions name
# where the server may use that. To the server it is a CPU with AVX2 at best.
#
# After the tests every report of the tool is a failure, with its first lines.
# Regress tests run three at a time, so that two processors have work to the
# end, whichever takes the longest. Under valgrind their vectors are made
# beforehand, and those that owe most of their time to volume take less of it
# (VR_FEW in sql/*.sql and test/unit).
. "$(dirname "$0")/private.sh"
cd "$VR_TOP" || exit 1

tool=$1
case $tool in asan | valgrind) ;; *) vr_die "asan or valgrind, please" ;; esac
work=$VR_TOP/build/$tool
server=$work/pg
mkdir -p "$work" build/server
trap vr_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
vr_as test -x "$work" ||
	vr_die "user $VR_USER cannot reach $work: check out elsewhere"
export ASAN_OPTIONS=detect_leaks=0

# The source of the version that "postgresql" means here, by apt with lists of
# its own, so that neither root nor deb-src lines are needed. A security
# archive may list sources that it does not have; the release has them all.
source_tar()
{
	local apt major suite=$1 dir=$VR_TOP/build/server
	[ -z "$VR_PG_SOURCE" ] || { echo "$VR_PG_SOURCE"; return; }
	command -v apt-get >/dev/null ||
		vr_die "no apt here: set VR_PG_SOURCE to PostgreSQL's source"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	echo "deb-src $(vr_mirror_of_debian | head -n 1) $suite main" >"$dir/sources"
	apt="apt-get -q -o Dir::Etc::SourceList=$dir/sources
		-o Dir::Etc::SourceParts=- -o Dir::State::Lists=$dir/lists
		-o Dir::Cache=$dir/cache -o Debug::NoLocking=1"
	major=$(LC_ALL=C apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p')
	(cd "$dir" && $apt update && $apt source --tar-only --download-only \
		"postgresql-${major:-15}") >"$dir/source.log" 2>&1 || {
		tail "$dir/source.log" >&2
		vr_die "no source; set VR_PG_SOURCE to PostgreSQL's"
	}
	ls "$dir"/postgresql-*.orig.tar.*
}

get_source()
{
	local dir=build/server tar
	[ ! -e "$dir/complete" ] || return 0
	tar=$(source_tar "$(. /etc/os-release && echo "$VERSION_CODENAME")") ||
		exit 1
	rm -rf "$dir/src"
	mkdir -p "$dir/src"
	tar -xf "$tar" -C "$dir/src" --strip-components=1 || exit 1
	touch "$dir/complete"
}

# What the tests need of it: no ecpg, pg_dump, replication.
server_parts="src/common src/port src/timezone src/backend
	src/backend/utils/mb/conversion_procs src/backend/snowball src/include
	src/interfaces/libpq src/fe_utils src/bin/initdb src/bin/pg_config
	src/bin/pg_ctl src/bin/psql src/pl/plpgsql src/makefiles config
	src/test/regress src/test/isolation contrib/pg_buffercache"

# build_server CFLAGS LDFLAGS
build_server()
{
	local start=$SECONDS log=$work/server.build.log
	# ICU: sql/hnsw_filter.sql has a collation of its.
	local options="--enable-cassert --without-readline --without-zlib --with-icu"
	[ "$(cat "$server/complete" 2>/dev/null)" != "$options" ] || return 0
	get_source
	echo "Building a PostgreSQL server for $tool (some minutes, once)"
	rm -rf "$work/obj" "$server"
	mkdir -p "$work/obj"
	(cd "$work/obj" && CFLAGS="$1" LDFLAGS="$2" \
		"$VR_TOP/build/server/src/configure" -q --prefix="$server" $options &&
		make -s -C src install-local &&
		for part in $server_parts; do
			make -s -j2 -C $part all && make -s -C $part install || exit
		done) >"$log" 2>&1 || {
		tail "$log" >&2
		vr_die "the server does not build; the whole output is $log"
	}
	rm -rf "$work/obj"
	echo "$options" >"$server/complete"
	echo "  built in $((SECONDS - start)) s"
}

# The vectors of the regress tests, made once by a server that is not under
# valgrind, where they take longer than what is tested with them: data.sql reads
# them from files.
make_data()
{
	local call file
	export VR_DATA=$work/vectors
	[ "$VR_DATA/complete" -nt test/lib/data.sql ] || rm -rf "$VR_DATA"
	mkdir -p "$VR_DATA"
	[ "$(id -u)" != 0 ] || chown "$VR_USER" "$VR_DATA"
	(
		vr_workdir "$work/maker"
		VR_BIN=$server/bin
		VR_BARE=1 vr_start data
		psql() { "$VR_BIN/psql" -Xq -v ON_ERROR_STOP=1 "$@"; }
		psql -f test/lib/data.sql &&
			grep -ohE "vr_test\.vectors\('+[a-z]+'+, [0-9]+, [0-9]+, [0-9]+\)" sql/*.sql |
			sed "s/''/'/g" | sort -u | while read -r call; do
				file=$VR_DATA/$(echo "$call" | sed "s/.*('//; s/', /_/; s/, /_/g; s/)//")
				[ -e "$file" ] || {
					psql -c "COPY (SELECT v FROM $call) TO '$file.new'" &&
						mv "$file.new" "$file"
				} || exit
			done
		status=$?
		vr_remove data
		vr_cleanup
		exit $status
	) && touch "$VR_DATA/complete" || vr_die "no vectors for the tests"
}

# Files with reports. The sanitizers write to a program's standard error.
reports=$work/log
case $tool in
asan)
	flags='-fsanitize=address,undefined'
	build_server "-g -O1 -fno-omit-frame-pointer $flags" "$flags"
	# Stack depth is measured by addresses, which a fake stack would upset.
	ASAN_OPTIONS+=:detect_stack_use_after_return=0:abort_on_error=1
	export ASAN_OPTIONS UBSAN_OPTIONS=print_stacktrace=1
	begins='^==[0-9]*==ERROR|runtime error:'
	;;
valgrind)
	build_server "-g -O1 -DUSE_VALGRIND" ""
	# Every process of the server runs under valgrind; initdb's do not, and
	# those with VR_BARE.
	[ -e "$server/bin/postgres.bin" ] ||
		mv "$server/bin/postgres" "$server/bin/postgres.bin"
	cat >"$server/bin/postgres" <<-'EOF'
		#!/bin/sh
		case $1$VR_BARE in
		-D) exec valgrind --quiet --vgdb=no --leak-check=no --num-callers=25 \
			--suppressions="$VR_SUPPRESSIONS" --error-markers=REPORT,END \
			--log-file="$VR_REPORTS/valgrind.%p.log" "$0.bin" "$@" ;;
		esac
		exec "$0.bin" "$@"
	EOF
	chmod 755 "$server/bin/postgres"
	make_data
	export VR_FEW=1
	reports=$work/reports
	rm -rf "$reports"
	mkdir -p "$reports"
	[ "$(id -u)" != 0 ] || chown "$VR_USER" "$reports"
	export VR_REPORTS=$reports
	export VR_SUPPRESSIONS=$VR_TOP/build/server/src/src/tools/valgrind.supp
	export PGCTLTIMEOUT=300
	begins=' REPORT$'
	;;
esac

: >"$work/check.log"
VR_LANES=3 VR_CHECK=$work VR_UNIT=check-$tool PG_CONFIG=$server/bin/pg_config \
	test/lib/check.sh ${KINDS:-unit regress isolation} >"$work/check.log" 2>&1 &
VR_CHILDREN+=($!)
tail -n +1 -f --pid=$! "$work/check.log" |
	sed -u '/^[0-9]* passed, [0-9]* failed$/d'
wait $!
status=$?

sum=$(tail -n 1 "$work/check.log" |
	sed -n -E 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
passed=${sum% *} failed=${sum#* }
if [ -z "$sum" ] || { [ "$status" != 0 ] && [ "$failed" = 0 ]; }; then
	echo "FAILED: check.sh ended with $status; see $work/check.log"
	passed=${passed:-0} failed=1
fi

# check NAME FOUND: FOUND is empty, or it failed
check()
{
	if [ -z "$2" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
		echo "$2" | sed 's/^/    /'
	fi
}
check "no report of $tool" "$(grep -h -A 14 -E "$begins" "$reports"/*.log |
	head -n 120)"
if [ -e "$work/log/server.log" ]; then
	check "nothing in the server's log that should not be" "$(grep -E -A 3 \
		'problem in alloc set|detected write past|TRAP:|PANIC:|terminated by signal' \
		"$work/log/server.log" | head -n 40)"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
