"""The shop's customers: they do what people do in a shop, over its HTTP API."""

import contextlib
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
import uuid

COUNTRIES = ["AT", "CZ", "DE", "DK", "FR", "GB", "IT", "NL", "PL", "SE"]
FIRST = ["Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Leslie", "Margaret", "Radia", "Tony"]
LAST = ["Amber", "Brook", "Cedar", "Dale", "Elder", "Field", "Grove", "Hill", "Ivy", "Juniper"]


class Customers(threading.Thread):
    """They act `rate` times a second, and wait while they are held at the door."""

    def __init__(self, url, rate, seed=None):
        super().__init__(name="customers", daemon=True)
        self.url = url
        self.rate = rate
        self.random = random.Random(seed)
        self.error = None
        self.acted = 0
        self.refused = 0
        self.open = threading.Event()
        self.open.set()
        self.acting = threading.Lock()
        # Orders that are to come at once.
        self.rush = 0
        self.hurried = threading.Event()
        self.products = []
        self.people = []
        # Orders that are new, paid, cancelled, as far as they know.
        self.orders = {"new": [], "paid": [], "cancelled": []}

    def run(self):
        try:
            self.live()
        except Exception as error:
            self.error = error

    def live(self):
        due = time.monotonic()
        while True:
            self.open.wait()
            with self.acting:
                if self.open.is_set():
                    self.act()
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            # A rush is as fast as the shop can be.
            self.hurried.wait(max(0, due - time.monotonic()))

    def hurry(self, orders):
        """So many orders as fast as the shop can take them."""
        with self.acting:
            self.rush += orders
            self.hurried.set()

    @contextlib.contextmanager
    def held(self):
        """Nobody acts meanwhile."""
        self.open.clear()
        with self.acting:
            pass
        try:
            yield
        finally:
            self.open.set()

    def act(self):
        """One of them does something; a shop that does not answer is tried again later."""
        if not self.products:
            actions, weights = [self.look], [1]
        elif not self.people:
            actions, weights = [self.register], [1]
        else:
            actions = [self.register, self.place, self.pay, self.fail, self.ship, self.cancel, self.delete, self.reprice]
            weights = [0, 1, 0, 0, 0, 0, 0, 0] if self.rush else [6, 40, 22, 5, 12, 7, 3, 5]
        try:
            self.random.choices(actions, weights)[0]()
            self.acted += 1
        except urllib.error.HTTPError as error:
            # 402 and 409 are answers.
            self.refused += 1
            if error.code not in (402, 404, 409):
                raise
        except (OSError, http.client.HTTPException):
            # The latter is half an answer, of one that was killed.
            time.sleep(0.2)

    def look(self):
        self.products = [product["id"] for product in self.ask("GET", "/api/catalog")["products"]]

    def register(self):
        name = f"{self.random.choice(FIRST)} {self.random.choice(LAST)}"
        email = f"{name.replace(' ', '.').lower()}.{uuid.uuid4().hex[:8]}@example.org"
        person = {"name": name, "email": email, "country": self.random.choice(COUNTRIES)}
        self.people.append(self.ask("POST", "/api/customers", person)["customer"])

    def place(self):
        things = self.random.sample(self.products, self.random.randint(1, 4))
        lines = [{"product": thing, "quantity": self.random.randint(1, 5)} for thing in things]
        order = {"customer": self.random.choice(self.people), "lines": lines}
        self.orders["new"].append(self.ask("POST", "/api/orders", order)["order"])
        self.rush = max(0, self.rush - 1)
        if not self.rush:
            self.hurried.clear()

    def pay(self):
        if order := self.take("new"):
            self.ask("POST", f"/api/orders/{order}/pay", {"method": self.random.choice(["card", "transfer"])})
            self.orders["paid"].append(order)

    def fail(self):
        """The bank refuses when the events are in the outbox already: nobody may see them."""
        if self.orders["new"]:
            order = self.random.choice(self.orders["new"])
            self.ask("POST", f"/api/orders/{order}/pay", {"method": "stolen card"})

    def ship(self):
        if order := self.take("paid"):
            self.ask("POST", f"/api/orders/{order}/ship", {})

    def cancel(self):
        if order := self.take("new"):
            self.ask("POST", f"/api/orders/{order}/cancel", {})
            self.orders["cancelled"].append(order)

    def delete(self):
        if order := self.take("cancelled"):
            self.ask("DELETE", f"/api/orders/{order}")

    def reprice(self):
        price = f"{self.random.randint(100, 9999) / 100:.2f}"
        self.ask("PATCH", f"/api/products/{self.random.choice(self.products)}", {"price": price})

    def take(self, state):
        orders = self.orders[state]
        return orders.pop(self.random.randrange(len(orders))) if orders else None

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")
