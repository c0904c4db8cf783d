#!/usr/bin/env python3
"""Run a demo and read its decisions while it runs, as customers of segmentd would.

    check_demo.py .build/debug/segmentd --keep FOLDER

Starts `segmentd demo --customers 700 --rate 4000`, takes the broker's address from what it prints, and
reads the segments several times at once: by itself, with crm_consumer.py and with kcat. Every key, header
and value has to be as documented (field names and types, allowed words, ce_id, ordered moments), the
revisions of every life have to be 1, 2, 3, ... without gap or repeat, and no decision may run ahead of
the events.

Once the shop's year is over, tables that readers keep (table_consumer.py) are held against the daemon: of
one who read a little and went, one who comes late, one who was away for long, and, by the same records,
readers of a compacted topic. Then customers are erased, and the tables held against it again. The demo is
ended by an interrupt, as a person would end it; --seconds is but a limit.

--keep writes what was read and asked to a folder, for check_monitoring.py and check_schemas.py:
segments.ndjson and rejected.ndjson (as dump_topic.py does), metrics.txt, customers.ndjson and the other
answers of /api as .json. Prints a verdict; ends with status 1 on failure.

The embedded broker shows records of aborted transactions to everyone. Where the demo reports aborted
transactions, repeats are therefore only told.
"""

import argparse
import datetime
import doctest
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error

from table_consumer import Readers, export, fetch

