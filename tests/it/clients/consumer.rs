//! A client: how it is run, what it has to print, and what it is known to get wrong.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::judge::{self, RECORDS, Verdict};
use super::page;
use super::scene::{Scene, Topic, scene};
use crate::support::process;
use crate::support::stack::shared;

/// A program of tests/clients.
pub(super) struct Client {
    /// Its folder.
    pub(super) name: &'static str,
    /// What goes wrong as it is installed.
    pub(super) troubles: &'static [Trouble],
}

/// What goes wrong without a setting.
pub(super) struct Trouble {
    /// The program's name for the setting, which it leaves out if told.
    pub(super) without: &'static str,
    /// The topics that it is given then.
    pub(super) kind: &'static str,
    /// What is seen then.
    pub(super) seen: Seen,
    /// The same for the page's reader.
    pub(super) what: &'static str,
    /// What avoids it, which the program does otherwise.
    pub(super) instead: &'static str,
}

/// How it goes wrong.
pub(super) enum Seen {
    /// It sees records of aborted transactions.
    Aborted,
    /// It fails, and says this.
    Fails(&'static str),
    /// Some values of each of these columns are others than SELECT's, and of no others.
    Wrong(&'static [&'static str]),
}

impl Client {
    /// It reads what SELECT returns, and without its settings goes wrong as is known.
    pub(super) async fn reads(&self) {
        let scene = scene().await;
        let verdict = self.verdict(scene, None, "");
        assert!(verdict.faults.is_empty(), "{}", told(&verdict.faults));
        for trouble in self.troubles {
            self.goes_wrong(scene, trouble);
        }
        page::record(self.name, &verdict);
    }

    fn goes_wrong(&self, scene: &Scene, trouble: &Trouble) {
        let what = format!("{}: {}", self.name, trouble.what);
        let verdict = || self.verdict(scene, Some(trouble.kind), trouble.without);
        match trouble.seen {
            Seen::Aborted => {
                let is_seen = verdict().faults.iter().any(|fault| fault.column == RECORDS);
                assert!(is_seen, "{what}");
            }
            Seen::Fails(words) => {
                let output = self.run(scene, Some(trouble.kind), trouble.without);
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(!output.status.success() && said.contains(words), "{what}: {said}");
            }
            Seen::Wrong(columns) => {
                let faults = verdict().faults;
                let wrong: BTreeSet<_> = faults.iter().map(|it| it.column).collect();
                assert_eq!(wrong, columns.iter().copied().collect(), "{what}: {}", told(&faults));
            }
        }
    }

    fn verdict(&self, scene: &Scene, kind: Option<&str>, without: &str) -> Verdict {
        let output = self.run(scene, kind, without);
        let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(output.status.success(), "{}: {}\n{err}", self.name, output.status);
        judge::judge(scene, kind, &out)
    }

    /// Runs the program until it has seen as many records as are committed.
    fn run(&self, scene: &Scene, kind: Option<&str>, without: &str) -> Output {
        let program = installed(self.name);
        let mut command = process::command(process::User::Same, &words(&program));
        command.args(["--bootstrap", &shared().kafka.bootstrap()]);
        command.args(["--registry", &shared().registry.url()]);
        let count: usize = scene.topics(kind).map(|it| scene.records(&it.name).count()).sum();
        command.args(["--records", &count.to_string(), "--without", without]);
        for Topic { name, format, kind } in scene.topics(kind) {
            command.arg(format!("{format}:{name}={kind}"));
        }
        // Where clocks are changed; none of the values may depend on it.
        command.env("TZ", "America/New_York").stdin(Stdio::null());
        process::output(command, LIMIT)
    }
}

pub(super) fn words(program: &[String]) -> Vec<&str> {
    program.iter().map(String::as_str).collect()
}

/// Installs a program of tests/clients; the words of its command.
pub(super) fn installed(name: &str) -> Vec<String> {
    let project = env!("CARGO_MANIFEST_DIR");
    let mut install = Command::new(format!("{project}/deploy/program"));
    install.arg(format!("{project}/tests/clients/{name}"));
    install.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = install.output().unwrap();
    assert!(output.status.success(), "{name} is not installed");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn told(faults: &[judge::Fault]) -> String {
    faults.iter().take(20).map(|fault| format!("{fault}\n")).collect()
}

const LIMIT: Duration = Duration::from_secs(120);
