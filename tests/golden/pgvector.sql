-- Makes pgvector.tsv, as types.sql makes types.tsv, on a server that has the extension (pgvector
-- 0.8.5 on PostgreSQL 16, which `deploy/servers fetch --pg 16` brings):
--
--     psql -X -q -f pgvector.sql scratch_database > pgvector.tsv
--
-- `expected` of a vector are its elements' bits: of the doubles that its text says, or of a
-- halfvec's floats. That of a sparsevec are its dimensions, and index=bits of each element.
\ir sample.sql
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
CREATE DOMAIN embedding AS vector(3);
CREATE TYPE embeddings AS (a vector, b halfvec, c sparsevec, d embedding[], e text);
CREATE TYPE vectors AS RANGE (subtype = vector);
CREATE TYPE sparse_vectors AS RANGE (subtype = sparsevec);

-- As float8 reads the text of the elements.
CREATE FUNCTION pg_temp.doubles(v text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(encode(float8send(x::float8), 'hex'), ' ' ORDER BY n)
    FROM unnest(string_to_array(btrim(v, '[]'), ',')) WITH ORDINALITY AS u (x, n)
$$;
CREATE FUNCTION pg_temp.floats(v halfvec) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(encode(float4send(x), 'hex'), ' ' ORDER BY n)
    FROM unnest(v::real[]) WITH ORDINALITY AS u (x, n)
$$;
CREATE FUNCTION pg_temp.entries(v text) RETURNS text LANGUAGE sql AS $$
    SELECT concat(split_part(v, '/', 2), string_agg(format(' %s=%s', split_part(x, ':', 1),
        encode(float8send(split_part(x, ':', 2)::float8), 'hex')), '' ORDER BY n))
    FROM unnest(string_to_array(btrim(split_part(v, '/', 1), '{}'), ',')) WITH ORDINALITY AS u (x, n)
$$;
-- A vector of many dimensions, the same every time.
CREATE FUNCTION pg_temp.many(dimensions int) RETURNS text LANGUAGE sql AS $$
    SELECT format('[%s]', string_agg((sin(n) * 10 ^ (n % 9 - 6))::real::text, ',' ORDER BY n))
    FROM generate_series(1, dimensions) AS n
$$;

\o /dev/null
SELECT pg_temp.sample('vector', 'pg_temp.doubles(v::text)', '[1]', '[0]', '[-0]', '[1,2,3]', '[0.1,-0.1,1.5]', '[1e-5,0.0001,1e15,1e6,123456.5]', '[3.4028235e38,-3.4028235e38,1e-45,1.17549435e-38]', '[16777215,16777216,16777217,8388608.5,9999999,1e7]', '[4017540.25,4017540.75,3e10,9.5367e9,2.4414062e-4]', '[0.33333334,0.70710677,-0.0234375,1.2621775e-29,1.5474251e26]', pg_temp.many(200));
SELECT pg_temp.sample('vector(3)', 'pg_temp.doubles(v::text)', '[1,2,3]', '[0.1,0.2,0.3]');
SELECT pg_temp.sample('embedding', 'pg_temp.doubles(v::text)', '[1,2.5,-3]');
SELECT pg_temp.sample('halfvec', 'pg_temp.floats(v)', '[1]', '[0,-0]', '[1,2,3]', '[0.1,-0.1,1.5]', '[65504,-65504,6.1e-5,6.0976e-5]', '[5.9604645e-8,-5.9604645e-8,1.1920929e-7,3e-5]', '[1024,2048,2049,4095,0.99951]', pg_temp.many(64));
SELECT pg_temp.sample('halfvec(2)', 'pg_temp.floats(v)', '[0.25,1e-4]');
SELECT pg_temp.sample('sparsevec', 'pg_temp.entries(v::text)', '{}/1', '{}/32767', '{1:1}/1', '{1:1.5,3:2}/5', '{1:0.1,20:-2,300:1e-30}/400', '{32767:3.5}/32767', '{5:1,2:3,1:-0.5}/5', '{3:0,4:7}/9');
SELECT pg_temp.sample('sparsevec(5)', 'pg_temp.entries(v::text)', '{1:1.5,3:2}/5');
SELECT pg_temp.sample('sparsevec', '''!''', '{}/32768', '{1:1,40000:2}/1000000000');
SELECT pg_temp.sample('vector[]', '''-''', '{}', '{"[1,2]",NULL,"[0.1]"}', '[3:4]={"[1]","[2]"}');
SELECT pg_temp.sample('halfvec[]', '''-''', '{"[1,2]",NULL,"[0.1]"}');
SELECT pg_temp.sample('sparsevec[]', '''-''', '{"{1:1.5,3:2}/5",NULL,"{}/3"}');
SELECT pg_temp.sample('embedding[]', '''-''', '{"[1,2,3]",NULL}');
SELECT pg_temp.sample('vector[]', '''!''', '{{"[1]"},{"[2]"}}');
SELECT pg_temp.sample('embeddings', 'v', '("[1,2.5]","[0.1]","{1:1.5,3:2}/5","{""[1,2,3]"",NULL}","a b")', '(,,{}/3,{},)', '([1],[-0],{2:0.1}/2,,"")');
SELECT pg_temp.sample('embeddings[]', '''-''', '{"([1],,{1:1}/1,,)",NULL}');
SELECT pg_temp.sample('vectors', 'v', 'empty', '["[1,2]","[1,3]")', '("[1]",)', '(,"[0.1]"]');
SELECT pg_temp.sample('sparse_vectors', 'v', '["{1:1,2:2}/3","{1:2}/3"]');
\o

\set names '{vector,_vector,halfvec,_halfvec,sparsevec,_sparsevec}'
\ir lines.sql
