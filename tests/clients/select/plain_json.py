"""A consumer without a registry: keys are plain texts, values are JSON.

The values are Debezium's as Kafka Connect's JsonConverter writes them: bytes and the unscaled
numbers of decimals in Base64, floats that are no numbers as texts.
"""

import base64
import decimal
import json

import rows
import events
import psycopg


def main():
    arguments = rows.arguments()
    selected = rows.select(psycopg.connect(arguments.dsn), f"SELECT * FROM {arguments.table}")
    reader = Reader(arguments.bootstrap, lambda topic: topic == arguments.topic)
    table = rows.follow_table(
        reader, arguments.events, lambda message: int(message.key().decode())
    )
    rows.conclude(rows.compare(table.state, selected, as_selected), table, selected)


class Reader(events.Records):
    def value(self, message):
        return None if message.value() is None else json.loads(message.value())


def as_selected(value, selected):
    """The event's value as psycopg returns the column: first what JSON has no type for."""
    if isinstance(selected, list) and isinstance(value, list):
        return [as_selected(item, other) for item, other in zip(value, selected, strict=True)]
    if isinstance(selected, bytes) and value is not None:
        return base64.b64decode(value, validate=True)
    if isinstance(selected, float) and isinstance(value, str):
        return {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}[value]
    if isinstance(selected, decimal.Decimal) and isinstance(value, str):
        scale = -selected.as_tuple().exponent
        value = {"scale": scale, "value": value}
    if isinstance(selected, decimal.Decimal) and isinstance(value, dict):
        value = value | {"value": base64.b64decode(value["value"], validate=True)}
    return events.as_selected(value, selected)


if __name__ == "__main__":
    main()
