#!/usr/bin/env python3
"""Hold `segmentd repartition` against a real Kafka: the input grows in the middle, nothing is lost.

    repartition_check.py --bootstrap localhost:9092 --segmentd .build/release/segmentd [--kills 4]

1. Half of a simulated shop's events are sent to a topic of 4 partitions; a daemon with a given model reads
   them, and is stopped.
2. The topic grows to 6 partitions: the daemon has to refuse, and name the command.
3. `repartition` is killed (SIGKILL) at random moments; after each kill a daemon must refuse to begin, or all
   rows have moved. Then it runs to its end.
4. The other half of the events follows. Every customer's lives and revisions have to equal, each once, those
   of a group that reads the same events from a topic that had 6 partitions all the time; revisions have to be
   1..n, and `crm_consumer.py --strict` has to be content.

Ends with status 1 on any difference. Topics carry a run's own names and stay on the broker.
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

import broker_check

SCRIPTS = pathlib.Path(__file__).resolve().parent
OLD, NEW = 4, 6


def shared(arguments, group, topic):
    """Options of every command of a group."""
    return [
        "--config", arguments.config,
        "--set", f"kafka.properties.bootstrap.servers={arguments.bootstrap}",
        "--set", f"kafka.group={group}",
        "--set", f"topics.events={topic}",
        "--set", f"topics.segments={group}-segments",
    ]


def start(arguments, group, topic, model, folder):
    """The daemon of a group."""
    command = [
        arguments.segmentd, "run", *shared(arguments, group, topic), "--model", model,
        "--set", "clock.at_end=hold", "--set", "admin.listen=127.0.0.1:0",
        "--set", "checkpoint.interval=10s", "--set", f"state.directory={folder}/{group}",
    ]
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
    with open(folder / f"{group}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def create(arguments, topic, partitions):
    """Creates an input topic that keeps records however old they are."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": arguments.bootstrap})
    new = NewTopic(topic, num_partitions=partitions, config={"retention.ms": "-1"})
    admin.create_topics([new])[topic].result(30)


def feed(arguments, topic, lines):
    """Sends events; lives follow from their timestamps, and are comparable."""
    subprocess.run(
        [sys.executable, SCRIPTS / "produce.py", "--bootstrap", arguments.bootstrap,
         "--topic", topic, "--event-timestamps"],
        input=b"".join(lines), check=True,
    )


