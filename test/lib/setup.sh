#!/bin/bash
# setup.sh demo|check: makes sure that what "make demo" or "make check" needs
# is on this machine. As root on Debian and its kin it installs what is
# missing; otherwise it prints the line that does, and fails.
. "$(dirname "$0")/private.sh"

has_header()
{
	printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1
}

missing=()
command -v cc >/dev/null || missing+=(gcc)
command -v make >/dev/null || missing+=(make)
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
if ! vr_find_pg_config >/dev/null; then
	[ -z "$PG_CONFIG" ] ||
		vr_die "$PG_CONFIG is no pg_config of a PostgreSQL with its server and development files"
	# The distribution's own version, which the package "postgresql" names.
	major=$(LC_ALL=C apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p')
	missing+=("postgresql-${major:=15}" "postgresql-server-dev-$major")
fi
command -v cc >/dev/null && has_header cblas.h || missing+=(libopenblas-dev)
if [ "$1" = check ]; then
	command -v clang-format >/dev/null || missing+=(clang-format)
	command -v prove >/dev/null || missing+=(perl)
	perl -MIPC::Run -e 1 2>/dev/null || missing+=(libipc-run-perl)
fi
[ ${#missing[@]} != 0 ] || exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	cat >&2 <<END
Missing on this machine: ${missing[*]}
Install it with

    sudo apt-get update && sudo $install

and run this again.
END
	exit 1
fi

# Debian makes and starts a database cluster as soon as a server package is
# installed. Nobody asked for one here.
conf=/etc/postgresql-common/createcluster.d/vecrecall-setup.conf
made=()
restore()
{
	rm -f "$conf"
	[ ${#made[@]} = 0 ] || rmdir "${made[@]}" 2>/dev/null
}
trap restore EXIT
trap 'exit 130' INT TERM
for d in /etc/postgresql-common /etc/postgresql-common/createcluster.d; do
	[ -d "$d" ] || { mkdir "$d" && made=("$d" "${made[@]}"); }
done
echo 'create_main_cluster = false' >"$conf"

echo "Installing: ${missing[*]}"
log=$(mktemp "${TMPDIR:-/tmp}/vecrecall-setup.XXXXXX")
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
if { apt-get update && $install; } >"$log" 2>&1; then
	rm -f "$log"
else
	tail -n 20 "$log" >&2
	vr_die "could not install; the whole log is $log"
fi
