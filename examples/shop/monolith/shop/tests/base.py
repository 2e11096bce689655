import json
from decimal import Decimal

from django.test import TransactionTestCase

from shop.models import Customer, Product
from walbrook_outbox.models import Event


class ShopTest(TransactionTestCase):
    """A customer and two products; requests in JSON; and what was published."""

    def setUp(self):
        self.customer = Customer.objects.create(name="Graz bakery", email="bakery@example.org", country="AT")
        self.tea = Product.objects.create(sku="P1", name="Tea", price=Decimal("4.50"))
        self.lamp = Product.objects.create(sku="P2", name="Lamp", price=Decimal("80.00"))

    def ask(self, method, path, body=None, status=200):
        """The answer, which has that status; what is no success has a sentence."""
        answer = self.client.generic(
            method, f"/api/{path}", json.dumps(body), content_type="application/json"
        )
        self.assertEqual(answer.status_code, status, answer.content)
        found = answer.json() if answer.content else None
        if 400 <= status:
            self.assertEqual(list(found), ["error"])
        return found

    def order(self, *lines, **more):
        """A new order of (product, quantity); its id."""
        lines = [{"product": product.pk, "quantity": quantity} for product, quantity in lines]
        body = {"customer": self.customer.pk, "lines": lines, **more}
        return self.ask("POST", "orders", body, 201)["order"]

    def published(self):
        """(route, key, type) of each event, in their order."""
        return list(Event.objects.order_by("id").values_list("aggregatetype", "aggregateid", "type"))
