//! The process edge: arguments, configuration, logging, exit codes. Everything else is in the
//! library.

use std::time::Duration;

use clap::Parser;
use tracing::error;
use walbrook::admin::control::Request;
use walbrook::cli::{Cli, Command, Exit};
use walbrook::config::{self, Config, Environment};
use walbrook::{commands, logging};

/// librdkafka allocates a record and each of its headers in the writer thread and frees them in a
/// broker thread, which is what the C library's allocator is worst at.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Exit {
    let cli = Cli::parse();
    let config = match config::load(&cli.config, &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => return usage(&error.into()),
    };
    let format = cli.log_format.map_or(config.log.format, Into::into);
    // What librdkafka says of a trial that must fail is no news: the report says what counts.
    let is_check = matches!(cli.command, Command::Check { .. });
    let configured = if is_check { "warn,kafka=off" } else { &config.log.level };
    let level = cli.log_level.as_deref().unwrap_or(configured);
    if let Err(error) = logging::start(format, level) {
        return usage(&anyhow::Error::new(error).context("--log-level"));
    }
    // One thread: the reader is woken for every few rows, and a wake-up from another thread would
    // cost more than the rows. What blocks (librdkafka) has its own thread, the writer.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the runtime cannot be started");
            return Exit::Unexpected;
        }
    };
    match runtime.block_on(dispatch(config, cli.command)) {
        Ok(exit) => exit,
        Err(error) => {
            error!(error = format!("{error:#}"), "walbrook ends");
            Exit::Unexpected
        }
    }
}

async fn dispatch(config: Config, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Check { sql: true, .. } => commands::check_sql(&config),
        Command::Check { json, decode_seconds, .. } => {
            commands::check(&config, Duration::from_secs(decode_seconds), json).await
        }
        Command::Checkpoint(command) => commands::checkpoint(&config, command).await,
        Command::Dlq(command) => commands::dlq(&config, command).await,
        Command::Repair(arguments) => commands::repair(&config, &arguments).await,
        Command::Run => Box::pin(commands::run(&config)).await,
        Command::Schema(command) => commands::schema(&config, command).await,
        Command::Slot(command) => commands::slot(&config, command).await,
        Command::Snapshot(command) => commands::snapshot(&config, command).await,
        Command::Status => commands::ask(&config, Request::Status {}).await,
        Command::Stop => commands::ask(&config, Request::Stop {}).await,
        Command::Unpark(arguments) => commands::unpark(&config, &arguments).await,
        Command::Verify(arguments) => commands::verify(&config, &arguments).await,
    }
}

/// Before logging is started there is only standard error.
#[expect(clippy::print_stderr, reason = "logging is not started yet")]
fn usage(error: &anyhow::Error) -> Exit {
    eprintln!("walbrook: {error:#}");
    Exit::Usage
}
