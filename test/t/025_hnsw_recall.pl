# Recall@10 of every operator class and storage form, by distance, against
# exact search: after a build alone, in parallel, in little memory, by
# insertion, and after half of the rows were deleted, vacuumed and put back.
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VecRecall;

my $node = new_node('recall', conf => <<'END');
log_line_prefix = '<%e> '
jit = off
min_parallel_table_scan_size = 0
max_parallel_maintenance_workers = 2
client_min_messages = warning
END
load_hnsw($node);
# Seeds are fixed; the order in which parallel workers take rows is not, so a
# floor leaves room for a few queries more that miss.
$node->safe_psql('postgres', <<'END');
CREATE TABLE data (id int, v vector(32));
INSERT INTO data SELECT id, v FROM vr_test.vectors('lowdim', 1025, 32, 7);
END

my @floors = (
	# type, class, operator, storage, floor
	[ 'vector(32)', 'vector_l2_ops', '<->', 'quantised', 0.95 ],
	[ 'vector(32)', 'vector_l2_ops', '<->', 'plain', 0.95 ],
	[ 'vector(32)', 'vector_ip_ops', '<#>', 'quantised', 0.93 ],
	[ 'vector(32)', 'vector_ip_ops', '<#>', 'plain', 0.93 ],
	[ 'vector(32)', 'vector_cosine_ops', '<=>', 'quantised', 0.95 ],
	[ 'vector(32)', 'vector_cosine_ops', '<=>', 'plain', 0.95 ],
	[ 'vector(32)', 'vector_l1_ops', '<+>', 'plain', 0.95 ],
	[ 'halfvec(32)', 'halfvec_l2_ops', '<->', 'quantised', 0.95 ],
	[ 'halfvec(32)', 'halfvec_ip_ops', '<#>', 'quantised', 0.93 ],
	[ 'halfvec(32)', 'halfvec_cosine_ops', '<=>', 'plain', 0.95 ],
	[ 'halfvec(32)', 'halfvec_l1_ops', '<+>', 'plain', 0.95 ],
	[ 'sparsevec(32)', 'sparsevec_l2_ops', '<->', 'plain', 0.95 ],
	[ 'sparsevec(32)', 'sparsevec_ip_ops', '<#>', 'plain', 0.93 ],
	[ 'sparsevec(32)', 'sparsevec_cosine_ops', '<=>', 'plain', 0.95 ],
	[ 'sparsevec(32)', 'sparsevec_l1_ops', '<+>', 'plain', 0.95 ],
	[ 'bit(32)', 'bit_hamming_ops', '<~>', 'plain', 0.9 ],
	[ 'bit(32)', 'bit_jaccard_ops', '<%>', 'plain', 0.9 ]);

for my $f (@floors)
{
	my ($type, $class, $op, $storage, $floor) = @$f;
	my $value = $type =~ /^bit/ ? "binary_quantize(v)::$type" : "v::$type";
	my $index = "CREATE INDEX t_v ON t USING hnsw (v $class) WITH (storage = $storage)";
	my $what = "$class $storage";
	my @test = ($node, 't', 'v', $op, 10, 'SELECT v FROM q');

	$node->safe_psql('postgres', <<"END");
DROP TABLE IF EXISTS t, q;
CREATE TABLE t (id int, v $type) WITH (parallel_workers = 2);
CREATE TABLE q AS SELECT $value AS v FROM data WHERE id > 1000;
INSERT INTO t SELECT id, $value FROM data WHERE id <= 1000;
SET max_parallel_maintenance_workers = 0;
$index;
END
	recall_at_least($floor, "$what, built", @test);
	$node->safe_psql('postgres', "DROP INDEX t_v; $index");
	recall_at_least($floor, "$what, built in parallel", @test);
	$node->safe_psql('postgres', "DROP INDEX t_v; SET maintenance_work_mem = '1MB'; $index");
	recall_at_least($floor, "$what, built in little memory", @test);
	$node->safe_psql('postgres', <<"END");
TRUNCATE t;
INSERT INTO t SELECT id, $value FROM data WHERE id <= 1000;
END
	recall_at_least($floor, "$what, inserted", @test);
	$node->safe_psql('postgres', <<"END");
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
INSERT INTO t SELECT id, $value FROM data WHERE id <= 1000 AND id % 2 = 0;
END
	recall_at_least($floor, "$what, half put back", @test);
	gives_every_row($node, 't', 'v', $op, '(SELECT v FROM q LIMIT 1)', "$what: every row once");
	index_is_sound($node, 't_v', "$what: sound");
}
no_internal_errors($node);

done_testing();
