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
    /// Tables on which Debezium's task ends in this setting, so that it must not see them.
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
        let Some([decimal, time, interval, hstore, binary]) = self.modes else {
            return vec![("tables", tables)];
        };
        // What Debezium invents where a column is NOT NULL is another value in each mode.
        tables += "before = \"debezium\"\n";
        let values = format!(
            "decimal = \"{decimal}\"\n\
             time = \"{time}\"\n\
             interval = \"{interval}\"\n\
             hstore = \"{hstore}\"\n\
             binary = \"{binary}\"\n\
             on_unrepresentable = \"null\"\n"
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

/// The types that have handling modes, with the values that are hard in one of them. Each value of
/// each mode is met in one of the settings.
pub(super) static MODES: Script = Script {
    name: "modes",
    tables: include_str!("../../golden/debezium/modes-tables.sql"),
    changes: include_str!("../../golden/debezium/modes-changes.sql"),
    settings: &[
        &ADAPTIVE,
        &ADAPTIVE_TIME,
        &CONNECT,
        &MICROSECONDS,
        &NANOSECONDS,
        &ISOSTRING,
        &JSON_CONNECT,
    ],
};

/// Empty configurations.
pub(super) static DEFAULT: Setting = empty("default", Format::Avro, None);
/// JSON without schemas.
pub(super) static JSON: Setting = empty("json", Format::Json { schemas: false }, Some(&DEFAULT));
/// JSON with Connect's schemas.
pub(super) static JSON_SCHEMAS: Setting =
    empty("json-schemas", Format::Json { schemas: true }, Some(&JSON));

/// The modes of an empty configuration.
pub(super) static ADAPTIVE: Setting = Setting {
    name: "adaptive",
    format: Format::Avro,
    modes: Some(["precise", "adaptive", "numeric", "json", "bytes"]),
    deadly: &[],
    base: None,
};
pub(super) static ADAPTIVE_TIME: Setting = Setting {
    name: "adaptive-time-microseconds",
    modes: Some(["double", "adaptive_time_microseconds", "string", "map", "base64"]),
    deadly: &["large_required_binaries"],
    ..OF_MODES
};
pub(super) static CONNECT: Setting = Setting {
    name: "connect",
    modes: Some(["string", "connect", "numeric", "json", "base64-url-safe"]),
    deadly: &["large_required_binaries"],
    ..OF_MODES
};
pub(super) static MICROSECONDS: Setting = Setting {
    name: "microseconds",
    modes: Some(["precise", "microseconds", "string", "map", "hex"]),
    deadly: &["large_required_binaries"],
    ..OF_MODES
};
pub(super) static NANOSECONDS: Setting = Setting {
    name: "nanoseconds",
    modes: Some(["double", "nanoseconds", "numeric", "json", "bytes"]),
    deadly: &["required_timestamps"],
    ..OF_MODES
};
pub(super) static ISOSTRING: Setting = Setting {
    name: "isostring",
    modes: Some(["string", "isostring", "string", "map", "base64"]),
    deadly: &["large_required_binaries"],
    ..OF_MODES
};
/// The modes whose values JSON writes in a way of its own.
pub(super) static JSON_CONNECT: Setting = Setting {
    name: "json-connect",
    format: Format::Json { schemas: true },
    modes: Some(["double", "connect", "string", "map", "hex"]),
    deadly: &["large_required_binaries"],
    ..OF_MODES
};

const fn empty(name: &'static str, format: Format, base: Option<&'static Setting>) -> Setting {
    Setting { name, format, modes: None, deadly: &[], base }
}

const OF_MODES: Setting = empty("", Format::Avro, Some(&ADAPTIVE));
