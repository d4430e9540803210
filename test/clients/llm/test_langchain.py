"""LangChain: the PGVector store and the PGVectorStore, with a fake model."""
import asyncio
import hashlib
import os
import re

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_postgres import PGEngine, PGVector, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex, IVFFlatIndex
from sqlalchemy import exc

from vrtest import afails, done, equal, fails, ok

SIZE = 32


class Words(Embeddings):
    """Each word is a direction of its own: the same on every machine."""

    def embed_query(self, text):
        v = [0.0] * SIZE
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(word.encode()).digest()
            for i in range(SIZE):
                v[i] += digest[i] / 255 - 0.5
        return v

    def embed_documents(self, texts):
        return [self.embed_query(t) for t in texts]


class Broken(Embeddings):
    """A model whose vectors are not what the table takes."""

    def __init__(self, vector):
        self.vector = vector

    def embed_query(self, text):
        return self.vector

    def embed_documents(self, texts):
        return [self.vector for _ in texts]


BROKEN = (([1.0] * 3, f"expected {SIZE} dimensions, not 3", "wrong dimension"),
          ([float("nan")] * SIZE, "NaN not allowed in vector", "NaN"))

url = ("postgresql+psycopg://app:app@127.0.0.1:" + os.environ["PGPORT"] + "/"
       + os.environ["PGDATABASE"])
texts = ["cats sleep all day", "dogs run in the park", "the sea is deep and blue",
         "cats hunt mice at night"]
documents = [Document(page_content=t, metadata={"n": i, "kind": t.split()[0]})
             for i, t in enumerate(texts)]

for strategy in "cosine", "l2", "inner":
    store = PGVector(embeddings=Words(), collection_name=strategy, connection=url,
                     embedding_length=SIZE, distance_strategy=strategy,
                     use_jsonb=True)
    store.add_documents(documents, ids=[f"{strategy}{i}" for i in range(4)])
    equal([d.metadata["n"] for d in store.similarity_search("dogs run in the park", k=1)],
          [1], f"PGVector, {strategy}")
    equal([d.metadata["n"] for d in store.similarity_search(
        "dogs run in the park", k=3, filter={"kind": {"$eq": "cats"}})
        if d.metadata["kind"] != "cats"], [], f"PGVector, {strategy}, filter")
    store.delete([f"{strategy}1"])
    ok(all(d.metadata["n"] != 1 for d in store.similarity_search("dogs", k=4)),
       f"PGVector, {strategy}, delete")
equal(len(store.max_marginal_relevance_search("cats", k=2)), 2, "PGVector, MMR")
for vector, message, name in BROKEN:
    store = PGVector(embeddings=Broken(vector), collection_name="broken",
                     connection=url, embedding_length=SIZE, use_jsonb=True)
    # The dimension is compared by pgvector's type for SQLAlchemy already.
    fails(lambda: store.add_documents(documents), exc.StatementError, message,
          f"PGVector, {name}")


async def main():
    engine = PGEngine.from_connection_string(
        url.replace("+psycopg:", "+asyncpg:"))
    await engine.ainit_vectorstore_table("docs", SIZE)
    store = await PGVectorStore.create(engine, Words(), "docs")
    await store.aadd_documents(documents)
    for index in (
            HNSWIndex(name="docs_hnsw", m=8, ef_construction=40,
                      distance_strategy=DistanceStrategy.COSINE_DISTANCE),
            IVFFlatIndex(name="docs_ivfflat", lists=10,
                         distance_strategy=DistanceStrategy.COSINE_DISTANCE)):
        await store.aapply_vector_index(index)
        ok(await store.ais_valid_index(index.name), f"PGVectorStore, {index.name}")
        found = await store.asimilarity_search("the sea is deep and blue", k=1)
        equal([d.page_content for d in found], [texts[2]],
              f"PGVectorStore, search with {index.name}")
        await store.areindex(index.name)
        await store.adrop_vector_index(index.name)
    for vector, message, name in BROKEN:
        broken = await PGVectorStore.create(engine, Broken(vector), "docs")
        await afails(lambda: broken.aadd_documents(documents), exc.DBAPIError,
                     message, f"PGVectorStore, {name}")
    await engine.close()


asyncio.run(main())
done()
