//! `walbrook verify`: a topic that has what the table has is told so beside running writes, and each
//! harm that is done to it is found, for each type in each representation.

mod keys;
mod repair;
mod types;

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::support::flow::{Flow, plain};
use crate::support::records::Record;
use crate::support::run;
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::{Output, command};

const TEST_LIMIT: Duration = Duration::from_secs(300);

const PUBLICATION: &str =
    "CREATE PUBLICATION walbrook FOR ALL TABLES WITH (publish_via_partition_root = true);";

/// A pipeline whose topics keep everything.
async fn start(name: &str, tables: &[&str], ddl: &str, changes: &[(&str, &str)]) -> Flow<'static> {
    let stack: &Stack = shared();
    let space = Space::new(&stack.postgres, name).await;
    for table in tables {
        let topic = format!("{}.public.{table}", space.prefix);
        stack.kafka.create_topic(&topic, 3, &[("retention.ms", "-1")]).await;
    }
    stack.postgres.execute(&space.database, &format!("{PUBLICATION} {ddl}")).await;
    Flow::start_on(stack, space, changes).await
}

/// Runs it; its exit code must be this.
fn verify(config: &str, arguments: &[&str], code: i32) -> Output {
    let output = command(config, &[&["verify", "--show-keys"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{}\n{}", output.stdout, output.stderr);
    output
}

/// The same as JSON: what it says of each table.
fn told(config: &str, arguments: &[&str], code: i32) -> Vec<Value> {
    let output = verify(config, &[&["--json"], arguments].concat(), code);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    told["tables"].as_array().unwrap().clone()
}

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(12, 2));
    CREATE TABLE emptied (a text COLLATE \"C\", b int, v text, PRIMARY KEY (b, a));
    CREATE TABLE parts (id bigint PRIMARY KEY, v text) PARTITION BY HASH (id);
    CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);";

#[test]
fn what_is_alike_is_told_beside_writes_and_each_harm_is_found() {
    run(TEST_LIMIT, async {
        let mut flow = start("verify", &["t", "emptied", "parts"], TABLES, &[]).await;
        flow.execute(
            "INSERT INTO t SELECT i, 'v' || i, i / 7.0 FROM generate_series(1, 6000) i;
             INSERT INTO emptied SELECT 'a' || i, i % 5, 'gone' FROM generate_series(1, 50) i;
             INSERT INTO parts SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 40) i;
             UPDATE parts SET id = id + 100 WHERE id % 3 = 0;
             DELETE FROM t WHERE id % 10 = 0;
             UPDATE t SET id = id + 10000 WHERE id % 100 = 1;
             TRUNCATE emptied;
             INSERT INTO emptied SELECT 'a' || i, i % 5, 'new' FROM generate_series(1, 9) i",
        )
        .await;
        let writer = flow.stack.postgres.client(&flow.space.database).await;
        let writes = tokio::spawn(async move {
            for round in 0.. {
                let statement = format!(
                    "UPDATE t SET v = 'round {round}' WHERE id % 500 = {round} % 500;
                     DELETE FROM t WHERE id = {round} * 3;
                     INSERT INTO t VALUES (20000 + {round}, 'new', NULL)"
                );
                writer.batch_execute(&statement).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        // In a memory so small that it takes several passes.
        let tables = told(&flow.config, &["--memory", "1"], 0);
        writes.abort();
        let _ = writes.await;
        assert_eq!(tables.len(), 3, "{tables:?}");
        assert!(5000 < tables[2]["alike"].as_u64().unwrap(), "{tables:?}");
        assert_eq!(tables[0]["alike"], 9, "{tables:?}");
        flow.drain().await;
        harm(&flow);
        let tables = told(&flow.config, &["--table", "public.t", "--table", "public.parts"], 8);
        let [parts, t] = &tables[..] else { panic!("{tables:?}") };
        assert_eq!(
            (&parts["different"], &parts["missing"], &parts["extra"]),
            (&json!(0), &json!(0), &json!(0)),
            "{parts}"
        );
        let mut keys: Vec<_> = t["keys"].as_array().unwrap().iter().map(Value::to_string).collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                r#"{"what":"different","key":{"id":"5002"}}"#,
                r#"{"what":"in the topic alone","key":{"id":"5010"}}"#,
                r#"{"what":"missing in the topic","key":{"id":"5003"}}"#,
            ],
            "{t}"
        );
        // Without being asked for keys it shows none.
        let shy = command(&flow.config, &["verify", "--table", "public.t"]);
        assert_eq!(shy.status.code(), Some(8));
        assert!(!shy.stdout.contains("500") && shy.stdout.contains("DIFFERS"), "{}", shy.stdout);
    });
}

/// A row of 5002 as 5004's, a deletion of 5003, and 5010 again, which was deleted.
fn harm(flow: &Flow<'_>) {
    let records = flow.records("public.t");
    let registry = &flow.stack.registry;
    let of = |id: i64, op: &str| -> &Record {
        let is_it = |record: &&Record| {
            record.key(registry).map(plain) == Some(json!({ "id": id }))
                && record.value(registry).is_some_and(|value| plain(value)["op"] == op)
        };
        records.iter().find(is_it).unwrap_or_else(|| panic!("{op} {id}"))
    };
    let producer: BaseProducer = flow.stack.kafka.client_config().create().unwrap();
    let harms = [
        (of(5002, "c"), of(5004, "c")),
        (of(5003, "c"), of(5010, "d")),
        (of(5010, "c"), of(5010, "c")),
    ];
    for (key, value) in harms {
        let record = BaseRecord::to(&key.topic)
            .partition(key.partition)
            .key(key.key.as_ref().unwrap())
            .payload(value.value.as_ref().unwrap());
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}

/// What cannot be compared is told with what helps, and never passes for alike.
#[test]
fn what_cannot_be_compared_is_told() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, l line);
                   CREATE TABLE short (id int PRIMARY KEY);
                   CREATE TABLE keyless (v text)";
        let mut flow = start("unverified", &["t", "keyless"], ddl, &[]).await;
        flow.execute(
            "INSERT INTO t VALUES (1, '{1,2,3}'); INSERT INTO short VALUES (1);
             INSERT INTO keyless VALUES ('x')",
        )
        .await;
        flow.drain().await;
        let Output { stdout, .. } = verify(&flow.config, &[], 9);
        for part in [
            "public.t: alike: 1 rows",
            "column \"l\" as io.debezium.data.geometry.Line is not compared",
            "public.short: not compared: its topic",
            "deletes records (retention.ms = 604800000",
            "public.keyless: not compared: it has no key",
        ] {
            assert!(stdout.contains(part), "{part}: {stdout}");
        }
        let Output { stderr, .. } = verify(&flow.config, &["--table", "public.none"], 2);
        assert!(stderr.contains("public.none"), "{stderr}");
        let role = format!("reader_{}", flow.space.slot);
        flow.execute(&format!("CREATE ROLE {role} LOGIN REPLICATION")).await;
        let other = flow.config.replace(r#"user = "postgres""#, &format!("user = \"{role}\""));
        let Output { stdout, .. } = verify(&other, &["--table", "public.t"], 9);
        assert!(stdout.contains("GRANT SELECT ON \"public\".\"t\" TO"), "{stdout}");
        // Nobody covers the snapshot.
        flow.stop();
        flow.execute("INSERT INTO t VALUES (2, NULL)").await;
        let Output { stderr, .. } = verify(&flow.config, &["--timeout", "1"], 6);
        assert!(stderr.contains("is walbrook running"), "{stderr}");
        let slots = crate::support::flow::query(
            &flow.client,
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()",
        )
        .await;
        assert_eq!(slots, [["1"]], "no slot is left behind");
    });
}
