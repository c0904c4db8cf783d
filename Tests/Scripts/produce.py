#!/usr/bin/env python3
"""Send events, one JSON object per line on standard input, to a topic, keyed by customer.

    produce.py --bootstrap localhost:9092 --topic customer-events --partitions 4 < events.ndjson

The record key is `customer_id`, else `subject`, as UTF-8; a line without either is sent without a key,
which a reader has to reject. Of a line that is no JSON the key is what stands after "customer_id",
if anything does. Keys go to partitions by murmur2, as with Java clients. The record's bytes are
the line's, without the line break; empty lines are skipped.

--partitions N creates the topic first if it does not exist. --rate limits records per second.
--event-timestamps gives each record the time of its event as timestamp (for comparisons with a replay);
otherwise the timestamp is now. Prints a count to stderr; ends with status 1 if a record
could not be delivered.
"""

import argparse
import datetime
import doctest
import json
import re
import sys
import time

CUSTOMER = re.compile(rb'"customer_id"\s*:\s*"([^"\\]*)"')


def key_and_time(line):
    """Record key and event time in ms of a line, each None where there is none.

    >>> key_and_time(b'{"customer_id":"c-1","time":"2026-03-01T10:15:00Z"}')
    ('c-1', 1772360100000)
    >>> key_and_time(b'{"specversion":"1.0","subject":"c-2","time":"2026-03-01"}')
    ('c-2', 1772323200000)
    >>> key_and_time(b'{"time":1772442900000,"type":"x"}'), key_and_time(b'{"customer_id":"c-3","am')
    ((None, 1772442900000), ('c-3', None))
    """
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        found = CUSTOMER.search(line)
        return (found[1].decode() if found else None), None
    key = event.get("customer_id", event.get("subject"))
    moment = event.get("time")
    if isinstance(moment, str):
        try:
            parsed = datetime.datetime.fromisoformat(moment)
            if parsed.tzinfo is None:
                parsed = parsed.replace(tzinfo=datetime.timezone.utc)
            moment = round(parsed.timestamp() * 1000)
        except ValueError:
            moment = None
    elif isinstance(moment, bool) or not isinstance(moment, int):
        moment = None
    return (key if isinstance(key, str) and key else None), moment


def create_topic(bootstrap, topic, partitions):
    """Create the topic unless it exists."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap})
    future = admin.create_topics([NewTopic(topic, num_partitions=partitions)])[topic]
    try:
        future.result(30)
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            sys.exit(f"cannot create topic {topic}: {error}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", metavar="HOST:PORT")
    parser.add_argument("--topic", default="customer-events")
    parser.add_argument("--partitions", type=int, metavar="N", help="create the topic with N")
    parser.add_argument("--rate", type=float, metavar="R", help="at most R records per second")
    parser.add_argument("--event-timestamps", action="store_true")
    parser.add_argument("--self-test", action="store_true", help="run the examples in the code")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(doctest.testmod().failed > 0)
    if not arguments.bootstrap:
        parser.error("--bootstrap is required")
    from confluent_kafka import Producer

    if arguments.partitions:
        create_topic(arguments.bootstrap, arguments.topic, arguments.partitions)
    producer = Producer({
        "bootstrap.servers": arguments.bootstrap,
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "linger.ms": 20,
        "queue.buffering.max.messages": 200_000,
    })
    failures = []

    def delivered(error, _):
        if error is not None:
            failures.append(str(error))

    started = time.monotonic()
    count = 0
    for raw in sys.stdin.buffer:
        line = raw.rstrip(b"\r\n")
        if not line:
            continue
        key, moment = key_and_time(line)
        extra = {}
        if arguments.event_timestamps and moment is not None:
            extra["timestamp"] = moment
        while True:
            try:
                producer.produce(arguments.topic, value=line, key=key, on_delivery=delivered,
                                 **extra)
                break
            except BufferError:
                # The queue is full: wait for room, that is how a slow broker slows us down.
                producer.poll(0.1)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
        if arguments.rate:
            ahead = started + count / arguments.rate - time.monotonic()
            if ahead > 0.005:
                producer.poll(0)
                time.sleep(ahead)
    waiting = producer.flush(120)
    seconds = time.monotonic() - started
    print(f"{count} records to {arguments.topic} in {seconds:.1f} s, "
          f"{len(failures)} failed, {waiting} not confirmed", file=sys.stderr)
    for failure in failures[:5]:
        print(f"  {failure}", file=sys.stderr)
    sys.exit(1 if failures or waiting else 0)


if __name__ == "__main__":
    main()
