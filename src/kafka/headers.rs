//! The headers of records: where the change came from, and whatever its plan adds.

use std::fmt::Write as _;

use rdkafka::message::{Header, OwnedHeaders};

use crate::batch::{self, Batch, Record};
use crate::checkpoint::Checkpoint;
use crate::position::{Lsn, Xid};

/// Header: the commit LSN of the change's transaction, as PostgreSQL prints it (`16/B374D848`).
pub const COMMIT_LSN: &str = "walbrook.commit_lsn";
/// Header: the change's number in its transaction, decimal, from 1.
pub const ORDINAL: &str = "walbrook.ordinal";
/// Header: the record's number among those of its change, decimal, from 0.
pub const PART: &str = "walbrook.part";
/// Header: the transaction's id, decimal.
pub const XID: &str = "walbrook.xid";
/// Header of the records of a PostgreSQL transaction that was too large for one Kafka
/// transaction: `first`, `middle` or `last`, the piece that the record is in (I9).
pub const CUT: &str = "walbrook.cut";

/// Writes the headers of one batch's records.
#[derive(Debug)]
pub(super) struct HeaderWriter {
    with_position: bool,
    /// The transaction that was cut before this batch.
    cut_before: Option<Lsn>,
    /// The transaction that is cut after this batch.
    cut_after: Option<Lsn>,
    /// The last commit LSN and its text; records of a transaction follow each other.
    commit_lsn: (Lsn, String),
    /// The last xid and its text.
    xid: (Xid, String),
    scratch: String,
}

impl HeaderWriter {
    /// `previous` is the checkpoint before this batch, `next` the one that the batch makes.
    pub(super) fn new(
        with_position: bool,
        batch: &Batch,
        previous: Option<&Checkpoint>,
        next: &Checkpoint,
    ) -> Self {
        let previous = previous.filter(|_| batch.starts_inside);
        Self {
            with_position,
            cut_before: previous.map(|checkpoint| checkpoint.position.commit_lsn),
            cut_after: batch.ends_inside.then_some(next.position.commit_lsn),
            commit_lsn: (Lsn::ZERO, Lsn::ZERO.to_string()),
            xid: (Xid::default(), Xid::default().to_string()),
            scratch: String::new(),
        }
    }

    /// The headers of `record`, whose extra headers are `extra`; `None` when there is none.
    pub(super) fn headers(&mut self, record: &Record, extra: &[u8]) -> Option<OwnedHeaders> {
        let cut = self.cut(record.position.commit_lsn);
        if !self.with_position && cut.is_none() && extra.is_empty() {
            return None;
        }
        // The four of the position, and as many again before the list grows.
        let mut headers = OwnedHeaders::new_with_capacity(8);
        if self.with_position {
            headers = self.position(record, headers);
        }
        if let Some(piece) = cut {
            headers = insert(headers, CUT, Some(piece.as_bytes()));
        }
        Some(
            batch::headers(extra)
                .fold(headers, |headers, (name, value)| insert(headers, name, value)),
        )
    }

    fn position(&mut self, record: &Record, headers: OwnedHeaders) -> OwnedHeaders {
        if self.commit_lsn.0 != record.position.commit_lsn {
            self.commit_lsn = (record.position.commit_lsn, record.position.commit_lsn.to_string());
        }
        if self.xid.0 != record.xid {
            self.xid = (record.xid, record.xid.to_string());
        }
        let headers = insert(headers, COMMIT_LSN, Some(self.commit_lsn.1.as_bytes()));
        let headers = insert(headers, ORDINAL, Some(self.decimal(record.position.ordinal)));
        let headers = insert(headers, PART, Some(self.decimal(record.part.into())));
        insert(headers, XID, Some(self.xid.1.as_bytes()))
    }

    fn decimal(&mut self, number: u64) -> &[u8] {
        self.scratch.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.scratch, "{number}");
        self.scratch.as_bytes()
    }

    /// Which piece of a cut transaction a record of `commit_lsn` is in.
    fn cut(&self, commit_lsn: Lsn) -> Option<&'static str> {
        match (self.cut_before == Some(commit_lsn), self.cut_after == Some(commit_lsn)) {
            (false, false) => None,
            (false, true) => Some("first"),
            (true, true) => Some("middle"),
            (true, false) => Some("last"),
        }
    }
}

fn insert(headers: OwnedHeaders, key: &str, value: Option<&[u8]>) -> OwnedHeaders {
    headers.insert(Header { key, value })
}
