//! What the writer is asked before there is a stream, and waited for.

use super::super::writer::{Done, Writer};
use super::super::{Error, sink};
use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::columns::Told;
use crate::kafka::{self, KafkaSink};
use crate::parked::Parked;
use crate::snapshot::Progress;

/// Commits a checkpoint without records.
pub(in super::super) async fn commit(
    writer: &mut Writer<kafka::Error>,
    checkpoint: Checkpoint,
) -> Result<(), Error> {
    writer.commit(Box::new(Batch::of(checkpoint)))?;
    match writer.done().await? {
        Done::Failed { error, .. } => Err(sink::<KafkaSink>(error)),
        _ => Ok(()),
    }
}

/// The answer to [`Writer::recover`].
pub(in super::super) async fn recovered(
    writer: &mut Writer<kafka::Error>,
) -> Result<Option<Checkpoint>, Error> {
    loop {
        match writer.done().await? {
            Done::Recovered(checkpoint) => return Ok(checkpoint.map(|checkpoint| *checkpoint)),
            Done::Failed { error, .. } => return Err(sink::<KafkaSink>(error)),
            _ => {}
        }
    }
}

/// How far the tables of a checkpoint were read; `None` if no more is to be, and no stream waits for it.
pub(in super::super) async fn progress(
    writer: &mut Writer<kafka::Error>,
    checkpoint: &Checkpoint,
    is_off: bool,
) -> Result<Option<Vec<Progress>>, Error> {
    let is_wanted = |found: &Vec<Progress>| !is_off || found.iter().any(Progress::is_held);
    let tables = checkpoint.snapshots.map_or(0, |snapshots| snapshots.tables);
    writer.progress(usize::try_from(tables).unwrap_or(usize::MAX))?;
    loop {
        match writer.done().await? {
            Done::Progress(progress) => return Ok(Some(progress).filter(is_wanted)),
            Done::Failed { error, .. } => return Err(sink::<KafkaSink>(error)),
            _ => {}
        }
    }
}

/// The tables of a checkpoint that are parked.
pub(in super::super) async fn parked(
    writer: &mut Writer<kafka::Error>,
    checkpoint: &Checkpoint,
) -> Result<Vec<Parked>, Error> {
    if checkpoint.parked == 0 {
        return Ok(Vec::new());
    }
    writer.parked(usize::try_from(checkpoint.parked).unwrap_or(usize::MAX))?;
    loop {
        match writer.done().await? {
            Done::Parked(parked) => return Ok(parked),
            Done::Failed { error, .. } => return Err(sink::<KafkaSink>(error)),
            _ => {}
        }
    }
}

/// What was told of tables' columns, if anything is.
pub(in super::super) async fn told(
    writer: &mut Writer<kafka::Error>,
    is_wanted: bool,
) -> Result<Vec<Told>, Error> {
    if !is_wanted {
        return Ok(Vec::new());
    }
    writer.told()?;
    loop {
        match writer.done().await? {
            Done::Told(told) => return Ok(told),
            Done::Failed { error, .. } => return Err(sink::<KafkaSink>(error)),
            _ => {}
        }
    }
}
