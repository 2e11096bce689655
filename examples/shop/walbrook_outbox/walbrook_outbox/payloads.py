"""Payloads as JSON, and the schemas of the settings that they have to fit.

    WALBROOK_OUTBOX = {
        "SCHEMAS": {
            "order": BASE_DIR / "schemas" / "order.avsc",
            ("order", "OrderCancelled"): BASE_DIR / "schemas" / "order_cancelled.avsc",
        }
    }

As in walbrook's own configuration, the schema of an event's type goes before that of its route, and
what has neither is published as it is.
"""

import base64
import datetime
import functools
import json
import pathlib

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.core.signals import setting_changed

from . import avro, fit


class PayloadError(ValueError):
    """A payload does not fit its schema. Nothing was published."""


class Encoder(DjangoJSONEncoder):
    """Django's, but nothing is lost (it cuts microseconds), and bytes are base64."""

    def default(self, o):
        if isinstance(o, (datetime.datetime, datetime.time)):
            return o.isoformat()
        if isinstance(o, (bytes, bytearray, memoryview)):
            return base64.b64encode(o).decode()
        return super().default(o)


def check(route, event_type, payload):
    """Raises PayloadError if walbrook would refuse the payload."""
    key = next((key for key in ((route, event_type), route) if key in files()), None)
    if key is None:
        return
    try:
        fit.check(schema(files()[key]), json.dumps(payload, cls=Encoder))
    except fit.Misfit as misfit:
        raise PayloadError(f"{event_type} of {route}: {misfit}") from None


def files():
    """The schema files of the settings, by route or by route and type."""
    schemas = getattr(settings, "WALBROOK_OUTBOX", {}).get("SCHEMAS", {})
    for key in schemas:
        is_pair = isinstance(key, tuple) and len(key) == 2 and all(isinstance(it, str) for it in key)
        if not is_pair and not isinstance(key, str):
            raise ImproperlyConfigured(
                f'WALBROOK_OUTBOX["SCHEMAS"] has the key {key!r}; a key is a route, or a route and a type:'
                ' "order" or ("order", "OrderPlaced").'
            )
    return schemas


@functools.cache
def schema(path):
    """The type in a schema file, which is read once."""
    try:
        found = avro.parse(pathlib.Path(path).read_text(encoding="utf-8"))
        fit.check_defaults(found)
    except OSError as error:
        raise ImproperlyConfigured(f"The schema file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ImproperlyConfigured(f"The schema file {path} cannot be used: {error}.") from None
    return found


def _forget(*, setting, **_):
    if setting == "WALBROOK_OUTBOX":
        schema.cache_clear()


# What tests override counts at once.
setting_changed.connect(_forget)
