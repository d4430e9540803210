# SoakSchema.pm: the tables and indexes that the soak test works on, the values
# put into them, and the queries asked of them. Values and queries come from
# Perl's random numbers, which are the same on every machine for a seed.
package SoakSchema;

use strict;
use warnings;

use base 'Exporter';
our @EXPORT_OK = qw(tables indexes indexes_of setup_sql options_sql
  random_value random_query random_row create_sql CLIENT_IDS);

# A row's id tells the client that owns it: id / CLIENT_IDS.
use constant CLIENT_IDS => 1_000_000;

# Each table is (id, v, k, g, n, o): v the vector, k and g attributes that
# indexes have, n a column with an index of its own, o one without.
#	rows	live rows per client that the operations keep to
#	weight	share of the operations
my %tables = (
	t => { type => 'vector(12)', kind => 'vector', dim => 12, rows => 350, weight => 50 },
	h => { type => 'halfvec(20)', kind => 'halfvec', dim => 20, rows => 150, weight => 15 },
	s => { type => 'sparsevec(1000)', kind => 'sparsevec', dim => 1000, rows => 100, weight => 10 },
	b => { type => 'bit(64)', kind => 'bit', dim => 64, rows => 100, weight => 8 },
	# A vector that is TOASTed, and one that takes VALUE pages in plain form.
	w => { type => 'vector(700)', kind => 'vector', dim => 700, rows => 30, weight => 5 },
	# Empty after a crash, and on a standby.
	u => { type => 'vector(8)', kind => 'vector', dim => 8, rows => 60, weight => 6, unlogged => 1 });

# Table, name, expression of the first column, its operator and class, other
# columns; skip is what the index leaves out (besides NULL), where its
# condition. Floors are of the
# mean recall of ten nearest, ef_search 40 and more: .9, or a tenth and more
# below what runs have shown. Few rows, so they tell of breakage, not of wear.
my @indexes = (
	{ table => 't', name => 't_l2', expr => 'v', op => '<->', class => 'vector_l2_ops', more => ', k', attrs => ['k'], quantised => 1 },
	{ table => 't', name => 't_ip', expr => 'v', op => '<#>', class => 'vector_ip_ops', more => '', quantised => 1, floor => 0.8 },
	{ table => 't', name => 't_cos', expr => 'v', op => '<=>', class => 'vector_cosine_ops', more => ', k, g', attrs => [ 'k', 'g' ],
		skip => 'vector_norm(v) = 0', quantised => 1 },
	{ table => 't', name => 't_l1', expr => 'v', op => '<+>', class => 'vector_l1_ops', more => '' },
	{ table => 't', name => 't_half', expr => '(v::halfvec(12))', op => '<->', class => 'halfvec_l2_ops', more => '',
		where => 'n % 3 <> 0', quantised => 1 },
	{ table => 't', name => 't_bit', expr => '(binary_quantize(v)::bit(12))', op => '<~>', class => 'bit_hamming_ops', more => '', floor => 0.5 },
	{ table => 'h', name => 'h_cos', expr => 'v', op => '<=>', class => 'halfvec_cosine_ops', more => ', g', attrs => ['g'],
		skip => 'l2_norm(v) = 0', quantised => 1 },
	{ table => 'h', name => 'h_l1', expr => 'v', op => '<+>', class => 'halfvec_l1_ops', more => ', n', attrs => ['n'] },
	{ table => 's', name => 's_l2', expr => 'v', op => '<->', class => 'sparsevec_l2_ops', more => '', floor => 0.7 },
	{ table => 's', name => 's_ip', expr => 'v', op => '<#>', class => 'sparsevec_ip_ops', more => '', floor => 0.5 },
	{ table => 's', name => 's_cos', expr => 'v', op => '<=>', class => 'sparsevec_cosine_ops', more => ', k', attrs => ['k'],
		skip => 'l2_norm(v) = 0', floor => 0.6 },
	{ table => 'b', name => 'b_ham', expr => 'v', op => '<~>', class => 'bit_hamming_ops', more => ', k', attrs => ['k'] },
	{ table => 'b', name => 'b_jac', expr => 'v', op => '<%>', class => 'bit_jaccard_ops', more => '' },
	{ table => 'w', name => 'w_cos', expr => 'v', op => '<=>', class => 'vector_cosine_ops', more => '',
		skip => 'vector_norm(v) = 0', quantised => 1, toasted => 1 },
	{ table => 'w', name => 'w_l1', expr => 'v', op => '<+>', class => 'vector_l1_ops', more => ', k', attrs => ['k'] },
	{ table => 'w', name => 'w_long', expr => '(array_cat(array_cat(array_cat(v::real[], v::real[]), v::real[]), v::real[])::vector(2800))',
		op => '<+>', class => 'vector_l1_ops', more => '', where => 'k = 1' },
	{ table => 'u', name => 'u_l2', expr => 'v', op => '<->', class => 'vector_l2_ops', more => ', k', attrs => ['k'], quantised => 1 });

sub tables { return \%tables; }
sub indexes { return @indexes; }
sub indexes_of { my ($table) = @_; return grep { $_->{table} eq $table } @indexes; }

sub pick { return $_[ int(rand(@_)) ]; }

# Options of an index, at random. Fewer than 8 neighbours find too little for
# a floor of recall to mean anything, in the plain form; with more than 7,
# quantised indexes of so few rows have no levels.
sub options_sql
{
	my ($x) = @_;
	my $m = $x->{quantised} ? pick(7, 8, 12, 16, 24) : pick(8, 12, 16, 16, 24);
	my @o = ("m = $m", 'ef_construction = ' . pick(2 * $m, 64, 100));
	push @o, 'storage = ' . pick('auto', 'auto', 'plain', 'quantised', 'lean') if $x->{quantised};
	push @o, 'seed = ' . (1 + int(rand(1000))) if rand() < .5;
	return 'WITH (' . join(', ', @o) . ')';
}

