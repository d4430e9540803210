# Replay: a standby gives the primary's answers after every round of changes,
# pages are the same to the byte, and once promoted it goes on writing.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $primary = new_node('primary',
	init => [ allows_streaming => 1 ],
	conf => "wal_consistency_checking = 'generic'\nlog_line_prefix = '<%e> '\nmax_wal_senders = 4\n");
load_hnsw($primary);
$primary->safe_psql('postgres', <<'END');
CREATE TABLE t (id int, v vector(16), k int, n int DEFAULT 0);
INSERT INTO t SELECT id, v, id % 7 FROM vr_test.vectors('clustered', 800, 16, 1);
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops, k) WITH (m = 7);
CREATE INDEX t_p ON t USING hnsw (v vector_l1_ops);
CREATE INDEX t_half ON t USING hnsw ((v::halfvec(16)) halfvec_cosine_ops);
CREATE INDEX t_bits ON t USING hnsw ((binary_quantize(v)::bit(16)) bit_hamming_ops);
CREATE INDEX t_n ON t (n);
CREATE TABLE s (id int, v sparsevec(100000000));
CREATE INDEX s_v ON s USING hnsw (v sparsevec_ip_ops);
END

$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;

# What a node answers: the whole of each index, and the nearest of some, with
# and without a condition.
my $whole = <<'END';
SET enable_seqscan = off;
SET max_parallel_workers_per_gather = 0;
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.max_scan_tuples = 2147483647;
SELECT 'q', count(*), count(DISTINCT c), md5(string_agg(c::text, ',')) FROM (SELECT ctid AS c FROM t ORDER BY v <-> (SELECT v FROM t LIMIT 1)) s;
SELECT 'p', count(*), count(DISTINCT c), md5(string_agg(c::text, ',')) FROM (SELECT ctid AS c FROM t ORDER BY v <+> (SELECT v FROM t LIMIT 1)) s;
SELECT 'h', count(*), count(DISTINCT c), md5(string_agg(c::text, ',')) FROM (SELECT ctid AS c FROM t ORDER BY v::halfvec(16) <=> (SELECT v::halfvec FROM t LIMIT 1)) s;
SELECT 'b', count(*), count(DISTINCT c), md5(string_agg(c::text, ',')) FROM (SELECT ctid AS c FROM t ORDER BY binary_quantize(v)::bit(16) <~> (SELECT binary_quantize(v) FROM t LIMIT 1)) s;
SELECT 's', count(*), count(DISTINCT c), md5(string_agg(c::text, ',')) FROM (SELECT ctid AS c FROM s ORDER BY v <#> (SELECT v FROM s LIMIT 1)) s;
RESET hnsw.iterative_scan;
RESET hnsw.max_scan_tuples;
SELECT a.id, (SELECT string_agg(id::text, ',') FROM (SELECT id FROM t WHERE k = a.id % 7 ORDER BY v <-> a.v LIMIT 10) s),
	(SELECT string_agg(id::text, ',') FROM (SELECT id FROM t ORDER BY v <+> a.v LIMIT 10) s) FROM (SELECT * FROM t ORDER BY id LIMIT 10) a;
END

sub same
{
	my ($what) = @_;
	$primary->wait_for_catchup($standby);
	my $there = $primary->safe_psql('postgres', $whole);
	is($standby->safe_psql('postgres', $whole), $there, $what);
	my $rows = $primary->safe_psql('postgres', 'SELECT count(*) FROM t');
	like($there, qr/^q\|$rows\|$rows\|.*^p\|$rows\|$rows\|.*^h\|$rows\|$rows\|.*^b\|$rows\|$rows\|/ms,
		"$what, which are all $rows rows");
}

same('as built');
my $id = 1000;
for my $round (1 .. 3)
{
	$primary->safe_psql('postgres', <<"END");
INSERT INTO t SELECT $id + id, v, id % 7 FROM vr_test.vectors('clustered', 150, 16, 1 + $round);
INSERT INTO t SELECT $id + 500 + id, v, id % 3 FROM t WHERE id % 4 = 0;
UPDATE t SET n = n + 1 WHERE id % 3 = $round % 3;
UPDATE t SET v = v + array_fill($round, '{16}')::vector, k = 3 WHERE id % 19 = $round;
DELETE FROM t WHERE id % 9 = $round;
INSERT INTO s SELECT $id + i, (SELECT '{' || string_agg(d * 9000 + i * $round || ':' || d, ',') || '}/100000000'
	FROM generate_series(1, CASE WHEN i % 10 = 0 THEN 900 ELSE 9 END) d)::sparsevec FROM generate_series(1, 50) i;
DELETE FROM s WHERE id % 5 = $round;
END
	same("round $round, changed");
	$primary->safe_psql('postgres', 'VACUUM t; VACUUM s');
	same("round $round, vacuumed");
	$id += 1000;
}
$primary->safe_psql('postgres',
	'REINDEX TABLE CONCURRENTLY t; REINDEX INDEX s_v');
same('built again');
$primary->safe_psql('postgres', <<'END');
BEGIN; TRUNCATE s; INSERT INTO s VALUES (1, '{1:1}/100000000'), (2, '{2:1}/100000000'); COMMIT;
BEGIN; INSERT INTO t SELECT -id, v FROM vr_test.vectors('uniform', 50, 16, 9); ROLLBACK;
END
same('truncated, aborted');

index_is_sound($primary, $_, "$_ of the primary is sound") for qw(t_q t_p t_half t_bits);
is( $standby->safe_psql('postgres',
		"SELECT count(*) FROM vecrecall.check_index('t_p', true) f WHERE f::text !~ 'cannot be reached'"),
	'0', 't_p of the standby is sound');

# Promote, and go on.
$primary->stop;
$standby->promote;
$standby->safe_psql('postgres', <<'END');
INSERT INTO t SELECT 20000 + id, v, id % 7 FROM vr_test.vectors('clustered', 200, 16, 11);
UPDATE t SET n = n + 1 WHERE id % 2 = 0;
DELETE FROM t WHERE id % 5 = 0;
VACUUM t;
INSERT INTO t SELECT 30000 + id, v, id % 7 FROM vr_test.vectors('clustered', 200, 16, 12);
INSERT INTO s VALUES (3, '{3:1}/100000000');
END
gives_every_row($standby, 't', 'v', '<->', '(SELECT v FROM t LIMIT 1)');
gives_every_row($standby, 't', 'v', '<+>', '(SELECT v FROM t LIMIT 1)');
gives_every_row($standby, 's', 'v', '<#>', '(SELECT v FROM s LIMIT 1)');
index_is_sound($standby, $_, "$_ of the promoted standby is sound") for qw(t_q t_p t_half t_bits s_v);
no_internal_errors($_, $_->name . ': no internal errors') for $primary, $standby;

done_testing();
