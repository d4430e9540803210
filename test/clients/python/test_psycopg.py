"""psycopg 3: text and binary, COPY, arrays, every type, prepared statements."""
import os

import numpy as np
import psycopg
from psycopg import errors
from pgvector import Bit, HalfVector, SparseVector, Vector
from pgvector.psycopg import register_vector

from vrtest import (BITS19, EXTREME16, EXTREME32, KEPT_SPARSE, SPARSE32, bits16,
                    bits32, done, equal, fails, ok, plain, sparse32)

conn = psycopg.connect(autocommit=True)
conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
register_vector(conn)
equal(conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
      .fetchone()[0], False, "the user is no superuser")
conn.execute("""
CREATE TABLE item (id bigserial PRIMARY KEY, kind text, embedding vector(3),
    half halfvec(3), sparse sparsevec(3), bits bit(3), many vector(3)[])""")
for column, classes in (("embedding", "vector_{}_ops:l2 ip cosine l1"),
                        ("half", "halfvec_{}_ops:l2 ip cosine l1"),
                        ("sparse", "sparsevec_{}_ops:l2 ip cosine l1"),
                        ("bits", "bit_{}_ops:hamming jaccard")):
    name, kinds = classes.split(":")
    for kind in kinds.split():
        conn.execute(f"CREATE INDEX ON item USING hnsw ({column} "
                     f"{name.format(kind)}) WITH (m = 8, ef_construction = 40)")
ok(True, "hnsw indexes with options")

insert = ("INSERT INTO item (kind, embedding, half, sparse, bits, many) VALUES "
          "(%{f}, %{f}, %{f}, %{f}, %{f}, %{f})")
rows = [("a", np.array([1, 1, 1]), HalfVector([1, 1, 1]),
         SparseVector([1, 1, 1]), Bit("000"), [Vector([1, 1, 1])]),
        ("b", np.array([2, 2, 2]), HalfVector([2, 2, 2]),
         SparseVector([2, 2, 2]), Bit("101"), []),
        ("a", np.array([1, 1, 2]), HalfVector([1, 1, 2]),
         SparseVector([1, 1, 2]), Bit("111"), None)]
for form in "s", "b":
    conn.execute("TRUNCATE item RESTART IDENTITY")
    for row in rows:
        conn.execute(insert.replace("{f}", form), row)
    for binary in False, True:
        got = conn.execute("SELECT embedding, half, sparse, bits::text "
                           "FROM item ORDER BY id", binary=binary).fetchall()
        equal([[plain(v), plain(h), plain(s), b] for v, h, s, b in got],
              [[list(r[1]), r[2].to_list(), r[3].to_list(), r[4].to_text()]
               for r in rows], f"insert %{form}, read binary={binary}")
equal(conn.execute("SELECT many::text FROM item ORDER BY id").fetchall(),
      [('{"[1,1,1]"}',), ("{}",), (None,)], "arrays of vectors")
equal([plain(v) for v in
       conn.execute("SELECT array_agg(embedding ORDER BY id) FROM item")
       .fetchone()[0]], [[1, 1, 1], [2, 2, 2], [1, 1, 2]],
      "an array of vectors is read")

conn.execute("SET enable_seqscan = off")
q = np.array([1, 1, 1])
for column, op, value, want in (
        ("embedding", "<->", q, [1, 3, 2]), ("embedding", "<#>", q, [2, 3, 1]),
        ("embedding", "<+>", q, [1, 3, 2]),
        ("half", "<->", HalfVector([1, 1, 1]), [1, 3, 2]),
        ("half", "<#>", HalfVector([1, 1, 1]), [2, 3, 1]),
        ("half", "<+>", HalfVector([1, 1, 1]), [1, 3, 2]),
        ("sparse", "<->", SparseVector([1, 1, 1]), [1, 3, 2]),
        ("sparse", "<#>", SparseVector([1, 1, 1]), [2, 3, 1]),
        ("sparse", "<+>", SparseVector([1, 1, 1]), [1, 3, 2]),
        ("bits", "<~>", Bit("101"), [2, 3, 1]),
        ("bits", "<%%>", Bit("101"), [2, 3, 1])):
    query = f"SELECT id FROM item ORDER BY {column} {op} %s LIMIT 5"
    equal([r[0] for r in conn.execute(query, (value,))], want,
          f"{column} {op}")
    plan = "\n".join(r[0] for r in conn.execute("EXPLAIN " + query, (value,)))
    ok("Index Scan" in plan, f"{column} {op} by index", plan)
for column, value in (("embedding", np.array([2, 2, 4])),
                      ("half", HalfVector([2, 2, 4])),
                      ("sparse", SparseVector([2, 2, 4]))):
    equal(conn.execute(f"SELECT id FROM item ORDER BY {column} <=> %s LIMIT 1",
                       (value,)).fetchone()[0], 3, f"{column} <=>")
equal([r[0] for r in conn.execute(
    "SELECT id FROM item WHERE kind = 'a' AND embedding <-> %s < 5 "
    "ORDER BY embedding <-> %s", (q, q))], [1, 3], "filter")
conn.execute("UPDATE item SET embedding = %s WHERE id = 2", (np.array([9, 9, 9]),))
equal(conn.execute("SELECT embedding <-> %s FROM item WHERE id = 2",
                   (np.array([9, 9, 9]),)).fetchone()[0], 0.0, "update")
equal(plain(conn.execute("SELECT avg(embedding) FROM item").fetchone()[0]),
      [np.float32(11 / 3)] * 2 + [4.0], "avg")

