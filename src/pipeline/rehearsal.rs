//! A rehearsal: the WAL that waits goes the whole way of a run, and nothing comes of it.
//!
//! It differs from a run at its edges only, so that it fails where a run would: the sink throws the
//! batches away, the registry is asked what it would say, the server is told of no confirmation, and
//! nobody is fenced. The slot is held meanwhile.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::attempt::{Attempt, Memory};
use super::supervisor::Ending;
use super::{Error, STOP_LIMIT, Telemetry, join, stop_pair, writer};
use crate::batch::{Batch, Operation, Record};
use crate::checkpoint::Checkpoint;
use crate::columns::Told;
use crate::config::{Config, Kafka, Replication};
use crate::edges::{Class, Receipt, Sink};
use crate::kafka;
use crate::metrics::Metrics;
use crate::parked::Parked;
use crate::position::{Lsn, Position};
use crate::snapshot::Progress;
use crate::status::Status;

/// What a rehearsal has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// All that ends at or before it can be decoded and encoded.
    pub up_to: Lsn,
    /// How many records that makes, with those of a transaction that ends later.
    pub records: usize,
    /// What of them brokers may refuse, by topic.
    pub topics: BTreeMap<String, Extremes>,
    /// The tables that would be parked, and why.
    pub parked: BTreeMap<String, String>,
}

/// The records of a topic that brokers may refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extremes {
    /// The first change that made one without a key.
    pub keyless: Option<Position>,
    /// The change that made the largest, and its bytes of key, value and headers, uncompressed.
    pub largest: Option<(Position, usize)>,
}

/// Decodes and encodes what waits behind `checkpoint`, up to `end` or for so long.
/// [`Verdict::Resume`](super::start::Verdict::Resume) has `checkpoint` and `comes_again`.
///
/// # Errors
///
/// What would end a run, with the position of its change; or if the slot is in use, or a server does
/// not answer.
pub async fn rehearse_stream(
    config: &Config,
    (checkpoint, comes_again): (&Checkpoint, bool),
    end: Lsn,
    limit: Duration,
) -> Result<Rehearsed, Error> {
    // An idle stream says so at once.
    let replication = Replication {
        checkpoint_interval: Duration::from_millis(50),
        ..config.replication.clone()
    };
    let config = &Config { replication, ..config.clone() };
    let (seen, mut watched) = watch::channel(Rehearsed::default());
    // Which are parked decides nothing but what is not encoded.
    let parked = kafka::read_parked(config, checkpoint).unwrap_or_default();
    let discard = Discard { seen, parked, kafka: config.kafka.clone() };
    let (mut writer, thread) = writer::start(discard).map_err(Error::Thread)?;
    let (stopper, mut stop) = stop_pair();
    let stream = async {
        let (metrics, (status, _)) = (Metrics::new(), watch::channel(Status::default()));
        let mut telemetry = Telemetry::new(config, metrics, status);
        let mut memory = Memory::rehearsing(config)?;
        let (mut is_text_forced, mut failed) = (false, None);
        loop {
            let attempt = Attempt {
                config,
                is_text_forced,
                memory: &mut memory,
                writer: &mut writer,
                telemetry: &mut telemetry,
                stop: &mut stop,
            };
            let Err(error) = attempt.rehearse(checkpoint.clone(), comes_again).await else {
                return Ok(());
            };
            match error.ending() {
                Ending::TextMode if !is_text_forced => is_text_forced = true,
                // A run goes on from its new checkpoint, which a rehearsal does not have.
                Ending::Created => return Ok(()),
                // Where no change is named it may be another each time, and pass.
                Ending::Repeatable(fault) if !fault.is_named => return Err(error),
                Ending::Repeatable(fault) if failed != Some(fault) => failed = Some(fault),
                _ => return Err(error.for_good(config).await),
            }
        }
    };
    let enough = async {
        let reached = watched.wait_for(|seen| end <= seen.up_to);
        // What was not reached in time the answer says.
        let _ = tokio::time::timeout(limit, async { reached.await.map(drop) }).await;
        stopper.stop();
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        ended = Box::pin(stream) => ended,
        never = enough => match never {},
    };
    drop(writer);
    join(thread, STOP_LIMIT).await;
    match ended {
        Ok(()) | Err(Error::Stopped) => Ok(watched.borrow().clone()),
        Err(error) => Err(error),
    }
}

/// A sink that keeps nothing but what [`Rehearsed`] says.
struct Discard {
    seen: watch::Sender<Rehearsed>,
    parked: Vec<Parked>,
    kafka: Kafka,
}

impl Sink for Discard {
    // What a run's writer has.
    type Error = kafka::Error;

    /// Begins anew.
    fn recover(&mut self) -> Result<Option<Checkpoint>, Self::Error> {
        self.seen.send_replace(Rehearsed::default());
        Ok(None)
    }

    fn progress(&mut self, _: usize) -> Result<Vec<Progress>, Self::Error> {
        Ok(Vec::new())
    }

    fn parked(&mut self, _: usize) -> Result<Vec<Parked>, Self::Error> {
        Ok(self.parked.clone())
    }

    fn open_parked(&mut self) -> Result<i64, Self::Error> {
        Ok(0)
    }

    fn told(&mut self) -> Result<Vec<Told>, Self::Error> {
        Ok(Vec::new())
    }

    fn ensure_topic(&mut self, _: &str) -> Result<(), Self::Error> {
        Ok(())
    }

    fn is_compacted(&mut self, topic: &str) -> Result<bool, Self::Error> {
        kafka::probe::is_compacted(&self.kafka, topic)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Receipt, Self::Error> {
        self.seen.send_modify(|seen| {
            let parked = |record: &&Record| record.operation == Operation::Parked;
            batch.records().iter().filter(|it| !parked(it)).for_each(|it| seen.note(batch, it));
            for (table, parked) in &batch.parked {
                let is_news = !self.parked.iter().any(|known| known.table == *table);
                if let (true, Some(parked)) = (is_news, parked) {
                    seen.parked.insert(table.clone(), parked.reason.clone());
                }
            }
            seen.records += batch.records().len();
            let confirm = batch.checkpoint.as_ref().map(|checkpoint| checkpoint.confirm);
            seen.up_to = seen.up_to.max(confirm.unwrap_or(Lsn::ZERO));
        });
        Ok(Receipt::default())
    }

    fn class(error: &Self::Error) -> Class {
        error.class()
    }
}

impl Rehearsed {
    fn note(&mut self, batch: &Batch, record: &Record) {
        // Its topic is made whatever [topics] says, and nothing is told here that was told before.
        if record.operation == Operation::SchemaChange {
            return;
        }
        let topic = batch.topics.name(record.topic).unwrap_or_default();
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), Extremes::default());
        }
        let Some(Extremes { keyless, largest }) = self.topics.get_mut(topic) else { return };
        if record.key.is_none() {
            keyless.get_or_insert(record.position);
        }
        let key_and_value = record.key.iter().chain(&record.value);
        let bytes = key_and_value.chain([&record.headers]).map(ExactSizeIterator::len).sum();
        if largest.is_none_or(|(_, most)| most < bytes) {
            *largest = Some((record.position, bytes));
        }
    }
}
