"""The command as a whole, on a contestant made up here: it must fail if a
result is broken, and say what was left out. Needs neither a server nor NumPy.
python3 -m unittest bench_command_test"""
import contextlib
import io
import os
import sys
import tempfile
import types
import unittest
from unittest import mock

with mock.patch.dict(sys.modules, numpy=mock.MagicMock(), psycopg=mock.MagicMock(Error=OSError)):
    import hnsw_bench

PARTS = hnsw_bench.bench_parts


class Contestant:
    """Answers everything, and finds each of ten rows; lacking: one fewer."""
    name, version, own, main, lacking, index = "vecrecall", "1", True, True, 0, True
    connection = types.SimpleNamespace(info=types.SimpleNamespace(backend_pid=-1))

    def __getattr__(self, name):
        return lambda *_: 0  # create, load, execute, wal, ...

    def value(self, sql, *_):
        return "1" if sql.startswith(("SHOW", "SELECT simd")) else 0

    def create_index(self, *_):
        return 1.0, 1.0

    def plan_of(self, *_):
        if not self.index:
            raise RuntimeError("vecrecall: Seq Scan instead of the index")
        return {}


def measured(contestants, _rounds):
    """In the place of bench_parts.timed()."""
    return ({c.name: [list(range(10 - c.lacking))] for c in contestants},
            {c.name: dict(p50=1.0) for c in contestants})


def command(recall=0.99, **contestant):
    """Its status, and its page."""
    server = Contestant()
    vars(server).update(contestant)
    data = types.SimpleNamespace(name="made", metric="l2", base=range(20), query=range(10), dim=2, seed=1,
                                 origin="made up", attributes={}, recall=lambda *_: recall)

    def filters(run, data):
        PARTS.note_filter(run, data, run.servers, "r_10", range(20), "r_10 = 5", 40)

    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as patches:
        for p in (mock.patch.dict(hnsw_bench.SERVERS, {"vecrecall": lambda: server}, clear=True),
                  mock.patch.object(hnsw_bench.bench_data, "generated", lambda *_: [("made", lambda: data)]),
                  mock.patch.object(PARTS, "timed", measured),
                  mock.patch.object(PARTS, "filters", filters),
                  mock.patch.dict(sys.modules, hnswlib=None, faiss=None),
                  mock.patch.dict(os.environ, BENCH_PEER="", BENCH_SKIPPED="pgvector is left out: no such folder"),
                  mock.patch.object(sys, "argv", ["hnsw_bench.py", "--output", f"{work}/results", "--contestants",
                                                  "vecrecall,peers", "--parts", "search,filter"]),
                  mock.patch.object(hnsw_bench.bench_peers, "NumPy", mock.Mock(side_effect=ImportError("none"))),
                  contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())):
            patches.enter_context(p)
        status = hnsw_bench.main()
        with open(f"{work}/results.html", encoding="utf-8") as f:
            return status, f.read()


class Command(unittest.TestCase):
    def test_sound(self):
        status, page = command()
        self.assertEqual(status, 0)
        self.assertNotIn("Broken", page)

    def test_what_is_missing_is_named(self):
        _, page = command()
        for name in ("pgvector", "hnswlib", "faiss-cpu", "NumPy"):
            self.assertIn(f"{name} is left out: ", page)

    def test_recall_below_the_floor(self):
        status, page = command(recall=0.89)
        self.assertEqual(status, 1)
        self.assertIn("Broken: made: vecrecall: recall 0.89 at ef_search 100", page)

    def test_no_index(self):
        status, page = command(index=False)
        self.assertEqual(status, 1)
        self.assertIn("Broken: made: search: vecrecall: Seq Scan instead of the index", page)

    def test_a_filtered_search_lacks_rows(self):
        status, page = command(lacking=1)
        self.assertEqual(status, 1)
        self.assertIn("lack rows of r_10 = 5", page)


if __name__ == "__main__":
    unittest.main()
