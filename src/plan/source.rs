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
use crate::encode::avro;
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

/// The parts of the block that do not change from row to row, as Avro.
#[derive(Debug)]
pub(super) struct Source {
    /// `version`, `connector`, `name`.
    head: Vec<u8>,
    /// `snapshot`, `db`, and the branch of `sequence`.
    database: Vec<u8>,
    /// `schema`, `table`.
    table: Vec<u8>,
}

/// The branch of `["null", T]` that is null.
const NULL: u8 = 0;
/// The branch of `["null", T]` that is T: index 1.
const SOME: u8 = 2;
/// The branch of `[T, "null"]` that is T: index 0.
const FIRST: u8 = 0;

impl Source {
    pub(super) fn new(prefix: &str, database: &str, namespace: &str, table: &str) -> Self {
        let mut head = Vec::new();
        for text in [env!("CARGO_PKG_VERSION"), "postgresql", prefix] {
            avro::string(text, &mut head);
        }
        let mut source = Self { head, database: vec![FIRST], table: Vec::new() };
        avro::string("false", &mut source.database);
        avro::string(database, &mut source.database);
        source.database.push(SOME);
        avro::string(namespace, &mut source.table);
        avro::string(table, &mut source.table);
        source
    }

    /// Writes everything of the envelope that follows `after`.
    pub(super) fn write(
        &self,
        operation: Operation,
        change: &Change<'_>,
        now_us: i64,
        out: &mut Vec<u8>,
    ) {
        let commit_us = change.xact.commit_time_us;
        out.extend_from_slice(&self.head);
        avro::long(commit_us.div_euclid(1_000), out);
        out.extend_from_slice(&self.database);
        write_sequence(out, change.xact.previous_commit_lsn, change.lsn);
        write_some_long(out, commit_us);
        write_some_long(out, commit_us.saturating_mul(1_000));
        out.extend_from_slice(&self.table);
        write_some_long(out, i64::from(change.xact.xid.0));
        write_some_long(out, change.lsn.0.cast_signed());
        // xmin, origin, origin_lsn, and the block `transaction`.
        out.extend_from_slice(&[NULL; 4]);
        out.extend_from_slice(operation.avro());
        write_some_long(out, now_us.div_euclid(1_000));
        write_some_long(out, now_us);
        write_some_long(out, now_us.saturating_mul(1_000));
    }
}

impl Operation {
    /// `op` as an Avro string of one character.
    fn avro(self) -> &'static [u8] {
        match self {
            Self::Create => b"\x02c",
            Self::Delete => b"\x02d",
            Self::Truncate => b"\x02t",
            Self::Update => b"\x02u",
        }
    }
}

fn write_some_long(out: &mut Vec<u8>, value: i64) {
    out.push(SOME);
    avro::long(value, out);
}

/// `["<commit LSN before>","<LSN>"]` in decimal; null for a commit LSN that is not known.
fn write_sequence(out: &mut Vec<u8>, previous: Lsn, lsn: Lsn) {
    let Ok(()) = avro::length_prefixed::<Infallible>(out, |out| {
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
