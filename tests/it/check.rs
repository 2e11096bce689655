//! `walbrook check` against servers that lack something: the sentence that a DBA needs, and the
//! exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::registry;
use crate::support::flow;
use crate::support::kafka::{Kafka, Options as KafkaOptions, Secure};
use crate::support::postgres::{Options, Postgres, VERSION};
use crate::support::registry::Registry;
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::{Output, Walbrook, command, write_file};
use crate::support::{http, process, records, run, tls, unique, until};

mod inheritance;
mod snapshots;
mod waiting;

const LIMIT: Duration = Duration::from_secs(240);

const TABLE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(10, 2));
    CREATE PUBLICATION walbrook FOR TABLE orders;";

/// What a check found.
struct Checked {
    code: i32,
    items: Vec<Value>,
}

impl Checked {
    fn new(config: &str) -> Self {
        let Output { status, stdout, stderr } = command(config, &["check", "--json"]);
        let items = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}\n{stderr}"));
        Self { code: status.code().unwrap(), items }
    }

    /// Asserts that exactly these items failed, and that `check` says so.
    #[track_caller]
    fn failed(&self, names: &[&str]) {
        let failed = self.items.iter().filter(|item| item["state"] == "failed");
        let mut failed: Vec<_> = failed.map(|item| item["item"].as_str().unwrap()).collect();
        failed.dedup();
        assert_eq!(failed, names, "{}", self.text());
        assert_eq!(self.code, if names.is_empty() { 0 } else { 3 });
    }

    /// Asserts that an item of this name and state says all of `words`, in text or fix.
    #[track_caller]
    fn says(&self, name: &str, state: &str, words: &[&str]) {
        let is_it = |item: &&Value| {
            let text = format!("{} {}", item["text"], item["fix"]).replace("\\\"", "\"");
            item["item"] == name
                && item["state"] == state
                && words.iter().all(|word| text.contains(word))
        };
        assert!(
            self.items.iter().any(|item| is_it(&item)),
            "{name} {state} {words:?}\n{}",
            self.text()
        );
    }

    fn text(&self) -> String {
        format!("{:#}", Value::Array(self.items.clone()))
    }
}

/// The configuration with one piece of it replaced.
#[track_caller]
fn with(config: &str, old: &str, new: &str) -> String {
    assert!(config.contains(old), "{old}\n{config}");
    config.replace(old, new)
}

fn as_user(config: &str, user: &str) -> String {
    with(config, "user = \"postgres\"", &format!("user = \"{user}\""))
}

fn on_server(stack: &Stack, config: &str, postgres: &Postgres) -> String {
    let socket = stack.postgres.socket_folder().display().to_string();
    let config = with(config, &format!("\"{socket}\""), "\"127.0.0.1\"");
    let port = |port| format!("port = {port}\n");
    with(&config, &port(stack.postgres.port()), &port(postgres.port()))
}

