//! What `check` found: one line a prerequisite, for people and for scripts.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::said;

/// How a prerequisite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It must be put right.
    Failed,
    /// It is in place.
    Ok,
    /// It was not looked at, because something that it needs failed or is not there yet.
    Skipped,
    /// It works, but should be looked at.
    Warning,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
        }
    }
}

/// One prerequisite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Its name, for scripts; several tables or topics can have the same.
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) text: String,
    /// SQL or a setting that puts it right, or what else to do.
    pub(super) fix: Option<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) items: Vec<Item>,
}

impl Report {
    pub(super) fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.push(name, State::Ok, text.into(), None);
    }

    pub(super) fn skipped(&mut self, name: &'static str, text: impl Into<String>) {
        self.push(name, State::Skipped, text.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(name, State::Warning, text.into(), Some(fix.into()));
    }

    pub(super) fn failed(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(name, State::Failed, text.into(), Some(fix.into()));
    }

    /// A failure; without advice if its text says all.
    pub(super) fn error(
        &mut self,
        name: &'static str,
        error: &(dyn Error + 'static),
        fix: Option<String>,
    ) {
        self.push(name, State::Failed, said(error), fix);
    }

    fn push(&mut self, name: &'static str, state: State, text: String, fix: Option<String>) {
        self.items.push(Item { name, state, text, fix });
    }

    /// Whether something must be put right.
    pub(super) fn has_failed(&self) -> bool {
        self.items.iter().any(|item| item.state == State::Failed)
    }

    /// For people.
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        for Item { name, state, text, fix } in &self.items {
            let state = match state {
                State::Ok => "OK".to_owned(),
                state => state.name().to_uppercase(),
            };
            // Writing to a String does not fail.
            let _ = writeln!(out, "{state:<8} {name}: {text}");
            for line in fix.iter().flat_map(|fix| fix.lines()) {
                let _ = writeln!(out, "             {line}");
            }
        }
        let count = |state| self.items.iter().filter(|item| item.state == state).count();
        let _ = write!(
            out,
            "{} OK, {} to look at, {} to put right",
            count(State::Ok),
            count(State::Warning),
            count(State::Failed)
        );
        match count(State::Skipped) {
            0 => {}
            skipped => drop(write!(out, ", {skipped} not looked at")),
        }
        out
    }

    /// For scripts.
    pub(super) fn to_json(&self) -> String {
        let item = |item: &Item| {
            let Item { name, state, text, fix } = item;
            json!({ "item": name, "state": state.name(), "text": text, "fix": fix })
        };
        format!("{:#}", Value::Array(self.items.iter().map(item).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_scripts_read_the_same() {
        let mut report = Report::default();
        report.ok("postgres.version", "PostgreSQL 17");
        report.warning("postgres.wal_limit", "nothing limits it", "ALTER SYSTEM;\nreload;");
        assert!(!report.has_failed());
        report.failed("kafka.connection", "no answer", "start it");
        report.skipped("kafka", "not looked at");
        assert!(report.has_failed());
        assert_eq!(
            report.to_text(),
            "OK       postgres.version: PostgreSQL 17\n\
             WARNING  postgres.wal_limit: nothing limits it\n             ALTER SYSTEM;\n             reload;\n\
             FAILED   kafka.connection: no answer\n             start it\n\
             SKIPPED  kafka: not looked at\n\
             1 OK, 1 to look at, 1 to put right, 1 not looked at"
        );
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json[1]["item"], "postgres.wal_limit");
        assert_eq!(json[2]["state"], "failed");
        assert_eq!(json[0]["fix"], Value::Null);
    }
}
