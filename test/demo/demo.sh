#!/bin/bash
# demo.sh: vecrecall at work on real data ("make demo").
#
# Builds the extension, starts a private server, loads the concepts of
# README.md, indexes them, searches, and measures. Nothing is installed into
# the system's PostgreSQL, and nothing is left running.
. "$(dirname "$0")/../lib/private.sh"

QUERIES_EVERY=20 # every 20th concept is held out, to be a query
SHOWN='owl piano thunder castle courage bread'
SUM='doctor tooth'

config=$(vr_find_pg_config) || vr_die "no PostgreSQL here: make setup"
finish()
{
	vr_cleanup
	[ -z "$VR_BIN" ] || vr_remove data
}
trap finish EXIT
trap 'echo; exit 130' INT
trap 'exit 143' TERM

if [ -t 1 ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi

heading()
{
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# Values of one row, separated by |; an error ends the demo.
query()
{
	"$VR_BIN/psql" -XqAt -v ON_ERROR_STOP=1 <<<"$1" ||
		vr_die "the server refused a statement of the demo"
}

# watch LABEL SQL: a bar from "done|total" while the process $background runs
watch()
{
	local counts
	VR_CHILDREN+=("$background")
	while kill -0 "$background" 2>/dev/null; do
		counts=$("$VR_BIN/psql" -XqAt -c "$2" 2>/dev/null)
		case $counts in
		*'|'*) vr_bar "${counts%|*}" "${counts#*|}" "$1" ;;
		esac
		sleep 0.1
	done
	wait "$background" || vr_die "$1 failed"
	vr_bar 1 1 "$1"
}

vr_workdir "$VR_TOP/build/demo"
vr_mirror "$config" "$VR_WORK/root"
vr_remove data
vr_build "$VR_WORK/build.log"
vr_start data -c shared_buffers=256MB -c maintenance_work_mem=256MB \
	-c autovacuum=off -c jit=off

query 'CREATE EXTENSION vecrecall'
heading "$(query "SELECT format('vecrecall %s on PostgreSQL %s, %s kernels',
	version, split_part(server_version, ' ', 1), simd) FROM vecrecall.build_info()")"

# The file is COPY's own binary format, with the embeddings as halfvec.
query 'CREATE TABLE loaded (id int, name text, meaning text, embedding halfvec(384))'
total=$(($(gzip -dc "$VR_TOP/test/demo/concepts.copy.gz" | wc -c)))
gzip -dc "$VR_TOP/test/demo/concepts.copy.gz" |
	"$VR_BIN/psql" -Xq -v ON_ERROR_STOP=1 \
		-c '\copy loaded FROM pstdin (FORMAT binary)' &
background=$!
watch Loading "SELECT bytes_processed, $total FROM pg_stat_progress_copy"
query "
CREATE TABLE concept (id int PRIMARY KEY, name text, meaning text, embedding vector(384));
CREATE TABLE held_out (LIKE concept);
INSERT INTO concept SELECT * FROM loaded WHERE id % $QUERIES_EVERY <> 0;
INSERT INTO held_out SELECT * FROM loaded WHERE id % $QUERIES_EVERY = 0;
DROP TABLE loaded;
VACUUM (ANALYZE) concept, held_out"
echo "$(query "SELECT count(*) FROM concept") nouns with their meanings, and an embedding" \
	"of 384 dimensions for each,"
echo "by the model all-MiniLM-L6-v2. Origin and licences: test/demo/README.md"

heading 'An index'
sql='CREATE INDEX concept_hnsw ON concept USING hnsw (embedding vector_cosine_ops)'
echo "$dim$sql$plain"
started=$(date +%s%N)
"$VR_BIN/psql" -Xq -v ON_ERROR_STOP=1 -c "$sql" &
background=$!
watch Indexing "SELECT floor(100 * least(1,
		greatest(blocks_done::float8 / nullif(blocks_total, 0),
				 tuples_done::float8 / (SELECT reltuples FROM pg_class
										WHERE relname = 'concept')))),
		100 FROM pg_stat_progress_create_index"
built=$(($(date +%s%N) - started))
query "SELECT format('built in %s s, %s for a table of %s',
	round($built / 1e9, 2), pg_size_pretty(pg_relation_size('concept_hnsw')),
	pg_size_pretty(pg_total_relation_size('concept') - pg_indexes_size('concept')))"

heading 'Nearest by meaning'
echo "${dim}SELECT ... FROM concept ORDER BY embedding <=> \$1 LIMIT 4$plain"
# neighbours LABEL VECTOR NOT: the nearest but those named
neighbours()
{
	printf '\n  %s%s%s\n' "$bold" "$1" "$plain"
	"$VR_BIN/psql" -XqAt -F '|' -v ON_ERROR_STOP=1 <<END |
SELECT name, round((1 - (embedding <=> q.v))::numeric, 2),
	CASE WHEN length(meaning) > 56 THEN left(meaning, 53) || '...' ELSE meaning END
FROM concept, (SELECT $2 AS v) q
WHERE name NOT IN ($3)
ORDER BY embedding <=> q.v LIMIT 4
END
		while IFS='|' read -r name similarity meaning; do
			printf '    %-20s %s  %s%s%s\n' "$name" "$similarity" "$dim" "$meaning" "$plain"
		done
}
for name in $SHOWN; do
	meaning=$(query "SELECT meaning FROM concept WHERE name = '$name'")
	neighbours "$name: $meaning" \
		"(SELECT embedding FROM concept WHERE name = '$name')" "'$name'"
done
set -- $SUM
neighbours "$1 + $2 (the sum of two vectors)" \
	"(SELECT sum(embedding) FROM concept WHERE name IN ('$1', '$2'))" "'$1', '$2'"

heading 'How good, how fast'
"$VR_BIN/psql" -XqAt -v ON_ERROR_STOP=1 \
	-f "$VR_TOP/test/demo/measure.sql" || vr_die "the measurement failed"

printf '\nThe server is stopped and its data removed. Next: README.md, or make check.\n'
