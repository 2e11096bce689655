//! A primary that is a standby for a while, as in a switchover, and leads back to a primary.

use super::{TABLE, TEST_LIMIT, ids};
use crate::support::flow::{self, LIMIT, query, said};
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;
use crate::support::{process, records, run};

const ANY: (&str, &str) = ("postgres", "target_session_attrs = \"any\"");

#[test]
fn a_standby_that_is_met_for_a_moment_is_waited_for_on_15() {
    waited_for(15, &[], false);
}

#[test]
fn a_standby_that_is_met_for_a_moment_is_waited_for_on_17() {
    waited_for(17, &[], false);
}

/// Before version 16 nothing can be decoded there, whatever the configuration wants.
#[test]
fn a_standby_that_cannot_decode_is_waited_for() {
    waited_for(15, &[ANY], false);
}

/// Without the slot, nobody is fenced.
#[test]
fn a_standby_without_the_slot_is_waited_for() {
    waited_for(17, &[ANY], true);
}

/// Nothing ends and nothing is touched in Kafka until the server is a primary again.
fn waited_for(version: u32, changes: &[(&str, &str)], is_slot_away: bool) {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut postgres = Postgres::start(&Options { version, ..Options::default() });
        let space = Space::new(&postgres, "demoted").await;
        postgres.execute(&space.database, TABLE).await;
        let config = flow::config(stack, &space, changes);
        let socket = format!("\"{}\"", stack.postgres.socket_folder().display());
        let host = format!("\"127.0.0.1:{}\"", postgres.port());
        let mut walbrook = Walbrook::spawn(&config.replace(&socket, &host));
        space.ready(&postgres, &mut walbrook).await;
        postgres.execute(&space.database, "INSERT INTO t (v) VALUES ('before')").await;
        flow::drained(&postgres, &space, LIMIT).await.unwrap();

        let renamed = format!("{}_away", space.slot);
        let slots = postgres.data().join("pg_replslot");
        postgres.stop("INT");
        if is_slot_away {
            std::fs::rename(slots.join(&space.slot), postgres.data().join(&renamed)).unwrap();
        }
        let signal = postgres.data().join("standby.signal");
        std::fs::write(&signal, "").unwrap();
        process::give_away(&signal, 0o600);
        postgres.launch();
        walbrook.wait_for(LIMIT, "that it is a standby", |line| {
            said(line, "error").contains("is a standby")
        });
        let before = walbrook.log().len();
        for _ in 0..3 {
            walbrook.wait_for_next(LIMIT, RETRY);
        }
        let log = walbrook.log().split_off(before).concat();
        assert!(!log.contains("recovering"), "Kafka is not touched: {log}");

        if is_slot_away {
            postgres.stop("INT");
            std::fs::rename(postgres.data().join(&renamed), slots.join(&space.slot)).unwrap();
            postgres.launch();
        }
        let client = postgres.client(&space.database).await;
        query(&client, "SELECT pg_promote()").await;
        flow::until_value(&client, "SELECT pg_is_in_recovery()", "f").await;
        query(&client, "INSERT INTO t (v) VALUES ('behind')").await;
        flow::drained(&postgres, &space, LIMIT).await.unwrap();
        assert!(walbrook.ended().is_none(), "{}", walbrook.tail());
        let topic = format!("{}.public.t", space.prefix);
        let records = records::read_committed(&stack.kafka, &[&topic]);
        let rows = query(&client, "SELECT id FROM t ORDER BY id").await;
        let wanted: Vec<i64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
        assert_eq!((ids(stack, &records), wanted.len()), (wanted, 2));
    });
}

const RETRY: &str = "the pipeline stopped; it starts again from its checkpoint";
