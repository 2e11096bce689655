"""Asks walbrook itself: does it write the payloads that we let through, and say of the others what we say?

    $WALBROOK_HOME/python/bin/python tests/against_walbrook.py

Each payload of cases.py is published by each of its schemas, past our check. That Python has all that it
takes; Django is not needed. A release build of walbrook and the servers have to be there already.
"""

import json
import pathlib
import re
import subprocess
import sys
import time
import uuid

OUTBOX = pathlib.Path(__file__).resolve().parents[1]
PROJECT = OUTBOX.parents[2]
sys.path[:0] = [str(PROJECT / "deploy" / "lib"), str(OUTBOX)]

import events
import servers

from tests.cases import CASES, REFUSED
from walbrook_outbox import avro, fit

WALBROOK = PROJECT / "target" / "release" / "walbrook"
DEAD = "cases.dead"
TABLES = """
    CREATE TABLE walbrook_outbox_event (
        id uuid PRIMARY KEY,
        aggregatetype varchar(200) NOT NULL,
        aggregateid varchar(255) NOT NULL,
        type varchar(255) NOT NULL,
        payload jsonb,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE PUBLICATION cases FOR TABLE walbrook_outbox_event;
"""
CONFIGURATION = """
pipeline = "cases"
[postgres]
hosts = ["{postgres}"]
port = {postgres_port}
database = "postgres"
user = "postgres"
[replication]
slot = "cases"
publications = ["cases"]
[kafka]
bootstrap_servers = ["{bootstrap}"]
[registry]
urls = ["{registry}"]
[topics]
partitions = 1
replication_factor = 1
checkpoint_replication_factor = 1
[[outbox]]
table = "public.walbrook_outbox_event"
topic = "cases.{{route}}"
dead_letter_topic = "{dead}"
schemas = [{schemas}]
[http]
listen = "127.0.0.1:{http_port}"
[control]
socket = "off"
"""


def configure(stage, schemas):
    """A configuration in which each schema has a route of its own: s0, s1 …"""
    entries = []
    for number, schema in enumerate(schemas):
        (stage.folder / f"s{number}.avsc").write_text(json.dumps(schema))
        entries.append(f'{{ route = "s{number}", file = "s{number}.avsc" }}')
    port = servers.free_port()
    path = stage.folder / "walbrook.toml"
    path.write_text(
        CONFIGURATION.format(
            postgres=stage.socket_folder,
            postgres_port=stage.postgres_port,
            bootstrap=stage.bootstrap,
            registry=stage.registry_url,
            dead=DEAD,
            schemas=", ".join(entries),
            http_port=port,
        )
    )
    return path, port


def ask_about_schemas(stage):
    """walbrook must refuse each of them."""
    for schema in REFUSED:
        path, _ = configure(stage, [schema])
        done = subprocess.run([WALBROOK, "check", "--config", path], capture_output=True, text=True)
        said = done.stdout + done.stderr
        if done.returncode == 0 or "schema" not in said.lower():
            yield f"{schema}: walbrook takes it (exit code {done.returncode}): {said.strip()[-300:]}"


def ask_about_payloads(stage, connection):
    path, port = configure(stage, [schema for schema, _, _ in CASES])
    walbrook = stage.spawn("walbrook", [WALBROOK, "run", "--config", path])

    def ready():
        if walbrook.poll() is not None:
            raise servers.Failure(servers.tail(walbrook.log))
        return servers.get(f"http://127.0.0.1:{port}/readyz")

    servers.wait_for("walbrook", ready, 60)
    wanted = dict(publish_all(connection))
    found = read(stage, len(wanted))
    if len(found) < len(wanted):
        log = servers.tail(walbrook.log, 5)
        raise servers.Failure(f"{len(wanted) - len(found)} of {len(wanted)} events did not come:\n{log}")
    return len(wanted), [
        f"{case}: we say {why or 'it fits'!r}, walbrook says {found[key] or 'it fits'!r}"
        for key, (case, why) in wanted.items()
        if unnamed(found[key]) != unnamed(why)
    ]


def unnamed(why):
    """Of several unknown members any may be named: jsonb has an order of its own."""
    return why and re.sub(r'a member "\w+"', "a member", why)


def publish_all(connection):
    """Every payload by every schema, one event each; gives its key, and what we say of it."""
    payloads = [
        json.dumps(payload)
        for _, fits, misfits in CASES
        for payload in [*fits, *(payload for payload, _ in misfits)]
    ]
    rows = [
        (f"s{number}", str(uuid.uuid4()), schema, payload)
        for number, (schema, _, _) in enumerate(CASES)
        for payload in payloads
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO walbrook_outbox_event (id, aggregatetype, aggregateid, type, payload)"
            " VALUES (%s, %s, %s, '', %s)",
            [(key, route, key, payload) for route, key, _, payload in rows],
        )
    for _, key, schema, payload in rows:
        yield key, (f"{payload[:100]} as {json.dumps(schema)[:100]}", judged(schema, payload))


def judged(schema, payload):
    """Why we refuse it; None if we do not."""
    try:
        fit.check(avro.parse(json.dumps(schema)), payload)
    except fit.Misfit as misfit:
        return str(misfit)
    return None


def read(stage, count):
    """What became of each event, by its key: None, or why it is a dead letter."""
    reader = events.Records(stage.bootstrap, lambda topic: topic.startswith("cases."))
    found = {}

    def all_topics():
        reader.look_for_topics()
        return len(reader.assigned) == len(CASES) + 1

    servers.wait_for("a topic for each schema", all_topics, 60)
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        if (message := reader.poll(0.2)) is not None:
            error = dict(message.headers()).get("walbrook.error")
            found[message.key().decode()] = error and error.decode()
    reader.close()
    return found


def main():
    stage = servers.Servers("cases")
    try:
        stage.start()
        with stage.connect("postgres") as connection:
            connection.execute(TABLES)
            faults = [*ask_about_schemas(stage)]
            count, more = ask_about_payloads(stage, connection)
    except servers.Failure as failure:
        sys.exit(f"against_walbrook: {failure}")
    finally:
        stage.stop()
    faults += more
    for fault in faults[:20]:
        print(fault)
    print(f"{len(REFUSED)} schemas, {count} payloads; {len(faults)} judged otherwise by walbrook")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
