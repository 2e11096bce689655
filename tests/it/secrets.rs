//! No row value, key or secret in any log or error (I7): a canary in every column, in keys, in
//! outbox payloads and in secrets, through successes and failures, at level debug.
//!
//! By contract an error about an outbox event names the event's id, so the canary is not there.

use std::time::Duration;

use crate::support::flow::{self, Flow, LIMIT};
use crate::support::stack::shared;
use crate::support::walbrook::{Walbrook, write_file};
use crate::support::{run, until};

/// As a text, in hexadecimal digits, as a number, and its bytes as `Debug` prints them.
const CANARIES: [&str; 6] =
    ["cAnArY", "63416e417259", "8675309", "67, 65, 110, 65, 114, 89", "\\x63\\x41", "Y0FuQXJZ"];

fn check(log: &[String], what: &str) {
    for line in log {
        for canary in CANARIES {
            assert!(!line.contains(canary), "{what}: {canary} in: {line}");
        }
    }
}

const DDL: &str = "
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('cAnArY', 'other');
    CREATE DOMAIN tag AS varchar(30);
    CREATE TABLE t (
        k text, n bigint, a text NOT NULL, b varchar(40), c char(20), d name, e citext, f bytea,
        g json, h jsonb, i int, j numeric, l numeric(12, 2), m real, o double precision, p tag,
        q text[], r int[], s numeric[], u uuid, v bytea[], w jsonb[], PRIMARY KEY (k, n));
    CREATE TABLE ful (LIKE t INCLUDING ALL);
    ALTER TABLE ful REPLICA IDENTITY FULL;
    CREATE TABLE unknown (k text PRIMARY KEY, x hstore_like, y text[]);
    CREATE TABLE outbox (
        id int PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text, type text,
        payload jsonb);
    CREATE PUBLICATION walbrook FOR TABLE t, ful, outbox;";

const VALUES: &str =
    "'cAnArY', 8675309, 'cAnArY', 'cAnArY', 'cAnArY', 'cAnArY', 'cAnArY', 'cAnArY',
    '{\"cAnArY\": \"cAnArY\"}', '{\"cAnArY\": 8675309}', 8675309, 8675309.8675309, 8675309.86,
    8675309, 8675309, 'cAnArY', '{cAnArY,NULL}', '{8675309}', '{8675309.5}',
    '63416e41-7259-6341-6e41-725963416e41', '{cAnArY}', '{\"[\\\"cAnArY\\\"]\"}'";

const SCHEMA: &str = r#"{"type": "record", "name": "R", "fields": [
    {"name": "a", "type": "string"}, {"name": "n", "type": "int"}]}"#;

