#!/usr/bin/env python3
"""Turn the CDNOW sample into `order.placed` events, one line each, in order of time.

    cdnow_events.py CDNOW_sample.txt > events.ndjson
    segmentd replay --config config/segmentd.yaml --input events.ndjson --set churn.horizon_days=273 \\
        --cut 1997-09-30 --churn-report churn.json

Standard library only. A line of the file is a purchase: id in the full set, id in the sample, day
(yyyymmdd), CDs, dollars. The customer is the id in the sample; an order's number is the line's; its time is
noon (UTC) of the day. Lines of one day are orders of their own, for segmentd counts days.
"""

import argparse
import json
import sys


def event(number, line):
    """The event of one line.

    >>> event(1, " 00004 0001 19970101  2   29.33")["amount"]
    29.33
    >>> event(1, " 00004 0001 19970101  2   29.33")["time"]
    '1997-01-01T12:00:00Z'
    """
    _, customer, day, _, dollars = line.split()
    return {
        "type": "order.placed", "source": "cdnow", "id": str(number),
        "time": f"{day[:4]}-{day[4:6]}-{day[6:]}T12:00:00Z",
        "customer_id": customer, "order_id": str(number),
        "amount": float(dollars), "currency": "USD", "channel": "web",
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    arguments = parser.parse_args()
    with open(arguments.file, encoding="ascii") as lines:
        events = [event(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for each in sorted(events, key=lambda each: each["time"]):
        sys.stdout.write(json.dumps(each, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
