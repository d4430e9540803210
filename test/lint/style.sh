#!/bin/sh
# style.sh: format and wording that a machine can judge.
. test/lint/lib.sh

# Versions of clang-format disagree with each other: Debian 12's it is.
if clang-format --version 2>/dev/null | grep -q 'version 14[.]'; then
	find src test -name '*.[ch]' | sort |
		xargs -r clang-format --dry-run -Werror 2>&1 | grep 'error:' |
		lint_none 'C sources are formatted by .clang-format'
else
	echo 'ok - C sources are formatted # skip no clang-format 14'
fi

grep -rnE '[[:space:]]+$' src sql/install test Makefile --include='*.[ch]' \
	--include='*.sql' --include='*.sh' --include='*.pl' --include='*.pm' \
	--include=Makefile | lint_none 'no line ends in white space'

grep -rnE '\b(TODO|FIXME|XXX|HACK)\b' src sql/install test Makefile \
	--include='*.[ch]' --include='*.sql' --include='*.sh' --include='*.p[lm]' |
	grep -vE '^test/lint/style.sh|Tt.*Oo.*Dd' |
	lint_none 'nothing is left to do'

grep -rnE --include="*.[ch]" --include=Makefile --include="*.mk" "march=|ffast-math" Makefile src test/unit |
	grep -v 'no -march\|no$' | grep -vE '^[^:]*:[0-9]*:[# /*]' |
	lint_none 'the build is portable'

# Every ereport of ERROR and above has a code; a call may span lines.
find src -name '*.c' | sort | while read -r f; do
	awk -v f="$f" '
		/(ereport|errsave|ereturn)[ \t]*\(/ { call = ""; line = NR; open = 1 }
		open {
			call = call $0
			if ($0 ~ /;[ \t]*$/) {
				if (call ~ /\((ERROR|FATAL|PANIC|elevel|escontext)/ &&
					call !~ /errcode(_for_[a-z]+)?[ \t]*\(/)
					print f ":" line ": " call
				open = 0
			}
		}' "$f"
done | lint_none 'every error has a code'

grep -rnE 'errmsg(_plural)?\("[A-Z][a-z]+ |errmsg\("[^"]*[.]"' src --include='*.c' |
	lint_none 'messages begin in lower case and have no full stop'

awk '/CREATE OR REPLACE/ { print FILENAME ":" FNR ": " $0 }' sql/install/*.sql |
	lint_none 'install scripts replace nothing of the user'
lint_end