NULL = type(None)
NUMBER = (int, float)
FIELDS = {
    "type": str, "customer_id": str, "life": int, "revision": int, "cause": str,
    "effective_at": str, "decided_at": str, "backfill": bool, "model_version": int,
    "model_step": int, "segment_id": int, "segment_key": str, "segment_name": str,
    "previous_segment_id": (int, NULL), "segment_transition": str, "segment_since": str,
    "provisional": bool, "distance": NUMBER, "margin": (*NUMBER, NULL),
    "runner_up_segment_id": (int, NULL), "churn_band": str, "previous_churn_band": (str, NULL),
    "churn_transition": str, "risk": (*NUMBER, NULL), "p_alive": (*NUMBER, NULL),
    "p_no_purchase": (*NUMBER, NULL), "horizon_days": NUMBER, "orders": int, "spent": NUMBER,
    "last_order_at": (str, NULL), "expected_next_order_at": (str, NULL),
    "next_review_at": (str, NULL), "expected_orders": (*NUMBER, NULL),
    "expected_value": (*NUMBER, NULL), "strategy": str, "interests": list, "reasons": list,
    "imputed": list,
}
PARTS = {
    "interests": {"category": str, "share": NUMBER, "lift": (*NUMBER, NULL)},
    "reasons": {"feature": str, "value": NUMBER, "typical": NUMBER, "direction": str},
}
BANDS = {"insufficient_data", "low", "medium", "high"}
WORDS = {
    "type": {"segment.changed", "churn.changed", "decision.refreshed"},
    "cause": {"event", "time", "model"},
    "segment_transition": {"none", "entered", "moved"},
    "churn_transition": {"none", "raised", "escalated", "eased", "cleared"},
    "churn_band": BANDS,
    "previous_churn_band": BANDS | {None},
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def has_type(value, kind):
    """Whether a JSON value is of a type; true and false are no numbers.

    >>> has_type(1, int), has_type(1.5, NUMBER), has_type(None, (int, NULL))
    (True, True, True)
    >>> has_type(True, int), has_type(1.5, int), has_type("1", NUMBER), has_type(True, bool)
    (False, False, False, True)
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def problems(key, headers, body):
    """What is wrong with a decision, as sentences; the list is empty if nothing is.

    >>> body = example()
    >>> problems("c", example_headers(body), body)
    []
    >>> problems("d", example_headers(body), body)
    ['customer_id c under the key d', 'ce_id is c/5/1']
    >>> wrong = body | {"risk": 1.5, "orders": "3", "cause": "luck", "effective_at": "yesterday"}
    >>> del wrong["spent"]
    >>> for line in problems("c", example_headers(wrong), wrong): print(line)
    missing: spent
    orders is '3'
    cause is 'luck'
    effective_at is 'yesterday'
    risk is 1.5
    """
    if not isinstance(body, dict):
        return ["the value is no object"]
    found = []
    for text, names in [("missing", FIELDS.keys() - body.keys()),
                        ("not documented", body.keys() - FIELDS.keys())]:
        if names:
            found.append(f"{text}: {', '.join(sorted(names))}")
    body = {name: value for name, value in body.items() if name in FIELDS}
    found += [f"{name} is {value!r}" for name, value in body.items()
              if not has_type(value, FIELDS[name])]
    found += [f"{name} is {body[name]!r}" for name, words in WORDS.items()
              if body.get(name) not in words and name in body]
    for name, form in [("effective_at", MOMENT), ("decided_at", MOMENT), ("segment_since", MOMENT),
                       ("next_review_at", MOMENT), ("last_order_at", DAY),
                       ("expected_next_order_at", DAY)]:
        value = body.get(name)
        if isinstance(value, str) and not form.fullmatch(value):
            found.append(f"{name} is {value!r}")
    for name in ("risk", "p_alive", "p_no_purchase"):
        value = body.get(name)
        if has_type(value, NUMBER) and not 0 <= value <= 1:
            found.append(f"{name} is {value}")
    for name, parts in PARTS.items():
        for item in body.get(name) or []:
            if not isinstance(item, dict) or item.keys() != parts.keys() or not all(
                has_type(item[part], kind) for part, kind in parts.items()
            ):
                found.append(f"{name} has {item!r}")
    if not all(isinstance(name, str) for name in body.get("imputed") or []):
        found.append(f"imputed is {body['imputed']!r}")
    if body.get("customer_id") != key:
        found.append(f"customer_id {body.get('customer_id')} under the key {key}")
    expected = {
        "ce_specversion": "1.0", "ce_type": body.get("type"), "content-type": "application/json",
        "ce_id": f"{key}/{body.get('life')}/{body.get('revision')}",
        "ce_source": "segmentd/segmentd", "ce_time": body.get("effective_at"),
    }
    found += [f"{name} is {headers.get(name)}" for name, value in expected.items()
              if headers.get(name) != value]
    if body.get("segment_transition") == "none" and body.get("churn_transition") == "none" \
            and body.get("type") != "decision.refreshed":
        found.append("nothing changed")
    return found


def example():
    """A decision that is as documented, for the examples in the code."""
    moment = "2026-03-01T10:15:00.000Z"
    texts = {"effective_at": moment, "decided_at": moment, "segment_since": moment}
    words = {"type": "segment.changed", "customer_id": "c", "cause": "event",
             "segment_transition": "entered", "churn_band": "low", "churn_transition": "none"}
    body = {}
    for name, kind in FIELDS.items():
        kinds = kind if isinstance(kind, tuple) else (kind,)
        body[name] = None if NULL in kinds else kinds[0]()
    return body | texts | words | {"life": 5, "revision": 1}


def example_headers(body):
    """The headers of such a decision."""
    return {
        "ce_specversion": "1.0", "ce_type": body["type"], "content-type": "application/json",
        "ce_id": f"c/{body['life']}/{body['revision']}", "ce_source": "segmentd/segmentd",
        "ce_time": body["effective_at"],
    }


class Revisions:
    """Follows the revisions of every customer.

    >>> seen = Revisions()
    >>> for revision in (1, 2, 2, 4): seen.add("c", 5, revision)
    >>> seen.add("c", 9, 1); seen.add("d", 5, 2)
    >>> seen.gaps, seen.repeats
    (['c/5/4 after 2', 'd/5/2 after 0'], ['c/5/2 after 2'])
    """

    def __init__(self):
        self.last, self.gaps, self.repeats = {}, [], []

    def add(self, key, life, revision):
        """Take the next record of a customer in."""
        last = self.last.get((key, life), 0)
        if revision > last + 1:
            self.gaps.append(f"{key}/{life}/{revision} after {last}")
        elif revision <= last:
            self.repeats.append(f"{key}/{life}/{revision} after {last}")
        self.last[key, life] = max(last, revision)


class Moments:
    """Holds decisions of the clock against the events that move it.

    >>> seen = Moments()
    >>> seen.add("event", "2026-02-05T00:00:00.000Z"); seen.add("time", "2026-02-20T00:00:00.000Z")
    >>> seen.problems()
    []
    >>> seen.add("time", "2026-11-23T00:00:00.000Z"); seen.problems()
    ['decisions of 2026-11-23 by the clock alone, where events have come to 2026-02-05']
    """

    # Not every event changes a decision, so the newest of those seen is a little old.
    SLACK = datetime.timedelta(days=30)

    def __init__(self):
        self.newest = {}

    def add(self, cause, moment):
        """Take the moment of a decision in."""
        when = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
        self.newest[cause] = max(when, self.newest.get(cause, when))

    def problems(self):
        """Whether time has run ahead of the events, as sentences."""
        event, time_alone = self.newest.get("event"), self.newest.get("time")
        if event is None or time_alone is None or time_alone <= event + self.SLACK:
            return []
        return [f"decisions of {time_alone:%Y-%m-%d} by the clock alone, "
                f"where events have come to {event:%Y-%m-%d}"]


class Demo:
    """A running demo and what it has said so far."""

    def __init__(self, program, arguments):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [program, "demo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, text=True,
        )
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def listen(self):
        """Keep what is said on stderr."""
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append("(end)")
            self.changed.notify_all()

    def find(self, pattern, limit):
        """First match in what was said, within a time limit; None if there is none."""
        deadline = time.monotonic() + limit
        with self.changed:
            while True:
                for line in self.lines:
                    found = re.search(pattern, line)
                    if found:
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or (self.lines and self.lines[-1] == "(end)"):
                    return None
                self.changed.wait(left)


def read(broker, topic, process, seen, moments, found):
    """Read the topic until the demo has ended; returns the records as dump_topic.py writes them."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": broker, "group.id": "check", "enable.auto.commit": False,
        "isolation.level": "read_committed", "log_level": 0,
    })
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    records = []
    while process.poll() is None:
        for message in consumer.consume(2000, timeout=0.2):
            if message.error() is not None:
                continue
            key = message.key().decode()
            if message.value() is None:
                records.append({"key": key, "headers": {}, "value": None})
                seen.last = {life: last for life, last in seen.last.items() if life[0] != key}
                continue
            headers = {name: value.decode() for name, value in message.headers() or []}
            try:
                body = json.loads(message.value())
            except ValueError:
                found.append(f"{key}: the value is no JSON")
                continue
            records.append({"key": key, "headers": headers, "value": body})
            wrong = problems(key, headers, body)
            found += [f"{headers.get('ce_id')}: {sentence}" for sentence in wrong]
            if not wrong:
                seen.add(key, body["life"], body["revision"])
                moments.add(body["cause"], body["effective_at"])
    consumer.close()
    return records


