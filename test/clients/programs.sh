# programs.sh: runs the programs of clients, two at a time, for scripts to
# source (bash) after private.sh and results.sh.
#
#   clients_choose NAME...   what is to run: groups, such as python, single
#                            programs, such as node/prisma, and readme for the
#                            examples of all groups; false if there is nothing
#   clients_run              installs what they need, starts a server and runs
#                            them; its port is the first that is free
#
# Every program has a database of its own, whose owner is no superuser, and a
# second one for the extension in another schema. It prints TAP, into
# $log/clients. What cannot be installed or built is a failure, with its name.

CLIENTS=$VR_TOP/test/clients
CLIENTS_ENV=$VR_TOP/build/clients/env
CLIENTS_GROUPS="python llm node java go rust"
# Of the jobs that run now, by process: "install GROUP" or "run GROUP/NAME".
declare -A clients_jobs

# The examples of README.md, each named by its first comment, in a folder per
# group: beside the libraries of Node, which looks for modules beside and above
# a program. Python does so too, so that no file may be called as a library.
clients_examples()
{
	local group
	rm -rf "$CLIENTS_ENV/node/readme"
	for group in $CLIENTS_GROUPS; do mkdir -p "$CLIENTS_ENV/node/readme/$group"; done
	awk -v dir="$CLIENTS_ENV/node/readme" '
		BEGIN {
			group["python"] = "python"; group["javascript"] = group["prisma"] = "node"
			group["java"] = "java"; group["go"] = "go"; group["rust"] = "rust"
			ext["python"] = "py"; ext["javascript"] = "mjs"; ext["rust"] = "rs"
			ext["prisma"] = "prisma"; ext["java"] = "java"; ext["go"] = "go"
		}
		/^```./ { lang = substr($0, 4); first = lang in group; if (!first) lang = ""; next }
		/^```$/ { lang = "" }
		lang == "" { next }
		first {
			first = 0
			name = tolower($0)
			sub(/^(#|\/\/) */, "", name); sub(/:.*/, "", name)
			gsub(/[^a-z0-9]/, "", name)
			while (name in seen) name = name "_"
			seen[name]
			g = name ~ /^(langchain|llamaindex)$/ ? "llm" : group[lang]
			file = dir "/" g "/readme_" name "." ext[lang]
		}
		{ print > file }' "$VR_TOP/README.md"
}

# clients_of GROUP: its programs. Those of Prisma's that are in README are run
# by test_prisma, which makes their client.
clients_of()
{
	case $1 in
	python | llm | node)
		(cd "$CLIENTS/$1" && ls) | sed -n 's/^test_\(.*\)\.[a-z]*$/\1/p'
		;;
	java) echo jdbc hibernate ;;
	go) echo pgx ;;
	rust) echo postgres ;;
	esac
	(cd "$CLIENTS_ENV/node/readme/$1" && ls) | sed -n '/prisma/d; s/^readme_\(.*\)\..*/readme-\1/p'
}

