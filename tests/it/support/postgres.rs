//! A PostgreSQL server of the test's own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use super::process::{self, Process, User};
use super::stack::installed;
use super::{until, until_async};

/// How to start it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// 14, 15, 16, 17 or 18.
    pub(crate) version: u32,
    /// Lines of postgresql.conf, after ours.
    pub(crate) conf: Vec<String>,
    /// Lines of pg_hba.conf, before ours (which trust everybody on this machine).
    pub(crate) hba: Vec<String>,
    /// PEM texts of the server's certificate and key, and of the authority of its clients.
    pub(crate) tls: Option<(String, String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { version: *VERSION, conf: Vec::new(), hba: Vec::new(), tls: None }
    }
}

impl Options {
    /// For what only this version and newer ones can.
    pub(crate) fn since(version: u32) -> Self {
        Self { version: version.max(*VERSION), ..Self::default() }
    }
}

/// The version of servers for which a test names none.
pub(crate) static VERSION: LazyLock<u32> = LazyLock::new(|| {
    let named = std::env::var("WALBROOK_TEST_POSTGRES");
    named.map_or(17, |named| named.parse().expect("WALBROOK_TEST_POSTGRES is a major version"))
});

/// A running (or stopped, or killed) server; its superuser is `postgres`.
pub(crate) struct Postgres {
    folder: PathBuf,
    port: u16,
    binaries: PathBuf,
    process: Option<Process>,
}

impl Postgres {
    /// Makes a new cluster and starts it.
    pub(crate) fn start(options: &Options) -> Self {
        let folder = process::folder("postgres");
        let binaries = installed(&format!("postgres{}", options.version)).join("bin");
        let data = folder.join("data");
        let (initdb, pgdata) = (text(&binaries.join("initdb")), text(&data));
        let mut arguments = vec![
            initdb.as_str(),
            "--no-sync",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--pgdata",
            &pgdata,
        ];
        // As before version 18: pg_upgrade wants both clusters alike.
        if 18 <= options.version {
            arguments.push("--no-data-checksums");
        }
        process::run(process::command(User::Unprivileged, &arguments));
        let mut server = Self { folder, port: process::free_port(), binaries, process: None };
        server.configure(options);
        server.launch();
        server
    }

    /// A copy of this server, which must be stopped, on a port of its own: a standby that is not
    /// launched yet. `conf` are lines of its postgresql.conf.
    pub(crate) fn standby(&self, conf: &[String]) -> Self {
        let copy = Self {
            folder: process::folder("postgres"),
            port: process::free_port(),
            binaries: self.binaries.clone(),
            process: None,
        };
        let copied = ["cp", "-a", &text(&self.data()), &text(&copy.data())];
        process::run(process::command(User::Unprivileged, &copied));
        let folder = copy.folder.display();
        let own = format!("port = {}\nunix_socket_directories = '{folder}'\n", copy.port);
        let mut file =
            fs::File::options().append(true).open(copy.data().join("postgresql.conf")).unwrap();
        file.write_all((own + &conf.join("\n") + "\n").as_bytes()).unwrap();
        fs::write(copy.data().join("standby.signal"), "").unwrap();
        copy
    }

    /// A standby that follows this server, which is started again for that; `conf` as for
    /// [`standby`](Self::standby).
    pub(crate) fn followed(&mut self, conf: &[&str]) -> Self {
        self.stop("INT");
        let from =
            format!("primary_conninfo = 'host=127.0.0.1 port={} user=postgres'", self.port());
        let conf: Vec<_> =
            std::iter::once(from).chain(conf.iter().map(|line| (*line).to_owned())).collect();
        let mut standby = self.standby(&conf);
        self.launch();
        standby.launch();
        standby
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port.
    pub(crate) fn launch(&mut self) {
        let log = self.folder.join("log");
        let postgres = text(&self.binaries.join("postgres"));
        let data = text(&self.data());
        let arguments = [postgres.as_str(), "-D", &data];
        let mut process = Process::start("PostgreSQL", User::Unprivileged, &arguments, &log);
        let port = self.port.to_string();
        // The postmaster writes "ready" as the eighth line of its pid file.
        let pidfile = self.data().join("postmaster.pid");
        let id = process.id().to_string();
        process.ready(START_LIMIT, || {
            let lines = fs::read_to_string(&pidfile).map_err(|error| error.to_string())?;
            let lines: Vec<&str> = lines.lines().map(str::trim).collect();
            match lines.as_slice() {
                [own, _, _, at, _, _, _, "ready", ..] if *own == id && *at == port => Ok(()),
                _ => Err("not ready yet".to_owned()),
            }
        });
        self.process = Some(process);
    }

    /// Stops it: `TERM` waits for clients, `INT` ends them, `QUIT` stops at once (it will recover).
    pub(crate) fn stop(&mut self, signal: &str) {
        if let Some(mut process) = self.process.take() {
            process.signal(signal);
            process.wait(START_LIMIT);
        }
    }

    /// Kills it like a machine that loses power: the postmaster and all its children at once.
    pub(crate) fn kill(&mut self) {
        let Some(process) = self.process.take() else { return };
        // Halted, it starts no other child and reaps none, so that the ids stay theirs.
        process.signal("STOP");
        let children = signal_children(&process, "KILL");
        drop(process);
        until(START_LIMIT, "PostgreSQL's children end", || {
            let alive = |child: &&str| Path::new("/proc").join(child).exists();
            match children.split_whitespace().find(alive) {
                Some(child) => Err(format!("{child} lives")),
                None => Ok(()),
            }
        });
    }

    /// Halts the postmaster (`STOP`) or lets it go on (`CONT`); connections live on.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Halts it and all its children, as if the machine hung; connections live on.
    pub(crate) fn halt(&self) {
        self.signal("STOP");
        signal_children(self.process.as_ref().expect("it runs"), "STOP");
    }

    /// Lets it go on after [`halt`](Self::halt).
    pub(crate) fn resume(&self) {
        signal_children(self.process.as_ref().expect("it runs"), "CONT");
        self.signal("CONT");
    }

    /// Where its Unix socket is.
    pub(crate) fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// The port, on 127.0.0.1 and in the Unix socket's name.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A client of the superuser over the Unix socket.
    pub(crate) async fn client(&self, database: &str) -> Client {
        self.client_as("postgres", database).await
    }

    /// A client of `user` over the Unix socket.
    pub(crate) async fn client_as(&self, user: &str, database: &str) -> Client {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.folder).port(self.port).user(user).dbname(database);
        config.application_name("walbrook-test");
        connect(&config).await
    }

