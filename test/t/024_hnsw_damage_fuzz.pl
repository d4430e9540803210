# Damaged pages at random: a field of a page's head, of a record, chunk or
# payload gets another value, pages are swapped, copied, zeroed, cut off. Then
# check, scan, insert, vacuum: an error that says so, or an answer; never a
# crash, a loop without end, or memory without bound. REINDEX cures each.
#
#	FUZZ_SEED=7 FUZZ_ROUNDS=50 TESTS=024_hnsw_damage_fuzz test/lib/check.sh tap
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

BEGIN
{
	eval { require DBI; require DBD::Pg; 1 } or plan skip_all => 'Perl has no DBD::Pg (make setup)';
}

use constant PAGE => 8192;
use constant PER_ROUND => 60;
# What a backend may take besides shared memory: values are small.
use constant MOST_KB => 300_000;

my $seed = $ENV{FUZZ_SEED} || 20261126;
my $rounds = $ENV{FUZZ_ROUNDS} || 2;
srand($seed);
note("seed $seed, $rounds rounds");

# Without checksums, the default from 18 on: they would find it first.
my $node = new_node('fuzz', init => [ no_data_checksums => 1 ], conf => <<'END');
statement_timeout = 30s
shared_buffers = 32MB
max_parallel_maintenance_workers = 0
max_parallel_workers_per_gather = 0
log_line_prefix = '<%e> '
restart_after_crash = off
END
$node->safe_psql('postgres', <<'END');
SET client_min_messages = warning;
CREATE TABLE pool (id int, e vector(16), l vector(3000), kind int);
INSERT INTO pool SELECT i, v::vector, CASE WHEN i <= 12 THEN w::vector END, i % 5 FROM generate_series(1, 220) i, LATERAL (SELECT array_agg(sin(i * j)) v FROM generate_series(1, 16) j) x,
	LATERAL (SELECT array_agg(cos(i * j)) w FROM generate_series(1, 3000) j WHERE i <= 12) y;
INSERT INTO pool SELECT id + 1000, e, NULL, kind FROM pool, generate_series(1, 25) WHERE id IN (7, 8);
END

# Name, definition, and the expression that orders.
my @kinds = (
	[ quantised => '(e vector_l2_ops)', 'e <-> $q' ],
	[ lean => '(e vector_ip_ops) WITH (storage = lean, m = 8)', 'e <#> $q' ],
	[ attribute => '(e vector_cosine_ops, kind)', 'e <=> $q' ],
	[ plain => '(e vector_l1_ops, kind)', 'e <+> $q' ],
	[ sparse => '((e::sparsevec(16)) sparsevec_l2_ops)', 'e::sparsevec(16) <-> ($q)::sparsevec(16)' ],
	[ half => '((e::halfvec(16)) halfvec_l2_ops)', 'e::halfvec(16) <-> ($q)::halfvec(16)' ],
	[ bits => '((binary_quantize(e)::bit(16)) bit_hamming_ops)', 'binary_quantize(e)::bit(16) <~> binary_quantize($q)::bit(16)' ],
	[ long => '(l vector_l1_ops)', 'l <+> (SELECT l FROM pool WHERE id = 3)' ]);

# ------------------------------------------------------------------ damage

sub below { return int(rand($_[0])); }
sub pick { return $_[ below(scalar @_) ]; }

# Fields as [offset, bytes]: of every page's head and end, of the metapage.
my @head = ([ 0, 8 ], [ 8, 2 ], [ 10, 2 ], [ 12, 2 ], [ 14, 2 ], [ 16, 2 ], [ 18, 2 ], [ 20, 4 ]);
my @special = ([ 8176, 2 ], [ 8178, 2 ], [ 8180, 4 ], [ 8184, 2 ], [ 8186, 2 ], [ 8188, 2 ], [ 8190, 2 ]);
my @meta = ([ 24, 4 ], [ 28, 2 ], (map { [ $_, 1 ] } 30 .. 33), [ 34, 2 ], [ 36, 2 ], [ 38, 2 ], [ 40, 4 ], [ 44, 4 ],
	(map { [ 48 + 2 * $_, 2 ] } 0 .. 13), [ 76, 4 ], [ 80, 4 ], [ 84, 4 ], [ 88, 8 ], [ 96, 8 ], [ 104, 8 ],
	(map { [ 112 + 4 * $_, 4 ] } 0 .. 5), [ 136, 8 ], [ 144, 4 ], [ 148, 4 ]);
