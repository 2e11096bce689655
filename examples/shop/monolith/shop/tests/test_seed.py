"""The seed, and the admin of the demonstration."""

import io

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import TestCase, override_settings

from shop.models import Customer, Order, OrderLine, Payment, Product
from walbrook_outbox.models import Event


def seed(*arguments):
    call_command("seed", *arguments, stdout=io.StringIO())


class SeedTest(TestCase):
    def test_it_fills_the_shop_once(self):
        seed()
        Product.objects.filter(sku="P001").update(name="Another name")
        seed()
        self.assertEqual((Product.objects.count(), Customer.objects.count()), (40, 30))
        self.assertTrue(Product.objects.filter(name="Another name").exists())
        self.assertFalse(Event.objects.exists() or get_user_model().objects.exists())

    def test_its_orders_have_their_events(self):
        seed("--orders", "60")
        self.assertEqual(Order.objects.count(), 60)
        placed = Event.objects.filter(type="OrderPlaced")
        self.assertEqual(placed.count(), 60)
        self.assertEqual(sum(len(it.payload["lines"]) for it in placed), OrderLine.objects.count())
        self.assertEqual(Event.objects.filter(type="PaymentReceived").count(), Payment.objects.count())
        for status, event in [("shipped", "OrderShipped"), ("cancelled", "OrderCancelled")]:
            orders = Order.objects.filter(status=status).values_list("id", flat=True)
            keys = Event.objects.filter(type=event).values_list("aggregateid", flat=True)
            self.assertEqual(sorted(map(str, orders)), sorted(keys))
            self.assertTrue(keys)
        # An order's events are in the order of the key, which is that of waiting events.
        for order in Order.objects.filter(status="shipped"):
            types = Event.objects.filter(aggregateid=order.pk, aggregatetype="order").order_by("id")
            self.assertEqual([it.type for it in types], ["OrderPlaced", "OrderPaid", "OrderShipped"])

    def test_the_admin_of_the_demonstration(self):
        with override_settings(DEMO=True):
            seed("--orders", "5")
        self.assertTrue(self.client.login(username="admin", password="admin"))
        for model in ["customer", "product", "order", "payment"]:
            self.assertEqual(self.client.get(f"/admin/shop/{model}/").status_code, 200)
        order = Order.objects.first()
        page = f"/admin/shop/order/{order.pk}/change/"
        self.assertContains(self.client.get(page), order.lines.first().product.name)
        self.assertEqual(self.client.post(page, {"status": "paid"}).status_code, 403)
