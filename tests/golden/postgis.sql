-- Makes postgis.tsv, as types.sql makes types.tsv, on a server that has the extension (made with
-- PostGIS 3.3.2 on PostgreSQL 15, from Debian's postgresql-15-postgis-3):
--
--     psql -X -q -f postgis.sql scratch_database > postgis.tsv
--
-- `expected` are the SRID and the EWKB. The server sends its own byte order, which here is the lowest
-- byte first.
\ir sample.sql
CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public;
CREATE DOMAIN place AS geometry(Point, 4326);
CREATE TYPE visit AS (a geometry, b geography, c place[], d text);

CREATE FUNCTION pg_temp.shape(v geometry) RETURNS text LANGUAGE sql AS $$
    SELECT concat(coalesce(nullif(ST_SRID(v), 0)::text, 'none'), ' ', encode(ST_AsEWKB(v), 'hex'))
$$;

\o /dev/null
SELECT pg_temp.sample('geometry', 'pg_temp.shape(v)', 'POINT(1 2)', 'SRID=4326;POINT(-71.060316 48.432044)', 'POINT EMPTY', 'POINT Z (1 2 3)', 'SRID=3857;POINT M (1 2 3)', 'POINT ZM (1 2 3 4)', 'LINESTRING(0 0,1 1,2 0.5)', 'LINESTRING EMPTY', 'POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))', 'MULTIPOINT(1 2,3 4)', 'SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))', 'GEOMETRYCOLLECTION EMPTY', 'SRID=4326;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))', 'CIRCULARSTRING(0 0,1 1,2 0)', 'SRID=999999;POINT(0 0)', 'POLYHEDRALSURFACE Z (((0 0 0,0 0 1,0 1 1,0 1 0,0 0 0)))', 'TRIANGLE((0 0,0 9,9 0,0 0))');
SELECT pg_temp.sample('geometry(Point,4326)', 'pg_temp.shape(v)', 'SRID=4326;POINT(1 2)');
SELECT pg_temp.sample('place', 'pg_temp.shape(v)', 'SRID=4326;POINT(1 2)');
SELECT pg_temp.sample('geography', 'pg_temp.shape(v::geometry)', 'POINT(-71.060316 48.432044)', 'POINT EMPTY', 'POINT Z (1 2 3)', 'LINESTRING(0 0,1 1)', 'POLYGON((0 0,4 0,4 4,0 0))', 'SRID=4267;POINT(1 2)', 'GEOMETRYCOLLECTION(POINT(1 2))');
SELECT pg_temp.sample('geography(LineString)', 'pg_temp.shape(v::geometry)', 'LINESTRING(0 0,1 1)');
SELECT pg_temp.sample('geometry[]', '''-''', '{}', '{POINT(1 2):NULL:SRID=4326;POINT(3 4)}', '[0:0]={POINT EMPTY}');
SELECT pg_temp.sample('geography[]', '''-''', '{POINT(1 2):NULL:POINT(3 4)}');
SELECT pg_temp.sample('place[]', '''-''', '{SRID=4326;POINT(1 2):NULL}');
SELECT pg_temp.sample('geometry[]', '''!''', '{{POINT(1 2)}:{POINT(3 4)}}');
SELECT pg_temp.sample('visit', 'v', '("POINT(1 2)","POINT(3 4)","{SRID=4326;POINT(1 2):NULL}","a b")', '(,,,)', '(SRID=4326;LINESTRING EMPTY,,{},)');
SELECT pg_temp.sample('visit[]', '''-''', '{"(\"POINT(1 2)\",,,)",NULL}');
\o

\set names '{geometry,_geometry,geography,_geography}'
\ir lines.sql
