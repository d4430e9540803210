"""What planning gains: planned (batch, workers) against one row at a time and
against a fixed hundred, and the memory that planned jobs take.

    python3 gain.py [memory]

The planner learns each operation first, by 40 batches of its own choice.
"""
import os
import statistics
import sys
import threading
import time

from common import Provider, connect, request, rows_text, together

DIM = 384
REPEATS = 5


def learn(cursor, op, target, work, batches=40):
    for number in range(batches):
        batch, workers = plan(cursor, op, target, seed=number)
        seconds = together(workers, lambda i: work(i, batch))
        for _ in range(workers):
            cursor.execute('SELECT vecrecall.batch_record(%s, %s, %s, %s, %s, %s, %s, true)',
                           (op, target, DIM, batch, workers, batch, seconds * 1e3))


def plan(cursor, op, target, seed=None):
    cursor.execute(
        "SELECT batch_size, concurrency FROM vecrecall.plan_batch(10000000, %s, %s, %s, "
        "resources => '{\"available_memory_mb\": 256}', limits => '{\"max_batch\": 4096}', "
        "explore => %s, seed => %s)", (DIM, op, target, seed is not None, seed))
    return cursor.fetchone()


def rate(work, batch, workers, seconds=1.0):
    """Rows per second of workers that do batch after batch."""
    end = time.perf_counter() + seconds
    counts = [0] * workers

    def loop(i):
        while time.perf_counter() < end:
            work(i, batch)
            counts[i] += batch

    start = time.perf_counter()
    together(workers, loop)
    return sum(counts) / (time.perf_counter() - start)


def compare(cursor, op, target, work, workers_of_others=1):
    learn(cursor, op, target, work)
    batch, workers = plan(cursor, op, target)
    contestants = {'planned': (batch, workers), 'one row': (1, 1), 'fixed 100': (100, 1),
                   'planned batch, 1 worker': (batch, 1),
                   'planned batch, 16 workers': (batch, 16)}
    if op != 'embed_http':
        del contestants['planned batch, 16 workers']
    rates = {name: [] for name in contestants}
    for _ in range(REPEATS):        # alternating, so that noise hits all
        for name, (b, n) in contestants.items():
            rates[name].append(rate(work, b, n))
    medians = {name: statistics.median(r) for name, r in rates.items()}
    for name, median in medians.items():
        ratio = statistics.median(p / r for p, r in zip(rates['planned'], rates[name]))
        print('| %s | %s | %d x %d | %.0f | %.2f |' % (
            target, name, *contestants[name], median, ratio), flush=True)


def anonymous(pid):
    with open('/proc/%d/status' % pid) as file:
        for line in file:
            if line.startswith('RssAnon'):
                return int(line.split()[1]) * 1024
    return 0


def memory(connection, dim, budget_mb, workers=1):
    """Peak of private memory of a job beyond what its session had."""
    with connection.cursor() as cursor:
        cursor.execute('SELECT pg_backend_pid()')
        pid = cursor.fetchone()[0]
        before = anonymous(pid)
        peak = [before]
        done = threading.Event()

        def watch():
            while not done.is_set():
                peak[0] = max(peak[0], anonymous(pid))
                time.sleep(0.0005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        cursor.execute("CALL vecrecall.run_batches('insert', %s, 'SELECT id, v FROM bench_source', "
                       "'INSERT INTO bench_sink SELECT * FROM unnest($1, $2)', dim => %s, "
                       "resources => %s, goal => 'cost', explore => false)",
                       ('memory_%d_%g' % (dim, budget_mb), dim,
                        '{"available_memory_mb": %g}' % budget_mb))
        done.set()
        watcher.join()
        cursor.execute("SELECT max(batch_size) FROM vecrecall.batch_history WHERE target = %s",
                       ('memory_%d_%g' % (dim, budget_mb),))
        return cursor.fetchone()[0], (peak[0] - before) / 1048576


def rates(connections):
    text = rows_text(4096, DIM)
    with connections[0].cursor() as cursor:
        cursor.execute('SELECT vecrecall.planner_reset(NULL, NULL)')
        cursor.execute('DROP TABLE IF EXISTS bench_gain')
        cursor.execute('CREATE TABLE bench_gain (id int, v vector(%d))' % DIM)
        rows = [line.rstrip('\n').split('\t') for line in text]
        ids, vectors = [int(r[0]) for r in rows], [r[1] for r in rows]

        def insert(i, count):
            with connections[i].cursor() as c:
                c.execute('INSERT INTO bench_gain SELECT * FROM unnest(%s::int[], %s::vector[])',
                          (ids[:count], vectors[:count]))

        print('| operation | method | batch x workers | rows/s | planned / this |')
        print('|---|---|---|---|---|')
        compare(cursor, 'insert', 'insert', insert)
        cursor.execute('DROP TABLE bench_gain')
        with Provider() as provider:
            provider.configure('http', batch=0.02, row=0.0004, jitter=0.15, slots=8)
            compare(cursor, 'embed_http', 'http',
                    lambda i, b: request('/embed', {'provider': 'http', 'count': b}))


def memories(connections):
    print('| dimensions | budget, MB | batch | peak, MB |')
    print('|---|---|---|---|')
    for dim in (384, 1536):
        with connections[0].cursor() as cursor:
            cursor.execute('DROP TABLE IF EXISTS bench_source, bench_sink')
            cursor.execute('CREATE TABLE bench_source (id int PRIMARY KEY, v vector(%d))' % dim)
            cursor.execute('INSERT INTO bench_source SELECT i, array_fill(i::real, ARRAY[%s])::vector '
                           'FROM generate_series(1, 12000) i', (dim,))
            cursor.execute('CREATE TABLE bench_sink (LIKE bench_source)')
        for budget in (1, 4, 16, 64):
            connection = connect()
            with connection.cursor() as cursor:
                # what any session needs once: caches, plans, the library
                cursor.execute("CALL vecrecall.run_batches('insert', 'warm', 'SELECT id, v FROM bench_source "
                               "WHERE id < 5', 'INSERT INTO bench_sink SELECT * FROM unnest($1, $2)', "
                               "job => %s)", ('warm %d %g' % (dim, budget),))
            batch, peak = memory(connection, dim, budget)
            print('| %d | %g | %d | %.1f |' % (dim, budget, batch, peak), flush=True)
            connection.close()
    with connections[0].cursor() as cursor:
        cursor.execute('DROP TABLE bench_source, bench_sink')


def main():
    connections = [connect() for _ in range(16)]
    if 'memory' not in sys.argv:
        rates(connections)
        print()
    memories(connections)


if __name__ == '__main__':
    main()
