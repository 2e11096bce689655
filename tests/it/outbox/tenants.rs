//! One `[[outbox]]` for a PostgreSQL schema per tenant.

use serde_json::Value;

use super::{LETTERS_CONFIG, TEST_LIMIT, events, insert};
use crate::support::flow::{Flow, LIMIT, config, said};
use crate::support::run;
use crate::support::stack::{NOTHING_FROM_BEFORE, Space, shared};
use crate::support::walbrook::command;

/// A tenant that comes needs no restart, and nothing of any tenant leaves as a row.
#[test]
fn one_outbox_is_that_of_each_tenant_also_of_one_to_come() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE SCHEMA tenant1; CREATE SCHEMA tenant2; CREATE SCHEMA other;
            CREATE TABLE tenant1.outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text,
                type text, payload jsonb);
            CREATE TABLE tenant2.outbox (LIKE tenant1.outbox INCLUDING ALL);
            INSERT INTO tenant1.outbox VALUES (gen_random_uuid(), 'order', '7', 'Before', '{}');
            CREATE PUBLICATION walbrook FOR ALL TABLES;";
        let many = LETTERS_CONFIG.replace("public.letters", "tenant*.outbox");
        let none = LETTERS_CONFIG.replace("public.letters", "none_*.outbox");
        let (stack, space) = (shared(), Space::new(&shared().postgres, "each_tenant").await);
        stack.postgres.execute(&space.database, ddl).await;
        let config =
            config(stack, &space, &[("", &many), ("", &none)]).replace(NOTHING_FROM_BEFORE, "");
        let mut flow = Flow::run(stack, space, config).await;
        let unmatched = |line: &Value| said(line, "pattern") == "none_*.outbox";
        flow.walbrook.wait_for(LIMIT, "a warning of the pattern", unmatched);
        flow.execute(&insert("tenant1.outbox", 1, "{}")).await;
        flow.execute(&insert("tenant2.outbox", 2, "{}")).await;
        flow.execute("CREATE SCHEMA tenant3; CREATE TABLE tenant3.outbox (LIKE tenant1.outbox INCLUDING ALL)")
            .await;
        flow.execute(&insert("tenant3.outbox", 3, "{}")).await;
        flow.drain().await;
        let events = events(&flow, "event.order");
        let schemas: Vec<_> =
            events.iter().map(|it| it.header("walbrook.schema").unwrap()).collect();
        assert_eq!(schemas, ["tenant1", "tenant2", "tenant3"]);
        let mut topics = stack.kafka.topics();
        topics.retain(|topic| topic.starts_with(&flow.space.prefix));
        assert_eq!(topics, [flow.topic("event.order")]);
        let checked = command(&flow.config, &["check"]).stdout;
        assert!(checked.contains("\"none_*.outbox\" matches no published table"), "{checked}");
        assert!(!checked.contains("in none of the publications"), "{checked}");
        let sql = command(&flow.config, &["check", "--sql"]).stdout;
        assert!(sql.contains("NOT (schemaname LIKE 'tenant%' AND tablename = 'outbox')"), "{sql}");
    });
}
