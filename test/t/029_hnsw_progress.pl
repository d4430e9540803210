# vecrecall.stat_progress_vacuum: what a vacuum, slowed down, tells of itself;
# who may see it; and that nothing of it is left where it is over.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use PostgreSQL::Test::Utils;
use IPC::Run ();

my $node = new_node('progress', conf => <<'END');
min_parallel_index_scan_size = 0
max_parallel_maintenance_workers = 2
END
$node->safe_psql('postgres', <<'END');
CREATE ROLE guest LOGIN;
CREATE ROLE monitor LOGIN IN ROLE pg_read_all_stats;
CREATE DATABASE other;
SELECT setseed(0.5);
CREATE TABLE t (id int, v vector(8));
INSERT INTO t SELECT i, (SELECT array_agg(random() + 0 * i * d) FROM generate_series(1, 8) d)::vector FROM generate_series(1, 400) i;
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
CREATE TABLE two (id int, v vector(8));
INSERT INTO two SELECT * FROM t;
CREATE INDEX two_a ON two USING hnsw (v vector_l2_ops);
CREATE INDEX two_b ON two USING hnsw (v vector_cosine_ops);
-- What is told at some time of the VACUUM that comes next, in order.
CREATE TABLE told (n serial, vacuum_phase text, heap_blks bigint, pid int, leader_pid int, datname name, relid regclass,
	index_relid oid, index regclass, phase text, blocks_total bigint, blocks_done bigint, records_total bigint, records_done bigint);
CREATE PROCEDURE watch() LANGUAGE plpgsql AS $$
DECLARE
	deadline timestamptz := clock_timestamp() + interval '2 minutes';
	seen bool := false;
BEGIN
	TRUNCATE told;
	COMMIT;
	LOOP
		PERFORM pg_stat_clear_snapshot();
		INSERT INTO told (vacuum_phase, heap_blks, pid, leader_pid, datname, relid, index_relid, index, phase,
				blocks_total, blocks_done, records_total, records_done)
			SELECT p.phase, p.heap_blks_scanned, p.pid, leader_pid, s.datname, s.relid, index_relid, index, s.phase,
				blocks_total, blocks_done, records_total, records_done
			FROM pg_stat_progress_vacuum p LEFT JOIN vecrecall.stat_progress_vacuum s USING (pid);
		EXIT WHEN seen AND NOT FOUND OR clock_timestamp() > deadline;
		seen := seen OR FOUND;
		PERFORM pg_sleep(0.002);
	END LOOP;
END $$;
END
$node->safe_psql('other', 'CREATE EXTENSION vecrecall');

# Each page costs this many milliseconds.
sub slow
{
	my ($ms) = @_;
	return "SET vacuum_cost_delay = $ms; SET vacuum_cost_limit = 1; SET vacuum_cost_page_hit = 1;"
	  . 'SET vacuum_cost_page_miss = 1; SET vacuum_cost_page_dirty = 0;';
}

sub start
{
	my ($sql) = @_;
	my $err = '';
	my $run = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), map { ('-c', $_) } split /;/, $sql ],
		'>', \my $out, '2>', \$err);
	return ($run, \$err);
}

# What a whole VACUUM of a table tells, in table told.
sub watched
{
	my ($vacuum) = @_;
	my ($watch) = start('CALL watch()');
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'CALL watch%' AND wait_event = 'PgSleep')");
	$node->safe_psql('postgres', slow(20) . $vacuum);
	return $watch->finish;
}

sub told
{
	my ($what) = @_;
	return $node->safe_psql('postgres', "SELECT $what");
}

# One index, one process.
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 4 = 0');
my $dead = told("dead_vertices FROM vecrecall.index_info('t_v')");
is($dead, '0', 'nothing is marked dead before');
my $blocks = told("pg_relation_size('t_v') / current_setting('block_size')::int");
ok(watched('VACUUM (PARALLEL 0) t'), 'a vacuum is watched');
is(told("string_agg(phase, ', ' ORDER BY first) FROM (SELECT phase, min(n) AS first FROM told
		WHERE phase IN ('looking for dead rows', 'repairing the graph', 'freeing records') GROUP BY 1) s"),
	'looking for dead rows, repairing the graph, freeing records',
	'its passes are told, in order');
