#!/usr/bin/env python3
"""The output topic as a table, on a genuine Kafka that compacts it, with a daemon that is killed.

    table_check.py --bootstrap localhost:9092 --segmentd .build/release/segmentd

A simulated shop's events are sent in portions, and customers are erased between them. The output topic is
compacted as soon as Kafka can, tombstones go within a minute, and the daemon is killed (SIGKILL) after
every portion. Readers (table_consumer.py) come at any time: one reads a little after every portion, one
reads a little after the first, one all of the first, and both come back at the end, when tombstones have
gone and they start over; one comes at the end. All of them must end with exactly the customers that the
daemon exports, and with their latest decisions as the daemon explains them; and records must have gone by
compaction, and tombstones too, or this would show nothing. Prints a table and ends with status 1 on any
difference. Topics carry a run's own names and stay on the broker.
"""

import json
import pathlib
import random
import socket
import sys
import tempfile
import time

from broker_check import Broker, simulate, wait, wait_until_read
from produce import create_topic, key_and_time
from silence_check import daemon, options
from table_consumer import Table, compare, consume, export, fetch, opened

PORTIONS = 5
ERASED = 15
# How long tombstones stay, and so how long a reader may be away, in seconds.
RETENTION = 45


def create_compacted(bootstrap, topic, partitions):
    """The output topic, compacted at once; tombstones go after `RETENTION`."""
    from confluent_kafka.admin import AdminClient, NewTopic

    settings = {"cleanup.policy": "compact", "segment.ms": "2000", "min.cleanable.dirty.ratio": "0.01",
                "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "2000",
                "delete.retention.ms": str(RETENTION * 1000)}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=partitions, config=settings)])[topic].result(30)


def send(arguments, lines):
    """Sends events, each keyed by its customer; those without one are left out."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": arguments.bootstrap, "partitioner": "murmur2_random",
                         "linger.ms": 20, "log_level": 0})
    for line in lines:
        key, _ = key_and_time(line)
        while key:
            try:
                producer.produce(arguments.topic, key=key, value=line)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        sys.exit("not every event was confirmed")


def erasures(admin, chance):
    """Events that erase some customers now, by the daemon's clock."""
    names = chance.sample(export(admin), ERASED)
    lines = []
    for name in names:
        clock = json.loads(fetch(admin, f"/api/customers/{name}"))["clock"]
        lines.append(json.dumps({"id": f"erase-{name}", "type": "privacy.erased", "time": clock,
                                 "customer_id": name}).encode())
    return lines


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main():
    parser = options(__doc__, 2000)
    parser.add_argument("--events", type=int, default=60_000)
    arguments = parser.parse_args()
    name = f"table-{int(time.time())}"
    arguments.topic, output = f"{name}-events", f"{name}-out"
    chance = random.Random(arguments.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="table-"))
    with open(folder / "events.ndjson", "wb") as file:
        simulate(arguments, arguments.customers, arguments.events, file).wait()
    lines = (folder / "events.ndjson").read_bytes().splitlines()
    create_topic(arguments.bootstrap, arguments.topic, arguments.partitions)
    create_compacted(arguments.bootstrap, output, arguments.partitions)
    broker, admin = Broker(arguments), f"127.0.0.1:{free_port()}"
    worker = daemon(arguments, name, folder, "clock.at_end=hold", f"admin.listen={admin}")
    worker.start()
    found = []

    def answers():
        try:
            return json.loads(fetch(admin, "/api/status"))["ready"]
        except OSError:
            return False

    def read(path, **options):
        table = opened(path, RETENTION)
        found.extend(consume(table, arguments.bootstrap, output, **options))
        return table

    steady, erased = Table(folder / "steady.db"), 0
    for portion in range(PORTIONS):
        begin, end = (number * len(lines) // PORTIONS for number in (portion, portion + 1))
        send(arguments, lines[begin:end])
        found += consume(steady, arguments.bootstrap, output, records_max=500)
        time.sleep(chance.uniform(0.2, 1.5))
        worker.kill()
        worker.start()
        wait_until_read(broker, name, [worker], 300)
        wait("ready", 60, answers)
        if portion == 0:
            read(folder / "early.db", records_max=400).base.close()
            # This one has seen everybody who is going to be erased.
            read(folder / "away.db").base.close()
        gone = erasures(admin, chance)
        erased += len(gone)
        send(arguments, gone)
    wait_until_read(broker, name, [worker], 300)
    # Whoever was erased first has no tombstone any more once Kafka has cleaned.
    late = read(":memory:")
    published = sum(revision for _, revision, _, _ in late.customers().values())
    deadline = time.monotonic() + 3 * RETENTION
    while late.counts["tombstones"] >= erased and time.monotonic() < deadline:
        time.sleep(3)
        late = read(":memory:")
    found += consume(steady, arguments.bootstrap, output)
    had = Table(folder / "away.db").customers().keys()
    early, away = read(folder / "early.db"), read(folder / "away.db")
    late = read(":memory:")
    wrong, told = compare(late, admin, 400)
    expected = late.customers()
    table = [
        ("events", len(lines), True), ("kills", PORTIONS, True), ("erased", erased, True),
        ("customers", len(expected), len(expected) > 0),
        ("decisions about them", published, True),
        ("records in the topic at the end", late.counts["records"], late.counts["records"] < published),
        ("tombstones that had gone", count := erased - late.counts["tombstones"], count > 0),
        ("customers that the away reader had", len(had), len(had - expected.keys()) > 0),
        ("of them deleted as not seen again", count := away.counts["not_seen_again"], count > 0),
        *[(f"the {who} reader's differences", count := len(
            dict(one.customers().items() ^ expected.items())), count == 0)
          for who, one in [("steady", steady), ("early", early), ("away", away)]],
        *[(f"the {who} reader's malformed records", count := one.counts["malformed"], count == 0)
          for who, one in [("steady", steady), ("early", early), ("away", away), ("late", late)]],
        ("differences from the daemon", len(wrong), not wrong), ("failed readings", len(found), not found),
        ("exit status", status := worker.stop(), status == 0),
    ]
    for text, figure, is_well in table:
        print(f"{text:44} {figure:>9} {'' if is_well else ' WRONG'}")
    for line in (found + wrong)[:10]:
        print(line)
    print(told)
    sys.exit(0 if all(is_well for _, _, is_well in table) else 1)


if __name__ == "__main__":
    main()
