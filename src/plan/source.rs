//! Debezium's `source` block and the fields around it, written from parts prepared once.
//!
//! ```text
//! before │ after │ source: version … db, sequence ["…","LSN"], ts_us … txId, lsn LSN, xmin …
//!                  ╰──── to_sequence ────╯╰sequence╯        ╰─── to_lsn ───╯   ╰── to_op ─▶
//!        │ transaction │ op OP │ ts_ms │ ts_us │ ts_ns
//!        ──────────────────╯   ╰──────── rest ────────╯
//! ```
//!
//! Source: <https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-create-events>

use std::convert::Infallible;

use crate::batch;
use crate::change::Xact;
use crate::encode::avro::Avro;
use crate::encode::json::Json;
use crate::encode::{Encoding, Notation};
use crate::position::{Lsn, Xid};

/// What happened, as Debezium's `op` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
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
            Operation::Delete => Self::Delete,
            Operation::Read => Self::Read,
            Operation::Truncate => Self::Truncate,
            Operation::Update => Self::Update,
        }
    }
}

/// The block of one table, in the value's notation.
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
    common: Common,
}

/// What the changes of a transaction have in common, or the rows of a chunk: all but each one's LSN and
/// what happened.
#[derive(Debug, Default)]
struct Common {
    /// `None` before the first.
    of: Option<CommonOf>,
    to_sequence: Vec<u8>,
    /// Its first LSN, which is that of the commit before.
    sequence: Vec<u8>,
    to_lsn: Vec<u8>,
    to_op: Vec<u8>,
    rest: Vec<u8>,
}

/// By what it would be another.
#[derive(Debug, PartialEq, Eq)]
struct CommonOf {
    is_read: bool,
    xid: Xid,
    previous_commit_lsn: Lsn,
    commit_time_us: i64,
    now_us: i64,
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
        let (database, read_database) = (database("false"), database("incremental"));
        Self { head, database, read_database, table, common: Common::default() }
    }

    /// Writes down what the changes of a transaction or chunk have in common, unless it was of the one
    /// before.
    pub(super) fn prepare<E: Encoding>(&mut self, is_read: bool, xact: &Xact, now_us: i64) {
        let Xact { xid, commit_time_us, previous_commit_lsn, .. } = *xact;
        let of = Some(CommonOf { is_read, xid, previous_commit_lsn, commit_time_us, now_us });
        if self.common.of == of {
            return;
        }
        let Self { head, database, read_database, table, common } = self;
        common.of = of;
        let Common { to_sequence, sequence, to_lsn, to_op, rest, .. } = common;
        for part in [&mut *to_sequence, sequence, to_lsn, to_op, rest] {
            part.clear();
        }
        to_sequence.extend_from_slice(head);
        E::field("ts_ms", to_sequence);
        E::long(commit_time_us.div_euclid(1_000), to_sequence);
        to_sequence.extend_from_slice(if is_read { read_database } else { database });
        E::field("sequence", to_sequence);
        E::some(to_sequence);
        begin_sequence(previous_commit_lsn, sequence);
        write_some::<E>("ts_us", commit_time_us, to_lsn);
        write_some::<E>("ts_ns", commit_time_us.saturating_mul(1_000), to_lsn);
        to_lsn.extend_from_slice(table);
        match is_read {
            true => write_null::<E>("txId", to_lsn),
            false => write_some::<E>("txId", i64::from(xid.0), to_lsn),
        }
        E::field("lsn", to_lsn);
        E::some(to_lsn);
        write_null::<E>("xmin", to_op);
        write_null::<E>("origin", to_op);
        write_null::<E>("origin_lsn", to_op);
        E::record_end(to_op);
        write_null::<E>("transaction", to_op);
        E::field("op", to_op);
        write_some::<E>("ts_ms", now_us.div_euclid(1_000), rest);
        write_some::<E>("ts_us", now_us, rest);
        write_some::<E>("ts_ns", now_us.saturating_mul(1_000), rest);
    }

    /// Writes everything of the envelope that follows `after`, of the transaction or chunk that was
    /// [prepared](Self::prepare) last.
    pub(super) fn write<E: Encoding>(&self, operation: Operation, lsn: Lsn, out: &mut Vec<u8>) {
        let Common { to_sequence, sequence, to_lsn, to_op, rest, .. } = &self.common;
        out.extend_from_slice(to_sequence);
        let Ok(()) = E::string_of::<Infallible>(out, |out| {
            out.extend_from_slice(sequence);
            write_quoted(lsn, out);
            out.push(b']');
            Ok(())
        });
        out.extend_from_slice(to_lsn);
        E::long(lsn.0.cast_signed(), out);
        out.extend_from_slice(to_op);
        E::string(operation.name(), out);
        out.extend_from_slice(rest);
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
            Self::Delete => "d",
            Self::Read => "r",
            Self::Truncate => "t",
            Self::Update => "u",
        }
    }
}

/// `["<commit LSN before>","<LSN>"]` in decimal, up to the second one; null for a commit LSN that is not
/// known.
fn begin_sequence(previous: Lsn, out: &mut Vec<u8>) {
    out.push(b'[');
    if previous == Lsn::ZERO {
        out.extend_from_slice(b"null");
    } else {
        write_quoted(previous, out);
    }
    out.push(b',');
}

fn write_quoted(Lsn(value): Lsn, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'"');
}
