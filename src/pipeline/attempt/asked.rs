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
    let found = answer(writer, |done| match done {
        Done::Recovered(checkpoint) => Some(checkpoint),
        _ => None,
    });
    Ok(found.await?.map(|checkpoint| *checkpoint))
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
    let found = answer(writer, |done| match done {
        Done::Progress(progress) => Some(progress),
        _ => None,
    });
    Ok(Some(found.await?).filter(is_wanted))
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
    answer(writer, |done| match done {
        Done::Parked(parked) => Some(parked),
        _ => None,
    })
    .await
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
    answer(writer, |done| match done {
        Done::Told(told) => Some(told),
        _ => None,
    })
    .await
}

/// Waits for the answer that `pick` picks; what else comes home is of before.
async fn answer<T>(
    writer: &mut Writer<kafka::Error>,
    pick: impl Fn(Done<kafka::Error>) -> Option<T>,
) -> Result<T, Error> {
    loop {
        match writer.done().await? {
            Done::Failed { error, .. } => return Err(sink::<KafkaSink>(error)),
            done => {
                if let Some(found) = pick(done) {
                    return Ok(found);
                }
            }
        }
    }
}
