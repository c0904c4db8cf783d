#!/usr/bin/env python3
"""Kill the daemon while a mass of alerts leaves, on a genuine Kafka: the same alerts, each once.

    timer_kill_check.py --bootstrap localhost:9092 --segmentd .build/release/segmentd --kills 10

An invented shop has sold for 150 days, until 90 days ago, and nothing has come since. Its model is that of
a replay of its first customers. A daemon on the wall clock reads all of it, comes to the end, and nearly everybody is due at once. It is
killed (SIGKILL) again and again as soon as more alerts leave, and started again.
Another group reads the same topic without a break. Every customer must have the same records in both,
`decided_at` and `backfill` aside, with revisions 1..n; and the kills must have met alerts that were
leaving, or this check would show nothing.

The silence guard is off: that nobody orders is what is meant here. Prints a table and ends with status 1 on
any difference. Topics carry a run's own names and stay on the broker.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from broker_check import Broker, consume, wait_until_read
from produce import create_topic
from silence_check import DAY, daemon, line, options, send, shop


def model_of(arguments, orders, folder):
    """The bundle that a replay of some customers' orders makes."""
    events = folder / "events.ndjson"
    some = {f"c-{number}" for number in range(3000)}
    events.write_text("".join(line(order) + "\n" for order in orders if order[1] in some))
    path = folder / "model.json"
    subprocess.run(
        [arguments.segmentd, "replay", "--config", arguments.config, "--input", events,
         "--model-out", path], check=True, stderr=subprocess.DEVNULL)
    return path


def records(arguments, group):
    """Every customer's records in order, what differs between runs aside; and how many rose by time."""
    found, alerts = {}, 0
    for message in consume(arguments, f"{group}-out"):
        record = json.loads(message.value())
        alerts += record["cause"] == "time" and record["churn_transition"] in ("raised", "escalated")
        for name in ("decided_at", "backfill"):
            del record[name]
        found.setdefault(record["customer_id"], []).append(record)
    return found, alerts


def tail(arguments, topic):
    """A reader of what is written to a topic from now on, committed or not."""
    from confluent_kafka import OFFSET_END, Consumer, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": arguments.bootstrap, "group.id": "timer-kill-check",
        "enable.auto.commit": False, "isolation.level": "read_uncommitted", "log_level": 0})
    consumer.assign([TopicPartition(topic, partition, OFFSET_END)
                     for partition in range(arguments.partitions)])
    consumer.consume(1, timeout=1)
    return consumer


def has_gap(records):
    """Whether revisions are anything but 1..n.

    >>> has_gap([{"revision": 1}, {"revision": 2}]), has_gap([{"revision": 1}, {"revision": 1}])
    (False, True)
    """
    return [record["revision"] for record in records] != list(range(1, len(records) + 1))


def main():
    parser = options(__doc__, 100_000)
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    name = f"timers-{int(time.time())}"
    arguments.topic = f"{name}-events"
    chance = random.Random(arguments.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="timers-"))
    orders = shop(arguments.customers, time.time() - 90 * DAY, chance)
    model = model_of(arguments, orders, folder)
    create_topic(arguments.bootstrap, arguments.topic, arguments.partitions)
    send(arguments, orders)
    broker = Broker(arguments)

    def started(group):
        worker = daemon(arguments, group, folder, "churn.silence_guard=false",
                        "commit.interval=200ms", "commit.interval_minimum=50ms", model=model)
        worker.start()
        return worker

    whole = started(f"{name}-whole")
    wait_until_read(broker, f"{name}-whole", [whole], 600)
    expected, alerts = records(arguments, f"{name}-whole")
    status = whole.stop()

    group = f"{name}-killed"
    ends = broker.ends(arguments.topic, False)
    worker = started(group)
    while broker.committed(group) != ends:
        time.sleep(0.05)
    counts, inside = [], 0
    for _ in range(arguments.kills):
        reader = tail(arguments, f"{group}-out")
        # Until something leaves, or there is no more to leave.
        reader.consume(1, timeout=30)
        time.sleep(chance.uniform(0, 0.4))
        worker.kill()
        reader.close()
        inside += broker.is_open(group)
        counts.append(sum(broker.ends(f"{group}-out", True).values()))
        worker.start()
    wait_until_read(broker, group, [worker], 600)
    found, _ = records(arguments, group)
    last = sum(broker.ends(f"{group}-out", True).values())
    between = sum(before < now for before, now in zip(counts, counts[1:] + [last]))
    differing = sum(found.get(customer) != each for customer, each in expected.items())
    table = [
        ("orders", len(orders), True), ("customers", len(expected), len(expected) > 0),
        ("alerts by time", alerts, alerts > 0),
        ("kills", arguments.kills, True), ("of them inside a transaction", inside, inside > 0),
        ("kills after which more left", between, between > arguments.kills // 2),
        ("customers known to one group alone", count := len(expected.keys() ^ found.keys()), count == 0),
        ("customers whose records differ", differing, differing == 0),
        ("customers with a gap or a repeat", count := sum(map(has_gap, found.values())), count == 0),
        ("exit status without a break", status, status == 0),
        ("exit status after the kills", status := worker.stop(), status == 0),
    ]
    for text, figure, is_well in table:
        print(f"{text:44} {figure:>9} {'' if is_well else ' WRONG'}")
    sys.exit(0 if all(is_well for _, _, is_well in table) else 1)


if __name__ == "__main__":
    main()
