//! Reading back what was told of tables' columns: the last record of each.

use std::collections::BTreeMap;

use super::error::Error;
use super::reader::TopicReader;
use super::recovery::PARTITION;
use crate::columns::{self, Told};
use crate::config::Kafka;

/// What a pipeline has told last of each table, once all of the topic is decided. It is read whole: tables
/// change seldom, and nothing else says where a table was told of last.
pub(super) fn read(config: &Kafka, topic: &str, of: (&str, &str)) -> Result<Vec<Told>, Error> {
    let mut reader = TopicReader::new(config)?;
    let offsets = reader.offsets(topic, PARTITION)?;
    reader.seek(topic, PARTITION, offsets)?;
    let mut told = BTreeMap::new();
    while let Some(record) = reader.next_record()? {
        told.extend(record.value().and_then(|value| columns::read(value, of)));
    }
    Ok(told.into_iter().collect())
}
