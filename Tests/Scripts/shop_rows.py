#!/usr/bin/env python3
"""Rows of customers twice: as the changelog's bytes say, and as the events of the simulated shop mean.

For broker_check.py. `decode` reads the bytes of RowFormat.md. `numbers` computes what the slots of the
shipped configuration hold of one customer from the set of their events, not one after the other, for
events as `segmentd simulate` writes them and a ledger that forgets none of them.
"""

import datetime
import json
import math
import struct

DAY = 86_400_000
HALF_LIFE = 30 * DAY
CATEGORIES = ["wines", "fruits", "meat", "fish", "sweets", "gold"]
CHANNELS = ["web", "catalog", "store"]
# Levels in declared order; names of no level are the default, the first one of each.
EDUCATION = [{"Graduate", "Graduation"}, {"Postgraduate", "Master", "PhD"},
             {"Undergraduate", "Basic", "2n Cycle"}]
LIVING = [{"Alone", "Single", "Divorced", "Widow", "Absurd", "YOLO"},
          {"Partner", "Married", "Together"}]
SLOTS = ["birth_year", "income", "kids_home", "teens_home", "education", "living_with",
         "enrolled_at", "last_purchase", *(f"spent_{name}" for name in CATEGORIES), "spent_other",
         *(f"orders_{name}" for name in CHANNELS), "orders_other", "orders_discounted",
         "recent_visits", "campaigns_accepted", "complaints"]
TYPES = {"customer.profile", "order.placed", "order.reversed", "engagement.visit",
         "engagement.campaign", "engagement.complaint", "privacy.erased"}


class Bytes:
    """Integers of a row, one after the other."""

    def __init__(self, data):
        self.data, self.position = data, 0

    def take(self, count):
        """So many bytes."""
        self.position += count
        return self.data[self.position - count:self.position]

    def unsigned(self):
        """LEB128.

        >>> Bytes(b"\\xac\\x02").unsigned()
        300
        """
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return number

    def signed(self):
        """Zig-zag LEB128.

        >>> Bytes(b"\\x03").signed(), Bytes(b"\\x04").signed()
        (-2, 2)
        """
        number = self.unsigned()
        return number >> 1 ^ -(number & 1)


