#!/bin/bash
# setup.sh demo|check|clients|versions|asan|valgrind|bench: makes sure that what
# "make demo", "make check", "make check-clients" and so on need is on this
# machine. As root on Debian and its kin it installs what is missing; otherwise
# it prints the line that does, and fails.
. "$(dirname "$0")/private.sh"

has_header()
{
	printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1
}

# in_lists PACKAGE: whether apt knows it. A bare machine may have no lists yet.
in_lists()
{
	apt-cache show "$1" >/dev/null 2>&1 && return
	if [ "$(id -u)" = 0 ] && [ -z "$updated" ]; then
		updated=1
		apt-get update >/dev/null 2>&1
		apt-cache show "$1" >/dev/null 2>&1
	fi
}

updated=
missing=()
# versions: everything else is in the roots that it makes.
if [ "$1" = versions ]; then
	[ -x /usr/sbin/debootstrap ] || missing+=(debootstrap)
else
	command -v cc >/dev/null || missing+=(gcc)
	command -v make >/dev/null || missing+=(make)
	[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
	command -v cc >/dev/null && has_header cblas.h || missing+=(libopenblas-dev)
fi
case $1 in
versions) ;;
asan | valgrind)
	# They build a server of their own.
	for tool in bison flex perl bzip2 pkg-config; do
		command -v $tool >/dev/null || missing+=($tool)
	done
	command -v cc >/dev/null && has_header unicode/ucol.h || missing+=(libicu-dev)
	[ "$1" = asan ] || command -v valgrind >/dev/null || missing+=(valgrind)
	;;
*)
	if ! vr_find_pg_config >/dev/null; then
		[ -z "$PG_CONFIG" ] ||
			vr_die "$PG_CONFIG is no pg_config of a PostgreSQL with its server and development files"
		# The distribution's own version, which the package "postgresql" names.
		in_lists postgresql
		major=$(LC_ALL=C apt-cache depends postgresql 2>/dev/null |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p')
		missing+=("postgresql-${major:=15}" "postgresql-server-dev-$major")
	fi
	;;
esac
if [ "$1" = check ]; then
	command -v clang-format >/dev/null || missing+=(clang-format)
	command -v prove >/dev/null || missing+=(perl)
	perl -MIPC::Run -e 1 2>/dev/null || missing+=(libipc-run-perl)
	perl -MDBD::Pg -e 1 2>/dev/null || missing+=(libdbd-pg-perl)
fi
case $1 in check | clients | bench)
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
	;;
esac
if [ "$1" = bench ]; then
	# hnswlib is compiled.
	command -v c++ >/dev/null || missing+=(g++)
	ls /usr/include/python3*/Python.h >/dev/null 2>&1 || missing+=(python3-dev)
fi
if [ "$1" = check ] || [ "$1" = clients ]; then
	[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null ||
		missing+=(pgbouncer)
fi
# Node and Go are installed by test/clients/install.sh. Debian 12's Rust is of
# 2022, but the one that its browsers are built with is recent.
if [ "$1" = clients ]; then
	[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
	command -v javac >/dev/null || missing+=(default-jdk-headless)
	command -v mvn >/dev/null || missing+=(maven)
	if ! command -v cargo >/dev/null; then
		in_lists cargo-web && missing+=(cargo-web) || missing+=(cargo)
	fi
fi
[ ${#missing[@]} != 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	cat >&2 <<END
Missing on this machine, by their names in Debian: ${missing[*]}
Install what your system has in their place, and run this again.
END
	exit 1
fi
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" != 0 ]; then
	cat >&2 <<END
Missing on this machine: ${missing[*]}
Install it with

    sudo apt-get update && sudo $install

and run this again.
END
	exit 1
fi

# Debian makes and starts a database cluster as soon as a server package is
# installed, and starts PgBouncer, now and at every boot. Nobody asked for that.
conf=/etc/postgresql-common/createcluster.d/vecrecall-setup.conf
policy=/usr/sbin/policy-rc.d
made=()
[ ! -e "$policy" ] || policy=
restore()
{
	rm -f "$conf"
	[ -z "$policy" ] || rm -f "$policy"
	[ ${#made[@]} = 0 ] || rmdir "${made[@]}" 2>/dev/null
}
trap restore EXIT
trap 'exit 130' INT TERM
for d in /etc/postgresql-common /etc/postgresql-common/createcluster.d; do
	[ -d "$d" ] || { mkdir "$d" && made=("$d" "${made[@]}"); }
done
echo 'create_main_cluster = false' >"$conf"
[ -z "$policy" ] || { printf '#!/bin/sh\nexit 101\n' | install -m 755 /dev/stdin "$policy"; }

echo "Installing: ${missing[*]}"
log=$(mktemp "${TMPDIR:-/tmp}/vecrecall-setup.XXXXXX")
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# apt tells its progress as "dlstatus:x:12.5:..." while it fetches, and as
# "pmstatus:..." while it installs.
progress()
{
	local kind percent
	while IFS=: read -r kind _ percent _; do
		case $kind in
		dlstatus) vr_bar "${percent%%.*}" 100 Downloading ;;
		pmstatus) vr_bar "${percent%%.*}" 100 Installing ;;
		esac
	done
	vr_bar 1 1 Installing
}
{ apt-get update && $install -o APT::Status-Fd=3; } 3>&1 >"$log" 2>&1 | progress
if [ "${PIPESTATUS[0]}" = 0 ]; then
	rm -f "$log"
	case " ${missing[*]} " in *' pgbouncer '*)
		deb-systemd-helper disable pgbouncer.service >/dev/null 2>&1
		update-rc.d pgbouncer disable >/dev/null 2>&1
		;;
	esac
else
	tail -n 20 "$log" >&2
	vr_die "could not install; the whole log is $log"
fi
