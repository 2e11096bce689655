//! The built binary, run as an operator would.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{self, Process, User};

/// A running walbrook; killed when dropped.
pub(crate) struct Walbrook {
    process: Process,
    log: Arc<Log>,
    /// Each reads one pipe up to its end, which comes with the process's.
    readers: Vec<JoinHandle<()>>,
    config: PathBuf,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Walbrook {
    /// Writes the configuration file and starts `walbrook run` on it.
    pub(crate) fn spawn(config: &str) -> Self {
        Self::run(&write_config(config))
    }

    /// Starts `walbrook run` with a configuration file.
    pub(crate) fn run(config: &Path) -> Self {
        let arguments = [BINARY, "run", "--config", path(config)];
        let mut process = Process::piped("walbrook", process::command(User::Same, &arguments));
        let log = Arc::new(Log::default());
        let child = process.child();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let pipes = [Box::new(out) as Box<dyn Read + Send>, Box::new(err)];
        let readers = pipes.into_iter().map(|pipe| {
            let log = Arc::clone(&log);
            thread::spawn(move || log.follow(pipe))
        });
        Self { process, readers: readers.collect(), log, config: config.to_owned() }
    }

    /// The configuration file, to start another one.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let status = self.process.kill();
        self.read_to_the_end();
        status
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.process.signal("TERM");
        self.wait(limit)
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let status = self.process.wait(limit);
        self.read_to_the_end();
        status
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.process.ended();
        if ended.is_some() {
            self.read_to_the_end();
        }
        ended
    }

    /// So that the log of a process that has ended is whole.
    fn read_to_the_end(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader only reads");
        }
    }

    /// All that it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    /// The end of its log, for a failure's message: what a report cuts off first is the end.
    pub(crate) fn tail(&self) -> String {
        const LINES: usize = 40;
        let log = self.log();
        log[log.len().saturating_sub(LINES)..].join("\n")
    }

    /// Waits for a log line; panics with the whole log if none comes. Lines that are not JSON are
    /// given as JSON strings.
    pub(crate) fn wait_for(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.wait_from(0, limit, what, wanted)
    }

    /// Waits for a log line with this message.
    pub(crate) fn wait_for_message(&self, limit: Duration, message: &str) -> Value {
        self.wait_for(limit, message, |line| line["message"] == message)
    }

    /// Waits for a log line with this message that is not there yet.
    pub(crate) fn wait_for_next(&self, limit: Duration, message: &str) -> Value {
        self.wait_for_newer(limit, message, |line| line["message"] == message)
    }

    /// Waits for a log line that is not there yet.
    pub(crate) fn wait_for_newer(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl FnMut(&Value) -> bool,
    ) -> Value {
        let seen = self.log.lines.lock().unwrap().len();
        self.wait_from(seen, limit, what, wanted)
    }

    fn wait_from(
        &self,
        mut seen: usize,
        limit: Duration,
        what: &str,
        mut wanted: impl FnMut(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + limit;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            for line in &lines[seen..] {
                let value =
                    serde_json::from_str(line).unwrap_or_else(|_| Value::from(line.as_str()));
                if wanted(&value) {
                    return value;
                }
            }
            seen = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no log line: {what}\n{}", lines.join("\n"));
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }
}

impl Log {
    fn follow(&self, pipe: Box<dyn Read + Send>) {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            self.lines.lock().unwrap().push(line);
            self.grown.notify_all();
        }
    }
}

/// Runs another command of walbrook to its end: `check`, `slot status`, …
pub(crate) fn command(config: &str, arguments: &[&str]) -> Output {
    let config = write_config(config);
    let arguments = [&[BINARY], arguments, &["--config", path(&config)]].concat();
    let output = process::command(User::Same, &arguments).output().unwrap();
    Output {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A configuration file in a folder of its own.
pub(crate) fn write_config(text: &str) -> PathBuf {
    write_file("walbrook.toml", text)
}

/// A file in a folder of its own.
pub(crate) fn write_file(name: &str, text: &str) -> PathBuf {
    let file = process::folder("file").join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn path(path: &Path) -> &str {
    path.to_str().expect("our folders have plain names")
}

const BINARY: &str = env!("CARGO_BIN_EXE_walbrook");