my @record = ([ 0, 4 ], [ 4, 2 ], [ 6, 1 ], [ 7, 1 ], [ 8, 4 ], [ 12, 4 ], [ 16, 4 ], [ 20, 1 ], [ 21, 1 ], [ 22, 2 ], [ 24, 4 ], [ 28, 4 ]);

# Another value for N bytes: one off, an end of the range, something that has
# a meaning here, or chance.
sub other
{
	my ($x, $n, $old) = @_;
	my $v = $n == 8 ? unpack('Q', $old) : $n == 4 ? unpack('L', $old) : $n == 2 ? unpack('S', $old) : unpack('C', $old);
	my $top = $n == 8 ? 18446744073709551615 : 2**(8 * $n) - 1;
	my @c = (0, 1, $top, $top - 1, int($top / 2), int($top / 2) + 1, $v + 1, $v > 0 ? $v - 1 : 2, $v ^ (1 << below($n < 8 ? 8 * $n : 32)),
		$x->{blocks}, $x->{blocks} - 1, $x->{blocks} * $x->{slots}, below($x->{blocks} * $x->{slots}), below(300), below(2**30),
		0x7FC00000, 0x7F800000, 0xFF7FFFFF, 0x3C00);
	my $new = pick(@c);
	$new = $top if $new > $top;
	return $n == 8 ? pack('Q', $new) : substr(pack('L', $new), 0, $n);
}

sub set_field
{
	my ($x, $at, $n) = @_;
	return if $at + $n > length $x->{data};
	substr($x->{data}, $at, $n) = other($x, $n, substr($x->{data}, $at, $n));
	return;
}

# Pages of each kind, so that rare kinds are damaged as often.
sub pages_of_kinds
{
	my ($x) = @_;
	my %of;
	push @{ $of{ unpack('S', substr($x->{data}, $_ * PAGE + 8176, 2)) } }, $_ for 0 .. $x->{blocks} - 1;
	return \%of;
}

sub damage
{
	my ($x) = @_;
	my $of = pages_of_kinds($x);
	my $kind = pick(sort { $a <=> $b } keys %$of);
	my $block = pick(@{ $of->{$kind} });
	my $at = $block * PAGE;
	my $other = below($x->{blocks});
	my $r = rand();

	if ($r < .03) { (substr($x->{data}, $at, PAGE), substr($x->{data}, $other * PAGE, PAGE)) = (substr($x->{data}, $other * PAGE, PAGE), substr($x->{data}, $at, PAGE)); return "swap $block, $other"; }
	if ($r < .05) { substr($x->{data}, $at, PAGE) = "\0" x PAGE; return "zero $block"; }
	if ($r < .07) { substr($x->{data}, $at, PAGE) = substr($x->{data}, $other * PAGE, PAGE); return "$block is $other"; }
	if ($r < .09) { substr($x->{data}, $at) = ''; $x->{blocks} = $block; return "cut at $block"; }
	if ($r < .10) { substr($x->{data}, $at + 1 + below(PAGE)) = ''; return "cut in $block"; }
	if ($r < .12) { $x->{data} .= rand() < .5 ? "\0" x PAGE : substr($x->{data}, $at, PAGE); return "a page more"; }
	if ($r < .14) { substr($x->{data}, $at + 24, PAGE - 40) = join '', map { pack 'L', below(2**32) } 1 .. (PAGE - 40) / 4; return "chance in $block"; }
	if ($r < .20) { my $f = pick(@head); set_field($x, $at + $f->[0], $f->[1]); return "header of $block at $f->[0]"; }
	if ($r < .30) { my $f = pick(@special); set_field($x, $at + $f->[0], $f->[1]); return "end of $block (kind $kind) at $f->[0]"; }
	if ($kind == 1) { my $f = pick(@meta); set_field($x, $f->[0], $f->[1]); return "metapage at $f->[0]"; }
	if ($kind == 2)
	{
		my $slot = below($x->{slots});
		my $rec = $at + 24 + $slot * $x->{record_size};
		my $f = rand() < .6 ? pick(@record)
		  : rand() < .6 ? [ $x->{ids_at} + 4 * below($x->{lanes}), 4 ]
		  : [ 4 * below($x->{record_size} / 4), 4 ];
		set_field($x, $rec + $f->[0], $f->[1]);
		return "record $slot of $block at $f->[0]";
	}
	if ($kind == 3)
	{
		my ($c, $f) = (below(127), pick([ 0, 4 ], [ 4, 4 ], [ 8 + 6 * below(9), 4 ], [ 12 + 6 * below(9), 2 ], [ 62, 2 ]));
		$c = below(8) if rand() < .7;
		set_field($x, $at + 24 + 64 * $c + $f->[0], $f->[1]);
		return "chunk $c of $block at $f->[0]";
	}
	my $n = pick(1, 4, 8);
	my $p = 24 + below(PAGE - 48);
	set_field($x, $at + $p, $n);
	return "kind $kind, $block at $p";
}

