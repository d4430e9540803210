"""The results as one HTML page that needs nothing else.

    python3 bench_page.py results.jsonl results.html    writes it again
"""
import html
import sys

import bench_plots
import bench_report
from bench_report import number, pick

E = html.escape

# Colours that stay apart for eyes that see red and green alike.
COLOURS = {"vecrecall": ("#c8361d", "#ff7a5c"), "vecrecall lean": ("#d98e04", "#ffc14d"),
           "vecrecall plain": ("#8c564b", "#cf9e92"), "pgvector": ("#1b6ca8", "#6db8f0"),
           "hnswlib": ("#5b6770", "#aab6bf"), "FAISS": ("#178a6b", "#5fd3b0"),
           "FAISS flat": ("#7a4fa3", "#c19be6"), "NumPy": ("#33383d", "#e6e6e6"),
           "vecrecall, btree and sort": ("#c8361d", "#ff7a5c"),
           "pgvector, btree and sort": ("#1b6ca8", "#6db8f0")}

STYLE = """
:root{--bg:#fff;--fg:#1d2227;--dim:#66707a;--line:#e3e6e9;--soft:#f6f7f8;--good:#0a7a3c;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--bg:#15181b;--fg:#e4e7ea;--dim:#98a2ac;--line:#2d3338;--soft:#1d2125;
--good:#5fd38d;--bad:#ff8a80}}
body{font:16px/1.55 system-ui,sans-serif;max-width:1320px;margin:0 auto;padding:2rem 1.5rem 4rem;background:var(--bg);
color:var(--fg)}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem}h2{margin:3.2rem 0 .2rem;padding-top:1rem;border-top:1px solid var(--line)}
h3{margin:1.6rem 0 .3rem;font-size:1rem}p{max-width:52rem}.dim,.origin{color:var(--dim)}.origin{margin:.1rem 0 1rem}
nav a{margin-right:1rem}a{color:inherit}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.6rem 0 1.4rem;font-variant-numeric:tabular-nums}
th,td{padding:.32rem .85rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{font-weight:600;color:var(--dim)}th:first-child,td:first-child{text-align:left;padding-left:0}
tr.group td{padding-top:1.1rem;font-weight:600;border-bottom:2px solid var(--line)}
.r{color:var(--dim);font-size:.85em}.big td{font-size:1.05rem}.x{font-weight:650}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:1.2rem 2.2rem;align-items:start}
svg.plot{width:100%;font:12.5px system-ui,sans-serif}svg text{fill:var(--dim)}svg text.label{fill:var(--fg);font-weight:600}
.grid{stroke:var(--line)}svg polyline{fill:none;stroke:currentColor;stroke-width:2.2}svg circle,svg rect{fill:currentColor}
.dashed polyline{stroke-dasharray:6 4;stroke-width:1.5}
.legend span{margin-right:1.2rem;white-space:nowrap}.legend i{display:inline-block;width:1.1em;height:.32em;margin:0 .45em .22em 0;
background:currentColor;vertical-align:middle;border-radius:2px}.legend{margin:.2rem 0;font-weight:500}
details{margin:1rem 0}summary{cursor:pointer;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;background:var(--soft);padding:1rem 1.2rem;
border-radius:6px;max-width:60rem}dt{color:var(--dim)}dd{margin:0}code{font-size:.92em}
"""


def style():
    light = "".join(f".{bench_plots.css_class(n)}{{color:{a}}}" for n, (a, _) in COLOURS.items())
    dark = "".join(f".{bench_plots.css_class(n)}{{color:{b}}}" for n, (_, b) in COLOURS.items())
    return STYLE + light + "@media(prefers-color-scheme:dark){" + dark + "}"


def value_of(measures, key, name):
    return next((m["values"].get(name, (None, ""))[0] for m in measures if m["key"] == key), None)


