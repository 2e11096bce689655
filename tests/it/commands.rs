//! The commands of operators, on real servers.

use std::process::Command;
use std::thread;
use std::time::Duration;

use apache_avro::Schema;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::support::flow::{ends_with, query, until_value};
use crate::support::records;
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::{Output, Walbrook, command, write_file};
use crate::support::{run, until};

const LIMIT: Duration = Duration::from_secs(240);
const STOP: Duration = Duration::from_secs(30);

const TABLE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY);
    CREATE PUBLICATION walbrook FOR TABLE orders;";

struct Case<'a> {
    stack: &'a Stack,
    space: Space,
    config: String,
}

impl Case<'static> {
    async fn new(name: &str, statements: &str, more: &str) -> Self {
        Self::on(shared(), name, statements, more).await
    }
}

impl<'a> Case<'a> {
    async fn on(stack: &'a Stack, name: &str, statements: &str, more: &str) -> Self {
        let space = Space::new(&stack.postgres, name).await;
        stack.postgres.execute(&space.database, statements).await;
        let config = space.config(stack, more);
        Self { stack, space, config }
    }

    /// Runs a command that ends with this code; what it printed, or else its errors.
    #[track_caller]
    fn command(&self, arguments: &[&str], code: i32) -> String {
        let Output { status, stdout, stderr } = command(&self.config, arguments);
        assert_eq!(status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        if stdout.is_empty() { stderr } else { stdout }
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.command(arguments, 0)).unwrap()
    }

    async fn execute(&self, statements: &str) {
        self.stack.postgres.execute(&self.space.database, statements).await;
    }

    /// Runs the pipeline until so many records are in the topic.
    async fn run_until(&self, count: usize) {
        let mut walbrook = Walbrook::spawn(&self.config);
        self.space.ready(&self.stack.postgres, &mut walbrook).await;
        let topic = format!("{}.public.orders", self.space.prefix);
        until(Duration::from_secs(60), "records", || {
            let found = records::read_committed(&self.stack.kafka, &[&topic]).len();
            (found == count).then_some(()).ok_or_else(|| format!("{found}"))
        });
        assert!(walbrook.stop(STOP).success(), "{:?}", walbrook.log());
    }

    /// The epochs of the records, sorted.
    fn epochs(&self) -> Vec<String> {
        let topic = format!("{}.public.orders", self.space.prefix);
        let records = records::read_committed(&self.stack.kafka, &[&topic]);
        let epoch = |record: &records::Record| {
            let position = record.header("walbrook.position").unwrap();
            position.split_once(':').map_or("0", |(epoch, _)| epoch).to_owned()
        };
        let mut epochs: Vec<_> = records.iter().map(epoch).collect();
        epochs.sort();
        epochs
    }

