"""Release 2 brings a column while release 1 still runs. `SHOP_RELEASE=1` and `SHOP_RELEASE=2` test either."""

import io

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from shop.models import Order

from .base import ShopTest


class ReleaseTest(ShopTest):
    def channels(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, channel FROM shop_order")
            return dict(cursor.fetchall())

    def test_the_column_comes_under_running_orders(self):
        """The code of release 1, before and after; that of release 2, after."""
        call_command("migrate", "shop", "0001", verbosity=0)
        self.addCleanup(call_command, "migrate", "shop", verbosity=0)
        before = self.order((self.tea, 1)) if settings.RELEASE == 1 else None
        call_command("migrate", "shop", "0002", verbosity=0)
        after = self.order((self.tea, 1), channel="phone")
        self.ask("POST", f"orders/{after}/pay", {"method": "card"})
        # Release 1 knows no channels, so for its orders the database says it.
        expected = {before: "web", after: "web"} if settings.RELEASE == 1 else {after: "phone"}
        self.assertEqual(self.channels(), expected)

    def test_an_order_without_a_channel_is_from_the_web(self):
        order = self.order((self.tea, 1))
        self.assertEqual(self.channels(), {order: "web"})
        self.ask("POST", "orders", {"customer": self.customer.pk, "lines": [], "channel": "fax"}, 400)

    def test_the_model_has_the_column_of_its_release(self):
        columns = [field.name for field in Order._meta.fields]
        self.assertEqual("channel" in columns, 2 <= settings.RELEASE)

    def test_migrations_are_those_of_release_2(self):
        said = io.StringIO()
        try:
            call_command("makemigrations", check=True, dry_run=True, stdout=said)
            missing = False
        except SystemExit:
            missing = True
        self.assertEqual(missing, settings.RELEASE == 1, said.getvalue())
