-- What walbrook needs, and all that a DBA does for it.
CREATE ROLE walbrook LOGIN REPLICATION;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO walbrook;
CREATE PUBLICATION shop FOR TABLE
    shop_customer, shop_product, shop_order, shop_orderline, shop_payment, walbrook_outbox_event;
