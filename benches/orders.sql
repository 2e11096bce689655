-- The workload `orders`: 12 columns, about 230 bytes a row.
CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    customer_id integer NOT NULL,
    customer_name text NOT NULL,
    total numeric(12, 2) NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamp NOT NULL,
    note text,
    paid boolean NOT NULL,
    priority smallint NOT NULL,
    status varchar(20) NOT NULL,
    number uuid NOT NULL,
    details jsonb NOT NULL
);

CREATE PROCEDURE place_orders(transactions integer, rows_each integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR transaction IN 1 .. transactions LOOP
        INSERT INTO orders (customer_id, customer_name, total, created_at, updated_at, note, paid,
                            priority, status, number, details)
        SELECT (transaction * 7919 + n) % 100000,
               'Customer No. ' || (transaction * 7919 + n) % 100000,
               ((transaction::bigint * 104729 + n * 37) % 10000000)::numeric / 100,
               now() - n * interval '1 second',
               localtimestamp,
               CASE WHEN n % 4 = 0 THEN NULL ELSE 'please leave it at the door, and ring twice, number ' || n END,
               n % 3 = 0,
               n % 5,
               (ARRAY['new', 'paid', 'packed', 'shipped'])[1 + n % 4],
               gen_random_uuid(),
               jsonb_build_object('things', n % 9, 'gift', n % 7 = 0, 'from', 'the shop', 'tags', jsonb_build_array('a', n % 11))
        FROM generate_series(1, rows_each) AS n;
        COMMIT;
    END LOOP;
END $$;

CREATE PUBLICATION bench FOR TABLE orders;
