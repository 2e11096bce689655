//! Kafka and the registry in other versions than the run's, in short: rows with kills between them, a
//! migration, and a schema that is refused. `tests/run --kafka N` and `--registry N` run everything so.

use std::time::Duration;

use crate::starts::{TABLE, check_once};
use crate::support::flow::{Flow, ends_with};
use crate::support::kafka;
use crate::support::registry::Registry;
use crate::support::run;
use crate::support::stack::Stack;

const TEST_LIMIT: Duration = Duration::from_secs(300);

/// The oldest that is supported of both: its transactions are of the protocol's first version.
#[test]
fn kafka_3_9() {
    run(TEST_LIMIT, streams("3.9", Registry::start));
}

#[test]
fn kafka_4_4_and_apicurio_3() {
    run(TEST_LIMIT, streams("4.4", || Registry::start_version("3")));
}

async fn streams(kafka: &'static str, registry: fn() -> Registry) {
    let options = kafka::Options { version: Some(kafka), ..kafka::Options::default() };
    let stack = Stack::start_as(&options, registry);
    let mut flow = Flow::start(&stack, "versions", TABLE, &[]).await;
    let subject = format!("{}-value", flow.topic("public.t"));
    for _ in 0..3 {
        let rows = "INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 500)";
        flow.execute(rows).await;
        flow.execute(&format!("BEGIN; {rows}; ROLLBACK")).await;
        flow.restart_after_kill().await;
    }
    flow.drain().await;
    check_once(&flow).await;

    flow.execute("ALTER TABLE t ADD n int NOT NULL DEFAULT 7; INSERT INTO t (v) VALUES ('new')")
        .await;
    let told = flow.told("public.t").await;
    assert!(told.last().unwrap().contains(r#""v":"new","n":7"#), "{told:?}");
    assert_eq!(stack.registry.versions(&subject), 2);

    // What no reader of before could read, until the registry is told to take it.
    flow.execute("ALTER TABLE t ALTER v TYPE int USING 1; INSERT INTO t (v) VALUES (2)").await;
    let error = ends_with(&mut flow.walbrook, 4);
    assert!(error.contains("refuses the schema") && error.contains(&subject), "{error}");
    stack.registry.free(&subject);
    flow.restart().await;
    flow.drain().await;
    check_once(&flow).await;
    assert_eq!(stack.registry.versions(&subject), 3);
    flow.stop();
}
