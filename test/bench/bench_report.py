"""What the records of hnsw_bench.py amount to: a value per measure and
contestant. Knows no server and needs no package.

    python3 bench_report.py results.jsonl       prints it
"""
import json
import math
import statistics
import sys

TARGETS = (0.95, 0.99)
DEFAULT_EF = 40
# How much worse a value may be before bench_compare.py names it: sizes and
# counts come out alike each time, CPU time nearly, the clock does not.
TOLERANCE = {"clock": 0.25, "cpu": 0.2, "count": 0.1, "size": 0.03, "memory": 0.25}


def pick(rows, part, **wanted):
    return [r for r in rows if r["part"] == part and all(r.get(k) == v for k, v in wanted.items())]


def median(rows, field):
    values = [r[field] for r in rows if r.get(field) is not None]
    return statistics.median(values) if values else None


def names(rows, part, data):
    return list(dict.fromkeys(r["contestant"] for r in pick(rows, part, set=data)))


def at_recall(rows, target, field="p50"):
    """The field where recall reaches the target, between the two settings of
    ef_search around it, and a mark: "<=" if the least one is better already.
    None if no setting reaches it. What a wider search does better counts."""
    points = [dict(r) for r in sorted(rows, key=lambda r: r["ef"]) if r.get(field) is not None]
    for r, wider in reversed(list(zip(points, points[1:]))):
        if wider["recall"] >= r["recall"]:
            r[field] = min(r[field], wider[field])
    for i, r in enumerate(points):
        if r["recall"] < target:
            continue
        if i == 0:
            return r[field], "<="
        low = points[i - 1]
        # Evenly in the logarithm of what is missed, as these curves go.
        a, b, t = (math.log(max(1 - x, 1e-6)) for x in (low["recall"], r["recall"], target))
        return low[field] + (r[field] - low[field]) * (a - t) / (a - b), ""
    return None, ""


def number(x, digits=3):
    if x is None:
        return "-"
    if abs(x) >= 10 ** (digits - 1):
        return f"{x:,.0f}"
    return f"{x:.{digits}g}"


def measures(rows, data):
    """Of a set: dicts of key, what, unit, more (whether that is better), kind
    (of TOLERANCE, or "recall"), group (a heading), values {contestant: [value,
    mark]}."""
    out = []

    def add(group, key, what, unit, kind, values, more=False):
        values = {k: list(v) for k, v in values.items() if v[0] is not None}
        if values:
            out.append(dict(key=key, what=what, unit=unit, more=more, kind=kind, group=group, values=values))

    def medians(part, field, scale=1.0, **wanted):
        found = {}
        for c in names(rows, part, data):
            value = median(pick(rows, part, set=data, contestant=c, **wanted), field)
            found[c] = (None if value is None else value * scale, "")
        return found

    def per_row(part):
        return {c: (median([{"us": r["cpu"] * 1e6 / r["rows"]} for r in
                            pick(rows, part, set=data, contestant=c) if r.get("cpu")], "us"), "")
                for c in names(rows, part, data)}

    def searches(part):
        return {c: pick(rows, part, set=data, contestant=c) for c in names(rows, part, data)}

    mb = 1 / 2**20
    for group, k, part, targets in (("Search", 10, "search", TARGETS), ("Top 500", 500, "top500", TARGETS[:1])):
        for target in targets:
            for field, what, kind in (("p50", "median", "clock"), ("p95", "95th percentile", "clock"),
                                      ("p99", "99th percentile", "clock"), ("cpu", "CPU time", "cpu")):
                add(group, f"{part}_{target}_{field}", f"{what} at recall@{k} {target}", "µs", kind,
                    {c: at_recall(r, target, field) for c, r in searches(part).items()})
            add(group, f"{part}_{target}_pages", f"pages touched at recall@{k} {target}", "", "count",
                {c: at_recall(r, target, "pages") for c, r in searches(part).items()})
    add("Search", "recall_default", f"recall@10 at the default, ef_search {DEFAULT_EF}", "", "recall",
        medians("search", "recall", ef=DEFAULT_EF), more=True)
    add("Search", "cold_reads", "blocks read with a cold cache, recall@10 0.95", "", "count",
        {c: at_recall(r, 0.95, "reads") for c, r in searches("cold").items()})
    exact = medians("exact", "p50")
    add("Search", "exact", "exact search, median", "µs", "clock", exact)
    for field, what in (("p50", "median"), ("p95", "95th percentile"), ("p99", "99th percentile")):
        add("Clients", f"binary_{field}", f"one client, vector in binary: {what}", "µs", "clock",
            medians("binary", field))
    for count in sorted({r["clients"] for r in pick(rows, "clients", set=data)}):
        of = f"pgbench, {count} client{'s' if count > 1 else ''}"
        add("Clients", f"clients_{count}", f"{of}: queries", "/s", "clock",
            medians("clients", "rate", clients=count), more=True)
        add("Clients", f"clients_{count}_p99", f"{of}: 99th percentile", "µs", "clock",
            medians("clients", "p99", clients=count))
    for part, what in (("build", "build"), ("lowmem", "build in 64 MB")):
        add("Build", f"{part}_seconds", what, "s", "clock", medians(part, "seconds"))
        add("Build", f"{part}_cpu", f"{what}, CPU time", "s", "cpu", medians(part, "cpu"))
    add("Build", "build_memory", "peak memory of the build", "MB", "memory", medians("build", "peak", mb))
    add("Build", "build_wal", "WAL of the build", "MB", "size", medians("build", "wal", mb))
    add("Build", "index_bytes", "index", "MB", "size", medians("build", "bytes", mb))
    add("Writes", "insert_rate", "single-row inserts", "/s", "clock", medians("insert", "rate"), more=True)
    add("Writes", "insert_cpu", "CPU time of an insert", "µs", "cpu", per_row("insert"))
    add("Writes", "insert_wal", "WAL of an insert", "bytes", "count", medians("insert", "wal_per_row"))
    add("Writes", "update_rate", "rows updated in another column", "/s", "clock", medians("update", "rate"), more=True)
    add("Writes", "update_cpu", "CPU time of an updated row", "µs", "cpu", per_row("update"))
    add("Writes", "update_wal", "WAL of an updated row", "bytes", "count", medians("update", "wal_per_row"))
    add("Writes", "vacuum_rate", "deleted rows vacuumed", "/s", "clock", medians("vacuum", "rate"), more=True)
    add("Writes", "vacuum_cpu", "CPU time of vacuum per deleted row", "µs", "cpu", per_row("vacuum"))
    add("Writes", "vacuum_wal", "WAL of vacuum per deleted row", "bytes", "count", medians("vacuum", "wal_per_row"))
    for when in ("before vacuum", "after vacuum"):
        add("Writes", f"recall {when}", f"recall@10 {when}, ef_search {DEFAULT_EF}", "", "recall",
            medians("grown", "recall", when=when), more=True)
    for column in dict.fromkeys(r["filter"] for r in pick(rows, "filter", set=data)):
        what = ("along with the vector" if column[0] == "c" else "at random") + f", 1 row in {column[2:]}"
        part = [r for r in pick(rows, "filter", set=data, filter=column) if r["ef"] in (None, DEFAULT_EF)]
        for field, name, kind in (("p50", "median", "clock"), ("cpu", "CPU time", "cpu")):
            add("Filters", f"filter_{column}_{field}", f"{what}: {name}", "µs", kind,
                {r["contestant"]: (r.get(field), "") for r in part})
        add("Filters", f"filter_{column}_recall", f"{what}: recall@10", "", "recall",
            {r["contestant"]: (r["recall"], "") for r in part}, more=True)
    return out


