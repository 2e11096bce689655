//! The section `[snapshot]`: the rows that were there before.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::postgres;
use super::tables::full_name;
use super::value::{Fault, Given, Key, Size, choice, choice_or, within};
use crate::config::{self, Hours, Pace, SnapshotMode, TableSnapshot};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    mode: Key<String>,
    readers: Key<u32>,
    hosts: Key<Vec<String>>,
    rows_per_second: Key<u32>,
    pause_when_lag_over: Key<Size>,
    only_between: Key<String>,
    #[serde(default)]
    first: Vec<Spanned<String>>,
    #[serde(default)]
    tables: Vec<Spanned<Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    table: Key<String>,
    mode: Key<String>,
    r#where: Key<String>,
}

const READERS: u32 = 2;
const READERS_MAX: u32 = 16;

pub(super) fn build(
    section: &Snapshot,
    settings: &config::Postgres,
) -> Result<config::Snapshot, Fault> {
    let modes = [
        ("initial", SnapshotMode::Initial),
        ("never", SnapshotMode::Never),
        ("only", SnapshotMode::Only),
    ];
    let readers = within("snapshot.readers", &section.readers, READERS, (1, READERS_MAX))?;
    let is_unencoded = settings.text_encoding.is_some();
    let default = if is_unencoded { SnapshotMode::Never } else { SnapshotMode::Initial };
    let mode = choice_or("snapshot.mode", &section.mode, default, &modes)?;
    let snapshot = config::Snapshot {
        mode,
        is_ruled_out: is_unencoded && section.mode.is_none(),
        readers: usize::try_from(readers).unwrap_or(usize::MAX),
        hosts: postgres::standbys("snapshot.hosts", &section.hosts, settings)?,
        pace: pace(section)?,
        first: first(section)?,
        tables: tables(section)?,
    };
    if !snapshot.is_off() && is_unencoded {
        let message = "snapshots and `postgres.text_encoding` do not go together: they take the text of a \
             database without an encoding as it is; `snapshot.mode` wants \"never\", and so does \
             each `snapshot.tables.mode`";
        return Err(Fault {
            span: section.mode.as_ref().map(Spanned::span),
            message: message.to_owned(),
        });
    }
    Ok(snapshot)
}

/// Tables that are read before others.
fn first(section: &Snapshot) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for text in &section.first {
        let name = full_name("snapshot.first", text)?;
        if names.contains(&name) {
            return Err(Fault::at(text, "`snapshot.first` names a table twice: remove one"));
        }
        names.push(name);
    }
    Ok(names)
}

fn tables(section: &Snapshot) -> Result<Vec<TableSnapshot>, Fault> {
    let (mut seen, mut tables) = (BTreeSet::new(), Vec::new());
    for section in &section.tables {
        let Table { table, mode, r#where } = section.get_ref();
        let Some(table) = table else {
            let message = "`snapshot.tables.table` is missing: such as \"public.orders\"";
            return Err(Fault::at(section, message));
        };
        let name = full_name("snapshot.tables.table", table)?;
        if !seen.insert(name.clone()) {
            let message = "`snapshot.tables.table` names a table that another \
                           [[snapshot.tables]] has: keep one";
            return Err(Fault::at(table, message));
        }
        let modes = [("initial", SnapshotMode::Initial), ("never", SnapshotMode::Never)];
        let mode = Given::key("snapshot.tables.mode", mode).map(|given| choice(&given, &modes));
        if let Some(condition) = r#where
            && condition.get_ref().trim().is_empty()
        {
            let message = "`snapshot.tables.where` is empty, but wants an SQL condition such as \
                           \"id < 1000\"; to read all rows, remove it";
            return Err(Fault::at(condition, message));
        }
        let condition = r#where.as_ref().map(|condition| condition.get_ref().clone());
        tables.push(TableSnapshot { table: name, mode: mode.transpose()?, condition });
    }
    Ok(tables)
}

fn pace(section: &Snapshot) -> Result<Pace, Fault> {
    let hours = section.only_between.as_ref().map(|text| {
        Hours::parse(text.get_ref()).ok_or_else(|| {
            let message = format!(
                "`snapshot.only_between` is {:?}, but wants two times of the day, by UTC as in \
                 \"22:00-05:00\", or with an offset from it as in \"22:00-05:00 +02:00\"",
                text.get_ref()
            );
            Fault::at(text, message)
        })
    });
    let rate = section
        .rows_per_second
        .as_ref()
        .map(|_| within("snapshot.rows_per_second", &section.rows_per_second, 1, (1, u32::MAX)));
    Ok(Pace {
        rows_per_second: rate.transpose()?,
        lag_bytes_max: section.pause_when_lag_over.as_ref().map(|size| size.get_ref().0),
        hours: hours.transpose()?,
    })
}
