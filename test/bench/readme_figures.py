"""Keeps the figures of README.md: they are made from figures.json, which is
made from results; nobody types them. Needs no package.

    python3 readme_figures.py results.jsonl     writes figures.json, and README.md anew
    python3 readme_figures.py                   writes README.md anew, from figures.json
    python3 readme_figures.py --check           fails if README.md is not what that would write
"""
import json
import os
import sys

import bench_compare
import bench_report
from bench_compare import FIGURES
from bench_report import number

README = os.path.join(os.path.dirname(FIGURES), "..", "..", "README.md")
BEGIN = "<!-- figures: made by test/bench/readme_figures.py from test/bench/figures.json -->\n"
END = "<!-- end of figures -->\n"
METRICS = {"l2": "L2", "cosine": "cosine", "ip": "inner product"}


def block(figures):
    """The text between the marks."""
    run, sets = figures["run"], figures["sets"]
    out = [f"`{run['command']}`, {run['time'].split()[0]}: {run['cpu']}, {run['cores']} cores,"
           f" PostgreSQL {run['server'].split()[0]}, pgvector {run['peer'] or 'left out'}"
           + (f", hnswlib {run['versions']['hnswlib']} in process" if "hnswlib" in run["versions"] else "")
           + f". m = {run['m']}, ef_construction = {run['ef_construction']}, builds by two processes."
           " One session, warm; µs are the median of a query inside the server, k = 10, and CPU its process's time."
           " In brackets: how many times better than pgvector."
           + (f" The machine was busy with other work, too (a load of {run['load']:.0f} when it began): compare CPU time."
              if run["load"] > run["cores"] else ""), ""]
    searches = [("search_0.95_p50", "µs at recall .95"), ("search_0.95_cpu", "CPU, µs"),
                ("search_0.99_p50", "µs at recall .99"), ("search_0.99_cpu", "CPU, µs"),
                ("search_0.95_pages", "pages at .95"), ("recall_default", "recall at ef_search 40")]
    served = [("binary_p50", "one client, µs"), ("binary_p99", "99th percentile"), ("clients_1", "1 client, /s"),
              ("clients_2", "2 clients, /s"), ("clients_4", "4 clients, /s"), ("cold_reads", "blocks read, cold cache"),
              ("top500_0.95_p50", "top 500, µs")]
    stores = [("build_seconds", "build, s"), ("build_cpu", "CPU, s"), ("index_bytes", "index, MB"), ("build_memory", "peak memory, MB"),
              ("insert_rate", "inserts /s"), ("update_rate", "updates /s"), ("vacuum_rate", "vacuumed /s"), ("insert_wal", "WAL of an insert, bytes")]
    filtered = [("filter_r_100_p50", "at random, µs"), ("filter_r_100_recall", "recall"),
                ("filter_c_100_p50", "along with the vector, µs"), ("filter_c_100_recall", "recall")]
    titles = ("Search", "Build, index and writes; a build's CPU time is that of all its processes",
              "From a client, at recall .95: the vector in binary as a parameter, and pgbench on the same machine;"
              " blocks that a query reads where shared buffers hold an eighth of the index",
              "With a WHERE that 1 row in 100 passes; attributes in our index, `hnsw.iterative_scan` in pgvector")
    for title, columns, with_peers in zip(titles, (searches, stores, served, filtered), (True, False, False, False)):
        columns = [c for c in columns if any(m["key"] == c[0] for s in sets for m in s["measures"])]
        if columns:
            out += [f"{title}:", "", *table(sets, columns, with_peers), ""]
    below = bench_report.below_pgvector(sets)
    if below:
        out += ["Not met: recall at the default `hnsw.ef_search` is to be at least pgvector's; it is below on "
                + ", ".join(f"{name} ({ours} < {peer})" for name, ours, peer in below) + ".", ""]
    return "\n".join(out)


def table(sets, columns, with_peers):
    """A row per set and contestant."""
    contestants = ["vecrecall", "vecrecall lean", "pgvector"] + (["hnswlib"] if with_peers else [])
    out = ["| rows | | " + " | ".join(title for _, title in columns) + " |", "|---|---|" + "---|" * len(columns)]
    for s in sets:
        by_key = {m["key"]: m for m in s["measures"]}
        name = f"{s['set']}: {s['rows']:,} x {s['dim']}, {METRICS[s['metric']]}"
        if s["set"].startswith("dup"):
            name += ", each 20 times"
        for c in contestants:
            cells = []
            for key, _ in columns:
                m = by_key.get(key)
                value, mark = (m["values"].get(c) if m else None) or (None, "")
                times = bench_report.times(m, c) if value is not None and c.startswith("vecrecall") else None
                shown = "-" if value is None else f"{value:.3f}" if m["kind"] == "recall" else number(value)
                cells.append(("≤ " if mark else "") + shown + (f" ({number(times, 2)}x)" if times else ""))
            if any(cell != "-" for cell in cells):
                out.append(f"| {name} | {c} | " + " | ".join(cells) + " |")
                name = ""
    return out


def replaced(text, figures):
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        sys.exit("readme_figures.py: README.md lacks its marks")
    return text[:begin + len(BEGIN)] + ("\n" + block(figures) + "\n" if figures else "") + text[end:]


def update(rows=None):
    """From rows of results, or from figures.json as it is."""
    if rows is not None:
        with open(FIGURES, "w", encoding="utf-8") as f:
            json.dump(rounded(bench_report.figures(rows)), f, indent=1, ensure_ascii=False)
            f.write("\n")
    text = read_readme()
    with open(README, "w", encoding="utf-8") as f:
        f.write(replaced(text, bench_compare.read(FIGURES)))


def read_readme():
    with open(README, encoding="utf-8") as f:
        return f.read()


def rounded(x):
    """Five digits are more than a measurement has."""
    if isinstance(x, float):
        return float(f"{x:.5g}")
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    return [rounded(v) for v in x] if isinstance(x, list) else x


def check():
    text = read_readme()
    if replaced(text, bench_compare.read(FIGURES)) != text:
        sys.exit("README.md: its figures are not those of test/bench/figures.json;"
                 " test/bench/readme_figures.py writes them")


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        update(bench_report.read(sys.argv[1]) if sys.argv[1:] else None)
