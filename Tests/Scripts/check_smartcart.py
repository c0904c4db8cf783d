#!/usr/bin/env python3
"""Check a SmartCart model bundle and assignments against the batch results of the reference folder.

    segmentd replay --config config/smartcart-notebook.yaml --format csv --as-of 2014-06-29 \\
        --input ../shared/reference/smartcart_customers.csv --model-out m.json --assignments-out a.csv
    check_smartcart.py --model m.json --assignments a.csv --reference ../shared/reference

Prints one line per figure: ours, reference, difference, tolerance, verdict. Rows marked `note` are for
information and have no tolerance. Ends with status 1 if a figure with a tolerance is off.

Two figures differ from the reference by design and are corrected here: the notebook took the year 2026
and whole years, so its mean age is 11.5096 higher (2026 - decimal year of 2014-06-29); and where the
bundle imputes incomes with a median that is not exactly the batch one (allowed: 0.1 %), the reference is
recomputed from the CSV with the bundle's own median. Everything else stands as it is in the files.
"""

import argparse
import csv
import json
import os
import sys

import numpy

# 2014-06-29 is day 180 of 365, so 179 days of the year have passed.
AGE_SHIFT = 2026 - (2014 + 179 / 365)


class Table:
    """Collects rows, prints them, knows whether one failed."""

    def __init__(self):
        self.failed = 0
        print(f"{'figure':44}{'ours':>22}{'reference':>22}{'difference':>12}{'tolerance':>11}")

    def row(self, name, ours, reference, difference=None, tolerance=None, good=None):
        """One figure; without tolerance and verdict it is a note."""
        if good is None and tolerance is not None:
            good = difference is not None and bool(difference <= tolerance)
        verdict = "note" if good is None else "ok" if good else "FAILED"
        self.failed += good is False
        print(f"{name:44}{show(ours):>22}{show(reference):>22}{show(difference, 3):>12}"
              f"{show(tolerance, 3):>11}  {verdict}")

    def equal(self, name, ours, reference):
        """A figure that has to be the same."""
        self.row(name, ours, reference, good=ours == reference)

    def relative(self, name, ours, reference, tolerance=None, scale=None):
        """A number that may differ by a share of the reference, or of another scale."""
        if ours is None or reference is None:
            self.row(name, ours, reference, good=None if tolerance is None else False)
            return
        scale = scale if scale is not None else abs(reference)
        self.row(name, ours, reference, abs(ours - reference) / (scale or 1), tolerance)


def show(value, digits=12):
    """A cell of the table."""
    if value is None:
        return "-" if digits == 12 else ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        text = str(value)
        return text if len(text) <= 21 else text[:18] + "..."
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"


def adjusted_rand_index(left, right):
    """Adjusted Rand index of two integer labellings (Hubert and Arabie, 1985)."""
    _, left = numpy.unique(left, return_inverse=True)
    _, right = numpy.unique(right, return_inverse=True)
    table = numpy.zeros((left.max() + 1, right.max() + 1))
    numpy.add.at(table, (left, right), 1)

    def pairs(counts):
        return (counts * (counts - 1) / 2).sum()

    total = len(left) * (len(left) - 1) / 2
    rows, columns = pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / total
    return float((pairs(table) - expected) / ((rows + columns) / 2 - expected))


def raw_features(path, income):
    """The 18 features of every customer from the CSV: ({id: row index}, [rows x 18] in order)."""
    education = {"Graduation": 0, "Master": 1, "PhD": 1, "Basic": 2, "2n Cycle": 2}
    partner = {"Married", "Together"}
    index, rows = {}, []
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day, month, year = map(int, row["Dt_Customer"].split("-"))
            tenure = (numpy.datetime64("2014-06-29")
                      - numpy.datetime64(f"{year:04d}-{month:02d}-{day:02d}"))
            level = education[row["Education"]]
            together = row["Marital_Status"] in partner
            index[row["ID"]] = len(rows)
            rows.append([
                float(row["Income"] or income),
                *(float(row[name]) for name in (
                    "Recency", "NumDealsPurchases", "NumWebPurchases", "NumCatalogPurchases",
                    "NumStorePurchases", "NumWebVisitsMonth", "Complain", "Response")),
                2026 - AGE_SHIFT - float(row["Year_Birth"]),
                float(tenure.astype(int)),
                sum(float(row[name]) for name in row if name.startswith("Mnt")),
                float(row["Kidhome"]) + float(row["Teenhome"]),
                level == 0, level == 1, level == 2, not together, together,
            ])
    return index, numpy.array(rows, dtype=float)


