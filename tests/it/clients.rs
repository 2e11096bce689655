//! Ordinary clients decode the events: confluent-kafka's Python AvroDeserializer.

use std::process::Command;
use std::time::Duration;

use crate::support::stack::{Space, installed, shared};
use crate::support::walbrook::{Walbrook, write_file};
use crate::support::{process, run};

const TABLE: &str = "
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'so-so', 'happy ever after');
    CREATE DOMAIN cents AS numeric(10, 2) CHECK (VALUE >= 0);
    CREATE DOMAIN label AS varchar(20);
    CREATE TABLE kinds (
        id bigserial PRIMARY KEY,
        truth boolean, small smallint, whole integer, big bigint,
        single real, double double precision,
        fixed numeric(12, 2) NOT NULL DEFAULT 0, scaleless numeric(20), free numeric,
        words text, short varchar(40), padded char(8), system name, folded citext,
        bytes bytea, number uuid, day date, clock time, zoned_clock timetz,
        moment timestamp, zoned_moment timestamptz, span interval,
        plain_json json, binary_json jsonb, feeling mood, price cents, tag label,
        wholes integer[], texts text[], fixeds numeric(8, 3)[], moments timestamptz[],
        numbers uuid[]
    );
    CREATE TABLE outbox (
        id uuid PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL,
        type text NOT NULL, payload jsonb NOT NULL
    );
    CREATE PUBLICATION walbrook FOR TABLE kinds, outbox;
";

const ROWS: &str = r#"
    INSERT INTO kinds VALUES (
        1, true, 32767, 2147483647, 9223372036854775807, 1.5, 0.1,
        9999999999.99, 99999999999999999999, 3.14159265358979323846264338327950288,
        'crème brûlée 🚲', 'short', 'pad', 'a_name', 'MiXed', '\x00ff10',
        '6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11', '2024-02-29', '23:59:59.999999', '12:34:56.7+02',
        '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.123456+05:30', '3 days 04:05:06.000007',
        '{"a" : [1, 2.50, null]}', '{"b": {"c": "d"}, "e": []}', 'happy ever after', 12.30, 'red',
        '{1,NULL,-3}', '{"a","",NULL,"b,\"c"}', '{1.000,-2.125}',
        '{"2024-02-29 12:34:56+00","1969-12-31 23:59:59.5+00"}',
        '{6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11,NULL}'
    );
    INSERT INTO kinds VALUES (
        2, false, -32768, -2147483648, -9223372036854775808, '-Infinity', 'NaN',
        -0.01, -1, -123456789012345678901234567890.000000001,
        '', '', '', '', '', '', '00000000-0000-0000-0000-000000000000', '0001-01-01', '00:00',
        '00:00+00', '1900-01-01 00:00', '1900-01-01 00:00+00', '-1 days -00:00:01',
        '[]', '{}', 'sad', 0, '', '{}', '{}', '{}', '{}', '{}'
    );
    INSERT INTO kinds (id) VALUES (3);
    INSERT INTO kinds (id, free, scaleless) SELECT n, 10.0 ^ (n - 20), n FROM generate_series(4, 40) AS n;
    UPDATE kinds SET fixed = 1.10, words = repeat('long ', 1000) WHERE id IN (1, 3);
    UPDATE kinds SET id = 103 WHERE id = 3;
    DELETE FROM kinds WHERE id = 40;
    INSERT INTO outbox VALUES
        ('11111111-1111-1111-1111-111111111111', 'order', '17', 'OrderPlaced',
         '{"order": 17, "customer": "Ada", "total": 12.5, "lines": ["tea", "ink"]}'),
        ('22222222-2222-2222-2222-222222222222', 'order', '18', 'OrderPlaced',
         '{"order": 18, "customer": "Ken", "total": 0, "lines": [], "note": "a gift"}');
"#;

/// 40 insertions, 2 updates, a key change (deletion, tombstone, creation), a deletion, a tombstone.
const EVENTS: &str = "47";

const SCHEMA: &str = r#"{
    "type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [
        {"name": "order", "type": "long"},
        {"name": "customer", "type": "string"},
        {"name": "total", "type": "double"},
        {"name": "lines", "type": {"type": "array", "items": "string"}},
        {"name": "note", "type": ["null", "string"], "default": null}
    ]
}"#;

#[test]
fn python_avro_deserializer_reads_what_select_returns() {
    run(Duration::from_secs(240), async {
        let stack = shared();
        let space = Space::new(&stack.postgres, "clients").await;
        let Space { database, prefix, .. } = &space;
        stack.postgres.execute(database, TABLE).await;
        let schema = write_file("order.avsc", SCHEMA);
        let outbox = format!(
            "[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{prefix}.events.{{route}}\"\n\
             [[outbox.schemas]]\nroute = \"order\"\nfile = \"{}\"\n",
            schema.display()
        );
        let mut walbrook = Walbrook::spawn(&space.config(stack, &outbox));
        space.ready(&stack.postgres, &mut walbrook).await;
        stack.postgres.execute(database, ROWS).await;

        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/avro_deserializer.py");
        let socket = stack.postgres.socket_folder().display();
        let port = stack.postgres.port();
        let dsn = format!("host={socket} port={port} dbname={database} user=postgres");
        let mut python = Command::new(installed("python"));
        python.arg(script).args(["--events", EVENTS, "--table", "kinds", "--outbox", "outbox"]);
        python.args(["--bootstrap", &stack.kafka.bootstrap(), "--registry", &stack.registry.url()]);
        python.args(["--dsn", &dsn, "--topic", &format!("{prefix}.public.kinds")]);
        python.args(["--outbox-topic", &format!("{prefix}.events.order")]);
        println!("{}", process::run(python));
        assert!(walbrook.stop(Duration::from_secs(30)).success(), "{:?}", walbrook.log());
    });
}
