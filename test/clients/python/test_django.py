"""Django: migrations with VectorExtension and HnswIndex, the ORM's queries."""
import os
import sys
import tempfile
from pathlib import Path

import django
import numpy as np
from django.conf import settings

from vrtest import (BITS19, EXTREME16, EXTREME32, KEPT_SPARSE, SPARSE32,
                    bits16, bits32, done, equal, fails, ok, plain, sparse32)

folder = tempfile.TemporaryDirectory()
app = Path(folder.name, "shop")
(app / "migrations").mkdir(parents=True)
(app / "__init__.py").touch()
(app / "migrations/__init__.py").touch()
(app / "migrations/0001_extension.py").write_text('''
from django.db import migrations
from pgvector.django import VectorExtension

class Migration(migrations.Migration):
    operations = [VectorExtension()]
''')
(app / "models.py").write_text('''
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Cast
from pgvector.django import (BitField, HalfVectorField, HnswIndex, IvfflatIndex,
                             SparseVectorField, VectorField)

class Item(models.Model):
    kind = models.TextField(default="")
    embedding = VectorField(dimensions=3, null=True)
    half = HalfVectorField(dimensions=3, null=True)
    bits = BitField(length=3, null=True)
    sparse = SparseVectorField(dimensions=3, null=True)
    many = ArrayField(VectorField(dimensions=3), null=True)
    loose = VectorField(null=True)
    loose_half = HalfVectorField(null=True)
    loose_sparse = SparseVectorField(null=True)
    long_bits = BitField(length=19, null=True)

    class Meta:
        indexes = [
            HnswIndex(name="item_hnsw", fields=["embedding"], m=16,
                      ef_construction=64, opclasses=["vector_l2_ops"]),
            IvfflatIndex(name="item_ivfflat", fields=["embedding"], lists=100,
                         opclasses=["vector_cosine_ops"]),
            HnswIndex(OpClass(Cast("embedding", HalfVectorField(dimensions=3)),
                              name="halfvec_l2_ops"),
                      name="item_expression", m=16, ef_construction=64),
        ]
''')
sys.path.insert(0, folder.name)
settings.configure(
    INSTALLED_APPS=["django.contrib.postgres", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql",
                           "NAME": os.environ["PGDATABASE"], "USER": "app"}})
django.setup()

from django.db.backends.signals import connection_created  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import DataError, connection, transaction  # noqa: E402
from django.db.models import Avg, Sum  # noqa: E402
from django.db.models.functions import Cast  # noqa: E402
from pgvector import HalfVector, SparseVector  # noqa: E402
from pgvector.django import (CosineDistance, HalfVectorField,  # noqa: E402
                             HammingDistance, JaccardDistance, L1Distance,
                             L2Distance, MaxInnerProduct)
from pgvector.psycopg import register_vector  # noqa: E402
from shop.models import Item  # noqa: E402

call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)
call_command("migrate", "shop", "zero", verbosity=0)
call_command("migrate", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_get_indexdef('item_hnsw'::regclass)")
    ok("USING hnsw (embedding vector_l2_ops) WITH (m='16', ef_construction='64')"
       in cursor.fetchone()[0], "migrations there, back and there again")
try:
    call_command("makemigrations", "shop", check=True, verbosity=0)
    ok(True, "no differences after them")
except SystemExit:
    ok(False, "no differences after them")

# Arrays of vectors need the driver to know the type.
connection.close()
connection_created.connect(
    lambda connection, **_: register_vector(connection.connection), weak=False)

Item(kind="a", embedding=[1, 1, 1], half=[1, 1, 1], bits="000",
     sparse=SparseVector([1, 1, 1]), many=[np.array([1, 1, 1])]).save()
Item.objects.bulk_create([
    Item(kind="b", embedding=np.array([2, 2, 2]), half=HalfVector([2, 2, 2]),
         bits="101", sparse=SparseVector([2, 2, 2]), many=[]),
    Item(kind="a", embedding=[1, 1, 2], half=[1, 1, 2], bits="111",
         sparse=SparseVector([1, 1, 2]))])
item = Item.objects.get(pk=3)
equal((plain(item.embedding), plain(item.half), item.bits,
       plain(item.sparse)), ([1, 1, 2], [1, 1, 2], "111", [1, 1, 2]), "values")
equal([plain(v) for v in Item.objects.get(pk=1).many], [[1, 1, 1]],
      "array of vectors")
one = [1, 1, 1]
for name, order, want in (
        ("L2Distance", L2Distance("embedding", one), [1, 3, 2]),
        ("MaxInnerProduct", MaxInnerProduct("embedding", one), [2, 3, 1]),
        ("CosineDistance", CosineDistance("embedding", one), [1, 2, 3]),
        ("L1Distance", L1Distance("embedding", one), [1, 3, 2]),
        ("L2Distance, half", L2Distance("half", HalfVector(one)), [1, 3, 2]),
        ("CosineDistance, half", CosineDistance("half", HalfVector(one)),
         [1, 2, 3]),
        ("L2Distance, sparse", L2Distance("sparse", SparseVector(one)),
         [1, 3, 2]),
        ("L1Distance, sparse", L1Distance("sparse", SparseVector(one)),
         [1, 3, 2]),
        ("L2Distance, expression",
         L2Distance(Cast("embedding", HalfVectorField(dimensions=3)),
                    HalfVector(one)), [1, 3, 2]),
        ("HammingDistance", HammingDistance("bits", "101"), [2, 3, 1]),
        ("JaccardDistance", JaccardDistance("bits", "101"), [2, 3, 1])):
    equal(list(Item.objects.order_by(order, "id").values_list("id", flat=True)),
          want, name)
equal(list(Item.objects.alias(d=L2Distance("embedding", one))
           .filter(d__lt=1.5, kind="a").order_by("id")
           .values_list("id", flat=True)), [1, 3], "filter")
Item.objects.filter(pk=2).update(embedding=[5, 5, 5])
equal(plain(Item.objects.aggregate(s=Sum("embedding"))["s"]), [7, 7, 8],
      "update and Sum")
ok(np.allclose(plain(Item.objects.aggregate(a=Avg("half"))["a"]),
               [4 / 3, 4 / 3, 5 / 3], atol=1e-3), "Avg of halfvec")

item = Item(loose=np.array(EXTREME32, np.float32),
            loose_half=HalfVector(EXTREME16),
            loose_sparse=SparseVector(SPARSE32, 1000), long_bits=BITS19)
item.save()
item.refresh_from_db()
equal(bits32(item.loose), bits32(EXTREME32), "vector bit for bit")
equal(bits16(item.loose_half), bits16(EXTREME16),
      "halfvec bit for bit")
equal(sparse32(item.loose_sparse), KEPT_SPARSE, "sparsevec bit for bit")
equal(item.long_bits, BITS19, "bit bit for bit")


def put(**values):
    with transaction.atomic():
        Item(**values).save()


fails(lambda: put(embedding=[1, 2]), DataError, "expected 3 dimensions, not 2",
      "wrong dimension")
fails(lambda: put(embedding=[1, 2, float("nan")]), DataError,
      "NaN not allowed in vector", "NaN")
put(embedding=None)
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM shop_item WHERE embedding IS NULL")
    equal(cursor.fetchone()[0], 2, "NULL")
done()
