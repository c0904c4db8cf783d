#!/usr/bin/env python3
"""Turn the rows of smartcart_customers.csv into many small events, in a random order of arrival.

    smartcart_small_events.py smartcart_customers.csv --as-of 2014-06-29 --seed 1 > events.ndjson

When everything has arrived, the customers are those of the file: what a row counts has become that many
`order.placed`, `engagement.*` and `customer.profile` events with times up to --as-of, written as plain
objects or as structured CloudEvents. Counts of what was made go to stderr as JSON. Standard library only.

- Orders are cut out of the row's totals by cents; the last one is on the day that `Recency` names.
- 5 % of all lines arrive twice. Some orders come in an older, wrong version too; some are larger than
  they stayed and are reversed in part, by categories or by half of what they hold; some were reversed in
  full and then placed again; some orders that nobody counts were reversed in full. These events come
  in any order among themselves, but at most 8 events of that customer apart, the length of the
  ledger and of the event window.
- Profiles come in parts, with outdated values that are older than the good ones and arrive anywhere.
- 50 strangers, some with very large amounts, are erased again; a few of their lines come only after that.
- Customers whose columns contradict each other arrive as one `customer.snapshot`: a purchase day without
  purchases, or more purchases at a discount than purchases.
"""

import argparse
import csv
import datetime
import json
import random
import sys
from collections import Counter

from smartcart_events import cell

CATEGORIES = {"wines": "MntWines", "fruits": "MntFruits", "meat": "MntMeatProducts",
              "fish": "MntFishProducts", "sweets": "MntSweetProducts", "gold": "MntGoldProds"}
CHANNELS = {"web": "NumWebPurchases", "catalog": "NumCatalogPurchases",
            "store": "NumStorePurchases"}
DAY = 86_400_000
WINDOW = 8
DUPLICATES = 0.05
STRANGERS = 50


def contradicts(row):
    """Whether a row cannot be the sum of events.

    >>> row = {"NumWebPurchases": "1", "NumCatalogPurchases": "0", "NumStorePurchases": "2"}
    >>> contradicts(row | {"NumDealsPurchases": "3"}), contradicts(row | {"NumDealsPurchases": "4"})
    (False, True)
    """
    orders = sum(int(row[column]) for column in CHANNELS.values())
    return orders == 0 or int(row["NumDealsPurchases"]) > orders


def parts(total, count, generator):
    """Cuts a whole number into so many parts, zero or more each.

    >>> sum(parts(1_000, 7, random.Random(1))), len(parts(5, 3, random.Random(1)))
    (1000, 3)
    """
    cuts = sorted(generator.randint(0, total) for _ in range(count - 1))
    return [right - left for left, right in zip([0, *cuts], [*cuts, total])]


def spread(groups, generator):
    """One order of arrival of events that belong together in groups.

    Groups stand in random order, and those of a group are mixed with their neighbours, at most
    WINDOW places from the first to the last.

    >>> order = spread([[(i, 0)] if i % 3 else [(i, 0), (i, 1)] for i in range(30)], random.Random(2))
    >>> len(order), max(abs(order.index((i, 0)) - order.index((i, 1))) for i in range(0, 30, 3)) <= 8
    (40, True)
    """
    slots = list(range(len(groups)))
    generator.shuffle(slots)
    reach = WINDOW
    while True:
        placed = []
        for number, (slot, group) in enumerate(zip(slots, groups)):
            for event in group:
                placed.append((slot + generator.uniform(0, reach), number, event))
        placed.sort(key=lambda entry: entry[:2])
        first, widest = {}, 0
        for place, (_, number, _) in enumerate(placed):
            widest = max(widest, place - first.setdefault(number, place))
        if widest <= WINDOW:
            return [event for _, _, event in placed]
        reach *= 0.8


