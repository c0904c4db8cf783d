#!/usr/bin/env python3
"""Keep a table of customers from the output topic, in SQLite, and hold it against the running daemon.

    table_consumer.py --bootstrap localhost:9092 --sqlite table.db --until-end
    table_consumer.py --bootstrap localhost:9092 --sqlite table.db --compare 127.0.0.1:9464

Reads as crm_consumer.py does: read_committed, upsert by key, (life, revision) drops what was seen, a
tombstone deletes and forgets, rows and offsets in one SQLite transaction. It may be started at any time:
without a file from the oldest record, with one from the offsets in it. A reader that was away for longer
than the topic's minimum compaction lag (--compaction-lag, 7 days) may have missed tombstones, and so
starts over: it reads everything again and deletes what it has not seen by the end. --start-over asks for
that.

--until-end ends at the end that the topic had at the start. --compare does too, and then asks the daemon,
which has to be idle meanwhile (or the comparison says that it was not): the ids of `segmentd export` and
of the table have to be the same, and of --sample customers life, revision, segment and band, too. Before
there is a model, nobody may be in the topic (model.cold_start: hold). A band that began or ended at
insufficient_data without an alert has no record of its own: there the table may have insufficient_data
where the daemon has low, or the other way round.

Prints a verdict; the status is 1 if anything differs or a record breaks the contract.
"""

import argparse
import concurrent.futures
import csv
import doctest
import io
import json
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter

from crm_consumer import CRM

SCHEMA = """
create table if not exists seen (customer_id text primary key, round integer not null);
create table if not exists state (name text primary key, value not null);
"""
COMPACTION_LAG = 7 * 86_400


class Table(CRM):
    """The table, and what is needed to start over.

    >>> table = Table(":memory:")
    >>> for life, revision in [(5, 1), (5, 2), (5, 2)]: table.apply(*record("a", life, revision))
    >>> table.apply(*record("b", 7, 1)); table.apply(*record("c", 9, 1))
    >>> table.customers()
    {'a': (5, 2, 1, 'low'), 'b': (7, 1, 1, 'low'), 'c': (9, 1, 1, 'low')}

    Compaction has taken the first record of a and, long ago, the tombstone of b; c came back.

    >>> table.start_over(); table.apply(*record("a", 5, 2)); table.apply("c", {}, None)
    >>> table.apply(*record("c", 11, 1)); table.end_of_topic(); table.customers()
    {'a': (5, 2, 1, 'low'), 'c': (11, 1, 1, 'low')}

    Without starting over b would have stayed; at the end of an ordinary round nobody is deleted.

    >>> table.end_of_topic(); len(table.customers())
    2
    """

    def __init__(self, path):
        super().__init__(path)
        self.base.executescript(SCHEMA)
        self.is_starting_over = bool(self.value("starting_over", 0))

    def value(self, name, default=None):
        """A number that outlives the process."""
        row = self.base.execute("select value from state where name = ?", (name,)).fetchone()
        return row[0] if row else default

    def keep(self, name, value):
        """Set such a number."""
        self.base.execute("insert or replace into state values (?, ?)", (name, value))

    def start_over(self):
        """Read from the oldest record again; what is not met until the end goes."""
        self.base.execute("delete from offsets")
        self.base.execute("delete from seen")
        self.keep("starting_over", 1)
        self.is_starting_over = True

    def apply(self, key, headers, value):
        """Take one record in; the caller holds the transaction."""
        if self.is_starting_over:
            if value is None:
                self.base.execute("delete from seen where customer_id = ?", (key,))
            else:
                self.base.execute("insert or replace into seen values (?, 1)", (key,))
        super().apply(key, headers, value)

    def end_of_topic(self):
        """The end that the topic had at the start is reached."""
        if not self.is_starting_over:
            return
        gone = self.base.execute(
            "delete from customers where customer_id not in (select customer_id from seen)"
        ).rowcount
        self.counts["not_seen_again"] += gone
        self.base.execute("delete from seen")
        self.keep("starting_over", 0)
        self.is_starting_over = False

    def customers(self):
        """Life, revision, segment and band of every customer."""
        rows = self.base.execute("select customer_id, life, revision, segment_id, churn_band "
                                 "from customers order by 1")
        return {row[0]: tuple(row[1:]) for row in rows}


def opened(path, lag=COMPACTION_LAG):
    """The table of a file, which starts over where it was last read longer ago than `lag` seconds."""
    table = Table(path)
    last = table.value("read_at")
    if last is not None and time.time() - last > lag:
        table.start_over()
    return table


