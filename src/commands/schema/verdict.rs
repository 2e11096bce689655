//! What a migration does to one table's schemas and to their readers, from what the table was and is.

use crate::config::{Config, Format, OnRefused, Outbox, SnapshotMode};
use crate::plan::readers::{self, FieldChange, Sight};
use crate::plan::{self, Draft};
use crate::wal::ReplicaIdentity;

use super::super::said;
use super::trial::Table;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Readers go on.
    Fine,
    /// Readers have to be ready for it first.
    Readers,
    /// Something is refused.
    Refused,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) text: String,
}

/// What the registry answers to a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The schema goes with those that there are, and is new: its text.
    Compatible(String),
    /// No record has it any more; it stays registered.
    Gone,
    /// The subject has no schema yet: its text.
    New(String),
    /// It was not asked, or did not answer.
    NotAsked,
    /// It refuses the schema.
    Refused(String),
    /// It has the schema.
    Registered,
    /// It is the schema that there was.
    Unchanged,
    /// Nobody has registered it, and walbrook registers none: its text.
    Unregistered(String),
}

/// A table at one time with its plan.
pub(super) struct Seen {
    pub(super) table: Table,
    pub(super) draft: Result<Draft, plan::Error>,
}

/// A table before and behind the migration; one of them is there.
pub(super) struct Pair {
    pub(super) before: Option<Seen>,
    pub(super) after: Option<Seen>,
    /// Whether it was dropped.
    pub(super) is_dropped: bool,
    pub(super) answers: Vec<(String, Answer)>,
    /// Whether the registry has another schema than that of before.
    pub(super) is_behind: bool,
}

/// All that was found of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) table: String,
    pub(super) answers: Vec<(String, Answer)>,
    pub(super) lines: Vec<Line>,
}

impl Verdict {
    /// The worst of it.
    pub(super) fn level(&self) -> Level {
        self.lines.iter().map(|line| line.level).max().unwrap_or(Level::Fine)
    }
}

impl Seen {
    fn name(&self) -> String {
        format!("{}.{}", self.table.relation.namespace, self.table.relation.name)
    }

    /// What is written of it, if it can be written.
    fn written(&self) -> Option<&Draft> {
        self.draft.as_ref().ok().filter(|draft| !draft.is_excluded())
    }

    fn is_excluded(&self) -> bool {
        self.draft.as_ref().is_ok_and(Draft::is_excluded)
    }

    fn topic(&self) -> Option<&str> {
        self.written()?.topics.first().map(String::as_str)
    }

    fn key(&self) -> String {
        plan::key_names(&self.table.relation, &self.table.facts).join(", ")
    }
}

/// Judges a table; `None` if the migration does nothing to it.
pub(super) fn judge(config: &Config, pair: Pair) -> Option<Verdict> {
    let mut lines = Vec::new();
    let name = pair.after.as_ref().or(pair.before.as_ref())?.name();
    match (&pair.before, &pair.after) {
        (Some(before), Some(after)) if is_same(before, after) => return None,
        (before, after) if [before, after].into_iter().flatten().all(Seen::is_excluded) => {
            return None;
        }
        (Some(before), Some(after)) if after.is_excluded() => {
            go(before, "is left out, by [tables] include and exclude", &mut lines);
        }
        (Some(before), Some(after)) if !before.is_excluded() => {
            compare(config, &pair, before, after, &mut lines);
        }
        (_, Some(after)) => come(config, after, &mut lines),
        (Some(before), None) if pair.is_dropped => go(before, "is dropped", &mut lines),
        (Some(before), None) => go(before, "is not published any more", &mut lines),
        (None, None) => return None,
    }
    refusals(config, &pair, &name, &mut lines);
    Some(Verdict { table: name, answers: pair.answers, lines })
}

fn is_same(before: &Seen, after: &Seen) -> bool {
    let told = |seen: &Seen| match &seen.draft {
        Ok(draft) => Ok((draft.topics.clone(), draft.layouts.clone(), draft.odd_leaf.clone())),
        Err(error) => Err(said(error)),
    };
    before.table.relation == after.table.relation
        && before.table.has_identity == after.table.has_identity
        && before.key() == after.key()
        && told(before) == told(after)
}

