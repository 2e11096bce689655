//! What the metrics say of a small flow, to the byte.

use super::{TABLE, TEST_LIMIT, get, metric};
use crate::support::flow::{Flow, LIMIT, query, told};
use crate::support::{process, run, stack, until, walbrook};

const OUTBOX: &str = "
    CREATE TABLE box (id int PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload text);
    ALTER PUBLICATION walbrook ADD TABLE box;";

/// A transaction that stays open keeps WAL, whatever is confirmed: who it is, is told.
#[test]
fn a_transaction_that_is_open_is_named() {
    run(TEST_LIMIT, async {
        // A server of its own: nobody else's is older.
        let stack = stack::Stack::start();
        let socket = process::folder("control").join("socket");
        let control = format!("[control]\nsocket = \"{}\"", socket.display());
        let mut flow = Flow::start(&stack, "open", TABLE, &[]).await;
        flow.stop();
        flow.config = flow.config.replace("[control]\nsocket = \"off\"", &control);
        flow.restart().await;
        let name = format!("walbrook_oldest_transaction_seconds{{slot=\"{}\"}}", flow.space.slot);
        let age = |wanted: fn(f64) -> bool| {
            until(LIMIT, &name, || {
                let text = get(&flow, "metrics").1;
                if !text.contains(&name) {
                    return Err(text);
                }
                let age = metric(&text, &name);
                if wanted(age) { Ok(()) } else { Err(age.to_string()) }
            });
        };
        age(|age| age == 0.0);
        let other = stack.postgres.client(&flow.space.database).await;
        let pid = query(&other, "SELECT pg_backend_pid()").await.concat().concat();
        other.batch_execute("BEGIN; INSERT INTO t (v) VALUES ('open')").await.unwrap();
        age(|age| 1.0 < age);
        for command in [["status"].as_slice(), &["slot", "status"]] {
            let told = walbrook::command(&flow.config, command);
            let wanted = format!("process {pid}, idle in transaction, for ");
            assert!(told.stdout.contains(&wanted), "{wanted}: {told:?}");
        }
        other.batch_execute("ROLLBACK").await.unwrap();
        age(|age| age == 0.0);
        flow.stop();
    });
}

#[test]
fn metrics_count_what_happened_and_nothing_else() {
    run(TEST_LIMIT, async {
        let outbox = "[[outbox]]\ntable = \"public.box\"\ntopic = \"{prefix}.{route}\"";
        let ddl = [TABLE, OUTBOX].concat();
        let mut flow = Flow::start(stack::shared(), "figures", &ddl, &[("", outbox)]).await;
        flow.execute(
            "INSERT INTO t (v) VALUES ('a'), ('bb'), ('ccc');
             UPDATE t SET v = 'dddd' WHERE id = 1; DELETE FROM t WHERE id = 2;
             INSERT INTO box VALUES (1, 'order', '7', 'T', '{}'), (2, 'order', '8', 'T', '{}');
             UPDATE box SET payload = 'x' WHERE id = 1; DELETE FROM box WHERE id = 1",
        )
        .await;
        flow.execute("TRUNCATE box").await;
        flow.drain().await;
        let skipped = |reason| format!("walbrook_outbox_skipped_total{{reason=\"{reason}\"}}");
        let text = until(LIMIT, "the last of it is counted", || {
            let text = get(&flow, "metrics").1;
            if metric(&text, &skipped("truncate")) == 1.0 { Ok(text) } else { Err(text) }
        });
        let count = |name: &str| metric(&text, name);
        assert_eq!(["update", "delete"].map(|reason| count(&skipped(reason))), [1.0, 1.0]);

        let of = |name: &str, operation: &str, table: &str| {
            count(&format!("walbrook_{name}_total{{operation=\"{operation}\",table=\"{table}\"}}"))
        };
        let records = flow.records("public.t");
        for (operation, sign, wanted) in [
            ("create", 'c', 3.0),
            ("update", 'u', 1.0),
            ("delete", 'd', 1.0),
            ("tombstone", '-', 1.0),
        ] {
            assert_eq!(of("records", operation, "public.t"), wanted, "{operation}");
            let its = records.iter().filter(|it| told(&flow.stack.registry, it).starts_with(sign));
            let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
            let bytes: usize = its.map(|record| length(&record.key) + length(&record.value)).sum();
            assert_eq!(of("record_bytes", operation, "public.t"), bytes as f64, "{operation}");
        }
        assert_eq!(of("records", "outbox", "public.box"), 2.0);
        // The key and the value of t; payloads without a schema have none.
        assert_eq!(count("walbrook_schema_registrations_total"), 2.0);

        let committed = count(r#"walbrook_kafka_transactions_total{result="committed"}"#);
        for histogram in ["batch_bytes", "batch_records", "kafka_commit_seconds"] {
            assert_eq!(count(&format!("walbrook_{histogram}_count")), committed, "{histogram}");
        }
        assert_eq!(count("walbrook_batch_records_sum"), 8.0);
        let latencies = count("walbrook_end_to_end_latency_seconds_count");
        assert!((1.0..=committed).contains(&latencies), "{latencies} of {committed}");
        for histogram in ["kafka_commit_seconds", "end_to_end_latency_seconds"] {
            let seconds = count(&format!("walbrook_{histogram}_sum"));
            assert!(0.0 < seconds && seconds < 60.0 * committed, "{histogram}: {seconds}");
        }
        let unwanted = [
            r#"walbrook_kafka_transactions_total{result="unknown"}"#,
            r#"walbrook_retries_total{class="fatal"}"#,
            r#"walbrook_retries_total{class="fenced"}"#,
        ];
        let retries = r#"walbrook_retries_total{class="retry"}"#;
        assert_eq!(unwanted.map(count), [0.0; 3]);
        let end =
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name =";
        flow.execute(&format!("{end} '{}'", flow.space.slot)).await;
        let retried = |wanted| {
            let now = metric(&get(&flow, "metrics").1, retries);
            if now == wanted { Ok(()) } else { Err(now.to_string()) }
        };
        until(LIMIT, "a retry is counted", || retried(count(retries) + 1.0));
        flow.drain().await;
        flow.stop();
    });
}
