"""Measures the hnsw index against pgvector and, in process, hnswlib, FAISS and
NumPy; bench.sh runs it, on a server that the PG* variables lead to. Results
are JSON lines and an HTML page. Exits with 1 if a result is broken."""
import argparse
import json
import os
import platform
import re
import sys
import time

import psycopg

import bench_compare
import bench_data
import bench_page
import bench_parts
import bench_peers
import bench_report
import readme_figures
from bench_server import EF_CONSTRUCTION, M, Server

PARTS = ["build", "lowmem", "search", "pages", "cold", "top500", "clients", "insert", "update",
         "vacuum", "filter"]
SERVERS = {
    "vecrecall": lambda: Server("vecrecall", "bench_own", "vecrecall"),
    "lean": lambda: Server("vecrecall lean", "bench_lean", "vecrecall", ["storage = lean"], main=False),
    "plain": lambda: Server("vecrecall plain", "bench_plain", "vecrecall", ["storage = plain"], main=False),
    "pgvector": lambda: Server("pgvector", "bench_pgvector", "vector"),
}


class Run:
    """What every measurement needs: options, contestants, and the record."""

    def __init__(self, options, servers, peers, out):
        self.options, self.servers, self.peers, self.out = options, servers, peers, out
        self.rows, self.step, self.steps = [], 0, 0

    def note(self, **row):
        self.rows.append(row)
        self.out.write(json.dumps(row) + "\n")
        self.out.flush()
        return row

    def fail(self, data, text):
        """What is broken, not what is slow: the command will exit with 1."""
        self.note(part="failure", set=data.name, text=text)
        print(f"BROKEN: {data.name}: {text}", file=sys.stderr, flush=True)

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {100 * self.step // max(self.steps, 1):3d} %   {text}", flush=True)

    def begin(self, text):
        self.say(text)
        self.step += 1


def phases(parts):
    """(name, function) of what is done for a set, in order."""
    out = []
    if "lowmem" in parts:
        out.append(("build in 64 MB", bench_parts.lowmem))
    out.append(("build", bench_parts.build))
    if {"search", "cold", "clients"} & set(parts):
        out += [("build of peers", bench_parts.build_peers), ("search", bench_parts.search)]
    for part, name, function in (("clients", "clients", bench_parts.clients),
                                 ("top500", "top 500", bench_parts.top500),
                                 ("cold", "cold cache", bench_parts.cold)):
        if part in parts:
            out.append((name, function))
    if {"insert", "update", "vacuum"} & set(parts):
        out.append(("writes", bench_parts.writes))
    if "filter" in parts:
        out.append(("filters", bench_parts.filters))
    return out


def measure(run, data):
    run.note(part="set", set=data.name, rows=len(data.base), dim=data.dim, metric=data.metric,
             seed=data.seed, origin=data.origin)
    for c in run.servers:
        c.load(data)
    todo = phases(run.options.parts)
    for i, (name, function) in enumerate(todo):
        run.begin(f"{data.name}: {name}")
        try:
            function(run, data)
        except (RuntimeError, psycopg.Error) as e:
            # The next part may do; a server that is gone ends the run by itself.
            run.fail(data, f"{name}: {e}")
            run.step += len(todo) - i - 1
            break
    for c in run.servers:
        c.execute("DROP TABLE IF EXISTS item, query, grown, filtered, sorted")
    for c in run.peers:
        c.drop()


def command():
    """What to say to measure the same, without the folders of this machine."""
    words = [re.sub(r"[^,=\s]*/", "", w) for w in sys.argv[1:]]
    i = words.index("--output")
    words = [w for w in words[:i] + words[i + 2:] if w != "--readme"]
    # In pieces: what one would say to have it at once.
    if "--append" in words:
        words.remove("--append")
        for piece in ("--sets", "--parts"):
            if piece in words:
                del words[words.index(piece):words.index(piece) + 2]
    source = " PGVECTOR=/path/to/pgvector" if "source" in os.environ.get("BENCH_PEER", "") else ""
    return f"make bench{source}" + (f" BENCH='{' '.join(words)}'" if words else "")


def machine(servers, peers, skipped, options):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.processor())
    own = servers[0]
    return dict(part="run", size=options.size, time=time.strftime("%Y-%m-%d %H:%M %z"), cpu=cpu,
                cores=len(os.sched_getaffinity(0)), load=os.getloadavg()[0],
                memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
                system=platform.platform(), server=own.value("SHOW server_version"),
                shared_buffers=own.value("SHOW shared_buffers"),
                simd=own.value("SELECT simd FROM vecrecall.build_info()"),
                commit=os.environ.get("BENCH_COMMIT", ""), command=command(),
                versions={c.name: c.version for c in servers + peers},
                peer=os.environ.get("BENCH_PEER", ""), skipped=skipped, rounds=options.rounds,
                queries=options.queries, parts=options.parts, m=M, ef_construction=EF_CONSTRUCTION)


