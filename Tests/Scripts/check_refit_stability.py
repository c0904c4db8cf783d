#!/usr/bin/env python3
"""Measure how steady the segments of a drifting shop are over its last 50 daily refits.

    check_refit_stability.py --segmentd .build/release/segmentd

Simulates a shop whose habits drift (segmentd simulate --drift), replays it with the shipped configuration at its
default margins, and looks at every refit but the last, which ignores the margin. NumPy does a batch job of its
own over the customer table of each: scaler, basis, and K-Means, the best of 20 fresh greedy k-means++ starts. A
line per refit:

- idle: share of customers whose row did not change since the refit before, time aside
- hysteresis, nearest: share of the idle that the refit relabelled; as published (records of cause `model`), and
  without hysteresis, where the published segment is the nearest one. At most 0.5 % and 1 %
- inertia: of segmentd's segments in the batch job's space, relative to the batch job's. At most 1.01
- batch: largest deviation of means, scales (1e-9) and explained variance ratios (1e-8) from the batch job's
- fresh: the same share with the batch job's segments, their numbers as they come; and matched: with the best
  matching of numbers to those of the day before

Over the whole: at least 5 % of customers moved, by one and the same model for both ends; no segment number
or name changed hands. Ends with status 1 if a figure fails.
"""

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading

import numpy

from smartcart_small_events import moment_of

CONFIGURATION = os.path.join(os.path.dirname(__file__), "../../config/segmentd.yaml")
HYSTERESIS_MAX, NEAREST_MAX, INERTIA_MAX, MOVED_MIN = 0.005, 0.01, 1.01, 0.05
STARTS = 20


def squared_distances(points, centroids):
    """[n x K]; exact differences, because the clusters touch."""
    return ((points[:, None, :] - centroids[None, :, :]) ** 2).sum(2)


def seeding(points, count, generator):
    """Greedy k-means++ (Arthur and Vassilvitskii, 2007), 2 + floor(ln K) candidates each."""
    centroids = points[generator.integers(len(points))][None, :]
    nearest = squared_distances(points, centroids)[:, 0]
    for _ in range(count - 1):
        drawn = generator.choice(len(points), 2 + int(numpy.log(count)), p=nearest / nearest.sum())
        left = numpy.minimum(squared_distances(points, points[drawn]), nearest[:, None])
        chosen = left.sum(0).argmin()
        centroids = numpy.vstack([centroids, points[drawn[chosen]]])
        nearest = left[:, chosen]
    return centroids


def lloyd(points, centroids):
    """Lloyd's iterations to the end: centroids and inertia.

    >>> lloyd(numpy.array([[0.0], [1.0], [10.0], [12.0]]), numpy.array([[0.0], [1.0]]))[1]
    2.5
    """
    labels = None
    while True:
        distances = squared_distances(points, centroids)
        now = distances.argmin(1)
        if labels is not None and (now == labels).all():
            return centroids, float(distances.min(1).sum())
        labels = now
        counts = numpy.bincount(labels, minlength=len(centroids))
        sums = numpy.stack([numpy.bincount(labels, column, len(centroids))
                            for column in points.T], 1)
        centroids = numpy.where(counts[:, None] > 0, sums / numpy.maximum(counts, 1)[:, None],
                                centroids)


def matched(labels, previous, both, count):
    """Labels renumbered so that as many customers as possible keep the number that they had."""
    table = numpy.zeros((count, count))
    numpy.add.at(table, (labels[both[0]], previous[both[1]]), 1)
    best = max(itertools.permutations(range(count)),
               key=lambda order: sum(table[k, order[k]] for k in range(count)))
    return numpy.array(best)[labels]


