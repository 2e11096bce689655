"""What each service has to have by the monolith's own tables, and what it has.

Each service is judged in two ways: by a number that is quickly asked, for the page, and by all that it
has, once nobody acts.
"""

import collections
import json

TABLES = ["shop_customer", "shop_product", "shop_order", "shop_orderline", "shop_payment"]

# What came of the services, or what should: by service a number for people, and all of it.
Account = collections.namedtuple("Account", "number everything")


def truth(connection, inventories):
    """By the monolith's tables. All inventories do the same, each with another client."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL TimeZone TO 'UTC'")
        pairs = lambda sql: dict(connection.execute(sql).fetchall())
        return account(
            reserved=dict.fromkeys(inventories, pairs(RESERVED)),
            products={key: [name, price] for key, name, price in connection.execute(PRODUCTS).fetchall()},
            mails=pairs(MAILS),
            invoices={key: tuple(rest) for key, *rest in connection.execute(INVOICES).fetchall()},
            revenue=pairs(REVENUE),
            rows={table: connection.execute(COUNT.format(table)).fetchone()[0] for table in TABLES},
        )


def account(reserved, products, mails, invoices, revenue, rows):
    """By service, from what it is about."""
    return {
        **{name: Account(sum(units.values()), units) for name, units in reserved.items()},
        "search": Account(len(products), products),
        "mailer": Account(sum(mails.values()), mails),
        "billing": Account(len(invoices), invoices),
        "analytics": Account(sum(map(int, revenue.values())) // 100, revenue),
        "warehouse": Account(sum(rows.values()), rows),
    }


def seen(states, inventories, watch, copy):
    """By the services: their own word, the topics that they write, or the second database."""
    invoices = {}
    for key, text in list(watch.invoices.items()):
        invoice = json.loads(text)
        invoices[key] = (str(invoice["order"]), invoice["amount"], invoice["customer"])
    return account(
        reserved={name: states.get(name, {}).get("reserved", {}) for name in inventories},
        products=states.get("search", {}).get("products", {}),
        mails=states.get("mailer", {}).get("mails", {}),
        invoices=invoices,
        revenue={key: cents for key, cents in list(watch.revenue.items()) if cents != "0"},
        rows={table: count(copy, table) for table in TABLES},
    )


def differences(wanted, found):
    """Each service that has not what it has to have, with the first thing that differs."""
    for name, (_, all_wanted) in wanted.items():
        all_found = found[name].everything
        for key in sorted(all_wanted.keys() | all_found.keys()):
            if all_wanted.get(key) != all_found.get(key):
                yield f"{name}: {key} is {all_found.get(key)}, and should be {all_wanted.get(key)}"
                break


def event_differences(connection, watch):
    """Events that are not in Kafka, in their topic and by their key, or that are in no table."""
    wanted = {key: (f"shop.event.{route}", about) for key, route, about in connection.execute(EVENTS).fetchall()}
    found = dict(watch.events)
    for key in wanted.keys() | found.keys():
        if wanted.get(key) != found.get(key):
            yield f"outbox: event {key} is {found.get(key)} in Kafka, and should be {wanted.get(key)}"


def table_differences(original, copy):
    """Rows that are not the same in the second database, with all of their columns."""
    for table in TABLES:
        wanted, found = rows(original, table), rows(copy, table)
        columns = columns_of(original, table), columns_of(copy, table)
        if columns[0] != columns[1]:
            yield f"warehouse: {table}: its columns are {columns[1]}, and should be {columns[0]}"
        elif wanted != found:
            missing, more = len(wanted - found), len(found - wanted)
            example = next(iter(wanted ^ found))
            yield f"warehouse: {table}: {missing} rows are missing, {more} are wrong, such as {example}"


def rows(connection, table):
    """All of a table, as text, whatever the order of its columns."""
    names = columns_of(connection, table)
    columns = ", ".join(f'"{name}"::text' for name in names)
    connection.execute("SET TimeZone TO 'UTC'")
    found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    return {tuple(zip(names, row)) for row in found}


def columns_of(connection, table):
    return [name for (name,) in connection.execute(COLUMNS, (table,)).fetchall()]


def count(connection, table):
    """The sink makes its tables when it gets their first rows."""
    if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()[0] is None:
        return 0
    return connection.execute(COUNT.format(table)).fetchone()[0]


COUNT = "SELECT count(*) FROM {}"

COLUMNS = """
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND 0 < attnum AND NOT attisdropped ORDER BY attname
"""

RESERVED = """
    SELECT product_id::text, sum(quantity)::int FROM shop_orderline JOIN shop_order ON shop_order.id = order_id
    WHERE status <> 'cancelled' GROUP BY product_id
"""

PRODUCTS = "SELECT id::text, name, price::text FROM shop_product"

MAILS = """
    SELECT type, count(*) FROM walbrook_outbox_event
    WHERE type IN ('OrderPlaced', 'OrderShipped', 'OrderCancelled', 'PaymentReceived') GROUP BY type
"""

INVOICES = """
    SELECT shop_payment.id::text, order_id::text, amount::text, customer_id::text
    FROM shop_payment JOIN shop_order ON shop_order.id = order_id
"""

REVENUE = """
    SELECT to_char(placed_at, 'YYYY-MM-DD"T"HH24:MI') || ' ' || country, (sum(total) * 100)::bigint::text
    FROM shop_order JOIN shop_customer ON shop_customer.id = customer_id
    WHERE status <> 'cancelled' GROUP BY 1
"""

EVENTS = "SELECT id::text, aggregatetype, aggregateid FROM walbrook_outbox_event"

KEPT = """
    SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots
    WHERE slot_name = 'shop'
"""
