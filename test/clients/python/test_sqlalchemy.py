"""SQLAlchemy 2, metadata and ORM, over psycopg, psycopg2 and asyncpg."""
import asyncio
import importlib
import os

import numpy as np
from pgvector import HalfVector, SparseVector
from pgvector.sqlalchemy import (BIT, HALFVEC, SPARSEVEC, VECTOR, avg, sum)
from sqlalchemy import (Index, Integer, MetaData, String, Table, create_engine,
                        event, exc, func, inspect, insert, select, text)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

from vrtest import (BITS19, EXTREME16, EXTREME32, KEPT_SPARSE, SPARSE32, bits16,
                    bits32, done, equal, fails, ok, plain, sparse32)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id = mapped_column(Integer, primary_key=True)
    kind = mapped_column(String)
    embedding = mapped_column(VECTOR(3))
    half = mapped_column(HALFVEC(3))
    sparse = mapped_column(SPARSEVEC(3))
    bits = mapped_column(BIT(3))
    many = mapped_column(ARRAY(VECTOR(3)))


class Extreme(Base):
    __tablename__ = "extreme"
    id = mapped_column(Integer, primary_key=True)
    v = mapped_column(VECTOR)
    h = mapped_column(HALFVEC)
    s = mapped_column(SPARSEVEC)
    b = mapped_column(BIT(19))


Index("item_hnsw", Item.embedding, postgresql_using="hnsw",
      postgresql_with={"m": 16, "ef_construction": 64},
      postgresql_ops={"embedding": "vector_l2_ops"})
Index("item_half", Item.half, postgresql_using="hnsw",
      postgresql_ops={"half": "halfvec_cosine_ops"})
Index("item_sparse", Item.sparse, postgresql_using="hnsw",
      postgresql_ops={"sparse": "sparsevec_l2_ops"})
Index("item_bits", Item.bits, postgresql_using="hnsw",
      postgresql_ops={"bits": "bit_hamming_ops"})
Index("item_ivfflat", Item.embedding, postgresql_using="ivfflat",
      postgresql_with={"lists": 1},
      postgresql_ops={"embedding": "vector_cosine_ops"})

tcp = "app:app@127.0.0.1:" + os.environ["PGPORT"] + "/" + os.environ["PGDATABASE"]


def fill(session):
    session.add_all([
        Item(kind="a", embedding=[1, 1, 1], half=[1, 1, 1],
             sparse=SparseVector([1, 1, 1]), bits="000",
             many=[np.array([1, 1, 1])]),
        Item(kind="b", embedding=np.array([2, 2, 2]), half=HalfVector([2, 2, 2]),
             sparse=SparseVector([2, 2, 2]), bits="101", many=[]),
        Item(kind="a", embedding=[1, 1, 2], half=[1, 1, 2],
             sparse=SparseVector([1, 1, 2]), bits="111")])


def queries(session, driver):
    def ids(order):
        return list(session.scalars(select(Item.id).order_by(order, Item.id)))
    one = [1, 1, 1]
    for name, order, want in (
            ("l2", Item.embedding.l2_distance(one), [1, 3, 2]),
            ("ip", Item.embedding.max_inner_product(one), [2, 3, 1]),
            ("cosine", Item.embedding.cosine_distance(one), [1, 2, 3]),
            ("l1", Item.embedding.l1_distance(one), [1, 3, 2]),
            ("half l2", Item.half.l2_distance(one), [1, 3, 2]),
            ("half ip", Item.half.max_inner_product(one), [2, 3, 1]),
            ("half cosine", Item.half.cosine_distance(one), [1, 2, 3]),
            ("half l1", Item.half.l1_distance(one), [1, 3, 2]),
            ("sparse l2", Item.sparse.l2_distance(SparseVector(one)), [1, 3, 2]),
            ("sparse ip", Item.sparse.max_inner_product(SparseVector(one)),
             [2, 3, 1]),
            ("sparse cosine", Item.sparse.cosine_distance(SparseVector(one)),
             [1, 2, 3]),
            ("sparse l1", Item.sparse.l1_distance(SparseVector(one)), [1, 3, 2]),
            ("hamming", Item.bits.hamming_distance("101"), [2, 3, 1]),
            ("jaccard", Item.bits.jaccard_distance("101"), [2, 3, 1])):
        equal(ids(order), want, f"{driver}: {name}")
    equal(list(session.scalars(
        select(Item.id).filter(Item.embedding.l2_distance(one) < 1.5,
                               Item.kind == "a").order_by(Item.id))), [1, 3],
          f"{driver}: filter")
    equal(bits16(session.scalars(select(avg(Item.half))).first()),
          bits16([4 / 3, 4 / 3, 5 / 3]), f"{driver}: avg of halfvec")
    equal(plain(session.scalars(select(sum(Item.embedding))).first()), [4, 4, 5],
          f"{driver}: sum")


