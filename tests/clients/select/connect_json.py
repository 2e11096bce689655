"""A consumer of JSON with schemas, without a registry: it believes the schema beside each payload, as
Kafka Connect's sinks do, and knows nothing else of it.

With `on_unrepresentable = "null"` a value that its field cannot hold is null, in a field that says
so.
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
        reader, arguments.events, lambda message: believe(message.key())["id"]
    )
    rows.conclude(rows.compare(table.state, selected, as_selected), table, selected)


class Reader(events.Records):
    def value(self, message):
        return None if message.value() is None else believe(message.value())


def believe(message):
    """A key or a value, as its schema declares it."""
    whole = json.loads(message, parse_float=decimal.Decimal)
    assert whole.keys() == {"schema", "payload"}
    return declared(whole["schema"], whole["payload"])


def declared(schema, value):
    if value is None:
        assert schema["optional"], f"null in {schema}"
        return None
    match schema["type"]:
        case "struct":
            fields = {field["field"]: field for field in schema["fields"]}
            assert value.keys() == fields.keys(), f"{value.keys()} in {schema}"
            return {name: declared(fields[name], part) for name, part in value.items()}
        case "array":
            return [declared(schema["items"], item) for item in value]
        case "boolean":
            assert isinstance(value, bool)
            return value
        case "string":
            assert isinstance(value, str)
            return value
        case "bytes":
            return unscaled(schema, base64.b64decode(value, validate=True))
        case "float" | "double":
            return float(value)
        case "int16" | "int32" | "int64" as name:
            assert isinstance(value, int) and -(limit := 2 ** (int(name[3:]) - 1)) <= value < limit
            return value
        case other:
            raise AssertionError(f"a schema of {other}")


def unscaled(schema, value):
    """Bytes, or the number that they are the digits of."""
    if schema.get("name") != "org.apache.kafka.connect.data.Decimal":
        return value
    number = decimal.Decimal(int.from_bytes(value, "big", signed=True))
    return number.scaleb(-int(schema["parameters"]["scale"]), events.EXACT)


def as_selected(value, selected):
    if value is None and has_no_place(selected):
        return selected
    return events.as_selected(value, selected)


def has_no_place(selected):
    """A numeric that is no number, or an array of several dimensions."""
    if isinstance(selected, decimal.Decimal):
        return not selected.is_finite()
    return isinstance(selected, list) and any(isinstance(item, list) for item in selected)


if __name__ == "__main__":
    main()
