# SoakClient.pm: one client of the soak test, a process of its own. It changes
# its own rows, asks about everybody's, and compares what it gets with its model
# and with an exact answer in the same snapshot. It ends when the round's time
# is up, when the server goes away, or with a fault, which is a plain die.
package SoakClient;

use strict;
use warnings;

use DBI;
use POSIX ();
use Time::HiRes qw(time sleep);

use SoakAnswer qw(answer_fault answer_hits settings_sql random_settings same_rows);
use SoakSchema qw(tables indexes indexes_of random_query random_row);

# What a lost connection dies with, and an error that the operation expects.
{
	package SoakLost;
	package SoakError;
}

# new(dsn => ..., model => ..., tables => [...] to use, until => time,
#     standby => true for a reader of a standby)
sub new
{
	my ($class, %arg) = @_;
	my $c = bless { %arg, done => {}, recall => {} }, $class;
	$c->connect;
	return $c;
}

sub connect
{
	my ($c) = @_;
	my $dbh = eval {
		DBI->connect($c->{dsn}, undef, undef,
			{ RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => 0, pg_placeholder_dollaronly => 1 });
	};
	# The server may be gone already.
	die bless({ message => $DBI::errstr }, 'SoakLost') if !$dbh;
	$c->{dbh} = $dbh;
	# Nothing takes so long; what does hangs.
	$c->run("SET client_min_messages = error; SET statement_timeout = '120s'; SET max_parallel_workers_per_gather = 0; SET jit = off");
	$c->run("SET lock_timeout = '2s'") if $c->{standby};
	return;
}

