"""Measures real operations over sizes of batch, and writes data/sweep.csv.gz.

    python3 sweep.py [ROUNDS [DONE [OP]]]

Round after round, each in another order, every (operation, target, dim,
workers, size) is done once, so that the rows are a history in time: later
rounds judge what earlier ones taught. Operations: COPY and INSERT of unnested
arrays into tables without and with an index, batches of vecrecall.knn_exact,
requests to a local HTTP server of known cost and jitter. With DONE, so many rounds
are there already, and more are added; with OP, the others stay as they were, and
that one is measured anew. Builds of indexes have no size of batch to choose:
builds.py measures them.
"""
import csv
import gzip
import io
import os
import random
import sys
import time

from common import (HERE, Provider, connect, copy_vectors, measure, np, request, rows_text,
                    together)

SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
MAX_BYTES = 6_000_000       # of text per batch, to keep a round short
SEARCHED = 10_000           # rows of the tables that batches of queries search


def copy_groups(connections):
    backends = [c.get_backend_pid() for c in connections]
    for dim in (32, 128, 384, 1024):
        for indexed in (False, True):
            for workers in (1, 2):
                table = 'bench_%d_%s' % (dim, 'key' if indexed else 'heap')
                yield ('copy', table, dim, workers,
                       lambda b, t=table, d=dim, n=workers: together(
                           n, lambda i: copy(connections[i], t, d, b), backends))


def copy(connection, table, dim, count):
    with connection.cursor() as cursor:
        cursor.copy_expert('COPY %s FROM STDIN' % table,
                           io.StringIO(''.join(TEXT[dim][:count])))


def insert_groups(connections):
    backends = [c.get_backend_pid() for c in connections]
    for dim in (32, 128, 384):
        for indexed in (False, True):
            table = 'bench_%d_%s' % (dim, 'key' if indexed else 'heap')
            yield ('insert', table, dim, 1,
                   lambda b, t=table, d=dim: together(
                       1, lambda i: insert(connections[i], t, d, b), backends))


def insert(connection, table, dim, count):
    rows = [line.rstrip('\n').split('\t') for line in TEXT[dim][:count]]
    with connection.cursor() as cursor:
        cursor.execute('INSERT INTO %s SELECT * FROM unnest(%%s::int[], %%s::vector[])'
                       % table, ([int(r[0]) for r in rows], [r[1] for r in rows]))


def search_groups(connections):
    backend = connections[0].get_backend_pid()
    for dim in (64, 128, 384, 768):
        yield ('knn_exact', 'search_%d' % SEARCHED, dim, 1,
               lambda b, d=dim: measure(lambda: search(connections[0], d, b), backend))


def search(connection, dim, count):
    with connection.cursor() as cursor:
        cursor.execute('EXECUTE search_%d(%d)' % (dim, count))


def search_tables(connection):
    """Tables to search, and statements that search them for their first count rows."""
    with connection.cursor() as cursor:
        for dim in (64, 128, 384, 768):
            cursor.execute('CREATE TABLE IF NOT EXISTS search_%d (id int PRIMARY KEY, '
                           'v vector(%d))' % (dim, dim))
            cursor.execute('SELECT count(*) FROM search_%d' % dim)
            if cursor.fetchone()[0] != SEARCHED:
                cursor.execute('TRUNCATE search_%d' % dim)
                copy_vectors(cursor, 'search_%d' % dim,
                             np.random.default_rng(dim).random((SEARCHED, dim)))
                cursor.execute('VACUUM ANALYZE search_%d' % dim)
            cursor.execute('PREPARE search_%d(int) AS SELECT count(*) FROM vecrecall.knn_exact('
                           "'search_%d', 'v', ARRAY(SELECT v FROM search_%d WHERE id < $1), 10)"
                           % (dim, dim, dim))
        # What is measured here is told to the planner by evaluate.py.
        cursor.execute('SET vecrecall.planner = off')
        cursor.execute("SET work_mem = '64MB'")


def http_groups(provider):
    for batch, row in ((40, 0.3), (5, 0.05), (2, 0.5), (10, 10), (20, 2), (1, 0.02)):
        name = 'http_%g_%g' % (batch, row)
        provider.configure(name, batch=batch / 1e3, row=row / 1e3, jitter=0.15, slots=4)
        for workers in (1, 4):
            yield ('embed_http', name, 384, workers,
                   lambda b, p=name, n=workers: together(
                       n, lambda i: request('/embed', {'provider': p, 'count': b})))


def cost(op, target, dim, size):
    """Whether the size is worth its time here."""
    if op in ('copy', 'insert'):
        return size * dim * 7 <= MAX_BYTES
    if op == 'knn_exact':
        return size * dim <= 400_000
    batch, row = map(float, target.split('_')[1:])
    return batch + row * size <= 500


def kept(file, done, op):
    """The rounds that stay: those done, and all of the operations not measured anew."""
    if not done and not op:
        return []
    with gzip.open(file, 'rt', newline='') as stream:
        return [row for row in list(csv.reader(stream))[1:]
                if (op and row[1] != op) or int(row[0]) < done]


def main(rounds, done, only=None):
    connections = [connect(), connect()]
    with connections[0].cursor() as cursor:
        for dim in TEXT:
            for kind in ('heap', 'key'):
                cursor.execute('DROP TABLE IF EXISTS bench_%d_%s' % (dim, kind))
                cursor.execute('CREATE TABLE bench_%d_%s (id int, v vector(%d))'
                               % (dim, kind, dim))
            cursor.execute('CREATE INDEX ON bench_%d_key (id)' % dim)
    search_tables(connections[0])
    path = os.path.join(HERE, 'data', 'sweep.csv.gz')
    rows = kept(path, done, only)
    with Provider() as provider:
        groups = [group for group in (*copy_groups(connections), *insert_groups(connections),
                                      *search_groups(connections), *http_groups(provider))
                  if only in (None, group[0])]
        for number in (-1, *range(done, rounds)):
            work = [(group, size) for group in groups for size in SIZES
                    if cost(group[0], group[1], group[2], size)]
            if number < 0:      # warm up what there is, with the small ones
                work = [w for w in work if w[1] in (1, 64)]
            random.Random(number).shuffle(work)
            start = time.time()
            for (op, target, dim, workers, run), size in work:
                seconds = run(size)
                if number >= 0:
                    rows.append([number, op, target, dim, workers, size,
                                 '%.4f' % (seconds * 1e3)])
            with connections[0].cursor() as cursor:
                for dim in TEXT:
                    cursor.execute('TRUNCATE bench_%d_heap, bench_%d_key' % (dim, dim))
            print('round %d: %d batches, %.0f s' % (number, len(work), time.time() - start),
                  flush=True)
    rows.sort(key=lambda row: int(row[0]))
    with gzip.open(path, 'wt', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['round', 'op', 'target', 'dim', 'concurrency', 'batch_size',
                         'elapsed_ms'])
        writer.writerows(rows)


TEXT = {dim: rows_text(min(2048, MAX_BYTES // (dim * 7)), dim) for dim in (32, 128, 384, 1024)}

if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 24,
         int(sys.argv[2]) if len(sys.argv) > 2 else 0, *sys.argv[3:4])
