//! A migration is tried on a database: its statements, and the published tables before and behind them.
//!
//! All of it is one transaction that is rolled back; the registry is asked afterwards, so that no lock
//! waits for it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::split::{self, Statement, Step};
use crate::cli::CheckDdl;
use crate::config::{self, Config, Environment, Postgres};
use crate::facts::TableFacts;
use crate::pipeline;
use crate::postgres::{self, Catalog, DdlRefusal};
use crate::wal::{Relation, RelationId};

/// A file and its text.
pub(super) struct File {
    name: String,
    text: String,
}

/// What of the files is applied, in order.
pub(super) struct Migration<'a> {
    parts: Vec<Part<'a>>,
    /// How many statements of the files are among them.
    pub(super) applied: usize,
    /// What an operator should know of the rest.
    pub(super) notes: Vec<String>,
    /// Whether a file holds nothing, or steps that are not SQL: then what it does is not known.
    pub(super) is_partial: bool,
}

/// What is sent for a statement.
struct Part<'a> {
    file: &'a str,
    statement: Statement<'a>,
    sql: Cow<'a, str>,
}

/// A published table at one time.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) relation: Relation,
    pub(super) facts: TableFacts,
    /// Whether PostgreSQL takes UPDATE and DELETE of it while it is published.
    pub(super) has_identity: bool,
}

/// What was published before, and is behind the migration.
pub(super) struct Tried {
    pub(super) before: Vec<Table>,
    pub(super) after: Vec<Table>,
    /// Those of before that do not exist any more.
    pub(super) dropped: BTreeSet<RelationId>,
}

/// Why nothing can be said.
pub(super) enum Failure {
    /// The files, or the command line.
    Usage(String),
    /// The database is not one for this.
    Refused(String),
    /// PostgreSQL refuses a statement.
    Statement(String),
    Pipeline(pipeline::Error),
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        Self::Pipeline(error.into())
    }
}

/// What a COMMIT of the file does to us, and each statement outside of BEGIN and COMMIT: what was
/// deferred is checked. Else PostgreSQL would refuse to ALTER such a table in what comes behind.
const CHECK: &str = "SET CONSTRAINTS ALL IMMEDIATE";
/// What the next BEGIN does: what is deferred from the start is, and nothing else (a row that is still to be
/// checked would be in the way of an ALTER TABLE). Of the others those are named that have a name of their
/// own, since one name sets all that have it. (Of those that the file makes later they are deferred, too: of
/// what is not there PostgreSQL can be told nothing.)
const DEFER: &str = "\
DO $$ DECLARE names text; BEGIN
  SET CONSTRAINTS ALL DEFERRED;
  SELECT string_agg(name, ', ') INTO names FROM (
    SELECT format('%I.%I', nspname, conname)
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = connamespace
    WHERE condeferrable AND has_schema_privilege(n.oid, 'USAGE')
    GROUP BY nspname, conname HAVING NOT bool_or(condeferred)) AS checked (name);
  IF names IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || names || ' IMMEDIATE'; END IF;
END $$";

/// Reads the files.
///
/// # Errors
///
/// If one cannot be read.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let read = |path: &PathBuf| {
        let text = if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let name = path.display().to_string();
        match text {
            Ok(text) => Ok(File { name, text }),
            Err(error) => Err(Failure::Usage(format!("cannot read {name}: {error}"))),
        }
    };
    paths.iter().map(read).collect()
}

impl<'a> Migration<'a> {
    /// Parts the files into statements.
    ///
    /// # Errors
    ///
    /// If one is not SQL alone, or would end the transaction.
    pub(super) fn parse(files: &'a [File]) -> Result<Self, Failure> {
        let mut migration =
            Self { parts: Vec::new(), applied: 0, notes: Vec::new(), is_partial: false };
        for File { name, text } in files {
            let refused = |(line, why)| Failure::Usage(format!("{name}:{line}: {why}"));
            let mut is_open = false;
            let statements = split::statements(text).map_err(refused)?;
            let unknown = unwritten(name, text).or_else(|| empty(name, &statements));
            migration.is_partial |= unknown.is_some();
            for statement in statements {
                match statement.step().map_err(refused)? {
                    Step::Apply(sql) => migration.apply(name, statement, sql, is_open),
                    Step::Begin => {
                        is_open = true;
                        // The end of the one before has said otherwise.
                        if !migration.parts.is_empty() {
                            migration.send(name, statement, DEFER);
                        }
                    }
                    Step::End => {
                        is_open = false;
                        migration.send(name, statement, CHECK);
                    }
                    Step::LeftOut(why) => {
                        migration.note(name, &statement, &format!("is left out: {why}"));
                    }
                    Step::Plain(sql) => {
                        let why = "is tried without CONCURRENTLY, which runs in no transaction";
                        migration.note(name, &statement, why);
                        migration.apply(name, statement, sql, is_open);
                    }
                }
            }
            migration.notes.extend(unknown);
        }
        Ok(migration)
    }

