# pg_upgrade of a cluster with indexes of every class and form: they are sound
# afterwards, answer as before, and can be written to. The old server is of this
# version, or the one of VR_OLD (a folder with "bin" that has vecrecall; "make
# check-versions" gives PostgreSQL 15's).
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $conf = "log_line_prefix = '<%e> '\nmax_parallel_workers_per_gather = 0\njit = off\n";
my $old = new_node('old', conf => $conf, $ENV{VR_OLD} ? (install => $ENV{VR_OLD}) : ());
my $version = $old->safe_psql('postgres', 'SHOW server_version_num');
load_hnsw($old);

# Each index has a table of its own: [ name, type, value, class, operator,
# attributes, options ].
my @indexes;
for my $class (qw(vector_l2 vector_ip vector_cosine vector_l1 halfvec_l2 halfvec_ip halfvec_cosine
	halfvec_l1 sparsevec_l2 sparsevec_ip sparsevec_cosine sparsevec_l1 bit_hamming bit_jaccard))
{
	my ($type, $metric) = split /_/, $class;
	my $op = { l2 => '<->', ip => '<#>', cosine => '<=>', l1 => '<+>', hamming => '<~>', jaccard => '<%>' }->{$metric};
	my $value = $type eq 'bit' ? 'binary_quantize(v)::bit(24)' : "v::$type(24)";
	for my $storage ($type =~ /^(vector|halfvec)$/ && $metric ne 'l1' ? qw(quantised lean plain) : 'plain')
	{
		push @indexes, [ "${class}_$storage", "$type(24)", $value, "${class}_ops", $op, '', "storage = $storage" ],
		  [ "${class}_${storage}_attr", "$type(24)", $value, "${class}_ops", $op, ', k, c, txt', "storage = $storage, m = 8" ];
	}
}
push @indexes, [ 'unlogged_quantised', 'vector(24)', 'v', 'vector_l2_ops', '<->', ', k', 'storage = quantised' ],
  [ 'unlogged_plain', 'vector(24)', 'v', 'vector_l2_ops', '<->', '', 'storage = plain' ],
  [ 'long_plain', 'vector(3000)', '(SELECT array_agg(vr_test.rnd(id, d)) FROM generate_series(1, 3000) d)::vector', 'vector_l1_ops', '<+>', '', 'storage = plain' ],
  [ 'precise', 'vector(24)', 'v', 'vector_l2_ops', '<->', '', 'precision = f16, code_bits = 24, seed = 5' ];

$old->safe_psql('postgres', <<'END');
SELECT setval('vecrecall.audit_log_id_seq', 5);
CREATE TYPE colour AS ENUM ('red', 'green');
ALTER TYPE colour ADD VALUE 'orange' BEFORE 'green';
CREATE TABLE data (id int PRIMARY KEY, v vector(24), k int, c colour, txt text);
INSERT INTO data SELECT id, v, id % 7, (enum_range(NULL::colour))[id % 3 + 1], 'tag ' || id % 5
	FROM vr_test.vectors('clustered', 400, 24, 3);
