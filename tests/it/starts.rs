//! Starts and endings: first starts, refusals, servers that are away for a while, a second
//! instance, stops. What must hold every time: nothing is lost, nothing comes twice.

mod demoted;
mod failover;
mod figures;
mod locks;
mod missing;
mod outages;
mod publications;
mod refusals;
mod resumed;
mod rotated;
mod secured;
mod standby;
mod versions;

pub(crate) use refusals::secret_file;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::flow::{self, Flow, LIMIT, position, query, said};
use crate::support::records::{self, Record};
use crate::support::stack::Stack;
use crate::support::{http, run, until};

pub(crate) const TEST_LIMIT: Duration = Duration::from_secs(300);

pub(crate) const TABLE: &str = "
    CREATE TABLE t (id bigserial PRIMARY KEY, v text);
    CREATE PUBLICATION walbrook FOR TABLE t;";

/// Every row of `t` is in Kafka exactly once.
pub(crate) async fn check_once(flow: &Flow<'_>) {
    let rows = query(&flow.client, "SELECT id FROM t ORDER BY id").await;
    let wanted: Vec<i64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let records = flow.records("public.t");
    let found = ids(flow.stack, &records);
    if found != wanted {
        // Not all of them: the report of a run has room for some lines only.
        let twice: Vec<_> = found.windows(2).filter(|two| two[0] == two[1]).take(20).collect();
        let lacks = |id: &&i64| found.binary_search(id).is_err();
        let missing: Vec<_> = wanted.iter().filter(lacks).take(20).collect();
        panic!(
            "{} rows, {} records; twice {twice:?}, missing {missing:?}\n{}",
            wanted.len(),
            found.len(),
            flow.walbrook.tail()
        );
    }
    check_positions(&records);
}

/// No two records have the same position.
pub(super) fn check_positions<'r>(records: impl IntoIterator<Item = &'r Record>) {
    let mut positions = BTreeSet::new();
    for record in records {
        assert!(positions.insert(position(record)), "positions are unique: {record:?}");
    }
}

pub(super) fn ids(stack: &Stack, records: &[Record]) -> Vec<i64> {
    let id =
        |record: &Record| flow::plain(record.key(&stack.registry).unwrap())["id"].as_i64().unwrap();
    let mut ids: Vec<_> = records.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

/// GET on walbrook's own port.
pub(super) fn get(flow: &Flow<'_>, path: &str) -> (u16, String) {
    http::get(&format!("http://127.0.0.1:{}/{path}", flow.space.http_port)).unwrap()
}

/// Waits until /readyz answers with this status.
pub(super) fn until_ready(flow: &Flow<'_>, status: u16) -> String {
    let url = format!("http://127.0.0.1:{}/readyz", flow.space.http_port);
    until(LIMIT, "readyz", || match http::get(&url)? {
        (found, body) if found == status => Ok(body),
        other => Err(format!("{other:?}")),
    })
}

/// The value of a metric without labels, or of the first line that begins so.
pub(super) fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Writes rows at a steady rate until told to stop.
pub(super) struct Load {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    pub(super) async fn start(flow: &Flow<'_>, rows: u32) -> Self {
        let client = flow.stack.postgres.client(&flow.space.database).await;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = std::sync::Arc::clone(&stop);
        let insert =
            format!("INSERT INTO t (v) SELECT repeat('x', 100) FROM generate_series(1, {rows})");
        let task = tokio::spawn(async move {
            while !told.load(std::sync::atomic::Ordering::Relaxed) {
                client.batch_execute(&insert).await.unwrap();
                // The rate; nothing is waited for.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { stop, task }
    }

    pub(super) async fn end(self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

/// SIGTERM under load ends with 0 within seconds, and the restart repeats nothing; the endpoints
/// and the metrics say what happened.
#[test]
fn stops_under_load_and_tells_how_it_is() {
    run(TEST_LIMIT, async {
        let stack = crate::support::stack::shared();
        let mut flow = Flow::start(
            stack,
            "stops",
            TABLE,
            &[("batch", "target_records = 500\nmax_records = 1000")],
        )
        .await;
        let load = Load::start(&flow, 300).await;
        for _ in 0..4 {
            flow.walbrook
                .wait_for(LIMIT, "a table", |line| said(line, "message").contains("a table"));
            let start = Instant::now();
            let status = flow.walbrook.stop(Duration::from_secs(15));
            assert_eq!(status.code(), Some(0), "{}", flow.walbrook.tail());
            println!("stopped in {:?}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
            flow.restart().await;
        }
        load.end().await;
        flow.drain().await;
        check_once(&flow).await;
        assert_eq!(until_ready(&flow, 200).trim(), r#"{"ready":true}"#);
        assert_eq!(get(&flow, "healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get(&flow, "nothing").0, 404);

        flow.execute("INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 7); UPDATE t SET v = 'z' WHERE id = 1")
            .await;
        flow.drain().await;
        // Metrics follow within a second or so.
        let slot = format!(
            "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = '{}'",
            flow.space.slot
        );
        let confirmed: f64 = query(&flow.client, &slot).await[0][0].parse().unwrap();
        let text = until(LIMIT, "metrics", || {
            let text = get(&flow, "metrics").1;
            let is_there = confirmed <= metric(&text, "walbrook_confirmed_lsn");
            if is_there { Ok(text) } else { Err(text) }
        });
        let create = r#"walbrook_records_total{operation="create",table="public.t"}"#;
        assert!(7.0 <= metric(&text, create), "{text}");
        let update = r#"walbrook_records_total{operation="update",table="public.t"}"#;
        assert_eq!(metric(&text, update), 1.0);
        assert_eq!(metric(&text, r#"walbrook_phase{phase="streaming"}"#), 1.0);
        assert_eq!(metric(&text, r#"walbrook_phase{phase="starting"}"#), 0.0);
        assert!(metric(&text, "walbrook_confirmed_lsn") <= metric(&text, "walbrook_received_lsn"));
        assert!(0.0 < metric(&text, "walbrook_kafka_commit_seconds_count"));
        let latency = metric(&text, "walbrook_end_to_end_latency_seconds_sum");
        let count = metric(&text, "walbrook_end_to_end_latency_seconds_count");
        assert!(0.0 < count && latency / count < 30.0, "{latency} {count}");
        let retained =
            text.lines().find(|line| line.starts_with("walbrook_slot_retained_wal_bytes{"));
        assert!(retained.is_some(), "{text}");
        assert_eq!(metric(&text, "walbrook_lag_seconds"), 0.0);
        flow.stop();
    });
}

/// While another database writes, the slot of a database at rest moves on.
#[test]
fn an_idle_slot_is_advanced() {
    run(TEST_LIMIT, async {
        let stack = crate::support::stack::shared();
        let mut flow = Flow::start(stack, "idle", TABLE, &[]).await;
        let other = crate::support::stack::Space::new(&stack.postgres, "busy").await;
        for _ in 0..3 {
            stack
                .postgres
                .execute(
                    &other.database,
                    "CREATE TABLE w AS SELECT g FROM generate_series(1, 10000) g; DROP TABLE w",
                )
                .await;
            flow.drain().await;
        }
        assert!(flow.records("public.t").is_empty());
        let checkpoints = format!("walbrook.{}.checkpoint", flow.space.pipeline);
        let before = records::read_committed(&stack.kafka, &[&checkpoints]).len();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = records::read_committed(&stack.kafka, &[&checkpoints]).len();
        // At most one for each interval of 300 ms.
        assert!(after - before <= 8, "{}", after - before);
        flow.stop();
    });
}
