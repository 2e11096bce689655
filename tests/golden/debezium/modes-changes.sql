-- The changes, one transaction each statement.
SET TimeZone = 'UTC';

INSERT INTO decimals VALUES
    (1, 3.14159265358979323846264338327950288, 9999999999.99, 99999999999999999999, 0.00000000000000000000000000000000000001, 12345,
        -1234567.89, 12.30, '{1.50,NULL,-2}', '{1.000,NULL,-2.125}'),
    (2, -123456789012345678901234567890.000000001, -0.01, -1, -0.99999999999999999999999999999999999999, -9999900,
        92233720368547758.07, 0, '{}', '{}'),
    (3, 0, 0, 0, 0, 0, 0, -0.01, '{0.00,100,1e20,-1e-20}', '{0}');
INSERT INTO decimals (id) VALUES (4);
INSERT INTO decimals (id, numeric_1, numeric_2, numeric_3, money_1) VALUES
    (5, 1e30, 1.5, 100, -92233720368547758.08), (6, 100.00, 1.10, 1, -0.01), (7, 1e-30, 0.3, 123456789012345678, 0.1),
    (8, 1e309, 0, 0, 0), (9, 1e-330, 0, 0, 0), (10, 1234567890123456789.125, 1234567890.25, 12345678901234567890, 12345678901234.56),
    (11, 1e7, 10000000, 10000000, 10000000), (12, 0.001, 0.01, 1, 0.01), (13, 0.0001, 1000, 1000, 1000);
INSERT INTO decimals (id, numeric_1, numeric_2) VALUES (14, 'NaN', 'NaN'), (15, 'Infinity', 0), (16, '-Infinity', 0);
INSERT INTO decimals (id, array_1, array_2) VALUES (17, '{1.5,NaN}', '{1.5,NaN}'), (18, '{Infinity,1}', '{1}');

