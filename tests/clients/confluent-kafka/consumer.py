"""A consumer of walbrook's topics with confluent-kafka's AvroDeserializer. See docs/clients.md."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import events
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def main():
    given = events.arguments()
    events.start(given, "confluent-kafka", "fastavro")
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": given.registry}))

    def decode(topic, data, is_key):
        field = MessageField.KEY if is_key else MessageField.VALUE
        return deserialize(data, SerializationContext(topic, field))

    consumer = Consumer(
        {
            "bootstrap.servers": given.bootstrap,
            "group.id": "a-consumer-in-python",
            # The default of librdkafka; said here since it matters.
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(list(given.topics))
    seen = 0
    while given.records == 0 or seen < given.records:
        record = consumer.poll(1.0)
        if record is None:
            continue
        if record.error():
            raise KafkaException(record.error())
        place = (record.topic(), record.partition(), record.offset())
        headers = record.headers() or []
        events.line(given, decode, *place, record.key(), record.value(), headers)
        seen += 1
    consumer.close()


if __name__ == "__main__":
    main()
