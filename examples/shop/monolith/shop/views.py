"""The HTTP API: reads requests, calls the services, writes answers."""

import functools
import json
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from . import services
from .models import Customer, Payment, Product
from .services import Invalid, Missing, PaymentRefused, ShopError, WrongState

STATUS = {Invalid: 400, PaymentRefused: 402, Missing: 404, WrongState: 409}
BIGINT_MAX = 2**63 - 1


def api(method):
    """A view of one method, whose expected troubles are sentences."""

    def decorate(view):
        @csrf_exempt
        @functools.wraps(view)
        def answer(request, **ids):
            if request.method != method:
                return trouble(405, f"this wants {method}", Allow=method)
            try:
                return view(request, **ids)
            except ShopError as error:
                return trouble(STATUS[type(error)], str(error))
            except (OperationalError, InterfaceError):
                return trouble(503, "the database does not answer; try again")

        return answer

    return decorate


def trouble(status, sentence, **headers):
    return JsonResponse({"error": sentence}, status=status, headers=headers)


@api("GET")
def health(request):
    return JsonResponse({"release": settings.RELEASE})


@api("GET")
def catalog(request):
    rows = Product.objects.order_by("id")
    return JsonResponse({"products": [{"id": it.pk, "name": it.name, "price": str(it.price)} for it in rows]})


@api("POST")
def customers(request):
    body = body_of(request)
    customer = Customer(**{name: text_of(body, name) for name in ("name", "email", "country")})
    try:
        validated(customer).save()
    except IntegrityError:
        raise WrongState("there is a customer with this e-mail address") from None
    return JsonResponse({"customer": customer.pk}, status=201)


@api("POST")
def orders(request):
    body = body_of(request)
    channel = body.get("channel", "web")
    if channel not in services.CHANNELS:
        raise Invalid(f"the channel is one of {', '.join(services.CHANNELS)}")
    order = services.place_order(id_of(body.get("customer"), "customer"), quantities_of(body), channel)
    return JsonResponse({"order": order.pk, "total": f"{order.total:.2f}"}, status=201)


@api("DELETE")
def order(request, order_id):
    services.delete(order_id)
    return HttpResponse(status=204)


@api("POST")
def pay(request, order_id):
    method = body_of(request).get("method")
    if method not in [*Payment.Method.values, services.STOLEN_CARD]:
        raise Invalid(f"the method is one of {', '.join(Payment.Method.values)}")
    return JsonResponse({"payment": services.pay(order_id, method).pk})


@api("POST")
def ship(request, order_id):
    services.ship(order_id)
    return JsonResponse({"order": order_id})


@api("POST")
def cancel(request, order_id):
    services.cancel(order_id)
    return JsonResponse({"order": order_id})


@api("PATCH")
def product(request, product_id):
    body = body_of(request)
    changes = {name: text_of(body, name) for name in ("name", "description") if name in body}
    if "price" in body:
        changes["price"] = price_of(body)
    if not changes:
        raise Invalid("a change has a price, a name or a description")
    product = Product.objects.filter(pk=product_id).first()
    if product is None:
        raise Missing(f"there is no product {product_id}")
    for name, value in changes.items():
        setattr(product, name, value)
    # Only these columns, so that two changes at once do not undo each other.
    validated(product).save(update_fields=[*changes, "updated_at"])
    return JsonResponse({"product": product_id})


def body_of(request):
    try:
        # A price is a decimal, however it is written.
        body = json.loads(request.body, parse_float=Decimal)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Invalid("the body is a JSON object")
    return body


def text_of(body, name):
    text = body.get(name)
    # PostgreSQL's text has no NUL; half a surrogate pair is no character.
    if not isinstance(text, str) or "\0" in text or any("\ud800" <= it <= "\udfff" for it in text):
        raise Invalid(f"{name} is a text")
    return text


def price_of(body):
    price = body["price"]
    if type(price) not in (str, int, Decimal):
        raise Invalid('a price is a number, or its text: "12.50"')
    return price


def quantities_of(body):
    """The lines as {product id: quantity}."""
    lines = body.get("lines")
    if not isinstance(lines, list) or not 1 <= len(lines) <= services.LINES_MAX:
        raise Invalid(f"an order has 1 to {services.LINES_MAX} lines")
    quantities = {}
    for line in lines:
        if not isinstance(line, dict):
            raise Invalid('a line is {"product": id, "quantity": n}')
        product, quantity = id_of(line.get("product"), "product"), line.get("quantity")
        if type(quantity) is not int or not 1 <= quantity <= services.QUANTITY_MAX:
            raise Invalid(f"a quantity is a number from 1 to {services.QUANTITY_MAX}")
        if product in quantities:
            raise Invalid(f"product {product} is in two lines")
        quantities[product] = quantity
    return quantities


def id_of(value, noun):
    if type(value) is not int or not 1 <= value <= BIGINT_MAX:
        raise Invalid(f"the {noun} is the number of one")
    return value


def validated(row):
    """The row, if its fields can be what they are."""
    try:
        row.clean_fields()
    except ValidationError as error:
        field, (sentence, *_) = next(iter(error.message_dict.items()))
        raise Invalid(f"{field}: {sentence}") from None
    return row
