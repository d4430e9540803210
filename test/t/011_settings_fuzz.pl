# Options of indexes and settings with random values, also such as no option
# has: each is taken or refused with an error of the user's, and an index made
# with what was taken is sound and answers.
#
#	FUZZ_SEED=7 FUZZ_COUNT=20000 TESTS=011_settings_fuzz test/lib/check.sh tap
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

BEGIN
{
	eval { require DBI; require DBD::Pg; 1 } or plan skip_all => 'Perl has no DBD::Pg (make setup)';
}

use constant MOST_KB => 500_000;

my $seed = $ENV{FUZZ_SEED} || 20261126;
my $count = $ENV{FUZZ_COUNT} || 600;
srand($seed);
note("seed $seed, $count tries");

my $node = new_node('settings', extension => has_alias() ? 'vector' : 'vecrecall',
	conf => "statement_timeout = 60s\nlog_line_prefix = '<%e> '\nrestart_after_crash = off\nmax_parallel_maintenance_workers = 2\n");
my $dbh = DBI->connect('dbi:Pg:dbname=postgres;user=' . getpwuid($<) . ';host=' . $node->host . ';port=' . $node->port, undef, undef,
	{ RaiseError => 1, PrintError => 0, PrintWarn => 0, pg_server_prepare => 0, pg_placeholder_dollaronly => 1 });
$dbh->do("SET client_min_messages = error; SET min_parallel_table_scan_size = 0");

sub below { return int(rand($_[0])); }
sub pick { return $_[ below(scalar @_) ]; }

# Tables of several types, sizes and numbers of rows.
my @tables;
for my $t ([ vector => 1, 3, 64, 385, 2001, 16000 ], [ halfvec => 2, 100, 4001 ], [ sparsevec => 5, 1000000 ], [ bit => 1, 64, 4000 ])
{
	my ($type, @dims) = @$t;
	for my $dim (@dims)
	{
		for my $rows (0, 40)
		{
			my $name = "${type}_${dim}_$rows";
			my $value = $type eq 'bit' ? "(SELECT string_agg(((i * d) % 7 / 4)::text, '') FROM generate_series(1, $dim) d)::bit($dim)"
			  : $type eq 'sparsevec' ? "('{' || i % 5 + 1 || ':' || i || '}/$dim')::sparsevec"
			  : "(SELECT array_agg(sin(i * d)) FROM generate_series(1, $dim) d)::vector($dim)";
			$value .= "::halfvec($dim)" if $type eq 'halfvec';
			$dbh->do("CREATE TABLE $name (id int, v $type($dim), k int)");
			$dbh->do("INSERT INTO $name SELECT i, $value, i % 3 FROM generate_series(1, $rows) i");
			push @tables, { name => $name, type => $type };
		}
	}
}
my %ops = (
	vector => [ [ 'vector_l2_ops', '<->' ], [ 'vector_ip_ops', '<#>' ], [ 'vector_cosine_ops', '<=>' ], [ 'vector_l1_ops', '<+>' ] ],
	halfvec => [ [ 'halfvec_l2_ops', '<->' ], [ 'halfvec_ip_ops', '<#>' ], [ 'halfvec_cosine_ops', '<=>' ], [ 'halfvec_l1_ops', '<+>' ] ],
	sparsevec => [ [ 'sparsevec_l2_ops', '<->' ], [ 'sparsevec_ip_ops', '<#>' ], [ 'sparsevec_cosine_ops', '<=>' ], [ 'sparsevec_l1_ops', '<+>' ] ],
	bit => [ [ 'bit_hamming_ops', '<~>' ], [ 'bit_jaccard_ops', '<%>' ] ]);

# --------------------------------------------------------------- names, values

