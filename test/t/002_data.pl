# The data generator: the same numbers everywhere, of the shape it promises.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('data', extension => undef);
load_data($node);

# Distances between arrays without any type of ours.
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION d(real[], real[]) RETURNS float8 LANGUAGE sql
AS 'SELECT sqrt(sum((a - b) ^ 2)) FROM unnest($1, $2) AS u(a, b)';
END

sub query { return $node->safe_psql('postgres', shift); }

is(query("SELECT vr_test.rnd(42, 1), vr_test.rnd(42, 2), vr_test.rnd(43, 1)"),
	'0.10237524995407987|0.7731448985261703|0.9908377652729121',
	'numbers of a seed are fixed');
is(query("SELECT v[1:3] FROM vr_test.vectors('lowdim', 2, 16, 5) WHERE id = 2"),
	'{-2.2897806,-0.49445146,5.352926}', 'so are vectors');
is(query("SELECT count(*), bool_and(cardinality(v) = 8) FROM vr_test.vectors('clustered', 300, 8, 1)"),
	'300|t', 'as many as asked for');
is(query("SELECT count(DISTINCT v) FROM vr_test.vectors('duplicates', 99, 4, 1)"),
	'10', 'duplicates: each ten times');
is(query("SELECT count(*) FROM vr_test.vectors('zeros', 70, 4, 1) WHERE 0 = ALL (v)"),
	'10', 'zeros: every seventh');
is(query("SELECT count(DISTINCT x) FROM vr_test.vectors('ties', 100, 4, 1), unnest(v) x"),
	'3', 'ties: three values');
is(query("SELECT v FROM vr_test.vectors('uniform', 3, 4, 9) WHERE id = 3"),
	query("SELECT v FROM vr_test.vectors('uniform', 9, 4, 9) WHERE id = 3"),
	'a row does not depend on how many there are');

# Made beforehand, they are read from files, and any others are made.
my $folder = $node->basedir . '/made';
mkdir $folder or die "$folder: $!";
query("COPY (SELECT v FROM vr_test.vectors('lowdim', 30, 5, 7)) TO '$folder/lowdim_30_5_7'");
query("COPY (SELECT '{1,2}'::real[]) TO '$folder/ties_1_2_3'");
is(query("SET vr_test.data = '$folder';
	SELECT count(*) FROM (SELECT * FROM vr_test.vectors('lowdim', 30, 5, 7)
		INTERSECT SELECT * FROM vr_test.made('lowdim', 30, 5, 7)) s;
	SELECT vr_test.vectors('ties', 1, 2, 3);
	SELECT count(*) FROM (SELECT * FROM vr_test.vectors('lowdim', 31, 5, 7)
		INTERSECT SELECT * FROM vr_test.made('lowdim', 31, 5, 7)) s"),
	"30\n(1,\"{1,2}\")\n31", 'vectors from files are the same');

# Nearest neighbours are much nearer than others where there is structure.
for my $kind (qw(clustered lowdim uniform))
{
	my $contrast = query(<<"END");
WITH t AS MATERIALIZED (SELECT * FROM vr_test.vectors('$kind', 400, 32, 3)),
	p AS (SELECT a.id, d(a.v, b.v) AS d FROM t a, t b WHERE a.id <= 20 AND a.id <> b.id)
SELECT avg(nearest / middle) FROM (
	SELECT min(d) AS nearest, percentile_cont(0.5) WITHIN GROUP (ORDER BY d) AS middle
	FROM p GROUP BY id) s
END
	my ($low, $high) =
	  $kind eq 'clustered' ? (0.05, 0.3)
	  : $kind eq 'lowdim'  ? (0.2, 0.5)
	  :                      (0.6, 1);
	ok($contrast > $low && $contrast < $high,
		"$kind: nearest to median distance is $contrast");
}

# Recall, on a type and an index of the server's own: GiST finds the nearest
# points exactly. Half of them are in pairs, so that the last of k is a tie.
$node->safe_psql('postgres', <<'END');
CREATE TABLE spot (id int, p point);
INSERT INTO spot SELECT id, point(v[1], v[2]) FROM vr_test.vectors('uniform', 500, 2, 1);
INSERT INTO spot SELECT id + 500, p FROM spot;
CREATE INDEX spot_p ON spot USING gist (p);
ANALYZE spot;
END
my $points = "SELECT point(v[1], v[2]) FROM vr_test.vectors('uniform', 20, 2, 2)";
recall_at_least(1, 'an exact index', $node, 'spot', 'p', '<->', 5, $points);
is(query("SELECT vr_test.recall('spot', 'p', '<->', 2000, \$\$$points\$\$)"), '1',
	'more wanted than there are');
is(query("SELECT vr_test.uses_index('SELECT p FROM spot ORDER BY p <-> ''(0,0)'' LIMIT 1', 'spot_p')"),
	't', 'the plan uses the index');
# An index of half the rows that claims to have all finds half of them.
is(query(<<"END"), '0.5', 'half of the rows, half of the recall');
BEGIN;
DROP INDEX spot_p;
CREATE INDEX spot_half ON spot USING gist (p) WHERE id % 2 = 0;
UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'spot_half'::regclass;
COMMIT;
SELECT round(vr_test.recall('spot', 'p', '<->', 100, \$\$$points\$\$)::numeric, 1);
END
query('DROP INDEX spot_half');
query_fails($node, "SELECT vr_test.recall('spot', 'p', '<->', 5, \$\$$points\$\$)",
	'P0001', 'no index is used', 'no index, no recall');

my ($rc, $out, $err) =
  $node->psql('postgres', "SELECT vr_test.vectors('x', 1, 1, 1)");
like($err, qr/no such kind/, 'an unknown kind is refused');

done_testing();
