"""The measurement itself: see benches/drain."""

import argparse
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "deploy" / "lib"))

import servers
from confluent_kafka import Consumer, KafkaError, TopicPartition

from events import position

WALBROOK = servers.PROJECT / "target" / "release" / "walbrook"
ROWS_EACH = 100
LIMIT = 600


class Bench:
    """One backlog, which every slot was created before."""

    snapshot_mode = "never"

    def __init__(self, rows, one_transaction, name="drain"):
        self.servers = servers.Servers(name)
        self.rows = rows
        self.rows_each = rows if one_transaction else ROWS_EACH
        self.end = None
        self.http_port = servers.free_port()

    def open(self, names):
        self.servers.start("max_replication_slots = 50\nmax_wal_senders = 20\nmax_wal_size = 8GB")
        with self.servers.connect("postgres") as connection:
            connection.execute("CREATE DATABASE bench")
        self.connection = self.servers.connect("bench")
        self.connection.execute((pathlib.Path(__file__).parent / "orders.sql").read_text())
        for name in names:
            if name.startswith("ceiling"):
                create = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')"
                self.connection.execute(create, (name,))
            else:
                self.write_config(name)
                self.first_start(name)
        started = time.monotonic()
        self.connection.execute("SET synchronous_commit = off")
        transactions = self.rows // self.rows_each
        self.connection.execute(f"CALL place_orders({transactions}, {self.rows_each})")
        self.connection.execute("CHECKPOINT")
        self.end = self.one("SELECT pg_current_wal_flush_lsn()")
        rows = self.one("SELECT count(*) FROM orders")
        size = self.one("SELECT avg(pg_column_size(orders)) FROM orders TABLESAMPLE SYSTEM (1)")
        say(f"{rows} rows of {size:.0f} bytes written in {time.monotonic() - started:.1f} s")

    def first_start(self, name):
        """walbrook makes its slot and its first checkpoint, and is stopped again."""
        process = self.servers.spawn(name, [WALBROOK, "run", "--config", self.config(name)])

        def streams():
            if process.poll() is not None:
                raise servers.Failure(f"walbrook ended:\n{servers.tail(process.log)}")
            return servers.get(f"http://127.0.0.1:{self.http_port}/readyz")

        servers.wait_for("walbrook to stream", streams, 60)
        self.stop(process)

    def close(self):
        self.servers.stop()

    @staticmethod
    def stop(process):
        process.terminate()
        if process.wait(60) != 0:
            raise servers.Failure(f"walbrook did not end well:\n{servers.tail(process.log)}")

    def one(self, query, parameters=()):
        return self.connection.execute(query, parameters).fetchone()[0]

    def host(self, tcp):
        return "127.0.0.1" if tcp else str(self.servers.socket_folder)

    def ceiling(self, name, tcp):
        """Rows a second of pg_recvlogical, from the start of its process."""
        found = pathlib.Path(self.servers.where["clients"]) / "pg_recvlogical"
        program = found if found.exists() else shutil.which("pg_recvlogical")
        started = time.monotonic()
        servers.run(
            [program, "--host", self.host(tcp), "--port", self.servers.postgres_port,
             "--username", "postgres", "--dbname", "bench", "--slot", name, "--start",
             "--no-loop", "--endpos", self.end, "--fsync-interval", 0, "--file", "/dev/null",
             "-o", "proto_version=1", "-o", "publication_names=bench",
             "-o", "binary=true", "-o", "messages=true"]
        )
        rate = self.rows / (time.monotonic() - started)
        self.connection.execute("SELECT pg_drop_replication_slot(%s)", (name,))
        return rate

    def drain(self, name):
        """Runs walbrook until it has confirmed the whole backlog; returns its figures."""
        topic = f"{name}.public.orders"
        watcher = Consumer({**self.consumer_config(), "isolation.level": "read_committed"})
        started = time.monotonic()
        process = self.servers.spawn(name, [WALBROOK, "run", "--config", self.config(name)])
        first, last = self.watch(name, watcher, TopicPartition(topic, 0), process)
        cpu, memory = servers.process_figures(process.pid)
        self.stop(process)
        watcher.close()
        events = self.count(topic)
        if events != self.rows:
            raise servers.Failure(f"{events} events of {self.rows} rows in {topic}")
        (first_at, first_count), last_at = first, last
        # What was in the first transaction was read before the time began.
        span = last_at - first_at
        return {
            "events": events,
            "rate": (events - first_count) / span if 0 < span else 0.0,
            "rate_from_start": events / (last_at - started),
            "cpu_us_per_event": cpu * 1e6 / events,
            "rss_mb": memory,
        }

    def watch(self, name, watcher, partition, process):
        """When committed records were first seen (and how many), and when last."""
        seen, first, last = 0, None, None
        confirmed = "SELECT %s::pg_lsn <= confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s"
        deadline = time.monotonic() + LIMIT
        next_question = 0
        while True:
            now = time.monotonic()
            stable = self.stable_offset(watcher, partition)
            if seen < stable:
                first = first or (now, stable)
                seen, last = stable, now
            elif next_question < now:
                next_question = now + 0.5
                if seen and self.one(confirmed, (self.end, name)):
                    return first, last
            if process.poll() is not None:
                raise servers.Failure(f"walbrook ended:\n{servers.tail(process.log)}")
            if deadline < now:
                raise servers.Failure(f"walbrook took longer than {LIMIT} s")
            # Seldom enough to take no core from what is measured.
            time.sleep(0.05)

    @staticmethod
    def stable_offset(watcher, partition):
        """Where a read_committed reader's view of the partition ends; 0 without a topic."""
        try:
            return watcher.get_watermark_offsets(partition, timeout=5)[1]
        except Exception:
            return 0

    def count(self, topic):
        return sum(1 for _ in self.records(topic))

    def records(self, topic):
        """Committed records; their positions must strictly increase."""
        consumer = Consumer(
            {**self.consumer_config(), "isolation.level": "read_committed",
             "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        )
        consumer.assign([TopicPartition(topic, 0, 0)])
        previous, ended, heard = (0, 0, 0), False, time.monotonic()
        while not ended:
            messages = consumer.consume(10_000, timeout=0.5)
            if messages:
                heard = time.monotonic()
            elif heard + 30 < time.monotonic():
                raise servers.Failure("no answer while counting")
            for message in messages:
                if message.error() is None:
                    at = position(message)
                    if at <= previous:
                        raise servers.Failure(f"{at} came after {previous}")
                    previous = at
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended = True
                else:
                    raise servers.Failure(str(message.error()))
        consumer.close()

    def consumer_config(self):
        return {
            "bootstrap.servers": self.servers.bootstrap,
            "group.id": "walbrook-drain",
            "enable.auto.commit": False,
            "log_level": 0,
        }

    def config(self, name):
        return self.servers.folder / f"{name}.toml"

    def write_config(self, name):
        self.config(name).write_text(
            f"""\
pipeline = "{name}"

[postgres]
hosts = ["{self.host(not name.startswith('unix'))}"]
port = {self.servers.postgres_port}
database = "bench"
user = "postgres"
ssl_mode = "disable"

[replication]
slot = "{name}"
publications = ["bench"]

[kafka]
bootstrap_servers = ["{self.servers.bootstrap}"]
compression = "lz4"

[registry]
urls = ["{self.servers.registry_url}"]

[topics]
prefix = "{name}"
partitions = 1
replication_factor = 1
checkpoint_replication_factor = 1

[snapshot]
mode = "{self.snapshot_mode}"

[http]
listen = "127.0.0.1:{self.http_port}"

[control]
socket = "off"
"""
        )


def bench_program(name):
    """Builds a program of benches/; where it is."""
    output = subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--bench", name, "--message-format", "json"],
        stdout=subprocess.PIPE, cwd=servers.PROJECT, check=True,
    ).stdout
    built = [json.loads(line) for line in output.splitlines()]
    return next(it["executable"] for it in built if it.get("target", {}).get("name") == name)


def medians(rounds, of_round, name=""):
    """The median of each figure over the rounds, each of which is told."""
    figures = []
    for number in range(rounds):
        found = of_round(number)
        say(name + ", ".join(f"{figure} {value:.6g}" for figure, value in found.items()))
        figures.append(found)
    return {name: statistics.median(found[name] for found in figures) for name in figures[0]}


def measure(bench, transport, rounds):
    """The figures of one transport."""

    def of_round(number):
        ceiling = bench.ceiling(f"ceiling_{transport}_{number}", transport == "tcp")
        drained = bench.drain(f"{transport}_{number}")
        return {**drained, "ceiling_rate": ceiling, "ratio": drained["rate"] / ceiling}

    return medians(rounds, of_round, f"{transport}: ")


def main():
    parser = argparse.ArgumentParser(prog="benches/drain")
    parser.add_argument("--rows", type=int, help="by default 1 M, or 3 M with --one-xact")
    parser.add_argument("--unix", action="store_true", help="over a Unix socket as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one-xact", action="store_true", help="all rows in one transaction")
    arguments = parser.parse_args()
    rows = arguments.rows or (3_000_000 if arguments.one_xact else 1_000_000)
    transports = ["tcp", "unix"] if arguments.unix else ["tcp"]
    names = [
        f"{kind}{transport}_{number}"
        for transport in transports
        for number in range(arguments.rounds)
        for kind in ("ceiling_", "")
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(rows - rows % ROWS_EACH, arguments.one_xact)
    try:
        bench.open(names)
        tcp = measure(bench, "tcp", arguments.rounds)
        result = {name: rounded(value) for name, value in tcp.items()}
        if arguments.unix:
            unix = measure(bench, "unix", arguments.rounds)
            result |= {f"{name}_unix": rounded(unix[name]) for name in unix if name != "events"}
    except servers.Failure as failure:
        sys.exit(f"drain: {failure}")
    finally:
        bench.close()
    print(json.dumps(result))


def rounded(value):
    return round(value) if 1000 <= value else round(value, 3)


def say(line):
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
