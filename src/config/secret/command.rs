//! A command whose standard output is a secret: one line.
//!
//! It is run without a shell and with a limit, behind which it ends with all that it has started. What
//! it prints is the caller's alone; what it says on standard error is nobody's, since that may hold
//! secrets, too.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::{Secret, SecretError, without_newline};

/// How long a command may take: those of the clouds take a second or two, and ask a service of theirs
/// that may have to be asked again.
const LIMIT: Duration = Duration::from_secs(30);

/// A password is a line, a token a few kilobytes.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// A program with its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretCommand {
    key: String,
    program: PathBuf,
    arguments: Vec<String>,
    limit: Duration,
}

impl SecretCommand {
    /// The command that `words` are: a program and its arguments. A program without a slash is looked
    /// for in the folders of `path` ($PATH), any other is relative to `folder`.
    ///
    /// # Errors
    ///
    /// If there is no such program, or it cannot be executed.
    pub(crate) fn new(
        key: String,
        words: &[String],
        folder: &Path,
        path: Option<&str>,
    ) -> Result<Self, String> {
        let Some((program, arguments)) = words.split_first().filter(|(it, _)| !it.is_empty())
        else {
            return Err("wants a program and its arguments: [\"program\", \"argument\", …]".into());
        };
        let program = find(program, folder, path)?;
        Ok(Self { key, program, arguments: arguments.to_vec(), limit: LIMIT })
    }

    /// Runs it.
    pub(super) async fn output(&self) -> Result<Secret, SecretError> {
        self.run().await.map(Secret).map_err(|problem| self.failed(problem))
    }

    /// The same for who may block.
    pub(super) fn output_blocking(&self) -> Result<Secret, SecretError> {
        self.start()?.finish()
    }

    /// The same for who goes on meanwhile; in a thread of its own, since the caller may be in a
    /// runtime.
    pub(super) fn start(&self) -> Result<Running, SecretError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let command = self.clone();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| command.failed(not_started(&error)))?;
            runtime.block_on(async {
                tokio::select! {
                    output = command.output() => output,
                    _ = stopped => Err(command.given_up()),
                }
            })
        };
        let thread = std::thread::Builder::new().name("secret".to_owned()).spawn(work);
        let thread = thread.map_err(|error| self.failed(not_started(&error)))?;
        Ok(Running { command: self.clone(), thread: Some(thread), stop: Some(stop) })
    }

    /// The error that what it printed is of no use.
    pub(crate) fn gave(&self, problem: &str) -> SecretError {
        self.failed(format!("gave {problem}"))
    }

    fn given_up(&self) -> SecretError {
        self.failed("was given up")
    }

    fn failed(&self, problem: impl Into<String>) -> SecretError {
        let program = self.program.display().to_string();
        SecretError::Command { key: self.key.clone(), program, problem: problem.into() }
    }

    async fn run(&self) -> Result<String, String> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own, which ends as a whole: a shell's child would else live on.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| not_started(&error))?;
        let mut group = Group::of(&child);
        let finished = tokio::time::timeout(self.limit, finish(&mut child)).await;
        let (status, output) = match finished {
            Ok(finished) => finished.map_err(|error| format!("cannot be waited for: {error}"))?,
            Err(_) => {
                group.end();
                // Its exit status is taken, so that it does not stay as a zombie.
                drop(child.wait().await);
                return Err(format!("had not ended after {:?} and was ended", self.limit));
            }
        };
        match status {
            Some(status) => {
                group.has_ended();
                judge(status, output)
            }
            None => {
                group.end();
                drop(child.wait().await);
                Err(format!("printed more than {} KiB", OUTPUT_BYTES_MAX >> 10))
            }
        }
    }
}

/// A command that runs while its caller does something else. It ends when this is dropped.
pub(super) struct Running {
    command: SecretCommand,
    thread: Option<JoinHandle<Result<Secret, SecretError>>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Running {
    /// Whether [`finish`](Self::finish) would not wait.
    pub(super) fn has_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for its end.
    pub(super) fn finish(mut self) -> Result<Secret, SecretError> {
        self.join()
    }

    fn join(&mut self) -> Result<Secret, SecretError> {
        let output = self.thread.take().and_then(|thread| thread.join().ok());
        output.unwrap_or_else(|| Err(self.command.given_up()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.join());
    }
}

impl fmt::Display for SecretCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)
    }
}

impl fmt::Debug for SecretCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCommand").field("program", &self.program).finish_non_exhaustive()
    }
}

/// The program's path; one that nobody can execute is an error now and not at each connection.
fn find(program: &str, folder: &Path, path: Option<&str>) -> Result<PathBuf, String> {
    let mut places: Vec<_> = match path {
        _ if program.contains('/') => vec![folder.join(program)],
        path => std::env::split_paths(path.unwrap_or("/usr/bin:/bin"))
            .map(|folder| folder.join(program))
            .collect(),
    };
    places.retain(|place| place.is_file());
    let is_executable = |place: &PathBuf| {
        std::fs::metadata(place).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
    };
    match (places.iter().find(|place| is_executable(place)), places.first()) {
        (Some(place), _) => Ok(place.clone()),
        (None, Some(place)) => {
            Err(format!("names a program that is not executable: {}", place.display()))
        }
        // A whole line in one text may hold a secret.
        (None, None) if program.contains(char::is_whitespace) => Err(
            "wants the program alone as its first text, and each argument as one of its own: [\"program\", \"argument\", …]".into(),
        ),
        (None, None) if program.contains('/') => {
            Err(format!("names a program that does not exist: {}", folder.join(program).display()))
        }
        (None, None) => Err(format!("names a program that is in no folder of $PATH: {program}")),
    }
}

/// Reads what it prints and waits for its end; no exit status where it prints too much.
async fn finish(child: &mut Child) -> std::io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut output).await?;
    }
    if u64::try_from(output.len()).is_ok_and(|bytes| OUTPUT_BYTES_MAX < bytes) {
        return Ok((None, output));
    }
    Ok((Some(child.wait().await?), output))
}

fn judge(status: ExitStatus, output: Vec<u8>) -> Result<String, String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => {}
        (Some(code), _) => return Err(format!("ended with exit status {code}")),
        (None, Some(signal)) => return Err(format!("was ended by signal {signal}")),
        (None, None) => return Err("did not end".to_owned()),
    }
    let text = String::from_utf8(output).map_err(|_| "printed what is not UTF-8".to_owned())?;
    match without_newline(&text) {
        "" => Err("printed nothing".to_owned()),
        line if line.contains(['\n', '\r']) => Err("printed more than one line".to_owned()),
        line => Ok(line.to_owned()),
    }
}

fn not_started(error: &std::io::Error) -> String {
    format!("cannot be started: {error}")
}

/// The process group of a command; whoever is left in it ends when the command is given up.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// The command has ended, and its id may soon be another's.
    fn has_ended(&mut self) {
        self.0 = None;
    }

    fn end(&mut self) {
        if let Some(id) = self.0.take() {
            // An error says that nobody is left in it.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
impl SecretCommand {
    /// The same with a shorter limit.
    pub(super) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}
