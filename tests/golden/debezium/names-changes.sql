INSERT INTO odd VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g');
INSERT INTO "order-订单_x" VALUES (1, 2);
UPDATE "order-订单_x" SET order_id = 3;
INSERT INTO emptied VALUES (1);
