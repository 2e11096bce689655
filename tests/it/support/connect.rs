//! Debezium in Kafka Connect, standalone, with Avro through the registry.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::{self, Process, User};
use super::stack::{Space, Stack, installed};
use super::until_async;

/// A running connector; killed when dropped.
pub(crate) struct Connect {
    process: Process,
}

impl Connect {
    /// Starts Debezium on the space's database, slot and prefix, without a snapshot; returns when
    /// it streams. `more` are lines of the connector's properties.
    pub(crate) async fn start(stack: &Stack, space: &Space, more: &str) -> Self {
        let mut fetch = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/servers"));
        fetch.args(["fetch", "--debezium"]);
        process::run(fetch);
        let folder = process::folder("connect");
        let worker = write(&folder.join("worker.properties"), &worker(stack, &folder));
        let connector = write(&folder.join("connector.properties"), &connector(stack, space, more));
        let libraries = format!("{}/*", installed("connect").display());
        let temporary = format!("-Djava.io.tmpdir={}", folder.display());
        let arguments = [
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            &temporary,
            "-cp",
            &libraries,
            "org.apache.kafka.connect.cli.ConnectStandalone",
            &worker,
            &connector,
        ];
        let log = folder.join("log");
        let mut connect =
            Self { process: Process::start("Kafka Connect", User::Same, &arguments, &log) };
        connect.streams(stack, space).await;
        connect
    }

    /// Waits until the walsender of its slot streams: what commits from now on is delivered.
    async fn streams(&mut self, stack: &Stack, space: &Space) {
        let client = stack.postgres.client(&space.database).await;
        let streams = format!(
            "SELECT 1 FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid
             WHERE slot_name = '{}' AND state = 'streaming'",
            space.slot
        );
        until_async(START_LIMIT, "Debezium streams", async || {
            if let Some(status) = self.process.ended() {
                panic!("Kafka Connect ended with {status}:\n{}", self.process.log_tail());
            }
            let rows = client.query(&streams, &[]).await.map_err(|error| error.to_string())?;
            if rows.is_empty() { Err(self.process.log_tail()) } else { Ok(()) }
        })
        .await;
    }
}

fn worker(stack: &Stack, folder: &Path) -> String {
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
        plugins = installed("debezium").display(),
        folder = folder.display(),
        port = process::free_port(),
    )
}

fn connector(stack: &Stack, space: &Space, more: &str) -> String {
    let registry = stack.registry.url().replace("/apis/ccompat/v7", "/apis/registry/v2");
    let converters = ["key", "value"].map(|side| {
        format!(
            "{side}.converter=io.apicurio.registry.utils.converter.AvroConverter\n\
             {side}.converter.apicurio.registry.url={registry}\n\
             {side}.converter.apicurio.registry.auto-register=true\n\
             {side}.converter.apicurio.registry.find-latest=true\n\
             {side}.converter.apicurio.registry.as-confluent=true\n\
             {side}.converter.apicurio.registry.use-id=contentId\n\
             {side}.converter.apicurio.registry.headers.enabled=false\n"
        )
    });
    format!(
        "name=debezium\n\
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
         field.name.adjustment.mode=avro\n\
         schema.name.adjustment.mode=avro\n\
         poll.interval.ms=50\n\
         {converters}{more}",
        port = stack.postgres.port(),
        database = space.database,
        slot = space.slot,
        prefix = space.prefix,
        converters = converters.concat(),
    )
}

fn write(path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    path.to_str().expect("our folders have plain names").to_owned()
}

const START_LIMIT: Duration = Duration::from_secs(120);
