//! Child processes that never outlive the test run, and their folders.
//!
//! The kernel kills a child when the *thread* that started it ends (`PR_SET_PDEATHSIG`), so all
//! children are started by one thread that lives as long as the process. Folders are removed by a
//! small shell that waits for the end of this process, however it ends.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::until;

/// A child process; killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Option<PathBuf>,
}

/// Whom a child runs as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// The user of the test run.
    Same,
    /// `nobody`, if the test run is root's: PostgreSQL refuses root.
    Unprivileged,
}

impl Process {
    /// Starts a child whose standard output and error go to a file.
    pub(crate) fn start(name: &str, user: User, arguments: &[&str], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut command = command(user, arguments);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { name: name.to_owned(), child: spawn(command).unwrap(), log: Some(log.to_owned()) }
    }

    /// Starts a child whose standard output and error the caller takes.
    pub(crate) fn piped(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { name: name.to_owned(), child: spawn(command).unwrap(), log: None }
    }

    /// The child itself, to take its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        // A child that has ended but was not waited for still takes signals, so this cannot hit
        // another process.
        Command::new("kill").args(["-s", signal, &id]).stderr(Stdio::null()).status().unwrap();
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(limit, &what, || self.ended().ok_or_else(|| "it still runs".to_owned()))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills it and waits.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }

    /// Polls until the server is ready; panics with its log if it ends instead.
    pub(crate) fn ready(&mut self, limit: Duration, mut probe: impl FnMut() -> Result<(), String>) {
        let what = format!("{} is ready", self.name);
        until(limit, &what, || {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status}:\n{}", self.name, self.log_tail());
            }
            probe()
        });
    }

    /// Whether its log has these words.
    pub(crate) fn has_logged(&self, words: &str) -> bool {
        let log = self.log.as_ref().and_then(|log| fs::read_to_string(log).ok());
        log.is_some_and(|log| log.contains(words))
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command whose process is killed with this one.
pub(crate) fn command(user: User, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if user == User::Unprivileged && is_root() {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg("--").args(arguments);
    command
}

/// Runs a command to its end; panics with its output if it fails.
pub(crate) fn run(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text.concat());
    text.concat()
}

/// Runs a command to its end, however that is; panics when that takes longer than `limit`.
pub(crate) fn output(command: Command, limit: Duration) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut process = Process::piped(&name, command);
    let child = process.child();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    // The process is dropped in there, so that a panic ends its pipes.
    thread::scope(move |scope| {
        let read = |pipe: &mut dyn Read| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let out = scope.spawn(move || read(&mut out));
        let err = scope.spawn(move || read(&mut err));
        let status = process.wait(limit);
        Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
    })
}

/// A new folder of this test run that whoever the servers run as may use. It is removed at the end
/// of the run, unless `WALBROOK_KEEP` is set.
pub(crate) fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let folder = ROOT.join(format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&folder).unwrap();
    give_away(&folder, 0o755);
    folder
}

/// Makes a file or folder belong to the user that PostgreSQL runs as.
pub(crate) fn give_away(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let start = std::process::id() % u32::from(PORTS);
        AtomicU16::new(u16::try_from(start).unwrap())
    });
    loop {
        // Neighbouring process ids begin far apart.
        let port = FIRST_PORT + NEXT.fetch_add(61, Ordering::Relaxed) % PORTS;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn is_root() -> bool {
    static ROOT_USER: LazyLock<bool> = LazyLock::new(|| {
        let mut id = Command::new("id");
        id.arg("-u");
        run(id).trim() == "0"
    });
    *ROOT_USER
}

fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    NURSERY.lock().unwrap().send((command, reply)).unwrap();
    answer.recv().unwrap()
}

type Birth = (Command, mpsc::Sender<io::Result<Child>>);

static NURSERY: LazyLock<Mutex<mpsc::Sender<Birth>>> = LazyLock::new(|| {
    let (sender, births) = mpsc::channel::<Birth>();
    thread::spawn(move || {
        for (mut command, reply) in births {
            let _ = reply.send(command.spawn());
        }
    });
    Mutex::new(sender)
});

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = tempfile::Builder::new().prefix("walbrook-it-").tempdir().unwrap().keep();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    if std::env::var_os("WALBROOK_KEEP").is_some() {
        eprintln!("folders of this run are kept in {}", root.display());
        return root;
    }
    let sweep = "cat; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf \"$0\" && exit; sleep 0.3; done";
    let mut janitor = Command::new("setsid");
    janitor.args(["sh", "-c", sweep]).arg(&root);
    janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its standard input closes when this process ends.
    let janitor = janitor.spawn().unwrap();
    *JANITOR.lock().unwrap() = Some(janitor);
    root
});

static JANITOR: Mutex<Option<Child>> = Mutex::new(None);

const NOBODY: u32 = 65534;
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 16_000;
