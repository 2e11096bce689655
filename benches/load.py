"""What a snapshot does to the stream beside it: latency, and the WAL that the slot keeps."""

import pathlib
import statistics
import time

from confluent_kafka import Consumer, TopicPartition

from drain import LIMIT, WALBROOK, servers

TICKS = """\
CREATE TABLE ticks (id bigserial PRIMARY KEY, note text NOT NULL);
ALTER PUBLICATION bench ADD TABLE ticks;
"""
TICK = "INSERT INTO ticks (note) VALUES ('one of many, as long as a small order may be');\n"
A_SECOND = 500
WITHOUT = 40
RETAINED = """\
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)
FROM pg_replication_slots WHERE slot_name = %s"""


class Load:
    """500 transactions a second, while walbrook reads the table and then while it does not."""

    def __init__(self, bench):
        self.bench = bench
        self.name = "load"

    def measure(self):
        bench = self.bench
        bench.connection.execute(TICKS)
        bench.write_config(self.name)
        walbrook = bench.servers.spawn(
            self.name, [WALBROOK, "run", "--config", bench.config(self.name)]
        )
        ready = f"http://127.0.0.1:{bench.http_port}/readyz"
        servers.wait_for("walbrook to stream", lambda: servers.get(ready), 60)
        writer = self.start_writer()
        with_snapshot, without, retained = self.watch(walbrook)
        writer.kill()
        bench.stop(walbrook)
        p99 = [statistics.quantiles(seen, n=100)[98] for seen in (with_snapshot, without)]
        p50 = [statistics.median(seen) for seen in (with_snapshot, without)]
        return {
            "latency_p50_ms": p50[0],
            "latency_p50_ms_without": p50[1],
            "latency_p99_ms": p99[0],
            "latency_p99_ms_without": p99[1],
            "ratio_latency_p99": p99[0] / p99[1],
            "retained_wal_mb": retained / 2**20,
        }

    def start_writer(self):
        script = self.bench.servers.folder / "tick.sql"
        script.write_text(TICK)
        program = pathlib.Path(self.bench.servers.where["programs17"]) / "bin" / "pgbench"
        return self.bench.servers.spawn(
            "pgbench",
            [program, "--no-vacuum", "--host", self.bench.servers.socket_folder,
             "--port", self.bench.servers.postgres_port, "--username", "postgres",
             "--client", 4, "--rate", A_SECOND, "--time", LIMIT, "--protocol", "prepared",
             "--file", script, "bench"],
        )

    def watch(self, walbrook):
        """Milliseconds from commit to consumer, while the snapshot ran and after it; the most WAL."""
        settings = {**self.bench.consumer_config(), "isolation.level": "read_committed"}
        consumer, watcher = Consumer(settings), Consumer(settings)
        table = TopicPartition(f"{self.name}.public.orders", 0)
        servers.wait_for("ticks in Kafka", lambda: self.assign(consumer), 60)
        seen, retained = ([], []), 0
        phase, next_look, until = 0, 0, time.time() + LIMIT
        while time.time() < until:
            for message in consumer.consume(1000, timeout=0.05):
                if message.error() is None:
                    seen[phase].append(time.time() * 1000 - message.timestamp()[1])
            now = time.time()
            if next_look < now:
                next_look = now + 0.5
                retained = max(retained, self.bench.one(RETAINED, (self.name,)))
                if phase == 0 and self.bench.rows <= self.bench.stable_offset(watcher, table):
                    phase, until = 1, now + WITHOUT
            if walbrook.poll() is not None:
                raise servers.Failure(f"walbrook ended:\n{servers.tail(walbrook.log)}")
        consumer.close()
        watcher.close()
        if not seen[1]:
            raise servers.Failure(f"the snapshot took longer than {LIMIT} s")
        return *seen, float(retained)

    def assign(self, consumer):
        """From now on; whether there are some."""
        ticks = TopicPartition(f"{self.name}.public.ticks", 0)
        end = self.bench.stable_offset(consumer, ticks)
        ticks.offset = end
        consumer.assign([ticks])
        return 0 < end
