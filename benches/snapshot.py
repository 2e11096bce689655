"""The measurement itself: see benches/snapshot."""

import argparse
import json
import pathlib
import resource
import signal
import struct
import sys
import time

from drain import LIMIT, WALBROOK, Bench, bench_program, medians, rounded, say, servers
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from debezium import PREFIX, Debezium
from load import Load

TABLE = "public.orders"
BEGINS = "the table's snapshot begins"
SAMPLE = 100_000
DEBEZIUM_THREADS = (1, 2, 4)
DEBEZIUM_WARMS_UP = 10
DEBEZIUM_LIMIT = 60


class Snapshot(Bench):
    """One table, which each reads."""

    snapshot_mode = "initial"

    def __init__(self, rows):
        super().__init__(rows, False, "snapshot")
        self.producer = bench_program("producer")
        self.sample = self.servers.folder / "sample"

    def open(self):
        super().open([])
        self.admin = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 0})
        # As a table is that has been there for a while: nobody who reads it has to mark its rows.
        self.connection.execute("VACUUM (FREEZE, ANALYZE) orders")
        self.connection.execute("CHECKPOINT")
        self.copy()

    def copy(self):
        """Rows a second of one COPY."""
        started = time.monotonic()
        self.await_end(self.start_copy())
        return self.rows / (time.monotonic() - started)

    def start_copy(self):
        program = pathlib.Path(self.servers.where["programs17"]) / "bin" / "psql"
        return self.servers.spawn(
            "copy",
            [program, "--no-psqlrc", "--quiet", "--host", "127.0.0.1",
             "--port", self.servers.postgres_port, "--username", "postgres", "--dbname", "bench",
             "--command", r"\copy orders TO '/dev/null' (FORMAT binary)"],
        )

    def ceiling(self, name):
        """Rows a second of the slower one of a COPY and a bare producer, side by side; and the
        producer's CPU."""
        topic = NewTopic(name, num_partitions=1, replication_factor=1)
        self.admin.create_topics([topic])[name].result()
        started = time.monotonic()
        producer = self.servers.spawn(
            name, [self.producer, self.servers.bootstrap, name, self.sample, self.rows]
        )
        self.await_end(self.start_copy())
        copied = cpu_of_ended()
        self.await_end(producer)
        rate = self.rows / (time.monotonic() - started)
        self.forget(name)
        return {
            "ceiling_rate": rate,
            "ceiling_cpu_us_per_row": (cpu_of_ended() - copied) * 1e6 / self.rows,
        }

    @staticmethod
    def await_end(process):
        if process.wait(LIMIT) != 0:
            raise servers.Failure(f"{process.args} failed:\n{servers.tail(process.log)}")

    def snapshot(self, name):
        """Runs walbrook until the table's snapshot is in Kafka; returns its figures."""
        self.write_config(name)
        topic = f"{name}.{TABLE}"
        watcher = Consumer({**self.consumer_config(), "isolation.level": "read_committed"})
        started = time.monotonic()
        process = self.servers.spawn(name, [WALBROOK, "run", "--config", self.config(name)])
        began, ended = self.await_snapshot(watcher, TopicPartition(topic, 0), process)
        cpu, memory = servers.process_figures(process.pid)
        self.stop(process)
        watcher.close()
        self.count_rows(topic)
        self.forget(topic)
        self.drop_slot(name)
        return {
            "rate": self.rows / (ended - started),
            "rate_of_reading": self.rows / (ended - began),
            "cpu_us_per_row": cpu * 1e6 / self.rows,
            "rss_mb": memory,
        }

    def await_snapshot(self, watcher, partition, process):
        """When the first rows were asked for, and when the last ones were committed."""
        seen, began, last = 0, None, None
        deadline = time.monotonic() + LIMIT
        while True:
            now = time.monotonic()
            if began is None and BEGINS in process.log.read_text():
                began = now
            stable = self.stable_offset(watcher, partition)
            if seen < stable:
                seen, last = stable, now
            elif self.rows <= seen and last + 1 < now:
                return began, last
            if process.poll() is not None:
                raise servers.Failure(f"walbrook ended:\n{servers.tail(process.log)}")
            if deadline < now:
                raise servers.Failure(f"walbrook took longer than {LIMIT} s")
            time.sleep(0.05)

    def count_rows(self, topic):
        """Each row is there, once; the first ones become the sample."""
        keys = set()
        with open(self.sample, "wb") as sample:
            for message in self.records(topic):
                if len(keys) < SAMPLE:
                    sample.write(framed(message))
                keys.add(message.key())
        if len(keys) != self.rows:
            raise servers.Failure(f"{len(keys)} keys of {self.rows} rows in {topic}")

    def debezium(self, threads, registers=False):
        """Rows a second of Debezium's snapshot with so many threads."""
        name = f"debezium_{threads}_{registers}".lower()
        topic = f"{PREFIX}.{TABLE}"
        watcher = Consumer({**self.consumer_config(), "isolation.level": "read_uncommitted"})
        process = Debezium(self.servers, name, threads, registers).start()
        first, last = self.watch_debezium(watcher, TopicPartition(topic, 0), process)
        process.kill()
        process.wait()
        watcher.close()
        self.forget(topic)
        self.drop_slot(name)
        (first_at, first_count), (last_at, last_count) = first, last
        return (last_count - first_count) / (last_at - first_at)

    def watch_debezium(self, watcher, partition, process):
        """When how many records were seen: once it is warm, and in the end."""
        began, first, last = None, None, None
        deadline = time.monotonic() + LIMIT
        while True:
            now = time.monotonic()
            seen = self.stable_offset(watcher, partition)
            if seen and began is None:
                began = now
            if began and began + DEBEZIUM_WARMS_UP <= now:
                first = first or (now, seen)
                last = (now, seen) if last is None or last[1] < seen else last
                if self.rows <= seen or began + DEBEZIUM_LIMIT <= now:
                    return first, last
            if process.poll() is not None:
                raise servers.Failure(f"Debezium ended:\n{servers.tail(process.log)}")
            if deadline < now:
                raise servers.Failure(f"Debezium has written nothing:\n{servers.tail(process.log)}")
            time.sleep(0.05)

    def drop_slot(self, name):
        """As soon as its walsender has noticed that nobody reads."""
        drop = "SELECT pg_drop_replication_slot(%s)"
        dropped = lambda: self.connection.execute(drop, (name,))
        servers.wait_for(f"the slot {name} to be free", dropped, 60)

    def forget(self, topic):
        """Disks are not endless."""
        self.admin.delete_topics([topic])[topic].result()


