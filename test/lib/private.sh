# private.sh: a private PostgreSQL, for scripts to source (bash).
#
# Nothing here changes the system: the extension is installed into a copy of
# the PostgreSQL tree, and servers run from that copy. PostgreSQL finds its
# library and share directories relative to its own binary, so a tree with the
# same layout under another root is a complete installation; only the binaries
# need to be real files, the rest are links to the system's.
#
# A server refuses to run as root. Where the caller is root, servers and their
# clients run as VR_USER (postgres, else nobody); otherwise as the caller.
#
#   vr_find_pg_config         prints the system's pg_config, or fails
#   vr_workdir DIR            makes DIR, or a temporary directory if VR_USER
#                             cannot reach DIR; sets VR_WORK. Fails if another
#                             process works in DIR
#   vr_mirror PG_CONFIG ROOT  makes the private tree; sets VR_PG_CONFIG, VR_BIN
#   vr_build LOG              builds a copy of the sources below VR_WORK for
#                             that tree and installs it there; sets VR_SRC
#   vr_bar DONE TOTAL LABEL   a progress bar, on a terminal
#   vr_as COMMAND...          runs it as VR_USER
#   vr_mirror_of_debian       prints the URLs of those that apt uses
#   vr_start NAME [OPTION...] initdb on first use, and start; exports PGHOST,
#                             PGPORT, PGUSER; "NAME" is a folder of VR_WORK
#   vr_stop NAME              stops it if it runs; the folder stays
#   vr_remove NAME            stops it and removes the folder and its logs
#   vr_cleanup                ends the processes of VR_CHILDREN, stops every
#                             server started, removes temporaries; for a trap

VR_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VR_STARTED=()
VR_CHILDREN=()
VR_TEMPS=()
# Nothing here is to wait for a key.
export PSQL_PAGER=
# Output is compared and counted: in English, and in the bytes of UTF-8.
export LC_ALL=C
unset LANGUAGE
# A make above this script has job slots and variables that are not ours.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

vr_die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

if [ "$(id -u)" = 0 ]; then
	VR_USER=nobody
	if id postgres >/dev/null 2>&1; then VR_USER=postgres; fi
else
	VR_USER=$(id -un)
fi

# setpriv execs, so that the process keeps its id and its place in the
# terminal's process group; su and runuser would need PAM besides.
vr_as()
{
	if [ "$(id -u)" = 0 ]; then
		HOME=/nonexistent setpriv --reuid "$VR_USER" --regid "$(id -g "$VR_USER")" \
			--clear-groups "$@"
	else
		"$@"
	fi
}

# A usable pg_config has a server and PGXS beside it. PG_CONFIG wins; then the
# path; then Debian's and PGDG's places, newest version last.
vr_find_pg_config()
{
	local c best=
	for c in ${PG_CONFIG:+"$(command -v "$PG_CONFIG")"} \
		"$(command -v pg_config)" \
		$(ls -d /usr/lib/postgresql/*/bin/pg_config \
			/usr/pgsql-*/bin/pg_config 2>/dev/null | sort -V -r); do
		[ -n "$c" ] && [ -x "$c" ] || continue
		if [ -x "$("$c" --bindir)/postgres" ] && [ -f "$("$c" --pgxs)" ] &&
			[ -f "$("$c" --includedir-server)/postgres.h" ]; then
			best=$c
			break
		fi
		[ -z "$PG_CONFIG" ] || break
	done
	[ -n "$best" ] && echo "$best"
}

# The caller may keep its checkout where VR_USER cannot look (/root). Then a
# temporary directory takes the place of DIR, and goes with vr_cleanup.
vr_workdir()
{
	mkdir -p "$1" && VR_WORK=$(cd "$1" && pwd) || exit 1
	# Held until this script and what it started, but for servers, have ended.
	exec 9>"$VR_WORK/lock"
	flock -n 9 || vr_die "another run works in $VR_WORK; wait for its end"
	if ! vr_as test -x "$VR_WORK"; then
		VR_WORK=$(mktemp -d "${TMPDIR:-/tmp}/vecrecall.XXXXXX")
		chmod 755 "$VR_WORK"
		VR_TEMPS+=("$VR_WORK")
	fi
	# Socket paths are limited to 107 bytes, so sockets do not go below VR_WORK.
	VR_SOCKETS=$(mktemp -d "${TMPDIR:-/tmp}/vr.XXXXXX")
	VR_TEMPS+=("$VR_SOCKETS")
	[ "$(id -u)" != 0 ] || chown "$VR_USER" "$VR_SOCKETS"
}

