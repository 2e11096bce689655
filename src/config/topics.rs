//! Which topic a table's rows go to, and how topics are made.

use super::selection::TablePattern;

/// Topics of tables, and how topics are made.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The first part of table topics, unless a template says otherwise; also Debezium's `source.name`.
    pub prefix: String,
    /// The topic of a table that shares none.
    pub template: Template,
    /// The topics that several tables share.
    pub shared: Vec<SharedTopic>,
    /// How missing topics are made; `None` means that they must exist.
    pub create: Option<TopicCreation>,
    /// The replication factor of the checkpoint topic; −1 is the broker's default.
    pub checkpoint_replication_factor: i32,
}

impl Topics {
    /// How those of walbrook's own are made of which nothing may be lost.
    #[must_use]
    pub fn keeping_all(&self) -> TopicCreation {
        TopicCreation {
            partitions: 1,
            replication_factor: self.checkpoint_replication_factor,
            cleanup_policy: Some("delete".into()),
            keeps_all: true,
        }
    }
}

/// How missing topics are made. An existing topic is never altered.
#[derive(Clone, Debug)]
pub struct TopicCreation {
    /// Partitions.
    pub partitions: i32,
    /// Replication factor; −1 is the broker's default.
    pub replication_factor: i32,
    /// `cleanup.policy`; `None` is the broker's default.
    pub cleanup_policy: Option<String>,
    /// Whether nothing in it is ever deleted by age or size (`retention.ms`, `retention.bytes`).
    pub keeps_all: bool,
}

/// A topic that tables share on purpose.
#[derive(Clone, Debug)]
pub struct SharedTopic {
    /// Its place among the sections `[[topics.shared]]`, from 1, by which errors name it.
    pub number: usize,
    /// The tables.
    pub tables: Vec<TablePattern>,
    /// The topic.
    pub topic: Template,
    /// The first field of keys, which says of which table they are; `None` is none.
    pub key_field: Option<KeyField>,
}

/// A field of keys that says of which table they are.
#[derive(Clone, Debug)]
pub struct KeyField {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Template,
}

impl SharedTopic {
    /// Whether the table is one of those.
    #[must_use]
    pub fn has(&self, namespace: &str, table: &str) -> bool {
        self.tables.iter().any(|pattern| pattern.matches(namespace, table))
    }

    /// The patterns of these topics that match none of the tables.
    pub fn unmatched<'s>(
        shared: &'s [Self],
        tables: &'s [(String, String)],
    ) -> impl Iterator<Item = &'s TablePattern> {
        let is_matched = |pattern: &TablePattern| {
            tables.iter().any(|(namespace, table)| pattern.matches(namespace, table))
        };
        shared.iter().flat_map(|it| &it.tables).filter(move |pattern| !is_matched(pattern))
    }
}

/// A text in which `{prefix}`, `{schema}` and `{table}` stand for those of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Prefix,
    Schema,
    Table,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, behind) =
                rest.split_once('{').map_or((rest, None), |(a, b)| (a, Some(b)));
            if literal.contains('}') {
                return Err("has a } without its {".to_owned());
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some(behind) = behind else { break };
            let (name, behind) = behind.split_once('}').ok_or("has a { without its }")?;
            parts.push(match name {
                "prefix" => Part::Prefix,
                "schema" => Part::Schema,
                "table" => Part::Table,
                name => {
                    return Err(format!(
                        "has the placeholder {{{name}}}, but knows {{prefix}}, {{schema}} and {{table}}"
                    ));
                }
            });
            rest = behind;
        }
        Ok(Self { parts })
    }

    /// The text of a table.
    #[must_use]
    pub fn fill(&self, prefix: &str, namespace: &str, table: &str) -> String {
        let text = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Prefix => prefix.to_owned(),
            Part::Schema => namespace.to_owned(),
            Part::Table => table.to_owned(),
        };
        self.parts.iter().map(text).collect()
    }

    /// Whether it names the table.
    #[must_use]
    pub fn has_table(&self) -> bool {
        self.parts.contains(&Part::Table)
    }

    /// The texts between the placeholders.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl Default for Template {
    /// `{prefix}.{schema}.{table}`.
    fn default() -> Self {
        let dot = || Part::Literal(".".to_owned());
        Self { parts: vec![Part::Prefix, dot(), Part::Schema, dot(), Part::Table] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_what_it_does_not_know_is_refused() {
        for (text, expect) in [
            ("{prefix}.{schema}.{table}", "shop.tenant1.invoice"),
            ("{table}", "invoice"),
            ("a-{schema}{schema}_", "a-tenant1tenant1_"),
            ("plain", "plain"),
            ("", ""),
        ] {
            let filled = Template::parse(text).unwrap().fill("shop", "tenant1", "invoice");
            assert_eq!(filled, expect, "{text}");
        }
        assert_eq!(Template::default(), Template::parse("{prefix}.{schema}.{table}").unwrap());
        for wrong in ["{", "}", "a}b{table}", "{tabel}", "{}", "{{table}}", "{schema"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        // What a name holds is text, and no placeholder.
        let template = Template::default();
        assert_eq!(template.fill("p", "{table}", "t"), "p.{table}.t");
    }
}
