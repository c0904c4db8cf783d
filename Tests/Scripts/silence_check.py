#!/usr/bin/env python3
"""A daemon three days behind, and a feed that stops for two days, on a genuine Kafka: nobody is blamed.

    silence_check.py --bootstrap localhost:9092 --segmentd .build/release/segmentd

An invented shop has sold for 150 days, until now. What happened is known; what the daemon gets of it is not
all at once:

1. Everything until five days ago. The daemon learns, and stops.
2. The three days after that wait in the topic when it starts again. It reads them, comes to the end, and its
   clock is the wall clock's: two days on, without an order. The feed has stopped.
3. A second daemon, of another group and with `churn.silence_guard=false`, reads the same: what would
   happen without the guard.
4. The feed is back: what has waited for two days, then orders of now.

What has to hold: an alert (a band that rises by time) names the last order that the customer had truly
made by its moment, also where that order was still waiting; none is of the silent days while the feed
stands still; the alerts of those days come when it is back, and none is said twice. The second daemon
does blame customers, or this check would show nothing. Prints a table and ends with status 1 on
any difference. Topics carry a run's own names and stay on the broker.
"""

import argparse
import collections
import datetime
import json
import pathlib
import random
import sys
import tempfile
import time

from broker_check import Broker, Daemon, consume, wait, wait_until_read
from produce import create_topic

DAY = 86_400


def shop(customers, now, chance):
    """Orders of 150 days, by time: (seconds since 1970, customer, number)."""
    orders = []
    for customer in range(customers):
        gap = chance.uniform(4, 20) * DAY
        moment = now - 150 * DAY + chance.uniform(0, 60) * DAY
        while moment < now:
            orders.append((moment, f"c-{customer}"))
            if chance.random() < 0.04:
                break
            moment += chance.expovariate(1 / gap)
    return [(*order, number) for number, order in enumerate(sorted(orders))]


def line(order):
    """An order as an event.

    >>> json.loads(line((1.5, "c-1", 7)))["time"]
    1500
    """
    moment, customer, number = order
    return json.dumps({
        "type": "order.placed", "source": "shop", "id": str(number), "customer_id": customer,
        "time": int(moment * 1000), "order_id": str(number), "amount": 20 + number % 50,
        "currency": "EUR", "channel": "web"})


def send(arguments, orders):
    """Sends orders, each keyed by its customer."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": arguments.bootstrap, "partitioner": "murmur2_random",
                         "linger.ms": 20, "log_level": 0})
    for order in orders:
        while True:
            try:
                producer.produce(arguments.topic, key=order[1], value=line(order))
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        sys.exit("not every order was confirmed")


def seconds(text):
    """Seconds since 1970 of a time in a record.

    >>> seconds("1970-01-02T00:00:00.500Z")
    86400.5
    """
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def alerts(arguments, group):
    """Records whose band rose by time: (customer, moment, record)."""
    found = []
    for message in consume(arguments, f"{group}-out"):
        if message.value() is None:
            continue
        record = json.loads(message.value())
        if record["churn_transition"] in ("raised", "escalated") and record["cause"] == "time":
            found.append((record["customer_id"], seconds(record["effective_at"]), record))
    return found


def blamed(found, orders):
    """Alerts whose customer had ordered since the order that they name.

    >>> late = {"last_order_at": "1970-01-02"}
    >>> blamed([("c", 9 * DAY, late)], [(1.5 * DAY, "c", 0), (8 * DAY, "c", 1)])
    [('c', 777600, {'last_order_at': '1970-01-02'})]
    >>> blamed([("c", 7 * DAY, late)], [(1.5 * DAY, "c", 0), (8 * DAY, "c", 1)])
    []
    """
    times = collections.defaultdict(list)
    for moment, customer, _ in orders:
        times[customer].append(moment)
    wrong = []
    for customer, moment, record in found:
        last = max(time for time in times[customer] if time <= moment)
        if datetime.datetime.fromtimestamp(last, datetime.timezone.utc).date().isoformat() \
                != record["last_order_at"]:
            wrong.append((customer, moment, record))
    return wrong


def options(description, customers):
    """What every check of an invented shop on a Kafka is told."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--segmentd", required=True)
    parser.add_argument("--config", default="config/segmentd.yaml")
    parser.add_argument("--customers", type=int, default=customers)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def daemon(arguments, group, folder, *settings, model=None):
    """A daemon on the wall clock, or with other settings."""
    worker = Daemon(arguments, group, "1", model, folder)
    for setting in ("clock.at_end=wall", *settings):
        worker.command += ["--set", setting]
    return worker


