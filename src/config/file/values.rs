//! The section `[values]`, and what it does not go together with.

use serde::Deserialize;

use super::tables::Tables;
use super::value::{Fault, Key, choice_or, contradiction, text_or};
use crate::config::{Before, Format, Registry};
use crate::encode::{
    BinaryMode, DecimalMode, GeometricMode, HstoreMode, IntervalMode, Modes, OnUnchanged,
    OnUnrepresentable, Representation, TimeMode, Values as Meaning,
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Values {
    representation: Key<String>,
    decimal: Key<String>,
    time: Key<String>,
    interval: Key<String>,
    hstore: Key<String>,
    binary: Key<String>,
    geometric: Key<String>,
    on_unrepresentable: Key<String>,
    on_unchanged: Key<String>,
    unavailable_value: Key<String>,
}

/// Whose schemas, without Debezium's modes.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Avro,
    Debezium,
}

pub(super) fn values(section: &Values) -> Result<Meaning, Fault> {
    let whose = [("avro", Whose::Avro), ("debezium", Whose::Debezium)];
    let name = "values.representation";
    let representation = match choice_or(name, &section.representation, Whose::Debezium, &whose)? {
        Whose::Avro => {
            refuse_modes(section)?;
            Representation::Avro
        }
        Whose::Debezium => Representation::Debezium(modes(section)?),
    };
    if section.on_unchanged.as_ref().is_some_and(|choice| choice.get_ref() == "null") {
        let on_unchanged = ("values.on_unchanged", &section.on_unchanged);
        let placeholder = ("values.unavailable_value", &section.unavailable_value);
        contradiction(on_unchanged, placeholder, "with null there is no placeholder")?;
    }
    let unrepresentables = [
        ("fail", OnUnrepresentable::Fail),
        ("null", OnUnrepresentable::Null),
        ("text", OnUnrepresentable::Text),
    ];
    let unchanged = [("null", OnUnchanged::Null), ("placeholder", OnUnchanged::Placeholder)];
    Ok(Meaning {
        representation,
        on_unrepresentable: choice_or(
            "values.on_unrepresentable",
            &section.on_unrepresentable,
            OnUnrepresentable::Fail,
            &unrepresentables,
        )?,
        on_unchanged: choice_or(
            "values.on_unchanged",
            &section.on_unchanged,
            OnUnchanged::Placeholder,
            &unchanged,
        )?,
        unavailable_value: text_or(&section.unavailable_value, Meaning::UNAVAILABLE_VALUE),
    })
}

fn modes(section: &Values) -> Result<Modes, Fault> {
    let binaries = [
        ("bytes", BinaryMode::Bytes),
        ("base64", BinaryMode::Base64),
        ("base64-url-safe", BinaryMode::Base64UrlSafe),
        ("hex", BinaryMode::Hex),
    ];
    let decimals = [
        ("precise", DecimalMode::Precise),
        ("double", DecimalMode::Double),
        ("string", DecimalMode::String),
    ];
    let geometrics = [("record", GeometricMode::Record), ("text", GeometricMode::Text)];
    let hstores = [("json", HstoreMode::Json), ("map", HstoreMode::Map)];
    let intervals = [("numeric", IntervalMode::Numeric), ("string", IntervalMode::String)];
    let times = [
        ("adaptive", TimeMode::Adaptive),
        ("adaptive_time_microseconds", TimeMode::AdaptiveTimeMicroseconds),
        ("connect", TimeMode::Connect),
        ("microseconds", TimeMode::Microseconds),
        ("nanoseconds", TimeMode::Nanoseconds),
        ("isostring", TimeMode::IsoString),
        ("structured", TimeMode::Structured),
    ];
    let time = choice_or("values.time", &section.time, TimeMode::default(), &times)?;
    if time == TimeMode::Structured {
        let (time, interval) =
            (("values.time", &section.time), ("values.interval", &section.interval));
        contradiction(time, interval, "among structured times an interval is a record, too")?;
    }
    Ok(Modes {
        binary: choice_or("values.binary", &section.binary, BinaryMode::default(), &binaries)?,
        decimal: choice_or("values.decimal", &section.decimal, DecimalMode::default(), &decimals)?,
        geometric: choice_or(
            "values.geometric",
            &section.geometric,
            GeometricMode::default(),
            &geometrics,
        )?,
        hstore: choice_or("values.hstore", &section.hstore, HstoreMode::default(), &hstores)?,
        interval: choice_or(
            "values.interval",
            &section.interval,
            IntervalMode::default(),
            &intervals,
        )?,
        time,
    })
}

/// Debezium's modes say nothing of Avro's own types.
fn refuse_modes(section: &Values) -> Result<(), Fault> {
    let advice = "Avro's own types have no such modes; remove the one or the other";
    for (name, mode) in [
        ("values.decimal", &section.decimal),
        ("values.time", &section.time),
        ("values.interval", &section.interval),
        ("values.hstore", &section.hstore),
        ("values.binary", &section.binary),
        ("values.geometric", &section.geometric),
    ] {
        contradiction(("values.representation", &section.representation), (name, mode), advice)?;
    }
    Ok(())
}

/// Refuses what `[tables]` and `[values]` say against each other.
pub(super) fn agree(
    (tables_section, tables): (&Tables, &crate::config::Tables),
    (section, values): (&Values, &Meaning),
) -> Result<(), Fault> {
    let formats = [
        ("tables.value_format", &tables_section.value_format, tables.value_format),
        ("tables.key_format", &tables_section.key_format, tables.key_format),
    ];
    if values.representation == Representation::Avro {
        let representation = ("values.representation", &section.representation);
        if tables.before == Before::Debezium {
            let advice = "the values that Debezium invents are of its own schemas";
            contradiction(representation, ("tables.before", &tables_section.before), advice)?;
        }
        for (name, key, format) in formats {
            if matches!(format, Format::Json | Format::JsonSchemas) {
                let advice = "JSON has Debezium's representation";
                contradiction(representation, (name, key), advice)?;
            }
        }
    }
    if values.on_unrepresentable == OnUnrepresentable::Text {
        for (name, key, format) in formats {
            if format == Format::JsonSchemas {
                let advice = "Kafka Connect's JSON schemas have no union of a type and text";
                let on_unrepresentable = ("values.on_unrepresentable", &section.on_unrepresentable);
                contradiction(on_unrepresentable, (name, key), advice)?;
            }
        }
    }
    Ok(())
}

/// Without a registry nothing can be written as Avro.
pub(super) fn needs_registry(
    registry: Option<Registry>,
    tables: &crate::config::Tables,
    has_payload_schemas: bool,
) -> Result<Option<Registry>, Fault> {
    let is_avro = |format| format == Format::Avro;
    if registry.is_none()
        && (is_avro(tables.value_format) || is_avro(tables.key_format) || has_payload_schemas)
    {
        return Err(Fault::nowhere(
            "the section [registry] is missing: it needs `urls` of the schema registry (only \
             JSON goes without one: `tables.value_format`, `tables.key_format`)",
        ));
    }
    Ok(registry)
}
