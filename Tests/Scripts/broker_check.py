#!/usr/bin/env python3
"""Hold the daemon against a real Kafka: every customer once, and kills that change nothing.

    broker_check.py --bootstrap localhost:9092 --segmentd .build/release/segmentd [--kills 8]

1. A simulated shop is replayed into a model (`replay --model-out`), and its events are sent to a topic.
2. `run --model` reads them without a break: the reference.
3. Another group reads the same topic and is killed (SIGKILL) again and again at random moments, also inside
   open transactions, and started again; the records of every customer have to equal the reference's, each
   once (read_committed), `decided_at` and `backfill` aside.
4. Both groups' revisions have to be 1..n for every customer.

Prints a table and ends with status 1 on any difference. Topics carry a run's own names and stay on the
broker; bind test brokers to loopback.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

SCRIPTS = pathlib.Path(__file__).resolve().parent


def start(arguments, group, output, model, log):
    """The daemon of a group, reading the run's topic."""
    command = [
        arguments.segmentd, "run", "--config", arguments.config, "--model", model,
        "--set", f"kafka.properties.bootstrap.servers={arguments.bootstrap}",
        "--set", f"kafka.group={group}",
        "--set", f"topics.events={arguments.topic}",
        "--set", f"topics.segments={output}",
        "--set", "clock.at_end=hold",
        "--set", "admin.listen=127.0.0.1:0",
    ]
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def committed(arguments, group):
    """Records that the group has committed in the run's topic."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": arguments.bootstrap, "group.id": group})
    try:
        places = [TopicPartition(arguments.topic, p) for p in range(arguments.partitions)]
        try:
            return sum(max(0, p.offset) for p in consumer.committed(places, timeout=10))
        except Exception:  # a transaction is open: ask again
            return None
    finally:
        consumer.close()


def wait_until_read(arguments, group, total, process, seconds):
    """Waits until the group has committed all; True when it has."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if committed(arguments, group) == total:
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.3)
    return False


def stop(process):
    """Drains; returns the exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=60)


def dump(arguments, topic, path):
    """read_committed dump of a topic."""
    with open(path, "wb") as file:
        subprocess.run(
            [sys.executable, SCRIPTS / "dump_topic.py", "--bootstrap", arguments.bootstrap,
             "--topic", topic], stdout=file, check=True)


def records(path):
    """(customer, life, revision) of every record of a dump, by customer."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            value = record["value"]
            if value is not None:
                found.setdefault(record["key"], []).append((value["life"], value["revision"]))
    return found


def chained(found):
    """Customers whose revisions are not 1..n."""
    bad = 0
    for chain in found.values():
        lives = {}
        for life, revision in chain:
            lives.setdefault(life, []).append(revision)
        bad += any(r != list(range(1, len(r) + 1)) for r in lives.values())
    return bad


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--segmentd", required=True)
    parser.add_argument("--config", default="config/segmentd.yaml")
    parser.add_argument("--customers", type=int, default=5000)
    parser.add_argument("--events", type=int, default=200000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default=f"check-{int(time.time())}")
    arguments = parser.parse_args()
    arguments.topic = f"{arguments.name}-events"
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}, topics {arguments.name}-*", file=sys.stderr)

    folder = pathlib.Path(tempfile.mkdtemp(prefix="segmentd-broker-"))
    events, model = folder / "events.ndjson", str(folder / "model.json")
    with open(events, "wb") as file:
        subprocess.run(
            [arguments.segmentd, "simulate", "--customers", str(arguments.customers), "--events",
             str(arguments.events), "--seed", str(arguments.seed)], stdout=file, check=True)
    subprocess.run(
        [arguments.segmentd, "replay", "--config", arguments.config, "--input", events,
         "--model-out", model, "--set", "model.refit.interval=30d"],
        check=True, stderr=subprocess.DEVNULL)
    with open(events, "rb") as file:
        subprocess.run(
            [sys.executable, SCRIPTS / "produce.py", "--bootstrap", arguments.bootstrap, "--topic",
             arguments.topic, "--partitions", str(arguments.partitions)], stdin=file, check=True)
    total = sum(1 for line in open(events, "rb") if line.strip())

    with open(folder / "daemon.log", "wb") as log:
        began = time.monotonic()
        process = start(arguments, f"{arguments.name}-a", f"{arguments.name}-out-a", model, log)
        if not wait_until_read(arguments, f"{arguments.name}-a", total, process, 600):
            sys.exit(f"the uninterrupted run did not read everything; see {folder}/daemon.log")
        calm = time.monotonic() - began
        statuses = [stop(process)]
        kills = inside = 0
        group, output = f"{arguments.name}-b", f"{arguments.name}-out-b"
        while kills < arguments.kills:
            process = start(arguments, group, output, model, log)
            # Long enough to get the partitions, short enough that work is left.
            limit = time.monotonic() + 30
            before = committed(arguments, group) or 0
            while time.monotonic() < limit and (committed(arguments, group) or 0) <= before:
                if process.poll() is not None:
                    sys.exit(f"the daemon ended with {process.returncode}; see {folder}/daemon.log")
                time.sleep(0.05)
            time.sleep(chance.uniform(0, max(0.05, 0.5 * calm / (arguments.kills + 1))))
            process.kill()
            process.wait()
            kills += 1
            # Pending offsets are what an open transaction leaves behind.
            inside += committed(arguments, group) is None
        process = start(arguments, group, output, model, log)
        complete = wait_until_read(arguments, group, total, process, 600)
        statuses.append(stop(process))

    a, b = folder / "a.ndjson", folder / "b.ndjson"
    dump(arguments, f"{arguments.name}-out-a", a)
    dump(arguments, output, b)
    compared = subprocess.run(
        [sys.executable, SCRIPTS / "compare_outputs.py", "--ignore-header", "ce_source", a, b])
    left, right = records(a), records(b)
    rows = [
        ("input records", total), ("customers in the reference", len(left)),
        ("customers after kills", len(right)),
        ("records in the reference", sum(map(len, left.values()))),
        ("records after kills", sum(map(len, right.values()))),
        ("kills", kills), ("of these with offsets left pending", inside),
        ("customers whose revisions are not 1..n", chained(left) + chained(right)),
        ("exit statuses of drains", statuses),
        ("seconds of the uninterrupted run", round(calm, 1)),
    ]
    for name, value in rows:
        print(f"{name:44} {value}")
    good = (complete and compared.returncode == 0 and not chained(left) and not chained(right)
            and statuses == [0, 0] and left)
    print("every record is there, each once" if good else f"DIFFERENT; files in {folder}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
