//! The whole path on the oldest PostgreSQL that is supported, and on the newest.

use super::{TEST_LIMIT, check_positions};
use crate::support::flow::{self, LIMIT, position, told};
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;
use crate::support::{records, run, until};

const DDL: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'so-so');
    CREATE TABLE t (id bigserial PRIMARY KEY, flag boolean NOT NULL, word varchar(20),
        price numeric(10, 2), at timestamptz(3), day date, uid uuid, doc jsonb, raw bytea,
        many int[], mood mood, twice numeric(10, 2) GENERATED ALWAYS AS (price * 2) STORED);
    CREATE TABLE outbox (id bigint PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text,
        type text, payload jsonb);
    CREATE PUBLICATION walbrook FOR TABLE t, outbox";

const OUTBOX: &str = "[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{prefix}.event.{route}\"";

const XACT: &str = "BEGIN;
    INSERT INTO t VALUES (DEFAULT, true, 'röd', -1.25, '2024-02-29 12:34:56.789+00', '2024-02-29',
        '6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11', '{\"a\": [1, null]}', '\\x00ff', '{1,NULL}', 'so-so');
    INSERT INTO outbox SELECT lastval(), 'order', lastval(), 'Placed', '{\"n\": 1}';
    UPDATE t SET flag = false, word = NULL WHERE id = lastval();
    COMMIT";

/// Every change of `XACT` comes once, whatever of it was open when the process was killed.
fn every_change_once(version: u32, publication: &str, generated: &str) {
    run(TEST_LIMIT, async {
        let stack = shared();
        let postgres = Postgres::start(&Options { version, ..Options::default() });
        let space = Space::new(&postgres, "version").await;
        postgres.execute(&space.database, &format!("{DDL} {publication}")).await;
        let config = flow::config(stack, &space, &[("", OUTBOX)]);
        let config = flow::moved(&config, &stack.postgres, &postgres);
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&postgres, &mut walbrook).await;
        let topic = |name: &str| format!("{}.{name}", space.prefix);
        let client = postgres.client(&space.database).await;
        for id in 1..=XACTS {
            client.batch_execute(XACT).await.unwrap();
            if id == XACTS / 3 {
                // What is committed in Kafka, and not yet confirmed, must not come again.
                until(LIMIT, "a record", || {
                    let records = records::read_committed(&stack.kafka, &[&topic("public.t")]);
                    if records.is_empty() { Err(walbrook.tail()) } else { Ok(()) }
                });
                walbrook.kill();
            }
        }
        postgres.slot_active(&space.slot, false).await;
        let walbrook = Walbrook::spawn(&config);
        flow::drained(&postgres, &space, LIMIT).await.unwrap();

        let mut rows = records::read_committed(&stack.kafka, &[&topic("public.t")]);
        rows.sort_by_key(position);
        let told: Vec<_> = rows.iter().map(|row| told(&stack.registry, row)).collect();
        let row = |op, id, flag, word| {
            let after = format!(r#""id":{id},"flag":{flag},"word":{word}{REST}{generated}"#);
            format!(r#"{op} {{"id":{id}}} null {{{after}}}"#)
        };
        let changes = |id| [row("c", id, true, "\"röd\""), row("u", id, false, "null")];
        let wanted = (1..=XACTS).flat_map(changes);
        assert_eq!(told, wanted.collect::<Vec<_>>());
        let events = records::read_committed(&stack.kafka, &[&topic("event.order")]);
        check_positions(rows.iter().chain(&events));
        let mut events: Vec<_> = events.iter().map(|event| event.key.clone().unwrap()).collect();
        events.sort();
        let mut wanted: Vec<_> = (1..=XACTS).map(|id| id.to_string().into_bytes()).collect();
        wanted.sort();
        assert_eq!(events, wanted);
        assert_eq!(flow::lines_at(&walbrook, "WARN"), Vec::<serde_json::Value>::new());
    });
}

const XACTS: u32 = 30;

const REST: &str = concat!(
    r#","price":"-125","at":"2024-02-29T12:34:56.789Z","day":19782,"#,
    r#""uid":"6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11","doc":"{\"a\": [1, null]}","raw":"00ff","#,
    r#""many":[1,null],"mood":"so-so""#
);

#[test]
fn every_change_once_on_postgresql_14() {
    every_change_once(14, "", "");
}

#[test]
fn every_change_once_on_postgresql_18() {
    every_change_once(18, "WITH (publish_generated_columns = stored)", r#","twice":"-250""#);
}