def cpu_of_ended():
    """CPU seconds of all processes that we have started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def framed(message):
    """A record as the bare producer reads it."""
    headers = message.headers() or []
    fields = [message.key(), message.value()]
    text = b"".join(struct.pack("<I", len(field)) + field for field in fields)
    text += struct.pack("<I", len(headers))
    fields = [field for name, value in headers for field in (name.encode(), value)]
    return text + b"".join(struct.pack("<I", len(field)) + field for field in fields)


def of_round(bench, number):
    found = {"copy_rate": bench.copy(), **bench.snapshot(f"snapshot_{number}")}
    found |= bench.ceiling(f"ceiling_{number}")
    for beside in ("copy", "ceiling"):
        found[f"ratio_{beside}"] = found["rate"] / found[f"{beside}_rate"]
    return found


def best_debezium(bench):
    """Of its thread counts, without those that look for its schemas for the first time."""
    bench.debezium(1, registers=True)
    rates = {}
    for threads in DEBEZIUM_THREADS:
        rates[threads] = bench.debezium(threads)
        say(f"Debezium, snapshot.max.threads {threads}: {rates[threads]:.6g} rows a second")
    return max(rates.values())


def main():
    parser = argparse.ArgumentParser(prog="benches/snapshot")
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-debezium", action="store_true")
    parser.add_argument("--load", action="store_true", help="latency and WAL beside a snapshot")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Snapshot(arguments.rows)
    try:
        bench.open()
        # The broker gets warm, too.
        bench.snapshot("warm")
        found = medians(arguments.rounds, lambda number: of_round(bench, number))
        result = {"rows": bench.rows, **found}
        if not arguments.no_debezium:
            result["debezium_rate"] = best_debezium(bench)
            result["ratio_debezium"] = result["rate"] / result["debezium_rate"]
        if arguments.load:
            result |= Load(bench).measure()
    except servers.Failure as failure:
        sys.exit(f"snapshot: {failure}")
    finally:
        bench.close()
    print(json.dumps({name: rounded(value) for name, value in result.items()}))


if __name__ == "__main__":
    main()
