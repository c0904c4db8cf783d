#!/usr/bin/env python3
"""Write a topic as it stands, one record per line, to standard output.

    dump_topic.py --bootstrap localhost:9092 --topic customer-segments > out.ndjson

Each line is `{"key":...,"headers":{...},"value":...}`, as `segmentd replay --output` writes it: key and
headers as text, value as JSON, null for a tombstone, {"base64":...} for bytes that are no JSON.
Reads with isolation.level=read_committed from the beginning up to the high watermarks of the
start; an open transaction in between is waited for, up to --timeout seconds (then status 1).
Records of one key keep their order. --position adds partition, offset and timestamp.
"""

import argparse
import base64
import json
import sys
import time


def text(data):
    """Bytes as text for people, null stays null."""
    return None if data is None else data.decode("utf-8", errors="replace")


def value_of(data):
    """A record value for the dump."""
    if data is None:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return {"base64": base64.b64encode(data).decode()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", metavar="HOST:PORT", required=True)
    parser.add_argument("--topic", default="customer-segments")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS",
                        help="give up after this long without progress (default 60)")
    parser.add_argument("--position", action="store_true")
    arguments = parser.parse_args()
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer({
        "bootstrap.servers": arguments.bootstrap,
        "group.id": "dump-topic",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })
    metadata = consumer.list_topics(arguments.topic, timeout=20).topics[arguments.topic]
    if metadata.error is not None or not metadata.partitions:
        sys.exit(f"topic {arguments.topic}: {metadata.error or 'has no partitions'}")
    ends, assignment = {}, []
    for partition in metadata.partitions:
        low, high = consumer.get_watermark_offsets(
            TopicPartition(arguments.topic, partition), timeout=20
        )
        if high > low:
            ends[partition] = high
            assignment.append(TopicPartition(arguments.topic, partition, low))
    consumer.assign(assignment)
    count, progress = 0, time.monotonic()
    while ends:
        messages = consumer.consume(1000, timeout=1)
        if not messages and time.monotonic() - progress > arguments.timeout:
            sys.exit(f"partitions {sorted(ends)}: no progress for {arguments.timeout} s; "
                     "is a transaction open?")
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    sys.exit(f"cannot read {arguments.topic}: {error}")
                # The end that a reader of committed records sees can lie before the watermark.
                if message.offset() >= ends.get(message.partition(), 0):
                    ends.pop(message.partition(), None)
                continue
            progress = time.monotonic()
            record = {
                "key": text(message.key()),
                "headers": {name: text(data) for name, data in message.headers() or []},
                "value": value_of(message.value()),
            }
            if arguments.position:
                record |= {"partition": message.partition(), "offset": message.offset(),
                           "timestamp": message.timestamp()[1]}
            print(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
            count += 1
    consumer.close()
    print(f"{count} records of {arguments.topic}", file=sys.stderr)


if __name__ == "__main__":
    main()
