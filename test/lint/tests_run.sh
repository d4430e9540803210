#!/bin/sh
# tests_run.sh RAN: every test file is in the list of what a run has run, and
# every regress test has its expected output. RAN has one "group/name" a line.
ran=$1
status=0

# each GROUP FILE...: GROUP/NAME must be in the list
each()
{
	group=$1
	shift
	for f in "$@"; do
		[ -e "$f" ] || continue
		name=$(basename "$f")
		if grep -qx "$group/${name%.*}" "$ran"; then
			echo "ok - $f was run"
		else
			echo "not ok - $f was not run"
			status=1
		fi
	done
}

each regress sql/*.sql
each isolation test/isolation/specs/*.spec
each tap test/t/*.pl
each unit test/unit/*_test.c
each clients/python test/clients/python/test_*.py
each clients/node test/clients/node/test_*.mjs

for f in sql/*.sql; do
	[ -e "$f" ] || continue
	name=$(basename "$f" .sql)
	[ -e "expected/$name.out" ] ||
		{ echo "not ok - $f has no expected output"; status=1; }
done
for f in expected/*.out; do
	[ -e "$f" ] || continue
	name=$(basename "$f" .out)
	# An alternative file is called as the test with _1, _2, ... after it.
	[ -e "sql/$name.sql" ] || [ -e "sql/${name%_[0-9]}.sql" ] ||
		{ echo "not ok - $f belongs to no test"; status=1; }
done
exit $status
