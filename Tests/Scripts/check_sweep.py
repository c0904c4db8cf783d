#!/usr/bin/env python3
"""Check the sweep over the number of segments in a SmartCart bundle against the reference folder's.

    check_sweep.py --model m.json --reference ../shared/reference

The reference has the best inertia of many scikit-learn runs for each K and its silhouette. A line per K: ours,
theirs, how far off. Inertias may be 1 % off for K = 2 to 10, silhouettes .02, and the elbow is 4. For K = 1 there
is nothing to find: 1e-6. Ends with status 1 if a figure fails. Standard library only.
"""

import argparse
import json
import os
import sys

INERTIA_MAX, SILHOUETTE_MAX, ELBOW = 0.01, 0.02, 4


def off(entry, inertia, silhouette):
    """How far an entry of the sweep is off, and whether that is too far.

    >>> off({"k": 2, "inertia": 100.9, "silhouette": 0.4}, 100.0, 0.41)[2]
    False
    >>> off({"k": 2, "inertia": 102.0, "silhouette": 0.4}, 100.0, 0.4)[2]
    True
    >>> off({"k": 2, "inertia": 100.0, "silhouette": None}, 100.0, 0.4)[2]
    True
    >>> off({"k": 1, "inertia": 100.0, "silhouette": None}, 100.0, None)[2]
    False
    """
    relative = entry["inertia"] / inertia - 1
    bad = not abs(relative) <= (INERTIA_MAX if entry["k"] > 1 else 1e-6)
    if silhouette is None or entry["silhouette"] is None:
        return relative, None, bad or silhouette is not entry["silhouette"]
    difference = entry["silhouette"] - silhouette
    return relative, difference, bad or not abs(difference) <= SILHOUETTE_MAX


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="m.json")
    parser.add_argument("--reference", required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    with open(arguments.model, encoding="utf-8") as file:
        model = json.load(file)
    path = os.path.join(arguments.reference, "smartcart_reference.json")
    with open(path, encoding="utf-8") as file:
        scan = json.load(file)["variants"]["notebook"]["scan_pca3"]
    failed = 0
    if [entry["k"] for entry in model["sweep"]] != scan["k"]:
        print(f"the sweep is over K = {[entry['k'] for entry in model['sweep']]}")
        failed += 1
    print(f"{'K':>2}{'inertia':>11}{'reference':>11}{'off':>10}"
          f"{'silhouette':>12}{'reference':>11}{'off':>9}")
    for entry, inertia, silhouette in zip(
        model["sweep"], scan["inertia_best"], scan["silhouette_best"]
    ):
        relative, difference, bad = off(entry, inertia, silhouette)
        failed += bad
        cells = f"{'':>12}{'':>11}{'':>9}" if difference is None else (
            f"{entry['silhouette']:>12.4f}{silhouette:>11.4f}{difference:>+9.4f}")
        print(f"{entry['k']:>2}{entry['inertia']:>11.2f}{inertia:>11.2f}{relative:>+10.3%}{cells}"
              + ("  FAILED" if bad else ""))
    wrong = model["elbow_k"] != ELBOW
    print(f"elbow {model['elbow_k']}, reference {scan['kneed_elbow_best_from_1']}"
          + ("  FAILED" if wrong else ""))
    failed += wrong
    print(f"{failed} figures failed" if failed else "every figure holds")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
