#!/bin/bash
# versions.sh: the tests on other PostgreSQL versions ("make check-versions").
#
#   versions.sh [VERSION...]   only these; 17 18 by default
#   KINDS="tap isolation"      only these of: unit regress isolation tap
#   TESTS="name name"          as for check.sh
#   VR_VERSIONS                the folder of the roots; build/versions by default
#
# Each version runs in a Debian root of its own: debootstrap makes it, with
# that release's PostgreSQL, compiler and libraries, and it is kept for the
# next run (remove its folder for a fresh one). The sources are copied into it,
# and check.sh runs there as user postgres. Mounts and processes are in
# namespaces that end with the run, so that nothing stays mounted or running.
# From each, an upgrade from PostgreSQL 15 is tried (t/029_hnsw_upgrade.pl): the
# root has that server too, of Debian 12.
#
# One line "NN: N passed, N failed" per version; the last line is the sum.
. "$(dirname "$0")/private.sh"
cd "$VR_TOP" || exit 1

# The release of Debian that carries a version.
release_of()
{
	case $1 in
	15) echo bookworm ;;
	17) echo trixie ;;
	18) echo forky ;;
	*) vr_die "no release of Debian known to carry PostgreSQL $1" ;;
	esac
}

[ "$(id -u)" = 0 ] || vr_die "Debian roots are made and entered by root only:

    sudo make check-versions"

roots=${VR_VERSIONS:-$VR_TOP/build/versions}
mkdir -p "$roots/log" && roots=$(cd "$roots" && pwd) || exit 1
log=$VR_TOP/build/versions/log
mkdir -p "$log"
trap vr_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# in_root ROOT COMMAND...: everything it starts ends with it.
in_root()
{
	local root=$1
	shift
	unshare --mount --pid --fork --kill-child -- sh -c '
		mount -t proc proc "$0/proc" &&
		mount -t tmpfs -o mode=1777 shm "$0/dev/shm" &&
		exec chroot "$0" /usr/bin/env -i \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"' \
		"$root" "$@" 9>&-
}

# quietly LOG LABEL COMMAND...: its last line of output, on a terminal.
quietly()
{
	local out=$1 label=$2 pid status
	shift 2
	"$@" >"$out" 2>&1 &
	pid=$!
	VR_CHILDREN+=($pid)
	while kill -0 $pid 2>/dev/null; do
		[ ! -t 1 ] || printf '\r%s: %-50.50s' "$label" \
			"$(tail -n 1 "$out" | tr -cd '[:print:]')"
		sleep 0.5
	done
	wait $pid
	status=$?
	[ ! -t 1 ] || printf '\r%*s\r' $((${#label} + 52)) ''
	[ $status = 0 ] || {
		tail -n 15 "$out" >&2
		vr_die "$label failed; the whole output is $out"
	}
}

# make_root VERSION RELEASE ROOT
make_root()
{
	local version=$1 release=$2 root=$3 scripts=/usr/share/debootstrap/scripts
	local start=$SECONDS script=$2
	rm -rf "$root"
	# A release younger than this machine's debootstrap is made like sid.
	[ -e "$scripts/$release" ] || script=sid
	echo "Making a Debian root with PostgreSQL $version ($release)"
	quietly "$log/$version.debootstrap.log" "Debian $release" \
		debootstrap --variant=minbase "$release" "$root" \
		"$(vr_mirror_of_debian | head -n 1)" "$scripts/$script"
	apt-config dump Acquire >"$root/etc/apt/apt.conf.d/00host" 2>/dev/null
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	mkdir -p "$root/etc/postgresql-common/createcluster.d"
	echo 'create_main_cluster = false' \
		>"$root/etc/postgresql-common/createcluster.d/vecrecall.conf"
	quietly "$log/$version.install.log" "PostgreSQL $version" \
		in_root "$root" sh -c '
		apt-get update && apt-get install -y --no-install-recommends "$@" &&
		apt-get clean' sh gcc libc6-dev make perl libipc-run-perl libdbd-pg-perl \
		libopenblas-dev "postgresql-$version" "postgresql-server-dev-$version"
	touch "$root/complete"
	echo "  made in $((SECONDS - start)) s; kept in $root"
}

# add_oldest VERSION ROOT: the server that an upgrade comes from. Of what one
# compiles for it with, the package of headers would bring a compiler besides.
oldest=15
add_oldest()
{
	local version=$1 root=$2
	vr_mirror_of_debian | head -n 1 |
		sed "s,.*,deb & $(release_of $oldest) main," \
			>"$root/etc/apt/sources.list.d/oldest.list"
	quietly "$log/$version.oldest.log" "PostgreSQL $oldest" in_root "$root" sh -c '
		apt-get update &&
		apt-get install -y --no-install-recommends "postgresql-$0" &&
		cd /tmp && apt-get download "postgresql-server-dev-$0" &&
		dpkg-deb -x "postgresql-server-dev-$0"_*.deb / &&
		rm "postgresql-server-dev-$0"_*.deb && apt-get clean' $oldest
	touch "$root/oldest"
}

started=$SECONDS
passed=0 failed=0
for version in ${*:-17 18}; do
	release=$(release_of "$version") || exit 1
	root=$roots/$version
	exec 9>"$roots/$version.lock"
	flock -n 9 || vr_die "another run works in $root; wait for its end"
	[ -e "$root/complete" ] || make_root "$version" "$release" "$root"
	old=
	if [ "$version" != $oldest ]; then
		[ -e "$root/oldest" ] || add_oldest "$version" "$root"
		old=/usr/lib/postgresql/$oldest/bin/pg_config
	fi
	VR_SRC=$root/srv/vecrecall
	mkdir -p "$VR_SRC"
	vr_sync
	rm -rf "$VR_SRC/build/check/log" "${log:?}/$version"
	in_root "$root" chown -R postgres: /srv/vecrecall
	in_root "$root" setpriv --reuid postgres --regid postgres --clear-groups \
		env HOME=/tmp TESTS="$TESTS" VR_OLD_CONFIG=$old \
		PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" \
		/srv/vecrecall/test/lib/check.sh \
		${KINDS:-unit regress isolation tap} 2>&1 |
		tee "$log/$version.log" |
		sed -u -e "s,^[0-9]* passed\, ,$version: &," \
			-e "s,build/check/log,build/versions/log/$version,"
	status=${PIPESTATUS[0]}
	cp -r "$VR_SRC/build/check/log" "$log/$version"
	# The last line of check.sh, or it did not come to its end.
	sum=$(tail -n 1 "$log/$version.log" |
		sed -n -E 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
	if [ -z "$sum" ] || { [ "$status" != 0 ] && [ "${sum#* }" = 0 ]; }; then
		echo "FAILED: check.sh on $version ended with $status; see $log/$version.log"
		sum="${sum:+${sum% *} 1}"
		sum=${sum:-0 1}
	fi
	passed=$((passed + ${sum% *})) failed=$((failed + ${sum#* }))
done
echo "$((SECONDS - started)) s; logs are in build/versions/log"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
