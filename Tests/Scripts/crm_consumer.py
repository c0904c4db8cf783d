#!/usr/bin/env python3
"""Read the segments as a CRM would: one row per customer, upserted by key, exactly once.

    crm_consumer.py --bootstrap localhost:9092 --topic customer-segments --sqlite crm.db --until-idle 5

- Reads with isolation.level=read_committed.
- A record whose (life, revision) was already seen is dropped. A tombstone deletes the customer and
  forgets life and revision with it.
- Rows and offsets are stored in one SQLite transaction, so a restart goes on where the rows
  stand. Without --sqlite both live in memory and reading starts at the beginning.
- Revisions of one life grow by one; a jump is counted as a gap, a first record that is not revision 1
  as a late start. Both are normal in a compacted topic and wrong in a fresh one.
- A record that breaks the contract (key, ce_id, type, content type, missing field) is counted as
  malformed, told on stderr and not stored.

Runs until interrupted, or until nothing has come for --until-idle seconds. Then prints a summary as
JSON. With --strict the status is 1 if there were gaps, late starts or malformed records.
"""

import argparse
import doctest
import json
import signal
import sqlite3
import sys
import time
from collections import Counter

SCHEMA = """
create table if not exists customers (
    customer_id text primary key, life integer not null, revision integer not null,
    segment_id integer, segment_name text, churn_band text, risk real, record text not null);
create table if not exists offsets (
    topic text, partition integer, next integer not null, primary key (topic, partition));
"""
TYPES = {"segment.changed", "churn.changed", "decision.refreshed"}
FIELDS = {
    "type", "customer_id", "life", "revision", "cause", "effective_at", "decided_at", "backfill",
    "model_version", "model_step", "segment_id", "segment_key", "segment_name",
    "previous_segment_id", "segment_transition", "segment_since", "provisional", "distance", "margin",
    "runner_up_segment_id", "churn_band", "previous_churn_band", "churn_transition", "risk", "p_alive",
    "p_no_purchase", "horizon_days", "orders", "spent", "last_order_at", "expected_next_order_at",
    "next_review_at", "expected_orders", "expected_value", "strategy", "interests", "reasons",
    "imputed",
}


