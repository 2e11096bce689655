//! Records of our transactions that the brokers have left undecided.
//!
//! Once our producer is initialised, every transaction of ours before it is decided, and each of
//! its partitions has the mark that says how. But Kafka (4.3.1, 4.4.0) leaves out a partition that
//! has no leader at that moment (KAFKA-20734). Its records stay undecided until the next mark of
//! the same producer, which then decides them, too: the records of an aborted transaction, which
//! are written again, would be committed with those, and be there twice. So a session looks at a
//! topic before it writes to it, and the sink marks what it finds: it writes there, and aborts that.
//!
//! Source: <https://issues.apache.org/jira/browse/KAFKA-20734>

use std::collections::HashSet;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Consumer, Readers};
use super::error::{Error, Origin, code_of};
use super::recovery::is_of_group;
use super::sink::SinkConfig;
use super::{Deadline, POSITION, REQUEST_TIMEOUT};
use crate::batch::{Batch, TopicId};
use crate::position::Position;

/// As long as that what is undecided may become decided by itself: a transaction of somebody else,
/// a replica that is behind.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked at meanwhile, and how long a broker that does not answer is left alone.
const WAIT_STEP: Duration = Duration::from_millis(50);

/// How long one answer may take before it is asked for again.
const ANSWER: Duration = Duration::from_secs(2);

/// What a topic holds that nobody has decided.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing, or nothing that our next mark could decide wrongly.
    Decided,
    /// The topic does not exist, or not yet where it was looked for.
    Missing,
    /// Records behind the checkpoint, the first of each partition: if they are ours, they were
    /// aborted.
    Undecided(Vec<OwnedMessage>),
}

/// The topics of a batch that are not among `decided`.
pub(super) fn fresh<'b>(batch: &'b Batch, decided: &HashSet<String>) -> Vec<&'b str> {
    let mut fresh = Vec::new();
    let mut is_met = vec![false; batch.topics.len()];
    for TopicId(id) in batch.records().iter().map(|record| record.topic) {
        let met = usize::try_from(id).ok().and_then(|id| is_met.get_mut(id));
        if met.is_some_and(|met| !std::mem::replace(met, true))
            && let Some(name) = batch.topics.name(TopicId(id))
            && !decided.contains(name)
            && !fresh.contains(&name)
        {
            fresh.push(name);
        }
    }
    fresh
}

/// Looks at a topic. `recovered` is the epoch and the position of the checkpoint that the session began with: what
/// is not behind it is committed.
///
/// # Errors
///
/// [`Error::Undecided`], or if Kafka cannot be reached or refuses.
pub(super) fn look(
    config: &SinkConfig,
    readers: &Readers,
    topic: &str,
    recovered: Option<(u32, Position)>,
) -> Result<Found, Error> {
    let look = Look { config, readers, topic };
    let Some(mut partitions) = look.partitions()? else { return Ok(Found::Missing) };
    let ends = look.ends(&readers.all, &partitions)?;
    // What says no position cannot be told from ours: a longer wait may save that question.
    let patience = if config.position_headers { PATIENCE } else { config.kafka.recovery_timeout };
    let patience = Deadline::after(patience);
    loop {
        let stable = look.ends(&readers.committed, &partitions)?;
        partitions = undecided(&stable, &ends);
        if partitions.count() == 0 {
            return Ok(Found::Decided);
        }
        let Some(step) = patience.slice(WAIT_STEP) else { break };
        // Nothing is assigned: this waits, and serves the client.
        let _ = readers.committed.poll(step);
    }
    let mut aborted = Vec::new();
    for first in partitions.elements() {
        let (partition, offset) = (first.partition(), first.offset());
        aborted.extend(look.judge(partition, offset, recovered)?);
    }
    let rest = readers.rest();
    rest.map_err(|error| look.origin("leaving a topic").error(error))?;
    Ok(if aborted.is_empty() { Found::Decided } else { Found::Undecided(aborted) })
}

/// The partitions whose stable offset has not reached the end, with that offset.
fn undecided(stable: &TopicPartitionList, ends: &TopicPartitionList) -> TopicPartitionList {
    let mut found = TopicPartitionList::new();
    for stable in stable.elements() {
        let (topic, partition) = (stable.topic(), stable.partition());
        let end = ends.find_partition(topic, partition).map(|end| end.offset());
        if let (Offset::Offset(offset), Some(Offset::Offset(end))) = (stable.offset(), end)
            && offset < end
        {
            // Fails for no offset that is one.
            let _ = found.add_partition_offset(topic, partition, stable.offset());
        }
    }
    found
}

struct Look<'a> {
    config: &'a SinkConfig,
    readers: &'a Readers,
    topic: &'a str,
}

