//! Golden messages about patterns of tables.

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
];