def overview(sets):
    """How many times better than pgvector, a row per set."""
    columns = [("search_0.95_p50", "query, recall .95"), ("search_0.99_p50", "query, recall .99"),
               ("clients_1", "one client"), ("build_seconds", "build"), ("index_bytes", "index size"),
               ("search_0.95_pages", "pages touched"), ("insert_rate", "inserts"), ("top500_0.95_p50", "top 500")]
    out = ["<div class=scroll><table class=big><tr><th>times better than pgvector"]
    columns = [c for c in columns if any(m["key"] == c[0] for s in sets for m in s["measures"])]
    out.append("".join(f"<th>{title}" for _, title in columns) + "</tr>")
    for s in sets:
        out.append(f'<tr><td><a href="#{E(s["set"])}">{E(s["set"])}</a> <span class=r>{s["rows"]:,} rows</span>')
        by_key = {m["key"]: m for m in s["measures"]}
        for key, _ in columns:
            times = bench_report.times(by_key[key]) if key in by_key else None
            mark = "" if times is None else ' class="x good"' if times >= 1.05 else ' class="x bad"' if times < 0.95 else ' class=x'
            out.append(f"<td{mark}>{number(times) if times else '–'}")
        out.append("</tr>")
    return "".join(out) + "</table></div>"


def defaults(sets):
    """Recall where nothing is set, of both."""
    names = list(dict.fromkeys(n for s in sets for m in s["measures"] if m["key"] == "recall_default"
                               for n in m["values"]))
    if not names:
        return ""
    below = {name for name, *_ in bench_report.below_pgvector(sets)}
    out = ["<h3>Recall where nothing is set (ef_search 40)</h3><div class=scroll><table><tr><th>"
           + "".join(f"<th>{E(n)}" for n in names) + "</tr>"]
    for s in sets:
        cells = [f"<td>{value_of(s['measures'], 'recall_default', n) or '–'}" for n in names]
        out.append(f"<tr><td>{E(s['set'])}" + "".join(cells)
                   + ("<td class=bad>below pgvector's" if s["set"] in below else "") + "</tr>")
    return "".join(out) + "</table></div>"


def plots_of(rows, s, measures):
    data = s["set"]
    searched = pick(rows, "search", set=data)
    out = []
    if searched:
        out.append("<h3>Speed at each recall</h3>")
        exact = pick(rows, "exact", set=data)
        everyone = list(dict.fromkeys(r["contestant"] for r in searched + exact))
        out.append(bench_plots.legend(everyone) + bench_plots.curve(f"{data}: recall and speed", searched, exact))
    out.append("<h3>With a WHERE</h3><p class=dim>Dashed: without an hnsw index, by a btree on the condition and an exact"
               " sort.</p>" if pick(rows, "filter", set=data) else "")
    for kind, title in (("r", "conditions at random"), ("c", "conditions along with the vector")):
        part = [r for r in pick(rows, "filter", set=data)
                if r["filter"][0] == kind and r["ef"] in (None, bench_report.DEFAULT_EF)]
        out.append(bench_plots.filter_curve(title, part, sorted({int(r["filter"][2:]) for r in part})))
    served = bench_plots.clients_curve(f"{data}: clients", pick(rows, "clients", set=data))
    side = ["<h3>Several clients</h3>", served] if served else []
    side.append("<h3>Building and writing</h3>")
    for key, title in (("build_seconds", "Build, two processes"), ("build_memory", "Peak memory of the build; pgvector reserves what it may take"),
                       ("index_bytes", "Index"), ("insert_rate", "Single-row inserts"),
                       ("update_rate", "Rows updated in another column"), ("vacuum_rate", "Deleted rows vacuumed")):
        m = next((m for m in measures if m["key"] == key), None)
        if m:
            side.append(bench_plots.bars(title, m["unit"], {k: v[0] for k, v in m["values"].items()}))
    return f"<div class=grid2><div>{''.join(out)}</div><div>{''.join(side)}</div></div>"


