"""Vectors for hnsw_bench.py: generated ones, files, and what is exact.

Nothing here knows a server. A set is the same on every machine for a seed and
a version of NumPy.
"""
import numpy as np

METRICS = {  # operator, and suffix of the operator classes
    "l2": ("<->", "l2"),
    "cosine": ("<=>", "cosine"),
    "ip": ("<#>", "ip"),
}


class DataSet:
    """Rows, queries, and one attribute column per kind of filter."""

    def __init__(self, name, metric, base, query, seed, origin):
        self.name, self.metric, self.seed, self.origin = name, metric, seed, origin
        self.base = np.ascontiguousarray(base, dtype=np.float32)
        self.query = np.ascontiguousarray(query, dtype=np.float32)
        self.dim = self.base.shape[1]
        if metric == "ip":
            self.space = self.base.astype(np.float64)
        elif metric == "cosine":
            self.space = unit(self.base)
        else:
            # Distances do not change, and lose fewer digits near the origin.
            self.mean = self.base.mean(axis=0, dtype=np.float64)
            self.space = self.base - self.mean
        self.space = self.space.astype(np.float32)
        self.truths = {}
        self.attributes = attributes(self.space, seed)

    def query_space(self):
        if self.metric == "cosine":
            return unit(self.query).astype(np.float32)
        if self.metric == "l2":
            return (self.query - self.mean).astype(np.float32)
        return self.query

    def distances(self, i, ids):
        """Exact distances of rows ids to query i, smaller is nearer."""
        rows = self.base[ids].astype(np.float64)
        q = self.query[i].astype(np.float64)
        if self.metric == "l2":
            return ((rows - q) ** 2).sum(axis=1)
        dot = rows @ q
        if self.metric == "ip":
            return -dot
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(q)
        return 1 - dot / np.maximum(norms, 1e-300)

    def thresholds(self, k, n, subset=None, key=None):
        """The k-th smallest distance of each of the first n queries."""
        key = (k, n, key)
        if key not in self.truths:
            rows = np.arange(len(self.base)) if subset is None else subset
            space, queries = self.space[rows], self.query_space()[:n]
            squares = (space.astype(np.float64) ** 2).sum(axis=1)
            keep = min(len(rows), k + 50)
            answer = np.empty(n)
            for start in range(0, n, 50):
                near = -(queries[start:start + 50] @ space.T).astype(np.float64)
                if self.metric == "l2":
                    near = squares + 2 * near
                for j, row in enumerate(near):
                    best = np.argpartition(row, keep - 1)[:keep]
                    exact = np.sort(self.distances(start + j, rows[best]))
                    answer[start + j] = exact[min(k, len(rows)) - 1]
            self.truths[key] = answer
        return self.truths[key]

    def recall(self, results, k, subset=None, key=None):
        """Share of the k nearest among results, a list of lists of ids. A row
        as near as the k-th nearest is a hit, whatever its id."""
        n = len(results)
        limit = self.thresholds(k, n, subset, key)
        wanted = k if subset is None else min(k, len(subset))
        allowed = None if subset is None else set(subset.tolist())
        hits = 0
        for i, ids in enumerate(results):
            ids = list(dict.fromkeys(ids or []))[:k]
            if allowed is not None and not allowed.issuperset(ids):
                raise RuntimeError("a row came that the condition excludes, or that was deleted")
            if ids:
                near = self.distances(i, ids) <= limit[i] + 1e-5 * abs(limit[i]) + 1e-9
                hits += min(int(near.sum()), wanted)
        return hits / (n * wanted)


def unit(x):
    x = np.asarray(x, dtype=np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)


def attributes(space, seed):
    """Filters of 10 %, 1 % and 0.1 %; those named c_ go along with the vector."""
    rng = np.random.default_rng(seed + 1)
    n = len(space)
    order = np.argsort(np.argsort(space @ rng.standard_normal(space.shape[1])))
    out = {f"r_{part}": rng.integers(0, part, n) for part in (10, 100, 1000)}
    return out | {f"c_{part}": order * part // n for part in (10, 100, 1000)}


def clustered(name, metric, n, dim, seed, queries=500, rank=24, copies=1):
    """Clusters on a subspace of few dimensions, noise in all of them, and a
    mean that is not the origin; norms vary for inner products."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((rank, dim)).astype(np.float32) / np.sqrt(rank)
    centres = rng.standard_normal((max(8, n // 200), rank)).astype(np.float32)

    def draw(count):
        low = centres[rng.integers(0, len(centres), count)]
        low = low + rng.standard_normal((count, rank))
        x = low @ basis + 0.6 * rng.standard_normal((count, dim)) + 0.5
        if metric == "ip":
            x *= np.exp(0.2 * rng.standard_normal((count, 1)))
        return x.astype(np.float32)

    base = draw(n // copies)
    if copies > 1:
        base = np.repeat(base, copies, axis=0)[rng.permutation(n // copies * copies)]
    return DataSet(name, metric, base, draw(queries), seed,
                   f"generated, rank {rank}, {copies} of each")


def generated(size, million=False):
    """(name, function that makes the set) of each set of a size."""
    table = {
        "quick": [("l2-128", "l2", 30000, 128, 1), ("cos-384", "cosine", 20000, 384, 1),
                  ("ip-768", "ip", 10000, 768, 1), ("cos-1536", "cosine", 10000, 1536, 1),
                  ("dup-128", "l2", 20000, 128, 20)],
        "full": [("l2-128", "l2", 200000, 128, 1), ("cos-384", "cosine", 100000, 384, 1),
                 ("ip-768", "ip", 100000, 768, 1), ("cos-1536", "cosine", 60000, 1536, 1),
                 ("dup-128", "l2", 100000, 128, 20)],
    }[size]
    if million:
        table = table + [("l2-128-1m", "l2", 1000000, 128, 1)]
    return [(name, lambda a=(name, metric, n, dim, 20 + i), c=copies: clustered(*a, copies=c))
            for i, (name, metric, n, dim, copies) in enumerate(table)]


def from_files(spec):
    """(name, function that makes the set) for NAME,METRIC,BASE.npy,QUERY.npy[,ROWS]"""
    parts = spec.split(",")
    if len(parts) not in (4, 5) or parts[1] not in METRICS or not all(parts):
        raise ValueError(f'"{spec}" is not NAME,METRIC,BASE.npy,QUERY.npy[,ROWS]'
                         f" with a METRIC of {' '.join(METRICS)}")
    base, query = (np.load(p, mmap_mode="r") for p in parts[2:4])
    if base.ndim != 2 or query.ndim != 2 or base.shape[1] != query.shape[1]:
        raise ValueError(f"{spec}: not two tables of vectors of the same length")
    rows = int(parts[4]) if len(parts) == 5 else len(base)
    if not 1000 <= rows <= len(base) or len(query) < 10:
        raise ValueError(f"{spec}: 1000 rows and 10 queries are the least")
    return parts[0], lambda: DataSet(parts[0], parts[1], finite(spec, base[:rows]),
                                     finite(spec, query[:500]), 1, "files")


def finite(spec, vectors):
    if not np.isfinite(vectors).all():
        raise ValueError(f"{spec}: not finite")
    return vectors
