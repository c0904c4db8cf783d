#!/usr/bin/env python3
"""Turn the rows of smartcart_customers.csv into `customer.snapshot` events, one line each.

    smartcart_events.py smartcart_customers.csv --as-of 2014-06-29 > snapshots.ndjson

`customer_id` is the ID column as text, the time is --as-of. Columns keep their names; numbers become
JSON numbers, an empty cell becomes null (unknown), the rest stays text. Rows keep their order, so
these lines mean the same as `segmentd replay --format csv --as-of ...` on the file itself. Standard
library only.
"""

import argparse
import csv
import doctest
import json
import sys

TEXT_COLUMNS = {"Education", "Marital_Status", "Dt_Customer"}


def cell(column, text):
    """A cell as a JSON value.

    >>> cell("Income", "58138.0"), cell("Income", ""), cell("Education", "PhD"), cell("ID", "5524")
    (58138, None, 'PhD', 5524)
    >>> cell("Income", "0.5"), cell("Dt_Customer", "04-09-2012")
    (0.5, '04-09-2012')
    """
    if text == "":
        return None
    if column in TEXT_COLUMNS:
        return text
    number = float(text)
    return int(number) if number.is_integer() else number


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT.csv", nargs="?")
    parser.add_argument("--as-of", metavar="TIME", help="event time, RFC 3339 or a date")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.input or not arguments.as_of:
        parser.error("INPUT and --as-of are required")
    with open(arguments.input, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            event = {
                "id": f"snapshot-{arguments.as_of}-{row['ID']}",
                "source": "smartcart",
                "type": "customer.snapshot",
                "time": arguments.as_of,
                "customer_id": row["ID"],
            }
            event |= {column: cell(column, text) for column, text in row.items()}
            print(json.dumps(event, separators=(",", ":")))


if __name__ == "__main__":
    main()