sub damage_file
{
	my ($path) = @_;
	my $x = { data => PostgreSQL::Test::Utils::slurp_file($path) };
	@$x{qw(record_size slots lanes degree0 degree nattrs attrs_at ids_at)} = unpack('S8', substr($x->{data}, 48, 16));
	$x->{blocks} = length($x->{data}) / PAGE;
	my @done;
	for (1 .. pick(1, 1, 1, 2, 3, 10))
	{
		last if $x->{blocks} < 1 || length($x->{data}) % PAGE;
		push @done, damage($x);
	}
	open my $f, '>:raw', $path or die "$path: $!";
	print $f $x->{data};
	close $f;
	return join '; ', @done;
}

# ----------------------------------------------------------- what comes of it

my $dsn = 'dbi:Pg:dbname=postgres;user=' . getpwuid($<) . ';host=' . $node->host . ';port=' . $node->port;
my %met;

# Runs SQL on a damaged index. What is wrong, or undef.
sub try
{
	my ($dbh, $sql) = @_;
	my $rows = eval { $sql =~ /^SELECT/ ? $dbh->selectall_arrayref($sql) : $dbh->do($sql) };
	$met{ defined $rows ? 'answers' : $dbh->state }++;
	return undef if defined $rows;
	my ($state, $message) = ($dbh->state, $dbh->errstr);
	# A heap TID or a distance that is wrong and well-formed is for the
	# executor to notice.
	return undef if $state =~ /^(XX00[12]|58P01|0A000)$/ || $message =~ /index returned tuples in wrong order|could not open file .* previous segment is only/;
	return "SQLSTATE $state: $message, by $sql";
}

sub peak_kb
{
	my ($pid) = @_;
	open my $f, '<', "/proc/$pid/status" or return 0;
	my ($kb) = join('', <$f>) =~ /RssAnon:\s+(\d+)/;
	return $kb // 0;
}

