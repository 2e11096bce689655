-- Makes types.tsv: what a PostgreSQL 17 server really sends for a value, in both forms, and what
-- the value is by the server's own arithmetic.
--
--     psql -X -q -f types.sql scratch_database > types.tsv
--
-- sample.sql says what the lines hold.
\ir sample.sql
CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public;
CREATE EXTENSION IF NOT EXISTS ltree SCHEMA public;
CREATE TYPE mood AS ENUM ('sad', 'o,k', 'it''s "fine"', 'Ümläut');
CREATE DOMAIN price AS numeric(10, 2);
CREATE DOMAIN net_price AS price NOT NULL;
CREATE DOMAIN moods AS mood[];
CREATE DOMAIN prices AS numeric(8, 3)[];
CREATE DOMAIN short_time AS time(2);
CREATE DOMAIN slug AS varchar(40);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE inner_pair AS (a pair, b price, c int[], d mood);
CREATE TYPE mixed AS (a boolean, b real, c float8, d bytea, e date, f time, g timetz, h timestamp,
    i timestamptz, j interval, k uuid, l jsonb, m numeric, n varbit, o money);
CREATE TYPE seen AS (a regclass);
CREATE TYPE floats AS RANGE (subtype = float8, multirange_type_name = many_floats);
CREATE TYPE reals AS RANGE (subtype = real, multirange_type_name = many_reals);
CREATE TYPE words AS RANGE (subtype = text);
CREATE DOMAIN spans AS int4range;

\o /dev/null
SELECT pg_temp.sample('boolean', 'v', 't', 'f');
SELECT pg_temp.sample('smallint', 'v', '0', '1', '-1', '63', '64', '-64', '-65', '32767', '-32768');
SELECT pg_temp.sample('integer', 'v', '0', '1', '-1', '8191', '8192', '-8193', '2147483647', '-2147483648');
SELECT pg_temp.sample('bigint', 'v', '0', '1', '-1', '1000000007', '9223372036854775807', '-9223372036854775808');
SELECT pg_temp.sample('real', 'v', '0', '-0', '1.5', '0.1', '-3.4028235e38', '1e-45', '1.17549435e-38', '16777217', 'NaN', 'Infinity', '-Infinity');
SELECT pg_temp.sample('double precision', 'v', '0', '-0', '1.5', '0.1', '1e300', '5e-324', '2.2250738585072014e-308', '1.7976931348623157e308', '-123456.789', '1e15', '1e16', '0.0001', '0.00001', 'NaN', 'Infinity', '-Infinity');

SELECT pg_temp.sample('numeric(12,2)', 'v', '0', '0.01', '-0.01', '1', '-1', '1.1', '12.34', '99.99', '100', '-100', '0.10', '1.27', '1.28', '-1.28', '-1.29', '327.67', '327.68', '-327.68', '10000', '10000.01', '123456789.01', '9999999999.99', '-9999999999.99');
SELECT pg_temp.sample('numeric(5,0)', 'v', '0', '7', '127', '128', '-128', '-129', '255', '256', '99999', '-99999');
SELECT pg_temp.sample('numeric(4,4)', 'v', '0', '0.0001', '-0.0001', '0.9999', '0.5', '0.0100');
SELECT pg_temp.sample('numeric(38,10)', 'v', '0', '1234567890123456789012345678.0123456789', '-9999999999999999999999999999.9999999999', '0.0000000001', '1');
SELECT pg_temp.sample('numeric(60,20)', 'v', '0', '-1', '1234567890123456789012345678901234567890.01234567890123456789', '-9999999999999999999999999999999999999999.99999999999999999999', '0.00000000000000000001', '170141183460469231731.68730371588410572800');
SELECT pg_temp.sample('numeric(3,5)', 'v', '0', '0.00001', '-0.00123', '0.00999');
SELECT pg_temp.sample('numeric(5,-2)', 'trim_scale(v)', '0', '12300', '-9999900', '149');
SELECT pg_temp.sample('numeric(12,2)', '''!''', 'NaN');
SELECT pg_temp.sample('numeric', 'trim_scale(v)', '0', '0.00', '1', '-1', '10', '100000', '1.10', '1.0000', '0.0001', '0.00010', '0.000100001', '0.0000000000000000000000000000000000001', '-0.00000000000000000000000000000000000100', '12345678.000', '1e20', '1e40', '1e100', '-1e100', '123456789012345678901234567890.123456789012345678901234567890', '3.14159265358979323846264338327950288419716939937510582097494459230781640628620899', '99999999999999999999999999999999999999', '100000000000000000000000000000000000000', '-170141183460469231731687303715884105728', '170141183460469231731687303715884105727', '170141183460469231731687303715884105728', '18446744073709551616', '-18446744073709551616', '-115792089237316195423570985008687907853269984665640564039457584007913129639936', '57896044618658097711785492504343953926634992332820282019728792003956564819968', '-57896044618658097711785492504343953926634992332820282019728792003956564819968');
SELECT pg_temp.sample('numeric', '''!''', 'NaN', 'Infinity', '-Infinity');