def times(measure, name="vecrecall", than="pgvector"):
    """How many times better; None if that says nothing: pgvector reserves all
    of maintenance_work_mem, whatever it needs."""
    values = measure["values"]
    if name == than or name not in values or than not in values or measure["kind"] in ("recall", "memory"):
        return None
    ours, peer = values[name][0], values[than][0]
    if not ours or not peer:
        return None
    return ours / peer if measure["more"] else peer / ours


def figures(rows):
    """All measures of all sets, and where they are from: what figures.json has."""
    return {"run": pick(rows, "run")[0],
            "sets": [{**s, "measures": measures(rows, s["set"])} for s in pick(rows, "set")]}


def below_pgvector(sets):
    """(set, ours, pgvector's) where ours has less recall at the default."""
    out = []
    for s in sets:
        for m in s["measures"]:
            if m["key"] == "recall_default" and {"vecrecall", "pgvector"} <= m["values"].keys():
                ours, peer = m["values"]["vecrecall"][0], m["values"]["pgvector"][0]
                if ours < peer:
                    out.append((s["set"], ours, peer))
    return out


def summary(rows):
    lines = []
    every = figures(rows)
    for s in every["sets"]:
        lines.append(f"\n{s['set']}: {s['rows']} x {s['dim']}, {s['metric']}, {s['origin']}, seed {s['seed']}")
        for m in s["measures"]:
            cells = []
            for name, (value, mark) in m["values"].items():
                r = times(m, name)
                cells.append(f"{name} {mark}{number(value, 4)}" + (f" ({number(r)}x)" if r else ""))
            lines.append(f"  {m['what']}{', ' + m['unit'] if m['unit'] else ''}: " + "; ".join(cells))
    below = below_pgvector(every["sets"])
    lines += [""] + [f"Recall at the default ef_search is below pgvector's on {name}: {ours} < {peer}"
                     for name, ours, peer in below]
    return "\n".join(lines)


def read(path):
    """Rows of a file of results, which may hold several runs (--append): of a
    set and part, those of the last run that has them; and what else that run
    says."""
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    run, runs, last = 0, [], {}
    for r in rows:
        run += r["part"] == "run"
        runs.append(run)
        # What was broken is so until its set is measured again.
        last[key_of(r)] = run
    return [r for r, n in zip(rows, runs) if last[key_of(r)] == n
            and (r["part"] != "failure" or n == last[r["set"], "set"])
            and (r["part"] != "worse" or n == run)]


def key_of(row):
    return row.get("set"), row["part"]


if __name__ == "__main__":
    print(summary(read(sys.argv[1])))
