//! Golden messages about patterns of tables, and about the topics that they share.

/// What `lines` in `section` of the least configuration give.
pub(super) const PATTERNS: &[(&str, &str, &str)] = &[
    (
        "tables",
        r#"include = ["orders"]"#,
        r#"13:12: `tables.include`: "orders" wants "schema.table", in which * is any text and ? any character, or a regular expression of that between slashes"#,
    ),
    (
        "tables",
        r#"exclude = ["a.b", "/(/"]"#,
        r#"13:19: `tables.exclude`: "/(/" is not a regular expression (syntax of Rust's regex: no look-around, no back-references)"#,
    ),
    (
        "[outbox]",
        r#"table = "a.out*""#,
        r#"13:9: `outbox.table` may have * in its schema, as in "tenant_*.outbox", and not in the table's own name"#,
    ),
    (
        "[outbox]",
        r#"table = "*.outbox"
pending = true"#,
        "14:11: `outbox.table` and `outbox.pending` contradict each other: rows that are pending are read of a table that is named; give it an [[outbox]] of its own",
    ),
    ("tables", "include = []", "13:11: `tables.include` is empty: name tables, or remove it"),
    (
        "tables",
        r#"exclude = ["public.*"]
[[outbox]]
table = "public.outbox""#,
        "13:12: `tables.exclude` and `outbox.table` contradict each other: public.outbox cannot be both left out and an outbox",
    ),
    (
        "tables",
        r#"include = ["public.*"]
[snapshot]
first = ["shop.orders"]"#,
        "13:11: `tables.include` and `snapshot.first` or `snapshot.tables` contradict each other: shop.orders is left out, so its rows are not read",
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
