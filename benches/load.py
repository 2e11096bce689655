"""What a snapshot does to the stream beside it: latency, and the WAL that the slot keeps."""

import statistics
import time

import ticks
from confluent_kafka import Consumer, TopicPartition

from drain import LIMIT, WALBROOK, servers

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
        bench.connection.execute(f"{ticks.TABLE} ALTER PUBLICATION bench ADD TABLE ticks")
        bench.write_config(self.name)
        walbrook = bench.servers.spawn(
            self.name, [WALBROOK, "run", "--config", bench.config(self.name)]
        )
        ready = f"http://127.0.0.1:{bench.http_port}/readyz"
        servers.wait_for("walbrook to stream", lambda: servers.get(ready), 60)
        writer = ticks.start_writer(bench.servers, A_SECOND)
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

    def watch(self, walbrook):
        """Milliseconds from commit to consumer, while the snapshot ran and after it; the most WAL."""
        settings = {**self.bench.consumer_config(), "isolation.level": "read_committed"}
        consumer, watcher = Consumer(settings), Consumer(settings)
        table = TopicPartition(f"{self.name}.public.orders", 0)
        servers.wait_for("ticks in Kafka", lambda: self.assign(consumer), 60)
        seen, retained = ([], []), 0
        phase, next_look, until = 0, 0, time.time() + LIMIT
        while time.time() < until:
            if (took := ticks.latency(consumer)) is not None:
                seen[phase].append(took)
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
        partition = TopicPartition(f"{self.name}.public.ticks", 0)
        end = self.bench.stable_offset(consumer, partition)
        partition.offset = end
        consumer.assign([partition])
        return 0 < end