INSERT INTO times VALUES
    (1, '2024-02-29', '12:34:56.123456', '12:34:56', '12:34:56.789', '12:34:56.7891', '12:34:56.7+02', '23:30:00.25-08',
        '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56', '2024-02-29 12:34:56.123', '2024-02-29 12:34:56.1234',
        '2024-02-29 12:34:56.12345+05:30', '2024-02-29 12:34:56+00', '2024-02-29 12:34:56.100+00',
        '{2024-02-29,NULL,1582-10-04}', '{12:34:56.123456,NULL,00:00}', '{12:34:56.789,NULL}', '{12:34:56.7+02,NULL}',
        '{2024-02-29 12:34:56.123456,NULL,1969-12-31 23:59:59.999999}', '{2024-02-29 12:34:56.123,NULL}', '{2024-02-29 12:34:56.12+00,NULL}'),
    (2, '1970-01-01', '00:00', '00:00', '00:00', '00:00', '00:00+00', '00:00+14',
        '1970-01-01', '1970-01-01', '1970-01-01', '1970-01-01', '1970-01-01+00', '1970-01-01+00', '1970-01-01+00',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
    (3, '1969-12-31', '23:59:59.999999', '23:59:59', '23:59:59.999', '23:59:59.9999', '23:59:59.999999-12', '23:59:59.99+00',
        '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.9999',
        '1969-12-31 23:59:59.999999+00', '1969-12-31 23:59:59+00', '1969-12-31 23:59:59.999+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO times (id) VALUES (4);
INSERT INTO times (id, date_1, time_1, timestamp_1, timestamp_2, timestamp_3, timestamptz_1) VALUES
    (5, '0001-01-01', '12:34', '0001-01-01 00:00', '0001-01-01', '0001-01-01', '0001-01-01+00'),
    (6, '0044-03-15 BC', '12:34:00.1', '0044-03-15 12:00 BC', '0044-03-15 BC', '0044-03-15 12:00 BC', '0044-03-15 BC'),
    (7, '4713-01-01 BC', '12:34:00.12', '4713-01-01 BC', '4713-01-01 BC', '4713-01-01 BC', '4713-01-01 BC'),
    (8, '9999-12-31', '12:34:56.000001', '9999-12-31 23:59:59.999999', '9999-12-31', '9999-12-31 23:59:59.999', '9999-12-31 23:59:59.999999+00'),
    (9, '12345-06-07', '00:00:00.001', '12345-06-07 08:09:10.5', '12345-06-07 08:09:10', '12345-06-07 08:09:10.5', '12345-06-07 08:09:10.5+00'),
    (10, '1582-10-04', '00:00:00.000001', '1582-10-04 00:00', '1582-10-04 00:00', '1582-10-04 00:00', '1582-10-04 00:00+00'),
    (11, '2262-04-11', '00:00:01', '2262-04-11 23:47:16.854775', '2262-04-11 23:47:16', '2262-04-11 23:47:16.854', '2262-04-11 23:47:16.854775+00'),
    (12, '2262-04-12', '00:00', '2262-04-11 23:47:16.854776', '2262-04-11 23:47:17', '2262-04-11 23:47:16.855', '2262-04-12+00'),
    (13, '1677-09-21', '00:00', '1677-09-21 00:12:43.145225', '1677-09-21 00:12:44', '1677-09-21 00:12:43.146', '1677-09-21+00'),
    (14, '1677-09-20', '00:00', '1677-09-21 00:12:43.145224', '1677-09-21 00:12:43', '1677-09-21 00:12:43.145', '1677-09-20+00'),
    (15, '5874897-12-31', '00:00', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59', '294276-12-31 23:59:59.999', '294276-12-31 23:59:59.999999+00'),
    (16, '0044-12-31 BC', '00:00', '0001-12-31 23:59:59.999999 BC', '0001-12-31 23:59:59 BC', '0001-12-31 BC', '0001-12-31 23:59:59.999999+00 BC');
INSERT INTO times (id, timestamp_1, timestamp_2, timestamp_3, timestamptz_1) VALUES
    (17, 'infinity', 'infinity', 'infinity', 'infinity'), (18, '-infinity', '-infinity', '-infinity', '-infinity');
INSERT INTO times (id, date_1) VALUES (19, 'infinity'), (20, '-infinity');
INSERT INTO times (id, time_1, time_2, time_3, time_4) VALUES (21, '24:00', '24:00', '24:00', '24:00');
INSERT INTO times (id, timetz_1) VALUES (22, '24:00+00');
INSERT INTO times (id, array_1) VALUES (23, '{0044-03-15 BC,12345-06-07}'), (24, '{infinity,-infinity}');
INSERT INTO times (id, array_2, array_4) VALUES (25, '{24:00}', '{00:00+14}');
INSERT INTO times (id, array_5, array_6) VALUES (26, '{0044-03-15 BC,12345-06-07}', '{0044-03-15 BC,12345-06-07}'),
    (27, '{infinity,-infinity}', '{infinity,-infinity}');
INSERT INTO times (id, array_7) VALUES (28, '{0044-03-15 BC,12345-06-07,infinity,-infinity}');

INSERT INTO intervals VALUES (1, '1 year 2 months 3 days 04:05:06.000007', '1 year 2 months 3 days 04:05:06.789', '1 year 2 months'),
    (2, '-1 year -2 months -3 days -04:05:06.000007', '-00:00:00.001', '-14 months'), (3, '0', '0', '0'), (4, NULL, NULL, NULL);
INSERT INTO intervals (id, interval_1) VALUES
    (5, '-1 days -00:00:01'), (6, '-00:00:00.000001'), (7, '10 years'), (8, '1 month'), (9, '-2 years 3 days'), (10, '1 day -00:00:01'),
    (11, '100:00:00'), (12, '1 year -1 month 40 days -25:01:01.5'), (13, '13 months 400 days 1.10 seconds'), (14, '00:00:10'),
    (15, '1 year'), (16, '1 day'), (17, '59.999999 seconds'), (18, '2147483647 days'), (19, '1 mon 00:00:00.5'), (20, '1000000 hours');
INSERT INTO intervals (id, interval_1) VALUES (21, '178000000 years'), (22, '-178000000 years');
INSERT INTO intervals (id, interval_1) VALUES (23, 'infinity'), (24, '-infinity');

INSERT INTO hstores VALUES (1, 'one=>1, "t w o"=>"\"2\"", three=>NULL', '{a=>b,NULL}'), (2, '', '{}'), (3, NULL, NULL),
    (4, '""=>"", "back\\slash"=>"new
line", "crème"=>"🚲", "NULL"=>"NULL", "a=>b"=>"c,d"', '{"\"x y\"=>NULL, z=>\"{}\"",""}'), (5, 'b=>1, aa=>2, a=>3', '{"b=>1, aa=>2, a=>3"}');

INSERT INTO binaries VALUES (1, '\x00ff10', '{"\\x00ff",NULL}'), (2, '', '{}'), (3, NULL, NULL), (4, '\xfbffbf', '{"\\xfbffbf",""}'),
    (5, '\xfb', '{"\\xfb"}'), (6, '\xfbff', '{"\\xfbff"}'), (7, decode(repeat('fbefbe', 30), 'hex'), NULL);

INSERT INTO required VALUES (
    1, 7.5, 8.25, 9.99, 1.5, '2014-01-02', '15:16', '16:17', '17:18+01', '2020-01-02 03:04+00',
    '21 seconds', 'a=>b', '\x12', '{1.5}', '{2014-01-02}', '{2018-01-02 03:04}', '{a=>b}', '{"\\x12"}');
UPDATE required SET numeric_1 = 5;
UPDATE required SET id = 2;
DELETE FROM required;
INSERT INTO required_timestamps VALUES (1, '2018-01-02 03:04', '2019-01-02 03:04', '2020-01-02 03:04');
UPDATE required_timestamps SET id = 2;
DELETE FROM required_timestamps;

INSERT INTO keys VALUES (1.5, '2024-02-29', '2024-02-29 12:34:56.123456', '\xfbff', '12:34:56.789', '1 day 2 hours', 1.25, 1.50, 1);
UPDATE keys SET small = 2;
UPDATE keys SET d = '\x00';
DELETE FROM keys;

INSERT INTO large SELECT 1, 1, repeat('x', 9000), decode(repeat('ab', 9000), 'hex'), hstore('k', repeat('v', 9000)), to_jsonb(repeat('y', 9000)),
    repeat('123456789', 2000)::numeric, ARRAY[repeat('z', 9000)], ARRAY[decode(repeat('ab', 9000), 'hex')], ARRAY[hstore('k', repeat('v', 9000))],
    array_agg(n::numeric), array_agg('2000-01-01'::date + n), array_agg('2000-01-01'::timestamp + n * interval '1 hour'),
    array_agg('00:00'::time + n * interval '1 second'), array_agg(n), array_agg(n::bigint) FROM generate_series(1, 3000) AS n;
UPDATE large SET small = 2;
INSERT INTO large_required SELECT 1, 1, repeat('x', 9000), hstore('k', repeat('v', 9000)), ARRAY[repeat('z', 9000)], array_agg(n)
    FROM generate_series(1, 3000) AS n;
UPDATE large_required SET small = 2;
INSERT INTO large_required_binaries VALUES (1, 1, decode(repeat('ab', 9000), 'hex'), ARRAY[decode(repeat('ab', 9000), 'hex')]);
UPDATE large_required_binaries SET small = 2;

INSERT INTO emptied VALUES (1);
