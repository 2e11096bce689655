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
    /// Its type as PostgreSQL writes it, such as `numeric(10,2)`; of one that is gone by then `oid` and
    /// its OID. The stream does not say names: it may have been renamed since.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its type's OID, as the stream has it.
    #[serde(rename = "oid")]
    pub type_oid: u32,
    /// Its type's modifier, as the stream has it; -1 is none.
    #[serde(rename = "modifier")]
    pub type_modifier: i32,
    /// Whether it is a part of the records' key.
    pub key: bool,
    /// Whether its field may be null in the records.
    pub nullable: bool,
}

impl Column {
    /// Whether two tables look the same to the stream, which does not say what may be null. A type is
    /// the same by its number, whatever it is called by now, and by its name, whatever its number is on
    /// another server.
    #[must_use]
    pub fn are_same(some: &[Self], others: &[Self]) -> bool {
        some.len() == others.len() && some.iter().zip(others).all(|(one, other)| one.is(other))
    }

    fn is(&self, other: &Self) -> bool {
        let number = |it: &Self| (it.type_oid, it.type_modifier);
        self.name == other.name
            && self.key == other.key
            && (number(self) == number(other) || self.type_name == other.type_name)
    }
}

/// A table and the columns that were told of it last.
pub type Told = (String, Vec<Column>);

/// A record of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnsRecord<'a> {
    /// `schema.table`, which is also the record's key.
    pub table: &'a str,
    /// The pipeline: several may share a topic.
    pub pipeline: &'a str,
    /// Its replication slot, of which a name is one server's.
    pub slot: &'a str,
    /// The epoch of the position.
    pub epoch: u32,
    /// The first change that has these columns, as in `walbrook.position`; of what was parked, as in
    /// `walbrook.parked`.
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

/// What a record of the topic told, if it is one of this pipeline and slot: the topic may have others.
#[must_use]
pub fn read(value: &[u8], (pipeline, slot): (&str, &str)) -> Option<Told> {
    #[derive(Deserialize)]
    struct Record {
        table: String,
        pipeline: String,
        slot: String,
        new: Vec<Column>,
    }
    let record: Record = serde_json::from_slice(value).ok()?;
    (record.pipeline == pipeline && record.slot == slot).then_some((record.table, record.new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_name: &str, type_oid: u32) -> Column {
        let (name, type_name) = (name.to_owned(), type_name.to_owned());
        Column { name, type_name, type_oid, type_modifier: -1, key: false, nullable: true }
    }

    #[test]
    fn what_was_told_is_read_back() {
        let (old, new) =
            ([column("a", "integer", 23)], [column("a", "bigint", 20), column("b", "text", 25)]);
        let record = ColumnsRecord {
            table: "public.t",
            pipeline: "p",
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
            r#"{"table":"public.t","pipeline":"p","slot":"s","epoch":0,"position":"0/1#2","xid":7,"commit_time_us":8,"kind":"changed","old":[{"name":"a","type":"integer","oid":23,"modifier":-1,"key":false,"nullable":true}],"new":[{"name":"a","type":"bigint","oid":20,"modifier":-1,"key":false,"nullable":true},{"name":"b","type":"text","oid":25,"modifier":-1,"key":false,"nullable":true}]}"#
        );
        let schema = include_str!("../schemas/schema-change.schema.json");
        let schema = serde_json::from_str(schema).unwrap();
        for old in [None, record.old] {
            let record = serde_json::to_value(ColumnsRecord { old, ..record }).unwrap();
            jsonschema::validate(&schema, &record).unwrap();
        }
        assert_eq!(read(&json, ("p", "s")), Some(("public.t".to_owned(), new.to_vec())));
        assert_eq!(read(&json, ("p", "other")), None);
        assert_eq!(read(&json, ("other", "s")), None);
        for (end, _) in json.iter().enumerate() {
            assert_eq!(read(&json[..end], ("p", "s")), None);
        }
        assert_eq!(read(b"\xff{}", ("p", "s")), None);
    }

    #[test]
    fn what_may_be_null_alone_makes_no_other_table() {
        let was = [column("a", "integer", 23), column("b", "text", 25)];
        let mut is = was.clone();
        is[0].nullable = false;
        assert!(Column::are_same(&was, &is));
        is[0].key = true;
        assert!(!Column::are_same(&was, &is));
        assert!(!Column::are_same(&was, &was[..1]));
        assert!(!Column::are_same(&was, &[was[1].clone(), was[0].clone()]));
    }

    #[test]
    fn a_type_is_the_same_by_its_number_or_by_its_name() {
        let mood = [column("a", "mood", 90_001)];
        let renamed = [column("a", "feeling", 90_001)];
        let gone = [column("a", "oid 90001", 90_001)];
        let elsewhere = [column("a", "mood", 16_400)];
        for same in [&renamed, &gone, &elsewhere] {
            assert!(Column::are_same(&mood, same), "{same:?}");
        }
        let mut wider = [column("a", "numeric(12,2)", 1700)];
        wider[0].type_modifier = 786_438;
        let mut narrow = [column("a", "numeric(10,2)", 1700)];
        narrow[0].type_modifier = 655_366;
        assert!(!Column::are_same(&narrow, &wider));
        assert!(!Column::are_same(&mood, &[column("a", "text", 25)]));
    }
}
