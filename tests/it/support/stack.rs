//! One PostgreSQL, one Kafka and one registry for all tests that do not hurt them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, OnceLock};
use std::thread;
use std::time::Duration;

use super::kafka::{self, Kafka};
use super::postgres::{self, Postgres};
use super::process;
use super::registry::Registry;
use super::walbrook::Walbrook;
use super::{http, unique, until_async};

/// The servers.
pub(crate) struct Stack {
    /// PostgreSQL 17, or the version that `tests/run --pg` names.
    pub(crate) postgres: Postgres,
    /// One broker.
    pub(crate) kafka: Kafka,
    /// One registry.
    pub(crate) registry: Registry,
}

impl Stack {
    /// Starts servers that a test may hurt.
    pub(crate) fn start() -> Self {
        Self::start_with(&kafka::Options::default())
    }

    /// The same with a broker of another configuration.
    pub(crate) fn start_with(options: &kafka::Options) -> Self {
        Self::start_as(options, Registry::start)
    }

    /// The same with another registry, too.
    pub(crate) fn start_as(options: &kafka::Options, registry: fn() -> Registry) -> Self {
        thread::scope(|scope| {
            let kafka = scope.spawn(|| Kafka::start(options));
            let registry = scope.spawn(registry);
            let postgres = Postgres::start(&postgres::Options::default());
            let (kafka, registry) = (kafka.join().unwrap(), registry.join().unwrap());
            Self { postgres, kafka, registry }
        })
    }
}

/// The servers that all tests share.
pub(crate) fn shared() -> &'static Stack {
    static SHARED: OnceLock<Stack> = OnceLock::new();
    SHARED.get_or_init(Stack::start)
}

/// What one test has of its own on the shared servers.
pub(crate) struct Space {
    /// A new, empty database.
    pub(crate) database: String,
    /// A slot's name; no such slot exists yet.
    pub(crate) slot: String,
    /// The prefix of table topics.
    pub(crate) prefix: String,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// The port of walbrook's HTTP endpoints.
    pub(crate) http_port: u16,
}

/// With it whatever is refused of a table ends walbrook.
pub(crate) const STOPS: &str = "[tables]\non_refused = \"stop\"\n\n";

impl Space {
    /// Makes one, with a database.
    pub(crate) async fn new(postgres: &Postgres, name: &str) -> Self {
        let space = Self::named(unique(name));
        postgres.execute("postgres", &format!("CREATE DATABASE {}", space.database)).await;
        space
    }

    /// Makes one on a database that is there.
    pub(crate) fn on(database: &str, name: &str) -> Self {
        Self { database: database.to_owned(), ..Self::named(unique(name)) }
    }

    fn named(id: String) -> Self {
        Self {
            database: id.clone(),
            slot: id.clone(),
            prefix: id.clone(),
            pipeline: id,
            http_port: process::free_port(),
        }
    }

    /// The configuration of a walbrook on these servers, which reads publication `walbrook`, and no
    /// rows from before unless `more`, which is added at its end, has a section `[snapshot]`.
    pub(crate) fn config(&self, stack: &Stack, more: &str) -> String {
        let Self { database, slot, prefix, pipeline, http_port } = self;
        // What is refused is to be seen at once; `parked` and `kill` have the default.
        let tables = if more.contains("[tables]") { "" } else { STOPS };
        let snapshot = if more.contains("[snapshot]") { "" } else { NOTHING_FROM_BEFORE };
        format!(
            r#"pipeline = "{pipeline}"

[postgres]
hosts = ["{socket}"]
port = {port}
database = "{database}"
user = "postgres"

[replication]
slot = "{slot}"
publications = ["walbrook"]

[kafka]
bootstrap_servers = ["{bootstrap}"]

[registry]
urls = ["{registry}"]

[topics]
prefix = "{prefix}"
partitions = 3
replication_factor = 1
checkpoint_replication_factor = 1

[http]
listen = "127.0.0.1:{http_port}"

[control]
socket = "off"

[log]
format = "json"

{tables}{snapshot}{more}
"#,
            socket = stack.postgres.socket_folder().display(),
            port = stack.postgres.port(),
            bootstrap = stack.kafka.bootstrap(),
            registry = stack.registry.url(),
        )
    }

    /// Waits until walbrook streams: what is committed from now on is delivered. (A slot that is
    /// active would not do: it is while it is being created, too.)
    pub(crate) async fn ready(&self, postgres: &Postgres, walbrook: &mut Walbrook) {
        let url = format!("http://127.0.0.1:{}/readyz", self.http_port);
        until_async(READY_LIMIT, "walbrook is ready", async || {
            if let Some(status) = walbrook.ended() {
                panic!("walbrook ended with {status}:\n{}", walbrook.tail());
            }
            match http::get(&url)? {
                (200, _) => Ok(()),
                (status, body) => Err(format!("status {status}: {body}")),
            }
        })
        .await;
        postgres.slot_active(&self.slot, true).await;
    }
}

/// The section of a configuration that reads no rows from before the slot.
pub(crate) const NOTHING_FROM_BEFORE: &str = "[snapshot]\nmode = \"never\"\n\n";

const READY_LIMIT: Duration = Duration::from_secs(60);

/// The folder of a server that `deploy/servers` fetched, or the path of a program.
pub(crate) fn installed(name: &str) -> PathBuf {
    static INSTALLED: LazyLock<HashMap<String, PathBuf>> = LazyLock::new(|| {
        let servers = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/servers");
        let mut fetch = Command::new(servers);
        fetch.args(["fetch", "--pg", "14", "--pg", "15", "--pg", "16", "--pg", "18", "--upgrade"]);
        process::run(fetch);
        let mut list = Command::new(servers);
        list.arg("where");
        let entry = |line: &str| {
            line.split_once('=').map(|(name, path)| (name.to_owned(), PathBuf::from(path)))
        };
        process::run(list).lines().filter_map(entry).collect()
    });
    INSTALLED.get(name).unwrap_or_else(|| panic!("deploy/servers does not know {name}")).clone()
}