def record(key, life, revision, segment=1, band="low"):
    """A record as it is published, for examples."""
    from crm_consumer import FIELDS

    body = dict.fromkeys(FIELDS) | {
        "type": "segment.changed", "customer_id": key, "life": life, "revision": revision,
        "segment_id": segment, "segment_name": "A", "churn_band": band,
    }
    headers = {"ce_id": f"{key}/{life}/{revision}", "ce_type": "segment.changed",
               "content-type": "application/json", "ce_specversion": "1.0"}
    return key, headers, json.dumps(body).encode()


def compacted(records, cut):
    """What compaction may leave: below `cut` only the last record of every key, tombstones too.

    Records are (key, headers, value) of one partition, in order.

    >>> [(key, value) for key, _, value in compacted(
    ...     [("a", {}, 1), ("b", {}, 2), ("a", {}, 3), ("b", {}, None), ("a", {}, 4)], 4)]
    [('a', 3), ('b', None), ('a', 4)]
    """
    last = {records[index][0]: index for index in range(cut)}
    return [record for index, record in enumerate(records)
            if index >= cut or last[record[0]] == index]


def check_compaction(partitions, seed=1, rounds=4):
    """Whether compaction at any place leaves a reader's table as it is; returns what is wrong.

    `partitions` are lists of (key, headers, value). A reader stops somewhere, the topic is compacted
    somewhere, and the reader goes on from its offset; another one starts afterwards.

    >>> a, b = record("a", 5, 1), record("b", 6, 1)
    >>> check_compaction([[a, b, record("a", 5, 2), ("b", {}, None), record("b", 8, 1)]])
    []
    """
    def read(table, records):
        for one in records:
            table.apply(*one)
        return table

    random_number = random.Random(seed)
    whole = Table(":memory:")
    for records in partitions:
        read(whole, records)
    expected = whole.customers()
    found = []
    for number in range(rounds):
        stopped, late = Table(":memory:"), Table(":memory:")
        for records in partitions:
            stop = random_number.randrange(len(records) + 1)
            cut = random_number.randrange(len(records) + 1)
            read(stopped, records[:stop])
            # Offsets stay as they are when records between them go.
            kept = max(0, cut - stop)
            read(stopped, compacted(records[stop:], kept) if kept else records[stop:])
            read(late, compacted(records, cut))
        # Someone who was away for long, with the tombstones gone as well.
        away = Table(":memory:")
        for records in partitions:
            read(away, records[:random_number.randrange(len(records) + 1)])
        away.start_over()
        for records in partitions:
            left = compacted(records, len(records))
            read(away, [one for one in left if one[2] is not None])
        away.end_of_topic()
        for name, table in [("stopped", stopped), ("late", late), ("away", away)]:
            if table.customers() != expected:
                found.append(f"round {number}: the reader who was {name} has another table")
            if table.counts["malformed"]:
                found.append(f"round {number}: {table.counts['malformed']} malformed records")
    return found


