//! Rows that are in an outbox when the slot is made: each is an event once, before those of the stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio_postgres::Client;

use super::{TEST_LIMIT, events};
use crate::support::flow::{Flow, LIMIT, config, ends_with, position, query, said};
use crate::support::records;
use crate::support::run;
use crate::support::stack::{NOTHING_FROM_BEFORE, Space, Stack, shared};
use crate::support::walbrook::{Walbrook, command};

const DDL: &str = "
CREATE TABLE outbox (
    id int PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload text,
    sent_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY);
CREATE PUBLICATION walbrook FOR TABLE outbox, orders;";

/// Rows in an order that is not that of their ids; each fourth was sent.
const ROWS: &str = "
INSERT INTO outbox
SELECT i, 'order', i, 'Made', '{}', CASE WHEN i % 4 = 0 THEN now() END
FROM generate_series(1, 1000) i ORDER BY md5(i::text);
INSERT INTO orders SELECT generate_series(1, 10);";

const PENDING: &str = "
[[outbox]]
table = \"outbox\"
topic = \"{prefix}.event.{route}\"
pending = true
";

const UNSENT: &str = "pending_where = \"sent_at IS NULL -- and nothing else\"\n";

fn insert(id: u32) -> String {
    format!("INSERT INTO outbox VALUES ({id}, 'order', '{id}', 'Made', '{{}}');")
}

/// The ids of events, in the order of their positions.
fn ids(flow: &Flow<'_>) -> Vec<u32> {
    let id = |record: &records::Record| record.header("id").unwrap().parse().unwrap();
    events(flow, "event.order").iter().map(id).collect()
}

fn not_by_four(up_to: u32) -> Vec<u32> {
    (1..=up_to).filter(|id| id % 4 != 0).collect()
}

fn last_checkpoint(stack: &Stack, space: &Space) -> Option<Value> {
    let topic = format!("walbrook.{}.checkpoint", space.pipeline);
    if !stack.kafka.topics().contains(&topic) {
        return None;
    }
    let records = records::read_committed(&stack.kafka, &[&topic]);
    let is_it = |it: &&records::Record| it.key.as_deref() == Some(space.slot.as_bytes());
    let value = records.iter().rfind(is_it)?.value.as_deref()?;
    Some(serde_json::from_slice(value).unwrap())
}

/// A transaction is open while the slot is made, and others commit meanwhile, from 2000 on: they come by
/// the one or the other. Returns the first id that is not there.
async fn started(snapshot: &str) -> (Flow<'static>, u32) {
    let space = Space::new(&shared().postgres, "pending").await;
    shared().postgres.execute(&space.database, &format!("{DDL}{ROWS}")).await;
    let changes = [("", PENDING), ("", UNSENT)];
    let config = config(shared(), &space, &changes).replace(NOTHING_FROM_BEFORE, snapshot);
    let open = shared().postgres.client(&space.database).await;
    open.batch_execute(&format!("BEGIN; {}", insert(1500))).await.unwrap();
    let mut walbrook = Walbrook::spawn(&config);
    let creating =
        "creating the replication slot; this waits for transactions that are running now";
    walbrook.wait_for_message(LIMIT, creating);
    open.batch_execute(&insert(1501)).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = shared().postgres.client(&space.database).await;
    let writer = tokio::spawn(write(writer, Arc::clone(&is_over)));
    open.batch_execute("COMMIT").await.unwrap();
    space.ready(&shared().postgres, &mut walbrook).await;
    is_over.store(true, Ordering::Relaxed);
    let next = writer.await.unwrap();
    (Flow { stack: shared(), space, config, walbrook, client: open }, next)
}

