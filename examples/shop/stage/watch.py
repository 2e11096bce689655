"""The stage's own consumer: it counts what is in the topics, shows some of it, and keeps the outputs."""

import collections
import datetime
import threading
import time

import events

INVOICES, REVENUE = "billing.invoice", "analytics.revenue"
EVENTS = "shop.event."
TABLES = "shop.public."


class Watch(threading.Thread):
    """Reads all topics from their beginning, committed records only."""

    def __init__(self, bootstrap, registry):
        super().__init__(name="watch", daemon=True)
        self.reader = events.Reader(bootstrap, registry, lambda topic: is_ours(topic))
        self.counts = collections.Counter()
        self.positions = set()
        # By their id, topic and key.
        self.events = {}
        self.doubled = []
        self.shown = collections.deque(maxlen=40)
        self.latencies = collections.deque(maxlen=500)
        self.invoices = {}
        self.revenue = {}
        self.numbers = 0
        self.next_show = collections.defaultdict(float)
        self.error = None

    def run(self):
        try:
            self.read()
        except Exception as error:
            self.error = error

    def read(self):
        look = 0
        while True:
            if look < time.monotonic():
                # While Kafka stands still, it does not answer.
                try:
                    self.reader.look_for_topics()
                except Exception:
                    time.sleep(0.5)
                look = time.monotonic() + 1
            message = self.reader.poll(0.2)
            if message is not None:
                self.take(message)

    def take(self, message):
        topic = message.topic()
        if topic == INVOICES:
            key = message.key().decode()
            if key in self.invoices:
                self.doubled.append(f"invoice of payment {key}")
            self.invoices[key] = message.value().decode()
        elif topic == REVENUE:
            self.revenue[message.key().decode()] = (message.value() or b"0").decode()
        else:
            position = events.position(message)
            if position in self.positions:
                self.doubled.append(f"{topic} at {position}")
            self.positions.add(position)
            if topic.startswith(EVENTS):
                self.take_event(topic, message)
            self.latencies.append(time.time() * 1000 - message.timestamp()[1])
            self.show(topic, message)
        self.counts[topic] += 1

    def take_event(self, topic, message):
        event = dict(message.headers())["id"].decode()
        if event in self.events:
            self.doubled.append(f"event {event}")
        self.events[event] = topic, message.key().decode()

    def show(self, topic, message):
        """At a pace that a person can read, a few of each topic."""
        now = time.monotonic()
        if now < self.next_show[topic]:
            return
        self.next_show[topic] = now + 0.7
        value = self.reader.value(message)
        if topic.startswith(EVENTS):
            kind = dict(message.headers())["eventType"].decode()
            key = message.key().decode()
        else:
            kind = OPERATIONS[value["op"]] if value else "tombstone"
            key = str(self.reader.key(message)["id"])
            value = value and (value["after"] or value["before"])
        self.numbers += 1
        self.shown.append(
            {"number": self.numbers, "topic": topic, "kind": kind, "key": key, "text": words(value)}
        )

    def latency(self):
        """Half of the newest records came faster than this, from commit to here; in ms."""
        newest = sorted(list(self.latencies)[-100:])
        return newest[len(newest) // 2] if newest else None


def is_ours(topic):
    return topic in (INVOICES, REVENUE) or topic.startswith((EVENTS, TABLES))


def words(value):
    """A record in one line."""
    if value is None:
        return ""
    return "  ".join(f"{name} {word(field)}" for name, field in value.items() if field not in (None, []))


def word(field):
    if isinstance(field, list):
        return f"{len(field)} of them"
    if isinstance(field, datetime.datetime):
        return field.isoformat()
    return str(field)[:40]


OPERATIONS = {"c": "insert", "r": "was there", "u": "update", "d": "delete", "t": "truncate"}
