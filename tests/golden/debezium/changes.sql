-- The changes, one transaction each statement.
SET TimeZone = 'UTC';

INSERT INTO kinds VALUES (
    1, true, 32767, 2147483647, 9223372036854775807, 1.5, 0.1,
    3.14159265358979323846264338327950288, 9999999999.99, 99999999999999999999, 0.00000000000000000000000000000000000001,
    'crème brûlée 🚲', 'varying', 'short', 'pad', 'c', 'a_name', 'MiXed', '\x00ff10', '6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11',
    '2024-02-29', '23:59:59.999999', '12:34:56', '12:34:56.789', '12:34:56.7891', '12:34:56.7+02', '23:30:00.25-08',
    '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56', '2024-02-29 12:34:56.123', '2024-02-29 12:34:56.1234',
    '2024-02-29 12:34:56.12345+05:30', '2024-02-29 12:34:56+00', '2024-02-29 12:34:56.100+00', '1 year 2 months 3 days 04:05:06.000007',
    '{"a" : [1, 2.50, null], "a": 2}', '{"b": {"c": "d"}, "e": []}', 'happy ever after', 12.30, 'red');
INSERT INTO kinds VALUES (
    2, false, -32768, -2147483648, -9223372036854775808, '-Infinity', 'NaN',
    -123456789012345678901234567890.000000001, -0.01, -1, -0.99999999999999999999999999999999999999,
    '', '', '', '', '', '', '', '', '00000000-0000-0000-0000-000000000000',
    '1582-10-04', '00:00', '00:00', '00:00', '00:00', '00:00+00', '00:00+14',
    '1582-10-04 00:00', '1900-01-01 00:00', '1969-12-31 23:59:59.999', '1969-12-31 23:59:59.9999',
    '0001-01-01 00:00+00', '1900-01-01 00:00+00', '1969-12-31 23:59:59.999+00', '-1 days -00:00:01',
    '[]', '{}', 'sad', 0, '');
