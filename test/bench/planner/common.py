"""What the planner benchmarks share: a connection, a provider, measured work."""
import http.client
import io
import json
import os
import subprocess
import sys
import threading
import time

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
import numpy as np          # noqa: E402
import psycopg2             # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = int(os.environ.get('PROVIDER_PORT', '8765'))


def connect():
    """To the database that the usual PG variables name; every statement commits."""
    connection = psycopg2.connect(os.environ.get('DSN', 'dbname=postgres'))
    connection.autocommit = True
    return connection


class Provider:
    """The server of provider.py, for as long as the with block lasts."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, 'provider.py'), str(PORT)])
        for _ in range(100):
            try:
                request('/configure', {'provider': 'up'})
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError('provider.py does not start')

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def configure(self, provider, **settings):
        request('/configure', dict(settings, provider=provider))


LOCAL = threading.local()


def request(path, body):
    """One bounded request; returns the status."""
    if not hasattr(LOCAL, 'connection'):
        LOCAL.connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=30)
    try:
        LOCAL.connection.request('POST', path, json.dumps(body))
        response = LOCAL.connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        del LOCAL.connection
        raise


def scheduled(task):
    """Seconds that a thread ran, and that it waited for a processor."""
    with open(task + '/schedstat') as file:
        ran, waited, _ = file.read().split()
    return int(ran) / 1e9, int(waited) / 1e9


def measure(work, backend=None):
    """
    Seconds that work() takes on a machine that has a processor for it: the time
    that this thread, and the backend of that process number, had to wait for one
    is taken off. On a shared machine that is most of the noise.
    """
    tasks = ['/proc/self/task/%d' % threading.get_native_id()]
    if backend:
        tasks.append('/proc/%d' % backend)
    before = [scheduled(task) for task in tasks]
    start = time.perf_counter()
    work()
    wall = time.perf_counter() - start
    after = [scheduled(task) for task in tasks]
    ran = max(a[0] - b[0] for a, b in zip(after, before))
    waited = sum(a[1] - b[1] for a, b in zip(after, before))
    return max(wall - waited, ran)


def together(n, work, backends=None):
    """Runs work(i) for i < n at once; returns the mean of the seconds each took."""
    if n == 1:
        return measure(lambda: work(0), backends and backends[0])
    seconds = [0.0] * n

    def one(i):
        seconds[i] = measure(lambda: work(i), backends and backends[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(seconds) / n


def rows_text(count, dim, seed=1):
    """count lines of COPY text: id, vector."""
    values = np.random.default_rng(seed).random((min(count, 256), dim)).round(4)
    lines = ['[' + ','.join(map(repr, row)) + ']' for row in values.tolist()]
    return ['%d\t%s\n' % (i, lines[i % len(lines)]) for i in range(count)]


def copy_vectors(cursor, table, values):
    """Loads (id, v), id from 0, by binary COPY: text would take longer than what is measured."""
    rows = np.zeros(len(values), [('fields', '>i2'), ('id_bytes', '>i4'), ('id', '>i4'),
                                  ('bytes', '>i4'), ('dim', '>i2'), ('unused', '>i2'),
                                  ('v', '>f4', values.shape[1])])
    rows['fields'], rows['id_bytes'], rows['id'] = 2, 4, np.arange(len(values))
    rows['bytes'], rows['dim'], rows['v'] = 4 + 4 * values.shape[1], values.shape[1], values
    cursor.copy_expert('COPY %s FROM STDIN (FORMAT binary)' % table, io.BytesIO(
        b'PGCOPY\n\377\r\n\0' + bytes(8) + rows.tobytes() + b'\377\377'))
