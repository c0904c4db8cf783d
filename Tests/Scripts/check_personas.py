#!/usr/bin/env python3
"""Print the personas of bundles and check that each deserves its name by the rule declared for it.

    check_personas.py --config config/segmentd.yaml --model m.json

A rule is the persona's `weights` in the configuration: its score for a segment is the weighted mean of the
centroid's deviations from everybody's mean, in standard deviations. What has to hold:

- four segments with four distinct names, keys and strategies, as declared
- the score of each segment for its own persona is above 0: it leans the way that the rule says
- no two segments would both score higher with their names exchanged, and no name that is not given fits a
  segment better by more than what keeps names from flapping, a quarter of a deviation

Under each segment stand the four features that set it apart most, in deviations and in the units of the
feature. Ends with status 1 if something does not hold. Standard library only.
"""

import argparse
import itertools
import json
import re
import sys

LOYALTY = 0.25


def declared(text):
    """Personas of a configuration: {key: (name, {feature: weight})}.

    >>> declared("a: 1\\npersonas:\\n  - key: k\\n    name: Some name\\n    strategy: >-\\n      Text.\\n"
    ...          "    weights: {a: 0.5,\\n      b_c: -1}\\nother: 2\\n")
    {'k': ('Some name', {'a': 0.5, 'b_c': -1.0})}
    """
    section = re.search(r"^personas:\n((?:[ #].*\n|\n)*)", text, re.MULTILINE)
    found = {}
    for entry in re.split(r"^  - ", section[1] if section else "", flags=re.MULTILINE)[1:]:
        key = re.search(r"^(?:    )?key: (.+)$", entry, re.MULTILINE)[1].strip()
        name = re.search(r"^(?:    )?name: (.+)$", entry, re.MULTILINE)[1].strip()
        pairs = re.search(r"weights:\s*\{([^}]*)\}", entry)[1].split(",")
        weights = {part.split(":")[0].strip(): float(part.split(":")[1]) for part in pairs}
        found[key] = (name, weights)
    return found


def score(weights, deviations):
    """Weighted mean of deviations, over the features that there are.

    >>> score({"a": 1, "b": -1, "absent": 5}, {"a": 1.0, "b": -0.5, "c": 9.0})
    0.75
    """
    known = {name: weight for name, weight in weights.items() if name in deviations}
    total = sum(abs(weight) for weight in known.values())
    return sum(weight * deviations[name] for name, weight in known.items()) / (total or 1)


def check(path, personas):
    """Prints the segments of a bundle; returns what does not hold."""
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    wrong, scores = [], {}
    segments = model["segments"]
    for what in ("id", "key", "name", "strategy"):
        if len({segment[what] for segment in segments}) != 4:
            wrong.append(f"not four distinct of {what}")
    print(f"{path}: {model['training_customers']} of {model['customers']} customers in training")
    for segment in sorted(segments, key=lambda segment: -segment["customers"]):
        deviations = {
            feature["name"]: (segment["centroid"][feature["name"]] - feature["mean"])
            / feature["scale"] for feature in model["features"]
        }
        scores[segment["key"]] = {key: score(weights, deviations)
                                  for key, (_, weights) in personas.items()}
        if segment["key"] not in personas or personas[segment["key"]][0] != segment["name"]:
            wrong.append(f"{segment['name']} is not declared")
            continue
        own = scores[segment["key"]][segment["key"]]
        rank = sorted((entry for entry in scores[segment["key"]].values()), reverse=True).index(own)
        print(f"  {segment['id']} {segment['name']}: {segment['customers']} customers, "
              f"{segment['customers'] / model['customers']:.1%}; score {own:+.2f}, "
              f"best but {rank}" if rank else
              f"  {segment['id']} {segment['name']}: {segment['customers']} customers, "
              f"{segment['customers'] / model['customers']:.1%}; score {own:+.2f}, the best")
        for name, deviation in sorted(deviations.items(), key=lambda item: -abs(item[1]))[:4]:
            mean = next(f["mean"] for f in model["features"] if f["name"] == name)
            print(f"      {name:26}{segment['centroid'][name]:>12,.2f} for {mean:>10,.2f}"
                  f"{deviation:>+8.2f} deviations")
        if not own > 0:
            wrong.append(f"{segment['name']}: its rule gives {own:+.2f}")
        for key, other in scores[segment["key"]].items():
            if key not in {entry["key"] for entry in segments} and other > own + LOYALTY:
                wrong.append(f"{segment['name']}: {personas[key][0]} fits better, "
                             f"{other:+.2f} to {own:+.2f}")
    for left, right in itertools.combinations(scores, 2):
        if scores[left].get(right, 0) > scores[left].get(left, 0) and \
                scores[right].get(left, 0) > scores[right].get(right, 0):
            wrong.append(f"{left} and {right} should exchange their names")
    return wrong


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, metavar="F")
    parser.add_argument("--model", required=True, nargs="+", metavar="m.json")
    arguments = parser.parse_args()
    with open(arguments.config, encoding="utf-8") as file:
        personas = declared(file.read())
    wrong = [fault for path in arguments.model for fault in check(path, personas)]
    for fault in wrong:
        print(f"FAILED: {fault}")
    print(f"{len(wrong)} faults" if wrong else "every persona's rule holds")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