sub try_all
{
	my ($name, $order) = @_;
	(my $by = $order) =~ s/\$q/(SELECT e FROM pool WHERE id = 3)/;
	my $dbh = DBI->connect($dsn, undef, undef, { RaiseError => 1, PrintError => 0, pg_server_prepare => 0, pg_placeholder_dollaronly => 1 });
	my @wrong;
	my $check = eval { $dbh->selectall_arrayref("SELECT fault FROM vecrecall.check_index('${name}_i', true)"); 1 };
	push @wrong, 'check_index: ' . $dbh->errstr if !$check;
	for my $sql ("SET enable_seqscan = off",
		"SELECT id FROM $name ORDER BY $by LIMIT 500",
		"SET hnsw.iterative_scan = relaxed_order",
		"SELECT id FROM $name WHERE kind = 2 ORDER BY $by",
		"SET hnsw.iterative_scan = off",
		"SELECT id FROM $name WHERE kind IN (1, 2) ORDER BY $by LIMIT 10",
		"INSERT INTO $name SELECT 5000 + id, e + e, l + l, kind FROM pool WHERE id IN (3, 4, 5)",
		"INSERT INTO $name SELECT 6000 + id, e, l, kind FROM pool WHERE id IN (3, 7, 8, 9)",
		"UPDATE $name SET kind = kind + 1 WHERE id % 11 = 3",
		"DELETE FROM $name WHERE id % 3 = 0",
		"VACUUM $name",
		"INSERT INTO $name SELECT 7000 + id, e - (SELECT e FROM pool WHERE id = 1), l, kind FROM pool WHERE id BETWEEN 3 AND 20",
		"VACUUM (FREEZE) $name",
		"SELECT id FROM $name ORDER BY $by LIMIT 20",
		"SELECT * FROM vecrecall.index_info('${name}_i')",
		"SELECT * FROM vecrecall.explain_index(\$\$SELECT id FROM $name ORDER BY $by LIMIT 5\$\$)",
		"SELECT vecrecall.prewarm('${name}_i')")
	{
		my $fault = try($dbh, $sql);
		next if !defined $fault;
		push @wrong, $fault;
		last if !$dbh->ping;
	}
	my $kb = peak_kb($dbh->{pg_pid});
	push @wrong, "the backend has $kb kB of its own" if $kb > MOST_KB;
	if (!@wrong)
	{
		eval {
			$dbh->do("REINDEX INDEX ${name}_i");
			my $left = $dbh->selectall_arrayref("SELECT fault FROM vecrecall.check_index('${name}_i', true) WHERE fault !~ 'cannot be reached'");
			push @wrong, "after REINDEX: $left->[0][0]" if @$left;
			1;
		} or push @wrong, 'REINDEX: ' . $dbh->errstr;
	}
	$dbh->disconnect;
	return join "\n", @wrong;
}

for my $round (1 .. $rounds)
{
	my @all = map { [ "d_$_", $kinds[ $_ % @kinds ] ] } 1 .. PER_ROUND;
	$node->safe_psql('postgres', join "\n", 'SET client_min_messages = warning;', map {
		my ($name, $kind) = @$_;
		"DROP TABLE IF EXISTS $name; CREATE TABLE $name AS SELECT * FROM pool; ALTER TABLE $name SET (autovacuum_enabled = off);"
		  . "CREATE INDEX ${name}_i ON $name USING hnsw $kind->[1];" } @all);
	# Some with dead records, free slots and chunks.
	$node->safe_psql('postgres', join "\n", map { "DELETE FROM $_->[0] WHERE id % 4 = 1; VACUUM $_->[0];" } grep { rand() < .5 } @all);
	my %path = map { $_->[0] => $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$_->[0]_i')") } @all;
	$node->stop('fast');
	my %what = map { $_->[0] => damage_file($path{ $_->[0] }) } @all;
	$node->start;
	my @faults;
	for my $d (@all)
	{
		my ($name, $kind) = @$d;
		my $wrong = eval { try_all($name, $kind->[2]) } // "$@";
		push @faults, "$kind->[0], $what{$name}: $wrong" if $wrong ne '';
		last if $wrong ne '' && $node->psql('postgres', 'SELECT 1') != 0;
	}
	is(join("\n", @faults), '', "round $round of seed $seed");
	last if @faults;
}
is(join("\n", grep { /terminated by signal|TRAP|PANIC|Failed process/ } split /\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile)), '',
	'nothing crashed');
note(join ', ', map { "$_: $met{$_}" } sort keys %met);
cmp_ok($met{XX002} // 0, '>', 10, 'damage was noticed');
$node->stop;
done_testing();
