"""The quickstart after everything is built and fetched: see deploy/quickstart."""

import collections
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import arguments
import events
import servers
from writer import Writer

SHOP = pathlib.Path(__file__).resolve().parent
WALBROOK = servers.PROJECT / "target" / "release" / "walbrook"
TABLES = ["auth_user", "shop_order"]
TABLE_TOPICS = {f"shop.public.{table}": table for table in TABLES}
OUTBOX_TOPIC = "outbox.event.order"
SHOWN = ("shop.public.shop_order", OUTBOX_TOPIC)

# So many transactions before walbrook comes.
BEFORE = 400

# --once: so many transactions undisturbed, then so many with walbrook killed among them.
CALM, STORMY, KILLS = 600, 900, 3


class Shop:
    """The servers, walbrook, the writer, and what was seen of the topics."""

    def __init__(self):
        self.servers = servers.Servers("quickstart")
        self.http_port = servers.free_port()
        self.config = self.servers.folder / "walbrook.toml"
        self.pidfile = self.servers.folder / "walbrook.pid"
        self.walbrook = None
        self.reader = None
        self.writer = None
        self.seen = collections.Counter()
        self.positions = set()
        self.state = {table: {} for table in TABLES}
        # Rows from before of which nothing was seen yet, and how many were overtaken by a change.
        self.old = {table: set() for table in TABLES}
        self.old_rows = 0
        self.overtaken = 0
        self.latencies = collections.deque(maxlen=100_000)
        self.memory = 0
        self.restarts = 0
        self.complaints = []
        self.next_show = collections.defaultdict(float)
        self.next_look = 0

    def open(self):
        started = time.monotonic()
        say("starting PostgreSQL, Kafka and a schema registry")
        self.servers.start()
        with self.servers.connect("postgres") as connection:
            connection.execute("CREATE DATABASE shop")
        with self.servers.connect("shop") as connection:
            connection.execute((SHOP / "schema.sql").read_text())
        self.live_before()
        self.config.write_text(self.configuration())
        self.start_walbrook()
        self.reader = events.Reader(
            self.servers.bootstrap,
            self.servers.registry_url,
            lambda topic: topic in TABLE_TOPICS or topic == OUTBOX_TOPIC,
        )
        say(f"all started in {time.monotonic() - started:.1f} s, in {self.servers.folder}")

    def live_before(self):
        """The shop is older than its slot: rows that the stream will not tell of."""
        self.start_writer(rate=float("inf"), count=BEFORE)
        self.writer.stop(at_count=True)
        self.writer.changes.clear()
        self.writer.transactions = self.writer.rolled_back = 0
        with self.servers.connect("shop") as connection:
            for table in TABLES:
                self.old[table] = {row[0] for row in connection.execute(f"SELECT id FROM {table}")}
        self.old_rows = sum(map(len, self.old.values()))

    def close(self):
        if self.writer:
            self.writer.stopping.set()
        if self.reader:
            self.reader.close()
        self.servers.stop()

    def start_walbrook(self):
        self.walbrook = self.servers.spawn("walbrook", [WALBROOK, "run", "--config", self.config])
        self.pidfile.write_text(str(self.walbrook.pid))

        def ready():
            self.check_walbrook()
            return servers.get(f"http://127.0.0.1:{self.http_port}/readyz")

        servers.wait_for("walbrook to be ready", ready, 60)

    def check_walbrook(self):
        """walbrook may be killed, but it may not give up."""
        status = self.walbrook.poll()
        if status is not None and status >= 0:
            log = servers.tail(self.walbrook.log)
            raise servers.Failure(f"walbrook ended with exit code {status}:\n{log}")

    def kill_walbrook(self):
        self.note_memory()
        self.walbrook.kill()
        self.walbrook.wait()
        self.restarts += 1
        self.start_walbrook()

    def stop_walbrook(self):
        self.note_memory()
        self.walbrook.terminate()
        try:
            status = self.walbrook.wait(30)
        except subprocess.TimeoutExpired:
            raise servers.Failure("walbrook did not end within 30 s of SIGTERM") from None
        if status != 0:
            raise servers.Failure(f"walbrook ended with {status}:\n{servers.tail(self.walbrook.log)}")

    def note_memory(self):
        try:
            self.memory = max(self.memory, servers.process_figures(self.walbrook.pid)[1])
        except (OSError, servers.Failure):
            pass

    def start_writer(self, rate, count=None):
        previous = self.writer
        self.writer = Writer(self.servers.connect("shop"), rate, count)
        if previous:
            for name in ("changes", "users", "orders", "transactions", "rolled_back"):
                setattr(self.writer, name, getattr(previous, name))
            if count:
                self.writer.count += previous.transactions
        self.writer.start()

    def expected(self):
        """How many records there are: a deletion also makes a tombstone, an old row one unless a change
        overtakes it."""
        changes = self.writer.changes
        tombstones = sum(n for (_, op), n in changes.items() if op == "d")
        return self.old_rows - self.overtaken + sum(changes.values()) + tombstones

    def step(self, measured=True):
        """Takes one record, if there is one; returns whether there was."""
        now = time.monotonic()
        if self.next_look < now:
            self.next_look = now + 0.25
            self.reader.look_for_topics()
        message = self.reader.poll(0.05)
        if message is None:
            return False
        latency = time.time() * 1000 - message.timestamp()[1]
        # Of a row from before there is no commit.
        if self.take(message) != "r" and measured:
            self.latencies.append(latency)
        return True

    def take(self, message):
        """Notes a record; returns what a table's says that happened."""
        topic = message.topic()
        position = events.position(message)
        if position in self.positions:
            self.complaints.append(f"{topic}: the record at {position} came twice")
        self.positions.add(position)
        value = self.reader.value(message)
        if topic == OUTBOX_TOPIC:
            self.seen["shop_outbox", "c"] += 1
            key, table = message.key().decode(), None
        else:
            key, table = self.reader.key(message), TABLE_TOPICS[topic]
            self.apply(table, key["id"], value)
        if value is not None and topic in SHOWN and self.next_show[topic] <= time.monotonic():
            # At a pace that a person can read.
            self.next_show[topic] = time.monotonic() + 0.5
            show_table(topic, value) if table else show_outbox(topic, key, message, value)
        return value["op"] if table and value is not None else None

    def apply(self, table, key, value):
        state = self.state[table]
        if value is None:
            self.seen[table, "tombstone"] += 1
            return
        operation = value["op"]
        is_old = key in self.old[table]
        self.old[table].discard(key)
        if operation == "r":
            if not is_old:
                self.complaints.append(f"{table} {key}: read twice, or over something newer")
            state[key] = value["after"]
            return
        self.seen[table, operation] += 1
        self.overtaken += is_old
        if operation == "d":
            if state.pop(key, None) is None and not is_old:
                self.complaints.append(f"{table} {key}: deleted, but it was not there")
        else:
            if (operation == "c") == (key in state or is_old):
                self.complaints.append(f"{table} {key}: {operation}, out of order")
            state[key] = value["after"]

    def compare(self):
        """Every change once, and the tables as the events left them."""
        wanted = collections.Counter(self.writer.changes)
        for (table, operation), count in self.writer.changes.items():
            if operation == "d":
                wanted[table, "tombstone"] = count
        for what in sorted(wanted.keys() | self.seen.keys()):
            if wanted[what] != self.seen[what]:
                self.complaints.append(
                    f"{' '.join(what)}: {wanted[what]} committed, {self.seen[what]} arrived"
                )
        for table in TABLES:
            if self.old[table]:
                self.complaints.append(f"{table}: {len(self.old[table])} rows from before are missing")
        with self.servers.connect("shop", row_factory=dict_row()) as connection:
            for table in TABLES:
                rows = {row["id"]: row for row in connection.execute(f"SELECT * FROM {table}")}
                self.compare_table(table, rows)
        if self.complaints:
            shown = "\n  ".join(self.complaints[:20])
            raise servers.Failure(f"NOT exactly once ({len(self.complaints)} faults):\n  {shown}")

    def compare_table(self, table, rows):
        state = self.state[table]
        if rows.keys() != state.keys():
            self.complaints.append(f"{table}: {len(rows)} rows, {len(state)} by its events")
        for key in rows.keys() & state.keys():
            after = state[key]
            for column, selected in rows[key].items():
                if events.as_selected(after[column], selected) != selected:
                    self.complaints.append(f"{table} {key}: {column} is not what SELECT says")

    def figures(self):
        self.note_memory()
        text = f"{len(self.positions)} events, {self.old_rows - self.overtaken} of them rows from before"
        if len(self.latencies) > 1:
            cuts = statistics.quantiles(self.latencies, n=100)
            text += f", commit to consumer p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms"
        return text + f", walbrook's memory at most {self.memory:.0f} MB"

    def configuration(self):
        return f"""\
# The configuration of the quickstart; config/walbrook.example.toml explains every key.
pipeline = "shop"

[postgres]
hosts = ["{self.servers.socket_folder}"]
port = {self.servers.postgres_port}
database = "shop"
user = "walbrook"

[replication]
slot = "shop"
publications = ["shop"]

[kafka]
bootstrap_servers = ["{self.servers.bootstrap}"]

[registry]
urls = ["{self.servers.registry_url}"]

[topics]
partitions = 3
replication_factor = 1
checkpoint_replication_factor = 1

[[outbox]]
table = "public.shop_outbox"

[[outbox.schemas]]
route = "order"
file = "{servers.PROJECT / 'schemas' / 'shop' / 'order-1.avsc'}"

[http]
listen = "127.0.0.1:{self.http_port}"

[control]
socket = "{self.servers.folder / 'control.sock'}"
"""


