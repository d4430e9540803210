"""Measures the hnsw index against pgvector and hnswlib; bench.sh runs it.

A server is given by the PG* variables. Each contestant has a database of its
own; whatever is compared is measured in turns, so that a machine that is busy
with something else is so for all of them. Results are JSON lines. Exits with 1
if recall is below the floor.
"""
import argparse
import json
import os
import platform
import struct
import subprocess
import sys
import time

import numpy as np
import psycopg

import bench_data
import bench_report

PARTS = ["build", "lowmem", "search", "pages", "cold", "top500", "insert", "update", "filter"]
EFS = [10, 15, 20, 30, 40, 60, 80, 100, 140, 200, 280, 400]
FLOOR_EF, FLOOR = 100, 0.9
M, EF_CONSTRUCTION = 16, 64


class Contestant:
    def __init__(self, name, database, extension, options):
        self.name, self.database, self.extension = name, database, extension
        self.with_options = ", ".join([f"m = {M}", f"ef_construction = {EF_CONSTRUCTION}"] + options)
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

    def cpu(self):
        """Seconds that the backend has had a CPU, where the system tells. Unlike
        the time of the clock, they do not grow with what else runs: and that
        hits long queries, which are interrupted, more than short ones."""
        try:
            with open(f"/proc/{self.connection.info.backend_pid}/schedstat", encoding="ascii") as f:
                return int(f.read().split()[0]) / 1e9
        except OSError:
            return None

    def execute(self, sql, *args):
        return self.connection.execute(sql, args or None)

    def value(self, sql, *args):
        return self.execute(sql, *args).fetchone()[0]


class Run:
    """What every measurement needs: options, contestants, and the record."""

    def __init__(self, options, contestants, out):
        self.options, self.contestants, self.out = options, contestants, out
        self.rows, self.failures = [], []

    def note(self, **row):
        self.rows.append(row)
        self.out.write(json.dumps(row) + "\n")
        self.out.flush()

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def copy_vectors(c, table, vectors, extra=()):
    """Binary COPY of (id, integers of extra, vector)."""
    n, dim = vectors.shape
    big = np.ascontiguousarray(vectors, dtype=">f4")
    extra = list(extra)
    # Each integer after its length.
    ints = np.full((n, 2 + 2 * len(extra)), 4, dtype=">i4")
    for j, e in enumerate([np.arange(n), *extra]):
        ints[:, 2 * j + 1] = e
    head = struct.pack(">h", 2 + len(extra))
    vector_head = struct.pack(">ihh", 4 + 4 * dim, dim, 0)
    with c.connection.cursor() as cur, \
            cur.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
        parts = []
        for i in range(n):
            parts += [head, ints[i].tobytes(), vector_head, big[i].tobytes()]
            if i % 1000 == 999:
                copy.write(b"".join(parts))
                parts = []
        copy.write(b"".join(parts) + struct.pack(">h", -1))


def load(run, data):
    columns = ", ".join(f"{a} int" for a in data.attributes)
    for c in run.contestants:
        c.execute("DROP TABLE IF EXISTS item, query, grown, filtered")
        c.execute(f"CREATE TABLE item (id int, {columns}, embedding vector({data.dim}))")
        c.execute(f"CREATE TABLE query (i int PRIMARY KEY, v vector({data.dim}))")
        # In the row, so that no contestant's time contains fetching the query.
        if data.dim <= 1900:
            c.execute("ALTER TABLE query ALTER v SET STORAGE plain")
        c.execute("ALTER TABLE item SET (parallel_workers = 1, autovacuum_enabled = off)")
        copy_vectors(c, "item", data.base, data.attributes.values())
        copy_vectors(c, "query", data.query)
        c.execute("CREATE UNIQUE INDEX item_id ON item (id)")
        c.execute("VACUUM (ANALYZE) item")
        c.execute("VACUUM (ANALYZE) query")


def create_index(c, data, table="item", name="item_hnsw", attributes=()):
    suffix = bench_data.METRICS[data.metric][1]
    keys = ", ".join([f"embedding vector_{suffix}_ops", *attributes])
    started = time.perf_counter()
    c.execute(f"CREATE INDEX {name} ON {table} USING hnsw ({keys}) WITH ({c.with_options})")
    return time.perf_counter() - started


