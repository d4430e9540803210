# A job of vecrecall.run_batches that is cut off, in every way there is, keeps
# what was committed and goes on after it.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;
use IPC::Run;

my $node = new_node('jobs');
$node->safe_psql('postgres', <<'END');
CREATE TABLE items (id int PRIMARY KEY, v vector(8));
INSERT INTO items SELECT i, array_fill(i::real, '{8}')::vector FROM generate_series(1, 2000) i;
CREATE TABLE done (id int, v vector(8));
CREATE FUNCTION slow(int[], vector[]) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO done SELECT * FROM unnest($1, $2);
	SELECT 1::bigint FROM pg_sleep(0.02)
$$;
END
my $call = <<'END';
CALL vecrecall.run_batches('insert', 'cut', 'SELECT id, v FROM items', 'SELECT slow($1, $2)',
	dim => 8, limits => '{"max_batch": 10}', explore => false);
END

sub value
{
	return $node->safe_psql('postgres', shift);
}

# What was committed is what the job says, each item once.
sub consistent
{
	my ($what) = @_;
	is(value('SELECT count(*) = count(DISTINCT id) AND count(*) = '
			  . '(SELECT items FROM vecrecall.batch_job) AND max(id)::text = '
			  . '(SELECT last_key FROM vecrecall.batch_job) FROM done'),
		't', "$what: what is done is what the job says");
	return value('SELECT count(*) FROM done');
}

# Starts the job in the background and waits for some of it to be done.
sub start
{
	my $before = value('SELECT count(*) FROM done');
	my $out = '';
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $call ],
		'<', \undef, '>', \$out, '2>', \$out);
	$node->poll_query_until('postgres',
		"SELECT count(*) > $before + 30 FROM done") or die 'the job does not start';
	return ($run, \$out);
}

my ($run, $out) = start();
is(value('SELECT state, pid IS NOT NULL, batch_size FROM vecrecall.batch_progress'),
	'running|t|10', 'progress is seen while the job runs');
value('SELECT pg_cancel_backend(pid) FROM vecrecall.batch_job');
$run->finish;
like($$out, qr/canceling statement due to user request/, 'a cancelled job says so');
is(value('SELECT state, message, pid FROM vecrecall.batch_progress'),
	'cancelled|canceling statement due to user request|', 'and is marked so');
my $done = consistent('cancelled');
cmp_ok($done, '<', 2000, 'and has not ended');
is(value("SELECT count(*) FROM vecrecall.batch_history WHERE NOT ok"), '0',
	'a cancelled batch teaches nothing');

# Between batches, too: recording the last one waits for a lock here.
my $lock = 'BEGIN; LOCK TABLE vecrecall.batch_history IN SHARE MODE; SELECT pg_sleep(600)';
my ($waiting, $locked) = ('', '');
my $locker = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $lock ],
	'<', \undef, '>', \$locked, '2>', \$locked);
my $holds = q{SELECT pid FROM pg_locks WHERE relation = 'vecrecall.batch_history'::regclass
	AND mode = 'ShareLock' AND granted};
$node->poll_query_until('postgres', "SELECT EXISTS ($holds)") or die 'no lock';
$run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $call ],
	'<', \undef, '>', \$waiting, '2>', \$waiting);
$node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM vecrecall.batch_job j '
	  . "JOIN pg_stat_activity a USING (pid) WHERE a.wait_event_type = 'Lock')")
  or die 'the job does not wait';
value('SELECT pg_cancel_backend(pid) FROM vecrecall.batch_job');
$run->finish;
value("SELECT pg_terminate_backend(pid) FROM ($holds) l");
$locker->finish;
is(value('SELECT state, pid FROM vecrecall.batch_progress'), 'cancelled|',
	'a job that is cancelled between batches is marked so');
is(consistent('cancelled between batches'), $done + 10, 'after the batch that was done');

my ($rc, $stdout, $err) = $node->psql('postgres', "SET statement_timeout = '300ms'; $call");
like($err, qr/statement timeout/, 'a time-out cuts off as well');
cmp_ok(consistent('timed out'), '>', $done, 'after some more was done');

($run, $out) = start();
value('SELECT pg_terminate_backend(pid) FROM vecrecall.batch_job');
$run->finish;
like($$out, qr/terminating connection/, 'a terminated session says so');
$done = consistent('terminated');

($run, $out) = start();
$node->stop('immediate');
$run->finish;
$node->start;
is(value('SELECT state FROM vecrecall.batch_progress'), 'running',
	'after a crash the job still counts as running');
cmp_ok(consistent('crashed'), '>', $done, 'after some more was done');

# The lock went with the session: the job goes on to the end.
$node->safe_psql('postgres', $call);
is(consistent('at last'), '2000', 'the job goes on to its end');
is(value('SELECT state, message FROM vecrecall.batch_progress'), 'done|', 'and is done');
cmp_ok(value("SELECT count(*) FROM vecrecall.batch_history WHERE ok AND target = 'cut'"),
	'>=', 195, 'nearly every batch was recorded');
is(value('SELECT sum(rows) FILTER (WHERE ok) <= 2000 FROM vecrecall.batch_history'),
	't', 'and none twice');

# Progress of a job that waits between batches is that of its last commit; a
# job within a READ ONLY session is refused.
($rc, $stdout, $err) = $node->psql('postgres', "SET default_transaction_read_only = on; $call");
like($err, qr/cannot execute run_batches\(\) in a read-only transaction/, 'read-only');

done_testing();