    fn apply(&mut self, file: &'a str, statement: Statement<'a>, sql: Cow<'a, str>, is_open: bool) {
        self.applied += 1;
        self.parts.push(Part { file, statement: statement.clone(), sql });
        if !is_open {
            self.send(file, statement, CHECK);
        }
    }

    fn send(&mut self, file: &'a str, statement: Statement<'a>, sql: &'static str) {
        self.parts.push(Part { file, statement, sql: sql.into() });
    }

    fn note(&mut self, file: &str, statement: &Statement<'_>, why: &str) {
        self.notes.push(format!("{file}:{}: {}: {why}", statement.line, statement.title()));
    }

    /// Tries them.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached, is not to be used, or refuses a statement.
    pub(super) async fn on(&self, config: &Config, arguments: &CheckDdl) -> Result<Tried, Failure> {
        let postgres = &database(config, arguments)?;
        let mut catalog = Catalog::connect_for_ddl(postgres).await?;
        let slots = catalog.slots_here().await?;
        if !arguments.in_place && !slots.is_empty() {
            return Err(Failure::Refused(in_use(postgres, &slots)));
        }
        published(config, &mut catalog).await?;
        let before = survey(config, &mut catalog).await?;
        catalog.begin_ddl().await?;
        for Part { file, statement, sql } in &self.parts {
            if let Some(refusal) = catalog.try_ddl(sql, arguments.lock_timeout).await? {
                return Err(Failure::Statement(refused(file, statement, &refusal)));
            }
        }
        catalog.settle_ddl(postgres).await?;
        let after = survey(config, &mut catalog).await?;
        let mut dropped = BTreeSet::new();
        for Table { relation, .. } in &before {
            let is_there = |table: &Table| table.relation.id == relation.id;
            if !after.iter().any(is_there) && catalog.describe(relation).await?.is_gone {
                dropped.insert(relation.id);
            }
        }
        catalog.roll_back_ddl().await?;
        Ok(Tried { before, after, dropped })
    }
}

fn database<'a>(config: &'a Config, arguments: &CheckDdl) -> Result<Cow<'a, Postgres>, Failure> {
    if !arguments.scratch {
        return Ok(Cow::Borrowed(&config.postgres));
    }
    let mut found = config::of_environment(&Environment::of_process())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    // No variable of libpq's says it.
    found.statement_timeout = config.postgres.statement_timeout;
    Ok(Cow::Owned(found))
}

fn in_use(postgres: &Postgres, slots: &[String]) -> String {
    format!(
        "database {:?} has replication slots ({}), so somebody's changes are read from it: a migration that is tried here locks its tables until it is rolled back. Name a database without (--scratch), or say --in-place",
        postgres.database,
        slots.join(", ")
    )
}

/// Refuses a database without the publications: nothing would be said of its tables.
async fn published(config: &Config, catalog: &mut Catalog) -> Result<(), Failure> {
    let names = &config.replication.publications;
    let found = catalog.publications(names).await?;
    match names.iter().find(|name| found.iter().all(|it| it.name != **name)) {
        None => Ok(()),
        Some(missing) => Err(Failure::Refused(format!(
            "the database (at {}) has no publication {missing:?}, so it does not say which tables are captured: make it as production has it",
            catalog.host()
        ))),
    }
}

async fn survey(config: &Config, catalog: &mut Catalog) -> Result<Vec<Table>, postgres::Error> {
    let names = &config.replication.publications;
    let published = catalog.published_tables(names).await?;
    let mut tables = Vec::new();
    for relation in catalog.published_relations(names).await? {
        let facts = catalog.describe(&relation).await?;
        let identity = published.iter().find(|it| it.relation == relation.id);
        let has_identity = identity.is_none_or(|it| it.has_usable_identity);
        tables.push(Table { relation, facts, has_identity });
    }
    Ok(tables)
}

fn refused(file: &str, statement: &Statement<'_>, refusal: &DdlRefusal) -> String {
    let line = statement.line_of(refusal.at.unwrap_or_default());
    let DdlRefusal { server, .. } = refusal;
    let advice = match server.code.as_str() {
        // Labels of enums.
        "55P04" => {
            "; here all is one transaction: try what comes before it, and migrate, before what uses it"
        }
        "57014" => {
            "; it took longer than postgres.statement_timeout: raise that, or try it where fewer rows are (definitions are enough)"
        }
        "25001" => "; here all is one transaction: take it out, if it changes no table",
        _ => "",
    };
    format!("{file}:{line}: {} …: {server}{advice}", statement.title())
}

/// What Django's sqlmigrate says of steps that are Python's.
fn unwritten(name: &str, text: &str) -> Option<String> {
    const WORDS: &str = "THIS OPERATION CANNOT BE WRITTEN AS SQL";
    let at = text.lines().position(|line| line.contains(WORDS))?;
    Some(format!("{name}:{}: a step is not SQL here, and what it does is not looked at", at + 1))
}

/// A mistake more often than not: what should have printed it has failed.
fn empty(name: &str, statements: &[Statement<'_>]) -> Option<String> {
    statements
        .is_empty()
        .then(|| format!("{name}: holds no statement, so there is nothing to judge"))
}
