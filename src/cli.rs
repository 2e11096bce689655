//! The command line: what can be asked for, and what the exit code says.

mod schema;
mod waiting;

use std::path::PathBuf;
use std::process::{ExitCode, Termination};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::logging::LogFormat;
use crate::position::Position;
pub use schema::{CheckDdl, SchemaCommand};
pub use waiting::{DlqCommand, UnparkArguments};

/// How a process ended. Scripts and service managers rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped as asked.
    Ok = 0,
    /// Something that should not happen.
    Unexpected = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// `check`, or `schema check`, found something that must be put right.
    CheckFailed = 3,
    /// A permanent error: a restart would fail in the same way.
    Permanent = 4,
    /// Slot, server and checkpoint do not fit together; an operator must decide.
    Refused = 5,
    /// PostgreSQL, Kafka or the registry cannot be reached (`run` waits for them instead).
    Unreachable = 6,
    /// Another process uses the replication slot.
    Busy = 7,
    /// `verify` or `repair` found a table and its topic different.
    Differs = 8,
    /// `verify` or `repair` found no difference, or `schema check` no harm, and could not compare
    /// everything.
    NotCompared = 9,
    /// `schema check` found what readers have to be ready for.
    ReadersFirst = 10,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Unexpected,
        Self::Usage,
        Self::CheckFailed,
        Self::Permanent,
        Self::Refused,
        Self::Unreachable,
        Self::Busy,
        Self::Differs,
        Self::NotCompared,
        Self::ReadersFirst,
    ];

    /// The number that the operating system sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::CheckFailed => 3,
            Self::Permanent => 4,
            Self::Refused => 5,
            Self::Unreachable => 6,
            Self::Busy => 7,
            Self::Differs => 8,
            Self::NotCompared => 9,
            Self::ReadersFirst => 10,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

const ABOUT: &str = "\
walbrook reads one PostgreSQL logical replication slot and writes every committed change to Kafka, \
exactly once, as Avro (or JSON) events in Debezium's envelope.

A configuration to start from, with every key explained, is config/walbrook.example.toml. Secrets \
come from files, commands or environment variables, never from the configuration or the command line.";

const AFTER: &str = "\
Examples:
  walbrook check -c walbrook.toml         is everything in place? what is missing?
  walbrook check -c walbrook.toml --sql   the SQL for the role, the grants and the publication
  walbrook run -c walbrook.toml           stream until SIGTERM
  walbrook slot status -c walbrook.toml   how much WAL does the slot keep?
  walbrook checkpoint show                where is the pipeline? (with WALBROOK_CONFIG set)
  walbrook snapshot status --watch        how far are the rows that were there before?
  walbrook verify --table public.orders   does the topic have what the table has?
  walbrook repair --table public.orders   make it so, the deletes too
  walbrook unpark public.orders           try again what was refused of a table
  walbrook dlq replay                     route dead letters of outboxes again
  walbrook schema check --ddl 0042.sql    in CI: whom would this migration break?

Exit codes:
  0  done, or stopped as asked
  1  unexpected error
  2  the command line or the configuration is wrong
  3  check found something that must be put right (schema check: something would be refused,
     or is not registered; slot drained: something is not in Kafka)
  4  permanent error: a restart would fail in the same way
  5  refused: slot, server and checkpoint do not fit together; see walbrook checkpoint --help
  6  PostgreSQL, Kafka or the registry cannot be reached (run waits for them instead)
  7  another process uses the replication slot (run waits as a standby instead)
  8  verify found a table and its topic different (repair: still different)
  9  verify, repair or schema check found nothing, and could not compare everything
 10  schema check found what readers have to be ready for, and, as far as the registry answered, nothing
     that is refused

For systemd: Restart=on-failure with RestartPreventExitStatus=2 4 5.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "walbrook", version, about = FIRST_LINE, long_about = ABOUT, after_long_help = AFTER)]
#[command(after_help = "More, with examples and exit codes: walbrook --help")]
pub struct Cli {
    /// The configuration file
    #[arg(short, long, global = true, env = "WALBROOK_CONFIG", value_name = "FILE")]
    #[arg(default_value = "walbrook.toml")]
    pub config: PathBuf,

