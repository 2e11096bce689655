"""Whether a JSON payload fits an Avro schema, by the rules of walbrook, which writes it.

It follows walbrook's rules one by one, so that a payload that walbrook would refuse, long after the
commit, is refused before it. tests/against_walbrook.py asks walbrook itself whether that is so. Plain
Python: neither Django nor I/O.
"""

import base64
import datetime
import decimal
import json
import math
import re
import struct

from .avro import NAME, NONE, Number, SchemaError

DEPTH_MAX = 128
SHOWN_NAME_MAX = 64
SECOND = {"millis": 3, "micros": 6, "nanos": 9}
TIME = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
DATE = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
ZONE = r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2})?)"
UUID = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,20}))?")


class Misfit(ValueError):
    """A payload that does not fit: where, and why, without any of its values."""

    def __init__(self, reason, is_limit=False):
        super().__init__(reason)
        self.reason = reason
        self.steps = []
        # No other branch of a union can help then.
        self.is_limit = is_limit

    def inside(self, step):
        self.steps.insert(0, step)
        return self

    def __str__(self):
        return f"payload{''.join(self.steps)} {self.reason}"


def check(schema, text):
    """Raises Misfit if the JSON text, as jsonb will show it, does not fit."""
    try:
        value = json.loads(text, parse_int=Number, parse_float=_as_jsonb, parse_constant=_no_constant)
    except ValueError:
        raise Misfit("is not JSON") from None
    _Walk(is_default=False).value(schema, value, 0)


def check_defaults(schema):
    """Raises SchemaError if a default does not fit its field."""
    done = set()

    def visit(it):
        if id(it) in done:
            return
        done.add(id(it))
        for inner in [it.items, *it.branches]:
            if inner is not None:
                visit(inner)
        for field in it.fields:
            visit(field.type)
            if field.default is NONE:
                continue
            try:
                _Walk(is_default=True).value(field.type, field.default, 0)
            except Misfit as misfit:
                where = f"{it.name}.{field.name}"
                raise SchemaError(f"the default of field {where} does not fit: {misfit}") from None

    visit(schema)


