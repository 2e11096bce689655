import argparse
import datetime
import re

from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS
from django.db.models.functions import Now

from walbrook_outbox.models import Event

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def age(text):
    """A duration: 30m, 12h or 7d."""
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: say, for example, 30m, 12h or 7d")
    return datetime.timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    help = (
        "Deletes old rows of the outbox. walbrook reads the log, not the table, so no event is lost by"
        " it, but for one case: rows that wait for walbrook's very first start (pending = true)."
    )

    def add_arguments(self, parser):
        parser.add_argument("--older-than", type=age, required=True, metavar="AGE", help="30m, 12h or 7d")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *, older_than, database, **options):
        # By the clock of the database, which has set created_at.
        old = Event.objects.using(database).filter(created_at__lt=Now() - older_than)
        count, _ = old.delete()
        self.stdout.write(f"outbox: {count} rows deleted")
