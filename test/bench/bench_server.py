"""Contestants that are extensions of the server; the PG* variables lead to it.

Each has a database of its own, so that names and libraries do not meet.
"""
import os
import struct
import threading
import time

import numpy as np
import psycopg

import bench_data

M, EF_CONSTRUCTION = 16, 64
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    # main: takes part in everything; the others are forms of one that does,
    # and are only built and searched.
    def __init__(self, name, database, extension, options=(), main=True):
        self.name, self.database, self.extension, self.main = name, database, extension, main
        self.with_options = ", ".join([f"m = {M}", f"ef_construction = {EF_CONSTRUCTION}", *options])
        self.own = extension == "vecrecall"

    def create(self):
        with psycopg.connect(dbname="postgres", autocommit=True) as c:
            c.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            c.execute(f"CREATE DATABASE {self.database}")
        self.connect()
        self.execute(f"CREATE EXTENSION {self.extension}")
        self.version = self.value("SELECT extversion FROM pg_extension WHERE extname = %s",
                                  self.extension)

    def connect(self):
        self.connection = psycopg.connect(dbname=self.database, autocommit=True)
        for s in ("jit = off", "enable_seqscan = off", "min_parallel_table_scan_size = 0",
                  "max_parallel_maintenance_workers = 1", "client_min_messages = warning"):
            self.execute(f"SET {s}")

    def execute(self, sql, *args):
        return self.connection.execute(sql, args or None)

    def value(self, sql, *args):
        return self.execute(sql, *args).fetchone()[0]

    def widen(self, ef):
        self.execute(f"SET hnsw.ef_search = {ef}")

    def cpu(self):
        """Seconds that the backend has had a CPU, where the system tells. Unlike
        the time of the clock, they do not grow with what else runs: and that
        hits long queries, which are interrupted, more than short ones."""
        try:
            with open(f"/proc/{self.connection.info.backend_pid}/schedstat", encoding="ascii") as f:
                return int(f.read().split()[0]) / 1e9
        except OSError:
            return None

    def load(self, data):
        columns = ", ".join(f"{a} int" for a in data.attributes)
        self.execute("DROP TABLE IF EXISTS item, query, grown, filtered")
        self.execute(f"CREATE TABLE item (id int, {columns}, embedding vector({data.dim}))")
        self.execute(f"CREATE TABLE query (i int PRIMARY KEY, v vector({data.dim}))")
        # In the row, so that no contestant's time contains fetching the query.
        if data.dim <= 1900:
            self.execute("ALTER TABLE query ALTER v SET STORAGE plain")
        self.execute("ALTER TABLE item SET (parallel_workers = 1, autovacuum_enabled = off)")
        self.copy_vectors("item", data.base, data.attributes.values())
        self.copy_vectors("query", data.query)
        self.execute("CREATE UNIQUE INDEX item_id ON item (id)")
        self.execute("VACUUM (ANALYZE) item")
        self.execute("VACUUM (ANALYZE) query")

    def copy_vectors(self, table, vectors, extra=()):
        """Binary COPY of (id, integers of extra, vector)."""
        n, dim = vectors.shape
        extra = list(extra)
        # Each integer after its length.
        ints = np.full((n, 2 + 2 * len(extra)), 4, dtype=">i4")
        for j, e in enumerate([np.arange(n), *extra]):
            ints[:, 2 * j + 1] = e
        head = struct.pack(">h", 2 + len(extra))
        vector_head = struct.pack(">ihh", 4 + 4 * dim, dim, 0)
        with self.connection.cursor() as cur, \
                cur.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
            for start in range(0, n, 1000):
                big = vectors[start:start + 1000].astype(">f4")
                copy.write(b"".join(head + ints[start + i].tobytes() + vector_head + row.tobytes()
                                    for i, row in enumerate(big)))
            copy.write(struct.pack(">h", -1))

    def create_index(self, data, table="item", name="item_hnsw", attributes=()):
        """Seconds of the clock, and of CPUs of all processes."""
        suffix = bench_data.METRICS[data.metric][1]
        keys = ", ".join([f"embedding vector_{suffix}_ops", *attributes])
        cpu, started = self.cpu_of_all(), time.perf_counter()
        self.execute(f"CREATE INDEX {name} ON {table} USING hnsw ({keys}) WITH ({self.with_options})")
        seconds, after = time.perf_counter() - started, self.cpu_of_all()
        return seconds, None if cpu is None or after is None else after - cpu

    def cpu_of_all(self):
        """With the time of parallel workers, which their parent has counted by
        the time that the leader goes on."""
        own = self.cpu()
        try:
            parent = parent_of(self.connection.info.backend_pid)
            with open(f"/proc/{parent}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            return None
        return None if own is None else own + (int(fields[13]) + int(fields[14])) / TICK

    def prepare_search(self, data, k, n, table="item", where="true"):
        """For search(): a function that runs n queries as a prepared statement
        inside the server does, and tells the ids and microseconds of each."""
        operator = bench_data.METRICS[data.metric][0]
        self.execute(f"""
CREATE OR REPLACE FUNCTION run_queries() RETURNS TABLE (ids int[], us float8)
LANGUAGE plpgsql AS $$
DECLARE r record; started timestamptz;
BEGIN
    FOR r IN SELECT v FROM query WHERE i < {n} ORDER BY i LOOP
        started := clock_timestamp();
        SELECT array_agg(s.id) INTO ids FROM (SELECT id FROM {table} t WHERE {where}
            ORDER BY t.embedding {operator} r.v LIMIT {k}) s;
        us := extract(epoch FROM clock_timestamp() - started) * 1e6;
        RETURN NEXT;
    END LOOP;
END $$""")

    def search(self):
        """Ids and microseconds of each query, and microseconds of CPU per query."""
        before = self.cpu()
        rows = self.execute("SELECT ids, us FROM run_queries()").fetchall()
        after = self.cpu()
        return ([r[0] for r in rows], [r[1] for r in rows],
                None if before is None or after is None else (after - before) * 1e6 / len(rows))

    def plan_of(self, data, i, k, table="item", where="true"):
        """The index scan of query i, as EXPLAIN (ANALYZE, BUFFERS) has it."""
        operator = bench_data.METRICS[data.metric][0]
        text = self.value("SELECT v::text FROM query WHERE i = %s", i)
        plan = self.value(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT json) SELECT id FROM {table} t"
                          f" WHERE {where} ORDER BY embedding {operator} '{text}' LIMIT {k}")
        node = plan[0]["Plan"]
        while "Plans" in node:
            node = node["Plans"][0]
        if node["Node Type"] != "Index Scan":
            raise RuntimeError(f"{self.name}: {node['Node Type']} instead of the index")
        return node

    def wal(self):
        return int(self.value("SELECT pg_current_wal_insert_lsn() - '0/0'"))


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


class PeakMemory(threading.Thread):
    """The most memory that a backend and its parallel workers take while the
    "with" lasts, beyond what the server's processes had before: their private
    memory, and dynamic shared memory. bytes is None where Linux does not tell."""

    def __init__(self, backend):
        super().__init__(daemon=True)
        self.backend, self.bytes, self.ended = backend, None, threading.Event()

    def __enter__(self):
        self.before = self.now()
        self.bytes = None if self.before is None else 0
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def run(self):
        while self.bytes is not None and not self.ended.wait(0.05):
            now = self.now()
            if now is not None:
                self.bytes = max(self.bytes, now - self.before)

    def now(self):
        try:
            parent = parent_of(self.backend)
            with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as f:
                children = f.read().split()
            with open(f"/proc/{self.backend}/maps", encoding="ascii", errors="replace") as f:
                shared = {line.split()[5] for line in f if "/dev/shm/PostgreSQL." in line}
        except (OSError, IndexError):
            return None
        total = 0
        for pid in children:
            try:
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
                    total += next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) * 1024
            except (OSError, StopIteration):
                pass  # it has ended
        for name in shared:
            try:
                total += os.stat(name).st_blocks * 512
            except OSError:
                pass
        return total