fn compare(config: &Config, pair: &Pair, before: &Seen, after: &Seen, lines: &mut Vec<Line>) {
    let mut say = |level, text: String| lines.push(Line { level, text });
    if before.name() != after.name() {
        say(Level::Fine, format!("was {}", before.name()));
    }
    if before.table.relation.id != after.table.relation.id {
        say(Level::Fine, format!("{} is dropped, and made anew", before.name()));
    }
    match (before.topic(), after.topic()) {
        (Some(was), Some(is)) if was != is => say(
            Level::Readers,
            format!("its records are in topic {is} from then on; {was} gets none any more"),
        ),
        _ => {}
    }
    identity(before, after, lines);
    if is_outbox(config, after) && after.draft.is_ok() {
        let text = "is an outbox: its columns can still be read as events".to_owned();
        return lines.push(Line { level: Level::Fine, text });
    }
    let (Some(was), Some(is)) = (before.written(), after.written()) else {
        if before.draft.is_err() && after.draft.is_ok() {
            let text = "can be written, which it could not".to_owned();
            lines.push(Line { level: Level::Fine, text });
        }
        return;
    };
    let is_avro = config.tables.value_format == Format::Avro;
    let mut fields = Vec::new();
    if let (Some(was), Some(is)) = (was.layouts.first(), is.layouts.first()) {
        fields = readers::changes(was, is);
    }
    let is_judged = pair.answers.iter().any(|(subject, answer)| {
        let is_answer =
            matches!(answer, Answer::Compatible(_) | Answer::Registered | Answer::Refused(_));
        is_answer && subject.ends_with("-value")
    });
    lines.extend(fields.iter().flat_map(|it| field(it, is_avro, is_judged)));
    key(config, (before, was), (after, is), lines);
    for (column, kind) in is.unknown.iter().filter(|it| !was.unknown.contains(it)) {
        let text = format!(
            "column {column} is of the type {kind}, which walbrook does not know: PostgreSQL's text is published"
        );
        lines.push(Line { level: Level::Fine, text });
    }
    if lines.is_empty() {
        let text = "readers see the same as before".to_owned();
        lines.push(Line { level: Level::Fine, text });
    }
}

fn is_outbox(config: &Config, seen: &Seen) -> bool {
    let relation = &seen.table.relation;
    Outbox::of(&config.outboxes, &relation.namespace, &relation.name).is_some()
}

/// What of a field is told to readers.
fn field(change: &FieldChange, is_avro: bool, is_judged: bool) -> Vec<Line> {
    let FieldChange { field, what, older, newer } = change;
    let mut lines = Vec::new();
    let mut say = |level, sight: String| {
        lines.push(Line { level, text: format!("field {field} {what}: {sight}") });
    };
    match (older, is_avro) {
        (None, _) => {}
        (Some(Sight::Default(default)), true) => say(
            Level::Readers,
            format!("readers of the older schema find {default} there, in all newer records"),
        ),
        (Some(Sight::Nothing), true) => {
            say(Level::Readers, "readers of the older schema cannot read newer records".to_owned());
        }
        (Some(Sight::Null), true) => say(
            Level::Readers,
            "readers of the older schema cannot read a record with a null there".to_owned(),
        ),
        (Some(Sight::Other), _) => {
            say(Level::Readers, "readers take newer values for what they are not".to_owned());
        }
        (Some(Sight::Strict), true) => say(Level::Readers, strict("newer", "older")),
        (Some(Sight::Strict), false) => {}
        // JSON has neither schemas nor types of numbers.
        (Some(Sight::Nothing), false) if newer.is_none() && !what.starts_with("is gone") => {}
        (Some(Sight::Null), false) => say(Level::Readers, "readers may find a null".to_owned()),
        (Some(_), false) => {
            say(Level::Readers, "readers find no such field, or another value".to_owned());
        }
    }
    match (newer, is_avro) {
        (Some(Sight::Default(default)), true) => say(
            Level::Fine,
            format!("readers of the newer schema find {default} there, in older records"),
        ),
        (Some(Sight::Nothing), true) if is_judged => {
            say(Level::Readers, "readers of the newer schema cannot read older records".to_owned());
        }
        (Some(Sight::Nothing), true) => say(
            Level::Refused,
            "readers of the newer schema cannot read older records: a registry refuses that, unless its rule for the subject is NONE or FORWARD".to_owned(),
        ),
        (Some(Sight::Strict), true) => say(Level::Readers, strict("older", "newer")),
        (Some(Sight::Null | Sight::Other), true) => say(
            Level::Readers,
            "readers of the newer schema take older values for what they are not".to_owned(),
        ),
        _ => {}
    }
    if lines.is_empty() {
        let text = format!("field {field} {what}: readers go on");
        lines.push(Line { level: Level::Fine, text });
    }
    lines
}

fn strict(records: &str, schema: &str) -> String {
    format!(
        "readers that hold a decimal to its precision (Rust's apache-avro; Java's does not) cannot read {records} records by the {schema} schema"
    )
}

