//! Rows that cannot be written: what is complete before them is committed, and there is a way past.

use std::time::Duration;

use crate::support::flow::{Flow, ends_with};
use crate::support::run;
use crate::support::stack::shared;

const TEST_LIMIT: Duration = Duration::from_secs(240);

const OUTBOX: &str = "
    CREATE TABLE outbox (
        id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);
    CREATE TABLE other (id int PRIMARY KEY, v text);
    CREATE PUBLICATION walbrook FOR TABLE outbox, other;";

/// An INSERT of an event with this route.
fn event(id: u32, route: &str) -> String {
    format!(
        "INSERT INTO outbox VALUES ('00000000-0000-0000-0000-{id:012}', {route}, '7', 'Placed', '{{}}');"
    )
}

/// The ids of a table's records.
fn ids(flow: &Flow<'_>, table: &str) -> Vec<i64> {
    let registry = &flow.stack.registry;
    let id = |record: &crate::support::records::Record| {
        let key = crate::support::flow::plain(record.key(registry).unwrap());
        key["id"].as_i64().unwrap()
    };
    flow.records(table).iter().map(id).collect()
}

#[test]
fn what_is_complete_before_a_row_that_stops_the_pipeline_is_committed() {
    run(TEST_LIMIT, async {
        let outbox = "[[outbox]]\ntable = \"outbox\"\ntopic = \"{prefix}.event.{route}\"";
        let mut flow = Flow::start(shared(), "complete_first", OUTBOX, &[("", outbox)]).await;
        flow.execute("INSERT INTO other VALUES (0, 'first');").await;
        flow.drain().await;
        flow.stop();
        flow.execute("INSERT INTO other VALUES (1, 'before');").await;
        flow.execute("INSERT INTO other VALUES (2, 'before');").await;
        flow.execute(&format!(
            "BEGIN; INSERT INTO other VALUES (3, 'cut'); {} COMMIT;",
            event(4, "'App\\Models\\Order'")
        ))
        .await;
        flow.execute("INSERT INTO other VALUES (6, 'after');").await;
        for _ in 0..2 {
            flow.walbrook = crate::support::walbrook::Walbrook::spawn(&flow.config);
            let error = ends_with(&mut flow.walbrook, 4);
            assert!(error.contains("its topic is refused"), "{error}");
            assert_eq!(ids(&flow, "public.other"), [0, 1, 2]);
        }
    });
}
