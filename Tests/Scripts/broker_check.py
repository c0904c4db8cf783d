#!/usr/bin/env python3
"""Kill the daemon, or the broker, again and again on a genuine Kafka, and see that nothing changes.

    broker_check.py --bootstrap localhost:9092 --segmentd .build/release/segmentd --kills 60
    broker_check.py ... --daemons 2 --kills 60 --freezes 5
    broker_check.py ... --learning --kills 60
    broker_check.py ... --broker-kills 5 --broker-pid FILE --broker-start COMMAND

A simulated shop is fed to a topic at a steady rate until after the last kill. Daemons of one group read it
and are killed (SIGKILL) at random moments, four of five within a transaction where there is one, one at a
time; with --daemons 2 the other one takes over. With --freezes one is stopped (SIGSTOP) until the other has
taken over, and wakes up as somebody whom the group has given up. With --broker-kills the broker's process is
killed instead and COMMAND starts it again; a daemon that ends is started again, as a supervisor would. Then
everything is read to its end, daemons drain, and the topics are dumped, read_committed:

- committed offsets are the ends of the topic
- revisions are 1..n of every customer and life, every previous_segment_id is the segment before
- numbers of every row in the changelog are those that the topic's events mean (shop_rows.py), its
  revision and segment those of the customer's last record
- every record that cannot be used is in the dead letters, once, with its reason
- learning off (the default: a model of a replay is given): another group reads the same topic without a
  break, and its records are the same for every customer, `decided_at` and `backfill` aside

Prints a table and ends with status 1 on any difference. Topics carry a run's own names and stay on the
broker; bind test brokers to loopback.
"""

import argparse
import atexit
import collections
import json
import math
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import shop_rows
from produce import create_topic, key_and_time

SCRIPTS = pathlib.Path(__file__).resolve().parent


class Feed(threading.Thread):
    """Sends what `segmentd simulate` writes, so many records a second, until told to stop."""

    def __init__(self, arguments, customers, events):
        super().__init__(daemon=True)
        self.arguments, self.customers, self.events = arguments, customers, events
        self.stopping = threading.Event()
        self.count, self.failures, self.ended_at = 0, [], None

    def run(self):
        from confluent_kafka import Producer

        producer = Producer({
            "bootstrap.servers": self.arguments.bootstrap, "partitioner": "murmur2_random",
            "enable.idempotence": True, "linger.ms": 20, "message.timeout.ms": 300_000, "log_level": 0,
            "queue.buffering.max.messages": 1_000_000})

        def delivered(error, _):
            if error is not None:
                self.failures.append(str(error))

        source = simulate(self.arguments, self.customers, self.events, subprocess.PIPE)
        began = time.monotonic()
        for raw in source.stdout:
            line = raw.rstrip(b"\n")
            producer.produce(self.arguments.topic, value=line, key=key_and_time(line)[0],
                             on_delivery=delivered)
            self.count += 1
            producer.poll(0)
            ahead = began + self.count / self.arguments.rate - time.monotonic()
            if ahead > 0.005:
                time.sleep(ahead)
            if self.stopping.is_set():
                self.ended_at = time.monotonic()
                break
        source.kill()
        if producer.flush(300):
            self.failures.append("not confirmed")


def simulate(arguments, customers, events, output):
    """The shop, written to a file or pipe."""
    return subprocess.Popen(
        [arguments.segmentd, "simulate", "--customers", str(customers), "--events", str(events),
         "--seed", str(arguments.seed)], stdout=output)


