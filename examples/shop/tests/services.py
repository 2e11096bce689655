"""The services by themselves: no storm, but what strangers will have.

Of two servers of Kafka one does not answer, and in the topics there are tombstones and events that nobody
wants. A registry that is away, a store that cannot be written and options that cannot be are one sentence.
"""

import decimal
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

SHOP = pathlib.Path(__file__).resolve().parents[1]
PROJECT = SHOP.parents[1]
sys.path.insert(0, str(PROJECT / "deploy" / "lib"))

import fastavro
import servers
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

ORDERS, PAYMENTS, PRODUCTS = "shop.event.order", "shop.event.payment", "shop.public.shop_product"

INVENTORIES = ["inventory", "inventory-kafkajs", "inventory-confluent-kafka-go", "inventory-rust"]
# What each says when it has taken all of `publish`: of 18 events of orders 9 are wanted.
WANTED = dict.fromkeys(INVENTORIES, {"events": 18, "reserved": {"1": 7}}) | {
    "mailer": {"mails": {"OrderPlaced": 8, "OrderCancelled": 1, "PaymentReceived": 4}},
    "billing": {"invoices": 4},
    "search": {"events": 5, "products": {"0": ["tea", "1.50"], "1": ["tea", "1.50"]}},
}

ORDER = json.loads((PROJECT / "schemas" / "shop" / "order-2.avsc").read_text())
PAYMENT = json.loads((PROJECT / "schemas" / "shop" / "payment-1.avsc").read_text())
OTHER = {"type": "record", "name": "Other", "fields": [{"name": "why", "type": "string"}]}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}]}
PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "price", "type": PRICE},
    ],
}
PRODUCT = {"type": "record", "name": "Envelope", "fields": [{"name": "after", "type": ["null", ROW]}]}


def main():
    words = {name: command(name) for name in [*WANTED, "analytics"]}
    for name in words:
        options_that_cannot_be(name, words[name])
    print("options that cannot be: a sentence in each service")
    stage = servers.Servers("services")
    try:
        stage.start()
        publish(stage)
        nobody = f"127.0.0.1:{servers.free_port()}"
        each_has_all(stage, words, list(WANTED), f"{nobody},{stage.bootstrap}")
        # What billing has done is in Kafka: the next one has nothing to do.
        rest = [name for name in WANTED if name != "billing"]
        each_has_all(stage, words, rest, f"{stage.bootstrap},{nobody}")
        print("a dead server beside the other, and events that nobody wants: each service has all")
        a_registry_that_is_away_is_named(stage, words, f"http://{nobody}")
        a_store_that_cannot_be_written_ends_it(stage, words["inventory-kafkajs"])
    finally:
        stage.stop()


def command(name):
    program = PROJECT / "deploy" / "program"
    return servers.run([program, SHOP / "services" / name], stderr=None).split("\n")[:-1]


def options_that_cannot_be(name, words):
    bad = [("--port", "99999"), ("--port", "abc"), ("--nope", "1")]
    if name not in ("search", "billing"):
        bad.append(("--store", __file__))
    if name in ("inventory", "mailer", "billing", "analytics"):
        bad.append(("--bootstrap", "nonsense"))
    for option, value in bad:
        with tempfile.TemporaryDirectory() as folder:
            given = {"--port": servers.free_port(), "--store": folder, option: value}
            given = [str(word) for pair in given.items() for word in pair]
            done = subprocess.run([*words, *given], capture_output=True, text=True, timeout=60)
        what = (name, option, value, done.returncode, done.stderr)
        assert done.returncode in (1, 2) and done.stderr, what
        assert not re.search(r"Traceback|^\s+at |Exception in thread", done.stderr, re.M), what


