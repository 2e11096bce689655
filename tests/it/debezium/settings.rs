//! What is run side by side: scripts (tables and changes), and each in which settings.

use crate::support::connect::Format;

/// Tables, and changes to them.
pub(super) struct Script {
    /// In the name of its database.
    pub(super) name: &'static str,
    /// Creates the tables and the publication `walbrook`. One of them is `emptied (id integer)`.
    pub(super) tables: &'static str,
    /// Statements, each of which ends a line with `;`.
    pub(super) changes: &'static str,
    /// In which settings it is run.
    pub(super) settings: &'static [&'static Setting],
}

/// One way to run both on a script.
pub(super) struct Setting {
    /// In the name of its recording.
    pub(super) name: &'static str,
    /// What records are written as.
    pub(super) format: Format,
    /// The handling modes; without them those of an empty configuration.
    pub(super) modes: Option<Modes>,
    /// Whether names are adjusted by both as `avro_unicode`.
    pub(super) is_unicode: bool,
    /// What walbrook does with a value that its field cannot hold. Debezium writes null, or ends.
    pub(super) on_unrepresentable: &'static str,
    /// Tables on which Debezium's task ends in this setting, so that it must not see them, and there
    /// is nothing to compare. It has no placeholder for a bytea as base64 or an array of them as any
    /// text, and no number of nanoseconds for the zero that it invents for a timestamp.
    pub(super) deadly: &'static [&'static str],
    /// The setting whose recording this one's is told by: see [`recording`](super::recording).
    pub(super) base: Option<&'static Self>,
}

