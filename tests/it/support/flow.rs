//! One pipeline from a table to its topics: a space, a walbrook on it, and what came of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use apache_avro::types::Value as Avro;
use serde_json::{Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::postgres::Postgres;
use super::records::{self, Record};
use super::registry::Registry;
use super::stack::{Space, Stack};
use super::until_async;
use super::walbrook::{Walbrook, command};

/// How long anything that is expected may take on a crowded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running pipeline on the shared servers or on a test's own.
pub(crate) struct Flow<'a> {
    /// The servers.
    pub(crate) stack: &'a Stack,
    /// Its names.
    pub(crate) space: Space,
    /// Its configuration.
    pub(crate) config: String,
    /// The process.
    pub(crate) walbrook: Walbrook,
    /// The test's own connection to the database.
    pub(crate) client: Client,
}

impl<'a> Flow<'a> {
    /// Runs `ddl` in a new database and starts walbrook there; `changes` are sections and lines of
    /// the configuration, as for [`edit`]. Returns when what commits from now on is delivered.
    pub(crate) async fn start(
        stack: &'a Stack,
        name: &str,
        ddl: &str,
        changes: &[(&str, &str)],
    ) -> Self {
        let space = Space::new(&stack.postgres, name).await;
        stack.postgres.execute(&space.database, ddl).await;
        Self::start_on(stack, space, changes).await
    }

    /// The same on a space whose database has its tables.
    pub(crate) async fn start_on(stack: &'a Stack, space: Space, changes: &[(&str, &str)]) -> Self {
        let config = config(stack, &space, changes);
        Self::run(stack, space, config).await
    }

    /// The same with a configuration of its own.
    pub(crate) async fn run(stack: &'a Stack, space: Space, config: String) -> Self {
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        let client = stack.postgres.client(&space.database).await;
        Self { stack, space, config, walbrook, client }
    }

    /// Executes statements.
    pub(crate) async fn execute(&self, statements: &str) {
        let done = self.client.batch_execute(statements).await;
        done.unwrap_or_else(|error| panic!("{error:?}: {statements}"));
    }

    /// Waits until everything that is committed now is in Kafka and confirmed.
    pub(crate) async fn drain(&mut self) {
        if let Err(complaint) = drained(&self.stack.postgres, &self.space, LIMIT).await {
            panic!("{complaint}\n{}", self.walbrook.tail());
        }
        let ended = self.walbrook.ended();
        assert!(ended.is_none(), "{ended:?}\n{}", self.walbrook.tail());
    }

    /// The topic of a table.
    pub(crate) fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.space.prefix)
    }

    /// The committed records of a table's topic (`public.t`), in the order of their positions.
    pub(crate) fn records(&self, table: &str) -> Vec<Record> {
        let mut records = records::read_committed(&self.stack.kafka, &[&self.topic(table)]);
        records.sort_by_key(|record| record.header("walbrook.position").map(|_| position(record)));
        records
    }

    /// The same, drained first and told as [`told`] tells them.
    pub(crate) async fn told(&mut self, table: &str) -> Vec<String> {
        self.drain().await;
        let registry = &self.stack.registry;
        self.records(table).iter().map(|record| told(registry, record)).collect()
    }

    /// SIGTERM; it must end well.
    pub(crate) fn stop(&mut self) {
        let status = self.walbrook.stop(Duration::from_secs(20));
        assert_eq!(status.code(), Some(0), "{}", self.walbrook.tail());
    }

    /// SIGKILL, and a start.
    pub(crate) async fn restart_after_kill(&mut self) {
        self.walbrook.kill();
        self.stack.postgres.slot_active(&self.space.slot, false).await;
        self.restart().await;
    }

    /// Starts it again, with the configuration as it stands.
    pub(crate) async fn restart(&mut self) {
        self.walbrook = Walbrook::spawn(&self.config);
        self.space.ready(&self.stack.postgres, &mut self.walbrook).await;
    }
}

/// The space's configuration with quick checkpoints, and with `changes`: see [`edit`].
pub(crate) fn config(stack: &Stack, space: &Space, changes: &[(&str, &str)]) -> String {
    let quick =
        "checkpoint_interval = \"300ms\"\nretry_delay_max = \"1s\"\nstandby_poll = \"200ms\"";
    let mut config = edit(&space.config(stack, ""), "replication", quick);
    for (section, lines) in changes {
        config = edit(&config, section, &lines.replace("{prefix}", &space.prefix));
    }
    config
}

