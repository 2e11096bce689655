"""What the people in the shop do: a stream of transactions, and how many changes each table saw."""

import collections
import datetime
import decimal
import json
import random
import threading
import time
import uuid

NAMES = ["Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Leslie", "Margaret", "Radia", "Tony"]
THINGS = ["tea", "coffee", "a lamp", "walnuts", "ink", "paper", "crème brûlée", "a 🚲 bell"]


class Writer(threading.Thread):
    """Writes `rate` transactions a second until told to stop, or `count` of them."""

    def __init__(self, connection, rate, count=None, seed=None):
        super().__init__(name="writer", daemon=True)
        self.connection = connection
        self.rate = rate
        self.count = count
        self.stopping = threading.Event()
        self.transactions = 0
        self.rolled_back = 0
        # (table, operation) -> committed changes
        self.changes = collections.Counter()
        self.users = []
        self.orders = {}
        self.error = None
        self.random = random.Random(seed)

    def run(self):
        try:
            due = time.monotonic()
            while not self.stopping.is_set() and self.transactions != self.count:
                self.transact()
                self.transactions += 1
                due += 1 / self.rate
                self.stopping.wait(max(0, due - time.monotonic()))
        except Exception as error:
            self.error = error

    def stop(self, at_count=False):
        """Ends it now, or when it has done as many as it was told."""
        if not at_count:
            self.stopping.set()
        self.join()
        if self.error:
            raise self.error

    def transact(self):
        """One transaction; every twentieth is rolled back."""
        self.pending = collections.Counter()
        before = (list(self.users), dict(self.orders))
        rolled_back = self.random.random() < 0.05
        with self.connection.transaction(force_rollback=rolled_back), self.connection.cursor() as cursor:
            self.random.choice(self.possible())(cursor)
        if rolled_back:
            self.users, self.orders = before
            self.rolled_back += 1
        else:
            self.changes += self.pending

    def possible(self):
        actions = [self.register]
        if self.users:
            actions += [self.log_in] + 4 * [self.place]
        if self.orders:
            actions += 3 * [self.pay] + 2 * [self.ship] + [self.cancel]
        return actions

    def register(self, cursor):
        first, last = self.random.choice(NAMES), self.random.choice(NAMES)
        name = f"{first}.{last}.{uuid.uuid4().hex[:8]}".lower()
        cursor.execute(
            "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email,"
            " is_staff, is_active, date_joined)"
            " VALUES ('!', false, %s, %s, %s, %s, false, true, now()) RETURNING id",
            (name, first, last, f"{name}@example.org"),
        )
        self.users.append(cursor.fetchone()[0])
        self.pending["auth_user", "c"] += 1

    def log_in(self, cursor):
        user = self.random.choice(self.users)
        cursor.execute("UPDATE auth_user SET last_login = now() WHERE id = %s", (user,))
        self.pending["auth_user", "u"] += 1

    def place(self, cursor):
        user = self.random.choice(self.users)
        things = self.random.sample(THINGS, self.random.randrange(1, 4))
        total = decimal.Decimal(self.random.randrange(100, 1_000_000)) / 100
        discount = self.random.choice([None, None, decimal.Decimal("2.50")])
        cursor.execute(
            "INSERT INTO shop_order (number, status, total, discount, details, placed_at, customer_id)"
            " VALUES (%s, 'new', %s, %s, %s, now(), %s) RETURNING id",
            (uuid.uuid4(), total, discount, json.dumps({"things": things, "gift": len(things) == 1}), user),
        )
        order = cursor.fetchone()[0]
        self.orders[order] = (user, total)
        self.pending["shop_order", "c"] += 1
        self.tell(cursor, order, "OrderPlaced", "new")

    def pay(self, cursor):
        order = self.random.choice(list(self.orders))
        cursor.execute("UPDATE shop_order SET status = 'paid', paid_at = now() WHERE id = %s", (order,))
        self.pending["shop_order", "u"] += 1
        self.tell(cursor, order, "OrderPaid", "paid")

    def ship(self, cursor):
        order = self.random.choice(list(self.orders))
        cursor.execute(
            "UPDATE shop_order SET status = 'shipped',"
            " details = details || jsonb_build_object('shipped', %s::text) WHERE id = %s",
            (datetime.date.today().isoformat(), order),
        )
        self.pending["shop_order", "u"] += 1
        self.tell(cursor, order, "OrderShipped", "shipped")

    def cancel(self, cursor):
        order = self.random.choice(list(self.orders))
        self.tell(cursor, order, "OrderCancelled", "cancelled", "the customer changed their mind")
        cursor.execute("DELETE FROM shop_order WHERE id = %s", (order,))
        del self.orders[order]
        self.pending["shop_order", "d"] += 1

    def tell(self, cursor, order, kind, status, note=None):
        """Puts an event into the outbox; half of them leave it again at once, as many shops do."""
        user, total = self.orders[order]
        event = uuid.uuid4()
        payload = {"order": order, "customer": str(user), "status": status, "total": f"{total:.2f}"}
        if note:
            payload["note"] = note
        cursor.execute(
            "INSERT INTO shop_outbox (id, aggregatetype, aggregateid, type, payload)"
            " VALUES (%s, 'order', %s, %s, %s)",
            (event, str(order), kind, json.dumps(payload)),
        )
        if self.random.random() < 0.5:
            cursor.execute("DELETE FROM shop_outbox WHERE id = %s", (event,))
        self.pending["shop_outbox", "c"] += 1