is(told("DISTINCT ON (1) datname || ' ' || relid || ' ' || index || ' ' || (index_relid = index)::text FROM told WHERE phase IS NOT NULL"),
	'postgres t t_v true', 'of that index');
is(told("count(*) FROM told WHERE leader_pid IS NOT NULL"), '0', 'by no worker');
is(told("count(DISTINCT pid) FROM told"), '1', 'but by one process');
is(told("string_agg(DISTINCT blocks_total::text, ' ') FROM told WHERE phase IN ('looking for dead rows', 'repairing the graph')"),
	$blocks, 'the blocks are those of the index');
is(told("count(*) FROM (SELECT blocks_done < lag(blocks_done) OVER w OR blocks_done > blocks_total
			OR records_done < lag(records_done) OVER w OR records_done > records_total AS bad
		FROM told WHERE phase IS NOT NULL WINDOW w AS (PARTITION BY phase ORDER BY n)) s WHERE bad"),
	'0', 'what is done grows, and not beyond the total');
cmp_ok(told("count(DISTINCT blocks_done) FROM told WHERE phase = '$_'"), '>=', 3, "and does so, $_")
  for 'looking for dead rows', 'repairing the graph';
cmp_ok(told("count(DISTINCT records_done) FROM told WHERE phase = 'freeing records'"), '>=', 3, 'and freeing records');
# Those of upper levels are dead besides the hundred.
cmp_ok(told("min(records_total) FROM told WHERE phase = 'freeing records'"), '>=', 100, 'which are those that died');
cmp_ok(told("max(records_total) FROM told WHERE phase = 'freeing records'"), '<', 150, 'and no others');
is(told("string_agg(DISTINCT vacuum_phase, ', ') FROM told WHERE phase IS NOT NULL"),
	'vacuuming indexes', 'nothing is told but from within the index');
is(told("count(*) > 0 FROM told WHERE phase IS NULL AND vacuum_phase = 'scanning heap' AND heap_blks > 0"),
	't', 'and what the server tells is left alone');

# Two indexes: a worker takes one of them.
$node->safe_psql('postgres', 'DELETE FROM two WHERE id % 4 = 0');
ok(watched('VACUUM (PARALLEL 1) two'), 'a parallel vacuum is watched');
is(told("count(DISTINCT index) FILTER (WHERE leader_pid IS NULL) || ' ' || count(DISTINCT index) FILTER (WHERE leader_pid IS NOT NULL)
		FROM told WHERE phase IS NOT NULL"), '1 1', 'leader and worker tell of an index each');
is(told("count(DISTINCT index) FROM told"), '2', 'not of the same');
# A worker that has just said what its command is, is in no index yet.
is(told("DISTINCT (leader_pid = (SELECT DISTINCT pid FROM told WHERE leader_pid IS NULL AND phase IS NOT NULL)) FROM told WHERE leader_pid IS NOT NULL"),
	't', 'and whose worker it is');
is(told("string_agg(DISTINCT relid || ' ' || vacuum_phase, ', ') FROM told WHERE leader_pid IS NOT NULL"),
	'two vacuuming indexes', 'pg_stat_progress_vacuum has the worker, in the same table');

# Held in the first pass: what others see of it.
$node->safe_psql('postgres', 'DELETE FROM t WHERE id % 4 = 1');
my ($vacuum, $err) = start(slow(100) . 'VACUUM (PARALLEL 0) t');
ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM vecrecall.stat_progress_vacuum WHERE index = 't_v'::regclass)"),
	'a vacuum is in the index');
my $query = 'SELECT count(*), count(index), count(index_relid) FROM vecrecall.stat_progress_vacuum';
is($node->safe_psql('other', $query), '1|0|1', 'from another database, without a name');
is($node->safe_psql('postgres', $query, extra_params => [ '-U', 'monitor' ]), '1|1|1', 'by who may see statistics');
is($node->safe_psql('postgres', $query, extra_params => [ '-U', 'guest' ]), '0|0|0', 'but not by everybody');
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT pg_cancel_backend(pid) FROM vecrecall.stat_progress_vacuum) s"),
	'1', 'it is cancelled');
$vacuum->finish;
like($$err, qr/canceling statement/, 'and ends');
is($node->safe_psql('postgres', $query), '0|0|0', 'nothing is told any more');

index_is_sound($node, $_) for qw(t_v two_a two_b);
done_testing();
