# Rows inserted and deleted beside a vacuum, by inner product with few
# neighbours: a stem is the only way to most of them. Entries come and go with
# the rest, so trees of stems lose their roots. A vacuum at rest leaves nothing
# that cannot be come to.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use PostgreSQL::Test::Utils;

my $node = new_node('hang', conf => "log_line_prefix = '<%e> '\n");
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION point() RETURNS vector LANGUAGE sql VOLATILE
RETURN (SELECT array_agg((random() - 0.5) * f) FROM (SELECT exp(2 * random()) f OFFSET 0) s, generate_series(1, 12))::vector(12);
CREATE TABLE t (id serial, v vector(12));
INSERT INTO t (v) SELECT point() FROM generate_series(1, 800);
CREATE INDEX t_id ON t (id);
CREATE INDEX t_plain ON t USING hnsw (v vector_ip_ops) WITH (storage = plain, m = 4, ef_construction = 16);
CREATE INDEX t_quantised ON t USING hnsw (v vector_ip_ops) WITH (storage = quantised, m = 4, ef_construction = 16);
END
my $script = PostgreSQL::Test::Utils::tempdir() . '/work.sql';
append_to_file($script, <<'END');
\set gone random(1, 2000)
INSERT INTO t (v) VALUES (point()), (point());
DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id >= :gone LIMIT 2);
END

for my $round (1 .. 3)
{
	my $bench = IPC::Run::start([ 'pgbench', '-n', '-c', '3', '-j', '1', '-T', '4', '-f', $script, 'dbname=postgres host=' . $node->host . ' port=' . $node->port ],
		'>', \my $out, '2>', \my $err);
	$node->safe_psql('postgres', 'VACUUM t; SELECT pg_sleep(0.2)') while $bench->pumpable && time() - $^T < 600 && !done($bench);
	ok($bench->finish, "round $round: clients work beside vacuum") or diag($err);
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
	is($node->safe_psql('postgres', "SELECT vecrecall.check_index('$_', true)"), '', "round $round: $_ is sound, and all of it can be come to")
	  for qw(t_plain t_quantised);
}
no_internal_errors($node);

sub done
{
	my ($run) = @_;
	$run->pump_nb;
	return !$run->pumpable;
}
done_testing();
