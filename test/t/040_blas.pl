# OpenBLAS is in the process that called for it and in no other: not before the
# first batch search, not in the postmaster, not in workers of other queries;
# with one thread unless asked, and with signals blocked in any further one.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use IPC::Run;

plan skip_all => 'needs /proc' unless -e '/proc/self/maps';
chomp(my $lib = `pg_config --pkglibdir`);
plan skip_all => 'built without BLAS' unless -e "$lib/vecrecall_blas.so";

# What an administrator set for other programs must not reach a session.
$ENV{OPENBLAS_NUM_THREADS} = 3;
my $node = new_node('blas', conf => <<'END');
shared_preload_libraries = 'vecrecall'
max_parallel_workers_per_gather = 2
max_parallel_workers = 4
vecrecall.knn_amx = off
END
$node->safe_psql('postgres', <<'END');
CREATE TABLE t (id int PRIMARY KEY, v vector(64)) WITH (parallel_workers = 2);
INSERT INTO t SELECT i, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 64) j)::vector
FROM generate_series(1, 20000) i;
VACUUM ANALYZE t;
CREATE TABLE q AS SELECT array_agg(v ORDER BY id) AS q FROM t WHERE id % 40 = 0;
CREATE FUNCTION has_blas(pid text) RETURNS bool LANGUAGE sql PARALLEL SAFE AS
$$ SELECT pg_read_file('/proc/' || pid || '/maps') ~ 'blas' $$;
CREATE FUNCTION threads() RETURNS int LANGUAGE sql AS
$$ SELECT substring(pg_read_file('/proc/self/status') from 'Threads:\s*(\d+)')::int $$;
-- Threads besides the first that would take SIGINT, SIGUSR1 or SIGTERM.
CREATE FUNCTION open_threads() RETURNS bigint LANGUAGE sql AS
$$ SELECT count(*) FROM pg_ls_dir('/proc/self/task') t,
	LATERAL (SELECT ('x' || substring(pg_read_file('/proc/self/task/' || t || '/status') from 'SigBlk:\s*[0-9a-f]{8}([0-9a-f]{8})'))::bit(32)) s(mask)
	WHERE t::int <> pg_backend_pid() AND mask & x'00004202' <> x'00004202' $$;
END

my $force = $node->safe_psql('postgres', 'SHOW server_version_num') >= 160000
  ? 'debug_parallel_query' : 'force_parallel_mode';
my $few = q(SELECT count(*) FROM q, vecrecall.knn_exact('t', 'v', q.q[1:2], 5));
my $many = q(SELECT count(*) FROM q, vecrecall.knn_exact('t', 'v', q.q, 5));

my $result = $node->safe_psql('postgres', <<"END");
SELECT 'operator', has_blas('self'), threads() FROM (SELECT count(v <-> v) FROM t) s;
$few;
SELECT 'few queries', has_blas('self'), blas, blas_threads, threads() FROM vecrecall.build_info();
SET vecrecall.blas_threads = 0;
$many;
SELECT 'kernels', has_blas('self'), threads();
SET vecrecall.blas_threads = 1;
$many;
SELECT 'blas', has_blas('self'), blas LIKE 'OpenBLAS%', blas_threads, threads() FROM vecrecall.build_info();
SELECT 'postmaster', has_blas('$node->{_pid}');
SET $force = on;
SELECT 'worker', has_blas('self');
RESET $force;
SET vecrecall.blas_threads = 2;
$many;
SELECT 'two', blas_threads, threads() > 1, open_threads() FROM vecrecall.build_info();
SET vecrecall.blas_threads = 1;
$many;
SELECT 'one again', blas_threads FROM vecrecall.build_info();
END
is($result, <<'END' =~ s/\n$//r, 'BLAS is where it is used, and nowhere else');
operator|f|1
10
few queries|f|not loaded in this session||1
2500
kernels|f|1
2500
blas|t|t|1|1
postmaster|f
worker|f
2500
two|2|t|0
2500
one again|1
END

# An OpenBLAS older than the CPU takes it for a Prescott, and a quarter of the
# speed; not so in a session of ours, and not so in its workers.
SKIP: {
	open my $cpuinfo, '<', '/proc/cpuinfo' or die;
	skip 'an old CPU', 1 unless grep { /^flags\s*:.*\bavx2\b/ } <$cpuinfo>;
	is($node->safe_psql('postgres', "$many; SELECT blas ~ 'Prescott' FROM vecrecall.build_info()"),
		"2500\nf", 'OpenBLAS uses the CPU that there is');
}

# With products in bfloat16 a search does without, where the CPU has them; a
# worker too, which knows of them by itself.
SKIP: {
	open my $cpuinfo, '<', '/proc/cpuinfo' or die;
	skip 'no matrix tiles', 1 unless grep { /^flags\s*:.*\bamx_bf16\b.*\bamx_tile\b/ } <$cpuinfo>;
	my (undef, $out, $err) = $node->psql('postgres', "SET vecrecall.knn_amx = on; SET client_min_messages = debug1; $many; SELECT blas FROM vecrecall.build_info()");
	like("$out $err", qr/^2500\nnot loaded.* bfloat16,/s, 'products in bfloat16 need no BLAS');
}

# The signals of a statement still work while threads compute.
my ($rc, $out, $err) = $node->psql('postgres', <<"END");
SET vecrecall.blas_threads = 2;
SET statement_timeout = 300;
SELECT count(*) FROM q, generate_series(1, 100000) g, vecrecall.knn_exact('t', 'v', q.q, 5 + g % 2);
END
like($err, qr/canceling statement due to statement timeout/, 'a batch search can be cancelled');

# Several processes, each with a BLAS of its own, that leave when done.
($rc, $out, $err) = $node->psql('postgres', <<"END");
SET client_min_messages = debug1;
SELECT count(*), sum(distance) FROM q, vecrecall.knn_exact('t', 'v', q.q, 50);
SET max_parallel_workers_per_gather = 0;
SELECT count(*), sum(distance) FROM q, vecrecall.knn_exact('t', 'v', q.q, 50);
RESET max_parallel_workers_per_gather;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*), sum(distance) FROM q, vecrecall.knn_exact('t', 'v', q.q, 50);
COMMIT;
SET max_parallel_workers = 0;
SELECT count(*), sum(distance) FROM q, vecrecall.knn_exact('t', 'v', q.q, 50);
END
my @sums = split /\n/, $out;
is($sums[0], $sums[1], 'several processes find what one does');
is($sums[2], $sums[1], 'through the scan of the server too');
is($sums[3], $sums[1], 'and where those that were to come do not');
chomp(my $cores = `getconf _NPROCESSORS_ONLN`);
SKIP: {
	skip 'one core', 1 if $cores < 2;
	my @planned = $err =~ /, (\d+) workers,/g;
	is("@planned", join(' ', $planned[0], 0, $planned[0], $planned[0]), 'several were to come');
	cmp_ok($planned[0], '>', 0, 'but for one search');
}

