"""ClickHouse's own readers of Avro and JSON, in chdb, on walbrook's topics. See docs/clients.md.

kafka-python fetches so many records as are asked for; ClickHouse decodes them from files of their
values.
"""

import decimal
import importlib.metadata
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

from arguments import arguments
from chdb.session import Session
from kafka import KafkaConsumer

given = arguments()

# What is the same in all topics of tables.
COLUMNS = {
    "flag": "Nullable(Bool)",
    "whole": "Nullable(Int32)",
    "big": "Nullable(Int64)",
    "ratio": "Nullable(Float64)",
    "amount": "Nullable(Decimal(12, 2))",
    "free": "Nullable(Tuple(scale Int32, value String))",
    "name": "Nullable(String)",
    "data": "Nullable(String)",
    "number": "Nullable(UUID)",
    "day": "Nullable(Int32)",
    "clock": "Nullable(Int64)",
    "moment": "Nullable(Int64)",
    "zoned": "Nullable(String)",
    "span": "Nullable(Int64)",
    "doc": "Nullable(String)",
    "mood": "Nullable(String)",
    # There is no Nullable(Array). The default stands for NULL: no text has a zero byte, and no
    # integer is so large.
    "tags": "Array(Nullable(String)) DEFAULT [char(0)]",
    "wholes": "Array(Nullable(Int64)) DEFAULT [4294967296]",
}
# What is of another type in topics of this kind.
OTHERS = {
    "debezium": {"number": "Nullable(String)"},
    "avro": {
        "free": "Nullable(String)",
        "moment": "Nullable(DateTime64(6, 'UTC'))",
        "zoned": "Nullable(DateTime64(6, 'UTC'))",
        "span": "Nullable(Tuple(months Int32, days Int32, micros Int64))",
    },
    "json": {
        "amount": "Nullable(String)",
        "tags": "Variant(Array(Nullable(String)))",
        "wholes": "Variant(Array(Nullable(Int32)))",
    },
}
# What one might declare, too, and what is wrong then.
WRONG = {
    "days": {"day": "Nullable(Date32)"},
    "micros": {
        "moment": "Nullable(DateTime64(3, 'UTC'))",
        "zoned": "Nullable(DateTime64(3, 'UTC'))",
    },
    "nulls": {"tags": "Array(Nullable(String))", "wholes": "Array(Nullable(Int32))"},
    "precision": {"amount": "Nullable(Decimal(14, 2))"},
    "wide": {"big": "Nullable(Int32)"},
}

# How a value of a type, or else of a column, becomes text.
FILLED = "toString(reinterpretAsInt256(reverse(leftPad({0}, 32, char({1})))))"
POSITIVE, NEGATIVE = (FILLED.format("{0}", byte) for byte in (0, 255))
NUMBER = f"if(reinterpretAsUInt8({{0}}) < 128, {POSITIVE}, {NEGATIVE})"
TEXTS = {
    "Array(Nullable(String)) DEFAULT [char(0)]": "if({0} = [char(0)], NULL, toJSONString({0}))",
    "Array(Nullable(Int64)) DEFAULT [4294967296]": "if({0} = [4294967296], NULL, toJSONString({0}))",
    "Nullable(DateTime64(6, 'UTC'))": "toString(toUnixTimestamp64Micro({0}))",
    "Nullable(Tuple(months Int32, days Int32, micros Int64))": "toJSONString({0})",
}
TEXT = "toString(toUnixTimestamp64Micro(toDateTime64(toString({0}), 6, 'UTC')))"


class ClickHouse:
    """Decodes what it finds in files."""

    def __init__(self, registry, folder):
        self.session, self.folder, self.files = Session(), pathlib.Path(folder), 0
        self.registry = f"SETTINGS format_avro_schema_registry_url = '{registry}'"

    def read(self, columns, select, form, values):
        """One row for each value."""
        self.files += 1
        table, path = f"given_{self.files}", self.folder / str(self.files)
        is_json = form == "JSONEachRow"
        path.write_bytes(b"".join(value + b"\n" * is_json for value in values))
        file = f"ENGINE = File({form}, '{path}') {self.registry}"
        self.session.query(f"CREATE TABLE {table} {columns} {file}")
        # What is read comes in the order of the file.
        settings = f"{self.registry}, max_threads = 1, input_format_parallel_parsing = 0"
        rows = str(self.session.query(f"SELECT {select} FROM {table} {settings}", "JSONEachRow"))
        return [json.loads(row) for row in rows.splitlines()]


