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
    /// There is no row, as a snapshot shows.
    Absent,
    Create,
    Delete,
    Read,
    Truncate,
    Update,
}

impl From<Operation> for batch::Operation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Create => Self::Create,
            Operation::Absent | Operation::Delete => Self::Delete,
            Operation::Read => Self::Read,
            Operation::Truncate => Self::Truncate,
            Operation::Update => Self::Update,
        }
    }
}

/// The longer parts of the block that do not change from row to row, in the value's notation.
#[derive(Debug)]
pub(super) struct Source {
    /// Up to `name`.
    head: Vec<u8>,
    /// `snapshot`, `db`.
    database: Vec<u8>,
    /// The same for a row of a snapshot.
    read_database: Vec<u8>,
    /// `schema`, `table`.
    table: Vec<u8>,
    /// What the rows of the chunk that is being written have in common: all that follows `after`.
    read: Vec<u8>,
    /// By what it would be another.
    read_of: Option<ReadOf>,
}

/// What the common part of a chunk's rows depends on: LSN, commit LSN before, commit time, now.
type ReadOf = (Lsn, Lsn, i64, i64);

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
        let database = |snapshot| {
            let mut out = Vec::new();
            E::field("snapshot", &mut out);
            out.extend_from_slice(first_branch);
            E::string(snapshot, &mut out);
            string("db", place.database, &mut out);
            out
        };
        let (mut head, mut table) = (Vec::new(), Vec::new());
        E::field("source", &mut head);
        E::record(&mut head);
        string("version", env!("CARGO_PKG_VERSION"), &mut head);
        string("connector", "postgresql", &mut head);
        string("name", place.prefix, &mut head);
        string("schema", place.namespace, &mut table);
        string("table", place.table, &mut table);
        let (read, read_of) = (Vec::new(), None);
        let (database, read_database) = (database("false"), database("incremental"));
        Self { head, database, read_database, table, read, read_of }
    }

    /// Writes down what a row of a snapshot has in common with those of its chunk, unless the row
    /// before was of the same.
    pub(super) fn prepare_read<E: Encoding>(&mut self, change: &Change<'_>, now_us: i64) {
        let Change { lsn, xact, .. } = change;
        let read_of = Some((*lsn, xact.previous_commit_lsn, xact.commit_time_us, now_us));
        if self.read_of != read_of {
            let mut read = std::mem::take(&mut self.read);
            read.clear();
            self.write_all::<E>(Operation::Read, change, now_us, &mut read);
            (self.read, self.read_of) = (read, read_of);
        }
    }

    /// Writes everything of the envelope that follows `after`; of a row of a snapshot what
    /// [`prepare_read`](Self::prepare_read) has written down.
    pub(super) fn write<E: Encoding>(
        &self,
        operation: Operation,
        change: &Change<'_>,
        now_us: i64,
        out: &mut Vec<u8>,
    ) {
        match operation {
            Operation::Read => out.extend_from_slice(&self.read),
            _ => self.write_all::<E>(operation, change, now_us, out),
        }
    }

    fn write_all<E: Encoding>(
        &self,
        operation: Operation,
        change: &Change<'_>,
        now_us: i64,
        out: &mut Vec<u8>,
    ) {
        let commit_us = change.xact.commit_time_us;
        out.extend_from_slice(&self.head);
        E::field("ts_ms", out);
        E::long(commit_us.div_euclid(1_000), out);
        let is_read = matches!(operation, Operation::Absent | Operation::Read);
        out.extend_from_slice(if is_read { &self.read_database } else { &self.database });
        write_sequence::<E>(out, change.xact.previous_commit_lsn, change.lsn);
        write_some::<E>("ts_us", commit_us, out);
        write_some::<E>("ts_ns", commit_us.saturating_mul(1_000), out);
        out.extend_from_slice(&self.table);
        match is_read {
            true => write_null::<E>("txId", out),
            false => write_some::<E>("txId", i64::from(change.xact.xid.0), out),
        }
        write_some::<E>("lsn", change.lsn.0.cast_signed(), out);
        write_null::<E>("xmin", out);
        write_null::<E>("origin", out);
        write_null::<E>("origin_lsn", out);
        E::record_end(out);
        write_null::<E>("transaction", out);
        E::field("op", out);
        E::string(operation.name(), out);
        write_some::<E>("ts_ms", now_us.div_euclid(1_000), out);
        write_some::<E>("ts_us", now_us, out);
        write_some::<E>("ts_ns", now_us.saturating_mul(1_000), out);
    }
}

fn write_some<E: Encoding>(name: &str, value: i64, out: &mut Vec<u8>) {
    E::field(name, out);
    E::some(out);
    E::long(value, out);
}

fn write_null<E: Encoding>(name: &str, out: &mut Vec<u8>) {
    E::field(name, out);
    E::null(out);
}

impl Operation {
    /// `op`.
    fn name(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Absent | Self::Delete => "d",
            Self::Read => "r",
            Self::Truncate => "t",
            Self::Update => "u",
        }
    }
}

/// `["<commit LSN before>","<LSN>"]` in decimal; null for a commit LSN that is not known.
fn write_sequence<E: Encoding>(out: &mut Vec<u8>, previous: Lsn, lsn: Lsn) {
    E::field("sequence", out);
    E::some(out);
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
