//! What Debezium wrote in a setting, as a file of tests/golden/debezium.
//!
//! The settings of a script have most places in common, so all but one are recorded by what differs
//! from another's: a text that a place has here, null where only the other has the place.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::Written;
use super::settings::Setting;

/// What Debezium wrote when it was recorded.
pub(super) fn read(setting: &Setting) -> Written {
    let mut written = setting.base.map_or_else(Written::new, read);
    let text = fs::read_to_string(file(setting)).unwrap_or_else(|_| "{}".to_owned());
    let changes: BTreeMap<String, Option<String>> = serde_json::from_str(&text).unwrap();
    for (place, value) in changes {
        match value {
            Some(value) => written.insert(place, value),
            None => written.remove(&place),
        };
    }
    written
}

/// Records what it wrote now, after the setting's base. Returns whether that is something else.
pub(super) fn write(setting: &Setting, written: &Written) -> bool {
    let base = setting.base.map_or_else(Written::new, read);
    let gone = base.keys().filter(|place| !written.contains_key(*place));
    let mut changes: BTreeMap<&str, Option<&str>> = gone.map(|place| (&**place, None)).collect();
    for (place, value) in written {
        if base.get(place) != Some(value) {
            changes.insert(place, Some(value));
        }
    }
    let now = format!("{}\n", serde_json::to_string_pretty(&changes).unwrap());
    let differs = fs::read_to_string(file(setting)).unwrap_or_default() != now;
    if differs {
        fs::write(file(setting), now).unwrap();
    }
    differs
}

fn file(setting: &Setting) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/debezium");
    match setting.name {
        "default" => folder.join("recording.json"),
        name => folder.join(format!("recording-{name}.json")),
    }
}