/// The handling modes, whose values are called the same by both: those of decimals, times,
/// intervals, hstore and bytea.
type Modes = [&'static str; 5];

impl Setting {
    /// Lines of the connector's properties.
    pub(super) fn properties(&self) -> String {
        let mut lines = String::new();
        if let Some([decimal, time, interval, hstore, binary]) = self.modes {
            lines += &format!(
                "decimal.handling.mode={decimal}\n\
                 time.precision.mode={time}\n\
                 interval.handling.mode={interval}\n\
                 hstore.handling.mode={hstore}\n\
                 binary.handling.mode={binary}\n"
            );
        }
        // What stands later holds.
        if self.is_unicode {
            lines += "field.name.adjustment.mode=avro_unicode\n\
                      schema.name.adjustment.mode=avro_unicode\n\
                      topic.naming.strategy=io.debezium.schema.SchemaUnicodeTopicNamingStrategy\n";
        }
        if !self.deadly.is_empty() {
            let tables: Vec<_> = self.deadly.iter().map(|name| format!("public.{name}")).collect();
            lines += &format!("table.exclude.list={}\n", tables.join(","));
        }
        lines
    }

    /// Sections and lines of walbrook's configuration.
    pub(super) fn sections(&self) -> Vec<(&'static str, String)> {
        let mut tables = match self.format {
            Format::Avro => String::new(),
            Format::Json { schemas: false } => "value_format = \"json\"\n".to_owned(),
            Format::Json { schemas: true } => "value_format = \"json_schemas\"\n".to_owned(),
        };
        if self.is_unicode {
            tables += "name_adjustment = \"avro_unicode\"\nbefore = \"debezium\"\n";
        }
        let Some([decimal, time, interval, hstore, binary]) = self.modes else {
            return vec![("tables", tables)];
        };
        // Structured times have no other interval.
        let interval = match time {
            "structured" => String::new(),
            _ => format!("interval = \"{interval}\"\n"),
        };
        // What Debezium invents where a column is NOT NULL is another value in each mode.
        tables += "before = \"debezium\"\n";
        let values = format!(
            "decimal = \"{decimal}\"\n\
             time = \"{time}\"\n\
             {interval}\
             hstore = \"{hstore}\"\n\
             binary = \"{binary}\"\n\
             on_unrepresentable = \"{}\"\n",
            self.on_unrepresentable
        );
        vec![("tables", tables), ("values", values)]
    }
}

/// All types, in the modes that an empty configuration has.
pub(super) static TYPES: Script = Script {
    name: "types",
    tables: include_str!("../../golden/debezium/tables.sql"),
    changes: include_str!("../../golden/debezium/changes.sql"),
    settings: &[&DEFAULT, &JSON, &JSON_SCHEMAS],
};

/// The types that have handling modes. Each value of each mode is met in one of the settings.
pub(super) static MODES: Script = Script {
    name: "modes",
    tables: include_str!("../../golden/debezium/modes-tables.sql"),
    changes: include_str!("../../golden/debezium/modes-changes.sql"),
    settings: &[
        &MODES_ADAPTIVE,
        &MODES_ADAPTIVE_TIME,
        &MODES_CONNECT,
        &MODES_MICROSECONDS,
        &MODES_NANOSECONDS,
        &MODES_ISOSTRING,
        &MODES_STRUCTURED,
        &MODES_JSON,
    ],
};

/// The same modes, on values that a field cannot hold in some of them.
pub(super) static EXTREMES: Script = Script {
    name: "extremes",
    tables: include_str!("../../golden/debezium/extremes-tables.sql"),
    changes: include_str!("../../golden/debezium/extremes-changes.sql"),
    settings: &[
        &EXTREMES_ADAPTIVE,
        &EXTREMES_ADAPTIVE_TIME,
        &EXTREMES_CONNECT,
        &EXTREMES_MICROSECONDS,
        &EXTREMES_NANOSECONDS,
        &EXTREMES_ISOSTRING,
        &EXTREMES_STRUCTURED,
        &EXTREMES_JSON,
    ],
};

/// Names beyond ASCII, kept apart.
pub(super) static NAMES: Script = Script {
    name: "names",
    tables: include_str!("../../golden/debezium/names-tables.sql"),
    changes: include_str!("../../golden/debezium/names-changes.sql"),
    settings: &[&NAMES_UNICODE],
};

/// Empty configurations.
pub(super) static DEFAULT: Setting = empty("default", Format::Avro, None);
/// JSON without schemas.
pub(super) static JSON: Setting = empty("json", Format::Json { schemas: false }, Some(&DEFAULT));
/// JSON with Connect's schemas.
pub(super) static JSON_SCHEMAS: Setting =
    empty("json-schemas", Format::Json { schemas: true }, Some(&JSON));

/// With the mode `avro_unicode`, and topics by its naming strategy.
pub(super) static NAMES_UNICODE: Setting =
    Setting { is_unicode: true, ..empty("names-unicode", Format::Avro, None) };

const ADAPTIVE: Modes = ["precise", "adaptive", "numeric", "json", "bytes"];
const ADAPTIVE_TIME: Modes = ["double", "adaptive_time_microseconds", "string", "map", "base64"];
const CONNECT: Modes = ["string", "connect", "numeric", "json", "base64-url-safe"];
const MICROSECONDS: Modes = ["precise", "microseconds", "string", "map", "hex"];
const NANOSECONDS: Modes = ["double", "nanoseconds", "numeric", "json", "bytes"];
const ISOSTRING: Modes = ["string", "isostring", "string", "map", "base64"];
const STRUCTURED: Modes = ["precise", "structured", "numeric", "json", "bytes"];
/// Those whose values JSON writes in a way of its own.
const IN_JSON: Modes = ["double", "connect", "string", "map", "hex"];

pub(super) static MODES_ADAPTIVE: Setting = modes("modes-adaptive", ADAPTIVE, &[], None);
pub(super) static MODES_ADAPTIVE_TIME: Setting = modes(
    "modes-adaptive-time",
    ADAPTIVE_TIME,
    &["large_required_binaries"],
    Some(&MODES_ADAPTIVE),
);
pub(super) static MODES_CONNECT: Setting =
    modes("modes-connect", CONNECT, &["large_required_binaries"], Some(&MODES_ADAPTIVE));
pub(super) static MODES_MICROSECONDS: Setting =
    modes("modes-microseconds", MICROSECONDS, &["large_required_binaries"], Some(&MODES_ADAPTIVE));
pub(super) static MODES_NANOSECONDS: Setting =
    modes("modes-nanoseconds", NANOSECONDS, &["required_timestamps"], Some(&MODES_ADAPTIVE));
pub(super) static MODES_ISOSTRING: Setting =
    modes("modes-isostring", ISOSTRING, &["large_required_binaries"], Some(&MODES_ADAPTIVE));
pub(super) static MODES_STRUCTURED: Setting =
    modes("modes-structured", STRUCTURED, &[], Some(&MODES_ADAPTIVE));
pub(super) static MODES_JSON: Setting = Setting {
    format: Format::Json { schemas: true },
    ..modes("modes-json", IN_JSON, &["large_required_binaries"], Some(&MODES_ADAPTIVE))
};

pub(super) static EXTREMES_ADAPTIVE: Setting = extremes("extremes-adaptive", ADAPTIVE, None);
pub(super) static EXTREMES_ADAPTIVE_TIME: Setting =
    extremes("extremes-adaptive-time", ADAPTIVE_TIME, Some(&EXTREMES_ADAPTIVE));
pub(super) static EXTREMES_CONNECT: Setting =
    extremes("extremes-connect", CONNECT, Some(&EXTREMES_ADAPTIVE));
pub(super) static EXTREMES_MICROSECONDS: Setting =
    extremes("extremes-microseconds", MICROSECONDS, Some(&EXTREMES_ADAPTIVE));
pub(super) static EXTREMES_NANOSECONDS: Setting =
    extremes("extremes-nanoseconds", NANOSECONDS, Some(&EXTREMES_ADAPTIVE));
pub(super) static EXTREMES_ISOSTRING: Setting =
    extremes("extremes-isostring", ISOSTRING, Some(&EXTREMES_ADAPTIVE));
pub(super) static EXTREMES_STRUCTURED: Setting =
    extremes("extremes-structured", STRUCTURED, Some(&EXTREMES_ADAPTIVE));
pub(super) static EXTREMES_JSON: Setting = Setting {
    format: Format::Json { schemas: true },
    ..extremes("extremes-json", IN_JSON, Some(&EXTREMES_ADAPTIVE))
};

const fn empty(name: &'static str, format: Format, base: Option<&'static Setting>) -> Setting {
    Setting {
        name,
        format,
        modes: None,
        is_unicode: false,
        on_unrepresentable: "fail",
        deadly: &[],
        base,
    }
}

const fn modes(
    name: &'static str,
    modes: Modes,
    deadly: &'static [&'static str],
    base: Option<&'static Setting>,
) -> Setting {
    Setting { modes: Some(modes), deadly, ..empty(name, Format::Avro, base) }
}

const fn extremes(name: &'static str, modes: Modes, base: Option<&'static Setting>) -> Setting {
    let empty = empty(name, Format::Avro, base);
    Setting { modes: Some(modes), on_unrepresentable: "null", ..empty }
}
