//! The configuration file: a mirror of what the operator wrote, and its translation to [`Config`].
//!
//! The file is strict. A key that nobody knows, a value of the wrong kind and two keys that
//! contradict each other are errors that point to line and column and say what to do. Values of
//! secrets are never in the file, and nothing here prints the content of a line (I7).
//!
//! Relative paths are relative to the folder of the file.

mod kafka;
mod outbox;
mod postgres;
mod registry;
mod repair;
mod replication;
mod schema_changes;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;
mod topics;
mod value;
mod values;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use self::value::{Fault, Given, Key, choice_or, is_topic_byte};
use super::{Config, Environment, Log};
use crate::logging::LogFormat;

/// Reads and checks a configuration file.
///
/// # Errors
///
/// If the file or a file that it names cannot be read, or if it is not a valid configuration; the
/// error points to line and column.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Error> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Read { path: shown.clone(), source })?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    parse(&text, &folder, environment).map_err(|fault| Error::new(shown, &text, fault))
}

/// The database that libpq's variables name by themselves, whatever a file says.
///
/// # Errors
///
/// If they do not name one, or contradict each other.
pub fn of_environment(environment: &Environment) -> Result<super::Postgres, Error> {
    let of = |message| Error::Incomplete { path: "--scratch".to_owned(), message };
    if environment.get("PGDATABASE").is_none() {
        return Err(of("PGDATABASE is not set: it names the database that is used".to_owned()));
    }
    let around = Surroundings { folder: Path::new(""), environment };
    postgres::build(None, &around).map_err(|fault| of(fault.message))
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that has no place in the file: a missing section, a variable of the environment.
    #[error("{path}: {message}")]
    Incomplete {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// Something in the file.
    #[error("{path}:{line}:{column}: {message}")]
    Invalid {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    fn new(path: String, text: &str, Fault { span, message }: Fault) -> Self {
        let Some(span) = span else { return Self::Incomplete { path, message } };
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::Invalid { path, line, column, message }
    }
}

/// What a configuration is read in: the folder of its file, and the environment.
pub(super) struct Surroundings<'a> {
    folder: &'a Path,
    environment: &'a Environment,
}

impl Surroundings<'_> {
    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pipeline: Key<String>,
    postgres: Option<Spanned<postgres::Postgres>>,
    replication: Option<Spanned<replication::Replication>>,
    kafka: Option<Spanned<kafka::Kafka>>,
    registry: Option<Spanned<registry::Registry>>,
    #[serde(default)]
    topics: topics::Topics,
    #[serde(default)]
    tables: tables::Tables,
    #[serde(default)]
    values: values::Values,
    #[serde(default)]
    outbox: Vec<Spanned<outbox::Outbox>>,
    outbox_messages: Option<Spanned<outbox::Messages>>,
    #[serde(default)]
    records: tables::Records,
    #[serde(default)]
    schema_changes: schema_changes::SchemaChanges,
    #[serde(default)]
    snapshot: snapshot::Snapshot,
    #[serde(default)]
    repair: repair::Repair,
    #[serde(default)]
    batch: tables::Batch,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    control: Control,
    #[serde(default)]
    log: LogSection,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    listen: Key<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Control {
    socket: Key<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    format: Key<String>,
    level: Key<String>,
}

/// The default address of the HTTP endpoints.
const HTTP_LISTEN: &str = "127.0.0.1:9464";
/// What switches an endpoint off.
const OFF: &str = "off";

fn parse(text: &str, folder: &Path, environment: &Environment) -> Result<Config, Fault> {
    let file: File = toml::from_str(text).map_err(|error| syntax(&error))?;
    let around = Surroundings { folder, environment };
    let pipeline = pipeline(file.pipeline.as_ref())?;
    let replication = replication::build(file.replication)?;
    let topics = topics::build(&file.topics, &pipeline)?;
    let told = schema_changes::topic(&file.schema_changes, &topics.prefix)?;
    let kafka = kafka::build(file.kafka, &pipeline, &replication.slot, told, &around)?;
    schema_changes::agree(&file.schema_changes, &kafka)?;
    let reserved = [&*kafka.checkpoint_topic, &*kafka.parked_topic];
    let reserved = reserved.into_iter().chain(kafka.schema_changes_topic.as_deref());
    let reserved: &[&str] = &reserved.collect::<Vec<_>>();
    topics::agree(&file.tables, &file.topics)?;
    let (tables, values) = (tables::tables(&file.tables)?, values::values(&file.values)?);
    values::agree((&file.tables, &tables), (&file.values, &values))?;
    let postgres = postgres::build(file.postgres, &around)?;
    let is_unencoded = postgres.text_encoding.is_some();
    let outboxes = outbox::tables(file.outbox, reserved, is_unencoded, &around)?;
    let message_outbox = outbox::messages(file.outbox_messages, reserved, &around)?;
    let has_payload_schemas = outboxes
        .iter()
        .map(|outbox| &outbox.routing)
        .chain(message_outbox.iter().map(|outbox| &outbox.routing))
        .any(|routing| !routing.schemas.is_empty());
    let registry = registry::build(file.registry, &around)?;
    let snapshot = snapshot::build(&file.snapshot, &postgres)?;
    tables::refuse_excluded(&file.tables, &tables.selection, &outboxes, &snapshot)?;
    topics::refuse_overlaps(&file.topics, &topics.shared, &tables.selection, &outboxes)?;
    Ok(Config {
        registry: values::needs_registry(registry, &tables, has_payload_schemas)?,
        topics,
        tables,
        values,
        outboxes,
        message_outbox,
        records: tables::records(&file.records)?,
        repair: repair::build(&file.repair, &snapshot)?,
        snapshot,
        batch: tables::batch(&file.batch)?,
        http_listen: http_listen(&file.http)?,
        control_socket: control_socket(&file.control, &pipeline, &around),
        log: log(&file.log)?,
        pipeline,
        postgres,
        replication,
        kafka,
    })
}

/// A mistake that the parser or the mirror found, in the words of this file. The parser's own
/// rendering would repeat the line, which may hold a secret.
fn syntax(error: &toml::de::Error) -> Fault {
    let mut bare = error.clone();
    bare.set_input(None);
    let shown = bare.to_string();
    let path = shown
        .rsplit_once("in `")
        .and_then(|(_, path)| path.trim_end().strip_suffix('`'))
        .unwrap_or_default();
    let mut message = error.message().to_owned();
    if let Some((found, expected)) = message.split_once(", expected ") {
        // Of what was found only the kind is told; the value may be a secret.
        let kind = found.split(['`', '"']).next().unwrap_or_default().trim_end();
        message = match message.split('`').nth(1) {
            Some(key) if found.starts_with("unknown field") => unknown_key(key, expected),
            _ if found.starts_with("invalid") => format!("{kind}, expected {expected}"),
            _ => message,
        };
    }
    for (theirs, ours) in WORDS {
        message = message.replace(theirs, ours);
    }
    if !path.is_empty() {
        message = format!("`{path}`: {message}");
    }
    Fault { span: error.span(), message }
}

/// The parser's words and those of this file.
const WORDS: &[(&str, &str)] = &[
    ("duplicate key", "the key or section stands here a second time: remove one"),
    ("invalid type: ", "wrong type: "),
    ("invalid value: ", "wrong value: "),
    ("missing field", "missing key"),
    ("a sequence", "a list in brackets"),
    ("sequence,", "a list,"),
    ("map,", "a table,"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number"),
    ("expected i32", "expected a whole number"),
];

fn unknown_key(key: &str, expected: &str) -> String {
    let known = expected.split('`').skip(1).step_by(2);
    match known.map(|name| (edits(key, name), name)).min() {
        Some((1 | 2, name)) => format!("unknown key `{key}`: did you mean `{name}`?"),
        _ => format!("unknown key `{key}`, expected {expected}"),
    }
}

/// How many characters must be added, removed or replaced to get from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((to, diagonal), above) in b.chars().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn pipeline(key: Option<&Spanned<String>>) -> Result<String, Fault> {
    let Some(key) = key else {
        return Err(Fault::nowhere(
            "`pipeline` is missing: give this pipeline a name, such as pipeline = \"shop\" \
             (first line, above every section)",
        ));
    };
    let name = key.get_ref();
    if (1..=100).contains(&name.len()) && name.bytes().all(is_topic_byte) {
        return Ok(name.clone());
    }
    let message = "`pipeline` becomes part of topic names and wants 1 to 100 letters, digits, \
                   dots, underscores and hyphens";
    Err(Fault::at(key, message))
}

fn http_listen(section: &Http) -> Result<Option<std::net::SocketAddr>, Fault> {
    let text = value::text_or(&section.listen, HTTP_LISTEN);
    if text == OFF {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Fault {
        span: section.listen.as_ref().map(Spanned::span),
        message: "`http.listen` wants an address and a port, such as \"127.0.0.1:9464\" or \
                  \"[::1]:9464\", or \"off\""
            .to_owned(),
    })
}

/// By default in the runtime folder that systemd (`RuntimeDirectory=`) or the login session gives.
fn control_socket(section: &Control, pipeline: &str, around: &Surroundings<'_>) -> Option<PathBuf> {
    match section.socket.as_ref().map(|socket| socket.get_ref().as_str()) {
        Some(OFF) => None,
        Some(path) => Some(around.path(path)),
        None => ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"]
            .iter()
            .find_map(|name| around.environment.get(name))
            .map(|folder| Path::new(folder).join(format!("walbrook.{pipeline}.sock"))),
    }
}

fn log(section: &LogSection) -> Result<Log, Fault> {
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let format = choice_or("log.format", &section.format, LogFormat::Text, &formats)?;
    let level = match Given::key("log.level", &section.level) {
        None => "info".to_owned(),
        Some(given) => crate::logging::parse_filter(&given.text)
            .map(|_| given.text.clone())
            .map_err(|why| given.fault(why))?,
    };
    Ok(Log { format, level })
}
