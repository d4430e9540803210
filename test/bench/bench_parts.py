"""What is measured, a function per part; see README.md for what each means.

run is the record and the options (hnsw_bench.py), data a bench_data.DataSet.
Whatever is compared is measured in turns, and each note() is one line of the
results. What is broken goes to run.fail(); what is slow goes nowhere.
"""
import os
import subprocess
import tempfile
import time

import numpy as np

import bench_data
import bench_peers
from bench_server import PeakMemory

EFS = [10, 20, 30, 40, 60, 80, 100, 140, 200, 280, 400, 800]
DEFAULT_EF = 40
FLOOR_EF, FLOOR = 100, 0.9
# A contestant that has this recall is not asked to search any wider.
ENOUGH = 0.998


def main_servers(run):
    return [c for c in run.servers if c.main]


# --- building ---

def build(run, data):
    # What else there is to measure needs an index, too.
    build_servers(run, data, run.options.memory, "build", run.options.rounds if wanted(run, "build") else 1)


def wanted(run, part):
    return part in run.options.parts


def lowmem(run, data):
    build_servers(run, data, "64MB", "lowmem", 1, main_servers(run))


def build_servers(run, data, memory, part, rounds, servers=None):
    spent = 0
    for r in range(rounds):
        # A second round of the quick size is for those that are short.
        if spent > 25 and run.options.size == "quick":
            break
        for c in servers or run.servers:
            if r > 0 and not c.main:
                continue
            c.execute("DROP INDEX IF EXISTS item_hnsw")
            c.execute("CHECKPOINT")
            c.execute(f"SET maintenance_work_mem = '{memory}'")
            wal = c.wal()
            with PeakMemory(c.connection.info.backend_pid) as peak:
                seconds, cpu = c.create_index(data)
            spent += seconds
            size, wal = c.value("SELECT pg_relation_size('item_hnsw')"), c.wal() - wal
            if wanted(run, part):
                run.note(part=part, set=data.name, contestant=c.name, round=r, memory=memory,
                         processes=2, seconds=round(seconds, 3), cpu=cpu, peak=peak.bytes, bytes=size, wal=wal)
            run.say(f"{part} {c.name}: {seconds:.2f} s (CPU {cpu or 0:.2f}), {size / 2**20:.0f} MB,"
                    f" {(peak.bytes or 0) / 2**20:.0f} MB of memory")


def build_peers(run, data):
    for c in run.peers:
        started = time.perf_counter()
        peak = bench_peers.peak_memory(lambda c=c: c.build(data))
        seconds = time.perf_counter() - started
        if not c.exact and wanted(run, "build"):
            run.note(part="build", set=data.name, contestant=c.name, round=0, processes=2,
                     seconds=round(seconds, 3), peak=peak)
            run.say(f"build {c.name}: {seconds:.2f} s")


# --- searching ---

def timed(contestants, rounds):
    """A round to warm up, then rounds in turns. Per contestant: the ids of its
    last round, and quantiles of the microseconds of a query, each the median
    over the rounds, as is its share of a CPU."""
    ids, times, cpus = {}, {c.name: [] for c in contestants}, {c.name: [] for c in contestants}
    for r in range(rounds + 1):
        for c in contestants:
            found, us, cpu = c.search()
            ids[c.name] = found
            if r > 0:
                times[c.name].append(us)
                if cpu is not None:
                    cpus[c.name].append(cpu)
    result = {}
    for c in contestants:
        p = np.percentile(times[c.name], [25, 50, 95, 99], axis=1)
        result[c.name] = dict(zip(("p25", "p50", "p95", "p99"), np.median(p, axis=1).round(1).tolist()))
        # Of ten at a time: no query's own.
        if len(times[c.name][0]) < len(ids[c.name]):
            del result[c.name]["p95"], result[c.name]["p99"]
        if cpus[c.name]:
            result[c.name]["cpu"] = round(float(np.median(cpus[c.name])), 1)
    return ids, result


