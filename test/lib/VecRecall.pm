# VecRecall.pm: what the TAP tests of vecrecall share, on top of PostgreSQL's
# own PostgreSQL::Test::Cluster. A test begins
#
#	use FindBin;
#	use lib "$FindBin::RealBin/../lib";
#	use VecRecall;
#
# and has strict, warnings and Test::More with that.
package VecRecall;

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use base 'Exporter';
our @EXPORT = qw(new_node has_alias load_data load_hnsw recall recall_at_least
  index_is_sound query_fails gives_every_row no_internal_errors);

# Test scripts get what they all begin with.
sub import
{
	strict->import;
	warnings->import;
	Test::More->export_to_level(1, undef, @Test::More::EXPORT);
	VecRecall->export_to_level(1, @_);
}

# new_node(NAME, conf => TEXT, extension => NAME or undef, init => [...],
# install => FOLDER): a started node whose database postgres has the extension,
# of the PostgreSQL in that folder.
sub new_node
{
	my ($name, %arg) = @_;
	my $extension = exists $arg{extension} ? $arg{extension} : 'vecrecall';
	my $node = PostgreSQL::Test::Cluster->new($name,
		$arg{install} ? (install_path => $arg{install}) : ());

	$node->init(@{ $arg{init} || [] });
	$node->append_conf('postgresql.conf', <<"END");
fsync = off
autovacuum = off
timezone = UTC
END
	# make check-wal: pages are compared wherever the test has them replayed.
	$node->append_conf('postgresql.conf', "wal_consistency_checking = 'generic'")
	  if $ENV{VR_WAL};
	$node->append_conf('postgresql.conf', $arg{conf}) if $arg{conf};
	$node->start;
	$node->safe_psql('postgres', "CREATE EXTENSION $extension")
	  if defined $extension;
	return $node;
}

# Is the extension installed under pgvector's name too? make check always has
# it; a server that make installcheck is run against need not.
sub has_alias
{
	chomp(my $share = `pg_config --sharedir`);
	my $control = "$share/extension/vector.control";
	return -e $control && slurp_file($control) =~ /vecrecall under the name/;
}

# Generated vectors: see data.sql.
sub load_data
{
	my ($node, $database) = @_;
	my $sql = slurp_file("$FindBin::RealBin/../lib/data.sql");
	$node->safe_psql($database // 'postgres', $sql);
	return;
}

# Functions that test hnsw indexes, besides: see hnsw.sql.
sub load_hnsw
{
	my ($node, $database) = @_;
	load_data($node, $database);
	$node->safe_psql($database // 'postgres',
		slurp_file("$FindBin::RealBin/../lib/hnsw.sql"));
	return;
}

# A scan of the whole index gives each row that its snapshot sees once. QUERY
# is an expression; SKIP a condition on rows that the index leaves out. Needs
# load_hnsw.
sub gives_every_row
{
	my ($node, $table, $column, $op, $query, $what, $skip) = @_;
	$skip //= 'false';
	my ($rc, $out, $err) = $node->psql('postgres', <<"END");
SELECT vr_test.every_row('$table', '$column', '$op', \$q\$$query\$q\$, \$q\$$skip\$q\$);
END
	like($out . $err, qr/^\d+ rows\z/,
		$what // "each row of $table comes once by $op");
	return $out;
}

# Nothing in the server's log (whose lines must begin with "%e", the SQLSTATE,
# in angle brackets) tells of a bug or of damage.
sub no_internal_errors
{
	my ($node, $what) = @_;
	my @lines = grep { /<XX\d\d\d>|PANIC|TRAP|terminated by signal/ }
	  split(/\n/, slurp_file($node->logfile));
	is(join("\n", @lines), '', $what // 'no internal errors in the log');
	return;
}

# recall(NODE, TABLE, COLUMN, OPERATOR, K, QUERIES, SETTINGS): mean recall@k of
# the index against exact search. QUERIES is a query for values of the column's
# type, SETTINGS are SQL to run before. Needs load_data.
sub recall
{
	my ($node, $table, $column, $op, $k, $queries, $settings) = @_;
	$settings //= '';
	return $node->safe_psql('postgres', <<"END");
$settings;
SELECT vr_test.recall('$table', '$column', '$op', $k, \$q\$$queries\$q\$);
END
}

# The same as a test. The floor belongs into the test script, with its seed.
sub recall_at_least
{
	my ($floor, $what, @arg) = @_;
	my $recall = recall(@arg);
	cmp_ok($recall, '>=', $floor, "$what: recall $recall, floor $floor");
	return $recall;
}

# Every invariant of the index holds. Each test that has changed an index calls
# this before it ends. $crashed is the number of sessions that a crash has just
# cut off: an insertion of each may have left a vertex that nothing leads to yet,
# which the next vacuum mends.
sub index_is_sound
{
	my ($node, $index, $what, $database, $crashed) = @_;
	my ($rc, $out, $err) = $node->psql($database // 'postgres',
		"SELECT vecrecall.check_index('$index', true)");
	# One of a thousand is let pass, or as many as were cut off.
	$out = join("\n",
		grep { !/(\d+) of (\d+) live vertices cannot be reached/ || $1 > ($crashed // $2 / 1000) }
		  split(/\n/, $out));
	is($rc . $out . $err, '0', $what // "$index is sound");
	return;
}

# The query fails with that SQLSTATE and a message that matches.
sub query_fails
{
	my ($node, $sql, $sqlstate, $pattern, $what) = @_;
	my ($rc, $out, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\n$sql");
	like($err, qr/ERROR:  \Q$sqlstate\E: .*$pattern/s, $what);
	return;
}

1;
