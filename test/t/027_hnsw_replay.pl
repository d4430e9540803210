# The regress tests that make an hnsw index, with each page that WAL is written
# of compared after its replay on a standby. "make check-wal" does so with all
# tests.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $source = "$FindBin::RealBin/../..";
my @tests = map { m,/(\w+)\.sql$, } grep { PostgreSQL::Test::Utils::slurp_file($_) =~ /USING hnsw/ } glob("$source/sql/*.sql");
cmp_ok(scalar(@tests), '>=', 20, 'tests to run: ' . join(' ', @tests));

my $primary = new_node('primary',
	# As check.sh has it: a bare machine has no locale, and then no ICU.
	init => [ allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ] ],
	conf => <<'END');
wal_consistency_checking = 'generic'
log_line_prefix = '<%e> '
max_wal_senders = 4
max_wal_size = 4GB
shared_buffers = 256MB
END
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;

my $out = "$ENV{TESTDATADIR}/regress";
mkdir $out or die "$out: $!";
my $said = `'$ENV{PG_REGRESS}' --bindir= --inputdir='$source' --outputdir='$out' \\
	--host='@{[ $primary->host ]}' --port=@{[ $primary->port ]} \\
	--dbname=replayed --load-extension=vecrecall @tests 2>&1`;
is($?, 0, 'the expected results')
  or diag($said, -e "$out/regression.diffs" ? PostgreSQL::Test::Utils::slurp_file("$out/regression.diffs") : '');
is($primary->safe_psql('replayed', 'SHOW wal_consistency_checking'), 'generic', 'pages are compared');
# A difference ends the standby's replay.
ok($primary->poll_query_until('postgres',
	'SELECT replay_lsn >= pg_current_wal_lsn() FROM pg_stat_replication'),
	'the standby has replayed it all');
unlike(PostgreSQL::Test::Utils::slurp_file($standby->logfile), qr/inconsistent page found/, 'pages are the same after replay');
$standby->stop;
$primary->stop;
done_testing();
