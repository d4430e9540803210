"""Judges plans by data/sweep.csv.gz, beside simple rules and beside a forest.

    python3 evaluate.py

The sweep is recorded batch by batch, as a server would have seen it, and
vecrecall.planner_evaluate learns from the first two thirds of it and is judged
by the last. The same split is given to a random forest and to gradient boosting
(scikit-learn), which choose the size of the highest predicted throughput among
those measured. Prints a table, and writes data/evaluate.png.
"""
import csv
import gzip
import os
from collections import defaultdict

from common import HERE, connect, np

import matplotlib
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

matplotlib.use('Agg')
from matplotlib import pyplot   # noqa: E402

HOLDOUT = 1 / 3
TOLERANCE = 0.1


def read():
    with gzip.open(os.path.join(HERE, 'data', 'sweep.csv.gz'), 'rt') as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for key in ('round', 'dim', 'concurrency', 'batch_size'):
            row[key] = int(row[key])
        row['ms'] = float(row['elapsed_ms'])
        row['group'] = (row['op'], row['target'], row['dim'], row['concurrency'])
    return rows


def record(connection, rows):
    with connection.cursor() as cursor:
        cursor.execute('SELECT vecrecall.planner_reset(NULL, NULL)')
        for r in rows:
            cursor.execute('SELECT vecrecall.batch_record(%s, %s, %s, %s, %s, %s, %s, true)',
                           (r['op'], r['target'], r['dim'], r['batch_size'],
                            r['concurrency'], r['batch_size'], r['ms']))


def planned(connection, holdout):
    with connection.cursor() as cursor:
        cursor.execute('SELECT * FROM vecrecall.planner_evaluate(%s, %s)',
                       (holdout, TOLERANCE))
        return cursor.fetchall()


def throughput(rows):
    """Rows per second of each size by its median time, by group."""
    times = defaultdict(lambda: defaultdict(list))
    for r in rows:
        times[r['group']][r['batch_size']].append(r['ms'] / 1e3)
    return {group: {size: size / np.median(ms) for size, ms in sizes.items()}
            for group, sizes in times.items()}


def features(rows, names):
    return np.array([[names[0].index(r['op']), names[1].index(r['target']),
                      np.log(r['dim']), r['concurrency'], np.log(r['batch_size'])]
                     + [r['op'] == n for n in names[0]]
                     + [r['target'] == n for n in names[1]] for r in rows])


def learned(make, train, test):
    """Share right, mean regret and error of a regressor."""
    names = (sorted({r['op'] for r in train}), sorted({r['target'] for r in train}))
    model = make().fit(features(train, names),
                       np.log([r['batch_size'] / r['ms'] for r in train]))
    measured = throughput(test)
    right, regret = 0, 0
    for group, sizes in measured.items():
        options = [dict(op=group[0], target=group[1], dim=group[2],
                        concurrency=group[3], batch_size=s) for s in sizes]
        choice = options[int(np.argmax(model.predict(features(options, names))))]
        rate = sizes[choice['batch_size']] / max(sizes.values())
        right += rate >= 1 - TOLERANCE
        regret += 1 - rate
    predicted = np.exp(model.predict(features(test, names)))
    actual = np.array([r['batch_size'] / r['ms'] for r in test])
    return (len(measured), right, regret / len(measured),
            np.mean(np.abs(actual / predicted - 1)))


def plot(connection, rows):
    """Measured throughput over size, with the plan, one panel per operation."""
    operations = sorted({r['op'] for r in rows})
    figure, axes = pyplot.subplots(1, len(operations), figsize=(4.5 * len(operations), 4))
    measured = throughput(rows)
    with connection.cursor() as cursor:
        for axis, op in zip(axes, operations):
            for group in sorted(g for g in measured if g[0] == op and g[3] == 1):
                sizes = sorted(measured[group])
                rates = [measured[group][s] for s in sizes]
                line, = axis.plot(sizes, np.array(rates) / max(rates), alpha=0.6)
                cursor.execute(
                    "SELECT batch_size FROM vecrecall.plan_batch(1000000, %s, %s, %s, "
                    "resources => '{\"available_memory_mb\": 100000}', "
                    "limits => '{\"max_concurrency\": 1}')", (group[2], op, group[1]))
                batch = min(cursor.fetchone()[0], max(sizes))
                axis.plot([batch], [np.interp(np.log(batch), np.log(sizes),
                                              np.array(rates) / max(rates))],
                          'o', color=line.get_color())
            axis.set(xscale='log', title=op, xlabel='rows per batch', ylim=(0, 1.05))
    axes[0].set_ylabel('throughput, share of the best measured')
    figure.suptitle('Measured throughput by size of batch; dots are plans')
    figure.tight_layout()
    figure.savefig(os.path.join(HERE, 'data', 'evaluate.png'), dpi=80)


def main():
    rows = read()
    split = int((1 - HOLDOUT) * len(rows))
    train, test = rows[:split], rows[split:]
    connection = connect()
    record(connection, rows)
    table = [(m, g, c, regret, error) for m, g, c, _, regret, error in planned(connection, HOLDOUT)]
    for name, make in (
            ('random_forest', lambda: RandomForestRegressor(300, random_state=1, n_jobs=1)),
            ('gradient_boosting', lambda: GradientBoostingRegressor(
                n_estimators=400, max_depth=4, learning_rate=0.08, random_state=1))):
        table.append((name, *learned(make, train, test)))
    print('| method | groups | right | share | mean regret | error of times |')
    print('|---|---|---|---|---|---|')
    for method, groups, right, regret, error in table:
        print('| %s | %d | %d | %.1f %% | %.1f %% | %s |' % (
            method, groups, right, 100 * right / groups, 100 * regret,
            '' if error is None else '%.0f %%' % (100 * error)))
    plot(connection, rows)


if __name__ == '__main__':
    main()
