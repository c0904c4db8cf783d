#!/usr/bin/env python3
"""Hold the statistics of random small shops against a second computation of what their events mean.

    check_statistics.py --segmentd .build/release/segmentd --cases 1000
    check_statistics.py --segmentd .build/release/segmentd --cases 1000 --half-life 30

Each case is a seeded sequence of events of all kinds about a few dozen customers, in any order within the
ledger: profiles in parts, orders in several versions, reversed in full and in part, duplicates, amounts near
the limit, visits that fade, and at the end the newest half of the customers erased, some of whom come back as
new people. segmentd replays it, with refits in between, and writes table, bundle and records. This script
computes the customer table from the same events in its own way (per customer, from the set of events, not
one after the other), and from it in two passes with NumPy:

- table: 1e-9 of each value, missing where missing; means: 1e-9 of max(|mean|, deviation); deviations 1e-9;
  constant features: scale 1
- correlation matrix: eigenvalues to 1e-9 of their sum, and the components are its eigenvectors, those
  of nearly equal eigenvalues aside, which may be turned towards the version before
- medians of what can be missing, between the middle values: .1 % for numbers, a day or a hundredth of a
  year for what ages
- with --half-life, the same where customers weigh 2^(time of their newest event / half-life); medians and
  numbers of customers stay those of all
- nobody who was erased is in table or assignments, nor in any record after their tombstone

Ends with status 1 if a case fails, and names its seed.
"""

import argparse
import csv
import datetime
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy

from smartcart_small_events import DAY, spread

CONFIGURATION = os.path.join(os.path.dirname(__file__), "../../config/segmentd.yaml")
CATEGORIES = ["wines", "fruits", "meat", "fish", "sweets", "gold"]
HALF_LIFE = 30 * DAY
AS_OF = 1_772_323_200_000  # 2026-03-01
MISSABLE = {"income", "age", "children", "tenure_days", "recency_days"}
AGING = {"age": 0.011, "tenure_days": 1.001, "recency_days": 1.001}
FEATURES = [
    "income", "age", "children", "education_Postgraduate", "education_Undergraduate",
    "living_with_Partner", "tenure_days", "recency_days",
    *(f"spent_{name}" for name in CATEGORIES), "spent_other", "orders_web", "orders_catalog",
    "orders_store", "orders_other", "orders_discounted", "recent_visits", "campaigns_accepted",
    "complaints",
]


