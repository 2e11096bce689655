-- What the files beside it begin with: sample() adds a line to what lines.sql prints.
--
-- Lines (tab-separated, escaped as COPY escapes):
--   type   oid  name  schema  shape  detail (base or element, modifier, labels, attributes)
--   value  declared-type  oid  modifier  text-form  binary-form-in-hex  expected
-- `expected` is the Avro value as text (days, microseconds, milliseconds, hex of bytes, decimal
-- digits, ISO text …), `!` where there must be an error, `-` where only the agreement of the two
-- forms is tested.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
-- Those of types::SESSION_SETTINGS.
SET client_encoding = 'UTF8';
SET DateStyle = 'ISO';
SET IntervalStyle = 'iso_8601';
SET TimeZone = 'UTC';
SET extra_float_digits = 3;
SET bytea_output = 'hex';
SET lc_monetary = 'C';

DROP SCHEMA IF EXISTS golden CASCADE;
CREATE SCHEMA golden;
SET search_path = golden, public;

CREATE TEMP TABLE result (ordinal serial, line text[]);

-- Adds one line for each literal. `expected` is an SQL expression over v.
CREATE FUNCTION pg_temp.sample(declared text, expected text, VARIADIC literals text[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    type_oid oid := to_regtype(declared);
    -- The modifier that a column of this type gets.
    modifier int;
    sender text;
    root oid := type_oid;
    literal text;
    line text[];
BEGIN
    EXECUTE format('CREATE TEMP TABLE probe (v %s)', declared);
    SELECT atttypmod INTO modifier FROM pg_attribute
    WHERE attrelid = 'probe'::regclass AND attname = 'v';
    DROP TABLE probe;
    WHILE (SELECT typtype FROM pg_type WHERE oid = root) = 'd' LOOP
        SELECT typbasetype INTO root FROM pg_type WHERE oid = root;
    END LOOP;
    SELECT format('%I', p.proname) INTO sender
    FROM pg_type t JOIN pg_proc p ON p.oid = t.typsend WHERE t.oid = root;
    FOREACH literal IN ARRAY literals LOOP
        EXECUTE format(
            'SELECT ARRAY[''value'', %L, %L, %L, format(''%%s'', v), encode(%s(v), ''hex''), (%s)::text]
             FROM (SELECT %L::%s AS v) s',
            declared, type_oid::text, modifier::text, sender, expected, literal, declared
        ) INTO line;
        INSERT INTO result (line) VALUES (line);
    END LOOP;
END $$;
