//! What the topic of schema changes says: which columns a table has, as the stream announces them.
//!
//! The last record of a table is also what walbrook itself goes by after a restart: what was told is not
//! told again.

use serde::{Deserialize, Serialize};

/// A column as readers of the topic see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in PostgreSQL.
    pub name: String,
    /// Its type as PostgreSQL writes it, such as `numeric(10,2)`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it is a part of the records' key.
    pub key: bool,
    /// Whether its field may be null in the records.
    pub nullable: bool,
}

impl Column {
    /// Whether two tables look the same to the stream, which does not say what may be null.
    #[must_use]
    pub fn are_same(some: &[Self], others: &[Self]) -> bool {
        let seen = |it: &Self| (it.name.clone(), it.type_name.clone(), it.key);
        some.iter().map(seen).eq(others.iter().map(seen))
    }
}

/// A table and the columns that were told of it last.
pub type Told = (String, Vec<Column>);

/// A record of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnsRecord<'a> {
    /// `schema.table`, which is also the record's key.
    pub table: &'a str,
    /// The replication slot: several pipelines may share a topic.
    pub slot: &'a str,
    /// The epoch of the position.
    pub epoch: u32,
    /// The first change that has these columns, as in `walbrook.position`.
    pub position: &'a str,
    /// Its transaction; 0 for a row that a snapshot read.
    pub xid: u32,
    /// When that committed: microseconds since 1970-01-01 UTC.
    pub commit_time_us: i64,
    /// Whether the table is told of for the first time.
    pub kind: Kind,
    /// The columns that it had; none the first time.
    pub old: Option<&'a [Column]>,
    /// The columns that it has, in their order.
    pub new: &'a [Column],
}

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The columns are others than before.
    Changed,
    /// The table was not told of before.
    First,
}

impl ColumnsRecord<'_> {
    /// As JSON.
    ///
    /// # Panics
    ///
    /// Never: it holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are plain JSON")
    }
}

/// What a record of the topic told, if it is one of this slot: the topic may have others.
#[must_use]
pub fn read(value: &[u8], slot: &str) -> Option<Told> {
    #[derive(Deserialize)]
    struct Record {
        table: String,
        slot: String,
        new: Vec<Column>,
    }
    let record: Record = serde_json::from_slice(value).ok()?;
    (record.slot == slot).then_some((record.table, record.new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_name: &str) -> Column {
        let (name, type_name) = (name.to_owned(), type_name.to_owned());
        Column { name, type_name, key: false, nullable: true }
    }

    #[test]
    fn what_was_told_is_read_back() {
        let (old, new) = ([column("a", "integer")], [column("a", "bigint"), column("b", "text")]);
        let record = ColumnsRecord {
            table: "public.t",
            slot: "s",
            epoch: 0,
            position: "0/1#2",
            xid: 7,
            commit_time_us: 8,
            kind: Kind::Changed,
            old: Some(&old),
            new: &new,
        };
        let json = record.to_json();
        assert_eq!(
            String::from_utf8_lossy(&json),
            r#"{"table":"public.t","slot":"s","epoch":0,"position":"0/1#2","xid":7,"commit_time_us":8,"kind":"changed","old":[{"name":"a","type":"integer","key":false,"nullable":true}],"new":[{"name":"a","type":"bigint","key":false,"nullable":true},{"name":"b","type":"text","key":false,"nullable":true}]}"#
        );
        let schema = include_str!("../schemas/schema-change.schema.json");
        let schema = serde_json::from_str(schema).unwrap();
        for old in [None, record.old] {
            let record = serde_json::to_value(ColumnsRecord { old, ..record }).unwrap();
            jsonschema::validate(&schema, &record).unwrap();
        }
        assert_eq!(read(&json, "s"), Some(("public.t".to_owned(), new.to_vec())));
        assert_eq!(read(&json, "other"), None);
        for (end, _) in json.iter().enumerate() {
            assert_eq!(read(&json[..end], "s"), None);
        }
        assert_eq!(read(b"\xff{}", "s"), None);
    }

    #[test]
    fn what_may_be_null_alone_makes_no_other_table() {
        let was = [column("a", "integer"), column("b", "text")];
        let mut is = was.clone();
        is[0].nullable = false;
        assert!(Column::are_same(&was, &is));
        is[0].key = true;
        assert!(!Column::are_same(&was, &is));
        assert!(!Column::are_same(&was, &was[..1]));
        assert!(!Column::are_same(&was, &[was[1].clone(), was[0].clone()]));
    }
}