def ends(arguments, topic, group):
    """End and committed offset of every partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": arguments.bootstrap, "group.id": group})
    count = len(consumer.list_topics(topic, 10).topics[topic].partitions)
    places = [TopicPartition(topic, partition) for partition in range(count)]
    found = {}
    for place in consumer.committed(places, 20):
        high = consumer.get_watermark_offsets(place, 10)[1]
        found[place.partition] = (high, max(place.offset, 0))
    consumer.close()
    return found


def read_all(arguments, topic, group, process, seconds=600):
    """Waits until the group has read everything, then stops the daemon."""
    limit = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            sys.exit(f"the daemon of {group} ended with {process.returncode}")
        if all(high == done for high, done in ends(arguments, topic, group).values()):
            break
        if time.monotonic() > limit:
            sys.exit(f"{group} did not read {topic} to its end in {seconds} s")
        time.sleep(1)
    process.send_signal(signal.SIGTERM)
    if process.wait(60) != 0:
        sys.exit(f"the daemon of {group} ended with {process.returncode}")


def grow(arguments, topic):
    """Gives the input more partitions."""
    from confluent_kafka.admin import AdminClient, NewPartitions

    admin = AdminClient({"bootstrap.servers": arguments.bootstrap})
    admin.create_partitions([NewPartitions(topic, NEW)])[topic].result(30)


def refuses(arguments, group, topic, model, folder):
    """Whether a daemon that is started now ends by itself and names the command."""
    process = start(arguments, group, topic, model, folder)
    try:
        status = process.wait(60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        return False
    words = (folder / f"{group}.log").read_text().splitlines()[-1]
    print(f"  daemon: status {status}: {words[:230]}")
    return status == 1 and "segmentd repartition" in words


def records(path):
    """(life, revision) of every record of a dump, by customer, and customers with a gap."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            value = record["value"]
            if value is not None:
                found.setdefault(record["key"], []).append((value["life"], value["revision"]))
        lines.seek(0)
        return found, broker_check.broken_chains(lines)[0]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--segmentd", required=True)
    parser.add_argument("--config", default="config/segmentd.yaml")
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--events", type=int, default=40000)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--kill-within", type=float, default=5, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default=f"repartition-{int(time.time())}")
    arguments = parser.parse_args()
    randomness = random.Random(arguments.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="segmentd-repartition-"))
    print(f"files in {folder}", file=sys.stderr)
    events = subprocess.run(
        [arguments.segmentd, "simulate", "--customers", str(arguments.customers),
         "--events", str(arguments.events), "--seed", str(arguments.seed)],
        stdout=subprocess.PIPE, check=True,
    ).stdout.splitlines(keepends=True)
    (folder / "events.ndjson").write_bytes(b"".join(events))
    model = str(folder / "model.json")
    subprocess.run(
        [arguments.segmentd, "replay", "--config", arguments.config,
         "--input", folder / "events.ndjson", "--model-out", model],
        check=True, stderr=subprocess.DEVNULL,
    )
    grown, whole = f"{arguments.name}-grown", f"{arguments.name}-whole"
    half = len(events) // 2
    create(arguments, grown, OLD)
    create(arguments, whole, NEW)
    feed(arguments, grown, events[:half])
    feed(arguments, whole, events)
    print("the first half, in 4 partitions")
    read_all(arguments, grown, grown, start(arguments, grown, grown, model, folder))
    problems = []
    grow(arguments, grown)
    print("the input has 6 partitions")
    if not refuses(arguments, grown, grown, model, folder):
        problems.append("the daemon did not refuse to start")
    command = [arguments.segmentd, "repartition", *shared(arguments, grown, grown)]
    subprocess.run([*command, "--dry-run"], check=True)
    for kill in range(arguments.kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(randomness.uniform(0.5, arguments.kill_within))
        process.kill()
        print(f"kill {kill + 1}: the command had {'ended' if process.wait() == 0 else 'not ended'}")
        if process.returncode == 0:
            break
        if not refuses(arguments, grown, grown, model, folder):
            problems.append(f"the daemon began after kill {kill + 1}")
    if subprocess.run(command).returncode != 0:
        problems.append("repartition failed")
    feed(arguments, grown, events[half:])
    print("the second half, in 6 partitions")
    read_all(arguments, grown, grown, start(arguments, grown, grown, model, folder))
    read_all(arguments, whole, whole, start(arguments, whole, whole, model, folder))
    for group in grown, whole:
        broker_check.dump(arguments, f"{group}-segments", folder / f"{group}.ndjson")
    found, broken = records(folder / f"{grown}.ndjson")
    expected, _ = records(folder / f"{whole}.ndjson")
    different = [key for key in expected.keys() | found.keys()
                 if found.get(key) != expected.get(key)]
    if different:
        problems.append(f"{len(different)} customers differ, such as {sorted(different)[:3]}")
    if broken:
        problems.append(f"{len(broken)} customers whose revisions are not 1..n")
    strict = subprocess.run(
        [sys.executable, SCRIPTS / "crm_consumer.py", "--bootstrap", arguments.bootstrap,
         "--topic", f"{grown}-segments", "--until-idle", "5", "--strict"],
    )
    if strict.returncode != 0:
        problems.append("crm_consumer.py --strict is not content")
    count = sum(map(len, found.values()))
    print(f"{len(found)} customers, {count} records; {len(expected)} customers in the reference")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
