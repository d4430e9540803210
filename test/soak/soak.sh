#!/bin/bash
# soak.sh: the soak test on private servers ("make soak"); README.md says what
# it does.
#
#   SOAK_SECONDS=300   how long, about
#   SOAK_SEED=          of clients' operations; another each time if not given
#   SOAK_CLIENTS=4      that write, besides a reader of the standby and maintenance
#
# Logs are in build/soak/log. If something fails, the servers' data stays in
# build/soak/run, and the message says so; otherwise nothing is left.
. "$(dirname "$0")/../lib/private.sh"
cd "$VR_TOP" || exit 1

seconds=${SOAK_SECONDS:-300}
clients=${SOAK_CLIENTS:-4}
seed=${SOAK_SEED:-$(($(date +%s) % 1000000))}
for n in "$seconds" "$clients" "$seed"; do
	case $n in '' | *[!0-9]*) vr_die "SECONDS, CLIENTS and SEED are numbers" ;; esac
done
config=$(vr_find_pg_config) || vr_die "no PostgreSQL here: make setup"
trap vr_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
vr_workdir build/soak
log=$VR_TOP/build/soak/log
mkdir -p "$log"
vr_mirror "$config" "$VR_WORK/root"
vr_build "$log/build.log"

run=$VR_WORK/run
rm -rf "$run"
mkdir -p "$run/tmp_check" "$VR_WORK/ports"
[ "$(id -u)" != 0 ] || chown -R "$VR_USER" "$run" "$VR_WORK/ports"
pgxs_test=$(dirname "$("$VR_PG_CONFIG" --pgxs)")/../test
exec 4>&1
cd "$VR_SRC" || exit 1
TESTDIR=$run TESTDATADIR=$run/tmp_check TESTLOGDIR=$run/tmp_check/log \
	PATH=$VR_BIN:$PATH PGPORT=65432 TMPDIR=/tmp PG_TEST_PORT_DIR=$VR_WORK/ports \
	PG_REGRESS=$pgxs_test/regress/pg_regress VR_SRC=$VR_SRC SOAK_FD=4 \
	SOAK_SECONDS=$seconds SOAK_CLIENTS=$clients SOAK_SEED=$seed \
	vr_as perl -I "$pgxs_test/perl" -I "$VR_SRC/test/lib" test/t/050_soak.pl \
	>"$log/soak.log" 2>&1 &
VR_CHILDREN+=($!)
wait $!
status=$?
if [ $status = 0 ] && grep -q '^ok 3' "$log/soak.log"; then
	rm -rf "$run"
	echo "sound (seed $seed)"
	exit 0
fi
echo "FAILED (seed $seed, status $status): see $log/soak.log; the servers' data and logs are in $run/tmp_check"
# A temporary place would go with the rest.
[ "$VR_WORK" = "$VR_TOP/build/soak" ] || { rm -rf "$VR_TOP/build/soak/run"; cp -r "$run" "$VR_TOP/build/soak/run"; echo "copied to $VR_TOP/build/soak/run"; }
exit 1
