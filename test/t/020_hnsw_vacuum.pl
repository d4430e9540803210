# Vacuum of hnsw indexes while others search, insert, update and delete; vacuum
# broken off by a cancel and by a crash; and what a standby makes of its WAL.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

my $node = new_node(
	'vacuum',
	init => [ allows_streaming => 1 ],
	conf => <<'END');
shared_buffers = 64MB
wal_consistency_checking = 'generic'
max_wal_size = 2GB
wal_keep_size = 2GB
END
load_data($node);
$node->safe_psql('postgres',
	slurp_file("$FindBin::RealBin/../lib/hnsw.sql"));
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION vr_test.point(i int) RETURNS vector LANGUAGE sql VOLATILE
AS $$ SELECT array_agg(i % 10 * (d % 3) * 0.2 + random()) FROM generate_series(1, 24) d $$;
CREATE TABLE t (id int, kind int, v vector(24));
INSERT INTO t SELECT i, i % 5, vr_test.point(i) FROM generate_series(1, 3000) i;
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops, kind) WITH (m = 7);
CREATE INDEX t_p ON t USING hnsw (v vector_l1_ops);
CREATE INDEX t_id ON t (id);
END

# The standby compares every page that it replays with the primary's.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# Both indexes give each row that is there once, and have no fault.
sub all_is_well
{
	my ($what, $where) = @_;
	$where //= $node;
	for my $index (qw(t_q t_p))
	{
		my $op = $index eq 't_q' ? '<->' : '<+>';

		is( $where->safe_psql(
				'postgres', "SELECT f FROM vr_test.faults('$index') f"),
			'',
			"$what: $index is sound");
		next if $where != $node;
		is( $where->safe_psql('postgres', <<"END"),
SELECT vr_test.every_row('t', 'v', '$op', quote_literal(vr_test.point(7)) || '::vector')
	= (SELECT count(*) || ' rows' FROM t);
END
			't', "$what: $index gives every row once");
	}
	return;
}

sub dead
{
	return $node->safe_psql('postgres',
		"SELECT sum(dead_vertices) FROM unnest('{t_q,t_p}'::regclass[]) i, vecrecall.index_info(i)"
	);
}

# Every kind of statement at once. Half of the insertions are of values that
# are there already, so that chains of TIDs come and go.
my $mix = $node->basedir . '/mix.sql';
append_to_file($mix, <<'END');
\set op random(1, 10)
\set id random(1, 4000)
\if :op <= 2
INSERT INTO t VALUES (:id, :id % 5, vr_test.point(:id));
\elif :op <= 4
INSERT INTO t SELECT :id, kind, v FROM t WHERE id >= :id ORDER BY id LIMIT 1;
\elif :op <= 6
DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE id >= :id ORDER BY id LIMIT 2);
\elif :op <= 7
UPDATE t SET kind = kind + 1 WHERE id = :id;
\else
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> vr_test.point(:id) LIMIT 15) s;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <+> vr_test.point(:id) LIMIT 15) s;
SELECT count(*) FROM (SELECT FROM t WHERE kind = 3 ORDER BY v <-> vr_test.point(:id) LIMIT 5) s;
\endif
END
my $vacuum = $node->basedir . '/vacuum.sql';
append_to_file($vacuum, "VACUUM (INDEX_CLEANUP on, TRUNCATE off) t;\n");

sub start_pgbench
{
	my ($seconds, $out, $err) = @_;
	local %ENV = $node->_get_env();
	return IPC::Run::start(
		[
			'pgbench', '-n', '-c', 5, '-j', 2, '-T', $seconds, '-f', "$mix\@50",
			'-f', "$vacuum\@1", 'postgres'
		],
		'>', $out, '2>', $err);
}

my ($out, $err) = ('', '');
my $bench = start_pgbench(4, \$out, \$err);
$bench->finish;
unlike($err, qr/ERROR|PANIC|aborted/, 'nobody fails');
like($out, qr/failed transactions: 0 |^(?!.*failed transactions)/s,
	'no transaction failed');
all_is_well('after a mix');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
all_is_well('after a vacuum');
is(dead(), 0, 'nothing dead is left');

# A run says what it does, to who asks.
{
	my ($rc, $out, $err) = $node->psql('postgres',
		'DELETE FROM t WHERE id % 20 = 0; SET client_min_messages = debug1; VACUUM t');
	like($err, qr/"t_q": looking for dead rows in \d+ pages.*"t_q": repairing the graph around [1-9]\d* dead records.*"t_q": joining parts of \d+ live records.*"t_q": freeing [1-9]\d* records.*"t_q": [1-9]\d* records died/s,
		'the passes of a vacuum are seen');
}

# Cancelled at more and more distant moments, the last of them too late.
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 2 = 0');
my $left = 0;
for my $ms (map { 40 * 1.35**$_ } 0 .. 14)
{
	my ($rc, $stdout, $stderr) = $node->psql('postgres', <<"END");
SET vacuum_cost_delay = 1;
SET vacuum_cost_limit = 150;
SET statement_timeout = @{[int $ms]};
VACUUM (INDEX_CLEANUP on) t;
END
	last if $rc == 0;
	like($stderr, qr/canceling statement due to statement timeout/,
		'vacuum is cancelled');
	my $dead = dead();
	next if $dead == 0;
	all_is_well("cancelled with $dead dead") if $left < 4;
	$left++;
	$node->safe_psql('postgres',
		'INSERT INTO t SELECT i, i % 5, vr_test.point(i) FROM generate_series(1, 20) i'
	);
}
cmp_ok($left, '>', 0, 'a cancel left dead vertices behind');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
is(dead(), 0, 'the next vacuum finished it');
all_is_well('after cancels');