    /// Puts a record in place of the last checkpoint.
    fn write_checkpoint(&self, value: Option<&str>) {
        let topic = format!("walbrook.{}.checkpoint", self.space.pipeline);
        let producer: BaseProducer = self.stack.kafka.client_config().create().unwrap();
        let mut record = BaseRecord::to(&topic).partition(0).key(&self.space.slot);
        record.payload = value;
        producer.send(record).unwrap();
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    /// Runs the pipeline, which refuses; its log.
    fn refused(&self) -> String {
        let mut walbrook = Walbrook::spawn(&self.config);
        let status = walbrook.wait(Duration::from_secs(60));
        assert_eq!(status.code(), Some(5), "{:?}", walbrook.log());
        walbrook.tail()
    }
}

#[test]
fn a_slot_is_created_looked_at_and_dropped() {
    run(LIMIT, async {
        let case = Case::new("slot_life", TABLE, "").await;
        assert_eq!(case.json(&["slot", "status", "--json"])["exists"], false);
        assert!(case.command(&["slot", "status"], 0).contains("does not exist"));
        assert!(case.command(&["slot", "create"], 0).contains("created slot"));
        let status = case.json(&["slot", "status", "--json"]);
        assert_eq!(status["exists"], true);
        assert_eq!(status["plugin"], "pgoutput");
        assert_eq!((&status["active"], &status["lost"]), (&Value::Bool(false), &Value::Null));
        assert!(case.command(&["slot", "create"], 5).contains("nothing to create"));
        // What is committed from the creation on is delivered.
        case.execute("INSERT INTO orders VALUES (1), (2)").await;
        case.run_until(2).await;

        let mut walbrook = Walbrook::spawn(&case.config);
        case.space.ready(&case.stack.postgres, &mut walbrook).await;
        let status = case.command(&["slot", "status"], 0);
        assert!(status.contains("held by process") && status.contains("WAL kept"), "{status}");
        for busy in [&["slot", "create"][..], &["slot", "drop", "--yes"], &["slot", "adopt"]] {
            assert!(case.command(busy, 7).contains("is in use"), "{busy:?}");
        }
        let accept = ["checkpoint", "accept", "--reason", "test"];
        assert!(case.command(&accept, 7).contains("is in use"));
        assert!(walbrook.stop(STOP).success(), "{:?}", walbrook.log());

        let loss = case.command(&["slot", "drop"], 0);
        assert!(loss.contains("would lose every change") && loss.contains("--yes"), "{loss}");
        assert_eq!(case.json(&["slot", "status", "--json"])["exists"], true);
        assert!(case.command(&["slot", "drop", "--yes"], 0).contains("dropped slot"));
        assert_eq!(case.json(&["slot", "status", "--json"])["exists"], false);
        // The checkpoint is still there: making the slot anew would hide a gap.
        assert!(case.command(&["slot", "create"], 5).contains("checkpoint accept"));
    });
}

/// A process that is halted, but not for longer than the test.
struct Halted(String);

impl Halted {
    fn new(pid: String) -> Self {
        assert!(Self::signal("STOP", &pid));
        Self(pid)
    }

    fn signal(signal: &str, pid: &str) -> bool {
        Command::new("kill").args(["-s", signal, pid]).status().is_ok_and(|it| it.success())
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        Self::signal("CONT", &self.0);
    }
}

/// What an operator does at once after the end of a run.
#[test]
fn a_slot_whose_walsender_has_not_noticed_the_end_yet_is_not_in_use() {
    run(LIMIT, async {
        let case = Case::new("slot_unnoticed", TABLE, "").await;
        let mut walbrook = Walbrook::spawn(&case.config);
        case.space.ready(&case.stack.postgres, &mut walbrook).await;
        let walsender = case.json(&["slot", "status", "--json"])["active_pid"].to_string();
        let halted = Halted::new(walsender);
        walbrook.kill();
        let client = case.stack.postgres.client(&case.space.database).await;
        let before = query(&client, "SELECT clock_timestamp()").await.remove(0).remove(0);
        let config = case.config.clone();
        let dropping = thread::spawn(move || command(&config, &["slot", "drop"]));
        // It has seen the slot in use, and is going to ask again.
        let has_asked = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND pid <> pg_backend_pid() AND '{before}' < backend_start
             AND query LIKE '%pg_replication_slots%'
             AND state = 'idle' AND state_change < clock_timestamp() - interval '50 ms'"
        );
        until_value(&client, &has_asked, "1").await;
        drop(halted);
        let Output { status, stdout, stderr } = dropping.join().unwrap();
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(stdout.contains("walbrook slot drop --yes"), "{stdout}");
    });
}