CREATE TABLE parts (LIKE data) PARTITION BY LIST (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (0, 1, 2, 3);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
INSERT INTO parts TABLE data;
CREATE INDEX parts_v ON parts USING hnsw (v vector_ip_ops);
CREATE INDEX data_half ON data USING hnsw ((v::halfvec(24)) halfvec_cosine_ops) WHERE k < 3;
CREATE INDEX data_order ON data (v);
CREATE TABLE done (id int CHECK (id <= 100));
ALTER DATABASE postgres SET hnsw.ef_search = 60;
END
# A batch job that comes to row 100.
query_fails($old, <<'END', '23514', 'done_id_check', 'a job is cut off');
CALL vecrecall.run_batches('insert', 'cut', 'SELECT id FROM data',
	'INSERT INTO done SELECT * FROM unnest($1)', limits => '{"max_batch": 10}', explore => false);
END
$old->safe_psql('postgres', 'ALTER TABLE done DROP CONSTRAINT done_id_check');
my $make = '';
for my $i (@indexes)
{
	my ($name, $type, $value, $class, $op, $attributes, $options) = @$i;
	my $unlogged = $name =~ /^unlogged/ ? 'UNLOGGED' : '';
	# Half by a build, half by insertion, and some deleted.
	$make .= <<"END";
CREATE $unlogged TABLE $name (id int, v $type, k int, c colour, txt text);
INSERT INTO $name SELECT id, $value, k, c, txt FROM data WHERE id <= 200;
CREATE INDEX ${name}_i ON $name USING hnsw (v $class$attributes) WITH ($options);
INSERT INTO $name SELECT id, $value, k, c, txt FROM data WHERE id > 200;
DELETE FROM $name WHERE id % 9 = 0;
VACUUM $name;
END
}
$old->safe_psql('postgres', $make);
my @databases = ('postgres');
if (has_alias())
{
	push @databases, 'alias';
	$old->safe_psql('postgres', 'CREATE DATABASE alias');
	$old->safe_psql('alias', <<'END');
CREATE EXTENSION vector;
CREATE TABLE t (id int, v vector(3));
INSERT INTO t SELECT i, ARRAY[sin(i), cos(i), i % 10] FROM generate_series(1, 300) i;
CREATE INDEX t_i ON t USING hnsw (v vector_l2_ops);
END
}

# What a cluster says of itself: the nearest of several rows by each index, with
# and without a condition, by which index, what the index holds, definitions,
# and the planner's tables.
sub says
{
	my ($node) = @_;
	my $sql = "SET enable_seqscan = off; SET enable_sort = off;\n";
	for my $i (@indexes)
	{
		my ($name, undef, undef, undef, $op, $attributes) = @$i;
		for my $where ('true', $attributes =~ /txt/ ? "k = 3 AND c = 'orange' AND txt <> 'tag 1'" : ())
		{
			$sql .= <<"END" for 5, 10, 301;
SELECT '$name', \$q\$$where\$q\$, array_agg(id), array_agg(d) FROM (SELECT id, v $op (SELECT v FROM $name WHERE id = $_) AS d FROM $name WHERE $where ORDER BY 2 LIMIT 15) s;
SELECT index FROM vecrecall.last_index_scan();
END
		}
		$sql .= "SELECT i::text FROM vecrecall.index_info('${name}_i') i;\n";
	}
	$sql .= <<'END';
SELECT array_agg(id) FROM (SELECT id FROM parts ORDER BY v <#> (SELECT v FROM data WHERE id = 9) LIMIT 20) s;
SELECT array_agg(id) FROM (SELECT id FROM data WHERE k < 3 ORDER BY v::halfvec(24) <=> '[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6]' LIMIT 20) s;
SELECT index FROM vecrecall.last_index_scan();
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1;
SELECT b::text FROM vecrecall.batch_history b ORDER BY id;
SELECT b::text FROM vecrecall.batch_job b;
SELECT b::text FROM vecrecall.planner_state b;
SELECT last_value FROM vecrecall.audit_log_id_seq;
SELECT extversion FROM pg_extension WHERE extname = 'vecrecall';
SHOW hnsw.ef_search;
END
	my $alias = !has_alias() ? '' : $node->safe_psql('alias', <<'END');
SET enable_seqscan = off;
SELECT extversion FROM pg_extension WHERE extname = 'vector';
SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> '[1,0,5]' LIMIT 15) s;
END
	return $node->safe_psql('postgres', $sql) . $alias;
}

my @names = ((map { "$_->[0]_i" } @indexes), qw(data_half parts_1_v_idx parts_2_v_idx));
sub all_sound
{
	my ($node, $when) = @_;
	index_is_sound($node, $_, "$when: $_ is sound") for @names;
	index_is_sound($node, 't_i', "$when: the alias's is sound", 'alias') if has_alias();
}

my $before = says($old);
for my $i (@indexes)
{
	my $used = () = $before =~ /^$i->[0]_i$/mg;
	is($used, $i->[5] =~ /txt/ ? 6 : 3, "$i->[0]: the index answers");
}
all_sound($old, 'before');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ $new->pg_version >= 18 ? '--no-data-checksums' : () ]);
$new->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\ntimezone = UTC\n$conf");
chomp(my $new_bin = `pg_config --bindir`);
my $old_bin = $ENV{VR_OLD} ? "$ENV{VR_OLD}/bin" : $new_bin;
# It writes into the folder it is called in.
chdir $ENV{TESTDATADIR} or die "$ENV{TESTDATADIR}: $!";
$new->command_ok([ 'pg_upgrade', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bin, '-B', $new_bin,
	'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
note("from $version to " . $new->safe_psql('postgres', 'SHOW server_version_num'));
cmp_ok($version, '<', $new->safe_psql('postgres', 'SHOW server_version_num'), 'from an older version') if $ENV{VR_OLD};

is(says($new), $before, 'the same answers, definitions and records');
all_sound($new, 'after');

# All goes on.
my $change = '';
for my $i (@indexes)
{
	my ($name, undef, $value) = @$i;
	$change .= <<"END";
DELETE FROM $name WHERE id % 4 = 0;
VACUUM $name;
INSERT INTO $name SELECT id, $value, k, c, txt FROM data WHERE id % 9 = 0;
UPDATE $name SET k = k + 1 WHERE id % 5 = 0;
END
}
$new->safe_psql('postgres', $change);
for my $i (@indexes)
{
	my ($name, undef, undef, undef, $op) = @$i;
	my $rows = $new->safe_psql('postgres', "SELECT count(*) || ' rows' FROM $name");
	is(gives_every_row($new, $name, 'v', $op, "(SELECT v FROM $name WHERE id = 5)"), $rows, "$name: $rows");
}
$new->safe_psql('postgres', <<'END');
CALL vecrecall.run_batches('insert', 'cut', 'SELECT id FROM data', 'INSERT INTO done SELECT * FROM unnest($1)');
END
is($new->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM done'), '400|400', 'the batch job goes on where it was');
all_sound($new, 'changed');

# Forks of unlogged indexes came along.
$new->stop('immediate');
$new->start;
all_sound($new, 'crashed');
$new->safe_psql('postgres', "INSERT INTO $_ SELECT id, v, k FROM data") for qw(unlogged_quantised unlogged_plain);
is(gives_every_row($new, $_, 'v', '<->', "(SELECT v FROM $_ WHERE id = 5)"), '400 rows', "$_: filled again")
  for qw(unlogged_quantised unlogged_plain);

# A new index of the same name and options is like the old one.
$new->safe_psql('postgres', 'REINDEX DATABASE postgres');
all_sound($new, 'built anew');
no_internal_errors($_) for $old, $new;

done_testing();