# The standby has compared enough; this is a lot of WAL.
$node->wait_for_catchup($standby);
$node->safe_psql('postgres',
	"ALTER SYSTEM SET wal_consistency_checking = ''; SELECT pg_reload_conf()");

# Few rows: the next vacuum of its own accord leaves dead TIDs alone, but not
# the records that the one before has marked.
$node->safe_psql('postgres', <<'END');
INSERT INTO t SELECT i, i % 5, vr_test.point(i) FROM generate_series(1, 4000) i;
VACUUM (INDEX_CLEANUP on) t;
DELETE FROM t WHERE (ctid::text::point)[0] = 5;
END
for my $ms (map { 30 * 1.2**$_ } 0 .. 20)
{
	$node->psql('postgres', <<"END");
SET vacuum_cost_delay = 1;
SET vacuum_cost_limit = 100;
SET statement_timeout = @{[int $ms]};
VACUUM (INDEX_CLEANUP on) t;
END
	last if dead() > 0;
}
cmp_ok(dead(), '>', 0, 'a vacuum of few rows is cancelled');
$node->safe_psql('postgres', 'VACUUM t');
is(dead(), 0, 'and finished by one that does not delete');
all_is_well('after cleanup');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
all_is_well('after another vacuum');

# Crashes, with all of that going on.
for my $round (1 .. 3)
{
	$node->safe_psql('postgres', <<'END');
INSERT INTO t SELECT i, i % 5, vr_test.point(i) FROM generate_series(1, 1500) i;
DELETE FROM t WHERE random() < 0.4;
END
	($out, $err) = ('', '');
	$bench = start_pgbench(30, \$out, \$err);
	usleep(1_000_000 + 400_000 * $round);
	$node->stop('immediate');
	$bench->finish;
	$node->start;
	all_is_well("crash $round");
	$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP on) t');
	is(dead(), 0, "crash $round: vacuum leaves nothing dead");
	all_is_well("crash $round, vacuumed");
}

# All gone, and new rows in the old pages.
my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('t_q')");
$node->safe_psql('postgres', 'DELETE FROM t; VACUUM (TRUNCATE off) t');
all_is_well('empty');
$node->safe_psql('postgres', <<'END');
INSERT INTO t SELECT i, i % 5, vr_test.point(i) FROM generate_series(1, 2000) i;
END
all_is_well('filled again');
is($node->safe_psql('postgres', "SELECT pg_relation_size('t_q')"),
	$size, 'in the same pages');

$node->wait_for_catchup($standby);
all_is_well('standby', $standby);
is( $standby->safe_psql('postgres',
		q(SET enable_seqscan = off; SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> array_fill(0.3, '{24}')::vector LIMIT 50) s)
	),
	$node->safe_psql('postgres',
		q(SET enable_seqscan = off; SELECT array_agg(id) FROM (SELECT id FROM t ORDER BY v <-> array_fill(0.3, '{24}')::vector LIMIT 50) s)
	),
	'the standby answers as the primary');
$standby->stop;

# A crash while the index grew leaves pages of zeros at its end, here one of a
# page of attributes, which have fixed places.
$node->safe_psql('postgres', <<'END');
CREATE TABLE g (id int, a int, b int, c int, v vector(24));
INSERT INTO g SELECT i, i % 7, i, i, vr_test.point(i) FROM generate_series(1, 100) i;
CREATE INDEX g_i ON g USING hnsw (v vector_l2_ops, a, b, c);
CHECKPOINT;
END
my $file = $node->data_dir . '/'
  . $node->safe_psql('postgres', "SELECT pg_relation_filepath('g_i')");
$node->stop;
open(my $fh, '>>', $file) or die "$file: $!";
print $fh "\0" x (8192 * 300);
close($fh);
$node->start;
my $filtered = <<'END';
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT FROM g WHERE a = 3 ORDER BY v <-> array_fill(0.3, '{24}')::vector LIMIT 1000) s;
END
is($node->safe_psql('postgres', $filtered), '14', 'zeroed pages: a filtered search');
$node->safe_psql('postgres', <<'END');
INSERT INTO g SELECT i, i % 7, i, i, vr_test.point(i) FROM generate_series(101, 3000) i;
DELETE FROM g WHERE id % 2 = 0;
VACUUM g;
INSERT INTO g SELECT i, i % 7, i, i, vr_test.point(i) FROM generate_series(3001, 6000) i;
END
is($node->safe_psql('postgres', "SELECT f FROM vr_test.faults('g_i') f"),
	'', 'zeroed pages: the index is sound');
is( $node->safe_psql('postgres', $filtered),
	$node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT FROM g WHERE a = 3 LIMIT 1000) s'),
	'zeroed pages: a filtered search after vacuum and insertions');
$node->stop;

done_testing();
