# Damaged pages: every field that check_index knows, one index each, and random
# bytes. Faults are rows, scans and insertions end in an error at worst, and
# the server lives.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

# Without checksums, the default from 18 on: they would find it first.
my $node = new_node('damage', init => [ no_data_checksums => 1 ],
	conf => "statement_timeout = 60s\n");

$node->safe_psql('postgres', <<'END');
SET client_min_messages = error;
CREATE TABLE t (id int, e vector(16), l vector(3000), kind int);
INSERT INTO t SELECT i, v::vector, CASE WHEN i < 30 THEN w::vector END, i % 5
FROM generate_series(1, 400) i, LATERAL (SELECT array_agg(sin(i * j)) v FROM generate_series(1, 16) j) x,
	LATERAL (SELECT array_agg(cos(i * j)) w FROM generate_series(1, 3000) j WHERE i < 30) y;
INSERT INTO t SELECT id + 1000, e, NULL, kind FROM t, generate_series(1, 25) WHERE id IN (7, 8);
ANALYZE t;
END

my %definition = (
	quantised => '(e vector_l2_ops)',
	# Of so few rows only a small m makes levels.
	levels => '(e vector_l2_ops) WITH (m = 7)',
	plain => '(e vector_l1_ops)',
	attribute => '(e vector_cosine_ops, kind)',
	sparse => '((e::sparsevec(16)) sparsevec_l2_ops)',
	half => '((e::halfvec(16)) halfvec_cosine_ops) WITH (storage = plain)',
	long => '(l vector_l1_ops)');

# ------------------------------------------------------------ reading a file

# The pages of an index as one string, and what a test needs to find its way.
sub slurp_index
{
	my ($path) = @_;
	my $x = { data => PostgreSQL::Test::Utils::slurp_file($path) };
	my @l = unpack('S14L3', substr($x->{data}, 48, 40));
	@$x{qw(record_size slots lanes degree0 degree nattrs attrs_at ids_at own_at
		own_bytes ownhead_at factors_at codes_at own_kind padded code_bits
		attr_group)} = @l;
	$x->{nblocks} = length($x->{data}) / 8192;
	return $x;
}

sub kind { my ($x, $block) = @_; return unpack('S', substr($x->{data}, $block * 8192 + 8176, 2)); }

# Offset in the file of the first page of a kind.
sub page
{
	my ($x, $kind) = @_;
	for my $b (1 .. $x->{nblocks} - 1)
	{
		return $b * 8192 if kind($x, $b) == $kind;
	}
	die "no page of kind $kind";
}

# Offset of the n-th live record of a level that has neighbours.
sub record
{
	my ($x, $level, $n) = @_;
	for my $b (1 .. $x->{nblocks} - 1)
	{
		next if kind($x, $b) != 2;
		for my $s (0 .. $x->{slots} - 1)
		{
			my $at = $b * 8192 + 24 + $s * $x->{record_size};
			my ($flags, $l, $degree) = unpack('x6CCx12C', substr($x->{data}, $at, 21));
			next if $flags != 1 || $l != $level || $degree < 3;
			return $at if $n-- == 0;
		}
	}
	die "no such record of level $level";
}

sub put { my ($x, $at, $type, $value) = @_; my $s = pack($type, $value); substr($x->{data}, $at, length $s) = $s; }
sub get { my ($x, $at, $type) = @_; return unpack($type, substr($x->{data}, $at, 8)); }
sub flip { my ($x, $at) = @_; put($x, $at, 'C', get($x, $at, 'C') ^ 0x40); }

# Offset of the first chunk of TIDs that is in use and has a next one.
sub chunk
{
	my ($x) = @_;
	my $at = page($x, 3) + 24;
	$at += 64 while get($x, $at, 'L') == 0xFFFFFFFF || get($x, $at + 4, 'L') == 0xFFFFFFFF;
	return $at;
}

# ------------------------------------------------------------------ the damage