    /// Log lines for people or for machines; overrides log.format
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormatArg>,

    /// error, warn, info, debug, trace or off, also by target, such as info,kafka=debug; overrides
    /// log.level
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const FIRST_LINE: &str = "PostgreSQL to Kafka, every committed change exactly once";

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// One JSON object a line
    Json,
    /// Text
    Text,
}

impl From<LogFormatArg> for LogFormat {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Json => Self::Json,
            LogFormatArg::Text => Self::Text,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether everything that walbrook needs is in place, and what to do where it is not
    ///
    /// Connects to PostgreSQL, Kafka and the schema registry, tries permissions by using them where
    /// that leaves no trace, and prints one line for each prerequisite: OK, a warning, or what to
    /// do. Changes nothing that lasts.
    ///
    /// Where nobody reads the slot, decodes and encodes the WAL that waits as a start would, and throws
    /// the records away: what would end the stream, or park a table, is told before it does. Nothing is
    /// confirmed; the slot is held meanwhile, and the server decodes for us.
    Check {
        /// How long to decode the WAL that waits; 0 leaves it alone
        #[arg(long, value_name = "SECONDS", default_value_t = 10, conflicts_with = "sql")]
        decode_seconds: u64,
        /// Print the SQL statements that put PostgreSQL right, for a DBA to read and run
        #[arg(long)]
        sql: bool,
        /// Print the results as JSON
        #[arg(long, conflicts_with = "sql")]
        json: bool,
    },
    /// Show the checkpoint, accept another one, or leave out one change
    ///
    /// The checkpoint is the durable record of progress in Kafka. Every start compares it with the
    /// slot and the server and refuses to go on if events would be lost or written twice.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Write dead letters of outboxes again
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Write what the table has of each key of which the topic has something else, deletes included
    ///
    /// For after a lost slot, a gap that was accepted (`walbrook checkpoint accept`), or a topic that
    /// somebody harmed. Compares as `verify` does, with all that `walbrook verify --help` says, and tells
    /// the running walbrook the keys that differ, through the control socket: it reads each of them again,
    /// as a snapshot does, and writes the row (op r), or that there is none (op d and a tombstone), exactly
    /// once, with the name of the gap in the header walbrook.gap. What is alike is not sent again, and what
    /// the stream says meanwhile is newer. Then compares again, and goes on until nothing differs, or
    /// nothing gets better.
    ///
    /// Needs a process that reads tables (`snapshot.mode` = "initial", or that of a table). Exit codes as
    /// those of verify, of how it is at the end: 8 if anything still differs, 9 if nothing does and
    /// something was not compared. Done twice it does no harm.
    Repair(RepairArguments),
    /// Stream changes until SIGTERM or SIGINT
    ///
    /// Creates the replication slot at the first start. If another process streams from it, waits
    /// as a standby and takes over when that one is gone. Waits and retries while a server is down;
    /// ends with exit code 4 or 5 where a retry cannot help.
    Run,
    /// Print Avro schemas as they would be registered, or say what a migration does to them
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Create, adopt, drop or look at the replication slot
    #[command(subcommand)]
    Slot(SlotCommand),
    /// Read rows that were there before (again), or stop: of the running process, through the control
    /// socket
    ///
    /// Needs a process that reads tables (`snapshot.mode` = "initial", or that of a table), each of them
    /// once by itself. An answer other than a refusal means that what was told is in Kafka, and outlives
    /// a restart.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Ask the running process how it is, through the control socket
    Status,
    /// Tell the running process to commit what is complete and leave, through the control socket
    Stop,
    /// Bring back what is parked of a table: by the running process, through the control socket
    ///
    /// A table of which something is refused (a schema by the registry, a record by a broker, a value that
    /// no field holds, a name that another table has) is parked: its changes wait, in order, in
    /// kafka.parked_topic, and all other tables go on. `walbrook status` says which, and why. They
    /// come back by themselves once what was refused is accepted (tables.retry_refused_after, and at each
    /// start); this tries at once, and waits until all is back, or something is refused again.
    ///
    /// Their order is kept: what was parked comes before all that is newer. A change that can never be
    /// written is gone past with --leave-out; it stays in that topic.
    ///
    /// Exit codes: 0 all is back; 4 it stays parked, and why.
    Unpark(UnparkArguments),
    /// Compare tables with the latest state of their topics, row by row
    ///
    /// Works beside a running pipeline, which it needs: it waits until the checkpoint covers the moment
    /// as of which the tables are read. Reads the topics of the tables whole, and the tables in one
    /// read-only transaction, in the snapshot of a temporary replication slot, which is dropped at once.
    /// Writes nothing, to Kafka or to PostgreSQL.
    ///
    /// A topic that deletes records by time or size is not compared, nor is a table without a key. What
    /// a column's type leaves out, and what else was not compared, is told. Exit code 8 if anything
    /// differs, 9 if nothing does and something was not compared.
    Verify(VerifyArguments),
}