class _Walk:
    """Through a value beside its schema. Defaults have bytes as characters 0 to 255, payloads in base64."""

    def __init__(self, is_default):
        self.is_default = is_default

    def value(self, schema, value, depth):
        if DEPTH_MAX < depth:
            raise Misfit(f"is nested deeper than {DEPTH_MAX} levels", is_limit=True)
        made_of_others = {"array": self.array, "map": self.map, "record": self.record, "union": self.union}
        if schema.kind in made_of_others:
            made_of_others[schema.kind](schema, value, depth)
        else:
            self.scalar(schema, value)

    def array(self, schema, value, depth):
        _want(isinstance(value, list), "an array", value)
        for index, element in enumerate(value):
            try:
                self.value(schema.items, element, depth + 1)
            except Misfit as misfit:
                raise misfit.inside(f"[{index}]") from None

    def map(self, schema, value, depth):
        _want(isinstance(value, dict), "an object", value)
        for element in value.values():
            try:
                self.value(schema.items, element, depth + 1)
            except Misfit as misfit:
                # The key is data, and stays unnamed.
                raise misfit.inside("{}") from None

    def record(self, schema, value, depth):
        _want(isinstance(value, dict), "an object", value)
        names = {field.name for field in schema.fields}
        for name in value:
            if name not in names:
                raise Misfit(f"has a member {_shown(name)}that the schema does not have")
        for field in schema.fields:
            try:
                if field.name in value:
                    self.value(field.type, value[field.name], depth + 1)
                else:
                    self.missing(field, depth + 1)
            except Misfit as misfit:
                raise misfit.inside(f".{field.name}") from None

    def missing(self, field, depth):
        """What stands for a member that is not there."""
        default = field.default
        if default is NONE:
            if all(branch.kind != "null" for branch in field.type.branches):
                raise Misfit("is missing and has no default")
            default = None
        _Walk(is_default=True).value(field.type, default, depth)

    def union(self, schema, value, depth):
        """The first branch that the value fits."""
        misfits = []
        for branch in schema.branches:
            if branch.kind == "null" and value is not None:
                continue
            try:
                return self.value(branch, value, depth + 1)
            except Misfit as misfit:
                if misfit.is_limit:
                    raise
                misfits.append(misfit)
        # With one candidate its own reason says more.
        raise misfits[0] if len(misfits) == 1 else Misfit("fits no branch of the union")

    def scalar(self, schema, value):
        kind = schema.kind
        if kind == "null":
            _want(value is None, "null", value)
        elif kind == "boolean":
            _want(isinstance(value, bool), "a boolean", value)
        elif kind in ("float", "double"):
            _want(isinstance(value, Number), "a number", value)
            _float(value, kind)
        elif kind == "string":
            _string(value)
        elif kind == "enum":
            if _string(value) not in schema.symbols:
                raise Misfit("is none of the enum's symbols")
        elif kind == "bytes":
            self.bytes(value)
        elif kind == "fixed":
            _length(schema.size, self.bytes(value))
        elif kind == "decimal":
            self.decimal(schema, value)
        elif kind == "uuid":
            if not UUID.fullmatch(_string(value)):
                raise Misfit("is not a uuid")
        else:
            _number_or_time(kind, value)

    def bytes(self, value):
        """How many there are."""
        text = _string(value)
        if not self.is_default:
            return _base64(text)
        if any(0xFF < ord(character) for character in text):
            raise Misfit("is not bytes as characters 0 to 255")
        return len(text)

    def decimal(self, schema, value):
        if self.is_default:
            size = self.bytes(value)
        else:
            _want(isinstance(value, str), "a decimal number or its text", value)
            size = _decimal(value, schema.precision, schema.scale)
        if schema.base == "fixed" and schema.size < size:
            _length(schema.size, size)


def _number_or_time(kind, value):
    """Types that Avro stores as int or long: an integer, or for dates and times ISO 8601 text."""
    want = {"int": "an int", "long": "a long", "date": "a date"}.get(kind)
    want = want or ("a time" if kind.startswith("time-") else "a timestamp")
    if isinstance(value, Number):
        _integer(value, want, 31 if kind in ("int", "date", "time-millis") else 63)
    elif isinstance(value, str) and kind not in ("int", "long"):
        if kind == "date":
            _date(value)
        elif kind.startswith("time-"):
            _time(value, kind.removeprefix("time-"))
        else:
            _timestamp(value, kind.rpartition("-")[2], kind.startswith("local"))
    else:
        _want(False, want, value)


def _integer(text, want, bits):
    if not re.fullmatch("-?[0-9]+", text):
        raise Misfit("is not written as an integer")
    # int() takes no more than some thousand digits.
    if 20 < len(text) or not -(1 << bits) <= int(text) < 1 << bits:
        raise Misfit(f"is out of the range of {want}")


def _float(text, kind):
    number = float(text)
    try:
        if kind == "float":
            struct.pack("<f", number)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Misfit(f"is out of the range of {kind}")


def _decimal(text, precision, scale):
    """How many bytes the number takes; it is never rounded."""
    found = DECIMAL.fullmatch(text)
    whole, fraction = (found[2], found[3] or "") if found else ("", "")
    exponent = int(found[4] or 0) if found else 0
    if not whole + fraction or not -(1 << 31) <= exponent < 1 << 31:
        raise Misfit("is not a decimal number")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return 1
    zeros = exponent - len(fraction) + len(digits) - len(significant) + scale
    if zeros < 0:
        raise Misfit(f"has more than {scale} digits after the point")
    if precision < len(significant) + zeros:
        raise Misfit(f"has more than {precision} digits")
    number = int(significant) * 10**zeros
    # Two's complement: -128 fits where 127 does.
    return (number - (found[1] == "-")).bit_length() // 8 + 1


