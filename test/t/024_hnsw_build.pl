# Builds: cancelled at any time they leave nothing; without shared memory they
# go on alone; equal seeds make equal files.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Time::HiRes qw(time);
use VecRecall;

# Small segments, so that the limit on files below is none for WAL.
my $node = new_node('build',
	init => [ extra => ['--wal-segsize=1'] ],
	conf => <<'END');
log_line_prefix = '<%e> '
dynamic_shared_memory_type = mmap
min_parallel_table_scan_size = 0
max_parallel_maintenance_workers = 2
maintenance_work_mem = '64MB'
autovacuum = off
END
load_hnsw($node);
$node->safe_psql('postgres', <<'END');
CREATE TABLE t (id int, v vector(400));
INSERT INTO t SELECT id, v FROM vr_test.vectors('uniform', 600, 400, 1);
CREATE TABLE small (id int, v vector(24), k int);
INSERT INTO small SELECT id, v, id % 5 FROM vr_test.vectors('clustered', 1500, 24, 2);
ALTER TABLE t SET (parallel_workers = 2);
ALTER TABLE small SET (parallel_workers = 2);
CHECKPOINT;
END
my $data = $node->data_dir;
my $files = "$data/base/" . $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'postgres'");

# Files of the database, and segments of shared memory.
sub left_over
{
	# Files of dropped relations go with the next checkpoint.
	$node->safe_psql('postgres', 'CHECKPOINT');
	my %kept = map { $_ => 1 } split(/\n/, $node->safe_psql('postgres',
			"SELECT pg_relation_filenode(oid) FROM pg_class WHERE pg_relation_filenode(oid) > 0"));
	my @relations = grep { /^(\d+)/ && !$kept{$1} } slurp_dir($files);
	my @segments = grep { /^mmap/ } slurp_dir("$data/pg_dynshmem");
	return join(' ', @relations, @segments);
}
sub slurp_dir { return grep { !/^\./ } PostgreSQL::Test::Utils::slurp_dir(shift); }
my $clean = left_over();

# How long a build takes here, then times within that.
for my $how ([ 'in parallel', '' ], [ 'alone', 'SET max_parallel_maintenance_workers = 0;' ],
	[ 'in little memory', "SET maintenance_work_mem = '1MB'; SET client_min_messages = warning;" ])
{
	my $ms = $node->safe_psql('postgres', <<"END");
$how->[1]
SELECT clock_timestamp() AS before \\gset
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
SELECT ceil(extract(epoch FROM clock_timestamp() - :'before') * 1000);
DROP INDEX t_v;
END
	my $cancelled = 0;
	for my $part (map { $_ / 8 } 1 .. 8)
	{
		my $timeout = int($ms * $part) || 1;
		my $start = time();
		my ($rc, $out, $err) = $node->psql('postgres',
			"$how->[1] SET statement_timeout = $timeout; CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)");
		my $took = (time() - $start) * 1000;
		$cancelled++ if $err =~ /canceling statement due to statement timeout/;
		# The first one may have had to wait for other work of the machine.
		$ms = $took if $rc == 0 && $took < $ms;
		$node->safe_psql('postgres', 'DROP INDEX IF EXISTS t_v');
	}
	cmp_ok($cancelled, '>', 0, "$how->[0]: $cancelled of 8 builds were cancelled");
	is(left_over(), $clean, "$how->[0]: no file and no shared memory is left");
	is($node->safe_psql('postgres',
			"SELECT count(*) FROM pg_locks WHERE relation IN ('t'::regclass) OR locktype = 'page'"),
		'0', "$how->[0]: no lock is left");
}