def arguments():
    p = argparse.ArgumentParser(prog="bench.sh", description=__doc__)
    p.add_argument("--size", choices=["quick", "full"], default="quick")
    p.add_argument("--million", action="store_true", help="one set of a million rows besides")
    p.add_argument("--data", action="append", metavar="NAME,METRIC,BASE.npy,QUERY.npy[,ROWS]",
                   help="a set from files, instead of the generated ones; may be repeated")
    p.add_argument("--sets", help="only these of the generated sets, by commas")
    p.add_argument("--parts", help=f"only these, of {','.join(PARTS)}; the default is all, but for --size quick"
                   " without lowmem")
    p.add_argument("--contestants", help="only these, of vecrecall,lean,plain,pgvector,peers;"
                   " the default is without plain, for --size full all")
    p.add_argument("--rounds", type=int, help="how often each contestant has its turn")
    p.add_argument("--queries", type=int, help="500 at most; 300 for --size quick")
    p.add_argument("--inserts", type=int, default=1000, help="rows per round")
    p.add_argument("--memory", default="2GB", help="maintenance_work_mem that is ample")
    p.add_argument("--against", metavar="RESULTS.jsonl",
                   help="tells what got worse since an earlier run; without it, since figures.json")
    p.add_argument("--readme", action="store_true", help="afterwards writes figures.json and README.md anew")
    p.add_argument("--append", action="store_true", help="keeps the results of earlier runs; of a set and"
                   " part that was measured before, the last counts")
    p.add_argument("--output", required=True, help=argparse.SUPPRESS)
    o = p.parse_args()
    o.parts = o.parts.split(",") if o.parts else [p for p in PARTS if o.size == "full" or p != "lowmem"]
    if not set(o.parts) <= set(PARTS):
        p.error(f"--parts are of {' '.join(PARTS)}")
    o.rounds = o.rounds or {"quick": 2, "full": 3}[o.size]
    o.queries = o.queries or {"quick": 300, "full": 500}[o.size]
    o.seconds = {"quick": 2, "full": 5}[o.size]
    o.filter_efs = {"quick": [40], "full": [40, 100, 200]}[o.size]
    if o.rounds < 1 or o.rounds > 9 or o.queries < 10 or o.inserts < 1:
        p.error("too few, or too many, rounds, queries or inserts")
    default = "vecrecall,lean,pgvector,peers" if o.size == "quick" else "vecrecall,lean,plain,pgvector,peers"
    o.contestants = (o.contestants or default).split(",")
    if not set(o.contestants) <= {*SERVERS, "peers"} or "vecrecall" not in o.contestants:
        p.error(f"--contestants are vecrecall and of {' '.join(SERVERS)} peers")
    if o.against and not os.path.exists(o.against):
        p.error(f"there is no {o.against}")
    try:
        o.todo = [bench_data.from_files(spec) for spec in o.data or []]
    except (ValueError, OSError) as e:
        p.error(str(e))
    if len({name for name, _ in o.todo}) < len(o.todo):
        p.error("two sets of one name")
    if not o.todo:
        o.todo = bench_data.generated(o.size, o.million)
        if o.sets:
            chosen = o.sets.split(",")
            if not set(chosen) <= {name for name, _ in o.todo}:
                p.error(f"--sets are of {' '.join(name for name, _ in o.todo)}")
            o.todo = [t for t in o.todo if t[0] in chosen]
    return o


def main():
    options = arguments()
    skipped = [s for s in os.environ.get("BENCH_SKIPPED", "").split("|") if s]
    servers = [SERVERS[name]() for name in SERVERS if name in options.contestants
               and (name != "pgvector" or os.environ.get("BENCH_PEER"))]
    for c in servers:
        c.create()
    peers = []
    if "peers" in options.contestants:
        peers, lacking = bench_peers.available()
        skipped += lacking
    for s in skipped:
        print(s, flush=True)
    # Before anything is overwritten: it may be the file of the run before.
    earlier = bench_compare.read(options.against or bench_compare.FIGURES)
    path = options.output + ".jsonl"
    head = machine(servers, peers, skipped, options)
    if options.append and os.path.exists(path):
        before = bench_report.pick(bench_report.read(path), "run")[0]
        for key in ("commit", "size", "cpu", "server", "peer", "m", "ef_construction"):
            if before[key] != head[key]:
                sys.exit(f"--append: {path} was measured with {key} {before[key]}, this would be with {head[key]}")
    with open(path, "a" if options.append else "w", encoding="utf-8") as out:
        run = Run(options, servers, peers, out)
        run.note(**head)
        run.steps = len(options.todo) * len(phases(options.parts))
        for _name, make in options.todo:
            measure(run, make())
            bench_page.write(bench_report.read(path), options.output + ".html")
        measured = bench_report.figures(run.rows)
        for text in bench_compare.worse(earlier, measured):
            run.note(part="worse", text=text, than=options.against or "figures.json")
    rows = bench_report.read(path)
    bench_page.write(rows, options.output + ".html")
    print(bench_report.summary(rows))
    for r in rows:
        if r["part"] == "worse":
            print(f"WORSE than {r['than']}: {r['text']}")
    broken = bench_report.pick(rows, "failure")
    for r in broken:
        print(f"BROKEN: {r['set']}: {r['text']}", file=sys.stderr)
    print(f"{len(broken)} broken" if broken else "Nothing is broken.")
    if broken:
        return 1
    if options.readme:
        readme_figures.update(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