class Daemon:
    """One worker of a group, started again and again under its name."""

    def __init__(self, arguments, group, number, model, folder):
        self.process = None
        self.log_path = folder / f"{group}-{number}.log"
        settings = {
            "kafka.properties.bootstrap.servers": arguments.bootstrap,
            # The shortest a broker allows: how long the other one waits for the dead.
            "kafka.properties.session.timeout.ms": 6000,
            "kafka.group": group, "kafka.instance": number,
            "topics.events": arguments.topic, "topics.segments": f"{group}-out",
            "clock.at_end": "hold", "admin.listen": "127.0.0.1:0",
            "state.directory": folder / f"{group}-{number}",
            "ledger.orders": 64, "ledger.events": 64, "checkpoint.interval": "10s",
            # Long transactions, so that most kills fall into one.
            "commit.interval": "1s", "commit.interval_minimum": "500ms"}
        self.command = [arguments.segmentd, "run", "--config", arguments.config]
        self.command += ["--model", model] if model else []
        for name, value in settings.items():
            self.command += ["--set", f"{name}={value}"]

    def start(self):
        """Starts the process."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))
        # Whatever becomes of the check, no daemon stays behind.
        atexit.register(self.process.kill)

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Drains; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


class Broker:
    """What the broker says of the run's topic and group; asked by new clients, for it may restart."""

    def __init__(self, arguments):
        self.arguments = arguments

    def committed(self, group):
        """Committed offsets by partition, None while offsets are pending or nobody answers."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.arguments.bootstrap, "group.id": group,
                             "isolation.level": "read_committed", "log_level": 0})
        places = [TopicPartition(self.arguments.topic, p) for p in range(self.arguments.partitions)]
        try:
            found = consumer.committed(places, timeout=5)
        except KafkaException:
            return None
        finally:
            consumer.close()
        return {place.partition: place.offset for place in found if place.offset >= 0}

    def ends(self, topic, committed):
        """Where partitions end: for all, or for readers of committed records."""
        from confluent_kafka import IsolationLevel, TopicPartition
        from confluent_kafka.admin import AdminClient, OffsetSpec

        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        asked = {TopicPartition(topic, partition): OffsetSpec.latest()
                 for partition in range(self.arguments.partitions)}
        admin = AdminClient({"bootstrap.servers": self.arguments.bootstrap, "log_level": 0})
        found = admin.list_offsets(asked, isolation_level=level, request_timeout=20)
        return {place.partition: future.result(30).offset for place, future in found.items()}

    def is_open(self, group):
        """Whether records of a transaction that has not ended stand in what the group writes."""
        topics = (f"segmentd-{group}-customers", f"{group}-out")
        return any(self.ends(topic, False) != self.ends(topic, True) for topic in topics)


def wait(what, seconds, is_done):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def wait_for_progress(broker, group, daemons, statuses):
    """Waits until records of every partition have been committed since now; restarts the fallen."""
    before = {}

    def has_moved():
        for daemon in daemons:
            if daemon.process.poll() is not None:
                statuses[daemon.process.returncode] += 1
                daemon.start()
        now = broker.committed(group)
        if now is None:
            return False
        if not before:
            before.update({p: now.get(p, 0) for p in range(broker.arguments.partitions)})
            return False
        return all(now.get(p, 0) > offset for p, offset in before.items())

    wait("progress on every partition", 180, has_moved)


def wait_until_read(broker, group, daemons, seconds):
    """Waits until the group has committed all of the topic, and has nothing more to say of it."""
    ends = broker.ends(broker.arguments.topic, False)
    last = {"said": None, "at": 0.0}

    def is_read():
        for daemon in daemons:
            if daemon.process.poll() is not None:
                sys.exit(f"the daemon ended with {daemon.process.returncode}; see {daemon.log_path}")
        if broker.committed(group) != ends:
            return False
        # What is due by time leaves at a bounded rate, after the last event.
        said = broker.ends(f"{group}-out", False)
        if said != last["said"]:
            last.update(said=said, at=time.monotonic())
        return time.monotonic() - last["at"] > 15

    wait("reading everything", seconds, is_read)


def kill_daemons(arguments, broker, group, daemons, chance, statuses):
    """Kills one after the other; how many were inside a transaction, and seconds of takeovers."""
    inside, takeovers = 0, []
    for number in range(1, arguments.kills + 1):
        wait_for_progress(broker, group, daemons, statuses)
        time.sleep(chance.uniform(0, 2))
        daemon = chance.choice(daemons)
        # Where commits are quick, a moment by the clock alone hardly ever meets a transaction.
        end = time.monotonic() + (2 if chance.random() < 0.8 else 0)
        while time.monotonic() < end and not broker.is_open(group):
            pass
        daemon.kill()
        inside += broker.is_open(group)
        if len(daemons) > 1 and chance.random() < 0.5:
            # The others take over before it is back.
            killed_at = time.monotonic()
            others = [other for other in daemons if other is not daemon]
            wait_for_progress(broker, group, others, statuses)
            takeovers.append(time.monotonic() - killed_at)
        daemon.start()
        if sys.stderr.isatty() or number % 10 == 0:
            print(f"kill {number} of {arguments.kills}, {inside} inside a transaction",
                  file=sys.stderr)
    wait_for_progress(broker, group, daemons, statuses)
    return inside, takeovers


def freeze_daemons(arguments, broker, group, daemons, chance, statuses):
    """Stops one after the other until the others have taken over, and lets it go on."""
    for _ in range(arguments.freezes):
        wait_for_progress(broker, group, daemons, statuses)
        time.sleep(chance.uniform(0, 2))
        daemon = chance.choice(daemons)
        daemon.process.send_signal(signal.SIGSTOP)
        wait_for_progress(broker, group, [d for d in daemons if d is not daemon], statuses)
        time.sleep(chance.uniform(0, 2))
        daemon.process.send_signal(signal.SIGCONT)
        wait_for_progress(broker, group, daemons, statuses)


def kill_broker(arguments, broker, group, daemons, chance, statuses):
    """Kills the broker under the daemons, and has it started again."""
    for number in range(1, arguments.broker_kills + 1):
        wait_for_progress(broker, group, daemons, statuses)
        time.sleep(chance.uniform(0, 2))
        os.kill(int(pathlib.Path(arguments.broker_pid).read_text()), signal.SIGKILL)
        time.sleep(chance.uniform(0.5, 5))
        subprocess.run(arguments.broker_start, shell=True, check=True, stdout=subprocess.DEVNULL)
        print(f"broker killed and back, {number} of {arguments.broker_kills}", file=sys.stderr)
    wait_for_progress(broker, group, daemons, statuses)


def consume(arguments, topic):
    """Messages of a topic up to its end, committed ones; one partition after the other."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": arguments.bootstrap, "group.id": "broker-check",
        "enable.auto.commit": False, "isolation.level": "read_committed",
        "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    for partition in sorted(consumer.list_topics(topic, timeout=20).topics[topic].partitions):
        consumer.assign([TopicPartition(topic, partition, 0)])
        is_read, progress = False, time.monotonic()
        while not is_read:
            # Returns when it has so many, or after a second.
            messages = consumer.consume(1000, timeout=1)
            if messages:
                progress = time.monotonic()
            elif time.monotonic() - progress > 60:
                sys.exit(f"{topic}: nothing for 60 s; is a transaction open?")
            for message in messages:
                if message.error() is None:
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    is_read = True
                else:
                    sys.exit(f"cannot read {topic}: {message.error()}")
    consumer.close()


