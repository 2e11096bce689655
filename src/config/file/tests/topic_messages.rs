//! Golden messages about topics of walbrook's own.

/// What `lines` in `section` of the least configuration give.
pub(super) const TOPICS: &[(&str, &str, &str)] = &[
    (
        "kafka",
        "parked_topic = \"walbrook.shop.checkpoint\"",
        "9:16: `kafka.parked_topic` and `kafka.checkpoint_topic` are one topic: the one is compacted, and of the other nothing may be lost; set them apart",
    ),
    (
        "kafka",
        r#"checkpoint_topic = "a/b""#,
        "9:20: `kafka.checkpoint_topic` wants 1 to 249 letters, digits, dots, underscores and hyphens",
    ),
    (
        "schema_changes",
        r#"topic = "a/b""#,
        "13:9: `schema_changes.topic` wants 1 to 249 letters, digits, dots, underscores and hyphens",
    ),
    (
        "schema_changes",
        "enabled = true\ntopic = \"walbrook.shop.parked\"",
        "14:9: `schema_changes.topic` is a topic of `[kafka]`, in which something else is kept: set them apart",
    ),
];