def disagrees(line):
    """Whether key and body of a line that kcat printed differ; a tombstone has no body.

    >>> disagrees('c-1 {"customer_id": "c-1"}'), disagrees("c-1 ")
    (False, False)
    >>> disagrees('c-1 {"customer_id": "c-2"}'), disagrees("c-1 {"), disagrees("c-1 7")
    (True, True, True)
    """
    key, _, body = line.partition(" ")
    if not body:
        return False
    try:
        return json.loads(body)["customer_id"] != key
    except (ValueError, TypeError, KeyError):
        return True


def kcat(broker, topic):
    """Read a few decisions with kcat; returns what is wrong."""
    try:
        answer = subprocess.run(
            ["kcat", "-b", broker, "-t", topic, "-C", "-q", "-c", "20", "-f", "%k %s\\n"],
            capture_output=True, text=True, timeout=60, check=False,
        )
    except FileNotFoundError:
        return ["kcat is not installed"]
    except subprocess.TimeoutExpired:
        return ["kcat did not end"]
    lines = answer.stdout.splitlines()
    wrong = [line for line in lines if disagrees(line)]
    if answer.returncode or len(lines) != 20 or wrong:
        return [f"kcat: status {answer.returncode}, {len(lines)} lines, {len(wrong)} of them wrong, "
                + answer.stderr.strip()]
    return []


def keep(admin, broker, folder):
    """Write what the daemon answers to a folder; returns what is wrong."""
    found = []
    for path, name in [("/metrics", "metrics.txt"), ("/api/status", "status.json"),
                       ("/api/model", "model.json"), ("/api/models", "models.json"),
                       ("/api/segments", "segments.json"), ("/api/sweep", "sweep.json")]:
        try:
            (folder / name).write_text(fetch(admin, path))
        except urllib.error.HTTPError as error:
            found.append(f"{path}: {error}")
    customers = [fetch(admin, f"/api/customers/{name}") for name in export(admin)[:25]]
    (folder / "customers.ndjson").write_text("".join(line + "\n" for line in customers))
    script = pathlib.Path(__file__).resolve().parent / "dump_topic.py"
    with open(folder / "rejected.ndjson", "w") as file:
        answer = subprocess.run(
            [sys.executable, script, "--bootstrap", broker, "--topic", "segmentd-segmentd-rejected"],
            stdout=file, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )
    if answer.returncode:
        found.append("the dead letters cannot be read: " + answer.stderr.strip())
    return found