def builds(run, data, memory, part, rounds):
    for r in range(rounds):
        for c in run.contestants:
            c.execute("DROP INDEX IF EXISTS item_hnsw")
            c.execute("CHECKPOINT")
            c.execute(f"SET maintenance_work_mem = '{memory}'")
            before = c.value("SELECT pg_current_wal_insert_lsn()")
            seconds = create_index(c, data)
            wal = int(c.value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", before))
            size = c.value("SELECT pg_relation_size('item_hnsw')")
            run.say(f"  {part} {c.name}: {seconds:.2f} s, {size / 2**20:.0f} MB")
            run.note(part=part, set=data.name, contestant=c.name, round=r, memory=memory,
                     processes=2, seconds=seconds, bytes=size, wal=wal)


def looper(c, name, table, data, k, n, where="true"):
    """A function that runs n queries and tells the ids and the microseconds of
    each, as a prepared statement inside the server takes them."""
    operator = bench_data.METRICS[data.metric][0]
    c.execute(f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS TABLE (ids int[], us float8)
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


def plan_of(c, data, i, table, k, where="true"):
    """The index scan of query i, as EXPLAIN (ANALYZE, BUFFERS) has it."""
    operator = bench_data.METRICS[data.metric][0]
    text = c.value("SELECT v::text FROM query WHERE i = %s", i)
    plan = c.value(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT json) SELECT id FROM {table}"
                   f" WHERE {where} ORDER BY embedding {operator} '{text}' LIMIT {k}")
    node = plan[0]["Plan"]
    while "Plans" in node:
        node = node["Plans"][0]
    if node["Node Type"] != "Index Scan":
        raise RuntimeError(f"{c.name}: {data.name}: {node['Node Type']} instead of the index")
    return node


def timed(run, contestants, function, rounds):
    """Rounds in turns; per contestant the ids of its first, and quantiles of the
    microseconds and the CPU's share of the others."""
    ids = {}
    times, cpus = {c.name: [] for c in contestants}, {c.name: [] for c in contestants}
    for r in range(rounds + 1):
        for c in contestants:
            before = c.cpu()
            rows = c.execute(f"SELECT ids, us FROM {function}()").fetchall()
            after = c.cpu()
            if r == 0:  # to warm up
                ids[c.name] = [row[0] for row in rows]
            else:
                times[c.name].append([row[1] for row in rows])
                if after is not None:
                    cpus[c.name].append((after - before) * 1e6 / len(rows))
    result = {}
    for c in contestants:
        p = np.percentile(times[c.name], [25, 50, 95], axis=1)
        result[c.name] = dict(zip(("p25", "p50", "p95"), np.median(p, axis=1).round(1).tolist()))
        if cpus[c.name]:
            result[c.name]["cpu"] = round(float(np.median(cpus[c.name])), 1)
    return ids, result


def search(run, data, k=10, efs=EFS, part="search"):
    n = min(len(data.query), run.options.queries)
    for c in run.contestants:
        looper(c, "run_queries", "item", data, k, n)
        plan_of(c, data, 0, "item", k)
    for ef in efs:
        for c in run.contestants:
            c.execute(f"SET hnsw.ef_search = {ef}")
        ids, times = timed(run, run.contestants, "run_queries", run.options.rounds)
        for c in run.contestants:
            row = dict(part=part, set=data.name, contestant=c.name, k=k, ef=ef, queries=n,
                       recall=round(data.recall(ids[c.name], k), 5), **times[c.name])
            if part == "search" and "pages" in run.options.parts:
                nodes = [plan_of(c, data, i, "item", k) for i in range(0, n, max(1, n // 40))]
                row["pages"] = float(np.mean([x["Shared Hit Blocks"] + x["Shared Read Blocks"]
                                              for x in nodes]))
            run.note(**row)
            run.say(f"  {part} ef {ef} {c.name}: recall {row['recall']:.4f}, {row['p50']:.0f} us"
                    f" (CPU {row.get('cpu') or 0:.0f})")
            if c.own and part == "search" and ef == FLOOR_EF and row["recall"] < FLOOR:
                run.failures.append(f"{data.name}: {c.name}: recall {row['recall']} at ef_search"
                                    f" {ef}; the floor is {FLOOR}")


def restart(run, shared_buffers):
    for c in run.contestants:
        c.connection.close()
    subprocess.run(["bash", "-c", 'restart_server "$1"', "bash", shared_buffers], check=True)
    for c in run.contestants:
        c.connect()


def cold(run, data, target=0.95):
    """Blocks that are not in shared_buffers, where those hold an eighth of the
    least index: at the settings around the target."""
    n = min(len(data.query), run.options.queries)
    smallest = min(c.value("SELECT pg_relation_size('item_hnsw')") for c in run.contestants)
    megabytes = smallest // 8 // 2**20
    if megabytes < 2:
        return  # a server needs some for its catalogs
    restart(run, f"{megabytes}MB")
    for c in run.contestants:
        rows = sorted((r for r in run.rows if r["part"] == "search" and r["set"] == data.name
                       and r["contestant"] == c.name), key=lambda r: r["ef"])
        reached = next((i for i, r in enumerate(rows) if r["recall"] >= target), len(rows) - 1)
        for r in rows[max(0, reached - 1):reached + 1]:
            c.execute(f"SET hnsw.ef_search = {r['ef']}")
            reads = [plan_of(c, data, i, "item", 10)["Shared Read Blocks"] for i in range(n)]
            # The first half of the queries has filled the buffers.
            run.note(part="cold", set=data.name, contestant=c.name, ef=r["ef"], recall=r["recall"],
                     reads=float(np.mean(reads[n // 2:])))
            run.say(f"  cold ef {r['ef']} {c.name}: {run.rows[-1]['reads']:.1f} blocks read")
    restart(run, os.environ["BENCH_BUFFERS"])


def search_hnswlib(run, data):
    """In this process, one thread: what no client or executor stands before."""
    try:
        import hnswlib
    except ImportError:
        return
    n = min(len(data.query), run.options.queries)
    index = hnswlib.Index(space=bench_data.METRICS[data.metric][2], dim=data.dim)
    started = time.perf_counter()
    index.init_index(max_elements=len(data.base), M=M, ef_construction=EF_CONSTRUCTION)
    index.add_items(data.base, num_threads=2)
    run.note(part="build", set=data.name, contestant="hnswlib", round=0, processes=2,
             seconds=time.perf_counter() - started, bytes=None)
    for ef in EFS:
        index.set_ef(ef)
        ids, times = [], []
        # Ten at a time: the calls cost little, and a pause spoils one median only.
        for r in range(run.options.rounds + 1):
            for i in range(0, n, 10):
                started = time.perf_counter()
                found, _distances = index.knn_query(data.query[i:min(n, i + 10)], k=10, num_threads=1)
                times.append((time.perf_counter() - started) * 1e6 / len(found))
                if r == 0:
                    ids += found.tolist()
        run.note(part="search", set=data.name, contestant="hnswlib", k=10, ef=ef, queries=n,
                 recall=round(data.recall(ids, 10), 5), p50=round(float(np.median(times)), 1))
    run.say("  hnswlib done")


def writes(run, data):
    """Single rows, each committed, and then an UPDATE of another column."""
    start = min(len(data.base) // 2, 20000)
    count = min(run.options.inserts, (len(data.base) - start) // run.options.rounds)
    for c in run.contestants:
        c.execute("DROP TABLE IF EXISTS grown")
        c.execute(f"CREATE TABLE grown (id int, touched int, embedding vector({data.dim}))")
        c.execute("ALTER TABLE grown SET (autovacuum_enabled = off)")
        c.execute("INSERT INTO grown SELECT id, id, embedding FROM item WHERE id < %s ORDER BY id", start)
        c.execute("SET maintenance_work_mem = '1GB'")
        create_index(c, data, "grown", "grown_hnsw")
        # So that no update is HOT; the rows are found by it, too.
        c.execute("CREATE INDEX grown_touched ON grown (touched)")
        c.execute("VACUUM (ANALYZE) grown")
        c.execute("""
CREATE OR REPLACE PROCEDURE insert_rows(low int, high int) LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT id, embedding FROM item WHERE id >= low AND id < high LOOP
        INSERT INTO grown VALUES (r.id, r.id, r.embedding);
        COMMIT;
    END LOOP;
END $$""")
    if "insert" in run.options.parts:
        for r in range(run.options.rounds):
            for c in run.contestants:
                low = start + r * count
                before = c.value("SELECT pg_current_wal_insert_lsn()")
                cpu, began = c.cpu(), time.perf_counter()
                c.execute(f"CALL insert_rows({low}, {low + count})")
                seconds = time.perf_counter() - began
                cpu = None if cpu is None else c.cpu() - cpu
                wal = int(c.value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", before))
                run.note(part="insert", set=data.name, contestant=c.name, round=r, rows=count,
                         seconds=seconds, cpu=cpu, rate=count / seconds,
                         wal_per_row=wal / count)
                run.say(f"  insert {c.name}: {count / seconds:.0f}/s, {wal / count:.0f} bytes of WAL a row")
    if "update" in run.options.parts:
        for r in range(run.options.rounds):
            for c in run.contestants:
                rows = c.value("SELECT count(*) FROM grown WHERE touched >= %s AND touched < %s",
                               r * 2000, r * 2000 + 2000)
                if rows == 0:
                    break
                cpu, began = c.cpu(), time.perf_counter()
                c.execute("UPDATE grown SET touched = touched + 10000000"
                          f" WHERE touched >= {r * 2000} AND touched < {r * 2000 + 2000}")
                seconds = time.perf_counter() - began
                cpu = None if cpu is None else c.cpu() - cpu
                run.note(part="update", set=data.name, contestant=c.name, round=r, rows=rows,
                         seconds=seconds, cpu=cpu, rate=rows / seconds)
                run.say(f"  update {c.name}: {rows / seconds:.0f}/s")


def filters(run, data):
    """A WHERE that one row of 100 or of 1,000 passes, at random and along with
    the vector. Ours has the attributes in the index; pgvector scans on."""
    pair = [c for c in run.contestants if c.name in ("vecrecall", "pgvector")]
    n = min(len(data.query), run.options.queries, 200)
    for c in pair:
        c.execute("DROP TABLE IF EXISTS filtered")
        c.execute("CREATE TABLE filtered AS SELECT * FROM item ORDER BY id")
        c.execute("SET maintenance_work_mem = '1GB'")
        create_index(c, data, "filtered", "filtered_hnsw", list(data.attributes) if c.own else [])
        c.execute("VACUUM (ANALYZE) filtered")
        c.execute("SET hnsw.ef_search = 40")
        c.execute("SET enable_bitmapscan = off")
        if not c.own:
            c.execute("SET hnsw.iterative_scan = relaxed_order")
    for column, values in data.attributes.items():
        value = int(column.split("_")[1]) // 2
        subset = np.nonzero(values == value)[0]
        if len(subset) == 0:
            continue
        where = f"{column} = {value}"
        for c in pair:
            looper(c, "run_filter", "filtered", data, 10, n, f"t.{where}")
            plan_of(c, data, 0, "filtered", 10, where)
        ids, times = timed(run, pair, "run_filter", run.options.rounds)
        for c in pair:
            recall = data.recall(ids[c.name], 10, subset, where)
            row = dict(part="filter", set=data.name, contestant=c.name, filter=column,
                       matching=len(subset), recall=round(recall, 5), **times[c.name])
            run.note(**row)
            if c.own and any(len(x or []) < min(10, len(subset)) for x in ids[c.name]):
                run.failures.append(f"{data.name}: {c.name}: rows of {where} are lacking")
            run.say(f"  filter {where} ({len(subset)} rows) {c.name}: recall {recall:.4f}, {row['p50']:.0f} us")
    for c in pair:
        c.execute("DROP TABLE filtered")
        c.execute("SET enable_bitmapscan = on")
        if not c.own:
            c.execute("RESET hnsw.iterative_scan")


def measure(run, data):
    o = run.options
    run.say(f"{data.name}: {len(data.base)} x {data.dim}, {data.metric}")
    run.note(part="set", set=data.name, rows=len(data.base), dim=data.dim, metric=data.metric,
             seed=data.seed, origin=data.origin)
    load(run, data)
    if "lowmem" in o.parts:
        builds(run, data, "64MB", "lowmem", 1)
    builds(run, data, o.memory, "build", o.rounds if "build" in o.parts else 1)
    if "search" in o.parts:
        search(run, data)
        search_hnswlib(run, data)
        if "cold" in o.parts:
            cold(run, data)
    if "top500" in o.parts and data.metric == "l2" and len(data.base) >= 10000:
        search(run, data, 500, [500, 600, 800, 1000], "top500")
    if "insert" in o.parts or "update" in o.parts:
        writes(run, data)
    if "filter" in o.parts:
        filters(run, data)
    for c in run.contestants:
        c.execute("DROP TABLE IF EXISTS item, query, grown")


def machine(contestants, options):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.processor())
    own = contestants[0]
    row = dict(part="run", size=options.size, time=time.strftime("%Y-%m-%d %H:%M:%S %z"), cpu=cpu,
               cores=len(os.sched_getaffinity(0)), load=os.getloadavg()[0],
               memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
               system=platform.platform(), server=own.value("SHOW server_version"),
               shared_buffers=own.value("SHOW shared_buffers"),
               simd=own.value("SELECT simd FROM vecrecall.build_info()"),
               commit=os.environ.get("BENCH_COMMIT", ""),
               versions={c.name: c.version for c in contestants},
               skipped=[s for s in os.environ.get("BENCH_SKIPPED", "").split("|") if s],
               numpy=np.__version__, m=M, ef_construction=EF_CONSTRUCTION)
    try:
        from importlib.metadata import version
        row["versions"]["hnswlib"] = version("hnswlib")
    except ImportError:
        row["skipped"].append("hnswlib is not installed")
    return row


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--size", choices=["quick", "full"], default="quick")
    p.add_argument("--data", action="append", metavar="NAME,METRIC,BASE.npy,QUERY.npy[,ROWS]",
                   help="a set from files, instead of the generated ones; may be repeated")
    p.add_argument("--sets", help="only these of the generated sets, by commas")
    p.add_argument("--parts", default=",".join(PARTS), help="only these, of the default")
    p.add_argument("--rounds", type=int, help="how often each contestant has its turn")
    p.add_argument("--queries", type=int, default=500)
    p.add_argument("--inserts", type=int, default=1000, help="rows per round")
    p.add_argument("--memory", default="2GB", help="maintenance_work_mem that is ample")
    p.add_argument("--output", required=True, help="results go to OUTPUT.jsonl and OUTPUT.html")
    o = p.parse_args()
    o.parts = o.parts.split(",")
    if not set(o.parts) <= set(PARTS):
        p.error(f"--parts are of {' '.join(PARTS)}")
    o.rounds = o.rounds or {"quick": 2, "full": 3}[o.size]
    if o.rounds < 1 or o.queries < 10 or o.inserts < 1:
        p.error("too few rounds, queries or inserts")
    try:
        o.todo = [bench_data.from_files(spec) for spec in o.data or []]
    except (ValueError, OSError) as e:
        p.error(str(e))
    if len({name for name, _ in o.todo}) < len(o.todo):
        p.error("two sets of one name")
    if not o.todo:
        o.todo = bench_data.generated(o.size)
        if o.sets:
            chosen = o.sets.split(",")
            if not set(chosen) <= {name for name, _ in o.todo}:
                p.error(f"--sets are of {' '.join(name for name, _ in o.todo)}")
            o.todo = [t for t in o.todo if t[0] in chosen]
    return o


def main():
    options = arguments()
    contestants = [Contestant("vecrecall", "bench_own", "vecrecall", []),
                   Contestant("vecrecall plain", "bench_plain", "vecrecall", ["storage = plain"])]
    if os.environ.get("BENCH_PGVECTOR"):
        contestants.append(Contestant("pgvector", "bench_pgvector", "vector", []))
    for c in contestants:
        c.create()
    with open(options.output + ".jsonl", "w", encoding="utf-8") as out:
        run = Run(options, contestants, out)
        run.note(**machine(contestants, options))
        for _name, make in options.todo:
            measure(run, make())
            bench_report.write(run.rows, options.output + ".html")
        for failure in run.failures:
            run.note(part="failure", text=failure)
    bench_report.write(run.rows, options.output + ".html")
    print(bench_report.summary(run.rows))
    for failure in run.failures:
        print(f"BROKEN: {failure}", file=sys.stderr)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
