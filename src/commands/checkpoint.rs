//! `walbrook checkpoint`: the durable record of progress, shown or replaced.

use std::fmt::Write as _;
use std::path::Path;

use super::{failed, of_kafka, print};
use crate::checkpoint::{Checkpoint, Omission, State};
use crate::cli::{CheckpointCommand, Exit};
use crate::config::Config;
use crate::kafka;
use crate::parked::Parked;
use crate::pipeline::{self, Outcome, Skipped, stop_pair};
use crate::position::Position;

/// Shows the checkpoint, or accepts another one.
///
/// # Errors
///
/// If standard output cannot be written.
pub async fn checkpoint(config: &Config, command: CheckpointCommand) -> anyhow::Result<Exit> {
    match command {
        CheckpointCommand::Accept { position, epoch, reason } => {
            accept(config, &reason, position, epoch).await
        }
        CheckpointCommand::Skip { file, position, reason } => {
            skip(config, position, &reason, &file).await
        }
        CheckpointCommand::Show { json } => show(config, json),
    }
}

fn show(config: &Config, is_json: bool) -> anyhow::Result<Exit> {
    let checkpoint = match kafka::read_checkpoint(config) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(failed(&of_kafka(error))),
    };
    let (topic, slot) = (&config.kafka.checkpoint_topic, &config.replication.slot);
    let parked = match checkpoint.as_ref().map(|it| kafka::read_parked(config, it)) {
        Some(Err(error)) => return Ok(failed(&of_kafka(error))),
        parked => parked.transpose().ok().flatten().unwrap_or_default(),
    };
    print(&match (&checkpoint, is_json) {
        (Some(checkpoint), false) => {
            let lines = std::iter::once(text(checkpoint)).chain(parked.iter().map(parked_line));
            lines.collect::<Vec<_>>().join("\n")
        }
        (Some(checkpoint), true) => json(checkpoint),
        (None, false) => format!("topic {topic} holds no checkpoint of slot {slot:?}"),
        (None, true) => "null".to_owned(),
    })?;
    Ok(Exit::Ok)
}

async fn accept(
    config: &Config,
    reason: &str,
    position: Option<Position>,
    epoch: Option<u32>,
) -> anyhow::Result<Exit> {
    // Held until the end, since a stop that is dropped is a stop.
    let (_stopper, mut stop) = stop_pair();
    match pipeline::accept(config, reason, position, epoch, &mut stop).await {
        Ok(outcome) => {
            print(&format!("{}\n{}", outcome.jump, changed(&outcome)))?;
            Ok(Exit::Ok)
        }
        Err(error) => Ok(failed(&error)),
    }
}

async fn skip(
    config: &Config,
    position: Position,
    reason: &str,
    file: &Path,
) -> anyhow::Result<Exit> {
    // Held until the end, since a stop that is dropped is a stop.
    let (_stopper, mut stop) = stop_pair();
    match pipeline::skip(config, position, reason, file, &mut stop).await {
        Ok(Skipped { operation, table, now }) => {
            print(&format!(
                "left out: one {operation} ({table}) at {position}; it is kept in {}\n\
                 `walbrook run` goes past it and past nothing else\n{}",
                file.display(),
                text(&now)
            ))?;
            Ok(Exit::Ok)
        }
        Err(error) => Ok(failed(&error)),
    }
}

/// What a decision changed, for people.
pub(super) fn changed(Outcome { before, now, unreadable, .. }: &Outcome) -> String {
    let before = match (before, unreadable) {
        (Some(before), _) => text(before),
        (None, Some(kafka::Error::Checkpoint { topic, partition, offset, source })) => format!(
            "none that can be used: the record in {topic}-{partition} at offset {offset} is overridden ({source})"
        ),
        (None, _) => "none".to_owned(),
    };
    format!("before:\n{}\nnow:\n{}", indented(&before), indented(&text(now)))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn parked_line(parked: &Parked) -> String {
    let Parked { table, reason, .. } = parked;
    format!("parked:       {table}, {} changes wait: {reason}", parked.waiting())
}

/// The record as it is in Kafka.
fn json(checkpoint: &Checkpoint) -> String {
    String::from_utf8_lossy(&checkpoint.to_json()).into_owned()
}

/// The checkpoint for people.
fn text(checkpoint: &Checkpoint) -> String {
    let Checkpoint { pipeline, system_identifier, timeline, slot, stream, position, .. } =
        checkpoint;
    let state = match checkpoint.state {
        State::Creating => "the slot is being created",
        State::Streaming => "streaming",
    };
    let epoch = match checkpoint.epoch {
        0 => String::new(),
        epoch => format!(", in epoch {epoch}"),
    };
    let messages = if stream.messages { ", with messages" } else { "" };
    let mut out = format!(
        "pipeline:     {pipeline}\n\
         slot:         {slot}\n\
         state:        {state}\n\
         position:     {position}{epoch} (the last change in Kafka)\n\
         confirm:      {confirm} (the end of the last complete transaction in Kafka)\n\
         publications: {publications}{messages}\n\
         system:       {system_identifier}, timeline {timeline}",
        confirm = checkpoint.confirm,
        publications = stream.publications.join(", "),
    );
    if let Some(inside) = &checkpoint.inside {
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "\ninside:       transaction {}, at the change at {}",
            inside.xid.0, inside.lsn
        );
    }
    if let Some(accepted) = &checkpoint.accepted {
        let _ = write!(
            out,
            "\naccepted:     {:?}, in place of position {}, confirm {}, system {}, timeline {}",
            accepted.reason,
            accepted.previous_position,
            accepted.previous_confirm,
            accepted.previous_system_identifier,
            accepted.previous_timeline
        );
    }
    for Omission { position, reason, .. } in &checkpoint.omissions {
        let _ = write!(out, "\nto leave out: {position}, {reason:?}");
    }
    out
}