SELECT pg_temp.sample('text', 'v', '', 'a', 'hello world', 'Grüße, 世界 🌍', E'tab\tnewline\nquote"back\\slash', repeat('x', 63), repeat('x', 64), repeat('é', 200));
SELECT pg_temp.sample('varchar(20)', 'v', '', 'abc', 'trail  ');
SELECT pg_temp.sample('char(5)', 'format(''%s'', v)', '', 'ab', 'abcde', 'é');
SELECT pg_temp.sample('name', 'v', '', 'pg_class');
SELECT pg_temp.sample('citext', 'v', '', 'MiXeD');
SELECT pg_temp.sample('mood', 'v', 'sad', 'o,k', 'it''s "fine"', 'Ümläut');
SELECT pg_temp.sample('uuid', 'v', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11');
SELECT pg_temp.sample('json', 'v', '{}', '{"b" : 1,  "a":[true,null,"x\u0000"], "b":2}', '"text"', 'null', ' [1] ');
SELECT pg_temp.sample('jsonb', 'v', '{}', '{"b" : 1,  "a":[true,null,"x"], "b":2}', '"text"', 'null', '1.10', '[]');
SELECT pg_temp.sample('bytea', 'encode(v, ''hex'')', '', '\x00', '\x5c', '\x0001027f80ff27225c', '\xdeadbeef', '\x' || repeat('ab', 100));
SET bytea_output = 'escape';
SELECT pg_temp.sample('bytea', 'encode(v, ''hex'')', '', '\x00', '\x5c', '\x5c78', '\x0001027f80ff27225c', 'plain', '\x5c5c30', '\x' || repeat('ab', 100));
SET bytea_output = 'hex';

SELECT pg_temp.sample('date', 'v - date ''1970-01-01''', '1970-01-01', '1969-12-31', '2000-01-01', '2000-02-29', '1900-03-01', '2024-02-29', '2024-12-31', '9999-12-31', '10000-01-01', '5874897-12-31', '0001-01-01', '0001-12-31 BC', '0005-02-29 BC', '0044-03-15 BC', '4713-01-01 BC');
SELECT pg_temp.sample('date', '''!''', 'infinity', '-infinity');
SELECT pg_temp.sample('time', '(extract(epoch FROM v) * 1000000)::bigint', '00:00', '00:00:00.000001', '12:34:56', '12:34:56.7', '12:34:56.789012', '23:59:59.999999', '24:00:00');
SELECT pg_temp.sample('time(6)', '(extract(epoch FROM v) * 1000000)::bigint', '12:34:56.789012');
SELECT pg_temp.sample('time(4)', '(extract(epoch FROM v) * 1000000)::bigint', '12:34:56.789012');
SELECT pg_temp.sample('time(3)', '(extract(epoch FROM v) * 1000)::bigint', '12:34:56.789', '24:00:00');
SELECT pg_temp.sample('time(0)', '(extract(epoch FROM v) * 1000)::bigint', '12:34:56.7', '23:59:59.9');
SELECT pg_temp.sample('timetz', '(v AT TIME ZONE ''UTC'')::time::text || ''Z''', '00:00+00', '12:34:56.789+02', '12:34:56.7890-08', '00:30+05:30', '23:59:59.999999-15:59:59', '12:00:00.1+00:00:01', '24:00:00+02', '24:00:00-02', '00:00+14');
SELECT pg_temp.sample('timetz', '''24:00:00Z''', '24:00:00+00');
SELECT pg_temp.sample('timetz(2)', '(v AT TIME ZONE ''UTC'')::time::text || ''Z''', '12:34:56.789+02', '12:34:56.1+02');
SELECT pg_temp.sample('timestamp', 'trunc(extract(epoch FROM v) * 1000000)', '1970-01-01 00:00', '2000-01-01 00:00', '1999-12-31 23:59:59.999999', '2024-02-29 12:34:56.789012', '1969-12-31 23:59:59.999999', '0001-01-01 00:00', '0001-12-31 23:59:59.5 BC', '4713-01-01 00:00 BC', '10000-01-01 00:00', '294246-12-31 23:59:59.999999');
-- Here the server's extract() rounds.
SELECT pg_temp.sample('timestamp', '9223372036854775807', '294247-01-10 04:00:54.775807');
SELECT pg_temp.sample('timestamp', '''!''', 'infinity', '-infinity', '294247-01-10 04:00:54.775808', '294276-12-31 23:59:59.999999');
SELECT pg_temp.sample('timestamp(6)', 'trunc(extract(epoch FROM v) * 1000000)', '2024-02-29 12:34:56.789012');
SELECT pg_temp.sample('timestamp(3)', 'trunc(extract(epoch FROM v) * 1000)', '2024-02-29 12:34:56.789', '1969-12-31 23:59:59.999', '0044-03-15 01:02:03.456 BC', '294276-12-31 23:59:59.999');
SELECT pg_temp.sample('timestamp(0)', 'trunc(extract(epoch FROM v) * 1000)', '2024-02-29 12:34:56.789', '1950-06-07 08:09:10');
SELECT pg_temp.sample('timestamp(3)', '''!''', 'infinity', '-infinity');
SELECT pg_temp.sample('timestamptz', 'to_char(v, ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'')', '1970-01-01 00:00+00', '2024-02-29 12:34:56.789012+00', '2024-02-29 12:34:56+02', '2024-02-29 12:34:56.7-08', '2023-12-31 23:59:59.999999-00:30', '0001-01-01 00:00+00', '9999-12-31 23:59:59.999999+00', '1969-12-31 23:59:59.999999+00', '1883-11-18 12:00:00.1+00');
SELECT pg_temp.sample('timestamptz(3)', 'to_char(v, ''YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'')', '2024-02-29 12:34:56.789012+00', '2024-02-29 12:34:56+02');
SELECT pg_temp.sample('timestamptz(1)', 'to_char(v, ''YYYY-MM-DD"T"HH24:MI:SS.FF1"Z"'')', '2024-02-29 12:34:56.789012+00', '2024-02-29 12:34:56+02');
SELECT pg_temp.sample('timestamptz(0)', 'to_char(v, ''YYYY-MM-DD"T"HH24:MI:SS"Z"'')', '2024-02-29 12:34:56.789012+00', '2024-02-29 12:34:56+02');
SELECT pg_temp.sample('timestamptz', 'v', 'infinity', '-infinity');
SELECT pg_temp.sample('timestamptz', '''+10000-01-01T00:00:00.000000Z''', '10000-01-01 00:00+00');
SELECT pg_temp.sample('timestamptz', '''+294276-12-31T23:59:59.999999Z''', '294276-12-31 23:59:59.999999+00');
SELECT pg_temp.sample('timestamptz', '''0000-12-31T23:59:59.500000Z''', '0001-12-31 23:59:59.5+00 BC');
SELECT pg_temp.sample('timestamptz', '''-0043-03-15T01:02:03.000000Z''', '0044-03-15 01:02:03+00 BC');
SELECT pg_temp.sample('timestamptz', '''-4712-01-01T00:00:00.000000Z''', '4713-01-01 00:00+00 BC');
SELECT pg_temp.sample('interval', '(extract(year FROM v) * 12 + extract(month FROM v)) * 2629800000000 + extract(day FROM v) * 86400000000 + (extract(hour FROM v) * 3600 + extract(minute FROM v) * 60) * 1000000 + extract(microseconds FROM v)::bigint', '0', '1 second', '-1 second', '0.5 seconds', '-0.5 seconds', '-0.000001 seconds', '1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds', '-1 year -2 mons +3 days -04:05:06.789', '1 mon -1 day', '1 month', '-1 month', '100 years', '25:00:00', '-2562047788:00:54.775807', '2562047788:00:54.775807', '1 day 00:00:00.000001', '11 months', '13 months', '-13 months');
SELECT pg_temp.sample('interval day to second(2)', '(extract(day FROM v) * 86400000000 + (extract(hour FROM v) * 3600 + extract(minute FROM v) * 60) * 1000000 + extract(microseconds FROM v)::bigint)', '1 day 2:03:04.567');
SELECT pg_temp.sample('interval', '''!''', 'infinity', '-infinity', '178000000 years');

SELECT pg_temp.sample('price', 'v', '0', '12.3', '-99999999.99');
SELECT pg_temp.sample('net_price', 'v', '0', '12.3');
SELECT pg_temp.sample('short_time', '(extract(epoch FROM v) * 1000)::bigint', '01:02:03.45');
SELECT pg_temp.sample('slug', 'v', 'a-b');

SELECT pg_temp.sample('boolean[]', '''-''', '{}', '{t}', '{t,f,NULL}', '{NULL,NULL}', '[0:1]={t,f}', '[-5:-4]={t,f}');
SELECT pg_temp.sample('smallint[]', '''-''', '{}', '{1,-2,NULL,32767}');
SELECT pg_temp.sample('integer[]', '''-''', '{}', '{1,-2,NULL,2147483647}');
SELECT pg_temp.sample('bigint[]', '''-''', '{}', '{1,-2,NULL,9223372036854775807}');
SELECT pg_temp.sample('real[]', '''-''', '{}', '{1.5,NaN,-Infinity,NULL,1e-45}');
SELECT pg_temp.sample('double precision[]', '''-''', '{}', '{1.5,NaN,-Infinity,NULL,1e300}');
SELECT pg_temp.sample('numeric(6,2)[]', '''-''', '{}', '{1.5,NULL,-1234.56,0}');
SELECT pg_temp.sample('numeric[]', '''-''', '{}', '{1.5,NULL,-1234.5600,0,1e50}');
SELECT pg_temp.sample('text[]', '''-''', '{}', '{a,b}', '{"",NULL,"NULL",null,"null"}', '{"a b","c,d","{e}","f\"g","h\\i"," j ","k\\\\"}', E'{"tab\there","new\nline",Grüße,世界}', '[3:4]={a,"="}', '{"[1:2]={x}"}');
SELECT pg_temp.sample('varchar(3)[]', '''-''', '{}', '{abc,NULL}');
SELECT pg_temp.sample('char(3)[]', '''-''', '{}', '{a,NULL}');
SELECT pg_temp.sample('name[]', '''-''', '{a,"b c"}');
SELECT pg_temp.sample('citext[]', '''-''', '{a,"B c"}');
SELECT pg_temp.sample('bytea[]', '''-''', '{}', '{"\\x00ff","\\x",NULL}');
SELECT pg_temp.sample('uuid[]', '''-''', '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,NULL}');
SELECT pg_temp.sample('json[]', '''-''', '{"{\"a\": \"b\\\"c\"}",NULL,"null"}');
SELECT pg_temp.sample('jsonb[]', '''-''', '{"{\"a\": \"b\\\"c\"}",NULL,"null"}');
SELECT pg_temp.sample('date[]', '''-''', '{2024-02-29,NULL,"0044-03-15 BC"}');
SELECT pg_temp.sample('time(3)[]', '''-''', '{12:34:56.789,NULL}');
SELECT pg_temp.sample('timetz[]', '''-''', '{12:34:56.789+02,NULL}');
SELECT pg_temp.sample('timestamp[]', '''-''', '{"2024-02-29 12:34:56.789",NULL}');
SELECT pg_temp.sample('timestamptz[]', '''-''', '{"2024-02-29 12:34:56.789+02",NULL,infinity}');
SELECT pg_temp.sample('interval[]', '''-''', '{"1 day",NULL,"-1.5 seconds"}');
SELECT pg_temp.sample('mood[]', '''-''', '{sad,"o,k",NULL,"it''s \"fine\"","Ümläut"}');
SELECT pg_temp.sample('moods', '''-''', '{sad,NULL}');
SELECT pg_temp.sample('prices', '''-''', '{1,NULL,-2.345}');
SELECT pg_temp.sample('price[]', '''-''', '{1,NULL,-2.34}');
SELECT pg_temp.sample('bit', 'v::int::boolean', '0', '1');
-- The last bit is the lowest of the first byte; zeros on the left are not written.
SELECT pg_temp.sample('bit(3)', 'CASE v WHEN b''000'' THEN '''' WHEN b''001'' THEN ''01'' ELSE ''06'' END', '000', '001', '110');
SELECT pg_temp.sample('bit(64)', '''ffffffffffffffff''', repeat('1', 64));
SELECT pg_temp.sample('bit(64)', '''0000000000000080''', '1' || repeat('0', 63));
SELECT pg_temp.sample('bit(70)', '''-''', '1' || repeat('01', 34) || '1');
SELECT pg_temp.sample('varbit(1)', 'v = ''1''', '0', '1');
SELECT pg_temp.sample('varbit(1)', '''!''', '');
SELECT pg_temp.sample('varbit(12)', '''-''', '', '0', '1', '000000001', '101010101010');
SELECT pg_temp.sample('varbit', '''''', '', '0');
SELECT pg_temp.sample('varbit', '''80''', '10000000', '00000000010000000');
SELECT pg_temp.sample('varbit', '''0001''', '100000000');
SELECT pg_temp.sample('bit(3)[]', '''-''', '{101,NULL}');
SELECT pg_temp.sample('bit[]', '''-''', '{1,NULL,0}');
SELECT pg_temp.sample('money', 'v::numeric', '0', '0.01', '-0.01', '1', '-1.10', '999.99', '1000', '-1000', '1234567.89', '92233720368547758.07', '-92233720368547758.08');
SELECT pg_temp.sample('money[]', '''-''', '{1234.5,NULL}');
SELECT pg_temp.sample('oid', 'v', '0', '1', '4294967295');
SELECT pg_temp.sample('xid', 'v', '3', '4294967295');
SELECT pg_temp.sample('cid', 'v', '0', '4294967295');
SELECT pg_temp.sample('oid[]', '''-''', '{1,NULL}');
SELECT pg_temp.sample('xid8', 'v', '3', '18446744073709551615');
SELECT pg_temp.sample('tid', 'v', '(0,1)', '(4294967295,65535)');
SELECT pg_temp.sample('pg_lsn', 'v', '0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF');
SELECT pg_temp.sample('pg_snapshot', 'v', '10:20:', '10:20:10,14,15', '1:1:');
SELECT pg_temp.sample('txid_snapshot', 'v', '10:20:10,14,15');
SELECT pg_temp.sample('"char"', 'v', '', 'a', '"', '\200', '\377');
SELECT pg_temp.sample('"char"[]', '''-''', '{"",a,NULL,"\""}');
SELECT pg_temp.sample('xml', 'format(''%s'', v)', '', '<a/>', '<a b="1">é</a>', 'text<b/>', '<?xml version="1.0"?><a/>', '<?xml version="1.1" standalone="yes"?><a/>', '<?xml version="1.0" encoding="UTF-8"?><a/>');
SELECT pg_temp.sample('jsonpath', 'v', '$', 'strict $."a"[*] ? (@ > 1)');
SELECT pg_temp.sample('inet', 'format(''%s'', v)', '0.0.0.0', '10.1.2.3', '10.1.2.3/8', '10.1.2.3/32', '::', '::1', '::2', '::ffff:1.2.3.4', '::1.2.3.4', '::1:2', '1::', '1:0:0:2::3', '1:0:0:2:0:0:0:3', '2001:db8::1/64', '0:1:2:3:4:5:6:7', '1:2:3:4:5:6:7:0', '::ffff:0:1', '::fffe:1.2.3.4', '0:0:1::', '1:0:2:0:3:0:4:0', '1:0:0:2:0:0:3:4');
SELECT pg_temp.sample('cidr', 'v', '10.0.0.0/8', '10.1.2.3/32', '0.0.0.0/0', '::/0', '2001:db8::/32', '::1/128');
SELECT pg_temp.sample('inet[]', '''-''', '{10.0.0.1,NULL,::1/64}');
SELECT pg_temp.sample('macaddr', 'v', '08:00:2b:01:02:03');
SELECT pg_temp.sample('macaddr8', 'v', '08:00:2b:01:02:03:04:05');
SELECT pg_temp.sample('point', '''-''', '(0,0)', '(1.5,-2.25)', '(1e300,-1e-300)', '(NaN,Infinity)', '(-0,5.684341886080801e-14)');
SELECT pg_temp.sample('point[]', '''-''', '{"(1,2)",NULL}');
SELECT pg_temp.sample('lseg', '''-''', '[(1,2),(3,4.5)]', '[(1e-5,1e15),(-0.0001,123456789012345)]');
SELECT pg_temp.sample('box', '''-''', '(3,4),(1,2)', '(-1,-2),(-3,-4)');
SELECT pg_temp.sample('box[]', '''-''', '{}', '{(3,4),(1,2);(1,1),(0,0)}', '{NULL;(1,1),(0,0)}');
SELECT pg_temp.sample('path', '''-''', '[(1,2),(3,4)]', '((1,2),(3,4),(5,6))', '((1,2))');
SELECT pg_temp.sample('polygon', '''-''', '((1,2),(3,4),(5,6))', '((0,0))');
SELECT pg_temp.sample('line', '''-''', '{1,-1,0}', '{0.1,0.2,-3e100}');
SELECT pg_temp.sample('circle', '''-''', '<(1,2),3.5>', '<(0,0),0>');
SELECT pg_temp.sample('int4range', 'v', 'empty', '[1,5)', '(,5)', '[1,)', '(,)', '[-2147483648,2147483647)');
SELECT pg_temp.sample('int8range', 'v', '[1,9223372036854775807)');
SELECT pg_temp.sample('numrange', 'v', '[1.10,2.0]', '(-1e20,0.000)', '(NaN,NaN]', '[-Infinity,Infinity]', '(0.00001,123456.789000)', '(0.000,10000)', '[-0.00012300,100000000]');
SELECT pg_temp.sample('daterange', 'v', '[2024-02-29,infinity)', '[0044-03-15 BC,2024-01-01)', '(,)', '[4713-01-01 BC,5874897-12-31)');
SELECT pg_temp.sample('tsrange', 'v', '[2024-02-29 12:34:56.789,2024-03-01)', '[-infinity,infinity]', '["0044-03-15 00:00:00 BC",)', '[,294276-12-31 23:59:59.999999]');
SELECT pg_temp.sample('tstzrange', 'v', '[2024-02-29 12:34:56.789+02,2024-03-01 00:00:00+00]', '(,infinity)');
SELECT pg_temp.sample('floats', 'v', '[1e15,1e16)', '(-0.1,NaN]', '[5e-324,1.7976931348623157e308]', '[5.684341886080801e-14,9007199254740993]', '[2e23,9e23)', '[1e22,1e23]', '[-1e-4,123456.5]', '[2251799813685248.25,2251799813685248.75]', '[5.351097043477547e-197,5.758609657015292e+163]');
SELECT pg_temp.sample('reals', 'v', '[1e-5,0.0001]', '[99999.9,1e6)', '[4017540.25,4017540.75]', '[1e-45,3.4028235e38]', '[8388608.5,16777216]', '[1.2621775e-29,1.5474251e+26]');
SELECT pg_temp.sample('words', 'v', '[a,b)', '["a b","c,d"]', '("",z]', '["\"q\"","z\\"]', E'[Grüße,"z\ty"]');
SELECT pg_temp.sample('spans', 'v', '[1,5)');
SELECT pg_temp.sample('int4range[]', '''-''', '{"[1,5)",NULL,empty}');
SELECT pg_temp.sample('int4multirange', 'v', '{}', '{[1,3),[5,7)}', '{(,)}');
SELECT pg_temp.sample('tstzmultirange', 'v', '{[2024-02-29 12:34:56.789+02,2024-03-01),[2025-01-01,)}');
SELECT pg_temp.sample('many_floats', 'v', '{[1,2),[3.5,NaN]}');
SELECT pg_temp.sample('tsvector', 'v', '', 'a', '''a b'':1A,2B,3C,4 ''it''''s'' ''back\\slash'' fat:16383', E'\'Grüße\':1');
SELECT pg_temp.sample('tsquery', 'v', '', 'a', 'a & b | !c', '!(a | b) & c', 'a <-> b <3> c', 'a <-> (b <-> c)', '(a | b) <-> c', '''it''''s'':*AB & ''back\\'':D', '!!a', '!a <-> b', 'a & (b & (c & d))', 'a | (b & !(c | d) <-> e)');
SELECT pg_temp.sample('int2vector', 'v', '', '1 -2 3');
SELECT pg_temp.sample('oidvector', 'v', '1 4294967295');
SELECT pg_temp.sample('pair', 'v', '(1,a)', '(,)', '(,"")', '(-5,"a b")', '(1,"say \"x\", (y) \\z")', E'(1,"tab\there")', '(1,Grüße)', '(1,"{a}")', '(1,NULL)');
SELECT pg_temp.sample('inner_pair', 'v', '("(1,""a b"")",1.5,"{1,NULL,3}","o,k")', '(,,,)', '("(,)",-0.10,"{{1,2},{3,4}}",sad)', '(,,"[0:1]={1,2}",)');
SELECT pg_temp.sample('mixed', 'v', '(t,1.5,0.1,"\\x00ff",2024-02-29,12:34:56.7,12:34:56+05:30:15,"2024-02-29 12:00:00","2024-02-29 12:00:00+02","1 year -2 mons 3 days -04:05:06.789",a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,"{""a"": 1}",1.50,101,$1.50)', '(f,1e-7,1e300,"",-infinity,24:00:00,00:00:00-12,infinity,-infinity,0,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,"""x""",NaN,"",-$1234.56)', '(,,,,0044-03-15 BC,00:00:00.000001,,,"0044-03-15 00:00:00 BC",-1.5 seconds,,null,-0.001,1,)');
SELECT pg_temp.sample('pair[]', '''-''', '{"(1,a)",NULL,"(2,\"b c\")"}');
SELECT pg_temp.sample('hstore', 'replace(replace(hstore_to_json(v)::text, ''": '', ''":''), '', "'', '',"'')', '', 'a=>1', '"a b"=>"c\"d", e=>NULL', '"back\\slash"=>"new
line", ""=>"", "NULL"=>"NULL", "ü"=>"世界"');
SELECT pg_temp.sample('hstore[]', '''-''', '{"a=>1",NULL}');
SELECT pg_temp.sample('ltree', 'v', '', 'Top.Science', 'a_1.b');
SELECT pg_temp.sample('lquery', 'v', 'Top.*.a@|b%');
SELECT pg_temp.sample('ltxtquery', 'v', 'Top & !a*@');
SELECT pg_temp.sample('integer[]', '''!''', '{{1,2},{3,4}}', '{{{1}}}', '[2:3][0:0]={{1},{2}}');
SELECT pg_temp.sample('date[]', '''!''', '{infinity}');
SELECT pg_temp.sample('numeric(6,2)[]', '''!''', '{NaN}');
\o

\set names '{citext,_citext,hstore,_hstore,ltree,lquery,ltxtquery,regclass}'
\ir lines.sql
