//! Kafka Streams joins two tables' topics by their keys, and counts their changes, while it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::consumer::{installed, words};
use super::page;
use super::scene::abort;
use crate::support::flow::{Flow, edit, query};
use crate::support::process::{self, Process, User};
use crate::support::records::{self, Record};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::command;
use crate::support::{unique, until};

/// The program's folder in tests/clients.
const NAME: &str = "kafka-streams";

/// Keys whose bytes are equal are joined, whatever kills the program, and each change counts once.
pub(super) async fn joins(format: &'static str, tables: &str) {
    let mut scene = Scene::start(format, tables).await;
    scene.rounds(0..4).await;
    scene.flow.drain().await;
    let names = [scene.flow.topic(CUSTOMERS), scene.flow.topic(ACCOUNTS)];
    abort(shared(), &[&names[0], &names[1]]);
    for kill in 1..=3 {
        let before = scene.output(&scene.counts).len();
        let mut program = scene.run();
        until(LIMIT, "it counts", || scene.has_more(before));
        // It is killed while it reads some of these, and finds the others at its start.
        scene.rounds(4 * kill..4 * kill + 2).await;
        program.kill();
        scene.rounds(4 * kill + 2..4 * kill + 4).await;
    }
    let mut program = scene.run();
    let expect = scene.expect().await;
    assert!(!expect.joined.is_empty());
    until(LIMIT, "all is joined and counted once", || scene.found(&mut program).same(&expect));
    page::record_version(NAME, scene.client());
}

/// Avro keys that are named after their topics are never equal: all is read, and nothing is joined.
/// Named by columns, which the registry takes, they are, from the next change of a row on.
pub(super) async fn joins_nothing_by_topics_names() {
    let mut scene = Scene::start("avro", "").await;
    scene.rounds(0..4).await;
    let mut program = scene.run();
    let expect = scene.expect().await;
    assert!(!expect.joined.is_empty());
    let expect = Outcome { joined: BTreeSet::new(), ..expect };
    until(LIMIT, "all is counted, nothing joined", || scene.found(&mut program).same(&expect));
    scene.flow.stop();
    scene.flow.config = edit(&scene.flow.config, "tables", COLUMNS);
    scene.flow.restart().await;
    let touch = "UPDATE customer SET name = name || '!'; UPDATE account SET balance = balance + 1;";
    scene.flow.execute(touch).await;
    let expect = scene.expect().await;
    until(LIMIT, "all is joined", || scene.found(&mut program).same(&expect));
}

/// With other numbers of partitions a part is joined, and `walbrook check` says so.
pub(super) async fn joins_a_part_with_other_partitions() {
    let mut scene = Scene::start_with("avro", COLUMNS, 6).await;
    scene.rounds(0..4).await;
    let checked = command(&scene.flow.config, &["check"]);
    for word in ["kafka.partitions", "3: ", "6: ", ACCOUNTS] {
        assert!(checked.stdout.contains(word), "{word}: {}", checked.stdout);
    }
    let mut program = scene.run();
    let expect = scene.expect().await;
    let joined = until(LIMIT, "all is counted", || scene.counted(&mut program, &expect));
    assert!(!joined.is_empty() && joined.is_subset(&expect.joined) && joined != expect.joined);
}

/// With a cache, which is its default, it does not see that both rows of a pair are gone.
pub(super) async fn keeps_pairs_with_a_cache() {
    let mut scene = Scene::start("json", STRINGS).await;
    scene.rounds(0..4).await;
    let mut program = scene.run_with(&["--cache", "10485760"]);
    let expect = scene.expect().await;
    until(LIMIT, "all is joined", || scene.found(&mut program).same(&expect));
    scene.flow.execute("BEGIN; DELETE FROM customer; DELETE FROM account; COMMIT").await;
    let expect = scene.expect().await;
    let joined = until(LIMIT, "all is counted", || scene.counted(&mut program, &expect));
    assert!(expect.joined.is_empty() && !joined.is_empty());
}

/// A pipeline of two tables, and the topics that the program writes.
struct Scene {
    flow: Flow<'static>,
    format: &'static str,
    application: String,
    joined: String,
    counts: String,
    folder: PathBuf,
}

/// What the program has to write, and what it wrote.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// `name=balance` of those that have both.
    joined: BTreeSet<String>,
    /// By table and key, how many changes.
    counts: BTreeMap<(String, Vec<u8>), usize>,
}

impl Outcome {
    fn same(&self, other: &Self) -> Result<(), String> {
        if self == other {
            return Ok(());
        }
        let joined: Vec<_> = self.joined.symmetric_difference(&other.joined).collect();
        let counts = |it: &Self| it.counts.values().sum::<usize>();
        Err(format!("joined differ {joined:?}; counts {}, of {}", counts(self), counts(other)))
    }
}

impl Scene {
    async fn start(format: &'static str, tables: &str) -> Self {
        Self::start_with(format, tables, 3).await
    }