def once(shop):
    """A run that checks itself."""
    started = time.monotonic()
    shop.start_writer(rate=100, count=CALM)
    while shop.writer.is_alive():
        shop.step()
    shop.writer.stop()
    drain(shop)
    shop.start_writer(rate=100, count=STORMY)
    kills = [STORMY * (number + 1) / (KILLS + 1) for number in range(KILLS)]
    while shop.writer.is_alive():
        shop.step(measured=False)
        if kills and CALM + kills[0] < shop.writer.transactions:
            kills.pop(0)
            shop.kill_walbrook()
    shop.writer.stop()
    drain(shop)
    shop.stop_walbrook()
    # Nothing more can come; read to the end of every partition to see that nothing did.
    shop.reader.at_end.clear()
    deadline = time.monotonic() + 30
    while not shop.reader.is_at_end() and time.monotonic() < deadline:
        shop.step(measured=False)
    shop.compare()
    say(
        f"quickstart: {shop.writer.transactions} transactions ({shop.writer.rolled_back} rolled back),"
        f" {shop.restarts} kills; every change and every row from before"
        f" arrived exactly once, tables and events agree;"
        f" {shop.figures()}; {time.monotonic() - started:.0f} s"
    )


def drain(shop):
    """Reads until all that was committed has arrived."""
    deadline = time.monotonic() + 60
    while len(shop.positions) < shop.expected():
        shop.step(measured=False)
        shop.check_walbrook()
        if deadline < time.monotonic():
            shop.compare()