def _date(text):
    found = re.fullmatch(DATE, text)
    if not found or _days(*found.groups()) is None:
        raise Misfit("is not a date (YYYY-MM-DD)")


def _time(text, unit):
    found = re.fullmatch(TIME, text)
    if not found or _seconds(*found.groups()[:3]) is None:
        raise Misfit("is not a time (HH:MM:SS[.ffffff])")
    _steps(found[4], unit)


def _timestamp(text, unit, is_local):
    """An instant, with its zone, or what a clock on the wall shows, without."""
    found = re.fullmatch(f"{DATE}[Tt ]{TIME}{'' if is_local else ZONE}", text)
    days = _days(*found.groups()[:3]) if found else None
    seconds = _seconds(*found.groups()[3:6]) if found else None
    zone = _seconds(found[9] or "0", found[10] or "0", "0") if found and not is_local else 0
    if days is None or seconds is None or zone is None:
        if is_local:
            raise Misfit("is not a timestamp without a time zone (YYYY-MM-DDTHH:MM:SS[.ffffff])")
        raise Misfit("is not a timestamp with its time zone (YYYY-MM-DDTHH:MM:SS[.ffffff]Z or ±HH:MM)")
    fraction = _steps(found[7], unit)
    zone = -zone if not is_local and found[8] == "-" else zone
    steps = (days * 86_400 + seconds - zone) * 10 ** SECOND[unit]
    if not -(1 << 63) <= min(steps, steps + fraction) <= steps + fraction < 1 << 63:
        raise Misfit("is out of the range of timestamp")


def _days(year, month, day):
    """Days since 1970-01-01; None if there is no such day."""
    eras, year = divmod(int(year), 400)
    try:
        # Python knows no year 0, but each era has the same days.
        ordinal = datetime.date(year + 400, int(month), int(day)).toordinal()
    except ValueError:
        return None
    return ordinal + (eras - 1) * 146_097 - 719_163


def _seconds(hour, minute, second):
    hour, minute, second = int(hour), int(minute), int(second)
    return hour * 3_600 + minute * 60 + second if hour < 24 and minute < 60 and second < 60 else None


def _steps(fraction, unit):
    digits = SECOND[unit]
    fraction = (fraction or "").ljust(digits, "0")
    if fraction[digits:].strip("0"):
        raise Misfit(f"has more than {digits} digits after the point")
    return int(fraction[:digits])


def _base64(text):
    """How many bytes it holds: standard base64, padded or not."""
    body = text.rstrip("=")
    padded = body + "=" * (-len(body) % 4)
    try:
        # Python forgives bits that no byte uses; with those a value would have many texts.
        held = base64.b64decode(padded, validate=True)
        is_one = base64.b64encode(held).decode() == padded and text in (body, padded)
    except ValueError:
        is_one = False
    if not is_one:
        raise Misfit("is not base64")
    return len(held)


def _length(want, found):
    if found != want:
        raise Misfit(f"has {found} bytes, the schema wants {want}")


def _string(value):
    _want(isinstance(value, str) and not isinstance(value, Number), "a string", value)
    return value


def _want(fits, want, value):
    if not fits:
        raise Misfit(f"is {_noun(value)}, the schema wants {want}")


def _noun(value):
    if isinstance(value, Number):
        return "a number"
    if value is None:
        return "null"
    return {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}[type(value)]


def _shown(name):
    """A name that looks like data stays unnamed."""
    return f'"{name}" ' if NAME.fullmatch(name) and len(name) <= SHOWN_NAME_MAX else ""


def _as_jsonb(text):
    """jsonb has no exponents: it shows 1e+16 as 10000000000000000."""
    return Number(format(decimal.Decimal(text), "f"))


def _no_constant(text):
    raise ValueError(f"{text} is no JSON")
