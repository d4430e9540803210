#!/bin/bash
# run.sh: real programs of clients and ORMs against a private server that has
# the alias extension "vector" ("make check-clients").
#
#   run.sh [NAME...]     only these: python llm node java go rust readme, or one
#                        program, such as python/asyncpg
#
# Every program has a database of its own, whose owner is no superuser, and
# prints TAP. Libraries are those of the lock files beside the programs; they
# are installed into build/clients/env and kept. What cannot be installed or
# built is a failure, with its name. The last line is "N passed, N failed".
. "$(dirname "$0")/../lib/private.sh"
cd "$VR_TOP" || exit 1

here=$VR_TOP/test/clients
env=$VR_TOP/build/clients/env
log=$VR_TOP/build/clients/log
config=$(vr_find_pg_config) || vr_die "no PostgreSQL here: make setup"
trap vr_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
vr_workdir build/clients
rm -rf "$log"
mkdir -p "$log" "$env"
: >"$log/results"
chosen=" ${*:-python llm node java go rust readme} "

# wanted GROUP [PROGRAM]: without one, whether any of the group is.
wanted()
{
	case $chosen in *" $1 "* | *" $1/${2:-}${2:+ }"*) true ;; *) false ;; esac
}

# result pass|fail NAME
result()
{
	printf '%s\t%s\n' "$1" "$2" >>"$log/results"
}

# installed NAME LOCKFILE COMMAND...: runs it unless it was run for this very
# lock file. Downloads are the one thing here that may fail by itself: twice.
installed()
{
	local name=$1 lock=$2 started=$SECONDS sum
	shift 2
	sum=$(cat $lock | sha256sum)
	if [ "$(cat "$env/$name.done" 2>/dev/null)" = "$sum" ]; then return 0; fi
	rm -f "$env/$name.done"
	if ("$@" || "$@") >"$log/install-$name.log" 2>&1; then
		echo "$sum" >"$env/$name.done"
		echo "  installed for $name: $((SECONDS - started)) s"
		return 0
	fi
	tail -n 5 "$log/install-$name.log" | sed 's/^/    /'
	echo "  $name: could not be installed; see $log/install-$name.log"
	return 1
}

# database NAME: a new one, owned by "app".
database()
{
	"$VR_BIN/psql" -qX -d postgres -U postgres -v ON_ERROR_STOP=1 -o /dev/null \
		-c 'SET client_min_messages = error' \
		-c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" \
		-c "CREATE DATABASE $1 OWNER app"
}

# program GROUP NAME COMMAND...: runs it in a database of its own.
program()
{
	local group=$1 name=$2 out=$log/$1-$2.log started=$SECONDS status bad
	local db=clients_${1}_$2
	shift 2
	wanted "$group" "$name" || return 0
	database "$db" && database "${db}_schemas"
	PGUSER=app PGPASSWORD=app PGDATABASE=$db PGHOST=$PGHOST \
		DATABASE_URL="postgresql://app:app@127.0.0.1:$PGPORT/$db" \
		CLIENTS_TCP_HOST=127.0.0.1 CLIENTS_TMP=$VR_WORK \
		limited "$@" >"$out" 2>&1
	status=$?
	awk -v what="$group/$name" '
		/^ok / || /^not ok / {
			verdict = /^ok / ? "pass" : "fail"
			sub(/^(not )?ok *[0-9]* *-? */, "")
			printf "%s\t%s: %s\n", verdict, what, $0
		}' "$out" >>"$log/results"
	bad=$(grep -c '^not ok' "$out")
	if [ $status != 0 ] && [ "$bad" = 0 ]; then
		result fail "$group/$name: ended with status $status"
	elif [ $status = 0 ] && ! grep -q '^ok ' "$out"; then
		result fail "$group/$name: printed no result"
		status=1
	fi
	if [ $status != 0 ]; then
		echo "  $group/$name: FAILED; $out ends with"
		tail -n 25 "$out" | sed 's/^/    /'
	else
		echo "  $group/$name: $(grep -c '^ok ' "$out") ok ($((SECONDS - started)) s)"
	fi
}

# missing GROUP NAME...: none of them can run.
missing()
{
	local group=$1 n
	shift
	for n in "$@"; do
		wanted "$group" "$n" || continue
		result fail "$group/$n: could not be installed or built"
	done
}

# limited [example] COMMAND...: an example prints nothing, so its status counts.
limited()
{
	if [ "$1" = example ]; then
		shift
		timeout 240 "$@" || { echo "not ok 1 - runs as it stands"; return 1; }
		echo "ok 1 - runs as it stands"
	else
		timeout 240 "$@"
	fi
}

names()
{
	(cd "$here/$1" && ls $2 2>/dev/null) | sed 's/\.[a-z]*$//'
}