#[test]
fn rows_that_are_pending_come_once_in_id_order_and_before_the_stream() {
    run(TEST_LIMIT, async {
        for snapshot in ["", NOTHING_FROM_BEFORE] {
            let (mut flow, next) = started(snapshot).await;
            flow.execute(&insert(next)).await;
            flow.execute("DELETE FROM outbox WHERE id < 500").await;
            flow.drain().await;
            let found = ids(&flow);
            assert_eq!(
                found[..750],
                not_by_four(1000),
                "in id order, and what was sent is not there"
            );
            let mut rest = found[750..].to_vec();
            rest.sort_unstable();
            assert_eq!(rest, [1500, 1501].into_iter().chain(2000..=next).collect::<Vec<_>>());
            let records = events(&flow, "event.order");
            for (at, record) in records[..750].iter().enumerate() {
                let (_, ordinal, part) = position(record);
                assert_eq!((ordinal, part), (0, u32::try_from(at).unwrap()));
                assert_eq!(record.header("walbrook.xid"), None);
            }
            if snapshot.is_empty() {
                let is_done = |line: &Value| {
                    said(line, "message") == "the table's snapshot is complete"
                        && said(line, "table") == "public.orders"
                };
                flow.walbrook.wait_for(LIMIT, "that orders are read", is_done);
                flow.drain().await;
                assert_eq!(flow.records("public.orders").len(), 10);
            }
            let last = last_checkpoint(flow.stack, &flow.space).unwrap();
            assert_eq!(last["format"], if snapshot.is_empty() { 3 } else { 1 }, "{last}");
            // The slot is there now.
            flow.restart_after_kill().await;
            flow.walbrook.wait_for(LIMIT, "that nothing is read", |line| {
                said(line, "message").ends_with("it is there already, and no rows are read")
            });
            flow.execute(&insert(next + 1)).await;
            flow.drain().await;
            let again = ids(&flow);
            assert_eq!(again[..found.len()], found);
            assert_eq!(again[found.len()..], [next + 1]);
            flow.stop();
        }
    });
}