# Name, index, what to do, and the fault that must be among those found.
my @damage = (
	[ 'magic', 'quantised', sub { put($_[0], 24, 'L', 1) }, qr/magic is/ ],
	[ 'pgvector', 'quantised', sub { put($_[0], 24, 'L', 0xA953A953) }, qr/built by pgvector/ ],
	[ 'version', 'quantised', sub { put($_[0], 28, 'S', 9) }, qr/format version is 9/ ],
	[ 'type', 'quantised', sub { put($_[0], 30, 'C', 2) }, qr/type is 2/ ],
	[ 'metric', 'quantised', sub { put($_[0], 31, 'C', 3) }, qr/metric is 3/ ],
	[ 'form', 'quantised', sub { put($_[0], 32, 'C', 7) }, qr/storage form/ ],
	[ 'm', 'quantised', sub { put($_[0], 34, 'S', 1) }, qr/m is 1/ ],
	[ 'dim', 'quantised', sub { put($_[0], 40, 'L', 17) }, qr/dimensions are 17/ ],
	[ 'scale', 'quantised', sub { put($_[0], 44, 'f', -1) }, qr/scale is/ ],
	[ 'record_size', 'quantised', sub { put($_[0], 48, 'S', 64) }, qr/record layout/ ],
	[ 'slots', 'plain', sub { put($_[0], 50, 'S', 3) }, qr/record layout/ ],
	[ 'own_kind', 'quantised', sub { put($_[0], 74, 'S', 77) }, qr/record layout/ ],
	[ 'padded', 'quantised', sub { put($_[0], 76, 'L', 0xFFFFFFF0) }, qr/record layout/ ],
	[ 'code_bits', 'quantised', sub { put($_[0], 80, 'L', 0xFFFFFFF0) }, qr/record layout/ ],
	[ 'attr_group', 'attribute', sub { put($_[0], 84, 'L', 0x7FFFFFFF) }, qr/record layout/ ],
	[ 'nattrs', 'attribute', sub { put($_[0], 58, 'S', 2) }, qr/record layout/ ],
	[ 'upper_blocks', 'quantised', sub { put($_[0], 112, 'L', 99999) }, qr/blocks of upper levels/ ],
	[ 'mean_block', 'quantised', sub { put($_[0], 116, 'L', 99999) }, qr/cut at block 99999/ ],
	[ 'entry', 'quantised', sub { put($_[0], 120, 'L', 99999999) }, qr/entry point 99999999/ ],
	[ 'entry_none', 'quantised', sub { put($_[0], 120, 'L', 0xFFFFFFFF) }, qr/entry is/ ],
	[ 'entry_level', 'quantised', sub { put($_[0], 124, 'l', 25) }, qr/metapage says 25/ ],
	[ 'tid_free', 'quantised', sub { put($_[0], 128, 'L', 99999) }, qr/list of TID pages/ ],
	[ 'kind', 'quantised', sub { put($_[0], page($_[0], 2) + 8176, 'S', 3) }, qr/./ ],
	[ 'kind_attr', 'attribute', sub { put($_[0], 8192 + 8176, 'S', 2) }, qr/wrong place/ ],
	[ 'page_id', 'quantised', sub { put($_[0], page($_[0], 2) + 8190, 'S', 1) }, qr/not an hnsw page/ ],
	[ 'header', 'quantised', sub { put($_[0], page($_[0], 2) + 12, 'S', 9000) }, qr/cannot be read/ ],
	[ 'pd_lower', 'quantised', sub { put($_[0], page($_[0], 2) + 12, 'S', 100) }, qr/page header/ ],
	[ 'nused', 'plain', sub { put($_[0], page($_[0], 2) + 8178, 'S', 1) }, qr/page says it has 1 records/ ],
	[ 'page_flags', 'plain', sub { put($_[0], page($_[0], 2) + 8184, 'S', 6) }, qr/has flags/ ],
	[ 'zero_page', 'quantised', sub { put($_[0], int(record($_[0], 0, 3) / 8192) * 8192, 'a8192', '') }, qr/is no record/ ],
	[ 'zero_meta', 'quantised', sub { put($_[0], 0, 'a8192', '') }, qr/magic is/ ],
	[ 'cut', 'quantised', sub { $_[0]{data} = substr($_[0]{data}, 0, page($_[0], 2) + 8192) }, qr/./ ],
	[ 'empty', 'quantised', sub { $_[0]{data} = '' }, qr/metapage is missing/ ],
	[ 'flags', 'quantised', sub { put($_[0], record($_[0], 0, 3) + 6, 'C', 0x11) }, qr/unknown flags/ ],
	[ 'freed', 'quantised', sub { put($_[0], record($_[0], 0, 3) + 6, 'C', 0) }, qr/is a free slot/ ],
	[ 'dead', 'quantised', sub { put($_[0], record($_[0], 0, 3) + 6, 'C', 3) }, qr/dead record has heap TIDs/ ],
	[ 'level', 'quantised', sub { put($_[0], record($_[0], 0, 3) + 7, 'C', 1) }, qr/of level/ ],
	[ 'level_high', 'plain', sub { put($_[0], record($_[0], 0, 3) + 7, 'C', 200) }, qr/level is 200/ ],
	[ 'down', 'levels', sub { put($_[0], record($_[0], 1, 1) + 12, 'L', 5) }, qr/leads down to 5/ ],
	[ 'base', 'levels', sub { put($_[0], record($_[0], 1, 1) + 16, 'L', 99999) }, qr/base 99999/ ],
	[ 'base_0', 'quantised', sub { put($_[0], record($_[0], 0, 1) + 16, 'L', 3) }, qr/has base 3/ ],
	[ 'degree', 'quantised', sub { put($_[0], record($_[0], 0, 1) + 20, 'C', 200) }, qr/200 neighbours/ ],
	[ 'chosen', 'quantised', sub { put($_[0], record($_[0], 0, 1) + 21, 'C', 200) }, qr/200 of \d+ neighbours chosen/ ],
	[ 'value_block', 'quantised', sub { put($_[0], record($_[0], 0, 1) + 24, 'L', 2) }, qr/has a long value/ ],
	[ 'value_bytes', 'plain', sub { put($_[0], record($_[0], 0, 1) + 28, 'L', 0x7FFFFFFF) }, qr/value has/ ],
	[ 'neighbour', 'quantised', sub { put($_[0], record($_[0], 0, 1) + $_[0]{ids_at}, 'L', 0x7FFFFFFF) }, qr/is no record/ ],
	# The highest ids there are: what is sized by them must not be.
	(map { my $i = $_; map { my $v = $_; [ sprintf('neighbour_%s_%x', $i, $v), $i, sub { put($_[0], record($_[0], 0, $_) + $_[0]{ids_at}, 'L', $v) for 0 .. 9 }, qr/is no record/ ] }
		0xFFFFFFFF, 0xFFFFFFFE } 'plain', 'quantised'),
	[ 'neighbour_meta', 'plain', sub { put($_[0], record($_[0], 0, 1) + $_[0]{ids_at}, 'L', 0) }, qr/neighbour 0 is no record/ ],
	[ 'neighbour_self', 'quantised',
		sub { my $r = record($_[0], 0, 1); put($_[0], $r + $_[0]{ids_at}, 'L', get($_[0], $r + 16, 'L')) },
		qr/its own neighbour/ ],
	[ 'neighbour_twice', 'quantised',
		sub { my $r = record($_[0], 0, 1) + $_[0]{ids_at}; put($_[0], $r, 'L', get($_[0], $r + 4, 'L')) },
		qr/is a neighbour twice/ ],
	[ 'code', 'quantised', sub { flip($_[0], record($_[0], 0, 1) + $_[0]{codes_at}) }, qr/code of neighbour \d+ is not/ ],
	[ 'add', 'quantised', sub { put($_[0], record($_[0], 0, 1) + $_[0]{factors_at}, 'f', -7) }, qr/factors of neighbour 0/ ],
	[ 'add_nan', 'quantised', sub { put($_[0], record($_[0], 0, 1) + $_[0]{factors_at}, 'L', 0x7FC00000) }, qr/factors of neighbour 0/ ],
	[ 'lane', 'quantised',
		sub { my $r = record($_[0], 0, 1); put($_[0], $r + 20, 'S', get($_[0], $r + 20, 'S') - 1) }, qr/is not empty/ ],
	[ 'own', 'quantised', sub { flip($_[0], record($_[0], 0, 1) + $_[0]{own_at} + 1) }, qr/of neighbour/ ],
	[ 'own_head', 'quantised', sub { put($_[0], record($_[0], 0, 1) + $_[0]{ownhead_at}, 'L', 0x7FC00000) }, qr/head of the own value/ ],
	[ 'tower', 'plain', sub { put($_[0], record($_[0], 1, 1) + $_[0]{own_at}, 'f', 5) }, qr/differs from that of its base/ ],
	[ 'nan', 'plain', sub { put($_[0], record($_[0], 0, 1) + $_[0]{own_at}, 'L', 0x7FC00000) }, qr/not finite/ ],
	[ 'norm', 'half', sub { put($_[0], record($_[0], 0, 1) + $_[0]{own_at}, 'S', 0x4900) }, qr/value has norm/ ],
	[ 'sparse_count', 'sparse', sub { put($_[0], record($_[0], 0, 1) + $_[0]{own_at}, 'l', 100000000) }, qr/says it has 100000000/ ],
	[ 'sparse_index', 'sparse', sub { put($_[0], record($_[0], 0, 1) + $_[0]{own_at} + 4, 'l', 9999) }, qr/indices of a sparse value/ ],
	[ 'tid', 'quantised', sub { put($_[0], record($_[0], 0, 1), 'S', 9) }, qr/is beyond the table/ ],
	[ 'tid_other', 'quantised',
		sub { my ($a, $b) = map { record($_[0], 0, $_) } 1, 2; substr($_[0]{data}, $a, 6) = substr($_[0]{data}, $b, 6) },
		qr/is in the index twice/ ],
	[ 'tid_missing', 'quantised',
		sub { my ($a, $b) = map { record($_[0], 0, $_) } 1, 2; substr($_[0]{data}, $a, 6) = substr($_[0]{data}, $b, 6) },
		qr/is visible and not in the index/ ],
	[ 'more_tids', 'quantised', sub { put($_[0], record($_[0], 0, 1) + 8, 'L', 5) }, qr/chain of TIDs leads to block 0/ ],
	# A chain that leads back to the page whose lock its walker holds.
	[ 'chain_own_page', 'quantised',
		sub { my $o = get($_[0], chunk($_[0]), 'L'); my $b = int($o / $_[0]{slots});
			put($_[0], $b * 8192 + 24 + $o % $_[0]{slots} * $_[0]{record_size} + 8, 'L', $b * 127 + 3) },
		qr/chain of TIDs leads to block/ ],
	[ 'chunk_owner', 'quantised', sub { put($_[0], chunk($_[0]), 'L', 3) }, qr/belongs to record 3/ ],
	[ 'chunk_next', 'quantised',
		sub { my $c = chunk($_[0]); put($_[0], $c + 4, 'L', int($c / 8192) * 127 + ($c % 8192 - 24) / 64) }, qr/shares chunk/ ],
	[ 'chunk_lost', 'quantised', sub { put($_[0], chunk($_[0]) + 4, 'L', 0xFFFFFFFF) }, qr/is not in the chain/ ],
	[ 'chunk_count', 'quantised', sub { put($_[0], chunk($_[0]) + 62, 'S', 500) }, qr/chunk has 500 TIDs/ ],
	[ 'chunk_used', 'quantised', sub { put($_[0], page($_[0], 3) + 8178, 'S', 0) }, qr/page says it has 0 chunks/ ],
	[ 'value_page', 'long', sub { put($_[0], page($_[0], 4) + 8186, 'S', 0) }, qr/chain of a long value is empty at block/ ],
	# What an insertion leaves that was cut off when it had just taken a page.
	[ 'left_value', 'long', sub { my ($x) = @_; my $end = length $x->{data}; $x->{data} .= substr($x->{data}, page($x, 4), 8192);
		put($x, $end + 8186, 'S', 0); put($x, $end + 8180, 'L', 0) }, qr/\A(?:[^\n]*cannot be reached[^\n]*)?\z/ ],
	[ 'value_next', 'long', sub { my $p = page($_[0], 4); put($_[0], $p + 8180, 'L', $p / 8192) }, qr/shares block/ ],
	[ 'value_end', 'long', sub { put($_[0], page($_[0], 4) + 8180, 'L', 0) }, qr/is cut at block 0/ ],
	[ 'mean', 'quantised', sub { put($_[0], page($_[0], 5) + 24, 'L', 0x7FC00000) }, qr/mean is not finite/ ],
	[ 'attr_word', 'attribute',
		sub { my $e = ($_[0]{attr_group} - 1) * $_[0]{slots}; my $r = record($_[0], 0, 1); my $s = int(($r % 8192 - 24) / $_[0]{record_size});
			my $b = int($r / 8192); my $p = int(($b - 1) / $_[0]{attr_group}) * $_[0]{attr_group} + 1;
			my $n = ($b - $p - 1) * $_[0]{slots} + $s; put($_[0], $p * 8192 + 24 + int(($e + 7) / 8) * 8 + $n * 8, 'Q', 77) },
		qr/attribute 1 differs/ ],
	[ 'attr_live', 'attribute', sub { put($_[0], 8192 + 24, 'a1000', '') }, qr/is not live/ ],
	[ 'attr_nulls', 'quantised', sub { put($_[0], record($_[0], 0, 1) + 22, 'S', 0xFFFF) }, qr/NULL bits/ ]);

