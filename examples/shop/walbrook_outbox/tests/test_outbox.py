"""The app against a real PostgreSQL."""

import datetime
import decimal
import io
import json
import pathlib
import tempfile
import time
import uuid
from unittest import mock

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import connection, transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings

from walbrook_outbox import checks, publish
from walbrook_outbox.ids import time_ordered_uuid
from walbrook_outbox.models import Event, OutsideTransaction, Unchangeable
from walbrook_outbox.payloads import PayloadError

PLACED = {"type": "record", "name": "Placed", "fields": [{"name": "order", "type": "long"}]}
MAYBE = {"type": "record", "name": "Any", "fields": [{"name": "at", "type": ["null", "string"]}]}


class Schemas:
    """A route with a schema, of which one type has another."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "placed.avsc").write_text(json.dumps(PLACED))
        (self.folder / "any.avsc").write_text(json.dumps(MAYBE))
        self.use({"order": self.folder / "any.avsc", ("order", "OrderPlaced"): self.folder / "placed.avsc"})

    def use(self, schemas):
        settings = override_settings(WALBROOK_OUTBOX={"SCHEMAS": schemas})
        settings.enable()
        self.addCleanup(settings.disable)


class PublishTest(Schemas, TransactionTestCase):
    def test_an_event_is_there_if_its_transaction_commits(self):
        with transaction.atomic():
            event = publish("order", 7, "OrderPlaced", {"order": 7})
        row = Event.objects.get()
        self.assertEqual(
            (row.id, row.aggregatetype, row.aggregateid, row.type, row.payload),
            (event.id, "order", "7", "OrderPlaced", {"order": 7}),
        )
        self.assertLess(
            abs(row.created_at - datetime.datetime.now(datetime.UTC)), datetime.timedelta(minutes=1)
        )

    def test_an_event_goes_with_its_transaction(self):
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            publish("order", 7, "OrderPlaced", {"order": 7})
            raise ZeroDivisionError
        self.assertFalse(Event.objects.exists())

    def test_an_event_goes_with_its_savepoint(self):
        with transaction.atomic():
            publish("order", 6, "OrderPlaced", {"order": 6})
            with self.assertRaises(ZeroDivisionError), transaction.atomic():
                publish("order", 7, "OrderPlaced", {"order": 7})
                raise ZeroDivisionError
        self.assertEqual([event.aggregateid for event in Event.objects.all()], ["6"])

    def test_outside_of_a_transaction_nothing_is_published(self):
        with self.assertRaisesRegex(OutsideTransaction, "Put transaction.atomic"):
            publish("order", 7, "OrderPlaced", {"order": 7})
        with self.assertRaises(OutsideTransaction):
            Event.objects.bulk_create(
                [Event(aggregatetype="order", type="OrderPlaced", payload={"order": 7})]
            )
        self.assertFalse(Event.objects.exists())

    def test_a_misfit_rolls_back_what_it_tells_of(self):
        with self.assertRaisesRegex(PayloadError, "^OrderPlaced of order: payload.order is missing"):
            with transaction.atomic():
                publish("order", 6, "OrderPlaced", {"order": 6})
                publish("order", 7, "OrderPlaced", {})
        self.assertFalse(Event.objects.exists())


class RowTest(Schemas, TestCase):
    def test_rows_never_change(self):
        event = publish("order", 7, "OrderPlaced", {"order": 7})
        again = Event.objects.get()
        for attempt in [
            event.save,
            again.save,
            lambda: Event.objects.update(type="x"),
            lambda: Event.objects.bulk_update([again], ["type"]),
            lambda: Event.objects.bulk_create(
                [again], update_conflicts=True, unique_fields=["id"], update_fields=["type"]
            ),
            lambda: Event.objects.update_or_create(id=event.id, defaults={"type": "x"}),
        ]:
            with self.assertRaises(Unchangeable), transaction.atomic():
                attempt()
        # Nor does a new row with the same id take its place.
        with self.assertRaisesRegex(Exception, "duplicate key"), transaction.atomic():
            Event(id=event.id, aggregatetype="order", type="x", payload={}).save()
        self.assertEqual(Event.objects.get().type, "OrderPlaced")

    def test_every_way_in_is_checked(self):
        bad = {"aggregatetype": "order", "aggregateid": "1", "type": "OrderPlaced", "payload": {"order": "x"}}
        for attempt in [
            lambda: publish("order", 1, "OrderPlaced", {"order": "x"}),
            lambda: Event(**bad).save(),
            lambda: Event.objects.create(**bad),
            lambda: Event.objects.bulk_create([Event(**bad)]),
            lambda: async_to_sync(Event.objects.all().abulk_create)([Event(**bad)]),
        ]:
            with self.assertRaises(PayloadError):
                attempt()
        good = bad | {"payload": {"order": 1}}
        Event.objects.bulk_create([Event(**good)])
        async_to_sync(Event.objects.all().abulk_create)([Event(**good)])
        self.assertEqual(Event.objects.count(), 2)

    def test_the_schema_of_a_type_goes_before_that_of_its_route(self):
        publish("order", 1, "OrderPaid", {"at": None})
        with self.assertRaises(PayloadError):
            publish("order", 1, "OrderPaid", {"order": 1})
        # Without a schema, or as a tombstone, all goes.
        publish("stock", 1, "Counted", ["anything", 1.5])
        publish("order", 1, "OrderForgotten", None)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM walbrook_outbox_event WHERE payload IS NULL")
            self.assertEqual(cursor.fetchone(), (1,))

    def test_routes_are_parts_of_topics(self):
        for route in ["", "a b", "ü", "x/y", "x" * 201]:
            with self.subTest(route=route), self.assertRaisesRegex(ValueError, "topic"):
                publish(route, 1, "T", {})

    def test_python_values_lose_nothing(self):
        moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=datetime.UTC)
        value = [moment, moment.date(), decimal.Decimal("1.50"), uuid.UUID(int=1), b"\xff"]
        publish("stock", 1, "Counted", value)
        self.assertEqual(
            Event.objects.get().payload,
            ["2026-01-02T03:04:05.123456+00:00", "2026-01-02", "1.50", str(uuid.UUID(int=1)), "/w=="],
        )

    def test_the_only_index_is_the_key(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'walbrook_outbox_event'")
            indexes = [row[0] for row in cursor.fetchall()]
        self.assertEqual(len(indexes), 1, indexes)

    def test_ids_sort_by_time(self):
        # Also when the clock stands still, or goes back.
        now = time.time_ns()
        with mock.patch("time.time_ns", side_effect=[now, now, now - 10**9, now, now - 1]):
            ids = [time_ordered_uuid() for _ in range(5)]
        ids += [time_ordered_uuid() for _ in range(1_000)]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual({(it.version, it.variant) for it in ids}, {(7, uuid.RFC_4122)})
        self.assertLess(abs((ids[-1].int >> 80) / 1000 - time.time()), 60)


class PurgeTest(TestCase):
    def test_old_rows_go(self):
        for age in ["1 hour", "3 days", "8 days"]:
            event = publish("stock", 1, age, {})
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE walbrook_outbox_event SET created_at = now() - %s::interval WHERE id = %s",
                    [age, event.id],
                )
        for age, left in [("7d", 2), ("49h", 1), ("90m", 1), ("59m", 0)]:
            call_command("outbox_purge", "--older-than", age, stdout=io.StringIO())
            self.assertEqual(Event.objects.count(), left, age)

    def test_an_age_has_a_unit(self):
        for age in ["7", "d", "-1d", "1w"]:
            with self.subTest(age=age), self.assertRaisesRegex(CommandError, "is no age|expected one"):
                call_command("outbox_purge", "--older-than", age)


class SchemaCheckTest(Schemas, SimpleTestCase):
    def ids(self, schemas):
        self.use(schemas)
        return [found.id for found in checks.check_schemas(None)]

    def test_files_that_are_missing_or_no_schemas_are_errors(self):
        good, broken, missing = (
            self.folder / name for name in ["placed.avsc", "broken.avsc", "missing.avsc"]
        )
        broken.write_text("{")
        self.assertEqual(self.ids({}), [])
        self.assertEqual(self.ids({"order": good, ("order", "x"): str(good)}), [])
        self.assertEqual(self.ids({"order": missing, "payment": broken}), 2 * ["walbrook_outbox.E002"])
        self.assertEqual(self.ids({("order", "x", "y"): good}), ["walbrook_outbox.E001"])
        with self.assertRaisesRegex(SystemCheckError, "is no key|has the key"):
            call_command("check")

    def test_without_its_file_nothing_is_let_through(self):
        self.use({"order": self.folder / "missing.avsc"})
        with self.assertRaisesRegex(ImproperlyConfigured, "cannot be read"):
            from walbrook_outbox import payloads

            payloads.check("order", "OrderPlaced", {})


class PublicationCheckTest(TestCase):
    def ids(self, *statements):
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        return [found.id for found in checks.check_publication(None, databases=["default"])]

    def test_it_wants_a_publication_with_inserts(self):
        table = "walbrook_outbox_event"
        self.assertEqual(self.ids(), ["walbrook_outbox.W001"])
        create = f"CREATE PUBLICATION one FOR TABLE {table} WITH (publish = 'update, delete')"
        self.assertEqual(self.ids(create), ["walbrook_outbox.W002"])
        self.assertEqual(self.ids("ALTER PUBLICATION one SET (publish = 'insert')"), [])
        # Any one is enough, also one that does not name the table.
        self.assertEqual(self.ids("DROP PUBLICATION one"), ["walbrook_outbox.W001"])
        self.assertEqual(self.ids("CREATE PUBLICATION two FOR TABLES IN SCHEMA public"), [])
        self.assertEqual(self.ids("DROP PUBLICATION two", "CREATE PUBLICATION three FOR ALL TABLES"), [])

    def test_a_database_without_the_table_is_none_of_ours(self):
        self.assertEqual(self.ids("DROP TABLE walbrook_outbox_event"), [])

    def test_check_tells_of_it_when_it_is_asked_about_the_database(self):
        said = io.StringIO()
        call_command("check", databases=["default"], stderr=said)
        self.assertIn("CREATE PUBLICATION walbrook FOR TABLE walbrook_outbox_event", said.getvalue())


class AdminTest(TestCase):
    def test_it_shows_and_changes_nothing(self):
        event = publish("stock", 1, "Counted", {"units": 5})
        self.client.force_login(get_user_model().objects.create_superuser("admin"))
        self.assertContains(self.client.get("/admin/walbrook_outbox/event/"), "Counted")
        page = f"/admin/walbrook_outbox/event/{event.id}"
        self.assertContains(self.client.get(f"{page}/change/"), "units")
        self.assertEqual(self.client.get("/admin/walbrook_outbox/event/add/").status_code, 403)
        self.assertEqual(self.client.post(f"{page}/change/", {"type": "x"}).status_code, 403)
        self.assertEqual(self.client.post(f"{page}/delete/", {"post": "yes"}).status_code, 403)
        self.assertEqual(Event.objects.get().type, "Counted")
