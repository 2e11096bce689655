"""Reading walbrook's events as any consumer would: confluent-kafka and its AvroDeserializer."""

import datetime
import decimal
import json
import re
import uuid
import warnings

# While it is imported, a dependency of confluent-kafka warns of a dependency of its own.
show, warnings.showwarning = warnings.showwarning, lambda *_, **__: None

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

warnings.showwarning = show

EXACT = decimal.Context(prec=decimal.MAX_PREC)
EPOCH = datetime.datetime(1970, 1, 1)


class Records:
    """A read_committed consumer of all topics that a test accepts, from their beginning."""

    def __init__(self, bootstrap, wanted):
        self.wanted = wanted
        self.assigned = set()
        self.at_end = set()
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "walbrook-shop",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )

    def look_for_topics(self):
        """Takes up topics that have appeared."""
        topics = self.consumer.list_topics(timeout=10).topics
        new = [
            TopicPartition(name, partition, 0)
            for name, topic in topics.items()
            if self.wanted(name)
            for partition in topic.partitions
            if (name, partition) not in self.assigned
        ]
        if new:
            self.consumer.incremental_assign(new)
            self.assigned |= {(entry.topic, entry.partition) for entry in new}

    def poll(self, seconds):
        """The next record, or None."""
        message = self.consumer.poll(seconds)
        if message is None:
            return None
        place = (message.topic(), message.partition())
        if message.error() is None:
            self.at_end.discard(place)
            return message
        if message.error().code() == KafkaError._PARTITION_EOF:
            self.at_end.add(place)
            return None
        raise RuntimeError(str(message.error()))

    def is_at_end(self):
        """Whether every partition was read to its end (as far as we heard)."""
        return self.at_end == self.assigned

    def close(self):
        self.consumer.close()


class Reader(Records):
    """The same, which decodes Avro with the schemas of a registry."""

    def __init__(self, bootstrap, registry_url, wanted):
        super().__init__(bootstrap, wanted)
        self.decode = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))

    def value(self, message):
        return self.decode(message.value(), context(message, MessageField.VALUE))

    def key(self, message):
        return self.decode(message.key(), context(message, MessageField.KEY))


def context(message, field):
    return SerializationContext(message.topic(), field)


def position(message):
    """(epoch, commit LSN, ordinal, part), which no other record has, and which only increases."""
    text = dict(message.headers() or [])["walbrook.position"].decode()
    epoch, _, place = text.rpartition(":")
    high, low, ordinal, part = re.split("[/#.]", place)
    return (int(epoch or 0), int(high, 16) << 32 | int(low, 16), int(ordinal), int(part))


def as_selected(value, selected):
    """The event's value in the form in which psycopg returns the column's value `selected`.

    This is what a consumer of Debezium's types must know: timestamps and times with time zone are
    ISO texts in UTC; timestamps and times without, and intervals, are microseconds; dates are days;
    json and uuid are texts; a numeric without a scale is a record of scale and unscaled bytes.
    """
    if value is None or selected is None or isinstance(selected, (bool, str)):
        return value
    if isinstance(selected, datetime.datetime):
        return timestamp(value) if selected.tzinfo else EPOCH + datetime.timedelta(microseconds=value)
    if isinstance(selected, datetime.date):
        return (EPOCH + datetime.timedelta(days=value)).date()
    if isinstance(selected, datetime.time):
        return time_of_day(value, selected.tzinfo)
    if isinstance(selected, datetime.timedelta):
        return datetime.timedelta(microseconds=value)
    if isinstance(selected, uuid.UUID):
        return uuid.UUID(value)
    if isinstance(selected, decimal.Decimal) and isinstance(value, dict):
        unscaled = int.from_bytes(value["value"], "big", signed=True)
        return decimal.Decimal(unscaled).scaleb(-value["scale"], EXACT)
    if isinstance(selected, list) and isinstance(value, list):
        return [as_selected(item, other) for item, other in zip(value, selected, strict=True)]
    if isinstance(selected, (dict, list)):
        return json.loads(value)
    return value


def timestamp(text):
    """An ISO timestamp in UTC with up to six digits of a second."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    moment = moment.replace(microsecond=int(fraction.ljust(6, "0") or 0))
    return moment.replace(tzinfo=datetime.timezone.utc)


def time_of_day(value, zone):
    """Microseconds since midnight, or an ISO text in UTC brought back into the zone."""
    if zone is None:
        return (EPOCH + datetime.timedelta(microseconds=value)).time()
    moment = timestamp(f"2000-01-01T{value}")
    return moment.astimezone(zone).timetz()
