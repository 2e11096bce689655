"""How many units of each product are reserved by orders, from the events of the shop's outbox.

It counts each event exactly once: what an event changes, its id, and the offset behind it are written in
one transaction of a database of its own (SQLite, in --store). Kafka is not told of offsets at all. So it
may be killed at any moment, and goes on with what it has not counted yet.
"""

import argparse
import asyncio
import contextlib
import io
import json
import logging
import os
import pathlib
import signal
import sqlite3
import sys

import aiohttp
import fastavro
from aiohttp import web
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

TOPIC = "shop.event.order"

# The types of events that we count. Those of other types may have other schemas, or no value at all.
SIGNS = {"OrderPlaced": 1, "OrderCancelled": -1}


class Trouble(Exception):
    """Something that passes: the same is tried again."""


class Store:
    """What was counted, and up to where. A file of SQLite survives any end of this process."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(folder / "inventory.db")
        self.database.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS reserved (product INTEGER PRIMARY KEY, units INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS seen (event TEXT PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS position (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
            """
        )

    def positions(self):
        """The next offset of each partition."""
        return dict(self.database.execute("SELECT partition, next FROM position"))

    def take(self, events):
        """Counts some events, all of them or none."""
        with self.database:
            for record, order in events:
                is_new = self.is_new(dict(record.headers)["id"].decode())
                if is_new and order is not None:
                    self.count(SIGNS[kind(record)], order["lines"])
                self.database.execute(
                    "INSERT INTO position VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
                    (record.partition, record.offset + 1),
                )

    def is_new(self, event):
        """Notes an event's id.

        By the offsets alone no record is counted twice. By the id no event is, even if it comes as two
        records: when a topic is read from its beginning again, or somebody publishes an event once more.
        """
        return self.database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (event,)).rowcount == 1

    def count(self, sign, lines):
        self.database.executemany(
            "INSERT INTO reserved VALUES (?, ?) ON CONFLICT DO UPDATE SET units = units + excluded.units",
            [(line["product"], sign * line["quantity"]) for line in lines],
        )

    def state(self):
        (events,) = self.database.execute("SELECT count(*) FROM seen").fetchone()
        reserved = self.database.execute("SELECT product, units FROM reserved WHERE units <> 0")
        return {"events": events, "reserved": dict(reserved)}


class Registry:
    """Decodes Avro in Confluent's framing: a zero, the id of the schema in four bytes, the value."""

    def __init__(self, url, session):
        self.url, self.session, self.schemas = url, session, {}

    async def decode(self, data):
        if data is None:
            return None
        if data[0] != 0:
            raise ValueError("these bytes do not begin with a schema's id")
        number = int.from_bytes(data[1:5], "big")
        if number not in self.schemas:
            self.schemas[number] = await self.schema(number)
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.schemas[number], None)

    async def schema(self, number):
        try:
            async with self.session.get(f"{self.url}/schemas/ids/{number}", raise_for_status=True) as answer:
                return fastavro.parse_schema(json.loads((await answer.json(content_type=None))["schema"]))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Trouble(f"the registry does not answer at {self.url}") from error


async def follow(given, store, registry):
    """Counts events for ever; after any trouble it begins again where its store says."""
    is_calm = True
    while True:
        try:
            async for events in batches(given.bootstrap, registry, store.positions()):
                # Nothing is awaited in there, so /state never sees a half of it.
                store.take(events)
                is_calm = True
        except Trouble as trouble:
            if is_calm:
                print(f"inventory: {trouble}; trying again", file=sys.stderr, flush=True)
            is_calm = False
            await asyncio.sleep(1)


async def batches(bootstrap, registry, positions):
    """Lists of records with what they say, also empty ones: each shows that Kafka answers."""
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=bootstrap,
        # aiokafka's default also reads records of transactions that were aborted, as walbrook's is when it
        # is killed. Their events come again, and by offsets alone would be counted twice.
        isolation_level="read_committed",
        # Without a group there are no offsets in Kafka: this is the only reader of its partitions.
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=5000,
    )
    try:
        await consumer.start()
        partitions = consumer.assignment()
        for partition in partitions:
            if partition.partition in positions:
                consumer.seek(partition, positions[partition.partition])
        while True:
            records = await consumer.getmany(timeout_ms=1000, max_records=500)
            if not records:
                # Nothing new, or no Kafka? aiokafka does not tell; this fails if nobody answers.
                await consumer.end_offsets(partitions)
            records = [record for some in records.values() for record in some]
            yield [(record, await order(record, registry)) for record in records]
    except UnknownTopicOrPartitionError as error:
        raise Trouble(f"Kafka has no topic {TOPIC} yet") from error
    except KafkaError as error:
        raise Trouble(f"Kafka does not answer at {bootstrap}") from error
    finally:
        # In aiokafka 0.14 a fetch that has just failed ends this with a cancellation that is not ours.
        with contextlib.suppress(asyncio.CancelledError):
            await consumer.stop()


async def order(record, registry):
    """What a record says; None if we do not count it: its offset and its id are noted all the same."""
    return await registry.decode(record.value) if kind(record) in SIGNS else None


def kind(record):
    return dict(record.headers)["eventType"].decode()


async def serve(port, state):
    """Answers GET /state."""

    async def answer(_):
        return web.json_response(state())

    app = web.Application()
    app.router.add_get("/state", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        sys.exit(f"inventory: cannot listen on port {port}: {os.strerror(error.errno)}; see --port")


async def main():
    given = arguments()
    # Its warnings about connections; what matters is said by `follow`.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        store = Store(given.store)
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"inventory: cannot write to {given.store}: {error}; see --store")
    await serve(given.port, store.state)
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await follow(given, store, Registry(given.registry, session))


def arguments():
    parser = argparse.ArgumentParser(prog="inventory", description="Counts what orders reserve.")
    parser.add_argument("--bootstrap", type=servers, default="127.0.0.1:9092", help="Kafka: HOST:PORT,…")
    parser.add_argument("--registry", default="http://127.0.0.1:8081", help="the schema registry")
    parser.add_argument("--port", type=port, default=8001, help="of GET /state")
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
    asyncio.run(main())
