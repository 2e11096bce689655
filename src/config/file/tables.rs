//! The sections `[tables]`, `[records]` and `[batch]`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use toml::Spanned;

use super::value::{Fault, Given, Key, Size, Time, choice, choice_or, switch, within};
use crate::config::{
    self, Before, Children, Format, KeyNames, OnRefused, OnTruncate, Selection, TablePattern,
    Timestamp,
};
use crate::encode::Naming;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tables {
    include: Key<Vec<Spanned<String>>>,
    exclude: Key<Vec<Spanned<String>>>,
    pub(super) before: Key<String>,
    tombstones: Key<bool>,
    pub(super) truncate: Key<Truncate>,
    pub(super) key_format: Key<String>,
    key_names: Key<String>,
    pub(super) value_format: Key<String>,
    on_refused: Key<String>,
    #[serde(default)]
    on_refused_by_table: BTreeMap<Spanned<String>, Spanned<String>>,
    retry_refused_after: Key<Time>,
    name_adjustment: Key<String>,
    children: Key<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    timestamp: Key<String>,
    position_headers: Key<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    target_bytes: Key<Size>,
    target_records: Key<u32>,
    max_bytes: Key<Size>,
    max_records: Key<u32>,
}

pub(super) fn tables(section: &Tables) -> Result<config::Tables, Fault> {
    let befores = [("separate", Before::Separate), ("debezium", Before::Debezium)];
    let formats = [
        ("avro", Format::Avro),
        ("json", Format::Json),
        ("json_schemas", Format::JsonSchemas),
        ("string", Format::String),
    ];
    let of_values = formats.split_last().map_or(formats.as_slice(), |(_, others)| others);
    let value_format =
        choice_or("tables.value_format", &section.value_format, Format::Avro, of_values)?;
    Ok(config::Tables {
        selection: Selection {
            include: patterns("tables.include", &section.include)?,
            exclude: patterns("tables.exclude", &section.exclude)?,
        },
        before: choice_or("tables.before", &section.before, Before::Separate, &befores)?,
        tombstones: switch(&section.tombstones, true),
        truncate: section.truncate.as_ref().map_or(OnTruncate::Written, |it| it.get_ref().0),
        key_format: choice_or("tables.key_format", &section.key_format, value_format, &formats)?,
        key_names: choice_or(
            "tables.key_names",
            &section.key_names,
            KeyNames::Topic,
            &[("columns", KeyNames::Columns), ("topic", KeyNames::Topic)],
        )?,
        value_format,
        refused: refused(section)?,
        name_adjustment: choice_or(
            "tables.name_adjustment",
            &section.name_adjustment,
            Naming::Avro,
            &[("avro", Naming::Avro), ("avro_unicode", Naming::AvroUnicode)],
        )?,
        children: choice_or(
            "tables.children",
            &section.children,
            Children::Own,
            &[("own", Children::Own), ("parent", Children::Parent)],
        )?,
    })
}

/// To try again asks the registry, so not all the time.
const RETRY_AFTER_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

fn refused(section: &Tables) -> Result<config::Refused, Fault> {
    let actions = [("park", OnRefused::Park), ("stop", OnRefused::Stop)];
    let mut by_table = BTreeMap::new();
    for (table, action) in &section.on_refused_by_table {
        let name = full_name("tables.on_refused_by_table", table)?;
        let given = Given::of("tables.on_refused_by_table", action);
        if by_table.insert(name, choice(&given, &actions)?).is_some() {
            let message = "`tables.on_refused_by_table` names a table twice: keep one";
            return Err(Fault::at(table, message));
        }
    }
    let config::Refused { action, retry_after, .. } = config::Refused::default();
    let action = choice_or("tables.on_refused", &section.on_refused, action, &actions)?;
    let name = "tables.retry_refused_after";
    let (low, high) = RETRY_AFTER_RANGE;
    let range = (Time(low), Time(high));
    let retry_after = within(name, &section.retry_refused_after, Time(retry_after), range)?.0;
    Ok(config::Refused { action, by_table, retry_after })
}

/// `schema.table`, in which `public.` may be left out.
pub(super) fn full_name(key: &str, text: &Spanned<String>) -> Result<String, Fault> {
    let (namespace, table) = text.get_ref().split_once('.').unwrap_or(("public", text.get_ref()));
    if namespace.is_empty() || table.is_empty() {
        return Err(Fault::at(text, format!("`{key}` wants \"schema.table\"")));
    }
    Ok(format!("{namespace}.{table}"))
}

/// `true`, `false` or `"required"`.
pub(super) struct Truncate(pub(super) OnTruncate);

