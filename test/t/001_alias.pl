# The extension under pgvector's name: created, refused beside the other name,
# updated, dumped and restored.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

plan skip_all => 'make install-alias was not run' unless has_alias();

my $node = new_node('alias', extension => 'vector');

is($node->safe_psql('postgres',
		"SELECT extversion FROM pg_extension WHERE extname = 'vector'"),
	'0.8.6', 'the alias has the version that clients look for');
is($node->safe_psql('postgres', "ALTER EXTENSION vector UPDATE; SELECT 1"),
	'1', 'an update to the version that it has is no error');
is($node->safe_psql('postgres',
		"SELECT source, target, path FROM pg_extension_update_paths('vector') ORDER BY 1"),
	"0.8.6|vecrecall|0.8.6--vecrecall\nvecrecall|0.8.6|vecrecall--0.8.6",
	'a database of pgvector can be taken over');
query_fails($node, 'CREATE EXTENSION vecrecall', '42710',
	'extension "vector" is installed in this database',
	'vecrecall is refused beside it');

$node->safe_psql('postgres', 'CREATE DATABASE native');
is($node->safe_psql('native', "CREATE EXTENSION vecrecall; SELECT 1"), '1',
	'another database of the server may have the other name');
my ($rc, $out, $err) =
  $node->psql('native', 'CREATE EXTENSION vector');
like($err, qr/extension "vecrecall" is installed in this database/,
	'vector is refused beside vecrecall');

# Both names have the same objects, with the same comments; the alias may have
# more, for what only pgvector's users look for.
sub members
{
	my ($database, $name) = @_;
	return split /\n/, $node->safe_psql($database, <<"END");
SELECT pg_describe_object(d.classid, d.objid, 0) || ': '
	|| coalesce(obj_description(d.objid, d.classid::regclass::name), '')
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND extname = '$name'
END
}
my %alias = map { $_ => 1 } members('postgres', 'vector');
my @native = members('native', 'vecrecall');
cmp_ok(scalar @native, '>', 100, 'the extension has members');
is_deeply([ grep { !$alias{$_} } @native ], [], 'the alias has all of them');

# A backup names the extension, and restores where either is installed.
$node->safe_psql('postgres', <<'END');
CREATE TABLE item (id int PRIMARY KEY, v vector(3), h halfvec(3), s sparsevec(3));
INSERT INTO item VALUES (1, '[1,2,3]', '[1,2,3]', '{1:1,3:2}/3'),
	(2, '[0.1,-2e-20,3e30]', '[0.1,0,65504]', '{}/3');
END
my $dump = "$PostgreSQL::Test::Utils::tmp_check/alias.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ],
	'pg_dump');
like(PostgreSQL::Test::Utils::slurp_file($dump),
	qr/CREATE EXTENSION IF NOT EXISTS vector/, 'the dump names vector');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
		'-d', $node->connstr('restored') ],
	'restore');
is($node->safe_psql('restored', 'TABLE item ORDER BY id'),
	$node->safe_psql('postgres', 'TABLE item ORDER BY id'),
	'values are the same after a restore');

done_testing();
