# The access method ivfflat of the alias: pgvector's DDL, settings and operator
# classes, served by the hnsw index.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

plan skip_all => 'make install-alias was not run' unless has_alias();

my $node = new_node('ivfflat', extension => 'vector');
load_data($node);

# Output of psql including notices, and of success or failure.
sub both
{
	my ($rc, $out, $err) = $node->psql('postgres', shift);
	return "$out$err";
}

# Names, defaults and support numbers are pgvector's.
my %want = (
	'vector_l2_ops(vector)' => 't|1 vector_l2_squared_distance,3 l2_distance',
	'vector_ip_ops(vector)' =>
	  'f|1 vector_negative_inner_product,3 vector_spherical_distance,4 vector_norm',
	'vector_cosine_ops(vector)' =>
	  'f|1 vector_negative_inner_product,2 vector_norm,3 vector_spherical_distance,4 vector_norm',
	'halfvec_l2_ops(halfvec)' =>
	  'f|1 halfvec_l2_squared_distance,3 l2_distance,5 ivfflat_halfvec_support',
	'halfvec_ip_ops(halfvec)' =>
	  'f|1 halfvec_negative_inner_product,3 halfvec_spherical_distance,4 l2_norm,5 ivfflat_halfvec_support',
	'halfvec_cosine_ops(halfvec)' =>
	  'f|1 halfvec_negative_inner_product,2 l2_norm,3 halfvec_spherical_distance,4 l2_norm,5 ivfflat_halfvec_support',
	'bit_hamming_ops(bit)' =>
	  'f|1 hamming_distance,3 hamming_distance,5 ivfflat_bit_support');
my $classes = $node->safe_psql('postgres', q{
SELECT format('%s(%s)', opcname, opcintype::regtype), opcdefault,
	string_agg(format('%s %s', amprocnum, proname), ',' ORDER BY amprocnum)
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
	JOIN pg_amproc ON amprocfamily = c.opcfamily JOIN pg_proc p ON p.oid = amproc
WHERE amname = 'ivfflat' GROUP BY 1, 2});
is_deeply({ map { split /\|/, $_, 2 } split /\n/, $classes }, \%want,
	'operator classes are those of pgvector');
is($node->safe_psql('postgres', q{
SELECT count(*), bool_and(amvalidate(c.oid))
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod WHERE amname = 'ivfflat'}),
	'7|t', 'and valid');
like(both(q{
BEGIN;
CREATE OPERATOR CLASS wrong_ops FOR TYPE vector USING ivfflat AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 3 l2_distance(vector, vector);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'wrong_ops';
ROLLBACK;}), qr/^f.*lacks a distance function or operator/s,
	'a class without a distance is not valid');
is($node->safe_psql('postgres', q{
LOAD 'vecrecall';
SELECT name, setting, coalesce(max_val, enumvals::text) FROM pg_settings
WHERE name LIKE 'ivfflat.%' ORDER BY 1}),
	"ivfflat.iterative_scan|off|{off,relaxed_order}\nivfflat.max_probes|32768|32768\nivfflat.probes|1|32768",
	'settings');

# DDL, and what it says.
$node->safe_psql('postgres', q{
CREATE TABLE item (id int PRIMARY KEY, v vector(32), h halfvec(32), b bit(32));
INSERT INTO item SELECT id, l2_normalize(v::vector), l2_normalize(v::vector), binary_quantize(v::vector)
FROM vr_test.vectors('clustered', 3000, 32, 1)});
is(both('CREATE INDEX item_v ON item USING ivfflat (v) WITH (lists = 30)'),
	'psql:<stdin>:1: NOTICE:  access method "ivfflat" is served by an hnsw index'
	  . "\nDETAIL:  Option \"lists\" has no effect.",
	'CREATE INDEX says what it makes');
is(both('REINDEX INDEX item_v; VACUUM FULL item'), '', 'a REINDEX need not');
my @index = (
	[ v => 'vector_l2_ops', '<->' ], [ v => 'vector_ip_ops', '<#>' ],
	[ v => 'vector_cosine_ops', '<=>' ], [ h => 'halfvec_l2_ops', '<->' ],
	[ h => 'halfvec_ip_ops', '<#>' ], [ h => 'halfvec_cosine_ops', '<=>' ],
	[ b => 'bit_hamming_ops', '<~>' ]);
