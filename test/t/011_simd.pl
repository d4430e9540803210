# Every instruction set that this CPU has gives the answers that the regress
# tests expect: those of types and operators, run once for each.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $source = "$FindBin::RealBin/../..";
# knn_exact is left out: most of its seconds go to what is above the kernels.
my @tests = map { m,/((?:bit|halfvec|sparsevec|vector|types)_\w+|knn_arrays)\.sql$, }
  glob("$source/sql/*.sql");
my $best_of = q{SELECT array_to_string(simd_available, ' ') FROM vecrecall.build_info()};
my $chosen = 'SELECT simd FROM vecrecall.build_info()';

my $node = new_node('simd');
my @sets = split / /, $node->safe_psql('postgres', $best_of);

cmp_ok(scalar(@tests), '>=', 15, 'tests to run: ' . join(' ', @tests));
is($sets[-1], 'scalar', 'instruction sets to run: ' . join(' ', @sets));

for my $set (@sets)
{
	my $out = "$ENV{TESTDATADIR}/simd_$set";
	my $database = "simd_$set";

	mkdir $out or die "$out: $!";
	$node->append_conf('postgresql.conf', "vecrecall.simd = '$set'");
	$node->reload;
	$node->poll_query_until('postgres', $chosen, $set)
	  or die "vecrecall.simd = $set has no effect";

	my $said = `'$ENV{PG_REGRESS}' --bindir= --inputdir='$source' \\
		--outputdir='$out' --host='@{[ $node->host ]}' --port=@{[ $node->port ]} \\
		--dbname=$database --load-extension=vecrecall @tests 2>&1`;
	is($?, 0, "$set: the expected results")
	  or diag($said, -e "$out/regression.diffs" ? PostgreSQL::Test::Utils::slurp_file("$out/regression.diffs") : '');
	is($node->safe_psql($database, $chosen), $set, "$set: chosen to the end");
}
$node->stop;
done_testing();