def registered(driver, engine):
    """Arrays of vectors need the driver to know the type."""
    register = importlib.import_module(f"pgvector.{driver}").register_vector
    event.listen(engine, "connect", lambda connection, _: register(connection))
    return engine


with create_engine(f"postgresql+psycopg://{tcp}").begin() as connection:
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
for driver in "psycopg", "psycopg2":
    engine = registered(driver, create_engine(f"postgresql+{driver}://{tcp}"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
        session.commit()
        queries(session, driver)
        item = session.get(Item, 2)
        equal((plain(item.embedding), plain(item.half), plain(item.sparse)),
              ([2, 2, 2], [2, 2, 2], [2, 2, 2]), f"{driver}: values")
        equal([[plain(v) for v in i.many] if i.many is not None else None
               for i in session.scalars(select(Item).order_by(Item.id))],
              [[[1, 1, 1]], [], None], f"{driver}: arrays of vectors")
        item.embedding = [7, 7, 7]
        session.commit()
        equal(session.scalar(select(Item.embedding.l2_distance([7, 7, 7]))
                             .where(Item.id == 2)), 0.0, f"{driver}: update")
        session.execute(insert(Item), [{"kind": "x", "embedding": [i, i, i]}
                                       for i in range(500)])
        session.commit()
        equal(session.scalar(select(func.count()).select_from(Item)), 503,
              f"{driver}: bulk insert")
        session.add(Extreme(v=np.array(EXTREME32, np.float32),
                            h=HalfVector(EXTREME16),
                            s=SparseVector(SPARSE32, 1000), b=BITS19))
        session.commit()
        session.expire_all()
        back = session.scalars(select(Extreme)).first()
        equal(bits32(back.v), bits32(EXTREME32), f"{driver}: vector bit for bit")
        equal(bits16(back.h), bits16(EXTREME16),
              f"{driver}: halfvec bit for bit")
        equal(sparse32(back.s), KEPT_SPARSE, f"{driver}: sparsevec bit for bit")
        equal(back.b, BITS19, f"{driver}: bit bit for bit")

        def put(value):
            session.add(Item(embedding=value))
            try:
                session.commit()
            finally:
                session.rollback()
        fails(lambda: put([1, float("nan"), 2]), exc.DBAPIError,
              "NaN not allowed in vector", f"{driver}: NaN")
        put(None)
        fails(lambda: session.execute(text(
            "INSERT INTO item (embedding) VALUES ('[1,2]')")), exc.DBAPIError,
            "expected 3 dimensions, not 2", f"{driver}: wrong dimension")
        session.rollback()
    engine.dispose()

# Reflection knows the types.
engine = create_engine(f"postgresql+psycopg://{tcp}")
columns = {c["name"]: c["type"] for c in inspect(engine).get_columns("item")}
equal((type(columns["embedding"]), columns["embedding"].dim,
       type(columns["half"]), columns["half"].dim, columns["sparse"].dim),
      (VECTOR, 3, HALFVEC, 3, 3), "reflected columns")
indexes = {i["name"]: i for i in inspect(engine).get_indexes("item")}
equal(indexes["item_hnsw"]["dialect_options"],
      indexes["item_hnsw"]["dialect_options"]
      | {"postgresql_using": "hnsw",
         "postgresql_with": {"m": "16", "ef_construction": "64"}},
      "reflected index")
table = Table("item", MetaData(), autoload_with=engine)
ok("VECTOR(3)" in str(table.c.embedding.type), "reflected table")


async def main():
    engine = create_async_engine(f"postgresql+asyncpg://{tcp}")
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.drop_all)
        await conn.run_sync(Base.metadata.create_all)
        await conn.run_sync(lambda c: (lambda s: (fill(s), s.commit()))(
            Session(c, join_transaction_mode="create_savepoint")))
    async with engine.begin() as conn:
        await conn.run_sync(lambda c: queries(Session(c), "asyncpg"))
    await engine.dispose()


asyncio.run(main())
done()
