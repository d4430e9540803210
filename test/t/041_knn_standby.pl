# On a hot standby everything that does not write works: batch search with
# workers and with a filter, arrays, codes, advice, prewarm and residency.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('primary', init => [ allows_streaming => 1 ]);
$node->safe_psql('postgres', <<'END');
CREATE TABLE t (id int PRIMARY KEY, v vector(32)) WITH (parallel_workers = 2);
INSERT INTO t SELECT i, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 32) j)::vector
FROM generate_series(1, 20000) i;
CREATE TABLE q AS SELECT array_agg(v ORDER BY id) AS q FROM t WHERE id % 40 = 0;
CREATE TABLE wide AS SELECT i AS id, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 700) j)::vector AS v
FROM generate_series(1, 500) i;
CREATE UNLOGGED TABLE unlogged AS TABLE t;
CREATE INDEX i ON t USING hnsw (v vector_l2_ops);
ANALYZE t;
END
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));

for my $what (
	q(SELECT count(*), sum(distance) FROM q, vecrecall.knn_exact('t', 'v', q.q, 20)),
	q(SELECT count(*), sum(distance) FROM q, vecrecall.knn_exact('t', 'v', q.q, 20, filter => 'id % 3 = 0')),
	q(SELECT count(*), sum(distance) FROM vecrecall.knn_exact('wide', 'v', ARRAY(SELECT v FROM wide WHERE id = 7), 20)),
	q(SELECT count(*), sum(distance) FROM q, vecrecall.knn_binary('t', 'v', q.q[1:10], 5, 20)),
	q(SELECT (SELECT sum(x) FROM unnest(vecrecall.similarity_matrix(q.q[1:20], q.q[1:9], 'l2')) x) FROM q),
	q(SELECT sum(size), count(*) FROM vecrecall.centroids('SELECT v FROM t', 8)),
	q(SELECT dim, bytes_per_code FROM vecrecall.pq_train('SELECT v FROM t', 8, 4)),
	q(SELECT count(*) FROM vecrecall.compression_advice('t', 'v', sample => 500)),
	q(SELECT vecrecall.prewarm('i', 'graph') > 1),
	q(SELECT part, bytes FROM vecrecall.buffer_residency('i')),
	q(SELECT count(*) FROM vecrecall.tier_advice()))
{
	my ($function) = $what =~ /vecrecall\.(\w+)/;
	is($standby->safe_psql('postgres', $what), $node->safe_psql('postgres', $what),
		"$function on a standby");
}

my (undef, undef, $err) = $standby->psql('postgres', "SELECT count(*) FROM q, vecrecall.knn_exact('unlogged', 'v', q.q, 5)");
like($err, qr/cannot access temporary or unlogged relations during recovery/, 'an unlogged table is not there');

# With the planner on, a search is recorded where that can be, and only there.
$node->safe_psql('postgres', <<'END');
SET vecrecall.planner = on;
SELECT count(*) FROM q, vecrecall.knn_exact('t', 'v', q.q, 5);
END
my $recorded = "SELECT count(*) > 0 FROM vecrecall.batch_history WHERE op = 'knn_exact'";
is($node->safe_psql('postgres', $recorded), 't', 'a search is recorded');
is($standby->safe_psql('postgres', <<'END'), '2500', 'and a standby does not try');
SET vecrecall.planner = on;
SELECT count(*) FROM q, vecrecall.knn_exact('t', 'v', q.q, 5);
END
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
index_is_sound($node, 'i');
index_is_sound($standby, 'i', 'i is sound on the standby');
$standby->stop;
done_testing();
