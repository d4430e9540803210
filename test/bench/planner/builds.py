"""Builds hnsw indexes, each after plan_index_build was asked what it would take.

    python3 builds.py [SECONDS]

Rows x dimensions x processes x maintenance_work_mem, enough for one pass and too
small, in an order that is shuffled but the same each time, until SECONDS (180) are
over. What was planned from the builds before, and what the build then recorded by
itself, goes to data/builds.csv; the planner forgets its builds first. A build
that has the machine for itself is estimated by taking off what its backend waited
for a processor.
"""
import csv
import os
import random
import sys
import time

from common import HERE, connect, copy_vectors, np, scheduled

ROWS = (5000, 20000, 60000)
DIMS = (32, 128, 384)
COLUMNS = ['rows', 'dim', 'm', 'ef_construction', 'processes', 'memory_mb', 'passes', 'load',
           'planned_s', 'planned_mb', 'elapsed_s', 'waited_s', 'mem_mb', 'index_mb']


def load(cursor, dim):
    """Tables of clustered vectors."""
    rng = np.random.default_rng(dim)
    centres = rng.normal(size=(200, dim))
    values = centres[rng.integers(200, size=max(ROWS))] \
        + 0.7 * rng.normal(size=(max(ROWS), dim))
    for n in ROWS:
        table = 'build_%d_%d' % (dim, n)
        cursor.execute('DROP TABLE IF EXISTS %s' % table)
        cursor.execute('CREATE TABLE %s (id int, v vector(%d))' % (table, dim))
        copy_vectors(cursor, table, values[:n])
        cursor.execute('VACUUM ANALYZE %s' % table)


def builds():
    """(rows, dim, m, ef_construction, processes, share of the memory of one pass)"""
    for n in ROWS:
        for dim in DIMS:
            for processes in (1, 2):
                yield n, dim, 16, 64, processes, 1.2
                if n == 20000:
                    yield n, dim, 16, 64, processes, 0.4
    yield from ((20000, 128, m, ef, 2, 1.2) for m, ef in ((8, 64), (32, 64), (16, 200)))


def build(connection, n, dim, m, ef, processes, share):
    cursor = connection.cursor()
    table = 'build_%d_%d' % (dim, n)
    cursor.execute("SELECT est_seconds, est_bytes FROM vecrecall.plan_index_build(%s, 'v', "
                   "'hnsw', jsonb_build_object('m', %s, 'ef_construction', %s, "
                   "'max_workers', %s)) LIMIT 1", (table, m, ef, processes - 1))
    planned_s, planned_bytes = cursor.fetchone()
    memory = max(int(planned_bytes / 2**20 * share), 2)
    cursor.execute("SELECT set_config('maintenance_work_mem', %s, false), "
                   "set_config('max_parallel_maintenance_workers', %s, false), "
                   "set_config('min_parallel_table_scan_size', '0', false)",
                   ('%dMB' % memory, str(processes - 1)))
    cursor.execute('ALTER TABLE %s SET (parallel_workers = %d)' % (table, processes - 1))
    backend = '/proc/%d' % connection.get_backend_pid()
    _, before = scheduled(backend)
    del connection.notices[:]
    cursor.execute('CREATE INDEX built ON %s USING hnsw (v vector_l2_ops) '
                   'WITH (m = %d, ef_construction = %d)' % (table, m, ef))
    waited = scheduled(backend)[1] - before
    cursor.execute("SELECT concurrency, elapsed_ms / 1e3, mem_bytes, "
                   "pg_relation_size('built') FROM vecrecall.batch_history "
                   "WHERE op = 'index_build' ORDER BY id DESC LIMIT 1")
    took, elapsed, mem, size = cursor.fetchone()
    cursor.execute('DROP INDEX built')
    cursor.execute('CHECKPOINT')
    passes = 2 if any('no longer fits' in notice for notice in connection.notices) else 1
    return [n, dim, m, ef, took, memory, passes, '%.1f' % os.getloadavg()[0],
            '%.2f' % planned_s, '%.1f' % (planned_bytes / 2**20), '%.2f' % elapsed,
            '%.2f' % waited, '%.1f' % (mem / 2**20), '%.1f' % (size / 2**20)]


def main(seconds):
    connection = connect()
    cursor = connection.cursor()
    for dim in DIMS:
        load(cursor, dim)
    cursor.execute("SELECT vecrecall.planner_reset('index_build', 'hnsw')")
    work = list(builds())
    random.Random(1).shuffle(work)
    start = time.time()
    with open(os.path.join(HERE, 'data', 'builds.csv'), 'w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        for number, choice in enumerate(work):
            if time.time() - start > seconds:
                print('%d of %d builds done' % (number, len(work)))
                break
            row = build(connection, *choice)
            writer.writerow(row)
            file.flush()
            print(*row, flush=True)


if __name__ == '__main__':
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 180)
