"""Makes an invoice of each payment: from events of the shop's outbox to the topic billing.invoice.

Exactly once is Kafka's own here: invoices, and the offsets of the payments that they are made of, are
committed in one transaction. Whoever reads billing.invoice with read_committed sees one invoice for each
payment, however often this is killed. It keeps nothing itself, so it does nothing with --store.
"""

import argparse
import http.server
import json
import os
import signal
import sys
import threading
import time

# The registry's client is made of it, and lets its errors through.
import httpx2
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

SOURCE, TARGET = "shop.event.payment", "billing.invoice"

# How many seconds a server may take to answer.
PATIENCE = 5


class Trouble(Exception):
    """Something that passes: the same is tried again."""


class Billing:
    """The loop of reading, making and committing, and what it has done since the start."""

    def __init__(self, given):
        self.given = given
        registry = SchemaRegistryClient({"url": given.registry, "timeout": PATIENCE})
        self.deserialize = AvroDeserializer(registry)
        self.state = {"events": 0, "invoices": 0}

    def follow(self):
        """Makes invoices for ever; after any trouble it begins again from the committed offsets."""
        is_calm = True
        while True:
            consumer, producer = self.new_consumer(), self.new_producer()
            try:
                self.begin(consumer, producer)
                while True:
                    self.transact(consumer, producer)
                    is_calm = True
            except Trouble as trouble:
                complaint = str(trouble)
            except KafkaException as error:
                complaint = self.told(error.args[0])
            finally:
                consumer.close()
            if is_calm:
                print(f"billing: {complaint}; trying again", file=sys.stderr, flush=True)
            is_calm = False
            time.sleep(1)

    def begin(self, consumer, producer):
        if SOURCE not in consumer.list_topics(timeout=PATIENCE).topics:
            raise Trouble(f"Kafka has no topic {SOURCE} yet")
        # Aborts what was left open under our transactional.id, or completes what was about to be committed,
        # and shuts out whoever did that. Offsets that are read after this are final.
        producer.init_transactions(PATIENCE)
        consumer.subscribe([SOURCE])

    def transact(self, consumer, producer):
        """Reads some events and commits their invoices, together with the offsets behind the events."""
        # It waits until there are as many, or for so long.
        records = consumer.consume(num_messages=500, timeout=0.25)
        if not records:
            # Nothing new, or no Kafka? librdkafka does not tell; this fails if nobody answers.
            consumer.list_topics(timeout=PATIENCE)
            return
        producer.begin_transaction()
        invoices, offsets = 0, {}
        for record in records:
            if record.error():
                raise KafkaException(record.error())
            # Events of other types may have other schemas, or no value at all.
            if dict(record.headers())["eventType"] == b"PaymentReceived" and record.value() is not None:
                payment = self.decode(record)
                producer.produce(TARGET, key=str(payment["payment"]), value=json.dumps(invoice(payment)))
                invoices += 1
            offsets[record.partition()] = TopicPartition(SOURCE, record.partition(), record.offset() + 1)
        # Who we are in the group goes with them, so that they count only while the partitions are ours.
        producer.send_offsets_to_transaction(
            list(offsets.values()), consumer.consumer_group_metadata(), PATIENCE
        )
        # If this fails nobody knows whether it is committed; `begin` finds out.
        producer.commit_transaction(PATIENCE)
        self.state["events"] += len(records)
        self.state["invoices"] += invoices

    def decode(self, record):
        try:
            return self.deserialize(record.value(), SerializationContext(SOURCE, MessageField.VALUE))
        except (SchemaRegistryError, httpx2.TransportError) as error:
            raise Trouble(f"the registry does not answer at {self.given.registry}") from error

    def told(self, error):
        if error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
            return f"Kafka does not answer at {self.given.bootstrap}"
        return f"Kafka at {self.given.bootstrap} says: {error.str()}"

    def new_consumer(self):
        return Consumer(
            {
                "bootstrap.servers": self.given.bootstrap,
                "group.id": "billing",
                # With a name of its own a process that comes again has its partitions at once. Without one
                # the group first waits until the session of the killed one is over.
                "group.instance.id": "billing-1",
                # librdkafka's default; said here since it matters. (Most other clients must be told.)
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                # Offsets are committed by the producer, in its transactions.
                "enable.auto.commit": False,
                # Its warnings about connections; what matters is said by `follow`.
                "log_level": 0,
            }
        )

    def new_producer(self):
        return Producer(
            {
                "bootstrap.servers": self.given.bootstrap,
                # One for each process, and the same after each start: by it Kafka knows whose transaction
                # to abort. More processes want other names, as for group.instance.id.
                "transactional.id": "billing-1",
                # Readers wait no longer for a process that was killed and does not come again.
                "transaction.timeout.ms": 10_000,
                "log_level": 0,
            }
        )


def invoice(payment):
    return {
        "invoice": f"INV-{payment['payment']}",
        "payment": payment["payment"],
        "order": payment["order"],
        "amount": payment["amount"],
        "customer": payment["customer"],
    }


def serve(port, state):
    """Answers GET /state in a thread of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/state":
                self.send_error(404)
                return
            body = json.dumps(state).encode()
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
        sys.exit(f"billing: cannot listen on port {port}: {os.strerror(error.errno)}; see --port")
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    given = arguments()
    billing = Billing(given)
    serve(given.port, billing.state)
    # Not in the main thread: there no signal is handled while librdkafka waits.
    worker = threading.Thread(target=billing.follow, daemon=True)
    worker.start()
    worker.join()
    # An error that we do not expect has ended it.
    sys.exit(1)


def arguments():
    parser = argparse.ArgumentParser(prog="billing", description="Makes invoices of payments.")
    parser.add_argument("--bootstrap", type=servers, default="127.0.0.1:9092", help="Kafka: HOST:PORT,…")
    parser.add_argument("--registry", default="http://127.0.0.1:8081", help="the schema registry")
    parser.add_argument("--port", type=port, default=8004, help="of GET /state")
    parser.add_argument("--store", help="as other services have; not used here")
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
    # What is not committed is aborted at the next start, so there is nothing to be put in order at the end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    main()
