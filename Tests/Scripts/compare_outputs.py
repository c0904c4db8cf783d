#!/usr/bin/env python3
"""Compare two dumps of an output topic: the same records for each customer, in the same order?

    compare_outputs.py A.ndjson B.ndjson

Lines are `{"key":...,"headers":{...},"value":...}` (dump_topic.py, `segmentd replay --output`). Customers may
come in any order, the records of one customer may not. `decided_at` and `backfill` are ignored, being
about the run and not the customer. --ignore NAME and --ignore-header NAME leave out more (for runs of
two groups: --ignore-header ce_source). Numbers must be equal unless --tolerance allows a relative
difference. Prints the first differences and a verdict; ends with status 1 if there are any.
Standard library only.
"""

import argparse
import array
import doctest
import json
import sys
from collections import defaultdict


def same(left, right, tolerance):
    """Whether two JSON values are equal, numbers up to a relative difference.

    >>> same({"a": [1, 2.0]}, {"a": [1, 2.0000001]}, 1e-6), same(1.0, 1.1, 1e-6)
    (True, False)
    >>> same(True, 1, 0), same(None, 0, 0), same(1, 1.0, 0)
    (False, False, True)
    """
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return abs(left - right) <= tolerance * max(abs(left), abs(right))
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(
            same(left[name], right[name], tolerance) for name in left
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(
            same(a, b, tolerance) for a, b in zip(left, right)
        )
    return left == right


def records(path, ignored, ignored_headers):
    """Key and record of each line, without what is ignored."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                value = record["value"]
                if isinstance(value, dict):
                    value = {n: v for n, v in value.items() if n not in ignored}
                headers = {n: v for n, v in record["headers"].items() if n not in ignored_headers}
                yield record["key"], {"headers": headers, "value": value}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                sys.exit(f"{path}:{number}: no record of a dump: {error!r}")


def fingerprints(path, ignored, ignored_headers):
    """A number per record, in order, by key: eight bytes instead of a record.

    Equal records have equal numbers; records with different ones may still be equal, such as 1 and 1.0.
    """
    numbers = defaultdict(lambda: array.array("q"))
    for key, record in records(path, ignored, ignored_headers):
        numbers[key].append(hash(json.dumps(record, sort_keys=True)))
    return numbers


def of_keys(keys, path, ignored, ignored_headers):
    """The records of a few keys."""
    found = defaultdict(list)
    for key, record in records(path, ignored, ignored_headers):
        if key in keys:
            found[key].append(record)
    return found


def differing_names(left, right, tolerance):
    """Paths of the fields in which two records differ.

    >>> differing_names({"headers": {}, "value": {"a": 1, "b": 2}},
    ...                 {"headers": {"h": "x"}, "value": {"a": 1, "b": 3}}, 0)
    ["headers.h: absent / 'x'", 'value.b: 2 / 3']
    >>> differing_names({"headers": {}, "value": None}, {"headers": {}, "value": {}}, 0)
    ['value: None / {}']
    """
    names = []
    for part in ("headers", "value"):
        a, b = left[part], right[part]
        if isinstance(a, dict) and isinstance(b, dict):
            for name in sorted(a.keys() | b.keys()):
                if name not in a or name not in b or not same(a[name], b[name], tolerance):
                    shown = [repr(x[name]) if name in x else "absent" for x in (a, b)]
                    names.append(f"{part}.{name}: {shown[0]} / {shown[1]}")
        elif not same(a, b, tolerance):
            names.append(f"{part}: {a!r} / {b!r}")
    return names


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="A.ndjson B.ndjson")
    parser.add_argument("--ignore", action="append", default=[], metavar="NAME")
    parser.add_argument("--ignore-header", action="append", default=[], metavar="NAME")
    parser.add_argument("--tolerance", type=float, default=0, metavar="T")
    parser.add_argument("--show", type=int, default=10, help="differences to show (default 10)")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if len(arguments.files) != 2:
        parser.error("two files are required")
    ignored = {"decided_at", "backfill", *arguments.ignore}
    left_out = (ignored, set(arguments.ignore_header))
    numbers = [fingerprints(path, *left_out) for path in arguments.files]
    suspects = {key for key in numbers[0].keys() | numbers[1].keys()
                if numbers[0].get(key) != numbers[1].get(key)}
    left, right = (of_keys(suspects, path, *left_out) if suspects else {}
                   for path in arguments.files)

    differing, shown, differing_records = set(), 0, 0

    def report(key, text):
        nonlocal shown, differing_records
        differing.add(key)
        differing_records += 1
        if shown < arguments.show:
            print(f"{key}: {text}")
            shown += 1

    for key in sorted(suspects, key=str):
        a, b = left.get(key, []), right.get(key, [])
        for index, (one, other) in enumerate(zip(a, b), 1):
            names = differing_names(one, other, arguments.tolerance)
            if names:
                # Whatever follows the first difference of a customer is a consequence of it.
                report(key, f"record {index}: " + "; ".join(names[:6]))
                break
        if len(a) != len(b):
            report(key, f"{len(a)} records / {len(b)} records")
    counts = [sum(map(len, side.values())) for side in numbers]
    print(f"{len(numbers[0])} / {len(numbers[1])} customers, {counts[0]} / {counts[1]} records: " + (
        f"DIFFERENT for {len(differing)} customers ({differing_records} differences)"
        if differing else "the same for every customer"
    ))
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
