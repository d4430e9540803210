# make install, install-alias and their opposites into a staging directory,
# beside nothing, beside pgvector, and beside our own.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $src = $ENV{VR_SRC}
  or plan skip_all => 'make check sets VR_SRC to sources that are built';
my $stage = "$PostgreSQL::Test::Utils::tmp_check/stage";
my $config = $ENV{PG_CONFIG};
chomp(my $share = `$config --sharedir`);
chomp(my $lib = `$config --pkglibdir`);
my $extension = "$stage$share/extension";

# As a user would, in an environment that make has not filled.
sub run_make
{
	local %ENV = %ENV;
	delete @ENV{qw(MAKEFLAGS MAKELEVEL MFLAGS)};
	my $out = `make -s -C '$src' @_ with_llvm=no PG_CONFIG='$config' DESTDIR='$stage' 2>&1`;
	return ($? >> 8, $out);
}

sub control { return PostgreSQL::Test::Utils::slurp_file("$extension/vector.control"); }

my ($rc, $out) = run_make('install');
is($rc, 0, 'make install') or diag $out;
ok(-e "$stage$lib/vecrecall.so", 'the library is in DESTDIR');
ok(-e "$extension/vecrecall.control" && -e "$extension/vecrecall--1.0.sql",
	'so are the control file and the script');
ok(!-e "$extension/vector.control", 'the alias is not, unless asked for');

# Another extension's source reads our types by the installed headers alone.
chomp(my $include = `$config --includedir-server`);
chomp(my $cc = `$config --cc`);
my $user = "$PostgreSQL::Test::Utils::tmp_check/user.c";
PostgreSQL::Test::Utils::append_to_file($user, <<'END');
#include "postgres.h"
#include "fmgr.h"
#include "extension/vecrecall/vector.h"
float first_element(Datum d);
float first_element(Datum d) { return DatumGetVrVector(d)->x[0]; }
END
is(system("$cc -D_GNU_SOURCE -Wall -Werror -fsyntax-only -I'$stage$include' -I'$include' '$user'"),
	0, 'vector.h compiles where it is installed');

($rc, $out) = run_make('install-alias');
is($rc, 0, 'make install-alias') or diag $out;
like(control(), qr/^default_version = '0\.8\.6'$/m, 'its version is pgvector\'s');
like(control(), qr/^module_pathname = '\$libdir\/vecrecall'$/m, 'its library is ours');
($rc, $out) = run_make('install-alias');
is($rc, 0, 'again, over its own files') or diag $out;
($rc, $out) = run_make('uninstall-alias');
is($rc, 0, 'make uninstall-alias') or diag $out;
ok(!-e "$extension/vector.control" && !-e "$extension/vector--0.8.6.sql",
	'the alias is gone');
ok(-e "$extension/vecrecall.control", 'the extension is not');

# Somebody else's.
run_make('uninstall');
my $theirs = "comment = 'vector data type and ivfflat and hnsw access methods'\n";
PostgreSQL::Test::Utils::append_to_file("$extension/vector.control", $theirs);
($rc, $out) = run_make('install-alias');
isnt($rc, 0, 'pgvector is not overwritten');
like($out, qr/FORCE=1/, 'with a word on how to');
is(control(), $theirs, 'its control file is as it was');
ok(!-e "$extension/vector--0.8.6.sql", 'nothing was put beside it');
ok(!-e "$stage$lib/vecrecall.so", 'nor was anything else installed');
($rc, $out) = run_make('uninstall-alias');
is(control(), $theirs, 'uninstall-alias leaves it');
($rc, $out) = run_make('install-alias', 'FORCE=1');
is($rc, 0, 'FORCE=1 replaces it') or diag $out;
like(control(), qr/vecrecall under the name vector/, 'with ours');

($rc, $out) = run_make('uninstall-alias', 'uninstall');
is($rc, 0, 'make uninstall') or diag $out;
my @left = grep { -f }
  glob("$extension/* $stage$lib/* $stage$include/extension/vecrecall/{*,base/*}");
is_deeply(\@left, [], 'nothing is left');

done_testing();