# Links every entry of directory $1 that ROOT lacks, except what this project
# or pgvector installs: tests see only what they install themselves.
vr_link_into()
{
	local e
	mkdir -p "$VR_ROOT$1"
	for e in "$1"/*; do
		case ${e##*/} in
		vecrecall* | vector | vector.* | vector--*) continue ;;
		esac
		if [ -e "$e" ] && [ ! -e "$VR_ROOT$e" ]; then
			ln -s "$e" "$VR_ROOT$e"
		fi
	done
}

vr_mirror()
{
	local config=$1 bin lib share inc incsrv libdir d
	VR_ROOT=$2
	bin=$("$config" --bindir) lib=$("$config" --pkglibdir)
	share=$("$config" --sharedir) inc=$("$config" --includedir)
	incsrv=$("$config" --includedir-server) libdir=$("$config" --libdir)

	VR_BIN=$VR_ROOT$bin VR_PG_CONFIG=$VR_ROOT$bin/pg_config
	if [ -e "$VR_ROOT/complete" ] &&
		[ "$(cat "$VR_ROOT/complete")" = "$("$config" --version)" ]; then
		return
	fi
	rm -rf "$VR_ROOT"
	mkdir -p "$VR_BIN" "$VR_ROOT$lib/bitcode" "$VR_ROOT$share/extension" \
		"$VR_ROOT$incsrv/extension"
	cp -pL "$bin"/* "$VR_BIN/"
	# Deepest first: what is a real directory by then stays one.
	vr_link_into "$share/extension"
	vr_link_into "$share"
	vr_link_into "$lib"
	for ((d = 0; d < 9; d++)); do
		vr_link_into "$incsrv"
		[ "$incsrv" != "$inc" ] && [ "$incsrv" != / ] || break
		incsrv=$(dirname "$incsrv")
	done
	if [ -e "$VR_ROOT$libdir" ]; then
		vr_link_into "$libdir"
	else
		mkdir -p "$VR_ROOT$(dirname "$libdir")"
		ln -s "$libdir" "$VR_ROOT$libdir"
	fi
	"$config" --version >"$VR_ROOT/complete"
	case $("$VR_PG_CONFIG" --sharedir) in
	"$VR_ROOT"*) ;;
	*) vr_die "a copy of $bin under $VR_ROOT does not find its own files" ;;
	esac
}

# Neither stale objects of the checkout nor those of another PostgreSQL version
# matter to a copy; its own objects are kept, so that the next run is short.
vr_sync()
{
	local list
	list=$(mktemp "${TMPDIR:-/tmp}/vecrecall-list.XXXXXX")
	mkdir -p "$VR_SRC"
	(cd "$VR_TOP" && find .clang-format LICENSE META.json Makefile ./*.md \
		./*.control src sql expected test -type f ! -name '*.o' ! -name '*.bc' \
		! -name '*.d' ! -name '*.so' 2>/dev/null) | sed 's,^\./,,' | sort >"$list"
	# What the sources lack and no compiler made goes.
	(cd "$VR_SRC" && find src sql expected test -type f ! -name '*.o' \
		! -name '*.d' 2>/dev/null | sort) | comm -13 "$list" - |
		(cd "$VR_SRC" && xargs -r -d '\n' rm -f)
	(cd "$VR_TOP" && tar -cf - -T "$list") |
		tar -xf - -C "$VR_SRC" --no-same-owner
	rm -f "$list"
}

vr_bar()
{
	local width=32 full
	[ -t 1 ] || return 0
	[ "$2" -gt 0 ] || return 0
	full=$(($1 * width / $2))
	printf '\r%-24s [%s%s] %3d %% ' "$3" \
		"$(printf '%*s' "$full" '' | tr ' ' '#')" \
		"$(printf '%*s' "$((width - full))" '' | tr ' ' '.')" $(($1 * 100 / $2))
	[ "$1" -lt "$2" ] || printf '\r%*s\r' 68 ''
}

vr_build()
{
	local log=$1 pid status total
	VR_SRC=$VR_WORK/src
	vr_sync
	total=$(make -n -C "$VR_SRC" all with_llvm=no PG_CONFIG="$VR_PG_CONFIG" \
		2>/dev/null | grep -c -- ' -c ')
	: >"$log"
	# Bitcode is for inlining by the JIT compiler, which none of this uses.
	make -C "$VR_SRC" -j2 all with_llvm=no PG_CONFIG="$VR_PG_CONFIG" >"$log" 2>&1 &
	pid=$!
	VR_CHILDREN+=($pid)
	while kill -0 $pid 2>/dev/null; do
		vr_bar "$(grep -c -- ' -c ' "$log")" "$total" Building
		sleep 0.2
	done
	wait $pid
	status=$?
	vr_bar 1 1 Building
	[ $status = 0 ] && make -s -C "$VR_SRC" install install-alias with_llvm=no \
		PG_CONFIG="$VR_PG_CONFIG" >>"$log" 2>&1 && return
	grep -vE '^(gcc|cc|clang|make|mkdir|/usr/bin/)' "$log" >&2
	vr_die "the build failed; its whole output is $log"
}

# Debian's mirrors that this machine uses.
vr_mirror_of_debian()
{
	cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
		sed -n -E 's,^(deb (\[[^]]*\] )?|URIs: *)(https?://[^ ]*/debian)/?( .*)?$,\3,p' |
		grep . || echo http://deb.debian.org/debian
}

