//! DDL that is tried: applied inside of a transaction that is rolled back, with the catalog read in it.
//!
//! Nothing here commits. Statements go out one by one in the extended protocol, in which the server takes
//! one statement at a time: a text that is several after all, with a COMMIT among them, is refused as a
//! whole. Whoever calls leaves out what is such a command by itself. A connection that ends rolls back, too.

use std::time::Duration;

use tokio_postgres::error::{DbError, ErrorPosition};

use super::super::error::{Error, ServerError};
use super::super::quote::literal;
use super::{Catalog, Postgres, drive, field, settings};

/// Why the server refuses a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DdlRefusal {
    /// What it said.
    pub server: ServerError,
    /// The character of the statement that it points to, from 0.
    pub at: Option<usize>,
}

impl From<&DbError> for DdlRefusal {
    fn from(error: &DbError) -> Self {
        let at = match error.position() {
            Some(ErrorPosition::Original(at)) => usize::try_from(*at).ok(),
            _ => None,
        };
        Self { server: error.into(), at: at.and_then(|at| at.checked_sub(1)) }
    }
}

impl Catalog {
    /// Connects for [`begin_ddl`](Self::begin_ddl).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_for_ddl(postgres: &Postgres) -> Result<Self, Error> {
        Self::connect_with(postgres, &settings(postgres).for_ddl()).await
    }

    /// The logical slots of this database. Those of others of the cluster are nobody's here.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn slots_here(&mut self) -> Result<Vec<String>, Error> {
        self.rows(SLOTS_SQL, &[]).await?.iter().map(|row| field(row, 0)).collect()
    }

    /// Begins the transaction, with the search path of the role.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn begin_ddl(&mut self) -> Result<(), Error> {
        self.execute("BEGIN; SET LOCAL search_path TO DEFAULT").await
    }

    /// Runs one statement in it, within our limits of time, whatever those before it have set (the head
    /// of a pg_dump takes them away); the server's words if it refuses that.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn try_ddl(
        &mut self,
        statement: &str,
        lock_timeout: Duration,
    ) -> Result<Option<DdlRefusal>, Error> {
        let limits = format!(
            "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
            lock_timeout.as_millis(),
            self.statement_timeout.as_millis()
        );
        self.execute(&limits).await?;
        let client = &self.client;
        let query = async {
            match client.query_typed(statement, &[]).await {
                Ok(_) => Ok(None),
                Err(error) => match error.as_db_error() {
                    Some(refusal) => Ok(Some(DdlRefusal::from(refusal))),
                    None => Err(error),
                },
            }
        };
        drive(&mut self.connection, &self.peer, self.timeout, query).await
    }

    /// Takes back the role and the settings on which our questions rely, whatever the statements have set.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn settle_ddl(&mut self, postgres: &Postgres) -> Result<(), Error> {
        let asked = settings(postgres);
        let set = |(name, value)| format!("SET LOCAL {name} = {}", literal(value));
        let set: Vec<_> = asked.parameters().map(set).collect();
        self.execute(&format!("RESET SESSION AUTHORIZATION; RESET ROLE; {}", set.join("; "))).await
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// If the server does not answer; then it does so by itself.
    pub async fn roll_back_ddl(&mut self) -> Result<(), Error> {
        self.execute("ROLLBACK").await
    }

    async fn execute(&mut self, statements: &str) -> Result<(), Error> {
        let done = self.client.batch_execute(statements);
        drive(&mut self.connection, &self.peer, self.timeout, done).await
    }
}

const SLOTS_SQL: &str = "\
SELECT slot_name::text FROM pg_replication_slots
WHERE slot_type = 'logical' AND database = current_database()
ORDER BY 1";
