//! `walbrook schema`: what is registered, and what a migration would do to it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

/// `walbrook schema …`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SchemaCommand {
    /// Say what a migration does to schemas and readers, before it ships
    ///
    /// For a CI pipeline. Applies the SQL to the definitions of a database inside of a transaction, looks
    /// at the catalog there as walbrook would, and rolls back; then asks the registry what it would answer
    /// to each schema. Registers nothing.
    ///
    /// Leaves behind only what no rollback takes back: gaps in sequences, what functions, DO blocks,
    /// definitions and prepared statements do with setval, COPY … TO a file or PROGRAM,
    /// pg_logical_emit_message(false, …), dblink.
    ///
    /// The database is the one that the configuration names, which must have the tables as they are before
    /// the migration, and the publications; or, with --scratch, the one that PGHOST, PGPORT, PGDATABASE,
    /// PGUSER and PGPASSWORD name. A copy of definitions: pg_dump --schema-only production | psql scratch.
    /// DDL locks its tables until it is rolled back, and rewrites some. So a database that has a logical
    /// replication slot, as production has, is refused without --in-place.
    ///
    /// Takes plain SQL, such as the output of Django's sqlmigrate. BEGIN and COMMIT in it are left out, as is
    /// what calls setval, and what changes no definition and cannot run in a transaction (VACUUM, REINDEX,
    /// CLUSTER, the word CONCURRENTLY). Limits of time that it sets do not count: walbrook's hold.
    ///
    /// Exit codes: 0 readers go on; 3 something would be refused, or nobody has registered a schema where
    /// walbrook may not; 10 nothing is refused, as far as the registry answered, and readers have to be ready
    /// first; 9 readers go on, as far as can be told without what the registry did not answer, a file without
    /// a statement, or a step of Django's that is Python; 4 PostgreSQL refuses a statement, or it takes longer
    /// than postgres.statement_timeout; 2 a file cannot be read, or is not SQL alone, or the command line, the
    /// configuration or the variables for --scratch are wrong; 5 the database has a logical replication slot,
    /// or not the publications; 6 PostgreSQL cannot be reached. What to do is in docs/evolution.md.
    Check(CheckDdl),
    /// Print the key and value schemas of published tables
    ///
    /// As the next start would register them: from the catalog, and beside the newest schemas of the
    /// subjects, which the registry is asked for. Registers nothing. Where no registry answers, a
    /// warning says so, and the schemas are those of new subjects.
    Print {
        /// Only this table, as schema.table
        #[arg(long, value_name = "TABLE")]
        table: Option<String>,
    },
}

/// `walbrook schema check`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CheckDdl {
    /// A file with SQL, or - for standard input; may be given several times, in order
    #[arg(long, value_name = "FILE", required = true)]
    pub ddl: Vec<PathBuf>,
    /// Use the database that libpq's variables (PGDATABASE, …) name, and not the configuration's
    #[arg(long, conflicts_with = "in_place")]
    pub scratch: bool,
    /// Also where the database has a logical replication slot: tables are locked meanwhile
    #[arg(long)]
    pub in_place: bool,
    /// How long a statement waits for a lock
    #[arg(long = "lock-timeout", value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub lock_timeout: Duration,
    /// Print the results as JSON
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("want seconds, 1 to 3600".to_owned()),
    }
}