/// What becomes of keys: their bytes decide partitions, and what compaction takes for the same.
fn key(
    config: &Config,
    (before, was): (&Seen, &Draft),
    (after, is): (&Seen, &Draft),
    lines: &mut Vec<Line>,
) {
    let mut say = |text: String| lines.push(Line { level: Level::Readers, text });
    let (old, new) = (before.key(), after.key());
    let moved =
        "the same row's newer records may be in another partition, and compaction keeps both";
    match (old.is_empty(), new.is_empty()) {
        (true, true) => {}
        (false, true) => say(format!("the key was ({old}), and records have none any more")),
        (true, false) => say(format!("records have the key ({new}), and had none")),
        (false, false) if old != new => {
            say(format!("the key was ({old}), and is ({new}): {moved}"));
        }
        (false, false) => {
            let (old, new) = (was.layouts.get(1), is.layouts.get(1));
            // The schema's id is among the bytes.
            let has_id = config.tables.key_format == Format::Avro;
            let is_other = match (old, new) {
                (Some(old), Some(new)) if has_id => old != new,
                (Some(old), Some(new)) => !readers::changes(old, new).is_empty(),
                _ => false,
            };
            if is_other && was.topics == is.topics {
                say(format!("keys have another schema: {moved}"));
            }
        }
    }
}

fn identity(before: &Seen, after: &Seen, lines: &mut Vec<Line>) {
    let mut say = |level, text: &str| lines.push(Line { level, text: text.to_owned() });
    if before.table.has_identity && !after.table.has_identity {
        let text = "has no usable replica identity any more: PostgreSQL refuses every UPDATE and DELETE of it while it is published";
        say(Level::Refused, text);
    }
    let is_full = |seen: &Seen| seen.table.relation.identity == ReplicaIdentity::Full;
    match (is_full(before), is_full(after)) {
        (true, false) => {
            say(Level::Readers, "REPLICA IDENTITY is not FULL any more: before has less");
        }
        (false, true) => say(Level::Fine, "REPLICA IDENTITY is FULL: before has the whole row"),
        _ => {}
    }
    let odd = |seen: &Seen| seen.written().and_then(|draft| draft.odd_leaf.clone());
    match odd(after) {
        Some((namespace, leaf)) if odd(before).is_none() => {
            let text = format!(
                "partition {namespace}.{leaf} has a replica identity of its own: old rows lack what those of the table should have"
            );
            say(Level::Refused, &text);
        }
        _ => {}
    }
}

fn come(config: &Config, after: &Seen, lines: &mut Vec<Line>) {
    if let Some(topic) = after.topic() {
        let name = after.name();
        let listed = config.snapshot.tables.iter().find(|it| it.table == name);
        let is_read = match listed {
            Some(_) => config.snapshot.reads(&name),
            None => config.snapshot.mode != SnapshotMode::Never,
        };
        let rows = if is_read && !is_outbox(config, after) {
            "its rows are read first, which takes SELECT on it"
        } else {
            "rows that it has by then are not read"
        };
        let text = format!("is captured: its records are in topic {topic}, and {rows}");
        lines.push(Line { level: Level::Fine, text });
    }
    if !after.table.has_identity {
        let text = "has no usable replica identity: PostgreSQL refuses every UPDATE and DELETE of it while it is published".to_owned();
        lines.push(Line { level: Level::Refused, text });
    }
}

fn go(before: &Seen, why: &str, lines: &mut Vec<Line>) {
    let topic =
        before.topic().map(|topic| format!(": topic {topic} stays, and gets no more records"));
    let text = format!("{why}{}", topic.unwrap_or_default());
    lines.push(Line { level: Level::Readers, text });
}

/// What is refused, and what walbrook then does.
fn refusals(config: &Config, pair: &Pair, name: &str, lines: &mut Vec<Line>) {
    let does = match config.tables.refused.action(name) {
        OnRefused::Park => "walbrook parks the table: its changes wait, all other tables go on",
        OnRefused::Stop => {
            "walbrook ends at its first change, and with it the stream of all tables"
        }
    };
    for (subject, answer) in &pair.answers {
        if let Answer::Refused(message) = answer {
            let text = format!("the registry refuses the schema of {subject}: {message}; {does}");
            lines.push(Line { level: Level::Refused, text });
        }
        // As things are its records could not be written, so a CI has to stop.
        if let Answer::Unregistered(_) = answer {
            let text = format!(
                "nobody has registered the schema of {subject}, and registry.auto_register = false: register it before the migration ships (--json has it); without it {does}"
            );
            lines.push(Line { level: Level::Refused, text });
        }
    }
    if let Some(Err(error)) = pair.after.as_ref().map(|after| &after.draft) {
        let is_old =
            matches!(&pair.before, Some(Seen { draft: Err(was), .. }) if said(was) == said(error));
        let (level, was) =
            if is_old { (Level::Fine, " (as before)") } else { (Level::Refused, "") };
        lines
            .push(Line { level, text: format!("cannot be written{was}: {}; {does}", said(error)) });
    }
    if pair.is_behind {
        let text = "the registry does not have the schema from before the migration: its answer is beside what it has".to_owned();
        lines.push(Line { level: Level::Fine, text });
    }
}

#[cfg(test)]
mod tests;
