#!/bin/sh
# versions.sh: the places that must agree about a version do, and only
# base/vr_compat.h tests the server's.
. test/lint/lib.sh

grep -rn 'PG_VERSION_NUM\|PG_MAJORVERSION' src --include='*.[ch]' |
	grep -v '^src/base/vr_compat.h:' |
	lint_none 'only vr_compat.h tests the version of the server'

ext=$(sed -n 's/^EXTVERSION = //p' Makefile)
full=$(sed -n 's/^#define VR_VERSION "\(.*\)"/\1/p' src/base/vr_defs.h)
{
	grep -q "^default_version = '$ext'" vecrecall.control ||
		echo "vecrecall.control: default_version is not $ext"
	case $full in "$ext".*) ;; *) echo "VR_VERSION $full, EXTVERSION $ext" ;; esac
	# Its own version, and that of what it provides.
	for indent in '	' '			'; do
		grep -q "^$indent\"version\": \"$full\"" META.json ||
			echo "META.json: a version is not $full"
	done
	grep -q "^## \[*$full" CHANGELOG.md || echo "CHANGELOG.md: no section $full"
} | lint_none "version $full is the same everywhere"
lint_end
