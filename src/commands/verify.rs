//! `walbrook verify`: tables beside the latest state of their topics.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{failed, print};
use crate::cli::{Exit, VerifyArguments};
use crate::config::Config;
use crate::pipeline::{self, Compared, Comparison, ComparisonError, Difference, Verdict};
use crate::verify::Side;

/// Compares tables with their topics, and says what differs.
///
/// # Errors
///
/// If standard output cannot be written.
pub async fn verify(config: &Config, arguments: &VerifyArguments) -> anyhow::Result<Exit> {
    let compared = match Box::pin(pipeline::compare(config, wanted(arguments))).await {
        Ok((compared, _)) => compared,
        Err(error) => return Ok(ended(&error)),
    };
    print(&if arguments.json { as_json(&compared) } else { text(&compared) })?;
    Ok(exit(&compared))
}

/// What the arguments ask for.
pub(super) fn wanted(arguments: &VerifyArguments) -> Comparison<'_> {
    let VerifyArguments { table, memory_mib, timeout_seconds, rounds, show_keys, .. } = arguments;
    Comparison {
        tables: table,
        memory_bytes: memory_mib.saturating_mul(1 << 20),
        wait: Duration::from_secs(*timeout_seconds),
        rounds: *rounds,
        keys_max: if *show_keys { KEYS_MAX } else { 0 },
        values_bytes: 0,
    }
}

/// How many keys of a table are shown.
const KEYS_MAX: usize = 1_000;

/// Says why there was no comparison.
pub(super) fn ended(error: &pipeline::Error) -> Exit {
    let exit = failed(error);
    match error {
        pipeline::Error::Comparison(error)
            if matches!(**error, ComparisonError::Unpublished { .. }) =>
        {
            Exit::Usage
        }
        _ => exit,
    }
}

/// How a comparison ends.
pub(super) fn exit(compared: &[Compared]) -> Exit {
    let outcomes = || compared.iter().filter_map(|table| table.outcome.as_ref().ok());
    if outcomes().any(Verdict::differs) {
        Exit::Differs
    } else if outcomes().count() < compared.len() || !outcomes().all(Verdict::is_complete) {
        Exit::NotCompared
    } else {
        Exit::Ok
    }
}

/// For people: a line for each table, and what is to be said of it below.
fn text(compared: &[Compared]) -> String {
    let mut out: String = compared.iter().map(table_text).collect();
    if compared.is_empty() {
        out.push_str(NO_TABLES);
    }
    out.trim_end().to_owned()
}

pub(super) const NO_TABLES: &str = "the publications have no tables";

/// The same of one table; ends with a line's end.
pub(super) fn table_text(Compared { table, topic, outcome, .. }: &Compared) -> String {
    match outcome {
        Ok(outcome) => format!("{table}: {}", outcome_text(topic, outcome)),
        Err(why) => format!("{table}: not compared: {why}\n"),
    }
}

fn outcome_text(topic: &str, outcome: &Verdict) -> String {
    let Verdict { alike, partial, different, missing, extra, changing, .. } = outcome;
    let Verdict { unjudged, differences, .. } = outcome;
    let mut out = if outcome.differs() {
        format!(
            "DIFFERS from topic {topic}: {different} rows are different, {missing} are missing in the topic, {extra} are in the topic alone; {alike} are alike\n"
        )
    } else {
        format!("alike: {alike} rows\n")
    };
    if 0 < *changing {
        let _ = writeln!(
            out,
            "  {changing} keys changed whenever they were looked at (--rounds looks more often)"
        );
    }
    if 0 < *partial {
        let _ = writeln!(
            out,
            "  of {partial} rows alike the last record has no value of some column (a large one that did not change, or a column that was added later)"
        );
    }
    for (column, of) in unjudged {
        let _ = writeln!(out, "  column {column:?} as {of} is not compared");
    }
    for (side, shown) in shown(differences) {
        let _ = writeln!(out, "  {}: {shown}", side_text(side));
    }
    out
}

/// The keys that somebody asked to see.
fn shown(differences: &[Difference]) -> impl Iterator<Item = (Side, &str)> {
    differences.iter().filter_map(|it| it.shown.as_deref().map(|shown| (it.side, shown)))
}

fn side_text(side: Side) -> &'static str {
    match side {
        Side::Both => "different",
        Side::Table => "missing in the topic",
        Side::Topic => "in the topic alone",
    }
}

/// For programs: an object with a list of tables.
fn as_json(compared: &[Compared]) -> String {
    let tables: Vec<_> = compared.iter().map(table_json).collect();
    format!("{:#}", json!({ "tables": tables }))
}

pub(super) fn table_json(Compared { table, topic, outcome, .. }: &Compared) -> Value {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(why) => return json!({ "table": table, "topic": topic, "not_compared": why }),
    };
    let keys = shown(&outcome.differences).map(|(side, shown)| {
        let key = serde_json::from_str(shown).unwrap_or(Value::Null);
        json!({ "what": side_text(side), "key": key })
    });
    let columns = outcome.unjudged.iter();
    let columns = columns.map(|(column, of)| json!({ "column": column, "field": of }));
    json!({
        "table": table,
        "topic": topic,
        "alike": outcome.alike,
        "partial": outcome.partial,
        "different": outcome.different,
        "missing": outcome.missing,
        "extra": outcome.extra,
        "changing": outcome.changing,
        "columns_not_compared": columns.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
    })
}