class Writer:
    """Makes the events of one customer after the other and counts them."""

    def __init__(self, as_of, generator):
        self.as_of, self.random = as_of, generator
        self.counts = Counter()
        self.number = 0

    def event(self, kind, customer, time, **body):
        """One line: a plain object, or one time in ten a structured CloudEvent."""
        self.number += 1
        self.counts[kind] += 1
        moment = time
        if self.random.random() < 0.5:
            moment = datetime.datetime.fromtimestamp(time / 1000, datetime.timezone.utc)
            moment = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"id": f"e-{self.number}", "source": "smartcart", "type": kind, "time": moment}
        if self.random.random() < 0.1:
            event = {"specversion": "1.0", **head, "subject": customer, "data": body}
        else:
            event = {**head, "customer_id": customer, **body}
        return json.dumps(event, separators=(",", ":"))

    def order(self, customer, number, time, cents, channel, discount):
        """One version of an order."""
        body = {"order_id": number, "amount": sum(cents.values()) / 100, "currency": "EUR",
                "channel": channel, "discount": discount,
                "categories": {name: value / 100 for name, value in cents.items() if value}}
        if not discount and self.random.random() < 0.5:
            del body["discount"]
        return self.event("order.placed", customer, time, **body)

    def reversal(self, customer, number, time, **body):
        """All of an order, or a part of it."""
        return self.event("order.reversed", customer, time, order_id=number, **body)

    def random_cents(self, most=20_000):
        """What some order might have held."""
        names = self.random.sample(list(CATEGORIES), self.random.randint(1, 3))
        return {name: self.random.randint(1, most) for name in names}

    def order_group(self, customer, number, time, cents, channel, discount):
        """Every event of an order that in the end holds these cents."""
        draw = self.random.random()
        late = min(self.as_of, time + self.random.randint(1, 5 * DAY))
        early = time - self.random.randint(1, 3 * DAY)
        wrong = (self.random_cents(), self.random.choice(list(CHANNELS)), not discount)
        if draw < 0.05:
            self.counts["orders replaced"] += 1
            return [self.order(customer, number, early, *wrong),
                    self.order(customer, number, time, cents, channel, discount)]
        if draw < 0.09:
            self.counts["orders reversed in part"] += 1
            gone = self.random_cents()
            more = {name: cents.get(name, 0) + gone.get(name, 0) for name in CATEGORIES}
            group = [self.order(customer, number, time, more, channel, discount)]
            for name, value in gone.items():
                group.append(self.reversal(customer, number, late, amount=value / 100,
                                           categories={name: value / 100}))
            return group
        if draw < 0.11 and sum(cents.values()):
            self.counts["orders reversed by half"] += 1
            twice = {name: 2 * value for name, value in cents.items()}
            return [self.order(customer, number, time, twice, channel, discount),
                    self.reversal(customer, number, late, amount=sum(cents.values()) / 100)]
        if draw < 0.12:
            self.counts["orders replaced and reversed in part"] += 1
            gone = self.random_cents()
            more = {name: cents.get(name, 0) + gone.get(name, 0) for name in CATEGORIES}
            # What was reversed has to fit both versions, else it would stop at the smaller one.
            return [self.order(customer, number, early, gone, *wrong[1:]),
                    self.order(customer, number, time, more, channel, discount),
                    self.reversal(customer, number, late, amount=sum(gone.values()) / 100,
                                  categories={n: v / 100 for n, v in gone.items()})]
        if draw < 0.13:
            self.counts["orders reversed in full and placed again"] += 1
            return [self.order(customer, number, early, *wrong),
                    self.reversal(customer, number, time - 1, full=True),
                    self.order(customer, number, time, cents, channel, discount)]
        return [self.order(customer, number, time, cents, channel, discount)]

    def orders(self, customer, row):
        """Groups of all the orders of a row, and of some that were reversed in full."""
        channels = [name for name, column in CHANNELS.items() for _ in range(int(row[column]))]
        self.random.shuffle(channels)
        deals = set(self.random.sample(range(len(channels)), int(row["NumDealsPurchases"])))
        cents = [{} for _ in channels]
        for name, column in CATEGORIES.items():
            # Most orders hold two or three categories.
            some = self.random.sample(range(len(channels)), (len(channels) + 1) // 2)
            for place, part in zip(some, parts(100 * int(row[column]), len(some), self.random)):
                cents[place][name] = part
        last = self.as_of - int(row["Recency"]) * DAY
        groups = []
        for place, channel in enumerate(channels):
            if place == 0:
                time = min(self.as_of, last + self.random.randrange(DAY))
            else:
                time = last - self.random.randrange(400 * DAY)
            groups.append(self.order_group(customer, f"{customer}-{place}", time, cents[place],
                                           channel, place in deals))
        while self.random.random() < 0.2:
            self.counts["orders reversed in full"] += 1
            number = f"{customer}-gone-{len(groups)}"
            time = self.as_of - self.random.randint(2 * DAY, 300 * DAY)
            wrong = (self.random_cents(), self.random.choice(list(CHANNELS)), True)
            groups.append([self.order(customer, number, time, *wrong),
                           self.reversal(customer, number, time + self.random.randint(0, DAY),
                                         full=True)])
        return groups

    def profiles(self, customer, row):
        """Every field once with what holds, some before that with what does not."""
        income = cell("Income", row["Income"])
        day, month, year = row["Dt_Customer"].split("-")
        fields = {"birth_year": int(row["Year_Birth"]), "education": row["Education"],
                  "marital_status": row["Marital_Status"], "income": income,
                  "kids_home": int(row["Kidhome"]), "teens_home": int(row["Teenhome"]),
                  "enrolled_at": f"{year}-{month}-{day}"}
        outdated = {"income": self.random.randint(1, 200_000), "kids_home": 3,
                    "education": "Basic", "marital_status": "Alone", "birth_year": 1990}
        if income is None and self.random.random() < 0.5:
            del fields["income"], outdated["income"]
        names = list(fields)
        self.random.shuffle(names)
        groups = []
        cut = self.random.randint(1, len(names))
        for some in (names[:cut], names[cut:]):
            if not some:
                continue
            time = self.as_of - self.random.randint(0, 100 * DAY)
            groups.append([self.event("customer.profile", customer, time,
                                      **{name: fields[name] for name in some})])
            old = {name: outdated[name] for name in some
                   if name in outdated and self.random.random() < 0.2}
            if old:
                self.counts["outdated profiles"] += 1
                groups.append([self.event("customer.profile", customer,
                                          time - self.random.randint(1, 300 * DAY), **old)])
        return groups

    def engagement(self, customer, row):
        """Visits, complaints and campaigns; a campaign that was declined counts for nothing."""
        def some_time():
            return self.as_of - self.random.randint(0, 200 * DAY)

        groups = []
        for _ in range(int(row["NumWebVisitsMonth"])):
            groups.append([self.event("engagement.visit", customer, some_time())])
        for _ in range(int(row["Complain"])):
            groups.append([self.event("engagement.complaint", customer, some_time())])
        answers = [True] * int(row["Response"]) + [False] * self.random.randint(0, 2)
        for place, accepted in enumerate(answers):
            groups.append([self.event("engagement.campaign", customer, some_time(),
                                      campaign_id=f"c{place}", accepted=accepted)])
        return groups

    def customer(self, customer, row):
        """All lines of a customer in their order of arrival."""
        if contradicts(row):
            self.counts["contradicting customers"] += 1
            body = {column: cell(column, text) for column, text in row.items()}
            lines = [self.event("customer.snapshot", customer, self.as_of, **body)]
            return self.twice([lines])
        return self.twice(self.orders(customer, row) + self.profiles(customer, row)
                          + self.engagement(customer, row))

    def twice(self, groups):
        """An order of arrival in which some lines stand twice."""
        for group in groups:
            for line in list(group):
                if self.random.random() < DUPLICATES:
                    self.counts["duplicates"] += 1
                    group.append(line)
        return spread(groups, self.random)

    def stranger(self, number, rows):
        """Somebody who is erased again within a week before the end: the lines, in order."""
        customer = f"stranger-{number}"
        row = dict(self.random.choice(rows))
        row["ID"] = customer
        if number % 5 == 0:
            row |= {"Income": "900000000", "MntWines": "5000000", "MntGoldProds": "3000001"}
        lines = self.customer(customer, row)
        erased = self.event("privacy.erased", customer,
                            self.as_of - self.random.randint(0, 6 * DAY // 1000) * 1000)
        # Whatever comes after the erasure has to have happened before it.
        limit = json.loads(erased)["time"]
        place = self.random.randint(len(lines) // 2, len(lines))
        after = [line for line in lines[place:] if moment(line) < moment_of(limit)]
        self.counts["lines after an erasure"] += len(after)
        return lines[:place] + [erased] + after


def moment_of(time):
    """Epoch milliseconds of the time of an event.

    >>> moment_of("1970-01-02T00:00:00.250Z"), moment_of(17)
    (86400250, 17)
    """
    if isinstance(time, int):
        return time
    return round(datetime.datetime.fromisoformat(time).timestamp() * 1000)


def moment(line):
    """Epoch milliseconds of the time of a line."""
    return moment_of(json.loads(line)["time"])


def events(rows, as_of, seed):
    """All lines in their order of arrival, and the counts of what they are."""
    generator = random.Random(seed)
    writer = Writer(as_of, generator)
    sequences = [writer.customer(row["ID"], row) for row in rows]
    usual = [row for row in rows if not contradicts(row)]
    sequences += [writer.stranger(number, usual) for number in range(STRANGERS)]
    # Everybody's lines keep their order; whose turn it is is random.
    turns = [number for number, lines in enumerate(sequences) for _ in lines]
    generator.shuffle(turns)
    iterators = [iter(lines) for lines in sequences]
    return [next(iterators[number]) for number in turns], writer.counts


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", metavar="INPUT.csv")
    parser.add_argument("--as-of", metavar="DATE", required=True, help="the day of the file")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default 1)")
    arguments = parser.parse_args()
    day = datetime.datetime.fromisoformat(arguments.as_of).replace(tzinfo=datetime.timezone.utc)
    with open(arguments.input, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines, counts = events(rows, round(day.timestamp() * 1000), arguments.seed)
    sys.stdout.write("".join(line + "\n" for line in lines))
    print(json.dumps(counts), file=sys.stderr)


if __name__ == "__main__":
    main()
