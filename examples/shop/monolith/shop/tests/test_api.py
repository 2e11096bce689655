"""The HTTP API, and the events of each request."""

from unittest import mock

from django.conf import settings
from django.db import OperationalError

from shop.models import Customer, Order, OrderLine, Payment, Product
from walbrook_outbox.models import Event

from .base import ShopTest


class ApiTest(ShopTest):
    def test_an_order_from_its_placing_to_its_delivery(self):
        lines = [{"product": self.tea.pk, "quantity": 2}, {"product": self.lamp.pk, "quantity": 1}]
        placed = self.ask("POST", "orders", {"customer": self.customer.pk, "lines": lines}, 201)
        order, key = placed["order"], str(placed["order"])
        self.assertEqual(placed["total"], "89.00")
        payment = self.ask("POST", f"orders/{order}/pay", {"method": "transfer"})["payment"]
        self.ask("POST", f"orders/{order}/ship", {})
        self.assertEqual(
            self.published(),
            [
                ("order", key, "OrderPlaced"),
                ("payment", key, "PaymentReceived"),
                ("order", key, "OrderPaid"),
                ("order", key, "OrderShipped"),
            ],
        )
        payloads = dict(Event.objects.values_list("type", "payload"))
        common = {"order": order, "customer": str(self.customer.pk), "total": "89.00", "note": None}
        self.assertEqual(payloads["OrderPlaced"], common | {"status": "new", "lines": lines})
        self.assertEqual(payloads["OrderPaid"], common | {"status": "paid", "lines": []})
        self.assertEqual(payloads["OrderShipped"], common | {"status": "shipped", "lines": []})
        self.assertEqual(
            payloads["PaymentReceived"],
            {
                "payment": payment,
                "order": order,
                "customer": str(self.customer.pk),
                "amount": "89.00",
                "method": "transfer",
            },
        )

    def test_an_order_that_is_cancelled_and_deleted(self):
        order = self.order((self.tea, 3))
        self.ask("DELETE", f"orders/{order}", status=409)
        self.ask("POST", f"orders/{order}/cancel", {})
        cancelled = Event.objects.get(type="OrderCancelled").payload
        self.assertEqual(cancelled["status"], "cancelled")
        self.assertEqual(cancelled["lines"], [{"product": self.tea.pk, "quantity": 3}])
        self.ask("DELETE", f"orders/{order}", status=204)
        self.assertFalse(Order.objects.exists() or OrderLine.objects.exists())
        self.ask("DELETE", f"orders/{order}", status=404)
        self.assertEqual(len(self.published()), 2)

    def test_what_is_not_possible_in_a_state_publishes_nothing(self):
        order = self.order((self.tea, 1))
        self.ask("POST", f"orders/{order}/ship", {}, 409)
        self.ask("POST", f"orders/{order}/pay", {"method": "card"})
        before = self.published()
        self.ask("POST", f"orders/{order}/pay", {"method": "card"}, 409)
        sentence = self.ask("POST", f"orders/{order}/cancel", {}, 409)["error"]
        self.assertEqual(sentence, f"order {order} is paid; only one that is new can be cancelled")
        self.assertEqual(self.published(), before)
        self.assertEqual(Payment.objects.count(), 1)

    def test_a_stolen_card_leaves_nothing_behind(self):
        order = self.order((self.tea, 1))
        self.ask("POST", f"orders/{order}/pay", {"method": "stolen card"}, 402)
        self.assertEqual([event for _, _, event in self.published()], ["OrderPlaced"])
        self.assertEqual(Order.objects.get().status, "new")
        self.assertFalse(Payment.objects.exists())
        self.ask("POST", f"orders/{order}/pay", {"method": "card"})

    def test_an_event_that_does_not_fit_takes_the_order_with_it(self):
        with mock.patch("shop.services.lines_of", lambda order: [{"product": "tea", "quantity": 1}]):
            with self.assertRaisesRegex(ValueError, r"payload.lines\[0\].product is a string"):
                self.order((self.tea, 1))
        self.assertFalse(Order.objects.exists() or Event.objects.exists())

    def test_orders_that_make_no_sense(self):
        tea = {"product": self.tea.pk, "quantity": 1}
        for lines, status in [
            (None, 400),
            ([], 400),
            ([tea] * 101, 400),
            ([tea, tea], 400),
            ([5], 400),
            ([tea | {"quantity": 0}], 400),
            ([tea | {"quantity": 1.5}], 400),
            ([tea | {"quantity": True}], 400),
            ([tea | {"quantity": 1_001}], 400),
            ([tea | {"product": 2**63}], 400),
            ([tea | {"product": 2**63 - 1}], 404),
        ]:
            with self.subTest(lines=lines):
                self.ask("POST", "orders", {"customer": self.customer.pk, "lines": lines}, status)
        self.ask("POST", "orders", {"customer": 2**63 - 1, "lines": [tea]}, 404)
        self.ask("POST", "orders", {"customer": "1", "lines": [tea]}, 400)
        self.ask("POST", "orders", [], 400)
        Product.objects.filter(pk=self.lamp.pk).update(price="99999999.99")
        self.ask(
            "POST",
            "orders",
            {"customer": self.customer.pk, "lines": [{"product": self.lamp.pk, "quantity": 1_000}]},
            400,
        )
        self.assertFalse(Order.objects.exists() or Event.objects.exists())

    def test_customers(self):
        body = {"name": "Würzburg café", "email": "cafe@example.org", "country": "DE"}
        customer = self.ask("POST", "customers", body, 201)["customer"]
        self.assertEqual(Customer.objects.get(pk=customer).name, "Würzburg café")
        self.ask("POST", "customers", body, 409)
        for wrong in [
            {"name": ""},
            {"name": 5},
            {"name": "a\0"},
            {"name": "\ud800"},
            {"name": "x" * 201},
            {"email": "nowhere"},
            {"country": "de"},
            {"country": "DEU"},
            {"country": None},
        ]:
            with self.subTest(wrong=wrong):
                self.ask("POST", "customers", body | {"email": "other@example.org"} | wrong, 400)

    def test_products_change_one_thing_at_a_time(self):
        path = f"products/{self.tea.pk}"
        for price, is_now in [("5.25", "5.25"), (5.1, "5.10"), (0, "0.00"), ("99999999.99", "99999999.99")]:
            self.ask("PATCH", path, {"price": price})
            found = self.ask("GET", "catalog")["products"]
            self.assertEqual(found[0], {"id": self.tea.pk, "name": "Tea", "price": is_now})
        self.ask("PATCH", path, {"name": "Green tea", "description": ""})
        self.assertEqual(self.ask("GET", "catalog")["products"][0]["name"], "Green tea")
        for wrong in [
            {},
            {"stock": 5},
            {"price": "-1"},
            {"price": "1.234"},
            {"price": "NaN"},
            {"price": True},
            {"price": None},
            {"price": "1e9"},
            {"price": []},
            {"name": ""},
            {"name": None},
        ]:
            with self.subTest(wrong=wrong):
                self.ask("PATCH", path, wrong, 400)
        self.ask("PATCH", "products/999999", {"price": "1"}, 404)

    def test_ways_that_are_none(self):
        self.assertEqual(self.ask("GET", "health"), {"release": settings.RELEASE})
        self.ask("GET", "orders", status=405)
        self.ask("POST", "orders/999999/ship", {}, 404)
        order = self.order((self.tea, 1))
        self.ask("POST", f"orders/{order}/pay", {"method": "shells"}, 400)
        self.ask("POST", f"orders/{order}/pay", {"method": ["card"]}, 400)
        with mock.patch("shop.views.services.ship", side_effect=OperationalError):
            self.ask("POST", f"orders/{order}/ship", {}, 503)
