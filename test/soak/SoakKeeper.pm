# SoakKeeper.pm: the maintenance that goes on beside the clients, a process of
# its own: vacuum, REINDEX, indexes made and dropped, checkpoints. Its locks
# time out, since a prepared transaction may stand in their way, and its
# statements are cancelled at times.
package SoakKeeper;

use strict;
use warnings;

use Time::HiRes qw(time sleep);

use base 'SoakClient';
use SoakSchema qw(tables indexes create_sql);

# Cancelled, lock not had, deadlock: any statement here may meet them.
my $allowed = '57014|55P03|40P01';

# A build that reads rows as old as the oldest snapshot may miss their TOAST:
# with hot_standby_feedback on again, that snapshot may be older than when the
# TOAST was vacuumed. That is the server's.
my $gone = qr/missing chunk number 0 for toast value/;

sub attempt
{
	my ($c, $how, $sql, $more) = @_;
	my $r = eval { $c->SUPER::attempt($how, $sql, $more ? "$allowed|$more" : $allowed) };
	return $r if defined $r;
	die bless({ state => 'XX001', message => "$@" }, 'SoakError')
	  if !ref $@ && $@ =~ /^SQLSTATE XX001: .*$gone/ && $sql =~ /^(CREATE INDEX|REINDEX|VACUUM FULL)/;
	die $@;
}

sub pick { return $_[ int(rand(@_)) ]; }

# What a REINDEX or CREATE INDEX CONCURRENTLY that failed, or a crash, has left.
sub drop_invalid
{
	my ($c) = @_;
	# A REINDEX CONCURRENTLY that was cut off may leave a valid one besides.
	my $rows = $c->rows("SELECT indexrelid::regclass FROM pg_index WHERE (NOT indisvalid OR indexrelid::regclass::text ~ '_cc(new|old)[0-9]*\$')"
		  . " AND indrelid::regclass::text IN ("
		  . join(', ', map { "'$_'" } sort keys %{ tables() }) . ')');
	$c->run("DROP INDEX IF EXISTS $_->[0]") for @$rows;
	return;
}

sub keep_vacuum
{
	my ($c) = @_;
	my @o = (pick('FREEZE', 'FREEZE false'), pick('INDEX_CLEANUP on', 'INDEX_CLEANUP auto', 'INDEX_CLEANUP on', 'INDEX_CLEANUP off'),
		pick('PARALLEL 0', 'PARALLEL 2'), pick('ANALYZE', 'ANALYZE false'));
	$c->run('SET vacuum_cost_delay = ' . pick(0, 0, 0, 2));
	$c->run('SET maintenance_work_mem = ' . pick("'1MB'", "'64MB'"));
	$c->run('VACUUM (' . join(', ', @o) . ') ' . pick('t', 't', 't', 'h', 's', 'b', 'w', 'u'));
	return;
}

sub keep_reindex_concurrently
{
	my ($c) = @_;
	my $x = pick(indexes());
	$c->run('SET maintenance_work_mem = ' . pick("'1MB'", "'64MB'"));
	$c->run(rand() < .8 ? "REINDEX INDEX CONCURRENTLY $x->{name}" : "REINDEX TABLE CONCURRENTLY $x->{table}");
	return;
}

sub keep_reindex { my ($c) = @_; $c->run('REINDEX INDEX ' . pick(indexes())->{name}); return; }

# Another index of a random one's definition, with other options.
sub keep_index
{
	my ($c) = @_;
	my $x = pick(indexes());
	$c->run('DROP INDEX ' . pick('', '', 'CONCURRENTLY') . ' IF EXISTS ' . $x->{table} . '_more');
	$c->run('SET maintenance_work_mem = ' . pick("'1MB'", "'64MB'"));
	my $sql = create_sql($x, "$x->{table}_more", rand() < .5);
	$sql =~ s/INDEX (CONCURRENTLY )?/INDEX $1IF NOT EXISTS /;
	# Its options may not go together.
	$c->run($sql, '22023|54000|0A000');
	return;
}

sub keep_full { my ($c) = @_; $c->run('VACUUM FULL ' . pick('t', 'h', 's', 'b', 'u')); return; }

sub keep_check
{
	my ($c) = @_;
	my $x = pick(indexes());
	my $rows = $c->rows("SELECT block, item, fault FROM vecrecall.check_index('$x->{name}', true) WHERE fault !~ 'cannot be reached'");
	die "check_index of $x->{name}: " . join("\n", map { join(' ', map { $_ // '' } @$_) } @$rows) . "\n" if @$rows;
	return;
}

sub keep_info { my ($c) = @_; $c->rows("SELECT * FROM vecrecall.index_info('" . pick(indexes())->{name} . "')"); return; }
sub keep_prewarm { my ($c) = @_; $c->rows("SELECT vecrecall.prewarm('" . pick(indexes())->{name} . "')"); return; }
sub keep_checkpoint { my ($c) = @_; $c->run('CHECKPOINT'); return; }
sub keep_analyze { my ($c) = @_; $c->run('ANALYZE ' . pick('t', 'h', 's', 'b', 'w', 'u')); return; }

# Which may itself be cancelled.
sub timeout_off
{
	my ($c) = @_;
	for my $try (1 .. 100)
	{
		return if eval { $c->run('SET statement_timeout = 120000'); 1 };
		die $@ if ref $@ ne 'SoakError' || $try == 100;
	}
	return;
}

my @mix = ([ vacuum => 30 ], [ reindex_concurrently => 15 ], [ reindex => 6 ], [ index => 14 ], [ full => 2 ], [ check => 8 ],
	[ info => 4 ], [ prewarm => 2 ], [ checkpoint => 5 ], [ analyze => 4 ]);

sub work
{
	my ($c) = @_;
	my $sum = 0;
	$sum += $_->[1] for @mix;
	my $ok = eval {
		$c->run("SET lock_timeout = '400ms'; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;"
			  . "SET max_parallel_maintenance_workers = 2");
		while (time() < $c->{until})
		{
			my $r = rand() * $sum;
			my ($op) = map { $_->[0] } grep { ($r -= $_->[1]) < 0 } @mix;
			my $tidy = rand() < .3;
			$c->run('SET statement_timeout = ' . (rand() < .25 ? 1 + int(rand(300)) : 120000));
			my $done = eval { no strict 'refs'; $c->drop_invalid if $tidy; &{"keep_$op"}($c); 1 };
			if ($done) { $c->{done}{$op}++; }
			elsif (ref $@ eq 'SoakError') { $c->{done}{cancelled}++; }
			elsif (ref $@) { die $@; }
			else { die "keeper, $op: $@"; }
			$c->timeout_off;
			sleep(rand(.1));
		}
		1;
	};
	return if $ok || ref $@ eq 'SoakLost';
	my $e = ref $@ ? "SQLSTATE $@->{state}: $@->{message}\n" : $@;
	die $e;
}

1;
