# SoakAnswer.pm: is what an index scan gave what it should have given? Both
# answers come from one snapshot: rows of [id, distance], the scan's in its
# order, the exact one's of every row that is visible and fits the condition.
package SoakAnswer;

use strict;
use warnings;

use base 'Exporter';
our @EXPORT_OK = qw(answer_fault answer_hits settings_sql random_settings same_rows);

sub pick { return $_[ int(rand(@_)) ]; }

# Settings of a scan, at random.
sub random_settings
{
	return { ef => pick(1, 10, 40, 40, 64, 100, 200), iterative => pick('auto', 'off', 'relaxed_order', 'strict_order'),
		rerank => pick('auto', 'off', 'on'), tuples => rand() < .1 ? 1 + int(rand(500)) : 20000,
		work_mem => rand() < .1 ? '64kB' : '4MB', mult => rand() < .2 ? 1 + int(rand(4)) : 1 };
}

# Those, and the wish for an index.
sub settings_sql
{
	my ($s) = @_;
	return <<"END";
SET LOCAL hnsw.ef_search = $s->{ef};
SET LOCAL hnsw.iterative_scan = $s->{iterative};
SET LOCAL hnsw.rerank = $s->{rerank};
SET LOCAL hnsw.max_scan_tuples = $s->{tuples};
SET LOCAL hnsw.scan_mem_multiplier = $s->{mult};
SET LOCAL work_mem = '$s->{work_mem}';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_sort = off;
END
}

# How much of ten nearest a setting can be held to.
sub is_usual
{
	my ($s) = @_;
	return $s->{ef} >= 40 && $s->{tuples} == 20000 && $s->{work_mem} eq '4MB';
}

# What is wrong, or undef.
#	q		of random_query
#	s		settings
#	limit	of the query; undef for none
#	scan	what vecrecall.last_index_scan() said: dropped, stop_reason
sub answer_fault
{
	my ($q, $s, $got, $exact, $limit, $scan) = @_;
	my %distance = map { $_->[0] => $_->[1] } @$exact;
	my (%seen, $last);
	my $most = 0;

	for (@$exact) { $most = abs($_->[1]) if abs($_->[1]) > $most; }
	for my $row (@$got)
	{
		my ($id, $d) = @$row;
		return "row $id comes twice" if $seen{$id}++;
		return "row $id is not visible, or does not fit the condition" if !exists $distance{$id};
		return "row $id comes with distance $d, which is $distance{$id}" if $distance{$id} ne $d;
	}
	return 'more rows than the limit' if defined $limit && @$got > $limit;

	# Distances do not fall, but where asked to be relaxed, or where the index
	# is coarser than the table and shall not ask it.
	my $x = $q->{index};
	my $slack = $x->{quantised}
	  ? ($s->{rerank} eq 'on' ? 1e-5 : $s->{rerank} eq 'auto' && !$x->{toasted} ? .02 : undef)
	  : 1e-5;
	$slack = .02 if defined $slack && $x->{class} =~ /^halfvec/;
	if (defined $slack && $s->{iterative} ne 'relaxed_order')
	{
		for my $row (@$got)
		{
			return "distance $row->[1] of row $row->[0] comes after $last"
			  if defined $last && $row->[1] < $last - $slack * $most;
			$last = $row->[1] if !defined $last || $row->[1] > $last;
		}
	}

	# A scan that goes on stops when it has looked at everything, or by its
	# limits. In strict order it may drop a vertex, with all its rows: it counts
	# them.
	my $want = defined $limit && $limit < @$exact ? $limit : @$exact;
	if ($s->{iterative} ne 'off' && @$got < $want && ($s->{iterative} eq 'relaxed_order' || $scan->{dropped} == 0)
		&& !($scan->{stop_reason} =~ /max_scan_tuples/ && $s->{tuples} < 20000)
		&& !($scan->{stop_reason} =~ /scan_mem/ && $s->{work_mem} eq '64kB'))
	{
		return sprintf('%d rows of %d, %d dropped, stopped by "%s"', scalar(@$got), $want, $scan->{dropped}, $scan->{stop_reason});
	}
	return undef;
}

# Rows of the answer that are no farther than the exact k-th, and how many
# there could be: recall, by distance, so that ties are no misses.
sub answer_hits
{
	my ($got, $exact, $k) = @_;
	my @d = sort { $a <=> $b } map { $_->[1] } @$exact;
	$k = @d if $k > @d;
	return (0, 0) if $k == 0;
	my $farthest = $d[ $k - 1 ];
	$farthest += abs($farthest) * 1e-6;
	my $n = grep { $_->[1] <= $farthest } @$got;
	return ($n > $k ? $k : $n, $k);
}

# Two answers without a limit have the same rows.
sub same_rows
{
	my ($got, $exact) = @_;
	my %there = map { $_->[0] => 1 } @$exact;
	my %got = map { $_->[0] => 1 } @$got;
	my @missing = grep { !$got{$_} } sort keys %there;
	my @more = grep { !$there{$_} } sort keys %got;
	return undef if !@missing && !@more && @$got == @$exact;
	return sprintf('%d rows of %d; missing: %s; too many: %s', scalar(@$got), scalar(@$exact), "@missing[0 .. ($#missing > 9 ? 9 : $#missing)]",
		"@more[0 .. ($#more > 9 ? 9 : $#more)]");
}

1;