def dump(arguments, topic, path):
    """read_committed dump of a topic, one record a line."""
    with open(path, "wb") as file:
        subprocess.run(
            [sys.executable, SCRIPTS / "dump_topic.py", "--bootstrap", arguments.bootstrap,
             "--topic", topic], stdout=file, check=True)


def broken_chains(lines):
    """Customers with a gap or a repeat, and the last record of each (None after a tombstone).

    >>> def line(life, revision, before, now):
    ...     return json.dumps({"key": "c", "value": {
    ...         "life": life, "revision": revision, "previous_segment_id": before, "segment_id": now}})
    >>> gone = '{"key":"c","value":null}'
    >>> broken_chains([line(5, 1, None, 2), line(5, 2, 2, 3), gone, line(6, 1, None, 1)])[0]
    set()
    >>> [broken_chains([line(5, 1, None, 2), then])[0] for then in (
    ...     line(5, 1, None, 2), line(5, 3, 2, 3), line(5, 2, 1, 3), line(5, 2, 2, 3))]
    [{'c'}, {'c'}, {'c'}, set()]
    >>> broken_chains([line(5, 1, None, 2), gone, line(5, 1, None, 2)])[0]
    {'c'}
    """
    broken, last, seen = set(), {}, {}
    for line in lines:
        record = json.loads(line)
        key, value = record["key"], record["value"]
        before = last.get(key)
        last[key] = value
        if value is None:
            continue
        if before is not None and before["life"] == value["life"]:
            follows = (value["revision"] == before["revision"] + 1
                       and value["previous_segment_id"] == before["segment_id"])
        else:
            # A new life: never one that has been.
            follows = (value["revision"] == 1 and value["previous_segment_id"] is None
                       and value["life"] > seen.get(key, -math.inf))
        seen[key] = value["life"]
        if not follows:
            broken.add(key)
    return broken, last


