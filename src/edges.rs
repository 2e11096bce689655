//! The two traits at the edges: frames from and to a walsender, batches into Kafka.
//!
//! `pipeline`'s reader and writer know the stream and Kafka by them alone, neither sockets nor
//! librdkafka.

use std::future::Future;
use std::time::Duration;

use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::columns::Told;
use crate::parked::Parked;
use crate::snapshot::Progress;

/// What the supervisor does about an error; it looks at nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It will not go away by itself: end the process with a message.
    Fatal,
    /// Another instance has taken over: give up the slot, become a standby.
    Fenced,
    /// Start again from the checkpoint, with back-off.
    Retry,
}

/// How a committed transaction went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Producers that were dropped and made again for it.
    pub rebuilds: u64,
    /// Whether a result was unknown for a while, and the checkpoint told that it was committed.
    pub was_unknown: bool,
}

/// Frames from and to a walsender: a CopyBoth stream.
pub trait Transport {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next complete frame (the payload of one CopyData) that is already in memory; `None`
    /// when more must be read first. Never blocks.
    ///
    /// # Errors
    ///
    /// If the server ended the stream, reported an error, or broke the protocol.
    fn next_frame(&mut self) -> Result<Option<&[u8]>, Self::Error>;

    /// Reads more bytes from the server; returns how many. Cancel-safe.
    fn fill(&mut self) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// How long a walsender at full speed may be left alone, while there is enough else to do: its
    /// bytes gather in buffers, it wakes nobody, and that makes both of us faster. Not so long that
    /// the buffers fill and it halts.
    fn nap(&self) -> Duration;

    /// Sends one frame (the payload of one CopyData) to the server.
    fn send(&mut self, frame: &[u8]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Ends the stream in good order, after the last status.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// The class of an error.
    fn class(error: &Self::Error) -> Class;
}

/// Batches into Kafka, each with its checkpoint in one transaction. Calls block.
pub trait Sink {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Fences every other producer of this transactional id, waits until nothing in the checkpoint
    /// partition is undecided, and reads the last checkpoint (I4). Call it only while the slot is
    /// held.
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, refuses, or has a hanging transaction.
    fn recover(&mut self) -> Result<Option<Checkpoint>, Self::Error>;

    /// How far each of so many tables was read by snapshots, as the checkpoint's transaction and those
    /// before it have it. Call it after [`recover`](Self::recover).
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, or a record cannot be read.
    fn progress(&mut self, tables: usize) -> Result<Vec<Progress>, Self::Error>;

    /// So many tables that are parked, as the checkpoint's transaction and those before it have them. Call
    /// it only after [`recover`](Self::recover).
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, or a record cannot be read.
    fn parked(&mut self, tables: usize) -> Result<Vec<Parked>, Self::Error>;

    /// Makes sure that the topic of what is parked exists, and says at which offset it ends: what is
    /// parked from now on is there or behind.
    ///
    /// # Errors
    ///
    /// If it cannot be created, or Kafka not be reached.
    fn open_parked(&mut self) -> Result<i64, Self::Error>;

    /// Makes sure that the topic of schema changes exists, and reads what was told last of each table;
    /// nothing, where nothing is told. Call it only after [`recover`](Self::recover).
    ///
    /// # Errors
    ///
    /// If it cannot be created, or Kafka not be reached.
    fn told(&mut self) -> Result<Vec<Told>, Self::Error>;

    /// Makes sure that a topic exists, creating it if configured.
    ///
    /// # Errors
    ///
    /// If it does not exist and cannot or may not be created.
    fn ensure_topic(&mut self, topic: &str) -> Result<(), Self::Error>;

    /// Whether a topic is compacted, and so takes no record without a key; not, where that cannot be told.
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached.
    fn is_compacted(&mut self, topic: &str) -> Result<bool, Self::Error>;

    /// Writes the batch's records and its checkpoint in one Kafka transaction; returns when it is
    /// known to be committed (I2). An unknown result is resolved inside, never guessed.
    ///
    /// # Errors
    ///
    /// If the batch is not known to be committed, or another instance has taken over. Only
    /// [`recover`](Self::recover) tells then what is in Kafka.
    fn commit(&mut self, batch: &Batch) -> Result<Receipt, Self::Error>;

    /// The class of an error.
    fn class(error: &Self::Error) -> Class;
}
