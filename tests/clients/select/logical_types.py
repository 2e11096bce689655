"""A consumer that knows Avro's logical types and no Debezium: AvroDeserializer and nothing else.

With `representation = "avro"` it must get what psycopg gets, as Python's own types: Decimal, date,
time, datetime, UUID, list, dict. Intervals and ranges are records of their parts. With
`on_unrepresentable = "text"` a value that such a type cannot hold comes as its text.
"""

import datetime
import decimal
import json
import struct

import rows
import events
import psycopg
from psycopg import pq
from psycopg.types.hstore import register_hstore
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range


def main():
    arguments = rows.arguments()
    connection = psycopg.connect(arguments.dsn)
    register_hstore(psycopg.types.TypeInfo.fetch(connection, "hstore"), connection)
    selected = rows.select(connection, f"SELECT * FROM {arguments.table}")
    for id, span in intervals(connection, arguments.table):
        selected[id]["span"] = span
    reader = events.Reader(
        arguments.bootstrap, arguments.registry, lambda topic: topic == arguments.topic
    )
    table = rows.follow_table(
        reader, arguments.events, lambda message: reader.key(message)["id"]
    )
    rows.conclude(rows.compare(table.state, selected, as_selected), table, selected)


class Interval(psycopg.adapt.Loader):
    """The parts of an interval, of which psycopg's own timedelta has no months."""

    format = pq.Format.BINARY

    def load(self, data):
        micros, days, months = struct.unpack("!qii", data)
        return {"months": months, "days": days, "micros": micros}


def intervals(connection, table):
    connection.adapters.register_loader("interval", Interval)
    return connection.execute(f"SELECT id, span FROM {table}", binary=True).fetchall()


def as_selected(value, selected):
    """The event's value as psycopg returns the column: only what Avro has no type for needs work."""
    if value is None or selected is None:
        return value
    if isinstance(selected, Range):
        return range_of(value, selected)
    if isinstance(selected, Multirange):
        return Multirange(range_of(*pair) for pair in zip(value, selected, strict=True))
    if isinstance(selected, decimal.Decimal) and isinstance(value, str):
        number = decimal.Decimal(value)
        # With its zeros.
        return number if number.as_tuple() == selected.as_tuple() else value
    if isinstance(selected, datetime.time) and selected.tzinfo:
        return datetime.time.fromisoformat(value)
    if isinstance(selected, list) and isinstance(value, list):
        return [as_selected(item, other) for item, other in zip(value, selected, strict=True)]
    if isinstance(selected, list) and isinstance(value, str) and value.startswith("{"):
        # Of several dimensions, so it came as text.
        return json.loads(value.replace("{", "[").replace("}", "]"))
    if isinstance(selected, (dict, list)) and isinstance(value, str):
        return json.loads(value)
    if isinstance(selected, str) and isinstance(value, dict):
        return f"({value['x']:g},{value['y']:g})"
    return value


def range_of(value, selected):
    if value["is_empty"]:
        assert value["lower"] is None and value["upper"] is None
        return Range(empty=True)
    lower = "[" if value["is_lower_inclusive"] else "("
    upper = "]" if value["is_upper_inclusive"] else ")"
    bounds = [as_selected(value[name], getattr(selected, name)) for name in ("lower", "upper")]
    return Range(*bounds, lower + upper)


if __name__ == "__main__":
    main()
