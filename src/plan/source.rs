//! Debezium's `source` block and the fields around it, written from parts prepared once.
//!
//! ```text
//! before │ after │ source: head, ts_ms, database, sequence, ts_us, ts_ns, table, txId, lsn, tail
//!        │ transaction │ op │ ts_ms │ ts_us │ ts_ns
//! ```
//!
//! Source: <https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-create-events>

use std::convert::Infallible;

use crate::batch;
use crate::change::Change;
use crate::encode::avro::Avro;
use crate::encode::json::Json;
use crate::encode::{Encoding, Notation};
use crate::position::Lsn;

/// What happened, as Debezium's `op` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Delete,
    Truncate,
    Update,
}

impl From<Operation> for batch::Operation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Create => Self::Create,
            Operation::Delete => Self::Delete,
            Operation::Truncate => Self::Truncate,
            Operation::Update => Self::Update,
        }
    }
}

/// What of the block, and of the fields around it, does not change from row to row, in the value's
/// notation. What does change goes between them.
#[derive(Debug)]
pub(super) struct Source {
    /// `version`, `connector`, `name`.
    head: Vec<u8>,
    /// `snapshot`, `db`.
    database: Vec<u8>,
    ts_us: Vec<u8>,
    ts_ns: Vec<u8>,
    /// `schema`, `table`.
    table: Vec<u8>,
    lsn: Vec<u8>,
    /// `xmin`, `origin`, `origin_lsn`, and the block `transaction`.
    tail: Vec<u8>,
    /// `ts_ms` of the envelope; the others have the names of those in the block.
    ts_ms: Vec<u8>,
}

/// What `source` says of where a table is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) prefix: &'a str,
    pub(super) database: &'a str,
    pub(super) namespace: &'a str,
    pub(super) table: &'a str,
}

impl Source {
    pub(super) fn new(place: Place<'_>, notation: Notation) -> Self {
        match notation {
            // `snapshot` is `[T, "null"]`, of which T is the first branch.
            Notation::Avro => Self::of::<Avro>(place, &[0]),
            Notation::Json => Self::of::<Json>(place, &[]),
        }
    }

    fn of<E: Encoding>(place: Place<'_>, first_branch: &[u8]) -> Self {
        let string = |name, value: &str, out: &mut Vec<u8>| {
            E::field(name, out);
            E::string(value, out);
        };
        let some = |name| {
            let mut out = Vec::new();
            E::field(name, &mut out);
            E::some(&mut out);
            out
        };
        let mut head = Vec::new();
        E::field("source", &mut head);
        E::record(&mut head);
        string("version", env!("CARGO_PKG_VERSION"), &mut head);
        string("connector", "postgresql", &mut head);
        string("name", place.prefix, &mut head);
        E::field("ts_ms", &mut head);
        let mut database = Vec::new();
        E::field("snapshot", &mut database);
        database.extend_from_slice(first_branch);
        E::string("false", &mut database);
        string("db", place.database, &mut database);
        database.extend(some("sequence"));
        let mut table = Vec::new();
        string("schema", place.namespace, &mut table);
        string("table", place.table, &mut table);
        table.extend(some("txId"));
        let mut tail = Vec::new();
        for name in ["xmin", "origin", "origin_lsn"] {
            E::field(name, &mut tail);
            E::null(&mut tail);
        }
        E::record_end(&mut tail);
        E::field("transaction", &mut tail);
        E::null(&mut tail);
        E::field("op", &mut tail);
        let [ts_ms, ts_us, ts_ns] = ["ts_ms", "ts_us", "ts_ns"].map(some);
        Self { head, database, ts_us, ts_ns, table, lsn: some("lsn"), tail, ts_ms }
    }

    /// Writes everything of the envelope that follows `after`.
    pub(super) fn write<E: Encoding>(
        &self,
        operation: Operation,
        change: &Change<'_>,
        now_us: i64,
        out: &mut Vec<u8>,
    ) {
        let long = |head: &[u8], value, out: &mut Vec<u8>| {
            out.extend_from_slice(head);
            E::long(value, out);
        };
        let commit_us = change.xact.commit_time_us;
        long(&self.head, commit_us.div_euclid(1_000), out);
        out.extend_from_slice(&self.database);
        write_sequence::<E>(out, change.xact.previous_commit_lsn, change.lsn);
        long(&self.ts_us, commit_us, out);
        long(&self.ts_ns, commit_us.saturating_mul(1_000), out);
        long(&self.table, i64::from(change.xact.xid.0), out);
        long(&self.lsn, change.lsn.0.cast_signed(), out);
        out.extend_from_slice(&self.tail);
        E::string(operation.name(), out);
        long(&self.ts_ms, now_us.div_euclid(1_000), out);
        long(&self.ts_us, now_us, out);
        long(&self.ts_ns, now_us.saturating_mul(1_000), out);
    }
}

impl Operation {
    /// `op`.
    fn name(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Delete => "d",
            Self::Truncate => "t",
            Self::Update => "u",
        }
    }
}

/// `["<commit LSN before>","<LSN>"]` in decimal; null for a commit LSN that is not known.
fn write_sequence<E: Encoding>(out: &mut Vec<u8>, previous: Lsn, lsn: Lsn) {
    let Ok(()) = E::string_of::<Infallible>(out, |out| {
        out.push(b'[');
        if previous == Lsn::ZERO {
            out.extend_from_slice(b"null");
        } else {
            write_quoted(previous, out);
        }
        out.push(b',');
        write_quoted(lsn, out);
        out.push(b']');
        Ok(())
    });
}

fn write_quoted(Lsn(value): Lsn, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'"');
}
