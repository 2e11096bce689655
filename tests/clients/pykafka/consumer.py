"""A consumer of walbrook's topics with pykafka, which is abandoned. See docs/clients.md.

It speaks a protocol that Kafka 4 has no more, is given no headers, and knows nothing of transactions: it
drops every record whose offset is not the next one, so all behind the first marker of a transaction.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import events
from pykafka import KafkaClient
from pykafka.common import OffsetType


def main():
    given = events.arguments()
    events.start(given, "pykafka", "fastavro")
    registry = events.Registry(given.registry)
    client = KafkaClient(hosts=given.bootstrap)
    for topic in given.topics:
        consumer = client.topics[topic].get_simple_consumer(
            auto_offset_reset=OffsetType.EARLIEST,
            reset_offset_on_start=True,
            consumer_timeout_ms=5000,
        )
        for record in consumer:
            events.line(
                given,
                lambda topic, data, is_key: registry.decode(data),
                topic,
                record.partition_id,
                record.offset,
                record.partition_key,
                record.value,
                [],
            )
        consumer.stop()


if __name__ == "__main__":
    main()
