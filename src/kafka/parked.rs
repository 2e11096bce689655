//! Reading what is parked: the changes of one table, among those of others, in pieces that are joined.

use std::ops::Range;

use super::error::Error;
use super::letters;
use super::reader::TopicReader;
use super::recovery::PARTITION;
use crate::config::Kafka;
use crate::parked::{Joiner, Letter};

/// The changes of a table that were found.
#[derive(Clone, Debug, Default)]
pub struct ParkedChanges {
    /// Each with the offset of its first record.
    pub changes: Vec<(i64, Box<[u8]>)>,
    /// The offset from which on nothing was looked at.
    pub next: i64,
    /// Whether that is where the topic ended.
    pub is_end: bool,
}

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
pub struct ParkedLimits {
    /// Changes.
    pub changes: usize,
    /// Their bytes; the last one goes beyond.
    pub bytes: usize,
}

/// Records of other tables that are passed over before an answer is given all the same.
const PASSED_MAX: usize = 100_000;

/// A reader of what is parked.
pub struct ParkedReader {
    topic: String,
    reader: TopicReader,
}

impl ParkedReader {
    /// A reader that has nothing to read yet.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses its options, or a secret cannot be had.
    pub fn new(config: &Kafka) -> Result<Self, Error> {
        Ok(Self { topic: config.parked_topic.clone(), reader: TopicReader::new(config)? })
    }

    /// The offsets of what each partition of a topic of dead letters has now.
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, or refuses.
    pub fn letter_offsets(&self, topic: &str) -> Result<Vec<Range<i64>>, Error> {
        letters::offsets(&self.reader, topic)
    }

    /// Dead letters of a partition at these offsets, not all of them; and the offset from which on nothing
    /// was looked at.
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, or refuses.
    pub fn letters(
        &mut self,
        place: (&str, i32),
        offsets: Range<i64>,
        limits: ParkedLimits,
    ) -> Result<(Vec<Letter>, i64), Error> {
        letters::read(&mut self.reader, place, offsets, limits)
    }

    /// The changes of a table from an offset on, up to the end of what is committed when this is called.
    ///
    /// # Errors
    ///
    /// [`Error::ParkedLost`]; if a record is not readable; if Kafka cannot be reached, or refuses.
    pub fn read(
        &mut self,
        table: &str,
        from: i64,
        limits: ParkedLimits,
    ) -> Result<ParkedChanges, Error> {
        let offsets = self.reader.offsets(&self.topic, PARTITION)?;
        if from < offsets.start {
            let (table, topic) = (table.to_owned(), self.topic.clone());
            return Err(Error::ParkedLost { table, topic, offset: from, low: offsets.start });
        }
        let end = offsets.end;
        let mut found = ParkedChanges { next: from, ..ParkedChanges::default() };
        self.reader.seek(&self.topic, PARTITION, from..end)?;
        let (mut joiner, mut first, mut bytes, mut passed) = (Joiner::default(), from, 0, 0);
        while bytes < limits.bytes && found.changes.len() < limits.changes && passed < PASSED_MAX
            || joiner.is_open()
        {
            let Some(record) = self.reader.next_record()? else {
                found.is_end = true;
                break;
            };
            let offset = record.offset();
            found.next = offset + 1;
            if record.key() != Some(table.as_bytes()) {
                passed += 1;
                continue;
            }
            if !joiner.is_open() {
                first = offset;
            }
            let topic = &self.topic;
            let unusable = |source| Error::Parked {
                topic: topic.clone(),
                partition: PARTITION,
                offset,
                source,
            };
            let value = record.value().unwrap_or_default();
            if let Some(change) = joiner.push(value).map_err(unusable)? {
                bytes += change.len();
                found.changes.push((first, change.into()));
            }
        }
        if found.is_end {
            found.next = found.next.max(end);
        }
        Ok(found)
    }
}
