//! Every form that was ever written is still read, and written again the same.

use super::*;

const GOLDEN: &[&str] = &[
    include_str!("../../tests/golden/checkpoint/format-1.json"),
    include_str!("../../tests/golden/checkpoint/format-1-creating.json"),
    include_str!("../../tests/golden/checkpoint/format-1-inside.json"),
    include_str!("../../tests/golden/checkpoint/format-1-oids.json"),
    include_str!("../../tests/golden/checkpoint/format-1-omissions.json"),
    include_str!("../../tests/golden/checkpoint/format-1-xid.json"),
];

#[test]
fn every_format_ever_written_is_read_and_the_present_one_written() {
    for golden in GOLDEN {
        let checkpoint = Checkpoint::from_json(golden.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(checkpoint.to_json()).unwrap(), golden.trim_end());
    }
}

#[test]
fn a_checkpoint_is_small_enough_for_any_tool() {
    for golden in GOLDEN {
        assert!(golden.len() < 1024, "{golden}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let newer = r#"{"format":2,"something":"else"}"#;
    let error = Checkpoint::from_json(newer.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 2 }), "{error}");
    assert!(error.to_string().contains("format 2"), "{error}");
}

#[test]
fn what_is_no_checkpoint_is_refused_without_showing_it() {
    for bytes in [&b""[..], b"{}", b"[1]", b"{\"format\":1}", b"\xff", b"{\"format\":\"canary\"}"] {
        let error = Checkpoint::from_json(bytes).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn a_publication_that_was_made_again_is_told() {
    let oids =
        |oids: &[(&str, u32)]| oids.iter().map(|(name, oid)| ((*name).into(), *oid)).collect();
    let was =
        Stream { publications: Vec::new(), messages: false, oids: oids(&[("a", 1), ("b", 2)]) };
    let remade: Vec<_> = was.remade(&oids(&[("a", 1), ("b", 3), ("c", 4)])).collect();
    assert_eq!(remade, [Remade { name: "b".to_owned(), was: 2, is: 3 }]);
    // Nothing is known of those that a record does not have.
    let unknown = Stream { oids: BTreeMap::new(), ..was };
    assert_eq!(unknown.remade(&oids(&[("a", 1)])).count(), 0);
}