def decode(data):
    """Life, revision, segment and numbers of a row's bytes, None for the stub of an erasure."""
    source = Bytes(data)
    if source.take(1) != b"S":
        raise ValueError("no row")
    source.take(1 + 8)
    row = {"life": source.signed(), "revision": source.unsigned(), "version": source.unsigned()}
    row["clock"] = source.signed()
    source.signed()
    source.signed()
    row["segment"] = source.unsigned() & 0xffff
    source.take(8)
    source.unsigned()
    count = source.unsigned()
    tags = source.take((count + 1) // 2)
    numbers = []
    for index in range(count):
        tag = tags[index // 2] >> index % 2 * 4 & 15
        numbers.append((lambda: 0.0, lambda: math.nan, lambda: float(source.signed()),
                        lambda: source.signed() / 100,
                        lambda: struct.unpack("<d", source.take(8))[0])[tag]())
    row["numbers"] = dict(zip([*SLOTS, "landmark"], numbers))
    return row


def moment(value):
    """Milliseconds since 1970.

    >>> moment("2026-03-01T00:00:00Z"), moment(5)
    (1772323200000, 5)
    """
    if not isinstance(value, str):
        return value
    parsed = datetime.datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=datetime.timezone.utc)
    return round(parsed.timestamp() * 1000)


def read(line):
    """The event of a line, or the reason of its rejection.

    >>> read(b'{"type":"order.placed","customer_id":"c","time":1,"amount":-1}')
    'out_of_range'
    >>> read(b'{"type":"order.placed","cust'), read(b'{"type":"x","customer_id":"c","time":1}')
    ('malformed_json', 'unknown_type')
    """
    try:
        event = json.loads(line)
    except ValueError:
        return "malformed_json"
    if event["type"] not in TYPES:
        return "unknown_type"
    if "customer_id" not in event:
        return "missing_customer"
    if event["type"] == "order.placed":
        if "amount" not in event:
            return "missing_field"
        if isinstance(event["amount"], str):
            return "wrong_type"
        if event["amount"] < 0:
            return "out_of_range"
    event["time"] = moment(event["time"])
    return event


def level(name, levels):
    """Index of a category's level."""
    return next((index for index, names in enumerate(levels) if name in names), 0)


def order(events):
    """Money by category, channel, discount and time of an order; None where it does not count.

    >>> placed = {"type": "order.placed", "time": 5, "amount": 9.5, "categories": {"fish": 9.0},
    ...           "channel": "web", "discount": False}
    >>> part = {"id": "r", "type": "order.reversed", "time": 6, "amount": 4.75}
    >>> order([part, placed, part])[0]
    {'fish': 4.5, 'other': 0.25}
    >>> order([placed, {"id": "f", "type": "order.reversed", "time": 5, "full": True}])
    """
    versions = [event for event in events if event["type"] == "order.placed"]
    if not versions:
        return None
    # Of two of one moment the first to arrive stays.
    newest = max(versions, key=lambda event: event["time"])
    reversals = {event["id"]: event for event in events if event["type"] == "order.reversed"}
    if any(event.get("full") and event["time"] >= newest["time"] for event in reversals.values()):
        return None
    held = dict(newest["categories"])
    held["other"] = newest["amount"] - sum(held.values())
    loose = 0.0
    for event in reversals.values():
        if event.get("full"):
            continue
        for name, part in event.get("categories", {}).items():
            held[name] = held.get(name, 0) - part
        loose += 0 if "categories" in event else event["amount"]
    held = {name: max(0.0, amount) for name, amount in held.items()}
    rest = sum(held.values())
    if loose and rest > 0:
        kept = max(0.0, 1 - loose / rest)
        held = {name: amount * kept for name, amount in held.items()}
    return held, newest["channel"], newest["discount"], newest["time"]


def numbers(events, landmark):
    """Slots of one customer from their events, in order of arrival only where moments are equal."""
    row = dict.fromkeys(SLOTS, 0.0)
    known = {}
    profiles = [event for event in events if event["type"] == "customer.profile"]
    # Stable, and the first of one moment wins.
    for event in sorted(profiles[::-1], key=lambda event: event["time"]):
        known |= event
    for name in ("birth_year", "income", "kids_home", "teens_home"):
        row[name] = math.nan if known.get(name) is None else float(known[name])
    row["education"] = row["living_with"] = row["enrolled_at"] = math.nan
    if "education" in known:
        row["education"] = level(known["education"], EDUCATION)
    if "marital_status" in known:
        row["living_with"] = level(known["marital_status"], LIVING)
    if "enrolled_at" in known:
        row["enrolled_at"] = moment(known["enrolled_at"]) / DAY
    row["last_purchase"] = math.nan
    orders, engagements = {}, {}
    for event in events:
        if "order_id" in event:
            orders.setdefault(event["order_id"], []).append(event)
        elif event["type"].startswith("engagement."):
            engagements[event["source"], event["id"]] = event
    for found in filter(None, map(order, orders.values())):
        held, channel, discount, time = found
        for name, amount in held.items():
            row[f"spent_{name}"] += amount
        row[f"orders_{channel if channel in CHANNELS else 'other'}"] += 1
        row["orders_discounted"] += discount
        day = float(time // DAY)
        row["last_purchase"] = day if math.isnan(row["last_purchase"]) else max(
            day, row["last_purchase"])
    for event in engagements.values():
        if event["type"] == "engagement.visit":
            age = event["time"] - landmark * 8 * HALF_LIFE
            row["recent_visits"] += 2 ** (age / HALF_LIFE)
        elif event["type"] == "engagement.campaign":
            row["campaigns_accepted"] += event["accepted"]
        else:
            row["complaints"] += 1
    return row


def living(events):
    """Events that count of one customer, in order of arrival: those of the present life.

    >>> visit, erased = {"type": "engagement.visit", "time": 3}, {"type": "privacy.erased", "time": 4}
    >>> living([visit, erased, visit]), living([erased, {**visit, "time": 5}])
    ([], [{'type': 'engagement.visit', 'time': 5}])
    """
    kept, erased_at = [], -math.inf
    for event in events:
        if event["time"] <= erased_at:
            continue
        if event["type"] == "privacy.erased":
            kept, erased_at = [], event["time"]
        else:
            kept.append(event)
    return kept


def differing(row, events):
    """Names of the numbers in which a decoded row differs from what its events mean.

    >>> complaint = {"id": "1", "source": "s", "type": "engagement.complaint", "time": 0}
    >>> row = {"numbers": {**numbers([complaint], 0), "landmark": 0}}
    >>> differing(row, [complaint, complaint])
    []
    >>> differing(row, [complaint, {**complaint, "id": "2"}])
    ['complaints 1.0 for 2.0']
    """
    expected = numbers(events, row["numbers"]["landmark"])
    wrong = []
    for name, value in expected.items():
        found = row["numbers"][name]
        both = math.isnan(value) and math.isnan(found)
        # Money goes in and out again as cents in doubles.
        if not both and not abs(found - value) <= 1e-9 * abs(value) + 1e-7:
            wrong.append(f"{name} {found!r} for {value!r}")
    return wrong
