# Indexes through pg_dump and restore, in another tablespace, under pg_amcheck,
# and in a copy of the database.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('dump', conf => "log_line_prefix = '<%e> '\n");
load_hnsw($node);
my $space = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', "CREATE TABLESPACE other LOCATION '$space'");
$node->safe_psql('postgres', <<'END');
CREATE TYPE kind AS ENUM ('a', 'b');
CREATE TABLE t (id int, v vector(8), k int, c kind, txt text);
INSERT INTO t SELECT id, v, id % 3, 'a', 'x' || id % 4 FROM vr_test.vectors('uniform', 400, 8, 1);
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops, k, c, txt) WITH (m = 12, ef_construction = 50, precision = int8, code_bits = 16, seed = 9);
CREATE INDEX t_p ON t USING hnsw (v vector_l1_ops) WITH (storage = plain) TABLESPACE other WHERE k > 0;
CREATE INDEX t_half ON t USING hnsw ((v::halfvec(8)) halfvec_cosine_ops);
CREATE INDEX t_bits ON t USING hnsw ((binary_quantize(v)::bit(8)) bit_hamming_ops);
ALTER INDEX t_half SET (m = 20);
CREATE TABLE s (id int, v sparsevec(30));
CREATE INDEX s_v ON s USING hnsw (v sparsevec_ip_ops);
INSERT INTO s SELECT id, ('{' || 1 + id % 30 || ':' || id || '}/30')::sparsevec FROM generate_series(1, 100) id;
CREATE TABLE parts (id int, v vector(8)) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE INDEX parts_v ON parts USING hnsw (v vector_ip_ops);
CREATE FUNCTION nearest() RETURNS text LANGUAGE plpgsql SET enable_seqscan = off
AS $$ BEGIN RETURN (SELECT string_agg(id::text, ',') FROM (SELECT id FROM t ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 10) s); END $$;
END
my $defs = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1";
my $before = $node->safe_psql('postgres', $defs);
like($before, qr/USING hnsw \(v vector_l2_ops, k, c, txt\) WITH \(m='?12'?, ef_construction='?50'?, "?precision"?='?int8'?, code_bits='?16'?, seed='?9'?\)/,
	'the definition has all options');

for my $format (qw(plain custom))
{
	my $file = $node->basedir . "/$format";
	$node->command_ok([ 'pg_dump', "-F$format", '-f', $file, $node->connstr('postgres') ], "$format dump");
	$node->safe_psql('postgres', "CREATE DATABASE r_$format TEMPLATE template0");
	$node->command_ok($format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr("r_$format") ]
		: [ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr("r_$format"), $file ],
		"$format restore");
	is($node->safe_psql("r_$format", $defs), $before, "$format: the same definitions");
	is($node->safe_psql("r_$format", 'SELECT nearest()'),
		$node->safe_psql('postgres', 'SELECT nearest()'), "$format: the same answer");
	index_is_sound($node, $_, "$format: $_ is sound", "r_$format") for qw(t_q t_p t_half t_bits s_v);
}

$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE r_plain');
is($node->safe_psql('copy', 'SELECT nearest()'), $node->safe_psql('postgres', 'SELECT nearest()'),
	'a copy of a database has the same answer');
index_is_sound($node, 't_q', 'and its index is sound', 'copy');

my $answer = $node->safe_psql('postgres', 'SELECT nearest()');
$node->safe_psql('postgres', 'ALTER INDEX t_q SET TABLESPACE other');
is($node->safe_psql('postgres', 'SELECT nearest()'), $answer, 'the same answer in another tablespace');
$node->safe_psql('postgres', "INSERT INTO t SELECT id + 400, v, 1, 'b', 'y' FROM vr_test.vectors('uniform', 50, 8, 2)");
$node->stop('immediate');
$node->start;
index_is_sound($node, $_, "$_ is sound there, after a crash") for qw(t_q t_p);
gives_every_row($node, 't', 'v', '<->', "'[1,1,1,1,1,1,1,1]'");

# It knows heaps and B-trees, and must not mind the rest.
SKIP:
{
	skip 'no amcheck', 1
	  if $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") eq '0';
	$node->command_ok([ 'pg_amcheck', '--install-missing', '--all' ], 'pg_amcheck');
}

# An extension that goes takes its indexes with it, and only by CASCADE.
query_fails($node, 'DROP EXTENSION vecrecall;', '2BP01', 'depend', 'the extension is held by its indexes');
$node->safe_psql('copy', 'DROP EXTENSION vecrecall CASCADE');
is($node->safe_psql('copy', "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"), '0', 'CASCADE drops them');
no_internal_errors($node);

done_testing();
