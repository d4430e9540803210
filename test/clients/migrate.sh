#!/bin/bash
# migrate.sh: takes a database that pgvector made over, as README.md says under
# "Coming from pgvector": by dump and restore, and in place.
#
#   PGVECTOR=/path/to/pgvector migrate.sh
#
# PGVECTOR is a checkout of pgvector's source, 0.8.6, which is built in a copy.
# Logs stay in build/migrate/log. The last line is "N passed, N failed".
. "$(dirname "$0")/../lib/private.sh"
. "$VR_TOP/test/lib/results.sh"
cd "$VR_TOP" || exit 1

[ -e "$PGVECTOR/vector.control" ] || vr_die "PGVECTOR is no source of pgvector"
results_begin "$VR_TOP/build/migrate"
rm -rf "$VR_WORK/root"
vr_mirror "$config" "$VR_WORK/root"
vr_build "$log/build.log"
ours()
{
	make -s -C "$VR_SRC" with_llvm=no PG_CONFIG="$VR_PG_CONFIG" "$@" >>"$log/build.log" 2>&1
}
ours uninstall uninstall-alias || vr_die "could not uninstall; see $log/build.log"

rm -rf "$VR_WORK/pgvector"
cp -r "$PGVECTOR" "$VR_WORK/pgvector"
make -s -C "$VR_WORK/pgvector" clean with_llvm=no PG_CONFIG="$VR_PG_CONFIG" >"$log/pgvector.log" 2>&1
make -s -C "$VR_WORK/pgvector" -j2 install OPTFLAGS= with_llvm=no PG_CONFIG="$VR_PG_CONFIG" \
	>>"$log/pgvector.log" 2>&1 || vr_die "pgvector was not built; see $log/pgvector.log"

# ok STATUS NAME: a test line
count=0
ok()
{
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}
same()
{
	[ "$1" = "$2" ]
	ok $? "$3"
	[ "$1" = "$2" ] || diff <(echo "$1") <(echo "$2") | head -n 20 | sed 's/^/#   /'
}
sql()
{
	"$VR_BIN/psql" -qXAt -v ON_ERROR_STOP=1 -d "$1" "${@:2}" 2>&1
}

# What must not change: every value, byte by byte, what functions, views and
# aggregates say of them, and what an exact search finds.
state()
{
	local t
	# Of the array, the text: its bytes name the type's OID.
	for t in 'id, v, h, s, b, n, many::text FROM docs' '* FROM loose' '* FROM book' '* FROM seen'; do
		echo "$t $(sql "$1" -c "COPY (SELECT $t ORDER BY 1) TO STDOUT (FORMAT binary)" | md5sum)"
	done
	sql "$1" <<'SQL'
SET enable_indexscan = off;
SELECT sum(v), avg(h), avg(v <=> '[1,1,1,1,1,1,1,1]'), count(DISTINCT v) FROM docs;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM docs ORDER BY v <-> '[1,2,3,4,5,6,7,8]', id LIMIT 20) s;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM docs ORDER BY b <~> B'10101010', id LIMIT 20) s;
SELECT near('[1,2,3,4,5,6,7,8]');
SELECT count(*), min(d), max(d) FROM far;
SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = 'docs'::regclass;
SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index
	WHERE indrelid = 'docs'::regclass ORDER BY indexrelid::regclass::text;
SQL
}
members()
{
	sql "$1" -c "SELECT pg_describe_object(classid, objid, 0) || ': ' ||
		coalesce(obj_description(objid, classid::regclass::name), '')
		FROM pg_depend d JOIN pg_extension e ON refobjid = e.oid AND refclassid = 'pg_extension'::regclass
		WHERE deptype = 'e' AND extname = 'vector'" | sort
}

