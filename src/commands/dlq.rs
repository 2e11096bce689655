//! `walbrook dlq …`: dead letters, which the running process writes again.

use super::snapshot::tell_request;
use crate::admin::control::Request;
use crate::cli::{DlqCommand, Exit};
use crate::config::Config;

/// Tells the running process, and waits until what came of it is in Kafka.
///
/// # Errors
///
/// If its answer is not understood, or cannot be printed.
pub async fn dlq(config: &Config, command: DlqCommand) -> anyhow::Result<Exit> {
    let DlqCommand::Replay { outbox, route } = command;
    tell_request(config, Request::Replay { outbox, route }, "").await
}
