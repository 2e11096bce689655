-- What Debezium and walbrook read side by side: see tests/it/debezium.
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'so-so', 'happy ever after');
CREATE DOMAIN cents AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE DOMAIN label AS varchar(20);
CREATE TYPE pair AS (a integer, b text);

CREATE TABLE kinds (
    id bigint PRIMARY KEY,
    bool_1 boolean, int2_1 smallint, int4_1 integer, int8_1 bigint,
    float4_1 real, float8_1 double precision,
    numeric_1 numeric, numeric_2 numeric(12, 2), numeric_3 numeric(20), numeric_4 numeric(38, 38),
    text_1 text, varchar_1 varchar, varchar_2 varchar(40), char_1 char(8), char_2 "char",
    name_1 name, citext_1 citext, bytea_1 bytea, uuid_1 uuid,
    date_1 date,
    time_1 time, time_2 time(0), time_3 time(3), time_4 time(4), timetz_1 timetz, timetz_2 timetz(2),
    timestamp_1 timestamp, timestamp_2 timestamp(0), timestamp_3 timestamp(3), timestamp_4 timestamp(4),
    timestamptz_1 timestamptz, timestamptz_2 timestamptz(0), timestamptz_3 timestamptz(3),
    interval_1 interval,
    json_1 json, jsonb_1 jsonb, enum_1 mood, domain_1 cents, domain_2 label
);

CREATE TABLE required (
    id bigint PRIMARY KEY,
    bool_1 boolean NOT NULL, int2_1 smallint NOT NULL, int4_1 integer NOT NULL, int8_1 bigint NOT NULL,
    float4_1 real NOT NULL, float8_1 double precision NOT NULL,
    numeric_1 numeric NOT NULL, numeric_2 numeric(12, 2) NOT NULL,
    text_1 text NOT NULL, varchar_2 varchar(40) NOT NULL, char_1 char(8) NOT NULL,
    bytea_1 bytea NOT NULL, uuid_1 uuid NOT NULL, date_1 date NOT NULL,
    time_1 time NOT NULL, time_3 time(3) NOT NULL, timetz_1 timetz NOT NULL,
    timestamp_1 timestamp NOT NULL, timestamp_3 timestamp(3) NOT NULL, timestamptz_1 timestamptz NOT NULL,
    interval_1 interval NOT NULL, json_1 json NOT NULL, jsonb_1 jsonb NOT NULL, enum_1 mood NOT NULL,
    array_1 integer[] NOT NULL
);

CREATE TABLE arrays (
    id bigint PRIMARY KEY,
    bool_1 boolean[], int2_1 smallint[], int4_1 integer[], int8_1 bigint[],
    float4_1 real[], float8_1 double precision[], numeric_1 numeric[], numeric_2 numeric(8, 3)[],
    text_1 text[], varchar_1 varchar(40)[], char_1 char(4)[], citext_1 citext[], bytea_1 bytea[],
    uuid_1 uuid[], date_1 date[], time_1 time[], timetz_1 timetz[], timestamp_1 timestamp[],
    timestamptz_1 timestamptz[], json_1 json[], jsonb_1 jsonb[], enum_1 mood[],
    name_1 name[], interval_1 interval[], domain_1 cents[]
);

CREATE TABLE rare (
    id bigint PRIMARY KEY,
    bit_1 bit, bit_2 bit(5), bit_3 bit(64), varbit_1 varbit(1), varbit_2 varbit(20), varbit_3 varbit,
    money_1 money, oid_1 oid, xml_1 xml, inet_1 inet, cidr_1 cidr, macaddr_1 macaddr, macaddr8_1 macaddr8,
    int4range_1 int4range, int8range_1 int8range, numrange_1 numrange, tsrange_1 tsrange, tstzrange_1 tstzrange,
    daterange_1 daterange, tsvector_1 tsvector, point_1 point, hstore_1 hstore, ltree_1 ltree
);

