//! Ordinary clients read the events: confluent-kafka's Python consumer and AvroDeserializer, in each
//! of the ways in which they can be written.

use std::process::Command;
use std::time::Duration;

use super::scene::SCHEMA;
use crate::support::stack::{Space, installed, shared};
use crate::support::walbrook::{Walbrook, write_file};
use crate::support::{process, run};

#[test]
fn python_avro_deserializer_reads_what_select_returns() {
    run(LIMIT, async {
        let space = Space::new(&shared().postgres, "clients").await;
        let prefix = &space.prefix;
        let schema = write_file("order.avsc", SCHEMA);
        let outbox = format!(
            "[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{prefix}.events.{{route}}\"\n\
             [[outbox.schemas]]\nroute = \"order\"\nfile = \"{}\"\n",
            schema.display()
        );
        let config = space.config(shared(), &outbox);
        let topic = format!("{prefix}.events.order");
        let more = ["--outbox", "outbox", "--outbox-topic", &topic];
        reads("avro_deserializer.py", &space, &config, [TABLE, ROWS], EVENTS, &more).await;
    });
}

#[test]
fn avros_logical_types_are_what_select_returns() {
    run(LIMIT, async {
        let space = Space::new(&shared().postgres, "logical").await;
        let values = "[values]\nrepresentation = \"avro\"\non_unrepresentable = \"text\"\n";
        let config = space.config(shared(), values);
        let sql = [format!("{TABLE}{MORE_COLUMNS}"), format!("{ROWS}{MORE_VALUES}")];
        let sql = sql.each_ref().map(String::as_str);
        reads("logical_types.py", &space, &config, sql, EVENTS + 4, &[]).await;
    });
}

#[test]
fn json_without_a_registry_says_what_select_returns() {
    run(LIMIT, async {
        let space = Space::new(&shared().postgres, "json").await;
        let formats = "[tables]\nvalue_format = \"json\"\nkey_format = \"string\"\n";
        let config = without_registry(&space.config(shared(), formats));
        reads("plain_json.py", &space, &config, [TABLE, ROWS], EVENTS, &[]).await;
    });
}

#[test]
fn json_with_schemas_is_what_select_returns_and_null_where_a_value_has_no_place() {
    run(LIMIT, async {
        let space = Space::new(&shared().postgres, "schemas").await;
        let formats = "[tables]\nvalue_format = \"json_schemas\"\nkey_format = \"json_schemas\"\n\
             [values]\non_unrepresentable = \"null\"\n";
        let config = without_registry(&space.config(shared(), formats));
        let rows = format!("{ROWS}{NO_PLACE}");
        reads("connect_json.py", &space, &config, [TABLE, &rows], EVENTS + 1, &[]).await;
    });
}

/// Runs walbrook while rows are written, and a client that compares them with its events.
async fn reads(
    client: &str,
    space: &Space,
    config: &str,
    [table, rows]: [&str; 2],
    events: u32,
    more: &[&str],
) {
    let stack = shared();
    let Space { database, prefix, .. } = space;
    stack.postgres.execute(database, table).await;
    let mut walbrook = Walbrook::spawn(config);
    space.ready(&stack.postgres, &mut walbrook).await;
    stack.postgres.execute(database, rows).await;

    let socket = stack.postgres.socket_folder().display();
    let port = stack.postgres.port();
    let dsn = format!("host={socket} port={port} dbname={database} user=postgres");
    let mut python = Command::new(installed("python"));
    python.arg(format!("{}/tests/clients/select/{client}", env!("CARGO_MANIFEST_DIR")));
    python.args(["--bootstrap", &stack.kafka.bootstrap(), "--registry", &stack.registry.url()]);
    python.args(["--dsn", &dsn, "--table", "kinds", "--topic", &format!("{prefix}.public.kinds")]);
    python.args(["--events", &events.to_string()]).args(more);
    println!("{}", process::run(python));
    assert!(walbrook.stop(Duration::from_secs(30)).success(), "{:?}", walbrook.log());
}

/// A configuration that names no registry.
fn without_registry(config: &str) -> String {
    let (before, rest) = config.split_once("[registry]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    format!("{before}{after}")
}

const LIMIT: Duration = Duration::from_secs(240);

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

/// Values that their fields cannot hold.
const NO_PLACE: &str = "UPDATE kinds SET fixed = 'NaN', wholes = '{{1,2},{3,4}}' WHERE id = 5;";

/// 40 insertions, 2 updates, a key change (deletion, tombstone, creation), a deletion, a tombstone.
const EVENTS: u32 = 47;

/// What Avro's own representation has types for, and Debezium's has not.
const MORE_COLUMNS: &str = "
    CREATE EXTENSION hstore;
    ALTER TABLE kinds ADD store hstore, ADD flags bit(5), ADD place point, ADD wholes_from_to int4range,
        ADD numbers_from_to numrange, ADD days_from_to daterange, ADD moments_from_to tstzrange,
        ADD clocks_from_to tsrange, ADD spells datemultirange, ADD ranges int4range[];
";

const MORE_VALUES: &str = r#"
    UPDATE kinds SET span = '1 year 2 months -3 days 04:05:06.7', store = 'a=>1, "b c"=>NULL, "d"=>"e\"f"',
        flags = '00101', place = '(1.5,-2)', wholes_from_to = '[1,5)', numbers_from_to = '(0.10,7]',
        days_from_to = '[2024-02-29,)', moments_from_to = '["2024-02-29 12:00:00.5+02",)',
        clocks_from_to = '(,"1969-12-31 23:59:59.999999"]', spells = '{[2024-01-01,2024-02-01),[2024-03-01,)}',
        ranges = '{"[1,2)",NULL,empty,"(,)"}' WHERE id = 1;
    UPDATE kinds SET span = '-178956970 years -8 months', store = '', wholes_from_to = 'empty',
        numbers_from_to = '(,)', spells = '{}', ranges = '{}' WHERE id = 2;
    UPDATE kinds SET fixed = 'NaN', wholes = '{{1,2},{3,4}}' WHERE id = 5;
    UPDATE kinds SET free = 0.1000, span = '-1 month 1 day -00:00:00.000001' WHERE id = 4;
"#;