class CRM:
    """The customer table of a CRM and what it noticed while reading.

    >>> crm = CRM(":memory:")
    >>> def record(life, revision, segment="A"):
    ...     body = dict.fromkeys(FIELDS) | {"type": "segment.changed", "customer_id": "c", "life": life,
    ...         "revision": revision, "segment_id": 1, "segment_name": segment, "churn_band": "low"}
    ...     headers = {"ce_id": f"c/{life}/{revision}", "ce_type": "segment.changed",
    ...         "content-type": "application/json", "ce_specversion": "1.0"}
    ...     return "c", headers, json.dumps(body).encode()
    >>> for r in [(5, 1), (5, 2), (5, 2), (5, 4), (5, 3)]: crm.apply(*record(*r))
    >>> crm.counts["upserts"], crm.counts["duplicates"], crm.counts["gaps"]
    (3, 2, 1)
    >>> crm.apply("c", {}, None); crm.apply(*record(9, 1, "B")); crm.summary()["segments"]
    {'B': 1}
    >>> crm.apply("d", *record(9, 2)[1:]); crm.counts["malformed"]
    1
    """

    def __init__(self, path):
        self.base = sqlite3.connect(path, isolation_level=None)
        self.base.executescript(SCHEMA)
        self.base.execute("pragma synchronous = normal")
        self.counts = Counter()

    def problem(self, key, headers, body):
        """What is wrong with a record, None if nothing is."""
        if not isinstance(body, dict):
            return "value is no JSON object"
        missing = sorted(FIELDS - body.keys())
        if missing:
            return f"missing {', '.join(missing)}"
        if body["customer_id"] != key:
            return f"customer_id {body['customer_id']} under another key"
        if headers.get("ce_id") != f"{key}/{body['life']}/{body['revision']}":
            return f"ce_id {headers.get('ce_id')}"
        if body["type"] not in TYPES or headers.get("ce_type") != body["type"]:
            return f"type {body['type']}, ce_type {headers.get('ce_type')}"
        if headers.get("content-type") != "application/json":
            return f"content-type {headers.get('content-type')}"
        if headers.get("ce_specversion") != "1.0":
            return f"ce_specversion {headers.get('ce_specversion')}"
        return None

    def apply(self, key, headers, value):
        """Take one record in; the caller holds the transaction."""
        self.counts["records"] += 1
        if value is None:
            self.counts["tombstones"] += 1
            self.base.execute("delete from customers where customer_id = ?", (key,))
            return
        try:
            body = json.loads(value)
        except ValueError:
            body = None
        problem = self.problem(key, headers, body)
        if problem:
            self.counts["malformed"] += 1
            if self.counts["malformed"] <= 10:
                print(f"malformed record of {key}: {problem}", file=sys.stderr)
            return
        now = (body["life"], body["revision"])
        seen = self.base.execute(
            "select life, revision from customers where customer_id = ?", (key,)
        ).fetchone()
        if seen is not None and now <= seen:
            self.counts["duplicates"] += 1
            return
        if seen is not None and now[0] == seen[0]:
            self.counts["gaps"] += now[1] > seen[1] + 1
        else:
            self.counts["late_starts"] += now[1] != 1
        self.counts["upserts"] += 1
        self.counts[body["type"]] += 1
        self.base.execute(
            "insert or replace into customers values (?, ?, ?, ?, ?, ?, ?, ?)",
            (key, *now, body["segment_id"], body["segment_name"], body["churn_band"], body["risk"],
             value.decode()),
        )

    def summary(self):
        """The table and the counts, for people."""
        def grouped(column):
            rows = self.base.execute(
                f"select {column}, count(*) from customers group by 1 order by 2 desc, 1"
            )
            return {str(name): count for name, count in rows}

        names = ["records", "upserts", "duplicates", "gaps", "late_starts", "tombstones", "malformed"]
        return {
            "customers": self.base.execute("select count(*) from customers").fetchone()[0],
            **{name: self.counts[name] for name in names},
            "types": {name: self.counts[name] for name in sorted(TYPES)},
            "segments": grouped("segment_name"),
            "bands": grouped("churn_band"),
        }


def read(crm, arguments):
    """Consume until idle or interrupted."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    topic = arguments.topic
    consumer = Consumer({
        "bootstrap.servers": arguments.bootstrap,
        "group.id": "crm",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    })
    stopped = False

    def stop(*_):
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    if not partitions:
        sys.exit(f"topic {topic} does not exist")
    stored = dict(crm.base.execute("select partition, next from offsets where topic = ?", (topic,)))
    consumer.assign([
        TopicPartition(topic, partition, stored.get(partition, OFFSET_BEGINNING))
        for partition in partitions
    ])
    last = time.monotonic()
    while not stopped:
        messages = consumer.consume(2000, timeout=0.5)
        if not messages:
            if arguments.until_idle is not None and time.monotonic() - last > arguments.until_idle:
                break
            continue
        last = time.monotonic()
        crm.base.execute("begin")
        for message in messages:
            if message.error() is not None:
                print(f"cannot read {topic}: {message.error()}", file=sys.stderr)
                continue
            headers = {name: (data or b"").decode("utf-8", "replace")
                       for name, data in message.headers() or []}
            key = (message.key() or b"").decode("utf-8", "replace")
            crm.apply(key, headers, message.value())
            crm.base.execute("insert or replace into offsets values (?, ?, ?)",
                             (topic, message.partition(), message.offset() + 1))
        crm.base.execute("commit")
    consumer.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", metavar="HOST:PORT")
    parser.add_argument("--topic", default="customer-segments")
    parser.add_argument("--sqlite", default=":memory:", metavar="FILE")
    parser.add_argument("--until-idle", type=float, metavar="SECONDS")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.bootstrap:
        parser.error("--bootstrap is required")
    crm = CRM(arguments.sqlite)
    read(crm, arguments)
    summary = crm.summary()
    print(json.dumps(summary, indent=1, ensure_ascii=False))
    wrong = summary["gaps"] + summary["late_starts"] + summary["malformed"]
    sys.exit(1 if arguments.strict and wrong else 0)


if __name__ == "__main__":
    main()
