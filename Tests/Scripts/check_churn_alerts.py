#!/usr/bin/env python3
"""Hold the churn alerts of a simulated shop against who truly left, and when.

    check_churn_alerts.py --segmentd .build/release/segmentd
    check_churn_alerts.py --segmentd .build/release/segmentd --curve --customers 2500

Simulates a shop of 400 days whose dropouts are known (segmentd simulate --truth), replays it with the
shipped configuration, and reads the records. An alert is a transition into the band `high`. It is *false*
if the customer was still active at `effective_at`. What has to hold with the default thresholds:

- caught: of the dropouts with two repeat purchases or more, at least .8 are in `high` within six of their
  own mean gaps, the mean distance between their purchase days up to the dropout
- false alarms per customer-year of active life: at most .2
- alerts after the dropout per churned customer: at most 1.05; also printed of those with an alert alone,
  so that customers without one cannot hide others with two

What counts:

- Transitions of cause `time` and `event`. Those of cause `model`, made by a refit that moved a threshold past
  the customer, reach a reader of the topic alike but come with a refit and not with the customer: every
  figure is printed with them too. Those of the very last refit, which only replay makes, never count.
- Dropouts and active life after the warm-up only, which has to outlast the wait for the first bands. An alert
  from before stays in force; a customer who was in `high` when they left was caught, with a delay of 0.
- A dropout whose six gaps go beyond the last event is left out, and so is one erased before they end.
- Purchase days (UTC) are those of orders that were not reversed in full; a dropout's own by the stream's end.
- Active life is from the first purchase to the dropout or the end; in the row of repeat buyers from the
  third purchase day on.

With --curve the replay runs again for every pair of churn.raise.high and churn.quantile.high, a minute each
(--raises and --quantiles name others); churn.raise.medium goes down with a churn.raise.high below it.
Ends with status 1 if a figure misses its goal. Standard library only.
"""

import argparse
import csv
import datetime
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict

CONFIGURATION = os.path.join(os.path.dirname(__file__), "../../config/segmentd.yaml")
DAY = 86_400_000
YEAR = 365.25 * DAY
WITHIN = 6
REPEATS_MIN = 2
CAUGHT_MIN, FALSE_MAX, ALERTS_MAX = 0.8, 0.2, 1.05
RAISES, QUANTILES, RAISE_MEDIUM = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), (0.9, 0.95, 0.98), 0.5
CUSTOMER_CAUSES = frozenset(("time", "event"))
ALL_CAUSES = frozenset(("time", "event", "model"))


def milliseconds(time):
    """Epoch milliseconds of a time as events have it, RFC 3339 or milliseconds already.

    >>> milliseconds("1970-01-02T00:00:00.250Z"), milliseconds(7)
    (86400250, 7)
    """
    if isinstance(time, int):
        return time
    moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1_000)


class Customer:
    """What is true of a customer: times in epoch milliseconds, None for never."""

    def __init__(self, kind="", left=None, erased=None, days=()):
        self.kind = kind
        self.left = left
        self.erased = erased
        self.days = sorted(days)

    def gap(self):
        """Repeat purchases before the dropout, and their mean gap in milliseconds.

        Only purchase days up to the dropout count.

        >>> Customer(left=30 * DAY + 5, days=[10, 0, 30, 50]).gap() == (2, 15 * DAY)
        True
        >>> Customer(left=3 * DAY, days=[3]).gap()
        (0, None)
        """
        days = [day for day in self.days if self.left is None or day * DAY <= self.left]
        repeats = max(0, len(days) - 1)
        return repeats, (days[-1] - days[0]) * DAY / repeats if repeats else None


