-- Names that Avro or Kafka does not allow, and underscores, which the mode avro_unicode takes for its own.
CREATE TABLE odd (id integer PRIMARY KEY, "a-column" text, "1st" text, "größe" text, snake_case text, "姓名" text, "Łódź" text, "😀" text);
CREATE TABLE "order-订单_x" ("编号" integer PRIMARY KEY, "order_id" integer);
CREATE TABLE emptied (id integer);
CREATE PUBLICATION walbrook FOR TABLE odd, "order-订单_x", emptied;