CREATE TABLE rare_required (
    id bigint PRIMARY KEY,
    bit_1 bit NOT NULL, bit_2 bit(5) NOT NULL, varbit_3 varbit NOT NULL, money_1 money NOT NULL, oid_1 oid NOT NULL,
    xml_1 xml NOT NULL, inet_1 inet NOT NULL, macaddr_1 macaddr NOT NULL, int4range_1 int4range NOT NULL,
    tsvector_1 tsvector NOT NULL, point_1 point NOT NULL, hstore_1 hstore NOT NULL, ltree_1 ltree NOT NULL
);

CREATE TABLE rare_arrays (
    id bigint PRIMARY KEY,
    oid_1 oid[], inet_1 inet[], cidr_1 cidr[], macaddr_1 macaddr[], macaddr8_1 macaddr8[],
    int4range_1 int4range[], tstzrange_1 tstzrange[], hstore_1 hstore[], ltree_1 ltree[]
);

CREATE TABLE left_out (
    id bigint PRIMARY KEY,
    lsn_1 pg_lsn, snapshot_1 pg_snapshot, xid8_1 xid8, tsquery_1 tsquery, jsonpath_1 jsonpath, composite_1 pair,
    multirange_1 int4multirange, xid_1 xid, tid_1 tid, lquery_1 lquery, int2vector_1 int2vector, refcursor_1 refcursor,
    money_2 money[], xml_2 xml[], point_2 point[], tsvector_2 tsvector[], bit_2 bit(3)[], composite_2 pair[]
);

CREATE TABLE geometric (
    id bigint PRIMARY KEY, line_1 line, lseg_1 lseg, path_1 path, polygon_1 polygon, box_1 box, circle_1 circle
);
CREATE TABLE geometric_required (
    id bigint PRIMARY KEY,
    line_1 line NOT NULL, lseg_1 lseg NOT NULL, path_1 path NOT NULL, polygon_1 polygon NOT NULL,
    box_1 box NOT NULL DEFAULT '(3,4),(1,2)', circle_1 circle NOT NULL
);
CREATE TABLE geometric_arrays (
    id bigint PRIMARY KEY, line_1 line[], lseg_1 lseg[], path_1 path[], polygon_1 polygon[], box_1 box[], circle_1 circle[]
);

CREATE TABLE defaults (
    id serial PRIMARY KEY,
    int4_1 integer DEFAULT 9, int4_2 integer NOT NULL DEFAULT 7, text_1 text DEFAULT 'a default',
    numeric_1 numeric(6, 2) DEFAULT 1.5, timestamptz_1 timestamptz NOT NULL DEFAULT now(), bool_1 boolean DEFAULT true
);

