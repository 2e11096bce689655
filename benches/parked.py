"""The measurement itself: see benches/parked."""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

import ticks
from confluent_kafka import Consumer, TopicPartition

from drain import LIMIT, WALBROOK, Bench, medians, rounded, say, servers

NAME = "parked"
A_SECOND = 500
SECONDS = 30
SETTLES = 3
TICK = """\
\\set any random(1, 10)
\\set table random(1, :tables - 1)
\\if :any = 1
INSERT INTO t0 (note) VALUES ('one of many, as long as a small order may be');
\\else
INSERT INTO t:table (note) VALUES ('one of many, as long as a small order may be');
\\endif
"""
# What the schemas before it do not go with, each time another one: one that was there is taken.
TYPES = ["int", "boolean", "uuid", "bytea", "float8", "int[]", "bool[]"]
WARMS_UP = 90


class Parked(Bench):
    """Many small tables, of which the first one is troubled."""

    def __init__(self, tables):
        super().__init__(50_000, False, NAME)
        self.tables = tables
        self.subject = f"{NAME}.public.t0-value"
        self.types = list(TYPES)

    def open(self):
        super().open([])
        # It would analyse all tables at once, each minute, and PostgreSQL announce each of them anew.
        self.connection.execute("ALTER SYSTEM SET autovacuum = off")
        self.connection.execute("SELECT pg_reload_conf()")
        self.connection.execute("DROP PUBLICATION bench")
        names = [f"t{number}" for number in range(self.tables)]
        for name in names:
            self.connection.execute(
                f"CREATE TABLE {name} (id bigserial PRIMARY KEY, note text NOT NULL, trouble text)"
            )
        self.connection.execute(f"CREATE PUBLICATION bench FOR TABLE {', '.join(names)}")
        self.put("", "BACKWARD")
        self.write_config(NAME)
        socket = self.servers.folder / "control"
        text = self.config(NAME).read_text().replace('socket = "off"', f'socket = "{socket}"')
        self.config(NAME).write_text(text)
        command = [WALBROOK, "run", "--config", self.config(NAME)]
        self.walbrook = self.servers.spawn(NAME, command)
        ready = f"http://127.0.0.1:{self.http_port}/readyz"
        servers.wait_for("walbrook to stream", lambda: servers.get(ready), 60)
        started = time.monotonic()
        for name in names:
            self.connection.execute(f"INSERT INTO {name} (note) VALUES ('first')")
        self.consumer = Consumer({**self.consumer_config(), "isolation.level": "read_committed"})
        last = TopicPartition(f"{NAME}.public.{names[-1]}", 0)
        servers.wait_for("all tables in Kafka", lambda: self.has_end(last), LIMIT)
        say(f"{self.tables} tables in Kafka after {time.monotonic() - started:.1f} s")
        self.once_more(names)
        self.connection.execute("ALTER PUBLICATION bench SET (publish = 'insert, update, delete')")
        self.announced_anew = self.once_more(names)
        say(f"{self.tables} tables announced anew, and a row of each, in {self.announced_anew:.2f} s")
        self.consumer.assign([
            TopicPartition(f"{NAME}.public.{name}", 0, self.end_of(name)) for name in names[1:]
        ])
        options = ("--define", f"tables={self.tables}")
        self.writer = ticks.start_writer(self.servers, A_SECOND, TICK, options)

    def once_more(self, names):
        """Seconds until a row of each table is in Kafka."""
        last = TopicPartition(f"{NAME}.public.{names[-1]}", 0)
        before = self.stable_offset(self.consumer, last)
        rows = ";".join(f"INSERT INTO {name} (note) VALUES ('one more')" for name in names)
        started = time.monotonic()
        self.connection.execute(f"BEGIN; {rows}; COMMIT")
        while self.stable_offset(self.consumer, last) == before:
            time.sleep(0.01)
        return time.monotonic() - started

    def has_end(self, partition):
        return 0 < self.stable_offset(self.consumer, partition)

    def end_of(self, name):
        return self.stable_offset(self.consumer, TopicPartition(f"{NAME}.public.{name}", 0))

    def watch(self, seconds):
        """Milliseconds from the commit to the consumer, of the other tables."""
        seen, until = [], time.time() + seconds
        while time.time() < until:
            if (took := ticks.latency(self.consumer)) is not None:
                seen.append(took)
            if self.walbrook.poll() is not None:
                raise servers.Failure(f"walbrook ended:\n{servers.tail(self.walbrook.log)}")
        return seen

    def put(self, subject, rule):
        """A rule of a subject; "" is the global one."""
        url = f"{self.servers.registry_url}/config/{subject}".rstrip("/")
        body = json.dumps({"compatibility": rule}).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT"))

    def rule(self, method):
        """Has the subject take whatever comes (POST), or what the global rule lets through (DELETE)."""
        root = self.servers.registry_url.split("/apis/")[0]
        url = f"{root}/apis/registry/v2/groups/default/artifacts/{self.subject}/rules"
        body = json.dumps({"type": "COMPATIBILITY", "config": "NONE"}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                raise

    def parked(self):
        command = [WALBROOK, "status", "--config", self.config(NAME)]
        status = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return status.get("parked", [])

    def park(self):
        self.rule("DELETE")
        self.connection.execute(f"ALTER TABLE t0 ALTER trouble TYPE {self.types.pop(0)} USING NULL")
        servers.wait_for("the table to be parked", lambda: self.parked(), 60)

    def bring_back(self):
        """How many changes came back, and the longest that a record of the others took meanwhile."""
        waiting = self.parked()[0]["waiting"]
        self.rule("POST")
        command = [WALBROOK, "unpark", "public.t0", "--config", self.config(NAME)]
        unpark = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        seen = []
        while unpark.poll() is None:
            seen += self.watch(0.2)
        if unpark.returncode != 0:
            raise servers.Failure(f"the table stays parked: {self.parked()}")
        return waiting, max(seen + self.watch(0.5))

    def check(self):
        """All rows of the table are in Kafka, once."""
        self.writer.kill()
        rows = self.one("SELECT count(*) FROM t0")
        until, found = time.time() + 30, 0
        while found != rows and time.time() < until:
            found = self.count(f"{NAME}.public.t0")
        if found != rows:
            raise servers.Failure(f"{found} records of {rows} rows in Kafka")


def of_round(bench, number):
    seen = {}
    for is_parked in ([False, True], [True, False])[number % 2]:
        if is_parked:
            bench.park()
        bench.watch(SETTLES)
        seen[is_parked] = bench.watch(SECONDS)
        if is_parked:
            changes, longest = bench.bring_back()
            bench.watch(SETTLES)
    p99 = {key: statistics.quantiles(of, n=100)[98] for key, of in seen.items()}
    return {
        "latency_p50_ms": statistics.median(seen[True]),
        "latency_p50_ms_without": statistics.median(seen[False]),
        "latency_p99_ms": p99[True],
        "latency_p99_ms_without": p99[False],
        "ratio_p99": p99[True] / p99[False],
        "returning_max_ms": longest,
        "returned": changes,
    }


def main():
    parser = argparse.ArgumentParser(prog="benches/parked")
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if len(TYPES) < arguments.rounds:
        sys.exit(f"parked: at most {len(TYPES)} rounds")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Parked(arguments.tables)
    try:
        bench.open()
        bench.watch(WARMS_UP)
        result = medians(arguments.rounds, lambda number: of_round(bench, number))
        bench.check()
    except servers.Failure as failure:
        sys.exit(f"parked: {failure}")
    finally:
        bench.close()
    result["announced_anew_s"] = bench.announced_anew
    print(json.dumps({"tables": arguments.tables} | {k: rounded(v) for k, v in result.items()}))


if __name__ == "__main__":
    main()
