import random
from decimal import Decimal

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from shop import catalogue, services
from shop.models import Customer, Payment, Product


class Command(BaseCommand):
    help = "Fills the shop with products and customers, where it has none; with --orders also with orders."

    def add_arguments(self, parser):
        parser.add_argument("--orders", type=int, default=0, help="so many orders (each run makes new ones)")

    def handle(self, *, orders, **options):
        try:
            self.fill()
        except OperationalError as error:
            raise CommandError(f"no database: {str(error).strip().splitlines()[0]}") from None
        except ProgrammingError as error:
            if "does not exist" not in str(error):
                raise
            raise CommandError("the tables are missing: run `manage.py migrate` first") from None
        for _ in range(orders):
            self.order()
        counts = f"{Product.objects.count()} products, {Customer.objects.count()} customers"
        self.stdout.write(f"shop: {counts}, {orders} new orders")

    def fill(self):
        # What is there already stays as it is.
        Product.objects.bulk_create(
            [
                Product(sku=sku, name=name, description=description, price=Decimal(cents) / 100, stock=500)
                for sku, name, description, cents in catalogue.products()
            ],
            ignore_conflicts=True,
        )
        Customer.objects.bulk_create(
            [
                Customer(name=name, email=email, country=country)
                for name, email, country in catalogue.customers()
            ],
            ignore_conflicts=True,
        )
        users = get_user_model().objects
        if settings.DEMO and not users.filter(username="admin").exists():
            users.create_superuser("admin", "admin@example.org", "admin")
        self.random = random.Random(1)
        self.customers = list(Customer.objects.order_by("id").values_list("id", flat=True))
        self.products = list(Product.objects.order_by("id").values_list("id", flat=True))

    def order(self):
        """An order by the same functions as the API's, so that it has its events."""
        draw = self.random
        wanted = draw.sample(self.products, draw.randint(1, 4))
        order = services.place_order(draw.choice(self.customers), {it: draw.randint(1, 5) for it in wanted})
        if draw.random() < 0.1:
            services.cancel(order.pk)
        elif draw.random() < 0.8:
            services.pay(order.pk, draw.choice(Payment.Method.values))
            if draw.random() < 0.5:
                services.ship(order.pk)