# Runs SQL, whose last statement's rows come back if it is a query. Dies with
# SoakLost, with SoakError if its SQLSTATE is one that the caller allows, else
# with a fault.
sub attempt
{
	my ($c, $how, $sql, $allowed) = @_;
	my $r = eval { $how eq 'do' ? $c->{dbh}->do($sql) : $c->{dbh}->selectall_arrayref($sql) };
	return $r if defined $r;
	my $state = $c->{dbh}->state || '';
	my $message = $c->{dbh}->errstr // $@;
	# A standby cancels what stands in the way of replay, and keeps the locks of
	# a primary that is down until it is up again.
	$allowed = ($allowed // '') . '|40001|55P03' if $c->{standby};
	die bless({ message => $message }, 'SoakLost')
	  if $state =~ /^(08|57P0[123])/ || $message =~ /server closed the connection|no connection to the server|terminating connection/;
	die bless({ state => $state, message => $message }, 'SoakError') if $allowed && $state =~ /^($allowed)$/;
	die "SQLSTATE $state: $message\nby: " . substr($sql, 0, 2000) . "\n";
}

sub run { my ($c, $sql, $allowed) = @_; return $c->attempt('do', $sql, $allowed); }
sub rows { my ($c, $sql, $allowed) = @_; return $c->attempt('rows', $sql, $allowed); }

sub fault
{
	my ($c, $what, $q, $s) = @_;
	my $text = "$what\n";
	$text .= "  by index $q->{index}{name}: " . substr($q->{sql}, 0, 1500) . "\n" if $q;
	$text .= '  with ' . join(', ', map { "$_ = $s->{$_}" } sort keys %$s) . "\n" if $s;
	die $text;
}

# ---------------------------------------------------------------- changes

sub quote { my ($v) = @_; return 'NULL' if !defined $v; $v =~ s/'/''/g; return "'$v'"; }

sub key { my ($r) = @_; return join '|', $r->{o}, map { $r->{$_} // '' } qw(k g n); }

sub pick_table
{
	my ($c) = @_;
	my $tables = tables();
	my @names = @{ $c->{tables} };
	my $sum = 0;
	$sum += $tables->{$_}{weight} for @names;
	my $r = rand() * $sum;
	for my $t (@names)
	{
		return $t if ($r -= $tables->{$t}{weight}) < 0;
	}
	return $names[-1];
}

# n changes of one table in one statement each, as SQL; told to the model's
# innermost layer. All random numbers are drawn whatever the model says.
sub changes
{
	my ($c, $table, $n) = @_;
	my $m = $c->{model};
	my $t = tables()->{$table};
	my @sql;
	my @ids = $m->ids($table);
	for (1 .. $n)
	{
		my $row = random_row($table);
		my ($r, $which, $part) = (rand(), rand(), rand());
		my $id = @ids ? $ids[ int($which * @ids) ] : undef;
		# More insertions while there are few rows, more deletions after.
		my $insert = @ids < $t->{rows} * .5 ? .8 : @ids < $t->{rows} ? .45 : @ids < $t->{rows} * 1.5 ? .3 : .05;
		$row->{o} = ++$m->{stamp};
		if ($r < $insert || !defined $id)
		{
			$id = $m->new_id;
			push @ids, $id;
			push @sql, "INSERT INTO $table VALUES ($id, " . quote($row->{v}) . ', ' . join(', ', map { quote($row->{$_}) } qw(k g n o)) . ')';
			$m->set($table, $id, key($row));
		}
		elsif ($r < $insert + (1 - $insert) * .35)
		{
			push @sql, "DELETE FROM $table WHERE id = $id";
			@ids = grep { $_ != $id } @ids;
			$m->set($table, $id, undef);
		}
		else
		{
			my (undef, $k, $g, $n) = split /\|/, $m->row($table, $id), -1;
			my %old = (k => $k eq '' ? undef : $k, g => $g eq '' ? undef : $g, n => $n);
			my @set = ('o');
			# Only o: a HOT update. n has an index; k and g are attributes.
			if ($part < .4) { push @set, 'v'; }
			elsif ($part < .6) { push @set, 'n'; }
			elsif ($part < .75) { push @set, 'k', 'g'; }
			my %new = (%old, map { $_ => $row->{$_} } @set);
			push @sql, "UPDATE $table SET " . join(', ', map { "$_ = " . quote($row->{$_}) } @set) . " WHERE id = $id";
			$m->set($table, $id, key(\%new));
		}
	}
	return @sql;
}

# COMMIT, or a statement that is a transaction of its own.
sub commit
{
	my ($c, $sql, $allowed) = @_;
	my $m = $c->{model};
	$m->committing;
	eval { $c->run($sql, $allowed); 1 } or do
	{
		my $e = $@;
		# Lost: whether it was committed is seen after the restart.
		$m->not_committed if ref $e ne 'SoakLost';
		die $e;
	};
	$m->committed;
	return;
}

sub op_single
{
	my ($c, $table) = @_;
	$c->{model}->begin;
	my ($sql) = $c->changes($table, 1);
	$c->commit($sql);
	return;
}

# Several changes, one or two tables, with savepoints; committed or not.
sub op_transaction
{
	my ($c, $table) = @_;
	my $m = $c->{model};
	my $n = 1 + int(rand(12));
	my $abort = rand() < .3;
	$m->begin;
	$c->run('BEGIN');
	$c->run($_) for $c->changes($table, $n);
	for (1 .. int(rand(3)))
	{
		my ($other, $more, $back) = ($c->pick_table, 1 + int(rand(5)), rand() < .5);
		$m->begin;
		$c->run('SAVEPOINT s');
		$c->run($_) for $c->changes($other, $more);
		if ($back) { $m->abort; $c->run('ROLLBACK TO s'); }
		else { $m->release; $c->run('RELEASE s'); }
	}
	if ($abort)
	{
		$m->abort_all;
		$c->run('ROLLBACK');
	}
	else { $c->commit('COMMIT'); }
	return;
}

# An INSERT of n new rows, begun in the model.
sub many
{
	my ($c, $table, $n) = @_;
	my $m = $c->{model};
	my @values;
	$m->begin;
	for (1 .. $n)
	{
		my $row = random_row($table);
		my $id = $m->new_id;
		$row->{o} = ++$m->{stamp};
		push @values, "($id, " . quote($row->{v}) . ', ' . join(', ', map { quote($row->{$_}) } qw(k g n o)) . ')';
		$m->set($table, $id, key($row));
	}
	return "INSERT INTO $table VALUES " . join(', ', @values);
}

# Many rows in one statement.
sub op_many
{
	my ($c, $table) = @_;
	$c->commit($c->many($table, 2 + int(rand(tables()->{$table}{dim} > 100 ? 4 : 40))));
	return;
}

# A share of the rows deleted, or all of their attributes changed.
sub op_sweep
{
	my ($c, $table) = @_;
	my $m = $c->{model};
	my ($mod, $rest, $delete) = (3 + int(rand(5)), int(rand(3)), rand() < .4);
	my ($low, $high) = ($m->{client} * 1_000_000, $m->{client} * 1_000_000 + 999_999);
	$m->begin;
	my $stamp = ++$m->{stamp};
	for my $id (grep { $_ % $mod == $rest } $m->ids($table))
	{
		my (undef, $k, $g, $n) = split /\|/, $m->row($table, $id), -1;
		$m->set($table, $id, $delete ? undef : join('|', $stamp, $k, $g, $n + 1));
	}
	my $where = "WHERE id BETWEEN $low AND $high AND id % $mod = $rest";
	$c->commit($delete ? "DELETE FROM $table $where" : "UPDATE $table SET n = n + 1, o = $stamp $where");
	return;
}

# A statement that may be cancelled in the middle.
sub op_cancelled
{
	my ($c, $table) = @_;
	my $m = $c->{model};
	my $ms = 1 + int(rand(40));
	my $sql = $c->many($table, 20 + int(rand(tables()->{$table}{dim} > 100 ? 20 : 150)));
	$c->run('BEGIN');
	if (eval { $c->run("SET LOCAL statement_timeout = $ms"); $c->run($sql, '57014'); $c->run('SET LOCAL statement_timeout = 0', '57014'); 1 })
	{
		$c->commit('COMMIT');
		return;
	}
	die $@ if ref $@ ne 'SoakError';
	$m->abort_all;
	$c->run('ROLLBACK');
	return;
}

sub op_prepare
{
	my ($c, $table) = @_;
	my $m = $c->{model};
	return $c->finish_prepared if $m->{prepared};
	my $n = 1 + int(rand(8));
	my $fate = rand() < .6 ? 'COMMIT' : 'ROLLBACK';
	# Rows of a prepared transaction cannot be changed until it has ended, so
	# it is one of new rows only.
	my $gid = 'soak_' . $m->{client} . '_' . ++$m->{gid};
	$c->run('BEGIN');
	$c->run($c->many($table, $n));
	$m->{prepared} = { gid => $gid, changes => $m->{layers}[0], fate => $fate, asked => 0 };
	$m->abort_all;
	$c->run("PREPARE TRANSACTION '$gid'");
	$m->{prepared}{known} = 1;
	return;
}

# Ends the client's prepared transaction. Called after a restart too, when it
# may be that it was not prepared at all, or that it has ended.
sub finish_prepared
{
	my ($c) = @_;
	my $m = $c->{model};
	my $p = $m->{prepared} or return;
	my $there = $c->rows("SELECT FROM pg_prepared_xacts WHERE gid = '$p->{gid}'");
	if (@$there)
	{
		$p->{asked} = 1;
		$c->run("$p->{fate} PREPARED '$p->{gid}'");
		$m->apply($p->{changes}) if $p->{fate} eq 'COMMIT';
	}
	elsif ($p->{asked})
	{
		$m->apply($p->{changes}) if $p->{fate} eq 'COMMIT';
	}
	elsif ($p->{known})
	{
		die "prepared transaction $p->{gid} is lost\n";
	}
	$m->{prepared} = undef;
	return;
}

# ---------------------------------------------------------------- questions

sub pick_index
{
	my ($c) = @_;
	my @of = indexes_of($c->pick_table);
	return $of[ int(rand(@of)) ];
}

sub exact_settings
{
	return 'SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off';
}

sub last_scan
{
	my ($c) = @_;
	my ($r) = @{ $c->rows('SELECT returned, dropped, stop_reason FROM vecrecall.last_index_scan()') };
	return { returned => $r->[0], dropped => $r->[1] // 0, stop_reason => $r->[2] // '' };
}

sub begin_read { my ($c) = @_; $c->run('BEGIN ISOLATION LEVEL REPEATABLE READ'); return; }

sub op_query
{
	my ($c) = @_;
	my $x = $c->pick_index;
	my $q = random_query($x);
	my $s = random_settings();
	my $limit = (1, 5, 10, 10, 10, 50, 300)[ int(rand(7)) ];
	$c->begin_read;
	$c->run(settings_sql($s));
	my $got = $c->rows("$q->{sql} LIMIT $limit");
	my $scan = $c->last_scan;
	$c->run(exact_settings());
	my $exact = $c->rows($q->{exact});
	$c->run('COMMIT');
	my $fault = answer_fault($q, $s, $got, $exact, $limit, $scan);
	$c->fault($fault, $q, $s) if defined $fault;
	if (SoakAnswer::is_usual($s) && $limit == 10 && !$q->{post})
	{
		my ($n, $of) = answer_hits($got, $exact, $limit);
		my $name = $q->{attr} ? "$x->{name} attr" : $x->{name};
		$c->{recall}{$name}[0] += $n;
		$c->{recall}{$name}[1] += $of;
	}
	return;
}

# A scan to its end: every visible row, once.
sub op_everything
{
	my ($c) = @_;
	my $x = $c->pick_index;
	my $q = random_query($x);
	my $s = { %{ random_settings() }, iterative => 'relaxed_order', tuples => 2147483647, mult => 1000, work_mem => '4MB' };
	$c->begin_read;
	$c->run(settings_sql($s));
	my $got = $c->rows($q->{sql});
	my $scan = $c->last_scan;
	$c->run(exact_settings());
	my $exact = $c->rows($q->{exact});
	$c->run('COMMIT');
	my $fault = answer_fault($q, $s, $got, $exact, undef, $scan) // same_rows($got, $exact);
	$c->fault("whole scan: $fault", $q, $s) if defined $fault;
	return;
}

# A cursor held open while its own transaction and others change the table:
# it goes on with what was visible when it was declared.
sub op_cursor
{
	my ($c) = @_;
	my $m = $c->{model};
	my $x = $c->pick_index;
	my $q = random_query($x);
	my $relaxed = rand() < .7;
	my $s = { %{ random_settings() }, iterative => $relaxed ? 'relaxed_order' : 'strict_order', tuples => 2147483647, mult => 1000,
		work_mem => '4MB' };
	my @parts = (1 + int(rand(10)), 1 + int(rand(100)));
	my $abort = rand() < .5;
	my @got;
	$m->begin if !$c->{standby};
	$c->begin_read;
	$c->run(exact_settings());
	my $exact = $c->rows($q->{exact});
	$c->run('SET LOCAL enable_indexscan = on');
	$c->run(settings_sql($s));
	$c->run("DECLARE cur NO SCROLL CURSOR FOR $q->{sql}");
	for my $n (@parts, 'ALL')
	{
		push @got, @{ $c->rows("FETCH $n FROM cur") };
		last if $n eq 'ALL';
		if (!$c->{standby})
		{
			my $changes = 1 + int(rand(4));
			$c->run($_) for $c->changes($x->{table}, $changes);
		}
		sleep(rand(.05));
	}
	$c->run('CLOSE cur');
	my $scan = $c->last_scan;
	if ($c->{standby}) { $c->run('COMMIT'); }
	elsif ($abort) { $m->abort_all; $c->run('ROLLBACK'); }
	else { $c->commit('COMMIT'); }
	my $fault = answer_fault($q, $s, \@got, $exact, undef, $scan) // ($relaxed ? same_rows(\@got, $exact) : undef);
	$c->fault("cursor: $fault", $q, $s) if defined $fault;
	return;
}

# Many scans of one plan: rescans, with the query from a row.
sub op_lateral
{
	my ($c) = @_;
	my $x = $c->pick_index;
	(my $other = $x->{expr}) =~ s/\bv\b/a.v/g;
	(my $own = $x->{expr}) =~ s/\bv\b/b.v/g;
	my $where = $x->{where} ? "WHERE $x->{where}" : '';
	my $rest = 3 + int(rand(20));
	$c->begin_read;
	$c->run(settings_sql({ %{ random_settings() }, iterative => 'strict_order' }));
	my $got = $c->rows("SELECT a.id, s.id FROM (SELECT id, v FROM $x->{table} WHERE v IS NOT NULL AND id % $rest = 1 LIMIT 8) a, "
		  . "LATERAL (SELECT b.id FROM $x->{table} b $where ORDER BY $own $x->{op} $other LIMIT 4) s");
	$c->run('COMMIT');
	my %seen;
	for my $row (@$got)
	{
		die "rescan of $x->{name}: row $row->[1] twice for $row->[0]\n" if $seen{"@$row"}++;
	}
	return;
}

# Its own rows are what it knows, by a sequential scan.
sub op_own
{
	my ($c, $table) = @_;
	my $m = $c->{model};
	my %read = ($table => $c->read_own($table));
	my $fault = $m->differences(\%read, $table);
	die "$fault\n" if $fault ne '';
	return;
}

sub read_own
{
	my ($c, $table) = @_;
	my $low = $c->{model}{client} * 1_000_000;
	my $rows = $c->rows("SELECT id, concat_ws('|', o, coalesce(k::text, ''), coalesce(g, ''), n) FROM $table WHERE id BETWEEN $low AND $low + 999999");
	return { map { $_->[0] => $_->[1] } @$rows };
}

# ---------------------------------------------------------------- the round

my @mix = (
	[ single => 34 ], [ transaction => 10 ], [ many => 3 ], [ sweep => 2 ], [ cancelled => 2 ], [ prepare => 4 ],
	[ query => 34 ], [ everything => 3 ], [ cursor => 4 ], [ lateral => 2 ], [ own => 2 ]);
my @mix_standby = ([ query => 80 ], [ everything => 8 ], [ cursor => 8 ], [ lateral => 4 ]);

# Works until the time is up or the server has gone. Dies with what is wrong.
sub work
{
	my ($c) = @_;
	my @m = $c->{standby} ? @mix_standby : @mix;
	my $sum = 0;
	$sum += $_->[1] for @m;
	while (time() < $c->{until} && !($c->{stop} && -e $c->{stop}))
	{
		my $table = $c->pick_table;
		my $r = rand() * $sum;
		my ($op) = map { $_->[0] } grep { ($r -= $_->[1]) < 0 } @m;
		my $ok = eval { no strict 'refs'; &{"op_$op"}($c, $table); 1 };
		if ($ok)
		{
			$c->{done}{$op}++;
			next;
		}
		my $e = $@;
		return if ref $e eq 'SoakLost';
		if (ref $e eq 'SoakError' && $c->{standby})
		{
			$c->{done}{cancelled}++;
			next if eval { $c->run('ROLLBACK'); 1 };
			return if ref $@ eq 'SoakLost';
			die $@;
		}
		$e = "SQLSTATE $e->{state}: $e->{message}\n" if ref $e;
		die "operation $op of table $table: $e";
	}
	return;
}

1;