def table(measures):
    columns = list(dict.fromkeys(n for m in measures for n in m["values"]))
    # The exact ways to filter have a table's width of their own; they are drawn.
    columns = [c for c in columns if "sort" not in c] + [c for c in columns if "sort" in c]
    out = ["<details><summary>All figures</summary><div class=scroll><table><tr><th>"
           + "".join(f"<th>{E(c)}" for c in columns) + "</tr>"]
    group = None
    for m in measures:
        if m["group"] != group:
            group = m["group"]
            out.append(f"<tr class=group><td colspan={len(columns) + 1}>{E(group)}</tr>")
        cells = []
        for c in columns:
            value, mark = m["values"].get(c, (None, ""))
            times = bench_report.times(m, c) if c.startswith("vecrecall") else None
            cells.append(f"<td>{'≤ ' if mark else ''}{number(value, 4) if value is not None else '–'}"
                         + (f" <span class=r>×{number(times)}</span>" if times else ""))
        out.append(f"<tr><td>{E(m['what'])}{', ' + m['unit'] if m['unit'] else ''}" + "".join(cells) + "</tr>")
    return "".join(out) + "</table></div></details>"


def machine(head):
    facts = [("when", head["time"]), ("machine", f"{head['cpu']}, {head['cores']} cores, {head['memory_mb']:,} MB;"
              f" load {head['load']:.1f} at the start"), ("system", head["system"]),
             ("server", f"PostgreSQL {head['server']}, shared_buffers {head['shared_buffers']}, fsync off; kernels {head['simd']}"),
             ("versions", ", ".join(f"{k} {v}" for k, v in head["versions"].items())),
             ("pgvector", head.get("peer") or "none"), ("commit", head["commit"]),
             ("indexes", f"m = {head['m']}, ef_construction = {head['ef_construction']}, built by two processes"),
             ("measured", f"{head['rounds']} rounds in turns after one to warm up, {head['queries']} queries; medians")]
    if head.get("command"):
        facts.append(("command", head["command"]))
    return "<dl>" + "".join(f"<dt>{k}<dd>{E(str(v))}" for k, v in facts) + "</dl>"


def page(rows):
    every = bench_report.figures(rows)
    head, sets = every["run"], every["sets"]
    out = ["<!DOCTYPE html><html lang=en><head><meta charset=utf-8>"
           "<meta name=viewport content='width=device-width,initial-scale=1'>"
           f"<title>vecrecall: benchmark</title><style>{style()}</style></head><body>",
           "<h1>The hnsw index, measured</h1>",
           f"<p class=dim>{E(head['time'])}, {E(head['cpu'])}, {head['cores']} cores, PostgreSQL {E(head['server'])}</p>"]
    failures = pick(rows, "failure")
    out += [f"<p class=bad>Broken: {E(r['set'])}: {E(r['text'])}</p>" for r in failures]
    out += [f"<p class=bad>{E(s)}</p>" for s in head["skipped"]]
    worse = pick(rows, "worse")
    if worse:
        out.append(f"<h3 class=bad>Worse than {E(worse[0]['than'])}</h3><ul>"
                   + "".join(f"<li>{E(r['text'])}" for r in worse) + "</ul>")
    if any("pgvector" in m["values"] for s in sets for m in s["measures"]):
        out.append(overview(sets))
    out.append(defaults(sets))
    out.append("<p>Contestants take turns, and figures are medians, so that a machine that is busy with something else is so"
               " for all of them. Speed is compared at equal recall, between the settings of ef_search around it. Queries"
               " of vecrecall and pgvector are timed inside the server, by a prepared statement; hnswlib, FAISS and NumPy"
               " have no server around them. A row as near as the tenth is a hit, whatever its id.</p>")
    out.append(machine(head))
    if len(sets) > 1:
        out.append("<nav>" + "".join(f'<a href="#{E(s["set"])}">{E(s["set"])}</a>' for s in sets) + "</nav>")
    for s in sets:
        out.append(f"<h2 id=\"{E(s['set'])}\">{E(s['set'])}: {s['rows']:,} vectors of {s['dim']}, {s['metric']}</h2>"
                   f"<p class=origin>{E(s['origin'])}, seed {s['seed']}</p>")
        out.append(plots_of(rows, s, s["measures"]))
        out.append(table(s["measures"]))
    return "\n".join(out) + "</body></html>\n"


def write(rows, path):
    with open(path, "w", encoding="utf-8") as f:
        f.write(page(rows))


if __name__ == "__main__":
    write(bench_report.read(sys.argv[1]), sys.argv[2])
