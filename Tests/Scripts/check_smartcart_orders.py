#!/usr/bin/env python3
"""Hold segmentd against the batch job on SmartCart, over many orders of arrival.

    check_smartcart_orders.py --segmentd .build/release/segmentd --reference ../shared/reference

For every seed the customers of smartcart_customers.csv are replayed twice: as rows in a random order, and as
many small events (smartcart_small_events.py) in a random order with duplicates, replaced and reversed
orders and erased strangers. Each replay is compared with a batch job that NumPy does here over the CSV,
imputing missing incomes by the median that the bundle states:

- the customer table, row by row, and who is left out of training: equal (money to 1e-12 of itself)
- median income: 0.1 %; means: 1e-9 of max(|mean|, deviation); deviations: 1e-9
- explained variance ratios: 1e-8; largest principal angle between the subspaces: 1e-4 degrees
- inertia of the assignments in the batch job's own space: at most 1.001 of the best known, 6315.2035;
  the bundle's own figure agrees to 1e-9; ARI with the best batch labels: at least .99

Prints a line per replay with the largest deviation of each kind, and what one-pass pipelines reach on
the same rows. Ends with status 1 if any figure fails.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy

from check_smartcart import adjusted_rand_index, raw_features
from smartcart_small_events import events, moment_of

AS_OF = "2014-06-29"
CONFIGURATION = os.path.join(os.path.dirname(__file__), "../../config/smartcart-notebook.yaml")

# The reference folder's README: median over 22 row orders, inertia ratio to the best and ARI.
PEERS = [
    ("scikit-learn: scaler, IncrementalPCA, MiniBatchKMeans", 1.23, 0.56),
    ("scikit-learn: MiniBatchKMeans on a batch PCA", 1.045, 0.92),
    ("River: StandardScaler, KMeans", 1.13, 0.23),
    ("Spark MLlib: StreamingKMeans on a batch PCA", 1.18, 0.51),
]

# Name of the column, and the largest value that holds.
LIMITS = {"rows": 0, "outliers": 0, "median": 1e-3, "mean": 1e-9, "scale": 1e-9, "ratio": 1e-8,
          "angle": 1e-4, "own": 1e-9, "inertia": 1.001, "1-ARI": 0.01}


class Batch:
    """The batch job: features, scaler, basis and scores of the CSV for one median income."""

    def __init__(self, path, labels, income):
        self.index, self.raw = raw_features(path, income)
        self.training = numpy.zeros(len(self.raw), dtype=bool)
        self.training[[self.index[customer] for customer in labels]] = True
        rows = self.raw[self.training]
        self.mean, self.scale = rows.mean(0), rows.std(0)
        scaled = (rows - self.mean) / self.scale
        values, vectors = numpy.linalg.eigh(scaled.T @ scaled / len(scaled))
        self.ratio = values[::-1][:3] / values.sum()
        self.components = vectors[:, ::-1][:, :3].T
        self.scores = (self.raw - self.mean) / self.scale @ self.components.T


def largest_angle(left, right):
    """Largest principal angle of two subspaces in degrees, from orthonormal rows.

    >>> basis = numpy.eye(3)[:2]
    >>> largest_angle(basis, basis), round(largest_angle(basis, numpy.eye(3)[1:]), 9)
    (0.0, 90.0)
    """
    cosine = numpy.linalg.svd(left @ right.T, compute_uv=False).min()
    # The sine is exact where the cosine has lost its digits.
    sine = numpy.linalg.norm(left - left @ right.T @ right, 2)
    return float(numpy.degrees(numpy.arctan2(sine, cosine)))


def read_table(path, names):
    """The exported customer table: {id: [values]}, NaN where missing."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != ["customer_id", *names]:
            sys.exit(f"{path}: columns are {reader.fieldnames}")
        return {row["customer_id"]: [float(row[name] or "nan") for name in names]
                for row in reader}


def wrong_rows(table, names, batch, incomes):
    """How many customers of the exported table are not those of the CSV, to the last digit."""
    wrong = len(set(table) ^ set(batch.index))
    for customer, values in table.items():
        if customer not in batch.index:
            continue
        for name, value, expected in zip(names, values, batch.raw[batch.index[customer]]):
            if name == "Income":
                expected = incomes[customer]
            # Cents add up in binary; years are days since 1970 divided.
            slack = 1e-12 * abs(expected) if name in ("Total_Spending", "Age") else 0
            if not (abs(value - expected) <= slack or value != value and expected != expected):
                wrong += 1
                break
    return wrong


