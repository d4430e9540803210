# lib.sh: what the lint scripts share. Each runs at the root of the sources,
# prints one TAP line per fact it proves with the offenders before it, and
# ends with lint_end.

lint_status=0

# lint_none NAME: fails, showing them, if there are lines on standard input.
lint_none()
{
	lint_found=$(cat)
	if [ -z "$lint_found" ]; then
		echo "ok - $1"
	else
		echo "$lint_found" | sed 's/^/# /'
		echo "not ok - $1"
		lint_status=1
	fi
}

lint_end()
{
	exit $lint_status
}