    async fn start_with(format: &'static str, tables: &str, partitions: i32) -> Self {
        let stack = shared();
        let space = Space::new(&stack.postgres, "streams").await;
        stack.postgres.execute(&space.database, TABLES).await;
        let accounts = format!("{}.{ACCOUNTS}", space.prefix);
        stack.kafka.create_topic(&accounts, partitions, &[]).await;
        let flow = Flow::start_on(stack, space, &[("tables", tables)]).await;
        let application = unique("streams");
        let [joined, counts] = ["joined", "counts"].map(|name| format!("{application}.{name}"));
        for topic in [&joined, &counts] {
            stack.kafka.create_topic(topic, 3, &[]).await;
        }
        let folder = process::folder("streams");
        Self { flow, format, application, joined, counts, folder }
    }

    /// Starts the program; a killed one goes on where it was.
    fn run(&self) -> Process {
        self.run_with(&[])
    }

    fn run_with(&self, more: &[&str]) -> Process {
        let program = installed(NAME);
        let (stack, state) = (shared(), self.folder.join("state"));
        let [customers, accounts] = [CUSTOMERS, ACCOUNTS].map(|table| self.flow.topic(table));
        let (bootstrap, registry) = (stack.kafka.bootstrap(), stack.registry.url());
        let options = [
            ("--bootstrap", &*bootstrap),
            ("--registry", &registry),
            ("--format", self.format),
            ("--application", &self.application),
            ("--state", state.to_str().unwrap()),
            ("--customers", &customers),
            ("--accounts", &accounts),
            ("--joined", &self.joined),
            ("--counts", &self.counts),
        ];
        let options = options.iter().flat_map(|(name, value)| [*name, *value]);
        let options = options.chain(more.iter().copied());
        let arguments: Vec<_> = words(&program).into_iter().chain(options).collect();
        Process::start(NAME, User::Same, &arguments, &self.folder.join("log"))
    }

    /// What the program says that it is, in its first line.
    fn client(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap();
        let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        first["client"].as_str().unwrap().to_owned()
    }

    /// Changes rows of both tables, others in each round.
    async fn rounds(&self, rounds: std::ops::Range<u32>) {
        for round in rounds {
            self.flow.execute(&CHANGES.replace("{round}", &round.to_string())).await;
        }
    }

    fn output(&self, topic: &str) -> Vec<Record> {
        records::read_committed(&shared().kafka, &[topic])
    }

    fn has_more(&self, before: usize) -> Result<(), String> {
        let now = self.output(&self.counts).len();
        if before < now { Ok(()) } else { Err(format!("{now} counts, before {before}")) }
    }

    /// What is in the tables, and in their topics.
    async fn expect(&mut self) -> Outcome {
        self.flow.drain().await;
        let joined = query(&self.flow.client, JOINED).await;
        let mut counts = BTreeMap::new();
        for (name, table) in [("customers", CUSTOMERS), ("accounts", ACCOUNTS)] {
            for record in self.flow.records(table) {
                if record.value.is_some() {
                    *counts.entry((name.to_owned(), record.key.unwrap())).or_default() += 1;
                }
            }
        }
        Outcome { joined: joined.into_iter().flatten().collect(), counts }
    }

    /// What it has joined when it has counted all.
    fn counted(&self, program: &mut Process, expect: &Outcome) -> Result<BTreeSet<String>, String> {
        let Outcome { joined, counts } = self.found(program);
        let same = Outcome { joined: expect.joined.clone(), counts }.same(expect);
        same.map(|()| joined)
    }

    /// What the program has written.
    fn found(&self, program: &mut Process) -> Outcome {
        if let Some(status) = program.ended() {
            panic!("{NAME} ended with {status}:\n{}", program.log_tail());
        }
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        // What it has counted it has joined, so the counts are read first: it may write between the two.
        let mut counts = BTreeMap::new();
        for record in self.output(&self.counts) {
            let value = text(record.value.unwrap());
            let (table, count) = value.split_once(' ').unwrap();
            counts.insert((table.to_owned(), record.key.unwrap()), count.parse().unwrap());
        }
        let mut joined = BTreeMap::new();
        for record in self.output(&self.joined) {
            joined.insert(record.key.unwrap(), record.value.map(text));
        }
        Outcome { joined: joined.into_values().flatten().collect(), counts }
    }
}

const CUSTOMERS: &str = "public.customer";
const ACCOUNTS: &str = "public.account";

/// Avro keys that are equal.
pub(super) const COLUMNS: &str = "key_names = \"columns\"";

/// Keys that are text.
pub(super) const STRINGS: &str = "value_format = \"json\"\nkey_format = \"string\"";

const TABLES: &str = "
    CREATE TABLE customer (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE PUBLICATION walbrook FOR TABLE customer, account;
";

const CHANGES: &str = "
    INSERT INTO customer SELECT i, format('%s of %s', i, {round}) FROM generate_series(1, 120) AS i
        WHERE (i * 7 + {round}) % 5 = 0 ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name;
    INSERT INTO account SELECT i, i * 1000 + {round} FROM generate_series(1, 120) AS i
        WHERE (i * 3 + {round}) % 4 = 0 ON CONFLICT (id) DO UPDATE SET balance = EXCLUDED.balance;
    DELETE FROM customer WHERE (id + {round}) % 11 = 0;
    DELETE FROM account WHERE (id + {round}) % 13 = 0;
";

const JOINED: &str = "SELECT format('%s=%s', name, balance) FROM customer JOIN account USING (id)";

const LIMIT: Duration = Duration::from_secs(120);
