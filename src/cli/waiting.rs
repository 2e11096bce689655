//! `walbrook unpark` and `walbrook dlq`: what waits is tried again.

use clap::{Args, Subcommand};

use super::reason;

/// `walbrook dlq …`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DlqCommand {
    /// Route dead letters again, by the configuration that holds now: by the running process
    ///
    /// For when what made them dead letters is put right (a topic that is allowed by now, a schema that takes
    /// the payload) and walbrook was started with that. Each letter that is in the dead-letter topics at that
    /// moment, and was not looked at before, becomes an event, once, with the key, the id and the headers that
    /// it had; where it was is in the header walbrook.letter. What is still no event is a dead letter again,
    /// with the reason that holds now. How far that has come is in the checkpoint, so a kill repeats nothing.
    Replay {
        /// Only those of this outbox, as schema.table (and of others that share its topic)
        #[arg(long, value_name = "TABLE")]
        outbox: Option<String>,
        /// What routes letters that have no route, since it was NULL
        #[arg(long, value_name = "VALUE")]
        route: Option<String>,
    },
}

/// `walbrook unpark`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct UnparkArguments {
    /// The tables, each as schema.table
    #[arg(value_name = "TABLE", required_unless_present = "all", conflicts_with = "all")]
    pub tables: Vec<String>,
    /// All that are parked
    #[arg(long)]
    pub all: bool,
    /// Leave out the first N changes that wait, or "all", for good
    #[arg(long, value_name = "N", value_parser = left_out, requires = "reason", conflicts_with = "all")]
    pub leave_out: Option<u64>,
    /// Why, in your words; it is logged
    #[arg(long, value_parser = reason, requires = "leave_out")]
    pub reason: Option<String>,
}

fn left_out(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        text => text.parse().map_err(|_| "want a number, or \"all\"".to_owned()),
    }
}