def search(run, data, k=10, efs=EFS, part="search"):
    n = min(len(data.query), run.options.queries)
    if part == "top500":
        n = min(n, 100)
    left = run.servers + [c for c in run.peers if not c.exact]
    for c in left:
        c.prepare_search(data, k, n)
    for c in run.servers:
        c.plan_of(data, 0, k)
    for ef in efs:
        for c in left:
            c.widen(ef)
        ids, times = timed(left, run.options.rounds)
        for c in list(left):
            recall = round(data.recall(ids[c.name], k), 5)
            row = dict(part=part, set=data.name, contestant=c.name, k=k, ef=ef, queries=n,
                       recall=recall, **times[c.name])
            if part == "search" and wanted(run, "pages") and c in run.servers:
                nodes = [c.plan_of(data, i, k) for i in range(0, n, max(1, n // 40))]
                row["pages"] = float(np.mean([x["Shared Hit Blocks"] + x["Shared Read Blocks"]
                                              for x in nodes]))
            run.note(**row)
            run.say(f"{part} ef {ef} {c.name}: recall {recall:.4f}, {row['p50']:.0f} us"
                    f" (CPU {row.get('cpu') or 0:.0f})")
            if c.own and part == "search" and ef == FLOOR_EF and recall < FLOOR:
                run.fail(data, f"{c.name}: recall {recall} at ef_search {ef}; the floor is {FLOOR}")
            if recall >= ENOUGH and ef >= FLOOR_EF:
                left.remove(c)
    if part == "search":
        exact(run, data, min(n, 100))


def exact(run, data, n):
    peers = [c for c in run.peers if c.exact]
    for c in peers:
        c.prepare_search(data, 10, n)
    ids, times = timed(peers, 1) if peers else ({}, {})
    for c in peers:
        run.note(part="exact", set=data.name, contestant=c.name, k=10, queries=n,
                 recall=round(data.recall(ids[c.name], 10), 5), **times[c.name])
        run.say(f"exact {c.name}: {times[c.name]['p50']:.0f} us")


def top500(run, data):
    if data.metric == "l2" and len(data.base) >= 10000:
        search(run, data, 500, [500, 600, 800, 1000], "top500")


def setting_for(run, data, c, target=0.95):
    """The rows of the search part up to the first that reaches the target."""
    rows = sorted((r for r in run.rows if r["part"] == "search" and r["set"] == data.name
                   and r["contestant"] == c.name), key=lambda r: r["ef"])
    reached = next((i for i, r in enumerate(rows) if r["recall"] >= target), len(rows) - 1)
    return rows[:reached + 1]


def restart(run, shared_buffers):
    for c in run.servers:
        c.connection.close()
    subprocess.run(["bash", "-c", 'restart_server "$1"', "bash", shared_buffers], check=True)
    for c in run.servers:
        c.connect()


def cold(run, data):
    """Blocks that are not in shared_buffers, where those hold an eighth of the
    least index: at the settings around the target."""
    n = min(len(data.query), run.options.queries)
    megabytes = min(c.value("SELECT pg_relation_size('item_hnsw')") for c in run.servers) // 8 // 2**20
    if megabytes < 2:
        return  # a server needs some for its catalogs
    restart(run, f"{megabytes}MB")
    for c in run.servers:
        for r in setting_for(run, data, c)[-2:]:
            c.widen(r["ef"])
            reads = [c.plan_of(data, i, 10)["Shared Read Blocks"] for i in range(n)]
            # The first half of the queries has filled the buffers.
            row = run.note(part="cold", set=data.name, contestant=c.name, ef=r["ef"], recall=r["recall"],
                           reads=float(np.mean(reads[n // 2:])))
            run.say(f"cold ef {r['ef']} {c.name}: {row['reads']:.1f} blocks read")
    restart(run, os.environ["BENCH_BUFFERS"])


# --- clients: what a program outside the server sees ---

def clients(run, data):
    """Each at the first setting that reaches a recall of .95. One connection
    with the vector in binary as a parameter; then pgbench with 1, 2 and 4."""
    servers = [(c, setting_for(run, data, c)[-1]) for c in main_servers(run)]
    for c, row in servers:
        c.widen(row["ef"])
    binary(run, data, servers)
    operator = bench_data.METRICS[data.metric][0]
    n = min(len(data.query), run.options.queries)
    seconds = run.options.seconds
    for count in (1, 2, 4):
        for r in range(1 if run.options.size == "quick" else run.options.rounds):
            for c, row in servers:
                with tempfile.TemporaryDirectory() as work:
                    with open(f"{work}/query.sql", "w", encoding="ascii") as f:
                        f.write(f"\\set i random(0, {n - 1})\n"
                                f"SELECT id FROM item ORDER BY embedding {operator}"
                                " (SELECT v FROM query WHERE i = :i) LIMIT 10;\n")
                    out = subprocess.run(
                        [os.environ["BENCH_BIN"] + "/pgbench", "-n", "-M", "prepared", "-c", str(count),
                         "-j", str(min(count, os.cpu_count())), "-T", str(seconds), "-l",
                         "--log-prefix", f"{work}/log", "-f", f"{work}/query.sql", c.database],
                        env=os.environ | {"PGOPTIONS": f"-c hnsw.ef_search={row['ef']} -c enable_seqscan=off"
                                                       " -c jit=off"},
                        capture_output=True, text=True, check=False)
                    us = [int(line.split()[2]) for name in os.listdir(work) if name.startswith("log")
                          for line in open(f"{work}/{name}", encoding="ascii")]
                if out.returncode != 0 or not us:
                    run.fail(data, f"{c.name}: pgbench failed: {out.stderr.strip()[-300:]}")
                    return
                p = np.percentile(us, [50, 95, 99]).round(1).tolist()
                row_out = run.note(part="clients", set=data.name, contestant=c.name, clients=count, round=r,
                                   ef=row["ef"], recall=row["recall"], seconds=seconds,
                                   rate=round(len(us) / seconds, 1), p50=p[0], p95=p[1], p99=p[2])
                run.say(f"clients {count} {c.name}: {row_out['rate']:.0f}/s, {p[0]:.0f} / {p[1]:.0f} /"
                        f" {p[2]:.0f} us")


def binary(run, data, servers):
    n = min(len(data.query), run.options.queries)
    operator = bench_data.METRICS[data.metric][0]
    payloads = [data.dim.to_bytes(2, "big") + b"\0\0" + q.astype(">f4").tobytes() for q in data.query[:n]]
    times = {c.name: [] for c, _ in servers}
    for c, _ in servers:
        oid = c.value("SELECT 'vector'::regtype::oid::int8")
        c.connection.pgconn.prepare(
            b"binary_query", f"SELECT id FROM item ORDER BY embedding {operator} $1 LIMIT 10".encode(), [oid])
    for r in range(run.options.rounds + 1):
        for c, _ in servers:
            ask, us = c.connection.pgconn.exec_prepared, []
            for p in payloads:
                started = time.perf_counter()
                result = ask(b"binary_query", [p], [1], 1)
                us.append((time.perf_counter() - started) * 1e6)
                if result.ntuples != 10:
                    raise RuntimeError(f"{c.name}: {result.ntuples} rows instead of 10:"
                                       f" {result.error_message.decode()}")
            if r > 0:
                times[c.name].append(us)
    for c, row in servers:
        c.connection.pgconn.exec_(b"DEALLOCATE binary_query")
        p = np.median(np.percentile(times[c.name], [50, 95, 99], axis=1), axis=1).round(1).tolist()
        run.note(part="binary", set=data.name, contestant=c.name, ef=row["ef"], recall=row["recall"],
                 p50=p[0], p95=p[1], p99=p[2])
        run.say(f"binary {c.name}: {p[0]:.0f} / {p[1]:.0f} / {p[2]:.0f} us")


# --- writing ---

def writes(run, data):
    """Single rows, each committed; an UPDATE of another column; DELETE and
    VACUUM. The recall in between, against exact search of what is there."""
    o = run.options
    start = min(len(data.base) // 2, {"quick": 10000, "full": 20000}[o.size])
    count = min(o.inserts, (len(data.base) - start) // o.rounds)
    servers = main_servers(run)
    for c in servers:
        c.execute("DROP TABLE IF EXISTS grown")
        c.execute(f"CREATE TABLE grown (id int, touched int, embedding vector({data.dim}))")
        c.execute("ALTER TABLE grown SET (autovacuum_enabled = off)")
        c.execute("INSERT INTO grown SELECT id, id, embedding FROM item WHERE id < %s ORDER BY id", start)
        c.execute("SET maintenance_work_mem = '1GB'")
        c.create_index(data, "grown", "grown_hnsw")
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
    subset = np.arange(start)
    if wanted(run, "insert"):
        for r in range(o.rounds):
            low = start + r * count
            for c in servers:
                write(run, data, c, "insert", r, count, f"CALL insert_rows({low}, {low + count})")
        subset = np.arange(start + o.rounds * count)
    if wanted(run, "update"):
        for r in range(o.rounds):
            some = f"touched >= {r * 1000} AND touched < {r * 1000 + 1000}"
            for c in servers:
                rows = c.value(f"SELECT count(*) FROM grown WHERE {some}")
                if rows:
                    write(run, data, c, "update", r, rows,
                          f"UPDATE grown SET touched = touched + 10000000 WHERE {some}")
    if wanted(run, "vacuum"):
        grown_recall(run, data, servers, subset, "before vacuum")
        for r in range(1 if o.size == "quick" else o.rounds):
            gone = subset[subset % 50 == r]
            for c in servers:
                c.execute(f"DELETE FROM grown WHERE id % 50 = {r}")
                write(run, data, c, "vacuum", r, len(gone), "VACUUM (INDEX_CLEANUP on, TRUNCATE off) grown")
            subset = subset[subset % 50 != r]
        grown_recall(run, data, servers, subset, "after vacuum")


def write(run, data, c, part, r, rows, sql):
    wal, cpu, began = c.wal(), c.cpu(), time.perf_counter()
    c.execute(sql)
    seconds = time.perf_counter() - began
    cpu = None if cpu is None else c.cpu() - cpu
    row = run.note(part=part, set=data.name, contestant=c.name, round=r, rows=rows,
                   seconds=round(seconds, 4), cpu=cpu, rate=round(rows / seconds, 1),
                   wal_per_row=round((c.wal() - wal) / rows, 1))
    run.say(f"{part} {c.name}: {row['rate']:.0f}/s, {row['wal_per_row']:.0f} bytes of WAL a row")


def grown_recall(run, data, servers, subset, when):
    n = min(len(data.query), run.options.queries, 200)
    for c in servers:
        c.prepare_search(data, 10, n, "grown")
        c.widen(DEFAULT_EF)
        c.plan_of(data, 0, 10, "grown")
        recall = round(data.recall(c.search()[0], 10, subset, when), 5)
        run.note(part="grown", set=data.name, contestant=c.name, when=when, ef=DEFAULT_EF, recall=recall)
        run.say(f"{when} {c.name}: recall {recall:.4f}")


# --- filtering ---

def filters(run, data):
    """A WHERE that one row of 10, 100 or 1,000 passes, at random and along with
    the vector. Ours has the attributes in the index; pgvector scans on; and a
    btree with an exact sort, of either's types, is what there is without them."""
    servers = main_servers(run)
    # pgvector may need its whole hnsw.max_scan_tuples, some 50 ms, for each.
    n = min(len(data.query), run.options.queries, {"quick": 30, "full": 100}[run.options.size])
    for c in servers:
        c.execute("DROP TABLE IF EXISTS filtered, sorted")
        for table in ("filtered", "sorted"):
            c.execute(f"CREATE TABLE {table} AS SELECT * FROM item ORDER BY id")
            c.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        c.execute("SET maintenance_work_mem = '1GB'")
        c.create_index(data, "filtered", "filtered_hnsw", list(data.attributes) if c.own else [])
        for column in data.attributes:
            c.execute(f"CREATE INDEX ON sorted ({column})")
        c.execute("VACUUM (ANALYZE) filtered")
        c.execute("VACUUM (ANALYZE) sorted")
        if not c.own:
            c.execute("SET hnsw.iterative_scan = relaxed_order")
    for column, values in data.attributes.items():
        value = int(column.split("_")[1]) // 2
        subset = np.nonzero(values == value)[0]
        if len(subset) == 0:
            continue
        where = f"{column} = {value}"
        for ef in run.options.filter_efs:
            for c in servers:
                c.widen(ef)
                c.execute("SET enable_bitmapscan = off")
                c.prepare_search(data, 10, n, "filtered", f"t.{where}")
                c.plan_of(data, 0, 10, "filtered", where)
            note_filter(run, data, servers, column, subset, where, ef)
        for c in servers:
            c.execute("SET enable_bitmapscan = on")
            c.prepare_search(data, 10, n, "sorted", f"t.{where}")
        note_filter(run, data, servers, column, subset, where, None)
    for c in servers:
        c.execute("DROP TABLE filtered, sorted")
        if not c.own:
            c.execute("RESET hnsw.iterative_scan")


def note_filter(run, data, servers, column, subset, where, ef):
    """ef None: exactly, by the btree."""
    ids, times = timed(servers, run.options.rounds)
    for c in servers:
        name = c.name if ef else f"{c.name}, btree and sort"
        recall = round(data.recall(ids[c.name], 10, subset, where), 5)
        run.note(part="filter", set=data.name, contestant=name, filter=column, ef=ef,
                 matching=len(subset), recall=recall, **times[c.name])
        lacking = sum(len(x or []) < min(10, len(subset)) for x in ids[c.name])
        if c.own and lacking:
            run.fail(data, f"{name}: {lacking} queries lack rows of {where}")
        run.say(f"filter {where} ({len(subset)} rows) {name}: recall {recall:.4f},"
                f" {times[c.name]['p50']:.0f} us")
