# A standby plans from what its primary has learned, and records nothing; the
# planner's tables survive dump and restore.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $primary = new_node('primary', init => [ allows_streaming => 1 ]);
$primary->safe_psql('postgres', <<'END');
SELECT count(vecrecall.batch_record('insert', 'shared', 384, b, 1, b, 20 + 0.1 * b, true))
FROM (SELECT (2 ^ (i % 12))::bigint AS b FROM generate_series(1, 100) i) t;
SELECT vecrecall.batch_record('insert', 'shared', 384, 8000, 1, 0, 9000, false, sqlstate => '57014');
END
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay');

my $resources = q('{"available_memory_mb": 1024, "cpu_cores": 2}');
my $plan = "SELECT * FROM vecrecall.plan_batch(1000000, 384, target => 'shared', resources => $resources)";
my $expected = $primary->safe_psql('postgres', $plan);
like($expected, qr/\|model\||\|ceiling\|/, 'the primary has learned');
is($standby->safe_psql('postgres', $plan), $expected, 'a standby plans alike');
like($standby->safe_psql('postgres',
		"SELECT source FROM vecrecall.plan_batch(1000000, 384, target => 'shared', resources => $resources, explore => true, seed => 3)"),
	qr/^\w+$/, 'and may explore');
is($standby->safe_psql('postgres', "SET vecrecall.audit = 'all'; SELECT count(*) FROM vecrecall.plan_batch(10, 384)"),
	'1', 'planning is not audited there, nor stopped by it');
is($standby->safe_psql('postgres', "SELECT vecrecall.batch_record('insert', 'shared', 384, 10, 1, 10, 5, true) IS NULL"),
	't', 'a batch is not recorded, without an error');
for my $call ("SELECT vecrecall.planner_train()", "SELECT vecrecall.planner_reset(NULL, NULL)",
	"CALL vecrecall.run_batches('insert', 'x', 'SELECT 1 AS a', 'SELECT \$1')")
{
	query_fails($standby, "$call;", '25006', 'cannot execute', "$call is refused");
}
is($standby->safe_psql('postgres', 'SELECT count(*) FROM vecrecall.planner_models'), '1', 'models are seen');
like($standby->safe_psql('postgres', 'SELECT method, groups FROM vecrecall.planner_evaluate() LIMIT 1'),
	qr/^planner\|1$/, 'and judged');

# What the primary learns later arrives.
$primary->safe_psql('postgres', "SELECT vecrecall.planner_reset(NULL, NULL)");
$primary->wait_for_catchup($standby, 'replay');
like($standby->safe_psql('postgres', $plan), qr/\|prior\|/, 'a reset arrives');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT vecrecall.batch_record('insert', 'shared', 384, 10, 1, 10, 5, true) IS NOT NULL"),
	't', 'a promoted standby records');
$standby->stop;

# Dump and restore
$primary->safe_psql('postgres', <<'END');
SELECT count(vecrecall.batch_record('insert', 'kept', 384, 10, 1, 10, 5 + i, true)) FROM generate_series(1, 20) i;
CREATE TABLE items (id int PRIMARY KEY);
INSERT INTO items SELECT generate_series(1, 20);
CALL vecrecall.run_batches('insert', 'kept', 'SELECT id FROM items', 'SELECT $1', limits => '{"max_batch": 5}');
CREATE DATABASE copy;
END
my $dump = $primary->basedir . '/dump.sql';
$primary->command_ok([ 'pg_dump', '-f', $dump, $primary->connstr('postgres') ], 'dump');
$primary->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $primary->connstr('copy') ], 'restore');
for my $table ('planner_models', 'batch_history', 'batch_job', 'audit_log')
{
	my $query = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM vecrecall.$table t";
	is($primary->safe_psql('copy', $query), $primary->safe_psql('postgres', $query), "$table is restored");
}
is($primary->safe_psql('copy', "SELECT vecrecall.batch_record('insert', 'kept', 384, 10, 1, 10, 5, true) > max(id) FROM vecrecall.batch_history"),
	't', 'and numbers go on');

done_testing();