def wrong_rows(arguments, group, last):
    """Customers whose row is not what their events mean, and how dead letters differ."""
    events, rejected = collections.defaultdict(list), {}
    for message in consume(arguments, arguments.topic):
        event = shop_rows.read(message.value())
        if isinstance(event, str):
            rejected[message.partition(), message.offset()] = (event, message.value())
        else:
            # As text: millions of them have to fit.
            events[event["customer_id"]].append(message.value())
    letters = collections.Counter()
    for message in consume(arguments, f"segmentd-{group}-rejected"):
        headers = dict(message.headers())
        place = int(headers["segmentd-partition"]), int(headers["segmentd-offset"])
        letters[place, headers["segmentd-reason"].decode(), message.value()] += 1
    differing = letters - collections.Counter((place, *what) for place, what in rejected.items())
    differing += collections.Counter((place, *what) for place, what in rejected.items()) - letters
    rows = {}
    for message in consume(arguments, f"segmentd-{group}-customers"):
        if not message.key().startswith(b"\0"):
            rows[message.key().decode()] = message.value()
    wrong, compared = {}, 0
    for name, found in events.items():
        alive = shop_rows.living(map(shop_rows.read, found))
        data = rows.pop(name, None)
        if not alive or data is None:
            if alive or data is not None:
                wrong[name] = "a row of nobody" if data is not None else "no row"
            continue
        compared += 1
        row = shop_rows.decode(data)
        faults = shop_rows.differing(row, alive)
        record = last.get(name)
        if record is None and row["revision"] != 0:
            faults.append("no record")
        elif record is not None and (row["life"], row["revision"], row["segment"]) != (
                record["life"], record["revision"], record["segment_id"]):
            faults.append("not the last record's life, revision and segment")
        if faults:
            wrong[name] = "; ".join(faults)
    wrong |= {name: "a row without events" for name, data in rows.items() if data is not None}
    return compared, wrong, len(rejected), differing


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--segmentd", required=True)
    parser.add_argument("--config", default="config/segmentd.yaml", help="the shipped one")
    parser.add_argument("--customers", type=int,
                        help="default: one for 40 events, so that no order is reversed after the "
                             "ledger has forgotten it")
    parser.add_argument("--rate", type=float, default=5000, help="events a second (5000)")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--daemons", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--freezes", type=int, default=0)
    parser.add_argument("--learning", action="store_true")
    parser.add_argument("--broker-kills", type=int, default=0)
    parser.add_argument("--broker-pid", help="file with the broker's process id")
    parser.add_argument("--broker-start", help="shell command that starts it and returns")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default=f"check-{int(time.time())}")
    arguments = parser.parse_args()
    if arguments.freezes and arguments.daemons < 2:
        parser.error("--freezes needs --daemons 2 or more")
    arguments.topic = f"{arguments.name}-events"
    chance = random.Random(arguments.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="segmentd-broker-"))
    print(f"seed {arguments.seed}, topics {arguments.name}-*, files in {folder}", file=sys.stderr)

    model = None
    if not arguments.learning:
        model = str(folder / "model.json")
        with open(folder / "events.ndjson", "wb") as file:
            simulate(arguments, 5_000, 200_000, file).wait()
        subprocess.run(
            [arguments.segmentd, "replay", "--config", arguments.config, "--input",
             folder / "events.ndjson", "--model-out", model], check=True, stderr=subprocess.DEVNULL)
    create_topic(arguments.bootstrap, arguments.topic, arguments.partitions)
    broker = Broker(arguments)
    group = f"{arguments.name}-b"
    daemons = [Daemon(arguments, group, number + 1, model, folder)
               for number in range(arguments.daemons)]
    statuses = collections.Counter()
    # More than will be read: the feed has to outlast the last kill.
    breaks = arguments.kills + arguments.freezes + arguments.broker_kills
    seconds = 60 + 25 * arguments.daemons * breaks + 90 * arguments.broker_kills
    events = int(seconds * arguments.rate)
    feed = Feed(arguments, arguments.customers or events // 40, events)
    feed.start()
    for daemon in daemons:
        daemon.start()
    began = time.monotonic()
    inside, takeovers = kill_daemons(arguments, broker, group, daemons, chance, statuses)
    freeze_daemons(arguments, broker, group, daemons, chance, statuses)
    if arguments.broker_kills:
        kill_broker(arguments, broker, group, daemons, chance, statuses)
    last_kill = time.monotonic()
    outlasted = feed.is_alive()
    feed.stopping.set()
    feed.join()
    wait_until_read(broker, group, daemons, 600)
    drains = [daemon.stop() for daemon in daemons]

    output = folder / "killed.ndjson"
    dump(arguments, f"{group}-out", output)
    with open(output, encoding="utf-8") as lines:
        broken, last = broken_chains(lines)
    compared, wrong, rejected, letters = wrong_rows(arguments, group, last)
    rows = [
        ("events, at one rate until after the last kill", feed.count),
        ("seconds of kills", round(last_kill - began)),
        ("kills of the daemon", arguments.kills),
        ("of these inside an open transaction", inside),
        ("takeovers by the other: number, median seconds", "{}, {:.1f}".format(
            len(takeovers), statistics.median(takeovers or [math.nan]))),
        ("daemons stopped until the other had taken over", arguments.freezes),
        ("kills of the broker", arguments.broker_kills),
        ("other ends of daemons, by status", dict(statuses)),
        ("exit statuses of drains", drains),
        ("customers with records", len(last)),
        ("customers with a gap or a repeat", len(broken)),
        ("rows of the changelog compared", compared),
        ("rows that differ", len(wrong)),
        ("events that cannot be used", rejected),
        ("dead letters too many or missing", sum(letters.values())),
    ]
    good = (outlasted and not feed.failures and not broken and compared and not wrong
            and not letters and set(drains) == {0})
    if model:
        calm = f"{arguments.name}-a"
        daemon = Daemon(arguments, calm, 1, model, folder)
        daemon.start()
        wait_until_read(broker, calm, [daemon], 900)
        good = daemon.stop() == 0 and good
        reference = folder / "calm.ndjson"
        dump(arguments, f"{calm}-out", reference)
        same = subprocess.run(
            [sys.executable, SCRIPTS / "compare_outputs.py", "--ignore-header", "ce_source",
             reference, output], check=False).returncode == 0
        rows.append(("the same records as without a break", same))
        good = good and same
    for name, value in rows:
        print(f"{name:48} {value}")
    for name, fault in list(wrong.items())[:5]:
        print(f"{name}: {fault}")
    for failure in feed.failures[:3] + ([] if outlasted else ["the feed ended before the last kill"]):
        print(failure)
    print("every record is there, each once" if good else f"DIFFERENT; files in {folder}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
