# Soak.pm: the soak test: rounds of clients, maintenance and a standby's
# reader, each ended by a crash or otherwise, and everything compared after it.
# See README.md.
package Soak;

use strict;
use warnings;

use FindBin;
use IO::Handle;
use POSIX ();
use Storable qw(nstore retrieve);
use Test::More;
use Time::HiRes qw(time sleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SoakAnswer qw(answer_hits);
use SoakClient;
use SoakKeeper;
use SoakModel;
use SoakSchema qw(tables indexes create_sql setup_sql random_query);
use VecRecall;

use constant READER => 100;
use constant KEEPER => 200;
# Below this many rows of answers a recall says nothing.
use constant ENOUGH => 300;

my $out;

# Progress, for a person: one line that is written over on a terminal.
sub say_line
{
	my ($text, $keep) = @_;
	note($text) if $keep;
	return if !$out;
	if (-t $out) { printf $out "\r%-100s%s", substr($text, 0, 100), $keep ? "\n" : ''; }
	elsif ($keep) { print $out "$text\n"; }
	return;
}

sub dsn { my ($node) = @_; return 'dbi:Pg:dbname=postgres;user=' . getpwuid($<) . ';host=' . $node->host . ';port=' . $node->port; }

sub same_seed { my ($s, @more) = @_; my $x = $s; $x = ($x * 7919 + $_ * 104729 + 12345) % 2147483647 for @more; return $x; }

# ---------------------------------------------------------------- processes

# A process that runs a client's work and leaves its model and its figures in a
# file. Its random numbers come from the seed, its number and the round.
sub spawn
{
	my ($s, $number, $class, %arg) = @_;
	my $file = "$s->{dir}/client_$number";
	unlink $file;
	my $pid = fork() // die "fork: $!";
	return { pid => $pid, number => $number, file => $file } if $pid;

	# The parent's servers and files are not the child's to clean up.
	my %result = (model => $arg{model});
	$SIG{TERM} = 'DEFAULT';
	srand(same_seed($s->{seed}, $s->{round}, $number));
	my $ok = eval {
		my $c = $class->new(dsn => $arg{dsn}, model => $arg{model}, tables => $arg{tables}, standby => $arg{standby},
			until => $arg{until}, stop => $arg{stop});
		$c->finish_prepared if $arg{model};
		$c->work;
		@result{qw(done recall)} = ($c->{done}, $c->{recall});
		1;
	};
	$result{fault} = "$@" if !$ok && ref $@ ne 'SoakLost';
	nstore(\%result, "$file.tmp");
	rename "$file.tmp", $file;
	POSIX::_exit(0);
}

# Waits for the processes; what went wrong, as text. The first fault ends the
# others.
sub reap
{
	my ($s, @clients) = @_;
	my @faults;
	my $deadline = time() + 150;
	my %left = map { $_->{pid} => $_ } @clients;
	while (%left)
	{
		my $pid = waitpid(-1, POSIX::WNOHANG());
		if ($pid > 0 && $left{$pid})
		{
			push @faults, $s->take(delete $left{$pid});
			if (@faults) { kill 'TERM', keys %left; }
			next;
		}
		if (time() > $deadline)
		{
			push @faults, 'processes hang: ' . join(', ', map { $_->{number} } values %left);
			kill 'KILL', keys %left;
			$deadline = time() + 10;
		}
		sleep(.02);
	}
	return @faults;
}

sub take
{
	my ($s, $client) = @_;
	return () if !-e $client->{file} && $s->{failed};
	my $result = eval { retrieve($client->{file}) } or return "process $client->{number} left no result";
	$s->{models}{ $client->{number} } = $result->{model} if $result->{model};
	$s->{done}{$_} += $result->{done}{$_} for keys %{ $result->{done} || {} };
	for my $name (keys %{ $result->{recall} || {} })
	{
		$s->{recall}{$name}[$_] += $result->{recall}{$name}[$_] for 0, 1;
	}
	return () if !$result->{fault};
	$s->{failed} = 1;
	return "process $client->{number}: $result->{fault}";
}

# ------------------------------------------------------------------ checks

sub fault { my ($s, @text) = @_; push @{ $s->{faults} }, @text; return; }

# Each row of a query as text.
sub ask
{
	my ($s, $node, $sql) = @_;
	my ($rc, $rows, $err) = $node->psql('postgres', $sql);
	$s->fault("round $s->{round}, " . $node->name . ": $err") if $rc != 0 || $err =~ /ERROR|FATAL|PANIC/;
	return $rows // '';
}

# Committed rows are there, others are not; prepared transactions as well.
sub check_models
{
	my ($s, $node, $crashed) = @_;
	for my $number (sort { $a <=> $b } keys %{ $s->{models} })
	{
		my $m = $s->{models}{$number};
		if ($crashed)
		{
			for my $table (grep { tables()->{$_}{unlogged} } keys %{ tables() })
			{
				delete $m->{rows}{$table};
				delete $m->{pending}{$table} if $m->{pending};
				delete $m->{prepared}{changes}{$table} if $m->{prepared};
			}
		}
		my $c = SoakClient->new(dsn => dsn($node), model => $m);
		$c->finish_prepared;
		my %read = map { $_ => $c->read_own($_) } keys %{ tables() };
		my $fault = $m->differences(\%read, sort keys %{ tables() });
		$s->fault("round $s->{round}, client $number: $fault") if $fault ne '';
		$c->{dbh}->disconnect;
	}
	return;
}

# What is wrong with an index. A crash or a cancelled insertion leaves a vertex
# without a way in, which is swept up; a vacuum that was broken off, any number.
sub faults_of
{
	my ($s, $c, $x) = @_;
	my $faults = $c->rows("SELECT concat_ws(' ', block, item, fault) FROM vecrecall.check_index('$x->{name}', true)");
	return grep { !/(\d+) of (\d+) live vertices cannot be reached/ || $1 > 3 && $1 > $2 * .02 } map { $_->[0] } @$faults;
}

# Every index keeps its invariants, is used, and gives every row.
sub check_indexes
{
	my ($s, $node, %arg) = @_;
	my $where = "round $s->{round}, " . $node->name;
	my $c = SoakClient->new(dsn => dsn($node));
	for my $x (indexes())
	{
		next if $arg{standby} && tables()->{ $x->{table} }{unlogged};
		my @real = $s->faults_of($c, $x);
		# Linked by the next vacuum, that says.
		if (!$arg{standby} && grep { /cannot be reached from the entry point until a vacuum is finished/ } @real)
		{
			$c->run("VACUUM (INDEX_CLEANUP on) $x->{table}");
			$s->{done}{unfinished}++;
			@real = $s->faults_of($c, $x);
		}
		$s->fault("$where, $x->{name}: " . join("\n", @real > 10 ? @real[ 0 .. 9 ] : @real)) if @real;
		my $q = random_query($x);
		$c->begin_read;
		$c->run(SoakAnswer::settings_sql({ ef => 40, iterative => 'relaxed_order', rerank => 'auto', tuples => 2147483647, mult => 1000,
			work_mem => '4MB' }));
		my $plan = join "\n", map { $_->[0] } @{ $c->rows("EXPLAIN (COSTS off) $q->{sql}") };
		my $used = $plan =~ /Index Scan using (?:$x->{name}|$x->{table}_more)\b/ || $plan =~ /One-Time Filter: false/;
		$s->fault("$where, $x->{name} is not used:\n$plan") if !$used;
		my $got = $c->rows($q->{sql});
		$c->run(SoakClient::exact_settings());
		my $fault = SoakAnswer::same_rows($got, $c->rows($q->{exact}));
		$s->fault("$where, $x->{name}: $fault\n  by " . substr($q->{sql}, 0, 1500)) if defined $fault;
		$c->run('COMMIT');
	}
	$c->{dbh}->disconnect;
	return;
}

# The standby answers each query with the same rows in the same order, if by the
# same index: after a crash of the primary its snapshots may be older than a new
# index with indcheckxmin allows, and it takes another.
sub compare
{
	my ($s, $primary, $standby) = @_;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	my @nodes = map { SoakClient->new(dsn => dsn($_)) } $primary, $standby;
	for my $x (grep { !tables()->{ $_->{table} }{unlogged} } indexes())
	{
		for (1 .. 4)
		{
			my $q = random_query($x);
			my $settings = SoakAnswer::settings_sql({ %{ SoakAnswer::random_settings() }, tuples => 2147483647, mult => 1000 });
			my (@answers, @plans);
			for my $c (@nodes)
			{
				$c->begin_read;
				$c->run($settings);
				push @plans, join "\n", map { $_->[0] } @{ $c->rows("EXPLAIN (COSTS off) $q->{sql} LIMIT 200") };
				push @answers, join ' ', map { "$_->[0]:$_->[1]" } @{ $c->rows("$q->{sql} LIMIT 200") };
				$c->run('COMMIT');
			}
			$s->{done}{ $plans[0] eq $plans[1] ? 'compared' : 'planned otherwise' }++;
			$s->fault("round $s->{round}, $x->{name}: the standby's answer differs, by " . substr($q->{sql}, 0, 1500) . "\n$settings$answers[0]\n$answers[1]")
			  if $answers[0] ne $answers[1] && $plans[0] eq $plans[1];
		}
	}
	$_->{dbh}->disconnect for @nodes;
	return;
}

# Nothing tells of a bug in the servers' logs.
sub check_logs
{
	my ($s) = @_;
	for my $node ($s->{primary}, $s->{standby})
	{
		# Whoever meets missing TOAST says so; SoakKeeper.pm, of whom it is none.
		my @lines = grep { !/<XX001> ERROR:  missing chunk number 0 for toast/ }
		  grep { /<XX\d\d\d> (?:ERROR|FATAL)|PANIC|TRAP|terminated by signal|inconsistent page/ } split /\n/, slurp_file($node->logfile);
		$s->fault($node->name . ': ' . join("\n", @lines > 10 ? @lines[ 0 .. 9 ] : @lines)) if @lines;
	}
	return;
}

sub check_recall
{
	my ($s) = @_;
	my %floor = map { $_->{name} => $_->{floor} // .9 } indexes();
	for my $name (sort keys %{ $s->{recall} })
	{
		my ($n, $of) = @{ $s->{recall}{$name} };
		next if $of < ENOUGH;
		(my $index = $name) =~ s/ .*//;
		$s->fault(sprintf('recall of %s is %.3f (%d rows), its floor is %.2f', $name, $n / $of, $of, $floor{$index})) if $n / $of < $floor{$index};
	}
	return;
}

sub recall_line
{
	my ($s) = @_;
	return join ', ', map { sprintf '%s %.3f', $_, $s->{recall}{$_}[0] / ($s->{recall}{$_}[1] || 1) } sort keys %{ $s->{recall} };
}

# ------------------------------------------------------------------ rounds

# What is different in each round, by the seed.
sub settings_of_round
{
	my ($s) = @_;
	return {
		# Without full page images a replay may extend the file of an index that
		# was dropped later, and the check then meets pages of zeros.
		wal_consistency_checking => $s->{full_page_writes} eq 'on' && $s->{round} % 3 == 1 ? 'generic' : '',
		hot_standby_feedback => rand() < .5 ? 'on' : 'off',
		autovacuum => rand() < .4 ? 'on' : 'off',
	};
}

sub play
{
	my ($s, $seconds, $how, @nodes) = @_;
	my ($node, $standby) = @nodes;
	my $set = $s->settings_of_round;
	for my $n (@nodes)
	{
		$s->ask($n, join '', map { "ALTER SYSTEM SET $_ = '$set->{$_}';\n" } sort keys %$set);
		$n->reload;
	}
	my $until = time() + $seconds;
	my $stop = "$s->{dir}/stop";
	unlink $stop;
	# Where a crash is to come, clients work until then.
	my $limit = $how eq 'end' || $how eq 'standby' ? $until : $until + 60;
	my @all = sort keys %{ tables() };
	my @clients = map { $s->spawn($_, 'SoakClient', dsn => dsn($node), model => $s->{models}{$_}, tables => \@all, until => $limit) }
	  1 .. $s->{clients};
	push @clients, $s->spawn(KEEPER, 'SoakKeeper', dsn => dsn($node), tables => \@all, until => $limit);
	push @clients, $s->spawn(READER, 'SoakClient', dsn => dsn($standby), standby => 1,
		tables => [ grep { !tables()->{$_}{unlogged} } @all ], until => $limit, stop => $stop) if $standby;
	while ((my $left = $until - time()) > 0 && !$s->{failed})
	{
		say_line(sprintf '%4d of %d s, round %d: %s, %d faults', time() - $s->{start}, $s->{seconds}, $s->{round}, "ends by $how in "
			  . int($left) . ' s', scalar @{ $s->{faults} });
		sleep($left < .5 ? $left : .5);
		# A fault found meanwhile ends the round.
		last if grep { -e $_->{file} } @clients and $how ne 'end' and $how ne 'standby' and $until - time() > .5;
	}
	if ($how eq 'immediate' || $how eq 'fast')
	{
		$s->fault($node->name . ' could not be stopped') if !$node->stop($how, fail_ok => 1);
		# The standby's reader would go on.
		open my $f, '>', $stop or die "$stop: $!";
	}
	elsif ($how eq 'standby' && $standby)
	{
		$s->fault('standby could not be stopped') if !$standby->stop('immediate', fail_ok => 1);
	}
	$s->fault($s->reap(@clients));
	my $down = $how eq 'immediate' || $how eq 'fast' ? $node : $how eq 'standby' ? $standby : undef;
	$s->fault($down->name . ' does not start') if $down && !@{ $s->{faults} } && !$down->start(fail_ok => 1);
	$s->check_logs;
	return;
}

sub verify
{
	my ($s, @arg) = @_;
	return if @{ $s->{faults} } || eval { $s->verify_all(@arg); 1 };
	$s->fault("round $s->{round}, after it: " . (ref $@ ? $@->{message} : $@));
	$s->check_logs;
	return;
}

sub verify_all
{
	my ($s, $crashed, $node, $standby) = @_;
	# What was left in the middle, so that all indexes are whole.
	my $keeper = SoakKeeper->new(dsn => dsn($node));
	$s->check_models($node, $crashed);
	$keeper->drop_invalid;
	$keeper->{dbh}->disconnect;
	# What an earlier round asked for must not start now, nor go on: a vacuum
	# between the two answers of compare() puts equal rows in another order.
	if ($node->safe_psql('postgres', 'SHOW autovacuum') eq 'on')
	{
		$s->ask($node, "ALTER SYSTEM SET autovacuum = 'off'");
		$node->reload;
	}
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type ~ '^autovacuum')")
	  or $s->fault("round $s->{round}: autovacuum does not end");
	$s->check_indexes($node);
	if ($standby)
	{
		$s->compare($node, $standby);
		$s->check_indexes($standby, standby => 1);
	}
	$s->check_logs;
	return;
}

# ------------------------------------------------------------------- whole

# run(seconds => N, seed => N, clients => N, progress => handle or undef,
#     dir => folder for the clients' files): a list of faults.
sub run
{
	my (%arg) = @_;
	my $s = bless { seconds => 60, clients => 3, %arg, start => time(), round => 0, faults => [], done => {}, recall => {}, models => {} },
	  __PACKAGE__;
	$out = $arg{progress};
	say_line("seed $s->{seed}, $s->{clients} clients, $s->{seconds} s", 1);
	srand($s->{seed});

	$s->{full_page_writes} = rand() < .8 ? 'on' : 'off';
	my $primary = $s->{primary} = PostgreSQL::Test::Cluster->new('primary');
	$primary->init(allows_streaming => 1, extra => ['--data-checksums']);
	$primary->append_conf('postgresql.conf', <<"END");
fsync = off
full_page_writes = $s->{full_page_writes}
autovacuum = off
autovacuum_naptime = 1s
autovacuum_vacuum_threshold = 20
autovacuum_vacuum_scale_factor = 0.02
shared_buffers = 12MB
max_wal_size = 96MB
wal_keep_size = 1GB
max_prepared_transactions = 60
max_worker_processes = 12
max_standby_streaming_delay = 3s
wal_receiver_timeout = 0
wal_sender_timeout = 0
log_line_prefix = '%m [%p] <%e> '
log_min_error_statement = error
restart_after_crash = off
END
	$primary->start;
	$s->ask($primary, 'CREATE EXTENSION vecrecall; ' . setup_sql());
	$s->{models}{$_} = SoakModel->new($_) for 1 .. $s->{clients};

	# Half of the indexes are built on rows, half on an empty table.
	my @later;
	for my $x (indexes()) { if (rand() < .5) { push @later, $x; } else { $s->ask($primary, create_sql($x)); } }
	$s->fill($primary);
	$s->ask($primary, create_sql($_)) for @later;
	$primary->backup('b');
	my $standby = $s->{standby} = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($primary, 'b', has_streaming => 1);
	$standby->start;

	# A fifth of the time, and one round at least, is for the promoted standby.
	my $length = $s->{seconds} < 120 ? 4 : 10;
	my $promotion = $s->{start} + $s->{seconds} - 2.2 * $length;
	while (!@{ $s->{faults} } && ($s->{round} == 0 || time() < $promotion))
	{
		$s->{round}++;
		my $how = $s->{round} == 1 ? 'immediate' : ('immediate', 'immediate', 'immediate', 'end', 'fast', 'standby')[ int(rand(6)) ];
		my $seconds = $length * (.3 + rand());
		$s->play($seconds, $how, $primary, $standby);
		$s->verify($how eq 'immediate', $primary, $standby);
		$s->tell($how);
	}
	if (@{ $s->{faults} })
	{
		# One that died by itself has left a file that says it runs.
		$_->_update_pid(-1) for grep { !kill 0, $_->{_pid} // 0 } $primary, $standby;
	}
	else
	{
		$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
		$primary->stop('fast');
		$standby->promote;
		say_line('the standby is promoted', 1);
		$s->check_models($standby, 1);
		for my $how ('immediate', 'end')
		{
			last if @{ $s->{faults} };
			$s->{round}++;
			$s->play($length * (.3 + rand()), $how, $standby);
			$s->verify($how eq 'immediate', $standby);
			$s->tell($how);
		}
	}
	$s->check_recall if !@{ $s->{faults} };
	say_line('recall: ' . $s->recall_line, 1);
	say_line('done: ' . join(', ', map { "$_ $s->{done}{$_}" } sort keys %{ $s->{done} }), 1);
	return $s;
}

sub tell
{
	my ($s, $how) = @_;
	my $n = 0;
	$n += $_ for values %{ $s->{done} };
	say_line(sprintf('%4d s: round %d, ended by %s: %d operations so far, %s', time() - $s->{start}, $s->{round}, $how, $n,
		@{ $s->{faults} } ? scalar(@{ $s->{faults} }) . ' faults' : 'sound'), 1);
	return;
}

# Rows to begin with, of each client.
sub fill
{
	my ($s, $node) = @_;
	for my $number (1 .. $s->{clients})
	{
		my $c = SoakClient->new(dsn => dsn($node), model => $s->{models}{$number});
		for my $table (sort keys %{ tables() })
		{
			$c->commit($c->many($table, int(tables()->{$table}{rows} * .7)));
		}
		$c->{dbh}->disconnect;
	}
	return;
}

1;