sub create_sql
{
	my ($x, $name, $concurrently) = @_;
	return 'CREATE INDEX ' . ($concurrently ? 'CONCURRENTLY ' : '') . ($name // $x->{name})
	  . " ON $x->{table} USING hnsw ($x->{expr} $x->{class}$x->{more}) " . options_sql($x)
	  . ($x->{where} ? " WHERE $x->{where}" : '');
}

sub setup_sql
{
	my $sql = '';
	for my $t (sort keys %tables)
	{
		$sql .= 'CREATE ' . ($tables{$t}{unlogged} ? 'UNLOGGED ' : '')
		  . "TABLE $t (id int PRIMARY KEY, v $tables{$t}{type}, k int, g text, n int, o int);\n"
		  . "CREATE INDEX ${t}_n ON $t (n);\n";
	}
	return $sql;
}

# ------------------------------------------------------------------ values

# A multiple of 1/64 within [-1, 1], so that every type holds it exactly.
sub number { return (int(rand(129)) - 64) / 64; }

sub dense
{
	my ($dim) = @_;
	my $r = rand();
	if ($r < .02) { return (0) x $dim; }
	# Few values, so that many distances are equal.
	if ($r < .12) { return map { int(rand(2)) } 1 .. $dim; }
	if ($r < .20) { return map { number() } 1 .. $dim; }
	# Around one of a few centres, which are the same in every run; a few far out.
	my $c = int(rand(12));
	my $far = $r < .24 ? 16 : 1;
	return map { $far * ((($c * 37 + $_ * 11 + $c * $_ * 5) % 65 - 32) / 32 + number() / 4) } 1 .. $dim;
}

sub text_of
{
	my ($kind, $dim) = @_;
	if ($kind eq 'sparsevec')
	{
		my %at;
		# Often near each other, seldom with many elements, now and then none.
		my $n = rand() < .02 ? 0 : rand() < .03 ? 300 : 3 + int(rand(20));
		my $c = int(rand(8)) * 100;
		$at{ $c + 1 + int(rand(60)) } = number() || 1 for 1 .. $n;
		$at{ 1 + int(rand($dim)) } = 1 if $n;
		return '{' . join(',', map { "$_:$at{$_}" } sort { $a <=> $b } keys %at) . "}/$dim";
	}
	if ($kind eq 'bit')
	{
		my $c = int(rand(8));
		return join '', map { (($c * $_ * 7 + $c) % 5 < 2) != (rand() < .15) ? 1 : 0 } 1 .. $dim;
	}
	return '[' . join(',', dense($dim)) . ']';
}

# The text of a value for a table; undef is NULL. Some values come again and
# again: rows with equal values share a vertex.
my %again;

sub random_value
{
	my ($table) = @_;
	my $t = $tables{$table};
	my $r = rand();
	return undef if $r < .02;
	if ($r < .22)
	{
		if (!$again{$table})
		{
			# From a seed of its own: the same for every client.
			my $next = int(rand(2**31));
			srand(4711);
			$again{$table} = [ map { text_of($t->{kind}, $t->{dim}) } 1 .. 12 ];
			srand($next);
		}
		return $again{$table}[ int(rand(12)) ];
	}
	return text_of($t->{kind}, $t->{dim});
}

sub random_row
{
	my ($table) = @_;
	return { v => random_value($table), k => rand() < .05 ? undef : int(rand(6)),
		g => rand() < .05 ? undef : pick('a', 'b', 'c', 'dd', 'a long label that is hashed'),
		n => int(rand(50)), o => 0 };
}

# ----------------------------------------------------------------- queries

# A query of an index: its SQL without the settings, the SQL of the exact
# answer without order, and what may be expected of it.
sub random_query
{
	my ($x, %arg) = @_;
	my $t = $tables{ $x->{table} };
	my $text;
	# What has no direction has no cosine.
	do { $text = text_of($t->{kind}, $t->{dim}); }
	  while $text !~ /[1-9]/ || $text =~ /^\{\}/;
	my $q = "'$text'::$t->{type}";
	(my $qx = $x->{expr}) =~ s/\bv\b/$q/g;
	my @where = $x->{where} ? ($x->{where}) : ();
	my ($attr, $post) = (0, 0);
	my $r = rand();
	if ($x->{attrs} && $r < .35)
	{
		my $a = $x->{attrs}[ int(rand(@{ $x->{attrs} })) ];
		my @v = $a eq 'g' ? map { "'$_'" } ('a', 'b', 'dd', 'a long label that is hashed', 'nobody')
		  : $a eq 'n' ? (1 .. 9) : (0 .. 6);
		push @where, rand() < .7 ? "$a = " . pick(@v) : "$a IN (" . join(', ', pick(@v), pick(@v), pick(@v)) . ')';
		$attr = 1;
	}
	elsif ($r < .5)
	{
		push @where, pick('n < 10', 'o >= 0', 'n % 2 = 0', 'k IS NULL', 'id % 5 = 1', "k = 2 OR g = 'b'");
		$post = 1;
	}
	my $where = @where ? 'WHERE ' . join(' AND ', map { "($_)" } @where) : '';
	my $given = join(' AND ', map { "($_)" } "$x->{expr} IS NOT NULL", @where, $x->{skip} ? "NOT $x->{skip}" : ());
	my $d = "$x->{expr} $x->{op} $qx";
	return { index => $x, d => $d, attr => $attr, post => $post,
		sql => "SELECT id, $d AS d FROM $x->{table} $where ORDER BY $d",
		exact => "SELECT id, $d AS d FROM $x->{table} WHERE $given" };
}

1;
