-- Distances of bit strings.

SELECT B'111' <~> B'110', B'1010' <~> B'0101', B'' <~> B'', hamming_distance(B'1', B'1');
SELECT B'1111' <%> B'1110', B'1010' <%> B'0101', B'' <%> B'', B'00' <%> B'00',
	B'00' <%> B'01', jaccard_distance(B'1100', B'1000');
SELECT B'11' <~> B'1';
SELECT B'11' <%> B'1';
SELECT '111'::bit(3) <~> '110'::varbit::bit(3), '111'::varbit <~> B'110';

-- All lengths around those that are counted at once.
SELECT count(*) AS lengths, count(*) FILTER (WHERE a <~> ~a <> n) AS hamming,
	count(*) FILTER (WHERE a <~> a <> 0) AS same,
	count(*) FILTER (WHERE a <%> ~a <> 1) AS jaccard,
	count(*) FILTER (WHERE a <%> a <> 0) AS jaccard_same
FROM (SELECT n, repeat('110100100010', n / 12 + 1)::bit(5000)::varbit AS s FROM generate_series(1, 4096) n) x,
	LATERAL (SELECT substring(s FROM 1 FOR n) AS a) y;
SELECT sum(n) FILTER (WHERE repeat('10', n)::bit(64000) <%> repeat('11', n)::bit(64000) <> 0.5) AS wrong
FROM generate_series(1, 32000, 1777) n;
