"""What topics say of tables that were read and streamed at once, against SELECT.

Records are read in the order of their positions, over all partitions, and decoded with fastavro by
their schemas. The last state of every key must be the table's row; of a table without a key the rows
that are left, however often each. A row is read once, unless something came between. Every row that
a transaction of the stream changed is there (the table `truth` counts them). One line a table, or
what differs.
"""

import argparse
import collections
import heapq
import io
import json
import pathlib
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "deploy" / "lib"))

import events
import fastavro
import psycopg
from confluent_kafka import Consumer, KafkaError, TopicPartition


def main():
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "registry", "dsn", "prefix", "tables"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--keyless", default="", help="those of the tables that have no key")
    arguments = parser.parse_args()
    schemas = Schemas(arguments.registry)
    connection = psycopg.connect(arguments.dsn)
    changes, faults = collections.Counter(), []
    for name in arguments.tables.split(","):
        kind = Bag if name in arguments.keyless.split(",") else Rows
        table = kind(connection, name)
        for record in in_order(arguments.bootstrap, f"{arguments.prefix}.public.{name}"):
            table.take(record, schemas)
        faults += table.faults + table.compare(connection)
        changes += table.changes
        print(f"{name}: {table.reads} rows read, {table.left()} left", flush=True)
    truth = dict(connection.execute("SELECT xid, count(*) FROM truth GROUP BY xid").fetchall())
    faults += [
        f"transaction {xid}: {truth.get(xid, 0)} changes, {changes.get(xid, 0)} in Kafka"
        for xid in truth.keys() | changes.keys()
        if truth.get(xid, 0) != changes.get(xid, 0)
    ]
    if faults:
        sys.exit("\n".join([f"{len(faults)} faults, among them:", *faults[:20]]))
    print(f"{len(truth)} transactions of {sum(truth.values())} changes are whole")


class Schemas:
    """Decodes what begins with a schema's id."""

    def __init__(self, url):
        self.url, self.parsed = url, {}

    def decode(self, data):
        number = int.from_bytes(data[1:5], "big")
        if number not in self.parsed:
            with urllib.request.urlopen(f"{self.url}/schemas/ids/{number}") as answer:
                self.parsed[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.parsed[number])


def in_order(bootstrap, topic):
    """Committed records by their positions, which must increase in each partition."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "snapshot-state",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": 8192,
    }
    partitions = Consumer(settings).list_topics(topic, timeout=30).topics[topic].partitions
    return heapq.merge(*(partition(settings, topic, number) for number in partitions))


def partition(settings, topic, number):
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, number, 0)])
    before = (0, 0, 0, 0)
    while True:
        for message in consumer.consume(1000, timeout=1.0):
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                consumer.close()
                return
            place = events.position(message)
            assert before < place, f"{topic}: {place} behind {before}"
            before = place
            yield (place, message.offset(), Record(message))


class Record:
    """What is kept of a message until its turn."""

    def __init__(self, message):
        self.key, self.value = message.key(), message.value()
        headers = dict(message.headers())
        self.xid = headers["walbrook.xid"].decode() if "walbrook.xid" in headers else None
        self.unchanged = json.loads(headers.get("walbrook.unchanged", b"[]"))

    def __lt__(self, other):
        return False


class Table:
    """What all tables have: how many rows were read, and what transactions did."""

    is_counted = True

    def __init__(self, connection, name):
        self.name, self.reads, self.faults = name, 0, []
        columns = connection.execute(f"SELECT * FROM {name} LIMIT 0").description
        self.columns = [column.name for column in columns]
        self.changes, self.place = collections.Counter(), None

    def take(self, entry, schemas):
        place, _, record = entry
        if record.value is None:
            return
        event = schemas.decode(record.value)
        op, change = event["op"], place[:3]
        if op == "r":
            self.reads += 1
            self.expect(record.xid is None and event["source"]["snapshot"] != "false", place)
        else:
            self.expect(record.xid is not None, place)
        # A key that changes is a delete and a create of one change.
        if self.is_counted and op in ("c", "u", "d") and change != self.place:
            self.changes[record.xid] += 1
        self.apply(op, event, record, change)
        self.place = change

    def expect(self, is_so, place):
        if not is_so:
            self.faults.append(f"{self.name}: the record at {place} is not what it says")

    def row(self, image, record=None, before=None):
        """The hash of each value; what was not sent is the row's before it."""
        unchanged = record.unchanged if record else ()
        values = []
        for at, column in enumerate(self.columns):
            if column in unchanged:
                values.append(before[at] if before else None)
            else:
                values.append(hash(text(image[column])))
        return tuple(values)

    def selected(self, connection):
        with connection.cursor(name="rows") as cursor:
            cursor.itersize = 10000
            for row in cursor.execute(f"SELECT * FROM {self.name}"):
                yield tuple(hash(text(value)) for value in row)


class Rows(Table):
    """The last state of each key."""

    def __init__(self, connection, name):
        super().__init__(connection, name)
        self.rows, self.moved, self.last = {}, None, {}

    def apply(self, op, event, record, change):
        if op == "t":
            self.rows.clear()
            self.last.clear()
            return
        key = record.key
        if op == "r" and self.last.get(key) == "r":
            self.faults.append(f"{self.name}: a row was read twice")
        self.last[key] = op
        if op == "d":
            self.moved = (change, self.rows.pop(key, None))
            return
        before = self.rows.get(key)
        if before is None and self.moved and self.moved[0] == change:
            before = self.moved[1]
        self.rows[key] = self.row(event["after"], record, before)

    def left(self):
        return len(self.rows)

    def compare(self, connection):
        return differences(self.name, self.rows.values(), self.selected(connection))


class Bag(Table):
    """The rows of a table without a key, which the stream has whole."""

    # Its stream begins with its snapshot.
    is_counted = False

    def __init__(self, connection, name):
        super().__init__(connection, name)
        self.rows = collections.Counter()

    def apply(self, op, event, record, change):
        if op == "t":
            self.rows.clear()
        if op in ("u", "d"):
            self.rows[self.row(event["before"])] -= 1
        if op in ("r", "c", "u"):
            self.rows[self.row(event["after"])] += 1

    def left(self):
        return self.rows.total()

    def compare(self, connection):
        below = [count for count in self.rows.values() if count < 0]
        faults = [f"{self.name}: {len(below)} rows were deleted too often"] if below else []
        return faults + differences(self.name, self.rows.elements(), self.selected(connection))


def differences(name, found, wanted):
    counts = collections.Counter(wanted)
    counts.subtract(found)
    missing = sum(count for count in counts.values() if 0 < count)
    extra = -sum(count for count in counts.values() if count < 0)
    return [f"{name}: {missing} rows are missing, {extra} are extra"] if missing or extra else []


def text(value):
    return None if value is None else str(value)


if __name__ == "__main__":
    main()
