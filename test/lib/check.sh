#!/bin/bash
# check.sh: every test of the project on a private server ("make check").
#
#   check.sh [GROUP...]   only these of: lint unit regress isolation clients tap
#   TESTS="name name"     only these tests of regress, isolation, clients and tap
#   VR_CHECK              the folder it works in; build/check by default
#   VR_UNIT               the target of test/unit; check by default
#   VR_WAL=1              servers write all pages to WAL, to be compared after
#                         replay (wal_consistency_checking); that of regress
#                         and isolation has a standby that does so
#   VR_LANES=2            regress tests two at a time, on servers of their own
#   VR_DATA               a folder of vectors made beforehand (lib/data.sql)
#   VR_OLD_CONFIG         pg_config of an older PostgreSQL, to upgrade from
#
# The sources are copied to build/check/src and built there, so that neither
# stale objects nor another PostgreSQL version in the checkout matter. Logs
# stay in build/check/log. The last line is "N passed, N failed"; the exit
# status is 0 only if nothing failed and every test file was run.
. "$(dirname "$0")/private.sh"
. "$VR_TOP/test/lib/results.sh"
. "$VR_TOP/test/clients/programs.sh"
cd "$VR_TOP" || exit 1

groups=${*:-lint unit regress isolation clients tap}
dir=${VR_CHECK:-$VR_TOP/build/check}
results_begin "$dir"
mkdir "$log/tap" "$log/lint"

wanted()
{
	case " $groups " in *" $1 "*) true ;; *) false ;; esac
}

# chosen NAME...: those of them that TESTS asks for
chosen()
{
	local n
	for n in "$@"; do
		case " ${TESTS:-$n} " in *" $n "*) echo "$n" ;; esac
	done
}

# run_pg_regress GROUP LANE COMMAND... NAME...: one line of output per test,
# in the old form "test x ... ok" or the one of PostgreSQL 16, "ok 1 - x".
run_pg_regress()
{
	local group=$1 out=$log/$1$2 output=$log/$1$2.log status name verdict
	shift 2
	mkdir -p "$out"
	: >"$output"
	"$@" --outputdir="$out" --bindir="$VR_BIN" --host="$PGHOST" \
		--port="$PGPORT" --user="$PGUSER" >"$output" 2>&1 &
	VR_CHILDREN+=($!)
	# The pipe ends with pg_regress.
	tail -n +1 -f --pid=$! "$output" |
		sed -u -n -E \
			-e 's/^test ([^ ]+) +\.\.\. (ok|FAILED).*[^0-9]([0-9]+ ms).*/\2 \1 \3/p' \
			-e 's/^test ([^ ]+) +\.\.\. (ok|FAILED)[^0-9]*$/\2 \1/p' \
			-e 's/^(ok|not ok) +[0-9]+ +[-+] ([^ ]+) +([0-9]+ ms)$/\1 \2 \3/p' |
		sed -u -e 's/^FAILED /fail /' -e 's/^not ok /fail /' -e 's/^ok /pass /' |
		while read -r verdict name time; do
			result "$verdict" "$group" "$name"
			echo "$group/$name" >>"$log/ran"
			[ "$verdict" = pass ] && echo "  $group $name: ok ($time)" ||
				echo "  $group $name: FAILED"
		done
	wait $!
	status=$?
	if [ $status != 0 ]; then
		grep -q "^fail.$group" "$log/results" ||
			result fail "$group" "pg_regress ended with status $status"
		if [ -s "$out/regression.diffs" ]; then
			head -n 200 "$out/regression.diffs"
		else
			tail -n 20 "$output"
		fi
		echo "  all differences: $out/regression.diffs"
	fi
}

echo "Building for $("$config" --version)"
vr_mirror "$config" "$VR_WORK/root"
vr_build "$log/build.log"
src=$VR_SRC
grep -A 5 '[0-9]: warning:' "$log/build.log"
if grep -q '[0-9]: warning:' "$log/build.log"; then
	result fail build "compiles without warnings"
	# So that they show again the next time.
	find "$src/src" -name '*.o' -delete
else
	result pass build "compiles without warnings"
fi

export PG_CONFIG=$VR_PG_CONFIG