# A guess of how near the last result will be, from a sample of blocks, is used
# and taken back: all that the sample sees is near, and that is not enough.
$node->safe_psql('postgres', <<"END");
CREATE TABLE guess (id int PRIMARY KEY, v vector(80)) WITH (fillfactor = 10, parallel_workers = 2);
INSERT INTO guess SELECT i, (SELECT array_agg((5 + sin(i * j))::real ORDER BY j) FROM generate_series(1, 80) j)::vector
FROM generate_series(1, 4000) i;
WITH runs AS (SELECT (pg_relation_size('guess') / current_setting('block_size')::int * i / 64)::int AS block FROM generate_series(0, 63) i)
UPDATE guess SET v = (SELECT array_agg(sin(id * j)::real ORDER BY j) FROM generate_series(1, 80) j)::vector
WHERE (ctid::text::point)[0]::int IN (SELECT block FROM runs);
ANALYZE guess;
END
for my $workers ($cores < 2 ? 0 : (0, 1))
{
	my (undef, $out, $err) = $node->psql('postgres', <<"END");
SET max_parallel_workers_per_gather = $workers;
SET work_mem = '64MB';
SET client_min_messages = debug1;
SELECT count(*), max(rank), round(max(distance)) > 40 FROM vecrecall.knn_exact('guess', 'v',
	ARRAY(SELECT v FROM guess, generate_series(1, 20) WHERE vector_norm(v) < 20 LIMIT 1500), 300);
END
	is($out, '450000|300|t', "as many results as were asked for, $workers workers");
	like($err, qr/ $workers workers,.*scans again: a guess was too low/s, 'by another scan');
}

# A search that lasts shows in pg_stat_activity how far it is, before a part of
# its query that ends where a character does.
$node->safe_psql('postgres', "CREATE DATABASE utf8 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
$node->safe_psql('utf8', <<'END');
CREATE EXTENSION vecrecall;
CREATE TABLE t AS SELECT i AS id, (SELECT array_agg(sin(i * j)::real ORDER BY j) FROM generate_series(1, 64) j)::vector AS v
FROM generate_series(1, 20000) i;
ANALYZE t;
END
# With four digits of rows and with five, what there is room for ends within one.
my $comment = 'no' . "\xe2\x82\xac" x 100;
$node->safe_psql('postgres', 'SET vecrecall.blas_threads = 0; SET max_parallel_workers_per_gather = 0; SELECT 1');
my $run = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('utf8'), '-c',
		"/* $comment */ " . q(SET max_parallel_workers_per_gather = 0; SET vecrecall.blas_threads = 0;
		  SELECT sum(n) FROM (SELECT array_agg(v) FROM t WHERE id <= 8000) q (a), generate_series(1, 500) g,
			LATERAL (SELECT count(*) AS n FROM vecrecall.knn_exact('t', 'v', a, 5 + g % 2, 'l1')) s) ],
	'>', \my $progress_out, '2>', \my $progress_err);
ok($node->poll_query_until('postgres',
	"SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^vecrecall.knn_exact: \\d+ of about 20000 rows: '"),
	'progress is visible');
is($node->safe_psql('utf8', "SELECT convert_from(convert_to(query, 'UTF8'), 'UTF8') ~ '^vecrecall.knn_exact: .*\\u20ac\$' FROM pg_stat_activity WHERE query ~ '^vecrecall'"),
	't', 'in whole characters');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'vecrecall.knn_exact' AND pid <> pg_backend_pid()");
$run->finish;
like($progress_err, qr/canceling statement due to user request/, 'and it can be cancelled there');

done_testing();
