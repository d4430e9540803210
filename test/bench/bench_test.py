"""What the figures rest on, on records made up here: "at recall", the last run
of a file, and what got worse. python3 -m unittest bench_test"""
import copy
import json
import os
import tempfile
import unittest

import bench_compare
import bench_page
import bench_report
import readme_figures


def search(contestant, ef, recall, p50, **more):
    return dict(part="search", set="s", contestant=contestant, k=10, ef=ef, queries=10, recall=recall, p50=p50, **more)


RUN = dict(part="run", size="quick", time="2026-01-01 00:00 +0000", cpu="none", cores=2, load=0.0, memory_mb=1,
           system="none", server="15.1 (none)", shared_buffers="1MB", simd="scalar", commit="abc", command="make bench",
           versions={"vecrecall": "1"}, peer="0", skipped=[], rounds=1, queries=10, parts=[], m=16, ef_construction=64)
SET = dict(part="set", set="s", rows=1000, dim=8, metric="l2", seed=1, origin="made up")
ROWS = [RUN, SET,
        search("vecrecall", 20, 0.9, 50.0), search("vecrecall", 40, 0.96, 80.0), search("vecrecall", 80, 0.995, 200.0),
        search("pgvector", 20, 0.9, 500.0), search("pgvector", 40, 0.97, 800.0), search("pgvector", 80, 0.995, 2000.0),
        dict(part="build", set="s", contestant="vecrecall", seconds=1.0, bytes=2 ** 20, wal=0, peak=0, cpu=1.0)]


def with_rows(rows):
    """The rows as a file of results gives them back."""
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "results.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(json.dumps(r) + "\n" for r in rows))
        return bench_report.read(path)


class Figures(unittest.TestCase):
    def test_between_settings(self):
        at = lambda points, target: bench_report.at_recall([search("c", *p) for p in points], target)
        self.assertEqual(at([(10, 0.9, 10), (20, 0.99, 20)], 0.99), (20, ""))
        value, mark = at([(10, 0.9, 10.0), (20, 0.99, 20.0)], 0.95)
        self.assertTrue(12 < value < 14 and mark == "", value)
        self.assertEqual(at([(10, 0.97, 10)], 0.95), (10, "<="))
        self.assertEqual(at([(10, 0.9, 10)], 0.95), (None, ""))
        # A wider search that is faster counts for the narrower one.
        self.assertEqual(at([(10, 0.9, 30), (20, 0.96, 20)], 0.9), (20, "<="))

    def test_last_run_counts(self):
        broken = dict(part="failure", set="s", text="broken")
        again = [RUN | {"commit": "def"}, SET, search("vecrecall", 20, 0.95, 1.0)]
        rows = with_rows(ROWS + [broken] + again)
        self.assertEqual([r["p50"] for r in bench_report.pick(rows, "search")], [1.0])
        self.assertEqual(len(bench_report.pick(rows, "build")), 1)  # not measured again
        self.assertEqual(bench_report.pick(rows, "failure"), [])
        self.assertEqual([r["commit"] for r in bench_report.pick(rows, "run")], ["def"])
        self.assertEqual(len(bench_report.pick(with_rows(ROWS + [broken]), "failure")), 1)

    def test_worse(self):
        before = bench_report.figures(ROWS)
        self.assertEqual(bench_compare.worse(before, copy.deepcopy(before)), [])

        def after(change):
            rows = copy.deepcopy(ROWS)
            for r in rows:
                change(r)
            return bench_compare.worse(before, bench_report.figures(rows))

        def slower(r):
            if r.get("contestant") == "vecrecall" and "p50" in r:
                r["p50"] *= 1.5
        found = after(slower)
        self.assertTrue(found and all("times pgvector's" in text for text in found), found)
        # The machine is slower, not we.
        self.assertEqual(after(lambda r: r.update(p50=r["p50"] * 3) if "p50" in r else None), [])
        self.assertEqual(len(after(lambda r: r.update(bytes=r["bytes"] * 1.1) if "bytes" in r else None)), 1)
        self.assertEqual(len(after(lambda r: r.update(recall=0.93) if r.get("ef") == 40 else None)), 1)
        # Another set is not compared.
        self.assertEqual(after(lambda r: (slower(r), r.update(rows=5) if r["part"] == "set" else None)), [])

    def test_recall_below_pgvector_is_told(self):
        self.assertEqual(bench_report.below_pgvector(bench_report.figures(ROWS)["sets"]), [("s", 0.96, 0.97)])
        self.assertIn("below", bench_report.summary(ROWS))
        self.assertIn("below pgvector", bench_page.page(ROWS))
        self.assertIn("Not met", readme_figures.block(bench_report.figures(ROWS)))

    def test_what_is_missing_or_broken_is_on_the_page(self):
        rows = [RUN | {"skipped": ["pgvector is left out: gone"]}] + [r for r in ROWS[1:] if r.get("contestant") != "pgvector"]
        page = bench_page.page(rows + [dict(part="failure", set="s", text="recall 0.1")])
        self.assertIn("pgvector is left out: gone", page)
        self.assertIn("Broken: s: recall 0.1", page)


if __name__ == "__main__":
    unittest.main()
