//! What Debezium wrote in a setting, as a file of tests/golden/debezium.
//!
//! The settings of a script have most places in common, so all but one are recorded by what differs
//! from another's: a text that a place has here, null where only the other has the place. Each says
//! which Debezium wrote it, which must be the one that deploy/servers brings.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::Written;
use super::settings::Setting;
use crate::support::stack::installed;

/// What Debezium wrote when it was recorded.
///
/// # Errors
/// If it was another one, or nothing is recorded: a sentence that says what to do.
pub(super) fn read(setting: &Setting) -> Result<Written, String> {
    let mut written = setting.base.map_or_else(|| Ok(Written::new()), read)?;
    let text = fs::read_to_string(file(setting)).unwrap_or_else(|_| "{}".to_owned());
    for (place, value) in changes(setting, &text, &version())? {
        match value {
            Some(value) => written.insert(place, value),
            None => written.remove(&place),
        };
    }
    Ok(written)
}

/// Records what it wrote now, after the setting's base. Returns whether that is something else.
pub(super) fn write(setting: &Setting, written: &Written) -> bool {
    let base = setting.base.map_or_else(Written::new, |base| read(base).expect("it is written"));
    let gone = base.keys().filter(|place| !written.contains_key(*place));
    let mut changes: BTreeMap<&str, Option<&str>> = gone.map(|place| (&**place, None)).collect();
    for (place, value) in written {
        if base.get(place) != Some(value) {
            changes.insert(place, Some(value));
        }
    }
    let version = version();
    changes.insert(DEBEZIUM, Some(&version));
    let now = format!("{}\n", serde_json::to_string_pretty(&changes).unwrap());
    let differs = fs::read_to_string(file(setting)).unwrap_or_default() != now;
    if differs {
        fs::write(file(setting), now).unwrap();
    }
    differs
}

/// Where a recording says which Debezium wrote it: before all places, which begin with a table.
const DEBEZIUM: &str = "Debezium";

/// What differs from the setting's base, if this version of Debezium wrote it.
fn changes(
    setting: &Setting,
    text: &str,
    version: &str,
) -> Result<BTreeMap<String, Option<String>>, String> {
    let mut changes: BTreeMap<String, Option<String>> = serde_json::from_str(text).unwrap();
    match changes.remove(DEBEZIUM).flatten() {
        Some(recorded) if recorded == version => Ok(changes),
        recorded => Err(format!(
            "{}: what is recorded is of Debezium {}, and deploy/servers brings {version}: record \
             it anew with `tests/run debezium` and read what has changed in tests/golden\n",
            setting.name,
            recorded.as_deref().unwrap_or("(none)"),
        )),
    }
}

/// The Debezium that deploy/servers brings.
pub(super) fn version() -> String {
    let folder = installed("debezium");
    let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
    name.strip_prefix("debezium-").expect("debezium-VERSION").to_owned()
}

fn file(setting: &Setting) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/debezium");
    match setting.name {
        "default" => folder.join("recording.json"),
        name => folder.join(format!("recording-{name}.json")),
    }
}

#[test]
fn a_recording_of_another_version_is_refused() {
    use super::settings::DEFAULT;
    let of = |text| changes(&DEFAULT, text, "3.7.0.Final");
    let changed = BTreeMap::from([("t record 1 headers".to_owned(), Some("x".to_owned()))]);
    let text = r#"{"Debezium": "3.7.0.Final", "t record 1 headers": "x"}"#;
    assert_eq!(of(text), Ok(changed));
    for (text, recorded) in [
        (r#"{"Debezium": "3.6.0.Final", "t record 1 headers": "x"}"#, "3.6.0.Final"),
        (r#"{"t record 1 headers": "x"}"#, "(none)"),
        ("{}", "(none)"),
    ] {
        let expect = format!(
            "default: what is recorded is of Debezium {recorded}, and deploy/servers brings \
             3.7.0.Final: record it anew with `tests/run debezium` and read what has changed in \
             tests/golden\n"
        );
        assert_eq!(of(text), Err(expect));
    }
}