def live(shop, rate):
    """Until Ctrl-C."""
    psql = f"psql 'host={shop.servers.socket_folder} port={shop.servers.postgres_port} dbname=shop user=postgres'"
    say(
        f"""
  {psql}
  Kafka {shop.servers.bootstrap}, registry {shop.servers.registry_url}
  log   {shop.walbrook.log}

In another terminal, try:
  kill -9 $(cat {shop.pidfile})          nothing is lost, nothing comes twice
  curl http://127.0.0.1:{shop.http_port}/metrics
  {WALBROOK} slot status --config {shop.config}

Some of the events, as they arrive (Ctrl-C ends it all):
"""
    )
    shop.start_writer(rate)
    report = time.monotonic() + 15
    while True:
        shop.step()
        if shop.walbrook.poll() is not None:
            shop.check_walbrook()
            shop.restarts += 1
            say("-- walbrook was killed; it starts again and goes on where it was")
            shop.start_walbrook()
        if shop.writer.error:
            raise shop.writer.error
        if report < time.monotonic():
            report += 15
            say(f"-- {shop.figures()}")


def farewell(shop):
    say(
        f"""

{shop.figures()}

What to try next:
  deploy/quickstart --once                                a run that checks itself, kills included
  config/walbrook.example.toml                            every key, for your own database
  docs/operations.md                                      running it in production"""
    )


def show_table(topic, value):
    row = value["after"] or value["before"]
    columns = ("id", "status", "total", "discount", "placed_at", "details")
    fields = " ".join(f"{name}={text(row[name])}" for name in columns)
    say(f"table   {topic} {value['op']} {fields}")


def show_outbox(topic, key, message, value):
    kind = dict(message.headers())["eventType"].decode()
    say(f"outbox  {topic} {kind} key={key} {json.dumps(value, ensure_ascii=False)}")


def text(value):
    return "null" if value is None else str(value)


def dict_row():
    from psycopg.rows import dict_row

    return dict_row


def say(line):
    print(line, flush=True)


def main():
    asked = arguments.parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shop = Shop()
    try:
        shop.open()
        if asked.once:
            once(shop)
        else:
            live(shop, asked.rate)
    except KeyboardInterrupt:
        farewell(shop)
    except servers.Failure as failure:
        sys.exit(f"quickstart: {failure}")
    finally:
        shop.close()


if __name__ == "__main__":
    main()
