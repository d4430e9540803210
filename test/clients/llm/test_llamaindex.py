"""LlamaIndex: PGVectorStore with an hnsw index, vectors of a fake model."""
import os
import random

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import (ExactMatchFilter, MetadataFilters,
                                            VectorStoreQuery)
from llama_index.vector_stores.postgres import PGVectorStore
from sqlalchemy import exc

from vrtest import done, equal, fails, ok

SIZE = 48
rng = random.Random(5)
vectors = [[rng.gauss(0, 1) for _ in range(SIZE)] for _ in range(300)]
for half in False, True:
    name = "half" if half else "full"
    store = PGVectorStore.from_params(
        host="127.0.0.1", port=os.environ["PGPORT"],
        database=os.environ["PGDATABASE"], user="app", password="app",
        table_name=name, embed_dim=SIZE, use_halfvec=half,
        hnsw_kwargs={"hnsw_m": 8, "hnsw_ef_construction": 40,
                     "hnsw_ef_search": 100,
                     "hnsw_dist_method": ("halfvec" if half else "vector")
                     + "_cosine_ops"})
    store.add([TextNode(text=f"text {i}", id_=f"{name}-{i}", embedding=v,
                        metadata={"even": str(i % 2 == 0)},
                        relationships={NodeRelationship.SOURCE:
                                       RelatedNodeInfo(node_id=f"doc-{i % 5}")})
               for i, v in enumerate(vectors)])
    hits = sum(store.query(VectorStoreQuery(query_embedding=vectors[i],
                                            similarity_top_k=5)).ids[0]
               == f"{name}-{i}" for i in range(0, 300, 10))
    equal(hits, 30, f"{name}: each vector finds itself")
    found = store.query(VectorStoreQuery(
        query_embedding=vectors[1], similarity_top_k=10,
        filters=MetadataFilters(filters=[ExactMatchFilter(key="even", value="True")])))
    ok(len(found.ids) == 10 and all(int(i.split("-")[1]) % 2 == 0
                                    for i in found.ids), f"{name}: filter", found.ids)
    store.delete("doc-0")
    found = store.query(VectorStoreQuery(query_embedding=vectors[0],
                                         similarity_top_k=20))
    ok(f"{name}-0" not in found.ids and len(found.ids) == 20, f"{name}: delete")
    kind = "halfvec" if half else "vector"
    for vector, message, what in (
            ([1.0] * 3, f"expected {SIZE} dimensions, not 3", "wrong dimension"),
            ([float("nan")] * SIZE, f"NaN not allowed in {kind}", "NaN")):
        node = TextNode(text="broken", id_=f"{name}-broken", embedding=vector)
        # The dimension is compared by pgvector's type for SQLAlchemy already.
        fails(lambda: store.add([node]), exc.StatementError, message, f"{name}: {what}")
done()
