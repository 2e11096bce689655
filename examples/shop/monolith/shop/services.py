"""What the shop does. Each function is one transaction, with the events that tell of it.

`publish` writes a row in the same transaction, so there is no moment in which the order is there and
its event is not, or the other way round: nothing here talks to Kafka, and nothing has to be retried.
"""

from decimal import Decimal

from django.conf import settings
from django.db import transaction

from walbrook_outbox import publish

from .models import Customer, Order, OrderLine, Payment, Product

QUANTITY_MAX = 1_000
LINES_MAX = 100
# What numeric(12,2) holds.
TOTAL_MAX = Decimal("9999999999.99")
STOLEN_CARD = "stolen card"
CHANNELS = ["web", "phone"]


class ShopError(Exception):
    """Something that the customer should read."""


class Invalid(ShopError):
    """The request makes no sense."""


class Missing(ShopError):
    """There is no such thing."""


class WrongState(ShopError):
    """Not with this order, not now."""


class PaymentRefused(ShopError):
    """The bank says no."""


@transaction.atomic
def place_order(customer_id, quantities, channel="web"):
    """An order of {product id: quantity}, at today's prices."""
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise Missing(f"there is no customer {customer_id}")
    products = Product.objects.in_bulk(quantities)
    if unknown := sorted(quantities.keys() - products.keys()):
        raise Missing(f"there is no product {unknown[0]}")
    total = sum(products[product].price * quantity for product, quantity in quantities.items())
    if TOTAL_MAX < total:
        raise Invalid("the order is too large; make it several")
    order = Order(customer=customer, total=total)
    if settings.RELEASE >= 2:
        order.channel = channel
    order.save()
    OrderLine.objects.bulk_create(
        OrderLine(order=order, product_id=product, quantity=quantity, price=products[product].price)
        for product, quantity in quantities.items()
    )
    tell("OrderPlaced", order, lines_of(order))
    return order


@transaction.atomic
def pay(order_id, method):
    """Takes the money for a new order."""
    order = locked(order_id, Order.Status.NEW, "paid")
    stolen = method == STOLEN_CARD
    payment = Payment.objects.create(
        order=order, amount=order.total, method=Payment.Method.CARD if stolen else method
    )
    publish(
        "payment",
        # Its key is the order, so that what happens to one order stays in one partition.
        order.pk,
        "PaymentReceived",
        {
            "payment": payment.pk,
            "order": order.pk,
            "customer": str(order.customer_id),
            "amount": f"{payment.amount:.2f}",
            "method": payment.method,
        },
    )
    move(order, Order.Status.PAID, "OrderPaid")
    if stolen:
        # Both events are published, and yet nobody will ever see them: the transaction is rolled back.
        raise PaymentRefused("the bank refuses this card")
    return payment


@transaction.atomic
def ship(order_id):
    """Sends a paid order on its way."""
    move(locked(order_id, Order.Status.PAID, "shipped"), Order.Status.SHIPPED, "OrderShipped")


@transaction.atomic
def cancel(order_id):
    """Cancels an order that is not paid yet."""
    order = locked(order_id, Order.Status.NEW, "cancelled")
    move(order, Order.Status.CANCELLED, "OrderCancelled", lines_of(order))


@transaction.atomic
def delete(order_id):
    """Forgets a cancelled order. There is no event: the rows' own topics tell of it."""
    locked(order_id, Order.Status.CANCELLED, "deleted").delete()


def locked(order_id, status, participle):
    """The order in a state that allows it, which nobody else changes until we are done."""
    order = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None:
        raise Missing(f"there is no order {order_id}")
    if order.status != status:
        raise WrongState(f"order {order_id} is {order.status}; only one that is {status} can be {participle}")
    return order


def move(order, status, event, lines=()):
    order.status = status
    order.save(update_fields=["status", "updated_at"])
    tell(event, order, lines)


def tell(event, order, lines):
    publish(
        "order",
        order.pk,
        event,
        {
            "order": order.pk,
            "customer": str(order.customer_id),
            "status": order.status,
            "total": f"{order.total:.2f}",
            "note": None,
            "lines": list(lines),
        },
    )


def lines_of(order):
    lines = order.lines.order_by("product_id")
    return [{"product": line.product_id, "quantity": line.quantity} for line in lines]
