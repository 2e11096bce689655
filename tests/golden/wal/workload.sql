-- The scenarios behind the golden frames. Each begins with "-- @ NAME OPTION,OPTION": `binary` reads
-- the slot in binary mode, `root` publishes through the partition root, `where:…` is a row filter.
-- What stands before "-- @@" is done before the slot exists; the rest is what the frames show.

-- @ rows_binary binary
CREATE TABLE public.everything (
  id bigint PRIMARY KEY, b boolean, s smallint, i integer, n numeric(12,2), f double precision,
  v varchar(40), y bytea, u uuid, d date, t timestamptz, j jsonb, a integer[]);
-- @@
INSERT INTO public.everything VALUES (1, true, -2, 3, 1234.50, 0.25, 'naïve', '\x00ff',
  '9a1c0a3e-5a2f-4b55-8a6e-0123456789ab', '2024-02-29', '2024-02-29 12:00:00.000001+00', '{"k": [1, null]}', '{1,NULL,3}');
INSERT INTO public.everything (id) VALUES (2), (3);
UPDATE public.everything SET v = '' WHERE id = 1;
UPDATE public.everything SET id = 4 WHERE id = 2;
DELETE FROM public.everything WHERE id = 3;

-- @ rows_text
CREATE TABLE public.everything (
  id bigint PRIMARY KEY, b boolean, s smallint, i integer, n numeric(12,2), f double precision,
  v varchar(40), y bytea, u uuid, d date, t timestamptz, j jsonb, a integer[]);
-- @@
INSERT INTO public.everything VALUES (1, true, -2, 3, 1234.50, 0.25, 'naïve', '\x00ff',
  '9a1c0a3e-5a2f-4b55-8a6e-0123456789ab', '2024-02-29', '2024-02-29 12:00:00.000001+00', '{"k": [1, null]}', '{1,NULL,3}');
INSERT INTO public.everything (id) VALUES (2), (3);
UPDATE public.everything SET v = '' WHERE id = 1;
UPDATE public.everything SET id = 4 WHERE id = 2;
DELETE FROM public.everything WHERE id = 3;

-- @ identities binary
CREATE TABLE with_full (id integer, note text);
ALTER TABLE with_full REPLICA IDENTITY FULL;
CREATE TABLE with_index (id integer PRIMARY KEY, code text NOT NULL UNIQUE, area integer NOT NULL);
ALTER TABLE with_index REPLICA IDENTITY USING INDEX with_index_code_key;
CREATE TABLE with_nothing (id integer PRIMARY KEY);
ALTER TABLE with_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE with_default_without_key (id integer);
-- @@
INSERT INTO with_full VALUES (1, NULL);
UPDATE with_full SET note = 'one';
DELETE FROM with_full;
INSERT INTO with_index VALUES (1, 'A', 10);
UPDATE with_index SET area = 11;
UPDATE with_index SET code = 'B';
DELETE FROM with_index;
INSERT INTO with_nothing VALUES (1);
INSERT INTO with_default_without_key VALUES (1);

-- @ toast binary
CREATE TABLE toasted (id integer PRIMARY KEY, body text, n integer);
ALTER TABLE toasted ALTER body SET STORAGE EXTERNAL;
CREATE TABLE toasted_full (id integer, body text, n integer);
ALTER TABLE toasted_full ALTER body SET STORAGE EXTERNAL;
ALTER TABLE toasted_full REPLICA IDENTITY FULL;
INSERT INTO toasted VALUES (1, repeat('x', 2100), 0);
INSERT INTO toasted_full VALUES (1, repeat('y', 2100), 0);
-- @@
UPDATE toasted SET n = 1;
UPDATE toasted SET id = 2;
UPDATE toasted_full SET n = 1;

-- @ row_filter binary,where:n>0
CREATE TABLE filtered (id integer PRIMARY KEY, body text, n integer);
ALTER TABLE filtered ALTER body SET STORAGE EXTERNAL;
ALTER TABLE filtered REPLICA IDENTITY FULL;
INSERT INTO filtered VALUES (1, repeat('x', 2100), 0);
-- @@
UPDATE filtered SET n = 1;
UPDATE filtered SET n = 0;

-- @ truncate binary
CREATE TABLE parent (id serial PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent);
CREATE TABLE other (id integer PRIMARY KEY);
-- @@
TRUNCATE other;
TRUNCATE other, child RESTART IDENTITY;
TRUNCATE parent RESTART IDENTITY CASCADE;
TRUNCATE parent CASCADE;

-- @ logical_messages binary
-- @@
SELECT pg_logical_emit_message(false, 'beside', '');
SELECT pg_logical_emit_message(true, 'outbox', '{"hello": "wörld"}');
SELECT pg_logical_emit_message(true, '', '\x00ff80'::bytea);

-- @ origin binary
CREATE TABLE replicated (id integer PRIMARY KEY);
SELECT pg_replication_origin_create('upstream-ü');
-- @@
SELECT pg_replication_origin_session_setup('upstream-ü');
BEGIN;
SELECT pg_replication_origin_xact_setup('16/B374D848', '2024-02-29 12:00:00+00');
INSERT INTO replicated VALUES (1);
COMMIT;

-- @ types binary
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'ünhappy');
CREATE DOMAIN shop.price AS numeric(10,2) CHECK (value >= 0);
CREATE TYPE shop.point3 AS (x integer, y integer, z integer);
CREATE TABLE shop.goods (id integer PRIMARY KEY, mood shop.mood, price shop.price, moods shop.mood[], place shop.point3,
  acl aclitem, seen pg_catalog.pg_stat_wal);
-- @@
INSERT INTO shop.goods VALUES (1, 'ünhappy', 9.90, '{sad,ok}', '(1,2,3)', NULL, NULL);

-- @ names_and_shapes binary
CREATE SCHEMA "Ünï cödé";
CREATE TABLE "Ünï cödé"."Tä""ble" ("Sp alte" integer PRIMARY KEY, dropped text, twice integer GENERATED ALWAYS AS (2) STORED, kept text);
ALTER TABLE "Ünï cödé"."Tä""ble" DROP COLUMN dropped;
CREATE TABLE empty_shape ();
-- @@
INSERT INTO "Ünï cödé"."Tä""ble" VALUES (1, DEFAULT, 'k');
ALTER TABLE "Ünï cödé"."Tä""ble" ADD COLUMN later varchar(5);
UPDATE "Ünï cödé"."Tä""ble" SET later = 'x';
INSERT INTO empty_shape DEFAULT VALUES;

-- @ partitions binary,root
CREATE TABLE metric (at date, v integer, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
CREATE TABLE metric_2024 PARTITION OF metric FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE metric_2025 PARTITION OF metric FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
-- @@
INSERT INTO metric VALUES ('2024-05-05', 1);
UPDATE metric SET at = '2025-05-05';
TRUNCATE metric;