def main():
    named = [f"{name} {importlib.metadata.version(name)}" for name in ("chdb-core", "kafka-python")]
    with tempfile.TemporaryDirectory() as folder:
        clickhouse = ClickHouse(given.registry, folder)
        version = str(clickhouse.session.query("SELECT version()", "TSVRaw")).strip()
        print(json.dumps({"client": f"ClickHouse {version} ({', '.join(named)})"}))
        records = fetched()
        for topic, kind in given.topics.items():
            of_topic = [record for record in records if record.topic == topic]
            for out in (events if kind == "outbox" else changes)(clickhouse, topic, of_topic):
                print(json.dumps(out))


def fetched():
    consumer = KafkaConsumer(
        *given.topics,
        bootstrap_servers=given.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    records = [record for _, record in zip(range(given.records), consumer)]
    consumer.close()
    return records


def place(record):
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def events(clickhouse, topic, records):
    """Events of an outbox; ClickHouse finds the columns."""
    form = "AvroConfluent" if given.formats[topic] == "avro" else "JSONEachRow"
    payloads = clickhouse.read("", "*", form, [record.value for record in records])
    for record, payload in zip(records, payloads, strict=True):
        event = {"id": dict(record.headers)["id"].decode(), "payload": payload}
        yield place(record) | {"key": record.key.decode(), "event": event}


def changes(clickhouse, topic, records):
    """Changes of a table. A tombstone has no value that could be decoded."""
    kind = given.topics[topic]
    types = COLUMNS | OTHERS[kind] | WRONG.get(given.without, {})
    values = [record.value for record in records if record.value is not None]
    if given.formats[topic] == "avro":
        keys = [record.key for record in records]
        ids = [row["id"] for row in clickhouse.read("(id Int64)", "id", "AvroConfluent", keys)]
        rows = avro_rows(clickhouse, types, values)
    else:
        ids = [record.key.decode() for record in records]
        rows = json_rows(clickhouse, types, values)
    rows = iter(rows)
    for record, id in zip(records, ids, strict=True):
        out = place(record) | {"key": str(id), "op": "tombstone"}
        if record.value is not None:
            row = next(rows)
            out["op"] = row.pop("op")
            if row["id"] is not None:
                out["row"] = {name: cell(types, name, it) for name, it in row.items()}
        yield out


def avro_rows(clickhouse, types, values):
    """Each field of the record is a column that has its path's name."""
    if given.without == "paths":
        clickhouse.read("(after Nullable(Tuple(id Int64)))", "*", "AvroConfluent", values)
    path = "`after.Value.{0}`"
    columns = [f"{path.format(name)} {type}" for name, type in types.items()]
    columns = f"(op String, {path.format('id')} Nullable(Int64), {', '.join(columns)})"
    return clickhouse.read(columns, texts(types, path, "{0}"), "AvroConfluent", values)


def json_rows(clickhouse, types, values):
    columns = ", ".join(f"{name} {type}" for name, type in types.items())
    columns = f"(op String, after Nullable(Tuple(id Int64, {columns})))"
    select = texts(types, "after.{0}", "base64Decode({0})")
    return clickhouse.read(columns, select, "JSONEachRow", values)


def texts(types, path, decoded):
    """The list of a SELECT; `decoded` is how bytes are got."""
    select = ["op", f"toString({path.format('id')}) AS id"]
    for name, type in types.items():
        field = path.format(name)
        if name == "free" and "Tuple" in type:
            number = NUMBER.format(decoded.format(f"{field}.value"))
            text = f"toJSONString(({field}.scale, {number}))"
        elif name == "amount" and "Decimal" not in type:
            text = NUMBER.format(decoded.format(field))
        elif name == "data":
            text = f"lower(hex({decoded.format(field)}))"
        elif given.without in ("micros", "text") and "DateTime64" in type:
            text = TEXT.format(field)
        elif "Array" in type and type not in TEXTS:
            text = f"toJSONString({field})"
        else:
            text = TEXTS.get(type, "toString({0})").format(field)
        select.append(f"{text} AS {name}")
    return ", ".join(select)


def cell(types, name, value):
    """The type that a field was decoded to, and its value as a text."""
    type = "Int64" if name == "id" else types[name].partition(" DEFAULT ")[0]
    if value is None:
        return ["", None]
    if name == "free" and "Tuple" in type:
        scale, number = json.loads(value)
        return [type, None if number is None else scaled(scale, number)]
    if name == "amount" and "Decimal" not in type:
        return [type, scaled(2, value)]
    return [type, value]


def scaled(scale, number):
    context = decimal.Context(prec=decimal.MAX_PREC)
    return format(decimal.Decimal(number).scaleb(-scale, context), "f")


if __name__ == "__main__":
    main()