# lint_script FILE [ARGUMENT...]
lint_script()
{
	local name
	name=$(basename "$1")
	(cd "$src" && "test/lint/$name" "${@:2}") >"$log/lint/$name.log" 2>&1
	tap_results lint "$name" "$log/lint/$name.log" $?
}

if wanted lint; then
	for f in test/lint/*.sh; do
		case $f in */tests_run.sh | */lib.sh) continue ;; esac
		lint_script "$f"
	done
fi

if wanted unit && [ -e test/unit/Makefile ]; then
	make -s -C "$src/test/unit" "${VR_UNIT:-check}" PG_CONFIG="$PG_CONFIG" \
		>"$log/unit.log" 2>&1
	tap_results unit test/unit "$log/unit.log" $?
	cat "$src"/test/unit/ran 2>/dev/null | sed 's,^,unit/,' >>"$log/ran"
fi

# Has a standby replay what the server in folder data writes.
start_standby()
{
	mkdir "$VR_WORK/standby"
	[ "$(id -u)" != 0 ] || chown "$VR_USER" "$VR_WORK/standby"
	chmod 700 "$VR_WORK/standby"
	(cd / && vr_as "$VR_BIN/pg_basebackup" -D "$VR_WORK/standby" -R \
		-c fast --no-sync >"$log/standby.log" 2>&1) ||
		vr_die "no backup for a standby: $log/standby.log"
	VR_PORT=$((PGPORT + 1)) vr_start standby -c max_prepared_transactions=10
	export PGPORT=$((PGPORT - 1))
}

