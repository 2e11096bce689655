"""Writes to customers what happens to their orders, from the events of the shop's outbox.

Each mail is written exactly once: the mail, under its event's id, and the offset behind the event are
one transaction of a database of its own (SQLite, in --store). Kafka is not told of offsets at all. So it
may be killed at any moment, and goes on with what it has not written yet.

Here a mail that is in the database counts as sent. A real mailer has another thread that gives the
mails to a mail server and then marks them: a kill between the two sends one of them again, and nothing
that a mail server offers can prevent that. Give it the event's id as the Message-ID.
"""

import argparse
import http.server
import io
import json
import logging
import os
import pathlib
import signal
import socket
import sqlite3
import sys
import threading
import time
import urllib.request

import fastavro
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

TOPICS = ["shop.event.order", "shop.event.payment"]

# By the types of events. Those of other types may have other schemas, or no value at all.
TEXTS = {
    "OrderPlaced": "Thank you for your order {order} of {total} euros.",
    "OrderShipped": "Your order {order} is on its way.",
    "OrderCancelled": "Your order {order} is cancelled.",
    "PaymentReceived": "We have received {amount} euros for your order {order}.",
}


class Trouble(Exception):
    """Something that passes: the same is tried again."""


class Store:
    """The mails, and up to where events were read. A file of SQLite survives any end of this process."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Two threads use it, each with a transaction of its own: this one writes, `state` reads.
        self.file = folder / "mailer.db"
        self.database = sqlite3.connect(self.file)
        self.database.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS mail (
                number INTEGER PRIMARY KEY, event TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
                customer TEXT NOT NULL, text TEXT NOT NULL
            );
            CREATE TABLE IF NOT EXISTS position (
                topic TEXT, partition INTEGER, next INTEGER NOT NULL, handled INTEGER NOT NULL,
                PRIMARY KEY (topic, partition)
            );
            """
        )

    def positions(self):
        """The next offset of each partition."""
        rows = self.database.execute("SELECT topic, partition, next FROM position")
        return {TopicPartition(topic, partition): after for topic, partition, after in rows}

    def take(self, events):
        """Writes the mails of some events, all of them or none."""
        with self.database:
            for record, event in events:
                if event is not None:
                    self.write(dict(record.headers)["id"].decode(), kind(record), event)
                self.database.execute(
                    "INSERT INTO position VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE"
                    " SET next = excluded.next, handled = handled + 1",
                    (record.topic, record.partition, record.offset + 1),
                )

    def write(self, id, kind, event):
        """Writes a mail, unless there is one of this event.

        By the offsets alone there is one for each record. By the id there is one for each event, even
        if it comes as two records, as when somebody publishes an event once more.
        """
        self.database.execute(
            "INSERT OR IGNORE INTO mail (event, type, customer, text) VALUES (?, ?, ?, ?)",
            (id, kind, event["customer"], TEXTS[kind].format_map(event)),
        )

    def state(self):
        database = sqlite3.connect(self.file)
        try:
            (events,) = database.execute("SELECT coalesce(sum(handled), 0) FROM position").fetchone()
            mails = dict(database.execute("SELECT type, count(*) FROM mail GROUP BY type"))
            last = database.execute("SELECT text FROM mail ORDER BY number DESC LIMIT 1").fetchone()
            return {"events": events, "mails": mails, "last": last[0] if last else ""}
        finally:
            database.close()


class Registry:
    """Decodes Avro in Confluent's framing: a zero, the id of the schema in four bytes, the value."""

    def __init__(self, url):
        self.url, self.schemas = url, {}

    def decode(self, data):
        if data is None:
            return None
        if data[0] != 0:
            raise ValueError("these bytes do not begin with a schema's id")
        number = int.from_bytes(data[1:5], "big")
        if number not in self.schemas:
            self.schemas[number] = self.schema(number)
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.schemas[number], None)

    def schema(self, number):
        try:
            with urllib.request.urlopen(f"{self.url}/schemas/ids/{number}", timeout=5) as answer:
                return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        except OSError as error:
            raise Trouble(f"the registry does not answer at {self.url}") from error


