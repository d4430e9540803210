#!/bin/sh
# includes.sh: every header compiles alone after postgres.h, has its guard,
# and does not include postgres.h itself.
. test/lint/lib.sh

include=$("$PG_CONFIG" --includedir-server)
find src -name '*.h' | sort | while read -r f; do
	printf '#include "postgres.h"\n#include "fmgr.h"\n#include "%s"\n' "${f#src/}" |
		"${CC:-cc}" -fsyntax-only -Wall -Wno-unused-function -I src \
			-I "$include" -D_GNU_SOURCE -x c - 2>&1
done | lint_none 'headers compile alone after postgres.h'

find src -name '*.h' | sort | while read -r f; do
	base=$(basename "$f" .h | tr '[:lower:]' '[:upper:]')
	guard=VR_${base#VR_}_H
	grep -q "^#ifndef $guard\$" "$f" && grep -q "^#define $guard\$" "$f" ||
		echo "$f: expected guard $guard"
	! grep -n "^# *include .postgres\.h" "$f" /dev/null
done | lint_none 'headers are guarded and leave postgres.h to the source'

find src -name '*.c' | sort | while read -r f; do
	first=$(sed -n 's/^# *include //p' "$f" | head -n 1)
	case $first in
	'"postgres.h"' | '"c.h"') ;;
	*) echo "$f: begins with $first" ;;
	esac
done | lint_none 'sources begin with postgres.h or c.h'

# Error locations and debuggers show base names only.
find src -name '*.c' | sed 's,.*/,,' | sort | uniq -d |
	lint_none 'base names are unique'
lint_end