# Waits until it has: pages that differ end its replay.
judge_standby()
{
	local i
	for ((i = 0; i < 600; i++)); do
		[ "$("$VR_BIN/psql" -AtXc 'SELECT replay_lsn >= pg_current_wal_lsn()
			FROM pg_stat_replication')" != t ] || break
		kill -0 "$(head -n 1 "$VR_WORK/standby/postmaster.pid" 2>/dev/null)" 2>/dev/null ||
			break
		sleep 0.5
	done
	[ "$i" -lt 600 ] && "$VR_BIN/psql" -AtXqc 'SELECT 1/count(*)
		FROM pg_stat_replication' >/dev/null 2>&1 &&
		! grep -q 'inconsistent page found' "$VR_WORK/standby.log" &&
		result pass replay "the standby has replayed it all" ||
		result fail replay "the standby has replayed it all"
	vr_stop standby
	cp "$VR_WORK/standby.log" "$log/standby.log"
	vr_remove standby
}

pgxs_test=$(dirname "$("$PG_CONFIG" --pgxs)")/../test
# start_server NAME PORT
start_server()
{
	vr_remove "$1"
	VR_PORT=$2 vr_start "$1" -c shared_buffers=256MB -c max_wal_size=4GB \
		-c checkpoint_timeout=1h -c autovacuum=off -c timezone=UTC \
		-c max_prepared_transactions=10 ${VR_DATA:+-c vr_test.data="$VR_DATA"} \
		${VR_WAL:+-c wal_consistency_checking=generic -c wal_keep_size=1GB}
	running+=("$1")
}

running=()
if wanted regress || wanted isolation; then
	vr_remove standby
	start_server data 6103
	[ -z "$VR_WAL" ] || start_standby
fi
if wanted regress; then
	names=$(chosen $(ls sql/*.sql 2>/dev/null | sed 's,^sql/,,; s/\.sql$//'))
	# Each lane takes every so many'th test. The first is on the server that is
	# there already, and the script waits in it. (A database of its own would not
	# do: what runs in another holds back what a CREATE INDEX may leave out.)
	lanes=()
	for ((lane = ${VR_LANES:-1} - 1; lane >= 0; lane--)); do
		some=$(echo $names | tr ' ' '\n' | awk "NR % ${VR_LANES:-1} == $lane")
		[ -n "$some" ] || continue
		command=(regress "${lane#0}" "$pgxs_test/regress/pg_regress"
			--inputdir="$src" --dbname=vr_regress --load-extension=vecrecall $some)
		if [ "$lane" = 0 ]; then
			run_pg_regress "${command[@]}"
		else
			start_server "data$lane" $((6110 + lane))
			run_pg_regress "${command[@]}" &
			lanes+=($!)
			VR_CHILDREN+=($!)
			export PGPORT=6103
		fi
	done
	[ ${#lanes[@]} = 0 ] || wait "${lanes[@]}"
fi
if wanted isolation; then
	names=$(chosen $(ls test/isolation/specs/*.spec 2>/dev/null |
		sed 's,.*/,,; s/\.spec$//'))
	[ -z "$names" ] || run_pg_regress isolation '' \
		"$pgxs_test/isolation/pg_isolation_regress" \
		--inputdir="$src/test/isolation" --dbname=vr_isolation \
		--load-extension=vecrecall $names
fi
[ -z "$VR_WAL" ] || [ ${#running[@]} = 0 ] || judge_standby
for name in "${running[@]}"; do
	vr_stop "$name"
	cat "$VR_WORK/$name.log" >>"$log/server.log"
	vr_remove "$name"
done

# The clients that take seconds; the others run in "make check-clients".
if wanted clients && clients_choose ${TESTS:-python node}; then
	clients_run
fi

# TAP scripts start servers of their own, as VR_USER; two run at a time.
run_tap()
{
	local dir=$VR_WORK/tap/$1
	rm -rf "$dir"
	mkdir -p "$dir/tmp_check"
	[ "$(id -u)" != 0 ] || chown -R "$VR_USER" "$dir"
	cd "$src" || return
	TESTDIR=$dir TESTDATADIR=$dir/tmp_check TESTLOGDIR=$dir/tmp_check/log \
		PATH=$VR_BIN:$PATH PGPORT=65432 TMPDIR=/tmp \
		PG_REGRESS=$pgxs_test/regress/pg_regress \
		PG_TEST_PORT_DIR=$VR_WORK/tap/ports VR_SRC=$src \
		vr_as perl -I "$pgxs_test/perl" -I "$src/test/lib" "test/t/$1.pl" \
		>"$log/tap/$1.log" 2>&1 &
	VR_CHILDREN+=($!)
	tap_name[$!]=$1
	cd "$VR_TOP" || return
}

tap_name=()
tap_reap()
{
	local pid status
	wait -n -p pid "${!tap_name[@]}"
	status=$?
	tap_results tap "${tap_name[$pid]}" "$log/tap/${tap_name[$pid]}.log" $status
	echo "tap/${tap_name[$pid]}" >>"$log/ran"
	if [ $status = 0 ]; then
		rm -rf "$VR_WORK/tap/${tap_name[$pid]}"
	else
		cp -r "$VR_WORK/tap/${tap_name[$pid]}/tmp_check/log" \
			"$log/tap/${tap_name[$pid]}" 2>/dev/null
	fi
	unset "tap_name[$pid]"
}

# The extension for another server, from sources and in a tree of their own;
# sets VR_OLD to where it is. An old server's headers need an old C.
build_old()
{
	(
		export COPT=-std=gnu17
		VR_WORK=$VR_WORK/old
		mkdir -p "$VR_WORK"
		vr_mirror "$1" "$VR_WORK/root"
		vr_build "$log/build.old.log"
	) || exit 1
	VR_OLD=$VR_WORK/old/root$(dirname "$("$1" --bindir)")
}

if wanted tap; then
	unset VR_OLD
	if [ -n "$VR_OLD_CONFIG" ] && [ -n "$(chosen 029_hnsw_upgrade)" ]; then
		build_old "$VR_OLD_CONFIG"
		export VR_OLD
	fi
	unset PGHOST PGPORT PGUSER PGDATABASE
	mkdir -p "$VR_WORK/tap/ports"
	[ "$(id -u)" != 0 ] || chown "$VR_USER" "$VR_WORK/tap/ports"
	for name in $(chosen $(ls test/t/*.pl 2>/dev/null | sed 's,.*/,,; s/\.pl$//')); do
		[ ${#tap_name[@]} -lt 2 ] || tap_reap
		run_tap "$name"
	done
	while [ ${#tap_name[@]} != 0 ]; do tap_reap; done
fi

if [ $# = 0 ] && [ -z "$TESTS" ]; then
	lint_script test/lint/tests_run.sh "$log/ran"
fi

results_end
