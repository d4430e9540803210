"""SQLModel: a class that is both table and data."""
import os
from typing import Any

import numpy as np
from pgvector import HalfVector, SparseVector
from pgvector.psycopg import register_vector
from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, VECTOR
from sqlalchemy import event, exc, func, insert
from sqlmodel import Field, Index, Session, SQLModel, create_engine, select, text

from sqlalchemy.dialects.postgresql import ARRAY

from vrtest import (BITS19, EXTREME16, EXTREME32, KEPT_SPARSE, SPARSE32, bits16,
                    bits32, done, equal, fails, plain, sparse32)


class Item(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    kind: str | None = None
    embedding: Any = Field(default=None, sa_type=VECTOR(3), nullable=True)
    half: Any = Field(default=None, sa_type=HALFVEC(3), nullable=True)
    sparse: Any = Field(default=None, sa_type=SPARSEVEC(3), nullable=True)
    bits: Any = Field(default=None, sa_type=BIT(3), nullable=True)
    many: Any = Field(default=None, sa_type=ARRAY(VECTOR(3)), nullable=True)
    loose: Any = Field(default=None, sa_type=VECTOR(), nullable=True)
    loose_half: Any = Field(default=None, sa_type=HALFVEC(), nullable=True)
    loose_sparse: Any = Field(default=None, sa_type=SPARSEVEC(), nullable=True)
    long_bits: Any = Field(default=None, sa_type=BIT(19), nullable=True)
    __table_args__ = (
        Index("item_hnsw", "embedding", postgresql_using="hnsw",
              postgresql_with={"m": 16, "ef_construction": 64},
              postgresql_ops={"embedding": "vector_l2_ops"}),)


engine = create_engine("postgresql+psycopg://app:app@127.0.0.1:"
                       + os.environ["PGPORT"] + "/" + os.environ["PGDATABASE"])
with Session(engine) as session:
    session.exec(text("CREATE EXTENSION IF NOT EXISTS vector"))
    session.commit()
engine.dispose()
# Arrays of vectors need the driver to know the type.
event.listen(engine, "connect", lambda connection, _: register_vector(connection))
SQLModel.metadata.create_all(engine)
with Session(engine) as session:
    for kind, v, b in (("a", [1, 1, 1], "000"), ("b", [2, 2, 2], "101"),
                       ("a", [1, 1, 2], "111")):
        session.add(Item(kind=kind, embedding=v, half=v, sparse=SparseVector(v),
                         bits=b, loose=np.array(EXTREME32, np.float32),
                         loose_half=HalfVector(EXTREME16),
                         loose_sparse=SparseVector(SPARSE32, 1000),
                         long_bits=BITS19, many=[np.array(v)]))
        session.flush()
    session.commit()
    one = [1, 1, 1]
    for name, order, want in (
            ("l2", Item.embedding.l2_distance(one), [1, 3, 2]),
            ("ip", Item.embedding.max_inner_product(one), [2, 3, 1]),
            ("cosine", Item.embedding.cosine_distance(one), [1, 2, 3]),
            ("l1", Item.embedding.l1_distance(one), [1, 3, 2]),
            ("half", Item.half.l2_distance(HalfVector(one)), [1, 3, 2]),
            ("sparse", Item.sparse.l2_distance(SparseVector(one)), [1, 3, 2]),
            ("hamming", Item.bits.hamming_distance("101"), [2, 3, 1]),
            ("jaccard", Item.bits.jaccard_distance("101"), [2, 3, 1])):
        equal(list(session.exec(select(Item.id).order_by(order, Item.id))), want,
              name)
    equal(list(session.exec(select(Item.id).where(
        Item.kind == "a", Item.embedding.l2_distance(one) < 0.5))), [1], "filter")
    item = session.get(Item, 2)
    equal(bits32(item.loose), bits32(EXTREME32), "vector bit for bit")
    equal(bits16(item.loose_half), bits16(EXTREME16), "halfvec bit for bit")
    equal(sparse32(item.loose_sparse), KEPT_SPARSE, "sparsevec bit for bit")
    equal(item.long_bits, BITS19, "bit bit for bit")
    equal([plain(v) for v in item.many], [[2, 2, 2]], "array of vectors")
    session.execute(insert(Item), [{"kind": "bulk", "embedding": [i, i, i]}
                                   for i in range(500)])
    session.commit()
    equal(session.exec(select(func.count()).select_from(Item)).one(), 503,
          "bulk insert")
    equal(session.exec(select(Item.kind).order_by(
        Item.embedding.l2_distance([77, 77, 77])).limit(1)).one(), "bulk",
        "found by the index")
    item.embedding = [4, 4, 4]
    session.add(item)
    session.commit()
    session.refresh(item)
    equal(plain(item.embedding), [4, 4, 4], "update")

    def put(value):
        session.add(Item(embedding=value))
        try:
            session.commit()
        finally:
            session.rollback()
    fails(lambda: put([1, 2]), exc.DBAPIError, "expected 3 dimensions, not 2",
          "wrong dimension")
    fails(lambda: put([1, float("inf"), 2]), exc.DBAPIError,
          "infinite value not allowed in vector", "infinity")
    fails(lambda: put([1, float("nan"), 2]), exc.DBAPIError,
          "NaN not allowed in vector", "NaN")
    put(None)
    equal(len(session.exec(select(Item).where(Item.embedding.is_(None))).all()), 1,
          "NULL")
done()