    /// Runs statements as the superuser.
    pub(crate) async fn execute(&self, database: &str, statements: &str) {
        let client = self.client(database).await;
        client.batch_execute(statements).await.unwrap();
    }

    /// Waits until the slot is held by a walsender or, with `false`, by none.
    pub(crate) async fn slot_active(&self, slot: &str, active: bool) {
        let client = self.client("postgres").await;
        let query = "SELECT active FROM pg_replication_slots WHERE slot_name = $1";
        until_async(Duration::from_secs(30), "the slot is as wanted", async || {
            let rows = client.query(query, &[&slot]).await.unwrap();
            match rows.first().map(|row| row.get::<_, bool>(0)) {
                Some(is) if is == active => Ok(()),
                state => Err(format!("active is {state:?}")),
            }
        })
        .await;
    }

    /// Where the next WAL goes.
    pub(crate) async fn wal_end(&self) -> String {
        let client = self.client("postgres").await;
        let query = "SELECT pg_current_wal_insert_lsn()::text";
        client.query_one(query, &[]).await.unwrap().get(0)
    }

    /// Waits until the slot's walsender has decoded the WAL up to there: it has sent what committed
    /// before. If it does not in 15 s, what it does instead.
    pub(crate) async fn slot_decoded(&self, slot: &str, lsn: &str) -> Result<(), String> {
        let client = self.client("postgres").await;
        let query = "SELECT $2::text::pg_lsn <= sent_lsn, jsonb_build_array(slot, sender, process)::text
                     FROM pg_replication_slots slot JOIN pg_stat_replication sender ON pid = active_pid
                     JOIN pg_stat_activity process USING (pid) WHERE slot_name = $1";
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let rows = client.query(query, &[&slot, &lsn]).await.unwrap();
            let state =
                rows.first().map(|row| (row.get::<_, Option<bool>>(0), row.get::<_, String>(1)));
            if let Some((Some(true), _)) = state {
                return Ok(());
            }
            if deadline < Instant::now() {
                return Err(format!("not decoded up to {lsn}: {state:?}"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn configure(&self, options: &Options) {
        let data = self.data();
        let mut conf = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n{CONF}",
            self.port,
            self.folder.display()
        );
        if let Some((certificate, key, authority)) = &options.tls {
            for (name, pem) in
                [("server.crt", certificate), ("server.key", key), ("ca.crt", authority)]
            {
                fs::write(data.join(name), pem).unwrap();
                process::give_away(&data.join(name), 0o600);
            }
            conf += "ssl = on\nssl_ca_file = 'ca.crt'\n";
        }
        for line in &options.conf {
            conf += &format!("{line}\n");
        }
        let mut hba = options.hba.join("\n");
        hba += "\nlocal all all trust\nlocal replication all trust\n\
                host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";
        for (name, content) in [("postgresql.conf", conf), ("pg_hba.conf", hba)] {
            fs::write(data.join(name), content).unwrap();
        }
    }
}

/// A client whose connection is a task.
pub(super) async fn connect(config: &tokio_postgres::Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(async move {
        // An error here is the server's end, which the client's next call reports.
        let _ = connection.await;
    });
    client
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // A test that failed may have left it halted.
            signal_children(process, "CONT");
            process.signal("CONT");
            // At once, but so that the postmaster ends its children first.
            process.signal("QUIT");
            if !std::thread::panicking() {
                until(START_LIMIT, "PostgreSQL stops", || {
                    process.ended().map(|_| ()).ok_or_else(|| "it still runs".to_owned())
                });
            }
        }
    }
}

/// Sends a signal to the children of a postmaster; returns their ids, with blanks between.
fn signal_children(postmaster: &Process, signal: &str) -> String {
    let id = postmaster.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let children = children.unwrap_or_default();
    for child in children.split_whitespace() {
        // It may have ended meanwhile.
        let _ = Command::new("kill").args(["-s", signal, child]).stderr(Stdio::null()).status();
    }
    children
}

fn text(path: &Path) -> String {
    path.to_str().expect("our folders have plain names").to_owned()
}

const START_LIMIT: Duration = Duration::from_secs(60);

const CONF: &str = "\
wal_level = logical
max_wal_senders = 100
max_replication_slots = 300
max_connections = 200
max_prepared_transactions = 10
fsync = off
full_page_writes = off
wal_sender_timeout = 60s
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %a '
";
