"""Contestants in this process: hnswlib, FAISS, and exact search by NumPy.

No executor, client or transaction stands before their searches, and nothing
is on disk, so their times are a lower bound for a server rather than a rival.
"""
import time

import numpy as np

import bench_data
from bench_server import EF_CONSTRUCTION, M


class Peer:
    own = exact = False

    def prepare_search(self, data, k, n):
        self.k, self.queries = k, data.query[:n]
        if data.metric == "cosine" and self.unit:
            self.queries = bench_data.unit(self.queries).astype(np.float32)

    def search(self):
        """As Server.search(); ten queries to a call, so that calls cost little
        and a pause spoils one median only."""
        ids, times, cpu = [], [], time.thread_time()
        for i in range(0, len(self.queries), 10):
            part = self.queries[i:i + 10]
            started = time.perf_counter()
            found = self.ask(part)
            times.append((time.perf_counter() - started) * 1e6 / len(part))
            ids += [[i for i in row if i >= 0] for row in found.tolist()]
        return ids, times, (time.thread_time() - cpu) * 1e6 / len(self.queries)


class Hnswlib(Peer):
    name = "hnswlib"
    unit = False  # it does so itself

    def __init__(self):
        import hnswlib
        self.module, self.version = hnswlib, version_of("hnswlib")

    def build(self, data):
        space = {"l2": "l2", "cosine": "cosine", "ip": "ip"}[data.metric]
        self.index = self.module.Index(space=space, dim=data.dim)
        self.index.init_index(max_elements=len(data.base), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.add_items(data.base, num_threads=2)

    def widen(self, ef):
        self.index.set_ef(ef)

    def ask(self, queries):
        return self.index.knn_query(queries, k=self.k, num_threads=1)[0]

    def drop(self):
        self.index = None


class Faiss(Peer):
    """IndexHNSWFlat, or IndexFlat: exact search."""
    unit = True

    def __init__(self, exact):
        import faiss
        self.module, self.version, self.exact = faiss, version_of("faiss-cpu"), exact
        self.name = "FAISS flat" if exact else "FAISS"

    def build(self, data):
        metric = self.module.METRIC_L2 if data.metric == "l2" else self.module.METRIC_INNER_PRODUCT
        base = bench_data.unit(data.base).astype(np.float32) if data.metric == "cosine" else data.base
        self.module.omp_set_num_threads(2)
        if self.exact:
            self.index = self.module.IndexFlat(data.dim, metric)
        else:
            self.index = self.module.IndexHNSWFlat(data.dim, M, metric)
            self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.add(base)
        self.module.omp_set_num_threads(1)

    def widen(self, ef):
        self.index.hnsw.efSearch = ef

    def ask(self, queries):
        return self.index.search(queries, self.k)[1]

    def drop(self):
        self.index = None


class NumPy(Peer):
    """Exact: a product of matrices, and a partial sort. One thread, by the
    variables that bench.sh sets."""
    name, unit, exact = "NumPy", True, True

    def __init__(self):
        self.version = np.__version__

    def build(self, data):
        self.base = bench_data.unit(data.base).astype(np.float32) if data.metric == "cosine" else data.base
        self.squares = (self.base.astype(np.float64) ** 2).sum(axis=1).astype(np.float32)
        self.l2 = data.metric == "l2"

    def ask(self, queries):
        near = -(queries @ self.base.T)
        if self.l2:
            near = self.squares + 2 * near
        best = np.argpartition(near, self.k, axis=1)[:, :self.k]
        order = np.argsort(np.take_along_axis(near, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)

    def drop(self):
        self.base = None


def version_of(package):
    from importlib.metadata import version
    return version(package)


def peak_memory(build):
    """Runs build(); bytes that this process has had at most more than before,
    or None where Linux does not tell."""
    def status(key):
        with open("/proc/self/status", encoding="ascii") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith(key))
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as f:
            f.write("5")  # the peak begins anew
        before = status("VmRSS")
    except (OSError, StopIteration):
        before = None
    build()
    return None if before is None else status("VmHWM") - before


def available():
    """The peers that can be imported, and a sentence about each that cannot."""
    peers, skipped = [], []
    for name, make in (("hnswlib", Hnswlib), ("faiss-cpu", lambda: Faiss(False)),
                       (None, lambda: Faiss(True)), ("NumPy", NumPy)):
        try:
            peers.append(make())
        except ImportError as e:
            if name:
                skipped.append(f"{name} is left out: {e}")
    return peers, skipped
