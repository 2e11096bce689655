"""The shop's tables. walbrook publishes their rows as they are; what they mean is told by events."""

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone


class Customer(models.Model):
    name = models.CharField(max_length=200)
    email = models.EmailField(unique=True)
    country = models.CharField(
        max_length=2, validators=[RegexValidator(r"\A[A-Z]{2}\Z", "Two capital letters, as in DE.")]
    )
    joined_at = models.DateTimeField(default=timezone.now)

    def __str__(self):
        return self.name


class Product(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, validators=[MinValueValidator(0)])
    # What is on the shelf. What of it is reserved is the business of the service "inventory".
    stock = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self):
        return self.name


class Order(models.Model):
    class Status(models.TextChoices):
        NEW = "new"
        PAID = "paid"
        SHIPPED = "shipped"
        CANCELLED = "cancelled"

    customer = models.ForeignKey(Customer, models.PROTECT)
    status = models.CharField(max_length=20, choices=Status, default=Status.NEW)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    placed_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    # In a real shop this is a commit, not an "if": see settings.RELEASE. The default is the database's,
    # so that release 1, which does not know the column, goes on placing orders when it is there.
    if settings.RELEASE >= 2:
        channel = models.CharField(max_length=20, db_default="web")

    def __str__(self):
        return f"Order {self.pk}"


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveIntegerField()
    # The product's price at that time.
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "product"], name="shop_orderline_once")]


class Payment(models.Model):
    class Method(models.TextChoices):
        CARD = "card"
        TRANSFER = "transfer"

    order = models.OneToOneField(Order, models.PROTECT)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    method = models.CharField(max_length=20, choices=Method)
    paid_at = models.DateTimeField(default=timezone.now)

    def __str__(self):
        return f"Payment {self.pk}"