for my $i (@index)
{
	my ($column, $class, $op) = @$i;
	$node->safe_psql('postgres', qq{
DROP INDEX IF EXISTS item_v; SET client_min_messages = warning;
CREATE INDEX item_v ON item USING ivfflat ($column $class)});
	recall_at_least(0.9, "$class, 10 probes", $node, 'item', $column, $op, 10,
		"SELECT $column FROM item WHERE id % 100 = 7",
		'SET enable_seqscan = off; SET ivfflat.probes = 10');
	index_is_sound($node, 'item_v', $class);
}

# A search gives as many rows as it is asked for, and more probes look further.
$node->safe_psql('postgres', q{
DROP INDEX item_v; SET client_min_messages = warning;
CREATE INDEX item_v ON item USING ivfflat (v vector_cosine_ops) WITH (lists = 10)});
for my $setting ('SET ivfflat.probes = 1',
	'SET ivfflat.iterative_scan = relaxed_order; SET ivfflat.max_probes = 5')
{
	is($node->safe_psql('postgres', qq{
SET enable_seqscan = off; $setting;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item
	ORDER BY v <=> (SELECT v FROM item WHERE id = 1) LIMIT 500) x}),
		'500|500', "all rows of the limit ($setting)");
}
my ($few, $many) = map {
	$node->safe_psql('postgres', qq{
SET enable_seqscan = off; SET hnsw.ef_search = 10; SET ivfflat.probes = $_;
SELECT count(*) FROM (SELECT id FROM item
	ORDER BY v <=> (SELECT v FROM item WHERE id = 1) LIMIT 1) x;
SELECT expanded FROM vecrecall.last_index_scan()})
} (1, 100);
s/.*\n// for $few, $many;
cmp_ok($many, '>', 3 * $few, "100 probes look at $many records, 1 at $few");

# Writing to it.
$node->safe_psql('postgres', q{
DELETE FROM item WHERE id % 3 = 0; VACUUM item;
INSERT INTO item SELECT id + 3000, v FROM vr_test.vectors('clustered', 500, 32, 2);
UPDATE item SET v = l2_normalize(v) WHERE id < 100});
index_is_sound($node, 'item_v', 'after changes');

# Bad input.
query_fails($node, "CREATE INDEX ON item USING ivfflat (v) WITH (lists = $_)",
	'22023', "value $_ out of bounds for option \"lists\"", "lists = $_")
  for 0, 32769;
query_fails($node, 'CREATE INDEX ON item USING ivfflat (v) WITH (m = 16)',
	'22023', 'unrecognized parameter "m"', 'an option of hnsw');
query_fails($node, 'CREATE INDEX ON item USING ivfflat (v, id)',
	'0A000', 'does not support multicolumn indexes', 'two columns');
query_fails($node, 'CREATE INDEX ON item USING ivfflat (b)',
	'42704', 'has no default operator class', 'no default for bit');
query_fails($node, 'CREATE INDEX ON item USING ivfflat ((v::vector))',
	'22023', 'column does not have dimensions', 'no dimensions');
query_fails($node, "LOAD 'vecrecall'; SET ivfflat.probes = $_",
	'22023', "$_ is outside the valid range", "probes = $_")
  for 0, 32769;
query_fails($node,
	"LOAD 'vecrecall'; SET ivfflat.iterative_scan = strict_order",
	'22023', 'invalid value', 'strict order');
query_fails($node, "LOAD 'vecrecall'; SET ivfflat.probe = 1",
	'42602', 'invalid configuration parameter name', 'a misspelt setting');

# A dump of it restores.
my $dump = "$PostgreSQL::Test::Utils::tmp_check/ivfflat.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ],
	'pg_dump');
like(PostgreSQL::Test::Utils::slurp_file($dump),
	qr/USING ivfflat \(v public\.vector_cosine_ops\) WITH \(lists='10'\)/,
	'the dump has the index as it was made');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
		'-d', $node->connstr('restored') ],
	'restore');
index_is_sound($node, 'item_v', 'after a restore', 'restored');

done_testing();
