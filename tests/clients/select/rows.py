"""What the readers here share: the rows that events leave behind, against those of SELECT."""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "deploy" / "lib"))

import events
from psycopg.rows import dict_row

LIMIT = 60


def arguments(*more):
    """The command line: the servers, the table, its topic and how many records that will have."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "registry", "dsn", "table", "topic", *more):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--events", type=int, required=True, help="of the table, tombstones too")
    return parser.parse_args()


def select(connection, query):
    """Rows by their id."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return {row["id"]: row for row in cursor.execute(query)}


class Table:
    """The last state of each row, after so many events."""

    def __init__(self):
        self.state = {}
        self.seen = 0

    def take(self, key, value):
        """An event, or a tombstone."""
        self.seen += 1
        if value is None:
            assert key not in self.state, f"a tombstone of {key} before its deletion"
        elif value["op"] == "d":
            assert value["before"]["id"] == key and value["after"] is None
            del self.state[key]
        else:
            assert value["after"]["id"] == key
            self.state[key] = value["after"]


def follow(reader, take, is_complete, told):
    """Gives all records to `take`, until that says that they are complete."""
    deadline = time.monotonic() + LIMIT
    while not is_complete() or not reader.is_at_end():
        if deadline < time.monotonic():
            sys.exit(f"after {LIMIT} s: {told()}")
        message = reader.poll(0.1)
        if message is None:
            # The answer comes behind that to the consumer's own request, which may take half a second.
            reader.look_for_topics()
        else:
            events.position(message)
            take(message)


def follow_table(reader, count, key):
    """The table of a reader's only topic; `key` reads the id from a record."""
    table = Table()
    follow(
        reader,
        lambda message: table.take(key(message), reader.value(message)),
        lambda: table.seen >= count,
        lambda: f"{table.seen} events",
    )
    return table


def compare(state, rows, as_selected):
    """What differs between events and SELECT, column by column."""
    faults = [f"row {key}: only in one place" for key in state.keys() ^ rows.keys()]
    for key in state.keys() & rows.keys():
        for column in state[key].keys() ^ rows[key].keys():
            faults.append(f"row {key}: column {column} is only in one place")
        for column in state[key].keys() & rows[key].keys():
            selected = rows[key][column]
            value = as_selected(state[key][column], selected)
            if not same(value, selected):
                faults.append(f"row {key}, {column}: event {value!r}, SELECT {selected!r}")
    return faults


def same(value, selected):
    """Equal, and of one type; NaN equals NaN."""
    if selected != selected:
        return type(value) is type(selected) and value != value
    return type(value) is type(selected) and value == selected


def conclude(faults, table, rows, more=""):
    """One line, or what differs, and the end."""
    if faults:
        sys.exit("\n".join(faults))
    columns = len(next(iter(rows.values())))
    print(f"{table.seen} events, {len(rows)} rows of {columns} columns{more}: equal")
