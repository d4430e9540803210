#!/bin/bash
# example.sh FILE: compiles and runs an example in Go or Rust, in the copy of
# the group's own program that install.sh has made, with its libraries.
env=$(cd "$(dirname "$0")/../.." && pwd)/build/clients/env
case $1 in
*.go)
	mkdir -p "$env/go/readme" && cp "$1" "$env/go/readme/main.go" && cd "$env/go" &&
		GOTOOLCHAIN=local exec "$env/go-home/bin/go" run -mod=readonly ./readme
	;;
*.rs)
	mkdir -p "$env/rust-src/src/bin" && cp "$1" "$env/rust-src/src/bin/readme.rs" &&
		exec cargo run --quiet --release --locked --offline --bin readme \
			--target-dir "$env/rust" --manifest-path "$env/rust-src/Cargo.toml"
	;;
esac