clients_choose()
{
	local group name
	clients_programs=()
	clients_examples
	for group in $CLIENTS_GROUPS; do
		for name in $(clients_of $group); do
			case " $* |${name%%-*}" in
			*" $group "* | *" $group/$name "* | *" readme "*"|readme")
				clients_programs+=("$group/$name")
				;;
			esac
		done
	done
	[ ${#clients_programs[@]} != 0 ]
}

# clients_job WHAT COMMAND...: in the background, as soon as less than two are.
clients_job()
{
	local what=$1
	shift
	[ ${#clients_jobs[@]} -lt 2 ] || clients_reap
	"$@" >"$log/clients/$(echo "${what#run }" | tr ' /' '--').log" 2>&1 9>&- &
	clients_jobs[$!]=$what
	VR_CHILDREN+=($!)
}

clients_reap()
{
	local pid status what file
	wait -n -p pid "${!clients_jobs[@]}"
	status=$?
	what=${clients_jobs[$pid]}
	unset "clients_jobs[$pid]"
	file=$log/clients/$(echo "${what#run }" | tr ' /' '--').log
	case $what in
	install*)
		clients_ready[${what#install }]=$status
		[ "$status" = 0 ] && return
		echo "  clients: ${what#install } could not be installed; $file ends with"
		tail -n 5 "$file" | sed 's/^/    /'
		;;
	run*)
		what=${what#run }
		# An example prints nothing: its status counts.
		case $what in */readme-*)
			if [ $status = 0 ]; then
				echo "ok 1 - runs as it stands" >>"$file"
			else
				echo "not ok 1 - runs as it stands" >>"$file"
			fi
			;;
		esac
		tap_results clients "$what" "$file" $status
		echo "clients/${what%/*}/test_${what#*/}" >>"$log/ran"
		;;
	esac
}

clients_reap_all()
{
	while [ ${#clients_jobs[@]} != 0 ]; do clients_reap; done
}

# A download that hangs is a failure too. timeout ends what an installation has
# started when it is ended itself.
clients_install()
{
	local group groups started=$SECONDS
	declare -gA clients_ready=()
	groups=$(printf '%s\n' "${clients_programs[@]}" | sed 's,/.*,,' | uniq)
	for group in $groups; do
		clients_job "install $group" timeout 900 "$CLIENTS/install.sh" "$group"
	done
	clients_reap_all
	[ $((SECONDS - started)) -lt 5 ] ||
		echo "  clients: installing" $groups "took $((SECONDS - started)) s"
}

# Java and Prisma want TCP, and PgBouncer a port 1000 above: the first pair that
# nobody listens on.
clients_start()
{
	local port
	for ((port = ${VR_PORT:-6110}; port < 64000; port++)); do
		(: <"/dev/tcp/127.0.0.1/$port" || : <"/dev/tcp/127.0.0.1/$((port + 1000))") \
			2>/dev/null || break
	done
	vr_remove clients
	VR_PORT=$port vr_start clients -c listen_addresses=127.0.0.1 \
		-c shared_buffers=128MB -c max_connections=60 -c timezone=UTC \
		-c statement_timeout=60s
	"$VR_BIN/psql" -qX -d postgres -v ON_ERROR_STOP=1 \
		-c "CREATE ROLE app LOGIN CREATEDB PASSWORD 'app'"
}

# clients_program GROUP NAME COMMAND...
clients_program()
{
	local group=$1 name=$2 db d sql=()
	db=clients_${1}_${2//-/_}
	shift 2
	for d in "$db" "${db}_schemas"; do
		sql+=(-c "DROP DATABASE IF EXISTS $d WITH (FORCE)" -c "CREATE DATABASE $d OWNER app")
	done
	"$VR_BIN/psql" -qX -v ON_ERROR_STOP=1 -o /dev/null \
		-c 'SET client_min_messages = error' "${sql[@]}"
	clients_job "run $group/$name" env PGUSER=app PGPASSWORD=app PGDATABASE="$db" \
		DATABASE_URL="postgresql://app:app@127.0.0.1:$PGPORT/$db" \
		JDBC_URL="jdbc:postgresql://127.0.0.1:$PGPORT/$db?user=app&password=app" \
		PATH="$VR_BIN:$PATH" PYTHONPATH="$CLIENTS/python" PYTHONDONTWRITEBYTECODE=1 \
		NO_COLOR=1 CI=1 PGCONNECT_TIMEOUT=600 PRISMA_HIDE_UPDATE_MESSAGE=1 CHECKPOINT_DISABLE=1 \
		timeout 600 "$@"
}

clients_run()
{
	local p group name node=$CLIENTS_ENV/node-home/bin/node
	local examples=$CLIENTS_ENV/node/readme jars="$CLIENTS_ENV/java/target/lib/*"
	mkdir -p "$log/clients"
	clients_install
	cp "$CLIENTS"/node/*.mjs "$CLIENTS_ENV/node/"
	clients_start
	for p in "${clients_programs[@]}"; do
		group=${p%/*} name=${p#*/}
		if [ "${clients_ready[$group]}" != 0 ]; then
			result fail clients "$p: could not be installed or built"
			continue
		fi
		case $p in
		python/readme-* | llm/readme-*)
			set -- "$CLIENTS_ENV/$group/bin/python" "$examples/$group/readme_${name#*-}.py"
			;;
		python/* | llm/*)
			set -- "$CLIENTS_ENV/$group/bin/python" "$CLIENTS/$group/test_$name.py"
			;;
		node/readme-*) set -- "$node" "$examples/node/readme_${name#*-}.mjs" ;;
		node/*) set -- "$node" "$CLIENTS_ENV/node/test_$name.mjs" ;;
		java/readme-*) set -- java -cp "$jars" "$examples/java/readme_${name#*-}.java" ;;
		java/*) set -- java -cp "$CLIENTS_ENV/java/target/classes:$jars" "${name^}" ;;
		*/readme-*)
			set -- "$CLIENTS/example.sh" "$examples/$group/readme_${name#*-}".*
			;;
		go/*) set -- "$CLIENTS_ENV/pgx" ;;
		rust/*) set -- "$CLIENTS_ENV/rust/release/clients" ;;
		esac
		clients_program "$group" "$name" "$@"
	done
	clients_reap_all
	vr_stop clients
	cp "$VR_WORK/clients.log" "$log/clients/server.log"
	vr_remove clients
}