# A build that does not fit says so once, and what memory it takes: with that,
# and not with half of it, nothing is said.
# The table has not been analysed.
$node->safe_psql('postgres', "CREATE TABLE fit AS SELECT id, v::vector(100) FROM vr_test.vectors('uniform', 8000, 100, 4)");
for my $how ([ 'in parallel', 2 ], [ 'alone', 0 ])
{
	my $build = sub {
		my ($memory) = @_;
		my ($rc, $out, $err) = $node->psql('postgres', <<"END");
SET max_parallel_maintenance_workers = $how->[1];
SET maintenance_work_mem = '$memory';
CREATE INDEX fit_v ON fit USING hnsw (v vector_l2_ops);
DROP INDEX fit_v;
END
		return $err;
	};
	my $said = $build->('1MB');
	my @said = $said =~ /NOTICE: +(.*)/g;
	is(scalar(@said), 1, "$how->[0]: one NOTICE");
	like($said[0] // '', qr/^hnsw graph no longer fits into maintenance_work_mem after \d+ tuples$/, "$how->[0]: that the graph does not fit");
	like($said, qr/needs maintenance_work_mem of about (\d+) MB/, "$how->[0]: and what would do");
	my ($needs) = $said =~ /needs maintenance_work_mem of about (\d+) MB/;
	SKIP:
	{
		skip 'it was not said what would do', 2 if !defined $needs;
		is($build->("${needs}MB"), '', "$how->[0]: $needs MB do");
		like($build->(int($needs / 2) . 'MB'), qr/no longer fits/, "$how->[0]: half of it does not");
	}
}

# Terminated, and failing at the last row.
$node->psql('postgres', <<'END');
SELECT set_config('x.pid', pg_backend_pid()::text, false);
CREATE FUNCTION die(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN v; END $$;
CREATE INDEX ON small USING hnsw ((die(v)::vector(24)) vector_l2_ops);
END
$node->safe_psql('postgres', "INSERT INTO t VALUES (0, array_fill(7, '{400}'))");
query_fails($node, "CREATE INDEX ON t USING hnsw ((CASE id WHEN 0 THEN v / v ELSE v END::vector(400)) vector_l2_ops);",
	'42883', 'operator does not exist', 'an expression that is none');
query_fails($node, "CREATE INDEX ON t USING hnsw ((array_fill((1 / id)::real, '{400}')::vector(400)) vector_l2_ops);",
	'22012', 'division by zero', 'an expression that fails at the last row');
is(left_over(), $clean, 'failed builds leave nothing');

# What others see of a build: phases, and rows done of rows there are.
{
	$node->safe_psql('postgres', "CREATE TABLE many AS SELECT id, v::vector(32) FROM vr_test.vectors('clustered', 15000, 32, 3)");
	my $sql = 'SET max_parallel_maintenance_workers = 0; CREATE INDEX many_v ON many USING hnsw (v vector_l2_ops)';
	my $build = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ]);
	my (%seen, @done);
	while ($build->pumpable)
	{
		my ($phase, $done, $total) = split /\|/, $node->safe_psql('postgres', <<'END');
SELECT phase, tuples_done, tuples_total FROM pg_stat_progress_create_index WHERE relid = 'many'::regclass
END
		eval { $build->pump_nb; 1 } or last; # it has ended
		next if !defined $phase;
		$seen{$phase}++;
		push @done, $done if $phase eq 'building index: loading tuples';
		fail("$done rows of $total") if $done > 15000;
	}
	$build->finish;
	my %known = map { $_ => 1 } 'initializing', split /\n/, $node->safe_psql('postgres', <<'END');
SELECT 'building index: ' || pg_indexam_progress_phasename(oid, n)
FROM pg_am, generate_series(1, 9) n WHERE amname = 'hnsw' AND pg_indexam_progress_phasename(oid, n) IS NOT NULL
END
	is(join(', ', grep { !$known{$_} } sort keys %seen), '', 'phases of a build: ' . join(', ', sort keys %seen));
	cmp_ok($done[-1] // 0, '>', $done[0] // 0, 'the number of rows done grows');
	is(join(' ', @done), join(' ', sort { $a <=> $b } @done), 'and does not fall');
	index_is_sound($node, 'many_v');
}

# No shared memory of that size: files may not grow that far.
SKIP:
{
	skip 'no prlimit', 6 if system('prlimit --version >/dev/null 2>&1') != 0;
	# A root without /dev/shm cannot have the latter at all.
	for my $kind ('mmap', -w '/dev/shm' ? 'posix' : ())
	{
		$node->append_conf('postgresql.conf', "dynamic_shared_memory_type = $kind");
		$node->restart;
		my $pid = (split /\n/, PostgreSQL::Test::Utils::slurp_file("$data/postmaster.pid"))[0];
		system('prlimit', "--fsize=" . 2560 * 1024 . ":", '--pid', $pid) == 0 or die "prlimit: $?";
		my ($rc, $out, $err) = $node->psql('postgres', 'CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)');
		like($err, qr/NOTICE:  hnsw index is built without parallel workers/, "$kind: the build says so");
		gives_every_row($node, 't', 'v', '<->', '(SELECT v FROM t LIMIT 1)', "$kind: and has every row");
		index_is_sound($node, 't_v', "$kind: and is sound");
		$node->safe_psql('postgres', 'DROP INDEX t_v');
	}
	$node->append_conf('postgresql.conf', 'dynamic_shared_memory_type = mmap');
	$node->restart;
}

# Equal files, but for the build's id and the LSNs.
my @how = (
	[ 'quantised', '(v vector_l2_ops)', '' ],
	[ 'plain', '(v vector_cosine_ops)', 'WITH (storage = plain)' ],
	[ 'filtered', '(v vector_cosine_ops, k)', 'WITH (seed = 4)' ]);
for my $how (@how)
{
	my @images;
	for my $n (1, 2)
	{
		$node->safe_psql('postgres', <<"END");
SET max_parallel_maintenance_workers = 0;
CREATE INDEX small_$n ON small USING hnsw $how->[1] $how->[2];
CHECKPOINT;
END
		my $image = PostgreSQL::Test::Utils::slurp_file("$data/" . $node->safe_psql('postgres', "SELECT pg_relation_filepath('small_$n')"));
		# Of each page the LSN and the checksum; of the metapage the build_id.
		substr($image, $_ * 8192, 10) = "\0" x 10 for 0 .. length($image) / 8192 - 1;
		substr($image, 24 + 72, 8) = "\0" x 8;
		push @images, $image;
	}
	is(length $images[0], length $images[1], "$how->[0]: two builds have the same length");
	ok($images[0] eq $images[1], "$how->[0]: and the same bytes");
	index_is_sound($node, 'small_1', "$how->[0]: the index is sound");
	$node->safe_psql('postgres', 'DROP INDEX small_1, small_2');
}

# Shared memory that is had beforehand is given to a build as the last one left
# it: another one's records.
$node->append_conf('postgresql.conf', "min_dynamic_shared_memory = '96MB'");
$node->restart;
for my $how (@how, [ 'taxicab', '(v vector_l1_ops, k)', '' ], [ 'sparse', '((v::sparsevec(24)) sparsevec_l2_ops)', '' ])
{
	$node->safe_psql('postgres', "CREATE INDEX small_2 ON small USING hnsw $how->[1] $how->[2]");
	index_is_sound($node, 'small_2', "$how->[0]: in used memory the index is sound");
	$node->safe_psql('postgres', 'DROP INDEX small_2; CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops); DROP INDEX t_v');
}
no_internal_errors($node);

done_testing();