my @options = qw(m ef_construction storage precision code_bits seed lists);
my %words = (storage => [qw(auto plain quantised quantized lean)], precision => [qw(auto f32 f16 int8 int8x2 int4 int2)]);
my @values = (qw(-2147483649 -2147483648 -1 0 1 2 3 4 15 16 17 99 100 101 1000 1001 16000 16001 2147483647 2147483648
	99999999999999999999 1e3 1.5 -0 0x10 nan inf infinity auto plain on off true none f32 lean strict_order relaxed_order 8MB 10s),
	'', ' 16 ', "1\x{e9}", 'x' x 300, "'", '"', '%s%n', '$1');

sub value
{
	my ($name) = @_;
	my $r = rand();
	return pick(@{ $words{$name} }) if $words{$name} && $r < .7;
	return below(130) if $r < .5;
	return pick(-1, 0, 1, 8, 64, 128) if $r < .6;
	return below(2**31) if $r < .7;
	return pick(@values);
}

sub quote { my ($v) = @_; $v =~ s/'/''/g; return "'$v'"; }

sub option
{
	my $name = rand() < .95 ? pick(@options) : pick(qw(fillfactor M efconstruction buffering), '"a b"', '"m "');
	my $text = rand() < .03 ? $name : "$name = " . quote(value($name));
	return $text;
}

# Of the user's: what is refused has one of these.
#	22023 invalid value  42704 unknown  42601 syntax  0A000  54000 limit
#	55000 not in this state  22000 the data  42P17 invalid definition
my $refused = qr/^(22023|42704|42601|0A000|54000|55000|22000|42P17|42602|22P02)$/;
my %met;
my $dead = 0;

# Runs it; true if it was taken. Fails the test if refused in another way.
sub taken
{
	my ($sql) = @_;
	my $ok = eval { $sql =~ /^(SELECT|EXPLAIN|SHOW)/ ? $dbh->selectall_arrayref($sql) : $dbh->do($sql); 1 };
	$met{ $ok ? 'taken' : $dbh->state }++;
	return 1 if $ok;
	my ($state, $message) = ($dbh->state, $dbh->errstr);
	if ($state !~ $refused)
	{
		fail("SQLSTATE $state: $message, by " . substr($sql, 0, 500));
		$dead = !$dbh->ping;
	}
	return 0;
}

# ------------------------------------------------------------------ the tries

# Ours, whatever they are by now.
$dbh->do("SELECT vecrecall.build_info()");
my @settings = map { $_->[0] } @{ $dbh->selectall_arrayref("SELECT name FROM pg_settings WHERE name ~ '^(hnsw|ivfflat|vecrecall)[.]' ORDER BY 1") };
cmp_ok(scalar @settings, '>', 8, 'there are settings');
for (@{ $dbh->selectall_arrayref("SELECT name, enumvals FROM pg_settings WHERE name ~ '^(hnsw|ivfflat|vecrecall)[.]' AND enumvals IS NOT NULL") })
{
	$words{ $_->[0] } = $_->[1];
}

sub try_index
{
	my $t = pick(@tables);
	my ($class, $op) = @{ pick(@{ $ops{ $t->{type} } }) };
	my $am = has_alias() && rand() < .1 && $t->{type} ne 'sparsevec' ? 'ivfflat' : 'hnsw';
	my $more = rand() < .2 ? ', k' : '';
	my @o = map { option() } 1 .. pick(0, 1, 1, 1, 2, 2, 3);
	my $query = "(SELECT v FROM $t->{name} LIMIT 1)";
	return if !taken("CREATE INDEX i ON $t->{name} USING $am (v $class$more)" . (@o ? ' WITH (' . join(', ', @o) . ')' : ''));
	taken("SELECT id FROM $t->{name} ORDER BY v $op $query LIMIT 5");
	taken("INSERT INTO $t->{name} SELECT id + 1000, v, k FROM $t->{name} WHERE id <= 2");
	taken('ALTER INDEX i SET (' . option() . ')') if rand() < .3;
	taken('ALTER INDEX i RESET (' . pick(@options) . ')') if rand() < .2;
	taken('REINDEX INDEX i') if rand() < .3;
	taken("SELECT id FROM $t->{name} ORDER BY v $op $query LIMIT 50");
	taken("DELETE FROM $t->{name} WHERE id > 1000");
	taken("VACUUM $t->{name}") if rand() < .3;
	taken("SELECT * FROM vecrecall.index_info('i')");
	my $faults = eval { $dbh->selectall_arrayref("SELECT fault FROM vecrecall.check_index('i', true) WHERE fault !~ 'cannot be reached'") };
	is($faults ? join(', ', map { $_->[0] } @$faults) : $dbh->errstr, '', "sound: $class$more WITH (@o) on $t->{name}")
	  if !$faults || @$faults;
	taken('DROP INDEX i');
	return;
}

# A setting, then searches under it.
$dbh->do("CREATE INDEX vector_64_40_i ON vector_64_40 USING hnsw (v vector_l2_ops, k)");
$dbh->do("CREATE INDEX halfvec_100_40_i ON halfvec_100_40 USING hnsw (v halfvec_cosine_ops) WITH (storage = lean)");

sub try_setting
{
	my $name = pick(@settings);
	$name = pick('hnsw.no_such', 'vecrecall.no_such', 'ivfflat.listst') if rand() < .03;
	# What is listed cannot be beyond its limits.
	taken("SET $name = " . quote(value($name)));
	my ($bad) = @{ $dbh->selectcol_arrayref("SELECT name FROM pg_settings WHERE name ~ '^(hnsw|ivfflat|vecrecall)[.]' AND vartype IN ('integer', 'real')"
		  . " AND NOT setting::float8 BETWEEN min_val::float8 AND max_val::float8") };
	ok(0, "$bad is beyond its limits") if $bad;
	return if rand() < .5;
	taken('SET enable_seqscan = off');
	for my $t ('vector_64_40', 'halfvec_100_40')
	{
		my $op = $t =~ /half/ ? '<=>' : '<->';
		taken("SELECT id FROM $t" . (rand() < .3 ? ' WHERE k = 1' : '') . " ORDER BY v $op (SELECT v FROM $t WHERE id = 7) LIMIT " . pick(1, 10, 100));
	}
	taken("SELECT * FROM vecrecall.knn_exact('vector_64_40'::regclass, 'v', ARRAY(SELECT v FROM vector_64_40 LIMIT 3), 5)") if rand() < .2;
	taken("EXPLAIN SELECT id FROM vector_64_40 ORDER BY v <-> (SELECT v FROM vector_64_40 LIMIT 1) LIMIT 5");
	taken('RESET enable_seqscan');
	taken('RESET ALL') if rand() < .1;
	$dbh->do('SET client_min_messages = error');
	return;
}

sub try_plan
{
	taken('SELECT * FROM vecrecall.plan_layout(' . pick(-1, 0, 1, 2, 100, 768, 16000, 16001, 2147483647, below(20000)) . ', '
		  . pick(-1, 0, 1, 1000000, '9223372036854775807') . ', ' . quote(pick(qw(vector halfvec sparsevec bit int), '')) . ', '
		  . pick(-1, 0, 1, 2, 16, 100, 101, 2147483647) . ')');
	return;
}

for (1 .. $count)
{
	my $r = rand();
	if ($r < .4) { try_index(); }
	elsif ($r < .95) { try_setting(); }
	else { try_plan(); }
	last if $dead;
}
ok(!$dead, 'the session lives');
my ($kb) = -r "/proc/$dbh->{pg_pid}/status" ? PostgreSQL::Test::Utils::slurp_file("/proc/$dbh->{pg_pid}/status") =~ /RssAnon:\s+(\d+)/ : ();
cmp_ok($kb // 0, '<', MOST_KB, 'its memory is bounded');
note(join ', ', map { "$_: $met{$_}" } sort keys %met);
cmp_ok($met{'taken'}, '>', $count / 2, 'some were taken');
cmp_ok($met{'22023'}, '>', $count / 20, 'some were refused');
no_internal_errors($node);
$dbh->disconnect;
$node->stop;
done_testing();