def follow(demo, broker, topic, folder, found, told):
    """Hold readers' tables against the demo until its year is over and after; then end it."""
    try:
        admin = demo.find(r"^\s*admin +http://([^/\s]+)", 30)[1]
        with tempfile.TemporaryDirectory() as tables:
            readers = Readers(broker, topic, admin, tables)
            readers.come_early()
            if demo.find(r"^the shop's year is over", 120) is None:
                found.append("the shop's year did not end")
            readers.wait_until_idle()
            told.append(readers.come_back(sample=150))
            erased = readers.erase("customer-events")
            readers.wait_until_idle()
            told.append(f"{len(erased)} erased: {readers.come_back(sample=30)}")
            found += readers.found
        if folder is not None:
            found += keep(admin, broker, folder)
    except Exception as error:  # noqa: BLE001 - a thread must say why it ends
        found.append(f"the readers ended: {type(error).__name__} {error}")
    finally:
        demo.process.send_signal(signal.SIGINT)


def check(program, topic, demo_arguments, folder=None):
    """Run it all; returns what is wrong and a sentence of what was seen."""
    found, told, seen, moments = [], [], Revisions(), Moments()
    demo = Demo(program, demo_arguments)
    crm = None
    try:
        broker = demo.find(r"^\s*broker +(\S+)", 60)
        if broker is None:
            return ["the demo named no broker: " + " / ".join(demo.lines[-5:])], ""
        broker = broker[1]
        if demo.find(r"^model 1 of ", 60) is None:
            return ["the demo made no model: " + " / ".join(demo.lines[-5:])], ""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "crm_consumer.py")
        said = tempfile.TemporaryFile("w+")
        # Ends by itself once the broker is gone with the demo.
        crm = subprocess.Popen(
            [sys.executable, script, "--bootstrap", broker, "--topic", topic, "--until-idle", "8"],
            stdout=said, stderr=subprocess.DEVNULL,
        )
        thread = threading.Thread(target=lambda: found.extend(kcat(broker, topic)))
        thread.start()
        readers = threading.Thread(target=follow, args=(demo, broker, topic, folder, found, told))
        readers.start()
        records = read(broker, topic, demo.process, seen, moments, found)
        thread.join(60)
        readers.join(60)
        status = demo.process.wait(60)
        demo.reader.join(10)
        crm_status = crm.wait(90)
        said.seek(0)
        summary = json.loads(said.read() or "{}")
    finally:
        for process in (demo.process, crm):
            if process is not None and process.poll() is None:
                process.kill()
    if status != 0:
        found.append(f"the demo ended with status {status}")
    if demo.process.stdout.read():
        found.append("the demo wrote on stdout")
    aborted = demo.find(r"(\d+) aborted", 0)
    if aborted is None:
        found.append("the demo printed no summary")
    found += [f"gap: {text}" for text in seen.gaps]
    found += moments.problems()
    if aborted is not None and int(aborted[1]) == 0:
        found += [f"repeated: {text}" for text in seen.repeats]
        if summary.get("duplicates"):
            found.append(f"the CRM saw {summary['duplicates']} duplicates")
    elif seen.repeats:
        print(f"{len(seen.repeats)} repeats, as the embedded broker shows aborted transactions")
    if not records:
        found.append("no decisions came")
    if folder is not None:
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        (folder / "segments.ndjson").write_text("".join(lines))
    if crm_status or not summary.get("upserts"):
        found.append(f"the CRM ended with status {crm_status} and {summary.get('upserts')} rows")
    found += [f"the CRM saw {summary[name]} {name}" for name in ("gaps", "malformed", "late_starts")
              if summary.get(name)]
    customers = len({key for key, _ in seen.last})
    return found, "; ".join([f"{len(records)} records of {customers} customers read, "
                             f"{summary.get('upserts')} rows taken over by the CRM", *told])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", metavar="SEGMENTD", nargs="?")
    parser.add_argument("--seconds", default="180")
    parser.add_argument("--customers", default="700")
    parser.add_argument("--rate", default="4000")
    parser.add_argument("--keep", metavar="FOLDER", type=pathlib.Path)
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.program:
        parser.error("SEGMENTD is required")
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    found, told = check(arguments.program, "customer-segments", [
        "--seconds", arguments.seconds, "--customers", arguments.customers,
        "--rate", arguments.rate,
    ], arguments.keep)
    for line in found[:20]:
        print(line)
    if len(found) > 20:
        print(f"... and {len(found) - 20} more")
    print(f"demo: {'FAILED' if found else 'ok'}; {told}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
