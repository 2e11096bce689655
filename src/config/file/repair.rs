//! The section `[repair]`: what walbrook does by itself when the replication slot is lost.

use serde::Deserialize;
use toml::Spanned;

use super::value::{Fault, Key, choice_or, within};
use crate::config;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repair {
    mode: Key<String>,
    times_per_hour: Key<u32>,
}

const TIMES: u32 = 1;
const TIMES_MAX: u32 = 60;

pub(super) fn build(
    section: &Repair,
    snapshot: &config::Snapshot,
) -> Result<Option<config::Repair>, Fault> {
    let modes = [("by_hand", false), ("when_lost", true)];
    let is_automatic = choice_or("repair.mode", &section.mode, false, &modes)?;
    let times_per_hour =
        within("repair.times_per_hour", &section.times_per_hour, TIMES, (1, TIMES_MAX))?;
    if is_automatic && snapshot.is_off() {
        return Err(Fault {
            span: section.mode.as_ref().map(Spanned::span),
            message: "`repair.mode` = \"when_lost\" writes what it reads of tables, and \
                      `snapshot.mode` is \"never\": set that to \"initial\""
                .to_owned(),
        });
    }
    Ok(is_automatic.then_some(config::Repair { times_per_hour }))
}