class Shop:
    """Events of one case, and what they mean."""

    def __init__(self, seed, customers):
        self.random = random.Random(seed)
        self.number = 0
        self.lines, self.rows, self.clocks, self.erased = [], {}, {}, set()
        sequences = []
        for index in range(customers):
            name = f"customer-{seed}-{index}-x"
            is_erased = index >= customers - customers // 2
            lines, events = self.life(name, AS_OF - 400 * DAY, AS_OF - 8 * DAY)
            if is_erased:
                sequences.append(self.erase(name, lines))
            else:
                self.settle(name, events)
                sequences.append(lines)
        turns = [number for number, lines in enumerate(sequences) for _ in lines]
        self.random.shuffle(turns)
        iterators = [iter(lines) for lines in sequences]
        self.lines = [next(iterators[number]) for number in turns]

    def settle(self, name, events):
        """Notes the row of somebody who is there at the end."""
        self.rows[name] = row(events)
        self.clocks[name] = max(event["time"] for event in events)

    def erase(self, name, lines):
        """The lines of somebody who is erased, and may come back as somebody new."""
        time = AS_OF - self.random.randint(2 * DAY, 6 * DAY)
        self.number += 1
        erasure = json.dumps({"id": f"e{self.number}", "type": "privacy.erased", "time": time,
                              "customer_id": name})
        place = self.random.randint(len(lines) // 2, len(lines))
        sequence = lines[:place] + [erasure]
        late = lines[place:]
        if self.random.random() < 0.3:
            again, events = self.life(name, time + 1, AS_OF)
            self.settle(name, events)
            # What is late comes in between, and changes nothing of the new life.
            for line in late:
                again.insert(self.random.randint(0, len(again)), line)
            return sequence + again
        self.erased.add(name)
        return sequence + late

    def life(self, name, start, end):
        """Lines in an order of arrival, and the set of events."""
        groups, events = [], []
        for _ in range(self.random.randint(0, 3)):
            groups.append([self.event("customer.profile", self.time(start, end), self.profile())])
        for number in range(self.random.randint(0, 7)):
            groups.append(self.order(f"{name}-{self.number}-{number}", start, end))
        for _ in range(self.random.randint(0, 6)):
            kind = self.random.choice(["visit", "visit", "visit", "campaign", "complaint"])
            body = {"accepted": self.random.random() < 0.5} if kind == "campaign" else {}
            groups.append([self.event(f"engagement.{kind}", self.time(start, end), body)])
        if not groups:
            groups.append([self.event("engagement.visit", self.time(start, end), {})])
        for group in groups:
            events += group
            group += [event for event in group if self.random.random() < 0.05]
        lines = spread([[json.dumps({**event, "customer_id": name}) for event in group]
                        for group in groups], self.random)
        return lines, events

    def time(self, start, end):
        return self.random.randint(start, end)

    def event(self, kind, time, body):
        self.number += 1
        return {"id": f"e{self.number}", "type": kind, "time": time, **body}

    def profile(self):
        pick = self.random
        whole = {
            "income": pick.choice([None, 900_000_000, *(pick.randint(5_000, 99_999)
                                                        for _ in range(8))]),
            "birth_year": pick.choice([None, 1900, *(pick.randint(1940, 2005) for _ in range(8))]),
            "kids_home": pick.choice([None, 0, 1, 2]), "teens_home": pick.choice([0, 1, 2]),
            "education": pick.choice(["Basic", "2n Cycle", "Graduation", "Master", "PhD", "Odd"]),
            "marital_status": pick.choice(["Single", "Married", "Together", "Widow", "Odd"]),
            "enrolled_at": f"20{pick.randint(18, 25)}-0{pick.randint(1, 9)}-1{pick.randint(0, 9)}",
        }
        return {name: value for name, value in whole.items() if pick.random() < 0.7}

    def order(self, number, start, end):
        """Versions and reversals of one order."""
        pick = self.random
        group = []
        moments = sorted(pick.sample(range(start, end), pick.choice([1, 1, 1, 2, 3])))
        least = dict.fromkeys(CATEGORIES, 10**9)
        for time in moments:
            held = {name: pick.randint(0, 20_000) for name in pick.sample(CATEGORIES, 2)}
            if pick.random() < 0.03:
                held["gold"] = 899_999_999
            least = {name: min(least[name], held.get(name, 0)) for name in CATEGORIES}
            more = pick.choice([0, 0, 490])
            group.append(self.event("order.placed", time, {
                "order_id": number, "amount": (sum(held.values()) + more) / 100,
                "categories": {name: cents / 100 for name, cents in held.items()},
                "channel": pick.choice(["web", "catalog", "store", "phone"]),
                "discount": pick.random() < 0.3}))
        draw = pick.random()
        if draw < 0.1:
            time = pick.choice([*moments, end])
            group.append(self.event("order.reversed", time, {"order_id": number, "full": True}))
        elif draw < 0.3:
            for name, cents in least.items():
                if cents > 1:
                    part = pick.randint(1, cents)
                    group.append(self.event("order.reversed", self.time(moments[-1], end), {
                        "order_id": number, "amount": part / 100,
                        "categories": {name: part / 100}}))
        return group


def row(events):
    """Features of one customer at AS_OF from the set of their events."""
    values = dict.fromkeys(FEATURES, 0.0)
    known = {}
    for event in sorted((e for e in events if e["type"] == "customer.profile"),
                        key=lambda e: e["time"]):
        known.update({name: value for name, value in event.items()
                      if name not in ("id", "type", "time")})
    nan = float("nan")

    def number(name):
        return nan if known.get(name) is None else float(known[name])

    values["income"] = number("income")
    # 2026-03-01: 59 of 365 days have passed.
    values["age"] = 2026 + 59 / 365 - number("birth_year")
    values["children"] = number("kids_home") + number("teens_home")
    education = known.get("education")
    values["education_Postgraduate"] = float(education in ("Master", "PhD"))
    values["education_Undergraduate"] = float(education in ("Basic", "2n Cycle"))
    values["living_with_Partner"] = float(known.get("marital_status") in ("Married", "Together"))
    values["tenure_days"] = nan if "enrolled_at" not in known else float(
        (datetime.date(2026, 3, 1) - datetime.date.fromisoformat(known["enrolled_at"])).days)
    last = nan
    orders = {event["order_id"] for event in events if "order_id" in event}
    for order in orders:
        mine = [event for event in events if event.get("order_id") == order]
        newest = max((e for e in mine if e["type"] == "order.placed"), key=lambda e: e["time"])
        if any(e.get("full") and e["time"] >= newest["time"] for e in mine):
            continue
        held = dict(newest["categories"])
        values["spent_other"] += newest["amount"] - sum(held.values())
        for event in mine:
            if event["type"] == "order.reversed" and "categories" in event:
                for name, part in event["categories"].items():
                    held[name] = held.get(name, 0) - part
        for name, amount in held.items():
            values[f"spent_{name}"] += amount
        channel = newest["channel"] if newest["channel"] in ("web", "catalog", "store") else "other"
        values[f"orders_{channel}"] += 1
        values["orders_discounted"] += newest["discount"]
        day = newest["time"] // DAY
        last = day if not last >= day else last
    values["recency_days"] = AS_OF / DAY - last
    for event in events:
        if event["type"] == "engagement.visit":
            values["recent_visits"] += 2 ** (-(AS_OF - event["time"]) / HALF_LIFE)
        elif event["type"] == "engagement.campaign":
            values["campaigns_accepted"] += event["accepted"]
        elif event["type"] == "engagement.complaint":
            values["complaints"] += 1
    return [values[name] for name in FEATURES]


def faults(shop, folder, half_life):
    """What is wrong with the outputs of one replay."""
    with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
        model = json.load(file)
    features = model["features"]
    if [feature["name"] for feature in features] != FEATURES:
        return [f"features {[feature['name'] for feature in features]}"]
    with open(os.path.join(folder, "table.csv"), encoding="utf-8", newline="") as file:
        table = {entry[0]: [float(cell or "nan") for cell in entry[1:]]
                 for entry in list(csv.reader(file))[1:]}
    with open(os.path.join(folder, "assignments.csv"), encoding="utf-8") as file:
        assigned = {entry["customer_id"]: entry for entry in csv.DictReader(file)}
    if set(table) != set(shop.rows) or set(assigned) != set(shop.rows):
        return [f"customers {sorted(set(table) ^ set(shop.rows))}"]
    found = []
    ours = numpy.array([table[name] for name in shop.rows])
    rows = numpy.array(list(shop.rows.values()))
    # Amounts near the limit went in and out of the same sums.
    wrong = ~((abs(ours - rows) <= 1e-9 * abs(rows) + 1e-7) | (numpy.isnan(ours) & numpy.isnan(rows)))
    for place, column in zip(*numpy.nonzero(wrong)):
        found.append(f"{list(shop.rows)[place]} {FEATURES[column]}: {ours[place, column]} "
                     f"for {rows[place, column]}")
    bound = (rows[:, 1] >= 90) | (rows[:, 0] >= 600_000)
    if [assigned[name]["outlier"] == "true" for name in shop.rows] != bound.tolist():
        found.append("outliers")
    training = rows[~bound]
    weights = numpy.ones(len(training))
    if half_life:
        clocks = numpy.array(list(shop.clocks.values()))[~bound]
        weights = numpy.exp2((clocks - clocks.max()) / (half_life * DAY))
    weights /= weights.sum()
    known = []
    for number, (feature, column) in enumerate(zip(features, training.T)):
        name = feature["name"]
        everybody = numpy.sort(rows[~numpy.isnan(rows[:, number]), number])
        column = numpy.where(numpy.isnan(column), feature["imputation"], column)
        mean = weights @ column
        scale = numpy.sqrt(weights @ (column - mean) ** 2)
        known.append((column - mean) / (scale or 1))
        if feature["missing"] != numpy.isnan(training[:, number]).sum():
            found.append(f"missing {name}: {feature['missing']}")
        if not abs(feature["mean"] - mean) <= 1e-9 * max(abs(mean), scale) + 1e-12:
            found.append(f"mean {name}: {feature['mean']} for {mean}")
        constant = (column == column[0]).all()
        if not abs(feature["scale"] - (1 if constant else scale)) <= 1e-9 * scale:
            found.append(f"scale {name}: {feature['scale']} for {scale}")
        if constant:
            known[-1][:] = 0
        if len(everybody) and name in MISSABLE:
            low, high = everybody[(len(everybody) - 1) // 2], everybody[len(everybody) // 2]
            slack = AGING.get(name, 0.001 * max(abs(low), abs(high)) + 1e-9)
            if not low - slack <= feature["imputation"] <= high + slack:
                found.append(f"median {name}: {feature['imputation']} for {low} to {high}")
    scaled = numpy.array(known)
    correlation = (weights * scaled) @ scaled.T
    basis = numpy.array(model["pca"]["components"])
    eigenvalues = numpy.array(model["pca"]["explained_variance"])
    expected = numpy.linalg.eigvalsh(correlation)[::-1][:len(eigenvalues)]
    if not abs(eigenvalues - expected).max() <= 1e-9 * numpy.trace(correlation):
        found.append(f"eigenvalues off by {abs(eigenvalues - expected).max()}")
    # Components of nearly equal eigenvalues may be turned among themselves towards those before.
    within = basis @ correlation @ basis.T
    turned = numpy.linalg.eigvalsh(within)[::-1]
    if not max(abs(basis @ basis.T - numpy.eye(len(basis))).max(),
               abs(basis @ correlation - within @ basis).max(),
               abs(turned - expected).max()) <= 1e-9 * numpy.trace(correlation):
        found.append("components do not span the eigenvectors")
    for left, right in itertools.combinations(range(len(basis)), 2):
        if eigenvalues[left] > 1.2 * eigenvalues[right] and abs(within[left, right]) > 1e-8:
            found.append(f"components {left} and {right} are mixed")
    alive = {name for name in shop.rows}
    with open(os.path.join(folder, "output"), encoding="utf-8") as file:
        gone = set()
        for line in file:
            record = json.loads(line)
            if record["value"] is None:
                gone.add(record["key"])
            elif record["key"] in gone and record["key"] not in alive:
                found.append(f"{record['key']} after the tombstone")
    final = json.dumps(model)
    found += [f"{name} in the bundle" for name in shop.erased if name in final]
    return found


def replay(arguments, shop):
    """Runs one case: its faults."""
    with tempfile.TemporaryDirectory() as folder:
        def inside(name):
            return os.path.join(folder, name)

        with open(inside("events"), "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in shop.lines))
        result = subprocess.run(
            [arguments.segmentd, "replay", "--config", arguments.config, "--input",
             inside("events"), "--as-of", "2026-03-01", "--set", "model.minimum_customers=8",
             "--set", "model.components=16", "--set", "model.challengers=2",
             "--set", "model.mini_batch=16",
             *(["--set", f"model.forgetting.half_life={arguments.half_life}d"]
               if arguments.half_life else []),
             "--output", inside("output"),
             "--model-out", inside("model.json"), "--assignments-out", inside("assignments.csv"),
             "--table-out", inside("table.csv")],
            capture_output=True, text=True, check=False,
        )
        if result.returncode != 0:
            return [f"status {result.returncode}: {result.stderr[-500:]}"]
        if "rejected:" in result.stderr:
            return [result.stderr]
        return faults(shop, folder, arguments.half_life)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segmentd", required=True, metavar="PROGRAM")
    parser.add_argument("--config", default=CONFIGURATION, help="default: the shipped one")
    parser.add_argument("--cases", type=int, default=1000, help="default 1000")
    parser.add_argument("--half-life", type=int, metavar="DAYS", help="default: nothing is forgotten")
    parser.add_argument("--seed", type=int, default=1, help="of the first case")
    arguments = parser.parse_args()
    failed = events = 0
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        # Small shops mostly; some that take several batches and refits.
        shop = Shop(seed, 300 if seed % 50 == 0 else 24 + seed % 40)
        events += len(shop.lines)
        found = replay(arguments, shop)
        failed += bool(found)
        for fault in found[:5]:
            print(f"seed {seed}: {fault}", flush=True)
    print(f"{arguments.cases} cases, {events:,} events, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