#[test]
fn a_slot_that_exists_is_adopted() {
    run(LIMIT, async {
        let case = Case::new("slot_adopt", TABLE, "").await;
        let slot = &case.space.slot;
        assert!(case.command(&["slot", "adopt"], 5).contains("does not exist"));
        case.execute(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"))
            .await;
        case.execute("INSERT INTO orders VALUES (1)").await;
        assert!(case.command(&["slot", "create"], 5).contains("walbrook slot adopt"));
        assert!(case.refused().contains("walbrook slot adopt"));
        let adopted = case.command(&["slot", "adopt"], 0);
        assert!(adopted.contains("before:\n  none"), "{adopted}");
        assert!(case.command(&["slot", "adopt"], 5).contains("nothing to adopt"));
        case.run_until(1).await;
    });
}

/// Made before its publication, a slot has changes that the stream could not pass.
#[test]
fn a_slot_is_not_made_before_its_publication() {
    run(LIMIT, async {
        let table = "CREATE TABLE orders (id bigint PRIMARY KEY)";
        let case = Case::new("slot_first", table, "").await;
        let refused = case.command(&["slot", "create"], 5);
        assert!(refused.contains("CREATE PUBLICATION"), "{refused}");
        assert_eq!(case.json(&["slot", "status", "--json"])["exists"], false);

        let slot = &case.space.slot;
        case.execute(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"))
            .await;
        case.execute("INSERT INTO orders VALUES (1)").await;
        let refused = case.command(&["slot", "adopt"], 5);
        assert!(refused.contains("CREATE PUBLICATION"), "{refused}");
        assert_eq!(case.json(&["checkpoint", "show", "--json"]), Value::Null);
        // One that was made by hand meets its changes, and goes on behind them.
        case.execute("CREATE PUBLICATION walbrook FOR TABLE orders").await;
        case.execute("INSERT INTO orders VALUES (2)").await;
        case.command(&["slot", "adopt"], 0);
        let error = ends_with(&mut Walbrook::spawn(&case.config), 4);
        assert!(error.contains("walbrook checkpoint accept"), "{error}");
        case.command(&["checkpoint", "accept", "--reason", "made too early"], 0);
        case.run_until(1).await;
    });
}

#[test]
fn a_foreign_slot_is_left_alone() {
    run(LIMIT, async {
        let case = Case::new("slot_foreign", TABLE, "").await;
        let slot = &case.space.slot;
        case.execute(&format!("SELECT pg_create_physical_replication_slot('{slot}')")).await;
        for command in [&["slot", "drop", "--yes"][..], &["slot", "create"]] {
            assert!(case.command(command, 5).contains("is not ours"), "{command:?}");
        }
        case.execute(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;

        // Nor is one read that sends what may still be rolled back.
        let two_phase = format!(
            "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput', twophase => true)"
        );
        case.execute(&two_phase).await;
        let accept = ["checkpoint", "accept", "--reason", "test"];
        for command in [&["slot", "adopt"][..], &["slot", "create"], &accept] {
            assert!(case.command(command, 5).contains("made with two_phase"), "{command:?}");
        }
        assert!(case.refused().contains("made with two_phase"));
        assert!(command(&case.config, &["check"]).stdout.contains("made with two_phase"));
        assert!(case.command(&["slot", "drop", "--yes"], 0).contains("dropped slot"));

        // A temporary one is always in use, and waiting for it would wait for its end.
        let client = case.stack.postgres.client(&case.space.database).await;
        let temporary =
            format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput', true)");
        client.batch_execute(&temporary).await.unwrap();
        assert!(case.refused().contains("is temporary"));
        assert!(case.command(&["slot", "adopt"], 5).contains("is temporary"));
    });
}

#[test]
fn a_slot_is_drained_when_all_that_committed_is_in_kafka() {
    run(LIMIT, async {
        // A server of its own: a transaction that is open is anybody's.
        let stack = Stack::start();
        let case = Case::on(&stack, "drained", TABLE, "").await;
        assert!(case.command(&["slot", "drained"], 3).contains("does not exist"));
        case.command(&["slot", "create"], 0);
        assert!(case.command(&["slot", "drained"], 0).contains("drained up to 0/"));
        case.execute("INSERT INTO orders VALUES (1)").await;
        let waits = case.command(&["slot", "drained"], 3);
        assert!(waits.contains("not drained") && waits.contains("at least 1 records"), "{waits}");
        // While it runs, and when it has stopped; what is not published does not count.
        let mut walbrook = Walbrook::spawn(&case.config);
        case.space.ready(&stack.postgres, &mut walbrook).await;
        case.execute("INSERT INTO orders SELECT generate_series(2, 1000)").await;
        assert!(case.command(&["slot", "drained"], 0).contains("drained up to 0/"));
        let topic = format!("{}.public.orders", case.space.prefix);
        assert_eq!(records::read_committed(&stack.kafka, &[&topic]).len(), 1000);
        assert!(walbrook.stop(STOP).success(), "{:?}", walbrook.log());
        case.execute("CREATE TABLE other (id int); INSERT INTO other VALUES (1)").await;
        assert!(case.command(&["slot", "drained"], 0).contains("drained up to 0/"));
        // What is open may commit.
        let client = stack.postgres.client(&case.space.database).await;
        client.batch_execute("BEGIN; INSERT INTO orders VALUES (0)").await.unwrap();
        let open = case.command(&["slot", "drained"], 3);
        assert!(open.contains("a transaction is open that may still commit"), "{open}");
        client.batch_execute("COMMIT").await.unwrap();
        assert!(case.command(&["slot", "drained"], 3).contains("not drained"));
        // And a pipeline that cannot go on says so.
        walbrook = Walbrook::spawn(&case.config);
        case.space.ready(&stack.postgres, &mut walbrook).await;
        stack.postgres.slot_active(&case.space.slot, true).await;
        walbrook.signal("STOP");
        case.execute("INSERT INTO orders VALUES (1001)").await;
        let behind = case.command(&["slot", "drained", "--wait-seconds", "1"], 3);
        assert!(behind.contains("not drained: Kafka has what committed before 0/"), "{behind}");
        walbrook.signal("CONT");
        assert!(walbrook.stop(STOP).success(), "{:?}", walbrook.log());
    });
}

#[test]
fn a_checkpoint_is_shown_and_accepted_after_the_slot_was_dropped_by_hand() {
    run(LIMIT, async {
        let case = Case::new("checkpoint", TABLE, "").await;
        assert_eq!(case.json(&["checkpoint", "show", "--json"]), Value::Null);
        assert!(case.command(&["checkpoint", "show"], 0).contains("holds no checkpoint"));
        case.command(&["slot", "create"], 0);
        case.execute("INSERT INTO orders VALUES (1)").await;
        case.run_until(1).await;
        let before = case.json(&["checkpoint", "show", "--json"]);
        // A start would go on: to accept would only send the row again.
        let accept = ["checkpoint", "accept", "--reason", "none"];
        assert!(case.command(&accept, 5).contains("nothing to accept"));
        assert_eq!(case.json(&["checkpoint", "show", "--json"]), before);
        assert_eq!(before["pipeline"], case.space.pipeline);
        assert_eq!(before["state"], "streaming");
        let text = case.command(&["checkpoint", "show"], 0);
        assert!(text.contains("publications: walbrook") && text.contains("timeline 1"), "{text}");

        let slot = &case.space.slot;
        case.execute(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
        case.execute("INSERT INTO orders VALUES (2)").await;
        let refusal = case.refused();
        assert!(refusal.contains("does not exist: changes since then are gone"), "{refusal}");
        assert!(refusal.contains("walbrook checkpoint accept"), "{refusal}");
        // So does check, before anybody starts it.
        let check = command(&case.config, &["check", "--json"]);
        assert_eq!(check.status.code(), Some(3));
        let items: Vec<Value> = serde_json::from_str(&check.stdout).unwrap();
        let start = items.iter().find(|item| item["item"] == "start").unwrap();
        assert_eq!(start["state"], "failed");
        assert!(start["text"].as_str().unwrap().contains("walbrook checkpoint accept"), "{start}");

        let accepted = case.command(&["checkpoint", "accept", "--reason", "dropped by hand"], 0);
        assert!(accepted.contains("before:\n  pipeline:"), "{accepted}");
        assert!(accepted.contains("\"dropped by hand\""), "{accepted}");
        let now = case.json(&["checkpoint", "show", "--json"]);
        assert_eq!(now["accepted"]["reason"], "dropped by hand");
        assert_eq!(now["accepted"]["previous_confirm"], before["confirm"]);
        assert_eq!(now["accepted"]["previous_position"], before["position"]);
        case.execute("INSERT INTO orders VALUES (3)").await;
        // The second row is the gap.
        assert!(accepted.contains("not delivered: changes that committed from"), "{accepted}");
        assert!(accepted.contains("may come again: nothing"), "{accepted}");
        case.run_until(2).await;
        assert_eq!(case.json(&["checkpoint", "show", "--json"])["accepted"], Value::Null);
    });
}

#[test]
fn a_gap_is_refused_and_accepted() {
    run(LIMIT, async {
        let case = Case::new("gap", TABLE, "").await;
        case.command(&["slot", "create"], 0);
        case.execute("INSERT INTO orders VALUES (1)").await;
        case.run_until(1).await;
        let before = case.json(&["checkpoint", "show", "--json"]);
        let slot = &case.space.slot;
        // Somebody else moves the slot over a row.
        case.execute("INSERT INTO orders VALUES (2)").await;
        let advance = format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())");
        case.execute(&advance).await;
        let confirmed = case.json(&["slot", "status", "--json"])["confirmed_flush_lsn"].clone();
        let refusal = case.refused();
        assert!(refusal.contains("those between are gone"), "{refusal}");
        assert!(refusal.contains("walbrook checkpoint accept"), "{refusal}");
        assert_eq!(case.json(&["checkpoint", "show", "--json"]), before, "nothing is changed");

        let accept = ["checkpoint", "accept", "--reason", "the row is in the archive"];
        let accepted = case.command(&accept, 0);
        let (from, to) = (before["confirm"].as_str().unwrap(), confirmed.as_str().unwrap());
        let gap = format!("not delivered: changes that committed from {from} to {to}\n");
        assert!(accepted.contains(&gap), "{gap}: {accepted}");
        assert!(accepted.contains("may come again: nothing"), "{accepted}");
        let now = case.json(&["checkpoint", "show", "--json"]);
        assert_eq!((&now["confirm"], &now["accepted"]["reason"]), (&confirmed, &accept[3].into()));
        // Once is enough.
        assert!(case.command(&accept, 5).contains("nothing to accept"));
        assert_eq!(case.json(&["checkpoint", "show", "--json"]), now);
        case.execute("INSERT INTO orders VALUES (3)").await;
        case.run_until(2).await;
    });
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_overridden_and_a_tombstone_is_none() {
    run(LIMIT, async {
        let case = Case::new("unreadable", TABLE, "").await;
        case.command(&["slot", "create"], 0);
        case.execute("INSERT INTO orders VALUES (1)").await;
        case.run_until(1).await;
        let write = |value: Option<&str>| case.write_checkpoint(value);

        // By what it holds, nobody could go on; the error says how to go on without it.
        write(Some("{\"format\":"));
        let mut walbrook = Walbrook::spawn(&case.config);
        let error = ends_with(&mut walbrook, 4);
        assert!(error.contains("not readable"), "{error}");
        assert!(error.contains("walbrook checkpoint accept --reason"), "{error}");
        assert!(case.command(&["slot", "adopt"], 4).contains("walbrook checkpoint accept"));
        case.execute("INSERT INTO orders VALUES (2)").await;
        let accept = ["checkpoint", "accept", "--reason", "broken"];
        assert!(case.command(&accept, 5).contains("add --epoch N"));
        let in_epoch = |epoch| [&accept[..], &["--epoch", epoch]].concat();
        let accepted = case.command(&in_epoch("1"), 0);
        for words in ["is overridden (checkpoint record is not readable", "may come again: changes"]
        {
            assert!(accepted.contains(words), "{words}: {accepted}");
        }
        assert!(case.command(&accept, 5).contains("nothing to accept"));
        case.run_until(2).await;

        // Without the slot, too: it is made anew.
        write(Some(""));
        case.command(&["slot", "drop", "--yes"], 0);
        assert!(case.command(&in_epoch("2"), 0).contains("is overridden"));
        case.execute("INSERT INTO orders VALUES (3)").await;
        case.run_until(3).await;
        // Of what could not be read nothing is known, so none of its positions is used again.
        assert_eq!(case.epochs(), ["0", "1", "2"]);

        // A tombstone says that there is none.
        write(None);
        assert_eq!(case.json(&["checkpoint", "show", "--json"]), Value::Null);
        assert!(case.refused().contains("walbrook slot adopt"));
        assert!(case.command(&["slot", "adopt", "--epoch", "3"], 0).contains("before:\n  none"));
        case.execute("INSERT INTO orders VALUES (4)").await;
        case.run_until(4).await;
        assert_eq!(case.epochs(), ["0", "1", "2", "3"]);
    });
}

/// The refusal comes from the stream, which no command reads: the operator names what it named.
#[test]
fn a_checkpoint_that_the_stream_contradicts_is_accepted_by_its_position() {
    run(LIMIT, async {
        let case = Case::new("contradicted", TABLE, "").await;
        case.command(&["slot", "create"], 0);
        case.execute("INSERT INTO orders VALUES (1)").await;
        case.run_until(1).await;
        // As if a transaction had been left here that this server never had.
        let client = case.stack.postgres.client(&case.space.database).await;
        let lsn = query(&client, "SELECT pg_current_wal_insert_lsn()").await.concat().concat();
        case.execute("INSERT INTO orders VALUES (2)").await;
        let mut record = case.json(&["checkpoint", "show", "--json"]);
        record["xid"] = 3.into();
        record["inside"] = serde_json::json!({ "xid": 3, "lsn": "0/10" });
        record["position"] = serde_json::json!({ "commit_lsn": lsn, "ordinal": 1 });
        let position = format!("{lsn}#1");
        case.write_checkpoint(Some(&record.to_string()));

        let refusal = case.refused();
        let advice = format!("walbrook checkpoint accept --position {position} --reason");
        assert!(refusal.contains(&advice), "{advice}: {refusal}");
        let accept = ["checkpoint", "accept", "--reason", "restored"];
        let nothing = case.command(&accept, 5);
        assert!(nothing.contains(&format!("--position {position}")), "{nothing}");
        let other = [&accept[..], &["--position", "0/1#1"]].concat();
        assert!(case.command(&other, 5).contains("nothing to accept"));
        let accepted = case.command(&[&accept[..], &["--position", &position]].concat(), 0);
        assert!(accepted.contains("may come again: changes that committed"), "{accepted}");
        // What comes has positions that Kafka may have.
        assert!(accepted.contains("in epoch 1 (the last change in Kafka)"), "{accepted}");
        case.run_until(2).await;
        assert_eq!(case.epochs(), ["0", "1"]);
        case.execute("INSERT INTO orders VALUES (3)").await;
        case.run_until(3).await;
        assert_eq!(case.epochs(), ["0", "1", "1"], "it is kept");
    });
}

#[test]
fn commands_say_when_a_server_cannot_be_reached() {
    run(LIMIT, async {
        let mut case = Case::new("unreachable", TABLE, "").await;
        let dead = crate::support::process::free_port();
        let good = case.config.clone();
        case.config = good.replace(&case.stack.kafka.bootstrap(), &format!("127.0.0.1:{dead}"));
        case.command(&["checkpoint", "show"], 6);
        let port = |port: u16| format!("port = {port}\n");
        case.config = good.replace(&port(case.stack.postgres.port()), &port(dead));
        case.command(&["slot", "status"], 6);
        case.command(&["schema", "print"], 6);
    });
}

#[test]
fn printed_schemas_are_those_that_are_registered() {
    run(LIMIT, async {
        let schema = r#"{"type": "record", "name": "OrderPlaced", "fields": [{"name": "order", "type": "long"}]}"#;
        let file = write_file("order.avsc", schema);
        let statements = "
            CREATE DOMAIN cents AS numeric(10, 2);
            CREATE TABLE orders (id bigint PRIMARY KEY, note text, gone int, price cents NOT NULL,
                doubled numeric GENERATED ALWAYS AS (price * 2) STORED);
            ALTER TABLE orders DROP COLUMN gone;
            CREATE TABLE whole (id int NOT NULL, b text);
            ALTER TABLE whole REPLICA IDENTITY FULL;
            CREATE TABLE chosen (a int, b int NOT NULL UNIQUE, c int);
            ALTER TABLE chosen REPLICA IDENTITY USING INDEX chosen_b_key;
            CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text,
                type text, payload jsonb);
            CREATE PUBLICATION walbrook FOR TABLE orders, whole, chosen, outbox;";
        let more = format!(
            "[[outbox]]\ntable = \"public.outbox\"\n\
             [[outbox.schemas]]\nroute = \"order\"\nfile = \"{}\"\n",
            file.display()
        );
        let case = Case::new("schemas", statements, &more).await;
        let all = printed(&case.command(&["schema", "print"], 0));
        let prefix = &case.space.prefix;
        let mut subjects: Vec<_> = all.iter().map(|(subject, _)| subject.clone()).collect();
        subjects.sort();
        let mut expect: Vec<_> =
            ["chosen-key", "chosen-value", "orders-key", "orders-value", "whole-value"]
                .iter()
                .map(|table| format!("{prefix}.public.{table}"))
                .collect();
        expect.push("outbox.event.order-value".to_owned());
        expect.sort();
        assert_eq!(subjects, expect);
        let one = printed(&case.command(&["schema", "print", "--table", "public.orders"], 0));
        assert_eq!(one.len(), 2);
        let unknown = case.command(&["schema", "print", "--table", "public.nothing"], 2);
        assert!(unknown.contains("public.nothing"), "{unknown}");

        // What the stream leads to is the same.
        let mut walbrook = Walbrook::spawn(&case.config);
        case.space.ready(&case.stack.postgres, &mut walbrook).await;
        case.execute(
            "INSERT INTO orders VALUES (1, 'a', 1); INSERT INTO whole VALUES (1, 'b');
             INSERT INTO chosen VALUES (1, 2, 3);",
        )
        .await;
        let registered = |subject: &str| {
            let url = format!("{}/subjects/{subject}/versions/latest", case.stack.registry.url());
            let (status, body) = crate::support::http::get(&url)?;
            let body: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
            body["schema"].as_str().map(str::to_owned).ok_or_else(|| format!("{subject}: {status}"))
        };
        for (subject, schema) in all.iter().filter(|(subject, _)| subject.starts_with(prefix)) {
            let found = until(Duration::from_secs(60), "schemas", || registered(subject));
            let found = Schema::parse_str(&found).unwrap();
            assert_eq!(found.canonical_form(), schema.canonical_form(), "{subject}");
        }
        assert!(walbrook.stop(STOP).success(), "{:?}", walbrook.log());
    });
}

/// Subjects and schemas of what `schema print` printed: one JSON object after the other.
fn printed(text: &str) -> Vec<(String, Schema)> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .map(|value| {
            let value = value.unwrap();
            let subject = value["subject"].as_str().unwrap().to_owned();
            let schema = Schema::parse(&value["schema"]).unwrap_or_else(|error| panic!("{error}"));
            (subject, schema)
        })
        .collect()
}

/// `status` and `stop` reach the running process through its socket, and say when none listens.
#[test]
fn status_and_stop_through_the_control_socket() {
    run(LIMIT, async {
        let mut case = Case::new("control", TABLE, "").await;
        let socket = crate::support::process::folder("control").join("socket");
        case.config = case.config.replace("\"off\"", &format!("\"{}\"", socket.display()));
        assert!(case.command(&["status"], 6).contains("no walbrook listens"));
        let mut walbrook = Walbrook::spawn(&case.config);
        case.space.ready(&case.stack.postgres, &mut walbrook).await;
        let mode = std::fs::metadata(&socket).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        let status = case.json(&["status"]);
        assert_eq!(status["phase"], "streaming", "{status:#}");
        case.command(&["stop"], 0);
        assert_eq!(walbrook.wait(STOP).code(), Some(0), "{}", walbrook.tail());
        assert!(!socket.exists());
    });
}