def check_counts(table, model, assignments, reference):
    """Who is known, who trains, how many segments."""
    table.equal("customers known", model["customers"], reference["input"]["rows"])
    table.equal("customers in training", model["training_customers"], reference["outliers"]["kept"])
    table.equal("rows of the assignments file", len(assignments), reference["input"]["rows"])
    outliers = sum(row["outlier"] == "true" for row in assignments.values())
    table.equal("outliers", outliers, reference["outliers"]["removed"])
    table.equal("segments", len(model["segments"]), 4)
    used = {row["segment_id"] for row in assignments.values()}
    table.equal("segments used in assignments", len(used), 4)
    table.equal("training customers over segments",
                sum(segment["training_customers"] for segment in model["segments"]),
                reference["outliers"]["kept"])
    table.equal("customers over segments",
                sum(segment["customers"] for segment in model["segments"]),
                reference["input"]["rows"])
    names = [segment["name"] for segment in model["segments"]]
    table.equal("distinct segment names", len(set(names)), 4)


def check_features(table, model, variant, raw, training):
    """Order, medians, means, deviations."""
    names = [feature["name"] for feature in model["features"]]
    table.equal("feature names and order", names == variant["features"], True)
    missing = {feature["name"]: feature["missing"] for feature in model["features"]}
    table.equal("missing incomes in training", missing.get("Income"), 24)
    table.equal("missing elsewhere",
                sum(count for name, count in missing.items() if name != "Income"), 0)
    for position, feature in enumerate(model["features"]):
        name = feature["name"]
        if name not in variant["feature_mean"]:
            continue
        mean, deviation = variant["feature_mean"][name], variant["feature_std_ddof0"][name]
        if name == "Income":
            table.relative("imputation Income", feature["imputation"], 51381.5, 1e-3)
            column = raw[training, position]
            mean, deviation = float(column.mean()), float(column.std())
        elif name == "Age":
            mean -= AGE_SHIFT
        scale = max(abs(mean), deviation)
        table.relative(f"mean {name}", feature["mean"], mean, 1e-9, scale)
        table.relative(f"scale {name}", feature["scale"], deviation, 1e-9)


def check_components(table, model, variant):
    """Explained variance and the subspace."""
    pca, theirs = model["pca"], variant["pca"]
    ratios = theirs["explained_variance_ratio_3"]
    table.equal("components", len(pca["components"]), 3)
    for number, (ours, ratio) in enumerate(
        zip(pca["explained_variance_ratio"], ratios), 1
    ):
        table.row(f"explained variance ratio {number}", ours, ratio, abs(ours - ratio), 1e-3)
    # Their eigenvalues are of the covariance with n - 1, ours of the correlation matrix.
    factor = (variant["rows"] - 1) / variant["rows"]
    for number, (ours, value) in enumerate(
        zip(pca["explained_variance"], theirs["explained_variance_ddof1_3"]), 1
    ):
        table.relative(f"eigenvalue {number}", ours, value * factor)
    ours, basis = numpy.array(pca["components"]), numpy.array(theirs["components"])[:3]
    if ours.shape != basis.shape:
        table.equal("shape of components", ours.shape, basis.shape)
        return
    cosines = numpy.linalg.svd(ours @ basis.T, compute_uv=False)
    # The sine is exact where the cosine has lost its digits.
    sine = numpy.linalg.norm(ours - ours @ basis.T @ basis, 2)
    angle = float(numpy.degrees(numpy.arctan2(sine, cosines.min())))
    table.row("largest principal angle, degrees", angle, 0.0, angle)


