"""Tables and plots from the records of hnsw_bench.py. Knows no server.

    python bench_report.py results.jsonl results.html    writes the page again
"""
import html
import json
import math
import statistics
import sys

COLOURS = {"vecrecall": "#c0392b", "vecrecall plain": "#e59866", "pgvector": "#2471a3",
           "hnswlib": "#7d8a97"}
TARGETS = (0.95, 0.99)


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
    """(what, unit, whether more is better, {contestant: (value, mark)}) of a set."""
    out = []

    def add(what, unit, more, values):
        values = {k: v for k, v in values.items() if v[0] is not None}
        if values:
            out.append((what, unit, more, values))

    def medians(part, field):
        return {c: (median(pick(rows, part, set=data, contestant=c), field), "")
                for c in names(rows, part, data)}

    add("build", "s", False, medians("build", "seconds"))
    add("build, 64 MB", "s", False, medians("lowmem", "seconds"))
    add("WAL of the build", "MB", False,
        {k: (v[0] / 2**20 if v[0] is not None else None, "") for k, v in medians("build", "wal").items()})
    add("index", "MB", False,
        {k: (v[0] / 2**20 if v[0] is not None else None, "") for k, v in medians("build", "bytes").items()})
    for part, k in (("search", 10), ("top500", 500)):
        for target in TARGETS:
            if part == "top500" and target != 0.95:
                continue
            for field, what, unit in (("p50", "query", "us"), ("cpu", "query, CPU", "us"), ("p95", "query, 95th percentile", "us"),
                                      ("pages", "pages touched", "")):
                add(f"{what} at recall@{k} {target}", unit, False,
                    {c: at_recall(pick(rows, part, set=data, contestant=c), target, field)
                     for c in names(rows, part, data)})
    add("blocks read, cold, at recall@10 0.95", "", False,
        {c: at_recall(pick(rows, "cold", set=data, contestant=c), 0.95, "reads")
         for c in names(rows, "cold", data)})
    add("recall@10 at ef_search 40", "", True,
        {c: (median(pick(rows, "search", set=data, contestant=c, ef=40), "recall"), "")
         for c in names(rows, "search", data)})
    add("single-row inserts", "/s", True, medians("insert", "rate"))
    for part, what in (("insert", "an insert"), ("update", "an updated row")):
        add(f"CPU of {what}", "us", False,
            {c: (median([{"us": r["cpu"] * 1e6 / r["rows"]} for r in
                         pick(rows, part, set=data, contestant=c) if r.get("cpu")], "us"), "")
             for c in names(rows, part, data)})
    add("WAL of an insert", "bytes", False, medians("insert", "wal_per_row"))
    add("UPDATE of another column", "rows/s", True, medians("update", "rate"))
    for column in dict.fromkeys(r["filter"] for r in pick(rows, "filter", set=data)):
        part = pick(rows, "filter", set=data, filter=column)
        what = ("along with the vector" if column[0] == "c" else "at random") + f", 1 in {column[2:]}"
        add(f"filter {what}: query", "us", False, {r["contestant"]: (r["p50"], "") for r in part})
        add(f"filter {what}: query, CPU", "us", False, {r["contestant"]: (r.get("cpu"), "") for r in part})
        add(f"filter {what}: recall@10", "", True, {r["contestant"]: (r["recall"], "") for r in part})
    return out


def ratio(values, more, name):
    """How many times better than pgvector."""
    if name == "pgvector" or name not in values or "pgvector" not in values:
        return None
    ours, peer = values[name][0], values["pgvector"][0]
    if not ours or not peer:
        return None
    return ours / peer if more else peer / ours


def summary(rows):
    lines = []
    for s in pick(rows, "set"):
        lines.append(f"\n{s['set']}: {s['rows']} x {s['dim']}, {s['metric']}, {s['origin']}")
        for what, unit, more, values in measures(rows, s["set"]):
            cells = []
            for name, (value, mark) in values.items():
                r = ratio(values, more, name)
                cells.append(f"{name} {mark}{number(value, 4)}" + (f" ({number(r)}x)" if r else ""))
            lines.append(f"  {what}{', ' + unit if unit else ''}: " + "; ".join(cells))
    return "\n".join(lines)


