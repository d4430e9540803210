#!/bin/sh
# readme.sh: what README.md says of tests and figures is so.
. test/lint/lib.sh

# The section's table: a row is a promise and the tests that hold it.
section()
{
	awk '/^## / { on = /^## What we guarantee/ } on && /^\| [^-]/ && !/^\| promise / ' README.md
}

{ [ -n "$(section)" ] || echo 'README.md: no table'; } |
	lint_none 'README.md says what is guaranteed'

section | grep -v '`[^`]*`[^`]*|$' |
	lint_none 'every promise names a test'

section | grep -o '`[^` ]*/[^` ]*`' | tr -d '`' | sort -u | while read -r name; do
	# A pattern stands for all that it finds.
	ls $name >/dev/null 2>&1 || echo "README.md: there is no $name"
	case $name in
	sql/*.sql | test/isolation/specs/*.spec | test/t/*.pl | test/unit/*_test.c) ;;
	*) echo "README.md: make check does not run $name" ;;
	esac
done | lint_none 'every test that it names is there, and is run by make check'

if command -v python3 >/dev/null; then
	PYTHONDONTWRITEBYTECODE=1 python3 test/bench/readme_figures.py --check 2>&1 |
		lint_none 'its figures are those of test/bench/figures.json'
else
	echo 'ok - its figures are those of test/bench/figures.json # skip no python3'
fi
lint_end
