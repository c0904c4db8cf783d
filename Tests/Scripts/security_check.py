#!/usr/bin/env python3
"""Hold the daemon against a Kafka with TLS, passwords and access rules, right ones and wrong ones.

    security_check.py --segmentd .build/release/segmentd --kafka-home /opt/kafka
    security_check.py ... --only password,group --show

Starts a genuine Kafka of its own on 127.0.0.1 (see secure_kafka.py: self-made certificates, SASL/PLAIN and
SCRAM, StandardAuthorizer), in a temporary folder that is removed at the end, and looks at

- TLS with SASL/PLAIN, password from a file, the fewest access rules: ready, everything committed and
  published, status 0 at SIGTERM; the same after a restart with rows; `check --connect` content, also while
  the daemon runs, and the daemon not disturbed by it
- a wrong password, an unknown authority, a name that is not in the certificate: one sentence that says what
  to do, an exit status of its own, within seconds
- SCRAM with librdkafka older than 2.6.1, a file that is not there, a password without SASL: refused as a
  configuration, before anything is reached
- plain text to a TLS listener and the reverse: tried again, since a broker that starts looks the same, with
  the reason in the log
- every access rule missing, one at a time: `run` ends with the resource and the operation in its words,
  `check --connect` names them too
- the password in no output whatever, debug level included

Prints one line per case and ends with status 1 if one is not as expected. Takes about two minutes.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import secure_kafka
from produce import key_and_time

GROUP, INSTANCE, INPUT, SEGMENTS = "shop", "1", "shop-events", "shop-segments"
OWN = f"segmentd-{GROUP}"
WRONG = "wrong-Px9-word"
# As the README documents them.
FAILED, CONFIGURATION, REFUSED = 1, 2, 6


def without(*dropped, added=()):
    """The rules of a worker without those of a resource and an operation, and some more.

    >>> rules = without(("group", "shop", "read"))
    >>> [rule for rule in rules if rule[0] == "group"]
    []
    """
    rules = secure_kafka.worker_rules(GROUP, INSTANCE, [INPUT], SEGMENTS)
    return [rule for rule in rules if (rule[0], rule[1], rule[3]) not in dropped] + list(added)


# Name, rules, words that `run` must end with (None: it runs), words of `check --connect`.
ACCESS = [
    ("read input", without(("topic", INPUT, "read"), added=[("topic", INPUT, False, "describe")]),
     f"Read on topic {INPUT} is needed", f"Read on topic {INPUT} is needed"),
    ("see input", without(("topic", INPUT, "read"), ("topic", INPUT, "describe_configs")),
     f"no topic {INPUT}; create it, correct topics.events, or allow Read", "is not there, or hidden"),
    ("write output",
     without(("topic", SEGMENTS, "write"), added=[("topic", SEGMENTS, False, "describe")]),
     f"Write on topic {SEGMENTS} is needed", f"Write on topic {SEGMENTS} is needed"),
    ("write own topics", without(("topic", OWN + "-", "write")), f"Write on topic {OWN}-",
     f"Write on topic {OWN}-customers is needed"),
    ("read own topics", without(("topic", OWN + "-", "read")), f"Read on topic {OWN}-",
     f"Read on topic {OWN}-customers is needed"),
    ("group", without(("group", GROUP, "read")), f"Read on group {GROUP} is needed",
     f"Read on group {GROUP} is needed"),
    ("transactional id", without(("transactional_id", f"{GROUP}-{INSTANCE}", "write"),
                                 ("transactional_id", f"{GROUP}-{INSTANCE}", "describe")),
     f"Write on transactional id {GROUP}-{INSTANCE} is needed",
     f"Write on transactional id {GROUP}-{INSTANCE} is needed"),
    ("transactional id, write", without(("transactional_id", f"{GROUP}-{INSTANCE}", "write")),
     f"Write on transactional id {GROUP}-{INSTANCE} is needed",
     f"Write on transactional id {GROUP}-{INSTANCE} is needed"),
    ("settings of own topics", without(("topic", OWN + "-", "describe_configs")), None,
     "every restart reads the whole changelog"),
]


class Check:
    """The broker, the configurations, and what was found."""

    def __init__(self, arguments, kafka, folder):
        self.arguments, self.kafka, self.folder = arguments, kafka, folder
        self.problems = self.feeds = 0
        (folder / "password").write_text(secure_kafka.USERS["segmentd"] + "\n")
        (folder / "wrong").write_text(WRONG + "\n")

    def wanted(self, name):
        """Whether a case was asked for."""
        only = self.arguments.only
        return not only or any(part in name for part in only.split(","))

    def say(self, name, faults, seconds, output):
        """One line of the report, and what was wrong."""
        for word in (WRONG, *secure_kafka.USERS.values()):
            if word in output:
                faults = [*faults, "a password is shown"]
        print(f"{'ok' if not faults else 'WRONG':6}{name:34}{seconds:5.1f} s", flush=True)
        for fault in faults:
            print(f"      {fault}")
        if faults or self.arguments.show:
            for line in output.splitlines()[-12:]:
                print(f"      | {line[:400]}")
        self.problems += bool(faults)

    def command(self, verb, *words, group=GROUP, debug=False, **properties):
        """A command line with the properties of the user segmentd, changed by some; None removes one."""
        settings = dict(self.kafka.client("segmentd"), **{"sasl.password": "{file: password}"})
        for name, value in properties.items():
            settings[name.replace("__", ".")] = value
        block = "".join(f"    {name}: {value}\n" for name, value in settings.items() if value is not None)
        shipped = pathlib.Path(self.arguments.config).read_text()
        text = shipped.replace("    bootstrap.servers: localhost:9092\n", block)
        if text == shipped:
            sys.exit(f"{self.arguments.config} has no line for bootstrap.servers: localhost:9092")
        path = self.folder / "segmentd.yaml"
        path.write_text(text)
        chosen = {"kafka.group": group, "kafka.instance": INSTANCE, "topics.events": INPUT,
                  "topics.segments": SEGMENTS, "emit": "all", "clock.at_end": "hold",
                  "model.minimum_customers": 100, "admin.listen": "127.0.0.1:0",
                  "state.directory": self.folder / f"state-{group}",
                  "log.level": "debug" if debug else "info"}
        options = [f"--set={name}={value}" for name, value in chosen.items()]
        return [self.arguments.segmentd, verb, "--config", path, *options, *words]

    def start(self, command, log):
        """A process whose output goes to a file."""
        with open(log, "wb") as output:
            return subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                    env=dict(os.environ, OPENBLAS_NUM_THREADS="1"))

    def ends(self, name, status, words, verb="run", limit=20, options=(), **properties):
        """A command that has to end by itself, with this status and these words once."""
        if not self.wanted(name):
            return
        log = self.folder / "output"
        began = time.monotonic()
        process = self.start(self.command(verb, *options, **properties), log)
        faults = []
        try:
            process.wait(limit)
            if process.returncode != status:
                faults.append(f"status {process.returncode} instead of {status}")
        except subprocess.TimeoutExpired:
            faults.append(f"had not ended after {limit} s")
            stop(process)
        output = log.read_text(errors="replace")
        if output.count(words) != 1:
            faults.append(f"says {output.count(words)} times instead of once: {words}")
        self.say(name, faults, time.monotonic() - began, output)

    def goes_on(self, name, words, seconds=12, **properties):
        """A daemon that has to go on trying, saying these words, and to end at SIGTERM."""
        if not self.wanted(name):
            return
        log = self.folder / "output"
        began = time.monotonic()
        process = self.start(self.command("run", **properties), log)
        while words not in log.read_text(errors="replace") and time.monotonic() < began + seconds:
            time.sleep(0.2)
        faults = [] if process.poll() is None else [f"ended with {process.returncode}"]
        if words not in log.read_text(errors="replace"):
            faults.append(f"does not say within {seconds} s: {words}")
        status = stop(process)
        if not faults and status != 0:
            faults.append(f"status {status} at SIGTERM")
        self.say(name, faults, time.monotonic() - began, log.read_text(errors="replace"))

    def works(self, name, group=GROUP, inspects=False, words=None, **properties):
        """A daemon that has to become ready, to commit everything, and to end at SIGTERM."""
        if not self.wanted(name):
            return
        log = self.folder / "output"
        began = time.monotonic()
        process = self.start(self.command("run", group=group, **properties), log)
        faults = []
        if not self.until(lambda: self.is_ready(log), process, 60):
            faults.append("not ready within 60 s")
        elif not self.until(lambda: self.lag(group) == 0, process, 60):
            faults.append(f"lag {self.lag(group)} after 60 s")
        seen = ""
        if inspects and not faults:
            for _ in range(3):
                seen += self.inspect(faults, [], 0, group=group, **properties)
            self.feed(200)
            if not self.until(lambda: self.lag(group) == 0, process, 60):
                faults.append("does not go on after check --connect")
        status = stop(process)
        if status != 0:
            faults.append(f"status {status} at SIGTERM")
        output = log.read_text(errors="replace")
        if words and words not in output:
            faults.append(f"does not say: {words}")
        if output.count(" assigned ") > 1 or "aborted" in output:
            faults.append("was disturbed")
        self.say(name, faults, time.monotonic() - began, output + seen)

    def inspect(self, faults, words, status, **options):
        """Runs check --connect; its output."""
        process = subprocess.run(self.command("check", "--connect", **options), text=True, timeout=120,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if process.returncode != status:
            faults.append(f"check --connect: status {process.returncode} instead of {status}")
        for word in words:
            lines = [line for line in process.stdout.splitlines() if word in line]
            if not any(line.startswith(("problem ", "warning ")) for line in lines):
                faults.append(f"check --connect does not say: {word}")
        if status == 0 and "\nproblem " in process.stdout:
            faults.append("check --connect finds a problem")
        return process.stdout

    def access(self, name, rules, run_words, check_words):
        """A daemon and a check with a rule missing."""
        if not self.wanted(name):
            return
        self.kafka.revoke_all()
        self.kafka.grant("User:segmentd", rules)
        time.sleep(0.5)
        self.feed(100)
        # While somebody is a member, the transactional id is not asked for.
        self.wait_until_empty()
        faults, began = [], time.monotonic()
        output = self.inspect(faults, [check_words], 0 if run_words is None else 1)
        self.say(f"{name}: check --connect", faults, time.monotonic() - began, output)
        if run_words is None:
            self.works(f"{name}: run", words="restoring from the whole changelog")
        else:
            status = FAILED if name == "see input" else REFUSED
            self.ends(f"{name}: run", status, run_words, limit=60)

    def until(self, holds, process, seconds):
        """Whether something holds before the time is over or the process ends."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and process.poll() is None:
            if holds():
                return True
            time.sleep(0.3)
        return False

    def is_ready(self, log):
        """Whether the daemon says that it is ready."""
        address = re.search(r"listening address=(\S+)", log.read_text(errors="replace"))
        if address is None:
            return False
        try:
            with urllib.request.urlopen(f"http://{address[1]}/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def lag(self, group):
        """Records of the input that the group has not committed."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({**self.kafka.client(), "group.id": group, "log_level": 0})
        try:
            places = [TopicPartition(INPUT, partition) for partition in range(2)]
            ends = [consumer.get_watermark_offsets(place, 10)[1] for place in places]
            return sum(ends) - sum(max(place.offset, 0) for place in consumer.committed(places, 10))
        finally:
            consumer.close()

    def feed(self, count):
        """Sends events of a simulated shop, and one record that cannot be used."""
        from confluent_kafka import Producer

        lines = subprocess.run(
            [self.arguments.segmentd, "simulate", "--customers", "300", "--events", str(count), "--seed",
             str(count + self.feeds)], stdout=subprocess.PIPE, check=True).stdout.splitlines()
        self.feeds += 1
        # Not as the shop, whose rules are taken away with those of the worker.
        producer = Producer({**self.kafka.client(), "partitioner": "murmur2_random", "log_level": 0})
        refused = []

        def note(error, _):
            if error is not None:
                refused.append(error)

        for line in lines:
            producer.produce(INPUT, value=line, key=key_and_time(line)[0], on_delivery=note)
        producer.produce(INPUT, value=b"{bad", key=b"c-bad", on_delivery=note)
        if producer.flush(60) or refused:
            sys.exit(f"events were not confirmed: {refused[:1]}")

    def wait_until_empty(self, limit=30):
        """Until no worker that has been killed or refused is a member of the group any more."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            futures = self.kafka.admin().describe_consumer_groups([GROUP])
            if not futures[GROUP].result(30).members:
                return
            time.sleep(0.5)
        sys.exit(f"the group {GROUP} still has members after {limit} s")


def stop(process):
    """SIGTERM; the exit status, or None after a minute."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def records(kafka, topic):
    """Records that a read_committed reader is given."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({**kafka.client(), "group.id": "count", "enable.partition.eof": True, "log_level": 0})
    count, partitions = 0, len(consumer.list_topics(topic, 10).topics[topic].partitions)
    for partition in range(partitions):
        consumer.assign([TopicPartition(topic, partition, 0)])
        while (record := consumer.poll(10)) is not None and record.error() is None:
            count += 1
    consumer.close()
    return count


def run(check, kafka):
    """All cases."""
    rules = without()
    kafka.create_topics(2, INPUT)
    kafka.grant("User:shop", [("topic", INPUT, False, "write")])
    check.feed(4000)

    # Nothing of this reaches a listener, or the listener lets nobody in.
    for name in secure_kafka.SCRAM:
        check.ends(f"{name} refused", CONFIGURATION, "SCRAM needs librdkafka 2.6.1 or newer",
                   limit=5, sasl__mechanism=name)
    check.ends("ssl.ca.location missing", CONFIGURATION, "ssl.ca.location: cannot be read", limit=5,
               ssl__ca__location="/does/not/exist.pem")
    check.ends("password without SASL", CONFIGURATION,
               "sasl.password: has no effect while security.protocol is ssl", limit=5,
               security__protocol="SSL")
    check.ends("no mechanism", CONFIGURATION, "sasl.mechanism: is needed", limit=5, sasl__mechanism=None)
    for name, verb, options, status in (("run", "run", (), REFUSED),
                                        ("check", "check", ("--connect",), FAILED)):
        check.ends(f"wrong password, {name}", status, "check sasl.username, sasl.password",
                   verb=verb, options=options, sasl__password="{file: wrong}")
        check.ends(f"unknown authority, {name}", status, "authority that is not known here",
                   verb=verb, options=options, ssl__ca__location=kafka.folder / "other-ca.pem")
        check.ends(f"name not in certificate, {name}", status, "is for another name", verb=verb,
                   options=options, bootstrap__servers=f"localhost:{kafka.port}",
                   broker__address__family="v4")
    if check.wanted("wrong password, debug"):
        log = check.folder / "output"
        process = check.start(check.command("run", debug=True, sasl__password="{file: wrong}"), log)
        process.wait(30)
        check.say("wrong password, debug", [], 0, log.read_text(errors="replace"))
    check.goes_on("plain text to a TLS listener", "incorrect security.protocol",
                  security__protocol="SASL_PLAINTEXT", ssl__ca__location=None)
    check.goes_on("TLS to a plain listener", "does the listener at that port speak TLS",
                  bootstrap__servers=kafka.internal)
    check.goes_on("nobody listens", "Connection refused", bootstrap__servers=f"127.0.0.1:{kafka.port + 5}")

    # The first start creates the topics; what follows needs them and their rows.
    kafka.grant("User:segmentd", [rule for rule in rules if rule[3] != "create"])
    time.sleep(0.5)
    check.ends("create", FAILED, "create by hand", limit=30)
    kafka.grant("User:segmentd", rules)
    time.sleep(0.5)
    only, check.arguments.only = check.arguments.only, ""
    check.works("TLS and SASL/PLAIN")
    check.arguments.only = only
    published = records(kafka, SEGMENTS)
    print(f"      {published} decisions, {records(kafka, OWN + '-customers')} rows", flush=True)
    check.problems += published == 0
    check.works("restart with rows", inspects=True)
    for case in ACCESS:
        check.access(*case)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segmentd", required=True)
    parser.add_argument("--kafka-home", required=True, metavar="FOLDER",
                        help="an unpacked Kafka distribution, 4.0 or newer")
    parser.add_argument("--config", default="config/segmentd.yaml")
    parser.add_argument("--port", type=int, default=19592, help="first of six ports (default 19592)")
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose names hold one of them")
    parser.add_argument("--show", action="store_true", help="show what every case said")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="segmentd-security-"))
    try:
        with secure_kafka.SecureKafka(arguments.kafka_home, folder / "kafka", arguments.port) as kafka:
            check = Check(arguments, kafka, folder)
            run(check, kafka)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{check.problems} cases are not as expected" if check.problems else "everything as expected")
    sys.exit(check.problems > 0)


if __name__ == "__main__":
    main()