def consume(table, bootstrap, topic, progress_limit=60, records_max=None, log=None):
    """Read from the stored offsets to the end that the topic has now; returns what is wrong."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "table", "enable.auto.commit": False,
        "auto.offset.reset": "error", "isolation.level": "read_committed", "log_level": 0,
        "enable.partition.eof": True,
    })
    metadata = consumer.list_topics(topic, timeout=20).topics[topic]
    if metadata.error is not None or not metadata.partitions:
        return [f"topic {topic}: {metadata.error or 'has no partitions'}"]
    # Where the transaction that holds the last offset was read, its marker is behind it.
    ends, assignment = {}, []
    stored = dict(table.base.execute("select partition, next from offsets where topic = ?", (topic,)))
    for partition in metadata.partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        begin = stored.get(partition, OFFSET_BEGINNING)
        if 0 <= begin < low:
            begin = OFFSET_BEGINNING
        if high > low and begin < high:
            ends[partition] = high
            assignment.append(TopicPartition(topic, partition, begin))
    consumer.assign(assignment)
    taken, progress = 0, time.monotonic()
    try:
        while ends and (records_max is None or taken < records_max):
            messages = consumer.consume(500, timeout=1)
            if not messages and time.monotonic() - progress > progress_limit:
                return [f"partitions {sorted(ends)}: no progress for {progress_limit} s; "
                        "is a transaction open?"]
            table.base.execute("begin")
            for message in messages:
                progress = time.monotonic()
                error = message.error()
                if error is None:
                    headers = {name: (data or b"").decode("utf-8", "replace")
                               for name, data in message.headers() or []}
                    one = ((message.key() or b"").decode("utf-8", "replace"), headers,
                           message.value())
                    table.apply(*one)
                    if log is not None:
                        log.setdefault(message.partition(), []).append(one)
                    taken += 1
                elif error.code() != KafkaError._PARTITION_EOF:
                    table.base.execute("rollback")
                    return [f"cannot read {topic}: {error}"]
                elif message.offset() >= ends.get(message.partition(), 0):
                    ends.pop(message.partition(), None)
                after = message.offset() + (error is None)
                table.base.execute("insert or replace into offsets values (?, ?, ?)",
                                   (topic, message.partition(), after))
            table.keep("read_at", time.time())
            table.base.execute("commit")
    finally:
        consumer.close()
    if not ends:
        table.end_of_topic()
    return []


def fetch(admin, path, limit=10):
    """An answer of the daemon, asked again while too many questions wait."""
    for _ in range(50):
        try:
            with urllib.request.urlopen(f"http://{admin}{path}", timeout=limit) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code not in (503, 504):
                raise
            time.sleep(0.05)
    raise TimeoutError(f"{path} was not answered")


def export(admin):
    """The ids of the customer table, as `segmentd export` has them."""
    ids, row = [], 0
    while True:
        text = fetch(admin, f"/api/export?from={row}")
        following, _, lines = text.partition("\n")
        ids += [line[0] for line in csv.reader(io.StringIO(lines))][row == 0:]
        if not following:
            return ids
        row = int(following)


def differences(mine, theirs):
    """What differs between a row of the table and a customer explained, as sentences.

    >>> customer = {"life": 5, "revision": 2, "segment_id": 1, "churn_band": "low"}
    >>> differences((5, 2, 1, "low"), customer), differences((5, 2, 1, "insufficient_data"), customer)
    ([], [])
    >>> differences((5, 1, 2, "high"), customer)
    ['revision 1, not 2', 'segment_id 2, not 1', 'churn_band high, not low']
    """
    names = ["life", "revision", "segment_id", "churn_band"]
    quiet = {"low", "insufficient_data"}
    return [f"{name} {value}, not {theirs[name]}" for name, value in zip(names, mine)
            if value != theirs[name]
            and not (name == "churn_band" and {value, theirs[name]} <= quiet)]


def compare(table, admin, sample, seed=1, threads=16):
    """Hold the table against the daemon; returns what is wrong and a sentence of what was seen."""
    def published():
        status = json.loads(fetch(admin, "/api/status"))
        return status["outputs"], status["customers"], status["model"] and status["model"]["version"]

    before = published()
    known = export(admin)
    rows = table.customers()
    found = []
    if before[2] is None:
        # Cold start: nothing before the first version, then every known customer once.
        if rows:
            found.append(f"{len(rows)} customers in the topic before there is a model")
        return found, f"no model yet; {len(known)} customers exported, {len(rows)} in the topic"
    if len(set(known)) != len(known):
        found.append(f"export names {len(known) - len(set(known))} customers twice")
    for text, ids in [("exported, but not in the topic", set(known) - rows.keys()),
                      ("in the topic, but not exported", rows.keys() - set(known))]:
        if ids:
            found.append(f"{len(ids)} customers {text}: {', '.join(sorted(ids)[:5])}")
    both = sorted(rows.keys() & set(known))
    # Those whom time or a new model has flagged are few, and the most likely to differ.
    flagged = [name for name in both if rows[name][3] in ("medium", "high")]
    chosen = random.Random(seed).sample(both, min(sample, len(both)))
    chosen = list(dict.fromkeys(flagged[:sample // 2] + chosen))[:sample]

    def explained(name):
        return json.loads(fetch(admin, "/api/customers/" + urllib.parse.quote(name, safe="")))

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for name, customer in zip(chosen, pool.map(explained, chosen)):
            found += [f"{name}: {text}" for text in differences(rows[name], customer)]
    if published() != before:
        found.append("the daemon has published meanwhile; compare while it is idle")
    kinds = Counter(rows[name][3] for name in chosen)
    told = ", ".join(f"{count} {band}" for band, count in kinds.most_common())
    return found, (f"{len(rows)} customers in the topic, {len(known)} exported; of {len(chosen)} "
                   f"the decisions were compared ({told})")


class Readers:
    """Readers of a running daemon's output who come at any time, go, and come back."""

    def __init__(self, bootstrap, topic, admin, folder):
        self.bootstrap, self.topic, self.admin = bootstrap, topic, admin
        self.early_path = f"{folder}/early.db"
        self.found = []

    def read(self, table, **options):
        """Read to the present end, or less."""
        self.found += consume(table, self.bootstrap, self.topic, **options)
        return table

    def come_early(self):
        """One reads a few hundred records while more arrive, and goes; rows and offsets stay."""
        early = self.read(Table(self.early_path), records_max=300)
        early.base.close()

    def wait_until_idle(self, limit=60):
        """Until everything is read and nothing has been published for a while.

        A refit beside the hot path publishes nothing before it is done, which may take seconds.
        """
        deadline, last, quiet = time.monotonic() + limit, None, 0
        while time.monotonic() < deadline:
            status = json.loads(fetch(self.admin, "/api/status"))
            now = (status["records"], status["outputs"], status["transactions"]["committed"])
            idle = now == last and not any(one["records"] for one in status["lag"])
            quiet = quiet + 1 if idle else 0
            if quiet == 7:
                return
            last = now
            time.sleep(0.7)
        self.found.append(f"the daemon is not idle after {limit} s")

    def come_back(self, sample):
        """The early reader comes back, others come late; all have what the daemon has."""
        late, log = Table(":memory:"), {}
        self.read(late, log=log)
        early = self.read(Table(self.early_path))
        counts = early.counts["records"], late.counts["records"]
        self.early_is_whole(early, late)
        wrong, told = compare(late, self.admin, sample)
        self.found += wrong
        for name, table in [("late", late), ("early", early)]:
            if table.counts["malformed"]:
                self.found.append(f"the {name} reader met {table.counts['malformed']} malformed records")
        self.found += check_compaction(list(log.values()))
        away = Table(self.early_path)
        away.start_over()
        self.early_is_whole(self.read(away), late)
        return f"{told}; of {counts[1]} records the early reader had {counts[1] - counts[0]} before"

    def early_is_whole(self, early, late):
        """The early reader's table is that of the late one."""
        if early.customers() != late.customers():
            differing = dict(early.customers().items() ^ late.customers().items())
            self.found.append(f"the early reader's table differs in {len(differing)} customers")
        early.base.close()

    def erase(self, topic, count=3):
        """Customers are erased, through the input; returns when the tombstones are published."""
        from confluent_kafka import Producer

        def tombstones():
            return json.loads(fetch(self.admin, "/api/status"))["outputs"]["tombstone"]

        before = tombstones()
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random",
                             "log_level": 0})
        known = export(self.admin)
        clock = max(json.loads(fetch(self.admin, f"/api/customers/{name}"))["clock"]
                    for name in known[:count])
        for name in known[:count]:
            producer.produce(topic, key=name, value=json.dumps(
                {"id": f"erase-{name}", "type": "privacy.erased", "time": clock, "customer_id": name}))
        producer.flush(10)
        deadline = time.monotonic() + 20
        while tombstones() < before + count:
            if time.monotonic() > deadline:
                self.found.append(f"{tombstones() - before} tombstones for {count} erased customers")
                return []
            time.sleep(0.1)
        return known[:count]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", metavar="HOST:PORT")
    parser.add_argument("--topic", default="customer-segments")
    parser.add_argument("--sqlite", default=":memory:", metavar="FILE")
    parser.add_argument("--until-end", action="store_true", help="without it, goes on for ever")
    parser.add_argument("--start-over", action="store_true")
    parser.add_argument("--compaction-lag", type=float, default=COMPACTION_LAG, metavar="SECONDS")
    parser.add_argument("--compare", metavar="ADMIN", help="HOST:PORT of the daemon's admin port")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.bootstrap:
        parser.error("--bootstrap is required")
    table = opened(arguments.sqlite, arguments.compaction_lag)
    if arguments.start_over:
        table.start_over()
    found = consume(table, arguments.bootstrap, arguments.topic)
    while not found and not arguments.until_end and not arguments.compare:
        time.sleep(1)
        found = consume(table, arguments.bootstrap, arguments.topic)
    told = f"{len(table.customers())} customers"
    if arguments.compare and not found:
        found, told = compare(table, arguments.compare, arguments.sample)
    if table.counts["malformed"]:
        found.append(f"{table.counts['malformed']} malformed records")
    for line in found[:20]:
        print(line)
    print(f"table: {'FAILED' if found else 'ok'}; {told}; {table.counts['records']} records, "
          f"{table.counts['duplicates']} seen before, {table.counts['tombstones']} tombstones")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
