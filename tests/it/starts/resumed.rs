//! A checkpoint inside a transaction, and one whose transaction is not there any more.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::{TABLE, TEST_LIMIT, check_once};
use crate::support::flow::{self, Flow, LIMIT, ends_with, said};
use crate::support::postgres::{Options, Postgres};
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;

/// The slot sends the transaction before it again, and a stop may come while its own first part is
/// skipped or the next is filled: its position is not complete then.
#[test]
fn a_stop_soon_after_a_start_inside_a_cut_transaction_loses_none_of_it() {
    run(TEST_LIMIT, async {
        // No status may go out before the kill: it would confirm the transaction before.
        let rare = ("replication", "wal_sender_timeout = \"60s\"");
        let cut = ("batch", "target_records = 100\nmax_records = 500");
        let debug = ("log", "level = \"info,walbrook=debug\"");
        let tables = format!("{TABLE}; CREATE TABLE unpublished (n int)");
        let mut flow = Flow::start(shared(), "cut", &tables, &[rare, cut, debug]).await;
        for round in 0..4 {
            flow.execute("INSERT INTO t (v) VALUES ('before')").await;
            let before = flow.stack.postgres.wal_end().await;
            // The server decodes it for a while before it sends a row.
            let cut = "BEGIN; INSERT INTO unpublished SELECT generate_series(1, 200000);
                INSERT INTO t (v) SELECT 'cut' FROM generate_series(1, 8000); COMMIT";
            flow.execute(cut).await;
            let is_cut = |line: &Value| {
                said(line, "message") == "kafka transaction committed" && line["records"] == 500
            };
            flow.walbrook.wait_for(LIMIT, "a part of it in Kafka", is_cut);
            flow.walbrook.kill();
            flow.stack.postgres.slot_active(&flow.space.slot, false).await;
            flow.walbrook = Walbrook::spawn(&flow.config);
            flow.walbrook.wait_for_message(LIMIT, "streaming");
            let decoded = flow.stack.postgres.slot_decoded(&flow.space.slot, &before).await;
            decoded.unwrap_or_else(|state| panic!("{state}: {}", flow.walbrook.tail()));
            tokio::time::sleep(Duration::from_millis(50 * round)).await;
            flow.stop();
            flow.restart().await;
        }
        flow.drain().await;
        check_once(&flow).await;
        flow.stop();
    });
}

/// The same system and the same timeline, but an earlier state of the disk, whose log has passed the
/// checkpoint with other transactions.
#[test]
fn a_server_that_was_rolled_back_and_has_gone_on_is_refused() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut server = Postgres::start(&Options::default());
        let space = Space::new(&server, "rolledback").await;
        server.execute(&space.database, TABLE).await;
        let config = flow::config(stack, &space, &[]);
        let config = flow::moved(&config, &stack.postgres, &server);
        let insert = "INSERT INTO t (v) VALUES ('v')";
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&server, &mut walbrook).await;
        server.execute(&space.database, insert).await;
        flow::drained(&server, &space, LIMIT).await.unwrap();
        assert!(walbrook.stop(LIMIT).success());

        server.stop("INT");
        let mut rolled_back = server.standby(&[]);
        fs::remove_file(rolled_back.data().join("standby.signal")).unwrap();
        server.launch();
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&server, &mut walbrook).await;
        server.execute(&space.database, insert).await;
        flow::drained(&server, &space, LIMIT).await.unwrap();
        assert!(walbrook.stop(LIMIT).success());

        rolled_back.launch();
        for rows in [700, 1, 1, 1000] {
            let insert =
                format!("INSERT INTO t (v) SELECT 'other' FROM generate_series(1, {rows})");
            rolled_back.execute(&space.database, &insert).await;
        }
        let config = flow::moved(&config, &server, &rolled_back);
        let error = ends_with(&mut Walbrook::spawn(&config), 5);
        println!("{error}");
        for part in ["the slot now shows", "rolled back", "checkpoint accept"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    });
}
