#!/bin/sh
# bench.sh: how the benchmark makes figures of its records, and tells what got
# worse and what is broken; that the command fails then.
. test/lint/lib.sh

if command -v python3 >/dev/null; then
	{ cd test/bench && python3 -B -m unittest bench_test bench_command_test 2>&1 || echo 'not ok'; } |
		{ out=$(cat); case $out in *'not ok'*) echo "$out" ;; esac; } |
		lint_none 'test/bench/bench_test.py and bench_command_test.py pass'
else
	echo 'ok - test/bench/bench_test.py and bench_command_test.py pass # skip no python3'
fi
lint_end