CREATE TABLE constants (
    id integer PRIMARY KEY DEFAULT 1,
    bool_1 boolean NOT NULL DEFAULT true, int2_1 smallint NOT NULL DEFAULT 5, int4_1 integer NOT NULL DEFAULT -7,
    int8_1 bigint NOT NULL DEFAULT 8, int8_2 bigint NOT NULL DEFAULT 9223372036854775807, float4_1 real NOT NULL DEFAULT 1.5,
    float8_1 double precision NOT NULL DEFAULT -0.1, numeric_1 numeric(6, 2) NOT NULL DEFAULT 1.5,
    numeric_2 numeric(4) NOT NULL DEFAULT '-12', text_1 text NOT NULL DEFAULT 'it''s ü', text_2 text NOT NULL DEFAULT '',
    varchar_1 varchar(20) NOT NULL DEFAULT 'new', char_1 char(5) NOT NULL DEFAULT 'ab', uuid_1 uuid NOT NULL
    DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', json_1 json NOT NULL DEFAULT '{"a" : 1}', jsonb_1 jsonb NOT NULL DEFAULT '[]',
    xml_1 xml NOT NULL DEFAULT '<a/>', date_1 date NOT NULL DEFAULT '2024-02-29', time_1 time NOT NULL DEFAULT '12:34:56.789',
    time_2 time(3) NOT NULL DEFAULT '12:34:56', timetz_1 timetz NOT NULL DEFAULT '12:34:56+02',
    timestamp_1 timestamp NOT NULL DEFAULT '2024-02-29 12:34:56.789', timestamp_2 timestamp(3) NOT NULL DEFAULT '2024-02-29 12:34:56',
    timestamptz_1 timestamptz NOT NULL DEFAULT '2024-02-29 12:34:56.789+00', interval_1 interval NOT NULL DEFAULT '1 day 02:03:04',
    bit_1 bit NOT NULL DEFAULT B'1', bit_2 bit(5) NOT NULL DEFAULT B'10010', varbit_1 varbit NOT NULL DEFAULT B'101',
    enum_1 mood NOT NULL DEFAULT 'sad', domain_1 cents NOT NULL DEFAULT 1.25
);
CREATE TABLE constants_left_out (
    id integer PRIMARY KEY,
    name_1 name NOT NULL DEFAULT 'a name', bytea_1 bytea NOT NULL DEFAULT '\x00ff', oid_1 oid NOT NULL DEFAULT 7,
    money_1 money NOT NULL DEFAULT 9.99, inet_1 inet NOT NULL DEFAULT '10.0.0.1', citext_1 citext NOT NULL DEFAULT 'A',
    hstore_1 hstore NOT NULL DEFAULT 'a=>b', ltree_1 ltree NOT NULL DEFAULT 'Top', int4range_1 int4range NOT NULL DEFAULT '[1,5)',
    tsvector_1 tsvector NOT NULL DEFAULT 'fat', macaddr_1 macaddr NOT NULL DEFAULT '08:00:2b:01:02:03',
    int4_1 integer[] NOT NULL DEFAULT '{1,2}', text_1 text[] NOT NULL DEFAULT '{}', point_1 point NOT NULL DEFAULT '(1,2)',
    numeric_1 numeric NOT NULL DEFAULT 1.5, float8_1 double precision NOT NULL DEFAULT 'NaN', text_2 text NOT NULL DEFAULT upper('a'),
    bpchar_1 bpchar NOT NULL DEFAULT 'ab'
);

CREATE TABLE reversed (a integer, b text, c text, PRIMARY KEY (b, a));
CREATE TABLE whole (id integer PRIMARY KEY, a text, b integer NOT NULL);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE indexed (id integer PRIMARY KEY, a text, b integer NOT NULL UNIQUE);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_b_key;
CREATE TABLE keyless (id integer, a text);
ALTER TABLE keyless REPLICA IDENTITY FULL;

CREATE TABLE large (
    id integer PRIMARY KEY, small integer, text_1 text, bytea_1 bytea, jsonb_1 jsonb, array_1 text[], array_2 integer[],
    path_1 path, polygon_1 polygon
);
CREATE TABLE large_whole (LIKE large INCLUDING ALL);
ALTER TABLE large_whole REPLICA IDENTITY FULL;
ALTER TABLE large ALTER text_1 SET STORAGE EXTERNAL, ALTER bytea_1 SET STORAGE EXTERNAL,
    ALTER jsonb_1 SET STORAGE EXTERNAL, ALTER array_1 SET STORAGE EXTERNAL, ALTER array_2 SET STORAGE EXTERNAL,
    ALTER path_1 SET STORAGE EXTERNAL, ALTER polygon_1 SET STORAGE EXTERNAL;
ALTER TABLE large_whole ALTER text_1 SET STORAGE EXTERNAL, ALTER bytea_1 SET STORAGE EXTERNAL,
    ALTER jsonb_1 SET STORAGE EXTERNAL, ALTER array_1 SET STORAGE EXTERNAL, ALTER array_2 SET STORAGE EXTERNAL,
    ALTER path_1 SET STORAGE EXTERNAL, ALTER polygon_1 SET STORAGE EXTERNAL;

-- Names that Avro does not allow.
CREATE TABLE "odd-name" (id integer PRIMARY KEY, "a-column" text, "1st" text, "größe" text);

CREATE TABLE emptied (id integer PRIMARY KEY);

CREATE PUBLICATION walbrook FOR TABLE kinds, required, arrays, rare, rare_required, rare_arrays,
    left_out, geometric, geometric_required, geometric_arrays, defaults, constants, constants_left_out, reversed, whole, indexed,
    keyless, large, large_whole, "odd-name", emptied;
