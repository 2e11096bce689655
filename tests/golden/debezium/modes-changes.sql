-- The changes, one transaction each statement.
SET TimeZone = 'UTC';

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
INSERT INTO geometric VALUES (1, '(1,2)', '{1,2,3}', '[(1,2),(3,4)]', '[(1,2),(3,4)]', '((1,2),(3,4))', '(1,2),(3,4)', '<(1,2),3>');
UPDATE geometric SET id = 2;
DELETE FROM geometric;

INSERT INTO constants (id) VALUES (1);
DELETE FROM constants;

INSERT INTO keys VALUES (1.5, '2024-02-29', '2024-02-29 12:34:56.123456', '\xfbff', '12:34:56.789', '1 day 2 hours', 1.25, 1.50, 1);
UPDATE keys SET small = 2;
UPDATE keys SET d = '\x00';
DELETE FROM keys;

INSERT INTO large SELECT 1, 1, repeat('x', 9000), decode(repeat('ab', 9000), 'hex'), hstore('k', repeat('v', 9000)), to_jsonb(repeat('y', 9000)),
    repeat('123456789', 2000)::numeric, ARRAY[repeat('z', 9000)], ARRAY[decode(repeat('ab', 9000), 'hex')], ARRAY[hstore('k', repeat('v', 9000))],
    array_agg(n::numeric), array_agg('2000-01-01'::date + n), array_agg('2000-01-01'::timestamp + n * interval '1 hour'),
    array_agg('00:00'::time + n * interval '1 second'), array_agg(n), array_agg(n::bigint),
    path(polygon(3000, '<(0,0),1>')), polygon(3000, '<(0,0),1>') FROM generate_series(1, 3000) AS n;
UPDATE large SET small = 2;
INSERT INTO large_required SELECT 1, 1, repeat('x', 9000), hstore('k', repeat('v', 9000)), ARRAY[repeat('z', 9000)], array_agg(n),
    path(polygon(3000, '<(0,0),1>')), polygon(3000, '<(0,0),1>') FROM generate_series(1, 3000) AS n;
UPDATE large_required SET small = 2;
INSERT INTO large_required_binaries VALUES (1, 1, decode(repeat('ab', 9000), 'hex'), ARRAY[decode(repeat('ab', 9000), 'hex')]);
UPDATE large_required_binaries SET small = 2;

INSERT INTO emptied VALUES (1);
