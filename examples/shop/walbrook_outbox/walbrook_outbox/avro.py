"""Avro schemas, as far as it takes to know what fits them. Plain Python: neither Django nor I/O.

Source: https://avro.apache.org/docs/1.12.0/specification/
"""

import dataclasses
import json
import re

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
# Logical types that change what fits, by the type they are of. Others mean nothing, as Avro says.
LOGICAL = {
    "date": ["int"],
    "time-millis": ["int"],
    "time-micros": ["long"],
    "timestamp-millis": ["long"],
    "timestamp-micros": ["long"],
    "timestamp-nanos": ["long"],
    "local-timestamp-millis": ["long"],
    "local-timestamp-micros": ["long"],
    "local-timestamp-nanos": ["long"],
    "decimal": ["bytes", "fixed"],
    "uuid": ["string", "bytes", "fixed"],
}
# What walbrook cannot write from JSON.
UNSUPPORTED = {"duration": ["fixed"], "big-decimal": ["bytes"]}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FULL_NAME = re.compile(r"\.?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# In place of a default that a field does not have.
NONE = object()


class SchemaError(ValueError):
    """Not a schema, or one that payloads cannot be written by."""


class Number(str):
    """A JSON number as it is written: a decimal must keep all its digits."""


@dataclasses.dataclass
class Type:
    """One type; what a kind does not have stays empty."""

    kind: str
    name: str = ""
    # Of a logical type: what it is of.
    base: str = ""
    # An array's elements, a map's values.
    items: "Type | None" = None
    branches: list["Type"] = dataclasses.field(default_factory=list)
    fields: list["Field"] = dataclasses.field(default_factory=list)
    symbols: list[str] = dataclasses.field(default_factory=list)
    size: int = 0
    precision: int = 0
    scale: int = 0


@dataclasses.dataclass
class Field:
    name: str
    type: Type
    default: object = NONE


def parse(text):
    """The type that a schema file holds."""
    try:
        schema = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_constant)
    except ValueError as error:
        raise SchemaError(f"it is not JSON ({error})") from None
    return _Parser().type(schema, "")


class _Parser:
    def __init__(self):
        self.named = {}

    def type(self, schema, namespace):
        if isinstance(schema, list):
            return self.union(schema, namespace)
        if isinstance(schema, dict):
            return self.logical(schema, self.complex(schema, namespace))
        if not isinstance(schema, str) or isinstance(schema, Number):
            raise SchemaError("a type is a text, an object or an array")
        if schema in PRIMITIVES:
            return Type(schema)
        name = _full_name(schema, namespace)
        if name not in self.named:
            raise SchemaError(f"there is no type {schema!r}")
        return self.named[name]

    def complex(self, schema, namespace):
        kind = _member(schema, "type", "a type")
        if kind in ("record", "enum", "fixed"):
            return self.declared(kind, schema, namespace)
        if kind in ("array", "map"):
            items = _member(schema, "items" if kind == "array" else "values", kind)
            return Type(kind, items=self.type(items, namespace))
        return self.type(kind, namespace)

    def declared(self, kind, schema, namespace):
        """A record, an enum or a fixed: it has a name, by which it can be meant from then on."""
        name = _full_name(_member(schema, "name", kind), schema.get("namespace", namespace))
        if name in self.named:
            raise SchemaError(f"there are two types {name!r}")
        # Known before its fields are read: a record may have itself in it.
        declared = self.named[name] = Type(kind, name=name)
        if kind == "fixed":
            declared.size = _count(schema, "size")
        elif kind == "enum":
            declared.symbols = [_plain_name(symbol) for symbol in _array(schema, "symbols", kind)]
            _refuse_twins(declared.symbols, name)
        else:
            inner = name.rpartition(".")[0]
            declared.fields = [self.field(field, inner) for field in _array(schema, "fields", kind)]
            _refuse_twins([field.name for field in declared.fields], name)
        return declared

    def field(self, field, namespace):
        if not isinstance(field, dict):
            raise SchemaError("a field is an object")
        name = _plain_name(_member(field, "name", "a field"))
        return Field(name, self.type(_member(field, "type", name), namespace), field.get("default", NONE))

    def union(self, branches, namespace):
        types = [self.type(branch, namespace) for branch in branches]
        if any(it.kind == "union" for it in types):
            raise SchemaError("a union has a union in it")
        _refuse_twins([it.name or it.kind for it in types], "a union")
        return Type("union", branches=types)

    def logical(self, schema, of):
        """The same type, with the meaning that its logicalType gives it."""
        logical = schema.get("logicalType")
        if not isinstance(schema["type"], dict) and schema["type"] != of.kind:
            # A type that is declared elsewhere keeps its own meaning.
            return of
        if of.kind in UNSUPPORTED.get(logical, []):
            raise SchemaError(f"type {logical} cannot be written from JSON")
        if of.kind not in LOGICAL.get(logical, []):
            return of
        if logical == "uuid" and of.kind == "fixed" and of.size != 16:
            return of
        if logical == "decimal":
            try:
                precision, scale = _count(schema, "precision"), _count(schema, "scale", 0)
            except SchemaError:
                return of
            if precision < max(1, scale):
                return of
            of.precision, of.scale = precision, scale
        of.kind, of.base = logical, of.kind
        return of


def _member(schema, name, of):
    if name not in schema:
        raise SchemaError(f"{of} has no {name!r}")
    return schema[name]


def _array(schema, name, of):
    array = _member(schema, name, of)
    if not isinstance(array, list):
        raise SchemaError(f"{name!r} of {of} is no array")
    return array


def _count(schema, name, default=None):
    number = schema.get(name, default)
    if number == default and default is not None:
        return default
    if not isinstance(number, Number) or not re.fullmatch("[0-9]+", number):
        raise SchemaError(f"{name!r} is not a whole number")
    return int(number)


def _plain_name(name):
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SchemaError(f"{name!r} is no name")
    return name


def _full_name(name, namespace):
    if not isinstance(name, str) or not FULL_NAME.fullmatch(name):
        raise SchemaError(f"{name!r} is no name")
    if "." in name or not namespace:
        return name.removeprefix(".")
    return f"{namespace}.{name}"


def _refuse_twins(names, where):
    if len(set(names)) < len(names):
        raise SchemaError(f"{where} has a name or a type twice")


def _no_constant(text):
    raise ValueError(f"{text} is no number")