class Version:
    """One refit: the bundle, the customer table it was fit to, and the batch job's answer."""

    def __init__(self, folder, number):
        def inside(name, ending):
            return os.path.join(folder, f"{name}-{number:04d}.{ending}")

        with open(inside("model", "json"), encoding="utf-8") as file:
            self.model = json.load(file)
        self.number = number
        self.names = [feature["name"] for feature in self.model["features"]]
        with open(inside("table", "csv"), encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            assert next(reader) == ["customer_id", *self.names]
            rows = [(row[0], [float(cell or "nan") for cell in row[1:]]) for row in reader]
        with open(inside("assignments", "csv"), encoding="utf-8", newline="") as file:
            assigned = {row["customer_id"]: row for row in csv.DictReader(file)}
        self.place = {customer: place for place, (customer, _) in enumerate(rows)}
        self.table = numpy.array([values for _, values in rows])
        self.segment = numpy.array([int(assigned[customer]["segment_id"]) for customer, _ in rows])
        self.training = numpy.array([assigned[customer]["outlier"] == "false"
                                     for customer, _ in rows])
        self.segments = {entry["id"]: entry for entry in self.model["segments"]}

    def column(self, key):
        """A figure of every feature."""
        return numpy.array([feature[key] for feature in self.model["features"]])

    def nearest(self, table):
        """Segment numbers that this version gives to rows of features."""
        known = numpy.where(numpy.isnan(table), self.column("imputation"), table)
        scores = ((known - self.column("mean")) / self.column("scale")
                  @ numpy.array(self.model["pca"]["components"]).T)
        centroids = numpy.array([entry["centroid_pca"] for entry in self.model["segments"]])
        ids = numpy.array([entry["id"] for entry in self.model["segments"]])
        return ids[squared_distances(scores, centroids).argmin(1)]

    def batch(self, generator):
        """The batch job: ratio of inertias, deviation of statistics, fresh labels."""
        known = numpy.where(numpy.isnan(self.table), self.column("imputation"), self.table)
        rows = known[self.training]
        mean, scale = rows.mean(0), rows.std(0)
        varies = scale > 1e-12 * abs(rows).max(0)
        scale = numpy.where(varies, scale, 1)
        scaled = numpy.where(varies, (rows - mean) / scale, 0)
        values, vectors = numpy.linalg.eigh(scaled.T @ scaled / len(scaled))
        ratio = numpy.array(self.model["pca"]["explained_variance_ratio"])
        count = len(ratio)
        off = max(
            float((abs(self.column("mean") - mean) / numpy.maximum(abs(mean), scale)).max()),
            float((abs(self.column("scale") - scale) / scale).max()),
            float(abs(ratio - values[::-1][:count] / values.sum()).max()) / 10,
        )
        basis = vectors[:, ::-1][:, :count]
        points = scaled @ basis
        best = min((lloyd(points, seeding(points, len(self.segments), generator))
                    for _ in range(STARTS)), key=lambda found: found[1])
        inertia = 0.0
        own = self.segment[self.training]
        for segment in self.segments:
            members = points[own == segment]
            inertia += float(((members - members.mean(0)) ** 2).sum()) if len(members) else 0.0
        everybody = numpy.where(varies, (known - mean) / scale, 0) @ basis
        labels = squared_distances(everybody, best[0]).argmin(1)
        return inertia / best[1], off, labels


def idle_rows(before, after):
    """Places in both tables of the customers whose row moved with the clock alone.

    What time does to a feature is the same for everybody, a summand or a factor: the one that
    explains most rows is taken. So an event that changed nothing, such as a duplicate, counts
    as none.
    """
    common = [customer for customer in after.place if customer in before.place]
    old = numpy.array([before.place[customer] for customer in common])
    new = numpy.array([after.place[customer] for customer in common])
    idle = numpy.ones(len(common), dtype=bool)
    for was, now in zip(before.table[old].T, after.table[new].T):
        same = numpy.isnan(was) & numpy.isnan(now)
        known = ~numpy.isnan(was) & ~numpy.isnan(now)
        explained = []
        factor = now[known & (was != 0)] / was[known & (was != 0)]
        for f, s in ((1, 0), (1, numpy.median((now - was)[known])),
                     (numpy.median(factor) if len(factor) else 1, 0)):
            explained.append(known & (abs(now - f * was - s) <= 1e-9 * abs(now) + 1e-12))
        idle &= same | max(explained, key=numpy.count_nonzero)
    return old[idle], new[idle], len(common), (old, new)


def keep_latest(folder, count, ended):
    """Deletes the files of older versions while the replay runs; there would be gigabytes."""
    while not ended.wait(1):
        for name in ("model", "assignments", "table"):
            files = sorted(entry for entry in os.listdir(folder) if entry.startswith(name))
            for entry in files[:-count]:
                os.remove(os.path.join(folder, entry))


def run(arguments, folder):
    """Simulates and replays: numbers of the versions, and who was moved by which."""
    events, versions = os.path.join(folder, "events"), os.path.join(folder, "versions")
    output = os.path.join(folder, "output")
    os.mkdir(versions)
    with open(events, "wb") as file:
        subprocess.run(
            [arguments.segmentd, "simulate", "--customers", str(arguments.customers),
             "--events", str(arguments.events), "--seed", str(arguments.seed),
             "--drift", str(arguments.drift)],
            stdout=file, check=True,
        )
    ended = threading.Event()
    pruning = threading.Thread(
        target=keep_latest, args=(versions, arguments.refits + 5, ended)
    )
    pruning.start()
    try:
        subprocess.run(
            [arguments.segmentd, "replay", "--config", arguments.config, "--input", events,
             "--output", output, "--versions-out", versions],
            check=True, stderr=subprocess.DEVNULL,
        )
    finally:
        ended.set()
        pruning.join()
    numbers = sorted(int(name[6:-5]) for name in os.listdir(versions) if name.startswith("model"))
    numbers = numbers[-arguments.refits - 2:-1]
    moved = {number: set() for number in numbers}
    with open(output, encoding="utf-8") as file:
        for line in file:
            if '"cause":"model"' not in line or '"segment_transition":"moved"' not in line:
                continue
            record = json.loads(line)
            if record["value"]["model_version"] in moved:
                moved[record["value"]["model_version"]].add(record["key"])
    return versions, numbers, moved


def swaps(before, after):
    """Segment numbers that other people, or other names, have than the day before."""
    wrong = set(before.segments) ^ set(after.segments)
    for segment in set(before.segments) & set(after.segments):
        if before.segments[segment]["key"] != after.segments[segment]["key"]:
            wrong.add(segment)
    old, new = idle_rows(before, after)[3]
    was, now = before.segment[old], after.segment[new]
    for segment in before.segments:
        stayed = numpy.count_nonzero(now[was == segment] == segment)
        if 2 * stayed <= numpy.count_nonzero(was == segment):
            wrong.add(segment)
    return wrong


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segmentd", required=True, metavar="PROGRAM")
    parser.add_argument("--config", default=CONFIGURATION, help="default: the shipped one")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=1_600_000)
    parser.add_argument("--drift", type=float, default=0.5, help="per year (default .5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--refits", type=int, default=50, help="looked at (default 50)")
    arguments = parser.parse_args()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        versions, numbers, relabelled = run(arguments, folder)
        if len(numbers) < arguments.refits + 1:
            sys.exit(f"only {len(numbers)} refits besides the last")
        print(f"{'version':>7}{'hours':>7}{'customers':>10}{'idle':>7}{'hysteresis':>12}{'nearest':>9}"
              f"{'inertia':>10}{'batch':>9}{'fresh':>8}{'matched':>9}")
        first = before = Version(versions, numbers[0])
        generator = numpy.random.default_rng(arguments.seed)
        fresh_before = before.batch(generator)[2]
        matched_before = fresh_before
        rows = []
        for number in numbers[1:]:
            after = Version(versions, number)
            old, new, common, both = idle_rows(before, after)
            inertia, off, fresh = after.batch(generator)
            renumbered = matched(fresh, matched_before, (both[1], both[0]), len(after.segments))
            customers = list(after.place)
            published = sum(customers[place] in relabelled[number] for place in new)
            rows.append((
                published / len(new), float((before.segment[old] != after.segment[new]).mean()),
                inertia, off, float((fresh_before[old] != fresh[new]).mean()),
                float((matched_before[old] != renumbered[new]).mean()),
            ))
            hours = (moment(after) - moment(before)) / 3_600_000
            bad = [name for name, value, limit in zip(
                ("hysteresis", "nearest", "inertia", "batch"), rows[-1],
                (HYSTERESIS_MAX, NEAREST_MAX, INERTIA_MAX, 1e-9)) if not value <= limit]
            wrong = swaps(before, after)
            if wrong:
                bad.append(f"segments {sorted(wrong)} changed hands")
            failures += bad
            print(f"{number:>7}{hours:>7.1f}{len(customers):>10}{len(new) / common:>7.1%}"
                  f"{rows[-1][0]:>12.3%}{rows[-1][1]:>9.3%}{inertia:>10.5f}{off:>9.1g}"
                  f"{rows[-1][4]:>8.1%}{rows[-1][5]:>9.2%}"
                  + (f"  FAILED: {', '.join(bad)}" if bad else ""), flush=True)
            before, fresh_before, matched_before = after, fresh, renumbered
        for name, summary in (("median", numpy.median), ("worst", numpy.max)):
            cells = summary(numpy.array(rows), axis=0)
            print(f"{name:31}{cells[0]:>12.3%}{cells[1]:>9.3%}{cells[2]:>10.5f}{cells[3]:>9.1g}"
                  f"{cells[4]:>8.1%}{cells[5]:>9.2%}")
        _, _, common, (old, new) = idle_rows(first, before)
        moved = [float((version.nearest(first.table[old]) != version.nearest(before.table[new]))
                       .mean()) for version in (first, before)]
        print(f"moved from the first to the last of these refits, by the first model {moved[0]:.1%}, "
              f"by the last {moved[1]:.1%} of {common:,} customers; at least {MOVED_MIN:.0%}")
        if min(moved) < MOVED_MIN:
            failures.append("moved")
        names = [f"{segment} {entry['name']}" for segment, entry in before.segments.items()]
        print(f"segments throughout: {', '.join(names)}" if first.segments.keys()
              == before.segments.keys() else "segments changed")
    print(f"{len(failures)} figures failed" if failures else "every figure holds")
    sys.exit(1 if failures else 0)


def moment(version):
    """When a version was trained, epoch milliseconds."""
    return moment_of(version.model["trained_at"])


if __name__ == "__main__":
    main()
