# Damaged text and binary values: stated errors only. See test/fuzz.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $fuzz = "$FindBin::RealBin/../fuzz";
my $build = "$ENV{TESTDATADIR}/fuzz";
my $made = `make -s -C '$fuzz' BUILD='$build' 2>&1`;
plan skip_all => "the fuzzer does not compile without libpq: $made" if $? != 0;

my $node = new_node('fuzz');
for my $seed (1, 2)
{
	my $said =
	  `'$build/types_fuzz' '@{[ $node->connstr('postgres') ]}' $seed 25000 2>&1`;
	is($?, 0, "seed $seed: $said");
}
$node->stop;
done_testing();
