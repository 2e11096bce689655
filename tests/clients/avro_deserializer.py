"""An ordinary consumer reads what walbrook wrote: confluent-kafka's AvroDeserializer, no more.

Every table event's `after` must equal the row that SELECT returns, column by column, and every
outbox event the payload in its table. tests/it/clients.rs starts the servers and walbrook, writes
the rows and calls this; it prints one line, or says what differs and fails.
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "lib"))

import events
import psycopg
from psycopg.rows import dict_row

LIMIT = 60


def main():
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "registry", "dsn", "table", "topic", "outbox", "outbox-topic"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--events", type=int, required=True, help="of the table, tombstones too")
    arguments = parser.parse_args()
    connection = psycopg.connect(arguments.dsn, row_factory=dict_row)
    rows = {row["id"]: row for row in connection.execute(f"SELECT * FROM {arguments.table}")}
    payloads = {
        str(row["id"]): row["payload"]
        for row in connection.execute(f"SELECT id, payload FROM {arguments.outbox}")
    }
    wanted = {arguments.topic, arguments.outbox_topic}
    reader = events.Reader(arguments.bootstrap, arguments.registry, lambda topic: topic in wanted)
    state, outbox, seen = read(reader, arguments, len(payloads))
    faults = compare_rows(state, rows) + compare_payloads(outbox, payloads)
    if faults:
        sys.exit("\n".join(faults))
    columns = len(next(iter(rows.values())))
    print(f"{seen} events, {len(rows)} rows of {columns} columns, {len(outbox)} outbox events: equal")


def read(reader, arguments, payloads):
    """The last state of each row, the outbox events by id, and the number of table events."""
    state, outbox, seen = {}, {}, 0
    deadline = time.monotonic() + LIMIT
    while seen < arguments.events or len(outbox) < payloads or not reader.is_at_end():
        if deadline < time.monotonic():
            sys.exit(f"after {LIMIT} s: {seen} events of the table, {len(outbox)} of the outbox")
        reader.look_for_topics()
        message = reader.poll(0.1)
        if message is None:
            continue
        events.position(message)
        value = reader.value(message)
        if message.topic() == arguments.outbox_topic:
            outbox[dict(message.headers())["id"].decode()] = value
            continue
        seen += 1
        key = reader.key(message)["id"]
        if value is None:
            assert key not in state, f"a tombstone of {key} before its deletion"
        elif value["op"] == "d":
            assert value["before"]["id"] == key and value["after"] is None
            del state[key]
        else:
            assert value["after"]["id"] == key
            state[key] = value["after"]
    return state, outbox, seen


def compare_rows(state, rows):
    faults = [f"row {key}: only in one place" for key in state.keys() ^ rows.keys()]
    for key in state.keys() & rows.keys():
        for column in state[key].keys() ^ rows[key].keys():
            faults.append(f"row {key}: column {column} is only in one place")
        for column in state[key].keys() & rows[key].keys():
            selected = rows[key][column]
            value = events.as_selected(state[key][column], selected)
            if not same(value, selected):
                faults.append(f"row {key}, {column}: event {value!r}, SELECT {selected!r}")
    return faults


def compare_payloads(outbox, payloads):
    faults = [f"outbox event {key}: only in one place" for key in outbox.keys() ^ payloads.keys()]
    for key in outbox.keys() & payloads.keys():
        given = {name: value for name, value in outbox[key].items() if value is not None}
        if given != payloads[key]:
            faults.append(f"outbox event {key}: {given!r}, payload {payloads[key]!r}")
    return faults


def same(value, selected):
    """Equal, and of one type; NaN equals NaN."""
    if isinstance(selected, float) and selected != selected:
        return isinstance(value, float) and value != value
    return type(value) is type(selected) and value == selected


if __name__ == "__main__":
    main()
