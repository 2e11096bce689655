//! pykafka, which is abandoned and can't read Kafka 4, on a broker of 3.9.

use std::process::Command;
use std::time::Duration;

use super::consumer::{installed, words};
use super::page;
use crate::support::flow::Flow;
use crate::support::kafka;
use crate::support::process::{self, User};
use crate::support::stack::Stack;

/// The program's folder in tests/clients.
const NAME: &str = "pykafka";

/// It reads to the first marker of a transaction and no further, and with lz4 nothing, without an error.
pub(super) async fn reads_too_little() {
    let mut fetch = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/servers"));
    fetch.args(["fetch", "--kafka", "3.9"]);
    process::run(fetch);
    let stack =
        Stack::start_with(&kafka::Options { version: Some("3.9"), ..kafka::Options::default() });
    for (compression, reads) in [("gzip", true), ("lz4", false)] {
        let compression = format!("compression = \"{compression}\"");
        let changes = [("kafka", &*compression), ("topics", "partitions = 1")];
        let mut flow = Flow::start(&stack, NAME, TABLE, &changes).await;
        for round in 1..=3 {
            flow.execute(&format!("INSERT INTO item VALUES ({round}), (1{round})")).await;
            flow.drain().await;
        }
        let offsets: Vec<_> = flow.records("public.item").iter().map(|it| it.offset).collect();
        // The third offset has a marker.
        assert_eq!(offsets, [0, 1, 3, 4, 6, 7]);
        let (client, seen) = run(&stack, &flow.topic("public.item"));
        assert_eq!(seen, if reads { vec![0, 1] } else { vec![] });
        page::record_version(NAME, client);
        flow.stop();
    }
}

/// What the program says that it is, and the offsets that it has seen.
fn run(stack: &Stack, topic: &str) -> (String, Vec<i64>) {
    let program = installed(NAME);
    let mut command = process::command(User::Same, &words(&program));
    command.args(["--bootstrap", &stack.kafka.bootstrap(), "--registry", &stack.registry.url()]);
    command.arg(format!("avro:{topic}=debezium"));
    let output = process::output(command, Duration::from_secs(60));
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(output.status.success(), "{out} {err}");
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let client = lines[0]["client"].as_str().unwrap().to_owned();
    (client, lines[1..].iter().map(|line| line["offset"].as_i64().unwrap()).collect())
}

const TABLE: &str = "
    CREATE TABLE item (id bigint PRIMARY KEY);
    CREATE PUBLICATION walbrook FOR TABLE item;
";
