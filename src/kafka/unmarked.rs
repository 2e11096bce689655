//! Records of our transactions that the brokers have left undecided.
//!
//! Once our producer is initialised, every transaction of ours before it is decided, and each of
//! its partitions has the mark that says how. But Kafka 4.3.1 leaves out a partition that has no
//! leader at that moment (KAFKA-20734). Its records stay undecided until the next mark of the same
//! producer, which then decides them, too: the records of an aborted transaction, which are written
//! again, would be committed with those, and be there twice. So a session looks at a topic before
//! it writes to it.
//!
//! Source: <https://issues.apache.org/jira/browse/KAFKA-20734>

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Consumer, Producer, Readers};
use super::error::{Error, Origin};
use super::recovery::{is_of_group, is_passing};
use super::sink::SinkConfig;
use super::{Deadline, POSITION, REQUEST_TIMEOUT, SLICE, topics};
use crate::position::Position;

/// How often undecided offsets are looked at again.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// A partition that is undecided from an offset on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmarked {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that is undecided.
    pub offset: i64,
}

/// Waits until nothing in `topics` is undecided that was written before.
///
/// What stays undecided for `recovery_timeout` and is not ours, or is known to be committed (it is
/// not behind `last`, the position of the recovered checkpoint), is no reason not to go on: our next
/// commit marks it as what it is.
///
/// # Errors
///
/// [`Error::Unmarked`], or if Kafka cannot be reached or refuses.
pub(super) fn wait(
    config: &SinkConfig,
    producer: &Producer,
    readers: &Readers,
    topics: &[&str],
    last: Option<Position>,
) -> Result<(), Error> {
    let mut partitions = TopicPartitionList::new();
    for topic in topics {
        let origin = client::origin(&config.kafka, "looking for a topic").on(topic);
        let shape = topics::describe(producer, origin, topic)?;
        for partition in 0..shape.map_or(0, |shape| shape.partitions) {
            partitions.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
        }
    }
    if partitions.count() == 0 {
        // Gone: to write to it says so.
        return Ok(());
    }
    let look = Look { config, readers };
    let ends = look.ends(&readers.all, &partitions)?;
    let deadline = Deadline::after(config.kafka.recovery_timeout);
    loop {
        let stable = look.ends(&readers.committed, &partitions)?;
        let undecided = undecided(&stable, &ends);
        if undecided.is_empty() {
            return Ok(());
        }
        let Some(step) = deadline.slice(WAIT_STEP) else {
            return look.judge(undecided, last, deadline.elapsed());
        };
        // Nothing is assigned: this waits, and serves the client.
        let _ = readers.committed.poll(step);
    }
}

/// Where the stable offset has not reached the end.
fn undecided(stable: &TopicPartitionList, ends: &TopicPartitionList) -> Vec<Unmarked> {
    let mut found = Vec::new();
    for stable in stable.elements() {
        let (topic, partition) = (stable.topic(), stable.partition());
        let end = ends.find_partition(topic, partition).map(|end| end.offset());
        if let (Offset::Offset(offset), Some(Offset::Offset(end))) = (stable.offset(), end)
            && offset < end
        {
            found.push(Unmarked { topic: topic.to_owned(), partition, offset });
        }
    }
    found
}

struct Look<'a> {
    config: &'a SinkConfig,
    readers: &'a Readers,
}

impl Look<'_> {
    /// The offset behind the last record of each partition that `consumer` may see.
    fn ends(
        &self,
        consumer: &Consumer,
        partitions: &TopicPartitionList,
    ) -> Result<TopicPartitionList, Error> {
        let doing = "asking for the offsets of topics";
        let deadline = Deadline::after(REQUEST_TIMEOUT);
        loop {
            // Hands out the client's events: its errors, its wish for a token.
            let _ = consumer.poll(Duration::ZERO);
            let Some(slice) = deadline.slice(SLICE) else {
                return Err(consumer.context().unanswered(doing, deadline.elapsed()));
            };
            let mut asked = partitions.clone();
            // In place of a time, for which this request is: the end.
            let answer = asked
                .set_all_offsets(Offset::End)
                .and_then(|()| consumer.offsets_for_times(asked, slice))
                .and_then(|answer| {
                    answer.elements().iter().try_for_each(|element| element.error())?;
                    Ok(answer)
                });
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if is_passing(&error) => {
                    let _ = consumer.poll(WAIT_STEP);
                    if let Some(refused) = consumer.context().refused() {
                        return Err(refused);
                    }
                }
                Err(error) => return Err(self.origin(doing, "").error(error)),
            }
        }
    }

    /// What it means that these partitions stay undecided.
    fn judge(
        &self,
        undecided: Vec<Unmarked>,
        last: Option<Position>,
        waited: Duration,
    ) -> Result<(), Error> {
        let mut aborted = Vec::new();
        for partition in undecided {
            let position = self.position(&partition)?;
            let is_ours = position.is_some() || !self.config.position_headers;
            if is_ours && position.is_none_or(|position| last < Some(position)) {
                aborted.push(partition);
            } else {
                let Unmarked { topic, partition, offset } = partition;
                tracing::warn!(
                    topic,
                    partition,
                    offset,
                    "a transaction has not ended, readers of committed records wait for it; it is not ours, or our next commit ends it"
                );
            }
        }
        if !aborted.is_empty() {
            return Err(Error::Unmarked { aborted, waited });
        }
        let resting = self.readers.rest();
        resting.map_err(|error| self.origin("leaving a topic", "").error(error))
    }

    /// The position of the first undecided record, if it says one.
    fn position(&self, first: &Unmarked) -> Result<Option<Position>, Error> {
        let Unmarked { topic, partition, offset } = first;
        let doing = "reading a record that is undecided";
        let fail = |error| self.origin(doing, topic).error(error);
        let reader = &self.readers.all;
        let mut assignment = TopicPartitionList::with_capacity(1);
        assignment
            .add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .and_then(|()| reader.assign(&assignment))
            .map_err(fail)?;
        let deadline = Deadline::after(REQUEST_TIMEOUT);
        loop {
            let Some(slice) = deadline.slice(SLICE) else {
                return Err(reader.context().unanswered(doing, deadline.elapsed()));
            };
            match reader.poll(slice) {
                None => {}
                Some(Ok(record)) => {
                    let headers = record.headers();
                    let mut headers = headers.iter().flat_map(|headers| headers.iter());
                    let header = headers.find(|header| header.key == POSITION);
                    return Ok(header.and_then(|header| parse(header.value?)));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(error)) if is_passing(&error) || is_of_group(&error) => {
                    if let Some(refused) = reader.context().refused() {
                        return Err(refused);
                    }
                }
                Some(Err(error)) => return Err(fail(error)),
            }
        }
    }

    fn origin<'o>(&'o self, doing: &'static str, topic: &'o str) -> Origin<'o> {
        Origin { operation: "READ", ..client::origin(&self.config.kafka, doing).on(topic) }
    }
}

/// The position in a header: `16/B374D848#12.0` without the part.
fn parse(header: &[u8]) -> Option<Position> {
    let (position, _part) = std::str::from_utf8(header).ok()?.rsplit_once('.')?;
    position.parse().ok()
}