/// Puts lines into a section of a configuration, in place of those with the same keys; makes the
/// section if there is none. `""` is the end of the file.
pub(crate) fn edit(config: &str, section: &str, lines: &str) -> String {
    let head = format!("[{section}]\n");
    if section.is_empty() {
        format!("{config}\n{lines}\n")
    } else if let Some((before, after)) = config.split_once(&head) {
        let (own, others) = after.split_at(after.find("\n[").unwrap_or(after.len()));
        let is_replaced =
            |line: &&str| lines.lines().any(|it| key(it).is_some_and(|it| key(line) == Some(it)));
        let own: Vec<_> = own.lines().filter(|line| !is_replaced(line)).collect();
        format!("{before}{head}{lines}\n{}{others}", own.join("\n"))
    } else {
        format!("{config}\n{head}{lines}\n")
    }
}

/// The key that a line of a configuration sets.
fn key(line: &str) -> Option<&str> {
    line.split_once('=').map(|(key, _)| key.trim())
}

/// Makes the slot on a standby, which it is only by who says so, and when the primary has told what runs.
pub(crate) async fn slot_on_standby(primary: &Postgres, config: &str) {
    let own = config.to_owned();
    let making = tokio::task::spawn_blocking(move || command(&own, &["slot", "create"]));
    until_async(LIMIT, "the slot is made", async || {
        primary.execute("postgres", "SELECT pg_log_standby_snapshot()").await;
        if making.is_finished() { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    let made = making.await.unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// The same configuration for another server.
pub(crate) fn moved(config: &str, from: &Postgres, to: &Postgres) -> String {
    let folder = |postgres: &Postgres| postgres.socket_folder().display().to_string();
    let port = |postgres: &Postgres| format!("port = {}", postgres.port());
    config.replace(&folder(from), &folder(to)).replace(&port(from), &port(to))
}

/// Waits until everything committed in the space's database is confirmed.
pub(crate) async fn drained(
    postgres: &Postgres,
    space: &Space,
    limit: Duration,
) -> Result<(), String> {
    let client = postgres.client(&space.database).await;
    let end = query(&client, "SELECT pg_current_wal_lsn()").await.concat().concat();
    let confirmed = format!(
        "SELECT confirmed_flush_lsn >= '{end}', confirmed_flush_lsn FROM pg_replication_slots \
         WHERE slot_name = '{}'",
        space.slot
    );
    let deadline = Instant::now() + limit;
    loop {
        let rows = query(&client, &confirmed).await;
        if rows.first().is_some_and(|row| row[0] == "t") {
            return Ok(());
        }
        if deadline < Instant::now() {
            return Err(format!("not confirmed up to {end} within {limit:?}: {rows:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The rows of a query as texts; NULL is `(null)`.
pub(crate) async fn query(client: &Client, statement: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(statement).await;
    let messages = messages.unwrap_or_else(|error| panic!("{error:?}: {statement}"));
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len()).map(|at| row.get(at).unwrap_or("(null)").to_owned()).collect::<Vec<_>>(),
        ),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// Waits until a query's first value is as wanted.
pub(crate) async fn until_value(client: &Client, statement: &str, wanted: &str) {
    until_async(LIMIT, statement, async || {
        let rows = query(client, statement).await;
        match rows.first().map(|row| row[0].as_str()) {
            Some(value) if value == wanted => Ok(()),
            _ => Err(format!("{rows:?}")),
        }
    })
    .await;
}

/// What it says of its tables that are parked.
pub(crate) fn parked(flow: &Flow<'_>) -> Vec<Value> {
    let output = command(&flow.config, &["status"]);
    let status: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    status["parked"].as_array().cloned().unwrap_or_default()
}

/// Waits until this table is parked, and so many of its changes; what is said of it.
#[track_caller]
pub(crate) fn until_parked(flow: &Flow<'_>, table: &str, waiting: u64) -> Value {
    let start = Instant::now();
    loop {
        let parked = parked(flow);
        let it = parked.iter().find(|it| it["table"] == table && it["waiting"] == waiting);
        if let Some(it) = it {
            return it.clone();
        }
        assert!(start.elapsed() < LIMIT, "{parked:?}\n{}", flow.walbrook.tail());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A log line's field, also `message`.
pub(crate) fn said<'v>(line: &'v Value, field: &str) -> &'v str {
    line[field].as_str().unwrap_or_default()
}

/// Log lines of our own at this level: a young broker makes librdkafka warn.
pub(crate) fn lines_at(walbrook: &Walbrook, level: &str) -> Vec<Value> {
    let log = walbrook.log();
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own = lines.filter(|line| said(line, "target") != "kafka");
    own.filter(|line| said(line, "level") == level).collect()
}

/// Waits for the process to end with this exit code; returns the message of its last error.
pub(crate) fn ends_with(walbrook: &mut Walbrook, code: i32) -> String {
    let status = walbrook.wait(LIMIT);
    assert_eq!(status.code(), Some(code), "{}", walbrook.tail());
    // Its last words may still be in the pipe.
    let is_error = |line: &Value| said(line, "level") == "ERROR";
    let error = walbrook.wait_for(LIMIT, "an error", is_error);
    said(&error, "error").to_owned()
}

/// Epoch and commit LSN, ordinal, part, which no other record has.
pub(crate) type Place = ((u32, u64), u64, u32);

/// A record's place.
pub(crate) fn position(record: &Record) -> Place {
    let text = record.header("walbrook.position").expect("no header walbrook.position");
    let (epoch, text) = text.split_once(':').unwrap_or(("0", text));
    let (lsn, rest) = text.split_once('#').unwrap();
    let (high, low) = lsn.split_once('/').unwrap();
    let half = |text| u64::from_str_radix(text, 16).unwrap();
    let (ordinal, part) = rest.split_once('.').unwrap();
    let lsn = half(high) << 32 | half(low);
    ((epoch.parse().unwrap(), lsn), ordinal.parse().unwrap(), part.parse().unwrap())
}

/// A record in one line: operation, key, before, after: `u {"id":1} null {"id":1,"a":"x"}`. A
/// tombstone is `- key`.
pub(crate) fn told(registry: &Registry, record: &Record) -> String {
    let key = record.key(registry).map_or(Value::Null, plain);
    let Some(value) = record.value(registry) else { return format!("- {key}") };
    let value = plain(value);
    format!("{} {key} {} {}", value["op"].as_str().unwrap(), value["before"], value["after"])
}

/// An Avro value as JSON: bytes and floats as hexadecimal digits, decimals as their number (a fixed
/// scale is the schema's, so there it is the unscaled number).
pub(crate) fn plain(value: Avro) -> Value {
    match value {
        Avro::Union(_, inner) => plain(*inner),
        Avro::Null => Value::Null,
        Avro::Boolean(value) => json!(value),
        Avro::Int(value) => json!(value),
        Avro::Long(value) => json!(value),
        Avro::Float(value) => json!(hex(&value.to_be_bytes())),
        Avro::Double(value) => json!(hex(&value.to_be_bytes())),
        Avro::Bytes(bytes) => json!(hex(&bytes)),
        Avro::String(text) => json!(text),
        Avro::Decimal(value) => json!(decimal(&<Vec<u8>>::try_from(value).unwrap(), 0)),
        Avro::Array(elements) => elements.into_iter().map(plain).collect(),
        Avro::Map(entries) => {
            let entries: BTreeMap<_, _> = entries.into_iter().collect();
            entries.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        Avro::Record(fields) => match &fields[..] {
            [(scale, Avro::Int(digits)), (value, Avro::Bytes(bytes))]
                if scale == "scale" && value == "value" =>
            {
                json!(decimal(bytes, usize::try_from(*digits).unwrap()))
            }
            _ => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        },
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A big-endian two's complement, with a point before the last `scale` digits.
fn decimal(bytes: &[u8], scale: usize) -> String {
    let is_negative = bytes.first().is_some_and(|byte| 0x80 <= *byte);
    let mut bytes = bytes.to_vec();
    if is_negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        for byte in bytes.iter_mut().rev() {
            let (sum, carries) = byte.overflowing_add(1);
            *byte = sum;
            if !carries {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while bytes.iter().any(|byte| *byte != 0) || digits.len() <= scale {
        let mut rest = 0_u32;
        for byte in &mut bytes {
            let left = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(left / 10).unwrap();
            rest = left % 10;
        }
        digits.push(char::from_digit(rest, 10).unwrap());
    }
    if 0 < scale {
        digits.insert(scale, '.');
    }
    if is_negative {
        digits.push('-');
    }
    digits.into_iter().rev().collect()
}