def figures(folder, names, source, labels, best):
    """All deviations of one replay, by the names of LIMITS."""
    with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
        model = json.load(file)
    with open(os.path.join(folder, "assignments.csv"), encoding="utf-8", newline="") as file:
        assignments = {row["customer_id"]: row for row in csv.DictReader(file)}
    with open(source, encoding="utf-8", newline="") as file:
        incomes = {row["ID"]: float(row["Income"] or "nan") for row in csv.DictReader(file)}
    table = read_table(os.path.join(folder, "table.csv"), names)
    features = model["features"]
    if [feature["name"] for feature in features] != names:
        sys.exit(f"features are {[feature['name'] for feature in features]}")
    median = float(numpy.nanmedian(list(incomes.values())))
    income = features[names.index("Income")]["imputation"]
    batch = Batch(source, labels, income)
    mean = numpy.array([feature["mean"] for feature in features])
    scale = numpy.array([feature["scale"] for feature in features])
    ratio = numpy.array(model["pca"]["explained_variance_ratio"])
    left_out = {customer for customer, row in assignments.items() if row["outlier"] == "true"}
    expected = set(batch.index) - set(labels)
    segments = numpy.array([
        int(assignments[customer]["segment_id"]) if customer in assignments else 0
        for customer in batch.index
    ])
    inertia = 0.0
    for segment in set(segments[batch.training]):
        members = batch.scores[batch.training & (segments == segment)]
        inertia += float(((members - members.mean(0)) ** 2).sum())
    order = [batch.index[customer] for customer in labels]
    return {
        "rows": wrong_rows(table, names, batch, incomes),
        "outliers": len(left_out ^ expected) + abs(model["training_customers"] - len(labels)),
        "median": abs(income / median - 1),
        "mean": float((abs(mean - batch.mean) / numpy.maximum(abs(batch.mean), batch.scale)).max()),
        "scale": float((abs(scale - batch.scale) / batch.scale).max()),
        "ratio": float(abs(ratio - batch.ratio).max()),
        "angle": largest_angle(numpy.array(model["pca"]["components"]), batch.components),
        "own": abs(model["inertia"] / inertia - 1),
        "inertia": inertia / best,
        "1-ARI": 1 - adjusted_rand_index(segments[order], list(labels.values())),
    }


def replay(arguments, folder, text, style):
    """Runs segmentd over an input."""
    source = os.path.join(folder, "input")
    with open(source, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    command = [
        arguments.segmentd, "replay", "--config", arguments.config, "--format", style,
        "--input", source, "--as-of", AS_OF,
        "--model-out", os.path.join(folder, "model.json"),
        "--assignments-out", os.path.join(folder, "assignments.csv"),
        "--table-out", os.path.join(folder, "table.csv"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {result.returncode}\n{result.stderr}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segmentd", required=True, metavar="PROGRAM")
    parser.add_argument("--reference", required=True, metavar="FOLDER")
    parser.add_argument("--config", default=CONFIGURATION, help="default: the notebook's features")
    parser.add_argument("--seeds", type=int, default=20, help="orders of arrival (default 20)")
    arguments = parser.parse_args()
    source = os.path.join(arguments.reference, "smartcart_customers.csv")
    with open(os.path.join(arguments.reference, "smartcart_reference.json"),
              encoding="utf-8") as file:
        variant = json.load(file)["variants"]["notebook"]
    with open(os.path.join(arguments.reference, "smartcart_reference_labels.csv"),
              encoding="utf-8", newline="") as file:
        labels = {row["ID"]: int(row["notebook_kmeans4"]) for row in csv.DictReader(file)}
    with open(source, encoding="utf-8", newline="") as file:
        header, *lines = file.read().splitlines()
    rows = list(csv.DictReader([header, *lines]))
    best = variant["k4"]["best_of_1000_inertia_pca3"]

    print(f"{'arrival':12}{'seed':>5}{'lines':>7}" + "".join(f"{name:>10}" for name in LIMITS))
    print(f"{'at most':24}" + "".join(f"{limit:>10.4g}" for limit in LIMITS.values()))
    failed, ratios, agreements = 0, [], []
    for kind in ("rows", "events"):
        for seed in range(1, arguments.seeds + 1):
            if kind == "rows":
                random.Random(seed).shuffle(lines)
                text, style = "\n".join([header, *lines]) + "\n", "csv"
            else:
                small, _ = events(rows, moment_of(AS_OF + "T00:00:00Z"), seed)
                text, style = "".join(line + "\n" for line in small), "ndjson"
            with tempfile.TemporaryDirectory() as folder:
                replay(arguments, folder, text, style)
                found = figures(folder, variant["features"], source, labels, best)
            bad = [name for name, limit in LIMITS.items() if not found[name] <= limit]
            failed += len(bad)
            ratios.append(found["inertia"])
            agreements.append(1 - found["1-ARI"])
            cells = "".join(
                f"{found[name]:>10.6f}" if name == "inertia" else f"{found[name]:>10.2g}"
                for name in LIMITS
            )
            print(f"{kind:12}{seed:>5}{text.count(chr(10)):>7}{cells}"
                  + (f"  FAILED: {', '.join(bad)}" if bad else ""), flush=True)

    print(f"\n{'one pass over the rows':64}{'orders':>7}{'inertia / best':>16}{'ARI':>7}")
    print(f"{'segmentd, median':64}{len(ratios):>7}{numpy.median(ratios):>16.5f}"
          f"{numpy.median(agreements):>7.3f}")
    print(f"{'segmentd, worst':64}{len(ratios):>7}{max(ratios):>16.5f}{min(agreements):>7.3f}")
    for name, ratio, agreement in PEERS:
        print(f"{name + ', median':64}{22:>7}{ratio:>16.3f}{agreement:>7.2f}")
    print(f"{failed} figures failed" if failed else "every figure holds")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
