//! What a running process answers: HTTP, read-only for ever, and a Unix socket for commands.
//!
//! Neither holds a lock or blocks the pipeline: both read the status from a watch channel.

pub mod control;
pub mod http;
