//! The section `[snapshot]`: the rows that were there before.

use serde::Deserialize;

use super::value::{Fault, Key, choice_or, within};
use crate::config::{self, SnapshotMode};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    mode: Key<String>,
    readers: Key<u32>,
}

const READERS: u32 = 2;
const READERS_MAX: u32 = 16;

pub(super) fn build(
    section: &Snapshot,
    postgres: &config::Postgres,
) -> Result<config::Snapshot, Fault> {
    let modes = [("initial", SnapshotMode::Initial), ("never", SnapshotMode::Never)];
    let readers = within("snapshot.readers", &section.readers, READERS, (1, READERS_MAX))?;
    let mode = choice_or("snapshot.mode", &section.mode, SnapshotMode::Never, &modes)?;
    if mode == SnapshotMode::Initial && postgres.text_encoding.is_some() {
        return Err(Fault {
            span: section.mode.as_ref().map(toml::Spanned::span),
            message:
                "`snapshot.mode` = \"initial\" and `postgres.text_encoding` do not go together: \
                      snapshots take the text of a database without an encoding as it is"
                    .to_owned(),
        });
    }
    Ok(config::Snapshot { mode, readers: usize::try_from(readers).unwrap_or(usize::MAX) })
}