/// `walbrook verify`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct VerifyArguments {
    /// Only this table, as schema.table; may be given several times
    #[arg(long, value_name = "TABLE")]
    pub table: Vec<String>,
    /// How much memory the keys may take; if it is not enough, topics and tables are read several times
    #[arg(long = "memory", value_name = "MIB", default_value_t = 64)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub memory_mib: usize,
    /// How long to wait for open transactions, and for the checkpoint to cover what is compared
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 60)]
    pub timeout_seconds: u64,
    /// How often keys that change meanwhile are looked at
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: u32,
    /// Show the keys that differ, the first 1000 of each table
    #[arg(long)]
    pub show_keys: bool,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

/// `walbrook repair`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RepairArguments {
    /// How it is compared.
    #[command(flatten)]
    pub comparison: VerifyArguments,
    /// Only say what differs, and of how much of it the keys can be told
    #[arg(long)]
    pub dry_run: bool,
    /// What consumers find in the header walbrook.gap of all that is written; else the gap that was
    /// accepted, or "until" and the LSN as of which was compared first
    #[arg(long, value_name = "NAME", value_parser = gap)]
    pub gap: Option<String>,
}

/// The longest name of a gap: it is in each record.
const GAP_BYTES_MAX: usize = 100;

fn gap(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || GAP_BYTES_MAX < text.len() || text.contains(char::is_control) {
        return Err(format!("want 1 to {GAP_BYTES_MAX} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// `walbrook checkpoint …`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum CheckpointCommand {
    /// Go on at the slot's confirmed LSN although the start was refused
    ///
    /// For after a restore, a pg_upgrade, a lost slot, or to accept a gap that the refusal named;
    /// where a start would not be refused there is nothing to accept, and nothing is changed. A slot
    /// that is missing or lost is made anew, and a checkpoint record that cannot be read is taken for
    /// none. Where the stream ends since a publication was missing when the WAL was written, goes on
    /// behind that time.
    ///
    /// That the stream contradicts the checkpoint shows only when it is read: the error of `walbrook
    /// run` then names the checkpoint's position, which goes into --position.
    ///
    /// Where the slot is past the checkpoint, the changes between are not delivered; where it is
    /// before, changes that are in Kafka may come again, in the next epoch of positions. Says both, from which LSN to
    /// which, and shows the old and the new checkpoint. Writes the new one in a fenced Kafka
    /// transaction and keeps the old values and the reason in it, until the next checkpoint.
    Accept {
        /// The epoch to go on in, where that of a record that cannot be read is not known: one more
        /// than the last records have in their header walbrook.position before ":" (none is 0)
        #[arg(long, value_name = "N")]
        epoch: Option<u32>,
        /// The position of the checkpoint to replace although a start is not refused
        #[arg(long)]
        position: Option<Position>,
        /// Why, in your words; kept in this checkpoint, until the next one
        #[arg(long, value_parser = reason)]
        reason: String,
    },
    /// Leave out one change that cannot be written, and keep it in a file
    ///
    /// For when `walbrook run` ends with an error about a change: the error names its position. The
    /// change is looked for in the stream and written to the file, as JSON with PostgreSQL's text of
    /// its values; then the checkpoint says, in a fenced Kafka transaction, that this one change is
    /// left out. The next `walbrook run` goes past it, and past nothing else, and says so in its log.
    ///
    /// A change that Kafka has already, or that is not in the stream, is refused.
    Skip {
        /// A new file for the change: it holds the row's values, and only its owner may read it
        #[arg(long)]
        file: PathBuf,
        /// Where the change is: commit LSN and ordinal, as in 16/B374D848#12
        #[arg(long)]
        position: Position,
        /// Why, in your words; it is logged with the change
        #[arg(long, value_parser = reason)]
        reason: String,
    },
    /// Print the last committed checkpoint
    Show {
        /// Print the record as it is in Kafka
        #[arg(long)]
        json: bool,
    },
}

/// `walbrook slot …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum SlotCommand {
    /// Write the first checkpoint at the confirmed LSN of a slot that exists
    ///
    /// No change before that LSN is delivered, but the rows that tables have are read (unless
    /// `snapshot.mode` is "never"); events that an earlier run delivered may come again.
    Adopt {
        /// The epoch of positions to go on in: one more than the last records of this pipeline have
        /// in their header walbrook.position before ":" (0 if there are none)
        #[arg(long, value_name = "N", default_value_t = 0)]
        epoch: u32,
    },
    /// Create the slot and its first checkpoint without streaming
    ///
    /// Delivery begins where the slot is made, also if it is read later. Refuses where an outbox has
    /// pending = true: its rows are read by `walbrook run`, when that makes the slot.
    Create,
    /// Say whether all that has committed is in Kafka, so that the slot can be dropped
    ///
    /// For before a major upgrade, or a move to another server; nothing must be written meanwhile. While
    /// walbrook runs, waits until its checkpoint covers the server's log as it is now; while nobody
    /// reads the slot, decodes what waits, as check does. Exit code 3 if something is not in Kafka, or
    /// may yet commit (a transaction that is open), or if that cannot be known (on a standby).
    Drained {
        /// How long to wait, or to decode
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        wait_seconds: u64,
    },
    /// Drop the slot, so that PostgreSQL can remove its WAL
    ///
    /// Changes that are not yet in Kafka are then lost to this pipeline.
    Drop {
        /// Do it: without this, only say what would be lost
        #[arg(long)]
        yes: bool,
    },
    /// Print the slot's state and the WAL that it keeps
    Status {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `walbrook snapshot …`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SnapshotCommand {
    /// Read no more for now; the stream goes on
    ///
    /// Lasts over restarts, until `walbrook snapshot resume`. What is being read at the moment still
    /// gets into Kafka.
    Pause {
        /// Only this table, as schema.table (may be repeated); else all, also those to come
        #[arg(long = "table", value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Go on with what was paused
    Resume {
        /// Only this table, as schema.table (may be repeated); else all
        #[arg(long = "table", value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Read the rows of a table, from its first one on, also if they were read before
    ///
    /// They become records with op r, as those of every snapshot: of what changes meanwhile the newest
    /// comes last. Deletes that consumers have missed are not found in this way, `walbrook repair` finds
    /// them.
    Start {
        /// The table, as schema.table (may be repeated)
        #[arg(long = "table", value_name = "TABLE", required = true)]
        tables: Vec<String>,
        /// Only rows that meet this SQL condition, such as "id < 1000"; what is not in pg_catalog needs
        /// its schema. It is kept in the checkpoint topic
        #[arg(long = "where", value_name = "CONDITION", value_parser = condition)]
        condition: Option<String>,
    },
    /// Say how far each table is
    Status {
        /// Print it as JSON
        #[arg(long, conflicts_with = "watch")]
        json: bool,
        /// Say it again and again, until all was read
        #[arg(long)]
        watch: bool,
    },
    /// Give up what is not read
    ///
    /// The table then counts as read; `walbrook snapshot start` begins anew. What is in Kafka stays. A
    /// table without a key is not given up once it is begun with: its changes meanwhile are in its rows.
    Stop {
        /// Only this table, as schema.table (may be repeated); else all that are being read or wait to be
        #[arg(long = "table", value_name = "TABLE")]
        tables: Vec<String>,
    },
}

/// The longest condition: it is in each record of its table's progress.
const CONDITION_BYTES_MAX: usize = 2000;

fn condition(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || CONDITION_BYTES_MAX < text.len() || text.contains('\0') {
        return Err(format!("want 1 to {CONDITION_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

/// The longest reason, so that a checkpoint stays under 1 KB.
const REASON_BYTES_MAX: usize = 200;

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || REASON_BYTES_MAX < text.len() {
        return Err(format!("want 1 to {REASON_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_teaches() {
        let help = Cli::command().render_long_help().to_string();
        for exit in Exit::ALL {
            let line = format!("\n{:>3}  ", exit.code());
            assert!(help.contains(&line), "exit code {}", exit.code());
            assert_eq!(exit as u8, exit.code());
        }
        for word in ["Examples:", "WALBROOK_CONFIG", "walbrook.example.toml", "RestartPrevent"] {
            assert!(help.contains(word), "{word}");
        }
    }

    /// The help and the documents have one list.
    #[test]
    fn schema_check_has_the_same_exit_codes_everywhere() {
        let mut command = Cli::command();
        let schema = command.find_subcommand_mut("schema").unwrap();
        let help = schema.find_subcommand_mut("check").unwrap().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = include_str!("../docs/evolution.md");
        let (_, list) = page.split_once("Exit codes:\n\n").unwrap();
        let items: Vec<_> = list.lines().map_while(|line| line.strip_prefix("- ")).collect();
        assert_eq!(items.len(), 8, "{items:?}");
        for item in items {
            let words = item.replacen(':', "", 1).replace('`', "");
            assert!(help.contains(&words), "{words}\n{help}");
        }
    }

    #[test]
    fn commands_are_read() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for line in [
            "walbrook run",
            "walbrook -c a.toml run",
            "walbrook run -c a.toml --log-format json --log-level info,kafka=debug",
            "walbrook check --sql",
            "walbrook check --json",
            "walbrook repair",
            "walbrook repair --table public.a --gap lost --dry-run --show-keys --json --memory 9",
            "walbrook slot create",
            "walbrook slot adopt",
            "walbrook slot drop --yes",
            "walbrook slot status --json",
            "walbrook checkpoint show",
            "walbrook checkpoint accept --reason restored",
            "walbrook checkpoint accept --reason restored --position 16/B374D848#12",
            "walbrook checkpoint skip --position 16/B374D848#12 --file a.json --reason known",
            "walbrook schema print --table public.orders",
            "walbrook schema check --ddl a.sql --ddl - --scratch --json",
            "walbrook schema check --ddl a.sql --in-place --lock-timeout 1",
            "walbrook snapshot pause",
            "walbrook snapshot resume --table public.orders --table public.items",
            "walbrook snapshot start --table public.orders --where id<1000",
            "walbrook snapshot status --watch",
            "walbrook snapshot status --json",
            "walbrook snapshot stop --table public.orders",
            "walbrook status",
            "walbrook stop",
            "walbrook verify --table public.a --table public.b --show-keys --json --memory 256",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "walbrook",
            "walbrook sing",
            "walbrook check --sql --json",
            "walbrook checkpoint accept",
            "walbrook checkpoint accept --reason ",
            "walbrook checkpoint accept --reason restored --position 16/B374D848",
            "walbrook checkpoint skip --position 16/B374D848#12 --reason known",
            "walbrook snapshot start",
            "walbrook snapshot start --table public.orders --where ",
            "walbrook snapshot status --watch --json",
            "walbrook repair --gap ",
            "walbrook schema check",
            "walbrook schema check --ddl a.sql --in-place --scratch",
            "walbrook run --password x",
            "walbrook verify --memory 0",
        ] {
            let error = parse(line).err().unwrap();
            assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{line}");
        }
    }
}
