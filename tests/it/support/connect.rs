//! Debezium in Kafka Connect, standalone, as source and as sink: with Avro through the registry, or with
//! JSON.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::postgres::Postgres;
use super::process::{self, Process, User};
use super::stack::{Space, Stack, installed};
use super::until_async;

/// What records are written as.
#[derive(Clone, Copy)]
pub(crate) enum Format {
    /// Avro in Confluent's framing.
    Avro,
    /// What Connect's JsonConverter writes, with its own schemas in every record or without.
    Json {
        /// Whether with schemas.
        schemas: bool,
    },
}

/// A Debezium to run.
pub(crate) struct Connector {
    /// Where it reads and where it writes to.
    pub(crate) space: Space,
    /// What it writes.
    pub(crate) format: Format,
    /// More lines of its properties.
    pub(crate) properties: String,
}

/// A sink to run, into a database.
pub(crate) struct Sink<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The server.
    pub(crate) postgres: &'a Postgres,
    /// The database.
    pub(crate) database: &'a str,
    /// The prefix of the topics; tables have the rest of their names without the schema.
    pub(crate) prefix: &'a str,
    /// What it reads.
    pub(crate) format: Format,
    /// More lines of its properties.
    pub(crate) properties: &'a str,
}

/// Running connectors, in one process; killed when dropped.
pub(crate) struct Connect {
    process: Process,
}

impl Connect {
    /// Starts Debezium on the databases and slots of these spaces, without a snapshot; returns when
    /// all stream.
    pub(crate) async fn start(stack: &Stack, connectors: &[Connector]) -> Self {
        let properties = connectors.iter().map(|one| connector(stack, one));
        let mut connect = Self::launch(stack, "debezium", properties);
        for one in connectors {
            connect.streams(stack, &one.space).await;
        }
        connect
    }

