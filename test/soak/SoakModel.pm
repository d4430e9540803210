# SoakModel.pm: what one client knows must be visible of its rows: those of
# committed transactions, and what the transaction under way has changed. After
# a crash a commit whose answer did not come may have happened or not, but only
# as a whole.
#
# A row is known by its column o, which every change sets to a number not used
# before, and its attributes: "o|k|g|n".
package SoakModel;

use strict;
use warnings;

sub new
{
	my ($class, $client) = @_;
	return bless { client => $client, rows => {}, next => 0, layers => [], pending => undef, prepared => undef }, $class;
}

# The present state of a row: undef if there is none.
sub row
{
	my ($m, $table, $id) = @_;
	for my $layer (reverse @{ $m->{layers} })
	{
		return $layer->{$table}{$id} if exists $layer->{$table}{$id};
	}
	return $m->{rows}{$table}{$id};
}

# Ids of the rows of a table, in order.
sub ids
{
	my ($m, $table) = @_;
	my %all = map { $_ => $m->{rows}{$table}{$_} } keys %{ $m->{rows}{$table} };
	for my $layer (@{ $m->{layers} })
	{
		$all{$_} = $layer->{$table}{$_} for keys %{ $layer->{$table} };
	}
	return sort { $a <=> $b } grep { defined $all{$_} } keys %all;
}

sub new_id { my ($m) = @_; return $m->{client} * 1_000_000 + ++$m->{next}; }

# Layers: the innermost transaction's is the last.
sub begin { my ($m) = @_; push @{ $m->{layers} }, {}; return; }
sub abort { my ($m) = @_; pop @{ $m->{layers} }; return; }
sub abort_all { my ($m) = @_; $m->{layers} = []; return; }

sub set
{
	my ($m, $table, $id, $row) = @_;
	$m->{layers}[-1]{$table}{$id} = $row;
	return;
}

# Merges a layer of changes into another, or into the committed rows.
sub merge
{
	my ($into, $changes) = @_;
	for my $table (keys %$changes)
	{
		for my $id (keys %{ $changes->{$table} })
		{
			$into->{$table}{$id} = $changes->{$table}{$id};
		}
	}
	return;
}

sub apply
{
	my ($m, $changes) = @_;
	merge($m->{rows}, $changes);
	for my $table (keys %$changes)
	{
		for my $id (keys %{ $changes->{$table} })
		{
			delete $m->{rows}{$table}{$id} if !defined $changes->{$table}{$id};
		}
	}
	return;
}

# The innermost layer becomes part of the one around it: a savepoint released.
sub release
{
	my ($m) = @_;
	my $inner = pop @{ $m->{layers} };
	merge($m->{layers}[-1], $inner);
	return;
}

# The outermost is about to be committed; its fate is open until committed().
sub committing { my ($m) = @_; $m->{pending} = $m->{layers}[0]; return; }

sub committed
{
	my ($m) = @_;
	$m->apply($m->{pending});
	$m->{pending} = undef;
	$m->{layers} = [];
	return;
}

sub not_committed { my ($m) = @_; $m->{pending} = undef; $m->{layers} = []; return; }

# Differences between rows read from the server, {table}{id} = key, and what
# is known, as text; '' if there are none. A pending transaction counts as
# committed if the first of its rows that tells is, and then all of it must be.
sub differences
{
	my ($m, $read, @tables) = @_;
	my @found;
	if (my $pending = delete $m->{pending})
	{
		my $done;
		for my $table (@tables)
		{
			for my $id (sort keys %{ $pending->{$table} || {} })
			{
				my ($before, $after) = ($m->{rows}{$table}{$id} // '', $pending->{$table}{$id} // '');
				next if $before eq $after;
				$done //= ($read->{$table}{$id} // '') eq $after;
			}
		}
		$m->apply($pending) if $done;
	}
	$m->{layers} = [];
	for my $table (@tables)
	{
		my ($known, $there) = ($m->{rows}{$table} || {}, $read->{$table} || {});
		for my $id (sort { $a <=> $b } keys %{ { %$known, %$there } })
		{
			my ($a, $b) = ($known->{$id} // 'no row', $there->{$id} // 'no row');
			push @found, "$table id $id: the server has \"$b\", committed was \"$a\"" if $a ne $b;
		}
	}
	return join("\n", @found > 10 ? (@found[ 0 .. 9 ], '...') : @found);
}

1;
