//! Tests against real servers: PostgreSQL, Kafka and a schema registry of our own, started on free
//! ports in temporary folders. `tests/run it` runs them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may panic, read the clock and spawn"
)]

mod check;
mod clients;
mod commands;
mod debezium;
mod events;
mod evolution;
mod harness;
mod kafka;
mod kafka_security;
mod kill;
mod names;
mod outbox;
mod parked;
mod postgres;
mod registry;
mod secrets;
mod selection;
mod sharing;
mod snapshots;
mod starts;
mod support;
mod types;
mod unwritable;
mod upgrades;
mod verify;
mod versions;
