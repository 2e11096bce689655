//! The section `[snapshot]`: the rows that were there before.

use serde::Deserialize;

use super::value::{Fault, Key, Size, choice_or, within};
use crate::config::{self, Hours, Pace, SnapshotMode};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    mode: Key<String>,
    readers: Key<u32>,
    rows_per_second: Key<u32>,
    pause_when_lag_over: Key<Size>,
    only_between: Key<String>,
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
    let readers = usize::try_from(readers).unwrap_or(usize::MAX);
    Ok(config::Snapshot { mode, readers, pace: pace(section)? })
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