# Java and Prisma want TCP, and PgBouncer a port 1000 above: the first pair that
# nobody listens on.
for ((VR_PORT = ${VR_PORT:-6110}; VR_PORT < 64000; VR_PORT++)); do
	(: <"/dev/tcp/127.0.0.1/$VR_PORT" || : <"/dev/tcp/127.0.0.1/$((VR_PORT + 1000))") \
		2>/dev/null || break
done

started=$SECONDS
vr_mirror "$config" "$VR_WORK/root"
vr_build "$log/build.log"
vr_remove data
vr_start data -c listen_addresses=127.0.0.1 -c shared_buffers=128MB \
	-c max_connections=60 -c timezone=UTC -c statement_timeout=60s
"$VR_BIN/psql" -qX -d postgres -c "CREATE ROLE app LOGIN CREATEDB PASSWORD 'app'"
export PATH=$VR_BIN:$PATH PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1

venv()
{
	python3 -m venv --clear "$1" &&
		"$1/bin/python" -m pip install --quiet --disable-pip-version-check \
			--only-binary :all: -r "$2"
}

# Python: one environment for drivers and ORMs, one for the LLM frameworks,
# which ask for an older pgvector.
for group in python llm; do
	wanted $group || continue
	if installed $group "$here/$group/requirements.txt" \
		venv "$env/$group" "$here/$group/requirements.txt"; then
		for n in $(names $group 'test_*.py'); do
			PYTHONPATH=$here/python program $group "${n#test_}" \
				"$env/$group/bin/python" "$here/$group/$n.py"
		done
	else
		missing $group $(names $group 'test_*.py' | sed 's/^test_//')
	fi
done

npm_install()
{
	mkdir -p "$env/node" && cp "$here"/node/package*.json "$env/node/" &&
		npm ci --prefix "$env/node" --no-audit --no-fund
}

# Node looks for modules beside and above a program, so programs are copied.
if wanted node; then
	if installed node "$here/node/package-lock.json" npm_install; then
		cp -r "$here/node/." "$env/node/"
		for n in $(names node 'test_*.mjs'); do
			CI=1 PRISMA_HIDE_UPDATE_MESSAGE=1 CHECKPOINT_DISABLE=1 \
				program node "${n#test_}" \
				node "$env/node/$n.mjs"
		done
	else
		missing node $(names node 'test_*.mjs' | sed 's/^test_//')
	fi
fi

# The examples of README.md, each named by its first comment.
if wanted readme && [ -e "$env/python.done" ] && [ -e "$env/node.done" ]; then
	mkdir -p "$env/readme"
	rm -f "$env"/readme/* "$env"/node/readme_*
	awk -v dir="$env" '
		/^```(python|javascript)$/ { name = ""; js = /javascript/; next }
		/^```$/ && name != "" { close(file); name = "none" }
		name == "" {
			name = tolower($0)
			sub(/^(#|\/\/) */, "", name); sub(/:.*/, "", name)
			gsub(/[^a-z0-9]/, "", name)
			file = js ? dir "/node/readme_" name ".mjs" : dir "/readme/readme_" name ".py"
		}
		name != "none" && file != "" { print > file }' name=none "$VR_TOP/README.md"
	for f in "$env"/readme/*.py "$env"/node/readme_*.mjs; do
		n=$(basename "$f" | sed 's/^readme_//; s/\..*//')
		case $f in
		*.py) program readme "$n" example "$env/python/bin/python" "$f" ;;
		*) program readme "$n" example node "$f" ;;
		esac
	done
elif wanted readme; then
	missing readme examples
fi

go_build()
{
	(cd "$here/go" && go build -mod=readonly -o "$env/pgx" .)
}
if wanted go; then
	if installed go "$here/go/main.go $here/go/go.sum" go_build; then
		program go pgx "$env/pgx"
	else
		missing go pgx
	fi
fi

java_build()
{
	cp -r "$here/java" "$env/" &&
		mvn -q -B -f "$env/java/pom.xml" package dependency:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory=target/lib
}
if wanted java; then
	if installed java "$here/java/pom.xml $(echo "$here"/java/src/main/java/*.java)" \
		java_build; then
		for n in Jdbc Hibernate; do
			program java "${n,,}" java -cp \
				"$env/java/target/classes:$env/java/target/lib/*" "$n"
		done
	else
		missing java jdbc hibernate
	fi
fi

rust_build()
{
	cargo build --quiet --release --locked --manifest-path "$here/rust/Cargo.toml" \
		--target-dir "$env/rust"
}
if wanted rust; then
	if installed rust "$here/rust/Cargo.lock $here/rust/src/main.rs" rust_build; then
		program rust postgres "$env/rust/release/clients"
	else
		missing rust postgres
	fi
fi

vr_stop data
cp "$VR_WORK/data.log" "$log/server.log"
passed=$(grep -c ^pass "$log/results")
failed=$(grep -c ^fail "$log/results")
sed -n 's/^fail\t/FAILED: /p' "$log/results"
echo "$((SECONDS - started)) s; logs are in build/clients/log"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
