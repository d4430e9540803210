# Immediate shutdowns at random moments under writers, readers and vacuum:
# after each restart the indexes are sound and give exactly the visible rows.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use IPC::Run ();
use Time::HiRes qw(sleep);

my $node = new_node('crash',
	conf => "log_line_prefix = '<%e> '\nmax_wal_size = 64MB\nshared_buffers = 16MB\n");
load_hnsw($node);
$node->safe_psql('postgres', <<'END');
CREATE TABLE t (id serial, v vector(12), k int, n int DEFAULT 0);
INSERT INTO t (v, k) SELECT v, id % 5 FROM vr_test.vectors('clustered', 1000, 12, 1);
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops, k) WITH (m = 7);
CREATE INDEX t_p ON t USING hnsw (v vector_l1_ops);
CREATE INDEX t_id ON t (id);
CREATE INDEX t_n ON t (n);
CREATE TABLE s (id serial, v sparsevec(100000));
CREATE INDEX s_v ON s USING hnsw (v sparsevec_l2_ops);
CREATE TABLE u (v vector(12));
INSERT INTO u SELECT v FROM vr_test.vectors('uniform', 3000, 12, 2);
CREATE FUNCTION anywhere() RETURNS vector LANGUAGE sql VOLATILE
AS 'SELECT array_agg(random())::vector FROM generate_series(1, 12)';
END

my $dir = $node->basedir;
append_script("$dir/mix", <<'END');
\set r random(1, 100)
\set i random(1, 3000)
\if :r <= 40
INSERT INTO t (v, k) VALUES (anywhere(), :i % 5);
\elif :r <= 55
UPDATE t SET n = n + 1 WHERE id = :i;
\elif :r <= 60
UPDATE t SET v = anywhere() WHERE id = :i;
\elif :r <= 75
DELETE FROM t WHERE id = :i;
\elif :r <= 78
BEGIN;
INSERT INTO t (v, k) SELECT v, k FROM t WHERE id = :i;
INSERT INTO t (v, k) VALUES (anywhere(), 1);
ROLLBACK;
\elif :r <= 82
INSERT INTO s (v) SELECT ('{' || string_agg(d * 90 + :r || ':' || random() + 0.1, ',') || '}/100000')::sparsevec FROM generate_series(1, :i % 900 + 1) d;
\else
SET enable_seqscan = off;
SELECT 1 / (count(*) = count(DISTINCT id))::int FROM (SELECT id FROM t ORDER BY v <-> (SELECT anywhere()) LIMIT 50) s;
SELECT 1 / (count(*) = count(DISTINCT id))::int FROM (SELECT id FROM t ORDER BY v <+> (SELECT anywhere()) LIMIT 20) s;
\endif
END
append_script("$dir/vacuum", <<'END');
VACUUM t;
VACUUM s;
\sleep 50 ms
CHECKPOINT;
CREATE INDEX IF NOT EXISTS u_v ON u USING hnsw (v vector_ip_ops);
DROP INDEX u_v;
END

sub append_script
{
	my ($file, $text) = @_;
	PostgreSQL::Test::Utils::append_to_file($file, $text);
}

sub slurp_log { return PostgreSQL::Test::Utils::slurp_file(shift->logfile); }

# Seconds are random on purpose: each run stops somewhere else.
for my $round (1 .. 6)
{
	my @runs;
	for my $run ([ 'mix', 4 ], [ 'vacuum', 1 ])
	{
		my ($out, $err) = ('', '');
		push @runs, IPC::Run::start(
			[ 'pgbench', '-n', '-T', '60', '-c', $run->[1], '-f', "$dir/$run->[0]",
				$node->connstr('postgres') ],
			'>', \$out, '2>', \$err);
	}
	sleep(0.5 + rand(1.5));
	$node->stop('immediate');
	$_->finish for @runs;
	$node->start;
	gives_every_row($node, 't', 'v', '<->', '(SELECT anywhere())', "round $round: quantised gives every row");
	gives_every_row($node, 't', 'v', '<+>', '(SELECT anywhere())', "round $round: plain gives every row");
	gives_every_row($node, 's', 'v', '<->', "'{1:1}/100000'", "round $round: sparse gives every row");
	# Four clients were cut off.
	index_is_sound($node, $_, "round $round: $_ is sound", undef, 4) for qw(t_q t_p s_v);
}
$node->safe_psql('postgres', 'DROP INDEX IF EXISTS u_v; VACUUM t; VACUUM s;');
gives_every_row($node, 't', 'v', '<->', '(SELECT anywhere())', 'after a last vacuum');
index_is_sound($node, $_, "$_ is sound at the end") for qw(t_q t_p s_v);
no_internal_errors($node);
# The scripts have met no other error either, and have done something.
is(join("\n", grep { /> ERROR/ } split(/\n/, slurp_log($node))), '', 'no errors');
cmp_ok($node->safe_psql('postgres', "SELECT nextval('t_id_seq')"), '>', 1500, 'rows were inserted');

done_testing();