migrate()
{
	local before took answers
	sql postgres -c 'CREATE DATABASE old'
	sql old <<'SQL'
CREATE EXTENSION vector;
SELECT setseed(0.5);
CREATE TABLE docs (id int PRIMARY KEY, v vector(8) NOT NULL, h halfvec(8), s sparsevec(8), b bit(8),
	many vector(8)[], n real GENERATED ALWAYS AS (vector_norm(v)) STORED, CHECK (vector_dims(v) = 8));
INSERT INTO docs SELECT i, x.v, x.v, x.v, binary_quantize(x.v), ARRAY[x.v, x.v]
	FROM generate_series(1, 20000) i,
	LATERAL (SELECT array_agg((random() * 2 - 1)::real)::vector v FROM generate_series(1, 8 + i * 0)) x;
CREATE TABLE loose (id int, v vector, h halfvec DEFAULT '[1,2]');
INSERT INTO loose VALUES (1, '[3.4028235e38,1e-45,-0]', '[65504,-0]'), (2, NULL, NULL), (3, '[1]', DEFAULT);
CREATE TABLE book AS SELECT id % 10 AS id, avg(v) AS v FROM docs GROUP BY 1;
CREATE MATERIALIZED VIEW seen AS SELECT id, l2_normalize(v) AS v FROM docs WHERE id < 100;
CREATE VIEW far AS SELECT id, v <-> '[1,1,1,1,1,1,1,1]' AS d FROM docs WHERE v <-> '[1,1,1,1,1,1,1,1]' > 2;
CREATE FUNCTION near(vector) RETURNS int STABLE LANGUAGE sql AS 'SELECT id FROM docs ORDER BY v <#> $1, id LIMIT 1';
CREATE INDEX docs_hnsw ON docs USING hnsw (v vector_l2_ops) WITH (m = 12, ef_construction = 50);
CREATE INDEX docs_half ON docs USING hnsw (h halfvec_cosine_ops);
CREATE INDEX docs_sparse ON docs USING hnsw (s sparsevec_ip_ops);
CREATE INDEX docs_bits ON docs USING hnsw (b bit_jaccard_ops);
CREATE INDEX docs_expr ON docs USING hnsw ((v::halfvec(8)) halfvec_l2_ops);
CREATE INDEX docs_lists ON docs USING ivfflat (v vector_cosine_ops) WITH (lists = 20);
CREATE INDEX docs_btree ON docs (v);
ANALYZE;
SQL
	ok $? "pgvector makes a database of every type and index"
	state old >"$log/state.old"
	! grep -q ERROR "$log/state.old"
	ok $? "and answers every question"
	same "$(sql old -c "SELECT extversion FROM pg_extension WHERE extname = 'vector'")" 0.8.6 \
		"the database was made by pgvector 0.8.6"
	"$VR_BIN/pg_dump" -d old -f "$VR_WORK/old.sql"
	ok $? "pg_dump"

	ours install-alias
	[ $? != 0 ]
	ok $? "install-alias does not replace pgvector unasked"
	ours install-alias FORCE=1
	ok $? "install-alias FORCE=1"

	# By dump and restore.
	sql postgres -c 'CREATE DATABASE restored'
	sql restored -f "$VR_WORK/old.sql" >"$log/restore.log"
	ok $? "restore"
	state restored >"$log/state.restored"
	same "$(cat "$log/state.restored")" "$(cat "$log/state.old")" "restored: everything is as it was"

	# In place. A session with pgvector's library has to end first.
	before=$(date +%s%N)
	sql old -c "ALTER EXTENSION vector UPDATE TO vecrecall"
	ok $? "in place: UPDATE TO vecrecall"
	sql old -c "ALTER EXTENSION vector UPDATE TO '0.8.6'"
	ok $? "in place: UPDATE TO '0.8.6'"
	took=$((($(date +%s%N) - before) / 1000000))
	answers=$(sql old -c "SET enable_seqscan = off; SELECT id FROM docs ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1")
	case $answers in *pgvector*) true ;; *) false ;; esac
	ok $? "in place: an index of pgvector's is refused by name"
	echo "#   $answers"
	sql old <<'SQL' >"$log/reindex.log"
SELECT format('REINDEX INDEX CONCURRENTLY %s', indexrelid::regclass) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
	JOIN pg_am a ON a.oid = relam WHERE amname IN ('hnsw', 'ivfflat')
\gexec
SQL
	ok $? "in place: REINDEX CONCURRENTLY"
	rm -f "$VR_ROOT$("$config" --pkglibdir)/vector.so"
	vr_stop data && vr_start data
	state old >"$log/state.place"
	same "$(cat "$log/state.place")" "$(cat "$log/state.old")" \
		"in place, pgvector's library gone: everything is as it was"
	same "$(members old)" "$(members restored)" "in place: the extension's members are those of a restore"

	# What both are for: searches by index, near enough to the exact ones.
	for answers in old restored; do
		same "$(sql $answers <<'SQL'
SET hnsw.ef_search = 200;
CREATE FUNCTION pg_temp.hits(exact bool) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('enable_seqscan', exact::text, true), set_config('enable_indexscan', (NOT exact)::text, true);
	RETURN QUERY SELECT id FROM docs ORDER BY v <-> '[0.5,0.5,0,0,0,0,0,0.1]' LIMIT 10;
END $$;
SELECT count(*) >= 9 FROM pg_temp.hits(true) x JOIN pg_temp.hits(false) y ON x = y;
SELECT count(*) FROM (SELECT id FROM docs ORDER BY h <=> '[1,1,1,1,1,1,1,1]' LIMIT 10) s;
SQL
		)" "$(printf 't\n10')" "$answers: searches by index"
		sql $answers -c "INSERT INTO docs (id, v) SELECT -1, '[9,9,9,9,9,9,9,9]'" >/dev/null
		same "$(sql $answers -c "SET enable_seqscan = off; SELECT id FROM docs ORDER BY v <-> '[9,9,9,9,9,9,9,9]' LIMIT 1")" \
			-1 "$answers: a new row is found"
	done
	echo "#   in place, both statements: $took ms"
	echo "1..$count"
}

vr_remove data
vr_start data
migrate >"$log/migrate.log" 2>&1
tap_results migrate "from pgvector" "$log/migrate.log" 0
sed -n 's/^#   in place, both/  in place, both/p' "$log/migrate.log"
vr_stop data
cp "$VR_WORK/data.log" "$log/server.log"
vr_remove data
results_end
