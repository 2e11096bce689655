//! walbrook beside the real Debezium: the same tables, the same changes, each on its own slot.
//!
//! Schemas are compared field by field and values byte by byte, JSON by what it means. Every
//! difference stands in [`differences`] with its reason, or a test fails. What Debezium wrote is
//! recorded, so that the default run needs no Kafka Connect; `tests/run debezium` runs both live, and
//! sees that the recordings are still what Debezium writes.

mod differences;
mod json;
mod layout;
mod recording;
mod scene;
mod settings;
mod topics;

use std::collections::BTreeMap;
use std::time::Duration;

use self::scene::{Debezium, Scene};
use self::settings::{EXTREMES, MODES, NAMES, Script, TYPES};
use crate::support::{page, run};

/// What one of the two wrote, by place: `orders schema value 1 after.total` says how a field is
/// declared (the number tells versions of a schema apart), `orders record 3 value after.total` has
/// its bytes in the table's third record as hexadecimal digits, or its JSON.
type Written = BTreeMap<String, String>;

#[test]
fn ours_beside_the_recordings() {
    run(Duration::from_secs(240), ours_beside_the_recordings_of(&TYPES));
}

#[test]
fn ours_in_each_mode_beside_the_recordings() {
    run(Duration::from_secs(240), ours_beside_the_recordings_of(&MODES));
}

#[test]
fn our_extremes_beside_the_recordings() {
    run(Duration::from_secs(240), ours_beside_the_recordings_of(&EXTREMES));
}

#[test]
fn our_names_beside_the_recording() {
    run(Duration::from_secs(240), ours_beside_the_recordings_of(&NAMES));
}

#[test]
fn the_page_lists_the_differences() {
    page::keep("types.md", "differences", &differences::table(&recording::version()));
}

async fn ours_beside_the_recordings_of(script: &'static Script) {
    let mut scene = Scene::start(script).await;
    scene.change().await;
    let mut complaints = String::new();
    for (setting, ours) in scene.ours().await {
        complaints += &match recording::read(setting) {
            Ok(theirs) => differences::judge(setting, &theirs, &ours),
            Err(other_version) => other_version,
        };
    }
    assert!(complaints.is_empty(), "{complaints}");
}

/// Both live. A recording that is no longer what Debezium writes is written anew, for the person
/// who reads the difference.
#[test]
fn live_both_on_their_own_slots() {
    run(Duration::from_secs(420), async {
        let mut scenes = Vec::new();
        for script in [&TYPES, &MODES, &EXTREMES, &NAMES] {
            scenes.push(Scene::start(script).await);
        }
        let mut debezium = Debezium::start(&scenes).await;
        for scene in &mut scenes {
            scene.change().await;
        }
        debezium.confirms().await;
        let mut theirs = debezium.stop().into_iter();
        let mut complaints = String::new();
        for scene in scenes {
            for (setting, ours) in scene.ours().await {
                let theirs = theirs.next().expect("each setting is run by both");
                if recording::write(setting, &theirs) {
                    complaints += &format!(
                        "{}: Debezium writes something else than was recorded: see git diff \
                         tests/golden\n",
                        setting.name
                    );
                }
                complaints += &differences::judge(setting, &theirs, &ours);
            }
        }
        assert!(complaints.is_empty(), "{complaints}");
    });
}
