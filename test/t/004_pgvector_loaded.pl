# A session that holds pgvector's library gets one readable error. Its place is
# taken by a library that defines the same setting.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $dir = $PostgreSQL::Test::Utils::tmp_check;
my $config = $ENV{PG_CONFIG} // 'pg_config';
my $cc = $ENV{CC} // 'cc';
chomp(my $include = `$config --includedir-server`);

open my $source, '>', "$dir/other.c" or die;
print $source <<'END';
#include "postgres.h"
#include "fmgr.h"
#include "utils/guc.h"
PG_MODULE_MAGIC;
void _PG_init(void);
static int ef;
void
_PG_init(void)
{
	DefineCustomIntVariable("hnsw.ef_search", "not ours", NULL, &ef, 40, 1, 1000,
							PGC_USERSET, 0, NULL, NULL, NULL);
}
END
close $source;
system("$cc -D_GNU_SOURCE -I'$include' -fPIC -shared -o '$dir/other.so' '$dir/other.c'") == 0
  or plan skip_all => "$cc compiles nothing here";

my $node = new_node('loaded');
query_fails($node, "LOAD '$dir/other.so'; SELECT vecrecall.build_info()", '55000',
	'another library of this session has defined "hnsw.ef_search"',
	'the second library is refused');
query_fails($node, "LOAD '$dir/other.so'; SELECT '[1]'::vector; SELECT '[1]'::vector",
	'55000', 'Start a new session', 'each time, with a hint');
is($node->safe_psql('postgres', "SET hnsw.ef_search = 100; SELECT '[1]'::vector"),
	'[1]', 'a setting made before the library is loaded is no library');

done_testing();