impl Look<'_> {
    /// The topic's partitions; `None` if it does not exist.
    fn partitions(&self) -> Result<Option<TopicPartitionList>, Error> {
        let doing = "looking for a topic";
        let reader = &self.readers.all;
        let answer = self.ask(reader, doing, || reader.fetch_metadata(Some(self.topic), ANSWER))?;
        let found = answer.topics().iter().find(|found| found.name() == self.topic);
        let is_there =
            |found: &&MetadataTopic| found.error().is_none() && !found.partitions().is_empty();
        Ok(found.filter(is_there).map(|found| {
            let mut partitions = TopicPartitionList::with_capacity(found.partitions().len());
            for partition in found.partitions() {
                partitions.add_partition(self.topic, partition.id());
            }
            partitions
        }))
    }

    /// The offset behind the last record of each partition that `reader` may see.
    fn ends(
        &self,
        reader: &Consumer,
        partitions: &TopicPartitionList,
    ) -> Result<TopicPartitionList, Error> {
        self.ask(reader, "asking for the offsets of a topic", || {
            let mut asked = partitions.clone();
            // In place of a time, for which this request is: the end.
            asked.set_all_offsets(Offset::End)?;
            let answer = reader.offsets_for_times(asked, ANSWER)?;
            answer.elements().iter().try_for_each(|element| element.error())?;
            Ok(answer)
        })
    }

    /// Asks until there is an answer; what a broker says of a partition mostly passes.
    fn ask<T>(
        &self,
        reader: &Consumer,
        doing: &'static str,
        request: impl Fn() -> Result<T, KafkaError>,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(REQUEST_TIMEOUT);
        loop {
            // Hands out the client's events: its errors, its wish for a token.
            let _ = reader.poll(Duration::ZERO);
            let error = match request() {
                Ok(answer) => {
                    reader.context().on_answer();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let origin = self.origin(doing);
            if let Some(refused) =
                reader.context().refused().or_else(|| origin.known(code_of(&error)))
            {
                return Err(refused);
            }
            tracing::debug!(doing, topic = self.topic, %error, "asking again");
            let Some(step) = deadline.slice(WAIT_STEP) else { return Err(origin.error(error)) };
            let _ = reader.poll(step);
            // Or a leader that has changed would not be noticed.
            let _ = reader.fetch_metadata(Some(self.topic), ANSWER);
        }
    }

    /// The first undecided record of a partition, if it may be of a transaction of ours that was
    /// aborted.
    fn judge(
        &self,
        partition: i32,
        offset: Offset,
        recovered: Option<(u32, Position)>,
    ) -> Result<Option<OwnedMessage>, Error> {
        let topic = self.topic;
        let undecided = |reason| Error::Undecided { topic: topic.to_owned(), partition, reason };
        let record = match self.read(partition, offset) {
            Err(Error::NotPermitted { .. }) => {
                return Err(undecided("grant READ on the topic, so that this can be told"));
            }
            record => record?,
        };
        match record.as_ref().and_then(place) {
            Some(place) if recovered < Some(place) => return Ok(record),
            Some((_, position)) => tracing::warn!(
                topic,
                partition,
                %position,
                "what is committed here is not marked as that: readers see it with the next commit to this partition"
            ),
            None if self.config.position_headers => tracing::warn!(
                topic,
                partition,
                "readers of committed records wait for a transaction that is not ours"
            ),
            None => {
                return Err(undecided(
                    "its records say no position (records.position_headers is false)",
                ));
            }
        }
        Ok(None)
    }

    /// The record at an offset, or the first one behind it.
    fn read(&self, partition: i32, offset: Offset) -> Result<Option<OwnedMessage>, Error> {
        let reader = &self.readers.all;
        let doing = "reading a record that is undecided";
        let origin = Origin { operation: "READ", ..self.origin(doing) };
        let fail = |error| origin.error(error);
        let mut assignment = TopicPartitionList::with_capacity(1);
        assignment
            .add_partition_offset(self.topic, partition, offset)
            .and_then(|()| reader.assign(&assignment))
            .map_err(fail)?;
        let deadline = Deadline::after(REQUEST_TIMEOUT);
        loop {
            let Some(slice) = deadline.slice(ANSWER) else {
                return Err(reader.context().unanswered(doing, deadline.elapsed()));
            };
            match reader.poll(slice) {
                Some(Ok(record))
                    if (record.topic(), record.partition()) == (self.topic, partition) =>
                {
                    return Ok(Some(record.detach()));
                }
                None | Some(Ok(_)) => {}
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(error)) if is_of_group(&error) => {}
                Some(Err(error)) => {
                    let known = origin.known(code_of(&error));
                    if let Some(refused) = reader.context().refused().or(known) {
                        return Err(refused);
                    }
                }
            }
        }
    }

    fn origin(&self, doing: &'static str) -> Origin<'_> {
        client::origin(&self.config.kafka, doing).on(self.topic)
    }
}

/// Epoch and position in a record's header: `1:16/B374D848#12.0` without the part.
fn place(record: &OwnedMessage) -> Option<(u32, Position)> {
    let header = record.headers()?.iter().find(|header| header.key == POSITION)?;
    let (position, _part) = std::str::from_utf8(header.value?).ok()?.rsplit_once('.')?;
    let (epoch, position) = position.split_once(':').unwrap_or(("0", position));
    Some((epoch.parse().ok()?, position.parse().ok()?))
}
