//! What `main` runs: one function a command, each with an exit code that scripts can rely on.

mod ask;
mod check;
mod checkpoint;
mod dlq;
mod drained;
mod repair;
mod run;
mod schema;
mod slot;
mod snapshot;
mod unpark;
mod verify;

use std::error::Error;
use std::io::Write as _;

pub use ask::ask;
pub use check::{check, check_sql};
pub use checkpoint::checkpoint;
pub use dlq::dlq;
pub use repair::repair;
pub use run::run;
pub use schema::schema;
pub use slot::slot;
pub use snapshot::snapshot;
pub use unpark::unpark;
pub use verify::verify;

use crate::cli::Exit;
use crate::edges::Class;
use crate::kafka;
use crate::pipeline::{self, supervisor::Ending};

/// The exit code of an error of the pipeline.
fn exit_of(error: &pipeline::Error) -> Exit {
    match (error, error.ending()) {
        (pipeline::Error::Refused(_), _) => Exit::Refused,
        (pipeline::Error::Thread(_) | pipeline::Error::Writer(_), _) => Exit::Unexpected,
        (pipeline::Error::Assembler(error), _) if error.is_refusal() => Exit::Refused,
        (_, Ending::Failed(Class::Retry) | Ending::Repeatable(_)) => Exit::Unreachable,
        (_, Ending::Failed(Class::Fenced) | Ending::SlotBusy) => Exit::Busy,
        _ => Exit::Permanent,
    }
}

/// Says why a command failed; the exit code of that.
fn failed(error: &pipeline::Error) -> Exit {
    tracing::error!(error = said(error), "the command failed");
    exit_of(error)
}

/// An error of Kafka as one of the pipeline.
fn of_kafka(error: kafka::Error) -> pipeline::Error {
    pipeline::Error::Sink { class: error.class(), error: Box::new(error) }
}

/// An error with its causes, those left out that it has already told.
fn said(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Writes the answer of a command to standard output.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
