//! How names of columns and tables become names that Avro and Kafka allow.
//!
//! ```text
//!                   field order-id   field order_id   field 名      topic s.p.order_id
//! Avro              order_id         order_id         _             s.p.order_id
//! AvroUnicode       order_u002did    order_u005fid    _u540d        s.p.order_u005fid
//! ```
//!
//! Debezium's modes `avro` and `avro_unicode`, and its topic naming strategies `Schema` and
//! `SchemaUnicode`, with one departure: where a part behind a dot begins with a digit, which Avro
//! does not allow, that is adjusted, too. As there, what is escaped has as few digits as Java's
//! `toHexString` gives, but for up to two, which get two zeros before them; so with three of them two
//! names may still come out the same, and a table of both is refused.
//!
//! Source: `SchemaNameAdjuster`, `UnicodeReplacementFunction`, `FieldNameUnicodeReplacementFunction`
//! and `AbstractUnicodeTopicNamingStrategy` in <https://github.com/debezium/debezium>

/// How names become names of fields, records and topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// They stay as they are, but for topics: JSON has no alphabet.
    AsIs,
    /// What is not allowed becomes `_`, and a leading digit gets one before it.
    #[default]
    Avro,
    /// What is not allowed becomes `_u` and its UTF-16 code; so do underscores, which begin that.
    AvroUnicode,
}

impl Naming {
    /// The name of a column's field.
    #[must_use]
    pub fn field(self, column: &str) -> String {
        match self {
            Self::AsIs => column.to_owned(),
            Self::Avro => underscored(column),
            Self::AvroUnicode => {
                let mut is_first = true;
                escaped(column, |c| {
                    let is_first = std::mem::take(&mut is_first);
                    c.is_ascii_alphabetic() || !is_first && c.is_ascii_digit()
                })
            }
        }
    }

    /// The full name that the records of a topic are under.
    #[must_use]
    pub fn namespace(self, topic: &str) -> String {
        topic.split('.').map(|part| self.field(part)).collect::<Vec<_>>().join(".")
    }

    /// The name of a topic.
    #[must_use]
    pub fn topic(self, name: &str) -> String {
        match self {
            Self::AvroUnicode => {
                escaped(name, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
            }
            Self::AsIs | Self::Avro => {
                name.chars().map(|c| if is_topic_character(c) { c } else { '_' }).collect()
            }
        }
    }
}

/// Whether Kafka allows it in a topic's name.
///
/// Source: `org.apache.kafka.common.internals.Topic`
#[must_use]
pub fn is_topic_character(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-')
}

fn underscored(name: &str) -> String {
    let mut adjusted = String::with_capacity(name.len() + 1);
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        adjusted.push('_');
    }
    for char in name.chars() {
        if char.is_ascii_alphanumeric() || char == '_' {
            adjusted.push(char);
        } else {
            // Java replaces each UTF-16 unit.
            adjusted.extend(std::iter::repeat_n('_', char.len_utf16()));
        }
    }
    adjusted
}

fn escaped(name: &str, mut is_allowed: impl FnMut(char) -> bool) -> String {
    let mut adjusted = String::with_capacity(name.len());
    if name.is_empty() {
        adjusted.push('_');
    }
    for char in name.chars() {
        if is_allowed(char) {
            adjusted.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            let digits = format!("{unit:x}");
            let zeros = if digits.len() <= 2 { "00" } else { "" };
            adjusted.extend(["_u", zeros, &digits]);
        }
    }
    adjusted
}