def curve(rows, data, width=620, height=340):
    """Recall against microseconds, both so that equal steps mean equal factors."""
    searched = pick(rows, "search", set=data)
    if not searched:
        return ""
    times = [r["p50"] for r in searched]
    x0, x1 = math.log(min(times) * 0.9), math.log(max(times) * 1.1)
    y0 = math.log(max(1.5 * max(1 - r["recall"] for r in searched), 0.02))
    y1 = math.log(0.0005)

    def place(us, recall):
        x = 60 + (math.log(us) - x0) / (x1 - x0) * (width - 80)
        y = height - 40 - (y0 - math.log(max(1 - recall, 0.0005))) / (y0 - y1) * (height - 60)
        return x, y

    out = [f'<svg viewBox="0 0 {width} {height}" role="img"><title>recall and time of {html.escape(data)}</title>']
    for recall in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999):
        if math.log(1 - recall) <= y0:
            y = place(times[0], recall)[1]
            out.append(f'<line x1="60" x2="{width - 20}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
                       f'<text x="54" y="{y + 4:.1f}" text-anchor="end">{recall}</text>')
    step = 10 ** math.floor(math.log10(min(times)))
    while step < max(times) * 1.1:
        for f in (1, 2, 5):
            if x0 <= math.log(step * f) <= x1:
                x = place(step * f, 0.5)[0]
                out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="{height - 40}" class="grid"/>'
                           f'<text x="{x:.1f}" y="{height - 24}" text-anchor="middle">{step * f:g}</text>')
        step *= 10
    out.append(f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">microseconds, median</text>'
               f'<text x="60" y="13">recall@10</text>')
    for i, name in enumerate(names(rows, "search", data)):
        colour = COLOURS.get(name, "#444")
        points = sorted(pick(searched, "search", contestant=name), key=lambda r: r["ef"])
        placed = [place(r["p50"], r["recall"]) for r in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for r, (x, y) in zip(points, placed):
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{html.escape(name)},'
                       f' ef_search {r["ef"]}: recall {r["recall"]:.4f}, {r["p50"]:.0f} us</title></circle>')
        out.append(f'<text x="{width - 130}" y="{height - 60 - 16 * i}" fill="{colour}">{html.escape(name)}</text>')
    return "\n".join(out) + "</svg>"


def bars(values, unit, title, width=620):
    top = max(v for v, _ in values.values())
    height = 26 * len(values) + 26
    out = [f'<svg viewBox="0 0 {width} {height}" role="img"><text x="4" y="14">{html.escape(title)}</text>']
    for i, (name, (value, _mark)) in enumerate(values.items()):
        y = 24 + 26 * i
        length = (width - 270) * value / top if top else 0
        out.append(f'<text x="124" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>'
                   f'<rect x="130" y="{y}" width="{length:.1f}" height="19" fill="{COLOURS.get(name, "#444")}"/>'
                   f'<text x="{136 + length:.1f}" y="{y + 14}">{number(value, 4)} {unit}</text>')
    return "\n".join(out) + "</svg>"


STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}th,td{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}svg{max-width:620px;width:100%;font:12px system-ui,sans-serif}
.grid{stroke:#e4e4e4}.r{color:#777;font-size:.85em}.bad{color:#b00;font-weight:bold}"""


def write(rows, path):
    head = pick(rows, "run")[0]
    out = ["<!DOCTYPE html><html lang=en><meta charset=utf-8><title>vecrecall: benchmark</title>",
           f"<style>{STYLE}</style><h1>The hnsw index, measured</h1>",
           f"<p>{html.escape(head['time'])}; {html.escape(head['cpu'])}, {head['cores']} cores, {head['memory_mb']} MB,"
           f" load {head['load']:.1f} at the start; PostgreSQL {html.escape(head['server'])}, shared_buffers"
           f" {head['shared_buffers']}; kernels {head['simd']}; commit {html.escape(head['commit'])}; "
           + html.escape(", ".join(f"{k} {v}" for k, v in head["versions"].items()))
           + f". m = {head['m']}, ef_construction = {head['ef_construction']}, builds by two processes. Contestants take"
           " turns; times are medians, taken inside the server (of hnswlib: inside one process, one thread)."
           " Recall counts by distance, so that ties are hits. In brackets: times better than pgvector.</p>"]
    out += [f"<p class=bad>{html.escape(s)}</p>" for s in head["skipped"]]
    out += [f"<p class=bad>Broken: {html.escape(r['text'])}</p>" for r in pick(rows, "failure")]
    for s in pick(rows, "set"):
        data = s["set"]
        table = measures(rows, data)
        columns = list(dict.fromkeys(n for *_, values in table for n in values))
        out.append(f"<h2>{html.escape(data)}: {s['rows']:,} x {s['dim']}, {s['metric']}</h2>"
                   f"<p>{html.escape(s['origin'])}, seed {s['seed']}</p>{curve(rows, data)}")
        for what, unit, _more, values in table:
            if what in ("build", "build, 64 MB", "index"):
                out.append(bars(values, unit, what))
        out.append("<table><tr><th>" + "".join(f"<th>{html.escape(c)}" for c in columns))
        for what, unit, more, values in table:
            cells = []
            for c in columns:
                value, mark = values.get(c, (None, ""))
                r = ratio(values, more, c)
                cells.append(f"<td>{'≤ ' if mark else ''}{number(value, 4)}"
                             + (f" <span class=r>({number(r)}x)</span>" if r else ""))
            out.append(f"<tr><td>{html.escape(what)}{', ' + unit if unit else ''}" + "".join(cells))
        out.append("</table>")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as lines:
        write([json.loads(line) for line in lines], sys.argv[2])
