"""The outbox table, by the column names that walbrook (and Debezium's event router) expect."""

import re

from django.db import models, router, transaction
from django.db.models.functions import Now

from . import payloads
from .ids import time_ordered_uuid

# What Kafka allows in the name of a topic, of which the aggregate type is a part.
ROUTE = re.compile(r"[A-Za-z0-9._-]{1,200}")


class OutsideTransaction(transaction.TransactionManagementError):
    """An event was published where nothing could roll it back."""


class Unchangeable(Exception):
    """A row of the outbox was to be changed. It is an event: it has happened."""


class EventQuerySet(models.QuerySet):
    """Refuses what would get past `Event.save`."""

    def bulk_create(self, objs, batch_size=None, ignore_conflicts=False, update_conflicts=False, **options):
        if update_conflicts:
            raise Unchangeable("Events of the outbox cannot be changed; publish another one.")
        events = list(objs)
        using = self._db or router.db_for_write(Event)
        for event in events:
            event.check_may_be_written(using)
        return super().bulk_create(events, batch_size, ignore_conflicts, **options)

    def update(self, **values):
        raise Unchangeable("Events of the outbox cannot be changed; publish another one.")

    update.alters_data = True


class Event(models.Model):
    """One event. Only its INSERT counts: walbrook reads it from the log, so the row may go at any time."""

    id = models.UUIDField(primary_key=True, default=time_ordered_uuid, editable=False)
    aggregatetype = models.CharField(max_length=200)
    aggregateid = models.CharField(max_length=255)
    type = models.CharField(max_length=255)
    # NULL is a tombstone: in a compacted topic it takes away what the key had.
    payload = models.JSONField(null=True, encoder=payloads.Encoder)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "walbrook_outbox_event"
        # No index but the key: this table is written, and read by nobody but the log.

    def __str__(self):
        return f"{self.type} of {self.aggregatetype} {self.aggregateid}"

    def save(self, *, using=None, **options):
        using = using or router.db_for_write(Event, instance=self)
        if not self._state.adding:
            raise Unchangeable("Events of the outbox cannot be changed; publish another one.")
        self.check_may_be_written(using)
        # Never an UPDATE, not even where there is a row with this id.
        super().save(using=using, force_insert=True)

    def check_may_be_written(self, using):
        """What would only be found by walbrook, when the transaction is long committed, is found here."""
        if not transaction.get_connection(using).in_atomic_block:
            raise OutsideTransaction(
                f"{self.type} was published outside of a transaction. Put transaction.atomic() around"
                " it and the change that it tells of, so that either both happen or none."
            )
        if not ROUTE.fullmatch(self.aggregatetype):
            raise ValueError(
                f"aggregatetype {self.aggregatetype!r} cannot be a part of a topic's name: it takes 1 to"
                " 200 letters, digits, dots, underscores and hyphens."
            )
        if self.payload is not None:
            payloads.check(self.aggregatetype, self.type, self.payload)
