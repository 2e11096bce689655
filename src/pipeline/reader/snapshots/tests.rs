//! What is noted of tables, and when.

use super::*;
use crate::config::Environment;

/// The golden file is a checkpoint of a version without snapshots.
#[test]
fn an_old_checkpoint_stays_one_until_its_tables_are_known() {
    let golden = include_bytes!("../../../../tests/golden/checkpoint/format-1.json");
    let old = Checkpoint::from_json(golden).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("walbrook.toml");
    let text = "pipeline = \"shop\"\n[postgres]\nuser = \"cdc\"\n[replication]\nslot = \"s\"\n\
                publications = [\"p\"]\n[kafka]\nbootstrap_servers = [\"b:9092\"]\n[registry]\n\
                urls = [\"http://r\"]\n";
    std::fs::write(&file, text).unwrap();
    let config = config::load(&file, &Environment::of_process()).unwrap();
    let mut snapshots = Snapshotting::new(&config, true, Source::Primary, &old, Vec::new());
    let noted = |snapshots: &Snapshotting| {
        let mut checkpoint = old.clone();
        snapshots.note(&mut checkpoint);
        checkpoint
    };
    assert_eq!(noted(&snapshots), old, "a restart must see that it is old");
    snapshots.skips_present = false;
    snapshots.settle(RelationId(7), "public.t".to_owned(), State::Skipped);
    assert_eq!(noted(&snapshots).snapshots.unwrap().tables, 1);
}
