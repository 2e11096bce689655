//! What PostgreSQL does not send, it does not tell of: a running process does.

use super::{TEST_LIMIT, get, metric};
use crate::support::flow::{Flow, LIMIT, said};
use crate::support::stack::shared;
use crate::support::walbrook::command;
use crate::support::{process, run, until};

const DDL: &str = "
    CREATE TABLE kept (id int PRIMARY KEY);
    CREATE TABLE orders (id int PRIMARY KEY);
    CREATE TABLE measured (id int PRIMARY KEY, v int);
    CREATE PUBLICATION walbrook FOR TABLE kept, orders, measured
        WITH (publish_via_partition_root = true);";

const MESSAGE: &str = "something is missing from the stream";

#[test]
fn what_is_missing_from_the_stream_is_told_of() {
    run(TEST_LIMIT, async {
        let socket = process::folder("missing").join("socket");
        let outbox = "[[outbox]]\ntable = \"public.outbox\"";
        let mut flow = Flow::start(shared(), "missing", DDL, &[("", outbox)]).await;
        flow.stop();
        flow.config = flow.config.replace("\"off\"", &format!("\"{}\"", socket.display()));
        flow.restart().await;
        let told = |flow: &Flow<'_>, words: &str| {
            flow.walbrook.wait_for(LIMIT, words, |line| {
                said(line, "message") == MESSAGE && said(line, "finding").contains(words)
            });
        };
        // Also says that it has looked.
        told(&flow, "outbox table public.outbox does not exist");
        flow.execute(
            "DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY);
             INSERT INTO orders VALUES (1);
             ALTER TABLE measured ALTER COLUMN v TYPE bigint;
             ALTER PUBLICATION walbrook SET (publish = 'insert', publish_via_partition_root = false);",
        )
        .await;
        told(&flow, "table public.orders is in none of the publications");
        told(&flow, "table public.measured was rewritten");
        told(&flow, "publication walbrook does not publish delete, truncate, update");
        told(&flow, "publication walbrook has lost publish_via_partition_root");
        let findings = |wanted: f64| {
            let found = metric(&get(&flow, "metrics").1, "walbrook_findings");
            if found == wanted { Ok(()) } else { Err(found.to_string()) }
        };
        until(LIMIT, "five findings", || findings(5.0));
        let status = command(&flow.config, &["status"]).stdout;
        for words in ["public.orders", "public.measured", "public.outbox"] {
            assert!(status.contains(words), "{status}");
        }
        flow.execute(
            "ALTER PUBLICATION walbrook ADD TABLE orders;
             ALTER PUBLICATION walbrook SET (publish = 'insert, update, delete, truncate',
                 publish_via_partition_root = true);",
        )
        .await;
        until(LIMIT, "two findings", || findings(2.0));
        flow.execute("INSERT INTO kept VALUES (1); INSERT INTO orders VALUES (2)").await;
        assert_eq!(flow.told("public.kept").await.len(), 1);
        assert_eq!(flow.told("public.orders").await.len(), 1);
        flow.stop();
    });
}
