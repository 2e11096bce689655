-- What the files beside it end with: prints the types of the schema golden and those whose names are
-- in the variable, then the samples.
\pset format unaligned
\pset tuples_only on
COPY (
    SELECT 'type', t.oid, typname, nspname,
        CASE
            WHEN typtype = 'b' AND typoutput = 'array_out'::regproc THEN 'array'
            WHEN typtype = 'b' THEN 'base'
            WHEN typtype = 'c' THEN 'composite'
            WHEN typtype = 'd' THEN 'domain'
            WHEN typtype = 'e' THEN 'enum'
            WHEN typtype = 'm' THEN 'multirange'
            WHEN typtype = 'p' THEN 'pseudo'
            WHEN typtype = 'r' THEN 'range'
        END,
        CASE
            WHEN typtype = 'b' AND typoutput = 'array_out'::regproc THEN typelem::text
            WHEN typtype = 'd' THEN typbasetype || ' ' || typtypmod
            WHEN typtype IN ('m', 'r') THEN (
                SELECT rngsubtype::text FROM pg_range WHERE t.oid IN (rngtypid, rngmultitypid)
            )
            WHEN typtype = 'c' THEN (
                SELECT string_agg(atttypid::text, ' ' ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = typrelid AND 0 < attnum
            )
            WHEN typtype = 'e' THEN (
                SELECT string_agg(enumlabel, '|' ORDER BY enumsortorder) FROM pg_enum
                WHERE enumtypid = t.oid
            )
            ELSE ''
        END
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
    WHERE nspname = 'golden' OR typname = ANY (:'names')
    ORDER BY nspname = 'pg_catalog' DESC, typname
) TO STDOUT;
COPY (
    SELECT line[1], line[2], line[3], line[4], line[5], line[6], line[7] FROM result ORDER BY ordinal
) TO STDOUT;