vr_start()
{
	local dir=$VR_WORK/$1 log=$VR_WORK/$1.log
	shift
	export PGHOST=$VR_SOCKETS PGPORT=${VR_PORT:-6103} PGUSER=postgres
	export PGDATABASE=postgres
	unset PGOPTIONS PGSERVICE PGPASSFILE PGSSLMODE
	if [ ! -e "$dir/PG_VERSION" ]; then
		rm -rf "$dir"
		mkdir -p "$dir"
		[ "$(id -u)" != 0 ] || chown "$VR_USER" "$dir"
		(cd / && vr_as "$VR_BIN/initdb" -D "$dir" -U postgres --no-sync \
			-E UTF8 --locale=C -A trust >"$log.initdb" 2>&1) ||
			{ cat "$log.initdb" >&2; vr_die "initdb failed"; }
	fi
	: >"$log"
	[ "$(id -u)" != 0 ] || chown "$VR_USER" "$log"
	VR_STARTED+=("$dir")
	(cd / && vr_as "$VR_BIN/pg_ctl" -D "$dir" -l "$log" -w -s start -o "\
		-c port=$PGPORT -c listen_addresses= -c unix_socket_directories=$PGHOST \
		-c fsync=off -c full_page_writes=off $*" 9>&-) ||
		{ cat "$log" >&2; vr_die "the private server did not start"; }
}

vr_stop_dir()
{
	if [ -e "$1/postmaster.pid" ]; then
		(cd / && vr_as "$VR_BIN/pg_ctl" -D "$1" -m "${2:-fast}" -w -s stop)
	fi
}

vr_stop()
{
	vr_stop_dir "$VR_WORK/$1"
}

# A run that was killed may have left its server.
vr_remove()
{
	[ ! -e "$VR_WORK/$1" ] || vr_stop_dir "$VR_WORK/$1" immediate 2>/dev/null
	rm -rf "$VR_WORK/$1" "$VR_WORK/$1.log" "$VR_WORK/$1.log.initdb"
}

vr_cleanup()
{
	local p d
	trap '' INT TERM
	# What runs in the background does not hear of Ctrl-C.
	# Only those that run: the numbers of others may be other processes' by now.
	for p in $(jobs -pr); do
		case " ${VR_CHILDREN[*]} " in *" $p "*) kill -TERM "$p" 2>/dev/null ;; esac
	done
	wait
	VR_CHILDREN=()
	for d in "${VR_STARTED[@]}"; do
		vr_stop_dir "$d" immediate 2>/dev/null
	done
	VR_STARTED=()
	[ ${#VR_TEMPS[@]} = 0 ] || rm -rf "${VR_TEMPS[@]}"
	VR_TEMPS=()
}
