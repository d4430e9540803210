# A minute of the soak test, with another seed each time. "make soak" runs it
# for as long as one likes: see test/soak/README.md.
use FindBin;
use lib "$FindBin::RealBin/../lib", "$FindBin::RealBin/../soak";
use VecRecall;

BEGIN
{
	eval { require DBD::Pg; 1 } or plan skip_all => 'Perl has no DBD::Pg (make setup)';
}
use Soak;

my $progress;
open $progress, '>&=', $ENV{SOAK_FD} or die "SOAK_FD: $!" if $ENV{SOAK_FD};
$progress->autoflush(1) if $progress;
my $seed = $ENV{SOAK_SEED} || time() % 1_000_000;
my $soak = Soak::run(
	seconds => $ENV{SOAK_SECONDS} || 60,
	clients => $ENV{SOAK_CLIENTS} || 3,
	seed => $seed,
	dir => $PostgreSQL::Test::Utils::tmp_check,
	progress => $progress);
is(join("\n", @{ $soak->{faults} }), '', "nothing is wrong (seed $seed)");
print $progress map { "\n$_\n" } @{ $soak->{faults} } if $progress;
cmp_ok($soak->{done}{query} // 0, '>', 100, 'queries were asked');
cmp_ok($soak->{done}{compared} // 0, '>', 30, 'answers of the standby were compared') if !@{ $soak->{faults} };
done_testing();
