"""What got worse since an earlier run. Needs no package.

    python3 bench_compare.py EARLIER LATER      prints it, exits with 1 if anything

Either is a results.jsonl, or figures.json, which readme_figures.py writes.
"""
import json
import os
import sys

import bench_report

FIGURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "figures.json")
RECALL = 0.01


def read(path):
    """Figures of a run, or None if there is no such file."""
    if not os.path.exists(path):
        return None
    if path.endswith(".jsonl"):
        return bench_report.figures(bench_report.read(path))
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def worse(earlier, later):
    """A sentence for each measure of ours that got worse, on sets that are the
    same in both. Of times, the ratio to pgvector's in the same run counts where
    there is one: machines differ, and so do the hours of one."""
    if not earlier:
        return []
    before = {identity(s): s for s in earlier["sets"]}
    out = []
    for s in later["sets"]:
        old = {m["key"]: m for m in before.get(identity(s), {"measures": []})["measures"]}
        for m in s["measures"]:
            if m["key"] in old:
                out += [f"{s['set']}: {name}: {text}" for name in m["values"] if name.startswith("vecrecall")
                        for text in [compare(old[m["key"]], m, name)] if text]
    return out


def identity(s):
    return tuple(s[k] for k in ("set", "rows", "dim", "metric", "seed", "origin"))


def compare(old, new, name):
    if name not in old["values"]:
        return None
    a, b = old["values"][name][0], new["values"][name][0]
    what = new["what"] + (f", {new['unit']}" if new["unit"] else "")
    if new["kind"] == "recall":
        return f"{what}: {a} before, {b} now" if b < a - RECALL else None
    tolerance = bench_report.TOLERANCE[new["kind"]]
    if new["kind"] in ("clock", "cpu"):
        a_times, b_times = bench_report.times(old, name), bench_report.times(new, name)
        if a_times and b_times:
            if b_times < a_times * (1 - tolerance):
                return f"{what}: {a_times:.2f} times pgvector's before, {b_times:.2f} times now"
            return None
    loss = a / b if new["more"] else b / a if a else 1
    if a and b and loss > 1 + tolerance:
        return f"{what}: {bench_report.number(a, 4)} before, {bench_report.number(b, 4)} now"
    return None


def main():
    earlier, later = (read(p) for p in sys.argv[1:3])
    if not earlier or not later:
        sys.exit("bench_compare.py: no such file")
    found = worse(earlier, later)
    print("\n".join(found) or "Nothing got worse.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
