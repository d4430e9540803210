# Unlogged tables: kept over a clean restart, empty after a crash, and the
# index is one that can be filled again.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('unlogged', conf => "log_line_prefix = '<%e> '\n");
load_hnsw($node);
$node->safe_psql('postgres', <<'END');
CREATE UNLOGGED TABLE t (id int, v vector(8), k int, s sparsevec(8), b bit(70));
CREATE INDEX t_q ON t USING hnsw (v vector_l2_ops, k);
CREATE INDEX t_p ON t USING hnsw (v vector_l1_ops);
CREATE INDEX t_cosine ON t USING hnsw (v vector_cosine_ops) WITH (m = 40, ef_construction = 80);
CREATE INDEX t_s ON t USING hnsw (s sparsevec_l2_ops);
CREATE INDEX t_b ON t USING hnsw (b bit_jaccard_ops);
CREATE FUNCTION fill(seed int) RETURNS void LANGUAGE sql AS $$
INSERT INTO t SELECT id, v, id % 3, v::vector::sparsevec, (id::bit(32) || id::bit(38))::bit(70)
	FROM vr_test.vectors('uniform', 500, 8, seed)
$$;
SELECT fill(1);
END

sub check
{
	my ($rows, $what) = @_;
	for my $i ([ 'v', '<->', "'[1,1,1,1,1,1,1,1]'" ], [ 'v', '<+>', "'[1,1,1,1,1,1,1,1]'" ],
		[ 'v', '<=>', "'[1,1,1,1,1,1,1,1]'" ], [ 's', '<->', "'{1:1}/8'" ],
		[ 'b', '<%>', "(SELECT b FROM t LIMIT 1)" ])
	{
		is(gives_every_row($node, 't', @$i, "$what: each row comes once by $i->[1]"),
			"$rows rows", "$what: $rows rows by $i->[1]");
	}
	index_is_sound($node, $_, "$what: $_ is sound") for qw(t_q t_p t_cosine t_s t_b);
}

check(500, 'filled');
$node->restart;
check(500, 'restarted');
$node->stop('immediate');
$node->start;
check(0, 'crashed');
$node->safe_psql('postgres', 'SELECT fill(2); DELETE FROM t WHERE id % 5 = 0; VACUUM t;');
check(400, 'filled again');
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
$node->start;
check(0, 'crashed after a checkpoint');
$node->safe_psql('postgres', 'SELECT fill(3); ALTER TABLE t SET LOGGED;');
$node->stop('immediate');
$node->start;
check(500, 'logged, then crashed');
no_internal_errors($node);

done_testing();
