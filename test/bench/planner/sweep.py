"""Measures real operations over sizes of batch, and writes data/sweep.csv.gz.

    python3 sweep.py [ROUNDS [DONE]]

Round after round, each in another order, every (operation, target, dim,
workers, size) is done once, so that the rows are a history in time: later
rounds judge what earlier ones taught. Operations: COPY and INSERT of unnested
arrays into tables without and with an index, tiles of exact search by matrix
multiplication, requests to a local HTTP server of known cost and jitter. With
DONE, so many rounds are there already, and more are added.
"""
import csv
import gzip
import io
import os
import random
import sys
import time

from common import HERE, Provider, connect, measure, np, request, rows_text, together

SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
MAX_BYTES = 6_000_000       # of text per batch, to keep a round short


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


def tile_groups():
    for dim in (64, 128, 384, 768, 1536):
        base = np.random.default_rng(dim).random((16384, dim), dtype=np.float32)
        queries = np.random.default_rng(7).random((max(SIZES), dim), dtype=np.float32)

        def search(count, base=base, queries=queries):
            for tile in range(0, len(base), 1024):
                scores = queries[:count] @ base[tile:tile + 1024].T
                np.partition(scores, 10, axis=1)
        yield ('knn_exact', 'tile', dim, 1,
               lambda b, s=search: measure(lambda: s(b)))


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
        return size * dim <= 400_000 and size <= 1024
    batch, row = map(float, target.split('_')[1:])
    return batch + row * size <= 500


def main(rounds, done):
    connections = [connect(), connect()]
    with connections[0].cursor() as cursor:
        for dim in TEXT:
            for kind in ('heap', 'key'):
                cursor.execute('DROP TABLE IF EXISTS bench_%d_%s' % (dim, kind))
                cursor.execute('CREATE TABLE bench_%d_%s (id int, v vector(%d))'
                               % (dim, kind, dim))
            cursor.execute('CREATE INDEX ON bench_%d_key (id)' % dim)
    with Provider() as provider, \
            gzip.open(os.path.join(HERE, 'data', 'sweep.csv.gz'), 'at' if done else 'wt',
                      newline='') as file:
        groups = [*copy_groups(connections), *insert_groups(connections),
                  *tile_groups(), *http_groups(provider)]
        writer = csv.writer(file, lineterminator='\n')
        if not done:
            writer.writerow(['round', 'op', 'target', 'dim', 'concurrency', 'batch_size',
                             'elapsed_ms'])
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
                    writer.writerow([number, op, target, dim, workers, size,
                                     '%.4f' % (seconds * 1e3)])
            with connections[0].cursor() as cursor:
                for dim in TEXT:
                    cursor.execute('TRUNCATE bench_%d_heap, bench_%d_key' % (dim, dim))
            print('round %d: %d batches, %.0f s' % (number, len(work), time.time() - start),
                  flush=True)


TEXT = {dim: rows_text(min(2048, MAX_BYTES // (dim * 7)), dim) for dim in (32, 128, 384, 1024)}

if __name__ == '__main__':
    main(*(int(argument) for argument in sys.argv[1:] + ['24', '0'][len(sys.argv) - 1:]))
