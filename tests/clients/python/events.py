"""What the Python clients here share: decoding, and showing what a record was decoded to.

A consumer needs `Registry` and `allow_any_year`; `line` and what is below it only print.
"""

import base64
import datetime
import decimal
import importlib.metadata
import io
import json
import sys
import urllib.request

import fastavro
import fastavro.read

from arguments import arguments as arguments


class Registry:
    """Decodes Avro in Confluent's framing, by the schemas that the records name."""

    def __init__(self, url):
        self.url, self.schemas = url, {}

    def decode(self, data):
        if data is None:
            return None
        if data[0] != 0:
            raise ValueError("these bytes do not begin with a schema's id")
        number = int.from_bytes(data[1:5], "big")
        if number not in self.schemas:
            with urllib.request.urlopen(f"{self.url}/schemas/ids/{number}", timeout=10) as answer:
                schema = json.loads(json.load(answer)["schema"])
            self.schemas[number] = fastavro.parse_schema(schema)
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.schemas[number], None)


def allow_any_year():
    """Years outside of 1 to 9999 are read as Avro's numbers (days or microseconds since 1970).

    Python has no date for them, and without this fastavro can't read the whole record. It goes for
    confluent-kafka's AvroDeserializer, too, which is fastavro inside.
    """
    readers = fastavro.read.LOGICAL_READERS

    def or_number(reader):
        def read(data, *schemas):
            try:
                return reader(data, *schemas)
            except (OverflowError, ValueError):
                return data

        return read

    for name in ("int-date", "long-timestamp-micros", "long-local-timestamp-micros"):
        readers[name] = or_number(readers[name])


def start(given, *packages):
    """Says who reads."""
    named = (f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(json.dumps({"client": ", ".join(named)}), flush=True)
    if given.without != "years":
        allow_any_year()


def line(given, decode, topic, partition, offset, key, value, headers):
    """Prints a record; `decode` reads Avro: (topic, bytes, is_key)."""
    out = {"topic": topic, "partition": partition, "offset": offset}
    is_avro = given.formats[topic] == "avro"
    if given.topics[topic] == "outbox":
        payload = decode(topic, value, False) if is_avro else value and json.loads(value)
        id = dict(headers)["id"].decode()
        out |= {"key": key.decode(), "event": {"id": id, "payload": payload}}
    else:
        if is_avro:
            out["key"], event = str(decode(topic, key, True)["id"]), decode(topic, value, False)
        else:
            # key_format = "string": the key is the column's text.
            out["key"], event = key.decode(), value and json.loads(value)
        out["op"] = event["op"] if event else "tombstone"
        if event and event["after"]:
            out["row"] = {name: cell(name, it, is_avro) for name, it in event["after"].items()}
    print(json.dumps(out), flush=True)


def cell(name, value, is_avro):
    """The type that a field was decoded to, and its value as a text."""
    if value is None:
        return ["", None]
    if not is_avro and name in ("amount", "data", "free"):
        return ["str in dict" if name == "free" else "str", from_base64(name, value)]
    return [type(value).__name__, text(value)]


def from_base64(name, value):
    """What JSON has no type for: bytes, and numbers as the bytes of their digits."""
    match name:
        case "data":
            return base64.b64decode(value).hex()
        case "amount":
            return unscaled(2, base64.b64decode(value))
        case "free":
            return unscaled(value["scale"], base64.b64decode(value["value"]))


def unscaled(scale, data):
    number = decimal.Decimal(int.from_bytes(data, "big", signed=True))
    return format(number.scaleb(-scale, decimal.Context(prec=decimal.MAX_PREC)), "f")


def text(value):
    """Times are microseconds, dates are days."""
    micro = datetime.timedelta(microseconds=1)
    match value:
        case bool():
            return str(value).lower()
        case bytes():
            return value.hex()
        case datetime.datetime():
            return str((value - datetime.datetime(1970, 1, 1, tzinfo=value.tzinfo)) // micro)
        case datetime.date():
            return str((value - datetime.date(1970, 1, 1)).days)
        case datetime.time():
            moment = datetime.datetime.combine(datetime.date.min, value)
            return str((moment - datetime.datetime.min) // micro)
        case decimal.Decimal():
            return format(value, "f")
        case {"scale": scale, "value": data}:
            return unscaled(scale, data)
        case list() | dict():
            return json.dumps(value)
        case _:
            return str(value)


def not_installed(*modules):
    """As if these packages were not there."""
    for module in modules:
        sys.modules[module] = None
