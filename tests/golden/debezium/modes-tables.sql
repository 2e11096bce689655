-- What Debezium and walbrook read side by side in each of the handling modes: see tests/it/debezium/settings.rs.
CREATE EXTENSION hstore;
CREATE DOMAIN cents AS numeric(10, 2);

CREATE TABLE hstores (id bigint PRIMARY KEY, hstore_1 hstore, array_1 hstore[]);
CREATE TABLE binaries (id bigint PRIMARY KEY, bytea_1 bytea, array_1 bytea[]);

CREATE TABLE required (
    id bigint PRIMARY KEY,
    numeric_1 numeric NOT NULL, numeric_2 numeric(12, 2) NOT NULL, money_1 money NOT NULL, domain_1 cents NOT NULL,
    date_1 date NOT NULL, time_1 time NOT NULL, time_3 time(3) NOT NULL, timetz_1 timetz NOT NULL,
    timestamptz_1 timestamptz NOT NULL, interval_1 interval NOT NULL, hstore_1 hstore NOT NULL, bytea_1 bytea NOT NULL,
    array_1 numeric[] NOT NULL, array_2 date[] NOT NULL, array_3 timestamp[] NOT NULL, array_4 hstore[] NOT NULL,
    array_5 bytea[] NOT NULL
);
CREATE TABLE required_timestamps (
    id bigint PRIMARY KEY, timestamp_1 timestamp NOT NULL, timestamp_2 timestamp(0) NOT NULL, timestamp_3 timestamp(3) NOT NULL
);
CREATE TABLE geometric (
    id bigint PRIMARY KEY, point_1 point NOT NULL, line_1 line NOT NULL, lseg_1 lseg NOT NULL, path_1 path NOT NULL,
    polygon_1 polygon NOT NULL, box_1 box NOT NULL, circle_1 circle NOT NULL
);
CREATE TABLE constants (
    id bigint PRIMARY KEY,
    numeric_1 numeric NOT NULL DEFAULT 1.5, numeric_2 numeric(12, 2) NOT NULL DEFAULT -1.5, domain_1 cents NOT NULL DEFAULT 2,
    date_1 date NOT NULL DEFAULT '2024-02-29', time_1 time NOT NULL DEFAULT '12:34:56.789',
    time_3 time(3) NOT NULL DEFAULT '12:34:56.789', timestamptz_1 timestamptz NOT NULL DEFAULT '2024-02-29 12:34:56.789+00',
    timestamp_1 timestamp NOT NULL DEFAULT '2024-02-29 12:34:56.789', timestamp_3 timestamp(3) NOT NULL DEFAULT '2024-02-29 12:34:56',
    interval_1 interval NOT NULL DEFAULT '1 day 02:03:04', text_1 text NOT NULL DEFAULT 'new', int4_1 integer NOT NULL DEFAULT 7
);

CREATE TABLE keys (
    a numeric(10, 2), b date, c timestamp, d bytea, e time(3), f interval, g money, h numeric, small integer,
    PRIMARY KEY (a, b, c, d, e, f, g, h)
);

-- Values that an update leaves unchanged and does not send.
CREATE TABLE large (
    id integer PRIMARY KEY, small integer, text_1 text, bytea_1 bytea, hstore_1 hstore, jsonb_1 jsonb, numeric_1 numeric,
    array_1 text[], array_2 bytea[], array_3 hstore[], array_4 numeric[], array_5 date[], array_6 timestamp[], array_7 time[],
    array_8 integer[], array_9 bigint[], path_1 path, polygon_1 polygon
);
CREATE TABLE large_required (
    id integer PRIMARY KEY, small integer NOT NULL, text_1 text NOT NULL, hstore_1 hstore NOT NULL, array_1 text[] NOT NULL,
    array_2 integer[] NOT NULL, path_1 path NOT NULL, polygon_1 polygon NOT NULL
);
CREATE TABLE large_required_binaries (
    id integer PRIMARY KEY, small integer NOT NULL, bytea_1 bytea NOT NULL, array_1 bytea[] NOT NULL
);
ALTER TABLE large ALTER text_1 SET STORAGE EXTERNAL, ALTER bytea_1 SET STORAGE EXTERNAL,
    ALTER hstore_1 SET STORAGE EXTERNAL, ALTER jsonb_1 SET STORAGE EXTERNAL, ALTER numeric_1 SET STORAGE EXTERNAL,
    ALTER array_1 SET STORAGE EXTERNAL, ALTER array_2 SET STORAGE EXTERNAL, ALTER array_3 SET STORAGE EXTERNAL,
    ALTER array_4 SET STORAGE EXTERNAL, ALTER array_5 SET STORAGE EXTERNAL, ALTER array_6 SET STORAGE EXTERNAL,
    ALTER array_7 SET STORAGE EXTERNAL, ALTER array_8 SET STORAGE EXTERNAL, ALTER array_9 SET STORAGE EXTERNAL,
    ALTER path_1 SET STORAGE EXTERNAL, ALTER polygon_1 SET STORAGE EXTERNAL;
ALTER TABLE large_required ALTER text_1 SET STORAGE EXTERNAL, ALTER hstore_1 SET STORAGE EXTERNAL,
    ALTER array_1 SET STORAGE EXTERNAL, ALTER array_2 SET STORAGE EXTERNAL, ALTER path_1 SET STORAGE EXTERNAL,
    ALTER polygon_1 SET STORAGE EXTERNAL;
ALTER TABLE large_required_binaries ALTER bytea_1 SET STORAGE EXTERNAL, ALTER array_1 SET STORAGE EXTERNAL;

CREATE TABLE emptied (id integer PRIMARY KEY);

CREATE PUBLICATION walbrook FOR TABLE hstores, binaries, required, required_timestamps, geometric, constants, keys,
    large, large_required, large_required_binaries, emptied;
