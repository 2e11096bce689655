//! The writer: one named thread that owns the sink, because librdkafka's transaction calls block.
//!
//! It is asked through a bounded channel and answers through another; a committed batch that comes
//! home is the permission to confirm and the back-pressure in one.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::clock;
use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::columns::Told;
use crate::edges::{Receipt, Sink};
use crate::parked::Parked;
use crate::snapshot::Progress;

/// What the writer is asked to do, one at a time, in order.
#[derive(Debug)]
enum Job {
    Commit(Box<Batch>),
    EnsureTopic(String),
    IsCompacted(String),
    OpenParked,
    Parked(usize),
    Progress(usize),
    Recover,
    Told,
}

/// What became of a [`Job`].
#[derive(Debug)]
pub(super) enum Done<E> {
    /// The batch is committed; how long that took, and how it went.
    Committed(Box<Batch>, Duration, Receipt),
    /// The job failed.
    Failed {
        /// Why.
        error: E,
        /// Whether the job was a Kafka transaction.
        is_txn: bool,
    },
    /// Whether a topic is compacted.
    Compacted(bool),
    /// The tables that are parked.
    Parked(Vec<Parked>),
    /// The topic of what is parked exists, and ends at this offset.
    ParkedEnd(i64),
    /// How far tables were read.
    Progress(Vec<Progress>),
    /// Fenced and read: the last checkpoint.
    Recovered(Option<Box<Checkpoint>>),
    /// What was told of tables' columns.
    Told(Vec<Told>),
    /// The topic exists.
    TopicReady,
}

/// The reader's end: at most [`JOBS`] jobs are under way.
#[derive(Debug)]
pub(super) struct Writer<E> {
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<Done<E>>,
    under_way: usize,
}

/// One batch in commit; the reader fills the other meanwhile.
const JOBS: usize = 2;

/// The thread has ended, which it does only when it panicked: its message is on standard error.
#[derive(Debug, thiserror::Error)]
#[error("the writer thread has ended unexpectedly")]
pub struct Gone;

/// Starts the writer thread; it ends when its [`Writer`] is dropped.
///
/// # Errors
///
/// If the operating system gives no thread.
pub(super) fn start<S>(mut sink: S) -> std::io::Result<(Writer<S::Error>, JoinHandle<()>)>
where
    S: Sink + Send + 'static,
{
    let (jobs, mut inbox) = mpsc::channel(JOBS);
    let (outbox, done) = mpsc::channel(JOBS);
    let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
        while let Some(job) = inbox.blocking_recv() {
            if outbox.blocking_send(perform(&mut sink, job)).is_err() {
                return;
            }
        }
    })?;
    Ok((Writer { jobs, done, under_way: 0 }, thread))
}

fn perform<S: Sink>(sink: &mut S, job: Job) -> Done<S::Error> {
    match job {
        Job::Commit(batch) => {
            let start: Instant = clock::now();
            match sink.commit(&batch) {
                Ok(receipt) => {
                    let took = clock::now().saturating_duration_since(start);
                    Done::Committed(batch, took, receipt)
                }
                Err(error) => Done::Failed { error, is_txn: true },
            }
        }
        Job::EnsureTopic(topic) => answer(sink.ensure_topic(&topic), |()| Done::TopicReady),
        Job::IsCompacted(topic) => answer(sink.is_compacted(&topic), Done::Compacted),
        Job::OpenParked => answer(sink.open_parked(), Done::ParkedEnd),
        Job::Parked(tables) => answer(sink.parked(tables), Done::Parked),
        Job::Progress(tables) => answer(sink.progress(tables), Done::Progress),
        Job::Recover => answer(sink.recover(), |it| Done::Recovered(it.map(Box::new))),
        Job::Told => answer(sink.told(), Done::Told),
    }
}

fn answer<T, E>(found: Result<T, E>, done: impl FnOnce(T) -> Done<E>) -> Done<E> {
    found.map_or_else(|error| Done::Failed { error, is_txn: false }, done)
}

impl<E> Writer<E> {
    /// Hands a sealed batch over.
    pub(super) fn commit(&mut self, batch: Box<Batch>) -> Result<(), Gone> {
        self.submit(Job::Commit(batch))
    }

    /// Asks for a topic.
    pub(super) fn ensure_topic(&mut self, topic: String) -> Result<(), Gone> {
        self.submit(Job::EnsureTopic(topic))
    }

    /// Asks whether a topic is compacted.
    pub(super) fn is_compacted(&mut self, topic: String) -> Result<(), Gone> {
        self.submit(Job::IsCompacted(topic))
    }

    /// Asks for the topic of what is parked.
    pub(super) fn open_parked(&mut self) -> Result<(), Gone> {
        self.submit(Job::OpenParked)
    }

    /// Asks for so many tables that are parked.
    pub(super) fn parked(&mut self, tables: usize) -> Result<(), Gone> {
        self.submit(Job::Parked(tables))
    }

    /// Asks how far so many tables were read.
    pub(super) fn progress(&mut self, tables: usize) -> Result<(), Gone> {
        self.submit(Job::Progress(tables))
    }

    /// Asks to fence and read the checkpoint.
    pub(super) fn recover(&mut self) -> Result<(), Gone> {
        self.submit(Job::Recover)
    }

    /// Asks what was told of tables' columns.
    pub(super) fn told(&mut self) -> Result<(), Gone> {
        self.submit(Job::Told)
    }

    fn submit(&mut self, job: Job) -> Result<(), Gone> {
        // Room is certain: never more jobs than JOBS are under way.
        self.jobs.try_send(job).map_err(|_| Gone)?;
        self.under_way += 1;
        Ok(())
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// The next answer. Cancel-safe.
    pub(super) async fn done(&mut self) -> Result<Done<E>, Gone> {
        let done = self.done.recv().await.ok_or(Gone)?;
        self.under_way -= 1;
        Ok(done)
    }

    /// The next answer, if it is there.
    pub(super) fn try_done(&mut self) -> Result<Option<Done<E>>, Gone> {
        match self.done.try_recv() {
            Ok(done) => {
                self.under_way -= 1;
                Ok(Some(done))
            }
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(Gone),
        }
    }

    /// Waits for everything under way and drops the answers: between two attempts. What was
    /// committed meanwhile is found again by recovery.
    pub(super) async fn discard(&mut self) -> Result<(), Gone> {
        while !self.is_idle() {
            drop(self.done().await?);
        }
        Ok(())
    }
}
