"""The measurement itself: see benches/latency."""

import argparse
import json
import signal
import statistics
import sys
import time

import ticks
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from drain import LIMIT, WALBROOK, Bench, bench_program, medians, rounded, servers

BARE = "bare"
BARE_A_SECOND = 50
NAME = "latency"
TOPIC = f"{NAME}.public.ticks"
WARM = 3


class Latency(Bench):
    """Writers that write all the time, and in turns walbrook and bare transactions."""

    def __init__(self, rate, seconds):
        super().__init__(0, False, NAME)
        self.rate, self.seconds = rate, seconds
        self.bare = bench_program("transaction")

    def open(self):
        self.servers.start()
        with self.servers.connect("postgres") as connection:
            connection.execute("CREATE DATABASE bench")
        self.connection = self.servers.connect("bench")
        self.connection.execute(f"{ticks.TABLE} CREATE PUBLICATION bench FOR TABLE ticks")
        admin = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 0})
        topic = NewTopic(BARE, num_partitions=2, replication_factor=1)
        admin.create_topics([topic])[BARE].result()
        self.write_config(NAME)
        self.first_start(NAME)
        self.writer = ticks.start_writer(self.servers, self.rate)
        self.consumer = Consumer({**self.consumer_config(), "isolation.level": "read_committed"})

    def walbrook(self):
        """One round of it."""
        process = self.servers.spawn(NAME, [WALBROOK, "run", "--config", self.config(NAME)])
        servers.wait_for("walbrook to keep up", lambda: self.keeps_up(process), 60)
        before, cpu_before = self.transactions(), servers.process_figures(process.pid)[0]
        seen = self.watch(TOPIC, process)
        cpu, memory = servers.process_figures(process.pid)
        after = self.transactions()
        self.stop(process)
        return {
            **quantiles("", seen),
            "transaction_p50_ms": median_between(before, after),
            "cpu_us_per_event": (cpu - cpu_before) * 1e6 / len(seen),
            "rss_mb": memory,
        }

    def keeps_up(self, process):
        """Whether nothing waits for longer than a moment."""
        if process.poll() is not None:
            raise servers.Failure(f"walbrook ended:\n{servers.tail(process.log)}")
        metrics = servers.get(f"http://127.0.0.1:{self.http_port}/metrics")
        lag = next(line for line in metrics.splitlines() if line.startswith("walbrook_lag_seconds "))
        committed = "walbrook_kafka_commit_seconds_count 0" not in metrics
        return committed and float(lag.split()[1]) < 0.5

    def transactions(self):
        """Its Kafka transactions so far: upper bound in seconds, and how many took at most that."""
        name = 'walbrook_kafka_commit_seconds_bucket{le="'
        lines = servers.get(f"http://127.0.0.1:{self.http_port}/metrics").splitlines()
        lines = [line[len(name):].split('"} ') for line in lines if line.startswith(name)]
        return [(float(bound), int(count)) for bound, count in lines]

    def bare_transactions(self):
        """One round of them."""
        process = self.servers.spawn(
            BARE,
            [self.bare, self.servers.bootstrap, BARE, self.seconds + WARM + 2, BARE_A_SECOND],
        )
        seen = self.watch(BARE, process)
        if process.wait(LIMIT) != 0:
            raise servers.Failure(f"{process.args} failed:\n{servers.tail(process.log)}")
        took = json.loads(process.log.read_text().splitlines()[-1])
        return {**quantiles("bare_", seen), "bare_transaction_p50_ms": statistics.median(took)}

    def watch(self, topic, process):
        """Milliseconds from each record's timestamp until the consumer has it, once it is warm."""
        partition = TopicPartition(topic, 0)
        partition.offset = self.stable_offset(self.consumer, partition)
        self.consumer.assign([partition])
        seen, since = [], time.time() + WARM
        while time.time() < since + self.seconds:
            took = ticks.latency(self.consumer)
            if took is not None and since < time.time():
                seen.append(took)
            if took is None and process.poll() is not None:
                raise servers.Failure(f"{topic}: its writer ended:\n{servers.tail(process.log)}")
        if len(seen) < 100:
            raise servers.Failure(f"{topic}: {len(seen)} records in {self.seconds} s")
        return seen

    def judge(self):
        """Every row is there, once and in order."""
        self.writer.terminate()
        self.writer.wait(60)
        # Their last commits may still be on the way.
        sessions = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'"
        servers.wait_for("the writers to end", lambda: self.one(sessions), 60)
        rows, self.end = self.connection.execute(
            "SELECT count(*), pg_current_wal_flush_lsn() FROM ticks"
        ).fetchone()
        process = self.servers.spawn(NAME, [WALBROOK, "run", "--config", self.config(NAME)])
        confirmed = "SELECT %s::pg_lsn <= confirmed_flush_lsn FROM pg_replication_slots"
        servers.wait_for("the rest", lambda: self.one(confirmed, (self.end,)), 60)
        self.stop(process)
        events = self.count(TOPIC)
        if events != rows:
            raise servers.Failure(f"{events} events of {rows} rows")
        return {"events": events}


def quantiles(name, seen):
    return {
        f"{name}p50_ms": statistics.median(seen),
        f"{name}p99_ms": statistics.quantiles(seen, n=100)[98],
    }


def median_between(before, after):
    """Of what a histogram has got between two looks, in milliseconds."""
    counts = [(bound, count - old) for (bound, count), (_, old) in zip(after, before)]
    half, low, below = counts[-1][1] / 2, 0.0, 0
    for bound, count in counts:
        if half <= count:
            return (low + (bound - low) * (half - below) / (count - below)) * 1000
        low, below = bound, count
    raise servers.Failure("walbrook has committed nothing")


def of_round(bench):
    """Walbrook, and then the bare transactions."""
    found = {**bench.walbrook(), **bench.bare_transactions()}
    for name in ("p50", "p99", "transaction_p50"):
        found[f"ratio_{name}"] = found[f"{name}_ms"] / found[f"bare_{name}_ms"]
    return found


def main():
    parser = argparse.ArgumentParser(prog="benches/latency")
    parser.add_argument("--rate", type=int, default=500, help="transactions a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20, help="of each round")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Latency(arguments.rate, arguments.seconds)
    try:
        bench.open()
        result = {"rate": arguments.rate, **medians(arguments.rounds, lambda _: of_round(bench))}
        result |= bench.judge()
    except servers.Failure as failure:
        sys.exit(f"latency: {failure}")
    finally:
        bench.close()
    print(json.dumps({name: rounded(value) for name, value in result.items()}))


if __name__ == "__main__":
    main()