def publish(stage):
    topics = [NewTopic(topic, 2, 1) for topic in (ORDERS, PAYMENTS, PRODUCTS, "billing.invoice")]
    admin = AdminClient({"bootstrap.servers": stage.bootstrap, "log_level": 0})
    for made in admin.create_topics(topics).values():
        made.result()
    settings = {"bootstrap.servers": stage.bootstrap, "compression.type": "lz4", "log_level": 0}
    producer = Producer(settings)

    def event(topic, kind, number, value):
        headers = {"id": f"{kind} {number}", "eventType": kind}
        producer.produce(topic, value, str(number), partition=number % 2, headers=headers)

    lines = [{"product": 1, "quantity": 1}]
    order = {"order": 1, "customer": "c", "status": "new", "total": "1.00", "note": None, "lines": lines}
    payment = {"payment": 1, "order": 1, "customer": "c", "amount": "1.00", "method": "card"}
    for number in range(4):
        for topic in (ORDERS, PAYMENTS):
            event(topic, "Forgotten", number, None)
            event(topic, "Archived", number, avro(stage, OTHER, {"why": "it is old"}))
        event(PAYMENTS, "PaymentReceived", number, avro(stage, PAYMENT, payment | {"payment": number}))
    for number in range(8):
        event(ORDERS, "OrderPlaced", number, avro(stage, ORDER, order))
    event(ORDERS, "OrderCancelled", 1, avro(stage, ORDER, order))
    # Of types that are wanted, but there is nothing in them.
    event(ORDERS, "OrderPlaced", 8, None)
    event(PAYMENTS, "PaymentReceived", 8, None)
    for number in range(3):
        row = {"id": number, "name": "tea", "price": decimal.Decimal("1.50")}
        key = avro(stage, KEY, {"id": number})
        producer.produce(PRODUCTS, avro(stage, PRODUCT, {"after": row}), key, partition=number % 2)
    # As a TRUNCATE.
    producer.produce(PRODUCTS, avro(stage, PRODUCT, {"after": None}), None, partition=0)
    producer.produce(PRODUCTS, avro(stage, PRODUCT, {"after": None}), key, partition=0)
    producer.produce(PRODUCTS, None, key, partition=0)
    assert producer.flush(30) == 0


def avro(stage, schema, value):
    """In Confluent's framing."""
    body = json.dumps({"schema": json.dumps(schema)}).encode()
    url = f"{stage.registry_url}/subjects/{schema['name']}/versions"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        number = json.load(answer)["id"]
    bytes_of_it = io.BytesIO()
    fastavro.schemaless_writer(bytes_of_it, fastavro.parse_schema(schema), value)
    return b"\0" + number.to_bytes(4, "big") + bytes_of_it.getvalue()


class Service:
    """One of them, with a store of its own."""

    def __init__(self, stage, name, words, bootstrap, registry=None, store=None):
        self.name = name
        self.port = servers.free_port()
        unique = f"{name}-{self.port}"
        store = store or stage.folder / f"{unique}-store"
        words = [*words, "--bootstrap", bootstrap, "--registry", registry or stage.registry_url]
        self.process = stage.spawn(unique, [*words, "--port", self.port, "--store", store])

    def has(self, wanted):
        assert self.process.poll() is None, (self.name, self.said())
        state = json.loads(servers.get(f"http://127.0.0.1:{self.port}/state"))
        if not all(state.get(name) == value for name, value in wanted.items()):
            raise ValueError(f"it has {state}, and said: {self.said()}")
        return True

    def said(self):
        return self.process.log.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()


def each_has_all(stage, words, names, bootstrap):
    services = [Service(stage, name, words[name], bootstrap) for name in names]
    for service in services:
        what = f"{service.name} to have all with {bootstrap}"
        servers.wait_for(what, lambda: service.has(WANTED[service.name]), 60)
    for service in services:
        service.kill()


def a_registry_that_is_away_is_named(stage, words, registry):
    services = [
        Service(stage, name, words[name], stage.bootstrap, registry) for name in WANTED if name != "billing"
    ]
    for service in services:
        servers.wait_for(f"{service.name} to complain", service.said, 60)
    # It tries again each second.
    time.sleep(5)
    for service in services:
        sentence = f"{service.name}: the registry does not answer at {registry}; trying again\n"
        assert service.said() == sentence, service.said()
        assert service.process.poll() is None
        service.kill()
    print("a registry that is away: named once")


def a_store_that_cannot_be_written_ends_it(stage, words):
    """Where it would write beside its file there is a folder."""
    store = stage.folder / "store"
    (store / "inventory.json.new").mkdir(parents=True)
    service = Service(stage, "inventory-kafkajs", words, stage.bootstrap, store=store)
    assert service.process.wait(60) == 1, service.said()
    assert re.fullmatch(r"inventory-kafkajs: EISDIR.*\n", service.said()), service.said()
    print("a store that cannot be written: it says so and ends")


if __name__ == "__main__":
    main()