INSERT INTO kinds (id) VALUES (3);
INSERT INTO kinds (id, float4_1, float8_1, numeric_1, numeric_2, time_1, timestamp_1, timestamptz_1, interval_1) VALUES
    (4, '-0', '-0', 1e30, 1.5, '24:00', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', '-00:00:00.000001'),
    (5, 'NaN', 'Infinity', 100, 0, '00:00:00.000001', '2000-01-01', '2000-01-01+00', '10 years'),
    (6, 3.4028235e38, 1.7976931348623157e308, 0, -9999999999.99, '12:00', '1970-01-01', '12345-06-07 08:09:10.5+00', '1 month'),
    (7, 1e-45, 5e-324, 0.10, 10, '12:00', '0044-03-15 BC', '0044-03-15 BC', '-2 years 3 days');
UPDATE kinds SET text_1 = 'changed' WHERE id = 1;
UPDATE kinds SET id = 103 WHERE id = 3;
DELETE FROM kinds WHERE id = 2;

INSERT INTO required VALUES (
    1, true, 2, 3, 4, 5.5, 6.5, 7.5, 8.25, 'nine', 'ten', 'eleven', '\x12', '6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11', '2014-01-02',
    '15:16', '16:17', '17:18+01', '2018-01-02 03:04', '2019-01-02 03:04', '2020-01-02 03:04+00', '21 seconds', '22', '23', 'sad', '{24}');
UPDATE required SET int4_1 = 5;
UPDATE required SET id = 2;
DELETE FROM required;

INSERT INTO arrays VALUES (
    1, '{t,NULL,f}', '{1,NULL,-3}', '{1,NULL,-3}', '{1,NULL,-3}', '{1.5,NULL,-0}', '{0.1,NULL,NaN}', '{1.50,NULL,-2}', '{1.000,NULL,-2.125}',
    '{a,"",NULL,"b,\"c"}', '{a,NULL}', '{a,NULL}', '{A,NULL}', '{"\\x00ff",NULL}', '{6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11,NULL}',
    '{2024-02-29,NULL}', '{12:34:56.789,NULL}', '{12:34:56+02,NULL}', '{2024-02-29 12:34:56.123456,NULL}', '{2024-02-29 12:34:56+00,NULL}',
    '{"{\"a\" : 1}",NULL}', '{"{\"a\": 1}",NULL}', '{sad,so-so}', '{a_name,NULL}', '{1 day,NULL}', '{1.5,NULL}');
INSERT INTO arrays (id, int4_1, text_1, uuid_1) VALUES (2, '{}', '{}', '{}'), (3, NULL, NULL, NULL);

INSERT INTO rare VALUES (
    1, B'1', B'10010', B'1000000000000000000000000000000000000000000000000000000000000001', B'1', B'000000001000', B'1',
    -1234567.89, 4294967295, '<a b="c">d</a>', '10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
    '[1,5]', '(,5)', '(1.10,2.0]', '[2024-02-29 12:34:56.789,infinity)', '[2024-02-29 12:34:56+02,)',
    '[2024-02-29,2024-03-01]', 'fat:1A,3 cat ''it''''s''', '(1.5,-2.25)', 'one=>1, "t w o"=>"\"2\"", three=>NULL', 'Top.Science');
INSERT INTO rare VALUES (
    2, B'0', B'00000', B'0000000000000000000000000000000000000000000000000000000000000000', B'0', B'', B'',
    0, 0, '', '::1', '2001:db8::/32', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00',
    'empty', '(,)', 'empty', 'empty', '(,)', 'empty', '', '(0,0)', '', '');
INSERT INTO rare (id) VALUES (3);

INSERT INTO rare_required VALUES (
    1, B'1', B'10010', B'101', 1, 2, '<a/>', '10.1.2.3', '08:00:2b:01:02:03', '[1,5]', 'fat', '(1,2)', 'a=>b', 'Top');
DELETE FROM rare_required;

INSERT INTO rare_arrays VALUES (
    1, '{1,NULL}', '{10.1.2.3/8,NULL}', '{10.0.0.0/8,NULL}', '{08:00:2b:01:02:03,NULL}', '{08:00:2b:01:02:03:04:05,NULL}',
    '{"[1,5)",NULL}', '{"[\"2024-02-29 10:34:56+00\",)",NULL}', '{a=>b,NULL}', '{Top.Science,NULL}');

INSERT INTO left_out VALUES (
    1, '16/B374D848', '10:20:10,14', '18446744073709551615', 'a & !b', '$.a[*]', '(1,"a b")', '{[1,3),[5,7)}', '7', '(1,2)', 'Top.*',
    '1 2', 'c', '{$1.50,NULL}', '{<a/>,NULL}', '{"(1,2)",NULL}', '{fat,NULL}', '{101,NULL}', '{"(1,a)",NULL}');

-- A path and a polygon that end where they begin, of one point, and numbers that are none.
INSERT INTO geometric VALUES
    (1, '{1,-2,3.5}', '[(1,2),(3,4.5)]', '[(1,2),(3,4)]', '((1,2),(3,4),(5,6))', '(1,2),(3,4)', '<(1,2),3>'),
    (2, '{0,1,0}', '[(1,2),(1,2)]', '((1,2),(3,4))', '((1,2),(3,4),(1,2))', '(1,2),(1,2)', '<(0,-0),0>'),
    (3, '{1e-310,1e300,0}', '[(-0,0),(1e-310,1e300)]', '((1,2),(3,4),(1,2))', '((1,2))', '(0,-0),(-0,0)', '<(1e300,1e-310),0.1>'),
    (4, '{Infinity,1,2}', '[(Infinity,1),(2,NaN)]', '[(1,NaN)]', '((NaN,1),(2,3),(NaN,1))', '(Infinity,1),(-Infinity,2)',
        '<(1,-Infinity),Infinity>'),
    (5, NULL, NULL, '((1,2))', '((0,1),(2,3),(-0,1))', NULL, NULL),
    (6, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE geometric SET id = 7 WHERE id = 1;
DELETE FROM geometric WHERE id = 2;
INSERT INTO geometric_required VALUES (1, '{1,2,3}', '[(1,2),(3,4)]', '[(1,2),(3,4)]', '((1,2),(3,4))', '(1,2),(3,4)', '<(1,2),3>');
DELETE FROM geometric_required;
INSERT INTO geometric_arrays VALUES (
    1, '{"{1,2,3}",NULL}', '{"[(1,2),(3,4)]",NULL}', '{"[(1,2),(3,4)]",NULL}', '{"((1,2),(3,4))",NULL}', '{(1,2),(3,4);NULL}',
    '{"<(1,2),3>",NULL}');

INSERT INTO defaults (timestamptz_1) VALUES ('2024-02-29 12:34:56+00');
INSERT INTO defaults (int4_1, text_1, numeric_1, timestamptz_1, bool_1) VALUES (NULL, NULL, NULL, '2024-02-29 12:34:56+00', NULL);

INSERT INTO constants DEFAULT VALUES;
INSERT INTO constants_left_out (id) VALUES (1);

INSERT INTO reversed VALUES (1, 'x', 'y');
UPDATE reversed SET c = 'z';
UPDATE reversed SET a = 2;
DELETE FROM reversed;

INSERT INTO whole VALUES (1, 'x', 10);
UPDATE whole SET a = NULL;
UPDATE whole SET id = 2;
DELETE FROM whole;

INSERT INTO indexed VALUES (1, 'x', 10);
UPDATE indexed SET a = NULL;
UPDATE indexed SET b = 20;
UPDATE indexed SET id = 2;
DELETE FROM indexed;

INSERT INTO keyless VALUES (1, 'x');
UPDATE keyless SET a = 'y';
DELETE FROM keyless;

INSERT INTO large SELECT 1, 1, repeat('x', 9000), decode(repeat('ab', 9000), 'hex'), to_jsonb(repeat('y', 9000)),
    ARRAY[repeat('z', 9000)], array_agg(n), path(polygon(3000, '<(0,0),1>')), polygon(3000, '<(0,0),1>')
    FROM generate_series(1, 3000) AS n;
UPDATE large SET small = 2;
INSERT INTO large_whole SELECT 1, 1, repeat('x', 9000), decode(repeat('ab', 9000), 'hex'), to_jsonb(repeat('y', 9000)),
    ARRAY[repeat('z', 9000)], array_agg(n), path(polygon(3000, '<(0,0),1>')), polygon(3000, '<(0,0),1>')
    FROM generate_series(1, 3000) AS n;
UPDATE large_whole SET small = 2;

INSERT INTO "odd-name" VALUES (1, 'a', 'b', 'c');
INSERT INTO emptied VALUES (1);
TRUNCATE emptied;
