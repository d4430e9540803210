"""asyncpg: binary only, with a statement cache, COPY of records."""
import asyncio
import os

import asyncpg
import numpy as np
from pgvector import HalfVector, SparseVector, Vector
from pgvector.asyncpg import register_vector

from vrtest import (BITS19, EXTREME16, EXTREME32, KEPT_SPARSE, SPARSE32, afails,
                    bits16, bits32, done, equal, ok, plain, sparse32)


async def main():
    conn = await asyncpg.connect()
    await conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    await register_vector(conn)
    await conn.execute("""
        CREATE TABLE item (id bigserial PRIMARY KEY, kind text,
            embedding vector(3), half halfvec(3), sparse sparsevec(3),
            bits bit(3), many vector[]);
        CREATE INDEX ON item USING hnsw (embedding vector_l2_ops)
            WITH (m = 8, ef_construction = 40);
        CREATE INDEX ON item USING hnsw (embedding vector_cosine_ops);
        CREATE INDEX ON item USING hnsw (embedding vector_ip_ops);
        CREATE INDEX ON item USING hnsw (embedding vector_l1_ops);
        CREATE INDEX ON item USING hnsw (half halfvec_l2_ops);
        CREATE INDEX ON item USING hnsw (sparse sparsevec_l2_ops);
        CREATE INDEX ON item USING hnsw (bits bit_hamming_ops);""")
    await conn.executemany(
        "INSERT INTO item (kind, embedding, half, sparse, bits, many) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        [("a", np.array([1, 1, 1]), HalfVector([1, 1, 1]),
          SparseVector([1, 1, 1]), asyncpg.BitString("000"),
          [Vector([1, 2]), Vector([3])]),
         ("b", np.array([2, 2, 2]), HalfVector([2, 2, 2]),
          SparseVector([2, 2, 2]), asyncpg.BitString("101"), []),
         ("a", np.array([1, 1, 2]), HalfVector([1, 1, 2]),
          SparseVector([1, 1, 2]), asyncpg.BitString("111"), None)])
    row = await conn.fetchrow("SELECT * FROM item WHERE id = 3")
    equal((plain(row["embedding"]), row["half"].to_list(),
           row["sparse"].to_list(), row["bits"].as_string()),
          ([1, 1, 2], [1, 1, 2], [1, 1, 2], "111"), "insert and read")
    many = await conn.fetchval("SELECT many FROM item WHERE id = 1")
    equal([plain(v) for v in many], [[1, 2], [3]], "array of vectors")
    await conn.execute("SET enable_seqscan = off")
    one = [1, 1, 1]
    for column, op, q, want in (
            ("embedding", "<->", np.array(one), [1, 3, 2]),
            ("embedding", "<#>", np.array(one), [2, 3, 1]),
            ("embedding", "<+>", np.array(one), [1, 3, 2]),
            ("half", "<->", HalfVector(one), [1, 3, 2]),
            ("half", "<#>", HalfVector(one), [2, 3, 1]),
            ("half", "<=>", HalfVector([1, 1, 2]), [3, 1, 2]),
            ("half", "<+>", HalfVector(one), [1, 3, 2]),
            ("sparse", "<->", SparseVector(one), [1, 3, 2]),
            ("sparse", "<#>", SparseVector(one), [2, 3, 1]),
            ("sparse", "<=>", SparseVector([1, 1, 2]), [3, 1, 2]),
            ("sparse", "<+>", SparseVector(one), [1, 3, 2]),
            ("bits", "<~>", asyncpg.BitString("101"), [2, 3, 1]),
            ("bits", "<%>", asyncpg.BitString("101"), [2, 3, 1])):
        got = await conn.fetch(
            f"SELECT id FROM item ORDER BY {column} {op} $1"
            f"{', id' if op == '<=>' else ''} LIMIT 5", q)
        equal([r["id"] for r in got], want, f"{column} {op}")
    equal(await conn.fetchval("SELECT id FROM item ORDER BY embedding <=> $1 "
                              "LIMIT 1", np.array([2, 2, 4])), 3, "<=>")
    equal(await conn.fetchval(
        "SELECT count(*) FROM item WHERE kind = $1 AND embedding <-> $2 < 5",
        "a", np.array(one)), 2, "filter")
    await conn.execute("UPDATE item SET embedding = $1 WHERE id = 2",
                       np.array([7, 8, 9]))
    equal(plain(await conn.fetchval("SELECT embedding FROM item WHERE id = 2")),
          [7, 8, 9], "update")

    rng = np.random.default_rng(2)
    data = rng.standard_normal((3000, 24)).astype(np.float32)
    await conn.execute("CREATE TABLE bulk (id int, v vector(24));"
                       "CREATE INDEX ON bulk USING hnsw (v vector_cosine_ops)")
    await conn.copy_records_to_table("bulk", records=list(enumerate(data)))
    rows = await conn.fetch("SELECT v FROM bulk ORDER BY id")
    equal(np.array([r["v"].to_numpy() for r in rows]).tobytes(), data.tobytes(),
          "COPY of records, bit for bit")
    equal(await conn.fetchval("SELECT id FROM bulk ORDER BY v <=> $1 LIMIT 1",
                              data[1234]), 1234, "found by the index")

    v, h, s, b = await conn.fetchrow(
        "SELECT $1::vector, $2::halfvec, $3::sparsevec, $4::bit(19)",
        np.array(EXTREME32, np.float32), HalfVector(EXTREME16),
        SparseVector(SPARSE32, 1000), asyncpg.BitString(BITS19))
    equal(bits32(v), bits32(EXTREME32), "vector bit for bit")
    equal(bits16(h.to_list()), bits16(EXTREME16), "halfvec bit for bit")
    equal(sparse32(s), KEPT_SPARSE, "sparsevec bit for bit")
    equal(b.as_string().replace(" ", ""), BITS19, "bit bit for bit")

    error = asyncpg.exceptions.DataError
    put = "INSERT INTO item (embedding) VALUES ($1)"
    for value, text in (([1, 2], "expected 3 dimensions, not 2"),
                        ([1, 2, np.nan], "NaN not allowed in vector"),
                        ([1, 2, -np.inf], "infinite value not allowed in vector")):
        await afails(lambda: conn.execute(put, np.array(value)), error, text, text)
    await conn.execute(put, None)
    ok(True, "NULL is stored")
    await afails(lambda: conn.fetch("SELECT embedding <-> $1 FROM item",
                                    np.array([1.])), error,
                 "different vector dimensions 3 and 1", "dimensions of a query")

    # Many sessions at once.
    async def work(pool, i):
        async with pool.acquire() as c:
            for j in range(20):
                n = (i * 131 + j * 17) % 3000
                got = await c.fetchval(
                    "SELECT id FROM bulk ORDER BY v <=> $1 LIMIT 1", data[n])
                if got != n:
                    return False
        return True
    async with asyncpg.create_pool(min_size=2, max_size=6,
                                   init=register_vector) as pool:
        equal(await asyncio.gather(*(work(pool, i) for i in range(12))),
              [True] * 12, "pool")

    other = await asyncpg.connect(database=os.environ["PGDATABASE"] + "_schemas")
    await other.execute("CREATE SCHEMA ext; CREATE SCHEMA one;"
                        "CREATE EXTENSION vector SCHEMA ext")
    await register_vector(other, schema="ext")
    await other.execute("SET search_path = one, ext; CREATE TABLE t (v vector(2));"
                        "CREATE INDEX ON t USING hnsw (v vector_l2_ops)")
    await other.execute("INSERT INTO t VALUES ($1)", np.array([1, 2]))
    equal(await other.fetchval("SELECT v <-> $1 FROM t", np.array([1, 2])), 0.0,
          "extension in another schema")
    await conn.close()
    await other.close()


asyncio.run(main())
done()