def check_segments(table, model, variant, labels, assignments, raw, index, training, min_ari):
    """Inertia, agreement, sizes, centroids, sweep."""
    best = variant["k4"]["best_of_1000_inertia_pca3"]
    table.relative("inertia", model["inertia"], best, 1e-2)
    both = [customer for customer in labels if customer in assignments]
    table.equal("labelled customers in assignments", len(both), len(labels))
    ari = adjusted_rand_index(
        [int(assignments[customer]["segment_id"] or 0) for customer in both],
        [labels[customer] for customer in both],
    )
    table.row("ARI with notebook_kmeans4", ari, 1.0, 1 - ari, 1 - min_ari)
    sizes = sorted(segment["training_customers"] for segment in model["segments"])
    theirs = sorted(group["size"] for group in variant["k4"]["profile"])
    table.row("sizes in training", " ".join(map(str, sizes)), " ".join(map(str, theirs)))

    # The bundle has to agree with the assignments file, whatever the clustering is.
    names = [feature["name"] for feature in model["features"]]
    means = numpy.array([feature["mean"] for feature in model["features"]])
    scales = numpy.array([feature["scale"] for feature in model["features"]])
    components = numpy.array(model["pca"]["components"])
    if raw.shape[1] != len(names) or components.shape[1:] != (len(names),):
        table.equal("width of features", len(names), raw.shape[1])
        return
    scores = (raw - means) / scales @ components.T
    written = numpy.full(scores.shape, numpy.nan)
    segment_of = numpy.zeros(len(raw), dtype=int)
    for customer, row in assignments.items():
        if customer in index:
            written[index[customer]] = [float(row[f"pc{n}"] or "nan") for n in (1, 2, 3)]
            segment_of[index[customer]] = int(row["segment_id"] or 0)
    off = float(numpy.abs(written - scores).max())
    table.row("pc1 to pc3 of the assignments, largest off", off, 0.0, off, 1e-4)
    inertia, worst = 0.0, 0.0
    for segment in model["segments"]:
        members = training & (segment_of == segment["id"])
        table.equal(f"training members of segment {segment['id']}", int(members.sum()),
                    segment["training_customers"])
        if not members.any():
            continue
        centre = raw[members].mean(0)
        given = numpy.array([segment["centroid"].get(name, numpy.nan) for name in names])
        worst = max(worst, float(numpy.abs((centre - given) / scales).max()))
        inertia += float(((scores[members] - scores[members].mean(0)) ** 2).sum())
    table.row("centroids, largest off in deviations", worst, 0.0, worst, 1e-6)
    table.relative("inertia recomputed from assignments", model["inertia"], inertia, 1e-6)

    scan = variant["scan_pca3"]
    for entry in model["sweep"]:
        if entry["k"] in scan["k"]:
            at = scan["k"].index(entry["k"])
            table.relative(f"sweep inertia, K = {entry['k']}", entry["inertia"],
                           scan["inertia_best"][at])
            table.relative(f"sweep silhouette, K = {entry['k']}", entry["silhouette"],
                           scan["silhouette_best"][at])
    table.row("elbow", model["elbow_k"], scan["kneed_elbow_best_from_1"])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="m.json")
    parser.add_argument("--assignments", required=True, metavar="a.csv")
    parser.add_argument("--reference", required=True, metavar="FOLDER")
    parser.add_argument("--min-ari", type=float, default=0.99, help="minimum (default .99)")
    arguments = parser.parse_args()

    def inside(name):
        return os.path.join(arguments.reference, name)

    with open(arguments.model, encoding="utf-8") as file:
        model = json.load(file)
    with open(inside("smartcart_reference.json"), encoding="utf-8") as file:
        reference = json.load(file)
    with open(inside("smartcart_reference_labels.csv"), encoding="utf-8", newline="") as file:
        labels = {row["ID"]: int(row["notebook_kmeans4"]) for row in csv.DictReader(file)}
    with open(arguments.assignments, encoding="utf-8", newline="") as file:
        assignments = {row["customer_id"]: row for row in csv.DictReader(file)}
    variant = reference["variants"]["notebook"]
    income = next((feature["imputation"] for feature in model["features"]
                   if feature["name"] == "Income"), 51381.5)
    index, raw = raw_features(inside("smartcart_customers.csv"), income)
    training = numpy.zeros(len(raw), dtype=bool)
    training[[index[customer] for customer in labels]] = True

    table = Table()
    check_counts(table, model, assignments, reference)
    check_features(table, model, variant, raw, training)
    check_components(table, model, variant)
    check_segments(table, model, variant, labels, assignments, raw, index, training,
                   arguments.min_ari)
    print(f"{table.failed} figures failed" if table.failed else "every figure holds")
    sys.exit(1 if table.failed else 0)


if __name__ == "__main__":
    main()
