//! walbrook: change data capture from PostgreSQL to Apache Kafka, exactly once.
//!
//! ```text
//!  PostgreSQL                                                                          Kafka
//!  walsender                                                                          brokers
//!     │ CopyData                                                                         ▲
//!     ▼                                                                                  │ one txn per batch:
//!  postgres ──▶ wal ──▶ assembler ──▶ plan ──▶ batch ──▶ writer thread ──▶ kafka sink ───┘ records + checkpoint
//!     ▲        session  (position)   encode    (two)                            │
//!     │ standby status                                                          │
//!     └──────────── the same batch, committed: the permission to confirm ◀──────┘
//! ```
//!
//! Compile on `Relation`, execute on row, commit by batch; the committed batch comes home and is the
//! acknowledgement. The invariants (named I1 to I9 in code and tests) and the life of a row are in
//! ARCHITECTURE.md. Modules, in reading order:

// Where a change is: log sequence numbers and positions.
pub mod position;

// Replication bytes to values and back; when to tell the walsender what.
pub mod wal;

// PostgreSQL's data types: OID to kind, binary and text form to values.
pub mod types;

// What the catalog says of a table.
pub mod facts;

// A row change: the narrow waist.
pub mod change;

// Tables that wait: the wire form of their changes.
pub mod parked;

// What is told of tables' columns: its wire form.
pub mod columns;

// Values to Avro bytes or JSON; schemas.
pub mod encode;

// A relation's compiled fate.
pub mod plan;

// Rows that were there before: which enter the stream, and where.
pub mod snapshot;

// Durable progress and its wire form.
pub mod checkpoint;

// The unit of atomicity and of memory.
pub mod batch;

// The two traits at the edges.
pub mod edges;

// What topics say, held against tables.
pub mod verify;

// What is verified of a server's certificate.
mod tls;

// The replication connection and the catalog.
pub mod postgres;

// Schema to id: the registry's HTTP API.
pub mod registry;

// The transactional sink, recovery, topics.
pub mod kafka;

// The only module that knows both ends.
pub mod pipeline;

// The operator's file and what it means.
pub mod config;

// Logs for people and for machines.
pub mod logging;

// Every metric.
pub mod metrics;

// How the pipeline is, as plain data.
pub mod status;

// What operators tell a running pipeline.
pub mod order;

// HTTP endpoints and the control socket.
pub mod admin;

// The command line and exit codes.
pub mod cli;

// What main runs.
pub mod commands;