# Random bytes, the same every time.
srand(20260101);
for my $n (1 .. 24)
{
	my $index = (sort keys %definition)[ $n % keys %definition ];
	push @damage, [ "random_$n", $index,
		sub { flip($_[0], 24 + int(rand(length($_[0]{data}) - 24))) for 1 .. 1 + $n * $n / 4 }, undef ];
}
# The same, within heads of records and specials only.
for my $n (1 .. 12)
{
	my $index = (sort keys %definition)[ $n % keys %definition ];
	push @damage, [ "heads_$n", $index,
		sub
		{
			for (1 .. $n)
			{
				my $x = $_[0];
				my $b = 1 + int(rand($x->{nblocks} - 1));
				my $at = rand() < .2 ? 8176 + int(rand(16))
				  : 24 + int(rand($x->{slots})) * $x->{record_size} + int(rand(160)) % $x->{record_size};
				put($x, $b * 8192 + $at, 'C', int(rand(256)));
			}
		}, undef ];
}

$node->safe_psql('postgres', join("\n", 'SET max_parallel_maintenance_workers = 0;',
	map { "CREATE INDEX $_->[0]_i ON t USING hnsw $definition{$_->[1]};" } @damage));
# Reachability depends on the data, so it is no fault here.
my $sound = $node->safe_psql('postgres',
	"SELECT c.relname, x.fault FROM pg_class c, vecrecall.check_index(c.oid, true) x
	WHERE relname ~ '_i\$' AND relam = (SELECT oid FROM pg_am WHERE amname = 'hnsw') AND fault !~ 'cannot be reached'");
is($sound, '', 'indexes are sound before');

my %path = map { $_->[0] => $node->data_dir . '/' .
	$node->safe_psql('postgres', "SELECT pg_relation_filepath('$_->[0]_i')") } @damage;
$node->stop('fast');
for my $d (@damage)
{
	my $x = slurp_index($path{ $d->[0] });
	$d->[2]->($x);
	open my $f, '>:raw', $path{ $d->[0] } or die "$path{$d->[0]}: $!";
	print $f $x->{data};
	close $f;
}
$node->start;

# ------------------------------------------------------------- what comes of it

for my $d (@damage)
{
	my ($name, $index, undef, $fault) = @$d;
	my ($rc, $out, $err) = $node->psql('postgres',
		"SELECT fault FROM vecrecall.check_index('${name}_i', true)");
	is($err, '', "$name: check_index ends well");
	like($out, $fault, "$name: fault is found") if defined $fault;

	# A scan of this index, and insertions into it alone. A heap TID or a
	# distance that is wrong and well-formed is for the executor to notice.
	my %order = (
		quantised => "e <-> (SELECT e FROM t WHERE id = 3)",
		levels => "e <-> (SELECT e FROM t WHERE id = 3)",
		plain => "e <+> (SELECT e FROM t WHERE id = 3)",
		attribute => "e <=> (SELECT e FROM t WHERE id = 3)",
		sparse => "(e::sparsevec(16)) <-> (SELECT e::sparsevec(16) FROM t WHERE id = 3)",
		half => "(e::halfvec(16)) <=> (SELECT e::halfvec(16) FROM t WHERE id = 3)",
		long => "l <+> (SELECT l FROM t WHERE id = 3)");
	($rc, $out, $err) = $node->psql('postgres', <<"END");
\\set VERBOSITY verbose
SELECT live_vertices FROM vecrecall.index_info('${name}_i');
BEGIN;
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid <> '${name}_i'::regclass AND indrelid = 't'::regclass;
SET enable_seqscan = off;
SAVEPOINT s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY $order{$index} LIMIT 1000) x;
ROLLBACK TO s;
INSERT INTO t SELECT 5000 + id, e + e, l + l, kind FROM t WHERE id IN (3, 4);
ROLLBACK TO s;
INSERT INTO t SELECT 6000 + id, e, l, kind FROM t WHERE id IN (7, 8, 9);
ROLLBACK;
END
	my @others = grep { !/ERROR:  (XX00[12]|0A000|58P01):|XX000: index returned tuples in wrong order/ }
	  grep { /ERROR:|server closed|terminat/ } split /\n/, $err;
	is("@others", '', "$name: scan and insertion end in an error of the index at worst");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '450', 'server lives, table is whole');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminated by signal|TRAP/, 'nothing crashed');

# REINDEX cures.
$node->safe_psql('postgres', "REINDEX INDEX $damage[0][0]_i; REINDEX INDEX freed_i; REINDEX INDEX cut_i");
is($node->safe_psql('postgres', "SELECT * FROM vecrecall.check_index('freed_i', true) WHERE fault !~ 'cannot be reached'"),
	'', 'REINDEX makes it sound');
$node->stop;
done_testing();