def main():
    arguments = options(__doc__, 4000).parse_args()
    name = f"silence-{int(time.time())}"
    arguments.topic = f"{name}-events"
    now = time.time()
    orders = shop(arguments.customers, now, random.Random(arguments.seed))
    behind, silent = now - 5 * DAY, now - 2 * DAY
    folder = pathlib.Path(tempfile.mkdtemp(prefix="silence-"))
    broker = Broker(arguments)
    create_topic(arguments.bootstrap, arguments.topic, arguments.partitions)
    failed = []

    def row(text, figure, is_well=True):
        print(f"{text:64} {figure:>9} {'' if is_well else ' WRONG'}")
        if not is_well:
            failed.append(text)

    send(arguments, [order for order in orders if order[0] <= behind])
    worker = daemon(arguments, name, folder, "clock.at_end=hold")
    worker.start()
    wait_until_read(broker, name, [worker], 300)
    row("exit status of the daemon that learned", status := worker.stop(), status == 0)
    row("alerts until five days ago", len(alerts(arguments, name)))

    # Three days wait, then the feed stands still.
    send(arguments, [order for order in orders if behind < order[0] <= silent])
    worker = daemon(arguments, name, folder)
    worker.start()
    wait_until_read(broker, name, [worker], 300)
    time.sleep(20)
    before = alerts(arguments, name)
    row("alerts until the feed stopped", len(before))
    row("  of them of customers whose order waited", count := len(blamed(before, orders)), count == 0)
    row("  of them of the silent days", count := sum(m > silent for _, m, _ in before), count == 0)

    # The same without the guard.
    other = daemon(arguments, f"{name}-bare", folder, "churn.silence_guard=false")
    other.start()
    wait_until_read(broker, f"{name}-bare", [other], 300)
    time.sleep(20)
    bare = [alert for alert in alerts(arguments, f"{name}-bare") if alert[1] > silent]
    row("without the guard: alerts of the silent days", len(bare), len(bare) > 0)
    row("  of them of customers whose order is in the pipe", count := len(blamed(bare, orders)), count > 0)
    other.stop()

    # The pipe is mended.
    send(arguments, [order for order in orders if order[0] > silent])
    wait_until_read(broker, name, [worker], 300)
    number = len(orders)
    for _ in range(3):
        fresh = [(time.time(), f"new-{index}", number + index) for index in range(20)]
        number += len(fresh)
        send(arguments, fresh)
        time.sleep(8)
    wait("alerts of the silent days", 120,
         lambda: any(moment > silent for _, moment, _ in alerts(arguments, name)))
    wait_until_read(broker, name, [worker], 300)
    after = alerts(arguments, name)
    late = [alert for alert in after if alert[1] > silent]
    row("back: alerts of the silent days", len(late), len(late) > 0)
    row("  of them of customers whose order had waited", count := len(blamed(after, orders)), count == 0)
    seen = collections.Counter((record["customer_id"], record["life"], record["revision"])
                               for _, _, record in after)
    row("alerts said twice", count := sum(times > 1 for times in seen.values()), count == 0)
    row("exit status", status := worker.stop(), status == 0)
    print("as it should be" if not failed else f"{len(failed)} figures are wrong")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
