//! What `schema check` found, for people and for scripts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::verdict::{Answer, Level, Line, Verdict};
use crate::cli::Exit;

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// How many statements were applied.
    pub(super) applied: usize,
    /// What was not, and why.
    pub(super) notes: Vec<String>,
    /// Whether there may be more in the files than what was looked at.
    pub(super) is_partial: bool,
    pub(super) verdicts: Vec<Verdict>,
    /// How many published tables are as they were.
    pub(super) unchanged: usize,
    /// Why the registry was not asked everything.
    pub(super) silence: Option<String>,
}

impl Report {
    /// What a pipeline goes by.
    pub(super) fn exit(&self) -> Exit {
        match self.verdicts.iter().map(Verdict::level).max() {
            Some(Level::Refused) => Exit::CheckFailed,
            Some(Level::Readers) => Exit::ReadersFirst,
            _ if self.silence.is_some() || self.is_partial => Exit::NotCompared,
            _ => Exit::Ok,
        }
    }

    fn count(&self, level: Level) -> usize {
        self.verdicts.iter().filter(|it| it.level() == level).count()
    }

    /// For people.
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        for note in &self.notes {
            let _ = writeln!(out, "NOTE     {note}");
        }
        if let Some(silence) = &self.silence {
            let _ = writeln!(out, "NOTE     the registry was not asked everything: {silence}");
        }
        for verdict in &self.verdicts {
            let _ = writeln!(out, "{:<8} {}", shown(verdict.level()).to_uppercase(), verdict.table);
            for Line { level, text } in &verdict.lines {
                let mark = if *level == Level::Fine { ' ' } else { '!' };
                let _ = writeln!(out, "       {mark} {text}");
            }
            for (subject, answer) in &verdict.answers {
                let _ = writeln!(out, "         subject {subject}: {}", said(answer));
            }
        }
        let _ = write!(
            out,
            "{} statements tried and rolled back. Published tables: {} refused, {} for which readers have to be ready, {} changed without harm, {} as before",
            self.applied,
            self.count(Level::Refused),
            self.count(Level::Readers),
            self.count(Level::Fine),
            self.unchanged,
        );
        out
    }

    /// For scripts.
    pub(super) fn to_json(&self) -> String {
        let line = |Line { level, text }: &Line| json!({"level": shown(*level), "text": text});
        let answer = |(subject, answer): &(String, Answer)| {
            let (message, schema) = match answer {
                Answer::Refused(message) => (Some(message), None),
                Answer::Compatible(schema) | Answer::New(schema) | Answer::Unregistered(schema) => {
                    (None, Some(schema))
                }
                _ => (None, None),
            };
            let answer = name(answer);
            json!({"subject": subject, "answer": answer, "message": message, "schema": schema})
        };
        let table = |it: &Verdict| {
            json!({
                "table": it.table,
                "level": shown(it.level()),
                "found": it.lines.iter().map(line).collect::<Value>(),
                "subjects": it.answers.iter().map(answer).collect::<Value>(),
            })
        };
        let report = json!({
            "statements": self.applied,
            "notes": self.notes,
            "registry_silence": self.silence,
            "tables": self.verdicts.iter().map(table).collect::<Value>(),
            "unchanged": self.unchanged,
        });
        format!("{report:#}")
    }
}

fn shown(level: Level) -> &'static str {
    match level {
        Level::Fine => "ok",
        Level::Readers => "readers",
        Level::Refused => "refused",
    }
}

fn name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Compatible(_) => "compatible",
        Answer::Gone => "gone",
        Answer::New(_) => "new",
        Answer::NotAsked => "not_asked",
        Answer::Refused(_) => "refused",
        Answer::Registered => "registered",
        Answer::Unchanged => "unchanged",
        Answer::Unregistered(_) => "unregistered",
    }
}

fn said(answer: &Answer) -> &'static str {
    match answer {
        Answer::Compatible(_) => "a new version, compatible",
        Answer::Gone => "no new record has it; it stays registered",
        Answer::New(_) => "a new subject",
        Answer::NotAsked => "the registry was not asked",
        Answer::Refused(_) => "refused",
        Answer::Registered => "registered already",
        Answer::Unchanged => "unchanged",
        Answer::Unregistered(_) => "not registered: register it first",
    }
}
