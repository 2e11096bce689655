//! The operator's decision to leave out one change: it is found in the stream, kept in a file, and
//! named in the checkpoint, in this order. The slot is held meanwhile (I4), and nothing is confirmed.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Map, Value};
use tokio::time::sleep_until;

use super::alive::send_due_status;
use super::attempt::{commit, expected, kafka_sink};
use super::operator::{Held, Look, nothing_to_adopt, with_writer};
use super::search::{Found, Search, Step};
use super::start::{self, Refusal, Verdict};
use super::writer::Writer;
use super::{Error, Stop, clock, source};
use crate::checkpoint::{Checkpoint, Omission};
use crate::config::Config;
use crate::edges::Transport;
use crate::kafka;
use crate::position::{Lsn, Position};
use crate::postgres;
use crate::wal::{Frame, Session, Transcoder};

/// A change that will be left out.
#[derive(Debug)]
pub struct Skipped {
    /// `insert`, `update`, …
    pub operation: &'static str,
    /// What it was done to.
    pub table: String,
    /// The checkpoint now.
    pub now: Checkpoint,
}

/// Leaves out the change at `position`, and no other, from the next run on; it is kept in `file`,
/// which must be new.
///
/// # Errors
///
/// If there is no such change to come, a start would be refused, somebody else holds the slot, or a
/// server does not answer. Then nothing is changed.
pub async fn skip(
    config: &Config,
    position: Position,
    reason: &str,
    file: &Path,
    stop: &mut Stop,
) -> Result<Skipped, Error> {
    let work =
        async |writer: &mut _| hold_and_skip(config, position, reason, file, writer, stop).await;
    with_writer(kafka_sink(config)?, work).await
}

async fn hold_and_skip(
    config: &Config,
    position: Position,
    reason: &str,
    file: &Path,
    writer: &mut Writer<kafka::Error>,
    stop: &mut Stop,
) -> Result<Skipped, Error> {
    // As text, which people can read; or as bytes, where its text is too large for PostgreSQL to send.
    let found = match hold_and_find(config, position, false, writer, stop).await {
        Err(error) if error.is_too_large() => {
            hold_and_find(config, position, true, writer, stop).await
        }
        found => found,
    };
    let (transport, checkpoint, found) = found.map_err(Error::for_good_if_too_large)?;
    let Found { change, operation, table, row } = found;
    keep(row, reason, file).map_err(|source| Error::File { path: file.to_owned(), source })?;
    let mut now = checkpoint;
    now.omissions.retain(|it| it.position != position);
    now.omissions.push(Omission { position, change, reason: reason.to_owned() });
    now.omissions.sort_by_key(|it| it.position);
    commit(writer, now.clone()).await?;
    transport.close().await;
    Ok(Skipped { operation, table, now })
}

/// The slot is held as long as the stream lives.
async fn hold_and_find(
    config: &Config,
    position: Position,
    is_binary: bool,
    writer: &mut Writer<kafka::Error>,
    stop: &mut Stop,
) -> Result<(postgres::Stream, Checkpoint, Found), Error> {
    let look = Look::new(config).await?;
    if !look.is_readable {
        return Err(nothing_to_adopt(config, &look.found));
    }
    let Held { mut transport, mut session, server, checkpoint } =
        look.hold(config, is_binary, writer, stop).await?;
    let verdict = start::judge(&expected(config), &server, checkpoint.as_ref())?;
    let Verdict::Resume { checkpoint, .. } = verdict else {
        let slot = config.replication.slot.clone();
        return Err(Refusal::NoSlot { slot, confirm: Lsn::ZERO }.into());
    };
    start::may_omit(position, &server, &checkpoint)?;
    let transcoder = Transcoder::new(config.postgres.text_encoding);
    let found = find(&mut transport, &mut session, transcoder, stop, position).await?;
    Ok((transport, *checkpoint, found))
}

/// Reads the stream up to the change; nothing is confirmed.
async fn find<T: Transport>(
    transport: &mut T,
    session: &mut Session,
    mut transcoder: Transcoder,
    stop: &mut Stop,
    position: Position,
) -> Result<Found, Error> {
    let mut search = Search::new(position);
    loop {
        while let Some(frame) = transport.next_frame().map_err(source::<T>)? {
            let step = match Frame::parse(frame)? {
                Frame::XLogData { start, body, .. } => {
                    session.on_data(start);
                    search.on_message(start, &transcoder.parse(body)?)
                }
                Frame::Keepalive { wal_end, reply_requested, .. } => {
                    session.on_keepalive(clock::now(), wal_end, reply_requested);
                    search.on_keepalive(wal_end)
                }
            };
            match step {
                Step::Continue => {}
                Step::Found(found) => return Ok(found),
                Step::Missing(found) => return Err(Refusal::NoChange { position, found }.into()),
            }
        }
        send_due_status(transport, session).await.map_err(source::<T>)?;
        tokio::select! {
            filled = transport.fill() => drop(filled.map_err(source::<T>)?),
            () = stop.wait() => return Err(Error::Stopped),
            () = sleep_until(session.deadline().into()) => {}
        }
    }
}

/// Writes the change to a new file that only its owner may read, and waits until it is there.
fn keep(mut row: Map<String, Value>, reason: &str, file: &Path) -> std::io::Result<()> {
    row.insert("reason".to_owned(), reason.into());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut file, &row)?;
    file.write_all(b"\n")?;
    file.into_inner()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::Class;
    use crate::pipeline::supervisor::Ending;
    use crate::postgres::{self, ServerError, Stream};

    #[test]
    fn a_change_whose_text_is_too_large_does_not_come_later_either() {
        let error = |code: &str, message: &str| {
            let (code, severity) = (code.to_owned(), "ERROR".to_owned());
            let server = ServerError { code, severity, message: Some(message.to_owned()) };
            source::<Stream>(postgres::Error::Server(server)).for_good_if_too_large()
        };
        let large = error("XX000", "invalid memory alloc request size 1200000003");
        assert!(large.to_string().contains("must fit into one message of 1 GiB"), "{large}");
        assert_eq!(large.ending(), Ending::Failed(Class::Fatal));
        let passing = error("57P01", "terminating connection");
        assert_eq!(passing.ending(), Ending::Failed(Class::Retry));
    }
}