# Bulk.
rng = np.random.default_rng(1)
data = rng.standard_normal((5000, 16)).astype(np.float32)
conn.execute("CREATE TABLE bulk (id int PRIMARY KEY, embedding vector(16))")
with conn.cursor().copy("COPY bulk FROM STDIN WITH (FORMAT BINARY)") as copy:
    copy.set_types(["int4", "vector"])
    for i, v in enumerate(data):
        copy.write_row([i, v])
conn.execute("CREATE INDEX ON bulk USING hnsw (embedding vector_l2_ops)")
with conn.cursor().copy("COPY (SELECT embedding FROM bulk ORDER BY id) TO STDOUT"
                        " WITH (FORMAT BINARY)") as copy:
    copy.set_types(["vector"])
    back = np.array([r[0].to_numpy() for r in copy.rows()])
equal(back.tobytes(), data.tobytes(), "COPY binary, in and out, bit for bit")
hits = 0
for i in range(50):
    query = rng.standard_normal(16).astype(np.float32)
    true = set(np.argsort(((data - query) ** 2).sum(1))[:10].tolist())
    got = {r[0] for r in conn.execute(
        "SELECT id FROM bulk ORDER BY embedding <-> %s LIMIT 10", (query,))}
    hits += len(true & got)
ok(hits >= 450, f"recall@10 {hits / 500}")

# Extreme values, every way in and out.
conn.execute("CREATE TABLE extreme (v vector, h halfvec, s sparsevec, b bit(19))")
for form in "s", "b":
    conn.execute("TRUNCATE extreme")
    conn.execute(f"INSERT INTO extreme VALUES (%{form}, %{form}, %{form}, %{form})",
                 (np.array(EXTREME32, np.float32), HalfVector(EXTREME16),
                  SparseVector(SPARSE32, 1000), Bit(BITS19)))
    for binary in False, True:
        v, h, s, b = conn.execute("SELECT * FROM extreme", binary=binary).fetchone()
        what = f"bit for bit, written as %{form}, read binary={binary}"
        equal(bits32(v), bits32(EXTREME32), "vector " + what)
        equal(bits16(h.to_list()), bits16(EXTREME16), "halfvec " + what)
        equal(sparse32(s), KEPT_SPARSE, "sparsevec " + what)
        equal(Bit.from_binary(b).to_text() if binary else b, BITS19, "bit " + what)

# Bad input.
for form in "s", "b":
    def put(value):
        conn.execute(f"INSERT INTO item (embedding) VALUES (%{form})", (value,))
    fails(lambda: put(np.array([1, 2])), errors.DataException,
          "expected 3 dimensions, not 2", f"wrong dimension, %{form}")
    fails(lambda: put(np.array([1, 2, np.nan])), errors.DataException,
          "NaN not allowed in vector", f"NaN, %{form}")
    fails(lambda: put(np.array([1, 2, np.inf])), errors.DataException,
          "infinite value not allowed in vector", f"infinity, %{form}")
fails(lambda: conn.execute("SELECT embedding <-> %s FROM item",
                           (np.array([1, 2]),)), errors.DataException,
      "different vector dimensions 3 and 2", "dimensions of a query")
put(None)
equal(conn.execute("SELECT count(*) FROM item WHERE embedding IS NULL")
      .fetchone()[0], 1, "NULL is stored")
equal(len(conn.execute("SELECT id FROM item ORDER BY embedding <-> %s", (q,))
          .fetchall()), 3, "NULL is not in the index")
fails(lambda: conn.execute("INSERT INTO item (many) VALUES ('{\"[1,2]\"}')"),
      errors.DataException, "expected 3 dimensions, not 2", "wrong array element")
fails(lambda: conn.execute("CREATE INDEX ON extreme USING hnsw (v vector_l2_ops)"),
      errors.InvalidParameterValue, "column does not have dimensions",
      "index without dimensions")

# Server-side prepared statements.
for i in range(8):
    equal(conn.execute("SELECT id FROM item WHERE embedding IS NOT NULL "
                       "ORDER BY embedding <-> %b LIMIT 1",
                       (q,), prepare=True).fetchone()[0], 1,
          f"prepared statement, run {i + 1}")

# The extension in a schema of its own, and no public.
other = psycopg.connect(dbname=os.environ["PGDATABASE"] + "_schemas",
                        autocommit=True)
other.execute("CREATE SCHEMA ext")
other.execute("CREATE SCHEMA one")
other.execute("CREATE SCHEMA two")
other.execute("CREATE EXTENSION vector SCHEMA ext")
other.execute("SET search_path = one, ext")
register_vector(other)
other.execute("CREATE TABLE t (v vector(2))")
other.execute("CREATE TABLE two.t (v ext.vector(2))")
other.execute("CREATE INDEX ON t USING hnsw (v vector_l2_ops)")
other.execute("INSERT INTO one.t VALUES (%b)", (np.array([1, 2]),))
other.execute("INSERT INTO two.t VALUES (%b)", (np.array([3, 4]),))
equal(other.execute("SELECT v <-> %s FROM t", (np.array([1, 2]),)).fetchone()[0],
      0.0, "extension in another schema")
other.execute("SET search_path = two")
equal(other.execute("SELECT v OPERATOR(ext.<->) %s FROM t",
                    (np.array([3, 4]),)).fetchone()[0], 0.0,
      "search path without the extension's schema")
equal(other.execute("SELECT avg.v::text FROM (SELECT ext.avg(v) v FROM t) avg")
      .fetchone()[0], "[3,4]", "qualified functions")
done()
