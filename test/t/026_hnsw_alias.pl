# Under pgvector's name a scan ends at hnsw.ef_search unless it is told to go
# on, as pgvector's does; everything else is the same.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('alias', extension => 'vector');
$node->safe_psql('postgres', <<'END');
CREATE TABLE t (id int, v vector(3));
INSERT INTO t SELECT i, array[i, i % 10, i % 7]::vector FROM generate_series(1, 300) i;
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
END

sub rows
{
	my ($set, $limit) = @_;
	return $node->safe_psql('postgres', <<"END");
SET enable_seqscan = off;
$set;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT $limit) s;
END
}

is(rows('SET hnsw.iterative_scan = auto', 300), '40', 'ef_search rows');
is(rows('RESET hnsw.iterative_scan', 300), '40', 'by default');
is(rows('SET hnsw.ef_search = 100', 300), '100', 'of another ef_search');
is(rows('SET hnsw.iterative_scan = relaxed_order', 300), '300', 'all rows, told to go on');
is(rows('SET hnsw.iterative_scan = strict_order', 200), '200', 'or as many as asked for');
# Of an index that another session made, and when the setting comes first.
is($node->safe_psql('postgres', <<'END'), '40', 'in a session that begins with the search');
SET hnsw.ef_search = 40;
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,3]') s;
END
$node->safe_psql('postgres', 'DROP EXTENSION vector CASCADE; CREATE EXTENSION vecrecall');
$node->safe_psql('postgres', <<'END');
ALTER TABLE t ADD v vector(3);
UPDATE t SET v = array[id, id % 10, id % 7];
CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
END
is(rows('SET hnsw.iterative_scan = auto', 200), '200', 'under our own name it goes on');
index_is_sound($node, 't_v');

done_testing();