def read_events(file, customers):
    """Fills in purchase days and erasures; returns the times of the first and last event.

    What segmentd rejects is no purchase, an order told twice is one, and one reversed in full is none,
    whichever of its lines came first.

    >>> def line(type, order=None, time="1970-01-03T10:00:00Z", customer="c", **more):
    ...     return json.dumps({"type": type, "time": time, "customer_id": customer, "order_id": order} | more)
    >>> customers = {"c": Customer(), "d": Customer()}
    >>> read_events([
    ...     line("order.placed", "1", amount=5), line("order.placed", "1", amount=4),
    ...     line("order.placed", "2", time="1970-01-05T00:00:00Z", amount=5),
    ...     line("order.placed", "3", time="1970-01-06T00:00:00Z", amount="5"),
    ...     line("order.reversed", "4", full=True), line("order.placed", "4", amount=1, customer="d"),
    ...     line("order.reversed", "2", amount=1), '{"type":', line("privacy.erased", customer="d"),
    ... ], customers) == (2 * DAY + DAY * 10 // 24, 5 * DAY)
    True
    >>> customers["c"].days, customers["d"].days, customers["d"].erased == 2 * DAY + DAY * 10 // 24
    ([2, 4], [], True)
    """
    placed, reversed_orders = {}, set()
    first, last = math.inf, -math.inf
    for line in file:
        try:
            event = json.loads(line)
            customer = customers.get(event["customer_id"])
        except (ValueError, KeyError):
            continue
        time = milliseconds(event["time"])
        first, last = min(first, time), max(last, time)
        if customer is None:
            continue
        kind, amount = event["type"], event.get("amount")
        if kind == "order.placed" and isinstance(amount, (int, float)) and amount >= 0:
            placed.setdefault(event["order_id"], (customer, time // DAY))
        elif kind == "order.reversed" and event.get("full"):
            reversed_orders.add(event["order_id"])
        elif kind == "privacy.erased":
            customer.erased = time
    days = defaultdict(set)
    for order, (customer, day) in placed.items():
        if order not in reversed_orders:
            days[customer].add(day)
    for customer, own in days.items():
        customer.days = sorted(own)
    return first, last


def read_bands(file):
    """Changes of band in the output: {customer: [(time, band, cause)]}, when bands began, what was left out.

    >>> def line(time, band, before, cause="time", version=1, customer="c"):
    ...     return json.dumps({"value": {"customer_id": customer, "effective_at": time, "churn_band": band,
    ...         "previous_churn_band": before, "cause": cause, "model_version": version}})
    >>> read_bands([
    ...     line("1970-01-01T00:00:00Z", "insufficient_data", None, "model"), '{"value": null}',
    ...     line("1970-01-01T00:00:01Z", "medium", "insufficient_data", "model"),
    ...     line("1970-01-01T00:00:02Z", "high", "medium"), line("1970-01-01T00:00:03Z", "high", "high"),
    ...     line("1970-01-01T00:00:04Z", "low", "high", "event", 2),
    ...     line("1970-01-01T00:00:05Z", "high", "medium", "model", 3, "d"),
    ...     line("1970-01-01T00:00:05Z", "medium", "low", "time", 3, "d"),
    ... ]) == ({"c": [(1000, "medium", "model"), (2000, "high", "time"), (4000, "low", "event")],
    ...         "d": [(5000, "medium", "time")]}, 1000, 1)
    True
    """
    changes, newest = [], 0
    for line in file:
        value = json.loads(line)["value"]
        if value is None:
            continue
        newest = max(newest, value["model_version"])
        band, before = value["churn_band"], value["previous_churn_band"]
        if band in (before, "insufficient_data"):
            continue
        changes.append((value["customer_id"], milliseconds(value["effective_at"]), band,
                        value["cause"], value["model_version"]))
    began = min((time for _, time, _, _, _ in changes), default=math.inf)
    bands, left_out = defaultdict(list), 0
    for customer, time, band, cause, version in changes:
        # Nothing but the last refit of a replay makes records of the last version and that cause.
        if cause == "model" and version == newest:
            left_out += band == "high"
        else:
            bands[customer].append((time, band, cause))
    return dict(bands), began, left_out


class Figures:
    """What came of a group of customers."""

    def __init__(self):
        self.dropouts = self.censored = self.erased = 0
        self.caught = self.already = self.later = 0
        self.alerts = self.alerted = 0
        self.delays, self.delays_in_gaps = [], []
        self.false_alarms = 0
        self.years = 0.0

    def share(self):
        return self.caught / self.dropouts if self.dropouts else math.nan

    def false_rate(self):
        return self.false_alarms / self.years if self.years else math.nan

    def alerts_per_churned(self):
        return self.alerts / self.dropouts if self.dropouts else math.nan

    def alerts_per_alerted(self):
        return self.alerts / self.alerted if self.alerted else math.nan


def dropout(figures, customer, changes, causes, begin, end):
    """Counts a customer's dropout, if it is one that counts.

    Six gaps of ten days; the dropout is on day 30. In time on day 90, too late after that; once more
    after an order that came late; not known yet if the end is before; caught if in `high` already.

    >>> def one(changes, end=400, begin=0, causes=CUSTOMER_CAUSES, days=(0, 10, 20, 30), **more):
    ...     figures = Figures()
    ...     customer = Customer(left=30 * DAY, days=days, **more)
    ...     changes = [(day * DAY, band, cause) for day, band, cause in changes]
    ...     dropout(figures, customer, changes, causes, begin * DAY, end * DAY)
    ...     return (figures.dropouts, figures.censored, figures.erased, figures.caught, figures.already,
    ...             figures.later, figures.alerts, figures.alerted, figures.delays_in_gaps)
    >>> one([(50, "medium", "time"), (90, "high", "time")])
    (1, 0, 0, 1, 0, 0, 1, 1, [6.0])
    >>> one([(91, "high", "time")])
    (1, 0, 0, 0, 0, 1, 1, 1, [6.1])
    >>> one([(40, "high", "time"), (41, "low", "event"), (80, "high", "time")])
    (1, 0, 0, 1, 0, 0, 2, 1, [1.0])
    >>> one([(20, "high", "time")]), one([(20, "high", "time"), (25, "low", "event")])
    ((1, 0, 0, 1, 1, 0, 0, 0, [0.0]), (1, 0, 0, 0, 0, 0, 0, 0, []))
    >>> one([(40, "high", "model")]), one([(40, "high", "model")], causes=ALL_CAUSES)
    ((1, 0, 0, 0, 0, 0, 0, 0, []), (1, 0, 0, 1, 0, 0, 1, 1, [1.0]))
    >>> one([(40, "high", "time")], end=90), one([(40, "high", "time")], begin=31)
    ((0, 1, 0, 0, 0, 0, 0, 0, []), (0, 0, 0, 0, 0, 0, 0, 0, []))
    >>> one([], erased=60 * DAY), one([(90, "high", "time")], days=(0, 30))
    ((0, 0, 1, 0, 0, 0, 0, 0, []), (0, 0, 0, 0, 0, 0, 0, 0, []))
    """
    repeats, gap = customer.gap()
    if customer.left is None or not begin <= customer.left < end or repeats < REPEATS_MIN:
        return
    deadline = customer.left + WITHIN * gap
    if customer.erased is not None and customer.erased <= deadline:
        figures.erased += 1
        return
    if deadline >= end:
        figures.censored += 1
        return
    figures.dropouts += 1
    before = [change for change in changes if change[0] < customer.left]
    already = bool(before) and before[-1][1] == "high" and before[-1][2] in causes
    alerts = [time for time, band, cause in changes
              if band == "high" and cause in causes and time >= customer.left]
    figures.alerts += len(alerts)
    figures.alerted += bool(alerts)
    if already or alerts:
        delay = 0 if already else alerts[0] - customer.left
        figures.delays.append(delay / DAY)
        figures.delays_in_gaps.append(delay / gap)
        in_time = delay <= WITHIN * gap
        figures.caught += in_time
        figures.later += not in_time
        figures.already += already


def active_life(figures, customer, changes, causes, begin, end, purchases):
    """Counts a customer's active life from that many purchase days on, and the false alarms in it.

    >>> def one(changes, purchases=1, begin=0, **more):
    ...     figures = Figures()
    ...     changes = [(day * DAY, band, cause) for day, band, cause in changes]
    ...     active_life(figures, Customer(days=[100, 110, 130], **more), changes, CUSTOMER_CAUSES,
    ...                 begin * DAY, 500 * DAY, purchases)
    ...     return figures.false_alarms, round(figures.years * 365.25, 6)
    >>> changes = [(120, "high", "time"), (130, "low", "event"), (150, "high", "model"),
    ...            (200, "high", "event")]
    >>> one(changes), one(changes, left=200 * DAY), one(changes, left=200 * DAY, begin=125)
    ((2, 400.0), (1, 100.0), (0, 75.0))
    >>> one(changes, purchases=3), one(changes, purchases=4), one(changes, left=100 * DAY)
    ((1, 370.0), (0, 0.0), (0, 0.0))
    >>> one(changes, left=200 * DAY, begin=250)
    (0, 0.0)
    """
    if len(customer.days) < purchases:
        return
    start = max(begin, customer.days[purchases - 1] * DAY)
    stop = end if customer.left is None else min(end, customer.left)
    if start >= stop:
        return
    figures.years += (stop - start) / YEAR
    figures.false_alarms += sum(
        band == "high" and cause in causes and start <= time < stop for time, band, cause in changes
    )


def evaluate(customers, bands, causes, begin, end):
    """Figures by name: everybody, of repeat buyers, by kind, and by number of repeats.

    >>> customers = {"a": Customer("family", 40 * DAY, None, [0, 10, 20, 30, 40]),
    ...              "b": Customer("newcomer", None, None, [50])}
    >>> bands = {"a": [(30 * DAY, "high", "time"), (40 * DAY, "low", "event"), (70 * DAY, "high", "time")],
    ...          "b": [(90 * DAY, "high", "time")]}
    >>> groups = evaluate(customers, bands, CUSTOMER_CAUSES, 10 * DAY, 200 * DAY)
    >>> [(name, groups[name].caught, groups[name].false_alarms, round(groups[name].years * 365.25))
    ...  for name in sorted(groups)]  # doctest: +NORMALIZE_WHITESPACE
    [('4-7 repeats', 1, 1, 30), ('all', 1, 2, 180), ('family', 1, 1, 30), ('newcomer', 0, 1, 150),
     ('repeat buyers', 0, 1, 20)]
    """
    groups = defaultdict(Figures)
    for name, customer in customers.items():
        changes = bands.get(name, [])
        repeats, _ = customer.gap()
        size = "2-3" if repeats < 4 else "4-7" if repeats < 8 else "8-15" if repeats < 16 else "16-"
        for group in ("all", customer.kind):
            dropout(groups[group], customer, changes, causes, begin, end)
            active_life(groups[group], customer, changes, causes, begin, end, 1)
        active_life(groups["repeat buyers"], customer, changes, causes, begin, end, REPEATS_MIN + 1)
        if repeats >= REPEATS_MIN:
            dropout(groups[f"{size} repeats"], customer, changes, causes, begin, end)
            active_life(groups[f"{size} repeats"], customer, changes, causes, begin, end, 1)
    return groups


def quantile(values, share):
    """The value below which that share lies, by linear interpolation; not a number of nothing.

    >>> quantile([3, 1, 2, 10], 0.5), quantile([1, 2], 1), quantile([], 0.5)
    (2.5, 2.0, nan)
    """
    if not values:
        return math.nan
    ordered, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def verdicts(figures):
    """Rows of name, value, goal and whether it is met; what cannot be computed is not.

    >>> figures = Figures()
    >>> figures.dropouts, figures.caught, figures.later, figures.alerted, figures.alerts = 10, 8, 1, 9, 10
    >>> figures.years, figures.false_alarms = 10, 2
    >>> [met for _, _, _, met in verdicts(figures)]
    [True, True, True, False]
    >>> figures.caught, figures.later, figures.alerts, figures.false_alarms = 7, 2, 9, 3
    >>> [met for _, _, _, met in verdicts(figures)], any(met for *_, met in verdicts(Figures()))
    ([False, False, True, True], False)
    >>> figures.alerts = 11
    >>> [met for _, _, _, met in verdicts(figures)]
    [False, False, False, False]
    """
    return [
        ("caught within six own mean gaps", figures.share(), f">= {CAUGHT_MIN}",
         figures.share() >= CAUGHT_MIN),
        ("false alarms per customer-year", figures.false_rate(), f"<= {FALSE_MAX}",
         figures.false_rate() <= FALSE_MAX),
        ("alerts per churned customer", figures.alerts_per_churned(), f"<= {ALERTS_MAX}",
         figures.alerts_per_churned() <= ALERTS_MAX),
        ("alerts per churned customer with one", figures.alerts_per_alerted(), f"<= {ALERTS_MAX}",
         figures.alerts_per_alerted() <= ALERTS_MAX),
    ]


def replay(arguments, events, output, overrides=()):
    """Bands of a replay, as `read_bands` gives them."""
    command = [arguments.segmentd, "replay", "--config", arguments.config, "--input", events,
               "--output", output]
    for override in overrides:
        command += ["--set", override]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    with open(output, encoding="utf-8") as file:
        return read_bands(file)


def print_groups(groups):
    """A line per group of customers."""
    print(f"{'':16}{'dropouts':>9}{'censored':>9}{'caught':>8}{'already':>8}{'later':>7}{'never':>7}"
          f"{'alerts':>8}{'days':>7}{'gaps':>6}{'years':>9}{'false':>7}{'a year':>8}")
    for name in sorted(groups, key=lambda name: (name != "all", name != "repeat buyers",
                                                 name[0].isdigit(), int(name.split("-")[0])
                                                 if name[0].isdigit() else 0, name)):
        group = groups[name]
        never = group.dropouts - group.caught - group.later
        if name == "repeat buyers":
            left = f"{'':62}"
        else:
            left = (f"{group.dropouts:>9,}{group.censored:>9,}{group.share():>8.3f}"
                    f"{group.already:>8,}{group.later:>7,}{never:>7,}"
                    f"{group.alerts_per_churned():>8.3f}{quantile(group.delays, 0.5):>7.1f}"
                    f"{quantile(group.delays_in_gaps, 0.5):>6.2f}")
            left = f"{left:62}"
        print(f"{name:16}{left}{group.years:>9,.0f}{group.false_alarms:>7,}{group.false_rate():>8.3f}")


def print_curve(arguments, events, output, customers, span):
    """A line per pair of thresholds."""
    print(f"\n{'raise':>6}{'quantile':>9}{'caught':>8}{'false/year':>11}{'with model':>16}"
          f"{'alerts':>8}{'days':>7}{'gaps':>6}")
    for threshold in arguments.raises:
        for silence in arguments.quantiles:
            overrides = [f"churn.raise.high={threshold}", f"churn.quantile.high={silence}"]
            if threshold < RAISE_MEDIUM:
                overrides.append(f"churn.raise.medium={threshold}")
            bands, _, _ = replay(arguments, events, output, overrides)
            own = evaluate(customers, bands, CUSTOMER_CAUSES, *span)["all"]
            every = evaluate(customers, bands, ALL_CAUSES, *span)["all"]
            print(f"{threshold:>6}{silence:>9}{own.share():>8.3f}{own.false_rate():>11.3f}"
                  f"{every.share():>8.3f}{every.false_rate():>8.3f}{own.alerts_per_churned():>8.3f}"
                  f"{quantile(own.delays, 0.5):>7.1f}{quantile(own.delays_in_gaps, 0.5):>6.2f}",
                  flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segmentd", required=True, metavar="PROGRAM")
    parser.add_argument("--config", default=CONFIGURATION, help="default: the shipped one")
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--events", type=int, help="default: 40 a customer, the shop's own pace")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=120, metavar="DAYS",
                        help="after which dropouts and active life count (default 120)")
    parser.add_argument("--curve", action="store_true", help="other thresholds as well")
    parser.add_argument("--raises", type=float, nargs="+", default=RAISES, metavar="RISK")
    parser.add_argument("--quantiles", type=float, nargs="+", default=QUANTILES, metavar="SHARE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        events, truth, output = (os.path.join(folder, name) for name in ("events", "truth", "output"))
        with open(events, "wb") as file:
            subprocess.run(
                [arguments.segmentd, "simulate", "--customers", str(arguments.customers), "--events",
                 str(arguments.events or 40 * arguments.customers), "--seed", str(arguments.seed),
                 "--truth", truth],
                stdout=file, check=True,
            )
        with open(truth, encoding="utf-8", newline="") as file:
            customers = {
                row["customer_id"]: Customer(row["kind"], milliseconds(row["dropped_out_at"])
                                             if row["dropped_out_at"] else None)
                for row in csv.DictReader(file)
            }
        with open(events, encoding="utf-8") as file:
            first, end = read_events(file, customers)
        bands, began, last_refit = replay(arguments, events, output)
        begin = first + arguments.warm_up * DAY
        if not first < began <= begin < end:
            sys.exit(f"bands began {(began - first) / DAY:.1f} days after the first event: "
                     f"not within a warm-up of {arguments.warm_up}")
        failed = report(customers, bands, began, last_refit, (first, begin, end))
        if arguments.curve:
            print_curve(arguments, events, output, customers, (begin, end))
    print(f"{failed} figures missed their goal" if failed else "every figure meets its goal")
    sys.exit(1 if failed else 0)


def report(customers, bands, began, last_refit, moments):
    """Prints the figures of one replay; returns how many miss their goal."""
    first, begin, end = moments
    own = evaluate(customers, bands, CUSTOMER_CAUSES, begin, end)
    every = evaluate(customers, bands, ALL_CAUSES, begin, end)
    repeated = [customer for customer in customers.values()
                if customer.left is not None and customer.gap()[0] >= REPEATS_MIN]
    print(f"{len(customers):,} customers in {(end - first) / DAY:.1f} days; bands from day "
          f"{(began - first) / DAY:.1f}, counted from day {(begin - first) / DAY:.0f}")
    figures = own["all"]
    early = sum(customer.left < begin for customer in repeated)
    print(f"dropouts with two repeats or more: {len(repeated):,}; {early:,} during the warm-up, "
          f"{figures.censored:,} with six gaps beyond the end, {figures.erased:,} erased, "
          f"{figures.dropouts:,} counted")
    into = Counter(cause for changes in bands.values() for _, band, cause in changes if band == "high")
    print(f"into high by cause: {', '.join(f'{cause} {into[cause]:,}' for cause in sorted(into))}; "
          f"by the last refit alone, not counted: {last_refit:,}\n")
    failed = 0
    print(f"{'':38}{'time, event':>12}{'with model':>12}{'goal':>9}")
    for (name, value, goal, met), (_, other, _, _) in zip(verdicts(figures), verdicts(every["all"])):
        failed += not met
        print(f"{name:38}{value:>12.3f}{other:>12.3f}{goal:>9}{'' if met else '  missed'}")
    print(f"{'false alarms, of repeat buyers':38}{own['repeat buyers'].false_rate():>12.3f}"
          f"{every['repeat buyers'].false_rate():>12.3f}")
    for unit in ("delays", "delays_in_gaps"):
        for share in (0.1, 0.25, 0.5, 0.75, 0.9):
            name = f"delay, {'days' if unit == 'delays' else 'own gaps'}, {share:.0%}"
            print(f"{name:38}{quantile(getattr(figures, unit), share):>12.2f}"
                  f"{quantile(getattr(every['all'], unit), share):>12.2f}")
    for title, groups in (("time, event", own), ("with model", every)):
        print(f"\nby kind and by repeat purchases, {title}; days and gaps are median delays")
        print_groups(groups)
    return failed


if __name__ == "__main__":
    main()
