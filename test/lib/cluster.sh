#!/bin/bash
# cluster.sh: a private server for a developer, apart from any other.
#
#   test/lib/cluster.sh start        build, install privately, start
#   test/lib/cluster.sh install      build and install into it again
#   test/lib/cluster.sh stop         stop the server, keep its data
#   test/lib/cluster.sh remove       stop it and remove all it left
#   test/lib/cluster.sh env          print the variables that lead to it
#   test/lib/cluster.sh psql ARG...  psql, connected to it
#
# VR_DEV      the folder it lives in; build/dev by default
# VR_PORT     its port (and so the name of its socket); 6103 by default
# VR_OPTIONS  options of the server, such as "-c shared_buffers=512MB"
# PG_CONFIG   the PostgreSQL to copy
#
# The server runs as user postgres where the caller is root.
. "$(dirname "$0")/private.sh"

dev=${VR_DEV:-$VR_TOP/build/dev}
config=$(vr_find_pg_config) ||
	vr_die "no PostgreSQL with its development files here: make setup"
mkdir -p "$dev" && dev=$(cd "$dev" && pwd)
vr_as test -x "$dev" ||
	vr_die "user $VR_USER cannot reach $dev: set VR_DEV to another place"
VR_WORK=$dev VR_SOCKETS=$dev
[ "$(id -u)" != 0 ] || chown "$VR_USER" "$dev"
vr_mirror "$config" "$dev/root"

install()
{
	make -s -C "$VR_TOP" install PG_CONFIG="$VR_PG_CONFIG"
}

env_lines()
{
	echo "export PGHOST=$dev PGPORT=${VR_PORT:-6103} PGUSER=postgres"
	echo "export PG_CONFIG=$VR_PG_CONFIG PATH=$VR_BIN:\$PATH"
}

case $1 in
start)
	install || exit 1
	vr_stop data
	vr_start data $VR_OPTIONS
	env_lines
	;;
install) install ;;
stop) vr_stop data ;;
remove)
	vr_stop data
	rm -rf "$dev"
	;;
env) env_lines ;;
psql)
	shift
	eval "$(env_lines)"
	exec "$VR_BIN/psql" -d "${PGDATABASE:-postgres}" "$@"
	;;
*) vr_die "start, install, stop, remove, env or psql, please" ;;
esac
