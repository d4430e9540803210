# results.sh: what a run of tests found out, for scripts to source (bash) after
# private.sh.
#
# One line per test in $log/results, verdict, group and name, and one per test
# file that was run in $log/ran.
#
#   results_begin DIR   finds the PostgreSQL to test with ($config), works in
#                       DIR, with a new folder for logs ($log), and sets traps
#   result pass|fail|skip GROUP NAME
#   tap_results GROUP NAME FILE STATUS   counts the test lines of TAP output
#   results_end      what failed, and "N passed, N failed"; false if any failed

results_begin()
{
	config=$(vr_find_pg_config) || vr_die "no PostgreSQL here: make setup"
	log=$1/log
	trap vr_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	vr_workdir "$1"
	rm -rf "$log"
	mkdir -p "$log"
	: >"$log/results"
	: >"$log/ran"
}

result()
{
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$log/results" ||
		kill -TERM $$ # or what failed would not be counted
}

# A script that ends badly with no failed line has failed all the same, and so
# has one that prints no result.
tap_results()
{
	local before after
	before=$(grep -c ^fail "$log/results")
	awk -v group="$1" -v file="$2" '
		/^ok / || /^not ok / {
			verdict = /^ok / ? "pass" : "fail"
			if (/# *[Tt][Oo][Dd][Oo]/) verdict = "pass"
			if (/# *[Ss][Kk][Ii][Pp]/) verdict = "skip"
			sub(/^(not )?ok *[0-9]* *-? */, "")
			printf "%s\t%s\t%s: %s\n", verdict, group, file, $0
		}
		/^1\.\.0 # *[Ss][Kk][Ii][Pp]/ {
			printf "skip\t%s\t%s: %s\n", group, file, $0
		}' "$3" >>"$log/results"
	after=$(grep -c ^fail "$log/results")
	if [ "$4" != 0 ] && [ "$before" = "$after" ]; then
		result fail "$1" "$2: ended with status $4"
		after=$((after + 1))
	elif [ "$4" = 0 ] && ! grep -qE '^(not )?ok |^1\.\.0 #' "$3"; then
		result fail "$1" "$2: printed no result"
		after=$((after + 1))
	fi
	if [ "$before" != "$after" ]; then
		echo "  $1 $2: FAILED; $3 ends with"
		tail -n 30 "$3" | sed 's/^/    /'
	else
		echo "  $1 $2: $(grep -c '^ok ' "$3") ok"
	fi
}

results_end()
{
	local passed failed skipped
	passed=$(grep -c ^pass "$log/results")
	failed=$(grep -c ^fail "$log/results")
	skipped=$(grep -c ^skip "$log/results")
	sed -n 's/^fail\t\([^\t]*\)\t/FAILED: \1 /p' "$log/results"
	[ "$skipped" = 0 ] || echo "$skipped skipped"
	echo "$SECONDS s; logs are in ${log#"$VR_TOP/"}"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}
