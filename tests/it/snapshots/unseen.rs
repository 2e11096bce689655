//! Transactions that are flushed and do not show, since a synchronous standby hangs.

use super::fold::check_on;
use super::keyless::{blocked, check_rows};
use super::{FORMAT, INITIAL, TEST_LIMIT, is_complete};
use crate::support::flow::{Flow, LIMIT, query, until_value};
use crate::support::run;
use crate::support::stack::Stack;

const DDL: &str = "
CREATE PUBLICATION walbrook FOR ALL TABLES;
CREATE TABLE keyed (id int PRIMARY KEY, v text);
INSERT INTO keyed SELECT i, 'old' FROM generate_series(1, 1000) i;
CREATE TABLE bare (v text);
ALTER TABLE bare REPLICA IDENTITY FULL;
INSERT INTO bare SELECT 'row' || i % 10 FROM generate_series(1, 100) i";

/// The chunks show the rows from before it, and the stream has had it.
const HANGING: &str = "
BEGIN;
UPDATE keyed SET v = 'new' WHERE id % 100 = 0;
UPDATE keyed SET id = id + 5000 WHERE id % 100 = 1;
DELETE FROM keyed WHERE id % 100 = 2;
INSERT INTO keyed SELECT i, 'new' FROM generate_series(2001, 2010) i;
DELETE FROM bare WHERE v = 'row1';
UPDATE bare SET v = 'new' WHERE v = 'row2';
INSERT INTO bare VALUES ('row3'), ('last');
COMMIT";

const IS_HANGING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

#[test]
fn what_is_flushed_and_does_not_show_is_neither_lost_nor_overwritten() {
    run(TEST_LIMIT, async {
        let stack = Stack::start();
        let batch = ("batch", "target_records = 100\nmax_records = 400");
        let changes = [FORMAT, INITIAL, batch];
        let (space, blocker) = blocked(&stack, "unseen", DDL, &changes).await;
        let mut flow = Flow::start_on(&stack, space, &changes).await;
        for table in ["public.keyed", "public.bare"] {
            let begins = |line: &serde_json::Value| {
                let message = line["message"].as_str().unwrap_or_default();
                message.contains("snapshot begins") && line["table"] == table
            };
            flow.walbrook.wait_for(LIMIT, "it begins", begins);
        }
        // A first row would wait for the catalog.
        flow.execute("UPDATE keyed SET v = 'newer' WHERE id = 7").await;
        flow.drain().await;
        flow.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
        flow.execute("SELECT pg_reload_conf()").await;
        until_value(&flow.client, "SHOW synchronous_standby_names", "nobody").await;
        let waiting = stack.postgres.client(&flow.space.database).await;
        let (done, ()) = tokio::join!(waiting.batch_execute(HANGING), async {
            until_value(&flow.client, IS_HANGING, "1").await;
            flow.drain().await;
            blocker.batch_execute("ROLLBACK").await.unwrap();
            for table in ["public.keyed", "public.bare"] {
                let is_it = |line: &serde_json::Value| is_complete(line, table);
                flow.walbrook.wait_for(LIMIT, "that it is complete", is_it);
            }
            assert_eq!(query(&flow.client, IS_HANGING).await.concat().concat(), "1");
            let cancel =
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            query(&flow.client, cancel).await;
        });
        done.unwrap();
        flow.drain().await;
        let topic = flow.topic("public.keyed");
        let reads = check_on(&stack, &flow.client, &topic, "keyed").await;
        assert_eq!(reads, 1000 - 30, "those that it touched are not read");
        check_rows(&stack, &flow.client, &flow.topic("public.bare"), "bare").await;
        flow.stop();
    });
}