#[test]
fn no_value_and_no_secret_is_in_a_log() {
    run(Duration::from_secs(300), async {
        let schema = write_file("r.avsc", SCHEMA);
        let outbox = format!(
            "[[outbox]]\ntable = \"outbox\"\ntopic = \"{{prefix}}.event.{{route}}\"
             schemas = [{{ route = \"checked\", file = \"{}\" }}]
             dead_letter_topic = \"{{prefix}}.dead\"",
            schema.display()
        );
        let ddl = DDL.replace("hstore_like", "aclitem[]");
        let changes =
            [("log", "level = \"trace,kafka=debug,hyper=debug,h2=debug\""), ("", outbox.as_str())];
        let mut flow = Flow::start(shared(), "canary", &ddl, &changes).await;

        for table in ["t", "ful"] {
            flow.execute(&format!(
                "INSERT INTO {table} VALUES ({VALUES});
                 UPDATE {table} SET a = 'cAnArY2';
                 UPDATE {table} SET k = 'cAnArY3';
                 DELETE FROM {table};"
            ))
            .await;
        }
        let good = r#"{"a": "cAnArY", "n": 8675309}"#;
        flow.execute(&format!(
            "INSERT INTO outbox VALUES (1, 'checked', 'cAnArY', 'cAnArY', '{good}'),
                 (2, 'free', 'cAnArY', 'cAnArY', '\"cAnArY\"'),
                 (3, 'checked', 'cAnArY', 'cAnArY', '{{\"a\": 8675309, \"n\": \"cAnArY\"}}'),
                 (4, 'checked', 'cAnArY', 'cAnArY', '[\"cAnArY\"]'),
                 (5, 'checked', 'cAnArY', 'cAnArY',
                  '{{\"a\": \"x\", \"n\": 86753098675309, \"cAnArY x\": 1}}');
             UPDATE outbox SET payload = '\"cAnArY\"';
             SELECT pg_logical_emit_message(true, 'cAnArY-prefix', 'cAnArY');"
        ))
        .await;
        // A connection that breaks, a new type, a column that goes.
        flow.execute(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
             WHERE active AND database = current_database();",
        )
        .await;
        flow.execute(&format!(
            "ALTER TABLE t ADD COLUMN net regclass[]; ALTER TABLE t RENAME b TO bb;
             INSERT INTO t VALUES ({VALUES}, '{{t}}');
             ALTER TABLE ful ALTER a DROP NOT NULL;
             INSERT INTO ful (k, n) VALUES ('cAnArY', 1);
             INSERT INTO outbox VALUES (90, 'cAnArY/', 'cAnArY', 'cAnArY', '\"cAnArY\"');"
        ))
        .await;
        flow.drain().await;
        let told = flow.told("public.t").await;
        assert_eq!(told.len(), 8, "{told:#?}");
        let dead = format!("{}.dead", flow.space.prefix);
        let dead = crate::support::records::read_committed(&flow.stack.kafka, &[&dead]);
        assert_eq!(dead.len(), 4);
        for record in dead {
            check(&[record.header("walbrook.error").unwrap().to_owned()], "a dead letter");
        }
        let metrics = crate::support::http::get(&format!(
            "http://127.0.0.1:{}/metrics",
            flow.space.http_port
        ));
        check(&[metrics.unwrap().1], "metrics");
        flow.stop();
        check(&flow.walbrook.log(), "successes");
        failures(&mut flow).await;
    });
}

/// A key of a shell's command, which has a secret as `$0`.
fn command(kind: &str, script: &str) -> String {
    format!("{kind}_command = [\"sh\", \"-c\", \"{script}\", \"cAnArY-8675309\"]")
}

/// Failures that end the process, one after the other: what caused each is skipped by a new slot.
async fn failures(flow: &mut Flow<'_>) {
    let cases = [
        ("a value without a representation", "INSERT INTO t (k, n, a, j) VALUES ('cAnArY', 7, 'cAnArY', 'NaN')".to_owned()),
        ("an array of two dimensions", "INSERT INTO t (k, n, a, q) VALUES ('cAnArY', 8, 'cAnArY', '{{cAnArY},{x}}')".to_owned()),
        ("a date that is infinite", "ALTER TABLE t ADD COLUMN z date; INSERT INTO t (k, n, a, z) VALUES ('cAnArY', 9, 'cAnArY', 'infinity')".to_owned()),
        ("a publication that is gone", "DROP PUBLICATION walbrook; INSERT INTO t (k, n, a) VALUES ('cAnArY', 10, 'cAnArY')".to_owned()),
    ];
    for (at, (what, statements)) in cases.into_iter().enumerate() {
        // A pipeline of its own, that begins now.
        let own = format!("{}_{at}", flow.space.slot);
        let config = flow
            .config
            .replace(
                &format!("pipeline = \"{}\"", flow.space.pipeline),
                &format!("pipeline = \"{own}\""),
            )
            .replace(&format!("slot = \"{}\"", flow.space.slot), &format!("slot = \"{own}\""));
        let mut walbrook = Walbrook::spawn(&config);
        walbrook.wait_for_message(LIMIT, "streaming");
        flow.execute(&statements).await;
        let status = walbrook.wait(LIMIT);
        let log = walbrook.log();
        assert!(matches!(status.code(), Some(4 | 5)), "{what}: {status}\n{}", log.join("\n"));
        check(&log, what);
    }
    // Secrets, right and wrong, for every server.
    let secret = super::starts::secret_file("cAnArY-8675309\n");
    let secret = secret.display();
    let configs = [
        flow::edit(
            &flow.config,
            "kafka.sasl",
            &format!("mechanism = \"SCRAM-SHA-256\"\nuser = \"cdc\"\npassword_file = \"{secret}\""),
        ),
        flow::edit(
            &flow.config,
            "registry",
            &format!("user = \"u\"\npassword_file = \"{secret}\""),
        ),
        flow::edit(&flow.config, "postgres", &format!("password_file = \"{secret}\"")),
        flow::edit(
            &flow.config,
            "kafka.properties",
            &format!("\"ssl.keystore.password\" = {{ file = \"{secret}\" }}"),
        ),
        // Commands: one that gives a secret, one that fails with it, one that gives two lines, and ones
        // that give no token, with a secret among their arguments.
        flow::edit(&flow.config, "postgres", &command("password", "echo $0")),
        flow::edit(&flow.config, "postgres", &command("password", "echo $0; echo $0 >&2; exit 7")),
        flow::edit(
            &flow.config,
            "kafka.sasl",
            &format!(
                "mechanism = \"PLAIN\"\nuser = \"cdc\"\n{}",
                command("password", "echo $0; echo $0")
            ),
        ),
        flow::edit(
            &flow.config,
            "kafka.sasl",
            &format!("mechanism = \"OAUTHBEARER\"\n{}", command("token", "echo {$0")),
        ),
        flow::edit(&flow.config, "registry", &command("token", "echo $0 $0")),
        // Where a secret must not be: the error does not repeat it.
        flow::edit(&flow.config, "postgres", "password = \"cAnArY\""),
        flow::edit(&flow.config, "kafka.properties", "\"sasl.password\" = \"cAnArY\""),
        flow.config.replace("urls = [\"http://", "urls = [\"http://u:cAnArY@"),
    ];
    for config in configs {
        let mut walbrook = Walbrook::spawn(&config);
        until(LIMIT, "it complains, ends or streams", || {
            let words = ["WARN", "ERROR", "\"phase\":\"streaming\""];
            let has_ended = walbrook.ended().is_some();
            let log = walbrook.log();
            let says = |word: &&str| log.iter().any(|line| line.contains(word));
            if has_ended || words.iter().any(says) { Ok(()) } else { Err(walbrook.tail()) }
        });
        walbrook.kill();
        let log = walbrook.log();
        assert!(!log.is_empty());
        check(&log, "secrets");
    }
}
