//! Golden messages about topics: those of walbrook's own, those of tables, and those that tables share.

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
        "topic = \"shop.changes\"",
        "13:9: `schema_changes.topic` needs `schema_changes.enabled = true` beside it: without that nothing is told there; set it, or remove the topic",
    ),
    (
        "schema_changes",
        "enabled = false\ntopic = \"shop.changes\"",
        "14:9: `schema_changes.topic` needs `schema_changes.enabled = true` beside it: without that nothing is told there; set it, or remove the topic",
    ),
    (
        "schema_changes",
        "enabled = true\ntopic = \"walbrook.shop.parked\"",
        "14:9: `schema_changes.topic` is a topic of `[kafka]`, in which something else is kept: set them apart",
    ),
    (
        "topics",
        r#"template = "{prefix}.{schema}""#,
        r#"13:12: `topics.template` lacks {table}, so that all tables would have one topic: add it, or have tables share a topic on purpose by [[topics.shared]]"#,
    ),
    (
        "topics",
        r#"template = "{prefix}.{tabel}""#,
        r#"13:12: `topics.template` has the placeholder {tabel}, but knows {prefix}, {schema} and {table}"#,
    ),
    ("topics", r#"template = "{table""#, r#"13:12: `topics.template` has a { without its }"#),
    (
        "topics",
        r#"template = "{prefix}/{table}""#,
        r#"13:12: `topics.template` wants a topic in which {prefix}, {schema} and {table} stand for those of the table, such as "{prefix}.{schema}.{table}", and all else is letters, digits, dots, underscores and hyphens"#,
    ),
    (
        "[topics.shared]",
        r#"topic = "invoice""#,
        r#"12:1: `topics.shared.tables` is missing: patterns such as ["tenant_*.invoice"]"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["tenant*.invoice"]"#,
        r#"12:1: `topics.shared.topic` is missing: such as "{prefix}.invoice""#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["tenant*.invoice"]
topic = """#,
        r#"14:9: `topics.shared.topic` wants a topic in which {prefix}, {schema} and {table} stand for those of the table, such as "{prefix}.{schema}.{table}", and all else is letters, digits, dots, underscores and hyphens"#,
    ),
    (
        "[topics.shared]",
        r#"tables = []
topic = "invoice""#,
        r#"13:10: `topics.shared.tables` is empty: name tables, or remove it"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.a"]
topic = "x"
key_field = "1st""#,
        r#"15:13: `topics.shared.key_field` wants a name of letters, digits and underscores that does not begin with a digit, or false"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.a"]
topic = "x"
key_field = true"#,
        r#"15:13: `topics.shared.key_field`: wrong value: boolean, expected the name of a field, or false"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.a"]
topic = "x"
key_field = false
key_value = "{schema}""#,
        r#"16:13: `topics.shared.key_field` and `topics.shared.key_value` contradict each other: without the field there is no value of it; remove the one or the other"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.a"]
topic = "x"
key_value = "{tenant}""#,
        r#"15:13: `topics.shared.key_value` has the placeholder {tenant}, but knows {prefix}, {schema} and {table}"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.*"]
topic = "x"
[[topics.shared]]
tables = ["t.a"]
topic = "y""#,
        r#"16:11: `topics.shared.tables`: t.a is in the 1st and the 2nd [[topics.shared]]: a table has one topic, so leave it out of one of them"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.*"]
topic = "x"
[[outbox]]
table = "t.outbox""#,
        r#"12:1: `topics.shared.tables` and `outbox.table` contradict each other: t.outbox is an outbox, whose events have topics of their own; write patterns that leave it out"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.outbox"]
topic = "x"
[[outbox]]
table = "*.outbox""#,
        r#"13:11: `topics.shared.tables` and `outbox.table` contradict each other: t.outbox is an outbox, whose events have topics of their own; write patterns that leave it out"#,
    ),
    (
        "[topics.shared]",
        r#"tables = ["t.a"]
topic = "x"
[tables]
exclude = ["t.*"]"#,
        r#"13:11: `topics.shared.tables` and [tables] include and exclude contradict each other: t.a is left out, so it has no topic"#,
    ),
    (
        "tables",
        r#"children = "parents""#,
        r#"13:12: `tables.children` is "parents", but wants "own" or "parent""#,
    ),
];
