-- The types whose values a field of some handling mode cannot hold: see tests/it/debezium/settings.rs.
CREATE DOMAIN cents AS numeric(10, 2);

CREATE TABLE decimals (
    id bigint PRIMARY KEY,
    numeric_1 numeric, numeric_2 numeric(12, 2), numeric_3 numeric(20), numeric_4 numeric(38, 38), numeric_5 numeric(5, -2),
    money_1 money, domain_1 cents, array_1 numeric[], array_2 numeric(8, 3)[]
);

CREATE TABLE times (
    id bigint PRIMARY KEY,
    date_1 date, time_1 time, time_2 time(0), time_3 time(3), time_4 time(4), timetz_1 timetz, timetz_2 timetz(2),
    timestamp_1 timestamp, timestamp_2 timestamp(0), timestamp_3 timestamp(3), timestamp_4 timestamp(4),
    timestamptz_1 timestamptz, timestamptz_2 timestamptz(0), timestamptz_3 timestamptz(3),
    array_1 date[], array_2 time[], array_3 time(3)[], array_4 timetz[], array_5 timestamp[], array_6 timestamp(3)[],
    array_7 timestamptz[]
);

CREATE TABLE intervals (id bigint PRIMARY KEY, interval_1 interval, interval_2 interval(3), interval_3 interval year to month);

CREATE TABLE emptied (id integer PRIMARY KEY);

CREATE PUBLICATION walbrook FOR TABLE decimals, times, intervals, emptied;
