//! Reading dead letters.

use std::ops::Range;

use super::error::Error;
use super::parked::ParkedLimits;
use super::reader::TopicReader;
use crate::parked::Letter;

/// The offsets of what each partition of a topic has now; none of one that is not there.
///
/// # Errors
///
/// If Kafka cannot be reached, or refuses.
pub(super) fn offsets(reader: &TopicReader, topic: &str) -> Result<Vec<Range<i64>>, Error> {
    let partitions = reader.partitions(topic)?.unwrap_or_default();
    (0..partitions).map(|partition| reader.offsets(topic, partition)).collect()
}

/// Letters of a partition, at these offsets, not all of them; and the offset from which on nothing was
/// looked at.
///
/// # Errors
///
/// If Kafka cannot be reached, or refuses.
pub(super) fn read(
    reader: &mut TopicReader,
    (topic, partition): (&str, i32),
    offsets: Range<i64>,
    limits: ParkedLimits,
) -> Result<(Vec<Letter>, i64), Error> {
    let (mut letters, mut bytes, mut next) = (Vec::new(), 0, offsets.end);
    reader.seek(topic, partition, offsets)?;
    while let Some(record) = reader.next_record()? {
        let letter = Letter {
            offset: record.offset(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: record.headers(),
        };
        bytes += letter.value.as_ref().map_or(0, Vec::len);
        letters.push(letter);
        if limits.changes <= letters.len() || limits.bytes <= bytes {
            next = record.offset() + 1;
            break;
        }
    }
    Ok((letters, next))
}
