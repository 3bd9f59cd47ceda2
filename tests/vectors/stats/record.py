#!/usr/bin/env python3
"""Records what scipy and numpy say about McNemar's test, Holm's correction, the percentile bootstrap over
pictures and the exchange of two runs, for tests/test_stats.c and tests/test_compare.c:

    python3 tests/vectors/stats/record.py > tests/vectors/stats/stats.jsonl

Runs of the same questions are given as pictures, each a list of [cell of run 0, cell of run 1]; the two
metrics of a run are, over how often each cell 0..4 occurs,
    mean   100 * (0 n0 + .3 n1 + .6 n2 + .9 n3 + 1 n4) / (n0 + n1 + n2 + n3 + n4)
    f1     100 * 2 n4 / (2 n4 + n1 + n2)        no mean of anything, as POPE's
Nothing of the program is used; `versions` says what was."""
import json
import sys

import numpy
import scipy
from scipy import stats

VALUE = numpy.array([0, 0.3, 0.6, 0.9, 1.0])


def metrics(counts):
    """[..., 5] -> [..., 2]"""
    mean = 100 * (counts @ VALUE) / counts.sum(-1)
    f1 = 100 * 2 * counts[..., 4] / (2 * counts[..., 4] + counts[..., 1] + counts[..., 2])
    return numpy.stack([mean, f1], -1)


def holm(p):
    """Step down, by the definition: adjusted[k] = max over j <= k of min(1, (n - j) p[j])."""
    order = numpy.argsort(p, kind="stable")
    adjusted, worst = numpy.empty(len(p)), 0.0
    for j, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - j) * p[i]))
        adjusted[i] = worst
    return adjusted.tolist()


def runs(generator, n):
    pictures = []
    for _ in range(n):
        easy = generator.random()
        picture = []
        for _ in range(generator.integers(1, 6)):
            a = 4 if generator.random() < 0.2 + 0.7 * easy else int(generator.integers(0, 4))
            b = a if generator.random() < 0.7 else 4 if generator.random() < 0.6 else int(generator.integers(0, 4))
            picture.append([a, b])
        pictures.append(picture)
    return pictures


def counts_of(pictures):
    """[2 runs][pictures][5 cells]"""
    return numpy.array([[numpy.bincount([unit[r] for unit in p], minlength=5) for p in pictures]
                        for r in (0, 1)])


def say(**line):
    print(json.dumps(line))


def main():
    generator = numpy.random.default_rng(7)
    say(kind="versions", scipy=scipy.__version__, numpy=numpy.__version__, python=sys.version.split()[0])
    for gained, lost in [(0, 0), (1, 0), (0, 6), (5, 5), (9, 2), (3, 17), (40, 61), (500, 430), (12000, 11500),
                         (53000, 54000), (100, 900)]:
        n = gained + lost
        p = stats.binomtest(gained, n, 0.5).pvalue if n else 1.0
        say(kind="mcnemar", gained=gained, lost=lost, p=float(p))
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.2], [0.0, 1.0, 0.02, 0.02, 0.9],
              generator.random(11).round(4).tolist()]:
        say(kind="holm", p=p, adjusted=holm(numpy.array(p)))
    for n in (6, 10, 12, 60):
        pictures = runs(generator, n)
        counts = counts_of(pictures)
        seen = metrics(counts.sum(1))

        def difference(x, y, axis=-1):
            """x, y: indices of pictures, those from n on under run 1."""
            flat = counts.reshape(2 * n, 5)
            return metrics(flat[y].sum(-2)) - metrics(flat[x].sum(-2))

        p_values = []
        for m in (0, 1):
            p_values.append(float(stats.permutation_test(
                (numpy.arange(n), numpy.arange(n, 2 * n)),
                lambda x, y, axis: difference(x.astype(int), y.astype(int))[..., m], vectorized=True,
                permutation_type="samples", n_resamples=numpy.inf if n <= 12 else 200000, batch=10000,
                rng=generator).pvalue))
        intervals = []
        for m in (0, 1):
            r = stats.bootstrap((numpy.arange(n),), lambda x, axis: difference(x, x + n)[..., m], vectorized=True,
                                method="percentile", n_resamples=200000, batch=10000, rng=generator)
            intervals.append([float(r.confidence_interval.low), float(r.confidence_interval.high)])
        say(kind="runs", exact=n <= 12, pictures=pictures, values=seen.tolist(), p=p_values, intervals=intervals)


main()