impl<'de> Deserialize<'de> for Truncate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = Truncate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or \"required\"")
            }

            fn visit_bool<E: Error>(self, is_wanted: bool) -> Result<Truncate, E> {
                Ok(Truncate(if is_wanted { OnTruncate::Written } else { OnTruncate::LeftOut }))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Truncate, E> {
                match text {
                    "required" => Ok(Truncate(OnTruncate::Required)),
                    text => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        from.deserialize_any(Wanted)
    }
}

pub(super) fn patterns(
    name: &str,
    key: &Key<Vec<Spanned<String>>>,
) -> Result<Vec<TablePattern>, Fault> {
    let Some(list) = key else { return Ok(Vec::new()) };
    if list.get_ref().is_empty() {
        return Err(Fault::at(list, format!("`{name}` is empty: name tables, or remove it")));
    }
    let pattern = |text: &Spanned<String>| {
        let fault = |why| Fault::at(text, format!("`{name}`: {:?} {why}", text.get_ref()));
        TablePattern::parse(text.get_ref()).map_err(fault)
    };
    list.get_ref().iter().map(pattern).collect()
}

/// Refuses what leaves out a table that another section wants: an outbox, or one whose rows are read.
pub(super) fn refuse_excluded(
    section: &Tables,
    selection: &Selection,
    outboxes: &[config::Outbox],
    snapshot: &config::Snapshot,
) -> Result<(), Fault> {
    let key = |namespace: &str, table: &str| {
        let span = section.exclude.as_ref().and_then(|list| {
            let patterns = list.get_ref().iter().zip(&selection.exclude);
            let mut matching = patterns.filter(|(_, it)| it.matches(namespace, table));
            matching.next().map(|(text, _)| text.span())
        });
        let name = if span.is_some() { "tables.exclude" } else { "tables.include" };
        (name, span.or_else(|| section.include.as_ref().map(Spanned::span)))
    };
    for config::Outbox { namespace, table, .. } in outboxes {
        // One need not be included: that it is an outbox says enough.
        if let ("tables.exclude", span) = key(namespace, table) {
            let message = format!(
                "`tables.exclude` and `outbox.table` contradict each other: {namespace}.{table} cannot be \
                 both left out and an outbox"
            );
            return Err(Fault { span, message });
        }
    }
    for name in snapshot.names().iter().filter(|name| snapshot.reads(name)) {
        let Some((namespace, table)) = name.split_once('.') else { continue };
        if selection.excludes(namespace, table) {
            let (key, span) = key(namespace, table);
            let message = format!(
                "`{key}` and `snapshot.first` or `snapshot.tables` contradict each other: {name} is left \
                 out, so its rows are not read"
            );
            return Err(Fault { span, message });
        }
    }
    Ok(())
}

pub(super) fn records(section: &Records) -> Result<config::Records, Fault> {
    let times = [("commit", Timestamp::Commit), ("now", Timestamp::Now)];
    let name = "records.timestamp";
    Ok(config::Records {
        timestamp: choice_or(name, &section.timestamp, Timestamp::Commit, &times)?,
        position_headers: switch(&section.position_headers, true),
    })
}

/// The most that a batch may hold: what librdkafka's queue limits and our memory can bear.
const BATCH_BYTES_MAX: Size = Size::mib(1024);
const BATCH_RECORDS_MAX: u32 = 10_000_000;

/// I9 rests on max ≥ 2 × target: then a transaction of up to max − target is never cut.
pub(super) fn batch(section: &Batch) -> Result<config::BatchLimits, Fault> {
    let bytes = |name, key, default| within(name, key, default, (Size(1024), BATCH_BYTES_MAX));
    let records = |name, key, default| within(name, key, default, (1, BATCH_RECORDS_MAX));
    let target_bytes = bytes("batch.target_bytes", &section.target_bytes, Size::mib(8))?;
    let max_bytes = bytes("batch.max_bytes", &section.max_bytes, Size::mib(32))?;
    let target_records = records("batch.target_records", &section.target_records, 20_000)?;
    let max_records = records("batch.max_records", &section.max_records, 80_000)?;
    if max_bytes.0 < target_bytes.0 * 2 {
        let span = later(&section.max_bytes, &section.target_bytes);
        let message = format!(
            "`batch.max_bytes` ({max_bytes}) must be at least twice `batch.target_bytes` \
             ({target_bytes}), so that transactions up to the difference are never cut: raise the \
             one or lower the other"
        );
        return Err(Fault { span, message });
    }
    if u64::from(max_records) < u64::from(target_records) * 2 {
        let span = later(&section.max_records, &section.target_records);
        let message = format!(
            "`batch.max_records` ({max_records}) must be at least twice `batch.target_records` \
             ({target_records}), so that transactions up to the difference are never cut: raise \
             the one or lower the other"
        );
        return Err(Fault { span, message });
    }
    let size = |Size(n)| usize::try_from(n).unwrap_or(usize::MAX);
    let count = |n| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(config::BatchLimits {
        target_bytes: size(target_bytes),
        target_records: count(target_records),
        max_bytes: size(max_bytes),
        max_records: count(max_records),
    })
}

fn later<T>(a: &Key<T>, b: &Key<T>) -> Option<std::ops::Range<usize>> {
    let span = |key: &Key<T>| key.as_ref().map(Spanned::span);
    span(a).into_iter().chain(span(b)).max_by_key(|span| span.start)
}
