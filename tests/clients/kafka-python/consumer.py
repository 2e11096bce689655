"""A consumer of walbrook's topics with kafka-python and fastavro. See docs/clients.md."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import events

given = events.arguments()
if given.without == "lz4":
    events.not_installed("lz4", "lz4.frame", "lz4f", "lz4framed")

from kafka import KafkaConsumer


def main():
    events.start(given, "kafka-python", "fastavro")
    registry = events.Registry(given.registry)
    consumer = KafkaConsumer(
        *given.topics,
        bootstrap_servers=given.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # Without this, records of aborted transactions are read, too.
        isolation_level="read_uncommitted" if given.without == "committed" else "read_committed",
    )
    for seen, record in enumerate(consumer, start=1):
        events.line(
            given,
            lambda topic, data, is_key: registry.decode(data),
            record.topic,
            record.partition,
            record.offset,
            record.key,
            record.value,
            record.headers,
        )
        if seen == given.records:
            break
    consumer.close()


if __name__ == "__main__":
    main()
