"""Cold start and a silent change, in closed loop against the HTTP server.

    python3 adapt.py [SEEDS [SCENARIO]]

Plan (with exploration), send, record, over and over. Regret is the share of the
best throughput beyond the knee's five percent that a batch gave away, by the
true cost of the server. After CHANGE batches one of the two costs changes
fourfold without a word.
"""
import sys
import time

from common import Provider, connect, request

CHANGE, BATCHES = 60, 160
MAX_BATCH = 4096
# ms per batch, ms per row: a tenth of real providers', so that it ends today
SCENARIOS = [
    ('knee up: batch x4', (8, 0.06), (32, 0.06)),
    ('knee down: batch /4', (8, 0.06), (2, 0.06)),
    ('knee down: row x4', (8, 0.06), (8, 0.24)),
    ('knee up: row /4', (8, 0.06), (8, 0.015)),
    ('small knee, batch x4', (3, 0.15), (12, 0.15)),
]


def regret(batch, cost):
    def rate(b):
        return b / (cost[0] + cost[1] * b)
    return max(0, 1 - rate(batch) / (0.95 * rate(MAX_BATCH)))


def run(connection, provider, name, before, after, seed):
    target = 'adapt_%s_%d' % (name, seed)
    provider.configure(target, batch=before[0] / 1e3, row=before[1] / 1e3, jitter=0.15)
    cost, regrets = before, []
    with connection.cursor() as cursor:
        for number in range(BATCHES):
            if number == CHANGE:
                cost = after
                provider.configure(target, batch=after[0] / 1e3, row=after[1] / 1e3)
            cursor.execute(
                "SELECT batch_size FROM vecrecall.plan_batch(100000000, 768, 'embed_http', %s, "
                "resources => '{\"available_memory_mb\": 100000}', "
                "limits => '{\"max_concurrency\": 1, \"max_batch\": 4096}', "
                "explore => true, seed => %s)", (target, seed * 1000 + number))
            batch = cursor.fetchone()[0]
            start = time.perf_counter()
            status = request('/embed', {'provider': target, 'count': batch})
            elapsed = (time.perf_counter() - start) * 1e3
            assert status == 200, status
            cursor.execute("SELECT vecrecall.batch_record('embed_http', %s, 768, %s, 1, %s, %s, true)",
                           (target, batch, batch, elapsed))
            regrets.append(regret(batch, cost))
    # settled: the first of ten batches with a mean regret below ten percent
    settled = next((i for i in range(CHANGE - 10) if sum(regrets[i:i + 10]) < 1), CHANGE)
    return settled, sum(regrets[CHANGE:]) / (BATCHES - CHANGE)


def main(seeds, only=None):
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute('SELECT vecrecall.planner_reset(NULL, NULL)')
    print('| change after %d batches | settled after | mean regret of the next %d | worst |'
          % (CHANGE, BATCHES - CHANGE))
    print('|---|---|---|---|')
    with Provider() as provider:
        for name, before, after in SCENARIOS:
            if only not in (None, name):
                continue
            results = [run(connection, provider, name, before, after, s)
                       for s in range(1, seeds + 1)]
            print('| %s | %s | %.1f %% | %.1f %% |' % (
                name, ', '.join(str(r[0]) for r in results),
                100 * sum(r[1] for r in results) / seeds,
                100 * max(r[1] for r in results)), flush=True)


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2, *sys.argv[2:])
