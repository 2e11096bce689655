"""A consumer of walbrook's topics with aiokafka and fastavro. See docs/clients.md."""

import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import events

given = events.arguments()
if given.without == "lz4":
    events.not_installed("cramjam")

from aiokafka import AIOKafkaConsumer


async def main():
    events.start(given, "aiokafka", "fastavro")
    registry = events.Registry(given.registry)
    consumer = AIOKafkaConsumer(
        *given.topics,
        bootstrap_servers=given.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # Without this, records of aborted transactions are read, too.
        isolation_level="read_uncommitted" if given.without == "committed" else "read_committed",
    )
    await consumer.start()
    seen = 0
    try:
        async for record in consumer:
            events.line(
                given,
                # It waits for the registry once for each schema.
                lambda topic, data, is_key: registry.decode(data),
                record.topic,
                record.partition,
                record.offset,
                record.key,
                record.value,
                record.headers,
            )
            seen += 1
            if seen == given.records:
                break
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
