//! PostGIS on a server of the test's own: PGlite, which is PostgreSQL compiled to WebAssembly, in
//! Node. All connections share one session, and it decodes no slots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio_postgres::Client;

use super::postgres::connect;
use super::process::{self, Process, User};
use super::stack::installed;

/// A running server; its superuser is `postgres`, its one database too.
pub(crate) struct Postgis {
    folder: PathBuf,
    _process: Process,
}

impl Postgis {
    /// Starts it with the extension at hand, not yet created.
    pub(crate) fn start() -> Self {
        let folder = process::folder("postgis");
        let log = folder.join("log");
        let mut fetch = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/servers"));
        fetch.args(["fetch", "--postgis"]);
        process::run(fetch);
        let home = installed("postgis");
        let [node, server] = [NODE, SERVER].map(|path| home.join(path).display().to_string());
        let socket = format!("--path={}/.s.PGSQL.{}", folder.display(), Self::PORT);
        let extension = "--extensions=@electric-sql/pglite-postgis:postgis";
        let arguments = [&node, &server, "--max-connections=4", extension, &socket];
        let mut process = Process::start("PGlite", User::Same, &arguments, &log);
        process.ready(START_LIMIT, || {
            let log = fs::read_to_string(&log).map_err(|error| error.to_string())?;
            log.contains("listening on").then_some(()).ok_or_else(|| "not ready yet".to_owned())
        });
        Self { folder, _process: process }
    }

    /// Where its Unix socket is.
    pub(crate) fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// The port in the Unix socket's name.
    pub(crate) const PORT: u16 = 5432;

    /// A client of the superuser.
    pub(crate) async fn client(&self) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.folder).port(Self::PORT).user("postgres");
        connect(&config).await
    }
}

const NODE: &str = "bin/node";
const SERVER: &str = "node_modules/@electric-sql/pglite-socket/dist/scripts/server.js";
const START_LIMIT: Duration = Duration::from_secs(120);