def follow(given, store):
    """Writes mails for ever; after any trouble it begins again where its store says."""
    registry = Registry(given.registry)
    is_calm = True
    while True:
        try:
            for events in batches(given.bootstrap, registry, store.positions()):
                store.take(events)
                is_calm = True
        except Trouble as trouble:
            if is_calm:
                print(f"mailer: {trouble}; trying again", file=sys.stderr, flush=True)
            is_calm = False
            time.sleep(1)


def batches(bootstrap, registry, positions):
    """Lists of records with what they say, also empty ones: each shows that Kafka answers."""
    consumer = None
    try:
        reach(bootstrap)
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            # kafka-python's default also reads records of transactions that were aborted, as walbrook's is
            # when it is killed. Their events come again, and by offsets alone would be mails again.
            isolation_level="read_committed",
            # Without a group there are no offsets in Kafka: this is the only reader of its partitions.
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=5000,
            # Else it may wait for half a minute before it connects again.
            reconnect_backoff_max_ms=1000,
        )
        partitions = all_partitions(consumer)
        consumer.assign(partitions)
        for partition in partitions:
            if partition in positions:
                consumer.seek(partition, positions[partition])
        while True:
            records = consumer.poll(timeout_ms=1000, max_records=500)
            if not records:
                # Nothing new, or no Kafka? kafka-python does not tell; this fails if nobody answers.
                consumer.end_offsets(partitions, timeout_ms=5000)
            records = [record for some in records.values() for record in some]
            yield [(record, event(record, registry)) for record in records]
    except (KafkaError, OSError) as error:
        raise Trouble(f"Kafka does not answer at {bootstrap}") from error
    finally:
        if consumer:
            consumer.close(timeout_ms=0)


def reach(bootstrap):
    """Fails if nobody is there.

    Of a constructor that finds nobody kafka-python 3.0 leaves a thread and files behind, each time.
    """
    for server in bootstrap.split(","):
        try:
            socket.create_connection(server.rsplit(":", 1), timeout=5).close()
            return
        except OSError as error:
            complaint = error
    raise complaint


def event(record, registry):
    """What a record says; None if there is no mail of it: its offset is noted all the same."""
    return registry.decode(record.value) if kind(record) in TEXTS else None


def kind(record):
    return dict(record.headers)["eventType"].decode()


def all_partitions(consumer):
    found = []
    for topic in TOPICS:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise Trouble(f"Kafka has no topic {topic} yet")
        found += [TopicPartition(topic, number) for number in numbers]
    return found


def serve(port, state):
    """Answers GET /state in a thread of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/state":
                self.send_error(404)
                return
            body = json.dumps(state()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        sys.exit(f"mailer: cannot listen on port {port}: {os.strerror(error.errno)}; see --port")
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    given = arguments()
    # Its warnings about connections; what matters is said by `follow`.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        store = Store(given.store)
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"mailer: cannot write to {given.store}: {error}; see --store")
    serve(given.port, store.state)
    follow(given, store)


def arguments():
    parser = argparse.ArgumentParser(prog="mailer", description="Writes mails to customers.")
    parser.add_argument("--bootstrap", type=servers, default="127.0.0.1:9092", help="Kafka: HOST:PORT,…")
    parser.add_argument("--registry", default="http://127.0.0.1:8081", help="the schema registry")
    parser.add_argument("--port", type=port, default=8003, help="of GET /state")
    parser.add_argument("--store", type=pathlib.Path, default="store", help="a folder for its database")
    return parser.parse_args()


def servers(text):
    for server in text.split(","):
        port(server.rpartition(":")[2])
    return text


def port(text):
    number = int(text)
    if number not in range(1, 65536):
        raise ValueError("there is no such port")
    return number


if __name__ == "__main__":
    # What is not in the store yet comes again, so there is nothing to be put in order at the end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    main()
