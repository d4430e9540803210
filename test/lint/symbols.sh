#!/bin/sh
# symbols.sh: what a shared library of the project defines for others begins
# with vr_ or Vr. A backend binds names globally, and pgvector may be there.
. test/lint/lib.sh

for so in *.so; do
	[ -e "$so" ] || { echo "no library here" | lint_none 'is built'; continue; }
	nm -D --defined-only "$so" | awk '{ print $NF }' |
		grep -vE '^(vr_|Vr|_PG_init$|Pg_magic_func$|pg_finfo_vr_|_init$|_fini$)' |
		lint_none "$so defines only names of our own"
	nm -D --undefined-only "$so" | awk '{ print $NF }' | grep -E '^(vr_|Vr)' |
		if [ "$so" = vecrecall.so ]; then cat; else true; fi |
		lint_none "$so lacks none of our own"
done
lint_end
