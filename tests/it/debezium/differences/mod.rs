//! The known differences between Debezium and walbrook, each with its reason.

mod modes;
mod types;

use super::Written;
use super::settings::Setting;
use crate::support::connect::Format;
use crate::support::page::code;

/// Places where walbrook knowingly writes something else.
struct Known {
    /// The settings in which it does: in each of them. Places in schemas count where records have
    /// schemas.
    settings: &'static [&'static Setting],
    /// Places, as in [`Written`]; `*` is any text.
    places: &'static [&'static str],
    /// What Debezium writes, what we write, and why.
    reason: &'static str,
}

/// Prints how many places each known difference of a setting is found in. Returns a complaint of
/// every difference that is not known, and of every known place where there is none.
pub(super) fn judge(setting: &Setting, theirs: &Written, ours: &Written) -> String {
    let places = theirs.keys().chain(ours.keys().filter(|place| !theirs.contains_key(*place)));
    let differs = |place: &&String| theirs.get(*place) != ours.get(*place);
    let is_of = |place: &str, table: &str| place.split_once(' ').is_some_and(|(of, _)| of == table);
    let is_compared = |place: &&String| !setting.deadly.iter().any(|table| is_of(place, table));
    let mut unknown: Vec<_> = places.filter(is_compared).filter(differs).collect();
    let mut complaints = String::new();
    let known = types::KNOWN.iter().chain(modes::KNOWN);
    for known in known.filter(|known| known.holds_in(setting)) {
        let before = unknown.len();
        for pattern in known.places.iter().filter(|pattern| has_places(setting, pattern)) {
            let count = unknown.len();
            unknown.retain(|place| !matches(pattern, place));
            if unknown.len() == count {
                complaints += &format!("{}: no known difference: {pattern}\n", setting.name);
            }
        }
        println!("{}: {} places: {}", setting.name, before - unknown.len(), known.reason);
    }
    let tell = |written: &Written, place: &str| {
        written.get(place).map_or("nothing", String::as_str).to_owned()
    };
    for place in unknown {
        let (one, other) = (tell(theirs, place), tell(ours, place));
        complaints +=
            &format!("{}: {place}\n    Debezium {one}\n    walbrook {other}\n", setting.name);
    }
    complaints
}

/// The table in docs/types.md.
pub(super) fn table(version: &str) -> String {
    let head = format!("| what differs from Debezium {version}, and why | settings | places |\n");
    let mut table = head + "|---|---|---|\n";
    for known in types::KNOWN.iter().chain(modes::KNOWN) {
        let settings: Vec<_> = known.settings.iter().map(|setting| setting.name).collect();
        let places: Vec<_> = known.places.iter().map(|place| code(place)).collect();
        let (settings, places) = (settings.join(", "), places.join(", "));
        table += &format!("| {} | {settings} | {places} |\n", known.reason.replace('|', "\\|"));
    }
    table
}

impl Known {
    fn holds_in(&self, setting: &Setting) -> bool {
        self.settings.iter().any(|known| known.name == setting.name)
    }
}

/// Whether records of this setting have such places.
fn has_places(setting: &Setting, pattern: &str) -> bool {
    !matches!(setting.format, Format::Json { schemas: false }) || !pattern.contains(" schema ")
}

/// Whether `text` is as the pattern, in which `*` is any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            tail.is_empty() || rest.char_indices().any(|(at, _)| matches(tail, &rest[at..]))
        }),
    }
}
