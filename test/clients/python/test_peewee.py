"""Peewee: fields, indexes, exact distances."""
import os

import numpy as np
from peewee import (AutoField, DataError, InternalError, Model,
                    PostgresqlDatabase, TextField, fn)
from pgvector import HalfVector, SparseVector
from pgvector.peewee import (FixedBitField, HalfVectorField, SparseVectorField,
                             VectorField)

from playhouse.postgres_ext import ArrayField

from vrtest import (BITS19, EXTREME16, EXTREME32, KEPT_SPARSE, SPARSE32, bits16,
                    bits32, done, equal, fails, plain, sparse32)

db = PostgresqlDatabase(os.environ["PGDATABASE"], user="app")


class Item(Model):
    id = AutoField()
    kind = TextField(null=True)
    embedding = VectorField(dimensions=3, null=True)
    half = HalfVectorField(dimensions=3, null=True)
    bits = FixedBitField(max_length=3, null=True)
    sparse = SparseVectorField(dimensions=3, null=True)
    many = ArrayField(VectorField, field_kwargs={"dimensions": 3}, index=False,
                      null=True)
    loose = VectorField(null=True)
    loose_half = HalfVectorField(null=True)
    loose_sparse = SparseVectorField(null=True)
    long_bits = FixedBitField(max_length=19, null=True)

    class Meta:
        database = db
        table_name = "item"


Item.add_index("embedding vector_l2_ops", using="hnsw")
db.connect()
db.execute_sql("CREATE EXTENSION IF NOT EXISTS vector")
db.create_tables([Item])
db.execute_sql("CREATE INDEX ON item USING hnsw (half halfvec_cosine_ops) "
               "WITH (m = 16, ef_construction = 64)")
rows = [("a", [1, 1, 1], "000"), ("b", [2, 2, 2], "101"), ("a", [1, 1, 2], "111")]
Item.insert_many([dict(kind=k, embedding=v, half=v, sparse=SparseVector(v), bits=b,
                       loose=np.array(EXTREME32, np.float32),
                       loose_half=HalfVector(EXTREME16),
                       loose_sparse=SparseVector(SPARSE32, 1000),
                       long_bits=BITS19)
                  for k, v, b in rows]).execute()
one = [1, 1, 1]
for name, order, ids, distances in (
        ("l2", Item.embedding.l2_distance(one), [1, 3, 2],
         [0, 1, 1.7320508075688772]),
        ("ip", Item.embedding.max_inner_product(one), [2, 3, 1], [-6, -4, -3]),
        ("cosine", Item.embedding.cosine_distance(one), [1, 2, 3],
         [0, 0, 0.05719095841793653]),
        ("l1", Item.embedding.l1_distance(one), [1, 3, 2], [0, 1, 3]),
        ("half l2", Item.half.l2_distance(HalfVector(one)), [1, 3, 2],
         [0, 1, 1.7320508075688772]),
        ("half cosine", Item.half.cosine_distance(HalfVector(one)), [1, 2, 3],
         [0, 0, 0.05719095841793653]),
        ("sparse cosine", Item.sparse.cosine_distance(SparseVector(one)),
         [1, 2, 3], [0, 0, 0.05719095841793653]),
        ("sparse l1", Item.sparse.l1_distance(SparseVector(one)), [1, 3, 2],
         [0, 1, 3]),
        ("hamming", Item.bits.hamming_distance("101"), [2, 3, 1], [0, 1, 2]),
        ("jaccard", Item.bits.jaccard_distance("101"), [2, 3, 1],
         [0, 1 - 2 / 3, 1])):
    got = list(Item.select(Item.id, order.alias("d")).order_by(order, Item.id))
    equal([r.id for r in got], ids, f"{name} order")
    equal([r.d for r in got], distances, f"{name} distances, to the bit")
equal([r.id for r in Item.select().where(
    Item.kind == "a", Item.embedding.l2_distance(one) < 0.5)], [1], "filter")
item = Item.get_by_id(1)
equal(bits32(item.loose), bits32(EXTREME32), "vector bit for bit")
equal(bits16(item.loose_half), bits16(EXTREME16), "halfvec bit for bit")
equal(sparse32(item.loose_sparse), KEPT_SPARSE, "sparsevec bit for bit")
equal(item.long_bits, BITS19, "bit bit for bit")
Item.update(embedding=[3, 4, 5]).where(Item.id == 2).execute()
equal(plain(Item.get_by_id(2).embedding), [3, 4, 5], "update")
equal(bits16(Item.select(fn.avg(Item.half).coerce(True)).scalar()),
      bits16([4 / 3, 4 / 3, 5 / 3]), "avg")


def put(value):
    with db.atomic():
        Item.create(embedding=value)


errors = (DataError, InternalError)
fails(lambda: put([1, 2]), errors, "expected 3 dimensions, not 2",
      "wrong dimension")
fails(lambda: put([1, 2, float("nan")]), errors, "NaN not allowed in vector",
      "NaN")
put(None)
equal(Item.select().where(Item.embedding.is_null()).count(), 1, "NULL")
done()