    /// Starts Debezium's sinks.
    pub(crate) fn start_sinks(stack: &Stack, sinks: &[Sink<'_>]) -> Self {
        Self::launch(stack, "sink", sinks.iter().map(|one| sink(stack, one)))
    }

    fn launch(stack: &Stack, plugin: &str, connectors: impl Iterator<Item = String>) -> Self {
        let mut fetch = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/servers"));
        fetch.args(["fetch", &format!("--{plugin}")]);
        process::run(fetch);
        let folder = process::folder("connect");
        let worker = worker(stack, &installed(plugin), &folder);
        let worker = write(&folder.join("worker.properties"), &worker);
        let file =
            |(at, text): (usize, String)| write(&folder.join(format!("{at}.properties")), &text);
        let properties: Vec<String> = connectors.enumerate().map(file).collect();
        let libraries = format!("{}/*", installed("connect").display());
        let temporary = format!("-Djava.io.tmpdir={}", folder.display());
        let mut arguments = vec![
            "java",
            "-Xmx1g",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            &temporary,
            "-cp",
            &libraries,
            "org.apache.kafka.connect.cli.ConnectStandalone",
            &worker,
        ];
        arguments.extend(properties.iter().map(String::as_str));
        let log = folder.join("log");
        Self { process: Process::start("Kafka Connect", User::Same, &arguments, &log) }
    }

    /// Whether its log has these words.
    pub(crate) fn has_logged(&self, words: &str) -> bool {
        self.process.has_logged(words)
    }

    /// Its log's end, if it runs.
    pub(crate) fn log(&mut self) -> String {
        if let Some(status) = self.process.ended() {
            panic!("Kafka Connect ended with {status}:\n{}", self.process.log_tail());
        }
        self.process.log_tail()
    }

    /// Waits until Debezium has confirmed this LSN. It confirms a transaction only when an event of a
    /// later one is in Kafka.
    pub(crate) async fn confirms(&mut self, stack: &Stack, space: &Space, lsn: &str) {
        let confirms = format!(
            "SELECT 1 FROM pg_replication_slots
             WHERE slot_name = '{}' AND '{lsn}' <= confirmed_flush_lsn",
            space.slot
        );
        let what = format!("{} confirms {lsn}", space.slot);
        self.awaits(stack, &space.database, &what, &confirms).await;
    }

    /// Waits until the walsender of its slot streams: what commits from now on is delivered.
    async fn streams(&mut self, stack: &Stack, space: &Space) {
        let streams = format!(
            "SELECT 1 FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid
             WHERE slot_name = '{}' AND state = 'streaming'",
            space.slot
        );
        self.awaits(stack, &space.database, &format!("{} streams", space.slot), &streams).await;
    }

    /// Waits until the query has a row.
    async fn awaits(&mut self, stack: &Stack, database: &str, what: &str, query: &str) {
        let client = stack.postgres.client(database).await;
        until_async(LIMIT, what, async || {
            let log = self.log();
            let rows = client.query(query, &[]).await.map_err(|error| error.to_string())?;
            if rows.is_empty() { Err(log) } else { Ok(()) }
        })
        .await;
    }
}

fn worker(stack: &Stack, plugins: &Path, folder: &Path) -> String {
    format!(
        "bootstrap.servers={bootstrap}\n\
         plugin.path={plugins}\n\
         offset.storage.file.filename={folder}/offsets\n\
         offset.flush.interval.ms=500\n\
         listeners=http://127.0.0.1:{port}\n\
         topic.creation.enable=true\n\
         key.converter=io.apicurio.registry.utils.converter.AvroConverter\n\
         value.converter=io.apicurio.registry.utils.converter.AvroConverter\n",
        bootstrap = stack.kafka.bootstrap(),
        plugins = plugins.display(),
        folder = folder.display(),
        port = process::free_port(),
    )
}

fn converters(stack: &Stack, format: Format) -> String {
    let registry = stack.registry.url().replace("/apis/ccompat/v7", "/apis/registry/v2");
    let converters = ["key", "value"].map(|side| match format {
        Format::Avro => format!(
            "{side}.converter=io.apicurio.registry.utils.converter.AvroConverter\n\
             {side}.converter.apicurio.registry.url={registry}\n\
             {side}.converter.apicurio.registry.auto-register=true\n\
             {side}.converter.apicurio.registry.find-latest=true\n\
             {side}.converter.apicurio.registry.as-confluent=true\n\
             {side}.converter.apicurio.registry.use-id=contentId\n\
             {side}.converter.apicurio.registry.headers.enabled=false\n"
        ),
        Format::Json { schemas } => format!(
            "{side}.converter=org.apache.kafka.connect.json.JsonConverter\n\
             {side}.converter.schemas.enable={schemas}\n"
        ),
    });
    converters.concat()
}

fn connector(stack: &Stack, connector: &Connector) -> String {
    let Connector { space, format, properties } = connector;
    format!(
        "name={slot}\n\
         connector.class=io.debezium.connector.postgresql.PostgresConnector\n\
         tasks.max=1\n\
         plugin.name=pgoutput\n\
         database.hostname=127.0.0.1\n\
         database.port={port}\n\
         database.user=postgres\n\
         database.password=postgres\n\
         database.dbname={database}\n\
         slot.name={slot}\n\
         publication.name=walbrook\n\
         publication.autocreate.mode=disabled\n\
         snapshot.mode=no_data\n\
         skipped.operations=none\n\
         topic.prefix={prefix}\n\
         topic.creation.default.replication.factor=1\n\
         topic.creation.default.partitions=1\n\
         field.name.adjustment.mode={adjustment}\n\
         schema.name.adjustment.mode={adjustment}\n\
         poll.interval.ms=50\n\
         {converters}{properties}",
        port = stack.postgres.port(),
        database = space.database,
        slot = space.slot,
        prefix = space.prefix,
        converters = converters(stack, *format),
        adjustment = match format {
            Format::Avro => "avro",
            Format::Json { .. } => "none",
        },
    )
}

fn sink(stack: &Stack, sink: &Sink<'_>) -> String {
    let Sink { name, postgres, database, prefix, format, properties } = sink;
    format!(
        "name={name}\n\
         connector.class=io.debezium.connector.jdbc.JdbcSinkConnector\n\
         tasks.max=1\n\
         topics.regex={prefix}\\\\..*\n\
         transforms=table\n\
         transforms.table.type=org.apache.kafka.connect.transforms.RegexRouter\n\
         transforms.table.regex=.*\\\\.(.*)\n\
         transforms.table.replacement=$1\n\
         connection.url=jdbc:postgresql://127.0.0.1:{port}/{database}\n\
         connection.username=postgres\n\
         connection.password=postgres\n\
         insert.mode=upsert\n\
         delete.enabled=true\n\
         truncate.enabled=true\n\
         primary.key.mode=record_key\n\
         schema.evolution=basic\n\
         consumer.override.auto.offset.reset=earliest\n\
         {converters}{properties}",
        port = postgres.port(),
        converters = converters(stack, *format),
    )
}

fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.to_str().expect("our folders have plain names").to_owned()
}

const LIMIT: Duration = Duration::from_secs(120);