/// Until the events are in Kafka with the checkpoint, the slot is made anew, and they are read again.
#[test]
fn each_pending_event_is_there_once_however_often_the_first_start_is_killed() {
    run(TEST_LIMIT, async {
        let seed = std::env::var("WALBROOK_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("WALBROOK_SEED={seed}");
        let mut rng = Rng::with_seed(seed);
        let (stack, space) = (shared(), Space::new(&shared().postgres, "pending_kill").await);
        stack.postgres.execute(&space.database, &format!("{DDL}{ROWS}")).await;
        let config = config(stack, &space, &[("", PENDING)]);
        let client = stack.postgres.client(&space.database).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(write(client, Arc::clone(&is_over)));
        for life in 0..40 {
            let mut walbrook = Walbrook::spawn(&config);
            match MOMENTS.get(rng.usize(..2 * MOMENTS.len())) {
                Some(moment) => drop(walbrook.wait_for_message(LIMIT, moment)),
                None => std::thread::sleep(Duration::from_millis(rng.u64(100..350 + 20 * life))),
            }
            std::thread::sleep(Duration::from_millis(rng.u64(..20)));
            walbrook.kill();
            let last = last_checkpoint(stack, &space);
            let state = last.map(|it| it["state"].to_string()).unwrap_or_default();
            println!("life {life}: {state}");
            if state.contains("streaming") {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let next = writer.await.unwrap();
        let mut flow = Flow::run(stack, space, config).await;
        flow.execute(&insert(next)).await;
        flow.drain().await;
        let mut found = ids(&flow);
        let pending = found.iter().take_while(|id| **id < 2000).count();
        assert_eq!(pending, 1000, "before those of the stream, but for what came between");
        found.sort_unstable();
        let wanted: Vec<u32> = (1..=1000).chain(2000..=next).collect();
        assert_eq!(found, wanted);
        flow.stop();
    });
}

/// What is said on the way, in its order.
const MOMENTS: [&str; 4] = [
    "creating the replication slot; this waits for transactions that are running now",
    "holding the replication slot",
    "the replication slot was created; changes that commit from now on are delivered",
    "the rows that were pending in outboxes go before the stream",
];

/// Rows from 2000 on, one after the other; returns the first that is not there.
async fn write(client: Client, is_over: Arc<AtomicBool>) -> u32 {
    let mut next = 2000;
    while !is_over.load(Ordering::Relaxed) {
        client.batch_execute(&insert(next)).await.unwrap();
        next += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    next
}

#[test]
fn more_than_fits_into_one_batch_is_refused_and_nothing_is_done() {
    run(TEST_LIMIT, async {
        let (stack, space) = (shared(), Space::new(&shared().postgres, "pending_many").await);
        stack.postgres.execute(&space.database, &format!("{DDL}{ROWS}")).await;
        let small = ("batch", "target_records = 10\nmax_records = 999");
        let config = config(stack, &space, &[("", PENDING), small]);
        let error = ends_with(&mut Walbrook::spawn(&config), 4);
        for words in
            ["1000 rows", "batch.max_records = 999", "outbox.pending_where", "pending = false"]
        {
            assert!(error.contains(words), "{error}");
        }
        let client = stack.postgres.client(&space.database).await;
        let slots =
            format!("SELECT 1 FROM pg_replication_slots WHERE slot_name = '{}'", space.slot);
        assert!(query(&client, &slots).await.is_empty());
        // By their bytes it is seen when they are read, and the slot is made by then.
        let narrow = config.replace(
            "max_records = 999",
            "max_records = 1000\ntarget_bytes = 2048\nmax_bytes = 4096",
        );
        let error = ends_with(&mut Walbrook::spawn(&narrow), 4);
        assert!(error.contains("1000 rows") && error.contains("batch.max_bytes = 4096"), "{error}");
        let config = config.replace("max_records = 999", "max_records = 1000");
        let mut flow = Flow::run(stack, space, config).await;
        flow.execute(&insert(1001)).await;
        flow.drain().await;
        assert_eq!(ids(&flow), (1..=1001).collect::<Vec<_>>());
        flow.stop();
    });
}

#[test]
fn what_keeps_pending_rows_from_being_read_is_said_with_what_helps() {
    run(TEST_LIMIT, async {
        let (stack, space) = (shared(), Space::new(&shared().postgres, "pending_right").await);
        let role = space.slot.clone();
        let ddl =
            format!("{DDL}{ROWS} CREATE ROLE {role} LOGIN REPLICATION; CREATE TABLE other ();");
        stack.postgres.execute(&space.database, &ddl).await;
        let own = config(stack, &space, &[("", PENDING), ("", UNSENT)]);
        let config = own.replace("user = \"postgres\"", &format!("user = \"{role}\""));
        let error = ends_with(&mut Walbrook::spawn(&config), 4);
        let grant = format!("GRANT SELECT ON \"public\".\"outbox\" TO \"{role}\"");
        assert!(error.contains(&grant) && error.contains("public.outbox"), "{error}");
        let checked = command(&config, &["check", "--json"]);
        assert!(checked.stdout.contains(&grant.replace('"', "\\\"")), "{}", checked.stdout);
        let sql = command(&config, &["check", "--sql"]).stdout;
        assert!(sql.contains(&format!("{grant};")), "{sql}");
        for (wrong, words) in [
            (own.replace("sent_at IS", "sent IS"), "column \"sent\" does not exist"),
            (own.replace("sent_at IS NULL", "sent_at IS NULL) OR (true"), "syntax error"),
            (own.replace("table = \"outbox\"", "table = \"other\""), "ALTER PUBLICATION"),
        ] {
            let error = ends_with(&mut Walbrook::spawn(&wrong), 4);
            assert!(error.contains(words), "{error}");
        }
        let made = command(&own, &["slot", "create"]);
        assert!(!made.status.success() && made.stderr.contains("pending = true"), "{made:?}");
        let checked = command(&own, &["check", "--json"]).stdout;
        assert!(checked.contains("750 rows"), "{checked}");
        stack
            .postgres
            .execute(&space.database, &format!("{grant}; GRANT USAGE ON SCHEMA public TO {role}"))
            .await;
        let mut flow = Flow::run(stack, space, config).await;
        flow.execute(&insert(1001)).await;
        flow.drain().await;
        assert_eq!(ids(&flow), not_by_four(1001));
        let checked = command(&own, &["check", "--json"]).stdout;
        assert!(checked.contains("no rows from before are read"), "{checked}");
        flow.stop();
    });
}

/// Partitions that are published by themselves, a row filter, a column list, a child, and an outbox
/// without a key; what is no event is a dead letter.
#[test]
fn pending_rows_are_those_that_the_stream_would_have() {
    run(TEST_LIMIT, async {
        let columns = "id, aggregatetype, type, aggregateid, payload";
        let ddl = format!("
            CREATE TABLE outbox (
                id uuid, aggregatetype text, aggregateid int, type text, payload jsonb,
                kept bool NOT NULL DEFAULT true, PRIMARY KEY (id, kept)) PARTITION BY LIST (kept);
            CREATE TABLE outbox_a PARTITION OF outbox FOR VALUES IN (true);
            CREATE TABLE outbox_b PARTITION OF outbox FOR VALUES IN (false);
            INSERT INTO outbox SELECT md5(i::text)::uuid, 'order', i, 'T', '{{\"n\": 1.50}}', i % 2 = 0
            FROM generate_series(1, 20) i;
            CREATE TABLE bare (id text, aggregatetype text, aggregateid date, type text, payload bytea, more text);
            CREATE TABLE child () INHERITS (bare);
            INSERT INTO bare VALUES ('b', 'bare', '2024-02-29', 'T', '\\x01'), ('a', 'bare', NULL, NULL, NULL),
                ('c', NULL, NULL, 'T', 'x'), ('out', 'bare', NULL, NULL, '');
            INSERT INTO child VALUES ('z', 'bare', NULL, 'T', '');
            CREATE PUBLICATION walbrook FOR TABLE outbox, child ({columns}),
                ONLY bare ({columns}) WHERE (id <> 'out') WITH (publish = 'insert');");
        let outboxes = "
            [[outbox]]
            table = \"outbox\"
            topic = \"{prefix}.event.{route}\"
            pending = true
            [[outbox]]
            table = \"bare\"
            topic = \"{prefix}.event.{route}\"
            dead_letter_topic = \"{prefix}.dead\"
            pending = true";
        let initial = ("snapshot", "mode = \"initial\"");
        let ddl = format!(
            "{ddl} CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
            ALTER PUBLICATION walbrook ADD TABLE t"
        );
        let mut flow =
            Flow::start(shared(), "pending_parts", &ddl, &[("", outboxes), initial]).await;
        // It is the last one by its name. The others are no tables.
        flow.walbrook.wait_for(LIMIT, "that t is read", |line| {
            said(line, "message") == "the table's snapshot is complete"
                && said(line, "table") == "public.t"
        });
        let begun = |line: &&String| line.contains("the table's snapshot begins");
        assert_eq!(flow.walbrook.log().iter().filter(begun).count(), 1, "{}", flow.walbrook.tail());
        flow.execute("INSERT INTO outbox SELECT md5('21')::uuid, 'order', 21").await;
        flow.drain().await;
        let mut keys: Vec<u32> = events(&flow, "event.order")
            .iter()
            .map(|it| String::from_utf8(it.key.clone().unwrap()).unwrap().parse().unwrap())
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, (1..=21).collect::<Vec<_>>());
        let ids = |topic| {
            let events = events(&flow, topic);
            events.iter().map(|it| it.header("id").unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids("event.bare"), ["a", "b", "z"]);
        assert_eq!(ids("dead"), ["c"]);
        let all = ["event.order", "event.bare", "dead"].map(|topic| events(&flow, topic));
        let all: Vec<_> = all.iter().flatten().collect();
        let places: BTreeMap<_, _> = all.iter().map(|it| (position(it), ())).collect();
        assert_eq!((all.len(), places.len()), (25, 25), "each has a position of its own");
        flow.stop();
    });
}

/// Nothing is committed with it, and the next start begins anew.
#[test]
fn a_pending_row_that_is_no_event_ends_walbrook_and_is_named() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "pending_null").await;
        let rows = "INSERT INTO outbox VALUES (1, 'order', '1', 'T', ''), (7, NULL, '1', 'T', '');";
        shared().postgres.execute(&space.database, &format!("{DDL}{rows}")).await;
        let config = config(shared(), &space, &[("", PENDING)]);
        let error = ends_with(&mut Walbrook::spawn(&config), 4);
        assert!(error.contains("event 7 at") && error.contains("aggregatetype"), "{error}");
        shared().postgres.execute(&space.database, "DELETE FROM outbox WHERE id = 7").await;
        let mut flow = Flow::run(shared(), space, config).await;
        flow.execute(&insert(8)).await;
        flow.drain().await;
        assert_eq!(ids(&flow), [1, 8]);
        flow.stop();
    });
}

/// There is no change before which the stream could end, so it is not tried again.
#[test]
fn a_pending_event_that_kafka_refuses_ends_walbrook() {
    run(TEST_LIMIT, async {
        let (stack, space) = (shared(), Space::new(&shared().postgres, "pending_large").await);
        let large = "INSERT INTO outbox SELECT 1, 'order', '1', 'T', string_agg(md5(i::text), '')
                     FROM generate_series(1, 200) i;";
        stack.postgres.execute(&space.database, &format!("{DDL}{large}")).await;
        let topic = format!("{}.event.order", space.prefix);
        stack.kafka.create_topic(&topic, 1, &[("max.message.bytes", "2000")]).await;
        let config = config(stack, &space, &[("", PENDING)]);
        let mut walbrook = Walbrook::spawn(&config);
        let error = ends_with(&mut walbrook, 4);
        assert!(error.contains(&topic), "{error}");
        let is_made = |line: &&String| line.contains("the replication slot was created");
        assert_eq!(walbrook.log().iter().filter(is_made).count(), 1, "{}", walbrook.tail());
        stack.kafka.alter_topic(&topic, "max.message.bytes", "20000").await;
        let mut flow = Flow::run(stack, space, config).await;
        flow.execute(&insert(2)).await;
        flow.drain().await;
        assert_eq!(ids(&flow), [1, 2]);
        flow.stop();
    });
}