/// Takes a secret's file from everybody else.
fn private(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn space(name: &str, statements: &str) -> (&'static Stack, Space) {
    let stack = shared();
    let space = Space::new(&stack.postgres, name).await;
    stack.postgres.execute(&space.database, statements).await;
    (stack, space)
}

#[test]
fn everything_in_place_is_exit_0_before_and_while_it_runs() {
    run(LIMIT, async {
        let (stack, space) = space("check_ok", TABLE).await;
        let config = space.config(stack, "");
        let fresh = Checked::new(&config);
        fresh.failed(&[]);
        fresh.says("postgres.slot", "ok", &["does not exist yet"]);
        fresh.says("postgres.wal_limit", "warning", &["nothing limits", "max_slot_wal_keep_size"]);
        fresh.says("kafka.new_topics", "warning", &["replication factor 1"]);
        fresh.says("kafka.topic", "ok", &["public.orders does not exist yet and will be created"]);
        fresh.says("registry.schema", "ok", &["registered: 0", "new and compatible: 2"]);
        fresh.says("start", "ok", &["creates the slot"]);

        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        let insert = "INSERT INTO orders SELECT n, 1 FROM generate_series(1, 10) AS n";
        stack.postgres.execute(&space.database, insert).await;
        let topic = format!("{}.public.orders", space.prefix);
        let is_there = || records::read_committed(&stack.kafka, &[&topic]).len();
        until(Duration::from_secs(60), "events", || {
            (is_there() == 10).then_some(()).ok_or_else(|| "not yet".to_owned())
        });
        let running = Checked::new(&config);
        running.failed(&[]);
        running.says("postgres.slot", "ok", &["held by process", "walbrook"]);
        running.says("kafka.topic", "ok", &[&topic, "can be written"]);
        running.says("kafka.checkpoint_topic", "ok", &["can be written"]);
        running.says("kafka.checkpoint_topic", "ok", &["the checkpoint is at"]);
        running.says("registry.schema", "ok", &["registered: 2", "new and compatible: 0"]);
        running.says("start", "ok", &["would wait as a standby"]);
        // The check has written nothing that a reader of uncommitted records would see.
        let all = records::read_uncommitted(&stack.kafka, &[&topic]);
        assert_eq!(all.len(), 10);
        // It has not fenced the pipeline.
        stack.postgres.execute(&space.database, "UPDATE orders SET total = 2").await;
        until(Duration::from_secs(60), "events", || {
            (is_there() == 20).then_some(()).ok_or_else(|| "not yet".to_owned())
        });
        assert!(walbrook.stop(Duration::from_secs(30)).success());
        assert!(!walbrook.log().concat().contains("fenced"), "{:?}", walbrook.log());
        let stopped = Checked::new(&config);
        stopped.failed(&[]);
        stopped.says("start", "ok", &["a start goes on after"]);

        let text = command(&config, &["check"]);
        let version = format!("OK       postgres.version: PostgreSQL {}", *VERSION);
        assert!(text.stdout.contains(&version), "{text:?}");
        assert!(text.stdout.trim_end().ends_with("0 to put right"), "{text:?}");
    });
}

#[test]
fn a_schema_that_the_registry_would_refuse_is_named_and_nothing_is_registered() {
    run(LIMIT, async {
        let (stack, space) = space("check_schema", TABLE).await;
        // One whose global rule may change.
        let registry = Registry::start();
        let config = space.config(stack, "").replace(&stack.registry.url(), &registry.url());
        let subject = format!("{}.public.orders-value", space.prefix);
        let other = registry::record(registry::NUMBER);
        registry::client(&[registry.url()]).register(&subject, &other).await.unwrap();
        let refused = Checked::new(&config);
        refused.failed(&["registry.schema"]);
        refused.says(
            "registry.schema",
            "failed",
            &[&subject, "not compatible", "PUT /config/", "Apicurio"],
        );
        refused.says("registry.schema", "ok", &["registered: 0", "new and compatible: 1"]);
        registry.set_rule("", "NONE");
        Checked::new(&config).says("registry.schema", "ok", &["new and compatible: 2"]);
        let ours = |name: &String| name.starts_with(&space.prefix);
        assert_eq!(registry.subjects().into_iter().filter(ours).collect::<Vec<_>>(), [&*subject]);
        let versions = format!("{}/subjects/{subject}/versions", registry.url());
        assert_eq!(http::get(&versions).unwrap(), (200, "[1]".to_owned()));
    });
}

/// What is stricter than the schema that readers have is as that is.
#[test]
fn a_schema_that_run_keeps_nullable_is_the_registered_one() {
    run(LIMIT, async {
        let mut flow = flow::Flow::start(shared(), "check_kept", TABLE, &[]).await;
        flow.execute("INSERT INTO orders VALUES (1, 1)").await;
        flow.drain().await;
        flow.stop();
        flow.execute("ALTER TABLE orders ALTER total SET NOT NULL").await;
        let strict = Checked::new(&flow.config);
        strict.failed(&[]);
        strict.says("registry.schema", "ok", &["registered: 2", "new and compatible: 0"]);
        flow.restart().await;
        flow.execute("INSERT INTO orders VALUES (2, 2)").await;
        flow.drain().await;
        flow.stop();
    });
}

/// A server with `wal_level = replica` that wants passwords of most.
async fn reluctant() -> Postgres {
    let postgres = Postgres::start(&Options {
        conf: vec!["wal_level = replica".into(), "max_slot_wal_keep_size = '1GB'".into()],
        hba: vec!["host all cdc 127.0.0.1/32 scram-sha-256".into()],
        ..Options::default()
    });
    postgres.execute("postgres", "CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'right'").await;
    postgres
}

#[test]
fn wal_level_and_password() {
    run(LIMIT, async {
        let stack = shared();
        let postgres = reluctant().await;
        let space = Space::new(&postgres, "check_server").await;
        postgres.execute(&space.database, TABLE).await;
        let config = on_server(stack, &space.config(stack, ""), &postgres);
        let replica = Checked::new(&config);
        replica.failed(&["postgres.wal_level"]);
        replica.says(
            "postgres.wal_level",
            "failed",
            &["wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'", "restart"],
        );
        replica.says("postgres.wal_limit", "ok", &["1024 MiB"]);

        let user = |password: &str| {
            let file = write_file("password", password);
            private(&file);
            let lines = format!("user = \"cdc\"\npassword_file = \"{}\"", file.display());
            with(&config, "user = \"postgres\"", &lines)
        };
        let wrong = Checked::new(&user("wrong"));
        wrong.failed(&["postgres.connection"]);
        wrong.says(
            "postgres.connection",
            "failed",
            &["refused the password of user \"cdc\"", "\\password", "postgres.password_file"],
        );
        // What does not need PostgreSQL is looked at all the same.
        wrong.says("kafka.connection", "ok", &["brokers: 1"]);
        wrong.says("registry.connection", "ok", &["answers"]);
        Checked::new(&user("right")).failed(&["postgres.wal_level"]);

        let database =
            with(&config, &format!("database = \"{}\"", space.database), "database = \"nowhere\"");
        let unknown = Checked::new(&database);
        unknown.failed(&["postgres.connection"]);
        unknown.says("postgres.connection", "failed", &["nowhere", "CREATE DATABASE"]);
        drop(postgres);
        let gone = Checked::new(&config);
        gone.failed(&["postgres.connection"]);
        gone.says("postgres.connection", "failed", &["127.0.0.1", "check postgres.hosts"]);
    });
}

#[test]
fn version_14_passes_too() {
    run(LIMIT, async {
        let stack = shared();
        let postgres = Postgres::start(&Options { version: 14, ..Options::default() });
        let space = Space::new(&postgres, "check_14").await;
        postgres.execute(&space.database, TABLE).await;
        let config = on_server(stack, &space.config(stack, ""), &postgres);
        let found = Checked::new(&config);
        found.failed(&[]);
        found.says("postgres.version", "ok", &["PostgreSQL 14"]);
        let schemas = command(&config, &["schema", "print"]);
        assert!(schemas.stdout.contains("public.orders-key"), "{schemas:?}");
    });
}

/// Settings that came later, by which a slot is lost, waits, or cannot be had.
#[test]
fn settings_of_later_versions() {
    run(LIMIT, async {
        let stack = shared();
        let conf = [
            "idle_replication_slot_timeout = '2h'",
            "synchronized_standby_slots = 'here, gone'",
            "output_plugin_libraries = 'test_decoding'",
            // Nobody waits for it here.
            "synchronous_standby_names = '*'",
            "synchronous_commit = local",
        ];
        let conf = conf.map(str::to_owned).into();
        let postgres = Postgres::start(&Options { version: 18, conf, ..Options::default() });
        let space = Space::new(&postgres, "check_18").await;
        postgres.execute(&space.database, TABLE).await;
        let config = on_server(stack, &space.config(stack, ""), &postgres);
        let found = Checked::new(&config);
        found.failed(&["postgres.output_plugin"]);
        let fix = "ALTER SYSTEM SET output_plugin_libraries = pgoutput, …";
        found.says("postgres.output_plugin", "failed", &["(test_decoding)", fix]);
        found.says("postgres.idle_timeout", "warning", &["7200s", "= '3d'"]);
        found.says("postgres.synchronous", "warning", &["(*)", "application_name"]);
        // What it would lead to.
        let refused = command(&config, &["slot", "create"]);
        assert_eq!(refused.status.code(), Some(4), "{refused:?}");
        let words = "pgoutput\\\" may not be used as an output plugin";
        assert!(refused.stderr.contains(words), "{refused:?}");
        postgres
            .execute(
                "postgres",
                "ALTER SYSTEM SET output_plugin_libraries = pgoutput, test_decoding",
            )
            .await;
        postgres.execute("postgres", "SELECT pg_reload_conf()").await;
        until(LIMIT, "the slot", || match command(&config, &["slot", "create"]) {
            made if made.status.success() => Ok(()),
            refused => Err(refused.stderr),
        });
        let made = Checked::new(&config);
        made.failed(&[]);
        made.says(
            "postgres.standby_slots",
            "warning",
            &["no standby reads gone, here", "WAL is kept"],
        );
    });
}

#[test]
fn a_role_without_replication() {
    run(LIMIT, async {
        let (stack, space) = space("check_role", TABLE).await;
        let role = unique("check_reader");
        stack.postgres.execute("postgres", &format!("CREATE ROLE {role} LOGIN")).await;
        let config = as_user(&space.config(stack, ""), &role);
        let found = Checked::new(&config);
        found.failed(&["postgres.replication"]);
        let fix = format!("ALTER ROLE \"{role}\" REPLICATION;");
        found.says("postgres.replication", "failed", &["permission denied", &fix]);
        found.says("postgres.identity", "ok", &["published tables: 1,"]);
        // The fix puts it right.
        stack.postgres.execute("postgres", &fix).await;
        Checked::new(&config).failed(&[]);
    });
}

#[test]
fn publications_tables_and_types() {
    run(LIMIT, async {
        let (stack, space) = space("check_tables", "CREATE TABLE orders (id bigint)").await;
        let config = space.config(stack, "");
        let missing = Checked::new(&config);
        missing.failed(&["postgres.publication"]);
        missing.says(
            "postgres.publication",
            "failed",
            &["\"walbrook\" does not exist", "CREATE PUBLICATION \"walbrook\" FOR TABLE"],
        );

        let execute = async |statements: &str| {
            stack.postgres.execute(&space.database, statements).await;
        };
        execute("CREATE PUBLICATION walbrook").await;
        let empty = Checked::new(&config);
        empty.failed(&["postgres.publication"]);
        empty.says("postgres.publication", "failed", &["hold no table", "ADD TABLE"]);

        execute(
            "CREATE TABLE late (id int PRIMARY KEY DEFERRABLE);
             CREATE TABLE shapes (id int PRIMARY KEY, place regclass, grants aclitem[]);
             CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
             ALTER PUBLICATION walbrook ADD TABLE orders, late, shapes, parts;
             ALTER PUBLICATION walbrook SET (publish = 'insert, update')",
        )
        .await;
        let found = Checked::new(&config);
        found.failed(&["postgres.identity"]);
        for (table, why) in [("orders", "no primary key"), ("late", "primary key is deferrable")] {
            let text = format!("table public.{table} has no usable replica identity");
            let fix = format!("ALTER TABLE \"public\".\"{table}\" REPLICA IDENTITY FULL;");
            let words = [&text, why, "PostgreSQL refuses every UPDATE and DELETE", &fix];
            found.says("postgres.identity", "failed", &words);
        }
        found.says(
            "postgres.types",
            "warning",
            &["table public.shapes", "place (regclass)", "grants (aclitem[])", "text form"],
        );
        found.says("postgres.publication", "warning", &["does not publish delete, truncate"]);
        found.says(
            "postgres.publication",
            "warning",
            &["partitions", "public.parts_1", "publish_via_partition_root = true"],
        );
        execute(
            "ALTER TABLE orders REPLICA IDENTITY FULL;
             ALTER TABLE late REPLICA IDENTITY FULL;
             ALTER PUBLICATION walbrook SET (
                 publish = 'insert, update, delete, truncate', publish_via_partition_root = true)",
        )
        .await;
        let put_right = Checked::new(&config);
        put_right.failed(&[]);
        put_right.says("postgres.publication", "ok", &["\"walbrook\" exists"]);
        put_right.says("postgres.identity", "ok", &["published tables: 4,"]);
    });
}

/// Found before the start; and by the stream, which ends before a record of the second is written.
#[test]
fn two_tables_with_one_topic() {
    run(LIMIT, async {
        let tables = r#"CREATE TABLE "order line" (id int PRIMARY KEY);
            CREATE TABLE order_line (other text PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE "order line", order_line"#;
        let (stack, space) = space("check_topic", tables).await;
        let config = space.config(stack, "");
        let words = [r#""public"."order line""#, r#""public"."order_line""#, "RENAME TO"];
        let found = Checked::new(&config);
        found.failed(&["postgres.tables"]);
        found.says("postgres.tables", "failed", &words);

        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        for row in [r#""order line" VALUES (1)"#, "order_line VALUES ('1')"] {
            stack.postgres.execute(&space.database, &format!("INSERT INTO {row}")).await;
        }
        let error = flow::ends_with(&mut walbrook, 4);
        assert!(words[..2].iter().all(|word| error.contains(word)), "{error}");
        let topic = format!("{}.public.order_line", space.prefix);
        assert!(records::read_committed(&stack.kafka, &[&topic]).len() < 2);
    });
}

/// At the start, before a row; and where a column comes later, before its first row.
#[test]
fn two_columns_of_one_field() {
    run(LIMIT, async {
        let tables = r#"CREATE TABLE t (id int PRIMARY KEY, "a-b" int, "a b" int);
            CREATE PUBLICATION walbrook FOR TABLE t"#;
        let (stack, space) = space("check_field", tables).await;
        let execute = async |statements: &str| {
            stack.postgres.execute(&space.database, statements).await;
        };
        let config = space.config(stack, "");
        let words = ["table public.t", r#""a b""#, r#""a-b""#, "the field a_b", "rename"];
        let found = Checked::new(&config);
        found.failed(&["postgres.tables"]);
        found.says("postgres.tables", "failed", &["table public.t", "the field a_b", "rename"]);
        let error = flow::ends_with(&mut Walbrook::spawn(&config), 4);
        assert!(words.iter().all(|word| error.contains(word)), "{error}");

        execute(r#"ALTER TABLE t DROP "a b""#).await;
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        execute(r#"INSERT INTO t VALUES (1); ALTER TABLE t ADD a_b int; INSERT INTO t VALUES (2)"#)
            .await;
        let error = flow::ends_with(&mut walbrook, 4);
        assert!(error.contains("the field a_b"), "{error}");
    });
}

#[test]
fn an_outbox_that_is_not_published_or_lacks_a_column() {
    run(LIMIT, async {
        let (stack, space) = space("check_outbox", TABLE).await;
        let config = space.config(stack, "[[outbox]]\ntable = \"public.outbox\"");
        let missing = Checked::new(&config);
        missing.failed(&["postgres.outbox"]);
        let fix = "ALTER PUBLICATION \"walbrook\" ADD TABLE \"public\".\"outbox\";";
        missing.says("postgres.outbox", "failed", &["in none of the publications", fix]);
        let table = "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text,
            aggregateid text, payload jsonb)";
        stack.postgres.execute(&space.database, table).await;
        stack.postgres.execute(&space.database, fix).await;
        let lacking = Checked::new(&config);
        lacking.failed(&["postgres.tables"]);
        lacking.says("postgres.tables", "failed", &["public.outbox has no published column type"]);
    });
}

#[test]
fn what_the_publications_leave_out() {
    run(LIMIT, async {
        let tables = "CREATE TABLE letters (id uuid, aggregatetype text, aggregateid text,
                type text, payload jsonb, sent boolean, PRIMARY KEY (id, sent))
                PARTITION BY LIST (sent);
            CREATE TABLE letters_open PARTITION OF letters FOR VALUES IN (false);
            CREATE TABLE orders (id int PRIMARY KEY, total int, note text);
            CREATE TABLE people (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE letters, orders (id), people WHERE (id > 0)";
        let (stack, space) = space("check_left_out", tables).await;
        let config = space.config(stack, "[[outbox]]\ntable = \"public.letters\"");
        let found = Checked::new(&config);
        found.failed(&[]);
        let words = ["public.letters is published by its partitions", "via_partition_root = true"];
        found.says("postgres.outbox", "warning", &words);
        found.says("postgres.extents", "ok", &["row filters leave out rows of public.people"]);
        found.says("postgres.extents", "ok", &["column lists leave out columns of public.orders"]);

        let all = "DROP PUBLICATION walbrook; ALTER TABLE people SET UNLOGGED;
            CREATE PUBLICATION walbrook FOR ALL TABLES WITH (publish_via_partition_root)";
        stack.postgres.execute(&space.database, all).await;
        let unlogged = Checked::new(&config);
        unlogged.failed(&[]);
        unlogged.says("postgres.unlogged", "warning", &["public.people", "SET LOGGED"]);

        let by_other = "CREATE UNIQUE INDEX other ON letters_open (sent);
            ALTER TABLE letters_open REPLICA IDENTITY USING INDEX other";
        stack.postgres.execute(&space.database, by_other).await;
        let words = ["partition public.letters_open", "lacks the event's id", "a second event"];
        Checked::new(&config).says("postgres.outbox", "warning", &words);

        let inserts = "ALTER PUBLICATION walbrook SET (publish = 'insert')";
        stack.postgres.execute(&space.database, inserts).await;
        let words = ["DELETE is not published", "a second event", "row filter"];
        Checked::new(&config).says("postgres.outbox", "warning", &words);
    });
}

/// What rows decide is tried as far as it exists; what was not tried is said.
#[test]
fn topics_of_outboxes() {
    run(LIMIT, async {
        let outbox = "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text,
            aggregateid text, type text, payload jsonb);
            CREATE PUBLICATION walbrook FOR TABLE outbox";
        let (stack, space) = space("check_routed", outbox).await;
        let prefix = &space.prefix;
        let by_rows =
            format!("[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{prefix}.{{route}}.v1\"");
        let config = space.config(stack, &by_rows);
        let words = ["exists yet", "not tried", &format!("prefixed --topic {prefix}.")];
        Checked::new(&config).says("kafka.topic", "skipped", &words);
        stack.kafka.create_topic(&format!("{prefix}.order.v1"), 1, &[]).await;
        stack.kafka.create_topic(&format!("{prefix}.order.v2"), 1, &[]).await;
        let exists = Checked::new(&config);
        exists.says(
            "kafka.topic",
            "ok",
            &[&format!("{prefix}.order.v1 exists and can be written")],
        );
        assert!(!exists.text().contains("order.v2"), "{}", exists.text());
        let fixed = by_rows.replace("{route}.v1", "events");
        let will = format!("{prefix}.events does not exist yet and will be created");
        Checked::new(&space.config(stack, &fixed)).says("kafka.topic", "ok", &[&will]);
    });
}

#[test]
fn the_sql_makes_a_fresh_database_pass() {
    run(LIMIT, async {
        let outbox = "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text,
            aggregateid text, type text, payload jsonb)";
        let (stack, space) = space("check_sql", outbox).await;
        let role = unique("check_cdc");
        let more = "[[outbox]]\ntable = \"public.outbox\"\n[outbox_messages]\nprefix = \"events\"";
        let config = as_user(&space.config(stack, more), &role);
        Checked::new(&config).failed(&["postgres.connection"]);
        let sql = command(&config, &["check", "--sql"]);
        assert!(sql.status.success(), "{sql:?}");
        for _ in 0..2 {
            // As psql does: one statement after the other. ALTER SYSTEM stands alone.
            let client = stack.postgres.client(&space.database).await;
            for statement in statements(&sql.stdout) {
                client
                    .batch_execute(&statement)
                    .await
                    .unwrap_or_else(|e| panic!("{statement}: {e}"));
            }
        }
        let passed = Checked::new(&config);
        passed.failed(&[]);
        passed.says("postgres.message_outbox", "ok", &["pg_logical_emit_message"]);
        let grant = "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text, boolean) TO PUBLIC";
        stack.postgres.execute(&space.database, grant).await;
        let public = Checked::new(&config);
        public.failed(&[]);
        public.says("postgres.message_outbox", "warning", &["\"events\"", "REVOKE EXECUTE"]);
    });
}

/// The statements of a script in which each ends at a line's end.
fn statements(script: &str) -> Vec<String> {
    let (mut found, mut statement, mut end) = (Vec::new(), String::new(), ";".to_owned());
    for line in script.lines() {
        if statement.is_empty() && (line.is_empty() || line.starts_with("--")) {
            continue;
        }
        if let Some(tag) = line.strip_prefix("DO ") {
            end = format!("{tag};");
        }
        statement += &format!("{line}\n");
        if line.ends_with(&end) {
            found.push(std::mem::take(&mut statement));
            end = ";".to_owned();
        }
    }
    assert_eq!(statement, "");
    found
}

#[test]
fn a_dead_broker_and_a_dead_registry() {
    run(LIMIT, async {
        let (stack, space) = space("check_dead", TABLE).await;
        let config = space.config(stack, "");
        let dead = format!("127.0.0.1:{}", process::free_port());
        let broker = with(&config, &stack.kafka.bootstrap(), &dead);
        let url = format!("http://{dead}/apis/ccompat/v7");
        let both = with(&broker, &stack.registry.url(), &url);
        let found = Checked::new(&both);
        found.failed(&["kafka.connection", "registry.connection"]);
        found.says(
            "kafka.connection",
            "failed",
            &["no answer", "Connection refused", "check kafka.bootstrap_servers"],
        );
        found.says("kafka", "skipped", &["permissions"]);
        found.says(
            "registry.connection",
            "failed",
            &[&url, "does not answer", "check registry.urls"],
        );
        found.says("postgres.replication", "ok", &[]);
        found.says("start", "skipped", &["the checkpoint is not known"]);
        let path = with(&config, "/apis/ccompat/v7", "/wrong");
        let wrong = Checked::new(&path);
        wrong.failed(&["registry.connection"]);
        wrong.says("registry.connection", "failed", &["base path of its Confluent API"]);
    });
}

/// Each is told by its key, its program and how it ended, and by no more.
#[test]
fn commands_that_give_no_secret() {
    run(LIMIT, async {
        let (stack, space) = space("check_commands", TABLE).await;
        let command = |key: &str, script: &str| {
            format!("{key}_command = [\"sh\", \"-c\", \"{script}\", \"cAnArY\"]\n")
        };
        let sasl = format!(
            "[kafka.sasl]\nmechanism = \"PLAIN\"\nuser = \"cdc\"\n{}",
            command("password", "echo $0; echo $0")
        );
        let config = space.config(stack, &sasl);
        let postgres = format!("[postgres]\n{}", command("password", "echo $0; exit 3"));
        let config = with(&config, "[postgres]\n", &postgres);
        let registry = format!("[registry]\n{}", command("token", "echo {$0"));
        let found = Checked::new(&with(&config, "[registry]\n", &registry));
        found.failed(&["postgres.connection", "kafka.connection", "registry.connection"]);
        for (item, words) in [
            ("postgres", ["`postgres.password_command`", "sh ended with exit status 3"]),
            ("kafka", ["`kafka.sasl.password_command`", "sh printed more than one line"]),
            ("registry", ["`registry.token_command`", "sh gave JSON without"]),
        ] {
            found.says(&format!("{item}.connection"), "failed", &words);
        }
        assert!(!found.text().contains("cAnArY"), "{}", found.text());
    });
}

/// A broker with a listener that wants SCRAM over TLS and grants nothing by itself.
fn secured() -> (Kafka, String) {
    let authority = tls::Authority::new("walbrook test authority");
    let broker = authority.sign("broker", &["localhost"]);
    let kafka = Kafka::start(&KafkaOptions {
        secure: Some(Secure {
            certificate: broker.certificate,
            key: broker.key,
            client_authority: None,
            users: vec![("cdc".into(), "a-secret".into())],
        }),
        ..KafkaOptions::default()
    });
    (kafka, authority.certificate)
}

#[test]
fn a_missing_acl_is_named() {
    run(LIMIT, async {
        let (stack, space) = space("check_acl", TABLE).await;
        let (kafka, authority) = secured();
        let folder = process::folder("secrets");
        for (name, text) in [("ca", authority.as_str()), ("good", "a-secret"), ("bad", "wrong")] {
            fs::write(folder.join(name), text).unwrap();
            private(&folder.join(name));
        }
        let secure = |password: &str| {
            let sections = format!(
                "[kafka.tls]\nca_file = \"{folder}/ca\"\n[kafka.sasl]\n\
                 mechanism = \"SCRAM-SHA-512\"\nuser = \"cdc\"\n\
                 password_file = \"{folder}/{password}\"\n",
                folder = folder.display()
            );
            let config = space.config(stack, &sections);
            with(&config, &stack.kafka.bootstrap(), &kafka.bootstrap_secure())
        };
        let wrong = Checked::new(&secure("bad"));
        wrong.failed(&["kafka.connection"]);
        wrong.says("kafka.connection", "failed", &["refused the credentials", "[kafka.sasl]"]);

        let config = secure("good");
        let nothing = Checked::new(&config);
        nothing.failed(&["kafka.transactional_id", "kafka.checkpoint_topic", "kafka.topic"]);
        let id = format!("--transactional-id walbrook.{}.{}", space.pipeline, space.slot);
        nothing.says(
            "kafka.transactional_id",
            "failed",
            &["WRITE", &id, "--resource-pattern-type prefixed"],
        );

        let acl = |change: &str, arguments: &[&str]| {
            kafka.acl(&[&[change, "--force", "--allow-principal", "User:cdc"], arguments].concat());
        };
        let prefixed = ["--resource-pattern-type", "prefixed"];
        let (ids, checkpoints) =
            (format!("walbrook.{}", space.pipeline), format!("walbrook.{}", space.pipeline));
        acl(
            "--add",
            &[&["--operation", "Write", "--transactional-id", &ids], &prefixed[..]].concat(),
        );
        let topics = |topic: &str, operations: &[&str]| {
            let operations: Vec<_> =
                operations.iter().flat_map(|operation| ["--operation", operation]).collect();
            acl("--add", &[&operations[..], &["--topic", topic], &prefixed[..]].concat());
        };
        topics(&space.prefix, &["Create", "Write", "DescribeConfigs"]);
        topics(&checkpoints, &["Create", "Write", "DescribeConfigs"]);
        acl("--add", &["--operation", "DescribeConfigs", "--cluster"]);
        let fresh = Checked::new(&config);
        fresh.failed(&[]);
        kafka
            .create_topic(&format!("{checkpoints}.checkpoint"), 1, &[("cleanup.policy", "delete")])
            .await;
        let orders = format!("{}.public.orders", space.prefix);
        kafka.create_topic(&orders, 1, &[("retention.ms", "60000")]).await;
        let unread = Checked::new(&config);
        unread.failed(&["kafka.checkpoint_topic"]);
        unread.says("kafka.checkpoint_topic", "failed", &["READ", "--operation Read"]);
        unread.says("kafka.checkpoint_topic", "failed", &["cleanup.policy=delete", "compact"]);
        unread.says("kafka.topic", "ok", &[&orders, "can be written"]);
        unread.says("kafka.retention", "warning", &[&orders, "60s", "records.timestamp"]);

        topics(&checkpoints, &["Read"]);
        acl(
            "--remove",
            &[&["--operation", "Write", "--topic", &space.prefix], &prefixed[..]].concat(),
        );
        acl("--add", &["--operation", "Describe", "--topic", &orders]);
        let unwritten = Checked::new(&config);
        unwritten.failed(&["kafka.checkpoint_topic", "kafka.topic"]);
        unwritten.says("kafka.topic", "failed", &["WRITE", &orders, "--operation Write"]);
    });
}
