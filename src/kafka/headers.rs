//! The headers of records: where the change came from, and whatever its plan adds.

use rdkafka::message::{Header, OwnedHeaders};

use crate::batch::{self, Batch, Record};
use crate::checkpoint::Checkpoint;
use crate::position::{Lsn, Position, Xid};

/// Header: where the record is in the stream, `16/B374D848#12.0`: the commit LSN of its transaction
/// as PostgreSQL prints it, the change's ordinal in that (from 1), and the record's part in the
/// change (from 0). No other record of the data topics has the same. One header, not three: each
/// costs every record two allocations in librdkafka. Where positions have begun again, since a
/// server's LSNs have, the epoch stands before it: `1:0/19A2F40#3.0`. The rows of snapshots have the
/// LSN up to which the stream had come, the ordinal 0, and count as parts.
pub const POSITION: &str = "walbrook.position";
/// Header: the transaction's id, decimal. A row of a snapshot has none.
pub const XID: &str = "walbrook.xid";
/// Header of the records of a PostgreSQL transaction that was cut into several Kafka transactions:
/// `first`, `middle` or `last`, the piece that the record is in (I9).
pub const CUT: &str = "walbrook.cut";

/// Writes the headers of one batch's records.
#[derive(Debug)]
pub(super) struct HeaderWriter {
    with_position: bool,
    epoch: u32,
    /// The transaction that was cut before this batch.
    cut_before: Option<Lsn>,
    /// The transaction that is cut after this batch.
    cut_after: Option<Lsn>,
    /// The last commit LSN; records of a transaction follow each other.
    commit_lsn: Lsn,
    /// The last position as text.
    position: String,
    /// How much of it is the commit LSN.
    commit_lsn_bytes: usize,
    /// The last xid and its text.
    xid: (Xid, String),
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
            epoch: next.epoch,
            cut_before: previous.map(|checkpoint| checkpoint.position.commit_lsn),
            cut_after: batch.ends_inside.then_some(next.position.commit_lsn),
            commit_lsn: Lsn::ZERO,
            position: String::new(),
            commit_lsn_bytes: 0,
            xid: (Xid::default(), Xid::default().to_string()),
        }
    }

    /// The headers of `record`, whose extra headers are `extra`; `None` when there is none.
    pub(super) fn headers(&mut self, record: &Record, extra: &[u8]) -> Option<OwnedHeaders> {
        let cut = self.cut(record.position.commit_lsn);
        if !self.with_position && cut.is_none() && extra.is_empty() {
            return None;
        }
        // Those of the position, and some of the plan's before the list grows.
        let mut headers = OwnedHeaders::new_with_capacity(4);
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
        let Position { commit_lsn, ordinal } = record.position;
        if self.commit_lsn != commit_lsn || self.position.is_empty() {
            self.commit_lsn = commit_lsn;
            self.position = match self.epoch {
                0 => commit_lsn.to_string(),
                epoch => format!("{epoch}:{commit_lsn}"),
            };
            self.commit_lsn_bytes = self.position.len();
        }
        self.position.truncate(self.commit_lsn_bytes);
        self.position.push('#');
        self.position.push_str(itoa::Buffer::new().format(ordinal));
        self.position.push('.');
        self.position.push_str(itoa::Buffer::new().format(record.part));
        let headers = insert(headers, POSITION, Some(self.position.as_bytes()));
        if record.xid == Xid::default() {
            return headers;
        }
        if self.xid.0 != record.xid {
            self.xid = (record.xid, record.xid.to_string());
        }
        insert(headers, XID, Some(self.xid.1.as_bytes()))
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

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::batch::{Operation, TopicId};

    #[test]
    fn from_the_second_epoch_on_it_stands_before_the_position() {
        let golden = include_str!("../../tests/golden/checkpoint/format-1.json");
        let record = |ordinal, part| Record {
            topic: TopicId(0),
            operation: Operation::Create,
            key: None,
            value: None,
            headers: 0..0,
            timestamp_ms: 0,
            position: Position { commit_lsn: Lsn(0x16_B374_D848), ordinal },
            part,
            xid: Xid(741),
        };
        for (epoch, expect) in [(0, "16/B374D848"), (1, "1:16/B374D848"), (27, "27:16/B374D848")] {
            let next = Checkpoint { epoch, ..Checkpoint::from_json(golden.as_bytes()).unwrap() };
            let mut writer = HeaderWriter::new(true, &Batch::default(), None, &next);
            for (ordinal, part) in [(1, 0), (12, 3), (2, 0)] {
                let headers = writer.headers(&record(ordinal, part), &[]).unwrap();
                let found = std::str::from_utf8(headers.get(0).value.unwrap()).unwrap();
                assert_eq!(found, format!("{expect}#{ordinal}.{part}"));
            }
        }
    }
}
