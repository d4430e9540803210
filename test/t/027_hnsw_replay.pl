# The regress tests of the hnsw index that change pages in every way, with each
# page that WAL is written of compared after its replay on a standby.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $top = "$FindBin::RealBin/../..";
my $primary = new_node('primary',
	init => [ allows_streaming => 1 ],
	conf => "wal_consistency_checking = 'generic'\nlog_line_prefix = '<%e> '\nmax_wal_senders = 4\n");
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;

$ENV{PG_ABS_SRCDIR} = $top;
for my $test (qw(hnsw_update hnsw_duplicates hnsw_filter hnsw_sparsevec hnsw_bit))
{
	$primary->safe_psql('postgres', "CREATE DATABASE $test");
	my ($rc, $out, $err) = $primary->psql($test,
		"CREATE EXTENSION vecrecall;\n" . PostgreSQL::Test::Utils::slurp_file("$top/sql/$test.sql"),
		on_error_stop => 0);
	like($out, qr/\d+ rows/, "$test: it has run");
	unlike($out, qr/\bmissing\b|more than once|cannot be reached/, "$test: nothing is lost");
	# A difference would have ended the standby's replay.
	ok($primary->poll_query_until('postgres',
		"SELECT replay_lsn >= pg_current_wal_lsn() FROM pg_stat_replication"),
		"$test: the standby has replayed it");
}
my $log = PostgreSQL::Test::Utils::slurp_file($standby->logfile);
unlike($log, qr/inconsistent page found/, 'pages are the same after replay');
my ($rc, $generic) = $primary->psql('postgres',
	"SELECT setting FROM pg_settings WHERE name = 'wal_consistency_checking'");
is($generic, 'generic', 'they were compared');
no_internal_errors($primary);

done_testing();
