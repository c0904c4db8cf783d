#!/usr/bin/env python3
"""Compare segments and churn risk with what the simulated shop knows to be true.

    segmentd simulate --customers 10000 --events 500000 --seed 1 --truth truth.csv > events.ndjson
    segmentd replay --config F --input events.ndjson --assignments-out a.csv
    evaluate_truth.py --truth truth.csv --assignments a.csv

Prints the adjusted Rand index of `segment_id` against the true kind (customers known in both files;
and of those only the ones that have a segment), and the area under the ROC curve of `risk` for having
left for good (customers with a risk). Ends with status 1 if a figure is below its minimum or cannot be
computed. Standard library only.
"""

import argparse
import csv
import doctest
import sys
from collections import Counter


def adjusted_rand_index(left, right):
    """Adjusted Rand index (Hubert and Arabie, 1985, doi:10.1007/BF01908075) of two labellings.

    >>> adjusted_rand_index("aabb", "1122")
    1.0
    >>> round(adjusted_rand_index([0, 0, 1, 1], [0, 0, 1, 2]), 6)
    0.571429
    >>> round(adjusted_rand_index([0, 0, 0, 0], [0, 1, 2, 3]), 6)
    0.0
    """
    def pairs(counts):
        return sum(n * (n - 1) // 2 for n in counts.values())

    total = len(left) * (len(left) - 1) // 2
    both = pairs(Counter(zip(left, right)))
    rows, columns = pairs(Counter(left)), pairs(Counter(right))
    if total == 0:
        return 1.0
    expected = rows * columns / total
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else (both - expected) / (largest - expected)


def area_under_curve(scores, labels):
    """Chance that a positive scores above a negative, ties counting half; None without both.

    >>> area_under_curve([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75
    >>> area_under_curve([0.5, 0.5], [True, False])
    0.5
    >>> area_under_curve([0.5], [True]) is None
    True
    """
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    order = sorted(range(len(scores)), key=scores.__getitem__)
    rank_sum, start = 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        # Everyone in a tie gets the mean of the ranks start + 1 ... end.
        rank_sum += sum(labels[i] for i in order[start:end]) * (start + 1 + end) / 2
        start = end
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def read(path, columns):
    """Rows of a CSV file by customer id; a missing column is an error with its name."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or [])]
        if missing:
            sys.exit(f"{path}: no column {', '.join(missing)}")
        return {row["customer_id"]: row for row in reader}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--truth", metavar="truth.csv")
    parser.add_argument("--assignments", metavar="a.csv")
    parser.add_argument("--min-ari", type=float, default=0.5, help="minimum (default .5)")
    parser.add_argument("--min-auc", type=float, default=0.75, help="minimum (default .75)")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.truth or not arguments.assignments:
        parser.error("--truth and --assignments are required")

    truth = read(arguments.truth, ["customer_id", "kind", "dropped_out_at"])
    assignments = read(arguments.assignments, ["customer_id", "segment_id", "risk"])
    known = [customer for customer in truth if customer in assignments]
    placed = [customer for customer in known if assignments[customer]["segment_id"]]
    scored = [customer for customer in known if assignments[customer]["risk"]]

    def agreement(customers):
        return adjusted_rand_index(
            [truth[customer]["kind"] for customer in customers],
            [assignments[customer]["segment_id"] for customer in customers],
        ) if customers else None

    left = [bool(truth[customer]["dropped_out_at"]) for customer in scored]
    rows = [
        ("ARI segment_id / kind, all known", len(known), agreement(known), None),
        ("ARI segment_id / kind, with segment", len(placed), agreement(placed), arguments.min_ari),
        ("AUC risk / dropped out, with risk", len(scored), area_under_curve(
            [float(assignments[customer]["risk"]) for customer in scored], left
        ), arguments.min_auc),
    ]
    print(f"{'figure':38}{'customers':>10}{'value':>8}{'minimum':>9}")
    failed = False
    for name, count, value, minimum in rows:
        bad = minimum is not None and (value is None or value < minimum)
        failed = failed or bad
        text = "-" if value is None else f"{value:.3f}"
        limit = "" if minimum is None else f"{minimum:.2f}"
        print(f"{name:38}{count:>10}{text:>8}{limit:>9}{'  too low' if bad else ''}")
    print(f"dropped out: {sum(left)} of {len(left)} with a risk; "
          f"only in truth: {len(truth) - len(known)}; "
          f"only in assignments: {len(assignments) - len(known)}")
    print_table(truth, assignments, placed)
    sys.exit(1 if failed else 0)


def print_table(truth, assignments, customers):
    """Customers by kind and segment."""
    counts = Counter(
        (truth[customer]["kind"], assignments[customer]["segment_id"]) for customer in customers
    )
    segments = sorted({segment for _, segment in counts})
    print(f"{'kind':16}" + "".join(f"{'segment ' + segment:>12}" for segment in segments))
    for kind in sorted({kind for kind, _ in counts}):
        print(f"{kind:16}" + "".join(f"{counts[kind, segment]:>12}" for segment in segments))


if __name__ == "__main__":
    main()
